/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the BPF JIT compiler for RV64 and its trampolines share
 *
 * Copyright (c) 2019 Björn Töpel <bjorn.topel@gmail.com>
 */

#ifndef _BPF_JIT_COMP64_H
#define _BPF_JIT_COMP64_H

#include <linux/bpf.h>
#include "bpf_jit.h"

#define RV_REG_TCC RV_REG_A6

/*
 * The first instruction of a program, which a call executes and a tail call
 * does not
 */
static inline u32 rv_tcc_init(void)
{
	return rv_addi(RV_REG_TCC, RV_REG_ZERO, MAX_TAIL_CALL_CNT);
}

static inline bool is_32b_int(s64 val)
{
	return -(1L << 31) <= val && val < (1L << 31);
}

static inline bool in_auipc_jalr_range(s64 val)
{
	/*
	 * auipc+jalr can reach any signed PC-relative offset in the range
	 * [-2^31 - 2^11, 2^31 - 2^11).
	 */
	return (-(1L << 31) - (1L << 11)) <= val &&
		val < ((1L << 31) - (1L << 11));
}

/* Emit variable-length instructions for 32-bit and 64-bit imm */
static inline void emit_imm(u8 rd, s64 val, struct rv_jit_context *ctx)
{
	/* Note that the immediate from the add is sign-extended,
	 * which means that we need to compensate this by adding 2^12,
	 * when the 12th bit is set. A simpler way of doing this, and
	 * getting rid of the check, is to just add 2**11 before the
	 * shift. The "Loading a 32-Bit constant" example from the
	 * "Computer Organization and Design, RISC-V edition" book by
	 * Patterson/Hennessy highlights this fact.
	 *
	 * This also means that we need to process LSB to MSB.
	 */
	s64 upper = (val + (1 << 11)) >> 12;
	/* Sign-extend lower 12 bits to 64 bits since immediates for li, addiw,
	 * and addi are signed and RVC checks will perform signed comparisons.
	 */
	s64 lower = ((val & 0xfff) << 52) >> 52;
	int shift;

	if (is_32b_int(val)) {
		if (upper)
			emit_lui(rd, upper, ctx);

		if (!upper) {
			emit_li(rd, lower, ctx);
			return;
		}

		emit_addiw(rd, rd, lower, ctx);
		return;
	}

	shift = __ffs(upper);
	upper >>= shift;
	shift += 12;

	emit_imm(rd, upper, ctx);

	emit_slli(rd, rd, shift, ctx);
	if (lower)
		emit_addi(rd, rd, lower, ctx);
}

#endif /* _BPF_JIT_COMP64_H */
