// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocator of executable memory.
 */

/**
 * DOC: overview
 *
 * Loadable modules, kprobes, ftrace and BPF all put code into memory that is
 * allocated while the kernel runs. Where that memory may be differs between
 * architectures and between those users: branches have a limited reach,
 * address windows are set aside, some memory is executable from the start and
 * some only once it has been filled.
 *
 * execmem_alloc() and execmem_free() serve all of them. What differs is data:
 * an architecture returns a table, &struct execmem_params, from
 * execmem_arch_params(). It has one &struct execmem_range for each
 * &enum execmem_type, and says in which addresses, with which protection and
 * with which alignment memory of that type is allocated. A range that is left
 * empty inherits the one of %EXECMEM_DEFAULT, module data with the protection
 * %PAGE_KERNEL and not from the cache.
 *
 * An architecture without a table gets memory anywhere in the vmalloc space,
 * writable and executable.
 *
 * The memory is vmalloc memory, unless its range says %EXECMEM_DIRECT_MAP.
 * vmalloc_to_page(), vmalloc_to_pfn(), find_vm_area(),
 * is_vmalloc_or_module_addr() and /proc/vmallocinfo work on it as on any other.
 * The areas carry %VM_FLUSH_RESET_PERMS, so that whatever set_memory_*() did to
 * their pages is undone before the pages are handed out again.
 *
 * Where a range says %EXECMEM_ROX_CACHE, it is a piece of a larger block that is
 * read-only and executable from the first moment, see mm/execmem_cache.c.
 *
 * For each live allocation there is a &struct execmem_area, in a tree that is
 * ordered by address. execmem_free() looks up there whether it may free, and
 * /sys/kernel/debug/execmem shows them. vmalloc() and vfree() may sleep anyway,
 * so a mutex protects the tree.
 */

#define pr_fmt(fmt) "execmem: " fmt

#include <linux/bug.h>
#include <linux/cache.h>
#include <linux/errno.h>
#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/kmemleak.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/set_memory.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#define CREATE_TRACE_POINTS
#include <trace/events/execmem.h>

#include "execmem_internal.h"

/* No user needs more. A record has its size in an unsigned int */
#define EXECMEM_MAX_SIZE	SZ_1G

const char * const execmem_type_names[EXECMEM_TYPE_MAX] = {
	[EXECMEM_MODULE_TEXT]	= "module-text",
	[EXECMEM_MODULE_DATA]	= "module-data",
	[EXECMEM_KPROBES]	= "kprobes",
	[EXECMEM_FTRACE]	= "ftrace",
	[EXECMEM_BPF]		= "bpf",
};

/*
 * Protects the records and the counters. Nothing is allocated, mapped or
 * unmapped under it.
 */
DEFINE_MUTEX(execmem_mutex);
struct execmem_areas execmem_areas;
struct execmem_stats execmem_stats[EXECMEM_TYPE_MAX + 1];

/* The table in use; NULL before execmem_init() and if the table was refused */
const struct execmem_params *execmem_params __ro_after_init;

/* Used if the architecture has no table */
static struct execmem_params execmem_default_params __ro_after_init;

/**
 * execmem_arch_params - the ranges of this architecture
 *
 * Called once, from execmem_init(). An architecture overrides it to return a
 * table that stays, and that execmem_init() fills in: the ranges left empty
 * are completed in place, so it is __ro_after_init rather than const.
 *
 * Return: the table, or %NULL for memory anywhere in the vmalloc space, which
 * is writable and executable.
 */
struct execmem_params * __weak execmem_arch_params(void)
{
	return NULL;
}

static bool execmem_range_is_empty(const struct execmem_range *range)
{
	return !range->start && !range->end &&
	       !range->fallback_start && !range->fallback_end &&
	       !pgprot_val(range->pgprot) && !range->alignment &&
	       !range->flags;
}

/* Whether there is a cache, and @range has the addresses of its blocks */
static bool execmem_range_has_cache(const struct execmem_range *range,
				    const struct execmem_range *def)
{
	return def->flags & EXECMEM_ROX_CACHE &&
	       range->start == def->start && range->end == def->end;
}

/* One clear sentence about what is wrong with a range, or NULL */
static const char *execmem_range_flaw(const struct execmem_range *range,
				      const struct execmem_range *def)
{
	unsigned long fallback_size = range->fallback_end - range->fallback_start;
	unsigned long size = range->end - range->start;
	unsigned int alignment = range->alignment;

	if (range->start >= range->end)
		return "end is not above start";
	if (!is_power_of_2(alignment))
		return "alignment is not a power of two";
	if (alignment > size)
		return "alignment is larger than the range";
	/* Nothing is mapped without an MMU: PAGE_KERNEL is 0 there */
	if (IS_ENABLED(CONFIG_MMU) && !pgprot_val(range->pgprot))
		return "no protection given";
	if (range->flags & EXECMEM_ROX_CACHE && !execmem_range_has_cache(range, def))
		return "the cache is not in this range";
	if (!range->fallback_start && !range->fallback_end)
		return NULL;
	if (range->fallback_start >= range->fallback_end)
		return "end of the fallback is not above its start";
	if (alignment > fallback_size)
		return "alignment is larger than the fallback";

	return NULL;
}

/**
 * execmem_params_complete - check a table and fill in what it leaves empty
 * @params: the table
 *
 * Logs one line for the first range that cannot work.
 *
 * Return: 0 on success, -EINVAL for a table that cannot work; it is then as
 * it was.
 */
int execmem_params_complete(struct execmem_params *params)
{
	const struct execmem_range *def = &params->ranges[EXECMEM_DEFAULT];
	int type;

	for (type = 0; type < EXECMEM_TYPE_MAX; type++) {
		const struct execmem_range *range = &params->ranges[type];
		const char *flaw;

		/* All ranges may be empty but the one that others inherit from */
		if (range != def && execmem_range_is_empty(range))
			continue;

		flaw = execmem_range_flaw(range, def);
		if (flaw) {
			pr_err("range for %s [%#lx, %#lx) refused: %s; no executable memory can be allocated\n",
			       execmem_type_names[type], range->start,
			       range->end, flaw);
			return -EINVAL;
		}
	}

	for (type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_range *range = &params->ranges[type];

		if (!execmem_range_is_empty(range))
			continue;

		*range = *def;
		if (type == EXECMEM_MODULE_DATA) {
			range->pgprot = PAGE_KERNEL;
			range->flags &= ~EXECMEM_ROX_CACHE;
		}
	}

	return 0;
}

/**
 * execmem_init - put the architecture's table into use
 *
 * Context: boot, single threaded, after vmalloc_init() and before the first
 * user of executable memory.
 */
void __init execmem_init(void)
{
	struct execmem_params *params = execmem_arch_params();

	if (!params) {
		params = &execmem_default_params;
		params->ranges[EXECMEM_DEFAULT] = (struct execmem_range){
			.start		= VMALLOC_START,
			.end		= VMALLOC_END,
			.pgprot		= PAGE_KERNEL_EXEC,
			.alignment	= 1,
		};
	}

	if (!execmem_params_complete(params) && !execmem_cache_init(params))
		execmem_params = params;
}

static void execmem_stats_add(struct execmem_stats *stats,
			      const struct execmem_area *area)
{
	stats->live++;
	stats->asked += area->asked;
	stats->used += area->used;
	stats->peak = max(stats->peak, stats->used);
}

static void execmem_stats_sub(struct execmem_stats *stats,
			      const struct execmem_area *area)
{
	stats->live--;
	stats->asked -= area->asked;
	stats->used -= area->used;
}

/* Do to fresh memory what the flags of its range ask for */
static int execmem_prepare(const struct execmem_range *range, void *ptr,
			   size_t size)
{
	int ret = 0;

	if (range->flags & EXECMEM_KASAN_SHADOW)
		ret = kasan_alloc_module_shadow(ptr, size, GFP_KERNEL);

	if (!ret && (range->flags & EXECMEM_SET_ROX)) {
		ret = set_memory_ro((unsigned long)ptr, PFN_UP(size));
		if (!ret)
			ret = set_memory_x((unsigned long)ptr, PFN_UP(size));
	}

	return ret;
}

static void *execmem_vmalloc(const struct execmem_range *range, size_t size,
			     const void *caller)
{
	unsigned long vm_flags = VM_FLUSH_RESET_PERMS;
	gfp_t gfp = GFP_KERNEL;
	void *ptr;

	if (range->flags & EXECMEM_DIRECT_MAP)
		return kmalloc(size, GFP_KERNEL);

	/* kmemleak must not look at memory that has no shadow yet */
	if (range->flags & EXECMEM_KASAN_SHADOW)
		vm_flags |= VM_DEFER_KMEMLEAK;

	/* If this fails, the fallback is tried: only its failure is reported */
	if (range->fallback_start)
		gfp |= __GFP_NOWARN;

	ptr = __vmalloc_node_range(size, range->alignment, range->start,
				   range->end, gfp, range->pgprot, vm_flags,
				   NUMA_NO_NODE, caller);
	if (!ptr && range->fallback_start)
		ptr = __vmalloc_node_range(size, range->alignment,
					   range->fallback_start,
					   range->fallback_end, GFP_KERNEL,
					   range->pgprot, vm_flags,
					   NUMA_NO_NODE, caller);

	if (ptr && execmem_prepare(range, ptr, size)) {
		vfree(ptr);
		return NULL;
	}

	/* Code is executed at its address without a KASAN tag */
	return kasan_reset_tag(ptr);
}

/* Allocate memory outside the cache, and say in @area where it is */
static struct execmem_area *execmem_take(const struct execmem_range *range,
					 struct execmem_area *area)
{
	void *ptr = execmem_vmalloc(range, area->asked, area->caller);

	if (!ptr)
		return NULL;

	area->addr = (unsigned long)ptr;
	area->used = PAGE_ALIGN(area->asked);
	area->flags = range->flags & EXECMEM_DIRECT_MAP ? EXECMEM_AREA_DIRECT_MAP : 0;

	return area;
}

/* Release the memory of an area that is no longer recorded */
static void execmem_release(struct execmem_area *area)
{
	if (area->flags & EXECMEM_AREA_PIECE) {
		execmem_block_free(area);
		return;
	}

	if (area->flags & EXECMEM_AREA_DIRECT_MAP)
		kfree((void *)area->addr);
	else
		vfree((void *)area->addr);
	kfree(area);
}

/**
 * execmem_range_alloc - allocate from one range
 * @range: a complete range
 * @type: the type that the memory is accounted to
 * @size: bytes wanted
 * @caller: the caller that statistics and /proc/vmallocinfo show
 *
 * Context: process context, may sleep.
 *
 * Return: the address of @size bytes, rounded up to full pages, or to
 * %EXECMEM_ROX_ALIGN where the range is served by the cache, and not
 * zeroed; %NULL if there is neither address space nor memory.
 */
void *execmem_range_alloc(const struct execmem_range *range,
			  enum execmem_type type, size_t size,
			  const void *caller)
{
	struct execmem_area *record, *area = NULL;
	void *ptr = NULL;

	if (!size)
		return NULL;

	record = kmalloc(sizeof(*record), GFP_KERNEL);
	/* kmemleak must not scan it: the address in it would hide a leaked allocation */
	kmemleak_ignore(record);

	if (record && size <= EXECMEM_MAX_SIZE) {
		record->type = type;
		record->asked = size;
		record->caller = caller;
		if (range->flags & EXECMEM_ROX_CACHE)
			area = execmem_cache_take(record);
		else
			area = execmem_take(range, record);
	}

	mutex_lock(&execmem_mutex);
	if (area) {
		ptr = (void *)area->addr;
		/* A piece of a block is always among the areas, be it free or not */
		if (!(area->flags & EXECMEM_AREA_PIECE))
			execmem_areas_add(&execmem_areas, area);
		execmem_stats_add(&execmem_stats[type], area);
		execmem_stats_add(&execmem_stats[EXECMEM_TYPE_MAX], area);
	} else {
		execmem_stats[type].failed++;
		execmem_stats[EXECMEM_TYPE_MAX].failed++;
	}
	mutex_unlock(&execmem_mutex);

	if (!area)
		kfree(record);
	trace_execmem_alloc(type, size, ptr, caller);

	return ptr;
}

/**
 * execmem_alloc - allocate executable memory
 * @type: what the memory is for
 * @size: bytes wanted
 *
 * The memory is in the range of @type and has its protection: it is for the
 * caller to make it writable, read-only or executable with set_memory_*() as
 * its use demands. It is not zeroed. If execmem_is_rox(@type), it is read-only
 * and executable, has trapping instructions in it, starts at a multiple of
 * %EXECMEM_ROX_ALIGN, and is written with execmem_update_copy() alone. Its
 * protection is not the caller's to change: others have text in the same page.
 *
 * Context: process context, may sleep.
 *
 * Return: the address of @size bytes, rounded up to full pages or, if
 * execmem_is_rox(@type), to a multiple of %EXECMEM_ROX_ALIGN; %NULL if @size is
 * 0, if there is no room in the range or no memory, or if the
 * architecture's table was refused at boot.
 */
void *execmem_alloc(enum execmem_type type, size_t size)
{
	if (WARN_ON_ONCE(type >= EXECMEM_TYPE_MAX))
		return NULL;

	if (!execmem_params)
		return NULL;

	return execmem_range_alloc(&execmem_params->ranges[type], type, size,
				   __builtin_return_address(0));
}

/**
 * execmem_free - free executable memory
 * @ptr: what execmem_alloc() returned; %NULL is ignored
 *
 * Warns about an address that is not allocated, and leaves everything as it
 * was: freeing what belongs to somebody else is worse than not freeing.
 *
 * Context: process context, may sleep. In an interrupt vfree() would store a
 * list node in the memory, which may be read-only by now: execmem_free() warns
 * there and does not free.
 */
void execmem_free(void *ptr)
{
	const void *caller = __builtin_return_address(0);
	struct execmem_area *area;

	if (!ptr)
		return;

	if (WARN(in_interrupt(), "execmem: %pS frees %p in interrupt context, not freed\n",
		 caller, ptr))
		return;

	mutex_lock(&execmem_mutex);
	area = execmem_areas_find(&execmem_areas, ptr);
	if (WARN(!area, "execmem: %pS frees %p, which is not allocated\n",
		 caller, ptr)) {
		mutex_unlock(&execmem_mutex);
		return;
	}

	trace_execmem_free(area->type, area->asked, ptr, caller);
	execmem_stats_sub(&execmem_stats[area->type], area);
	execmem_stats_sub(&execmem_stats[EXECMEM_TYPE_MAX], area);

	if (area->flags & EXECMEM_AREA_PIECE)
		area = execmem_cache_give(area);
	else
		execmem_areas_del(&execmem_areas, area);
	mutex_unlock(&execmem_mutex);

	if (area)
		execmem_release(area);
}
