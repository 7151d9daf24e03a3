// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instructions of 4 bytes. The second half of the first one also looks like the
 * beginning of a 4-byte instruction. Code that decodes it misses the next one.
 */
#include <linux/module.h>

asm(".text\n"
	".option push\n"
	".option norvc\n"
	".type kprobe_long_text, @function\n"
	"kprobe_long_text:\n"
	"lui t0, 0x30\n"
	"nop\n"
	".size kprobe_long_text, . - kprobe_long_text\n"
	".option pop\n");

MODULE_DESCRIPTION("Long instructions to probe");
MODULE_LICENSE("GPL");
