/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the KUnit suites share: a context without a file, memory that is not
 * there, and IOMMU domains without an IOMMU.
 *
 * The memory counts what is pinned of it and what domains map of it, and
 * fails the test as soon as a page is pinned twice, unpinned twice, mapped
 * without being pinned, or unpinned before every domain that mapped it was
 * synced. Everything that these functions make ends with the test, and what
 * is left over then fails it.
 */
#ifndef __IOMMUFD_TESTS_SUPPORT_H
#define __IOMMUFD_TESTS_SUPPORT_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include "../iommufd_private.h"

struct iommufd_ctx *test_ctx(struct kunit *test);
struct iommufd_ioas *test_ioas(struct kunit *test, struct iommufd_ctx *ctx);
void *test_zalloc(struct kunit *test, size_t bytes);
void test_set_memlock_pages(unsigned long nr);
void test_mm(struct kunit *test);
unsigned long test_mmap(struct kunit *test, unsigned long length,
			unsigned long prot);

/* Something that another thread does. */
struct test_thread {
	struct kunit *test;
	void (*function)(void *data);
	void *data;
	struct task_struct *task;
	struct completion done;
};

void test_thread_start(struct kunit *test, struct test_thread *thread,
		       void (*function)(void *data), void *data);
void test_thread_join(struct test_thread *thread);
void test_elsewhere(struct kunit *test, void (*function)(void *data),
		    void *data);

/*
 * Let the nth allocation of this task fail. Returns whether that can be done
 * in this kernel. fail_slab_end() says whether it came to that allocation; not
 * every one is needed, as the kernel's own checkers allocate as well.
 */
bool fail_slab_possible(struct kunit *test);
void fail_slab_begin(unsigned int nth);
bool fail_slab_end(void);

/* Memory ------------------------------------------------------------------ */

enum fake_layout {
	FAKE_CONTIGUOUS,	/* the next page is the next page */
	FAKE_SCATTERED,		/* no page is the next of another one */
	FAKE_MIXED,		/* stretches of random length */
};

/**
 * struct fake_memory - memory of which only the page frame numbers exist
 * @test: the test
 * @first_index: page index of the first page
 * @nr_pages: how many there are
 * @first_pfn: where they are, constant once something is pinned
 * @layout: how they are laid out
 * @nr_banks: as many places there are for each page, one of which is chosen
 *	whenever it is pinned
 * @jump_at: contiguous pages from this one on are in the second bank
 * @rnd: chooses
 * @bank: for each page, 0 if it is not pinned, else one more than its bank
 * @nr_mapped: for each page, how many entries of domains map it, where one
 *	that was taken out counts until the domain was synced
 * @nr_pinned: number of pages that are pinned; claims and releases run side
 *	by side
 * @nr_sources: sources over it that were not released
 * @nr_pin_calls: calls of the pin operation
 * @nr_copy_calls: calls of the copy operation
 * @nr_complaints: what went wrong and was reported, or not any more
 * @fail_pin: this call of pin from now fails, if it is not 0
 * @fail_half: it has pinned half of the range when it fails
 * @during_pin: called in the middle of pin, once
 * @data: for @during_pin
 */
struct fake_memory {
	struct kunit *test;
	unsigned long first_index;
	unsigned long nr_pages;
	unsigned long first_pfn;
	enum fake_layout layout;
	unsigned int nr_banks;
	unsigned long jump_at;
	struct rnd_state rnd;
	u8 *bank;
	u8 *nr_mapped;
	atomic_long_t nr_pinned;
	unsigned int nr_sources;
	unsigned int nr_pin_calls;
	unsigned int nr_copy_calls;
	unsigned int nr_complaints;
	unsigned int fail_pin;
	bool fail_half;
	void (*during_pin)(struct fake_memory *memory, struct page_range range);
	void *data;
};

/* Far above any memory, and a multiple of the largest page of a domain. */
#define FAKE_FIRST_PFN BIT(BITS_PER_LONG == 64 ? 32 : 18)

struct fake_memory *fake_memory(struct kunit *test, unsigned long first_index,
				unsigned long nr_pages,
				enum fake_layout layout, unsigned int nr_banks);
struct pin_source *fake_source(struct fake_memory *memory,
			       struct iommufd_ctx *ctx);
void test_set_account_mode(struct pin_source *source, enum account_mode mode);
bool fake_pinned(struct fake_memory *memory, unsigned long index);
unsigned long fake_pfn(struct fake_memory *memory, unsigned long index);

/*
 * An area over a part of the memory. Bytes count from the start of the first
 * page.
 */
struct iommufd_area *fake_area(struct fake_memory *memory,
			       struct pin_source *source,
			       unsigned long start_bytes,
			       unsigned long length_bytes);
int fake_map(struct fake_memory *memory, struct pin_source *source,
	     struct iommufd_ioas *ioas, unsigned long start_bytes,
	     unsigned long length_bytes, unsigned long iova);
int test_unmap(struct iommufd_ioas *ioas, unsigned long iova,
	       unsigned long length_bytes, unsigned long *unmapped_bytes);

/* Domains ----------------------------------------------------------------- */

/**
 * struct fake_domain - a domain that keeps books
 * @domain: for the IOMMU core
 * @test: the test
 * @memory: what is mapped in it
 * @ioas: what it follows when it was added
 * @hwpt: what wraps it
 * @entries: what is mapped, by IOVA
 * @nr_maps: calls of map_pages
 * @nr_syncs: calls of iotlb_sync
 * @fail_map: this call of map_pages from now fails half way, if it is not 0
 * @nr_pinned_at_sync: pages of @memory that the latest iotlb_sync found pinned
 * @prot: of the latest map_pages
 * @nr_reads: calls of read_and_clear_dirty
 * @tracking: what set_dirty_tracking was told last
 * @fail_tracking: what it answers if it is not 0
 */
struct fake_domain {
	struct iommu_domain domain;
	struct kunit *test;
	struct fake_memory *memory;
	struct iommufd_ioas *ioas;
	struct iommufd_hwpt_paging *hwpt;
	struct xarray entries;
	unsigned int nr_maps;
	unsigned int nr_syncs;
	unsigned int fail_map;
	unsigned long nr_pinned_at_sync;
	int prot;
	unsigned int nr_reads;
	bool tracking;
	int fail_tracking;
};

extern const struct iommu_dirty_ops fake_dirty_ops;

struct fake_domain *fake_domain(struct fake_memory *memory,
				struct iommufd_ioas *ioas,
				unsigned long page_sizes);
int fake_domain_add(struct fake_domain *fake);
void fake_domain_remove(struct fake_domain *fake);
unsigned long fake_domain_nr_entries(struct fake_domain *fake,
				     unsigned long page_bytes);
bool fake_domain_empty(struct fake_domain *fake);
bool fake_domain_entry(struct fake_domain *fake, unsigned long iova,
		       struct iova_range *range, bool *dirty);
void fake_domain_write(struct fake_domain *fake, unsigned long iova,
		       bool dirty);
bool fake_domain_maps(struct fake_domain *fake, unsigned long iova,
		      unsigned long start_bytes, unsigned long length_bytes);

#endif
