// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of an allocation and a free in the records of executable memory, for more and
 * more pieces. Times never repeat exactly, so the cost is the number of basic blocks
 * executed in mm/execmem_areas.c and lib/rbtree.c. The compiler adds a call to each block,
 * which counts it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <linux/kernel.h>
#include <linux/slab.h>

#include "execmem_areas.h"

#define BLOCK_SIZE	(2UL << 20)
#define MAX_UNITS	64
#define MAX_LIVE	100000
#define PAIRS		10000

static struct execmem_areas areas;
static struct execmem_area *pieces[2 * MAX_LIVE];
static unsigned long next_block = BLOCK_SIZE;
static unsigned long steps;

void __sanitizer_cov_trace_pc(void)
{
	steps++;
}

static struct execmem_area *new_record(void)
{
	struct execmem_area *area = kmalloc(sizeof(*area), GFP_KERNEL);

	if (!area) {
		fprintf(stderr, "areas_cost: out of memory\n");
		exit(2);
	}

	return area;
}

static unsigned int random_size(void)
{
	return (1 + lrand48() % MAX_UNITS) * 64UL;
}

static struct execmem_area *take(unsigned int size)
{
	struct execmem_area *record = new_record(), *block, *area;

	area = execmem_areas_take(&areas, size, record);
	if (!area) {
		block = new_record();
		block->addr = next_block;
		block->used = BLOCK_SIZE;
		block->flags = EXECMEM_AREA_BLOCK | EXECMEM_AREA_FREE;
		next_block += BLOCK_SIZE;
		execmem_areas_add(&areas, block);
		area = execmem_areas_take(&areas, size, record);
	}

	return area;
}

/* Measure with @live pieces and as many holes */
static void measure(unsigned int live)
{
	unsigned long before, cost, most = 0, total = 0;
	unsigned int i, size;

	for (i = 0; i < 2 * live; i++)
		pieces[i] = take(random_size());
	for (i = 0; i < 2 * live; i += 2)
		execmem_areas_give(&areas, pieces[i]);

	for (i = 0; i < PAIRS; i++) {
		size = random_size();
		before = steps;
		execmem_areas_give(&areas, take(size));
		cost = steps - before;
		total += cost;
		most = max(most, cost);
	}
	printf("%u pieces: %lu basic blocks on average, %lu at most\n", live, total / PAIRS, most);

	for (i = 1; i < 2 * live; i += 2)
		execmem_areas_give(&areas, pieces[i]);
}

int main(void)
{
	static const unsigned int lives[] = { 10, 100, 1000, 10000, MAX_LIVE };
	unsigned int i;

	srand48(1);
	for (i = 0; i < ARRAY_SIZE(lives); i++)
		measure(lives[i]);

	return 0;
}
