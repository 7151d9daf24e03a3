// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocator of executable memory.
 */

/**
 * DOC: overview
 *
 * Loadable modules, kprobes, ftrace and BPF all put code into memory that is
 * allocated while the kernel runs. Where that memory may be differs between
 * architectures and between those users: branches have a limited reach,
 * address windows are set aside, some memory is executable from the start and
 * some only once it has been filled.
 *
 * execmem_alloc() and execmem_free() serve all of them. What differs is data:
 * an architecture returns a table, &struct execmem_params, from
 * execmem_arch_params(). It has one &struct execmem_range for each
 * &enum execmem_type, and says in which addresses, with which protection and
 * with which alignment memory of that type is allocated. A range that is left
 * empty inherits the one of %EXECMEM_DEFAULT, module data with the protection
 * %PAGE_KERNEL.
 *
 * The memory is vmalloc memory. vmalloc_to_page(), vmalloc_to_pfn(),
 * find_vm_area(), is_vmalloc_or_module_addr() and /proc/vmallocinfo work on it
 * as on any other. The areas carry %VM_EXECMEM, by which execmem_free() knows
 * its own, and %VM_FLUSH_RESET_PERMS, so that whatever set_memory_*() did to
 * their pages is undone before the pages are handed out again.
 *
 * An architecture without a table keeps the module_alloc() it has, or gets
 * the one below, which allocates anywhere in the vmalloc space.
 */

#define pr_fmt(fmt) "execmem: " fmt

#include <linux/bug.h>
#include <linux/cache.h>
#include <linux/errno.h>
#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/moduleloader.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/vmalloc.h>

#include "execmem_internal.h"

static const char * const execmem_type_names[EXECMEM_TYPE_MAX] = {
	[EXECMEM_MODULE_TEXT]	= "module text",
	[EXECMEM_MODULE_DATA]	= "module data",
	[EXECMEM_KPROBES]	= "kprobes",
	[EXECMEM_FTRACE]	= "ftrace",
	[EXECMEM_BPF]		= "BPF",
};

/* The table in use; NULL before execmem_init() and if the table was refused */
static const struct execmem_params *execmem_params __ro_after_init;

/* The architecture has no table: module_alloc() serves all types */
static bool execmem_legacy __ro_after_init;

/**
 * execmem_arch_params - the ranges of this architecture
 *
 * Called once, from execmem_init(). An architecture overrides it to return a
 * table that stays, and that execmem_init() fills in: the ranges left empty
 * are completed in place, so it is __ro_after_init rather than const.
 *
 * Return: the table, or %NULL if the architecture has none.
 */
struct execmem_params * __weak execmem_arch_params(void)
{
	return NULL;
}

static bool execmem_range_is_empty(const struct execmem_range *range)
{
	return !range->start && !range->end &&
	       !range->fallback_start && !range->fallback_end &&
	       !pgprot_val(range->pgprot) && !range->alignment;
}

/* One clear sentence about what is wrong with a range, or NULL */
static const char *execmem_range_flaw(const struct execmem_range *range)
{
	unsigned long fallback_size = range->fallback_end - range->fallback_start;
	unsigned long size = range->end - range->start;
	unsigned int alignment = range->alignment;

	if (range->start >= range->end)
		return "end is not above start";
	if (!is_power_of_2(alignment))
		return "alignment is not a power of two";
	if (alignment > size)
		return "alignment is larger than the range";
	if (!pgprot_val(range->pgprot))
		return "no protection given";
	if (!range->fallback_start && !range->fallback_end)
		return NULL;
	if (range->fallback_start >= range->fallback_end)
		return "end of the fallback is not above its start";
	if (alignment > fallback_size)
		return "alignment is larger than the fallback";

	return NULL;
}

/**
 * execmem_params_complete - check a table and fill in what it leaves empty
 * @params: the table
 *
 * Logs one line for the first range that cannot work.
 *
 * Return: 0 on success, -EINVAL for a table that cannot work; it is then as
 * it was.
 */
int execmem_params_complete(struct execmem_params *params)
{
	const struct execmem_range *def = &params->ranges[EXECMEM_DEFAULT];
	int type;

	for (type = 0; type < EXECMEM_TYPE_MAX; type++) {
		const struct execmem_range *range = &params->ranges[type];
		const char *flaw;

		/* Everybody may be empty but the one they inherit from */
		if (range != def && execmem_range_is_empty(range))
			continue;

		flaw = execmem_range_flaw(range);
		if (flaw) {
			pr_err("range for %s [%#lx, %#lx) refused: %s; no executable memory can be allocated\n",
			       execmem_type_names[type], range->start,
			       range->end, flaw);
			return -EINVAL;
		}
	}

	for (type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct execmem_range *range = &params->ranges[type];

		if (!execmem_range_is_empty(range))
			continue;

		*range = *def;
		if (type == EXECMEM_MODULE_DATA)
			range->pgprot = PAGE_KERNEL;
	}

	return 0;
}

/**
 * execmem_init - put the architecture's table into use
 *
 * Context: boot, single threaded, after vmalloc_init() and before the first
 * user of executable memory.
 */
void __init execmem_init(void)
{
	struct execmem_params *params = execmem_arch_params();

	if (!params)
		execmem_legacy = true;
	else if (!execmem_params_complete(params))
		execmem_params = params;
}

/**
 * execmem_range_alloc - allocate from one range
 * @range: a complete range
 * @size: bytes wanted
 * @caller: whom /proc/vmallocinfo names
 *
 * Context: process context, may sleep.
 *
 * Return: the address of @size bytes, rounded up to full pages and not
 * zeroed; %NULL if there is neither address space nor memory.
 */
void *execmem_range_alloc(const struct execmem_range *range, size_t size,
			  const void *caller)
{
	const unsigned long vm_flags = VM_FLUSH_RESET_PERMS | VM_EXECMEM;
	gfp_t gfp = GFP_KERNEL;
	void *ptr;

	if (!size)
		return NULL;

	/* The failure of a first try that has a second one is no news */
	if (range->fallback_start)
		gfp |= __GFP_NOWARN;

	ptr = __vmalloc_node_range(size, range->alignment, range->start,
				   range->end, gfp, range->pgprot, vm_flags,
				   NUMA_NO_NODE, caller);
	if (!ptr && range->fallback_start)
		ptr = __vmalloc_node_range(size, range->alignment,
					   range->fallback_start,
					   range->fallback_end, GFP_KERNEL,
					   range->pgprot, vm_flags,
					   NUMA_NO_NODE, caller);

	return ptr;
}

/*
 * module_alloc() and module_memfree() are what architectures that have no
 * table override. They go away together with the last of these.
 */
void * __weak module_alloc(unsigned long size)
{
	const struct execmem_range range = {
		.start		= VMALLOC_START,
		.end		= VMALLOC_END,
		.pgprot		= PAGE_KERNEL_EXEC,
		.alignment	= 1,
	};

	return execmem_range_alloc(&range, size, __builtin_return_address(0));
}

void __weak module_memfree(void *module_region)
{
	/* It may be read-only by now, see execmem_free() */
	WARN_ON(in_interrupt());
	vfree(module_region);
}

/**
 * execmem_alloc - allocate executable memory
 * @type: what the memory is for
 * @size: bytes wanted
 *
 * The memory is in the range of @type and has its protection: it is for the
 * caller to make it writable, read-only or executable with set_memory_*() as
 * its use demands. It is not zeroed.
 *
 * Context: process context, may sleep.
 *
 * Return: the address of @size bytes, rounded up to full pages; %NULL if
 * @size is 0, if there is no room in the range or no memory, or if the
 * architecture's table was refused at boot.
 */
void *execmem_alloc(enum execmem_type type, size_t size)
{
	if (WARN_ON_ONCE(type >= EXECMEM_TYPE_MAX))
		return NULL;

	if (execmem_legacy)
		return type == EXECMEM_MODULE_DATA ? vmalloc(size)
						   : module_alloc(size);

	if (!execmem_params)
		return NULL;

	return execmem_range_alloc(&execmem_params->ranges[type], size,
				   __builtin_return_address(0));
}

/* Did execmem_range_alloc() return this address, and is it still allocated? */
static bool execmem_is_allocated(const void *ptr)
{
	const struct vm_struct *area;

	/* No areas to look it up in: vmalloc() is kmalloc() there */
	if (!IS_ENABLED(CONFIG_MMU))
		return true;

	area = find_vm_area(ptr);

	return area && area->addr == ptr && (area->flags & VM_EXECMEM);
}

/**
 * execmem_free - free executable memory
 * @ptr: what execmem_alloc() returned; %NULL is ignored
 *
 * Warns about an address that is not allocated, and leaves everything as it
 * was: freeing what belongs to somebody else is worse than not freeing.
 *
 * Context: process context, may sleep. Memory that vfree() takes in interrupt
 * context is queued through a list node inside itself, and this memory may be
 * read-only by now: so it is not freed there, and warned about.
 */
void execmem_free(void *ptr)
{
	if (!ptr)
		return;

	if (WARN(in_interrupt(), "execmem: %pS frees %p in interrupt context, not freed\n",
		 __builtin_return_address(0), ptr))
		return;

	if (execmem_legacy) {
		module_memfree(ptr);
		return;
	}

	if (WARN(!execmem_is_allocated(ptr), "execmem: %pS frees %p, which is not allocated\n",
		 __builtin_return_address(0), ptr))
		return;

	vfree(ptr);
}
