/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Load from the address VA, change its translation, execute FENCE, and load again. Pages A and B hold the
 * numbers 10 and 11. Without another word, VA is mapped to A at first, and then to B. FENCE may use the
 * registers va (VA), other_va (another address in the same 2 MiB), asid (which is current) and other_asid.
 *
 * MAP		VA is not mapped at first, and then to A.
 * LOOP		the same, but the entry of VA is a pointer at first, to the page table that it is in.
 * NEIGHBOUR	the same as MAP, but the first load is from the page below VA.
 * TABLE	the same as MAP, but it is the page table of VA that is missing at first.
 * UNMAP	VA is not mapped at the end.
 * POINTER	VA gets another page table.
 * SUPERPAGE	VA is in a page of 2 MiB.
 * HUGE		VA is not mapped at first, and has no page table. Then it is in a page of 2 MiB, to B.
 * COLLAPSE	the page table of VA is replaced with a page of 2 MiB.
 * SPLIT	VA is in a page of 2 MiB at first, which is replaced with a page table.
 * SATP		satp gets another root, in which VA is mapped to B.
 * ASID		the same with another ASID.
 * BACK		the same as without a word, but satp has another ASID and another root while the mapping
 *		is changed and FENCE is executed.
 * BARE		the same, but satp selects no translation meanwhile.
 * DIRTY	the last access is a store, for which hardware must set the dirty bit.
 * REMOTE	hart 1 loads, hart 0 changes the mapping and executes FENCE, and hart 1 executes REMOTE before
 *		it loads again.
 * LATE		a fence at the end
 *
 * GLOBAL	the flags of the leaf entries (PTE_G or 0)
 * TABLE_GLOBAL	the flags of the pointers (PTE_G or 0)
 */
#include "machine.h"

#define VA		0x40005000
#define LEAF		0xc7	/* valid, readable, writable, accessed, dirty */
#define PTE_G		0x20
#define PTE_D		0x80
#ifndef GLOBAL
#define GLOBAL		0
#endif
#ifndef TABLE_GLOBAL
#define TABLE_GLOBAL	0
#endif
#ifndef SUPERPAGE
#define SUPERPAGE	0
#endif

#define va		s1
#define other_va	s2
#define asid		s3
#define other_asid	s4

/* The entry \index of \table is for the page \to */
	.macro set table, index, to, flags
	la	t0, \table
	la	t1, \to
	srli	t1, t1, 12
	slli	t1, t1, 10
	ori	t1, t1, \flags
	sd	t1, 8 * \index(t0)
	.endm

	.macro clear table, index
	la	t0, \table
	sd	zero, 8 * \index(t0)
	.endm

	.macro use root, number
	la	t0, \root
	srli	t0, t0, 12
	li	t1, 8 << 60 | \number << 44
	or	t0, t0, t1
	csrw	satp, t0
	.endm

	.macro map_va_to to
#if SUPERPAGE
	set	middle1, 0, \to\()_large, LEAF | GLOBAL
#elif defined(DIRTY)
	set	last1, 5, \to, (LEAF & ~PTE_D) | GLOBAL
#else
	set	last1, 5, \to, LEAF | GLOBAL
#endif
	.endm

	.macro load from
	mv	a0, \from
	jal	access
	.endm

test:
	li	va, VA
	li	other_va, VA + 0x1000
	li	asid, 1
	li	other_asid, 2
	/* Two address spaces */
	set	root1, 1, middle1, 1
	set	middle1, 0, last1, 1 | TABLE_GLOBAL
	set	root2, 1, middle2, 1
	set	middle2, 0, last2, 1 | TABLE_GLOBAL
	set	last2, 5, page_b, LEAF | GLOBAL
	/* Hardware sets dirty bits: menvcfg.ADUE */
	li	t0, 1 << 61
	csrs	menvcfg, t0
	use	root1, 1
	sfence.vma

	/* The first load */
#if defined(LOOP)
	set	last1, 5, last1, 1
#endif
#if defined(MAP)
	load	va
	expect	-1
#elif defined(TABLE)
	map_va_to page_a
	clear	middle1, 0
	load	va
	expect	-1
#elif defined(HUGE)
	clear	middle1, 0
	load	va
	expect	-1
#elif defined(SPLIT)
	set	last1, 5, page_b, LEAF | GLOBAL
	set	middle1, 0, page_a_large, LEAF | GLOBAL
	load	va
	expect	10
#elif defined(NEIGHBOUR)
	set	last1, 4, page_b, LEAF | GLOBAL
	li	t0, 0x1000
	sub	a0, va, t0
	jal	access
	expect	11
#elif defined(REMOTE)
	map_va_to page_a
	on_hart1 remote_load
	expect	10
#else
	map_va_to page_a
	load	va
	expect	10
#endif

	/* The change */
#if defined(BACK)
	use	root2, 2
	load	va
#elif defined(BARE)
	csrw	satp, zero
#endif
#if defined(MAP) || defined(NEIGHBOUR)
	map_va_to page_a
#elif defined(HUGE) || defined(COLLAPSE)
	set	middle1, 0, page_b_large, LEAF | GLOBAL
#elif defined(TABLE) || defined(SPLIT)
	set	middle1, 0, last1, 1 | TABLE_GLOBAL
#elif defined(UNMAP)
	clear	last1, 5
#elif defined(POINTER)
	set	middle1, 0, last2, 1 | TABLE_GLOBAL
#elif defined(SATP)
	use	root2, 1
#elif defined(ASID)
	use	root2, 2
#else
	map_va_to page_b
#endif
	FENCE
#if defined(BACK) || defined(BARE)
	use	root1, 1
#endif

	/* The second load */
#if defined(REMOTE)
	on_hart1 remote_fence_and_load
	finish	11, 10
#elif defined(DIRTY)
	mv	a0, va
	li	a1, 12
	jal	store
	la	t0, page_b
	ld	a0, 0(t0)
	finish	12, 11
#else
	load	va
#ifdef LATE
	LATE
#endif
#if defined(MAP) || defined(NEIGHBOUR) || defined(TABLE)
	finish	10, -1
#elif defined(UNMAP)
	finish	-1, 10
#elif defined(HUGE)
	finish	11, -1
#else
	finish	11, 10
#endif
#endif

/* Load from the address in a0, or store a1 there, with the translation of supervisor mode */
access:
	jal	t5, translate
	ld	a0, 0(a0)
	j	1f
store:
	jal	t5, translate
	sd	a1, 0(a0)
1:	li	t0, 1 << 17
	csrc	mstatus, t0
	ret

translate:
	li	t0, 3 << 11		/* mstatus.MPP */
	csrc	mstatus, t0
	li	t0, 1 << 17 | 1 << 11	/* mstatus.MPRV, MPP = S */
	csrs	mstatus, t0
	jr	t5

#ifdef REMOTE
remote_load:
	mv	s10, ra
	li	va, VA
	li	other_va, VA + 0x1000
	li	asid, 1
	use	root1, 1
	load	va
	jr	s10

remote_fence_and_load:
	mv	s10, ra
	REMOTE
	load	va
	jr	s10
#endif

	.data
	.balign	4096
root1:	.zero	4096
root2:	.zero	4096
middle1: .zero	4096
middle2: .zero	4096
last1:	.zero	4096
last2:	.zero	4096
page_a:	.dword	10
	.balign	4096
page_b:	.dword	11
	.balign	4096
#if SUPERPAGE || defined(HUGE) || defined(COLLAPSE) || defined(SPLIT)
	.balign	0x200000
page_a_large:
	.zero	0x5000
	.dword	10
	.balign	0x200000
page_b_large:
	.zero	0x5000
	.dword	11
#endif
