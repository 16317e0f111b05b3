/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's educational device (docs/specs/edu in QEMU's sources): a DMA engine
 * that copies between memory and a buffer of 4 KiB inside the device, and an
 * interrupt.
 */
#ifndef DEMO_EDU_H
#define DEMO_EDU_H

#include "vfio.h"

/* QEMU 7.2 ends itself when a transfer fills the buffer to its last byte. */
#define EDU_TRANSFER_BYTES_MAX 4095

#define EDU_INTERRUPT_BY_DMA 0x100

/* Checks that the device is an edu, alive and idle. */
int edu_start(struct vfio_device *device);

/*
 * Copy from an IOVA into the device's buffer, or from the buffer to an IOVA,
 * and wait until the device says that it is done. A copy that the IOMMU blocks
 * looks the same to the device as one that it lets through.
 */
int edu_read_memory(struct vfio_device *device, __u64 iova, __u32 nr_bytes);
int edu_write_memory(struct vfio_device *device, __u64 iova, __u32 nr_bytes);

/* Start a copy that is still under way on return, for 100 ms or so. */
int edu_begin_read_memory(struct vfio_device *device, __u64 iova,
			  __u32 nr_bytes);
int edu_begin_write_memory(struct vfio_device *device, __u64 iova,
			   __u32 nr_bytes);
/* Wait until the device says that a copy is done. */
int edu_wait(struct vfio_device *device);
/* As edu_write_memory(), ending in an interrupt (EDU_INTERRUPT_BY_DMA). */
int edu_write_memory_interrupt(struct vfio_device *device, __u64 iova,
			       __u32 nr_bytes);

void edu_raise_interrupt(struct vfio_device *device, __u32 bits);
__u32 edu_interrupt_status(struct vfio_device *device);
void edu_acknowledge_interrupt(struct vfio_device *device, __u32 bits);

#endif
