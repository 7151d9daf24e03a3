// SPDX-License-Identifier: GPL-2.0-only
/*
 * All PGD entries that the kernel will ever need, before the first process.
 */

/**
 * DOC: overview
 *
 * Each process has a PGD of its own, whose kernel half is copied from init_mm
 * when the process is created. A PGD entry that init_mm gets later is missing
 * in all the older ones, and would have to be copied into them, by a fault
 * handler or by walking all processes. To spare that, pgtable_cache_init()
 * allocates the page table behind each PGD entry of the areas in which
 * mappings come and go while the kernel runs. What is mapped afterwards is
 * mapped in tables that all PGDs share. These tables are never freed.
 *
 * What memory hotplug maps in the direct map and in the KASAN shadow is for memory
 * in the range of arch_get_mappable_range(). Beyond it, nothing is ever mapped
 * there, and nothing is preallocated. vmemmap has all its few entries: device
 * memory that the kernel cannot map has struct pages, too.
 *
 * The other areas need no care: the fixmap, and the PCI I/O space beside it,
 * have their PGD entry from setup_vm_final(), as has the kernel image.
 */

#define pr_fmt(fmt) "riscv: " fmt

#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/kasan.h>
#include <linux/kernel.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/range.h>
#include <linux/string.h>

#include <asm/sections.h>
#include <asm/tlbflush.h>

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

/**
 * struct area - a part of the address space, and what it takes
 * @pages: page-table pages that were allocated
 * @plain: those it would take to have all PGD entries of the area
 */
struct area {
	unsigned int pages;
	unsigned int plain;
};

/*
 * Preallocate for @need_start..@need_end of the area @start..@end. Any area may
 * end where the address space does.
 */
static struct area __init prealloc_part(const char *name, unsigned long start,
					unsigned long end, unsigned long need_start,
					unsigned long need_end)
{
	unsigned long addr = start & PGDIR_MASK;
	struct area area = { };

	for (; addr >= (start & PGDIR_MASK) && addr < end; addr += PGDIR_SIZE) {
		pgd_t *pgd = pgd_offset_k(addr);

		if (pgd_val(*pgd))
			continue;
		area.plain++;

		if (addr < (need_start & PGDIR_MASK) || addr >= need_end)
			continue;
		if (!prealloc_pgd_entry(pgd, addr))
			panic("No memory for the kernel page tables of the %s area\n",
			      name);
		area.pages++;
	}

	return area;
}

static struct area __init prealloc_area(const char *name, unsigned long start,
					unsigned long end)
{
	return prealloc_part(name, start, end, start, end);
}

#if defined(CONFIG_KASAN) && defined(CONFIG_MEMORY_HOTPLUG)
/*
 * The KASAN shadow has all its PGD entries, but those for memory that is not
 * there point to one common table, which says "all accessible" and must stay
 * as it is. Give each a table of its own in time, that the shadow of added
 * memory can be mapped in.
 */
static struct area __init prealloc_kasan_shadow(const void *need_start,
						const void *need_end)
{
	unsigned long first = (unsigned long)kasan_mem_to_shadow(need_start) & PGDIR_MASK;
	unsigned long last = (unsigned long)kasan_mem_to_shadow(need_end - 1);
	unsigned long addr = KASAN_SHADOW_START;
	struct area area = { };
	void *early, *table;

	early = pgtable_l5_enabled ? (void *)kasan_early_shadow_p4d :
		pgtable_l4_enabled ? (void *)kasan_early_shadow_pud :
				     (void *)kasan_early_shadow_pmd;

	/* The last entry may be the last of the address space, too */
	for (; addr >= KASAN_SHADOW_START && addr < KASAN_SHADOW_END; addr += PGDIR_SIZE) {
		pgd_t *pgd = pgd_offset_k(addr);

		if (pgd_page_vaddr(*pgd) != (unsigned long)lm_alias(early))
			continue;
		area.plain++;

		if (addr < first || addr > last)
			continue;
		table = (void *)__get_free_page(GFP_KERNEL);
		if (!table)
			panic("No memory for the kernel page tables of the KASAN area\n");
		memcpy(table, early, PAGE_SIZE);
		/* The hart may walk the shadow meanwhile: the copy first, then the entry */
		smp_wmb();
		set_pgd(pgd, pfn_pgd(PFN_DOWN(__pa(table)), PAGE_TABLE));
		area.pages++;
	}
	local_flush_tlb_all();

	return area;
}
#else
static inline struct area prealloc_kasan_shadow(const void *need_start,
						const void *need_end)
{
	return (struct area){ };
}
#endif

#ifdef CONFIG_MEMORY_HOTPLUG
static void __init prealloc_hotplug(struct area *vmemmap_area, struct area *direct,
				    struct area *kasan)
{
	struct range range = arch_get_mappable_range();
	void *start = __va(range.start), *end = __va(range.end) + 1;

	*vmemmap_area = prealloc_area("vmemmap", VMEMMAP_START, VMEMMAP_END);
	*direct = prealloc_part("direct map", PAGE_OFFSET, DIRECT_MAP_END,
				(unsigned long)start, (unsigned long)end);
	*kasan = prealloc_kasan_shadow(start, end);
}
#else
static inline void prealloc_hotplug(struct area *vmemmap_area, struct area *direct,
				    struct area *kasan)
{
}
#endif

/**
 * pgtable_cache_init - preallocate the kernel's PGD entries
 *
 * What only memory hotplug changes is left alone without it.
 *
 * Context: boot, single hart, page allocator up, no process yet.
 */
void __init pgtable_cache_init(void)
{
	struct area vmalloc, modules, vmemmap_area = { }, direct = { }, kasan = { };

	vmalloc = prealloc_area("vmalloc", VMALLOC_START, VMALLOC_END);
	modules = prealloc_area("modules", MODULES_VADDR, MODULES_END);
	prealloc_hotplug(&vmemmap_area, &direct, &kasan);

	pr_info("preallocated %u page-table pages: vmalloc %u, modules %u, vmemmap %u, direct map %u, KASAN %u; %u for all of the areas\n",
		vmalloc.pages + modules.pages + vmemmap_area.pages + direct.pages + kasan.pages,
		vmalloc.pages, modules.pages, vmemmap_area.pages, direct.pages, kasan.pages,
		vmalloc.plain + modules.plain + vmemmap_area.plain + direct.plain + kasan.plain);
}
