// SPDX-License-Identifier: GPL-2.0-only
/*
 * Passes a memory range that must be refused to add_memory() and returns its
 * error from module init, so that user space reads it from finit_module().
 */
#include <linux/memory_hotplug.h>
#include <linux/module.h>

static unsigned long start;
module_param(start, ulong, 0);
MODULE_PARM_DESC(start, "First physical address of the range");

static unsigned long size;
module_param(size, ulong, 0);
MODULE_PARM_DESC(size, "Size of the range in bytes");

static int __init hotadd_bad_init(void)
{
	return add_memory(0, start, size, MHP_NONE);
}
module_init(hotadd_bad_init);

/* Without an exit function a range that was accepted cannot be forgotten. */

MODULE_DESCRIPTION("Hot-add of memory ranges that must be refused");
MODULE_LICENSE("GPL");
