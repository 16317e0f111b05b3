/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the IOMMU really translates, as the VT-d driver's debugfs shows it: the
 * page table itself, not anybody's record of it.
 */
#ifndef REGRESS_TRANSLATION_H
#define REGRESS_TRANSLATION_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct translated_page {
	__u64 iova_page;	/* divided by the page size, like the next one */
	__u64 page_frame;
	bool writable;
};

/*
 * The pages that a PCI function translates, in the order of their IOVA, into
 * @pages, at most @max of them. Returns how many there are, or a negative errno.
 */
long translation_read(const char *address, struct translated_page *pages,
		      size_t max);

/* The page frames behind this process's memory, which is present. */
int memory_page_frames(const void *memory, __u64 *page_frames, size_t nr_pages);

#endif
