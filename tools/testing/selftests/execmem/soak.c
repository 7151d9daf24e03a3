// SPDX-License-Identifier: GPL-2.0-only
/*
 * soak [SECONDS [SEED]]: eight processes load and unload modules, kprobes and
 * BPF programs at random, at the same time. At the end nothing is left.
 *
 * Each process has its own module: a copy of the target module under another
 * name.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define PROCESSES	8
#define SECONDS		120

/* The most programs that a process has loaded at once. */
#define BPF_BATCH	16

enum kind { MODULE, KPROBE, MODULE_KPROBE, BPF, KINDS };

static const char * const kinds[KINDS] = {
	"modules", "kprobes on the kernel", "kprobes on a module", "BPF programs",
};

static const char * const types[] = { "module-text", "module-data", "kprobes", "bpf", "total" };

/* How many operations of each kind a process has completed. */
static unsigned long (*done)[KINDS];

struct copy {
	char *image;
	size_t size;
	char name[sizeof(TARGET_MODULE)];
};

/*
 * The module's name is a separate string in the image, in struct module and in
 * .modinfo. Replace these strings by a name of the same length.
 */
static struct copy module_copy(unsigned int number)
{
	struct copy copy = { .name = TARGET_MODULE };
	char *at;

	copy.image = module_read(TARGET_KO, &copy.size);
	copy.name[sizeof(copy.name) - 2] = '0' + number;
	for (at = copy.image;
	     (at = memmem(at, copy.image + copy.size - at, TARGET_MODULE, sizeof(TARGET_MODULE)));
	     at++)
		memcpy(at, copy.name, sizeof(copy.name));
	return copy;
}

static void check_answer(const struct copy *copy)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/answer", copy->name);
	if (read_long(path) != TARGET_ANSWER)
		die("the text of %s returned a wrong value", copy->name);
}

static void soak_module(const struct copy *copy, bool probed)
{
	char function[64];
	int fd;

	if (syscall(SYS_init_module, copy->image, copy->size, ""))
		die("load %s: %s", copy->name, strerror(errno));
	check_answer(copy);
	if (probed) {
		snprintf(function, sizeof(function), "%s:%s_answer", copy->name, TARGET_MODULE);
		fd = kprobe_attach(function);
		check_answer(copy);
		if (kprobe_hits(fd) != 1)
			die("the kprobe on %s was not hit", function);
		close(fd);
	}
	module_unload(copy->name);
}

static void soak_kprobe(void)
{
	int fd = kprobe_attach(PROBED_SYSCALL);

	syscall(SYS_getppid);
	if (kprobe_hits(fd) != 1)
		die("the kprobe was not hit");
	close(fd);
}

/* The order of freeing differs from that of loading. */
static unsigned int soak_bpf(unsigned int count)
{
	int fds[BPF_BATCH];
	unsigned int i;

	for (i = 0; i < count; i++)
		fds[i] = bpf_load(i);
	for (i = 0; i < count; i++) {
		if (bpf_run(fds[i]) != i)
			die("a BPF program returned a wrong value");
	}
	for (i = 0; i < count; i += 2)
		close(fds[i]);
	for (i = 1; i < count; i += 2)
		close(fds[i]);
	return count;
}

static void once(enum kind kind, const struct copy *copy, unsigned long *counts)
{
	unsigned int count = 1;

	switch (kind) {
	case MODULE:
	case MODULE_KPROBE:
		soak_module(copy, kind == MODULE_KPROBE);
		break;
	case KPROBE:
		soak_kprobe();
		break;
	default:
		count = soak_bpf(1 + random() % BPF_BATCH);
	}
	counts[kind] += count;
}

/* Run until @end, but at least one round of all kinds. */
static void process(unsigned int number, unsigned int seed, time_t end)
{
	struct copy copy = module_copy(number);
	int kind;

	srandom(seed + number);
	for (kind = 0; kind < KINDS; kind++)
		once(kind, &copy, done[number]);
	while (time(NULL) < end)
		once(random() % KINDS, &copy, done[number]);
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? strtoul(argv[1], NULL, 0) : SECONDS;
	unsigned int seed = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	struct stats before[ARRAY_SIZE(types)];
	unsigned long warm_up[KINDS];
	pid_t pids[PROCESSES];
	unsigned int i, kind;
	struct copy copy;
	time_t end;

	begin();
	need(STATS);
	need(TARGET_KO);
	/* No fixtures: all cases are about one run of all processes. */
	ksft_set_plan(PROCESSES + KINDS + ARRAY_SIZE(types));

	/* Not the time: the clock may start at the same time with each boot. */
	if (argc <= 2 && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		die("random seed: %s", strerror(errno));
	done = mmap(NULL, PROCESSES * sizeof(*done), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (done == MAP_FAILED)
		die("map memory: %s", strerror(errno));

	/* Have kprobes allocate the page of slots that they keep. */
	copy = module_copy(0);
	for (kind = 0; kind < KINDS; kind++)
		once(kind, &copy, warm_up);
	sleep(1);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		before[i] = stats_of(types[i]);

	ksft_print_msg("%u processes, %u seconds, seed %u\n", PROCESSES, seconds, seed);
	end = time(NULL) + seconds;
	fflush(stdout);
	for (i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork: %s", strerror(errno));
		if (!pids[i]) {
			process(i, seed, end);
			exit(0);
		}
	}
	for (i = 0; i < PROCESSES; i++) {
		int status = -1;

		waitpid(pids[i], &status, 0);
		ksft_test_result(!status, "process %u did all that it set out to do\n", i);
	}

	for (kind = 0; kind < KINDS; kind++) {
		unsigned long sum = 0;

		for (i = 0; i < PROCESSES; i++)
			sum += done[i][kind];
		ksft_print_msg("%lu %s\n", sum, kinds[kind]);
		ksft_test_result(sum, "%s were loaded and unloaded\n", kinds[kind]);
	}

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		bool back = stats_settle(types[i], &before[i]);
		struct stats now = stats_of(types[i]);

		ksft_print_msg("%s: %lu live, %lu before, at most %lu KiB\n", types[i], now.live,
			       before[i].live, now.peak >> 10);
		ksft_test_result(back, "%s: as much is live as before\n", types[i]);
	}

	ksft_finished();
}
