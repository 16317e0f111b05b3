// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables that user space can attach devices to.
 *
 * DOC: paging HWPTs
 *
 * A paging HWPT wraps one iommu_domain that follows an IOAS. It is made by
 * HWPT_ALLOC, or automatically when a device is attached to an IOAS; such an
 * automatic one ends with its last device. It holds a use on its IOAS.
 *
 * It is made in two steps. Allocating needs the device, and nothing of it may
 * wait for user memory. Filling pins the memory of the IOAS and may take as
 * long as that likes, so that it must not need the device any more: what is
 * bound can be unbound meanwhile.
 */
#include <linux/iommu.h>

#include "iommufd_private.h"

/**
 * iommufd_device_enforce_coherency() - forbid DMA to bypass the CPU's caches
 * @device: a device
 * @hwpt: the page table that it shall use
 *
 * Once enforced it stays so for all devices of the page table.
 *
 * Return: 0; -EINVAL if the IOMMU can enforce it for this device and cannot
 * for this page table, or not any more, since something is mapped in it.
 * Context: May sleep, but not for user memory. Takes domains_rwsem.
 */
int iommufd_device_enforce_coherency(struct iommufd_device *device,
				     struct iommufd_hwpt_paging *hwpt)
{
	struct iommu_domain *domain = hwpt->common.domain;
	struct iommufd_ioas *ioas = hwpt->ioas;

	if (!device->enforce_cache_coherency ||
	    READ_ONCE(hwpt->enforce_cache_coherency))
		return 0;
	guard(rwsem_write)(&ioas->domains_rwsem);
	guard(rwsem_read)(&ioas->areas_rwsem);
	/* Entries that are there already were made without it. */
	if (hwpt->in_ioas && !RB_EMPTY_ROOT(&ioas->areas))
		return -EINVAL;
	if (!domain->ops->enforce_cache_coherency ||
	    !domain->ops->enforce_cache_coherency(domain))
		return -EINVAL;
	WRITE_ONCE(hwpt->enforce_cache_coherency, true);
	return 0;
}

/**
 * iommufd_hwpt_paging_destroy() - free what a paging HWPT holds
 * @object: the HWPT, complete or not, with no device attached
 *
 * Context: May sleep. Cannot fail.
 */
void iommufd_hwpt_paging_destroy(struct iommufd_object *object)
{
	struct iommufd_hwpt_paging *hwpt =
		container_of(object, struct iommufd_hwpt_paging, common.obj);

	if (hwpt->in_ioas)
		ioas_remove_domain(hwpt->ioas, hwpt);
	if (hwpt->common.domain)
		iommu_domain_free(hwpt->common.domain);
	iommufd_hwpt_put_fault(hwpt->ioas->ctx, &hwpt->common);
	iommufd_object_unuse(hwpt->ioas->ctx, &hwpt->ioas->obj);
}

/**
 * iommufd_hwpt_paging_abort() - end a paging HWPT that was never published
 * @ctx: the context
 * @hwpt: the HWPT
 *
 * Context: May sleep.
 */
void iommufd_hwpt_paging_abort(struct iommufd_ctx *ctx,
			       struct iommufd_hwpt_paging *hwpt)
{
	iommufd_hwpt_paging_destroy(&hwpt->common.obj);
	iommufd_object_abort(ctx, &hwpt->common.obj);
}

static int hwpt_alloc_domain(struct iommufd_hwpt_paging *hwpt,
			     struct iommufd_device *device, u32 flags)
{
	struct iommu_domain *domain;

	domain = iommu_paging_domain_alloc_flags(device->dev, flags);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	hwpt->common.domain = domain;
	hwpt->common.pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	domain->cookie_type = IOMMU_COOKIE_IOMMUFD;
	domain->iommufd_hwpt = &hwpt->common;
	/* A domain that is not complete yet cannot be filled. */
	if (!(domain->type & __IOMMU_DOMAIN_PAGING) || !domain->pgsize_bitmap)
		return -EOPNOTSUPP;
	return iommufd_device_enforce_coherency(device, hwpt);
}

/**
 * iommufd_hwpt_paging_alloc() - make a page table for a device, still empty
 * @device: the device
 * @ioas: the IOAS that it shall follow; the caller has it on hold
 * @flags: those of enum iommufd_hwpt_alloc_flags that concern the driver
 *
 * Return: the page table, not published, to be filled with
 * iommufd_hwpt_paging_fill(); -ENOMEM; -ENOENT if @ioas is being destroyed;
 * -EOPNOTSUPP if the driver has no such domain; what the driver answers.
 * Context: May sleep, but not for user memory.
 */
struct iommufd_hwpt_paging *
iommufd_hwpt_paging_alloc(struct iommufd_device *device,
			  struct iommufd_ioas *ioas, u32 flags)
{
	struct iommufd_ctx *ctx = ioas->ctx;
	struct iommufd_hwpt_paging *hwpt;
	int error;

	hwpt = iommufd_object_alloc(ctx, hwpt, IOMMUFD_OBJ_HWPT_PAGING,
				    common.obj);
	if (IS_ERR(hwpt))
		return hwpt;
	error = iommufd_object_use(&ioas->obj);
	if (error) {
		iommufd_object_abort(ctx, &hwpt->common.obj);
		return ERR_PTR(error);
	}
	hwpt->ioas = ioas;
	error = hwpt_alloc_domain(hwpt, device, flags);
	if (error) {
		iommufd_hwpt_paging_abort(ctx, hwpt);
		return ERR_PTR(error);
	}
	return hwpt;
}

/**
 * iommufd_hwpt_paging_fill() - map what the IOAS maps
 * @hwpt: a page table of iommufd_hwpt_paging_alloc()
 *
 * Return: 0 or what ioas_add_domain() answers.
 * Context: The attach_lock of the IOAS is held. Sleeps for as long as user
 * memory likes.
 */
int iommufd_hwpt_paging_fill(struct iommufd_hwpt_paging *hwpt)
{
	return ioas_add_domain(hwpt->ioas, hwpt);
}

static int check_hwpt_alloc(struct iommufd_command *command)
{
	struct iommu_hwpt_alloc *args = command->args;

	if (args->flags & ~(IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID))
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "only paging HWPTs without other flags",
				      args->flags, 0);
	if (args->__reserved || args->__reserved2 ||
	    (args->fault_id && !(args->flags & IOMMU_HWPT_FAULT_ID_VALID)))
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "a reserved field is not zero", 0, 0);
	if (args->data_type == IOMMU_HWPT_DATA_NONE &&
	    (args->data_len || args->data_uptr))
		return iommufd_refuse(command->ctx, -EINVAL,
				      "data without a type", args->data_len, 0);
	return 0;
}

static int hwpt_set_fault_id(struct iommufd_command *command,
			     struct iommufd_hw_pagetable *hwpt)
{
	struct iommu_hwpt_alloc *args = command->args;
	struct iommufd_fault *fault;
	int error;

	if (!(args->flags & IOMMU_HWPT_FAULT_ID_VALID))
		return 0;
	fault = iommufd_fault_get(command->ctx, args->fault_id);
	if (IS_ERR(fault))
		return PTR_ERR(fault);
	error = iommufd_hwpt_set_fault(hwpt, fault);
	iommufd_object_put(command->ctx, &fault->common.obj);
	return error;
}

/* Pin and map, which may take long: nothing needs the device any more. */
static int hwpt_fill_and_respond(struct iommufd_command *command,
				 struct iommufd_hwpt_paging *hwpt)
{
	struct iommu_hwpt_alloc *args = command->args;
	int error;

	error = mutex_lock_killable(&hwpt->ioas->attach_lock);
	if (error)
		return error;
	error = iommufd_hwpt_paging_fill(hwpt);
	mutex_unlock(&hwpt->ioas->attach_lock);
	if (error)
		return error;
	args->out_hwpt_id = hwpt->common.obj.id;
	return iommufd_respond(command, sizeof(*args));
}

/* What needs the device: a page table that is still empty. */
static struct iommufd_hwpt_paging *hwpt_prepare(struct iommufd_command *command,
						struct iommufd_device *device)
{
	struct iommu_hwpt_alloc *args = command->args;
	struct iommufd_hwpt_paging *hwpt;
	struct iommufd_object *object;

	/* Which types there are depends on the device. */
	if (args->data_type != IOMMU_HWPT_DATA_NONE)
		return ERR_PTR(iommufd_refuse(command->ctx, -EOPNOTSUPP,
					      "a type of data that the device does not have",
					      args->data_type, 0));
	object = iommufd_object_get(command->ctx, args->pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(object))
		return ERR_CAST(object);
	if (object->type == IOMMUFD_OBJ_IOAS)
		hwpt = iommufd_hwpt_paging_alloc(device, to_ioas(object),
						 args->flags &
							 IOMMU_HWPT_ALLOC_PASID);
	else
		hwpt = ERR_PTR(iommufd_refuse(command->ctx, -EINVAL,
					      "pt_id is not an IOAS",
					      args->pt_id, object->type));
	/* The page table has a use on its IOAS. */
	iommufd_object_put(command->ctx, object);
	return hwpt;
}

/**
 * iommufd_hwpt_alloc() - IOMMU_HWPT_ALLOC
 * @command: the command
 *
 * Return: 0; -ENOENT if an id names nothing; -EINVAL if pt_id names something
 * that is no IOAS, or data comes without a type; -EOPNOTSUPP for what is not
 * supported; what iommufd_hwpt_paging_alloc() and ioas_add_domain() answer.
 * Context: Sleeps for as long as user memory likes.
 */
int iommufd_hwpt_alloc(struct iommufd_command *command)
{
	struct iommu_hwpt_alloc *args = command->args;
	struct iommufd_hwpt_paging *hwpt;
	struct iommufd_device *device;
	int error;

	error = check_hwpt_alloc(command);
	if (error)
		return error;
	device = iommufd_device_get(command->ctx, args->dev_id);
	if (IS_ERR(device))
		return PTR_ERR(device);
	hwpt = hwpt_prepare(command, device);
	iommufd_object_put(command->ctx, &device->obj);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	error = hwpt_set_fault_id(command, &hwpt->common);
	if (!error)
		error = hwpt_fill_and_respond(command, hwpt);
	if (error)
		iommufd_hwpt_paging_abort(command->ctx, hwpt);
	else
		iommufd_object_publish(command->ctx, &hwpt->common.obj);
	return error;
}
