// SPDX-License-Identifier: GPL-2.0-only
/*
 * Say what became of the random address of the kernel, and where it is.
 */

#define pr_fmt(fmt) "KASLR: " fmt

#include <linux/cache.h>
#include <linux/crash_core.h>
#include <linux/init.h>
#include <linux/notifier.h>
#include <linux/panic_notifier.h>
#include <linux/printk.h>

#include <asm/kaslr.h>

#include "pi/kaslr_early.h"

struct kaslr_choice kaslr_choice __ro_after_init;

/* kaslr_early_init() has parsed them, before there were early parameters */
static int __init parsed_early(char *unused)
{
	return 0;
}
__setup_param("nokaslr", nokaslr, parsed_early, 1);
#ifdef CONFIG_DEBUG_RANDOMIZE_BASE
__setup_param("kaslr_seed", kaslr_seed, parsed_early, 1);
#endif

static int __init report_choice(void)
{
	static const char * const messages[] __initconst = {
		[KASLR_NO_SOURCE] = "disabled, no seed was found",
		[KASLR_NO_ROOM] = "disabled, the kernel is too large",
		[KASLR_NOKASLR] = "disabled on the command line",
		[KASLR_FORCED] = "the seed is from the command line",
		[KASLR_KASLR_SEED] = "enabled, with /chosen/kaslr-seed",
		[KASLR_RNG_SEED] = "enabled, with /chosen/rng-seed",
		[KASLR_ZKR] = "enabled, with the seed register",
	};

	if (kaslr_choice.bad_kaslr_seed)
		pr_warn("/chosen/kaslr-seed is ignored: it is zero, or does not have 8 bytes\n");
	if (kaslr_choice.bad_rng_seed)
		pr_warn("/chosen/rng-seed is ignored: it has less than 16 bytes\n");
	pr_info("%s\n", messages[kaslr_choice.source]);

	return 0;
}
core_initcall(report_choice);

static int dump_offset(struct notifier_block *self, unsigned long event, void *unused)
{
	pr_emerg("kernel offset: 0x%lx from 0x%lx\n", kaslr_offset(), KERNEL_LINK_ADDR);
	return NOTIFY_DONE;
}

static struct notifier_block dump_offset_notifier = {
	.notifier_call = dump_offset,
};

static int __init register_dump_offset(void)
{
	return atomic_notifier_chain_register(&panic_notifier_list, &dump_offset_notifier);
}
device_initcall(register_dump_offset);

#ifdef CONFIG_CRASH_CORE
void arch_crash_save_vmcoreinfo(void)
{
	vmcoreinfo_append_str("KERNELOFFSET=%lx\n", kaslr_offset());
}
#endif
