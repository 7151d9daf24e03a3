/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the tests of several folders: the users of executable memory
 * (modules, kprobes, BPF programs), and their addresses as the kernel shows
 * them.
 *
 * If the system lacks something that a test needs, these functions end the
 * program with "Bail out!". They return only results that a test must judge.
 */
#ifndef SELFTESTS_KERNEL_MEMORY_COMMON_H
#define SELFTESTS_KERNEL_MEMORY_COMMON_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_SIZE	4096UL
#define BPF_WINDOW	(128UL << 20)

/* Limit for frees that wait for RCU and a worker; an idle host takes few seconds. */
#define SETTLE_LIMIT	120	/* seconds */

/*
 * The names of areas in the page-table dump. On 32-bit, modules and BPF
 * programs are in the vmalloc space, and the kernel is in the direct map.
 */
#define AREA_VMALLOC	"vmalloc() area"
#define AREA_LINEAR	"Linear mapping"
#ifdef __LP64__
#define AREA_MODULES	"Modules/BPF mapping"
#define AREA_KERNEL	"Kernel mapping"
#else
#define AREA_MODULES	AREA_VMALLOC
#define AREA_KERNEL	AREA_LINEAR
#endif

#define TARGET_MODULE	"execmem_target"
#define TARGET_KO	"modules/execmem_target.ko"
#define TARGET_FUNCTION	TARGET_MODULE ":execmem_target_answer"
#define TARGET_ANSWER	42

#define MIB		(1024UL * 1024)
#define GIB		(1024 * MIB)

/* Only tests call it. The instruction at first_insn() needs a slot. */
#define PROBED_SYSCALL	"sys_getppid"

#define PTDUMP		"/sys/kernel/debug/kernel_page_tables"
#define AREAS		"/sys/kernel/debug/execmem_areas"
#define STATS		"/sys/kernel/debug/execmem"
#define TRACING		"/sys/kernel/tracing/"
#define TRACED_FUNCTIONS TRACING "available_filter_functions"

/* One line of PTDUMP */
struct mapping {
	unsigned long start, end;
	unsigned long phys;	/* physical address of start */
	bool large;		/* mapped by entries above the lowest level */
	bool valid, r, w, x;
	const char *area;
};

struct ptdump {
	struct mapping *maps;
	size_t nr;
};

#define die(fmt, ...)						\
	do {							\
		printf("Bail out! " fmt "\n", ##__VA_ARGS__);	\
		exit(1);					\
	} while (0)

/*
 * A test's main() first calls prepare() if kselftest_harness.h prints the
 * header, and otherwise begin(). Without root, both skip the test.
 */
void prepare(void);
void begin(void);
/*
 * Skip the test if the kernel lacks a file, if a module was not built, or if
 * the kernel cannot show its page tables.
 */
void need(const char *path);
void need_ptdump(void);

/* A file's text, its length in bytes, or the number in it. The caller frees the text. */
char *read_file(const char *path);
char *read_bytes(const char *path, size_t *length);
long read_long(const char *path);
/* Write to a file of the kernel. Returns 0 or the errno; must_write() exits on errors. */
int try_write(const char *path, const char *text);
void must_write(const char *path, const char *text);
void write_file(const char *path, const char *text);
/* How often a file has a word */
size_t count_words(const char *path, const char *word);

/* Read the dump. Free it with ptdump_free(). */
struct ptdump ptdump_read(void);
void ptdump_free(struct ptdump *dump);
const struct mapping *ptdump_find(const struct ptdump *dump, unsigned long addr);

/* One line of STATS */
struct stats {
	unsigned long live, asked, used, peak, failed, blocks;
};

/* The statistics of a type, as named in the file, or of "total" */
struct stats stats_of(const char *type);
/* The same, once they are stable: earlier frees may wait for RCU and a worker. */
struct stats stats_at_rest(const char *type);
/* Wait until the live values are those of @before. Returns false after the limit. */
bool stats_settle(const char *type, const struct stats *before);
/* Wait until @more allocations than in @before are live. Returns false after the limit. */
bool stats_come_to(const char *type, const struct stats *before, long more);

/* The address of a symbol in /proc/kallsyms, or 0 */
unsigned long symbol_address(const char *name);

/*
 * The start of the area in /proc/vmallocinfo that holds @addr, or 0.
 */
unsigned long vmalloc_area(unsigned long addr);

/* The areas of /proc/vmallocinfo, grouped by the function that allocated them */
struct caller {
	char name[128];
	size_t areas;
	size_t bytes;
};

struct usage {
	struct caller *callers;
	size_t nr;
};

struct usage usage_read(void);
/* True if no function has more in @now than in @before. With @say, print those that have. */
bool usage_is_back(const struct usage *before, const struct usage *now, bool say);
void usage_free(struct usage *usage);
/* Wait until this is true. Returns false after the limit. */
bool usage_settle(const struct usage *before);

/* Whether the kernel's version has a word: SMP, PREEMPT */
bool kernel_is(const char *word);
/* Whether text comes from the cache of read-only memory */
bool have_rox(void);
/* Whether the kernel can load modules */
bool have_modules(void);

/*
 * Read a module's file, to change it and load it with init_module(). A
 * signature is removed, because it would not match. The caller frees the file.
 */
char *module_read(const char *path, size_t *size);
/* Returns 0 or the errno of finit_module(). */
int module_insert(const char *path, const char *params);
void module_load(const char *path);
/* Returns 0 or the errno of delete_module(). */
int module_remove(const char *name);
void module_unload(const char *name);
unsigned long module_section(const char *module, const char *section);
long target_answer(void);

/*
 * The offset of the first instruction of a function that a kprobe replaces. If
 * the kernel has the function tracer, a function begins with the tracer's call.
 * A kprobe at offset 0 then has no slot, because its instruction is simulated.
 */
unsigned long first_insn(void);
/*
 * Attach a kprobe that counts the hits of this process until its file
 * descriptor is closed. On failure, it returns a negative errno.
 */
int kprobe_open(const char *function, unsigned long offset);
/* The same at an address */
int kprobe_open_at(unsigned long addr);
/* The same at first_insn() */
int kprobe_attach(const char *function);
unsigned long kprobe_hits(int fd);
/* Removing a probe waits for RCU several times: with "1" that is short, until "0". */
void expedite_rcu(const char *value);

/* Create a map with 32-bit keys. Returns a file descriptor or a negative errno. */
int bpf_map(enum bpf_map_type type, size_t value_size, size_t entries, unsigned int flags);
/* Load a program. Returns a file descriptor or a negative errno. */
int bpf_load_insns(enum bpf_prog_type type, const struct bpf_insn *insns, size_t nr);
/* Load a program that calls a helper and returns @value. */
int bpf_load(int value);
/* The same, but returns a negative errno if it fails. */
int bpf_open(int value);
/* Load a program of the largest size that returns @value. Returns a negative errno if it fails. */
int bpf_load_large(int value);
unsigned int bpf_run(int fd);
/* Run a program @repeat times and get its result. Returns 0 or the errno. */
int bpf_test_run(int fd, unsigned int repeat, unsigned int *result);
/* The address of a program's JIT image, or 0 */
unsigned long bpf_address(int fd);
/* The size of the image in bytes, or 0 */
size_t bpf_image_size(int fd);
/* Get a program's name in /proc/kallsyms. */
void bpf_symbol(int fd, char *name, size_t size);

/* The window of images. Without the cache, it is the last BPF_WINDOW bytes below the end. */
unsigned long bpf_window_start(void);
unsigned long bpf_window_end(void);
/* Whether an address is behind the kernel's text, where the cache begins */
bool in_text_tail(unsigned long addr);

void pin_to_cpu(int cpu);

/* fail_nth() refuses the nth allocation of this process from now on, or none if nth is 0. */
void fail_prepare(void);
void fail_nth(unsigned int nth);
/* The number of allocations before one is refused, or 0 if one was refused */
unsigned int fail_pending(void);

#endif /* SELFTESTS_KERNEL_MEMORY_COMMON_H */
