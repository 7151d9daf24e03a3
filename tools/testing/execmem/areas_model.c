// SPDX-License-Identifier: GPL-2.0-only
/*
 * A model of the records of executable memory that is too simple to be wrong: an array
 * with an element for each 64 bytes, which says to which allocation they belong. The free
 * piece that fits best is found by a search through the whole array.
 */

#include <linux/slab.h>
#include <linux/string.h>

#include "areas_model.h"

/* There is a gap between the second and the third place. The other places touch */
#define BASE		0x100000UL
#define GAP_UNITS	5

/* This place always has a block. Its last piece lacks EXECMEM_AREA_LAST */
#define LAST_PLACE	(AREAS_MODEL_PLACES - 1)

/* Neighbouring units of a place that belong to one allocation, or that are free */
struct run {
	unsigned int		place, first, len;
	struct execmem_area	*owner;
};

static struct execmem_area *by_addr_entry(struct rb_node *node)
{
	return rb_entry(node, struct execmem_area, by_addr);
}

static unsigned long unit_addr(const struct areas_model *model, unsigned int place,
			       unsigned int unit)
{
	unsigned long units = place * model->units + unit + (place > 1 ? GAP_UNITS : 0);

	return BASE + units * AREAS_MODEL_UNIT;
}

/* Move @run on to the next run; false if there is none. Zeroes are before the first run */
static bool next_run(const struct areas_model *model, struct run *run)
{
	unsigned int place = run->place, unit = run->first + run->len;

	for (; place < AREAS_MODEL_PLACES; place++, unit = 0) {
		struct execmem_area *const *owner = model->owner[place];

		if (model->place[place] == AREAS_MODEL_NOTHING || unit == model->units)
			continue;
		*run = (struct run){ .place = place, .first = unit, .owner = owner[unit] };
		while (unit < model->units && owner[unit] == run->owner) {
			unit++;
			run->len++;
		}
		return true;
	}

	return false;
}

/* The run that has this unit. The place must not be empty */
static struct run run_at(const struct areas_model *model, unsigned int place, unsigned int unit)
{
	struct run run = { .place = place };

	while (next_run(model, &run)) {
		if (unit < run.first + run.len)
			break;
	}

	return run;
}

static void set_owner(struct areas_model *model, const struct run *run,
		      struct execmem_area *owner)
{
	unsigned int unit;

	for (unit = run->first; unit < run->first + run->len; unit++)
		model->owner[run->place][unit] = owner;
}

/* A record as kmalloc() returns it, with arbitrary contents */
static struct execmem_area *new_record(void)
{
	struct execmem_area *area = kmalloc(sizeof(*area), GFP_KERNEL);

	if (area)
		memset(area, 0xa5, sizeof(*area));

	return area;
}

/* Describe an allocation of @size bytes. A free piece has by_size where some of this is */
static void describe(struct execmem_area *area, unsigned long size)
{
	area->type = size / AREAS_MODEL_UNIT;
	area->caller = (void *)size;
	area->asked = size - 1;
}

static bool is_described(const struct execmem_area *area)
{
	return area->type == (u8)(area->used / AREAS_MODEL_UNIT) &&
	       area->caller == (void *)(unsigned long)area->used && area->asked == area->used - 1;
}

static bool is_run(const struct areas_model *model, const struct execmem_area *area,
		   const struct run *run)
{
	return area->addr == unit_addr(model, run->place, run->first) &&
	       area->used == run->len * AREAS_MODEL_UNIT;
}

/* The flags that all pieces of a block have in common */
static unsigned int block_flags(unsigned int place)
{
	return place % 2 ? EXECMEM_AREA_SMALL_PAGES : 0;
}

static const char *add(struct areas_model *model, unsigned int place,
		       enum areas_model_place what)
{
	struct run run = { .place = place, .len = model->units };
	struct execmem_area *area = new_record();

	if (!area)
		return "there is no memory for a record";

	area->addr = unit_addr(model, place, 0);
	area->used = model->units * AREAS_MODEL_UNIT;
	area->flags = 0;
	if (what == AREAS_MODEL_BLOCK)
		area->flags = EXECMEM_AREA_BLOCK | EXECMEM_AREA_FREE | block_flags(place);
	if (place == LAST_PLACE)
		area->flags &= ~EXECMEM_AREA_LAST;
	execmem_areas_add(&model->areas, area);
	if (what == AREAS_MODEL_WHOLE)
		describe(area, area->used);

	model->place[place] = what;
	set_owner(model, &run, what == AREAS_MODEL_WHOLE ? area : NULL);

	return NULL;
}

/* Fill an empty place. Empty a place that has a free block or a whole allocation */
static const char *change_place(struct areas_model *model, unsigned int place,
				enum areas_model_place what)
{
	struct run run = { .place = place };
	struct rb_node *node;

	if (model->place[place] == AREAS_MODEL_NOTHING)
		return add(model, place, what);

	next_run(model, &run);
	if (run.len < model->units || (run.owner && model->place[place] == AREAS_MODEL_BLOCK))
		return NULL;

	for (node = rb_first(&model->areas.by_addr); node; node = rb_next(node)) {
		if (is_run(model, by_addr_entry(node), &run))
			break;
	}
	if (!node)
		return "the record of a block is missing";

	execmem_areas_del(&model->areas, by_addr_entry(node));
	kfree(by_addr_entry(node));
	model->place[place] = AREAS_MODEL_NOTHING;

	return NULL;
}

/* Allocate. Of the smallest free runs that are large enough, the lowest has to be taken */
static const char *take(struct areas_model *model, unsigned int len)
{
	struct execmem_area *record = new_record();
	struct run run = { }, best = { };
	struct execmem_area *area;

	if (!record)
		return "there is no memory for a record";

	while (next_run(model, &run)) {
		if (!run.owner && run.len >= len && (!best.len || run.len < best.len))
			best = run;
	}

	describe(record, len * AREAS_MODEL_UNIT);
	area = execmem_areas_take(&model->areas, len * AREAS_MODEL_UNIT, record);
	if (!area) {
		kfree(record);
		return best.len ? "a piece that is large enough was not taken" : NULL;
	}
	if (!best.len)
		return "a piece was taken where none is large enough";
	if (best.len > len && area != record)
		return "a piece was split without the record for it";
	if (best.len == len && area == record)
		return "a record was used for a piece that was not split";

	best.len = len;
	if (!is_run(model, area, &best))
		return "the piece that was taken is not the one that fits best";
	set_owner(model, &best, area);

	return NULL;
}

/* Free the allocation that has this unit, or the next allocation if the unit is free */
static const char *give(struct areas_model *model, unsigned int unit)
{
	unsigned int total = AREAS_MODEL_PLACES * model->units, place, i;
	struct execmem_area *area = NULL;
	struct run run;

	for (i = 0; i < total && !area; i++, unit++) {
		place = unit % total / model->units;
		if (model->place[place] == AREAS_MODEL_BLOCK)
			area = model->owner[place][unit % model->units];
	}
	if (!area)
		return NULL;

	unit = (unit - 1) % model->units;
	run = run_at(model, place, unit);
	set_owner(model, &run, NULL);
	run = run_at(model, place, unit);
	area = execmem_areas_give(&model->areas, area);
	if (!is_run(model, area, &run))
		return "what was given back is not part of the right free piece";

	return NULL;
}

/* Compare one record with the run that it has to stand for */
static const char *check_area(const struct areas_model *model, struct execmem_area *area,
			      const struct run *run)
{
	unsigned long addr = unit_addr(model, run->place, run->first);
	unsigned long last = addr + (run->len - 1) * AREAS_MODEL_UNIT;
	unsigned int flags = 0;

	if (model->place[run->place] == AREAS_MODEL_BLOCK) {
		flags = EXECMEM_AREA_PIECE | block_flags(run->place);
		if (!run->owner)
			flags |= EXECMEM_AREA_FREE;
		if (!run->first)
			flags |= EXECMEM_AREA_FIRST;
		if (run->first + run->len == model->units && run->place != LAST_PLACE)
			flags |= EXECMEM_AREA_LAST;
	}

	if (!is_run(model, area, run))
		return "a record has a wrong address or size";
	if (area->flags != flags)
		return "a record has wrong flags";
	if (run->owner && (area != run->owner || !is_described(area)))
		return "the record of an allocation was overwritten";
	if (execmem_areas_find(&model->areas, (void *)addr) != run->owner)
		return "a search does not find the right allocation, or finds a free piece";
	if (execmem_areas_find(&model->areas, (void *)(addr + 1)) ||
	    (last > addr && execmem_areas_find(&model->areas, (void *)last)))
		return "a search finds a record that does not start at the address";

	return NULL;
}

/**
 * areas_model_check - compare the whole set with the model
 * @model: the model
 *
 * Return: what is wrong; %NULL if both trees have exactly the right records, in
 * the right order.
 */
const char *areas_model_check(const struct areas_model *model)
{
	struct rb_node *node = rb_first(&model->areas.by_addr);
	const struct execmem_area *area, *smaller = NULL;
	unsigned int free = 0;
	struct run run = { };
	const char *wrong;

	while (next_run(model, &run)) {
		if (!node)
			return "a record is missing";
		wrong = check_area(model, by_addr_entry(node), &run);
		if (wrong)
			return wrong;
		free += !run.owner;
		node = rb_next(node);
	}
	if (node)
		return "there is one record too many";

	for (node = rb_first(&model->areas.by_size); node; node = rb_next(node)) {
		area = rb_entry(node, struct execmem_area, by_size);
		if (!free--)
			return "there are too many pieces in the order of size";
		if (!(area->flags & EXECMEM_AREA_FREE))
			return "a piece in the order of size is not free";
		if (smaller && (smaller->used > area->used ||
				(smaller->used == area->used && smaller->addr >= area->addr)))
			return "the free pieces are not in order of size";
		smaller = area;
	}

	return free ? "a free piece is missing in the order of size" : NULL;
}

/**
 * areas_model_begin - make a set that has one free block
 * @model: the model
 * @units: the number of units in a place, at most %AREAS_MODEL_MAX_UNITS
 *
 * Return: what is wrong; %NULL if nothing is.
 */
const char *areas_model_begin(struct areas_model *model, unsigned int units)
{
	memset(model, 0, sizeof(*model));
	model->units = units;

	return add(model, LAST_PLACE, AREAS_MODEL_BLOCK);
}

/**
 * areas_model_step - do one operation
 * @model: the model
 * @what: the operation; every number stands for one
 * @fill: %true to allocate more than is freed, %false to free more
 *
 * Return: what is wrong with this operation; %NULL if nothing is. The whole set is
 * not checked.
 */
const char *areas_model_step(struct areas_model *model, u32 what, bool fill)
{
	unsigned int kind = what % 16, arg = what / 16;

	if (!kind)
		return change_place(model, arg % LAST_PLACE, arg & BIT(16) ?
				    AREAS_MODEL_WHOLE : AREAS_MODEL_BLOCK);

	if (kind < (fill ? 11 : 6)) {
		/* Most allocations are small, so that there are many */
		unsigned int longest = (arg >> 16) % 16 ? 20 : model->units;

		return take(model, 1 + arg % longest);
	}

	return give(model, arg % (AREAS_MODEL_PLACES * model->units));
}

/**
 * areas_model_end - give everything back and check that nothing is left
 * @model: the model, with which nothing was wrong so far
 *
 * Return: what is wrong; %NULL if nothing is.
 */
const char *areas_model_end(struct areas_model *model)
{
	const char *wrong = NULL;
	struct rb_node *node;
	struct run run = { };

	while (!wrong && next_run(model, &run)) {
		if (run.owner && model->place[run.place] == AREAS_MODEL_BLOCK)
			wrong = give(model, run.place * model->units + run.first);
	}
	if (!wrong)
		wrong = areas_model_check(model);
	if (wrong)
		return wrong;

	while ((node = rb_first(&model->areas.by_addr))) {
		execmem_areas_del(&model->areas, by_addr_entry(node));
		kfree(by_addr_entry(node));
	}

	if (!RB_EMPTY_ROOT(&model->areas.by_size))
		return "a free piece is left in the order of size";

	return NULL;
}
