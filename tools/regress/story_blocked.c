// SPDX-License-Identifier: GPL-2.0
/*
 * Commands that wait for user memory, which does not come. What needs the same
 * thing may wait with them, until it is killed; nothing else may, least of all a
 * device that wants to leave.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "absent.h"
#include "background.h"
#include "edu.h"
#include "iommufd.h"
#include "mock.h"
#include "observe.h"
#include "regress.h"

#define ABSENT_PAGES	4UL
#define ABSENT_BYTES	(ABSENT_PAGES * PAGE_BYTES)
#define PRESENT_PAGES	16UL
#define PRESENT_BYTES	(PRESENT_PAGES * PAGE_BYTES)

/* Where the memory that is not there is mapped, and what is around it. */
#define BLOCKED_IOVA	HIGH_IOVA
#define ABOVE_IOVA	(HIGH_IOVA + ABSENT_BYTES)

/* One address space, memory of both kinds, and the command that waits for it. */
struct scene {
	struct context *context;
	int iommufd;
	__u32 ioas_id;
	struct absent absent;
	char *present;
	struct background waiting;
	struct mock mock;
};

static int scene_open(struct scene *scene, struct context *context)
{
	int error;

	scene->context = context;
	scene->iommufd = context->iommufd;
	scene->present = memory_new(PRESENT_BYTES);
	error = absent_new(&scene->absent, ABSENT_BYTES);
	if (!error)
		error = ioas_alloc(scene->iommufd, &scene->ioas_id);
	return error;
}

static void scene_close(struct scene *scene)
{
	absent_free(&scene->absent);
	memory_free(scene->present, PRESENT_BYTES);
}

/*
 * When something failed, threads may be waiting still: they get their memory,
 * so that the next step is not held up, and keep the scene.
 */
static bool with_scene(struct context *context,
		       bool (*play)(struct scene *scene))
{
	struct scene *scene = calloc(1, sizeof(*scene));
	int error = scene_open(scene, context);

	if (error)
		return failed("setting up: %s", error_name(error));
	if (!play(scene)) {
		absent_provide(&scene->absent, 0);
		return false;
	}
	scene_close(scene);
	free(scene);
	return true;
}

static int map_absent(void *argument)
{
	struct scene *scene = argument;

	return ioas_map_at(scene->iommufd, scene->ioas_id, scene->absent.memory,
			   ABSENT_BYTES, BLOCKED_IOVA, DMA_READ_WRITE);
}

static int map_present(struct scene *scene, __u64 iova)
{
	return ioas_map_at(scene->iommufd, scene->ioas_id, scene->present,
			   PRESENT_BYTES, iova, DMA_READ_WRITE);
}

static int unmap_present(struct scene *scene, __u64 iova)
{
	return ioas_unmap_exactly(scene->iommufd, scene->ioas_id, iova,
				  PRESENT_BYTES);
}

static int unmap_absent(void *argument)
{
	struct scene *scene = argument;

	return ioas_unmap_exactly(scene->iommufd, scene->ioas_id, BLOCKED_IOVA,
				  ABSENT_BYTES);
}

static int destroy(void *argument)
{
	struct scene *scene = argument;

	return iommufd_destroy(scene->iommufd, scene->ioas_id);
}

static int attach_first(void *argument)
{
	struct scene *scene = argument;

	return vfio_attach(&scene->context->device[0], scene->ioas_id);
}

static int attach_second(void *argument)
{
	struct scene *scene = argument;

	return vfio_attach(&scene->context->device[1], scene->ioas_id);
}

static int page_table_for_second(void *argument)
{
	struct scene *scene = argument;
	__u32 hwpt_id;

	return hwpt_alloc(scene->iommufd, scene->context->device[1].id,
			  scene->ioas_id, &hwpt_id);
}

/* Begin a command that then waits for the memory. */
static bool begin_blocked(struct scene *scene, int (*run)(void *argument))
{
	if (background_begin(&scene->waiting, run, scene))
		return failed("no thread");
	if (!absent_touched(&scene->absent, SURELY_ENDED_MS))
		return failed("nobody touched the memory");
	return true;
}

static bool end_blocked(struct scene *scene, const char *what)
{
	struct background *background = &scene->waiting;
	int error = absent_provide(&scene->absent, 0x5a);

	if (error)
		return failed("providing the memory: %s", error_name(error));
	if (!background_ended(background, SURELY_ENDED_MS))
		return failed("%s: the memory is there, and it still waits",
			      what);
	if (background->answer)
		return failed("%s: %s", what, error_name(background->answer));
	return true;
}

/* A command that has to wait, until its process is killed. */
static bool waits_until_killed(struct scene *scene, const char *what,
			       int (*run)(void *argument))
{
	pid_t child = child_begin(run, scene);
	int status;

	if (child < 0)
		return failed("fork: %s", error_name(-errno));
	if (child_ended(child, SURELY_WAITING_MS, &status))
		return failed("%s did not wait", what);
	if (!child_kill(child))
		return failed("%s: killed, and it still waits", what);
	return true;
}

/* A command in a thread of its own: one that waits in error is not waited for. */
static bool is_prompt(struct scene *scene, const char *what,
		      int (*run)(void *argument), int wanted)
{
	struct background *command = calloc(1, sizeof(*command));

	if (background_begin(command, run, scene))
		return failed("no thread");
	/* If it waits, its thread goes on using the memory: it is not freed. */
	if (!background_ended(command, SURELY_ENDED_MS))
		return failed("%s waits, and must not", what);
	if (command->answer != wanted)
		return failed("%s: %s, want %s", what,
			      error_name(command->answer), error_name(wanted));
	free(command);
	return true;
}

/* What must be done at once while a command waits for the absent memory. */

static int read_ranges(void *argument)
{
	struct scene *scene = argument;
	struct iova_ranges ranges;

	return ioas_iova_ranges(scene->iommufd, scene->ioas_id, &ranges);
}

static int map_and_unmap_elsewhere(void *argument)
{
	struct scene *scene = argument;
	int error = map_present(scene, LOW_IOVA);

	if (!error)
		error = ioas_copy_at(scene->iommufd, scene->ioas_id, ABOVE_IOVA,
				     scene->ioas_id, LOW_IOVA, PRESENT_BYTES,
				     DMA_READ_WRITE);
	if (!error)
		error = unmap_present(scene, ABOVE_IOVA);
	if (!error)
		error = unmap_present(scene, LOW_IOVA);
	return error;
}

static int map_over_it(void *argument)
{
	return map_present(argument, BLOCKED_IOVA);
}

static int copy_it(void *argument)
{
	struct scene *scene = argument;

	return ioas_copy_at(scene->iommufd, scene->ioas_id, LOW_IOVA,
			    scene->ioas_id, BLOCKED_IOVA, ABSENT_BYTES,
			    DMA_READ_WRITE);
}

static int unmap_part_of_it(void *argument)
{
	struct scene *scene = argument;

	return ioas_unmap_exactly(scene->iommufd, scene->ioas_id, BLOCKED_IOVA,
				  PAGE_BYTES);
}

static int ask_first_device(void *argument)
{
	struct scene *scene = argument;
	unsigned char data[64];
	__u32 type, data_bytes = sizeof(data);

	return get_hw_info(scene->iommufd, scene->context->device[0].id, data,
			   &data_bytes, &type);
}

/* A second address space, for the second device, with a page table by hand. */
static int use_another_space(void *argument)
{
	struct scene *scene = argument;
	struct vfio_device *device = &scene->context->device[1];
	__u32 ioas_id, hwpt_id;
	int error;

	error = ioas_alloc(scene->iommufd, &ioas_id);
	if (!error)
		error = ioas_map_at(scene->iommufd, ioas_id, scene->present,
				    PRESENT_BYTES, BLOCKED_IOVA, DMA_READ_WRITE);
	if (!error)
		error = hwpt_alloc(scene->iommufd, device->id, ioas_id, &hwpt_id);
	if (!error)
		error = vfio_attach(device, hwpt_id);
	if (!error)
		error = vfio_attach(device, ioas_id);
	if (!error)
		error = iommufd_destroy(scene->iommufd, hwpt_id);
	if (!error)
		error = vfio_detach(device);
	if (!error)
		error = iommufd_destroy(scene->iommufd, ioas_id);
	return error;
}

static int second_comes_and_goes(void *argument)
{
	struct scene *scene = argument;
	int error = attach_second(scene);

	return error ? error : vfio_detach(&scene->context->device[1]);
}

/* A device leaves the context altogether, and comes back to it. */
static int unbind_and_bind(void *argument)
{
	struct scene *scene = argument;
	struct context *context = scene->context;

	vfio_close(&context->device[1]);
	return context_bind(context, 1);
}

static int unbind_first(void *argument)
{
	struct scene *scene = argument;

	vfio_close(&scene->context->device[0]);
	return 0;
}

static int bind_first(void *argument)
{
	struct scene *scene = argument;

	return context_bind(scene->context, 0);
}

static int detach_first(void *argument)
{
	struct scene *scene = argument;

	return vfio_detach(&scene->context->device[0]);
}

/* Whether the device can write to what was absent: it was really mapped. */
static bool device_writes(struct scene *scene)
{
	struct vfio_device *device = &scene->context->device[0];
	int error = context_start_device(scene->context, 0);

	pattern_fill(scene->absent.memory, 512, 7);
	if (!error)
		error = edu_read_memory(device, BLOCKED_IOVA, 512);
	if (!error)
		error = edu_write_memory(device, BLOCKED_IOVA + PAGE_BYTES, 512);
	if (error)
		return failed("DMA: %s", error_name(error));
	if (!pattern_holds(scene->absent.memory + PAGE_BYTES, 512, 7))
		return failed("DMA did not arrive in what was mapped");
	return true;
}

static bool nothing_pinned(struct scene *scene, const char *when)
{
	long pinned = context_pinned(scene->context);

	return pinned ? failed("%s: %ld pages pinned, want 0", when, pinned) :
	       true;
}

/* MAP ---------------------------------------------------------------------- */

static bool map_blocked(struct scene *scene)
{
	int error = attach_first(scene);

	if (error)
		return failed("setting up: %s", error_name(error));
	if (!begin_blocked(scene, map_absent))
		return false;
	if (!is_prompt(scene, "IOVA_RANGES", read_ranges, 0) ||
	    !is_prompt(scene, "MAP and UNMAP elsewhere",
		       map_and_unmap_elsewhere, 0) ||
	    !is_prompt(scene, "MAP in the same place", map_over_it, -EEXIST) ||
	    !is_prompt(scene, "COPY of what is not mapped yet", copy_it,
		       -ENOENT) ||
	    !is_prompt(scene, "UNMAP of a part of it", unmap_part_of_it,
		       -ENOENT) ||
	    !is_prompt(scene, "DESTROY", destroy, -EBUSY) ||
	    !is_prompt(scene, "another address space", use_another_space, 0) ||
	    !is_prompt(scene, "attaching and detaching a device",
		       second_comes_and_goes, 0) ||
	    !is_prompt(scene, "unbinding and binding one", unbind_and_bind,
		       0) ||
	    !waits_until_killed(scene, "UNMAP of it", unmap_absent))
		return false;
	if (!end_blocked(scene, "MAP") || !device_writes(scene))
		return false;
	error = unmap_absent(scene);
	if (error)
		return failed("unmapping it: %s", error_name(error));
	if (!nothing_pinned(scene, "unmapped"))
		return false;
	return held("a MAP waits for memory: 9 other commands do not, its own UNMAP can be killed");
}

/* What MAP was to enter is gone when its memory comes. */
static bool map_blocked_device_leaves(struct scene *scene)
{
	int error = attach_first(scene);

	if (error)
		return failed("setting up: %s", error_name(error));
	if (!begin_blocked(scene, map_absent))
		return false;
	if (!is_prompt(scene, "detaching the device", detach_first, 0) ||
	    !is_prompt(scene, "attaching it again", attach_first, 0) ||
	    !is_prompt(scene, "unbinding it while attached", unbind_first, 0) ||
	    !waits_until_killed(scene, "DESTROY, with nobody attached",
				destroy) ||
	    !is_prompt(scene, "IOVA_RANGES after that", read_ranges, 0))
		return false;
	if (!end_blocked(scene, "MAP") ||
	    !nothing_pinned(scene, "mapped, and nobody attached"))
		return false;
	if (!is_prompt(scene, "binding the device", bind_first, 0) ||
	    !is_prompt(scene, "attaching it", attach_first, 0) ||
	    !device_writes(scene))
		return false;
	return held("a MAP waits: its device detaches, comes back, unbinds at once");
}

/* A child of its own context, one device and absent memory. */
static int child_scene(struct scene *scene, bool attach)
{
	struct context *context = scene->context;
	int error;

	context->iommufd = iommufd_open();
	error = scene_open(scene, context);
	if (!error)
		error = context_bind(context, 0);
	if (!error && attach)
		error = attach_first(scene);
	return error;
}

/* The child's first thread waits for its second, which waits for memory. */
static int blocked_child(struct scene *scene, int ready,
			 int (*run)(void *argument))
{
	if (background_begin(&scene->waiting, run, scene) ||
	    !absent_touched(&scene->absent, SURELY_ENDED_MS) ||
	    write(ready, "!", 1) != 1)
		return 1;
	background_ended(&scene->waiting, 10 * SURELY_ENDED_MS);
	return 1;
}

struct child_story {
	struct scene scene;
	int ready[2];
};

static int map_in_child(void *argument)
{
	struct child_story *story = argument;

	if (child_scene(&story->scene, true))
		return 1;
	return blocked_child(&story->scene, story->ready[1], map_absent);
}

static int attach_in_child(void *argument)
{
	struct child_story *story = argument;

	if (child_scene(&story->scene, false) || map_absent(&story->scene))
		return 1;
	return blocked_child(&story->scene, story->ready[1], attach_first);
}

/* Kill a process that waits; then the device must be free. */
static bool killed_while_blocked(struct context *context,
				 int (*run)(void *argument))
{
	struct child_story story = { .scene.context = context };
	pid_t child;
	char byte;
	int error;

	vfio_close(&context->device[0]);
	if (pipe(story.ready))
		return failed("pipe: %s", error_name(-errno));
	child = child_begin(run, &story);
	close(story.ready[1]);
	if (child < 0 || read(story.ready[0], &byte, 1) != 1)
		return failed("the child did not come to wait");
	close(story.ready[0]);
	if (!child_kill(child))
		return failed("killed, and it still waits");
	error = context_bind(context, 0);
	if (error)
		return failed("binding its device: %s", error_name(error));
	if (context_machine_pinned(context))
		return failed("%ld pages are still pinned",
			      context_machine_pinned(context));
	return true;
}

bool story_map_killed(struct context *context)
{
	if (!killed_while_blocked(context, map_in_child))
		return false;
	return held("killed in a MAP that waits: gone, the device is free, nothing is pinned");
}

/* Attach ------------------------------------------------------------------- */

static bool attach_blocked(struct scene *scene)
{
	int error = map_absent(scene);

	if (error)
		return failed("setting up: %s", error_name(error));
	if (!begin_blocked(scene, attach_first))
		return false;
	if (!is_prompt(scene, "IOVA_RANGES", read_ranges, 0) ||
	    !is_prompt(scene, "MAP and UNMAP elsewhere",
		       map_and_unmap_elsewhere, 0) ||
	    !is_prompt(scene, "DESTROY", destroy, -EBUSY) ||
	    !is_prompt(scene, "GET_HW_INFO of the device", ask_first_device,
		       0) ||
	    !is_prompt(scene, "another address space", use_another_space, 0) ||
	    !is_prompt(scene, "unbinding and binding another device",
		       unbind_and_bind, 0) ||
	    !waits_until_killed(scene, "attaching another device to the same",
				attach_second) ||
	    !waits_until_killed(scene, "a page table for the same",
				page_table_for_second) ||
	    !waits_until_killed(scene, "UNMAP of it", unmap_absent))
		return false;
	if (!end_blocked(scene, "attach") || !device_writes(scene))
		return false;
	if (!is_prompt(scene, "attaching the other device", attach_second, 0))
		return false;
	error = unmap_absent(scene);
	if (error)
		return failed("unmapping it: %s", error_name(error));
	if (!nothing_pinned(scene, "unmapped"))
		return false;
	return held("an attach waits for memory: 6 other commands do not, 3 can be killed");
}

bool story_attach_killed(struct context *context)
{
	if (!killed_while_blocked(context, attach_in_child))
		return false;
	return held("killed in an attach that waits: gone, the device is free, nothing is pinned");
}

/* Commands that hold an object ---------------------------------------------- */

static int write_ranges_to_absent(void *argument)
{
	struct scene *scene = argument;
	struct iommu_ioas_iova_ranges args = {
		.size = sizeof(args),
		.ioas_id = scene->ioas_id,
		.num_iovas = IOVA_RANGES_MAX,
		.allowed_iovas = (unsigned long)scene->absent.memory,
	};

	return iommufd_command(scene->iommufd, IOMMU_IOAS_IOVA_RANGES, &args);
}

static bool destroy_waits(struct scene *scene)
{
	long nr_objects = fdinfo_objects(scene->iommufd);
	struct background *destruction = calloc(1, sizeof(*destruction));

	if (!begin_blocked(scene, write_ranges_to_absent))
		return false;
	/* Killed, it has changed nothing: the next one waits all the same. */
	if (!waits_until_killed(scene, "DESTROY", destroy) ||
	    !is_prompt(scene, "IOVA_RANGES after that", read_ranges, 0) ||
	    !waits_until_killed(scene, "DESTROY once more", destroy))
		return false;
	if (background_begin(destruction, destroy, scene))
		return failed("no thread");
	/* Longer than any timed wait would be worth. */
	if (background_ended(destruction, 3000))
		return failed("DESTROY gave up waiting: %s",
			      error_name(destruction->answer));
	if (!is_prompt(scene, "IOVA_RANGES of what is going", read_ranges,
		       -ENOENT) ||
	    !is_prompt(scene, "a second DESTROY", destroy, -ENOENT))
		return false;
	if (!end_blocked(scene, "IOVA_RANGES"))
		return false;
	if (!background_ended(destruction, SURELY_ENDED_MS) ||
	    destruction->answer)
		return failed("DESTROY: %s", error_name(destruction->answer));
	free(destruction);
	if (fdinfo_objects(scene->iommufd) != nr_objects - 1)
		return failed("%ld objects, want %ld as before",
			      fdinfo_objects(scene->iommufd), nr_objects - 1);
	return held("DESTROY waits for a command for long; killed, it has changed nothing");
}

static int write_info_to_absent(void *argument)
{
	struct scene *scene = argument;
	__u32 type, data_bytes = 64;

	return get_hw_info(scene->iommufd, scene->context->device[0].id,
			   scene->absent.memory, &data_bytes, &type);
}

static int read_allowed_from_absent(void *argument)
{
	struct scene *scene = argument;
	struct iommu_ioas_allow_iovas args = {
		.size = sizeof(args),
		.ioas_id = scene->ioas_id,
		.num_iovas = 1,
		.allowed_iovas = (unsigned long)scene->absent.memory,
	};

	return iommufd_command(scene->iommufd, IOMMU_IOAS_ALLOW_IOVAS, &args);
}

/* Replies and arguments may wait too; the device or the space must not. */
static bool reply_blocked(struct scene *scene)
{
	int error = attach_first(scene);

	if (error)
		return failed("setting up: %s", error_name(error));
	if (!begin_blocked(scene, write_info_to_absent) ||
	    !is_prompt(scene, "unbinding the device", unbind_first, 0) ||
	    !end_blocked(scene, "GET_HW_INFO"))
		return false;

	absent_free(&scene->absent);
	error = absent_new(&scene->absent, ABSENT_BYTES);
	if (!error)
		error = bind_first(scene);
	if (error)
		return failed("once more: %s", error_name(error));
	if (!begin_blocked(scene, read_allowed_from_absent) ||
	    !is_prompt(scene, "MAP and UNMAP", map_and_unmap_elsewhere, 0) ||
	    !is_prompt(scene, "attaching a device", attach_first, 0) ||
	    !is_prompt(scene, "unbinding it", unbind_first, 0))
		return false;
	/* The range that comes is 0x5a5a5a5a5a5a5a5a: of one byte. */
	if (!end_blocked(scene, "ALLOW_IOVAS"))
		return false;
	return held("GET_HW_INFO and ALLOW_IOVAS wait for user memory: devices leave at once");
}

/* UNMAP, half way ----------------------------------------------------------- */

#define NR_BELOW 10UL

struct unmap_story {
	int iommufd;
	/* Shared with the child, which does not live to tell. */
	struct iommu_ioas_unmap *args;
};

static int unmap_all_in_child(void *argument)
{
	struct unmap_story *story = argument;

	return iommufd_command(story->iommufd, IOMMU_IOAS_UNMAP, story->args);
}

static int map_below(struct scene *scene)
{
	unsigned int i;
	int error = 0;

	for (i = 0; !error && i < NR_BELOW; i++)
		error = ioas_map_at(scene->iommufd, scene->ioas_id,
				    scene->present, PAGE_BYTES,
				    LOW_IOVA + i * PAGE_BYTES, DMA_READ_WRITE);
	return error;
}

/* It has taken out what is below, and waits for the MAP above. */
static bool unmapped_below(struct scene *scene)
{
	unsigned int waited_ms;
	long pinned = -1;

	/* Not what is charged: the MAP has paid in advance. */
	for (waited_ms = 0; waited_ms < SURELY_ENDED_MS; waited_ms++) {
		if (fdinfo_number(scene->iommufd, "pinned-pages", &pinned) &&
		    !pinned)
			return true;
		usleep(1000);
	}
	return failed("UNMAP left %ld pages below what it waits for", pinned);
}

static bool unmap_killed(struct scene *scene)
{
	struct unmap_story story = { .iommufd = scene->iommufd };
	pid_t child;
	int error;

	error = attach_first(scene);
	if (!error)
		error = map_below(scene);
	if (error)
		return failed("setting up: %s", error_name(error));
	story.args = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*story.args = (struct iommu_ioas_unmap){
		.size = sizeof(*story.args),
		.ioas_id = scene->ioas_id,
		.length = ~0ULL,
	};
	if (!begin_blocked(scene, map_absent))
		return false;
	child = child_begin(unmap_all_in_child, &story);
	if (!unmapped_below(scene))
		return false;
	if (!child_kill(child))
		return failed("UNMAP was not killed");
	if (story.args->length != NR_BELOW * PAGE_BYTES)
		return failed("UNMAP was killed after %lu bytes, and said %llu",
			      NR_BELOW * PAGE_BYTES, story.args->length);
	if (!end_blocked(scene, "MAP") || !device_writes(scene))
		return false;
	error = unmap_absent(scene);
	if (error)
		return failed("unmapping the rest: %s", error_name(error));
	if (!nothing_pinned(scene, "unmapped"))
		return false;
	munmap(story.args, PAGE_BYTES);
	return held("UNMAP killed half way says how much it did; the rest is as it was");
}

/* A dirty bitmap in memory that is not there -------------------------------- */

static int read_marks_into_absent(void *argument)
{
	struct scene *scene = argument;

	return get_dirty_bitmap(&scene->mock, LOW_IOVA, PRESENT_BYTES,
				scene->absent.memory);
}

static int unmap_what_is_asked_for(void *argument)
{
	return unmap_present(argument, LOW_IOVA);
}

static int map_what_is_asked_for(void *argument)
{
	return map_present(argument, LOW_IOVA);
}

/* Where the mock IOMMU reaches. */
static int map_and_unmap_beside(void *argument)
{
	struct scene *scene = argument;
	const __u64 iova = LOW_IOVA + PRESENT_BYTES;
	int error = map_present(scene, iova);

	return error ? error : unmap_present(scene, iova);
}

static int stop_tracking(void *argument)
{
	struct scene *scene = argument;

	return set_dirty_tracking(&scene->mock, false);
}

static int remove_mock_device(void *argument)
{
	struct scene *scene = argument;

	return mock_close(&scene->mock);
}

static int set_up_tracking(struct scene *scene)
{
	__u16 written = 0xa5a5;
	int error;

	error = map_present(scene, LOW_IOVA);
	if (!error)
		error = mock_open(&scene->mock, scene->iommufd,
				  scene->ioas_id);
	if (!error)
		error = mock_use_hwpt(&scene->mock, scene->ioas_id,
				      IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0);
	if (!error)
		error = set_dirty_tracking(&scene->mock, true);
	if (!error)
		error = mock_write(&scene->mock, LOW_IOVA, PRESENT_BYTES,
				   &written);
	return error;
}

/* Reading the marks waits for the bitmap: nothing else waits for the reader. */
static bool dirty_blocked(struct scene *scene)
{
	int error = set_up_tracking(scene);

	if (error)
		return failed("setting up: %s", error_name(error));
	if (!begin_blocked(scene, read_marks_into_absent) ||
	    !is_prompt(scene, "MAP and UNMAP", map_and_unmap_beside, 0) ||
	    !is_prompt(scene, "UNMAP of what is asked for",
		       unmap_what_is_asked_for, 0) ||
	    !is_prompt(scene, "MAP at its place", map_what_is_asked_for, 0) ||
	    !is_prompt(scene, "switching tracking off", stop_tracking, 0) ||
	    !is_prompt(scene, "removing the device", remove_mock_device, 0))
		return false;
	if (!end_blocked(scene, "GET_DIRTY_BITMAP"))
		return false;
	/* Its page table would keep what is mapped pinned. */
	error = iommufd_destroy(scene->iommufd, scene->mock.hwpt_id);
	if (error)
		return failed("destroying the HWPT: %s", error_name(error));
	if (!nothing_pinned(scene, "no page table is left"))
		return false;
	return held("GET_DIRTY_BITMAP waits for its bitmap: MAP, UNMAP and devices do not");
}

/* The steps ----------------------------------------------------------------- */

bool story_map_blocked(struct context *context)
{
	return with_scene(context, map_blocked);
}

bool story_map_blocked_device_leaves(struct context *context)
{
	return with_scene(context, map_blocked_device_leaves);
}

bool story_attach_blocked(struct context *context)
{
	return with_scene(context, attach_blocked);
}

bool story_destroy_waits(struct context *context)
{
	return with_scene(context, destroy_waits);
}

bool story_reply_blocked(struct context *context)
{
	return with_scene(context, reply_blocked);
}

bool story_unmap_killed(struct context *context)
{
	return with_scene(context, unmap_killed);
}

bool story_dirty_blocked(struct context *context)
{
	return with_scene(context, dirty_blocked);
}
