// SPDX-License-Identifier: GPL-2.0
/*
 * Several threads and processes at once. Which of them comes first is open, so
 * each command has a set of answers that are right; what must hold is that
 * nothing else is answered, nothing hangs, and nothing is left over.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "background.h"
#include "iommufd.h"
#include "observe.h"
#include "regress.h"

#define RACE_MS		3000
#define NR_SPACES	2
#define MEMORY_PAGES	64UL
#define MEMORY_BYTES	(MEMORY_PAGES * PAGE_BYTES)

struct race {
	struct context *context;
	int iommufd;
	char *memory;
	atomic_uint ioas_id[NR_SPACES];
	atomic_uint hwpt_id;
	atomic_uint device_id;		/* of the second device */
	atomic_bool stop;
	atomic_long nr_commands;
	atomic_bool wrong;
	char what[96];			/* the first answer that was wrong */
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

/* Success is right, and so are the errors given. */
#define CHECK(race, what, answer, ...)                                         \
	check(race, what, answer, (const int[]){ __VA_ARGS__ })

typedef void *(*thread_body)(void *argument);

static int run_threads(struct race *race, const thread_body *bodies, size_t nr)
{
	pthread_t threads[16];
	size_t begun;
	int error = 0;

	for (begun = 0; !error && begun < nr; begun++)
		error = -pthread_create(&threads[begun], NULL, bodies[begun],
					race);
	if (!error)
		usleep(RACE_MS * 1000);
	race->stop = true;
	while (begun--)
		pthread_join(threads[begun], NULL);
	return error;
}

/* Two at one id ------------------------------------------------------------- */

#define NR_DUELS 400

struct duel {
	struct context *context;
	pthread_barrier_t barrier;
	atomic_uint id;
	atomic_bool stop;
	int (*seconds[2])(struct duel *duel);
	int answers[2];
};

struct duellist {
	struct duel *duel;
	unsigned int number;
};

static void *fight(void *argument)
{
	struct duellist *duellist = argument;
	struct duel *duel = duellist->duel;
	const unsigned int number = duellist->number;

	for (;;) {
		pthread_barrier_wait(&duel->barrier);
		if (duel->stop)
			return NULL;
		duel->answers[number] = duel->seconds[number](duel);
		pthread_barrier_wait(&duel->barrier);
	}
}

static int destroy_id(struct duel *duel)
{
	return iommufd_destroy(duel->context->iommufd, duel->id);
}

static int attach_to_id(struct duel *duel)
{
	return vfio_attach(&duel->context->device[0], duel->id);
}

/* Commands that hold the object for a moment, all the time. */
static void *look(void *argument)
{
	struct duel *duel = argument;
	struct iova_ranges ranges;

	while (!duel->stop)
		ioas_iova_ranges(duel->context->iommufd, duel->id, &ranges);
	return NULL;
}

/* Each round calls @begin, lets both loose, and calls @judge. */
static bool rounds(struct duel *duel, unsigned int nr_rounds,
		   int (*begin)(struct duel *duel),
		   bool (*judge)(struct duel *duel))
{
	bool good = true;
	unsigned int i;
	int error;

	for (i = 0; good && i < nr_rounds; i++) {
		error = begin(duel);
		if (error)
			return failed("round %u: %s", i, error_name(error));
		pthread_barrier_wait(&duel->barrier);
		pthread_barrier_wait(&duel->barrier);
		good = judge(duel);
	}
	return good;
}

static bool play_duel(struct duel *duel, unsigned int nr_rounds,
		      int (*begin)(struct duel *duel),
		      bool (*judge)(struct duel *duel))
{
	struct duellist duellists[2] = { { duel, 0 }, { duel, 1 } };
	pthread_t threads[3];
	bool good;

	pthread_barrier_init(&duel->barrier, NULL, 3);
	if (pthread_create(&threads[0], NULL, fight, &duellists[0]) ||
	    pthread_create(&threads[1], NULL, fight, &duellists[1]) ||
	    pthread_create(&threads[2], NULL, look, duel))
		return failed("no threads");
	good = rounds(duel, nr_rounds, begin, judge);
	duel->stop = true;
	pthread_barrier_wait(&duel->barrier);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	pthread_join(threads[2], NULL);
	pthread_barrier_destroy(&duel->barrier);
	return good;
}

static int new_ioas(struct duel *duel)
{
	__u32 id;
	int error = ioas_alloc(duel->context->iommufd, &id);

	duel->id = error ? 0 : id;
	return error;
}

static bool one_succeeds(struct duel *duel)
{
	const int *answers = duel->answers;

	if ((answers[0] == 0 && answers[1] == -ENOENT) ||
	    (answers[1] == 0 && answers[0] == -ENOENT))
		return true;
	return failed("two DESTROYs of one id: %s and %s, want success and ENOENT",
		      error_name(answers[0]), error_name(answers[1]));
}

bool story_two_destroys(struct context *context)
{
	struct duel duel = {
		.context = context,
		.seconds = { destroy_id, destroy_id },
	};
	long nr_objects = fdinfo_objects(context->iommufd);

	if (!play_duel(&duel, NR_DUELS, new_ioas, one_succeeds))
		return false;
	if (fdinfo_objects(context->iommufd) != nr_objects)
		return failed("%ld objects, want %ld as before",
			      fdinfo_objects(context->iommufd), nr_objects);
	return held("%d times two DESTROYs of an id in use: one succeeds, one is ENOENT",
		    NR_DUELS);
}

#define NR_ATTACH_DUELS 60

static __u32 duel_ioas_id;

static int new_hwpt(struct duel *duel)
{
	__u32 id;
	int error = hwpt_alloc(duel->context->iommufd,
			       duel->context->device[0].id, duel_ioas_id, &id);

	duel->id = error ? 0 : id;
	return error;
}

static bool attached_or_destroyed(struct duel *duel)
{
	const int destroyed = duel->answers[0], attached = duel->answers[1];
	int error;

	if (destroyed == 0 && attached == -ENOENT)
		return true;
	if (destroyed != -EBUSY || attached)
		return failed("DESTROY of a page table %s, attaching to it %s: one must succeed",
			      error_name(destroyed), error_name(attached));
	error = vfio_detach(&duel->context->device[0]);
	if (!error)
		error = destroy_id(duel);
	return error ? failed("detaching, destroying: %s", error_name(error)) :
	       true;
}

bool story_destroy_or_attach(struct context *context)
{
	struct duel duel = {
		.context = context,
		.seconds = { destroy_id, attach_to_id },
	};
	char *memory = memory_new(MEMORY_BYTES);
	int error;

	error = ioas_alloc(context->iommufd, &duel_ioas_id);
	if (!error)
		error = ioas_map_at(context->iommufd, duel_ioas_id, memory,
				    MEMORY_BYTES, LOW_IOVA, DMA_READ_WRITE);
	if (error)
		return failed("setting up: %s", error_name(error));
	if (!play_duel(&duel, NR_ATTACH_DUELS, new_hwpt, attached_or_destroyed))
		return false;
	if (context_pinned(context))
		return failed("%ld pages pinned, with no page table left",
			      context_pinned(context));
	memory_free(memory, MEMORY_BYTES);
	return held("%d times DESTROY of a page table against attaching to it: one succeeds",
		    NR_ATTACH_DUELS);
}

bool story_destroy_busy(struct context *context)
{
	struct duel duel = { .context = context };
	pthread_t threads[2];
	unsigned int i;
	int error = 0;

	if (pthread_create(&threads[0], NULL, look, &duel) ||
	    pthread_create(&threads[1], NULL, look, &duel))
		return failed("no threads");
	for (i = 0; !error && i < NR_DUELS; i++) {
		error = new_ioas(&duel);
		if (!error)
			error = destroy_id(&duel);
	}
	duel.stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	if (error)
		return failed("round %u: %s", i, error_name(error));
	return held("%d times DESTROY of what two threads use all the time: it succeeds",
		    NR_DUELS);
}

/* Everything ---------------------------------------------------------------- */

static void *first_device_moves(void *argument)
{
	struct race *race = argument;
	struct vfio_device *device = &race->context->device[0];
	unsigned int i;

	for (i = 0; !race->stop; i++) {
		__u32 id = i % 4 == 3 ? race->hwpt_id :
					race->ioas_id[i % NR_SPACES];

		CHECK(race, "attach", vfio_attach(device, id), -ENOENT, 0);
		if (i % 5 == 4)
			CHECK(race, "detach", vfio_detach(device), 0);
	}
	return NULL;
}

static void *second_device_comes_and_goes(void *argument)
{
	struct race *race = argument;
	struct vfio_device *device = &race->context->device[1];
	unsigned int i;

	for (i = 0; !race->stop; i++) {
		CHECK(race, "attach",
		      vfio_attach(device, race->ioas_id[i % NR_SPACES]),
		      -ENOENT, 0);
		vfio_close(device);
		CHECK(race, "bind", context_bind(race->context, 1), 0);
		race->device_id = device->id;
	}
	return NULL;
}

static int unmap_low(struct race *race, __u32 ioas_id)
{
	__u64 length_bytes = MEMORY_BYTES;

	return ioas_unmap(race->iommufd, ioas_id, LOW_IOVA, &length_bytes);
}

static void *maps(void *argument)
{
	struct race *race = argument;
	const int iommufd = race->iommufd;
	unsigned int i;

	for (i = 0; !race->stop; i++) {
		__u32 id = race->ioas_id[i % NR_SPACES];
		__u32 other_id = race->ioas_id[i / NR_SPACES % NR_SPACES];

		CHECK(race, "map",
		      ioas_map_at(iommufd, id, race->memory, MEMORY_BYTES,
				  LOW_IOVA, DMA_READ_WRITE),
		      -ENOENT, -EEXIST, 0);
		CHECK(race, "copy",
		      ioas_copy_at(iommufd, other_id, HIGH_IOVA, id,
				   LOW_IOVA + PAGE_BYTES, 8 * PAGE_BYTES,
				   DMA_READ_WRITE),
		      -ENOENT, -EEXIST, 0);
		CHECK(race, "unmap", unmap_low(race, id), -ENOENT, 0);
	}
	return NULL;
}

static void *unmaps(void *argument)
{
	struct race *race = argument;
	unsigned int i;

	for (i = 0; !race->stop; i++) {
		CHECK(race, "unmap everything",
		      ioas_unmap_everything(race->iommufd,
					    race->ioas_id[i % NR_SPACES]),
		      -ENOENT, 0);
		usleep(1000);
	}
	return NULL;
}

static void *destroys(void *argument)
{
	struct race *race = argument;
	unsigned int i;
	__u32 id;

	for (i = 0; !race->stop; i++) {
		int answer = iommufd_destroy(race->iommufd,
					     race->ioas_id[i % NR_SPACES]);

		CHECK(race, "destroy", answer, -EBUSY, 0);
		usleep(500);
		if (answer)
			continue;
		CHECK(race, "alloc", ioas_alloc(race->iommufd, &id), 0);
		race->ioas_id[i % NR_SPACES] = id;
	}
	return NULL;
}

static void *page_tables(void *argument)
{
	struct race *race = argument;
	unsigned int i;

	for (i = 0; !race->stop; i++) {
		__u32 id = 0;
		int answer = hwpt_alloc(race->iommufd,
					race->context->device[0].id,
					race->ioas_id[i % NR_SPACES], &id);

		CHECK(race, "a page table", answer, -ENOENT, 0);
		race->hwpt_id = id;
		while (!answer && !race->stop) {
			int gone = iommufd_destroy(race->iommufd, id);

			CHECK(race, "destroying it", gone, -EBUSY, 0);
			if (!gone)
				break;
		}
	}
	return NULL;
}

static void *asks(void *argument)
{
	struct race *race = argument;
	struct iova_ranges ranges;
	unsigned char data[64];
	unsigned int i;

	for (i = 0; !race->stop; i++) {
		__u32 type, data_bytes = sizeof(data);
		__u32 id = race->ioas_id[i % NR_SPACES];

		CHECK(race, "IOVA_RANGES",
		      ioas_iova_ranges(race->iommufd, id, &ranges), -ENOENT, 0);
		CHECK(race, "ALLOW_IOVAS",
		      ioas_allow_iovas(race->iommufd, id, NULL, 0), -ENOENT, 0);
		CHECK(race, "GET_HW_INFO",
		      get_hw_info(race->iommufd, race->device_id, data,
				  &data_bytes, &type), -ENOENT, 0);
	}
	return NULL;
}

static int race_open(struct race *race, struct context *context)
{
	unsigned int i;
	int error = 0;

	race->context = context;
	race->iommufd = context->iommufd;
	race->device_id = context->device[1].id;
	race->memory = memory_new(MEMORY_BYTES);
	for (i = 0; !error && i < NR_SPACES; i++) {
		__u32 id = 0;

		error = ioas_alloc(race->iommufd, &id);
		race->ioas_id[i] = id;
	}
	return error;
}

static bool race_close(struct race *race)
{
	unsigned int i;
	int error = 0;

	if (race->wrong)
		return failed("%s", race->what);
	for (i = 0; !error && i < NR_SPACES; i++)
		error = ioas_unmap_everything(race->iommufd, race->ioas_id[i]);
	if (error)
		return failed("unmapping afterwards: %s", error_name(error));
	if (context_pinned(race->context))
		return failed("%ld pages pinned with nothing mapped",
			      context_pinned(race->context));
	memory_free(race->memory, MEMORY_BYTES);
	return true;
}

bool story_everything_at_once(struct context *context)
{
	const thread_body bodies[] = {
		first_device_moves, second_device_comes_and_goes, maps, maps,
		unmaps, destroys, page_tables, asks,
	};
	struct race race = { };
	int error;

	error = race_open(&race, context);
	if (!error)
		error = run_threads(&race, bodies, ARRAY_SIZE(bodies));
	if (error)
		return failed("%s", error_name(error));
	if (!race_close(&race))
		return false;
	return held("%ld commands of %zu threads, each answered right; no page is left pinned",
		    race.nr_commands, ARRAY_SIZE(bodies));
}

/* UNMAP against MAP ---------------------------------------------------------- */

#define NR_UNMAPS 3000

static void *map_one_page(void *argument)
{
	struct race *race = argument;

	while (!race->stop)
		CHECK(race, "map",
		      ioas_map_at(race->iommufd, race->ioas_id[0], race->memory,
				  PAGE_BYTES, LOW_IOVA, DMA_READ_WRITE),
		      -EEXIST, 0);
	return NULL;
}

/* Whatever comes behind its back, an UNMAP passes each address once. */
static bool unmap_behind_map(struct race *race)
{
	unsigned int i;

	for (i = 0; i < NR_UNMAPS; i++) {
		__u64 length_bytes = MEMORY_BYTES;
		int error = ioas_unmap(race->iommufd, race->ioas_id[0],
				       LOW_IOVA, &length_bytes);

		if (error && error != -ENOENT)
			return failed("UNMAP: %s", error_name(error));
		if (!error && length_bytes != PAGE_BYTES)
			return failed("UNMAP of a range with one page in it says %llu bytes",
				      length_bytes);
	}
	return true;
}

bool story_unmap_against_map(struct context *context)
{
	struct race race = { };
	pthread_t thread;
	bool good;
	int error;

	error = race_open(&race, context);
	if (!error)
		error = -pthread_create(&thread, NULL, map_one_page, &race);
	if (error)
		return failed("%s", error_name(error));
	good = unmap_behind_map(&race);
	race.stop = true;
	pthread_join(thread, NULL);
	if (!good || !race_close(&race))
		return false;
	return held("%d UNMAPs while a thread maps what they unmap: none says more than is there",
		    NR_UNMAPS);
}

/* Processes that die --------------------------------------------------------- */

static void *map_until_killed(void *argument)
{
	struct race *race = argument;
	__u64 iova;

	for (;;) {
		ioas_map_anywhere(race->iommufd, race->ioas_id[0], race->memory,
				  MEMORY_BYTES, &iova, DMA_READ_WRITE);
		if (iova % 3 == 0)
			ioas_unmap_exactly(race->iommufd, race->ioas_id[0],
					   iova, MEMORY_BYTES);
	}
	return NULL;
}

static int live_and_map(void *argument)
{
	struct race *race = argument;
	pthread_t thread;

	race->memory = memory_new(MEMORY_BYTES);
	if (pthread_create(&thread, NULL, map_until_killed, race))
		return 1;
	map_until_killed(race);
	return 1;
}

static void *processes_come_and_go(void *argument)
{
	struct race *race = argument;
	unsigned int i;

	for (i = 0; !race->stop; i++) {
		pid_t child = child_begin(live_and_map, race);

		usleep(10000 + i % 7 * 5000);
		if (child < 0 || !child_kill(child))
			CHECK(race, "killing a process", -ETIMEDOUT, 0);
		CHECK(race, "a process", 0, 0);
	}
	return NULL;
}

bool story_processes_die(struct context *context)
{
	const thread_body bodies[] = {
		processes_come_and_go, first_device_moves, unmaps, asks,
	};
	struct race race = { };
	long pinned;
	int error;

	error = race_open(&race, context);
	if (!error)
		error = vfio_attach(&context->device[0], race.ioas_id[0]);
	if (!error)
		error = vfio_attach(&context->device[1], race.ioas_id[1]);
	if (!error)
		error = run_threads(&race, bodies, ARRAY_SIZE(bodies));
	if (error)
		return failed("%s", error_name(error));
	if (!race_close(&race))
		return false;
	pinned = context_machine_pinned(context);
	if (pinned)
		return failed("%ld pages of dead processes are pinned", pinned);
	return held("processes killed while they map and unmap, %ld commands: nothing left pinned",
		    race.nr_commands);
}

/* A long UNMAP --------------------------------------------------------------- */

#define HUGE_BYTES	(16 * MIB)
#define NR_COPIES	128UL

struct sharing {
	struct context *context;
	__u32 ioas_id;
	atomic_bool stop;
	/* The longest time in which the urgent thread did not run. */
	atomic_long longest_us;
	atomic_long nr_commands;
};

static long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int stay_on_cpu(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return -pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

/* More urgent than the UNMAP, and on the same CPU. */
static void *run_now_and_then(void *argument)
{
	const struct sched_param urgent = { .sched_priority = 1 };
	struct sharing *sharing = argument;
	long last_us, us;

	if (stay_on_cpu(0) ||
	    pthread_setschedparam(pthread_self(), SCHED_FIFO, &urgent)) {
		sharing->longest_us = LONG_MAX;
		return NULL;
	}
	for (last_us = now_us(); !sharing->stop; last_us = us) {
		usleep(1000);
		us = now_us();
		if (us - last_us > sharing->longest_us)
			sharing->longest_us = us - last_us;
	}
	return NULL;
}

static void *ask_now_and_then(void *argument)
{
	struct sharing *sharing = argument;
	struct iova_ranges ranges;

	stay_on_cpu(1);
	while (!sharing->stop) {
		usleep(1000);
		if (!ioas_iova_ranges(sharing->context->iommufd,
				      sharing->ioas_id, &ranges))
			sharing->nr_commands++;
	}
	return NULL;
}

static int map_copies(struct sharing *sharing, char *memory)
{
	const int iommufd = sharing->context->iommufd;
	unsigned long i;
	int error;

	error = ioas_map_at(iommufd, sharing->ioas_id, memory, HUGE_BYTES,
			    HIGH_IOVA, DMA_READ_WRITE);
	for (i = 1; !error && i < NR_COPIES; i++)
		error = ioas_copy_at(iommufd, sharing->ioas_id,
				     HIGH_IOVA + i * HUGE_BYTES,
				     sharing->ioas_id, HIGH_IOVA, HUGE_BYTES,
				     DMA_READ_WRITE);
	return error;
}

/* Unmap all; how long it took, and what others did meanwhile. */
static int unmap_shared(struct sharing *sharing, long *took_us, long *longest_us,
			long *nr_commands)
{
	int error;

	sharing->longest_us = 0;
	*nr_commands = -sharing->nr_commands;
	*took_us = -now_us();
	error = ioas_unmap_everything(sharing->context->iommufd,
				      sharing->ioas_id);
	*took_us += now_us();
	*nr_commands += sharing->nr_commands;
	/* If it has not run at all, it does now. */
	usleep(20000);
	*longest_us = sharing->longest_us;
	return error;
}

bool story_huge_unmap(struct context *context)
{
	struct sharing sharing = { .context = context };
	char *memory = memory_new(HUGE_BYTES);
	long took_us, longest_us, nr_commands;
	pthread_t threads[2];
	int error;

	/* Page by page: as much work as can be. */
	madvise(memory, HUGE_BYTES, MADV_DONTNEED);
	madvise(memory, HUGE_BYTES, MADV_NOHUGEPAGE);
	error = ioas_alloc(context->iommufd, &sharing.ioas_id);
	if (!error)
		error = vfio_attach(&context->device[0], sharing.ioas_id);
	if (!error)
		error = map_copies(&sharing, memory);
	if (!error)
		error = stay_on_cpu(0);
	if (error)
		return failed("mapping: %s", error_name(error));
	if (pthread_create(&threads[0], NULL, run_now_and_then, &sharing) ||
	    pthread_create(&threads[1], NULL, ask_now_and_then, &sharing))
		return failed("no threads");
	usleep(50000);
	error = unmap_shared(&sharing, &took_us, &longest_us, &nr_commands);
	sharing.stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	if (error || context_pinned(context))
		return failed("%s, %ld pages left", error_name(error),
			      context_pinned(context));
	if (longest_us > took_us / 4 || nr_commands < took_us / 100000)
		return failed("in %ld ms: %ld ms in which nothing else ran, %ld commands",
			      took_us / 1000, longest_us / 1000, nr_commands);
	memory_free(memory, HUGE_BYTES);
	return held("%lu entries unmapped in %ld ms, of which %ld ms at most without a break",
		    NR_COPIES * HUGE_BYTES / PAGE_BYTES, took_us / 1000,
		    longest_us / 1000);
}
