// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that a file descriptor names: a memfd, and a BAR of the disk, which
 * VFIO hands out as a dma-buf and takes back when memory decoding is off.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "demo.h"
#include "iommufd.h"

#define FILE_BYTES	(8 * PAGE_BYTES)
#define TRANSFER_BYTES	500UL

/* Across the edge of two pages, so that both are looked at. */
#define TRANSFER_OFFSET	(3 * PAGE_BYTES - TRANSFER_BYTES / 2)

static bool file_holds(int fd, off_t offset, unsigned int seed)
{
	char bytes[TRANSFER_BYTES];

	return pread(fd, bytes, sizeof(bytes), offset) == sizeof(bytes) &&
	       pattern_holds(bytes, sizeof(bytes), seed);
}

static bool dma_to_memfd(struct demo *demo, int fd)
{
	long pinned = machine_pinned_pages(), now_pinned;
	int error;

	error = ioas_map_file_at(demo->iommufd, demo->ioas_id, fd, 0,
				 FILE_BYTES, STEP_IOVA, DMA_READ_WRITE);
	if (error)
		return failed("IOAS_MAP_FILE: %s", error_name(error));
	now_pinned = machine_pinned_pages();
	if (now_pinned != pinned + (long)(FILE_BYTES / PAGE_BYTES))
		return failed("%ld pages pinned, want %lu more than %ld",
			      now_pinned, FILE_BYTES / PAGE_BYTES, pinned);
	error = engine_write_pattern(demo, STEP_IOVA + TRANSFER_OFFSET,
				     TRANSFER_BYTES, 70);
	if (error)
		return failed("a transfer: %s", error_name(error));
	if (!file_holds(fd, TRANSFER_OFFSET, 70))
		return failed("what the engine wrote is not in the file");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) != -1 || errno != EBUSY)
		return failed("the file was sealed while a device could write it");
	error = ioas_unmap_exactly(demo->iommufd, demo->ioas_id, STEP_IOVA,
				   FILE_BYTES);
	if (error)
		return failed("unmapping: %s", error_name(error));
	if (machine_pinned_pages() != pinned)
		return failed("%ld pages pinned afterwards, want %ld",
			      machine_pinned_pages(), pinned);
	return true;
}

bool story_memfd(struct demo *demo)
{
	int fd = memfd_create("demo", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	int error;

	if (fd < 0 || ftruncate(fd, FILE_BYTES))
		return failed("memfd_create: %s", error_name(-errno));
	if (!dma_to_memfd(demo, fd))
		return false;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE))
		return failed("sealing it: %s", error_name(-errno));
	error = ioas_map_file_at(demo->iommufd, demo->ioas_id, fd, 0,
				 FILE_BYTES, STEP_IOVA, DMA_READ_WRITE);
	if (error != -EPERM)
		return failed("mapping what is sealed: %s, want EPERM",
			      error_name(error));
	close(fd);
	return held("the engine writes into a memfd without any mmap; EPERM once it is sealed");
}

#define BAR_INDEX	VFIO_PCI_BAR2_REGION_INDEX
#define BAR_BYTES	(4 * PAGE_BYTES)

/* A dma-buf over the front of the disk's memory buffer. */
static int bar_dma_buf(struct vfio_device *device)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf dma_buf;
		struct vfio_region_dma_range range;
	} args = {
		.feature = {
			.argsz = sizeof(args),
			.flags = VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_DMA_BUF,
		},
		.dma_buf = {
			.region_index = BAR_INDEX,
			.open_flags = O_RDWR | O_CLOEXEC,
			.nr_ranges = 1,
		},
		.range = { .offset = 0, .length = BAR_BYTES },
	};

	return vfio_feature(device, &args.feature);
}

static bool bar_holds(struct demo *demo, off_t bar, unsigned int seed,
		      const char *when)
{
	if (file_holds(demo->nvme_device.fd, bar + TRANSFER_OFFSET, seed))
		return true;
	return failed("%s: the BAR does not hold what the engine wrote", when);
}

/* Four seconds are the kernel's patience for the buffer to come back. */
static bool wait_for_revoked(struct demo *demo, long wanted)
{
	long nr = -1;
	int i;

	for (i = 0; i < 1000; i++) {
		if (!fdinfo_number(demo->iommufd, "revoked-areas", &nr))
			break;
		if (nr == wanted)
			return true;
		usleep(10000);
	}
	return failed("fdinfo says revoked-areas %ld, want %ld", nr, wanted);
}

static bool revoke_and_come_back(struct demo *demo, off_t bar)
{
	const __u64 iova = STEP_IOVA + TRANSFER_OFFSET;
	int error;

	error = engine_write_pattern(demo, iova, TRANSFER_BYTES, 71);
	if (error)
		return failed("a transfer: %s", error_name(error));
	if (!bar_holds(demo, bar, 71, "mapped"))
		return false;

	error = vfio_set_command(&demo->nvme_device, 0, PCI_COMMAND_MEMORY);
	if (error)
		return failed("turning memory decoding off: %s",
			      error_name(error));
	if (!wait_for_revoked(demo, 1))
		return false;
	error = engine_write_pattern(demo, iova, TRANSFER_BYTES, 72);
	if (!error)
		error = vfio_set_command(&demo->nvme_device,
					 PCI_COMMAND_MEMORY, 0);
	if (error)
		return failed("turning memory decoding on: %s",
			      error_name(error));
	if (!wait_for_revoked(demo, 0) ||
	    !bar_holds(demo, bar, 71, "written while revoked"))
		return false;

	error = engine_write_pattern(demo, iova, TRANSFER_BYTES, 73);
	if (error)
		return failed("a transfer: %s", error_name(error));
	return bar_holds(demo, bar, 73, "mapped again");
}

bool story_bar(struct demo *demo)
{
	struct vfio_region_info info;
	long pinned = machine_pinned_pages();
	int error, fd;

	error = vfio_region(&demo->nvme_device, BAR_INDEX, &info);
	if (error || info.size < BAR_BYTES)
		return skipped("the disk has no memory buffer in a BAR");
	fd = bar_dma_buf(&demo->nvme_device);
	if (fd < 0)
		return failed("VFIO_DEVICE_FEATURE_DMA_BUF: %s",
			      error_name(fd));
	error = ioas_map_file_at(demo->iommufd, demo->ioas_id, fd, 0, BAR_BYTES,
				 STEP_IOVA, DMA_READ_WRITE);
	close(fd);
	if (error)
		return failed("IOAS_MAP_FILE: %s", error_name(error));
	if (machine_pinned_pages() != pinned)
		return failed("pages are pinned for a BAR");
	if (!revoke_and_come_back(demo, info.offset))
		return false;
	error = ioas_unmap_exactly(demo->iommufd, demo->ioas_id, STEP_IOVA,
				   BAR_BYTES);
	if (error)
		return failed("unmapping: %s", error_name(error));
	return held("the engine writes into the disk's BAR; not while decoding is off; then again");
}
