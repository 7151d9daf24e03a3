// SPDX-License-Identifier: GPL-2.0
/*
 * Where executable memory may be on 64-bit SPARC.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>

static struct execmem_params execmem_params __ro_after_init;

/**
 * execmem_arch_params - the ranges of 64-bit SPARC
 *
 * The kernel and the modules are compiled for addresses below 4 GiB. Behind
 * the kernel there is a window for modules, which everything else shares with
 * them.
 * On 32-bit, code may be anywhere in the vmalloc space, which is the default
 * and needs no table.
 *
 * %PAGE_KERNEL is executable. The table is made at run time because it is a
 * variable, which depends on the CPU.
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
