// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kretprobes learn that functions return: those of many tasks at once, of tasks
 * that are killed and of tasks that exit. Stack traces do not see that.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

#define LIMIT		300	/* seconds */
#define POLL_MS		10

#define PROBES		TRACING "kprobe_events"
#define PROFILE		TRACING "kprobe_profile"
#define GROUP		"returns"
#define ENABLE		TRACING "events/" GROUP "/enable"

/* Only this test has event counters, so nobody else calls it. It sleeps. */
#define SLEEPS		"eventfd_read"
#define SLEEPERS	100
#define EXITS		50

/* The longest stack that is probed */
#define FUNCTIONS	16

#define READ_SIZE	(16 * MIB)
#define READERS		2
#define TRACES		500

static void wait_a_moment(void)
{
	const struct timespec moment = { .tv_nsec = POLL_MS * 1000000L };

	nanosleep(&moment, NULL);
}

static void reset(void)
{
	if (!access(ENABLE, F_OK))
		must_write(ENABLE, "0");
	write_file(PROBES, "");
	if (!access(TRACED_FUNCTIONS, R_OK)) {
		must_write(TRACING "current_tracer", "nop");
		write_file(TRACING "set_ftrace_filter", "");
	}
	write_file(TRACING "trace", "");
}

/* How often a probe was hit, or the hits for which there was no room. */
static unsigned long profile(const char *probe, bool missed)
{
	char *text = read_file(PROFILE), *line = strstr(text, probe);
	unsigned long hits, misses;

	if (!line || sscanf(line + strlen(probe), "%lu %lu", &hits, &misses) != 2)
		die("%s has no %s", PROFILE, probe);
	free(text);
	return missed ? misses : hits;
}

static bool hits_become(const char *probe, unsigned long wanted)
{
	int polls = LIMIT * 1000 / POLL_MS;

	while (profile(probe, false) != wanted) {
		if (!polls--)
			return false;
		wait_a_moment();
	}
	return true;
}

/* A process that sleeps in the kernel until @counter is not zero. It ends with 0 if that worked. */
static pid_t start_sleeper(int counter)
{
	pid_t child = fork();
	uint64_t value;

	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child)
		_exit(read(counter, &value, sizeof(value)) != sizeof(value) || value != 1);
	return child;
}

static void wake(int counter, uint64_t nr)
{
	if (write(counter, &nr, sizeof(nr)) != sizeof(nr))
		die("eventfd: %s", strerror(errno));
}

static int status_of(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		die("wait: %s", strerror(errno));
	return status;
}

FIXTURE(returns) {
	int counter;
};

FIXTURE_SETUP(returns)
{
	reset();
	self->counter = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	ASSERT_LE(0, self->counter);
}

FIXTURE_TEARDOWN(returns)
{
	reset();
	close(self->counter);
}

TEST_F_TIMEOUT(returns, of_many_tasks_at_once_are_seen, LIMIT)
{
	pid_t sleepers[SLEEPERS];
	size_t i, killed = SLEEPERS / 4;

	must_write(PROBES, "p:" GROUP "/in " SLEEPS);
	must_write(PROBES, "r200:" GROUP "/out " SLEEPS " ret=$retval:s64");
	must_write(ENABLE, "1");
	for (i = 0; i < SLEEPERS; i++)
		sleepers[i] = start_sleeper(self->counter);
	ASSERT_TRUE(hits_become("in", SLEEPERS));
	EXPECT_EQ(0UL, profile("out", false));

	for (i = 0; i < killed; i++) {
		kill(sleepers[i], SIGKILL);
		EXPECT_TRUE(WIFSIGNALED(status_of(sleepers[i])));
	}
	EXPECT_EQ(killed, profile("out", false));
	wake(self->counter, SLEEPERS - killed);
	for (; i < SLEEPERS; i++)
		EXPECT_EQ(0, status_of(sleepers[i]));
	EXPECT_EQ((unsigned long)SLEEPERS, profile("out", false));
	EXPECT_EQ(0UL, profile("out", true));
	EXPECT_EQ((size_t)(SLEEPERS - killed), count_words(TRACING "trace", " ret=8\n"));
}

/* Probes are removed while tasks sleep in the function: these return without them. */
TEST_F_TIMEOUT(returns, come_after_the_probe_has_gone, LIMIT)
{
	pid_t sleepers[SLEEPERS];
	size_t i;

	must_write(PROBES, "p:" GROUP "/in " SLEEPS);
	must_write(PROBES, "r200:" GROUP "/out " SLEEPS);
	must_write(ENABLE, "1");
	for (i = 0; i < SLEEPERS; i++)
		sleepers[i] = start_sleeper(self->counter);
	ASSERT_TRUE(hits_become("in", SLEEPERS));
	reset();
	wake(self->counter, SLEEPERS);
	for (i = 0; i < SLEEPERS; i++)
		EXPECT_EQ(0, status_of(sleepers[i]));
}

/* Exiting tasks never return from do_exit(). */
TEST_F_TIMEOUT(returns, never_come_of_tasks_that_exit, LIMIT)
{
	size_t i;

	must_write(PROBES, "r200:" GROUP "/out do_exit");
	must_write(ENABLE, "1");
	for (i = 0; i < EXITS; i++) {
		pid_t child = fork();

		ASSERT_LE(0, child);
		if (!child)
			_exit(0);
		EXPECT_EQ(0, status_of(child));
	}
	EXPECT_EQ(0UL, profile("out", false));
	EXPECT_EQ(0UL, profile("out", true));
}

/* The functions on the stack of a sleeping task, as far as probes and tracers are */
struct stack {
	char *text;
	char functions[FUNCTIONS][64];
	size_t nr;
};

static char *read_stack(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	return read_file(path);
}

static struct stack stack_of(struct __test_metadata *_metadata, pid_t pid)
{
	struct stack stack = { 0 };
	char *at;
	int polls;

	/* It is on its way there. */
	for (polls = LIMIT * 1000 / POLL_MS; polls; polls--) {
		stack.text = read_stack(pid);
		if (strstr(stack.text, "] " SLEEPS "+"))
			break;
		free(stack.text);
		wait_a_moment();
	}
	ASSERT_NE(0, polls);

	for (at = stack.text; stack.nr < FUNCTIONS && (at = strstr(at, "] ")); stack.nr++) {
		at += 2;
		if (sscanf(at, "%63[^+]+", stack.functions[stack.nr]) != 1)
			break;
	}
	return stack;
}

FIXTURE(stack) {
	int counter;
};

FIXTURE_VARIANT(stack) {
	bool probed, traced;
};

FIXTURE_VARIANT_ADD(stack, probed) {
	.probed = true,
};

FIXTURE_VARIANT_ADD(stack, traced) {
	.traced = true,
};

FIXTURE_VARIANT_ADD(stack, probed_and_traced) {
	.probed = true,
	.traced = true,
};

FIXTURE_SETUP(stack)
{
	reset();
	self->counter = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	ASSERT_LE(0, self->counter);
}

FIXTURE_TEARDOWN(stack)
{
	reset();
	close(self->counter);
}

/* Functions whose returns are hooked have the same stack trace as others. */
TEST_F_TIMEOUT(stack, is_that_of_functions_whose_returns_nobody_waits_for, LIMIT)
{
	struct stack before, hooked;
	pid_t sleeper;
	size_t i, nr = 0;

	sleeper = start_sleeper(self->counter);
	before = stack_of(_metadata, sleeper);
	wake(self->counter, 1);
	EXPECT_EQ(0, status_of(sleeper));

	for (i = 0; i < before.nr; i++) {
		char probe[128];
		bool ok = true;

		snprintf(probe, sizeof(probe), "r:" GROUP "/out%zu %s", i, before.functions[i]);
		if (variant->probed)
			ok &= !try_write(PROBES, probe);
		if (variant->traced)
			ok &= !try_write(TRACING "set_ftrace_filter", before.functions[i]);
		nr += ok;
	}
	/* All but the entry of system calls */
	EXPECT_LE(3UL, nr);
	if (variant->probed)
		must_write(ENABLE, "1");
	if (variant->traced)
		must_write(TRACING "current_tracer", "function_graph");

	sleeper = start_sleeper(self->counter);
	hooked = stack_of(_metadata, sleeper);
	EXPECT_STREQ(before.text, hooked.text);
	wake(self->counter, 1);
	EXPECT_EQ(0, status_of(sleeper));
	free(before.text);
	free(hooked.text);
}

/* Traces of tasks that run are taken in vain, but the kernel does not complain. */
TEST_F_TIMEOUT(returns, are_on_the_stack_of_a_task_that_runs, LIMIT)
{
	pid_t readers[READERS];
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	size_t i, seen = 0;
	void *buffer;

	ASSERT_LE(0, zero);
	buffer = mmap(NULL, READ_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, buffer);
	must_write(PROBES, "r200:" GROUP "/out vfs_read");
	must_write(ENABLE, "1");
	for (i = 0; i < READERS; i++) {
		readers[i] = fork();
		ASSERT_LE(0, readers[i]);
		if (readers[i])
			continue;
		/* On one hart, so that they take turns, in the middle of the function */
		pin_to_cpu(0);
		for (;;)
			if (read(zero, buffer, READ_SIZE) != (ssize_t)READ_SIZE)
				_exit(1);
	}
	for (i = 0; i < TRACES; i++) {
		char *text = read_stack(readers[i % READERS]);

		seen += !!strstr(text, "] vfs_read+");
		free(text);
	}
	for (i = 0; i < READERS; i++) {
		kill(readers[i], SIGKILL);
		EXPECT_TRUE(WIFSIGNALED(status_of(readers[i])));
	}
	EXPECT_LT(0UL, seen);
	munmap(buffer, READ_SIZE);
	close(zero);
}

int main(int argc, char **argv)
{
	prepare();
	need(PROBES);
	return test_harness_run(argc, argv);
}
