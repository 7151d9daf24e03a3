// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modules whose text is never writable.
 *
 * Text is made in a buffer: sections are copied there, and relocated as if they
 * were at their final address. When it is complete, it is copied to the
 * read-only executable memory that the module has for it. Whatever changes it
 * later, alternatives, jump labels, ftrace and kprobes, patches it there, as it
 * does with the text of the kernel.
 *
 * Core text is in mod->core_layout, as that of any module. Init text would share
 * mod->init_layout with init data, and has mod->init_text instead.
 */

#include <linux/elf.h>
#include <linux/execmem.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleloader.h>
#include <linux/vmalloc.h>

#include "internal.h"

/**
 * module_choose_text - decide what memory the text is going to be in
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

		if (shdr->sh_flags & SHF_EXECINSTR && shdr->sh_addralign > EXECMEM_ROX_ALIGN)
			mod->rox_text = false;
	}
}

static int rox_layout_alloc(struct module_layout *text)
{
	if (!text->size)
		return 0;

	text->base = execmem_alloc(EXECMEM_MODULE_TEXT, text->size);
	text->copy = vzalloc(text->size);
	text->text_size = text->size;

	return text->base && text->copy ? 0 : -ENOMEM;
}

/**
 * module_alloc_rox_text - allocate the memory of text, and buffers to make it in
 * @mod: the module, which is laid out
 *
 * Return: 0; -ENOMEM if there is no memory, for module_free_rox_text() to clean
 * up.
 */
int module_alloc_rox_text(struct module *mod)
{
	return rox_layout_alloc(&mod->core_layout) ?: rox_layout_alloc(&mod->init_text);
}

static void free_copies(struct module *mod)
{
	vfree(mod->core_layout.copy);
	mod->core_layout.copy = NULL;
	vfree(mod->init_text.copy);
	mod->init_text.copy = NULL;
}

/**
 * module_free_rox_text - undo module_alloc_rox_text()
 * @mod: the module, with read-only text or not
 *
 * What is in mod->core_layout is for the caller to free, as with all modules.
 */
void module_free_rox_text(struct module *mod)
{
	free_copies(mod);
	execmem_free(mod->init_text.base);
	mod->init_text = (struct module_layout){};
}

/* The text that is made in a buffer and has a byte at an offset from its base */
static bool within_copied(const struct module_layout *text, const void *start,
			  const void *loc)
{
	return text->copy && loc >= start && loc < start + text->size;
}

/**
 * module_writable_address - where to write to a module that is being loaded
 * @mod: the module
 * @loc: an address in it
 *
 * Return: the address in the buffer if @loc is in text that is made in one;
 * @loc if not.
 */
void *module_writable_address(const struct module *mod, void *loc)
{
	const struct module_layout *core = &mod->core_layout, *init = &mod->init_text;

	if (within_copied(core, core->base, loc))
		return loc - core->base + core->copy;
	if (within_copied(init, init->base, loc))
		return loc - init->base + init->copy;

	return loc;
}

static int finish_text(const struct module_layout *text)
{
	return text->copy ? execmem_update_copy(text->base, text->copy, text->size) : 0;
}

/**
 * module_finish_text - put text where it will be executed
 * @mod: the module, relocated
 *
 * Return: 0, or the error of execmem_update_copy().
 */
int module_finish_text(struct module *mod)
{
	int ret = finish_text(&mod->core_layout) ?: finish_text(&mod->init_text);

	free_copies(mod);

	return ret;
}
