// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sysfs.h"

const struct mdev_kind serial_kind = { "mtty", "mtty-2" };
const struct mdev_kind display_kind = { "mbochs", "mbochs-small" };

void mdev_uuid(char *uuid, unsigned int number)
{
	snprintf(uuid, UUID_BYTES, "6d646576-0000-4000-8000-%012x", number);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

int mdev_create(const struct mdev_kind *kind, const char *uuid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path),
		 "/sys/class/mdev_bus/%s/mdev_supported_types/%s/create",
		 kind->parent, kind->type);
	return write_file(path, uuid);
}

int mdev_remove(const char *uuid)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/mdev/devices/%s/remove", uuid);
	return write_file(path, "1");
}

static void *remove_in_thread(void *argument)
{
	struct removal *removal = argument;

	removal->error = mdev_remove(removal->uuid);
	return NULL;
}

int removal_begin(struct removal *removal, const char *uuid)
{
	removal->uuid = uuid;
	removal->error = -EINPROGRESS;
	return -pthread_create(&removal->thread, NULL, remove_in_thread,
			       removal);
}

bool removal_ended(struct removal *removal, unsigned int wait_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (wait_ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	return !pthread_timedjoin_np(removal->thread, NULL, &until);
}
