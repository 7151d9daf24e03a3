/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hart 0 interrupts hart 1, which waits for that, and counts until hart 1 answers. This is done ROUNDS times.
 * In at least half of them, hart 0 must not count to LIMIT. In some it may: a turn of hart 1 may be over
 * when it has not answered, or not gone back to wait.
 */
#include "machine.h"

test:
	li	s0, ROUNDS
	li	s1, LIMIT
	la	s2, job
	la	s3, answer
	li	s4, ROUNDS / 2		/* how many rounds may take longer */
1:	sd	s3, 0(s2)
	sd	zero, 8(s2)
	fence
	li	t0, MSIP + 4
	li	t1, 1
	sw	t1, 0(t0)
	li	t0, 0
2:	addi	t0, t0, 1
	ld	t1, 8(s2)
	beqz	t1, 2b
	slt	t0, s1, t0
	sub	s4, s4, t0
	addi	s0, s0, -1
	bnez	s0, 1b
	slti	a0, s4, 0
	finish	0, 1

answer:
	li	a0, 1
	ret
