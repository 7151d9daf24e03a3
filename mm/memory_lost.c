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
#include <linux/pgtable.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/swapops.h>
#include <linux/vmstat.h>

#include <asm/tlbflush.h>

#include "internal.h"

/*
 * Reclaim, migration or a disk may hold a page for the moment. Nothing here waits for
 * such a page, because the disk may be gone, too. It is tried again later.
 */
#define LOSE_ATTEMPTS	10
#define LOSE_INTERVAL	100	/* ms */

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
 * Context: any; the block with the page must be online, or going offline.
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
	if (!folio_test_writeback(folio) && !folio_mapped(folio))
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

/* Deal with one page. Returns the number of the next page to look at. */
static unsigned long lose_page(unsigned long pfn)
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
	if (!folio_test_lru(folio) || !folio_try_get(folio))
		return pfn + 1;

	/* The page now belongs to another folio: look again */
	if (page_folio(page) != folio) {
		folio_put(folio);
		return pfn;
	}

	/* What the disk gets is read from memory that is gone: it is not the contents */
	if (folio_test_writeback(folio)) {
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
	if ((folio_mapped(folio) || folio_test_lru(folio)) && folio_try_get(folio)) {
		if (page_folio(page) == folio)
			take_out_of_use(folio);
		folio_put(folio);
	}

	return pfn + 1;
}

static bool is_within(struct page *page, u64 start, u64 size)
{
	return page_to_phys(page) >= start && page_to_phys(page) - start < size;
}

/*
 * Count the page tables of a process that are gone. They are not read, so tables that
 * can only be reached through them are not counted. With @forget, clear the entries
 * that point to the tables that are gone.
 */
static unsigned long find_tables(struct mm_struct *mm, u64 start, u64 size, bool forget)
{
	unsigned long addr, next, nr = 0;

	for (addr = 0; addr < mm->task_size; addr = next) {
		pgd_t *pgd = pgd_offset(mm, addr);
		p4d_t *p4d;
		pud_t *pud;
		pmd_t *pmd;

		next = pgd_addr_end(addr, mm->task_size);
		if (pgd_none(*pgd))
			continue;
		if (!mm_p4d_folded(mm) && is_within(pgd_page(*pgd), start, size)) {
			nr++;
			if (forget)
				pgd_clear(pgd);
			continue;
		}

		p4d = p4d_offset(pgd, addr);
		next = p4d_addr_end(addr, mm->task_size);
		if (p4d_none(*p4d))
			continue;
		if (!mm_pud_folded(mm) && is_within(p4d_page(*p4d), start, size)) {
			nr++;
			if (forget)
				p4d_clear(p4d);
			continue;
		}

		pud = pud_offset(p4d, addr);
		next = pud_addr_end(addr, mm->task_size);
		if (!pud_present(*pud) || pud_leaf(*pud))
			continue;
		if (is_within(pud_page(*pud), start, size)) {
			nr++;
			if (forget)
				pud_clear(pud);
			continue;
		}

		pmd = pmd_offset(pud, addr);
		next = pmd_addr_end(addr, mm->task_size);
		if (!pmd_present(*pmd) || pmd_leaf(*pmd))
			continue;
		if (is_within(pmd_page(*pmd), start, size)) {
			nr++;
			if (forget)
				pmd_clear(pmd);
		}
	}

	return nr;
}

static void kill_users(struct mm_struct *mm)
{
	struct task_struct *task;

	rcu_read_lock();
	for_each_process(task) {
		if (!process_shares_mm(task, mm) || task->flags & PF_KTHREAD ||
		    is_global_init(task))
			continue;
		pr_crit("killed process %d (%s), whose page tables are gone\n",
			task_pid_nr(task), task->comm);
		do_send_sig_info(SIGKILL, SEND_SIG_PRIV, task, PIDTYPE_TGID);
	}
	rcu_read_unlock();
}

/*
 * If page tables of a process are gone, nobody knows which pages they mapped. These
 * pages can neither be unmapped nor freed. So the process is killed, and its address
 * space is kept for ever: the pages still count as mapped, and refer to its VMAs. A
 * reverse mapping that looks for their page table entries there finds none.
 */
static void lose_tables_of(struct mm_struct *mm, u64 start, u64 size)
{
	mmap_write_lock(mm);
	/* If the PGD itself is gone, there is nothing left to walk or to switch to. */
	if (is_within(virt_to_page(mm->pgd), start, size) ||
	    !find_tables(mm, start, size, false))
		goto out;

	/* No page fault and no reverse mapping walks the tables from here on */
	if (mm_take_all_locks(mm))
		goto out;
	/*
	 * Let page faults raise SIGBUS. Else they would map pages of zeroes in place of
	 * the pages that are lost.
	 */
	set_bit(MMF_UNSTABLE, &mm->flags);
	set_bit(MMF_OOM_SKIP, &mm->flags);
	mmget(mm);
	find_tables(mm, start, size, true);
	flush_tlb_mm(mm);
	mm_drop_all_locks(mm);
	kill_users(mm);
out:
	mmap_write_unlock(mm);
}

/* The address space of a process, whose first thread may have ended */
static struct mm_struct *get_process_mm(struct task_struct *process)
{
	struct mm_struct *mm = NULL;
	struct task_struct *thread;

	for_each_thread(process, thread) {
		mm = get_task_mm(thread);
		if (mm)
			break;
	}

	return mm;
}

static void lose_tables(u64 start, u64 size)
{
	struct task_struct *process;
	struct mm_struct *mm;
	struct pid *pid;
	int nr;

	for (nr = 1; ; nr++) {
		mm = NULL;
		rcu_read_lock();
		pid = find_ge_pid(nr, &init_pid_ns);
		if (pid) {
			nr = pid_nr(pid);
			process = pid_task(pid, PIDTYPE_TGID);
			if (process)
				mm = get_process_mm(process);
		}
		rcu_read_unlock();
		if (!pid)
			return;
		if (mm) {
			lose_tables_of(mm, start, size);
			mmput(mm);
		}
		cond_resched();
	}
}

static void lose_pages(u64 start, u64 size)
{
	unsigned long pfn = PHYS_PFN(start), end_pfn = PHYS_PFN(start + size);

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		return;

	/* lose_page() finds only pages on the LRU lists: move the others there */
	lru_add_drain_all();
	while (pfn < end_pfn) {
		int idx = lock_online_memmap();

		pfn = lose_page(pfn);
		unlock_online_memmap(idx);
		cond_resched();
	}
}

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
 * free. No block comes online again. If a block was online, the log says that memory
 * is gone, how much of it stays, and why.
 *
 * Context: process context, may sleep. Takes the lock of all memory hotplug.
 *
 * Return: 0 if all blocks are offline, so that remove_memory() will succeed; -EBUSY
 * if some stay.
 */
int lose_memory_range(u64 start, u64 size)
{
	bool online = false;
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
		lose_pages(start, size);

		memset(&rest, 0, sizeof(rest));
		lock_device_hotplug();
		walk_memory_blocks(start, size, &rest, offline_block);
		unlock_device_hotplug();
		if (!rest.blocks)
			return 0;
	}

	pr_crit("%#llx, %llu MiB: %llu MiB stay, with %lu pages that are held and %lu of the kernel, %lu of which are page tables\n",
		start, size / SZ_1M, rest.blocks * (memory_block_size_bytes() / (u64)SZ_1M),
		rest.held, rest.kernel, rest.tables);

	return -EBUSY;
}
EXPORT_SYMBOL_GPL(lose_memory_range);
