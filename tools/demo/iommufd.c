// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "iommufd.h"

int iommufd_command(int iommufd, unsigned long request, void *argument)
{
	return ioctl(iommufd, request, argument) ? -errno : 0;
}

int iommufd_open(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int iommufd_destroy(int iommufd, __u32 id)
{
	struct iommu_destroy destroy = { .size = sizeof(destroy), .id = id };

	return iommufd_command(iommufd, IOMMU_DESTROY, &destroy);
}

int iommufd_set_rlimit_mode(int iommufd, __u64 mode)
{
	struct iommu_option option = {
		.size = sizeof(option),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
		.val64 = mode,
	};

	return iommufd_command(iommufd, IOMMU_OPTION, &option);
}

int ioas_alloc(int iommufd, __u32 *ioas_id)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int error = iommufd_command(iommufd, IOMMU_IOAS_ALLOC, &alloc);

	if (!error)
		*ioas_id = alloc.out_ioas_id;
	return error;
}

int ioas_iova_ranges(int iommufd, __u32 ioas_id, struct iova_ranges *ranges)
{
	struct iommu_ioas_iova_ranges query = {
		.size = sizeof(query),
		.ioas_id = ioas_id,
		.num_iovas = IOVA_RANGES_MAX,
		.allowed_iovas = (unsigned long)ranges->range,
	};
	int error = iommufd_command(iommufd, IOMMU_IOAS_IOVA_RANGES, &query);

	if (!error) {
		ranges->nr_ranges = query.num_iovas;
		ranges->alignment = query.out_iova_alignment;
	}
	return error;
}

int ioas_allow_iovas(int iommufd, __u32 ioas_id,
		     const struct iommu_iova_range *ranges, __u32 nr_ranges)
{
	struct iommu_ioas_allow_iovas allow = {
		.size = sizeof(allow),
		.ioas_id = ioas_id,
		.num_iovas = nr_ranges,
		.allowed_iovas = (unsigned long)ranges,
	};

	return iommufd_command(iommufd, IOMMU_IOAS_ALLOW_IOVAS, &allow);
}

static int ioas_map(int iommufd, __u32 ioas_id, const void *memory,
		    __u64 length_bytes, __u64 *iova, __u32 flags)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = flags,
		.ioas_id = ioas_id,
		.user_va = (unsigned long)memory,
		.length = length_bytes,
		.iova = *iova,
	};
	int error = iommufd_command(iommufd, IOMMU_IOAS_MAP, &map);

	if (!error)
		*iova = map.iova;
	return error;
}

int ioas_map_at(int iommufd, __u32 ioas_id, const void *memory,
		__u64 length_bytes, __u64 iova, __u32 access)
{
	return ioas_map(iommufd, ioas_id, memory, length_bytes, &iova,
			access | IOMMU_IOAS_MAP_FIXED_IOVA);
}

int ioas_map_anywhere(int iommufd, __u32 ioas_id, const void *memory,
		      __u64 length_bytes, __u64 *iova, __u32 access)
{
	*iova = 0;
	return ioas_map(iommufd, ioas_id, memory, length_bytes, iova, access);
}

static int ioas_map_file(int iommufd, __u32 ioas_id, int fd, __u64 start,
			 __u64 length_bytes, __u64 *iova, __u32 flags)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = flags,
		.ioas_id = ioas_id,
		.fd = fd,
		.start = start,
		.length = length_bytes,
		.iova = *iova,
	};
	int error = iommufd_command(iommufd, IOMMU_IOAS_MAP_FILE, &map);

	if (!error)
		*iova = map.iova;
	return error;
}

int ioas_map_file_at(int iommufd, __u32 ioas_id, int fd, __u64 start,
		     __u64 length_bytes, __u64 iova, __u32 access)
{
	return ioas_map_file(iommufd, ioas_id, fd, start, length_bytes, &iova,
			     access | IOMMU_IOAS_MAP_FIXED_IOVA);
}

int ioas_map_file_anywhere(int iommufd, __u32 ioas_id, int fd, __u64 start,
			   __u64 length_bytes, __u64 *iova, __u32 access)
{
	*iova = 0;
	return ioas_map_file(iommufd, ioas_id, fd, start, length_bytes, iova,
			     access);
}

static int ioas_copy(int iommufd, __u32 dst_ioas_id, __u64 *dst_iova,
		     __u32 src_ioas_id, __u64 src_iova, __u64 length_bytes,
		     __u32 flags)
{
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = flags,
		.dst_ioas_id = dst_ioas_id,
		.src_ioas_id = src_ioas_id,
		.length = length_bytes,
		.dst_iova = *dst_iova,
		.src_iova = src_iova,
	};
	int error = iommufd_command(iommufd, IOMMU_IOAS_COPY, &copy);

	if (!error)
		*dst_iova = copy.dst_iova;
	return error;
}

int ioas_copy_at(int iommufd, __u32 dst_ioas_id, __u64 dst_iova,
		 __u32 src_ioas_id, __u64 src_iova, __u64 length_bytes,
		 __u32 access)
{
	return ioas_copy(iommufd, dst_ioas_id, &dst_iova, src_ioas_id, src_iova,
			 length_bytes, access | IOMMU_IOAS_MAP_FIXED_IOVA);
}

int ioas_copy_anywhere(int iommufd, __u32 dst_ioas_id, __u64 *dst_iova,
		       __u32 src_ioas_id, __u64 src_iova, __u64 length_bytes,
		       __u32 access)
{
	*dst_iova = 0;
	return ioas_copy(iommufd, dst_ioas_id, dst_iova, src_ioas_id, src_iova,
			 length_bytes, access);
}

int ioas_unmap(int iommufd, __u32 ioas_id, __u64 iova, __u64 *length_bytes)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = ioas_id,
		.iova = iova,
		.length = *length_bytes,
	};
	int error = iommufd_command(iommufd, IOMMU_IOAS_UNMAP, &unmap);

	if (!error)
		*length_bytes = unmap.length;
	return error;
}

int ioas_unmap_exactly(int iommufd, __u32 ioas_id, __u64 iova,
		       __u64 length_bytes)
{
	__u64 unmapped_bytes = length_bytes;
	int error = ioas_unmap(iommufd, ioas_id, iova, &unmapped_bytes);

	if (!error && unmapped_bytes != length_bytes)
		return -ERANGE;
	return error;
}

int ioas_unmap_everything(int iommufd, __u32 ioas_id)
{
	__u64 unmapped_bytes = ~0ULL;

	return ioas_unmap(iommufd, ioas_id, 0, &unmapped_bytes);
}

int hwpt_alloc(int iommufd, __u32 device_id, __u32 ioas_id, __u32 *hwpt_id)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = device_id,
		.pt_id = ioas_id,
		.data_type = IOMMU_HWPT_DATA_NONE,
	};
	int error = iommufd_command(iommufd, IOMMU_HWPT_ALLOC, &alloc);

	if (!error)
		*hwpt_id = alloc.out_hwpt_id;
	return error;
}

int get_hw_info(int iommufd, __u32 device_id, void *data, __u32 *data_bytes,
		__u32 *type)
{
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = device_id,
		.data_len = *data_bytes,
		.data_uptr = (unsigned long)data,
	};
	int error = iommufd_command(iommufd, IOMMU_GET_HW_INFO, &info);

	if (!error) {
		*data_bytes = info.data_len;
		*type = info.out_data_type;
	}
	return error;
}
