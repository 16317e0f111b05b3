/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User memory whose place in physical memory is known, because that decides
 * what pinning and mapping it costs. What the kernel had on its free lists must
 * not: so contiguous pages come from splitting huge ones, scattered ones from
 * touching pages in random order, and the result is looked at page by page.
 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stddef.h>

#define PAGE_BYTES	4096UL
#define HUGE_BYTES	(2048UL * 1024)

enum memory_kind {
	MEMORY_CONTIGUOUS,	/* folios of 4 KiB, neighbours in each 2 MiB */
	MEMORY_SCATTERED,	/* folios of 4 KiB, no two neighbours */
	MEMORY_HUGE,		/* folios of 2 MiB, mapped whole, neighbours */
	MEMORY_HUGE_APART,	/* folios of 2 MiB, mapped whole, no two neighbours */
};

/* Keep as few freed pages as possible out of the buddy allocator's sight. */
int memory_shrink_free_lists(void);

/* @nr_bytes is a multiple of HUGE_BYTES; NULL if it did not become this kind. */
void *memory_new(enum memory_kind kind, size_t nr_bytes);
void memory_free(void *memory, size_t nr_bytes);

#endif
