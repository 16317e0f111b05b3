// SPDX-License-Identifier: GPL-2.0-only
/*
 * An address space: where its areas are, where the next one fits, and what
 * may not be mapped.
 *
 * DOC: areas, gaps, reserved and allowed ranges
 *
 * Areas do not overlap. They stand in one red-black tree by IOVA in which
 * each node knows the gap below it and the largest gap of its subtree, so
 * that finding, allocating and taking out are logarithmic, and taking out
 * needs no memory.
 *
 * A reserved range has an owner (a device, a page table) and may overlap
 * others; nothing may be mapped there. An allowed range is a promise to user
 * space that nobody will reserve it; if there are any, automatic allocation
 * keeps to them.
 *
 * MAP puts its areas into the tree in state AREA_BUILDING, so that nobody
 * takes the addresses, and drops the lock: pinning may take as long as user
 * memory likes. It then enters every domain of the address space under
 * domains_rwsem and makes the areas live. UNMAP takes areas out in batches:
 * it makes them AREA_DYING, unmaps them from every domain with one IOTLB
 * sync a domain, releases the pins, and only then frees the addresses. Where
 * it has to wait for somebody else it drops everything and starts over.
 *
 * A domain is added in three steps. want_claims tells every MAP that pages
 * must be pinned from now on; then live areas are claimed one by one with no
 * lock held; then, with the set of domains locked, the domain is filled from
 * the record of pins. A MAP that is building at that time finds the domain
 * when it comes to that step itself.
 */
#include <linux/rbtree_augmented.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "iommufd_private.h"

/* How many areas share one IOTLB sync when they are unmapped. */
#define UNMAP_BATCH_AREAS 512

#define to_area(rb) rb_entry_safe(rb, struct iommufd_area, node)

static inline unsigned long area_gap(struct iommufd_area *area)
{
	return area->gap_before;
}

RB_DECLARE_CALLBACKS_MAX(static, area_gaps, struct iommufd_area, node,
			 unsigned long, subtree_max_gap, area_gap)

static struct iommufd_area *area_above(struct iommufd_area *area)
{
	return to_area(rb_next(&area->node));
}

static struct iommufd_area *area_below(struct iommufd_area *area)
{
	return to_area(rb_prev(&area->node));
}

static void area_update_gap(struct iommufd_area *area)
{
	struct iommufd_area *below;

	if (!area)
		return;
	below = area_below(area);
	area->gap_before = area->iova.first - (below ? below->iova.last + 1 : 0);
	area_gaps_propagate(&area->node, NULL);
}

/* The area's addresses are free: ioas_first_area() finds nothing there. */
static void area_insert(struct iommufd_ioas *ioas, struct iommufd_area *area)
{
	struct rb_node **link = &ioas->areas.rb_node;
	struct rb_node *parent = NULL;

	lockdep_assert_held_write(&ioas->areas_rwsem);
	while (*link) {
		parent = *link;
		if (area->iova.first < to_area(parent)->iova.first)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	area->gap_before = 0;
	area->subtree_max_gap = 0;
	rb_link_node(&area->node, parent, link);
	area_update_gap(area);
	rb_insert_augmented(&area->node, &ioas->areas, &area_gaps);
	area_update_gap(area_above(area));
}

/**
 * ioas_first_area() - the lowest area that a range touches
 * @ioas: the address space
 * @range: the range
 *
 * Return: the area or NULL.
 * Context: areas_rwsem is held.
 */
struct iommufd_area *ioas_first_area(struct iommufd_ioas *ioas,
				     struct iova_range range)
{
	struct rb_node *node = ioas->areas.rb_node;
	struct iommufd_area *found = NULL;

	lockdep_assert_held(&ioas->areas_rwsem);
	while (node) {
		struct iommufd_area *area = to_area(node);

		if (area->iova.last >= range.first) {
			found = area;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found && found->iova.first <= range.last ? found : NULL;
}

/**
 * ioas_next_area() - the area above another one, if a range touches it
 * @area: an area
 * @range: the range
 *
 * Return: the area or NULL.
 * Context: areas_rwsem is held.
 */
struct iommufd_area *ioas_next_area(struct iommufd_area *area,
				    struct iova_range range)
{
	struct iommufd_area *above = area_above(area);

	return above && above->iova.first <= range.last ? above : NULL;
}

/* Allocation -------------------------------------------------------------- */

/* What an allocation asks for: see ioas_find_gap(). */
struct gap_request {
	unsigned long length_bytes;
	unsigned long alignment;
	unsigned long phase;
};

/* Place the request as low as possible in a range that is free. */
static bool gap_fits(const struct gap_request *request,
		     struct iova_range range, unsigned long *iova)
{
	unsigned long skip = (request->phase - range.first) &
			     (request->alignment - 1);

	if (skip > range.last - range.first)
		return false;
	range.first += skip;
	if (range.last - range.first < request->length_bytes - 1)
		return false;
	*iova = range.first;
	return true;
}

static bool area_has_gap(struct rb_node *node, unsigned long bytes)
{
	return node && to_area(node)->subtree_max_gap >= bytes;
}

/* The lowest area that starts above @above with a gap of at least @bytes. */
static struct iommufd_area *first_gap(struct iommufd_ioas *ioas,
				      unsigned long above, unsigned long bytes)
{
	struct rb_node *node = ioas->areas.rb_node;
	struct rb_node *from;

	if (!area_has_gap(node, bytes))
		return NULL;
	for (;;) {
		if (to_area(node)->iova.first > above &&
		    area_has_gap(node->rb_left, bytes)) {
			node = node->rb_left;
			continue;
		}
		/* Nothing is left below: this one, what is above it, or up. */
		for (;;) {
			if (to_area(node)->iova.first > above &&
			    to_area(node)->gap_before >= bytes)
				return to_area(node);
			if (area_has_gap(node->rb_right, bytes)) {
				node = node->rb_right;
				break;
			}
			do {
				from = node;
				node = rb_parent(node);
				if (!node)
					return NULL;
			} while (node->rb_right == from);
		}
	}
}

/* The lowest place in @window, looking only at gaps of at least @bytes. */
static bool find_in_window(struct iommufd_ioas *ioas,
			   const struct gap_request *request,
			   struct iova_range window, unsigned long bytes,
			   unsigned long *iova)
{
	struct rb_node *top = rb_last(&ioas->areas);
	unsigned long above = window.first;
	struct iommufd_area *area;
	struct iova_range gap;

	while ((area = first_gap(ioas, above, bytes))) {
		gap.first = max(area->iova.first - area->gap_before,
				window.first);
		gap.last = min(area->iova.first - 1, window.last);
		if (gap.first > gap.last)
			return false;
		if (gap_fits(request, gap, iova))
			return true;
		above = area->iova.first;
		cond_resched();
	}
	if (top && to_area(top)->iova.last >= window.last)
		return false;
	gap.first = top ? max(to_area(top)->iova.last + 1, window.first) :
			  window.first;
	gap.last = window.last;
	return gap_fits(request, gap, iova);
}

static bool find_unreserved(struct iommufd_ioas *ioas,
			    const struct gap_request *request,
			    struct iova_range window, unsigned long bytes,
			    unsigned long *iova)
{
	struct interval_tree_span_iter span;

	interval_tree_for_each_span(&span, &ioas->reserved, window.first,
				    window.last) {
		struct iova_range hole = { span.start_hole, span.last_hole };

		if (span.is_hole == 1 &&
		    find_in_window(ioas, request, hole, bytes, iova))
			return true;
	}
	return false;
}

static bool find_allowed(struct iommufd_ioas *ioas,
			 const struct gap_request *request,
			 unsigned long bytes, unsigned long *iova)
{
	struct interval_tree_span_iter span;

	if (RB_EMPTY_ROOT(&ioas->allowed.rb_root))
		return find_unreserved(ioas, request,
				       (struct iova_range){ 0, ULONG_MAX },
				       bytes, iova);
	interval_tree_for_each_span(&span, &ioas->allowed, 0, ULONG_MAX) {
		struct iova_range used = { span.start_used, span.last_used };

		if (span.is_hole == 0 &&
		    find_unreserved(ioas, request, used, bytes, iova))
			return true;
	}
	return false;
}

/**
 * ioas_find_gap() - find room in an address space
 * @ioas: the address space
 * @length_bytes: how much, in bytes, not zero
 * @alignment: a power of two, in bytes
 * @phase: the address returned is this, modulo @alignment
 * @iova: the address
 *
 * First only gaps that are large enough wherever they start are looked at,
 * of which the tree gives one in logarithmic time. Only if there is none are
 * the smaller ones tried in turn.
 *
 * Return: 0; -ENOSPC if there is no such room outside of what is mapped and
 * reserved and inside of what is allowed.
 * Context: areas_rwsem is held.
 */
int ioas_find_gap(struct iommufd_ioas *ioas, unsigned long length_bytes,
		  unsigned long alignment, unsigned long phase,
		  unsigned long *iova)
{
	const struct gap_request request = {
		.length_bytes = length_bytes,
		.alignment = alignment,
		.phase = phase,
	};
	unsigned long sure;

	lockdep_assert_held(&ioas->areas_rwsem);
	if (!check_add_overflow(length_bytes, alignment - 1, &sure) &&
	    find_allowed(ioas, &request, sure, iova))
		return 0;
	if (alignment > 1 && find_allowed(ioas, &request, length_bytes, iova))
		return 0;
	return -ENOSPC;
}

/* Reserved and allowed ranges --------------------------------------------- */

/**
 * ioas_reserve() - forbid to map a range
 * @ioas: the address space
 * @range: the range
 * @owner: whose rule that is, for ioas_unreserve()
 *
 * Return: 0; -EADDRINUSE if an area is there or user space was promised the
 * range; -ENOMEM.
 * Context: areas_rwsem is held for writing. May sleep.
 */
int ioas_reserve(struct iommufd_ioas *ioas, struct iova_range range,
		 void *owner)
{
	struct reserved_range *reserved;

	lockdep_assert_held_write(&ioas->areas_rwsem);
	if (ioas_first_area(ioas, range) ||
	    interval_tree_iter_first(&ioas->allowed, range.first, range.last))
		return -EADDRINUSE;
	reserved = kzalloc_obj(*reserved, GFP_KERNEL_ACCOUNT);
	if (!reserved)
		return -ENOMEM;
	reserved->node.start = range.first;
	reserved->node.last = range.last;
	reserved->owner = owner;
	interval_tree_insert(&reserved->node, &ioas->reserved);
	return 0;
}

/**
 * ioas_unreserve() - withdraw every rule of an owner
 * @ioas: the address space
 * @owner: the owner
 *
 * Context: areas_rwsem is held for writing.
 */
void ioas_unreserve(struct iommufd_ioas *ioas, void *owner)
{
	struct interval_tree_node *node, *next;

	lockdep_assert_held_write(&ioas->areas_rwsem);
	for (node = interval_tree_iter_first(&ioas->reserved, 0, ULONG_MAX);
	     node; node = next) {
		struct reserved_range *reserved =
			container_of(node, struct reserved_range, node);

		next = interval_tree_iter_next(node, 0, ULONG_MAX);
		if (reserved->owner != owner)
			continue;
		interval_tree_remove(node, &ioas->reserved);
		kfree(reserved);
	}
}

/**
 * ioas_allowed_add() - add a range to a set that is being put together
 * @allowed: the set, not yet that of an address space
 * @range: the range
 *
 * Return: 0; -EINVAL if it overlaps one that is there; -ENOMEM.
 * Context: May sleep.
 */
int ioas_allowed_add(struct rb_root_cached *allowed, struct iova_range range)
{
	struct allowed_range *new;

	if (interval_tree_iter_first(allowed, range.first, range.last))
		return -EINVAL;
	new = kzalloc_obj(*new, GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->node.start = range.first;
	new->node.last = range.last;
	interval_tree_insert(&new->node, allowed);
	return 0;
}

/**
 * ioas_allowed_free() - free a set of allowed ranges
 * @allowed: the set, empty afterwards
 *
 * Context: May sleep.
 */
void ioas_allowed_free(struct rb_root_cached *allowed)
{
	struct interval_tree_node *node;

	while ((node = interval_tree_iter_first(allowed, 0, ULONG_MAX))) {
		interval_tree_remove(node, allowed);
		kfree(container_of(node, struct allowed_range, node));
		cond_resched();
	}
}

/**
 * ioas_set_allowed() - replace the promise of what stays mappable
 * @ioas: the address space
 * @allowed: the new set; afterwards the one to free
 *
 * Return: 0; -EADDRINUSE if something in it is reserved already.
 * Context: Takes areas_rwsem.
 */
int ioas_set_allowed(struct iommufd_ioas *ioas, struct rb_root_cached *allowed)
{
	struct interval_tree_node *node;

	guard(rwsem_write)(&ioas->areas_rwsem);
	for (node = interval_tree_iter_first(allowed, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		if (interval_tree_iter_first(&ioas->reserved, node->start,
					     node->last))
			return -EADDRINUSE;
	}
	swap(ioas->allowed, *allowed);
	return 0;
}

/* What the domains and the huge page option ask of IOVA and length. */
static unsigned long alignment_needed(struct iommufd_ioas *ioas,
				      struct iommu_domain *more,
				      bool huge_pages)
{
	unsigned long alignment =
		huge_pages && !ioas->nr_pinning ? 1 : PAGE_SIZE;
	struct iommufd_hwpt_paging *hwpt;

	lockdep_assert_held(&ioas->domains_rwsem);
	if (more)
		alignment = max(alignment, BIT(__ffs(more->pgsize_bitmap)));
	list_for_each_entry(hwpt, &ioas->domains, ioas_node)
		alignment = max(alignment,
				BIT(__ffs(hwpt->common.domain->pgsize_bitmap)));
	return alignment;
}

static int set_alignment(struct iommufd_ioas *ioas, unsigned long alignment)
{
	struct rb_node *node;

	lockdep_assert_held_write(&ioas->areas_rwsem);
	if (alignment > PAGE_SIZE)
		return -EINVAL;
	for (node = alignment > ioas->alignment ? rb_first(&ioas->areas) : NULL;
	     node; node = rb_next(node)) {
		struct iommufd_area *area = to_area(node);

		if (!iova_range_aligned(area->iova, alignment) ||
		    (area->page_offset & (alignment - 1)))
			return -EADDRINUSE;
		cond_resched();
	}
	ioas->alignment = alignment;
	return 0;
}

/**
 * ioas_set_huge_pages() - allow or forbid large page table entries
 * @ioas: the address space
 * @enable: allow them; otherwise everything is mapped page by page
 *
 * Return: 0; -EINVAL if large entries may be in use already, because a domain
 * and an area are there; -EADDRINUSE if an area is not aligned to pages.
 * Context: May sleep.
 */
int ioas_set_huge_pages(struct iommufd_ioas *ioas, bool enable)
{
	int error;

	guard(rwsem_write)(&ioas->domains_rwsem);
	guard(rwsem_write)(&ioas->areas_rwsem);
	if (ioas->huge_pages == enable)
		return 0;
	if (!enable && !list_empty(&ioas->domains) &&
	    !RB_EMPTY_ROOT(&ioas->areas))
		return -EINVAL;
	error = set_alignment(ioas, alignment_needed(ioas, NULL, enable));
	if (error)
		return error;
	ioas->huge_pages = enable;
	return 0;
}

/**
 * ioas_add_access() - an access is about to use an address space
 * @ioas: the address space
 * @pins: it pins pages, so that IOVA and memory must agree in the offset
 *	within a page
 *
 * Return: 0; -EADDRINUSE if there is an area for which that is not so.
 * Context: May sleep.
 */
int ioas_add_access(struct iommufd_ioas *ioas, bool pins)
{
	int error;

	if (!pins)
		return 0;
	guard(rwsem_write)(&ioas->domains_rwsem);
	guard(rwsem_write)(&ioas->areas_rwsem);
	error = set_alignment(ioas, PAGE_SIZE);
	if (!error)
		ioas->nr_pinning++;
	return error;
}

/**
 * ioas_remove_access() - undo ioas_add_access()
 * @ioas: the address space
 * @pins: as it was given
 *
 * Context: May sleep. Cannot fail.
 */
void ioas_remove_access(struct iommufd_ioas *ioas, bool pins)
{
	if (!pins)
		return;
	guard(rwsem_write)(&ioas->domains_rwsem);
	guard(rwsem_write)(&ioas->areas_rwsem);
	ioas->nr_pinning--;
	ioas->alignment = alignment_needed(ioas, NULL, ioas->huge_pages);
}

/* Waiting ----------------------------------------------------------------- */

/**
 * ioas_changed() - wake the commands that wait for another command
 * @ioas: the address space
 *
 * Context: Any context, after the change is visible.
 */
void ioas_changed(struct iommufd_ioas *ioas)
{
	atomic_inc(&ioas->changes);
	wake_up_all(&ioas->wait);
}

/**
 * ioas_wait_change() - wait until another command changed something
 * @ioas: the address space
 * @seen: its count of changes, read under the lock that also showed that
 *	there is something to wait for
 *
 * Return: 0; -EINTR if the caller was killed.
 * Context: Sleeps; no lock is held.
 */
int ioas_wait_change(struct iommufd_ioas *ioas, int seen)
{
	if (wait_event_killable(ioas->wait,
				atomic_read(&ioas->changes) != seen))
		return -EINTR;
	return 0;
}

/* MAP --------------------------------------------------------------------- */

/**
 * iommufd_area_alloc() - make an area that is not in any address space yet
 * @source: the memory; a reference passes to the area on success
 * @first_index: page index of its first byte
 * @page_offset: offset of that byte in its page
 * @length_bytes: its length in bytes
 *
 * Return: the area, with an IOVA range that starts at 0, or -ENOMEM.
 * Context: May sleep.
 */
struct iommufd_area *iommufd_area_alloc(struct pin_source *source,
					unsigned long first_index,
					unsigned int page_offset,
					unsigned long length_bytes)
{
	struct iommufd_area *area;

	area = kzalloc_obj(*area, GFP_KERNEL_ACCOUNT);
	if (!area)
		return ERR_PTR(-ENOMEM);
	area->source = source;
	area->first_index = first_index;
	area->page_offset = page_offset;
	area->iova.last = length_bytes - 1;
	area->pins = RB_ROOT;
	INIT_LIST_HEAD(&area->batch);
	INIT_LIST_HEAD(&area->source_node);
	return area;
}

static void area_free(struct iommufd_area *area)
{
	if (!list_empty(&area->source_node))
		area->source->ops->leave(area->source, area);
	area_set_blocked(area, false);
	/* A driver failed to unmap it: better lose memory than unpin it. */
	if (area->stuck)
		return;
	IOMMUFD_ASSERT(!area->claimed && !area->nr_users && !area->nr_locks &&
		       RB_EMPTY_ROOT(&area->pins));
	pin_source_put(area->source);
	kfree(area);
}

/**
 * iommufd_areas_free() - free areas that are in no address space
 * @areas: list of iommufd_area::batch, empty afterwards
 *
 * Context: May sleep. No lock is held.
 */
void iommufd_areas_free(struct list_head *areas)
{
	struct iommufd_area *area, *next;

	list_for_each_entry_safe(area, next, areas, batch) {
		list_del(&area->batch);
		area_free(area);
		cond_resched();
	}
}

static void area_release_claim(struct iommufd_area *area)
{
	if (!area->claimed || area->stuck)
		return;
	pin_source_release(area->source, &area->claim);
	area->claimed = false;
}

static int area_claim(struct iommufd_area *area)
{
	int error = pin_source_claim(area->source, &area->claim,
				     area_pages(area, area->iova));

	if (!error)
		area->claimed = true;
	return error;
}

/*
 * An IOVA that is congruent to the address of the memory lets large pages of
 * memory become large entries. The largest ones can be done without where there
 * is no such room. The others cannot: where nothing else is left there is next to
 * nothing left, and the stock selftests want ENOSPC for it (reserved_overflow).
 */
static int allocate_iova(struct iommufd_ioas *ioas, struct iommufd_area *area,
			 unsigned long length_bytes, unsigned long *iova)
{
	unsigned long phase = (area->first_index << PAGE_SHIFT) +
			      area->page_offset;
	unsigned long most = max(rounddown_pow_of_two(length_bytes), PAGE_SIZE);
	unsigned long alignment = min(most, SZ_1G);

	if (alignment > SZ_2M &&
	    !ioas_find_gap(ioas, length_bytes, alignment, phase, iova))
		return 0;
	return ioas_find_gap(ioas, length_bytes, min(most, SZ_2M), phase, iova);
}

static int check_fixed_iova(struct iommufd_ioas *ioas, struct iova_range range)
{
	if (interval_tree_iter_first(&ioas->reserved, range.first, range.last))
		return -EINVAL;
	if (ioas_first_area(ioas, range))
		return -EEXIST;
	return 0;
}

/* Give every area its addresses and take them. */
static int insert_areas(struct iommufd_ioas *ioas, struct list_head *areas,
			unsigned long length_bytes, unsigned long *iova,
			bool fixed, int prot)
{
	struct iommufd_area *area =
		list_first_entry(areas, struct iommufd_area, batch);
	struct iova_range range;
	unsigned long at;
	int error;

	guard(rwsem_write)(&ioas->areas_rwsem);
	if (length_bytes & (ioas->alignment - 1))
		return -EINVAL;
	if (!fixed) {
		error = allocate_iova(ioas, area, length_bytes, iova);
		if (error)
			return error;
	}
	error = iova_range_make(&range, *iova, length_bytes);
	if (error)
		return error;
	if (!iova_range_aligned(range, ioas->alignment))
		return -EINVAL;
	if (fixed) {
		error = check_fixed_iova(ioas, range);
		if (error)
			return error;
	}
	at = range.first;
	list_for_each_entry(area, areas, batch) {
		unsigned long bytes = iova_range_bytes(area->iova);

		if ((at | area->page_offset | bytes) & (ioas->alignment - 1))
			return -EINVAL;
		at += bytes;
		cond_resched();
	}

	at = range.first;
	list_for_each_entry(area, areas, batch) {
		area->iova.last += at;
		area->iova.first = at;
		area->prot = prot | area->source->ops->prot;
		at = area->iova.last + 1;
		area_insert(ioas, area);
	}
	return 0;
}

/*
 * Areas that follow one another leave together: only the one above the last of
 * them, which stays, has a gap to be told about.
 */
static void erase_areas(struct iommufd_ioas *ioas, struct list_head *areas)
{
	struct iommufd_area *area, *above;

	scoped_guard(rwsem_write, &ioas->areas_rwsem) {
		list_for_each_entry(area, areas, batch) {
			above = area_above(area);
			rb_erase_augmented(&area->node, &ioas->areas,
					   &area_gaps);
			if (list_is_last(&area->batch, areas) ||
			    above != list_next_entry(area, batch))
				area_update_gap(above);
		}
	}
	ioas_changed(ioas);
}

static bool areas_must_be_claimed(struct iommufd_ioas *ioas)
{
	guard(rwsem_read)(&ioas->areas_rwsem);
	return ioas->want_claims;
}

static int claim_areas(struct list_head *areas)
{
	struct iommufd_area *area;
	int error;

	list_for_each_entry(area, areas, batch) {
		if (area->claimed)
			continue;
		error = area_claim(area);
		if (error)
			return error;
	}
	return 0;
}

static void release_areas(struct list_head *areas)
{
	struct iommufd_area *area;

	list_for_each_entry(area, areas, batch) {
		area_release_claim(area);
		cond_resched();
	}
}

/*
 * Make the areas live, if that does not break the rule that live areas are
 * claimed while a domain is there or about to be.
 */
static bool publish_areas(struct iommufd_ioas *ioas, struct list_head *areas)
{
	bool claimed = list_first_entry(areas, struct iommufd_area,
					batch)->claimed;
	struct iommufd_area *area;

	guard(rwsem_write)(&ioas->areas_rwsem);
	if (!!ioas->want_claims != claimed)
		return false;
	list_for_each_entry(area, areas, batch) {
		area->state = AREA_LIVE;
		if (!claimed)
			ioas->nr_unclaimed++;
	}
	return true;
}

/* Returns -EAGAIN if the set of domains changed in the meantime. */
static int enter_domains(struct iommufd_ioas *ioas, struct list_head *areas)
{
	struct iommufd_area *area;
	LIST_HEAD(entered);
	int error = 0;

	guard(rwsem_read)(&ioas->domains_rwsem);
	area = list_first_entry(areas, struct iommufd_area, batch);
	if (!list_empty(&ioas->domains) && !area->claimed)
		return -EAGAIN;

	list_for_each_entry(area, areas, batch) {
		error = domains_map_area(ioas, area);
		if (error)
			break;
	}
	if (!error && !publish_areas(ioas, areas))
		error = -EAGAIN;
	if (!error)
		return 0;

	/* Those before @area are in every domain, @area is in none. */
	list_cut_before(&entered, areas, &area->batch);
	domains_unmap_areas(ioas, &entered);
	list_splice(&entered, areas);
	return error;
}

/* From here on a source that is revoked finds its areas. */
static void enter_sources(struct iommufd_ioas *ioas, struct list_head *areas)
{
	struct iommufd_area *area;

	list_for_each_entry(area, areas, batch) {
		area->ioas = ioas;
		area->state = AREA_BUILDING;
		if (area->source->ops->enter)
			area->source->ops->enter(area->source, area);
	}
}

/**
 * ioas_map() - map memory into an address space
 * @ioas: the address space
 * @areas: iommufd_area::batch of one or more new areas, in order; left empty
 *	on success, for the caller to free on error, before it lets @ioas go
 * @length_bytes: their length together
 * @iova: where, in and out
 * @fixed: there and nowhere else
 * @prot: IOMMU_READ and so on
 *
 * Return: 0; -EEXIST if an area is there, -EINVAL if it is reserved or badly
 * aligned, -EOVERFLOW if it does not fit into the space at all, -ENOSPC if
 * there is no room, -ENOMEM if memory or the limit on locked memory is short,
 * -EFAULT if the memory cannot be pinned, or what the IOMMU driver answers.
 * Nothing has changed on error.
 * Context: Sleeps for as long as user memory likes. No lock is held.
 */
int ioas_map(struct iommufd_ioas *ioas, struct list_head *areas,
	     unsigned long length_bytes, unsigned long *iova, bool fixed,
	     int prot)
{
	int error;

	enter_sources(ioas, areas);
	error = insert_areas(ioas, areas, length_bytes, iova, fixed, prot);
	if (error)
		return error;
	do {
		error = 0;
		if (areas_must_be_claimed(ioas))
			error = claim_areas(areas);
		else
			release_areas(areas);
		if (!error)
			error = enter_domains(ioas, areas);
	} while (error == -EAGAIN);
	if (error) {
		release_areas(areas);
		erase_areas(ioas, areas);
		return error;
	}
	/* From here on an UNMAP may free the areas at any time. */
	ioas_changed(ioas);
	INIT_LIST_HEAD(areas);
	ioas_debug_verify(ioas);
	return 0;
}

/**
 * ioas_copy_areas() - make areas over the memory that another range maps
 * @source: the address space to look in
 * @range: the range, which areas cover without a gap
 * @areas: the new areas
 *
 * Return: 0; -ENOENT if something in @range is not mapped; -ENOMEM.
 * Context: May sleep. Takes areas_rwsem of @source.
 */
int ioas_copy_areas(struct iommufd_ioas *source, struct iova_range range,
		    struct list_head *areas)
{
	struct iommufd_area *area, *copy;

	guard(rwsem_read)(&source->areas_rwsem);
	for (area = ioas_first_area(source, range);; area = area_above(area)) {
		struct iova_range part = range;
		unsigned long skip;

		if (!area || area->iova.first > range.first ||
		    area->state != AREA_LIVE)
			return -ENOENT;
		part.last = min(range.last, area->iova.last);
		skip = part.first - area->iova.first + area->page_offset;
		copy = iommufd_area_alloc(area->source,
					  area_pages(area, part).first,
					  offset_in_page(skip),
					  iova_range_bytes(part));
		if (IS_ERR(copy))
			return PTR_ERR(copy);
		kref_get(&area->source->kref);
		list_add_tail(&copy->batch, areas);
		if (part.last == range.last)
			return 0;
		range.first = part.last + 1;
		cond_resched();
	}
}

/* UNMAP ------------------------------------------------------------------- */

enum unmap_step {
	UNMAP_DONE,		/* nothing is left in the range */
	UNMAP_BATCH,		/* a batch of dying areas was collected */
	UNMAP_NOTIFY,		/* an access pinned the first area */
	UNMAP_WAIT,		/* somebody else uses the first area */
};

static enum unmap_step area_unmap_step(struct iommufd_area *area,
				       const void *unmapper)
{
	if (area->state != AREA_LIVE ||
	    (area->unmapper && area->unmapper != unmapper))
		return UNMAP_WAIT;
	area->unmapper = unmapper;
	if (!RB_EMPTY_ROOT(&area->pins))
		return UNMAP_NOTIFY;
	return area->nr_users ? UNMAP_WAIT : UNMAP_BATCH;
}

/* Collect what can be unmapped now, or say why the first area cannot be. */
static int unmap_collect(struct iommufd_ioas *ioas, struct iova_range range,
			 struct list_head *batch, const void *unmapper,
			 int *seen)
{
	unsigned int nr = 0;
	struct iommufd_area *area;

	guard(rwsem_write)(&ioas->areas_rwsem);
	*seen = atomic_read(&ioas->changes);
	for (area = ioas_first_area(ioas, range); area && nr < UNMAP_BATCH_AREAS;
	     area = ioas_next_area(area, range), nr++) {
		enum unmap_step step;

		if (area->iova.first < range.first ||
		    area->iova.last > range.last)
			return nr ? UNMAP_BATCH : -ENOENT;
		if (area->nr_locks)
			return nr ? UNMAP_BATCH : -EBUSY;
		step = area_unmap_step(area, unmapper);
		if (step != UNMAP_BATCH)
			return nr ? UNMAP_BATCH : (int)step;
		area->state = AREA_DYING;
		if (!area->claimed)
			ioas->nr_unclaimed--;
		list_add_tail(&area->batch, batch);
	}
	return nr ? UNMAP_BATCH : UNMAP_DONE;
}

/* Returns the last address of the batch, which is in order. */
static unsigned long unmap_batch(struct iommufd_ioas *ioas,
				 struct list_head *batch,
				 unsigned long *unmapped_bytes)
{
	unsigned long last =
		list_last_entry(batch, struct iommufd_area, batch)->iova.last;
	struct iommufd_area *area;
	unsigned long bytes = 0;

	domains_unmap_areas(ioas, batch);
	release_areas(batch);
	list_for_each_entry(area, batch, batch)
		bytes += iova_range_bytes(area->iova);
	*unmapped_bytes += bytes;
	erase_areas(ioas, batch);
	return last;
}

/* A refusal or a kill: whoever this UNMAP had announced itself to goes on. */
static void unmap_withdraw(struct iommufd_ioas *ioas, struct iova_range range,
			   const void *unmapper)
{
	struct iommufd_area *area;

	scoped_guard(rwsem_write, &ioas->areas_rwsem)
		for (area = ioas_first_area(ioas, range); area;
		     area = ioas_next_area(area, range))
			if (area->unmapper == unmapper)
				area->unmapper = NULL;
	ioas_changed(ioas);
}

/* Splitting an area is refused before anything is unmapped. */
static int unmap_check(struct iommufd_ioas *ioas, struct iova_range range)
{
	struct iova_range end = { range.last, range.last };
	struct iommufd_area *area;

	guard(rwsem_read)(&ioas->areas_rwsem);
	area = ioas_first_area(ioas, range);
	if (area && area->iova.first < range.first)
		return -ENOENT;
	area = ioas_first_area(ioas, end);
	if (area && area->iova.last > range.last)
		return -ENOENT;
	return 0;
}

/**
 * ioas_unmap() - take every area of a range out of an address space
 * @ioas: the address space
 * @range: the range
 * @unmapped_bytes: how much was taken out, also on error
 *
 * The memory is unpinned after every IOMMU that mapped it has been synced.
 * Accesses that pinned something are told and waited for.
 *
 * Return: 0, also if the range is empty; -ENOENT if an area is only partly in
 * the range; -EBUSY if hardware uses an area directly; -EINTR if the caller
 * was killed while it waited.
 * Context: Sleeps. No lock is held.
 */
int ioas_unmap(struct iommufd_ioas *ioas, struct iova_range range,
	       unsigned long *unmapped_bytes)
{
	unsigned long last = 0;
	LIST_HEAD(batch);
	bool notified = false;
	int seen, step;
	int error = 0;

	*unmapped_bytes = 0;
	error = unmap_check(ioas, range);
	if (error)
		return error;
	for (;;) {
		/* No domain may come or go while a batch is dying. */
		scoped_guard(rwsem_read, &ioas->domains_rwsem) {
			step = unmap_collect(ioas, range, &batch, &batch,
					     &seen);
			if (step == UNMAP_BATCH)
				last = unmap_batch(ioas, &batch, unmapped_bytes);
		}
		iommufd_areas_free(&batch);
		ioas_debug_verify(ioas);
		cond_resched();
		if (step == UNMAP_DONE ||
		    (step == UNMAP_BATCH && last == range.last))
			return 0;
		/* What a MAP puts there behind our back is not ours. */
		if (step == UNMAP_BATCH)
			range.first = last + 1;
		if (step == UNMAP_NOTIFY && !notified) {
			iommufd_access_notify_unmap(ioas, range);
			notified = true;
			continue;
		}
		if (step < 0)
			error = step;
		else if (fatal_signal_pending(current))
			error = -EINTR;
		else if (step != UNMAP_BATCH)
			error = ioas_wait_change(ioas, seen);
		if (error) {
			unmap_withdraw(ioas, range, &batch);
			return error;
		}
		/* The first area may be another one now, of which nobody was told. */
		notified = false;
	}
}

/* Domains ----------------------------------------------------------------- */

static int reserve_outside_aperture(struct iommufd_ioas *ioas,
				    struct iommufd_hwpt_paging *hwpt)
{
	const struct iommu_domain_geometry *geometry =
		&hwpt->common.domain->geometry;
	struct iova_range range;
	int error = 0;

	if (geometry->aperture_start > ULONG_MAX)
		return -EADDRINUSE;
	if (geometry->aperture_start) {
		range.first = 0;
		range.last = geometry->aperture_start - 1;
		error = ioas_reserve(ioas, range, hwpt);
	}
	if (!error && geometry->aperture_end < ULONG_MAX) {
		range.first = geometry->aperture_end + 1;
		range.last = ULONG_MAX;
		error = ioas_reserve(ioas, range, hwpt);
	}
	if (error)
		ioas_unreserve(ioas, hwpt);
	return error;
}

/* Take a live area that is not claimed so that it stays while it gets so. */
static struct iommufd_area *take_unclaimed(struct iommufd_ioas *ioas,
					   struct iova_range range)
{
	struct iommufd_area *area;

	guard(rwsem_write)(&ioas->areas_rwsem);
	if (!ioas->nr_unclaimed)
		return NULL;
	for (area = ioas_first_area(ioas, range); area;
	     area = ioas_next_area(area, range)) {
		if (area->state == AREA_LIVE && !area->claimed) {
			area->nr_users++;
			return area;
		}
	}
	return NULL;
}

/*
 * Claim what is live and not claimed, from the bottom to the top. What comes
 * behind our back claims itself, as want_claims says.
 */
static int claim_all(struct iommufd_ioas *ioas)
{
	struct iova_range range = { 0, ULONG_MAX };
	struct iommufd_area *area;
	int error = 0;

	while (!error && (area = take_unclaimed(ioas, range))) {
		struct interval_tree_node *claim = &area->claim;

		error = pin_source_claim(area->source, claim,
					 area_pages(area, area->iova));
		scoped_guard(rwsem_write, &ioas->areas_rwsem) {
			area->nr_users--;
			if (!error) {
				area->claimed = true;
				ioas->nr_unclaimed--;
			}
			range.first = area->iova.last;
		}
		ioas_changed(ioas);
		if (range.first++ == ULONG_MAX)
			break;
	}
	return error;
}

/*
 * Do the domains map the area? domains_rwsem is held for writing, which keeps
 * areas from becoming live, blocked or unmapped.
 */
static bool area_is_mapped(const struct iommufd_area *area)
{
	return area->state == AREA_LIVE && !area->blocked;
}

static int fill_domain(struct iommufd_ioas *ioas,
		       struct iommufd_hwpt_paging *hwpt)
{
	struct iommu_iotlb_gather gather;
	struct rb_node *node;
	int error = 0;

	lockdep_assert_held_write(&ioas->domains_rwsem);
	for (node = rb_first(&ioas->areas); node && !error;
	     node = rb_next(node)) {
		if (area_is_mapped(to_area(node)))
			error = domain_map_area(hwpt->common.domain,
						to_area(node),
						ioas->huge_pages);
		if (error)
			break;
		cond_resched();
	}
	if (!error)
		return 0;

	iommu_iotlb_gather_init(&gather);
	while ((node = rb_prev(node)))
		if (area_is_mapped(to_area(node)))
			domain_unmap_area(hwpt->common.domain, to_area(node),
					  &gather);
	iommu_iotlb_sync(hwpt->common.domain, &gather);
	return error;
}

/* Returns -EAGAIN if an area has become live that is not claimed. */
static int commit_domain(struct iommufd_ioas *ioas,
			 struct iommufd_hwpt_paging *hwpt)
{
	unsigned long old_alignment = ioas->alignment;
	struct iommu_domain *domain = hwpt->common.domain;
	int error;

	guard(rwsem_write)(&ioas->domains_rwsem);
	guard(rwsem_write)(&ioas->areas_rwsem);
	if (ioas->nr_unclaimed)
		return -EAGAIN;
	error = set_alignment(ioas, alignment_needed(ioas, domain,
						     ioas->huge_pages));
	if (error)
		return error;
	error = reserve_outside_aperture(ioas, hwpt);
	if (!error) {
		error = fill_domain(ioas, hwpt);
		if (error)
			ioas_unreserve(ioas, hwpt);
	}
	if (error) {
		ioas->alignment = old_alignment;
		return error;
	}
	hwpt->seq = ioas->next_domain_seq++;
	list_add_tail(&hwpt->ioas_node, &ioas->domains);
	hwpt->in_ioas = true;
	return 0;
}

/* A domain is gone, or did not come: if it was the last, nothing is claimed. */
static void drop_claims(struct iommufd_ioas *ioas)
{
	struct rb_node *node;

	lockdep_assert_held_write(&ioas->domains_rwsem);
	guard(rwsem_write)(&ioas->areas_rwsem);
	if (--ioas->want_claims)
		return;
	for (node = rb_first(&ioas->areas); node; node = rb_next(node)) {
		struct iommufd_area *area = to_area(node);

		if (area->state != AREA_LIVE || !area->claimed)
			continue;
		area_release_claim(area);
		if (!area->claimed)
			ioas->nr_unclaimed++;
		cond_resched();
	}
}

/**
 * ioas_add_domain() - make a page table follow an address space
 * @ioas: the address space
 * @hwpt: the page table, empty, known to nobody
 *
 * On success everything that is mapped in @ioas is mapped in the domain, and
 * will be from now on.
 *
 * Return: 0; -EADDRINUSE if an area lies outside of the domain's aperture, is
 * not aligned to its pages, or user space was promised what the domain cannot
 * map; -EINVAL if the domain's smallest page is larger than the CPU's;
 * -EFAULT or -ENOMEM if memory cannot be pinned; or what the driver answers.
 * Context: attach_lock is held. Sleeps for as long as user memory likes.
 */
int ioas_add_domain(struct iommufd_ioas *ioas,
		    struct iommufd_hwpt_paging *hwpt)
{
	int error;

	lockdep_assert_held(&ioas->attach_lock);
	scoped_guard(rwsem_write, &ioas->areas_rwsem)
		ioas->want_claims++;
	do {
		error = claim_all(ioas);
		if (!error)
			error = commit_domain(ioas, hwpt);
	} while (error == -EAGAIN);
	if (error) {
		scoped_guard(rwsem_write, &ioas->domains_rwsem)
			drop_claims(ioas);
	}
	ioas_debug_verify(ioas);
	return error;
}

/**
 * ioas_remove_domain() - empty a page table and stop it following
 * @ioas: the address space
 * @hwpt: the page table, to which no device is attached
 *
 * Context: May sleep. Cannot fail.
 */
void ioas_remove_domain(struct iommufd_ioas *ioas,
			struct iommufd_hwpt_paging *hwpt)
{
	struct iommu_domain *domain = hwpt->common.domain;
	struct iommu_iotlb_gather gather;
	struct rb_node *node;

	guard(rwsem_write)(&ioas->domains_rwsem);
	list_del(&hwpt->ioas_node);
	hwpt->in_ioas = false;
	iommu_iotlb_gather_init(&gather);
	scoped_guard(rwsem_write, &ioas->areas_rwsem) {
		for (node = rb_first(&ioas->areas); node; node = rb_next(node)) {
			if (area_is_mapped(to_area(node)))
				domain_unmap_area(domain, to_area(node),
						  &gather);
			cond_resched();
		}
		ioas_unreserve(ioas, hwpt);
		ioas->alignment = alignment_needed(ioas, NULL,
						   ioas->huge_pages);
	}
	iommu_iotlb_sync(domain, &gather);
	drop_claims(ioas);
	ioas_debug_verify(ioas);
}

/* Revoking ---------------------------------------------------------------- */

/**
 * ioas_block_area() - take an area out of every domain, and leave it there
 * @area: an area whose source has been marked as revoked
 *
 * What is still being mapped sees the mark by itself. When it returns, every
 * IOMMU has been synced.
 *
 * Context: The source keeps the area from being freed. Takes domains_rwsem.
 * Cannot fail.
 */
void ioas_block_area(struct iommufd_area *area)
{
	LIST_HEAD(one);

	guard(rwsem_write)(&area->ioas->domains_rwsem);
	if (!area_is_mapped(area))
		return;
	list_add(&area->batch, &one);
	domains_unmap_areas(area->ioas, &one);
	area_set_blocked(area, true);
}

/**
 * ioas_unblock_area() - map a blocked area again
 * @area: an area whose source is not marked as revoked any more
 *
 * Return: 0, or what domains_map_area() answers: the area stays blocked.
 * Context: The source keeps the area from being freed. Takes domains_rwsem.
 */
int ioas_unblock_area(struct iommufd_area *area)
{
	int error;

	guard(rwsem_write)(&area->ioas->domains_rwsem);
	if (area->state != AREA_LIVE || !area->blocked || area->stuck)
		return 0;
	error = domains_map_area(area->ioas, area);
	if (error)
		area_set_blocked(area, true);
	return error;
}

/* Life -------------------------------------------------------------------- */

/**
 * iommufd_ioas_new() - make an empty address space
 * @ctx: the context
 *
 * Return: the address space, not published; -ENOMEM.
 * Context: May sleep.
 */
struct iommufd_ioas *iommufd_ioas_new(struct iommufd_ctx *ctx)
{
	struct iommufd_ioas *ioas;

	ioas = iommufd_object_alloc(ctx, ioas, IOMMUFD_OBJ_IOAS, obj);
	if (IS_ERR(ioas))
		return ioas;
	ioas->ctx = ctx;
	mutex_init(&ioas->attach_lock);
	init_rwsem(&ioas->domains_rwsem);
	INIT_LIST_HEAD(&ioas->domains);
	init_rwsem(&ioas->areas_rwsem);
	ioas->areas = RB_ROOT;
	ioas->reserved = RB_ROOT_CACHED;
	ioas->allowed = RB_ROOT_CACHED;
	ioas->alignment = 1;
	ioas->huge_pages = true;
	init_waitqueue_head(&ioas->wait);
	INIT_LIST_HEAD(&ioas->accesses);
	return ioas;
}

/**
 * iommufd_ioas_destroy() - free what an address space maps
 * @object: an address space that no page table and no access uses
 *
 * Context: May sleep.
 */
void iommufd_ioas_destroy(struct iommufd_object *object)
{
	struct iommufd_ioas *ioas = to_ioas(object);
	struct iommufd_area *area, *next;
	struct interval_tree_node *node;

	iommufd_vfio_ioas_gone(ioas);
	/* Nothing is mapped or pinned any more: the tree is only memory. */
	IOMMUFD_ASSERT(list_empty(&ioas->domains) && !ioas->want_claims);
	rbtree_postorder_for_each_entry_safe(area, next, &ioas->areas, node) {
		area_free(area);
		cond_resched();
	}
	ioas_allowed_free(&ioas->allowed);
	while ((node = interval_tree_iter_first(&ioas->reserved, 0,
						ULONG_MAX))) {
		interval_tree_remove(node, &ioas->reserved);
		kfree(container_of(node, struct reserved_range, node));
	}
	mutex_destroy(&ioas->attach_lock);
}

static unsigned long verify_subtree(struct rb_node *node)
{
	struct iommufd_area *area = to_area(node);
	unsigned long gap;

	if (!node)
		return 0;
	gap = max3(area->gap_before, verify_subtree(node->rb_left),
		   verify_subtree(node->rb_right));
	WARN_ON_ONCE(area->subtree_max_gap != gap);
	return gap;
}

/**
 * ioas_verify() - derive the invariants of an address space anew and compare
 * @ioas: the address space
 *
 * Context: May sleep. Debug builds and tests only.
 */
void ioas_verify(struct iommufd_ioas *ioas)
{
	unsigned long free_from = 0, nr_unclaimed = 0;
	struct interval_tree_node *allowed;
	bool top = false;
	struct rb_node *node;

	guard(rwsem_read)(&ioas->areas_rwsem);
	verify_subtree(ioas->areas.rb_node);
	for (node = rb_first(&ioas->areas); node; node = rb_next(node)) {
		struct iommufd_area *area = to_area(node);

		WARN_ON_ONCE(top || area->iova.first < free_from ||
			     area->iova.first > area->iova.last);
		WARN_ON_ONCE(area->gap_before != area->iova.first - free_from);
		WARN_ON_ONCE(!iova_range_aligned(area->iova, ioas->alignment));
		WARN_ON_ONCE(interval_tree_iter_first(&ioas->reserved,
						      area->iova.first,
						      area->iova.last));
		if (area->state == AREA_LIVE && !area->claimed)
			nr_unclaimed++;
		free_from = area->iova.last + 1;
		top = !free_from;
	}
	WARN_ON_ONCE(nr_unclaimed != ioas->nr_unclaimed);
	for (allowed = interval_tree_iter_first(&ioas->allowed, 0, ULONG_MAX);
	     allowed;
	     allowed = interval_tree_iter_next(allowed, 0, ULONG_MAX))
		WARN_ON_ONCE(interval_tree_iter_first(&ioas->reserved,
						      allowed->start,
						      allowed->last));
}
