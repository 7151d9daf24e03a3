// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmalloc() and kfree() as far as records need them. ../../lib/slab.c wants liburcu.
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
