// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host hot-adds memory through a PCI device.
 *
 *   hotadd add MIB...	devices of these sizes are plugged. Their memory is
 *			accounted for and used
 *   hotadd refuse	a device is plugged that must be refused
 *
 * The host plugs when the program says "plug memory now".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

#define DRIVER		"pci_ram "

static int main_in_range(char **args);

/* All that user space can see of the memory */
struct state {
	unsigned long total;
	size_t blocks;
	struct ranges ranges;
};

static struct state state_read(void)
{
	return (struct state){
		.total = meminfo_bytes("MemTotal"),
		.blocks = memory_blocks(),
		.ranges = hot_ranges(),
	};
}

/* The ranges that are in @now but not in @before */
static struct ranges new_ranges(const struct ranges *before, const struct ranges *now)
{
	struct ranges fresh = { .nr = 0 };
	size_t i, j;

	for (i = 0; i < now->nr; i++) {
		for (j = 0; j < before->nr; j++) {
			if (now->range[i].start == before->range[j].start)
				break;
		}
		if (j == before->nr)
			fresh.range[fresh.nr++] = now->range[i];
	}
	return fresh;
}

static bool has_size(const struct ranges *ranges, unsigned long size)
{
	size_t i;

	for (i = 0; i < ranges->nr; i++) {
		if (ranges->range[i].end - ranges->range[i].start == size)
			return true;
	}
	return false;
}

/* The memory that was added */
static struct ranges new_memory;

/*
 * Whether every block of it exists, is online, and is in a zone. MemTotal has
 * its pages a moment earlier.
 */
static bool blocks_online(size_t unused)
{
	bool good = true;
	size_t i;

	(void)unused;
	for (i = 0; i < new_memory.nr; i++) {
		unsigned long start = new_memory.range[i].start;
		unsigned long size = new_memory.range[i].end - start;

		good &= blocks_are(start, size, "state", "online") &&
			blocks_are(start, size, "valid_zones", "Normal");
	}
	return good;
}

/* Copy this program to a file in memory, and run the copy. */
static bool exec_works(const struct ranges *ranges)
{
	static char text[2 * MAX_RANGES][24];
	char *args[2 * MAX_RANGES + 3] = { "hotadd", "in-range" };
	int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int copy = memfd_create("hotadd", MFD_CLOEXEC);
	struct stat stat;
	pid_t child;
	size_t i;

	if (self < 0 || copy < 0 || fstat(self, &stat) ||
	    sendfile(copy, self, NULL, stat.st_size) != stat.st_size)
		die("copy of the program: %s", strerror(errno));

	for (i = 0; i < ranges->nr; i++) {
		snprintf(text[2 * i], sizeof(text[0]), "%lu", ranges->range[i].start);
		snprintf(text[2 * i + 1], sizeof(text[0]), "%lu", ranges->range[i].end);
		args[2 * i + 2] = text[2 * i];
		args[2 * i + 3] = text[2 * i + 1];
	}

	fflush(stdout);
	child = fork();
	if (!child) {
		fexecve(copy, args, environ);
		_exit(127);
	}
	close(self);
	close(copy);
	return child_succeeds(child);
}

/* For the copy: exit with 0 if its text is in the ranges. */
static int main_in_range(char **args)
{
	struct ranges ranges = { .nr = 0 };
	uintptr_t page = (uintptr_t)main_in_range & -PAGE_SIZE;

	for (; args[0] && args[1]; args += 2) {
		ranges.range[ranges.nr].start = strtoul(args[0], NULL, 10);
		ranges.range[ranges.nr++].end = strtoul(args[1], NULL, 10);
	}
	return pages_in((void *)page, PAGE_SIZE, &ranges) != 1;
}

static void main_add(char **sizes)
{
	unsigned long old_free = meminfo_bytes("MemFree");
	struct state before = state_read(), now;
	unsigned long added = 0;
	bool good = true;
	size_t size, found, nr;
	char *memory;

	for (nr = 0; sizes[nr]; nr++)
		added += strtoul(sizes[nr], NULL, 10) * MIB;

	ksft_set_plan(8);
	wait_for_memory(before.total, added);
	now = state_read();
	new_memory = new_ranges(&before.ranges, &now.ranges);

	ksft_test_result(now.total == before.total + added, "MemTotal grew by %lu MiB\n",
			 added / MIB);
	for (nr = 0; sizes[nr]; nr++)
		good &= has_size(&new_memory, strtoul(sizes[nr], NULL, 10) * MIB);
	ksft_test_result(good && new_memory.nr == nr, "/proc/iomem names the new System RAM\n");
	ksft_test_result(now.blocks == before.blocks + added / block_size(),
			 "there are %lu new memory blocks\n", added / block_size());
	ksft_test_result(wait_for(blocks_online, 0), "the new blocks are online in zone Normal\n");

	/* More than was free before: a part of it must be in the new memory. */
	size = (old_free + added / 2) & -PAGE_SIZE;
	memory = fill(size);
	ksft_test_result(verify(memory, size), "%zu MiB are filled and read back\n", size / MIB);
	found = pages_in(memory, size, &new_memory);
	ksft_print_msg("%zu MiB of it are in the new memory\n", found * PAGE_SIZE / MIB);
	ksft_test_result(found >= (size - old_free) / PAGE_SIZE,
			 "what was not free before is in the new memory\n");
	ksft_test_result(fork_works(memory, size), "a forked child has its copy\n");
	munmap(memory, size);
	ksft_test_result(exec_works(&now.ranges), "a program runs from hot-added memory\n");
}

static bool has_said(size_t lines)
{
	return log_count(DRIVER) >= lines;
}

static void main_refuse(void)
{
	struct state before = state_read(), now;
	size_t lines = log_count(DRIVER);

	ksft_set_plan(4);
	printf("# " PLUG_NOW "\n");
	wait_for(has_said, lines + 1);

	now = state_read();
	ksft_test_result(log_count(DRIVER) == lines + 1, "pci_ram says why in one line\n");
	ksft_test_result(now.total == before.total, "MemTotal is as before\n");
	ksft_test_result(now.ranges.nr == before.ranges.nr, "/proc/iomem has no new System RAM\n");
	ksft_test_result(now.blocks == before.blocks, "there are no new memory blocks\n");
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "in-range"))
		return main_in_range(argv + 2);

	begin();
	if (!strcmp(mode, "add") && argc > 2)
		main_add(argv + 2);
	else if (!strcmp(mode, "refuse"))
		main_refuse();
	else
		die("usage: hotadd add MIB... | refuse");
	ksft_finished();
}
