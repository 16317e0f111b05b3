// SPDX-License-Identifier: GPL-2.0-only
/*
 * What IOMMU drivers call. It is built in whenever such a driver is, so that
 * the driver does not depend on the module.
 */
#include <linux/module.h>
#include <linux/msi.h>

#include "iommufd_private.h"

/**
 * _iommufd_object_depend() - keep an object as long as a sibling needs it
 * @obj_dependent: the one that needs
 * @obj_depended: the one that is needed
 *
 * Return: 0; -EINVAL if they are of different types or the same object;
 * -ENOENT if @obj_depended is being destroyed.
 * Context: Any context.
 */
int _iommufd_object_depend(struct iommufd_object *obj_dependent,
			   struct iommufd_object *obj_depended)
{
	if (obj_dependent->type != obj_depended->type ||
	    obj_dependent == obj_depended)
		return -EINVAL;
	return iommufd_object_use(obj_depended);
}
EXPORT_SYMBOL_NS_GPL(_iommufd_object_depend, "IOMMUFD");

/**
 * _iommufd_object_undepend() - undo _iommufd_object_depend()
 * @obj_dependent: the one that needed
 * @obj_depended: the one that was needed
 *
 * Context: Any context.
 */
void _iommufd_object_undepend(struct iommufd_object *obj_dependent,
			      struct iommufd_object *obj_depended)
{
	if (WARN_ON_ONCE(obj_dependent->type != obj_depended->type))
		return;
	/* Siblings never end by themselves: nobody is to be woken. */
	iommufd_object_drop(obj_depended, OBJECT_USE);
}
EXPORT_SYMBOL_NS_GPL(_iommufd_object_undepend, "IOMMUFD");

/**
 * _iommufd_alloc_mmap() - let user space map device memory
 * @ictx: the context
 * @owner: the object that the memory belongs to
 * @mmio_addr: physical address
 * @length: bytes
 * @offset: what user space passes to mmap()
 *
 * Return: -EOPNOTSUPP: no vIOMMU can exist that would own such memory.
 * Context: Any context.
 */
int _iommufd_alloc_mmap(struct iommufd_ctx *ictx, struct iommufd_object *owner,
			phys_addr_t mmio_addr, size_t length,
			unsigned long *offset)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_NS_GPL(_iommufd_alloc_mmap, "IOMMUFD");

/**
 * _iommufd_destroy_mmap() - undo _iommufd_alloc_mmap(), which never succeeds
 * @ictx: the context
 * @owner: the object
 * @offset: the offset
 *
 * Context: Any context.
 */
void _iommufd_destroy_mmap(struct iommufd_ctx *ictx,
			   struct iommufd_object *owner, unsigned long offset)
{
}
EXPORT_SYMBOL_NS_GPL(_iommufd_destroy_mmap, "IOMMUFD");

/* The vDEVICE of a physical device; the xa_lock of the table is held. */
static struct iommufd_vdevice *vdevice_of(struct xarray *vdevices,
					  const struct device *dev)
{
	struct iommufd_vdevice *vdevice;
	unsigned long index;

	xa_for_each(vdevices, index, vdevice)
		if (vdevice->idev->dev == dev)
			return vdevice;
	return NULL;
}

/**
 * iommufd_viommu_get_vdev_id() - the virtual id of a physical device
 * @viommu: the vIOMMU
 * @dev: the device
 * @vdev_id: the virtual id
 *
 * Return: 0; -ENOENT if the device is not behind the vIOMMU.
 * Context: Any context that may take the xa_lock of viommu->vdevs.
 */
int iommufd_viommu_get_vdev_id(struct iommufd_viommu *viommu,
			       struct device *dev, unsigned long *vdev_id)
{
	struct iommufd_vdevice *vdevice;

	xa_lock(&viommu->vdevs);
	vdevice = vdevice_of(&viommu->vdevs, dev);
	if (vdevice)
		*vdev_id = vdevice->virt_id;
	xa_unlock(&viommu->vdevs);
	return vdevice ? 0 : -ENOENT;
}
EXPORT_SYMBOL_NS_GPL(iommufd_viommu_get_vdev_id, "IOMMUFD");

/**
 * iommufd_viommu_find_dev() - the physical device behind a virtual id
 * @viommu: the vIOMMU
 * @vdev_id: the virtual id
 *
 * Return: the device or NULL.
 * Context: The xa_lock of viommu->vdevs is held.
 */
struct device *iommufd_viommu_find_dev(struct iommufd_viommu *viommu,
				       unsigned long vdev_id)
{
	struct iommufd_vdevice *found;

	lockdep_assert_held(&viommu->vdevs.xa_lock);
	found = xa_load(&viommu->vdevs, vdev_id);
	return found ? iommufd_vdevice_to_device(found) : NULL;
}
EXPORT_SYMBOL_NS_GPL(iommufd_viommu_find_dev, "IOMMUFD");

/**
 * iommufd_vdevice_to_device() - the physical device of a vDEVICE
 * @vdev: the vDEVICE
 *
 * Return: the device.
 * Context: Any context while the vDEVICE exists.
 */
struct device *iommufd_vdevice_to_device(struct iommufd_vdevice *vdev)
{
	return vdev->idev->dev;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vdevice_to_device, "IOMMUFD");

/**
 * iommufd_viommu_report_event() - tell user space what the hardware reports
 * @viommu: the vIOMMU
 * @type: the type of event queue
 * @event_data: the event
 * @data_len: bytes
 *
 * Return: -EOPNOTSUPP: no event queue can exist.
 * Context: Any context.
 */
int iommufd_viommu_report_event(struct iommufd_viommu *viommu,
				enum iommu_veventq_type type, void *event_data,
				size_t data_len)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_NS_GPL(iommufd_viommu_report_event, "IOMMUFD");

#ifdef CONFIG_IRQ_MSI_IOMMU
/**
 * iommufd_sw_msi() - make an MSI doorbell reachable through a page table
 * @domain: the domain of the device that raises the interrupt
 * @desc: the interrupt, which is told where the device has to write
 * @msi_addr: physical address of the doorbell, in bytes
 *
 * The core of IOMMUs is built in and calls it for a page table of ours, so that
 * what does the work is reached through that.
 *
 * Return: as iommufd_msi_map().
 * Context: May sleep. The IOMMU core's lock of the group is held.
 */
int iommufd_sw_msi(struct iommu_domain *domain, struct msi_desc *desc,
		   phys_addr_t msi_addr)
{
	unsigned long iova;
	unsigned int shift;
	int error;

	error = domain->iommufd_hwpt->msi_map(msi_desc_to_dev(desc), msi_addr,
					      &iova, &shift);
	if (!error)
		msi_desc_set_iommu_msi_iova(desc, iova, shift);
	return error;
}
EXPORT_SYMBOL_NS_GPL(iommufd_sw_msi, "IOMMUFD");
#endif

MODULE_DESCRIPTION("iommufd parts that IOMMU drivers build in");
MODULE_LICENSE("GPL");
