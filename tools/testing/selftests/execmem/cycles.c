// SPDX-License-Identifier: GPL-2.0-only
/*
 * cycles [COUNT]: load and unload many times. Nothing is left behind: no
 * executable memory, no area in /proc/vmallocinfo, no other memory.
 *
 * A small loss of memory shows only after many cycles.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"
#include "memory.h"

#define CYCLES		1000U
#define LIMIT		600	/* seconds */

/* Cycles that fill caches, slot pages and page tables, which the kernel keeps. */
#define WARM_UP		100U

/*
 * The limit of free memory, in pages, that may be missing after CYCLES. Freed
 * areas are purged lazily. Until then, each keeps its descriptor (up to three
 * of 72 bytes for each cycle, some 50 pages) and its addresses, which need new
 * page tables (one page for each 2 MiB, some 40). A loss of one page in each
 * cycle would be 1,000 pages.
 */
#define MAX_DRIFT	250

static void cycle_module(void)
{
	module_load(TARGET_KO);
	if (target_answer() != TARGET_ANSWER)
		die("the module's text returned a wrong value");
	module_unload(TARGET_MODULE);
}

static void cycle_kprobe(void)
{
	int fd = kprobe_attach(PROBED_SYSCALL);

	syscall(SYS_getppid);
	if (kprobe_hits(fd) != 1)
		die("the kprobe was not hit");
	close(fd);
}

static void cycle_bpf(void)
{
	int fd = bpf_load(TARGET_ANSWER);

	if (bpf_run(fd) != TARGET_ANSWER)
		die("the BPF program returned a wrong value");
	close(fd);
}

static unsigned int cycles = CYCLES;

FIXTURE(users) {
	struct stats stats;
	struct usage usage;
	long free;
};

FIXTURE_VARIANT(users) {
	void (*cycle)(void);
};

FIXTURE_VARIANT_ADD(users, module) {
	.cycle = cycle_module,
};

FIXTURE_VARIANT_ADD(users, kprobe) {
	.cycle = cycle_kprobe,
};

FIXTURE_VARIANT_ADD(users, bpf) {
	.cycle = cycle_bpf,
};

FIXTURE_SETUP(users)
{
	unsigned int i;

	for (i = 0; i < WARM_UP && i < cycles; i++)
		variant->cycle();
	self->stats = stats_at_rest("total");
	self->usage = usage_read();
	self->free = free_pages();
}

FIXTURE_TEARDOWN(users)
{
	usage_free(&self->usage);
}

TEST_F_TIMEOUT(users, nothing_is_left_behind, LIMIT)
{
	struct usage now;
	unsigned int i, second;
	long drift;
	bool back;

	for (i = 0; i < cycles; i++)
		variant->cycle();

	/* The pieces of the cache do not appear in /proc/vmallocinfo. */
	EXPECT_TRUE(stats_settle("total", &self->stats));
	for (second = 0; second < SETTLE_LIMIT; second++) {
		now = usage_read();
		drift = self->free - free_pages();
		back = usage_is_back(&self->usage, &now, second == SETTLE_LIMIT - 1);
		usage_free(&now);
		if (back && (drift <= MAX_DRIFT || cycles < CYCLES))
			break;
		sleep(1);
	}
	EXPECT_TRUE(back);
	ksft_print_msg("%u cycles, %ld pages fewer are free\n", cycles, drift);
	/* With fewer cycles, the result means nothing. */
	EXPECT_TRUE(cycles < CYCLES || drift <= MAX_DRIFT);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		cycles = strtoul(argv[1], NULL, 0);
	prepare();
	need(STATS);
	need(TARGET_KO);
	return test_harness_run(argc, argv);
}
