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
 * What is true of a group is so of each of its spaces: requests without a PASID
 * are one, and those with a PASID are one for each value. A space exists while
 * a device is in it, and stays when its page table is replaced.
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
	return hwpt->paging->ioas;
}

typedef int (*attach_fn)(struct iommufd_device *device, ioasid_t pasid,
			 struct iommufd_hw_pagetable *hwpt);

/* Reserved regions -------------------------------------------------------- */

static int reserve_regions(struct iommufd_ioas *ioas,
			   struct iommufd_member *member,
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
			error = ioas_reserve(ioas, range, member);
		if (error)
			break;
	}
	if (error)
		ioas_unreserve(ioas, member);
	return error;
}

static int reserve_member(struct iommufd_ioas *ioas,
			  struct iommufd_member *member)
{
	struct device *dev = member->device->dev;
	LIST_HEAD(regions);
	int error;

	iommu_get_resv_regions(dev, &regions);
	error = reserve_regions(ioas, member, &regions);
	iommu_put_resv_regions(dev, &regions);
	return error;
}

static void unreserve_member(struct iommufd_ioas *ioas,
			     struct iommufd_member *member)
{
	guard(rwsem_write)(&ioas->areas_rwsem);
	ioas_unreserve(ioas, member);
}

/* The members of a space up to @end, which is a member's node or the head. */
static void unreserve_until(struct iommufd_ioas *ioas,
			    struct iommufd_dma_space *space,
			    struct list_head *end)
{
	struct list_head *node;

	for (node = space->members.next; node != end; node = node->next)
		unreserve_member(ioas, list_entry(node, struct iommufd_member,
						  node));
}

static int reserve_members(struct iommufd_ioas *ioas,
			   struct iommufd_dma_space *space)
{
	struct iommufd_member *member;
	int error;

	list_for_each_entry(member, &space->members, node) {
		error = reserve_member(ioas, member);
		if (error) {
			unreserve_until(ioas, space, &member->node);
			return error;
		}
	}
	return 0;
}

static int enforce_members_coherency(struct iommufd_dma_space *space,
				     struct iommufd_hwpt_paging *hwpt)
{
	struct iommufd_member *member;
	int error;

	list_for_each_entry(member, &space->members, node) {
		error = iommufd_device_enforce_coherency(member->device, hwpt);
		if (error)
			return error;
	}
	return 0;
}

/* Spaces ------------------------------------------------------------------ */

/* A space that is there or new: it goes again with space_put_empty(). */
static struct iommufd_dma_space *space_get(struct iommufd_group *group,
					   ioasid_t pasid)
{
	struct iommufd_dma_space *space = xa_load(&group->spaces, pasid);
	int error;

	lockdep_assert_held(&group->lock);
	if (space)
		return space;
	space = kzalloc_obj(*space, GFP_KERNEL_ACCOUNT);
	if (!space)
		return ERR_PTR(-ENOMEM);
	error = xa_insert(&group->spaces, pasid, space, GFP_KERNEL_ACCOUNT);
	if (error) {
		kfree(space);
		return ERR_PTR(error);
	}
	space->group = group;
	space->pasid = pasid;
	INIT_LIST_HEAD(&space->members);
	return space;
}

static void space_put_empty(struct iommufd_dma_space *space)
{
	lockdep_assert_held(&space->group->lock);
	if (!list_empty(&space->members))
		return;
	IOMMUFD_ASSERT(!space->attachment);
	xa_erase(&space->group->spaces, space->pasid);
	kfree(space);
}

static struct iommufd_member *find_member(struct iommufd_dma_space *space,
					  struct iommufd_device *device)
{
	struct iommufd_member *member;

	list_for_each_entry(member, &space->members, node)
		if (member->device == device)
			return member;
	return NULL;
}

/**
 * iommufd_space_device() - which attached device a device is
 * @space: where it might be attached
 * @dev: the device
 *
 * Return: the attached device, as long as the lock is held; NULL if it is none.
 * Context: The members_lock of the group is held.
 */
struct iommufd_device *iommufd_space_device(struct iommufd_dma_space *space,
					    struct device *dev)
{
	struct iommufd_member *member;

	lockdep_assert_held(&space->group->members_lock);
	list_for_each_entry(member, &space->members, node)
		if (member->device->dev == dev)
			return member->device;
	return NULL;
}

static struct iommufd_member *member_add(struct iommufd_dma_space *space,
					 struct iommufd_device *device)
{
	struct iommufd_member *member;

	member = kzalloc_obj(*member, GFP_KERNEL_ACCOUNT);
	if (!member)
		return ERR_PTR(-ENOMEM);
	member->device = device;
	device->nr_spaces++;
	scoped_guard(spinlock, &space->group->members_lock)
		list_add_tail(&member->node, &space->members);
	return member;
}

static void member_leave(struct iommufd_dma_space *space,
			 struct iommufd_member *member)
{
	member->device->nr_spaces--;
	scoped_guard(spinlock, &space->group->members_lock)
		list_del(&member->node);
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

/* The core takes a device for the group where there is a PASID. */
static int program_core(struct iommufd_dma_space *space, struct device *dev,
			struct iommufd_attachment *new)
{
	struct iommu_domain *domain = new->hwpt->domain;
	struct iommu_group *group = space->group->group;

	if (space->pasid == IOMMU_NO_PASID)
		return space->attachment ?
			iommu_replace_group_handle(group, domain,
						   &new->handle) :
			iommu_attach_group_handle(domain, group, &new->handle);
	return space->attachment ?
		iommu_replace_device_pasid(domain, dev, space->pasid,
					   &new->handle) :
		iommu_attach_device_pasid(domain, dev, space->pasid,
					  &new->handle);
}

/* Interrupts have no PASID. */
static int space_program(struct iommufd_dma_space *space, struct device *dev,
			 struct iommufd_attachment *new)
{
	struct iommufd_group *group = space->group;
	int error;

	new->space = space;
	if (space->pasid != IOMMU_NO_PASID)
		return program_core(space, dev, new);
	error = iommufd_msi_prepare(group, new->hwpt->paging);
	if (error)
		return error;
	error = program_core(space, dev, new);
	iommufd_msi_finish(group, !error);
	return error;
}

static void space_unprogram(struct iommufd_dma_space *space,
			    struct device *dev)
{
	struct iommu_domain *domain = space->attachment->hwpt->domain;

	if (space->pasid == IOMMU_NO_PASID) {
		iommu_detach_group_handle(domain, space->group->group);
		iommufd_msi_leave(space->group);
	} else {
		iommu_detach_device_pasid(domain, dev, space->pasid);
	}
	space->attachment = NULL;
}

static bool has_pasids(struct iommufd_group *group)
{
	unsigned long pasid = IOMMU_NO_PASID + 1;

	return xa_find(&group->spaces, &pasid, ULONG_MAX, XA_PRESENT);
}

/*
 * With PASIDs the hardware looks for a page table in another way, also for
 * requests without one: all of a group's have to be made for it.
 */
static bool pasids_permit(struct iommufd_dma_space *space,
			  struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_group *group = space->group;
	struct iommufd_dma_space *plain;

	if (space->pasid == IOMMU_NO_PASID)
		return hwpt->pasid_compat || !has_pasids(group);
	plain = xa_load(&group->spaces, IOMMU_NO_PASID);
	return hwpt->pasid_compat &&
	       (!plain || plain->attachment->hwpt->pasid_compat);
}

/* Attach and replace ------------------------------------------------------ */

static int enter_ioas(struct iommufd_dma_space *space,
		      struct iommufd_member *member,
		      struct iommufd_attachment **new)
{
	struct iommufd_ioas *ioas = hwpt_ioas((*new)->hwpt);
	int error;

	error = reserve_member(ioas, member);
	if (error || space->attachment)
		return error;
	error = space_program(space, member->device->dev, *new);
	if (error) {
		unreserve_member(ioas, member);
		return error;
	}
	space->attachment = *new;
	*new = NULL;
	return 0;
}

/* The first device programs the space, the others need no new attachment. */
static int space_join(struct iommufd_dma_space *space,
		      struct iommufd_device *device,
		      struct iommufd_attachment **new)
{
	struct iommufd_hw_pagetable *hwpt = (*new)->hwpt;
	struct iommufd_member *member;
	int error;

	if (find_member(space, device))
		return space->pasid == IOMMU_NO_PASID ? -EINVAL : -EBUSY;
	if (space->attachment && space->attachment->hwpt != hwpt)
		return -EINVAL;
	if (!pasids_permit(space, hwpt))
		return -EINVAL;
	error = iommufd_device_enforce_coherency(device, hwpt->paging);
	if (error)
		return error;
	/* A device is known before its first event can arrive. */
	member = member_add(space, device);
	if (IS_ERR(member))
		return PTR_ERR(member);
	error = enter_ioas(space, member, new);
	if (error) {
		member_leave(space, member);
		kfree(member);
	}
	return error;
}

static int attach_locked(struct iommufd_device *device, ioasid_t pasid,
			 struct iommufd_attachment **new)
{
	struct iommufd_dma_space *space;
	int error;

	space = space_get(device->group, pasid);
	if (IS_ERR(space))
		return PTR_ERR(space);
	error = space_join(space, device, new);
	space_put_empty(space);
	return error;
}

static int space_move(struct iommufd_dma_space *space, struct device *dev,
		      struct iommufd_attachment **new)
{
	struct iommufd_attachment *old = space->attachment;
	struct iommufd_ioas *new_ioas = hwpt_ioas((*new)->hwpt);
	struct iommufd_ioas *old_ioas = hwpt_ioas(old->hwpt);
	int error;

	if (!pasids_permit(space, (*new)->hwpt))
		return -EINVAL;
	error = enforce_members_coherency(space, (*new)->hwpt->paging);
	if (error)
		return error;
	if (new_ioas != old_ioas) {
		error = reserve_members(new_ioas, space);
		if (error)
			return error;
	}
	error = space_program(space, dev, *new);
	if (new_ioas != old_ioas)
		unreserve_until(error ? new_ioas : old_ioas, space,
				&space->members);
	if (error)
		return error;
	space->attachment = *new;
	*new = old;
	iommufd_attachment_end_faults(old, NULL);
	return 0;
}

static int replace_locked(struct iommufd_device *device, ioasid_t pasid,
			  struct iommufd_attachment **new)
{
	struct iommufd_dma_space *space = xa_load(&device->group->spaces,
						  pasid);

	lockdep_assert_held(&device->group->lock);
	if (!space || !find_member(space, device))
		return -EINVAL;
	if (space->attachment->hwpt == (*new)->hwpt)
		return 0;
	return space_move(space, device->dev, new);
}

/*
 * @change leaves in *@attachment what it has no more use for: the new one, the
 * old one, or none.
 */
static int change_attachment(struct iommufd_device *device, ioasid_t pasid,
			     struct iommufd_hw_pagetable *hwpt,
			     int (*change)(struct iommufd_device *device,
					   ioasid_t pasid,
					   struct iommufd_attachment **attachment))
{
	struct iommufd_attachment *attachment;
	int error;

	attachment = attachment_alloc(hwpt);
	if (IS_ERR(attachment))
		return PTR_ERR(attachment);
	scoped_guard(mutex, &device->group->lock) {
		error = change(device, pasid, &attachment);
		if (IS_ENABLED(CONFIG_IOMMUFD_DEBUG))
			iommufd_group_verify(device->group);
	}
	attachment_free(device->ctx, attachment);
	return error;
}

static int attach_hwpt(struct iommufd_device *device, ioasid_t pasid,
		       struct iommufd_hw_pagetable *hwpt)
{
	return change_attachment(device, pasid, hwpt, attach_locked);
}

static int replace_hwpt(struct iommufd_device *device, ioasid_t pasid,
			struct iommufd_hw_pagetable *hwpt)
{
	return change_attachment(device, pasid, hwpt, replace_locked);
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

	hwpt = iommufd_hwpt_paging_alloc(device, ioas, 0, NULL);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	hwpt->automatic = true;
	/* A sibling may move the group away again before we are done. */
	iommufd_object_automatic(&hwpt->common.obj);
	error = iommufd_hwpt_paging_fill(hwpt);
	if (!error)
		error = attach(device, IOMMU_NO_PASID, &hwpt->common);
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

		error = attach(device, IOMMU_NO_PASID, &hwpt->common);
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

static int attach_object(struct iommufd_device *device, ioasid_t pasid,
			 struct iommufd_object *object, attach_fn attach,
			 u32 *pt_id)
{
	switch (object->type) {
	case IOMMUFD_OBJ_IOAS:
		/* Automatic page tables are not made for PASIDs. */
		if (pasid != IOMMU_NO_PASID)
			return -EINVAL;
		return attach_ioas(device, to_ioas(object), attach, pt_id);
	case IOMMUFD_OBJ_HWPT_PAGING:
	case IOMMUFD_OBJ_HWPT_NESTED:
		return attach(device, pasid, to_hw_pagetable(object));
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

	if (pasid != IOMMU_NO_PASID &&
	    pasid >= device->dev->iommu->max_pasids) {
		error = iommufd_refuse(ctx, -EINVAL,
				       "a PASID that the device does not have",
				       pasid, device->dev->iommu->max_pasids);
		iommufd_refused(ctx, command, error);
		return error;
	}
	object = iommufd_object_get(ctx, *pt_id, IOMMUFD_OBJ_ANY);
	if (IS_ERR(object)) {
		error = PTR_ERR(object);
	} else {
		error = attach_object(device, pasid, object, attach, pt_id);
		iommufd_object_put(ctx, object);
	}
	if (error)
		iommufd_refused(ctx, command, error);
	return error;
}

/**
 * iommufd_device_attach() - let a device use a page table
 * @idev: a bound device that is not attached for @pasid
 * @pasid: for requests with this PASID, or IOMMU_NO_PASID
 * @pt_id: id of an IOAS or a HWPT; on success the id of the HWPT
 *
 * For an IOAS a page table is chosen, or made if none of those that are there
 * will do. For a PASID it has to be a HWPT with IOMMU_HWPT_ALLOC_PASID, and so
 * has that of requests without a PASID to be while there are PASIDs.
 *
 * Return: 0; -ENOENT if @pt_id names nothing; -EINVAL if it names something
 * else, the device is attached already, its group is on another page table,
 * or the driver refuses the pair; -EADDRINUSE if a region that the device
 * reserves is mapped or promised to user space; -EBUSY if the PASID of the
 * device is attached already; -EOPNOTSUPP if the driver has no PASIDs;
 * -ENOMEM; -EFAULT if the memory of the IOAS cannot be pinned; -EINTR. Nothing
 * has changed on error.
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
 * @idev: a device that is attached for @pasid
 * @pasid: for requests with this PASID, or IOMMU_NO_PASID
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

/* What the space has no more use for once its last device is gone. */
static struct iommufd_attachment *detach_locked(struct iommufd_device *device,
						ioasid_t pasid)
{
	struct iommufd_dma_space *space = xa_load(&device->group->spaces,
						  pasid);
	struct iommufd_member *member = NULL;
	struct iommufd_attachment *attachment;
	struct iommufd_ioas *ioas;

	lockdep_assert_held(&device->group->lock);
	if (space)
		member = find_member(space, device);
	if (WARN_ON_ONCE(!member))
		return NULL;
	attachment = space->attachment;
	ioas = hwpt_ioas(attachment->hwpt);
	member_leave(space, member);
	if (list_empty(&space->members))
		space_unprogram(space, device->dev);
	iommufd_attachment_end_faults(attachment, device);
	if (space->attachment)
		attachment = NULL;
	unreserve_member(ioas, member);
	kfree(member);
	space_put_empty(space);
	return attachment;
}

/**
 * iommufd_device_detach() - take a device off its page table
 * @idev: a device that is attached for @pasid
 * @pasid: for requests with this PASID, or IOMMU_NO_PASID
 *
 * The group's DMA is blocked when its last device leaves. An automatic page
 * table ends with the last group that is on it.
 *
 * Context: May sleep, but not for user memory. Cannot fail.
 */
void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid)
{
	struct iommufd_attachment *unused;

	scoped_guard(mutex, &idev->group->lock) {
		unused = detach_locked(idev, pasid);
		if (IS_ENABLED(CONFIG_IOMMUFD_DEBUG))
			iommufd_group_verify(idev->group);
	}
	attachment_free(idev->ctx, unused);
}
EXPORT_SYMBOL_NS_GPL(iommufd_device_detach, "IOMMUFD");

static void space_verify(struct iommufd_dma_space *space)
{
	struct iommufd_attachment *attachment = space->attachment;
	struct iommu_attach_handle *handle;

	WARN_ON_ONCE(list_empty(&space->members));
	if (WARN_ON_ONCE(!attachment))
		return;
	handle = iommu_attach_handle_get(space->group->group, space->pasid, 0);
	WARN_ON_ONCE(attachment->space != space);
	WARN_ON_ONCE(handle != &attachment->handle ||
		     handle->domain != attachment->hwpt->domain);
}

/**
 * iommufd_group_verify() - derive the invariants of a group anew and compare
 * @group: the group
 *
 * It has a page table exactly where one of its devices is attached, and the
 * core's record says the same as ours.
 *
 * Context: The group lock is held. Debug builds and tests only.
 */
void iommufd_group_verify(struct iommufd_group *group)
{
	struct iommufd_dma_space *space;
	unsigned long pasid;

	lockdep_assert_held(&group->lock);
	xa_for_each(&group->spaces, pasid, space)
		space_verify(space);
	iommufd_msi_verify(group);
	if (!xa_load(&group->spaces, IOMMU_NO_PASID))
		WARN_ON_ONCE(!IS_ERR(iommu_attach_handle_get(group->group,
							     IOMMU_NO_PASID,
							     0)));
}
