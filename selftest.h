/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mock IOMMU driver as KUnit and the test commands use it; see mock_iommu.c.
 */
#ifndef __IOMMUFD_SELFTEST_H
#define __IOMMUFD_SELFTEST_H

#include <linux/errno.h>
#include <linux/init.h>

struct dma_buf_attachment;
struct phys_vec;

#ifdef CONFIG_IOMMUFD_TEST
#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "iommufd_private.h"

/**
 * struct mock_device - a device behind the mock IOMMU
 * @dev: the device; its count keeps the struct
 * @group_id: devices with the same number that is not 0 share a group; constant
 * @flags: MOCK_FLAGS_DEVICE_*, constant
 * @node: in the list of all mock devices; guarded by the lock of that list
 * @reserved_lock: guards @reserved
 * @reserved: struct mock_reserved, what get_resv_regions reports
 * @lock: guards everything below
 * @fail_countdown: the attach to a paging domain that fails, counted from 1;
 *	0 if none does
 * @fail_error: with what it fails
 * @nr_attaches: attaches to paging domains so far, failed ones included
 * @domain: what the device is attached to, or NULL
 */
struct mock_device {
	struct device dev;
	u32 group_id;
	u32 flags;
	struct list_head node;
	struct mutex reserved_lock; /* guards @reserved */
	struct list_head reserved;
	spinlock_t lock; /* guards what follows */
	unsigned int fail_countdown;
	int fail_error;
	unsigned int nr_attaches;
	struct iommu_domain *domain;
};

/**
 * struct mock_domain - a paging domain of the mock IOMMU
 * @domain: as the IOMMU core sees it
 * @pt: as the generic page table sees it
 * @amdv1: the page table
 * @format: the operations of the page table
 * @counting: the same, but map and unmap are counted first
 * @nr_devices: how many are attached
 * @nr_maps: calls that map a range
 * @nr_unmaps: calls that unmap one
 * @nr_syncs: IOTLB syncs and flushes
 * @dirty_tracking: it is on
 */
struct mock_domain {
	union {
		struct iommu_domain domain;
		struct pt_iommu pt;
		struct pt_iommu_amdv1 amdv1;
	};
	const struct pt_iommu_ops *format;
	struct pt_iommu_ops counting;
	atomic_t nr_devices;
	atomic_long_t nr_maps;
	atomic_long_t nr_unmaps;
	atomic_long_t nr_syncs;
	bool dirty_tracking;
};

struct mock_device *mock_device_create(u32 group_id, u32 flags);
void mock_device_destroy(struct mock_device *mock);
int mock_device_reserve(struct mock_device *mock, struct iova_range range,
			enum iommu_resv_type type);
void mock_device_fail_attach(struct mock_device *mock, unsigned int nth,
			     int error);
struct iommu_domain *mock_device_domain(struct mock_device *mock);
unsigned int mock_device_nr_attaches(struct mock_device *mock);
bool mock_domain_is_blocked(const struct iommu_domain *domain);
struct mock_domain *to_mock_domain(struct iommu_domain *domain);
bool mock_domain_is_mapped(struct iommu_domain *domain,
			   struct iova_range range);

int iommufd_test_init(void);
void iommufd_test_exit(void);
static inline int
iommufd_test_dma_buf_map(struct dma_buf_attachment *attachment,
			 struct phys_vec *phys)
{
	return -EOPNOTSUPP;
}
#else
static inline int
iommufd_test_dma_buf_map(struct dma_buf_attachment *attachment,
			 struct phys_vec *phys)
{
	return -EOPNOTSUPP;
}

static inline int iommufd_test_init(void)
{
	return 0;
}

static inline void iommufd_test_exit(void)
{
}
#endif
#endif
