// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kprobes are armed and disarmed while other harts execute the probed code, and
 * probes are on neighbouring instructions.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"

#define CYCLES	100UL
#define HITS	10UL
#define LIMIT	300	/* seconds */
#define CALLERS	3

/* Bytes of a function, behind the tracer's call, on whose instructions probes are put */
#define BYTES	64

/* The function that writes to text, from the first store to the fence.i */
#define WRITER	"text_alias_write_pages"
/* With an irq tracer: the call that reports enabled interrupts before user mode */
#define IRQS_ON	"lockdep_hardirqs_on_prepare"

FIXTURE(probes) {
};

FIXTURE_SETUP(probes)
{
	expedite_rcu("1");
}

FIXTURE_TEARDOWN(probes)
{
	expedite_rcu("0");
}

static int try_probe(unsigned long offset, int *fd)
{
	*fd = kprobe_open(PROBED_SYSCALL, first_insn() + offset);
	return *fd < 0 ? -*fd : 0;
}

/*
 * A probe hides its instruction, but not where the next instruction begins.
 * Whether an instruction can be probed does not depend on other probes.
 */
TEST_F_TIMEOUT(probes, are_on_all_instructions_of_a_function, LIMIT)
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
	EXPECT_EQ(getppid(), syscall(SYS_getppid));
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	ksft_print_msg("%zu of %d bytes begin an instruction to probe, %zu are within one\n",
		       probes, BYTES, inside);
	EXPECT_LT(1UL, probes);
	EXPECT_LT(0UL, inside);
	EXPECT_EQ(0UL, differ);
}

/* The first of the two instructions that call the tracer can be probed. */
TEST_F_TIMEOUT(probes, are_hit_at_an_entry, LIMIT)
{
	int entry, next;
	size_t i;

	if (!first_insn())
		SKIP(return, "functions do not begin with the tracer's call");
	entry = kprobe_open(PROBED_SYSCALL, 0);
	ASSERT_LE(0, entry);
	next = kprobe_attach(PROBED_SYSCALL);
	for (i = 0; i < HITS; i++)
		syscall(SYS_getppid);
	EXPECT_EQ(HITS, kprobe_hits(entry));
	EXPECT_EQ(HITS, kprobe_hits(next));
	close(entry);
	close(next);
}

/* The second one is the tracer's. */
TEST_F_TIMEOUT(probes, are_refused_where_the_tracer_writes, LIMIT)
{
	if (!first_insn())
		SKIP(return, "functions do not begin with the tracer's call");
	EXPECT_EQ(-EINVAL, kprobe_open(PROBED_SYSCALL, first_insn() / 2));
}

/* Call until the parent ends this process. A failing call ends it with an error. */
static void call_forever(pid_t parent)
{
	while (syscall(SYS_getppid) == parent)
		;
	_exit(1);
}

TEST_F_TIMEOUT(probes, come_and_go_unnoticed_by_other_callers, LIMIT)
{
	pid_t callers[CALLERS], parent = getpid();
	unsigned long hits = 0;
	size_t i, killed = 0;
	int status, fd;
	size_t n;

	for (i = 0; i < CALLERS; i++) {
		callers[i] = fork();
		if (!callers[i])
			call_forever(parent);
		ASSERT_LT(0, callers[i]);
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
		ASSERT_EQ(callers[i], waitpid(callers[i], &status, 0));
		killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
	}
	EXPECT_EQ(CYCLES * HITS, hits);
	EXPECT_EQ((size_t)CALLERS, killed);
}

/*
 * After the probed text is freed, a probe exists until its owner closes it.
 * Meanwhile, other text may be there, with other instruction boundaries.
 */
TEST_F_TIMEOUT(probes, whose_text_is_gone_say_nothing_of_other_text, LIMIT)
{
	unsigned long addr;
	int gone, fd;

	if (access("modules/kprobe_short.ko", F_OK))
		SKIP(return, "only the C extension has short instructions");
	module_load("modules/kprobe_short.ko");
	addr = symbol_address("kprobe_short_text");
	gone = kprobe_open("kprobe_short:kprobe_short_text", 0);
	ASSERT_LE(0, gone);
	module_unload("kprobe_short");

	module_load("modules/kprobe_long.ko");
	ASSERT_EQ(addr, symbol_address("kprobe_long_text"));
	fd = kprobe_open("kprobe_long:kprobe_long_text", 4);
	EXPECT_LE(0, fd);
	close(fd);
	/* The middle of an instruction cannot be probed either. */
	EXPECT_EQ(-EILSEQ, kprobe_open("kprobe_long:kprobe_long_text", 2));
	close(gone);
	module_unload("kprobe_long");
}

/*
 * An ebreak of a WARN() must be recognised where a probe's text was freed. The
 * probe was on an instruction of 4 bytes, and the ebreak has 2.
 */
TEST_F_TIMEOUT(probes, whose_text_is_gone_do_not_take_an_ebreak, LIMIT)
{
	unsigned long addr;
	int gone;

	if (access("modules/kprobe_break.ko", F_OK))
		SKIP(return, "only the C extension has short instructions");
	module_load("modules/kprobe_long.ko");
	addr = symbol_address("kprobe_long_text");
	gone = kprobe_attach("kprobe_long:kprobe_long_text");
	module_unload("kprobe_long");

	module_load("modules/kprobe_break.ko");
	ASSERT_EQ(addr, symbol_address("kprobe_break_text"));
	EXPECT_EQ(42, read_long("/sys/module/kprobe_break/parameters/answer"));
	EXPECT_EQ(0UL, kprobe_hits(gone));
	close(gone);
	module_unload("kprobe_break");
}

static long end_param(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/kprobe_end/parameters/%s", name);
	return read_long(path);
}

/* The kernel must not read behind the last instruction of a module's text. */
TEST_F_TIMEOUT(probes, are_on_a_short_instruction_at_the_end_of_text, LIMIT)
{
	if (access("modules/kprobe_end.ko", F_OK))
		SKIP(return, "only the C extension has short instructions");
	module_load("modules/kprobe_end.ko");
	ASSERT_EQ((long)PAGE_SIZE - 2, end_param("offset"));
	EXPECT_EQ(0, end_param("probe"));
	/* The kernel recognises a short ebreak there as that of a BUG(). */
	EXPECT_EQ(1, end_param("is_bug"));
	module_unload("kprobe_end");
}

/*
 * All of these functions that exist in this kernel refuse probes, and at least
 * one exists. Probe events refuse some functions before the kprobe core is
 * asked, so the core's list is checked, too.
 */
static bool refused(const char * const names[], size_t nr)
{
	char *list = read_file("/sys/kernel/debug/kprobes/blacklist");
	size_t i, there = 0, taken = 0;

	for (i = 0; i < nr; i++) {
		int fd = kprobe_open(names[i], 0);
		char entry[64];

		snprintf(entry, sizeof(entry), "\t%s\n", names[i]);
		there += fd != -ENOENT;
		taken += fd != -ENOENT && (fd != -EINVAL || !strstr(list, entry));
		if (fd >= 0)
			close(fd);
	}
	free(list);
	return there && !taken;
}

/* In the entry of traps, a trap would overwrite the registers of another trap. */
TEST_F_TIMEOUT(probes, are_refused_on_the_entry_of_traps, LIMIT)
{
	static const char * const names[] = { "handle_exception", "ret_from_exception" };

	EXPECT_TRUE(refused(names, ARRAY_SIZE(names)));
}

/* The calls in this code are patched, and handlers of probes call traced functions. */
TEST_F_TIMEOUT(probes, are_refused_on_what_calls_the_tracers, LIMIT)
{
	static const char * const names[] = {
		"ftrace_caller", "ftrace_call", "ftrace_regs_caller", "ftrace_regs_call",
		"ftrace_graph_call", "ftrace_graph_regs_call", "ftrace_dispatch",
		"ftrace_graph_func", "prepare_ftrace_return", "return_to_handler",
	};

	if (access(TRACED_FUNCTIONS, F_OK))
		SKIP(return, "there are no tracers of functions");
	EXPECT_TRUE(refused(names, ARRAY_SIZE(names)));
}

/* While text is half-written, the kernel must not execute text that may be patched. */
TEST_F_TIMEOUT(probes, are_refused_on_what_writes_to_text, LIMIT)
{
	size_t offset;

	ASSERT_NE(0UL, symbol_address(WRITER));
	for (offset = 0; offset < BYTES; offset += 2)
		EXPECT_EQ(-EINVAL, kprobe_open(WRITER, offset));
}

/* The tracer must not patch this code either. */
TEST_F_TIMEOUT(probes, of_the_tracer_are_not_on_what_writes_to_text, LIMIT)
{
	char *functions;

	if (access(TRACED_FUNCTIONS, F_OK))
		SKIP(return, "there are no tracers of functions");
	functions = read_file(TRACED_FUNCTIONS);
	EXPECT_NE(NULL, strstr(functions, "\ndo_exit\n"));
	EXPECT_EQ(NULL, strstr(functions, "\n" WRITER "\n"));
	free(functions);
}

/* Between a probe's handler and the probed instruction, the task must not be preempted. */
TEST_F_TIMEOUT(probes, are_no_place_to_preempt_a_task, LIMIT)
{
	const char *answer = "/sys/module/kprobe_resched/parameters/answer";
	size_t n, kept = 0;

	if (access("modules/kprobe_resched.ko", F_OK) || !kernel_is("PREEMPT"))
		SKIP(return, "the kernel does not preempt tasks, or has no modules");
	module_load("modules/kprobe_resched.ko");
	for (n = 0; n < CYCLES; n++)
		kept += read_long(answer) == 42;
	module_unload("kprobe_resched");
	EXPECT_EQ(CYCLES, kept);
}

/*
 * A probe on the way to user mode also traps in the kernel. The kernel must not
 * take this trap for one from user mode.
 */
TEST_F_TIMEOUT(probes, are_hit_on_the_way_to_user_mode, LIMIT)
{
	unsigned long hits;
	size_t n;
	int fd;

	if (!symbol_address(IRQS_ON))
		SKIP(return, "irqs are not traced");
	fd = kprobe_attach(IRQS_ON);
	for (n = 0; n < CYCLES; n++)
		syscall(SYS_getppid);
	hits = kprobe_hits(fd);
	close(fd);
	ksft_print_msg("%lu hits in %lu system calls\n", hits, CYCLES);
	EXPECT_LE(CYCLES, hits);
}

int main(int argc, char **argv)
{
	prepare();
	need("/sys/bus/event_source/devices/kprobe");
	return test_harness_run(argc, argv);
}
