/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rest of iommufd knows of the tests, which is nothing without
 * CONFIG_IOMMUFD_TEST, and what the files of the tests share.
 */
#ifndef __IOMMUFD_SELFTEST_H
#define __IOMMUFD_SELFTEST_H

#include <linux/err.h>
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
#include <linux/sizes.h>
#include <linux/spinlock.h>

#include "iommufd_private.h"
#include "iommufd_test.h"

/* The mock IOMMU ---------------------------------------------------------- */

/**
 * struct mock_device - a device behind the mock IOMMU
 * @dev: the device; its count keeps the struct
 * @group_id: devices with the same number that is not 0 share a group; constant
 * @flags: MOCK_FLAGS_DEVICE_*, constant
 * @cache: entries that a guest can invalidate
 * @node: in the list of all mock devices; guarded by the lock of that list
 * @reserved_lock: guards @reserved
 * @reserved: struct mock_reserved, what get_resv_regions reports
 * @lock: guards everything below
 * @fail_countdown: the attach to a paging domain that fails, counted from 1;
 *	0 if none does
 * @fail_error: with what it fails
 * @nr_attaches: attaches to paging domains so far, failed ones included
 * @domain: what the device is attached to, or NULL
 * @nr_responses: answers to its page requests so far
 * @response: the latest of them
 * @nr_iopf_domains: what it is attached to that takes page requests; guarded by
 *	the core's group lock, and so are @pasids
 * @pasids: the domains that PASIDs are attached to
 */
struct mock_device {
	struct device dev;
	u32 group_id;
	u32 flags;
	u32 cache[MOCK_DEV_CACHE_NUM];
	struct list_head node;
	struct mutex reserved_lock; /* guards @reserved */
	struct list_head reserved;
	spinlock_t lock; /* guards what follows */
	unsigned int fail_countdown;
	int fail_error;
	unsigned int nr_attaches;
	struct iommu_domain *domain;
	unsigned int nr_responses;
	struct iommu_page_response response;
	unsigned int nr_iopf_domains;
	struct xarray pasids;
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

/**
 * struct mock_nested_domain - a nested domain of the mock IOMMU
 * @domain: as the IOMMU core sees it
 * @parent: what translates its output
 * @viommu: the vIOMMU that it was made on, or NULL
 * @iotlb: entries that a guest can invalidate; the reader may be a racing
 *	writer, but not one half of one
 */
struct mock_nested_domain {
	struct iommu_domain domain;
	struct mock_domain *parent;
	struct iommufd_viommu *viommu;
	u32 iotlb[MOCK_NESTED_DOMAIN_IOTLB_NUM];
};

/**
 * struct mock_viommu - a vIOMMU of the mock IOMMU
 * @core: as iommufd sees it
 * @parent: the domain that translates what guests' page tables put out
 */
struct mock_viommu {
	struct iommufd_viommu core;
	struct iommu_domain *parent;
};

struct mock_device *mock_device_create(u32 group_id, u32 flags);
void mock_device_destroy(struct mock_device *mock);
int mock_device_reserve(struct mock_device *mock, struct iova_range range,
			enum iommu_resv_type type);
void mock_device_fail_attach(struct mock_device *mock, unsigned int nth,
			     int error);
struct iommu_domain *mock_device_domain(struct mock_device *mock);
struct iommu_domain *mock_device_pasid_domain(struct mock_device *mock,
					      ioasid_t pasid);
unsigned int mock_device_nr_attaches(struct mock_device *mock);
int mock_device_report_fault(struct mock_device *mock,
			     const struct iommu_fault_page_request *request);
unsigned int mock_device_responses(struct mock_device *mock,
				   struct iommu_page_response *latest);
bool mock_domain_is_blocked(const struct iommu_domain *domain);
struct mock_device *mock_device_of(struct device *dev);
struct mock_domain *to_mock_domain(struct iommu_domain *domain);
bool mock_domain_is_mock(const struct iommu_domain *domain);
int mock_domain_set_dirty(struct iommu_domain *domain, unsigned long iova);
struct mock_nested_domain *mock_nested_of(struct iommu_domain *domain);
struct iommu_domain *mock_nested_new(struct iommu_domain *parent, u32 flags,
				     const struct iommu_user_data *user_data);
size_t mock_get_viommu_size(struct device *dev, enum iommu_viommu_type type);
int mock_viommu_init(struct iommufd_viommu *viommu,
		     struct iommu_domain *parent,
		     const struct iommu_user_data *user_data);
bool mock_domain_is_mapped(struct iommu_domain *domain,
			   struct iova_range range);
int iommufd_test_init(void);
void iommufd_test_exit(void);

/* Test commands ----------------------------------------------------------- */

/* What one command works on at most: selftests have buffers of a few MiB. */
#define TEST_BYTES_MAX SZ_64M

/**
 * struct user_page_visitor - looks at the pages of user memory
 * @visit: called with some pages at a time, in order; not 0 ends the walk
 */
struct user_page_visitor {
	int (*visit)(struct user_page_visitor *visitor, struct page **pages,
		     unsigned int nr);
};

int iommufd_test_visit_pages(u64 address, u64 length_bytes,
			     struct user_page_visitor *visitor);

int iommufd_test(struct iommufd_command *command);
void iommufd_test_destroy_object(struct iommufd_object *object);
int iommufd_test_create_access(struct iommufd_command *command);
int iommufd_test_access_pages(struct iommufd_command *command);
int iommufd_test_destroy_access_pages(struct iommufd_command *command);
int iommufd_test_access_rw(struct iommufd_command *command);
int iommufd_test_access_replace_ioas(struct iommufd_command *command);
int iommufd_test_dma_buf_get(struct iommufd_command *command);
int iommufd_test_dma_buf_revoke(struct iommufd_command *command);
int iommufd_test_dma_buf_map(struct dma_buf_attachment *attachment,
			     struct phys_vec *phys);

/* What the tables of main.c and object.c have for the tests. */
#define IOMMUFD_TEST_ROW                                                       \
	[_IOC_NR(IOMMU_TEST_CMD) - IOMMUFD_CMD_BASE] = {                       \
		.name = "IOMMU_TEST_CMD",                                      \
		.number = IOMMU_TEST_CMD,                                      \
		.bytes = sizeof(struct iommu_test_cmd),                        \
		.min_bytes = offsetofend(struct iommu_test_cmd, __reserved),   \
		.execute = iommufd_test,                                       \
	},

#define IOMMUFD_TEST_OBJECT_CLASS                                              \
	[IOMMUFD_OBJ_SELFTEST] = {                                             \
		.name = "selftest",                                            \
		.destroy = iommufd_test_destroy_object,                        \
	},
#else
/* Takes no room in a union of what commands take. */
struct iommu_test_cmd {
};

#define IOMMUFD_TEST_ROW
#define IOMMUFD_TEST_OBJECT_CLASS

static inline int iommufd_test_init(void)
{
	return 0;
}

static inline void iommufd_test_exit(void)
{
}

static inline int
iommufd_test_dma_buf_map(struct dma_buf_attachment *attachment,
			 struct phys_vec *phys)
{
	return -EOPNOTSUPP;
}
#endif
#endif
