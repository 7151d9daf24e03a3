// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random operations on the records of executable memory, checked against a model. The
 * seed is printed. The same seed repeats the same operations.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <linux/kernel.h>

#include "areas_model.h"

#define OPERATIONS	1000000
#define MAX_NUMBER	0xffffffffUL

/* A check of the whole set takes longer the larger the set is: check at intervals */
static const struct size {
	unsigned int units, interval;
} sizes[] = {
	{ 1, 1 }, { 7, 1 }, { 64, 1 }, { AREAS_MODEL_MAX_UNITS, 8 },
};

/* Return: the number of operations done. Stops at the first that goes wrong */
static unsigned long run(const struct size *size, unsigned long operations, const char **wrong)
{
	static struct areas_model model;
	unsigned long i;

	*wrong = areas_model_begin(&model, size->units);
	for (i = 0; !*wrong && i < operations; i++) {
		/* Fill for a while, then drain for a while */
		*wrong = areas_model_step(&model, mrand48(), i / 500 % 2 == 0);
		if (!*wrong && i % size->interval == 0)
			*wrong = areas_model_check(&model);
	}
	if (!*wrong)
		*wrong = areas_model_end(&model);

	return i;
}

static unsigned long parse(const char *text)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value > MAX_NUMBER) {
		fprintf(stderr, "'%s' is no number up to %lu: areas_test [SEED [OPERATIONS]]\n",
			text, MAX_NUMBER);
		exit(2);
	}

	return value;
}

int main(int argc, char **argv)
{
	unsigned long seed = argc > 1 ? parse(argv[1]) : (unsigned long)time(NULL);
	unsigned long operations = argc > 2 ? parse(argv[2]) : OPERATIONS;
	unsigned long each = operations / ARRAY_SIZE(sizes), done;
	const char *wrong;
	unsigned int i;

	printf("seed %lu\n", seed);
	fflush(stdout);
	srand48(seed);

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		/* The largest size also gets the remainder of the division */
		if (i == ARRAY_SIZE(sizes) - 1)
			each = operations - i * each;
		done = run(&sizes[i], each, &wrong);
		if (wrong) {
			printf("FAIL: %u units, after %lu operations: %s\n",
			       sizes[i].units, done, wrong);
			return 1;
		}
	}

	printf("ok: %lu operations\n", operations);
	return 0;
}
