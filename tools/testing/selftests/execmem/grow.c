// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that grows and shrinks while it works.
 *
 *   grow MIB...		be larger than at first by each of these sizes in turn; the
 *			last is 0
 *
 * The host changes the size when the program says "plug memory now". That is done
 * twice: what the first round leaves in the kernel's caches, the second finds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

#define DATA_MAX	(128 * MIB)
#define WORK		(8 * MIB)
#define WORKERS		2
/* Pages that slabs and the harts' lists may keep. One for each block of 7.5 GiB is 60. */
#define NOISE		50
#define MAX_TABLES	2
#define PAUSE		20000	/* microseconds */
#define ROUNDS		2
#define LIMIT		150	/* seconds; memory in use may take many tries */

/* In memory that the workers share with their parent. */
struct work {
	bool stop;
	unsigned long done[WORKERS];
};

#define read_once(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define write_once(x, value)	__atomic_store_n(&(x), value, __ATOMIC_RELAXED)

/* The guest before it has grown. */
static unsigned long total;
static size_t blocks;

/* What is in the memory it has grown by, if anything. */
static void *data;
static size_t data_size;

/* Processes that fill and verify memory, fork, and change what they share. */
static void start_work(struct work *work, pid_t *children)
{
	int i;

	memset(work, 0, sizeof(*work));
	fflush(stdout);
	for (i = 0; i < WORKERS; i++) {
		children[i] = fork();
		if (children[i] < 0)
			die("fork: %s", strerror(errno));
		while (!children[i]) {
			void *memory = fill(WORK);

			if (!fork_works(memory, WORK))
				_exit(1);
			munmap(memory, WORK);
			write_once(work->done[i], work->done[i] + 1);
			if (read_once(work->stop))
				_exit(0);
			/* Pages that are being faulted in and copied cannot move. */
			usleep(PAUSE);
		}
	}
}

static bool end_work(struct work *work, const pid_t *children)
{
	bool good = true;
	int i;

	write_once(work->stop, true);
	for (i = 0; i < WORKERS; i++) {
		good &= child_succeeds(children[i]);
		ksft_print_msg("worker %d: %lu times %lu MiB\n", i, work->done[i], WORK / MIB);
	}
	return good;
}

/* True once every worker has filled memory since this was called. */
static bool work_goes_on(struct work *work)
{
	unsigned long done[WORKERS];
	int i, tenths = 0;

	for (i = 0; i < WORKERS; i++)
		done[i] = read_once(work->done[i]);
	for (i = 0; i < WORKERS; i++) {
		while (read_once(work->done[i]) < done[i] + 2) {
			if (tenths++ == 10 * LIMIT)
				return false;
			usleep(100000);
		}
	}
	return true;
}

/* True as soon as something is what it should be, false if that takes too long. */
static bool soon(bool (*is)(const void *value), const void *value)
{
	int tenths;

	for (tenths = 0; tenths < 10 * LIMIT; tenths++) {
		if (is(value))
			return true;
		usleep(100000);
	}
	return false;
}

static bool total_is(const void *value)
{
	return meminfo_bytes("MemTotal") == *(const unsigned long *)value;
}

static bool blocks_at_least(const void *value)
{
	return memory_blocks() >= *(const size_t *)value;
}

static bool blocks_are_as_many(const void *value)
{
	return memory_blocks() == *(const size_t *)value;
}

static bool free_again(const void *value)
{
	return *(const long *)value - free_pages() < NOISE;
}

/* The range is the last that goes away when memory is removed. */
static bool iomem_is(const void *value)
{
	char *now = read_file("/proc/iomem");
	bool same = !strcmp(now, value);

	free(now);
	return same;
}

/* The host makes the guest larger than at first by this, after having been @before. */
static void become(size_t size, size_t before, struct work *work)
{
	unsigned long want = total + size, block = block_size();
	size_t count = blocks + (size + block - 1) / block;

	printf("# " PLUG_NOW "\n");
	ksft_test_result(soon(total_is, &want), "MemTotal is %zu MiB larger than at first\n",
			 size / MIB);
	/* From the middle it may shrink by parts of blocks. */
	ksft_test_result(soon(before && size ? blocks_at_least : blocks_are_as_many, &count),
			 "there are as many memory blocks as that takes\n");

	if (size && !data) {
		struct ranges hot = hot_ranges();

		data_size = size / 4 < DATA_MAX ? size / 4 : DATA_MAX;
		data = fill(data_size);
		ksft_test_result(2 * pages_in(data, data_size, &hot) > data_size / PAGE_SIZE,
				 "most of %zu MiB of data are in the new memory\n",
				 data_size / MIB);
	} else {
		ksft_test_result(work_goes_on(work) && verify(data, data_size),
				 "the data are intact, and processes come and go\n");
	}

	if (!size) {
		munmap(data, data_size);
		data = NULL;
	}
}

int main(int argc, char **argv)
{
	struct work *work = mmap(NULL, sizeof(*work), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long free_before, tables;
	char *iomem = read_file("/proc/iomem");
	pid_t children[WORKERS];
	int round, i;

	setlinebuf(stdout);
	ksft_print_header();
	skip_without_mode(argc, "grow MIB... 0");
	if (argc < 3 || strcmp(argv[argc - 1], "0") || work == MAP_FAILED)
		die("usage: grow MIB... 0");
	ksft_set_plan(ROUNDS * (3 * (argc - 1) + 2) + 2);
	if (access("/sys/kernel/debug/hotplug_range", F_OK))
		module_load("modules/hotplug_range.ko");
	total = meminfo_bytes("MemTotal");
	blocks = memory_blocks();

	for (round = 0; round < ROUNDS; round++) {
		size_t size, before = 0;

		free_before = free_pages();
		tables = hotplug_number("tables");
		start_work(work, children);
		for (i = 1; i < argc; i++) {
			size = strtoul(argv[i], NULL, 10) * MIB;
			become(size, before, work);
			before = size;
		}
		ksft_test_result(end_work(work, children), "no worker found its memory changed\n");
		ksft_test_result(soon(iomem_is, iomem), "/proc/iomem is as before\n");
	}

	if (symbol_address("kasan_report")) {
		ksft_test_result_skip("free memory: KASAN keeps what was freed for a while\n");
	} else {
		ksft_test_result(soon(free_again, &free_before), "all memory is free again\n");
		ksft_print_msg("%ld pages fewer are free\n", free_before - free_pages());
	}

	/* The stacks of more processes may take a table of vmalloc; a lost GiB is at least one. */
	tables = hotplug_number("tables") - tables;
	ksft_print_msg("%ld page tables more\n", tables);
	ksft_test_result(tables <= MAX_TABLES, "the kernel's page tables are as many as before\n");
	ksft_finished();
}
