// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF trampolines, as user space can use them: programs that trace programs or
 * replace them; programs that trace kernel functions, one or many, return instead
 * of them, or guard system calls; and programs that implement the operations of
 * a structure. Each sees the right arguments and return values, and nothing is
 * left of it. A tracer and a probe can be on the same function as a program.
 */
#include <arpa/inet.h>
#include <asm/ptrace.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "btf.h"
#include "common.h"

#define LIMIT		300	/* seconds */

#define PINNED_VALUES	32

#define MOV(reg, value) \
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (reg), .imm = (value) }
#define MOV_REG(dst, src) \
	{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (dst), .src_reg = (src) }
#define ADD_REG(dst, src) \
	{ .code = BPF_ALU64 | BPF_ADD | BPF_X, .dst_reg = (dst), .src_reg = (src) }
#define LOAD(dst, src, offset) \
	{ .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = (dst), .src_reg = (src), .off = (offset) }
#define STORE(dst, offset, src) \
	{ .code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = (dst), .src_reg = (src), .off = (offset) }
#define COUNT(dst, offset, src) \
	{ .code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = (dst), .src_reg = (src), \
	  .off = (offset), .imm = BPF_ADD }
#define CALL(helper) \
	{ .code = BPF_JMP | BPF_CALL, .imm = (helper) }
#define CALL_LOCAL(offset) \
	{ .code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL, .imm = (offset) }
#define JNE(dst, src, offset) \
	{ .code = BPF_JMP | BPF_JNE | BPF_X, .dst_reg = (dst), .src_reg = (src), .off = (offset) }
#define EXIT	{ .code = BPF_JMP | BPF_EXIT }
/* The address of the value of an array with one element, without its second half { 0 } */
#define VALUE_OF(dst, map) \
	{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = (dst), \
	  .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = (map) }

/* What a program is loaded for, if not for a type that needs nothing else */
struct attach {
	enum bpf_attach_type type;
	uint32_t btf_id;
	int prog;		/* 0: @btf_id is of the kernel */
	int btf;		/* BTF of the program, or 0 */
	bool sleepable;
	struct bpf_func_info func_info[2];
	uint32_t nr_func_info;
};

static char verifier_log[1 << 16];

/* Returns a file descriptor, or a negative errno. */
static int load(enum bpf_prog_type type, const struct bpf_insn *insns, size_t nr,
		const struct attach *attach)
{
	union bpf_attr attr = {
		.prog_type = type,
		.insns = (uintptr_t)insns,
		.insn_cnt = nr,
		.license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)verifier_log,
		.log_size = sizeof(verifier_log),
		.log_level = 1,
		.expected_attach_type = attach->type,
		.attach_btf_id = attach->btf_id,
		.attach_prog_fd = attach->prog,
		.prog_btf_fd = attach->btf,
		.prog_flags = attach->sleepable ? BPF_F_SLEEPABLE : 0,
	};
	int fd;

	if (attach->nr_func_info) {
		attr.func_info = (uintptr_t)attach->func_info;
		attr.func_info_cnt = attach->nr_func_info;
		attr.func_info_rec_size = sizeof(attach->func_info[0]);
	}
	verifier_log[0] = 0;
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

/* The same, and show what the verifier complains about */
static int must_load(enum bpf_prog_type type, const struct bpf_insn *insns, size_t nr,
		     const struct attach *attach)
{
	int fd = load(type, insns, nr, attach);

	if (fd < 0)
		die("BPF load: %s: %s", strerror(-fd), verifier_log);
	return fd;
}

/* Returns the file descriptor of a link, or a negative errno. */
static int attach_with(int prog, enum bpf_attach_type type, uint64_t cookie)
{
	union bpf_attr attr = {
		.link_create = {
			.prog_fd = prog,
			.attach_type = type,
			.tracing.cookie = cookie,
		},
	};
	int fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

/* An array with one element of PINNED_VALUES numbers */
static int new_values(void)
{
	int map = bpf_map(BPF_MAP_TYPE_ARRAY, PINNED_VALUES * sizeof(uint64_t), 1, 0);

	if (map < 0)
		die("BPF array: %s", strerror(-map));
	return map;
}

/* Read or write the element of such an array */
static void do_values(int cmd, int map, const uint64_t *values)
{
	uint32_t key = 0;
	union bpf_attr attr = {
		.map_fd = map,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)values,
	};

	if (syscall(SYS_bpf, cmd, &attr, sizeof(attr)))
		die("BPF array: %s", strerror(errno));
}

static void read_values(int map, uint64_t *values)
{
	do_values(BPF_MAP_LOOKUP_ELEM, map, values);
}

static void clear_values(int map)
{
	const uint64_t zeroes[PINNED_VALUES] = { 0 };

	do_values(BPF_MAP_UPDATE_ELEM, map, zeroes);
}

/*
 * BTF of the programs that are traced: int add(int a, int b), and a main
 * function that is not described exactly, so that its arguments are plain words.
 */
enum { TYPE_INT = 1, TYPE_ADD_PROTO, TYPE_ADD, TYPE_MAIN_PROTO, TYPE_MAIN };

#define STRINGS	"\0int\0add\0a\0b\0main"

static int load_btf(void)
{
	const struct {
		struct btf_header header;
		struct btf_type integer;
		uint32_t integer_bits;
		struct btf_type add_proto;
		struct btf_param add_params[2];
		struct btf_type add;
		struct btf_type main_proto;
		struct btf_param main_params[1];
		struct btf_type main;
		char strings[sizeof(STRINGS)];
	} blob = {
		.header = {
			.magic = BTF_MAGIC,
			.version = BTF_VERSION,
			.hdr_len = sizeof(struct btf_header),
			.type_len = offsetof(typeof(blob), strings) - sizeof(struct btf_header),
			.str_off = offsetof(typeof(blob), strings) - sizeof(struct btf_header),
			.str_len = sizeof(STRINGS),
		},
		.integer = { .name_off = 1, .info = BTF_KIND_INT << 24, .size = 4 },
		.integer_bits = BTF_INT_SIGNED << 24 | 32,
		.add_proto = { .info = BTF_KIND_FUNC_PROTO << 24 | 2, .type = TYPE_INT },
		.add_params = { { 9, TYPE_INT }, { 11, TYPE_INT } },
		.add = { .name_off = 5, .info = BTF_KIND_FUNC << 24 | BTF_FUNC_GLOBAL,
			 .type = TYPE_ADD_PROTO },
		.main_proto = { .info = BTF_KIND_FUNC_PROTO << 24 | 1, .type = TYPE_INT },
		.main_params = { { 9, TYPE_INT } },
		.main = { .name_off = 13, .info = BTF_KIND_FUNC << 24 | BTF_FUNC_GLOBAL,
			  .type = TYPE_MAIN_PROTO },
		.strings = STRINGS,
	};
	union bpf_attr attr = {
		.btf = (uintptr_t)&blob,
		.btf_size = offsetof(typeof(blob), strings) + sizeof(STRINGS),
	};
	int fd = syscall(SYS_bpf, BPF_BTF_LOAD, &attr, sizeof(attr));

	if (fd < 0)
		die("BTF: %s", strerror(errno));
	return fd;
}

/* After each case, nothing is left of its programs and trampolines. */
FIXTURE(programs) {
	struct stats before;
	int btf, target, values;
};

FIXTURE_SETUP(programs)
{
	/* Returns add(50, -8) */
	const struct bpf_insn insns[] = {
		MOV(BPF_REG_1, 50),
		MOV(BPF_REG_2, -8),
		CALL_LOCAL(1),
		EXIT,
		MOV_REG(BPF_REG_0, BPF_REG_1),
		ADD_REG(BPF_REG_0, BPF_REG_2),
		EXIT,
	};
	struct attach attach = {
		.func_info = { { 0, TYPE_MAIN }, { 4, TYPE_ADD } },
		.nr_func_info = 2,
	};

	self->before = stats_at_rest("bpf");
	self->values = new_values();
	self->btf = load_btf();
	attach.btf = self->btf;
	self->target = must_load(BPF_PROG_TYPE_SOCKET_FILTER, insns, ARRAY_SIZE(insns), &attach);
	ASSERT_EQ(42U, bpf_run(self->target));
}

FIXTURE_TEARDOWN(programs)
{
	EXPECT_EQ(42U, bpf_run(self->target));
	close(self->target);
	close(self->btf);
	close(self->values);
	EXPECT_TRUE(stats_settle("bpf", &self->before));
}

/* Load a program that keeps @nr words of its context and a count behind them */
static int load_tracer(const struct attach *attach, int values, size_t nr)
{
	struct bpf_insn insns[PINNED_VALUES * 2 + 6] = { VALUE_OF(BPF_REG_6, values), { 0 } };
	const struct bpf_insn end[] = {
		MOV(BPF_REG_2, 1),
		COUNT(BPF_REG_6, 8 * nr, BPF_REG_2),
		MOV(BPF_REG_0, 0),
		EXIT,
	};
	size_t used = 2, i;

	for (i = 0; i < nr; i++) {
		insns[used++] = (struct bpf_insn)LOAD(BPF_REG_2, BPF_REG_1, 8 * i);
		insns[used++] = (struct bpf_insn)STORE(BPF_REG_6, 8 * i, BPF_REG_2);
	}
	memcpy(insns + used, end, sizeof(end));

	return must_load(BPF_PROG_TYPE_TRACING, insns, used + ARRAY_SIZE(end), attach);
}

/* A program that traces another one can be attached once. */
static int trace_target(int target, enum bpf_attach_type type, uint32_t btf_id, int values,
			size_t nr)
{
	const struct attach attach = { .type = type, .btf_id = btf_id, .prog = target };

	return load_tracer(&attach, values, nr);
}

/* Whether the kernel has a symbol for the trampoline of a function of a program */
static bool has_trampoline(int target, uint32_t btf_id)
{
	struct bpf_prog_info info = { 0 };
	union bpf_attr attr = {
		.info.bpf_fd = target,
		.info.info_len = sizeof(info),
		.info.info = (uintptr_t)&info,
	};
	char name[64];

	if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)))
		die("BPF info: %s", strerror(errno));
	snprintf(name, sizeof(name), "bpf_trampoline_%llu",
		 (unsigned long long)info.id << 32 | btf_id);

	return symbol_address(name);
}

TEST_F_TIMEOUT(programs, are_traced_when_they_begin, LIMIT)
{
	uint64_t values[PINNED_VALUES];
	int i;

	for (i = 1; i <= 3; i++) {
		int tracer = trace_target(self->target, BPF_TRACE_FENTRY, TYPE_ADD, self->values,
					  2);
		int link = attach_with(tracer, BPF_TRACE_FENTRY, 0);

		ASSERT_LE(0, link);
		EXPECT_EQ(42U, bpf_run(self->target));
		read_values(self->values, values);
		EXPECT_EQ(50, (int)values[0]);
		EXPECT_EQ(-8, (int)values[1]);
		EXPECT_EQ(i, (int)values[2]);
		EXPECT_TRUE(has_trampoline(self->target, TYPE_ADD));
		close(link);
		EXPECT_EQ(42U, bpf_run(self->target));
		close(tracer);
	}
	read_values(self->values, values);
	EXPECT_EQ(3, (int)values[2]);
}

TEST_F_TIMEOUT(programs, are_traced_when_they_return, LIMIT)
{
	int tracer = trace_target(self->target, BPF_TRACE_FEXIT, TYPE_ADD, self->values, 3);
	int link = attach_with(tracer, BPF_TRACE_FEXIT, 0);
	uint64_t values[PINNED_VALUES];

	ASSERT_LE(0, link);
	EXPECT_EQ(42U, bpf_run(self->target));
	read_values(self->values, values);
	EXPECT_EQ(50, (int)values[0]);
	EXPECT_EQ(-8, (int)values[1]);
	EXPECT_EQ(42, (int)values[2]);
	EXPECT_EQ(1, (int)values[3]);
	close(link);
	close(tracer);
}

/* The main function, which the kernel calls, and one that it calls; both ends of both */
TEST_F_TIMEOUT(programs, are_traced_in_all_ways_at_once, LIMIT)
{
	static const struct {
		enum bpf_attach_type type;
		uint32_t btf_id;
		size_t nr;
	} ways[] = {
		{ BPF_TRACE_FENTRY, TYPE_MAIN, 5 },
		{ BPF_TRACE_FEXIT, TYPE_MAIN, 6 },
		{ BPF_TRACE_FENTRY, TYPE_ADD, 2 },
		{ BPF_TRACE_FEXIT, TYPE_ADD, 3 },
	};
	int tracers[ARRAY_SIZE(ways)], links[ARRAY_SIZE(ways)], maps[ARRAY_SIZE(ways)];
	uint64_t values[PINNED_VALUES];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		maps[i] = new_values();
		tracers[i] = trace_target(self->target, ways[i].type, ways[i].btf_id, maps[i],
					  ways[i].nr);
		links[i] = attach_with(tracers[i], ways[i].type, 0);
		ASSERT_LE(0, links[i]);
	}
	EXPECT_EQ(42U, bpf_run(self->target));
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		read_values(maps[i], values);
		EXPECT_EQ(1, (int)values[ways[i].nr]);
		if (ways[i].type == BPF_TRACE_FEXIT)
			EXPECT_EQ(42, (int)values[ways[i].nr - 1]);
		close(links[i]);
		close(tracers[i]);
		close(maps[i]);
	}
}

/* bpf_get_attach_cookie(), bpf_get_func_ip(), bpf_get_func_arg(), ..._ret() and ..._arg_cnt() */
TEST_F_TIMEOUT(programs, say_by_whom_they_are_traced, LIMIT)
{
	const struct attach attach = {
		.type = BPF_TRACE_FEXIT, .btf_id = TYPE_ADD, .prog = self->target,
	};
	const struct bpf_insn insns[] = {
		VALUE_OF(BPF_REG_7, self->values),
		{ 0 },
		MOV_REG(BPF_REG_6, BPF_REG_1),
		CALL(BPF_FUNC_get_attach_cookie),
		STORE(BPF_REG_7, 0, BPF_REG_0),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		CALL(BPF_FUNC_get_func_ip),
		STORE(BPF_REG_7, 8, BPF_REG_0),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		CALL(BPF_FUNC_get_func_arg_cnt),
		STORE(BPF_REG_7, 16, BPF_REG_0),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		MOV(BPF_REG_2, 1),
		MOV_REG(BPF_REG_3, BPF_REG_10),
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_3, .imm = -8 },
		MOV(BPF_REG_0, 0),
		STORE(BPF_REG_10, -8, BPF_REG_0),
		CALL(BPF_FUNC_get_func_arg),
		LOAD(BPF_REG_1, BPF_REG_10, -8),
		STORE(BPF_REG_7, 24, BPF_REG_1),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		MOV_REG(BPF_REG_2, BPF_REG_10),
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_2, .imm = -8 },
		CALL(BPF_FUNC_get_func_ret),
		LOAD(BPF_REG_1, BPF_REG_10, -8),
		STORE(BPF_REG_7, 32, BPF_REG_1),
		MOV(BPF_REG_0, 0),
		EXIT,
	};
	const uint64_t cookie = 0xfedcba9876543210;
	int tracer = must_load(BPF_PROG_TYPE_TRACING, insns, ARRAY_SIZE(insns), &attach);
	int link = attach_with(tracer, BPF_TRACE_FEXIT, cookie);
	uint64_t values[PINNED_VALUES];

	ASSERT_LE(0, link);
	EXPECT_EQ(42U, bpf_run(self->target));
	read_values(self->values, values);
	EXPECT_EQ(cookie, values[0]);
	EXPECT_NE(0UL, values[1]);
	EXPECT_EQ(2UL, values[2]);
	EXPECT_EQ(-8, (int)values[3]);
	EXPECT_EQ(42, (int)values[4]);
	close(link);
	close(tracer);
}

TEST_F_TIMEOUT(programs, are_replaced, LIMIT)
{
	/* Returns a - 2 * b */
	const struct bpf_insn insns[] = {
		MOV_REG(BPF_REG_0, BPF_REG_1),
		{ .code = BPF_ALU64 | BPF_SUB | BPF_X, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_2 },
		{ .code = BPF_ALU64 | BPF_SUB | BPF_X, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_2 },
		EXIT,
	};
	const struct attach attach = {
		.btf_id = TYPE_ADD, .prog = self->target, .btf = self->btf,
		.func_info = { { 0, TYPE_ADD } }, .nr_func_info = 1,
	};
	int other = must_load(BPF_PROG_TYPE_EXT, insns, ARRAY_SIZE(insns), &attach);
	int tracer = trace_target(self->target, BPF_TRACE_FENTRY, TYPE_ADD, self->values, 2);
	int link = attach_with(other, 0, 0);

	ASSERT_LE(0, link);
	EXPECT_EQ(66U, bpf_run(self->target));
	/* Who has been replaced is not traced */
	EXPECT_EQ(-EBUSY, attach_with(tracer, BPF_TRACE_FENTRY, 0));
	close(link);
	EXPECT_EQ(42U, bpf_run(self->target));
	close(other);
	close(tracer);
}

/* A program runs on all harts while another process attaches to it and detaches. */
TEST_F_TIMEOUT(programs, run_meanwhile, LIMIT)
{
	long harts = sysconf(_SC_NPROCESSORS_ONLN), i;
	uint64_t values[PINNED_VALUES];
	pid_t children[64];

	harts = harts < 64 ? harts : 64;
	for (i = 0; i < harts; i++) {
		children[i] = fork();
		ASSERT_LE(0, children[i]);
		if (!children[i])
			for (;;)
				if (bpf_run(self->target) != 42)
					_exit(1);
	}
	for (i = 0; i < 100; i++) {
		int tracer = trace_target(self->target, BPF_TRACE_FEXIT, TYPE_ADD, self->values,
					  3);
		int link = attach_with(tracer, BPF_TRACE_FEXIT, 0);

		EXPECT_LE(0, link);
		EXPECT_EQ(42U, bpf_run(self->target));
		close(link);
		close(tracer);
	}
	read_values(self->values, values);
	EXPECT_LE(100UL, values[3]);
	EXPECT_EQ(42, (int)values[2]);
	for (i = 0; i < harts; i++) {
		int status;

		kill(children[i], SIGKILL);
		waitpid(children[i], &status, 0);
		EXPECT_TRUE(WIFSIGNALED(status));
	}
}

FIXTURE(kernel) {
	struct stats before;
	int values;
};

FIXTURE_SETUP(kernel)
{
	self->before = stats_at_rest("bpf");
	self->values = new_values();
}

FIXTURE_TEARDOWN(kernel)
{
	close(self->values);
	EXPECT_TRUE(stats_settle("bpf", &self->before));
}

/* Why programs cannot be on functions of the kernel: NULL if they can */
static const char *kernel_not_traced(void)
{
	if (access(KERNEL_BTF, R_OK))
		return "there is no BTF";
	/* Direct calls come with the tracer. */
	if (access(TRACED_FUNCTIONS, R_OK))
		return "the kernel does not trace its functions";
	return NULL;
}

static int trace_kernel(enum bpf_attach_type type, const char *function, int values, size_t nr)
{
	const struct attach attach = {
		.type = type,
		.btf_id = btf_find(BTF_KIND_FUNC, function, NULL),
	};

	return load_tracer(&attach, values, nr);
}

/* Runs functions of the kernel that are there to be traced */
static int run_traced(int prog)
{
	union bpf_attr attr = { .test.prog_fd = prog };

	return syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)) ? errno : 0;
}

TEST_F_TIMEOUT(kernel, functions_are_traced, LIMIT)
{
	uint64_t values[PINNED_VALUES];
	int entry, exit, links[2];

	if (kernel_not_traced())
		SKIP(return, "%s", kernel_not_traced());
	entry = trace_kernel(BPF_TRACE_FENTRY, "bpf_fentry_test6", self->values, 6);
	links[0] = attach_with(entry, BPF_TRACE_FENTRY, 0);
	ASSERT_LE(0, links[0]);
	ASSERT_EQ(0, run_traced(entry));
	read_values(self->values, values);
	EXPECT_EQ(16UL, values[0]);
	EXPECT_EQ(17UL, values[1]);
	EXPECT_EQ(18UL, values[2]);
	EXPECT_EQ(19UL, values[3]);
	EXPECT_EQ(20UL, values[4]);
	EXPECT_EQ(21UL, values[5]);
	EXPECT_EQ(1UL, values[6]);

	clear_values(self->values);
	exit = trace_kernel(BPF_TRACE_FEXIT, "bpf_fentry_test6", self->values, 7);
	links[1] = attach_with(exit, BPF_TRACE_FEXIT, 0);
	ASSERT_LE(0, links[1]);
	/* The one at the entry is in the array before */
	close(links[0]);
	ASSERT_EQ(0, run_traced(exit));
	read_values(self->values, values);
	EXPECT_EQ(16UL, values[0]);
	EXPECT_EQ(111, (int)values[6]);
	EXPECT_EQ(1UL, values[7]);
	close(links[1]);
	close(entry);
	close(exit);
}

#define SHARED_FUNCTION	"bpf_fentry_test6"
#define SHARED_ARGS	6

enum user { TRACER, PROBE, PROGRAM, NR_USERS };

/* All orders in which they can come or go */
static const enum user user_orders[][NR_USERS] = {
	{ TRACER, PROBE, PROGRAM }, { TRACER, PROGRAM, PROBE }, { PROBE, TRACER, PROGRAM },
	{ PROBE, PROGRAM, TRACER }, { PROGRAM, TRACER, PROBE }, { PROGRAM, PROBE, TRACER },
};

/* Who is on a function */
struct users {
	const char *tracer;
	int values, prog;
	int fds[NR_USERS];	/* -1: this user is not there */
};

static void attach_user(struct __test_metadata *_metadata, struct users *users, enum user user)
{
	switch (user) {
	case TRACER:
		must_write(TRACING "current_tracer", users->tracer);
		users->fds[user] = 0;
		break;
	case PROBE:
		users->fds[user] = kprobe_open(SHARED_FUNCTION, 0);
		break;
	default:
		users->fds[user] = attach_with(users->prog, BPF_TRACE_FENTRY, 0);
	}
	ASSERT_LE(0, users->fds[user]);
}

static void detach_user(struct users *users, enum user user)
{
	if (user == TRACER)
		must_write(TRACING "current_tracer", "nop");
	else
		close(users->fds[user]);
	users->fds[user] = -1;
}

/* Call the function once. All who are on it see that, and nobody else. */
static void call_shared(struct __test_metadata *_metadata, const struct users *users)
{
	const bool traced = users->fds[TRACER] >= 0;
	const bool probed = users->fds[PROBE] >= 0;
	const bool programmed = users->fds[PROGRAM] >= 0;
	unsigned long hits = probed ? kprobe_hits(users->fds[PROBE]) : 0;
	uint64_t values[PINNED_VALUES];
	size_t i;

	write_file(TRACING "trace", "");
	clear_values(users->values);
	ASSERT_EQ(0, run_traced(users->prog));

	EXPECT_EQ((size_t)traced, count_words(TRACING "trace", SHARED_FUNCTION));
	if (probed)
		EXPECT_EQ(hits + 1, kprobe_hits(users->fds[PROBE]));
	read_values(users->values, values);
	for (i = 0; i < SHARED_ARGS; i++)
		EXPECT_EQ(programmed ? 16 + i : 0, values[i]);
	EXPECT_EQ((uint64_t)programmed, values[SHARED_ARGS]);
}

FIXTURE(function) {
	struct stats before;
	struct users users;
};

FIXTURE_VARIANT(function) {
	const char *tracer;
};

FIXTURE_VARIANT_ADD(function, tracer) {
	.tracer = "function",
};

FIXTURE_VARIANT_ADD(function, graph_tracer) {
	.tracer = "function_graph",
};

FIXTURE_SETUP(function)
{
	size_t i;

	if (kernel_not_traced())
		return;
	expedite_rcu("1");
	must_write(TRACING "set_ftrace_filter", SHARED_FUNCTION);
	self->before = stats_at_rest("bpf");
	self->users.tracer = variant->tracer;
	self->users.values = new_values();
	self->users.prog = trace_kernel(BPF_TRACE_FENTRY, SHARED_FUNCTION, self->users.values,
					SHARED_ARGS);
	for (i = 0; i < NR_USERS; i++)
		self->users.fds[i] = -1;
}

FIXTURE_TEARDOWN(function)
{
	if (kernel_not_traced())
		return;
	close(self->users.prog);
	close(self->users.values);
	must_write(TRACING "current_tracer", "nop");
	write_file(TRACING "set_ftrace_filter", "");
	EXPECT_TRUE(stats_settle("bpf", &self->before));
	expedite_rcu("0");
}

TEST_F_TIMEOUT(function, is_shared_by_all_who_come_and_go_in_any_order, LIMIT)
{
	size_t come, go, i;

	if (kernel_not_traced())
		SKIP(return, "%s", kernel_not_traced());
	for (come = 0; come < ARRAY_SIZE(user_orders); come++) {
		for (go = 0; go < ARRAY_SIZE(user_orders); go++) {
			for (i = 0; i < NR_USERS; i++) {
				attach_user(_metadata, &self->users, user_orders[come][i]);
				call_shared(_metadata, &self->users);
			}
			for (i = 0; i < NR_USERS; i++) {
				detach_user(&self->users, user_orders[go][i]);
				call_shared(_metadata, &self->users);
			}
		}
	}
}

/* A function that is called to be traced, what it gets and returns, and its cookie */
static const struct many {
	const char *name;
	uint64_t cookie, args[2];
	int ret;
} many[] = {
	/* Neither in the order of their names nor in that of their addresses */
	{ "bpf_fentry_test3", 0x300000002, { 4, 5 }, 15 },
	{ "bpf_fentry_test1", 0x100000000, { 1, 0 }, 2 },
	{ "bpf_fentry_test2", 0x200000001, { 2, 3 }, 5 },
};

/* What the program stores: MANY_VALUES numbers for each function */
enum { MANY_IP, MANY_COOKIE, MANY_ARG0, MANY_ARG1, MANY_RET, MANY_CALLS, MANY_VALUES = 8 };

/* Where a program finds the arguments and the return value of a function */
#ifdef __riscv
#define REG_ARG0	offsetof(struct user_regs_struct, a0)
#define REG_ARG1	offsetof(struct user_regs_struct, a1)
#define REG_RET		offsetof(struct user_regs_struct, a0)
#elif defined(__aarch64__)
#define REG_ARG0	offsetof(struct user_pt_regs, regs[0])
#define REG_ARG1	offsetof(struct user_pt_regs, regs[1])
#define REG_RET		offsetof(struct user_pt_regs, regs[0])
#else
#define REG_ARG0	offsetof(struct pt_regs, rdi)
#define REG_ARG1	offsetof(struct pt_regs, rsi)
#define REG_RET		offsetof(struct pt_regs, rax)
#endif

/* A program on many functions. It finds out by the cookie in which one it is. */
static int load_many(int values)
{
	const struct bpf_insn insns[] = {
		MOV_REG(BPF_REG_6, BPF_REG_1),
		CALL(BPF_FUNC_get_attach_cookie),
		MOV_REG(BPF_REG_8, BPF_REG_0),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		CALL(BPF_FUNC_get_func_ip),
		VALUE_OF(BPF_REG_7, values),
		{ 0 },
		MOV_REG(BPF_REG_1, BPF_REG_8),
		{ .code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = BPF_REG_1, .imm = 3 },
		{ .code = BPF_ALU64 | BPF_MUL | BPF_K, .dst_reg = BPF_REG_1,
		  .imm = MANY_VALUES * sizeof(uint64_t) },
		ADD_REG(BPF_REG_7, BPF_REG_1),
		STORE(BPF_REG_7, 8 * MANY_IP, BPF_REG_0),
		STORE(BPF_REG_7, 8 * MANY_COOKIE, BPF_REG_8),
		LOAD(BPF_REG_1, BPF_REG_6, REG_ARG0),
		STORE(BPF_REG_7, 8 * MANY_ARG0, BPF_REG_1),
		LOAD(BPF_REG_1, BPF_REG_6, REG_ARG1),
		STORE(BPF_REG_7, 8 * MANY_ARG1, BPF_REG_1),
		LOAD(BPF_REG_1, BPF_REG_6, REG_RET),
		STORE(BPF_REG_7, 8 * MANY_RET, BPF_REG_1),
		MOV(BPF_REG_1, 1),
		COUNT(BPF_REG_7, 8 * MANY_CALLS, BPF_REG_1),
		MOV(BPF_REG_0, 0),
		EXIT,
	};
	const struct attach attach = { .type = BPF_TRACE_KPROBE_MULTI };

	return must_load(BPF_PROG_TYPE_KPROBE, insns, ARRAY_SIZE(insns), &attach);
}

/* By names or by addresses. Returns the file descriptor of a link, or a negative errno. */
static int attach_many(int prog, const char * const *names, const uint64_t *addrs,
		       const uint64_t *cookies, size_t nr, bool at_return)
{
	union bpf_attr attr = {
		.link_create = {
			.prog_fd = prog,
			.attach_type = BPF_TRACE_KPROBE_MULTI,
			.kprobe_multi.flags = at_return ? BPF_F_KPROBE_MULTI_RETURN : 0,
			.kprobe_multi.cnt = nr,
			.kprobe_multi.syms = (uintptr_t)names,
			.kprobe_multi.addrs = (uintptr_t)addrs,
			.kprobe_multi.cookies = (uintptr_t)cookies,
		},
	};
	int fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

FIXTURE(many) {
	uint64_t addrs[ARRAY_SIZE(many)];
	int prog, values, runner;
};

FIXTURE_VARIANT(many) {
	bool by_address, at_return;
};

FIXTURE_VARIANT_ADD(many, by_name) {
};

FIXTURE_VARIANT_ADD(many, by_name_at_return) {
	.at_return = true,
};

FIXTURE_VARIANT_ADD(many, by_address) {
	.by_address = true,
};

FIXTURE_VARIANT_ADD(many, by_address_at_return) {
	.by_address = true,
	.at_return = true,
};

FIXTURE_SETUP(many)
{
	size_t i;

	if (kernel_not_traced())
		return;
	for (i = 0; i < ARRAY_SIZE(many); i++)
		self->addrs[i] = symbol_address(many[i].name);
	self->values = new_values();
	self->prog = load_many(self->values);
	self->runner = trace_kernel(BPF_TRACE_FENTRY, "bpf_fentry_test8", self->values, 1);
}

FIXTURE_TEARDOWN(many)
{
	if (kernel_not_traced())
		return;
	must_write(TRACING "current_tracer", "nop");
	write_file(TRACING "set_ftrace_filter", "");
	close(self->runner);
	close(self->prog);
	close(self->values);
}

/* Call the functions once, and check what the program has seen. */
static void call_many(struct __test_metadata *_metadata, const FIXTURE_DATA(many) *self,
		      bool seen, bool at_return)
{
	uint64_t values[PINNED_VALUES];
	size_t i;

	clear_values(self->values);
	ASSERT_EQ(0, run_traced(self->runner));
	read_values(self->values, values);
	for (i = 0; i < ARRAY_SIZE(many); i++) {
		const uint64_t *of = values + (many[i].cookie & 3) * MANY_VALUES;

		EXPECT_EQ((uint64_t)seen, of[MANY_CALLS]);
		if (!seen)
			continue;
		EXPECT_EQ(self->addrs[i], of[MANY_IP]);
		EXPECT_EQ(many[i].cookie, of[MANY_COOKIE]);
		if (at_return) {
			EXPECT_EQ(many[i].ret, (int)of[MANY_RET]);
			continue;
		}
		EXPECT_EQ(many[i].args[0], of[MANY_ARG0]);
		if (many[i].args[1])
			EXPECT_EQ(many[i].args[1], of[MANY_ARG1]);
	}
}

/* Others are there, too: the graph tracer, a kprobe, and a program with a trampoline. */
TEST_F_TIMEOUT(many, functions_have_a_program, LIMIT)
{
	uint64_t cookies[ARRAY_SIZE(many)], others[PINNED_VALUES];
	const char *names[ARRAY_SIZE(many)];
	int link, other, other_values, other_link, probe;
	size_t i;

	if (kernel_not_traced())
		SKIP(return, "%s", kernel_not_traced());
	for (i = 0; i < ARRAY_SIZE(many); i++) {
		names[i] = many[i].name;
		cookies[i] = many[i].cookie;
		must_write(TRACING "set_ftrace_filter", many[i].name);
	}
	link = attach_many(self->prog, variant->by_address ? NULL : names,
			   variant->by_address ? self->addrs : NULL, cookies, ARRAY_SIZE(many),
			   variant->at_return);
	if (link == -EOPNOTSUPP)
		SKIP(return, "the kernel has no fprobes");
	ASSERT_LE(0, link);
	call_many(_metadata, self, true, variant->at_return);

	must_write(TRACING "current_tracer", "function_graph");
	call_many(_metadata, self, true, variant->at_return);

	probe = kprobe_open(many[0].name, 0);
	ASSERT_LE(0, probe);
	other_values = new_values();
	other = trace_kernel(BPF_TRACE_FEXIT, many[0].name, other_values, 4);
	other_link = attach_with(other, BPF_TRACE_FEXIT, 0);
	ASSERT_LE(0, other_link);
	call_many(_metadata, self, true, variant->at_return);
	EXPECT_EQ(1UL, kprobe_hits(probe));
	read_values(other_values, others);
	EXPECT_EQ(many[0].args[0], others[0]);
	EXPECT_EQ(many[0].ret, (int)others[3]);
	close(other_link);
	close(probe);

	close(link);
	call_many(_metadata, self, false, variant->at_return);
	must_write(TRACING "current_tracer", "nop");
	close(other);
	close(other_values);
}

TEST_F_TIMEOUT(many, functions_are_refused_if_one_cannot_be_traced, LIMIT)
{
	const char * const names[] = { many[0].name, "ftrace_dispatch" };
	const uint64_t addrs[] = { self->addrs[0], symbol_address(names[1]) };
	int link;

	if (kernel_not_traced())
		SKIP(return, "%s", kernel_not_traced());
	link = attach_many(self->prog, variant->by_address ? NULL : names,
			   variant->by_address ? addrs : NULL, NULL, ARRAY_SIZE(names),
			   variant->at_return);
	if (link == -EOPNOTSUPP)
		SKIP(return, "the kernel has no fprobes");
	EXPECT_EQ(variant->by_address ? -EINVAL : -ESRCH, link);
}

/* A program that runs instead of @function and denies this process to open files */
static void deny_open(struct __test_metadata *_metadata, int values, enum bpf_prog_type type,
		      enum bpf_attach_type attach_type, const char *function, bool sleepable)
{
	const struct bpf_insn insns[] = {
		CALL(BPF_FUNC_get_current_pid_tgid),
		{ .code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = BPF_REG_0, .imm = 32 },
		MOV(BPF_REG_1, getpid()),
		JNE(BPF_REG_0, BPF_REG_1, 6),
		VALUE_OF(BPF_REG_6, values),
		{ 0 },
		MOV(BPF_REG_2, 1),
		COUNT(BPF_REG_6, 0, BPF_REG_2),
		MOV(BPF_REG_0, -EPERM),
		EXIT,
		MOV(BPF_REG_0, 0),
		EXIT,
	};
	const struct attach attach = {
		.type = attach_type,
		.btf_id = btf_find(BTF_KIND_FUNC, function, NULL),
		.sleepable = sleepable,
	};
	uint64_t counted[PINNED_VALUES];
	int prog, link, fd, err;

	prog = must_load(type, insns, ARRAY_SIZE(insns), &attach);
	link = attach_with(prog, attach_type, 0);
	ASSERT_LE(0, link);
	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	err = errno;
	close(link);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(EPERM, err);
	read_values(values, counted);
	EXPECT_EQ(1UL, counted[0]);
	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	EXPECT_LE(0, fd);
	close(fd);
	close(prog);
}

TEST_F_TIMEOUT(kernel, functions_are_not_called, LIMIT)
{
	if (kernel_not_traced())
		SKIP(return, "%s", kernel_not_traced());
	deny_open(_metadata, self->values, BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN,
		  "security_file_open", false);
}

TEST_F_TIMEOUT(kernel, files_are_guarded, LIMIT)
{
	if (kernel_not_traced())
		SKIP(return, "%s", kernel_not_traced());
	deny_open(_metadata, self->values, BPF_PROG_TYPE_LSM, BPF_LSM_MAC,
		  "bpf_lsm_file_open", false);
}

TEST_F_TIMEOUT(kernel, files_are_guarded_by_programs_that_sleep, LIMIT)
{
	if (kernel_not_traced())
		SKIP(return, "%s", kernel_not_traced());
	deny_open(_metadata, self->values, BPF_PROG_TYPE_LSM, BPF_LSM_MAC,
		  "bpf_lsm_file_open", true);
}

/* A structure of operations that only tests call */
TEST_F_TIMEOUT(kernel, operations_are_called, LIMIT)
{
	const struct bpf_insn insns[] = {
		LOAD(BPF_REG_0, BPF_REG_1, 8),
		LOAD(BPF_REG_2, BPF_REG_1, 16),
		ADD_REG(BPF_REG_0, BPF_REG_2),
		LOAD(BPF_REG_2, BPF_REG_1, 24),
		ADD_REG(BPF_REG_0, BPF_REG_2),
		LOAD(BPF_REG_2, BPF_REG_1, 32),
		ADD_REG(BPF_REG_0, BPF_REG_2),
		EXIT,
	};
	uint64_t args[5] = { 0, -7000, 0x1234, 'd', 1000 };
	union bpf_attr attr = {
		.test.ctx_in = (uintptr_t)args,
		.test.ctx_size_in = sizeof(args),
	};
	struct attach attach = { 0 };

	if (access(KERNEL_BTF, R_OK))
		SKIP(return, "there is no BTF");
	attach.btf_id = btf_find(BTF_KIND_STRUCT, "bpf_dummy_ops", NULL);
	attach.type = btf_member("bpf_dummy_ops", "test_2", NULL);
	attr.test.prog_fd = must_load(BPF_PROG_TYPE_STRUCT_OPS, insns, ARRAY_SIZE(insns), &attach);
	ASSERT_EQ(0, syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)));
	EXPECT_EQ(-7000 + 0x1234 + 'd' + 1000, (int)attr.test.retval);
	close(attr.test.prog_fd);
}

#define CONGESTION	"bpf_test_cc"

static int load_operation(const char *name, int values, int count_at, int32_t ret)
{
	const struct bpf_insn insns[] = {
		VALUE_OF(BPF_REG_6, values),
		{ 0 },
		MOV(BPF_REG_2, 1),
		COUNT(BPF_REG_6, count_at, BPF_REG_2),
		MOV(BPF_REG_0, ret),
		EXIT,
	};
	const struct attach attach = {
		.btf_id = btf_find(BTF_KIND_STRUCT, "tcp_congestion_ops", NULL),
		.type = btf_member("tcp_congestion_ops", name, NULL),
	};

	return must_load(BPF_PROG_TYPE_STRUCT_OPS, insns, ARRAY_SIZE(insns), &attach);
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request))
		die("lo: %s", strerror(errno));
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		die("lo: %s", strerror(errno));
	close(fd);
}

/* Sends @size bytes to this process over TCP. Returns 0 or an errno. */
static int send_bytes(size_t size)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(address);
	static char buffer[1 << 16];
	size_t received = 0;
	int peer, err = 0;
	pid_t child;

	if (bind(server, (void *)&address, sizeof(address)) || listen(server, 1) ||
	    getsockname(server, (void *)&address, &length))
		die("TCP: %s", strerror(errno));
	if (setsockopt(client, IPPROTO_TCP, TCP_CONGESTION, CONGESTION, strlen(CONGESTION)))
		err = errno;
	else if (connect(client, (void *)&address, sizeof(address)))
		err = errno;
	if (err)
		goto out;

	peer = accept(server, NULL, NULL);
	child = fork();
	if (!child) {
		size_t sent = 0;

		close(peer);
		while (sent < size) {
			ssize_t more = write(client, buffer, sizeof(buffer));

			if (more <= 0)
				_exit(1);
			sent += more;
		}
		_exit(0);
	}
	close(client);
	client = -1;
	for (;;) {
		ssize_t more = read(peer, buffer, sizeof(buffer));

		if (more <= 0)
			break;
		received += more;
	}
	waitpid(child, NULL, 0);
	close(peer);
	if (received < size)
		err = EPIPE;
out:
	close(client);
	close(server);
	return err;
}

TEST_F_TIMEOUT(kernel, tcp_has_congestion_control_in_bpf, LIMIT)
{
	static const char * const names[] = { "ssthresh", "cong_avoid", "undo_cwnd", "init" };
	int progs[ARRAY_SIZE(names)], map;
	uint64_t counted[PINNED_VALUES];
	const struct btf_type *type;
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_STRUCT_OPS,
		.key_size = sizeof(uint32_t),
		.max_entries = 1,
	};
	size_t data, offset, i;
	uint32_t key = 0;
	char *value;

	if (access(KERNEL_BTF, R_OK))
		SKIP(return, "there is no BTF");
	loopback_up();
	attr.btf_vmlinux_value_type_id = btf_find(BTF_KIND_STRUCT,
						  "bpf_struct_ops_tcp_congestion_ops", &type);
	attr.value_size = type->size;
	/* A map with a type needs the BTF of a program. The kernel does not read it. */
	attr.btf_fd = load_btf();
	value = calloc(1, type->size);
	ASSERT_NE(NULL, value);
	map = syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	close(attr.btf_fd);
	ASSERT_LE(0, map);

	btf_member("bpf_struct_ops_tcp_congestion_ops", "data", &data);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		uint64_t prog;

		progs[i] = load_operation(names[i], self->values, 8 * i, 2);
		prog = progs[i];
		btf_member("tcp_congestion_ops", names[i], &offset);
		memcpy(value + data + offset, &prog, sizeof(prog));
	}
	btf_member("tcp_congestion_ops", "name", &offset);
	strcpy(value + data + offset, CONGESTION);
	attr = (union bpf_attr){
		.map_fd = map,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)value,
	};
	ASSERT_EQ(0, syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)));
	EXPECT_NE(0UL, symbol_address("bpf_struct_ops_tcp_congestion_ops"));

	EXPECT_EQ(0, send_bytes(4 << 20));
	read_values(self->values, counted);
	EXPECT_LE(1UL, counted[1]);
	EXPECT_EQ(1UL, counted[3]);

	attr = (union bpf_attr){ .map_fd = map, .key = (uintptr_t)&key };
	EXPECT_EQ(0, syscall(SYS_bpf, BPF_MAP_DELETE_ELEM, &attr, sizeof(attr)));
	EXPECT_EQ(ENOENT, send_bytes(1));
	close(map);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		close(progs[i]);
	free(value);
}

int main(int argc, char **argv)
{
	prepare();
	need(STATS);
	return test_harness_run(argc, argv);
}
