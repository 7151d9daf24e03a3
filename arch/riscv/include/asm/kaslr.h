/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_RISCV_KASLR_H
#define _ASM_RISCV_KASLR_H

#include <linux/pgtable.h>

/* How far the kernel is from the virtual address that it is linked at */
static inline unsigned long kaslr_offset(void)
{
	return IS_ENABLED(CONFIG_RELOCATABLE) ? kernel_map.virt_addr - KERNEL_LINK_ADDR : 0;
}

#endif /* _ASM_RISCV_KASLR_H */
