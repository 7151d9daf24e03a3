// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the kernel is mapped, and the effects on other mappings.
 *
 * The image has its own mapping at the end of the address space. The linear
 * map also maps the memory of the image, with large pages as for other memory.
 * Modules and BPF programs are in windows below the image. They call the image
 * and refer to its data with 32-bit offsets from the program counter.
 *
 * Run this before anything is loaded: making pages read-only splits large
 * pages of the linear map.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

#define LARGE	(2UL << 20)
#define REACH	(2UL << 30)
#define LIMIT	300	/* seconds */

struct range {
	unsigned long start, end;	/* end is the first byte after it */
};

static struct ptdump dump;
static struct range image;		/* addresses */
static unsigned long image_phys;	/* physical address of its start */
static unsigned long image_end;		/* end of its last large page */

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

/* The line of the linear map that maps a physical address, or NULL. */
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

TEST(image_has_a_mapping_of_its_own)
{
	const struct mapping *map;
	unsigned long addr;

	for (addr = image.start; addr < image.end; addr = map->end) {
		map = ptdump_find(&dump, addr);
		ASSERT_NE(NULL, map);
		ASSERT_STREQ(AREA_KERNEL, map->area);
		ASSERT_EQ(image_to_phys(map->start), map->phys);
	}
}

TEST(image_is_where_iomem_says)
{
	struct range loaded = iomem_kernel();

	ksft_print_msg("%#lx-%#lx is at %#lx\n", image.start, image.end, image_phys);
	EXPECT_EQ(image_to_phys(symbol("_stext")), loaded.start);
	EXPECT_LT(loaded.start, loaded.end);
	EXPECT_LE(loaded.end, image_to_phys(image.end));
}

TEST(image_is_outside_the_linear_map)
{
	const struct mapping *alias = linear_find(image_phys);
	unsigned long addr;

	ASSERT_NE(NULL, alias);
	addr = alias->start + image_phys - alias->phys;
	ksft_print_msg("the linear map has that memory at %#lx\n", addr);
	EXPECT_TRUE(addr >= image.end || addr + image.end - image.start <= image.start);
}

/* The linear map has all memory, without gaps, at one distance from its physical address. */
TEST(linear_map_has_all_memory)
{
	char *text = read_file("/proc/iomem");
	const struct mapping *map, *first = NULL;
	unsigned long bytes = 0, phys;
	char *line, *rest = text;
	struct range ram;

	while ((line = strsep(&rest, "\n"))) {
		if (!iomem_line(line, "System RAM", &ram))
			continue;
		for (phys = ram.start; phys < ram.end; phys = linear_end(map)) {
			map = linear_find(phys);
			ASSERT_NE(NULL, map);
			if (!first)
				first = map;
			ASSERT_EQ(first->phys - first->start, map->phys - map->start);
		}
		bytes += ram.end - ram.start;
	}
	free(text);
	ksft_print_msg("System RAM: %lu MiB\n", bytes / MIB);
	EXPECT_LT(0UL, bytes);
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

TEST(image_is_not_executable_in_the_linear_map)
{
	EXPECT_FALSE(alias_has(image.start, image.end, false, true));
}

TEST(text_is_not_writable_in_the_linear_map)
{
	EXPECT_FALSE(alias_has(image.start, symbol("_etext"), true, false));
}

TEST(read_only_data_is_not_writable_in_the_linear_map)
{
	EXPECT_FALSE(alias_has(symbol("__start_rodata"), symbol("_data"), true, false));
}

/*
 * Whether the linear map of @start to @end consists of large pages. One page
 * may be split since boot: free_initmem() makes the init sections of the image
 * writable, and __init_end, where other data follows, is within a page.
 */
static bool is_large(unsigned long start, unsigned long end)
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
	return good && large;
}

TEST(image_is_in_large_pages_of_the_linear_map)
{
	EXPECT_TRUE(is_large(image_phys & -LARGE, image_end));
}

/* Below the image is only the firmware, so look above it. */
TEST(what_follows_the_image_is_in_large_pages)
{
	EXPECT_TRUE(is_large(image_end, image_end + 8 * LARGE));
}

TEST(all_memory_is_in_large_pages)
{
	EXPECT_TRUE(is_large(0, -1UL));
}

/* Whether every byte of the range can reach every byte of the image, and back. */
static bool in_reach(const struct range *range)
{
	return range->start < range->end && image.end - range->start <= REACH &&
	       (range->end <= image.start || range->end - image.start <= REACH);
}

/* The window in which a type is allocated. The range is empty if there is none. */
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

FIXTURE(window) {
	struct range range;
};

/* For each window, a section of a module or a BPF program that is allocated in it. */
FIXTURE_VARIANT(window) {
	const char *type, *section;
};

FIXTURE_VARIANT_ADD(window, module_text) {
	.type = "module-text",
	.section = ".text",
};

FIXTURE_VARIANT_ADD(window, module_data) {
	.type = "module-data",
	.section = ".data",
};

FIXTURE_VARIANT_ADD(window, bpf) {
	.type = "bpf",
};

FIXTURE_SETUP(window)
{
	self->range = window_of(variant->type);
	ksft_print_msg("window of %s: %#lx-%#lx\n", variant->type, self->range.start,
		       self->range.end);
}

FIXTURE_TEARDOWN(window)
{
}

TEST_F_TIMEOUT(window, is_within_2_gib_of_the_image, LIMIT)
{
	EXPECT_TRUE(in_reach(&self->range));
}

/* One byte is enough: vmalloc never leaves the range that it was given. */
TEST_F_TIMEOUT(window, has_what_is_loaded, LIMIT)
{
	unsigned long addr;

	if (variant->section) {
		module_load(TARGET_KO);
		addr = module_section(TARGET_MODULE, variant->section);
		module_unload(TARGET_MODULE);
	} else {
		addr = bpf_address(bpf_load(TARGET_ANSWER));
	}
	ksft_print_msg("it is at %#lx, %lu MiB from the image's end\n", addr,
		       (image.end - addr) / MIB);
	EXPECT_LE(self->range.start, addr);
	EXPECT_GT(self->range.end, addr);
	EXPECT_TRUE(in_reach(&(struct range){ addr, addr + 1 }));
}

int main(int argc, char **argv)
{
	const struct mapping *first;

	prepare();
	need_ptdump();
	need(STATS);
	need(TARGET_KO);

	/* Read the page tables before anything is loaded, for all tests. */
	dump = ptdump_read();
	image = (struct range){ symbol("_start"), symbol("_end") };
	first = ptdump_find(&dump, image.start);
	if (!first)
		die("the image is not mapped");
	image_phys = first->phys + image.start - first->start;
	image_end = (image_to_phys(image.end) + LARGE - 1) & -LARGE;
	return test_harness_run(argc, argv);
}
