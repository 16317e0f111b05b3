// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attach, detach and replace of groups of one and of three mock devices.
 *
 * A scenario is a list of steps. A small model says what holds after each:
 * who is attached and to which page table. Against it are compared the record
 * of the group, the reserved ranges and the domains of the address spaces, and
 * what the mock IOMMU has really set up for each device.
 *
 * Before a step is done for good it is made to fail: by each device that it
 * programs, then by each allocation that it makes, in turn. After each failure
 * a snapshot must equal the one before, down to the counts of every object.
 *
 * Each device sets an interrupt up once it is attached, where the kernel has
 * what it takes, so that the group has doorbells to move as well.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/sizes.h>

#include "../iommufd_private.h"
#include "../iommufd_test.h"
#include "mock.h"

#define MAX_MEMBERS 3
#define SHARED_GROUP 7
#define AREA_PAGES 8
#define AREA_IOVA MOCK_APERTURE_START
#define REGION_IOVA(i) (MOCK_APERTURE_START + ((i) + 1) * SZ_1M)
#define REGION_BYTES SZ_64K
#define WINDOW_IOVA (MOCK_APERTURE_START + SZ_64M)

/* What a step can name as page table, and the IOAS that it follows. */
enum target { IOAS_0, IOAS_1, HWPT_0, HWPT_1, NR_TARGETS };
#define target_ioas(target) ((target) & 1)
#define target_is_ioas(target) ((target) <= IOAS_1)

/* From where to where the group is moved. */
struct move {
	const char *name;
	enum target from;
	enum target to;
};

static const struct move moves[] = {
	{ "ioas-to-ioas", IOAS_0, IOAS_1 },
	{ "ioas-to-its-hwpt", IOAS_0, HWPT_0 },
	{ "ioas-to-hwpt", IOAS_0, HWPT_1 },
	{ "hwpt-to-its-ioas", HWPT_0, IOAS_0 },
	{ "hwpt-to-hwpt", HWPT_0, HWPT_1 },
};

enum operation { ATTACH, REPLACE, DETACH };

struct step {
	enum operation operation;
	unsigned int member;
	bool to;
};

struct member {
	struct mock_device *mock;
	struct iommufd_device *device;
	struct iova_range region;
};

/**
 * struct bench - a group of devices and two address spaces to move it between
 * @members: the devices, each with a reserved region of its own
 * @nr_members: how many
 * @ioas: the address spaces, both with an area
 * @hwpt_ids: an explicit page table for each, or 0
 * @attached: the model: which members are attached
 * @target: the model: to what, if any is
 * @doorbell_iova: where each device writes to raise an interrupt, 0 if it has
 *	not set one up
 */
struct bench {
	struct member members[MAX_MEMBERS];
	unsigned int nr_members;
	struct iommufd_ioas *ioas[2];
	u32 hwpt_ids[2];
	bool attached[MAX_MEMBERS];
	enum target target;
	unsigned long doorbell_iova[MAX_MEMBERS];
};

/* Setting up -------------------------------------------------------------- */

/* As what a device is attached, or NULL. */
static struct iommufd_member *membership(struct iommufd_device *device)
{
	struct iommufd_dma_space *space;
	struct iommufd_member *member;

	guard(mutex)(&device->group->lock);
	space = xa_load(&device->group->spaces, IOMMU_NO_PASID);
	if (!space)
		return NULL;
	list_for_each_entry(member, &space->members, node)
		if (member->device == device)
			return member;
	return NULL;
}

static void unbind_device(void *data)
{
	struct iommufd_device *device = data;

	if (membership(device))
		iommufd_device_detach(device, IOMMU_NO_PASID);
	iommufd_device_unbind(device);
}

static struct iommufd_device *bind_device(struct kunit *test,
					  struct mock_device *mock)
{
	struct iommufd_device *device;
	u32 id;

	device = iommufd_device_bind(mock_ctx(test), &mock->dev, &id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, device);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unbind_device,
							   device));
	return device;
}

static struct iova_range make_range(unsigned long first, unsigned long bytes)
{
	return (struct iova_range){ first, first + bytes - 1 };
}

static bool area_is_mapped(struct iommu_domain *domain)
{
	return mock_domain_is_mapped(domain, make_range(AREA_IOVA,
							AREA_PAGES * PAGE_SIZE));
}

static void make_member(struct kunit *test, struct bench *bench,
			unsigned int i, u32 group_id)
{
	struct member *member = &bench->members[i];

	member->mock = mock_device(test, group_id, 0);
	member->region = make_range(REGION_IOVA(i), REGION_BYTES);
	KUNIT_ASSERT_EQ(test, 0, mock_device_reserve(member->mock,
						     member->region,
						     IOMMU_RESV_RESERVED));
	KUNIT_ASSERT_EQ(test, 0,
			mock_device_reserve(member->mock,
					    make_range(WINDOW_IOVA,
						       MAX_MEMBERS * PAGE_SIZE),
					    IOMMU_RESV_SW_MSI));
	member->device = bind_device(test, member->mock);
}

static struct bench *make_bench(struct kunit *test, unsigned int nr_members)
{
	unsigned long user = mock_user_memory(test, AREA_PAGES, 0x5a);
	struct bench *bench;
	unsigned int i;

	bench = kunit_kzalloc(test, sizeof(*bench), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bench);
	for (i = 0; i < 2; i++) {
		bench->ioas[i] = mock_ioas(test);
		KUNIT_ASSERT_EQ(test, 0, mock_map(test, bench->ioas[i], user,
						  AREA_IOVA,
						  AREA_PAGES * PAGE_SIZE,
						  MOCK_RW));
	}
	for (i = 0; i < nr_members; i++)
		make_member(test, bench, i, nr_members > 1 ? SHARED_GROUP : 0);
	bench->nr_members = nr_members;
	return bench;
}

static u32 make_hwpt(struct kunit *test, struct iommufd_device *device,
		     struct iommufd_ioas *ioas)
{
	struct iommu_hwpt_alloc args = {
		.size = sizeof(args),
		.dev_id = device->obj.id,
		.pt_id = ioas->obj.id,
	};

	KUNIT_ASSERT_EQ(test, 0, mock_command(test, iommufd_hwpt_alloc, &args,
					      sizeof(args)));
	return args.out_hwpt_id;
}

static void need_target(struct kunit *test, struct bench *bench,
			enum target target)
{
	u32 *id = &bench->hwpt_ids[target_ioas(target)];

	if (target_is_ioas(target) || *id)
		return;
	*id = make_hwpt(test, bench->members[0].device,
			bench->ioas[target_ioas(target)]);
}

static u32 target_id(struct bench *bench, enum target target)
{
	if (target_is_ioas(target))
		return bench->ioas[target]->obj.id;
	return bench->hwpt_ids[target_ioas(target)];
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

/* Comparing with the model ------------------------------------------------ */

static bool model_any_attached(struct bench *bench)
{
	return bench->attached[0] || bench->attached[1] || bench->attached[2];
}

/* How many ranges an owner reserves, and how many of these are @range. */
static unsigned int count_reserved(struct iommufd_ioas *ioas, void *owner,
				   const struct iova_range *range)
{
	struct interval_tree_node *node;
	unsigned int nr = 0;

	guard(rwsem_read)(&ioas->areas_rwsem);
	for (node = interval_tree_iter_first(&ioas->reserved, 0, ULONG_MAX);
	     node; node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		struct reserved_range *reserved =
			container_of(node, struct reserved_range, node);

		if (reserved->owner != owner)
			continue;
		nr += !range || (node->start == range->first &&
				 node->last == range->last);
	}
	return nr;
}

static unsigned int count_automatic(struct iommufd_ioas *ioas)
{
	struct iommufd_hwpt_paging *hwpt;
	unsigned int nr = 0;

	guard(rwsem_read)(&ioas->domains_rwsem);
	list_for_each_entry(hwpt, &ioas->domains, ioas_node)
		nr += hwpt->automatic;
	return nr;
}

static struct iommufd_attachment *group_attachment(struct iommufd_group *group)
{
	struct iommufd_dma_space *space;

	guard(mutex)(&group->lock);
	iommufd_group_verify(group);
	space = xa_load(&group->spaces, IOMMU_NO_PASID);
	return space ? space->attachment : NULL;
}

static void check_target(struct kunit *test, struct bench *bench,
			 struct iommufd_hw_pagetable *hwpt)
{
	struct iommufd_ioas *ioas = bench->ioas[target_ioas(bench->target)];

	KUNIT_EXPECT_PTR_EQ(test, hwpt->paging->ioas, ioas);
	KUNIT_EXPECT_EQ(test, target_is_ioas(bench->target),
			hwpt->paging->automatic);
	if (!target_is_ioas(bench->target))
		KUNIT_EXPECT_EQ(test, hwpt->obj.id,
				target_id(bench, bench->target));
	KUNIT_EXPECT_TRUE(test, area_is_mapped(hwpt->domain));
}

static void check_member(struct kunit *test, struct bench *bench,
			 unsigned int i, struct iommufd_hw_pagetable *hwpt)
{
	struct member *member = &bench->members[i];
	struct iommu_domain *domain = mock_device_domain(member->mock);
	struct iommufd_member *owner = membership(member->device);
	unsigned int j;

	KUNIT_EXPECT_EQ(test, bench->attached[i], !!owner);
	if (hwpt)
		KUNIT_EXPECT_PTR_EQ(test, domain, hwpt->domain);
	else
		KUNIT_EXPECT_TRUE(test, mock_domain_is_blocked(domain));
	for (j = 0; j < 2; j++) {
		unsigned int want = bench->attached[i] &&
				    target_ioas(bench->target) == j;

		KUNIT_EXPECT_EQ(test, want,
				count_reserved(bench->ioas[j], owner,
					       &member->region));
		/* The window is the other. */
		KUNIT_EXPECT_EQ(test, 2 * want,
				count_reserved(bench->ioas[j], owner, NULL));
	}
}

/* Each interrupt that was set up arrives, and by no other way. */
static void check_doorbells(struct kunit *test, struct bench *bench,
			    struct iommufd_hw_pagetable *current_hwpt)
{
	struct iommufd_hwpt_paging *hwpt;
	unsigned int i, j;

	for (i = 0; i < 2; i++) {
		list_for_each_entry(hwpt, &bench->ioas[i]->domains, ioas_node)
			for (j = 0; j < bench->nr_members; j++) {
				unsigned long iova = bench->doorbell_iova[j];

				if (!iova)
					continue;
				KUNIT_EXPECT_EQ(test,
						current_hwpt &&
						hwpt == current_hwpt->paging ?
							MOCK_DOORBELL(j) : 0,
						iommu_iova_to_phys(hwpt->common.domain,
								   iova));
			}
	}
}

static void check_bench(struct kunit *test, struct bench *bench)
{
	struct iommufd_attachment *attachment =
		group_attachment(bench->members[0].device->group);
	struct iommufd_hw_pagetable *hwpt = attachment ? attachment->hwpt :
							 NULL;
	bool any = model_any_attached(bench);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, any, !!hwpt);
	if (hwpt)
		check_target(test, bench, hwpt);
	for (i = 0; i < bench->nr_members; i++)
		check_member(test, bench, i, hwpt);
	check_doorbells(test, bench, hwpt);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, any && bench->target == i,
				count_automatic(bench->ioas[i]));
		ioas_verify(bench->ioas[i]);
	}
}

/* Snapshots --------------------------------------------------------------- */

#define MAX_OBJECTS 16
#define MAX_RESERVED 24

struct ioas_snapshot {
	struct {
		unsigned long first;
		unsigned long last;
		void *owner;
	} reserved[MAX_RESERVED];
	unsigned long nr_reserved;
	unsigned long nr_domains;
	unsigned long alignment;
	unsigned long want_claims;
	unsigned long nr_unclaimed;
};

/* Its arrays are compared byte by byte, so there are no holes in them. */
struct snapshot {
	struct {
		unsigned long id;
		long refs;
	} objects[MAX_OBJECTS];
	unsigned long nr_objects;
	long nr_pinned;
	long nr_charged;
	struct ioas_snapshot ioas[2];
	struct iommufd_attachment *attachment;
	struct {
		struct iommu_domain *domain;
		struct iommufd_member *member;
	} members[MAX_MEMBERS];
};

static void take_objects(struct kunit *test, struct snapshot *snapshot)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_object *object;
	unsigned long id;

	xa_for_each(&ctx->objects, id, object) {
		KUNIT_ASSERT_LT(test, snapshot->nr_objects, MAX_OBJECTS);
		snapshot->objects[snapshot->nr_objects].id = id;
		snapshot->objects[snapshot->nr_objects++].refs =
			atomic_long_read(&object->refs);
	}
	snapshot->nr_pinned = atomic_long_read(&ctx->nr_pinned);
	snapshot->nr_charged = atomic_long_read(&ctx->nr_charged);
}

static void take_ioas(struct kunit *test, struct iommufd_ioas *ioas,
		      struct ioas_snapshot *snapshot)
{
	struct interval_tree_node *node;

	snapshot->nr_domains = list_count_nodes(&ioas->domains);
	snapshot->alignment = ioas->alignment;
	snapshot->want_claims = ioas->want_claims;
	snapshot->nr_unclaimed = ioas->nr_unclaimed;
	for (node = interval_tree_iter_first(&ioas->reserved, 0, ULONG_MAX);
	     node; node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		unsigned long i = snapshot->nr_reserved++;

		KUNIT_ASSERT_LT(test, i, MAX_RESERVED);
		snapshot->reserved[i].first = node->start;
		snapshot->reserved[i].last = node->last;
		snapshot->reserved[i].owner =
			container_of(node, struct reserved_range, node)->owner;
	}
}

/* Nobody else is at work: no locks. */
static void take_snapshot(struct kunit *test, struct bench *bench,
			  struct snapshot *snapshot)
{
	unsigned int i;

	memset(snapshot, 0, sizeof(*snapshot));
	take_objects(test, snapshot);
	for (i = 0; i < 2; i++)
		take_ioas(test, bench->ioas[i], &snapshot->ioas[i]);
	snapshot->attachment =
		group_attachment(bench->members[0].device->group);
	for (i = 0; i < bench->nr_members; i++) {
		struct member *member = &bench->members[i];

		snapshot->members[i].domain = mock_device_domain(member->mock);
		snapshot->members[i].member = membership(member->device);
	}
}

/* Two of them are too large for the stack. */
struct snapshots {
	struct snapshot before;
	struct snapshot after;
};

static struct snapshots *make_snapshots(struct kunit *test)
{
	struct snapshots *snapshots;

	snapshots = kunit_kzalloc(test, sizeof(*snapshots), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, snapshots);
	return snapshots;
}

static void expect_unchanged(struct kunit *test, struct bench *bench,
			     struct snapshots *snapshots)
{
	struct snapshot *before = &snapshots->before;
	struct snapshot *after = &snapshots->after;

	take_snapshot(test, bench, after);
	KUNIT_EXPECT_EQ(test, before->nr_objects, after->nr_objects);
	KUNIT_EXPECT_EQ(test, 0, memcmp(before->objects, after->objects,
					sizeof(before->objects)));
	KUNIT_EXPECT_EQ(test, before->nr_pinned, after->nr_pinned);
	KUNIT_EXPECT_EQ(test, before->nr_charged, after->nr_charged);
	KUNIT_EXPECT_EQ(test, 0, memcmp(before->ioas, after->ioas,
					sizeof(before->ioas)));
	KUNIT_EXPECT_PTR_EQ(test, before->attachment, after->attachment);
	KUNIT_EXPECT_EQ(test, 0, memcmp(before->members, after->members,
					sizeof(before->members)));
	check_bench(test, bench);
}

/* Steps ------------------------------------------------------------------- */

static int execute(struct bench *bench, const struct step *step,
		   enum target target)
{
	struct iommufd_device *device = bench->members[step->member].device;

	switch (step->operation) {
	case ATTACH:
		return attach(device, target_id(bench, target));
	case REPLACE:
		return replace(device, target_id(bench, target));
	default:
		detach(device);
		return 0;
	}
}

static void set_up_interrupt(struct kunit *test, struct bench *bench,
			     unsigned int i)
{
	unsigned long old = bench->doorbell_iova[i];

	if (!MOCK_HAS_MSI)
		return;
	KUNIT_EXPECT_EQ(test, 0,
			mock_set_up_msi(&bench->members[i].mock->dev,
					MOCK_DOORBELL(i),
					&bench->doorbell_iova[i]));
	KUNIT_EXPECT_NE(test, 0, bench->doorbell_iova[i]);
	if (old)
		KUNIT_EXPECT_EQ(test, old, bench->doorbell_iova[i]);
}

static void model_execute(struct bench *bench, const struct step *step,
			  enum target target)
{
	bench->attached[step->member] = step->operation != DETACH;
	if (step->operation != DETACH)
		bench->target = target;
}

static bool model_programs(struct bench *bench, enum target target)
{
	return !model_any_attached(bench) || bench->target != target;
}

/* Each device that the step programs refuses once. */
static void refuse_step(struct kunit *test, struct bench *bench,
			const struct step *step, enum target target,
			struct snapshots *snapshots)
{
	unsigned int i;

	for (i = 0; i < bench->nr_members; i++) {
		take_snapshot(test, bench, &snapshots->before);
		mock_device_fail_attach(bench->members[i].mock, 1, -ENODEV);
		KUNIT_EXPECT_EQ(test, -ENODEV, execute(bench, step, target));
		mock_device_fail_attach(bench->members[i].mock, 0, 0);
		expect_unchanged(test, bench, snapshots);
	}
}

/* What the step did although an allocation failed on the way. */
static void undo_step(struct kunit *test, struct bench *bench,
		      const struct step *step)
{
	struct iommufd_device *device = bench->members[step->member].device;

	if (step->operation == ATTACH)
		detach(device);
	else
		KUNIT_ASSERT_EQ(test, 0, replace(device,
						 target_id(bench,
							   bench->target)));
}

/* Each allocation of the step fails once; then it is done. */
static void starve_step(struct kunit *test, struct bench *bench,
			const struct step *step, enum target target,
			struct snapshots *snapshots)
{
	unsigned int nth, nr_failed = 0;
	bool failed;
	int error;

	for (nth = 1;; nth++) {
		take_snapshot(test, bench, &snapshots->before);
		mock_fail_nth_begin(nth);
		error = execute(bench, step, target);
		failed = mock_fail_nth_end();
		if (!failed)
			break;
		if (error) {
			nr_failed++;
			KUNIT_EXPECT_EQ(test, -ENOMEM, error);
			expect_unchanged(test, bench, snapshots);
		} else {
			undo_step(test, bench, step);
		}
		KUNIT_ASSERT_EQ(test, KUNIT_SUCCESS, test->status);
	}
	KUNIT_ASSERT_EQ(test, 0, error);
	/* At least the attachment itself is allocated. */
	KUNIT_EXPECT_GT(test, nr_failed, 0);
}

/* A device that is not asked cannot refuse. */
static void do_step_quietly(struct kunit *test, struct bench *bench,
			    const struct step *step, enum target target)
{
	unsigned int before[MAX_MEMBERS];
	unsigned int i;

	for (i = 0; i < bench->nr_members; i++) {
		before[i] = mock_device_nr_attaches(bench->members[i].mock);
		mock_device_fail_attach(bench->members[i].mock, 1, -ENODEV);
	}
	KUNIT_EXPECT_EQ(test, 0, execute(bench, step, target));
	for (i = 0; i < bench->nr_members; i++) {
		mock_device_fail_attach(bench->members[i].mock, 0, 0);
		KUNIT_EXPECT_EQ(test, before[i],
				mock_device_nr_attaches(bench->members[i].mock));
	}
}

static void do_step(struct kunit *test, struct bench *bench,
		    const struct step *step, enum target target)
{
	if (step->operation == DETACH || !model_programs(bench, target))
		do_step_quietly(test, bench, step, target);
	else
		KUNIT_EXPECT_EQ(test, 0, execute(bench, step, target));
}

static const struct step one_device[] = {
	{ ATTACH, 0, false },
	{ REPLACE, 0, false },
	{ REPLACE, 0, true },
	{ REPLACE, 0, false },
	{ DETACH, 0 },
	{ ATTACH, 0, true },
	{ DETACH, 0 },
};

static const struct step all_then_replace_each[] = {
	{ ATTACH, 0, false },
	{ ATTACH, 1, false },
	{ ATTACH, 2, false },
	{ REPLACE, 0, true },
	{ REPLACE, 1, true },
	{ REPLACE, 2, true },
	{ REPLACE, 2, false },
	{ DETACH, 0 },
	{ DETACH, 1 },
	{ DETACH, 2 },
};

static const struct step detach_one_then_replace[] = {
	{ ATTACH, 0, false },
	{ ATTACH, 1, false },
	{ ATTACH, 2, false },
	{ DETACH, 0 },
	{ REPLACE, 1, true },
	{ REPLACE, 2, true },
	{ ATTACH, 0, true },
	{ DETACH, 1 },
	{ DETACH, 2 },
	{ DETACH, 0 },
};

static const struct step detach_two_then_replace[] = {
	{ ATTACH, 0, false },
	{ ATTACH, 1, false },
	{ ATTACH, 2, false },
	{ DETACH, 0 },
	{ DETACH, 1 },
	{ REPLACE, 2, true },
	{ ATTACH, 1, true },
	{ REPLACE, 1, false },
	{ DETACH, 2 },
	{ DETACH, 1 },
};

/* What is done to a group of which size. */
struct scenario {
	const char *name;
	const struct step *steps;
	unsigned int nr_steps;
	unsigned int nr_members;
};

static const struct scenario scenarios[] = {
	{ "one device", one_device, ARRAY_SIZE(one_device), 1 },
	{ "all, then replace each", all_then_replace_each,
	  ARRAY_SIZE(all_then_replace_each), 3 },
	{ "detach one, then replace", detach_one_then_replace,
	  ARRAY_SIZE(detach_one_then_replace), 3 },
	{ "detach two, then replace", detach_two_then_replace,
	  ARRAY_SIZE(detach_two_then_replace), 3 },
};

/* Each scenario with each move. */
struct trial {
	const struct scenario *scenario;
	const struct move *move;
};

static struct trial trials[ARRAY_SIZE(scenarios) * ARRAY_SIZE(moves)];

static const void *next_trial(struct kunit *test, const void *previous,
			      char *description)
{
	struct trial *trial = previous ? (struct trial *)previous + 1 : trials;
	size_t i = trial - trials;

	if (i == ARRAY_SIZE(trials))
		return NULL;
	trial->scenario = &scenarios[i / ARRAY_SIZE(moves)];
	trial->move = &moves[i % ARRAY_SIZE(moves)];
	snprintf(description, KUNIT_PARAM_DESC_SIZE, "%s: %s",
		 trial->scenario->name, trial->move->name);
	return trial;
}

enum failures { NO_FAILURES, REFUSED, STARVED };

static void run_step(struct kunit *test, struct bench *bench,
		     const struct step *step, enum target target,
		     enum failures failures, struct snapshots *snapshots)
{
	bool fallible = step->operation != DETACH;

	if (failures == REFUSED && fallible && model_programs(bench, target))
		refuse_step(test, bench, step, target, snapshots);
	if (failures == STARVED && fallible)
		starve_step(test, bench, step, target, snapshots);
	else
		do_step(test, bench, step, target);
	model_execute(bench, step, target);
	check_bench(test, bench);
	if (step->operation == ATTACH) {
		set_up_interrupt(test, bench, step->member);
		check_bench(test, bench);
	}
}

static void run_trial(struct kunit *test, enum failures failures)
{
	const struct trial *trial = test->param_value;
	struct bench *bench = make_bench(test, trial->scenario->nr_members);
	struct snapshots *snapshots = make_snapshots(test);
	unsigned int i;

	need_target(test, bench, trial->move->from);
	need_target(test, bench, trial->move->to);
	check_bench(test, bench);
	for (i = 0; i < trial->scenario->nr_steps; i++) {
		const struct step *step = &trial->scenario->steps[i];

		run_step(test, bench, step,
			 step->to ? trial->move->to : trial->move->from,
			 failures, snapshots);
		KUNIT_ASSERT_EQ_MSG(test, KUNIT_SUCCESS, test->status,
				    "step %u", i);
	}
	KUNIT_EXPECT_FALSE(test, model_any_attached(bench));
}

static void groups_move(struct kunit *test)
{
	run_trial(test, NO_FAILURES);
}

static void refused_moves_change_nothing_L21_L22(struct kunit *test)
{
	run_trial(test, REFUSED);
}

static void starved_moves_change_nothing_L7_L22(struct kunit *test)
{
	mock_need_fail_nth(test);
	run_trial(test, STARVED);
}

/* Refusals ---------------------------------------------------------------- */

static void ids_are_checked(struct kunit *test)
{
	struct bench *bench = make_bench(test, 1);
	struct iommufd_device *device = bench->members[0].device;
	struct snapshots *snapshots = make_snapshots(test);
	u32 pt_id = bench->ioas[0]->obj.id;

	take_snapshot(test, bench, &snapshots->before);
	KUNIT_EXPECT_EQ(test, -ENOENT, attach(device, 0));
	KUNIT_EXPECT_EQ(test, -ENOENT, attach(device, U32_MAX));
	KUNIT_EXPECT_EQ(test, -EINVAL, attach(device, device->obj.id));
	/* It has no PASIDs. */
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommufd_device_attach(device, 1, &pt_id));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			iommufd_device_replace(device, 1, &pt_id));
	KUNIT_EXPECT_EQ(test, bench->ioas[0]->obj.id, pt_id);
	expect_unchanged(test, bench, snapshots);

	KUNIT_ASSERT_EQ(test, 0, attach(device, bench->ioas[0]->obj.id));
	bench->attached[0] = true;
	take_snapshot(test, bench, &snapshots->before);
	KUNIT_EXPECT_EQ(test, -ENOENT, replace(device, U32_MAX));
	KUNIT_EXPECT_EQ(test, -EINVAL, replace(device, device->obj.id));
	expect_unchanged(test, bench, snapshots);
}

static void replace_needs_attached_L23(struct kunit *test)
{
	struct bench *bench = make_bench(test, 3);
	struct snapshots *snapshots = make_snapshots(test);
	enum target target;

	need_target(test, bench, HWPT_0);
	need_target(test, bench, HWPT_1);
	take_snapshot(test, bench, &snapshots->before);
	for (target = 0; target < NR_TARGETS; target++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				replace(bench->members[1].device,
					target_id(bench, target)));
	expect_unchanged(test, bench, snapshots);

	/* That a sibling is attached makes no difference. */
	KUNIT_ASSERT_EQ(test, 0, attach(bench->members[0].device,
					target_id(bench, HWPT_0)));
	bench->attached[0] = true;
	bench->target = HWPT_0;
	take_snapshot(test, bench, &snapshots->before);
	for (target = 0; target < NR_TARGETS; target++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				replace(bench->members[1].device,
					target_id(bench, target)));
	expect_unchanged(test, bench, snapshots);
}

static void attach_elsewhere_is_refused_L20(struct kunit *test)
{
	struct bench *bench = make_bench(test, 3);
	struct snapshots *snapshots = make_snapshots(test);
	enum target target, other;

	need_target(test, bench, HWPT_0);
	need_target(test, bench, HWPT_1);
	for (target = 0; target < NR_TARGETS; target++) {
		KUNIT_ASSERT_EQ(test, 0, attach(bench->members[0].device,
						target_id(bench, target)));
		bench->attached[0] = true;
		bench->target = target;
		take_snapshot(test, bench, &snapshots->before);
		for (other = 0; other < NR_TARGETS; other++) {
			/* The same device, wherever; a sibling, elsewhere. */
			KUNIT_EXPECT_EQ(test, -EINVAL,
					attach(bench->members[0].device,
					       target_id(bench, other)));
			if (other != target)
				KUNIT_EXPECT_EQ(test, -EINVAL,
						attach(bench->members[1].device,
						       target_id(bench, other)));
		}
		expect_unchanged(test, bench, snapshots);
		detach(bench->members[0].device);
		bench->attached[0] = false;
		check_bench(test, bench);
	}
}

static void a_group_has_one_owner(struct kunit *test)
{
	struct mock_device *first = mock_device(test, SHARED_GROUP, 0);
	struct mock_device *second = mock_device(test, SHARED_GROUP, 0);
	struct iommufd_device *device;
	struct mock_test *other;
	u32 id;

	bind_device(test, first);
	other = mock_open(test);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, other);
	device = iommufd_device_bind(other->ctx, &second->dev, &id);
	KUNIT_ASSERT_TRUE(test, IS_ERR(device));
	KUNIT_EXPECT_EQ(test, -EPERM, PTR_ERR(device));
	KUNIT_EXPECT_TRUE(test, xa_empty(&other->ctx->objects));
	KUNIT_EXPECT_TRUE(test, xa_empty(&other->ctx->groups));
	bind_device(test, second);
}

/* Page tables ------------------------------------------------------------- */

static void automatic_is_shared_and_ends(struct kunit *test)
{
	struct mock_device *mocks[2] = { mock_device(test, 0, 0),
					 mock_device(test, 0, 0) };
	struct iommufd_device *devices[2] = { bind_device(test, mocks[0]),
					      bind_device(test, mocks[1]) };
	struct iommufd_ioas *ioas = mock_ioas(test);
	struct iommufd_ctx *ctx = mock_ctx(test);
	u32 ids[2] = { ioas->obj.id, ioas->obj.id };
	unsigned int i;

	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, 0, iommufd_device_attach(devices[i],
							       IOMMU_NO_PASID,
							       &ids[i]));
	KUNIT_EXPECT_NE(test, ids[0], ioas->obj.id);
	KUNIT_EXPECT_EQ(test, ids[0], ids[1]);
	KUNIT_EXPECT_PTR_EQ(test, mock_device_domain(mocks[0]),
			    mock_device_domain(mocks[1]));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ctx, ids[0]));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ctx, ioas->obj.id));

	detach(devices[0]);
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ctx, ids[0]));
	KUNIT_EXPECT_EQ(test, 1, count_automatic(ioas));
	detach(devices[1]);
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_destroy(ctx, ids[0]));
	KUNIT_EXPECT_EQ(test, 0, count_automatic(ioas));
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(ctx, ioas->obj.id));
}

static void explicit_outlives_its_devices(struct kunit *test)
{
	struct bench *bench = make_bench(test, 1);
	struct iommufd_device *device = bench->members[0].device;
	struct iommufd_ctx *ctx = mock_ctx(test);
	u32 id;

	need_target(test, bench, HWPT_0);
	id = target_id(bench, HWPT_0);
	KUNIT_ASSERT_EQ(test, 0, attach(device, id));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ctx, id));
	detach(device);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			iommufd_object_destroy(ctx, bench->ioas[0]->obj.id));
	KUNIT_EXPECT_EQ(test, AREA_PAGES, atomic_long_read(&ctx->nr_pinned));
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(ctx, id));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&ctx->nr_pinned));
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_object_destroy(ctx, bench->ioas[0]->obj.id));
}

/* "Not this one" of a driver: another automatic page table is made. */
static void incompatible_device_gets_its_own(struct kunit *test)
{
	struct mock_device *mocks[2] = { mock_device(test, 0, 0),
					 mock_device(test, 0, 0) };
	struct iommufd_device *devices[2] = { bind_device(test, mocks[0]),
					      bind_device(test, mocks[1]) };
	struct iommufd_ioas *ioas = mock_ioas(test);

	KUNIT_ASSERT_EQ(test, 0, attach(devices[0], ioas->obj.id));
	mock_device_fail_attach(mocks[1], 1, -EINVAL);
	KUNIT_EXPECT_EQ(test, 0, attach(devices[1], ioas->obj.id));
	KUNIT_EXPECT_EQ(test, 2, mock_device_nr_attaches(mocks[1]));
	KUNIT_EXPECT_EQ(test, 2, count_automatic(ioas));
	KUNIT_EXPECT_PTR_NE(test, mock_device_domain(mocks[0]),
			    mock_device_domain(mocks[1]));
	detach(devices[0]);
	KUNIT_EXPECT_EQ(test, 1, count_automatic(ioas));

	/* Any other refusal is final. */
	mock_device_fail_attach(mocks[0], 1, -ENODEV);
	KUNIT_EXPECT_EQ(test, -ENODEV, attach(devices[0], ioas->obj.id));
	KUNIT_EXPECT_EQ(test, 1, count_automatic(ioas));
}

static struct mock_domain *attach_own_hwpt(struct kunit *test,
					   struct iommufd_ioas *ioas)
{
	struct mock_device *mock = mock_device(test, 0, 0);
	struct iommufd_device *device = bind_device(test, mock);

	KUNIT_ASSERT_EQ(test, 0, attach(device, make_hwpt(test, device, ioas)));
	return to_mock_domain(mock_device_domain(mock));
}

static void unmap_syncs_each_domain_once(struct kunit *test)
{
	struct iommufd_ioas *ioas = mock_ioas(test);
	struct mock_domain *domains[2] = { attach_own_hwpt(test, ioas),
					   attach_own_hwpt(test, ioas) };
	unsigned long user = mock_user_memory(test, AREA_PAGES, 1);
	long before[2];
	unsigned long unmapped;
	unsigned int i;

	for (i = 0; i < 3; i++)
		KUNIT_ASSERT_EQ(test, 0,
				mock_map(test, ioas, user,
					 AREA_IOVA + i * SZ_1M,
					 AREA_PAGES * PAGE_SIZE, MOCK_RW));
	KUNIT_EXPECT_EQ(test, 3 * AREA_PAGES,
			atomic_long_read(&mock_ctx(test)->nr_pinned));
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_TRUE(test, area_is_mapped(&domains[i]->domain));
		before[i] = atomic_long_read(&domains[i]->nr_syncs);
	}
	KUNIT_EXPECT_EQ(test, 0,
			ioas_unmap(ioas, (struct iova_range){ 0, ULONG_MAX },
				   &unmapped));
	KUNIT_EXPECT_EQ(test, 3 * AREA_PAGES * PAGE_SIZE, unmapped);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, before[i] + 1,
				atomic_long_read(&domains[i]->nr_syncs));
		KUNIT_EXPECT_FALSE(test,
				   mock_domain_is_mapped(&domains[i]->domain,
							 make_range(AREA_IOVA,
								    1)));
	}
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&mock_ctx(test)->nr_pinned));
}

/* Reserved regions -------------------------------------------------------- */

static int map_region(struct kunit *test, struct bench *bench,
		      unsigned int ioas, unsigned int i)
{
	return mock_map(test, bench->ioas[ioas], mock_user_memory(test, 1, 0),
			bench->members[i].region.first, PAGE_SIZE, MOCK_RW);
}

static void unmap_region(struct kunit *test, struct bench *bench,
			 unsigned int ioas, unsigned int i)
{
	unsigned long unmapped;

	KUNIT_ASSERT_EQ(test, 0, ioas_unmap(bench->ioas[ioas],
					    bench->members[i].region,
					    &unmapped));
	KUNIT_ASSERT_EQ(test, PAGE_SIZE, unmapped);
}

/* The rule of each device comes and goes with it, the first one's as well. */
static void regions_come_and_go_L13(struct kunit *test)
{
	struct bench *bench = make_bench(test, 3);
	unsigned int i, j;

	for (i = 0; i < 3; i++)
		KUNIT_ASSERT_EQ(test, 0, attach(bench->members[i].device,
						target_id(bench, IOAS_0)));
	for (i = 0; i < 3; i++) {
		for (j = i; j < 3; j++)
			KUNIT_EXPECT_EQ(test, -EINVAL,
					map_region(test, bench, 0, j));
		detach(bench->members[i].device);
		KUNIT_EXPECT_EQ(test, 0, map_region(test, bench, 0, i));
	}
}

static void mapped_region_refuses_attach(struct kunit *test)
{
	struct bench *bench = make_bench(test, 3);
	struct snapshots *snapshots = make_snapshots(test);

	KUNIT_ASSERT_EQ(test, 0, map_region(test, bench, 0, 1));
	KUNIT_ASSERT_EQ(test, 0, attach(bench->members[0].device,
					target_id(bench, IOAS_0)));
	bench->attached[0] = true;
	take_snapshot(test, bench, &snapshots->before);
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, attach(bench->members[1].device,
						  target_id(bench, IOAS_0)));
	expect_unchanged(test, bench, snapshots);
	unmap_region(test, bench, 0, 1);
	KUNIT_EXPECT_EQ(test, 0, attach(bench->members[1].device,
					target_id(bench, IOAS_0)));
}

/* Whoever's region it is, and whoever asks. */
static void mapped_region_refuses_replace_L22(struct kunit *test)
{
	struct bench *bench = make_bench(test, 3);
	struct snapshots *snapshots = make_snapshots(test);
	unsigned int i, j;

	need_target(test, bench, HWPT_1);
	for (i = 0; i < 3; i++) {
		KUNIT_ASSERT_EQ(test, 0, attach(bench->members[i].device,
						target_id(bench, IOAS_0)));
		bench->attached[i] = true;
	}
	for (i = 0; i < 3; i++) {
		KUNIT_ASSERT_EQ(test, 0, map_region(test, bench, 1, i));
		take_snapshot(test, bench, &snapshots->before);
		for (j = 0; j < 3; j++) {
			struct iommufd_device *device =
				bench->members[j].device;

			KUNIT_EXPECT_EQ(test, -EADDRINUSE,
					replace(device,
						target_id(bench, IOAS_1)));
			KUNIT_EXPECT_EQ(test, -EADDRINUSE,
					replace(device,
						target_id(bench, HWPT_1)));
		}
		expect_unchanged(test, bench, snapshots);
		unmap_region(test, bench, 1, i);
	}
	KUNIT_EXPECT_EQ(test, 0, replace(bench->members[2].device,
					 target_id(bench, IOAS_1)));
	bench->target = IOAS_1;
	check_bench(test, bench);
}

static int allow(struct kunit *test, struct iommufd_ioas *ioas,
		 struct iova_range range)
{
	struct iommu_iova_range allowed = {
		.start = range.first,
		.last = range.last,
	};
	struct iommu_ioas_allow_iovas args = {
		.size = sizeof(args),
		.ioas_id = ioas->obj.id,
		.num_iovas = 1,
	};

	args.allowed_iovas = mock_user_memory(test, 1, 0);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(u64_to_user_ptr(args.allowed_iovas),
					      &allowed, sizeof(allowed)));
	return mock_command(test, iommufd_ioas_allow_iovas, &args,
			    sizeof(args));
}

static void promised_range_refuses_attach(struct kunit *test)
{
	struct bench *bench = make_bench(test, 1);
	struct snapshots *snapshots = make_snapshots(test);
	struct member *member = &bench->members[0];

	KUNIT_ASSERT_EQ(test, 0, allow(test, bench->ioas[0],
				       make_range(member->region.last, 1)));
	take_snapshot(test, bench, &snapshots->before);
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, attach(member->device,
						  target_id(bench, IOAS_0)));
	expect_unchanged(test, bench, snapshots);

	KUNIT_ASSERT_EQ(test, 0, attach(member->device,
					target_id(bench, IOAS_1)));
	bench->attached[0] = true;
	bench->target = IOAS_1;
	take_snapshot(test, bench, &snapshots->before);
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, replace(member->device,
						   target_id(bench, IOAS_0)));
	/* The other way round: no promise where something is reserved. */
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, allow(test, bench->ioas[1],
						 member->region));
	expect_unchanged(test, bench, snapshots);
}

static void kinds_of_regions(struct kunit *test)
{
	static const enum iommu_resv_type types[] = {
		IOMMU_RESV_MSI, IOMMU_RESV_SW_MSI, IOMMU_RESV_RESERVED,
		IOMMU_RESV_DIRECT_RELAXABLE,
	};
	struct bench *bench = make_bench(test, 1);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		KUNIT_ASSERT_EQ(test, 0,
				mock_device_reserve(bench->members[0].mock,
						    make_range(SZ_512M + i * SZ_1M,
							       SZ_64K),
						    types[i]));
	KUNIT_ASSERT_EQ(test, 0, attach(bench->members[0].device,
					target_id(bench, IOAS_0)));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		bool relaxable = types[i] == IOMMU_RESV_DIRECT_RELAXABLE;

		KUNIT_EXPECT_EQ(test, relaxable ? 0 : -EINVAL,
				mock_map(test, bench->ioas[0],
					 mock_user_memory(test, 1, 0),
					 SZ_512M + i * SZ_1M, PAGE_SIZE,
					 MOCK_RW));
	}
}

static struct kunit_case attach_cases[] = {
	KUNIT_CASE_PARAM(groups_move, next_trial),
	KUNIT_CASE_PARAM(refused_moves_change_nothing_L21_L22, next_trial),
	KUNIT_CASE_PARAM(starved_moves_change_nothing_L7_L22, next_trial),
	KUNIT_CASE(ids_are_checked),
	KUNIT_CASE(replace_needs_attached_L23),
	KUNIT_CASE(attach_elsewhere_is_refused_L20),
	KUNIT_CASE(a_group_has_one_owner),
	KUNIT_CASE(automatic_is_shared_and_ends),
	KUNIT_CASE(explicit_outlives_its_devices),
	KUNIT_CASE(incompatible_device_gets_its_own),
	KUNIT_CASE(unmap_syncs_each_domain_once),
	KUNIT_CASE(regions_come_and_go_L13),
	KUNIT_CASE(mapped_region_refuses_attach),
	KUNIT_CASE(mapped_region_refuses_replace_L22),
	KUNIT_CASE(promised_range_refuses_attach),
	KUNIT_CASE(kinds_of_regions),
	{}
};

static struct kunit_suite attach_suite = {
	.name = "iommufd_attach",
	.init = mock_test_init,
	.test_cases = attach_cases,
};

kunit_test_suite(attach_suite);
