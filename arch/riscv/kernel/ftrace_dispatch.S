/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What traced functions call, see ftrace_site.c.
 */

#include <linux/linkage.h>

#include <asm/asm.h>
#include <asm/asm-offsets.h>

#include "probe_regs.h"

/* From the slot of a site to where t0 points */
#define SITE_SIZE	12

/*
 * Two stack frames, for the unwinder: the one that the traced function would
 * have made, and one that says where in the traced function we are.
 */
#define FRAMES		(PT_SIZE_ON_STACK)
#define FRAMES_SIZE	(4 * SZREG)

	/*
	 * Kprobes cannot be in here: one that hits calls functions, which may be
	 * traced.
	 */
	.section .kprobes.text, "ax"

/*
 * t0: the traced function, behind its site
 * ra: where it returns to
 *
 * Temporary registers are free: the caller of a function expects no value in
 * them, and the function has not begun.
 */
ENTRY(ftrace_dispatch)
	/* A direct call: leave it all to the function that it is for. */
	lw	t1, -SITE_SIZE(t0)
	beqz	t1, 1f
	add	t1, t1, t0
	jr	t1
1:
	REG_L	t3, ftrace_dispatch_ops
	mv	t1, sp
	addi	sp, sp, -(PT_SIZE_ON_STACK + FRAMES_SIZE)

	REG_S	s0, FRAMES + 2 * SZREG(sp)
	REG_S	ra, FRAMES + 3 * SZREG(sp)
	REG_S	t1, FRAMES + 0 * SZREG(sp)
	REG_S	t0, FRAMES + 1 * SZREG(sp)

	REG_S	t0, PT_EPC(sp)
	REG_S	ra, PT_RA(sp)
	REG_S	t1, PT_SP(sp)
	REG_S	s0, PT_S0(sp)
	save_arguments
	REG_S	zero, PT_ORIG_A0(sp)
	REG_S	zero, PT_STATUS(sp)

	addi	s0, sp, FRAMES + 2 * SZREG

	REG_L	t1, FTRACE_OPS_FLAGS(t3)
	andi	t1, t1, FTRACE_OPS_SAVE_REGS
	bnez	t1, .Lsave_regs
.Lcall:
	addi	a0, t0, -4
	mv	a1, ra
	mv	a2, t3
	mv	a3, sp
	REG_L	t1, FTRACE_OPS_FUNC(t3)
	jalr	t1

	REG_L	a0, PT_A0(sp)
	REG_L	a1, PT_A1(sp)
	REG_L	a2, PT_A2(sp)
	REG_L	a3, PT_A3(sp)
	REG_L	a4, PT_A4(sp)
	REG_L	a5, PT_A5(sp)
	REG_L	a6, PT_A6(sp)
	REG_L	a7, PT_A7(sp)
	REG_L	s0, PT_S0(sp)
	REG_L	ra, PT_RA(sp)
	REG_L	t0, PT_EPC(sp)
	REG_L	t1, PT_ORIG_A0(sp)
	addi	sp, sp, PT_SIZE_ON_STACK + FRAMES_SIZE

	/* There is a direct call, and there are other tracers. */
	bnez	t1, 2f
	jr	t0
2:	jr	t1

	/* All registers, for a tracer that wants them */
.Lsave_regs:
	save_other_registers
	j	.Lcall
END(ftrace_dispatch)

/* A direct call that does nothing, for the selftest */
ENTRY(ftrace_stub_direct_tramp)
	jr	t0
END(ftrace_stub_direct_tramp)
