// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that uses features of modules: static keys, static calls, static
 * locks, per-CPU data, exception tables, warnings, alternatives, a tracepoint,
 * exports, and data of each kind whose address has a name.
 *
 * Each check runs in init text when the module is loaded, and in core text
 * whenever the parameter "failed" is read. Reading this parameter gives the
 * names of all checks that have failed so far, one on each line, or an empty
 * line if there is none.
 */
#include <linux/bug.h>
#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/kallsyms.h>
#include <linux/kernel_stat.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>
#ifdef CONFIG_RISCV_ALTERNATIVE
#include <asm/alternative-macros.h>
#include <asm/errata_list.h>
#include <asm/hwcap.h>
#endif

#include "module_features.h"

#define CREATE_TRACE_POINTS
#include "module_features_trace.h"

/* No process has a mapping there. */
#define UNMAPPED	((int __user *)16)

static DEFINE_STATIC_KEY_FALSE(key_off);
static DEFINE_STATIC_KEY_TRUE(key_on);
static DEFINE_MUTEX(static_mutex);
static DEFINE_SPINLOCK(static_spinlock);
static DEFINE_PER_CPU(int, per_cpu_number);
static DEFINE_PER_CPU(spinlock_t, per_cpu_lock) = __SPIN_LOCK_UNLOCKED(per_cpu_lock);

/* Arrays: smaller data would be in the small-data sections. */
static const int named_rodata[] = { 1, 2, 3, 4 };
static int named_data[] = { 5, 6, 7, 8 };
static int named_bss[4];
static int named_after_init[4] __ro_after_init;
static int named_initdata[] __initdata = { 9, 10, 11, 12 };

int module_features_exported[] = { 40, 2 };
EXPORT_SYMBOL_GPL(module_features_exported);

static unsigned long percpu_lookup;
module_param(percpu_lookup, ulong, 0444);
MODULE_PARM_DESC(percpu_lookup, "Address of is_module_percpu_address()");

static char failed[1024];

static void check(bool good, const char *what, const char *where)
{
	size_t used = strlen(failed);

	if (!good)
		scnprintf(failed + used, sizeof(failed) - used, "%s%s, in %s text",
			  used ? "\n" : "", what, where);
}

/* Whether the kernel's symbols have an object of @size bytes at an address */
static bool named(const void *addr, const char *name, size_t size)
{
	char text[KSYM_SYMBOL_LEN], symbol[64], module[64];
	unsigned long said;

	sprint_symbol(text, (unsigned long)addr);
	if (sscanf(text, "%63[^+]+0x0/0x%lx [%63s", symbol, &said, module) == 3 &&
	    !strcmp(symbol, name) && said >= size && !strcmp(module, "module_features]"))
		return true;
	pr_err("module_features: %s is called %s\n", name, text);
	return false;
}

static int call_one(void)
{
	return 1;
}

static int call_two(void)
{
	return 2;
}

DEFINE_STATIC_CALL(features_call, call_one);

int module_features_add(int a, int b)
{
	return a + b;
}
EXPORT_SYMBOL_GPL(module_features_add);

/* If the CPU has Svpbmt, the kernel replaces the first instruction by the second. */
static __always_inline bool alternative_is_right(void)
{
#if defined(CONFIG_RISCV_ALTERNATIVE) && defined(CONFIG_RISCV_ISA_SVPBMT)
	unsigned long value, expected = 1;

	if (riscv_isa_extension_available(NULL, SVPBMT))
		expected = 2;
	asm(ALTERNATIVE("li %0, 1", "li %0, 2", 0, CPUFEATURE_SVPBMT, CONFIG_RISCV_ISA_SVPBMT)
	    : "=r" (value));
	return value == expected;
#else
	return true;
#endif
}

static __always_inline bool fault_is_caught(void)
{
	int value;

	return __get_user(value, UNMAPPED) == -EFAULT;
}

static __always_inline bool warn_returns(void)
{
	bool warned;

	pr_info("module_features: begin expected warning\n");
	warned = WARN(true, "module_features: asked for\n");
	pr_info("module_features: end expected warning\n");
	return warned;
}

static __always_inline bool locks_work(void)
{
	spinlock_t *lock;	/* of this CPU, guards nothing */

	mutex_lock(&static_mutex);
	spin_lock(&static_spinlock);
	lock = get_cpu_ptr(&per_cpu_lock);
	spin_lock(lock);
	spin_unlock(lock);
	put_cpu_ptr(&per_cpu_lock);
	spin_unlock(&static_spinlock);
	mutex_unlock(&static_mutex);
	return true;
}

static __always_inline bool per_cpu_works(void)
{
	int before, after;

	preempt_disable();
	before = __this_cpu_read(per_cpu_number);
	__this_cpu_inc(per_cpu_number);
	after = __this_cpu_read(per_cpu_number);
	preempt_enable();
	return after == before + 1;
}

/*
 * Whether the kernel knows which per-CPU data of each CPU are a module's. lockdep
 * asks for each static lock. Without SMP, they are in .data, as any other data.
 */
static bool per_cpu_data_is_known(void)
{
	bool (*is_module_percpu)(unsigned long addr) = (void *)percpu_lookup;
	bool good = true;
	int cpu;

	if (!percpu_lookup)
		return true;
	for_each_possible_cpu(cpu) {
		good &= is_module_percpu((unsigned long)per_cpu_ptr(&per_cpu_number, cpu)) ==
			IS_ENABLED(CONFIG_SMP);
		good &= is_module_percpu((unsigned long)per_cpu_ptr(&per_cpu_lock, cpu)) ==
			IS_ENABLED(CONFIG_SMP);
		good &= !is_module_percpu((unsigned long)per_cpu_ptr(&kstat, cpu));
	}
	return good && !is_module_percpu((unsigned long)&named_data[0]);
}

/* Read the keys here: the function that switches a key must see what other code sees. */
static __always_inline bool keys_are(bool off, bool on)
{
	return !!static_branch_unlikely(&key_off) == off && !!static_branch_likely(&key_on) == on;
}

static noinline bool core_sees(bool off, bool on)
{
	return keys_are(off, on);
}

static __always_inline bool keys_switch(void)
{
	bool good = keys_are(false, true) && core_sees(false, true);

	static_branch_enable(&key_off);
	static_branch_disable(&key_on);
	good &= keys_are(true, false) && core_sees(true, false);
	static_branch_disable(&key_off);
	static_branch_enable(&key_on);
	return good && keys_are(false, true) && core_sees(false, true);
}

static __always_inline bool static_call_changes(void)
{
	bool good = static_call(features_call)() == 1;

	static_call_update(features_call, call_two);
	good &= static_call(features_call)() == 2;
	static_call_update(features_call, call_one);
	return good;
}

#ifdef CONFIG_RISCV
int named_within(int value);

/* 8 bytes or more. The assembler adds a symbol where the instruction set changes. */
asm(".pushsection .text\n"
	".type named_within, @function\n"
	"named_within:\n"
	"	addi	a0, a0, 1\n"
	".option push\n"
	".option norvc\n"
	"	addi	a0, a0, 2\n"
	".option pop\n"
	"	ret\n"
	".size named_within, . - named_within\n"
	".popsection\n");
#endif

/* Whether the kernel tells the direct map from modules, both of which are above PAGE_OFFSET */
static bool direct_map_is_known(void)
{
	void *buffer = kmalloc(1, GFP_KERNEL);
	bool good = buffer && virt_addr_valid(buffer) && !virt_addr_valid(&named_data[0]);

#if defined(CONFIG_RISCV) && defined(CONFIG_64BIT)
	/* The last page of the window of modules and programs, just below the kernel's image */
	good &= !virt_addr_valid(kernel_map.virt_addr - PAGE_SIZE);
#endif
	kfree(buffer);
	return good;
}

static __always_inline void check_all(const char *where)
{
	check(direct_map_is_known(), "virt_addr_valid()", where);
	check(keys_switch(), "static keys", where);
	check(static_call_changes(), "static call", where);
	check(locks_work(), "static locks", where);
	check(per_cpu_works(), "per-CPU data", where);
	check(per_cpu_data_is_known(), "owner of per-CPU data", where);
	check(fault_is_caught(), "exception table", where);
	check(warn_returns(), "WARN()", where);
	check(alternative_is_right(), "alternative", where);
	trace_module_features_hit(named_data[0]);
	if (!IS_ENABLED(CONFIG_KALLSYMS_ALL))
		return;
	check(named(named_rodata, "named_rodata", sizeof(named_rodata)), "name of .rodata", where);
	check(named(named_data, "named_data", sizeof(named_data)), "name of .data", where);
	check(named(named_bss, "named_bss", sizeof(named_bss)), "name of .bss", where);
	check(named(named_after_init, "named_after_init", sizeof(named_after_init)),
	      "name of .data..ro_after_init", where);
	check(named(module_features_add, "module_features_add", 2), "name of .text", where);
#ifdef CONFIG_RISCV
	check(named(named_within, "named_within", 8), "name across a mapping symbol", where);
#endif
}

static int failed_get(char *buffer, const struct kernel_param *kp)
{
	check_all("core");
	return sysfs_emit(buffer, "%s\n", failed);
}

static const struct kernel_param_ops failed_ops = {
	.get = failed_get,
};

module_param_cb(failed, &failed_ops, NULL, 0444);
MODULE_PARM_DESC(failed, "Checks that failed; a read runs them again");

static int number = 1;
module_param(number, int, 0644);
MODULE_PARM_DESC(number, "Any number");

/* Not inlined: a kprobe is put on it, by name, before its text is loaded. */
static noinline int __init module_features_probed(int value)
{
	return value + named_initdata[0];
}

static int __init module_features_init(void)
{
	check_all("init");
	if (IS_ENABLED(CONFIG_KALLSYMS_ALL)) {
		check(named(named_initdata, "named_initdata", sizeof(named_initdata)),
		      "name of .init.data", "init");
		check(named(module_features_probed, "module_features_probed", 2),
		      "name of .init.text", "init");
	}
	named_bss[0] = 1;
	named_after_init[0] = module_features_probed(number);
	return named_after_init[0] == number + 9 ? 0 : -EINVAL;
}
module_init(module_features_init);

static void __exit module_features_exit(void)
{
}
module_exit(module_features_exit);

MODULE_DESCRIPTION("A module that does what modules do");
MODULE_LICENSE("GPL");
