// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables of processes in memory that is gone, see mm/memory_lost.c.
 *
 * A lost page table is not read: the kernel forgets the entry that points to it. Nobody
 * knows then which pages it mapped. These pages can neither be unmapped nor freed. So
 * the process is killed, and its address space is kept for ever: the pages still count
 * as mapped, and refer to its VMAs. A reverse mapping that looks for their page table
 * entries there finds none.
 */

#define pr_fmt(fmt) "memory lost: " fmt

#include <linux/io.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/sched/coredump.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include <asm/tlbflush.h>

#include "internal.h"

/**
 * struct lost_range - physical memory that is gone
 * @start: first address
 * @size: bytes
 */
struct lost_range {
	u64 start;
	u64 size;
};

static bool is_lost(struct page *page, const struct lost_range *lost)
{
	return page_to_phys(page) - lost->start < lost->size;
}

#if defined(CONFIG_TRANSPARENT_HUGEPAGE) && !defined(__HAVE_ARCH_PGTABLE_DEPOSIT)
/*
 * Find a table in reserve that is gone, and put @new in its place unless @new is NULL.
 * Returns the table that is gone, or NULL if there is none.
 */
static struct page *exchange_reserve(struct mm_struct *mm, pmd_t *pmd,
				     const struct lost_range *lost, struct page *new)
{
	spinlock_t *lock = pmd_lock(mm, pmd);
	struct page *first = pmd_huge_pte(mm, pmd), *table = first;

	while (table && !is_lost(table, lost)) {
		table = list_next_entry(table, lru);
		if (table == first)
			table = NULL;
	}
	if (table && new) {
		list_replace(&table->lru, &new->lru);
		if (table == first)
			pmd_huge_pte(mm, pmd) = new;
	}
	spin_unlock(lock);

	return table;
}

/*
 * A large page that is mapped has a page table in reserve, for when it is split. The
 * tables in reserve are in a list of the PMD table, or of the address space. They are
 * empty, so the process loses nothing if others replace them. If there is no memory for
 * others, it is tried again with the next attempt.
 */
static void replace_reserve(struct mm_struct *mm, pmd_t *pmd, const struct lost_range *lost)
{
	struct page *new, *old;

	while (exchange_reserve(mm, pmd, lost, NULL)) {
		new = pte_alloc_one(mm);
		if (!new)
			return;
		old = exchange_reserve(mm, pmd, lost, new);
		if (old) {
			/* Freeing a page with this flag does not write to it */
			SetPageHWPoison(old);
			num_poisoned_pages_inc();
		}
		pte_free(mm, old ?: new);
	}
}
#else
static void replace_reserve(struct mm_struct *mm, pmd_t *pmd, const struct lost_range *lost)
{
}
#endif

/*
 * Count the page tables of a process that are gone. They are not read, so tables that
 * can only be reached through them are not counted. With @forget, clear the entries
 * that point to the tables that are gone. Tables in reserve are replaced.
 */
static unsigned long find_tables(struct mm_struct *mm, const struct lost_range *lost,
				 bool forget)
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
		if (!mm_p4d_folded(mm) && is_lost(pgd_page(*pgd), lost)) {
			nr++;
			if (forget)
				pgd_clear(pgd);
			continue;
		}

		p4d = p4d_offset(pgd, addr);
		next = p4d_addr_end(addr, mm->task_size);
		if (p4d_none(*p4d))
			continue;
		if (!mm_pud_folded(mm) && is_lost(p4d_page(*p4d), lost)) {
			nr++;
			if (forget)
				p4d_clear(p4d);
			continue;
		}

		pud = pud_offset(p4d, addr);
		next = pud_addr_end(addr, mm->task_size);
		if (!pud_present(*pud) || pud_leaf(*pud))
			continue;
		if (is_lost(pud_page(*pud), lost)) {
			nr++;
			if (forget)
				pud_clear(pud);
			continue;
		}

		pmd = pmd_offset(pud, addr);
		if (!forget && IS_ALIGNED(addr, PUD_SIZE))
			replace_reserve(mm, pmd, lost);
		next = pmd_addr_end(addr, mm->task_size);
		if (!pmd_present(*pmd) || pmd_leaf(*pmd))
			continue;
		if (is_lost(pmd_page(*pmd), lost)) {
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
 * Page faults raise SIGBUS from here on. Else they would map pages of zeroes in place of
 * the pages that are lost.
 */
static void keep_for_ever(struct mm_struct *mm)
{
	set_bit(MMF_UNSTABLE, &mm->flags);
	set_bit(MMF_OOM_SKIP, &mm->flags);
	mmget(mm);
}

/*
 * A process without its PGD cannot even die: the kernel's own mappings are in it. Give
 * it another one with these only. Do it at once, before the process runs again, and do
 * not wait for a lock: its holder may be a thread of the process. If there is no memory
 * for a PGD, it is tried again with the next attempt.
 */
static void lose_pgd_of(struct mm_struct *mm)
{
	pgd_t *pgd = pgd_alloc(mm);

	if (!pgd)
		return;

	keep_for_ever(mm);
	WRITE_ONCE(mm->pgd, pgd);
	flush_tlb_mm(mm);
	kill_users(mm);
}

static void lose_tables_of(struct mm_struct *mm, const struct lost_range *lost)
{
	if (is_lost(virt_to_page(mm->pgd), lost)) {
		lose_pgd_of(mm);
		return;
	}

	mmap_write_lock(mm);
	if (!find_tables(mm, lost, false))
		goto out;

	/*
	 * No page fault and no reverse mapping walks the tables from here on. This fails
	 * only if a signal is pending, and a worker has none.
	 */
	if (WARN_ON_ONCE(mm_take_all_locks(mm)))
		goto out;
	keep_for_ever(mm);
	find_tables(mm, lost, true);
	flush_tlb_mm(mm);
	mm_drop_all_locks(mm);
	kill_users(mm);
out:
	mmap_write_unlock(mm);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static int zap_zero_page(pmd_t *pmd, unsigned long addr, unsigned long next,
			 struct mm_walk *walk)
{
	if (is_huge_zero_pmd(READ_ONCE(*pmd)))
		zap_page_range(walk->vma, addr, next - addr);
	walk->action = ACTION_CONTINUE;

	return 0;
}

static const struct mm_walk_ops zap_zero_page_ops = {
	.pmd_entry = zap_zero_page,
};

static void lose_zero_page_of(struct mm_struct *mm, const struct lost_range *lost)
{
	/* Without memory for another PGD, this one still is gone */
	if (is_lost(virt_to_page(mm->pgd), lost))
		return;

	mmap_write_lock(mm);
	walk_page_range(mm, 0, mm->task_size, &zap_zero_page_ops, NULL);
	mmap_write_unlock(mm);
}

/*
 * The huge page of zeroes is no longer one. Processes that have it mapped get small
 * pages of zeroes, or memory, when they access it the next time. It cannot be replaced
 * as long as they exist: each of them has a reference.
 *
 * A page fault, or a fork whose child has a smaller PID, may map it behind the back of a
 * walk over all processes. The page keeps its block online, so all further attempts walk
 * again.
 */
static bool zero_page_is_lost(const struct lost_range *lost)
{
	struct page *page = READ_ONCE(huge_zero_page);

	if (!page || !is_lost(page, lost))
		return false;

	if (test_and_clear_bit(TRANSPARENT_HUGEPAGE_USE_ZERO_PAGE_FLAG,
			       &transparent_hugepage_flags))
		pr_warn("the huge page of zeroes is gone, and no other is used: transparent_hugepage/use_zero_page is 0\n");

	return true;
}
#else
static void lose_zero_page_of(struct mm_struct *mm, const struct lost_range *lost)
{
}

static bool zero_page_is_lost(const struct lost_range *lost)
{
	return false;
}
#endif

typedef void (*lose_fn)(struct mm_struct *mm, const struct lost_range *lost);

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

static void visit_processes(lose_fn lose, const struct lost_range *lost)
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
			lose(mm, lost);
			mmput(mm);
		}
		cond_resched();
	}
}

/**
 * lose_tables() - deal with page tables of processes in memory that is gone
 * @start: physical address
 * @size: bytes
 *
 * Kills each process that has page tables there. Processes that have only the huge page
 * of zeroes mapped there, or empty page tables in reserve, lose nothing.
 *
 * Context: a worker: it has no signals, and its allocations are not limited by a cgroup.
 */
void lose_tables(u64 start, u64 size)
{
	const struct lost_range lost = { .start = start, .size = size };

	visit_processes(lose_tables_of, &lost);
	if (zero_page_is_lost(&lost))
		visit_processes(lose_zero_page_of, &lost);
}
