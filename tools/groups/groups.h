/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The steps. Each gets a context with all engines bound that are not attached,
 * and returns whether it held. A number is that of a lesson.
 */
#ifndef GROUPS_GROUPS_H
#define GROUPS_GROUPS_H

#include "group.h"
#include "report.h"

/* A group moves as one: story_attach.c */
bool story_bind(struct group *group);
bool story_owner(struct group *group);
bool story_attach(struct group *group);
bool story_refused(struct group *group);
bool story_replace(struct group *group);
bool story_replace_fails(struct group *group);
bool story_first_leaves(struct group *group);
bool story_reserved(struct group *group);

/* Devices and drivers that go away: story_unplug.c */
bool story_removed(struct group *group);
bool story_removed_is_blocked(struct group *group);
bool story_unplug(struct group *group);
bool story_unplug_map(struct group *group);
bool story_unplug_attach(struct group *group);
bool story_unplug_replace_killed(struct group *group);
bool story_unplug_dma_killed(struct group *group);
bool story_unbind_map(struct group *group);
bool story_unbind_attach(struct group *group);

/* A thousand of all that: story_rounds.c */
bool story_rounds(struct group *group);

#endif
