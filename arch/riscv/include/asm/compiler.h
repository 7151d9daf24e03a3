/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_RISCV_COMPILER_H
#define _ASM_RISCV_COMPILER_H

/*
 * The function tracer needs aligned functions, see kernel/ftrace_site.c. This
 * compiler would not align cold ones.
 */
#ifdef CONFIG_DYNAMIC_FTRACE
#undef __cold
#define __cold
#endif

#endif /* _ASM_RISCV_COMPILER_H */
