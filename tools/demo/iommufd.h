/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commands of /dev/iommu, one function each. All return 0 or a negative
 * errno and leave their output untouched when they fail.
 */
#ifndef DEMO_IOMMUFD_H
#define DEMO_IOMMUFD_H

#include <stddef.h>
#include <linux/iommufd.h>
#include <linux/types.h>

#define IOVA_RANGES_MAX 16

struct iova_ranges {
	__u32 nr_ranges;
	__u64 alignment;
	struct iommu_iova_range range[IOVA_RANGES_MAX];
};

#define DMA_READ_ONLY IOMMU_IOAS_MAP_READABLE
#define DMA_READ_WRITE (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

int iommufd_open(void);
/* A command as it is, for what no function below would send. */
int iommufd_command(int iommufd, unsigned long request, void *argument);
int iommufd_destroy(int iommufd, __u32 id);
int iommufd_set_rlimit_mode(int iommufd, __u64 mode);

int ioas_alloc(int iommufd, __u32 *ioas_id);
int ioas_iova_ranges(int iommufd, __u32 ioas_id, struct iova_ranges *ranges);
int ioas_allow_iovas(int iommufd, __u32 ioas_id,
		     const struct iommu_iova_range *ranges, __u32 nr_ranges);
int ioas_map_at(int iommufd, __u32 ioas_id, const void *memory,
		__u64 length_bytes, __u64 iova, __u32 access);
int ioas_map_anywhere(int iommufd, __u32 ioas_id, const void *memory,
		      __u64 length_bytes, __u64 *iova, __u32 access);
int ioas_map_file_at(int iommufd, __u32 ioas_id, int fd, __u64 start,
		     __u64 length_bytes, __u64 iova, __u32 access);
int ioas_map_file_anywhere(int iommufd, __u32 ioas_id, int fd, __u64 start,
			   __u64 length_bytes, __u64 *iova, __u32 access);
int ioas_copy_at(int iommufd, __u32 dst_ioas_id, __u64 dst_iova,
		 __u32 src_ioas_id, __u64 src_iova, __u64 length_bytes,
		 __u32 access);
int ioas_copy_anywhere(int iommufd, __u32 dst_ioas_id, __u64 *dst_iova,
		       __u32 src_ioas_id, __u64 src_iova, __u64 length_bytes,
		       __u32 access);
/* On success *length_bytes says how much was unmapped. */
int ioas_unmap(int iommufd, __u32 ioas_id, __u64 iova, __u64 *length_bytes);
/* Unmaps exactly this range; anything else is an error (-ERANGE). */
int ioas_unmap_exactly(int iommufd, __u32 ioas_id, __u64 iova,
		       __u64 length_bytes);
int ioas_unmap_everything(int iommufd, __u32 ioas_id);

int hwpt_alloc(int iommufd, __u32 device_id, __u32 ioas_id, __u32 *hwpt_id);
/* *data_bytes: how much the kernel may write to data, then how much it has. */
int get_hw_info(int iommufd, __u32 device_id, void *data, __u32 *data_bytes,
		__u32 *type);

#endif
