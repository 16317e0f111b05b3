// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <unistd.h>

#include "edu.h"
#include "mmio.h"

#define EDU_IDENTIFICATION		0x00
#define EDU_IDENTIFICATION_VALUE	0x010000ed
#define EDU_LIVENESS			0x04
#define EDU_INTERRUPT_STATUS		0x24
#define EDU_INTERRUPT_RAISE		0x60
#define EDU_INTERRUPT_ACKNOWLEDGE	0x64
#define EDU_DMA_SOURCE			0x80
#define EDU_DMA_DESTINATION		0x88
#define EDU_DMA_NR_BYTES		0x90
#define EDU_DMA_COMMAND			0x98

#define EDU_DMA_RUN			0x1
#define EDU_DMA_TO_MEMORY		0x2
#define EDU_DMA_INTERRUPT		0x4

#define EDU_BUFFER			0x40000

#define POLL_US				500
#define TIMEOUT_US			(10 * 1000 * 1000)

static __u32 read32(struct vfio_device *device, unsigned int offset)
{
	return mmio_read32(device->bar0 + offset);
}

static void write32(struct vfio_device *device, unsigned int offset,
		    __u32 value)
{
	mmio_write32(device->bar0 + offset, value);
}

static void write64(struct vfio_device *device, unsigned int offset,
		    __u64 value)
{
	mmio_write64(device->bar0 + offset, value);
}

int edu_wait(struct vfio_device *device)
{
	unsigned int waited_us;

	for (waited_us = 0; waited_us < TIMEOUT_US; waited_us += POLL_US) {
		if (!(read32(device, EDU_DMA_COMMAND) & EDU_DMA_RUN))
			return 0;
		usleep(POLL_US);
	}
	return -ETIMEDOUT;
}

int edu_start(struct vfio_device *device)
{
	const __u32 probe = 0x12345678;

	if (read32(device, EDU_IDENTIFICATION) != EDU_IDENTIFICATION_VALUE)
		return -ENODEV;
	write32(device, EDU_LIVENESS, probe);
	if (read32(device, EDU_LIVENESS) != ~probe)
		return -EIO;
	return edu_wait(device);
}

static int begin_transfer(struct vfio_device *device, __u64 source,
			  __u64 destination, __u32 nr_bytes, __u32 command)
{
	if (!nr_bytes || nr_bytes > EDU_TRANSFER_BYTES_MAX)
		return -EINVAL;

	write64(device, EDU_DMA_SOURCE, source);
	write64(device, EDU_DMA_DESTINATION, destination);
	write64(device, EDU_DMA_NR_BYTES, nr_bytes);
	write64(device, EDU_DMA_COMMAND, command | EDU_DMA_RUN);
	return 0;
}

static int transfer(struct vfio_device *device, __u64 source,
		    __u64 destination, __u32 nr_bytes, __u32 command)
{
	int error = begin_transfer(device, source, destination, nr_bytes,
				   command);

	return error ? error : edu_wait(device);
}

int edu_read_memory(struct vfio_device *device, __u64 iova, __u32 nr_bytes)
{
	return transfer(device, iova, EDU_BUFFER, nr_bytes, 0);
}

int edu_write_memory(struct vfio_device *device, __u64 iova, __u32 nr_bytes)
{
	return transfer(device, EDU_BUFFER, iova, nr_bytes, EDU_DMA_TO_MEMORY);
}

int edu_begin_read_memory(struct vfio_device *device, __u64 iova,
			  __u32 nr_bytes)
{
	return begin_transfer(device, iova, EDU_BUFFER, nr_bytes, 0);
}

int edu_begin_write_memory(struct vfio_device *device, __u64 iova,
			   __u32 nr_bytes)
{
	return begin_transfer(device, EDU_BUFFER, iova, nr_bytes,
			      EDU_DMA_TO_MEMORY);
}

int edu_write_memory_interrupt(struct vfio_device *device, __u64 iova,
			       __u32 nr_bytes)
{
	return transfer(device, EDU_BUFFER, iova, nr_bytes,
			EDU_DMA_TO_MEMORY | EDU_DMA_INTERRUPT);
}

void edu_raise_interrupt(struct vfio_device *device, __u32 bits)
{
	write32(device, EDU_INTERRUPT_RAISE, bits);
}

__u32 edu_interrupt_status(struct vfio_device *device)
{
	return read32(device, EDU_INTERRUPT_STATUS);
}

void edu_acknowledge_interrupt(struct vfio_device *device, __u32 bits)
{
	write32(device, EDU_INTERRUPT_ACKNOWLEDGE, bits);
}
