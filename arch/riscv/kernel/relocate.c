// SPDX-License-Identifier: GPL-2.0-only
/*
 * Move the kernel to another virtual address than the one it is linked at.
 *
 * The code here runs with the MMU off. So it has PC-relative addresses only,
 * and the compiler must not add calls to it: see the Makefile.
 */

#include <linux/align.h>
#include <linux/elf.h>
#include <linux/init.h>
#include <linux/pgtable.h>

#include <asm/kaslr.h>
#include <asm/unaligned.h>

#include "pi/kaslr_early.h"
#include "relocate.h"

/* Made by the linker */
extern const struct elf64_rela __rela_dyn_start[], __rela_dyn_end[];

/*
 * Write the addresses that data contains. All relocations are R_RISCV_RELATIVE:
 * tools/relocs_check.sh fails the build if one is not.
 */
static void __init apply_relocations(void)
{
	unsigned long link_to_phys = kernel_map.phys_addr - KERNEL_LINK_ADDR;
	const struct elf64_rela *rela;

	for (rela = __rela_dyn_start; rela < __rela_dyn_end; rela++) {
		u64 *place = (u64 *)(rela->r_offset + link_to_phys);
		u64 value = rela->r_addend + kaslr_offset();

		/* The entries of .alternative are packed */
		if (IS_ALIGNED((unsigned long)place, sizeof(u64)))
			*place = value;
		else
			put_unaligned(value, place);
	}
}

/*
 * The kernel and its window of modules and BPF programs can be anywhere above the
 * direct map, but KASAN has its shadow there: that leaves the last 4 GiB.
 */
static void __init choose_address(void *fdt)
{
	unsigned long lowest = PAGE_OFFSET + KERN_VIRT_SIZE;
	unsigned long address;

	if (IS_ENABLED(CONFIG_KASAN))
		lowest = MODULES_LOWEST_VADDR;

	address = __pi_kaslr_early_init(fdt, lowest, kernel_map.size, &kaslr_choice);
	if (address)
		kernel_map.virt_addr = address;
}

/**
 * relocate_kernel - make the kernel fit for its virtual address
 * @dtb_pa: physical address of the device tree
 *
 * Until then no absolute address in the kernel's data may be used, not even one
 * that is converted to a physical address: the data has none before.
 *
 * Context: boot hart, MMU off. kernel_map.virt_addr is the address that the
 * kernel is linked at; kernel_map.phys_addr and the paging mode are known.
 */
void __init relocate_kernel(uintptr_t dtb_pa)
{
	if (IS_ENABLED(CONFIG_RANDOMIZE_BASE))
		choose_address((void *)dtb_pa);
	apply_relocations();
}
