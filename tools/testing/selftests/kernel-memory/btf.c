// SPDX-License-Identifier: GPL-2.0-only
/* The types of the kernel, from its BTF */
#include <string.h>

#include "btf.h"
#include "common.h"

static char *kernel_btf;
static size_t kernel_btf_size;

/* The number of bytes that follow a type in BTF, by the kind of type */
static size_t btf_more(const struct btf_type *type)
{
	const size_t nr = BTF_INFO_VLEN(type->info);

	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return sizeof(uint32_t);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return nr * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return nr * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return nr * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return nr * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return nr * sizeof(struct btf_var_secinfo);
	default:
		return 0;
	}
}

static const char *btf_name(uint32_t offset)
{
	const struct btf_header *header = (const void *)kernel_btf;

	return kernel_btf + header->hdr_len + header->str_off + offset;
}

uint32_t btf_find(unsigned int kind, const char *name, const struct btf_type **found)
{
	const struct btf_header *header;
	const struct btf_type *type;
	uint32_t id = 1;
	const char *types;
	size_t at;

	if (!kernel_btf)
		kernel_btf = read_bytes(KERNEL_BTF, &kernel_btf_size);
	header = (const void *)kernel_btf;
	types = kernel_btf + header->hdr_len + header->type_off;
	for (at = 0; at < header->type_len; id++) {
		type = (const void *)(types + at);
		at += sizeof(*type) + btf_more(type);
		if (BTF_INFO_KIND(type->info) == kind && !strcmp(btf_name(type->name_off), name)) {
			if (found)
				*found = type;
			return id;
		}
	}
	die("the kernel's BTF has no %s", name);
}

uint32_t btf_member(const char *structure, const char *name, size_t *offset)
{
	const struct btf_member *members;
	const struct btf_type *type;
	uint32_t i;

	btf_find(BTF_KIND_STRUCT, structure, &type);
	members = (const void *)(type + 1);
	for (i = 0; i < BTF_INFO_VLEN(type->info); i++) {
		if (!strcmp(btf_name(members[i].name_off), name)) {
			if (offset)
				*offset = members[i].offset / 8;
			return i;
		}
	}
	die("struct %s has no member %s", structure, name);
}
