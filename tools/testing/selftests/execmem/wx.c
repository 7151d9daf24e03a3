// SPDX-License-Identifier: GPL-2.0-only
/* No page of the kernel's address space is both writable and executable. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

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

static void check_no_wx(const char *when)
{
	struct ptdump dump = ptdump_read();
	size_t i, found = 0;

	for (i = 0; i < dump.nr; i++) {
		const struct mapping *map = &dump.maps[i];

		if (map->w && map->x) {
			ksft_print_msg("%#lx-%#lx in \"%s\" is writable and executable\n",
				       map->start, map->end, map->area);
			found++;
		}
	}
	ksft_test_result(!found, "no page is writable and executable %s\n", when);
	ptdump_free(&dump);
}

int main(void)
{
	struct ptdump dump;
	int probe, prog;

	setlinebuf(stdout);
	ksft_print_header();
	ksft_set_plan(4);

	/* A dump that misses what is surely there would hide the rest too. */
	dump = ptdump_read();
	ksft_test_result(has(&dump, AREA_KERNEL, false, true) &&
			 has(&dump, AREA_KERNEL, true, false) &&
			 has(&dump, AREA_LINEAR, true, false) &&
			 has(&dump, AREA_VMALLOC, true, false),
			 "the dump shows kernel text and data, the direct map and vmalloc\n");
	ptdump_free(&dump);

	check_no_wx("before anything is loaded");
	if (have_modules())
		module_load(TARGET_KO);
	probe = kprobe_attach(PROBED_SYSCALL);
	prog = bpf_load(TARGET_ANSWER);
	check_no_wx("while whatever executes is there");
	close(prog);
	close(probe);
	if (have_modules())
		module_unload(TARGET_MODULE);
	check_no_wx("after they are gone");

	ksft_finished();
}
