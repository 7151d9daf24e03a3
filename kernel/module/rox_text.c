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
 * If a section needs a larger alignment than the memory has, the memory begins in
 * front of the text.
 *
 * Core text is in mod->core_layout, as that of any module. Init text would share
 * mod->init_layout with init data, and has mod->init_text instead.
 */

#include <linux/elf.h>
#include <linux/execmem.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/moduleloader.h>
#include <linux/pgtable.h>
#include <linux/vmalloc.h>

#include "internal.h"

/**
 * module_text_align - the alignment of a module's text
 * @info: its ELF headers
 *
 * Return: the largest alignment of its sections in bytes, %EXECMEM_ROX_ALIGN at
 * least.
 */
unsigned long module_text_align(const struct load_info *info)
{
	unsigned long align = EXECMEM_ROX_ALIGN;
	unsigned int i;

	for (i = 1; i < info->hdr->e_shnum; i++) {
		const Elf_Shdr *shdr = &info->sechdrs[i];

		if (shdr->sh_flags & SHF_EXECINSTR)
			align = max_t(unsigned long, align, shdr->sh_addralign);
	}

	return align;
}

static int rox_layout_alloc(struct module_layout *text, unsigned long align)
{
	if (!text->size)
		return 0;

	/* Text starts at the first multiple of @align in the memory */
	text->size += align - EXECMEM_ROX_ALIGN;
	text->base = execmem_alloc(EXECMEM_MODULE_TEXT, text->size);
	text->copy = vzalloc(text->size);
	text->text_size = text->size;

	return text->base && text->copy ? 0 : -ENOMEM;
}

/**
 * module_alloc_rox_text - allocate the memory of text, and buffers to make it in
 * @mod: the module, which is laid out
 * @align: the alignment of its text, which is more than that of the memory
 *
 * Return: 0; -ENOMEM if there is no memory, or none of this alignment, for
 * module_free_rox_text() to clean up.
 */
int module_alloc_rox_text(struct module *mod, unsigned long align)
{
	if (!is_power_of_2(align) || align > PMD_SIZE)
		return -ENOMEM;

	return rox_layout_alloc(&mod->core_layout, align) ?:
	       rox_layout_alloc(&mod->init_text, align);
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
