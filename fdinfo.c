// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a person looks at: /proc/<pid>/fdinfo/<fd> and the tracepoint.
 *
 * A place that refuses says why with iommufd_refuse(); the road back to user
 * space adds which command it was with iommufd_refused(). The latest refusal
 * of a context is kept, and each one is traced.
 */
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "iommufd_private.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/**
 * iommufd_refuse() - say why a command is refused
 * @ctx: the context
 * @error: the errno, negative
 * @reason: a string constant
 * @operand0: a number that the reason is about
 * @operand1: another one
 *
 * Return: @error.
 * Context: Any context.
 */
int iommufd_refuse(struct iommufd_ctx *ctx, int error, const char *reason,
		   u64 operand0, u64 operand1)
{
	guard(spinlock)(&ctx->refusal_lock);
	ctx->refusal = (struct refusal){
		.reason = reason,
		.operands = { operand0, operand1 },
		.pid = task_pid_nr(current),
		.error = error,
	};
	return error;
}

/**
 * iommufd_refused() - say which command was refused
 * @ctx: the context
 * @command: its name, a string constant
 * @error: the errno, negative
 *
 * Context: Any context.
 */
void iommufd_refused(struct iommufd_ctx *ctx, const char *command, int error)
{
	struct refusal refusal;

	scoped_guard(spinlock, &ctx->refusal_lock) {
		struct refusal *last = &ctx->refusal;

		/* Nobody on the way gave a reason: the errno says it all. */
		if (last->command || last->error != error ||
		    last->pid != task_pid_nr(current))
			*last = (struct refusal){
				.reason = "see the errno",
				.pid = task_pid_nr(current),
				.error = error,
			};
		last->command = command;
		refusal = *last;
	}
	trace_iommufd_refused(&refusal);
}

static void show_objects(struct seq_file *m, struct iommufd_ctx *ctx)
{
	unsigned int type;

	for (type = 0; type < IOMMUFD_OBJ_MAX; type++) {
		int nr = atomic_read(&ctx->nr_objects[type]);

		if (nr)
			seq_printf(m, "objects-%s:\t%d\n",
				   iommufd_object_name(type), nr);
	}
}

/**
 * iommufd_show_fdinfo() - the lines of iommufd in fdinfo
 * @m: where they go
 * @file: an open /dev/iommu
 *
 * Context: May sleep.
 */
void iommufd_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct iommufd_ctx *ctx = file->private_data;
	struct refusal refusal;

	show_objects(m, ctx);
	seq_printf(m, "account-mode:\t%s\n",
		   READ_ONCE(ctx->account_mode) == ACCOUNT_MM ? "mm" : "user");
	seq_printf(m, "pinned-pages:\t%ld\n",
		   atomic_long_read(&ctx->nr_pinned));
	seq_printf(m, "charged-pages:\t%ld\n",
		   atomic_long_read(&ctx->nr_charged));
	seq_printf(m, "revoked-areas:\t%ld\n",
		   atomic_long_read(&ctx->nr_blocked));
	scoped_guard(spinlock, &ctx->refusal_lock)
		refusal = ctx->refusal;
	if (refusal.command)
		seq_printf(m, "last-refusal:\t%s: error %d: %s (0x%llx, 0x%llx)\n",
			   refusal.command, refusal.error, refusal.reason,
			   refusal.operands[0], refusal.operands[1]);
}
