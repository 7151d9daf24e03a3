/* SPDX-License-Identifier: GPL-2.0-only */
/* Symbols of relocs_asm.S, for relocs_check.c */
#ifndef RELOCS_H
#define RELOCS_H

#include <linux/types.h>

/* Data, then instructions whose bits are checked */
extern u8 relocs_32[];
extern u8 relocs_64[];
extern u8 relocs_32_pcrel[];
extern u8 relocs_plt32[];
extern u8 relocs_set6[];
extern u8 relocs_sub6[];
extern u8 relocs_set_sub6[];
extern u8 relocs_set8[];
extern u8 relocs_set16[];
extern u8 relocs_set32[];
extern u8 relocs_add8[];
extern u8 relocs_add16[];
extern u8 relocs_add32[];
extern u8 relocs_add64[];
extern u8 relocs_sub8[];
extern u8 relocs_sub16[];
extern u8 relocs_sub32[];
extern u8 relocs_sub64[];
extern u8 relocs_uleb1[];
extern u8 relocs_uleb3[];
extern u8 relocs_uleb5[];
extern u8 relocs_none[];
extern u8 relocs_uleb10[];
extern u8 relocs_plt32_far[];
extern u8 relocs_base[];
extern u8 relocs_word[];

extern u8 relocs_branch_max[];
extern u8 relocs_branch_min[];
extern u8 relocs_jal_max[];
extern u8 relocs_jal_min[];
extern u8 relocs_rvc_branch_max[];
extern u8 relocs_rvc_branch_min[];
extern u8 relocs_rvc_jump_max[];
extern u8 relocs_rvc_jump_min[];
extern u8 relocs_lo12_s[];
extern u8 relocs_weak_call[];
extern u8 relocs_call_far[];
extern u8 relocs_call_far_again[];
extern u8 relocs_call_farther[];

/* Functions that relocs_check.c calls */
long relocs_target(void);
long relocs_call_plt(void);
long relocs_call(void);
long relocs_jal(void);
long relocs_branch(void);
long relocs_lui(void);
long relocs_pcrel(void);
long relocs_pcrel_backward(void);
long relocs_pcrel_constant(void);
long relocs_got(void);
long relocs_got_again(void);
long relocs_weak(void);
long relocs_weak_offset(void);
long relocs_weak_got(void);
void relocs_pcrel_store(u32 value);

/* A weak symbol without a definition */
extern int relocs_nowhere __weak;

#endif /* RELOCS_H */
