// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel software as a user of an address space.
 *
 * DOC: access
 *
 * A driver that emulates a device, as mdev drivers do, is attached to an IOAS
 * like a device is, and reads, writes or pins the memory behind an IOVA.
 *
 * What it pins is a claim like that of an area, kept with the area by range
 * so that the same range can be pinned more than once. Before UNMAP takes an
 * area out it calls every access that is attached, with no lock held, and
 * waits until the pins are gone; the driver has to let go in that callback.
 *
 * Pinning may wait for user memory, and holds nothing then but the area (its
 * UNMAP waits and can be killed) and the IOAS. If the access was detached
 * meanwhile, or an UNMAP has announced itself, the pins are undone.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "iommufd_private.h"

/**
 * struct access_pin - a range of an area that an access has pinned
 * @node: in iommufd_area::pins
 * @claim: the pages; also the key, with @access
 * @source: holds a reference, so that the claim can outlive the area
 * @access: whose it is
 * @nr: how many times it was pinned
 * @area: only while it is being made
 * @link: in a list of the command that makes or removes it
 */
struct access_pin {
	struct rb_node node;
	struct interval_tree_node claim;
	struct pin_source *source;
	struct iommufd_access *access;
	unsigned long nr;
	struct iommufd_area *area;
	struct list_head link;
};

#define to_pin(rb) rb_entry(rb, struct access_pin, node)

static bool access_pins(const struct iommufd_access *access)
{
	return access->ops && access->ops->needs_pin_pages;
}

/* Life -------------------------------------------------------------------- */

/**
 * iommufd_access_create() - make an access
 * @ictx: the context, which stays open at least until it is destroyed
 * @ops: the driver's operations
 * @data: what they are called with
 * @id: the id by which user space names it
 *
 * Return: the access, not attached; -ENOMEM.
 * Context: May sleep.
 */
struct iommufd_access *
iommufd_access_create(struct iommufd_ctx *ictx,
		      const struct iommufd_access_ops *ops, void *data, u32 *id)
{
	struct iommufd_access *access;

	access = iommufd_object_alloc(ictx, access, IOMMUFD_OBJ_ACCESS, obj);
	if (IS_ERR(access))
		return access;
	access->ctx = ictx;
	access->ops = ops;
	access->data = data;
	mutex_init(&access->change_lock);
	spin_lock_init(&access->lock);
	INIT_LIST_HEAD(&access->ioas_node);
	iommufd_ctx_get(ictx);
	*id = access->obj.id;
	iommufd_object_publish(ictx, &access->obj);
	return access;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_create, "IOMMUFD");

/**
 * iommufd_access_destroy_object() - the end of an access
 * @object: the access, detached
 *
 * Context: May sleep.
 */
void iommufd_access_destroy_object(struct iommufd_object *object)
{
	struct iommufd_access *access =
		container_of(object, struct iommufd_access, obj);

	IOMMUFD_ASSERT(!access->entered &&
		       !atomic_long_read(&access->nr_pins));
	mutex_destroy(&access->change_lock);
}

/**
 * iommufd_access_destroy() - end an access
 * @access: the access; it is detached if it is attached
 *
 * Context: May sleep, but not for user memory. Cannot fail.
 */
void iommufd_access_destroy(struct iommufd_access *access)
{
	struct iommufd_ctx *ctx = access->ctx;

	iommufd_access_detach(access);
	iommufd_object_end(ctx, &access->obj);
	iommufd_ctx_put(ctx);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_destroy, "IOMMUFD");

/* Attach, replace, detach ------------------------------------------------- */

/*
 * No new pins and copies; the driver lets go of the old ones in its callback,
 * and what it then still holds is waited for.
 */
static void access_let_go(struct iommufd_access *access,
			  struct iommufd_ioas *ioas)
{
	scoped_guard(spinlock, &access->lock)
		access->ioas = NULL;
	scoped_guard(rwsem_write, &ioas->areas_rwsem)
		list_del_init(&access->ioas_node);
	if (access->ops && access->ops->unmap)
		access->ops->unmap(access->data, 0, ULONG_MAX);
	wait_var_event(&access->nr_pins, !atomic_long_read(&access->nr_pins));
}

static void access_leave(struct iommufd_access *access,
			 struct iommufd_ioas *ioas)
{
	ioas_remove_access(ioas, access_pins(access));
	iommufd_object_unuse(access->ctx, &ioas->obj);
}

static void access_enter(struct iommufd_access *access,
			 struct iommufd_ioas *ioas)
{
	scoped_guard(rwsem_write, &ioas->areas_rwsem) {
		WRITE_ONCE(access->entered, ioas);
		list_add_tail(&access->ioas_node, &ioas->accesses);
	}
	guard(spinlock)(&access->lock);
	access->ioas = ioas;
}

/* What of an attach can fail. The IOAS is used afterwards. */
static struct iommufd_ioas *access_prepare(struct iommufd_access *access,
					   u32 ioas_id)
{
	struct iommufd_ioas *ioas = iommufd_ioas_get(access->ctx, ioas_id);
	int error;

	if (IS_ERR(ioas))
		return ioas;
	error = iommufd_object_use(&ioas->obj);
	if (!error) {
		error = ioas_add_access(ioas, access_pins(access));
		if (error)
			iommufd_object_unuse(access->ctx, &ioas->obj);
	}
	iommufd_object_put(access->ctx, &ioas->obj);
	return error ? ERR_PTR(error) : ioas;
}

/**
 * iommufd_access_attach() - let an access use an IOAS
 * @access: an access that is not attached
 * @ioas_id: the id of the IOAS
 *
 * Return: 0; -EINVAL if it is attached; -ENOENT if there is no such IOAS;
 * -EADDRINUSE if the access pins pages and an area of the IOAS is not aligned
 * to them.
 * Context: May sleep. Not to be called from the unmap callback.
 */
int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id)
{
	struct iommufd_ioas *ioas;

	guard(mutex)(&access->change_lock);
	if (access->entered)
		return -EINVAL;
	ioas = access_prepare(access, ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	access_enter(access, ioas);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_attach, "IOMMUFD");

/* Come from the current IOAS, if any, to another one, if any. */
static void access_move(struct iommufd_access *access, struct iommufd_ioas *to)
{
	struct iommufd_ioas *from = access->entered;

	if (from)
		access_let_go(access, from);
	WRITE_ONCE(access->entered, NULL);
	if (to)
		access_enter(access, to);
	if (from)
		access_leave(access, from);
}

/**
 * iommufd_access_replace() - move an access to another IOAS
 * @access: an attached access
 * @ioas_id: the id of the IOAS
 *
 * What it has pinned in the old one is let go in its unmap callback.
 *
 * Return: 0; -ENOENT if it is not attached; otherwise as
 * iommufd_access_attach(), and then it is where it was.
 * Context: May sleep. Not to be called from the unmap callback.
 */
int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id)
{
	struct iommufd_ioas *ioas;

	guard(mutex)(&access->change_lock);
	if (!access->entered)
		return -ENOENT;
	ioas = access_prepare(access, ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	if (ioas == access->entered)
		access_leave(access, ioas);
	else
		access_move(access, ioas);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_replace, "IOMMUFD");

/**
 * iommufd_access_detach() - take an access off its IOAS
 * @access: the access; nothing happens if it is not attached
 *
 * Context: May sleep, but not for user memory. Not to be called from the
 * unmap callback. Cannot fail.
 */
void iommufd_access_detach(struct iommufd_access *access)
{
	guard(mutex)(&access->change_lock);
	access_move(access, NULL);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_detach, "IOMMUFD");

/* The attached access with the lowest id above @id, on hold. */
static struct iommufd_access *next_access(struct iommufd_ioas *ioas, u32 id)
{
	struct iommufd_access *access, *next = NULL;

	guard(rwsem_read)(&ioas->areas_rwsem);
	list_for_each_entry(access, &ioas->accesses, ioas_node) {
		if (access->obj.id <= id || !access->ops || !access->ops->unmap ||
		    (next && access->obj.id > next->obj.id))
			continue;
		/* One that is on its way out lets go by itself. */
		if (iommufd_object_hold(&access->obj))
			continue;
		if (next)
			iommufd_object_put(next->ctx, &next->obj);
		next = access;
	}
	return next;
}

/**
 * iommufd_access_notify_unmap() - ask the accesses of an IOAS to let go
 * @ioas: the IOAS
 * @range: what is about to be unmapped
 *
 * Context: May sleep. No lock is held.
 */
void iommufd_access_notify_unmap(struct iommufd_ioas *ioas,
				 struct iova_range range)
{
	unsigned long length = range.last - range.first;
	struct iommufd_access *access;
	u32 id = 0;

	/* The whole space has no length: one byte less does as well. */
	if (length != ULONG_MAX)
		length++;
	while ((access = next_access(ioas, id))) {
		id = access->obj.id;
		access->ops->unmap(access->data, range.first, length);
		iommufd_object_put(access->ctx, &access->obj);
	}
}

/* Pinning ----------------------------------------------------------------- */

/**
 * iommufd_access_ioas_get() - the IOAS that an access is attached to
 * @access: the access
 *
 * Return: the IOAS on hold, to be given back with iommufd_object_put(); -ENOENT
 * if it is not attached; -EOVERFLOW if too many commands use the IOAS.
 * Context: Any context.
 */
struct iommufd_ioas *iommufd_access_ioas_get(struct iommufd_access *access)
{
	struct iommufd_ioas *ioas;
	int error;

	guard(spinlock)(&access->lock);
	ioas = access->ioas;
	if (!ioas)
		return ERR_PTR(-ENOENT);
	error = iommufd_object_hold(&ioas->obj);
	return error ? ERR_PTR(error) : ioas;
}

static int pin_compare(const struct access_pin *pin,
		       const struct iommufd_access *access,
		       struct page_range pages)
{
	if (pin->claim.start != pages.first)
		return pin->claim.start < pages.first ? -1 : 1;
	if (pin->claim.last != pages.last)
		return pin->claim.last < pages.last ? -1 : 1;
	if (pin->access != access)
		return pin->access < access ? -1 : 1;
	return 0;
}

/* Where a pin is, or where it belongs if the result points at NULL. */
static struct rb_node **pin_place(struct iommufd_area *area,
				  const struct iommufd_access *access,
				  struct page_range pages,
				  struct rb_node **parent)
{
	struct rb_node **link = &area->pins.rb_node;

	*parent = NULL;
	while (*link) {
		int order = pin_compare(to_pin(*link), access, pages);

		if (!order)
			break;
		*parent = *link;
		link = order < 0 ? &(*link)->rb_right : &(*link)->rb_left;
	}
	return link;
}

static void pin_free(struct access_pin *pin)
{
	pin_source_put(pin->source);
	kfree(pin);
}

/* The area at the start of what is left of a range. */
static struct iommufd_area *covering_area(struct iommufd_ioas *ioas,
					  struct iova_range rest, bool write)
{
	struct iommufd_area *area = ioas_first_area(ioas, rest);

	if (!area || area->iova.first > rest.first ||
	    area->state != AREA_LIVE || area->unmapper)
		return ERR_PTR(-ENOENT);
	if (write && !(area->prot & IOMMU_WRITE))
		return ERR_PTR(-EPERM);
	return area;
}

static struct access_pin *pin_alloc(struct iommufd_access *access,
				    struct iommufd_area *area,
				    struct iova_range part)
{
	struct page_range pages = area_pages(area, part);
	struct access_pin *pin;

	if (area->source->ops->device_memory)
		return ERR_PTR(-EINVAL);
	pin = kzalloc_obj(*pin, GFP_KERNEL_ACCOUNT);
	if (!pin)
		return ERR_PTR(-ENOMEM);
	pin->claim.start = pages.first;
	pin->claim.last = pages.last;
	pin->access = access;
	pin->nr = 1;
	pin->area = area;
	pin->source = area->source;
	kref_get(&pin->source->kref);
	return pin;
}

/* Find the areas and keep them: each gets one more user. */
static int pins_prepare(struct iommufd_access *access,
			struct iommufd_ioas *ioas, struct iova_range range,
			bool write, struct list_head *pins)
{
	guard(rwsem_write)(&ioas->areas_rwsem);
	for (;;) {
		struct iova_range part = range;
		struct iommufd_area *area;
		struct access_pin *pin;

		area = covering_area(ioas, range, write);
		if (IS_ERR(area))
			return PTR_ERR(area);
		part.last = min(range.last, area->iova.last);
		pin = pin_alloc(access, area, part);
		if (IS_ERR(pin))
			return PTR_ERR(pin);
		area->nr_users++;
		list_add_tail(&pin->link, pins);
		if (part.last == range.last)
			return 0;
		range.first = part.last + 1;
	}
}

/* Pins before @end are claimed. */
static int pins_claim(struct list_head *pins, struct page **pages,
		      struct access_pin **end)
{
	struct access_pin *pin;
	int error;

	list_for_each_entry(pin, pins, link) {
		struct page_range range = { pin->claim.start, pin->claim.last };

		*end = pin;
		error = pin_source_claim(pin->source, &pin->claim, range);
		if (error)
			return error;
		pin_source_pages(pin->source, range, pages);
		pages += page_range_nr(range);
	}
	*end = pin;
	return 0;
}

/* Hang the pins into their areas. Duplicates of earlier ones stay in @pins. */
static int pins_commit(struct iommufd_access *access, struct iommufd_ioas *ioas,
		       struct list_head *pins)
{
	struct access_pin *pin, *next;

	lockdep_assert_held_write(&ioas->areas_rwsem);
	if (READ_ONCE(access->entered) != ioas || list_empty(&access->ioas_node))
		return -ENOENT;
	list_for_each_entry(pin, pins, link)
		if (pin->area->unmapper)
			return -ENOENT;
	list_for_each_entry_safe(pin, next, pins, link) {
		struct page_range range = { pin->claim.start, pin->claim.last };
		struct rb_node *parent, **link;

		link = pin_place(pin->area, access, range, &parent);
		if (*link) {
			to_pin(*link)->nr++;
			continue;
		}
		rb_link_node(&pin->node, parent, link);
		rb_insert_color(&pin->node, &pin->area->pins);
		list_del(&pin->link);
		atomic_long_inc(&access->nr_pins);
	}
	return 0;
}

static void pins_free(struct list_head *pins, struct access_pin *end)
{
	bool claimed = true;
	struct access_pin *pin, *next;

	list_for_each_entry_safe(pin, next, pins, link) {
		claimed &= pin != end;
		if (claimed)
			pin_source_release(pin->source, &pin->claim);
		pin_free(pin);
	}
}

static int pin_in_ioas(struct iommufd_access *access, struct iommufd_ioas *ioas,
		       struct iova_range range, bool write,
		       struct page **out_pages)
{
	struct access_pin *pin, *end = NULL;
	LIST_HEAD(pins);
	int error;

	error = pins_prepare(access, ioas, range, write, &pins);
	if (error)
		end = list_first_entry(&pins, struct access_pin, link);
	else
		error = pins_claim(&pins, out_pages, &end);
	scoped_guard(rwsem_write, &ioas->areas_rwsem) {
		list_for_each_entry(pin, &pins, link)
			pin->area->nr_users--;
		if (!error)
			error = pins_commit(access, ioas, &pins);
	}
	ioas_changed(ioas);
	pins_free(&pins, end);
	return error;
}

/**
 * iommufd_access_pin_pages() - pin what an IOVA range maps
 * @access: an attached access that needs_pin_pages
 * @iova: the first byte
 * @length: bytes; all of them are mapped
 * @out_pages: an entry for each page that the range touches
 * @flags: 0 or IOMMUFD_ACCESS_RW_WRITE
 *
 * The pages stay pinned until iommufd_access_unpin_pages() with the same
 * range, which the driver also does when its unmap callback says so.
 *
 * Return: 0; -EINVAL for a bad range or flag, an access without
 * needs_pin_pages, or device memory, which has no pages; -EOVERFLOW if the
 * range wraps; -ENOENT if it is not attached or something in the range is not
 * mapped or about to be unmapped; -EPERM if it may not be written; -ENOMEM,
 * -EFAULT or -EINTR if the pages cannot be pinned. Nothing is pinned on error.
 * Context: Sleeps for as long as user memory likes.
 */
int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **out_pages,
			     unsigned int flags)
{
	struct iommufd_ioas *ioas;
	struct iova_range range;
	int error;

	if (!access_pins(access) || flags & ~IOMMUFD_ACCESS_RW_WRITE)
		return -EINVAL;
	error = iova_range_make(&range, iova, length);
	if (error)
		return error;
	ioas = iommufd_access_ioas_get(access);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	error = pin_in_ioas(access, ioas, range,
			    flags & IOMMUFD_ACCESS_RW_WRITE, out_pages);
	iommufd_object_put(access->ctx, &ioas->obj);
	return error;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_pin_pages, "IOMMUFD");

static void area_unpin(struct iommufd_access *access, struct iommufd_area *area,
		       struct iova_range part, struct list_head *gone)
{
	struct rb_node *parent, **link;
	struct access_pin *pin;

	link = pin_place(area, access, area_pages(area, part), &parent);
	/* Only a broken driver unpins what it has not pinned. */
	if (WARN_ON_ONCE(!*link))
		return;
	pin = to_pin(*link);
	if (--pin->nr)
		return;
	rb_erase(&pin->node, &area->pins);
	list_add_tail(&pin->link, gone);
}

/**
 * iommufd_access_unpin_pages() - undo iommufd_access_pin_pages()
 * @access: the access
 * @iova: as it was given
 * @length: as it was given
 *
 * Context: May sleep, but not for user memory. May be called from the unmap
 * callback. Cannot fail.
 */
void iommufd_access_unpin_pages(struct iommufd_access *access,
				unsigned long iova, unsigned long length)
{
	struct iommufd_ioas *ioas = READ_ONCE(access->entered);
	struct iommufd_area *area;
	struct iova_range range;
	unsigned long nr_gone;
	LIST_HEAD(gone);

	/* Who has pins is attached, and stays so while it has. */
	if (WARN_ON_ONCE(!ioas || iova_range_make(&range, iova, length)))
		return;
	/* This call counts like a pin, so that the IOAS outlives it. */
	atomic_long_inc(&access->nr_pins);
	scoped_guard(rwsem_write, &ioas->areas_rwsem) {
		for (area = ioas_first_area(ioas, range); area;
		     area = ioas_next_area(area, range)) {
			struct iova_range part = {
				max(range.first, area->iova.first),
				min(range.last, area->iova.last),
			};

			area_unpin(access, area, part, &gone);
		}
	}
	nr_gone = list_count_nodes(&gone);
	pins_free(&gone, NULL);
	ioas_changed(ioas);
	if (atomic_long_sub_and_test(1 + nr_gone, &access->nr_pins))
		wake_up_var(&access->nr_pins);
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_unpin_pages, "IOMMUFD");

/* Reading and writing ----------------------------------------------------- */

/* Find the area at the start of a range and keep it: its UNMAP waits for us. */
static struct iommufd_area *rw_area_get(struct iommufd_ioas *ioas,
					struct iova_range range, bool write)
{
	struct iommufd_area *area;

	guard(rwsem_write)(&ioas->areas_rwsem);
	area = covering_area(ioas, range, write);
	if (IS_ERR(area))
		return area;
	if (!write && !(area->prot & IOMMU_READ))
		return ERR_PTR(-EPERM);
	area->nr_users++;
	return area;
}

static void rw_area_put(struct iommufd_ioas *ioas, struct iommufd_area *area)
{
	scoped_guard(rwsem_write, &ioas->areas_rwsem)
		area->nr_users--;
	ioas_changed(ioas);
}

/* Copy what of the range is in one area. */
static int rw_part(struct iommufd_ioas *ioas, struct iova_range range,
		   void *data, unsigned int flags, size_t *done)
{
	struct iommufd_area *area;
	unsigned long skip;
	int error;

	area = rw_area_get(ioas, range, flags & IOMMUFD_ACCESS_RW_WRITE);
	if (IS_ERR(area))
		return PTR_ERR(area);
	range.last = min(range.last, area->iova.last);
	skip = range.first - area->iova.first + area->page_offset;
	*done = iova_range_bytes(range);
	error = pin_source_copy(area->source, area_pages(area, range).first,
				offset_in_page(skip), data, *done, flags);
	rw_area_put(ioas, area);
	return error;
}

/**
 * iommufd_access_rw() - read or write what an IOVA range maps
 * @access: an attached access
 * @iova: the first byte
 * @data: kernel memory
 * @len: bytes
 * @flags: IOMMUFD_ACCESS_RW_WRITE to write to the IOVA, otherwise it is read;
 *	IOMMUFD_ACCESS_RW_KTHREAD is accepted and not needed
 *
 * Return: 0; -EINVAL for a bad range or flag, or device memory; -EOVERFLOW if the
 * range wraps; -ENOENT if the access is not attached or something in the range is not
 * mapped; -EPERM if it may not be read or written; -EFAULT if the memory is
 * gone. A part may have been copied on error.
 * Context: Sleeps for as long as user memory likes.
 */
int iommufd_access_rw(struct iommufd_access *access, unsigned long iova,
		      void *data, size_t len, unsigned int flags)
{
	const unsigned int known = IOMMUFD_ACCESS_RW_WRITE |
				   IOMMUFD_ACCESS_RW_KTHREAD |
				   __IOMMUFD_ACCESS_RW_SLOW_PATH;
	struct iommufd_ioas *ioas;
	struct iova_range range;
	size_t done = 0;
	int error;

	if (flags & ~known)
		return -EINVAL;
	error = iova_range_make(&range, iova, len);
	if (error)
		return error;
	ioas = iommufd_access_ioas_get(access);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	for (;;) {
		error = rw_part(ioas, range, data, flags, &done);
		if (error || done == iova_range_bytes(range))
			break;
		range.first += done;
		data += done;
	}
	iommufd_object_put(access->ctx, &ioas->obj);
	return error;
}
EXPORT_SYMBOL_NS_GPL(iommufd_access_rw, "IOMMUFD");
