// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attaching devices to page tables, moving them, taking them off.
 *
 * DOC: a group moves as one
 *
 * The IOMMU tells devices apart by group, so a group is on one page table at
 * a time. Its first device to attach programs the group, the others join, the
 * last one to detach takes the group off. Replacing moves the whole group, and
 * in the same critical section the record of every attached device with it; a
 * sibling that asks for the same afterwards finds itself there already.
 *
 * Each attached device brings its reserved regions to the IOAS, under its own
 * name, and takes them away when it leaves, so that no device's rule depends
 * on which of its siblings came first.
 *
 * Every step that can fail works on what nobody sees yet. The core's attach
 * or replace is the last of them; what follows is bookkeeping.
 */
#include <linux/iommu.h>
#include <linux/slab.h>

#include "iommufd_private.h"

static struct iommufd_ioas *hwpt_ioas(struct iommufd_hw_pagetable *hwpt)
{
	return to_hwpt_paging(hwpt)->ioas;
}

typedef int (*attach_fn)(struct iommufd_device *device,
			 struct iommufd_hw_pagetable *hwpt);

static int reserve_regions(struct iommufd_ioas *ioas,
			   struct iommufd_device *device,
			   struct list_head *regions)
{
	struct iommu_resv_region *region;
	struct iova_range range;
	int error = 0;

	guard(rwsem_write)(&ioas->areas_rwsem);
	list_for_each_entry(region, regions, list) {
		/* What firmware once used is user space's to map. */
		if (region->type == IOMMU_RESV_DIRECT_RELAXABLE)
			continue;
		error = iova_range_make(&range, region->start, region->length);
		if (!error)
			error = ioas_reserve(ioas, range, device);
		if (error)
			break;
	}
	if (error)
		ioas_unreserve(ioas, device);
	return error;
}

static int reserve_device(struct iommufd_ioas *ioas,
			  struct iommufd_device *device)
{
	LIST_HEAD(regions);
	int error;

	iommu_get_resv_regions(device->dev, &regions);
	error = reserve_regions(ioas, device, &regions);
	iommu_put_resv_regions(device->dev, &regions);
	return error;
}

static void unreserve_device(struct iommufd_ioas *ioas,
			     struct iommufd_device *device)
{
	guard(rwsem_write)(&ioas->areas_rwsem);
	ioas_unreserve(ioas, device);
}

/* The devices of a group up to @end, which is a device's node or the head. */
static void unreserve_until(struct iommufd_ioas *ioas,
			    struct iommufd_group *group,
			    struct list_head *end)
{
	struct list_head *node;

	for (node = group->attached.next; node != end; node = node->next)
		unreserve_device(ioas,
				 list_entry(node, struct iommufd_device,
					    attached_node));
}

static int reserve_group(struct iommufd_ioas *ioas, struct iommufd_group *group)
{
	struct iommufd_device *device;
	int error;

	list_for_each_entry(device, &group->attached, attached_node) {
		error = reserve_device(ioas, device);
		if (error) {
			unreserve_until(ioas, group, &device->attached_node);
			return error;
		}
	}
	return 0;
}

static int enforce_group_coherency(struct iommufd_group *group,
				   struct iommufd_hwpt_paging *hwpt)
{
	struct iommufd_device *device;
	int error;

	list_for_each_entry(device, &group->attached, attached_node) {
		error = iommufd_device_enforce_coherency(device, hwpt);
		if (error)
			return error;
	}
	return 0;
}

static struct iommufd_attachment *
attachment_alloc(struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_attachment *attachment;
	int error;

	attachment = kzalloc_obj(*attachment, GFP_KERNEL_ACCOUNT);
	if (!attachment)
		return ERR_PTR(-ENOMEM);
	error = iommufd_object_use(&hwpt->obj);
	if (error) {
		kfree(attachment);
		return ERR_PTR(error);
	}
	attachment->hwpt = hwpt;
	return attachment;
}

/* No lock is held: an automatic page table may end here. */
static void attachment_free(struct iommufd_ctx *ctx,
			    struct iommufd_attachment *attachment)
{
	if (!attachment)
		return;
	iommufd_object_unuse(ctx, &attachment->hwpt->obj);
	kfree(attachment);
}

static int group_program(struct iommufd_group *group,
			 struct iommufd_attachment *new)
{
	if (!group->attachment)
		return iommu_attach_group_handle(new->hwpt->domain,
						 group->group, &new->handle);
	return iommu_replace_group_handle(group->group, new->hwpt->domain,
					  &new->handle);
}

/*
 * The first device programs the group with @new, the others need no new
 * attachment: *@unused is what is left over.
 */
static int attach_locked(struct iommufd_device *device,
			 struct iommufd_attachment *new,
			 struct iommufd_attachment **unused)
{
	struct iommufd_ioas *ioas = hwpt_ioas(new->hwpt);
	struct iommufd_group *group = device->group;
	int error;

	lockdep_assert_held(&group->lock);
	if (!list_empty(&device->attached_node))
		return -EINVAL;
	if (group->attachment && group->attachment->hwpt != new->hwpt)
		return -EINVAL;
	error = iommufd_device_enforce_coherency(device,
						 to_hwpt_paging(new->hwpt));
	if (error)
		return error;
	error = reserve_device(ioas, device);
	if (error)
		return error;
	if (!group->attachment) {
		error = group_program(group, new);
		if (error) {
			unreserve_device(ioas, device);
			return error;
		}
		group->attachment = new;
		*unused = NULL;
	}
	list_add_tail(&device->attached_node, &group->attached);
	return 0;
}

static int replace_locked(struct iommufd_device *device,
			  struct iommufd_attachment *new,
			  struct iommufd_attachment **unused)
{
	struct iommufd_group *group = device->group;
	struct iommufd_ioas *new_ioas = hwpt_ioas(new->hwpt);
	struct iommufd_ioas *old_ioas;
	int error;

	lockdep_assert_held(&group->lock);
	if (list_empty(&device->attached_node))
		return -EINVAL;
	if (group->attachment->hwpt == new->hwpt)
		return 0;
	old_ioas = hwpt_ioas(group->attachment->hwpt);
	error = enforce_group_coherency(group, to_hwpt_paging(new->hwpt));
	if (error)
		return error;
	if (new_ioas != old_ioas) {
		error = reserve_group(new_ioas, group);
		if (error)
			return error;
	}
	error = group_program(group, new);
	if (new_ioas != old_ioas)
		unreserve_until(error ? new_ioas : old_ioas, group,
				&group->attached);
	if (error)
		return error;
	*unused = group->attachment;
	group->attachment = new;
	return 0;
}

static int change_attachment(struct iommufd_device *device,
			     struct iommufd_hw_pagetable *hwpt,
			     int (*change)(struct iommufd_device *device,
					   struct iommufd_attachment *new,
					   struct iommufd_attachment **unused))
{
	struct iommufd_attachment *new, *unused;
	int error;

	new = attachment_alloc(hwpt);
	if (IS_ERR(new))
		return PTR_ERR(new);
	unused = new;
	scoped_guard(mutex, &device->group->lock) {
		error = change(device, new, &unused);
		if (IS_ENABLED(CONFIG_IOMMUFD_DEBUG))
			iommufd_group_verify(device->group);
	}
	attachment_free(device->ctx, unused);
	return error;
}

static int attach_hwpt(struct iommufd_device *device,
		       struct iommufd_hw_pagetable *hwpt)
{
	return change_attachment(device, hwpt, attach_locked);
}

static int replace_hwpt(struct iommufd_device *device,
			struct iommufd_hw_pagetable *hwpt)
{
	return change_attachment(device, hwpt, replace_locked);
}

/* The oldest automatic page table of an IOAS behind *@seq, on hold. */
static struct iommufd_hwpt_paging *next_automatic(struct iommufd_ioas *ioas,
						  u64 *seq)
{
	struct iommufd_hwpt_paging *hwpt;

	guard(rwsem_read)(&ioas->domains_rwsem);
	list_for_each_entry(hwpt, &ioas->domains, ioas_node) {
		if (!hwpt->automatic || hwpt->seq < *seq)
			continue;
		*seq = hwpt->seq + 1;
		if (!iommufd_object_hold(&hwpt->common.obj))
			return hwpt;
	}
	return NULL;
}

static int attach_new_automatic(struct iommufd_device *device,
				struct iommufd_ioas *ioas, attach_fn attach,
				u32 *pt_id)
{
	struct iommufd_hwpt_paging *hwpt;
	int error;

	hwpt = iommufd_hwpt_paging_alloc(device, ioas);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	hwpt->automatic = true;
	/* A sibling may move the group away again before we are done. */
	iommufd_object_automatic(&hwpt->common.obj);
	error = iommufd_hwpt_paging_fill(hwpt);
	if (!error)
		error = attach(device, &hwpt->common);
	if (error) {
		/* attach_lock is held: nobody else has found it. */
		iommufd_hwpt_paging_abort(device->ctx, hwpt);
		return error;
	}
	*pt_id = hwpt->common.obj.id;
	iommufd_object_publish(device->ctx, &hwpt->common.obj);
	iommufd_object_put(device->ctx, &hwpt->common.obj);
	return 0;
}

/*
 * Use an automatic page table that is there if the driver takes it, and make
 * one only if none will do: -EINVAL is a driver's word for "not this one".
 */
static int attach_automatic(struct iommufd_device *device,
			    struct iommufd_ioas *ioas, attach_fn attach,
			    u32 *pt_id)
{
	struct iommufd_hwpt_paging *hwpt;
	u64 seq = 0;
	int error;

	lockdep_assert_held(&ioas->attach_lock);
	while ((hwpt = next_automatic(ioas, &seq))) {
		u32 id = hwpt->common.obj.id;

		error = attach(device, &hwpt->common);
		iommufd_object_put(device->ctx, &hwpt->common.obj);
		if (!error)
			*pt_id = id;
		/* -ENOENT: it lost its last device and ended under our eyes. */
		if (error != -EINVAL && error != -ENOENT)
			return error;
	}
	return attach_new_automatic(device, ioas, attach, pt_id);
}

static int attach_ioas(struct iommufd_device *device, struct iommufd_ioas *ioas,
		       attach_fn attach, u32 *pt_id)
{
	int error;

	error = mutex_lock_killable(&ioas->attach_lock);
	if (error)
		return error;
	error = attach_automatic(device, ioas, attach, pt_id);
	mutex_unlock(&ioas->attach_lock);
	return error;
}

static int attach_object(struct iommufd_device *device,
			 struct iommufd_object *object, attach_fn attach,
			 u32 *pt_id)
{
	switch (object->type) {
	case IOMMUFD_OBJ_IOAS:
		return attach_ioas(device, to_ioas(object), attach, pt_id);
	case IOMMUFD_OBJ_HWPT_PAGING:
		return attach(device,
			      container_of(object, struct iommufd_hw_pagetable,
					   obj));
	default:
		return -EINVAL;
	}
}

static int attach_id(struct iommufd_device *device, ioasid_t pasid, u32 *pt_id,
		     attach_fn attach, const char *command)
{
	struct iommufd_ctx *ctx = device->ctx;
	struct iommufd_object *object;
	int error;

	if (pasid != IOMMU_NO_PASID) {
		error = iommufd_refuse(ctx, -EOPNOTSUPP, "PASID", pasid, 0);
		iommufd_refused(ctx, command, error);
		return error;
	}
	object = iommufd_object_get(ctx, *pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(object)) {
		error = PTR_ERR(object);
	} else {
		error = attach_object(device, object, attach, pt_id);
		iommufd_object_put(ctx, object);
	}
	if (error)
		iommufd_refused(ctx, command, error);
	return error;
}

/**
 * iommufd_device_attach() - let a device use a page table
 * @idev: a bound device that is not attached
 * @pasid: IOMMU_NO_PASID
 * @pt_id: id of an IOAS or a HWPT; on success the id of the HWPT
 *
 * For an IOAS a page table is chosen, or made if none of those that are there
 * will do.
 *
 * Return: 0; -ENOENT if @pt_id names nothing; -EINVAL if it names something
 * else, the device is attached already, its group is on another page table,
 * or the driver refuses the pair; -EADDRINUSE if a region that the device
 * reserves is mapped or promised to user space; -EOPNOTSUPP for a PASID;
 * -ENOMEM; -EFAULT if the memory of the IOAS cannot be pinned; -EINTR.
 * Nothing has changed on error.
 * Context: Sleeps for as long as user memory likes. The driver serialises its
 * calls for one device.
 */
int iommufd_device_attach(struct iommufd_device *idev, ioasid_t pasid,
			  u32 *pt_id)
{
	return attach_id(idev, pasid, pt_id, attach_hwpt, "attach");
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_attach, "IOMMUFD");

/**
 * iommufd_device_replace() - move a device's group to another page table
 * @idev: an attached device
 * @pasid: IOMMU_NO_PASID
 * @pt_id: id of an IOAS or a HWPT; on success the id of the HWPT
 *
 * DMA goes from the old translation to the new one without a gap. All
 * attached devices of the group move.
 *
 * Return: 0, also if the group is there already; -EINVAL if the device is not
 * attached; otherwise as iommufd_device_attach(), and then the group is where
 * it was.
 * Context: As iommufd_device_attach().
 */
int iommufd_device_replace(struct iommufd_device *idev, ioasid_t pasid,
			   u32 *pt_id)
{
	return attach_id(idev, pasid, pt_id, replace_hwpt, "replace");
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_replace, "IOMMUFD");

/**
 * iommufd_device_detach() - take a device off its page table
 * @idev: an attached device
 * @pasid: IOMMU_NO_PASID
 *
 * The group's DMA is blocked when its last device leaves. An automatic page
 * table ends with the last group that is on it.
 *
 * Context: May sleep, but not for user memory. Cannot fail.
 */
void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid)
{
	struct iommufd_group *group = idev->group;
	struct iommufd_attachment *unused = NULL;
	struct iommufd_ioas *ioas;

	if (WARN_ON_ONCE(pasid != IOMMU_NO_PASID))
		return;
	scoped_guard(mutex, &group->lock) {
		if (WARN_ON_ONCE(list_empty(&idev->attached_node)))
			return;
		list_del_init(&idev->attached_node);
		ioas = hwpt_ioas(group->attachment->hwpt);
		if (list_empty(&group->attached)) {
			unused = group->attachment;
			iommu_detach_group_handle(unused->hwpt->domain,
						  group->group);
			group->attachment = NULL;
		}
		unreserve_device(ioas, idev);
		if (IS_ENABLED(CONFIG_IOMMUFD_DEBUG))
			iommufd_group_verify(group);
	}
	attachment_free(idev->ctx, unused);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_detach, "IOMMUFD");

/**
 * iommufd_group_verify() - derive the invariants of a group anew and compare
 * @group: the group
 *
 * It is attached exactly while a device of it is, and the core's record says
 * the same as ours.
 *
 * Context: The group lock is held. Debug builds and tests only.
 */
void iommufd_group_verify(struct iommufd_group *group)
{
	struct iommu_attach_handle *handle;

	lockdep_assert_held(&group->lock);
	handle = iommu_attach_handle_get(group->group, IOMMU_NO_PASID, 0);
	WARN_ON_ONCE(list_empty(&group->attached) != !group->attachment);
	if (group->attachment)
		WARN_ON_ONCE(handle != &group->attachment->handle ||
			     handle->domain != group->attachment->hwpt->domain);
	else
		WARN_ON_ONCE(!IS_ERR(handle));
}
