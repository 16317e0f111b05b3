// SPDX-License-Identifier: GPL-2.0-only
/*
 * The test commands: what the stock selftests do not try with them.
 *
 * They are a part of the kernel that user space reaches, so they are tested for
 * what they refuse, for two threads that want the same, and for what is left
 * when the file is closed in the middle of it all.
 */
#include <kunit/test.h>
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/fdtable.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "../iommufd_private.h"
#include "mock.h"
#include "support.h"

#define AREA_PAGES 4
#define AREA_BYTES (AREA_PAGES * PAGE_SIZE)
#define AREA_IOVA MOCK_APERTURE_START
#define RACE_ROUNDS 1000
#define RACE_DELAYS 100
#define DUEL_ROUNDS 300

static int command(struct kunit *test, struct iommu_test_cmd *args)
{
	args->size = sizeof(*args);
	return mock_command(test, iommufd_test, args, sizeof(*args));
}

static void close_file(void *data)
{
	close_fd((uintptr_t)data);
	/* A kernel thread would leave it to a worker. */
	flush_delayed_fput();
}

/* An address space with one area of memory. */
struct scene {
	struct iommufd_ioas *ioas;
	unsigned long user;
};

static struct scene make_scene(struct kunit *test)
{
	struct scene scene = {
		.ioas = mock_ioas(test),
		.user = mock_user_memory(test, AREA_PAGES, 0x5a),
	};

	KUNIT_ASSERT_EQ(test, 0, mock_map(test, scene.ioas, scene.user,
					  AREA_IOVA, AREA_BYTES, MOCK_RW));
	return scene;
}

static struct iommu_test_cmd make_mock(struct kunit *test, u32 pt_id)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = pt_id,
	};

	KUNIT_ASSERT_EQ(test, 0, command(test, &args));
	return args;
}

static int make_access(struct kunit *test, struct iommufd_ioas *ioas,
		       u32 flags)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = ioas->obj.id,
		.create_access.flags = flags,
	};
	uintptr_t fd;

	KUNIT_ASSERT_EQ(test, 0, command(test, &args));
	fd = args.create_access.out_access_fd;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, close_file,
							   (void *)fd));
	return fd;
}

static int pin_flags(struct kunit *test, int access_fd, u32 flags, u64 iova,
		     u64 length, u64 user, u32 *id)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = access_fd,
		.access_pages = {
			.flags = flags,
			.iova = iova,
			.length = length,
			.uptr = user,
		},
	};
	int error = command(test, &args);

	*id = args.access_pages.out_access_pages_id;
	return error;
}

static int pin(struct kunit *test, int access_fd, unsigned long iova,
	       unsigned long length, unsigned long user, u32 *id)
{
	return pin_flags(test, access_fd, 0, iova, length, user, id);
}

static int unpin(struct kunit *test, int access_fd, u32 id)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
		.id = access_fd,
		.destroy_access_pages.access_pages_id = id,
	};

	return command(test, &args);
}

static int check_refs(struct kunit *test, u64 user, u64 length, u32 refs)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_MD_CHECK_REFS,
		.check_refs = {
			.uptr = user,
			.length = length,
			.refs = refs,
		},
	};

	return command(test, &args);
}

static int reserve(struct kunit *test, u32 ioas_id, u64 start, u64 length)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_ADD_RESERVED,
		.id = ioas_id,
		.add_reserved = { .start = start, .length = length },
	};

	return command(test, &args);
}

static int check_map(struct kunit *test, u32 hwpt_id, u64 iova, u64 length,
		     u64 user)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_MD_CHECK_MAP,
		.id = hwpt_id,
		.check_map = {
			.iova = iova,
			.length = length,
			.uptr = user,
		},
	};

	return command(test, &args);
}

static int copy(struct kunit *test, int access_fd, u32 flags, u64 iova,
		u64 length, u64 user)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.id = access_fd,
		.access_rw = {
			.flags = flags,
			.iova = iova,
			.length = length,
			.uptr = user,
		},
	};

	return command(test, &args);
}

static long nr_pinned(struct kunit *test)
{
	return atomic_long_read(&mock_ctx(test)->nr_pinned);
}

/* Binding without the file ------------------------------------------------ */

static void bound_device_need_not_hold_the_file(struct kunit *test)
{
	struct mock_test *mock = test->priv;
	struct iommufd_device *device;
	struct mock_device *dev;
	u32 id;

	dev = mock_device_create(0, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);

	device = iommufd_device_new(mock->ctx, &dev->dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, device);
	KUNIT_EXPECT_EQ(test, 1, file_count(mock->file));
	KUNIT_EXPECT_TRUE(test, mock_domain_is_blocked(mock_device_domain(dev)));
	/* It is a driver's all the same. */
	id = device->obj.id;
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(mock->ctx, id));
	/* And the group has an owner. */
	KUNIT_EXPECT_EQ(test, -EPERM,
			iommu_device_claim_dma_owner(&dev->dev, dev));
	iommufd_device_end(device);
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_destroy(mock->ctx, id));

	device = iommufd_device_bind(mock->ctx, &dev->dev, &id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, device);
	KUNIT_EXPECT_EQ(test, 2, file_count(mock->file));
	KUNIT_EXPECT_EQ(test, id, device->obj.id);
	iommufd_device_unbind(device);
	KUNIT_EXPECT_EQ(test, 1, file_count(mock->file));
	mock_device_destroy(dev);
}

static void failed_bind_leaves_nothing(struct kunit *test)
{
	struct mock_test *mock = test->priv;
	struct mock_device *dev = mock_device_create(0, 0);
	struct iommufd_device *device;
	u32 id = 0;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_EQ(test, 0, iommu_device_claim_dma_owner(&dev->dev, dev));
	device = iommufd_device_bind(mock->ctx, &dev->dev, &id);
	KUNIT_EXPECT_PTR_EQ(test, device, ERR_PTR(-EPERM));
	KUNIT_EXPECT_EQ(test, 0, id);
	KUNIT_EXPECT_EQ(test, 1, file_count(mock->file));
	KUNIT_EXPECT_TRUE(test, xa_empty(&mock->ctx->objects));
	KUNIT_EXPECT_TRUE(test, xa_empty(&mock->ctx->groups));
	iommu_device_release_dma_owner(&dev->dev);
	mock_device_destroy(dev);
}

/* Ends -------------------------------------------------------------------- */

static void destroy_ends_device(struct kunit *test)
{
	struct scene scene = make_scene(test);
	struct iommu_test_cmd made = make_mock(test, scene.ioas->obj.id);
	struct iommufd_ctx *ctx = mock_ctx(test);

	KUNIT_EXPECT_EQ(test, 0, check_refs(test, scene.user, AREA_BYTES, 1));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommufd_object_destroy(ctx, scene.ioas->obj.id));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommufd_object_destroy(ctx, made.mock_domain.out_idev_id));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommufd_object_destroy(ctx, made.mock_domain.out_hwpt_id));
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_object_destroy(ctx, made.mock_domain.out_stdev_id));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommufd_object_destroy(ctx, made.mock_domain.out_stdev_id));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommufd_object_destroy(ctx, made.mock_domain.out_idev_id));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommufd_object_destroy(ctx, made.mock_domain.out_hwpt_id));
	KUNIT_EXPECT_EQ(test, 0, check_refs(test, scene.user, AREA_BYTES, 0));
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->groups));
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_object_destroy(ctx, scene.ioas->obj.id));
}

/* The object comes after the device and what that is attached to, or before. */
static void close_ends_devices(struct kunit *test)
{
	struct scene scene = make_scene(test);
	struct mock_test *mock = test->priv;
	unsigned int i;

	for (i = 0; i < 3; i++)
		make_mock(test, scene.ioas->obj.id);
	KUNIT_EXPECT_EQ(test, 0, check_refs(test, scene.user, AREA_BYTES, 1));
	KUNIT_EXPECT_EQ(test, 3,
			atomic_read(&mock->ctx->nr_objects[IOMMUFD_OBJ_DEVICE]));

	/* Complains if somebody holds the file, or something is left. */
	kunit_release_action(test, mock_test_close, mock);
	KUNIT_ASSERT_EQ(test, 0, mock_test_init(test));
	KUNIT_EXPECT_EQ(test, 0, check_refs(test, scene.user, AREA_BYTES, 0));
}

static void failed_device_leaves_nothing(struct kunit *test)
{
	struct scene scene = make_scene(test);
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = scene.ioas->obj.id + 1,
	};
	unsigned int nth;

	KUNIT_EXPECT_EQ(test, -ENOENT, command(test, &args));
	KUNIT_EXPECT_EQ(test, 0,
			atomic_read(&mock_ctx(test)->nr_objects[IOMMUFD_OBJ_DEVICE]));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&scene.ioas->obj.refs));

	mock_need_fail_nth(test);
	for (nth = 1;; nth++) {
		bool failed;
		int error;

		args.id = scene.ioas->obj.id;
		mock_fail_nth_begin(nth);
		error = command(test, &args);
		failed = mock_fail_nth_end();
		if (!error)
			iommufd_object_destroy(mock_ctx(test),
					       args.mock_domain.out_stdev_id);
		KUNIT_ASSERT_EQ(test, 0, atomic_long_read(&scene.ioas->obj.refs));
		KUNIT_ASSERT_EQ(test, 0, nr_pinned(test));
		KUNIT_ASSERT_TRUE(test, xa_empty(&mock_ctx(test)->groups));
		if (!failed)
			break;
	}
	KUNIT_EXPECT_GT(test, nth, 10);
}

/* Refusals ---------------------------------------------------------------- */

static void unknown_operations_are_refused(struct kunit *test)
{
	static const u32 unknown[] = {
		0,
		IOMMU_TEST_OP_DMABUF_REVOKE + 1,
		U32_MAX,
	};
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_MD_CHECK_REFS,
		.__reserved = 1,
	};
	unsigned int i;

	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, command(test, &args));
	args.__reserved = 0;
	KUNIT_EXPECT_EQ(test, 0, command(test, &args));
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		args.op = unknown[i];
		KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, command(test, &args));
	}
}

/* The stack of a test has no room for many expectations. */
static noinline void expect_line(struct kunit *test, unsigned int line,
				 int want, int got)
{
	KUNIT_EXPECT_EQ_MSG(test, want, got, "line %u", line);
}

#define EXPECT(want, got) expect_line(test, __LINE__, want, got)

static void reserving_is_checked_L64(struct kunit *test)
{
	u32 id = make_scene(test).ioas->obj.id;

	EXPECT(-EINVAL, reserve(test, id, 0, 0));
	EXPECT(-EINVAL, reserve(test, id, U64_MAX, 0));
	EXPECT(-EOVERFLOW, reserve(test, id, U64_MAX, 2));
	EXPECT(-EOVERFLOW, reserve(test, id, 2, U64_MAX));
	EXPECT(-EADDRINUSE, reserve(test, id, AREA_IOVA, 1));
	EXPECT(-ENOENT, reserve(test, id + 1, 0, 1));
	EXPECT(0, reserve(test, id, AREA_IOVA - 1, 1));
	EXPECT(0, reserve(test, id, U64_MAX, 1));
}

static void check_map_is_checked_L64(struct kunit *test)
{
	const u32 small = MOCK_PAGE_SIZE;
	struct scene scene = make_scene(test);
	u32 ioas_id = scene.ioas->obj.id;
	u32 id = make_mock(test, ioas_id).mock_domain.out_hwpt_id;
	u64 user = scene.user;

	EXPECT(0, check_map(test, id, AREA_IOVA, AREA_BYTES, user));
	EXPECT(0, check_map(test, id, AREA_IOVA + small, small, user + small));
	EXPECT(0, check_map(test, id, AREA_IOVA + small, 2 * small,
			    user + small));
	EXPECT(-EINVAL, check_map(test, id, AREA_IOVA + small, small, user));
	EXPECT(-EINVAL, check_map(test, id, AREA_IOVA, 0, user));
	EXPECT(-EINVAL, check_map(test, id, AREA_IOVA, 1, user));
	EXPECT(-EINVAL, check_map(test, id, AREA_IOVA + 1, small, user));
	EXPECT(-EINVAL, check_map(test, id, AREA_IOVA, small, user + 1));
	EXPECT(-EINVAL, check_map(test, id, AREA_IOVA + AREA_BYTES, small,
				  user));
	EXPECT(-EINVAL, check_map(test, id, AREA_IOVA, TEST_BYTES_MAX + small,
				  user));
	EXPECT(-EOVERFLOW, check_map(test, id, -(u64)small, 2 * small, user));
	EXPECT(-EOVERFLOW, check_map(test, id, AREA_IOVA, 2 * small,
				     -(u64)small));
	EXPECT(-EFAULT, check_map(test, id, AREA_IOVA, small, 0));
	EXPECT(-ENOENT, check_map(test, ioas_id, AREA_IOVA, small, user));
	EXPECT(-ENOENT, check_map(test, 0, AREA_IOVA, small, user));
}

static void check_refs_is_checked_L64(struct kunit *test)
{
	struct scene scene = make_scene(test);
	u64 user = scene.user;

	make_mock(test, scene.ioas->obj.id);
	EXPECT(0, check_refs(test, user, AREA_BYTES, 1));
	EXPECT(-EINVAL, check_refs(test, user, AREA_BYTES, 0));
	EXPECT(-EINVAL, check_refs(test, user, AREA_BYTES, 2));
	EXPECT(-EINVAL, check_refs(test, user, AREA_BYTES, U32_MAX));
	EXPECT(0, check_refs(test, user, 0, 7));
	EXPECT(-EINVAL, check_refs(test, user + 1, PAGE_SIZE, 1));
	EXPECT(-EINVAL, check_refs(test, user, 1, 1));
	EXPECT(-EINVAL, check_refs(test, user, TEST_BYTES_MAX + PAGE_SIZE, 1));
	EXPECT(-EINVAL, check_refs(test, user, -(u64)PAGE_SIZE, 1));
	EXPECT(-EOVERFLOW, check_refs(test, -(u64)PAGE_SIZE, 2 * PAGE_SIZE, 1));
	EXPECT(-EFAULT, check_refs(test, 0, PAGE_SIZE, 1));
}

static void devices_are_checked_L64(struct kunit *test)
{
	struct scene scene = make_scene(test);
	struct iommu_test_cmd made = make_mock(test, scene.ioas->obj.id);
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
		.id = scene.ioas->obj.id,
		.mock_domain_flags.dev_flags = BIT(1),
	};

	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, command(test, &args));

	args = (struct iommu_test_cmd){
		.op = IOMMU_TEST_OP_DEV_CHECK_CACHE,
		.id = made.mock_domain.out_idev_id,
		.check_dev_cache.cache = IOMMU_TEST_DEV_CACHE_DEFAULT,
	};
	KUNIT_EXPECT_EQ(test, 0, command(test, &args));
	args.check_dev_cache.id = MOCK_DEV_CACHE_ID_MAX;
	KUNIT_EXPECT_EQ(test, 0, command(test, &args));
	args.check_dev_cache.id = MOCK_DEV_CACHE_ID_MAX + 1;
	KUNIT_EXPECT_EQ(test, -EINVAL, command(test, &args));
	args.check_dev_cache.id = 0;
	args.check_dev_cache.cache++;
	KUNIT_EXPECT_EQ(test, -EINVAL, command(test, &args));
	/* The object of the selftest is not the bound device. */
	args.id = made.mock_domain.out_stdev_id;
	KUNIT_EXPECT_EQ(test, -ENOENT, command(test, &args));

	args = (struct iommu_test_cmd){
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
		.id = made.mock_domain.out_idev_id,
		.mock_domain_replace.pt_id = scene.ioas->obj.id,
	};
	KUNIT_EXPECT_EQ(test, -ENOENT, command(test, &args));
	args.id = made.mock_domain.out_stdev_id;
	args.mock_domain_replace.pt_id = made.mock_domain.out_stdev_id;
	KUNIT_EXPECT_EQ(test, -EINVAL, command(test, &args));
	args.mock_domain_replace.pt_id = scene.ioas->obj.id;
	KUNIT_EXPECT_EQ(test, 0, command(test, &args));
	KUNIT_EXPECT_EQ(test, made.mock_domain.out_hwpt_id,
			args.mock_domain_replace.pt_id);
}

static void memory_limit_is_clamped(struct kunit *test)
{
	static const struct {
		u32 bytes;
		unsigned int pages;
	} cases[] = {
		{ 1, 1 },
		{ 16, 16 / sizeof(struct page *) },
		{ U32_MAX, WINDOW_PAGES },
		{ 0, WINDOW_PAGES },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iommu_test_cmd args = {
			.op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT,
			.memory_limit.limit = cases[i].bytes,
		};

		KUNIT_EXPECT_EQ(test, 0, command(test, &args));
		KUNIT_EXPECT_EQ(test, cases[i].pages,
				READ_ONCE(pages_pinned_at_once));
	}
}

/* Accesses ---------------------------------------------------------------- */

static void making_accesses_is_checked_L64(struct kunit *test)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = mock_ioas(test)->obj.id,
		.create_access.flags = BIT(1),
	};

	EXPECT(-EOPNOTSUPP, command(test, &args));
	args.create_access.flags = 0;
	args.id++;
	EXPECT(-ENOENT, command(test, &args));
	KUNIT_EXPECT_EQ(test, 0,
			atomic_read(&mock_ctx(test)->nr_objects[IOMMUFD_OBJ_ACCESS]));
}

static void pinning_is_checked_L64(struct kunit *test)
{
	struct scene scene = make_scene(test);
	int fd = make_access(test, scene.ioas,
			     MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	int copying = make_access(test, scene.ioas, 0);
	u64 user = scene.user;
	u32 id;

	EXPECT(-EOPNOTSUPP, pin_flags(test, fd, BIT(1), AREA_IOVA, 1, 0, &id));
	EXPECT(-EINVAL, pin(test, fd, AREA_IOVA, 0, 0, &id));
	EXPECT(-EINVAL, pin(test, fd, AREA_IOVA, TEST_BYTES_MAX + 1, 0, &id));
	EXPECT(-EINVAL, pin(test, fd, AREA_IOVA, ULONG_MAX, 0, &id));
	EXPECT(-EOVERFLOW, pin(test, fd, ULONG_MAX, 2, 0, &id));
	EXPECT(-ENOENT, pin(test, fd, AREA_IOVA, AREA_BYTES + 1, 0, &id));
	EXPECT(-EINVAL, pin(test, fd, AREA_IOVA, PAGE_SIZE, user + 1, &id));
	EXPECT(-EINVAL, pin(test, fd, AREA_IOVA, PAGE_SIZE, user + PAGE_SIZE,
			    &id));
	EXPECT(-EFAULT, pin(test, fd, AREA_IOVA, PAGE_SIZE, PAGE_SIZE, &id));
	EXPECT(-EINVAL, pin(test, copying, AREA_IOVA, PAGE_SIZE, 0, &id));
	EXPECT(-EBADF, pin(test, 1000, AREA_IOVA, PAGE_SIZE, 0, &id));
	EXPECT(-EBADF, pin(test, -1, AREA_IOVA, PAGE_SIZE, 0, &id));
	EXPECT(-ENOENT, unpin(test, fd, 0));
	EXPECT(-ENOENT, unpin(test, fd, 1));
	EXPECT(-ENOENT, unpin(test, fd, U32_MAX));
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
}

/* No descriptor is free: what it was to be for is gone again. */
static void no_descriptor_leaves_nothing(struct kunit *test)
{
	struct rlimit *limit = &current->signal->rlim[RLIMIT_NOFILE];
	struct mock_test *mock = test->priv;
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = mock_ioas(test)->obj.id,
	};
	struct rlimit before = *limit;

	limit->rlim_cur = 0;
	EXPECT(-EMFILE, command(test, &args));
	args = (struct iommu_test_cmd){
		.op = IOMMU_TEST_OP_DMABUF_GET,
		.dmabuf_get.length = PAGE_SIZE,
	};
	EXPECT(-EMFILE, command(test, &args));
	*limit = before;
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, 1, file_count(mock->file));
	KUNIT_EXPECT_EQ(test, 0,
			atomic_read(&mock->ctx->nr_objects[IOMMUFD_OBJ_ACCESS]));
}

/* A reply that cannot be written: the same. */
static void no_reply_leaves_nothing(struct kunit *test)
{
	struct scene scene = make_scene(test);
	struct mock_test *mock = test->priv;
	unsigned long user_page = mock->user_page;
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = scene.ioas->obj.id,
	};
	u32 id;
	int fd;

	fd = make_access(test, scene.ioas,
			 MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	mock->user_page = PAGE_SIZE;
	EXPECT(-EFAULT, command(test, &args));
	args = (struct iommu_test_cmd){
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = scene.ioas->obj.id,
	};
	EXPECT(-EFAULT, command(test, &args));
	EXPECT(-EFAULT, pin(test, fd, AREA_IOVA, PAGE_SIZE, 0, &id));
	mock->user_page = user_page;
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
	KUNIT_EXPECT_EQ(test, 2, file_count(mock->file));
	KUNIT_EXPECT_EQ(test, 1,
			atomic_read(&mock->ctx->nr_objects[IOMMUFD_OBJ_ACCESS]));
	KUNIT_EXPECT_EQ(test, 0,
			atomic_read(&mock->ctx->nr_objects[IOMMUFD_OBJ_DEVICE]));
}

/* What a fuzzer writes: an area by number, and an offset in it. */
static u64 syz(u32 area, u32 offset)
{
	return (u64)offset << 32 | area;
}

static void pinning_for_fuzzers(struct kunit *test)
{
	const u32 flags = MOCK_FLAGS_ACCESS_SYZ;
	struct scene scene = make_scene(test);
	int fd = make_access(test, scene.ioas,
			     MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	u64 user = scene.user + PAGE_SIZE;
	u32 id;

	EXPECT(-ENOENT, pin_flags(test, fd, flags, syz(1, 0), 1, 0, &id));
	EXPECT(-ENOENT, pin_flags(test, fd, flags, U64_MAX, 1, 0, &id));
	EXPECT(-ENOENT, pin_flags(test, fd, flags, syz(0, AREA_BYTES), 1, 0,
				  &id));
	EXPECT(0, pin_flags(test, fd, flags, syz(0, PAGE_SIZE), PAGE_SIZE,
			    user, &id));
	KUNIT_EXPECT_EQ(test, 1, nr_pinned(test));
	EXPECT(0, copy(test, fd, flags, syz(0, 5), 1, user));
}

static void copying_is_checked_L64(struct kunit *test)
{
	const u32 write = MOCK_ACCESS_RW_WRITE;
	struct scene scene = make_scene(test);
	int fd = make_access(test, scene.ioas, 0);
	u64 user = scene.user;

	EXPECT(-EOPNOTSUPP, copy(test, fd, BIT(1), AREA_IOVA, 1, user));
	EXPECT(-EINVAL, copy(test, fd, 0, AREA_IOVA, 0, user));
	EXPECT(-EINVAL, copy(test, fd, 0, AREA_IOVA, TEST_BYTES_MAX + 1, user));
	EXPECT(-EOVERFLOW, copy(test, fd, 0, U64_MAX, 2, user));
	EXPECT(-EFAULT, copy(test, fd, 0, AREA_IOVA, 1, 0));
	EXPECT(-EFAULT, copy(test, fd, write, AREA_IOVA, 1, 0));
	EXPECT(-ENOENT, copy(test, fd, 0, AREA_IOVA, AREA_BYTES + 1, user));
	EXPECT(0, copy(test, fd, 0, AREA_IOVA, AREA_BYTES, user));
	EXPECT(0, copy(test, fd, write, AREA_IOVA, AREA_BYTES, user));
}

static void access_belongs_to_its_context(struct kunit *test)
{
	struct scene scene = make_scene(test);
	struct mock_test *mine = test->priv, *other;
	int fd = make_access(test, scene.ioas, 0);

	other = mock_open(test);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, other);
	other->user_page = mine->user_page;
	test->priv = other;
	KUNIT_EXPECT_EQ(test, -EINVAL, unpin(test, fd, 1));
	test->priv = mine;
	KUNIT_EXPECT_EQ(test, -ENOENT, unpin(test, fd, 1));
}

static void pins_are_items(struct kunit *test)
{
	struct scene scene = make_scene(test);
	int fd = make_access(test, scene.ioas,
			     MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	unsigned long unmapped;
	u32 first, second;

	KUNIT_ASSERT_EQ(test, 0, pin(test, fd, AREA_IOVA, AREA_BYTES,
				     scene.user, &first));
	KUNIT_ASSERT_EQ(test, 0, pin(test, fd, AREA_IOVA, PAGE_SIZE,
				     scene.user, &second));
	KUNIT_EXPECT_NE(test, first, second);
	KUNIT_EXPECT_EQ(test, AREA_PAGES, nr_pinned(test));
	KUNIT_EXPECT_EQ(test, 0, unpin(test, fd, first));
	KUNIT_EXPECT_EQ(test, -ENOENT, unpin(test, fd, first));
	KUNIT_EXPECT_EQ(test, 1, nr_pinned(test));

	/* An UNMAP takes the other one. */
	KUNIT_EXPECT_EQ(test, 0, test_unmap(scene.ioas, AREA_IOVA, AREA_BYTES,
					    &unmapped));
	KUNIT_EXPECT_EQ(test, 0, nr_pinned(test));
	KUNIT_EXPECT_EQ(test, -ENOENT, unpin(test, fd, second));
}

/* Two threads that begin at the same time. */
struct race {
	struct kunit *test;
	struct mm_struct *mm;
	int fd;
	u32 id;
	int result;
	atomic_t nr_done;
	atomic_t missing;
};

static void race_begin(struct race *race)
{
	atomic_dec(&race->missing);
	while (atomic_read(&race->missing))
		cpu_relax();
}

static void pin_once(void *data)
{
	struct race *race = data;
	u32 id;

	kthread_use_mm(race->mm);
	race_begin(race);
	race->result = pin(race->test, race->fd, AREA_IOVA, AREA_BYTES, 0, &id);
	kthread_unuse_mm(race->mm);
}

/*
 * Nobody but the callback lets go: an UNMAP that comes while the pages are being
 * pinned would wait for ever for a pin that it does not know.
 */
static void unmap_while_pinning(struct kunit *test)
{
	struct scene scene = make_scene(test);
	struct race race = {
		.test = test,
		.mm = current->mm,
		.fd = make_access(test, scene.ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES),
	};
	unsigned int round, nr_pins = 0, nr_refused = 0;
	struct test_thread thread;
	unsigned long unmapped;

	for (round = 0; round < RACE_ROUNDS; round++) {
		unsigned int delay = round % RACE_DELAYS * 64;

		atomic_set(&race.missing, 2);
		test_thread_start(test, &thread, pin_once, &race);
		race_begin(&race);
		while (delay--)
			cpu_relax();
		KUNIT_ASSERT_EQ(test, 0, test_unmap(scene.ioas, AREA_IOVA,
						    AREA_BYTES, &unmapped));
		test_thread_join(&thread);
		KUNIT_ASSERT_EQ(test, 0, nr_pinned(test));
		if (!race.result)
			nr_pins++;
		else if (race.result == -ENOENT)
			nr_refused++;
		KUNIT_ASSERT_EQ(test, 0, mock_map(test, scene.ioas, scene.user,
						  AREA_IOVA, AREA_BYTES,
						  MOCK_RW));
	}
	KUNIT_EXPECT_EQ(test, RACE_ROUNDS, nr_pins + nr_refused);
	kunit_info(test, "%u pinned, %u refused\n", nr_pins, nr_refused);
}

static void unpin_once(void *data)
{
	struct race *race = data;

	race_begin(race);
	if (!unpin(race->test, race->fd, race->id))
		atomic_inc(&race->nr_done);
}

static void one_of_two_unpins(struct kunit *test)
{
	struct scene scene = make_scene(test);
	struct race race = {
		.test = test,
		.fd = make_access(test, scene.ioas,
				  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES),
	};
	struct test_thread thread;
	unsigned int i;

	for (i = 0; i < DUEL_ROUNDS; i++) {
		KUNIT_ASSERT_EQ(test, 0, pin(test, race.fd, AREA_IOVA,
					     AREA_BYTES, scene.user, &race.id));
		atomic_set(&race.nr_done, 0);
		atomic_set(&race.missing, 2);
		test_thread_start(test, &thread, unpin_once, &race);
		unpin_once(&race);
		test_thread_join(&thread);
		KUNIT_ASSERT_EQ(test, 1, atomic_read(&race.nr_done));
		KUNIT_ASSERT_EQ(test, 0, nr_pinned(test));
	}
}

/* dma-bufs ---------------------------------------------------------------- */

/**
 * struct importer - who uses a dma-buf of the tests
 * @nr_calls: calls of the callback
 * @answer: what asking for the address answered in the last one
 */
struct importer {
	unsigned int nr_calls;
	int answer;
};

static void importer_invalidate(struct dma_buf_attachment *attachment)
{
	struct importer *importer = attachment->importer_priv;
	struct phys_vec phys;

	importer->nr_calls++;
	importer->answer = iommufd_test_dma_buf_map(attachment, &phys);
}

static const struct dma_buf_attach_ops importer_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = importer_invalidate,
};

static int get_dma_buf_fd(struct kunit *test, u32 length, u32 flags)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_DMABUF_GET,
		.dmabuf_get = { .length = length, .open_flags = flags },
	};

	return command(test, &args);
}

static int revoke(struct kunit *test, int fd, u32 revoked)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_DMABUF_REVOKE,
		.dmabuf_revoke = { .dmabuf_fd = fd, .revoked = revoked },
	};

	return command(test, &args);
}

static int ask(struct dma_buf_attachment *attachment, struct phys_vec *phys)
{
	int error;

	dma_resv_lock(attachment->dmabuf->resv, NULL);
	error = iommufd_test_dma_buf_map(attachment, phys);
	dma_resv_unlock(attachment->dmabuf->resv);
	return error;
}

static void dma_buf_is_checked_L64(struct kunit *test)
{
	struct scene scene = make_scene(test);
	int fd = make_access(test, scene.ioas, 0);

	KUNIT_EXPECT_EQ(test, -EINVAL, get_dma_buf_fd(test, 0, O_CLOEXEC));
	KUNIT_EXPECT_EQ(test, -EINVAL, get_dma_buf_fd(test, 1, O_CLOEXEC));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			get_dma_buf_fd(test, SZ_1M + PAGE_SIZE, O_CLOEXEC));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			get_dma_buf_fd(test, (u32)-PAGE_SIZE,
				       O_CLOEXEC));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			get_dma_buf_fd(test, PAGE_SIZE, O_APPEND));
	KUNIT_EXPECT_EQ(test, -EBADF, revoke(test, -1, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, revoke(test, fd, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, revoke(test, fd, 2));
}

/* What VFIO's dma-bufs show to who imports them. */
static void dma_buf_revokes_as_vfio_does(struct kunit *test)
{
	struct mock_device *dev = mock_device_create(0, 0);
	struct dma_buf_attachment *attachment;
	struct importer importer = {};
	struct dma_buf *dma_buf;
	struct phys_vec phys;
	int fd;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	fd = get_dma_buf_fd(test, 3 * PAGE_SIZE, O_CLOEXEC);
	KUNIT_ASSERT_GE(test, fd, 0);
	dma_buf = dma_buf_get(fd);
	close_file((void *)(uintptr_t)fd);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dma_buf);
	fd = dma_buf_fd(dma_buf, O_CLOEXEC);
	KUNIT_ASSERT_GE(test, fd, 0);

	attachment = dma_buf_dynamic_attach(dma_buf, &dev->dev, &importer_ops,
					    &importer);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	KUNIT_EXPECT_EQ(test, 0, ask(attachment, &phys));
	KUNIT_EXPECT_EQ(test, 3 * PAGE_SIZE, phys.len);
	KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(phys.paddr));

	KUNIT_EXPECT_EQ(test, 0, revoke(test, fd, 1));
	KUNIT_EXPECT_EQ(test, 1, importer.nr_calls);
	KUNIT_EXPECT_EQ(test, -ENODEV, importer.answer);
	KUNIT_EXPECT_EQ(test, 0, revoke(test, fd, 1));
	KUNIT_EXPECT_EQ(test, 1, importer.nr_calls);
	KUNIT_EXPECT_EQ(test, -ENODEV, ask(attachment, &phys));
	KUNIT_EXPECT_PTR_EQ(test, ERR_PTR(-ENODEV),
			    dma_buf_dynamic_attach(dma_buf, &dev->dev,
						   &importer_ops, &importer));

	/* Told that it comes back, before it does. */
	KUNIT_EXPECT_EQ(test, 0, revoke(test, fd, 0));
	KUNIT_EXPECT_EQ(test, 2, importer.nr_calls);
	KUNIT_EXPECT_EQ(test, -ENODEV, importer.answer);
	KUNIT_EXPECT_EQ(test, 0, ask(attachment, &phys));

	dma_buf_detach(dma_buf, attachment);
	close_file((void *)(uintptr_t)fd);
	mock_device_destroy(dev);
}

static struct kunit_case selftest_cases[] = {
	KUNIT_CASE(bound_device_need_not_hold_the_file),
	KUNIT_CASE(failed_bind_leaves_nothing),
	KUNIT_CASE(destroy_ends_device),
	KUNIT_CASE(close_ends_devices),
	KUNIT_CASE(failed_device_leaves_nothing),
	KUNIT_CASE(unknown_operations_are_refused),
	KUNIT_CASE(reserving_is_checked_L64),
	KUNIT_CASE(check_map_is_checked_L64),
	KUNIT_CASE(check_refs_is_checked_L64),
	KUNIT_CASE(devices_are_checked_L64),
	KUNIT_CASE(memory_limit_is_clamped),
	KUNIT_CASE(making_accesses_is_checked_L64),
	KUNIT_CASE(pinning_is_checked_L64),
	KUNIT_CASE(no_descriptor_leaves_nothing),
	KUNIT_CASE(no_reply_leaves_nothing),
	KUNIT_CASE(pinning_for_fuzzers),
	KUNIT_CASE(copying_is_checked_L64),
	KUNIT_CASE(access_belongs_to_its_context),
	KUNIT_CASE(pins_are_items),
	KUNIT_CASE(unmap_while_pinning),
	KUNIT_CASE(one_of_two_unpins),
	KUNIT_CASE(dma_buf_is_checked_L64),
	KUNIT_CASE(dma_buf_revokes_as_vfio_does),
	{}
};

static struct kunit_suite selftest_suite = {
	.name = "iommufd_selftest",
	.init = mock_test_init,
	.test_cases = selftest_cases,
};

kunit_test_suite(selftest_suite);
