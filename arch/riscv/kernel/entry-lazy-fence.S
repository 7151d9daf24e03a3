/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of the exception entry that <asm/lazy_fence.h> describes.
 */

#include <linux/threads.h>

#include <asm/cache.h>

#if defined(CONFIG_MMU) && defined(CONFIG_64BIT)

/*
 * lazy_fence_made counts the new mappings. lazy_fence_seen has, for each CPU, the
 * count that its hart has fenced for. Each counter has a cache line of its own:
 * every trap from the kernel reads two of them, and would have to fetch the line
 * again after another CPU has written to it. A per-CPU variable would take four
 * more instructions to find.
 */
	.pushsection .bss
	.balign	L1_CACHE_BYTES
	.globl	lazy_fence_made
lazy_fence_made:
	.zero	L1_CACHE_BYTES
lazy_fence_seen:
	.zero	NR_CPUS * L1_CACHE_BYTES
	.popsection

/*
 * To be used on a trap from the kernel, while tp and CSR_SCRATCH hold the task
 * and TASK_TI_KERNEL_SP(tp) holds sp. Preserves all registers.
 *
 * The stack is a vmalloc mapping, and may be a new one: this hart may never have
 * touched the part of the stack that a trap writes to. A page fault there, while
 * the registers are being saved, would overwrite the CSRs of the trap that is
 * being handled. So the macro comes before anything is written to the stack, and
 * a hart that is behind fences on any trap, not only on page faults. A trap from
 * user mode needs none of this. It writes to the top of the stack, which the
 * task read when it last left for user mode on this hart.
 *
 * TASK_TI_USER_SP is free to hold a0: a trap uses it only while it saves the
 * registers, and no other trap can occur then.
 */
	.macro lazy_fence
	.option push
	.option norelax
	REG_S	a0, TASK_TI_USER_SP(tp)
	lw	sp, TASK_TI_CPU(tp)
	slli	sp, sp, L1_CACHE_SHIFT
	la	a0, lazy_fence_seen
	add	sp, sp, a0
	la	a0, lazy_fence_made

	/*
	 * This hart uses a new mapping because it has loaded an address, or a
	 * stack pointer, that another hart stored after it had counted the
	 * mapping. The count must be loaded after that. A trap does not order
	 * the two loads, and neither depends on the other: without this fence,
	 * the hart may load the count too early, and find an old one.
	 */
	fence	r, r
	REG_L	a0, (a0)
	REG_L	tp, (sp)
	beq	tp, a0, .Lin_sync_\@

	/*
	 * Pairs with the barrier in lazy_fence_new_mapping(): the page-table
	 * entries of the mappings counted in a0 are visible to this hart by
	 * now, and sfence.vma orders what is visible before later walks.
	 */
	fence	r, rw
	REG_S	a0, (sp)
	sfence.vma

	/* The page faults are causes 12, 13 and 15; 14 is reserved */
	csrr	a0, CSR_CAUSE
	andi	a0, a0, ~3
	addi	a0, a0, -EXC_INST_PAGE_FAULT
	bnez	a0, .Lin_sync_\@

	/* Kernel addresses are the negative ones */
	csrr	a0, CSR_TVAL
	bgez	a0, .Lin_sync_\@

	csrr	tp, CSR_SCRATCH
	REG_L	a0, TASK_TI_USER_SP(tp)
	REG_L	sp, TASK_TI_KERNEL_SP(tp)
	csrw	CSR_SCRATCH, x0
	sret

.Lin_sync_\@:
	csrr	tp, CSR_SCRATCH
	REG_L	a0, TASK_TI_USER_SP(tp)
	REG_L	sp, TASK_TI_KERNEL_SP(tp)
	.option pop
	.endm

#else

	.macro lazy_fence
	.endm

#endif
