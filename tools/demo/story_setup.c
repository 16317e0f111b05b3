// SPDX-License-Identifier: GPL-2.0
/*
 * From two files to devices whose DMA is translated.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"
#include "edu.h"
#include "iommufd.h"

bool story_open(struct demo *demo)
{
	int error;

	demo->pinned_pages_before = machine_pinned_pages();
	demo->iommufd = iommufd_open();
	if (demo->iommufd < 0)
		return failed("/dev/iommu: %s", error_name(demo->iommufd));
	error = vfio_open(&demo->nvme_device);
	if (error)
		return failed("the cdev of %s: %s", demo->nvme_device.address,
			      error_name(error));
	error = vfio_open(&demo->edu_device);
	if (error)
		return failed("the cdev of %s: %s", demo->edu_device.address,
			      error_name(error));
	return held("/dev/iommu; /dev/vfio/devices/%s is the disk, %s the DMA engine",
		    demo->nvme_device.name, demo->edu_device.name);
}

static int bind(struct vfio_device *device, int iommufd)
{
	int error = vfio_bind(device, iommufd);

	if (!error)
		error = vfio_map_bar0(device);
	if (!error)
		error = vfio_enable_bus_master(device);
	return error;
}

int edu_open_and_bind(struct demo *demo, int iommufd)
{
	int error = vfio_open(&demo->edu_device);

	if (!error)
		error = bind(&demo->edu_device, iommufd);
	return error;
}

/* Whether devices may be bound that can raise any interrupt; an errno. */
static int set_allow_unsafe(bool allow, char *before)
{
	const char value = allow ? 'Y' : 'N';
	int fd, error = 0;

	fd = open("/sys/module/iommufd/parameters/allow_unsafe_interrupts",
		  O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (before && pread(fd, before, 1, 0) != 1)
		error = -EIO;
	if (!error && pwrite(fd, &value, 1, 0) != 1)
		error = -errno;
	close(fd);
	return error;
}

/*
 * Behind virtio-iommu a device could raise any interrupt of the host by a DMA to
 * the right address; the others look at each interrupt.
 */
bool story_isolated(struct demo *demo)
{
	const int wanted = demo->iommu == IOMMU_VIRTIO ? -EPERM : 0;
	struct vfio_device edu = {
		.address = demo->edu_device.address,
		.fd = -1,
	};
	int error, careful = 0, careless = 0;
	char before;

	error = set_allow_unsafe(false, &before);
	if (error)
		return failed("the module's parameter: %s", error_name(error));
	error = vfio_open(&edu);
	if (!error) {
		careful = vfio_bind(&edu, demo->iommufd);
		set_allow_unsafe(true, NULL);
		/* What is bound is not bound again. */
		if (careful)
			careless = vfio_bind(&edu, demo->iommufd);
		vfio_close(&edu);
	}
	set_allow_unsafe(before == 'Y', NULL);
	if (error)
		return failed("opening the DMA engine: %s", error_name(error));
	if (careful != wanted || careless)
		return failed("binding: %s, want %s; with unsafe interrupts allowed: %s",
			      error_name(careful), error_name(wanted),
			      error_name(careless));
	if (wanted)
		return held("interrupts are not isolated: EPERM unless allow_unsafe_interrupts=Y");
	return held("interrupts are isolated: bound with allow_unsafe_interrupts at N");
}

bool story_bind(struct demo *demo)
{
	struct vfio_device *nvme = &demo->nvme_device;
	struct vfio_device *edu = &demo->edu_device;
	int error;

	error = bind(nvme, demo->iommufd);
	if (error)
		return failed("the disk: %s", error_name(error));
	error = bind(edu, demo->iommufd);
	if (error)
		return failed("the DMA engine: %s", error_name(error));
	if (!nvme->id || !edu->id || nvme->id == edu->id)
		return failed("device ids %u and %u: want two, none of them 0",
			      nvme->id, edu->id);
	error = edu_start(edu);
	if (error)
		return failed("the DMA engine's registers: %s",
			      error_name(error));
	return held("the disk is device %u here, the DMA engine device %u; registers mapped",
		    nvme->id, edu->id);
}

bool story_bind_twice(struct demo *demo)
{
	struct vfio_device second = {
		.address = demo->edu_device.address,
		.fd = -1,
	};
	int again, elsewhere;
	int other_iommufd;
	int error;

	again = vfio_bind(&demo->edu_device, demo->iommufd);
	if (again != -EINVAL)
		return failed("the same file bound again: %s, want EINVAL",
			      error_name(again));

	error = vfio_open(&second);
	if (error)
		return failed("a second file of the device: %s",
			      error_name(error));
	other_iommufd = iommufd_open();
	if (other_iommufd < 0)
		return failed("a second context: %s",
			      error_name(other_iommufd));
	elsewhere = vfio_bind(&second, other_iommufd);
	vfio_close(&second);
	close(other_iommufd);
	if (elsewhere != -EINVAL)
		return failed("bound to a second context: %s, want EINVAL",
			      error_name(elsewhere));
	return held("again: refused, to this context and to a second one (EINVAL)");
}

/* Bits of registers, from the architecture's chapter 6.3. */
#define IDR0_STAGE_1		0x2
#define IDR5_PAGES_OF_4K	0x10

bool story_hw_info(struct demo *demo)
{
	/* Longer than any kernel's answer: the rest has to come back zero. */
	union {
		struct iommu_hw_info_vtd vtd;
		struct iommu_hw_info_amd amd;
		struct iommu_hw_info_arm_smmuv3 smmuv3;
		unsigned char bytes[256];
	} data;
	__u32 data_bytes = sizeof(data);
	size_t i;
	__u32 type;
	int error;

	memset(&data, 0xa5, sizeof(data));
	error = get_hw_info(demo->iommufd, demo->edu_device.id, &data,
			    &data_bytes, &type);
	if (error)
		return failed("GET_HW_INFO: %s", error_name(error));
	for (i = data_bytes; i < sizeof(data); i++)
		if (data.bytes[i])
			return failed("byte %zu after the answer of %u is 0x%02x, want 0",
				      i, data_bytes, data.bytes[i]);

	switch (demo->iommu) {
	case IOMMU_INTEL:
		if (type != IOMMU_HW_INFO_TYPE_INTEL_VTD ||
		    data_bytes < sizeof(data.vtd) || !data.vtd.cap_reg)
			return failed("type %u, %u bytes, capabilities 0x%llx: want VT-d's",
				      type, data_bytes, data.vtd.cap_reg);
		return held("VT-d, capabilities 0x%llx and 0x%llx, addresses of %llu bits",
			    data.vtd.cap_reg, data.vtd.ecap_reg,
			    ((data.vtd.cap_reg >> 16) & 0x3f) + 1);
	case IOMMU_AMD:
		if (type != IOMMU_HW_INFO_TYPE_AMD ||
		    data_bytes < sizeof(data.amd) || !data.amd.efr)
			return failed("type %u, %u bytes, features 0x%llx: want AMD's",
				      type, data_bytes, data.amd.efr);
		return held("AMD-Vi, extended features 0x%llx and 0x%llx",
			    data.amd.efr, data.amd.efr2);
	case IOMMU_SMMUV3:
		if (type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3 ||
		    data_bytes < sizeof(data.smmuv3) ||
		    !(data.smmuv3.idr[0] & IDR0_STAGE_1) ||
		    !(data.smmuv3.idr[5] & IDR5_PAGES_OF_4K))
			return failed("type %u, %u bytes, IDR0 0x%x, IDR5 0x%x: want SMMUv3's",
				      type, data_bytes, data.smmuv3.idr[0],
				      data.smmuv3.idr[5]);
		return held("SMMUv3, IDR0 0x%x, IDR1 0x%x, IDR3 0x%x, IDR5 0x%x",
			    data.smmuv3.idr[0], data.smmuv3.idr[1],
			    data.smmuv3.idr[3], data.smmuv3.idr[5]);
	default:
		if (type != IOMMU_HW_INFO_TYPE_NONE || data_bytes)
			return failed("type %u, %u bytes: virtio-iommu has no answer of its own",
				      type, data_bytes);
		return held("virtio-iommu has nothing to show and says so (type %u, 0 bytes)",
			    type);
	}
}

bool story_ioas(struct demo *demo)
{
	struct iova_ranges ranges;
	int error;

	error = ioas_alloc(demo->iommufd, &demo->ioas_id);
	if (error)
		return failed("IOAS_ALLOC: %s", error_name(error));
	error = ioas_iova_ranges(demo->iommufd, demo->ioas_id, &ranges);
	if (error)
		return failed("IOAS_IOVA_RANGES: %s", error_name(error));
	if (ranges.nr_ranges != 1 || ranges.range[0].start ||
	    ranges.range[0].last != ~0ULL)
		return failed("%u ranges, the first 0x%llx-0x%llx: want one of 64 bits",
			      ranges.nr_ranges, ranges.range[0].start,
			      ranges.range[0].last);
	return held("address space %u is new and has room from 0x0 to 0x%llx",
		    demo->ioas_id, ranges.range[0].last);
}

bool story_map_fixed(struct demo *demo)
{
	int error;

	demo->memory = memory_new(MEMORY_BYTES);
	error = ioas_map_at(demo->iommufd, demo->ioas_id, demo->memory,
			    MEMORY_BYTES, MEMORY_IOVA, DMA_READ_WRITE);
	if (error)
		return failed("%lu MiB at IOVA 0x%lx: %s", MEMORY_BYTES / MIB,
			      MEMORY_IOVA, error_name(error));
	return held("%lu MiB of user memory (%ld MiB in huge pages) at IOVA 0x%lx, our choice",
		    MEMORY_BYTES / MIB, huge_kib(demo->memory) / 1024,
		    MEMORY_IOVA);
}

bool story_map_anywhere(struct demo *demo)
{
	__u64 iova;
	__u64 last;
	int error;

	demo->nvme_memory = memory_new(NVME_MEMORY_BYTES);
	error = ioas_map_anywhere(demo->iommufd, demo->ioas_id,
				  demo->nvme_memory, NVME_MEMORY_BYTES, &iova,
				  DMA_READ_WRITE);
	if (error)
		return failed("%lu KiB anywhere: %s", NVME_MEMORY_BYTES / KIB,
			      error_name(error));
	demo->nvme_memory_iova = iova;
	last = iova + NVME_MEMORY_BYTES - 1;
	if (iova % PAGE_BYTES || last < iova ||
	    (iova < MEMORY_IOVA + MEMORY_BYTES && last >= MEMORY_IOVA))
		return failed("the kernel chose IOVA 0x%llx, which is unaligned or taken",
			      iova);
	return held("%lu KiB for the disk's queues at IOVA 0x%llx, the kernel's choice",
		    NVME_MEMORY_BYTES / KIB, iova);
}

bool story_attach(struct demo *demo)
{
	int error;

	error = vfio_attach(&demo->nvme_device, demo->ioas_id);
	if (error)
		return failed("the disk: %s", error_name(error));
	error = vfio_attach(&demo->edu_device, demo->ioas_id);
	if (error)
		return failed("the DMA engine: %s", error_name(error));
	return held("disk and DMA engine to address space %u",
		    demo->ioas_id);
}

static bool inside_a_range(const struct iova_ranges *ranges, __u64 iova,
			   __u64 nr_bytes)
{
	__u32 i;

	for (i = 0; i < ranges->nr_ranges; i++)
		if (iova >= ranges->range[i].start &&
		    iova + nr_bytes - 1 <= ranges->range[i].last)
			return true;
	return false;
}

static void ranges_text(const struct iova_ranges *ranges, char *text,
			size_t text_bytes)
{
	size_t used = 0;
	__u32 i;

	for (i = 0; i < ranges->nr_ranges && used < text_bytes; i++)
		used += snprintf(text + used, text_bytes - used,
				 "%s0x%llx-0x%llx", i ? ", " : "",
				 ranges->range[i].start, ranges->range[i].last);
}

static bool touches_a_range(const struct iova_ranges *ranges,
			    const struct iommu_iova_range *window)
{
	__u32 i;

	for (i = 0; i < ranges->nr_ranges; i++)
		if (window->start <= ranges->range[i].last &&
		    window->last >= ranges->range[i].start)
			return true;
	return false;
}

/* All that lies around it is there. */
static bool left_out_exactly(const struct iova_ranges *ranges,
			     const struct iommu_iova_range *window)
{
	return !touches_a_range(ranges, window) &&
	       inside_a_range(ranges, window->start - PAGE_BYTES, PAGE_BYTES) &&
	       inside_a_range(ranges, window->last + 1, PAGE_BYTES);
}

/*
 * On x86 an interrupt is a write that the IOMMU tells from others by where it
 * goes, and does not translate. On arm64 it is a write like any other, to the
 * doorbell of an interrupt controller; software chooses where in this window
 * the device sees the doorbell, and maps it there.
 */
struct iommu_iova_range interrupt_window(const struct demo *demo)
{
	if (demo->iommu == IOMMU_SMMUV3)
		return (struct iommu_iova_range){ 0x8000000, 0x80fffff };
	return (struct iommu_iova_range){ 0xfee00000, 0xfeefffff };
}

bool story_ranges(struct demo *demo)
{
	const struct iommu_iova_range window = interrupt_window(demo);
	struct iova_ranges ranges;
	char text[512] = "";
	int error;

	error = ioas_iova_ranges(demo->iommufd, demo->ioas_id, &ranges);
	if (error)
		return failed("IOAS_IOVA_RANGES: %s", error_name(error));
	ranges_text(&ranges, text, sizeof(text));
	if (!left_out_exactly(&ranges, &window))
		return failed("%s: 0x%llx-0x%llx, of interrupts, must be left out, no more",
			      text, window.start, window.last);
	if (!inside_a_range(&ranges, MEMORY_IOVA, MEMORY_BYTES) ||
	    !inside_a_range(&ranges, demo->nvme_memory_iova,
			    NVME_MEMORY_BYTES))
		return failed("%s: what is mapped must be inside", text);
	if (!ranges.alignment || PAGE_BYTES % ranges.alignment)
		return failed("an alignment of %llu bytes", ranges.alignment);
	return held("%s, aligned to %llu bytes; without the interrupts' 0x%llx-0x%llx",
		    text, ranges.alignment, window.start, window.last);
}

bool story_pinned(struct demo *demo)
{
	const long wanted = (MEMORY_BYTES + NVME_MEMORY_BYTES) / PAGE_BYTES;
	long pinned = machine_pinned_pages() - demo->pinned_pages_before;
	long reported;

	if (pinned != wanted)
		return failed("the memory manager counts %ld pages, want %ld",
			      pinned, wanted);
	if (!fdinfo_number(demo->iommufd, "pinned-pages", &reported))
		return held("the memory manager counts %ld pages, each mapped page once",
			    pinned);
	if (reported != wanted)
		return failed("fdinfo says %ld pinned pages, want %ld",
			      reported, wanted);
	return held("the memory manager counts %ld pages, each once; fdinfo says %ld",
		    pinned, reported);
}
