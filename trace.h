/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: what a person switches on to see why a command was refused.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iommufd

#if !defined(__IOMMUFD_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define __IOMMUFD_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(iommufd_refused,
	TP_PROTO(const struct refusal *refusal),
	TP_ARGS(refusal),
	TP_STRUCT__entry(
		__string(command, refusal->command)
		__string(reason, refusal->reason)
		__field(int, error)
		__field(u64, operand0)
		__field(u64, operand1)
	),
	TP_fast_assign(
		__assign_str(command);
		__assign_str(reason);
		__entry->error = refusal->error;
		__entry->operand0 = refusal->operands[0];
		__entry->operand1 = refusal->operands[1];
	),
	TP_printk("%s: error %d: %s (0x%llx, 0x%llx)", __get_str(command),
		  __entry->error, __get_str(reason), __entry->operand0,
		  __entry->operand1)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../drivers/iommu/iommufd
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
