// SPDX-License-Identifier: GPL-2.0-only
/*
 * What there is of executable memory, for a person and for tools/vm/execmem.
 *
 * /sys/kernel/debug/execmem has one line a type, and one for each window of
 * addresses that the architecture's table names. /sys/kernel/debug/execmem_areas
 * lists the live allocations by address. Both give real addresses, so only root
 * may read them. Documentation/core-api/execmem.rst explains every column.
 */

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/seq_file.h>

#include "execmem_internal.h"

/* Addresses that some types are allocated in */
struct execmem_window {
	unsigned long	start;
	unsigned long	end;
	unsigned long	types;		/* a bit each */
};

/* How a window is filled */
struct execmem_fill {
	unsigned long	used;
	unsigned long	free;
	unsigned long	largest;	/* hole */
};

/* At most a range and a fallback for each type */
#define EXECMEM_MAX_WINDOWS	(2 * EXECMEM_TYPE_MAX)

static unsigned int execmem_window_add(struct execmem_window *windows,
				       unsigned int nr, unsigned long start,
				       unsigned long end, int type)
{
	unsigned int i, at;

	for (at = 0; at < nr; at++) {
		if (windows[at].start == start && windows[at].end == end) {
			windows[at].types |= BIT(type);
			return nr;
		}
		if (windows[at].start > start ||
		    (windows[at].start == start && windows[at].end > end))
			break;
	}

	for (i = nr; i > at; i--)
		windows[i] = windows[i - 1];
	windows[at] = (struct execmem_window){ start, end, BIT(type) };

	return nr + 1;
}

/* The windows of the table in use, lowest first */
static unsigned int execmem_windows(struct execmem_window *windows)
{
	unsigned int nr = 0;
	int type;

	if (!execmem_params)
		return 0;

	for (type = 0; type < EXECMEM_TYPE_MAX; type++) {
		const struct execmem_range *range = &execmem_params->ranges[type];

		nr = execmem_window_add(windows, nr, range->start, range->end,
					type);
		if (range->fallback_start)
			nr = execmem_window_add(windows, nr,
						range->fallback_start,
						range->fallback_end, type);
	}

	return nr;
}

/*
 * Every area is followed by a guard page, which is not used and not free.
 * Others that allocate in a window, vmalloc() and ioremap() in the vmalloc
 * space, are not known here: their addresses count as free.
 */
static struct execmem_fill execmem_fill(unsigned long start, unsigned long end)
{
	struct execmem_fill fill = { };
	unsigned long at = start;
	struct rb_node *node;

	lockdep_assert_held(&execmem_mutex);

	for (node = rb_first(&execmem_areas); node; node = rb_next(node)) {
		const struct execmem_area *area;

		area = rb_entry(node, struct execmem_area, node);
		if (area->addr < start)
			continue;
		if (area->addr >= end)
			break;

		fill.used += area->used;
		fill.free += area->addr - at;
		fill.largest = max(fill.largest, area->addr - at);
		at = min(area->addr + area->used + PAGE_SIZE, end);
	}
	fill.free += end - at;
	fill.largest = max(fill.largest, end - at);

	return fill;
}

/* The share of the free addresses that is not in the largest hole, in percent */
static unsigned int execmem_fragmented(const struct execmem_fill *fill)
{
	/* Pages: a percentage of bytes would overflow on 32-bit */
	unsigned long free = PFN_DOWN(fill->free);
	unsigned long rest = PFN_DOWN(fill->free - fill->largest);

	return free ? mult_frac(100UL, rest, free) : 0;
}

static void execmem_show_stats(struct seq_file *m, const char *name,
			       const struct execmem_stats *stats)
{
	/* Every allocation is an area of its own: as many blocks as are live */
	seq_printf(m, "%-12s %10lu %12lu %12lu %12lu %8lu %8lu", name,
		   stats->live, stats->asked, stats->used, stats->peak,
		   stats->failed, stats->live);
}

static int execmem_show(struct seq_file *m, void *unused)
{
	struct execmem_window windows[EXECMEM_MAX_WINDOWS];
	unsigned int nr = execmem_windows(windows);
	unsigned int i;
	int type;

	mutex_lock(&execmem_mutex);

	seq_printf(m, "%-12s %10s %12s %12s %12s %8s %8s %11s\n", "type", "live",
		   "asked", "used", "peak", "failed", "blocks", "fragmented");
	for (type = 0; type < EXECMEM_TYPE_MAX; type++) {
		execmem_show_stats(m, execmem_type_names[type],
				   &execmem_stats[type]);
		if (execmem_params) {
			const struct execmem_range *range;
			struct execmem_fill fill;

			range = &execmem_params->ranges[type];
			fill = execmem_fill(range->start, range->end);
			seq_printf(m, " %10u%%", execmem_fragmented(&fill));
		}
		seq_putc(m, '\n');
	}
	execmem_show_stats(m, "total", &execmem_stats[EXECMEM_TYPE_MAX]);

	seq_printf(m, "\n\n%-*s %20s %12s %20s  %s\n",
		   (int)(4 * sizeof(long) + 5), "window", "size", "used",
		   "largest-hole", "types");
	for (i = 0; i < nr; i++) {
		const struct execmem_window *window = &windows[i];
		struct execmem_fill fill;

		fill = execmem_fill(window->start, window->end);
		seq_printf(m, "0x%0*lx-0x%0*lx %20lu %12lu %20lu ",
			   (int)(2 * sizeof(long)), window->start,
			   (int)(2 * sizeof(long)), window->end,
			   window->end - window->start, fill.used,
			   fill.largest);
		for_each_set_bit(type, &window->types, EXECMEM_TYPE_MAX)
			seq_printf(m, " %s", execmem_type_names[type]);
		seq_putc(m, '\n');
	}

	mutex_unlock(&execmem_mutex);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(execmem);

/* The first area at or above an address that a reader has reached */
static void *execmem_areas_start(struct seq_file *m, loff_t *pos)
{
	struct rb_node *node;
	loff_t skip = *pos;

	mutex_lock(&execmem_mutex);
	for (node = rb_first(&execmem_areas); node && skip; node = rb_next(node))
		skip--;

	return node;
}

static void *execmem_areas_next(struct seq_file *m, void *node, loff_t *pos)
{
	(*pos)++;
	return rb_next(node);
}

static void execmem_areas_stop(struct seq_file *m, void *node)
{
	mutex_unlock(&execmem_mutex);
}

static int execmem_areas_show(struct seq_file *m, void *node)
{
	const struct execmem_area *area;

	area = rb_entry(node, struct execmem_area, node);
	seq_printf(m, "0x%0*lx-0x%0*lx %-11s %8zu %pS\n",
		   (int)(2 * sizeof(long)), area->addr,
		   (int)(2 * sizeof(long)), area->addr + area->used,
		   execmem_type_names[area->type], area->asked, area->caller);

	return 0;
}

static const struct seq_operations execmem_areas_sops = {
	.start	= execmem_areas_start,
	.next	= execmem_areas_next,
	.stop	= execmem_areas_stop,
	.show	= execmem_areas_show,
};
DEFINE_SEQ_ATTRIBUTE(execmem_areas);

static int __init execmem_debugfs_init(void)
{
	debugfs_create_file("execmem", 0400, NULL, NULL, &execmem_fops);
	debugfs_create_file("execmem_areas", 0400, NULL, NULL,
			    &execmem_areas_fops);

	return 0;
}
late_initcall(execmem_debugfs_init);
