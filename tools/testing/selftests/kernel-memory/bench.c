// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work whose cost is measured. Each piece of work is a section between two
 * marker instructions without effect, which an emulator's plugin can see. At
 * the first marker, a0 points to the section's name, and a1 is the number of
 * times that the section does its work.
 *
 * A section is printed, too, with its instructions for each time. This number
 * is right only on one hart, under QEMU's -icount shift=0, where a nanosecond
 * is an instruction, and only if the section does not wait. Other results are
 * printed as "value NAME NUMBER".
 *
 *   bench bpf PROGRAMS INSNS	load and close BPF programs of this length
 *   bench kprobe		add, arm, disarm, remove a kprobe with a slot
 *   bench kprobes COUNT	the same for COUNT kprobes in a module
 *   bench calls PROGRAMS INSNS MODULES	load all, then run each in turn
 *   bench tracing		trace a function, or all: switch, and call
 *   bench module NAME [PARAMETERS]	insert and remove a module
 *   bench functions COUNT...	insert and remove a module of this size, once
 *   bench pieces LIVE SIZE...	allocate and free, beside LIVE pieces
 *   bench memory MIB...	add and remove memory
 *   bench online BLOCKS	add and remove a block beside BLOCKS others
 *   bench adders NR		NR processes at once add, then remove memory
 *   bench resize MIB		resize: the host does it at "resize BYTES"
 *   bench fork			fork, exit and wait
 *   bench trace STEPS SEED	load and unload all kinds at random
 *   bench sizes STEPS SEED	load and unload programs of production's sizes
 *
 * With "-p" as the first argument, it waits for a line of input when all
 * objects of a series are loaded.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/membarrier.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "btf.h"
#include "common.h"
#include "memory.h"

#define KPROBE_EVENTS	"/sys/kernel/tracing/kprobe_events"
#define KPROBE_ENABLE	"/sys/kernel/tracing/events/bench/enable"
#define TRACER		TRACING "current_tracer"
#define TRACER_FILTER	TRACING "set_ftrace_filter"
/* What lseek() of /dev/null calls through a pointer, in each kernel; nothing else calls it meanwhile. */
#define TRACED		"null_lseek"
#define CALLS		1000
#define ENOTSUPP	524	/* the kernel's errno for what an architecture lacks */
#define BENCH_DIR	"/sys/kernel/debug/execmem_bench"
#define BENCH_MODULE	"execmem_bench"
#define BENCH_KO	"modules/execmem_bench.ko"

#define ROUNDS		20	/* of work whose single run is short */
#define PAIRS		1000
#define MAX_COPIES	100
#define MAX_LIVE	500	/* programs in a trace, */
#define LIVE_PROBES	100
#define LIVE_MODULES	20
#define MAX_INSNS	4096
#define MAX_ADDERS	8
#define ADDER_BLOCKS	16
#define RESIZE_LIMIT	30	/* seconds; virtio-mem takes 50 for memory in use */

static bool pauses;
/* False in the first round of some work, which differs from later rounds. */
static bool counted = true;
static char section[64];
static unsigned long units, section_start;

static unsigned long instructions(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000UL + now.tv_nsec;
}

#ifdef __riscv
#define mark(n, name, units)							\
	do {									\
		register const char *a0 asm("a0") = (name);			\
		register unsigned long a1 asm("a1") = (units);			\
		asm volatile("slti x0, x0, " #n : : "r"(a0), "r"(a1) : "memory");	\
	} while (0)
#else
#define mark(n, name, units) do { } while (0)
#endif

/* Both markers are few instructions, the same number for all sections. */
#define begin(nr, ...)							\
	do {								\
		snprintf(section, sizeof(section), __VA_ARGS__);	\
		units = (nr);						\
		section_start = instructions();				\
		if (counted)						\
			mark(1, section, units);			\
	} while (0)

static void end(void)
{
	if (!counted)
		return;
	mark(2, section, units);
	printf("section %s %lu\n", section, (instructions() - section_start) / units);
}

static void print_value(const char *what, long number)
{
	printf("value %s %ld\n", what, number);
}

static void pause_for(const char *what)
{
	if (!pauses)
		return;
	printf("pause %s\n", what);
	while (getchar() != '\n')
		;
}

/*
 * Wait for frees: they wait for a grace period and are then made in batches by
 * a worker. The costs of an idle wait are part of the work of all callers.
 */
static void settle(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0))
			die("membarrier: %s", strerror(errno));
		usleep(20000);
	}
}

static int *many_files(size_t nr)
{
	const struct rlimit limit = { nr + 64, nr + 64 };
	int *fds = calloc(nr, sizeof(*fds));

	if (!fds || setrlimit(RLIMIT_NOFILE, &limit))
		die("open %zu files: %s", nr, strerror(errno));
	return fds;
}

static int load_program(size_t nr)
{
	static struct bpf_insn insns[MAX_INSNS];
	static unsigned int loaded;
	size_t i;
	int fd;

	for (i = 0; i < nr - 1; i++)
		insns[i] = (struct bpf_insn){
			.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = i
		};
	insns[i] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
	fd = bpf_load_insns(BPF_PROG_TYPE_SOCKET_FILTER, insns, nr);
	if (fd < 0)
		die("BPF load, after %u programs: %s", loaded, strerror(-fd));
	loaded++;
	return fd;
}

static void print_per_program(const char *what, long number, size_t programs)
{
	print_value(what, number / (long)programs);
}

static void bench_bpf(size_t programs, size_t nr)
{
	int *fds = many_files(programs);
	unsigned long used;
	long pages;
	size_t i;

	/* Do not count work that only the first program causes. */
	close(load_program(nr));
	settle();

	used = meminfo_bytes("VmallocUsed");
	pages = free_pages();
	begin(programs, "bpf-load %zu x %zu", programs, nr);
	for (i = 0; i < programs; i++)
		fds[i] = load_program(nr);
	end();
	pages -= free_pages();
	print_per_program("free-bytes", pages * (long)PAGE_SIZE, programs);
	print_per_program("vmalloc-bytes", meminfo_bytes("VmallocUsed") - used, programs);
	print_value("image-bytes", bpf_image_size(fds[0]));
	if (!access(STATS, F_OK))
		print_per_program("executable-bytes", stats_of("bpf").used, programs);
	pause_for("bpf");

	begin(programs, "bpf-unload %zu x %zu", programs, nr);
	for (i = 0; i < programs; i++)
		close(fds[i]);
	settle();
	end();
	free(fds);
}

/* Run an operation of modules/execmem_bench.c. */
static void operate(const char *operation, unsigned long count, unsigned long size)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), BENCH_DIR "/%s", operation);
	snprintf(text, sizeof(text), "%lu %lu", count, size);
	must_write(path, text);
}

/*
 * Find a kprobe event that this kernel accepts. The system call's function has
 * another name in each kernel. Where the function tracer owns the first 8
 * bytes of a function, other probes cannot be there.
 */
static const char *find_kprobe_event(void)
{
	static const char * const names[] = {
		"__riscv_sys_getppid", "__do_sys_getppid", PROBED_SYSCALL
	};
	static char event[64];
	unsigned int i, offset;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		for (offset = 0; offset <= 8; offset += 8) {
			snprintf(event, sizeof(event), "p:bench/p %s+%u\n", names[i], offset);
			if (!try_write(KPROBE_EVENTS, event)) {
				must_write(KPROBE_EVENTS, "-:bench/p\n");
				return event;
			}
		}
	}
	die("the kernel takes no kprobe of the system call getppid");
}

/* Use tracing: every kernel has it. */
static void bench_kprobe(void)
{
	const char *event = find_kprobe_event();
	size_t i;

	for (i = 0; i <= ROUNDS; i++) {
		counted = i > 0;
		begin(1, "kprobe-event-arm");
		must_write(KPROBE_EVENTS, event);
		write_file(KPROBE_ENABLE, "1");
		end();
		begin(1, "kprobe-event-disarm");
		write_file(KPROBE_ENABLE, "0");
		must_write(KPROBE_EVENTS, "-:bench/p\n");
		end();
		settle();
	}
}

static void call_traced(int file, const char *how)
{
	int i;

	begin(CALLS, "call %s", how);
	for (i = 0; i < CALLS; i++)
		lseek(file, 0, SEEK_SET);
	end();
}

static void set_tracer(const char *tracer, const char *functions)
{
	begin(1, "tracer %s %s", tracer, functions);
	must_write(TRACER, tracer);
	end();
}

/* The traced function has a probe at its first instruction, or at another one. */
static void bench_probed(int file, const char *where, unsigned int offset, unsigned int last)
{
	char event[64], arm[32], disarm[32];
	int err;

	do {
		snprintf(event, sizeof(event), "p:bench/p " TRACED "+%u\n", offset);
		err = try_write(KPROBE_EVENTS, event);
		/* There may be no instruction here, but the second half of one. */
		offset += 2;
	} while (err && offset <= last);
	if (err)
		die("the kernel takes no kprobe of " TRACED ": %s", strerror(err));
	snprintf(arm, sizeof(arm), "probe %s arm", where);
	snprintf(disarm, sizeof(disarm), "probe %s disarm", where);
	begin(1, "%s", arm);
	must_write(KPROBE_ENABLE, "1");
	end();
	call_traced(file, where);
	begin(1, "%s", disarm);
	must_write(KPROBE_ENABLE, "0");
	end();
	must_write(KPROBE_EVENTS, "-:bench/p\n");
}

/* A BPF program without effect. In kernels without BPF trampolines, it cannot be attached. */
static void bench_fentry(int file)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_TRACING,
		.insns = (uintptr_t)insns,
		.insn_cnt = ARRAY_SIZE(insns),
		.license = (uintptr_t)"GPL",
		.expected_attach_type = BPF_TRACE_FENTRY,
		.attach_btf_id = btf_find(BTF_KIND_FUNC, TRACED, NULL),
	};
	int program = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)), link;

	if (program < 0)
		die("BPF load: %s", strerror(errno));
	attr = (union bpf_attr){ .raw_tracepoint.prog_fd = program };
	link = syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr));
	if (link < 0 && errno == ENOTSUPP)
		goto out;
	if (link < 0)
		die("fentry of " TRACED ": %s", strerror(errno));
	close(link);

	begin(1, "fentry attach");
	link = syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr));
	end();
	if (link < 0)
		die("fentry of " TRACED ": %s", strerror(errno));
	call_traced(file, "fentry");
	begin(1, "fentry detach");
	close(link);
	end();
out:
	close(program);
}

static void bench_tracing(void)
{
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC), round;

	if (file < 0)
		die("/dev/null: %s", strerror(errno));
	for (round = 0; round <= ROUNDS; round++) {
		counted = round > 0;
		call_traced(file, "alone");
		must_write(TRACER_FILTER, TRACED);
		set_tracer("function", "one");
		call_traced(file, "traced");
		set_tracer("nop", "one");
		write_file(TRACER_FILTER, "");
		bench_probed(file, "entry", 0, 0);
		/* The instruction for the tracer has 4 bytes or more. */
		bench_probed(file, "inside", 8, 20);
		bench_fentry(file);
		settle();
	}
	set_tracer("function", "all");
	set_tracer("nop", "all");
	close(file);
}

/* Use instructions in a module, without the costs of tracing. */
static void bench_kprobes(unsigned int count)
{
	unsigned int i;

	module_load(BENCH_KO);
	for (i = 0; i <= (count == 1 ? ROUNDS : 1); i++) {
		counted = i > 0;
		begin(count, "kprobe-arm %u", count);
		operate("probe", count, 0);
		end();
		begin(count, "kprobe-disarm %u", count);
		operate("probe", 0, 0);
		end();
		settle();
	}
	module_unload(BENCH_MODULE);
}

/* Each copy of a module has its own name. All names have the same length. */
static const char *copy_name(unsigned int number)
{
	static char name[sizeof(TARGET_MODULE)];

	snprintf(name, sizeof(name), "%.*s%02u", (int)strlen(TARGET_MODULE) - 2, TARGET_MODULE,
		 number % MAX_COPIES);
	return name;
}

static void insert_copy(unsigned int number)
{
	static const char name[] = TARGET_MODULE;
	char *image, *at;
	size_t size;

	image = module_read(TARGET_KO, &size);
	for (at = image; (at = memmem(at, image + size - at, name, sizeof(name))); at++)
		memcpy(at, copy_name(number), sizeof(name));
	if (syscall(SYS_init_module, image, size, ""))
		die("insert copy %u of " TARGET_MODULE ": %s", number, strerror(errno));
	free(image);
}

static void bench_calls(size_t programs, size_t nr, unsigned int modules)
{
	int *fds = many_files(programs);
	unsigned int copy, round;
	char path[128];
	size_t i;

	for (i = 0; i < programs; i++)
		fds[i] = load_program(nr);
	for (copy = 0; copy < modules; copy++)
		insert_copy(copy);
	pause_for("calls");

	for (round = 0; round < 4; round++) {
		counted = round > 0;
		begin(programs, "calls %zu", programs);
		for (i = 0; i < programs; i++)
			bpf_run(fds[i]);
		/* Reading the parameter runs text of the module. */
		for (copy = 0; copy < modules; copy++) {
			snprintf(path, sizeof(path), "/sys/module/%s/parameters/answer",
				 copy_name(copy));
			if (read_long(path) != TARGET_ANSWER)
				die("%s has a wrong value", path);
		}
		end();
	}

	for (copy = 0; copy < modules; copy++)
		module_unload(copy_name(copy));
	for (i = 0; i < programs; i++)
		close(fds[i]);
	free(fds);
}

/* Small modules come first, so that work done only once is not counted for a large one. */
static void bench_functions(char *counts[])
{
	char name[64], path[128];

	for (; *counts; counts++) {
		snprintf(name, sizeof(name), "functions_%s", *counts);
		snprintf(path, sizeof(path), "modules/%s.ko", name);
		begin(1, "insmod %s functions", *counts);
		module_load(path);
		end();
		begin(1, "rmmod %s functions", *counts);
		module_unload(name);
		settle();
		end();
	}
}

static void bench_module(const char *name, const char *params)
{
	char path[128];
	int round, err;

	snprintf(path, sizeof(path), "modules/%s.ko", name);
	for (round = 0; round <= ROUNDS; round++) {
		counted = round > 0;
		begin(1, "insmod %s", name);
		err = module_insert(path, params);
		end();
		if (err)
			die("insert %s: %s", path, strerror(err));
		begin(1, "rmmod %s", name);
		module_unload(name);
		settle();
		end();
	}
}

static void bench_pieces(unsigned long live, char **sizes)
{
	module_load(BENCH_KO);
	operate("hold", live, 0);
	for (; *sizes; sizes++) {
		unsigned long size = strtoul(*sizes, NULL, 10);

		operate("pairs", PAIRS, size);
		begin(PAIRS, "pieces %lu at %lu live", size, live);
		operate("pairs", PAIRS, size);
		end();
	}
	module_unload(BENCH_MODULE);
}

static void must_hotplug(const char *operation, unsigned long start, unsigned long size)
{
	int err = hotplug(operation, start, size);

	if (err)
		die("%s %lu MiB: %s", operation, size / MIB, strerror(err));
}

/* Add and remove memory in one step. @when is appended to the names of the sections. */
static void bench_range(unsigned long start, unsigned long mib, const char *when)
{
	int round;

	for (round = 0; round < 2; round++) {
		counted = round > 0;
		begin(1, "hot-add %lu%s", mib, when);
		must_hotplug("add", start, mib * MIB);
		end();
		begin(1, "hot-remove %lu%s", mib, when);
		must_hotplug("remove", start, mib * MIB);
		end();
	}
}

static void bench_memory(char **sizes)
{
	module_load("modules/hotplug_range.ko");
	for (; *sizes; sizes++)
		bench_range(unused_ram().start, strtoul(*sizes, NULL, 10), "");
	module_unload("hotplug_range");
}

/* Add the other blocks one by one, so that each has its own range in iomem. */
static void bench_online(unsigned int blocks)
{
	unsigned long start, end, at, block = block_size();
	char when[32];

	module_load("modules/hotplug_range.ko");
	start = unused_ram().start;
	end = start + blocks * block;
	for (at = start; at < end; at += block)
		must_hotplug("add", at, block);
	snprintf(when, sizeof(when), " beside %u", blocks);
	bench_range(end, block / MIB, when);
	for (at = start; at < end; at += block)
		must_hotplug("remove", at, block);
	module_unload("hotplug_range");
}

/*
 * Start a process that adds or removes its own blocks. Write the name of an
 * operation to the returned file; the process answers with an errno or 0.
 */
static int start_adder(unsigned long start, int answers)
{
	unsigned long block = block_size();
	const char *operation;
	int files[2], err, i;
	pid_t child;

	if (pipe(files))
		die("pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (child) {
		close(files[0]);
		return files[1];
	}

	close(files[1]);
	while (read(files[0], &operation, sizeof(operation)) == sizeof(operation)) {
		for (i = 0, err = 0; i < ADDER_BLOCKS && !err; i++)
			err = hotplug(operation, start + i * block, block);
		if (write(answers, &err, sizeof(err)) != sizeof(err))
			break;
	}
	_exit(0);
}

static void adders_do(const char *operation, const int *adders, unsigned int nr, int answers)
{
	unsigned int i;
	int err;

	begin(nr * ADDER_BLOCKS, "hot-%s by %u", operation, nr);
	for (i = 0; i < nr; i++) {
		if (write(adders[i], &operation, sizeof(operation)) != sizeof(operation))
			die("tell an adder: %s", strerror(errno));
	}
	for (i = 0; i < nr; i++) {
		if (read(answers, &err, sizeof(err)) != sizeof(err))
			die("an adder does not answer");
		if (err)
			die("%s a block, one of %u adders: %s", operation, nr, strerror(err));
	}
	end();
}

/*
 * All adders run on one hart and take turns. On several harts, a process would
 * spin while another one has the lock, for a random time. The adders start
 * before the memory is added: pages in that memory would have to be moved.
 */
static void bench_adders(unsigned int nr)
{
	unsigned long start, size = ADDER_BLOCKS * block_size();
	int adders[MAX_ADDERS], answers[2];
	unsigned int i, round;

	if (nr > MAX_ADDERS || pipe(answers))
		die("%u adders cannot be had", nr);
	module_load("modules/hotplug_range.ko");
	start = unused_ram().start;
	for (i = 0; i < nr; i++)
		adders[i] = start_adder(start + i * size, answers[1]);
	for (round = 0; round < 2; round++) {
		counted = round > 0;
		adders_do("add", adders, nr, answers[0]);
		adders_do("remove", adders, nr, answers[0]);
	}
	for (i = 0; i < nr; i++)
		close(adders[i]);
	while (wait(NULL) > 0)
		;
	module_unload("hotplug_range");
}

/*
 * Have the host change the guest's memory. When memory is added, MemTotal is
 * the last to change; when it is removed, its range in /proc/iomem is.
 */
static void become(unsigned long total, unsigned long size)
{
	struct ranges hot;
	int tenths;

	printf("resize %lu\n", size);
	for (tenths = 0; tenths < 10 * RESIZE_LIMIT; tenths++) {
		hot = hot_ranges();
		if (ranges_size(&hot) == size && meminfo_bytes("MemTotal") == total + size)
			return;
		usleep(100000);
	}
	die("not %lu MiB larger in %d s", size / MIB, RESIZE_LIMIT);
}

static void bench_resize(unsigned long mib)
{
	unsigned long total = meminfo_bytes("MemTotal");
	int round;

	for (round = 0; round < 2; round++) {
		counted = round > 0;
		begin(1, "grow %lu", mib);
		become(total, mib * MIB);
		end();
		begin(1, "shrink %lu", mib);
		become(total, 0);
		end();
	}
}

static void bench_fork(void)
{
	int i, round;

	fflush(stdout);
	for (round = 0; round < 2; round++) {
		counted = round > 0;
		begin(10 * ROUNDS, "fork+exit");
		for (i = 0; i < 10 * ROUNDS; i++) {
			pid_t child = fork();

			if (!child)
				_exit(0);
			if (!child_succeeds(child))
				die("fork: the child failed");
		}
		end();
	}
}

static unsigned int next_random(unsigned int *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Half of the programs are small, and few are large. */
static unsigned int random_length(unsigned int *seed)
{
	unsigned int insns = next_random(seed) % 2048;

	return 2 + (insns >> next_random(seed) % 11);
}

/*
 * The sizes that Meta has published of its servers: half of the programs have
 * less than 500 bytes of machine code, three quarters less than 2 KiB. An
 * instruction of load_program() becomes about 4 bytes. How the sizes are
 * distributed inside of a quarter is not known. Here they are as likely in
 * one octave as in another.
 */
static unsigned int production_length(unsigned int *seed)
{
	static const struct {
		unsigned int longest, octaves;
	} quarters[] = { { 120, 4 }, { 120, 4 }, { 480, 2 }, { 3840, 3 } };
	unsigned int quarter = next_random(seed) % ARRAY_SIZE(quarters), longest;

	longest = quarters[quarter].longest >> next_random(seed) % quarters[quarter].octaves;
	return longest - next_random(seed) % (longest / 2);
}

static void flip_program(int *fd, unsigned int (*length)(unsigned int *), unsigned int *seed)
{
	if (*fd)
		close(*fd);
	*fd = *fd ? 0 : load_program(length(seed));
}

static void close_programs(int *fds, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (fds[i])
			close(fds[i]);
	}
	free(fds);
}

static void bench_sizes(unsigned int steps, unsigned int seed)
{
	int *fds = many_files(MAX_LIVE);
	unsigned long live = 0, below_500 = 0, below_2048 = 0, bytes = 0;
	unsigned int i;

	begin(steps, "sizes %u", steps);
	for (i = 0; i < steps; i++) {
		unsigned int slot = next_random(&seed) % MAX_LIVE;

		flip_program(&fds[slot], production_length, &seed);
	}
	settle();
	end();

	for (i = 0; i < MAX_LIVE; i++) {
		unsigned long size = fds[i] ? bpf_image_size(fds[i]) : 0;

		live += !!size;
		bytes += size;
		below_500 += size && size < 500;
		below_2048 += size && size < 2048;
	}
	print_value("live", live);
	print_value("below-500", below_500);
	print_value("below-2048", below_2048);
	print_value("image-bytes", bytes);
	pause_for("sizes");
	close_programs(fds, MAX_LIVE);
}

/* Of 20 steps, 16 are for programs, 3 for kprobes, 1 for a module; half of them unload. */
static void bench_trace(unsigned int steps, unsigned int seed)
{
	int *fds = many_files(MAX_LIVE);
	bool modules[LIVE_MODULES] = { };
	unsigned long image = 0;
	unsigned int i, number;

	module_load(BENCH_KO);
	counted = true;
	begin(steps, "trace %u", steps);
	for (i = 0; i < steps; i++) {
		unsigned int kind = next_random(&seed) % 20;

		number = next_random(&seed);
		if (kind > 3) {
			flip_program(&fds[number % MAX_LIVE], random_length, &seed);
		} else if (kind) {
			operate("flip", number % LIVE_PROBES, 0);
		} else {
			bool *there = &modules[number %= LIVE_MODULES];

			if (*there)
				module_unload(copy_name(number));
			else
				insert_copy(number);
			*there = !*there;
		}
	}
	settle();
	end();

	for (i = 0; i < MAX_LIVE; i++) {
		if (fds[i])
			image += bpf_image_size(fds[i]);
	}
	print_value("trace-image-bytes", image);
	pause_for("trace");

	for (number = 0; number < LIVE_MODULES; number++) {
		if (modules[number])
			module_unload(copy_name(number));
	}
	module_unload(BENCH_MODULE);
	close_programs(fds, MAX_LIVE);
}

static unsigned long number(const char *text)
{
	char *stop;
	unsigned long value = text ? strtoul(text, &stop, 10) : 0;

	if (!value || *stop)
		die("usage: bench [-p] WORK NUMBER..., as bench.c says");
	return value;
}

int main(int argc, char **argv)
{
	const char *what;
	char seed;

	setlinebuf(stdout);
	pauses = argc > 1 && !strcmp(argv[1], "-p");
	argv += 1 + pauses;
	what = *argv ? *argv++ : "";

	/* On one hart: the others are idle, and need no interrupts because of this process. */
	pin_to_cpu(0);
	/* Wait for entropy: before, each random number costs as much as a program. */
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		die("getrandom: %s", strerror(errno));

	if (!strcmp(what, "bpf") && number(argv[0]) && number(argv[1]) > 1)
		bench_bpf(number(argv[0]), number(argv[1]));
	else if (!strcmp(what, "kprobe"))
		bench_kprobe();
	else if (!strcmp(what, "tracing"))
		bench_tracing();
	else if (!strcmp(what, "kprobes"))
		bench_kprobes(number(argv[0]));
	else if (!strcmp(what, "calls") && number(argv[0]) && number(argv[1]) > 1)
		bench_calls(number(argv[0]), number(argv[1]), strtoul(argv[2] ?: "0", NULL, 10));
	else if (!strcmp(what, "functions") && argv[0])
		bench_functions(argv);
	else if (!strcmp(what, "module") && argv[0] && !(argv[1] && argv[2]))
		bench_module(argv[0], argv[1] ?: "");
	else if (!strcmp(what, "pieces") && argv[0])
		bench_pieces(strtoul(argv[0], NULL, 10), argv + 1);
	else if (!strcmp(what, "memory"))
		bench_memory(argv);
	else if (!strcmp(what, "online"))
		bench_online(number(argv[0]));
	else if (!strcmp(what, "adders"))
		bench_adders(number(argv[0]));
	else if (!strcmp(what, "resize"))
		bench_resize(number(argv[0]));
	else if (!strcmp(what, "fork"))
		bench_fork();
	else if (!strcmp(what, "trace") && number(argv[0]) && number(argv[1]))
		bench_trace(number(argv[0]), number(argv[1]));
	else if (!strcmp(what, "sizes") && number(argv[0]) && number(argv[1]))
		bench_sizes(number(argv[0]), number(argv[1]));
	else
		number(NULL);
	return 0;
}
