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
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define CYCLES	100
#define HITS	10
#define CALLERS	3

/* The beginning of a function behind the tracer's call, instruction by instruction */
#define BYTES	64

/* What writes to text, from the first store to the fence.i */
#define WRITER	"text_alias_write_pages"
/* With an irq tracer, what tells it that interrupts are on again in user mode */
#define IRQS_ON	"lockdep_hardirqs_on_prepare"

static int try_probe(unsigned long offset, int *fd)
{
	*fd = kprobe_open(PROBED_SYSCALL, first_insn() + offset);
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

/* The tracer calls a kprobe that is where the tracer's own call is. */
static void test_traced(void)
{
	static const char what[] = "a probe at a function's entry is hit through its tracer";
	int i, entry, next;

	if (!first_insn()) {
		ksft_test_result_skip("%s\n", what);
		ksft_test_result_skip("within the tracer's call nothing is probed\n");
		return;
	}
	entry = kprobe_open(PROBED_SYSCALL, 0);
	next = kprobe_attach(PROBED_SYSCALL);
	if (entry < 0)
		die("kprobe at the entry of " PROBED_SYSCALL ": %s", strerror(-entry));
	for (i = 0; i < HITS; i++)
		syscall(SYS_getppid);
	ksft_test_result(kprobe_hits(entry) == HITS && kprobe_hits(next) == HITS, "%s\n", what);
	close(entry);
	close(next);

	/* The call is one to the tracer, even where it has two instructions. */
	next = kprobe_open(PROBED_SYSCALL, first_insn() / 2);
	ksft_test_result(next == -EILSEQ, "within the tracer's call nothing is probed\n");
	if (next >= 0)
		close(next);
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
	static const char * const names[] = {
		"a probe whose text is gone says nothing of what is there now",
		"nor is an instruction probed within",
	};
	unsigned long addr;
	int gone, fd;

	/* Only the C extension has short instructions. */
	if (access("modules/kprobe_short.ko", F_OK)) {
		ksft_test_result_skip("%s\n", names[0]);
		ksft_test_result_skip("%s\n", names[1]);
		return;
	}
	module_load("modules/kprobe_short.ko");
	addr = symbol_address("kprobe_short_text");
	gone = kprobe_open("kprobe_short:kprobe_short_text", 0);
	if (gone < 0)
		die("kprobe on kprobe_short_text: %s", strerror(-gone));
	module_unload("kprobe_short");

	module_load("modules/kprobe_long.ko");
	if (symbol_address("kprobe_long_text") != addr)
		die("kprobe_long did not take the place of kprobe_short");
	fd = kprobe_open("kprobe_long:kprobe_long_text", 4);
	ksft_test_result(fd >= 0, "%s\n", names[0]);
	if (fd >= 0)
		close(fd);
	fd = kprobe_open("kprobe_long:kprobe_long_text", 2);
	ksft_test_result(fd == -EILSEQ, "%s\n", names[1]);
	if (fd >= 0)
		close(fd);
	close(gone);
	module_unload("kprobe_long");
}

/*
 * The ebreak of a WARN() is one, even where a probe was whose text is gone. That one
 * stood for 4 bytes, and the ebreak has two.
 */
static void test_gone_break(void)
{
	const char *name = "an ebreak where a probe was is not taken for it";
	unsigned long addr;
	int gone;

	if (access("modules/kprobe_break.ko", F_OK)) {
		ksft_test_result_skip("%s\n", name);
		return;
	}
	module_load("modules/kprobe_long.ko");
	addr = symbol_address("kprobe_long_text");
	gone = kprobe_attach("kprobe_long:kprobe_long_text");
	module_unload("kprobe_long");

	module_load("modules/kprobe_break.ko");
	if (symbol_address("kprobe_break_text") != addr)
		die("kprobe_break did not take the place of kprobe_long");
	ksft_test_result(read_long("/sys/module/kprobe_break/parameters/answer") == 42 &&
			 !kprobe_hits(gone), "%s\n", name);
	close(gone);
	module_unload("kprobe_break");
}

static long end_param(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/kprobe_end/parameters/%s", name);
	return read_long(path);
}

/* Nothing is read behind the last instruction of a module's text. */
static void test_end(void)
{
	static const char * const names[] = {
		"a short instruction at the end of text is probed",
		"a short ebreak there is known as that of a BUG()",
	};

	if (access("modules/kprobe_end.ko", F_OK)) {
		ksft_test_result_skip("%s\n", names[0]);
		ksft_test_result_skip("%s\n", names[1]);
		return;
	}
	module_load("modules/kprobe_end.ko");
	if (end_param("offset") != PAGE_SIZE - 2)
		die("the text of kprobe_end does not end with a page");
	ksft_test_result(!end_param("probe"), "%s\n", names[0]);
	ksft_test_result(end_param("is_bug") == 1, "%s\n", names[1]);
	module_unload("kprobe_end");
}

/*
 * No probe can be on any of the functions that this kernel has; it has one at least.
 * Probe events refuse some by themselves, so that the list of the core counts, too.
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

/* Where a trap would overwrite the registers of another */
static void test_trap_entry(void)
{
	static const char * const names[] = { "handle_exception", "ret_from_exception" };

	ksft_test_result(refused(names, ARRAY_SIZE(names)),
			 "the entry of traps cannot be probed\n");
}

/* The calls in it change, and a probe's handlers call traced functions. */
static void test_tracer_entry(void)
{
	static const char * const names[] = {
		"ftrace_caller", "ftrace_call", "ftrace_regs_caller", "ftrace_regs_call",
		"ftrace_graph_call", "ftrace_graph_regs_call", "prepare_ftrace_return",
		"return_to_handler",
	};
	const char *name = "what calls the tracers cannot be probed";

	if (symbol_address(names[0]))
		ksft_test_result(refused(names, ARRAY_SIZE(names)), "%s\n", name);
	else
		ksft_test_result_skip("%s\n", name);
}

/* While text is half-written, nothing is executed that may have been written. */
static void test_writer(void)
{
	const char *tracer = "/sys/kernel/tracing/available_filter_functions";
	const char *name = "what writes to text cannot be traced";
	size_t offset, taken = 0;
	char *functions;
	int fd;

	if (!symbol_address(WRITER))
		die("no function " WRITER);
	for (offset = 0; offset < BYTES; offset += 2) {
		fd = kprobe_open(WRITER, offset);
		taken += fd != -EINVAL;
		if (fd >= 0)
			close(fd);
	}
	ksft_test_result(!taken, "what writes to text cannot be probed\n");

	if (access(tracer, F_OK)) {
		ksft_test_result_skip("%s\n", name);
		return;
	}
	functions = read_file(tracer);
	ksft_test_result(strstr(functions, "\ndo_exit\n") &&
			 !strstr(functions, "\n" WRITER "\n"), "%s\n", name);
	free(functions);
}

/* Between a probe's handler and the probed instruction, the hart stays with its task. */
static void test_preempt(void)
{
	const char *answer = "/sys/module/kprobe_resched/parameters/answer";
	const char *name = "a task is not preempted at a probe";
	struct utsname kernel;
	int n, kept = 0;

	uname(&kernel);
	if (access("modules/kprobe_resched.ko", F_OK) || !strstr(kernel.version, "PREEMPT")) {
		ksft_test_result_skip("%s\n", name);
		return;
	}
	module_load("modules/kprobe_resched.ko");
	for (n = 0; n < CYCLES; n++)
		kept += read_long(answer) == 42;
	module_unload("kprobe_resched");
	ksft_test_result(kept == CYCLES, "%s\n", name);
}

/*
 * A probe traps in the kernel, on its way to user mode too: the trap must not be
 * taken for one from there.
 */
static void test_irqs_on(void)
{
	const char *name = "a probe on the way to user mode, where irqs are traced";
	unsigned long hits;
	int fd, n;

	if (!symbol_address(IRQS_ON)) {
		ksft_test_result_skip("%s\n", name);
		return;
	}
	fd = kprobe_attach(IRQS_ON);
	for (n = 0; n < CYCLES; n++)
		syscall(SYS_getppid);
	hits = kprobe_hits(fd);
	close(fd);
	ksft_print_msg("%lu hits in %d system calls\n", hits, CYCLES);
	ksft_test_result(hits >= CYCLES, "%s\n", name);
}

/* A probe that goes waits for RCU several times, with all harts busy; one hart has no wait */
static void expedite_rcu(const char *value)
{
	static const char path[] = "/sys/kernel/rcu_expedited";

	if (!access(path, F_OK))
		must_write(path, value);
}

int main(void)
{
	begin();
	ksft_set_plan(have_modules() ? 15 : 4);

	expedite_rcu("1");
	test_neighbours();
	test_traced();
	test_callers();
	if (have_modules()) {
		test_gone();
		test_gone_break();
		test_end();
		test_trap_entry();
		test_tracer_entry();
		test_writer();
		test_preempt();
		test_irqs_on();
	}
	expedite_rcu("0");

	ksft_finished();
}
