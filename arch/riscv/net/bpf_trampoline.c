// SPDX-License-Identifier: GPL-2.0-only
/*
 * BPF trampolines for RV64: programs that run when a function is called, when it
 * returns, or instead of it.
 */

/**
 * DOC: the entry of a BPF program
 *
 * The first instruction of a program initializes its tail call counter. To trace
 * or to replace the program, bpf_arch_text_poke() turns this instruction into a
 * jump, with one store of four bytes that are aligned. Untraced programs execute
 * no instruction more than without trampolines.
 *
 * A jump instruction reaches 1 MiB, and a trampoline can be anywhere within 2
 * GiB. So the jump goes to a thunk in front of the program, and the thunk loads
 * the address of the trampoline from a word beside it, &struct bpf_thunk::target.
 * The text of the thunk never changes. To move a traced program from one
 * trampoline to another is one store of eight bytes to data, without a fence.i.
 *
 * Other harts execute the program meanwhile, and a task may have been preempted
 * in the thunk. They see the old target or the new one. Both are in use until
 * the caller of bpf_arch_text_poke() has waited for the tasks that could have
 * seen the old one. The target is written before the jump, so no hart can find
 * the jump and then an older target.
 *
 * The jump leaves the address behind it in t0, as calls of traced functions do,
 * and ra as the caller of the program has left it. The trampoline continues
 * there after it has done what the replaced instruction does. Tail calls skip
 * the first instruction, so they are not traced, as on other architectures. For
 * the same reason a trampoline does not have to keep the caller's counter: each
 * call of a program begins with a new one.
 */

/**
 * DOC: trampolines
 *
 * A trampoline keeps the arguments of the traced function on its stack, where
 * programs find them, and runs the programs. Then it continues the traced
 * function. Or it calls the function, runs the programs that are waiting for the
 * return value, and returns to the caller of the function.
 *
 * Its stack, from higher to lower addresses::
 *
 *	ra, fp			frame of the traced function, which has not
 *				made one yet. Not in a trampoline that is called
 *				through a pointer, like those of struct_ops
 *	t0 (or ra), fp		frame of the trampoline
 *	s1, s2
 *	return value
 *	arguments		the context of the programs
 *	number of arguments
 *	address of the function
 *	run context		struct bpf_tramp_run_ctx
 *	arguments on the stack	for the call of the function
 *
 * Each argument takes one word, and a structure of more than 8 bytes takes two:
 * the words of all arguments are a0 to a7, followed by the caller's stack. So it
 * is in the calling convention, except for types that are aligned to 16 bytes
 * and are not in registers. btf_func_model does not tell them apart.
 */

#include <linux/bpf.h>
#include <linux/cacheflush.h>
#include <linux/filter.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <asm/text_alias.h>

#include "bpf_jit_comp64.h"

/* Arguments that are in a0 to a7 */
#define NR_ARG_REGS	8
#define WORD		((int)sizeof(u64))

#define RVC_NOP		0x0001
#define RV_NOP		rv_addi(RV_REG_ZERO, RV_REG_ZERO, 0)

/* From the entry of a program back to the instructions of its thunk */
#define THUNK_OFFSET	((int)offsetof(struct bpf_thunk, insns) - \
			 (int)sizeof(struct bpf_thunk))

/* The first instruction of a program that is traced */
static u32 thunk_jump(void)
{
	return rv_jal(RV_REG_T0, THUNK_OFFSET >> 1);
}

/**
 * bpf_thunk_init - write a thunk in front of a program
 * @thunk: where to write it
 */
void bpf_thunk_init(struct bpf_thunk *thunk)
{
	const int to_target = (int)offsetof(struct bpf_thunk, target) -
			      (int)offsetof(struct bpf_thunk, insns);

	*thunk = (struct bpf_thunk) {
		.insns = {
			rv_auipc(RV_REG_T1, 0),
			rv_ld(RV_REG_T1, to_target, RV_REG_T1),
			rv_jalr(RV_REG_ZERO, RV_REG_T1, 0),
		},
	};
}

/* Write to text that other harts may execute */
static int write_text(void *dst, const void *src, size_t len)
{
	int ret = text_alias_write(dst, src, len);

	if (ret)
		return ret;

	flush_icache_range((unsigned long)dst, (unsigned long)dst + len);

	return 0;
}

/* @insn is what the program begins with now */
static int poke_entry(void *ip, u32 insn, void *old_addr, void *new_addr)
{
	struct bpf_thunk *at = ip - sizeof(*at), thunk, expected;
	u64 target = (unsigned long)new_addr;
	int ret;

	bpf_thunk_init(&expected);
	if (copy_from_kernel_nofault(&thunk, at, sizeof(thunk)) ||
	    memcmp(thunk.insns, expected.insns, sizeof(thunk.insns)))
		return -EINVAL;

	if (insn != (old_addr ? thunk_jump() : rv_tcc_init()))
		return -EBUSY;
	if (old_addr && thunk.target != (unsigned long)old_addr)
		return -EBUSY;

	if (!new_addr) {
		insn = rv_tcc_init();
		return old_addr ? write_text(ip, &insn, sizeof(insn)) : 0;
	}

	/* One store. Nobody executes it, so it needs no fence.i */
	ret = text_alias_write(&at->target, &target, sizeof(target));
	if (ret || old_addr)
		return ret;

	insn = thunk_jump();
	return write_text(ip, &insn, sizeof(insn));
}

/* The place within a trampoline where the programs behind the call can be skipped */
static int poke_image(void *ip, u32 insn, void *old_addr, void *new_addr)
{
	long offsets[] = { old_addr - ip, new_addr - ip };
	u32 insns[] = { RV_NOP, RV_NOP };

	if (old_addr) {
		if (!is_21b_int(offsets[0]))
			return -EINVAL;
		insns[0] = rv_jal(RV_REG_ZERO, offsets[0] >> 1);
	}
	if (new_addr) {
		if (!is_21b_int(offsets[1]))
			return -EINVAL;
		insns[1] = rv_jal(RV_REG_ZERO, offsets[1] >> 1);
	}
	if (insn != insns[0])
		return -EBUSY;

	return write_text(ip, &insns[1], sizeof(insns[1]));
}

/**
 * bpf_arch_text_poke - let a program or a trampoline go elsewhere
 * @ip: entry of a program, or &bpf_tramp_image->ip_after_call of a trampoline
 * @t: not used. A jump from the entry of a program is a call for a trampoline,
 *	which uses t0, and a jump for a program, which does not
 * @old_addr: where it goes to now; %NULL if it goes nowhere else
 * @new_addr: where it shall go to; %NULL if it shall go nowhere else
 *
 * No hart goes to @old_addr any more when this function returns, except for
 * those that are between the entry and @old_addr. A task may be preempted there:
 * wait with RCU-tasks.
 *
 * Return: 0; -EBUSY if it does not go to @old_addr; -EINVAL if @ip is not what
 * it should be. Calls of kernel functions belong to ftrace.
 */
int bpf_arch_text_poke(void *ip, enum bpf_text_poke_type t, void *old_addr,
		       void *new_addr)
{
	u32 insn;

	if (!is_bpf_text_address((unsigned long)ip) ||
	    !IS_ALIGNED((unsigned long)ip, sizeof(insn)) ||
	    copy_from_kernel_nofault(&insn, ip, sizeof(insn)))
		return -EINVAL;

	if (insn == rv_tcc_init() || insn == thunk_jump())
		return poke_entry(ip, insn, old_addr, new_addr);

	return poke_image(ip, insn, old_addr, new_addr);
}

/* A trampoline that is being made. Offsets are from its stack pointer */
struct tramp {
	struct rv_jit_context ctx;
	const struct btf_func_model *model;
	struct bpf_tramp_image *im;
	void *func;		/* the function that is traced */
	u32 flags;
	bool indirect;		/* called through a pointer, not by a traced function */
	bool func_is_bpf;
	int nr_words;		/* of arguments */
	int frame;
	int run_ctx, ip, nr, args, retval, s2, s1, fp, link;
};

static int nr_arg_words(const struct btf_func_model *model)
{
	int i, nr = 0;

	for (i = 0; i < model->nr_args; i++)
		nr += DIV_ROUND_UP(model->arg_size[i], WORD);

	return nr;
}

static void lay_out(struct tramp *t)
{
	int offset = 0;

	t->nr_words = nr_arg_words(t->model);
	if (t->flags & BPF_TRAMP_F_CALL_ORIG)
		offset += max(t->nr_words - NR_ARG_REGS, 0) * WORD;
	t->run_ctx = offset;
	offset += round_up(sizeof(struct bpf_tramp_run_ctx), WORD);
	t->ip = offset;
	t->nr = t->ip + WORD;
	t->args = t->nr + WORD;
	t->retval = t->args + t->nr_words * WORD;
	offset = round_up(t->retval + 5 * WORD, STACK_ALIGN);
	t->frame = offset;
	t->link = offset - WORD;
	t->fp = t->link - WORD;
	t->s1 = t->fp - WORD;
	t->s2 = t->s1 - WORD;
}

static void emit_store(struct tramp *t, int offset, u8 reg)
{
	emit_sd(RV_REG_SP, offset, reg, &t->ctx);
}

static void emit_load(struct tramp *t, u8 reg, int offset)
{
	emit_ld(reg, offset, RV_REG_SP, &t->ctx);
}

/* The same number of bytes for each function, because images are measured first */
static int emit_call(struct tramp *t, const void *func)
{
	struct rv_jit_context *ctx = &t->ctx;
	s64 offset = (u64)func - (u64)(ctx->ro_insns + ctx->ninsns);

	if (ctx->insns && !in_auipc_jalr_range(offset))
		return -ERANGE;

	emit(rv_auipc(RV_REG_RA, (offset + (1 << 11)) >> 12), ctx);
	emit(rv_jalr(RV_REG_RA, RV_REG_RA, offset & 0xfff), ctx);

	return 0;
}

/* A function's first argument, a pointer, and the call */
static int emit_call_with(struct tramp *t, const void *func, const void *arg)
{
	emit_imm(RV_REG_A0, (unsigned long)arg, &t->ctx);

	return emit_call(t, func);
}

/* Leave room for a branch to what emit_at() finds when it fills in the branch */
static int emit_room(struct tramp *t)
{
	int at = t->ctx.ninsns;

	emit(RV_NOP, &t->ctx);

	return at;
}

static void emit_at(struct tramp *t, int at, u32 insn)
{
	int end = t->ctx.ninsns;

	t->ctx.ninsns = at;
	emit(insn, &t->ctx);
	t->ctx.ninsns = end;
}

/* From an earlier place to what is emitted next */
static int distance(const struct tramp *t, int from)
{
	return ninsns_rvoff(t->ctx.ninsns - from);
}

/*
 * A value of the function's return type is in a register as the calling
 * convention has it, whatever a program made of the upper bits. The model does
 * not say whether the type is signed. Narrow types are taken for unsigned, as
 * bool is.
 */
static void emit_retval(struct tramp *t, const struct bpf_prog *prog)
{
	struct rv_jit_context *ctx = &t->ctx;
	int bits = t->model->ret_size * BITS_PER_BYTE;

	if (bits == 64) {
		/* The JIT truncates a0 only. An interpreted program has 32 bits */
		emit_store(t, t->retval, prog->jited ? RV_REG_A5 : RV_REG_A0);
		return;
	}

	if (bits < 32) {
		emit_slli(RV_REG_A0, RV_REG_A0, 64 - bits, ctx);
		emit_srli(RV_REG_A0, RV_REG_A0, 64 - bits, ctx);
	}
	emit_store(t, t->retval, RV_REG_A0);
}

static int emit_prog(struct tramp *t, const struct bpf_tramp_link *link, bool save_retval)
{
	const int cookie = t->run_ctx + offsetof(struct bpf_tramp_run_ctx, bpf_cookie);
	struct rv_jit_context *ctx = &t->ctx;
	struct bpf_prog *prog = link->link.prog;
	int ret, skip;

	if (link->cookie)
		emit_imm(RV_REG_T1, link->cookie, ctx);
	emit_store(t, cookie, link->cookie ? RV_REG_T1 : RV_REG_ZERO);

	emit_imm(RV_REG_S1, (unsigned long)prog, ctx);
	emit_mv(RV_REG_A0, RV_REG_S1, ctx);
	emit_addi(RV_REG_A1, RV_REG_SP, t->run_ctx, ctx);
	ret = emit_call(t, bpf_trampoline_enter(prog));
	if (ret)
		return ret;
	emit_mv(RV_REG_S2, RV_REG_A0, ctx);

	/* The program is active on this hart already */
	skip = emit_room(t);

	emit_addi(RV_REG_A0, RV_REG_SP, t->args, ctx);
	if (!prog->jited)
		emit_addi(RV_REG_A1, RV_REG_S1, offsetof(struct bpf_prog, insnsi), ctx);
	ret = emit_call(t, prog->bpf_func);
	if (ret)
		return ret;
	if (save_retval)
		emit_retval(t, prog);

	emit_at(t, skip, rv_beq(RV_REG_A0, RV_REG_ZERO, distance(t, skip) >> 1));

	emit_mv(RV_REG_A0, RV_REG_S1, ctx);
	emit_mv(RV_REG_A1, RV_REG_S2, ctx);
	emit_addi(RV_REG_A2, RV_REG_SP, t->run_ctx, ctx);

	return emit_call(t, bpf_trampoline_exit(prog));
}

static int emit_progs(struct tramp *t, const struct bpf_tramp_links *links, bool save_retval)
{
	int i, ret;

	for (i = 0; i < links->nr_links; i++) {
		ret = emit_prog(t, links->links[i], save_retval);
		if (ret)
			return ret;
	}

	return 0;
}

static void emit_save_args(struct tramp *t)
{
	int i, caller = t->frame + (t->indirect ? 0 : STACK_ALIGN);

	for (i = 0; i < t->nr_words; i++) {
		u8 reg = RV_REG_A0 + i;

		if (i >= NR_ARG_REGS) {
			reg = RV_REG_T1;
			emit_load(t, reg, caller + (i - NR_ARG_REGS) * WORD);
		}
		emit_store(t, t->args + i * WORD, reg);
	}
}

static void emit_restore_arg_regs(struct tramp *t)
{
	int i;

	for (i = 0; i < min(t->nr_words, NR_ARG_REGS); i++)
		emit_load(t, RV_REG_A0 + i, t->args + i * WORD);
	/* What the replaced instruction of a program does */
	if (t->func_is_bpf)
		emit(rv_tcc_init(), &t->ctx);
}

static void emit_prologue(struct tramp *t)
{
	struct rv_jit_context *ctx = &t->ctx;

	if (!t->indirect) {
		emit_addi(RV_REG_SP, RV_REG_SP, -STACK_ALIGN, ctx);
		emit_store(t, STACK_ALIGN - WORD, RV_REG_RA);
		emit_store(t, STACK_ALIGN - 2 * WORD, RV_REG_FP);
		emit_addi(RV_REG_FP, RV_REG_SP, STACK_ALIGN, ctx);
	}

	emit_addi(RV_REG_SP, RV_REG_SP, -t->frame, ctx);
	emit_store(t, t->link, t->indirect ? RV_REG_RA : RV_REG_T0);
	emit_store(t, t->fp, RV_REG_FP);
	emit_addi(RV_REG_FP, RV_REG_SP, t->frame, ctx);
	emit_store(t, t->s1, RV_REG_S1);
	emit_store(t, t->s2, RV_REG_S2);

	emit_save_args(t);
	emit_imm(RV_REG_T1, t->nr_words, ctx);
	emit_store(t, t->nr, RV_REG_T1);
	if (t->flags & BPF_TRAMP_F_IP_ARG) {
		emit_imm(RV_REG_T1, (unsigned long)t->func, ctx);
		emit_store(t, t->ip, RV_REG_T1);
	}
}

static void emit_epilogue(struct tramp *t)
{
	struct rv_jit_context *ctx = &t->ctx;
	u8 target = RV_REG_RA;

	if (t->flags & (BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_RET_FENTRY_RET)) {
		emit_load(t, RV_REG_A0, t->retval);
		if (t->func_is_bpf) {
			/* a5 for a program that has called it, a0 for the kernel */
			emit_mv(RV_REG_A5, RV_REG_A0, ctx);
			emit_addiw(RV_REG_A0, RV_REG_A0, 0, ctx);
		}
	} else if (t->flags & BPF_TRAMP_F_RESTORE_REGS) {
		emit_restore_arg_regs(t);
	}

	emit_load(t, RV_REG_S2, t->s2);
	emit_load(t, RV_REG_S1, t->s1);
	if (t->indirect) {
		emit_load(t, RV_REG_FP, t->fp);
		emit_load(t, RV_REG_RA, t->link);
		emit_addi(RV_REG_SP, RV_REG_SP, t->frame, ctx);
	} else {
		if (!(t->flags & BPF_TRAMP_F_SKIP_FRAME)) {
			target = RV_REG_T0;
			emit_load(t, target, t->link);
		}
		emit_load(t, RV_REG_FP, t->frame + STACK_ALIGN - 2 * WORD);
		emit_load(t, RV_REG_RA, t->frame + STACK_ALIGN - WORD);
		emit_addi(RV_REG_SP, RV_REG_SP, t->frame + STACK_ALIGN, ctx);
	}
	emit_jalr(RV_REG_ZERO, target, 0, ctx);
}

/* Call the traced function, and let bpf_arch_text_poke() skip what comes behind */
static int emit_call_func(struct tramp *t)
{
	struct rv_jit_context *ctx = &t->ctx;
	int i, ret;

	for (i = NR_ARG_REGS; i < t->nr_words; i++) {
		emit_load(t, RV_REG_T1, t->args + i * WORD);
		emit_store(t, (i - NR_ARG_REGS) * WORD, RV_REG_T1);
	}
	emit_restore_arg_regs(t);
	if (t->indirect) {
		ret = emit_call(t, t->func);
		if (ret)
			return ret;
	} else {
		emit_load(t, RV_REG_T0, t->link);
		emit_jalr(RV_REG_RA, RV_REG_T0, 0, ctx);
	}
	emit_store(t, t->retval, t->func_is_bpf ? RV_REG_A5 : RV_REG_A0);

	if (rvc_enabled() && ctx->ninsns % 2)
		emitc(RVC_NOP, ctx);
	if (t->im)
		t->im->ip_after_call = ctx->ro_insns + ctx->ninsns;
	emit(RV_NOP, ctx);

	return 0;
}

/* Programs that can return instead of the traced function */
static int emit_modify_return(struct tramp *t, const struct bpf_tramp_links *links, int *jumps)
{
	struct rv_jit_context *ctx = &t->ctx;
	int i, ret;

	/* The first one sees it */
	if (links->nr_links)
		emit_store(t, t->retval, RV_REG_ZERO);

	for (i = 0; i < links->nr_links; i++) {
		ret = emit_prog(t, links->links[i], true);
		if (ret)
			return ret;
		/* A conditional branch may not reach */
		emit_load(t, RV_REG_T1, t->retval);
		emit(rv_beq(RV_REG_T1, RV_REG_ZERO, 8 >> 1), ctx);
		jumps[i] = emit_room(t);
	}

	return 0;
}

static int emit_tramp(struct tramp *t, const struct bpf_tramp_links *links)
{
	const struct bpf_tramp_links *modify = &links[BPF_TRAMP_MODIFY_RETURN];
	int jumps[BPF_MAX_TRAMP_LINKS], i, ret;

	emit_prologue(t);

	if (t->flags & BPF_TRAMP_F_CALL_ORIG) {
		ret = emit_call_with(t, __bpf_tramp_enter, t->im);
		if (ret)
			return ret;
	}

	ret = emit_progs(t, &links[BPF_TRAMP_FENTRY], t->flags & BPF_TRAMP_F_RET_FENTRY_RET);
	if (ret)
		return ret;
	ret = emit_modify_return(t, modify, jumps);
	if (ret)
		return ret;

	if (t->flags & BPF_TRAMP_F_CALL_ORIG) {
		ret = emit_call_func(t);
		if (ret)
			return ret;
	}

	for (i = 0; i < modify->nr_links; i++)
		emit_at(t, jumps[i], rv_jal(RV_REG_ZERO, distance(t, jumps[i]) >> 1));
	ret = emit_progs(t, &links[BPF_TRAMP_FEXIT], false);
	if (ret)
		return ret;

	if (t->flags & BPF_TRAMP_F_CALL_ORIG) {
		if (t->im)
			t->im->ip_epilogue = t->ctx.ro_insns + t->ctx.ninsns;
		ret = emit_call_with(t, __bpf_tramp_exit, t->im);
		if (ret)
			return ret;
	}

	emit_epilogue(t);

	return 0;
}

/* Returns the number of bytes, which are written if @insns is not NULL */
static int make_tramp(struct tramp *t, void *insns, void *image,
		      const struct bpf_tramp_links *links)
{
	int ret;

	t->ctx = (struct rv_jit_context) { .insns = insns, .ro_insns = image };
	ret = emit_tramp(t, links);
	if (ret)
		return ret;

	return round_up(ninsns_rvoff(t->ctx.ninsns), sizeof(u32));
}

static int init_tramp(struct tramp *t, struct bpf_tramp_image *im,
		      const struct btf_func_model *model, u32 flags, void *func)
{
	*t = (struct tramp) {
		.im = im,
		.model = model,
		.flags = flags,
		.func = func,
		.indirect = !(flags & (BPF_TRAMP_F_RESTORE_REGS | BPF_TRAMP_F_SKIP_FRAME)),
		.func_is_bpf = func && is_bpf_text_address((unsigned long)func),
	};
	lay_out(t);

	return flags & BPF_TRAMP_F_CALL_ORIG && !func ? -EINVAL : 0;
}

/**
 * arch_bpf_trampoline_size - how much memory a trampoline needs
 * @m: arguments and return value of the traced function
 * @flags: BPF_TRAMP_F_*
 * @tlinks: programs, for each kind
 * @orig_call: the traced function
 *
 * Return: bytes, enough for arch_prepare_bpf_trampoline(), or an error.
 */
int arch_bpf_trampoline_size(const struct btf_func_model *m, u32 flags,
			     struct bpf_tramp_links *tlinks, void *orig_call)
{
	/*
	 * The address of struct bpf_tramp_image is not known yet. It is loaded
	 * twice, and emit_imm() emits at most eight instructions.
	 */
	const int unknown = flags & BPF_TRAMP_F_CALL_ORIG ? 2 * 8 * sizeof(u32) : 0;
	struct tramp t;
	int ret = init_tramp(&t, NULL, m, flags, orig_call);

	if (ret)
		return ret;
	ret = make_tramp(&t, NULL, NULL, tlinks);

	return ret < 0 ? ret : ret + unknown;
}

/**
 * arch_prepare_bpf_trampoline - make a trampoline
 * @im: where to keep the addresses that bpf_arch_text_poke() changes. %NULL
 *	without %BPF_TRAMP_F_CALL_ORIG
 * @image: where to make it. May be read-only
 * @image_end: first byte behind the memory
 * @m: arguments and return value of the traced function
 * @flags: BPF_TRAMP_F_*. %BPF_TRAMP_F_TAIL_CALL_CTX and %BPF_TRAMP_F_ORIG_STACK
 *	change nothing here: no caller's counter has to be kept, and t0 always
 *	says where the traced function continues
 * @tlinks: programs, for each kind
 * @orig_call: the traced function; %NULL if there is none
 *
 * Return: the number of bytes; -E2BIG if it does not fit; -ERANGE if it does not
 * reach a function; another error.
 */
int arch_prepare_bpf_trampoline(struct bpf_tramp_image *im, void *image, void *image_end,
				const struct btf_func_model *m, u32 flags,
				struct bpf_tramp_links *tlinks, void *orig_call)
{
	struct tramp t;
	void *buffer;
	int ret, size;

	ret = init_tramp(&t, im, m, flags, orig_call);
	if (ret)
		return ret;

	size = make_tramp(&t, NULL, image, tlinks);
	if (size < 0)
		return size;
	if (size > image_end - image)
		return -E2BIG;

	buffer = kvzalloc(size, GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;
	ret = make_tramp(&t, buffer, image, tlinks);
	if (ret >= 0)
		ret = write_text(image, buffer, size) ?: size;
	kvfree(buffer);

	return ret;
}
