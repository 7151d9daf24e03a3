/* SPDX-License-Identifier: GPL-2.0-only */
/* Hot-added memory as user space sees it: where it is, and using it. */
#ifndef SELFTESTS_KERNEL_MEMORY_MEMORY_H
#define SELFTESTS_KERNEL_MEMORY_MEMORY_H

#include <linux/elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MEMORY_DIR	"/sys/devices/system/memory"
#define MAX_RANGES	8
#define WAIT_LIMIT	300	/* seconds; a slot takes five to react, a busy machine many */

/* The host waits for this line before it plugs a device. */
#define PLUG_NOW	"plug memory now"
/* And for this one before it unplugs. */
#define REMOVE_NOW	"remove memory now"
/* After this one it saves the machine, restores it elsewhere, and sends a line. */
#define SAVE_NOW	"save memory now"

struct range {
	unsigned long start, end;	/* end is the first byte after it */
};

struct ranges {
	struct range range[MAX_RANGES];
	size_t nr;
};

/* What drivers have added, from /proc/iomem. */
struct ranges hot_ranges(void);
unsigned long ranges_size(const struct ranges *ranges);

/* A number of /proc/meminfo, in bytes, and one of a node. */
unsigned long meminfo_bytes(const char *field);
unsigned long node_bytes(int node, const char *field);

/* Load modules/hotplug_range.ko if it is not there. */
void load_hotplug_range(void);
/* How what is added from here on comes online, as auto_online_blocks has it. */
void online_as(const char *policy);

/* Something that is going to be so; returns whether it is, if need be after WAIT_LIMIT. */
bool wait_for(bool (*reached)(size_t wanted), size_t wanted);
/* Whether /proc/iomem is the same text. */
bool iomem_is(const char *before);

/* All that removed memory has to give back, but for free memory. */
struct memory_state {
	unsigned long total, tables;
	size_t blocks;
	char *iomem;
};

/* The page tables are counted by modules/hotplug_range.c. */
struct memory_state memory_state(void);
/* True if it is as @before; says what differs. */
bool memory_state_is(const struct memory_state *before);

/* The kernel log, to be freed; and how often a text is in it. */
char *log_read(void);
size_t log_count(const char *text);

/* Free pages, those that wait in the harts' lists included. */
long free_pages(void);

/* The memory blocks in sysfs: bytes of one, how many there are. */
unsigned long block_size(void);
size_t memory_blocks(void);
/* Whether each block of a range is there and says @value in its @file. */
bool blocks_are(unsigned long start, unsigned long size, const char *file, const char *value);

/* An operation of modules/hotplug_range.c; returns 0 or its errno. */
int hotplug(const char *operation, unsigned long start, unsigned long size);
unsigned long hotplug_number(const char *name);
/* From here on notifiers refuse an action with this errno, unless it is 0. */
void notifier_error(const char *action, int err);
/* The RAM that "mem=" has kept from the kernel, from the first whole block on. */
struct range unused_ram(void);

/*
 * Ask the host to plug memory and wait until MemTotal has grown by @size bytes
 * from @before; ends the program if it does not.
 */
void wait_for_memory(unsigned long before, unsigned long size);

/* Memory with a pattern that tells every cache line from every other. */
void *fill(size_t size);
void fill_at(void *memory, size_t size);
/* The same in huge pages of hugetlb. */
void *fill_huge(size_t size);
bool verify(const void *memory, size_t size);
/* Which page of fill()'s memory it is that a page is a copy of; SIZE_MAX if none. */
size_t filled_page(const void *page);

/* Have KSM work until there are @nr pages fewer; whether it comes to that. */
bool merge_pages(long nr);

/* Wait for a child; whether it ended with 0. */
bool child_succeeds(pid_t child);
/*
 * Whether a child can read all of @memory, and write a part of it, which copies
 * pages, without changing the parent's.
 */
bool fork_works(char *memory, size_t size);

#define KCORE_HEADERS	64

/* /proc/kcore, and its program headers that describe RAM */
struct kcore {
	int fd;
	struct elf64_phdr headers[KCORE_HEADERS];
	size_t nr;
};

struct kcore kcore_open(void);
/* Where a physical address is in the file. */
off_t kcore_offset(const struct kcore *kcore, unsigned long phys);

/* How many pages of mapped memory lie in the physical ranges. */
size_t pages_in(const void *memory, size_t size, const struct ranges *ranges);
/* How many of them have all of @flags, bits of <linux/kernel-page-flags.h>. */
size_t pages_with(const void *memory, size_t size, const struct ranges *ranges,
		  unsigned long long flags);
/* How many pages of a physical range have all of @flags, whoever has them. */
size_t range_pages_with(const struct range *range, unsigned long long flags);

/* Sets of nodes have a bit for each. */
#define NODE_0		1UL
#define NODE_1		2UL

/* From which nodes this process allocates: MPOL_* of linux/mempolicy.h, and a set. */
void set_policy(int mode, unsigned long nodes);
/*
 * Node 1 has got its first memory: wait until a worker of the kernel has let this process
 * use it. 6.1 may forget a process that is forked before.
 */
void wait_for_node_1(void);

#endif /* SELFTESTS_KERNEL_MEMORY_MEMORY_H */
