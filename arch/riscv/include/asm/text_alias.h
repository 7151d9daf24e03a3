/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_RISCV_TEXT_ALIAS_H
#define _ASM_RISCV_TEXT_ALIAS_H

#include <linux/errno.h>
#include <linux/types.h>

#if defined(CONFIG_64BIT) && defined(CONFIG_MMU)
void poking_init(void);
bool text_alias_ready(void);
int text_alias_write(void *dst, const void *src, size_t len);
#else
static inline bool text_alias_ready(void)
{
	return false;
}

static inline int text_alias_write(void *dst, const void *src, size_t len)
{
	return -EOPNOTSUPP;
}
#endif

#endif /* _ASM_RISCV_TEXT_ALIAS_H */
