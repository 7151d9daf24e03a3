// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where executable memory may be on RISC-V.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>

#include <asm/sections.h>

static struct execmem_params execmem_params __ro_after_init;

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
 * Module text becomes executable when the loader has written and relocated
 * it. Where it has no set_memory_x() to do so (XIP), it is executable from
 * the start. BPF images are made executable by the JIT. Slots are written
 * through an alias, by patch_text().
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

	return &execmem_params;
}
