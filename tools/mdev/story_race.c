// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of several threads at once. Which of them comes first is open, so
 * each has a set of answers that are right; what must hold is that nothing else
 * is answered, nothing hangs, and nothing is left over.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "iommufd.h"
#include "mdev.h"

#define RACE_MS		2500
#define NR_SPACES	2

struct race {
	struct story *story;
	atomic_uint ioas_id[NR_SPACES];
	atomic_bool stop;
	atomic_long nr_commands;
	/* The first answer that was wrong. */
	atomic_bool wrong;
	char what[80];
};

static void check(struct race *race, const char *what, int answer,
		  const int *right)
{
	atomic_fetch_add(&race->nr_commands, 1);
	for (; *right; right++)
		if (answer == *right)
			return;
	if (!answer || atomic_exchange(&race->wrong, true))
		return;
	snprintf(race->what, sizeof(race->what), "%s: %s", what,
		 error_name(answer));
}

#define CHECK(race, what, answer, ...)                                         \
	check(race, what, answer, (const int[]){ __VA_ARGS__ })

static void *moves(void *argument)
{
	struct race *race = argument;
	struct vfio_device *device = &race->story->serial.device;
	unsigned int i;

	for (i = 0; !race->stop; i++) {
		CHECK(race, "attach",
		      vfio_attach(device, race->ioas_id[i % NR_SPACES]),
		      -ENOENT, 0);
		if (i % 3 == 2)
			CHECK(race, "detach", vfio_detach(device), 0);
	}
	return NULL;
}

static void *maps(void *argument)
{
	struct race *race = argument;
	const int iommufd = race->story->iommufd;
	unsigned int i;

	for (i = 0; !race->stop; i++) {
		__u32 id = race->ioas_id[i % NR_SPACES];
		__u32 other_id = race->ioas_id[(i + 1) % NR_SPACES];

		CHECK(race, "map",
		      ioas_map_at(iommufd, id, race->story->memory,
				  MEMORY_BYTES, MEMORY_IOVA, DMA_READ_WRITE),
		      -ENOENT, -EEXIST, 0);
		CHECK(race, "copy",
		      ioas_copy_at(iommufd, other_id, MEMORY_IOVA, id,
				   MEMORY_IOVA, PAGE_BYTES, DMA_READ_WRITE),
		      -ENOENT, -EEXIST, 0);
		CHECK(race, "unmap", ioas_unmap_everything(iommufd, id),
		      -ENOENT, 0);
	}
	return NULL;
}

static void *destroys(void *argument)
{
	struct race *race = argument;
	const int iommufd = race->story->iommufd;
	unsigned int i;
	__u32 id;

	for (i = 0; !race->stop; i++) {
		int answer = iommufd_destroy(iommufd,
					     race->ioas_id[i % NR_SPACES]);

		CHECK(race, "destroy", answer, -EBUSY, 0);
		if (answer)
			continue;
		CHECK(race, "alloc", ioas_alloc(iommufd, &id), 0);
		race->ioas_id[i % NR_SPACES] = id;
	}
	return NULL;
}

static void *echoes(void *argument)
{
	struct race *race = argument;

	while (!race->stop)
		CHECK(race, "the serial port",
		      serial_echo(&race->story->serial, 0, "racing"), 0);
	return NULL;
}

static int run_threads(struct race *race)
{
	void *(* const bodies[])(void *) = {
		moves, maps, maps, destroys, echoes,
	};
	pthread_t threads[ARRAY_SIZE(bodies)];
	unsigned int nr;
	int error = 0;

	for (nr = 0; !error && nr < ARRAY_SIZE(bodies); nr++)
		error = -pthread_create(&threads[nr], NULL, bodies[nr], race);
	usleep(RACE_MS * 1000);
	race->stop = true;
	while (nr--)
		pthread_join(threads[nr], NULL);
	return error;
}

bool story_race(struct story *story)
{
	struct race race = { .story = story };
	__u32 id;
	int error;

	race.ioas_id[0] = story->ioas_id;
	error = serial_reset_port(&story->serial, 0);
	if (!error)
		error = ioas_alloc(story->iommufd, &id);
	if (error)
		return failed("%s", error_name(error));
	race.ioas_id[1] = id;
	error = run_threads(&race);
	if (error || race.wrong)
		return failed("%s", race.wrong ? race.what : error_name(error));

	error = vfio_attach(&story->serial.device, race.ioas_id[0]);
	if (!error)
		error = ioas_unmap_everything(story->iommufd, race.ioas_id[0]);
	if (!error)
		error = iommufd_destroy(story->iommufd, race.ioas_id[1]);
	if (error)
		return failed("afterwards: %s", error_name(error));
	story->ioas_id = race.ioas_id[0];
	if (!at_rest(story, story->iommufd, 2, "afterwards"))
		return false;
	return held("%ld commands of five threads: attach, map, copy, unmap, destroy, registers",
		    race.nr_commands);
}
