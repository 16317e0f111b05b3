// SPDX-License-Identifier: GPL-2.0-only
/*
 * PASIDs: what may be attached next to what, groups, failures, and ends.
 *
 * What the mock IOMMU has really set up is compared after each step: for each
 * device, the domain of plain requests and that of the PASID. Reserved ranges
 * and the counts of objects tell whether a step that failed left anything.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "../iommufd_private.h"
#include "../iommufd_test.h"
#include "mock.h"

#define SHARED_GROUP 13
#define NR_MEMBERS 2
#define PASID 100
#define REGION_IOVA (MOCK_APERTURE_START + SZ_1M)

/* What can be attached. */
enum target { NOTHING, IOAS, PLAIN_0, COMPAT_0, COMPAT_1, NR_TARGETS };

/**
 * struct bench - devices with PASIDs, in one group, and page tables
 * @mocks: the devices
 * @devices: the same, bound
 * @pasid_attached: on which device PASID is attached
 * @attached: which devices are
 * @ioas: what the page tables follow, by the number in their name
 * @ids: of each target
 */
struct bench {
	struct mock_device *mocks[NR_MEMBERS];
	struct iommufd_device *devices[NR_MEMBERS];
	bool pasid_attached[NR_MEMBERS];
	bool attached[NR_MEMBERS];
	struct iommufd_ioas *ioas[2];
	u32 ids[NR_TARGETS];
};

static void detach_pasid(struct bench *bench, unsigned int i)
{
	if (bench->pasid_attached[i])
		iommufd_device_detach(bench->devices[i], PASID);
	bench->pasid_attached[i] = false;
}

static void detach(struct bench *bench, unsigned int i)
{
	if (bench->attached[i])
		iommufd_device_detach(bench->devices[i], IOMMU_NO_PASID);
	bench->attached[i] = false;
}

static void end_devices(void *data)
{
	struct bench *bench = data;
	unsigned int i;

	for (i = 0; i < NR_MEMBERS; i++) {
		detach_pasid(bench, i);
		detach(bench, i);
	}
	for (i = 0; i < NR_MEMBERS; i++)
		if (bench->devices[i])
			iommufd_device_unbind(bench->devices[i]);
	for (i = 0; i < NR_MEMBERS; i++)
		if (bench->mocks[i])
			mock_device_destroy(bench->mocks[i]);
}

static void make_device(struct kunit *test, struct bench *bench,
			unsigned int i)
{
	const struct iova_range region = {
		REGION_IOVA + i * SZ_1M,
		REGION_IOVA + i * SZ_1M + SZ_64K - 1,
	};
	struct iommufd_device *device;
	struct mock_device *mock;
	u32 id;

	mock = mock_device_create(SHARED_GROUP, MOCK_FLAGS_DEVICE_PASID);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mock);
	bench->mocks[i] = mock;
	KUNIT_ASSERT_EQ(test, 0, mock_device_reserve(mock, region,
						     IOMMU_RESV_RESERVED));
	device = iommufd_device_bind(mock_ctx(test), &mock->dev, &id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, device);
	bench->devices[i] = device;
}

static u32 make_hwpt(struct kunit *test, struct bench *bench,
		     struct iommufd_ioas *ioas, u32 flags, u32 fault_id)
{
	struct iommu_hwpt_alloc args = {
		.size = sizeof(args),
		.flags = flags,
		.dev_id = bench->devices[0]->obj.id,
		.pt_id = ioas->obj.id,
		.fault_id = fault_id,
	};

	KUNIT_ASSERT_EQ(test, 0, mock_command(test, iommufd_hwpt_alloc, &args,
					      sizeof(args)));
	return args.out_hwpt_id;
}

static struct bench *make_bench(struct kunit *test)
{
	struct bench *bench;
	unsigned int i;

	bench = kunit_kzalloc(test, sizeof(*bench), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bench);
	for (i = 0; i < 2; i++)
		bench->ioas[i] = mock_ioas(test);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, end_devices, bench));
	for (i = 0; i < NR_MEMBERS; i++)
		make_device(test, bench, i);
	bench->ids[IOAS] = bench->ioas[0]->obj.id;
	bench->ids[PLAIN_0] = make_hwpt(test, bench, bench->ioas[0], 0, 0);
	for (i = 0; i < 2; i++)
		bench->ids[COMPAT_0 + i] = make_hwpt(test, bench,
						     bench->ioas[i],
						     IOMMU_HWPT_ALLOC_PASID, 0);
	return bench;
}

static int attach(struct bench *bench, unsigned int i, enum target target)
{
	u32 pt_id = bench->ids[target];
	int error = iommufd_device_attach(bench->devices[i], IOMMU_NO_PASID,
					  &pt_id);

	bench->attached[i] |= !error;
	return error;
}

static int replace(struct bench *bench, unsigned int i, enum target target)
{
	u32 pt_id = bench->ids[target];

	return iommufd_device_replace(bench->devices[i], IOMMU_NO_PASID,
				      &pt_id);
}

static int attach_pasid(struct bench *bench, unsigned int i,
			enum target target)
{
	u32 pt_id = bench->ids[target];
	int error = iommufd_device_attach(bench->devices[i], PASID, &pt_id);

	bench->pasid_attached[i] |= !error;
	return error;
}

static int replace_pasid(struct bench *bench, unsigned int i,
			 enum target target)
{
	u32 pt_id = bench->ids[target];

	return iommufd_device_replace(bench->devices[i], PASID, &pt_id);
}

static struct iommu_domain *target_domain(struct kunit *test,
					  struct bench *bench,
					  enum target target)
{
	struct iommufd_object *object;
	struct iommu_domain *domain;

	if (target == NOTHING)
		return NULL;
	object = iommufd_object_get(mock_ctx(test), bench->ids[target],
				    IOMMUFD_OBJ_HWPT_PAGING);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, object);
	domain = container_of(object, struct iommufd_hw_pagetable, obj)->domain;
	iommufd_object_put(mock_ctx(test), object);
	return domain;
}

/* Ranges that devices reserve; page tables have theirs elsewhere. */
static unsigned long count_reserved(struct iommufd_ioas *ioas)
{
	const unsigned long last = REGION_IOVA + NR_MEMBERS * SZ_1M - 1;
	struct interval_tree_node *node;
	unsigned long nr = 0;

	guard(rwsem_read)(&ioas->areas_rwsem);
	for (node = interval_tree_iter_first(&ioas->reserved, REGION_IOVA,
					     last);
	     node; node = interval_tree_iter_next(node, REGION_IOVA, last))
		nr++;
	return nr;
}

/* The PASID is on @target for the whole group, for @nr_members of it. */
static void expect_pasid(struct kunit *test, struct bench *bench,
			 enum target target, unsigned int nr_members)
{
	struct iommu_domain *domain = target_domain(test, bench, target);
	unsigned int i;

	for (i = 0; i < NR_MEMBERS; i++)
		KUNIT_EXPECT_PTR_EQ(test, domain,
				    mock_device_pasid_domain(bench->mocks[i],
							     PASID));
	KUNIT_EXPECT_EQ(test, target == COMPAT_0 ? nr_members : 0,
			count_reserved(bench->ioas[0]));
	KUNIT_EXPECT_EQ(test, target == COMPAT_1 ? nr_members : 0,
			count_reserved(bench->ioas[1]));
	scoped_guard(mutex, &bench->devices[0]->group->lock)
		iommufd_group_verify(bench->devices[0]->group);
}

/* What may be attached next to what ---------------------------------------- */

static bool is_compat(enum target target)
{
	return target == COMPAT_0 || target == COMPAT_1;
}

static void check_pair(struct kunit *test, struct bench *bench,
		       enum target plain, enum target pasid)
{
	bool permitted = is_compat(pasid) &&
			 (plain == NOTHING || is_compat(plain));

	if (plain != NOTHING)
		KUNIT_ASSERT_EQ(test, 0, attach(bench, 0, plain));
	KUNIT_EXPECT_EQ_MSG(test, permitted ? 0 : -EINVAL,
			    attach_pasid(bench, 0, pasid), "%u next to %u",
			    pasid, plain);
	KUNIT_EXPECT_PTR_EQ(test,
			    permitted ? target_domain(test, bench, pasid) :
					NULL,
			    mock_device_pasid_domain(bench->mocks[0], PASID));
	detach_pasid(bench, 0);
	detach(bench, 0);

	/* The other way round. */
	if (plain == NOTHING || !is_compat(pasid))
		return;
	KUNIT_ASSERT_EQ(test, 0, attach_pasid(bench, 0, pasid));
	KUNIT_EXPECT_EQ(test, permitted ? 0 : -EINVAL, attach(bench, 0, plain));
	/* It is the group that has PASIDs. */
	KUNIT_EXPECT_EQ(test, permitted ? 0 : -EINVAL, attach(bench, 1, plain));
	detach(bench, 0);
	detach(bench, 1);
	detach_pasid(bench, 0);
}

static void each_pair_L25(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	enum target plain, pasid;

	for (plain = NOTHING; plain < NR_TARGETS; plain++)
		for (pasid = IOAS; pasid < NR_TARGETS; pasid++)
			check_pair(test, bench, plain, pasid);
	expect_pasid(test, bench, NOTHING, 0);
}

static void replace_keeps_the_rule(struct kunit *test)
{
	struct bench *bench = make_bench(test);

	KUNIT_ASSERT_EQ(test, 0, attach(bench, 0, PLAIN_0));
	KUNIT_EXPECT_EQ(test, -EINVAL, attach_pasid(bench, 0, COMPAT_0));
	KUNIT_EXPECT_EQ(test, 0, replace(bench, 0, COMPAT_0));
	KUNIT_EXPECT_EQ(test, 0, attach_pasid(bench, 0, COMPAT_0));
	KUNIT_EXPECT_EQ(test, -EINVAL, replace(bench, 0, PLAIN_0));
	KUNIT_EXPECT_EQ(test, -EINVAL, replace(bench, 0, IOAS));
	KUNIT_EXPECT_EQ(test, 0, replace(bench, 0, COMPAT_1));
	KUNIT_EXPECT_EQ(test, -EINVAL, replace_pasid(bench, 0, PLAIN_0));
	KUNIT_EXPECT_EQ(test, -EINVAL, replace_pasid(bench, 0, IOAS));
	KUNIT_EXPECT_EQ(test, 0, replace_pasid(bench, 0, COMPAT_1));
	KUNIT_EXPECT_PTR_EQ(test, target_domain(test, bench, COMPAT_1),
			    mock_device_domain(bench->mocks[0]));
	detach_pasid(bench, 0);
	KUNIT_EXPECT_EQ(test, 0, replace(bench, 0, IOAS));
}

static void bounds_are_checked(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct iommufd_device *device = bench->devices[0];
	u32 pt_id = bench->ids[COMPAT_0];

	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommufd_device_attach(device, BIT(MOCK_PASID_WIDTH),
					      &pt_id));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommufd_device_attach(device, U32_MAX, &pt_id));
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_device_attach(device, BIT(MOCK_PASID_WIDTH) - 1,
					      &pt_id));
	KUNIT_EXPECT_EQ(test, bench->ids[COMPAT_0], pt_id);
	iommufd_device_detach(device, BIT(MOCK_PASID_WIDTH) - 1);
	pt_id = 0;
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommufd_device_attach(device, PASID, &pt_id));
	pt_id = device->obj.id;
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommufd_device_attach(device, PASID, &pt_id));
	expect_pasid(test, bench, NOTHING, 0);
}

static void width_is_reported(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct iommu_hw_info args = {
		.size = sizeof(args),
		.dev_id = bench->devices[0]->obj.id,
	};

	KUNIT_ASSERT_EQ(test, 0, mock_command(test, iommufd_hw_info, &args,
					      sizeof(args)));
	KUNIT_EXPECT_EQ(test, MOCK_PASID_WIDTH, args.out_max_pasid_log2);
	KUNIT_EXPECT_EQ(test, 0,
			args.out_capabilities & (IOMMU_HW_CAP_PCI_PASID_EXEC |
						 IOMMU_HW_CAP_PCI_PASID_PRIV));
}

/* Groups ------------------------------------------------------------------ */

static void a_group_moves_as_one(struct kunit *test)
{
	struct bench *bench = make_bench(test);

	KUNIT_EXPECT_EQ(test, -EINVAL, replace_pasid(bench, 0, COMPAT_0));
	KUNIT_ASSERT_EQ(test, 0, attach_pasid(bench, 0, COMPAT_0));
	expect_pasid(test, bench, COMPAT_0, 1);
	KUNIT_EXPECT_EQ(test, -EBUSY, attach_pasid(bench, 0, COMPAT_0));
	KUNIT_EXPECT_EQ(test, -EBUSY, attach_pasid(bench, 0, COMPAT_1));
	KUNIT_EXPECT_EQ(test, -EINVAL, attach_pasid(bench, 1, COMPAT_1));
	KUNIT_EXPECT_EQ(test, -EINVAL, replace_pasid(bench, 1, COMPAT_1));
	KUNIT_EXPECT_EQ(test, 0, attach_pasid(bench, 1, COMPAT_0));
	expect_pasid(test, bench, COMPAT_0, 2);
	KUNIT_EXPECT_EQ(test, 0, replace_pasid(bench, 1, COMPAT_1));
	expect_pasid(test, bench, COMPAT_1, 2);
	KUNIT_EXPECT_EQ(test, 0, replace_pasid(bench, 0, COMPAT_1));
	/* Whoever leaves first, the other one is still there. */
	detach_pasid(bench, 0);
	expect_pasid(test, bench, COMPAT_1, 1);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommufd_object_destroy(mock_ctx(test),
					       bench->ids[COMPAT_1]));
	KUNIT_EXPECT_EQ(test, 0, replace_pasid(bench, 1, COMPAT_0));
	expect_pasid(test, bench, COMPAT_0, 1);
	detach_pasid(bench, 1);
	expect_pasid(test, bench, NOTHING, 0);
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_object_destroy(mock_ctx(test),
					       bench->ids[COMPAT_1]));
}

/* A device's plain requests and its PASIDs come and go on their own. */
static void spaces_are_apart(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct iommufd_device *device = bench->devices[0];
	struct iommu_domain *domain = target_domain(test, bench, COMPAT_0);
	u32 pt_id = bench->ids[COMPAT_0];

	KUNIT_ASSERT_EQ(test, 0, attach_pasid(bench, 0, COMPAT_0));
	KUNIT_ASSERT_EQ(test, 0, attach(bench, 0, COMPAT_0));
	KUNIT_ASSERT_EQ(test, 0, iommufd_device_attach(device, PASID + 1,
						       &pt_id));
	KUNIT_EXPECT_EQ(test, 3, count_reserved(bench->ioas[0]));
	detach(bench, 0);
	KUNIT_EXPECT_EQ(test, 2, count_reserved(bench->ioas[0]));
	KUNIT_EXPECT_TRUE(test,
			  mock_domain_is_blocked(mock_device_domain(bench->mocks[0])));
	detach_pasid(bench, 0);
	KUNIT_EXPECT_EQ(test, 1, count_reserved(bench->ioas[0]));
	KUNIT_EXPECT_NULL(test, mock_device_pasid_domain(bench->mocks[0],
							 PASID));
	KUNIT_EXPECT_PTR_EQ(test, domain,
			    mock_device_pasid_domain(bench->mocks[0],
						     PASID + 1));
	iommufd_device_detach(device, PASID + 1);
	expect_pasid(test, bench, NOTHING, 0);
}

/* Failures ---------------------------------------------------------------- */

static void refused_changes_change_nothing_L22(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	unsigned int i;

	for (i = 0; i < NR_MEMBERS; i++) {
		mock_device_fail_attach(bench->mocks[i], 1, -ENODEV);
		KUNIT_EXPECT_EQ(test, -ENODEV,
				attach_pasid(bench, 0, COMPAT_0));
		mock_device_fail_attach(bench->mocks[i], 0, 0);
		expect_pasid(test, bench, NOTHING, 0);
	}
	KUNIT_ASSERT_EQ(test, 0, attach_pasid(bench, 0, COMPAT_0));
	KUNIT_ASSERT_EQ(test, 0, attach_pasid(bench, 1, COMPAT_0));
	for (i = 0; i < NR_MEMBERS; i++) {
		mock_device_fail_attach(bench->mocks[i], 1, -ENODEV);
		KUNIT_EXPECT_EQ(test, -ENODEV,
				replace_pasid(bench, 1 - i, COMPAT_1));
		mock_device_fail_attach(bench->mocks[i], 0, 0);
		expect_pasid(test, bench, COMPAT_0, 2);
	}
	KUNIT_EXPECT_EQ(test, 0, replace_pasid(bench, 0, COMPAT_1));
	expect_pasid(test, bench, COMPAT_1, 2);
}

static void starve(struct kunit *test, struct bench *bench,
		   int (*change)(struct bench *bench, unsigned int i,
				 enum target target),
		   enum target from, enum target to, unsigned int nr_members)
{
	bool failed = true;
	unsigned int nth;
	int error;

	for (nth = 1; failed; nth++) {
		mock_fail_nth_begin(nth);
		error = change(bench, 0, to);
		failed = mock_fail_nth_end();
		if (!error)
			break;
		KUNIT_EXPECT_EQ(test, -ENOMEM, error);
		expect_pasid(test, bench, from, nr_members - (from == NOTHING));
	}
	KUNIT_EXPECT_EQ(test, 0, error);
	KUNIT_EXPECT_GT(test, nth, 1);
	expect_pasid(test, bench, to, nr_members);
}

static void starved_changes_change_nothing_L22(struct kunit *test)
{
	struct bench *bench = make_bench(test);

	mock_need_fail_nth(test);
	starve(test, bench, attach_pasid, NOTHING, COMPAT_0, 1);
	KUNIT_ASSERT_EQ(test, 0, attach_pasid(bench, 1, COMPAT_0));
	starve(test, bench, replace_pasid, COMPAT_0, COMPAT_1, 2);
}

static int map_region(struct kunit *test, struct bench *bench,
		      unsigned int ioas)
{
	return mock_map(test, bench->ioas[ioas], mock_user_memory(test, 1, 0),
			REGION_IOVA, PAGE_SIZE, MOCK_RW);
}

static void regions_are_kept_free(struct kunit *test)
{
	struct bench *bench = make_bench(test);

	KUNIT_ASSERT_EQ(test, 0, map_region(test, bench, 1));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, attach_pasid(bench, 0, COMPAT_1));
	KUNIT_ASSERT_EQ(test, 0, attach_pasid(bench, 0, COMPAT_0));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, replace_pasid(bench, 0, COMPAT_1));
	expect_pasid(test, bench, COMPAT_0, 1);
	KUNIT_EXPECT_EQ(test, -EINVAL, map_region(test, bench, 0));
	detach_pasid(bench, 0);
	KUNIT_EXPECT_EQ(test, 0, map_region(test, bench, 0));
}

/* Page faults ------------------------------------------------------------- */

static void report(struct kunit *test, struct bench *bench, u32 grpid,
		   ioasid_t pasid)
{
	const struct iommu_fault_page_request request = {
		.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE |
			 (pasid == IOMMU_NO_PASID ?
				  0 :
				  IOMMU_FAULT_PAGE_REQUEST_PASID_VALID),
		.grpid = grpid,
		.pasid = pasid,
	};

	KUNIT_EXPECT_EQ(test, 0,
			mock_device_report_fault(bench->mocks[0], &request));
}

static void put_file(void *file)
{
	__fput_sync(file);
}

static struct file *make_faults(struct kunit *test, u32 *fault_id)
{
	struct iommufd_fault *fault = iommufd_fault_new(mock_ctx(test));
	struct file *file;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, fault);
	file = iommufd_eventq_new_file(fault->common.ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	iommufd_eventq_open(&fault->common, file);
	iommufd_object_publish(mock_ctx(test), &fault->common.obj);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, put_file, file));
	*fault_id = fault->common.obj.id;
	return file;
}

static void expect_record(struct kunit *test, struct file *file, u32 flags,
			  u32 grpid, u32 pasid)
{
	void __user *buffer = (void __user *)mock_user_memory(test, 1, 0);
	struct iommu_hwpt_pgfault record;

	KUNIT_ASSERT_EQ(test, sizeof(record),
			file->f_op->read(file, buffer, sizeof(record), NULL));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&record, buffer,
						sizeof(record)));
	KUNIT_EXPECT_EQ(test, flags, record.flags);
	KUNIT_EXPECT_EQ(test, grpid, record.grpid);
	KUNIT_EXPECT_EQ(test, pasid, record.pasid);
}

static void expect_answers(struct kunit *test, struct bench *bench,
			   unsigned int nr, u32 grpid)
{
	struct iommu_page_response response;

	KUNIT_EXPECT_EQ(test, nr, mock_device_responses(bench->mocks[0],
							&response));
	KUNIT_EXPECT_EQ(test, grpid, response.grpid);
	KUNIT_EXPECT_EQ(test, IOMMU_PAGE_RESP_INVALID, response.code);
}

/* A fault goes where its space is attached, and ends with it. */
static void faults_belong_to_their_space_L24(struct kunit *test)
{
	const u32 flags = IOMMU_HWPT_ALLOC_PASID | IOMMU_HWPT_FAULT_ID_VALID;
	const u32 last = IOMMU_PGFAULT_FLAGS_LAST_PAGE;
	struct bench *bench;
	struct file *file;
	u32 fault_id;

	file = make_faults(test, &fault_id);
	bench = make_bench(test);
	bench->ids[COMPAT_0] = make_hwpt(test, bench, bench->ioas[0], flags,
					 fault_id);
	KUNIT_ASSERT_EQ(test, 0, attach(bench, 0, COMPAT_0));
	KUNIT_ASSERT_EQ(test, 0, attach_pasid(bench, 0, COMPAT_0));
	report(test, bench, 1, IOMMU_NO_PASID);
	report(test, bench, 2, PASID);
	report(test, bench, 3, PASID);
	expect_record(test, file, last, 1, 0);
	expect_record(test, file, last | IOMMU_PGFAULT_FLAGS_PASID_VALID, 2,
		      PASID);
	KUNIT_EXPECT_EQ(test, 0, replace_pasid(bench, 0, COMPAT_1));
	expect_answers(test, bench, 2, 3);
	KUNIT_EXPECT_EQ(test, 0, replace_pasid(bench, 0, COMPAT_0));
	report(test, bench, 4, PASID);
	detach(bench, 0);
	expect_answers(test, bench, 3, 1);
	expect_record(test, file, last | IOMMU_PGFAULT_FLAGS_PASID_VALID, 4,
		      PASID);
	detach_pasid(bench, 0);
	expect_answers(test, bench, 4, 4);
}

static struct kunit_case pasid_cases[] = {
	KUNIT_CASE(each_pair_L25),
	KUNIT_CASE(replace_keeps_the_rule),
	KUNIT_CASE(bounds_are_checked),
	KUNIT_CASE(width_is_reported),
	KUNIT_CASE(a_group_moves_as_one),
	KUNIT_CASE(spaces_are_apart),
	KUNIT_CASE(refused_changes_change_nothing_L22),
	KUNIT_CASE(starved_changes_change_nothing_L22),
	KUNIT_CASE(regions_are_kept_free),
	KUNIT_CASE(faults_belong_to_their_space_L24),
	{}
};

static struct kunit_suite pasid_suite = {
	.name = "iommufd_pasid",
	.init = mock_test_init,
	.test_cases = pasid_cases,
};

kunit_test_suite(pasid_suite);
