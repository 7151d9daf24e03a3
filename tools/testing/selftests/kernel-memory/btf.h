/* SPDX-License-Identifier: GPL-2.0-only */
/* The types of the kernel, from its BTF: what it lacks ends the program. */
#ifndef SELFTESTS_KERNEL_MEMORY_BTF_H
#define SELFTESTS_KERNEL_MEMORY_BTF_H

#include <linux/btf.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_BTF	"/sys/kernel/btf/vmlinux"

/* The number of the type of this kind, BTF_KIND_..., and name. @found may be NULL. */
uint32_t btf_find(unsigned int kind, const char *name, const struct btf_type **found);
/* The index of a member of a structure. @offset, which may be NULL, is in bytes. */
uint32_t btf_member(const char *structure, const char *name, size_t *offset);

#endif /* SELFTESTS_KERNEL_MEMORY_BTF_H */
