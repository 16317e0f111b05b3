// SPDX-License-Identifier: GPL-2.0
/*
 * Devices of a group that go away, while the others go on doing DMA: by their
 * driver, by the system that forgets them, by the machine that ejects them. They
 * do go once nobody has them open; and then they can come back.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/vfio.h>

#include "absent.h"
#include "edu.h"
#include "groups.h"
#include "iommufd.h"
#include "observe.h"
#include "pci.h"

#define SIBLINGS	0x6	/* of the one that goes, which attached first */
#define ABSENT_PAGES	4UL
#define ABSENT_BYTES	(ABSENT_PAGES * PAGE_BYTES)

/*
 * VT-d's driver has one context entry for a requester, and clears it for each
 * device that is released, also if the requester has others: their DMA is
 * blocked until the next one of them is probed or attached.
 */
static bool core_blocks_siblings(const struct group *group)
{
	return group->one_requester && !strncmp(group->iommu, "intel", 5);
}

/* How a device goes ---------------------------------------------------------- */

enum way {
	UNBIND,		/* its driver leaves it */
	REMOVE,		/* the kernel forgets it */
	UNPLUG,		/* the machine ejects it */
};

/* After a failure its thread may go on: it is never on a stack. */
struct departure {
	struct group *group;
	enum way way;
	struct background background;
};

static int depart(void *argument)
{
	struct departure *departure = argument;
	struct group *group = departure->group;
	struct engine *engine = &group->engine[0];
	int error;

	switch (departure->way) {
	case UNBIND:
		return pci_unbind(engine->address);
	case REMOVE:
		return pci_remove(engine->address);
	default:
		error = monitor_unplug(group->monitor, &engine->plug);
		if (error)
			return error;
		return monitor_gone(group->monitor, &engine->plug,
				    SURELY_ENDED_MS) ? 0 : -ETIMEDOUT;
	}
}

static bool departure_begin(struct departure *departure, struct group *group,
			    enum way way)
{
	departure->group = group;
	departure->way = way;
	if (background_begin(&departure->background, depart, departure))
		return failed("no thread");
	return true;
}

static bool departure_waits(struct departure *departure, const char *when)
{
	return background_ended(&departure->background, SURELY_WAITING_MS) ?
	       failed("%s: the device is gone already, with %s", when,
		      error_name(departure->background.answer)) : true;
}

static bool departure_ended(struct departure *departure, const char *when)
{
	const char *address = departure->group->engine[0].address;

	if (!background_ended(&departure->background, 2 * SURELY_ENDED_MS))
		return failed("%s: the device does not go", when);
	if (departure->background.answer)
		return failed("%s: going: %s", when,
			      error_name(departure->background.answer));
	if (departure->way != UNBIND && pci_present(address))
		return failed("%s: %s is still there", when, address);
	return true;
}

/* It comes back as it went, and all do DMA in a space. */
static bool comes_back(struct group *group, enum way way, unsigned int space)
{
	struct engine *engine = &group->engine[0];
	int error;

	switch (way) {
	case UNBIND:
		error = pci_bind(engine->address);
		break;
	case REMOVE:
		error = pci_rescan();
		break;
	default:
		error = monitor_plug(group->monitor, &engine->plug);
	}
	if (error)
		return failed("coming back: %s", error_name(error));
	if (!pci_ready(engine->address, SURELY_ENDED_MS))
		return failed("%s does not come back", engine->address);
	if (pci_group(engine->address) != pci_group(group->engine[1].address))
		return failed("%s comes back to another group", engine->address);
	error = engine_bind(group, 0);
	if (!error)
		error = engine_attach(group, 0, space);
	if (error)
		return failed("binding and attaching it again: %s",
			      error_name(error));
	return dma_arrives(group, ALL_MEMBERS, space, "all are back");
}

/* The owner of a device, who leaves it when asked to; never on a stack either. */
struct owner {
	struct group *group;
	int request;
	struct background background;
};

static bool is_asked(struct owner *owner, unsigned int wait_ms)
{
	struct pollfd request = { .fd = owner->request, .events = POLLIN };

	return poll(&request, 1, wait_ms) == 1;
}

static int leave_when_asked(void *argument)
{
	struct owner *owner = argument;

	if (!is_asked(owner, SURELY_ENDED_MS))
		return -ETIMEDOUT;
	engine_close(owner->group, 0);
	return 0;
}

static bool owner_listen(struct owner *owner, struct group *group)
{
	int error;

	owner->group = group;
	owner->request = eventfd(0, EFD_CLOEXEC);
	error = vfio_set_irq_eventfd(&group->engine[0].device,
				     VFIO_PCI_REQ_IRQ_INDEX, owner->request);
	return error ? failed("listening for requests: %s", error_name(error)) :
	       true;
}

static bool owner_begin(struct owner *owner, struct group *group)
{
	if (!owner_listen(owner, group))
		return false;
	if (background_begin(&owner->background, leave_when_asked, owner))
		return failed("no thread");
	return true;
}

static bool owner_ended(struct owner *owner)
{
	bool ended = background_ended(&owner->background, 2 * SURELY_ENDED_MS);

	close(owner->request);
	if (!ended || owner->background.answer)
		return failed("the owner was not asked to leave the device");
	return true;
}

static bool siblings_stream(struct group *group)
{
	return stream_begin(group, 1, 0) && stream_begin(group, 2, 0);
}

static unsigned int nr_arrived(const struct group *group)
{
	return group->engine[1].stream.nr_arrived +
	       group->engine[2].stream.nr_arrived;
}

static unsigned int nr_lost(const struct group *group)
{
	return group->engine[1].stream.nr_lost +
	       group->engine[2].stream.nr_lost;
}

static bool siblings_end(struct group *group, const char *when)
{
	/* A transfer or two after what has happened. */
	usleep(300 * 1000);
	if (!stream_end(group, 1) || !stream_end(group, 2))
		return false;
	if (nr_lost(group) && !core_blocks_siblings(group))
		return failed("%s: %u transfers of the others are lost", when,
			      nr_lost(group));
	return true;
}

static bool siblings_arrive(struct group *group, const char *when)
{
	return core_blocks_siblings(group) ||
	       dma_arrives(group, SIBLINGS, 0, when);
}

static bool attach_all(struct group *group)
{
	int error = members_attach(group, ALL_MEMBERS, 0);

	return error ? failed("attaching: %s", error_name(error)) : true;
}

/* One goes, the others stay --------------------------------------------------- */

static bool goes(struct group *group, enum way way)
{
	static struct departure departure;
	static struct owner owner;

	if (!attach_all(group) || !siblings_stream(group) ||
	    !owner_begin(&owner, group) ||
	    !departure_begin(&departure, group, way) ||
	    !owner_ended(&owner) ||
	    !departure_ended(&departure, "closed by its owner"))
		return false;
	return siblings_end(group, "one has gone") &&
	       pinned_is(group, SPACE_PAGES, "one has gone");
}

/* They are where they were, by our record too; and they can still move. */
static bool siblings_move(struct group *group)
{
	int error = engine_attach(group, 1, 0);

	if (!error)
		error = engine_attach(group, 2, 1);
	if (!error)
		error = engine_attach(group, 1, 1);
	if (error)
		return failed("moving the others: %s", error_name(error));
	return dma_arrives(group, SIBLINGS, 1, "the others, moved") &&
	       pinned_is(group, SPACE_PAGES, "the others, moved");
}

static bool goes_and_comes_back(struct group *group, enum way way,
				const char *what)
{
	if (!goes(group, way) || !siblings_move(group) ||
	    !comes_back(group, way, 1))
		return false;
	if (nr_lost(group))
		return held("%s: the others stay (VT-d's driver blocked %u of %u); it comes back",
			    what, nr_lost(group),
			    nr_lost(group) + nr_arrived(group));
	return held("%s: %u transfers of the others arrive, none is lost; it comes back",
		    what, nr_arrived(group));
}

bool story_removed(struct group *group)
{
	return goes_and_comes_back(group, REMOVE, "the kernel forgets one");
}

bool story_unplug(struct group *group)
{
	return goes_and_comes_back(group, UNPLUG, "one is unplugged");
}

/*
 * What the kernel has forgotten is still plugged in and could do DMA, as a
 * requester of its own, to where its siblings' memory is mapped.
 */
static bool forgotten_is_blocked(struct group *group)
{
	struct vfio_device *device = &group->engine[0].device;
	struct fault_watch watch = {
		.log = FAULT_LOG_VTD,
		.kmsg_path = "/dev/kmsg",
	};
	const char *address = group->engine[0].address;
	__u64 bar0;
	int error;

	error = pci_bar0_address(address, &bar0);
	engine_close(group, 0);
	if (!error)
		error = pci_remove(address);
	if (!error)
		error = pci_seize(address, bar0, device);
	if (!error)
		error = fault_watch_begin(&watch);
	if (error)
		return failed("removing it: %s", error_name(error));
	if (!dma_blocked(group, 1, "removed") ||
	    !dma_arrives(group, SIBLINGS, 0, "one is removed"))
		return false;
	/* This is also how we know that it did try. */
	if (!fault_watch_end(&watch, address, SPACE_IOVA + PAGE_BYTES))
		return failed("VT-d's log does not name %s", address);
	pci_release(address, device);
	return true;
}

bool story_removed_is_blocked(struct group *group)
{
	if (group->one_requester || strcmp(group->iommu, "intel"))
		return skipped("a requester of its own, removed: for ports behind VT-d");
	if (!attach_all(group) || !forgotten_is_blocked(group) ||
	    !comes_back(group, REMOVE, 0))
		return false;
	return held("what the kernel has forgotten can do no DMA, the others can");
}

/* In the middle of a command --------------------------------------------------- */

/* Memory that does not come, and a command that waits for it. */
struct scene {
	struct group *group;
	struct absent absent;
	struct background waiting;
	unsigned int space;
};

static int map_absent(void *argument)
{
	struct scene *scene = argument;
	struct group *group = scene->group;

	return ioas_map_at(group->iommufd, group->space[scene->space].id,
			   scene->absent.memory, ABSENT_BYTES, STEP_IOVA,
			   DMA_READ_WRITE);
}

static int attach_first(void *argument)
{
	struct scene *scene = argument;

	return engine_attach(scene->group, 0, scene->space);
}

static int attach_second(void *argument)
{
	struct scene *scene = argument;

	return engine_attach(scene->group, 1, scene->space);
}

static bool unmap_absent(struct scene *scene)
{
	struct group *group = scene->group;
	int error = ioas_unmap_exactly(group->iommufd,
				       group->space[scene->space].id, STEP_IOVA,
				       ABSENT_BYTES);

	return error ? failed("unmapping: %s", error_name(error)) : true;
}

static struct scene *scene_new(struct group *group, unsigned int space)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	int error;

	scene->group = group;
	scene->space = space;
	error = absent_new(&scene->absent, ABSENT_BYTES);
	if (error) {
		failed("memory that is not there: %s", error_name(error));
		free(scene);
		return NULL;
	}
	return scene;
}

/* One that has failed may have a thread that uses it: it stays. */
static bool scene_end(struct scene *scene, bool good)
{
	if (!good) {
		absent_provide(&scene->absent, 0);
		return false;
	}
	absent_free(&scene->absent);
	free(scene);
	return true;
}

static bool begin_blocked(struct scene *scene, int (*run)(void *argument))
{
	if (background_begin(&scene->waiting, run, scene))
		return failed("no thread");
	if (!absent_touched(&scene->absent, SURELY_ENDED_MS))
		return failed("nobody touched the memory");
	return true;
}

static bool still_waits(struct scene *scene, const char *when)
{
	return background_ended(&scene->waiting, SURELY_WAITING_MS) ?
	       failed("%s: the command ended: %s", when,
		      error_name(scene->waiting.answer)) : true;
}

static bool end_blocked(struct scene *scene)
{
	int error = absent_provide(&scene->absent, 0x5a);

	if (error)
		return failed("providing the memory: %s", error_name(error));
	if (!background_ended(&scene->waiting, SURELY_ENDED_MS))
		return failed("the memory is there, and the command waits");
	if (scene->waiting.answer)
		return failed("the command that waited: %s",
			      error_name(scene->waiting.answer));
	return true;
}

/* The owner's other thread sleeps in MAP. */
static bool goes_in_map(struct group *group, enum way way, struct scene *scene)
{
	static struct departure departure;
	static struct owner owner;

	if (!attach_all(group) || !begin_blocked(scene, map_absent) ||
	    !owner_begin(&owner, group) ||
	    !departure_begin(&departure, group, way) ||
	    !owner_ended(&owner) ||
	    !departure_ended(&departure, "in the middle of MAP") ||
	    !still_waits(scene, "the device has gone") ||
	    !siblings_arrive(group, "the others, in the middle of MAP") ||
	    !end_blocked(scene) ||
	    !pinned_is(group, SPACE_PAGES + ABSENT_PAGES, "mapped"))
		return false;
	return comes_back(group, way, 0) && unmap_absent(scene) &&
	       pinned_is(group, SPACE_PAGES, "unmapped");
}

static bool with_map(struct group *group, enum way way, const char *what)
{
	struct scene *scene = scene_new(group, 0);

	if (!scene || !scene_end(scene, goes_in_map(group, way, scene)))
		return false;
	return held("%s while a MAP sleeps: asked, closed, gone; the MAP sleeps on",
		    what);
}

bool story_unbind_map(struct group *group)
{
	return with_map(group, UNBIND, "the driver leaves");
}

bool story_unplug_map(struct group *group)
{
	return with_map(group, UNPLUG, "unplugged");
}

/*
 * The attach is one of the device itself: it has the device's file, which ends
 * with the attach, whoever closes it.
 */
static bool goes_in_attach(struct group *group, struct scene *scene)
{
	static struct departure departure;
	static struct owner owner;
	bool asked;
	int error = map_absent(scene);

	if (error)
		return failed("mapping: %s", error_name(error));
	if (!owner_listen(&owner, group) ||
	    !begin_blocked(scene, attach_first) ||
	    !departure_begin(&departure, group, UNPLUG))
		return false;
	asked = is_asked(&owner, SURELY_ENDED_MS);
	engine_close(group, 0);
	close(owner.request);
	if (!asked)
		return failed("the owner was not asked to leave the device");
	if (!departure_waits(&departure, "its attach sleeps") ||
	    !end_blocked(scene) ||
	    !departure_ended(&departure, "its attach is done") ||
	    !pinned_is(group, 0, "it has gone"))
		return false;
	error = members_attach(group, SIBLINGS, 1);
	if (error)
		return failed("attaching the others: %s", error_name(error));
	return comes_back(group, UNPLUG, 1) && unmap_absent(scene) &&
	       pinned_is(group, SPACE_PAGES, "unmapped");
}

bool story_unplug_attach(struct group *group)
{
	struct scene *scene = scene_new(group, 1);

	if (!scene || !scene_end(scene, goes_in_attach(group, scene)))
		return false;
	return held("unplugged while its attach sleeps: asked, closed, gone with the attach");
}

/* A sibling's attach sleeps: of another device, which is held up by nothing. */
static bool goes_in_attach_of_sibling(struct group *group, struct scene *scene)
{
	static struct departure departure;
	static struct owner owner;
	int error = map_absent(scene);

	if (!error)
		error = engine_attach(group, 0, 0);
	if (error)
		return failed("mapping and attaching: %s", error_name(error));
	if (!begin_blocked(scene, attach_second) ||
	    !dma_arrives(group, 1, 0, "while a sibling would go elsewhere") ||
	    !owner_begin(&owner, group) ||
	    !departure_begin(&departure, group, UNBIND) ||
	    !owner_ended(&owner) ||
	    !departure_ended(&departure, "a sibling's attach sleeps") ||
	    !still_waits(scene, "the device has gone") ||
	    !end_blocked(scene))
		return false;
	error = engine_attach(group, 2, 1);
	if (error)
		return failed("the third joins: %s", error_name(error));
	return comes_back(group, UNBIND, 1) && unmap_absent(scene) &&
	       pinned_is(group, SPACE_PAGES, "unmapped");
}

/*
 * VFIO keeps devices of one bus in a set, since they are reset together, and its
 * lock is held while one of them is attached: until then none can be closed.
 */
bool story_unbind_attach(struct group *group)
{
	struct scene *scene;

	if (group->one_requester)
		return skipped("a sibling's attach sleeps: VFIO has one lock for a bus");
	scene = scene_new(group, 1);
	if (!scene || !scene_end(scene, goes_in_attach_of_sibling(group, scene)))
		return false;
	return held("the driver leaves while a sibling's attach sleeps: asked, closed, gone");
}

/* Owners that are killed -------------------------------------------------------- */

/* The first device is another process's, which has the context from us. */
struct child_owner {
	struct group *group;
	int (*run)(struct child_owner *owner);
	int ready[2];
	struct scene *scene;
	pid_t pid;
};

static int run_child(void *argument)
{
	struct child_owner *owner = argument;
	int error = engine_bind(owner->group, 0);

	if (!error)
		error = engine_attach(owner->group, 0, 0);
	if (!error)
		error = owner->run(owner);
	return error;
}

static bool child_owner_begin(struct child_owner *owner, struct group *group,
			      int (*run)(struct child_owner *owner))
{
	char byte;
	bool ready;

	*owner = (struct child_owner){ .group = group, .run = run };
	engine_close(group, 0);
	if (pipe(owner->ready))
		return failed("pipe: %s", error_name(-errno));
	owner->pid = child_begin(run_child, owner);
	close(owner->ready[1]);
	ready = owner->pid > 0 && read(owner->ready[0], &byte, 1) == 1;
	close(owner->ready[0]);
	return ready ? true : failed("the other process did not get so far");
}

static int is_ready(struct child_owner *owner)
{
	return write(owner->ready[1], "!", 1) == 1 ? 0 : -EPIPE;
}

/* It moves the whole group to a space whose memory does not come. */
static int replace_in_child(struct child_owner *owner)
{
	struct scene *scene = scene_new(owner->group, 1);
	int error = scene ? map_absent(scene) : -ENOMEM;

	if (!error)
		error = background_begin(&scene->waiting, attach_first, scene);
	if (!error && !absent_touched(&scene->absent, SURELY_ENDED_MS))
		error = -ETIMEDOUT;
	if (!error)
		error = is_ready(owner);
	if (!error)
		background_ended(&scene->waiting, 10 * SURELY_ENDED_MS);
	return error;
}

/* It does DMA to memory of its own without end. */
static int stream_in_child(struct child_owner *owner)
{
	struct group *group = owner->group;
	struct vfio_device *device = &group->engine[0].device;
	char *memory = memory_new(ABSENT_BYTES);
	int error = ioas_map_at(group->iommufd, group->space[0].id, memory,
				ABSENT_BYTES, STEP_IOVA, DMA_READ_WRITE);

	pattern_fill(memory, 512, 77);
	if (!error)
		error = edu_read_memory(device, STEP_IOVA, 512);
	if (!error)
		error = edu_write_memory(device, STEP_IOVA + PAGE_BYTES, 512);
	if (!error && !pattern_holds(memory + PAGE_BYTES, 512, 77))
		error = -EIO;
	if (!error)
		error = is_ready(owner);
	while (!error)
		error = edu_write_memory(device, STEP_IOVA + PAGE_BYTES, 512);
	return error;
}

static bool unplug_and_kill(struct group *group, struct child_owner *owner,
			    long nr_pinned)
{
	static struct departure departure;

	if (!siblings_stream(group) ||
	    !departure_begin(&departure, group, UNPLUG) ||
	    !departure_waits(&departure, "its owner does not listen"))
		return false;
	if (!child_kill(owner->pid))
		return failed("the owner could not be killed");
	if (!departure_ended(&departure, "its owner was killed"))
		return false;
	return siblings_end(group, "the owner was killed") &&
	       pinned_is(group, nr_pinned, "the owner was killed");
}

static bool unplugged_and_killed(struct group *group, unsigned int space,
				 int (*run)(struct child_owner *owner),
				 const char *what)
{
	long nr_pinned = SPACE_PAGES + (space ? 0 : ABSENT_PAGES);
	struct scene left_behind = { .group = group, .space = space };
	struct child_owner owner;
	int error;

	error = members_attach(group, SIBLINGS, 0);
	if (error)
		return failed("attaching: %s", error_name(error));
	if (!child_owner_begin(&owner, group, run) ||
	    !unplug_and_kill(group, &owner, nr_pinned) ||
	    !unmap_absent(&left_behind) ||
	    !pinned_is(group, SPACE_PAGES, "unmapped") ||
	    !comes_back(group, UNPLUG, 0))
		return false;
	return held("unplugged, its owner killed %s: gone; %u transfers of the others arrive",
		    what, nr_arrived(group));
}

bool story_unplug_replace_killed(struct group *group)
{
	return unplugged_and_killed(group, 1, replace_in_child,
				    "in a replace of the group that sleeps");
}

bool story_unplug_dma_killed(struct group *group)
{
	return unplugged_and_killed(group, 0, stream_in_child,
				    "in the middle of DMA");
}
