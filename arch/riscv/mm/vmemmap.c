// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtual memory map: an array of struct page with holes.
 */

#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>

#include <asm/lazy_fence.h>

#include "kernel_unmap.h"

/* Map one page of PMD_SIZE; false if none can be allocated */
static bool __meminit vmemmap_populate_pmd(pmd_t *pmd, int node,
					   struct vmem_altmap *altmap)
{
	void *p = vmemmap_alloc_block_buf(PMD_SIZE, node, altmap);

	if (!p)
		return false;

	set_pmd(pmd, pfn_pmd(PFN_DOWN(__pa(p)), PAGE_KERNEL));
	return true;
}

static int __meminit __vmemmap_populate(unsigned long start, unsigned long end,
					int node, struct vmem_altmap *altmap)
{
	unsigned long addr, next;

	for (addr = start; addr < end; addr = next) {
		pgd_t *pgd;
		p4d_t *p4d;
		pud_t *pud;
		pmd_t *pmd;
		int ret;

		next = pmd_addr_end(addr, end);

		pgd = vmemmap_pgd_populate(addr, node);
		if (!pgd)
			return -ENOMEM;
		p4d = vmemmap_p4d_populate(pgd, addr, node);
		if (!p4d)
			return -ENOMEM;
		pud = vmemmap_pud_populate(p4d, addr, node);
		if (!pud)
			return -ENOMEM;
		pmd = pmd_offset(pud, addr);

		if (pmd_leaf(*pmd))
			continue;

		/*
		 * Use a large page only if the caller asks for all of it: a
		 * range that is populated in parts is taken down in parts, too.
		 */
		if (pmd_none(*pmd) && next - addr == PMD_SIZE &&
		    vmemmap_populate_pmd(pmd, node, altmap))
			continue;

		ret = vmemmap_populate_basepages(addr, next, node, altmap);
		if (ret)
			return ret;
	}

	return 0;
}

/**
 * vmemmap_populate - back a part of the memory map with memory
 * @start: address of the first struct page
 * @end: address behind the last one
 * @node: NUMA node to allocate from
 * @altmap: memory to use instead of the page allocator's, or %NULL
 *
 * A section of 128 MiB has 2 MiB of struct pages, aligned to 2 MiB, and they are
 * mapped with one large page. If less than that is populated, or no large page
 * can be allocated, base pages are used.
 *
 * Return: 0, or -ENOMEM; the caller then takes down the pages mapped so far.
 */
int __meminit vmemmap_populate(unsigned long start, unsigned long end, int node,
			       struct vmem_altmap *altmap)
{
	int ret = __vmemmap_populate(start, end, node, altmap);

	/*
	 * The caller initialises the struct pages right away, on this hart or,
	 * after a preemption, on another.
	 */
	lazy_fence_new_mapping();

	return ret;
}

#ifdef CONFIG_MEMORY_HOTPLUG
/**
 * vmemmap_free - take down a part of the memory map
 * @start: address of the first struct page
 * @end: address behind the last one
 * @altmap: what vmemmap_populate() was given
 *
 * Context: process context, inside mem_hotplug_begin().
 */
void vmemmap_free(unsigned long start, unsigned long end,
		  struct vmem_altmap *altmap)
{
	kernel_unmap_and_free(start, end, altmap);
}
#endif
