/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_RISCV_FTRACE_SITE_H
#define _ASM_RISCV_FTRACE_SITE_H

#include <linux/types.h>

/*
 * The start of a function that can be traced, see kernel/ftrace_site.c. The
 * compiler makes room for it, and __patchable_function_entries has its address.
 */
struct ftrace_site {
	u32 slot;
	u32 auipc;	/* the first instruction of the function */
	u32 call;	/* what ftrace switches; rec->ip is its address */
	u8 body[];	/* t0 points here in a call */
};

/* The sites of the kernel */
extern unsigned long __start_mcount_loc[], __stop_mcount_loc[];

#define FTRACE_NOP	0x00000013U		/* addi zero, zero, 0 */
#define FTRACE_AUIPC_T0	0x00000297U		/* auipc t0, 0 */
#define FTRACE_JALR_T0	0x000282e7U		/* jalr t0, 0(t0) */

/**
 * ftrace_auipc - the first instruction of the call at a site
 * @offset: from this instruction to the function that is called
 *
 * Return: auipc for all but the lower 12 bits. The instruction that ftrace_jalr()
 * returns adds these as a signed number.
 */
static inline u32 ftrace_auipc(long offset)
{
	return (((u32)offset + 0x800) & 0xfffff000) | FTRACE_AUIPC_T0;
}

/**
 * ftrace_jalr - the second instruction of the call at a site
 * @offset: from the first instruction to the function that is called
 */
static inline u32 ftrace_jalr(long offset)
{
	return (u32)offset << 20 | FTRACE_JALR_T0;
}

/**
 * ftrace_reaches - whether the two instructions can have this offset
 * @offset: from the first instruction to the function that is called
 */
static inline bool ftrace_reaches(long offset)
{
	return offset + 0x800 == (s32)(offset + 0x800);
}

#ifdef CONFIG_DYNAMIC_FTRACE
bool ftrace_in_slot(unsigned long addr);
#else
static inline bool ftrace_in_slot(unsigned long addr)
{
	return false;
}
#endif

#endif /* _ASM_RISCV_FTRACE_SITE_H */
