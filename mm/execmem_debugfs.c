// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics of executable memory, for a person and for tools/vm/execmem.
 *
 * /sys/kernel/debug/execmem has one line a type, and one for each window of
 * addresses that the architecture's table names. /sys/kernel/debug/execmem_areas
 * lists the live allocations by address. Only root may read the files. Where
 * kptr_restrict hides addresses, they are 0, as in /proc/kallsyms.
 * Documentation/core-api/execmem.rst explains every column.
 */

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/kallsyms.h>
#include <linux/mm.h>
#include <linux/seq_file.h>

#include "execmem_internal.h"

/* Addresses that some types are allocated in */
struct execmem_window {
	unsigned long	start;
	unsigned long	end;
	unsigned long	types;		/* a bit each */
};

/* At most a range and a fallback for each type, and the tail of the text */
#define EXECMEM_MAX_WINDOWS	(2 * EXECMEM_TYPE_MAX + 1)

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
		if (execmem_is_rox(type) && execmem_params->tail_end)
			nr = execmem_window_add(windows, nr,
						execmem_params->tail_start,
						execmem_params->tail_end, type);
	}

	return nr;
}

static struct execmem_area *execmem_first(void)
{
	return rb_entry_safe(rb_first(&execmem_areas.by_addr), struct execmem_area,
			     by_addr);
}

static struct execmem_area *execmem_next(struct execmem_area *area)
{
	return rb_entry_safe(rb_next(&area->by_addr), struct execmem_area, by_addr);
}

/* In how many mappings the allocations of each type, and of all, are */
static void execmem_count_blocks(unsigned long blocks[EXECMEM_TYPE_MAX + 1])
{
	unsigned long last[EXECMEM_TYPE_MAX + 1] = { };
	struct execmem_area *area;
	unsigned long block = 0;

	lockdep_assert_held(&execmem_mutex);

	for (area = execmem_first(); area; area = execmem_next(area)) {
		const int types[] = { area->type, EXECMEM_TYPE_MAX };
		int i;

		if (!(area->flags & EXECMEM_AREA_PIECE) || area->flags & EXECMEM_AREA_FIRST)
			block++;
		if (area->flags & EXECMEM_AREA_FREE)
			continue;

		for (i = 0; i < ARRAY_SIZE(types); i++) {
			blocks[types[i]] += last[types[i]] != block;
			last[types[i]] = block;
		}
	}
}

static void execmem_show_stats(struct seq_file *m, const char *name,
			       const struct execmem_stats *stats,
			       unsigned long blocks)
{
	seq_printf(m, "%-12s %10lu %12lu %12lu %12lu %8lu %8lu\n", name,
		   stats->live, stats->asked, stats->used, stats->peak,
		   stats->failed, blocks);
}

#ifdef CONFIG_EXECMEM_ROX
static void execmem_show_cache(struct seq_file *m)
{
	const struct execmem_cache_stats *stats = &execmem_cache_stats;
	unsigned long nr_free = 0, free = 0, largest = 0;
	struct rb_node *node;

	if (!stats->bytes)
		return;

	/* By size: the last one is the largest */
	for (node = rb_first(&execmem_areas.by_size); node; node = rb_next(node)) {
		largest = rb_entry(node, struct execmem_area, by_size)->used;
		free += largest;
		nr_free++;
	}

	seq_printf(m, "\n%-8s %12s %12s %12s %12s %12s\n", "blocks", "of-4K-pages",
		   "bytes", "free", "free-pieces", "largest-free");
	seq_printf(m, "%-8lu %12lu %12lu %12lu %12lu %12lu\n", stats->blocks,
		   stats->small_blocks, stats->bytes, free, nr_free, largest);
}
#else
static void execmem_show_cache(struct seq_file *m)
{
}
#endif

/* Print "0xstart-0xend", or zeroes where kptr_restrict hides addresses */
static void execmem_show_range(struct seq_file *m, unsigned long start,
			       unsigned long end)
{
	const bool show = kallsyms_show_value(m->file->f_cred);
	const int digits = 2 * sizeof(long);

	seq_printf(m, "0x%0*lx-0x%0*lx", digits, show ? start : 0, digits, show ? end : 0);
}

static int execmem_show(struct seq_file *m, void *unused)
{
	struct execmem_window windows[EXECMEM_MAX_WINDOWS];
	unsigned long blocks[EXECMEM_TYPE_MAX + 1] = { };
	unsigned int nr = execmem_windows(windows);
	unsigned int i;
	int type;

	mutex_lock(&execmem_mutex);

	execmem_count_blocks(blocks);

	seq_printf(m, "%-12s %10s %12s %12s %12s %8s %8s\n", "type", "live",
		   "asked", "used", "peak", "failed", "blocks");
	for (type = 0; type < EXECMEM_TYPE_MAX; type++)
		execmem_show_stats(m, execmem_type_names[type],
				   &execmem_stats[type], blocks[type]);
	execmem_show_stats(m, "total", &execmem_stats[EXECMEM_TYPE_MAX],
			   blocks[EXECMEM_TYPE_MAX]);
	seq_printf(m, "\n%-*s %20s  %s\n", (int)(4 * sizeof(long) + 5), "window",
		   "size", "types");
	for (i = 0; i < nr; i++) {
		const struct execmem_window *window = &windows[i];

		execmem_show_range(m, window->start, window->end);
		seq_printf(m, " %20lu ", window->end - window->start);
		for_each_set_bit(type, &window->types, EXECMEM_TYPE_MAX)
			seq_printf(m, " %s", execmem_type_names[type]);
		seq_putc(m, '\n');
	}
	execmem_show_cache(m);

	mutex_unlock(&execmem_mutex);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(execmem);

/* The next allocation, @area itself or one behind it */
static struct execmem_area *execmem_skip_free(struct execmem_area *area)
{
	while (area && area->flags & EXECMEM_AREA_FREE)
		area = execmem_next(area);

	return area;
}

static void *execmem_areas_start(struct seq_file *m, loff_t *pos)
{
	struct execmem_area *area;
	loff_t skip = *pos;

	mutex_lock(&execmem_mutex);
	for (area = execmem_skip_free(execmem_first()); area && skip; skip--)
		area = execmem_skip_free(execmem_next(area));

	return area;
}

static void *execmem_areas_next(struct seq_file *m, void *area, loff_t *pos)
{
	(*pos)++;
	return execmem_skip_free(execmem_next(area));
}

static void execmem_areas_stop(struct seq_file *m, void *area)
{
	mutex_unlock(&execmem_mutex);
}

static int execmem_areas_show(struct seq_file *m, void *v)
{
	const struct execmem_area *area = v;

	execmem_show_range(m, area->addr, area->addr + area->used);
	seq_printf(m, " %-11s %8u %pS\n", execmem_type_names[area->type],
		   area->asked, area->caller);

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
