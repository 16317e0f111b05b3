/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The emulator's monitor (QMP), at the end of a serial line: devices come and go
 * by asking it. Functions return 0 or a negative errno.
 */
#ifndef GROUPS_MONITOR_H
#define GROUPS_MONITOR_H

#include <stdbool.h>
#include <stdio.h>

struct monitor {
	int fd;
	FILE *answers;
	unsigned int nr_asked;
};

/* Where an edu is plugged in, and the name that the emulator has for it. */
struct plug {
	char id[16];
	char bus[16];
	unsigned int slot;
};

int monitor_open(struct monitor *monitor, const char *path);
/* Press the button: the guest has to let go of the device before it is gone. */
int monitor_unplug(struct monitor *monitor, const struct plug *plug);
int monitor_plug(struct monitor *monitor, const struct plug *plug);
/* Waits so long at most for it to be gone. */
bool monitor_gone(struct monitor *monitor, const struct plug *plug,
		  unsigned int wait_ms);

#endif
