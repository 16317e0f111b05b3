// SPDX-License-Identifier: GPL-2.0
/*
 * The files are closed, the device is removed and the process is killed, one
 * before the other, in every order.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iommufd.h"
#include "mdev.h"

static int open_and_bind(struct story *story)
{
	int error = vfio_open(&story->serial.device);

	if (!error)
		error = serial_bind(&story->serial, story->iommufd);
	return error;
}

static int map_memory(struct story *story, int iommufd, __u32 ioas_id)
{
	return ioas_map_at(iommufd, ioas_id, story->memory, MEMORY_BYTES,
			   MEMORY_IOVA, DMA_READ_WRITE);
}

bool story_close_attached(struct story *story)
{
	int error;

	error = map_memory(story, story->iommufd, story->ioas_id);
	if (error)
		return failed("mapping: %s", error_name(error));
	vfio_close(&story->serial.device);
	if (!at_rest(story, story->iommufd, 1, "closed while attached"))
		return false;
	error = iommufd_destroy(story->iommufd, story->ioas_id);
	if (error)
		return failed("destroying the address space: %s",
			      error_name(error));
	if (!at_rest(story, story->iommufd, 0, "all destroyed"))
		return false;
	error = open_and_bind(story);
	if (error)
		return failed("opening it again: %s", error_name(error));
	return held("while attached: its object is gone, its address space is free; bound again");
}

/*
 * The device keeps the context, so what was mapped stays reachable until it is
 * closed as well.
 */
bool story_context_first(struct story *story)
{
	struct vfio_device *device = &story->serial.device;
	int error;

	error = ioas_alloc(story->iommufd, &story->ioas_id);
	if (!error)
		error = map_memory(story, story->iommufd, story->ioas_id);
	if (!error)
		error = vfio_attach(device, story->ioas_id);
	if (error)
		return failed("%s", error_name(error));
	close(story->iommufd);

	error = vfio_attach(device, story->ioas_id);
	if (!error)
		error = vfio_detach(device);
	if (!error)
		error = vfio_attach(device, story->ioas_id);
	if (!error)
		error = serial_echo(&story->serial, 0, "alone");
	if (error)
		return failed("the device of a closed context: %s",
			      error_name(error));
	vfio_close(device);

	story->iommufd = iommufd_open();
	error = open_and_bind(story);
	if (error)
		return failed("bound to a new context: %s", error_name(error));
	vfio_close(device);
	if (!at_rest(story, story->iommufd, 0, "a new context"))
		return false;
	return held("/dev/iommu closed first: the device attaches and works on until it is closed");
}

/* Memory of the display that outlives the file it was mapped from. */
static bool display_outlives(struct story *story, struct vfio_device *display)
{
	struct vfio_device second = mdev_device(display->address);
	char *frame = display->bar0;
	int error;

	pattern_fill(frame, MIB, 11);
	close(display->fd);
	display->fd = -1;
	if (!at_rest(story, story->iommufd, 2, "closed while mapped"))
		return false;
	error = iommufd_destroy(story->iommufd, story->ioas_id);
	if (error != -EBUSY)
		return failed("destroying the address space: %s, want EBUSY",
			      error_name(error));
	error = vfio_open(&second);
	if (!error)
		error = vfio_bind(&second, story->iommufd);
	vfio_close(&second);
	if (error != -EINVAL)
		return failed("binding it again: %s, want EINVAL",
			      error_name(error));
	if (!pattern_holds(frame, MIB, 11))
		return failed("the frame buffer lost what was in it");
	vfio_close(display);
	return at_rest(story, story->iommufd, 1, "unmapped");
}

bool story_mapped_registers(struct story *story)
{
	struct vfio_device display;
	char uuid[UUID_BYTES];
	bool good;
	int error;

	mdev_uuid(uuid, story->nr_uuids++);
	error = mdev_create(&display_kind, uuid);
	display = mdev_device(uuid);
	if (!error)
		error = vfio_open(&display);
	if (!error)
		error = vfio_bind(&display, story->iommufd);
	if (!error)
		error = ioas_alloc(story->iommufd, &story->ioas_id);
	if (!error)
		error = vfio_attach(&display, story->ioas_id);
	if (!error)
		error = vfio_map_bar0(&display);
	good = error ? failed("%s: %s", display_kind.type, error_name(error)) :
	       display_outlives(story, &display);
	vfio_close(&display);
	if (!good)
		return false;
	error = iommufd_destroy(story->iommufd, story->ioas_id);
	if (!error)
		error = mdev_remove(uuid);
	if (error)
		return failed("taking it away: %s", error_name(error));
	return held("a display whose frame buffer is mapped stays attached until that is unmapped");
}

/* The file is open; the removal has begun and waits. */
static bool removal_waits(struct story *story, struct removal *removal)
{
	struct vfio_device second = mdev_device(removal->uuid);
	int error;

	error = removal_begin(removal, removal->uuid);
	if (error)
		return failed("a thread: %s", error_name(error));
	if (removal_ended(removal, SURELY_WAITING_MS))
		return failed("it was removed under its user: %s",
			      error_name(removal->background.answer));
	error = vfio_open(&second);
	vfio_close(&second);
	if (!error)
		return failed("it can still be opened");
	return at_rest(story, story->iommufd, fdinfo_objects(story->iommufd),
		       "while it waits");
}

static bool removal_ends(struct removal *removal)
{
	if (!removal_ended(removal, SURELY_ENDED_MS))
		return failed("closed, but not removed within %u ms",
			      SURELY_ENDED_MS);
	if (removal->background.answer)
		return failed("removing: %s", error_name(removal->background.answer));
	return true;
}

bool story_remove_in_use(struct story *story)
{
	struct vfio_device *device = &story->serial.device;
	struct removal removal = { .uuid = story->uuid };
	int error;

	error = open_and_bind(story);
	if (!error)
		error = ioas_alloc(story->iommufd, &story->ioas_id);
	if (!error)
		error = vfio_attach(device, story->ioas_id);
	if (error)
		return failed("%s", error_name(error));
	if (!removal_waits(story, &removal))
		return false;

	error = map_memory(story, story->iommufd, story->ioas_id);
	if (!error)
		error = vfio_detach(device);
	if (!error)
		error = vfio_attach(device, story->ioas_id);
	if (!error)
		error = serial_reset_port(&story->serial, 0);
	if (!error)
		error = serial_echo(&story->serial, 0, "last words");
	if (error)
		return failed("using it meanwhile: %s", error_name(error));
	vfio_close(device);
	if (!removal_ends(&removal) ||
	    !at_rest(story, story->iommufd, 1, "removed"))
		return false;
	error = iommufd_destroy(story->iommufd, story->ioas_id);
	if (error)
		return failed("destroying the address space: %s",
			      error_name(error));
	return held("in use: the device works on while the removal waits; closed, it is gone");
}

bool story_remove_opened(struct story *story)
{
	struct vfio_device device;
	char uuid[UUID_BYTES];
	struct removal removal = { .uuid = uuid };
	int error;

	mdev_uuid(uuid, story->nr_uuids++);
	error = mdev_create(&serial_kind, uuid);
	device = mdev_device(uuid);
	if (!error)
		error = vfio_open(&device);
	if (error)
		return failed("%s", error_name(error));
	if (!removal_waits(story, &removal))
		return false;
	/* Too late for others, but who has it open may still bind it. */
	error = vfio_bind(&device, story->iommufd);
	if (error)
		return failed("binding what is being removed: %s",
			      error_name(error));
	vfio_close(&device);
	if (!removal_ends(&removal) ||
	    !at_rest(story, story->iommufd, 0, "removed"))
		return false;
	return held("opened only: BIND works while the removal waits; closed, it is gone");
}

/* What the child does until it is killed; it writes one byte when all is set. */
static void live_until_killed(struct story *story, const char *uuid, int ready)
{
	struct serial serial = { .device = mdev_device(uuid) };
	/* The parent's was not copied: it is not to be forked. */
	char *memory = memory_new(MEMORY_BYTES);
	int iommufd = iommufd_open();
	__u32 ioas_id;
	int error;

	story->memory = memory;
	error = ioas_alloc(iommufd, &ioas_id);
	if (!error)
		error = map_memory(story, iommufd, ioas_id);
	if (!error)
		error = vfio_open(&serial.device);
	if (!error)
		error = serial_bind(&serial, iommufd);
	if (!error)
		error = vfio_attach(&serial.device, ioas_id);
	if (!error && write(ready, "!", 1) == 1)
		for (;;)
			vfio_attach(&serial.device, ioas_id);
	_exit(1);
}

static bool kill_user(struct story *story, const char *uuid,
		      struct removal *removal)
{
	int ready[2];
	int status;
	char byte;
	pid_t pid;
	bool good;

	if (pipe(ready))
		return failed("pipe: %s", error_name(-errno));
	pid = fork();
	if (pid < 0)
		return failed("fork: %s", error_name(-errno));
	if (!pid) {
		close(ready[0]);
		live_until_killed(story, uuid, ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		return failed("the child could not set up its device");
	close(ready[0]);
	good = removal_waits(story, removal);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		return failed("the child was not killed");
	return good;
}

bool story_killed(struct story *story)
{
	char uuid[UUID_BYTES];
	struct removal removal = { .uuid = uuid };
	int error;

	mdev_uuid(uuid, story->nr_uuids++);
	error = mdev_create(&serial_kind, uuid);
	if (error)
		return failed("%s", error_name(error));
	if (!kill_user(story, uuid, &removal) || !removal_ends(&removal) ||
	    !at_rest(story, story->iommufd, 0, "killed"))
		return false;
	return held("a process killed with all of it attached: the removal that waited ends");
}

/* One device's whole life. ------------------------------------------------- */

#define NR_ROUNDS 50

enum ending {
	END_ORDERLY,
	END_CLOSE_ATTACHED,
	END_CONTEXT_FIRST,
	END_DETACH_ONLY,
	END_REMOVE_FIRST,
	END_MAPPED,
	NR_ENDINGS,
};

struct round {
	struct story *story;
	struct vfio_device device;
	char uuid[UUID_BYTES];
	int iommufd;
	__u32 ioas_id, other_id;
	struct removal removal;
};

static int round_begin(struct round *round, const struct mdev_kind *kind,
		       bool replace)
{
	struct vfio_device *device = &round->device;
	int error;

	mdev_uuid(round->uuid, round->story->nr_uuids++);
	*device = mdev_device(round->uuid);
	round->iommufd = iommufd_open();
	error = mdev_create(kind, round->uuid);
	if (!error)
		error = vfio_open(device);
	if (!error)
		error = ioas_alloc(round->iommufd, &round->ioas_id);
	if (!error)
		error = ioas_alloc(round->iommufd, &round->other_id);
	if (!error)
		error = map_memory(round->story, round->iommufd, round->ioas_id);
	if (!error)
		error = vfio_bind(device, round->iommufd);
	if (!error)
		error = vfio_attach(device, round->ioas_id);
	if (!error && replace)
		error = vfio_attach(device, round->other_id);
	return error;
}

static int destroy_both(struct round *round)
{
	int error = iommufd_destroy(round->iommufd, round->ioas_id);

	if (!error)
		error = iommufd_destroy(round->iommufd, round->other_id);
	return error;
}

static int round_end(struct round *round, enum ending ending)
{
	struct vfio_device *device = &round->device;
	int error = 0;

	switch (ending) {
	case END_ORDERLY:
		error = vfio_detach(device);
		if (!error)
			error = destroy_both(round);
		break;
	case END_CLOSE_ATTACHED:
		vfio_close(device);
		error = destroy_both(round);
		break;
	case END_CONTEXT_FIRST:
		close(round->iommufd);
		error = vfio_detach(device);
		break;
	case END_DETACH_ONLY:
		error = vfio_detach(device);
		break;
	case END_REMOVE_FIRST:
		return removal_begin(&round->removal, round->uuid);
	case END_MAPPED:
		/* Only the display has something to map. */
		vfio_map_bar0(device);
		close(device->fd);
		device->fd = -1;
		break;
	default:
		break;
	}
	return error;
}

static bool play_round(struct story *story, unsigned int number)
{
	const struct mdev_kind *kind =
		number / NR_ENDINGS % 2 ? &display_kind : &serial_kind;
	enum ending ending = number % NR_ENDINGS;
	struct round round = { .story = story };
	int error;

	error = round_begin(&round, kind, number % 4 == 3);
	if (!error)
		error = round_end(&round, ending);
	if (error)
		return failed("round %u, %s, ending %d: %s", number, kind->type,
			      ending, error_name(error));
	vfio_close(&round.device);
	if (ending != END_CONTEXT_FIRST) {
		bool good = at_rest(story, round.iommufd,
				    ending == END_ORDERLY ||
				    ending == END_CLOSE_ATTACHED ? 0 : 2,
				    "a round");

		close(round.iommufd);
		if (!good)
			return false;
	}
	if (ending == END_REMOVE_FIRST)
		return removal_ends(&round.removal);
	error = mdev_remove(round.uuid);
	return error ? failed("round %u: removing: %s", number,
			      error_name(error)) : true;
}

bool story_rounds(struct story *story)
{
	unsigned int i;

	for (i = 0; i < NR_ROUNDS; i++)
		if (!play_round(story, i))
			return false;
	if (!at_rest(story, story->iommufd, 0, "afterwards"))
		return false;
	return held("%d times create, bind, attach and away, in %d orders, two kinds of device",
		    NR_ROUNDS, NR_ENDINGS);
}

bool story_all_returned(struct story *story)
{
	long pinned;

	close(story->iommufd);
	pinned = machine_pinned_pages() - story->pinned_pages_before;
	if (pinned)
		return failed("%ld pages pinned more than before", pinned);
	memory_free(story->memory, MEMORY_BYTES);
	return held("as many pages pinned in this machine as before: %ld",
		    story->pinned_pages_before);
}
