/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the executable memory allocator share, its tests among
 * them. Everybody else includes <linux/execmem.h>.
 */
#ifndef _MM_EXECMEM_INTERNAL_H
#define _MM_EXECMEM_INTERNAL_H

#include <linux/execmem.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>

/**
 * struct execmem_area - one live allocation
 * @node: in execmem_areas, by @addr
 * @addr: first address
 * @asked: bytes that were asked for
 * @used: bytes that are mapped for it
 * @caller: who allocated it
 * @type: what it is for
 * @direct_map: it is kmalloc() memory, see %EXECMEM_DIRECT_MAP
 */
struct execmem_area {
	struct rb_node		node;
	unsigned long		addr;
	size_t			asked;
	size_t			used;
	const void		*caller;
	enum execmem_type	type;
	bool			direct_map;
};

/**
 * struct execmem_stats - what there is of one type
 * @live: allocations
 * @asked: bytes that were asked for
 * @used: bytes that are mapped for them
 * @peak: most bytes that @used has ever been
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
extern struct rb_root execmem_areas;
/* By type; the last one is the sum of all */
extern struct execmem_stats execmem_stats[EXECMEM_TYPE_MAX + 1];

extern const char * const execmem_type_names[EXECMEM_TYPE_MAX];
extern const struct execmem_params *execmem_params;

int execmem_params_complete(struct execmem_params *params);
void *execmem_range_alloc(const struct execmem_range *range,
			  enum execmem_type type, size_t size,
			  const void *caller);

#endif /* _MM_EXECMEM_INTERNAL_H */
