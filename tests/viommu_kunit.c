// SPDX-License-Identifier: GPL-2.0-only
/*
 * vIOMMUs: what can be made, what depends on what, and what invalidation through
 * one does. There are no vDEVICEs yet; where a driver needs one, the test puts it
 * in its place.
 */
#include <kunit/test.h>
#include <linux/iommu.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "../iommufd_private.h"
#include "../iommufd_test.h"
#include "mock.h"

#define VIRT_ID 0x99

/**
 * struct bench - a device, a nesting parent, and data for nested HWPTs
 * @mock: the device
 * @device: the same, bound; NULL once it is unbound
 * @ioas: the address space
 * @parent: id of the nesting parent
 * @data: a struct iommu_hwpt_selftest in user memory, and zeroes behind it
 */
struct bench {
	struct mock_device *mock;
	struct iommufd_device *device;
	struct iommufd_ioas *ioas;
	u32 parent;
	unsigned long data;
};

static void unbind(void *data)
{
	struct bench *bench = data;

	if (bench->device)
		iommufd_device_unbind(bench->device);
	bench->device = NULL;
}

static u32 make_hwpt(struct kunit *test, struct bench *bench, u32 flags)
{
	struct iommu_hwpt_alloc args = {
		.size = sizeof(args),
		.flags = flags,
		.dev_id = bench->device->obj.id,
		.pt_id = bench->ioas->obj.id,
	};

	KUNIT_ASSERT_EQ(test, 0, mock_command(test, iommufd_hwpt_alloc, &args,
					      sizeof(args)));
	return args.out_hwpt_id;
}

static struct bench *make_bench(struct kunit *test)
{
	const struct iommu_hwpt_selftest data = {
		.iotlb = IOMMU_TEST_IOTLB_DEFAULT,
	};
	struct bench *bench;
	u32 id;

	bench = kunit_kzalloc(test, sizeof(*bench), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bench);
	bench->mock = mock_device(test, 0, 0);
	bench->device = iommufd_device_bind(mock_ctx(test), &bench->mock->dev,
					    &id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bench->device);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unbind, bench));
	bench->ioas = mock_ioas(test);
	bench->parent = make_hwpt(test, bench, IOMMU_HWPT_ALLOC_NEST_PARENT);
	bench->data = mock_user_memory(test, 2, 0);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user((void __user *)bench->data, &data,
					      sizeof(data)));
	return bench;
}

static int try_nested(struct kunit *test, struct bench *bench, u32 pt_id,
		      u32 *nested)
{
	struct iommu_hwpt_alloc args = {
		.size = sizeof(args),
		.dev_id = bench->device->obj.id,
		.pt_id = pt_id,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(struct iommu_hwpt_selftest),
		.data_uptr = bench->data,
	};
	int error = mock_command(test, iommufd_hwpt_alloc, &args, sizeof(args));

	if (!error)
		*nested = args.out_hwpt_id;
	return error;
}

static u32 make_viommu(struct kunit *test, struct bench *bench)
{
	return mock_viommu(test, bench->device->obj.id, bench->parent);
}

static int destroy(struct kunit *test, u32 id)
{
	return iommufd_object_destroy(mock_ctx(test), id);
}

/* It lives at least as long as nobody destroys it. */
static struct iommufd_viommu *viommu_of(struct kunit *test, u32 id)
{
	struct iommufd_object *object =
		iommufd_object_get(mock_ctx(test), id, IOMMUFD_OBJ_VIOMMU);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, object);
	iommufd_object_put(mock_ctx(test), object);
	return to_viommu(object);
}

/* A guest knows the device, as long as it is not taken out again. */
static void know_device(struct kunit *test, struct bench *bench,
			struct iommufd_viommu *viommu)
{
	struct iommufd_vdevice *vdevice;

	vdevice = kunit_kzalloc(test, sizeof(*vdevice), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vdevice);
	vdevice->viommu = viommu;
	vdevice->idev = bench->device;
	vdevice->virt_id = VIRT_ID;
	KUNIT_ASSERT_EQ(test, 0, xa_err(xa_store(&viommu->vdevs, VIRT_ID,
						 vdevice, GFP_KERNEL)));
}

static int nr_viommus(struct kunit *test)
{
	return atomic_read(&mock_ctx(test)->nr_objects[IOMMUFD_OBJ_VIOMMU]);
}

/* VIOMMU_ALLOC ------------------------------------------------------------- */

static void arguments_are_checked_L62(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	const struct iommu_viommu_alloc good = {
		.size = sizeof(good),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = bench->device->obj.id,
		.hwpt_id = bench->parent,
	};
	u32 plain = make_hwpt(test, bench, 0), nested;
	struct iommu_viommu_alloc args;

	KUNIT_ASSERT_EQ(test, 0, try_nested(test, bench, bench->parent,
					    &nested));
#define TRY(result, ...)                                                       \
	do {                                                                   \
		args = good;                                                   \
		__VA_ARGS__;                                                   \
		KUNIT_EXPECT_EQ(test, result,                                  \
				mock_command(test, iommufd_viommu_alloc,       \
					     &args, sizeof(args)));            \
	} while (0)
	TRY(0, args.flags = 0);
	TRY(-EOPNOTSUPP, args.flags = 1);
	TRY(-EOPNOTSUPP, args.__reserved = 1);
	TRY(-EOPNOTSUPP, args.type = IOMMU_VIOMMU_TYPE_DEFAULT);
	TRY(-EOPNOTSUPP, args.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3);
	TRY(-EOPNOTSUPP, args.type = U32_MAX);
	TRY(-ENOENT, args.dev_id = 0);
	TRY(-ENOENT, args.dev_id = bench->parent);
	TRY(-ENOENT, args.hwpt_id = 0);
	TRY(-ENOENT, args.hwpt_id = bench->ioas->obj.id);
	TRY(-ENOENT, args.hwpt_id = nested);
	TRY(-EINVAL, args.hwpt_id = plain);
	TRY(-EINVAL, args.data_len = 1);
	TRY(-EINVAL, args.data_uptr = bench->data);
	TRY(-EINVAL, args.data_uptr = bench->data;
	    args.data_len = PAGE_SIZE + 1);
	/* The mock IOMMU has nothing to be told of. */
	TRY(-EOPNOTSUPP, args.data_uptr = bench->data; args.data_len = PAGE_SIZE);
#undef TRY
	KUNIT_EXPECT_EQ(test, 1, nr_viommus(test));
}

static void starved_allocs_change_nothing(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct iommu_viommu_alloc args;
	unsigned int nth;
	int error;

	mock_need_fail_nth(test);
	for (nth = 1;; nth++) {
		args = (struct iommu_viommu_alloc){
			.size = sizeof(args),
			.type = IOMMU_VIOMMU_TYPE_SELFTEST,
			.dev_id = bench->device->obj.id,
			.hwpt_id = bench->parent,
		};
		mock_fail_nth_begin(nth);
		error = mock_command(test, iommufd_viommu_alloc, &args,
				     sizeof(args));
		if (!mock_fail_nth_end())
			break;
		if (error) {
			/* Copies to user memory are made to fail as well. */
			KUNIT_EXPECT_TRUE(test,
					  error == -ENOMEM || error == -EFAULT);
			/* The parent is not in use. */
			KUNIT_EXPECT_EQ(test, 0, destroy(test, bench->parent));
			bench->parent = make_hwpt(test, bench,
						  IOMMU_HWPT_ALLOC_NEST_PARENT);
		} else {
			KUNIT_EXPECT_EQ(test, 0,
					destroy(test, args.out_viommu_id));
		}
	}
	KUNIT_EXPECT_EQ(test, 0, error);
	KUNIT_EXPECT_GT(test, nth, 1);
}

/* What depends on what ----------------------------------------------------- */

static void uses_go_from_nested_to_parent(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	u32 viommu = make_viommu(test, bench), nested[2];

	KUNIT_EXPECT_EQ(test, -EBUSY, destroy(test, bench->parent));
	KUNIT_ASSERT_EQ(test, 0, try_nested(test, bench, viommu, &nested[0]));
	KUNIT_ASSERT_EQ(test, 0, try_nested(test, bench, viommu, &nested[1]));
	KUNIT_EXPECT_EQ(test, -EBUSY, destroy(test, viommu));
	KUNIT_EXPECT_EQ(test, 0, destroy(test, nested[0]));
	KUNIT_EXPECT_EQ(test, -EBUSY, destroy(test, viommu));
	KUNIT_EXPECT_EQ(test, 0, destroy(test, nested[1]));
	KUNIT_EXPECT_EQ(test, -EBUSY, destroy(test, bench->parent));
	KUNIT_EXPECT_EQ(test, 0, destroy(test, viommu));
	KUNIT_EXPECT_EQ(test, 0, destroy(test, bench->parent));
}

static void the_device_can_leave(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	u32 viommu = make_viommu(test, bench), nested, id;

	unbind(bench);
	KUNIT_EXPECT_EQ(test, -EBUSY, destroy(test, bench->parent));
	bench->device = iommufd_device_bind(mock_ctx(test), &bench->mock->dev,
					    &id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bench->device);
	/* The rest ends when the file is closed. */
	KUNIT_EXPECT_EQ(test, 0, try_nested(test, bench, viommu, &nested));
}

static void another_iommu_is_refused(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	u32 id = make_viommu(test, bench), nested;
	struct iommufd_viommu *viommu = viommu_of(test, id);
	struct iommu_device other = {}, *real = viommu->iommu_dev;

	viommu->iommu_dev = &other;
	KUNIT_EXPECT_EQ(test, -EINVAL, try_nested(test, bench, id, &nested));
	viommu->iommu_dev = real;
	KUNIT_EXPECT_EQ(test, 0, try_nested(test, bench, id, &nested));
}

/* A guest's page table is for devices that the guest knows. */
static void a_device_has_to_be_known(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	u32 id = make_viommu(test, bench), nested, pt_id;
	struct iommufd_viommu *viommu = viommu_of(test, id);

	KUNIT_ASSERT_EQ(test, 0, try_nested(test, bench, id, &nested));
	pt_id = nested;
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommufd_device_attach(bench->device, IOMMU_NO_PASID,
					      &pt_id));
	know_device(test, bench, viommu);
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_device_attach(bench->device, IOMMU_NO_PASID,
					      &pt_id));
	KUNIT_EXPECT_EQ(test, nested, pt_id);
	KUNIT_EXPECT_EQ(test, -EBUSY, destroy(test, nested));
	iommufd_device_detach(bench->device, IOMMU_NO_PASID);
	xa_erase(&viommu->vdevs, VIRT_ID);
}

/* Operations that a driver left out ---------------------------------------- */

static struct lazy_driver {
	struct iommu_ops ops;
	const struct iommu_ops *real;
	struct iommu_device *iommu;
	unsigned int nr_destroyed;
} lazy;

static void lazy_destroy(struct iommufd_viommu *viommu)
{
	lazy.nr_destroyed++;
}

static const struct iommufd_viommu_ops lazy_viommu_ops = {
	.destroy = lazy_destroy,
};

static int lazy_init(struct iommufd_viommu *viommu, struct iommu_domain *parent,
		     const struct iommu_user_data *data)
{
	viommu->ops = &lazy_viommu_ops;
	return 0;
}

static int failing_init(struct iommufd_viommu *viommu,
			struct iommu_domain *parent,
			const struct iommu_user_data *data)
{
	viommu->ops = &lazy_viommu_ops;
	return -ENODEV;
}

static void restore_driver(void *data)
{
	lazy.iommu->ops = lazy.real;
}

static int try_viommu(struct kunit *test, struct bench *bench, u32 *viommu)
{
	struct iommu_viommu_alloc args = {
		.size = sizeof(args),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = bench->device->obj.id,
		.hwpt_id = bench->parent,
	};
	int error = mock_command(test, iommufd_viommu_alloc, &args,
				 sizeof(args));

	*viommu = args.out_viommu_id;
	return error;
}

static void incomplete_drivers_are_refused_L26(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct iommu_hwpt_invalidate invalidate = {
		.size = sizeof(invalidate),
		.data_type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
	};
	u32 viommu, foreign, nested;

	lazy.iommu = bench->mock->dev.iommu->iommu_dev;
	lazy.real = lazy.iommu->ops;
	lazy.ops = *lazy.real;
	lazy.nr_destroyed = 0;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, restore_driver,
							   NULL));
	foreign = bench->parent;
	lazy.iommu->ops = &lazy.ops;
	/* To this driver the parent is not one of its own. */
	KUNIT_EXPECT_EQ(test, -EINVAL, try_viommu(test, bench, &viommu));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			try_nested(test, bench, foreign, &nested));
	bench->parent = make_hwpt(test, bench, IOMMU_HWPT_ALLOC_NEST_PARENT);

	lazy.ops.get_viommu_size = NULL;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, try_viommu(test, bench, &viommu));
	lazy.ops.get_viommu_size = lazy.real->get_viommu_size;
	lazy.ops.viommu_init = NULL;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, try_viommu(test, bench, &viommu));
	/* One that fails has nothing left to undo. */
	lazy.ops.viommu_init = failing_init;
	KUNIT_EXPECT_EQ(test, -ENODEV, try_viommu(test, bench, &viommu));
	KUNIT_EXPECT_EQ(test, 0, lazy.nr_destroyed);

	lazy.ops.viommu_init = lazy_init;
	KUNIT_ASSERT_EQ(test, 0, try_viommu(test, bench, &viommu));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			try_nested(test, bench, viommu, &nested));
	invalidate.hwpt_id = viommu;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			mock_command(test, iommufd_hwpt_invalidate, &invalidate,
				     sizeof(invalidate)));
	KUNIT_EXPECT_EQ(test, 0, destroy(test, viommu));
	KUNIT_EXPECT_EQ(test, 1, lazy.nr_destroyed);
	KUNIT_EXPECT_EQ(test, 0, destroy(test, bench->parent));
	KUNIT_EXPECT_EQ(test, 0, destroy(test, foreign));
}

/* Invalidation -------------------------------------------------------------- */

static void write_entry(struct kunit *test, struct bench *bench, unsigned int i,
			u32 flags, u32 vdev_id, u32 cache_id)
{
	const struct iommu_viommu_invalidate_selftest entry = {
		.flags = flags,
		.vdev_id = vdev_id,
		.cache_id = cache_id,
	};

	KUNIT_ASSERT_EQ(test, 0,
			copy_to_user((void __user *)(bench->data +
						     i * sizeof(entry)),
				     &entry, sizeof(entry)));
}

static int invalidate(struct kunit *test, struct bench *bench, u32 viommu,
		      u32 type, u32 *nr)
{
	struct iommu_hwpt_invalidate args = {
		.size = sizeof(args),
		.hwpt_id = viommu,
		.data_uptr = bench->data,
		.data_type = type,
		.entry_len = sizeof(struct iommu_viommu_invalidate_selftest),
		.entry_num = *nr,
	};
	int error = mock_command(test, iommufd_hwpt_invalidate, &args,
				 sizeof(args));

	*nr = args.entry_num;
	return error;
}

static void expect_caches(struct kunit *test, struct bench *bench, u32 a, u32 b)
{
	KUNIT_EXPECT_EQ(test, a, bench->mock->cache[0]);
	KUNIT_EXPECT_EQ(test, b, bench->mock->cache[MOCK_DEV_CACHE_ID_MAX]);
}

static void entries_are_carried_out_in_order(struct kunit *test)
{
	const u32 type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST;
	const u32 value = IOMMU_TEST_DEV_CACHE_DEFAULT;
	struct bench *bench = make_bench(test);
	u32 id = make_viommu(test, bench), nr;
	struct iommufd_viommu *viommu = viommu_of(test, id);

	/* A device that the guest does not know. */
	write_entry(test, bench, 0, 0, VIRT_ID, 0);
	nr = 1;
	KUNIT_EXPECT_EQ(test, -EINVAL, invalidate(test, bench, id, type, &nr));
	KUNIT_EXPECT_EQ(test, 0, nr);
	know_device(test, bench, viommu);
	expect_caches(test, bench, value, value);
	nr = 1;
	KUNIT_EXPECT_EQ(test, -EINVAL,
			invalidate(test, bench, id,
				   IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID,
				   &nr));
	KUNIT_EXPECT_EQ(test, 0, nr);
	expect_caches(test, bench, value, value);

	/* The second one is wrong: the first is done, the third is not. */
	write_entry(test, bench, 1, 0, VIRT_ID, MOCK_DEV_CACHE_ID_MAX + 1);
	write_entry(test, bench, 2, 0, VIRT_ID, MOCK_DEV_CACHE_ID_MAX);
	nr = 3;
	KUNIT_EXPECT_EQ(test, -EINVAL, invalidate(test, bench, id, type, &nr));
	KUNIT_EXPECT_EQ(test, 1, nr);
	expect_caches(test, bench, 0, value);
	write_entry(test, bench, 1, BIT(5), VIRT_ID, 0);
	nr = 3;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			invalidate(test, bench, id, type, &nr));
	KUNIT_EXPECT_EQ(test, 1, nr);
	write_entry(test, bench, 0, IOMMU_TEST_INVALIDATE_FLAG_ALL, VIRT_ID, 0);
	nr = 1;
	KUNIT_EXPECT_EQ(test, 0, invalidate(test, bench, id, type, &nr));
	KUNIT_EXPECT_EQ(test, 1, nr);
	expect_caches(test, bench, 0, 0);
	xa_erase(&viommu->vdevs, VIRT_ID);
}

static struct kunit_case viommu_cases[] = {
	KUNIT_CASE(arguments_are_checked_L62),
	KUNIT_CASE(starved_allocs_change_nothing),
	KUNIT_CASE(uses_go_from_nested_to_parent),
	KUNIT_CASE(the_device_can_leave),
	KUNIT_CASE(another_iommu_is_refused),
	KUNIT_CASE(a_device_has_to_be_known),
	KUNIT_CASE(incomplete_drivers_are_refused_L26),
	KUNIT_CASE(entries_are_carried_out_in_order),
	{}
};

static struct kunit_suite viommu_suite = {
	.name = "iommufd_viommu",
	.init = mock_test_init,
	.test_cases = viommu_cases,
};

kunit_test_suite(viommu_suite);
