// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test BPF trampolines with a function of this file, which calls a trampoline at
 * its entry as the traced functions of the kernel do, and with BPF programs.
 */

#include <kunit/test.h>

#include <linux/bpf.h>
#include <linux/bpf_image.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/filter.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/percpu-refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/stacktrace.h>

#include "bpf_kunit.h"

#define MAX_WORDS	16

/* What a program has seen */
struct seen {
	const struct bpf_prog *prog;
	u64 nr;
	u64 ip;
	u64 cookie;
	u64 words[MAX_WORDS];
};

struct tramp_test {
	struct bpf_tramp_links links[BPF_TRAMP_MAX];
	struct bpf_tramp_link link[BPF_MAX_TRAMP_LINKS];
	unsigned int nr_links;
	struct bpf_tramp_image im;
	struct completion released;
	struct seen seen[BPF_MAX_TRAMP_LINKS];
	unsigned int nr_seen;
	/* What see() returns */
	u32 retval;
};

/* One test runs at a time */
static struct tramp_test *this_test;
static unsigned int nr_calls;

/*
 * A traced function, of two types: call tramp_test_target with the address behind
 * the call in t0, then continue with tramp_test_func. Nothing else changes.
 */
static void *tramp_test_target __used;
static void *tramp_test_func __used;
asm ("	.pushsection .text, \"ax\", @progbits\n"
"	.balign	4\n"
"	.type	tramp_test_traced, @function\n"
"tramp_test_traced:\n"
"tramp_test_traced_pair:\n"
"	lla	t1, tramp_test_target\n"
"	ld	t1, (t1)\n"
"	jalr	t0, t1\n"
"	lla	t1, tramp_test_func\n"
"	ld	t1, (t1)\n"
"	jr	t1\n"
"	.size	tramp_test_traced, . - tramp_test_traced\n"
"	.popsection\n");

/* The result tells whether each argument was in its place */
static noinline u64 func_12(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f, u64 g, u64 h,
			    u64 i, u64 j, u64 k, u64 l)
{
	nr_calls++;

	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h +
	       9 * i + 10 * j + 11 * k + 12 * l;
}

#define ARG(n)		(0x1111111100000000 + (n))
#define CALL_12(func)	func(ARG(1), ARG(2), ARG(3), ARG(4), ARG(5), ARG(6), \
			     ARG(7), ARG(8), ARG(9), ARG(10), ARG(11), ARG(12))

static const struct btf_func_model model_12 = {
	.ret_size = 8,
	.nr_args = 12,
	.arg_size = { 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8 },
};

static noinline int func_pair(int a, u8 b, u64 c, u64 d, u64 e, u64 f, u64 g, struct pair h, s16 i)
{
	nr_calls++;

	return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h.first + 9 * h.second +
	       10 * i;
}

static const struct btf_func_model model_pair = {
	.ret_size = 4,
	.nr_args = 9,
	.arg_size = { 4, 1, 8, 8, 8, 8, 8, sizeof(struct pair), 2 },
	.arg_flags = { [7] = BTF_FMODEL_STRUCT_ARG },
};

/* A BPF program in C, as one for the interpreter */
static unsigned int see(const void *ctx, const struct bpf_insn *insn)
{
	struct seen *seen = &this_test->seen[this_test->nr_seen++];
	const u64 *words = ctx;

	seen->prog = container_of(insn, struct bpf_prog, insnsi[0]);
	seen->cookie = container_of(current->bpf_ctx, struct bpf_tramp_run_ctx,
				    run_ctx)->bpf_cookie;
	seen->ip = words[-2];
	seen->nr = words[-1];
	memcpy(seen->words, words, min_t(u64, seen->nr + 1, MAX_WORDS) * sizeof(u64));

	return this_test->retval;
}

static void released(struct percpu_ref *ref)
{
	complete(&container_of(ref, struct tramp_test, im.pcref)->released);
}

static int test_init(struct kunit *test)
{
	struct tramp_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t || percpu_ref_init(&t->im.pcref, released, 0, GFP_KERNEL))
		return -ENOMEM;

	init_completion(&t->released);
	INIT_LIST_HEAD_RCU(&t->im.ksym.lnode);
	snprintf(t->im.ksym.name, KSYM_NAME_LEN, "bpf_trampoline_kunit");
	test->priv = t;
	this_test = t;
	nr_calls = 0;
	tramp_test_func = func_12;

	return 0;
}

static void drop_image(struct tramp_test *t)
{
	if (!t->im.image)
		return;
	bpf_image_ksym_del(&t->im.ksym);
	/* The symbol is looked up under RCU, and so are the instructions */
	synchronize_rcu();
	INIT_LIST_HEAD_RCU(&t->im.ksym.lnode);
	execmem_free(t->im.image);
	t->im.image = NULL;
}

static void test_exit(struct kunit *test)
{
	struct tramp_test *t = test->priv;
	unsigned int i;

	if (!t)
		return;
	drop_image(t);
	/* Each call that has entered a trampoline has left it */
	percpu_ref_kill(&t->im.pcref);
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&t->released, 10 * HZ), 0UL);
	percpu_ref_exit(&t->im.pcref);
	for (i = 0; i < t->nr_links; i++)
		bpf_kunit_free(t->link[i].link.prog);
}

static struct bpf_prog *add_prog(struct kunit *test, enum bpf_tramp_prog_type kind,
				 struct bpf_prog *prog, u64 cookie)
{
	struct tramp_test *t = test->priv;
	struct bpf_tramp_link *link = &t->link[t->nr_links++];

	prog->type = BPF_PROG_TYPE_TRACING;
	prog->expected_attach_type = BPF_TRACE_FENTRY;
	link->link.prog = prog;
	link->cookie = cookie;
	t->links[kind].links[t->links[kind].nr_links++] = link;

	return prog;
}

static struct bpf_prog *add_see(struct kunit *test, enum bpf_tramp_prog_type kind, u64 cookie)
{
	const struct bpf_insn exit = BPF_EXIT_INSN();
	struct bpf_prog *prog = bpf_kunit_alloc(test, &exit, 1);

	prog->bpf_func = see;

	return add_prog(test, kind, prog, cookie);
}

static void *make_image(struct kunit *test, const struct btf_func_model *model, u32 flags,
			void *func)
{
	struct tramp_test *t = test->priv;
	int size = arch_bpf_trampoline_size(model, flags, t->links, func), ret;

	KUNIT_ASSERT_GT(test, size, 0);
	t->im.image = bpf_image_alloc(size);
	KUNIT_ASSERT_NOT_NULL(test, t->im.image);
	bpf_image_ksym_add(t->im.image, size, &t->im.ksym);
	ret = arch_prepare_bpf_trampoline(&t->im, t->im.image, t->im.image + size, model, flags,
					  t->links, func);
	KUNIT_ASSERT_GT(test, ret, 0);
	KUNIT_EXPECT_LE(test, ret, size);
	bpf_image_protect(t->im.image, size);
	tramp_test_target = t->im.image;

	return t->im.image;
}

static void expect_args(struct kunit *test, const struct seen *seen)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, seen->nr, 12);
	for (i = 0; i < 12; i++)
		KUNIT_EXPECT_EQ(test, seen->words[i], ARG(i + 1));
}

static void test_fentry(struct kunit *test)
{
	struct tramp_test *t = test->priv;
	u64 expected = CALL_12(func_12);

	add_see(test, BPF_TRAMP_FENTRY, 0);
	make_image(test, &model_12, BPF_TRAMP_F_RESTORE_REGS, tramp_test_traced);

	KUNIT_EXPECT_EQ(test, CALL_12(tramp_test_traced), expected);
	KUNIT_EXPECT_EQ(test, nr_calls, 2);
	KUNIT_ASSERT_EQ(test, t->nr_seen, 1);
	expect_args(test, &t->seen[0]);
}

static void test_fexit(struct kunit *test)
{
	struct tramp_test *t = test->priv;
	u64 expected = CALL_12(func_12);

	add_see(test, BPF_TRAMP_FENTRY, 0);
	add_see(test, BPF_TRAMP_FEXIT, 0);
	make_image(test, &model_12, BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME,
		   tramp_test_traced);

	KUNIT_EXPECT_EQ(test, CALL_12(tramp_test_traced), expected);
	KUNIT_EXPECT_EQ(test, nr_calls, 2);
	KUNIT_ASSERT_EQ(test, t->nr_seen, 2);
	expect_args(test, &t->seen[0]);
	expect_args(test, &t->seen[1]);
	KUNIT_EXPECT_EQ(test, t->seen[1].words[12], expected);
}

static void test_structure(struct kunit *test)
{
	const struct pair pair = { 8, 9 };
	const u64 expected[] = { -1, 2, 3, 4, 5, 6, 7, 8, 9, -10 };
	struct tramp_test *t = test->priv;
	int ret = func_pair(-1, 2, 3, 4, 5, 6, 7, pair, -10);
	unsigned int i;

	add_see(test, BPF_TRAMP_FEXIT, 0);
	make_image(test, &model_pair, BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME,
		   tramp_test_traced);
	tramp_test_func = func_pair;

	KUNIT_EXPECT_EQ(test, tramp_test_traced_pair(-1, 2, 3, 4, 5, 6, 7, pair, -10), ret);
	KUNIT_ASSERT_EQ(test, t->nr_seen, 1);
	KUNIT_EXPECT_EQ(test, t->seen[0].nr, ARRAY_SIZE(expected));
	/* The upper half of the word of pair.second is padding */
	t->seen[0].words[8] = (u32)t->seen[0].words[8];
	for (i = 0; i < ARRAY_SIZE(expected); i++)
		KUNIT_EXPECT_EQ_MSG(test, t->seen[0].words[i], expected[i], "word %u", i);
	KUNIT_EXPECT_EQ(test, (int)t->seen[0].words[i], ret);
}

static void test_modify_return(struct kunit *test)
{
	struct btf_func_model model = model_12;
	struct tramp_test *t = test->priv;
	int expected = CALL_12(func_12);

	model.ret_size = 4;
	add_see(test, BPF_TRAMP_MODIFY_RETURN, 0);
	add_see(test, BPF_TRAMP_MODIFY_RETURN, 0);
	add_see(test, BPF_TRAMP_FEXIT, 0);
	make_image(test, &model, BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME,
		   tramp_test_traced);

	/* The function runs if all programs return 0 */
	KUNIT_EXPECT_EQ(test, (int)CALL_12(tramp_test_traced), expected);
	KUNIT_EXPECT_EQ(test, nr_calls, 2);
	KUNIT_ASSERT_EQ(test, t->nr_seen, 3);
	KUNIT_EXPECT_EQ(test, t->seen[0].words[12], 0);
	KUNIT_EXPECT_EQ(test, t->seen[1].words[12], 0);
	KUNIT_EXPECT_EQ(test, (int)t->seen[2].words[12], expected);

	/* The first one that returns something else returns instead of it */
	t->retval = -EPERM;
	KUNIT_EXPECT_EQ(test, (s64)CALL_12(tramp_test_traced), -EPERM);
	KUNIT_EXPECT_EQ(test, nr_calls, 2);
	KUNIT_ASSERT_EQ(test, t->nr_seen, 5);
	KUNIT_EXPECT_EQ(test, t->seen[3].words[12], 0);
	KUNIT_EXPECT_PTR_EQ(test, t->seen[4].prog,
			    (const struct bpf_prog *)t->link[2].link.prog);
	KUNIT_EXPECT_EQ(test, (s64)t->seen[4].words[12], -EPERM);
}

/* struct_ops: programs that are called through a pointer */
static void test_indirect(struct kunit *test)
{
	static const struct {
		u8 size;
		u64 r0;
		u64 a0;
	} cases[] = {
		{ 1, 0x101, 1 },
		{ 2, 0xffffffffffff8001, 0x8001 },
		{ 4, 0xfffffff2, 0xfffffffffffffff2 },
		{ 4, 0x7fffffff, 0x7fffffff },
		{ 8, 0x123456789abcdef0, 0x123456789abcdef0 },
	};
	struct btf_func_model model = { .nr_args = 1, .arg_size = { 8 } };
	struct tramp_test *t = test->priv;
	u64 (*func)(u64 arg);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		/* Returns the constant if its argument is 7, else 0 */
		const struct bpf_insn insns[] = {
			BPF_LDX_MEM(BPF_DW, BPF_REG_1, BPF_REG_1, 0),
			BPF_MOV64_IMM(BPF_REG_0, 0),
			BPF_JMP_IMM(BPF_JNE, BPF_REG_1, 7, 2),
			BPF_LD_IMM64(BPF_REG_0, cases[i].r0),
			BPF_EXIT_INSN(),
		};
		struct bpf_prog *prog = bpf_kunit_alloc(test, insns, ARRAY_SIZE(insns));

		t->links[BPF_TRAMP_FENTRY].nr_links = 0;
		add_prog(test, BPF_TRAMP_FENTRY, bpf_kunit_compile(test, prog), 0);
		model.ret_size = cases[i].size;
		func = make_image(test, &model, BPF_TRAMP_F_RET_FENTRY_RET, NULL);

		KUNIT_EXPECT_EQ_MSG(test, func(7), cases[i].a0, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, func(8), 0, "case %u", i);
		drop_image(t);
	}

	/* Without a return value, and for the interpreter */
	t->links[BPF_TRAMP_FENTRY].nr_links = 0;
	add_see(test, BPF_TRAMP_FENTRY, 0);
	func = make_image(test, &model, 0, NULL);
	func(42);
	KUNIT_ASSERT_EQ(test, t->nr_seen, 1);
	KUNIT_EXPECT_EQ(test, t->seen[0].nr, 1);
	KUNIT_EXPECT_EQ(test, t->seen[0].words[0], 42);
}

/* bpf_get_func_ip() and bpf_get_attach_cookie() */
static void test_ip_and_cookie(struct kunit *test)
{
	struct tramp_test *t = test->priv;

	add_see(test, BPF_TRAMP_FENTRY, 0x123456789abcdef0);
	add_see(test, BPF_TRAMP_FENTRY, 0);
	add_see(test, BPF_TRAMP_FEXIT, 42);
	make_image(test, &model_12, BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME |
		   BPF_TRAMP_F_IP_ARG, tramp_test_traced);

	CALL_12(tramp_test_traced);
	KUNIT_ASSERT_EQ(test, t->nr_seen, 3);
	KUNIT_EXPECT_EQ(test, t->seen[0].ip, (unsigned long)tramp_test_traced);
	KUNIT_EXPECT_EQ(test, t->seen[2].ip, (unsigned long)tramp_test_traced);
	KUNIT_EXPECT_EQ(test, t->seen[0].cookie, 0x123456789abcdef0);
	KUNIT_EXPECT_EQ(test, t->seen[1].cookie, 0);
	KUNIT_EXPECT_EQ(test, t->seen[2].cookie, 42);
}

/* A program that is active on this hart does not run again, and its neighbours do */
static void test_active(struct kunit *test)
{
	struct tramp_test *t = test->priv;
	struct bpf_prog *active;
	u64 expected = CALL_12(func_12);

	add_see(test, BPF_TRAMP_FENTRY, 0);
	active = add_see(test, BPF_TRAMP_FENTRY, 0);
	add_see(test, BPF_TRAMP_FEXIT, 0);
	make_image(test, &model_12, BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME,
		   tramp_test_traced);

	migrate_disable();
	this_cpu_inc(*active->active);
	KUNIT_EXPECT_EQ(test, CALL_12(tramp_test_traced), expected);
	this_cpu_dec(*active->active);
	KUNIT_EXPECT_EQ(test, t->nr_seen, 2);
	KUNIT_EXPECT_EQ(test, CALL_12(tramp_test_traced), expected);
	KUNIT_EXPECT_EQ(test, t->nr_seen, 5);
	migrate_enable();
}

/* All programs that a trampoline can have, in their order */
static void test_many(struct kunit *test)
{
	static const enum bpf_tramp_prog_type kinds[] = {
		BPF_TRAMP_FENTRY, BPF_TRAMP_MODIFY_RETURN, BPF_TRAMP_FEXIT,
	};
	struct tramp_test *t = test->priv;
	u64 expected = CALL_12(func_12);
	unsigned int i;

	for (i = 0; i < BPF_MAX_TRAMP_LINKS; i++)
		add_see(test, kinds[i * ARRAY_SIZE(kinds) / BPF_MAX_TRAMP_LINKS],
			0x123456789abcdef0 + i);
	make_image(test, &model_12, BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME |
		   BPF_TRAMP_F_IP_ARG, tramp_test_traced);

	KUNIT_EXPECT_EQ(test, CALL_12(tramp_test_traced), expected);
	KUNIT_ASSERT_EQ(test, t->nr_seen, BPF_MAX_TRAMP_LINKS);
	for (i = 0; i < BPF_MAX_TRAMP_LINKS; i++)
		KUNIT_EXPECT_EQ(test, t->seen[i].cookie, 0x123456789abcdef0 + i);

	/* Far from the last programs: all of them run, but no other one */
	t->nr_seen = 0;
	t->retval = 1;
	KUNIT_EXPECT_EQ(test, CALL_12(tramp_test_traced), 1);
	KUNIT_EXPECT_EQ(test, t->nr_seen, t->links[BPF_TRAMP_FENTRY].nr_links + 1 +
			t->links[BPF_TRAMP_FEXIT].nr_links);
}

/* A trampoline that is given up while its function runs */
static void test_give_up(struct kunit *test)
{
	struct tramp_test *t = test->priv;
	u64 expected = CALL_12(func_12);
	void *after;

	add_see(test, BPF_TRAMP_FENTRY, 0);
	add_see(test, BPF_TRAMP_FEXIT, 0);
	make_image(test, &model_12, BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME,
		   tramp_test_traced);
	after = t->im.ip_after_call;

	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(after, BPF_MOD_JUMP, after, t->im.ip_epilogue),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(after, BPF_MOD_JUMP, NULL, t->im.ip_epilogue), 0);
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(after, BPF_MOD_JUMP, NULL, t->im.ip_epilogue),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, CALL_12(tramp_test_traced), expected);
	KUNIT_EXPECT_EQ(test, t->nr_seen, 1);

	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(after, BPF_MOD_JUMP, t->im.ip_epilogue, NULL), 0);
	KUNIT_EXPECT_EQ(test, CALL_12(tramp_test_traced), expected);
	KUNIT_EXPECT_EQ(test, t->nr_seen, 3);
}

/* A program with BTF, which can be traced: returns what its argument points to, plus @add */
static struct bpf_prog *make_target(struct kunit *test, s32 add)
{
	const struct bpf_insn insns[] = {
		BPF_LDX_MEM(BPF_DW, BPF_REG_0, BPF_REG_1, 0),
		BPF_ALU64_IMM(BPF_ADD, BPF_REG_0, add),
		BPF_EXIT_INSN(),
	};
	struct bpf_prog *prog = bpf_kunit_alloc(test, insns, ARRAY_SIZE(insns));

	prog->aux->func_info_cnt = 1;

	return bpf_kunit_compile(test, prog);
}

/* As bpf_prog_run_pin_on_cpu(), but a traced program can have changed any word */
static s64 run_target(const struct bpf_prog *prog, u64 word)
{
	return (s32)bpf_prog_run_pin_on_cpu(prog, &word);
}

static const struct btf_func_model model_prog = {
	.ret_size = 8,
	.nr_args = 5,
	.arg_size = { 8, 8, 8, 8, 8 },
};

/* fentry, fexit and freplace of a program */
static void test_trace_program(struct kunit *test)
{
	struct bpf_prog *prog = make_target(test, -100), *other = make_target(test, 1);
	struct tramp_test *t = test->priv;
	void *entry = prog->bpf_func, *image;

	KUNIT_EXPECT_EQ(test, run_target(prog, 7), -93);

	add_see(test, BPF_TRAMP_FENTRY, 0);
	image = make_image(test, &model_prog, BPF_TRAMP_F_RESTORE_REGS, entry);
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(entry, BPF_MOD_CALL, NULL, image), 0);
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(entry, BPF_MOD_CALL, NULL, image), -EBUSY);
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(entry, BPF_MOD_CALL, entry, NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, run_target(prog, 7), -93);
	KUNIT_EXPECT_EQ(test, t->nr_seen, 1);

	/* From one trampoline to another, which a program can be, too */
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(entry, BPF_MOD_JUMP, image, other->bpf_func), 0);
	KUNIT_EXPECT_EQ(test, run_target(prog, 7), 8);
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(entry, BPF_MOD_JUMP, image, NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(entry, BPF_MOD_JUMP, other->bpf_func, NULL), 0);
	KUNIT_EXPECT_EQ(test, run_target(prog, 7), -93);
	KUNIT_EXPECT_EQ(test, t->nr_seen, 1);
	drop_image(t);

	add_see(test, BPF_TRAMP_FEXIT, 0);
	image = make_image(test, &model_prog, BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME,
			   entry);
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(entry, BPF_MOD_CALL, NULL, image), 0);
	/* Its caller takes 32 bits, another program would take all */
	KUNIT_EXPECT_EQ(test, run_target(prog, 0x100000007), -93);
	KUNIT_EXPECT_EQ(test, t->nr_seen, 3);
	KUNIT_EXPECT_EQ(test, t->seen[2].words[5], 0x100000007 - 100);
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(entry, BPF_MOD_CALL, image, NULL), 0);

	bpf_kunit_free(prog);
	bpf_kunit_free(other);
}

/* A traced program counts its tail calls as it does when nobody traces it */
static void test_tail_calls(struct kunit *test)
{
	static u64 runs;
	struct bpf_array *array = kunit_kzalloc(test, struct_size(array, ptrs, 1), GFP_KERNEL);
	struct tramp_test *t = test->priv;
	const struct bpf_insn insns[] = {
		BPF_LD_IMM64(BPF_REG_3, (unsigned long)&runs),
		BPF_LDX_MEM(BPF_DW, BPF_REG_4, BPF_REG_3, 0),
		BPF_ALU64_IMM(BPF_ADD, BPF_REG_4, 1),
		BPF_STX_MEM(BPF_DW, BPF_REG_3, BPF_REG_4, 0),
		BPF_LD_IMM64(BPF_REG_2, (unsigned long)array),
		BPF_MOV64_IMM(BPF_REG_3, 0),
		BPF_RAW_INSN(BPF_JMP | BPF_TAIL_CALL, 0, 0, 0, 0),
		BPF_MOV64_IMM(BPF_REG_0, 42),
		BPF_EXIT_INSN(),
	};
	static const u32 flags[] = {
		0, BPF_TRAMP_F_RESTORE_REGS, BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME,
	};
	struct bpf_prog *prog;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, array);
	prog = bpf_kunit_alloc(test, insns, ARRAY_SIZE(insns));
	prog->aux->func_info_cnt = 1;
	prog = bpf_kunit_compile(test, prog);
	array->map.max_entries = 1;
	array->ptrs[0] = prog;
	add_see(test, BPF_TRAMP_FENTRY, 0);

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		void *image;

		runs = 0;
		t->nr_seen = 0;
		if (flags[i]) {
			image = make_image(test, &model_prog, flags[i], prog->bpf_func);
			KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(prog->bpf_func, BPF_MOD_CALL,
								 NULL, image), 0);
		}
		KUNIT_EXPECT_EQ_MSG(test, run_target(prog, 0), 42, "flags %#x", flags[i]);
		KUNIT_EXPECT_EQ_MSG(test, runs, 1 + MAX_TAIL_CALL_CNT, "flags %#x", flags[i]);
		KUNIT_EXPECT_EQ_MSG(test, t->nr_seen, !!flags[i], "flags %#x", flags[i]);
		if (flags[i])
			KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(prog->bpf_func, BPF_MOD_CALL,
								 image, NULL), 0);
		drop_image(t);
	}

	bpf_kunit_free(prog);
}

/* What cannot be poked or does not fit */
static void test_refused(struct kunit *test)
{
	const struct bpf_insn insns[] = { BPF_MOV64_IMM(BPF_REG_0, 0), BPF_EXIT_INSN() };
	struct bpf_prog *prog = bpf_kunit_compile(test, bpf_kunit_alloc(test, insns, 2));
	struct tramp_test *t = test->priv;
	void *image;

	add_see(test, BPF_TRAMP_FENTRY, 0);
	image = make_image(test, &model_12, BPF_TRAMP_F_RESTORE_REGS, tramp_test_traced);

	/* Kernel functions belong to ftrace */
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(tramp_test_traced, BPF_MOD_CALL, NULL, image),
			-EINVAL);
	/* A program without BTF, and the middle of an instruction */
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke(prog->bpf_func, BPF_MOD_CALL, NULL, image),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, bpf_arch_text_poke((void *)prog->bpf_func + 2, BPF_MOD_CALL, NULL,
						 image), -EINVAL);
	KUNIT_EXPECT_EQ(test, arch_prepare_bpf_trampoline(&t->im, image, image + 64, &model_12,
							  BPF_TRAMP_F_RESTORE_REGS, t->links,
							  tramp_test_traced), -E2BIG);
	KUNIT_EXPECT_EQ(test, arch_bpf_trampoline_size(&model_12, BPF_TRAMP_F_CALL_ORIG, t->links,
						       NULL), -EINVAL);

	bpf_kunit_free(prog);
}

#ifdef CONFIG_FRAME_POINTER
static unsigned long trace[32];
static unsigned int nr_trace;

static unsigned int see_stack(const void *ctx, const struct bpf_insn *insn)
{
	nr_trace = stack_trace_save(trace, ARRAY_SIZE(trace), 0);

	return 0;
}

static bool in_trace(unsigned long start, unsigned long size)
{
	unsigned int i;

	for (i = 0; i < nr_trace; i++)
		if (trace[i] - start < size)
			return true;

	return false;
}

static noinline u64 call_traced(void)
{
	u64 ret = CALL_12(tramp_test_traced);

	OPTIMIZER_HIDE_VAR(ret);
	return ret;
}

/* A stack trace within a program goes through the trampoline to the caller */
static void test_stack_trace(struct kunit *test)
{
	struct tramp_test *t = test->priv;

	add_see(test, BPF_TRAMP_FEXIT, 0)->bpf_func = see_stack;
	make_image(test, &model_12, BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME,
		   tramp_test_traced);
	call_traced();

	KUNIT_EXPECT_TRUE(test, in_trace(t->im.ksym.start, t->im.ksym.end - t->im.ksym.start));
	KUNIT_EXPECT_TRUE(test, in_trace((unsigned long)tramp_test_traced, 512));
	KUNIT_EXPECT_TRUE(test, in_trace((unsigned long)call_traced, 512));
	KUNIT_EXPECT_TRUE(test, in_trace((unsigned long)test_stack_trace, 512));
}
#endif

/*
 * Harts run a program while it is traced, moved to another target and left alone
 * again. Each run has the result of one of the targets.
 */
#define NR_POKES	200

static bool poke_done;

static int run_thread(void *data)
{
	const struct bpf_prog *prog = data;
	long wrong = 0, runs = 0;

	do {
		s64 result = run_target(prog, 7);

		wrong += result != 107 && result != 1007;
		runs++;
		cond_resched();
	} while (!READ_ONCE(poke_done));

	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);

	return wrong ? -EINVAL : 0;
}

static unsigned int see_nothing(const void *ctx, const struct bpf_insn *insn)
{
	return 0;
}

static void test_poke_running(struct kunit *test)
{
	struct bpf_prog *prog = make_target(test, 100), *other = make_target(test, 1000);
	struct task_struct *threads[2 * 8];
	unsigned int nr, i;
	void *entry = prog->bpf_func, *image;
	int err = 0;

	add_see(test, BPF_TRAMP_FENTRY, 0)->bpf_func = see_nothing;
	add_see(test, BPF_TRAMP_FEXIT, 0)->bpf_func = see_nothing;
	image = make_image(test, &model_prog, BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_SKIP_FRAME,
			   entry);

	WRITE_ONCE(poke_done, false);
	/* Two for a hart, so that they are preempted */
	for (nr = 0; nr < min_t(unsigned int, 2 * num_online_cpus(), ARRAY_SIZE(threads)); nr++) {
		threads[nr] = kthread_run(run_thread, prog, "bpf_poke/%u", nr);
		if (IS_ERR(threads[nr]))
			break;
	}
	KUNIT_EXPECT_GT(test, nr, 0);

	for (i = 0; i < NR_POKES && !err; i++) {
		err = bpf_arch_text_poke(entry, BPF_MOD_CALL, NULL, image) ?:
		      bpf_arch_text_poke(entry, BPF_MOD_JUMP, image, other->bpf_func) ?:
		      bpf_arch_text_poke(entry, BPF_MOD_CALL, other->bpf_func, image) ?:
		      bpf_arch_text_poke(entry, BPF_MOD_CALL, image, NULL);
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, err, 0);

	WRITE_ONCE(poke_done, true);
	while (nr--)
		KUNIT_EXPECT_EQ(test, kthread_stop(threads[nr]), 0);
	KUNIT_EXPECT_EQ(test, run_target(prog, 7), 107);

	bpf_kunit_free(prog);
	bpf_kunit_free(other);
}

static struct kunit_case bpf_trampoline_test_cases[] = {
	KUNIT_CASE(test_fentry),
	KUNIT_CASE(test_fexit),
	KUNIT_CASE(test_structure),
	KUNIT_CASE(test_modify_return),
	KUNIT_CASE(test_indirect),
	KUNIT_CASE(test_ip_and_cookie),
	KUNIT_CASE(test_active),
	KUNIT_CASE(test_many),
	KUNIT_CASE(test_give_up),
	KUNIT_CASE(test_trace_program),
	KUNIT_CASE(test_tail_calls),
	KUNIT_CASE(test_refused),
#ifdef CONFIG_FRAME_POINTER
	KUNIT_CASE(test_stack_trace),
#endif
	KUNIT_CASE(test_poke_running),
	{}
};

static struct kunit_suite bpf_trampoline_test_suite = {
	.name		= "riscv_bpf_trampoline",
	.init		= test_init,
	.exit		= test_exit,
	.test_cases	= bpf_trampoline_test_cases,
};

kunit_test_suite(bpf_trampoline_test_suite);
