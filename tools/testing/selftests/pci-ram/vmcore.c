// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dump of a crashed kernel contains hot-added memory.
 *
 *   vmcore keep MIB	start a process that keeps so much data in memory
 *			that the host plugs
 *   vmcore find MIB START	in the kernel that runs after the crash, find
 *			all of this data in /proc/vmcore, from this
 *			physical address on
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/elf.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

static void main_keep(size_t size)
{
	struct ranges ranges;
	char *memory;

	ksft_set_plan(1);
	wait_for_memory(meminfo_bytes("MemTotal"), 2 * size);
	ranges = hot_ranges();
	memory = fill(size);
	ksft_test_result(pages_in(memory, size, &ranges) * PAGE_SIZE == size,
			 "all %zu MiB of a process are in the new memory\n", size / MIB);
	fflush(stdout);
	if (!fork()) {
		setsid();
		while (verify(memory, size))
			pause();
	}
	ksft_finished();
}

static void read_at(int fd, void *data, size_t size, off_t at)
{
	if (pread(fd, data, size, at) != (ssize_t)size)
		die("/proc/vmcore at %#lx: %s", (unsigned long)at, strerror(errno));
}

/* The number of pages of fill() in a part of the dump. Each page is counted once. */
static size_t find_pages(int fd, const struct elf64_phdr *part, bool *found, size_t pages)
{
	static unsigned long page[512];
	size_t count = 0, number;
	unsigned long offset;

	for (offset = 0; offset < part->p_filesz; offset += sizeof(page)) {
		read_at(fd, page, sizeof(page), part->p_offset + offset);
		number = filled_page(page);
		if (number < pages && !found[number]) {
			found[number] = true;
			count++;
		}
	}
	return count;
}

static void main_find(size_t size, unsigned long start)
{
	size_t pages = size / PAGE_SIZE, count = 0, parts = 0;
	bool *found = calloc(pages, sizeof(*found));
	struct elf64_hdr header;
	struct elf64_phdr part;
	int fd, i;

	ksft_set_plan(3);
	ksft_test_result(!hot_ranges().nr, "this kernel leaves the memory alone\n");
	fd = open("/proc/vmcore", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !found)
		die("/proc/vmcore: %s", strerror(errno));
	read_at(fd, &header, sizeof(header), 0);
	for (i = 0; i < header.e_phnum; i++) {
		read_at(fd, &part, sizeof(part), header.e_phoff + i * sizeof(part));
		if (part.p_type != PT_LOAD || part.p_paddr < start)
			continue;
		parts++;
		count += find_pages(fd, &part, found, pages);
	}
	ksft_test_result(parts, "the dump has the memory\n");
	ksft_test_result(count == pages, "%zu of %zu pages of the process are in it\n", count,
			 pages);
	ksft_finished();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[1] : "";

	begin();
	if (!strcmp(mode, "keep"))
		main_keep(strtoul(argv[2], NULL, 0) * MIB);
	else if (!strcmp(mode, "find") && argc > 3)
		main_find(strtoul(argv[2], NULL, 0) * MIB, strtoul(argv[3], NULL, 16));
	die("usage: vmcore MODE MIB, as vmcore.c says");
}
