/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _RISCV_KERNEL_PI_KASLR_EARLY_H
#define _RISCV_KERNEL_PI_KASLR_EARLY_H

#include <linux/types.h>

/* What the address of the kernel is due to */
enum kaslr_source {
	KASLR_NO_SOURCE,	/* there is no seed */
	KASLR_NO_ROOM,		/* the image is too large to be moved */
	KASLR_NOKASLR,		/* "nokaslr" on the command line */
	KASLR_FORCED,		/* "kaslr_seed=" on the command line */
	KASLR_KASLR_SEED,	/* /chosen/kaslr-seed */
	KASLR_RNG_SEED,		/* /chosen/rng-seed */
	KASLR_ZKR,		/* the seed CSR */
};

/**
 * struct kaslr_choice - what kaslr_early_init() has found
 * @source: what the address is due to
 * @bad_kaslr_seed: /chosen/kaslr-seed is zero, or does not have 64 bits
 * @bad_rng_seed: /chosen/rng-seed has less than 128 bits
 */
struct kaslr_choice {
	enum kaslr_source source;
	bool bad_kaslr_seed;
	bool bad_rng_seed;
};

/* In kernel/kaslr.c, for its message */
extern struct kaslr_choice kaslr_choice;

u64 kaslr_early_init(void *fdt, u64 lowest, u64 size, struct kaslr_choice *choice);
u64 __pi_kaslr_early_init(void *fdt, u64 lowest, u64 size, struct kaslr_choice *choice);

#endif /* _RISCV_KERNEL_PI_KASLR_EARLY_H */
