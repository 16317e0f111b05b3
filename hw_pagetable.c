// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables that user space can attach devices to.
 *
 * DOC: paging and nested HWPTs
 *
 * A paging HWPT wraps one iommu_domain that follows an IOAS. It is made by
 * HWPT_ALLOC, or automatically when a device is attached to an IOAS; such an
 * automatic one ends with its last device. It holds a use on its IOAS.
 *
 * It is made in two steps. Allocating needs the device, and nothing of ours in
 * it waits for user memory. Filling pins the memory of the IOAS and may take as
 * long as that likes, so that it must not need the device any more: what is
 * bound can be unbound meanwhile.
 *
 * A nested HWPT wraps a domain whose page table is a guest's and lies in the
 * guest's memory. What comes out of it is translated by its parent, a paging
 * HWPT that was made to be one, on which it holds a use, unless it was made on a
 * vIOMMU that does. It has no IOAS of its own: all questions about memory are the
 * parent's, which is what iommufd_hw_pagetable::paging is for.
 *
 * What HWPT_ALLOC can make of what stands in one table, hwpt_kinds. What an
 * IOMMU driver is asked for and does not give is refused there and then, so that
 * no later command finds an operation missing.
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

	WARN_ON_ONCE(!xa_empty(&hwpt->doorbells));
	if (hwpt->in_ioas)
		ioas_remove_domain(hwpt->ioas, hwpt);
	if (hwpt->common.domain)
		iommu_domain_free(hwpt->common.domain);
	iommufd_hwpt_put_fault(hwpt->ioas->ctx, &hwpt->common);
	mutex_destroy(&hwpt->dirty_lock);
	iommufd_object_unuse(hwpt->ioas->ctx, &hwpt->ioas->obj);
}

/* What a nested page table was made on. */
static struct iommufd_object *nested_parent(struct iommufd_hw_pagetable *hwpt)
{
	return hwpt->viommu ? &hwpt->viommu->obj : &hwpt->paging->common.obj;
}

/**
 * iommufd_hwpt_nested_destroy() - free what a nested HWPT holds
 * @object: the HWPT, complete or not, with no device attached
 *
 * Context: May sleep. Cannot fail.
 */
void iommufd_hwpt_nested_destroy(struct iommufd_object *object)
{
	struct iommufd_hw_pagetable *hwpt = to_hw_pagetable(object);

	struct iommufd_ctx *ctx = hwpt->paging->ioas->ctx;

	if (hwpt->domain)
		iommu_domain_free(hwpt->domain);
	iommufd_hwpt_put_fault(ctx, hwpt);
	iommufd_object_unuse(ctx, nested_parent(hwpt));
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

static void hwpt_set_domain(struct iommufd_hw_pagetable *hwpt,
			    struct iommu_domain *domain)
{
	hwpt->domain = domain;
	domain->cookie_type = IOMMU_COOKIE_IOMMUFD;
	domain->iommufd_hwpt = hwpt;
	hwpt->msi_map = iommufd_msi_map;
}

/* Paging ------------------------------------------------------------------ */

/* The IOMMU core has no function that passes the data on. */
static struct iommu_domain *
alloc_paging_domain(struct device *dev, u32 flags,
		    const struct iommu_user_data *data)
{
	const struct iommu_ops *ops = dev_iommu_ops(dev);
	struct iommu_domain *domain;

	if (!data)
		return iommu_paging_domain_alloc_flags(dev, flags);
	if (!ops->domain_alloc_paging_flags)
		return ERR_PTR(-EOPNOTSUPP);
	domain = ops->domain_alloc_paging_flags(dev, flags, data);
	if (IS_ERR(domain))
		return domain;
	domain->type = IOMMU_DOMAIN_UNMANAGED;
	domain->owner = ops;
	if (!domain->ops)
		domain->ops = ops->default_domain_ops;
	return domain;
}

static bool has_dirty_ops(const struct iommu_domain *domain)
{
	return IS_REACHABLE(CONFIG_IOMMUFD_DRIVER) && domain->dirty_ops &&
	       domain->dirty_ops->set_dirty_tracking &&
	       domain->dirty_ops->read_and_clear_dirty;
}

static int hwpt_alloc_domain(struct iommufd_hwpt_paging *hwpt,
			     struct iommufd_device *device, u32 flags,
			     const struct iommu_user_data *data)
{
	struct iommu_domain *domain;

	domain = alloc_paging_domain(device->dev, flags, data);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	hwpt_set_domain(&hwpt->common, domain);
	hwpt->common.pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	/* A domain that is not complete yet cannot be filled. */
	if (!(domain->type & __IOMMU_DOMAIN_PAGING) || !domain->pgsize_bitmap)
		return -EOPNOTSUPP;
	if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) && !has_dirty_ops(domain))
		return -EOPNOTSUPP;
	return iommufd_device_enforce_coherency(device, hwpt);
}

/**
 * iommufd_hwpt_paging_alloc() - make a page table for a device, still empty
 * @device: the device
 * @ioas: the IOAS that it shall follow; the caller has it on hold
 * @flags: bits of enum iommufd_hwpt_alloc_flags that the driver should know
 * @data: what user space has to tell the driver, or NULL
 *
 * Return: the page table, not published, to be filled with
 * iommufd_hwpt_paging_fill(); -ENOMEM; -ENOENT if @ioas is being destroyed;
 * -EOPNOTSUPP if the driver has no such domain; what the driver answers.
 * Context: May sleep, but not for user memory unless there is @data.
 */
struct iommufd_hwpt_paging *
iommufd_hwpt_paging_alloc(struct iommufd_device *device,
			  struct iommufd_ioas *ioas, u32 flags,
			  const struct iommu_user_data *data)
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
	hwpt->common.paging = hwpt;
	hwpt->nest_parent = flags & IOMMU_HWPT_ALLOC_NEST_PARENT;
	mutex_init(&hwpt->dirty_lock);
	xa_init_flags(&hwpt->doorbells, XA_FLAGS_ACCOUNT);
	error = hwpt_alloc_domain(hwpt, device, flags, data);
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

/* Nested ------------------------------------------------------------------ */

/**
 * iommufd_hwpt_check_parent() - can a guest's page tables be made on a HWPT
 * @hwpt: the HWPT
 * @device: a device whose IOMMU driver is to do that; it takes the parent for one
 *	of its own
 *
 * Return: 0; -EINVAL if it is no nesting parent or another driver's.
 * Context: Any context.
 */
int iommufd_hwpt_check_parent(struct iommufd_hwpt_paging *hwpt,
			      struct iommufd_device *device)
{
	if (!hwpt->nest_parent)
		return iommufd_refuse(device->ctx, -EINVAL,
				      "the HWPT is no nesting parent",
				      hwpt->common.obj.id, 0);
	if (hwpt->common.domain->owner != dev_iommu_ops(device->dev))
		return iommufd_refuse(device->ctx, -EINVAL,
				      "the HWPT is of another kind of IOMMU",
				      hwpt->common.obj.id, device->obj.id);
	return 0;
}

static struct iommu_domain *
make_nested_domain(struct iommufd_hw_pagetable *hwpt,
		   struct iommufd_device *device, u32 flags,
		   const struct iommu_user_data *data)
{
	const struct iommu_ops *ops = dev_iommu_ops(device->dev);
	struct iommufd_viommu *viommu = hwpt->viommu;

	if (viommu)
		return viommu->ops->alloc_domain_nested ?
			viommu->ops->alloc_domain_nested(viommu, flags, data) :
			ERR_PTR(-EOPNOTSUPP);
	return ops->domain_alloc_nested ?
		ops->domain_alloc_nested(device->dev, hwpt->paging->common.domain,
					 flags, data) :
		ERR_PTR(-EOPNOTSUPP);
}

/*
 * Without invalidation a guest could never change its page table; on a vIOMMU it
 * is that one's business, or that of hardware.
 */
static bool nested_domain_complete(const struct iommufd_hw_pagetable *hwpt)
{
	const struct iommu_domain *domain = hwpt->domain;

	return domain->type == IOMMU_DOMAIN_NESTED && domain->ops &&
	       domain->ops->attach_dev &&
	       (hwpt->viommu || domain->ops->cache_invalidate_user);
}

static int alloc_nested_domain(struct iommufd_hw_pagetable *hwpt,
			       struct iommufd_device *device, u32 flags,
			       const struct iommu_user_data *data)
{
	struct iommu_domain *domain;

	domain = make_nested_domain(hwpt, device, flags, data);
	if (IS_ERR(domain))
		return PTR_ERR(domain);
	domain->owner = dev_iommu_ops(device->dev);
	hwpt_set_domain(hwpt, domain);
	hwpt->pasid_compat = flags & IOMMU_HWPT_ALLOC_PASID;
	return nested_domain_complete(hwpt) ? 0 : -EOPNOTSUPP;
}

/* On a vIOMMU, or on a nesting parent if @viommu is NULL. */
static struct iommufd_hw_pagetable *
hwpt_nested_alloc(struct iommufd_device *device,
		  struct iommufd_hwpt_paging *paging,
		  struct iommufd_viommu *viommu, u32 flags,
		  const struct iommu_user_data *data)
{
	struct iommufd_ctx *ctx = device->ctx;
	struct iommufd_hw_pagetable *hwpt;
	int error;

	hwpt = iommufd_object_alloc(ctx, hwpt, IOMMUFD_OBJ_HWPT_NESTED, obj);
	if (IS_ERR(hwpt))
		return hwpt;
	hwpt->paging = paging;
	hwpt->viommu = viommu;
	error = iommufd_object_use(nested_parent(hwpt));
	if (error) {
		iommufd_object_abort(ctx, &hwpt->obj);
		return ERR_PTR(error);
	}
	error = alloc_nested_domain(hwpt, device, flags, data);
	if (error) {
		iommufd_hwpt_nested_destroy(&hwpt->obj);
		iommufd_object_abort(ctx, &hwpt->obj);
		return ERR_PTR(error);
	}
	return hwpt;
}

/* HWPT_ALLOC -------------------------------------------------------------- */

/* What a driver is told about what user space gave for it. */
#define HWPT_DATA_BYTES_MAX PAGE_SIZE

/**
 * struct hwpt_kind - what HWPT_ALLOC makes of one type of object
 * @flags: bits of enum iommufd_hwpt_alloc_flags that it can have
 * @needs_data: the driver must be told something; otherwise it may be
 * @alloc: makes it, still empty; @parent is the object, which is on hold
 * @fill: does what needs the device no more and may take long, or NULL
 * @destroy: frees what it holds
 */
struct hwpt_kind {
	u32 flags;
	bool needs_data;
	struct iommufd_hw_pagetable *
		(*alloc)(struct iommufd_device *device,
			 struct iommufd_object *parent, u32 flags,
			 const struct iommu_user_data *data);
	int (*fill)(struct iommufd_hw_pagetable *hwpt);
	void (*destroy)(struct iommufd_object *object);
};

static struct iommufd_hw_pagetable *
alloc_from_ioas(struct iommufd_device *device, struct iommufd_object *parent,
		u32 flags, const struct iommu_user_data *data)
{
	struct iommufd_hwpt_paging *hwpt =
		iommufd_hwpt_paging_alloc(device, to_ioas(parent), flags, data);

	return IS_ERR(hwpt) ? ERR_CAST(hwpt) : &hwpt->common;
}

static int fill_from_ioas(struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_ioas *ioas = hwpt->paging->ioas;
	int error;

	error = mutex_lock_killable(&ioas->attach_lock);
	if (error)
		return error;
	error = iommufd_hwpt_paging_fill(hwpt->paging);
	mutex_unlock(&ioas->attach_lock);
	return error;
}

static struct iommufd_hw_pagetable *
alloc_on_hwpt(struct iommufd_device *device, struct iommufd_object *parent,
	      u32 flags, const struct iommu_user_data *data)
{
	struct iommufd_hwpt_paging *paging = to_hw_pagetable(parent)->paging;
	int error;

	error = iommufd_hwpt_check_parent(paging, device);
	if (error)
		return ERR_PTR(error);
	return hwpt_nested_alloc(device, paging, NULL, flags, data);
}

static struct iommufd_hw_pagetable *
alloc_on_viommu(struct iommufd_device *device, struct iommufd_object *parent,
		u32 flags, const struct iommu_user_data *data)
{
	struct iommufd_viommu *viommu = to_viommu(parent);

	if (device->dev->iommu->iommu_dev != viommu->iommu_dev)
		return ERR_PTR(iommufd_refuse(device->ctx, -EINVAL,
					      "the device is behind another IOMMU",
					      device->obj.id, parent->id));
	return hwpt_nested_alloc(device, viommu->hwpt, viommu, flags, data);
}

/* By the type of the object that pt_id names. */
static const struct hwpt_kind hwpt_kinds[IOMMUFD_OBJ_MAX] = {
	[IOMMUFD_OBJ_IOAS] = {
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT |
			 IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			 IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID,
		.alloc = alloc_from_ioas,
		.fill = fill_from_ioas,
		.destroy = iommufd_hwpt_paging_destroy,
	},
	[IOMMUFD_OBJ_HWPT_PAGING] = {
		.flags = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID,
		.needs_data = true,
		.alloc = alloc_on_hwpt,
		.destroy = iommufd_hwpt_nested_destroy,
	},
	[IOMMUFD_OBJ_VIOMMU] = {
		.flags = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID,
		.needs_data = true,
		.alloc = alloc_on_viommu,
		.destroy = iommufd_hwpt_nested_destroy,
	},
};

static const struct hwpt_kind *find_kind(enum iommufd_object_type type)
{
	const struct hwpt_kind *kind = &hwpt_kinds[type];

	return kind->alloc ? kind : NULL;
}

/* What the struct says by itself. */
static int check_hwpt_alloc(struct iommufd_command *command)
{
	const u32 known = IOMMU_HWPT_ALLOC_NEST_PARENT |
			  IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			  IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID;
	const u32 faults_to_parent = IOMMU_HWPT_ALLOC_NEST_PARENT |
				     IOMMU_HWPT_FAULT_ID_VALID;
	struct iommu_hwpt_alloc *args = command->args;
	bool has_type = args->data_type != IOMMU_HWPT_DATA_NONE;

	if (args->flags & ~known)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "an unknown flag", args->flags, 0);
	if (args->__reserved || args->__reserved2)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "a reserved field is not zero", 0, 0);
	if (args->fault_id && !(args->flags & IOMMU_HWPT_FAULT_ID_VALID))
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "a fault queue without its flag",
				      args->fault_id, 0);
	if ((args->flags & faults_to_parent) == faults_to_parent)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "a nesting parent takes no faults",
				      args->flags, 0);
	if (has_type != !!args->data_len || (!has_type && args->data_uptr))
		return iommufd_refuse(command->ctx, -EINVAL,
				      "a type without data, or data without a type",
				      args->data_type, args->data_len);
	if (args->data_len > HWPT_DATA_BYTES_MAX)
		return iommufd_refuse(command->ctx, -EINVAL,
				      "too much data", args->data_len,
				      HWPT_DATA_BYTES_MAX);
	return 0;
}

/* What it says together with the object that pt_id names. */
static int check_kind(struct iommufd_command *command,
		      struct iommufd_object *parent)
{
	const struct hwpt_kind *kind = find_kind(parent->type);
	struct iommu_hwpt_alloc *args = command->args;

	if (!kind)
		return iommufd_refuse(command->ctx, -EINVAL,
				      "no HWPT can be made of that type of object",
				      args->pt_id, parent->type);
	if (args->flags & ~kind->flags)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "a flag that this kind of HWPT cannot have",
				      args->flags, kind->flags);
	if (kind->needs_data && !args->data_len)
		return iommufd_refuse(command->ctx, -EINVAL,
				      "a nested HWPT needs data", args->pt_id, 0);
	return 0;
}

static int hwpt_take_faults(struct iommufd_command *command,
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

static struct iommufd_hw_pagetable *
hwpt_make(struct iommufd_command *command, struct iommufd_device *device,
	  struct iommufd_object *parent)
{
	struct iommu_hwpt_alloc *args = command->args;
	const struct iommu_user_data data = {
		.type = args->data_type,
		.uptr = u64_to_user_ptr(args->data_uptr),
		.len = args->data_len,
	};
	int error;

	error = check_kind(command, parent);
	if (error)
		return ERR_PTR(error);
	return find_kind(parent->type)->alloc(device, parent,
					      args->flags & ~IOMMU_HWPT_FAULT_ID_VALID,
					      data.len ? &data : NULL);
}

/*
 * What needs the device: a page table that is still empty. Says as well of what
 * kind it is.
 */
static struct iommufd_hw_pagetable *
hwpt_prepare(struct iommufd_command *command, const struct hwpt_kind **kind)
{
	struct iommu_hwpt_alloc *args = command->args;
	struct iommufd_hw_pagetable *hwpt;
	struct iommufd_device *device;
	struct iommufd_object *parent;

	device = iommufd_device_get(command->ctx, args->dev_id);
	if (IS_ERR(device))
		return ERR_CAST(device);
	parent = iommufd_object_get(command->ctx, args->pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(parent)) {
		hwpt = ERR_CAST(parent);
	} else {
		hwpt = hwpt_make(command, device, parent);
		*kind = find_kind(parent->type);
		/* The page table has a use on it. */
		iommufd_object_put(command->ctx, parent);
	}
	iommufd_object_put(command->ctx, &device->obj);
	return hwpt;
}

/* Nothing needs the device any more. */
static int hwpt_complete(struct iommufd_command *command,
			 struct iommufd_hw_pagetable *hwpt,
			 const struct hwpt_kind *kind)
{
	struct iommu_hwpt_alloc *args = command->args;
	int error;

	error = hwpt_take_faults(command, hwpt);
	if (!error && kind->fill)
		error = kind->fill(hwpt);
	if (error)
		return error;
	args->out_hwpt_id = hwpt->obj.id;
	return iommufd_respond(command, sizeof(*args));
}

/**
 * iommufd_hwpt_alloc() - IOMMU_HWPT_ALLOC
 * @command: the command
 *
 * Return: 0; -ENOENT if an id names nothing; -EINVAL if pt_id names something of
 * which no HWPT can be made, or a HWPT that is no nesting parent or another IOMMU
 * driver's, or the vIOMMU of another IOMMU than the device's, or data and its type
 * contradict each other, or there is more of it than a page; -EOPNOTSUPP for what
 * is not supported; what iommufd_hwpt_paging_alloc() and ioas_add_domain() answer;
 * what the driver answers.
 * Context: Sleeps for as long as user memory likes.
 */
int iommufd_hwpt_alloc(struct iommufd_command *command)
{
	struct iommufd_hw_pagetable *hwpt;
	const struct hwpt_kind *kind;
	int error;

	error = check_hwpt_alloc(command);
	if (error)
		return error;
	hwpt = hwpt_prepare(command, &kind);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	error = hwpt_complete(command, hwpt, kind);
	if (error) {
		kind->destroy(&hwpt->obj);
		iommufd_object_abort(command->ctx, &hwpt->obj);
		return error;
	}
	iommufd_object_publish(command->ctx, &hwpt->obj);
	return 0;
}

/* HWPT_INVALIDATE --------------------------------------------------------- */

/* What user space can make one call of a driver do; bounds how long it takes. */
#define INVALIDATE_ENTRIES_MAX BIT(19)
#define INVALIDATE_ENTRY_BYTES_MAX PAGE_SIZE

/* How many entries a driver gets at a time. */
#define INVALIDATE_AT_ONCE 1024

static int check_invalidate(struct iommufd_command *command)
{
	struct iommu_hwpt_invalidate *args = command->args;

	if (args->__reserved)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "a reserved field is not zero", 0, 0);
	if (!args->entry_num)
		return 0;
	if (args->entry_num > INVALIDATE_ENTRIES_MAX)
		return iommufd_refuse(command->ctx, -EINVAL,
				      "too many entries", args->entry_num,
				      INVALIDATE_ENTRIES_MAX);
	if (!args->entry_len || args->entry_len > INVALIDATE_ENTRY_BYTES_MAX)
		return iommufd_refuse(command->ctx, -EINVAL,
				      "the length of an entry is zero or too large",
				      args->entry_len,
				      INVALIDATE_ENTRY_BYTES_MAX);
	if (!args->data_uptr)
		return iommufd_refuse(command->ctx, -EINVAL,
				      "entries without an address",
				      args->entry_num, 0);
	return 0;
}

static int driver_invalidate(struct iommufd_object *object,
			     struct iommu_user_data_array *array)
{
	struct iommufd_viommu *viommu;
	struct iommu_domain *domain;

	if (object->type == IOMMUFD_OBJ_VIOMMU) {
		viommu = to_viommu(object);
		return viommu->ops->cache_invalidate(viommu, array);
	}
	domain = to_hw_pagetable(object)->domain;
	return domain->ops->cache_invalidate_user(domain, array);
}

static bool can_invalidate(struct iommufd_object *object)
{
	if (object->type == IOMMUFD_OBJ_VIOMMU)
		return to_viommu(object)->ops->cache_invalidate;
	return to_hw_pagetable(object)->domain->ops->cache_invalidate_user;
}

/* One call of the driver. Adds to *@handled what it says that it has done. */
static int invalidate_some(struct iommufd_object *object,
			   struct iommu_user_data_array *array, u32 *handled)
{
	const u32 nr = array->entry_num;
	int error;

	error = driver_invalidate(object, array);
	/* One that is done has done it all; one that is not, not the last one. */
	if (!error)
		*handled += nr;
	else if (array->entry_num < nr)
		*handled += array->entry_num;
	return error;
}

static int invalidate_all(struct iommu_hwpt_invalidate *args,
			  struct iommufd_object *object, u32 *handled)
{
	struct iommu_user_data_array array;
	int error;

	do {
		array = (struct iommu_user_data_array){
			.type = args->data_type,
			.uptr = u64_to_user_ptr(args->data_uptr) +
				(size_t)*handled * args->entry_len,
			.entry_len = args->entry_len,
			.entry_num = min(args->entry_num - *handled,
					 INVALIDATE_AT_ONCE),
		};
		error = invalidate_some(object, &array, handled);
		if (error)
			return error;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	} while (*handled < args->entry_num);
	return 0;
}

static int invalidate_object(struct iommufd_command *command, u32 *handled)
{
	struct iommu_hwpt_invalidate *args = command->args;
	struct iommufd_object *object;
	int error;

	object = iommufd_object_get(command->ctx, args->hwpt_id,
				    IOMMUFD_OBJ_ANY);
	if (IS_ERR(object))
		return PTR_ERR(object);
	if (object->type != IOMMUFD_OBJ_HWPT_NESTED &&
	    object->type != IOMMUFD_OBJ_VIOMMU)
		error = iommufd_refuse(command->ctx, -EINVAL,
				       "no guest has caches in that type of object",
				       args->hwpt_id, object->type);
	else if (!can_invalidate(object))
		error = iommufd_refuse(command->ctx, -EOPNOTSUPP,
				       "the IOMMU's driver invalidates nothing there",
				       args->hwpt_id, object->type);
	else
		error = invalidate_all(args, object, handled);
	iommufd_object_put(command->ctx, object);
	return error;
}

/**
 * iommufd_hwpt_invalidate() - IOMMU_HWPT_INVALIDATE
 * @command: the command
 *
 * entry_num says afterwards how many entries were handled, whatever the result.
 *
 * Return: 0; -EOPNOTSUPP if a reserved field is not zero or the driver has no
 * invalidation for the object; -EINVAL if there are too many entries or they are
 * too long, or have no length or address, or the object is neither a nested HWPT
 * nor a vIOMMU; -ENOENT if there is none; -EFAULT; -EINTR; what the
 * driver answers.
 * Context: Sleeps for as long as user memory likes.
 */
int iommufd_hwpt_invalidate(struct iommufd_command *command)
{
	struct iommu_hwpt_invalidate *args = command->args;
	u32 handled = 0;
	int error, respond_error;

	error = check_invalidate(command);
	if (!error)
		error = invalidate_object(command, &handled);
	args->entry_num = handled;
	respond_error = iommufd_respond(command, sizeof(*args));
	return error ?: respond_error;
}
