/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a function returns to if somebody wants to know of that, see rethook.c.
 */

#include <linux/linkage.h>

#include <asm/asm.h>
#include <asm/asm-offsets.h>

#include "../probe_regs.h"

/*
 * A stack frame for the unwinder, in as many bytes as keep the stack aligned. It
 * says that this was called from itself: the unwinder replaces the address, as
 * in the frame of any function whose return is hooked.
 */
#define FRAME_SIZE	16
#define FRAME_END	(PT_SIZE_ON_STACK + FRAME_SIZE)

	/* Kprobes cannot be in here, as in the code that calls tracers. */
	.section .kprobes.text, "ax"

/*
 * a0, a1: what the function returns
 *
 * All other arguments and temporary registers are free: the caller of the function
 * expects no value in them.
 */
ENTRY(arch_rethook_trampoline)
	addi	sp, sp, -FRAME_END
	lla	t1, arch_rethook_trampoline
	REG_S	s0, FRAME_END - 2 * SZREG(sp)
	REG_S	t1, FRAME_END - SZREG(sp)

	save_arguments
	save_other_registers
	addi	t1, sp, FRAME_END
	REG_S	ra, PT_RA(sp)
	REG_S	t1, PT_SP(sp)
	REG_S	s0, PT_S0(sp)
	REG_S	zero, PT_ORIG_A0(sp)

	mv	a0, sp
	mv	a1, s0
	mv	s0, t1
	call	rethook_trampoline_handler
	mv	ra, a0

	/* Functions in C keep all other registers that the caller wants to keep. */
	REG_L	a0, PT_A0(sp)
	REG_L	a1, PT_A1(sp)
	REG_L	s0, PT_S0(sp)
	addi	sp, sp, FRAME_END
	ret
END(arch_rethook_trampoline)
