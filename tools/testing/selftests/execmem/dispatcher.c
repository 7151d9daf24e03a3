// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dispatcher of XDP programs. The kernel writes its code itself, so it is
 * BPF's executable memory without the image of a program. An architecture
 * without dispatchers (all but x86) also allocates it, but keeps calling
 * programs through a pointer.
 */
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

/* The function that allocates it: a page of the cache, or a large area shared by many. */
static const char * const callers[] = { "bpf_dispatcher_change_prog+", "bpf_prog_pack_alloc+" };

/* Repeat the run: for a single run, the kernel does not use the dispatcher. */
#define REPEAT	1000

static int xdp_load(int value)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_load_insns(BPF_PROG_TYPE_XDP, insns, ARRAY_SIZE(insns));

	if (fd < 0)
		die("load an XDP program: %s", strerror(-fd));
	return fd;
}

static unsigned int xdp_run(int fd)
{
	unsigned int result;
	int err = bpf_test_run(fd, REPEAT, &result);

	if (err)
		die("run an XDP program: %s", strerror(err));
	return result;
}

/* The number of live allocations for the dispatcher. */
static int images(void)
{
	char *text = read_file(AREAS);
	char *line, *rest = text, caller[128];
	int count = 0;
	size_t i;

	while ((line = strsep(&rest, "\n")) && *line) {
		if (sscanf(line, "%*s %*s %*u %127s", caller) != 1)
			die("execmem_areas: cannot read \"%s\"", line);
		for (i = 0; i < ARRAY_SIZE(callers); i++)
			count += !strncmp(caller, callers[i], strlen(callers[i]));
	}
	free(text);
	return count;
}

int main(void)
{
	int first, second;

	begin();
	need(AREAS);
	/* No fixtures: each case continues from the case before. */
	ksft_set_plan(4);

	first = xdp_load(XDP_DROP);
	second = xdp_load(XDP_PASS);
#ifdef __x86_64__
	ksft_test_result_skip("x86's JIT has programs in the same large areas\n");
#else
	ksft_test_result(!images(), "no dispatcher before the first XDP program runs\n");
#endif
	ksft_test_result(xdp_run(first) == XDP_DROP, "the first program runs\n");
	ksft_test_result(images(), "the dispatcher's code is in execmem's memory\n");
	ksft_test_result(xdp_run(second) == XDP_PASS && xdp_run(first) == XDP_DROP,
			 "the dispatcher calls the program that it is told to\n");
	close(second);
	close(first);

	ksft_finished();
}
