// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text that is written while a CPU is offline: when the CPU is back, it executes what
 * is there now.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define HITS	10

/* Every CPU that comes online calls it before it is online. */
#define STARTING	"riscv_timer_starting_cpu"

static char online_file[64];
static int cpu;

static int set_online(bool on)
{
	int err = try_write(online_file, on ? "1" : "0");

	if (err)
		ksft_print_msg("CPU %d, %s: %s\n", cpu, on ? "online" : "offline", strerror(err));
	return err;
}

static void must_set_online(bool on)
{
	if (set_online(on))
		die("CPU %d does not go %s", cpu, on ? "online" : "offline");
}

/* A probe on the first instruction that takes one and that is no tracer's. */
static int probe_starting(void)
{
	unsigned long offset;
	int fd = -ENOENT;

	for (offset = 8; fd < 0 && offset < 64; offset += 2)
		fd = kprobe_open(STARTING, offset);
	if (fd < 0)
		die("kprobe in " STARTING ": %s", strerror(-fd));
	return fd;
}

static void test_starting(void)
{
	int fd = probe_starting();
	bool good;

	/* The CPU has executed the ebreak. */
	must_set_online(false);
	must_set_online(true);

	must_set_online(false);
	close(fd);
	good = !set_online(true) && read_long(online_file) == 1;
	ksft_test_result(good, "a probe that it meets before it is online is removed meanwhile\n");
	if (!good)
		exit(1);

	must_set_online(false);
	fd = probe_starting();
	good = !set_online(true) && read_long(online_file) == 1;
	ksft_test_result(good, "such a probe is set meanwhile\n");
	if (!good)
		exit(1);
	close(fd);
}

static unsigned long call_probed(int fd)
{
	unsigned long before = fd < 0 ? 0 : kprobe_hits(fd);
	int n;

	pin_to_cpu(cpu);
	for (n = 0; n < HITS; n++)
		syscall(SYS_getppid);
	return (fd < 0 ? 0 : kprobe_hits(fd)) - before;
}

static void test_probe(void)
{
	unsigned long hits;
	int fd;

	call_probed(-1);
	must_set_online(false);
	fd = kprobe_attach(PROBED_SYSCALL);
	must_set_online(true);
	hits = call_probed(fd);
	ksft_test_result(hits == HITS, "a probe that is set meanwhile is hit\n");

	must_set_online(false);
	close(fd);
	must_set_online(true);
	call_probed(-1);
	/* Had it met the ebreak, it would not be here. */
	ksft_test_result_pass("a probe that is removed meanwhile is not\n");
}

static void test_module(void)
{
	const char *name = "a module takes the place of another meanwhile";

	if (!have_modules()) {
		ksft_test_result_skip("%s\n", name);
		return;
	}
	module_load(TARGET_KO);
	pin_to_cpu(cpu);
	if (target_answer() != TARGET_ANSWER)
		die("the module gives a wrong answer");
	must_set_online(false);
	module_unload(TARGET_MODULE);
	module_load("modules/kprobe_slots.ko");
	module_load(TARGET_KO);
	must_set_online(true);
	pin_to_cpu(cpu);
	ksft_test_result(target_answer() == TARGET_ANSWER, "%s\n", name);
	module_unload(TARGET_MODULE);
	module_unload("kprobe_slots");
}

int main(void)
{
	begin();

	cpu = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	snprintf(online_file, sizeof(online_file), "/sys/devices/system/cpu/cpu%d/online", cpu);
	if (cpu < 1 || access(online_file, W_OK))
		ksft_exit_skip("no CPU can be taken offline\n");

	ksft_set_plan(5);
	test_starting();
	test_probe();
	test_module();

	ksft_finished();
}
