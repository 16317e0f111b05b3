// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit of source_dmabuf.c: a dma-buf that is revoked leaves every domain and
 * comes back into every domain, whatever happens to its areas meanwhile.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/fdtable.h>
#include <linux/kthread.h>
#include <linux/module.h>

#include "../iommufd_private.h"
#include "../iommufd_test.h"
#include "mock.h"
#include "support.h"

#define BUF_PAGES 4
#define BUF_BYTES (BUF_PAGES * PAGE_SIZE)
#define IOVA_ONE MOCK_APERTURE_START
#define IOVA_TWO (MOCK_APERTURE_START + SZ_1M)

/**
 * struct scene - an address space with a page table, and a dma-buf
 * @test: the test case
 * @ioas: the address space
 * @device: attached to it
 * @domain: what the device is really attached to
 * @dma_buf: the buffer
 * @fd: its descriptor
 */
struct scene {
	struct kunit *test;
	struct iommufd_ioas *ioas;
	struct iommufd_device *device;
	struct iommu_domain *domain;
	struct dma_buf *dma_buf;
	int fd;
};

static void remove_device(void *mock)
{
	mock_device_destroy(mock);
}

static void unbind_device(void *device)
{
	iommufd_device_unbind(device);
}

static void detach_device(void *device)
{
	iommufd_device_detach(device, IOMMU_NO_PASID);
}

static void put_buf(void *data)
{
	struct scene *scene = data;

	dma_buf_put(scene->dma_buf);
	close_fd(scene->fd);
}

static void attach_device(struct scene *scene)
{
	struct mock_device *mock = mock_device_create(0, 0);
	struct kunit *test = scene->test;
	u32 pt_id = scene->ioas->obj.id, id;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mock);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, remove_device,
							   mock));
	scene->device = iommufd_device_bind(mock_ctx(test), &mock->dev, &id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, scene->device);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unbind_device,
							   scene->device));
	KUNIT_ASSERT_EQ(test, 0, iommufd_device_attach(scene->device,
						       IOMMU_NO_PASID, &pt_id));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, detach_device,
							   scene->device));
	scene->domain = mock_device_domain(mock);
}

static int test_command(struct kunit *test, struct iommu_test_cmd *args)
{
	args->size = sizeof(*args);
	return mock_command(test, iommufd_test, args, sizeof(*args));
}

static struct scene *make_scene(struct kunit *test)
{
	struct scene *scene = kunit_kzalloc(test, sizeof(*scene), GFP_KERNEL);
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_DMABUF_GET,
		.dmabuf_get = { .length = BUF_BYTES, .open_flags = O_CLOEXEC },
	};

	KUNIT_ASSERT_NOT_NULL(test, scene);
	scene->test = test;
	scene->ioas = mock_ioas(test);
	attach_device(scene);
	scene->fd = test_command(test, &args);
	KUNIT_ASSERT_GE(test, scene->fd, 0);
	scene->dma_buf = dma_buf_get(scene->fd);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, scene->dma_buf);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_buf,
							   scene));
	return scene;
}

static int map_buf(struct scene *scene, unsigned long start,
		   unsigned long length, unsigned long iova)
{
	struct iommu_ioas_map_file args = {
		.size = sizeof(args),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | MOCK_RW,
		.ioas_id = scene->ioas->obj.id,
		.fd = scene->fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return mock_command(scene->test, iommufd_ioas_map_file, &args,
			    sizeof(args));
}

static int unmap_buf(struct scene *scene, unsigned long iova)
{
	struct iova_range range = { iova, iova + BUF_BYTES - 1 };
	unsigned long bytes;

	return ioas_unmap(scene->ioas, range, &bytes) ?:
	       bytes == BUF_BYTES ? 0 : -ENOENT;
}

static int revoke(struct scene *scene, bool revoked)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_DMABUF_REVOKE,
		.dmabuf_revoke = { .dmabuf_fd = scene->fd, .revoked = revoked },
	};

	return test_command(scene->test, &args);
}

static bool is_mapped(struct iommu_domain *domain, unsigned long iova)
{
	struct iova_range range = { iova, iova + BUF_BYTES - 1 };

	return mock_domain_is_mapped(domain, range);
}

static bool is_unmapped(struct iommu_domain *domain, unsigned long iova)
{
	unsigned long offset;

	for (offset = 0; offset < BUF_BYTES; offset += MOCK_PAGE_SIZE)
		if (domain->ops->iova_to_phys(domain, iova + offset))
			return false;
	return true;
}

static long nr_blocked(struct scene *scene)
{
	return atomic_long_read(&mock_ctx(scene->test)->nr_blocked);
}

/*
 * The worker's patience is four seconds. An area is no longer counted when it is
 * about to be mapped, under a lock that says when it is.
 */
static void wait_restored(struct scene *scene, long nr)
{
	long left;
	int i;

	for (i = 0; i < 10000 && nr_blocked(scene) != nr; i++)
		fsleep(1000);
	scoped_guard(rwsem_read, &scene->ioas->domains_rwsem)
		left = nr_blocked(scene);
	KUNIT_ASSERT_EQ(scene->test, nr, left);
}

static void revoked_and_back(struct kunit *test)
{
	struct scene *scene = make_scene(test);
	struct mock_domain *mock = to_mock_domain(scene->domain);
	long syncs;
	int i;

	KUNIT_ASSERT_EQ(test, 0, map_buf(scene, 0, BUF_BYTES, IOVA_ONE));
	KUNIT_ASSERT_EQ(test, 0, map_buf(scene, 0, BUF_BYTES, IOVA_TWO));
	KUNIT_EXPECT_TRUE(test, is_mapped(scene->domain, IOVA_ONE));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&mock_ctx(test)->nr_pinned));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&mock_ctx(test)->nr_charged));
	for (i = 0; i < 3; i++) {
		syncs = atomic_long_read(&mock->nr_syncs);
		KUNIT_ASSERT_EQ(test, 0, revoke(scene, true));
		/* At once, and synced. */
		KUNIT_EXPECT_TRUE(test, is_unmapped(scene->domain, IOVA_ONE));
		KUNIT_EXPECT_TRUE(test, is_unmapped(scene->domain, IOVA_TWO));
		KUNIT_EXPECT_EQ(test, syncs + 2,
				atomic_long_read(&mock->nr_syncs));
		KUNIT_EXPECT_EQ(test, 2, nr_blocked(scene));
		KUNIT_EXPECT_EQ(test, -ENODEV,
				map_buf(scene, 0, BUF_BYTES, IOVA_TWO + SZ_1M));
		KUNIT_ASSERT_EQ(test, 0, revoke(scene, false));
		wait_restored(scene, 0);
		KUNIT_EXPECT_TRUE(test, is_mapped(scene->domain, IOVA_ONE));
		KUNIT_EXPECT_TRUE(test, is_mapped(scene->domain, IOVA_TWO));
	}
	KUNIT_EXPECT_EQ(test, 0, unmap_buf(scene, IOVA_ONE));
	KUNIT_EXPECT_TRUE(test, is_unmapped(scene->domain, IOVA_ONE));
	ioas_verify(scene->ioas);
}

/* A part of the buffer is where that part is */
static void parts_of_a_buffer(struct kunit *test)
{
	struct scene *scene = make_scene(test);
	struct iommu_domain *domain = scene->domain;

	KUNIT_ASSERT_EQ(test, 0, map_buf(scene, 0, BUF_BYTES, IOVA_ONE));
	KUNIT_ASSERT_EQ(test, 0, map_buf(scene, PAGE_SIZE + MOCK_PAGE_SIZE,
					 PAGE_SIZE, IOVA_TWO));
	KUNIT_EXPECT_EQ(test,
			domain->ops->iova_to_phys(domain, IOVA_ONE) +
				PAGE_SIZE + MOCK_PAGE_SIZE,
			domain->ops->iova_to_phys(domain, IOVA_TWO));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			map_buf(scene, PAGE_SIZE, BUF_BYTES, IOVA_TWO + SZ_1M));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			map_buf(scene, BUF_BYTES, PAGE_SIZE, IOVA_TWO + SZ_1M));
}

/* Unmapped, mapped anew and destroyed while it is revoked */
static void areas_of_what_is_revoked(struct kunit *test)
{
	struct scene *scene = make_scene(test);
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | MOCK_RW,
		.dst_ioas_id = scene->ioas->obj.id,
		.src_ioas_id = scene->ioas->obj.id,
		.length = BUF_BYTES,
		.src_iova = IOVA_ONE,
		.dst_iova = IOVA_TWO,
	};

	KUNIT_ASSERT_EQ(test, 0, map_buf(scene, 0, BUF_BYTES, IOVA_ONE));
	KUNIT_ASSERT_EQ(test, 0, revoke(scene, true));

	/* A copy is as blocked as what it copies. */
	KUNIT_ASSERT_EQ(test, 0, mock_command(test, iommufd_ioas_copy, &copy,
					      sizeof(copy)));
	KUNIT_EXPECT_EQ(test, 2, nr_blocked(scene));
	KUNIT_EXPECT_TRUE(test, is_unmapped(scene->domain, IOVA_TWO));
	KUNIT_EXPECT_EQ(test, 0, unmap_buf(scene, IOVA_ONE));
	KUNIT_EXPECT_EQ(test, 1, nr_blocked(scene));
	KUNIT_ASSERT_EQ(test, 0, revoke(scene, false));
	wait_restored(scene, 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(scene->domain, IOVA_TWO));
	KUNIT_EXPECT_TRUE(test, is_unmapped(scene->domain, IOVA_ONE));

	/* The context is closed with the worker about to run. */
	KUNIT_ASSERT_EQ(test, 0, revoke(scene, true));
	KUNIT_EXPECT_EQ(test, 1, nr_blocked(scene));
	KUNIT_ASSERT_EQ(test, 0, revoke(scene, false));
}

/* A page table that comes while the buffer is revoked, and goes */
static void page_tables_of_what_is_revoked(struct kunit *test)
{
	struct scene *scene = make_scene(test);
	struct iommufd_device *device = scene->device;
	struct iommufd_hwpt_paging *hwpt;

	KUNIT_ASSERT_EQ(test, 0, map_buf(scene, 0, BUF_BYTES, IOVA_ONE));
	KUNIT_ASSERT_EQ(test, 0, revoke(scene, true));
	hwpt = iommufd_hwpt_paging_alloc(device, scene->ioas, 0, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, hwpt);
	scoped_guard(mutex, &scene->ioas->attach_lock)
		KUNIT_ASSERT_EQ(test, 0, iommufd_hwpt_paging_fill(hwpt));
	KUNIT_EXPECT_TRUE(test, is_unmapped(hwpt->common.domain, IOVA_ONE));
	KUNIT_ASSERT_EQ(test, 0, revoke(scene, false));
	wait_restored(scene, 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(hwpt->common.domain, IOVA_ONE));
	KUNIT_EXPECT_TRUE(test, is_mapped(scene->domain, IOVA_ONE));
	KUNIT_ASSERT_EQ(test, 0, revoke(scene, true));
	KUNIT_EXPECT_TRUE(test, is_unmapped(hwpt->common.domain, IOVA_ONE));
	iommufd_hwpt_paging_abort(mock_ctx(test), hwpt);
	KUNIT_EXPECT_EQ(test, 1, nr_blocked(scene));
}

/* Device memory has no pages that the CPU may touch */
static void accesses_are_refused_L42(struct kunit *test)
{
	static const struct iommufd_access_ops ops = { .needs_pin_pages = 1 };
	struct scene *scene = make_scene(test);
	struct iommufd_access *access;
	struct page *page;
	u32 id, word = 0;

	KUNIT_ASSERT_EQ(test, 0, map_buf(scene, 0, BUF_BYTES, IOVA_ONE));
	access = iommufd_access_create(mock_ctx(test), &ops, NULL, &id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, access);
	KUNIT_EXPECT_EQ(test, 0, iommufd_access_attach(access,
						       scene->ioas->obj.id));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommufd_access_pin_pages(access, IOVA_ONE, PAGE_SIZE,
						 &page, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommufd_access_rw(access, IOVA_ONE, &word, sizeof(word),
					  0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommufd_access_rw(access, IOVA_ONE, &word, sizeof(word),
					  IOMMUFD_ACCESS_RW_WRITE));
	iommufd_access_destroy(access);
}

static void failed_allocations(struct kunit *test)
{
	struct scene *scene = make_scene(test);
	unsigned int nth, nr_failures = 0;
	int error = 0;

	mock_need_fail_nth(test);
	for (nth = 1; nth < 200; nth++) {
		mock_fail_nth_begin(nth);
		error = map_buf(scene, 0, BUF_BYTES, IOVA_ONE);
		if (!mock_fail_nth_end())
			break;
		if (error) {
			nr_failures++;
			/* Telling user space where it is can fail, too. */
			KUNIT_EXPECT_TRUE(test,
					  error == -ENOMEM || error == -EFAULT);
		} else {
			KUNIT_EXPECT_EQ(test, 0, unmap_buf(scene, IOVA_ONE));
		}
		KUNIT_EXPECT_TRUE(test, is_unmapped(scene->domain, IOVA_ONE));
		KUNIT_EXPECT_TRUE(test,
				  list_empty(&scene->dma_buf->attachments));
	}
	KUNIT_EXPECT_EQ(test, 0, error);
	KUNIT_EXPECT_GE(test, nr_failures, 3);
}

/**
 * struct race - a thread that maps and unmaps while the buffer comes and goes
 * @scene: of both
 * @stop: it is enough
 * @nr: how often it has mapped
 */
struct race {
	struct scene *scene;
	bool stop;
	unsigned int nr;
};

static void map_and_unmap(void *data)
{
	struct race *race = data;
	struct scene *scene = race->scene;
	struct iova_range range = { IOVA_TWO, IOVA_TWO + BUF_BYTES - 1 };
	unsigned long bytes;
	LIST_HEAD(areas);

	while (!READ_ONCE(race->stop)) {
		struct iova_range from = { IOVA_ONE, IOVA_ONE + BUF_BYTES - 1 };
		unsigned long iova = IOVA_TWO;
		int error;

		error = ioas_copy_areas(scene->ioas, from, &areas);
		if (!error)
			error = ioas_map(scene->ioas, &areas, BUF_BYTES, &iova,
					 true, IOMMU_READ | IOMMU_WRITE);
		KUNIT_EXPECT_EQ(scene->test, 0, error);
		KUNIT_EXPECT_EQ(scene->test, 0,
				ioas_unmap(scene->ioas, range, &bytes));
		WRITE_ONCE(race->nr, race->nr + 1);
		cond_resched();
	}
}

/* However they meet, it is mapped in the end if it is there, and not if not */
static void revocations_race_with_maps(struct kunit *test)
{
	struct scene *scene = make_scene(test);
	struct race race = { .scene = scene };
	struct test_thread thread;
	int i;

	KUNIT_ASSERT_EQ(test, 0, map_buf(scene, 0, BUF_BYTES, IOVA_ONE));
	test_thread_start(test, &thread, map_and_unmap, &race);
	for (i = 0; i < 300 || READ_ONCE(race.nr) < 300; i++) {
		KUNIT_EXPECT_EQ(test, 0, revoke(scene, !(i & 1)));
		cond_resched();
	}
	WRITE_ONCE(race.stop, true);
	test_thread_join(&thread);
	KUNIT_EXPECT_EQ(test, 0, revoke(scene, true));
	KUNIT_EXPECT_TRUE(test, is_unmapped(scene->domain, IOVA_ONE));
	KUNIT_EXPECT_TRUE(test, is_unmapped(scene->domain, IOVA_TWO));
	KUNIT_EXPECT_EQ(test, 1, nr_blocked(scene));
	KUNIT_EXPECT_EQ(test, 0, revoke(scene, false));
	wait_restored(scene, 0);
	KUNIT_EXPECT_TRUE(test, is_mapped(scene->domain, IOVA_ONE));
	ioas_verify(scene->ioas);
}

static void revoke_and_return(void *data)
{
	struct race *race = data;
	bool revoked = false;

	while (!READ_ONCE(race->stop)) {
		revoked = !revoked;
		KUNIT_EXPECT_EQ(race->scene->test, 0,
				revoke(race->scene, revoked));
		WRITE_ONCE(race->nr, race->nr + 1);
		cond_resched();
	}
}

/*
 * An address space with blocked areas, or with a MAP that fails, ends: nobody
 * finds it in the list of the source any more, and the counts are right.
 */
static void address_spaces_end_during_revocations(struct kunit *test)
{
	struct scene *scene = make_scene(test);
	struct iommufd_ioas *kept = scene->ioas;
	struct race race = { .scene = scene };
	struct test_thread thread;
	int i;

	test_thread_start(test, &thread, revoke_and_return, &race);
	for (i = 0; i < 200 || READ_ONCE(race.nr) < 200; i++) {
		scene->ioas = mock_ioas(test);
		/* Either is refused while the buffer is revoked. */
		map_buf(scene, 0, BUF_BYTES, IOVA_ONE);
		map_buf(scene, 0, BUF_BYTES, IOVA_ONE);
		map_buf(scene, PAGE_SIZE, PAGE_SIZE, IOVA_TWO);
		KUNIT_EXPECT_EQ(test, 0,
				iommufd_object_destroy(mock_ctx(test),
						       scene->ioas->obj.id));
		cond_resched();
	}
	WRITE_ONCE(race.stop, true);
	test_thread_join(&thread);
	scene->ioas = kept;
	KUNIT_EXPECT_EQ(test, 0, nr_blocked(scene));
	KUNIT_EXPECT_TRUE(test, list_empty(&scene->dma_buf->attachments));
}

static struct kunit_case source_dmabuf_cases[] = {
	KUNIT_CASE(revoked_and_back),
	KUNIT_CASE(parts_of_a_buffer),
	KUNIT_CASE(areas_of_what_is_revoked),
	KUNIT_CASE(page_tables_of_what_is_revoked),
	KUNIT_CASE(accesses_are_refused_L42),
	KUNIT_CASE(failed_allocations),
	KUNIT_CASE_SLOW(revocations_race_with_maps),
	KUNIT_CASE_SLOW(address_spaces_end_during_revocations),
	{ }
};

static struct kunit_suite source_dmabuf_suite = {
	.name = "iommufd_source_dmabuf",
	.init = mock_test_init,
	.test_cases = source_dmabuf_cases,
};

kunit_test_suite(source_dmabuf_suite);

MODULE_IMPORT_NS("DMA_BUF");
