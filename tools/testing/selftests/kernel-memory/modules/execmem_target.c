// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small module with every kind of section the loader has to place: text,
 * read-only data, data, and init sections that are freed after loading.
 *
 * Reading the parameter "answer" runs module text that uses the module's data
 * and read-only data. A wrong placement or relocation thus shows as a wrong
 * number or an oops.
 */
#include <linux/module.h>

#include "common.h"

/* Arrays: smaller data would be in the small-data sections. */
static const int constant[] = { 3, 1, 7, 1 };
static int variable[] = { 1, 2, 1, 1 };

/* Not inlined, so that it can be probed. */
static noinline int execmem_target_answer(void)
{
	int i, product = 1;

	for (i = 0; i < ARRAY_SIZE(constant); i++)
		product *= READ_ONCE(constant[i]) * READ_ONCE(variable[i]);

	/* The compiler would make data that is never written read-only. */
	WRITE_ONCE(variable[0], 1);
	return product;
}

module_param_cb(answer, &answer_ops, execmem_target_answer, 0444);
MODULE_PARM_DESC(answer, "Computed by the module's text on every read");

static int __init execmem_target_init(void)
{
	return 0;
}
module_init(execmem_target_init);

static void __exit execmem_target_exit(void)
{
}
module_exit(execmem_target_exit);

MODULE_DESCRIPTION("A module to load, probe and unload");
MODULE_LICENSE("GPL");
