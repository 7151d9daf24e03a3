// SPDX-License-Identifier: GPL-2.0-only
/*
 * No page of the kernel's address space is both writable and executable. The
 * memory of the cache is not writable at any other address either.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

#define CYCLES	20
#define LIMIT		300	/* seconds */

static bool has(const struct ptdump *dump, const char *area, bool w, bool x)
{
	size_t i;

	for (i = 0; i < dump->nr; i++) {
		const struct mapping *map = &dump->maps[i];

		if (!strcmp(map->area, area) && map->w == w && map->x == x)
			return true;
	}
	return false;
}

/*
 * The direct map of an executable mapping's memory, if it is writable there.
 * Where vmalloc maps small pages, the dump has only the physical address of
 * the first page, and the others may be anywhere. KUnit tests all of them.
 */
static const struct mapping *writable_alias(const struct ptdump *dump, const struct mapping *exec)
{
	bool scattered = !exec->large && strcmp(exec->area, AREA_KERNEL);
	unsigned long phys_end = exec->phys + (scattered ? PAGE_SIZE : exec->end - exec->start);
	size_t i;

	for (i = 0; i < dump->nr; i++) {
		const struct mapping *map = &dump->maps[i];

		if (!strcmp(map->area, AREA_LINEAR) && map->w && map->phys < phys_end &&
		    map->phys + (map->end - map->start) > exec->phys)
			return map;
	}
	return NULL;
}

/* Read a dump of the kernel's page tables; return the number of wrong mappings. */
static size_t count_wx(bool rox)
{
	struct ptdump dump = ptdump_read();
	size_t i, found = 0;

	for (i = 0; i < dump.nr; i++) {
		const struct mapping *map = &dump.maps[i], *alias;

		if (!map->x)
			continue;
		if (map->w) {
			ksft_print_msg("%#lx-%#lx in \"%s\" is writable and executable\n",
				       map->start, map->end, map->area);
			found++;
		}
		/* Without the cache, pages of kprobe slots do have such an alias. */
		alias = rox ? writable_alias(&dump, map) : NULL;
		if (alias) {
			ksft_print_msg("%#lx-%#lx in \"%s\" is writable at %#lx-%#lx\n",
				       map->start, map->end, map->area, alias->start, alias->end);
			found++;
		}
	}
	ptdump_free(&dump);
	return found;
}

FIXTURE(kernel) {
	struct ptdump dump;
};

FIXTURE_SETUP(kernel)
{
	self->dump = ptdump_read();
}

FIXTURE_TEARDOWN(kernel)
{
	ptdump_free(&self->dump);
}

/* The dump must have the areas that surely exist. Otherwise it could hide a fault. */
TEST_F_TIMEOUT(kernel, dump_has_all_areas, LIMIT)
{
	EXPECT_TRUE(has(&self->dump, AREA_KERNEL, false, true));
	EXPECT_TRUE(has(&self->dump, AREA_KERNEL, true, false));
	EXPECT_TRUE(has(&self->dump, AREA_LINEAR, true, false));
	EXPECT_TRUE(has(&self->dump, AREA_VMALLOC, true, false));
}

TEST_F_TIMEOUT(kernel, no_page_is_writable_and_executable, LIMIT)
{
	EXPECT_EQ(0UL, count_wx(have_rox()));
}

struct loaded {
	int probe, prog;
};

static void load_all(struct loaded *loaded)
{
	if (have_modules())
		module_load(TARGET_KO);
	loaded->probe = kprobe_attach(PROBED_SYSCALL);
	loaded->prog = bpf_load(TARGET_ANSWER);
}

static void unload_all(struct loaded *loaded)
{
	if (loaded->prog < 0)
		return;
	close(loaded->prog);
	close(loaded->probe);
	if (have_modules())
		module_unload(TARGET_MODULE);
	loaded->prog = -1;
}

FIXTURE(users) {
	struct loaded loaded;
};

FIXTURE_SETUP(users)
{
	load_all(&self->loaded);
}

FIXTURE_TEARDOWN(users)
{
	unload_all(&self->loaded);
}

TEST_F_TIMEOUT(users, no_page_is_writable_and_executable, LIMIT)
{
	EXPECT_EQ(0UL, count_wx(have_rox()));
}

TEST_F_TIMEOUT(users, no_page_is_after_they_are_gone, LIMIT)
{
	unload_all(&self->loaded);
	EXPECT_EQ(0UL, count_wx(have_rox()));
}

/* Read dump after dump while a child loads and unloads. */
TEST_F_TIMEOUT(users, no_page_ever_is_while_they_come_and_go, LIMIT)
{
	unsigned int dumps = 0;
	bool rox = have_rox();
	size_t found = 0;
	int status;
	pid_t child;

	unload_all(&self->loaded);
	child = fork();
	if (!child) {
		int i;

		for (i = 0; i < CYCLES; i++) {
			load_all(&self->loaded);
			unload_all(&self->loaded);
		}
		_exit(0);
	}
	ASSERT_LT(0, child);
	do {
		found += count_wx(rox);
		dumps++;
	} while (!waitpid(child, &status, WNOHANG));
	ksft_print_msg("%u dumps\n", dumps);
	EXPECT_EQ(0, status);
	EXPECT_EQ(0UL, found);
}

int main(int argc, char **argv)
{
	prepare();
	need_ptdump();
	if (have_modules())
		need(TARGET_KO);
	return test_harness_run(argc, argv);
}
