/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Make new kernel mappings visible to all harts without interrupting them.
 *
 * A RISC-V hart may cache that an address has no valid translation. After a
 * page-table entry has become valid, such a hart goes on faulting there until
 * it executes sfence.vma. Whoever maps memory could have all harts execute one
 * right away, but most harts will never touch most new mappings, and
 * interrupting them costs far more than the mapping.
 *
 * Instead the mappings are counted, and each hart remembers the count that it has
 * fenced for. A hart that traps in the kernel while it is behind executes one
 * sfence.vma and is up to date (see kernel/entry-lazy-fence.S). If the trap is a
 * page fault on a kernel address, the access is repeated; should it fault again,
 * the hart is not behind any more and the fault is a real one.
 *
 * This is for mappings where there was none before. Taking permissions away,
 * or changing what is mapped, needs a TLB flush as ever.
 */
#ifndef _ASM_RISCV_LAZY_FENCE_H
#define _ASM_RISCV_LAZY_FENCE_H

#include <linux/atomic.h>

extern atomic_long_t lazy_fence_made;

/**
 * lazy_fence_new_mapping - let all harts see the kernel mappings made so far
 *
 * To be called after page-table entries of the kernel have become valid and
 * before anybody is told of the addresses. On 64-bit with an MMU only.
 *
 * Context: any.
 */
static inline void lazy_fence_new_mapping(void)
{
	/* The entries first, then the count by which harts find out */
	smp_mb__before_atomic();
	atomic_long_inc(&lazy_fence_made);
}

#endif /* _ASM_RISCV_LAZY_FENCE_H */
