// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counters behind <asm/lazy_fence.h>.
 */

#include <linux/cache.h>
#include <linux/threads.h>

#include <asm/lazy_fence.h>

/* How often new kernel mappings have been announced */
atomic_long_t lazy_fence_made ____cacheline_aligned_in_smp;

/* Per CPU, how many of these its hart has fenced for; used by entry.S alone */
unsigned long lazy_fence_seen[NR_CPUS] ____cacheline_aligned_in_smp;
