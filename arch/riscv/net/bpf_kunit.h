/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the KUnit tests of BPF programs share
 */
#ifndef _BPF_KUNIT_H
#define _BPF_KUNIT_H

#include <kunit/test.h>

#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/string.h>

/* Allocate a program and prepare it for bpf_kunit_compile() */
static inline struct bpf_prog *bpf_kunit_alloc(struct kunit *test, const struct bpf_insn *insns,
					       unsigned int nr)
{
	struct bpf_prog *prog = bpf_prog_alloc(bpf_prog_size(nr), 0);

	KUNIT_ASSERT_NOT_NULL(test, prog);
	prog->len = nr;
	prog->type = BPF_PROG_TYPE_SOCKET_FILTER;
	memcpy(prog->insnsi, insns, nr * sizeof(*insns));

	return prog;
}

/* Compile a program, whatever the sysctl says, and make its symbol known */
static inline struct bpf_prog *bpf_kunit_compile(struct kunit *test, struct bpf_prog *prog)
{
	u32 nr_funcs = prog->aux->func_info_cnt;
	int err;

	/* bpf_prog_alloc() has taken this from the sysctl */
	prog->jit_requested = 1;
	prog = bpf_prog_select_runtime(prog, &err);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_ASSERT_TRUE(test, prog->jited);
	/* There is no BTF from which it could have a name */
	prog->aux->func_info_cnt = 0;
	bpf_prog_kallsyms_add(prog);
	prog->aux->func_info_cnt = nr_funcs;

	return prog;
}

static inline void bpf_kunit_free(struct bpf_prog *prog)
{
	bpf_prog_kallsyms_del(prog);
	bpf_prog_free(prog);
}

/* A structure that is half in a7, half on the stack, between narrow arguments */
struct pair {
	u64 first;
	u32 second;
};

/* Assembly in bpf_trampoline_kunit.c, one function of two types */
u64 tramp_test_traced(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f, u64 g, u64 h, u64 i, u64 j,
		      u64 k, u64 l);
int tramp_test_traced_pair(int a, u8 b, u64 c, u64 d, u64 e, u64 f, u64 g, struct pair h, s16 i);

#endif /* _BPF_KUNIT_H */
