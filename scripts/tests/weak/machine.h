/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The beginning and the end of a program for the bare machine. All harts are in machine mode. Hart 0 runs
 * `test`, hart 1 runs what hart 0 asks it for.
 *
 * A trap puts a number into a0: -1 for a page fault, and the instruction is skipped; -2 for an illegal
 * instruction, and the function that executed it returns.
 */
#define FINISHER	0x100000	/* stops the machine with an exit status */
#define MSIP		0x2000000	/* one word for each hart: an interrupt for it */

/* Instructions of four bytes only, which traps can skip and patches can replace */
	.option norvc
	.option nopic

/* The machine's exit status is 0 if a0 is the number \fresh, 3 if it is \stale, else 2. QEMU's errors are 1. */
	.macro finish fresh, stale
	li	t0, FINISHER
	li	t1, 0x5555
	li	t2, \fresh
	beq	a0, t2, 1f
	li	t1, 3 << 16 | 0x3333
	li	t2, \stale
	beq	a0, t2, 1f
	li	t1, 2 << 16 | 0x3333
1:	sw	t1, 0(t0)
2:	j	2b
	.endm

/* The machine's exit status is 2 if a0 is not the number \n. */
	.macro expect n
	li	t2, \n
	beq	a0, t2, 3f
	finish	-100, -100
3:
	.endm

/* Call \function on hart 1. Its result is in a0. */
	.macro on_hart1 function
	la	a0, \function
	jal	run_on_hart1
	.endm

	.text
	.globl	_start
_start:
	la	t0, trap
	csrw	mtvec, t0
	csrwi	mie, 8
	/* All memory is accessible in all modes */
	li	t0, -1
	csrw	pmpaddr0, t0
	li	t0, 0x1f
	csrw	pmpcfg0, t0
	csrr	t0, mhartid
	beqz	t0, test

	/* Hart 1 */
1:	wfi
	li	t0, MSIP + 4
	lw	t1, 0(t0)
	beqz	t1, 1b
	sw	zero, 0(t0)
	la	s11, job
	ld	t0, 0(s11)
	jalr	t0
	sd	a0, 8(s11)
	fence
	li	t0, MSIP
	li	t1, 1
	sw	t1, 0(t0)
	j	1b

run_on_hart1:
	la	t0, job
	sd	a0, 0(t0)
	fence
	li	t0, MSIP + 4
	li	t1, 1
	sw	t1, 0(t0)
1:	wfi
	li	t0, MSIP
	lw	t1, 0(t0)
	beqz	t1, 1b
	sw	zero, 0(t0)
	la	t0, job
	ld	a0, 8(t0)
	ret

	.balign	4
trap:
	csrr	t0, mcause
	csrr	t1, mepc
	li	a0, -1
	addi	t1, t1, 4
	csrw	mepc, t1
	li	t1, 13		/* a load */
	beq	t0, t1, 4f
	li	t1, 15		/* a store */
	beq	t0, t1, 4f
	li	a0, -2
	csrw	mepc, ra
	li	t1, 2		/* an illegal instruction */
	beq	t0, t1, 4f
	finish	-100, -100
4:	li	t0, 3 << 11	/* mstatus.MPP: back to machine mode */
	csrs	mstatus, t0
	mret

	.data
	.balign	4096
job:	.dword	0, 0
	.balign	4096
	.text
