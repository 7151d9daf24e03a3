/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_EXECMEM_H
#define _LINUX_EXECMEM_H

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/mm_types.h>
#include <linux/types.h>

/**
 * enum execmem_type - who is going to use the memory
 * @EXECMEM_MODULE_TEXT: text of loadable modules
 * @EXECMEM_MODULE_DATA: data of loadable modules, where an architecture keeps
 *	it apart from the text (%CONFIG_ARCH_WANTS_MODULES_DATA_IN_VMALLOC)
 * @EXECMEM_KPROBES: pages of kprobe instruction slots
 * @EXECMEM_FTRACE: ftrace trampolines
 * @EXECMEM_BPF: BPF programs, trampolines and dispatchers
 * @EXECMEM_TYPE_MAX: number of types
 * @EXECMEM_DEFAULT: the type whose range a type inherits if an architecture
 *	says nothing about it
 */
enum execmem_type {
	EXECMEM_MODULE_TEXT,
	EXECMEM_MODULE_DATA,
	EXECMEM_KPROBES,
	EXECMEM_FTRACE,
	EXECMEM_BPF,
	EXECMEM_TYPE_MAX,
	EXECMEM_DEFAULT = EXECMEM_MODULE_TEXT,
};

/**
 * enum execmem_range_flags - how else memory of a range is allocated
 * @EXECMEM_KASAN_SHADOW: allocate its KASAN shadow with
 *	kasan_alloc_module_shadow(). For an architecture that has no other
 *	shadow for the range, as without %CONFIG_KASAN_VMALLOC
 * @EXECMEM_SET_ROX: make it read-only and executable with set_memory_ro() and
 *	set_memory_x(), which also protect its alias in the direct map. The
 *	protection of the range does not. For an architecture that writes to
 *	such memory through another alias
 * @EXECMEM_ROX_CACHE: take it from the cache of read-only and executable
 *	blocks. Only if execmem_cache_enabled(). The blocks are in the range of
 *	%EXECMEM_DEFAULT: that range has the flag if any has it, and each range
 *	with the flag has the same addresses
 * @EXECMEM_DIRECT_MAP: take it from the direct map, with kmalloc(), because
 *	no page table can map the addresses that the kernel reaches. Addresses,
 *	protection and alignment of the range are not used
 */
enum execmem_range_flags {
	EXECMEM_KASAN_SHADOW	= BIT(0),
	EXECMEM_SET_ROX		= BIT(1),
	EXECMEM_DIRECT_MAP	= BIT(2),
	EXECMEM_ROX_CACHE	= BIT(3),
};

/* Each piece of the cache starts and ends at a multiple of this many bytes */
#define EXECMEM_ROX_ALIGN	64

/**
 * struct execmem_range - where and how one type of memory is allocated
 * @start: first address of the range
 * @end: first address behind the range
 * @fallback_start: first address of the range to try once @start..@end is
 *	exhausted; 0 together with @fallback_end if there is none
 * @fallback_end: first address behind the fallback range
 * @pgprot: protection of fresh memory
 * @alignment: alignment in bytes, a power of two. It is PAGE_SIZE at least,
 *	whatever the range says
 * @flags: of &enum execmem_range_flags
 *
 * A range that is all zeroes is empty and inherits from %EXECMEM_DEFAULT.
 */
struct execmem_range {
	unsigned long	start;
	unsigned long	end;
	unsigned long	fallback_start;
	unsigned long	fallback_end;
	pgprot_t	pgprot;
	unsigned int	alignment;
	unsigned int	flags;
};

/**
 * struct execmem_params - an architecture's table of ranges
 * @ranges: one range per type
 * @tail_start: first address of unused memory behind the kernel's text, for
 *	%EXECMEM_ROX_CACHE. It is mapped read-only and executable, has no
 *	writable alias, and is full of trapping instructions
 * @tail_end: first address behind it; 0 if there is none
 */
struct execmem_params {
	struct execmem_range	ranges[EXECMEM_TYPE_MAX];
	unsigned long		tail_start;
	unsigned long		tail_end;
};

struct execmem_params *execmem_arch_params(void);

#ifdef CONFIG_EXECMEM
void __init execmem_init(void);
#else
static inline void execmem_init(void) {}
#endif

void *execmem_alloc(enum execmem_type type, size_t size);
void execmem_free(void *ptr);

#ifdef CONFIG_EXECMEM_ROX
bool __init execmem_cache_enabled(void);
bool execmem_is_rox(enum execmem_type type);
bool execmem_in_text_tail(unsigned long addr);
int execmem_update_copy(void *dst, const void *src, size_t size);

void execmem_arch_fill(void *ptr, size_t size);
int execmem_arch_write(void *dst, const void *src, size_t size);
#else
static inline bool execmem_cache_enabled(void)
{
	return false;
}

static inline bool execmem_is_rox(enum execmem_type type)
{
	return false;
}

static inline bool execmem_in_text_tail(unsigned long addr)
{
	return false;
}

static inline int execmem_update_copy(void *dst, const void *src, size_t size)
{
	return -EOPNOTSUPP;
}
#endif

#endif /* _LINUX_EXECMEM_H */
