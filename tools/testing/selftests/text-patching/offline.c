// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text is written while a CPU is offline. When the CPU is online again, it must
 * execute the new text.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

#define HITS	10UL
#define LIMIT	120	/* seconds */

/* Each CPU calls this function on its way online, before it counts as online. */
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

/* Probe the first instruction of it that can be probed and is not the tracer's. */
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

FIXTURE(cpu) {
};

FIXTURE_SETUP(cpu)
{
	must_set_online(true);
}

FIXTURE_TEARDOWN(cpu)
{
	must_set_online(true);
}

TEST_F_TIMEOUT(cpu, starts_when_a_probe_on_its_way_is_removed, LIMIT)
{
	int fd = probe_starting();

	/* The CPU has now executed the ebreak. */
	must_set_online(false);
	must_set_online(true);

	must_set_online(false);
	close(fd);
	ASSERT_EQ(0, set_online(true));
	EXPECT_EQ(1, read_long(online_file));
}

TEST_F_TIMEOUT(cpu, starts_when_a_probe_on_its_way_is_set, LIMIT)
{
	int fd;

	must_set_online(false);
	fd = probe_starting();
	ASSERT_EQ(0, set_online(true));
	EXPECT_EQ(1, read_long(online_file));
	close(fd);
}

static unsigned long call_probed(int fd)
{
	unsigned long before = fd < 0 ? 0 : kprobe_hits(fd);
	size_t n;

	pin_to_cpu(cpu);
	for (n = 0; n < HITS; n++)
		syscall(SYS_getppid);
	return (fd < 0 ? 0 : kprobe_hits(fd)) - before;
}

TEST_F_TIMEOUT(cpu, hits_a_probe_that_is_set_meanwhile, LIMIT)
{
	int fd;

	call_probed(-1);
	must_set_online(false);
	fd = kprobe_attach(PROBED_SYSCALL);
	must_set_online(true);
	EXPECT_EQ(HITS, call_probed(fd));
	close(fd);
}

TEST_F_TIMEOUT(cpu, does_not_hit_a_probe_that_is_removed_meanwhile, LIMIT)
{
	int fd = kprobe_attach(PROBED_SYSCALL);

	ASSERT_EQ(HITS, call_probed(fd));
	must_set_online(false);
	close(fd);
	must_set_online(true);
	/* If the CPU still executed the ebreak, the kernel would crash here. */
	call_probed(-1);
}

TEST_F_TIMEOUT(cpu, runs_a_module_that_takes_the_place_of_another, LIMIT)
{
	if (!have_modules())
		SKIP(return, "the kernel has no loadable modules");
	module_load(TARGET_KO);
	pin_to_cpu(cpu);
	ASSERT_EQ(TARGET_ANSWER, target_answer());
	must_set_online(false);
	module_unload(TARGET_MODULE);
	module_load("modules/kprobe_slots.ko");
	module_load(TARGET_KO);
	must_set_online(true);
	pin_to_cpu(cpu);
	EXPECT_EQ(TARGET_ANSWER, target_answer());
	module_unload(TARGET_MODULE);
	module_unload("kprobe_slots");
}

int main(int argc, char **argv)
{
	prepare();
	cpu = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	snprintf(online_file, sizeof(online_file), "/sys/devices/system/cpu/cpu%d/online", cpu);
	need(online_file);
	if (have_modules())
		need(TARGET_KO);
	return test_harness_run(argc, argv);
}
