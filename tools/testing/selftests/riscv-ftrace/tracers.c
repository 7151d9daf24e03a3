// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions are traced while other harts execute them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

#define HITS	10UL
#define LIMIT	300	/* seconds */
#define CALLERS	3

#define INSTANCE	TRACING "instances/riscv-ftrace/"

/* The system call that is traced, and what the trace has of it */
#define TRACED		PROBED_SYSCALL
#define TRACED_LINE	"getppid"

#define MODULE		"ftrace_direct"
#define KO		"modules/" MODULE ".ko"
#define PARAMETERS	"/sys/module/" MODULE "/parameters/"
#define TARGET		"ftrace_direct_target"

static void call(size_t times)
{
	while (times--)
		syscall(SYS_getppid);
}

static void set_tracer(const char *name)
{
	must_write(TRACING "current_tracer", name);
}

/* Trace this process only. */
static void filter_self(const char *path)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	must_write(path, pid);
}

static void filter(const char *function)
{
	must_write(TRACING "set_ftrace_filter", function);
}

static void reset(void)
{
	set_tracer("nop");
	write_file(TRACING "set_ftrace_filter", "");
	write_file(TRACING "set_ftrace_pid", "");
}

/* Call until the parent ends this process. A failing call ends it with an error. */
static void call_forever(pid_t parent)
{
	while (syscall(SYS_getppid) == parent)
		;
	_exit(1);
}

/* Read until the parent ends this process. A wrong answer ends it with an error. */
static void read_forever(void)
{
	while (read_long(PARAMETERS "answer") == TARGET_ANSWER)
		;
	_exit(1);
}

static void start_callers(pid_t *callers, bool of_module)
{
	pid_t parent = getpid();
	size_t i;

	for (i = 0; i < CALLERS; i++) {
		callers[i] = fork();
		if (callers[i] < 0)
			die("fork: %s", strerror(errno));
		if (callers[i])
			continue;
		if (of_module)
			read_forever();
		call_forever(parent);
	}
}

/* The number of callers that were still there */
static size_t stop_callers(const pid_t *callers)
{
	size_t i, n = 0;
	int status;

	for (i = 0; i < CALLERS; i++) {
		kill(callers[i], SIGTERM);
		if (waitpid(callers[i], &status, 0) == callers[i])
			n += WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
	}
	return n;
}

FIXTURE(switching) {
};

FIXTURE_SETUP(switching)
{
	reset();
}

FIXTURE_TEARDOWN(switching)
{
	reset();
}

/* How often the kernel calls a function for this process while a tracer comes and goes */
static unsigned long calls_of(const char *function)
{
	int fd = kprobe_open(function, 0);
	unsigned long calls;

	if (fd < 0)
		die("kprobe on %s: %s", function, strerror(-fd));
	set_tracer("function");
	set_tracer("nop");
	calls = kprobe_hits(fd);
	close(fd);
	return calls;
}

TEST_F_TIMEOUT(switching, all_functions_is_as_cheap_as_one, LIMIT)
{
	unsigned long one, all;

	/* Such a kernel has neither remote fences nor stop_machine(). */
	if (!kernel_is("SMP"))
		SKIP(return, "the kernel is for one hart");
	filter(TRACED);
	one = calls_of("flush_icache_all");
	reset();
	all = calls_of("flush_icache_all");
	ksft_print_msg("%zu functions on and off: %lu fences, and for one %lu\n",
		       count_words(TRACED_FUNCTIONS, "\n"), all, one);
	EXPECT_LT(1UL, one);
	EXPECT_EQ(one, all);
	EXPECT_EQ(0UL, calls_of("stop_machine_cpuslocked"));
}

TEST_F_TIMEOUT(switching, a_probe_at_an_entry_does_not_stop_the_machine, LIMIT)
{
	int stops, fd;

	if (!kernel_is("SMP"))
		SKIP(return, "the kernel is for one hart");
	stops = kprobe_open("stop_machine_cpuslocked", 0);
	ASSERT_LE(0, stops);
	fd = kprobe_open(TRACED, 0);
	ASSERT_LE(0, fd);
	call(HITS);
	EXPECT_EQ(HITS, kprobe_hits(fd));
	close(fd);
	EXPECT_EQ(0UL, kprobe_hits(stops));
	close(stops);
}

/*
 * The word in front of a function is data: where its direct call leads. A probe in
 * it would be taken for that.
 */
static void expect_no_probes(struct __test_metadata *_metadata, const char *function)
{
	unsigned long entry = symbol_address(function);

	ASSERT_NE(0UL, entry);
	EXPECT_EQ(-EILSEQ, kprobe_open_at(entry - 4));
	EXPECT_EQ(-EILSEQ, kprobe_open_at(entry - 2));
}

TEST_F_TIMEOUT(switching, no_probe_is_in_front_of_a_function, LIMIT)
{
	expect_no_probes(_metadata, TRACED);
	call(HITS);
	filter(TRACED);
	set_tracer("function");
	expect_no_probes(_metadata, TRACED);
	call(HITS);

	need(KO);
	module_load(KO);
	expect_no_probes(_metadata, TARGET);
	must_write(PARAMETERS "direct", "1");
	expect_no_probes(_metadata, TARGET);
	EXPECT_EQ(TARGET_ANSWER, read_long(PARAMETERS "answer"));
	EXPECT_EQ(1, read_long(PARAMETERS "calls1"));
	module_unload(MODULE);
}

FIXTURE(tracers) {
	pid_t callers[CALLERS];
};

FIXTURE_VARIANT(tracers) {
	const char *name;
	size_t cycles;
};

FIXTURE_VARIANT_ADD(tracers, function) {
	.name = "function",
	.cycles = 100,
};

/* It is called from the same place. Only what it does with the call is its own. */
FIXTURE_VARIANT_ADD(tracers, function_graph) {
	.name = "function_graph",
	.cycles = 20,
};

FIXTURE_SETUP(tracers)
{
	expedite_rcu("1");
	reset();
	filter_self(TRACING "set_ftrace_pid");
}

FIXTURE_TEARDOWN(tracers)
{
	reset();
	expedite_rcu("0");
}

TEST_F_TIMEOUT(tracers, come_and_go_unnoticed_by_other_callers, LIMIT)
{
	size_t n, traced = 0, wrong = 0;
	unsigned long hits = 0;

	filter(TRACED);
	start_callers(self->callers, false);
	for (n = 0; n < variant->cycles; n++) {
		int fd;

		set_tracer(variant->name);
		call(HITS);
		/* Where the tracer is called, and the instruction before */
		fd = kprobe_open(TRACED, 0);
		call(HITS);
		hits += kprobe_hits(fd);
		close(fd);
		traced = count_words(TRACING "trace", TRACED_LINE);
		wrong += traced != 2 * HITS;
		/* This empties the trace. */
		set_tracer("nop");
		call(HITS);
		wrong += count_words(TRACING "trace", TRACED_LINE) != 0;
	}
	EXPECT_EQ((size_t)CALLERS, stop_callers(self->callers));
	EXPECT_EQ(variant->cycles * HITS, hits);
	if (wrong)
		ksft_print_msg("%zu of %lu calls traced at last\n", traced, 2 * HITS);
	EXPECT_EQ(0UL, wrong);
}

TEST_F_TIMEOUT(tracers, share_a_function, LIMIT)
{
	size_t n, wrong = 0;

	if (mkdir(INSTANCE, 0700) && errno != EEXIST)
		die("mkdir " INSTANCE ": %s", strerror(errno));
	filter(TRACED);
	must_write(INSTANCE "set_ftrace_filter", TRACED);
	filter_self(INSTANCE "set_ftrace_pid");
	start_callers(self->callers, false);
	for (n = 0; n < HITS; n++) {
		set_tracer(variant->name);
		call(HITS);
		must_write(INSTANCE "current_tracer", "function");
		call(HITS);
		wrong += count_words(TRACING "trace", TRACED_LINE) != 2 * HITS;
		set_tracer("nop");
		call(HITS);
		wrong += count_words(INSTANCE "trace", TRACED_LINE) != 2 * HITS;
		must_write(INSTANCE "current_tracer", "nop");
		call(HITS);
		wrong += count_words(TRACING "trace", TRACED_LINE) != 0;
		wrong += count_words(INSTANCE "trace", TRACED_LINE) != 0;
	}
	EXPECT_EQ((size_t)CALLERS, stop_callers(self->callers));
	EXPECT_EQ(0UL, wrong);
	rmdir(INSTANCE);
}

static void set_direct(const char *value)
{
	must_write(PARAMETERS "direct", value);
}

static void read_answers(void)
{
	size_t i;

	for (i = 0; i < HITS; i++) {
		if (read_long(PARAMETERS "answer") != TARGET_ANSWER)
			die("a function has lost its arguments");
	}
}

/* How often the functions were called since the last time */
static long calls_since(const char *path, long *before)
{
	long now = read_long(path), calls = now - *before;

	*before = now;
	return calls;
}

TEST_F_TIMEOUT(tracers, leave_direct_calls_alone, LIMIT)
{
	long before1 = 0, before2 = 0, calls1 = 0, calls2 = 0;
	size_t n, wrong = 0;

	need(KO);
	module_load(KO);
	filter(TARGET);
	for (n = 0; n < HITS; n++) {
		set_direct("1");
		read_answers();
		set_tracer(variant->name);
		read_answers();
		set_direct("2");
		read_answers();
		wrong += count_words(TRACING "trace", TARGET) != 2 * HITS;
		set_tracer("nop");
		read_answers();
		set_direct("0");
		read_answers();
		calls1 += calls_since(PARAMETERS "calls1", &before1);
		calls2 += calls_since(PARAMETERS "calls2", &before2);
	}
	EXPECT_EQ((long)(2 * HITS * HITS), calls1);
	EXPECT_EQ((long)(2 * HITS * HITS), calls2);
	EXPECT_EQ(0UL, wrong);
	module_unload(MODULE);
}

TEST_F_TIMEOUT(tracers, see_direct_calls_come_and_go, LIMIT)
{
	size_t n;

	need(KO);
	module_load(KO);
	filter(TARGET);
	start_callers(self->callers, true);
	for (n = 0; n < variant->cycles / 5; n++) {
		set_direct("1");
		set_direct("2");
		set_tracer(variant->name);
		set_direct("0");
		set_direct("2");
		set_tracer("nop");
		set_direct("0");
	}
	EXPECT_EQ((size_t)CALLERS, stop_callers(self->callers));
	EXPECT_LT(0, read_long(PARAMETERS "calls1"));
	EXPECT_LT(0, read_long(PARAMETERS "calls2"));
	module_unload(MODULE);
}

int main(int argc, char **argv)
{
	prepare();
	need(TRACED_FUNCTIONS);
	return test_harness_run(argc, argv);
}
