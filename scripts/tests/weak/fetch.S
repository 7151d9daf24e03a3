/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Execute a function of two instructions that returns 1, replace its first instruction, so that it returns
 * 2, execute FENCE, and execute the function again. This is hart 0, with:
 *
 * NEW		the function was not executed before: its page was empty.
 * CROSS	the replaced instruction is at the end of a page and at the beginning of the next one. Only
 *		its second half is replaced.
 * EARLY	FENCE is executed before the instruction is replaced.
 * AGAIN	the function is also executed between the replacement and FENCE.
 * REMOTE	hart 1 executes the function, hart 0 replaces the instruction and executes FENCE, and hart 1
 *		executes REMOTE before it executes the function again.
 * LATE		a fence at the end
 */
#include "machine.h"

#define LI_A0_2		0x00200513
#define RET		0x00008067

test:
#ifdef REMOTE
	on_hart1 function
	expect	1
#elif !defined(NEW)
	jal	function
	expect	1
#endif
#ifdef EARLY
	FENCE
#endif
	la	t0, function
	li	t1, LI_A0_2
#ifdef CROSS
	srli	t1, t1, 16
	sh	t1, 2(t0)
#else
	sw	t1, 0(t0)
#endif
#ifdef NEW
	li	t1, RET
	sw	t1, 4(t0)
#endif
#ifdef AGAIN
	jal	function
#endif
#ifndef EARLY
	FENCE
#endif
#ifdef REMOTE
	on_hart1 again
#else
	jal	function
#endif
#ifdef LATE
	LATE
#endif
#ifdef NEW
	finish	2, -2
#else
	finish	2, 1
#endif

#ifdef REMOTE
again:
	REMOTE
	j	function
#endif

	.balign	4096
#ifdef CROSS
	.zero	4094
#endif
function:
#ifdef NEW
	.zero	8
#else
	li	a0, 1
	ret
#endif
	.balign	4096
