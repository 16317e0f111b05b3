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

/* Is @next the page behind @nr pages that start at @page? */
static inline bool page_continues(struct page *page, struct page *next,
				  unsigned int nr)
{
	if (IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP) || IS_ENABLED(CONFIG_FLATMEM))
		return next == page + nr;
	return page_to_pfn(next) == page_to_pfn(page) + nr;
}

static void batch_pages(struct pin_batch *batch, unsigned long index,
			struct page **pages, unsigned int nr)
{
	unsigned int first, i;

	for (first = 0; first < nr; first = i) {
		struct page *page = pages[first];

		for (i = first + 1; i < nr; i++)
			if (!page_continues(page, pages[i], i - first))
				break;
		pin_batch_add(batch, index + first, page_to_pfn(page),
			      i - first);
	}
}

static unsigned int user_gup_flags(struct pin_source *source)
{
	return FOLL_LONGTERM | (source->writable ? FOLL_WRITE : 0);
}

static long user_gup(struct pin_source *source, unsigned long index,
		     unsigned long nr, struct page **pages)
{
	unsigned long address = index << PAGE_SHIFT;
	struct mm_struct *mm = source->mm;
	int locked = 1;
	long got;

	if (current->mm == mm)
		return pin_user_pages_fast(address, nr, user_gup_flags(source),
					   pages);
	if (!mmget_not_zero(mm))
		return -EFAULT;
	mmap_read_lock(mm);
	got = pin_user_pages_remote(mm, address, nr, user_gup_flags(source),
				    pages, &locked);
	if (locked)
		mmap_read_unlock(mm);
	mmput(mm);
	return got;
}

static int user_pin(struct pin_source *source, struct page_range range,
		    struct pin_batch *batch)
{
	unsigned long index = range.first;
	unsigned long left = page_range_nr(range);

	while (left) {
		long got = user_gup(source, index, left, batch->pages);

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

static void user_unpin(struct pin_source *source, unsigned long pfn,
		       unsigned long nr)
{
	unpin_user_page_range_dirty_lock(pfn_to_page(pfn), nr,
					 source->writable);
}

/* Through the page itself, whoever's it is. */
static int user_copy_remote(struct pin_source *source, unsigned long index,
			    unsigned long offset_bytes, void *data,
			    size_t bytes, unsigned int flags)
{
	bool write = flags & IOMMUFD_ACCESS_RW_WRITE;
	struct mm_struct *mm = source->mm;
	struct page *page;
	int locked = 1;
	long got;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	mmap_read_lock(mm);
	got = pin_user_pages_remote(mm, index << PAGE_SHIFT, 1,
				    write ? FOLL_WRITE : 0, &page, &locked);
	if (locked)
		mmap_read_unlock(mm);
	mmput(mm);
	if (got != 1)
		return got < 0 ? got : -EFAULT;
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
	if (current->mm != source->mm)
		return user_copy_remote(source, index, offset_bytes, data,
					bytes, flags);
	return user_copy_current((index << PAGE_SHIFT) + offset_bytes, data,
				 bytes, flags);
}

static const struct pin_source_ops user_source_ops = {
	.name = "user memory",
	.pin = user_pin,
	.unpin = user_unpin,
	.copy = user_copy,
};

/**
 * pin_source_alloc_user() - make a source of the current process's memory
 * @ctx: the context
 * @writable: pin it for writing
 *
 * Return: the source with one reference; -ENOMEM; -EINVAL for a kernel thread,
 * which has no memory to give.
 * Context: May sleep.
 */
struct pin_source *pin_source_alloc_user(struct iommufd_ctx *ctx, bool writable)
{
	struct pin_source *source;

	if (!current->mm)
		return ERR_PTR(-EINVAL);
	source = kzalloc_obj(*source, GFP_KERNEL_ACCOUNT);
	if (!source)
		return ERR_PTR(-ENOMEM);
	pin_source_init(source, ctx, &user_source_ops, writable);
	return source;
}
