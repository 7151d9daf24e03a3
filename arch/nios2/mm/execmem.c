// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where executable memory may be on Nios II.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>

static struct execmem_params execmem_params __ro_after_init;

/**
 * execmem_arch_params - the ranges of Nios II
 *
 * CALL26 and PCREL26 do not reach from the vmalloc space, which begins at
 * 0x80000000, to the kernel at 0xc0000000. The region that the kernel is in
 * bypasses the page tables, so nothing can be mapped there: modules have to be
 * in memory of the direct map.
 *
 * Return: the table, never %NULL.
 */
struct execmem_params * __init execmem_arch_params(void)
{
	execmem_params.ranges[EXECMEM_DEFAULT] = (struct execmem_range){
		.start = PAGE_OFFSET,
		.end = (unsigned long)high_memory,
		.pgprot = PAGE_KERNEL,
		.alignment = 1,
		.flags = EXECMEM_DIRECT_MAP,
	};

	return &execmem_params;
}
