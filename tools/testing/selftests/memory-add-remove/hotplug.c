// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module adds and removes memory without a device. The memory is RAM that
 * "mem=" hides from the kernel.
 *
 *   hotplug cycles [COUNT]	nothing is lost
 *   hotplug refuse		ranges that must be refused; memory in use stays
 *   hotplug order		a lower range after a higher one
 *   hotplug end		up to the end of what Sv39 can map, and beyond
 *   hotplug scale MIB...	the cost of adding and removing these sizes, in
 *				instructions if time counts them (-icount)
 *   hotplug faults [STEP]	refuse every allocation, or every STEP-th, once
 *   hotplug errors		a notifier refuses
 *   hotplug kcore		/proc/kcore has the memory
 *   hotplug races SECONDS [SEED]	while other processes work
 *   hotplug kasan		KASAN guards the memory
 *   hotplug memmap		the struct pages are in the memory itself
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

#define PATIENCE	"/sys/module/memory_hotplug/parameters/offline_patience"
#define CYCLES		100U
/* How often memory is added and removed, at least, while other processes work */
#define RACES		3U
#define WARM_UP		5U

#define PAGE_OWNER	"/sys/kernel/debug/page_owner"

/* No operation makes more allocations. */
#define MAX_SITES	5000

/* The RAM that the kernel does not use */
static struct range unused;
static unsigned long block;

static void must(const char *operation, unsigned long start, unsigned long size)
{
	int err = hotplug(operation, start, size);

	if (err)
		die("%s %#lx, %lu MiB: %s", operation, start, size / MIB, strerror(err));
}

/* The state that removing a range must restore */
struct state {
	unsigned long total, tables;
	long free;
	size_t blocks;
	char *iomem;
};

static struct state state_now(void)
{
	return (struct state){
		.total = meminfo_bytes("MemTotal"),
		.tables = hotplug_number("tables"),
		.blocks = memory_blocks(),
		.iomem = read_file("/proc/iomem"),
	};
}

static struct state state_read(void)
{
	struct state state = state_now();

	state.free = free_pages();
	return state;
}

/* Compare all but free memory, and print differences. */
static bool state_is(const struct state *before)
{
	struct state now = state_now();
	bool same = now.total == before->total && now.tables == before->tables &&
		    now.blocks == before->blocks && !strcmp(now.iomem, before->iomem);

	if (!same)
		ksft_print_msg("now/before: %lu/%lu kB, %lu/%lu tables, %zu/%zu blocks; iomem %s\n",
			       now.total >> 10, before->total >> 10, now.tables, before->tables,
			       now.blocks, before->blocks,
			       strcmp(now.iomem, before->iomem) ? "differs" : "is the same");
	free(now.iomem);
	return same;
}

/*
 * Wait for late frees. Returns whether the free memory is back: losing one page
 * each time would be @times pages, but slabs that are not full keep only a few.
 */
static bool free_is_back(const struct state *before, unsigned int times)
{
	unsigned int second;
	long missing;

	for (second = 0; second < SETTLE_LIMIT; second++) {
		missing = before->free - free_pages();
		if (4 * missing <= (long)times)
			break;
		sleep(1);
	}
	ksft_print_msg("%ld pages fewer are free\n", missing);
	return second < SETTLE_LIMIT;
}

static void cycle(unsigned long start, unsigned long size)
{
	must("add", start, size);
	must("remove", start, size);
}

static void main_cycles(unsigned int cycles)
{
	struct state before;
	unsigned int i;

	ksft_set_plan(2);
	for (i = 0; i < WARM_UP; i++)
		cycle(unused.start, 8 * block);
	before = state_read();
	for (i = 0; i < cycles; i++)
		cycle(unused.start + (i % 4) * block, (1 + i % 8) * block);

	ksft_test_result(state_is(&before),
			 "%u times added and removed: ranges, blocks and page tables are as before\n",
			 cycles);
	ksft_test_result(free_is_back(&before, cycles),
			 "%u times added and removed: all memory is free again\n", cycles);
}

static void interrupt(int signal)
{
	(void)signal;
}

/*
 * Errors in the order of 6.1's mm/memory_hotplug.c:
 * - register_memory_resource() returns -E2BIG for ranges that
 *   mhp_range_allowed() forbids: empty ranges, and ranges that the direct map
 *   cannot reach.
 * - It returns -EEXIST for a range that overlaps a busy resource.
 * - add_memory_resource() gets -EINVAL from check_hotplug_memory_range() for
 *   ranges that do not consist of whole blocks. So does
 *   offline_and_remove_memory().
 */
static void main_refuse(void)
{
	const unsigned long there = unused.start + 8 * block, movable = there + 4 * block;
	const struct {
		const char *what, *operation;
		unsigned long start, size;
		int err;
	} refused[] = {
		{ "an empty range", "add", unused.start, 0, E2BIG },
		{ "a range below the direct map", "add", 0, block, E2BIG },
		{ "a range above the direct map", "add", 3UL << 54, block, E2BIG },
		{ "a range that wraps around", "add", -block, 2 * block, E2BIG },
		{ "a range in boot memory", "add", unused.start - block, block, EEXIST },
		{ "a range that is there", "add", there, block, EEXIST },
		{ "a range that overlaps one", "add", there - block, 2 * block, EEXIST },
		{ "an unaligned start", "add", unused.start + block / 2, block, EINVAL },
		{ "an unaligned size", "add", unused.start, block / 2, EINVAL },
		{ "removal of an empty range", "remove", there, 0, EINVAL },
		{ "removal of half a block", "remove", there, block / 2, EINVAL },
		{ "removal with a page that is the kernel's", "remove", there, 2 * block, EBUSY },
		{ "removal with a page that is held", "remove", movable, 2 * block, EINTR },
		{ "removal with a page held for long", "remove", movable, 2 * block, EBUSY },
	};
	struct sigaction action = { .sa_handler = interrupt };
	const char *patience;
	struct state before;
	size_t i;
	int err;

	/* Pages of zone Movable are tried until patience ends or a signal comes. */
	sigaction(SIGALRM, &action, NULL);
	ksft_set_plan(ARRAY_SIZE(refused) + 3);
	online_as("online_kernel");
	must("add", there, 2 * block);
	must("hold", there, 2 * block);
	online_as("online_movable");
	must("add", movable, 2 * block);
	must("hold_movable", movable, 2 * block);
	before = state_read();
	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		if (refused[i].err == EINTR)
			alarm(1);
		patience = refused[i].err == EBUSY ? "2" : "600";
		must_write(PATIENCE, patience);
		err = hotplug(refused[i].operation, refused[i].start, refused[i].size);
		if (err != refused[i].err)
			ksft_print_msg("%s: %s\n", refused[i].what, strerror(err));
		ksft_test_result(err == refused[i].err && state_is(&before) &&
				 blocks_are(there, 2 * block, "state", "online") &&
				 blocks_are(movable, 2 * block, "state", "online"),
				 "%s is refused with %s and changes nothing\n", refused[i].what,
				 strerrorname_np(refused[i].err));
	}
	must("hold", 0, 0);
	ksft_test_result(!hotplug("remove", movable, 2 * block),
			 "it is removed once the page is free\n");
	before = state_read();
	err = hotplug("remove", movable, 2 * block);
	ksft_test_result(err == ENODEV && state_is(&before),
			 "removal of memory that is gone is refused with ENODEV and changes nothing\n");
	must("add", movable, block);
	before = state_read();
	err = hotplug("remove", movable, 2 * block);
	ksft_test_result(err == ENODEV && state_is(&before) &&
			 blocks_are(movable, block, "state", "online"),
			 "so is removal of more than is there\n");
}

/* /proc/kpagecount ends at max_pfn. */
static bool pfn_is_known(unsigned long addr)
{
	unsigned long long count;
	int fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
	bool known;

	if (fd < 0)
		die("open /proc/kpagecount: %s", strerror(errno));
	known = pread(fd, &count, sizeof(count), addr / PAGE_SIZE * sizeof(count)) ==
		sizeof(count);
	close(fd);
	return known;
}

static void main_order(void)
{
	unsigned long high = unused.start + 4 * block, last = high + block;

	ksft_set_plan(4);
	ksft_test_result(!pfn_is_known(high), "the higher range is beyond the last page\n");
	must("add", high, block);
	ksft_test_result(pfn_is_known(last - PAGE_SIZE) && hotplug_number("high_memory") >= last,
			 "the higher range moves max_pfn and high_memory\n");
	must("add", unused.start, block);
	ksft_test_result(pfn_is_known(last - PAGE_SIZE),
			 "a lower one does not move max_pfn back\n");
	ksft_test_result(hotplug_number("high_memory") >= last,
			 "nor high_memory\n");
	must("remove", unused.start, block);
	must("remove", high, block);
}

/*
 * With Sv39, the direct map reaches 124 GiB above the start of RAM, see
 * Documentation/riscv/vm-layout.rst. Offline memory is never accessed, so
 * there need not be any RAM.
 */
static void main_end(void)
{
	char *text = read_file("/proc/iomem"), *ram = strstr(text, " : System RAM");
	struct state before = state_read();
	unsigned long end;
	int err;

	while (ram && ram > text && ram[-1] != '\n')
		ram--;
	if (!ram)
		die("/proc/iomem has no System RAM");
	end = (strtoul(ram, NULL, 16) + 124 * GIB) & -block;
	free(text);

	ksft_set_plan(5);
	online_as("offline");
	ksft_test_result(!hotplug("add", end - GIB, GIB),
			 "the last GiB, up to %#lx, is added\n", end);
	err = hotplug("add", end, block);
	ksft_test_result(err == E2BIG, "the block behind it is refused with E2BIG\n");
	ksft_test_result(!hotplug("remove", end - GIB, GIB), "the last GiB is removed\n");
	err = hotplug("add", end - block, 2 * block);
	ksft_test_result(err == E2BIG,
			 "a range that reaches beyond the end is refused with E2BIG\n");
	ksft_test_result(state_is(&before), "everything is as before\n");
}

static unsigned long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000UL + now.tv_nsec;
}

/*
 * The cost of a block must not grow with the number of blocks, neither if they
 * are added in one step nor block by block.
 */
static void main_scale(char **sizes)
{
	unsigned long per_block[2][16], size = 0, at, t;
	size_t nr, i;
	struct state before;

	for (nr = 0; sizes[nr] && nr < ARRAY_SIZE(per_block[0]); nr++)
		;
	ksft_set_plan(2 * nr + 4);
	cycle(unused.start, block);
	before = state_read();
	for (i = 0; i < nr; i++) {
		size = strtoul(sizes[i], NULL, 10) * MIB;
		t = now_ns();
		must("add", unused.start, size);
		per_block[0][i] = (now_ns() - t) / (size / block);
		t = now_ns();
		must("remove", unused.start, size);
		per_block[1][i] = (now_ns() - t) / (size / block);
		ksft_print_msg("%lu MiB at once, a block: %lu instructions to add, %lu to remove\n",
			       size / MIB, per_block[0][i], per_block[1][i]);
		ksft_test_result(2 * per_block[0][i] <= 3 * per_block[0][0],
				 "%lu MiB: adding a block costs at most 1.5 times what it costs alone\n",
				 size / MIB);
		ksft_test_result(2 * per_block[1][i] <= 3 * per_block[1][0],
				 "%lu MiB: removing a block costs at most 1.5 times what it costs alone\n",
				 size / MIB);
	}

	/* Adding initialises each struct page. Removing need not look at each. */
	ksft_test_result(per_block[1][nr - 1] < per_block[0][nr - 1],
			 "%lu MiB: removing free memory costs less than adding it\n", size / MIB);

	/* Add the largest size again, block by block. Compare the first 64 blocks with the last. */
	unsigned long first = 0, last = 0, steps = size / block;

	for (i = 0; i < steps; i++) {
		t = now_ns();
		must("add", unused.start + i * block, block);
		t = now_ns() - t;
		first += i < 64 ? t : 0;
		last += i >= steps - 64 ? t : 0;
	}
	ksft_print_msg("%lu steps, a block: %lu instructions for the first 64, %lu for the last\n",
		       steps, first / 64, last / 64);
	ksft_test_result(2 * last <= 3 * first,
			 "in %lu steps, the last cost at most 1.5 times the first\n", steps);
	for (at = unused.start; at < unused.start + size; at += block)
		must("remove", at, block);
	ksft_test_result(state_is(&before), "ranges, blocks and page tables are as before\n");
	ksft_test_result(free_is_back(&before, steps), "all memory is free again\n");
}

/*
 * __request_region() returns NULL for a conflict and for a lack of memory. Its
 * caller takes both for a conflict, so EEXIST is right, too. Free memory is not
 * compared: KASAN keeps freed objects. kmemleak finds lost ones.
 */
static void main_faults(unsigned int step)
{
	const char * const operations[] = { "add", "remove" };
	unsigned long size = block;
	size_t i;

	if (access("/proc/self/fail-nth", F_OK))
		ksft_exit_skip("the kernel cannot inject faults\n");
	ksft_set_plan(ARRAY_SIZE(operations));
	fail_prepare();
	cycle(unused.start, size);
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		const char *operation = operations[i], *back = operations[!i];
		unsigned int nth, refused = 0;
		struct state before;
		bool good = true, over = false;
		int err;

		if (i)
			must(back, unused.start, size);
		before = state_read();
		for (nth = 1; nth < MAX_SITES && !over; nth += step) {
			fail_nth(nth);
			err = hotplug(operation, unused.start, size);
			over = fail_pending();
			fail_nth(0);
			if (!err) {
				/* The allocation is optional, or there were fewer. */
				must(back, unused.start, size);
			} else {
				refused++;
				if (err != ENOMEM && err != EEXIST) {
					ksft_print_msg("%s, allocation %u: %s\n", operation, nth,
						       strerror(err));
					good = false;
				}
			}
			good &= state_is(&before);
		}
		ksft_print_msg("%s: %u allocations tried, %u of them made it fail\n", operation,
			       (nth - 1) / step - 1, refused);
		ksft_test_result(good && over && refused,
				 "%s: whatever allocation is refused, it says so and all is as before\n",
				 operation);
		if (i)
			must(operation, unused.start, size);
	}
}

static void main_errors(void)
{
	unsigned long size = 2 * block;
	struct state before = state_read();
	int err;

	ksft_set_plan(4);
	notifier_error("MEM_GOING_ONLINE", ENOMEM);
	err = hotplug("add", unused.start, size);
	ksft_test_result(!err && meminfo_bytes("MemTotal") == before.total &&
			 blocks_are(unused.start, size, "state", "offline"),
			 "memory that may not come online is there, offline\n");
	ksft_test_result(!hotplug("remove", unused.start, size) && state_is(&before),
			 "it is removed: everything is as before\n");
	notifier_error("MEM_GOING_ONLINE", 0);

	must("add", unused.start, size);
	before = state_read();
	notifier_error("MEM_GOING_OFFLINE", EPERM);
	err = hotplug("remove", unused.start, size);
	notifier_error("MEM_GOING_OFFLINE", 0);
	ksft_test_result(err == EPERM && state_is(&before) &&
			 blocks_are(unused.start, size, "state", "online"),
			 "the error with which it may not go offline is that of the removal\n");
	ksft_test_result(!hotplug("remove", unused.start, size), "it is removed once it may\n");
}

/* Whether /proc/kcore has one header for each System RAM of /proc/iomem, and no others */
static bool kcore_is_iomem(void)
{
	char *text = read_file("/proc/iomem"), *line, *rest = text;
	struct kcore kcore = kcore_open();
	unsigned long start, last;
	size_t ranges = 0, found = 0, i;

	close(kcore.fd);
	while ((line = strsep(&rest, "\n"))) {
		if (!strstr(line, " : System RAM") || sscanf(line, " %lx-%lx", &start, &last) != 2)
			continue;
		ranges++;
		for (i = 0; i < kcore.nr; i++)
			found += kcore.headers[i].p_paddr == start &&
				 kcore.headers[i].p_memsz == last + 1 - start;
	}
	free(text);
	if (found != ranges || kcore.nr != ranges)
		ksft_print_msg("%zu headers, %zu of them are of the %zu ranges in /proc/iomem\n",
			       kcore.nr, found, ranges);
	return found == ranges && kcore.nr == ranges;
}

/* The physical address of a page, or 0 if there is none */
static unsigned long phys_of(const void *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned long entry;

	if (fd < 0 || pread(fd, &entry, sizeof(entry),
			    (uintptr_t)page / PAGE_SIZE * sizeof(entry)) != sizeof(entry))
		die("/proc/self/pagemap: %s", strerror(errno));
	close(fd);
	return entry << 9 >> 9 << 12;
}

/* Whether /proc/kcore has the content of @page at the physical address @phys */
static bool kcore_has(const struct kcore *kcore, unsigned long phys, const void *page)
{
	char copy[PAGE_SIZE];

	if (pread(kcore->fd, copy, PAGE_SIZE, kcore_offset(kcore, phys)) != (ssize_t)PAGE_SIZE)
		die("read /proc/kcore: %s", strerror(errno));
	return !memcmp(copy, page, PAGE_SIZE);
}

static void main_kcore(void)
{
	static const char zeros[PAGE_SIZE];
	unsigned long size = 2 * block, phys = 0, at;
	struct kcore kcore;
	char *memory, path[64];

	ksft_set_plan(7);
	ksft_test_result(kcore_is_iomem(), "/proc/kcore shows all System RAM, and nothing else\n");
	must("add", unused.start, size);
	ksft_test_result(kcore_is_iomem(), "so it does when memory was added\n");

	kcore = kcore_open();
	memory = fill(block);
	for (at = 0; at < block && phys - unused.start >= size; at += PAGE_SIZE)
		phys = phys_of(memory + at);
	if (phys - unused.start >= size)
		die("no page of the process is in the new memory");
	ksft_test_result(kcore_has(&kcore, phys, memory + at - PAGE_SIZE),
			 "a page in it is read from /proc/kcore\n");
	munmap(memory, block);

	must("remove", unused.start, size);
	ksft_test_result(kcore_has(&kcore, phys, zeros), "where it was removed there are zeros\n");
	ksft_test_result(kcore_is_iomem(), "/proc/kcore shows it no more\n");
	close(kcore.fd);

	/* Now below other added memory: take it offline, and look before it is removed. */
	must("add", unused.start, size);
	must("add", unused.start + size, block);
	for (at = unused.start; at < unused.start + size; at += block) {
		snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%lu/state",
			 at / block);
		write_file(path, "offline");
	}
	kcore = kcore_open();
	ksft_test_result(kcore_has(&kcore, phys, zeros), "offline, it reads as zeros\n");
	close(kcore.fd);
	must("remove", unused.start, size);
	ksft_test_result(kcore_is_iomem(), "removed, it is not shown any more\n");
	must("remove", unused.start + size, block);
}

/* The work of a process, which it repeats and counts */
struct racer {
	const char *what;
	void (*once)(unsigned int number);
};

static void race_hotplug(unsigned int number)
{
	unsigned long start = unused.start + number * 8 * block;
	unsigned long size = (1 + random() % 4) * block;

	must("add", start, size);
	/* Another process may hold one of its pages for a moment. */
	while (hotplug("remove", start, size) == EBUSY)
		;
}

static void race_memory(unsigned int number)
{
	size_t size = 16 * MIB;
	char *memory = fill(size);
	pid_t child = fork();
	int status;

	(void)number;
	if (!child)
		_exit(!verify(memory, size));
	if (child < 0 || waitpid(child, &status, 0) != child || status || !verify(memory, size))
		die("memory changed");
	munmap(memory, size);
}

static void race_exec(unsigned int number)
{
	pid_t child = vfork();
	int status;

	(void)number;
	if (!child) {
		execl("/bin/busybox", "true", NULL);
		_exit(1);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		die("exec failed");
}

static void race_bpf(unsigned int number)
{
	int fd = bpf_load(number);

	if (bpf_run(fd) != number)
		die("a BPF program returned a wrong value");
	close(fd);
}

static void race_module(unsigned int number)
{
	(void)number;
	module_load(TARGET_KO);
	if (target_answer() != TARGET_ANSWER)
		die("the module's text returned a wrong value");
	module_unload(TARGET_MODULE);
}

static void race_read(unsigned int number)
{
	static const char * const files[] = {
		"/proc/iomem", "/sys/kernel/debug/kernel_page_tables", "/proc/zoneinfo",
		"/proc/vmallocinfo",
	};

	free(read_file(files[number % ARRAY_SIZE(files)]));
}

static void race_kpage(unsigned int number)
{
	static unsigned long long counts[4096];
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	off_t at = (unused.start + random() % 16 * block) / PAGE_SIZE * sizeof(counts[0]);

	(void)number;
	if (fd < 0 || pread(fd, counts, sizeof(counts), at) < 0)
		die("read /proc/kpageflags: %s", strerror(errno));
	close(fd);
}

static void race_kcore(unsigned int number)
{
	static char data[16 * PAGE_SIZE];
	struct kcore kcore = kcore_open();
	unsigned long at = unused.start + random() % 16 * block;

	(void)number;
	if (pread(kcore.fd, data, sizeof(data), kcore_offset(&kcore, at)) < 0)
		die("read /proc/kcore: %s", strerror(errno));
	close(kcore.fd);
}

/* The position in this file is a page number. */
static void race_owner(unsigned int number)
{
	int fd = open(PAGE_OWNER, O_RDONLY | O_CLOEXEC), i;
	char text[PAGE_SIZE];

	(void)number;
	if (fd < 0 || lseek(fd, (unused.start + random() % 16 * block) / PAGE_SIZE, SEEK_SET) < 0)
		die("open " PAGE_OWNER ": %s", strerror(errno));
	for (i = 0; i < 64; i++) {
		if (read(fd, text, sizeof(text)) < 0)
			die("read " PAGE_OWNER ": %s", strerror(errno));
	}
	close(fd);
}

static bool have_owner(void)
{
	char *text = read_file("/proc/cmdline");
	bool have = strstr(text, "page_owner=on");

	free(text);
	return have;
}

static const struct racer racers[] = {
	{ "add and remove", race_hotplug },
	{ "add and remove", race_hotplug },
	{ "fill, fork, verify", race_memory },
	{ "exec", race_exec },
	{ "BPF programs", race_bpf },
	{ "modules", race_module },
	{ "/proc/iomem", race_read },
	{ "page-table dumps", race_read },
	{ "/proc/kpageflags", race_kpage },
	{ "/proc/kcore", race_kcore },
	{ "page owners", race_owner },
};

static void main_races(unsigned int seconds, unsigned int seed)
{
	unsigned long *counts = mmap(NULL, sizeof(*counts) * ARRAY_SIZE(racers),
				     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct state before;
	const unsigned int nr = ARRAY_SIZE(racers) - !have_owner();
	pid_t children[ARRAY_SIZE(racers)];
	bool good = true;
	unsigned int i;
	time_t end;

	if (counts == MAP_FAILED)
		die("map memory: %s", strerror(errno));
	ksft_set_plan(3);
	ksft_print_msg("seed %u\n", seed);
	cycle(unused.start, 4 * block);
	before = state_read();
	end = time(NULL) + seconds;
	fflush(stdout);
	for (i = 0; i < nr; i++) {
		children[i] = fork();
		if (children[i])
			continue;
		srandom(seed + i);
		/* Give most of the harts' time to memory hotplug. */
		if (racers[i].once != race_hotplug && nice(10) < 0)
			die("nice: %s", strerror(errno));
		do {
			/* Racers 0 and 1 have their own ranges. The first reader reads iomem. */
			racers[i].once(racers[i].once == race_read ? i - 6 : i);
			counts[i]++;
		} while (time(NULL) < end ||
			 __atomic_load_n(&counts[0], __ATOMIC_RELAXED) < RACES ||
			 __atomic_load_n(&counts[1], __ATOMIC_RELAXED) < RACES);
		_exit(0);
	}
	for (i = 0; i < nr; i++) {
		int status;

		if (waitpid(children[i], &status, 0) != children[i])
			die("waitpid: %s", strerror(errno));
		good &= !status && counts[i];
		ksft_print_msg("%s: %lu, wait status %#x\n", racers[i].what, counts[i], status);
	}
	ksft_test_result(good, "all went on while memory came and went\n");
	/* Protecting modules and programs has split large pages of the direct map for good. */
	before.tables = hotplug_number("tables");
	ksft_test_result(state_is(&before), "ranges and blocks are as before\n");
	ksft_test_result(kcore_is_iomem(), "/proc/kcore shows the RAM of /proc/iomem\n");
}

/* The console must show KASAN's report of each access that is "made". */
static void main_kasan(void)
{
	unsigned long kernel = unused.start, movable = kernel + 4 * block, size = 2 * block;

	ksft_set_plan(5);
	online_as("online_kernel");
	must("add", kernel, size);
	ksft_test_result(!hotplug("within", kernel, size), "an access within an object is right\n");
	ksft_test_result(!hotplug("beyond", kernel, size), "an access beyond it is made\n");

	online_as("online_movable");
	must("add", movable, size);
	ksft_test_result(!hotplug("freed", movable, size), "an access to a free page is made\n");
	ksft_test_result(!hotplug("remove", movable, size), "the memory is removed\n");
	must("add", movable, size);
	ksft_test_result(!hotplug("freed", movable, size), "once more after it was added again\n");
}

/*
 * A block has 32768 pages, each with a struct page of 64 bytes: 512 pages for
 * all. The first blocks also need page tables and block devices, but no block
 * may take 512 pages of other memory.
 */
static void main_memmap(void)
{
	const unsigned long memmap = block / 64;
	unsigned long start = unused.start, i;
	struct state before, now;

	if (strcmp(read_file("/sys/module/memory_hotplug/parameters/memmap_on_memory"), "Y\n"))
		die("boot with memory_hotplug.memmap_on_memory=1");
	ksft_set_plan(5);
	/* First addition: it allocates memory that stays, such as bounce buffers above 4 GiB. */
	must("add_memmap", start + 7 * block, block);
	must("remove", start + 7 * block, block);

	online_as("offline");
	before = state_read();
	for (i = 0; i < 8; i++)
		must("add_memmap", start + i * block, block);
	now = state_read();
	ksft_print_msg("8 blocks offline: %ld pages fewer are free\n", before.free - now.free);
	ksft_test_result(before.free - now.free < (long)(8 * memmap / PAGE_SIZE) / 4,
			 "the struct pages take none of the other memory\n");
	for (i = 0; i < 8; i++)
		must("remove", start + i * block, block);
	ksft_test_result(state_is(&before), "removed: everything is as before\n");

	online_as("online_movable");
	must("add_memmap", start, block);
	ksft_test_result(meminfo_bytes("MemTotal") == before.total + block - memmap,
			 "online, a block has %lu KiB less than without\n", memmap >> 10);
	ksft_test_result(!hotplug("freed", start, block), "its pages can be used\n");
	must("remove", start, block);
	ksft_test_result(state_is(&before), "removed: everything is as before\n");
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	unsigned int number = argc > 2 ? strtoul(argv[2], NULL, 0) : 0, seed;

	begin();
	load_hotplug_range();
	block = block_size();
	unused = unused_ram();
	/* All pages of zone Movable can be moved. */
	online_as("online_movable");

	if (!strcmp(mode, "cycles")) {
		main_cycles(number ?: CYCLES);
	} else if (!strcmp(mode, "refuse")) {
		main_refuse();
	} else if (!strcmp(mode, "order")) {
		main_order();
	} else if (!strcmp(mode, "end")) {
		main_end();
	} else if (!strcmp(mode, "scale") && argc > 2) {
		main_scale(argv + 2);
	} else if (!strcmp(mode, "faults")) {
		main_faults(number ?: 1);
	} else if (!strcmp(mode, "errors")) {
		main_errors();
	} else if (!strcmp(mode, "kcore")) {
		main_kcore();
	} else if (!strcmp(mode, "races") && number) {
		if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
			die("getrandom: %s", strerror(errno));
		main_races(number, argc > 3 ? strtoul(argv[3], NULL, 0) : seed);
	} else if (!strcmp(mode, "kasan")) {
		main_kasan();
	} else if (!strcmp(mode, "memmap")) {
		main_memmap();
	} else {
		die("usage: hotplug MODE [ARGUMENT...], as hotplug.c says");
	}
	ksft_finished();
}
