// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of an emulated device, as iommufd_access sees it.
 *
 * It works on an address space with two areas side by side, each filled with
 * a byte of its own, so that what is read or pinned says where it came from.
 * What is pinned is counted by the context; every case ends with zero, or its
 * context complains when it is closed.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/completion.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "../iommufd_private.h"
#include "mock.h"
#include "support.h"

#define AREA_PAGES 4
#define AREA_BYTES (AREA_PAGES * PAGE_SIZE)
#define LOW_IOVA SZ_1M
#define HIGH_IOVA (LOW_IOVA + AREA_BYTES)
#define END_IOVA (HIGH_IOVA + AREA_BYTES)
#define LOW_BYTE 0x11
#define HIGH_BYTE 0x22
#define OTHER_BYTE 0x33

/**
 * struct driver - a driver with one access
 * @access: the access
 * @ioas: the address space with the two areas
 * @lets_go: in its unmap callback it unpins what it has
 * @pinned_iova: what it has pinned
 * @pinned_bytes: how much, or 0
 * @nr_unmaps: calls of its unmap callback
 * @unmap_iova: what the last one said
 * @unmap_bytes: what the last one said
 * @unmapped: completed by each call
 * @low_user: user address of the lower area
 * @high_user: user address of the upper area
 */
struct driver {
	struct iommufd_access *access;
	struct iommufd_ioas *ioas;
	bool lets_go;
	unsigned long pinned_iova;
	unsigned long pinned_bytes;
	unsigned int nr_unmaps;
	unsigned long unmap_iova;
	unsigned long unmap_bytes;
	struct completion unmapped;
	unsigned long low_user;
	unsigned long high_user;
};

static void driver_unpin(struct driver *driver)
{
	if (!driver->pinned_bytes)
		return;
	iommufd_access_unpin_pages(driver->access, driver->pinned_iova,
				   driver->pinned_bytes);
	driver->pinned_bytes = 0;
}

static void driver_unmap(void *data, unsigned long iova, unsigned long length)
{
	struct driver *driver = data;

	driver->nr_unmaps++;
	driver->unmap_iova = iova;
	driver->unmap_bytes = length;
	if (driver->lets_go)
		driver_unpin(driver);
	complete(&driver->unmapped);
}

static const struct iommufd_access_ops pinning_ops = {
	.needs_pin_pages = 1,
	.unmap = driver_unmap,
};

static const struct iommufd_access_ops copying_ops = {};

static void destroy_access(void *data)
{
	struct driver *driver = data;

	driver->lets_go = true;
	if (driver->access)
		iommufd_access_destroy(driver->access);
}

static struct driver *make_driver(struct kunit *test,
				  const struct iommufd_access_ops *ops)
{
	struct driver *driver;
	u32 id;

	driver = kunit_kzalloc(test, sizeof(*driver), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, driver);
	init_completion(&driver->unmapped);
	driver->access = iommufd_access_create(mock_ctx(test), ops, driver,
					       &id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, driver->access);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, destroy_access,
							   driver));
	KUNIT_EXPECT_EQ(test, id, driver->access->obj.id);
	return driver;
}

static void map_areas(struct kunit *test, struct driver *driver, u32 flags)
{
	driver->ioas = mock_ioas(test);
	driver->low_user = mock_user_memory(test, AREA_PAGES, LOW_BYTE);
	driver->high_user = mock_user_memory(test, AREA_PAGES, HIGH_BYTE);
	KUNIT_ASSERT_EQ(test, 0, mock_map(test, driver->ioas, driver->low_user,
					  LOW_IOVA, AREA_BYTES, MOCK_RW));
	KUNIT_ASSERT_EQ(test, 0, mock_map(test, driver->ioas,
					  driver->high_user, HIGH_IOVA,
					  AREA_BYTES, flags));
}

static struct driver *make_attached(struct kunit *test,
				    const struct iommufd_access_ops *ops)
{
	struct driver *driver = make_driver(test, ops);

	map_areas(test, driver, MOCK_RW);
	KUNIT_ASSERT_EQ(test, 0, iommufd_access_attach(driver->access,
						       driver->ioas->obj.id));
	return driver;
}

static long nr_pinned(struct kunit *test)
{
	return atomic_long_read(&mock_ctx(test)->nr_pinned);
}

static int pin(struct driver *driver, unsigned long iova, unsigned long length,
	       struct page **pages, unsigned int flags)
{
	return iommufd_access_pin_pages(driver->access, iova, length, pages,
					flags);
}

/* Pin something that unmap callbacks and the end of the case let go of. */
static void pin_kept(struct kunit *test, struct driver *driver,
		     unsigned long iova, unsigned long length)
{
	struct page *pages[2 * AREA_PAGES];

	KUNIT_ASSERT_EQ(test, 0, pin(driver, iova, length, pages, 0));
	driver->pinned_iova = iova;
	driver->pinned_bytes = length;
}

static int read_byte(struct driver *driver, unsigned long iova, u8 *byte)
{
	return iommufd_access_rw(driver->access, iova, byte, 1, 0);
}

static void expect_byte(struct kunit *test, struct driver *driver,
			unsigned long iova, u8 want)
{
	u8 byte = 0;

	KUNIT_EXPECT_EQ(test, 0, read_byte(driver, iova, &byte));
	KUNIT_EXPECT_EQ(test, want, byte);
}

static void expect_page(struct kunit *test, struct page *page, u8 want)
{
	u8 *contents = kmap_local_page(page);
	void *different = memchr_inv(contents, want, PAGE_SIZE);

	kunmap_local(contents);
	KUNIT_EXPECT_NULL(test, different);
}

/* Attach, replace, detach ------------------------------------------------- */

static void attach_is_checked(struct kunit *test)
{
	struct driver *driver = make_driver(test, &pinning_ops);
	struct iommufd_access *access = driver->access;
	struct iommufd_ctx *ctx = mock_ctx(test);
	u8 byte;

	map_areas(test, driver, MOCK_RW);
	KUNIT_EXPECT_EQ(test, -ENOENT, read_byte(driver, LOW_IOVA, &byte));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_access_attach(access, 0));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommufd_access_attach(access, access->obj.id));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommufd_access_replace(access, driver->ioas->obj.id));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&driver->ioas->obj.refs));

	KUNIT_EXPECT_EQ(test, 0,
			iommufd_access_attach(access, driver->ioas->obj.id));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommufd_object_destroy(ctx, driver->ioas->obj.id));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommufd_access_attach(access, driver->ioas->obj.id));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_access_replace(access, 0));
	expect_byte(test, driver, LOW_IOVA, LOW_BYTE);

	iommufd_access_detach(access);
	iommufd_access_detach(access);
	KUNIT_EXPECT_EQ(test, -ENOENT, read_byte(driver, LOW_IOVA, &byte));
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_object_destroy(ctx, driver->ioas->obj.id));
}

static void destroy_detaches(struct kunit *test)
{
	struct driver *driver = make_attached(test, &pinning_ops);
	u32 id = driver->access->obj.id;

	driver->lets_go = true;
	pin_kept(test, driver, LOW_IOVA, PAGE_SIZE);
	iommufd_access_destroy(driver->access);
	driver->access = NULL;
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommufd_object_destroy(mock_ctx(test), id));
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(mock_ctx(test),
							driver->ioas->obj.id));
}

static void detach_asks_to_let_go(struct kunit *test)
{
	struct driver *driver = make_attached(test, &pinning_ops);

	driver->lets_go = true;
	pin_kept(test, driver, LOW_IOVA, 2 * AREA_BYTES);
	KUNIT_EXPECT_EQ(test, 2 * AREA_PAGES, nr_pinned(test));
	iommufd_access_detach(driver->access);
	KUNIT_EXPECT_EQ(test, 1, driver->nr_unmaps);
	KUNIT_EXPECT_EQ(test, 0, driver->unmap_iova);
	KUNIT_EXPECT_EQ(test, ULONG_MAX, driver->unmap_bytes);
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
}

static void replace_moves(struct kunit *test)
{
	struct driver *driver = make_attached(test, &pinning_ops);
	struct iommufd_ioas *other = mock_ioas(test);

	KUNIT_ASSERT_EQ(test, 0, mock_map(test, other,
					  mock_user_memory(test, 1, OTHER_BYTE),
					  LOW_IOVA, PAGE_SIZE, MOCK_RW));
	driver->lets_go = true;
	pin_kept(test, driver, HIGH_IOVA, PAGE_SIZE);

	/* To where it is already: nothing happens. */
	KUNIT_EXPECT_EQ(test, 0, iommufd_access_replace(driver->access,
							driver->ioas->obj.id));
	KUNIT_EXPECT_EQ(test, 0, driver->nr_unmaps);
	KUNIT_EXPECT_EQ(test, 1, nr_pinned(test));

	KUNIT_EXPECT_EQ(test, 0, iommufd_access_replace(driver->access,
							other->obj.id));
	KUNIT_EXPECT_EQ(test, 1, driver->nr_unmaps);
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
	expect_byte(test, driver, LOW_IOVA, OTHER_BYTE);
	pin_kept(test, driver, LOW_IOVA, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(mock_ctx(test),
							driver->ioas->obj.id));
}

static void pinning_needs_whole_pages(struct kunit *test)
{
	struct driver *pinning = make_driver(test, &pinning_ops);
	struct driver *copying = make_driver(test, &copying_ops);
	struct iommufd_ioas *ioas = mock_ioas(test);
	unsigned long user = mock_user_memory(test, 1, LOW_BYTE);
	unsigned long unmapped;

	KUNIT_ASSERT_EQ(test, 0, mock_map(test, ioas, user + 512,
					  LOW_IOVA + 512, 512, MOCK_RW));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			iommufd_access_attach(pinning->access, ioas->obj.id));
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_access_attach(copying->access, ioas->obj.id));
	expect_byte(test, copying, LOW_IOVA + 512, LOW_BYTE);

	KUNIT_ASSERT_EQ(test, 0, ioas_unmap(ioas,
					    (struct iova_range){ 0, ULONG_MAX },
					    &unmapped));
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_access_attach(pinning->access, ioas->obj.id));
	KUNIT_EXPECT_EQ(test, -EINVAL, mock_map(test, ioas, user + 512,
						LOW_IOVA + 512, 512, MOCK_RW));
	iommufd_access_detach(pinning->access);
	KUNIT_EXPECT_EQ(test, 0, mock_map(test, ioas, user + 512,
					  LOW_IOVA + 512, 512, MOCK_RW));
}

/* Pins -------------------------------------------------------------------- */

static void pin_and_pin_again(struct kunit *test)
{
	struct driver *driver = make_attached(test, &pinning_ops);
	struct iommufd_access *access = driver->access;
	struct page *first[2], *second[2];

	KUNIT_ASSERT_EQ(test, 0, pin(driver, LOW_IOVA, 2 * PAGE_SIZE, first,
				     IOMMUFD_ACCESS_RW_WRITE));
	expect_page(test, first[0], LOW_BYTE);
	expect_page(test, first[1], LOW_BYTE);
	KUNIT_EXPECT_PTR_NE(test, first[0], first[1]);
	KUNIT_EXPECT_EQ(test, 2, nr_pinned(test));

	/* The same range, and one that overlaps it. */
	KUNIT_ASSERT_EQ(test, 0, pin(driver, LOW_IOVA, 2 * PAGE_SIZE, second,
				     0));
	KUNIT_EXPECT_MEMEQ(test, first, second, sizeof(first));
	KUNIT_ASSERT_EQ(test, 0, pin(driver, LOW_IOVA + PAGE_SIZE,
				     2 * PAGE_SIZE, second, 0));
	KUNIT_EXPECT_PTR_EQ(test, first[1], second[0]);
	KUNIT_EXPECT_EQ(test, 3, nr_pinned(test));

	iommufd_access_unpin_pages(access, LOW_IOVA, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 3, nr_pinned(test));
	iommufd_access_unpin_pages(access, LOW_IOVA, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 2, nr_pinned(test));
	iommufd_access_unpin_pages(access, LOW_IOVA + PAGE_SIZE, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
}

static void pin_across_areas(struct kunit *test)
{
	struct driver *driver = make_attached(test, &pinning_ops);
	unsigned long iova = HIGH_IOVA - PAGE_SIZE;
	struct page *pages[2];

	KUNIT_ASSERT_EQ(test, 0, pin(driver, iova, 2 * PAGE_SIZE, pages, 0));
	expect_page(test, pages[0], LOW_BYTE);
	expect_page(test, pages[1], HIGH_BYTE);
	KUNIT_EXPECT_EQ(test, 2, nr_pinned(test));
	iommufd_access_unpin_pages(driver->access, iova, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));

	/* Two bytes that touch a page each. */
	KUNIT_ASSERT_EQ(test, 0, pin(driver, HIGH_IOVA - 1, 2, pages, 0));
	expect_page(test, pages[0], LOW_BYTE);
	expect_page(test, pages[1], HIGH_BYTE);
	iommufd_access_unpin_pages(driver->access, HIGH_IOVA - 1, 2);
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
}

static void pin_is_checked(struct kunit *test)
{
	struct driver *driver = make_driver(test, &pinning_ops);
	struct driver *copying = make_driver(test, &copying_ops);
	struct page *pages[4];

	KUNIT_EXPECT_EQ(test, -ENOENT,
			pin(driver, LOW_IOVA, PAGE_SIZE, pages, 0));
	map_areas(test, driver, IOMMU_IOAS_MAP_READABLE);
	KUNIT_ASSERT_EQ(test, 0, iommufd_access_attach(driver->access,
						       driver->ioas->obj.id));
	KUNIT_ASSERT_EQ(test, 0, iommufd_access_attach(copying->access,
						       driver->ioas->obj.id));

	KUNIT_EXPECT_EQ(test, -EINVAL,
			pin(copying, LOW_IOVA, PAGE_SIZE, pages, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, pin(driver, LOW_IOVA, 0, pages, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			pin(driver, LOW_IOVA, PAGE_SIZE, pages, BIT(8)));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			pin(driver, ULONG_MAX, 2, pages, 0));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			pin(driver, LOW_IOVA - PAGE_SIZE, PAGE_SIZE, pages, 0));
	/* Something is missing before, or behind. */
	KUNIT_EXPECT_EQ(test, -ENOENT,
			pin(driver, LOW_IOVA - 1, 2, pages, 0));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			pin(driver, END_IOVA - PAGE_SIZE, 2 * PAGE_SIZE, pages,
			    0));
	KUNIT_EXPECT_EQ(test, -EPERM,
			pin(driver, HIGH_IOVA, PAGE_SIZE, pages,
			    IOMMUFD_ACCESS_RW_WRITE));
	/* The second area may not be written: the first is not pinned. */
	KUNIT_EXPECT_EQ(test, -EPERM,
			pin(driver, HIGH_IOVA - PAGE_SIZE, 2 * PAGE_SIZE, pages,
			    IOMMUFD_ACCESS_RW_WRITE));
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
	ioas_verify(driver->ioas);

	/* None of the refusals left something that holds an unmap up. */
	KUNIT_EXPECT_EQ(test, 0, pin(driver, HIGH_IOVA, PAGE_SIZE, pages, 0));
	iommufd_access_unpin_pages(driver->access, HIGH_IOVA, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
}

static void pin_of_missing_memory(struct kunit *test)
{
	struct driver *driver = make_attached(test, &pinning_ops);
	struct page *pages[2 * AREA_PAGES];

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(driver->high_user, AREA_BYTES));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			pin(driver, LOW_IOVA, 2 * AREA_BYTES, pages, 0));
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
}

static void starved_pin_leaves_nothing(struct kunit *test)
{
	struct driver *driver = make_attached(test, &pinning_ops);
	struct page *pages[2 * AREA_PAGES];
	unsigned int nth, nr_failed = 0;
	bool failed;
	int error;

	mock_need_fail_nth(test);
	for (nth = 1;; nth++) {
		mock_fail_nth_begin(nth);
		error = pin(driver, LOW_IOVA, 2 * AREA_BYTES, pages, 0);
		failed = mock_fail_nth_end();
		if (!error) {
			KUNIT_EXPECT_EQ(test, 2 * AREA_PAGES, nr_pinned(test));
			iommufd_access_unpin_pages(driver->access, LOW_IOVA,
						   2 * AREA_BYTES);
		} else {
			nr_failed++;
			KUNIT_EXPECT_EQ(test, -ENOMEM, error);
		}
		KUNIT_ASSERT_EQ(test, 0, nr_pinned(test));
		ioas_verify(driver->ioas);
		if (!failed)
			break;
	}
	KUNIT_EXPECT_EQ(test, 0, error);
	KUNIT_EXPECT_GT(test, nr_failed, 0);
}

/* Unmap ------------------------------------------------------------------- */

/* A thread that unmaps a range. */
struct unmapper {
	struct iommufd_ioas *ioas;
	struct iova_range range;
	unsigned long unmapped_bytes;
	struct task_struct *task;
	/* A new kthread may sleep before it runs the function. */
	struct completion begun;
	struct completion done;
	int result;
};

static int unmapper_thread(void *data)
{
	struct unmapper *unmapper = data;

	allow_kernel_signal(SIGKILL);
	complete(&unmapper->begun);
	unmapper->result = ioas_unmap(unmapper->ioas, unmapper->range,
				      &unmapper->unmapped_bytes);
	complete(&unmapper->done);
	return 0;
}

static void start_unmapper(struct kunit *test, struct unmapper *unmapper,
			   struct driver *driver)
{
	unmapper->ioas = driver->ioas;
	unmapper->range = (struct iova_range){ LOW_IOVA, END_IOVA - 1 };
	init_completion(&unmapper->begun);
	init_completion(&unmapper->done);
	unmapper->task = kthread_run(unmapper_thread, unmapper,
				     "iommufd-unmap");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, unmapper->task);
	get_task_struct(unmapper->task);
	wait_for_completion(&unmapper->begun);
}

static int join_unmapper(struct unmapper *unmapper)
{
	wait_for_completion(&unmapper->done);
	put_task_struct(unmapper->task);
	return unmapper->result;
}

static void unmap_asks_to_let_go(struct kunit *test)
{
	struct driver *driver = make_attached(test, &pinning_ops);
	unsigned long unmapped;
	u8 byte;

	driver->lets_go = true;
	pin_kept(test, driver, LOW_IOVA, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0,
			ioas_unmap(driver->ioas,
				   (struct iova_range){ LOW_IOVA,
							HIGH_IOVA - 1 },
				   &unmapped));
	KUNIT_EXPECT_EQ(test, AREA_BYTES, unmapped);
	KUNIT_EXPECT_EQ(test, 1, driver->nr_unmaps);
	KUNIT_EXPECT_LE(test, driver->unmap_iova, (unsigned long)LOW_IOVA);
	KUNIT_EXPECT_GE(test, driver->unmap_iova + driver->unmap_bytes,
			(unsigned long)LOW_IOVA + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
	KUNIT_EXPECT_EQ(test, -ENOENT, read_byte(driver, LOW_IOVA, &byte));
	expect_byte(test, driver, HIGH_IOVA, HIGH_BYTE);
}

static void pins_hold_unmap_up(struct kunit *test)
{
	struct driver *driver = make_attached(test, &pinning_ops);
	struct unmapper unmapper = {};
	struct page *page;

	pin_kept(test, driver, HIGH_IOVA, PAGE_SIZE);
	start_unmapper(test, &unmapper, driver);
	wait_for_completion(&driver->unmapped);
	mock_wait_asleep(unmapper.task, &unmapper.done);

	/* It has been told and does not let go yet: nothing new is pinned. */
	KUNIT_EXPECT_FALSE(test, completion_done(&unmapper.done));
	KUNIT_EXPECT_EQ(test, 1, nr_pinned(test));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			pin(driver, HIGH_IOVA, PAGE_SIZE, &page, 0));
	driver_unpin(driver);

	KUNIT_EXPECT_EQ(test, 0, join_unmapper(&unmapper));
	KUNIT_EXPECT_EQ(test, 2 * AREA_BYTES, unmapper.unmapped_bytes);
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
}

static void killed_unmap_withdraws_L37(struct kunit *test)
{
	struct driver *driver = make_attached(test, &pinning_ops);
	struct unmapper unmapper = {};
	struct page *page;
	u8 byte;

	pin_kept(test, driver, HIGH_IOVA, PAGE_SIZE);
	start_unmapper(test, &unmapper, driver);
	wait_for_completion(&driver->unmapped);
	mock_wait_asleep(unmapper.task, &unmapper.done);
	send_sig(SIGKILL, unmapper.task, 1);
	KUNIT_EXPECT_EQ(test, -EINTR, join_unmapper(&unmapper));

	/* It says what it did; the area that it could not take is as before. */
	KUNIT_EXPECT_EQ(test, AREA_BYTES, unmapper.unmapped_bytes);
	KUNIT_EXPECT_EQ(test, -ENOENT, read_byte(driver, LOW_IOVA, &byte));
	expect_byte(test, driver, HIGH_IOVA, HIGH_BYTE);
	KUNIT_EXPECT_EQ(test, 0, pin(driver, HIGH_IOVA + PAGE_SIZE, PAGE_SIZE,
				     &page, 0));
	iommufd_access_unpin_pages(driver->access, HIGH_IOVA + PAGE_SIZE,
				   PAGE_SIZE);
	driver_unpin(driver);
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
}

/* Read and write ---------------------------------------------------------- */

static int rw(struct driver *driver, unsigned long iova, void *data, size_t len,
	      unsigned int flags)
{
	return iommufd_access_rw(driver->access, iova, data, len, flags);
}

static void rw_across_areas(struct kunit *test)
{
	struct driver *driver = make_attached(test, &copying_ops);
	u8 data[64], want[64];

	memset(want, LOW_BYTE, 13);
	memset(want + 13, HIGH_BYTE, sizeof(want) - 13);
	KUNIT_EXPECT_EQ(test, 0, rw(driver, HIGH_IOVA - 13, data, sizeof(data),
				    0));
	KUNIT_EXPECT_MEMEQ(test, want, data, sizeof(data));

	memset(want, 0x77, sizeof(want));
	KUNIT_EXPECT_EQ(test, 0, rw(driver, HIGH_IOVA - 13, want, sizeof(want),
				    IOMMUFD_ACCESS_RW_WRITE));
	KUNIT_ASSERT_EQ(test, 0,
			copy_from_user(data, (void __user *)driver->low_user +
				       AREA_BYTES - 13, 13));
	KUNIT_ASSERT_EQ(test, 0,
			copy_from_user(data + 13,
				       (void __user *)driver->high_user,
				       sizeof(data) - 13));
	KUNIT_EXPECT_MEMEQ(test, want, data, sizeof(data));
	/* Not a byte more. */
	expect_byte(test, driver, HIGH_IOVA - 14, LOW_BYTE);
	expect_byte(test, driver, HIGH_IOVA - 13 + sizeof(data), HIGH_BYTE);
}

static void rw_of_much(struct kunit *test)
{
	struct driver *driver = make_attached(test, &copying_ops);
	u8 *data = kunit_kzalloc(test, 2 * AREA_BYTES, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, data);
	KUNIT_EXPECT_EQ(test, 0, rw(driver, LOW_IOVA, data, 2 * AREA_BYTES, 0));
	KUNIT_EXPECT_NULL(test, memchr_inv(data, LOW_BYTE, AREA_BYTES));
	KUNIT_EXPECT_NULL(test, memchr_inv(data + AREA_BYTES, HIGH_BYTE,
					   AREA_BYTES));
}

static void rw_is_checked(struct kunit *test)
{
	struct driver *driver = make_driver(test, &copying_ops);
	const unsigned int write = IOMMUFD_ACCESS_RW_WRITE;
	u8 data[16] = {};

	map_areas(test, driver, IOMMU_IOAS_MAP_READABLE);
	KUNIT_ASSERT_EQ(test, 0, mock_map(test, driver->ioas, driver->low_user,
					  END_IOVA, PAGE_SIZE,
					  IOMMU_IOAS_MAP_WRITEABLE));
	KUNIT_ASSERT_EQ(test, 0, iommufd_access_attach(driver->access,
						       driver->ioas->obj.id));
	KUNIT_EXPECT_EQ(test, -EINVAL, rw(driver, LOW_IOVA, data, 0, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, rw(driver, LOW_IOVA, data, 1, BIT(8)));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, rw(driver, ULONG_MAX, data, 2, 0));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, rw(driver, 2, data, ULONG_MAX, 0));
	KUNIT_EXPECT_EQ(test, -ENOENT, rw(driver, LOW_IOVA - 1, data, 1, 0));
	KUNIT_EXPECT_EQ(test, -ENOENT, rw(driver, ULONG_MAX, data, 1, 0));
	KUNIT_EXPECT_EQ(test, -EPERM, rw(driver, HIGH_IOVA, data, 1, write));
	KUNIT_EXPECT_EQ(test, -EPERM, rw(driver, END_IOVA, data, 1, 0));
	KUNIT_EXPECT_EQ(test, 0, rw(driver, END_IOVA, data, 1, write));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			rw(driver, END_IOVA + PAGE_SIZE - 1, data, 2, write));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(driver->high_user, AREA_BYTES));
	KUNIT_EXPECT_EQ(test, -EFAULT, rw(driver, HIGH_IOVA, data, 1, 0));
}

/* A thread with no memory of its own. */
struct reader {
	struct driver *driver;
	u8 data[16];
	unsigned int flags;
	struct completion done;
	int result;
};

static int reader_thread(void *data)
{
	struct reader *reader = data;

	reader->result = rw(reader->driver, HIGH_IOVA - 8, reader->data,
			    sizeof(reader->data), reader->flags);
	complete(&reader->done);
	return 0;
}

static int rw_in_thread(struct kunit *test, struct reader *reader,
			unsigned int flags)
{
	struct task_struct *task;

	reader->flags = flags;
	init_completion(&reader->done);
	task = kthread_run(reader_thread, reader, "iommufd-reader");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	wait_for_completion(&reader->done);
	return reader->result;
}

static void rw_from_kernel_thread(struct kunit *test)
{
	struct reader reader = {
		.driver = make_attached(test, &copying_ops),
	};

	KUNIT_EXPECT_EQ(test, 0, rw_in_thread(test, &reader,
					      IOMMUFD_ACCESS_RW_KTHREAD));
	KUNIT_EXPECT_NULL(test, memchr_inv(reader.data, LOW_BYTE, 8));
	KUNIT_EXPECT_NULL(test, memchr_inv(reader.data + 8, HIGH_BYTE, 8));

	memset(reader.data, 0x77, sizeof(reader.data));
	KUNIT_EXPECT_EQ(test, 0, rw_in_thread(test, &reader,
					      IOMMUFD_ACCESS_RW_KTHREAD |
					      IOMMUFD_ACCESS_RW_WRITE));
	expect_byte(test, reader.driver, HIGH_IOVA - 9, LOW_BYTE);
	expect_byte(test, reader.driver, HIGH_IOVA - 8, 0x77);
	expect_byte(test, reader.driver, HIGH_IOVA + 7, 0x77);
	expect_byte(test, reader.driver, HIGH_IOVA + 8, HIGH_BYTE);
}

/* What a callback does to the address space that is being unmapped. */
static void unmap_the_other_area(void *data, unsigned long iova,
				 unsigned long length)
{
	struct driver *driver = data;
	const struct iova_range other = { HIGH_IOVA, END_IOVA - 1 };
	unsigned long unmapped;

	/* Once: unmapping calls back as well. */
	if (!driver->nr_unmaps++)
		driver->unmap_bytes = ioas_unmap(driver->ioas, other,
						 &unmapped) ?: unmapped;
	driver_unpin(driver);
}

static const struct iommufd_access_ops meddling_ops = {
	.needs_pin_pages = 1,
	.unmap = unmap_the_other_area,
};

/* What UNMAP knew before it called back it does not rely on afterwards */
static void callbacks_change_the_address_space_L9(struct kunit *test)
{
	const struct iova_range both = { LOW_IOVA, END_IOVA - 1 };
	struct driver *driver = make_attached(test, &meddling_ops);
	unsigned long unmapped;

	pin_kept(test, driver, LOW_IOVA, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, ioas_unmap(driver->ioas, both, &unmapped));
	KUNIT_EXPECT_EQ(test, AREA_BYTES, driver->unmap_bytes);
	KUNIT_EXPECT_EQ(test, AREA_BYTES, unmapped);
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&driver->ioas->areas));
	ioas_verify(driver->ioas);
}

/**
 * struct meeting - an UNMAP that comes while pages are being pinned
 * @ioas: what it unmaps
 * @thread: who does
 * @error: what it answered
 * @unmapped: how much it has unmapped
 */
struct meeting {
	struct iommufd_ioas *ioas;
	struct test_thread thread;
	int error;
	unsigned long unmapped;
};

static const struct iova_range low_area = { LOW_IOVA, HIGH_IOVA - 1 };

static void unmap_low(void *data)
{
	struct meeting *meeting = data;

	meeting->error = ioas_unmap(meeting->ioas, low_area,
				    &meeting->unmapped);
}

static bool unmap_is_announced(struct iommufd_ioas *ioas)
{
	guard(rwsem_read)(&ioas->areas_rwsem);
	return ioas_first_area(ioas, low_area)->unmapper;
}

static void unmap_during_pin(struct fake_memory *memory,
			     struct page_range range)
{
	struct meeting *meeting = memory->data;

	test_thread_start(memory->test, &meeting->thread, unmap_low, meeting);
	while (!unmap_is_announced(meeting->ioas))
		fsleep(1000);
}

/* L10: pins that an UNMAP has not seen, as they were not there, are given up */
static void unmap_announced_during_pin_L10(struct kunit *test)
{
	struct driver *driver = make_driver(test, &pinning_ops);
	struct meeting meeting = { .ioas = mock_ioas(test) };
	struct page *pages[AREA_PAGES];
	struct fake_memory *memory;
	struct pin_source *source;

	memory = fake_memory(test, 100, AREA_PAGES, FAKE_MIXED, 1);
	source = fake_source(memory, mock_ctx(test));
	KUNIT_ASSERT_EQ(test, 0, fake_map(memory, source, meeting.ioas, 0,
					  AREA_BYTES, LOW_IOVA));
	KUNIT_ASSERT_EQ(test, 0, iommufd_access_attach(driver->access,
						       meeting.ioas->obj.id));
	memory->data = &meeting;
	memory->during_pin = unmap_during_pin;
	KUNIT_EXPECT_EQ(test, -ENOENT,
			pin(driver, LOW_IOVA, AREA_BYTES, pages, 0));
	KUNIT_EXPECT_NULL(test, memory->during_pin);
	test_thread_join(&meeting.thread);
	KUNIT_EXPECT_EQ(test, 0, meeting.error);
	KUNIT_EXPECT_EQ(test, AREA_BYTES, meeting.unmapped);
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
}

static struct kunit_case access_cases[] = {
	KUNIT_CASE(attach_is_checked),
	KUNIT_CASE(destroy_detaches),
	KUNIT_CASE(detach_asks_to_let_go),
	KUNIT_CASE(replace_moves),
	KUNIT_CASE(pinning_needs_whole_pages),
	KUNIT_CASE(pin_and_pin_again),
	KUNIT_CASE(pin_across_areas),
	KUNIT_CASE(pin_is_checked),
	KUNIT_CASE(pin_of_missing_memory),
	KUNIT_CASE(starved_pin_leaves_nothing),
	KUNIT_CASE(unmap_asks_to_let_go),
	KUNIT_CASE(callbacks_change_the_address_space_L9),
	KUNIT_CASE(unmap_announced_during_pin_L10),
	KUNIT_CASE(pins_hold_unmap_up),
	KUNIT_CASE(killed_unmap_withdraws_L37),
	KUNIT_CASE(rw_across_areas),
	KUNIT_CASE(rw_of_much),
	KUNIT_CASE(rw_is_checked),
	KUNIT_CASE(rw_from_kernel_thread),
	{}
};

static struct kunit_suite access_suite = {
	.name = "iommufd_access",
	.init = mock_test_init,
	.test_cases = access_cases,
};

kunit_test_suite(access_suite);
