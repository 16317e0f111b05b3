// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

__u64 model_iova(const struct model *model, unsigned int page)
{
	return model->window_iova[page / WINDOW_PAGES] +
	       page % WINDOW_PAGES * PAGE_BYTES;
}

unsigned int model_page(const struct model *model, __u64 iova)
{
	unsigned int i;

	for (i = 0; i < NR_WINDOWS; i++) {
		__u64 offset = iova - model->window_iova[i];

		if (offset < WINDOW_PAGES * PAGE_BYTES)
			return i * WINDOW_PAGES + offset / PAGE_BYTES;
	}
	return SPACE_PAGES;
}

struct mapping *model_mapping(struct model *model, unsigned int space,
			      unsigned int page)
{
	unsigned int number = model->space[space].mapping_at[page];

	return number ? &model->mappings[number - 1] : NULL;
}

static unsigned int count_mapped(const struct model *model, unsigned int space,
				 struct page_span span)
{
	unsigned int i, nr = 0;

	for (i = span.first; i < span.first + span.nr; i++)
		nr += model->space[space].mapping_at[i] != 0;
	return nr;
}

bool model_free(const struct model *model, unsigned int space,
		struct page_span span)
{
	return !count_mapped(model, space, span);
}

bool model_full(const struct model *model, unsigned int space,
		struct page_span span)
{
	return count_mapped(model, space, span) == span.nr;
}

bool model_congruent(const struct model *model, struct page_span span,
		     unsigned long memory_index)
{
	unsigned long alignment = 1;

	while (2 * alignment <= span.nr && 2 * alignment <= 2 * MIB / PAGE_BYTES)
		alignment *= 2;
	return (model_iova(model, span.first) / PAGE_BYTES - memory_index) %
	       alignment == 0;
}

bool model_has_room(const struct model *model, unsigned int space,
		    unsigned int nr, unsigned long memory_index)
{
	unsigned int page, run = 0;

	for (page = 0; page < SPACE_PAGES; page++) {
		struct page_span span = { page + 1 - nr, nr };

		if (page % WINDOW_PAGES == 0)
			run = 0;
		run = model->space[space].mapping_at[page] ? 0 : run + 1;
		if (run >= nr && model_congruent(model, span, memory_index))
			return true;
	}
	return false;
}

int model_unmap_answer(struct model *model, unsigned int space,
		       struct page_span span, unsigned int *nr_pages)
{
	struct mapping *first = model_mapping(model, space, span.first);
	struct mapping *last = model_mapping(model, space,
					     span.first + span.nr - 1);

	*nr_pages = 0;
	if (first && first->where.first < span.first)
		return -ENOENT;
	if (last && last->where.first + last->where.nr > span.first + span.nr)
		return -ENOENT;
	*nr_pages = count_mapped(model, space, span);
	return *nr_pages ? 0 : -ENOENT;
}

void model_map(struct model *model, unsigned int space,
	       const struct mapping *mapping)
{
	unsigned int number = 0, i;

	while (number < model->nr_mappings && model->mappings[number].where.nr)
		number++;
	if (number == ARRAY_SIZE(model->mappings))
		abort();
	if (number == model->nr_mappings)
		model->nr_mappings++;
	model->mappings[number] = *mapping;
	for (i = 0; i < mapping->where.nr; i++)
		model->space[space].mapping_at[mapping->where.first + i] =
			number + 1;
}

void model_copy(struct model *model, unsigned int to, unsigned int to_page,
		unsigned int from, struct page_span span, bool writable)
{
	const unsigned int end = span.first + span.nr;

	while (span.first < end) {
		const struct mapping *original =
			model_mapping(model, from, span.first);
		struct mapping copy = *original;
		unsigned int skip = span.first - original->where.first;
		unsigned int nr = original->where.nr - skip;

		if (nr > end - span.first)
			nr = end - span.first;
		copy.where.first = to_page;
		copy.where.nr = nr;
		copy.memory_page += skip;
		copy.writable = writable;
		model_map(model, to, &copy);
		to_page += nr;
		span.first += nr;
	}
}

void model_unmap(struct model *model, unsigned int space, struct page_span span)
{
	unsigned int i;

	for (i = span.first; i < span.first + span.nr; i++) {
		struct mapping *mapping = model_mapping(model, space, i);

		if (mapping)
			mapping->where.nr = 0;
		model->space[space].mapping_at[i] = 0;
	}
}

bool model_followed(const struct model *model, unsigned int space)
{
	unsigned int i;

	for (i = 0; i < NR_DEVICES; i++)
		if (model->attached_to[i] == (int)space)
			return true;
	return model->space[space].hwpt_id;
}

/* Pages of one source that something needs. */
struct need {
	unsigned int source;
	unsigned int first;
	unsigned int end;
};

static int compare_needs(const void *a, const void *b)
{
	const struct need *x = a, *y = b;

	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static size_t collect_needs(const struct model *model, struct need *needs)
{
	unsigned int space, page;
	size_t nr = 0;

	for (space = 0; space < NR_SPACES; space++) {
		if (!model_followed(model, space))
			continue;
		for (page = 0; page < SPACE_PAGES; page++) {
			unsigned int number =
				model->space[space].mapping_at[page];
			const struct mapping *mapping =
				&model->mappings[number - 1];

			if (!number || mapping->where.first != page)
				continue;
			needs[nr++] = (struct need){
				.source = mapping->source,
				.first = mapping->memory_page,
				.end = mapping->memory_page + mapping->where.nr,
			};
		}
	}
	return nr;
}

long model_pinned(const struct model *model)
{
	static struct need needs[NR_SPACES * SPACE_PAGES];
	size_t nr = collect_needs(model, needs), i;
	unsigned int end = 0;
	long pinned = 0;

	qsort(needs, nr, sizeof(needs[0]), compare_needs);
	for (i = 0; i < nr; i++) {
		unsigned int first = needs[i].first;

		if (i && needs[i].source == needs[i - 1].source) {
			if (needs[i].end <= end)
				continue;
			if (first < end)
				first = end;
		}
		end = needs[i].end;
		pinned += end - first;
	}
	return pinned;
}

size_t model_translation(const struct model *model, unsigned int device,
			 struct translated_page *pages)
{
	const struct space *space;
	unsigned int i;
	size_t nr = 0;

	if (model->attached_to[device] < 0)
		return 0;
	space = &model->space[model->attached_to[device]];
	for (i = 0; i < SPACE_PAGES; i++) {
		const struct mapping *mapping;
		unsigned int memory_page;

		if (!space->mapping_at[i])
			continue;
		mapping = &model->mappings[space->mapping_at[i] - 1];
		memory_page = mapping->memory_page + i - mapping->where.first;
		pages[nr++] = (struct translated_page){
			.iova_page = model_iova(model, i) / PAGE_BYTES,
			.page_frame = model->page_frames[memory_page],
			.writable = mapping->writable,
		};
	}
	return nr;
}
