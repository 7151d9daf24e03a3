// SPDX-License-Identifier: GPL-2.0-only
/*
 * The KASAN shadow of device memory, which says that all of it may be accessed.
 */

#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>

#include <asm/tlbflush.h>

/* Map the early shadow page wherever nothing is mapped */
static void map_early_ptes(pmd_t *pmd, unsigned long addr, unsigned long end)
{
	struct page *early = virt_to_page(lm_alias(kasan_early_shadow_page));
	pte_t *pte = pte_offset_kernel(pmd, addr);

	for (; addr < end; addr += PAGE_SIZE, pte++) {
		if (pte_none(*pte))
			set_pte(pte, mk_pte(early, __pgprot(_PAGE_PRESENT | _PAGE_READ |
							    _PAGE_ACCESSED)));
	}
}

/**
 * kasan_add_zero_shadow - have a shadow for device memory
 * @start: address of the memory in the direct map
 * @size: bytes
 *
 * Boot maps the early shadow wherever there is no memory, and device memory uses it.
 * If other memory was added to this range before and removed again, the early shadow
 * was unmapped, see kasan_hotplug_prepare(). Map it again. The shared early tables
 * are not written to, because they have no empty entry.
 *
 * Context: process context, inside mem_hotplug_begin().
 *
 * Return: 0, -EINVAL if the shadow of the range does not consist of whole
 * pages, or -ENOMEM.
 */
int kasan_add_zero_shadow(void *start, unsigned long size)
{
	unsigned long addr = (unsigned long)kasan_mem_to_shadow(start);
	unsigned long end = (unsigned long)kasan_mem_to_shadow(start + size);
	unsigned long next;

	if (WARN_ON(!IS_ALIGNED(addr | end, PAGE_SIZE)))
		return -EINVAL;

	for (; addr < end; addr = next) {
		pmd_t *pmd = pmd_off_k(addr);

		next = pmd_addr_end(addr, end);
		if (pmd_none(*pmd) && next - addr == PMD_SIZE) {
			pmd_populate_kernel(&init_mm, pmd, lm_alias(kasan_early_shadow_pte));
			continue;
		}

		if (pmd_none(*pmd)) {
			pte_t *table = pte_alloc_one_kernel(&init_mm);

			if (!table)
				return -ENOMEM;
			/* Other harts walk the shadow: the empty table first, then the entry */
			smp_wmb();
			pmd_populate_kernel(&init_mm, pmd, table);
		}
		map_early_ptes(pmd, addr, next);
	}

	flush_tlb_all();

	return 0;
}

/**
 * kasan_remove_zero_shadow - nothing to undo
 * @start: what kasan_add_zero_shadow() was given
 * @size: bytes
 *
 * The early shadow may stay. When memory is added here, it is unmapped, see
 * kasan_hotplug_prepare().
 */
void kasan_remove_zero_shadow(void *start, unsigned long size)
{
}
