// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects from building to gone, one command at a time and many at once.
 *
 * The objects are empty address spaces: the rules are the same for every type
 * that user space makes. A test that needs another thread at a certain point
 * waits until the state of the object shows that it is there; the races of two
 * threads start together and are run many times.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sched/signal.h>

#include "../iommufd_private.h"
#include "mock.h"

#define DESTROY_ROUNDS 300
#define HAMMER_THREADS 4
#define HAMMER_SLOTS 3
#define HAMMER_STEPS 8000

/* An address space that is published. */
static struct iommufd_object *make_object(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_ioas *ioas = iommufd_ioas_new(ctx);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ioas);
	iommufd_object_publish(ctx, &ioas->obj);
	return &ioas->obj;
}

/* One that ends with its last use, published and still on hold. */
static struct iommufd_object *make_automatic(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_ioas *ioas = iommufd_ioas_new(ctx);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ioas);
	iommufd_object_automatic(&ioas->obj);
	iommufd_object_publish(ctx, &ioas->obj);
	return &ioas->obj;
}

static long get_error(struct kunit *test, u32 id, enum iommufd_object_type type)
{
	struct iommufd_object *object =
		iommufd_object_get(mock_ctx(test), id, type);

	if (IS_ERR(object))
		return PTR_ERR(object);
	iommufd_object_put(mock_ctx(test), object);
	return 0;
}

/* Neither found nor in the table. */
static void expect_gone(struct kunit *test, u32 id)
{
	KUNIT_EXPECT_EQ(test, -ENOENT, get_error(test, id, IOMMUFD_OBJ_ANY));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			iommufd_object_destroy(mock_ctx(test), id));
	KUNIT_EXPECT_NULL(test, xa_load(&mock_ctx(test)->objects, id));
}

/* One command at a time --------------------------------------------------- */

static void building_is_invisible(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_ioas *ioas = iommufd_ioas_new(ctx);
	struct iommufd_object *found;
	u32 id;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ioas);
	id = ioas->obj.id;
	KUNIT_EXPECT_NE(test, 0, id);
	expect_gone(test, id);

	iommufd_object_publish(ctx, &ioas->obj);
	found = iommufd_object_get(ctx, id, IOMMUFD_OBJ_IOAS);
	KUNIT_ASSERT_PTR_EQ(test, found, &ioas->obj);
	iommufd_object_put(ctx, found);

	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(ctx, id));
	expect_gone(test, id);
}

static void abort_leaves_nothing(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_ioas *ioas = iommufd_ioas_new(ctx);
	u32 id;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ioas);
	id = ioas->obj.id;
	iommufd_ioas_destroy(&ioas->obj);
	iommufd_object_abort(ctx, &ioas->obj);
	expect_gone(test, id);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->objects));
}

static void get_asks_for_a_type(struct kunit *test)
{
	struct iommufd_object *object = make_object(test);
	u32 id = object->id;

	KUNIT_EXPECT_EQ(test, 0, get_error(test, id, IOMMUFD_OBJ_ANY));
	KUNIT_EXPECT_EQ(test, 0, get_error(test, id, IOMMUFD_OBJ_IOAS));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			get_error(test, id, IOMMUFD_OBJ_HWPT_PAGING));
	KUNIT_EXPECT_EQ(test, -ENOENT, get_error(test, id, IOMMUFD_OBJ_DEVICE));
	KUNIT_EXPECT_EQ(test, -ENOENT, get_error(test, 0, IOMMUFD_OBJ_ANY));
	KUNIT_EXPECT_EQ(test, -ENOENT, get_error(test, id + 1, IOMMUFD_OBJ_ANY));
	KUNIT_EXPECT_EQ(test, -ENOENT, get_error(test, U32_MAX, IOMMUFD_OBJ_ANY));
	/* Not one of these took anything. */
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&object->refs));
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(mock_ctx(test), id));
}

static void uses_make_destroy_busy(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_object *object = make_object(test);
	u32 id = object->id;

	KUNIT_ASSERT_EQ(test, 0, iommufd_object_use(object));
	KUNIT_ASSERT_EQ(test, 0, iommufd_object_use(object));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ctx, id));
	KUNIT_EXPECT_EQ(test, 0, get_error(test, id, IOMMUFD_OBJ_IOAS));
	iommufd_object_unuse(ctx, object);
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ctx, id));
	iommufd_object_unuse(ctx, object);
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(ctx, id));
	expect_gone(test, id);
}

static const struct iommufd_access_ops no_ops = {};

static void drivers_objects_are_busy(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_access *access;
	u32 id;

	access = iommufd_access_create(ctx, &no_ops, NULL, &id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, access);
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ctx, id));
	KUNIT_EXPECT_EQ(test, 0, get_error(test, id, IOMMUFD_OBJ_ACCESS));
	iommufd_access_destroy(access);
	expect_gone(test, id);
}

static void automatic_dies_with_last_use(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_object *object = make_automatic(test);
	u32 id = object->id;

	KUNIT_ASSERT_EQ(test, 0, iommufd_object_use(object));
	KUNIT_ASSERT_EQ(test, 0, iommufd_object_use(object));
	iommufd_object_put(ctx, object);
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ctx, id));
	iommufd_object_unuse(ctx, object);
	KUNIT_EXPECT_EQ(test, 0, get_error(test, id, IOMMUFD_OBJ_IOAS));
	iommufd_object_unuse(ctx, object);
	expect_gone(test, id);
}

static void automatic_dies_with_last_hold(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_object *object = make_automatic(test);
	u32 id = object->id;

	KUNIT_ASSERT_EQ(test, 0, iommufd_object_use(object));
	iommufd_object_unuse(ctx, object);

	/* Nobody finds it any more, but the command that has it may finish. */
	KUNIT_EXPECT_EQ(test, -ENOENT, get_error(test, id, IOMMUFD_OBJ_ANY));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_use(object));
	KUNIT_EXPECT_NE(test, 0, iommufd_object_destroy(ctx, id));
	KUNIT_EXPECT_PTR_EQ(test, xa_load(&ctx->objects, id), (void *)object);
	iommufd_object_put(ctx, object);
	expect_gone(test, id);
}

static void counts_do_not_overflow(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_object *object = make_object(test);
	u32 id = object->id;

	atomic_long_set(&object->refs, OBJECT_HOLDS);
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, get_error(test, id, IOMMUFD_OBJ_ANY));
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_use(object));
	KUNIT_EXPECT_EQ(test, (long)(OBJECT_HOLDS | OBJECT_USE),
			atomic_long_read(&object->refs));

	atomic_long_set(&object->refs, OBJECT_USES);
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, iommufd_object_use(object));
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_hold(object));
	KUNIT_EXPECT_EQ(test, (long)(OBJECT_USES | OBJECT_HOLD),
			atomic_long_read(&object->refs));

	atomic_long_set(&object->refs, 0);
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(ctx, id));
}

/* The id of the leaf is the higher one, so one pass in order is not enough. */
static void close_ends_leaves_first(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_object *root = make_object(test);
	struct iommufd_hwpt_paging *leaf;

	make_object(test);
	leaf = iommufd_object_alloc(ctx, leaf, IOMMUFD_OBJ_HWPT_PAGING,
				    common.obj);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, leaf);
	leaf->ioas = container_of(root, struct iommufd_ioas, obj);
	KUNIT_ASSERT_EQ(test, 0, iommufd_object_use(root));
	iommufd_object_publish(ctx, &leaf->common.obj);
	KUNIT_ASSERT_LT(test, root->id, leaf->common.obj.id);

	iommufd_objects_close(ctx);
	KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->objects));
}

static void failed_allocation_leaves_nothing_L3(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_ioas *ioas;
	unsigned int nth;
	bool failed;

	mock_need_fail_nth(test);
	for (nth = 1;; nth++) {
		mock_fail_nth_begin(nth);
		ioas = iommufd_ioas_new(ctx);
		failed = mock_fail_nth_end();
		if (!IS_ERR(ioas)) {
			iommufd_ioas_destroy(&ioas->obj);
			iommufd_object_abort(ctx, &ioas->obj);
		} else {
			KUNIT_EXPECT_EQ(test, -ENOMEM, PTR_ERR(ioas));
		}
		KUNIT_EXPECT_TRUE(test, xa_empty(&ctx->objects));
		if (!failed)
			break;
	}
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, ioas);
	/* The object itself, and the table. */
	KUNIT_EXPECT_GT(test, nth, 1);
}

/* Two and more ------------------------------------------------------------ */

/* Go on once everybody is here. */
static void meet(atomic_t *missing)
{
	atomic_dec(missing);
	while (atomic_read(missing) > 0)
		cond_resched();
}

/* A thread that destroys one id. */
struct destroyer {
	struct iommufd_ctx *ctx;
	u32 id;
	struct task_struct *task;
	struct completion done;
	int result;
};

static int destroyer_thread(void *data)
{
	struct destroyer *destroyer = data;

	allow_kernel_signal(SIGKILL);
	destroyer->result = iommufd_object_destroy(destroyer->ctx,
						   destroyer->id);
	complete(&destroyer->done);
	return 0;
}

static void start_destroyer(struct kunit *test, struct destroyer *destroyer,
			    u32 id)
{
	destroyer->ctx = mock_ctx(test);
	destroyer->id = id;
	destroyer->result = 1;
	init_completion(&destroyer->done);
	destroyer->task = kthread_run(destroyer_thread, destroyer,
				      "iommufd-destroy");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, destroyer->task);
	get_task_struct(destroyer->task);
}

static int join_destroyer(struct destroyer *destroyer)
{
	wait_for_completion(&destroyer->done);
	put_task_struct(destroyer->task);
	return destroyer->result;
}

/* The caller has it on hold. */
static void wait_until_dying(struct iommufd_object *object,
			     struct destroyer *destroyer)
{
	while (!(atomic_long_read(&object->refs) & OBJECT_DYING))
		cond_resched();
	mock_wait_asleep(destroyer->task, &destroyer->done);
}

/* Two threads destroy one object after the other, at the same time. */
struct duel {
	struct iommufd_ctx *ctx;
	u32 ids[DESTROY_ROUNDS];
	atomic_t missing[DESTROY_ROUNDS];
};

struct duellist {
	struct duel *duel;
	int results[DESTROY_ROUNDS];
	struct completion done;
};

static int duel_thread(void *data)
{
	struct duellist *duellist = data;
	struct duel *duel = duellist->duel;
	unsigned int round;

	for (round = 0; round < DESTROY_ROUNDS; round++) {
		meet(&duel->missing[round]);
		duellist->results[round] =
			iommufd_object_destroy(duel->ctx, duel->ids[round]);
	}
	complete(&duellist->done);
	return 0;
}

static void start_duellist(struct kunit *test, struct duellist *duellist,
			   struct duel *duel)
{
	struct task_struct *task;

	duellist->duel = duel;
	init_completion(&duellist->done);
	task = kthread_run(duel_thread, duellist, "iommufd-duel");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
}

static void one_of_two_destroys_L1(struct kunit *test)
{
	struct duel *duel = kunit_kzalloc(test, sizeof(*duel), GFP_KERNEL);
	struct duellist *pair;
	unsigned int round;

	pair = kunit_kcalloc(test, 2, sizeof(*pair), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, duel);
	KUNIT_ASSERT_NOT_NULL(test, pair);
	duel->ctx = mock_ctx(test);
	for (round = 0; round < DESTROY_ROUNDS; round++) {
		duel->ids[round] = make_object(test)->id;
		atomic_set(&duel->missing[round], 2);
	}
	start_duellist(test, &pair[0], duel);
	start_duellist(test, &pair[1], duel);
	wait_for_completion(&pair[0].done);
	wait_for_completion(&pair[1].done);

	for (round = 0; round < DESTROY_ROUNDS; round++) {
		int first = pair[0].results[round];
		int second = pair[1].results[round];

		KUNIT_ASSERT_EQ(test, 0, max(first, second));
		KUNIT_ASSERT_EQ(test, -ENOENT, min(first, second));
	}
	KUNIT_EXPECT_TRUE(test, xa_empty(&duel->ctx->objects));
}

static void destroy_waits_for_holds_L12(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_object *object = make_object(test);
	struct destroyer destroyer;
	u32 id = object->id;

	KUNIT_ASSERT_EQ(test, 0, iommufd_object_hold(object));
	KUNIT_ASSERT_EQ(test, 0, iommufd_object_hold(object));
	start_destroyer(test, &destroyer, id);
	wait_until_dying(object, &destroyer);

	KUNIT_EXPECT_EQ(test, -ENOENT, get_error(test, id, IOMMUFD_OBJ_ANY));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_use(object));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_destroy(ctx, id));
	iommufd_object_put(ctx, object);

	/* With the second hold the object is still there, and ours to read. */
	KUNIT_EXPECT_FALSE(test, completion_done(&destroyer.done));
	KUNIT_EXPECT_PTR_EQ(test, xa_load(&ctx->objects, id), (void *)object);
	KUNIT_EXPECT_EQ(test, (long)(OBJECT_DYING | OBJECT_HOLD),
			atomic_long_read(&object->refs));
	iommufd_object_put(ctx, object);

	KUNIT_EXPECT_EQ(test, 0, join_destroyer(&destroyer));
	expect_gone(test, id);
}

static void killed_destroy_changes_nothing_L12(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommufd_object *object = make_object(test);
	struct destroyer destroyer;
	u32 id = object->id;

	KUNIT_ASSERT_EQ(test, 0, iommufd_object_hold(object));
	start_destroyer(test, &destroyer, id);
	wait_until_dying(object, &destroyer);
	send_sig(SIGKILL, destroyer.task, 1);
	KUNIT_EXPECT_EQ(test, -EINTR, join_destroyer(&destroyer));

	KUNIT_EXPECT_EQ(test, (long)OBJECT_HOLD,
			atomic_long_read(&object->refs));
	KUNIT_EXPECT_EQ(test, 0, get_error(test, id, IOMMUFD_OBJ_IOAS));
	iommufd_object_put(ctx, object);
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(ctx, id));
	expect_gone(test, id);
}

/**
 * struct hammer - threads that do everything to a few objects at once
 * @ctx: the context
 * @ids: the ids of what is there; whoever destroys an object puts a new one in
 *	the place of its id. An id can be in two places for a moment, of which
 *	one is about to be overwritten: either will do.
 * @missing: threads that have not started yet
 * @nr_made: objects made
 * @nr_destroyed: objects destroyed
 * @nr_wrong: answers that no order of events explains
 */
struct hammer {
	struct iommufd_ctx *ctx;
	u32 ids[HAMMER_SLOTS];
	atomic_t missing;
	atomic_t nr_made;
	atomic_t nr_destroyed;
	atomic_t nr_wrong;
};

struct hammer_thread {
	struct hammer *hammer;
	u64 seed;
	struct completion done;
};

static bool hammer_put_id(struct hammer *hammer, u32 old, u32 new)
{
	unsigned int slot;

	for (slot = 0; slot < HAMMER_SLOTS; slot++)
		if (cmpxchg(&hammer->ids[slot], old, new) == old)
			return true;
	return false;
}

static void hammer_make(struct hammer *hammer, u32 old)
{
	struct iommufd_ioas *ioas = iommufd_ioas_new(hammer->ctx);

	if (IS_ERR(ioas)) {
		atomic_inc(&hammer->nr_wrong);
		return;
	}
	atomic_inc(&hammer->nr_made);
	if (!hammer_put_id(hammer, old, ioas->obj.id))
		atomic_inc(&hammer->nr_wrong);
	iommufd_object_publish(hammer->ctx, &ioas->obj);
}

static void hammer_destroy(struct hammer *hammer, unsigned int slot)
{
	u32 id = READ_ONCE(hammer->ids[slot]);
	int error = iommufd_object_destroy(hammer->ctx, id);

	if (!error) {
		atomic_inc(&hammer->nr_destroyed);
		hammer_make(hammer, id);
	} else if (error != -ENOENT && error != -EBUSY) {
		atomic_inc(&hammer->nr_wrong);
	}
}

static void hammer_look(struct hammer *hammer, unsigned int slot, bool use)
{
	u32 id = READ_ONCE(hammer->ids[slot]);
	struct iommufd_object *object =
		iommufd_object_get(hammer->ctx, id, IOMMUFD_OBJ_IOAS);
	bool used;

	if (IS_ERR(object)) {
		if (PTR_ERR(object) != -ENOENT)
			atomic_inc(&hammer->nr_wrong);
		return;
	}
	if (object->id != id)
		atomic_inc(&hammer->nr_wrong);
	used = use && !iommufd_object_use(object);
	iommufd_object_put(hammer->ctx, object);
	if (!used)
		return;
	cond_resched();
	/* Who uses an object may touch it, and nobody can destroy it. */
	if (object->id != id || iommufd_object_destroy(hammer->ctx, id) != -EBUSY)
		atomic_inc(&hammer->nr_wrong);
	iommufd_object_unuse(hammer->ctx, object);
}

static int hammer_loop(void *data)
{
	struct hammer_thread *thread = data;
	struct hammer *hammer = thread->hammer;
	struct rnd_state rnd;
	unsigned int step;

	prandom_seed_state(&rnd, thread->seed);
	meet(&hammer->missing);
	for (step = 0; step < HAMMER_STEPS; step++) {
		u32 random = prandom_u32_state(&rnd);
		unsigned int slot = (random >> 8) % HAMMER_SLOTS;

		if (random % 4 == 0)
			hammer_destroy(hammer, slot);
		else
			hammer_look(hammer, slot, random % 4 == 1);
		cond_resched();
	}
	complete(&thread->done);
	return 0;
}

static void everything_at_once(struct kunit *test)
{
	struct hammer_thread threads[HAMMER_THREADS];
	struct hammer hammer = {
		.ctx = mock_ctx(test),
		.missing = ATOMIC_INIT(HAMMER_THREADS),
	};
	unsigned int i;

	for (i = 0; i < HAMMER_SLOTS; i++)
		hammer_make(&hammer, 0);
	for (i = 0; i < HAMMER_THREADS; i++) {
		struct task_struct *task;

		threads[i].hammer = &hammer;
		threads[i].seed = i + 1;
		init_completion(&threads[i].done);
		task = kthread_run(hammer_loop, &threads[i], "iommufd-hammer");
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	}
	for (i = 0; i < HAMMER_THREADS; i++)
		wait_for_completion(&threads[i].done);

	KUNIT_EXPECT_EQ(test, 0, atomic_read(&hammer.nr_wrong));
	KUNIT_EXPECT_GT(test, atomic_read(&hammer.nr_destroyed), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&hammer.nr_made),
			atomic_read(&hammer.nr_destroyed) + HAMMER_SLOTS);
	/* No hold and no use is left. */
	for (i = 0; i < HAMMER_SLOTS; i++)
		KUNIT_EXPECT_EQ(test, 0,
				iommufd_object_destroy(hammer.ctx,
						       hammer.ids[i]));
	KUNIT_EXPECT_TRUE(test, xa_empty(&hammer.ctx->objects));
}

static struct kunit_case object_cases[] = {
	KUNIT_CASE(building_is_invisible),
	KUNIT_CASE(abort_leaves_nothing),
	KUNIT_CASE(get_asks_for_a_type),
	KUNIT_CASE(uses_make_destroy_busy),
	KUNIT_CASE(drivers_objects_are_busy),
	KUNIT_CASE(automatic_dies_with_last_use),
	KUNIT_CASE(automatic_dies_with_last_hold),
	KUNIT_CASE(counts_do_not_overflow),
	KUNIT_CASE(close_ends_leaves_first),
	KUNIT_CASE(failed_allocation_leaves_nothing_L3),
	KUNIT_CASE(one_of_two_destroys_L1),
	KUNIT_CASE(destroy_waits_for_holds_L12),
	KUNIT_CASE(killed_destroy_changes_nothing_L12),
	KUNIT_CASE(everything_at_once),
	{}
};

static struct kunit_suite object_suite = {
	.name = "iommufd_object",
	.init = mock_test_init,
	.test_cases = object_cases,
};

kunit_test_suite(object_suite);
