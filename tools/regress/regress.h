/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The steps. Each is named after rows of the list of lessons, gets a context with
 * two devices bound that are not attached, and returns whether it held.
 */
#ifndef REGRESS_REGRESS_H
#define REGRESS_REGRESS_H

#include "context.h"
#include "report.h"

/* What user space can write into a command: story_arguments.c */
bool story_rlimit_mode(struct context *context);
bool story_wraps(struct context *context);
bool story_lengths(struct context *context);
bool story_counts(struct context *context);
bool story_replies(struct context *context);
bool story_empty(struct context *context);
bool story_contradictions(struct context *context);
bool story_top_of_space(struct context *context);

/* Random commands against a model: story_model.c */
bool story_model_user(struct context *context);
bool story_model_process(struct context *context);

/* Commands that wait for user memory, and what must not: story_blocked.c */
bool story_map_blocked(struct context *context);
bool story_map_blocked_device_leaves(struct context *context);
bool story_map_killed(struct context *context);
bool story_attach_blocked(struct context *context);
bool story_attach_killed(struct context *context);
bool story_destroy_waits(struct context *context);
bool story_reply_blocked(struct context *context);
bool story_unmap_killed(struct context *context);
bool story_dirty_blocked(struct context *context);

/* What a device makes the kernel hold: story_faults.c */
bool story_faults_are_charged(struct context *context);

/* Several threads and processes at once: story_race.c */
bool story_two_destroys(struct context *context);
bool story_destroy_or_attach(struct context *context);
bool story_destroy_busy(struct context *context);
bool story_everything_at_once(struct context *context);
bool story_unmap_against_map(struct context *context);
bool story_processes_die(struct context *context);
bool story_huge_unmap(struct context *context);

#endif
