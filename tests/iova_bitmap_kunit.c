// SPDX-License-Identifier: GPL-2.0
/*
 * Bitmaps in user memory, filled through iova_bitmap.c and compared byte by byte
 * with a model. The comparison covers the whole area around a bitmap, and behind
 * the area there is nothing: bits that go astray are seen, and so is a bitmap
 * that is pinned past its end.
 *
 * The model is told what a set range means in the words of the interface, bit by
 * bit, and shares no arithmetic with the code.
 */
#include <kunit/test.h>
#include <linux/iova_bitmap.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>
#include <linux/vmalloc.h>

#include "support.h"

/* More than a window of iova_bitmap.c, which is 1 MiB. */
#define LARGE_BYTES (SZ_1M + SZ_128K)
#define SMALL_BYTES (4 * PAGE_SIZE)

#define MAX_SETS 8

#ifdef __BIG_ENDIAN
#define DATA_ALIGN sizeof(u64)
#else
#define DATA_ALIGN 1
#endif

/* User memory, and what it should contain. */
struct area {
	unsigned long addr;
	size_t size;
	u8 *model;
	u8 *actual;
};

struct bitmap_spec {
	unsigned long iova;
	size_t length;
	unsigned long page_size;
	/* Of the bitmap in the area. */
	size_t offset;
};

struct set_list {
	unsigned int nr;
	int result;
	struct {
		unsigned long iova;
		size_t length;
	} sets[MAX_SETS];
};

static void free_vmalloc(void *buffer)
{
	vfree(buffer);
}

static u8 *test_buffer(struct kunit *test, size_t size)
{
	/* Room for the model to handle the last bits as part of a u64. */
	u8 *buffer = vzalloc(size + sizeof(u64));

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_vmalloc,
							   buffer));
	return buffer;
}

static void make_area(struct kunit *test, struct area *area, size_t size)
{
	area->size = size;
	area->model = test_buffer(test, size);
	area->actual = test_buffer(test, size);
	area->addr = test_mmap(test, size + PAGE_SIZE, PROT_READ | PROT_WRITE);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(area->addr + size, PAGE_SIZE));
}

static void fill_area(struct kunit *test, struct area *area,
		      struct rnd_state *rnd, bool random)
{
	if (random)
		prandom_bytes_state(rnd, area->model, area->size);
	else
		memset(area->model, 0, area->size);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user((void __user *)area->addr,
					      area->model, area->size));
}

static void compare_area(struct kunit *test, struct area *area)
{
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(area->actual,
						(void __user *)area->addr,
						area->size));
	KUNIT_ASSERT_MEMEQ(test, area->model, area->actual, area->size);
}

static u64 __user *user_data(struct area *area, size_t offset)
{
	return (u64 __user *)(area->addr + offset);
}

static struct iova_bitmap *begin(struct area *area, struct bitmap_spec *spec)
{
	return iova_bitmap_alloc(spec->iova, spec->length, spec->page_size,
				 user_data(area, spec->offset));
}

static size_t spec_nr_bits(struct bitmap_spec *spec)
{
	return (spec->length - 1) / spec->page_size + 1;
}

static size_t spec_nr_bytes(struct bitmap_spec *spec)
{
	return round_up((spec_nr_bits(spec) + 7) / 8, DATA_ALIGN);
}

static void model_set_bit(struct area *area, struct bitmap_spec *spec,
			  size_t bit)
{
	u8 *word = area->model + spec->offset + bit / 64 * sizeof(u64);

	put_unaligned(get_unaligned((u64 *)word) | 1ULL << (bit % 64),
		      (u64 *)word);
}

static void model_set(struct area *area, struct bitmap_spec *spec,
		      unsigned long iova, size_t length)
{
	unsigned long last, nr_bits = spec_nr_bits(spec);
	size_t bit;

	if (!length)
		return;
	last = length - 1 > ULONG_MAX - iova ? ULONG_MAX : iova + (length - 1);
	for (bit = 0; bit < nr_bits; bit++) {
		unsigned long bit_first = bit * spec->page_size;
		unsigned long bit_last =
			min(bit_first + (spec->page_size - 1), spec->length - 1);

		if (iova <= spec->iova + bit_last &&
		    last >= spec->iova + bit_first)
			model_set_bit(area, spec, bit);
	}
}

static int set_all(struct iova_bitmap *bitmap, unsigned long iova,
		   size_t length, void *opaque)
{
	struct set_list *list = opaque;
	unsigned int i;

	for (i = 0; i < list->nr; i++)
		iova_bitmap_set(bitmap, list->sets[i].iova,
				list->sets[i].length);
	return list->result;
}

static void run_and_compare(struct kunit *test, struct area *area,
			    struct bitmap_spec *spec, struct set_list *list)
{
	struct iova_bitmap *bitmap = begin(area, spec);
	unsigned int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, list, set_all));
	iova_bitmap_free(bitmap);

	for (i = 0; i < list->nr; i++)
		model_set(area, spec, list->sets[i].iova, list->sets[i].length);
	compare_area(test, area);
}

static unsigned long random_long(struct rnd_state *rnd)
{
	u64 value = (u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd);

	return value;
}

/* From 0 to @max, both included */
static unsigned long random_upto(struct rnd_state *rnd, unsigned long max)
{
	return max == ULONG_MAX ? random_long(rnd) : random_long(rnd) % (max + 1);
}

static void random_spec(struct rnd_state *rnd, struct area *area,
			struct bitmap_spec *spec)
{
	unsigned long max_iova, room;

	spec->page_size = 1UL << random_upto(rnd, BITS_PER_LONG - 13);
	spec->length = 1 + random_upto(rnd, 2000 * spec->page_size - 1);

	max_iova = ULONG_MAX - (spec->length - 1);
	spec->iova = random_upto(rnd, max_iova);
	switch (random_upto(rnd, 3)) {
	case 0:
		spec->iova = round_down(spec->iova, spec->page_size);
		break;
	case 1:
		spec->iova = max_iova;
		break;
	case 2:
		spec->iova = 0;
		break;
	}

	room = area->size - spec_nr_bytes(spec);
	spec->offset = room;
	if (random_upto(rnd, 1))
		spec->offset = random_upto(rnd, room);
	spec->offset = round_down(spec->offset, DATA_ALIGN);
}

static void random_sets(struct rnd_state *rnd, struct bitmap_spec *spec,
			struct set_list *list)
{
	unsigned long page_size = spec->page_size;
	unsigned long before = min(spec->iova, 3 * page_size);
	unsigned int i;

	list->result = 0;
	list->nr = random_upto(rnd, MAX_SETS);
	for (i = 0; i < list->nr; i++) {
		unsigned long start = spec->iova - before +
				      random_upto(rnd, before + spec->length);
		unsigned long length = random_upto(rnd, 3 * page_size);

		if (!random_upto(rnd, 3))
			length = random_upto(rnd, spec->length);
		if (!random_upto(rnd, 15))
			length = random_long(rnd);
		if (random_upto(rnd, 1)) {
			start = round_down(start, page_size);
			length = round_up(length, page_size);
		}
		list->sets[i].iova = start;
		list->sets[i].length = length;
	}
}

/* L33: any base, size, page size; the neighbours of the bitmap stay */
static void random_bitmaps_match_model_L33(struct kunit *test)
{
	struct bitmap_spec spec;
	struct rnd_state rnd;
	struct set_list list;
	struct area area;
	unsigned int round;

	prandom_seed_state(&rnd, 33);
	make_area(test, &area, SMALL_BYTES);
	for (round = 0; round < 300; round++) {
		fill_area(test, &area, &rnd, round % 2);
		random_spec(&rnd, &area, &spec);
		random_sets(&rnd, &spec, &list);
		run_and_compare(test, &area, &spec, &list);
		if (test->status == KUNIT_FAILURE) {
			kunit_info(test, "round %u: iova %#lx length %#zx page %#lx offset %#zx\n",
				   round, spec.iova, spec.length,
				   spec.page_size, spec.offset);
			return;
		}
	}
}

/* L33: each bit for itself, over all positions in a byte and across words */
static void single_bits_L33(struct kunit *test)
{
	struct bitmap_spec spec = { .iova = SZ_1M, .length = 150 * SZ_4K,
				    .page_size = SZ_4K };
	struct set_list list = { .nr = 1 };
	struct rnd_state rnd;
	struct area area;
	size_t bit;

	prandom_seed_state(&rnd, 34);
	make_area(test, &area, PAGE_SIZE);
	for (bit = 0; bit < spec_nr_bits(&spec); bit++) {
		fill_area(test, &area, &rnd, false);
		spec.offset = round_down(area.size - spec_nr_bytes(&spec) -
					 bit % 11, DATA_ALIGN);
		list.sets[0].iova = spec.iova + bit * SZ_4K + bit;
		list.sets[0].length = 1;
		run_and_compare(test, &area, &spec, &list);
	}
}

/* A bit, so that its page is the one used last, and then a range. */
static void set_after(struct kunit *test, struct area *area,
		      struct bitmap_spec *spec, unsigned long first,
		      unsigned long iova, size_t length)
{
	struct set_list list = {
		.nr = 2,
		.sets = { { first, 1 }, { iova, length } },
	};

	memset(area->model, 0, area->size);
	KUNIT_ASSERT_EQ(test, 0, clear_user((void __user *)area->addr,
					    area->size));
	run_and_compare(test, area, spec, &list);
	if (test->status == KUNIT_FAILURE)
		kunit_info(test, "page %#lx offset %#zx: %#lx, then %#lx length %#zx\n",
			   spec->page_size, spec->offset, first, iova, length);
}

static void edges_from(struct kunit *test, struct area *area,
		       struct bitmap_spec *spec, unsigned long first)
{
	const unsigned long page = spec->page_size;
	const unsigned long end = spec->iova + spec->length;
	const unsigned long middle = spec->iova + spec->length / 2;
	/* Where bits begin that are at the front of a page of the bitmap. */
	const unsigned long seam = spec->iova +
		(PAGE_SIZE - spec->offset) * 8 * page;
	const unsigned long places[] = {
		spec->iova - page, spec->iova - 1, spec->iova, spec->iova + 1,
		middle, seam - page, seam - 1, seam, seam + page - 1,
		seam + page, end - page, end - 1, end, end + 1, end + page - 1,
		end + page,
	};
	const size_t lengths[] = {
		0, 1, 2, page - 1, page, page + 1, 2 * page, spec->length,
		ULONG_MAX / 2, -middle, ULONG_MAX,
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		for (j = 0; j < ARRAY_SIZE(lengths); j++) {
			set_after(test, area, spec, first, places[i],
				  lengths[j]);
			if (test->status == KUNIT_FAILURE)
				return;
		}
}

/* L33, L34: around the ends of a bitmap and of its pages, from everywhere */
static void edges_L33_L34(struct kunit *test)
{
	static const unsigned int page_shifts[] = { 4, 12 };
	struct area area;
	unsigned int i;

	make_area(test, &area, 2 * PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(page_shifts); i++) {
		struct bitmap_spec spec = {
			.iova = SZ_16M + 3,
			.page_size = BIT(page_shifts[i]),
			.offset = PAGE_SIZE - 8,
		};
		unsigned long last_bit = 100 * spec.page_size;

		/* The last bit stands for less than a page. */
		spec.length = last_bit + spec.page_size / 2;
		edges_from(test, &area, &spec, spec.iova);
		edges_from(test, &area, &spec, spec.iova + last_bit);
		/* The end of the bitmap, of the page and of the area. */
		spec.length = 28 * spec.page_size;
		spec.offset = round_down(2 * PAGE_SIZE - spec_nr_bytes(&spec),
					 DATA_ALIGN);
		edges_from(test, &area, &spec, spec.iova + spec.page_size);
	}
}

/* L33: windows are crossed upwards, downwards and in the middle of a range */
static void several_windows_L33(struct kunit *test)
{
	struct bitmap_spec spec = { .iova = SZ_4K, .page_size = 1 };
	struct set_list list = { .nr = 5 };
	struct rnd_state rnd;
	struct area area;
	unsigned int i;

	prandom_seed_state(&rnd, 35);
	make_area(test, &area, LARGE_BYTES);
	fill_area(test, &area, &rnd, true);
	spec.offset = 3 * sizeof(u64);
	spec.length = (area.size - spec.offset) * 8;
	for (i = 0; i < list.nr; i++) {
		list.sets[i].iova = spec.iova +
			(list.nr - 1 - i) * (spec.length / list.nr);
		list.sets[i].length = 1 + random_upto(&rnd, spec.length / 3);
	}
	run_and_compare(test, &area, &spec, &list);
}

/* L33: the whole bitmap at once, up to the last byte of the area */
static void whole_bitmap_L33(struct kunit *test)
{
	struct bitmap_spec spec = { .page_size = SZ_4K };
	struct set_list list = { .nr = 1, .sets[0] = { 0, ULONG_MAX } };
	struct rnd_state rnd;
	struct area area;

	prandom_seed_state(&rnd, 36);
	make_area(test, &area, SMALL_BYTES);
	fill_area(test, &area, &rnd, true);
	spec.offset = sizeof(u64);
	spec.length = (area.size - spec.offset) * 8 * SZ_4K;
	run_and_compare(test, &area, &spec, &list);
}

/* L34, L31: lengths of 0, 1 and the most there is */
static void lengths_L34(struct kunit *test)
{
	struct bitmap_spec spec = { .iova = ULONG_MAX, .length = 1,
				    .page_size = SZ_4K };
	struct set_list list = { .nr = 1 };
	struct rnd_state rnd;
	struct area area;

	prandom_seed_state(&rnd, 37);
	make_area(test, &area, PAGE_SIZE);
	fill_area(test, &area, &rnd, false);

	list.sets[0].iova = spec.iova;
	list.sets[0].length = 0;
	run_and_compare(test, &area, &spec, &list);
	list.sets[0].length = SIZE_MAX;
	run_and_compare(test, &area, &spec, &list);

	spec = (struct bitmap_spec){ .iova = SZ_1M, .length = 0,
				     .page_size = SZ_4K };
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR(begin(&area, &spec)));
	spec.length = SIZE_MAX;
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, PTR_ERR(begin(&area, &spec)));
	spec.iova = 0;
	spec.page_size = 1;
	KUNIT_EXPECT_EQ(test, -EFAULT, PTR_ERR(begin(&area, &spec)));
}

/* L32: page sizes that an int cannot hold, and those that are none */
static void page_sizes_L32(struct kunit *test)
{
	struct bitmap_spec spec = { .length = SIZE_MAX };
	struct set_list list = { .nr = 1 };
	struct rnd_state rnd;
	struct area area;
	unsigned int shift;

	prandom_seed_state(&rnd, 38);
	make_area(test, &area, PAGE_SIZE);
	for (shift = BITS_PER_LONG - 10; shift < BITS_PER_LONG; shift++) {
		fill_area(test, &area, &rnd, true);
		spec.page_size = 1UL << shift;
		list.sets[0].iova = ULONG_MAX / 2;
		list.sets[0].length = spec.page_size;
		run_and_compare(test, &area, &spec, &list);
	}

	spec.page_size = 0;
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR(begin(&area, &spec)));
	spec.page_size = SZ_4K + SZ_8K;
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR(begin(&area, &spec)));
	spec.page_size = ULONG_MAX;
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR(begin(&area, &spec)));
}

/* Memory that is not there, or not to be written, is refused at once */
static void bad_memory_is_refused(struct kunit *test)
{
	struct bitmap_spec spec = { .length = 16 * SZ_4K, .page_size = SZ_4K };
	struct area area;
	unsigned long read_only;

	make_area(test, &area, SMALL_BYTES);
	spec.offset = area.size - sizeof(u64);
	spec.length = 65 * SZ_4K;
	KUNIT_EXPECT_EQ(test, -EFAULT, PTR_ERR(begin(&area, &spec)));
	spec.offset = area.size;
	spec.length = 1;
	KUNIT_EXPECT_EQ(test, -EFAULT, PTR_ERR(begin(&area, &spec)));
	spec.offset = -sizeof(u64) - area.addr;
	KUNIT_EXPECT_EQ(test, -EFAULT, PTR_ERR(begin(&area, &spec)));

	read_only = test_mmap(test, PAGE_SIZE, PROT_READ);
	spec.offset = read_only - area.addr;
	KUNIT_EXPECT_EQ(test, -EFAULT, PTR_ERR(begin(&area, &spec)));
}

/* A window that goes bad later is reported, what came before it stands */
static void late_error_is_returned(struct kunit *test)
{
	struct bitmap_spec spec = { .page_size = 1 };
	struct set_list list = { .nr = 3 };
	struct iova_bitmap *bitmap;
	struct rnd_state rnd;
	struct area area;

	prandom_seed_state(&rnd, 39);
	make_area(test, &area, LARGE_BYTES);
	fill_area(test, &area, &rnd, true);
	spec.length = area.size * 8;
	list.sets[0].iova = 1;
	list.sets[0].length = 100;
	list.sets[1].iova = spec.length - 1;
	list.sets[1].length = 1;
	list.sets[2].iova = 1000;
	list.sets[2].length = 100;

	bitmap = begin(&area, &spec);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bitmap);
	area.size -= PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(area.addr + area.size, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			iova_bitmap_for_each(bitmap, &list, set_all));

	/* Of the three sets the one before the error has been carried out. */
	model_set(&area, &spec, list.sets[0].iova, list.sets[0].length);
	compare_area(test, &area);

	/* The next round starts without that error, and can bring its own. */
	list.nr = 1;
	KUNIT_EXPECT_EQ(test, 0, iova_bitmap_for_each(bitmap, &list, set_all));
	list.result = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO,
			iova_bitmap_for_each(bitmap, &list, set_all));
	iova_bitmap_free(bitmap);
	compare_area(test, &area);
}

static void free_of_nothing(struct kunit *test)
{
	iova_bitmap_free(NULL);
}

static struct kunit_case iova_bitmap_cases[] = {
	KUNIT_CASE(random_bitmaps_match_model_L33),
	KUNIT_CASE(single_bits_L33),
	KUNIT_CASE_SLOW(edges_L33_L34),
	KUNIT_CASE(several_windows_L33),
	KUNIT_CASE(whole_bitmap_L33),
	KUNIT_CASE(lengths_L34),
	KUNIT_CASE(page_sizes_L32),
	KUNIT_CASE(bad_memory_is_refused),
	KUNIT_CASE(late_error_is_returned),
	KUNIT_CASE(free_of_nothing),
	{}
};

static struct kunit_suite iova_bitmap_suite = {
	.name = "iommufd_iova_bitmap",
	.test_cases = iova_bitmap_cases,
};

kunit_test_suite(iova_bitmap_suite);

MODULE_IMPORT_NS("IOMMUFD");
