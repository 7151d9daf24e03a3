// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmalloc() and kfree() as far as the records need them. ../../lib/slab.c is not used,
 * because it needs liburcu.
 */
#include <stdlib.h>
#include <linux/slab.h>

void *kmalloc(size_t size, gfp_t gfp)
{
	return malloc(size);
}

void kfree(void *p)
{
	free(p);
}
