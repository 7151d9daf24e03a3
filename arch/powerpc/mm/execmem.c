// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where executable memory may be on powerpc.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include <asm/sections.h>

static struct execmem_params execmem_params __ro_after_init;

/**
 * execmem_arch_params - the ranges of powerpc
 *
 * Where the protection of a segment, or the handler of an instruction TLB miss,
 * has to tell code from data by the address, there is a window below the kernel
 * whose contents are executable. The part of it that is within 32 MiB of the
 * kernel, the reach of a branch, is tried first, to avoid branch trampolines.
 * Module data, which need not be executable, is in the vmalloc space of those
 * machines. The other machines use the vmalloc space for everything.
 *
 * If no memory may be writable and executable, kprobe slots are read-only from
 * the start: they are written through an alias, by patch_instruction().
 *
 * The table is made at run time because the vmalloc space depends on the MMU
 * and on the size of the memory, and because rodata= decides on the protection.
 *
 * Return: the table, never %NULL.
 */
struct execmem_params * __init execmem_arch_params(void)
{
	const bool strict = strict_module_rwx_enabled();
	struct execmem_range *text = &execmem_params.ranges[EXECMEM_MODULE_TEXT];
	struct execmem_range *kprobes = &execmem_params.ranges[EXECMEM_KPROBES];
#ifdef MODULES_VADDR
	unsigned long limit = (unsigned long)_etext - SZ_32M;

	BUILD_BUG_ON(TASK_SIZE > MODULES_VADDR);
#endif

	*text = (struct execmem_range){
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.pgprot = strict ? PAGE_KERNEL : PAGE_KERNEL_EXEC,
		.alignment = 1,
	};

	execmem_params.ranges[EXECMEM_MODULE_DATA] = *text;
	execmem_params.ranges[EXECMEM_MODULE_DATA].pgprot = PAGE_KERNEL;

#ifdef MODULES_VADDR
	text->start = MODULES_VADDR;
	text->end = MODULES_END;

	if (MODULES_VADDR < PAGE_OFFSET && MODULES_END > limit) {
		text->start = limit;
		text->fallback_start = MODULES_VADDR;
		text->fallback_end = MODULES_END;
	}
#endif

	*kprobes = *text;
	if (strict)
		kprobes->flags = EXECMEM_SET_ROX;

	return &execmem_params;
}
