// SPDX-License-Identifier: GPL-2.0
#include <linux/align.h>
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/**
 * DOC: A bitmap in user memory, a bit for each page of IOVA
 *
 * User space asks which pages a device has written, and passes a bitmap to be
 * filled. Drivers that find the answer, in an IOMMU's page table or in a log
 * that a device keeps, know IOVAs. This file turns the one into the other:
 *
 *	bitmap = iova_bitmap_alloc(iova, length, page_size, data);
 *	ret = iova_bitmap_for_each(bitmap, opaque, fn);
 *	iova_bitmap_free(bitmap);
 *
 * where @fn calls iova_bitmap_set() for whatever range is dirty, in any order
 * and as often as it likes.
 *
 * Finding out makes pages clean, so an answer that cannot be stored is lost. For
 * this reason bits are not written by means that fault, but into pages that are
 * pinned. A bitmap can be large, so it is pinned a *window* of at most
 * WINDOW_BYTES at a time. The windows tile the bitmap from its first page, which
 * makes it cheap to go back and forth within one. A window is pinned whole or
 * not at all. The first one is pinned by iova_bitmap_alloc(), so a bad address
 * is refused before anything is made clean, and a bitmap that fits in one window
 * cannot fail, nor fault, any more. A bitmap whose later windows turn out to be
 * bad gives an error at the end, and then nobody knows about pages that were
 * made clean: user space has to regard the range as dirty.
 *
 * A window of 1 MiB has bits for 32 GiB in pages of 4 KiB, and a page array of
 * 2 KiB.
 *
 * Bits are numbered from the start of the page that holds bit 0, so a bitmap may
 * begin at any byte, and a number is a page, a word in it and a bit in that. The
 * words are those of the kernel, aligned in the page, which has them lie wholly
 * inside it. What they hold beyond the bitmap at either end belongs to somebody
 * else and is not changed: bits are ORed in by atomic operations, which also
 * lets two threads fill one bitmap.
 *
 * User space declares the bitmap as u64[] in its own byte order. On a
 * little-endian machine this is the same as bytes, or as words of any size. On a
 * big-endian one it is not: there the bitmap has to be aligned to a u64.
 */

#define WINDOW_BYTES SZ_1M
#define WINDOW_PAGES max(WINDOW_BYTES / PAGE_SIZE, 1UL)
#define BITS_PER_PAGE (PAGE_SIZE * BITS_PER_BYTE)

#ifdef __BIG_ENDIAN
#define BITMAP_ALIGN sizeof(u64)
/* The two longs of a u64, if it has two, stand in the other order. */
#define WORD_SWAP (sizeof(u64) / sizeof(long) - 1)
#else
#define BITMAP_ALIGN 1
#define WORD_SWAP 0
#endif

/**
 * struct iova_bitmap - a bitmap in user memory and what is pinned of it
 * @iova: first address, which bit @first_bit stands for
 * @length_bytes: how many addresses, at least one
 * @page_shift: addresses to a bit, as a shift
 * @error: why a bit could not be set, or 0
 * @first_page: user address of the page that holds the first bit
 * @first_bit: number of the first bit, counted from the start of that page
 * @nr_pages: pages that hold the bitmap
 * @window_index: number of the first pinned page
 * @nr_pinned: how many pages are pinned: all of a window, or none
 * @max_pages: pages of the longest window
 * @recent: the page whose bits were set last
 * @recent.page: the page
 * @recent.words: where it is
 * @recent.iova: address that the first bit in it stands for
 * @recent.nr_bytes: how many addresses have their bits in it, 0 if there is no
 *                   such page
 * @recent.bit: number of the first bit in the page
 * @pages: the pinned pages
 *
 * One thread uses it, so nothing here has a lock. All but @error, @window_index,
 * @nr_pinned, @recent and @pages is constant.
 */
struct iova_bitmap {
	unsigned long iova;
	size_t length_bytes;
	unsigned int page_shift;
	int error;

	unsigned long first_page;
	unsigned int first_bit;
	unsigned long nr_pages;

	unsigned long window_index;
	unsigned int nr_pinned;
	unsigned int max_pages;
	struct {
		struct page *page;
		unsigned long *words;
		unsigned long iova;
		unsigned long nr_bytes;
		unsigned long bit;
	} recent;
	struct page *pages[] __counted_by(max_pages);
};

static void unpin_window(struct iova_bitmap *bitmap)
{
	unpin_user_pages_dirty_lock(bitmap->pages, bitmap->nr_pinned, true);
	bitmap->nr_pinned = 0;
	bitmap->recent.nr_bytes = 0;
}

/* Pins the window that begins with page @window_index, in place of the present */
static int pin_window(struct iova_bitmap *bitmap, unsigned long window_index)
{
	unsigned long user_addr = bitmap->first_page + window_index * PAGE_SIZE;
	unsigned int nr_wanted = min(bitmap->nr_pages - window_index,
				     bitmap->max_pages);

	cond_resched();
	unpin_window(bitmap);
	bitmap->window_index = window_index;
	while (bitmap->nr_pinned < nr_wanted) {
		int nr = pin_user_pages_fast(user_addr +
						bitmap->nr_pinned * PAGE_SIZE,
					     nr_wanted - bitmap->nr_pinned,
					     FOLL_WRITE,
					     bitmap->pages + bitmap->nr_pinned);

		if (nr <= 0) {
			unpin_window(bitmap);
			return nr ?: -EFAULT;
		}
		bitmap->nr_pinned += nr;
	}
	return 0;
}

/* Finds page @page_index of the bitmap, after pinning its window if need be */
static struct page *pinned_page(struct iova_bitmap *bitmap,
				unsigned long page_index)
{
	unsigned long window_index =
		page_index - page_index % bitmap->max_pages;

	if (!bitmap->nr_pinned || bitmap->window_index != window_index) {
		int ret = pin_window(bitmap, window_index);

		if (ret)
			return ERR_PTR(ret);
	}
	return bitmap->pages[page_index - window_index];
}

static void set_bits_of_word(unsigned long *words, unsigned int index,
			     unsigned long mask)
{
	unsigned long *word = &words[index ^ WORD_SWAP];

	if ((READ_ONCE(*word) & mask) != mask)
		atomic_long_or(mask, (atomic_long_t *)word);
}

/* Sets the bits @first to @last of a page, others keep their value */
static void set_bits_of_page(struct page *page, unsigned int first,
			     unsigned int last)
{
	unsigned long *words = kmap_local_page(page);
	unsigned long mask = BITMAP_FIRST_WORD_MASK(first);
	unsigned int index;

	for (index = BIT_WORD(first); index < BIT_WORD(last); index++) {
		set_bits_of_word(words, index, mask);
		mask = ~0UL;
	}
	set_bits_of_word(words, index, mask & BITMAP_LAST_WORD_MASK(last + 1));
	flush_dcache_page(page);
	kunmap_local(words);
}

/*
 * The next bit is most often in the same page: be quick to find it there. It needs
 * a page that stays where it is, and words that are in order.
 */
static void remember_page(struct iova_bitmap *bitmap, struct page *page,
			  unsigned long page_index)
{
	u64 first_bit = max(page_index * (u64)BITS_PER_PAGE,
			    (u64)bitmap->first_bit);
	unsigned long offset = (unsigned long)(first_bit - bitmap->first_bit)
			       << bitmap->page_shift;
	unsigned long last_offset = bitmap->length_bytes - 1 - offset;
	unsigned int nr_bits = BITS_PER_PAGE - first_bit % BITS_PER_PAGE;

	if (IS_ENABLED(CONFIG_HIGHMEM) || WORD_SWAP)
		return;
	if (last_offset >> bitmap->page_shift >= nr_bits)
		last_offset = ((unsigned long)nr_bits << bitmap->page_shift) - 1;
	bitmap->recent.page = page;
	bitmap->recent.words = page_address(page);
	bitmap->recent.iova = bitmap->iova + offset;
	bitmap->recent.nr_bytes = last_offset + 1;
	bitmap->recent.bit = first_bit % BITS_PER_PAGE;
}

/**
 * iova_bitmap_alloc - begin to fill a bitmap of user space
 * @iova: address that the first bit stands for
 * @length: how many addresses the bitmap covers, in bytes, not zero
 * @page_size: how many of them share a bit, in bytes, a power of two
 * @data: the bitmap in user memory, at any alignment (but see DOC: above for
 *        big-endian machines). It is as long as its bits need, rounded up to a
 *        byte; memory beyond that is not changed.
 *
 * Pins the first WINDOW_BYTES of the bitmap, for writing, until other parts are
 * needed or iova_bitmap_free(). They are pinned for a short time, so they do not
 * count as locked memory.
 *
 * Context: Process context of the task that owns @data, as with the other
 * functions here. May sleep, and faults user pages in.
 * Return: The bitmap, or an ERR_PTR():
 *
 * * %-EINVAL: length or page size is wrong, or @data misaligned
 * * %-EOVERFLOW: the range wraps
 * * %-EFAULT: the bitmap is not within user memory that can be written
 * * %-ENOMEM: no memory
 * * %-EINTR, %-EAGAIN: the task is being killed
 */
struct iova_bitmap *iova_bitmap_alloc(unsigned long iova, size_t length,
				      unsigned long page_size,
				      u64 __user *data)
{
	unsigned long user_addr = (unsigned long)data;
	unsigned long last_iova, nr_bytes, nr_pages;
	struct iova_bitmap *bitmap;
	unsigned int page_shift;
	int ret;

	if (!length || !is_power_of_2(page_size) ||
	    !IS_ALIGNED(user_addr, BITMAP_ALIGN))
		return ERR_PTR(-EINVAL);
	if (check_add_overflow(iova, length - 1, &last_iova))
		return ERR_PTR(-EOVERFLOW);

	/* From here on user_addr + nr_bytes is known not to wrap. */
	page_shift = ilog2(page_size);
	nr_bytes = ((length - 1) >> page_shift) / BITS_PER_BYTE + 1;
	nr_bytes = ALIGN(nr_bytes, BITMAP_ALIGN);
	if (!access_ok(data, nr_bytes))
		return ERR_PTR(-EFAULT);

	nr_pages = (offset_in_page(user_addr) + nr_bytes - 1) / PAGE_SIZE + 1;
	bitmap = kzalloc_flex(*bitmap, pages, min(nr_pages, WINDOW_PAGES),
			      GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return ERR_PTR(-ENOMEM);

	bitmap->iova = iova;
	bitmap->length_bytes = length;
	bitmap->page_shift = page_shift;
	bitmap->first_page = user_addr & PAGE_MASK;
	bitmap->first_bit = offset_in_page(user_addr) * BITS_PER_BYTE;
	bitmap->nr_pages = nr_pages;
	bitmap->max_pages = min(nr_pages, WINDOW_PAGES);

	ret = pin_window(bitmap, 0);
	if (ret) {
		kfree(bitmap);
		return ERR_PTR(ret);
	}
	return bitmap;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_alloc, "IOMMUFD");

/**
 * iova_bitmap_free - end filling a bitmap
 * @bitmap: what iova_bitmap_alloc() returned, or NULL; invalid afterwards
 *
 * Unpins what is pinned and marks it dirty.
 *
 * Context: May sleep. Touches no user memory.
 */
void iova_bitmap_free(struct iova_bitmap *bitmap)
{
	if (!bitmap)
		return;
	unpin_window(bitmap);
	kfree(bitmap);
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_free, "IOMMUFD");

/**
 * iova_bitmap_for_each - find out what belongs into a bitmap
 * @bitmap: the bitmap
 * @opaque: passed to @fn
 * @fn: finds dirty ranges and calls iova_bitmap_set() for each
 *
 * Calls @fn once with the whole range. Windows are no concern of it: a driver
 * may make a page clean that covers several, and its bits must not get lost.
 *
 * Context: That of iova_bitmap_alloc().
 * Return: What @fn returns, if that is not 0. Otherwise 0, or why bits could not
 * be set, an errno of iova_bitmap_alloc().
 */
int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque,
			 iova_bitmap_fn_t fn)
{
	int ret;

	bitmap->error = 0;
	ret = fn(bitmap, bitmap->iova, bitmap->length_bytes, opaque);
	return ret ?: bitmap->error;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_for_each, "IOMMUFD");

/* Whatever part of a range the bitmap has, in whatever pages. */
static noinline void set_anywhere(struct iova_bitmap *bitmap, unsigned long iova,
				  size_t length)
{
	unsigned long bitmap_last = bitmap->iova + (bitmap->length_bytes - 1);
	unsigned long last_iova;
	u64 bit, last_bit;

	if (!length || bitmap->error)
		return;
	if (check_add_overflow(iova, length - 1, &last_iova))
		last_iova = ULONG_MAX;
	if (iova > bitmap_last || last_iova < bitmap->iova)
		return;

	iova = max(iova, bitmap->iova) - bitmap->iova;
	last_iova = min(last_iova, bitmap_last) - bitmap->iova;
	bit = bitmap->first_bit + (u64)(iova >> bitmap->page_shift);
	last_bit = bitmap->first_bit + (u64)(last_iova >> bitmap->page_shift);

	/* One round a page; a bit is in the page of bit / BITS_PER_PAGE. */
	while (bit <= last_bit) {
		u64 last_of_page = min(bit | (BITS_PER_PAGE - 1), last_bit);
		struct page *page = pinned_page(bitmap, bit / BITS_PER_PAGE);

		if (IS_ERR(page)) {
			bitmap->error = PTR_ERR(page);
			return;
		}
		set_bits_of_page(page, bit % BITS_PER_PAGE,
				 last_of_page % BITS_PER_PAGE);
		remember_page(bitmap, page, bit / BITS_PER_PAGE);
		bit = last_of_page + 1;
	}
}

/**
 * iova_bitmap_set - set the bits of a range
 * @bitmap: the bitmap
 * @iova: where the range begins
 * @length: bytes of the range; zero sets nothing
 *
 * Sets each bit that stands for at least one address of the range. Parts of the
 * range before or behind the bitmap do not matter, since the page that a driver
 * finds dirty may be larger than what was asked for.
 *
 * Cannot report a failure: the first one is kept for iova_bitmap_for_each() to
 * return, and from then on no bit is set.
 *
 * Context: That of iova_bitmap_alloc(). Sleeps and faults user pages in only for
 * a bitmap of more than one window.
 */
void iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
		     size_t length)
{
	unsigned long first = iova - bitmap->recent.iova;
	unsigned long last = first + length - 1;

	/* A range that is empty or wraps ends before it begins. */
	if (last >= bitmap->recent.nr_bytes || last < first ||
	    first >> bitmap->page_shift != last >> bitmap->page_shift) {
		set_anywhere(bitmap, iova, length);
		return;
	}
	first = (first >> bitmap->page_shift) + bitmap->recent.bit;
	if (!test_bit(first, bitmap->recent.words)) {
		set_bit(first, bitmap->recent.words);
		flush_dcache_page(bitmap->recent.page);
	}
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_set, "IOMMUFD");
