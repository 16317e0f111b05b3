// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages devices have written.
 *
 * DOC: dirty tracking
 *
 * The IOMMU marks an entry of a page table when a device writes through it; a
 * VMM asks for the marks and copies those pages once more. Reading a mark also
 * removes it, so what was read and cannot be told is lost. Three things follow.
 *
 * The user's bitmap is pinned before the marks of its range are read. It is
 * pinned piece by piece, a piece being what one struct iova_bitmap pins at once,
 * and under no lock: whoever answers the page faults of the bitmap may take as
 * long as he likes. Then the page table is walked step by step, each of them
 * short, under locks that keep what it walks mapped; between two of them MAP
 * and UNMAP get their turn.
 *
 * A mark says something about a whole entry, which may be larger than a step, a
 * piece, or what was asked for. So neither a step nor a piece ends within an
 * entry. Where user space asks for a part of one, it is told about that part and
 * the mark stays, because otherwise nobody would learn about the rest. Drivers
 * also rely on it that a walk begins where an entry does. How large an entry can
 * be at most follows from the record of pins.
 *
 * The IOTLB remembers that an entry is marked already and would not mark it again.
 * It is flushed once, after the last step and before user space is told.
 */
#include <linux/iova_bitmap.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "iommufd_private.h"

/* What is walked while locks are held: 65536 entries of 4 KiB. */
#define STEP_BYTES SZ_256M

/*
 * Bits of a piece: their bytes and the page in which they begin fit into the
 * MiB that a struct iova_bitmap pins at once. A multiple of 64.
 */
#define PIECE_BITS (SZ_512K * BITS_PER_BYTE)

/**
 * struct dirty_walk - reading the marks of a range
 * @hwpt: the page table
 * @dirty: for the driver: the bitmap, or NULL to forget the marks, and what has
 *	to be flushed
 * @flags: IOMMU_DIRTY_NO_CLEAR or 0
 * @range: what is read
 * @page_shift: addresses to a bit, as a shift
 * @piece: what @dirty has a bitmap for
 * @next: where to go on
 * @piece_done: @next is not in @piece
 * @done: @next is not in @range
 */
struct dirty_walk {
	struct iommufd_hwpt_paging *hwpt;
	struct iommu_dirty_bitmap dirty;
	unsigned long flags;
	struct iova_range range;
	unsigned int page_shift;
	struct iova_range piece;
	unsigned long next;
	bool piece_done;
	bool done;
};

/* One call of the driver. */
struct dirty_step {
	struct iova_range range;
	unsigned long flags;
};

static void walk_to(struct dirty_walk *walk, unsigned long last)
{
	walk->next = last + 1;
	walk->piece_done = last >= walk->piece.last;
	walk->done = last >= walk->range.last;
}

/* The piece that begins at the last address before @iova that a piece can. */
static struct iova_range piece_at(struct dirty_walk *walk, unsigned long iova)
{
	unsigned long last_bit =
		(walk->range.last - walk->range.first) >> walk->page_shift;
	unsigned long bit = round_down((iova - walk->range.first) >>
				       walk->page_shift, BITS_PER_LONG_LONG);
	struct iova_range piece = {
		.first = walk->range.first + (bit << walk->page_shift),
		.last = walk->range.last,
	};

	if (last_bit - bit >= PIECE_BITS)
		piece.last = piece.first +
			     ((unsigned long)PIECE_BITS << walk->page_shift) - 1;
	return piece;
}

/* Entries ----------------------------------------------------------------- */

/* Can one entry map a block, the size of which is a power of two? */
static bool can_be_entry(struct iommufd_area *area, struct iova_range block)
{
	struct page_range pages = area_pages(area, block);
	unsigned long start = block.first - area->iova.first + area->page_offset;
	struct run_cursor cursor;
	struct run run;

	guard(mutex)(&area->source->lock);
	run_cursor_init(&cursor, area->source, pages);
	if (!run_cursor_next(&cursor, &run) || run.nr < page_range_nr(pages))
		return false;
	return !((PFN_PHYS(run.pfn) + offset_in_page(start)) &
		 (block.last - block.first));
}

/* The largest entry that may map an address of an area. */
static struct iova_range entry_at(struct dirty_walk *walk,
				  struct iommufd_area *area, unsigned long iova)
{
	unsigned long sizes = walk->hwpt->common.domain->pgsize_bitmap;
	struct iova_range block;

	if (!area->ioas->huge_pages)
		sizes &= GENMASK(PAGE_SHIFT, 0);
	for (;;) {
		unsigned long size = BIT(__fls(sizes));

		block.first = iova & ~(size - 1);
		block.last = iova | (size - 1);
		sizes ^= size;
		if (!sizes ||
		    (block.first >= area->iova.first &&
		     block.last <= area->iova.last && can_be_entry(area, block)))
			return block;
	}
}

/*
 * An entry reaches out of what is asked for, or out of the piece. Before it comes
 * what is in front of it. If then it is its turn, a piece of its own may have room
 * for it: false. If not, it is looked at and stays as it is.
 */
static bool step_before_entry(struct dirty_walk *walk, struct iova_range entry,
			      struct dirty_step *step)
{
	if (entry.first > step->range.first) {
		step->range.last = entry.first - 1;
		return true;
	}
	if (entry.last <= walk->range.last &&
	    piece_at(walk, entry.first).first > walk->piece.first)
		return false;
	step->range = entry;
	step->flags |= IOMMU_DIRTY_NO_CLEAR;
	return true;
}

/*
 * The next step in an area, which goes on to @last unless that would cut an
 * entry. Returns false if it needs another piece.
 */
static bool choose_step(struct dirty_walk *walk, struct iommufd_area *area,
			unsigned long last, struct dirty_step *step)
{
	struct iova_range entry;

	step->flags = walk->flags;
	step->range.first = max(walk->next, area->iova.first);
	step->range.last = min(last, area->iova.last);
	if (step->range.first > area->iova.first) {
		entry = entry_at(walk, area, step->range.first);
		if (entry.first < step->range.first) {
			step->range = entry;
			step->flags |= IOMMU_DIRTY_NO_CLEAR;
			return true;
		}
	}
	if (step->range.last == area->iova.last)
		return true;
	entry = entry_at(walk, area, step->range.last + 1);
	if (entry.first > step->range.last)
		return true;
	if (entry.last > walk->piece.last)
		return step_before_entry(walk, entry, step);
	step->range.last = entry.last;
	return true;
}

/* Walking ----------------------------------------------------------------- */

static int walk_area(struct dirty_walk *walk, struct iommufd_area *area,
		     unsigned long last)
{
	struct iommu_domain *domain = walk->hwpt->common.domain;
	struct dirty_step step;
	int error;

	last = min(last, area->iova.last);
	while (!walk->piece_done && walk->next <= last) {
		if (!choose_step(walk, area, last, &step)) {
			walk->next = step.range.first;
			walk->piece_done = true;
			break;
		}
		error = domain->dirty_ops->read_and_clear_dirty(domain,
				step.range.first, iova_range_bytes(step.range),
				step.flags, &walk->dirty);
		if (error)
			return error;
		walk_to(walk, min(step.range.last, walk->piece.last));
	}
	return 0;
}

/*
 * Walk the areas of one step, none of which can leave meanwhile: an UNMAP that
 * has begun to take one out is not told of it any more.
 */
static int walk_some(struct dirty_walk *walk)
{
	struct iommufd_ioas *ioas = walk->hwpt->ioas;
	struct iova_range some = { walk->next, walk->piece.last };
	struct iommufd_area *area;
	int error = 0;

	guard(rwsem_read)(&ioas->domains_rwsem);
	guard(rwsem_read)(&ioas->areas_rwsem);
	area = ioas_first_area(ioas, some);
	if (area)
		some.last = min(some.last, max(some.first, area->iova.first) |
						   (STEP_BYTES - 1));
	for (; area && !error && !walk->piece_done;
	     area = ioas_next_area(area, some))
		if (area->state == AREA_LIVE && !area->blocked)
			error = walk_area(walk, area, some.last);
	if (!error && !walk->piece_done && walk->next <= some.last)
		walk_to(walk, some.last);
	return error;
}

static int walk_piece(struct dirty_walk *walk)
{
	int error;

	do {
		error = walk_some(walk);
		if (!error && fatal_signal_pending(current))
			error = -EINTR;
		cond_resched();
	} while (!error && !walk->piece_done);
	return error;
}

static int fill_piece(struct iova_bitmap *bitmap, unsigned long iova,
		      size_t length_bytes, void *opaque)
{
	return walk_piece(opaque);
}

/* Go to the first area from here on; pieces without one are not even pinned. */
static bool find_piece(struct dirty_walk *walk)
{
	struct iommufd_ioas *ioas = walk->hwpt->ioas;
	struct iova_range rest = { walk->next, walk->range.last };
	struct iommufd_area *area;

	if (walk->done)
		return false;
	guard(rwsem_read)(&ioas->areas_rwsem);
	area = ioas_first_area(ioas, rest);
	if (!area)
		return false;
	walk->next = max(walk->next, area->iova.first);
	walk->piece = piece_at(walk, walk->next);
	walk->piece_done = false;
	return true;
}

/* @data: the user's bitmap, whose first bit stands for the range's first page. */
static int walk_with_bitmap(struct dirty_walk *walk, u8 __user *data)
{
	struct iova_bitmap *bitmap;
	unsigned long byte;
	int error = 0;

	while (!error && find_piece(walk)) {
		byte = ((walk->piece.first - walk->range.first) >>
			walk->page_shift) / BITS_PER_BYTE;
		bitmap = iova_bitmap_alloc(walk->piece.first,
					   iova_range_bytes(walk->piece),
					   BIT(walk->page_shift),
					   (u64 __user *)(data + byte));
		if (IS_ERR_OR_NULL(bitmap))
			return bitmap ? PTR_ERR(bitmap) : -EOPNOTSUPP;
		walk->dirty.bitmap = bitmap;
		error = iova_bitmap_for_each(bitmap, walk, fill_piece);
		iova_bitmap_free(bitmap);
	}
	return error;
}

/* Commands ---------------------------------------------------------------- */

/* Make every page clean that was written before somebody asked to know. */
static int forget_marks(struct iommufd_hwpt_paging *hwpt)
{
	struct iommu_iotlb_gather gather;
	struct dirty_walk walk = {
		.hwpt = hwpt,
		.range = { 0, ULONG_MAX },
		.piece = { 0, ULONG_MAX },
	};
	int error;

	iommu_dirty_bitmap_init(&walk.dirty, NULL, &gather);
	error = walk_piece(&walk);
	iommu_iotlb_sync(hwpt->common.domain, &gather);
	return error;
}

static int set_dirty_tracking(struct iommufd_hwpt_paging *hwpt, bool enable)
{
	struct iommu_domain *domain = hwpt->common.domain;
	int error = 0;

	lockdep_assert_held(&hwpt->dirty_lock);
	if (hwpt->dirty_tracking == enable)
		return 0;
	if (enable)
		error = forget_marks(hwpt);
	if (!error)
		error = domain->dirty_ops->set_dirty_tracking(domain, enable);
	if (!error)
		WRITE_ONCE(hwpt->dirty_tracking, enable);
	return error;
}

/* A HWPT that was made for dirty tracking, on hold. */
static struct iommufd_hwpt_paging *get_dirty_hwpt(struct iommufd_ctx *ctx,
						  u32 id)
{
	struct iommufd_hwpt_paging *hwpt = iommufd_hwpt_paging_get(ctx, id);

	if (IS_ERR(hwpt) || hwpt->common.domain->dirty_ops)
		return hwpt;
	iommufd_object_put(ctx, &hwpt->common.obj);
	return ERR_PTR(iommufd_refuse(ctx, -EOPNOTSUPP,
				      "the HWPT was not made for dirty tracking",
				      id, 0));
}

/**
 * iommufd_hwpt_set_dirty_tracking() - IOMMU_HWPT_SET_DIRTY_TRACKING
 * @command: the command
 *
 * Return: 0; -EOPNOTSUPP for an unknown flag, a reserved field that is not zero,
 * or a HWPT that was not made for it; -ENOENT if there is no such paging HWPT;
 * -EINTR if the caller was killed; what the driver answers.
 * Context: May sleep, but not for user memory.
 */
int iommufd_hwpt_set_dirty_tracking(struct iommufd_command *command)
{
	struct iommu_hwpt_set_dirty_tracking *args = command->args;
	struct iommufd_hwpt_paging *hwpt;
	int error;

	if (args->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE || args->__reserved)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "an unknown flag or reserved field",
				      args->flags, args->__reserved);
	hwpt = get_dirty_hwpt(command->ctx, args->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	error = mutex_lock_killable(&hwpt->dirty_lock);
	if (!error) {
		error = set_dirty_tracking(hwpt, args->flags);
		mutex_unlock(&hwpt->dirty_lock);
	}
	iommufd_object_put(command->ctx, &hwpt->common.obj);
	return error;
}

/* The IOAS may ask for more than this page table does. */
static bool is_aligned(struct iommufd_hwpt_paging *hwpt,
		       struct iova_range range, unsigned int page_shift)
{
	struct iommufd_ioas *ioas = hwpt->ioas;

	guard(rwsem_read)(&ioas->areas_rwsem);
	return iova_range_aligned(range, max(BIT(page_shift), ioas->alignment));
}

static int check_get(struct iommufd_command *command,
		     struct iommufd_hwpt_paging *hwpt, struct dirty_walk *walk)
{
	struct iommu_hwpt_get_dirty_bitmap *args = command->args;
	unsigned long bytes;
	int error;

	if (!READ_ONCE(hwpt->dirty_tracking))
		return iommufd_refuse(command->ctx, -EINVAL,
				      "dirty tracking is off", args->hwpt_id, 0);
	error = iova_range_make(&walk->range, args->iova, args->length);
	if (error)
		return iommufd_refuse(command->ctx, error, "not a range",
				      args->iova, args->length);
	walk->page_shift = args->page_size ? ilog2(args->page_size) : 0;
	if (args->page_size != BIT_ULL(walk->page_shift) ||
	    walk->page_shift >= BITS_PER_LONG ||
	    walk->page_shift < __ffs(hwpt->common.domain->pgsize_bitmap))
		return iommufd_refuse(command->ctx, -EINVAL,
				      "no page size, or below the HWPT's smallest",
				      args->page_size, 0);
	if (!is_aligned(hwpt, walk->range, walk->page_shift))
		return iommufd_refuse(command->ctx, -EINVAL,
				      "the range is not aligned", args->iova,
				      args->length);
	bytes = ((walk->range.last - walk->range.first) >> walk->page_shift) /
			BITS_PER_BYTE + 1;
	if (args->data > ULONG_MAX ||
	    !access_ok(u64_to_user_ptr(args->data), bytes))
		return -EFAULT;
	return 0;
}

static int get_dirty_bitmap(struct iommufd_command *command,
			    struct iommufd_hwpt_paging *hwpt)
{
	struct iommu_hwpt_get_dirty_bitmap *args = command->args;
	struct iommu_iotlb_gather gather;
	struct dirty_walk walk = { .hwpt = hwpt };
	int error;

	error = check_get(command, hwpt, &walk);
	if (error)
		return error;
	walk.next = walk.range.first;
	if (args->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR)
		walk.flags = IOMMU_DIRTY_NO_CLEAR;
	iommu_iotlb_gather_init(&gather);
	if (!walk.flags)
		walk.dirty.gather = &gather;
	error = walk_with_bitmap(&walk, u64_to_user_ptr(args->data));
	iommu_iotlb_sync(hwpt->common.domain, &gather);
	return error;
}

/**
 * iommufd_hwpt_get_dirty_bitmap() - IOMMU_HWPT_GET_DIRTY_BITMAP
 * @command: the command
 *
 * Where nothing is mapped, nothing is dirty.
 *
 * Return: 0; -EOPNOTSUPP for an unknown flag, a reserved field that is not zero,
 * or a HWPT that was not made for it; -ENOENT if there is no such paging HWPT;
 * -EINVAL if dirty tracking is off, the range is empty, the page size is none or
 * below the smallest of the HWPT, or the range is not aligned; -EOVERFLOW if it
 * wraps; -EFAULT if the bitmap cannot be written: if it is not the first part of
 * it, what was read before is lost; -ENOMEM; -EINTR; what the driver answers.
 * Context: Sleeps for as long as user memory likes.
 */
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_command *command)
{
	struct iommu_hwpt_get_dirty_bitmap *args = command->args;
	struct iommufd_hwpt_paging *hwpt;
	int error;

	if (args->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR ||
	    args->__reserved)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "an unknown flag or reserved field",
				      args->flags, args->__reserved);
	hwpt = get_dirty_hwpt(command->ctx, args->hwpt_id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	error = get_dirty_bitmap(command, hwpt);
	iommufd_object_put(command->ctx, &hwpt->common.obj);
	return error;
}
