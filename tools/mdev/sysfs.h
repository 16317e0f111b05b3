/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Making and removing mdevs through sysfs.
 */
#ifndef MDEV_SYSFS_H
#define MDEV_SYSFS_H

#include <stdbool.h>

#include "background.h"

struct mdev_kind {
	const char *parent;	/* in /sys/class/mdev_bus */
	const char *type;
};

extern const struct mdev_kind serial_kind;
extern const struct mdev_kind display_kind;

/* Long enough for a UUID; the numbers of a run must differ. */
#define UUID_BYTES 40
void mdev_uuid(char *uuid, unsigned int number);

/* Both return 0 or a negative errno. */
int mdev_create(const struct mdev_kind *kind, const char *uuid);
int mdev_remove(const char *uuid);

/*
 * A removal that goes on in a thread of its own: it ends when nobody has the
 * device open any more.
 */
struct removal {
	const char *uuid;
	struct background background;
};

int removal_begin(struct removal *removal, const char *uuid);
/*
 * Waits so long at most; returns whether it has ended. Not to be
 * asked again then.
 */
bool removal_ended(struct removal *removal, unsigned int wait_ms);

#endif
