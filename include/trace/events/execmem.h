/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM execmem

#if !defined(_TRACE_EXECMEM_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_EXECMEM_H

#include <linux/execmem.h>
#include <linux/tracepoint.h>

TRACE_DEFINE_ENUM(EXECMEM_MODULE_TEXT);
TRACE_DEFINE_ENUM(EXECMEM_MODULE_DATA);
TRACE_DEFINE_ENUM(EXECMEM_KPROBES);
TRACE_DEFINE_ENUM(EXECMEM_FTRACE);
TRACE_DEFINE_ENUM(EXECMEM_BPF);

#define show_execmem_type(type)						\
	__print_symbolic(type,						\
			 { EXECMEM_MODULE_TEXT,	"module-text" },	\
			 { EXECMEM_MODULE_DATA,	"module-data" },	\
			 { EXECMEM_KPROBES,	"kprobes" },		\
			 { EXECMEM_FTRACE,	"ftrace" },		\
			 { EXECMEM_BPF,		"bpf" })

DECLARE_EVENT_CLASS(execmem,

	TP_PROTO(enum execmem_type type, size_t size, const void *ptr,
		 const void *caller),

	TP_ARGS(type, size, ptr, caller),

	TP_STRUCT__entry(
		__field(int,		type)
		__field(size_t,		size)
		__field(const void *,	ptr)
		__field(const void *,	caller)
	),

	TP_fast_assign(
		__entry->type	= type;
		__entry->size	= size;
		__entry->ptr	= ptr;
		__entry->caller	= caller;
	),

	TP_printk("type=%s size=%zu addr=%p caller=%pS",
		  show_execmem_type(__entry->type), __entry->size,
		  __entry->ptr, __entry->caller)
);

/* @size is what was asked for; @ptr is NULL if it was refused */
DEFINE_EVENT(execmem, execmem_alloc,

	TP_PROTO(enum execmem_type type, size_t size, const void *ptr,
		 const void *caller),
	TP_ARGS(type, size, ptr, caller));

/* @size is what was asked for when it was allocated; @caller frees it */
DEFINE_EVENT(execmem, execmem_free,

	TP_PROTO(enum execmem_type type, size_t size, const void *ptr,
		 const void *caller),
	TP_ARGS(type, size, ptr, caller));

#endif /* _TRACE_EXECMEM_H */

#include <trace/define_trace.h>
