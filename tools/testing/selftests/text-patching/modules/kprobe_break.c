// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first instruction is a short ebreak, where kprobe_long has one of 4
 * bytes. The ebreak belongs to a WARN_ONCE() that has warned already, so it
 * does nothing. Reading the parameter "answer" gives 42, unless the kernel
 * takes the ebreak for a probe of kprobe_long.
 */
#include <linux/bug.h>
#include <linux/module.h>
#include <linux/stringify.h>

#include "common.h"

long kprobe_break_text(long value);

#ifdef CONFIG_DEBUG_BUGVERBOSE
#define FILE_AND_LINE	".word 0\n.half 0\n"
#else
#define FILE_AND_LINE
#endif

asm(".text\n"
	".type kprobe_break_text, @function\n"
	"kprobe_break_text:\n"
	"c.ebreak\n"
	"c.addi a0, 1\n"
	"ret\n"
	".size kprobe_break_text, . - kprobe_break_text\n"
	".pushsection __bug_table, \"aw\"\n"
	".balign 4\n"
	".word kprobe_break_text - .\n"
	FILE_AND_LINE
	".half " __stringify(BUGFLAG_WARNING | BUGFLAG_ONCE | BUGFLAG_DONE) "\n"
	".balign 4\n"
	".popsection\n");

static int kprobe_break_answer(void)
{
	return kprobe_break_text(41);
}

module_param_cb(answer, &answer_ops, kprobe_break_answer, 0444);
MODULE_PARM_DESC(answer, "42 if the ebreak is its own");

MODULE_DESCRIPTION("An ebreak where a probe was");
MODULE_LICENSE("GPL");
