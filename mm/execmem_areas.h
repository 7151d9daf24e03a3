/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The records of executable memory. Nothing here knows where the memory comes
 * from: tools/testing/execmem builds it in user space.
 */
#ifndef _MM_EXECMEM_AREAS_H
#define _MM_EXECMEM_AREAS_H

#include <linux/bits.h>
#include <linux/rbtree.h>
#include <linux/types.h>

/**
 * enum execmem_area_flags - what an area is
 * @EXECMEM_AREA_FREE: it is free
 * @EXECMEM_AREA_PIECE: it is part of a block of the cache
 * @EXECMEM_AREA_FIRST: it is the first piece of its block
 * @EXECMEM_AREA_LAST: it is the last piece of its block
 * @EXECMEM_AREA_DIRECT_MAP: it is kmalloc() memory, see %EXECMEM_DIRECT_MAP
 * @EXECMEM_AREA_SMALL_PAGES: its block consists of small pages. Either all
 *	pieces of a block have this flag, or none has
 */
enum execmem_area_flags {
	EXECMEM_AREA_FREE	= BIT(0),
	EXECMEM_AREA_PIECE	= BIT(1),
	EXECMEM_AREA_FIRST	= BIT(2),
	EXECMEM_AREA_LAST	= BIT(3),
	EXECMEM_AREA_DIRECT_MAP	= BIT(4),
	EXECMEM_AREA_SMALL_PAGES = BIT(5),
};

/* A block of which nothing is in use is one piece */
#define EXECMEM_AREA_BLOCK \
	(EXECMEM_AREA_PIECE | EXECMEM_AREA_FIRST | EXECMEM_AREA_LAST)

/**
 * struct execmem_area - an allocation, or a free piece of a block
 * @by_addr: among all areas, by @addr
 * @addr: first address
 * @used: bytes from there to its end
 * @flags: of &enum execmem_area_flags
 * @type: &enum execmem_type, what it is for
 * @caller: who allocated it
 * @asked: bytes that were asked for
 * @by_size: among all free pieces, by @used and @addr
 *
 * There may be 100,000 of them. What only an allocation needs shares its place
 * with what only a free piece needs: with 64 bytes, a record fills a slab object.
 */
struct execmem_area {
	struct rb_node		by_addr;
	unsigned long		addr;
	unsigned int		used;
	u8			flags;
	u8			type;
	union {
		struct {
			const void	*caller;
			unsigned int	asked;
		};
		struct rb_node	by_size;
	};
};

/**
 * struct execmem_areas - a set of areas
 * @by_addr: all of them
 * @by_size: the free pieces
 */
struct execmem_areas {
	struct rb_root	by_addr;
	struct rb_root	by_size;
};

void execmem_areas_add(struct execmem_areas *areas, struct execmem_area *area);
void execmem_areas_del(struct execmem_areas *areas, struct execmem_area *area);
struct execmem_area *execmem_areas_find(const struct execmem_areas *areas,
					const void *ptr);
struct execmem_area *execmem_areas_take(struct execmem_areas *areas,
					unsigned int size,
					struct execmem_area *record);
struct execmem_area *execmem_areas_give(struct execmem_areas *areas,
					struct execmem_area *area);

#endif /* _MM_EXECMEM_AREAS_H */
