// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the kernel is mapped, and what that leaves to others.
 *
 * The image has a mapping of its own at the end of the address space. The
 * linear map has the memory it was loaded to as well, in large pages as any
 * other memory. Modules and BPF programs, in windows below the image, call into
 * it and refer to it with 32-bit offsets from the program counter.
 *
 * Run this before anything else is loaded: the pages of whatever is made
 * read-only are made so in the linear map, too, which splits large pages.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define LARGE	(2UL << 20)
#define REACH	(2UL << 30)

struct range {
	unsigned long start, end;	/* end is the first byte after it */
};

static const char * const window_types[] = { "module-text", "module-data", "bpf" };

static struct ptdump dump;
static struct range image;		/* addresses */
static unsigned long image_phys;	/* of its start */

static unsigned long symbol(const char *name)
{
	unsigned long addr = symbol_address(name);

	if (!addr)
		die("/proc/kallsyms has no %s", name);
	return addr;
}

static unsigned long image_to_phys(unsigned long addr)
{
	return addr - image.start + image_phys;
}

/* The line of the linear map that has this memory, NULL if none does. */
static const struct mapping *linear_find(unsigned long phys)
{
	size_t i;

	for (i = 0; i < dump.nr; i++) {
		const struct mapping *map = &dump.maps[i];

		if (!strcmp(map->area, AREA_LINEAR) && phys >= map->phys &&
		    phys - map->phys < map->end - map->start)
			return map;
	}
	return NULL;
}

static unsigned long linear_end(const struct mapping *map)
{
	return map->phys + map->end - map->start;
}

/* A line " start-last : name" of /proc/iomem. */
static bool iomem_line(const char *line, const char *name, struct range *range)
{
	const char *colon = strstr(line, " : ");
	unsigned long last;

	if (!colon || strcmp(colon + 3, name) ||
	    sscanf(line, " %lx-%lx", &range->start, &last) != 2)
		return false;
	range->end = last + 1;
	return true;
}

static struct range iomem_kernel(void)
{
	char *text = read_file("/proc/iomem");
	struct range range = { 0 };
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n")) && !iomem_line(line, "Kernel image", &range))
		;
	free(text);
	return range;
}

static void test_image(void)
{
	const struct mapping *first = ptdump_find(&dump, image.start);
	struct range loaded = iomem_kernel();
	unsigned long size = image.end - image.start;
	const struct mapping *map, *alias;
	unsigned long addr;
	bool good = first;

	for (addr = image.start; good && addr < image.end; addr = map->end) {
		map = ptdump_find(&dump, addr);
		good = map && !strcmp(map->area, AREA_KERNEL) &&
		       map->phys - map->start == first->phys - first->start;
		if (!good) {
			ksft_print_msg("%#lx is in \"%s\"\n", addr, map ? map->area : "nothing");
			break;
		}
	}
	ksft_test_result(good, "all of the image is in %s\n", AREA_KERNEL);
	if (!first)
		die("the image is not mapped");
	image_phys = first->phys + image.start - first->start;

	ksft_print_msg("%#lx-%#lx is at %#lx\n", image.start, image.end, image_phys);
	ksft_test_result(loaded.start == image_to_phys(symbol("_stext")) &&
			 loaded.end > loaded.start && loaded.end <= image_to_phys(image.end),
			 "it is where /proc/iomem says that the kernel was loaded\n");

	alias = linear_find(image_phys);
	addr = alias ? alias->start + image_phys - alias->phys : 0;
	ksft_print_msg("the linear map has that memory at %#lx\n", addr);
	ksft_test_result(alias && (addr >= image.end || addr + size <= image.start),
			 "the image is outside the linear map\n");
}

/* All memory, at one distance, without a gap. */
static void test_linear(void)
{
	char *text = read_file("/proc/iomem");
	const struct mapping *map, *first = NULL;
	unsigned long bytes = 0, phys;
	char *line, *rest = text;
	struct range ram;
	bool good = true;

	while ((line = strsep(&rest, "\n"))) {
		if (!iomem_line(line, "System RAM", &ram))
			continue;
		for (phys = ram.start; phys < ram.end; phys = linear_end(map)) {
			map = linear_find(phys);
			if (!first)
				first = map;
			if (!map || map->phys - map->start != first->phys - first->start) {
				ksft_print_msg("%#lx is not in the linear map\n", phys);
				good = false;
				break;
			}
		}
		bytes += ram.end - ram.start;
	}
	free(text);
	ksft_test_result(good && bytes, "the linear map has all %lu MiB of System RAM\n",
			 bytes >> 20);
}

static bool alias_has(unsigned long start, unsigned long end, bool w, bool x)
{
	const struct mapping *map;
	unsigned long phys;

	for (phys = image_to_phys(start); phys < image_to_phys(end); phys = linear_end(map)) {
		map = linear_find(phys);
		if (!map)
			die("the linear map does not have %#lx", phys);
		if ((w && map->w) || (x && map->x)) {
			ksft_print_msg("%#lx is %c%c\n", map->start, map->w ? 'W' : '-',
				       map->x ? 'X' : '-');
			return true;
		}
	}
	return false;
}

static void test_alias(void)
{
	ksft_test_result(!alias_has(image.start, image.end, false, true),
			 "nothing of the image is executable in the linear map\n");
	ksft_test_result(!alias_has(image.start, symbol("_etext"), true, false),
			 "its text is not writable there\n");
	ksft_test_result(!alias_has(symbol("__start_rodata"), symbol("_data"), true, false),
			 "its read-only data is not writable there\n");
}

/*
 * The linear map of @start to @end is made of large pages. One may be split
 * since boot: free_initmem() makes the linear map of the image's init sections
 * writable, and these are followed by data, so that __init_end is inside a page.
 */
static void check_large(unsigned long start, unsigned long end, const char *what)
{
	unsigned long split = image_to_phys(symbol("__init_end")) & -LARGE;
	unsigned long large = 0, small = 0;
	bool good = true;
	size_t i;

	for (i = 0; i < dump.nr; i++) {
		const struct mapping *map = &dump.maps[i];
		unsigned long from, to;

		if (strcmp(map->area, AREA_LINEAR))
			continue;
		from = map->phys > start ? map->phys : start;
		to = linear_end(map) < end ? linear_end(map) : end;
		if (from >= to)
			continue;
		if (map->large) {
			large += to - from;
			continue;
		}
		small += to - from;
		if (from < split || to > split + LARGE) {
			ksft_print_msg("%#lx-%#lx is mapped with small pages\n", from, to);
			good = false;
		}
	}
	ksft_print_msg("%lu MiB in large pages; split: %lu KiB\n", large >> 20, small >> 10);
	ksft_test_result(good && large, "the linear map of %s is made of large pages\n", what);
}

static void test_large(void)
{
	unsigned long start = image_phys & -LARGE;
	unsigned long end = (image_to_phys(image.end) + LARGE - 1) & -LARGE;

	check_large(start, end, "the image");
	/* Nothing is below where it was loaded: the firmware is there. */
	check_large(end, end + 8 * LARGE, "what follows the image");
	check_large(0, -1UL, "all memory");
}

/* From every byte of the range to every byte of the image and back. */
static bool in_reach(const struct range *range)
{
	return range->start < range->end && image.end - range->start <= REACH &&
	       (range->end <= image.start || range->end - image.start <= REACH);
}

/* The window that a type is allocated in, empty if there is none. */
static struct range window_of(const char *type)
{
	char *text = read_file(STATS);
	struct range window = { 0 }, range;
	char *line, *word, *rest = text;

	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "0x%lx-0x%lx", &range.start, &range.end) != 2)
			continue;
		for (word = strtok(line, " "); word; word = strtok(NULL, " ")) {
			if (!strcmp(word, type))
				window = range;
		}
	}
	free(text);
	return window;
}

static void check_placed(const char *what, unsigned long addr, const struct range *window)
{
	/* Some byte of it; all are in the window as vmalloc does not leave a range. */
	struct range byte = { addr, addr + 1 };

	ksft_print_msg("%s is at %#lx, %lu MiB from the image's end\n", what, addr,
		       (image.end - addr) >> 20);
	ksft_test_result(addr >= window->start && addr < window->end && in_reach(&byte),
			 "%s is in the window and in reach of the kernel\n", what);
}

static void test_reach(void)
{
	struct range windows[ARRAY_SIZE(window_types)];
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(window_types); i++) {
		windows[i] = window_of(window_types[i]);
		ksft_print_msg("window of %s: %#lx-%#lx\n", window_types[i], windows[i].start,
			       windows[i].end);
		ksft_test_result(in_reach(&windows[i]),
				 "all of the window of %s is within 2 GiB of all of the image\n",
				 window_types[i]);
	}

	module_load(TARGET_KO);
	check_placed("module text", module_section(TARGET_MODULE, ".text"), &windows[0]);
	check_placed("module data", module_section(TARGET_MODULE, ".data"), &windows[1]);
	module_unload(TARGET_MODULE);
	fd = bpf_load(TARGET_ANSWER);
	check_placed("a BPF image", bpf_address(fd), &windows[2]);
	close(fd);
}

int main(void)
{
	begin();
	need_ptdump();
	need(STATS);
	need(TARGET_KO);
	ksft_set_plan(16);

	image = (struct range){ symbol("_start"), symbol("_end") };
	dump = ptdump_read();

	test_image();
	test_linear();
	test_alias();
	test_large();
	test_reach();

	ptdump_free(&dump);
	ksft_finished();
}
