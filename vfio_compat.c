// SPDX-License-Identifier: GPL-2.0-only
/*
 * What VFIO calls when user space gives it an iommufd where it expects a
 * container. That road is not open: VFIO passes the refusal on.
 */
#include <linux/module.h>

#include "iommufd_private.h"

/**
 * iommufd_vfio_compat_ioas_get_id() - the IOAS that stands for a container
 * @ictx: the context
 * @out_ioas_id: its id
 *
 * Return: -EOPNOTSUPP: a context cannot stand for a container.
 * Context: Any context.
 */
int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *out_ioas_id)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_get_id, "IOMMUFD_VFIO");

/**
 * iommufd_vfio_compat_ioas_create() - make the IOAS that stands for a container
 * @ictx: the context
 *
 * Return: -EOPNOTSUPP: a context cannot stand for a container.
 * Context: Any context.
 */
int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_create, "IOMMUFD_VFIO");

/**
 * iommufd_vfio_compat_set_no_iommu() - use devices without an IOMMU
 * @ictx: the context
 *
 * Return: -EOPNOTSUPP: a context cannot stand for a container.
 * Context: Any context.
 */
int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_set_no_iommu, "IOMMUFD_VFIO");
