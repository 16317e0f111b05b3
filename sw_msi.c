// SPDX-License-Identifier: GPL-2.0-only
/*
 * Message signalled interrupts behind an IOMMU that translates them.
 *
 * DOC: doorbells
 *
 * A device raises an MSI by writing to a page of the interrupt controller, its
 * doorbell. Where the IOMMU translates such a write like any other (SMMUv3 does,
 * VT-d and AMD do not), the doorbell has to be in the page table that the device
 * is on. The driver of such an IOMMU reserves a window of IOVAs for that,
 * IOMMU_RESV_SW_MSI, which is kept from user space like all that a device
 * reserves.
 *
 * When an interrupt is set up the IOMMU core asks for the IOVA of its doorbell.
 * The device is told that address and goes on using it, whatever its group is
 * moved to. So an IOVA belongs to a doorbell for as long as the context lives:
 * iommufd_ctx::doorbells says which, and a window that is full is the only limit.
 *
 * A group needs the doorbells that its devices have asked for. They are mapped in
 * the page table that it is on, and before it is moved in the one that it goes to,
 * so that no interrupt is lost on the way. A page table maps a doorbell once and
 * counts the groups; the last one takes it out. While it is there its IOVA is
 * reserved in the IOAS under its own name: another device of the group may be the
 * one that reserves the window, and leave.
 *
 * The core asks with its own lock of the group held, under which it attaches as
 * well, so that iommufd_group::lock cannot be taken here. What this file knows of
 * groups and page tables has a lock of its own, iommufd_ctx::doorbells_lock.
 */
#include <linux/iommu.h>
#include <linux/slab.h>

#include "iommufd_private.h"

/**
 * struct doorbell - a doorbell that a page table maps
 * @nr_groups: how many groups need it there
 *
 * It owns the reservation of its page in the IOAS.
 */
struct doorbell {
	unsigned int nr_groups;
};

/* Page tables ------------------------------------------------------------- */

static struct iova_range page_at(unsigned long index)
{
	return (struct iova_range){
		.first = index << PAGE_SHIFT,
		.last = (index << PAGE_SHIFT) + PAGE_SIZE - 1,
	};
}

static int reserve_page(struct iommufd_ioas *ioas, unsigned long index,
			struct doorbell *doorbell)
{
	guard(rwsem_write)(&ioas->areas_rwsem);
	return ioas_reserve(ioas, page_at(index), doorbell);
}

static void unreserve_page(struct iommufd_ioas *ioas,
			   struct doorbell *doorbell)
{
	guard(rwsem_write)(&ioas->areas_rwsem);
	ioas_unreserve(ioas, doorbell);
}

static int map_page(struct iommufd_hwpt_paging *hwpt, unsigned long index,
		    unsigned long pfn, struct doorbell *doorbell)
{
	struct iommu_domain *domain = hwpt->common.domain;
	int error;

	if (BIT(__ffs(domain->pgsize_bitmap)) > PAGE_SIZE)
		return -EOPNOTSUPP;
	error = reserve_page(hwpt->ioas, index, doorbell);
	if (error)
		return error;
	error = iommu_map(domain, index << PAGE_SHIFT, PFN_PHYS(pfn), PAGE_SIZE,
			  IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO,
			  GFP_KERNEL_ACCOUNT);
	if (error)
		unreserve_page(hwpt->ioas, doorbell);
	return error;
}

static int doorbell_add(struct iommufd_hwpt_paging *hwpt, unsigned long index,
			unsigned long pfn)
{
	struct doorbell *doorbell;
	int error;

	doorbell = kzalloc_obj(*doorbell, GFP_KERNEL_ACCOUNT);
	if (!doorbell)
		return -ENOMEM;
	doorbell->nr_groups = 1;
	error = xa_insert(&hwpt->doorbells, index, doorbell,
			  GFP_KERNEL_ACCOUNT);
	if (error) {
		kfree(doorbell);
		return error;
	}
	error = map_page(hwpt, index, pfn, doorbell);
	if (error) {
		xa_erase(&hwpt->doorbells, index);
		kfree(doorbell);
	}
	return error;
}

/* No page table is one where nothing has to be done. */
static int doorbell_get(struct iommufd_hwpt_paging *hwpt, unsigned long index,
			unsigned long pfn)
{
	struct doorbell *doorbell;

	if (!hwpt)
		return 0;
	lockdep_assert_held(&hwpt->ioas->ctx->doorbells_lock);
	doorbell = xa_load(&hwpt->doorbells, index);
	if (!doorbell)
		return doorbell_add(hwpt, index, pfn);
	doorbell->nr_groups++;
	return 0;
}

static void doorbell_put(struct iommufd_hwpt_paging *hwpt, unsigned long index)
{
	struct doorbell *doorbell;

	if (!hwpt)
		return;
	lockdep_assert_held(&hwpt->ioas->ctx->doorbells_lock);
	doorbell = xa_load(&hwpt->doorbells, index);
	if (--doorbell->nr_groups)
		return;
	WARN_ON_ONCE(iommu_unmap(hwpt->common.domain, index << PAGE_SHIFT,
				 PAGE_SIZE) != PAGE_SIZE);
	unreserve_page(hwpt->ioas, doorbell);
	xa_erase(&hwpt->doorbells, index);
	kfree(doorbell);
}

static void verify_page(struct iommufd_hwpt_paging *hwpt, unsigned long index,
			unsigned long pfn)
{
	struct iova_range page = page_at(index);
	struct doorbell *doorbell = xa_load(&hwpt->doorbells, index);

	WARN_ON_ONCE(!doorbell || !doorbell->nr_groups);
	WARN_ON_ONCE(iommu_iova_to_phys(hwpt->common.domain, page.first) !=
		     PFN_PHYS(pfn));
	guard(rwsem_read)(&hwpt->ioas->areas_rwsem);
	WARN_ON_ONCE(!interval_tree_iter_first(&hwpt->ioas->reserved, page.first,
					       page.last));
}

/* Groups ------------------------------------------------------------------ */

/* The first doorbells of a group, as many as are below @end. */
static void put_until(struct iommufd_group *group,
		      struct iommufd_hwpt_paging *hwpt, unsigned long end)
{
	unsigned long index;
	void *pfn;

	xa_for_each(&group->doorbells, index, pfn) {
		if (index >= end)
			return;
		doorbell_put(hwpt, index);
	}
}

static int get_all(struct iommufd_group *group,
		   struct iommufd_hwpt_paging *hwpt)
{
	unsigned long index;
	void *pfn;
	int error;

	xa_for_each(&group->doorbells, index, pfn) {
		error = doorbell_get(hwpt, index, xa_to_value(pfn));
		if (error) {
			put_until(group, hwpt, index);
			return error;
		}
	}
	return 0;
}

static void leave_table(struct iommufd_group *group,
			struct iommufd_hwpt_paging **table)
{
	put_until(group, *table, ULONG_MAX);
	*table = NULL;
}

/**
 * iommufd_msi_prepare() - map the doorbells of a group where it is about to go
 * @group: the group
 * @hwpt: the page table for its requests without a PASID, which has none yet, or
 *	another one
 *
 * Return: 0, and iommufd_msi_finish() has to follow; -ENOMEM; -EADDRINUSE if the
 * IOVA of one is mapped or promised to user space; what the driver answers.
 * Context: The group lock is held. Takes doorbells_lock.
 */
int iommufd_msi_prepare(struct iommufd_group *group,
			struct iommufd_hwpt_paging *hwpt)
{
	int error;

	lockdep_assert_held(&group->lock);
	guard(mutex)(&group->ctx->doorbells_lock);
	error = get_all(group, hwpt);
	if (!error)
		group->next_table = hwpt;
	return error;
}

/**
 * iommufd_msi_finish() - take the doorbells out where a group is not any more
 * @group: the group
 * @moved: it is on the page table that was prepared; otherwise it stays where it
 *	was
 *
 * Context: The group lock is held. Takes doorbells_lock. Cannot fail.
 */
void iommufd_msi_finish(struct iommufd_group *group, bool moved)
{
	lockdep_assert_held(&group->lock);
	guard(mutex)(&group->ctx->doorbells_lock);
	if (moved)
		swap(group->table, group->next_table);
	leave_table(group, &group->next_table);
}

/**
 * iommufd_msi_leave() - take the doorbells out of the page table of a group
 * @group: the group, whose requests without a PASID are blocked now
 *
 * Context: The group lock is held. Takes doorbells_lock. Cannot fail.
 */
void iommufd_msi_leave(struct iommufd_group *group)
{
	lockdep_assert_held(&group->lock);
	guard(mutex)(&group->ctx->doorbells_lock);
	leave_table(group, &group->table);
}

/**
 * iommufd_msi_verify() - derive the invariants of a group's doorbells and compare
 * @group: the group, which is not being moved
 *
 * They are mapped, and reserved, in the page table that the group is on.
 *
 * Context: The group lock is held. Takes doorbells_lock. Debug builds and tests
 * only.
 */
void iommufd_msi_verify(struct iommufd_group *group)
{
	struct iommufd_dma_space *space;
	unsigned long index;
	void *pfn;

	lockdep_assert_held(&group->lock);
	guard(mutex)(&group->ctx->doorbells_lock);
	space = xa_load(&group->spaces, IOMMU_NO_PASID);
	WARN_ON_ONCE(group->next_table);
	WARN_ON_ONCE(group->table !=
		     (space ? space->attachment->hwpt->paging : NULL));
	if (!group->table)
		return;
	xa_for_each(&group->doorbells, index, pfn)
		verify_page(group->table, index, xa_to_value(pfn));
}

/*
 * One more doorbell for a group, wherever its devices may be writing from now on.
 */
static int group_add(struct iommufd_group *group, unsigned long index,
		     unsigned long pfn)
{
	int error;

	error = xa_insert(&group->doorbells, index, xa_mk_value(pfn),
			  GFP_KERNEL_ACCOUNT);
	if (error)
		return error;
	error = doorbell_get(group->table, index, pfn);
	if (!error) {
		error = doorbell_get(group->next_table, index, pfn);
		if (!error)
			return 0;
		doorbell_put(group->table, index);
	}
	xa_erase(&group->doorbells, index);
	return error;
}

/* Interrupts -------------------------------------------------------------- */

/* The whole pages of a region; false if there are none. */
static bool whole_pages(const struct iommu_resv_region *region,
			struct page_range *pages)
{
	struct iova_range range;

	if (iova_range_make(&range, region->start, region->length) ||
	    range.last - range.first < PAGE_SIZE - 1)
		return false;
	/* Neither can wrap in a range that is as long as a page. */
	pages->first = (range.first + PAGE_SIZE - 1) >> PAGE_SHIFT;
	pages->last = (range.last - PAGE_SIZE + 1) >> PAGE_SHIFT;
	return pages->first <= pages->last;
}

/* The window of a device; false if it has none. */
static bool find_window(struct device *dev, struct page_range *window)
{
	struct iommu_resv_region *region;
	LIST_HEAD(regions);
	bool found = false;

	iommu_get_resv_regions(dev, &regions);
	list_for_each_entry(region, &regions, list) {
		found = region->type == IOMMU_RESV_SW_MSI &&
			whole_pages(region, window);
		if (found)
			break;
	}
	iommu_put_resv_regions(dev, &regions);
	return found;
}

/* The page of the window that belongs to a doorbell. */
static int find_index(struct iommufd_ctx *ctx, struct page_range window,
		      unsigned long pfn, unsigned long *index)
{
	unsigned long at, unused = window.first;
	void *entry;

	lockdep_assert_held(&ctx->doorbells_lock);
	xa_for_each_range(&ctx->doorbells, at, entry, window.first,
			  window.last) {
		*index = at;
		if (xa_to_value(entry) == pfn)
			return 0;
		if (at == unused)
			unused++;
	}
	if (unused > window.last)
		return iommufd_refuse(ctx, -ENOSPC,
				      "the device's window is full of doorbells",
				      window.first << PAGE_SHIFT,
				      page_range_nr(window));
	*index = unused;
	return xa_insert(&ctx->doorbells, unused, xa_mk_value(pfn),
			 GFP_KERNEL_ACCOUNT);
}

static int map_doorbell(struct iommufd_group *group, struct page_range window,
			unsigned long pfn, unsigned long *index)
{
	int error;

	guard(mutex)(&group->ctx->doorbells_lock);
	error = find_index(group->ctx, window, pfn, index);
	if (error || xa_load(&group->doorbells, *index))
		return error;
	return group_add(group, *index, pfn);
}

/**
 * iommufd_msi_map() - make a doorbell reachable for a device
 * @dev: the device, whose group is on one of our page tables
 * @address: physical address of the doorbell, in bytes
 * @iova: where the page of the doorbell is for the device
 * @iova_shift: log2 of the page's size; 0 if the device writes to @address
 *	itself, as the IOMMU does not translate its interrupts
 *
 * Return: 0; -ENOENT if the group is on no page table of ours; -ENOSPC if the
 * device's window is full; -EOPNOTSUPP if the page table cannot map a single
 * page; otherwise as iommufd_msi_prepare().
 * Context: May sleep, with the IOMMU core's lock of the group held. Takes
 * doorbells_lock.
 */
int iommufd_msi_map(struct device *dev, phys_addr_t address,
		    unsigned long *iova, unsigned int *iova_shift)
{
	struct iommu_attach_handle *handle;
	struct iommufd_attachment *attachment;
	struct iommufd_group *group;
	struct page_range window;
	unsigned long index;
	int error;

	*iova = 0;
	*iova_shift = 0;
	if (!find_window(dev, &window))
		return 0;
	handle = iommu_attach_handle_get(dev->iommu_group, IOMMU_NO_PASID, 0);
	if (IS_ERR(handle))
		return PTR_ERR(handle);
	attachment = container_of(handle, struct iommufd_attachment, handle);
	group = attachment->space->group;
	error = map_doorbell(group, window, PHYS_PFN(address), &index);
	if (error) {
		iommufd_refused(group->ctx, "interrupt", error);
		return error;
	}
	*iova = index << PAGE_SHIFT;
	*iova_shift = PAGE_SHIFT;
	return 0;
}
