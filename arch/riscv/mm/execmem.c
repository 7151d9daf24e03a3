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
 * All types that are only text share the blocks of the cache, so all have the
 * same range: the window of modules. Without the cache, BPF has only the last
 * 128 MiB of it.
 */
static void __init execmem_add_cache(struct execmem_params *params)
{
	params->ranges[EXECMEM_MODULE_TEXT].flags = EXECMEM_ROX_CACHE;
	params->ranges[EXECMEM_KPROBES] = (struct execmem_range){ };
	params->ranges[EXECMEM_BPF] = (struct execmem_range){ };

	/* The linker fills the tail with zeroes, which trap, up to the next section */
	params->tail_start = ALIGN((unsigned long)_etext, EXECMEM_ROX_ALIGN);
	params->tail_end = (unsigned long)__init_begin;
}

/**
 * execmem_arch_params - the ranges of RISC-V
 *
 * On 64-bit, auipc and jalr reach 2 GiB. Code that the kernel calls with them,
 * or that refers to kernel symbols in the same way, has to be within 2 GiB of
 * the kernel. So modules and BPF have a window below the kernel. BPF uses only
 * its last 128 MiB. Module text refers to module data in the same way, so the
 * data is in the window, too. Kprobe slots may be anywhere: instructions
 * that depend on their own address are simulated, and never executed in a slot.
 * On 32-bit everything is within reach of everything, and the window is the
 * vmalloc space.
 *
 * If there is the cache of read-only executable memory, all text comes from it.
 * The cache is in the window, so the window is then the range of all text. The
 * tail of the kernel's own text is within reach of the whole window.
 *
 * Without the cache, the loader makes module text executable when it has written
 * and relocated it. A kernel that has no set_memory_x() (XIP) allocates module
 * text executable. The JIT makes BPF images executable. Kprobe slots are written
 * through an alias, by patch_text_nosync().
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
