// SPDX-License-Identifier: GPL-2.0-only
/*
 * Choose a random virtual address for the kernel.
 *
 * The code runs with the MMU off, before the kernel has relocated itself. It
 * must not use addresses in data, nor symbols of the kernel: see the Makefile.
 */

#include <linux/align.h>
#include <linux/kconfig.h>
#include <linux/libfdt.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/pgtable.h>
#include <linux/siphash.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include <asm/csr.h>
#include <asm/unaligned.h>

#include "kaslr_early.h"

/* The status of the seed CSR: its lower half has 16 random bits */
#define SEED_OPST_MASK	0xc0000000UL
#define SEED_OPST_ES16	0x80000000UL
/* How often to read it: it may need some time between two values */
#define SEED_READS	1000
#define SEED_VALUES	16

/* Find @name among the kernel's options. Return what follows it, or %NULL. */
static const char *find_option(const char *options, const char *name)
{
	size_t len = strlen(name);

	for (;;) {
		while (*options == ' ')
			options++;
		/* What follows "--" is for init */
		if (!*options || !strncmp(options, "-- ", 3))
			return NULL;
		if (!strncmp(options, name, len) && strchr("= ", options[len]))
			return options + len;
		while (*options && *options != ' ')
			options++;
	}
}

/* The same in the whole command line, which early_init_dt_scan_chosen() makes */
static const char *find_in_cmdline(const void *fdt, int chosen, const char *name)
{
	const char *bootargs = NULL, *found;
	int len;

	if (!IS_ENABLED(CONFIG_CMDLINE_FORCE))
		bootargs = fdt_getprop(fdt, chosen, "bootargs", &len);
	if (bootargs && len > 1 && !bootargs[len - 1]) {
		found = find_option(bootargs, name);
		if (found || !IS_ENABLED(CONFIG_CMDLINE_EXTEND))
			return found;
	}

	return find_option(CONFIG_CMDLINE, name);
}

static bool forced_seed(const void *fdt, int chosen, u64 *seed)
{
	const char *p;

	if (!IS_ENABLED(CONFIG_DEBUG_RANDOMIZE_BASE))
		return false;

	p = find_in_cmdline(fdt, chosen, "kaslr_seed");
	if (!p || *p++ != '=')
		return false;

	*seed = 0;
	for (; *p && *p != ' '; p++)
		*seed = *seed << 4 | (*p <= '9' ? *p - '0' : (*p | 0x20) - 'a' + 10);

	return true;
}

/*
 * Hash random bytes that somebody else uses, too. A part of them is the key, so
 * the result does not help to guess them.
 */
static u64 hash_secret(const void *bytes, size_t len)
{
	siphash_key_t key = {{
		get_unaligned_le64(bytes),
		get_unaligned_le64(bytes + sizeof(u64)),
	}};

	return siphash(bytes, len, &key);
}

/*
 * Try to read the seed CSR of Zkr. The access traps if the hart does not have it,
 * or if the firmware has not opened it for the kernel: then nothing is read.
 */
static bool read_seed_csr(unsigned long *value)
{
	unsigned long tvec, done = 0;

	asm volatile("	lla	%[tvec], 1f\n"
		"	csrrw	%[tvec], %[csr_tvec], %[tvec]\n"
		"	csrrw	%[value], %[csr_seed], zero\n"
		"	li	%[done], 1\n"
		"	.balign	4\n"
		"1:	csrw	%[csr_tvec], %[tvec]\n"
		: [tvec] "=&r" (tvec), [value] "=&r" (*value), [done] "+&r" (done)
		: [csr_tvec] "i" (CSR_TVEC), [csr_seed] "i" (CSR_SEED)
		: "memory");

	return done;
}

static bool zkr_seed(u64 *seed)
{
	u16 values[SEED_VALUES];
	unsigned long value;
	int i, nr = 0;

	for (i = 0; i < SEED_READS && nr < SEED_VALUES; i++) {
		if (!read_seed_csr(&value))
			return false;
		if ((value & SEED_OPST_MASK) == SEED_OPST_ES16)
			values[nr++] = value;
	}
	if (nr < SEED_VALUES)
		return false;

	*seed = hash_secret(values, sizeof(values));
	return true;
}

/* Take a seed from the best source that there is */
static enum kaslr_source find_seed(void *fdt, u64 *seed, struct kaslr_choice *choice)
{
	int chosen, len;
	fdt64_t *kaslr;
	const void *rng;

	chosen = fdt_path_offset(fdt, "/chosen");

	if (find_in_cmdline(fdt, chosen, "nokaslr"))
		return KASLR_NOKASLR;
	if (forced_seed(fdt, chosen, seed))
		return KASLR_FORCED;

	kaslr = fdt_getprop_w(fdt, chosen, "kaslr-seed", &len);
	if (kaslr && len == sizeof(*kaslr)) {
		*seed = get_unaligned_be64(kaslr);
		/* User space reads the property in /proc/device-tree */
		put_unaligned(0, kaslr);
		if (*seed)
			return KASLR_KASLR_SEED;
	}
	choice->bad_kaslr_seed = kaslr;

	rng = fdt_getprop(fdt, chosen, "rng-seed", &len);
	if (rng && len >= sizeof(siphash_key_t)) {
		*seed = hash_secret(rng, len);
		return KASLR_RNG_SEED;
	}
	choice->bad_rng_seed = rng;

	return zkr_seed(seed) ? KASLR_ZKR : KASLR_NO_SOURCE;
}

/**
 * kaslr_early_init - choose a virtual address for the kernel
 * @fdt: the device tree. The seed is removed from it.
 * @lowest: the lowest address that the kernel and its window may have, at least
 *	4 GiB from the end of the address space, and aligned to the smaller of
 *	512 GiB and its distance from there
 * @size: size of the kernel's image in memory
 * @choice: what the address is due to
 *
 * The address space from @lowest on has slots of 1 GiB, and the kernel is in one
 * of them. So boot can map it with one PMD table. The modules and BPF programs are
 * in the 2 GiB below the end of the kernel: the first two slots of each 512 GiB are
 * for these only. Then all are in one PUD table. The kernel's address
 * is a multiple of 2 MiB, and its last 2 MiB of the slot stay free: nothing maps
 * the end of the address space.
 *
 * Return: the address, or 0 if the kernel should stay where it is linked.
 */
u64 kaslr_early_init(void *fdt, u64 lowest, u64 size, struct kaslr_choice *choice)
{
	u64 space = -lowest;
	u64 area = min_t(u64, space, PTRS_PER_PUD * PUD_SIZE);
	u64 area_slots = area / PUD_SIZE - SZ_2G / PUD_SIZE;
	u64 image = ALIGN(size, PMD_SIZE);
	u64 seed, places, slot, nr;

	choice->source = find_seed(fdt, &seed, choice);
	if (choice->source == KASLR_NO_SOURCE || choice->source == KASLR_NOKASLR)
		return 0;

	if (image >= PUD_SIZE) {
		choice->source = KASLR_NO_ROOM;
		return 0;
	}

	/* The upper bits of the seed count: the lowest and highest are 0 and ~0 */
	places = (PUD_SIZE - image) / PMD_SIZE;
	nr = mul_u64_u64_shr(seed, space / area * area_slots * places, 64);
	slot = nr / places;

	return lowest + slot / area_slots * area + SZ_2G +
	       slot % area_slots * PUD_SIZE + nr % places * PMD_SIZE;
}
