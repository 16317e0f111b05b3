/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The smallest NVMe driver that can move blocks: an admin queue, one I/O queue,
 * one command at a time, completions polled. All its memory is one piece that
 * the caller has mapped for the device.
 *
 * Functions return 0, a negative errno, or the positive NVMe status with which
 * the controller ended the command.
 */
#ifndef DEMO_NVME_H
#define DEMO_NVME_H

#include "vfio.h"

#define NVME_MEMORY_BYTES (64 * 1024)

struct nvme_queue {
	unsigned int id;
	__u32 (*submissions)[16];
	__u32 (*completions)[4];
	__u64 submissions_iova;
	__u64 completions_iova;
	unsigned int tail;	/* where the next submission goes */
	unsigned int head;	/* where the next completion comes */
	unsigned int phase;	/* what marks that completion as new */
};

struct nvme {
	struct vfio_device *device;
	struct nvme_queue admin;
	struct nvme_queue io;
	void *identify_page;
	__u64 identify_iova;
	__u64 *prp_list;
	__u64 prp_list_iova;
	__u16 next_command_id;

	/* what the controller said about itself */
	char model[41];
	char serial[21];
	__u32 block_bytes;
	__u64 nr_blocks;
	__u32 transfer_bytes_max;
};

/* Resets the controller; its queues are in @memory from here on. */
int nvme_start(struct nvme *nvme, struct vfio_device *device, void *memory,
	       __u64 memory_iova);
int nvme_identify(struct nvme *nvme);
int nvme_create_io_queue(struct nvme *nvme);

/* Offsets and lengths are multiples of the block size, IOVAs of a page. */
int nvme_read(struct nvme *nvme, __u64 disk_offset_bytes, __u64 iova,
	      __u64 nr_bytes);
int nvme_write(struct nvme *nvme, __u64 disk_offset_bytes, __u64 iova,
	       __u64 nr_bytes);

/* After this the controller does not touch memory any more. */
int nvme_stop(struct nvme *nvme);

#endif
