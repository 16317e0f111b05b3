// SPDX-License-Identifier: GPL-2.0
#include <stdbool.h>

#include "../../iommufd_test.h"

#include "iommufd.h"
#include "mock.h"
#include "pattern.h"

static int test_command(struct mock *mock, struct iommu_test_cmd *args)
{
	args->size = sizeof(*args);
	return iommufd_command(mock->iommufd, IOMMU_TEST_CMD, args);
}

int mock_open(struct mock *mock, int iommufd, __u32 ioas_id)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = ioas_id,
	};
	int error;

	mock->iommufd = iommufd;
	error = test_command(mock, &args);
	mock->stdev_id = args.mock_domain.out_stdev_id;
	mock->device_id = args.mock_domain.out_idev_id;
	mock->hwpt_id = args.mock_domain.out_hwpt_id;
	return error;
}

int mock_close(struct mock *mock)
{
	return iommufd_destroy(mock->iommufd, mock->stdev_id);
}

int mock_use_hwpt(struct mock *mock, __u32 ioas_id, __u32 flags, __u32 fault_id)
{
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = flags | (fault_id ? IOMMU_HWPT_FAULT_ID_VALID : 0),
		.dev_id = mock->device_id,
		.pt_id = ioas_id,
		.fault_id = fault_id,
	};
	struct iommu_test_cmd replace = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
		.id = mock->stdev_id,
	};
	int error = iommufd_command(mock->iommufd, IOMMU_HWPT_ALLOC, &hwpt);

	if (error)
		return error;
	replace.mock_domain_replace.pt_id = hwpt.out_hwpt_id;
	error = test_command(mock, &replace);
	if (!error)
		mock->hwpt_id = hwpt.out_hwpt_id;
	return error;
}

int mock_fault(struct mock *mock, __u32 group)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_TRIGGER_IOPF,
		.trigger_iopf = {
			.dev_id = mock->device_id,
			.grpid = group,
			.perm = IOMMU_PGFAULT_PERM_READ,
		},
	};

	return test_command(mock, &args);
}

int mock_write(struct mock *mock, __u64 iova, __u64 length_bytes, void *bitmap)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_DIRTY,
		.id = mock->hwpt_id,
		.dirty = {
			.iova = iova,
			.length = length_bytes,
			.page_size = PAGE_BYTES,
			.uptr = (unsigned long)bitmap,
		},
	};

	return test_command(mock, &args);
}

int fault_queue_alloc(int iommufd, __u32 *fault_id, int *fd)
{
	struct iommu_fault_alloc args = { .size = sizeof(args) };
	int error = iommufd_command(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &args);

	if (error)
		return error;
	*fault_id = args.out_fault_id;
	*fd = args.out_fault_fd;
	return 0;
}

int set_dirty_tracking(struct mock *mock, bool enable)
{
	struct iommu_hwpt_set_dirty_tracking args = {
		.size = sizeof(args),
		.flags = enable ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = mock->hwpt_id,
	};

	return iommufd_command(mock->iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING,
			       &args);
}

int get_dirty_bitmap(struct mock *mock, __u64 iova, __u64 length_bytes,
		     void *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap args = {
		.size = sizeof(args),
		.hwpt_id = mock->hwpt_id,
		.iova = iova,
		.length = length_bytes,
		.page_size = PAGE_BYTES,
		.data = (unsigned long)bitmap,
	};

	return iommufd_command(mock->iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP,
			       &args);
}
