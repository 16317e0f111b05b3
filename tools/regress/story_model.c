// SPDX-License-Identifier: GPL-2.0
/*
 * Random commands, each compared with what the model says: its answer, the IOVA
 * that it was given, what is pinned and charged, and, now and then, every entry
 * of the IOMMU's page tables. The seed is fixed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "edu.h"
#include "iommufd.h"
#include "model.h"
#include "regress.h"

#define NR_COMMANDS	600
#define LOOK_EVERY	20
#define NR_TRANSFERS	4
#define TRANSFER_BYTES	2048

/* The second half of the memory is a file's. */
#define USER_PAGES	(MODEL_MEMORY_PAGES / 2)

struct play {
	struct context *context;
	struct model model;
	char *memory;
	int memfd;
	__u32 random;
	unsigned int nr_done;
	unsigned int nr_refused;
};

static unsigned int below(struct play *play, unsigned int end)
{
	play->random = play->random * 1664525 + 1013904223;
	return ((__u64)(play->random >> 8) * end) >> 24;
}

static unsigned int random_nr(struct play *play)
{
	switch (below(play, 16)) {
	case 0:
		return 1;
	case 1:
		return 512 + below(play, 300);
	default:
		return 1 + below(play, 64);
	}
}

static struct page_span random_span(struct play *play)
{
	struct page_span span = { .nr = random_nr(play) };

	span.first = below(play, NR_WINDOWS) * WINDOW_PAGES +
		     below(play, WINDOW_PAGES - span.nr + 1);
	return span;
}

/* One that is mapped, most of the time, as a whole or in part. */
static struct page_span likely_span(struct play *play, unsigned int space)
{
	struct page_span span = random_span(play);
	struct mapping *mapping = NULL;
	unsigned int tries;

	if (below(play, 4) == 0)
		return span;
	for (tries = 0; tries < 64 && !mapping; tries++)
		mapping = model_mapping(&play->model, space,
					below(play, SPACE_PAGES));
	if (!mapping)
		return span;
	span = mapping->where;
	if (below(play, 3) == 0) {
		span.first += below(play, span.nr);
		span.nr = 1 + below(play, mapping->where.first +
				    mapping->where.nr - span.first);
	}
	return span;
}

static bool answered(struct play *play, const char *what, int answer,
		     int wanted)
{
	if (answer != wanted)
		return failed("command %u, %s: %s, want %s",
			      play->nr_done + play->nr_refused, what,
			      error_name(answer), error_name(wanted));
	if (answer)
		play->nr_refused++;
	else
		play->nr_done++;
	return true;
}

/* The page index that an IOVA for a page of memory is to be congruent to. */
static unsigned long memory_index(const struct play *play,
				  unsigned int memory_page)
{
	if (memory_page >= USER_PAGES)
		return memory_page - USER_PAGES;
	return (unsigned long)play->memory / PAGE_BYTES + memory_page;
}

/* Is what the kernel chose in a window, free and congruent? */
static bool good_choice(struct play *play, unsigned int space, __u64 iova,
			unsigned long memory_index, struct page_span *span)
{
	unsigned int first = model_page(&play->model, iova);

	span->first = first;
	if (iova % PAGE_BYTES || first == SPACE_PAGES ||
	    first % WINDOW_PAGES + span->nr > WINDOW_PAGES)
		return failed("command %u: 0x%llx was chosen for %u pages, not allowed",
			      play->nr_done, iova, span->nr);
	if (!model_free(&play->model, space, *span))
		return failed("command %u: 0x%llx was chosen for %u pages, taken",
			      play->nr_done, iova, span->nr);
	if (!model_congruent(&play->model, *span, memory_index))
		return failed("command %u: 0x%llx was chosen for %u pages from 0x%lx",
			      play->nr_done, iova, span->nr, memory_index);
	return true;
}

static int send_map(struct play *play, __u32 id, const struct mapping *mapping,
		    bool fixed, __u64 *iova)
{
	const __u64 offset = mapping->memory_page * PAGE_BYTES;
	const __u64 file_offset = offset - USER_PAGES * PAGE_BYTES;
	const __u64 length = mapping->where.nr * PAGE_BYTES;
	const __u32 access = mapping->writable ? DMA_READ_WRITE : DMA_READ_ONLY;
	const int iommufd = play->context->iommufd;
	const bool file = mapping->memory_page >= USER_PAGES;

	if (fixed && file)
		return ioas_map_file_at(iommufd, id, play->memfd, file_offset,
					length, *iova, access);
	if (fixed)
		return ioas_map_at(iommufd, id, play->memory + offset, length,
				   *iova, access);
	if (file)
		return ioas_map_file_anywhere(iommufd, id, play->memfd,
					      file_offset, length, iova, access);
	return ioas_map_anywhere(iommufd, id, play->memory + offset, length,
				 iova, access);
}

static bool try_map(struct play *play)
{
	unsigned int space = below(play, NR_SPACES);
	const struct page_span span = random_span(play);
	const bool fixed = below(play, 2);
	struct mapping mapping = {
		.where = span,
		.source = play->model.nr_sources,
		.memory_page = below(play, 2) * USER_PAGES +
			       below(play, USER_PAGES - span.nr + 1),
		.writable = below(play, 4),
	};
	const unsigned long index = memory_index(play, mapping.memory_page);
	__u64 iova = model_iova(&play->model, span.first);
	int wanted = 0, answer;

	mapping.source_writable = mapping.writable;
	if (fixed && !model_free(&play->model, space, span))
		wanted = -EEXIST;
	else if (!fixed && !model_has_room(&play->model, space, span.nr, index))
		wanted = -ENOSPC;
	answer = send_map(play, play->model.space[space].id, &mapping, fixed,
			  &iova);
	if (!answered(play, "map", answer, wanted))
		return false;
	if (answer)
		return true;
	if (!fixed && !good_choice(play, space, iova, index, &mapping.where))
		return false;
	play->model.nr_sources++;
	model_map(&play->model, space, &mapping);
	return true;
}

/* Is everything in the span made of memory that was mapped writable? */
static bool span_writable(struct model *model, unsigned int space,
			  struct page_span span)
{
	unsigned int i;

	for (i = span.first; i < span.first + span.nr; i++)
		if (!model_mapping(model, space, i)->source_writable)
			return false;
	return true;
}

/* What is at the beginning of a span that is mapped. */
static unsigned long span_memory_index(struct play *play, unsigned int space,
				       struct page_span span)
{
	const struct mapping *mapping =
		model_mapping(&play->model, space, span.first);

	return memory_index(play, mapping->memory_page + span.first -
				  mapping->where.first);
}

static int copy_answer(struct play *play, unsigned int from,
		       struct page_span source, unsigned int to,
		       struct page_span target, bool fixed, bool writable)
{
	struct model *model = &play->model;

	if (!model_full(model, from, source))
		return -ENOENT;
	if (writable && !span_writable(model, from, source))
		return -EPERM;
	if (fixed)
		return model_free(model, to, target) ? 0 : -EEXIST;
	return model_has_room(model, to, source.nr,
			      span_memory_index(play, from, source)) ?
		       0 : -ENOSPC;
}

static bool try_copy(struct play *play)
{
	struct model *model = &play->model;
	unsigned int from = below(play, NR_SPACES);
	unsigned int to = below(play, NR_SPACES);
	const struct page_span source = likely_span(play, from);
	const bool writable = below(play, 3), fixed = below(play, 2);
	const __u32 access = writable ? DMA_READ_WRITE : DMA_READ_ONLY;
	const __u64 length = source.nr * PAGE_BYTES;
	struct page_span target = { .nr = source.nr };
	__u64 from_iova = model_iova(model, source.first);
	__u64 to_iova;
	int wanted, answer;

	target.first = below(play, NR_WINDOWS) * WINDOW_PAGES +
		       below(play, WINDOW_PAGES - target.nr + 1);
	to_iova = model_iova(model, target.first);
	wanted = copy_answer(play, from, source, to, target, fixed, writable);
	if (fixed)
		answer = ioas_copy_at(play->context->iommufd,
				      model->space[to].id, to_iova,
				      model->space[from].id, from_iova, length,
				      access);
	else
		answer = ioas_copy_anywhere(play->context->iommufd,
					    model->space[to].id, &to_iova,
					    model->space[from].id, from_iova,
					    length, access);
	if (!answered(play, "copy", answer, wanted))
		return false;
	if (answer)
		return true;
	if (!fixed && !good_choice(play, to, to_iova,
				   span_memory_index(play, from, source),
				   &target))
		return false;
	model_copy(model, to, target.first, from, source, writable);
	return true;
}

static bool try_unmap(struct play *play)
{
	struct model *model = &play->model;
	unsigned int space = below(play, NR_SPACES), nr_pages;
	struct page_span span = likely_span(play, space);
	struct iommu_ioas_unmap args = {
		.size = sizeof(args),
		.ioas_id = model->space[space].id,
		.iova = model_iova(model, span.first),
		.length = span.nr * PAGE_BYTES,
	};
	int wanted = model_unmap_answer(model, space, span, &nr_pages);
	int answer = iommufd_command(play->context->iommufd, IOMMU_IOAS_UNMAP,
				     &args);

	if (!answered(play, "unmap", answer, wanted))
		return false;
	if (args.length != nr_pages * PAGE_BYTES)
		return failed("command %u, unmap: %llu bytes, want %lu",
			      play->nr_done, args.length, nr_pages * PAGE_BYTES);
	if (!answer)
		model_unmap(model, space, span);
	return true;
}

static bool try_unmap_everything(struct play *play)
{
	unsigned int space = below(play, NR_SPACES), window;
	int answer = ioas_unmap_everything(play->context->iommufd,
					   play->model.space[space].id);

	for (window = 0; window < NR_WINDOWS; window++)
		model_unmap(&play->model, space,
			    (struct page_span){ window * WINDOW_PAGES,
						WINDOW_PAGES });
	return answered(play, "unmap everything", answer, 0);
}

static bool try_attach(struct play *play)
{
	struct model *model = &play->model;
	unsigned int device = below(play, NR_DEVICES);
	unsigned int to = below(play, NR_SPACES);
	struct space *space = &model->space[to];
	__u32 id = space->hwpt_id && below(play, 2) ? space->hwpt_id : space->id;

	model->attached_to[device] = to;
	model->attached_id[device] = id;
	return answered(play, "attach",
			vfio_attach(&play->context->device[device], id), 0);
}

static bool try_detach(struct play *play)
{
	unsigned int device = below(play, NR_DEVICES);

	play->model.attached_to[device] = -1;
	play->model.attached_id[device] = 0;
	return answered(play, "detach",
			vfio_detach(&play->context->device[device]), 0);
}

/* A page table of its own: made if there is none, destroyed if there is. */
static bool try_hwpt(struct play *play)
{
	struct space *space = &play->model.space[below(play, NR_SPACES)];
	const int iommufd = play->context->iommufd;
	unsigned int device = below(play, NR_DEVICES), i;
	int wanted = 0, answer;

	if (!space->hwpt_id)
		return answered(play, "a page table",
				hwpt_alloc(iommufd,
					   play->context->device[device].id,
					   space->id, &space->hwpt_id), 0);
	for (i = 0; i < NR_DEVICES; i++)
		if (play->model.attached_id[i] == space->hwpt_id)
			wanted = -EBUSY;
	answer = iommufd_destroy(iommufd, space->hwpt_id);
	if (!answer)
		space->hwpt_id = 0;
	return answered(play, "destroying a page table", answer, wanted);
}

static bool try_something(struct play *play)
{
	switch (below(play, 32)) {
	case 0:
		return try_unmap_everything(play);
	case 1: case 2: case 3:
		return try_attach(play);
	case 4: case 5:
		return try_detach(play);
	case 6: case 7:
		return try_hwpt(play);
	case 8 ... 15:
		return try_copy(play);
	case 16 ... 23:
		return try_unmap(play);
	default:
		return try_map(play);
	}
}

/* Looking ------------------------------------------------------------------ */

static bool pins_are_right(struct play *play)
{
	long wanted = model_pinned(&play->model);
	long pinned = context_pinned(play->context);

	if (pinned != wanted)
		return failed("after %u commands %ld pages pinned and charged, want %ld",
			      play->nr_done + play->nr_refused, pinned, wanted);
	return true;
}

static bool wrong_page(struct play *play, const char *address,
		       const struct translated_page *is,
		       const struct translated_page *wanted)
{
	return failed("after %u commands %s: 0x%llx to 0x%llx (%d), want 0x%llx to 0x%llx (%d)",
		      play->nr_done + play->nr_refused, address, is->iova_page,
		      is->page_frame, is->writable, wanted->iova_page,
		      wanted->page_frame, wanted->writable);
}

static bool tables_are_right(struct play *play, unsigned int device)
{
	static struct translated_page wanted[SPACE_PAGES], is[SPACE_PAGES];
	const char *address = play->context->address[device];
	long nr_wanted = model_translation(&play->model, device, wanted);
	long nr = translation_read(address, is, ARRAY_SIZE(is));
	long i;

	if (nr != nr_wanted)
		return failed("after %u commands %s translates %ld pages, want %ld",
			      play->nr_done + play->nr_refused, address, nr,
			      nr_wanted);
	for (i = 0; i < nr; i++)
		if (memcmp(&is[i], &wanted[i], sizeof(is[i])))
			return wrong_page(play, address, &is[i], &wanted[i]);
	return true;
}

static bool all_is_right(struct play *play)
{
	long machine = context_machine_pinned(play->context);
	unsigned int device;
	int error;

	if (machine != model_pinned(&play->model))
		return failed("after %u commands %ld pages pinned in the machine, want %ld",
			      play->nr_done + play->nr_refused, machine,
			      model_pinned(&play->model));
	error = memory_page_frames(play->memory, play->model.page_frames,
				   MODEL_MEMORY_PAGES);
	if (error)
		return failed("pagemap: %s", error_name(error));
	for (device = 0; device < NR_DEVICES; device++)
		if (!tables_are_right(play, device))
			return false;
	return true;
}

/* A mapping of a space that a device may write to, or may read. */
static struct mapping *find_mapping(struct play *play, unsigned int space,
				    bool writable)
{
	unsigned int from = below(play, SPACE_PAGES), i;

	for (i = 0; i < SPACE_PAGES; i++) {
		struct mapping *mapping =
			model_mapping(&play->model, space,
				      (from + i) % SPACE_PAGES);

		if (mapping && (mapping->writable || !writable))
			return mapping;
	}
	return NULL;
}

/* Let the device carry a pattern from one page to another. */
static bool transfer(struct play *play, unsigned int seed)
{
	struct vfio_device *device = &play->context->device[0];
	int space = play->model.attached_to[0];
	struct mapping *from = find_mapping(play, space, false);
	struct mapping *to = find_mapping(play, space, true);
	char *target;
	int error;

	if (!from || !to)
		return failed("nothing is mapped to try DMA with");
	pattern_fill(play->memory + from->memory_page * PAGE_BYTES,
		     TRANSFER_BYTES, seed);
	target = play->memory + to->memory_page * PAGE_BYTES + TRANSFER_BYTES;
	memset(target, 0, TRANSFER_BYTES);
	error = edu_read_memory(device,
				model_iova(&play->model, from->where.first),
				TRANSFER_BYTES);
	if (!error)
		error = edu_write_memory(device,
					 model_iova(&play->model, to->where.first) +
					 TRANSFER_BYTES, TRANSFER_BYTES);
	if (error)
		return failed("DMA: %s", error_name(error));
	if (!pattern_holds(target, TRANSFER_BYTES, seed))
		return failed("DMA did not arrive where it should");
	return true;
}

static bool transfers(struct play *play)
{
	unsigned int i;
	int error;

	error = context_start_device(play->context, 0);
	if (error)
		return failed("starting the device: %s", error_name(error));
	while (play->model.attached_to[0] < 0)
		if (!try_attach(play))
			return false;
	while (!find_mapping(play, play->model.attached_to[0], true))
		if (!try_map(play))
			return false;
	for (i = 0; i < NR_TRANSFERS; i++)
		if (!transfer(play, 100 + i))
			return false;
	return true;
}

/* Beginning and end -------------------------------------------------------- */

/* Single pages, which come in the order in which they are touched. */
static void scatter(char *memory, size_t nr_bytes)
{
	madvise(memory, nr_bytes, MADV_DONTNEED);
	madvise(memory, nr_bytes, MADV_NOHUGEPAGE);
	for (; nr_bytes; nr_bytes -= PAGE_BYTES)
		memory[nr_bytes - PAGE_BYTES] = 1;
}

static int get_memory(struct play *play)
{
	const size_t user_bytes = USER_PAGES * PAGE_BYTES;
	char *file;

	/* Huge pages in the first half of the user memory, if there are any. */
	play->memory = memory_new(2 * user_bytes);
	scatter(play->memory + user_bytes / 2, user_bytes / 2);
	play->memfd = memfd_create("regress", MFD_CLOEXEC);
	if (play->memfd < 0 || ftruncate(play->memfd, user_bytes))
		return -errno;
	file = mmap(play->memory + user_bytes, user_bytes,
		    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    play->memfd, 0);
	if (file == MAP_FAILED)
		return -errno;
	memset(file, 0, user_bytes);
	return 0;
}

/* The first window is low, the second ends where the IOMMU does. */
static int make_spaces(struct play *play)
{
	const int iommufd = play->context->iommufd;
	struct iommu_iova_range windows[NR_WINDOWS];
	struct iova_ranges ranges;
	unsigned int i;
	__u32 id;
	int error;

	error = ioas_alloc(iommufd, &id);
	if (!error)
		error = vfio_attach(&play->context->device[0], id);
	if (!error)
		error = ioas_iova_ranges(iommufd, id, &ranges);
	if (!error)
		error = vfio_detach(&play->context->device[0]);
	if (!error)
		error = iommufd_destroy(iommufd, id);
	play->model.window_iova[0] = LOW_IOVA;
	play->model.window_iova[1] = ranges.range[ranges.nr_ranges - 1].last + 1 -
				     WINDOW_PAGES * PAGE_BYTES;
	for (i = 0; i < NR_WINDOWS; i++) {
		windows[i].start = play->model.window_iova[i];
		windows[i].last = windows[i].start +
				  WINDOW_PAGES * PAGE_BYTES - 1;
	}
	for (i = 0; !error && i < NR_SPACES; i++) {
		error = ioas_alloc(iommufd, &play->model.space[i].id);
		if (!error)
			error = ioas_allow_iovas(iommufd,
						 play->model.space[i].id,
						 windows, NR_WINDOWS);
	}
	return error;
}

static bool end_empty(struct play *play)
{
	unsigned int i;
	int error = 0;

	for (i = 0; !error && i < NR_SPACES; i++)
		error = ioas_unmap_everything(play->context->iommufd,
					      play->model.space[i].id);
	if (error || context_pinned(play->context))
		return failed("unmapping all: %s, %ld pages pinned",
			      error_name(error),
			      context_pinned(play->context));
	return true;
}

static bool play_commands(struct play *play)
{
	unsigned int i;

	for (i = 1; i <= NR_COMMANDS; i++) {
		if (!try_something(play) || !pins_are_right(play))
			return false;
		if (i % LOOK_EVERY == 0 && !all_is_right(play))
			return false;
	}
	return transfers(play) && all_is_right(play) && end_empty(play);
}

static bool play_model(struct context *context, __u32 seed)
{
	struct play *play = calloc(1, sizeof(*play));
	bool good;
	int error;

	play->context = context;
	play->random = seed;
	play->model.attached_to[0] = -1;
	play->model.attached_to[1] = -1;
	error = get_memory(play);
	if (!error)
		error = make_spaces(play);
	good = error ? failed("setting up: %s", error_name(error)) :
	       play_commands(play);
	close(play->memfd);
	memory_free(play->memory, 2 * USER_PAGES * PAGE_BYTES);
	if (good)
		held("%u random commands done, %u refused, pins and page tables: as the model says",
		     play->nr_done, play->nr_refused);
	free(play);
	return good;
}

bool story_model_user(struct context *context)
{
	return play_model(context, 20260101);
}

bool story_model_process(struct context *context)
{
	return play_model(context, 20260202);
}
