// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kretprobes and fprobes learn that a function returns: it returns to
 * arch_rethook_trampoline(), which calls them.
 *
 * A function is called with its return address in ra, and keeps the frame pointer
 * of its caller in s0. So both are there to be replaced and compared at its
 * start, and s0 is the same again when it returns. Without frame pointers, s0
 * is any value that the function has to keep.
 */

#include <linux/kprobes.h>
#include <linux/rethook.h>

#include <asm/stacktrace.h>

/**
 * arch_rethook_prepare - let a function return to the trampoline
 * @rhn: remembers where it would have returned to
 * @regs: the registers at the start of the function, with nothing of it executed
 * @mcount: whether ftrace or a kprobe has got here: @regs are the same
 */
void arch_rethook_prepare(struct rethook_node *rhn, struct pt_regs *regs, bool mcount)
{
	rhn->ret_addr = regs->ra;
	rhn->frame = regs->s0;
	regs->ra = (unsigned long)arch_rethook_trampoline;
}

NOKPROBE_SYMBOL(arch_rethook_prepare);

/**
 * arch_rethook_fixup_return - tell the unwinder where the trampoline returns to
 * @regs: the registers that the trampoline has saved
 * @correct_ret_addr: the address, of which no rethook_node will know any more
 */
void arch_rethook_fixup_return(struct pt_regs *regs, unsigned long correct_ret_addr)
{
	struct stackframe *frame = (struct stackframe *)regs->sp - 1;

	frame->ra = correct_ret_addr;
}

NOKPROBE_SYMBOL(arch_rethook_fixup_return);
