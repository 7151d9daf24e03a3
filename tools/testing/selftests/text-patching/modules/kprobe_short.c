// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions of 2 bytes. They are probed; then kprobe_long takes the place of
 * this module, with an instruction of 4 bytes at the probed address.
 */
#include <linux/module.h>

asm(".text\n"
	".type kprobe_short_text, @function\n"
	"kprobe_short_text:\n"
	".rept 4\n"
	"c.nop\n"
	".endr\n"
	".size kprobe_short_text, . - kprobe_short_text\n");

MODULE_DESCRIPTION("Short instructions to probe");
MODULE_LICENSE("GPL");
