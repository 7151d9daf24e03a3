/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The same as tlb.S without a word, on a 32-bit CPU: load from VA, map it to another page, execute FENCE, and
 * load again. The CPU may be one of a 64-bit QEMU, whose registers hold addresses with the sign extended. FENCE
 * may use the registers of tlb.S. The bits of asid and other_asid above the ninth have no meaning.
 */
#define ld		lw
#define sd		sw
#include "machine.h"

#define VA		0xc0005000
#define LEAF		0xc7	/* valid, readable, writable, accessed, dirty */

#define va		s1
#define other_va	s2
#define asid		s3
#define other_asid	s4

/* The entry \index of \table is for the page \to */
	.macro set table, index, to, flags
	la	t0, \table + 4 * \index
	la	t1, \to
	srli	t1, t1, 12
	slli	t1, t1, 10
	ori	t1, t1, \flags
	sw	t1, 0(t0)
	.endm

	.macro load_from_va
	li	t0, 1 << 17 | 1 << 11	/* mstatus.MPRV, MPP = S */
	csrs	mstatus, t0
	lw	a0, 0(va)
	li	t0, 1 << 17
	csrc	mstatus, t0
	.endm

test:
	li	va, VA
	li	other_va, VA + 0x1000
	li	asid, 0x201
	li	other_asid, 0x202
	set	root, VA >> 22, last, 1
	set	last, 5, page_a, LEAF
	la	t0, root
	srli	t0, t0, 12
	li	t1, 1 << 31 | 1 << 22
	or	t0, t0, t1
	csrw	satp, t0
	sfence.vma
	load_from_va
	expect	10
	set	last, 5, page_b, LEAF
	FENCE
	load_from_va
	finish	11, 10

	.data
	.balign	4096
root:	.zero	4096
last:	.zero	4096
page_a:	.word	10
	.balign	4096
page_b:	.word	11
	.balign	4096
