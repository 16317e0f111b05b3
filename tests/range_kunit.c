// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arithmetic of ranges, at the places where it could wrap.
 */
#include "support.h"

static void length_zero_is_refused_L34(struct kunit *test)
{
	struct iova_range range = { 11, 22 };

	KUNIT_EXPECT_EQ(test, -EINVAL, iova_range_make(&range, 0, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iova_range_make(&range, SZ_4K, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iova_range_make(&range, ULONG_MAX, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iova_range_make(&range, U64_MAX, 0));
	/* An error leaves the result alone. */
	KUNIT_EXPECT_EQ(test, 11, range.first);
	KUNIT_EXPECT_EQ(test, 22, range.last);
}

static void expect_range(struct kunit *test, u64 iova, u64 length_bytes)
{
	struct iova_range range;

	KUNIT_ASSERT_EQ(test, 0, iova_range_make(&range, iova, length_bytes));
	KUNIT_EXPECT_EQ(test, iova, range.first);
	KUNIT_EXPECT_EQ(test, length_bytes - 1, range.last - range.first);
	KUNIT_EXPECT_EQ(test, length_bytes, iova_range_bytes(range));
}

static void shortest_and_longest_L34(struct kunit *test)
{
	expect_range(test, 0, 1);
	expect_range(test, 1, 1);
	expect_range(test, ULONG_MAX - 1, 1);
	expect_range(test, ULONG_MAX, 1);
	expect_range(test, 0, ULONG_MAX);
	expect_range(test, 1, ULONG_MAX);
	expect_range(test, ULONG_MAX / 2, ULONG_MAX / 2);
	expect_range(test, ULONG_MAX - SZ_4K + 1, SZ_4K);
}

static void wraps_are_refused_L31(struct kunit *test)
{
	struct iova_range range = { 11, 22 };

	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			iova_range_make(&range, ULONG_MAX, 2));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			iova_range_make(&range, 2, ULONG_MAX));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			iova_range_make(&range, U64_MAX, U64_MAX));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			iova_range_make(&range, ULONG_MAX - SZ_4K + 1,
					SZ_4K + 1));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			iova_range_make(&range, (u64)S64_MAX + 1,
					(u64)S64_MAX + 2));
	KUNIT_EXPECT_EQ(test, 11, range.first);
	KUNIT_EXPECT_EQ(test, 22, range.last);
}

/* L35: what 64 bits can say and an address cannot */
static void beyond_an_address_L35(struct kunit *test)
{
	struct iova_range range;

	if (BITS_PER_LONG == 64)
		kunit_skip(test, "needs a 32-bit kernel");
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			iova_range_make(&range, (u64)ULONG_MAX + 1, 1));
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			iova_range_make(&range, 1, (u64)ULONG_MAX + 1));
}

static void aligned_at_the_top(struct kunit *test)
{
	const struct iova_range page = { -SZ_4K, ULONG_MAX };
	const struct iova_range byte = { ULONG_MAX, ULONG_MAX };
	const struct iova_range half = { BIT(BITS_PER_LONG - 1), ULONG_MAX };
	unsigned int log2;

	for (log2 = 0; log2 < BITS_PER_LONG; log2++) {
		KUNIT_EXPECT_EQ(test, log2 <= 12,
				iova_range_aligned(page, BIT(log2)));
		KUNIT_EXPECT_EQ(test, log2 == 0,
				iova_range_aligned(byte, BIT(log2)));
		KUNIT_EXPECT_TRUE(test, iova_range_aligned(half, BIT(log2)));
	}
}

static void aligned_at_both_ends(struct kunit *test)
{
	struct iova_range range = { SZ_4K, SZ_16K - 1 };

	KUNIT_EXPECT_TRUE(test, iova_range_aligned(range, 1));
	KUNIT_EXPECT_TRUE(test, iova_range_aligned(range, SZ_4K));
	KUNIT_EXPECT_FALSE(test, iova_range_aligned(range, SZ_8K));
	range.last++;
	KUNIT_EXPECT_FALSE(test, iova_range_aligned(range, 2));
	range.last--;
	range.first--;
	KUNIT_EXPECT_FALSE(test, iova_range_aligned(range, 2));
	range.first = 0;
	KUNIT_EXPECT_TRUE(test, iova_range_aligned(range, SZ_16K));
	KUNIT_EXPECT_FALSE(test, iova_range_aligned(range, SZ_32K));
}

static void expect_pages(struct kunit *test, const struct iommufd_area *area,
			 unsigned long first, unsigned long last,
			 unsigned long first_index, unsigned long nr)
{
	struct iova_range part = { first, last };
	struct page_range pages = area_pages(area, part);

	KUNIT_EXPECT_EQ(test, first_index, pages.first);
	KUNIT_EXPECT_EQ(test, nr, page_range_nr(pages));
}

static void pages_of_an_aligned_area(struct kunit *test)
{
	const struct iommufd_area area = {
		.iova = { 10 * PAGE_SIZE, 14 * PAGE_SIZE - 1 },
		.first_index = 500,
	};

	expect_pages(test, &area, area.iova.first, area.iova.last, 500, 4);
	expect_pages(test, &area, area.iova.first, area.iova.first, 500, 1);
	expect_pages(test, &area, area.iova.last, area.iova.last, 503, 1);
	expect_pages(test, &area, 11 * PAGE_SIZE, 12 * PAGE_SIZE - 1, 501, 1);
	expect_pages(test, &area, 11 * PAGE_SIZE - 1, 12 * PAGE_SIZE, 500, 3);
}

/* The offset of the memory in its page counts, that of the IOVA does not */
static void pages_of_an_offset_area(struct kunit *test)
{
	const struct iommufd_area area = {
		.iova = { 3, 3 + 2 * PAGE_SIZE - 1 },
		.first_index = 7,
		.page_offset = PAGE_SIZE - 1,
	};

	expect_pages(test, &area, area.iova.first, area.iova.last, 7, 3);
	expect_pages(test, &area, 3, 3, 7, 1);
	expect_pages(test, &area, 4, 4, 8, 1);
	expect_pages(test, &area, 3, 4, 7, 2);
	expect_pages(test, &area, 4, 4 + PAGE_SIZE - 1, 8, 1);
	expect_pages(test, &area, 4 + PAGE_SIZE, area.iova.last, 9, 1);
}

static void pages_of_an_area_at_the_top(struct kunit *test)
{
	const struct iommufd_area area = {
		.iova = { ULONG_MAX - PAGE_SIZE + 1, ULONG_MAX },
		.first_index = (ULONG_MAX >> PAGE_SHIFT) - 1,
		.page_offset = 1,
	};

	expect_pages(test, &area, area.iova.first, area.iova.last,
		     area.first_index, 2);
	expect_pages(test, &area, ULONG_MAX, ULONG_MAX, area.first_index + 1,
		     1);
	expect_pages(test, &area, area.iova.first, ULONG_MAX - 1,
		     area.first_index, 1);
}

static struct kunit_case range_cases[] = {
	KUNIT_CASE(length_zero_is_refused_L34),
	KUNIT_CASE(shortest_and_longest_L34),
	KUNIT_CASE(wraps_are_refused_L31),
	KUNIT_CASE(beyond_an_address_L35),
	KUNIT_CASE(aligned_at_the_top),
	KUNIT_CASE(aligned_at_both_ends),
	KUNIT_CASE(pages_of_an_aligned_area),
	KUNIT_CASE(pages_of_an_offset_area),
	KUNIT_CASE(pages_of_an_area_at_the_top),
	{}
};

static struct kunit_suite range_suite = {
	.name = "iommufd_range",
	.test_cases = range_cases,
};

kunit_test_suite(range_suite);
