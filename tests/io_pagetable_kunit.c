// SPDX-License-Identifier: GPL-2.0-only
/*
 * An address space without domains, against a model that has a byte for each
 * address of a small window: whose area it is, whether it is reserved, whether
 * it is allowed. The window lies at the very start of the space, or at its
 * very end, where addresses wrap; all the rest is reserved.
 */
#include <linux/slab.h>

#include "support.h"

#define WINDOW_BYTES 1024
#define RANDOM_ROUNDS 60
#define FINDS_A_ROUND 40
#define STEPS_A_ROUND 12

/* Owners of reserved ranges. */
enum { OWNER_OUTSIDE, OWNER_A, OWNER_B, NR_OWNERS };

/**
 * struct space - an address space and what it should be
 * @test: the test
 * @memory: what its areas map
 * @source: the source over it
 * @ioas: the address space
 * @base: the first address of the window
 * @area: for each address of the window, 0 or the number of its area
 * @reserved: for each address, how often each owner reserved it
 * @allowed: for each address, if it is allowed
 * @any_allowed: something is
 * @nr_areas: counts areas
 * @owners: their addresses stand for owners
 */
struct space {
	struct kunit *test;
	struct fake_memory *memory;
	struct pin_source *source;
	struct iommufd_ioas *ioas;
	unsigned long base;
	unsigned int area[WINDOW_BYTES];
	u8 reserved[NR_OWNERS][WINDOW_BYTES];
	bool allowed[WINDOW_BYTES];
	bool any_allowed;
	unsigned int nr_areas;
	char owners[NR_OWNERS];
};

static int reserve(struct iommufd_ioas *ioas, unsigned long first,
		   unsigned long last, void *owner)
{
	guard(rwsem_write)(&ioas->areas_rwsem);
	return ioas_reserve(ioas, (struct iova_range){ first, last }, owner);
}

static void unreserve(struct iommufd_ioas *ioas, void *owner)
{
	guard(rwsem_write)(&ioas->areas_rwsem);
	ioas_unreserve(ioas, owner);
}

static int find_gap(struct iommufd_ioas *ioas, unsigned long length_bytes,
		    unsigned long alignment, unsigned long phase,
		    unsigned long *iova)
{
	guard(rwsem_read)(&ioas->areas_rwsem);
	return ioas_find_gap(ioas, length_bytes, alignment, phase, iova);
}

/* Replace what is allowed by up to two ranges. */
static int allow(struct iommufd_ioas *ioas, const struct iova_range *ranges,
		 unsigned int nr)
{
	struct rb_root_cached allowed = RB_ROOT_CACHED;
	unsigned int i;
	int error = 0;

	for (i = 0; i < nr && !error; i++)
		error = ioas_allowed_add(&allowed, ranges[i]);
	if (!error)
		error = ioas_set_allowed(ioas, &allowed);
	ioas_allowed_free(&allowed);
	return error;
}

static void make_source(struct kunit *test, struct fake_memory **memory,
			struct pin_source **source, struct iommufd_ioas **ioas)
{
	struct iommufd_ctx *ctx = test_ctx(test);

	*memory = fake_memory(test, 100, 2 * WINDOW_PAGES, FAKE_CONTIGUOUS, 1);
	*source = fake_source(*memory, ctx);
	*ioas = test_ioas(test, ctx);
}

static struct space *make_space(struct kunit *test, unsigned long base)
{
	struct space *space = test_zalloc(test, sizeof(*space));
	void *outside = &space->owners[OWNER_OUTSIDE];

	space->test = test;
	space->base = base;
	make_source(test, &space->memory, &space->source, &space->ioas);
	if (base)
		KUNIT_ASSERT_EQ(test, 0,
				reserve(space->ioas, 0, base - 1, outside));
	if (base + WINDOW_BYTES)
		KUNIT_ASSERT_EQ(test, 0,
				reserve(space->ioas, base + WINDOW_BYTES,
					ULONG_MAX, outside));
	return space;
}

static bool is_reserved(struct space *space, unsigned int at)
{
	return space->reserved[OWNER_A][at] || space->reserved[OWNER_B][at];
}

/* Finding room ------------------------------------------------------------ */

static bool is_room(struct space *space, unsigned int first,
		    unsigned int length)
{
	unsigned int at;

	for (at = first; at < first + length; at++)
		if (space->area[at] || is_reserved(space, at) ||
		    (space->any_allowed && !space->allowed[at]))
			return false;
	return true;
}

static bool is_placed(struct space *space, unsigned long iova,
		      unsigned long alignment, unsigned long phase)
{
	return !((iova - phase) & (alignment - 1));
}

static bool model_has_room(struct space *space, unsigned int length,
			   unsigned long alignment, unsigned long phase)
{
	unsigned int first;

	for (first = 0; first + length <= WINDOW_BYTES; first++)
		if (is_placed(space, space->base + first, alignment, phase) &&
		    is_room(space, first, length))
			return true;
	return false;
}

/* Returns whether there was room. */
static bool check_find(struct space *space, unsigned int length,
		       unsigned long alignment, unsigned long phase)
{
	struct kunit *test = space->test;
	unsigned long iova;
	int error;

	error = find_gap(space->ioas, length, alignment, phase, &iova);
	if (!model_has_room(space, length, alignment, phase)) {
		KUNIT_EXPECT_EQ(test, -ENOSPC, error);
		return false;
	}
	KUNIT_EXPECT_EQ_MSG(test, 0, error, "length %u alignment %lx phase %lx",
			    length, alignment, phase);
	if (error)
		return true;
	KUNIT_EXPECT_TRUE(test, is_placed(space, iova, alignment, phase));
	iova -= space->base;
	KUNIT_ASSERT_LE(test, iova, WINDOW_BYTES - length);
	KUNIT_EXPECT_TRUE(test, is_room(space, iova, length));
	return true;
}

static void random_finds(struct space *space, struct rnd_state *rnd,
			 unsigned int nr_found[2])
{
	unsigned int i;

	for (i = 0; i < FINDS_A_ROUND; i++) {
		unsigned long alignment = BIT(prandom_u32_state(rnd) % 14);
		unsigned int most = BIT(prandom_u32_state(rnd) % 11);
		unsigned long phase = prandom_u32_state(rnd);

		/* Half of them below, and wrapping from, the top. */
		if (prandom_u32_state(rnd) % 2)
			phase = -phase;
		nr_found[check_find(space, 1 + prandom_u32_state(rnd) % most,
				    alignment, phase)]++;
	}
}

/* Changing ---------------------------------------------------------------- */

struct part {
	unsigned int first;
	unsigned int length;
};

static struct part random_part(struct rnd_state *rnd, unsigned int most)
{
	struct part part = { .first = prandom_u32_state(rnd) % WINDOW_BYTES };
	unsigned int left = WINDOW_BYTES - part.first;

	part.length = 1 + prandom_u32_state(rnd) % min(left, most);
	return part;
}

static int model_map(struct space *space, struct part part)
{
	unsigned int at;

	for (at = part.first; at < part.first + part.length; at++)
		if (is_reserved(space, at))
			return -EINVAL;
	for (at = part.first; at < part.first + part.length; at++)
		if (space->area[at])
			return -EEXIST;
	space->nr_areas++;
	for (at = part.first; at < part.first + part.length; at++)
		space->area[at] = space->nr_areas;
	return 0;
}

static void random_map(struct space *space, struct rnd_state *rnd)
{
	struct part part = random_part(rnd, 100);
	unsigned long start = prandom_u32_state(rnd) % SZ_64K;
	int expected = model_map(space, part);

	KUNIT_EXPECT_EQ(space->test, expected,
			fake_map(space->memory, space->source, space->ioas,
				 start, part.length, space->base + part.first));
}

/* Areas do not touch an address twice, so their numbers tell them apart. */
static bool splits_an_area(struct space *space, unsigned int first,
			   unsigned int end)
{
	return (first && space->area[first] &&
		space->area[first - 1] == space->area[first]) ||
	       (end < WINDOW_BYTES && space->area[end] &&
		space->area[end - 1] == space->area[end]);
}

static void random_unmap(struct space *space, struct rnd_state *rnd)
{
	struct part part = random_part(rnd, 200);
	unsigned int end = part.first + part.length, at;
	unsigned long unmapped, nr = 0;
	int expected = 0;

	if (splits_an_area(space, part.first, end))
		expected = -ENOENT;
	for (at = part.first; at < end && !expected; at++) {
		nr += !!space->area[at];
		space->area[at] = 0;
	}
	KUNIT_EXPECT_EQ(space->test, expected,
			test_unmap(space->ioas, space->base + part.first,
				   part.length, &unmapped));
	KUNIT_EXPECT_EQ(space->test, nr, unmapped);
}

static void random_reserve(struct space *space, struct rnd_state *rnd)
{
	unsigned int owner = OWNER_A + prandom_u32_state(rnd) % 2, at;
	struct part part = random_part(rnd, 60);
	unsigned int end = part.first + part.length;
	int expected = 0;

	if (!(prandom_u32_state(rnd) % 4)) {
		unreserve(space->ioas, &space->owners[owner]);
		memset(space->reserved[owner], 0, WINDOW_BYTES);
		return;
	}
	for (at = part.first; at < end; at++)
		if (space->area[at] || space->allowed[at])
			expected = -EADDRINUSE;
	for (at = part.first; at < end && !expected; at++)
		space->reserved[owner][at] = 1;
	KUNIT_EXPECT_EQ(space->test, expected,
			reserve(space->ioas, space->base + part.first,
				space->base + end - 1, &space->owners[owner]));
}

static bool parts_overlap(struct part a, struct part b)
{
	return a.first < b.first + b.length && b.first < a.first + a.length;
}

static void random_allow(struct space *space, struct rnd_state *rnd)
{
	struct part parts[2] = { random_part(rnd, 300), random_part(rnd, 300) };
	unsigned int nr = prandom_u32_state(rnd) % 3, i, at;
	struct iova_range ranges[2];
	int expected = 0;

	for (i = 0; i < nr; i++) {
		ranges[i].first = space->base + parts[i].first;
		ranges[i].last = ranges[i].first + parts[i].length - 1;
		for (at = 0; at < parts[i].length; at++)
			if (is_reserved(space, parts[i].first + at))
				expected = -EADDRINUSE;
	}
	if (nr == 2 && parts_overlap(parts[0], parts[1]))
		expected = -EINVAL;
	KUNIT_EXPECT_EQ(space->test, expected, allow(space->ioas, ranges, nr));
	if (expected)
		return;
	memset(space->allowed, 0, sizeof(space->allowed));
	for (i = 0; i < nr; i++)
		memset(&space->allowed[parts[i].first], 1, parts[i].length);
	space->any_allowed = nr;
}

static void random_change(struct space *space, struct rnd_state *rnd)
{
	switch (prandom_u32_state(rnd) % 8) {
	case 0:
		random_reserve(space, rnd);
		break;
	case 1:
		random_allow(space, rnd);
		break;
	case 2:
	case 3:
		random_unmap(space, rnd);
		break;
	default:
		random_map(space, rnd);
		break;
	}
	ioas_verify(space->ioas);
}

static void check_random(struct kunit *test, unsigned long base,
			 unsigned int seed)
{
	struct space *space = make_space(test, base);
	unsigned int nr_found[2] = {};
	struct rnd_state rnd;
	unsigned int round, step;

	prandom_seed_state(&rnd, seed);
	for (round = 0; round < RANDOM_ROUNDS; round++) {
		for (step = 0; step < STEPS_A_ROUND; step++)
			random_change(space, &rnd);
		random_finds(space, &rnd, nr_found);
	}
	/* The test is worth something only if both happen. */
	KUNIT_EXPECT_GT(test, nr_found[false], FINDS_A_ROUND);
	KUNIT_EXPECT_GT(test, nr_found[true], FINDS_A_ROUND);
}

static void random_window_at_the_start_L30(struct kunit *test)
{
	check_random(test, 0, 1);
}

static void random_window_near_the_start_L30(struct kunit *test)
{
	check_random(test, 3, 2);
}

static void random_window_at_the_end_L30(struct kunit *test)
{
	check_random(test, ULONG_MAX - WINDOW_BYTES + 1, 3);
}

static void random_window_near_the_end_L30(struct kunit *test)
{
	check_random(test, ULONG_MAX - WINDOW_BYTES - 4, 4);
}

/* L30: one free byte, at each place, is found by those that fit and no other */
static void one_hole_L30(struct kunit *test)
{
	static const unsigned long bases[] = { 0, -WINDOW_BYTES };
	static const unsigned int holes[] = {
		0, 1, 2, 511, 512, WINDOW_BYTES - 2, WINDOW_BYTES - 1,
	};
	unsigned int i, j, length, log2;

	for (i = 0; i < ARRAY_SIZE(bases) * ARRAY_SIZE(holes); i++) {
		struct space *space = make_space(test, bases[i % 2]);
		unsigned int hole = holes[i / 2];

		for (j = 0; j < 2; j++) {
			struct part part = {
				j ? hole + 1 : 0,
				j ? WINDOW_BYTES - 1 - hole : hole,
			};

			if (!part.length)
				continue;
			model_map(space, part);
			KUNIT_ASSERT_EQ(test, 0,
					fake_map(space->memory, space->source,
						 space->ioas, 0, part.length,
						 space->base + part.first));
		}
		for (length = 1; length < 3; length++) {
			for (log2 = 0; log2 < BITS_PER_LONG; log2++) {
				check_find(space, length, BIT(log2), 0);
				check_find(space, length, BIT(log2),
					   space->base + hole);
				check_find(space, length, BIT(log2),
					   space->base + hole + 1);
			}
		}
	}
}

/* L30, L34: lengths and alignments as large as they get, in an empty space */
static void huge_requests_L30_L34(struct kunit *test)
{
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;
	unsigned long iova;

	make_source(test, &memory, &source, &ioas);
	KUNIT_EXPECT_EQ(test, 0, find_gap(ioas, ULONG_MAX, 1, 0, &iova));
	KUNIT_EXPECT_LE(test, iova, 1);
	KUNIT_EXPECT_EQ(test, 0, find_gap(ioas, ULONG_MAX, 2, 1, &iova));
	KUNIT_EXPECT_EQ(test, 1, iova);
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			find_gap(ioas, ULONG_MAX, SZ_4K, 2, &iova));
	KUNIT_EXPECT_EQ(test, 0,
			find_gap(ioas, 1, BIT(BITS_PER_LONG - 1), ULONG_MAX,
				 &iova));
	KUNIT_EXPECT_EQ(test, 0, ~iova & (BIT(BITS_PER_LONG - 1) - 1));

	/* With the first and the last address taken. */
	KUNIT_ASSERT_EQ(test, 0, fake_map(memory, source, ioas, 0, 1, 0));
	KUNIT_ASSERT_EQ(test, 0,
			fake_map(memory, source, ioas, 0, 1, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, -ENOSPC, find_gap(ioas, ULONG_MAX, 1, 0, &iova));
	KUNIT_EXPECT_EQ(test, 0, find_gap(ioas, ULONG_MAX - 1, 1, 0, &iova));
	KUNIT_EXPECT_EQ(test, 1, iova);
	KUNIT_EXPECT_EQ(test, 0,
			find_gap(ioas, 2, BIT(BITS_PER_LONG - 1), ULONG_MAX,
				 &iova));
	KUNIT_EXPECT_EQ(test, LONG_MAX, iova);
	KUNIT_EXPECT_EQ(test, 0,
			find_gap(ioas, 2, BIT(BITS_PER_LONG - 1), 0, &iova));
	KUNIT_EXPECT_EQ(test, BIT(BITS_PER_LONG - 1), iova);
	ioas_verify(ioas);
}

/* Mapping ----------------------------------------------------------------- */

static int map_anywhere(struct fake_memory *memory, struct pin_source *source,
			struct iommufd_ioas *ioas, unsigned long start_bytes,
			unsigned long length_bytes, unsigned long *iova)
{
	struct iommufd_area *area =
		fake_area(memory, source, start_bytes, length_bytes);
	LIST_HEAD(areas);
	int error;

	list_add_tail(&area->batch, &areas);
	error = ioas_map(ioas, &areas, length_bytes, iova, false, IOMMU_READ);
	iommufd_areas_free(&areas);
	return error;
}

/* Automatic addresses agree with the memory in as many low bits as pay off */
static void automatic_iova_is_congruent(struct kunit *test)
{
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;
	unsigned long iova;

	make_source(test, &memory, &source, &ioas);
	KUNIT_EXPECT_EQ(test, 0,
			map_anywhere(memory, source, ioas, 0, SZ_2M, &iova));
	KUNIT_EXPECT_EQ(test, (100 * PAGE_SIZE) % SZ_2M, iova % SZ_2M);
	KUNIT_EXPECT_EQ(test, 0,
			map_anywhere(memory, source, ioas, SZ_4K + 80, SZ_64K,
				     &iova));
	KUNIT_EXPECT_EQ(test, (101 * PAGE_SIZE + 80) % SZ_64K, iova % SZ_64K);
	KUNIT_EXPECT_EQ(test, 0,
			map_anywhere(memory, source, ioas, 7, 1, &iova));
	KUNIT_EXPECT_EQ(test, 7, offset_in_page(iova));
	ioas_verify(ioas);

	/*
	 * 4 MiB where they cannot be congruent as a whole: each 2 MiB of them
	 * can. The memory is 101 pages into a huge page.
	 */
	KUNIT_ASSERT_EQ(test, 0,
			ioas_unmap(ioas, (struct iova_range){ 0, ULONG_MAX },
				   &iova));
	KUNIT_ASSERT_EQ(test, 0,
			reserve(ioas, 0, SZ_2M + 101 * SZ_4K - 1, test));
	KUNIT_ASSERT_EQ(test, 0,
			reserve(ioas, SZ_2M + 101 * SZ_4K + SZ_4M, ULONG_MAX,
				test));
	KUNIT_EXPECT_EQ(test, 0,
			map_anywhere(memory, source, ioas, SZ_4K, SZ_4M,
				     &iova));
	KUNIT_EXPECT_EQ(test, SZ_2M + 101 * SZ_4K, iova);
	KUNIT_EXPECT_EQ(test, 0,
			ioas_unmap(ioas, (struct iova_range){ 0, ULONG_MAX },
				   &iova));

	/* There is room for it, and no place that is congruent. */
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			map_anywhere(memory, source, ioas, 3 * SZ_4K,
				     SZ_4M - SZ_4K, &iova));
	ioas_verify(ioas);
}

/* L31: ranges that do not fit; what is there stays */
static void fixed_iova_refusals_L31(struct kunit *test)
{
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;

	make_source(test, &memory, &source, &ioas);
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			fake_map(memory, source, ioas, 0, 2, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			fake_map(memory, source, ioas, 0, SZ_4K,
				 ULONG_MAX - SZ_4K + 2));
	KUNIT_EXPECT_EQ(test, 0,
			fake_map(memory, source, ioas, 0, SZ_4K,
				 ULONG_MAX - SZ_4K + 1));
	KUNIT_EXPECT_EQ(test, 0, fake_map(memory, source, ioas, 0, 16, 16));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			fake_map(memory, source, ioas, 0, 1, 16));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			fake_map(memory, source, ioas, 0, 1, 31));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			fake_map(memory, source, ioas, 0, 48, 0));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			fake_map(memory, source, ioas, 0, 2, 15));
	KUNIT_EXPECT_EQ(test, 0, fake_map(memory, source, ioas, 0, 16, 0));
	KUNIT_EXPECT_EQ(test, 0, fake_map(memory, source, ioas, 0, 1, 32));
	ioas_verify(ioas);
}

/* L41: no memory, at each place where some is needed */
static void failed_maps_leave_nothing_L41(struct kunit *test)
{
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;
	unsigned int nth, nr_failures = 0;
	int error;

	if (!fail_slab_possible(test))
		kunit_skip(test, "needs FAILSLAB and its debugfs");
	make_source(test, &memory, &source, &ioas);
	for (nth = 1;; nth++) {
		fail_slab_begin(nth);
		error = fake_map(memory, source, ioas, 0, SZ_64K, 0);
		if (!fail_slab_end())
			break;
		if (!error) {
			KUNIT_EXPECT_EQ(test, 0,
					test_unmap(ioas, 0, SZ_64K, NULL));
			continue;
		}
		nr_failures++;
		KUNIT_EXPECT_EQ(test, -ENOMEM, error);
		KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&ioas->areas));
		KUNIT_EXPECT_EQ(test, 1, kref_read(&source->kref));
		ioas_verify(ioas);
	}
	KUNIT_EXPECT_GE(test, nr_failures, 1);
	KUNIT_EXPECT_EQ(test, 0, error);
	KUNIT_EXPECT_EQ(test, 2, kref_read(&source->kref));

	fail_slab_begin(1);
	error = reserve(ioas, SZ_1M, SZ_2M, test);
	KUNIT_EXPECT_TRUE(test, fail_slab_end());
	KUNIT_EXPECT_EQ(test, -ENOMEM, error);
	KUNIT_EXPECT_EQ(test, 0, fake_map(memory, source, ioas, 0, 1, SZ_1M));
}

/* Unmapping --------------------------------------------------------------- */

static void unmap_does_not_split(struct kunit *test)
{
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;
	unsigned long unmapped = 1;

	make_source(test, &memory, &source, &ioas);
	KUNIT_ASSERT_EQ(test, 0, fake_map(memory, source, ioas, 0, 100, 100));
	KUNIT_ASSERT_EQ(test, 0, fake_map(memory, source, ioas, 0, 100, 200));
	KUNIT_EXPECT_EQ(test, -ENOENT, test_unmap(ioas, 101, 199, &unmapped));
	KUNIT_EXPECT_EQ(test, 0, unmapped);
	KUNIT_EXPECT_EQ(test, -ENOENT, test_unmap(ioas, 100, 199, &unmapped));
	KUNIT_EXPECT_EQ(test, 0, unmapped);
	KUNIT_EXPECT_EQ(test, -ENOENT, test_unmap(ioas, 150, 1, &unmapped));
	KUNIT_EXPECT_EQ(test, -ENOENT, test_unmap(ioas, 0, 101, &unmapped));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			test_unmap(ioas, 299, ULONG_MAX - 299, &unmapped));
	KUNIT_EXPECT_EQ(test, 0, unmapped);
	ioas_verify(ioas);

	KUNIT_EXPECT_EQ(test, 0, test_unmap(ioas, 100, 200, &unmapped));
	KUNIT_EXPECT_EQ(test, 200, unmapped);
	KUNIT_EXPECT_EQ(test, 1, kref_read(&source->kref));
	ioas_verify(ioas);
}

/* L61: nothing there is nothing to do */
static void unmap_of_nothing_L44_L61(struct kunit *test)
{
	struct iova_range all = { 0, ULONG_MAX };
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;
	unsigned long unmapped = 1;

	make_source(test, &memory, &source, &ioas);
	KUNIT_EXPECT_EQ(test, 0, ioas_unmap(ioas, all, &unmapped));
	KUNIT_EXPECT_EQ(test, 0, unmapped);
	KUNIT_ASSERT_EQ(test, 0, fake_map(memory, source, ioas, 0, 16, 16));
	unmapped = 1;
	KUNIT_EXPECT_EQ(test, 0, test_unmap(ioas, 0, 16, &unmapped));
	KUNIT_EXPECT_EQ(test, 0, unmapped);
	KUNIT_EXPECT_EQ(test, 0, test_unmap(ioas, 32, 1, &unmapped));
	KUNIT_EXPECT_EQ(test, 0, unmapped);
}

/* Everything, in more than one batch, up to both ends of the space */
static void unmap_everything(struct kunit *test)
{
	struct iova_range all = { 0, ULONG_MAX };
	const unsigned int nr = 1200;
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;
	unsigned long unmapped;
	unsigned int i;

	make_source(test, &memory, &source, &ioas);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, 0,
				fake_map(memory, source, ioas, 0, SZ_4K,
					 (i % 2 ? -1UL : 1UL) * SZ_8K * i));
	KUNIT_ASSERT_EQ(test, 0,
			fake_map(memory, source, ioas, 0, 1, ULONG_MAX));
	ioas_verify(ioas);
	KUNIT_EXPECT_EQ(test, 0, ioas_unmap(ioas, all, &unmapped));
	KUNIT_EXPECT_EQ(test, nr * SZ_4K + 1, unmapped);
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&ioas->areas));
	KUNIT_EXPECT_EQ(test, 1, kref_read(&source->kref));
	ioas_verify(ioas);
}

/* L37: what was taken out before the refusal is told, and only that is gone */
static void unmap_says_how_far_it_got_L37(struct kunit *test)
{
	struct iova_range all = { 0, ULONG_MAX };
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;
	struct iommufd_area *area;
	unsigned long unmapped;
	unsigned int i;

	make_source(test, &memory, &source, &ioas);
	for (i = 0; i < 5; i++)
		KUNIT_ASSERT_EQ(test, 0,
				fake_map(memory, source, ioas, 0, 10 + i,
					 100 * i));
	scoped_guard(rwsem_write, &ioas->areas_rwsem) {
		area = ioas_first_area(ioas, (struct iova_range){ 300, 300 });
		area->nr_locks++;
	}
	KUNIT_EXPECT_EQ(test, -EBUSY, ioas_unmap(ioas, all, &unmapped));
	KUNIT_EXPECT_EQ(test, 10 + 11 + 12, unmapped);
	ioas_verify(ioas);
	KUNIT_EXPECT_EQ(test, -EBUSY, ioas_unmap(ioas, all, &unmapped));
	KUNIT_EXPECT_EQ(test, 0, unmapped);
	KUNIT_EXPECT_EQ(test, 0, test_unmap(ioas, 400, 100, &unmapped));
	KUNIT_EXPECT_EQ(test, 14, unmapped);

	scoped_guard(rwsem_write, &ioas->areas_rwsem)
		area->nr_locks--;
	KUNIT_EXPECT_EQ(test, 0, ioas_unmap(ioas, all, &unmapped));
	KUNIT_EXPECT_EQ(test, 13, unmapped);
}

/* Copying ----------------------------------------------------------------- */

static int copy_areas(struct iommufd_ioas *ioas, unsigned long iova,
		      unsigned long length_bytes, struct list_head *areas)
{
	struct iova_range range;
	int error;

	error = iova_range_make(&range, iova, length_bytes);
	return error ?: ioas_copy_areas(ioas, range, areas);
}

static void expect_copy(struct kunit *test, struct list_head *areas,
			unsigned long first_index, unsigned int page_offset,
			unsigned long length_bytes)
{
	struct iommufd_area *area =
		list_first_entry(areas, struct iommufd_area, batch);

	KUNIT_ASSERT_FALSE(test, list_empty(areas));
	KUNIT_EXPECT_EQ(test, first_index, area->first_index);
	KUNIT_EXPECT_EQ(test, page_offset, area->page_offset);
	KUNIT_EXPECT_EQ(test, length_bytes, iova_range_bytes(area->iova));
	list_rotate_left(areas);
}

static void copies_name_the_same_memory(struct kunit *test)
{
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;
	unsigned long iova = 0x777;
	LIST_HEAD(areas);

	make_source(test, &memory, &source, &ioas);
	/* Pages 100 to 103 from byte 80 on, and after it pages 110 to 111. */
	KUNIT_ASSERT_EQ(test, 0,
			fake_map(memory, source, ioas, 80, 3 * SZ_4K, 5));
	KUNIT_ASSERT_EQ(test, 0,
			fake_map(memory, source, ioas, 10 * SZ_4K, SZ_4K + 1,
				 5 + 3 * SZ_4K));

	KUNIT_EXPECT_EQ(test, 0, copy_areas(ioas, 5, 4 * SZ_4K + 1, &areas));
	KUNIT_EXPECT_EQ(test, 2, list_count_nodes(&areas));
	expect_copy(test, &areas, 100, 80, 3 * SZ_4K);
	expect_copy(test, &areas, 110, 0, SZ_4K + 1);
	iommufd_areas_free(&areas);

	KUNIT_EXPECT_EQ(test, 0, copy_areas(ioas, 5 + SZ_4K, 1, &areas));
	expect_copy(test, &areas, 101, 80, 1);
	iommufd_areas_free(&areas);

	/* The last byte of a page, and the first of the next one. */
	KUNIT_EXPECT_EQ(test, 0,
			copy_areas(ioas, 5 + SZ_4K - 81, 2, &areas));
	expect_copy(test, &areas, 100, SZ_4K - 1, 2);
	iommufd_areas_free(&areas);

	/* From the middle of one to the middle of the other. */
	KUNIT_EXPECT_EQ(test, 0,
			copy_areas(ioas, 5 + 2 * SZ_4K, SZ_4K + 7, &areas));
	KUNIT_EXPECT_EQ(test, 2, list_count_nodes(&areas));
	expect_copy(test, &areas, 102, 80, SZ_4K);
	expect_copy(test, &areas, 110, 0, 7);

	/* Mapped again, they stand next to each other. */
	KUNIT_EXPECT_EQ(test, 5, kref_read(&source->kref));
	iova = SZ_1M;
	KUNIT_EXPECT_EQ(test, 0,
			ioas_map(ioas, &areas, SZ_4K + 7, &iova, true,
				 IOMMU_READ));
	KUNIT_EXPECT_TRUE(test, list_empty(&areas));
	ioas_verify(ioas);
	KUNIT_EXPECT_EQ(test, 0, copy_areas(ioas, SZ_1M, SZ_4K + 7, &areas));
	expect_copy(test, &areas, 102, 80, SZ_4K);
	expect_copy(test, &areas, 110, 0, 7);
	iommufd_areas_free(&areas);

	/* All of them, or none. */
	KUNIT_EXPECT_EQ(test, 0,
			copy_areas(ioas, 5 + 2 * SZ_4K, SZ_4K + 7, &areas));
	iova = SZ_1M - SZ_4K;
	KUNIT_EXPECT_EQ(test, -EEXIST,
			ioas_map(ioas, &areas, SZ_4K + 7, &iova, true,
				 IOMMU_READ));
	KUNIT_EXPECT_EQ(test, 2, list_count_nodes(&areas));
	iommufd_areas_free(&areas);
	KUNIT_EXPECT_EQ(test, 0,
			test_unmap(ioas, SZ_1M - SZ_4K, SZ_4K, &iova));
	KUNIT_EXPECT_EQ(test, 0, iova);
}

/*
 * Half pages that together make a page: each of them would be a page of its
 * own for an access that pins them.
 */
static void copies_are_aligned_each(struct kunit *test)
{
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas, *aligned;
	unsigned long iova = SZ_1M;
	LIST_HEAD(areas);

	make_source(test, &memory, &source, &ioas);
	aligned = test_ioas(test, ioas->ctx);
	KUNIT_ASSERT_EQ(test, 0, ioas_add_access(aligned, true));
	KUNIT_ASSERT_EQ(test, 0,
			fake_map(memory, source, ioas, 0, SZ_2K, 0));
	KUNIT_ASSERT_EQ(test, 0,
			fake_map(memory, source, ioas, SZ_2K, SZ_2K, SZ_2K));
	KUNIT_ASSERT_EQ(test, 0, copy_areas(ioas, 0, SZ_4K, &areas));
	KUNIT_EXPECT_EQ(test, 2, list_count_nodes(&areas));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			ioas_map(aligned, &areas, SZ_4K, &iova, true,
				 IOMMU_READ));
	iommufd_areas_free(&areas);
	ioas_verify(aligned);
	ioas_remove_access(aligned, true);
}

static void copies_have_no_gap(struct kunit *test)
{
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;
	LIST_HEAD(areas);

	make_source(test, &memory, &source, &ioas);
	KUNIT_EXPECT_EQ(test, -ENOENT, copy_areas(ioas, 0, 1, &areas));
	KUNIT_ASSERT_EQ(test, 0, fake_map(memory, source, ioas, 0, 10, 10));
	KUNIT_ASSERT_EQ(test, 0, fake_map(memory, source, ioas, 0, 10, 21));
	KUNIT_EXPECT_EQ(test, -ENOENT, copy_areas(ioas, 9, 2, &areas));
	KUNIT_EXPECT_EQ(test, -ENOENT, copy_areas(ioas, 10, 11, &areas));
	KUNIT_EXPECT_EQ(test, -ENOENT, copy_areas(ioas, 10, 21, &areas));
	KUNIT_EXPECT_EQ(test, -ENOENT, copy_areas(ioas, 30, 2, &areas));
	KUNIT_EXPECT_EQ(test, -ENOENT, copy_areas(ioas, 31, 1, &areas));
	KUNIT_EXPECT_EQ(test, -ENOENT,
			copy_areas(ioas, 10, ULONG_MAX - 9, &areas));
	/* What was found before the gap is the caller's to free. */
	iommufd_areas_free(&areas);
	KUNIT_EXPECT_EQ(test, 3, kref_read(&source->kref));

	KUNIT_ASSERT_EQ(test, 0,
			fake_map(memory, source, ioas, 0, 1, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, 0, copy_areas(ioas, ULONG_MAX, 1, &areas));
	iommufd_areas_free(&areas);
}

/* Rules ------------------------------------------------------------------- */

static void reserved_and_allowed_exclude_each_other(struct kunit *test)
{
	struct iova_range low = { 0, 99 }, high = { 200, 299 };
	struct iova_range both[] = { low, high };
	char owner_a, owner_b;
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;
	unsigned long iova;

	make_source(test, &memory, &source, &ioas);
	KUNIT_EXPECT_EQ(test, 0, reserve(ioas, 100, 199, &owner_a));
	KUNIT_EXPECT_EQ(test, 0, reserve(ioas, 150, 220, &owner_b));
	KUNIT_EXPECT_EQ(test, 0, allow(ioas, &low, 1));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, allow(ioas, both, 2));
	/* The promise that was there still holds. */
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, reserve(ioas, 99, 100, &owner_a));
	KUNIT_EXPECT_EQ(test, 0, find_gap(ioas, 100, 1, 0, &iova));
	KUNIT_EXPECT_EQ(test, 0, iova);
	KUNIT_EXPECT_EQ(test, -ENOSPC, find_gap(ioas, 101, 1, 0, &iova));
	ioas_verify(ioas);

	/* The rules of the other owner stay. */
	unreserve(ioas, &owner_a);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fake_map(memory, source, ioas, 0, 1, 150));
	KUNIT_EXPECT_EQ(test, 0, fake_map(memory, source, ioas, 0, 50, 100));
	unreserve(ioas, &owner_b);
	KUNIT_EXPECT_EQ(test, 0, allow(ioas, both, 2));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, reserve(ioas, 199, 200, &owner_b));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, reserve(ioas, 0, ULONG_MAX, test));

	/* What is mapped cannot be reserved, allowed or not. */
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, reserve(ioas, 149, 150, &owner_a));
	KUNIT_EXPECT_EQ(test, 0, reserve(ioas, 150, 199, &owner_a));
	KUNIT_EXPECT_EQ(test, 0, allow(ioas, NULL, 0));
	KUNIT_EXPECT_EQ(test, 0, reserve(ioas, 200, 200, &owner_a));

	/* Ranges of one promise do not overlap. */
	both[1].first = 99;
	KUNIT_EXPECT_EQ(test, -EINVAL, allow(ioas, both, 2));
	ioas_verify(ioas);
}

/* Without large pages everything is aligned to pages, the memory as well */
static void huge_pages_off_needs_alignment(struct kunit *test)
{
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;

	make_source(test, &memory, &source, &ioas);
	KUNIT_ASSERT_EQ(test, 0,
			fake_map(memory, source, ioas, 0, SZ_4K, 0));
	KUNIT_ASSERT_EQ(test, 0,
			fake_map(memory, source, ioas, 80, SZ_4K, SZ_4K));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, ioas_set_huge_pages(ioas, false));
	KUNIT_EXPECT_TRUE(test, ioas->huge_pages);
	KUNIT_EXPECT_EQ(test, 1, ioas->alignment);
	KUNIT_ASSERT_EQ(test, 0, test_unmap(ioas, SZ_4K, SZ_4K, NULL));
	KUNIT_ASSERT_EQ(test, 0,
			fake_map(memory, source, ioas, 0, SZ_2K, SZ_4K));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, ioas_set_huge_pages(ioas, false));
	KUNIT_ASSERT_EQ(test, 0, test_unmap(ioas, SZ_4K, SZ_2K, NULL));

	KUNIT_EXPECT_EQ(test, 0, ioas_set_huge_pages(ioas, false));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, ioas->alignment);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fake_map(memory, source, ioas, 0, SZ_2K, SZ_64K));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fake_map(memory, source, ioas, 0, SZ_4K,
				 SZ_64K + SZ_2K));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fake_map(memory, source, ioas, 80, SZ_4K, SZ_64K));
	KUNIT_EXPECT_EQ(test, 0,
			fake_map(memory, source, ioas, SZ_8K, SZ_8K, SZ_64K));
	ioas_verify(ioas);
	KUNIT_EXPECT_EQ(test, 0, ioas_set_huge_pages(ioas, true));
	KUNIT_EXPECT_EQ(test, 0,
			fake_map(memory, source, ioas, 80, SZ_2K, SZ_1M + 1));
	ioas_verify(ioas);
}

/* So do accesses that pin pages, for as long as there is one */
static void pinning_accesses_need_alignment(struct kunit *test)
{
	struct pin_source *source;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;

	make_source(test, &memory, &source, &ioas);
	KUNIT_ASSERT_EQ(test, 0, fake_map(memory, source, ioas, 80, 1, 0));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, ioas_add_access(ioas, true));
	KUNIT_EXPECT_EQ(test, 0, ioas_add_access(ioas, false));
	ioas_remove_access(ioas, false);
	KUNIT_ASSERT_EQ(test, 0, test_unmap(ioas, 0, 1, NULL));
	KUNIT_EXPECT_EQ(test, 0, ioas_add_access(ioas, true));
	KUNIT_EXPECT_EQ(test, 0, ioas_add_access(ioas, true));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			fake_map(memory, source, ioas, 80, 1, 0));
	ioas_remove_access(ioas, true);
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, ioas->alignment);
	ioas_remove_access(ioas, true);
	KUNIT_EXPECT_EQ(test, 0, fake_map(memory, source, ioas, 80, 1, 0));
}

/* Areas that are left go with their address space */
static void destroy_frees_areas(struct kunit *test)
{
	struct iommufd_ctx *ctx = test_ctx(test);
	struct fake_memory *memory;
	struct pin_source *source;
	struct iommufd_ioas *ioas;
	unsigned int i;

	memory = fake_memory(test, 0, 16, FAKE_CONTIGUOUS, 1);
	source = fake_source(memory, ctx);
	ioas = iommufd_ioas_new(ctx);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ioas);
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_EQ(test, 0,
				fake_map(memory, source, ioas, 0, 10, 30 * i));
	KUNIT_EXPECT_EQ(test, 0, reserve(ioas, 10, 20, test));
	KUNIT_EXPECT_EQ(test, 0, allow(ioas, &(struct iova_range){ 0, 5 }, 1));
	iommufd_ioas_destroy(&ioas->obj);
	iommufd_object_abort(ctx, &ioas->obj);
	KUNIT_EXPECT_EQ(test, 1, kref_read(&source->kref));
}

static struct kunit_case io_pagetable_cases[] = {
	KUNIT_CASE(random_window_at_the_start_L30),
	KUNIT_CASE(random_window_near_the_start_L30),
	KUNIT_CASE(random_window_at_the_end_L30),
	KUNIT_CASE(random_window_near_the_end_L30),
	KUNIT_CASE(one_hole_L30),
	KUNIT_CASE(huge_requests_L30_L34),
	KUNIT_CASE(automatic_iova_is_congruent),
	KUNIT_CASE(fixed_iova_refusals_L31),
	KUNIT_CASE(failed_maps_leave_nothing_L41),
	KUNIT_CASE(unmap_does_not_split),
	KUNIT_CASE(unmap_of_nothing_L44_L61),
	KUNIT_CASE(unmap_everything),
	KUNIT_CASE(unmap_says_how_far_it_got_L37),
	KUNIT_CASE(copies_name_the_same_memory),
	KUNIT_CASE(copies_are_aligned_each),
	KUNIT_CASE(copies_have_no_gap),
	KUNIT_CASE(reserved_and_allowed_exclude_each_other),
	KUNIT_CASE(huge_pages_off_needs_alignment),
	KUNIT_CASE(pinning_accesses_need_alignment),
	KUNIT_CASE(destroy_frees_areas),
	{}
};

static struct kunit_suite io_pagetable_suite = {
	.name = "iommufd_io_pagetable",
	.test_cases = io_pagetable_cases,
};

kunit_test_suite(io_pagetable_suite);
