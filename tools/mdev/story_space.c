// SPDX-License-Identifier: GPL-2.0
/*
 * What an emulated device does to its address space, and that to it.
 */
#include <errno.h>

#include "iommufd.h"
#include "mdev.h"

/* The device must work whatever happens to its address space. */
static bool works(struct story *story, const char *when)
{
	int error = serial_reset_port(&story->serial, 0);

	if (!error)
		error = serial_echo(&story->serial, 0, "still there");
	return error ? failed("%s: the serial port: %s", when,
			      error_name(error)) : true;
}

bool story_attach(struct story *story)
{
	struct vfio_device *device = &story->serial.device;
	int error;

	error = vfio_attach(device, story->ioas_id);
	if (error)
		return failed("%s", error_name(error));
	error = vfio_attach(device, story->ioas_id);
	if (error)
		return failed("again, where it is: %s", error_name(error));
	/* No page table: nothing translates for what the kernel emulates. */
	if (!at_rest(story, story->iommufd, 2, "attached") ||
	    !works(story, "attached"))
		return false;
	return held("to address space %u, and again to the same; no page table was made for it",
		    story->ioas_id);
}

static int alignment(struct story *story, __u32 ioas_id, __u64 *bytes)
{
	struct iova_ranges ranges;
	int error = ioas_iova_ranges(story->iommufd, ioas_id, &ranges);

	*bytes = error ? 0 : ranges.alignment;
	return error;
}

/* One byte at an odd address, which whole pages cannot be pinned for. */
static int map_odd(struct story *story, __u32 ioas_id)
{
	return ioas_map_at(story->iommufd, ioas_id, story->memory + 1, 1,
			   MEMORY_IOVA + 3, DMA_READ_WRITE);
}

/* The device pins pages if it likes: IOVA and memory must agree in a page. */
bool story_alignment(struct story *story)
{
	struct vfio_device *device = &story->serial.device;
	int odd_attached, odd_detached, attach_odd;
	__u64 attached, detached;
	int error;

	error = alignment(story, story->ioas_id, &attached);
	odd_attached = map_odd(story, story->ioas_id);
	if (!error)
		error = vfio_detach(device);
	if (!error)
		error = alignment(story, story->ioas_id, &detached);
	if (error)
		return failed("%s", error_name(error));
	odd_detached = map_odd(story, story->ioas_id);
	attach_odd = vfio_attach(device, story->ioas_id);
	error = ioas_unmap_exactly(story->iommufd, story->ioas_id,
				   MEMORY_IOVA + 3, 1);
	if (!error)
		error = vfio_attach(device, story->ioas_id);
	if (error)
		return failed("back to where it was: %s", error_name(error));

	if (attached != PAGE_BYTES || odd_attached != -EINVAL)
		return failed("attached: alignment %llu, an odd mapping %s; want %lu, EINVAL",
			      attached, error_name(odd_attached), PAGE_BYTES);
	if (detached != 1 || odd_detached)
		return failed("detached: alignment %llu, an odd mapping %s; want 1, success",
			      detached, error_name(odd_detached));
	if (attach_odd != -EADDRINUSE)
		return failed("attaching where something odd is mapped: %s, want EADDRINUSE",
			      error_name(attach_odd));
	if (!at_rest(story, story->iommufd, 2, "afterwards"))
		return false;
	return held("pages while it is attached, bytes while not; it cannot be where that is odd");
}

static int map_in_pieces(struct story *story, __u64 piece_bytes)
{
	__u64 offset;
	int error = 0;

	for (offset = 0; !error && offset < MEMORY_BYTES; offset += piece_bytes)
		error = ioas_map_at(story->iommufd, story->ioas_id,
				    story->memory + offset, piece_bytes,
				    MEMORY_IOVA + offset, DMA_READ_WRITE);
	return error;
}

bool story_map(struct story *story)
{
	const __u64 piece_bytes = MEMORY_BYTES / 16;
	int part;
	int error;

	error = map_in_pieces(story, piece_bytes);
	if (error)
		return failed("mapping: %s", error_name(error));
	if (!at_rest(story, story->iommufd, 2, "mapped, for nobody to pin") ||
	    !works(story, "mapped"))
		return false;
	part = ioas_unmap_exactly(story->iommufd, story->ioas_id, MEMORY_IOVA,
				  piece_bytes / 2);
	if (part != -ENOENT)
		return failed("unmapping a part of a piece: %s, want ENOENT",
			      error_name(part));
	error = ioas_unmap_exactly(story->iommufd, story->ioas_id,
				   MEMORY_IOVA + piece_bytes, piece_bytes);
	if (!error)
		error = ioas_unmap_everything(story->iommufd, story->ioas_id);
	if (error)
		return failed("unmapping: %s", error_name(error));
	if (!works(story, "unmapped"))
		return false;
	return held("%lu MiB in 16 pieces under the attached device; one unmapped, then all",
		    MEMORY_BYTES / MIB);
}

bool story_replace(struct story *story)
{
	struct vfio_device *device = &story->serial.device;
	const __u32 old_id = story->ioas_id;
	__u32 new_id;
	int old_gone;
	int error;

	error = map_in_pieces(story, MEMORY_BYTES / 4);
	if (!error)
		error = ioas_alloc(story->iommufd, &new_id);
	if (!error)
		error = ioas_copy_at(story->iommufd, new_id, MEMORY_IOVA,
				     old_id, MEMORY_IOVA, MEMORY_BYTES,
				     DMA_READ_WRITE);
	if (error)
		return failed("a second address space: %s", error_name(error));
	error = vfio_attach(device, new_id);
	if (error)
		return failed("%s", error_name(error));
	old_gone = iommufd_destroy(story->iommufd, old_id);
	if (old_gone)
		return failed("destroying what it came from: %s",
			      error_name(old_gone));
	story->ioas_id = new_id;
	error = ioas_unmap_everything(story->iommufd, new_id);
	if (error)
		return failed("unmapping: %s", error_name(error));
	if (!at_rest(story, story->iommufd, 2, "replaced") ||
	    !works(story, "replaced"))
		return false;
	return held("from address space %u, which could then be destroyed, to %u",
		    old_id, new_id);
}

static int attach_and_stay(struct story *story, __u32 id)
{
	return vfio_attach(&story->serial.device, id);
}

bool story_refusals(struct story *story)
{
	const int iommufd = story->iommufd;
	const __u32 id = story->serial.device.id;
	__u32 odd_id = 0, hwpt_id, info_bytes = 0, type;
	int odd_alloc = ioas_alloc(iommufd, &odd_id);
	int odd_map = map_odd(story, odd_id);
	/* None of them depends on another, in whatever order they run. */
	const struct refusal {
		const char *what;
		int answer;
		int wanted;
	} refusals[] = {
		{ "one more address space", odd_alloc, 0 },
		{ "an odd mapping in it", odd_map, 0 },
		{ "replacing with it", attach_and_stay(story, odd_id), -EADDRINUSE },
		{ "attaching to an id that is not there",
		  attach_and_stay(story, 0x7ffffff0), -ENOENT },
		{ "attaching to its own id", attach_and_stay(story, id), -ENOENT },
		{ "attaching to id 0", attach_and_stay(story, 0), -ENOENT },
		{ "destroying the device", iommufd_destroy(iommufd, id), -EBUSY },
		{ "destroying its address space",
		  iommufd_destroy(iommufd, story->ioas_id), -EBUSY },
		{ "a page table for it",
		  hwpt_alloc(iommufd, id, story->ioas_id, &hwpt_id), -ENOENT },
		{ "the IOMMU of it",
		  get_hw_info(iommufd, id, NULL, &info_bytes, &type), -ENOENT },
		{ "mapping into its id",
		  ioas_map_at(iommufd, id, story->memory, PAGE_BYTES, MEMORY_IOVA,
			      DMA_READ_WRITE), -ENOENT },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(refusals); i++)
		if (refusals[i].answer != refusals[i].wanted)
			return failed("%s: %s, want %s", refusals[i].what,
				      error_name(refusals[i].answer),
				      error_name(refusals[i].wanted));
	iommufd_destroy(iommufd, odd_id);
	if (!at_rest(story, iommufd, 2, "after the refusals") ||
	    !works(story, "after the refusals"))
		return false;
	return held("%zu wrong requests, each answered with its errno; the device is where it was",
		    i - 2);
}

bool story_busy(struct story *story)
{
	struct vfio_device *device = &story->serial.device;
	int attached, detached, again;
	int error;

	attached = iommufd_destroy(story->iommufd, story->ioas_id);
	error = vfio_detach(device);
	if (error)
		return failed("detaching: %s", error_name(error));
	again = vfio_detach(device);
	detached = iommufd_destroy(story->iommufd, story->ioas_id);
	if (attached != -EBUSY || detached || again)
		return failed("destroying: attached %s, detached %s; detach again: %s",
			      error_name(attached), error_name(detached),
			      error_name(again));
	if (!at_rest(story, story->iommufd, 1, "detached") ||
	    !works(story, "detached"))
		return false;
	error = ioas_alloc(story->iommufd, &story->ioas_id);
	if (!error)
		error = vfio_attach(device, story->ioas_id);
	if (error)
		return failed("to a new one: %s", error_name(error));
	return held("DESTROY of its address space: EBUSY while attached, done when detached");
}
