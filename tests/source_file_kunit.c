// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit of source_file.c: the pages of a file are pinned, each once, read and
 * written, and a file that may not be written is not.
 */
#include <kunit/test.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>

#include "support.h"

#define FILE_PAGES (WINDOW_PAGES + 200)
/* The last page is not a whole one. */
#define LAST_PAGE_BYTES 1000
#define FILE_BYTES ((FILE_PAGES - 1) * PAGE_SIZE + LAST_PAGE_BYTES)

static void put_file(void *data)
{
	fput(data);
}

static struct file *make_file(struct kunit *test)
{
	struct file *file = shmem_file_setup("iommufd-test", FILE_BYTES,
					     EMPTY_VMA_FLAGS);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_file,
							   file));
	test_mm(test);
	return file;
}

static const struct iova_range all_bytes = { 0, FILE_BYTES - 1 };

static struct pin_source *make_source(struct kunit *test, struct file *file)
{
	struct pin_source *source;

	source = pin_source_alloc_file(test_ctx(test), file, all_bytes,
				       IOMMU_READ | IOMMU_WRITE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, source);
	return source;
}

static struct page_range pages(unsigned long first, unsigned long nr)
{
	return (struct page_range){ first, first + nr - 1 };
}

/* The page cache's page, which may be another one a moment later. */
static struct page *file_page(struct kunit *test, struct file *file,
			      unsigned long index)
{
	struct page *page;

	page = shmem_read_mapping_page(file->f_mapping, index);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, page);
	put_page(page);
	return page;
}

static unsigned int nr_pins(struct page *page)
{
	struct folio *folio = page_folio(page);

	if (folio_has_pincount(folio))
		return atomic_read(&folio->_pincount);
	return folio_ref_count(folio) / GUP_PIN_COUNTING_BIAS;
}

static void expect_pages(struct kunit *test, struct file *file,
			 struct pin_source *source, unsigned long first,
			 unsigned long nr)
{
	struct page **found = test_zalloc(test, nr * sizeof(*found));
	unsigned long i;

	pin_source_pages(source, pages(first, nr), found);
	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_PTR_EQ(test, found[i],
				    file_page(test, file, first + i));
		KUNIT_ASSERT_GE(test, nr_pins(found[i]), 1);
	}
}

/* Holes are filled, windows crossed, and a page in two claims is pinned once */
static void pages_are_pinned_once(struct kunit *test)
{
	struct file *file = make_file(test);
	struct pin_source *source = make_source(test, file);
	struct interval_tree_node one, two;
	struct page *page;

	KUNIT_ASSERT_EQ(test, 0,
			pin_source_claim(source, &one, pages(0, FILE_PAGES)));
	expect_pages(test, file, source, 0, FILE_PAGES);
	page = file_page(test, file, 100);
	KUNIT_EXPECT_EQ(test, 1, nr_pins(page));
	KUNIT_ASSERT_EQ(test, 0, pin_source_claim(source, &two, pages(90, 20)));
	KUNIT_EXPECT_EQ(test, 1, nr_pins(page));
	KUNIT_EXPECT_EQ(test, FILE_PAGES,
			atomic_long_read(&source->ctx->nr_pinned));
	pin_source_release(source, &one);
	KUNIT_EXPECT_EQ(test, 1, nr_pins(page));
	KUNIT_EXPECT_EQ(test, 0, nr_pins(file_page(test, file, 89)));
	pin_source_release(source, &two);
	KUNIT_EXPECT_EQ(test, 0, nr_pins(page));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&source->ctx->nr_pinned));
	pin_source_put(source);
}

/* A folio of many pages: each has its pin, and they can go in any order */
static void pages_of_large_folios(struct kunit *test)
{
	unsigned int at_once = pages_pinned_at_once;
	struct file *file = make_file(test);
	struct interval_tree_node nodes[5];
	struct pin_source *source;
	unsigned long i;

	/* Of a file with one page missing in the middle, in odd pieces. */
	shmem_truncate_range(file_inode(file), 300 * PAGE_SIZE,
			     301 * PAGE_SIZE - 1);
	source = make_source(test, file);
	WRITE_ONCE(pages_pinned_at_once, 7);
	for (i = 0; i < ARRAY_SIZE(nodes); i++)
		KUNIT_ASSERT_EQ(test, 0,
				pin_source_claim(source, &nodes[i],
						 pages(100 * i + i, 150)));
	WRITE_ONCE(pages_pinned_at_once, at_once);
	expect_pages(test, file, source, 0, 404 + 150);
	for (i = 0; i < ARRAY_SIZE(nodes); i++)
		pin_source_release(source, &nodes[(i * 3) % ARRAY_SIZE(nodes)]);
	for (i = 0; i < FILE_PAGES; i++)
		KUNIT_EXPECT_EQ(test, 0, nr_pins(file_page(test, file, i)));
	pin_source_put(source);
}

static void failures_leave_nothing(struct kunit *test)
{
	struct file *file = make_file(test);
	struct pin_source *source = make_source(test, file);
	struct interval_tree_node node;
	unsigned int nth, nr_failures = 0;
	unsigned long i;
	int error = 0;

	if (!fail_slab_possible(test)) {
		pin_source_put(source);
		kunit_skip(test, "needs FAILSLAB and its debugfs");
	}
	for (nth = 1; nth < 2000; nth++) {
		fail_slab_begin(nth);
		error = pin_source_claim(source, &node, pages(0, FILE_PAGES));
		if (!error)
			pin_source_release(source, &node);
		if (!fail_slab_end())
			break;
		nr_failures += !!error;
		KUNIT_EXPECT_EQ(test, 0,
				atomic_long_read(&source->ctx->nr_pinned));
	}
	KUNIT_EXPECT_EQ(test, 0, error);
	KUNIT_EXPECT_GE(test, nr_failures, 2);
	for (i = 0; i < FILE_PAGES; i++)
		KUNIT_EXPECT_EQ(test, 0, nr_pins(file_page(test, file, i)));
	pin_source_put(source);
}

struct victim {
	struct pin_source *source;
	int error;
};

static void claim_when_killed(void *data)
{
	struct victim *victim = data;
	struct interval_tree_node node;

	allow_kernel_signal(SIGKILL);
	send_sig(SIGKILL, current, 1);
	victim->error = pin_source_claim(victim->source, &node,
					 pages(0, FILE_PAGES));
	if (!victim->error)
		pin_source_release(victim->source, &node);
}

/* Filling the holes of a large file must not outlive its process by long */
static void killed_claim_ends(struct kunit *test)
{
	struct file *file = make_file(test);
	struct victim victim = { .source = make_source(test, file) };

	test_elsewhere(test, claim_when_killed, &victim);
	KUNIT_EXPECT_EQ(test, -EINTR, victim.error);
	KUNIT_EXPECT_EQ(test, 0, file->f_mapping->nrpages);
	KUNIT_EXPECT_EQ(test, 0,
			atomic_long_read(&victim.source->ctx->nr_pinned));
	pin_source_put(victim.source);
}

static void bytes_are_copied(struct kunit *test)
{
	struct file *file = make_file(test);
	struct pin_source *source = make_source(test, file);
	struct interval_tree_node node;
	char text[] = "over the edge of a page";
	char read[sizeof(text)] = {};
	int pinned;

	for (pinned = 0; pinned < 2; pinned++) {
		unsigned long index = 20 + 2 * pinned;

		if (pinned)
			KUNIT_ASSERT_EQ(test, 0,
					pin_source_claim(source, &node,
							 pages(index, 1)));
		KUNIT_ASSERT_EQ(test, 0,
				pin_source_copy(source, index, PAGE_SIZE - 10,
						text, sizeof(text),
						IOMMUFD_ACCESS_RW_WRITE));
		KUNIT_ASSERT_EQ(test, 0,
				pin_source_copy(source, index, PAGE_SIZE - 10,
						read, sizeof(read), 0));
		KUNIT_EXPECT_MEMEQ(test, text, read, sizeof(text));
		memcpy_from_page(read, file_page(test, file, index),
				 PAGE_SIZE - 10, 10);
		KUNIT_EXPECT_MEMEQ(test, text, read, 10);
		memset(read, 0, sizeof(read));
	}
	pin_source_release(source, &node);
	KUNIT_EXPECT_EQ(test, 0, nr_pins(file_page(test, file, 20)));
	pin_source_put(source);
}

static long try_source(struct iommufd_ctx *ctx, struct file *file,
		       struct iova_range bytes, int prot)
{
	struct pin_source *source;

	source = pin_source_alloc_file(ctx, file, bytes, prot);
	if (IS_ERR(source))
		return PTR_ERR(source);
	pin_source_put(source);
	return 0;
}

/* L34: the last byte is in, the one behind it is not */
static void the_end_of_the_file_L34(struct kunit *test)
{
	struct iommufd_ctx *ctx = test_ctx(test);
	struct file *file = make_file(test);
	struct interval_tree_node node;
	struct pin_source *source;

	KUNIT_EXPECT_EQ(test, 0,
			try_source(ctx, file,
				   (struct iova_range){ FILE_BYTES - 1,
							FILE_BYTES - 1 },
				   IOMMU_READ));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			try_source(ctx, file,
				   (struct iova_range){ 0, FILE_BYTES },
				   IOMMU_READ));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			try_source(ctx, file,
				   (struct iova_range){ ULONG_MAX, ULONG_MAX },
				   IOMMU_READ));

	/* What is cut off later is found missing when it is pinned. */
	source = make_source(test, file);
	i_size_write(file_inode(file), 10 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			pin_source_claim(source, &node, pages(0, FILE_PAGES)));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&source->ctx->nr_pinned));
	KUNIT_ASSERT_EQ(test, 0, pin_source_claim(source, &node, pages(0, 10)));
	pin_source_release(source, &node);
	i_size_write(file_inode(file), FILE_BYTES);
	pin_source_put(source);
}

/* Like a shared mmap(): what cannot be mapped writeable cannot be here either */
static void files_that_may_not_be_used(struct kunit *test)
{
	struct iommufd_ctx *ctx = test_ctx(test);
	struct file *file = make_file(test);
	unsigned int *seals = &SHMEM_I(file_inode(file))->seals;
	struct pin_source *source;

	file->f_mode &= ~FMODE_WRITE;
	KUNIT_EXPECT_EQ(test, -EPERM,
			try_source(ctx, file, all_bytes, IOMMU_WRITE));
	KUNIT_EXPECT_EQ(test, 0, try_source(ctx, file, all_bytes, IOMMU_READ));
	file->f_mode |= FMODE_WRITE;
	file->f_mode &= ~FMODE_READ;
	KUNIT_EXPECT_EQ(test, -EPERM,
			try_source(ctx, file, all_bytes, IOMMU_READ));
	KUNIT_EXPECT_EQ(test, 0, try_source(ctx, file, all_bytes, IOMMU_WRITE));
	file->f_mode |= FMODE_READ;

	*seals = F_SEAL_FUTURE_WRITE;
	KUNIT_EXPECT_EQ(test, -EPERM,
			try_source(ctx, file, all_bytes, IOMMU_WRITE));
	*seals = F_SEAL_SEAL;

	/* While it can be written it cannot be sealed, and afterwards it can. */
	source = make_source(test, file);
	KUNIT_EXPECT_EQ(test, -EBUSY, mapping_deny_writable(file->f_mapping));
	pin_source_put(source);
	KUNIT_ASSERT_EQ(test, 0, mapping_deny_writable(file->f_mapping));
	KUNIT_EXPECT_EQ(test, -EPERM,
			try_source(ctx, file, all_bytes, IOMMU_WRITE));
	KUNIT_EXPECT_EQ(test, 0, try_source(ctx, file, all_bytes, IOMMU_READ));
	mapping_allow_writable(file->f_mapping);
	KUNIT_EXPECT_EQ(test, 0, try_source(ctx, file, all_bytes, IOMMU_WRITE));
}

static struct kunit_case source_file_cases[] = {
	KUNIT_CASE(pages_are_pinned_once),
	KUNIT_CASE(pages_of_large_folios),
	KUNIT_CASE(failures_leave_nothing),
	KUNIT_CASE(killed_claim_ends),
	KUNIT_CASE(bytes_are_copied),
	KUNIT_CASE(the_end_of_the_file_L34),
	KUNIT_CASE(files_that_may_not_be_used),
	{ }
};

static struct kunit_suite source_file_suite = {
	.name = "iommufd_source_file",
	.test_cases = source_file_cases,
};

kunit_test_suite(source_file_suite);
