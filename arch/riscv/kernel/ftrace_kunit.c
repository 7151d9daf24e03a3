// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test the instructions at the start of traced functions.
 */

#include <kunit/test.h>

#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/ftrace.h>

#include <asm/ftrace_site.h>

/* What a hart adds to the address of the first instruction */
static long decode_offset(u32 auipc, u32 jalr)
{
	return sign_extend64(auipc & 0xfffff000, 31) + sign_extend64(jalr >> 20, 11);
}

static void test_offsets(struct kunit *test)
{
	static const long offsets[] = {
		0, 2, -2, 0x7fe, 0x800, -0x800, -0x802, 0xfff, 0x1000, -0x1000, 0x12345678,
		-0x12345678, 0x7ffff7fe, -0x80000000L, -0x80000800L,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		u32 auipc = ftrace_auipc(offsets[i]), jalr = ftrace_jalr(offsets[i]);

		KUNIT_EXPECT_TRUE_MSG(test, ftrace_reaches(offsets[i]), "%ld", offsets[i]);
		KUNIT_EXPECT_EQ(test, decode_offset(auipc, jalr), offsets[i]);
		/* auipc t0, and jalr t0, (t0) */
		KUNIT_EXPECT_EQ(test, auipc & 0xfff, 5 << 7 | 0x17);
		KUNIT_EXPECT_EQ(test, jalr & 0xfffff, 5 << 15 | 5 << 7 | 0x67);
	}
}

static void test_too_far(struct kunit *test)
{
	if (IS_ENABLED(CONFIG_32BIT))
		kunit_skip(test, "all addresses can be reached");

	KUNIT_EXPECT_FALSE(test, ftrace_reaches(0x7ffff800L));
	KUNIT_EXPECT_FALSE(test, ftrace_reaches(-0x80000801L));
	KUNIT_EXPECT_FALSE(test, ftrace_reaches(0x100000000L));
}

static noinline int traced(int value)
{
	OPTIMIZER_HIDE_VAR(value);

	return value + 1;
}

static int calls;

static void count_call(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
		       struct ftrace_regs *fregs)
{
	calls += fregs->regs.a0;
}

static struct ftrace_ops count_ops = {
	.func = count_call,
};

/* One word of a function changes when it is traced. */
static void test_site(struct kunit *test)
{
	unsigned long func = (unsigned long)traced, ip = ftrace_location(func);
	struct ftrace_site *site = container_of((u32 *)ip, struct ftrace_site, call);
	struct ftrace_site off, on;
	int ret;

	KUNIT_ASSERT_PTR_EQ(test, (void *)func, (void *)&site->auipc);
	off = *site;
	KUNIT_EXPECT_EQ(test, off.call, FTRACE_NOP);

	calls = 0;
	ret = ftrace_set_filter_ip(&count_ops, func, 0, 0);
	KUNIT_ASSERT_EQ(test, ret, 0);
	ret = register_ftrace_function(&count_ops);
	KUNIT_ASSERT_EQ(test, ret, 0);
	on = *site;
	KUNIT_EXPECT_EQ(test, traced(41), 42);
	KUNIT_EXPECT_EQ(test, calls, 41);
	unregister_ftrace_function(&count_ops);

	KUNIT_EXPECT_EQ(test, traced(41), 42);
	KUNIT_EXPECT_EQ(test, calls, 41);
	KUNIT_EXPECT_EQ(test, func + decode_offset(on.auipc, on.call), FTRACE_ADDR);
	KUNIT_EXPECT_EQ(test, on.auipc, off.auipc);
	KUNIT_EXPECT_EQ(test, on.slot, 0);
	KUNIT_EXPECT_EQ(test, memcmp(site, &off, sizeof(off)), 0);
	ftrace_free_filter(&count_ops);
}

static struct kunit_case riscv_ftrace_cases[] = {
	KUNIT_CASE(test_offsets),
	KUNIT_CASE(test_too_far),
	KUNIT_CASE(test_site),
	{}
};

static struct kunit_suite riscv_ftrace_suite = {
	.name = "riscv_ftrace",
	.test_cases = riscv_ftrace_cases,
};

kunit_test_suite(riscv_ftrace_suite);
