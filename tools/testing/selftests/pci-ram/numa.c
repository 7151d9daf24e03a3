// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of node 1 is added and removed. Node 0 has memory, and both nodes
 * have harts.
 *
 *   numa comes		twice, with memory in it that was placed by each policy
 *   numa stress N	N times, while each hart allocates from it
 *
 * The host plugs memory of node 1 when the program says "plug memory now", and
 * unplugs it at "remove memory now". Node 1 may have other memory, but not for
 * "stress".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"
#include "slots.h"

#define NODES_DIR	"/sys/devices/system/node/"
#define BALANCING	"/proc/sys/kernel/numa_balancing"
#define SCHED_DIR	"/sys/kernel/debug/sched/numa_balancing/"
#define BALANCE_LIMIT	240		/* seconds; normally one or two are enough */
#define MAX_NODES	64		/* bits of a set of nodes */
#define DATA		(4 * MIB)	/* of each area */
#define NR_PAGES	(DATA / PAGE_SIZE)
#define PIECE		(64 * PAGE_SIZE)	/* size of each allocation of stress */

/**
 * struct area - memory that is placed by a policy
 * @what: name of the policy
 * @mode: the policy as an argument of mbind()
 * @nodes: the set of nodes of the policy
 * @first: number of pages that are in node 1 if it has memory
 * @again: the same after node 1 had no memory for a while
 * @memory: the memory
 */
struct area {
	const char *what;
	int mode;
	unsigned long nodes;
	size_t first, again;
	char *memory;
};

/*
 * In the node sets of policies, the kernel replaces a node without memory, and
 * does not put it back later: see
 * Documentation/admin-guide/mm/numa_memory_policy.rst. It does not replace a
 * preferred node.
 */
static struct area areas[] = {
	{ "bound to node 1", MPOL_BIND, NODE_1, NR_PAGES, 0, NULL },
	{ "preferring node 1", MPOL_PREFERRED, NODE_1, NR_PAGES, NR_PAGES, NULL },
	{ "on a hart of node 1", MPOL_DEFAULT, 0, NR_PAGES, NR_PAGES, NULL },
	{ "interleaved", MPOL_INTERLEAVE, NODE_0 | NODE_1, NR_PAGES / 2, 0, NULL },
};

/* The content of all areas */
static const char *source;

static bool file_is(const char *path, const char *value)
{
	char *text = read_file(path);
	bool same;

	text[strcspn(text, "\n")] = '\0';
	same = !strcmp(text, value);
	if (!same)
		ksft_print_msg("%s is \"%s\", not \"%s\"\n", path, text, value);
	free(text);
	return same;
}

/* Whether node 1, and no other node, lists each block of a range */
static bool blocks_in_node_1(const struct range *range)
{
	unsigned long block = block_size(), addr;
	bool good = true;
	char path[64];

	for (addr = range->start; addr < range->end; addr += block) {
		snprintf(path, sizeof(path), NODES_DIR "node1/memory%lu", addr / block);
		good &= !access(path, F_OK);
		snprintf(path, sizeof(path), NODES_DIR "node0/memory%lu", addr / block);
		good &= access(path, F_OK);
	}
	return good;
}

static int first_cpu(int node)
{
	char path[64];

	snprintf(path, sizeof(path), NODES_DIR "node%d/cpulist", node);
	return read_long(path);
}

/* The memory blocks of node 1 */
static struct ranges node_1_ranges(void)
{
	unsigned long block = block_size(), number;
	struct ranges ranges = { .nr = 0 };
	glob_t all;
	size_t i;

	if (glob(NODES_DIR "node1/memory[0-9]*", 0, NULL, &all))
		return ranges;
	for (i = 0; i < all.gl_pathc; i++) {
		if (ranges.nr == MAX_RANGES)
			die("node 1 has more than %d blocks", MAX_RANGES);
		number = strtoul(all.gl_pathv[i] + strlen(NODES_DIR "node1/memory"), NULL, 10);
		ranges.range[ranges.nr++] = (struct range){ number * block, (number + 1) * block };
	}
	globfree(&all);
	return ranges;
}

/*
 * The number of pages of an area that are in node 1. move_pages() would not
 * know pages that NUMA balancing is about to move.
 */
static size_t pages_in_node_1(const char *memory)
{
	struct ranges ranges = node_1_ranges();

	return pages_in(memory, DATA, &ranges);
}

static void place_areas(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(areas); i++) {
		struct area *area = &areas[i];

		area->memory = mmap(NULL, DATA, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (area->memory == MAP_FAILED)
			die("mmap: %s", strerror(errno));
		if (syscall(SYS_mbind, area->memory, DATA, area->mode,
			    area->nodes ? &area->nodes : NULL, area->nodes ? MAX_NODES : 0, 0))
			die("mbind, %s: %s", area->what, strerror(errno));
	}
}

/* Write to new pages, on a hart of node 1. */
static void write_areas(void)
{
	size_t i;

	pin_to_cpu(first_cpu(1));
	for (i = 0; i < ARRAY_SIZE(areas); i++) {
		if (madvise(areas[i].memory, DATA, MADV_DONTNEED))
			die("madvise: %s", strerror(errno));
		memcpy(areas[i].memory, source, DATA);
	}
}

static bool areas_intact(void)
{
	bool intact = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(areas); i++)
		intact &= verify(areas[i].memory, DATA);
	return intact;
}

static bool areas_are_placed(bool again)
{
	bool good = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(areas); i++) {
		size_t nr = pages_in_node_1(areas[i].memory);

		ksft_print_msg("%s: %zu of %zu pages are in node 1\n", areas[i].what, nr, NR_PAGES);
		good &= nr == (again ? areas[i].again : areas[i].first);
	}
	return good;
}

static unsigned long vm_count(const char *name)
{
	char *text = read_file("/proc/vmstat"), *found = strstr(text, name);
	unsigned long value;

	if (!found || sscanf(found + strlen(name), " %lu", &value) != 1)
		die("/proc/vmstat has no %s", name);
	free(text);
	return value;
}

/* Have NUMA balancing scan soon, and all memory, for pages that are far from their users. */
static void balance_fast(void)
{
	if (access(SCHED_DIR, F_OK))
		return;
	must_write(SCHED_DIR "scan_delay_ms", "10");
	must_write(SCHED_DIR "scan_period_min_ms", "10");
	must_write(SCHED_DIR "scan_period_max_ms", "100");
}

/* Pages that a process has written on node 0, and reads on node 1, move to node 1. */
static void test_balancing(void)
{
	unsigned long moved = vm_count("numa_pages_migrated"), before, after;
	const time_t start = time(NULL);
	char *memory;

	pin_to_cpu(first_cpu(0));
	memory = fill(DATA);
	/* The last pages are in a list of this hart, and cannot be moved: have the list emptied. */
	must_write("/proc/sys/vm/compact_memory", "1");
	before = pages_in_node_1(memory);
	pin_to_cpu(first_cpu(1));
	do {
		if (!verify(memory, DATA))
			die("what was written is not what is read");
		after = pages_in_node_1(memory);
	} while (after < NR_PAGES && time(NULL) - start <= BALANCE_LIMIT);
	moved = vm_count("numa_pages_migrated") - moved;
	ksft_print_msg("%lu pages, then %lu of %zu in node 1, after %ld s; %lu were migrated\n",
		       before, after, NR_PAGES, (long)(time(NULL) - start), moved);
	ksft_test_result(!before && after == NR_PAGES && moved >= NR_PAGES,
			 "pages follow their process to node 1\n");
	munmap(memory, DATA);
}

static int set_policy_errno(int mode, unsigned long nodes)
{
	return syscall(SYS_set_mempolicy, mode, &nodes, MAX_NODES) ? errno : 0;
}

/* Whether sysfs shows node 1 with this many bytes */
static bool node_1_is(unsigned long bytes)
{
	const char *nodes = bytes ? "0-1" : "0";
	unsigned long now = node_bytes(1, "MemTotal");

	if (now != bytes)
		ksft_print_msg("node 1 has %lu kB, not %lu\n", now >> 10, bytes >> 10);
	return now == bytes && file_is(NODES_DIR "has_memory", nodes) &&
	       file_is(NODES_DIR "node1/distance", "30 10") &&
	       file_is(NODES_DIR "node0/distance", "10 30");
}

/* Whether the policy of this process has these nodes */
static bool policy_is(size_t wanted)
{
	unsigned long nodes = 0;

	if (syscall(SYS_get_mempolicy, NULL, &nodes, MAX_NODES, NULL, 0))
		die("get_mempolicy: %s", strerror(errno));
	return nodes == wanted;
}

/*
 * Fork a child that shares all pages and is bound to node 1. When the pipe is
 * closed, the child checks the pages and its policy: it must be bound to node
 * 0, or to node 1 if that has @more memory. It exits with 0 if all is right.
 */
static pid_t fork_bound(const int pipes[2], bool more)
{
	pid_t child;
	char byte;
	void *own;

	fflush(stdout);
	child = fork();
	if (child)
		return child;

	close(pipes[1]);
	set_policy(MPOL_BIND, NODE_1);
	if (read(pipes[0], &byte, 1) || !areas_intact())
		_exit(1);
	if (!wait_for(policy_is, more ? NODE_1 : NODE_0))
		_exit(2);
	own = fill(DATA);
	_exit(!verify(own, DATA) || pages_in_node_1(own) != (more ? NR_PAGES : 0));
}

/* Whether no page is in node 1 */
static bool nothing_in_node_1(void)
{
	size_t i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(areas); i++)
		nr += pages_in_node_1(areas[i].memory);
	return !nr;
}

/* Add memory, use it, and remove it, maybe @again. Node 1 has @more bytes. */
static void test_round(const struct memory_state *none, unsigned long more, bool again)
{
	struct ranges ranges = plug(1);
	int pipes[2];
	pid_t child;

	ksft_test_result(node_1_is(more + ranges_size(&ranges)) &&
			 blocks_in_node_1(&ranges.range[0]), "the memory is node 1's\n");
	wait_for_node_1();
	if (!again)
		place_areas();
	write_areas();
	ksft_test_result(areas_are_placed(again), "each policy has its pages where it says\n");
	if (access(BALANCING, F_OK))
		ksft_test_result_skip("no CONFIG_NUMA_BALANCING\n");
	else
		test_balancing();

	if (pipe(pipes))
		die("pipe: %s", strerror(errno));
	child = fork_bound(pipes, more);
	unplug();
	ksft_test_result(removed(none) && node_1_is(more), "the memory is removed\n");
	ksft_test_result(areas_intact() && (more || nothing_in_node_1()),
			 "what was there is intact, and elsewhere\n");
	close(pipes[1]);
	close(pipes[0]);
	ksft_test_result(child_succeeds(child),
			 "it is for a child that is bound to node 1, and %s\n",
			 more ? "has more of that" : "to node 0 from then on");
	write_areas();
	ksft_test_result(more ? areas_are_placed(false) : nothing_in_node_1(),
			 "each policy gets memory that there is\n");
}

static void main_comes(void)
{
	unsigned long more = node_bytes(1, "MemTotal");
	struct memory_state none = memory_state();

	ksft_set_plan(more ? 8 : 16);
	/* Without large pages, each page is placed by itself. */
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		die("prctl: %s", strerror(errno));
	pin_to_cpu(first_cpu(0));
	source = fill(DATA);
	balance_fast();
	ksft_test_result(node_1_is(more),
			 "node 1 is as far, and has as much memory, as the machine says\n");
	if (more) {
		test_round(&none, more, false);
		return;
	}
	ksft_test_result(set_policy_errno(MPOL_BIND, NODE_1) == EINVAL &&
			 set_policy_errno(MPOL_PREFERRED, NODE_1) == EINVAL,
			 "nobody can be bound to a node without memory, or prefer it\n");
	test_round(&none, 0, false);
	test_round(&none, 0, true);
}

/* Allocate from node 1, if it has memory, until *@stop is set. */
static void allocate(int cpu, const bool *stop)
{
	unsigned long node = NODE_1;
	size_t i;

	pin_to_cpu(cpu);
	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		char *memory = mmap(NULL, PIECE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			_exit(1);
		/* EINVAL while node 1 has no memory */
		if (syscall(SYS_mbind, memory, PIECE, MPOL_PREFERRED, &node, MAX_NODES, 0) &&
		    errno != EINVAL)
			_exit(2);
		for (i = 0; i < PIECE; i += PAGE_SIZE)
			*(size_t *)(memory + i) = i;
		for (i = 0; i < PIECE; i += PAGE_SIZE) {
			if (*(size_t *)(memory + i) != i)
				_exit(3);
		}
		munmap(memory, PIECE);
	}
	_exit(0);
}

/* The number of pages that node 1 has given to those who asked for node 1 */
static unsigned long node_hits(void)
{
	unsigned long hits;
	char *text = read_file(NODES_DIR "node1/numastat");

	if (sscanf(text, "numa_hit %lu", &hits) != 1)
		die("node 1 has no numa_hit");
	free(text);
	return hits;
}

static void main_stress(int cycles)
{
	struct memory_state none = memory_state();
	bool *stop = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	int nr = sysconf(_SC_NPROCESSORS_ONLN), done = 0, i;
	unsigned long hit[2], size;
	struct ranges ranges;
	bool all = true;
	pid_t children[nr];

	ksft_set_plan(4);
	if (stop == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	ranges = plug(1);
	wait_for_node_1();
	size = ranges_size(&ranges);
	fflush(stdout);
	for (i = 0; i < nr; i++) {
		children[i] = fork();
		if (!children[i])
			allocate(i, stop);
	}
	hit[0] = node_hits();
	for (i = 0; i < cycles; i++) {
		set_states(&ranges.range[0], "offline");
		done += !node_bytes(1, "MemTotal") && file_is(NODES_DIR "has_memory", "0");
		set_states(&ranges.range[0], "online_movable");
		done += node_bytes(1, "MemTotal") == size && file_is(NODES_DIR "has_memory", "0-1");
	}
	hit[1] = node_hits();
	ksft_test_result(done == 2 * cycles,
			 "node 1 has lost its memory %d times, and got it again\n", cycles);
	ksft_print_msg("%lu pages were allocated in node 1\n", hit[1] - hit[0]);
	ksft_test_result(hit[1] - hit[0] >= PIECE / PAGE_SIZE * cycles, "it was used meanwhile\n");
	__atomic_store_n(stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < nr; i++)
		all &= child_succeeds(children[i]);
	ksft_test_result(all, "who allocates on any hart gets memory\n");
	unplug();
	ksft_test_result(removed(&none), "the memory is removed\n");
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	begin();
	if (access(NODES_DIR "node1", F_OK))
		ksft_exit_skip("no node 1\n");
	load_hotplug_range();
	online_as("online_movable");

	if (!strcmp(mode, "comes"))
		main_comes();
	else if (!strcmp(mode, "stress") && argc > 2)
		main_stress(atoi(argv[2]));
	else
		die("usage: numa MODE, as numa.c says");
	ksft_finished();
}
