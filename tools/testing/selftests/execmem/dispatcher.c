// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dispatcher of XDP programs, whose code the kernel writes itself: it is
 * executable memory of BPF that no program's image is in. An architecture
 * without dispatchers (all but x86) allocates it as well, and then keeps calling
 * programs through a pointer.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define CALLER	"bpf_dispatcher_change_prog"

/* More than once, or the kernel does not bother with the dispatcher. */
#define REPEAT	1000

static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr, const char *what)
{
	int ret = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	if (ret < 0)
		die("XDP program: %s: %s", what, strerror(errno));
	return ret;
}

static int xdp_load(int value)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)insns,
		.insn_cnt = 2,
		.license = (uintptr_t)"GPL",
	};

	return sys_bpf(BPF_PROG_LOAD, &attr, "load");
}

static unsigned int xdp_run(int fd)
{
	char packet[64] = { 0 };
	union bpf_attr attr = {
		.test.prog_fd = fd,
		.test.data_in = (uintptr_t)packet,
		.test.data_size_in = sizeof(packet),
		.test.repeat = REPEAT,
	};

	sys_bpf(BPF_PROG_TEST_RUN, &attr, "test run");
	return attr.test.retval;
}

/* Live allocations of the dispatcher's. */
static int images(void)
{
	char *text = read_file("/sys/kernel/debug/execmem_areas");
	char *at = text;
	int count = 0;

	while ((at = strstr(at, " " CALLER "+"))) {
		at++;
		count++;
	}
	free(text);
	return count;
}

int main(void)
{
	int first, second;

	setlinebuf(stdout);
	ksft_print_header();
	ksft_set_plan(4);

	first = xdp_load(XDP_DROP);
	second = xdp_load(XDP_PASS);
	ksft_test_result(!images(), "no dispatcher before the first XDP program runs\n");
	ksft_test_result(xdp_run(first) == XDP_DROP, "the first program runs\n");
	ksft_test_result(images(), "the dispatcher's code is in execmem's memory\n");
	ksft_test_result(xdp_run(second) == XDP_PASS && xdp_run(first) == XDP_DROP,
			 "the dispatcher calls the program that it is told to\n");
	close(second);
	close(first);

	ksft_finished();
}
