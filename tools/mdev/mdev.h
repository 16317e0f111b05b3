/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the steps share, and the steps.
 */
#ifndef MDEV_MDEV_H
#define MDEV_MDEV_H

#include <stdbool.h>
#include <linux/types.h>

#include "observe.h"
#include "background.h"
#include "pattern.h"
#include "report.h"
#include "serial.h"
#include "sysfs.h"

#define MEMORY_BYTES	(4 * MIB)
#define MEMORY_IOVA	(16 * MIB)

struct story {
	int iommufd;
	char uuid[UUID_BYTES];
	struct serial serial;
	__u32 ioas_id;
	char *memory;
	long pinned_pages_before;
	unsigned int nr_uuids;
};

/* A device that has not been opened. */
struct vfio_device mdev_device(const char *uuid);

/*
 * Whether nothing is pinned or charged, and the context has so many objects;
 * a verdict is given if not.
 */
bool at_rest(struct story *story, int iommufd, long nr_objects,
	     const char *when);

/* Each step returns whether it held. The serial card: story_serial.c */
bool story_create(struct story *story);
bool story_bind(struct story *story);
bool story_bind_twice(struct story *story);
bool story_registers(struct story *story);
bool story_data(struct story *story);
bool story_interrupt(struct story *story);

/* Its address space: story_space.c */
bool story_attach(struct story *story);
bool story_alignment(struct story *story);
bool story_map(struct story *story);
bool story_replace(struct story *story);
bool story_refusals(struct story *story);
bool story_busy(struct story *story);

/* Several threads at once: story_race.c */
bool story_race(struct story *story);

/* How it ends: story_end.c */
bool story_close_attached(struct story *story);
bool story_context_first(struct story *story);
bool story_mapped_registers(struct story *story);
bool story_remove_in_use(struct story *story);
bool story_remove_opened(struct story *story);
bool story_killed(struct story *story);
bool story_rounds(struct story *story);
bool story_all_returned(struct story *story);

#endif
