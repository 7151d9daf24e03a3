// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where executable memory may be on x86, user mode Linux included.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/moduleloader.h>
#include <linux/random.h>

#include <asm/setup.h>

static struct execmem_params execmem_params __ro_after_init;

/* With KASLR, the window begins up to 1024 pages behind MODULES_VADDR */
static unsigned long __init execmem_random_offset(void)
{
#ifdef CONFIG_RANDOMIZE_BASE
	if (kaslr_enabled())
		return (prandom_u32_max(1024) + 1) * PAGE_SIZE;
#endif
	return 0;
}

/**
 * execmem_arch_params - the ranges of x86
 *
 * On 64-bit, code that is compiled for the upper 2 GiB has to be there, and the
 * %rip-relative operand of an instruction that was copied to a kprobe slot has
 * to reach what it did. There is a window behind the kernel for all of it. On
 * 32-bit the window is the vmalloc space.
 *
 * Kprobe slots are read-only and executable from the start: they are written
 * with text_poke(). Whatever else is allocated becomes so when it has been
 * written.
 *
 * The table is made at run time because of the random offset, and because the
 * vmalloc space of 32-bit depends on the size of the memory.
 *
 * Return: the table, never %NULL.
 */
struct execmem_params * __init execmem_arch_params(void)
{
	const struct execmem_range range = {
		.start = MODULES_VADDR + execmem_random_offset(),
		.end = MODULES_END,
		.pgprot = PAGE_KERNEL,
		.alignment = MODULE_ALIGN,
		.flags = EXECMEM_KASAN_SHADOW,
	};

	execmem_params.ranges[EXECMEM_DEFAULT] = range;
	execmem_params.ranges[EXECMEM_KPROBES] = range;
	execmem_params.ranges[EXECMEM_KPROBES].flags |= EXECMEM_SET_ROX;

	return &execmem_params;
}
