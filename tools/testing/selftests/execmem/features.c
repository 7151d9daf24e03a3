// SPDX-License-Identifier: GPL-2.0-only
/*
 * What modules do works wherever their text and data are, and the kernel knows of
 * each address of a module whose it is, while other modules come and go.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define FEATURES	"module_features"
#define FEATURES_KO	"modules/module_features.ko"
#define USER		"module_features_user"
#define USER_KO		"modules/module_features_user.ko"
#define LARGE		"module_large"
#define LARGE_KO	"modules/module_large.ko"
#define PARAMETERS(module, name) "/sys/module/" module "/parameters/" name

#define KPROBE_EVENTS	"/sys/kernel/tracing/kprobe_events"
#define KPROBE_PROFILE	"/sys/kernel/tracing/kprobe_profile"
#define EVENT		"module_features_init"
#define EVENT_ENABLE	"/sys/kernel/tracing/events/kprobes/" EVENT "/enable"
#define TRACEPOINT	"module_features_hit"

#define LOCKDEP_STATS	"/proc/lockdep_stats"

/* Text of 4 MiB is (20 + 1) * 2 */
#define LARGE_ANSWER	42
#define LARGE_TEXT	(4 * MIB)

/* Whether all checks of the module passed, those in its init text included */
static bool features_work(void)
{
	char *failed = read_file(PARAMETERS(FEATURES, "failed"));
	bool good = *failed == '\n';
	char *line, *rest = failed;

	while ((line = strsep(&rest, "\n")) && *line)
		ksft_print_msg("failed: %s\n", line);
	free(failed);
	return good;
}

static void test_features(void)
{
	module_load(FEATURES_KO);
	ksft_test_result(features_work(), "a module works, in init text and afterwards\n");
	module_unload(FEATURES);
}

/* Each of three modules is loaded first, second and last, and the bounds of all grow. */
static void test_come_and_go(void)
{
	static const char * const others[][2] = {
		{ TARGET_KO, TARGET_MODULE },
		{ "modules/kprobe_slots.ko", "kprobe_slots" },
	};
	size_t before, i, good = 0;

	for (before = 0; before <= ARRAY_SIZE(others); before++) {
		for (i = 0; i < before; i++)
			module_load(others[i][0]);
		module_load(FEATURES_KO);
		for (; i < ARRAY_SIZE(others); i++)
			module_load(others[i][0]);
		good += features_work();
		for (i = 0; i < ARRAY_SIZE(others); i++)
			module_unload(others[i][1]);
		good += features_work();
		module_unload(FEATURES);
	}
	ksft_test_result(good == 2 * before,
			 "it does whatever other modules are loaded before and after\n");
}

static void test_exports(void)
{
	module_load(FEATURES_KO);
	module_load(USER_KO);
	ksft_test_result(read_long(PARAMETERS(USER, "answer")) == TARGET_ANSWER,
			 "a module uses what another one exports\n");
	ksft_test_result(module_remove(FEATURES) == EWOULDBLOCK,
			 "a module that another one uses is not unloaded\n");
	module_unload(USER);
	module_unload(FEATURES);
}

#define AFTER_INIT	"what is read-only after init is R--"

static void test_after_init(void)
{
#ifdef __riscv
	struct ptdump dump = ptdump_read();
	const struct mapping *map = ptdump_find(&dump, symbol_address("named_after_init"));

	ksft_test_result(map && map->r && !map->w && !map->x, AFTER_INIT "\n");
	ptdump_free(&dump);
#else
	ksft_test_result_skip(AFTER_INIT ": the page-table dump has another form here\n");
#endif
}

static void test_data(void)
{
	if (module_insert(FEATURES_KO, "number=7"))
		die("load %s with a parameter", FEATURES_KO);
	test_after_init();

	write_file(PARAMETERS(FEATURES, "number"), "8");
	ksft_test_result(read_long(PARAMETERS(FEATURES, "number")) == 8,
			 "a parameter is written and read\n");
	module_unload(FEATURES);
}

static unsigned long event_hits(void)
{
	char *text = read_file(KPROBE_PROFILE), *line = strstr(text, EVENT);
	unsigned long hits = line ? strtoul(line + strlen(EVENT), NULL, 10) : -1UL;

	free(text);
	return hits;
}

/*
 * The event exists before the module. Its probe is put on init text as the module is
 * loaded, and is gone with that text.
 */
static void test_init_probe(void)
{
	struct stats unloaded = stats_at_rest("module-text");

	must_write(KPROBE_EVENTS, "p:" EVENT " " FEATURES ":module_features_probed");
	must_write(EVENT_ENABLE, "1");
	module_load(FEATURES_KO);
	/* A worker frees it. */
	ksft_test_result(event_hits() == 1 && features_work() &&
			 stats_come_to("module-text", &unloaded, 1),
			 "a probe on init text is hit once, and that text is freed\n");
	must_write(EVENT_ENABLE, "0");
	must_write(KPROBE_EVENTS, "-:" EVENT);
	module_unload(FEATURES);
}

static long map_value(int map)
{
	uint32_t key = 0;
	uint64_t value = 0;
	union bpf_attr attr = {
		.map_fd = map,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)&value,
	};

	if (syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)))
		die("BPF map lookup: %s", strerror(errno));
	return value;
}

/* A program that adds what the tracepoint is given to the only element of @map */
static int load_counter(int map)
{
	const struct bpf_insn insns[] = {
		/* r6 = value of the tracepoint's argument */
		{ .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1 },
		{ .code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = BPF_REG_10, .off = -4 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_2,
		  .src_reg = BPF_REG_10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_2, .imm = -4 },
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_FD, .imm = map },
		{ 0 },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem },
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_0, .off = 3 },
		{ .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_0 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_6 },
		{ .code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_1 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_load_insns(BPF_PROG_TYPE_RAW_TRACEPOINT, insns, ARRAY_SIZE(insns));

	if (fd < 0)
		die("BPF load: %s", strerror(-fd));
	return fd;
}

/* A raw tracepoint takes a reference of the module, and has to give it back. */
static void test_raw_tracepoint(void)
{
	int map = bpf_map(BPF_MAP_TYPE_ARRAY, sizeof(uint64_t), 1, 0);
	union bpf_attr attr;
	int prog, link, err, second;
	long hits;

	if (map < 0)
		die("BPF map: %s", strerror(-map));
	prog = load_counter(map);
	module_load(FEATURES_KO);

	memset(&attr, 0, sizeof(attr));
	attr.raw_tracepoint.name = (uintptr_t)TRACEPOINT;
	attr.raw_tracepoint.prog_fd = prog;
	link = syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr));
	if (link < 0)
		die("raw tracepoint: %s", strerror(errno));
	ksft_test_result(module_remove(FEATURES) == EWOULDBLOCK,
			 "a program on its tracepoint keeps a module loaded\n");
	features_work();
	hits = map_value(map);
	close(link);
	close(prog);
	close(map);

	/* The reference is dropped by a worker */
	err = module_remove(FEATURES);
	for (second = 0; err == EWOULDBLOCK && second < SETTLE_LIMIT; second++) {
		sleep(1);
		err = module_remove(FEATURES);
	}
	ksft_test_result(hits == 5, "the program saw the module's tracepoint\n");
	ksft_test_result(!err, "a module is unloaded when the program has gone\n");
	if (err)
		ksft_print_msg("unload: %s\n", strerror(err));
}

/* Lookups by address ignore local labels and mapping symbols: they take no memory. */
static void test_symbols(void)
{
	unsigned long named = 0, useless = 0;
	char *symbols, *rest, *line;

	module_load(FEATURES_KO);
	symbols = read_file("/proc/kallsyms");
	rest = symbols;
	while ((line = strsep(&rest, "\n"))) {
		char symbol[256], module[64];

		if (sscanf(line, "%*x %*c %255s [%63[^]]", symbol, module) != 2 ||
		    strcmp(module, FEATURES))
			continue;
		if (!strncmp(symbol, ".L", 2) || symbol[0] == '$')
			useless++;
		else
			named++;
	}
	free(symbols);
	module_unload(FEATURES);
	ksft_print_msg("%lu names, and %lu labels\n", named, useless);
	ksft_test_result(named && !useless, "no local label of a module is kept\n");
}

static void test_large(void)
{
	const char *name = "a module with 4 MiB of text runs at both ends";
	unsigned long first, last;

	/* Its text is in the assembly language of RISC-V. */
	if (access(LARGE_KO, F_OK)) {
		ksft_test_result_skip("%s\n", name);
		return;
	}
	module_load(LARGE_KO);
	first = symbol_address("module_large_first");
	last = symbol_address("module_large_last");
	ksft_test_result(first && last > first + LARGE_TEXT &&
			 read_long(PARAMETERS(LARGE, "answer")) == LARGE_ANSWER,
			 "%s\n", name);
	module_unload(LARGE);
}

static void test_lockdep(void)
{
	char *stats, *line;

	if (access(LOCKDEP_STATS, F_OK)) {
		ksft_test_result_skip("lockdep is still on: it is not configured\n");
		return;
	}
	stats = read_file(LOCKDEP_STATS);
	line = strstr(stats, "debug_locks:");
	ksft_test_result(line && strtol(line + strlen("debug_locks:"), NULL, 10) == 1,
			 "lockdep is still on\n");
	free(stats);
}

int main(void)
{
	struct stats before;

	begin();
	need(STATS);
	need(FEATURES_KO);
	ksft_set_plan(14);
	/* kprobes keeps the last of its pages; the tracer, on x86, the trampoline to kprobes */
	close(kprobe_attach("bpf_check"));
	close(kprobe_open("bpf_check", 0));
	before = stats_at_rest("total");

	test_features();
	test_come_and_go();
	test_exports();
	test_data();
	test_init_probe();
	test_raw_tracepoint();
	test_symbols();
	test_large();
	test_lockdep();
	ksft_test_result(stats_settle("total", &before), "the statistics are what they were\n");

	ksft_finished();
}
