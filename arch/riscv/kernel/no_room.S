/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Say that the kernel cannot run where the image was loaded.
 *
 * The end of the image may not be in memory: data, or only the BSS. So the code
 * here uses neither data nor a stack.
 */

#include <linux/init.h>
#include <linux/linkage.h>

/* The number is for C only in <asm/sbi.h> */
#define SBI_EXT_0_1_CONSOLE_PUTCHAR	1

	__HEAD

SYM_CODE_START(not_aligned)
	lla	s0, .Lnot_aligned
	j	.Lprint
SYM_CODE_END(not_aligned)

/* The trap vector until the boot hart has cleared the BSS */
SYM_CODE_START(no_room)
	lla	s0, .Lno_room
.Lprint:
	lbu	a0, 0(s0)
	beqz	a0, .Lend
	li	a7, SBI_EXT_0_1_CONSOLE_PUTCHAR
	ecall
	addi	s0, s0, 1
	j	.Lprint

.Lend:
	wfi
	j	.Lend
SYM_CODE_END(no_room)

.Lnot_aligned:
	.asciz	"Linux was not loaded at a multiple of 2 MiB\n"
.Lno_room:
	.asciz	"Linux does not fit into memory where it was loaded\n"
