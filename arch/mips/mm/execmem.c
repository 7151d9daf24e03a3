// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where executable memory may be on MIPS.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>

#ifdef MODULES_VADDR

static struct execmem_params execmem_params __ro_after_init;

/**
 * execmem_arch_params - the ranges of 64-bit MIPS with 32-bit symbols
 *
 * Such a kernel is linked into the segments that 32-bit addresses reach when
 * they are sign-extended. Modules are in the one of these segments that is
 * mapped, so that they can use 32-bit addresses too. Everything else shares it
 * with them. Other kernels have no table: they use the vmalloc space.
 *
 * The table is made at run time because the protection depends on the cache of
 * the CPU.
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

#endif /* MODULES_VADDR */
