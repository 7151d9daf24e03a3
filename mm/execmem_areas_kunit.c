// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random allocations out of a few small blocks, against a model that is too simple
 * to be wrong: an array with an element for each 64 bytes, which says whose they are.
 */

#include <kunit/test.h>

#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "execmem_areas.h"

#define OPERATIONS	10000

/* Blocks touch, but for the second and the third; the last one has no last piece */
#define NR_BLOCKS	4
#define BLOCK_UNITS	64
#define BASE		0x100000UL

struct model {
	struct execmem_areas	areas;
	struct rnd_state	rnd;
	/* 0 if free, -1 if the block is not there, or the number of the allocation */
	int			owner[NR_BLOCKS][BLOCK_UNITS];
	struct execmem_area	*live[NR_BLOCKS * BLOCK_UNITS];
	unsigned int		nr_live;
	int			last_owner;
};

/* A run of free units in a block */
struct run {
	unsigned int block, first, len;
};

static struct execmem_area *by_addr_entry(struct rb_node *node)
{
	return rb_entry(node, struct execmem_area, by_addr);
}

static unsigned long unit_addr(unsigned int block, unsigned int unit)
{
	unsigned long units = block * BLOCK_UNITS + unit + (block > 1 ? 5 : 0);

	return BASE + units * EXECMEM_PIECE_SIZE;
}

/* The next run from @run on, which starts as zeroes; false if there is none */
static bool next_run(const struct model *model, struct run *run)
{
	unsigned int block = run->block, unit = run->first + run->len;

	for (; block < NR_BLOCKS; block++, unit = 0) {
		while (unit < BLOCK_UNITS && model->owner[block][unit])
			unit++;
		if (unit == BLOCK_UNITS)
			continue;
		*run = (struct run){ .block = block, .first = unit };
		while (unit < BLOCK_UNITS && !model->owner[block][unit++])
			run->len++;
		return true;
	}

	return false;
}

/* Both trees have exactly the free runs, in their order, and no record too many */
static void check(struct kunit *test, const struct model *model)
{
	unsigned int records = 0, free = 0, runs = 0;
	const struct execmem_area *area, *last = NULL;
	struct run run = { };
	struct rb_node *node;

	for (node = rb_first(&model->areas.by_size); node; node = rb_next(node)) {
		area = rb_entry(node, struct execmem_area, by_size);
		KUNIT_EXPECT_TRUE(test, !last || last->used < area->used ||
				  (last->used == area->used && last->addr < area->addr));
		last = area;
		free++;
	}

	node = rb_first(&model->areas.by_addr);
	while (next_run(model, &run)) {
		unsigned int flags = EXECMEM_AREA_PIECE | EXECMEM_AREA_FREE;

		while (node && !(by_addr_entry(node)->flags & EXECMEM_AREA_FREE))
			node = rb_next(node);
		KUNIT_ASSERT_NOT_NULL(test, node);
		area = by_addr_entry(node);
		node = rb_next(node);

		if (!run.first)
			flags |= EXECMEM_AREA_FIRST;
		if (run.first + run.len == BLOCK_UNITS && run.block != NR_BLOCKS - 1)
			flags |= EXECMEM_AREA_LAST;
		KUNIT_ASSERT_EQ(test, area->addr, unit_addr(run.block, run.first));
		KUNIT_ASSERT_EQ(test, (unsigned long)area->used, run.len * EXECMEM_PIECE_SIZE);
		KUNIT_ASSERT_EQ(test, (unsigned int)area->flags, flags);
		runs++;
	}

	for (node = rb_first(&model->areas.by_addr); node; node = rb_next(node))
		records++;
	KUNIT_ASSERT_EQ(test, free, runs);
	KUNIT_ASSERT_EQ(test, records, runs + model->nr_live);
}

static void set_owner(struct model *model, unsigned int block, unsigned int first,
		      unsigned int len, int owner)
{
	while (len--)
		model->owner[block][first++] = owner;
}

static void add_block(struct kunit *test, struct model *model, unsigned int block)
{
	struct execmem_area *area = kzalloc(sizeof(*area), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, area);
	area->addr = unit_addr(block, 0);
	area->used = BLOCK_UNITS * EXECMEM_PIECE_SIZE;
	area->flags = EXECMEM_AREA_BLOCK | EXECMEM_AREA_FREE;
	if (block == NR_BLOCKS - 1)
		area->flags &= ~EXECMEM_AREA_LAST;
	execmem_areas_add(&model->areas, area);
	set_owner(model, block, 0, BLOCK_UNITS, 0);
}

/* The smallest run that is large enough, and the lowest of those */
static void test_take(struct kunit *test, struct model *model)
{
	unsigned int len = 1 + prandom_u32_state(&model->rnd) % 20;
	struct execmem_area *spare = kzalloc(sizeof(*spare), GFP_KERNEL);
	struct run run = { }, best = { };
	struct execmem_area *area;

	KUNIT_ASSERT_NOT_NULL(test, spare);
	while (next_run(model, &run)) {
		if (run.len >= len && (!best.len || run.len < best.len))
			best = run;
	}

	area = execmem_areas_take(&model->areas, len * EXECMEM_PIECE_SIZE, spare);
	if (area != spare)
		kfree(spare);
	KUNIT_ASSERT_EQ(test, !area, !best.len);
	if (!area)
		return;

	KUNIT_ASSERT_EQ(test, area->addr, unit_addr(best.block, best.first));
	KUNIT_ASSERT_EQ(test, (unsigned long)area->used, len * EXECMEM_PIECE_SIZE);
	KUNIT_ASSERT_PTR_EQ(test, execmem_areas_find(&model->areas, (void *)area->addr), area);
	set_owner(model, best.block, best.first, len, ++model->last_owner);
	model->live[model->nr_live++] = area;
}

static void test_give(struct kunit *test, struct model *model)
{
	unsigned int which, block, unit;
	struct execmem_area *area;
	unsigned long addr;

	if (!model->nr_live)
		return;

	which = prandom_u32_state(&model->rnd) % model->nr_live;
	area = model->live[which];
	model->live[which] = model->live[--model->nr_live];

	addr = area->addr;
	for (block = 0; block < NR_BLOCKS; block++) {
		if (addr >= unit_addr(block, 0) && addr < unit_addr(block, BLOCK_UNITS))
			break;
	}
	KUNIT_ASSERT_LT(test, block, NR_BLOCKS);
	unit = (addr - unit_addr(block, 0)) / EXECMEM_PIECE_SIZE;
	set_owner(model, block, unit, area->used / EXECMEM_PIECE_SIZE, 0);

	area = execmem_areas_give(&model->areas, area);
	KUNIT_EXPECT_TRUE(test, addr >= area->addr && addr < area->addr + area->used);
	KUNIT_EXPECT_NULL(test, execmem_areas_find(&model->areas, (void *)addr));
}

/* A block that is not there comes, one that nobody uses goes; the last one stays */
static void test_block(struct kunit *test, struct model *model)
{
	unsigned int block = prandom_u32_state(&model->rnd) % (NR_BLOCKS - 1);
	struct execmem_area *area;
	struct rb_node *node;

	if (model->owner[block][0] < 0) {
		add_block(test, model, block);
		return;
	}

	for (node = rb_first(&model->areas.by_addr); node; node = rb_next(node)) {
		area = by_addr_entry(node);
		if (area->addr == unit_addr(block, 0))
			break;
	}
	KUNIT_ASSERT_NOT_NULL(test, node);
	if (area->flags != (EXECMEM_AREA_BLOCK | EXECMEM_AREA_FREE))
		return;

	execmem_areas_del(&model->areas, area);
	kfree(area);
	set_owner(model, block, 0, BLOCK_UNITS, -1);
}

static void test_random(struct kunit *test)
{
	struct model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	u32 seed = get_random_u32();
	struct rb_node *node;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, model);
	kunit_info(test, "seed %u", seed);
	prandom_seed_state(&model->rnd, seed);
	for (i = 0; i < NR_BLOCKS - 1; i++)
		set_owner(model, i, 0, BLOCK_UNITS, -1);
	add_block(test, model, NR_BLOCKS - 1);

	for (i = 0; i < OPERATIONS; i++) {
		unsigned int what = prandom_u32_state(&model->rnd) % 16;

		/* Fill for a while, then drain for a while */
		if (!what)
			test_block(test, model);
		else if (what < (i / 500 % 2 ? 6 : 11))
			test_take(test, model);
		else
			test_give(test, model);
		check(test, model);
	}

	while (model->nr_live)
		test_give(test, model);
	check(test, model);
	while ((node = rb_first(&model->areas.by_addr))) {
		struct execmem_area *area = by_addr_entry(node);

		execmem_areas_del(&model->areas, area);
		kfree(area);
	}
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&model->areas.by_size));
}

static struct kunit_case execmem_areas_test_cases[] = {
	KUNIT_CASE(test_random),
	{}
};

static struct kunit_suite execmem_areas_test_suite = {
	.name		= "execmem_areas",
	.test_cases	= execmem_areas_test_cases,
};

kunit_test_suite(execmem_areas_test_suite);
