// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocate all PGD entries that the kernel will ever need, before the first
 * process exists.
 */

/**
 * DOC: overview
 *
 * Each process has a PGD of its own. Its kernel half is copied from init_mm when
 * the process is created. A PGD entry that init_mm gets later is missing in all
 * older PGDs, and would have to be copied into them, by a fault handler or by
 * walking all processes.
 *
 * To avoid that, pgtable_cache_init() allocates the page table behind each PGD
 * entry of the areas in which mappings come and go while the kernel runs. Later
 * mappings change only tables that all PGDs share. The preallocated tables are
 * never freed.
 *
 * In the direct map and the KASAN shadow, the entries for memory that may be added
 * are preallocated, see arch_get_mappable_range(). vmemmap has all of its few entries:
 * device memory that the kernel cannot map has struct pages, too.
 *
 * The other areas have their PGD entries already: boot has mapped them. Only PCI
 * I/O space gets new mappings, and it shares the PGD entry of the fixmap.
 */

#define pr_fmt(fmt) "riscv: " fmt

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/range.h>

#include "kasan_hotplug.h"

/* Allocate the table behind an empty PGD entry; false if there is no memory */
static bool __init prealloc_pgd_entry(pgd_t *pgd, unsigned long addr)
{
	p4d_t *p4d;
	pud_t *pud;

	p4d = p4d_alloc(&init_mm, pgd, addr);
	if (!p4d || pgtable_l5_enabled)
		return p4d;

	pud = pud_alloc(&init_mm, p4d, addr);
	if (!pud || pgtable_l4_enabled)
		return pud;

	return pmd_alloc(&init_mm, pud, addr);
}

/* Preallocate for @start..@end; returns the number of page tables allocated */
static unsigned int __init prealloc_area(unsigned long start, unsigned long end)
{
	unsigned long addr, next;
	unsigned int nr = 0;

	for (addr = start; addr < end; addr = next) {
		pgd_t *pgd = pgd_offset_k(addr);

		next = pgd_addr_end(addr, end);
		if (pgd_val(*pgd))
			continue;

		if (!prealloc_pgd_entry(pgd, addr))
			panic("No memory for the kernel's page tables\n");
		nr++;
	}

	return nr;
}

/* Preallocate for the areas that change when memory is added or removed */
static unsigned int __init prealloc_hotplug(void)
{
	struct range range = arch_get_mappable_range();
	void *start = __va(range.start), *end = __va(range.end) + 1;

	return prealloc_area(VMEMMAP_START, VMEMMAP_END) +
	       prealloc_area((unsigned long)start, (unsigned long)end) +
	       kasan_hotplug_init(start, end);
}

/**
 * pgtable_cache_init - preallocate the kernel's PGD entries
 *
 * Context: boot, single hart, page allocator up, no process yet.
 */
void __init pgtable_cache_init(void)
{
	unsigned int nr;

	nr = prealloc_area(VMALLOC_START, VMALLOC_END);
	nr += prealloc_area(MODULES_VADDR, MODULES_END);
	if (IS_ENABLED(CONFIG_MEMORY_HOTPLUG))
		nr += prealloc_hotplug();

	pr_info("preallocated %u page-table pages\n", nr);
}
