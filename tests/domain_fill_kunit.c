// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains that follow an address space. The domains are those of support.c:
 * they keep books of what is mapped in them, and fail the test if a page is
 * mapped that is not pinned, or unpinned before the domain was synced. That
 * promise is therefore checked by every test here.
 */
#include <linux/slab.h>

#include "support.h"

#define ALL_SIZES (SZ_4K | SZ_2M | SZ_1G)
#define IOVA (3UL * SZ_1G)

/**
 * struct setup - what every test has
 * @test: the test
 * @memory: the memory
 * @source: the source over it
 * @ioas: the address space
 */
struct setup {
	struct kunit *test;
	struct fake_memory *memory;
	struct pin_source *source;
	struct iommufd_ioas *ioas;
};

static void make_setup(struct kunit *test, struct setup *setup,
		       unsigned long nr_pages, enum fake_layout layout,
		       unsigned int nr_banks)
{
	struct iommufd_ctx *ctx = test_ctx(test);

	setup->test = test;
	setup->memory = fake_memory(test, 1000, nr_pages, layout, nr_banks);
	setup->source = fake_source(setup->memory, ctx);
	setup->ioas = test_ioas(test, ctx);
}

static int map(struct setup *setup, unsigned long start_bytes,
	       unsigned long length_bytes, unsigned long iova)
{
	return fake_map(setup->memory, setup->source, setup->ioas, start_bytes,
			length_bytes, iova);
}

static void unmap(struct setup *setup, unsigned long iova,
		  unsigned long length_bytes)
{
	unsigned long unmapped;

	KUNIT_EXPECT_EQ(setup->test, 0,
			test_unmap(setup->ioas, iova, length_bytes, &unmapped));
	KUNIT_EXPECT_EQ(setup->test, length_bytes, unmapped);
}

static unsigned long unmap_all(struct setup *setup)
{
	struct iova_range all = { 0, ULONG_MAX };
	unsigned long unmapped;

	KUNIT_EXPECT_EQ(setup->test, 0,
			ioas_unmap(setup->ioas, all, &unmapped));
	return unmapped;
}

static struct fake_domain *domain_of(struct setup *setup)
{
	return fake_domain(setup->memory, setup->ioas, ALL_SIZES);
}

static void expect_pinned(struct setup *setup, unsigned long nr)
{
	KUNIT_EXPECT_EQ(setup->test, nr, atomic_long_read(&setup->memory->nr_pinned));
	KUNIT_EXPECT_EQ(setup->test, nr,
			atomic_long_read(&setup->ioas->ctx->nr_pinned));
	ioas_verify(setup->ioas);
	pin_source_verify(setup->source);
}

static void domain_follows_the_ioas(struct kunit *test)
{
	struct fake_domain *domain, *other;
	struct setup setup;

	make_setup(test, &setup, 64, FAKE_SCATTERED, 1);
	domain = domain_of(&setup);
	other = domain_of(&setup);
	KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, 4 * SZ_4K, IOVA));
	expect_pinned(&setup, 0);

	/* What was there before, and what comes later. */
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domain));
	expect_pinned(&setup, 4);
	KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA, 0, 4 * SZ_4K));
	KUNIT_ASSERT_EQ(test, 0, map(&setup, 20 * SZ_4K, SZ_8K, IOVA + SZ_1M));
	expect_pinned(&setup, 6);
	KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA + SZ_1M,
						 20 * SZ_4K, SZ_8K));
	KUNIT_EXPECT_EQ(test, 6, fake_domain_nr_entries(domain, 0));
	KUNIT_EXPECT_EQ(test, IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE,
			domain->prot);

	unmap(&setup, IOVA, 4 * SZ_4K);
	expect_pinned(&setup, 2);
	KUNIT_EXPECT_EQ(test, 2, fake_domain_nr_entries(domain, 0));

	/* The areas stay, their pins go with the last domain. */
	fake_domain_remove(domain);
	expect_pinned(&setup, 0);
	KUNIT_EXPECT_TRUE(test, fake_domain_empty(domain));
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(other));
	expect_pinned(&setup, 2);
	KUNIT_EXPECT_TRUE(test, fake_domain_maps(other, IOVA + SZ_1M,
						 20 * SZ_4K, SZ_8K));
	KUNIT_EXPECT_EQ(test, SZ_8K, unmap_all(&setup));
	expect_pinned(&setup, 0);
	KUNIT_EXPECT_TRUE(test, fake_domain_empty(other));
}

/* Page sizes -------------------------------------------------------------- */

/* Each size that fits appears, and one call for each of five stretches */
static void large_entries_where_congruent(struct kunit *test)
{
	const unsigned long before = SZ_2M + SZ_4K;
	const unsigned long bytes = before + SZ_1G + SZ_2M + SZ_8K;
	struct fake_domain *domain;
	struct setup setup;

	make_setup(test, &setup, bytes >> PAGE_SHIFT, FAKE_CONTIGUOUS, 1);
	setup.memory->first_pfn += (SZ_1G - before) >> PAGE_SHIFT;
	domain = domain_of(&setup);
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domain));
	KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, bytes, IOVA - before));
	KUNIT_EXPECT_EQ(test, 1, fake_domain_nr_entries(domain, SZ_1G));
	KUNIT_EXPECT_EQ(test, 2, fake_domain_nr_entries(domain, SZ_2M));
	KUNIT_EXPECT_EQ(test, 3, fake_domain_nr_entries(domain, SZ_4K));
	KUNIT_EXPECT_EQ(test, 5, domain->nr_maps);
	KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA - before, 0,
						 before + SZ_2M));
	KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA + SZ_1G,
						 before + SZ_1G,
						 SZ_2M + SZ_8K));
	unmap(&setup, IOVA - before, bytes);
	expect_pinned(&setup, 0);
	KUNIT_EXPECT_TRUE(test, fake_domain_empty(domain));
}

/* L43, L46: more than 1 GiB goes in pieces, none of which splits an entry */
static void unmap_in_pieces_L43_L46(struct kunit *test)
{
	const unsigned long bytes = SZ_1G + SZ_4M;
	struct fake_domain *domain;
	struct setup setup;

	make_setup(test, &setup, bytes >> PAGE_SHIFT, FAKE_CONTIGUOUS, 2);
	setup.memory->jump_at = (SZ_1G + SZ_4K) >> PAGE_SHIFT;
	domain = domain_of(&setup);
	KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, bytes, IOVA));
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domain));
	KUNIT_EXPECT_EQ(test, 1, fake_domain_nr_entries(domain, SZ_1G));
	KUNIT_EXPECT_EQ(test, 1, fake_domain_nr_entries(domain, SZ_2M));
	KUNIT_EXPECT_EQ(test, 1 + 511, fake_domain_nr_entries(domain, SZ_4K));
	domain->nr_syncs = 0;
	unmap(&setup, IOVA, bytes);
	KUNIT_EXPECT_EQ(test, 1, domain->nr_syncs);
	KUNIT_EXPECT_EQ(test, bytes >> PAGE_SHIFT, domain->nr_pinned_at_sync);
	expect_pinned(&setup, 0);
	KUNIT_EXPECT_TRUE(test, fake_domain_empty(domain));
}

/* A run is mapped whole where the record's windows meet inside a large page */
static void runs_are_longer_than_windows(struct kunit *test)
{
	struct fake_domain *domain;
	struct setup setup;

	/* The first index is 1000: windows end at pages 24, 536, 1048 ... */
	make_setup(test, &setup, 2048, FAKE_CONTIGUOUS, 1);
	domain = domain_of(&setup);
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domain));
	KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, SZ_8M, IOVA));
	KUNIT_EXPECT_EQ(test, 4, fake_domain_nr_entries(domain, SZ_2M));
	KUNIT_EXPECT_EQ(test, 0, fake_domain_nr_entries(domain, SZ_4K));
	KUNIT_EXPECT_EQ(test, 1, domain->nr_maps);
	unmap(&setup, IOVA, SZ_8M);

	/* Not congruent: small entries, but one call. */
	domain->nr_maps = 0;
	KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, SZ_8M, IOVA + SZ_4K));
	KUNIT_EXPECT_EQ(test, 2048, fake_domain_nr_entries(domain, SZ_4K));
	KUNIT_EXPECT_EQ(test, 1, domain->nr_maps);
	KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA + SZ_4K, 0,
						 SZ_8M));
}

static void huge_pages_off_maps_page_by_page(struct kunit *test)
{
	struct fake_domain *domain;
	struct setup setup;

	make_setup(test, &setup, 1024, FAKE_CONTIGUOUS, 1);
	domain = domain_of(&setup);
	KUNIT_ASSERT_EQ(test, 0, ioas_set_huge_pages(setup.ioas, false));
	KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, SZ_4M, IOVA));
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domain));
	KUNIT_EXPECT_EQ(test, 1024, fake_domain_nr_entries(domain, SZ_4K));
	KUNIT_EXPECT_EQ(test, 1024, domain->nr_maps);
	KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA, 0, SZ_4M));
	unmap(&setup, IOVA, SZ_4M);

	/* Turned on again it counts for what is mapped from then on. */
	KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, SZ_4K, IOVA + SZ_1G));
	KUNIT_EXPECT_EQ(test, 0, ioas_set_huge_pages(setup.ioas, true));
	KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, SZ_4M, IOVA));
	KUNIT_EXPECT_EQ(test, 2, fake_domain_nr_entries(domain, SZ_2M));
	KUNIT_EXPECT_EQ(test, -EINVAL, ioas_set_huge_pages(setup.ioas, false));
	unmap_all(&setup);
	KUNIT_EXPECT_EQ(test, 0, ioas_set_huge_pages(setup.ioas, false));
}

/* Pages of the domain that are smaller than the CPU's */
static void domain_with_small_pages(struct kunit *test)
{
	struct fake_domain *domain;
	struct setup setup;
	unsigned int layout;

	for (layout = FAKE_CONTIGUOUS; layout <= FAKE_MIXED; layout++) {
		make_setup(test, &setup, 64, layout, 2);
		domain = fake_domain(setup.memory, setup.ioas, SZ_2K | SZ_8K);
		/* Second half of a page, to the first half of a later one. */
		KUNIT_ASSERT_EQ(test, 0,
				map(&setup, SZ_2K, 9 * SZ_4K, IOVA + SZ_4K));
		KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domain));
		expect_pinned(&setup, 10);
		KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA + SZ_4K,
							 SZ_2K, 9 * SZ_4K));
		KUNIT_ASSERT_EQ(test, 0,
				map(&setup, 30 * SZ_4K, SZ_2K, IOVA + SZ_2K));
		KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA + SZ_2K,
							 30 * SZ_4K, SZ_2K));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				map(&setup, 0, SZ_1K, IOVA + SZ_1M));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				map(&setup, SZ_1K, SZ_2K, IOVA + SZ_1M));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				map(&setup, 0, SZ_2K, IOVA + SZ_1K));
		unmap(&setup, IOVA + SZ_4K, 9 * SZ_4K);
		expect_pinned(&setup, 1);
		fake_domain_remove(domain);
		expect_pinned(&setup, 0);
		unmap_all(&setup);
	}
}

/* Refusals ---------------------------------------------------------------- */

static void refused_domains_change_nothing(struct kunit *test)
{
	struct fake_domain *domain, *large, *low, *high;
	struct setup setup;

	make_setup(test, &setup, 64, FAKE_MIXED, 2);
	domain = domain_of(&setup);
	large = fake_domain(setup.memory, setup.ioas, SZ_2M);
	low = domain_of(&setup);
	low->domain.geometry.aperture_end = IOVA + SZ_4K - 1;
	high = domain_of(&setup);
	high->domain.geometry.aperture_start = IOVA + SZ_4K;

	KUNIT_ASSERT_EQ(test, 0, map(&setup, SZ_2K, SZ_4K, IOVA + SZ_2K));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, fake_domain_add(domain));
	expect_pinned(&setup, 0);
	unmap(&setup, IOVA + SZ_2K, SZ_4K);
	/* The same offset in a page is not enough, nor are ends of pages. */
	KUNIT_ASSERT_EQ(test, 0, map(&setup, SZ_2K, SZ_8K, IOVA));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, fake_domain_add(domain));
	expect_pinned(&setup, 0);
	KUNIT_EXPECT_EQ(test, 1, setup.ioas->alignment);
	unmap(&setup, IOVA, SZ_8K);

	KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, SZ_8K, IOVA));
	KUNIT_EXPECT_EQ(test, -EINVAL, fake_domain_add(large));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, fake_domain_add(low));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, fake_domain_add(high));
	expect_pinned(&setup, 0);
	KUNIT_EXPECT_EQ(test, 1, setup.ioas->alignment);
	/* Nothing of the refused apertures remains. */
	KUNIT_EXPECT_EQ(test, 0, map(&setup, 0, 1, 0));
	KUNIT_EXPECT_EQ(test, 0, map(&setup, 0, 1, ULONG_MAX));
	unmap(&setup, 0, 1);
	unmap(&setup, ULONG_MAX, 1);

	/* They are refused beside another domain, which stays as it is. */
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domain));
	KUNIT_EXPECT_EQ(test, -EINVAL, fake_domain_add(large));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, fake_domain_add(low));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, fake_domain_add(high));
	expect_pinned(&setup, 2);
	KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA, 0, SZ_8K));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, setup.ioas->alignment);
	KUNIT_EXPECT_TRUE(test, fake_domain_empty(large));
	KUNIT_EXPECT_TRUE(test, fake_domain_empty(low));
	KUNIT_EXPECT_TRUE(test, fake_domain_empty(high));
}

/* Nothing is mapped outside of the aperture of any domain that is there */
static void apertures_are_reserved(struct kunit *test)
{
	struct fake_domain *low, *high;
	struct setup setup;

	make_setup(test, &setup, 64, FAKE_MIXED, 2);
	low = domain_of(&setup);
	low->domain.geometry.aperture_end = IOVA - 1;
	high = domain_of(&setup);
	high->domain.geometry.aperture_start = SZ_64K;
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(low));
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(high));
	KUNIT_EXPECT_EQ(test, -EINVAL, map(&setup, 0, SZ_4K, IOVA));
	KUNIT_EXPECT_EQ(test, -EINVAL, map(&setup, 0, SZ_8K, IOVA - SZ_4K));
	KUNIT_EXPECT_EQ(test, -EINVAL, map(&setup, 0, SZ_4K, SZ_64K - SZ_4K));
	KUNIT_EXPECT_EQ(test, 0, map(&setup, 0, SZ_4K, SZ_64K));
	KUNIT_EXPECT_EQ(test, 0, map(&setup, 0, SZ_4K, IOVA - SZ_4K));
	expect_pinned(&setup, 1);
	fake_domain_remove(low);
	KUNIT_EXPECT_EQ(test, 0, map(&setup, 0, SZ_4K, IOVA));
	KUNIT_EXPECT_EQ(test, -EINVAL, map(&setup, 0, SZ_4K, 0));
	fake_domain_remove(high);
	KUNIT_EXPECT_EQ(test, 0, map(&setup, 0, SZ_4K, 0));
	expect_pinned(&setup, 0);
}

/* Failures ---------------------------------------------------------------- */

#define NR_DOMAINS 3

/* L22, L43: each map operation of each domain fails once */
static void failed_maps_leave_nothing_L43(struct kunit *test)
{
	struct fake_domain *domains[NR_DOMAINS];
	unsigned int i, j, nth;
	struct setup setup;
	int error;

	make_setup(test, &setup, 1024, FAKE_MIXED, 3);
	for (i = 0; i < NR_DOMAINS; i++) {
		domains[i] = domain_of(&setup);
		KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domains[i]));
	}
	KUNIT_ASSERT_EQ(test, 0, map(&setup, 100 * SZ_4K, 5 * SZ_4K, 0));
	for (i = 0; i < NR_DOMAINS; i++) {
		for (nth = 1;; nth++) {
			unsigned long nr = fake_domain_nr_entries(domains[i], 0);

			domains[i]->fail_map = nth;
			error = map(&setup, 3 * SZ_4K, 200 * SZ_4K, IOVA);
			if (!error)
				break;
			KUNIT_ASSERT_EQ(test, -ENOMEM, error);
			expect_pinned(&setup, 5);
			for (j = 0; j < NR_DOMAINS; j++)
				KUNIT_EXPECT_EQ(test, nr,
						fake_domain_nr_entries(domains[j],
								       0));
		}
		domains[i]->fail_map = 0;
		KUNIT_EXPECT_GT(test, nth, 5);
		expect_pinned(&setup, 200);
		for (j = 0; j < NR_DOMAINS; j++)
			KUNIT_EXPECT_TRUE(test,
					  fake_domain_maps(domains[j], IOVA,
							   3 * SZ_4K,
							   200 * SZ_4K));
		unmap(&setup, IOVA, 200 * SZ_4K);
	}
}

/* L22, L43: a domain that cannot be filled leaves what was there as it was */
static void failed_domains_leave_nothing_L43(struct kunit *test)
{
	struct fake_domain *first, *second;
	unsigned int nth, i;
	struct setup setup;
	int error;

	make_setup(test, &setup, 1024, FAKE_MIXED, 3);
	first = domain_of(&setup);
	second = domain_of(&setup);
	for (i = 0; i < 4; i++)
		KUNIT_ASSERT_EQ(test, 0, map(&setup, i * SZ_64K, 5 * SZ_4K,
					     IOVA + i * SZ_1M));
	for (nth = 1;; nth++) {
		first->fail_map = nth;
		error = fake_domain_add(first);
		if (!error)
			break;
		KUNIT_ASSERT_EQ(test, -ENOMEM, error);
		KUNIT_EXPECT_TRUE(test, fake_domain_empty(first));
		expect_pinned(&setup, 0);
	}
	KUNIT_EXPECT_GT(test, nth, 4);
	first->fail_map = 0;
	expect_pinned(&setup, 20);

	for (nth = 1;; nth++) {
		second->fail_map = nth;
		error = fake_domain_add(second);
		if (!error)
			break;
		KUNIT_ASSERT_EQ(test, -ENOMEM, error);
		KUNIT_EXPECT_TRUE(test, fake_domain_empty(second));
		expect_pinned(&setup, 20);
		for (i = 0; i < 4; i++)
			KUNIT_EXPECT_TRUE(test,
					  fake_domain_maps(first,
							   IOVA + i * SZ_1M,
							   i * SZ_64K,
							   5 * SZ_4K));
	}
	KUNIT_EXPECT_GT(test, nth, 4);
	second->fail_map = 0;
}

/* L41: memory that cannot be pinned, for a new area and for a new domain */
static void failed_pins_leave_nothing_L41(struct kunit *test)
{
	struct fake_domain *domain;
	struct setup setup;
	unsigned int nth;
	int error;

	make_setup(test, &setup, 2048, FAKE_MIXED, 3);
	domain = domain_of(&setup);
	KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, SZ_1M, IOVA));
	KUNIT_ASSERT_EQ(test, 0, map(&setup, SZ_4M, SZ_1M, 0));
	for (nth = 1;; nth++) {
		setup.memory->fail_half = nth % 2;
		setup.memory->fail_pin = nth;
		error = fake_domain_add(domain);
		if (!error)
			break;
		KUNIT_ASSERT_EQ(test, -EFAULT, error);
		KUNIT_EXPECT_TRUE(test, fake_domain_empty(domain));
		expect_pinned(&setup, 0);
	}
	KUNIT_EXPECT_GE(test, nth, 3);
	expect_pinned(&setup, 512);
	for (nth = 1;; nth++) {
		setup.memory->fail_pin = nth;
		error = map(&setup, SZ_2M, SZ_4M, IOVA + SZ_1G);
		if (!error)
			break;
		KUNIT_ASSERT_EQ(test, -EFAULT, error);
		expect_pinned(&setup, 512);
	}
	KUNIT_EXPECT_GE(test, nth, 4);
	expect_pinned(&setup, 512 + 768);
	setup.memory->fail_pin = 0;
}

/* L41: no memory, at each place where some is needed */
static void failed_allocations_leave_nothing_L41(struct kunit *test)
{
	struct fake_domain *domain;
	struct setup setup;
	unsigned int nth, nr_failures = 0;
	int error;

	if (!fail_slab_possible(test))
		kunit_skip(test, "needs FAILSLAB and its debugfs");
	make_setup(test, &setup, 2048, FAKE_MIXED, 3);
	domain = domain_of(&setup);
	domain->domain.geometry.aperture_start = SZ_64K;
	domain->domain.geometry.aperture_end = IOVA + SZ_1G - 1;
	KUNIT_ASSERT_EQ(test, 0, map(&setup, SZ_4M, 9 * SZ_4K, SZ_64K));
	for (nth = 1;; nth++) {
		fail_slab_begin(nth);
		error = fake_domain_add(domain);
		if (!fail_slab_end())
			break;
		if (!error) {
			fake_domain_remove(domain);
			continue;
		}
		nr_failures++;
		KUNIT_EXPECT_EQ(test, -ENOMEM, error);
		KUNIT_EXPECT_TRUE(test, fake_domain_empty(domain));
		KUNIT_EXPECT_TRUE(test,
				  RB_EMPTY_ROOT(&setup.ioas->reserved.rb_root));
		expect_pinned(&setup, 0);
	}
	KUNIT_ASSERT_EQ(test, 0, error);
	/* Scratch, record, two reserved ranges: checkers may hide some. */
	KUNIT_EXPECT_GE(test, nr_failures, 2);
	nr_failures = 0;
	for (nth = 1;; nth++) {
		fail_slab_begin(nth);
		error = map(&setup, 0, 700 * SZ_4K, IOVA);
		if (!fail_slab_end())
			break;
		if (!error) {
			unmap(&setup, IOVA, 700 * SZ_4K);
			continue;
		}
		nr_failures++;
		KUNIT_EXPECT_EQ(test, -ENOMEM, error);
		expect_pinned(&setup, 9);
	}
	KUNIT_ASSERT_EQ(test, 0, error);
	KUNIT_EXPECT_GE(test, nr_failures, 2);
	expect_pinned(&setup, 709);
	KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA, 0, 700 * SZ_4K));
}

/* Several domains --------------------------------------------------------- */

static void domains_leave_in_any_order(struct kunit *test)
{
	static const u8 orders[][NR_DOMAINS] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct fake_domain *domains[NR_DOMAINS];
	struct setup setup;
	unsigned int i, j, k;

	make_setup(test, &setup, 1024, FAKE_MIXED, 3);
	for (i = 0; i < NR_DOMAINS; i++)
		domains[i] = domain_of(&setup);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, SZ_1M, IOVA));
		for (j = 0; j < NR_DOMAINS; j++)
			KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domains[j]));
		KUNIT_ASSERT_EQ(test, 0, map(&setup, SZ_2M, SZ_1M, 0));
		for (j = 0; j < NR_DOMAINS; j++) {
			expect_pinned(&setup, 512);
			for (k = j; k < NR_DOMAINS; k++) {
				struct fake_domain *left =
					domains[orders[i][k]];

				KUNIT_EXPECT_TRUE(test,
						  fake_domain_maps(left, IOVA,
								   0, SZ_1M));
				KUNIT_EXPECT_TRUE(test,
						  fake_domain_maps(left, 0,
								   SZ_2M,
								   SZ_1M));
			}
			fake_domain_remove(domains[orders[i][j]]);
			KUNIT_EXPECT_TRUE(test,
					  fake_domain_empty(domains[orders[i][j]]));
		}
		expect_pinned(&setup, 0);
		unmap_all(&setup);
	}
}

/* One sync a domain for a batch of areas, and pins that wait for all syncs */
static void one_sync_a_batch(struct kunit *test)
{
	const unsigned int nr = 600;
	struct fake_domain *domains[2];
	struct setup setup;
	unsigned int i;

	make_setup(test, &setup, nr, FAKE_SCATTERED, 1);
	for (i = 0; i < 2; i++) {
		domains[i] = domain_of(&setup);
		KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domains[i]));
	}
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, 0, map(&setup, i * SZ_4K, SZ_4K,
					     IOVA + i * SZ_8K));
	expect_pinned(&setup, nr);
	domains[0]->nr_syncs = 0;
	domains[1]->nr_syncs = 0;
	/* A few of them: nothing is unpinned before the last domain's sync. */
	KUNIT_EXPECT_EQ(test, 0, test_unmap(setup.ioas, IOVA, 10 * SZ_8K,
					    NULL));
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, 1, domains[i]->nr_syncs);
		KUNIT_EXPECT_EQ(test, nr, domains[i]->nr_pinned_at_sync);
	}
	expect_pinned(&setup, nr - 10);
	KUNIT_EXPECT_EQ(test, (nr - 10) * SZ_4K, unmap_all(&setup));
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_LE(test, domains[i]->nr_syncs, 1 + 2);
		KUNIT_EXPECT_TRUE(test, fake_domain_empty(domains[i]));
	}
	expect_pinned(&setup, 0);

	/* A domain that leaves is synced once, however much it maps. */
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, 0, map(&setup, i * SZ_4K, SZ_4K,
					     IOVA + i * SZ_8K));
	fake_domain_remove(domains[1]);
	domains[0]->nr_syncs = 0;
	fake_domain_remove(domains[0]);
	KUNIT_EXPECT_EQ(test, 1, domains[0]->nr_syncs);
	KUNIT_EXPECT_EQ(test, nr, domains[0]->nr_pinned_at_sync);
	expect_pinned(&setup, 0);
}

/* Memory that two areas map is pinned once, until the second one goes */
static void areas_share_memory(struct kunit *test)
{
	struct fake_domain *domain, *other_domain;
	struct setup setup, other;
	unsigned int i;

	make_setup(test, &setup, 2048, FAKE_MIXED, 3);
	other = setup;
	other.ioas = test_ioas(test, setup.ioas->ctx);
	domain = domain_of(&setup);
	other_domain = domain_of(&other);
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domain));
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(other_domain));
	for (i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, 0, map(&setup, 0, SZ_8M, IOVA));
		KUNIT_ASSERT_EQ(test, 0, map(&setup, SZ_4M, SZ_4K, 0));
		KUNIT_ASSERT_EQ(test, 0,
				map(&other, SZ_2M + SZ_4K, SZ_4K, IOVA));
		expect_pinned(&setup, 2048);
		if (i) {
			unmap(&setup, 0, SZ_4K);
			unmap(&other, IOVA, SZ_4K);
			expect_pinned(&setup, 2048);
			KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA,
								 0, SZ_8M));
			unmap(&setup, IOVA, SZ_8M);
		} else {
			unmap(&setup, IOVA, SZ_8M);
			expect_pinned(&setup, 2);
			KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, 0,
								 SZ_4M, SZ_4K));
			KUNIT_EXPECT_TRUE(test,
					  fake_domain_maps(other_domain, IOVA,
							   SZ_2M + SZ_4K,
							   SZ_4K));
			unmap(&setup, 0, SZ_4K);
			unmap(&other, IOVA, SZ_4K);
		}
		expect_pinned(&setup, 0);
	}
}

/* In between -------------------------------------------------------------- */

struct between {
	struct setup *setup;
	struct fake_domain *domain;
	struct setup *other;
	int error;
};

static void between_remove(void *data)
{
	struct between *between = data;

	fake_domain_remove(between->domain);
}

static void between_add(void *data)
{
	struct between *between = data;

	between->error = fake_domain_add(between->domain);
}

static void between_unmap(void *data)
{
	struct between *between = data;

	between->error = test_unmap(between->setup->ioas, IOVA + SZ_1G, SZ_4K,
				    NULL);
}

static void between_map(void *data)
{
	struct between *between = data;

	between->error = map(between->other, 0, SZ_4K, 0);
}

static void remove_elsewhere(struct fake_memory *memory,
			     struct page_range range)
{
	test_elsewhere(memory->test, between_remove, memory->data);
}

static void add_elsewhere(struct fake_memory *memory, struct page_range range)
{
	test_elsewhere(memory->test, between_add, memory->data);
}

static void unmap_elsewhere(struct fake_memory *memory,
			    struct page_range range)
{
	test_elsewhere(memory->test, between_unmap, memory->data);
}

static void map_elsewhere(struct fake_memory *memory, struct page_range range)
{
	test_elsewhere(memory->test, between_map, memory->data);
}

/* The last domain goes while a new area is being pinned for it */
static void domain_leaves_during_map(struct kunit *test)
{
	struct between between = {};
	struct fake_domain *domain;
	struct setup setup;

	make_setup(test, &setup, 1024, FAKE_MIXED, 3);
	domain = domain_of(&setup);
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domain));
	KUNIT_ASSERT_EQ(test, 0, map(&setup, SZ_2M, SZ_64K, 0));
	between.domain = domain;
	setup.memory->data = &between;
	setup.memory->during_pin = remove_elsewhere;
	KUNIT_EXPECT_EQ(test, 0, map(&setup, 0, SZ_1M, IOVA));
	KUNIT_EXPECT_NULL(test, setup.memory->during_pin);
	expect_pinned(&setup, 0);
	KUNIT_EXPECT_TRUE(test, fake_domain_empty(domain));

	/* Both areas are there, for the next one. */
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domain));
	KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, IOVA, 0, SZ_1M));
	KUNIT_EXPECT_TRUE(test, fake_domain_maps(domain, 0, SZ_2M, SZ_64K));
}

/* One that comes meanwhile gets the area too, or never knew of it */
static void domain_comes_during_map(struct kunit *test)
{
	struct between between = {};
	struct fake_domain *domains[2];
	struct setup setup;
	unsigned int fail;

	make_setup(test, &setup, 1024, FAKE_MIXED, 3);
	domains[0] = domain_of(&setup);
	domains[1] = domain_of(&setup);
	KUNIT_ASSERT_EQ(test, 0, fake_domain_add(domains[0]));
	for (fail = 0; fail < 2; fail++) {
		KUNIT_ASSERT_EQ(test, 0, map(&setup, SZ_2M, SZ_64K, 0));
		between.domain = domains[1];
		setup.memory->data = &between;
		setup.memory->during_pin = add_elsewhere;
		setup.memory->fail_pin = fail;
		KUNIT_EXPECT_EQ(test, fail ? -EFAULT : 0,
				map(&setup, 0, SZ_1M, IOVA));
		KUNIT_EXPECT_EQ(test, 0, between.error);
		KUNIT_EXPECT_TRUE(test, fake_domain_maps(domains[1], 0, SZ_2M,
							 SZ_64K));
		KUNIT_EXPECT_EQ(test, !fail,
				fake_domain_maps(domains[0], IOVA, 0, SZ_1M));
		KUNIT_EXPECT_EQ(test, !fail,
				fake_domain_maps(domains[1], IOVA, 0, SZ_1M));
		expect_pinned(&setup, fail ? 16 : 16 + 256);
		unmap_all(&setup);
		fake_domain_remove(domains[1]);
	}
}

/* Areas come and go while the address space is pinned for its first domain */
static void areas_change_while_a_domain_comes(struct kunit *test)
{
	struct between between = {};
	struct fake_domain *domain;
	struct setup setup, other;
	unsigned int fail;

	make_setup(test, &setup, 1024, FAKE_MIXED, 3);
	other = setup;
	other.source = fake_source(setup.memory, setup.ioas->ctx);
	domain = domain_of(&setup);
	between.setup = &setup;
	between.other = &other;
	setup.memory->data = &between;
	for (fail = 0; fail < 2; fail++) {
		KUNIT_ASSERT_EQ(test, 0, map(&setup, SZ_1M, SZ_64K, IOVA));
		KUNIT_ASSERT_EQ(test, 0,
				map(&setup, 0, SZ_4K, IOVA + SZ_1G));
		setup.memory->during_pin = unmap_elsewhere;
		setup.memory->fail_pin = fail;
		KUNIT_EXPECT_EQ(test, fail ? -EFAULT : 0,
				fake_domain_add(domain));
		KUNIT_EXPECT_EQ(test, 0, between.error);
		expect_pinned(&setup, fail ? 0 : 16);
		if (!fail)
			fake_domain_remove(domain);

		/* Page 0 is pinned through the other source this time. */
		setup.memory->during_pin = map_elsewhere;
		setup.memory->fail_pin = 2 * fail;
		KUNIT_EXPECT_EQ(test, 0, fake_domain_add(domain));
		KUNIT_EXPECT_EQ(test, fail ? -EFAULT : 0, between.error);
		KUNIT_EXPECT_EQ(test, !fail,
				fake_domain_maps(domain, 0, 0, SZ_4K));
		expect_pinned(&setup, fail ? 16 : 17);
		fake_domain_remove(domain);
		expect_pinned(&setup, 0);
		unmap_all(&setup);
	}
}

/* All of it at random ----------------------------------------------------- */

#define RANDOM_STEPS 200
#define NR_SLOTS 12
#define SLOT_BYTES SZ_8M

struct slot {
	unsigned long start_bytes;
	unsigned long length_bytes;
};

static void check_slots(struct setup *setup, const struct slot *slots,
			struct fake_domain **domains, unsigned int present)
{
	struct fake_memory *memory = setup->memory;
	unsigned long page, nr = 0;
	unsigned int i, j;

	for (page = 0; page < memory->nr_pages && present; page++) {
		unsigned long first = page << PAGE_SHIFT;

		for (i = 0; i < NR_SLOTS; i++)
			if (slots[i].length_bytes &&
			    first < slots[i].start_bytes +
					    slots[i].length_bytes &&
			    slots[i].start_bytes <= first)
				break;
		nr += i < NR_SLOTS;
	}
	expect_pinned(setup, nr);
	for (j = 0; j < NR_DOMAINS; j++) {
		if (!(present & BIT(j))) {
			KUNIT_EXPECT_TRUE(setup->test,
					  fake_domain_empty(domains[j]));
			continue;
		}
		for (i = 0; i < NR_SLOTS; i++)
			KUNIT_EXPECT_TRUE(setup->test,
					  fake_domain_maps(domains[j],
							   i * SLOT_BYTES,
							   slots[i].start_bytes,
							   slots[i].length_bytes));
	}
}

static void toggle_slot(struct setup *setup, struct slot *slot,
			unsigned long iova, struct rnd_state *rnd)
{
	unsigned long nr_pages = setup->memory->nr_pages;
	unsigned long first, nr;

	if (slot->length_bytes) {
		unmap(setup, iova, slot->length_bytes);
		slot->length_bytes = 0;
		return;
	}
	first = prandom_u32_state(rnd) % nr_pages;
	nr = 1 + prandom_u32_state(rnd) % (nr_pages - first);
	if (prandom_u32_state(rnd) % 2)
		nr = min(nr, 20);
	setup->memory->fail_pin = prandom_u32_state(rnd) % 16;
	if (!map(setup, first << PAGE_SHIFT, nr << PAGE_SHIFT, iova)) {
		slot->start_bytes = first << PAGE_SHIFT;
		slot->length_bytes = nr << PAGE_SHIFT;
	}
	setup->memory->fail_pin = 0;
}

static void toggle_domain(struct setup *setup, struct fake_domain *domain,
			  unsigned int *present, unsigned int bit,
			  struct rnd_state *rnd)
{
	if (*present & bit) {
		fake_domain_remove(domain);
		*present &= ~bit;
		return;
	}
	setup->memory->fail_pin = prandom_u32_state(rnd) % 16;
	domain->fail_map = prandom_u32_state(rnd) % 64;
	if (!fake_domain_add(domain))
		*present |= bit;
	setup->memory->fail_pin = 0;
	domain->fail_map = 0;
}

static void random_changes_L40(struct kunit *test)
{
	struct fake_domain *domains[NR_DOMAINS];
	struct slot slots[NR_SLOTS] = {};
	unsigned int present = 0;
	struct rnd_state rnd;
	struct setup setup;
	unsigned int step, i;

	prandom_seed_state(&rnd, 77);
	make_setup(test, &setup, 2048, FAKE_MIXED, 3);
	for (i = 0; i < NR_DOMAINS; i++)
		domains[i] = domain_of(&setup);
	for (step = 0; step < RANDOM_STEPS; step++) {
		i = prandom_u32_state(&rnd) % NR_SLOTS;
		if (prandom_u32_state(&rnd) % 8)
			toggle_slot(&setup, &slots[i], i * SLOT_BYTES, &rnd);
		else
			toggle_domain(&setup, domains[i % NR_DOMAINS],
				      &present, BIT(i % NR_DOMAINS), &rnd);
		check_slots(&setup, slots, domains, present);
	}
}

static struct kunit_case domain_fill_cases[] = {
	KUNIT_CASE(domain_follows_the_ioas),
	KUNIT_CASE(large_entries_where_congruent),
	KUNIT_CASE(unmap_in_pieces_L43_L46),
	KUNIT_CASE(runs_are_longer_than_windows),
	KUNIT_CASE(huge_pages_off_maps_page_by_page),
	KUNIT_CASE(domain_with_small_pages),
	KUNIT_CASE(refused_domains_change_nothing),
	KUNIT_CASE(apertures_are_reserved),
	KUNIT_CASE(failed_maps_leave_nothing_L43),
	KUNIT_CASE(failed_domains_leave_nothing_L43),
	KUNIT_CASE(failed_pins_leave_nothing_L41),
	KUNIT_CASE(failed_allocations_leave_nothing_L41),
	KUNIT_CASE(domains_leave_in_any_order),
	KUNIT_CASE(one_sync_a_batch),
	KUNIT_CASE(areas_share_memory),
	KUNIT_CASE(domain_leaves_during_map),
	KUNIT_CASE(domain_comes_during_map),
	KUNIT_CASE(areas_change_while_a_domain_comes),
	KUNIT_CASE(random_changes_L40),
	{}
};

static struct kunit_suite domain_fill_suite = {
	.name = "iommufd_domain_fill",
	.test_cases = domain_fill_cases,
};

kunit_test_suite(domain_fill_suite);
