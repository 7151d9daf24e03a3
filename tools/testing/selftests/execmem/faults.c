// SPDX-License-Identifier: GPL-2.0-only
/*
 * Refuse each allocation of loading, attaching and unloading once. The
 * operation then fails with the right errno, leaves nothing behind, and
 * succeeds when it is repeated.
 *
 * /proc/self/fail-nth counts the allocations of this task, both slab objects
 * and pages, and refuses the nth one. The test uses n = 1, 2, 3... until an
 * operation ends before its nth allocation. Some allocations are optional: if
 * one of these is refused, the operation still succeeds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

/* No operation makes more allocations. */
#define MAX_SITES	5000

/* The page size of the linear map. A page is split to change the protection of a part. */
#define LARGE_PAGE	(2UL << 20)

/* Free memory that remains for the operations. */
#define RESERVE		(256UL << 20)

/* An operation succeeded with a wrong result. The kernel has no such errno. */
#define EWRONG		4000

/* An errno of the kernel that user space headers lack. */
#define ENOTSUPP	524

/*
 * Use up the free pages of large pages that are already split. The next
 * operation then has to split another one, which needs a page table. The pages
 * come from pipes: their data cannot be moved, like that of the kernel.
 */
static int hold_large_page(void)
{
	static const char data[LARGE_PAGE];
	int fds[2];

	if (pipe(fds) || fcntl(fds[1], F_SETPIPE_SZ, LARGE_PAGE) < 0 ||
	    write(fds[1], data, LARGE_PAGE) != LARGE_PAGE)
		die("fill a pipe: %s", strerror(errno));
	close(fds[1]);
	return fds[0];
}

/* Each operation returns 0 or an errno, and removes everything that it made. */

static int read_all(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	int err = 0;

	if (fd < 0)
		return errno;
	while ((got = read(fd, buf, size)) > 0)
		;
	if (got < 0)
		err = errno;
	close(fd);
	return err;
}

static int run_module(void)
{
	char answer[16] = "";
	int fd, err, removed;

	fd = open(TARGET_KO, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	err = syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
	close(fd);
	if (err)
		return err;

	fd = open("/sys/module/" TARGET_MODULE "/parameters/answer", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, answer, sizeof(answer) - 1) < 0)
		err = errno;
	else if (strtol(answer, NULL, 10) != TARGET_ANSWER)
		err = EWRONG;
	if (fd >= 0)
		close(fd);

	removed = module_remove(TARGET_MODULE);
	if (removed) {
		fail_nth(0);
		module_unload(TARGET_MODULE);
	}
	return err ?: removed;
}

static int run_kprobe(void)
{
	int fd = kprobe_open(PROBED_SYSCALL, first_insn());
	int err = 0;

	if (fd < 0)
		return -fd;
	syscall(SYS_getppid);
	if (kprobe_hits(fd) != 1)
		err = EWRONG;
	close(fd);
	return err;
}

static int run_bpf(void)
{
	int fd = bpf_open(TARGET_ANSWER);
	unsigned int result;
	int err;

	if (fd < 0)
		return -fd;
	err = bpf_test_run(fd, 1, &result);
	if (!err && result != TARGET_ANSWER)
		err = EWRONG;
	close(fd);
	return err;
}

static int run_stats(void)
{
	static char text[16384];

	return read_all(STATS, text, sizeof(text)) ?:
	       read_all(AREAS, text, sizeof(text));
}

/* A refused operation fails with ENOMEM or @other. */
static void test(const char *what, int (*run)(void), int other)
{
	unsigned int survived = 0, refused = 0, wrong = 0, leaked = 0, broken = 0;
	static int held[MAX_SITES];
	unsigned int nth, nr = 0;
	struct usage usage;
	struct stats stats;
	bool over = false;
	int err;

	/* The first run allocates the memory that the kernel keeps. */
	err = run();
	if (err)
		die("%s: %s", what, strerror(err));
	sleep(1);
	stats = stats_of("total");
	usage = usage_read();

	for (nth = 1; nth < MAX_SITES; nth++) {
		if (meminfo_bytes("MemFree") > RESERVE)
			held[nr++] = hold_large_page();
		fail_nth(nth);
		err = run();
		over = fail_pending();
		fail_nth(0);
		if (over)
			break;

		if (!err) {
			survived++;
		} else if (err == ENOMEM || err == other) {
			refused++;
		} else {
			ksft_print_msg("allocation %u: %s\n", nth,
				       err == EWRONG ? "wrong result" : strerror(err));
			wrong++;
		}
		if (!stats_settle("total", &stats)) {
			ksft_print_msg("allocation %u leaks\n", nth);
			leaked++;
			stats = stats_of("total");
		}
		/* The operation works without that allocation: refuse the next one in a new run. */
		if (err)
			err = run();
		if (err) {
			ksft_print_msg("after allocation %u: %s\n", nth, strerror(err));
			broken++;
		}
	}

	while (nr)
		close(held[--nr]);

	ksft_print_msg("%u allocations refused: it failed %u times, %u times it worked without\n",
		       nth - 1, refused, survived);
	ksft_test_result(over && !err && refused, "%s: each allocation was refused once\n", what);
	ksft_test_result(!wrong, "%s: whatever fails says why\n", what);
	ksft_test_result(!leaked && stats_settle("total", &stats),
			 "%s: the statistics are as before after each\n", what);
	ksft_test_result(!broken, "%s: the next one works after each\n", what);
	ksft_test_result(usage_settle(&usage), "%s: no vmalloc area is left\n", what);
	usage_free(&usage);
}

int main(void)
{
	const struct rlimit files = { 2 * MAX_SITES, 2 * MAX_SITES };

	begin();
	need("/proc/self/fail-nth");
	need(STATS);
	need(TARGET_KO);
	/* No fixtures: each case is a loop over all allocations, in one process. */
	ksft_set_plan(20);

	fail_prepare();
	/* Each refused allocation may need a file descriptor. */
	if (setrlimit(RLIMIT_NOFILE, &files))
		die("setrlimit: %s", strerror(errno));

	test("module load and unload", run_module, ENOMEM);
	/* Kprobes keep one page of slots. The module uses it up: a second page comes and goes. */
	module_load("modules/kprobe_slots.ko");
	test("kprobe attach and detach", run_kprobe, ENOMEM);
	module_unload("kprobe_slots");
	/* The JIT does not say why it failed. All that the verifier can return is ENOTSUPP. */
	test("BPF load and unload", run_bpf, ENOTSUPP);
	test("statistics", run_stats, ENOMEM);

	ksft_finished();
}
