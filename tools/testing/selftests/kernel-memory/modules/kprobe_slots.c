// SPDX-License-Identifier: GPL-2.0-only
/*
 * As long as this module is loaded, it takes every slot of the page that
 * kprobes keep. The next kprobe with a slot then has to allocate a page.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

#include "common.h"

#define MAX_SLOTS	(PAGE_SIZE / sizeof(kprobe_opcode_t))

/* Functions that are not exported: looked up by name when the module is loaded. */
static struct {
	kprobe_opcode_t *(*get)(struct kprobe_insn_cache *c);
	void (*free)(struct kprobe_insn_cache *c, kprobe_opcode_t *slot, int dirty);
	struct kprobe_insn_cache *cache;
} kernel;

static kprobe_opcode_t *slots[MAX_SLOTS];
static unsigned int nr;

static int __init lookup_kernel(void)
{
	unsigned long (*lookup)(const char *name) = find_kallsyms_lookup();

	if (!lookup)
		return -ENOENT;

	kernel.get = (void *)lookup("__get_insn_slot");
	kernel.free = (void *)lookup("__free_insn_slot");
	kernel.cache = (void *)lookup("kprobe_insn_slots");
	return kernel.get && kernel.free && kernel.cache ? 0 : -ENOENT;
}

static void free_slots(void)
{
	while (nr)
		kernel.free(kernel.cache, slots[--nr], 0);
}

static int __init kprobe_slots_init(void)
{
	int err = lookup_kernel();

	if (err)
		return err;

	while (nr < MAX_SLOTS) {
		kprobe_opcode_t *slot = kernel.get(kernel.cache);

		if (!slot)
			break;
		if (nr && ((unsigned long)slot ^ (unsigned long)slots[0]) & PAGE_MASK) {
			/* All slots of the first page are taken: the second page can go. */
			kernel.free(kernel.cache, slot, 0);
			return 0;
		}
		slots[nr++] = slot;
	}

	free_slots();
	return -ENOMEM;
}
module_init(kprobe_slots_init);

static void __exit kprobe_slots_exit(void)
{
	free_slots();
}
module_exit(kprobe_slots_exit);

MODULE_DESCRIPTION("Leaves no free kprobe slot");
MODULE_LICENSE("GPL");
