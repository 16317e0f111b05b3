// SPDX-License-Identifier: GPL-2.0
/*
 * A group moves as one: its first device to attach programs it, the others join,
 * replacing moves all of them, and the last one to leave takes it off.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "groups.h"
#include "iommufd.h"
#include "pci.h"

/* The context's own: two spaces and four engines. */
#define OBJECTS_AT_REST	(NR_SPACES + NR_ENGINES)

static bool answers(const char *what, int error, int wanted)
{
	return error == wanted ? true :
	       failed("%s: %s, want %s", what, error_name(error),
		      error_name(wanted));
}

bool story_bind(struct group *group)
{
	int number = pci_group(group->engine[0].address);
	unsigned int i;

	for (i = 0; i < NR_ENGINES; i++) {
		int other = pci_group(group->engine[i].address);

		bool wanted = i != OUTSIDE;
		bool same = other == number;

		if (same != wanted)
			return failed("%s is in group %d, %s in group %d",
				      group->engine[0].address, number,
				      group->engine[i].address, other);
	}
	if (!objects_are(group, OBJECTS_AT_REST, "bound") ||
	    !pinned_is(group, 0, "bound") ||
	    !dma_blocked(group, ALL_MEMBERS | 1U << OUTSIDE, "bound"))
		return false;
	return held("three devices of group %d in one context, one of group %d: DMA is blocked",
		    number, pci_group(group->engine[OUTSIDE].address));
}

static int bind_to(struct group *group, unsigned int number, int iommufd)
{
	struct vfio_device *device = &group->engine[number].device;
	int error;

	engine_close(group, number);
	error = vfio_open(device);
	if (!error)
		error = vfio_bind(device, iommufd);
	if (error)
		vfio_close(device);
	return error;
}

static bool owners(struct group *group, int other)
{
	if (!answers("another context, with two siblings here",
		     bind_to(group, 1, other), -EPERM) ||
	    !answers("binding it here again", engine_bind(group, 1), 0) ||
	    !answers("another context for what is outside",
		     bind_to(group, OUTSIDE, other), 0))
		return false;
	engine_close(group, OUTSIDE);
	engine_close(group, 1);
	engine_close(group, 2);
	if (!answers("another context, with one sibling here",
		     bind_to(group, 1, other), -EPERM))
		return false;
	engine_close(group, 0);
	if (!answers("another context, with none here",
		     bind_to(group, 1, other), 0) ||
	    !answers("here, with a sibling there", engine_bind(group, 0),
		     -EPERM))
		return false;
	engine_close(group, 1);
	return answers("here, with none there", engine_bind(group, 0), 0);
}

bool story_owner(struct group *group)
{
	int other = iommufd_open();
	bool good = other >= 0 && owners(group, other);

	close(other);
	if (!good || !objects_are(group, NR_SPACES + 1, "in the end"))
		return false;
	return held("another context is refused (EPERM) until the last sibling has left");
}

/* All three in a space, each with verified DMA. */
static bool all_attached(struct group *group, unsigned int space)
{
	int error = members_attach(group, ALL_MEMBERS, space);

	if (error)
		return failed("attaching: %s", error_name(error));
	return dma_arrives(group, ALL_MEMBERS, space, "attached");
}

bool story_attach(struct group *group)
{
	unsigned int i;
	int error;

	for (i = 0; i < NR_MEMBERS; i++) {
		error = engine_attach(group, i, 0);
		if (error)
			return failed("attaching number %u: %s", i,
				      error_name(error));
		if (!objects_are(group, OBJECTS_AT_REST + 1, "attached") ||
		    !pinned_is(group, SPACE_PAGES, "attached") ||
		    !dma_arrives(group, 1U << i, 0, "attached"))
			return false;
	}
	error = engine_attach(group, OUTSIDE, 1);
	if (error)
		return failed("attaching the other: %s", error_name(error));
	if (!pinned_is(group, 2 * SPACE_PAGES, "the other attached") ||
	    !dma_arrives(group, ALL_MEMBERS, 0, "all at once") ||
	    !dma_arrives(group, 1U << OUTSIDE, 1, "the other"))
		return false;
	for (i = 0; i < NR_MEMBERS; i++) {
		if (!pinned_is(group, 2 * SPACE_PAGES, "before each detach"))
			return false;
		engine_detach(group, i);
	}
	if (!pinned_is(group, SPACE_PAGES, "all detached") ||
	    !objects_are(group, OBJECTS_AT_REST + 1, "all detached") ||
	    !dma_blocked(group, ALL_MEMBERS, "all detached") ||
	    !dma_arrives(group, 1U << OUTSIDE, 1, "the other, still attached"))
		return false;
	return held("three on one page table do DMA; pages are pinned from first to last");
}

/* What is refused: an id, and that nothing has changed. */
static bool joining_is_refused(struct group *group, __u32 id, const char *what,
			       int wanted)
{
	long objects = OBJECTS_AT_REST + 2;

	if (!answers(what, vfio_attach(&group->engine[2].device, id), wanted) ||
	    !objects_are(group, objects, what) ||
	    !pinned_is(group, SPACE_PAGES, what))
		return false;
	return dma_arrives(group, 0x3, 0, what);
}

bool story_refused(struct group *group)
{
	__u32 hwpt_id;
	int error;

	error = members_attach(group, 0x3, 0);
	if (!error)
		error = hwpt_alloc(group->iommufd, group->engine[0].device.id,
				   group->space[0].id, &hwpt_id);
	if (error)
		return failed("two attached, a second page table: %s",
			      error_name(error));
	if (!joining_is_refused(group, group->space[1].id,
				"the third to another space", -EINVAL) ||
	    !joining_is_refused(group, hwpt_id,
				"the third to another page table", -EINVAL) ||
	    !joining_is_refused(group, group->engine[0].device.id,
				"the third to a device", -EINVAL) ||
	    !joining_is_refused(group, 0x7fffffff, "the third to nothing",
				-ENOENT))
		return false;
	if (!answers("the third to where they are", engine_attach(group, 2, 0),
		     0) ||
	    !dma_arrives(group, ALL_MEMBERS, 0, "joined") ||
	    !answers("destroying the second page table",
		     iommufd_destroy(group->iommufd, hwpt_id), 0))
		return false;
	return held("a sibling that would go elsewhere: EINVAL, nothing changes; then it joins");
}

static bool moves(struct group *group, unsigned int mover, unsigned int space,
		  const char *when)
{
	const struct vfio_device *device = &group->engine[mover].device;
	unsigned int i;

	if (!answers(when, engine_attach(group, mover, space), 0) ||
	    !dma_arrives(group, ALL_MEMBERS, space, when))
		return false;
	for (i = 0; i < NR_MEMBERS; i++)
		if (!answers("the same once more",
			     engine_attach(group, (mover + i) % NR_MEMBERS,
					   space), 0))
			return false;
	if (!objects_are(group, OBJECTS_AT_REST + 1, when) ||
	    !pinned_is(group, SPACE_PAGES, when))
		return failed("%s, by %s", when, device->address);
	return true;
}

bool story_replace(struct group *group)
{
	__u32 hwpt_id;
	int error;

	if (!all_attached(group, 0))
		return false;
	if (!moves(group, 1, 1, "moved by the second") ||
	    !moves(group, 2, 0, "moved back by the third"))
		return false;
	error = hwpt_alloc(group->iommufd, group->engine[2].device.id,
			   group->space[1].id, &hwpt_id);
	if (!error)
		error = vfio_attach(&group->engine[0].device, hwpt_id);
	if (error)
		return failed("a page table by hand: %s", error_name(error));
	if (!dma_arrives(group, ALL_MEMBERS, 1, "on a page table by hand") ||
	    !pinned_is(group, SPACE_PAGES, "on a page table by hand") ||
	    !answers("destroying it", iommufd_destroy(group->iommufd, hwpt_id),
		     -EBUSY) ||
	    !answers("leaving it", engine_attach(group, 1, 0), 0) ||
	    !answers("destroying it", iommufd_destroy(group->iommufd, hwpt_id),
		     0) ||
	    !dma_arrives(group, ALL_MEMBERS, 0, "in the first space again"))
		return false;
	return held("one moves, and all are there at once; what the others ask for is there");
}

static bool stays(struct group *group, int error, int wanted, const char *why)
{
	if (!answers(why, error, wanted) ||
	    !objects_are(group, OBJECTS_AT_REST + 1, why) ||
	    !pinned_is(group, SPACE_PAGES, why))
		return false;
	return dma_arrives(group, ALL_MEMBERS, 0, why);
}

/* Memory that will not be there when it is to be pinned. */
static bool memory_is_gone(struct group *group)
{
	char *memory = memory_new(PAGE_BYTES);
	int error = ioas_map_at(group->iommufd, group->space[1].id, memory,
				PAGE_BYTES, STEP_IOVA, DMA_READ_WRITE);

	memory_free(memory, PAGE_BYTES);
	if (error)
		return failed("mapping: %s", error_name(error));
	if (!stays(group, engine_attach(group, 1, 1), -EFAULT,
		   "to a space whose memory is gone"))
		return false;
	return answers("unmapping it",
		       ioas_unmap_exactly(group->iommufd, group->space[1].id,
					  STEP_IOVA, PAGE_BYTES), 0);
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) > 0;

	close(fd);
	return good;
}

/* Let the n-th allocation or copy of this thread fail, or, with 0, none. */
static void fail_nth(int fd, unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	if (pwrite(fd, text, strlen(text), 0) < 0)
		perror("fail-nth");
}

/* Whether that has happened. */
static bool has_failed(int fd)
{
	char text[16] = "";

	/* Reading is a copy too, which may be the one. */
	return pread(fd, text, sizeof(text) - 1, 0) > 0 && !atoi(text);
}

/* GFP_KERNEL may fail too, and none of it goes to the log. */
static bool prepare_failures(void)
{
	static const char * const files[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/verbose", "0" },
	};
	char path[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", files[i][0]);
		if (!write_text(path, files[i][1]))
			return false;
	}
	return true;
}

#define ALLOCATIONS_MAX 1000

struct failures {
	unsigned int nr_refused;
	unsigned int nr_blocked;
};

/*
 * All are where they were, by our record. An IOMMU driver that fails may have
 * left a device blocked: VT-d's blocks it first, and then allocates. Then the
 * next move mends it.
 */
static bool stay_or_blocked(struct group *group, struct failures *failures)
{
	const char *when = "an allocation has failed";
	bool arrived;
	int error;

	failures->nr_refused++;
	if (!objects_are(group, OBJECTS_AT_REST + 1, when) ||
	    !pinned_is(group, SPACE_PAGES, when) ||
	    !dma_not_astray(group, ALL_MEMBERS, 0, when, &arrived))
		return false;
	if (arrived)
		return true;
	failures->nr_blocked++;
	error = engine_attach(group, 0, 1);
	if (!error)
		error = engine_attach(group, 1, 0);
	if (error)
		return failed("moving, and back: %s", error_name(error));
	return dma_arrives(group, ALL_MEMBERS, 0, "moved, and back");
}

/* Some do without the memory. */
static bool moved_and_back(struct group *group, unsigned int number)
{
	int error;

	if (number % 8 == 0 &&
	    !dma_arrives(group, ALL_MEMBERS, 1, "moved all the same"))
		return false;
	error = engine_attach(group, number % NR_MEMBERS, 0);
	return error ? failed("moving back: %s", error_name(error)) : true;
}

/*
 * VFIO takes a device off whose answer cannot be written, and the group has
 * moved: all come back by themselves.
 */
static bool rejoin(struct group *group)
{
	unsigned int i;
	int error;

	for (i = 0; i < NR_MEMBERS; i++)
		engine_detach(group, i);
	error = members_attach(group, ALL_MEMBERS, 0);
	if (error)
		return failed("attaching again: %s", error_name(error));
	return dma_arrives(group, ALL_MEMBERS, 0, "attached again");
}

/* Each allocation of a replace fails once, and each copy from and to us. */
static bool allocations_fail(struct group *group, int fail_fd,
			     struct failures *failures)
{
	unsigned int number;
	bool good, failing = true;

	for (number = 1; failing && number < ALLOCATIONS_MAX; number++) {
		int error;

		fail_nth(fail_fd, number);
		error = engine_attach(group, number % NR_MEMBERS, 1);
		failing = has_failed(fail_fd);
		fail_nth(fail_fd, 0);
		if (!error)
			good = moved_and_back(group, number);
		else if (!failing)
			good = failed("moving: %s", error_name(error));
		else if (error == -ENOMEM)
			good = stay_or_blocked(group, failures);
		else if (error == -EFAULT)
			good = rejoin(group);
		else
			good = failed("allocation %u fails: %s", number,
				      error_name(error));
		if (!good)
			return false;
	}
	return true;
}

bool story_replace_fails(struct group *group)
{
	struct failures failures = { 0 };
	bool good;
	int fd;

	if (!all_attached(group, 0) || !memory_is_gone(group))
		return false;
	/*
	 * Its driver has a device go to the new page table first, and leaves it
	 * there when it then fails.
	 */
	if (!strcmp(group->iommu, "virtio"))
		return held("its memory is gone, a replace fails: all stay");
	if (!prepare_failures())
		return failed("this kernel cannot let allocations fail");
	fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return failed("fail-nth: %s", error_name(-errno));
	good = allocations_fail(group, fd, &failures);
	close(fd);
	if (!good)
		return false;
	if (!failures.nr_refused)
		return failed("no failed allocation had a replace refused");
	if (!pinned_is(group, SPACE_PAGES, "in the end") ||
	    !dma_arrives(group, ALL_MEMBERS, 0, "in the end"))
		return false;
	return held("a replace fails, memory gone and in %u allocations: all stay (%u blocked)",
		    failures.nr_refused, failures.nr_blocked);
}

/* The first has programmed the group: it is the one that stands for it. */
bool story_first_leaves(struct group *group)
{
	const struct stream *second = &group->engine[1].stream;
	const struct stream *third = &group->engine[2].stream;
	int error;

	if (!all_attached(group, 0) || !stream_begin(group, 1, 0) ||
	    !stream_begin(group, 2, 0))
		return false;
	error = engine_detach(group, 0);
	engine_close(group, 0);
	usleep(500 * 1000);
	if (!stream_end(group, 1) || !stream_end(group, 2))
		return false;
	if (error)
		return failed("detaching the first: %s", error_name(error));
	if (second->nr_lost || third->nr_lost)
		return failed("%u transfers of the others are lost",
			      second->nr_lost + third->nr_lost);
	if (!pinned_is(group, SPACE_PAGES, "without the first") ||
	    !answers("the others move", engine_attach(group, 2, 1), 0) ||
	    !dma_arrives(group, 0x6, 1, "the others, moved") ||
	    !answers("the first is back", engine_bind(group, 0), 0) ||
	    !answers("where they were", engine_attach(group, 0, 0), -EINVAL) ||
	    !answers("where they are", engine_attach(group, 0, 1), 0) ||
	    !dma_arrives(group, ALL_MEMBERS, 1, "all again"))
		return false;
	engine_close(group, 1);
	engine_detach(group, 2);
	if (!dma_arrives(group, 0x1, 1, "the last one"))
		return false;
	engine_detach(group, 0);
	if (!dma_blocked(group, 0x5, "all have left") ||
	    !pinned_is(group, 0, "all have left"))
		return false;
	return held("the first leaves, %u transfers arrive; the last leaves, DMA is blocked",
		    second->nr_arrived + third->nr_arrived);
}

/* Whether an IOVA may be used in the first space. */
static bool usable(struct group *group, __u64 iova)
{
	struct iova_ranges ranges;
	unsigned int i;

	if (ioas_iova_ranges(group->iommufd, group->space[0].id, &ranges))
		return false;
	for (i = 0; i < ranges.nr_ranges; i++)
		if (ranges.range[i].start <= iova && iova <= ranges.range[i].last)
			return true;
	return false;
}

static bool is_reserved(struct group *group, bool wanted, const char *when)
{
	if (usable(group, INTERRUPT_IOVA) == wanted)
		return failed("%s: the interrupts' window is %sreserved", when,
			      wanted ? "not " : "");
	return true;
}

bool story_reserved(struct group *group)
{
	char *memory = memory_new(PAGE_BYTES);
	__u32 ioas_id = group->space[0].id;
	int error;

	if (!is_reserved(group, false, "nobody attached"))
		return false;
	error = ioas_map_at(group->iommufd, ioas_id, memory, PAGE_BYTES,
			    INTERRUPT_IOVA, DMA_READ_WRITE);
	if (error)
		return failed("mapping there: %s", error_name(error));
	if (!answers("attaching over a mapping there",
		     engine_attach(group, 0, 0), -EADDRINUSE) ||
	    !objects_are(group, OBJECTS_AT_REST, "refused") ||
	    !answers("attaching elsewhere", members_attach(group, 0x7, 1), 0) ||
	    !answers("moving over a mapping there", engine_attach(group, 2, 0),
		     -EADDRINUSE) ||
	    !dma_arrives(group, ALL_MEMBERS, 1, "not moved") ||
	    !answers("unmapping it",
		     ioas_unmap_exactly(group->iommufd, ioas_id, INTERRUPT_IOVA,
					PAGE_BYTES), 0) ||
	    !is_reserved(group, false, "not moved") ||
	    !answers("moving", engine_attach(group, 2, 0), 0) ||
	    !is_reserved(group, true, "three attached") ||
	    !answers("mapping there",
		     ioas_map_at(group->iommufd, ioas_id, memory, PAGE_BYTES,
				 INTERRUPT_IOVA, DMA_READ_WRITE), -EINVAL))
		return false;
	engine_detach(group, 2);
	engine_close(group, 0);
	if (!is_reserved(group, true, "one attached"))
		return false;
	engine_detach(group, 1);
	if (!is_reserved(group, false, "all detached"))
		return false;
	memory_free(memory, PAGE_BYTES);
	return held("the interrupts' window is reserved while any of the three is attached");
}
