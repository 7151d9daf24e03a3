// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest grows and shrinks while it works.
 *
 *   grow MIB...		be larger than at first by each of these, one
 *			after the other; the last must be 0
 *   grow huge MIB	be larger by this size, use huge pages of hugetlb there,
 *			and be as small as at first
 *   grow read		as root, read all memory that was added
 *
 * The host changes the size when the program says "plug memory now". With
 * "huge", the host makes the guest small again at "remove memory now". All but
 * "read" has two rounds: the second reuses what the first leaves in the
 * kernel's caches.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
/* Pages that slabs and harts' lists may keep. Losing one for each of 7.5 GiB's blocks is 60. */
#define NOISE		50
#define MAX_TABLES	2
#define PAUSE		20000	/* microseconds */
#define ROUNDS		2
#define LIMIT		150	/* seconds; memory in use may need many tries */
#define HUGE		(2 * MIB)

/* Shared memory of the workers and their parent */
struct work {
	bool stop;
	unsigned long done[WORKERS];
};

#define read_once(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define write_once(x, value)	__atomic_store_n(&(x), value, __ATOMIC_RELAXED)

/* The state of the guest before it grows */
static unsigned long total;
static size_t blocks;
static const char *iomem;

/* Data in the added memory, if any */
static void *data;
static size_t data_size;

/* Start processes that fill and verify memory, fork, and write to shared pages. */
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
			/* Pause: pages cannot move while they are faulted in or copied. */
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

/* Wait until every worker has filled memory since this call. */
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

static bool total_is(size_t wanted)
{
	return meminfo_bytes("MemTotal") == wanted;
}

static bool blocks_at_least(size_t wanted)
{
	return memory_blocks() >= wanted;
}

static bool blocks_are_as_many(size_t wanted)
{
	return memory_blocks() == wanted;
}

static bool free_again(size_t wanted)
{
	return (long)wanted - free_pages() < NOISE;
}

/* When memory is removed, its range is the last thing to go. */
static bool iomem_is_back(size_t unused)
{
	(void)unused;
	return iomem_is(iomem);
}

/* Have the host make the guest larger than at first by @size. It was larger by @before. */
static void become(size_t size, size_t before, struct work *work)
{
	unsigned long want = total + size, block = block_size();
	size_t count = blocks + (size + block - 1) / block;

	printf("# " PLUG_NOW "\n");
	ksft_test_result(wait_for(total_is, want), "MemTotal is %zu MiB larger than at first\n",
			 size / MIB);
	/* A guest that shrinks to a size above the first may keep parts of blocks. */
	ksft_test_result(wait_for(before && size ? blocks_at_least : blocks_are_as_many, count),
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

/* How often the kernel found no memory for a huge page */
static unsigned long huge_failures(void)
{
	static const char name[] = "htlb_buddy_alloc_fail ";
	char *text = read_file("/proc/vmstat"), *found = strstr(text, name);
	unsigned long count;

	if (!found)
		die("/proc/vmstat has no %s", name);
	count = strtoul(found + strlen(name), NULL, 10);
	free(text);
	return count;
}

static bool huge_has_failed(size_t wanted)
{
	return huge_failures() > wanted;
}

/*
 * Have the host add memory, and make a pool of @nr huge pages in it. Half of
 * them are then in use. Returns this half, which has the pattern.
 */
static void *grow_by_huge(size_t size, unsigned long nr)
{
	unsigned long want = total + size;
	struct ranges hot;
	char *memory;

	printf("# " PLUG_NOW "\n");
	if (!wait_for(total_is, want))
		die("the guest is not larger by %zu MiB", size / MIB);
	hot = hot_ranges();
	/* The kernel takes movable huge pages from zone Movable first. */
	if (!set_pool(nr))
		die("no pool of %lu huge pages", nr);
	memory = fill_huge(nr * HUGE);
	ksft_test_result(pages_in(memory, nr * HUGE, &hot) == nr * HUGE / PAGE_SIZE,
			 "%lu huge pages are in the new memory\n", nr);
	munmap(memory + nr / 2 * HUGE, nr / 2 * HUGE);
	ksft_test_result(pool_is(nr, nr / 2, 0), "half of them are in use, half are free\n");
	return memory;
}

static void shrink_from_huge(void *memory, unsigned long nr)
{
	char *more;

	printf("# " REMOVE_NOW "\n");
	ksft_test_result(wait_for(total_is, total), "all the memory is given back\n");
	ksft_test_result(wait_for(blocks_are_as_many, blocks),
			 "there are as many blocks as before\n");
	ksft_test_result(verify(memory, nr / 2 * HUGE), "huge pages in use are intact\n");
	ksft_test_result(pool_is(nr, nr / 2, 0), "the pool is what it was\n");
	more = fill_huge(nr / 2 * HUGE);
	ksft_test_result(verify(more, nr / 2 * HUGE) && verify(memory, nr / 2 * HUGE) &&
			 pool_is(nr, 0, 0), "those that are free can be used\n");
	munmap(more, nr / 2 * HUGE);
	munmap(memory, nr / 2 * HUGE);
	ksft_test_result(set_pool(0) && pool_is(0, 0, 0), "all of them can be freed\n");
}

/* Try to remove memory with more huge pages than there is room for. */
static void wait_with_huge(void *memory, unsigned long nr)
{
	unsigned long failures = huge_failures();

	printf("# " REMOVE_NOW "\n");
	ksft_test_result(wait_for(huge_has_failed, failures),
			 "for some huge pages there is no room\n");
	ksft_test_result(meminfo_bytes("MemTotal") >= nr * HUGE, "the memory of as many stays\n");
	ksft_test_result(verify(memory, nr / 2 * HUGE), "huge pages in use are intact\n");
	ksft_test_result(pool_is(nr, nr / 2, 0), "the pool is what it was\n");
	munmap(memory, nr / 2 * HUGE);
	ksft_test_result(set_pool(0) && pool_is(0, 0, 0), "all of them can be freed\n");
	ksft_test_result(wait_for(total_is, total), "now all the memory is given back\n");
	ksft_test_result(wait_for(blocks_are_as_many, blocks),
			 "there are as many blocks as before\n");
}

static void main_huge(size_t size)
{
	const unsigned long few = 32, many = total / (2 * HUGE) * 2 + 2;
	long free_before = 0;
	int round;

	if (access(HUGE_PAGES, F_OK))
		ksft_exit_skip("no CONFIG_HUGETLBFS\n");
	ksft_set_plan(ROUNDS * (8 + 9 + 1) + 1);
	for (round = 0; round < ROUNDS; round++) {
		shrink_from_huge(grow_by_huge(size, few), few);
		wait_with_huge(grow_by_huge(size, many), many);
		ksft_test_result(wait_for(iomem_is_back, 0), "/proc/iomem is as before\n");
		if (!round)
			free_before = free_pages();
	}
	ksft_test_result(wait_for(free_again, free_before), "all memory is free again\n");
	ksft_print_msg("%ld pages fewer are free\n", free_before - free_pages());
}

/* Whether root can map a page of physical memory */
static bool can_map(int mem, unsigned long phys)
{
	void *page = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, mem, phys);

	if (page != MAP_FAILED)
		munmap(page, PAGE_SIZE);
	else if (errno != EPERM)
		die("map %#lx of /dev/mem: %s", phys, strerror(errno));
	return page != MAP_FAILED;
}

/* The device's memory region, of which a part was added to the kernel */
static struct range device_region(void)
{
	char *text = read_file("/proc/iomem"), *line, *rest = text;
	unsigned long start, last;
	struct range region = { 0, 0 };

	while ((line = strsep(&rest, "\n"))) {
		if (strstr(line, " : virtio") && sscanf(line, "%lx-%lx", &start, &last) == 2 &&
		    last - start > region.end - region.start)
			region = (struct range){ start, last + 1 };
	}
	free(text);
	return region;
}

static void main_read(void)
{
	struct range region = device_region();
	struct ranges hot = hot_ranges();
	struct kcore kcore = kcore_open();
	char *buffer = malloc(MIB);
	unsigned long at, got = 0;
	size_t i;
	int mem;

	ksft_set_plan(2);
	for (i = 0; i < hot.nr; i++) {
		for (at = hot.range[i].start; at < hot.range[i].end; at += MIB) {
			if (pread(kcore.fd, buffer, MIB, kcore_offset(&kcore, at)) == MIB)
				got += MIB;
		}
	}
	ksft_test_result(got && got == ranges_size(&hot), "%lu MiB are read from /proc/kcore\n",
			 got / MIB);

	mem = open("/dev/mem", O_RDONLY | O_CLOEXEC);
	if (mem < 0)
		ksft_test_result_skip("no CONFIG_DEVMEM\n");
	else
		ksft_test_result(region.end && !can_map(mem, region.start) &&
				 !can_map(mem, region.end - PAGE_SIZE),
				 "/dev/mem shows nothing of the device's memory\n");
}

int main(int argc, char **argv)
{
	struct work *work = mmap(NULL, sizeof(*work), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *mode = argc > 1 ? argv[1] : "";
	long free_before, tables;
	pid_t children[WORKERS];
	int round, i;

	begin();
	total = meminfo_bytes("MemTotal");
	blocks = memory_blocks();
	iomem = read_file("/proc/iomem");
	if (!strcmp(mode, "huge") && argc == 3) {
		main_huge(strtoul(argv[2], NULL, 10) * MIB);
		ksft_finished();
	}
	if (!strcmp(mode, "read")) {
		main_read();
		ksft_finished();
	}
	if (argc < 3 || strcmp(argv[argc - 1], "0") || work == MAP_FAILED)
		die("usage: grow MIB... 0 | huge MIB | read");
	ksft_set_plan(ROUNDS * (3 * (argc - 1) + 2) + 2);
	load_hotplug_range();

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
		ksft_test_result(wait_for(iomem_is_back, 0), "/proc/iomem is as before\n");
	}

	if (symbol_address("kasan_report")) {
		ksft_test_result_skip("free memory: KASAN keeps what was freed for a while\n");
	} else {
		ksft_test_result(wait_for(free_again, free_before), "all memory is free again\n");
		ksft_print_msg("%ld pages fewer are free\n", free_before - free_pages());
	}

	/* Stacks of new processes may need a vmalloc table. A lost GiB would be at least one. */
	tables = hotplug_number("tables") - tables;
	ksft_print_msg("%ld page tables more\n", tables);
	ksft_test_result(tables <= MAX_TABLES, "the kernel's page tables are as many as before\n");
	ksft_finished();
}
