// SPDX-License-Identifier: GPL-2.0
/*
 * The DMA engine: copies between memory and its own buffer. Then the same with
 * other ways to give it an address space.
 */
#include <errno.h>
#include <string.h>

#include "demo.h"
#include "edu.h"
#include "iommufd.h"

#define SCRATCH_IOVA	(MEMORY_IOVA + SCRATCH_OFFSET)

int engine_load(struct demo *demo, size_t nr_bytes, unsigned int seed)
{
	pattern_fill(demo->memory + SCRATCH_OFFSET, nr_bytes, seed);
	return edu_read_memory(&demo->edu_device, SCRATCH_IOVA, nr_bytes);
}

int engine_holds(struct demo *demo, size_t nr_bytes, unsigned int seed)
{
	char *scratch = demo->memory + SCRATCH_OFFSET;
	int error;

	pattern_fill(scratch, nr_bytes, ~seed);
	error = edu_write_memory(&demo->edu_device, SCRATCH_IOVA, nr_bytes);
	return error ? error : pattern_holds(scratch, nr_bytes, seed);
}

int engine_write_pattern(struct demo *demo, __u64 iova, size_t nr_bytes,
			 unsigned int seed)
{
	int error = engine_load(demo, nr_bytes, seed);

	if (!error)
		error = edu_write_memory(&demo->edu_device, iova, nr_bytes);
	return error;
}

bool story_dma(struct demo *demo)
{
	const size_t nr_bytes = EDU_TRANSFER_BYTES_MAX;
	const size_t offset = WORK_OFFSET + 0x7ff;
	char *target = demo->memory + offset;
	int error;

	memset(target - 1, 0x11, nr_bytes + 2);
	error = engine_write_pattern(demo, MEMORY_IOVA + offset, nr_bytes, 2);
	if (error)
		return failed("a transfer: %s", error_name(error));
	if (!pattern_holds(target, nr_bytes, 2))
		return failed("what the engine wrote is not what it had read");
	if (target[-1] != 0x11 || target[nr_bytes] != 0x11)
		return failed("the engine wrote more than %zu bytes", nr_bytes);
	return held("%zu bytes from IOVA 0x%lx to 0x%lx across a page's end: equal, none beside",
		    nr_bytes, SCRATCH_IOVA, MEMORY_IOVA + offset);
}

/*
 * Eight IOVA pages in a row lie on eight pages of memory none of which follows
 * the one before. A model of what memory must hold in the end is compared whole.
 *
 * No transfer begins at the last byte of a page: QEMU 7.2's virtio-iommu looks
 * it up as two bytes and may find the mapping after the right one.
 */
#define SCATTERED_PAGES 8
#define SCATTERED_BYTES (SCATTERED_PAGES * PAGE_BYTES)

static size_t scattered_offset(size_t iova_offset)
{
	size_t page = (iova_offset / PAGE_BYTES * 5 + 3) % SCATTERED_PAGES;

	return page * PAGE_BYTES + iova_offset % PAGE_BYTES;
}

static void scattered_copy(char *memory, size_t to, size_t from,
			   size_t nr_bytes)
{
	char buffer[EDU_TRANSFER_BYTES_MAX];
	size_t i;

	for (i = 0; i < nr_bytes; i++)
		buffer[i] = memory[scattered_offset(from + i)];
	for (i = 0; i < nr_bytes; i++)
		memory[scattered_offset(to + i)] = buffer[i];
}

static int scattered_transfers(struct demo *demo, char *memory, char *model,
			       unsigned int *nr_transfers)
{
	static const struct {
		size_t from, to, nr_bytes;
	} transfers[] = {
		{ 0x0123, 0x3ffd, 4095 },
		{ 0x6f9b, 0x1ffe, 777 },
		{ 0x4ffe, 0x6001, 3 },
	};
	size_t i;

	*nr_transfers = 0;
	pattern_fill(memory, SCATTERED_BYTES, 3);
	memcpy(model, memory, SCATTERED_BYTES);
	for (i = 0; i < ARRAY_SIZE(transfers); i++) {
		int error;

		scattered_copy(model, transfers[i].to, transfers[i].from,
			       transfers[i].nr_bytes);
		error = edu_read_memory(&demo->edu_device,
					STEP_IOVA + transfers[i].from,
					transfers[i].nr_bytes);
		if (!error)
			error = edu_write_memory(&demo->edu_device,
						 STEP_IOVA + transfers[i].to,
						 transfers[i].nr_bytes);
		if (error)
			return error;
		++*nr_transfers;
	}
	return 0;
}

bool story_scattered(struct demo *demo)
{
	char *memory = memory_new(2 * SCATTERED_BYTES);
	char *model = memory + SCATTERED_BYTES;
	unsigned int nr_transfers;
	bool equal;
	size_t at;
	int error;

	for (at = 0; at < SCATTERED_BYTES; at += PAGE_BYTES) {
		error = ioas_map_at(demo->iommufd, demo->ioas_id,
				    memory + scattered_offset(at), PAGE_BYTES,
				    STEP_IOVA + at, DMA_READ_WRITE);
		if (error)
			return failed("mapping a page at IOVA 0x%lx: %s",
				      STEP_IOVA + at, error_name(error));
	}
	error = scattered_transfers(demo, memory, model, &nr_transfers);
	if (error)
		return failed("a transfer: %s", error_name(error));
	equal = !memcmp(memory, model, SCATTERED_BYTES);

	error = ioas_unmap_exactly(demo->iommufd, demo->ioas_id, STEP_IOVA,
				   SCATTERED_BYTES);
	if (error)
		return failed("unmapping all the pages at once: %s",
			      error_name(error));
	memory_free(memory, 2 * SCATTERED_BYTES);
	if (!equal)
		return failed("memory is not what the transfers should have made of it");
	return held("%d IOVA pages on shuffled memory: %u odd copies across pages, %lu bytes right",
		    SCATTERED_PAGES, nr_transfers, SCATTERED_BYTES);
}

#define STEP_BYTES	(4 * PAGE_BYTES)
#define SMALL_TRANSFER	100

/* The engine writes; the pattern must be in the one memory, not in the other. */
static bool dma_goes_to(struct demo *demo, const char *there, const char *other,
			unsigned int seed, const char *when)
{
	int error = engine_write_pattern(demo, STEP_IOVA, SMALL_TRANSFER, seed);

	if (error)
		return failed("%s: %s", when, error_name(error));
	if (!pattern_holds(there, SMALL_TRANSFER, seed))
		return failed("%s: DMA did not reach the memory", when);
	if (other && pattern_holds(other, SMALL_TRANSFER, seed))
		return failed("%s: DMA reached the other memory", when);
	return true;
}

/*
 * The engine's own memory, its scratch page, exists in both address spaces:
 * else it could not be loaded while attached to the second.
 */
static int second_ioas(struct demo *demo, __u32 *ioas_id)
{
	int error = ioas_alloc(demo->iommufd, ioas_id);

	if (error)
		return error;
	return ioas_map_at(demo->iommufd, *ioas_id,
			   demo->memory + SCRATCH_OFFSET, PAGE_BYTES,
			   SCRATCH_IOVA, DMA_READ_WRITE);
}

static bool replace(struct demo *demo, __u32 second_id, const char *first,
		    const char *second)
{
	struct vfio_device *edu = &demo->edu_device;
	int error;

	if (!dma_goes_to(demo, first, second, 10, "before"))
		return false;
	error = vfio_attach(edu, second_id);
	if (error)
		return failed("attaching to the second instead: %s",
			      error_name(error));
	if (!dma_goes_to(demo, second, first, 11, "after the replacement"))
		return false;
	error = iommufd_destroy(demo->iommufd, second_id);
	if (error != -EBUSY)
		return failed("destroying the attached address space: %s, want EBUSY",
			      error_name(error));
	error = vfio_attach(edu, demo->ioas_id);
	if (error)
		return failed("attaching back: %s", error_name(error));
	return dma_goes_to(demo, first, second, 12, "after going back");
}

bool story_replace(struct demo *demo)
{
	char *memory = memory_new(2 * STEP_BYTES);
	char *second = memory + STEP_BYTES;
	__u32 second_id;
	int error;

	error = second_ioas(demo, &second_id);
	if (!error)
		error = ioas_map_at(demo->iommufd, demo->ioas_id, memory,
				    STEP_BYTES, STEP_IOVA, DMA_READ_WRITE);
	if (!error)
		error = ioas_map_at(demo->iommufd, second_id, second,
				    STEP_BYTES, STEP_IOVA, DMA_READ_WRITE);
	if (error)
		return failed("two address spaces with IOVA 0x%lx: %s",
			      STEP_IOVA, error_name(error));

	if (!replace(demo, second_id, memory, second))
		return false;

	error = iommufd_destroy(demo->iommufd, second_id);
	if (!error)
		error = ioas_unmap_exactly(demo->iommufd, demo->ioas_id,
					   STEP_IOVA, STEP_BYTES);
	if (error)
		return failed("cleaning up: %s", error_name(error));
	memory_free(memory, 2 * STEP_BYTES);
	return held("address space %u instead of %u, and back: DMA to IOVA 0x%lx follows",
		    second_id, demo->ioas_id, STEP_IOVA);
}

static bool use_hwpt(struct demo *demo, __u32 hwpt_id, char *memory)
{
	int error;

	error = vfio_attach(&demo->edu_device, hwpt_id);
	if (error)
		return failed("attaching to it: %s", error_name(error));
	error = ioas_map_at(demo->iommufd, demo->ioas_id, memory, STEP_BYTES,
			    STEP_IOVA, DMA_READ_WRITE);
	if (error)
		return failed("mapping with it: %s", error_name(error));
	if (!dma_goes_to(demo, memory, NULL, 20, "attached to it"))
		return false;
	error = iommufd_destroy(demo->iommufd, hwpt_id);
	if (error != -EBUSY)
		return failed("destroying it while attached: %s, want EBUSY",
			      error_name(error));
	error = vfio_attach(&demo->edu_device, demo->ioas_id);
	if (error)
		return failed("attaching back: %s", error_name(error));
	return dma_goes_to(demo, memory, NULL, 21, "after going back");
}

bool story_hwpt(struct demo *demo)
{
	char *memory = memory_new(STEP_BYTES);
	__u32 hwpt_id;
	int error;

	error = hwpt_alloc(demo->iommufd, demo->edu_device.id, demo->ioas_id,
			   &hwpt_id);
	if (error)
		return failed("HWPT_ALLOC: %s", error_name(error));
	if (!use_hwpt(demo, hwpt_id, memory))
		return false;

	error = iommufd_destroy(demo->iommufd, hwpt_id);
	if (error)
		return failed("destroying it: %s", error_name(error));
	error = iommufd_destroy(demo->iommufd, hwpt_id);
	if (error != -ENOENT)
		return failed("destroying it again: %s, want ENOENT",
			      error_name(error));
	error = ioas_unmap_exactly(demo->iommufd, demo->ioas_id, STEP_IOVA,
				   STEP_BYTES);
	if (error)
		return failed("unmapping: %s", error_name(error));
	memory_free(memory, STEP_BYTES);
	return held("page table %u of address space %u: old and new mappings; EBUSY while in use",
		    hwpt_id, demo->ioas_id);
}

/* Both copies are of whole mappings; the first brings the scratch page along. */
static int copy_mappings(struct demo *demo, __u32 second_id)
{
	int error;

	error = ioas_copy_at(demo->iommufd, second_id, MEMORY_IOVA,
			     demo->ioas_id, MEMORY_IOVA, MEMORY_BYTES,
			     DMA_READ_WRITE);
	if (error)
		return error;
	return ioas_copy_at(demo->iommufd, second_id, STEP_IOVA, demo->ioas_id,
			    OTHER_STEP_IOVA, STEP_BYTES, DMA_READ_WRITE);
}

static bool use_copy(struct demo *demo, __u32 second_id, const char *memory)
{
	const long nr_pages = STEP_BYTES / PAGE_BYTES;
	long pinned = machine_pinned_pages();
	long now_pinned;
	int error;

	error = copy_mappings(demo, second_id);
	if (error)
		return failed("IOAS_COPY: %s", error_name(error));
	error = vfio_attach(&demo->edu_device, second_id);
	if (error)
		return failed("attaching to the copy: %s", error_name(error));
	now_pinned = machine_pinned_pages();
	if (now_pinned != pinned)
		return failed("%ld pages pinned before the copy, %ld after: want the same pins",
			      pinned, now_pinned);
	if (!dma_goes_to(demo, memory, NULL, 30, "attached to the copy"))
		return false;

	error = ioas_unmap_exactly(demo->iommufd, demo->ioas_id,
				   OTHER_STEP_IOVA, STEP_BYTES);
	if (error)
		return failed("unmapping the original: %s", error_name(error));
	if (!dma_goes_to(demo, memory, NULL, 31, "without the original"))
		return false;

	error = ioas_unmap_exactly(demo->iommufd, second_id, STEP_IOVA,
				   STEP_BYTES);
	if (error)
		return failed("unmapping the copy: %s", error_name(error));
	now_pinned = machine_pinned_pages();
	if (now_pinned != pinned - nr_pages)
		return failed("%ld pages pinned without original and copy, want %ld",
			      now_pinned, pinned - nr_pages);
	return true;
}

bool story_copy(struct demo *demo)
{
	char *memory = memory_new(STEP_BYTES);
	__u32 second_id;
	int error;

	error = ioas_alloc(demo->iommufd, &second_id);
	if (!error)
		error = ioas_map_at(demo->iommufd, demo->ioas_id, memory,
				    STEP_BYTES, OTHER_STEP_IOVA,
				    DMA_READ_WRITE);
	if (error)
		return failed("something to copy: %s", error_name(error));
	if (!use_copy(demo, second_id, memory))
		return false;

	error = vfio_attach(&demo->edu_device, demo->ioas_id);
	if (!error)
		error = iommufd_destroy(demo->iommufd, second_id);
	if (error)
		return failed("cleaning up: %s", error_name(error));
	memory_free(memory, STEP_BYTES);
	return held("0x%lx of address space %u to 0x%lx of %u: pinned once; outlives the original",
		    OTHER_STEP_IOVA, demo->ioas_id, STEP_IOVA, second_id);
}
