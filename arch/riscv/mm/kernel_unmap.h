/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _RISCV_MM_KERNEL_UNMAP_H
#define _RISCV_MM_KERNEL_UNMAP_H

#include <linux/types.h>

struct vmem_altmap;

void kernel_unmap(unsigned long start, unsigned long end);
void kernel_unmap_and_free(unsigned long start, unsigned long end,
			   struct vmem_altmap *altmap);

#endif /* _RISCV_MM_KERNEL_UNMAP_H */
