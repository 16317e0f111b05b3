// SPDX-License-Identifier: GPL-2.0-only
/*
 * Claims and runs against a model: how many claims cover each page. A page is
 * pinned exactly while that is not zero, and the record says where it is. The
 * memory is that of support.c, which fails the test when a page is pinned or
 * unpinned twice, and moves pages whenever they are pinned anew.
 *
 * A release in the middle of a claim is not a matter of luck here: the memory
 * calls the test back while pages are being pinned.
 */
#include <linux/cred.h>
#include <linux/mman.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "support.h"

#define NR_CLAIMS 24
#define RANDOM_STEPS 250

/* In the middle of all there are, and not at the start of a window. */
#define FIRST_INDEX ((ULONG_MAX >> (PAGE_SHIFT + 1)) + 78)

struct model_claim {
	struct interval_tree_node node;
	struct page_range range;
	bool held;
};

/**
 * struct model - what should be
 * @test: the test
 * @ctx: the context
 * @memory: the memory
 * @source: the source over it
 * @cover: for each page, how many claims hold it
 * @claims: the claims
 * @locked_before: what the user had locked before
 */
struct model {
	struct kunit *test;
	struct iommufd_ctx *ctx;
	struct fake_memory *memory;
	struct pin_source *source;
	u8 *cover;
	struct model_claim claims[NR_CLAIMS];
	long locked_before;
};

static struct model *make_model(struct kunit *test, unsigned long first_index,
				unsigned long nr_pages, enum fake_layout layout,
				unsigned int nr_banks)
{
	struct model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, model);
	model->test = test;
	model->ctx = test_ctx(test);
	model->memory = fake_memory(test, first_index, nr_pages, layout,
				    nr_banks);
	model->cover = test_zalloc(test, nr_pages);
	model->source = fake_source(model->memory, model->ctx);
	/* What user space without CAP_IPC_LOCK gets by default. */
	test_set_account_mode(model->source, ACCOUNT_USER);
	model->locked_before = atomic_long_read(&model->source->account->user->locked_vm);
	test_set_memlock_pages(model->locked_before + nr_pages);
	return model;
}

/* Nothing is recorded of where pages were. */
static bool source_forgot(struct pin_source *source)
{
	return !source->first_entry && xa_empty(&source->windows);
}

/* Pages of the memory, by number. */
static struct page_range pages(struct model *model, unsigned long first,
			       unsigned long nr)
{
	return (struct page_range){
		.first = model->memory->first_index + first,
		.last = model->memory->first_index + first + nr - 1,
	};
}

static void check_span(struct model *model, struct page_range range)
{
	unsigned long index = range.first, nr_wrong = 0, i;
	struct run_cursor cursor;
	struct run run;

	mutex_lock(&model->source->lock);
	run_cursor_init(&cursor, model->source, range);
	while (run_cursor_next(&cursor, &run)) {
		for (i = 0; i < run.nr; i++, index++)
			nr_wrong += index > range.last ||
				    run.pfn + i != fake_pfn(model->memory,
							    index);
	}
	mutex_unlock(&model->source->lock);
	KUNIT_ASSERT_EQ(model->test, range.last + 1, index);
	KUNIT_ASSERT_EQ(model->test, 0, nr_wrong);
}

static unsigned long span_end(struct model *model, unsigned long page)
{
	bool covered = model->cover[page];

	while (page < model->memory->nr_pages &&
	       (bool)model->cover[page] == covered)
		page++;
	return page;
}

/* Compare all there is with the model. */
static void check(struct model *model)
{
	struct fake_memory *memory = model->memory;
	unsigned long page, end, nr_covered = 0, nr_wrong = 0;

	for (page = 0; page < memory->nr_pages; page++) {
		nr_covered += !!model->cover[page];
		nr_wrong += !model->cover[page] != !memory->bank[page];
	}
	KUNIT_ASSERT_EQ(model->test, 0, nr_wrong);
	KUNIT_EXPECT_EQ(model->test, nr_covered, atomic_long_read(&memory->nr_pinned));
	KUNIT_EXPECT_EQ(model->test, nr_covered,
			atomic_long_read(&model->ctx->nr_pinned));
	KUNIT_EXPECT_EQ(model->test, nr_covered,
			atomic_long_read(&model->ctx->nr_charged));
	KUNIT_EXPECT_EQ(model->test, nr_covered,
			atomic_long_read(&model->source->account->user->locked_vm) -
				model->locked_before);
	for (page = 0; page < memory->nr_pages; page = end) {
		end = span_end(model, page);
		if (model->cover[page])
			check_span(model, pages(model, page, end - page));
	}
	if (!nr_covered)
		KUNIT_EXPECT_TRUE(model->test,
				  source_forgot(model->source));
	pin_source_verify(model->source);
}

static void model_cover(struct model *model, struct page_range range,
			int change)
{
	unsigned long index;

	for (index = range.first; index <= range.last; index++)
		model->cover[index - model->memory->first_index] += change;
}

static int claim(struct model *model, unsigned int i, struct page_range range)
{
	struct model_claim *claim = &model->claims[i];
	int error;

	error = pin_source_claim(model->source, &claim->node, range);
	if (error)
		return error;
	claim->range = range;
	claim->held = true;
	model_cover(model, range, 1);
	return 0;
}

static void release(struct model *model, unsigned int i)
{
	struct model_claim *claim = &model->claims[i];

	/* Before the release: it may happen in the middle of a claim. */
	claim->held = false;
	model_cover(model, claim->range, -1);
	pin_source_release(model->source, &claim->node);
}

static void release_all(struct model *model)
{
	unsigned int i;

	for (i = 0; i < NR_CLAIMS; i++)
		if (model->claims[i].held)
			release(model, i);
	check(model);
}

/* Random claims ----------------------------------------------------------- */

static struct page_range random_range(struct model *model,
				      struct rnd_state *rnd)
{
	unsigned long first = prandom_u32_state(rnd) % model->memory->nr_pages;
	unsigned long nr = model->memory->nr_pages - first;

	/* Short ones, ones that fill a window, and any. */
	switch (prandom_u32_state(rnd) % 3) {
	case 0:
		nr = min(nr, 8);
		break;
	case 1:
		nr = min(nr, WINDOW_PAGES + 8);
		break;
	}
	return pages(model, first, 1 + prandom_u32_state(rnd) % nr);
}

static void random_step(struct model *model, struct rnd_state *rnd)
{
	unsigned int i = prandom_u32_state(rnd) % NR_CLAIMS;
	struct page_range range = random_range(model, rnd);
	int error;

	if (model->claims[i].held) {
		release(model, i);
		return;
	}
	model->memory->fail_pin = prandom_u32_state(rnd) % 32;
	model->memory->fail_half = prandom_u32_state(rnd) % 2;
	error = claim(model, i, range);
	model->memory->fail_pin = 0;
	if (error)
		KUNIT_EXPECT_EQ(model->test, -EFAULT, error);
}

static void random_claims(struct kunit *test, unsigned long first_index,
			  enum fake_layout layout)
{
	struct model *model = make_model(test, first_index, 8 * WINDOW_PAGES,
					 layout, 3);
	struct rnd_state rnd;
	unsigned int step;

	prandom_seed_state(&rnd, 1 + layout);
	for (step = 0; step < RANDOM_STEPS; step++) {
		random_step(model, &rnd);
		check(model);
	}
	release_all(model);
}

/* L41: whatever comes and goes, each page is pinned exactly once or not */
static void random_claims_contiguous_L41(struct kunit *test)
{
	random_claims(test, FIRST_INDEX, FAKE_CONTIGUOUS);
}

static void random_claims_scattered_L41(struct kunit *test)
{
	random_claims(test, FIRST_INDEX, FAKE_SCATTERED);
}

static void random_claims_mixed_L41(struct kunit *test)
{
	random_claims(test, FIRST_INDEX, FAKE_MIXED);
}

/* The first index of all, and the last ones that an address can have */
static void random_claims_at_the_ends_L41(struct kunit *test)
{
	random_claims(test, 0, FAKE_MIXED);
	random_claims(test, (ULONG_MAX >> PAGE_SHIFT) + 1 - 8 * WINDOW_PAGES,
		      FAKE_MIXED);
}

/* One claim --------------------------------------------------------------- */

/* L34: one page, one window, one more or less, at each place in a window */
static void lengths_L34(struct kunit *test)
{
	static const unsigned int lengths[] = {
		1, 2, WINDOW_PAGES - 1, WINDOW_PAGES, WINDOW_PAGES + 1,
		2 * WINDOW_PAGES,
	};
	static const unsigned int starts[] = { 0, 1, WINDOW_PAGES - 1 };
	struct model *model = make_model(test, WINDOW_PAGES, 4 * WINDOW_PAGES,
					 FAKE_MIXED, 2);
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (j = 0; j < ARRAY_SIZE(starts); j++) {
			KUNIT_ASSERT_EQ(test, 0,
					claim(model, 0, pages(model, starts[j],
							      lengths[i])));
			check(model);
			release_all(model);
		}
	}
}

/* A claim inside another one takes nothing with it when either goes */
static void claim_inside_another(struct kunit *test)
{
	struct model *model = make_model(test, FIRST_INDEX, 8 * WINDOW_PAGES,
					 FAKE_MIXED, 2);
	struct page_range all = pages(model, 0, 8 * WINDOW_PAGES);
	struct page_range part = pages(model, 3 * WINDOW_PAGES + 5, 9);

	KUNIT_ASSERT_EQ(test, 0, claim(model, 0, all));
	KUNIT_ASSERT_EQ(test, 0, claim(model, 1, part));
	check(model);
	release(model, 0);
	check(model);
	release(model, 1);
	check(model);

	KUNIT_ASSERT_EQ(test, 0, claim(model, 1, part));
	KUNIT_ASSERT_EQ(test, 0, claim(model, 0, all));
	check(model);
	release(model, 1);
	check(model);
	release(model, 0);
	check(model);
}

/* What is pinned is claimed again without pinning; what is not, is not */
static void claim_of_what_is_pinned(struct kunit *test)
{
	struct model *model = make_model(test, FIRST_INDEX, 2 * WINDOW_PAGES,
					 FAKE_SCATTERED, 1);
	struct interval_tree_node node;

	KUNIT_EXPECT_FALSE(test, pin_source_claim_pinned(model->source, &node,
							 pages(model, 0, 1)));
	KUNIT_ASSERT_EQ(test, 0, claim(model, 0, pages(model, 10, 600)));
	KUNIT_EXPECT_FALSE(test, pin_source_claim_pinned(model->source, &node,
							 pages(model, 9, 2)));
	KUNIT_EXPECT_FALSE(test, pin_source_claim_pinned(model->source, &node,
							 pages(model, 609, 2)));
	model->memory->nr_pin_calls = 0;
	KUNIT_ASSERT_EQ(test, 0, claim(model, 1, pages(model, 10, 600)));
	KUNIT_EXPECT_EQ(test, 0, model->memory->nr_pin_calls);
	release(model, 0);
	check(model);
	release_all(model);
}

/* L41, L43: a failure at each pin, with or without a part done */
static void failed_pins_leave_nothing_L41_L43(struct kunit *test)
{
	struct model *model = make_model(test, FIRST_INDEX, 5 * WINDOW_PAGES,
					 FAKE_MIXED, 3);
	struct page_range all = pages(model, 0, 5 * WINDOW_PAGES);
	unsigned int nth, half, nr_failures = 0;
	int error;

	KUNIT_ASSERT_EQ(test, 0, claim(model, 0, pages(model, 100, 20)));
	KUNIT_ASSERT_EQ(test, 0, claim(model, 1, pages(model, 900, 700)));
	for (half = 0; half < 2; half++) {
		for (nth = 1;; nth++) {
			model->memory->fail_half = half;
			model->memory->fail_pin = nth;
			error = claim(model, 2, all);
			check(model);
			if (!error)
				break;
			KUNIT_EXPECT_EQ(test, -EFAULT, error);
			nr_failures++;
		}
		model->memory->fail_pin = 0;
		release(model, 2);
		check(model);
	}
	/* Six windows; the two claims cut one of them in two and hide one. */
	KUNIT_EXPECT_EQ(test, 2 * 6, nr_failures);
	release_all(model);
}

/* L41: no memory, at each place where some is needed */
static void failed_allocations_leave_nothing_L41(struct kunit *test)
{
	struct model *model = make_model(test, FIRST_INDEX, 5 * WINDOW_PAGES,
					 FAKE_MIXED, 3);
	struct page_range all = pages(model, 0, 5 * WINDOW_PAGES);
	unsigned int nth, nr_failures = 0;
	int error;

	if (!fail_slab_possible(test))
		kunit_skip(test, "needs FAILSLAB and its debugfs");
	KUNIT_ASSERT_EQ(test, 0, claim(model, 0, pages(model, 100, 20)));
	for (nth = 1;; nth++) {
		fail_slab_begin(nth);
		error = claim(model, 1, all);
		if (!fail_slab_end())
			break;
		check(model);
		if (!error) {
			release(model, 1);
			continue;
		}
		nr_failures++;
		KUNIT_EXPECT_EQ(test, -ENOMEM, error);
	}
	KUNIT_EXPECT_EQ(test, 0, error);
	/* Scratch, records of six windows: checkers may hide some. */
	KUNIT_EXPECT_GE(test, nr_failures, 4);
	check(model);
	release_all(model);
}

/* Releases and lookups in the middle of a claim --------------------------- */

static void release_first_claim(struct fake_memory *memory,
				struct page_range range)
{
	release(memory->data, 0);
}

static void interrupt(struct model *model,
		      void (*during_pin)(struct fake_memory *memory,
					 struct page_range range))
{
	model->memory->data = model;
	model->memory->during_pin = during_pin;
}

/* Claim 0 goes while claim 1 grows over it, and perhaps fails. */
static void claim_over(struct model *model, struct page_range old,
		       struct page_range new, unsigned int fail_pin)
{
	int error;

	KUNIT_ASSERT_EQ(model->test, 0, claim(model, 0, old));
	interrupt(model, release_first_claim);
	model->memory->fail_pin = fail_pin;
	error = claim(model, 1, new);
	KUNIT_EXPECT_EQ(model->test, fail_pin ? -EFAULT : 0, error);
	KUNIT_EXPECT_FALSE(model->test, model->claims[0].held);
	model->memory->fail_pin = 0;
	check(model);
	release_all(model);
}

static void release_during_claim(struct kunit *test)
{
	struct model *model = make_model(test, WINDOW_PAGES, 4 * WINDOW_PAGES,
					 FAKE_MIXED, 3);
	unsigned int fail_pin;

	for (fail_pin = 0; fail_pin < 2; fail_pin++) {
		/* In the window that grows: inside, at its start, at its end. */
		claim_over(model, pages(model, 50, 10), pages(model, 0, 300),
			   fail_pin);
		claim_over(model, pages(model, 0, 10), pages(model, 0, 300),
			   fail_pin);
		claim_over(model, pages(model, 290, 10), pages(model, 0, 300),
			   fail_pin);
		/* Partly outside of what grows. */
		claim_over(model, pages(model, 10, 60), pages(model, 40, 300),
			   fail_pin);
		claim_over(model, pages(model, 200, 900),
			   pages(model, 100, 300), fail_pin);
		/* In windows that are still to come: pinned and charged anew. */
		claim_over(model, pages(model, 600, 900),
			   pages(model, 0, 4 * WINDOW_PAGES), fail_pin);
	}
	/* After some windows are done. */
	for (fail_pin = 2; fail_pin < 5; fail_pin++)
		claim_over(model, pages(model, 100, 500),
			   pages(model, 0, 4 * WINDOW_PAGES), fail_pin);
}

static void release_two_claims(struct fake_memory *memory,
			       struct page_range range)
{
	release(memory->data, 0);
	release(memory->data, 1);
}

/* Several go, in one window and before it, and the claim over them fails */
static void releases_during_failing_claim(struct kunit *test)
{
	struct model *model = make_model(test, WINDOW_PAGES, 4 * WINDOW_PAGES,
					 FAKE_MIXED, 3);
	unsigned int fail_pin;

	for (fail_pin = 0; fail_pin < 6; fail_pin++) {
		KUNIT_ASSERT_EQ(test, 0, claim(model, 0, pages(model, 50, 10)));
		KUNIT_ASSERT_EQ(test, 0, claim(model, 1, pages(model, 90, 10)));
		interrupt(model, release_two_claims);
		model->memory->fail_pin = fail_pin;
		KUNIT_EXPECT_EQ(test, fail_pin ? -EFAULT : 0,
				claim(model, 2, pages(model, 0, 2000)));
		model->memory->fail_pin = 0;
		check(model);
		release_all(model);
	}
}

/* Pages that are still to be pinned are nobody's to claim yet. */
static void claim_what_is_being_pinned(struct fake_memory *memory,
				       struct page_range range)
{
	struct model *model = memory->data;
	struct interval_tree_node node;
	struct page_range part;

	/* Claim 0 covers [50, 60), claim 1 is growing over [0, 300). */
	part = pages(model, 0, 50);
	KUNIT_EXPECT_FALSE(model->test,
			   pin_source_claim_pinned(model->source, &node, part));
	part = pages(model, 55, 10);
	KUNIT_EXPECT_FALSE(model->test,
			   pin_source_claim_pinned(model->source, &node, part));
	part = pages(model, 299, 1);
	KUNIT_EXPECT_FALSE(model->test,
			   pin_source_claim_pinned(model->source, &node, part));
}

static void claim_during_claim(struct kunit *test)
{
	struct model *model = make_model(test, WINDOW_PAGES, WINDOW_PAGES,
					 FAKE_MIXED, 3);
	unsigned int fail_pin;

	KUNIT_ASSERT_EQ(test, 0, claim(model, 0, pages(model, 50, 10)));
	for (fail_pin = 0; fail_pin < 3; fail_pin++) {
		interrupt(model, claim_what_is_being_pinned);
		model->memory->fail_pin = fail_pin;
		KUNIT_EXPECT_EQ(test, fail_pin ? -EFAULT : 0,
				claim(model, 1, pages(model, 0, 300)));
		KUNIT_EXPECT_NULL(test, model->memory->during_pin);
		check(model);
		if (!fail_pin)
			release(model, 1);
	}
	release_all(model);
}

/* The record says nothing of such pages, or says where others once were. */
static void copy_what_is_being_pinned(struct fake_memory *memory,
				      struct page_range range)
{
	struct model *model = memory->data;
	u64 value = 0;

	memory->nr_copy_calls = 0;
	KUNIT_EXPECT_EQ(model->test, 0,
			pin_source_copy(model->source, range.first, 8, &value,
					sizeof(value), 0));
	KUNIT_EXPECT_EQ(model->test, 0,
			pin_source_copy(model->source, range.last, 8, &value,
					sizeof(value),
					IOMMUFD_ACCESS_RW_WRITE));
	KUNIT_EXPECT_EQ(model->test, 2, memory->nr_copy_calls);
}

static void copy_during_claim(struct kunit *test)
{
	struct model *model = make_model(test, WINDOW_PAGES, WINDOW_PAGES,
					 FAKE_CONTIGUOUS, 1);

	interrupt(model, copy_what_is_being_pinned);
	KUNIT_EXPECT_EQ(test, 0, claim(model, 0, pages(model, 0, 300)));
	KUNIT_EXPECT_NULL(test, model->memory->during_pin);
	release_all(model);
}

/*
 * The same with a record that remembers: claim 0 keeps the window, page 100
 * was real memory when it was pinned before and is not any more.
 */
static int real_pin(struct pin_source *source, struct page_range range,
		    struct pin_batch *batch);
static void real_unpin(struct pin_source *source, unsigned long pfn,
		       unsigned long nr);
static int real_copy(struct pin_source *source, unsigned long index,
		     unsigned long offset_bytes, void *data, size_t bytes,
		     unsigned int flags);
static void real_release(struct pin_source *source);

static const struct pin_source_ops real_source_ops = {
	.name = "one page of a test",
	.pin = real_pin,
	.unpin = real_unpin,
	.copy = real_copy,
	.release = real_release,
};

struct real_source {
	struct pin_source source;
	struct kunit *test;
	struct page *page;
	unsigned int nr_copy_calls;
	bool copy_in_pin;
};

static int real_pin(struct pin_source *source, struct page_range range,
		    struct pin_batch *batch)
{
	struct real_source *real =
		container_of(source, struct real_source, source);
	unsigned long index;
	u64 value = 0;

	if (real->copy_in_pin)
		KUNIT_EXPECT_EQ(real->test, 0,
				pin_source_copy(source, range.first, 0, &value,
						sizeof(value),
						IOMMUFD_ACCESS_RW_WRITE));
	for (index = range.first; index <= range.last; index++)
		pin_batch_add(batch, index, page_to_pfn(real->page), 1);
	return 0;
}

static void real_unpin(struct pin_source *source, unsigned long pfn,
		       unsigned long nr)
{
}

static int real_copy(struct pin_source *source, unsigned long index,
		     unsigned long offset_bytes, void *data, size_t bytes,
		     unsigned int flags)
{
	container_of(source, struct real_source, source)->nr_copy_calls++;
	return 0;
}

static void real_release(struct pin_source *source)
{
	__free_page(container_of(source, struct real_source, source)->page);
}

static void copy_does_not_trust_old_runs(struct kunit *test)
{
	struct iommufd_ctx *ctx = test_ctx(test);
	struct interval_tree_node kept, other;
	struct real_source *real;
	u64 *words, value = 1;

	test_mm(test);
	real = kzalloc_obj(*real);
	KUNIT_ASSERT_NOT_NULL(test, real);
	real->test = test;
	real->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, real->page);
	KUNIT_ASSERT_EQ(test, 0,
			pin_source_init(&real->source, ctx, &real_source_ops, 0,
					true));
	words = page_address(real->page);

	KUNIT_EXPECT_EQ(test, 0,
			pin_source_claim(&real->source, &kept,
					 (struct page_range){ 1, 1 }));
	KUNIT_EXPECT_EQ(test, 0,
			pin_source_claim(&real->source, &other,
					 (struct page_range){ 9, 9 }));
	KUNIT_EXPECT_EQ(test, 0,
			pin_source_copy(&real->source, 9, 8, &value,
					sizeof(value),
					IOMMUFD_ACCESS_RW_WRITE));
	KUNIT_EXPECT_EQ(test, 1, words[1]);
	KUNIT_EXPECT_EQ(test, 0, real->nr_copy_calls);

	/* Unpinned: the record says where it was, but no claim does. */
	pin_source_release(&real->source, &other);
	value = 2;
	KUNIT_EXPECT_EQ(test, 0,
			pin_source_copy(&real->source, 9, 8, &value,
					sizeof(value),
					IOMMUFD_ACCESS_RW_WRITE));
	KUNIT_EXPECT_EQ(test, 1, words[1]);
	KUNIT_EXPECT_EQ(test, 1, real->nr_copy_calls);

	/* A claim that is growing does not say so either. */
	words[0] = 3;
	real->copy_in_pin = true;
	KUNIT_EXPECT_EQ(test, 0,
			pin_source_claim(&real->source, &other,
					 (struct page_range){ 9, 9 }));
	KUNIT_EXPECT_EQ(test, 3, words[0]);
	KUNIT_EXPECT_EQ(test, 2, real->nr_copy_calls);

	/* Asked for, the slow way is the way. */
	KUNIT_EXPECT_EQ(test, 0,
			pin_source_copy(&real->source, 9, 8, &value,
					sizeof(value),
					IOMMUFD_ACCESS_RW_WRITE |
						__IOMMUFD_ACCESS_RW_SLOW_PATH));
	KUNIT_EXPECT_EQ(test, 3, real->nr_copy_calls);

	pin_source_release(&real->source, &other);
	pin_source_release(&real->source, &kept);
	pin_source_put(&real->source);
}

/* Several threads --------------------------------------------------------- */

#define NR_THREADS 3
#define THREAD_STEPS 100

struct claiming_thread {
	struct test_thread thread;
	struct model *model;
	unsigned int seed;
	unsigned int nr_wrong;
};

/* All pages of a claim are pinned and where the record says. */
static unsigned int count_wrong(struct model *model, struct page_range range)
{
	unsigned long index = range.first;
	unsigned int nr_wrong = 0;
	struct run_cursor cursor;
	struct run run;

	guard(mutex)(&model->source->lock);
	run_cursor_init(&cursor, model->source, range);
	while (run_cursor_next(&cursor, &run)) {
		for (; run.nr; run.nr--, run.pfn++, index++)
			nr_wrong += !fake_pinned(model->memory, index) ||
				    fake_pfn(model->memory, index) != run.pfn;
	}
	return nr_wrong + (index != range.last + 1);
}

static void claim_and_release(void *data)
{
	struct claiming_thread *thread = data;
	struct model *model = thread->model;
	struct interval_tree_node nodes[4];
	bool held[4] = {};
	struct rnd_state rnd;
	unsigned int step, i;

	prandom_seed_state(&rnd, thread->seed);
	for (step = 0; step < THREAD_STEPS; step++) {
		struct page_range range = random_range(model, &rnd);

		i = step % ARRAY_SIZE(nodes);
		if (held[i])
			pin_source_release(model->source, &nodes[i]);
		held[i] = !pin_source_claim(model->source, &nodes[i], range);
		thread->nr_wrong += !held[i] ||
				    count_wrong(model, range);
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(nodes); i++)
		if (held[i])
			pin_source_release(model->source, &nodes[i]);
}

/* L41: claims of several threads at once, on pages that they share */
static void claims_of_several_threads_L41(struct kunit *test)
{
	struct model *model = make_model(test, FIRST_INDEX, 3 * WINDOW_PAGES,
					 FAKE_MIXED, 3);
	struct claiming_thread threads[NR_THREADS] = {};
	unsigned int i;

	/* Between a release and the uncharge pages count twice. */
	test_set_memlock_pages(model->locked_before +
			       (1 + NR_THREADS) * 3 * WINDOW_PAGES);
	for (i = 0; i < NR_THREADS; i++) {
		threads[i].model = model;
		threads[i].seed = 100 + i;
		test_thread_start(test, &threads[i].thread, claim_and_release,
				  &threads[i]);
	}
	for (i = 0; i < NR_THREADS; i++) {
		test_thread_join(&threads[i].thread);
		KUNIT_EXPECT_EQ(test, 0, threads[i].nr_wrong);
	}
	check(model);
}

/* What the record costs --------------------------------------------------- */

/* Nodes of the xarray that hold dense slots from 0 on, each level. */
static unsigned long node_bytes(unsigned long nr_slots)
{
	unsigned long nr = 0;

	while (nr_slots > 1) {
		nr_slots = DIV_ROUND_UP(nr_slots, XA_CHUNK_SIZE);
		nr += nr_slots;
	}
	return nr * sizeof(struct xa_node);
}

/* At most 32 bytes for 2 MiB that is contiguous, aligned or not */
static void contiguous_record_is_small(struct kunit *test)
{
	const unsigned long nr_windows = 256;
	struct model *model = make_model(test, 0, nr_windows * WINDOW_PAGES,
					 FAKE_CONTIGUOUS, 1);
	unsigned long nr_pages = nr_windows * WINDOW_PAGES;
	struct page_range range;
	struct run_cursor cursor;
	struct run run;

	KUNIT_ASSERT_EQ(test, 0, claim(model, 0, pages(model, 0, nr_pages)));
	KUNIT_EXPECT_LE(test, pin_source_record_bytes(model->source) +
				      node_bytes(nr_windows),
			nr_windows * 32);
	/* One run, however many windows. */
	scoped_guard(mutex, &model->source->lock) {
		run_cursor_init(&cursor, model->source,
				pages(model, 0, nr_pages));
		KUNIT_EXPECT_TRUE(test, run_cursor_next(&cursor, &run));
		KUNIT_EXPECT_EQ(test, run.nr, nr_pages);
		KUNIT_EXPECT_FALSE(test, run_cursor_next(&cursor, &run));
	}
	release_all(model);

	range = pages(model, 100, WINDOW_PAGES);
	KUNIT_ASSERT_EQ(test, 0, claim(model, 0, range));
	KUNIT_EXPECT_LE(test, pin_source_record_bytes(model->source), 32);
	check(model);
	release_all(model);
}

/* At most 16 bytes a page where no page is the next of another one */
static void scattered_record_is_small(struct kunit *test)
{
	const unsigned long nr_windows = 128;
	struct model *model = make_model(test, 0, nr_windows * WINDOW_PAGES,
					 FAKE_SCATTERED, 1);
	unsigned long nr_pages = nr_windows * WINDOW_PAGES, nr;

	KUNIT_ASSERT_EQ(test, 0, claim(model, 0, pages(model, 0, nr_pages)));
	KUNIT_EXPECT_LE(test, pin_source_record_bytes(model->source) +
				      node_bytes(nr_windows),
			nr_pages * 16);
	release_all(model);

	for (nr = 1; nr <= WINDOW_PAGES; nr++) {
		KUNIT_ASSERT_EQ(test, 0, claim(model, 0, pages(model, 0, nr)));
		KUNIT_EXPECT_LE(test, pin_source_record_bytes(model->source),
				nr * 16);
		release(model, 0);
	}
	check(model);
}

/* Accounting -------------------------------------------------------------- */

static long charged_to(struct pin_source *source)
{
	switch (source->account->mode) {
	case ACCOUNT_USER:
		return atomic_long_read(&source->account->user->locked_vm);
	case ACCOUNT_MM:
		return source->account->mm->locked_vm;
	default:
		return 0;
	}
}

/* The limit is reached, kept, and given back, in either mode. */
static void check_limit(struct kunit *test, enum account_mode mode)
{
	struct model *model = make_model(test, FIRST_INDEX, 2 * WINDOW_PAGES,
					 FAKE_MIXED, 2);
	struct pin_source *source = model->source;
	struct interval_tree_node node, more;
	struct iommufd_ctx *ctx = model->ctx;
	long before, pinned_before;

	test_set_account_mode(source, mode);
	before = charged_to(source);
	pinned_before = atomic64_read(&source->account->mm->pinned_vm);
	test_set_memlock_pages(before + 700);

	KUNIT_EXPECT_EQ(test, -ENOMEM,
			pin_source_claim(source, &node, pages(model, 0, 701)));
	KUNIT_EXPECT_EQ(test, 0, model->memory->nr_pin_calls);
	KUNIT_EXPECT_EQ(test, before, charged_to(source));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&ctx->nr_charged));

	KUNIT_ASSERT_EQ(test, 0,
			pin_source_claim(source, &node, pages(model, 0, 700)));
	KUNIT_EXPECT_EQ(test, before + 700, charged_to(source));
	KUNIT_EXPECT_EQ(test, pinned_before + 700,
			atomic64_read(&source->account->mm->pinned_vm));
	KUNIT_EXPECT_EQ(test, 700, atomic_long_read(&ctx->nr_charged));
	KUNIT_EXPECT_EQ(test, 700, atomic_long_read(&ctx->nr_pinned));

	/* Not one page more; what is pinned already costs nothing. */
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			pin_source_claim(source, &more, pages(model, 0, 701)));
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			pin_source_claim(source, &more, pages(model, 800, 1)));
	KUNIT_EXPECT_EQ(test, before + 700, charged_to(source));
	KUNIT_ASSERT_EQ(test, 0,
			pin_source_claim(source, &more, pages(model, 1, 699)));
	KUNIT_EXPECT_EQ(test, before + 700, charged_to(source));

	pin_source_release(source, &node);
	KUNIT_EXPECT_EQ(test, before + 699, charged_to(source));
	pin_source_release(source, &more);
	KUNIT_EXPECT_EQ(test, before, charged_to(source));
	KUNIT_EXPECT_EQ(test, pinned_before,
			atomic64_read(&source->account->mm->pinned_vm));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&ctx->nr_charged));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&ctx->nr_pinned));
}

static void limit_of_the_user(struct kunit *test)
{
	check_limit(test, ACCOUNT_USER);
}

static void limit_of_the_process(struct kunit *test)
{
	check_limit(test, ACCOUNT_MM);
}

/* The limit is reached in the middle, since somebody left in the middle */
static void limit_during_claim(struct kunit *test)
{
	struct model *model = make_model(test, WINDOW_PAGES, 4 * WINDOW_PAGES,
					 FAKE_MIXED, 2);

	/*
	 * Claim 0 has 600 pages of which claim 1 covers 500: with 100 more to
	 * pin it is at the limit of 700, of which 600 are claim 0's.
	 */
	test_set_memlock_pages(model->locked_before + 700);
	KUNIT_ASSERT_EQ(test, 0, claim(model, 0, pages(model, 1000, 600)));
	interrupt(model, release_first_claim);
	KUNIT_ASSERT_EQ(test, 0, claim(model, 1, pages(model, 900, 600)));
	check(model);
	release(model, 1);
	check(model);

	/* A limit that others fill meanwhile. */
	KUNIT_ASSERT_EQ(test, 0, claim(model, 0, pages(model, 1000, 600)));
	interrupt(model, release_first_claim);
	test_set_memlock_pages(model->locked_before);
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			claim(model, 1, pages(model, 900, 600)));
	check(model);
	release_all(model);
	model->memory->during_pin = NULL;
}

static void no_limit_for_the_privileged(struct kunit *test)
{
	struct model *model = make_model(test, FIRST_INDEX, WINDOW_PAGES,
					 FAKE_MIXED, 2);
	struct interval_tree_node node;

	test_set_account_mode(model->source, ACCOUNT_NONE);
	test_set_memlock_pages(0);
	KUNIT_ASSERT_EQ(test, 0,
			pin_source_claim(model->source, &node,
					 pages(model, 0, WINDOW_PAGES)));
	KUNIT_EXPECT_EQ(test, WINDOW_PAGES,
			atomic_long_read(&model->ctx->nr_pinned));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&model->ctx->nr_charged));
	pin_source_release(model->source, &node);
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&model->ctx->nr_pinned));
}

/* The mode is that of the context unless CAP_IPC_LOCK says otherwise */
static void modes_of_new_sources(struct kunit *test)
{
	struct iommufd_ctx *ctx = test_ctx(test);
	const struct cred *old;
	struct cred *new;
	struct pin_source *source;
	unsigned int mode;

	test_mm(test);
	new = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, new);
	cap_lower(new->cap_effective, CAP_IPC_LOCK);
	for (mode = ACCOUNT_USER; mode <= ACCOUNT_MM; mode++) {
		ctx->account_mode = mode;
		source = pin_source_alloc_user(ctx, 0, true);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, source);
		KUNIT_EXPECT_EQ(test, ACCOUNT_NONE, source->account->mode);
		pin_source_put(source);

		old = override_creds(new);
		source = pin_source_alloc_user(ctx, 0, true);
		revert_creds(old);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, source);
		KUNIT_EXPECT_EQ(test, mode, source->account->mode);
		pin_source_put(source);
	}
	put_cred(new);
}

/* User memory ------------------------------------------------------------- */

#define USER_PAGES (WINDOW_PAGES + 200)

struct user_memory {
	struct iommufd_ctx *ctx;
	struct pin_source *source;
	unsigned long address;
	struct page **pages;
	struct page **expected;
};

static struct pin_source *user_source(struct user_memory *user, bool writable)
{
	return pin_source_alloc_user(user->ctx, user->address >> PAGE_SHIFT,
				     writable);
}

/* Touched in an order that leaves few pages next to each other. */
static void make_user_memory(struct kunit *test, struct user_memory *user,
			     unsigned long prot)
{
	unsigned long i;

	user->ctx = test_ctx(test);
	user->address = test_mmap(test, USER_PAGES * PAGE_SIZE, prot);
	user->pages = test_zalloc(test, USER_PAGES * sizeof(*user->pages));
	user->expected = test_zalloc(test, USER_PAGES * sizeof(*user->pages));
	user->source = user_source(user, prot & PROT_WRITE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, user->source);
	if (!(prot & PROT_WRITE))
		return;
	for (i = 0; i < USER_PAGES; i++) {
		unsigned long page = i * 7 % USER_PAGES;

		KUNIT_ASSERT_EQ(test, 0,
				put_user(page, (unsigned long __user *)
						(user->address +
						 page * PAGE_SIZE)));
	}
}

static struct page_range user_range(struct user_memory *user,
				    unsigned long first, unsigned long nr)
{
	unsigned long index = (user->address >> PAGE_SHIFT) + first;

	return (struct page_range){ index, index + nr - 1 };
}

/* The pages that the record names are those of the page tables. */
static void compare_user_pages(struct kunit *test, struct user_memory *user,
			       unsigned long first, unsigned long nr)
{
	unsigned long i;

	pin_source_pages(user->source, user_range(user, first, nr),
			 user->pages);
	KUNIT_ASSERT_EQ(test, nr,
			get_user_pages_fast(user->address + first * PAGE_SIZE,
					    nr, 0, user->expected));
	for (i = 0; i < nr; i++) {
		put_page(user->expected[i]);
		if (user->pages[i] != user->expected[i])
			KUNIT_FAIL(test, "page %lu is another one", first + i);
	}
}

/* Exact as long as the folio is one page. */
static unsigned int nr_pins(struct page *page)
{
	return page_ref_count(page) / GUP_PIN_COUNTING_BIAS;
}

static void user_pages_are_pinned_once(struct kunit *test)
{
	struct interval_tree_node all, part;
	struct user_memory user;
	unsigned long i;

	make_user_memory(test, &user, PROT_READ | PROT_WRITE);
	KUNIT_ASSERT_EQ(test, 0,
			pin_source_claim(user.source, &all,
					 user_range(&user, 0, USER_PAGES)));
	KUNIT_ASSERT_EQ(test, 0,
			pin_source_claim(user.source, &part,
					 user_range(&user, 10, 100)));
	compare_user_pages(test, &user, 0, USER_PAGES);
	pin_source_verify(user.source);
	for (i = 0; i < USER_PAGES; i++) {
		KUNIT_ASSERT_FALSE(test, PageCompound(user.expected[i]));
		KUNIT_EXPECT_EQ(test, 1, nr_pins(user.expected[i]));
	}

	pin_source_release(user.source, &all);
	for (i = 0; i < USER_PAGES; i++)
		KUNIT_EXPECT_EQ(test, i >= 10 && i < 110,
				nr_pins(user.expected[i]));
	compare_user_pages(test, &user, 10, 100);
	pin_source_release(user.source, &part);
	KUNIT_EXPECT_EQ(test, 0, nr_pins(user.expected[0]));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&user.ctx->nr_pinned));
	pin_source_put(user.source);
}

/* A hole, at each place of a claim, pins nothing */
static void user_memory_that_is_not_there(struct kunit *test)
{
	static const unsigned long holes[] = {
		0, 1, 300, WINDOW_PAGES, USER_PAGES - 1,
	};
	struct interval_tree_node node;
	struct user_memory user;
	unsigned int i;

	make_user_memory(test, &user, PROT_READ | PROT_WRITE);
	for (i = ARRAY_SIZE(holes); i-- > 0;) {
		KUNIT_ASSERT_EQ(test, 0,
				vm_munmap(user.address + holes[i] * PAGE_SIZE,
					  PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, -EFAULT,
				pin_source_claim(user.source, &node,
						 user_range(&user, 0,
							    USER_PAGES)));
		KUNIT_EXPECT_EQ(test, 0,
				atomic_long_read(&user.ctx->nr_pinned));
		KUNIT_EXPECT_TRUE(test, source_forgot(user.source));
		pin_source_verify(user.source);
	}
	/* Between the holes nothing is pinned that was not given back. */
	KUNIT_ASSERT_EQ(test, 0,
			pin_source_claim(user.source, &node,
					 user_range(&user, 2, 200)));
	compare_user_pages(test, &user, 2, 200);
	for (i = 0; i < 200; i++)
		KUNIT_EXPECT_EQ(test, 1, nr_pins(user.expected[i]));
	pin_source_release(user.source, &node);
	pin_source_put(user.source);
}

static void user_memory_that_is_read_only(struct kunit *test)
{
	struct interval_tree_node node;
	struct user_memory user;
	struct pin_source *writable;
	u8 byte = 1;

	make_user_memory(test, &user, PROT_READ);
	KUNIT_ASSERT_EQ(test, 0,
			pin_source_claim(user.source, &node,
					 user_range(&user, 0, 10)));
	compare_user_pages(test, &user, 0, 10);
	pin_source_release(user.source, &node);
	KUNIT_EXPECT_EQ(test, 0,
			pin_source_copy(user.source,
					user_range(&user, 0, 1).first, 5,
					&byte, 1, 0));
	KUNIT_EXPECT_EQ(test, 0, byte);

	writable = user_source(&user, true);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, writable);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			pin_source_claim(writable, &node,
					 user_range(&user, 0, 10)));
	KUNIT_EXPECT_EQ(test, 0, atomic_long_read(&user.ctx->nr_pinned));
	pin_source_put(writable);
	pin_source_put(user.source);
}

struct other_process {
	struct user_memory *user;
	struct interval_tree_node node;
	int claim_error;
	int copy_error;
	int hole_error;
	unsigned long word;
};

/* A kernel thread has no memory of its own: another process, as it were. */
static void claim_from_elsewhere(void *data)
{
	struct other_process *other = data;
	struct user_memory *user = other->user;
	struct interval_tree_node node;

	other->copy_error = pin_source_copy(user->source,
					    user_range(user, 3, 1).first, 0,
					    &other->word, sizeof(other->word),
					    0);
	other->claim_error = pin_source_claim(user->source, &other->node,
					      user_range(user, 0,
							 USER_PAGES - 1));
	other->hole_error = pin_source_claim(user->source, &node,
					     user_range(user, 0, USER_PAGES));
}

/* Pages of the one that mapped are pinned, whoever asks */
static void user_memory_of_another_process(struct kunit *test)
{
	struct other_process other = {};
	struct user_memory user;
	unsigned long i;

	make_user_memory(test, &user, PROT_READ | PROT_WRITE);
	other.user = &user;
	KUNIT_ASSERT_EQ(test, 0,
			vm_munmap(user.address + (USER_PAGES - 1) * PAGE_SIZE,
				  PAGE_SIZE));
	test_elsewhere(test, claim_from_elsewhere, &other);
	KUNIT_EXPECT_EQ(test, 0, other.copy_error);
	KUNIT_EXPECT_EQ(test, 3, other.word);
	KUNIT_EXPECT_EQ(test, -EFAULT, other.hole_error);
	KUNIT_ASSERT_EQ(test, 0, other.claim_error);
	compare_user_pages(test, &user, 0, USER_PAGES - 1);
	for (i = 0; i < USER_PAGES - 1; i++)
		KUNIT_EXPECT_EQ(test, 1, nr_pins(user.expected[i]));
	pin_source_release(user.source, &other.node);
	KUNIT_EXPECT_EQ(test, 0, nr_pins(user.expected[0]));
	pin_source_put(user.source);
}

/* Pinned or not, a copy reads and writes what the process sees */
static void user_memory_is_copied(struct kunit *test)
{
	const size_t bytes = 3 * PAGE_SIZE;
	struct interval_tree_node node;
	struct user_memory user;
	u8 *written, *read, *seen;
	unsigned long offset;
	unsigned int flags;
	struct rnd_state rnd;
	int i;

	prandom_seed_state(&rnd, 5);
	written = test_zalloc(test, bytes);
	read = test_zalloc(test, bytes);
	seen = test_zalloc(test, bytes);
	make_user_memory(test, &user, PROT_READ | PROT_WRITE);
	/* Of four pages, two are pinned. */
	KUNIT_ASSERT_EQ(test, 0,
			pin_source_claim(user.source, &node,
					 user_range(&user, 1, 2)));
	for (i = 0; i < 4; i++) {
		flags = i % 2 ? __IOMMUFD_ACCESS_RW_SLOW_PATH : 0;
		offset = prandom_u32_state(&rnd) % PAGE_SIZE;
		prandom_bytes_state(&rnd, written, bytes);
		KUNIT_ASSERT_EQ(test, 0,
				pin_source_copy(user.source,
						user_range(&user, 0, 1).first,
						offset, written, bytes,
						flags |
						IOMMUFD_ACCESS_RW_WRITE));
		KUNIT_ASSERT_EQ(test, 0,
				copy_from_user(seen, (void __user *)
						       (user.address + offset),
					       bytes));
		KUNIT_EXPECT_MEMEQ(test, written, seen, bytes);
		KUNIT_ASSERT_EQ(test, 0,
				pin_source_copy(user.source,
						user_range(&user, 0, 1).first,
						offset, read, bytes, flags));
		KUNIT_EXPECT_MEMEQ(test, written, read, bytes);
	}
	KUNIT_EXPECT_EQ(test, -EFAULT,
			pin_source_copy(user.source,
					user_range(&user, USER_PAGES, 1).first,
					0, read, 1, 0));
	pin_source_release(user.source, &node);
	pin_source_put(user.source);
}

static struct kunit_case pages_cases[] = {
	KUNIT_CASE(random_claims_contiguous_L41),
	KUNIT_CASE(random_claims_scattered_L41),
	KUNIT_CASE(random_claims_mixed_L41),
	KUNIT_CASE(random_claims_at_the_ends_L41),
	KUNIT_CASE(lengths_L34),
	KUNIT_CASE(claim_inside_another),
	KUNIT_CASE(claim_of_what_is_pinned),
	KUNIT_CASE(failed_pins_leave_nothing_L41_L43),
	KUNIT_CASE(failed_allocations_leave_nothing_L41),
	KUNIT_CASE(release_during_claim),
	KUNIT_CASE(releases_during_failing_claim),
	KUNIT_CASE(claim_during_claim),
	KUNIT_CASE(copy_during_claim),
	KUNIT_CASE(copy_does_not_trust_old_runs),
	KUNIT_CASE(claims_of_several_threads_L41),
	KUNIT_CASE(contiguous_record_is_small),
	KUNIT_CASE(scattered_record_is_small),
	KUNIT_CASE(limit_of_the_user),
	KUNIT_CASE(limit_of_the_process),
	KUNIT_CASE(limit_during_claim),
	KUNIT_CASE(no_limit_for_the_privileged),
	KUNIT_CASE(modes_of_new_sources),
	KUNIT_CASE(user_pages_are_pinned_once),
	KUNIT_CASE(user_memory_that_is_not_there),
	KUNIT_CASE(user_memory_that_is_read_only),
	KUNIT_CASE(user_memory_of_another_process),
	KUNIT_CASE(user_memory_is_copied),
	{}
};

static struct kunit_suite pages_suite = {
	.name = "iommufd_pages",
	.test_cases = pages_cases,
};

kunit_test_suite(pages_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
