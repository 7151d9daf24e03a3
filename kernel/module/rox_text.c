// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modules whose core text is never writable.
 *
 * The core text is made in a buffer: sections are copied there, and relocated
 * as if they were at their final address. When it is complete, it is copied to
 * the read-only executable memory that the module has for it. Whatever changes
 * it later, alternatives, jump labels, ftrace and kprobes, patches it there, as
 * it does with the text of the kernel.
 *
 * The init text is protected page by page, as without such memory: it shares
 * an allocation with init data, and does not stay.
 */

#include <linux/elf.h>
#include <linux/execmem.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleloader.h>
#include <linux/vmalloc.h>

#include "internal.h"

/* What execmem_alloc() aligns read-only executable memory to */
#define ROX_ALIGN	64

/**
 * module_choose_text - decide what memory the core text is going to be in
 * @mod: the module, of which nothing is laid out yet
 * @info: its ELF headers
 *
 * A section that wants more than the usual alignment gets whole pages.
 */
void module_choose_text(struct module *mod, const struct load_info *info)
{
	unsigned int i;

	mod->rox_text = execmem_is_rox(EXECMEM_MODULE_TEXT);

	for (i = 1; i < info->hdr->e_shnum; i++) {
		const Elf_Shdr *shdr = &info->sechdrs[i];

		if (shdr->sh_flags & SHF_EXECINSTR && shdr->sh_addralign > ROX_ALIGN)
			mod->rox_text = false;
	}
}

/**
 * module_alloc_text_copy - allocate the buffer that core text is made in
 * @mod: the module
 *
 * Return: 0; -ENOMEM if there is no memory. If the text is not going to be
 * read-only memory there is no buffer.
 */
int module_alloc_text_copy(struct module *mod)
{
	if (!mod->rox_text)
		return 0;

	mod->text_copy = vmalloc(mod->core_layout.size);

	return mod->text_copy ? 0 : -ENOMEM;
}

/**
 * module_free_text_copy - free the buffer that core text was made in
 * @mod: the module; that it has no buffer is fine
 */
void module_free_text_copy(struct module *mod)
{
	vfree(mod->text_copy);
	mod->text_copy = NULL;
}

/**
 * module_writable_address - where to write to a module that is being loaded
 * @mod: the module
 * @loc: an address in it
 *
 * Return: the address in the buffer if @loc is in core text that is made in
 * one; @loc if not.
 */
void *module_writable_address(const struct module *mod, void *loc)
{
	if (!mod->text_copy || loc < mod->core_layout.base ||
	    loc >= mod->core_layout.base + mod->core_layout.size)
		return loc;

	return loc - mod->core_layout.base + mod->text_copy;
}

/**
 * module_final_address - what module_writable_address() was given
 * @mod: the module
 * @loc: what it returned
 *
 * Return: the address that a processor will see.
 */
void *module_final_address(const struct module *mod, void *loc)
{
	if (!mod->text_copy || loc < mod->text_copy ||
	    loc >= mod->text_copy + mod->core_layout.size)
		return loc;

	return loc - mod->text_copy + mod->core_layout.base;
}

/**
 * module_finish_text - put core text where it will be executed
 * @mod: the module, relocated
 *
 * Return: 0, or the error of execmem_update_copy().
 */
int module_finish_text(struct module *mod)
{
	int ret;

	if (!mod->text_copy)
		return 0;

	ret = execmem_update_copy(mod->core_layout.base, mod->text_copy,
				  mod->core_layout.size);
	module_free_text_copy(mod);

	return ret;
}
