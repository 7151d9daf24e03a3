/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Each type of relocation that a module may have, for relocs_check.c.
 *
 * The assembler may be too old for three types. Types that modules never have
 * stand in for them. Before loading the module, ../relocs.c replaces these by
 * the right types. It also damages relocations, to test that they are refused.
 */
#define R_PLT32			R_RISCV_TPREL_ADD
#define R_SET_ULEB128		R_RISCV_GPREL_I
#define R_SUB_ULEB128		R_RISCV_GPREL_S

#define CONSTANT		0x12345fff

/* All data is at odd addresses, and followed by a byte that must not change. */
	.macro	data label
	.globl	\label
	\label:
	.endm

	.macro	guard
	.byte	0x55
	.endm

	.data
	.balign	8
	.globl	relocs_base
relocs_base:
	guard

	data	relocs_32
	.reloc	., R_RISCV_32, 0xdeadbeef
	.4byte	0
	guard
	data	relocs_64
	.reloc	., R_RISCV_64, relocs_target + 3
	.8byte	0
	guard
	data	relocs_32_pcrel
	.reloc	., R_RISCV_32_PCREL, relocs_target - 8
	.4byte	0
	guard
	data	relocs_plt32
	.reloc	., R_PLT32, relocs_target + 2
	.4byte	0
	guard
#if __riscv_xlen == 64
	data	relocs_plt32_far
	.reloc	., R_PLT32, relocs_target + 0x100000000
	.4byte	0
	guard
#endif

	data	relocs_set6
	.reloc	., R_RISCV_SET6, relocs_target + 1
	.byte	0xc5
	guard
	data	relocs_sub6
	.reloc	., R_RISCV_SUB6, relocs_target + 1
	.byte	0xc5
	guard
	data	relocs_set_sub6
	.reloc	., R_RISCV_SET6, relocs_target + 0x20
	.reloc	., R_RISCV_SUB6, relocs_target - 3
	.byte	0x80
	guard
	data	relocs_set8
	.reloc	., R_RISCV_SET8, relocs_target + 1
	.byte	0xc5
	guard
	data	relocs_set16
	.reloc	., R_RISCV_SET16, relocs_target + 1
	.2byte	0xc5c5
	guard
	data	relocs_set32
	.reloc	., R_RISCV_SET32, relocs_target + 1
	.4byte	0xc5c5c5c5
	guard

	data	relocs_add8
	.reloc	., R_RISCV_ADD8, relocs_target + 1
	.byte	0xc5
	guard
	data	relocs_add16
	.reloc	., R_RISCV_ADD16, relocs_target + 1
	.2byte	0xc5c5
	guard
	data	relocs_add32
	.reloc	., R_RISCV_ADD32, relocs_target + 1
	.4byte	0xc5c5c5c5
	guard
	data	relocs_add64
	.reloc	., R_RISCV_ADD64, relocs_target + 1
	.8byte	0xc5c5c5c5c5c5c5c5
	guard
	data	relocs_sub8
	.reloc	., R_RISCV_SUB8, relocs_target + 1
	.byte	0xc5
	guard
	data	relocs_sub16
	.reloc	., R_RISCV_SUB16, relocs_target + 1
	.2byte	0xc5c5
	guard
	data	relocs_sub32
	.reloc	., R_RISCV_SUB32, relocs_target + 1
	.4byte	0xc5c5c5c5
	guard
	data	relocs_sub64
	.reloc	., R_RISCV_SUB64, relocs_target + 1
	.8byte	0xc5c5c5c5c5c5c5c5
	guard

	data	relocs_uleb1
	.reloc	., R_SET_ULEB128, relocs_base + 127
	.reloc	., R_SUB_ULEB128, relocs_base
	.byte	0x00
	guard
	/* A small number in three bytes still takes three bytes. */
	data	relocs_uleb3
	.reloc	., R_SET_ULEB128, relocs_base + 100
	.reloc	., R_SUB_ULEB128, relocs_base + 95
	.byte	0x80, 0x80, 0x00
	guard
	data	relocs_uleb5
	.reloc	., R_SET_ULEB128, relocs_base + 0x76543210
	.reloc	., R_SUB_ULEB128, relocs_base
	.byte	0x80, 0x80, 0x80, 0x80, 0x00
	guard
	/* Any number fits into ten bytes. */
	data	relocs_uleb10
	.reloc	., R_SET_ULEB128, relocs_base
	.reloc	., R_SUB_ULEB128, relocs_base + 1
	.fill	9, 1, 0x80
	.byte	0x00
	guard

	/* These relocations have no effect. */
	data	relocs_none
	.reloc	., R_RISCV_NONE, relocs_target
	.reloc	., R_RISCV_RELAX, relocs_target
	.4byte	0xc5c5c5c5
	guard

	.balign	4
	.globl	relocs_word
relocs_word:
	.4byte	0

	.text
	.balign	4
#ifdef __riscv_compressed
	.option	rvc
	c.nop			/* the code that follows is not aligned to four bytes */
#endif
	.option	push
	.option	norvc

	.macro	function name
	.globl	\name
	.type	\name, @function
	\name:
	.endm

function relocs_target
	li	a0, 42
	ret

/* Instructions whose bits are checked: all bits of the offset are set. */
function relocs_branch_max
	.reloc	., R_RISCV_BRANCH, relocs_branch_max + 4094
	.4byte	0x00b50063 | 0xfe000f80
function relocs_branch_min
	.reloc	., R_RISCV_BRANCH, relocs_branch_min - 4096
	.4byte	0x00b50063 | 0xfe000f80
function relocs_jal_max
	.reloc	., R_RISCV_JAL, relocs_jal_max + 0xffffe
	.4byte	0x000000ef | 0xfffff000
function relocs_jal_min
	.reloc	., R_RISCV_JAL, relocs_jal_min - 0x100000
	.4byte	0x000000ef | 0xfffff000
function relocs_rvc_branch_max
	.reloc	., R_RISCV_RVC_BRANCH, relocs_rvc_branch_max + 254
	.2byte	0xc101 | 0x1c7c
function relocs_rvc_branch_min
	.reloc	., R_RISCV_RVC_BRANCH, relocs_rvc_branch_min - 256
	.2byte	0xc101 | 0x1c7c
function relocs_rvc_jump_max
	.reloc	., R_RISCV_RVC_JUMP, relocs_rvc_jump_max + 2046
	.2byte	0xa001 | 0x1ffc
function relocs_rvc_jump_min
	.reloc	., R_RISCV_RVC_JUMP, relocs_rvc_jump_min - 2048
	.2byte	0xa001 | 0x1ffc
function relocs_lo12_s
	.reloc	., R_RISCV_LO12_S, CONSTANT
	.4byte	0x00b52023 | 0xfe000f80
function relocs_weak_call
	call	relocs_nowhere
#if __riscv_xlen == 64
function relocs_call_far
	call	relocs_target + 0x100000000
function relocs_call_far_again
	call	relocs_target + 0x100000000
function relocs_call_farther
	.reloc	., R_RISCV_CALL, relocs_target + 0x200000000
	auipc	ra, 0
	jalr	ra, 0(ra)
#endif

/* Functions that relocs_check.c calls */
function relocs_call_plt
	tail	relocs_target
function relocs_call
	.reloc	., R_RISCV_CALL, relocs_target
	auipc	t1, 0
	jalr	x0, 0(t1)
function relocs_jal
	.reloc	., R_RISCV_JAL, relocs_target
	.4byte	0x0000006f	/* jal x0; with a target it would have another relocation */
function relocs_branch
	.reloc	., R_RISCV_BRANCH, relocs_target
	.4byte	0x00000063	/* beq x0, x0 */
function relocs_lui
	.reloc	., R_RISCV_HI20, CONSTANT
	lui	a0, 0
	.reloc	., R_RISCV_LO12_I, CONSTANT
	addi	a0, a0, 0
	ret
function relocs_pcrel
	lla	a0, relocs_base
	ret
/* The LO12 comes first, then the jump back to it, then its HI20. */
function relocs_pcrel_backward
	j	2f
1:	addi	a0, a0, %pcrel_lo(2f)
	ret
2:	auipc	a0, %pcrel_hi(relocs_base)
	j	1b
function relocs_pcrel_store
	sw	a0, relocs_word, t0
	ret
function relocs_pcrel_constant
	.reloc	., R_RISCV_PCREL_HI20, CONSTANT
	auipc	a0, 0
	.reloc	., R_RISCV_PCREL_LO12_I, relocs_pcrel_constant
	addi	a0, a0, 0
	ret
function relocs_weak
	lla	a0, relocs_nowhere
	ret
function relocs_weak_offset
	lla	a0, relocs_nowhere + CONSTANT
	ret

	.option	pic
function relocs_got
	la	a0, relocs_target
	ret
function relocs_got_again
	la	a1, relocs_target
	mv	a0, a1
	ret
function relocs_weak_got
	la	a0, relocs_nowhere
	ret
	.option	nopic

	.option	pop
	.weak	relocs_nowhere
	.section .note.GNU-stack, "", @progbits
