/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SAMPLES_FTRACE_RISCV_DIRECT_H
#define _SAMPLES_FTRACE_RISCV_DIRECT_H

#include <asm/asm.h>

/*
 * A function that is called directly at the start of a traced function. t0 is
 * where the traced function goes on, behind two instructions that called us,
 * and ra is where the traced function returns to. Its arguments must survive.
 */
#define RISCV_SAVED(n)	#n "*" SZREG "(sp)\n"

#define __RISCV_DIRECT_TRAMP(tramp, func, arg)				\
"	.pushsection	.text, \"ax\", @progbits\n"			\
"	.type		" #tramp ", @function\n"				\
"	.globl		" #tramp "\n"					\
#tramp ":\n"								\
"	addi		sp, sp, -12*" SZREG "\n"				\
"	" REG_S "	a0, " RISCV_SAVED(0)				\
"	" REG_S "	a1, " RISCV_SAVED(1)				\
"	" REG_S "	a2, " RISCV_SAVED(2)				\
"	" REG_S "	a3, " RISCV_SAVED(3)				\
"	" REG_S "	a4, " RISCV_SAVED(4)				\
"	" REG_S "	a5, " RISCV_SAVED(5)				\
"	" REG_S "	a6, " RISCV_SAVED(6)				\
"	" REG_S "	a7, " RISCV_SAVED(7)				\
"	" REG_S "	t0, " RISCV_SAVED(8)				\
"	" REG_S "	ra, " RISCV_SAVED(9)				\
arg									\
"	call		" #func "\n"					\
"	" REG_L "	a0, " RISCV_SAVED(0)				\
"	" REG_L "	a1, " RISCV_SAVED(1)				\
"	" REG_L "	a2, " RISCV_SAVED(2)				\
"	" REG_L "	a3, " RISCV_SAVED(3)				\
"	" REG_L "	a4, " RISCV_SAVED(4)				\
"	" REG_L "	a5, " RISCV_SAVED(5)				\
"	" REG_L "	a6, " RISCV_SAVED(6)				\
"	" REG_L "	a7, " RISCV_SAVED(7)				\
"	" REG_L "	t0, " RISCV_SAVED(8)				\
"	" REG_L "	ra, " RISCV_SAVED(9)				\
"	addi		sp, sp, 12*" SZREG "\n"				\
"	jr		t0\n"						\
"	.size		" #tramp ", .-" #tramp "\n"			\
"	.popsection\n"

/* Call @func with the arguments of the traced function. */
#define RISCV_DIRECT_TRAMP(tramp, func)	__RISCV_DIRECT_TRAMP(tramp, func, "")

/* Call @func with the address of the traced function. */
#define RISCV_DIRECT_TRAMP_IP(tramp, func)				\
	__RISCV_DIRECT_TRAMP(tramp, func, "	addi		a0, t0, -8\n")

#endif /* _SAMPLES_FTRACE_RISCV_DIRECT_H */
