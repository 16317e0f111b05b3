// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock IOMMU's vIOMMUs.
 *
 * A guest knows the devices behind one by numbers of its own, and nested page
 * tables on it can be used by such devices only. It can invalidate the caches of
 * each, which are arrays of numbers that tests look at.
 */
#include <linux/iommu.h>
#include <linux/nospec.h>

#include "selftest.h"

static struct mock_viommu *to_mock_viommu(struct iommufd_viommu *viommu)
{
	return container_of(viommu, struct mock_viommu, core);
}

static void invalidate_cache(struct mock_device *mock,
			     const struct iommu_viommu_invalidate_selftest *entry)
{
	u32 first = entry->cache_id, last = entry->cache_id;

	if (entry->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL) {
		first = 0;
		last = MOCK_DEV_CACHE_ID_MAX;
	}
	for (; first <= last; first++)
		WRITE_ONCE(mock->cache[array_index_nospec(first,
							  MOCK_DEV_CACHE_NUM)],
			   0);
}

static int invalidate_entry(struct iommufd_viommu *viommu,
			    const struct iommu_viommu_invalidate_selftest *entry)
{
	struct device *dev;
	int error = 0;

	if (entry->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (entry->cache_id > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	xa_lock(&viommu->vdevs);
	dev = iommufd_viommu_find_dev(viommu, entry->vdev_id);
	if (dev)
		invalidate_cache(mock_device_of(dev), entry);
	else
		error = -EINVAL;
	xa_unlock(&viommu->vdevs);
	return error;
}

static int cache_invalidate(struct iommufd_viommu *viommu,
			    struct iommu_user_data_array *array)
{
	const u32 type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST;
	struct iommu_viommu_invalidate_selftest entry;
	u32 handled = 0;
	int error = 0;

	if (array->type != type)
		error = -EINVAL;
	while (!error && handled < array->entry_num) {
		error = iommu_copy_struct_from_user_array(&entry, array, type,
							  handled, cache_id);
		if (!error)
			error = invalidate_entry(viommu, &entry);
		if (!error)
			handled++;
	}
	array->entry_num = handled;
	return error;
}

static struct iommu_domain *
alloc_domain_nested(struct iommufd_viommu *viommu, u32 flags,
		    const struct iommu_user_data *user_data)
{
	struct mock_viommu *mock = to_mock_viommu(viommu);
	struct iommu_domain *domain;

	domain = mock_nested_new(mock->parent, flags, user_data);
	if (!IS_ERR(domain))
		mock_nested_of(domain)->viommu = viommu;
	return domain;
}

static const struct iommufd_viommu_ops mock_viommu_ops = {
	.alloc_domain_nested = alloc_domain_nested,
	.cache_invalidate = cache_invalidate,
};

/**
 * mock_get_viommu_size() - for iommu_ops::get_viommu_size
 * @dev: a mock device
 * @type: the type that user space wants
 *
 * Return: the size; 0 for a type that is not ours.
 * Context: May sleep.
 */
size_t mock_get_viommu_size(struct device *dev, enum iommu_viommu_type type)
{
	/* The type of the mock IOMMU is not in the enum. */
	if ((u32)type != IOMMU_VIOMMU_TYPE_SELFTEST)
		return 0;
	return VIOMMU_STRUCT_SIZE(struct mock_viommu, core);
}

/**
 * mock_viommu_init() - for iommu_ops::viommu_init
 * @viommu: the vIOMMU
 * @parent: a paging domain of the mock IOMMU
 * @user_data: what user space has to say, or NULL
 *
 * Return: 0; -EOPNOTSUPP if it wants a page to map.
 * Context: May sleep.
 */
int mock_viommu_init(struct iommufd_viommu *viommu,
		     struct iommu_domain *parent,
		     const struct iommu_user_data *user_data)
{
	if (user_data)
		return -EOPNOTSUPP;
	to_mock_viommu(viommu)->parent = parent;
	viommu->ops = &mock_viommu_ops;
	return 0;
}
