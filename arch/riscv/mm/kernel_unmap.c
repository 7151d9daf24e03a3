// SPDX-License-Identifier: GPL-2.0-only
/*
 * Take down mappings of the direct map and of vmemmap, page tables included.
 */

#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>

#include <asm/tlbflush.h>

#include "kernel_unmap.h"

/**
 * struct unmap - the pages that are collected while entries are cleared
 * @pages: page tables, and memory that was mapped, linked by their first struct
 *	page; page_private() is the order. They are freed after the TLB flush:
 *	until then, any hart may walk the tables and access the memory.
 * @free: whether the memory that was mapped is freed, too
 * @altmap: where this memory came from; %NULL if from the page allocator
 */
struct unmap {
	struct list_head	pages;
	bool			free;
	struct vmem_altmap	*altmap;
};

static void collect(struct unmap *unmap, struct page *page, unsigned int order)
{
	set_page_private(page, order);
	list_add(&page->lru, &unmap->pages);
}

static void collect_table(struct unmap *unmap, struct page *page)
{
	/*
	 * pmd_alloc() runs the constructor of page tables, the other functions
	 * do not. Run the destructor first: the constructor's data is where
	 * struct page has the list head.
	 */
	if (PageTable(page))
		pgtable_pmd_page_dtor(page);

	collect(unmap, page, 0);
}

static void collect_memory(struct unmap *unmap, struct page *page,
			   unsigned int order)
{
	if (!unmap->free)
		return;

	/* The memory of an altmap is only counted: the page allocator never had it */
	if (unmap->altmap)
		vmem_altmap_free(unmap->altmap, 1UL << order);
	else
		collect(unmap, page, order);
}

static void free_collected(struct unmap *unmap)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &unmap->pages, lru) {
		unsigned int order = page_private(page);
		unsigned int i;

		list_del(&page->lru);
		set_page_private(page, 0);

		if (!PageReserved(page)) {
			__free_pages(page, order);
			continue;
		}

		/* Allocated from memblock, at boot */
		for (i = 0; i < 1U << order; i++)
			free_reserved_page(page + i);
	}
}

/* Page tables of all levels have the same size and an all-zero empty entry */
static bool table_is_empty(const void *table)
{
	return !memchr_inv(table, 0, PAGE_SIZE);
}

static void unmap_ptes(struct unmap *unmap, pmd_t *pmd, unsigned long addr,
		       unsigned long end)
{
	pte_t *pte = pte_offset_kernel(pmd, addr);

	for (; addr < end; addr += PAGE_SIZE, pte++) {
		if (pte_none(*pte))
			continue;

		collect_memory(unmap, pte_page(*pte), 0);
		pte_clear(&init_mm, addr, pte);
	}

	if (table_is_empty((void *)pmd_page_vaddr(*pmd))) {
		struct page *table = pmd_page(*pmd);

		pmd_clear(pmd);
		collect_table(unmap, table);
	}
}

static void unmap_pmds(struct unmap *unmap, pud_t *pud, unsigned long addr,
		       unsigned long end)
{
	pmd_t *pmd = pmd_offset(pud, addr);
	unsigned long next;

	for (; addr < end; addr = next, pmd++) {
		next = pmd_addr_end(addr, end);

		if (pmd_none(*pmd))
			continue;

		if (!pmd_leaf(*pmd)) {
			unmap_ptes(unmap, pmd, addr, next);
			continue;
		}

		/* Memory that a leaf entry maps is only taken down as a whole */
		if (WARN_ON_ONCE(next - addr != PMD_SIZE))
			continue;

		collect_memory(unmap, pmd_page(*pmd), PMD_SHIFT - PAGE_SHIFT);
		pmd_clear(pmd);
	}

	/* With three levels, this is a preallocated table */
	if (pgtable_l4_enabled && table_is_empty(pud_pgtable(*pud))) {
		struct page *table = pud_page(*pud);

		pud_clear(pud);
		collect_table(unmap, table);
	}
}

static void unmap_puds(struct unmap *unmap, p4d_t *p4d, unsigned long addr,
		       unsigned long end)
{
	pud_t *pud = pud_offset(p4d, addr);
	unsigned long next;

	for (; addr < end; addr = next, pud++) {
		next = pud_addr_end(addr, end);

		if (!pud_none(*pud) && !WARN_ON_ONCE(pud_leaf(*pud)))
			unmap_pmds(unmap, pud, addr, next);
	}

	/* With four levels, this is a preallocated table */
	if (pgtable_l5_enabled && table_is_empty(p4d_pgtable(*p4d))) {
		struct page *table = p4d_page(*p4d);

		p4d_clear(p4d);
		collect_table(unmap, table);
	}
}

static void unmap_p4ds(struct unmap *unmap, pgd_t *pgd, unsigned long addr,
		       unsigned long end)
{
	p4d_t *p4d = p4d_offset(pgd, addr);
	unsigned long next;

	/* The table behind the PGD entry is preallocated, and stays */
	for (; addr < end; addr = next, p4d++) {
		next = p4d_addr_end(addr, end);

		if (!p4d_none(*p4d))
			unmap_puds(unmap, p4d, addr, next);
	}
}

static void unmap_range(struct unmap *unmap, unsigned long start,
			unsigned long end)
{
	unsigned long addr, next;

	INIT_LIST_HEAD(&unmap->pages);

	/* Exclude set_memory_*() and ptdump, which walk the same tables */
	mmap_write_lock(&init_mm);
	for (addr = start; addr < end; addr = next) {
		pgd_t *pgd = pgd_offset_k(addr);

		next = pgd_addr_end(addr, end);
		if (!pgd_none(*pgd))
			unmap_p4ds(unmap, pgd, addr, next);
	}
	mmap_write_unlock(&init_mm);

	flush_tlb_kernel_range(start, end);
	free_collected(unmap);
}

/**
 * kernel_unmap - take down a part of the direct map
 * @start: first address, aligned as it was mapped
 * @end: first address behind it, aligned as it was mapped
 *
 * Holes are skipped, so this also undoes a mapping that has failed halfway.
 * Page tables that become empty are freed, except those that PGD entries point
 * to.
 *
 * Context: process context, inside mem_hotplug_begin().
 */
void kernel_unmap(unsigned long start, unsigned long end)
{
	struct unmap unmap = { };

	unmap_range(&unmap, start, end);
}

/**
 * kernel_unmap_and_free - take down a part of vmemmap and free what it maps
 * @start: first address, aligned as it was mapped
 * @end: first address behind it, aligned as it was mapped
 * @altmap: where the memory came from; %NULL if from the page allocator
 *
 * Otherwise the same as kernel_unmap().
 *
 * Context: process context, inside mem_hotplug_begin().
 */
void kernel_unmap_and_free(unsigned long start, unsigned long end,
			   struct vmem_altmap *altmap)
{
	struct unmap unmap = { .free = true, .altmap = altmap };

	unmap_range(&unmap, start, end);
}
