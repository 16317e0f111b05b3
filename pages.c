// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a source of memory has pinned, and who claims it.
 *
 * DOC: claims and runs
 *
 * A claim is an interval of page indexes that somebody needs pinned: an area
 * that a domain maps, or an access. A page is pinned exactly once while one
 * claim or more covers it. Claiming pins the gaps; releasing unpins what no
 * claim covers any more. The claims alone say what is pinned.
 *
 * Where the pages are is recorded once, as runs. There is an entry for each
 * window of 512 indexes, that of the first one in the source itself and the
 * others in an xarray, in one of three shapes:
 *
 *	TAG_ONE		one run, in the entry itself
 *	TAG_LIST	a struct run_list, sorted runs
 *	TAG_SINGLES	a u64[512], as many runs of one page each
 *
 * so that a contiguous 2 MiB, or a mapping of one page, costs a slot of the
 * xarray, and a page that has no neighbour costs eight bytes. Releasing never
 * allocates: a run is not split when a part of it is unpinned but goes on saying
 * where its indexes were, until a claim overwrites it or no claim touches its
 * window.
 *
 * A claim grows window by window, from the bottom to the top, under pin_lock.
 * For each window it first takes the indexes under @lock, remembering which
 * of them nobody else had, and then pins those without @lock: user memory may
 * take for ever, and a release must not wait for that. A release that comes
 * in between leaves pinned what the growing claim took over; a claim that
 * comes in between and wants what is not pinned yet has to wait its turn.
 */
#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/slab.h>

#include "iommufd_private.h"

/* Runs -------------------------------------------------------------------- */

/* What an entry is: the tags that the xarray leaves to us. */
enum entry_tag {
	TAG_LIST = 0,
	TAG_SINGLES = 1,
	TAG_ONE = 3,
};

#define TAG_BITS 2

struct run_list {
	u64 nr;
	u64 runs[] __counted_by(nr);
};

/* Where an unsigned long has 64 bits, every run of memory that exists fits. */
static bool one_fits(u64 run)
{
	return run <= ULONG_MAX >> TAG_BITS;
}

static void *one_encode(u64 run)
{
	return xa_tag_pointer((void *)((unsigned long)run << TAG_BITS),
			      TAG_ONE);
}

static u64 one_decode(void *entry)
{
	return (unsigned long)xa_untag_pointer(entry) >> TAG_BITS;
}

/* An entry of the xarray, decoded. @one is where TAG_ONE unfolds. */
struct window_view {
	const u64 *runs;
	unsigned int nr;
	u64 one;
};

static void window_view(struct window_view *view, void *entry)
{
	struct run_list *list = xa_untag_pointer(entry);

	view->runs = NULL;
	view->nr = 0;
	view->one = 0;
	if (!entry)
		return;
	switch (xa_pointer_tag(entry)) {
	case TAG_ONE:
		view->one = one_decode(entry);
		view->runs = &view->one;
		view->nr = 1;
		break;
	case TAG_SINGLES:
		view->runs = xa_untag_pointer(entry);
		view->nr = WINDOW_PAGES;
		break;
	case TAG_LIST:
		view->runs = list->runs;
		view->nr = list->nr;
		break;
	}
}

/* The first run that ends above @offset; view->nr if there is none. */
static unsigned int window_seek(const struct window_view *view,
				unsigned int offset)
{
	unsigned int low = 0, high = view->nr;

	while (low < high) {
		unsigned int middle = (low + high) / 2;
		u64 run = view->runs[middle];

		if (run_offset(run) + run_nr(run) > offset)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void window_free(void *entry)
{
	if (!entry || xa_pointer_tag(entry) == TAG_ONE)
		return;
	kfree(xa_untag_pointer(entry));
}

static void *window_encode(const u64 *runs, unsigned int nr)
{
	struct run_list *list;
	u64 *singles;

	if (nr == 1 && one_fits(runs[0]))
		return one_encode(runs[0]);
	if (nr == WINDOW_PAGES) {
		singles = kmemdup(runs, nr * sizeof(*runs), GFP_KERNEL_ACCOUNT);
		return singles ? xa_tag_pointer(singles, TAG_SINGLES) : NULL;
	}
	list = kmalloc_flex(*list, runs, nr, GFP_KERNEL_ACCOUNT);
	if (!list)
		return NULL;
	list->nr = nr;
	memcpy(list->runs, runs, nr * sizeof(*runs));
	return list;
}

/* One page of sorted runs; @at only ever moves on. False if it is in none. */
static bool runs_find(const u64 *runs, unsigned int nr_runs, unsigned int *at,
		      unsigned int offset, unsigned long *pfn)
{
	while (*at < nr_runs && run_offset(runs[*at]) + run_nr(runs[*at]) <= offset)
		(*at)++;
	if (*at == nr_runs || run_offset(runs[*at]) > offset)
		return false;
	*pfn = run_pfn(runs[*at]) + offset - run_offset(runs[*at]);
	return true;
}

/*
 * Write the runs of a batch over whatever a window says of the same indexes;
 * what it says of others stays. Returns the number of merged runs.
 */
static unsigned int window_merge(struct pin_batch *batch, void *entry)
{
	unsigned int nr_merged = 0, new_at = 0, old_at = 0;
	struct window_view view;
	unsigned int offset;
	unsigned long pfn;

	window_view(&view, entry);
	for (offset = 0; offset < WINDOW_PAGES; offset++)
		if (runs_find(batch->runs, batch->nr_runs, &new_at, offset,
			      &pfn) ||
		    runs_find(view.runs, view.nr, &old_at, offset, &pfn))
			runs_append(batch->merged, &nr_merged, offset, pfn, 1);
	return nr_merged;
}

/**
 * run_cursor_init() - begin to walk the runs of a range
 * @cursor: the cursor
 * @source: the source
 * @range: page indexes that claims cover
 *
 * Context: source->lock is held until the cursor is no longer used.
 */
void run_cursor_init(struct run_cursor *cursor, struct pin_source *source,
		     struct page_range range)
{
	lockdep_assert_held(&source->lock);
	cursor->source = source;
	cursor->range = range;
	cursor->done = false;
	cursor->end_run = 0;
	cursor->next_run = 0;
}

/* Windows ----------------------------------------------------------------- */

/* The number of an index's window. */
static unsigned long window_index(const struct pin_source *source,
				  unsigned long index)
{
	return (index >> WINDOW_SHIFT) - source->first_window;
}

static void *window_load(struct pin_source *source, unsigned long window)
{
	return window ? xa_load(&source->windows, window - 1) :
			source->first_entry;
}

static int window_store(struct pin_source *source, unsigned long window,
			void *entry)
{
	if (window)
		return xa_err(xa_store(&source->windows, window - 1, entry,
				       GFP_KERNEL_ACCOUNT));
	source->first_entry = entry;
	return 0;
}

static void window_clear(struct pin_source *source, unsigned long window)
{
	if (window)
		xa_erase(&source->windows, window - 1);
	else
		source->first_entry = NULL;
}

/* The first entry from *@window on, and where it is; NULL if there is none. */
static void *window_find(struct pin_source *source, unsigned long *window)
{
	unsigned long at = *window ? *window - 1 : 0;
	void *entry;

	if (!*window && source->first_entry)
		return source->first_entry;
	entry = xa_find(&source->windows, &at, ULONG_MAX, XA_PRESENT);
	*window = at + 1;
	return entry;
}

static bool windows_empty(struct pin_source *source)
{
	return !source->first_entry && xa_empty(&source->windows);
}

static void cursor_enter(struct run_cursor *cursor)
{
	struct pin_source *source = cursor->source;
	unsigned long index = cursor->range.first;
	struct window_view view;

	window_view(&view, window_load(source, window_index(source, index)));
	cursor->one = view.one;
	cursor->runs = view.runs == &view.one ? &cursor->one : view.runs;
	cursor->next_run = window_seek(&view, index & WINDOW_MASK);
	cursor->end_run = view.nr;
	if ((index ^ cursor->range.last) >> WINDOW_SHIFT == 0 && view.nr)
		cursor->end_run = min(view.nr,
				      window_seek(&view, cursor->range.last &
							 WINDOW_MASK) + 1);
}

/* Un-read the one run that was read since the window was entered. */
static void cursor_step_back(struct run_cursor *cursor, unsigned long nr)
{
	cursor->next_run--;
	cursor->range.first -= nr;
	cursor->done = false;
}

/*
 * The runs of one window, into @runs. Only the first one of a range can begin
 * in the middle of what is recorded, only the last one can end there, so the
 * loop need not look.
 */
static unsigned int read_window(struct run_cursor *cursor, struct run *runs,
				unsigned int max)
{
	const u64 *next = cursor->runs + cursor->next_run;
	unsigned int nr = min(cursor->end_run - cursor->next_run, max), i;
	unsigned long left = page_range_nr(cursor->range);
	unsigned long index = cursor->range.first;
	unsigned long count = 0, skip;

	if (WARN_ON_ONCE(!nr))
		return 0;
	for (i = 0; i < nr; i++) {
		runs[i].pfn = run_pfn(next[i]);
		runs[i].nr = run_nr(next[i]);
		count += runs[i].nr;
	}
	skip = (index & WINDOW_MASK) - run_offset(next[0]);
	/* An index that nothing is said about, or a hole further on. */
	if (WARN_ON_ONCE(skip >= runs[0].nr ||
			 run_offset(next[nr - 1]) + run_nr(next[nr - 1]) -
				 run_offset(next[0]) != count))
		return 0;
	runs[0].pfn += skip;
	runs[0].nr -= skip;
	count -= skip;
	if (count >= left) {
		runs[nr - 1].nr -= count - left;
		cursor->done = true;
		count = left;
	}
	cursor->next_run += nr;
	cursor->range.first += count;
	return nr;
}

/**
 * run_cursor_read() - the next runs
 * @cursor: the cursor
 * @runs: the result: each as long as the pages are contiguous, over any number
 *	of windows
 * @max: how many there is room for
 *
 * Return: how many there are; 0 at the end of the range.
 * Context: source->lock is held.
 */
unsigned int run_cursor_read(struct run_cursor *cursor, struct run *runs,
			     unsigned int max)
{
	unsigned int nr = 0, more;
	struct run first;

	while (!cursor->done) {
		/* Only where a window begins can a run be going on. */
		if (cursor->next_run == cursor->end_run) {
			cursor_enter(cursor);
			if (nr) {
				more = read_window(cursor, &first, 1);
				if (!more)
					break;
				if (first.pfn == runs[nr - 1].pfn + runs[nr - 1].nr) {
					runs[nr - 1].nr += first.nr;
					continue;
				}
				cursor_step_back(cursor, first.nr);
			}
		}
		if (nr == max)
			break;
		more = read_window(cursor, runs + nr, max - nr);
		if (!more)
			break;
		nr += more;
	}
	return nr;
}

/* Pinning ----------------------------------------------------------------- */

/* One claim that grows. */
struct claimer {
	struct pin_source *source;
	struct interval_tree_node *claim;
	struct pin_batch batch;
	/* Pages that are charged and not pinned yet. */
	unsigned long charged;
};

static unsigned long count_gaps(struct pin_source *source,
				struct page_range range)
{
	struct interval_tree_span_iter span;
	unsigned long nr = 0;

	interval_tree_for_each_span(&span, &source->claims, range.first,
				    range.last)
		if (span.is_hole == 1)
			nr += span.last_hole - span.start_hole + 1;
	return nr;
}

/*
 * Is @range pinned and recorded? A claim that grows covers pages a moment
 * before they are.
 */
static bool range_pinned(struct pin_source *source, struct page_range range)
{
	lockdep_assert_held(&source->lock);
	if (source->growing && range.first >> WINDOW_SHIFT <= source->grows_in &&
	    range.last >> WINDOW_SHIFT >= source->grows_in)
		return false;
	return !count_gaps(source, range);
}

/* Cover @range too, and say which of its pages nobody has pinned. */
static unsigned int claim_extend(struct claimer *claimer,
				 struct page_range range, unsigned long *gaps)
{
	struct pin_source *source = claimer->source;
	struct interval_tree_span_iter span;
	unsigned int nr = 0;

	bitmap_zero(gaps, WINDOW_PAGES);
	guard(mutex)(&source->lock);
	interval_tree_for_each_span(&span, &source->claims, range.first,
				    range.last) {
		unsigned long count = span.last_hole - span.start_hole + 1;

		if (span.is_hole != 1)
			continue;
		bitmap_set(gaps, span.start_hole & WINDOW_MASK, count);
		nr += count;
	}
	if (claimer->claim->start != range.first)
		interval_tree_remove(claimer->claim, &source->claims);
	claimer->claim->last = range.last;
	interval_tree_insert(claimer->claim, &source->claims);
	if (nr) {
		source->growing = true;
		source->grows_in = range.first >> WINDOW_SHIFT;
	}
	return nr;
}

static void count_pinned(struct pin_source *source, long nr)
{
	if (!source->ops->device_memory)
		atomic_long_add(nr, &source->ctx->nr_pinned);
}

/* Pages that are to be unpinned in one go, as long as they are contiguous. */
struct unpinner {
	struct pin_source *source;
	struct run run;
};

static void unpinner_flush(struct unpinner *unpinner)
{
	struct pin_source *source = unpinner->source;

	if (unpinner->run.nr)
		source->ops->unpin(source, unpinner->run.pfn, unpinner->run.nr);
}

static inline void unpinner_add(struct unpinner *unpinner, unsigned long pfn,
				unsigned long nr)
{
	struct run *run = &unpinner->run;

	if (run->pfn + run->nr == pfn) {
		run->nr += nr;
		return;
	}
	unpinner_flush(unpinner);
	run->pfn = pfn;
	run->nr = nr;
}

/* Unpin the indexes from @offset to @last_offset of a window. */
static void unpin_in_window(struct unpinner *unpinner, void *entry,
			    unsigned int offset, unsigned int last_offset)
{
	unsigned int left = last_offset - offset + 1, skip, nr;
	const u64 *run, *end;
	struct window_view view;

	window_view(&view, entry);
	run = view.runs + (offset ? window_seek(&view, offset) : 0);
	end = view.runs + view.nr;
	/* What is claimed is recorded. */
	if (WARN_ON_ONCE(run == end))
		return;
	skip = offset - run_offset(*run);
	for (; left && run < end; run++, skip = 0) {
		nr = min(run_nr(*run) - skip, left);
		unpinner_add(unpinner, run_pfn(*run) + skip, nr);
		left -= nr;
	}
	WARN_ON_ONCE(left);
}

/* Unpin @range, which no claim covers, as the record says. */
static void unpin_range(struct pin_source *source, struct page_range range)
{
	struct unpinner unpinner = { .source = source };
	unsigned long index = range.first, last;

	for (;;) {
		last = min(index | WINDOW_MASK, range.last);
		unpin_in_window(&unpinner,
				window_load(source,
					    window_index(source, index)),
				index & WINDOW_MASK, last & WINDOW_MASK);
		if (last == range.last)
			break;
		index = last + 1;
		cond_resched();
	}
	unpinner_flush(&unpinner);
	count_pinned(source, -(long)page_range_nr(range));
}

static void unpin_batch(struct pin_source *source, struct pin_batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->nr_runs; i++)
		source->ops->unpin(source, run_pfn(batch->runs[i]),
				   run_nr(batch->runs[i]));
	batch->nr_runs = 0;
}

/*
 * Free the record of the windows of @range, which no claim covers, except
 * where a claim touches the rest of the first or of the last one.
 */
static void forget_range(struct pin_source *source, struct page_range range)
{
	unsigned long window = window_index(source, range.first);
	unsigned long end = window_index(source, range.last) + 1;
	void *entry;

	lockdep_assert_held(&source->lock);
	if (interval_tree_iter_first(&source->claims,
				     range.first & ~WINDOW_MASK,
				     range.first | WINDOW_MASK))
		window++;
	if (interval_tree_iter_first(&source->claims, range.last & ~WINDOW_MASK,
				     range.last | WINDOW_MASK))
		end--;
	while (window < end && (entry = window_find(source, &window)) &&
	       window < end) {
		window_clear(source, window++);
		window_free(entry);
		cond_resched();
	}
}

/* No claim is left: nor is a record of anything. */
static void forget_everything(struct pin_source *source)
{
	unsigned long window;
	void *entry;

	window_free(source->first_entry);
	source->first_entry = NULL;
	if (xa_empty(&source->windows))
		return;
	xa_for_each(&source->windows, window, entry) {
		window_free(entry);
		cond_resched();
	}
	xa_destroy(&source->windows);
}

/* Unpin what no claim covers in @range. Returns how many pages. */
static unsigned long unpin_gaps(struct pin_source *source,
				struct page_range range, bool forget)
{
	struct interval_tree_span_iter span;
	unsigned long nr = 0;

	interval_tree_for_each_span(&span, &source->claims, range.first,
				    range.last) {
		struct page_range gap = { span.start_hole, span.last_hole };

		if (span.is_hole != 1)
			continue;
		unpin_range(source, gap);
		if (forget)
			forget_range(source, gap);
		nr += page_range_nr(gap);
	}
	return nr;
}

static int pin_gaps(struct claimer *claimer, unsigned long base,
		    const unsigned long *gaps)
{
	struct pin_source *source = claimer->source;
	unsigned int first, end;
	int error;

	claimer->batch.nr_runs = 0;
	for_each_set_bitrange(first, end, gaps, WINDOW_PAGES) {
		struct page_range range = { base + first, base + end - 1 };

		error = source->ops->pin(source, range, &claimer->batch);
		if (error)
			return error;
	}
	return 0;
}

/* Write what was pinned of the window at index @base into the record. */
static int record_batch(struct claimer *claimer, unsigned long base)
{
	struct pin_source *source = claimer->source;
	unsigned long window = window_index(source, base);
	struct pin_batch *batch = &claimer->batch;
	unsigned int nr_runs = batch->nr_runs;
	u64 *runs = batch->runs;
	void *entry, *old;
	int error;

	guard(mutex)(&source->lock);
	old = window_load(source, window);
	if (old) {
		nr_runs = window_merge(batch, old);
		runs = batch->merged;
	}
	entry = window_encode(runs, nr_runs);
	if (!entry)
		return -ENOMEM;
	error = window_store(source, window, entry);
	window_free(error ? entry : old);
	if (!error)
		source->growing = false;
	return error;
}

static int charge_ahead(struct claimer *claimer, unsigned long nr)
{
	int error = 0;

	if (claimer->charged < nr) {
		error = pin_source_charge(claimer->source,
					  nr - claimer->charged);
		if (!error)
			claimer->charged = nr;
	}
	return error;
}

/*
 * Take back a claim that could not be extended to @range. Its pages that are
 * in @gaps are not pinned; those that are not were pinned by others before,
 * who may have left meanwhile.
 */
static void claim_undo(struct claimer *claimer, struct page_range range,
		       const unsigned long *gaps)
{
	unsigned long base = range.first & ~WINDOW_MASK;
	struct pin_source *source = claimer->source;
	unsigned long start = claimer->claim->start;
	unsigned long nr = claimer->charged;
	unsigned int first, end;

	scoped_guard(mutex, &source->lock) {
		source->growing = false;
		interval_tree_remove(claimer->claim, &source->claims);
		if (start < range.first)
			nr += unpin_gaps(source,
					 (struct page_range){ start,
							      range.first - 1 },
					 true);
		for_each_clear_bitrange(first, end, gaps, WINDOW_PAGES) {
			struct page_range kept = {
				max(base + first, range.first),
				min(base + end - 1, range.last),
			};

			if (kept.first <= kept.last)
				nr += unpin_gaps(source, kept, false);
		}
		/* All of it is unpinned; others may have left it to us. */
		forget_range(source, range);
	}
	pin_source_uncharge(source, nr);
}

/* Extend the claim to @range, which is in one window. */
static int claim_window(struct claimer *claimer, struct page_range range)
{
	unsigned long base = range.first & ~WINDOW_MASK;
	DECLARE_BITMAP(gaps, WINDOW_PAGES);
	unsigned int nr;
	int error = 0;

	nr = claim_extend(claimer, range, gaps);
	if (!nr)
		return 0;
	error = charge_ahead(claimer, nr);
	if (!error) {
		error = pin_gaps(claimer, base, gaps);
		if (!error)
			error = record_batch(claimer, base);
		if (error)
			unpin_batch(claimer->source, &claimer->batch);
	}
	if (error) {
		claim_undo(claimer, range, gaps);
		return error;
	}
	claimer->charged -= nr;
	count_pinned(claimer->source, nr);
	return 0;
}

static int claim_windows(struct claimer *claimer, struct page_range range)
{
	struct page_range part = range;
	int error;

	for (;;) {
		part.last = min(part.first | WINDOW_MASK, range.last);
		error = claim_window(claimer, part);
		if (error || part.last == range.last)
			return error;
		part.first = part.last + 1;
		cond_resched();
	}
}

/**
 * pin_source_claim_pinned() - claim pages if all of them are pinned already
 * @source: the source
 * @claim: the claim, not in use
 * @range: the page indexes
 *
 * Return: true if that was so and @claim now keeps them.
 * Context: May sleep, but not for user memory.
 */
bool pin_source_claim_pinned(struct pin_source *source,
			     struct interval_tree_node *claim,
			     struct page_range range)
{
	guard(mutex)(&source->lock);
	if (!range_pinned(source, range))
		return false;
	claim->start = range.first;
	claim->last = range.last;
	interval_tree_insert(claim, &source->claims);
	return true;
}

/**
 * pin_source_claim() - pin pages
 * @source: the source
 * @claim: the claim, not in use
 * @range: the page indexes
 *
 * Return: 0, and the pages are pinned and where they are until
 * pin_source_release(); -ENOMEM if there is no memory or the limit on locked
 * memory is reached; -EFAULT if there is no such memory or not with this
 * access; -EINTR if the caller was killed. Nothing is pinned by it on error.
 * Context: Sleeps for as long as user memory likes. No lock is held.
 */
int pin_source_claim(struct pin_source *source,
		     struct interval_tree_node *claim, struct page_range range)
{
	struct claimer claimer = { .source = source, .claim = claim };
	u64 *scratch;
	int error;

	if (pin_source_claim_pinned(source, claim, range))
		return 0;
	scratch = kmalloc_array(2 * WINDOW_PAGES, sizeof(*scratch), GFP_KERNEL);
	if (!scratch)
		return -ENOMEM;
	claimer.batch.runs = scratch;
	claimer.batch.merged = scratch + WINDOW_PAGES;

	error = mutex_lock_killable(&source->pin_lock);
	if (!error) {
		claim->start = range.first;
		scoped_guard(mutex, &source->lock)
			claimer.charged = count_gaps(source, range);
		error = pin_source_charge(source, claimer.charged);
		if (!error) {
			error = claim_windows(&claimer, range);
			if (!error)
				pin_source_uncharge(source, claimer.charged);
		}
		if (IS_ENABLED(CONFIG_IOMMUFD_DEBUG))
			pin_source_verify(source);
		mutex_unlock(&source->pin_lock);
	}
	kfree(scratch);
	return error;
}

/**
 * pin_source_release() - give up a claim
 * @source: the source
 * @claim: the claim
 *
 * What no other claim covers is unpinned: no IOMMU may map it any more.
 *
 * Context: May sleep, but not for user memory. Allocates nothing, cannot fail.
 */
void pin_source_release(struct pin_source *source,
			struct interval_tree_node *claim)
{
	struct page_range range = { claim->start, claim->last };
	unsigned long nr;

	scoped_guard(mutex, &source->lock) {
		interval_tree_remove(claim, &source->claims);
		if (RB_EMPTY_ROOT(&source->claims.rb_root)) {
			unpin_range(source, range);
			forget_everything(source);
			nr = page_range_nr(range);
		} else {
			nr = unpin_gaps(source, range, true);
		}
	}
	pin_source_uncharge(source, nr);
	/* A claim that grows is not in order until it is done. */
	if (IS_ENABLED(CONFIG_IOMMUFD_DEBUG) &&
	    mutex_trylock(&source->pin_lock)) {
		pin_source_verify(source);
		mutex_unlock(&source->pin_lock);
	}
}

/**
 * pin_source_unpin_pages() - pin_source_ops::unpin of whatever has struct pages
 * @source: the source
 * @pfn: page frame number of the first page
 * @nr: how many contiguous pages, each of which has a pin of its own
 *
 * Context: May sleep.
 */
void pin_source_unpin_pages(struct pin_source *source, unsigned long pfn,
			    unsigned long nr)
{
	/* Otherwise in pieces that no section of memory ends in. */
	while (!PAGES_ARE_FLAT && nr > WINDOW_PAGES - (pfn & WINDOW_MASK)) {
		unsigned long piece = WINDOW_PAGES - (pfn & WINDOW_MASK);

		unpin_user_page_range_dirty_lock(pfn_to_page(pfn), piece,
						 source->writable);
		pfn += piece;
		nr -= piece;
	}
	unpin_user_page_range_dirty_lock(pfn_to_page(pfn), nr,
					 source->writable);
}

/*
 * pfn_to_page(), where @first is that of 0: what it reads need not be read anew
 * after every store.
 */
static inline struct page *nth_page_from(struct page *first, unsigned long pfn)
{
	return PAGES_ARE_FLAT ? first + pfn : pfn_to_page(pfn);
}

/*
 * The pages at the indexes from @offset to @last_offset of a window. Most windows
 * are one long run or many short ones. Returns where the next page goes.
 */
static struct page **fill_pages(struct page **pages, void *entry,
				unsigned int offset, unsigned int last_offset)
{
	struct page **end = pages + (last_offset - offset + 1), **run_end;
	struct page *first = PAGES_ARE_FLAT ? pfn_to_page(0) : NULL;
	struct window_view view;
	unsigned long pfn;
	unsigned int skip;
	const u64 *run;

	window_view(&view, entry);
	run = view.runs + (offset ? window_seek(&view, offset) : 0);
	/* What is claimed is recorded. */
	if (WARN_ON_ONCE(run == view.runs + view.nr))
		return end;
	/* As many runs as pages. */
	if (view.nr == WINDOW_PAGES) {
		while (pages < end)
			*pages++ = nth_page_from(first, run_pfn(*run++));
		return end;
	}
	for (skip = offset - run_offset(*run); pages < end; run++, skip = 0) {
		pfn = run_pfn(*run);
		if (run_nr(*run) == 1) {
			*pages++ = nth_page_from(first, pfn);
			continue;
		}
		run_end = min(pages + run_nr(*run) - skip, end);
		for (pfn += skip; pages < run_end; pfn++)
			*pages++ = nth_page_from(first, pfn);
	}
	WARN_ON_ONCE(run > view.runs + view.nr);
	return end;
}

/**
 * pin_source_pages() - say which pages are behind indexes
 * @source: the source
 * @range: the indexes, all claimed
 * @pages: an entry for each
 *
 * Context: May sleep.
 */
void pin_source_pages(struct pin_source *source, struct page_range range,
		      struct page **pages)
{
	unsigned long index = range.first, last;

	guard(mutex)(&source->lock);
	for (;;) {
		last = min(index | WINDOW_MASK, range.last);
		pages = fill_pages(pages,
				   window_load(source,
					       window_index(source, index)),
				   index & WINDOW_MASK, last & WINDOW_MASK);
		if (last == range.last)
			return;
		index = last + 1;
		cond_resched();
	}
}

/* Copy within one page if it is pinned: no user mapping is needed for that. */
static bool copy_pinned(struct pin_source *source, unsigned long index,
			unsigned long offset_bytes, void *data, size_t bytes,
			unsigned int flags)
{
	struct page_range range = { index, index };
	struct run_cursor cursor;
	struct page *page;
	struct run run;

	if (flags & __IOMMUFD_ACCESS_RW_SLOW_PATH)
		return false;
	guard(mutex)(&source->lock);
	if (!range_pinned(source, range))
		return false;
	run_cursor_init(&cursor, source, range);
	if (!run_cursor_next(&cursor, &run) || !pfn_valid(run.pfn))
		return false;
	page = pfn_to_page(run.pfn);
	if (flags & IOMMUFD_ACCESS_RW_WRITE)
		memcpy_to_page(page, offset_bytes, data, bytes);
	else
		memcpy_from_page(data, page, offset_bytes, bytes);
	return true;
}

/**
 * pin_source_copy() - read or write memory, pinned or not
 * @source: the source
 * @index: page index of the first byte
 * @offset_bytes: its offset in that page
 * @data: kernel memory
 * @bytes: how much
 * @flags: IOMMUFD_ACCESS_RW_...
 *
 * Return: 0; -EFAULT if there is no such memory; -EINVAL if it is not memory that
 * the CPU may touch; what the source answers.
 * Context: Sleeps for as long as user memory likes.
 */
int pin_source_copy(struct pin_source *source, unsigned long index,
		    unsigned long offset_bytes, void *data, size_t bytes,
		    unsigned int flags)
{
	if (!source->ops->copy)
		return -EINVAL;
	while (bytes) {
		size_t part = min(bytes, PAGE_SIZE - offset_bytes);
		int error;

		if (!copy_pinned(source, index, offset_bytes, data, part,
				 flags)) {
			error = source->ops->copy(source, index, offset_bytes,
						  data, part, flags);
			if (error)
				return error;
		}
		index++;
		offset_bytes = 0;
		data += part;
		bytes -= part;
		cond_resched();
	}
	return 0;
}

/* Life -------------------------------------------------------------------- */

/**
 * pin_source_init() - set up what all sources have
 * @source: zeroed memory
 * @ctx: the context
 * @ops: the kind of memory
 * @first_index: its lowest page index
 * @writable: pin for writing
 *
 * Who maps is who is charged: the process and user that are current.
 *
 * Return: 0, and the source has one reference; -EINVAL for a kernel thread,
 * which has no memory of its own to be charged for; -ENOMEM.
 * Context: May sleep.
 */
int pin_source_init(struct pin_source *source, struct iommufd_ctx *ctx,
		    const struct pin_source_ops *ops, unsigned long first_index,
		    bool writable)
{
	source->ops = ops;
	source->ctx = ctx;
	kref_init(&source->kref);
	mutex_init(&source->pin_lock);
	mutex_init(&source->lock);
	source->claims = RB_ROOT_CACHED;
	xa_init_flags(&source->windows, XA_FLAGS_ACCOUNT);
	source->first_window = first_index >> WINDOW_SHIFT;
	source->writable = writable;
	return pin_source_open_account(source);
}

static void source_free(struct kref *kref)
{
	struct pin_source *source = container_of(kref, struct pin_source, kref);

	IOMMUFD_ASSERT(RB_EMPTY_ROOT(&source->claims.rb_root));
	IOMMUFD_ASSERT(windows_empty(source));
	if (source->ops->release)
		source->ops->release(source);
	pin_source_close_account(source);
	mutex_destroy(&source->lock);
	mutex_destroy(&source->pin_lock);
	kfree(source);
}

/**
 * pin_source_put() - an area does not map the source any more
 * @source: the source
 *
 * Context: May sleep.
 */
void pin_source_put(struct pin_source *source)
{
	kref_put(&source->kref, source_free);
}

/* Checking ---------------------------------------------------------------- */

static unsigned long entry_bytes(void *entry)
{
	return !entry || xa_pointer_tag(entry) == TAG_ONE ?
		       0 :
		       ksize(xa_untag_pointer(entry));
}

/**
 * pin_source_record_bytes() - the memory that the record of pins takes
 * @source: the source
 *
 * Return: bytes, without the nodes of the xarray.
 * Context: May sleep. Tests only.
 */
unsigned long pin_source_record_bytes(struct pin_source *source)
{
	unsigned long window, bytes = 0;
	void *entry;

	guard(mutex)(&source->lock);
	for (window = 0; (entry = window_find(source, &window)); window++)
		bytes += entry_bytes(entry);
	return bytes;
}

static void verify_window(struct pin_source *source, unsigned long window,
			  void *entry)
{
	unsigned long base = (source->first_window + window) << WINDOW_SHIFT;
	struct window_view view;
	unsigned int i, end = 0;

	WARN_ON_ONCE(!interval_tree_iter_first(&source->claims, base,
					       base | WINDOW_MASK));
	window_view(&view, entry);
	WARN_ON_ONCE(!view.nr);
	for (i = 0; i < view.nr; i++) {
		WARN_ON_ONCE(run_offset(view.runs[i]) < end);
		end = run_offset(view.runs[i]) + run_nr(view.runs[i]);
		WARN_ON_ONCE(end > WINDOW_PAGES);
	}
}

/**
 * pin_source_verify() - derive the invariants of the record anew and compare
 * @source: a source of which no claim is growing
 *
 * Every claimed index is in the record, runs are sorted and do not overlap,
 * and no window is kept that no claim touches.
 *
 * Context: May sleep. Debug builds and tests only.
 */
void pin_source_verify(struct pin_source *source)
{
	struct interval_tree_span_iter span;
	unsigned long window;
	void *entry;

	guard(mutex)(&source->lock);
	for (window = 0; (entry = window_find(source, &window)); window++)
		verify_window(source, window, entry);
	interval_tree_for_each_span(&span, &source->claims, 0, ULONG_MAX) {
		struct page_range used = { span.start_used, span.last_used };
		unsigned long nr = 0;
		struct run_cursor cursor;
		struct run run;

		if (span.is_hole)
			continue;
		run_cursor_init(&cursor, source, used);
		while (run_cursor_next(&cursor, &run))
			nr += run.nr;
		WARN_ON_ONCE(nr != page_range_nr(used));
	}
}
