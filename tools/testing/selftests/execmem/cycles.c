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

#include "kselftest.h"
#include "common.h"
#include "memory.h"

#define CYCLES		1000U

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

static void test_cycles(const char *what, void (*cycle)(void), unsigned int cycles)
{
	struct usage before, now;
	struct stats stats;
	long free_before, drift;
	unsigned int i, second;
	bool back;

	for (i = 0; i < WARM_UP && i < cycles; i++)
		cycle();
	stats = stats_at_rest("total");
	before = usage_read();
	free_before = free_pages();

	for (i = 0; i < cycles; i++)
		cycle();

	/* What the cache hands out is not to be seen in /proc/vmallocinfo. */
	ksft_test_result(stats_settle("total", &stats),
			 "%u %s cycles leave no executable memory\n", cycles, what);
	for (second = 0; second < SETTLE_LIMIT; second++) {
		now = usage_read();
		drift = free_before - free_pages();
		back = usage_is_back(&before, &now, second == SETTLE_LIMIT - 1);
		usage_free(&now);
		if (back && (drift <= MAX_DRIFT || cycles < CYCLES))
			break;
		sleep(1);
	}
	ksft_test_result(back, "%u %s cycles leave no vmalloc area\n", cycles, what);
	ksft_print_msg("%ld pages fewer are free\n", drift);
	if (cycles < CYCLES)
		ksft_test_result_skip("memory after %u %s cycles\n", cycles, what);
	else
		ksft_test_result(drift <= MAX_DRIFT, "%u %s cycles leave no memory\n",
				 cycles, what);
	usage_free(&before);
}

int main(int argc, char **argv)
{
	unsigned int cycles = argc > 1 ? strtoul(argv[1], NULL, 0) : CYCLES;

	begin();
	need(STATS);
	need(TARGET_KO);
	ksft_set_plan(9);

	test_cycles("module load and unload", cycle_module, cycles);
	test_cycles("kprobe attach and detach", cycle_kprobe, cycles);
	test_cycles("BPF load and unload", cycle_bpf, cycles);

	ksft_finished();
}
