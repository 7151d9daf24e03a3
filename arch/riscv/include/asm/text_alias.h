/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_RISCV_TEXT_ALIAS_H
#define _ASM_RISCV_TEXT_ALIAS_H

#include <linux/errno.h>
#include <linux/types.h>

struct patch_insn;

#if defined(CONFIG_64BIT) && defined(CONFIG_MMU)
void poking_init(void);
bool text_alias_ready(void);
int text_alias_write(void *dst, const void *src, size_t len);
int text_alias_write_insns(const struct patch_insn *insns, unsigned int nr);
#else
static inline bool text_alias_ready(void)
{
	return false;
}

static inline int text_alias_write(void *dst, const void *src, size_t len)
{
	return -EOPNOTSUPP;
}

static inline int text_alias_write_insns(const struct patch_insn *insns, unsigned int nr)
{
	return -EOPNOTSUPP;
}
#endif

#endif /* _ASM_RISCV_TEXT_ALIAS_H */
