// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

#define LINE		64UL
#define PAGEMAP_PFN	0x007fffffffffffffULL
#define PAGEMAP_PRESENT	0x8000000000000000ULL

struct ranges hot_ranges(void)
{
	struct ranges ranges = { .nr = 0 };
	char *text = read_file("/proc/iomem");
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n"))) {
		unsigned long start, last;

		if (!strstr(line, " : System RAM (pci_ram)") ||
		    sscanf(line, " %lx-%lx", &start, &last) != 2)
			continue;
		if (ranges.nr == MAX_RANGES)
			die("/proc/iomem: more than %d hot-added ranges", MAX_RANGES);
		ranges.range[ranges.nr++] = (struct range){ start, last + 1 };
	}
	free(text);
	return ranges;
}

unsigned long ranges_size(const struct ranges *ranges)
{
	unsigned long size = 0;
	size_t i;

	for (i = 0; i < ranges->nr; i++)
		size += ranges->range[i].end - ranges->range[i].start;
	return size;
}

unsigned long meminfo_bytes(const char *field)
{
	char *text = read_file("/proc/meminfo");
	char *found = strstr(text, field);
	unsigned long kib;

	if (!found || sscanf(found + strlen(field), ": %lu kB", &kib) != 1)
		die("/proc/meminfo has no %s", field);
	free(text);
	return kib << 10;
}

void wait_for_memory(unsigned long before, unsigned long size)
{
	int tenths;

	printf("# " PLUG_NOW "\n");
	for (tenths = 0; tenths < 10 * PLUG_LIMIT; tenths++) {
		if (meminfo_bytes("MemTotal") >= before + size)
			return;
		usleep(100000);
	}
	die("MemTotal grew by %lu kB of %lu kB in %d s",
	    (meminfo_bytes("MemTotal") - before) >> 10, size >> 10, PLUG_LIMIT);
}

static unsigned long pattern(size_t offset)
{
	return (offset + 1) * 0x9e3779b97f4a7c15UL;
}

void *fill(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t offset;

	if (memory == MAP_FAILED)
		die("map %zu MiB: %s", size >> 20, strerror(errno));
	for (offset = 0; offset < size; offset += LINE)
		*(unsigned long *)(memory + offset) = pattern(offset);
	return memory;
}

bool verify(const void *memory, size_t size)
{
	size_t offset;

	for (offset = 0; offset < size; offset += LINE) {
		if (*(const unsigned long *)((const char *)memory + offset) != pattern(offset))
			return false;
	}
	return true;
}

static bool in_ranges(unsigned long addr, const struct ranges *ranges)
{
	size_t i;

	for (i = 0; i < ranges->nr; i++) {
		if (addr >= ranges->range[i].start && addr < ranges->range[i].end)
			return true;
	}
	return false;
}

size_t pages_in(const void *memory, size_t size, const struct ranges *ranges)
{
	size_t page = (uintptr_t)memory / PAGE_SIZE;
	size_t end = page + size / PAGE_SIZE;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned long long entries[512];
	size_t found = 0;

	if (fd < 0)
		die("open /proc/self/pagemap: %s", strerror(errno));
	while (page < end) {
		size_t want = end - page < ARRAY_SIZE(entries) ? end - page : ARRAY_SIZE(entries);
		ssize_t got = pread(fd, entries, want * sizeof(*entries), page * sizeof(*entries));
		ssize_t i;

		if (got <= 0)
			die("read /proc/self/pagemap: %s", strerror(errno));
		got /= sizeof(*entries);
		for (i = 0; i < got; i++) {
			if (entries[i] & PAGEMAP_PRESENT &&
			    in_ranges((entries[i] & PAGEMAP_PFN) * PAGE_SIZE, ranges))
				found++;
		}
		page += got;
	}
	close(fd);
	return found;
}
