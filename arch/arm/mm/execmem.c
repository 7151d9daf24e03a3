// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where executable memory may be on 32-bit ARM.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>

#include <asm/sections.h>

#ifdef CONFIG_XIP_KERNEL
/*
 * The XIP kernel text is mapped in the module area for modules and
 * some other stuff to work without any indirect relocations.
 * MODULES_VADDR is redefined here and not in asm/memory.h to avoid
 * recompiling the whole kernel when CONFIG_XIP_KERNEL is turned on/off.
 */
#undef MODULES_VADDR
#define MODULES_VADDR	(((unsigned long)_exiprom + ~PMD_MASK) & PMD_MASK)
#endif

static struct execmem_params execmem_params __ro_after_init;

/**
 * execmem_arch_params - the ranges of 32-bit ARM
 *
 * A branch reaches 32 MiB (Thumb-2: 16 MiB), so modules have a window of 16 MiB
 * (8 MiB) right below the kernel. With %CONFIG_ARM_MODULE_PLTS, branches out of
 * a module may be made through veneers, and when the window is exhausted the
 * vmalloc space does. Everything else shares these addresses with the modules.
 *
 * The memory is writable and executable from the start: kprobes and its
 * optimized probes write their instructions straight into it.
 *
 * The table is made at run time because the protection depends on the CPU and
 * VMALLOC_START on the size of the memory.
 *
 * Return: the table, never %NULL.
 */
struct execmem_params * __init execmem_arch_params(void)
{
	struct execmem_range *range = &execmem_params.ranges[EXECMEM_DEFAULT];

	*range = (struct execmem_range){
		.start = MODULES_VADDR,
		.end = MODULES_END,
		.pgprot = PAGE_KERNEL_EXEC,
		.alignment = 1,
	};

	if (IS_ENABLED(CONFIG_ARM_MODULE_PLTS)) {
		range->fallback_start = VMALLOC_START;
		range->fallback_end = VMALLOC_END;
	}

	return &execmem_params;
}
