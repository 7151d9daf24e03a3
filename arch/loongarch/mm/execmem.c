// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where executable memory may be on LoongArch.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>

static struct execmem_params execmem_params __ro_after_init;

/**
 * execmem_arch_params - the ranges of LoongArch
 *
 * The vmalloc space is preceded by a window of 256 MiB for modules, which keeps
 * them near each other. BPF images share it.
 *
 * Nothing is mapped non-executable, so that %PAGE_KERNEL is what code needs.
 *
 * The table is made at run time because the window depends on the number of
 * address bits that the CPU has.
 *
 * Return: the table, never %NULL.
 */
struct execmem_params * __init execmem_arch_params(void)
{
	execmem_params.ranges[EXECMEM_DEFAULT] = (struct execmem_range){
		.start = MODULES_VADDR,
		.end = MODULES_END,
		.pgprot = PAGE_KERNEL,
		.alignment = 1,
	};

	return &execmem_params;
}
