/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tracepoint in a module.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM module_features

#if !defined(_MODULE_FEATURES_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _MODULE_FEATURES_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(module_features_hit,
	TP_PROTO(int value),
	TP_ARGS(value),
	TP_STRUCT__entry(__field(int, value)),
	TP_fast_assign(__entry->value = value;),
	TP_printk("value=%d", __entry->value)
);

#endif /* _MODULE_FEATURES_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE module_features_trace
#include <trace/define_trace.h>
