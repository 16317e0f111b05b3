/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What two address spaces and two devices should be like: for every page that
 * may be used, which mapping holds it. The model says beforehand what a command
 * answers, and is told if it was done.
 */
#ifndef REGRESS_MODEL_H
#define REGRESS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "context.h"
#include "translation.h"

#define NR_SPACES	2
/* An address space may be used in two windows of so many pages. */
#define NR_WINDOWS	2
#define WINDOW_PAGES	2048U
#define SPACE_PAGES	(NR_WINDOWS * WINDOW_PAGES)

#define MODEL_MEMORY_PAGES 2048U

/* Pages of one window, by their index in the space. */
struct page_span {
	unsigned int first;
	unsigned int nr;
};

/* One mapping, or with @nr 0 none. */
struct mapping {
	struct page_span where;
	unsigned int source;		/* made by MAP, shared by COPY */
	unsigned int memory_page;	/* of the first page */
	bool writable;			/* for devices */
	bool source_writable;
};

struct space {
	__u32 id;
	__u32 hwpt_id;			/* 0: none was made by hand */
	unsigned short mapping_at[SPACE_PAGES];	/* its number plus one */
};

struct model {
	struct space space[NR_SPACES];
	/* Where each device is: the number of a space, or -1; by which id. */
	int attached_to[NR_DEVICES];
	__u32 attached_id[NR_DEVICES];
	__u64 window_iova[NR_WINDOWS];
	struct mapping mappings[2 * SPACE_PAGES];
	unsigned int nr_mappings;	/* used so far, holes included */
	unsigned int nr_sources;
	__u64 page_frames[MODEL_MEMORY_PAGES];
};

__u64 model_iova(const struct model *model, unsigned int page);
/* The index of an IOVA; SPACE_PAGES if it is in no window. */
unsigned int model_page(const struct model *model, __u64 iova);

struct mapping *model_mapping(struct model *model, unsigned int space,
			      unsigned int page);

bool model_free(const struct model *model, unsigned int space,
		struct page_span span);
bool model_full(const struct model *model, unsigned int space,
		struct page_span span);
/*
 * Is a span's IOVA congruent to memory that begins at page index @memory_index,
 * as one is that the kernel chooses? In 2 MiB, or in all that it has.
 */
bool model_congruent(const struct model *model, struct page_span span,
		     unsigned long memory_index);
/* Is there any place for so many pages that is free and congruent? */
bool model_has_room(const struct model *model, unsigned int space,
		    unsigned int nr, unsigned long memory_index);

/* What UNMAP of a span answers, and how many pages it takes out. */
int model_unmap_answer(struct model *model, unsigned int space,
		       struct page_span span, unsigned int *nr_pages);

/* After a command was done. */
void model_map(struct model *model, unsigned int space,
	       const struct mapping *mapping);
void model_copy(struct model *model, unsigned int to, unsigned int to_page,
		unsigned int from, struct page_span span, bool writable);
void model_unmap(struct model *model, unsigned int space,
		 struct page_span span);

/* Does an IOMMU follow a space? */
bool model_followed(const struct model *model, unsigned int space);
/* How many pages are to be pinned: each once for each source. */
long model_pinned(const struct model *model);
/* What a device is to translate, in order; returns how many pages. */
size_t model_translation(const struct model *model, unsigned int device,
			 struct translated_page *pages);

#endif
