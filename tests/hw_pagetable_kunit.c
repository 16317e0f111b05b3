// SPDX-License-Identifier: GPL-2.0-only
/*
 * HWPT_ALLOC with every combination of flags, data and object, on devices of
 * three kinds; HWPT_INVALIDATE; and what nested HWPTs do to their parent.
 *
 * What should come out of a combination is said here as a list of rules, the
 * first that applies decides. It shares nothing with the table of the code.
 */
#include <kunit/test.h>
#include <linux/iommu.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "../iommufd_private.h"
#include "../iommufd_test.h"
#include "mock.h"

/* What pt_id can name. */
enum parent {
	PARENT_NOTHING,
	PARENT_IOAS,
	PARENT_PLAIN_HWPT,
	PARENT_NEST_HWPT,
	PARENT_VIOMMU,
	PARENT_NESTED_HWPT,
	PARENT_DEVICE,
	NR_PARENTS,
};

/**
 * struct bench - an address space with an area, a device, HWPTs
 * @ioas: the address space
 * @mock: the device behind the mock IOMMU
 * @device: the same, bound
 * @data: the address of a struct iommu_hwpt_selftest in user memory, which is
 *	followed by zeroes up to the end of a second page
 * @ids: what pt_id can name
 */
struct bench {
	struct iommufd_ioas *ioas;
	struct mock_device *mock;
	struct iommufd_device *device;
	unsigned long data;
	u32 ids[NR_PARENTS];
};

static void unbind_device(void *device)
{
	iommufd_device_unbind(device);
}

static struct iommu_hwpt_alloc args_for(struct bench *bench, u32 pt_id,
					u32 flags, u32 type)
{
	return (struct iommu_hwpt_alloc){
		.size = sizeof(struct iommu_hwpt_alloc),
		.flags = flags,
		.dev_id = bench->device->obj.id,
		.pt_id = pt_id,
		.data_type = type,
		.data_len = type ? sizeof(struct iommu_hwpt_selftest) : 0,
		.data_uptr = type ? bench->data : 0,
	};
}

static int alloc(struct kunit *test, struct iommu_hwpt_alloc *args)
{
	return mock_command(test, iommufd_hwpt_alloc, args, sizeof(*args));
}

static u32 make_hwpt(struct kunit *test, struct bench *bench, u32 pt_id,
		     u32 flags, u32 type)
{
	struct iommu_hwpt_alloc args = args_for(bench, pt_id, flags, type);

	KUNIT_ASSERT_EQ(test, 0, alloc(test, &args));
	return args.out_hwpt_id;
}

static int destroy(struct kunit *test, u32 id)
{
	return iommufd_object_destroy(mock_ctx(test), id);
}

static struct bench *make_bench(struct kunit *test, u32 device_flags)
{
	const struct iommu_hwpt_selftest data = {
		.iotlb = IOMMU_TEST_IOTLB_DEFAULT,
	};
	struct bench *bench;
	u32 id;

	bench = kunit_kzalloc(test, sizeof(*bench), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bench);
	bench->data = mock_user_memory(test, 2, 0);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user((void __user *)bench->data, &data,
					      sizeof(data)));
	bench->ioas = mock_ioas(test);
	KUNIT_ASSERT_EQ(test, 0, mock_map(test, bench->ioas, bench->data,
					  MOCK_APERTURE_START, PAGE_SIZE,
					  MOCK_RW));
	bench->mock = mock_device(test, 0, device_flags);
	bench->device = iommufd_device_bind(mock_ctx(test), &bench->mock->dev,
					    &id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bench->device);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unbind_device,
							   bench->device));
	return bench;
}

static void make_parents(struct kunit *test, struct bench *bench)
{
	u32 ioas_id = bench->ioas->obj.id;

	bench->ids[PARENT_NOTHING] = INT_MAX;
	bench->ids[PARENT_IOAS] = ioas_id;
	bench->ids[PARENT_DEVICE] = bench->device->obj.id;
	bench->ids[PARENT_PLAIN_HWPT] = make_hwpt(test, bench, ioas_id, 0, 0);
	bench->ids[PARENT_NEST_HWPT] =
		make_hwpt(test, bench, ioas_id, IOMMU_HWPT_ALLOC_NEST_PARENT, 0);
	bench->ids[PARENT_VIOMMU] =
		mock_viommu(test, bench->device->obj.id,
			    bench->ids[PARENT_NEST_HWPT]);
	bench->ids[PARENT_NESTED_HWPT] =
		make_hwpt(test, bench, bench->ids[PARENT_NEST_HWPT], 0,
			  IOMMU_HWPT_DATA_SELFTEST);
}

/* How many objects there are of a type. */
static int nr_objects(struct kunit *test, enum iommufd_object_type type)
{
	return atomic_read(&mock_ctx(test)->nr_objects[type]);
}

/* HWPT_ALLOC --------------------------------------------------------------- */

#define FLAG_BITS 5
#define KNOWN_FLAGS 0xf

static int rule(u32 flags, u32 type, enum parent parent, bool no_dirty)
{
	if (flags & ~KNOWN_FLAGS)
		return -EOPNOTSUPP;
	if (flags & IOMMU_HWPT_ALLOC_NEST_PARENT &&
	    flags & IOMMU_HWPT_FAULT_ID_VALID)
		return -EOPNOTSUPP;
	if (parent == PARENT_NOTHING)
		return -ENOENT;
	if (parent == PARENT_DEVICE || parent == PARENT_NESTED_HWPT)
		return -EINVAL;
	if (parent != PARENT_IOAS) {
		if (flags & (IOMMU_HWPT_ALLOC_NEST_PARENT |
			     IOMMU_HWPT_ALLOC_DIRTY_TRACKING))
			return -EOPNOTSUPP;
		if (!type || parent == PARENT_PLAIN_HWPT)
			return -EINVAL;
	}
	if (type && type != IOMMU_HWPT_DATA_SELFTEST)
		return -EOPNOTSUPP;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING && no_dirty)
		return -EOPNOTSUPP;
	/* All is well, but there is no such queue. */
	if (flags & IOMMU_HWPT_FAULT_ID_VALID)
		return -ENOENT;
	return 0;
}

static void check_hwpt(struct kunit *test, struct bench *bench, u32 id,
		       u32 flags, enum parent parent)
{
	struct iommufd_object *object =
		iommufd_object_get(mock_ctx(test), id, IOMMUFD_OBJ_ANY);
	struct iommufd_hw_pagetable *hwpt;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, object);
	hwpt = to_hw_pagetable(object);
	KUNIT_EXPECT_EQ(test, object->type, parent == PARENT_IOAS ?
			IOMMUFD_OBJ_HWPT_PAGING : IOMMUFD_OBJ_HWPT_NESTED);
	KUNIT_EXPECT_PTR_EQ(test, hwpt->domain->iommufd_hwpt, hwpt);
	KUNIT_EXPECT_PTR_EQ(test, hwpt->paging->ioas, bench->ioas);
	KUNIT_EXPECT_EQ(test, !!(flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING),
			!!hwpt->domain->dirty_ops);
	iommufd_object_put(mock_ctx(test), object);
}

static void check_combination(struct kunit *test, struct bench *bench,
			      u32 flags, u32 type, enum parent parent)
{
	struct iommu_hwpt_alloc args =
		args_for(bench, bench->ids[parent], flags, type);
	bool no_dirty = bench->mock->flags & MOCK_FLAGS_DEVICE_NO_DIRTY;
	int paging = nr_objects(test, IOMMUFD_OBJ_HWPT_PAGING);
	int nested = nr_objects(test, IOMMUFD_OBJ_HWPT_NESTED);
	int expected = rule(flags, type, parent, no_dirty);

	KUNIT_EXPECT_EQ_MSG(test, expected, alloc(test, &args),
			    "flags %x type %x parent %u", flags, type, parent);
	if (!expected) {
		check_hwpt(test, bench, args.out_hwpt_id, flags, parent);
		KUNIT_EXPECT_EQ(test, 0, destroy(test, args.out_hwpt_id));
	}
	KUNIT_EXPECT_EQ(test, paging,
			nr_objects(test, IOMMUFD_OBJ_HWPT_PAGING));
	KUNIT_EXPECT_EQ(test, nested,
			nr_objects(test, IOMMUFD_OBJ_HWPT_NESTED));
}

static void all_combinations_L25(struct kunit *test)
{
	static const u32 types[] = {
		IOMMU_HWPT_DATA_NONE, IOMMU_HWPT_DATA_VTD_S1,
		IOMMU_HWPT_DATA_ARM_SMMUV3, IOMMU_HWPT_DATA_AMD_GUEST,
		IOMMU_HWPT_DATA_SELFTEST, U32_MAX,
	};
	const u32 *device_flags = test->param_value;
	struct bench *bench = make_bench(test, *device_flags);
	enum parent parent;
	unsigned int i;
	u32 flags;

	make_parents(test, bench);
	for (flags = 0; flags < BIT(FLAG_BITS); flags++)
		for (i = 0; i < ARRAY_SIZE(types); i++)
			for (parent = 0; parent < NR_PARENTS; parent++)
				check_combination(test, bench, flags, types[i],
						  parent);
	check_combination(test, bench, BIT(31), 0, PARENT_IOAS);
}

static void contradictions_are_refused_L62(struct kunit *test)
{
	struct bench *bench = make_bench(test, 0);
	const struct iommu_hwpt_alloc good =
		args_for(bench, bench->ioas->obj.id, 0, IOMMU_HWPT_DATA_SELFTEST);
	struct iommu_hwpt_alloc args;

#define TRY(result, ...)                                                       \
	do {                                                                   \
		args = good;                                                   \
		__VA_ARGS__;                                                   \
		KUNIT_EXPECT_EQ(test, result, alloc(test, &args));             \
	} while (0)
	TRY(0, args.__reserved = 0);
	TRY(-EINVAL, args.data_len = 0);
	TRY(-EINVAL, args.data_type = 0);
	TRY(-EINVAL, args.data_type = 0; args.data_len = 0);
	TRY(-EINVAL, args.data_type = 0; args.data_uptr = 0);
	TRY(0, args.data_type = 0; args.data_len = 0; args.data_uptr = 0);
	TRY(-EFAULT, args.data_uptr = 0);
	TRY(-EFAULT, args.data_uptr = U64_MAX);
	TRY(-EINVAL, args.data_len = 1);
	TRY(-EINVAL, args.data_len = 7);
	TRY(0, args.data_len = 8);
	TRY(-EINVAL, args.data_len = 9);
	TRY(-EINVAL, args.data_len = PAGE_SIZE);
	TRY(-EINVAL, args.data_len = PAGE_SIZE + 1);
	TRY(-EINVAL, args.data_len = U32_MAX);
	TRY(-EOPNOTSUPP, args.__reserved = 1);
	TRY(-EOPNOTSUPP, args.__reserved2 = 1);
	TRY(-EOPNOTSUPP, args.fault_id = 1);
	TRY(-ENOENT, args.dev_id = 0);
	TRY(-ENOENT, args.dev_id = bench->ioas->obj.id);
#undef TRY
}

static void starved_allocs_change_nothing(struct kunit *test)
{
	struct bench *bench = make_bench(test, 0);
	struct iommu_hwpt_alloc args;
	enum parent parent;
	unsigned int nth;
	int error = 0;

	mock_need_fail_nth(test);
	make_parents(test, bench);
	for (parent = PARENT_IOAS; parent <= PARENT_VIOMMU; parent++) {
		if (parent == PARENT_PLAIN_HWPT)
			continue;
		for (nth = 1; nth < 500; nth++) {
			int nested = nr_objects(test, IOMMUFD_OBJ_HWPT_NESTED);
			int paging = nr_objects(test, IOMMUFD_OBJ_HWPT_PAGING);

			args = args_for(bench, bench->ids[parent], 0,
					IOMMU_HWPT_DATA_SELFTEST);
			mock_fail_nth_begin(nth);
			error = alloc(test, &args);
			if (!mock_fail_nth_end())
				break;
			if (!error) {
				KUNIT_EXPECT_EQ(test, 0,
						destroy(test, args.out_hwpt_id));
				continue;
			}
			/* Copies of user memory are made to fail as well. */
			KUNIT_EXPECT_TRUE(test,
					  error == -ENOMEM || error == -EFAULT);
			KUNIT_EXPECT_EQ(test, nested,
					nr_objects(test, IOMMUFD_OBJ_HWPT_NESTED));
			KUNIT_EXPECT_EQ(test, paging,
					nr_objects(test, IOMMUFD_OBJ_HWPT_PAGING));
			ioas_verify(bench->ioas);
		}
		KUNIT_EXPECT_EQ(test, 0, error);
		KUNIT_EXPECT_GT(test, nth, 2);
	}
}

/* Operations that a driver left out --------------------------------------- */

/**
 * struct lazy_driver - the mock driver without something
 * @ops: its operations
 * @domain_ops: those of the nested domains that it makes
 * @dirty_ops: those of paging domains
 * @real: the operations that it is put in place of
 * @iommu: the device's IOMMU
 */
static struct lazy_driver {
	struct iommu_ops ops;
	struct iommu_domain_ops domain_ops;
	struct iommu_dirty_ops dirty_ops;
	const struct iommu_ops *real;
	struct iommu_device *iommu;
} lazy;

static struct iommu_domain *
lazy_alloc_nested(struct device *dev, struct iommu_domain *parent, u32 flags,
		  const struct iommu_user_data *data)
{
	struct iommu_domain *domain =
		lazy.real->domain_alloc_nested(dev, parent, flags, data);

	if (!IS_ERR(domain)) {
		lazy.domain_ops.free = domain->ops->free;
		domain->ops = &lazy.domain_ops;
	}
	return domain;
}

static struct iommu_domain *
lazy_alloc_paging(struct device *dev, u32 flags,
		  const struct iommu_user_data *data)
{
	struct iommu_domain *domain =
		lazy.real->domain_alloc_paging_flags(dev, flags, data);

	if (!IS_ERR(domain))
		domain->dirty_ops = &lazy.dirty_ops;
	return domain;
}

static void restore_driver(void *data)
{
	lazy.iommu->ops = lazy.real;
}

static void incomplete_drivers_are_refused_L26(struct kunit *test)
{
	struct bench *bench = make_bench(test, 0);
	struct iommu_hwpt_alloc nested, dirty;

	make_parents(test, bench);
	nested = args_for(bench, bench->ids[PARENT_NEST_HWPT], 0,
			  IOMMU_HWPT_DATA_SELFTEST);
	dirty = args_for(bench, bench->ids[PARENT_IOAS],
			 IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0);
	lazy.iommu = bench->mock->dev.iommu->iommu_dev;
	lazy.real = lazy.iommu->ops;
	lazy.ops = *lazy.real;
	lazy.ops.domain_alloc_nested = lazy_alloc_nested;
	lazy.ops.domain_alloc_paging_flags = lazy_alloc_paging;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, restore_driver,
							   NULL));
	lazy.iommu->ops = &lazy.ops;
	nested.pt_id = make_hwpt(test, bench, dirty.pt_id,
				 IOMMU_HWPT_ALLOC_NEST_PARENT, 0);

	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, alloc(test, &nested));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, alloc(test, &dirty));
	dirty.data_type = IOMMU_HWPT_DATA_SELFTEST;
	dirty.data_len = sizeof(struct iommu_hwpt_selftest);
	dirty.data_uptr = bench->data;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, alloc(test, &dirty));
	lazy.ops.domain_alloc_nested = NULL;
	lazy.ops.domain_alloc_paging_flags = NULL;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, alloc(test, &nested));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, alloc(test, &dirty));
}

/* Nested HWPTs ------------------------------------------------------------- */

static void nested_depends_on_its_parent(struct kunit *test)
{
	const struct iova_range region = { SZ_512M, SZ_512M + SZ_64K - 1 };
	struct bench *bench = make_bench(test, 0);
	u32 nested, pt_id;

	make_parents(test, bench);
	nested = bench->ids[PARENT_NESTED_HWPT];
	KUNIT_ASSERT_EQ(test, 0, mock_device_reserve(bench->mock, region,
						     IOMMU_RESV_RESERVED));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			destroy(test, bench->ids[PARENT_NEST_HWPT]));
	pt_id = nested;
	KUNIT_ASSERT_EQ(test, 0, iommufd_device_attach(bench->device,
						       IOMMU_NO_PASID, &pt_id));
	KUNIT_EXPECT_EQ(test, nested, pt_id);
	KUNIT_EXPECT_EQ(test, -EBUSY, destroy(test, nested));
	/* The device's rules are the parent's. */
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mock_map(test, bench->ioas, bench->data, SZ_512M,
				 PAGE_SIZE, MOCK_RW));
	pt_id = bench->ids[PARENT_NEST_HWPT];
	KUNIT_EXPECT_EQ(test, 0, iommufd_device_replace(bench->device,
							IOMMU_NO_PASID, &pt_id));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mock_map(test, bench->ioas, bench->data, SZ_512M,
				 PAGE_SIZE, MOCK_RW));
	pt_id = nested;
	KUNIT_EXPECT_EQ(test, 0, iommufd_device_replace(bench->device,
							IOMMU_NO_PASID, &pt_id));
	iommufd_device_detach(bench->device, IOMMU_NO_PASID);
	KUNIT_EXPECT_EQ(test, 0,
			mock_map(test, bench->ioas, bench->data, SZ_512M,
				 PAGE_SIZE, MOCK_RW));
	KUNIT_EXPECT_EQ(test, 0, destroy(test, nested));
	KUNIT_EXPECT_EQ(test, 0, destroy(test, bench->ids[PARENT_VIOMMU]));
	KUNIT_EXPECT_EQ(test, 0, destroy(test, bench->ids[PARENT_NEST_HWPT]));
}

/* HWPT_INVALIDATE ---------------------------------------------------------- */

#define ENTRIES_MAX BIT(19)

/* Returns what the command does; entry_num is answered in user memory. */
static int invalidate(struct kunit *test, struct iommu_hwpt_invalidate *args)
{
	return mock_command(test, iommufd_hwpt_invalidate, args, sizeof(*args));
}

static void ceilings_of_invalidate_L36(struct kunit *test)
{
	struct bench *bench = make_bench(test, 0);
	struct iommu_hwpt_invalidate args, good;

	make_parents(test, bench);
	good = (struct iommu_hwpt_invalidate){
		.size = sizeof(good),
		.hwpt_id = bench->ids[PARENT_NESTED_HWPT],
		.data_uptr = bench->data + PAGE_SIZE,
		.data_type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
		.entry_len = sizeof(struct iommu_hwpt_invalidate_selftest),
		.entry_num = 2,
	};
#define TRY(result, nr, ...)                                                   \
	do {                                                                   \
		args = good;                                                   \
		__VA_ARGS__;                                                   \
		KUNIT_EXPECT_EQ(test, result, invalidate(test, &args));        \
		KUNIT_EXPECT_EQ(test, nr, args.entry_num);                     \
	} while (0)
	TRY(0, 2, args.__reserved = 0);
	TRY(-EINVAL, 0, args.entry_len = PAGE_SIZE);
	TRY(-EINVAL, 0, args.entry_len = PAGE_SIZE + 1);
	TRY(-EINVAL, 0, args.entry_len = U32_MAX);
	TRY(-EINVAL, 0, args.entry_len = 0);
	TRY(-EINVAL, 0, args.entry_len = 1);
	TRY(-EINVAL, 0, args.data_uptr = 0);
	TRY(-EFAULT, 0, args.data_uptr = TASK_SIZE);
	TRY(-EINVAL, 0, args.entry_num = ENTRIES_MAX + 1);
	TRY(-EINVAL, 0, args.entry_num = U32_MAX);
	TRY(-EOPNOTSUPP, 0, args.__reserved = 1);
	TRY(-EINVAL, 0, args.data_type = 1);
	TRY(-ENOENT, 0, args.hwpt_id = 0);
	TRY(-EINVAL, 0, args.hwpt_id = bench->ids[PARENT_NEST_HWPT]);
	TRY(-EINVAL, 0, args.hwpt_id = bench->ids[PARENT_IOAS]);
	/* None at all: nothing but the type matters. */
	TRY(0, 0, args.entry_num = 0; args.entry_len = 0; args.data_uptr = 0);
	TRY(0, 0, args.entry_num = 0; args.entry_len = U32_MAX);
	TRY(-EINVAL, 0, args.entry_num = 0; args.data_type = 1);
	/* A page has room for so many; the rest is not there. */
	TRY(-EFAULT, PAGE_SIZE / good.entry_len, args.entry_num = ENTRIES_MAX);
#undef TRY
}

/* Some thousand entries, one of which is wrong: the count says which. */
static void handled_entries_are_counted(struct kunit *test)
{
	static const u32 bad[] = { 0, 1, 1023, 1024, 1025, 4094, 4095, 4096 };
	const u32 nr = 4096, bytes = sizeof(struct iommu_hwpt_invalidate_selftest);
	struct bench *bench = make_bench(test, 0);
	struct iommu_hwpt_invalidate args;
	u8 __user *entries;
	unsigned int i;

	make_parents(test, bench);
	entries = (u8 __user *)mock_user_memory(test, nr * bytes / PAGE_SIZE + 1,
						0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		const u32 flag = BIT(7);

		KUNIT_ASSERT_EQ(test, 0,
				copy_to_user(entries + bad[i] * bytes, &flag,
					     sizeof(flag)));
		args = (struct iommu_hwpt_invalidate){
			.size = sizeof(args),
			.hwpt_id = bench->ids[PARENT_NESTED_HWPT],
			.data_uptr = (unsigned long)entries,
			.data_type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
			.entry_len = bytes,
			.entry_num = nr,
		};
		KUNIT_EXPECT_EQ(test, bad[i] < nr ? -EOPNOTSUPP : 0,
				invalidate(test, &args));
		KUNIT_EXPECT_EQ(test, bad[i], args.entry_num);
		KUNIT_ASSERT_EQ(test, 0,
				clear_user(entries + bad[i] * bytes, bytes));
	}
}

static const u32 device_kinds[] = {
	0, MOCK_FLAGS_DEVICE_NO_DIRTY, MOCK_FLAGS_DEVICE_PASID,
};

static void describe_kind(const u32 *flags, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "device-flags-%u", *flags);
}

KUNIT_ARRAY_PARAM(device_kind, device_kinds, describe_kind);

static struct kunit_case hw_pagetable_cases[] = {
	KUNIT_CASE_PARAM(all_combinations_L25, device_kind_gen_params),
	KUNIT_CASE(contradictions_are_refused_L62),
	KUNIT_CASE(starved_allocs_change_nothing),
	KUNIT_CASE(incomplete_drivers_are_refused_L26),
	KUNIT_CASE(nested_depends_on_its_parent),
	KUNIT_CASE(ceilings_of_invalidate_L36),
	KUNIT_CASE(handled_entries_are_counted),
	{}
};

static struct kunit_suite hw_pagetable_suite = {
	.name = "iommufd_hw_pagetable",
	.init = mock_test_init,
	.test_cases = hw_pagetable_cases,
};

kunit_test_suite(hw_pagetable_suite);
