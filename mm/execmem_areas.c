// SPDX-License-Identifier: GPL-2.0-only
/*
 * The records of executable memory.
 */

/**
 * DOC: areas
 *
 * A &struct execmem_area stands for an allocation or for a free piece of a
 * block. All of them are in one tree, by address, so that a piece finds its
 * neighbours; the free ones are in a second, by size, in which the smallest one
 * that is large enough is found. Of several of that size it is the lowest.
 *
 * An allocation takes the front of a free piece. It brings a record, which the
 * split needs. Giving a piece back needs none: it becomes a free piece itself
 * and swallows its free neighbours, so that freeing cannot fail. No two free
 * pieces of a block ever touch, and a block that nobody uses is one piece, which
 * is its first and its last.
 *
 * The caller has a lock, and says what a block is.
 */

#include <linux/slab.h>

#include "execmem_areas.h"

static struct execmem_area *by_addr_entry(const struct rb_node *node)
{
	return rb_entry_safe(node, struct execmem_area, by_addr);
}

static struct execmem_area *by_size_entry(const struct rb_node *node)
{
	return rb_entry(node, struct execmem_area, by_size);
}

static bool is_free(const struct execmem_area *area)
{
	return area->flags & EXECMEM_AREA_FREE;
}

static bool is_first(const struct execmem_area *area)
{
	return area->flags & EXECMEM_AREA_FIRST;
}

static bool before_by_addr(struct rb_node *a, const struct rb_node *b)
{
	return by_addr_entry(a)->addr < by_addr_entry(b)->addr;
}

static bool before_by_size(struct rb_node *node_a, const struct rb_node *node_b)
{
	const struct execmem_area *a = by_size_entry(node_a);
	const struct execmem_area *b = by_size_entry(node_b);

	return a->used < b->used || (a->used == b->used && a->addr < b->addr);
}

static int cmp_addr(const void *ptr, const struct rb_node *node)
{
	unsigned long start = by_addr_entry(node)->addr;

	if ((unsigned long)ptr == start)
		return 0;

	return (unsigned long)ptr < start ? -1 : 1;
}

/**
 * execmem_areas_add - add an area
 * @areas: the set
 * @area: an allocation, or a free block, which overlaps no other area
 */
void execmem_areas_add(struct execmem_areas *areas, struct execmem_area *area)
{
	rb_add(&area->by_addr, &areas->by_addr, before_by_addr);
	if (is_free(area))
		rb_add(&area->by_size, &areas->by_size, before_by_size);
}

/**
 * execmem_areas_del - take an area out of the set
 * @areas: the set
 * @area: an allocation, or a free block
 */
void execmem_areas_del(struct execmem_areas *areas, struct execmem_area *area)
{
	rb_erase(&area->by_addr, &areas->by_addr);
	if (is_free(area))
		rb_erase(&area->by_size, &areas->by_size);
}

/**
 * execmem_areas_find - find the allocation that starts at an address
 * @areas: the set
 * @ptr: the address
 *
 * Return: the area; %NULL if no allocation starts there.
 */
struct execmem_area *execmem_areas_find(const struct execmem_areas *areas,
					const void *ptr)
{
	struct execmem_area *area;

	area = by_addr_entry(rb_find(ptr, &areas->by_addr, cmp_addr));
	if (!area || is_free(area))
		return NULL;

	return area;
}

/* The smallest free piece of at least @size bytes */
static struct execmem_area *best_fit(const struct execmem_areas *areas,
				     unsigned int size)
{
	struct rb_node *node = areas->by_size.rb_node;
	struct execmem_area *best = NULL;

	while (node) {
		struct execmem_area *area = by_size_entry(node);

		if (area->used < size) {
			node = node->rb_right;
		} else {
			best = area;
			node = node->rb_left;
		}
	}

	return best;
}

/* Add @area, which ends where @next starts: there is nothing to search for */
static void add_in_front(struct execmem_areas *areas, struct execmem_area *area,
			 struct execmem_area *next)
{
	struct rb_node **link = &next->by_addr.rb_left;
	struct rb_node *parent = &next->by_addr;

	while (*link) {
		parent = *link;
		link = &parent->rb_right;
	}

	rb_link_node(&area->by_addr, parent, link);
	rb_insert_color(&area->by_addr, &areas->by_addr);
}

/**
 * execmem_areas_take - turn the best fitting free piece into an allocation
 * @areas: the set
 * @size: bytes wanted, a multiple of what the sizes of all blocks are multiples of
 * @record: says what the allocation is for: its type, caller and bytes asked for
 *
 * Return: the allocation, of exactly @size bytes, with what @record says. It is
 * @record if the piece was larger; if it had that size, it is the piece, and
 * @record is freed. %NULL if no free piece is large enough: @record is still the
 * caller's.
 */
struct execmem_area *execmem_areas_take(struct execmem_areas *areas,
					unsigned int size,
					struct execmem_area *record)
{
	struct execmem_area *piece = best_fit(areas, size);

	if (!piece)
		return NULL;

	rb_erase(&piece->by_size, &areas->by_size);
	if (piece->used == size) {
		piece->flags &= ~EXECMEM_AREA_FREE;
		piece->type = record->type;
		piece->caller = record->caller;
		piece->asked = record->asked;
		kfree(record);
		return piece;
	}

	record->addr = piece->addr;
	record->used = size;
	record->flags = piece->flags & ~(EXECMEM_AREA_FREE | EXECMEM_AREA_LAST);

	piece->addr += size;
	piece->used -= size;
	piece->flags &= ~EXECMEM_AREA_FIRST;
	rb_add(&piece->by_size, &areas->by_size, before_by_size);
	add_in_front(areas, record, piece);

	return record;
}

/* Let @area have all that @next, which comes after it, has */
static void swallow(struct execmem_areas *areas, struct execmem_area *area,
		    struct execmem_area *next)
{
	execmem_areas_del(areas, next);
	area->used += next->used;
	area->flags |= next->flags & EXECMEM_AREA_LAST;
	kfree(next);
}

/**
 * execmem_areas_give - turn an allocation into a free piece
 * @areas: the set
 * @area: the allocation, a piece of a block
 *
 * Free pieces beside it, in the same block, become one with it.
 *
 * Return: the free piece that it is part of now.
 */
struct execmem_area *execmem_areas_give(struct execmem_areas *areas,
					struct execmem_area *area)
{
	struct execmem_area *prev = by_addr_entry(rb_prev(&area->by_addr));
	struct execmem_area *next = by_addr_entry(rb_next(&area->by_addr));

	/* One that is not the first of its block has another one before it */
	if (next && is_free(next) && !is_first(next))
		swallow(areas, area, next);

	if (!is_first(area) && is_free(prev)) {
		rb_erase(&prev->by_size, &areas->by_size);
		swallow(areas, prev, area);
		area = prev;
	}

	area->flags |= EXECMEM_AREA_FREE;
	rb_add(&area->by_size, &areas->by_size, before_by_size);

	return area;
}
