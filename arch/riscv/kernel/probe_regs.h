/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Registers as probes and tracers get them, in a struct pt_regs at sp, when the
 * kernel has called them without an exception.
 */
#ifndef _RISCV_KERNEL_PROBE_REGS_H
#define _RISCV_KERNEL_PROBE_REGS_H

#include <asm/asm.h>
#include <asm/asm-offsets.h>
#include <asm/csr.h>

	.macro save_arguments
	REG_S	a0, PT_A0(sp)
	REG_S	a1, PT_A1(sp)
	REG_S	a2, PT_A2(sp)
	REG_S	a3, PT_A3(sp)
	REG_S	a4, PT_A4(sp)
	REG_S	a5, PT_A5(sp)
	REG_S	a6, PT_A6(sp)
	REG_S	a7, PT_A7(sp)
	.endm

/*
 * All but the arguments, ra, sp, s0 and epc. The values of t1 and t3 are lost.
 * Overwrites t1, t4 and t5.
 */
	.macro save_other_registers
	REG_S	gp, PT_GP(sp)
	REG_S	tp, PT_TP(sp)
	REG_S	t0, PT_T0(sp)
	REG_S	zero, PT_T1(sp)
	REG_S	t2, PT_T2(sp)
	REG_S	s1, PT_S1(sp)
	REG_S	s2, PT_S2(sp)
	REG_S	s3, PT_S3(sp)
	REG_S	s4, PT_S4(sp)
	REG_S	s5, PT_S5(sp)
	REG_S	s6, PT_S6(sp)
	REG_S	s7, PT_S7(sp)
	REG_S	s8, PT_S8(sp)
	REG_S	s9, PT_S9(sp)
	REG_S	s10, PT_S10(sp)
	REG_S	s11, PT_S11(sp)
	REG_S	zero, PT_T3(sp)
	REG_S	t4, PT_T4(sp)
	REG_S	t5, PT_T5(sp)
	REG_S	t6, PT_T6(sp)
	REG_S	zero, PT_BADADDR(sp)
	REG_S	zero, PT_CAUSE(sp)

	/* As if an exception had come from here */
	csrr	t1, CSR_STATUS
	andi	t4, t1, SR_IE
	slli	t4, t4, 4			/* SR_PIE */
	li	t5, ~(SR_PIE | SR_IE)
	and	t1, t1, t5
	or	t1, t1, t4
	li	t5, SR_PP
	or	t1, t1, t5
	REG_S	t1, PT_STATUS(sp)
	.endm

#endif /* _RISCV_KERNEL_PROBE_REGS_H */
