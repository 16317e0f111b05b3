// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "monitor.h"

#define LINE_BYTES	16384
#define POLL_MS		20

/*
 * One command and its answer, a line each. What comes in between, events and
 * answers to somebody before us, is passed over: an answer repeats our number.
 */
[[gnu::format(printf, 4, 5)]]
static int ask(struct monitor *monitor, char *answer, const char *command,
	       const char *arguments, ...)
{
	unsigned int number = ++monitor->nr_asked;
	char mark[32];
	va_list args;

	snprintf(mark, sizeof(mark), "\"id\": %u}", number);
	va_start(args, arguments);
	dprintf(monitor->fd, "{'id': %u, 'execute': '%s', 'arguments': {",
		number, command);
	vdprintf(monitor->fd, arguments, args);
	dprintf(monitor->fd, "}}\n");
	va_end(args);
	do {
		if (!fgets(answer, LINE_BYTES, monitor->answers))
			return -EPIPE;
	} while (!strstr(answer, mark));
	if (strstr(answer, "\"return\""))
		return 0;
	fprintf(stderr, "the monitor: %s", answer);
	return -EREMOTEIO;
}

int monitor_open(struct monitor *monitor, const char *path)
{
	char answer[LINE_BYTES];
	struct termios mode;

	monitor->fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (monitor->fd < 0 || tcgetattr(monitor->fd, &mode))
		return -errno;
	cfmakeraw(&mode);
	if (tcsetattr(monitor->fd, TCSANOW, &mode))
		return -errno;
	monitor->answers = fdopen(monitor->fd, "r");
	if (!monitor->answers)
		return -errno;
	return ask(monitor, answer, "qmp_capabilities", " ");
}

int monitor_unplug(struct monitor *monitor, const struct plug *plug)
{
	char answer[LINE_BYTES];

	return ask(monitor, answer, "device_del", "'id': '%s'", plug->id);
}

int monitor_plug(struct monitor *monitor, const struct plug *plug)
{
	char answer[LINE_BYTES];

	return ask(monitor, answer, "device_add",
		   "'driver': 'edu', 'id': '%s', 'bus': '%s', 'addr': '%u', 'dma_mask': %llu",
		   plug->id, plug->bus, plug->slot, ~0ULL);
}

bool monitor_gone(struct monitor *monitor, const struct plug *plug,
		  unsigned int wait_ms)
{
	char answer[LINE_BYTES], name[32];
	unsigned int waited_ms;

	snprintf(name, sizeof(name), "\"name\": \"%s\"", plug->id);
	for (waited_ms = 0; ; waited_ms += POLL_MS) {
		if (ask(monitor, answer, "qom-list",
			"'path': '/machine/peripheral'"))
			return false;
		if (!strstr(answer, name))
			return true;
		if (waited_ms >= wait_ms)
			return false;
		usleep(POLL_MS * 1000);
	}
}
