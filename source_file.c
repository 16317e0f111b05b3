// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file as a source: memfd, shared memory, hugetlbfs.
 *
 * Page indexes are those of the file. The memory is no process's, so that it
 * can be pinned by anybody and CHANGE_PROCESS can move its charges. Folios are
 * pinned whole and then given a pin for each page, so that pages can be
 * unpinned like those of user memory, in pieces of any size.
 *
 * A writeable mapping is to the file what a shared writeable mmap() is: the
 * file has to be open for it and not sealed, and cannot be sealed meanwhile.
 */
#include <linux/file.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "iommufd_private.h"

/**
 * struct file_source - memory of a file
 * @source: what all sources have
 * @file: the file
 * @last: offset in bytes of the last byte that may be mapped
 */
struct file_source {
	struct pin_source source;
	struct file *file;
	unsigned long last;
};

static struct file_source *to_file_source(struct pin_source *source)
{
	return container_of(source, struct file_source, source);
}

/*
 * A pin more for each page of a folio but the first, which has the folio's.
 * If that is refused, the folio has lost its first one too.
 */
static int pin_each_page(struct folio *folio, unsigned long nr)
{
	int error = nr > 1 ? folio_add_pins(folio, nr - 1) : 0;

	if (error)
		unpin_folio(folio);
	return error;
}

/*
 * Put folios into the batch. @offset is that of the first byte in the first
 * folio; there are at most @left pages to come. Returns how many came.
 */
static long batch_folios(struct pin_batch *batch, unsigned long index,
			 struct folio **folios, unsigned long nr_folios,
			 unsigned long offset, unsigned long left)
{
	unsigned long skip = offset >> PAGE_SHIFT, done = 0, i;
	int error;

	for (i = 0; i < nr_folios; i++) {
		unsigned long nr = min(folio_nr_pages(folios[i]) - skip,
				       left - done);

		error = pin_each_page(folios[i], nr);
		if (error) {
			unpin_folios(folios + i + 1, nr_folios - i - 1);
			return error;
		}
		pin_batch_add(batch, index + done, folio_pfn(folios[i]) + skip,
			      nr);
		done += nr;
		skip = 0;
	}
	return done;
}

/* memfd_pin_folios(), which takes an end behind the file's for a bad call. */
static long pin_folios(struct file_source *file, struct page_range range,
		       struct folio **folios, unsigned long *offset)
{
	unsigned long start = range.first << PAGE_SHIFT;
	unsigned long last = min(range.last << PAGE_SHIFT | ~PAGE_MASK,
				 file->last);
	long nr = memfd_pin_folios(file->file, start, last, folios,
				   min(page_range_nr(range),
				       READ_ONCE(pages_pinned_at_once)),
				   offset);

	return nr == -EINVAL ? -EFAULT : nr;
}

static int file_pin(struct pin_source *source, struct page_range range,
		    struct pin_batch *batch)
{
	struct folio **folios = (struct folio **)batch->pages;
	struct file_source *file = to_file_source(source);

	for (;;) {
		unsigned long offset;
		long nr;

		/* Filling holes can take long, and looks at no signal. */
		if (fatal_signal_pending(current))
			return -EINTR;
		nr = pin_folios(file, range, folios, &offset);
		if (nr > 0)
			nr = batch_folios(batch, range.first, folios, nr,
					  offset, page_range_nr(range));
		if (nr <= 0)
			return nr ?: -EFAULT;
		if (nr == page_range_nr(range))
			return 0;
		range.first += nr;
	}
}

static int file_copy(struct pin_source *source, unsigned long index,
		     unsigned long offset_bytes, void *data, size_t bytes,
		     unsigned int flags)
{
	bool write = flags & IOMMUFD_ACCESS_RW_WRITE;
	struct page_range range = { index, index };
	struct folio *folio;
	unsigned long offset;
	struct page *page;
	long nr;

	nr = pin_folios(to_file_source(source), range, &folio, &offset);
	if (nr != 1)
		return nr < 0 ? nr : -EFAULT;
	page = folio_page(folio, offset >> PAGE_SHIFT);
	if (write)
		memcpy_to_page(page, offset_bytes, data, bytes);
	else
		memcpy_from_page(data, page, offset_bytes, bytes);
	unpin_user_page_range_dirty_lock(page, 1, write);
	return 0;
}

static void file_release(struct pin_source *source)
{
	struct file_source *file = to_file_source(source);

	if (source->writable)
		mapping_unmap_writable(file->file->f_mapping);
	fput(file->file);
}

static const struct pin_source_ops file_source_ops = {
	.name = "file",
	.prot = IOMMU_CACHE,
	.pin = file_pin,
	.unpin = pin_source_unpin_pages,
	.copy = file_copy,
	.release = file_release,
};

static unsigned int file_seals(struct file *file)
{
#ifdef CONFIG_HUGETLBFS
	if (is_file_hugepages(file))
		return READ_ONCE(HUGETLBFS_I(file_inode(file))->seals);
#endif
	return READ_ONCE(SHMEM_I(file_inode(file))->seals);
}

/* Undone by mapping_unmap_writable(). */
static int file_map_writable(struct file *file)
{
	if (!(file->f_mode & FMODE_WRITE) ||
	    file_seals(file) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	return mapping_map_writable(file->f_mapping);
}

static int check_file(struct iommufd_ctx *ctx, struct file *file,
		      struct iova_range bytes, int prot)
{
	if (!shmem_file(file) && !is_file_hugepages(file))
		return iommufd_refuse(ctx, -EINVAL, "not a memfd", 0, 0);
	if (bytes.last >= i_size_read(file_inode(file)))
		return iommufd_refuse(ctx, -EINVAL, "beyond the file's end",
				      bytes.last, i_size_read(file_inode(file)));
	if (prot & IOMMU_READ && !(file->f_mode & FMODE_READ))
		return iommufd_refuse(ctx, -EPERM,
				      "the file is not open for reading", 0, 0);
	return 0;
}

static struct pin_source *file_source_new(struct iommufd_ctx *ctx,
					  struct file *file,
					  struct iova_range bytes,
					  bool writable)
{
	struct file_source *new;
	int error;

	new = kzalloc_obj(*new, GFP_KERNEL_ACCOUNT);
	if (!new)
		return ERR_PTR(-ENOMEM);
	error = pin_source_init(&new->source, ctx, &file_source_ops,
				bytes.first >> PAGE_SHIFT, writable);
	if (error) {
		kfree(new);
		return ERR_PTR(error);
	}
	new->file = get_file(file);
	new->last = bytes.last;
	return &new->source;
}

/**
 * pin_source_alloc_file() - make a source of a file's memory
 * @ctx: the context
 * @file: the file; the source takes a reference of its own
 * @bytes: the bytes of the file that may be mapped
 * @prot: IOMMU_READ and IOMMU_WRITE, as they will be mapped
 *
 * Return: the source; -EINVAL if the file is not of memory or ends before
 * @bytes do; -EPERM if it is not open for such an access or sealed against it;
 * what pin_source_init() answers.
 * Context: May sleep.
 */
struct pin_source *pin_source_alloc_file(struct iommufd_ctx *ctx,
					 struct file *file,
					 struct iova_range bytes, int prot)
{
	bool writable = prot & IOMMU_WRITE;
	struct pin_source *source;
	int error;

	error = check_file(ctx, file, bytes, prot);
	if (error)
		return ERR_PTR(error);
	if (writable) {
		error = file_map_writable(file);
		if (error)
			return ERR_PTR(iommufd_refuse(ctx, error,
						      "the file is not writeable",
						      file_seals(file), 0));
	}
	source = file_source_new(ctx, file, bytes, writable);
	if (IS_ERR(source) && writable)
		mapping_unmap_writable(file->f_mapping);
	return source;
}
