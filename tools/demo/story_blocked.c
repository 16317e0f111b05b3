// SPDX-License-Identifier: GPL-2.0
/*
 * What must not work. Each step first shows that the same DMA does reach memory
 * while it may. That DMA was blocked shows in memory and in the device's
 * buffer, with any IOMMU; the drivers of VT-d and SMMUv3 also write about it.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "demo.h"
#include "edu.h"
#include "iommufd.h"

/* Within a page: the IOMMU reports a fault once for each page. */
#define BLOCKED_OFFSET	0x230
#define BLOCKED_BYTES	64

static enum fault_log fault_log(const struct demo *demo)
{
	switch (demo->iommu) {
	case IOMMU_INTEL:
		return FAULT_LOG_VTD;
	case IOMMU_SMMUV3:
		return FAULT_LOG_SMMUV3;
	default:
		return FAULT_LOG_NONE;
	}
}

/* A detached device's DMA is aborted by an SMMUv3 without any event. */
static enum fault_log fault_log_detached(const struct demo *demo)
{
	enum fault_log log = fault_log(demo);

	return log == FAULT_LOG_SMMUV3 ? FAULT_LOG_NONE : log;
}

static const char *fault_text(enum fault_log log)
{
	switch (log) {
	case FAULT_LOG_VTD:
		return "; VT-d's fault line names it";
	case FAULT_LOG_SMMUV3:
		return "; SMMUv3's event names it";
	default:
		return "";
	}
}

/*
 * The engine, which holds some other pattern, writes to @page; the page must
 * hold pattern @kept before and after. @what completes the sentence.
 */
static bool write_is_blocked(struct demo *demo, const char *page, __u64 iova,
			     unsigned int kept, const char *what)
{
	struct fault_watch watch = {
		.log = fault_log(demo),
		.kmsg_path = demo->kmsg_path,
	};
	int error = fault_watch_begin(&watch);

	if (error)
		return failed("the kernel log: %s", error_name(error));
	error = engine_write_pattern(demo, iova + BLOCKED_OFFSET,
				     BLOCKED_BYTES, ~kept);
	if (error)
		return failed("%s: a transfer: %s", what, error_name(error));
	if (!pattern_holds(page + BLOCKED_OFFSET, BLOCKED_BYTES, kept))
		return failed("%s: the device wrote to memory", what);
	if (!fault_watch_end(&watch, demo->edu_device.address, iova))
		return failed("%s: no fault line in the kernel log", what);
	return true;
}

/* The other way round: the control. */
static bool write_lands(struct demo *demo, const char *page, __u64 iova,
			unsigned int seed, const char *what)
{
	int error = engine_write_pattern(demo, iova + BLOCKED_OFFSET,
					 BLOCKED_BYTES, seed);

	if (error)
		return failed("%s: a transfer: %s", what, error_name(error));
	if (!pattern_holds(page + BLOCKED_OFFSET, BLOCKED_BYTES, seed))
		return failed("%s: DMA did not reach memory", what);
	return true;
}

/*
 * Reads one page and writes another: QEMU answers a write that hits what an
 * earlier read left in its IOTLB without reporting a fault.
 */
bool story_read_only(struct demo *demo)
{
	char *read_page = memory_new(2 * PAGE_BYTES);
	char *write_page = read_page + PAGE_BYTES;
	int error, holds;

	pattern_fill(read_page + BLOCKED_OFFSET, BLOCKED_BYTES, 40);
	pattern_fill(write_page + BLOCKED_OFFSET, BLOCKED_BYTES, 41);
	error = ioas_map_at(demo->iommufd, demo->ioas_id, read_page,
			    2 * PAGE_BYTES, STEP_IOVA, DMA_READ_ONLY);
	if (error)
		return failed("mapping: %s", error_name(error));

	error = edu_read_memory(&demo->edu_device, STEP_IOVA + BLOCKED_OFFSET,
				BLOCKED_BYTES);
	holds = error ? error : engine_holds(demo, BLOCKED_BYTES, 40);
	if (holds < 0)
		return failed("a transfer: %s", error_name(holds));
	if (!holds)
		return failed("the device could not read what it may read");
	if (!write_is_blocked(demo, write_page, STEP_IOVA + PAGE_BYTES, 41,
			      "mapped read-only"))
		return false;

	error = ioas_unmap_exactly(demo->iommufd, demo->ioas_id, STEP_IOVA,
				   2 * PAGE_BYTES);
	if (error)
		return failed("unmapping: %s", error_name(error));
	memory_free(read_page, 2 * PAGE_BYTES);
	return held("the engine reads the memory; what it writes does not arrive%s",
		    fault_text(fault_log(demo)));
}

bool story_unmapped(struct demo *demo)
{
	char *page = memory_new(PAGE_BYTES);
	int error;

	error = ioas_map_at(demo->iommufd, demo->ioas_id, page, PAGE_BYTES,
			    STEP_IOVA, DMA_READ_WRITE);
	if (error)
		return failed("mapping: %s", error_name(error));
	if (!write_lands(demo, page, STEP_IOVA, 50, "while mapped"))
		return false;
	error = ioas_unmap_exactly(demo->iommufd, demo->ioas_id, STEP_IOVA,
				   PAGE_BYTES);
	if (error)
		return failed("unmapping: %s", error_name(error));
	if (!write_is_blocked(demo, page, STEP_IOVA, 50, "after unmapping"))
		return false;
	memory_free(page, PAGE_BYTES);
	return held("a write arrives while the page is mapped, not after it is unmapped%s",
		    fault_text(fault_log(demo)));
}

/*
 * A detached engine can neither be loaded nor asked what it holds. So it is
 * loaded before, told to write and to read while detached, and asked after.
 */
static bool detached_dma(struct demo *demo, const char *page)
{
	struct fault_watch watch = {
		.log = fault_log_detached(demo),
		.kmsg_path = demo->kmsg_path,
	};
	const __u64 iova = STEP_IOVA + BLOCKED_OFFSET;
	struct vfio_device *edu = &demo->edu_device;
	int error = fault_watch_begin(&watch);

	if (error)
		return failed("the kernel log: %s", error_name(error));
	error = edu_write_memory(edu, iova, BLOCKED_BYTES);
	if (error)
		return failed("a write: %s", error_name(error));
	if (!pattern_holds(page + BLOCKED_OFFSET, BLOCKED_BYTES, 60))
		return failed("the device wrote to memory");
	if (!fault_watch_end(&watch, edu->address, STEP_IOVA))
		return failed("a write: no fault line in the kernel log");
	error = edu_read_memory(edu, iova, BLOCKED_BYTES);
	if (error)
		return failed("a read: %s", error_name(error));
	return true;
}

bool story_detached(struct demo *demo)
{
	char *page = memory_new(PAGE_BYTES);
	int error, holds;

	error = ioas_map_at(demo->iommufd, demo->ioas_id, page, PAGE_BYTES,
			    STEP_IOVA, DMA_READ_WRITE);
	if (error)
		return failed("mapping: %s", error_name(error));
	if (!write_lands(demo, page, STEP_IOVA, 60, "while attached"))
		return false;
	error = engine_load(demo, BLOCKED_BYTES, 61);
	if (!error)
		error = vfio_detach(&demo->edu_device);
	if (error)
		return failed("detaching: %s", error_name(error));

	if (!detached_dma(demo, page))
		return false;

	error = vfio_attach(&demo->edu_device, demo->ioas_id);
	if (error)
		return failed("attaching again: %s", error_name(error));
	holds = engine_holds(demo, BLOCKED_BYTES, 60);
	if (holds < 0)
		return failed("a transfer: %s", error_name(holds));
	if (holds)
		return failed("the device read memory");
	if (!write_lands(demo, page, STEP_IOVA, 62, "attached again"))
		return false;

	error = ioas_unmap_exactly(demo->iommufd, demo->ioas_id, STEP_IOVA,
				   PAGE_BYTES);
	if (error)
		return failed("unmapping: %s", error_name(error));
	memory_free(page, PAGE_BYTES);
	return held("the engine neither writes nor reads memory%s; attached again it does",
		    fault_text(fault_log_detached(demo)));
}

/*
 * The second device behind the same IOMMU. That the command ends with success
 * or with an error is the disk's own affair; QEMU's does not notice.
 */
bool story_disk_blocked(struct demo *demo)
{
	struct nvme *nvme = &demo->nvme;
	char *page = memory_new(PAGE_BYTES);
	int error;

	if (!nvme->nr_blocks)
		return failed("the disk was not identified");
	error = ioas_map_at(demo->iommufd, demo->ioas_id, page, PAGE_BYTES,
			    STEP_IOVA, DMA_READ_WRITE);
	if (error)
		return failed("mapping: %s", error_name(error));
	memset(page, 0x77, PAGE_BYTES);
	error = nvme_read(nvme, 0, STEP_IOVA, PAGE_BYTES);
	if (error)
		return failed("reading while mapped: 0x%x", error);
	if (!memcmp(page, page + 1, PAGE_BYTES - 1))
		return failed("nothing was read while the page was mapped");

	error = ioas_unmap_exactly(demo->iommufd, demo->ioas_id, STEP_IOVA,
				   PAGE_BYTES);
	if (error)
		return failed("unmapping: %s", error_name(error));
	pattern_fill(page, PAGE_BYTES, 65);
	error = nvme_read(nvme, 0, STEP_IOVA, PAGE_BYTES);
	if (error < 0)
		return failed("reading after unmapping: %s", error_name(error));
	if (!pattern_holds(page, PAGE_BYTES, 65))
		return failed("the disk wrote to memory after unmapping");
	error = nvme_read(nvme, 0, MEMORY_IOVA, PAGE_BYTES);
	if (error)
		return failed("the disk does not work any more: 0x%x", error);
	memory_free(page, PAGE_BYTES);
	return held("it reads into a page while that is mapped, not after; it works on elsewhere");
}

/* Structures that no wrapper would send. */
static int map_with(struct demo *demo, __u32 flags, __u32 reserved)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = DMA_READ_WRITE | IOMMU_IOAS_MAP_FIXED_IOVA | flags,
		.ioas_id = demo->ioas_id,
		.__reserved = reserved,
		.user_va = (unsigned long)demo->memory,
		.length = PAGE_BYTES,
		.iova = STEP_IOVA,
	};

	return ioctl(demo->iommufd, IOMMU_IOAS_MAP, &map) ? -errno : 0;
}

static int alloc_with(struct demo *demo, __u32 size_bytes, __u32 trailing)
{
	struct {
		struct iommu_ioas_alloc alloc;
		__u32 trailing;
	} argument = {
		.alloc.size = size_bytes,
		.trailing = trailing,
	};

	return ioctl(demo->iommufd, IOMMU_IOAS_ALLOC, &argument) ? -errno : 0;
}

static int unknown_command(struct demo *demo)
{
	struct iommu_destroy argument = { .size = sizeof(argument) };

	return ioctl(demo->iommufd, _IO(IOMMUFD_TYPE, 0xff), &argument) ?
	       -errno : 0;
}

static int unmap_half(struct demo *demo, __u64 iova)
{
	__u64 length_bytes = MEMORY_BYTES / 2;

	return ioas_unmap(demo->iommufd, demo->ioas_id, iova, &length_bytes);
}

static int map_page(struct demo *demo, __u32 ioas_id, __u64 iova,
		    __u64 length_bytes)
{
	return ioas_map_at(demo->iommufd, ioas_id, demo->memory, length_bytes,
			   iova, DMA_READ_WRITE);
}

bool story_refusals(struct demo *demo)
{
	const struct iommu_iova_range window = interrupt_window(demo);
	const __u32 ioas_id = demo->ioas_id;
	const long pinned = machine_pinned_pages();
	/* None of them depends on another, in whatever order they run. */
	const struct refusal {
		const char *what;
		int answer;
		int wanted;
	} refusals[] = {
		{ "unmapping the first half of a mapping",
		  unmap_half(demo, MEMORY_IOVA), -ENOENT },
		{ "unmapping the second half of a mapping",
		  unmap_half(demo, MEMORY_IOVA + MEMORY_BYTES / 2), -ENOENT },
		{ "unmapping where nothing is",
		  unmap_half(demo, MEMORY_IOVA + MEMORY_BYTES), -ENOENT },
		{ "mapping over a mapping",
		  map_page(demo, ioas_id, MEMORY_IOVA + 2 * PAGE_BYTES, PAGE_BYTES),
		  -EEXIST },
		{ "mapping nothing",
		  map_page(demo, ioas_id, STEP_IOVA, 0), -EINVAL },
		{ "mapping at an odd IOVA",
		  map_page(demo, ioas_id, STEP_IOVA + 1, PAGE_BYTES), -EINVAL },
		{ "mapping where interrupts go",
		  map_page(demo, ioas_id, window.start, PAGE_BYTES), -EINVAL },
		{ "mapping into the last page of where they go",
		  map_page(demo, ioas_id, window.last + 1 - PAGE_BYTES,
			   2 * PAGE_BYTES), -EINVAL },
		{ "copying to where they go",
		  ioas_copy_at(demo->iommufd, ioas_id, window.start, ioas_id,
			       MEMORY_IOVA, PAGE_BYTES, DMA_READ_WRITE),
		  -EINVAL },
		{ "unmapping where they go",
		  ioas_unmap_exactly(demo->iommufd, ioas_id, window.start,
				     PAGE_BYTES), -ENOENT },
		{ "mapping past the last address",
		  map_page(demo, ioas_id, -PAGE_BYTES, 2 * PAGE_BYTES),
		  -EOVERFLOW },
		{ "mapping into an id that is not there",
		  map_page(demo, 0x7ffffff0, STEP_IOVA, PAGE_BYTES), -ENOENT },
		{ "mapping into a device's id",
		  map_page(demo, demo->edu_device.id, STEP_IOVA, PAGE_BYTES),
		  -ENOENT },
		{ "an unknown flag", map_with(demo, 1 << 31, 0), -EOPNOTSUPP },
		{ "a reserved field", map_with(demo, 0, 1), -EOPNOTSUPP },
		{ "a structure too short",
		  alloc_with(demo, sizeof(__u32), 0), -EINVAL },
		{ "a structure with something unknown at its end",
		  alloc_with(demo, sizeof(struct iommu_ioas_alloc) + 4, 1),
		  -E2BIG },
		{ "an unknown command", unknown_command(demo), -ENOTTY },
		{ "destroying the address space in use",
		  iommufd_destroy(demo->iommufd, ioas_id), -EBUSY },
		{ "destroying an id that is not there",
		  iommufd_destroy(demo->iommufd, 0x7ffffff0), -ENOENT },
		{ "attaching to an id that is not there",
		  vfio_attach(&demo->edu_device, 0x7ffffff0), -ENOENT },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(refusals); i++)
		if (refusals[i].answer != refusals[i].wanted)
			return failed("%s: %s, want %s", refusals[i].what,
				      error_name(refusals[i].answer),
				      error_name(refusals[i].wanted));
	if (machine_pinned_pages() != pinned)
		return failed("after %zu refusals %ld pages are pinned, before %ld",
			      i, machine_pinned_pages(), pinned);
	if (!write_lands(demo, demo->memory + WORK_OFFSET,
			 MEMORY_IOVA + WORK_OFFSET, 70, "after the refusals"))
		return false;
	return held("%zu wrong requests, each answered with its errno; pins and DMA as before",
		    i);
}
