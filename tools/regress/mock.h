/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mock devices: their IOMMU can do what none that is emulated here can. All
 * return 0 or a negative errno.
 */
#ifndef REGRESS_MOCK_H
#define REGRESS_MOCK_H

#include <stdbool.h>
#include <linux/types.h>

struct mock {
	int iommufd;
	__u32 stdev_id;		/* for the test commands */
	__u32 device_id;
	__u32 hwpt_id;		/* what it is attached to */
};

/* A device that is attached to an address space. */
int mock_open(struct mock *mock, int iommufd, __u32 ioas_id);
int mock_close(struct mock *mock);

/* Move it to a page table with a flag, and with a fault queue if that is not 0. */
int mock_use_hwpt(struct mock *mock, __u32 ioas_id, __u32 flags, __u32 fault_id);
/* Let it miss a page. */
int mock_fault(struct mock *mock, __u32 group);
/* Let it write to what a bitmap of pages says. */
int mock_write(struct mock *mock, __u64 iova, __u64 length_bytes, void *bitmap);

int fault_queue_alloc(int iommufd, __u32 *fault_id, int *fd);
int set_dirty_tracking(struct mock *mock, bool enable);
int get_dirty_bitmap(struct mock *mock, __u64 iova, __u64 length_bytes,
		     void *bitmap);

#endif
