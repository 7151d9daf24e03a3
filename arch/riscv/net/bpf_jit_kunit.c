// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test two things of BPF programs. Loads that fault are found in the exception
 * table of the program, which is behind the program in executable memory. And
 * branches reach as far as a program can need.
 */

#include <kunit/test.h>

#include <linux/bpf.h>
#include <linux/execmem.h>
#include <linux/extable.h>
#include <linux/filter.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

/* A load that may fault, as the verifier makes it for a pointer that it cannot check */
#define PROBE_LOAD(size, dst, src, off) \
	BPF_RAW_INSN(BPF_LDX | BPF_PROBE_MEM | (size), dst, src, off, 0)

static int saved_jit_enable;

static int test_init(struct kunit *test)
{
	saved_jit_enable = bpf_jit_enable;
	bpf_jit_enable = 1;

	return 0;
}

static void test_exit(struct kunit *test)
{
	bpf_jit_enable = saved_jit_enable;
}

static struct bpf_prog *test_load(struct kunit *test, const struct bpf_insn *insns,
				  unsigned int nr, unsigned int nr_probes)
{
	struct bpf_prog *prog;
	int err;

	prog = bpf_prog_alloc(bpf_prog_size(nr), 0);
	KUNIT_ASSERT_NOT_NULL(test, prog);
	prog->len = nr;
	prog->type = BPF_PROG_TYPE_SOCKET_FILTER;
	prog->aux->num_exentries = nr_probes;
	memcpy(prog->insnsi, insns, nr * sizeof(*insns));

	prog = bpf_prog_select_runtime(prog, &err);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_ASSERT_TRUE(test, prog->jited);
	bpf_prog_kallsyms_add(prog);

	return prog;
}

static void test_unload(struct bpf_prog *prog)
{
	bpf_prog_kallsyms_del(prog);
	bpf_prog_free(prog);
}

static void test_bad_loads(struct kunit *test)
{
	static const u64 word = 0x1122334455667788;
	u8 *page = vmalloc(PAGE_SIZE);
	/* A good load, and two from the guard page behind a vmalloc area */
	const struct bpf_insn insns[] = {
		BPF_LD_IMM64(BPF_REG_1, (unsigned long)&word),
		BPF_LD_IMM64(BPF_REG_2, (unsigned long)page + PAGE_SIZE),
		BPF_MOV64_IMM(BPF_REG_3, -1),
		BPF_MOV64_IMM(BPF_REG_4, -1),
		PROBE_LOAD(BPF_DW, BPF_REG_0, BPF_REG_1, 0),
		PROBE_LOAD(BPF_DW, BPF_REG_3, BPF_REG_2, 0),
		PROBE_LOAD(BPF_B, BPF_REG_4, BPF_REG_2, 100),
		BPF_ALU64_REG(BPF_ADD, BPF_REG_0, BPF_REG_3),
		BPF_ALU64_REG(BPF_ADD, BPF_REG_0, BPF_REG_4),
		BPF_EXIT_INSN(),
	};
	struct bpf_prog *prog;
	u64 ctx = 0;

	KUNIT_ASSERT_NOT_NULL(test, page);
	prog = test_load(test, insns, ARRAY_SIZE(insns), 3);

	/* A return value has 32 bits. A load that faults yields 0 */
	KUNIT_EXPECT_EQ(test, bpf_prog_run_pin_on_cpu(prog, &ctx), (u32)word);

	test_unload(prog);
	vfree(page);
}

/* How many instructions of a program have an entry in its exception table */
static unsigned int nr_entries(const struct bpf_prog *prog)
{
	unsigned long start = (unsigned long)prog->bpf_func, offset;
	unsigned int found = 0;

	for (offset = 0; offset < prog->jited_len; offset += sizeof(u16))
		found += !!search_exception_tables(start + offset);

	return found;
}

/*
 * The verifier adds a zero extension behind a narrow load, and the JIT leaves the
 * extension out. The larger offset does not fit in the immediate of a load.
 */
static void test_bad_narrow_loads(struct kunit *test)
{
	static const u8 sizes[] = { BPF_B, BPF_H, BPF_W };
	static const s16 offsets[] = { 100, 4000 };
	u8 *page = vmalloc(PAGE_SIZE);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, page);
	for (i = 0; i < ARRAY_SIZE(sizes) * ARRAY_SIZE(offsets); i++) {
		u8 size = sizes[i % ARRAY_SIZE(sizes)];
		s16 offset = offsets[i / ARRAY_SIZE(sizes)];
		const struct bpf_insn insns[] = {
			BPF_LD_IMM64(BPF_REG_2, (unsigned long)page + PAGE_SIZE - offset),
			BPF_MOV64_IMM(BPF_REG_0, -1),
			PROBE_LOAD(size, BPF_REG_0, BPF_REG_2, offset),
			BPF_ZEXT_REG(BPF_REG_0),
			BPF_ALU64_IMM(BPF_ADD, BPF_REG_0, 42),
			BPF_EXIT_INSN(),
		};
		struct bpf_prog *prog = test_load(test, insns, ARRAY_SIZE(insns), 1);
		u64 ctx = 0;

		/* Without the entry the load would be an oops */
		KUNIT_EXPECT_EQ_MSG(test, nr_entries(prog), 1, "size %#x, offset %d", size, offset);
		if (nr_entries(prog) == 1)
			KUNIT_EXPECT_EQ(test, bpf_prog_run_pin_on_cpu(prog, &ctx), 42);
		test_unload(prog);
	}
	vfree(page);
}

/* Each load has an entry, and nothing else in the program has one */
static void test_entries(struct kunit *test)
{
	static const u64 word = 42;
	const struct bpf_insn insns[] = {
		BPF_LD_IMM64(BPF_REG_1, (unsigned long)&word),
		PROBE_LOAD(BPF_W, BPF_REG_0, BPF_REG_1, 0),
		PROBE_LOAD(BPF_W, BPF_REG_0, BPF_REG_1, 4),
		BPF_EXIT_INSN(),
	};
	struct bpf_prog *prog = test_load(test, insns, ARRAY_SIZE(insns), 2);
	unsigned long start = (unsigned long)prog->bpf_func;

	KUNIT_EXPECT_EQ(test, nr_entries(prog), 2);

	test_unload(prog);
	KUNIT_EXPECT_NULL(test, search_exception_tables(start));
}

/* Without the cache, each page of a large image costs two TLB flushes on all harts */
static void skip_if_slow(struct kunit *test)
{
	if (!execmem_is_rox(EXECMEM_BPF))
		kunit_skip(test, "to free a large image takes long without the cache");
}

/* An image larger than a block of the cache: run all of it, or exit at once */
static void test_far_exit(struct kunit *test)
{
	const unsigned int adds = 220000, nr = adds + 4;
	const s32 imm = 0x12345678;
	struct bpf_insn *insns;
	struct bpf_prog *prog;
	unsigned int i;
	u64 ctx;

	skip_if_slow(test);
	insns = vmalloc(array_size(nr, sizeof(*insns)));
	KUNIT_ASSERT_NOT_NULL(test, insns);
	insns[0] = BPF_LDX_MEM(BPF_DW, BPF_REG_0, BPF_REG_1, 0);
	insns[1] = BPF_JMP_IMM(BPF_JEQ, BPF_REG_0, 0, 1);
	insns[2] = BPF_EXIT_INSN();
	for (i = 3; i < nr - 1; i++)
		insns[i] = BPF_ALU64_IMM(BPF_ADD, BPF_REG_0, imm);
	insns[i] = BPF_EXIT_INSN();
	prog = test_load(test, insns, nr, 0);
	vfree(insns);

	KUNIT_EXPECT_GT(test, prog->jited_len, SZ_2M);
	ctx = 7;
	KUNIT_EXPECT_EQ(test, bpf_prog_run_pin_on_cpu(prog, &ctx), 7);
	ctx = 0;
	KUNIT_EXPECT_EQ(test, bpf_prog_run_pin_on_cpu(prog, &ctx), adds * imm);

	test_unload(prog);
}

/*
 * Branches, with a condition and without, forward and back over more than the
 * 1 MiB that jal reaches. A branch of BPF spans at most 32,767 instructions, so
 * the instructions in between are byte swaps, which the JIT turns into many
 * instructions each. The byte swaps are not executed.
 */
static void test_far_branches(struct kunit *test)
{
	const unsigned int between = 15000, nr = between + 7;
	struct bpf_insn *insns;
	struct bpf_prog *prog;
	unsigned int i, cond;
	u64 ctx = 0;

	skip_if_slow(test);
	insns = vmalloc(array_size(nr, sizeof(*insns)));
	KUNIT_ASSERT_NOT_NULL(test, insns);
	for (cond = 0; cond < 2; cond++) {
		insns[0] = BPF_MOV64_IMM(BPF_REG_0, 0);
		insns[1] = cond ? BPF_JMP_IMM(BPF_JEQ, BPF_REG_0, 0, between + 2) :
				  BPF_JMP_A(between + 2);
		insns[2] = BPF_ALU64_IMM(BPF_ADD, BPF_REG_0, 2);
		insns[3] = BPF_EXIT_INSN();
		for (i = 4; i < between + 4; i++)
			insns[i] = BPF_ENDIAN(BPF_TO_BE, BPF_REG_3, 64);
		insns[i++] = BPF_ALU64_IMM(BPF_ADD, BPF_REG_0, 40);
		insns[i++] = cond ? BPF_JMP_IMM(BPF_JNE, BPF_REG_0, 0, -(int)between - 4) :
				    BPF_JMP_A(-(int)between - 4);
		insns[i] = BPF_EXIT_INSN();
		prog = test_load(test, insns, nr, 0);

		KUNIT_EXPECT_GT(test, prog->jited_len, SZ_1M + SZ_64K);
		KUNIT_EXPECT_EQ(test, bpf_prog_run_pin_on_cpu(prog, &ctx), 42);
		test_unload(prog);
	}
	vfree(insns);
}

static struct kunit_case bpf_jit_test_cases[] = {
	KUNIT_CASE(test_bad_loads),
	KUNIT_CASE(test_bad_narrow_loads),
	KUNIT_CASE(test_entries),
	KUNIT_CASE(test_far_exit),
	KUNIT_CASE(test_far_branches),
	{}
};

static struct kunit_suite bpf_jit_test_suite = {
	.name		= "riscv_bpf_jit",
	.init		= test_init,
	.exit		= test_exit,
	.test_cases	= bpf_jit_test_cases,
};

kunit_test_suite(bpf_jit_test_suite);
