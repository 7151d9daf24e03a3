// SPDX-License-Identifier: GPL-2.0-only
/*
 * The executable memory of each user is in the right range, has the right
 * protection, and works.
 */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

#define HITS	10UL
/* Seconds. The page-table dump is slow if an emulator runs many harts. */
#define LIMIT	300

static bool is_mapped(const char *what, unsigned long addr, const char *area, bool w, bool x)
{
	struct ptdump dump = ptdump_read();
	const struct mapping *map = ptdump_find(&dump, addr);
	bool good = addr && map && !strcmp(map->area, area) && map->r && map->w == w && map->x == x;

	if (!good)
		ksft_print_msg("%s at %#lx is %c%c%c in \"%s\"\n", what, addr,
			       map && map->r ? 'R' : '-', map && map->w ? 'W' : '-',
			       map && map->x ? 'X' : '-', map ? map->area : "nothing");
	ptdump_free(&dump);
	return good;
}

static bool is_unmapped(unsigned long addr)
{
	struct ptdump dump = ptdump_read();
	bool unmapped = !ptdump_find(&dump, addr);

	ptdump_free(&dump);
	return unmapped;
}

/* The area of text. Text of the cache is in a block, or behind the kernel's text. */
static const char *text_area(unsigned long addr, const char *area)
{
	if (in_text_tail(addr))
		return AREA_KERNEL;
	return have_rox() ? AREA_MODULES : area;
}

FIXTURE(module) {
	unsigned long text, data;
	bool loaded;
};

FIXTURE_SETUP(module)
{
	if (!have_modules())
		SKIP(_exit(255), "the kernel has no loadable modules");
	module_load(TARGET_KO);
	self->loaded = true;
	self->text = module_section(TARGET_MODULE, ".text");
	self->data = module_section(TARGET_MODULE, ".data");
}

FIXTURE_TEARDOWN(module)
{
	if (self->loaded)
		module_unload(TARGET_MODULE);
}

TEST_F_TIMEOUT(module, text_is_executable, LIMIT)
{
	EXPECT_TRUE(is_mapped("module text", self->text, text_area(self->text, AREA_MODULES),
			      false, true));
}

TEST_F_TIMEOUT(module, read_only_data_is_read_only, LIMIT)
{
	EXPECT_TRUE(is_mapped("read-only data", module_section(TARGET_MODULE, ".rodata"),
			      AREA_MODULES, false, false));
}

TEST_F_TIMEOUT(module, data_is_writable, LIMIT)
{
	EXPECT_TRUE(is_mapped("module data", self->data, AREA_MODULES, true, false));
}

TEST_F_TIMEOUT(module, text_and_data_are_separate, LIMIT)
{
	unsigned long text = vmalloc_area(self->text), data = vmalloc_area(self->data);

	EXPECT_TRUE(text || in_text_tail(self->text));
	EXPECT_NE(0UL, data);
	EXPECT_NE(text, data);
}

TEST_F_TIMEOUT(module, text_finds_its_data, LIMIT)
{
	EXPECT_EQ(TARGET_ANSWER, target_answer());
}

TEST_F_TIMEOUT(module, kprobe_is_hit, LIMIT)
{
	int fd = kprobe_attach(TARGET_FUNCTION);
	size_t i;

	for (i = 0; i < HITS; i++)
		target_answer();
	EXPECT_EQ(HITS, kprobe_hits(fd));
	close(fd);
}

/* A freed piece of the cache has its old content again. Other memory is unmapped. */
TEST_F_TIMEOUT(module, memory_is_freed, LIMIT)
{
	module_unload(TARGET_MODULE);
	self->loaded = false;
	EXPECT_TRUE(have_rox() ? is_mapped("freed text", self->text,
					   text_area(self->text, AREA_MODULES), false, true)
			       : is_unmapped(self->text));
	EXPECT_TRUE(is_unmapped(self->data));
}

FIXTURE(kprobe) {
	int fd;
};

FIXTURE_SETUP(kprobe)
{
	self->fd = kprobe_attach(PROBED_SYSCALL);
}

FIXTURE_TEARDOWN(kprobe)
{
	close(self->fd);
}

TEST_F_TIMEOUT(kprobe, slot_is_executable, LIMIT)
{
	unsigned long slot = symbol_address("kprobe_insn_page");

	EXPECT_TRUE(is_mapped("kprobe slot", slot, text_area(slot, AREA_VMALLOC), false, true));
}

TEST_F_TIMEOUT(kprobe, is_hit, LIMIT)
{
	size_t i;

	for (i = 0; i < HITS; i++)
		syscall(SYS_getppid);
	EXPECT_EQ(HITS, kprobe_hits(self->fd));
}

FIXTURE(bpf) {
	int fd;
	unsigned long image;
};

FIXTURE_SETUP(bpf)
{
	char symbol[64];

	self->fd = bpf_load(TARGET_ANSWER);
	bpf_symbol(self->fd, symbol, sizeof(symbol));
	self->image = symbol_address(symbol);
}

FIXTURE_TEARDOWN(bpf)
{
	close(self->fd);
}

TEST_F_TIMEOUT(bpf, image_is_executable, LIMIT)
{
	EXPECT_TRUE(is_mapped("BPF image", self->image, text_area(self->image, AREA_MODULES),
			      false, true));
}

TEST_F_TIMEOUT(bpf, image_is_in_window, LIMIT)
{
	EXPECT_GE(self->image, bpf_window_start());
	EXPECT_LT(self->image, bpf_window_end());
}

TEST_F_TIMEOUT(bpf, program_calls_the_kernel, LIMIT)
{
	EXPECT_EQ(TARGET_ANSWER, (int)bpf_run(self->fd));
}

/* When no room is left behind the kernel's text, the cache uses a block. */
TEST_F_TIMEOUT(bpf, further_images_are_in_a_block, LIMIT)
{
	const struct mapping *map;
	unsigned long image;
	struct ptdump dump;
	char *cmdline = read_file("/proc/cmdline");
	bool large = !strstr(cmdline, "nohugevmalloc");
	int fds[16];
	size_t nr = 0;

	free(cmdline);
	if (!have_rox())
		SKIP(return, "text is not from the cache");
	do {
		/* All programs differ, so that they have different names. */
		fds[nr] = bpf_load_large(nr);
		ASSERT_GE(fds[nr], 0);
		image = bpf_address(fds[nr++]);
	} while (in_text_tail(image) && nr < ARRAY_SIZE(fds));

	dump = ptdump_read();
	map = ptdump_find(&dump, image);
	ASSERT_NE(NULL, map);
	ksft_print_msg("image %zu at %#lx is in %#lx-%#lx, \"%s\"\n", nr, image,
		       map->start, map->end, map->area);
	EXPECT_EQ(large, map->large);
	EXPECT_FALSE(in_text_tail(image));
	ptdump_free(&dump);
	while (nr)
		close(fds[--nr]);
}

int main(int argc, char **argv)
{
	prepare();
	need_ptdump();
	if (have_modules())
		need(TARGET_KO);
	return test_harness_run(argc, argv);
}
