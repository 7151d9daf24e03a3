// SPDX-License-Identifier: GPL-2.0-only
/*
 * The statistics in debugfs and the tracepoints count exactly what is loaded
 * and unloaded. Nothing else may use executable memory during the test.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define NR_PROGRAMS	5

/* More probes than fill a page with slots, including probes that need no slot */
#define MAX_PROBES	4000

/* A function that nobody calls while it is probed, with room for MAX_PROBES */
#define PROBED_FUNCTION	"bpf_check"

#define KPTR_RESTRICT	"/proc/sys/kernel/kptr_restrict"
#define INSTANCE	"/sys/kernel/tracing/instances/execmem-stats"

static const char * const types[] = {
	"module-text", "module-data", "kprobes", "ftrace", "bpf", "total",
};

struct area {
	unsigned long start, end, asked;
	char type[16];
};

static struct area area_of_line(const char *line)
{
	struct area area;

	if (sscanf(line, "0x%lx-0x%lx %15s %lu", &area.start, &area.end, area.type,
		   &area.asked) != 4)
		die("%s: cannot read \"%s\"", AREAS, line);
	return area;
}

/* The area that holds @addr, or zeroes if there is none. */
static struct area area_of(unsigned long addr)
{
	char *text = read_file(AREAS), *line, *rest = text;

	while ((line = strsep(&rest, "\n")) && *line) {
		struct area area = area_of_line(line);

		if (addr >= area.start && addr < area.end) {
			free(text);
			return area;
		}
	}
	free(text);
	return (struct area){ 0 };
}

/* For each type, the areas in the list add up to the values in the table. */
static bool areas_agree(void)
{
	char *text = read_file(AREAS), *line, *rest;
	bool agree = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		struct stats stats = stats_of(types[i]), sum = { 0 };
		char *copy = strdup(text);

		for (rest = copy; (line = strsep(&rest, "\n")) && *line;) {
			struct area area = area_of_line(line);

			if (strcmp(types[i], "total") && strcmp(types[i], area.type))
				continue;
			sum.live++;
			sum.asked += area.asked;
			sum.used += area.end - area.start;
		}
		free(copy);
		if (stats.live != sum.live || stats.asked != sum.asked || stats.used != sum.used ||
		    (have_rox() ? stats.blocks > sum.live : stats.blocks != sum.live)) {
			ksft_print_msg("%s: %lu live, %lu asked, %lu used; areas: %lu, %lu, %lu\n",
				       types[i], stats.live, stats.asked, stats.used, sum.live,
				       sum.asked, sum.used);
			agree = false;
		}
	}
	free(text);
	return agree;
}

/* @type has changed by this much since @before, and no more allocations have failed. */
static bool moved_by(const char *type, const struct stats *before, long live, long asked,
		     long used)
{
	struct stats now = stats_of(type);
	bool good = now.live - before->live == (unsigned long)live &&
		    now.asked - before->asked == (unsigned long)asked &&
		    now.used - before->used == (unsigned long)used &&
		    now.failed == before->failed && now.peak >= now.used;

	if (!good)
		ksft_print_msg("%s: %ld live, %ld asked, %ld used, %ld failed; not %ld, %ld, %ld\n",
			       type, now.live - before->live, now.asked - before->asked,
			       now.used - before->used, now.failed - before->failed, live, asked,
			       used);
	return good;
}

/* The same, if the change of used memory equals that of memory asked for. */
static bool moved(const char *type, const struct stats *before, long live, long asked)
{
	return moved_by(type, before, live, asked, asked);
}

/* The memory that text of a size takes: pieces of 64 bytes in the cache, or pages */
static unsigned long text_size(unsigned long size)
{
	unsigned long unit = have_rox() ? 64 : PAGE_SIZE;

	return (size + unit - 1) / unit * unit;
}

/*
 * The memory of a program that is loaded alone: the image, a header of 8
 * bytes, and room for a random start.
 */
static unsigned long program_size(int fd)
{
	return text_size(bpf_image_size(fd) + 8 + (have_rox() ? 16 : 128));
}

/* Choose whether traces have plain addresses or hashed ones. */
static void trace_addresses(bool plain)
{
	write_file(INSTANCE "/options/hash-ptr", plain ? "0" : "1");
}

static void trace_begin(void)
{
	rmdir(INSTANCE);
	if (mkdir(INSTANCE, 0700))
		die("%s: %s", INSTANCE, strerror(errno));
	write_file(INSTANCE "/events/execmem/enable", "1");
	trace_addresses(true);
}

static void trace_clear(void)
{
	write_file(INSTANCE "/trace", "");
}

/*
 * How often an event has fired for a type since trace_clear(). If @area is not
 * NULL, count only events with the area's address and requested size.
 */
static unsigned int fired(const char *event, const char *type, const struct area *area)
{
	char *text = read_file(INSTANCE "/trace"), *line, *rest = text;
	unsigned int count = 0;
	char start[64];

	snprintf(start, sizeof(start), ": execmem_%s: type=%s ", event, type);
	while ((line = strsep(&rest, "\n"))) {
		unsigned long size, addr;
		char *at = strstr(line, start);

		if (*line == '#' || !at)
			continue;
		if (sscanf(at + strlen(start), "size=%lu addr=%lx caller=%*s", &size, &addr) != 2)
			die("trace: cannot read \"%s\"", line);
		count += !area || (size == area->asked && addr == area->start);
	}
	free(text);
	return count;
}

/*
 * Wait until execmem_free has fired @count times for a type. The event fires
 * just after the statistics change, maybe in a worker.
 */
static bool freed(const char *type, unsigned int count)
{
	int i;

	for (i = 0; i < 10 * SETTLE_LIMIT && fired("free", type, NULL) < count; i++)
		usleep(100000);
	return fired("free", type, NULL) == count;
}

static void test_bpf(void)
{
	struct stats before = stats_of("bpf"), total = stats_of("total"), peak;
	bool placed = true, allocs = true, frees;
	struct area areas[NR_PROGRAMS];
	int fds[NR_PROGRAMS], *more;
	unsigned int i, nr_more;
	unsigned long size;

	trace_clear();
	for (i = 0; i < NR_PROGRAMS; i++)
		fds[i] = bpf_load(i);

	size = program_size(fds[0]);
	ksft_test_result(moved("bpf", &before, NR_PROGRAMS, NR_PROGRAMS * size),
			 "%d BPF programs count as that many allocations of %lu bytes\n",
			 NR_PROGRAMS, size);
	ksft_test_result(moved("total", &total, NR_PROGRAMS, NR_PROGRAMS * size),
			 "the total counts them too\n");
	ksft_test_result(areas_agree(), "the areas amount to the statistics\n");

	for (i = 0; i < NR_PROGRAMS; i++) {
		areas[i] = area_of(bpf_address(fds[i]));
		placed &= !strcmp(areas[i].type, "bpf") && areas[i].asked == size &&
			  (!i || areas[i].start != areas[i - 1].start);
		allocs &= fired("alloc", "bpf", &areas[i]) == 1;
	}
	ksft_test_result(placed, "each program is in a BPF area of its own\n");
	ksft_test_result(allocs && fired("alloc", "bpf", NULL) == NR_PROGRAMS,
			 "execmem_alloc has fired once for each\n");

	/* Enough programs to reach a new peak */
	peak = stats_of("bpf");
	nr_more = (peak.peak - peak.used) / size + 1;
	more = calloc(nr_more, sizeof(*more));
	if (!more)
		die("out of memory");
	for (i = 0; i < nr_more; i++)
		more[i] = bpf_load(i);
	ksft_test_result(stats_of("bpf").peak > peak.peak &&
			 stats_of("bpf").peak <= peak.peak + size &&
			 stats_of("bpf").used == peak.used + nr_more * size,
			 "the peak is what is used when it is more than ever\n");
	peak = stats_of("bpf");

	for (i = 0; i < nr_more; i++)
		close(more[i]);
	for (i = 0; i < NR_PROGRAMS; i++)
		close(fds[i]);
	free(more);
	stats_come_to("bpf", &before, 0);
	ksft_test_result(moved("bpf", &before, 0, 0) && moved("total", &total, 0, 0),
			 "unloaded, they count no more\n");
	frees = freed("bpf", NR_PROGRAMS + nr_more);
	for (i = 0; i < NR_PROGRAMS; i++)
		frees &= fired("free", "bpf", &areas[i]) == 1;
	ksft_test_result(frees, "execmem_free has fired once for each\n");

	/* An allocation below the peak does not change it. */
	close(bpf_load(0));
	stats_come_to("bpf", &before, 0);
	ksft_test_result(stats_of("bpf").peak == peak.peak, "the peak stays\n");
}

/* The bytes of a module. Before they are freed, this includes the init sections. */
static long module_size(const char *module)
{
	char *text = read_file("/proc/modules"), *line, *rest = text;
	char name[64];
	long size;

	while ((line = strsep(&rest, "\n")) && *line) {
		if (sscanf(line, "%63s %ld", name, &size) == 2 && !strcmp(name, module)) {
			free(text);
			return size;
		}
	}
	die("/proc/modules: no %s", module);
}

static void test_module(void)
{
	struct stats text = stats_of("module-text"), data = stats_of("module-data");
	struct stats total = stats_of("total");
	/* With the cache, init text and init data are separate allocations. */
	unsigned int rox = have_rox();
	struct area code, vars;
	long core, rest;

	trace_clear();
	module_load(TARGET_KO);
	/* A worker frees the init sections. */
	stats_come_to("module-text", &text, 1);
	stats_come_to("module-data", &data, 1);
	core = read_long("/sys/module/" TARGET_MODULE "/coresize");
	code = area_of(module_section(TARGET_MODULE, ".text"));
	vars = area_of(module_section(TARGET_MODULE, ".data"));

	rest = module_size(TARGET_MODULE) - core;
	ksft_test_result(moved_by("module-text", &text, 1, core, text_size(core)) &&
			 moved("module-data", &data, 1, rest) &&
			 moved_by("total", &total, 2, core + rest, text_size(core) + rest),
			 "a module counts as an allocation of text and one of data\n");
	ksft_test_result(areas_agree(), "the areas amount to the statistics\n");
	ksft_test_result(!strcmp(code.type, "module-text") && (long)code.asked == core,
			 "its text section is in an area of text\n");
	ksft_test_result(!strcmp(vars.type, "module-data") &&
			 (long)vars.asked == rest,
			 "its data section is in an area of data\n");
	ksft_test_result(fired("alloc", "module-text", &code) == 1 &&
			 fired("alloc", "module-text", NULL) == 2 &&
			 fired("alloc", "module-data", &vars) == 1 &&
			 fired("alloc", "module-data", NULL) == 1 + rox,
			 "execmem_alloc has fired once for each, and for its init sections\n");
	ksft_test_result(freed("module-text", 1) && freed("module-data", rox),
			 "execmem_free has fired for its init sections\n");

	module_unload(TARGET_MODULE);
	ksft_test_result(moved("module-text", &text, 0, 0) && moved("module-data", &data, 0, 0) &&
			 moved("total", &total, 0, 0), "unloaded, it counts no more\n");
	ksft_test_result(freed("module-text", 2) &&
			 fired("free", "module-text", &code) == 1 &&
			 freed("module-data", 1 + rox) &&
			 fired("free", "module-data", &vars) == 1,
			 "execmem_free has fired once for each\n");
}

static void test_kprobes(void)
{
	const struct rlimit limit = { MAX_PROBES + 16, MAX_PROBES + 16 };
	static int fds[MAX_PROBES];
	struct stats before, total;
	unsigned int i, nr = 0;
	unsigned long offset;

	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("open %d files: %s", MAX_PROBES, strerror(errno));

	/* Have kprobes allocate the page of slots that they keep. */
	close(kprobe_attach(PROBED_SYSCALL));
	before = stats_of("kprobes");
	total = stats_of("total");
	trace_clear();

	fds[nr++] = kprobe_attach(PROBED_SYSCALL);
	ksft_test_result(before.live && moved("kprobes", &before, 0, 0),
			 "a kprobe whose slot is in a page that is there counts nothing\n");

	/* Probe one instruction after the other until a page of slots is full. */
	for (offset = first_insn(); nr < MAX_PROBES && stats_of("kprobes").live == before.live;
	     offset += 2) {
		int fd = kprobe_open(PROBED_FUNCTION, offset);

		if (fd >= 0)
			fds[nr++] = fd;
	}
	ksft_print_msg("a page was full after %u kprobes\n", nr);
	ksft_test_result(moved("kprobes", &before, 1, PAGE_SIZE) &&
			 moved("total", &total, 1, PAGE_SIZE),
			 "when its slots are used up a page more counts\n");
	ksft_test_result(areas_agree(), "the areas amount to the statistics\n");
	ksft_test_result(fired("alloc", "kprobes", NULL) == 1 && freed("kprobes", 0),
			 "execmem_alloc has fired once\n");

	for (i = 0; i < nr; i++)
		close(fds[i]);
	stats_come_to("kprobes", &before, 0);
	ksft_test_result(moved("kprobes", &before, 0, 0) && moved("total", &total, 0, 0),
			 "without the kprobes that page counts no more\n");
	ksft_test_result(fired("alloc", "kprobes", NULL) == 1 && freed("kprobes", 1),
			 "execmem_free has fired once\n");
}

/* Whether each line of a file that begins with an address range has a range of zeroes */
static bool all_hidden(const char *path)
{
	char *text = read_file(path), *line, *rest = text;
	unsigned long start, end;
	unsigned int ranges = 0;
	bool hidden = true;

	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "0x%lx-0x%lx ", &start, &end) != 2)
			continue;
		ranges++;
		hidden &= !start && !end;
	}
	free(text);
	return ranges && hidden;
}

static void test_addresses_are_hidden(void)
{
	char *before = read_file(KPTR_RESTRICT);
	int fd = bpf_load(0);
	struct area area = area_of(bpf_address(fd));
	bool hidden, given;

	must_write(KPTR_RESTRICT, "2");
	hidden = all_hidden(AREAS) && all_hidden(STATS);
	must_write(KPTR_RESTRICT, before);
	given = !all_hidden(AREAS) && !all_hidden(STATS);
	free(before);
	ksft_test_result(hidden && given, "kptr_restrict hides the addresses of both files\n");

	trace_clear();
	close(fd);
	fd = bpf_load(0);
	area = area_of(bpf_address(fd));
	given = fired("alloc", "bpf", &area) == 1;
	trace_addresses(false);
	ksft_test_result(given && !fired("alloc", "bpf", &area) && fired("alloc", "bpf", NULL) == 1,
			 "tracepoints give an address only if told to\n");
	close(fd);
}

int main(void)
{
	begin();
	need(STATS);
	need(TARGET_KO);
	/* No fixtures: each case continues from the case before. */
	ksft_set_plan(25);

	trace_begin();
	test_bpf();
	test_module();
	test_kprobes();
	test_addresses_are_hidden();
	rmdir(INSTANCE);

	ksft_finished();
}
