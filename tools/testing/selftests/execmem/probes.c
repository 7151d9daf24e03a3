// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kprobes that come and go while other harts execute what they probe, and probes
 * side by side.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define CYCLES	100
#define HITS	10
#define CALLERS	3

/* The beginning of a function, instruction by instruction */
#define BYTES	64

static int try_probe(unsigned long offset, int *fd)
{
	*fd = kprobe_open(PROBED_SYSCALL, offset);
	return *fd < 0 ? -*fd : 0;
}

/*
 * A probe hides the instruction that it is on, but not where the next one begins:
 * whether an instruction can be probed does not depend on other probes.
 */
static void test_neighbours(void)
{
	int fds[BYTES / 2], alone[BYTES / 2];
	size_t i, probes = 0, inside = 0, differ = 0;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		alone[i] = try_probe(2 * i, &fds[i]);
		probes += !alone[i];
		inside += alone[i] == EILSEQ;
		if (!alone[i])
			close(fds[i]);
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		int err = try_probe(2 * i, &fds[i]);

		if (err != alone[i]) {
			ksft_print_msg("at +%zu: errno %d, and %d without others\n", 2 * i, err,
				       alone[i]);
			differ++;
		}
	}
	if (syscall(SYS_getppid) != getppid())
		differ++;
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	ksft_print_msg("%zu of %d bytes begin an instruction to probe, %zu are within one\n",
		       probes, BYTES, inside);
	ksft_test_result(probes > 1 && inside && !differ,
			 "every instruction of a function is probed at once\n");
}

/* Ends when its parent says so, or with an error when a call does */
static void call_forever(pid_t parent)
{
	while (syscall(SYS_getppid) == parent)
		;
	_exit(1);
}

static void test_callers(void)
{
	pid_t callers[CALLERS], parent = getpid();
	unsigned long hits = 0;
	size_t i, killed = 0;
	int status, fd, n;

	for (i = 0; i < CALLERS; i++) {
		callers[i] = fork();
		if (!callers[i])
			call_forever(parent);
		if (callers[i] < 0)
			die("fork: %s", strerror(errno));
	}
	for (n = 0; n < CYCLES; n++) {
		fd = kprobe_attach(PROBED_SYSCALL);
		for (i = 0; i < HITS; i++)
			syscall(SYS_getppid);
		hits += kprobe_hits(fd);
		close(fd);
	}
	for (i = 0; i < CALLERS; i++) {
		kill(callers[i], SIGTERM);
		if (waitpid(callers[i], &status, 0) != callers[i])
			die("waitpid: %s", strerror(errno));
		killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
	}
	ksft_test_result(hits == CYCLES * HITS && killed == CALLERS,
			 "%d times, a probe is hit at once, and others who call it do not notice\n",
			 CYCLES);
}

/*
 * A probe of text that is gone stays until who has it lets go of it. Other text may be
 * there by then, with instructions that begin elsewhere.
 */
static void test_gone(void)
{
	unsigned long addr;
	int gone, fd;

	module_load("modules/kprobe_short.ko");
	addr = symbol_address("kprobe_short_text");
	gone = kprobe_attach("kprobe_short:kprobe_short_text");
	module_unload("kprobe_short");

	module_load("modules/kprobe_long.ko");
	if (symbol_address("kprobe_long_text") != addr)
		die("kprobe_long did not take the place of kprobe_short");
	fd = kprobe_open("kprobe_long:kprobe_long_text", 4);
	ksft_test_result(fd >= 0, "a probe whose text is gone says nothing of what is there now\n");
	if (fd >= 0)
		close(fd);
	fd = kprobe_open("kprobe_long:kprobe_long_text", 2);
	ksft_test_result(fd == -EILSEQ, "nor is an instruction probed within\n");
	if (fd >= 0)
		close(fd);
	close(gone);
	module_unload("kprobe_long");
}

int main(void)
{
	setlinebuf(stdout);
	ksft_print_header();
	ksft_set_plan(4);

	/* A probe that goes waits for RCU several times, with all harts busy */
	must_write("/sys/kernel/rcu_expedited", "1");
	test_neighbours();
	test_callers();
	test_gone();
	must_write("/sys/kernel/rcu_expedited", "0");

	ksft_finished();
}
