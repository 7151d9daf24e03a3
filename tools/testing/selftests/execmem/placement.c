// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each user of executable memory lands in its range, with its protection, and
 * works from there.
 */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define HITS	10

static void check_mapping(const char *what, unsigned long addr, const char *area,
			  bool w, bool x)
{
	struct ptdump dump = ptdump_read();
	const struct mapping *map = ptdump_find(&dump, addr);
	bool good = addr && map && !strcmp(map->area, area) && map->r && map->w == w && map->x == x;

	if (!good)
		ksft_print_msg("%s at %#lx is %c%c%c in \"%s\"\n", what, addr,
			       map && map->r ? 'R' : '-', map && map->w ? 'W' : '-',
			       map && map->x ? 'X' : '-', map ? map->area : "nothing");
	ksft_test_result(good, "%s is R%c%c in %s\n", what, w ? 'W' : '-', x ? 'X' : '-', area);
	ptdump_free(&dump);
}

/* Where text is, if it is from the cache: in a block, or behind the kernel's text */
static const char *text_area(unsigned long addr, const char *area)
{
	if (in_text_tail(addr))
		return AREA_KERNEL;
	return have_rox() ? AREA_MODULES : area;
}

/* A freed piece of the cache is as it was */
static void check_freed_text(const char *what, unsigned long addr)
{
	struct ptdump dump = ptdump_read();
	const struct mapping *map = ptdump_find(&dump, addr);

	if (have_rox())
		ksft_test_result(map && map->r && !map->w && map->x,
				 "%s is still R-X afterwards\n", what);
	else
		ksft_test_result(!map, "%s is unmapped afterwards\n", what);
	ptdump_free(&dump);
}

static void check_unmapped(const char *what, unsigned long addr)
{
	struct ptdump dump = ptdump_read();

	ksft_test_result(!ptdump_find(&dump, addr), "%s is unmapped afterwards\n", what);
	ptdump_free(&dump);
}

static void test_module(void)
{
	unsigned long text, data;
	int fd, i;

	module_load(TARGET_KO);
	text = module_section(TARGET_MODULE, ".text");
	data = module_section(TARGET_MODULE, ".data");

	check_mapping("module text", text, text_area(text, AREA_MODULES), false, true);
	check_mapping("module read-only data", module_section(TARGET_MODULE, ".rodata"),
		      AREA_MODULES, false, false);
	check_mapping("module data", data, AREA_MODULES, true, false);
	ksft_test_result((vmalloc_area(text) || in_text_tail(text)) && vmalloc_area(data) &&
			 vmalloc_area(text) != vmalloc_area(data),
			 "module text and data are separate allocations\n");
	ksft_test_result(target_answer() == TARGET_ANSWER, "module text runs and finds its data\n");

	fd = kprobe_attach(TARGET_FUNCTION);
	for (i = 0; i < HITS; i++)
		target_answer();
	ksft_test_result(kprobe_hits(fd) == HITS, "kprobe on module text is hit\n");
	close(fd);

	module_unload(TARGET_MODULE);
	check_freed_text("module text", text);
	check_unmapped("module data", data);
}

static void test_kprobe(void)
{
	int fd = kprobe_attach(PROBED_SYSCALL);
	unsigned long slot;
	int i;

	slot = symbol_address("kprobe_insn_page");
	check_mapping("kprobe slot", slot, text_area(slot, AREA_VMALLOC), false, true);
	for (i = 0; i < HITS; i++)
		syscall(SYS_getppid);
	ksft_test_result(kprobe_hits(fd) == HITS, "kprobe on kernel text is hit\n");
	close(fd);
}

/* A block of the cache, which follows when nothing is left behind the kernel's text */
static void test_block(void)
{
	const struct mapping *map;
	unsigned long image;
	struct ptdump dump;
	char *cmdline = read_file("/proc/cmdline");
	bool large = !strstr(cmdline, "nohugevmalloc");
	int fds[16];
	size_t nr = 0;

	free(cmdline);
	do {
		/* Not twice the same, or they would have the same name */
		fds[nr] = bpf_load_large(nr);
		if (fds[nr] < 0)
			die("BPF load: %s", strerror(-fds[nr]));
		image = bpf_address(fds[nr++]);
	} while (in_text_tail(image) && nr < ARRAY_SIZE(fds));

	dump = ptdump_read();
	map = ptdump_find(&dump, image);
	if (map)
		ksft_print_msg("image %zu at %#lx is in %#lx-%#lx, \"%s\"\n", nr, image,
			       map->start, map->end, map->area);
	ksft_test_result(map && map->large == large && !in_text_tail(image),
			 "further text is in %s\n", large ? "a large page" : "small pages");
	ptdump_free(&dump);
	while (nr)
		close(fds[--nr]);
}

static void test_bpf(void)
{
	unsigned long start = bpf_window_start(), end = bpf_window_end();
	unsigned long image;
	char symbol[64];
	int fd;

	fd = bpf_load(TARGET_ANSWER);
	bpf_symbol(fd, symbol, sizeof(symbol));
	image = symbol_address(symbol);

	check_mapping("BPF image", image, text_area(image, AREA_MODULES), false, true);
	ksft_test_result(image >= start && image < end,
			 "BPF image is in the %lu MiB below %#lx\n", (end - start) >> 20, end);
	ksft_test_result(bpf_run(fd) == TARGET_ANSWER,
			 "BPF program calls the kernel and returns its value\n");
	close(fd);
}

int main(void)
{
	begin();
	need_ptdump();
	if (have_modules())
		need(TARGET_KO);
	ksft_set_plan((have_modules() ? 13 : 5) + have_rox());

	if (have_modules())
		test_module();
	test_kprobe();
	test_bpf();
	if (have_rox())
		test_block();

	ksft_finished();
}
