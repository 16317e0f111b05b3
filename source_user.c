// SPDX-License-Identifier: GPL-2.0-only
/*
 * User memory as a source: the address space of the process that mapped it.
 *
 * Page indexes are user addresses divided by the page size. Pages are pinned
 * for long term with GUP, from the process that mapped them or from another
 * one that has its file descriptor, and scanned once for runs.
 */
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/mmu_context.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommufd_private.h"

/* How many pages are asked for in one call; a test may set fewer. */
unsigned int pages_pinned_at_once = WINDOW_PAGES;

/* How many of @nr pages follow one another in memory, from the first one. */
static inline unsigned int count_contiguous(struct page **pages,
					    unsigned int nr, unsigned long pfn)
{
	struct page *next = pages[0];
	unsigned int i;

	for (i = 1; i < nr; i++)
		if (PAGES_ARE_FLAT ? pages[i] != ++next :
				     page_to_pfn(pages[i]) != pfn + i)
			break;
	return i;
}

static void batch_pages(struct pin_batch *batch, unsigned long index,
			struct page **pages, unsigned int nr)
{
	unsigned long pfn = page_to_pfn(pages[0]);
	unsigned int first = count_contiguous(pages, nr, pfn);
	unsigned int count;

	/* Only the first run can continue what is in the batch already. */
	pin_batch_add(batch, index, pfn, first);
	for (; first < nr; first += count) {
		pfn = page_to_pfn(pages[first]);
		count = count_contiguous(pages + first, nr - first, pfn);
		pin_batch_add_apart(batch, index + first, pfn, count);
	}
}

static unsigned int user_gup_flags(struct pin_source *source)
{
	return FOLL_LONGTERM | (source->writable ? FOLL_WRITE : 0);
}

/* GUP's word for a kill that came while it waited for the lock of the mm. */
static long gup_result(long got)
{
	return got == -EAGAIN ? -EINTR : got;
}

static long user_gup(struct pin_source *source, unsigned long index,
		     unsigned long nr, struct page **pages)
{
	unsigned long address = index << PAGE_SHIFT;
	struct mm_struct *mm = source->account->mm;
	int locked = 1;
	long got;

	if (current->mm == mm)
		return gup_result(pin_user_pages_fast(address, nr,
						      user_gup_flags(source),
						      pages));
	if (!mmget_not_zero(mm))
		return -EFAULT;
	if (mmap_read_lock_killable(mm)) {
		mmput(mm);
		return -EINTR;
	}
	got = pin_user_pages_remote(mm, address, nr, user_gup_flags(source),
				    pages, &locked);
	if (locked)
		mmap_read_unlock(mm);
	mmput(mm);
	return gup_result(got);
}

static int user_pin(struct pin_source *source, struct page_range range,
		    struct pin_batch *batch)
{
	unsigned long index = range.first;
	unsigned long left = page_range_nr(range);

	while (left) {
		unsigned long nr = min(left, READ_ONCE(pages_pinned_at_once));
		long got = user_gup(source, index, nr, batch->pages);

		if (got < 0)
			return got;
		if (!got)
			return -EFAULT;
		batch_pages(batch, index, batch->pages, got);
		index += got;
		left -= got;
	}
	return 0;
}

/* Through the page itself, whoever's it is. */
static int user_copy_remote(struct pin_source *source, unsigned long index,
			    unsigned long offset_bytes, void *data,
			    size_t bytes, unsigned int flags)
{
	bool write = flags & IOMMUFD_ACCESS_RW_WRITE;
	struct mm_struct *mm = source->account->mm;
	struct page *page;
	int locked = 1;
	long got;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	if (mmap_read_lock_killable(mm)) {
		mmput(mm);
		return -EINTR;
	}
	got = pin_user_pages_remote(mm, index << PAGE_SHIFT, 1,
				    write ? FOLL_WRITE : 0, &page, &locked);
	if (locked)
		mmap_read_unlock(mm);
	mmput(mm);
	if (got != 1)
		return got < 0 ? gup_result(got) : -EFAULT;
	if (write)
		memcpy_to_page(page, offset_bytes, data, bytes);
	else
		memcpy_from_page(data, page, offset_bytes, bytes);
	unpin_user_pages_dirty_lock(&page, 1, write);
	return 0;
}

static int user_copy_current(unsigned long address, void *data, size_t bytes,
			     unsigned int flags)
{
	unsigned long left;

	if (flags & IOMMUFD_ACCESS_RW_WRITE)
		left = copy_to_user((void __user *)address, data, bytes);
	else
		left = copy_from_user(data, (void __user *)address, bytes);
	return left ? -EFAULT : 0;
}

static int user_copy(struct pin_source *source, unsigned long index,
		     unsigned long offset_bytes, void *data, size_t bytes,
		     unsigned int flags)
{
	if (current->mm != source->account->mm)
		return user_copy_remote(source, index, offset_bytes, data,
					bytes, flags);
	return user_copy_current((index << PAGE_SHIFT) + offset_bytes, data,
				 bytes, flags);
}

static const struct pin_source_ops user_source_ops = {
	.name = "user memory",
	.prot = IOMMU_CACHE,
	.tied = true,
	.pin = user_pin,
	.unpin = pin_source_unpin_pages,
	.copy = user_copy,
};

/**
 * pin_source_alloc_user() - make a source of the current process's memory
 * @ctx: the context
 * @first_index: its lowest page index
 * @writable: pin it for writing
 *
 * Return: the source, or what pin_source_init() answers.
 * Context: May sleep.
 */
struct pin_source *pin_source_alloc_user(struct iommufd_ctx *ctx,
					 unsigned long first_index,
					 bool writable)
{
	struct pin_source *source;
	int error;

	source = kzalloc_obj(*source, GFP_KERNEL_ACCOUNT);
	if (!source)
		return ERR_PTR(-ENOMEM);
	error = pin_source_init(source, ctx, &user_source_ops, first_index,
				writable);
	if (error) {
		kfree(source);
		return ERR_PTR(error);
	}
	return source;
}
