// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls a function in memory of the cache after the memory was freed, as a
 * stale pointer would. Another CPU than the one that frees has executed the
 * function before, and calls it again.
 *
 * This must trap: loading the module is meant to crash the kernel with an
 * illegal instruction. If the module can be loaded, a CPU has executed freed
 * code.
 */
#include <linux/cpumask.h>
#include <linux/execmem.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/workqueue.h>

#include "common.h"

#define RESULT	42

/* li a0, RESULT; ret */
static const u32 function[] = { 0x513 | RESULT << 20, 0x8067 };

/* Functions that are not exported */
static struct {
	void *(*alloc)(enum execmem_type type, size_t size);
	int (*update_copy)(void *dst, const void *src, size_t size);
	void (*free)(void *ptr);
} execmem;

static int __init lookup_execmem(void)
{
	unsigned long (*lookup)(const char *name) = find_kallsyms_lookup();

	if (!lookup)
		return -ENOENT;
	execmem.alloc = (void *)lookup("execmem_alloc");
	execmem.update_copy = (void *)lookup("execmem_update_copy");
	execmem.free = (void *)lookup("execmem_free");

	return execmem.alloc && execmem.update_copy && execmem.free ? 0 : -ENOENT;
}

static long call(void *text)
{
	return ((long (*)(void))text)();
}

static int __init freed_text_init(void)
{
	int err = lookup_execmem(), other;
	long result;
	void *text;

	if (err)
		return err;
	text = execmem.alloc(EXECMEM_BPF, sizeof(function));
	if (!text)
		return -ENOMEM;

	other = cpumask_any_but(cpu_online_mask, get_cpu());
	put_cpu();
	err = execmem.update_copy(text, function, sizeof(function));
	if (!err && (other >= nr_cpu_ids || work_on_cpu_safe(other, call, text) != RESULT))
		err = -ENODEV;
	execmem.free(text);
	if (err)
		return err;

	result = work_on_cpu_safe(other, call, text);
	pr_err("freed_text: CPU %d has executed freed code: %ld\n", other, result);

	return 0;
}
module_init(freed_text_init);

static void __exit freed_text_exit(void)
{
}
module_exit(freed_text_exit);

MODULE_DESCRIPTION("Executes text that was freed");
MODULE_LICENSE("GPL");
