// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's slice of an IOMMU.
 *
 * DOC: vIOMMUs
 *
 * A vIOMMU is what one guest has of one physical IOMMU besides page tables: its
 * own cache tags, its invalidations. It is made on a nesting parent, the guest's
 * physical memory, on which it holds a use, and of the type that the IOMMU
 * driver has for such guests. The driver's own struct begins with ours.
 *
 * Nested page tables can be made on it in place of the parent; such a one holds a
 * use on the vIOMMU. Invalidations go to the vIOMMU as a whole, where the guest's
 * ids are known, and may then concern any of them.
 *
 * The device that names the IOMMU is needed only while the vIOMMU is made. It can
 * be unbound afterwards.
 */
#include <linux/iommu.h>

#include "iommufd_private.h"

/* What a driver is told about what user space gave for it. */
#define VIOMMU_DATA_BYTES_MAX PAGE_SIZE

/**
 * iommufd_viommu_destroy() - free what a vIOMMU holds
 * @object: the vIOMMU, which nothing uses any more
 *
 * Context: May sleep. Cannot fail.
 */
void iommufd_viommu_destroy(struct iommufd_object *object)
{
	struct iommufd_viommu *viommu = to_viommu(object);

	if (viommu->ops && viommu->ops->destroy)
		viommu->ops->destroy(viommu);
	WARN_ON_ONCE(!xa_empty(&viommu->vdevs));
	xa_destroy(&viommu->vdevs);
	iommufd_object_unuse(viommu->ictx, &viommu->hwpt->common.obj);
}

/* Where it goes wrong nothing but the memory and the id are left. */
static int viommu_init(struct iommufd_viommu *viommu, struct device *dev,
		       const struct iommu_user_data *data)
{
	struct iommu_domain *parent = viommu->hwpt->common.domain;
	int error;

	error = dev_iommu_ops(dev)->viommu_init(viommu, parent, data);
	/* A driver that has failed has undone what it did. */
	if (error)
		viommu->ops = NULL;
	else if (WARN_ON_ONCE(!viommu->ops))
		error = -EOPNOTSUPP;
	return error;
}

/* The size of the driver's struct; 0 if it has no such vIOMMUs. */
static size_t viommu_bytes(struct device *dev, enum iommu_viommu_type type)
{
	const struct iommu_ops *ops = dev_iommu_ops(dev);
	size_t bytes;

	if (!ops->get_viommu_size || !ops->viommu_init)
		return 0;
	bytes = ops->get_viommu_size(dev, type);
	if (WARN_ON_ONCE(bytes && bytes < sizeof(struct iommufd_viommu)))
		return 0;
	return bytes;
}

static struct iommufd_viommu *
viommu_new(struct iommufd_device *device, struct iommufd_hwpt_paging *parent,
	   enum iommu_viommu_type type, const struct iommu_user_data *data)
{
	struct iommufd_ctx *ctx = device->ctx;
	struct iommufd_viommu *viommu;
	struct iommufd_object *object;
	size_t bytes;
	int error;

	bytes = viommu_bytes(device->dev, type);
	if (!bytes)
		return ERR_PTR(iommufd_refuse(ctx, -EOPNOTSUPP,
					      "the IOMMU has no vIOMMUs of this type",
					      type, 0));
	object = __iommufd_object_alloc(ctx, bytes, IOMMUFD_OBJ_VIOMMU);
	if (IS_ERR(object))
		return ERR_CAST(object);
	error = iommufd_object_use(&parent->common.obj);
	if (error) {
		iommufd_object_abort(ctx, object);
		return ERR_PTR(error);
	}
	viommu = to_viommu(object);
	viommu->ictx = ctx;
	viommu->type = type;
	viommu->hwpt = parent;
	viommu->iommu_dev = device->dev->iommu->iommu_dev;
	xa_init(&viommu->vdevs);
	INIT_LIST_HEAD(&viommu->veventqs);
	init_rwsem(&viommu->veventqs_rwsem);
	error = viommu_init(viommu, device->dev, data);
	if (error) {
		iommufd_viommu_destroy(object);
		iommufd_object_abort(ctx, object);
		return ERR_PTR(error);
	}
	return viommu;
}

/* VIOMMU_ALLOC ------------------------------------------------------------ */

static int check_viommu_alloc(struct iommufd_command *command)
{
	struct iommu_viommu_alloc *args = command->args;

	if (args->flags || args->__reserved)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "an unknown flag or reserved field",
				      args->flags, args->__reserved);
	if (args->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "a vIOMMU without a type", 0, 0);
	if (!args->data_len != !args->data_uptr)
		return iommufd_refuse(command->ctx, -EINVAL,
				      "data without a length, or a length without data",
				      args->data_uptr, args->data_len);
	if (args->data_len > VIOMMU_DATA_BYTES_MAX)
		return iommufd_refuse(command->ctx, -EINVAL, "too much data",
				      args->data_len, VIOMMU_DATA_BYTES_MAX);
	return 0;
}

static struct iommufd_viommu *viommu_make(struct iommufd_command *command,
					  struct iommufd_device *device,
					  struct iommufd_hwpt_paging *parent)
{
	struct iommu_viommu_alloc *args = command->args;
	const struct iommu_user_data data = {
		.type = args->type,
		.uptr = u64_to_user_ptr(args->data_uptr),
		.len = args->data_len,
	};
	int error;

	error = iommufd_hwpt_check_parent(parent, device);
	if (error)
		return ERR_PTR(error);
	return viommu_new(device, parent, args->type, data.len ? &data : NULL);
}

static struct iommufd_viommu *viommu_prepare(struct iommufd_command *command)
{
	struct iommu_viommu_alloc *args = command->args;
	struct iommufd_hwpt_paging *parent;
	struct iommufd_viommu *viommu;
	struct iommufd_device *device;

	device = iommufd_device_get(command->ctx, args->dev_id);
	if (IS_ERR(device))
		return ERR_CAST(device);
	parent = iommufd_hwpt_paging_get(command->ctx, args->hwpt_id);
	if (IS_ERR(parent)) {
		viommu = ERR_CAST(parent);
	} else {
		viommu = viommu_make(command, device, parent);
		/* The vIOMMU has a use on it. */
		iommufd_object_put(command->ctx, &parent->common.obj);
	}
	iommufd_object_put(command->ctx, &device->obj);
	return viommu;
}

/**
 * iommufd_viommu_alloc() - IOMMU_VIOMMU_ALLOC
 * @command: the command
 *
 * Return: 0; -EOPNOTSUPP for a flag, a reserved field that is not zero, or a type
 * that the IOMMU does not have; -EINVAL if the HWPT is no nesting parent or
 * another IOMMU driver's, or data and its length contradict each other, or there
 * is more of it than a page; -ENOENT if an id names nothing of the right type;
 * -EBUSY if all ids are taken; -EOVERFLOW if too many vIOMMUs and page tables are
 * on the HWPT; -EFAULT; -ENOMEM; what the driver answers.
 * Context: Sleeps for user memory. The driver reads its data while the device is
 * held.
 */
int iommufd_viommu_alloc(struct iommufd_command *command)
{
	struct iommu_viommu_alloc *args = command->args;
	struct iommufd_viommu *viommu;
	int error;

	error = check_viommu_alloc(command);
	if (error)
		return error;
	viommu = viommu_prepare(command);
	if (IS_ERR(viommu))
		return PTR_ERR(viommu);
	args->out_viommu_id = viommu->obj.id;
	error = iommufd_respond(command, sizeof(*args));
	if (error) {
		iommufd_viommu_destroy(&viommu->obj);
		iommufd_object_abort(command->ctx, &viommu->obj);
		return error;
	}
	iommufd_object_publish(command->ctx, &viommu->obj);
	return 0;
}
