// SPDX-License-Identifier: GPL-2.0-only
/*
 * cycles [COUNT]: loading and unloading over and over leaves nothing behind,
 * neither executable memory, nor an area in /proc/vmallocinfo, nor other memory.
 *
 * Losing memory shows only in many cycles.
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

/* Fills the caches, slot pages and page tables that are kept on purpose. */
#define WARM_UP		100U

/*
 * Pages of free memory that may be gone after CYCLES. Freed areas are purged
 * lazily, so until then each keeps its descriptor (up to three of 72 bytes a
 * cycle: some 50 pages) and its addresses, which need new page tables (one page
 * for each 2 MiB: some 40). Losing one page a cycle loses 1,000.
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

	/* What the cache hands out is not to be seen in /proc/vmallocinfo. */
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
	/* Fewer cycles do not tell. */
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
