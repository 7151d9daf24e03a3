// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work that is measured from within the kernel: allocating and freeing pieces
 * of executable memory, and putting kprobes on instructions.
 *
 * Write two numbers to these files of /sys/kernel/debug/execmem_bench/:
 *   hold COUNT 0	keep COUNT pieces of 64 to 1,024 bytes allocated, with
 *			an eighth as many holes between them
 *   pairs COUNT SIZE	COUNT times, allocate and free a piece of SIZE bytes
 *   probe COUNT 0	keep COUNT kprobes armed
 *   flip NUMBER 0	remove the kprobe of this number, or add it
 *
 * In a kernel without execmem, module_alloc() allocates the pieces.
 */
#include <linux/debugfs.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>

#include "common.h"

#define PIECE		64U
#define MAX_PIECES	16U	/* in units of PIECE */
#define HOLE_EACH	9U

#define NR_PROBES	1000U
#define STEP		4U	/* bytes of each instruction */

/* Kprobes simulate none of these instructions: each needs a slot. */
asm(".pushsection .text\n"
	".balign 4\n"
	".type execmem_bench_probed, @function\n"
	".globl execmem_bench_probed\n"
	"execmem_bench_probed:\n"
	".option push\n"
	".option norvc\n"
	".rept 1000\n"
	"addi a0, a0, 1\n"
	".endr\n"
	".option pop\n"
	"ret\n"
	".size execmem_bench_probed, . - execmem_bench_probed\n"
	".popsection\n");

/* Functions that are not exported: looked up by name when the module is loaded. */
static struct {
	void *(*execmem_alloc)(unsigned int type, size_t size);
	void (*execmem_free)(void *ptr);
	void *(*module_alloc)(unsigned long size);
} kernel;

static void **held;
static unsigned long nr_held;
static struct kprobe probes[NR_PROBES];
static unsigned long nr_probes;
static struct dentry *dir;

static int __init lookup_kernel(void)
{
	unsigned long (*lookup)(const char *name) = find_kallsyms_lookup();

	if (!lookup)
		return -ENOENT;

	kernel.execmem_alloc = (void *)lookup("execmem_alloc");
	kernel.execmem_free = (void *)lookup("execmem_free");
	kernel.module_alloc = (void *)lookup("module_alloc");
	return kernel.execmem_alloc || kernel.module_alloc ? 0 : -ENOENT;
}

static void *take(size_t size)
{
	return kernel.execmem_alloc ? kernel.execmem_alloc(0, size) : kernel.module_alloc(size);
}

static void give(void *ptr)
{
	if (kernel.execmem_free)
		kernel.execmem_free(ptr);
	else
		vfree(ptr);
}

static void free_held(void)
{
	while (nr_held) {
		if (held[--nr_held])
			give(held[nr_held]);
		cond_resched();
	}
	kvfree(held);
	held = NULL;
}

static int hold(unsigned long count, unsigned long unused)
{
	unsigned long all = count + count / (HOLE_EACH - 1), i;
	u32 seed = 1;

	free_held();
	held = kvcalloc(all, sizeof(*held), GFP_KERNEL);
	if (!held)
		return -ENOMEM;
	for (nr_held = 0; nr_held < all; nr_held++) {
		seed = seed * 1664525 + 1013904223;
		held[nr_held] = take(PIECE * (1 + (seed >> 16) % MAX_PIECES));
		if (!held[nr_held])
			return -ENOMEM;
		cond_resched();
	}
	for (i = HOLE_EACH - 1; i < all; i += HOLE_EACH) {
		give(held[i]);
		held[i] = NULL;
	}
	return 0;
}

static int pairs(unsigned long count, unsigned long size)
{
	while (count--) {
		void *piece = take(size);

		if (!piece)
			return -ENOMEM;
		give(piece);
	}
	return 0;
}

static int arm(unsigned long number)
{
	struct kprobe *kp = &probes[number];
	int err;

	memset(kp, 0, sizeof(*kp));
	kp->addr = (void *)execmem_bench_probed + number * STEP;
	err = register_kprobe(kp);
	if (err)
		kp->addr = NULL;
	return err;
}

static void disarm(unsigned long number)
{
	unregister_kprobe(&probes[number]);
	probes[number].addr = NULL;
}

static int probe(unsigned long count, unsigned long unused)
{
	while (nr_probes > count)
		disarm(--nr_probes);
	for (; nr_probes < min_t(unsigned long, count, NR_PROBES); nr_probes++) {
		int err = arm(nr_probes);

		if (err)
			return err;
	}
	return 0;
}

static int flip(unsigned long number, unsigned long unused)
{
	if (number < nr_probes || number >= NR_PROBES)
		return -EINVAL;
	if (!probes[number].addr)
		return arm(number);
	disarm(number);
	return 0;
}

static ssize_t bench_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	int (*perform)(unsigned long count, unsigned long size) = file->private_data;
	u64 number, size;
	int ret;

	ret = read_two_numbers(buf, count, &number, &size) ?: perform(number, size);
	return ret ?: count;
}

static const struct file_operations bench_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= bench_write,
};

static int __init execmem_bench_init(void)
{
	int err = lookup_kernel();

	if (err)
		return err;

	dir = debugfs_create_dir("execmem_bench", NULL);
	debugfs_create_file("hold", 0200, dir, hold, &bench_fops);
	debugfs_create_file("pairs", 0200, dir, pairs, &bench_fops);
	debugfs_create_file("probe", 0200, dir, probe, &bench_fops);
	debugfs_create_file("flip", 0200, dir, flip, &bench_fops);
	return 0;
}
module_init(execmem_bench_init);

static void __exit execmem_bench_exit(void)
{
	unsigned long number;

	debugfs_remove(dir);
	for (number = 0; number < NR_PROBES; number++) {
		if (probes[number].addr)
			disarm(number);
	}
	free_held();
}
module_exit(execmem_bench_exit);

MODULE_DESCRIPTION("Executable memory that comes and goes, to be measured");
MODULE_LICENSE("GPL");
