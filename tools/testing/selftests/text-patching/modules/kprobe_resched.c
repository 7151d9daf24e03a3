// SPDX-License-Identifier: GPL-2.0-only
/*
 * A probe whose handler marks the task to be preempted. Reading the parameter
 * "answer" hits the probe. It gives 42 if the kernel did not preempt the task
 * before the probed instruction was executed: it must not, because interrupts
 * are disabled there. A kernel without preemption cannot fail.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "common.h"

long kprobe_resched_call(long value);

asm(".text\n"
	".type kprobe_resched_call, @function\n"
	"kprobe_resched_call:\n"
	"addi a0, a0, 1\n"
	"ret\n"
	".size kprobe_resched_call, . - kprobe_resched_call\n");

static int still_due;

static int before(struct kprobe *kp, struct pt_regs *regs)
{
	set_tsk_need_resched(current);
	return 0;
}

/* If the scheduler has run, it has cleared the mark. */
static void after(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
	still_due = test_tsk_need_resched(current);
}

static struct kprobe probe = {
	.addr = (kprobe_opcode_t *)kprobe_resched_call,
	.pre_handler = before,
	.post_handler = after,
};

static int kprobe_resched_answer(void)
{
	long value;

	still_due = 0;
	value = kprobe_resched_call(41);
	return still_due ? value : 0;
}

module_param_cb(answer, &answer_ops, kprobe_resched_answer, 0444);
MODULE_PARM_DESC(answer, "42 if the task was not preempted at the probe");

static int __init kprobe_resched_init(void)
{
	return register_kprobe(&probe);
}
module_init(kprobe_resched_init);

static void __exit kprobe_resched_exit(void)
{
	unregister_kprobe(&probe);
}
module_exit(kprobe_resched_exit);

MODULE_DESCRIPTION("A probe where another task is due");
MODULE_LICENSE("GPL");
