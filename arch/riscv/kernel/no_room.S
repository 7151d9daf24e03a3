/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Say that the image does not fit into memory where it was loaded.
 *
 * It is the end of the image that is not in memory: data, or only the BSS. So
 * the code here uses neither data nor a stack.
 */

#include <linux/init.h>
#include <linux/linkage.h>

/* The number is for C only in <asm/sbi.h> */
#define SBI_EXT_0_1_CONSOLE_PUTCHAR	1

	__HEAD

/* The trap vector until the boot hart has cleared the BSS */
SYM_CODE_START(no_room)
	lla	s0, .Lmessage
1:	lbu	a0, 0(s0)
	beqz	a0, 2f
	li	a7, SBI_EXT_0_1_CONSOLE_PUTCHAR
	ecall
	addi	s0, s0, 1
	j	1b

2:	wfi
	j	2b
SYM_CODE_END(no_room)

.Lmessage:
	.asciz	"Linux does not fit into memory where it was loaded\n"
