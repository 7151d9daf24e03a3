// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where executable memory may be on PA-RISC.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>

static struct execmem_params execmem_params __ro_after_init;

/**
 * execmem_arch_params - the ranges of PA-RISC
 *
 * Calls that are too far for a branch go through stubs, so everything may be
 * anywhere in the vmalloc space.
 *
 * Using RWX means less protection for modules, but it's easier than trying to
 * map the text, data, init_text and init_data correctly. The default of an
 * architecture without a table, %PAGE_KERNEL_EXEC, is not writable here.
 *
 * The table is made at run time because VMALLOC_START is a variable.
 *
 * Return: the table, never %NULL.
 */
struct execmem_params * __init execmem_arch_params(void)
{
	execmem_params.ranges[EXECMEM_DEFAULT] = (struct execmem_range){
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.pgprot = PAGE_KERNEL_RWX,
		.alignment = 1,
	};

	return &execmem_params;
}
