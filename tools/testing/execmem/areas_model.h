/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of the records of executable memory, to test them against.
 */
#ifndef _AREAS_MODEL_H
#define _AREAS_MODEL_H

#include "execmem_areas.h"

#define AREAS_MODEL_PLACES	4
#define AREAS_MODEL_MAX_UNITS	512
#define AREAS_MODEL_UNIT	64UL

/**
 * enum areas_model_place - what is in a place, one of a few ranges of addresses
 * @AREAS_MODEL_NOTHING: no area
 * @AREAS_MODEL_BLOCK: a block, which may be split into pieces
 * @AREAS_MODEL_WHOLE: an allocation that is no piece of a block
 */
enum areas_model_place {
	AREAS_MODEL_NOTHING,
	AREAS_MODEL_BLOCK,
	AREAS_MODEL_WHOLE,
};

/**
 * struct areas_model - a set of areas, and the model of it
 * @areas: the set
 * @units: the number of units in each place, of %AREAS_MODEL_UNIT bytes each
 * @place: what each place has
 * @owner: the allocation that has the unit; %NULL if it is free
 */
struct areas_model {
	struct execmem_areas	areas;
	unsigned int		units;
	enum areas_model_place	place[AREAS_MODEL_PLACES];
	struct execmem_area	*owner[AREAS_MODEL_PLACES][AREAS_MODEL_MAX_UNITS];
};

/* All of them return what is wrong; NULL if nothing is */
const char *areas_model_begin(struct areas_model *model, unsigned int units);
const char *areas_model_step(struct areas_model *model, u32 what, bool fill);
const char *areas_model_check(const struct areas_model *model);
const char *areas_model_end(struct areas_model *model);

#endif /* _AREAS_MODEL_H */
