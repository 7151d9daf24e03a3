// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that the host hot-adds through a PCI device.
 *
 *   hotadd add MIB...	devices of these sizes are plugged: the memory is
 *			accounted, and used
 *   hotadd refuse	a device is plugged that has to be refused
 *   hotadd bad		ranges that add_memory() has to refuse
 *
 * The host plugs when the program says "plug memory now".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

#define MIB		0x100000UL
#define COW_STEP	(2 * MIB)
#define MEMORY_DIR	"/sys/devices/system/memory"
#define MAX_BLOCKS	1024

static int main_in_range(char **args);

/* Everything user space can see of the memory there is. */
struct state {
	unsigned long total;
	size_t blocks;
	struct ranges ranges;
};

static unsigned long block_size(void)
{
	char *text = read_file(MEMORY_DIR "/block_size_bytes");
	unsigned long size = strtoul(text, NULL, 16);

	free(text);
	return size;
}

static bool block_path(char *path, size_t size, unsigned long block, const char *file)
{
	snprintf(path, size, MEMORY_DIR "/memory%lu%s", block, file);
	return !access(path, F_OK);
}

static size_t count_blocks(void)
{
	unsigned long block;
	size_t count = 0;
	char path[128];

	for (block = 0; block < MAX_BLOCKS; block++)
		count += block_path(path, sizeof(path), block, "");
	return count;
}

static struct state state_read(void)
{
	return (struct state){
		.total = meminfo_bytes("MemTotal"),
		.blocks = count_blocks(),
		.ranges = hot_ranges(),
	};
}

static bool state_equal(const struct state *a, const struct state *b)
{
	return a->total == b->total && a->blocks == b->blocks && a->ranges.nr == b->ranges.nr &&
		ranges_size(&a->ranges) == ranges_size(&b->ranges);
}

/* The ranges that are in @now and not in @before. */
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

/* Every block of the ranges is there, online, and in a zone. */
static bool blocks_online(const struct ranges *ranges)
{
	unsigned long size = block_size();
	unsigned long addr;
	char path[128], *text;
	bool good = true;
	size_t i;

	for (i = 0; i < ranges->nr; i++) {
		for (addr = ranges->range[i].start; addr < ranges->range[i].end; addr += size) {
			if (!block_path(path, sizeof(path), addr / size, "/state")) {
				ksft_print_msg("no block for %#lx\n", addr);
				return false;
			}
			text = read_file(path);
			good &= !strcmp(text, "online\n");
			free(text);

			block_path(path, sizeof(path), addr / size, "/valid_zones");
			text = read_file(path);
			good &= !strcmp(text, "Normal\n");
			free(text);
		}
	}
	return good;
}

static bool child_succeeds(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		die("fork: %s", strerror(errno));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/*
 * A child reads all of @memory and writes a part of it, which copies pages; the
 * parent's memory does not change.
 */
static bool fork_works(char *memory, size_t size)
{
	pid_t child;
	size_t offset;

	fflush(stdout);
	child = fork();
	if (!child) {
		bool good = verify(memory, size);

		for (offset = 0; offset < size; offset += COW_STEP)
			memory[offset] ^= 0xff;
		_exit(!good || verify(memory, size));
	}
	return child_succeeds(child) && verify(memory, size);
}

/* Put a copy of this program into a file in memory and run that copy. */
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

/* What the copy does: exit with 0 if its text lies in the ranges. */
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
	struct ranges fresh;
	bool good = true;
	size_t size, found, nr;
	char *memory;

	for (nr = 0; sizes[nr]; nr++)
		added += strtoul(sizes[nr], NULL, 10) * MIB;

	ksft_set_plan(8);
	wait_for_memory(before.total, added);
	now = state_read();
	fresh = new_ranges(&before.ranges, &now.ranges);

	ksft_test_result(now.total == before.total + added, "MemTotal grew by %lu MiB\n",
			 added / MIB);
	for (nr = 0; sizes[nr]; nr++)
		good &= has_size(&fresh, strtoul(sizes[nr], NULL, 10) * MIB);
	ksft_test_result(good && fresh.nr == nr, "/proc/iomem names the new System RAM\n");
	ksft_test_result(now.blocks == before.blocks + added / block_size(),
			 "there are %lu new memory blocks\n", added / block_size());
	ksft_test_result(blocks_online(&fresh), "the new blocks are online in zone Normal\n");

	/* More than was free before, so it takes the new memory to hold it. */
	size = (old_free + added / 2) & -PAGE_SIZE;
	memory = fill(size);
	ksft_test_result(verify(memory, size), "%zu MiB are filled and read back\n", size / MIB);
	found = pages_in(memory, size, &fresh);
	ksft_print_msg("%zu MiB of it are in the new memory\n", found * PAGE_SIZE / MIB);
	ksft_test_result(found >= (size - old_free) / PAGE_SIZE,
			 "what was not free before is in the new memory\n");
	ksft_test_result(fork_works(memory, size), "a forked child has its copy\n");
	munmap(memory, size);
	ksft_test_result(exec_works(&now.ranges), "a program runs from hot-added memory\n");
}

/* How many lines of the log are the PCI memory driver's. */
static size_t driver_lines(void)
{
	int size = klogctl(10 /* SYSLOG_ACTION_SIZE_BUFFER */, NULL, 0);
	char *log = calloc(1, size + 1), *line;
	size_t count = 0;

	if (!log || klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, size) < 0)
		die("kernel log: %s", strerror(errno));
	for (line = log; (line = strstr(line, "pci_ram ")); line++)
		count++;
	free(log);
	return count;
}

static void main_refuse(void)
{
	struct state before = state_read(), now;
	size_t lines = driver_lines();
	int tenths;

	ksft_set_plan(4);
	printf("# " PLUG_NOW "\n");
	for (tenths = 0; tenths < 10 * PLUG_LIMIT && driver_lines() == lines; tenths++)
		usleep(100000);

	now = state_read();
	ksft_test_result(driver_lines() == lines + 1, "pci_ram says why in one line\n");
	ksft_test_result(now.total == before.total, "MemTotal is as before\n");
	ksft_test_result(now.ranges.nr == before.ranges.nr, "/proc/iomem has no new System RAM\n");
	ksft_test_result(now.blocks == before.blocks, "there are no new memory blocks\n");
}

/*
 * In the order in which 6.1's mm/memory_hotplug.c looks at a range:
 * register_memory_resource() refuses what mhp_range_allowed() does not allow
 * (nothing at all, or outside what the direct map can reach) with -E2BIG and
 * what overlaps a busy resource with -EEXIST; then add_memory_resource() gets
 * -EINVAL from check_hotplug_memory_range() for what is not made of whole
 * blocks.
 */
static void main_bad(void)
{
	const unsigned long block = block_size();
	const unsigned long nothing_there = 64UL << 30;
	const struct ranges hot = hot_ranges();
	struct {
		const char *what;
		unsigned long start, size;
		int err;
	} cases[] = {
		{ "an empty range", nothing_there, 0, E2BIG },
		{ "a range below the direct map", 0, block, E2BIG },
		{ "a range above the direct map", 3UL << 54, block, E2BIG },
		{ "a range that wraps around", -block, 2 * block, E2BIG },
		{ "a range in boot memory", 0x80000000 + block, block, EEXIST },
		{ "a hot-added range once more", hot.range[0].start, block, EEXIST },
		{ "an unaligned start", nothing_there + block / 2, block, EINVAL },
		{ "an unaligned size", nothing_there, block / 2, EINVAL },
	};
	struct state before = state_read(), now;
	char params[80];
	size_t i;
	int err;

	if (!hot.nr)
		die("no memory was hot-added");

	ksft_set_plan(ARRAY_SIZE(cases));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(params, sizeof(params), "start=%lu size=%lu", cases[i].start,
			 cases[i].size);
		err = module_insert("modules/hotadd_bad.ko", params);
		now = state_read();
		if (err != cases[i].err)
			ksft_print_msg("%s: %s\n", cases[i].what, strerror(err));
		ksft_test_result(err == cases[i].err && state_equal(&before, &now),
				 "%s is refused with %s and changes nothing\n", cases[i].what,
				 strerrorname_np(cases[i].err));
	}
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "in-range"))
		return main_in_range(argv + 2);

	setlinebuf(stdout);
	ksft_print_header();
	if (!strcmp(mode, "add") && argc > 2)
		main_add(argv + 2);
	else if (!strcmp(mode, "refuse"))
		main_refuse();
	else if (!strcmp(mode, "bad"))
		main_bad();
	else
		die("usage: hotadd add MIB... | refuse | bad");
	ksft_finished();
}
