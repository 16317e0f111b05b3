// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking of a domain that keeps books: what is reported is compared with
 * a model bit by bit, around the bitmap as well, and what is still marked
 * afterwards entry by entry.
 *
 * The domain is as strict as a driver may be. It complains, and so fails the
 * case, when a walk begins or ends within an entry or comes to where nothing is
 * mapped.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "mock.h"
#include "support.h"

#define PAGES_MAX 2048
#define BITMAP_BYTES (8 * PAGE_SIZE)

/**
 * struct bench - an address space with one domain, and a bitmap
 * @test: the test case
 * @ctx: the context
 * @ioas: the address space
 * @memory: what is mapped in it
 * @source: the same as a source
 * @fake: the domain
 * @bitmap: a place for bitmaps in user memory
 * @bitmap_bytes: how large it is, BITMAP_BYTES mostly
 * @expected: what it should contain
 * @actual: what it does
 */
struct bench {
	struct kunit *test;
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;
	struct fake_memory *memory;
	struct pin_source *source;
	struct fake_domain *fake;
	unsigned long bitmap;
	unsigned long bitmap_bytes;
	u8 *expected;
	u8 *actual;
};

static void end_bench(void *data)
{
	struct bench *bench = data;
	struct iova_range everything = { 0, ULONG_MAX };
	unsigned long unmapped;

	KUNIT_EXPECT_EQ(bench->test, 0, ioas_unmap(bench->ioas, everything,
						   &unmapped));
	atomic_dec(&bench->ctx->nr_objects[IOMMUFD_OBJ_HWPT_PAGING]);
}

static struct bench *make_large_bench(struct kunit *test,
				      enum fake_layout layout,
				      unsigned long nr_pages,
				      unsigned long page_sizes,
				      unsigned long bitmap_bytes)
{
	struct bench *bench = test_zalloc(test, sizeof(*bench));

	bench->test = test;
	bench->ctx = test_ctx(test);
	bench->ioas = test_ioas(test, bench->ctx);
	bench->memory = fake_memory(test, 0, nr_pages, layout, 1);
	bench->source = fake_source(bench->memory, bench->ctx);
	test_set_account_mode(bench->source, ACCOUNT_NONE);
	bench->fake = fake_domain(bench->memory, bench->ioas, page_sizes);
	bench->fake->domain.dirty_ops = &fake_dirty_ops;
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(bench->fake));
	iommufd_object_publish(bench->ctx, &bench->fake->hwpt->common.obj);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_bench,
							   bench));
	bench->bitmap_bytes = bitmap_bytes;
	bench->bitmap = mock_user_memory(test, bitmap_bytes / PAGE_SIZE, 0);
	bench->expected = test_zalloc(test, bitmap_bytes);
	bench->actual = test_zalloc(test, bitmap_bytes);
	return bench;
}

static struct bench *make_bench(struct kunit *test, enum fake_layout layout,
				unsigned long nr_pages,
				unsigned long page_sizes)
{
	return make_large_bench(test, layout, nr_pages, page_sizes,
				BITMAP_BYTES);
}

static void map(struct bench *bench, unsigned long start_bytes,
		unsigned long bytes, unsigned long iova)
{
	KUNIT_ASSERT_EQ(bench->test, 0,
			fake_map(bench->memory, bench->source, bench->ioas,
				 start_bytes, bytes, iova));
}

static int command(struct bench *bench,
		   int (*execute)(struct iommufd_command *command), void *args)
{
	struct iommufd_command command = { .ctx = bench->ctx, .args = args };

	return execute(&command);
}

static int track(struct bench *bench, u32 flags)
{
	struct iommu_hwpt_set_dirty_tracking args = {
		.size = sizeof(args),
		.hwpt_id = bench->fake->hwpt->common.obj.id,
		.flags = flags,
	};

	return command(bench, iommufd_hwpt_set_dirty_tracking, &args);
}

static struct iommu_hwpt_get_dirty_bitmap
query_of(struct bench *bench, unsigned long iova, unsigned long bytes,
	 unsigned long page_size)
{
	return (struct iommu_hwpt_get_dirty_bitmap){
		.size = sizeof(struct iommu_hwpt_get_dirty_bitmap),
		.hwpt_id = bench->fake->hwpt->common.obj.id,
		.iova = iova,
		.length = bytes,
		.page_size = page_size,
		.data = bench->bitmap,
	};
}

static int get(struct bench *bench, struct iommu_hwpt_get_dirty_bitmap args)
{
	return command(bench, iommufd_hwpt_get_dirty_bitmap, &args);
}

/* Mark every entry, or half of them. */
static void write_entries(struct bench *bench, bool all)
{
	struct rnd_state *rnd = &bench->memory->rnd;
	struct iova_range entry = {};
	bool dirty;

	while (fake_domain_entry(bench->fake, entry.first, &entry, &dirty)) {
		fake_domain_write(bench->fake, entry.first,
				  all || prandom_u32_state(rnd) & 1);
		entry.first = entry.last + 1;
	}
}

static unsigned long nr_dirty(struct bench *bench)
{
	struct iova_range entry = {};
	unsigned long nr = 0;
	bool dirty;

	while (fake_domain_entry(bench->fake, entry.first, &entry, &dirty)) {
		nr += dirty;
		entry.first = entry.last + 1;
	}
	return nr;
}

/* The model ---------------------------------------------------------------- */

static void fill_bitmap(struct bench *bench, u8 byte)
{
	memset(bench->expected, byte, bench->bitmap_bytes);
	KUNIT_ASSERT_EQ(bench->test, 0,
			copy_to_user((void __user *)bench->bitmap,
				     bench->expected, bench->bitmap_bytes));
}

static void check_bitmap(struct bench *bench)
{
	KUNIT_ASSERT_EQ(bench->test, 0,
			copy_from_user(bench->actual,
				       (void __user *)bench->bitmap,
				       bench->bitmap_bytes));
	KUNIT_EXPECT_MEMEQ(bench->test, bench->expected, bench->actual,
			   bench->bitmap_bytes);
}

/* The bits that stand for a part of an entry, one by one. */
static void expect_bits(struct bench *bench, struct iova_range entry,
			const struct iommu_hwpt_get_dirty_bitmap *args)
{
	unsigned long last = args->iova + args->length - 1;
	u64 address, bit;

	for (address = args->iova, bit = 0; address <= last;
	     address += args->page_size, bit++)
		if (address <= entry.last &&
		    address + args->page_size - 1 >= entry.first)
			bench->expected[args->data - bench->bitmap + bit / 8] |=
				BIT(bit % 8);
}

/* What a query has to set, and which marks it has to leave. */
static unsigned long expect_query(struct bench *bench,
				  const struct iommu_hwpt_get_dirty_bitmap *args)
{
	unsigned long last = args->iova + args->length - 1;
	struct iova_range entry = {};
	unsigned long nr_left = 0;
	bool dirty;

	while (fake_domain_entry(bench->fake, entry.first, &entry, &dirty)) {
		bool whole = entry.first >= args->iova && entry.last <= last;

		if (dirty)
			expect_bits(bench, entry, args);
		nr_left += dirty && (args->flags || !whole);
		entry.first = entry.last + 1;
	}
	return nr_left;
}

static void check_query(struct bench *bench,
			struct iommu_hwpt_get_dirty_bitmap args)
{
	unsigned int nr_syncs = bench->fake->nr_syncs;
	unsigned long nr_before = nr_dirty(bench);
	unsigned long nr_left;

	nr_left = expect_query(bench, &args);
	KUNIT_EXPECT_EQ(bench->test, 0, get(bench, args));
	check_bitmap(bench);
	KUNIT_EXPECT_EQ(bench->test, nr_left, nr_dirty(bench));
	/* One flush however much was read, and none if nothing was. */
	if (nr_left != nr_before)
		KUNIT_EXPECT_EQ(bench->test, nr_syncs + 1,
				bench->fake->nr_syncs);
	if (args.flags)
		KUNIT_EXPECT_EQ(bench->test, nr_syncs, bench->fake->nr_syncs);
}

/* Cases -------------------------------------------------------------------- */

static void arguments_are_checked_L32_L34(struct kunit *test)
{
	struct bench *bench = make_bench(test, FAKE_SCATTERED, 16, SZ_4K);
	const struct iommu_hwpt_get_dirty_bitmap good =
		query_of(bench, SZ_1M, SZ_64K, SZ_4K);
	struct iommu_hwpt_get_dirty_bitmap args = good;

	map(bench, 0, SZ_64K, SZ_1M);
	KUNIT_EXPECT_EQ(test, -EINVAL, get(bench, good));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, track(bench, 2));
	KUNIT_ASSERT_EQ(test, 0, track(bench, 1));
	KUNIT_EXPECT_EQ(test, 0, get(bench, good));

#define BAD(error, field, value)                                               \
	do {                                                                   \
		args = good;                                                   \
		args.field = value;                                            \
		KUNIT_EXPECT_EQ(test, error, get(bench, args));                \
	} while (0)
	BAD(-EOPNOTSUPP, flags, 2);
	BAD(-EOPNOTSUPP, __reserved, 1);
	BAD(-ENOENT, hwpt_id, 0);
	BAD(-ENOENT, hwpt_id, bench->ioas->obj.id);
	BAD(-EINVAL, length, 0);
	BAD(-EINVAL, length, 1);
	BAD(-EOVERFLOW, length, U64_MAX);
	BAD(-EINVAL, length, SZ_64K - SZ_2K);
	BAD(-EINVAL, iova, SZ_1M + SZ_2K);
	BAD(-EINVAL, page_size, 0);
	BAD(-EINVAL, page_size, 1);
	BAD(-EINVAL, page_size, SZ_2K);
	BAD(-EINVAL, page_size, SZ_4K + SZ_8K);
	BAD(-EINVAL, page_size, SZ_128K);
	BAD(-EINVAL, page_size, BIT_ULL(32));
	BAD(-EINVAL, page_size, BIT_ULL(63));
	BAD(-EFAULT, data, U64_MAX);
	BAD(-EFAULT, data, TASK_SIZE);
	BAD(-EFAULT, data, 0);
#undef BAD

	bench->fake->domain.dirty_ops = NULL;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, get(bench, good));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, track(bench, 1));
}

static void tracking_begins_clean(struct kunit *test)
{
	struct bench *bench = make_bench(test, FAKE_MIXED, 64, SZ_4K | SZ_16K);

	map(bench, 0, SZ_128K, SZ_1M);
	map(bench, SZ_128K, SZ_128K, SZ_1G);
	write_entries(bench, true);
	bench->fake->fail_tracking = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, track(bench, 1));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			get(bench, query_of(bench, SZ_1M, SZ_128K, SZ_4K)));
	bench->fake->fail_tracking = 0;
	write_entries(bench, true);
	KUNIT_EXPECT_EQ(test, 0, track(bench, 1));
	KUNIT_EXPECT_TRUE(test, bench->fake->tracking);
	KUNIT_EXPECT_EQ(test, 0, nr_dirty(bench));

	/* The state that is already there is no new beginning. */
	write_entries(bench, true);
	KUNIT_EXPECT_EQ(test, 0, track(bench, 1));
	check_query(bench, query_of(bench, SZ_1M, SZ_128K, SZ_4K));
	bench->fake->fail_tracking = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, track(bench, 0));
	bench->fake->fail_tracking = 0;
	fill_bitmap(bench, 0);
	check_query(bench, query_of(bench, SZ_1G, SZ_128K, SZ_4K));
	KUNIT_EXPECT_EQ(test, 0, track(bench, 0));
	KUNIT_EXPECT_EQ(test, 0, track(bench, 0));
	KUNIT_EXPECT_FALSE(test, bench->fake->tracking);
}

/* Areas at random places, half of them directly above one another. */
static void map_randomly(struct bench *bench)
{
	struct rnd_state *rnd = &bench->memory->rnd;
	unsigned long iova = SZ_1M, page = 0, nr;

	while (page < PAGES_MAX) {
		nr = min(1 + prandom_u32_state(rnd) % 512, PAGES_MAX - page);
		map(bench, page * PAGE_SIZE, nr * PAGE_SIZE, iova);
		page += nr;
		iova += nr * PAGE_SIZE;
		if (prandom_u32_state(rnd) & 1)
			iova += (prandom_u32_state(rnd) % 300) * PAGE_SIZE;
		if (!(prandom_u32_state(rnd) % 8))
			iova = ALIGN(iova + SZ_256M, SZ_4M);
	}
}

/* A range that touches something, with as many bits as there is room for. */
static void random_query(struct bench *bench,
			 struct iommu_hwpt_get_dirty_bitmap *args)
{
	struct rnd_state *rnd = &bench->memory->rnd;
	unsigned long page_size = PAGE_SIZE << prandom_u32_state(rnd) % 13;
	unsigned long iova = prandom_u32_state(rnd) & 1 ?
				     SZ_1M : prandom_u32_state(rnd);
	unsigned long nr = 1 + prandom_u32_state(rnd) % 3000;

	*args = query_of(bench, ALIGN_DOWN(iova, page_size), nr * page_size,
			 page_size);
	args->data += prandom_u32_state(rnd) % (BITMAP_BYTES - 1024);
	if (!(prandom_u32_state(rnd) % 4))
		args->flags = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
}

static void random_queries_equal_model_L33(struct kunit *test)
{
	static const unsigned long page_sizes[] = {
		SZ_4K, SZ_4K | SZ_64K, SZ_4K | SZ_8K | SZ_2M,
		SZ_4K | SZ_16K | SZ_128K | SZ_1M,
	};
	const unsigned long *sizes = test->param_value;
	struct iommu_hwpt_get_dirty_bitmap args;
	struct bench *bench;
	unsigned int i;

	bench = make_bench(test, FAKE_MIXED, PAGES_MAX, page_sizes[*sizes % 4]);
	bench->memory->layout = *sizes & 4 ? FAKE_CONTIGUOUS : FAKE_MIXED;
	KUNIT_ASSERT_EQ(test, 0, ioas_set_huge_pages(bench->ioas, *sizes != 7));
	map_randomly(bench);
	KUNIT_ASSERT_EQ(test, 0, track(bench, 1));
	for (i = 0; i < 30; i++) {
		write_entries(bench, i & 1);
		random_query(bench, &args);
		fill_bitmap(bench, i % 3 ? 0 : prandom_u32_state(&bench->memory->rnd));
		check_query(bench, args);
	}
}

/* An entry of 4 MiB, asked for in two halves, does not lose its mark. */
static void parts_of_entries_stay_marked(struct kunit *test)
{
	struct bench *bench = make_bench(test, FAKE_CONTIGUOUS,
					 SZ_4M / PAGE_SIZE, SZ_4K | SZ_4M);

	map(bench, 0, SZ_4M, SZ_4M);
	KUNIT_ASSERT_EQ(test, 1, fake_domain_nr_entries(bench->fake, 0));
	KUNIT_ASSERT_EQ(test, 0, track(bench, 1));
	write_entries(bench, true);
	check_query(bench, query_of(bench, SZ_4M, SZ_2M, SZ_4K));
	KUNIT_EXPECT_EQ(test, 1, nr_dirty(bench));
	check_query(bench, query_of(bench, SZ_4M + SZ_2M, SZ_8M, SZ_4K));
	KUNIT_EXPECT_EQ(test, 1, nr_dirty(bench));
	check_query(bench, query_of(bench, SZ_4M, SZ_4M, SZ_4K));
	KUNIT_EXPECT_EQ(test, 0, nr_dirty(bench));
}

/* Where there are no such addresses, the case is skipped. */
#define FOUR_GIB ((unsigned long)SZ_4G)
#define TEN_GIB ((unsigned long)(10ULL * SZ_1G))
#define SIXTEEN_GIB ((unsigned long)(16ULL * SZ_1G))

/*
 * More than what is pinned at once of a bitmap, 8 GiB in bits of 2 KiB, with an
 * entry across the end of the first piece, and then one that has no room in any.
 */
static void entries_across_pieces(struct kunit *test)
{
	struct bench *bench;

	if (!IS_ENABLED(CONFIG_64BIT))
		kunit_skip(test, "entries are smaller");
	bench = make_large_bench(test, FAKE_CONTIGUOUS, SIXTEEN_GIB / PAGE_SIZE,
				 SZ_2K | SZ_1G | FOUR_GIB | SIXTEEN_GIB,
				 SZ_1M + PAGE_SIZE);
	map(bench, SZ_2G, TEN_GIB, SZ_2G);
	map(bench, 0, SIXTEEN_GIB, SIXTEEN_GIB);
	KUNIT_ASSERT_EQ(test, 5, fake_domain_nr_entries(bench->fake, 0));
	KUNIT_ASSERT_EQ(test, 0, track(bench, 1));
	write_entries(bench, true);
	memset(bench->expected, 0xff, TEN_GIB / SZ_2K / 8);
	KUNIT_EXPECT_EQ(test, 0, get(bench, query_of(bench, SZ_2G,
						     TEN_GIB, SZ_2K)));
	check_bitmap(bench);
	KUNIT_EXPECT_EQ(test, 1, nr_dirty(bench));

	fill_bitmap(bench, 0);
	memset(bench->expected, 0xff, SZ_1M);
	KUNIT_EXPECT_EQ(test, 0, get(bench, query_of(bench, SIXTEEN_GIB,
						     SIXTEEN_GIB, SZ_2K)));
	check_bitmap(bench);
	KUNIT_EXPECT_EQ(test, 1, nr_dirty(bench));
	KUNIT_EXPECT_EQ(test, 0, get(bench, query_of(bench, SIXTEEN_GIB,
						     SIXTEEN_GIB, SZ_4K)));
	KUNIT_EXPECT_EQ(test, 0, nr_dirty(bench));
}

static void starved_queries_lose_nothing(struct kunit *test)
{
	struct bench *bench = make_bench(test, FAKE_SCATTERED, 64, SZ_4K);
	struct iommu_hwpt_get_dirty_bitmap args =
		query_of(bench, SZ_1M, SZ_256K, SZ_4K);
	unsigned int nth;
	int error;

	if (!fail_slab_possible(test))
		kunit_skip(test, "this kernel cannot fail allocations");
	map(bench, 0, SZ_256K, SZ_1M);
	KUNIT_ASSERT_EQ(test, 0, track(bench, 1));
	write_entries(bench, true);
	for (nth = 1; nth < 100; nth++) {
		fail_slab_begin(nth);
		error = get(bench, args);
		if (!fail_slab_end())
			break;
		if (!error)
			continue;
		KUNIT_EXPECT_EQ(test, -ENOMEM, error);
		KUNIT_EXPECT_EQ(test, 64, nr_dirty(bench));
	}
	KUNIT_EXPECT_GT(test, nth, 1);
	KUNIT_EXPECT_EQ(test, 0, nr_dirty(bench));
}

static void next_trial_desc(const unsigned long *trial, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "trial-%lu", *trial);
}

static const unsigned long trials[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
KUNIT_ARRAY_PARAM(trial, trials, next_trial_desc);

static struct kunit_case dirty_cases[] = {
	KUNIT_CASE(arguments_are_checked_L32_L34),
	KUNIT_CASE(tracking_begins_clean),
	KUNIT_CASE_PARAM(random_queries_equal_model_L33, trial_gen_params),
	KUNIT_CASE(parts_of_entries_stay_marked),
	KUNIT_CASE_SLOW(entries_across_pieces),
	KUNIT_CASE(starved_queries_lose_nothing),
	{}
};

static struct kunit_suite dirty_suite = {
	.name = "iommufd_dirty",
	.test_cases = dirty_cases,
};

kunit_test_suite(dirty_suite);
