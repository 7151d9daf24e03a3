// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random allocations out of a few small blocks, against a model.
 */

#include <kunit/test.h>

#include <linux/prandom.h>
#include <linux/random.h>

#include "execmem_areas_model.h"

#define OPERATIONS	10000
#define UNITS		64

static void test_random(struct kunit *test)
{
	struct areas_model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	u32 seed = get_random_u32();
	struct rnd_state rnd;
	const char *wrong;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, model);
	kunit_info(test, "seed %u", seed);
	prandom_seed_state(&rnd, seed);

	wrong = areas_model_begin(model, UNITS);
	for (i = 0; !wrong && i < OPERATIONS; i++) {
		/* Fill for a while, then drain for a while */
		wrong = areas_model_step(model, prandom_u32_state(&rnd), i / 500 % 2 == 0);
		if (!wrong)
			wrong = areas_model_check(model);
	}
	if (!wrong)
		wrong = areas_model_end(model);
	if (wrong)
		KUNIT_FAIL(test, "after %d operations: %s", i, wrong);
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
