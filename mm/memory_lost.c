// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that is gone: its device was taken away without notice.
 *
 * The contents of the memory are lost and cannot be moved elsewhere. memory_failure()
 * deals with each page: processes get SIGBUS when they access the page, and dirty files
 * get an I/O error. This file deals with the memory as a whole: none of it is ever
 * allocated again, and a block goes offline for good if none of its pages is in use.
 */

#define pr_fmt(fmt) "memory lost: " fmt

#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/io.h>
#include <linux/memcontrol.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/swapops.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#include "internal.h"

/*
 * Reclaim, migration or a disk may hold a page for the moment. Nothing here waits for
 * such a page, because the disk may be gone, too. It is tried again later. Pages that a
 * disk still reads after all attempts are left to a worker.
 */
#define LOSE_ATTEMPTS	10
#define LOSE_INTERVAL	100	/* ms */
#define WORK_INTERVAL	1000	/* ms */

/* How many tasks are in lock_hotplug_for_lost() */
static atomic_t waiting = ATOMIC_INIT(0);

/*
 * Isolate a page block, whatever it contains. Its free pages are not allocated any
 * more, and neither are pages in it that are freed later.
 */
static void isolate_pageblock(struct zone *zone, struct page *page)
{
	unsigned long flags;
	int migratetype, nr_free;

	spin_lock_irqsave(&zone->lock, flags);
	migratetype = get_pageblock_migratetype(page);
	if (migratetype != MIGRATE_ISOLATE) {
		zone->nr_isolate_pageblock++;
		set_pageblock_migratetype(page, MIGRATE_ISOLATE);
		nr_free = move_freepages_block(zone, page, MIGRATE_ISOLATE, NULL);
		__mod_zone_freepage_state(zone, -nr_free, migratetype);
	}
	spin_unlock_irqrestore(&zone->lock, flags);
}

/*
 * Mark the block before anything else is done. Code that takes the block offline, or
 * that ends an isolation of its own, then knows that the memory is gone.
 */
static int mark_block(struct memory_block *mem, void *arg)
{
	WRITE_ONCE(mem->lost, true);

	return 0;
}

/*
 * Do not take the locks of memory hotplug here: their holder may be waiting for a page
 * elsewhere, and for long.
 */
static int isolate_block(struct memory_block *mem, void *online)
{
	unsigned long pfn = section_nr_to_pfn(mem->start_section_nr);
	unsigned long end_pfn = pfn + PHYS_PFN(memory_block_size_bytes());

	device_lock(&mem->dev);
	if (mem->state != MEM_OFFLINE) {
		for (; pfn < end_pfn; pfn += pageblock_nr_pages)
			isolate_pageblock(mem->zone, pfn_to_page(pfn));
		/* Free pages on the lists of the CPUs must not be allocated either */
		drain_all_pages(mem->zone);
		*(bool *)online = true;
	}
	device_unlock(&mem->dev);

	return 0;
}

/**
 * memory_is_lost() - whether memory is gone
 * @pfn: number of a page in the memory
 *
 * Context: any; the memory block with the page must not be removed meanwhile.
 *
 * Return: whether lose_memory_range() was called for that block.
 */
bool memory_is_lost(unsigned long pfn)
{
	struct memory_block *mem = find_memory_block(pfn_to_section_nr(pfn));
	bool lost;

	if (!mem)
		return false;

	lost = READ_ONCE(mem->lost);
	put_device(&mem->dev);

	return lost;
}

/**
 * lock_hotplug_for_lost() - lock_device_hotplug() for memory that is gone
 *
 * A task that holds the lock and takes other memory offline gives up soon.
 *
 * Context: may sleep. unlock_device_hotplug() releases the lock.
 */
void lock_hotplug_for_lost(void)
{
	atomic_inc(&waiting);
	lock_device_hotplug();
	atomic_dec(&waiting);
}

/**
 * lost_memory_waits() - whether a task is in lock_hotplug_for_lost()
 *
 * A task that takes other memory offline must not let that task wait for a page that
 * somebody holds.
 *
 * Context: any; the caller holds lock_device_hotplug().
 *
 * Return: whether a task waits for the lock.
 */
bool lost_memory_waits(void)
{
	return atomic_read(&waiting);
}

static void set_poison(struct folio *folio, bool poison)
{
	long i;

	for (i = 0; i < folio_nr_pages(folio); i++) {
		struct page *page = folio_page(folio, i);

		if (PageHWPoison(page) == poison)
			continue;
		if (poison) {
			SetPageHWPoison(page);
			num_poisoned_pages_inc();
		} else {
			ClearPageHWPoison(page);
			num_poisoned_pages_sub(1);
		}
	}
}

/* Remove a page from its file, so that it is neither read nor written to the disk. */
static void remove_from_file(struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);

	if (!mapping || folio_test_anon(folio))
		return;

	/*
	 * In the place of a small page, shmem can have an entry that stands for an
	 * error. A large page stays in the file, and readers check it for poison.
	 */
	if (shmem_mapping(mapping)) {
		if (!folio_test_large(folio))
			mapping->a_ops->error_remove_page(mapping, &folio->page);
		return;
	}

	/* A page of a block device may be metadata that a file system depends on */
	if (!S_ISREG(mapping->host->i_mode))
		return;
	if (folio_test_dirty(folio))
		mapping_set_error(mapping, -EIO);
	truncate_inode_folio(mapping, folio);
}

/*
 * memory_failure() leaves some pages alone: pages of KSM, large pages that somebody
 * holds, and pages of files that it cannot remove a page from. They must not be read
 * or written any more either.
 */
static void take_out_of_use(struct folio *folio)
{
	if (!folio_trylock(folio))
		return;

	/* This reference keeps a small page from being freed, as in memory_failure() */
	if (!folio_test_large(folio) && !PageHWPoison(&folio->page))
		folio_get(folio);
	set_poison(folio, true);
	try_to_unmap(folio, TTU_IGNORE_MLOCK | TTU_SYNC | TTU_HWPOISON | TTU_SPLIT_HUGE_PMD);
	/* While a disk reads it, it counts in its cgroup and file: try again afterwards */
	if (folio_test_writeback(folio)) {
		folio_unlock(folio);
		return;
	}
	if (!folio_mapped(folio))
		remove_from_file(folio);
	folio_unlock(folio);

	/* The holder of a large page may free or split it as before */
	if (folio_test_large(folio) || folio_isolate_lru(folio))
		return;
	folio_clear_active(folio);
	folio_clear_unevictable(folio);
	/* The page is never freed, so uncharge it now */
	mem_cgroup_uncharge(folio);
	folio_put(folio);
}

/*
 * If memory_failure() cannot remove a page from its file, it takes the page off the LRU
 * list all the same.
 */
static bool is_of_process_or_file(struct folio *folio)
{
	return folio_test_lru(folio) ||
	       (PageHWPoison(&folio->page) && folio_mapping(folio));
}

/*
 * Deal with one page. Returns the number of the next page to look at. Sets @written if
 * a disk reads the page.
 */
static unsigned long lose_page(unsigned long pfn, bool *written)
{
	struct page *page = pfn_to_online_page(pfn);
	struct address_space *mapping;
	struct folio *folio;

	if (!page)
		return SECTION_ALIGN_UP(pfn + 1);

	if (PageBuddy(page)) {
		unsigned int order = buddy_order_unsafe(page);

		return pfn + (order < MAX_ORDER ? 1UL << order : 1);
	}

	if (PageHuge(page)) {
		struct page *head = compound_head(page);

		memory_failure(page_to_pfn(head), MF_ONE_OF_MANY);

		return max(pfn + 1, page_to_pfn(head) + compound_nr(head));
	}

	folio = page_folio(page);
	if (!is_of_process_or_file(folio) || !folio_try_get(folio))
		return pfn + 1;

	/* The page now belongs to another folio: look again */
	if (page_folio(page) != folio) {
		folio_put(folio);
		return pfn;
	}

	/* What the disk gets is read from memory that is gone: it is not the contents */
	if (folio_test_writeback(folio)) {
		*written = true;
		mapping = folio_mapping(folio);
		if (folio_test_swapcache(folio))
			folio_mark_dirty(folio);
		else if (mapping)
			mapping_set_error(mapping, -EIO);
	}

	/* The last attempt failed because somebody held the large page: try again */
	if (PageHWPoison(page) && folio_test_large(folio))
		set_poison(folio, false);

	if (PageHWPoison(page))
		folio_put(folio);
	else
		memory_failure(pfn, MF_COUNT_INCREASED | MF_ONE_OF_MANY);

	folio = page_folio(page);
	if ((folio_mapped(folio) || is_of_process_or_file(folio)) && folio_try_get(folio)) {
		if (page_folio(page) == folio)
			take_out_of_use(folio);
		folio_put(folio);
	}

	return pfn + 1;
}

/* Returns whether a disk still reads pages. */
static bool lose_pages(u64 start, u64 size)
{
	unsigned long pfn = PHYS_PFN(start), end_pfn = PHYS_PFN(start + size);
	bool written = false;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		return false;

	/* lose_page() finds only pages on the LRU lists: move the others there */
	lru_add_drain_all();
	while (pfn < end_pfn) {
		int idx = lock_online_memmap();

		pfn = lose_page(pfn, &written);
		unlock_online_memmap(idx);
		cond_resched();
	}

	return written;
}

static int lose_written_pages(struct memory_block *mem, void *written)
{
	u64 start = PFN_PHYS(section_nr_to_pfn(mem->start_section_nr));

	if (READ_ONCE(mem->lost))
		*(bool *)written |= lose_pages(start, memory_block_size_bytes());

	return 0;
}

static void lose_work(struct work_struct *work)
{
	bool written = false;

	for_each_memory_block(&written, lose_written_pages);
	if (written)
		schedule_delayed_work(to_delayed_work(work), msecs_to_jiffies(WORK_INTERVAL));
}

static DECLARE_DELAYED_WORK(lose_later, lose_work);

/* Whether the page is in use. A page that was taken out of use keeps one reference. */
static bool is_in_use(struct page *page)
{
	if (PageBuddy(page) || !page_count(page))
		return false;

	/* Taking a large page out of use keeps no reference: each is a user's */
	if (!PageHWPoison(page) || PageCompound(page))
		return true;

	return page_count(page) > 1 || page_mapped(page) || PageLRU(page) || page_mapping(page);
}

/**
 * lost_pages_in_use() - whether pages of memory that is gone are in use
 * @start_pfn: number of the first page
 * @end_pfn: number of the page after the last
 *
 * Context: the pages are online, and cannot go offline meanwhile.
 *
 * Return: true if one is; false if each page is free, is being freed, or was taken out
 * of use.
 */
bool lost_pages_in_use(unsigned long start_pfn, unsigned long end_pfn)
{
	unsigned long pfn;

	for (pfn = start_pfn; pfn < end_pfn; pfn++) {
		if (is_in_use(pfn_to_page(pfn)))
			return true;
	}

	return false;
}

/**
 * struct rest - what cannot go offline
 * @blocks: number of memory blocks
 * @held: number of pages that processes and files have lost, but that somebody holds
 * @kernel: number of other pages in use, which are the kernel's own
 * @tables: how many of the kernel's pages are page tables
 */
struct rest {
	unsigned long blocks;
	unsigned long held;
	unsigned long kernel;
	unsigned long tables;
};

static void count_rest(struct memory_block *mem, struct rest *rest)
{
	unsigned long pfn = section_nr_to_pfn(mem->start_section_nr);
	unsigned long end_pfn = pfn + PHYS_PFN(memory_block_size_bytes());

	rest->blocks++;
	for (; pfn < end_pfn; pfn++) {
		struct page *page = pfn_to_page(pfn);

		if (!is_in_use(page))
			continue;

		if (PageHWPoison(compound_head(page)) || PageHWPoison(page))
			rest->held++;
		else
			rest->kernel++;
		rest->tables += PageTable(page);
	}
}

static int offline_block(struct memory_block *mem, void *arg)
{
	if (device_offline(&mem->dev) < 0)
		count_rest(mem, arg);

	return 0;
}

static int lose_range(u64 start, u64 size)
{
	bool online = false, written = false;
	struct rest rest;
	int attempt;

	walk_memory_blocks(start, size, NULL, mark_block);

	for (attempt = 0; attempt < LOSE_ATTEMPTS; attempt++) {
		if (attempt)
			msleep(LOSE_INTERVAL);

		walk_memory_blocks(start, size, &online, isolate_block);
		if (!online)
			return 0;

		if (!attempt)
			pr_crit("%#llx, %llu MiB: gone without notice, and what was in it\n",
				start, size / SZ_1M);

		lose_tables(start, size);
		written = lose_pages(start, size);

		memset(&rest, 0, sizeof(rest));
		lock_hotplug_for_lost();
		walk_memory_blocks(start, size, &rest, offline_block);
		unlock_device_hotplug();
		if (!rest.blocks)
			return 0;
	}

	if (written)
		schedule_delayed_work(&lose_later, msecs_to_jiffies(WORK_INTERVAL));

	pr_crit("%#llx, %llu MiB: %llu MiB stay, with %lu pages that are held and %lu of the kernel, %lu of which are page tables\n",
		start, size / SZ_1M, rest.blocks * (memory_block_size_bytes() / (u64)SZ_1M),
		rest.held, rest.kernel, rest.tables);

	return -EBUSY;
}

/**
 * struct lose_order - order for the worker that takes memory out of use
 * @work: item of the workqueue
 * @start: physical address of the memory
 * @size: bytes
 * @ret: result
 */
struct lose_order {
	struct work_struct work;
	u64 start;
	u64 size;
	int ret;
};

static void lose_worker(struct work_struct *work)
{
	struct lose_order *order = container_of(work, struct lose_order, work);

	order->ret = lose_range(order->start, order->size);
}

/**
 * lose_memory_range() - take memory that is gone out of use
 * @start: physical address, at the start of a block
 * @size: bytes, a multiple of the size of a block
 *
 * The memory cannot be read any more, or a read returns something that was never
 * written. Its struct pages must be in other memory. Users of its pages are treated as
 * memory_failure() treats the users of one page. Then each block without a page in use
 * goes offline, one by one. The other blocks stay online, and no page of them is
 * allocated any more. The user can take such a block offline when its last page is
 * free. No block comes online again. A page of a file that is on its way to a disk stays
 * in the file until the disk has read it. If a block was online, the log says that memory
 * is gone, how much of it stays, and why.
 *
 * Context: process context, may sleep. Takes the lock of all memory hotplug.
 *
 * Return: 0 if all blocks are offline, so that remove_memory() will succeed; -EBUSY
 * if some stay.
 */
int lose_memory_range(u64 start, u64 size)
{
	struct lose_order order = { .start = start, .size = size };

	/* A worker has no signals: they would end this halfway */
	INIT_WORK_ONSTACK(&order.work, lose_worker);
	queue_work(system_unbound_wq, &order.work);
	flush_work(&order.work);
	destroy_work_on_stack(&order.work);

	return order.ret;
}
EXPORT_SYMBOL_GPL(lose_memory_range);
