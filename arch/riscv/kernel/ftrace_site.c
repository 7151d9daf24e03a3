// SPDX-License-Identifier: GPL-2.0-only
/*
 * The places in functions where ftrace is called.
 */

/**
 * DOC: ftrace sites
 *
 * A function that can be traced starts like this::
 *
 *	func - 4	.word	slot
 *	func		auipc	t0, %hi(ftrace_dispatch)
 *	func + 4	nop, or	jalr	t0, %lo(ftrace_dispatch)(t0)
 *	func + 8	the function as compiled
 *
 * The auipc is written once, before anything can call the function, and stays.
 * It computes an address that only the jalr uses; t0 is free at the start of a
 * function. Tracing is switched on and off by the word at func + 4 alone. It is
 * aligned, so it is one store, and a hart that executes the function meanwhile
 * fetches either the nop or the jalr. Either is right with the auipc before it:
 * it does not matter where the hart is, nor for how long a task is preempted
 * between the two instructions. So no hart has to stop.
 *
 * Harts see the new instruction with their next fence.i. One remote fence.i
 * serves for all sites that are switched together, however many they are.
 *
 * All sites call the same function, which is also why one word is enough. It
 * finds in data what to call: in the slot the offset of the function that takes
 * all calls from this site ("direct call", for instance a BPF trampoline), or
 * if there is none, in ftrace_dispatch_ops the tracer. Data need no fence.i.
 * With an empty slot the tracers are called, which includes the one that makes
 * direct calls, so it does not matter in which order a hart sees the slot and
 * the instruction.
 *
 * The tracer's record of a function has the address of the word that changes,
 * func + 4. Kprobes can be at func: they change the auipc, which they simulate,
 * and ftrace knows nothing of it.
 */

#include <linux/align.h>
#include <linux/cacheflush.h>
#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/init.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/moduleloader.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include <asm/ftrace_site.h>
#include <asm/patch.h>
#include <asm/sections.h>

/* Words that are to be written. Sites are sorted, so that many are in one page. */
static struct site_batch {
	struct patch_insn insns[64];
	unsigned int nr;
} batch;			/* protected by text_mutex */

/* Whether single sites were switched, without a fence */
static bool fence_due;		/* protected by text_mutex */

static int batch_flush(void)
{
	unsigned int nr = batch.nr;

	batch.nr = 0;

	return patch_insns(batch.insns, nr);
}

static int batch_add(u32 *addr, u32 insn)
{
	batch.insns[batch.nr++] = (struct patch_insn){ .addr = addr, .insn = insn };

	return batch.nr == ARRAY_SIZE(batch.insns) ? batch_flush() : 0;
}

/*
 * The compiler does not align functions that it takes for seldom called, unless
 * it knows -fmin-function-alignment. They are not traced.
 */
static bool site_usable(const struct ftrace_site *site)
{
	return IS_ALIGNED((unsigned long)site, sizeof(u32));
}

static struct ftrace_site *rec_site(const struct dyn_ftrace *rec)
{
	return container_of((u32 *)rec->ip, struct ftrace_site, call);
}

/* The offset of ftrace_dispatch() from the auipc */
static long dispatch_offset(const struct ftrace_site *site)
{
	return FTRACE_ADDR - (unsigned long)&site->auipc;
}

static u32 call_insn(const struct ftrace_site *site, bool on)
{
	return on ? ftrace_jalr(dispatch_offset(site)) : FTRACE_NOP;
}

/**
 * ftrace_call_adjust - the address of the instruction that ftrace switches
 * @addr: what the compiler has recorded of a function
 *
 * Return: the address; 0 if the function cannot be traced.
 */
unsigned long ftrace_call_adjust(unsigned long addr)
{
	const struct ftrace_site *site = (void *)addr;

	return site_usable(site) ? (unsigned long)&site->call : 0;
}

/**
 * ftrace_in_slot - whether an address is that of data, in front of a function
 * @addr: an address in text
 *
 * A kprobe must not be there: an ebreak would be taken for a direct call.
 *
 * Return: true if @addr is in the slot of a site that is used.
 */
bool ftrace_in_slot(unsigned long addr)
{
	const struct ftrace_site *site = (void *)ALIGN_DOWN(addr, sizeof(u32));
	unsigned long ip = (unsigned long)&site->call;

	return ftrace_location_range(ip, ip);
}

/**
 * ftrace_dyn_arch_init - prepare the sites of the kernel
 *
 * Context: boot, on one hart, after poking_init().
 *
 * Return: 0, or the error of patch_insns().
 */
int __init ftrace_dyn_arch_init(void)
{
	unsigned long *addr;
	int ret = 0;

	mutex_lock(&text_mutex);
	for (addr = __start_mcount_loc; addr < __stop_mcount_loc && !ret; addr++) {
		struct ftrace_site *site = (void *)*addr;

		if (!site_usable(site))
			continue;
		ret = batch_add(&site->slot, 0) ?:
		      batch_add(&site->auipc, ftrace_auipc(dispatch_offset(site))) ?:
		      batch_add(&site->call, FTRACE_NOP);
	}
	ret = ret ?: batch_flush();
	mutex_unlock(&text_mutex);

	/* Other harts execute a fence.i when they start. */
	local_flush_icache_all();

	return ret;
}

#ifdef CONFIG_MODULES
/**
 * ftrace_prepare_module - prepare the sites of a module
 * @mod: the module, relocated; its text is still writable, or in a buffer
 *
 * Return: 0; -ENOEXEC if the module is too far from the kernel.
 */
int ftrace_prepare_module(const struct module *mod)
{
	unsigned int i;

	for (i = 0; i < mod->num_ftrace_callsites; i++) {
		struct ftrace_site *site = (void *)mod->ftrace_callsites[i];
		struct ftrace_site *to = module_writable_address(mod, site);

		if (!site_usable(site))
			continue;
		if (!ftrace_reaches(dispatch_offset(site)))
			return -ENOEXEC;
		to->slot = 0;
		to->auipc = ftrace_auipc(dispatch_offset(site));
		to->call = FTRACE_NOP;
	}

	return 0;
}
#endif

/*
 * Add to the batch what lets a site call @addr: ftrace_dispatch(), a function
 * that takes the call directly, or nothing if it is 0.
 */
static int batch_site(struct ftrace_site *site, u32 old_slot, unsigned long addr)
{
	long offset = 0;

	if (addr && addr != FTRACE_ADDR)
		offset = addr - (unsigned long)site->body;
	if (!ftrace_reaches(offset))
		return -ERANGE;

	return ((u32)offset == old_slot ? 0 : batch_add(&site->slot, offset)) ?:
	       batch_add(&site->call, call_insn(site, addr));
}

/* Read a site, and check that it is on or off as ftrace takes it to be. */
static int verify_site(const struct ftrace_site *site, bool on, u32 *slot)
{
	struct ftrace_site now;

	if (copy_from_kernel_nofault(&now, site, sizeof(now)))
		return -EFAULT;
	*slot = now.slot;

	return now.call == call_insn(site, on) ? 0 : -EINVAL;
}

/**
 * ftrace_replace_code - switch all sites whose tracing is to change
 * @enable: zero to switch all off
 *
 * Context: process context, with ftrace_lock and text_mutex.
 */
void ftrace_replace_code(int enable)
{
	struct ftrace_rec_iter *iter;
	bool written = false;
	int ret;

	for_ftrace_rec_iter(iter) {
		struct dyn_ftrace *rec = ftrace_rec_iter_record(iter);
		struct ftrace_site *site = rec_site(rec);
		int what = ftrace_test_record(rec, enable);
		unsigned long addr = 0;
		u32 slot;

		cond_resched();
		if (what == FTRACE_UPDATE_IGNORE)
			continue;
		if (what != FTRACE_UPDATE_MAKE_NOP)
			addr = ftrace_get_addr_new(rec);

		ret = verify_site(site, what != FTRACE_UPDATE_MAKE_CALL, &slot) ?:
		      batch_site(site, slot, addr);
		if (ret) {
			ftrace_bug(ret, rec);
			break;
		}
		ftrace_update_record(rec, enable);
		written = true;
	}
	if (!written)
		return;

	ret = batch_flush();
	if (ret)
		ftrace_bug(ret, NULL);
	flush_icache_all();
}

/* Switch one site, of a module that nobody executes yet. */
static int switch_site(struct dyn_ftrace *rec, bool was_on, unsigned long addr)
{
	struct ftrace_site *site = rec_site(rec);
	u32 slot;

	fence_due = true;

	return verify_site(site, was_on, &slot) ?: batch_site(site, slot, addr) ?:
	       batch_flush();
}

int ftrace_make_call(struct dyn_ftrace *rec, unsigned long addr)
{
	return switch_site(rec, false, addr);
}

int ftrace_modify_call(struct dyn_ftrace *rec, unsigned long old_addr, unsigned long addr)
{
	return switch_site(rec, true, addr);
}

int ftrace_make_nop(struct module *mod, struct dyn_ftrace *rec, unsigned long addr)
{
	return switch_site(rec, true, 0);
}

void ftrace_arch_code_modify_prepare(void)
	__acquires(&text_mutex)
{
	mutex_lock(&text_mutex);
}

void ftrace_arch_code_modify_post_process(void)
	__releases(&text_mutex)
{
	if (fence_due)
		flush_icache_all();
	fence_due = false;
	mutex_unlock(&text_mutex);
}

/* ftrace would stop the machine */
void arch_ftrace_update_code(int command)
{
	ftrace_modify_all_code(command);
}
