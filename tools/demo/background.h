/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Commands that may wait: in a thread that is asked whether it has ended, or in
 * a process that can be killed.
 */
#ifndef DEMO_BACKGROUND_H
#define DEMO_BACKGROUND_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

/* How long what must end may take, and how soon what must wait would end. */
#define SURELY_ENDED_MS	20000
#define SURELY_WAITING_MS 200

struct background {
	int (*run)(void *argument);
	void *argument;
	pthread_t thread;
	int answer;		/* of @run, once it has ended */
};

int background_begin(struct background *background,
		     int (*run)(void *argument), void *argument);
/* Waits so long at most. When it has ended it is not to be asked again. */
bool background_ended(struct background *background, unsigned int wait_ms);

/* A process that ends with status 0 if @run returns 0. */
pid_t child_begin(int (*run)(void *argument), void *argument);
/* Waits so long at most; the same. */
bool child_ended(pid_t child, unsigned int wait_ms, int *status);
/* Kill it; whether that was the end of it. */
bool child_kill(pid_t child);

#endif
