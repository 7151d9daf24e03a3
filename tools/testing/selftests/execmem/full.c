// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load BPF programs until their window is full. Test the kernel's errors in
 * this state, and that everything works again when the programs are gone. On
 * 32-bit the window is a part of the vmalloc space: fill all of that, too.
 *
 * A JIT that cannot compile a program returns it without a reason. With the
 * JIT on, the user does not want interpreted programs, so the BPF core then
 * always refuses the program with ENOTSUPP. With the JIT off, programs need no
 * image. They are loaded until there are no addresses for their instructions,
 * and are then refused with ENOMEM. bpf_jit_limit has no effect here: it does
 * not apply to users with CAP_BPF.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

/* <errno.h> lacks it: the kernel should not return it to user space. */
#define ENOTSUPP	524

/* Memory that must be free when the addresses are used up. */
#define MEMORY_LEFT	(64UL << 20)

/* Limit of open programs and maps. The test needs some 400. */
#define MAX_FDS		4000

static int fds[MAX_FDS];
static size_t nr_fds;

static int keep(int fd)
{
	if (nr_fds == MAX_FDS)
		die("%d programs and maps are not enough to fill the addresses", MAX_FDS);
	fds[nr_fds++] = fd;
	return fd;
}

static void close_all(void)
{
	while (nr_fds)
		close(fds[--nr_fds]);
}

static void set_jit(const char *value)
{
	int fd = open("/proc/sys/net/core/bpf_jit_enable", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, 1) != 1)
		die("bpf_jit_enable = %s: %s", value, strerror(errno));
	close(fd);
}

/* The size of the largest hole between areas of the window. The areas are sorted. */
static size_t largest_hole(unsigned long from, unsigned long to)
{
	char *text = read_file("/proc/vmallocinfo");
	unsigned long start, end, last = from;
	char *line, *rest = text;
	size_t hole = 0;

	while ((line = strsep(&rest, "\n")) && *line) {
		if (sscanf(line, "0x%lx-0x%lx", &start, &end) != 2)
			die("/proc/vmallocinfo: cannot read \"%s\"", line);
		/* An area that was freed: vmalloc reclaims these before it fails. */
		if (strstr(line, "unpurged") || end <= from || start >= to)
			continue;
		if (start > last && start - last > hole)
			hole = start - last;
		if (end > last)
			last = end;
	}
	free(text);
	if (last < to && to - last > hole)
		hole = to - last;
	return hole;
}

static void fill_window(void)
{
	/* The kernel's text is between the window and the cache's memory behind that text. */
	unsigned long end = have_rox() ? symbol_address("_start") : bpf_window_end();
	size_t image, hole, count;
	int fd;

	for (count = 0; (fd = bpf_load_large(count)) >= 0; count++)
		keep(fd);
	if (!count)
		die("BPF load: %s", strerror(-fd));
	image = bpf_image_size(fds[0]);
	hole = largest_hole(bpf_window_start(), end);
	ksft_print_msg("%zu images of %zu KiB; the largest hole has %zu KiB\n", count,
		       image >> 10, hole >> 10);
	ksft_test_result(image && hole < image + 2 * PAGE_SIZE,
			 "images fill their window until none fits\n");
	ksft_test_result(fd == -ENOTSUPP, "then a program is refused with ENOTSUPP\n");

	set_jit("0");
	fd = keep(bpf_load_large(count));
	ksft_test_result(fd >= 0 && !bpf_image_size(fd) && bpf_run(fd) == count,
			 "with the JIT off, it is loaded and returns its value\n");
	set_jit("1");
	ksft_test_result(bpf_run(fds[0]) == 0 && bpf_run(fds[count - 1]) == count - 1,
			 "the programs before it return their values\n");
}

#ifdef __LP64__
#define NR_WHILE_FULL	2

/* The other users have other windows, and still work. */
static void test_others(void)
{
	int fd;

	module_load(TARGET_KO);
	ksft_test_result(target_answer() == TARGET_ANSWER, "a module is loaded meanwhile\n");
	module_unload(TARGET_MODULE);

	fd = kprobe_attach(PROBED_SYSCALL);
	syscall(SYS_getppid);
	ksft_test_result(kprobe_hits(fd) == 1, "a kprobe is hit meanwhile\n");
	close(fd);
}
#else
#define NR_WHILE_FULL	4

/* A map that can be mapped always uses vmalloc: @pages and one more. */
static int create_map(size_t pages)
{
	return bpf_map(BPF_MAP_TYPE_ARRAY, PAGE_SIZE, pages, BPF_F_MMAPABLE);
}

/* All users share the vmalloc space: fill the rest of it. */
static void test_others(void)
{
	size_t pages;
	int err, fd;

	for (pages = 4096; pages; pages /= 2) {
		while ((fd = create_map(pages)) >= 0)
			keep(fd);
		if (fd != -ENOMEM)
			die("map of %zu pages: %s", pages, strerror(-fd));
	}
	ksft_print_msg("%zu programs and maps fill the vmalloc space, %lu MiB are free\n", nr_fds,
		       meminfo_bytes("MemFree") >> 20);
	ksft_test_result(meminfo_bytes("MemFree") >= MEMORY_LEFT, "it is addresses that ended\n");

	set_jit("0");
	fd = bpf_load_large(0);
	ksft_test_result(fd == -ENOMEM,
			 "then, with the JIT off, a program is refused with ENOMEM\n");
	set_jit("1");
	fd = bpf_load_large(0);
	ksft_test_result(fd == -ENOMEM, "and with the JIT on\n");
	err = module_insert(TARGET_KO, "");
	ksft_test_result(err == ENOMEM, "a module is refused with ENOMEM\n");
}
#endif

static void test_all_back(const struct usage *before)
{
	unsigned long image;
	int fd;

	close_all();
	ksft_test_result(usage_settle(before), "afterwards /proc/vmallocinfo is as before\n");

	fd = bpf_load(TARGET_ANSWER);
	image = bpf_address(fd);
	ksft_test_result(bpf_run(fd) == TARGET_ANSWER &&
			 image >= bpf_window_start() && image < bpf_window_end(),
			 "a program is compiled again\n");
	close(fd);

	module_load(TARGET_KO);
	ksft_test_result(target_answer() == TARGET_ANSWER, "a module is loaded again\n");
	module_unload(TARGET_MODULE);

	fd = kprobe_attach(PROBED_SYSCALL);
	syscall(SYS_getppid);
	ksft_test_result(kprobe_hits(fd) == 1, "a kprobe is hit again\n");
	close(fd);
}

int main(void)
{
	struct rlimit limit = { .rlim_cur = MAX_FDS + 16, .rlim_max = MAX_FDS + 16 };
	struct usage before;

	begin();
	need(TARGET_KO);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("limit of open files: %s", strerror(errno));
	set_jit("1");
	/* No fixtures: the cases share one full window, because filling it takes long. */
	ksft_set_plan(4 + NR_WHILE_FULL + 4);

	/* Have the kernel allocate the slot page and per-CPU memory that it keeps. */
	close(kprobe_attach(PROBED_SYSCALL));
	before = usage_read();
	fill_window();
	test_others();
	test_all_back(&before);
	usage_free(&before);

	ksft_finished();
}
