// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit of account.c: charges that move from one process to another. That they
 * are made and given back at all is tested with the pins, in pages_kunit.c.
 */
#include <kunit/test.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include <linux/sched/user.h>

#include "support.h"

#define FIRST_INDEX 100
#define NR_PAGES (2 * WINDOW_PAGES)
#define NR_SOURCES 3

/**
 * struct scene - some sources that one process made, and another process
 * @test: the test case, which is the first process
 * @ctx: their context
 * @memory: what the sources are over
 * @sources: the sources
 * @nodes: a claim on each
 * @mm: of the other process
 * @new: its credentials, without CAP_IPC_LOCK
 * @limit: its RLIMIT_MEMLOCK in pages
 * @unlimited: it has CAP_IPC_LOCK
 * @reserved_field: what it says in CHANGE_PROCESS
 * @error: what CHANGE_PROCESS answered
 */
struct scene {
	struct kunit *test;
	struct iommufd_ctx *ctx;
	struct fake_memory *memory[NR_SOURCES];
	struct pin_source *sources[NR_SOURCES];
	struct interval_tree_node nodes[NR_SOURCES];
	struct mm_struct *mm;
	struct cred *new;
	unsigned long limit;
	bool unlimited;
	u32 reserved_field;
	int error;
};

static void put_mm(void *data)
{
	mmput(data);
}

static void put_new(void *data)
{
	put_cred(data);
}

static void charge_source(struct scene *scene, int i)
{
	test_set_account_mode(scene->sources[i], scene->ctx->account_mode);
	list_add_tail(&scene->sources[i]->charged_node,
		      &scene->ctx->charged_sources);
}

static struct page_range pages(unsigned long first, unsigned long nr)
{
	return (struct page_range){ FIRST_INDEX + first,
				    FIRST_INDEX + first + nr - 1 };
}

static struct scene *make_scene(struct kunit *test, enum account_mode mode)
{
	struct scene *scene = test_zalloc(test, sizeof(*scene));
	int i;

	scene->test = test;
	scene->ctx = test_ctx(test);
	scene->ctx->account_mode = mode;
	scene->limit = NR_SOURCES * NR_PAGES;
	scene->mm = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, scene->mm);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_mm,
							   scene->mm));
	scene->new = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, scene->new);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_new,
							   scene->new));
	cap_lower(scene->new->cap_effective, CAP_IPC_LOCK);
	test_set_memlock_pages(atomic_long_read(&current_user()->locked_vm) +
			       NR_SOURCES * NR_PAGES);
	for (i = 0; i < NR_SOURCES; i++) {
		scene->memory[i] = fake_memory(test, FIRST_INDEX, NR_PAGES,
					       FAKE_MIXED, 1);
		scene->sources[i] = fake_source(scene->memory[i], scene->ctx);
		charge_source(scene, i);
		KUNIT_ASSERT_EQ(test, 0,
				pin_source_claim(scene->sources[i],
						 &scene->nodes[i],
						 pages(0, 100 * (i + 1))));
	}
	return scene;
}

static void end_scene(struct scene *scene)
{
	int i;

	for (i = 0; i < NR_SOURCES; i++)
		pin_source_release(scene->sources[i], &scene->nodes[i]);
	KUNIT_EXPECT_EQ(scene->test, 0, scene->mm->locked_vm);
	KUNIT_EXPECT_EQ(scene->test, 0, atomic64_read(&scene->mm->pinned_vm));
	KUNIT_EXPECT_EQ(scene->test, 0, current->mm->locked_vm);
	KUNIT_EXPECT_EQ(scene->test, 0, atomic64_read(&current->mm->pinned_vm));
}

static void change_in_other_process(void *data)
{
	struct scene *scene = data;
	struct iommu_ioas_change_process args = {
		.size = sizeof(args),
		.__reserved = scene->reserved_field,
	};
	struct iommufd_command command = { .ctx = scene->ctx, .args = &args };
	const struct cred *old = NULL;

	kthread_use_mm(scene->mm);
	test_set_memlock_pages(scene->limit);
	if (!scene->unlimited)
		old = override_creds(scene->new);
	scene->error = iommufd_ioas_change_process(&command);
	if (old)
		revert_creds(old);
	kthread_unuse_mm(scene->mm);
}

static int change_process(struct scene *scene)
{
	test_elsewhere(scene->test, change_in_other_process, scene);
	return scene->error;
}

static void expect_charges(struct scene *scene, unsigned long mine,
			   unsigned long other)
{
	bool mm_mode = scene->ctx->account_mode == ACCOUNT_MM;
	struct kunit *test = scene->test;

	/* What could not be taken off at once is, a moment later. */
	flush_workqueue(iommufd_workqueue);
	KUNIT_EXPECT_EQ(test, mine, atomic64_read(&current->mm->pinned_vm));
	KUNIT_EXPECT_EQ(test, other, atomic64_read(&scene->mm->pinned_vm));
	KUNIT_EXPECT_EQ(test, mm_mode ? mine : 0, current->mm->locked_vm);
	KUNIT_EXPECT_EQ(test, mm_mode ? other : 0, scene->mm->locked_vm);
	KUNIT_EXPECT_EQ(test, mine + other,
			atomic_long_read(&scene->ctx->nr_charged));
}

static void move_all(struct kunit *test, enum account_mode mode)
{
	struct scene *scene = make_scene(test, mode);
	long locked = atomic_long_read(&current_user()->locked_vm);

	expect_charges(scene, 600, 0);
	KUNIT_EXPECT_EQ(test, 0, change_process(scene));
	expect_charges(scene, 0, 600);
	/* One user: nothing changes for him. */
	KUNIT_EXPECT_EQ(test, locked,
			atomic_long_read(&current_user()->locked_vm));

	/* Again, from itself to itself. */
	KUNIT_EXPECT_EQ(test, 0, change_process(scene));
	expect_charges(scene, 0, 600);

	/* From now on the other process is charged. */
	pin_source_release(scene->sources[1], &scene->nodes[1]);
	expect_charges(scene, 0, 400);
	KUNIT_ASSERT_EQ(test, 0,
			pin_source_claim(scene->sources[1], &scene->nodes[1],
					 pages(50, 10)));
	expect_charges(scene, 0, 410);
	end_scene(scene);
}

static void charges_of_the_user_move(struct kunit *test)
{
	move_all(test, ACCOUNT_USER);
}

static void charges_of_the_mm_move(struct kunit *test)
{
	move_all(test, ACCOUNT_MM);
}

/* All or nothing: 600 pages do not fit into 599 */
static void too_much_for_the_new_process(struct kunit *test)
{
	struct scene *scene = make_scene(test, ACCOUNT_MM);

	scene->limit = 599;
	KUNIT_EXPECT_EQ(test, -ENOMEM, change_process(scene));
	expect_charges(scene, 600, 0);
	/* A limit of zero is one for those whom limits are for. */
	scene->limit = 0;
	scene->unlimited = true;
	KUNIT_EXPECT_EQ(test, 0, change_process(scene));
	expect_charges(scene, 0, 600);
	end_scene(scene);
}

/* A successor that runs as the same user needs no room for it all once more */
static void same_user_pays_once(struct kunit *test)
{
	struct scene *scene = make_scene(test, ACCOUNT_USER);
	long locked = atomic_long_read(&current_user()->locked_vm);

	scene->limit = 0;
	KUNIT_EXPECT_EQ(test, 0, change_process(scene));
	expect_charges(scene, 0, 600);
	KUNIT_EXPECT_EQ(test, locked,
			atomic_long_read(&current_user()->locked_vm));
	end_scene(scene);
}

static void refused_changes(struct kunit *test)
{
	struct scene *scene = make_scene(test, ACCOUNT_MM);
	struct pin_source *user;

	scene->reserved_field = 1;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, change_process(scene));
	scene->reserved_field = 0;
	user = pin_source_alloc_user(scene->ctx, FIRST_INDEX, true);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, user);
	KUNIT_EXPECT_EQ(test, -EINVAL, change_process(scene));
	expect_charges(scene, 600, 0);
	pin_source_put(user);
	KUNIT_EXPECT_EQ(test, 0, change_process(scene));
	expect_charges(scene, 0, 600);
	end_scene(scene);
}

static void change_during_pin(struct fake_memory *memory,
			      struct page_range range)
{
	struct scene *scene = memory->data;

	KUNIT_EXPECT_EQ(scene->test, 0, change_process(scene));
	/* What is being pinned is charged already, and has moved too. */
	expect_charges(scene, 0, 600 + 300);
}

/* A claim grows while the charges move, and another one fails */
static void change_during_claims(struct kunit *test)
{
	struct scene *scene = make_scene(test, ACCOUNT_MM);
	struct interval_tree_node node;
	struct fake_memory *memory = scene->memory[0];

	memory->data = scene;
	memory->during_pin = change_during_pin;
	KUNIT_ASSERT_EQ(test, 0,
			pin_source_claim(scene->sources[0], &node,
					 pages(500, 300)));
	KUNIT_EXPECT_NULL(test, memory->during_pin);
	expect_charges(scene, 0, 900);
	pin_source_release(scene->sources[0], &node);
	expect_charges(scene, 0, 600);

	memory->fail_pin = 2;
	KUNIT_EXPECT_EQ(test, -EFAULT,
			pin_source_claim(scene->sources[0], &node,
					 pages(200, 700)));
	memory->fail_pin = 0;
	expect_charges(scene, 0, 600);
	end_scene(scene);
}

/**
 * struct race - a thread that claims and releases, while charges move
 * @scene: what they move in
 * @nr: how often it has done so
 * @stop: it is enough
 */
struct race {
	struct scene *scene;
	unsigned int nr;
	bool stop;
};

static void claim_and_release(void *data)
{
	struct race *race = data;
	struct pin_source *source = race->scene->sources[2];
	struct interval_tree_node node;

	while (!READ_ONCE(race->stop)) {
		struct page_range range = pages(400 + race->nr % 100,
						1 + race->nr % 300);

		KUNIT_EXPECT_EQ(race->scene->test, 0,
				pin_source_claim(source, &node, range));
		pin_source_release(source, &node);
		race->nr++;
		cond_resched();
	}
}

static void changes_race_with_claims(struct kunit *test)
{
	struct scene *scene = make_scene(test, ACCOUNT_MM);
	struct race race = { .scene = scene };
	struct test_thread thread;
	int i;

	test_thread_start(test, &thread, claim_and_release, &race);
	for (i = 0; i < 200 || READ_ONCE(race.nr) < 200; i++) {
		KUNIT_EXPECT_EQ(test, 0, change_process(scene));
		cond_resched();
	}
	WRITE_ONCE(race.stop, true);
	test_thread_join(&thread);
	expect_charges(scene, 0, 600);
	end_scene(scene);
}

/* A process has one account, however much it maps; another one has another */
static void sources_share_accounts(struct kunit *test)
{
	struct iommufd_ctx *ctx = test_ctx(test);
	struct fake_memory *memory = fake_memory(test, FIRST_INDEX, NR_PAGES,
						 FAKE_MIXED, 1);
	struct pin_source *one = fake_source(memory, ctx);
	struct pin_source *two = fake_source(memory, ctx);
	const struct cred *old;
	struct cred *new;
	struct pin_source *three;

	KUNIT_EXPECT_PTR_EQ(test, one->account, two->account);
	KUNIT_EXPECT_FALSE(test, one->charged);
	new = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, new);
	cap_lower(new->cap_effective, CAP_IPC_LOCK);
	old = override_creds(new);
	three = fake_source(memory, ctx);
	revert_creds(old);
	put_cred(new);
	KUNIT_EXPECT_PTR_NE(test, one->account, three->account);
	KUNIT_EXPECT_TRUE(test, three->charged);
	KUNIT_EXPECT_EQ(test, ACCOUNT_USER, three->account->mode);
}

static struct kunit_case account_cases[] = {
	KUNIT_CASE(charges_of_the_user_move),
	KUNIT_CASE(charges_of_the_mm_move),
	KUNIT_CASE(too_much_for_the_new_process),
	KUNIT_CASE(same_user_pays_once),
	KUNIT_CASE(refused_changes),
	KUNIT_CASE(change_during_claims),
	KUNIT_CASE(changes_race_with_claims),
	KUNIT_CASE(sources_share_accounts),
	{ }
};

static struct kunit_suite account_suite = {
	.name = "iommufd_account",
	.test_cases = account_cases,
};

kunit_test_suite(account_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
