// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test three things of BPF programs. Loads that fault are found in the exception
 * table of the program, which is behind the program in executable memory.
 * Branches reach as far as a program can need. And atomic operations do what they
 * say, in either width.
 */

#include <kunit/test.h>

#include <linux/bpf.h>
#include <linux/execmem.h>
#include <linux/extable.h>
#include <linux/filter.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "bpf_kunit.h"

/* A load that may fault, as the verifier makes it for a pointer that it cannot check */
#define PROBE_LOAD(size, dst, src, off) \
	BPF_RAW_INSN(BPF_LDX | BPF_PROBE_MEM | (size), dst, src, off, 0)

static struct bpf_prog *test_load(struct kunit *test, const struct bpf_insn *insns,
				  unsigned int nr, unsigned int nr_probes)
{
	struct bpf_prog *prog = bpf_kunit_alloc(test, insns, nr);

	prog->aux->num_exentries = nr_probes;

	return bpf_kunit_compile(test, prog);
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

	bpf_kunit_free(prog);
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
 * extension out. All offsets but the first do not fit in the immediate of a load.
 */
static void test_bad_far_loads(struct kunit *test)
{
	static const u8 sizes[] = { BPF_B, BPF_H, BPF_W, BPF_DW };
	static const s16 offsets[] = { 100, 4000, S16_MAX, -4000 };
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
			/* In place of an extension, an instruction without effect */
			size == BPF_DW ? BPF_MOV64_REG(BPF_REG_0, BPF_REG_0) :
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
		bpf_kunit_free(prog);
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

	bpf_kunit_free(prog);
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

	bpf_kunit_free(prog);
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
		bpf_kunit_free(prog);
	}
	vfree(insns);
}

/* As many instructions as the verifier accepts */
static void test_longest(struct kunit *test)
{
	const unsigned int nr = BPF_COMPLEXITY_LIMIT_INSNS;
	const s32 imm = 0x12345678;
	struct bpf_insn *insns;
	struct bpf_prog *prog;
	unsigned int i;
	u64 ctx = 0;

	skip_if_slow(test);
	insns = vmalloc(array_size(nr, sizeof(*insns)));
	KUNIT_ASSERT_NOT_NULL(test, insns);
	insns[0] = BPF_MOV64_IMM(BPF_REG_0, 0);
	for (i = 1; i < nr - 1; i++)
		insns[i] = BPF_ALU64_IMM(BPF_ADD, BPF_REG_0, imm);
	insns[i] = BPF_EXIT_INSN();
	prog = test_load(test, insns, nr, 0);
	vfree(insns);

	KUNIT_EXPECT_EQ(test, bpf_prog_run_pin_on_cpu(prog, &ctx), (nr - 2) * imm);
	bpf_kunit_free(prog);
}

/* What an atomic operation leaves in memory */
static u64 atomic_result(s32 op, u64 old, u64 src, u64 cmp)
{
	switch (op & ~BPF_FETCH) {
	case BPF_ADD:
		return old + src;
	case BPF_AND:
		return old & src;
	case BPF_OR:
		return old | src;
	case BPF_XOR:
		return old ^ src;
	case BPF_XCHG & ~BPF_FETCH:
		return src;
	default:
		return old == cmp ? src : old;
	}
}

static void test_atomic(struct kunit *test, u8 size, s32 op, s16 offset, u64 cmp)
{
	static const u64 before = 0xf0e0d0c0b0a09080, src = 0x1020304050607083;
	static u64 memory, src_after, r0_after;
	const u64 mask = size == BPF_W ? U32_MAX : U64_MAX;
	const struct bpf_insn insns[] = {
		BPF_LD_IMM64(BPF_REG_6, (unsigned long)&memory - offset),
		BPF_LD_IMM64(BPF_REG_1, (unsigned long)&src),
		BPF_LDX_MEM(BPF_DW, BPF_REG_7, BPF_REG_1, 0),
		BPF_LD_IMM64(BPF_REG_0, cmp),
		BPF_ATOMIC_OP(size, op, BPF_REG_6, BPF_REG_7, offset),
		/* Which the verifier adds for 32 bits */
		op == BPF_CMPXCHG && size == BPF_W ? BPF_ZEXT_REG(BPF_REG_0) :
						     BPF_MOV64_REG(BPF_REG_0, BPF_REG_0),
		BPF_LD_IMM64(BPF_REG_1, (unsigned long)&src_after),
		BPF_STX_MEM(BPF_DW, BPF_REG_1, BPF_REG_7, 0),
		BPF_LD_IMM64(BPF_REG_1, (unsigned long)&r0_after),
		BPF_STX_MEM(BPF_DW, BPF_REG_1, BPF_REG_0, 0),
		BPF_EXIT_INSN(),
	};
	struct bpf_prog *prog = test_load(test, insns, ARRAY_SIZE(insns), 0);
	u64 ctx = 0, result;

	memory = before;
	bpf_prog_run_pin_on_cpu(prog, &ctx);
	bpf_kunit_free(prog);

	result = atomic_result(op, before & mask, src & mask, cmp & mask) & mask;
	KUNIT_EXPECT_EQ_MSG(test, memory, (before & ~mask) | result,
			    "size %#x, op %#x, offset %d", size, op, offset);
	KUNIT_EXPECT_EQ_MSG(test, src_after,
			    op & BPF_FETCH && op != BPF_CMPXCHG ? before & mask : src,
			    "size %#x, op %#x, offset %d", size, op, offset);
	KUNIT_EXPECT_EQ_MSG(test, r0_after, op == BPF_CMPXCHG ? before & mask : cmp,
			    "size %#x, op %#x, offset %d", size, op, offset);
}

static void test_atomics(struct kunit *test)
{
	static const s32 ops[] = {
		BPF_ADD, BPF_AND, BPF_OR, BPF_XOR, BPF_ADD | BPF_FETCH, BPF_AND | BPF_FETCH,
		BPF_OR | BPF_FETCH, BPF_XOR | BPF_FETCH, BPF_XCHG, BPF_CMPXCHG,
	};
	static const s16 offsets[] = { 0, 8, 4000, -4000 };
	static const u64 others[] = { 0xf0e0d0c0b0a09080, 0x00000000b0a09080, 0 };
	unsigned int i, j, k;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		for (j = 0; j < ARRAY_SIZE(offsets); j++) {
			for (k = 0; k < ARRAY_SIZE(others); k++) {
				test_atomic(test, BPF_W, ops[i], offsets[j], others[k]);
				test_atomic(test, BPF_DW, ops[i], offsets[j], others[k]);
			}
		}
	}
}

static struct kunit_case bpf_jit_test_cases[] = {
	KUNIT_CASE(test_bad_loads),
	KUNIT_CASE(test_bad_far_loads),
	KUNIT_CASE(test_entries),
	KUNIT_CASE(test_far_exit),
	KUNIT_CASE(test_far_branches),
	KUNIT_CASE(test_longest),
	KUNIT_CASE(test_atomics),
	{}
};

static struct kunit_suite bpf_jit_test_suite = {
	.name		= "riscv_bpf_jit",
	.test_cases	= bpf_jit_test_cases,
};

kunit_test_suite(bpf_jit_test_suite);
