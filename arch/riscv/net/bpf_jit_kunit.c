// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test that bad loads of BPF programs are found in their exception tables, which
 * are in executable memory, behind the program.
 */

#include <kunit/test.h>

#include <linux/bpf.h>
#include <linux/extable.h>
#include <linux/filter.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

/* Loads that may fault, as the verifier has them for pointers it cannot check */
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
	/* A good load, and two of the guard page behind an area */
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

	/* Return values have 32 bits. What could not be loaded is 0 */
	KUNIT_EXPECT_EQ(test, bpf_prog_run_pin_on_cpu(prog, &ctx), (u32)word);

	test_unload(prog);
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
	unsigned long start = (unsigned long)prog->bpf_func, offset;
	unsigned int found = 0;

	for (offset = 0; offset < prog->jited_len; offset += sizeof(u16))
		found += !!search_exception_tables(start + offset);
	KUNIT_EXPECT_EQ(test, found, 2);

	test_unload(prog);
	KUNIT_EXPECT_NULL(test, search_exception_tables(start));
}

static struct kunit_case bpf_jit_test_cases[] = {
	KUNIT_CASE(test_bad_loads),
	KUNIT_CASE(test_entries),
	{}
};

static struct kunit_suite bpf_jit_test_suite = {
	.name		= "riscv_bpf_jit",
	.init		= test_init,
	.exit		= test_exit,
	.test_cases	= bpf_jit_test_cases,
};

kunit_test_suite(bpf_jit_test_suite);
