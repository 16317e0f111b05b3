/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tools/testing/selftests/iommu and selftest.c say to each other, as Linux
 * 7.2 declares it. Not part of the user interface: it exists with
 * CONFIG_IOMMUFD_TEST only.
 * Declarations: Copyright (c) 2021-2022, NVIDIA CORPORATION & AFFILIATES.
 */
#ifndef _UAPI_IOMMUFD_TEST_H
#define _UAPI_IOMMUFD_TEST_H

#include <linux/iommufd.h>
#include <linux/types.h>

/* What IOMMU_TEST_CMD does: values of iommu_test_cmd::op. */
enum {
	IOMMU_TEST_OP_ADD_RESERVED = 1,
	IOMMU_TEST_OP_MOCK_DOMAIN,
	IOMMU_TEST_OP_MD_CHECK_MAP,
	IOMMU_TEST_OP_MD_CHECK_REFS,
	IOMMU_TEST_OP_CREATE_ACCESS,
	IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
	IOMMU_TEST_OP_ACCESS_PAGES,
	IOMMU_TEST_OP_ACCESS_RW,
	IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT,
	IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
	IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
	IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
	IOMMU_TEST_OP_DIRTY,
	IOMMU_TEST_OP_MD_CHECK_IOTLB,
	IOMMU_TEST_OP_TRIGGER_IOPF,
	IOMMU_TEST_OP_DEV_CHECK_CACHE,
	IOMMU_TEST_OP_TRIGGER_VEVENT,
	IOMMU_TEST_OP_PASID_ATTACH,
	IOMMU_TEST_OP_PASID_REPLACE,
	IOMMU_TEST_OP_PASID_DETACH,
	IOMMU_TEST_OP_PASID_CHECK_HWPT,
	IOMMU_TEST_OP_DMABUF_GET,
	IOMMU_TEST_OP_DMABUF_REVOKE,
};

/* Formats of the mock page table: values of iommu_hwpt_selftest::pagetable_type. */
enum {
	MOCK_IOMMUPT_DEFAULT = 0,
	MOCK_IOMMUPT_HUGE,
};

/* What MOCK_IOMMUPT_DEFAULT translates, and in which units. */
enum {
	MOCK_APERTURE_START = 1UL << 24,
	MOCK_APERTURE_LAST = (1UL << 31) - 1,
	MOCK_PAGE_SIZE = 2048,
	MOCK_HUGE_PAGE_SIZE = 512 * MOCK_PAGE_SIZE,
};

/*
 * iommu_test_cmd::access_pages.flags. SYZ is for fuzzers: their IOVAs are an
 * area's number and an offset within it, so that random ones hit something.
 */
enum {
	MOCK_FLAGS_ACCESS_WRITE = 1 << 0,
	MOCK_FLAGS_ACCESS_SYZ = 1 << 16,
};

/* iommu_test_cmd::access_rw.flags */
enum {
	MOCK_ACCESS_RW_WRITE = 1 << 0,
	MOCK_ACCESS_RW_SLOW_PATH = 1 << 2,
};

/* iommu_test_cmd::create_access.flags */
enum {
	MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES = 1 << 0,
};

/* iommu_test_cmd::mock_domain_flags.dev_flags */
enum {
	MOCK_FLAGS_DEVICE_NO_DIRTY = 1 << 0,
	MOCK_FLAGS_DEVICE_PASID = 1 << 2,
};

/* The IOTLB of a mock nested domain: entries, and the last one's number. */
enum {
	MOCK_NESTED_DOMAIN_IOTLB_ID_MAX = 3,
	MOCK_NESTED_DOMAIN_IOTLB_NUM = 4,
};

/* The cache of a mock device, likewise. */
enum {
	MOCK_DEV_CACHE_ID_MAX = 3,
	MOCK_DEV_CACHE_NUM = 4,
};

/* Changing the domain of this PASID fails with ENOMEM, for a test of the undo. */
#define IOMMU_TEST_PASID_RESERVED 1024

/**
 * struct iommu_test_cmd - IOMMU_TEST_CMD: do something for a selftest
 * @size: bytes of the structure, up to and including the member that @op uses
 * @op: one of IOMMU_TEST_OP_*
 * @id: what it is done to: an IOAS, a mock device, a HWPT, an access, by @op
 * @__reserved: zero
 * @add_reserved: reserve IOVAs in the IOAS @id
 * @add_reserved.start: first address
 * @add_reserved.length: bytes
 * @mock_domain: make a mock device and attach it to the page table @id
 * @mock_domain.out_stdev_id: its id as an object of the selftest
 * @mock_domain.out_hwpt_id: the HWPT it uses
 * @mock_domain.out_idev_id: its id as a bound device
 * @mock_domain_flags: the same, with a choice of what the device can do
 * @mock_domain_flags.out_stdev_id: as above
 * @mock_domain_flags.out_hwpt_id: as above
 * @mock_domain_flags.out_idev_id: as above
 * @mock_domain_flags.dev_flags: MOCK_FLAGS_DEVICE_*
 * @mock_domain_replace: change the page table of the mock device @id
 * @mock_domain_replace.pt_id: in: IOAS or HWPT; out: HWPT
 * @check_map: compare what the mock HWPT @id maps with user memory
 * @check_map.iova: first address
 * @check_map.length: bytes
 * @check_map.uptr: user address that should be mapped there
 * @check_refs: check how often user pages are pinned
 * @check_refs.length: bytes
 * @check_refs.uptr: user address
 * @check_refs.refs: the right number of pins
 * @create_access: make an access to the IOAS @id
 * @create_access.out_access_fd: the file that it lives as long as
 * @create_access.flags: MOCK_FLAGS_ACCESS_CREATE_*
 * @destroy_access_pages: unpin what ACCESS_PAGES has pinned in access @id
 * @destroy_access_pages.access_pages_id: which of them
 * @access_pages: pin pages through the access @id and compare them with user
 *                memory
 * @access_pages.flags: MOCK_FLAGS_ACCESS_*
 * @access_pages.out_access_pages_id: number for destroy_access_pages
 * @access_pages.iova: first address
 * @access_pages.length: bytes
 * @access_pages.uptr: user address that should be mapped there
 * @access_rw: copy through the access @id
 * @access_rw.iova: first address
 * @access_rw.length: bytes
 * @access_rw.uptr: user buffer
 * @access_rw.flags: MOCK_ACCESS_RW_*
 * @memory_limit: bound the batches in which pages are handled
 * @memory_limit.limit: bytes, 0 for no bound
 * @access_replace_ioas: move the access @id
 * @access_replace_ioas.ioas_id: new IOAS
 * @dirty: mark pages of the mock HWPT @id as written by a device
 * @dirty.flags: zero
 * @dirty.iova: first address
 * @dirty.length: bytes
 * @dirty.page_size: bytes that a bit stands for
 * @dirty.uptr: user bitmap that says which
 * @dirty.out_nr_dirty: how many pages that were
 * @check_iotlb: check an IOTLB entry of the mock nested HWPT @id
 * @check_iotlb.id: which entry
 * @check_iotlb.iotlb: its right value
 * @trigger_iopf: let a mock device report a page fault
 * @trigger_iopf.dev_id: bound device
 * @trigger_iopf.pasid: PASID
 * @trigger_iopf.grpid: number of the group of page requests
 * @trigger_iopf.perm: enum iommu_hwpt_pgfault_perm
 * @trigger_iopf.addr: missing address
 * @check_dev_cache: check a cache entry of the mock device @id
 * @check_dev_cache.id: which entry
 * @check_dev_cache.cache: its right value
 * @trigger_vevent: let a mock vIOMMU report an event
 * @trigger_vevent.dev_id: bound device that it is about
 * @pasid_attach: attach a page table to a PASID of the mock device @id
 * @pasid_attach.pasid: PASID
 * @pasid_attach.pt_id: IOAS or HWPT
 * @pasid_replace: change it
 * @pasid_replace.pasid: PASID
 * @pasid_replace.pt_id: IOAS or HWPT
 * @pasid_detach: take it away
 * @pasid_detach.pasid: PASID
 * @pasid_check: check which domain a PASID of the mock device @id has
 * @pasid_check.pasid: PASID
 * @pasid_check.hwpt_id: the right HWPT, 0 for none
 * @dmabuf_get: make a dma-buf, whose descriptor the ioctl returns
 * @dmabuf_get.length: bytes
 * @dmabuf_get.open_flags: O_*
 * @dmabuf_revoke: revoke one, or let it be used again
 * @dmabuf_revoke.dmabuf_fd: the dma-buf
 * @dmabuf_revoke.revoked: whether it is to be revoked
 * @last: room that makes the structure longer than any member
 */
struct iommu_test_cmd {
	__u32 size;
	__u32 op;
	__u32 id;
	__u32 __reserved;
	union {
		struct {
			__aligned_u64 start;
			__aligned_u64 length;
		} add_reserved;
		struct {
			__u32 out_stdev_id;
			__u32 out_hwpt_id;
			__u32 out_idev_id;
		} mock_domain;
		struct {
			__u32 out_stdev_id;
			__u32 out_hwpt_id;
			__u32 out_idev_id;
			__u32 dev_flags;
		} mock_domain_flags;
		struct {
			__u32 pt_id;
		} mock_domain_replace;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
		} check_map;
		struct {
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 refs;
		} check_refs;
		struct {
			__u32 out_access_fd;
			__u32 flags;
		} create_access;
		struct {
			__u32 access_pages_id;
		} destroy_access_pages;
		struct {
			__u32 flags;
			__u32 out_access_pages_id;
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
		} access_pages;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 flags;
		} access_rw;
		struct {
			__u32 limit;
		} memory_limit;
		struct {
			__u32 ioas_id;
		} access_replace_ioas;
		struct {
			__u32 flags;
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 page_size;
			__aligned_u64 uptr;
			__aligned_u64 out_nr_dirty;
		} dirty;
		struct {
			__u32 id;
			__u32 iotlb;
		} check_iotlb;
		struct {
			__u32 dev_id;
			__u32 pasid;
			__u32 grpid;
			__u32 perm;
			__u64 addr;
		} trigger_iopf;
		struct {
			__u32 id;
			__u32 cache;
		} check_dev_cache;
		struct {
			__u32 dev_id;
		} trigger_vevent;
		struct {
			__u32 pasid;
			__u32 pt_id;
		} pasid_attach;
		struct {
			__u32 pasid;
			__u32 pt_id;
		} pasid_replace;
		struct {
			__u32 pasid;
		} pasid_detach;
		struct {
			__u32 pasid;
			__u32 hwpt_id;
		} pasid_check;
		struct {
			__u32 length;
			__u32 open_flags;
		} dmabuf_get;
		struct {
			__s32 dmabuf_fd;
			__u32 revoked;
		} dmabuf_revoke;
	};
	__u32 last;
};

#define IOMMU_TEST_CMD _IO(IOMMUFD_TYPE, IOMMUFD_CMD_BASE + 32)

/* Bits of a PASID on a mock device that has them. */
#define MOCK_PASID_WIDTH 20

/* What IOMMU_GET_HW_INFO says about a mock device: the type, and test_reg. */
#define IOMMU_HW_INFO_TYPE_SELFTEST	0xfeedbeef
#define IOMMU_HW_INFO_SELFTEST_REGVAL	0xdeadbeef

/**
 * struct iommu_test_hw_info - what a mock IOMMU can do
 * @flags: zero
 * @test_reg: IOMMU_HW_INFO_SELFTEST_REGVAL
 */
struct iommu_test_hw_info {
	__u32 flags;
	__u32 test_reg;
};

/* A data type for IOMMU_HWPT_ALLOC, far from those of real hardware. */
#define IOMMU_HWPT_DATA_SELFTEST 0xdead
#define IOMMU_TEST_IOTLB_DEFAULT 0xbadbeef
#define IOMMU_TEST_DEV_CACHE_DEFAULT 0xbaddad

/**
 * struct iommu_hwpt_selftest - data of IOMMU_HWPT_ALLOC for the mock driver
 * @iotlb: what every IOTLB entry of a nested HWPT starts with, mostly
 *         IOMMU_TEST_IOTLB_DEFAULT
 * @pagetable_type: MOCK_IOMMUPT_*, for a paging HWPT
 */
struct iommu_hwpt_selftest {
	__u32 iotlb;
	__u32 pagetable_type;
};

/*
 * Data types for IOMMU_HWPT_INVALIDATE through a nested HWPT, one that works and
 * one that must be refused; both far from those of real hardware.
 */
#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST 0xdeadbeef
#define IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef

/**
 * struct iommu_hwpt_invalidate_selftest - set IOTLB entries of a mock nested HWPT
 *                                         to zero
 * @flags: IOMMU_TEST_INVALIDATE_FLAG_ALL for all entries
 * @iotlb_id: otherwise, which one
 */
struct iommu_hwpt_invalidate_selftest {
#define IOMMU_TEST_INVALIDATE_FLAG_ALL	(1 << 0)
	__u32 flags;
	__u32 iotlb_id;
};

#define IOMMU_VIOMMU_TYPE_SELFTEST 0xdeadbeef

/**
 * struct iommu_viommu_selftest - data of IOMMU_VIOMMU_ALLOC for the mock driver
 * @in_data: any value
 * @out_data: receives the same value
 * @out_mmap_offset: receives where mmap() of /dev/iommu finds a page that begins
 *                   with the value
 * @out_mmap_length: receives the bytes of that mapping
 */
struct iommu_viommu_selftest {
	__u32 in_data;
	__u32 out_data;
	__aligned_u64 out_mmap_offset;
	__aligned_u64 out_mmap_length;
};

/* The same pair of data types for IOMMU_HWPT_INVALIDATE through a vIOMMU. */
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST 0xdeadbeef
#define IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID 0xdadbeef

/**
 * struct iommu_viommu_invalidate_selftest - set cache entries of a mock device to
 *                                           zero
 * @flags: IOMMU_TEST_INVALIDATE_FLAG_ALL for all entries
 * @vdev_id: which device, by its number in the guest
 * @cache_id: which entry, unless all
 */
struct iommu_viommu_invalidate_selftest {
#define IOMMU_TEST_INVALIDATE_FLAG_ALL (1 << 0)
	__u32 flags;
	__u32 vdev_id;
	__u32 cache_id;
};

#define IOMMU_VEVENTQ_TYPE_SELFTEST 0xbeefbeef

/**
 * struct iommu_viommu_event_selftest - an event of a mock vIOMMU
 * @virt_id: the device it is about, by its number in the guest
 */
struct iommu_viommu_event_selftest {
	__u32 virt_id;
};

/* Hardware queues of a mock vIOMMU, and how many indexes there are. */
#define IOMMU_HW_QUEUE_TYPE_SELFTEST 0xdeadbeef
#define IOMMU_TEST_HW_QUEUE_MAX 2

#endif
