/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _RISCV_MM_KASAN_HOTPLUG_H
#define _RISCV_MM_KASAN_HOTPLUG_H

#include <linux/types.h>

#ifdef CONFIG_KASAN
unsigned int kasan_hotplug_init(const void *start, const void *end);
int kasan_hotplug_prepare(const void *start, size_t size);
#else
static inline unsigned int kasan_hotplug_init(const void *start, const void *end)
{
	return 0;
}

static inline int kasan_hotplug_prepare(const void *start, size_t size)
{
	return 0;
}
#endif

#endif /* _RISCV_MM_KASAN_HOTPLUG_H */
