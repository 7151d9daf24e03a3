/* SPDX-License-Identifier: GPL-2.0-only */
/* Hot-added memory in user space: find it and use it. */
#ifndef SELFTESTS_KERNEL_MEMORY_MEMORY_H
#define SELFTESTS_KERNEL_MEMORY_MEMORY_H

#include <linux/elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MEMORY_DIR	"/sys/devices/system/memory"
#define MAX_RANGES	8
#define WAIT_LIMIT	300	/* seconds; a slot needs five to react, a busy machine more */

/* The host waits for this line before it plugs a device. */
#define PLUG_NOW	"plug memory now"
/* The host waits for this line before it unplugs the device. */
#define REMOVE_NOW	"remove memory now"
/* After this line, the host saves the machine, restores it in another QEMU, and sends a line. */
#define SAVE_NOW	"save memory now"

struct range {
	unsigned long start, end;	/* end is the first byte after it */
};

struct ranges {
	struct range range[MAX_RANGES];
	size_t nr;
};

/* The ranges that drivers have added, from /proc/iomem */
struct ranges hot_ranges(void);
unsigned long ranges_size(const struct ranges *ranges);

/* A number of /proc/meminfo, in bytes; the same for a node */
unsigned long meminfo_bytes(const char *field);
unsigned long node_bytes(int node, const char *field);

/* Load modules/hotplug_range.ko if it is not loaded. */
void load_hotplug_range(void);
/* Set how memory added from now on comes online: a value of auto_online_blocks. */
void online_as(const char *policy);

/* Wait for a condition. Returns whether it became true within WAIT_LIMIT. */
bool wait_for(bool (*reached)(size_t wanted), size_t wanted);
/* Whether /proc/iomem has the same text as before */
bool iomem_is(const char *before);

/* Everything that removing memory must restore, other than free memory */
struct memory_state {
	unsigned long total, tables;
	size_t blocks;
	char *iomem;
};

/* modules/hotplug_range.c counts the page tables. */
struct memory_state memory_state(void);
/* Whether the state is @before; prints differences. */
bool memory_state_is(const struct memory_state *before);

/* The kernel log, which the caller frees; and how often it contains a text */
char *log_read(void);
size_t log_count(const char *text);

/* The number of free pages, including those in the harts' lists */
long free_pages(void);

/* Memory blocks in sysfs: bytes of a block, number of blocks */
unsigned long block_size(void);
size_t memory_blocks(void);
/* Whether each block of a range exists and has @value in its @file */
bool blocks_are(unsigned long start, unsigned long size, const char *file, const char *value);

/* The files of modules/hotplug_range.c */
#define HOTPLUG_DIR	"/sys/kernel/debug/hotplug_range"

/* Run an operation of modules/hotplug_range.c. Returns 0 or its errno. */
int hotplug(const char *operation, unsigned long start, unsigned long size);
unsigned long hotplug_number(const char *name);
/* Have notifiers refuse an action with this errno from now on. 0 ends this. */
void notifier_error(const char *action, int err);
/* The RAM that "mem=" hides from the kernel, from the first whole block on */
struct range unused_ram(void);

/*
 * Ask the host to plug memory, and wait until MemTotal is @size bytes above
 * @before. Ends the program if this takes too long.
 */
void wait_for_memory(unsigned long before, unsigned long size);

/* Allocate memory with a pattern: every cache line has another content. */
void *fill(size_t size);
void fill_at(void *memory, size_t size);
/* The same in huge pages of hugetlb */
void *fill_huge(size_t size);
bool verify(const void *memory, size_t size);
/* The number of the page of fill()'s memory that has the same content, or SIZE_MAX */
size_t filled_page(const void *page);

#define HUGE_PAGES	"/proc/sys/vm/nr_hugepages"

/* Set the size of hugetlb's pool. Returns whether the pool has this size now. */
bool set_pool(unsigned long total);
/* Whether the pool has exactly these huge pages, and none in surplus; prints differences. */
bool pool_is(unsigned long total, unsigned long unused, unsigned long reserved);

/* Run KSM until there are @nr pages fewer. Returns whether this happened. */
bool merge_pages(long nr);

/* Wait for a child. Returns whether it exited with 0. */
bool child_succeeds(pid_t child);
/*
 * Whether a child can read all of @memory and write a part of it. Writing
 * copies pages, and must not change the memory of the parent.
 */
bool fork_works(char *memory, size_t size);

#define KCORE_HEADERS	64

/* /proc/kcore, and its program headers for RAM */
struct kcore {
	int fd;
	struct elf64_phdr headers[KCORE_HEADERS];
	size_t nr;
};

struct kcore kcore_open(void);
/* The offset of a physical address in the file */
off_t kcore_offset(const struct kcore *kcore, unsigned long phys);

/* The number of pages of mapped memory that lie in the physical ranges */
size_t pages_in(const void *memory, size_t size, const struct ranges *ranges);
/* The number of these pages that have all of @flags (<linux/kernel-page-flags.h>) */
size_t pages_with(const void *memory, size_t size, const struct ranges *ranges,
		  unsigned long long flags);
/* The number of pages of a physical range that have all of @flags, whoever uses them */
size_t range_pages_with(const struct range *range, unsigned long long flags);

/* Sets of nodes have one bit for each node. */
#define NODE_0		1UL
#define NODE_1		2UL

/* Set the memory policy of this process: MPOL_* of linux/mempolicy.h, and a set of nodes. */
void set_policy(int mode, unsigned long nodes);
/*
 * Call this when node 1 has got its first memory. It waits until a kernel
 * worker has allowed this process to use that memory. Do not fork before: 6.1
 * may forget a child that is forked meanwhile.
 */
void wait_for_node_1(void);

#endif /* SELFTESTS_KERNEL_MEMORY_MEMORY_H */
