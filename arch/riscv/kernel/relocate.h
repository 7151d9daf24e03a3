/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _RISCV_KERNEL_RELOCATE_H
#define _RISCV_KERNEL_RELOCATE_H

#include <linux/types.h>

#ifdef CONFIG_RELOCATABLE
void relocate_kernel(uintptr_t dtb_pa);
#else
static inline void relocate_kernel(uintptr_t dtb_pa) { }
#endif

#endif /* _RISCV_KERNEL_RELOCATE_H */
