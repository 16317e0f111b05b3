// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbells of interrupts in page tables: where they are, for how long, and what
 * is refused. Interrupts are set up as an interrupt controller does it, through
 * the IOMMU core.
 *
 * How they move with groups, and what failures leave, is part of the attach suite.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "../iommufd_private.h"
#include "../iommufd_test.h"
#include "mock.h"
#include "support.h"

#define WINDOW_IOVA (MOCK_APERTURE_START + SZ_16M)
#define NR_WINDOW_PAGES 256UL
#define SHARED_GROUP 17

/**
 * struct bench - a device with a window, and page tables for it
 * @mock: the device
 * @device: the same, bound
 * @ioas: address spaces
 * @ids: a page table for each of them
 * @domains: the same
 */
struct bench {
	struct mock_device *mock;
	struct iommufd_device *device;
	struct iommufd_ioas *ioas[2];
	u32 ids[2];
	struct iommu_domain *domains[2];
};

static void unbind_device(void *data)
{
	struct iommufd_device *device = data;
	unsigned int nr_spaces;

	scoped_guard(mutex, &device->group->lock)
		nr_spaces = device->nr_spaces;
	if (nr_spaces)
		iommufd_device_detach(device, IOMMU_NO_PASID);
	iommufd_device_unbind(device);
}

static struct iova_range window_pages(unsigned long first, unsigned long nr)
{
	return (struct iova_range){
		.first = WINDOW_IOVA + first * PAGE_SIZE,
		.last = WINDOW_IOVA + (first + nr) * PAGE_SIZE - 1,
	};
}

static struct mock_device *make_mock(struct kunit *test, u32 group_id,
				     unsigned long nr_window_pages,
				     enum iommu_resv_type type)
{
	struct mock_device *mock = mock_device(test, group_id, 0);

	if (nr_window_pages)
		KUNIT_ASSERT_EQ(test, 0,
				mock_device_reserve(mock,
						    window_pages(0, nr_window_pages),
						    type));
	return mock;
}

static struct iommufd_device *bind(struct kunit *test, struct mock_device *mock)
{
	struct iommufd_device *device;
	u32 id;

	device = iommufd_device_bind(mock_ctx(test), &mock->dev, &id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, device);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unbind_device,
							   device));
	return device;
}

static void make_hwpt(struct kunit *test, struct bench *bench, unsigned int i)
{
	struct iommu_hwpt_alloc args = {
		.size = sizeof(args),
		.flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
		.dev_id = bench->device->obj.id,
	};
	struct iommufd_hwpt_paging *hwpt;

	bench->ioas[i] = mock_ioas(test);
	args.pt_id = bench->ioas[i]->obj.id;
	KUNIT_ASSERT_EQ(test, 0, mock_command(test, iommufd_hwpt_alloc, &args,
					      sizeof(args)));
	bench->ids[i] = args.out_hwpt_id;
	hwpt = iommufd_hwpt_paging_get(mock_ctx(test), args.out_hwpt_id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, hwpt);
	bench->domains[i] = hwpt->common.domain;
	iommufd_object_put(mock_ctx(test), &hwpt->common.obj);
}

static struct bench *make_bench_of(struct kunit *test, struct mock_device *mock)
{
	struct bench *bench;
	unsigned int i;

	mock_need_msi(test);
	bench = kunit_kzalloc(test, sizeof(*bench), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bench);
	bench->mock = mock;
	bench->device = bind(test, mock);
	for (i = 0; i < 2; i++)
		make_hwpt(test, bench, i);
	return bench;
}

static struct bench *make_bench(struct kunit *test)
{
	return make_bench_of(test, make_mock(test, 0, NR_WINDOW_PAGES,
					     IOMMU_RESV_SW_MSI));
}

static int attach(struct iommufd_device *device, u32 pt_id)
{
	return iommufd_device_attach(device, IOMMU_NO_PASID, &pt_id);
}

static int replace(struct iommufd_device *device, u32 pt_id)
{
	return iommufd_device_replace(device, IOMMU_NO_PASID, &pt_id);
}

static void detach(struct iommufd_device *device)
{
	iommufd_device_detach(device, IOMMU_NO_PASID);
}

static unsigned long set_up(struct kunit *test, struct mock_device *mock,
			    unsigned int i)
{
	unsigned long iova = 0;

	KUNIT_EXPECT_EQ(test, 0, mock_set_up_msi(&mock->dev, MOCK_DOORBELL(i),
						 &iova));
	return iova;
}

/* Where an IOVA leads to, in the page table of one of the address spaces. */
static phys_addr_t leads_to(struct bench *bench, unsigned int i,
			    unsigned long iova)
{
	return iommu_iova_to_phys(bench->domains[i], iova);
}

static int map_page(struct kunit *test, struct iommufd_ioas *ioas,
		    unsigned long iova)
{
	return mock_map(test, ioas, mock_user_memory(test, 1, 0), iova,
			PAGE_SIZE, MOCK_RW);
}

static void unmap_page(struct kunit *test, struct iommufd_ioas *ioas,
		       unsigned long iova)
{
	KUNIT_EXPECT_EQ(test, 0, test_unmap(ioas, iova, PAGE_SIZE, NULL));
}

/* How many doorbells a page table maps, or a context has given addresses. */
static unsigned long nr_entries(struct xarray *doorbells)
{
	unsigned long index, nr = 0;
	void *entry;

	xa_for_each(doorbells, index, entry)
		nr++;
	return nr;
}

/* ------------------------------------------------------------------------- */

static void a_doorbell_is_in_its_window(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	unsigned long iova;

	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	iova = set_up(test, bench->mock, 3);
	KUNIT_EXPECT_GE(test, iova, window_pages(0, NR_WINDOW_PAGES).first);
	KUNIT_EXPECT_LT(test, iova, window_pages(0, NR_WINDOW_PAGES).last);
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(3), leads_to(bench, 0, iova));
	/* A device writes to a register in the page. */
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(3) + 0x40,
			leads_to(bench, 0, iova + 0x40));
	KUNIT_EXPECT_EQ(test, 0, leads_to(bench, 1, iova));
	/* Each interrupt has the same one. */
	KUNIT_EXPECT_EQ(test, iova, set_up(test, bench->mock, 3));
	KUNIT_EXPECT_NE(test, iova, set_up(test, bench->mock, 4));
}

/* What the device was told stays true for as long as it is bound. */
static void a_doorbell_follows_its_device(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	unsigned long iova;

	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	iova = set_up(test, bench->mock, 0);
	KUNIT_ASSERT_EQ(test, 0, replace(bench->device, bench->ids[1]));
	KUNIT_EXPECT_EQ(test, 0, leads_to(bench, 0, iova));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 1, iova));
	detach(bench->device);
	KUNIT_EXPECT_EQ(test, 0, leads_to(bench, 1, iova));
	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 0, iova));
	KUNIT_EXPECT_EQ(test, iova, set_up(test, bench->mock, 0));
}

static void the_window_is_kept_from_user_space(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	unsigned long iova;

	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	iova = set_up(test, bench->mock, 0);
	KUNIT_EXPECT_EQ(test, -EINVAL, map_page(test, bench->ioas[0], iova));
	KUNIT_EXPECT_EQ(test, -EINVAL, map_page(test, bench->ioas[0],
						iova + PAGE_SIZE));
	/* And the other way round. */
	KUNIT_ASSERT_EQ(test, 0, map_page(test, bench->ioas[1], iova));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE,
			replace(bench->device, bench->ids[1]));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 0, iova));
	/* Nothing of it is left behind. */
	detach(bench->device);
	KUNIT_EXPECT_EQ(test, 0, map_page(test, bench->ioas[0], iova));
	unmap_page(test, bench->ioas[0], iova);
	KUNIT_EXPECT_EQ(test, 0, attach(bench->device, bench->ids[0]));
}

static void a_window_can_be_filled(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	unsigned long iova, i;

	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	for (i = 0; i < NR_WINDOW_PAGES; i++) {
		iova = set_up(test, bench->mock, i);
		KUNIT_ASSERT_EQ(test, MOCK_DOORBELL(i), leads_to(bench, 0, iova));
	}
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			mock_set_up_msi(&bench->mock->dev, MOCK_DOORBELL(i),
					&iova));
	KUNIT_EXPECT_STREQ(test, "interrupt",
			   mock_ctx(test)->refusal.command);
	/* Those that are there go on. */
	iova = set_up(test, bench->mock, NR_WINDOW_PAGES - 1);
	KUNIT_ASSERT_EQ(test, 0, replace(bench->device, bench->ids[1]));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(NR_WINDOW_PAGES - 1),
			leads_to(bench, 1, iova));
	KUNIT_EXPECT_EQ(test, NR_WINDOW_PAGES,
			nr_entries(&mock_ctx(test)->doorbells));
}

/* Only the whole pages of a window count. */
static void a_window_ends_within_a_page(struct kunit *test)
{
	struct mock_device *mock = make_mock(test, 0, 0, 0);
	struct bench *bench = make_bench_of(test, mock);
	struct iova_range window = window_pages(0, 2);
	unsigned long iova;

	window.first += PAGE_SIZE / 2;
	window.last += PAGE_SIZE / 2;
	KUNIT_ASSERT_EQ(test, 0, mock_device_reserve(mock, window,
						     IOMMU_RESV_SW_MSI));
	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	KUNIT_EXPECT_EQ(test, WINDOW_IOVA + PAGE_SIZE, set_up(test, mock, 0));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			mock_set_up_msi(&mock->dev, MOCK_DOORBELL(1), &iova));
	KUNIT_EXPECT_EQ(test, WINDOW_IOVA + PAGE_SIZE, set_up(test, mock, 0));
}

/* Two groups on one page table, each with its needs. */
static void groups_share_a_doorbell(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct mock_device *other_mock = make_mock(test, 0, NR_WINDOW_PAGES,
						   IOMMU_RESV_SW_MSI);
	struct iommufd_device *other = bind(test, other_mock);
	unsigned long shared, own;

	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	KUNIT_ASSERT_EQ(test, 0, attach(other, bench->ids[0]));
	shared = set_up(test, bench->mock, 0);
	KUNIT_EXPECT_EQ(test, shared, set_up(test, other_mock, 0));
	own = set_up(test, other_mock, 1);
	KUNIT_EXPECT_NE(test, shared, own);

	KUNIT_ASSERT_EQ(test, 0, replace(other, bench->ids[1]));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 0, shared));
	KUNIT_EXPECT_EQ(test, 0, leads_to(bench, 0, own));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 1, shared));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(1), leads_to(bench, 1, own));
	detach(bench->device);
	KUNIT_EXPECT_EQ(test, 0, leads_to(bench, 0, shared));
	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[1]));
	detach(other);
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 1, shared));
	KUNIT_EXPECT_EQ(test, 0, leads_to(bench, 1, own));
}

/* The device that reserves the window leaves; its sibling has none. */
static void a_doorbell_outlives_its_window(struct kunit *test)
{
	struct mock_device *mock = make_mock(test, SHARED_GROUP, NR_WINDOW_PAGES,
					     IOMMU_RESV_SW_MSI);
	struct bench *bench = make_bench_of(test, mock);
	struct iommufd_device *sibling =
		bind(test, make_mock(test, SHARED_GROUP, 0, 0));
	unsigned long iova;

	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	KUNIT_ASSERT_EQ(test, 0, attach(sibling, bench->ids[0]));
	iova = set_up(test, mock, 0);
	detach(bench->device);
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 0, iova));
	KUNIT_EXPECT_EQ(test, -EINVAL, map_page(test, bench->ioas[0], iova));
	KUNIT_EXPECT_EQ(test, 0, map_page(test, bench->ioas[0],
					  iova + PAGE_SIZE));

	/* The group still needs it wherever it goes. */
	KUNIT_ASSERT_EQ(test, 0, map_page(test, bench->ioas[1], iova));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, replace(sibling, bench->ids[1]));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 0, iova));
	unmap_page(test, bench->ioas[1], iova);
	KUNIT_EXPECT_EQ(test, 0, replace(sibling, bench->ids[1]));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 1, iova));
	/* And a device that is not attached is where its group is. */
	set_up(test, mock, 1);
	detach(sibling);
	KUNIT_EXPECT_EQ(test, 0, map_page(test, bench->ioas[1], iova));
}

/* An IOMMU that does not translate interrupts. */
static void no_window_no_translation(struct kunit *test)
{
	static const enum iommu_resv_type types[] = {
		IOMMU_RESV_MSI, IOMMU_RESV_RESERVED,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		struct mock_device *mock = make_mock(test, 0, NR_WINDOW_PAGES,
						     types[i]);
		struct bench *bench = make_bench_of(test, mock);

		KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
		KUNIT_EXPECT_EQ(test, 0, set_up(test, mock, 0));
	}
	KUNIT_EXPECT_EQ(test, 0, nr_entries(&mock_ctx(test)->doorbells));
}

/* Interrupts of a device that is behind a guest's page table go to the host. */
static void a_nested_table_uses_its_parent(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct iommu_hwpt_selftest data = { .iotlb = 1 };
	struct iommu_hwpt_alloc args = {
		.size = sizeof(args),
		.dev_id = bench->device->obj.id,
		.pt_id = bench->ids[0],
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = mock_user_memory(test, 1, 0),
	};
	unsigned long iova;

	KUNIT_ASSERT_EQ(test, 0, copy_to_user(u64_to_user_ptr(args.data_uptr),
					      &data, sizeof(data)));
	KUNIT_ASSERT_EQ(test, 0, mock_command(test, iommufd_hwpt_alloc, &args,
					      sizeof(args)));
	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, args.out_hwpt_id));
	iova = set_up(test, bench->mock, 0);
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 0, iova));
	/* From one stage to two and back it is needed all the time. */
	KUNIT_ASSERT_EQ(test, 0, replace(bench->device, bench->ids[0]));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 0, iova));
	KUNIT_ASSERT_EQ(test, 0, replace(bench->device, args.out_hwpt_id));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 0, iova));
	detach(bench->device);
	KUNIT_EXPECT_EQ(test, 0, leads_to(bench, 0, iova));
}

/* Setting up changes nothing if it fails, wherever that is. */
static void refused_interrupts_change_nothing(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct mock_device *small_mock = make_mock(test, 0, 0, 0);
	struct iova_range crumb = window_pages(0, 1);
	unsigned long iova, page_sizes;

	/* The core does not ask us while the group is blocked. */
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			mock_set_up_msi(&bench->mock->dev, MOCK_DOORBELL(0),
					&iova));
	/* Less than a page is no window. */
	crumb.last--;
	KUNIT_ASSERT_EQ(test, 0, mock_device_reserve(small_mock, crumb,
						     IOMMU_RESV_SW_MSI));
	KUNIT_ASSERT_EQ(test, 0, attach(bind(test, small_mock), bench->ids[1]));
	KUNIT_EXPECT_EQ(test, 0, set_up(test, small_mock, 0));

	/* A page table with large pages only. */
	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	page_sizes = bench->domains[0]->pgsize_bitmap;
	bench->domains[0]->pgsize_bitmap = SZ_2M;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			mock_set_up_msi(&bench->mock->dev, MOCK_DOORBELL(0),
					&iova));
	bench->domains[0]->pgsize_bitmap = page_sizes;
	KUNIT_EXPECT_EQ(test, 0, nr_entries(&bench->device->group->doorbells));
	ioas_verify(bench->ioas[0]);
	iova = set_up(test, bench->mock, 0);
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(0), leads_to(bench, 0, iova));
}

static void starved_interrupts_change_nothing(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	unsigned int nth, nr_failed = 0;
	unsigned long iova;
	bool failed;
	int error;

	mock_need_fail_nth(test);
	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	set_up(test, bench->mock, 0);
	for (nth = 1;; nth++) {
		mock_fail_nth_begin(nth);
		error = mock_set_up_msi(&bench->mock->dev, MOCK_DOORBELL(nth),
					&iova);
		failed = mock_fail_nth_end();
		if (!failed)
			break;
		if (!error)
			continue;
		nr_failed++;
		KUNIT_EXPECT_EQ(test, -ENOMEM, error);
		scoped_guard(mutex, &bench->device->group->lock)
			iommufd_group_verify(bench->device->group);
	}
	KUNIT_EXPECT_EQ(test, 0, error);
	/* At least the doorbell and its reservation are allocated. */
	KUNIT_EXPECT_GE(test, nr_failed, 2);
	KUNIT_EXPECT_EQ(test, nth + 1 - nr_failed,
			nr_entries(&bench->device->group->doorbells));
	detach(bench->device);
	KUNIT_EXPECT_EQ(test, 0, leads_to(bench, 0, iova));
}

/* The group may be on either page table: both have it, or neither. */
static void starved_in_a_move_change_nothing(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct iommufd_group *group = bench->device->group;
	struct iommufd_hwpt_paging *next;
	unsigned int nth, nr_failed = 0;
	unsigned long iova, before;
	bool failed = true;
	int error = 0;

	mock_need_fail_nth(test);
	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	next = bench->domains[1]->iommufd_hwpt->paging;
	guard(mutex)(&group->lock);
	KUNIT_ASSERT_EQ(test, 0, iommufd_msi_prepare(group, next));
	for (nth = 1; failed; nth++) {
		before = nr_entries(&group->doorbells);
		mock_fail_nth_begin(nth);
		error = mock_set_up_msi(&bench->mock->dev, MOCK_DOORBELL(nth),
					&iova);
		failed = mock_fail_nth_end();
		nr_failed += !!error;
		KUNIT_EXPECT_TRUE(test, !error || error == -ENOMEM);
		KUNIT_EXPECT_EQ(test, before + !error,
				nr_entries(&group->doorbells));
		KUNIT_EXPECT_EQ(test, before + !error,
				nr_entries(&group->table->doorbells));
		KUNIT_EXPECT_EQ(test, before + !error,
				nr_entries(&next->doorbells));
	}
	KUNIT_EXPECT_EQ(test, 0, error);
	/* A doorbell and its reservation, in each. */
	KUNIT_EXPECT_GE(test, nr_failed, 4);
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(nth - 1), leads_to(bench, 0, iova));
	KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(nth - 1), leads_to(bench, 1, iova));
	iommufd_msi_finish(group, false);
	KUNIT_EXPECT_EQ(test, 0, nr_entries(&next->doorbells));
	iommufd_group_verify(group);
}

/* At once ----------------------------------------------------------------- */

#define NR_MOVES 40
#define NR_DOORBELLS 40

struct race {
	struct bench *bench;
	struct kunit *test;
	unsigned long iova;
	bool stop;
	unsigned long nr_checked;
	unsigned long nr_lost;
};

/*
 * While a device was told nothing new it was on one page table, which has its
 * doorbell, as an interrupt may come at any time.
 */
static void watch_doorbell(void *data)
{
	struct race *race = data;
	struct mock_device *mock = race->bench->mock;

	while (!READ_ONCE(race->stop)) {
		unsigned int nr_attaches = mock_device_nr_attaches(mock);
		phys_addr_t address =
			iommu_iova_to_phys(mock_device_domain(mock),
					   race->iova);

		if (mock_device_nr_attaches(mock) != nr_attaches)
			continue;
		race->nr_checked++;
		if (address != MOCK_DOORBELL(0))
			race->nr_lost++;
		cond_resched();
	}
}

/* Its interrupts are set up meanwhile, one after the other. */
static void set_up_all(void *data)
{
	struct race *race = data;
	unsigned long i;

	for (i = 1; i < NR_DOORBELLS; i++) {
		set_up(race->test, race->bench->mock, i);
		cond_resched();
	}
}

static void no_interrupt_is_lost_in_a_move(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct race race = { .bench = bench, .test = test };
	struct test_thread watcher, caller;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, attach(bench->device, bench->ids[0]));
	race.iova = set_up(test, bench->mock, 0);
	test_thread_start(test, &watcher, watch_doorbell, &race);
	test_thread_start(test, &caller, set_up_all, &race);
	for (i = 1; i <= NR_MOVES; i++)
		KUNIT_EXPECT_EQ(test, 0, replace(bench->device,
						 bench->ids[i % 2]));
	test_thread_join(&caller);
	WRITE_ONCE(race.stop, true);
	test_thread_join(&watcher);
	KUNIT_EXPECT_GT(test, race.nr_checked, 0);
	KUNIT_EXPECT_EQ(test, 0, race.nr_lost);
	/* Each of them is where the device is, and nowhere else. */
	for (i = 0; i < NR_DOORBELLS; i++) {
		unsigned long iova = set_up(test, bench->mock, i);

		KUNIT_EXPECT_EQ(test, MOCK_DOORBELL(i),
				leads_to(bench, NR_MOVES % 2, iova));
		KUNIT_EXPECT_EQ(test, 0,
				leads_to(bench, !(NR_MOVES % 2), iova));
	}
}

static struct kunit_case sw_msi_cases[] = {
	KUNIT_CASE(a_doorbell_is_in_its_window),
	KUNIT_CASE(a_doorbell_follows_its_device),
	KUNIT_CASE(the_window_is_kept_from_user_space),
	KUNIT_CASE(a_window_can_be_filled),
	KUNIT_CASE(a_window_ends_within_a_page),
	KUNIT_CASE(groups_share_a_doorbell),
	KUNIT_CASE(a_doorbell_outlives_its_window),
	KUNIT_CASE(no_window_no_translation),
	KUNIT_CASE(a_nested_table_uses_its_parent),
	KUNIT_CASE(refused_interrupts_change_nothing),
	KUNIT_CASE(starved_interrupts_change_nothing),
	KUNIT_CASE(starved_in_a_move_change_nothing),
	KUNIT_CASE_SLOW(no_interrupt_is_lost_in_a_move),
	{}
};

static struct kunit_suite sw_msi_suite = {
	.name = "iommufd_sw_msi",
	.init = mock_test_init,
	.test_cases = sw_msi_cases,
};

kunit_test_suite(sw_msi_suite);
