// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large pages in the vmalloc space.
 *
 * Generic code (mm/vmalloc.c) asks for them where address, size and alignment
 * allow. No TLB flush is needed here when an entry becomes valid: the caller
 * calls flush_cache_vmap() afterwards, see asm/lazy_fence.h. When an entry is
 * cleared, the caller flushes the TLB. There is one exception: a page table
 * must not be freed while a hart or ptdump may still walk it, so the functions
 * that free page tables flush the TLB themselves, and wait for ptdump.
 */

#include <linux/mm.h>
#include <linux/pgalloc.h>
#include <linux/pgtable.h>
#include <linux/ptdump.h>
#include <linux/vmalloc.h>

#include <asm/tlbflush.h>

/**
 * p4d_set_huge - map with a P4D entry
 * @p4d: the entry
 * @addr: physical address
 * @prot: protection
 *
 * With up to four levels, the P4D is the PGD, which each process has a copy of.
 * With five levels, no machine has use for pages of 512 GiB.
 *
 * Return: 0, so that the caller maps smaller pages.
 */
int p4d_set_huge(p4d_t *p4d, phys_addr_t addr, pgprot_t prot)
{
	return 0;
}

/**
 * p4d_clear_huge - take down what p4d_set_huge() made
 * @p4d: the entry
 */
void p4d_clear_huge(p4d_t *p4d)
{
}

/**
 * p4d_free_pud_page - make way for p4d_set_huge()
 * @p4d: an entry that points to a page table
 * @addr: virtual address that the entry maps
 *
 * Return: 0, so that the caller maps smaller pages.
 */
int p4d_free_pud_page(p4d_t *p4d, unsigned long addr)
{
	return 0;
}

/**
 * pud_set_huge - map with a PUD entry
 * @pud: the entry, which maps nothing
 * @addr: physical address
 * @prot: protection
 *
 * Return: 1.
 */
int pud_set_huge(pud_t *pud, phys_addr_t addr, pgprot_t prot)
{
	set_pud(pud, pfn_pud(PHYS_PFN(addr), prot));

	return 1;
}

/**
 * pud_clear_huge - take down what pud_set_huge() made
 * @pud: the entry
 *
 * Context: a TLB flush of all harts has to follow.
 *
 * Return: 1 if it was a leaf entry and is none any more, 0 if not.
 */
int pud_clear_huge(pud_t *pud)
{
	if (!pud_leaf(READ_ONCE(*pud)))
		return 0;

	pud_clear(pud);

	return 1;
}

/**
 * pud_free_pmd_page - free the page tables behind a PUD entry
 * @pud: an entry that points to a page table; nothing is mapped in its range
 * @addr: virtual address that the entry maps
 *
 * Return: 1.
 */
int pud_free_pmd_page(pud_t *pud, unsigned long addr)
{
	pmd_t *pmd = pud_pgtable(*pud);
	int i;

	pud_clear(pud);
	/* After this no hart walks any of the tables */
	flush_tlb_kernel_range(addr, addr + PUD_SIZE);
	ptdump_wait();

	for (i = 0; i < PTRS_PER_PMD; i++) {
		if (!pmd_none(pmd[i]))
			pte_free_kernel(NULL, (pte_t *)pmd_page_vaddr(pmd[i]));
	}
	pmd_free(NULL, pmd);

	return 1;
}

/**
 * pmd_set_huge - map with a PMD entry
 * @pmd: the entry, which maps nothing
 * @addr: physical address
 * @prot: protection
 *
 * Return: 1.
 */
int pmd_set_huge(pmd_t *pmd, phys_addr_t addr, pgprot_t prot)
{
	set_pmd(pmd, pfn_pmd(PHYS_PFN(addr), prot));

	return 1;
}

/**
 * pmd_clear_huge - take down what pmd_set_huge() made
 * @pmd: the entry
 *
 * Context: a TLB flush of all harts has to follow.
 *
 * Return: 1 if it was a leaf entry and is none any more, 0 if not.
 */
int pmd_clear_huge(pmd_t *pmd)
{
	if (!pmd_leaf(READ_ONCE(*pmd)))
		return 0;

	pmd_clear(pmd);

	return 1;
}

/**
 * pmd_free_pte_page - free the page table behind a PMD entry
 * @pmd: an entry that points to a page table; nothing is mapped in its range
 * @addr: virtual address that the entry maps
 *
 * Return: 1.
 */
int pmd_free_pte_page(pmd_t *pmd, unsigned long addr)
{
	pte_t *pte = (pte_t *)pmd_page_vaddr(*pmd);

	pmd_clear(pmd);
	/* After this no hart walks the table */
	flush_tlb_kernel_range(addr, addr + PMD_SIZE);
	ptdump_wait();
	pte_free_kernel(NULL, pte);

	return 1;
}
