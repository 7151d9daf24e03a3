// SPDX-License-Identifier: GPL-2.0
/*
 * Where executable memory may be on s390.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/moduleloader.h>

static struct execmem_params execmem_params __ro_after_init;

/**
 * execmem_arch_params - the ranges of s390
 *
 * A relative branch reaches 4 GiB. There is a window of 2 GiB for code, so that
 * all of it is within reach of the rest; calls into the kernel go through PLTs.
 *
 * The memory is writable and executable from the start. Kprobe slots are made
 * read-only at once: they are written with s390_kernel_write(), which does not
 * mind.
 *
 * The table is made at run time because where the window is depends on the size
 * of the memory.
 *
 * Return: the table, never %NULL.
 */
struct execmem_params * __init execmem_arch_params(void)
{
	const struct execmem_range range = {
		.start = MODULES_VADDR,
		.end = MODULES_END,
		.pgprot = PAGE_KERNEL_EXEC,
		.alignment = MODULE_ALIGN,
		.flags = EXECMEM_KASAN_SHADOW,
	};

	execmem_params.ranges[EXECMEM_DEFAULT] = range;
	execmem_params.ranges[EXECMEM_KPROBES] = range;
	execmem_params.ranges[EXECMEM_KPROBES].flags |= EXECMEM_SET_ROX;

	return &execmem_params;
}
