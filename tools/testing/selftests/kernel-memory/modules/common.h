/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the modules of several tests.
 */
#ifndef SELFTESTS_KERNEL_MEMORY_MODULES_COMMON_H
#define SELFTESTS_KERNEL_MEMORY_MODULES_COMMON_H

#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/moduleparam.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

/* Instructions in execmem_bench, on which kprobes are put */
extern char execmem_bench_probed[];

/*
 * Returns kallsyms_lookup_name(), for functions that are not exported, or NULL.
 * It is not exported itself, but a kprobe can resolve any name.
 */
static inline unsigned long (*find_kallsyms_lookup(void))(const char *name)
{
	struct kprobe kp = { .symbol_name = "kallsyms_lookup_name" };
	void *lookup;

	if (register_kprobe(&kp))
		return NULL;
	lookup = kp.addr;
	unregister_kprobe(&kp);

	return lookup;
}

/* Read two numbers that user space writes to a file. Returns 0 or a negative errno. */
static inline int read_two_numbers(const char __user *buf, size_t count, u64 *first, u64 *second)
{
	char text[64];

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, count))
		return -EFAULT;
	text[count] = 0;

	return sscanf(text, "%llu %llu", first, second) == 2 ? 0 : -EINVAL;
}

/* Read of a parameter: call the int function(void) in kp->arg and print its result. */
static inline int answer_get(char *buffer, const struct kernel_param *kp)
{
	int (*function)(void) = kp->arg;

	return sysfs_emit(buffer, "%d\n", function());
}

static const struct kernel_param_ops __maybe_unused answer_ops = {
	.get = answer_get,
};

#endif /* SELFTESTS_KERNEL_MEMORY_MODULES_COMMON_H */
