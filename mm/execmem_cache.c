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
 * neighbours, keep large pieces whole, see mm/execmem_areas.c. Blocks are added
 * one at a time: however many allocations find no room at once, there are no
 * more blocks than if they had come one after the other. A block that nobody
 * uses any more is freed, but one of them stays until memory is short, so that
 * loading and unloading one program again and again does not allocate and free
 * a block each time.
 *
 * If the page allocator has no large page, a block consists of small ones. A
 * block is more than one allocation needs, so no process is killed for either.
 * If there is not enough memory, the block is only as large as the allocation,
 * and the page allocator tries as hard as for any other.
 *
 * An instruction cache may not see stores: a processor can go on executing what
 * was at an address before, until flush_icache_range(), which reaches all
 * processors. It is called three times:
 *
 * - When code was copied into a piece, once for all of the copy.
 * - When a piece is freed, before execmem_free() returns. A stale pointer into
 *   the piece has to lead to a trap, not to the code that was there, and the
 *   piece stays mapped and executable. (Memory outside the cache is unmapped
 *   when it is freed, with a TLB flush on all processors, which costs more.)
 *   Several frees could share a later flush. Until then the freed code could
 *   still be executed, so this is not done.
 * - When a block is new, before it becomes executable. Its pages may have had
 *   code of a process in them, which a physically tagged cache still holds.
 */

#define pr_fmt(fmt) "execmem: " fmt

#include <linux/cacheflush.h>
#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/kmemleak.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
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

/* Where blocks are allocated: the range of EXECMEM_DEFAULT */
static const struct execmem_range *execmem_cache_range __ro_after_init;
static unsigned long execmem_tail_start __ro_after_init;
static unsigned long execmem_tail_end __ro_after_init;
/* One page of trapping instructions, the source for filling freed pieces */
static void *execmem_traps __ro_after_init;

/* Held while a block is allocated and added. Taken before execmem_mutex */
static DEFINE_MUTEX(execmem_grow_mutex);

/*
 * The block that nobody uses and that stays nevertheless; NULL if there is none.
 * There is never a second one: when a block becomes unused, or has been added and
 * nobody takes a piece of it, one of the two is freed.
 */
static struct execmem_area *execmem_unused;

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

/* Overwrite a piece with traps. The caller flushes the instruction caches */
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

/* In this order, no processor can ever write to it and execute it */
static int execmem_block_protect(const struct execmem_area *block)
{
	return set_memory_ro(block->addr, execmem_nr_pages(block)) ?:
	       set_memory_x(block->addr, execmem_nr_pages(block));
}

/**
 * execmem_block_free - free a block
 * @block: a block that is no longer recorded
 *
 * The page allocator gets its pages back writable and not executable. If they
 * cannot be made so, as no page table can be allocated, they are lost.
 *
 * Context: process context, may sleep. No lock is held but execmem_grow_mutex.
 */
void execmem_block_free(struct execmem_area *block)
{
	void *ptr = (void *)block->addr;

	if (execmem_block_unprotect(block)) {
		pr_warn("%u KiB at %p cannot be made writable and are lost\n",
			block->used >> 10, ptr);
	} else {
		/* A user of a piece may have set it. All protections are reset already */
		find_vm_area(ptr)->flags &= ~VM_FLUSH_RESET_PERMS;
		vfree(ptr);
	}
	kfree(block);
}

/*
 * Allocate a block of @size bytes, a multiple of PAGE_SIZE. If @large, it is of
 * large pages if possible, and no process is killed for its memory.
 */
static struct execmem_area *execmem_block_alloc(size_t size, bool large)
{
	const struct execmem_range *range = execmem_cache_range;
	/*
	 * A guard page would keep the next block 2 MiB away. The memory behind a
	 * block is either not executable or filled with traps.
	 */
	unsigned long vm_flags = VM_NO_GUARD;
	int node = NUMA_NO_NODE;
	gfp_t gfp = GFP_KERNEL;
	struct execmem_area *block;
	void *ptr;

	if (large) {
		/*
		 * Without the OOM killer, also when vmalloc finds no large page
		 * and tries small ones.
		 */
		gfp |= __GFP_NORETRY | __GFP_NOWARN;
		vm_flags |= VM_ALLOW_HUGE_VMAP;
		/* vmalloc spreads over all nodes, which a large page cannot be */
		node = numa_mem_id();
	}

	block = kmalloc(sizeof(*block), GFP_KERNEL);
	if (!block)
		return NULL;
	kmemleak_ignore(block);

	ptr = __vmalloc_node_range(size, range->alignment, range->start, range->end,
				   gfp, PAGE_KERNEL, vm_flags, node, execmem_cache_take);
	if (!ptr) {
		kfree(block);
		return NULL;
	}

	/* kmemleak knows its pieces, and must not know the block itself */
	kmemleak_free(ptr);

	*block = (struct execmem_area){
		.addr	= (unsigned long)ptr,
		.used	= size,
		.flags	= EXECMEM_AREA_BLOCK | EXECMEM_AREA_FREE,
	};
	if (!find_vm_area(ptr)->page_order)
		block->flags |= EXECMEM_AREA_SMALL_PAGES;

	execmem_arch_fill(ptr, size);
	flush_icache_range((unsigned long)ptr, (unsigned long)ptr + size);
	if (execmem_block_protect(block)) {
		execmem_block_free(block);
		return NULL;
	}

	return block;
}

static void execmem_cache_add(struct execmem_area *block)
{
	execmem_areas_add(&execmem_areas, block);
	execmem_cache_stats.blocks++;
	execmem_cache_stats.small_blocks += !!(block->flags & EXECMEM_AREA_SMALL_PAGES);
	execmem_cache_stats.bytes += block->used;
}

static void execmem_cache_del(struct execmem_area *block)
{
	execmem_areas_del(&execmem_areas, block);
	execmem_cache_stats.blocks--;
	execmem_cache_stats.small_blocks -= !!(block->flags & EXECMEM_AREA_SMALL_PAGES);
	execmem_cache_stats.bytes -= block->used;
}

/* Whether an area is a block that nobody uses */
static bool execmem_is_unused(const struct execmem_area *area)
{
	const unsigned int flags = EXECMEM_AREA_BLOCK | EXECMEM_AREA_FREE;

	return (area->flags & flags) == flags;
}

/*
 * If @block has become unused, one unused block may be too many. Return that
 * one, no longer recorded, for the caller to free without execmem_mutex; NULL if
 * there is nothing to free.
 */
static struct execmem_area *execmem_keep_one(struct execmem_area *block)
{
	lockdep_assert_held(&execmem_mutex);

	if (!execmem_is_unused(block))
		return NULL;

	if (block->used == PMD_SIZE &&
	    (!execmem_unused || execmem_unused->flags & EXECMEM_AREA_SMALL_PAGES))
		swap(block, execmem_unused);
	if (block)
		execmem_cache_del(block);

	return block;
}

/* Take a piece of the blocks that there are and, if there is one, of @block */
static struct execmem_area *execmem_take_piece(size_t size, struct execmem_area *record,
					       struct execmem_area *block)
{
	struct execmem_area *area;

	mutex_lock(&execmem_mutex);
	if (block)
		execmem_cache_add(block);
	area = execmem_areas_take(&execmem_areas, size, record);
	if (execmem_unused && !execmem_is_unused(execmem_unused))
		execmem_unused = NULL;
	/* A piece that was freed meanwhile may fit better than the new block */
	if (block)
		block = execmem_keep_one(block);
	mutex_unlock(&execmem_mutex);

	if (block)
		execmem_block_free(block);

	return area;
}

/* Take a piece, of a new block if need be */
static struct execmem_area *execmem_grow(size_t size, struct execmem_area *record)
{
	struct execmem_area *area, *block;

	mutex_lock(&execmem_grow_mutex);
	/* Another allocation may have added a block meanwhile: look again */
	area = execmem_take_piece(size, record, NULL);
	if (!area) {
		block = execmem_block_alloc(round_up(size, PMD_SIZE), true) ?:
			execmem_block_alloc(PAGE_ALIGN(size), false);
		/* Without a new block, a piece that was freed meanwhile may do */
		area = execmem_take_piece(size, record, block);
	}
	mutex_unlock(&execmem_grow_mutex);

	return area;
}

/**
 * execmem_cache_take - take a piece of a block
 * @record: what the piece is for, and how many bytes were asked for, not more than
 *	%EXECMEM_MAX_SIZE
 *
 * Context: process context, may sleep. Takes execmem_mutex, and execmem_grow_mutex
 * around it and around the allocation of a block.
 *
 * Return: the piece, which is recorded as an allocation, and has what @record
 * says: @record was used or freed. %NULL if there is no room: @record is still
 * the caller's.
 */
struct execmem_area *execmem_cache_take(struct execmem_area *record)
{
	size_t size = round_up(record->asked, EXECMEM_ROX_ALIGN);
	struct execmem_area *area;

	area = execmem_take_piece(size, record, NULL) ?: execmem_grow(size, record);
	/* kmemleak does not know the block: it can track each piece */
	if (area)
		kmemleak_alloc((void *)area->addr, area->asked, 1, GFP_KERNEL);

	return area;
}

/**
 * execmem_cache_give - give a piece of a block back
 * @area: the piece
 *
 * On return there are traps in it, for all processors.
 *
 * Context: process context, may sleep. The caller holds execmem_mutex, and drops
 * it before it calls execmem_block_free().
 *
 * Return: a block that is not needed any more and no longer recorded, for
 * execmem_block_free(); %NULL if there is none.
 */
struct execmem_area *execmem_cache_give(struct execmem_area *area)
{
	const unsigned long start = area->addr, end = start + area->used;

	lockdep_assert_held(&execmem_mutex);

	kmemleak_free((void *)start);
	execmem_fill(start, end - start);
	/* While the block is sure to be mapped: it may be freed as soon as it is unused */
	flush_icache_range(start, end);

	return execmem_keep_one(execmem_areas_give(&execmem_areas, area));
}

/*
 * The task that reclaims memory may hold the lock that set_memory_*() takes. So a
 * worker frees the block.
 */
static void execmem_reclaim(struct work_struct *work)
{
	struct execmem_area *block;

	mutex_lock(&execmem_mutex);
	block = execmem_unused;
	execmem_unused = NULL;
	if (block)
		execmem_cache_del(block);
	mutex_unlock(&execmem_mutex);

	if (block)
		execmem_block_free(block);
}

static DECLARE_WORK(execmem_reclaim_work, execmem_reclaim);

static unsigned long execmem_shrink_count(struct shrinker *shrinker,
					  struct shrink_control *sc)
{
	unsigned long nr = 0;

	if (!mutex_trylock(&execmem_mutex))
		return 0;
	if (execmem_unused)
		nr = execmem_nr_pages(execmem_unused);
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

static void __init execmem_cache_add_tail(const struct execmem_params *params)
{
	unsigned long start = ALIGN(params->tail_start, EXECMEM_ROX_ALIGN);
	unsigned long end = ALIGN_DOWN(params->tail_end, EXECMEM_ROX_ALIGN);
	struct execmem_area *tail;

	if (start >= end)
		return;

	tail = kmalloc(sizeof(*tail), GFP_KERNEL);
	if (!tail)
		return;
	kmemleak_ignore(tail);

	/* Without EXECMEM_AREA_LAST it never looks like an unused block */
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
 * execmem_cache_enabled - whether ranges may have %EXECMEM_ROX_CACHE
 *
 * Return: true, unless execmem.rox=0 or rodata=off is on the command line.
 */
bool __init execmem_cache_enabled(void)
{
	/* The parameter in sysfs says whether there is a cache */
	if (!rodata_enabled)
		rox = false;

	return rox;
}

/**
 * execmem_cache_init - set up the cache, if the table asks for it
 * @params: the complete table
 *
 * Context: execmem_init().
 *
 * Return: 0; -EINVAL if there must not be a cache, -ENOMEM if there is no
 * memory. That is logged.
 */
int __init execmem_cache_init(const struct execmem_params *params)
{
	const struct execmem_range *range = &params->ranges[EXECMEM_DEFAULT];

	if (!(range->flags & EXECMEM_ROX_CACHE))
		return 0;

	if (!execmem_cache_enabled()) {
		pr_err("a cache that is not enabled is refused; no executable memory can be allocated\n");
		return -EINVAL;
	}

	execmem_traps = (void *)__get_free_page(GFP_KERNEL);
	if (!execmem_traps) {
		pr_err("no memory for the cache; no executable memory can be allocated\n");
		return -ENOMEM;
	}
	execmem_arch_fill(execmem_traps, PAGE_SIZE);
	execmem_cache_range = range;
	execmem_cache_add_tail(params);

	return 0;
}
