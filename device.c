// SPDX-License-Identifier: GPL-2.0-only
/*
 * Binding physical devices to a context.
 *
 * DOC: binding
 *
 * A driver such as VFIO binds a device before user space can reach it. From
 * then on the context owns the DMA of the device's group, and the core blocks
 * it until the device is attached to a page table. The driver ends the
 * binding; nobody else depends on a device with more than a hold, so that
 * unbinding cannot fail and waits for nothing but short commands.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommufd_private.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Allow devices whose interrupts the platform does not isolate; a device can then raise any interrupt of the host");

static void group_release(struct kref *kref)
{
	struct iommufd_group *group =
		container_of(kref, struct iommufd_group, kref);

	lockdep_assert_held(&group->ctx->groups_lock);
	IOMMUFD_ASSERT(xa_empty(&group->spaces));
	xa_destroy(&group->doorbells);
	xa_erase(&group->ctx->groups, iommu_group_id(group->group));
	iommu_group_put(group->group);
	mutex_destroy(&group->lock);
	kfree(group);
}

static void group_put(struct iommufd_group *group)
{
	struct iommufd_ctx *ctx = group->ctx;

	guard(mutex)(&ctx->groups_lock);
	kref_put(&group->kref, group_release);
}

static struct iommufd_group *group_new(struct iommufd_ctx *ctx,
				       struct iommu_group *iommu_group)
{
	struct iommufd_group *group;
	int error;

	group = kzalloc_obj(*group, GFP_KERNEL_ACCOUNT);
	if (!group)
		return ERR_PTR(-ENOMEM);
	error = xa_insert(&ctx->groups, iommu_group_id(iommu_group), group,
			  GFP_KERNEL_ACCOUNT);
	if (error) {
		kfree(group);
		return ERR_PTR(error);
	}
	kref_init(&group->kref);
	group->ctx = ctx;
	group->group = iommu_group_ref_get(iommu_group);
	mutex_init(&group->lock);
	xa_init_flags(&group->spaces, XA_FLAGS_ACCOUNT);
	spin_lock_init(&group->members_lock);
	xa_init_flags(&group->doorbells, XA_FLAGS_ACCOUNT);
	return group;
}

/* The context's record of the group of a device. */
static struct iommufd_group *group_get(struct iommufd_ctx *ctx,
				       struct device *dev)
{
	struct iommu_group *iommu_group = iommu_group_get(dev);
	struct iommufd_group *group;

	if (!iommu_group)
		return ERR_PTR(-ENODEV);
	scoped_guard(mutex, &ctx->groups_lock) {
		group = xa_load(&ctx->groups, iommu_group_id(iommu_group));
		if (group)
			kref_get(&group->kref);
		else
			group = group_new(ctx, iommu_group);
	}
	iommu_group_put(iommu_group);
	return group;
}

/**
 * iommufd_ctx_has_group() - is a device of a group bound to a context
 * @ictx: the context
 * @group: the group
 *
 * Return: true if so; the context then owns the DMA of the whole group.
 * Context: May sleep.
 */
bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group)
{
	if (!ictx || !group)
		return false;
	guard(mutex)(&ictx->groups_lock);
	return xa_load(&ictx->groups, iommu_group_id(group));
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_has_group, "IOMMUFD");

static int check_device(struct iommufd_ctx *ctx, struct device *dev,
			struct iommufd_group *group)
{
	/* User space has no means to flush the CPU's caches for DMA. */
	if (!device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY))
		return iommufd_refuse(ctx, -EINVAL,
				      "DMA is not coherent with the CPU", 0, 0);
	if (!iommu_group_has_isolated_msi(group->group) &&
	    !READ_ONCE(allow_unsafe_interrupts))
		return iommufd_refuse(ctx, -EPERM,
				      "the platform does not isolate interrupts, see allow_unsafe_interrupts",
				      iommu_group_id(group->group), 0);
	return 0;
}

static struct iommufd_device *device_alloc(struct iommufd_ctx *ctx,
					   struct device *dev,
					   struct iommufd_group *group)
{
	struct iommufd_device *device;
	int error;

	error = check_device(ctx, dev, group);
	if (error)
		return ERR_PTR(error);
	error = iommu_device_claim_dma_owner(dev, ctx);
	if (error)
		return ERR_PTR(error);
	device = iommufd_object_alloc(ctx, device, IOMMUFD_OBJ_DEVICE, obj);
	if (IS_ERR(device)) {
		iommu_device_release_dma_owner(dev);
		return device;
	}
	device->ctx = ctx;
	device->dev = dev;
	device->group = group;
	device->enforce_cache_coherency =
		device_iommu_capable(dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY);
	return device;
}

/**
 * iommufd_device_new() - bring a device into a context, without keeping it open
 * @ctx: the context
 * @dev: the device, whose driver the caller is
 *
 * For an owner that ends when the file is closed; see iommufd_device_bind().
 *
 * Return: the device, to be ended with iommufd_device_end(); otherwise as
 * iommufd_device_bind().
 * Context: May sleep.
 */
struct iommufd_device *iommufd_device_new(struct iommufd_ctx *ctx,
					  struct device *dev)
{
	struct iommufd_device *device;
	struct iommufd_group *group;

	group = group_get(ctx, dev);
	if (IS_ERR(group))
		return ERR_CAST(group);
	device = device_alloc(ctx, dev, group);
	if (IS_ERR(device))
		group_put(group);
	else
		iommufd_object_publish(ctx, &device->obj);
	return device;
}

/**
 * iommufd_device_bind() - bring a device into a context
 * @ictx: the context, which stays open at least until unbind
 * @dev: the device, whose driver the caller is
 * @id: the id by which user space names it
 *
 * The DMA of the device's group is blocked until it is attached.
 *
 * Return: the device; -ENODEV if no IOMMU is behind it; -EINVAL if its DMA is
 * not cache coherent; -EPERM if its interrupts are not isolated, or another
 * context or driver owns its group; -EBUSY if somebody else uses the group;
 * -ENOMEM.
 * Context: May sleep.
 */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx,
					   struct device *dev, u32 *id)
{
	struct iommufd_device *device = iommufd_device_new(ictx, dev);

	if (IS_ERR(device)) {
		iommufd_refused(ictx, "bind", PTR_ERR(device));
		return device;
	}
	/* The caller has the context open until unbind, which gives this back. */
	iommufd_ctx_get(ictx);
	*id = device->obj.id;
	return device;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_bind, "IOMMUFD");

/**
 * iommufd_device_destroy() - give a device's group back to the kernel
 * @object: the device
 *
 * Context: May sleep.
 */
void iommufd_device_destroy(struct iommufd_object *object)
{
	struct iommufd_device *device =
		container_of(object, struct iommufd_device, obj);

	WARN_ON_ONCE(device->nr_spaces);
	iommu_device_release_dma_owner(device->dev);
	group_put(device->group);
}

/**
 * iommufd_device_end() - undo iommufd_device_new()
 * @device: a device that is not attached
 *
 * Context: May sleep, but not for user memory. Cannot fail.
 */
void iommufd_device_end(struct iommufd_device *device)
{
	iommufd_object_end(device->ctx, &device->obj);
}

/**
 * iommufd_device_unbind() - take a device out of its context
 * @idev: a device that is not attached
 *
 * Context: May sleep, but not for user memory. Cannot fail.
 */
void iommufd_device_unbind(struct iommufd_device *idev)
{
	struct iommufd_ctx *ctx = idev->ctx;

	iommufd_device_end(idev);
	iommufd_ctx_put(ctx);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_unbind, "IOMMUFD");

/**
 * iommufd_device_to_ictx() - the context of a device
 * @idev: the device
 *
 * Return: the context, which lives as long as the device is bound.
 * Context: Any context.
 */
struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev)
{
	return idev->ctx;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_ictx, "IOMMUFD");

/**
 * iommufd_device_to_id() - the id of a device
 * @idev: the device
 *
 * Return: the id, at most INT_MAX.
 * Context: Any context.
 */
u32 iommufd_device_to_id(struct iommufd_device *idev)
{
	return idev->obj.id;
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_to_id, "IOMMUFD");

/* What the driver says of its IOMMU; freed with kfree(). */
struct hw_info {
	void *data;
	u32 bytes;
	enum iommu_hw_info_type type;
};

static int get_hw_info(struct device *dev, struct hw_info *info)
{
	const struct iommu_ops *ops = dev_iommu_ops(dev);

	if (!ops->hw_info) {
		if (info->type != IOMMU_HW_INFO_TYPE_DEFAULT)
			return -EOPNOTSUPP;
		info->type = IOMMU_HW_INFO_TYPE_NONE;
		return 0;
	}
	info->data = ops->hw_info(dev, &info->bytes, &info->type);
	if (IS_ERR(info->data))
		return PTR_ERR(info->data);
	/* A driver that gives data without a type, or the reverse, is broken. */
	if (WARN_ON_ONCE(!info->data != !info->bytes ||
			 !info->data != !info->type)) {
		kfree(info->data);
		return -ENODEV;
	}
	return 0;
}

/* A PCI function is asked what it may do: the driver chose when it enabled it. */
static void get_pasid_capabilities(struct device *dev,
				   struct iommu_hw_info *args)
{
	u32 max_pasids = dev->iommu->max_pasids;
	int status;

	args->out_max_pasid_log2 = 0;
	if (!max_pasids)
		return;
	if (dev_is_pci(dev)) {
		status = pci_pasid_status(to_pci_dev(dev));
		if (status < 0 || !(status & PCI_PASID_CTRL_ENABLE))
			return;
		if (status & PCI_PASID_CTRL_EXEC)
			args->out_capabilities |= IOMMU_HW_CAP_PCI_PASID_EXEC;
		if (status & PCI_PASID_CTRL_PRIV)
			args->out_capabilities |= IOMMU_HW_CAP_PCI_PASID_PRIV;
	}
	args->out_max_pasid_log2 = ilog2(max_pasids);
}

static void get_capabilities(struct device *dev, struct iommu_hw_info *args)
{
	args->out_capabilities = 0;
	if (device_iommu_capable(dev, IOMMU_CAP_DIRTY_TRACKING))
		args->out_capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
	if (dev_is_pci(dev) &&
	    !device_iommu_capable(dev, IOMMU_CAP_PCI_ATS_SUPPORTED))
		args->out_capabilities |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
	get_pasid_capabilities(dev, args);
}

static int hw_info_of(struct iommufd_command *command, struct hw_info *info)
{
	struct iommu_hw_info *args = command->args;
	struct iommufd_device *device;
	int error;

	device = iommufd_device_get(command->ctx, args->dev_id);
	if (IS_ERR(device))
		return PTR_ERR(device);
	error = get_hw_info(device->dev, info);
	if (!error)
		get_capabilities(device->dev, args);
	iommufd_object_put(command->ctx, &device->obj);
	return error;
}

static int copy_hw_info(const struct hw_info *info, void __user *buffer,
			u32 buffer_bytes)
{
	u32 copied = min(info->bytes, buffer_bytes);

	if (copied && copy_to_user(buffer, info->data, copied))
		return -EFAULT;
	if (clear_user(buffer + copied, buffer_bytes - copied))
		return -EFAULT;
	return 0;
}

/**
 * iommufd_hw_info() - IOMMU_GET_HW_INFO
 * @command: the command
 *
 * Return: 0; -EOPNOTSUPP for an unknown flag, a reserved field that is not
 * zero or a type that the driver does not have; -ENOENT if there is no such
 * device; -EFAULT if the user's memory cannot be written.
 * Context: May sleep for user memory, with the device already given back.
 */
int iommufd_hw_info(struct iommufd_command *command)
{
	struct iommu_hw_info *args = command->args;
	struct hw_info info = {};
	int error;

	if (args->flags & ~IOMMU_HW_INFO_FLAG_INPUT_TYPE ||
	    args->__reserved[0] || args->__reserved[1] || args->__reserved[2])
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "an unknown flag or reserved field",
				      args->flags, 0);
	if (args->flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE)
		info.type = args->in_data_type;
	error = hw_info_of(command, &info);
	if (error)
		return error;
	error = copy_hw_info(&info, u64_to_user_ptr(args->data_uptr),
			     args->data_len);
	kfree(info.data);
	if (error)
		return error;
	args->data_len = info.bytes;
	args->out_data_type = info.type;
	return iommufd_respond(command, sizeof(*args));
}
