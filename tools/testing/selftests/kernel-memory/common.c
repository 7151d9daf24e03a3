// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define ROX_PARAM	"/sys/module/execmem/parameters/rox"

/* The bytes at the beginning of a function that belong to the function tracer */
#ifdef __x86_64__
#define TRACER_CALL	5
#else
#define TRACER_CALL	8
#endif

/* The allocating function in /proc/vmallocinfo for a block of the cache */
#define CACHE_BLOCK	"execmem_cache_take+"

static bool has_header;

#define skip(...)				\
	do {					\
		if (!has_header)		\
			ksft_print_header();	\
		ksft_exit_skip(__VA_ARGS__);	\
	} while (0)

void prepare(void)
{
	setlinebuf(stdout);
	if (geteuid())
		skip("only root can run this\n");
}

void begin(void)
{
	prepare();
	ksft_print_header();
	has_header = true;
}

char *read_bytes(const char *path, size_t *length)
{
	size_t size = 0, room = 0;
	char *text = NULL;
	ssize_t got;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("open %s: %s", path, strerror(errno));
	do {
		if (room - size < PAGE_SIZE) {
			room = 2 * room + 2 * PAGE_SIZE;
			text = realloc(text, room);
			if (!text)
				die("read %s: out of memory", path);
		}
		got = read(fd, text + size, room - size - 1);
		if (got < 0)
			die("read %s: %s", path, strerror(errno));
		size += got;
	} while (got);
	close(fd);
	text[size] = '\0';
	*length = size;
	return text;
}

char *read_file(const char *path)
{
	size_t length;

	return read_bytes(path, &length);
}

long read_long(const char *path)
{
	char *text = read_file(path);
	long value = strtol(text, NULL, 0);

	free(text);
	return value;
}

int try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err;

	if (fd < 0)
		return errno;
	err = write(fd, text, strlen(text)) < 0 ? errno : 0;
	close(fd);
	return err;
}

void must_write(const char *path, const char *text)
{
	int err = try_write(path, text);

	if (err)
		die("write %s to %s: %s", text, path, strerror(err));
}

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || (*text && write(fd, text, strlen(text)) < 0))
		die("write %s: %s", path, strerror(errno));
	close(fd);
}

size_t count_words(const char *path, const char *word)
{
	char *text = read_file(path), *at;
	size_t n = 0;

	for (at = text; (at = strstr(at, word)); at += strlen(word))
		n++;
	free(text);
	return n;
}

/*
 * A line is "---[ name ]---" or
 * "0xstart-0xend   0xphys  <n><unit> <level> <software> D A G U X W R V". A
 * clear flag is a dot. Clear software bits are blanks.
 */
struct ptdump ptdump_read(void)
{
	static char *text;
	struct ptdump dump = { 0 };
	const char *area = "";
	char *line, *rest;

	/* The names of areas point into the text of the latest dump. */
	free(text);
	text = read_file(PTDUMP);

	rest = text;
	while ((line = strsep(&rest, "\n")) && *line) {
		unsigned long start, end, phys;
		const char *flags;
		char *stop, level[4];

		stop = strstr(line, " ]---");
		if (!strncmp(line, "---[ ", 5) && stop) {
			*stop = '\0';
			area = line + 5;
			continue;
		}

		if (sscanf(line, "0x%lx-0x%lx 0x%lx %*u%*c %3s", &start, &end, &phys, level) != 4)
			die("page-table dump: cannot read \"%s\"", line);
		flags = line + strlen(line) - strlen("X W R V");
		if (!strchr("X.", flags[0]) || !strchr("W.", flags[2]) || !strchr("R.", flags[4]))
			die("page-table dump: no flags in \"%s\"", line);

		dump.maps = reallocarray(dump.maps, dump.nr + 1, sizeof(*dump.maps));
		if (!dump.maps)
			die("page-table dump: out of memory");
		dump.maps[dump.nr++] = (struct mapping){
			.start = start,
			.end = end,
			.phys = phys,
			.large = strcmp(level, "PTE"),
			.valid = flags[6] == 'V',
			.r = flags[4] == 'R',
			.w = flags[2] == 'W',
			.x = flags[0] == 'X',
			.area = area,
		};
	}
	return dump;
}

void ptdump_free(struct ptdump *dump)
{
	free(dump->maps);
}

const struct mapping *ptdump_find(const struct ptdump *dump, unsigned long addr)
{
	size_t i;

	for (i = 0; i < dump->nr; i++) {
		if (addr >= dump->maps[i].start && addr < dump->maps[i].end)
			return &dump->maps[i];
	}
	return NULL;
}

struct stats stats_of(const char *type)
{
	char *text = read_file(STATS);
	char *line, *rest = text;
	struct stats stats;
	char name[32];

	while ((line = strsep(&rest, "\n"))) {
		if (sscanf(line, "%31s %lu %lu %lu %lu %lu %lu", name, &stats.live, &stats.asked,
			   &stats.used, &stats.peak, &stats.failed, &stats.blocks) == 7 &&
		    !strcmp(name, type)) {
			free(text);
			return stats;
		}
	}
	die("/sys/kernel/debug/execmem has no line \"%s\"", type);
}

struct stats stats_at_rest(const char *type)
{
	struct stats before, now = stats_of(type);
	int i;

	for (i = 0; i < 10 * SETTLE_LIMIT; i++) {
		before = now;
		usleep(100000);
		now = stats_of(type);
		if (now.live == before.live && now.used == before.used)
			return now;
	}
	die("%s: allocations come and go, and nobody is there who would want them", type);
}

bool stats_settle(const char *type, const struct stats *before)
{
	const time_t start = time(NULL);
	struct stats now;

	do {
		now = stats_of(type);
		if (now.live == before->live && now.asked == before->asked &&
		    now.used == before->used)
			return true;
		usleep(1000);
	} while (time(NULL) - start <= SETTLE_LIMIT);
	ksft_print_msg("%s: %lu allocations of %lu bytes are live, %lu of %lu before\n", type,
		       now.live, now.used, before->live, before->used);
	return false;
}

bool stats_come_to(const char *type, const struct stats *before, long more)
{
	int i;

	for (i = 0; i < 10 * SETTLE_LIMIT; i++) {
		if (stats_of(type).live == before->live + more)
			return true;
		usleep(100000);
	}
	return false;
}

unsigned long symbol_address(const char *name)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	unsigned long addr, found = 0;
	char line[512], symbol[256];

	if (!file)
		die("open /proc/kallsyms: %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx %*c %255s", &addr, symbol) == 2 && !strcmp(symbol, name))
			found = addr;
	}
	fclose(file);
	return found;
}

unsigned long vmalloc_area(unsigned long addr)
{
	FILE *file = fopen("/proc/vmallocinfo", "re");
	unsigned long start, end, found = 0;
	char line[512];

	if (!file)
		die("open /proc/vmallocinfo: %s", strerror(errno));
	while (!found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "0x%lx-0x%lx", &start, &end) == 2 &&
		    addr >= start && addr < end && !strstr(line, "unpurged"))
			found = start;
	}
	fclose(file);
	return found;
}

static struct caller *find_caller(const struct usage *usage, const char *name)
{
	size_t i;

	for (i = 0; i < usage->nr; i++) {
		if (!strcmp(usage->callers[i].name, name))
			return &usage->callers[i];
	}
	return NULL;
}

struct usage usage_read(void)
{
	char *text = read_file("/proc/vmallocinfo");
	struct usage usage = { 0 };
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n")) && *line) {
		struct caller *caller;
		char name[128];
		size_t bytes;

		if (sscanf(line, "0x%*x-0x%*x %zu %127s", &bytes, name) != 2)
			die("/proc/vmallocinfo: cannot read \"%s\"", line);

		/* Skip freed areas, and kernel threads, whose stacks come and go. */
		if (!strcmp(name, "unpurged") || !strncmp(name, "kernel_clone+", 13))
			continue;

		caller = find_caller(&usage, name);
		if (!caller) {
			usage.callers = reallocarray(usage.callers, usage.nr + 1,
						     sizeof(*usage.callers));
			if (!usage.callers)
				die("out of memory");
			caller = &usage.callers[usage.nr++];
			*caller = (struct caller){ 0 };
			strcpy(caller->name, name);
		}
		caller->areas++;
		caller->bytes += bytes;
	}
	free(text);
	return usage;
}

bool usage_is_back(const struct usage *before, const struct usage *now, bool say)
{
	bool back = true;
	size_t i;

	for (i = 0; i < now->nr; i++) {
		const struct caller *caller = &now->callers[i];
		const struct caller *old = find_caller(before, caller->name);

		if (old && old->areas >= caller->areas && old->bytes >= caller->bytes)
			continue;
		/* The cache keeps one unused block. */
		if (!strncmp(caller->name, CACHE_BLOCK, strlen(CACHE_BLOCK)) &&
		    caller->areas <= (old ? old->areas : 0) + 1)
			continue;
		back = false;
		if (say)
			ksft_print_msg("%s has %zu areas, %zu before\n", caller->name,
				       caller->areas, old ? old->areas : 0);
	}
	return back;
}

void usage_free(struct usage *usage)
{
	free(usage->callers);
}

bool usage_settle(const struct usage *before)
{
	bool back = false;
	int second;

	for (second = 0; !back && second < SETTLE_LIMIT; second++) {
		struct usage now = usage_read();

		back = usage_is_back(before, &now, second == SETTLE_LIMIT - 1);
		usage_free(&now);
		if (!back)
			sleep(1);
	}
	return back;
}

bool kernel_is(const char *word)
{
	struct utsname kernel;

	uname(&kernel);
	return strstr(kernel.version, word);
}

bool have_rox(void)
{
	char *text;
	bool rox;

	if (access(ROX_PARAM, F_OK))
		return false;
	text = read_file(ROX_PARAM);
	rox = *text == 'Y';
	free(text);
	return rox;
}

bool have_modules(void)
{
	return !access("/proc/modules", F_OK);
}

/* Modules for the tests of several folders are in the folder of this file. */
static const char *module_path(const char *path)
{
	static char shared[128];

	if (!access(path, F_OK))
		return path;
	snprintf(shared, sizeof(shared), "../kernel-memory/%s", path);
	return shared;
}

void need(const char *path)
{
	if (access(module_path(path), F_OK))
		skip("there is no %s\n", path);
}

void need_ptdump(void)
{
#ifdef __riscv
	need(PTDUMP);
#else
	skip("only RISC-V's page-table dump has these areas\n");
#endif
}

char *module_read(const char *path, size_t *size)
{
	static const char signature[] = "~Module signature appended~\n";
	const size_t length = sizeof(signature) - 1;
	char *image = read_bytes(module_path(path), size);

	/* These last bytes mark a signature. */
	if (*size > length && !memcmp(image + *size - length, signature, length))
		*size -= length;
	return image;
}

int module_insert(const char *path, const char *params)
{
	int fd = open(module_path(path), O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		die("open %s: %s", path, strerror(errno));
	err = syscall(SYS_finit_module, fd, params, 0) ? errno : 0;
	close(fd);
	return err;
}

void module_load(const char *path)
{
	int err = module_insert(path, "");

	if (err)
		die("load %s: %s", path, strerror(err));
}

int module_remove(const char *name)
{
	return syscall(SYS_delete_module, name, 0) ? errno : 0;
}

void module_unload(const char *name)
{
	int err = module_remove(name);

	if (err)
		die("unload %s: %s", name, strerror(err));
}

unsigned long module_section(const char *module, const char *section)
{
	char path[128], *text;
	unsigned long addr;

	snprintf(path, sizeof(path), "/sys/module/%s/sections/%s", module, section);
	text = read_file(path);
	addr = strtoul(text, NULL, 16);
	free(text);
	return addr;
}

long target_answer(void)
{
	return read_long("/sys/module/" TARGET_MODULE "/parameters/answer");
}

unsigned long first_insn(void)
{
	static long offset = -1;

	/* Looked up once: later calls must do nothing but open. */
	if (offset < 0)
		offset = access(TRACED_FUNCTIONS, F_OK) ?
			 0 : TRACER_CALL;
	return offset;
}

static int open_kprobe(struct perf_event_attr *attr)
{
	static long type;
	int fd;

	/* Read once: later calls must do nothing but open. */
	if (!type)
		type = read_long("/sys/bus/event_source/devices/kprobe/type");
	attr->size = sizeof(*attr);
	attr->type = type;
	fd = syscall(SYS_perf_event_open, attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int kprobe_open(const char *function, unsigned long offset)
{
	struct perf_event_attr attr = {
		.kprobe_func = (uintptr_t)function,
		.probe_offset = offset,
	};

	return open_kprobe(&attr);
}

int kprobe_open_at(unsigned long addr)
{
	struct perf_event_attr attr = { .kprobe_addr = addr };

	return open_kprobe(&attr);
}

int kprobe_attach(const char *function)
{
	int fd = kprobe_open(function, first_insn());

	if (fd < 0)
		die("kprobe on %s: %s", function, strerror(-fd));
	return fd;
}

unsigned long kprobe_hits(int fd)
{
	unsigned long long count;

	if (read(fd, &count, sizeof(count)) != sizeof(count))
		die("kprobe hit count: %s", strerror(errno));
	return count;
}

void expedite_rcu(const char *value)
{
	static const char path[] = "/sys/kernel/rcu_expedited";

	/* With one hart, RCU does not wait. */
	if (!access(path, F_OK))
		must_write(path, value);
}

static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr, const char *what)
{
	int ret = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	if (ret < 0)
		die("BPF %s: %s", what, strerror(errno));
	return ret;
}

int bpf_map(enum bpf_map_type type, size_t value_size, size_t entries, unsigned int flags)
{
	union bpf_attr attr = {
		.map_type = type,
		.key_size = sizeof(uint32_t),
		.value_size = value_size,
		.max_entries = entries,
		.map_flags = flags,
	};
	int fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

int bpf_load_insns(enum bpf_prog_type type, const struct bpf_insn *insns, size_t nr)
{
	union bpf_attr attr = {
		.prog_type = type,
		.insns = (uintptr_t)insns,
		.insn_cnt = nr,
		.license = (uintptr_t)"GPL",
	};
	int fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

int bpf_open(int value)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_smp_processor_id },
		{ .code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_0, .imm = value },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return bpf_load_insns(BPF_PROG_TYPE_SOCKET_FILTER, insns, ARRAY_SIZE(insns));
}

int bpf_load(int value)
{
	int fd = bpf_open(value);

	if (fd < 0)
		die("BPF load: %s", strerror(-fd));
	return fd;
}

/*
 * 64-bit byte swaps, an even number so that the value does not change. No
 * other instruction has larger native code: some 80 bytes on 64-bit, 140 on
 * 32-bit.
 */
#define SWAPS		16384

int bpf_load_large(int value)
{
	static struct bpf_insn insns[SWAPS + 2];
	size_t i;

	insns[0] = (struct bpf_insn){
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value
	};
	for (i = 1; i <= SWAPS; i++)
		insns[i] = (struct bpf_insn){
			.code = BPF_ALU | BPF_END | BPF_TO_BE, .dst_reg = BPF_REG_0, .imm = 64
		};
	insns[i] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
	return bpf_load_insns(BPF_PROG_TYPE_SOCKET_FILTER, insns, ARRAY_SIZE(insns));
}

int bpf_test_run(int fd, unsigned int repeat, unsigned int *result)
{
	char packet[64] = { 0 };
	union bpf_attr attr = {
		.test.prog_fd = fd,
		.test.data_in = (uintptr_t)packet,
		.test.data_size_in = sizeof(packet),
		.test.repeat = repeat,
	};
	int err = syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)) ? errno : 0;

	*result = attr.test.retval;
	return err;
}

unsigned int bpf_run(int fd)
{
	unsigned int result;
	int err = bpf_test_run(fd, 1, &result);

	if (err)
		die("BPF test run: %s", strerror(err));
	return result;
}

/* Stores the image's address in @address. */
static struct bpf_prog_info bpf_info(int fd, uint64_t *address)
{
	struct bpf_prog_info info = {
		.nr_jited_ksyms = !!address,
		.jited_ksyms = (uintptr_t)address,
	};
	union bpf_attr attr = {
		.info.bpf_fd = fd,
		.info.info = (uintptr_t)&info,
		.info.info_len = sizeof(info),
	};

	sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, "info");
	return info;
}

size_t bpf_image_size(int fd)
{
	return bpf_info(fd, NULL).jited_prog_len;
}

void bpf_symbol(int fd, char *name, size_t size)
{
	struct bpf_prog_info info = bpf_info(fd, NULL);
	int i, used;

	used = snprintf(name, size, "bpf_prog_");
	for (i = 0; i < BPF_TAG_SIZE; i++)
		used += snprintf(name + used, size - used, "%02x", info.tag[i]);
}

unsigned long bpf_address(int fd)
{
	uint64_t address = 0;

	return bpf_info(fd, &address).jited_prog_len ? address : 0;
}

unsigned long bpf_window_end(void)
{
#ifdef __LP64__
	if (have_rox())
		return symbol_address("__init_begin");
	return symbol_address("_start");
#else
	return 0xc0000000;	/* PAGE_OFFSET, where the vmalloc space ends */
#endif
}

unsigned long bpf_window_start(void)
{
	if (have_rox())
		return ((symbol_address("_end") + PAGE_SIZE - 1) & -PAGE_SIZE) - (2UL << 30);
	return bpf_window_end() - BPF_WINDOW;
}

bool in_text_tail(unsigned long addr)
{
	return have_rox() && addr >= symbol_address("_etext") &&
	       addr < symbol_address("__init_begin");
}

void pin_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("pin to hart %d: %s", cpu, strerror(errno));
}

static int nth_fd;

void fail_prepare(void)
{
	/* Make all allocations subject to our count, and nothing random. */
	write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/failslab/verbose", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	nth_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		die("open /proc/self/fail-nth: %s", strerror(errno));
	/* Page faults of this program must not count as allocations of an operation. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall: %s", strerror(errno));
}

void fail_nth(unsigned int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", nth);

	if (pwrite(nth_fd, text, length, 0) != length)
		die("write /proc/self/fail-nth: %s", strerror(errno));
}

unsigned int fail_pending(void)
{
	char text[16] = "";

	if (pread(nth_fd, text, sizeof(text) - 1, 0) <= 0)
		die("read /proc/self/fail-nth: %s", strerror(errno));
	return strtoul(text, NULL, 10);
}
