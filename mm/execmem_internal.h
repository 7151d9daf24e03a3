/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files of the executable memory allocator and its tests. All
 * others include <linux/execmem.h>.
 */
#ifndef _MM_EXECMEM_INTERNAL_H
#define _MM_EXECMEM_INTERNAL_H

#include <linux/execmem.h>
#include <linux/mutex.h>

#include "execmem_areas.h"

/**
 * struct execmem_stats - counters of one type
 * @live: allocations that were not freed
 * @asked: bytes that were asked for
 * @used: bytes that are mapped for them
 * @peak: the most that @used has been
 * @failed: allocations that were refused since boot
 */
struct execmem_stats {
	unsigned long	live;
	unsigned long	asked;
	unsigned long	used;
	unsigned long	peak;
	unsigned long	failed;
};

/* Protects execmem_areas and execmem_stats */
extern struct mutex execmem_mutex;
extern struct execmem_areas execmem_areas;
/* By type; the last one is the sum of all */
extern struct execmem_stats execmem_stats[EXECMEM_TYPE_MAX + 1];

extern const char * const execmem_type_names[EXECMEM_TYPE_MAX];
extern const struct execmem_params *execmem_params;

int execmem_params_complete(struct execmem_params *params);
void *execmem_range_alloc(const struct execmem_range *range,
			  enum execmem_type type, size_t size,
			  const void *caller);

#ifdef CONFIG_EXECMEM_ROX
struct execmem_cache_stats {
	unsigned long	blocks;		/* without the tail of the text */
	unsigned long	small_blocks;	/* those of them with small pages */
	unsigned long	bytes;		/* of all blocks and the tail */
};

extern struct execmem_cache_stats execmem_cache_stats;

int __init execmem_cache_init(const struct execmem_params *params);
struct execmem_area *execmem_cache_take(struct execmem_area *record);
struct execmem_area *execmem_cache_give(struct execmem_area *area);
void execmem_block_free(struct execmem_area *block);
#else
static inline int execmem_cache_init(const struct execmem_params *params)
{
	return 0;
}

static inline struct execmem_area *execmem_cache_take(struct execmem_area *record)
{
	return NULL;
}

static inline struct execmem_area *execmem_cache_give(struct execmem_area *area)
{
	return NULL;
}

static inline void execmem_block_free(struct execmem_area *block)
{
}
#endif

#endif /* _MM_EXECMEM_INTERNAL_H */
