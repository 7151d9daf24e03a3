// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cache of read-only executable memory.
 */

/**
 * DOC: cache
 *
 * Memory that is writable until code is in it, and read-only and executable
 * from then on, takes at least a page, a change of protections with a TLB
 * flush on all processors, and a TLB entry, for each program however small.
 *
 * Here it comes out of blocks. A block is a large page that is mapped read-only
 * and executable before anybody knows of it, and whose alias in the direct map
 * is read-only too: nobody can write to it through a lasting mapping. It is
 * full of trapping instructions. An allocation is a piece of a block, of 64
 * bytes or a multiple of that. Neither allocating nor freeing a piece changes a
 * page table. Code is copied into it through an alias that exists only for as
 * long as that takes, see execmem_update_copy(), and when the piece is freed,
 * trapping instructions overwrite it in the same way.
 *
 * The first block is what the kernel's own text leaves of its last large page.
 * It is mapped as it has to be, needs no TLB entry of its own, and stays.
 *
 * All types of memory share the blocks. Best fit, and coalescing with free
 * neighbours, keep large pieces whole, see mm/execmem_areas.c. A block that
 * nobody uses any more goes back to where it came from, but one of them stays,
 * until memory is short, so that loading and unloading one program again and
 * again does not allocate and free a block each time.
 *
 * If there is no large page to be had, a block consists of small ones, and if
 * there is not enough memory even for that, it is only as large as what is to
 * be allocated.
 */

#define pr_fmt(fmt) "execmem: " fmt

#include <linux/cacheflush.h>
#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/kmemleak.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/set_memory.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "execmem_internal.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "execmem."

static bool rox __ro_after_init = true;
module_param(rox, bool, 0444);
MODULE_PARM_DESC(rox, "Serve executable memory from a read-only executable cache (default: on)");

struct execmem_cache_stats execmem_cache_stats;

/* Where blocks are allocated */
static struct execmem_range execmem_cache_range __ro_after_init;
static unsigned long execmem_tail_start __ro_after_init;
static unsigned long execmem_tail_end __ro_after_init;
/* A page of trapping instructions, to fill a piece with */
static void *execmem_traps __ro_after_init;

/**
 * execmem_is_rox - whether memory is read-only and executable from the start
 * @type: what the memory is for
 *
 * The answer is the same for as long as the kernel runs.
 *
 * Return: true if what execmem_alloc() returns for @type can be executed as it
 * is, and is written with execmem_update_copy() only; false if it is for the
 * user of the memory to protect it.
 */
bool execmem_is_rox(enum execmem_type type)
{
	return execmem_params &&
	       execmem_params->ranges[type].flags & EXECMEM_ROX_CACHE;
}

/**
 * execmem_in_text_tail - whether an address is behind the kernel's text
 * @addr: any address
 *
 * The kernel image spans it, but what is there is not part of the image: code
 * in it belongs to a module, to a BPF program or to kprobes.
 *
 * Return: true if @addr is in the part of the text's last large page that the
 * cache gives away.
 */
bool execmem_in_text_tail(unsigned long addr)
{
	return addr >= execmem_tail_start && addr < execmem_tail_end;
}

/**
 * execmem_update_copy - write to read-only executable memory
 * @dst: in memory of which execmem_is_rox() is true
 * @src: what to write
 * @size: bytes to write, any number
 *
 * The memory is written through an alias that is gone on return. All
 * processors execute what is there now, once they execute it: their instruction
 * caches are synchronized, once for all that is written. This is not for code
 * that another processor may be executing, which can see any part of it.
 *
 * Context: any in which flush_icache_range() may be called.
 *
 * Return: 0; -EFAULT if @dst is not mapped, which is warned about.
 */
int execmem_update_copy(void *dst, const void *src, size_t size)
{
	int ret = execmem_arch_write(dst, src, size);

	if (WARN_ON_ONCE(ret))
		return ret;

	flush_icache_range((unsigned long)dst, (unsigned long)dst + size);

	return 0;
}

/*
 * Nobody executes what was freed: instruction caches can wait until there is
 * code in it again.
 */
static void execmem_fill(unsigned long addr, size_t size)
{
	while (size) {
		size_t len = min_t(size_t, size, PAGE_SIZE);

		WARN_ON_ONCE(execmem_arch_write((void *)addr, execmem_traps, len));
		addr += len;
		size -= len;
	}
}

static unsigned long execmem_nr_pages(const struct execmem_area *block)
{
	return block->used >> PAGE_SHIFT;
}

/* Undo what execmem_block_protect() did, halfway or in full */
static int execmem_block_unprotect(const struct execmem_area *block)
{
	return set_memory_nx(block->addr, execmem_nr_pages(block)) ?:
	       set_memory_rw(block->addr, execmem_nr_pages(block));
}

/* Never writable and executable at the same time, on no processor */
static int execmem_block_protect(const struct execmem_area *block)
{
	return set_memory_ro(block->addr, execmem_nr_pages(block)) ?:
	       set_memory_x(block->addr, execmem_nr_pages(block));
}

/*
 * Its pages have to be as they were when they go. If that is impossible, which
 * takes a page table that cannot be allocated, it is better to lose them.
 */
static void execmem_block_free(struct execmem_area *block)
{
	void *ptr = (void *)block->addr;

	if (execmem_block_unprotect(block)) {
		pr_warn("%u KiB at %p cannot be made writable and are lost\n",
			block->used >> 10, ptr);
	} else {
		/* Users set it. There is nothing left to reset */
		find_vm_area(ptr)->flags &= ~VM_FLUSH_RESET_PERMS;
		vfree(ptr);
	}
	kfree(block);
}

/* A free block of @size bytes, a multiple of PAGE_SIZE; NULL if there is none */
static struct execmem_area *execmem_block_alloc(size_t size, unsigned long vm_flags,
						gfp_t gfp)
{
	const struct execmem_range *range = &execmem_cache_range;
	/* A node is preferred, as vmalloc would spread a large page over all of them */
	int node = vm_flags & VM_ALLOW_HUGE_VMAP ? numa_mem_id() : NUMA_NO_NODE;
	struct execmem_area *block;
	void *ptr;

	block = kmalloc(sizeof(*block), GFP_KERNEL);
	if (!block)
		return NULL;
	kmemleak_ignore(block);

	/*
	 * A guard page would keep the next block 2 MiB away. What comes behind a
	 * block is not executable, or traps.
	 */
	ptr = __vmalloc_node_range(size, range->alignment, range->start, range->end,
				   GFP_KERNEL | gfp, PAGE_KERNEL,
				   VM_NO_GUARD | vm_flags, node,
				   __builtin_return_address(0));
	if (!ptr) {
		kfree(block);
		return NULL;
	}

	/* Its pieces are known to kmemleak, so it must not be */
	kmemleak_free(ptr);

	*block = (struct execmem_area){
		.addr	= (unsigned long)ptr,
		.used	= size,
		.flags	= EXECMEM_AREA_BLOCK | EXECMEM_AREA_FREE,
	};

	execmem_arch_fill(ptr, size);
	if (execmem_block_protect(block)) {
		execmem_block_free(block);
		return NULL;
	}

	return block;
}

static bool execmem_block_is_small(const struct execmem_area *block)
{
	return pmd_none(*pmd_off_k(block->addr)) || !pmd_leaf(*pmd_off_k(block->addr));
}

static void execmem_cache_add(struct execmem_area *block)
{
	execmem_areas_add(&execmem_areas, block);
	execmem_cache_stats.blocks++;
	execmem_cache_stats.small_blocks += execmem_block_is_small(block);
	execmem_cache_stats.bytes += block->used;
}

static void execmem_cache_del(struct execmem_area *block)
{
	execmem_areas_del(&execmem_areas, block);
	execmem_cache_stats.blocks--;
	execmem_cache_stats.small_blocks -= execmem_block_is_small(block);
	execmem_cache_stats.bytes -= block->used;
}

/**
 * execmem_cache_take - take a piece of a block
 * @range: where it has to be; the blocks are in all of the ranges they serve
 * @size: bytes wanted, not more than %EXECMEM_MAX_SIZE
 * @spare: a record, which may become that of the piece
 *
 * Context: may sleep. Takes execmem_mutex and keeps it.
 *
 * Return: the piece, which may be @spare or not; %NULL if there is no room.
 */
struct execmem_area *execmem_cache_take(const struct execmem_range *range,
					size_t size,
					struct execmem_area *spare)
{
	struct execmem_area *area, *block;

	size = round_up(size, EXECMEM_PIECE_SIZE);

	mutex_lock(&execmem_mutex);
	area = execmem_areas_take(&execmem_areas, size, spare);
	if (!area) {
		mutex_unlock(&execmem_mutex);
		block = execmem_block_alloc(round_up(size, PMD_SIZE),
					    VM_ALLOW_HUGE_VMAP, __GFP_NOWARN);
		if (!block)
			block = execmem_block_alloc(PAGE_ALIGN(size), 0, 0);
		mutex_lock(&execmem_mutex);

		if (block) {
			execmem_cache_add(block);
			area = execmem_areas_take(&execmem_areas, size, spare);
		}
	}

	return area;
}

/* The largest free piece, if it is a block that nobody uses; or NULL */
static struct execmem_area *execmem_cache_unused(void)
{
	struct rb_node *last = rb_last(&execmem_areas.by_size);
	struct execmem_area *area;

	area = rb_entry_safe(last, struct execmem_area, by_size);
	if (!area || (area->flags & EXECMEM_AREA_BLOCK) != EXECMEM_AREA_BLOCK)
		return NULL;

	return area;
}

/* One of the usual size stays: whether it would be the only one */
static bool execmem_cache_keeps(struct execmem_area *block)
{
	struct execmem_area *other;
	struct rb_node *prev;

	if (block->used != PMD_SIZE || execmem_block_is_small(block))
		return false;

	prev = rb_prev(&block->by_size);
	other = rb_entry_safe(prev, struct execmem_area, by_size);

	return execmem_cache_unused() == block && (!other || other->used != block->used);
}

/**
 * execmem_cache_give - give a piece of a block back
 * @area: the piece
 *
 * Context: execmem_mutex is held.
 *
 * Return: a block to give to execmem_cache_release() after the mutex is
 * released; %NULL if there is none.
 */
struct execmem_area *execmem_cache_give(struct execmem_area *area)
{
	kmemleak_free((void *)area->addr);
	execmem_fill(area->addr, area->used);

	area = execmem_areas_give(&execmem_areas, area);
	if ((area->flags & EXECMEM_AREA_BLOCK) != EXECMEM_AREA_BLOCK ||
	    execmem_cache_keeps(area))
		return NULL;

	execmem_cache_del(area);

	return area;
}

/**
 * execmem_cache_release - free a block
 * @block: what execmem_cache_give() returned; %NULL is ignored
 *
 * Context: process context, may sleep.
 */
void execmem_cache_release(struct execmem_area *block)
{
	if (block)
		execmem_block_free(block);
}

/*
 * Reclaim may be called by who has the lock that set_memory_*() takes, so it
 * does not free the block itself.
 */
static void execmem_reclaim(struct work_struct *work)
{
	struct execmem_area *block;

	mutex_lock(&execmem_mutex);
	block = execmem_cache_unused();
	if (block)
		execmem_cache_del(block);
	mutex_unlock(&execmem_mutex);

	execmem_cache_release(block);
}

static DECLARE_WORK(execmem_reclaim_work, execmem_reclaim);

static unsigned long execmem_shrink_count(struct shrinker *shrinker,
					  struct shrink_control *sc)
{
	struct execmem_area *block;
	unsigned long nr = 0;

	if (!mutex_trylock(&execmem_mutex))
		return 0;
	block = execmem_cache_unused();
	if (block)
		nr = execmem_nr_pages(block);
	mutex_unlock(&execmem_mutex);

	return nr ?: SHRINK_EMPTY;
}

static unsigned long execmem_shrink_scan(struct shrinker *shrinker,
					 struct shrink_control *sc)
{
	schedule_work(&execmem_reclaim_work);

	return SHRINK_STOP;
}

static struct shrinker execmem_shrinker = {
	.count_objects	= execmem_shrink_count,
	.scan_objects	= execmem_shrink_scan,
	.seeks		= DEFAULT_SEEKS,
};

static int __init execmem_shrinker_init(void)
{
	if (!execmem_traps)
		return 0;

	return register_shrinker(&execmem_shrinker, "execmem");
}
core_initcall(execmem_shrinker_init);

/* Where all ranges that the cache serves overlap; false if nobody wants it */
static bool __init execmem_cache_find_range(const struct execmem_params *params)
{
	struct execmem_range *all = &execmem_cache_range;
	bool found = false;
	int type;

	*all = (struct execmem_range){ .end = ULONG_MAX, .alignment = PAGE_SIZE };
	for (type = 0; type < EXECMEM_TYPE_MAX; type++) {
		const struct execmem_range *range = &params->ranges[type];

		if (!(range->flags & EXECMEM_ROX_CACHE))
			continue;
		all->start = max(all->start, range->start);
		all->end = min(all->end, range->end);
		all->alignment = max(all->alignment, range->alignment);
		found = true;
	}

	return found;
}

static void __init execmem_cache_add_tail(const struct execmem_params *params)
{
	unsigned long start = ALIGN(params->tail_start, EXECMEM_PIECE_SIZE);
	unsigned long end = ALIGN_DOWN(params->tail_end, EXECMEM_PIECE_SIZE);
	struct execmem_area *tail;

	if (start >= end)
		return;

	tail = kmalloc(sizeof(*tail), GFP_KERNEL);
	if (!tail)
		return;
	kmemleak_ignore(tail);

	/* As its last piece is never free, it is never taken for a block to free */
	*tail = (struct execmem_area){
		.addr	= start,
		.used	= end - start,
		.flags	= EXECMEM_AREA_PIECE | EXECMEM_AREA_FIRST | EXECMEM_AREA_FREE,
	};
	execmem_areas_add(&execmem_areas, tail);
	execmem_cache_stats.bytes += tail->used;
	execmem_tail_start = start;
	execmem_tail_end = end;
}

/**
 * execmem_cache_enabled - whether ranges may be served from the cache
 *
 * Return: true, unless execmem.rox=0 or rodata=off is on the command line.
 */
bool __init execmem_cache_enabled(void)
{
	return rox && rodata_enabled;
}

/**
 * execmem_cache_init - set up the cache, if a range of the table asks for it
 * @params: the complete table
 *
 * Context: execmem_init().
 *
 * Return: 0; -EINVAL if the ranges do not overlap, -ENOMEM if there is no
 * memory. That is logged.
 */
int __init execmem_cache_init(const struct execmem_params *params)
{
	const struct execmem_range *range = &execmem_cache_range;

	if (!execmem_cache_find_range(params))
		return 0;

	if (!execmem_cache_enabled() || range->start >= range->end) {
		pr_err("ranges for the cache refused: %s; no executable memory can be allocated\n",
		       range->start >= range->end ? "they do not overlap" :
						    "it is not enabled");
		return -EINVAL;
	}

	execmem_traps = (void *)__get_free_page(GFP_KERNEL);
	if (!execmem_traps) {
		pr_err("no memory for the cache; no executable memory can be allocated\n");
		return -ENOMEM;
	}
	execmem_arch_fill(execmem_traps, PAGE_SIZE);
	execmem_cache_add_tail(params);

	return 0;
}
