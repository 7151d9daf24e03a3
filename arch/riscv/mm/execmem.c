// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where executable memory may be on RISC-V.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>

#include <asm/sections.h>

static struct execmem_params execmem_params __ro_after_init;

/*
 * Types that are only text share the blocks of the cache. So they inherit the
 * window of modules, whose last 128 MiB BPF has for itself otherwise.
 */
static void __init execmem_add_cache(struct execmem_params *params)
{
	params->ranges[EXECMEM_MODULE_TEXT].flags = EXECMEM_ROX_CACHE;
	params->ranges[EXECMEM_KPROBES] = (struct execmem_range){ };
	params->ranges[EXECMEM_BPF] = (struct execmem_range){ };

	/* The linker pads it with zeroes, which trap, up to the next section */
	params->tail_start = ALIGN((unsigned long)_etext, EXECMEM_ROX_ALIGN);
	params->tail_end = (unsigned long)__init_begin;
}

/**
 * execmem_arch_params - the ranges of RISC-V
 *
 * On 64-bit, code that the kernel calls with auipc and jalr, or that refers to
 * kernel symbols in this way, has to be within 2 GiB of it. Modules and BPF
 * have a window for that below the kernel, whose last 128 MiB are for BPF
 * alone. The data of a module is subject to the same reach from its text, so
 * it shares the window. An instruction in a kprobe slot is executed on its
 * own, and what depends on its address is simulated instead: slots may be
 * anywhere. On 32-bit everything is within reach of everything, and the
 * window is the vmalloc space.
 *
 * Text comes out of the cache of read-only executable memory where there is
 * one, which has to be in the window then, and the window of modules is that of
 * all. The tail of the kernel's own text is within reach of all of it.
 *
 * Without the cache, module text becomes executable when the loader has written
 * and relocated it. Where it has no set_memory_x() to do so (XIP), it is
 * executable from the start. BPF images are made executable by the JIT. Slots
 * are written through an alias, by patch_text_nosync().
 *
 * The table is made at run time because PAGE_OFFSET, from which the vmalloc
 * space is derived, depends on the number of page-table levels of the machine.
 *
 * Return: the table, never %NULL.
 */
struct execmem_params * __init execmem_arch_params(void)
{
	execmem_params = (struct execmem_params){
		.ranges = {
			[EXECMEM_MODULE_TEXT] = {
				.start = MODULES_VADDR,
				.end = MODULES_END,
				.pgprot = IS_ENABLED(CONFIG_ARCH_HAS_STRICT_MODULE_RWX) ?
						PAGE_KERNEL : PAGE_KERNEL_EXEC,
				.alignment = 1,
			},
			[EXECMEM_MODULE_DATA] = {
				.start = MODULES_VADDR,
				.end = MODULES_END,
				.pgprot = PAGE_KERNEL,
				.alignment = 1,
			},
			[EXECMEM_KPROBES] = {
				.start = VMALLOC_START,
				.end = VMALLOC_END,
				.pgprot = PAGE_KERNEL_READ_EXEC,
				.alignment = 1,
			},
			[EXECMEM_BPF] = {
				.start = BPF_JIT_REGION_START,
				.end = BPF_JIT_REGION_END,
				.pgprot = PAGE_KERNEL,
				.alignment = PAGE_SIZE,
			},
		},
	};
	if (execmem_cache_enabled())
		execmem_add_cache(&execmem_params);

	return &execmem_params;
}
