/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the executable memory allocator share, its tests among
 * them. Everybody else includes <linux/execmem.h>.
 */
#ifndef _MM_EXECMEM_INTERNAL_H
#define _MM_EXECMEM_INTERNAL_H

#include <linux/execmem.h>

int execmem_params_complete(struct execmem_params *params);
void *execmem_range_alloc(const struct execmem_range *range, size_t size,
			  const void *caller);

#endif /* _MM_EXECMEM_INTERNAL_H */
