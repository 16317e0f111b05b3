// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "background.h"

static void *run_in_thread(void *argument)
{
	struct background *background = argument;

	background->answer = background->run(background->argument);
	return NULL;
}

int background_begin(struct background *background,
		     int (*run)(void *argument), void *argument)
{
	background->run = run;
	background->argument = argument;
	background->answer = -EINPROGRESS;
	return -pthread_create(&background->thread, NULL, run_in_thread,
			       background);
}

bool background_ended(struct background *background, unsigned int wait_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (wait_ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	return !pthread_timedjoin_np(background->thread, NULL, &until);
}

pid_t child_begin(int (*run)(void *argument), void *argument)
{
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run(argument) ? 1 : 0);
	}
	return child;
}

bool child_ended(pid_t child, unsigned int wait_ms, int *status)
{
	unsigned int waited_ms = 0;

	while (waitpid(child, status, WNOHANG) != child) {
		if (waited_ms++ >= wait_ms)
			return false;
		usleep(1000);
	}
	return true;
}

bool child_kill(pid_t child)
{
	int status;

	kill(child, SIGKILL);
	return child_ended(child, SURELY_ENDED_MS, &status) &&
	       WIFSIGNALED(status);
}
