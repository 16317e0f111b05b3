// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"
#include "word.h"

/* The pages of the CPU's own lists are a zone's divided by this. */
#define FREE_LIST_FRACTION	"1000000"

/* /proc/self/pagemap and /proc/kpageflags: 64 bits a page. */
#define PAGEMAP_PFN_MASK	((1ULL << 55) - 1)
#define KPAGEFLAG_COMPOUND_HEAD	0x08000ULL
#define KPAGEFLAG_COMPOUND_TAIL	0x10000ULL

struct layout {
	size_t nr_pages;
	size_t nr_runs;
	size_t nr_in_large_folios;
};

int memory_shrink_free_lists(void)
{
	return write_word("/proc/sys/vm/percpu_pagelist_high_fraction",
			  FREE_LIST_FRACTION);
}

static bool read_word(int fd, uint64_t index, uint64_t *word)
{
	return pread(fd, word, sizeof(*word), index * sizeof(*word)) ==
	       sizeof(*word);
}

static bool layout_read(const char *memory, size_t nr_bytes,
			struct layout *layout)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	uint64_t first_index = (uintptr_t)memory / PAGE_BYTES;
	uint64_t pfn, flags, last_pfn = 0;
	size_t page;

	*layout = (struct layout){ .nr_pages = nr_bytes / PAGE_BYTES };
	for (page = 0; page < layout->nr_pages; page++) {
		if (!read_word(pagemap, first_index + page, &pfn))
			break;
		pfn &= PAGEMAP_PFN_MASK;
		if (!pfn || !read_word(kpageflags, pfn, &flags))
			break;
		layout->nr_runs += pfn != last_pfn + 1;
		layout->nr_in_large_folios +=
			!!(flags & (KPAGEFLAG_COMPOUND_HEAD |
				    KPAGEFLAG_COMPOUND_TAIL));
		last_pfn = pfn;
	}
	close(pagemap);
	close(kpageflags);
	return page == layout->nr_pages;
}

static bool layout_is(enum memory_kind kind, const struct layout *layout)
{
	size_t nr_huge = layout->nr_pages * PAGE_BYTES / HUGE_BYTES;

	switch (kind) {
	case MEMORY_CONTIGUOUS:
		return layout->nr_runs <= nr_huge && !layout->nr_in_large_folios;
	case MEMORY_SCATTERED:
		return layout->nr_runs > layout->nr_pages - layout->nr_pages / 100 &&
		       !layout->nr_in_large_folios;
	case MEMORY_HUGE:
		return layout->nr_runs <= 1 + nr_huge / 8 &&
		       layout->nr_in_large_folios == layout->nr_pages;
	case MEMORY_HUGE_APART:
		return layout->nr_runs == nr_huge &&
		       layout->nr_in_large_folios == layout->nr_pages;
	}
	return false;
}

static void touch_every(char *memory, size_t nr_bytes, size_t stride)
{
	size_t at;

	for (at = 0; at < nr_bytes; at += stride)
		memory[at] = 1;
}

/* Every second huge page, then those in between. */
static void touch_huge_pages_apart(char *memory, size_t nr_bytes)
{
	touch_every(memory, nr_bytes, 2 * HUGE_BYTES);
	if (nr_bytes > HUGE_BYTES)
		touch_every(memory + HUGE_BYTES, nr_bytes - HUGE_BYTES,
			    2 * HUGE_BYTES);
}

/* Fisher and Yates, with the same numbers in every run. */
static bool touch_in_random_order(char *memory, size_t nr_bytes)
{
	size_t nr_pages = nr_bytes / PAGE_BYTES;
	uint32_t *order = malloc(nr_pages * sizeof(*order));
	uint64_t state = 20230101;
	size_t i, other;

	if (!order)
		return false;
	for (i = 0; i < nr_pages; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		other = (state >> 33) % (i + 1);
		order[i] = order[other];
		order[other] = i;
	}
	for (i = 0; i < nr_pages; i++)
		memory[order[i] * PAGE_BYTES] = 1;
	free(order);
	return true;
}

/* Calling a part of a huge page cold makes the kernel split the folio. */
static bool split_huge_pages(char *memory, size_t nr_bytes)
{
	size_t at;

	for (at = 0; at < nr_bytes; at += HUGE_BYTES) {
		if (madvise(memory + at, PAGE_BYTES, MADV_COLD))
			return false;
	}
	return true;
}

static void *reserve_aligned(size_t nr_bytes)
{
	char *area = mmap(NULL, nr_bytes + HUGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t front;

	if (area == MAP_FAILED)
		return NULL;
	front = -(uintptr_t)area % HUGE_BYTES;
	if (front)
		munmap(area, front);
	munmap(area + front + nr_bytes, HUGE_BYTES - front);
	return area + front;
}

void *memory_new(enum memory_kind kind, size_t nr_bytes)
{
	char *memory = reserve_aligned(nr_bytes);
	struct layout layout;
	bool done = true;

	if (!memory)
		return NULL;

	madvise(memory, nr_bytes,
		kind == MEMORY_SCATTERED ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	switch (kind) {
	case MEMORY_CONTIGUOUS:
		/* All of them, or the split gives way to the page of zeroes. */
		touch_every(memory, nr_bytes, PAGE_BYTES);
		done = split_huge_pages(memory, nr_bytes);
		break;
	case MEMORY_SCATTERED:
		done = touch_in_random_order(memory, nr_bytes);
		break;
	case MEMORY_HUGE:
		touch_every(memory, nr_bytes, HUGE_BYTES);
		break;
	case MEMORY_HUGE_APART:
		touch_huge_pages_apart(memory, nr_bytes);
		break;
	}

	if (!done || !layout_read(memory, nr_bytes, &layout) ||
	    !layout_is(kind, &layout)) {
		if (done)
			fprintf(stderr, "memory: %zu pages, %zu runs, %zu in large folios\n",
				layout.nr_pages, layout.nr_runs,
				layout.nr_in_large_folios);
		memory_free(memory, nr_bytes);
		return NULL;
	}
	return memory;
}

void memory_free(void *memory, size_t nr_bytes)
{
	munmap(memory, nr_bytes);
}
