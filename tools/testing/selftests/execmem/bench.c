// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to load BPF programs and to unload them. To be run under -icount,
 * with which a nanosecond is an instruction; times mean nothing otherwise.
 *
 *   bench bpf PROGRAMS INSNS	so many programs, of so many instructions each
 *
 * Prints a name and a value a line, for a program.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

static unsigned long instructions(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000UL + now.tv_nsec;
}

static int load_program(struct bpf_insn *insns, size_t nr)
{
	int fd = bpf_load_insns(BPF_PROG_TYPE_SOCKET_FILTER, insns, nr);

	if (fd < 0)
		die("BPF load: %s", strerror(-fd));
	return fd;
}

static void bench_bpf(size_t programs, size_t nr)
{
	const struct rlimit limit = { programs + 16, programs + 16 };
	struct bpf_insn *insns = calloc(nr, sizeof(*insns));
	int *fds = calloc(programs, sizeof(*fds));
	unsigned long start, loaded;
	long pages;
	size_t i;

	if (!insns || !fds)
		die("out of memory");
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("open %zu files: %s", programs, strerror(errno));
	for (i = 0; i < nr - 1; i++)
		insns[i] = (struct bpf_insn){
			.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = i
		};
	insns[i] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };

	/* What the first one needs and the others find is not counted. */
	close(load_program(insns, nr));
	sleep(1);

	pages = free_pages();
	start = instructions();
	for (i = 0; i < programs; i++)
		fds[i] = load_program(insns, nr);
	loaded = instructions();
	pages -= free_pages();
	printf("instructions-per-load %lu\n", (loaded - start) / programs);
	printf("bytes-per-program %lu\n", pages * PAGE_SIZE / programs);
	printf("image-bytes %zu\n", bpf_image_size(fds[0]));
	if (!access("/sys/kernel/debug/execmem", F_OK))
		printf("executable-bytes %lu\n", stats_of("bpf").used / programs);

	start = instructions();
	for (i = 0; i < programs; i++)
		close(fds[i]);
	printf("instructions-per-close %lu\n", (instructions() - start) / programs);
	free(fds);
	free(insns);
}

int main(int argc, char **argv)
{
	setlinebuf(stdout);
	if (argc != 4 || strcmp(argv[1], "bpf") || atoi(argv[2]) < 1 || atoi(argv[3]) < 2)
		die("usage: bench bpf PROGRAMS INSNS");
	bench_bpf(atoi(argv[2]), atoi(argv[3]));
	return 0;
}
