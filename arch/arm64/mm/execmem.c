// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where executable memory may be on arm64.
 */

#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/moduleloader.h>
#include <linux/sizes.h>

#include <asm/sections.h>

static struct execmem_params execmem_params __ro_after_init;

/*
 * A relative branch reaches 128 MiB. The window of that size which begins at
 * @base is chosen so that it reaches the kernel. With veneers, which have a
 * reach of 4 GiB, modules may spill over into 2 GiB.
 */
static void __init execmem_set_module_window(u64 base)
{
	struct execmem_range *range = &execmem_params.ranges[EXECMEM_MODULE_TEXT];
	const bool kasan = IS_ENABLED(CONFIG_KASAN_GENERIC) ||
			   IS_ENABLED(CONFIG_KASAN_SW_TAGS);

	range->start = base;
	range->end = base + MODULES_VSIZE;

	/* Don't exceed the static module region, see below */
	if (kasan)
		range->end = MODULES_END;

	/*
	 * KASAN without KASAN_VMALLOC can only deal with module allocations
	 * being served from the reserved module region, since the remainder of
	 * the vmalloc region is already backed by zero shadow pages, and
	 * punching holes into it is non-trivial. Since the module region is not
	 * randomized when KASAN is enabled without KASAN_VMALLOC, it is even
	 * less likely that the module region gets exhausted, so we can simply
	 * omit this fallback in that case.
	 */
	if (IS_ENABLED(CONFIG_ARM64_MODULE_PLTS) &&
	    (IS_ENABLED(CONFIG_KASAN_VMALLOC) || !kasan)) {
		range->fallback_start = base;
		range->fallback_end = base + SZ_2G;
	}

	/*
	 * A kernel that was moved away from the static module region leaves
	 * nothing of it in the window: what remains are the 2 GiB.
	 */
	if (range->start >= range->end) {
		range->end = base + SZ_2G;
		range->fallback_start = 0;
		range->fallback_end = 0;
	}
}

/**
 * execmem_arch_params - the ranges of arm64
 *
 * Only modules are subject to the reach of a branch. An instruction in a kprobe
 * slot is executed on its own, and what depends on its address is simulated
 * instead; BPF programs call the kernel through registers. So both may be
 * anywhere in the vmalloc space.
 *
 * Module text and BPF images become executable when they have been written.
 * Slots are read-only and executable from the start; they are written through
 * an alias, by aarch64_insn_patch_text_nosync().
 *
 * Return: the table, never %NULL.
 */
struct execmem_params * __init execmem_arch_params(void)
{
	execmem_params = (struct execmem_params){
		.ranges = {
			[EXECMEM_MODULE_TEXT] = {
				.pgprot = PAGE_KERNEL,
				.alignment = MODULE_ALIGN,
				.flags = EXECMEM_KASAN_SHADOW,
			},
			[EXECMEM_KPROBES] = {
				.start = VMALLOC_START,
				.end = VMALLOC_END,
				.pgprot = PAGE_KERNEL_ROX,
				.alignment = 1,
			},
			[EXECMEM_BPF] = {
				.start = VMALLOC_START,
				.end = VMALLOC_END,
				.pgprot = PAGE_KERNEL,
				.alignment = 1,
			},
		},
	};

	execmem_set_module_window((u64)_etext - MODULES_VSIZE);

	return &execmem_params;
}

#ifdef CONFIG_RANDOMIZE_BASE
/*
 * kaslr_init() chooses where the window begins, in a subsys_initcall(), when
 * there is more entropy than there was for execmem_arch_params(). No module can
 * be loaded before the initramfs is unpacked, in a rootfs_initcall(), and no
 * other type that uses the window exists on arm64.
 */
static int __init execmem_randomize_modules(void)
{
	execmem_set_module_window(module_alloc_base);

	return 0;
}
subsys_initcall_sync(execmem_randomize_modules);
#endif
