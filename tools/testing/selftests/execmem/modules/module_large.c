// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module with more than 4 MiB of text, with calls at both ends.
 */
#include <linux/module.h>

#include "common.h"

int module_large_first(int value);

/* A single jump instruction cannot reach from one end to the other. */
asm(".pushsection .text\n"
	".globl module_large_first\n"
	".type module_large_first, @function\n"
	"module_large_first:\n"
	"	addi	a0, a0, 1\n"
	"	tail	module_large_last\n"
	".size module_large_first, . - module_large_first\n"
	"	.fill	0x100000, 4, 0x00000013\n"	/* nop */
	".globl module_large_last\n"
	".type module_large_last, @function\n"
	"module_large_last:\n"
	"	slli	a0, a0, 1\n"
	"	ret\n"
	".size module_large_last, . - module_large_last\n"
	".popsection\n");

static int module_large_answer(void)
{
	return module_large_first(20);
}

module_param_cb(answer, &answer_ops, module_large_answer, 0444);
MODULE_PARM_DESC(answer, "Computed by both ends of the text");

MODULE_DESCRIPTION("A module with more text than a large page holds");
MODULE_LICENSE("GPL");
