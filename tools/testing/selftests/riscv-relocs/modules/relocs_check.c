// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compare the module loader's result for relocs_asm.S with the psABI. If they
 * differ, the module says where and does not load.
 */
#include <linux/module.h>

#include "relocs.h"

#define CONSTANT	0x12345fffUL
#define GUARD		0x55
#define FAR		0x100000000ULL

static unsigned int failed;

static void __init check(const char *name, u64 is, u64 should_be)
{
	if (is == should_be)
		return;

	pr_err("%s is %#llx and should be %#llx\n", name, is, should_be);
	failed++;
}

static u64 __init bytes(const u8 *data, unsigned int size)
{
	u64 value = 0;

	while (size--)
		value = value << 8 | data[size];
	return value;
}

/* Check the bytes of @data, and that the byte behind them has not changed. */
static void __init data_is(const char *name, const u8 *data, unsigned int size, u64 value)
{
	check(name, bytes(data, size), value & (~0ULL >> (64 - 8 * size)));
	check("what is behind it", data[size], GUARD);
}

#define CHECK_DATA(name, size, value)	data_is(#name, name, size, value)

/* Check an instruction and its offset, which is in the bits of @mask. */
#define CHECK_INSN(name, size, mask, insn, decode, offset)			\
do {										\
	u32 found = bytes(name, size);						\
										\
	check(#name, found & ~(mask), insn);					\
	check(#name "'s offset", (u64)decode(found), (u64)(offset));		\
} while (0)

#define CHECK_CALL(name, value)							\
	check(#name "()", (u64)name(), (u64)(long)(value))

/* Take bits of @insn from bit @from on, and move them to bit @to. */
static u32 __init field(u32 insn, unsigned int from, unsigned int width, unsigned int to)
{
	return (insn >> from & ((1 << width) - 1)) << to;
}

static s64 __init branch_offset(u32 insn)
{
	return sign_extend64(field(insn, 31, 1, 12) | field(insn, 7, 1, 11) |
			     field(insn, 25, 6, 5) | field(insn, 8, 4, 1), 12);
}

static s64 __init jal_offset(u32 insn)
{
	return sign_extend64(field(insn, 31, 1, 20) | field(insn, 12, 8, 12) |
			     field(insn, 20, 1, 11) | field(insn, 21, 10, 1), 20);
}

static s64 __init rvc_branch_offset(u32 insn)
{
	return sign_extend64(field(insn, 12, 1, 8) | field(insn, 10, 2, 3) |
			     field(insn, 5, 2, 6) | field(insn, 3, 2, 1) |
			     field(insn, 2, 1, 5), 8);
}

static s64 __init rvc_jump_offset(u32 insn)
{
	return sign_extend64(field(insn, 12, 1, 11) | field(insn, 11, 1, 4) |
			     field(insn, 9, 2, 8) | field(insn, 8, 1, 10) |
			     field(insn, 7, 1, 6) | field(insn, 6, 1, 7) |
			     field(insn, 3, 3, 1) | field(insn, 2, 1, 5), 11);
}

static s64 __init store_offset(u32 insn)
{
	return sign_extend64(field(insn, 25, 7, 5) | field(insn, 7, 5, 0), 11);
}

/* The target of a pair of auipc or lui and another instruction */
static unsigned long __init pair_target(const u8 *insns)
{
	u32 first = bytes(insns, 4), second = bytes(insns + 4, 4);
	long address = (s32)(first & GENMASK(31, 12)) + ((s32)second >> 20);

	return (first & 0x7f) == 0x17 ? (unsigned long)insns + address : address;
}

#ifdef CONFIG_64BIT
/* The target of an entry of the PLT */
static u64 __init plt_target(unsigned long plt)
{
	return *(unsigned long *)pair_target((void *)plt);
}
#endif

static void __init check_data(void)
{
	/* An address in memory, so that the compiler cannot make it with other relocations */
	static const unsigned long address = (unsigned long)relocs_target;
	unsigned long target = READ_ONCE(address);
	u64 c5 = 0xc5c5c5c5c5c5c5c5;

	CHECK_DATA(relocs_32, 4, 0xdeadbeef);
	CHECK_DATA(relocs_64, 8, (u64)(target + 3));
	CHECK_DATA(relocs_32_pcrel, 4, target - 8 - (unsigned long)relocs_32_pcrel);
	CHECK_DATA(relocs_plt32, 4, target + 2 - (unsigned long)relocs_plt32);

	CHECK_DATA(relocs_set6, 1, 0xc0 | ((target + 1) & 0x3f));
	CHECK_DATA(relocs_sub6, 1, 0xc0 | ((5 - (target + 1)) & 0x3f));
	CHECK_DATA(relocs_set_sub6, 1, 0x80 | 0x23);
	CHECK_DATA(relocs_set8, 1, target + 1);
	CHECK_DATA(relocs_set16, 2, target + 1);
	CHECK_DATA(relocs_set32, 4, target + 1);

	CHECK_DATA(relocs_add8, 1, c5 + (target + 1));
	CHECK_DATA(relocs_add16, 2, c5 + (target + 1));
	CHECK_DATA(relocs_add32, 4, c5 + (target + 1));
	CHECK_DATA(relocs_add64, 8, c5 + (target + 1));
	CHECK_DATA(relocs_sub8, 1, c5 - (target + 1));
	CHECK_DATA(relocs_sub16, 2, c5 - (target + 1));
	CHECK_DATA(relocs_sub32, 4, c5 - (target + 1));
	CHECK_DATA(relocs_sub64, 8, c5 - (target + 1));

	CHECK_DATA(relocs_uleb1, 1, 0x7f);
	CHECK_DATA(relocs_uleb3, 3, 0x008085);
	/* 0x76543210 in groups of seven bits: 0111 0110010 1010000 1100100 0010000 */
	CHECK_DATA(relocs_uleb5, 5, 0x07b2d0e490);
	CHECK_DATA(relocs_none, 4, c5);
}

static void __init check_long_uleb128(void)
{
	unsigned long value = 0;
	int i;

	for (i = 9; i >= 0; i--) {
		check("relocs_uleb10's top bit", relocs_uleb10[i] >> 7, i < 9);
		value = value << 7 | (relocs_uleb10[i] & 0x7f);
	}
	check("relocs_uleb10", value, (unsigned long)-1);
	check("relocs_uleb10's end", relocs_uleb10[10], GUARD);
}

static void __init check_text(void)
{
	CHECK_INSN(relocs_branch_max, 4, 0xfe000f80, 0x00b50063, branch_offset, 4094);
	CHECK_INSN(relocs_branch_min, 4, 0xfe000f80, 0x00b50063, branch_offset, -4096);
	CHECK_INSN(relocs_jal_max, 4, 0xfffff000, 0x000000ef, jal_offset, 0xffffe);
	CHECK_INSN(relocs_jal_min, 4, 0xfffff000, 0x000000ef, jal_offset, -0x100000);
	CHECK_INSN(relocs_rvc_branch_max, 2, 0x1c7c, 0xc101, rvc_branch_offset, 254);
	CHECK_INSN(relocs_rvc_branch_min, 2, 0x1c7c, 0xc101, rvc_branch_offset, -256);
	CHECK_INSN(relocs_rvc_jump_max, 2, 0x1ffc, 0xa001, rvc_jump_offset, 2046);
	CHECK_INSN(relocs_rvc_jump_min, 2, 0x1ffc, 0xa001, rvc_jump_offset, -2048);
	CHECK_INSN(relocs_lo12_s, 4, 0xfe000f80, 0x00b52023, store_offset, -1);

	CHECK_CALL(relocs_call_plt, 42);
	CHECK_CALL(relocs_call, 42);
	CHECK_CALL(relocs_jal, 42);
	CHECK_CALL(relocs_branch, 42);
	CHECK_CALL(relocs_lui, CONSTANT);
	CHECK_CALL(relocs_pcrel, relocs_base);
	CHECK_CALL(relocs_pcrel_backward, relocs_base);
	CHECK_CALL(relocs_pcrel_constant, CONSTANT);
	CHECK_CALL(relocs_got, relocs_target);
	CHECK_CALL(relocs_got_again, relocs_target);
}

static void __init check_store(void)
{
	relocs_pcrel_store(0xfeedcafe);
	check("relocs_word", bytes(relocs_word, 4), 0xfeedcafe);
}

static void __init check_weak(void)
{
	CHECK_CALL(relocs_weak, 0);
	CHECK_CALL(relocs_weak_offset, CONSTANT);
	CHECK_CALL(relocs_weak_got, 0);
	check("relocs_weak_call's target", pair_target(relocs_weak_call), 0);
	check("a weak symbol in C", (unsigned long)&relocs_nowhere, 0);
}

/* Targets beyond 2 GiB have an entry in the PLT. A section has one entry for each target. */
static void __init check_far(void)
{
#ifdef CONFIG_64BIT
	unsigned long plt = pair_target(relocs_call_far);
	unsigned long target = (unsigned long)relocs_target;

	check("the entry of relocs_call_far", plt_target(plt), target + FAR);
	check("the entry of relocs_call_farther",
	      plt_target(pair_target(relocs_call_farther)), target + 2 * FAR);
	check("the entry of relocs_call_far_again", pair_target(relocs_call_far_again), plt);
	check("the entry of relocs_plt32_far",
	      plt_target((unsigned long)relocs_plt32_far + (s32)bytes(relocs_plt32_far, 4)),
	      target + FAR);
#endif
}

static int __init relocs_init(void)
{
	check_data();
	check_long_uleb128();
	check_text();
	check_store();
	check_weak();
	check_far();

	return failed ? -EINVAL : 0;
}
module_init(relocs_init);

static void __exit relocs_exit(void)
{
}
module_exit(relocs_exit);

MODULE_DESCRIPTION("Relocations of all types");
MODULE_LICENSE("GPL");
