// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counter behind <asm/lazy_fence.h>.
 */

#include <linux/cache.h>

#include <asm/lazy_fence.h>

/* How often new kernel mappings have been announced */
atomic_long_t lazy_fence_made ____cacheline_aligned_in_smp;
