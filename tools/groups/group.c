// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "edu.h"
#include "group.h"
#include "iommufd.h"
#include "memlock.h"
#include "observe.h"
#include "report.h"

#define TRANSFER_BYTES	512
#define UNTOUCHED	0x11

static __u64 read_iova(unsigned int engine)
{
	return SPACE_IOVA + 2 * engine * PAGE_BYTES;
}

static __u64 write_iova(unsigned int engine)
{
	return read_iova(engine) + PAGE_BYTES;
}

static char *read_page(struct group *group, unsigned int engine,
		       unsigned int space)
{
	return group->space[space].memory + 2 * engine * PAGE_BYTES;
}

static char *write_page(struct group *group, unsigned int engine,
			unsigned int space)
{
	return read_page(group, engine, space) + PAGE_BYTES;
}

/* Patterns differ from engine to engine and from time to time. */
static unsigned int next_seed(void)
{
	static unsigned int seed;

	return __atomic_add_fetch(&seed, NR_ENGINES, __ATOMIC_RELAXED);
}

int engine_bind(struct group *group, unsigned int number)
{
	struct engine *engine = &group->engine[number];
	struct vfio_device *device = &engine->device;
	int error;

	*device = (struct vfio_device){ .address = engine->address, .fd = -1 };
	error = vfio_open(device);
	if (!error)
		error = vfio_bind(device, group->iommufd);
	if (!error)
		error = vfio_map_bar0(device);
	if (!error)
		error = vfio_enable_bus_master(device);
	if (!error)
		error = edu_start(device);
	if (error)
		vfio_close(device);
	return error;
}

void engine_close(struct group *group, unsigned int number)
{
	vfio_close(&group->engine[number].device);
}

int engine_attach(struct group *group, unsigned int number, unsigned int space)
{
	return vfio_attach(&group->engine[number].device,
			   group->space[space].id);
}

int engine_detach(struct group *group, unsigned int number)
{
	return vfio_detach(&group->engine[number].device);
}

int members_attach(struct group *group, unsigned int members,
		   unsigned int space)
{
	unsigned int i;
	int error = 0;

	for (i = 0; !error && i < NR_ENGINES; i++)
		if (members & 1U << i)
			error = engine_attach(group, i, space);
	return error;
}

static int open_space(struct group *group, struct space *space)
{
	int error = ioas_alloc(group->iommufd, &space->id);

	if (error)
		return error;
	return ioas_map_at(group->iommufd, space->id, space->memory,
			   SPACE_BYTES, SPACE_IOVA, DMA_READ_WRITE);
}

int group_open(struct group *group)
{
	unsigned int i;
	int error;

	group->iommufd = iommufd_open();
	if (group->iommufd < 0)
		return group->iommufd;
	error = iommufd_set_rlimit_mode(group->iommufd, RLIMIT_MODE_USER);
	for (i = 0; !error && i < NR_SPACES; i++) {
		if (!group->space[i].memory)
			group->space[i].memory = memory_new(SPACE_BYTES);
		error = open_space(group, &group->space[i]);
	}
	for (i = 0; !error && i < NR_ENGINES; i++)
		error = engine_bind(group, i);
	return error;
}

int group_rest(struct group *group)
{
	unsigned int i;
	int error = 0;

	for (i = 0; !error && i < NR_ENGINES; i++)
		error = group->engine[i].device.fd < 0 ?
				engine_bind(group, i) : engine_detach(group, i);
	return error;
}

void group_close(struct group *group)
{
	unsigned int i;

	for (i = 0; i < NR_ENGINES; i++) {
		stream_end(group, i);
		engine_close(group, i);
	}
	if (group->iommufd >= 0)
		close(group->iommufd);
	group->iommufd = -1;
}

long group_pinned(struct group *group)
{
	long pinned, charged;

	if (!fdinfo_number(group->iommufd, "pinned-pages", &pinned) ||
	    !fdinfo_number(group->iommufd, "charged-pages", &charged))
		return -1;
	return pinned == charged ? pinned : -1;
}

/* By our book-keeping and by that of the memory manager. */
bool pinned_is(struct group *group, long wanted, const char *when)
{
	long machine = machine_pinned_pages() - group->pinned_pages_before;
	long pinned = group_pinned(group);

	if (pinned != wanted || machine != wanted)
		return failed("%s: %ld pages pinned and charged, %ld in the machine, want %ld",
			      when, pinned, machine, wanted);
	return true;
}

bool objects_are(struct group *group, long wanted, const char *when)
{
	long nr = fdinfo_objects(group->iommufd);

	return nr == wanted ? true :
	       failed("%s: %ld objects, want %ld", when, nr, wanted);
}

typedef int (*engine_fn)(struct group *group, unsigned int engine);

static int with_each(struct group *group, unsigned int engines, engine_fn act)
{
	unsigned int i;
	int error = 0;

	for (i = 0; !error && i < NR_ENGINES; i++)
		if (engines & 1U << i)
			error = act(group, i);
	return error;
}

static int begin_read(struct group *group, unsigned int engine)
{
	return edu_begin_read_memory(&group->engine[engine].device,
				     read_iova(engine), TRANSFER_BYTES);
}

static int begin_write(struct group *group, unsigned int engine)
{
	return edu_begin_write_memory(&group->engine[engine].device,
				      write_iova(engine), TRANSFER_BYTES);
}

static int wait_engine(struct group *group, unsigned int engine)
{
	return edu_wait(&group->engine[engine].device);
}

static int read_then_write(struct group *group, unsigned int engines)
{
	int error = with_each(group, engines, begin_read);

	if (!error)
		error = with_each(group, engines, wait_engine);
	if (!error)
		error = with_each(group, engines, begin_write);
	if (!error)
		error = with_each(group, engines, wait_engine);
	return error;
}

static bool is_untouched(const char *page)
{
	size_t i;

	for (i = 0; i < TRANSFER_BYTES; i++)
		if (page[i] != UNTOUCHED)
			return false;
	return true;
}

static unsigned int prepare_pages(struct group *group, unsigned int space)
{
	unsigned int seed = next_seed();
	unsigned int i, s;

	for (i = 0; i < NR_ENGINES; i++) {
		pattern_fill(read_page(group, i, space), TRANSFER_BYTES,
			     seed + i);
		for (s = 0; s < NR_SPACES; s++)
			memset(write_page(group, i, s), UNTOUCHED,
			       TRANSFER_BYTES);
	}
	return seed;
}

bool dma_not_astray(struct group *group, unsigned int engines,
		    unsigned int space, const char *when, bool *arrived)
{
	unsigned int seed = prepare_pages(group, space);
	int error = read_then_write(group, engines);
	unsigned int i;

	*arrived = true;
	if (error)
		return failed("%s: a transfer: %s", when, error_name(error));
	for (i = 0; i < NR_ENGINES; i++) {
		const char *page = write_page(group, i, space);

		if (!(engines & 1U << i))
			continue;
		if (!is_untouched(write_page(group, i, !space)))
			return failed("%s: DMA of %s went to the other space",
				      when, group->engine[i].address);
		if (pattern_holds(page, TRANSFER_BYTES, seed + i))
			continue;
		*arrived = false;
	}
	return true;
}

bool dma_arrives(struct group *group, unsigned int engines, unsigned int space,
		 const char *when)
{
	bool arrived;

	if (!dma_not_astray(group, engines, space, when, &arrived))
		return false;
	return arrived ? true : failed("%s: DMA does not arrive", when);
}

bool dma_blocked(struct group *group, unsigned int engines, const char *when)
{
	int error;
	unsigned int i, s;

	prepare_pages(group, 0);
	error = with_each(group, engines, begin_write);
	if (!error)
		error = with_each(group, engines, wait_engine);
	if (error)
		return failed("%s: a transfer: %s", when, error_name(error));
	for (i = 0; i < NR_ENGINES; i++)
		for (s = 0; s < NR_SPACES; s++)
			if (!is_untouched(write_page(group, i, s)))
				return failed("%s: DMA of %s is not blocked",
					      when, group->engine[i].address);
	return true;
}

/* Its buffer is loaded once; what it writes differs from what was there. */
static int run_stream(void *argument)
{
	struct stream *stream = argument;
	struct group *group = stream->group;
	struct vfio_device *device = &group->engine[stream->engine].device;
	char *page = write_page(group, stream->engine, stream->space);
	unsigned int seed = next_seed();
	int error;

	pattern_fill(read_page(group, stream->engine, stream->space),
		     TRANSFER_BYTES, seed);
	error = edu_read_memory(device, read_iova(stream->engine),
				TRANSFER_BYTES);
	while (!error && !__atomic_load_n(&stream->stop, __ATOMIC_ACQUIRE)) {
		memset(page, UNTOUCHED, TRANSFER_BYTES);
		error = edu_write_memory(device, write_iova(stream->engine),
					 TRANSFER_BYTES);
		if (pattern_holds(page, TRANSFER_BYTES, seed))
			__atomic_add_fetch(&stream->nr_arrived, 1,
					   __ATOMIC_RELEASE);
		else
			stream->nr_lost++;
	}
	return error;
}

bool stream_begin(struct group *group, unsigned int engine, unsigned int space)
{
	struct stream *stream = &group->engine[engine].stream;
	unsigned int waited_ms;

	*stream = (struct stream){
		.group = group,
		.engine = engine,
		.space = space,
	};
	if (background_begin(&stream->background, run_stream, stream))
		return failed("no thread");
	stream->running = true;
	for (waited_ms = 0; waited_ms < SURELY_ENDED_MS; waited_ms++) {
		if (__atomic_load_n(&stream->nr_arrived, __ATOMIC_ACQUIRE))
			return true;
		usleep(1000);
	}
	return failed("the DMA of %s never begins to arrive",
		      group->engine[engine].address);
}

bool stream_end(struct group *group, unsigned int engine)
{
	const char *address = group->engine[engine].address;
	struct stream *stream = &group->engine[engine].stream;

	if (!stream->running)
		return true;
	stream->running = false;
	__atomic_store_n(&stream->stop, true, __ATOMIC_RELEASE);
	if (!background_ended(&stream->background, SURELY_ENDED_MS))
		return failed("the DMA of %s never ends", address);
	if (stream->background.answer)
		return failed("the DMA of %s: %s", address,
			      error_name(stream->background.answer));
	return true;
}
