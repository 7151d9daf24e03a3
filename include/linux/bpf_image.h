/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_BPF_IMAGE_H
#define _LINUX_BPF_IMAGE_H

#include <linux/execmem.h>
#include <linux/pfn.h>
#include <linux/set_memory.h>
#include <linux/vmalloc.h>

/*
 * Memory of BPF trampolines. arch_prepare_bpf_trampoline() writes to it between
 * bpf_image_alloc() and bpf_image_protect(). A piece of the cache of read-only
 * memory shares its page with other code: the architecture writes to it through
 * an alias, and its protection never changes. execmem_free() frees an image in
 * either state.
 */

/**
 * bpf_image_alloc - allocate the memory of a trampoline
 * @size: bytes
 *
 * Return: the memory, or %NULL.
 */
static inline void *bpf_image_alloc(unsigned int size)
{
	void *image = execmem_alloc(EXECMEM_BPF, size);

	if (image && !execmem_is_rox(EXECMEM_BPF))
		set_vm_flush_reset_perms(image);

	return image;
}

/**
 * bpf_image_protect - make a trampoline read-only and executable
 * @image: from bpf_image_alloc()
 * @size: as it was given to bpf_image_alloc()
 */
static inline void bpf_image_protect(void *image, unsigned int size)
{
	if (execmem_is_rox(EXECMEM_BPF))
		return;

	set_memory_ro((unsigned long)image, PFN_UP(size));
	set_memory_x((unsigned long)image, PFN_UP(size));
}

/**
 * bpf_image_unprotect - let a trampoline be written again that nobody executes
 * @image: from bpf_image_alloc()
 * @size: as it was given to bpf_image_alloc()
 */
static inline void bpf_image_unprotect(void *image, unsigned int size)
{
	if (execmem_is_rox(EXECMEM_BPF))
		return;

	set_memory_nx((unsigned long)image, PFN_UP(size));
	set_memory_rw((unsigned long)image, PFN_UP(size));
}

#endif /* _LINUX_BPF_IMAGE_H */
