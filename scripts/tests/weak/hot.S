/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Write a function into memory that is added while the machine runs, execute FENCE, and execute the function.
 * The program writes a byte to the serial port when it has begun, and waits until there is memory at ADDED.
 */
#include "machine.h"

#define SERIAL		0x10000000
#define LI_A0_2		0x00200513
#define RET		0x00008067

test:
	li	s0, ADDED
	la	t0, wait
	csrw	mtvec, t0
	li	t0, SERIAL
	sb	t0, 0(t0)
	/* Without memory there, the load causes a trap, which goes back to it */
	.balign	4
wait:
	lw	t0, 0(s0)
	la	t0, trap
	csrw	mtvec, t0

	li	t1, LI_A0_2
	sw	t1, 0(s0)
	li	t1, RET
	sw	t1, 4(s0)
	FENCE
	jalr	s0
	finish	2, -2
