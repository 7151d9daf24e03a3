// SPDX-License-Identifier: GPL-2.0-only
/*
 * Features of modules work wherever their text and data are. While other
 * modules are loaded and unloaded, the kernel knows which module each address
 * belongs to.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
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

#define LIMIT		300	/* seconds */

#define LOCKDEP_STATS	"/proc/lockdep_stats"

/* The text of 4 MiB computes (20 + 1) * 2. */
#define LARGE_ANSWER	42
#define LARGE_TEXT	(4 * MIB)

/* Whether all checks of the module passed, in its init text and in its core text */
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

/* After each case, nothing is left of its modules. */
FIXTURE(modules) {
	struct stats before, text;
};

FIXTURE_SETUP(modules)
{
	self->before = stats_at_rest("total");
	self->text = stats_of("module-text");
}

FIXTURE_TEARDOWN(modules)
{
	EXPECT_TRUE(stats_settle("total", &self->before));
}

TEST_F_TIMEOUT(modules, work_in_init_text_and_afterwards, LIMIT)
{
	module_load(FEATURES_KO);
	EXPECT_TRUE(features_work());
	module_unload(FEATURES);
}

/* Load each of three modules first, second and last. The bounds of all modules grow. */
TEST_F_TIMEOUT(modules, work_while_others_come_and_go, LIMIT)
{
	static const char * const others[][2] = {
		{ TARGET_KO, TARGET_MODULE },
		{ "modules/kprobe_slots.ko", "kprobe_slots" },
	};
	size_t before, i;

	for (before = 0; before <= ARRAY_SIZE(others); before++) {
		for (i = 0; i < before; i++)
			module_load(others[i][0]);
		module_load(FEATURES_KO);
		for (; i < ARRAY_SIZE(others); i++)
			module_load(others[i][0]);
		EXPECT_TRUE(features_work());
		for (i = 0; i < ARRAY_SIZE(others); i++)
			module_unload(others[i][1]);
		EXPECT_TRUE(features_work());
		module_unload(FEATURES);
	}
}

TEST_F_TIMEOUT(modules, use_what_others_export, LIMIT)
{
	module_load(FEATURES_KO);
	module_load(USER_KO);
	EXPECT_EQ(TARGET_ANSWER, read_long(PARAMETERS(USER, "answer")));
	EXPECT_EQ(EWOULDBLOCK, module_remove(FEATURES));
	module_unload(USER);
	module_unload(FEATURES);
}

TEST_F_TIMEOUT(modules, cannot_write_what_is_read_only_after_init, LIMIT)
{
#ifdef __riscv
	const struct mapping *map;
	struct ptdump dump;

	module_load(FEATURES_KO);
	dump = ptdump_read();
	map = ptdump_find(&dump, symbol_address("named_after_init"));
	ASSERT_NE(NULL, map);
	EXPECT_TRUE(map->r);
	EXPECT_FALSE(map->w);
	EXPECT_FALSE(map->x);
	ptdump_free(&dump);
	module_unload(FEATURES);
#else
	SKIP(return, "the page-table dump has another form here");
#endif
}

TEST_F_TIMEOUT(modules, have_parameters, LIMIT)
{
	ASSERT_EQ(0, module_insert(FEATURES_KO, "number=7"));
	EXPECT_EQ(7, read_long(PARAMETERS(FEATURES, "number")));
	write_file(PARAMETERS(FEATURES, "number"), "8");
	EXPECT_EQ(8, read_long(PARAMETERS(FEATURES, "number")));
	module_unload(FEATURES);
}

/* Only lockdep asks the kernel for this, and few kernels have it. So the module asks. */
TEST_F_TIMEOUT(modules, own_their_per_cpu_data, LIMIT)
{
	unsigned long lookup = symbol_address("is_module_percpu_address");
	char params[64];

	ASSERT_NE(0UL, lookup);
	snprintf(params, sizeof(params), "percpu_lookup=%#lx", lookup);
	ASSERT_EQ(0, module_insert(FEATURES_KO, params));
	EXPECT_TRUE(features_work());
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
 * The probe event exists before the module. The kernel arms the probe on the
 * init text while it loads the module, and removes the probe with that text.
 */
TEST_F_TIMEOUT(modules, have_probes_on_init_text, LIMIT)
{
	must_write(KPROBE_EVENTS, "p:" EVENT " " FEATURES ":module_features_probed");
	must_write(EVENT_ENABLE, "1");
	module_load(FEATURES_KO);
	EXPECT_EQ(1UL, event_hits());
	EXPECT_TRUE(features_work());
	/* A worker frees the init text. */
	EXPECT_TRUE(stats_come_to("module-text", &self->text, 1));
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

/* A program that adds the argument of the tracepoint to the only element of @map */
static int load_counter(int map)
{
	const struct bpf_insn insns[] = {
		/* r6 = argument of the tracepoint */
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

/* A raw tracepoint takes a reference to the module, and must drop it again. */
TEST_F_TIMEOUT(modules, have_programs_on_tracepoints, LIMIT)
{
	int map = bpf_map(BPF_MAP_TYPE_ARRAY, sizeof(uint64_t), 1, 0);
	union bpf_attr attr;
	int prog, link, err, second;

	ASSERT_LE(0, map);
	prog = load_counter(map);
	module_load(FEATURES_KO);

	memset(&attr, 0, sizeof(attr));
	attr.raw_tracepoint.name = (uintptr_t)TRACEPOINT;
	attr.raw_tracepoint.prog_fd = prog;
	link = syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr));
	ASSERT_LE(0, link);
	EXPECT_EQ(EWOULDBLOCK, module_remove(FEATURES));
	features_work();
	EXPECT_EQ(5, map_value(map));
	close(link);
	close(prog);
	close(map);

	/* A worker drops the reference. */
	err = module_remove(FEATURES);
	for (second = 0; err == EWOULDBLOCK && second < SETTLE_LIMIT; second++) {
		sleep(1);
		err = module_remove(FEATURES);
	}
	EXPECT_EQ(0, err);
}

/* The kernel keeps no local labels and mapping symbols: address lookups do not need them. */
TEST_F_TIMEOUT(modules, keep_no_local_labels, LIMIT)
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
	EXPECT_LT(0UL, named);
	EXPECT_EQ(0UL, useless);
}

/* A module with 4 MiB of text runs code at both ends of the text. */
TEST_F_TIMEOUT(modules, are_large, LIMIT)
{
	unsigned long first, last;

	if (access(LARGE_KO, F_OK))
		SKIP(return, "the module is in the assembly language of RISC-V");
	module_load(LARGE_KO);
	first = symbol_address("module_large_first");
	last = symbol_address("module_large_last");
	EXPECT_NE(0UL, first);
	EXPECT_GT(last, first + LARGE_TEXT);
	EXPECT_EQ(LARGE_ANSWER, read_long(PARAMETERS(LARGE, "answer")));
	module_unload(LARGE);
}

TEST_F_TIMEOUT(modules, leave_lockdep_on, LIMIT)
{
	char *stats, *line;

	if (access(LOCKDEP_STATS, F_OK))
		SKIP(return, "lockdep is not configured");
	stats = read_file(LOCKDEP_STATS);
	line = strstr(stats, "debug_locks:");
	ASSERT_NE(NULL, line);
	EXPECT_EQ(1, strtol(line + strlen("debug_locks:"), NULL, 10));
	free(stats);
}

int main(int argc, char **argv)
{
	prepare();
	need(STATS);
	need(FEATURES_KO);
	/* Kprobes keep their last page, and on x86 the tracer its trampoline: allocate both. */
	close(kprobe_attach("bpf_check"));
	close(kprobe_open("bpf_check", 0));
	return test_harness_run(argc, argv);
}
