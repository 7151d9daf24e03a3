/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Replace an instruction that another hart executes all the time. Hart 1 calls a function in a loop. Hart 0
 * replaces the function's first instruction ROUNDS times, so that the function returns another number, and
 * tells hart 1, which then executes fence.i. From then on, hart 1 must not execute the old instruction.
 */
#include "machine.h"

#define LI_A0		0x00000513	/* li a0, 0 */

test:
	/* Hart 1 does not come back from this function, so do not wait for it */
	la	t0, job
	la	t1, call
	sd	t1, 0(t0)
	fence
	li	t0, MSIP + 4
	li	t1, 1
	sw	t1, 0(t0)

	li	s0, 1			/* the round, which is also the number */
	li	s1, ROUNDS
	la	s2, function
	la	s3, shared
1:	andi	t0, s0, 0x7ff
	slli	t0, t0, 20
	li	t1, LI_A0
	or	t0, t0, t1
	sw	t0, 0(s2)
	fence
	sd	s0, 0(s3)
2:	ld	t0, 8(s3)
	bne	t0, s0, 2b
	ld	a0, 16(s3)
	andi	t0, s0, 0x7ff
	bne	a0, t0, 3f
	addi	s0, s0, 1
	ble	s0, s1, 1b
	li	a0, 0
	finish	0, 1
3:	li	a0, 1
	finish	0, 1

call:
	li	s0, 0
	la	s3, shared
1:	jal	function
	ld	t0, 0(s3)
	beq	t0, s0, 1b
	mv	s0, t0
	fence
	fence.i
	jal	function
	sd	a0, 16(s3)
	fence
	sd	s0, 8(s3)
	j	1b

	.balign	4096
function:
	li	a0, 0
	ret
	.balign	4096

	.data
	.balign	4096
shared:	.dword	0, 0, 0
	.balign	4096
	.text
