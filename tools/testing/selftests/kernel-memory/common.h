/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of several folders share: the users of executable memory
 * (modules, kprobes, BPF programs) and where the kernel says that they are.
 *
 * Everything here ends the program with "Bail out!" when the system cannot do
 * what a test needs; only what a test is about is left for it to judge.
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

/* Frees that wait for RCU and for a worker; long over when nothing leaks. */
#define SETTLE_LIMIT	30	/* seconds */

/*
 * The names the page-table dump gives to the areas. On 32-bit modules and BPF
 * are in the vmalloc space and the kernel is in the direct map.
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

/* Nothing but a test calls it, and the instruction at first_insn() needs a slot. */
#define PROBED_SYSCALL	"sys_getppid"

#define PTDUMP		"/sys/kernel/debug/kernel_page_tables"
#define STATS		"/sys/kernel/debug/execmem"

/* One line of PTDUMP */
struct mapping {
	unsigned long start, end;
	unsigned long phys;	/* of the start */
	bool large;		/* entries above the lowest level */
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
 * What main() of a test begins with, if kselftest_harness.h prints the header and if not. They
 * skip the test, with exit code 4, unless root runs it.
 */
void prepare(void);
void begin(void);
/*
 * Skip it as well where the kernel does not have a file, or a module was not built, and where
 * the kernel cannot show its page tables.
 */
void need(const char *path);
void need_ptdump(void);

/* The whole file, how many bytes it has, or the number in it; free() the text. */
char *read_file(const char *path);
char *read_bytes(const char *path, size_t *length);
long read_long(const char *path);
/* Write to a file of the kernel's: returns 0 or the errno, or ends the program. */
int try_write(const char *path, const char *text);
void must_write(const char *path, const char *text);
void write_file(const char *path, const char *text);

/* Takes the dump; free it with ptdump_free(). */
struct ptdump ptdump_read(void);
void ptdump_free(struct ptdump *dump);
const struct mapping *ptdump_find(const struct ptdump *dump, unsigned long addr);

/* One line of STATS */
struct stats {
	unsigned long live, asked, used, peak, failed, blocks;
};

/* Of a type as the file names it, or of "total". */
struct stats stats_of(const char *type);
/* The same, once it does not change: what was freed before may wait for RCU and a worker. */
struct stats stats_at_rest(const char *type);
/* True once what is live is what was @before, false if that takes too long. */
bool stats_settle(const char *type, const struct stats *before);
/* True once as many are live as in @before, and @more; false if that takes too long. */
bool stats_come_to(const char *type, const struct stats *before, long more);

/* The address of a symbol in /proc/kallsyms, 0 if there is none. */
unsigned long symbol_address(const char *name);

/*
 * The start of the /proc/vmallocinfo area that holds @addr, 0 if none does.
 */
unsigned long vmalloc_area(unsigned long addr);

/* The areas of /proc/vmallocinfo by who allocated them. */
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
/* True if nobody has more in @now than in @before; @say names who has. */
bool usage_is_back(const struct usage *before, const struct usage *now, bool say);
void usage_free(struct usage *usage);
/* True as soon as it is, false if that takes too long. */
bool usage_settle(const struct usage *before);

/* Whether text is served from the cache of read-only memory. */
bool have_rox(void);
/* Whether the kernel can load modules at all. */
bool have_modules(void);

/*
 * A module's file, to be changed and loaded with init_module(): without its signature,
 * which is not that of a changed file. The caller frees it.
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
 * Where the first instruction of a function is that a kprobe replaces. A function begins
 * with the call of the function tracer, if the kernel has that: a kprobe at offset 0 is
 * then carried out by the tracer, and has no slot.
 */
unsigned long first_insn(void);
/*
 * A kprobe that counts the hits of this process, until its file descriptor is
 * closed. kprobe_open() returns a negative errno if it cannot be had.
 */
int kprobe_open(const char *function, unsigned long offset);
/* At first_insn() */
int kprobe_attach(const char *function);
unsigned long kprobe_hits(int fd);

/* Of a map whose keys have 32 bits. Returns a file descriptor or a negative errno. */
int bpf_map(enum bpf_map_type type, size_t value_size, size_t entries, unsigned int flags);
/* Returns a file descriptor or a negative errno. */
int bpf_load_insns(enum bpf_prog_type type, const struct bpf_insn *insns, size_t nr);
/* A BPF program that calls a helper and returns @value. */
int bpf_load(int value);
/* The same, but returns the negative errno if it fails. */
int bpf_open(int value);
/* One that returns @value and is as large as can be; returns a negative errno if it fails. */
int bpf_load_large(int value);
unsigned int bpf_run(int fd);
/* Runs it @repeat times for @result; returns 0 or the errno. */
int bpf_test_run(int fd, unsigned int repeat, unsigned int *result);
/* The address of its JIT image, 0 if there is none. */
unsigned long bpf_address(int fd);
/* The bytes of it, 0 if there is none. */
size_t bpf_image_size(int fd);
/* Its name in /proc/kallsyms. */
void bpf_symbol(int fd, char *name, size_t size);

/* Where images may be. The last BPF_WINDOW bytes below the end without the cache. */
unsigned long bpf_window_start(void);
unsigned long bpf_window_end(void);
/* Behind the kernel's text, where the cache begins. */
bool in_text_tail(unsigned long addr);

void pin_to_cpu(int cpu);

/* Refuse the nth allocation that this process makes from here on; none if 0. */
void fail_prepare(void);
void fail_nth(unsigned int nth);
/* How many allocations are still to be made until one is refused; 0 if it was. */
unsigned int fail_pending(void);

#endif /* SELFTESTS_KERNEL_MEMORY_COMMON_H */
