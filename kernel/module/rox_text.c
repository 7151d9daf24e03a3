// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modules whose text is never writable.
 *
 * Text is made in a buffer: sections are copied there, and relocated as if they
 * were at their final address. When the text is complete, it is copied to the
 * read-only executable memory that the module has for it. Alternatives, jump
 * labels, ftrace and kprobes, which change it later, patch it in this memory, as
 * they patch the text of the kernel.
 *
 * If a section needs a larger alignment than the memory has, the text starts at
 * the first address in the memory that has this alignment.
 *
 * Core text is in mod->core_layout, as in any module. Init text would share
 * mod->init_layout with init data. It has mod->init_text instead.
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
 * @info: the ELF headers of the module
 *
 * Return: the largest alignment of its executable sections in bytes, but at
 * least %EXECMEM_ROX_ALIGN.
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
 * @align: the alignment of its text, from module_text_align()
 *
 * Return: 0; -ENOMEM if there is no memory, or if text cannot have this
 * alignment. The caller then calls module_free_rox_text().
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
 * @mod: the module; it need not have read-only text
 *
 * The caller frees the memory of mod->core_layout, as with all modules.
 */
void module_free_rox_text(struct module *mod)
{
	free_copies(mod);
	execmem_free(mod->init_text.base);
	mod->init_text = (struct module_layout){};
}

/* Whether @loc is in text that starts at @start and is made in a buffer */
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
