// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function with direct calls. Reading the parameter "answer" calls it, and
 * gives 42 if all its arguments arrive, and both words that it returns. Writing
 * to "direct" chooses the function that it calls directly: 1, 2, or 0 for none.
 * "calls1" and "calls2" count their calls.
 */
#include <linux/atomic.h>
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/mutex.h>

#include "common.h"
#include "riscv-direct.h"

void direct_tramp1(void), direct_tramp2(void);

asm (RISCV_DIRECT_TRAMP_IP(direct_tramp1, direct_func1));
asm (RISCV_DIRECT_TRAMP_IP(direct_tramp2, direct_func2));

static atomic_t calls[2];
static DEFINE_MUTEX(lock);
static unsigned int direct;

/* Two words are returned in registers. */
struct pair {
	long sum, last;
};

/* The ninth and the tenth argument are on the stack. */
static noinline __noclone struct pair ftrace_direct_target(long a, long b, long c, long d,
							   long e, long f, long g, long h,
							   long i, long j)
{
	return (struct pair){
		.sum = a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j,
		.last = j,
	};
}

static void count(unsigned int nr, unsigned long ip)
{
	if (ip == (unsigned long)ftrace_direct_target)
		atomic_inc(&calls[nr]);
}

static void __used direct_func1(unsigned long ip)
{
	count(0, ip);
}

static void __used direct_func2(unsigned long ip)
{
	count(1, ip);
}

static int ftrace_direct_answer(void)
{
	struct pair got = ftrace_direct_target(1, 10, 100, 1000, 10000, 100000, 1000000,
					       10000000, 100000000, 1000000000);

	return got.sum == 10987654321 && got.last == 1000000000 ? 42 : 0;
}

module_param_cb(answer, &answer_ops, ftrace_direct_answer, 0444);
MODULE_PARM_DESC(answer, "42 if the function gets its arguments, and returns its values");

static int calls1(void)
{
	return atomic_read(&calls[0]);
}

static int calls2(void)
{
	return atomic_read(&calls[1]);
}

module_param_cb(calls1, &answer_ops, calls1, 0444);
MODULE_PARM_DESC(calls1, "how often the first function was called");
module_param_cb(calls2, &answer_ops, calls2, 0444);
MODULE_PARM_DESC(calls2, "how often the second function was called");

static unsigned long tramp(unsigned int nr)
{
	return (unsigned long)(nr == 1 ? direct_tramp1 : direct_tramp2);
}

static int set_direct(unsigned int new)
{
	unsigned long ip = (unsigned long)ftrace_direct_target;
	int err = 0;

	lockdep_assert_held(&lock);
	if (new == direct)
		return 0;

	if (!direct)
		err = register_ftrace_direct(ip, tramp(new));
	else if (!new)
		err = unregister_ftrace_direct(ip, tramp(direct));
	else
		err = modify_ftrace_direct(ip, tramp(direct), tramp(new));
	if (!err)
		direct = new;

	return err;
}

static int direct_set(const char *text, const struct kernel_param *kp)
{
	unsigned int new;
	int err = kstrtouint(text, 0, &new);

	if (err || new > 2)
		return err ?: -EINVAL;

	mutex_lock(&lock);
	err = set_direct(new);
	mutex_unlock(&lock);

	return err;
}

static const struct kernel_param_ops direct_ops = {
	.set = direct_set,
};

module_param_cb(direct, &direct_ops, NULL, 0200);
MODULE_PARM_DESC(direct, "the function that is called directly");

static int __init ftrace_direct_init(void)
{
	return 0;
}
module_init(ftrace_direct_init);

static void __exit ftrace_direct_exit(void)
{
	mutex_lock(&lock);
	set_direct(0);
	mutex_unlock(&lock);
}
module_exit(ftrace_direct_exit);

MODULE_DESCRIPTION("A function with direct calls");
MODULE_LICENSE("GPL");
