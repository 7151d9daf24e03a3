// SPDX-License-Identifier: GPL-2.0-only
/*
 * Add memory to the direct map, and remove it, while the kernel runs.
 */

#include <linux/memblock.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>
#include <linux/range.h>
#include <linux/sizes.h>
#include <linux/swiotlb.h>

#include <asm/tlbflush.h>

#include "kasan_hotplug.h"
#include "kernel_unmap.h"

/*
 * Sv57 has room for 31 PiB in the direct map, with 127 PGD entries. 4 PiB take 16
 * of them, and are as much as x86-64 can have with its five levels.
 */
#define MAX_MAPPABLE	(4ULL << 50)

/**
 * arch_get_mappable_range - the physical addresses that memory may have
 *
 * The range has the addresses that the direct map can hold, but at most MAX_MAPPABLE
 * bytes. In the direct map, the PGD entries for this range and for no other are
 * preallocated, see pgd_prealloc.c.
 *
 * Return: the range, both ends included.
 */
struct range arch_get_mappable_range(void)
{
	phys_addr_t start = __pa(PAGE_OFFSET), end = __pa(DIRECT_MAP_END - 1);

	return (struct range){
		.start	= start,
		.end	= min_t(u64, end, start + MAX_MAPPABLE - 1),
	};
}

/* Map a large page, or small pages if each page is unmapped while it is free */
static int direct_map_add_pmd(pmd_t *pmd, phys_addr_t pa, pgprot_t prot)
{
	unsigned int i;
	pte_t *pte;

	if (!debug_pagealloc_enabled()) {
		set_pmd(pmd, pfn_pmd(PFN_DOWN(pa), prot));
		return 0;
	}

	pte = pte_alloc_kernel(pmd, (unsigned long)__va(pa));
	if (!pte)
		return -ENOMEM;

	for (i = 0; i < PTRS_PER_PTE; i++)
		set_pte(pte + i, pfn_pte(PFN_DOWN(pa) + i, prot));

	return 0;
}

/* After a failure, nothing of the range is mapped */
static int direct_map_add(phys_addr_t start, phys_addr_t end, pgprot_t prot)
{
	phys_addr_t pa;

	for (pa = start; pa < end; pa += PMD_SIZE) {
		unsigned long addr = (unsigned long)__va(pa);
		pgd_t *pgd = pgd_offset_k(addr);
		p4d_t *p4d;
		pud_t *pud;
		pmd_t *pmd;

		p4d = p4d_alloc(&init_mm, pgd, addr);
		pud = p4d ? pud_alloc(&init_mm, p4d, addr) : NULL;
		pmd = pud ? pmd_alloc(&init_mm, pud, addr) : NULL;
		if (!pmd || direct_map_add_pmd(pmd, pa, prot)) {
			/* Some page tables for @addr may exist: free them, too */
			kernel_unmap((unsigned long)__va(start), addr + PMD_SIZE);
			return -ENOMEM;
		}
	}

	return 0;
}

/*
 * A machine that boots with all of its memory below 4 GiB has no bounce buffers. When
 * memory above 4 GiB is added, devices that address 32 bits need them. They have to be
 * in one piece: allocate the largest piece that the page allocator can give.
 */
static void add_bounce_buffers(phys_addr_t end)
{
	if (end <= SZ_4G || io_tlb_default_mem.nslabs)
		return;

	if (swiotlb_init_late(PAGE_SIZE << (MAX_ORDER - 1), GFP_KERNEL | GFP_DMA32, NULL))
		pr_warn("No memory for bounce buffers: devices that address 32 bits cannot use memory above 4 GiB\n");
}

/**
 * arch_add_memory - map memory and give it struct pages
 * @nid: NUMA node of the memory
 * @start: physical address, aligned to PMD_SIZE
 * @size: bytes, a multiple of PMD_SIZE
 * @params: protection of the mapping, where the struct pages may be, and whether
 *	it is device memory
 *
 * The caller has checked that the range is mappable and that nothing is there.
 *
 * Context: process context, inside mem_hotplug_begin().
 *
 * Return: 0; -EINVAL for a misaligned range or -ENOMEM, with everything undone.
 */
int arch_add_memory(int nid, u64 start, u64 size, struct mhp_params *params)
{
	unsigned long end_pfn = PFN_DOWN(start + size);
	int ret;

	if (!IS_ALIGNED(start | size, PMD_SIZE))
		return -EINVAL;

	/* Device memory never goes online, and keeps the shadow that boot set up */
	if (!params->pgmap) {
		ret = kasan_hotplug_prepare(__va(start), size);
		if (ret)
			return ret;
	}

	ret = direct_map_add(start, start + size, params->pgprot);
	if (ret)
		return ret;

	/*
	 * The lazy fence would be too late: on a trap, a hart accesses its
	 * task_struct before it reaches the fence, and a task_struct may soon
	 * be in this memory.
	 */
	flush_tlb_all();

	add_bounce_buffers(start + size);

	ret = __add_pages(nid, PFN_DOWN(start), PFN_DOWN(size), params);
	if (ret) {
		kernel_unmap((unsigned long)__va(start),
			     (unsigned long)__va(start + size));
		return ret;
	}

	/* A lower range may come after a higher one, so these only grow */
	max_pfn = max(max_pfn, end_pfn);
	max_low_pfn = max(max_low_pfn, end_pfn);
	high_memory = max(high_memory, __va(start + size));

	return 0;
}

/**
 * arch_remove_memory - undo arch_add_memory()
 * @start: physical address, aligned to PMD_SIZE
 * @size: bytes, a multiple of PMD_SIZE
 * @altmap: what arch_add_memory() was given
 *
 * Context: process context, inside mem_hotplug_begin(). The memory is offline.
 */
void arch_remove_memory(u64 start, u64 size, struct vmem_altmap *altmap)
{
	__remove_pages(PFN_DOWN(start), PFN_DOWN(size), altmap);
	kernel_unmap((unsigned long)__va(start),
		     (unsigned long)__va(start + size));
}
