// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on the records of executable memory, checked against a model. libFuzzer
 * chooses the input: the first byte is the number of units in a place, and each four
 * bytes after it are an operation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "areas_model.h"

#define MAX_UNITS	64

static void expect_right(const char *wrong)
{
	if (!wrong)
		return;

	fprintf(stderr, "%s\n", wrong);
	abort();
}

/* The Makefile gives this function the name that libFuzzer calls */
int fuzz_one_input(const uint8_t *data, size_t size)
{
	static struct areas_model model;
	u32 what;

	if (!size)
		return 0;

	expect_right(areas_model_begin(&model, 1 + *data++ % MAX_UNITS));
	for (size--; size >= sizeof(what); size -= sizeof(what), data += sizeof(what)) {
		memcpy(&what, data, sizeof(what));
		expect_right(areas_model_step(&model, what, true));
		expect_right(areas_model_check(&model));
	}
	expect_right(areas_model_end(&model));

	return 0;
}
