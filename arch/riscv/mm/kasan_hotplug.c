// SPDX-License-Identifier: GPL-2.0-only
/*
 * Make room in the KASAN shadow for memory that is added.
 */

#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>

#include <asm/tlbflush.h>

#include "kasan_hotplug.h"

/* Copy one of the shared page tables. The caller lets an entry point to the copy */
static struct page *copy_table(const void *table)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (page) {
		memcpy(page_address(page), table, PAGE_SIZE);
		/* Other harts walk these tables: the copy first, then the entry */
		smp_wmb();
	}

	return page;
}

static bool is_early_table(const void *table, const void *early)
{
	return table == lm_alias(early);
}

/**
 * kasan_hotplug_init - give PGD entries of the shadow page tables of their own
 * @start: address in the direct map of the first memory that may be added
 * @end: address behind the last
 *
 * In the shadow of memory that is not there, all PGD entries point to one common table,
 * which says "all accessible". The shadow of added memory cannot be mapped in it, since
 * other entries point to it, too. Once there are processes, no PGD entry may change. So
 * give each entry a copy of the table now.
 *
 * Context: boot, single hart, no process yet.
 *
 * Return: the number of copies.
 */
unsigned int __init kasan_hotplug_init(const void *start, const void *end)
{
	const void *early = pgtable_l5_enabled ? (void *)kasan_early_shadow_p4d :
			    pgtable_l4_enabled ? (void *)kasan_early_shadow_pud :
						 (void *)kasan_early_shadow_pmd;
	unsigned long addr = (unsigned long)kasan_mem_to_shadow(start);
	unsigned long last = (unsigned long)kasan_mem_to_shadow(end);
	unsigned int nr = 0;
	unsigned long next;

	for (; addr < last; addr = next) {
		pgd_t *pgd = pgd_offset_k(addr);
		struct page *table;

		next = pgd_addr_end(addr, last);
		if (!is_early_table((void *)pgd_page_vaddr(*pgd), early))
			continue;

		table = copy_table(early);
		if (!table)
			panic("No memory for the page tables of the KASAN shadow\n");
		set_pgd(pgd, pfn_pgd(page_to_pfn(table), PAGE_TABLE));
		nr++;
	}
	local_flush_tlb_all();

	return nr;
}

/* The shadow's PMD entry for @addr, in tables that are not shared */
static pmd_t *private_pmd(unsigned long addr)
{
	/* The table behind the PGD entry is private since kasan_hotplug_init() */
	p4d_t *p4d = p4d_offset(pgd_offset_k(addr), addr);
	struct page *table;
	pud_t *pud;

	if (pgtable_l5_enabled &&
	    is_early_table(p4d_pgtable(*p4d), kasan_early_shadow_pud)) {
		table = copy_table(kasan_early_shadow_pud);
		if (!table)
			return NULL;
		set_p4d(p4d, pfn_p4d(page_to_pfn(table), PAGE_TABLE));
	}

	pud = pud_offset(p4d, addr);
	if (pgtable_l4_enabled &&
	    is_early_table(pud_pgtable(*pud), kasan_early_shadow_pmd)) {
		table = copy_table(kasan_early_shadow_pmd);
		if (!table)
			return NULL;
		set_pud(pud, pfn_pud(page_to_pfn(table), PAGE_TABLE));
	}

	return pmd_offset(pud, addr);
}

/* Unmap the early shadow in a part of the range of one PMD entry */
static int unmap_early_ptes(pmd_t *pmd, unsigned long addr, unsigned long end)
{
	pte_t *pte;

	if (is_early_table((void *)pmd_page_vaddr(*pmd), kasan_early_shadow_pte)) {
		struct page *table = copy_table(kasan_early_shadow_pte);

		if (!table)
			return -ENOMEM;
		set_pmd(pmd, pfn_pmd(page_to_pfn(table), PAGE_TABLE));
	}

	pte = pte_offset_kernel(pmd, addr);
	for (; addr < end; addr += PAGE_SIZE, pte++) {
		if (!pte_none(*pte) &&
		    pte_page(*pte) == virt_to_page(lm_alias(kasan_early_shadow_page)))
			pte_clear(&init_mm, addr, pte);
	}

	return 0;
}

/**
 * kasan_hotplug_prepare - make room in the shadow for added memory
 * @start: address of the memory in the direct map
 * @size: bytes
 *
 * At boot, the shadow of memory that does not exist is mapped read-only to one
 * common page, the early shadow. If KASAN's hotplug notifier finds a shadow
 * that is mapped, it believes that boot set it up for this memory, and leaves
 * it alone. So unmap the early shadow. The notifier then maps a real shadow
 * when the memory goes online.
 *
 * Context: process context, inside mem_hotplug_begin().
 *
 * Return: 0, -EINVAL if the shadow of the range does not consist of whole
 * pages, or -ENOMEM. After a failure nothing is undone, because nobody reads
 * the shadow of memory that is not there.
 */
int kasan_hotplug_prepare(const void *start, size_t size)
{
	unsigned long addr = (unsigned long)kasan_mem_to_shadow(start);
	unsigned long end = (unsigned long)kasan_mem_to_shadow(start + size);
	unsigned long next;

	if (!IS_ALIGNED(addr | end, PAGE_SIZE))
		return -EINVAL;

	for (; addr < end; addr = next) {
		pmd_t *pmd = private_pmd(addr);

		next = pmd_addr_end(addr, end);
		if (!pmd)
			return -ENOMEM;
		if (pmd_none(*pmd))
			continue;

		if (next - addr == PMD_SIZE &&
		    is_early_table((void *)pmd_page_vaddr(*pmd),
				   kasan_early_shadow_pte)) {
			pmd_clear(pmd);
			continue;
		}

		/*
		 * The direct map starts where the kernel was loaded, 2 MiB into
		 * the memory. So the shadow of added memory covers only a part
		 * of the range of its first and its last PMD entry.
		 */
		if (unmap_early_ptes(pmd, addr, next))
			return -ENOMEM;
	}

	flush_tlb_all();

	return 0;
}
