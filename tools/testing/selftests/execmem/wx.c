// SPDX-License-Identifier: GPL-2.0-only
/*
 * No page of the kernel's address space is both writable and executable. What the
 * cache of read-only memory has is not writable at any other address, either.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define CYCLES	20

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
 * The memory of an executable mapping, if it is writable through the direct map. Where
 * vmalloc maps small pages, the dump gives the address of the first one, and the
 * others may be anywhere: KUnit looks at all of them.
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

/* Of one dump of the kernel's page tables, how many mappings are not as they should be */
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
		/* Pages of kprobe slots that are not from the cache have such an alias */
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

static void check_no_wx(const char *when)
{
	ksft_test_result(!count_wx(have_rox()), "no page is writable and executable %s\n", when);
}

static void load_all(int *probe, int *prog)
{
	if (have_modules())
		module_load(TARGET_KO);
	*probe = kprobe_attach(PROBED_SYSCALL);
	*prog = bpf_load(TARGET_ANSWER);
}

static void unload_all(int probe, int prog)
{
	close(prog);
	close(probe);
	if (have_modules())
		module_unload(TARGET_MODULE);
}

/* Dump after dump, while a child loads and unloads */
static void test_meanwhile(void)
{
	unsigned int dumps = 0;
	bool rox = have_rox();
	size_t found = 0;
	int status;
	pid_t child;

	child = fork();
	if (!child) {
		int i, probe, prog;

		for (i = 0; i < CYCLES; i++) {
			load_all(&probe, &prog);
			unload_all(probe, prog);
		}
		_exit(0);
	}
	if (child < 0)
		die("fork: %s", strerror(errno));
	do {
		found += count_wx(rox);
		dumps++;
	} while (!waitpid(child, &status, WNOHANG));
	ksft_print_msg("%u dumps\n", dumps);
	ksft_test_result(!status && !found,
			 "no page ever is while they are loaded and unloaded %d times\n", CYCLES);
}

int main(void)
{
	struct ptdump dump;
	int probe, prog;

	begin();
	need_ptdump();
	if (have_modules())
		need(TARGET_KO);
	ksft_set_plan(5);

	/* A dump that misses what is surely there would hide the rest too. */
	dump = ptdump_read();
	ksft_test_result(has(&dump, AREA_KERNEL, false, true) &&
			 has(&dump, AREA_KERNEL, true, false) &&
			 has(&dump, AREA_LINEAR, true, false) &&
			 has(&dump, AREA_VMALLOC, true, false),
			 "the dump shows kernel text and data, the direct map and vmalloc\n");
	ptdump_free(&dump);

	check_no_wx("before anything is loaded");
	load_all(&probe, &prog);
	check_no_wx("while whatever executes is there");
	unload_all(probe, prog);
	check_no_wx("after they are gone");
	test_meanwhile();

	ksft_finished();
}
