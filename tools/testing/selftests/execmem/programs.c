// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF programs: calls of other programs, filters of system calls, and the
 * kernel's use of program addresses. Programs may be behind the kernel's own
 * text or elsewhere. Stack traces name them. Neither a program nor the memory
 * of a freed program can be probed. The start of a program is random.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "common.h"
#include "memory.h"

#define EVENT		"execmem_stack"
#define HARDEN		"/proc/sys/net/core/bpf_jit_harden"

/*
 * The function that BPF_FUNC_get_prandom_u32 calls. At its beginning, it has no
 * frame yet, so a stack trace by frame pointers leaves out its caller.
 */
#define PROBED		"prandom_u32_state"

#define LIMIT		300	/* seconds */

/* How often a program of each length is loaded */
#define LOADS		20
/* A program has a number of moves of two or four bytes: all lengths modulo CHUNK occur. */
#define CHUNK		64
#define LENGTHS		(CHUNK / 2)

#define MOV(reg, value) \
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (reg), .imm = (value) }
#define ADD(reg, value) \
	{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = (reg), .imm = (value) }
#define EXIT	{ .code = BPF_JMP | BPF_EXIT }

static int load_program(const struct bpf_insn *insns, size_t nr)
{
	int fd = bpf_load_insns(BPF_PROG_TYPE_SOCKET_FILTER, insns, nr);

	if (fd < 0)
		die("BPF load: %s", strerror(-fd));
	return fd;
}

/* After each case, nothing is left of its programs. */
FIXTURE(programs) {
	struct stats before;
};

FIXTURE_SETUP(programs)
{
	self->before = stats_at_rest("bpf");
}

FIXTURE_TEARDOWN(programs)
{
	EXPECT_TRUE(stats_settle("bpf", &self->before));
}

TEST_F_TIMEOUT(programs, call_a_function_of_their_own, LIMIT)
{
	const struct bpf_insn insns[] = {
		MOV(BPF_REG_1, TARGET_ANSWER - 1),
		{ .code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL, .imm = 1 },
		EXIT,
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_1 },
		ADD(BPF_REG_0, 1),
		EXIT,
	};
	int fd = load_program(insns, ARRAY_SIZE(insns));

	EXPECT_EQ(TARGET_ANSWER, (int)bpf_run(fd));
	close(fd);
}

/* A hart runs what another one has loaded, and executes no fence.i of its own in between. */
TEST_F_TIMEOUT(programs, run_on_another_hart, LIMIT)
{
	int fds[LOADS], i;

	if (sysconf(_SC_NPROCESSORS_ONLN) == 1)
		SKIP(return, "there is one hart");
	for (i = 0; i < LOADS; i++) {
		pin_to_cpu(0);
		fds[i] = bpf_load(i);
		pin_to_cpu(1);
		EXPECT_EQ(i, (int)bpf_run(fds[i]));
	}
	/* A program that is freed has all harts look. */
	for (i = 0; i < LOADS; i++)
		close(fds[i]);
}

TEST_F_TIMEOUT(programs, jump_to_another_one, LIMIT)
{
	int map = bpf_map(BPF_MAP_TYPE_PROG_ARRAY, sizeof(uint32_t), 1, 0);
	const struct bpf_insn insns[] = {
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_2,
		  .src_reg = BPF_PSEUDO_MAP_FD, .imm = map },
		{ 0 },
		MOV(BPF_REG_3, 0),
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_tail_call },
		MOV(BPF_REG_0, 1),
		EXIT,
	};
	uint32_t key = 0, target;
	union bpf_attr attr;
	int fd;

	ASSERT_LE(0, map);
	fd = load_program(insns, ARRAY_SIZE(insns));
	EXPECT_EQ(1U, bpf_run(fd));

	target = bpf_load(TARGET_ANSWER);
	attr = (union bpf_attr){
		.map_fd = map,
		.key = (uintptr_t)&key,
		.value = (uintptr_t)&target,
	};
	ASSERT_EQ(0, syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)));
	close(target);
	EXPECT_EQ(TARGET_ANSWER, (int)bpf_run(fd));
	close(fd);
	close(map);
}

/* A program with blinded constants is larger, and returns the same. */
TEST_F_TIMEOUT(programs, have_blinded_constants, LIMIT)
{
	char *before = read_file(HARDEN);
	const struct bpf_insn insns[] = { MOV(BPF_REG_0, 20), ADD(BPF_REG_0, 22), EXIT };
	int plain = load_program(insns, ARRAY_SIZE(insns)), hard;

	must_write(HARDEN, "2");
	hard = load_program(insns, ARRAY_SIZE(insns));
	must_write(HARDEN, before);
	free(before);

	EXPECT_EQ(42U, bpf_run(hard));
	EXPECT_GT(bpf_image_size(hard), bpf_image_size(plain));
	close(hard);
	close(plain);
}

TEST_F_TIMEOUT(programs, are_in_stack_traces, LIMIT)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_prandom_u32 },
		MOV(BPF_REG_0, 0),
		EXIT,
	};
	int fd = load_program(insns, ARRAY_SIZE(insns));
	char symbol[64], *trace;

	bpf_symbol(fd, symbol, sizeof(symbol));
	must_write(TRACING "kprobe_events", "p:" EVENT " " PROBED);
	must_write(TRACING "events/kprobes/" EVENT "/trigger", "stacktrace");
	bpf_run(fd);
	trace = read_file(TRACING "trace");
	must_write(TRACING "events/kprobes/" EVENT "/trigger", "!stacktrace");
	must_write(TRACING "kprobe_events", "-:" EVENT);

	EXPECT_NE(NULL, strstr(trace, symbol));
	free(trace);
	close(fd);
}

/* Load LOADS programs of as many moves. In how many places of a chunk do they start? */
static unsigned int count_starts(unsigned int moves, unsigned long *length)
{
	struct bpf_insn insns[LENGTHS + 2] = { MOV(BPF_REG_0, 0) };
	bool seen[CHUNK] = { false };
	unsigned int i, starts = 0;

	for (i = 1; i <= moves; i++)
		insns[i] = (struct bpf_insn)MOV(BPF_REG_0, 0);
	insns[i] = (struct bpf_insn)EXIT;

	for (i = 0; i < LOADS; i++) {
		int fd = load_program(insns, moves + 2);
		unsigned long start = bpf_address(fd) % CHUNK;

		*length = bpf_image_size(fd);
		starts += !seen[start];
		seen[start] = true;
		close(fd);
	}
	return starts;
}

/*
 * An attacker who chooses the length of a program must not thereby choose its
 * start. Each length has at least four possible starts, none with a probability
 * above one in four. The chance that all 20 loads of one of the 32 lengths have
 * the same start is 32 * (1/4)^19, about 1e-10.
 */
TEST_F_TIMEOUT(programs, start_at_random_places, LIMIT)
{
	unsigned int moves, starts, fewest = CHUNK;
	unsigned long length, worst = 0;
	bool seen[CHUNK] = { false };

	for (moves = 0; moves < LENGTHS; moves++) {
		starts = count_starts(moves, &length);
		seen[length % CHUNK] = true;
		if (starts < fewest) {
			fewest = starts;
			worst = length;
		}
	}
	ksft_print_msg("the fewest starts, of %u programs of %lu bytes: %u\n", LOADS, worst,
		       fewest);
	/* The header has 8 bytes. It fills the chunk, or leaves less than one instruction needs. */
	EXPECT_TRUE(seen[CHUNK - 8]);
	EXPECT_TRUE(seen[CHUNK - 8 - 4]);
	EXPECT_LT(1U, fewest);
}

/* The memory of a freed program cannot be probed either. */
TEST_F_TIMEOUT(programs, cannot_be_probed, LIMIT)
{
	const time_t start = time(NULL);
	int fd = bpf_load(TARGET_ANSWER);
	unsigned long addr = bpf_address(fd);
	char symbol[64];

	ASSERT_NE(0UL, addr);
	bpf_symbol(fd, symbol, sizeof(symbol));
	ksft_print_msg("the program is %s the kernel's text\n",
		       in_text_tail(addr) ? "behind" : "elsewhere than behind");
	EXPECT_EQ(-EINVAL, kprobe_open_at(addr));

	close(fd);
	while (symbol_address(symbol) && time(NULL) - start <= SETTLE_LIMIT)
		usleep(1000);
	EXPECT_EQ(-ENOENT, kprobe_open_at(addr));
}

/* In a child: filter a system call. Exits with 0 if there is one more program then. */
static void be_filtered(unsigned long programs)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | TARGET_ANSWER),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = ARRAY_SIZE(insns), .filter = insns };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
		die("seccomp: %s", strerror(errno));
	_exit(!(syscall(SYS_getppid) == -1 && errno == TARGET_ANSWER &&
		stats_of("bpf").live == programs + 1));
}

TEST_F_TIMEOUT(programs, filter_system_calls, LIMIT)
{
	pid_t child;

	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
		SKIP(return, "the kernel has no filters of system calls");
	child = fork();
	if (!child)
		be_filtered(self->before.live);
	EXPECT_TRUE(child_succeeds(child));
}

int main(int argc, char **argv)
{
	prepare();
	need(STATS);
	return test_harness_run(argc, argv);
}
