/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A module of FUNCTIONS functions, to measure the loading of a large module.
 * The functions are never executed. Each calls two kernel functions and the
 * next function, and has the address of a variable, by HI20 and LO12, and its
 * own address, by the GOT. A simple loader looks these up again and again.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/stringify.h>

/* A later kernel has no GOT for modules unless the kernel itself is relocatable. */
#ifdef CONFIG_MODULE_SECTIONS
#define OWN_ADDRESS	".option push\n"			\
			".option pic\n"			\
			"la a1, functions_\\this\n"	\
			".option pop\n"
#else
#define OWN_ADDRESS	""
#endif

asm(".pushsection .data\n"
	"functions_data: .fill 16\n"
	".popsection\n"
	".pushsection .text\n"
	".altmacro\n"
	".macro one_function this, next\n"
	".type functions_\\this, @function\n"
	"functions_\\this:\n"
	"call strlen\n"
	"call strcmp\n"
	"call functions_\\next\n"
	"lla a0, functions_data\n"
	OWN_ADDRESS
	"ret\n"
	".size functions_\\this, . - functions_\\this\n"
	".endm\n"
	".set functions_nr, 0\n"
	".rept " __stringify(FUNCTIONS) "\n"
	"one_function %functions_nr, %(functions_nr + 1)\n"
	".set functions_nr, functions_nr + 1\n"
	".endr\n"
	"functions_" __stringify(FUNCTIONS) ":\n"
	"ret\n"
	".noaltmacro\n"
	".popsection\n");

static int __init functions_init(void)
{
	return 0;
}
module_init(functions_init);

static void __exit functions_exit(void)
{
}
module_exit(functions_exit);

MODULE_DESCRIPTION("Functions that are loaded and never called");
MODULE_LICENSE("GPL");
