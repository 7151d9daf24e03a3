/* SPDX-License-Identifier: GPL-2.0-only */
/* Hot-added memory as user space sees it: where it is, and using it. */
#ifndef SELFTESTS_EXECMEM_MEMORY_H
#define SELFTESTS_EXECMEM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define MAX_RANGES	8
#define PLUG_LIMIT	60	/* seconds; a slot takes five to react */

/* The host waits for this line before it plugs a device. */
#define PLUG_NOW	"plug memory now"

struct range {
	unsigned long start, end;	/* end is the first byte after it */
};

struct ranges {
	struct range range[MAX_RANGES];
	size_t nr;
};

/* What the PCI memory driver has added, from /proc/iomem. */
struct ranges hot_ranges(void);
unsigned long ranges_size(const struct ranges *ranges);

/* A number of /proc/meminfo, in bytes. */
unsigned long meminfo_bytes(const char *field);

/*
 * Ask the host to plug memory and wait until MemTotal has grown by @size bytes
 * from @before; ends the program if it does not.
 */
void wait_for_memory(unsigned long before, unsigned long size);

/* Memory with a pattern that tells every cache line from every other. */
void *fill(size_t size);
bool verify(const void *memory, size_t size);

/* How many pages of mapped memory lie in the physical ranges. */
size_t pages_in(const void *memory, size_t size, const struct ranges *ranges);

#endif /* SELFTESTS_EXECMEM_MEMORY_H */
