// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sysfs.h"
#include "word.h"

const struct mdev_kind serial_kind = { "mtty", "mtty-2" };
const struct mdev_kind display_kind = { "mbochs", "mbochs-small" };

void mdev_uuid(char *uuid, unsigned int number)
{
	snprintf(uuid, UUID_BYTES, "6d646576-0000-4000-8000-%012x", number);
}

int mdev_create(const struct mdev_kind *kind, const char *uuid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path),
		 "/sys/class/mdev_bus/%s/mdev_supported_types/%s/create",
		 kind->parent, kind->type);
	return write_word(path, uuid);
}

int mdev_remove(const char *uuid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/remove", uuid);
	return write_word(path, "1");
}

static int remove_uuid(void *argument)
{
	struct removal *removal = argument;

	return mdev_remove(removal->uuid);
}

int removal_begin(struct removal *removal, const char *uuid)
{
	removal->uuid = uuid;
	return background_begin(&removal->background, remove_uuid, removal);
}

bool removal_ended(struct removal *removal, unsigned int wait_ms)
{
	return background_ended(&removal->background, wait_ms);
}
