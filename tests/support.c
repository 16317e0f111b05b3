// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the KUnit suites share: see support.h.
 */
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "support.h"

/* Contexts and address spaces --------------------------------------------- */

static void free_vmalloc(void *buffer)
{
	vfree(buffer);
}

/* Zeroed memory of any size that ends with the test. */
void *test_zalloc(struct kunit *test, size_t bytes)
{
	void *buffer = vzalloc(bytes);

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_vmalloc,
							   buffer));
	return buffer;
}

/*
 * An mm for the test's thread. What KUnit attaches has one reference more than
 * the thread's end puts, so that each test would leak its mm. x86 hides it from
 * kmemleak, since the page of the pgd points back to the mm.
 */
void test_mm(struct kunit *test)
{
	if (current->mm)
		return;
	KUNIT_ASSERT_EQ(test, 0, kunit_attach_mm());
	mmdrop(current->mm);
}

/* Private memory of that mm, where user space's would be. */
unsigned long test_mmap(struct kunit *test, unsigned long length,
			unsigned long prot)
{
	unsigned long address;

	test_mm(test);
	address = kunit_vm_mmap(test, NULL, 0, length, prot,
				MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, 0, address);
	KUNIT_ASSERT_LT(test, address, (unsigned long)TASK_SIZE);
	return address;
}

struct test_context {
	struct iommufd_ctx ctx;
	struct kunit *test;
};

static void end_ctx(void *data)
{
	struct test_context *context = data;

	KUNIT_EXPECT_TRUE(context->test, xa_empty(&context->ctx.objects));
	KUNIT_EXPECT_TRUE(context->test, xa_empty(&context->ctx.groups));
	KUNIT_EXPECT_EQ(context->test, 0,
			atomic_long_read(&context->ctx.nr_pinned));
	KUNIT_EXPECT_EQ(context->test, 0,
			atomic_long_read(&context->ctx.nr_charged));
	iommufd_ctx_fini(&context->ctx);
}

/* A context as opening the file makes it. */
struct iommufd_ctx *test_ctx(struct kunit *test)
{
	struct test_context *context =
		kunit_kzalloc(test, sizeof(*context), GFP_KERNEL);
	struct iommufd_ctx *ctx = &context->ctx;

	KUNIT_ASSERT_NOT_NULL(test, context);
	context->test = test;
	iommufd_ctx_init(ctx);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_ctx,
							   context));
	return ctx;
}

static void end_ioas(void *data)
{
	struct iommufd_ioas *ioas = data;
	struct iommufd_ctx *ctx = ioas->ctx;

	ioas_verify(ioas);
	iommufd_ioas_destroy(&ioas->obj);
	iommufd_object_abort(ctx, &ioas->obj);
}

struct iommufd_ioas *test_ioas(struct kunit *test, struct iommufd_ctx *ctx)
{
	struct iommufd_ioas *ioas = iommufd_ioas_new(ctx);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ioas);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_ioas,
							   ioas));
	return ioas;
}

/* The thread of a test case is a process of its own, with limits of its own. */
void test_set_memlock_pages(unsigned long nr)
{
	task_lock(current->group_leader);
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = nr << PAGE_SHIFT;
	task_unlock(current->group_leader);
}

/* Threads ----------------------------------------------------------------- */

static int thread_main(void *data)
{
	struct test_thread *thread = data;

	thread->function(thread->data);
	complete(&thread->done);
	return 0;
}

void test_thread_start(struct kunit *test, struct test_thread *thread,
		       void (*function)(void *data), void *data)
{
	thread->test = test;
	thread->function = function;
	thread->data = data;
	init_completion(&thread->done);
	thread->task = kthread_create(thread_main, thread, "iommufd-test");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread->task);
	get_task_struct(thread->task);
	wake_up_process(thread->task);
}

/* A thread that is stopped before it begins would not do anything. */
void test_thread_join(struct test_thread *thread)
{
	wait_for_completion(&thread->done);
	kthread_stop_put(thread->task);
}

/* Do something in another thread and wait for it. */
void test_elsewhere(struct kunit *test, void (*function)(void *data),
		    void *data)
{
	struct test_thread thread;

	test_thread_start(test, &thread, function, data);
	test_thread_join(&thread);
}

/* Failing allocations ----------------------------------------------------- */

/* A word of the kernel behind a file of debugfs. */
static void *failslab_word(const char *name)
{
	struct dentry *folder = debugfs_lookup("failslab", NULL);
	struct dentry *file;
	void *word = NULL;

	if (IS_ERR_OR_NULL(folder))
		return NULL;
	file = debugfs_lookup(name, folder);
	if (!IS_ERR_OR_NULL(file)) {
		word = d_inode(file)->i_private;
		dput(file);
	}
	dput(folder);
	return word;
}

/* Only a task that counts down is affected, whatever the switches say. */
bool fail_slab_possible(struct kunit *test)
{
	bool *only_atomic = failslab_word("ignore-gfp-wait");
	unsigned long *verbose = failslab_word("verbose");

	if (!only_atomic || !verbose)
		return false;
	WRITE_ONCE(*only_atomic, false);
	WRITE_ONCE(*verbose, 0);
	return true;
}

void fail_slab_begin(unsigned int nth)
{
#ifdef CONFIG_FAULT_INJECTION
	WRITE_ONCE(current->fail_nth, nth);
#endif
}

bool fail_slab_end(void)
{
	bool failed = false;

#ifdef CONFIG_FAULT_INJECTION
	failed = !READ_ONCE(current->fail_nth);
	WRITE_ONCE(current->fail_nth, 0);
#endif
	return failed;
}

/* Memory ------------------------------------------------------------------ */

struct fake_source {
	struct pin_source source;
	struct fake_memory *memory;
};

static struct fake_memory *source_memory(struct pin_source *source)
{
	return container_of(source, struct fake_source, source)->memory;
}

#define COMPLAINTS_MAX 10

/* The first ones tell what is wrong; there may be as many as pages. */
static __printf(2, 3) void complain(struct fake_memory *memory,
				    const char *format, ...)
{
	struct va_format what = { .fmt = format };
	va_list arguments;

	if (memory->nr_complaints++ >= COMPLAINTS_MAX)
		return;
	va_start(arguments, format);
	what.va = &arguments;
	KUNIT_FAIL(memory->test, "%pV", &what);
	va_end(arguments);
}

static unsigned long page_place(struct fake_memory *memory, unsigned long page)
{
	return memory->layout == FAKE_SCATTERED ? memory->nr_pages - 1 - page :
						  page;
}

static unsigned long place_pfn(struct fake_memory *memory, unsigned long page,
			       unsigned int bank)
{
	return memory->first_pfn + bank * memory->nr_pages +
	       page_place(memory, page);
}

/* Which page a page frame is, and in which bank; false if it is none. */
static bool pfn_page(struct fake_memory *memory, unsigned long pfn,
		     unsigned long *page, unsigned int *bank)
{
	unsigned long place = pfn - memory->first_pfn;

	if (pfn < memory->first_pfn ||
	    place / memory->nr_pages >= memory->nr_banks)
		return false;
	*bank = place / memory->nr_pages;
	*page = page_place(memory, place % memory->nr_pages);
	return true;
}

static unsigned int choose_bank(struct fake_memory *memory)
{
	return prandom_u32_state(&memory->rnd) % memory->nr_banks;
}

static void pin_page(struct fake_memory *memory, unsigned long page,
		     unsigned int *bank, struct pin_batch *batch)
{
	if (memory->jump_at)
		*bank = page >= memory->jump_at;
	else if (memory->layout == FAKE_MIXED &&
		 !(prandom_u32_state(&memory->rnd) % 8))
		*bank = choose_bank(memory);
	if (memory->bank[page])
		complain(memory, "page %lu is pinned twice", page);
	memory->bank[page] = *bank + 1;
	atomic_long_inc(&memory->nr_pinned);
	pin_batch_add(batch, memory->first_index + page,
		      place_pfn(memory, page, *bank), 1);
}

static void interrupt_pin(struct fake_memory *memory, struct page_range range)
{
	void (*during_pin)(struct fake_memory *memory,
			   struct page_range range) = memory->during_pin;

	memory->during_pin = NULL;
	if (during_pin)
		during_pin(memory, range);
}

static int fake_pin(struct pin_source *source, struct page_range range,
		    struct pin_batch *batch)
{
	struct fake_memory *memory = source_memory(source);
	unsigned long first = range.first - memory->first_index;
	unsigned long nr = page_range_nr(range);
	unsigned int bank = choose_bank(memory);
	bool fail = memory->fail_pin && !--memory->fail_pin;
	unsigned long i;

	memory->nr_pin_calls++;
	lockdep_assert_held(&source->pin_lock);
	lockdep_assert_not_held(&source->lock);
	if (first + nr > memory->nr_pages ||
	    range.first >> WINDOW_SHIFT != range.last >> WINDOW_SHIFT)
		complain(memory, "pin of %lu pages at %lu", nr, first);
	if (fail)
		nr = memory->fail_half ? nr / 2 : 0;
	for (i = 0; i < nr; i++) {
		if (i == nr / 2)
			interrupt_pin(memory, range);
		pin_page(memory, first + i, &bank, batch);
	}
	interrupt_pin(memory, range);
	return fail ? -EFAULT : 0;
}

static void fake_unpin(struct pin_source *source, unsigned long pfn,
		       unsigned long nr)
{
	struct fake_memory *memory = source_memory(source);
	unsigned long page, i;
	unsigned int bank;

	for (i = 0; i < nr; i++) {
		if (!pfn_page(memory, pfn + i, &page, &bank) ||
		    memory->bank[page] != bank + 1) {
			complain(memory, "pfn %lx is not pinned", pfn + i);
			continue;
		}
		if (memory->nr_mapped[page])
			complain(memory,
				 "page %lu is unpinned and may be accessed",
				 page);
		memory->bank[page] = 0;
		atomic_long_dec(&memory->nr_pinned);
	}
}

static int fake_copy(struct pin_source *source, unsigned long index,
		     unsigned long offset_bytes, void *data, size_t bytes,
		     unsigned int flags)
{
	source_memory(source)->nr_copy_calls++;
	return 0;
}

static void fake_release(struct pin_source *source)
{
	source_memory(source)->nr_sources--;
}

static const struct pin_source_ops fake_source_ops = {
	.name = "a test's memory",
	.pin = fake_pin,
	.unpin = fake_unpin,
	.copy = fake_copy,
	.release = fake_release,
};

static void end_memory(void *data)
{
	struct fake_memory *memory = data;
	unsigned long page, nr_mapped = 0;

	for (page = 0; page < memory->nr_pages; page++)
		nr_mapped += memory->nr_mapped[page];
	KUNIT_EXPECT_EQ(memory->test, 0, nr_mapped);
	KUNIT_EXPECT_EQ(memory->test, 0, atomic_long_read(&memory->nr_pinned));
	KUNIT_EXPECT_EQ(memory->test, 0, memory->nr_sources);
}

struct fake_memory *fake_memory(struct kunit *test, unsigned long first_index,
				unsigned long nr_pages,
				enum fake_layout layout, unsigned int nr_banks)
{
	struct fake_memory *memory =
		kunit_kzalloc(test, sizeof(*memory), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, memory);
	memory->test = test;
	memory->first_index = first_index;
	memory->nr_pages = nr_pages;
	memory->first_pfn = FAKE_FIRST_PFN;
	memory->layout = layout;
	memory->nr_banks = nr_banks;
	prandom_seed_state(&memory->rnd, nr_pages + layout);
	memory->bank = test_zalloc(test, nr_pages);
	memory->nr_mapped = test_zalloc(test, nr_pages);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_memory,
							   memory));
	return memory;
}

static void put_source(void *data)
{
	pin_source_put(data);
}

/* A source over the memory; the test's reference ends with the test. */
struct pin_source *fake_source(struct fake_memory *memory,
			       struct iommufd_ctx *ctx)
{
	struct kunit *test = memory->test;
	struct fake_source *fake;

	test_mm(test);
	fake = kzalloc_obj(*fake);
	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->memory = memory;
	memory->nr_sources++;
	KUNIT_ASSERT_EQ(test, 0,
			pin_source_init(&fake->source, ctx, &fake_source_ops,
					memory->first_index, true));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_source,
							   &fake->source));
	return &fake->source;
}

/* Charge a source as if its process had, or had not, CAP_IPC_LOCK. */
void test_set_account_mode(struct pin_source *source, enum account_mode mode)
{
	/* What nobody has been charged for yet can change. */
	source->account->mode = mode;
	source->charged = mode != ACCOUNT_NONE;
}

bool fake_pinned(struct fake_memory *memory, unsigned long index)
{
	return memory->bank[index - memory->first_index];
}

/* Where a page is that is pinned. */
unsigned long fake_pfn(struct fake_memory *memory, unsigned long index)
{
	unsigned long page = index - memory->first_index;

	return place_pfn(memory, page, memory->bank[page] - 1);
}

struct iommufd_area *fake_area(struct fake_memory *memory,
			       struct pin_source *source,
			       unsigned long start_bytes,
			       unsigned long length_bytes)
{
	struct iommufd_area *area;

	area = iommufd_area_alloc(source,
				  memory->first_index +
					  (start_bytes >> PAGE_SHIFT),
				  offset_in_page(start_bytes), length_bytes);
	if (!IS_ERR(area))
		kref_get(&source->kref);
	return area;
}

/* Map a part of the memory at a fixed address. */
int fake_map(struct fake_memory *memory, struct pin_source *source,
	     struct iommufd_ioas *ioas, unsigned long start_bytes,
	     unsigned long length_bytes, unsigned long iova)
{
	struct iommufd_area *area =
		fake_area(memory, source, start_bytes, length_bytes);
	LIST_HEAD(areas);
	int error;

	if (IS_ERR(area))
		return PTR_ERR(area);
	list_add_tail(&area->batch, &areas);
	error = ioas_map(ioas, &areas, length_bytes, &iova, true,
			 IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE);
	iommufd_areas_free(&areas);
	return error;
}

int test_unmap(struct iommufd_ioas *ioas, unsigned long iova,
	       unsigned long length_bytes, unsigned long *unmapped_bytes)
{
	struct iova_range range;
	unsigned long unmapped;
	int error;

	error = iova_range_make(&range, iova, length_bytes);
	if (error)
		return error;
	return ioas_unmap(ioas, range, unmapped_bytes ?: &unmapped);
}

/* Domains ----------------------------------------------------------------- */

/*
 * An entry is a value: the physical address and the log2 of the page size.
 * Those that were taken out stay, with a mark, until the domain is synced.
 */
#define ENTRY_KEY_SHIFT 11
#define ENTRY_LOG2_BITS 6
#define ENTRY_TAKEN_OUT XA_MARK_1
#define ENTRY_DIRTY XA_MARK_2

static struct fake_domain *to_fake(struct iommu_domain *domain)
{
	return container_of(domain, struct fake_domain, domain);
}

static void *entry_make(phys_addr_t phys, size_t page_bytes)
{
	return xa_mk_value((unsigned long)(phys >> ENTRY_KEY_SHIFT)
				   << ENTRY_LOG2_BITS |
			   ilog2(page_bytes));
}

static unsigned int entry_log2(void *entry)
{
	return xa_to_value(entry) & (BIT(ENTRY_LOG2_BITS) - 1);
}

static phys_addr_t entry_phys(void *entry)
{
	return (phys_addr_t)(xa_to_value(entry) >> ENTRY_LOG2_BITS)
	       << ENTRY_KEY_SHIFT;
}

/* Add @change to how often the pages of an entry are mapped. */
static void entry_count(struct fake_domain *fake, void *entry, int change)
{
	unsigned long nr_bytes = BIT(entry_log2(entry));
	struct fake_memory *memory = fake->memory;
	unsigned long page, done;
	unsigned int bank;

	for (done = 0; done < nr_bytes; done += PAGE_SIZE) {
		unsigned long pfn = PHYS_PFN(entry_phys(entry) + done);

		if (!pfn_page(memory, pfn, &page, &bank) ||
		    memory->bank[page] != bank + 1) {
			complain(memory, "pfn %lx is not pinned when it is %s",
				 pfn, change > 0 ? "mapped" : "synced");
			continue;
		}
		memory->nr_mapped[page] += change;
	}
}

/* The entry that translates an address, and where it begins. */
static void *entry_find(struct fake_domain *fake, unsigned long iova,
			unsigned long *start)
{
	unsigned long sizes = fake->domain.pgsize_bitmap;
	unsigned int log2;

	for_each_set_bit(log2, &sizes, BITS_PER_LONG) {
		unsigned long key = (iova & ~(BIT(log2) - 1)) >> ENTRY_KEY_SHIFT;
		void *entry = xa_load(&fake->entries, key);

		*start = key << ENTRY_KEY_SHIFT;
		if (entry && iova - *start < BIT(entry_log2(entry)))
			return entry;
	}
	return NULL;
}

static int fake_enter(struct fake_domain *fake, unsigned long iova,
		      phys_addr_t phys, size_t page_bytes)
{
	unsigned long key = iova >> ENTRY_KEY_SHIFT;
	void *entry = entry_make(phys, page_bytes);
	unsigned long start, at = key;
	int error;

	if (entry_find(fake, iova, &start) ||
	    xa_find(&fake->entries, &at,
		    (iova + page_bytes - 1) >> ENTRY_KEY_SHIFT, XA_PRESENT))
		complain(fake->memory, "%lx is mapped twice", iova);
	error = xa_err(xa_store(&fake->entries, key, entry, GFP_KERNEL));
	if (!error)
		entry_count(fake, entry, 1);
	return error;
}

static int fake_map_pages(struct iommu_domain *domain, unsigned long iova,
			  phys_addr_t phys, size_t page_bytes, size_t nr_pages,
			  int prot, gfp_t gfp, size_t *mapped)
{
	struct fake_domain *fake = to_fake(domain);
	bool fail = fake->fail_map && !--fake->fail_map;
	size_t i, nr = fail ? nr_pages / 2 : nr_pages;
	int error;

	fake->nr_maps++;
	fake->prot = prot;
	for (i = 0; i < nr; i++) {
		error = fake_enter(fake, iova + *mapped, phys + *mapped,
				   page_bytes);
		if (error)
			return error;
		*mapped += page_bytes;
	}
	return fail ? -ENOMEM : 0;
}

static size_t fake_unmap_pages(struct iommu_domain *domain, unsigned long iova,
			       size_t page_bytes, size_t nr_pages,
			       struct iommu_iotlb_gather *gather)
{
	struct fake_domain *fake = to_fake(domain);
	size_t done = 0, bytes = page_bytes * nr_pages;

	while (done < bytes) {
		unsigned long key = (iova + done) >> ENTRY_KEY_SHIFT;
		void *entry = xa_load(&fake->entries, key);

		if (!entry || xa_get_mark(&fake->entries, key, ENTRY_TAKEN_OUT))
			break;
		if (BIT(entry_log2(entry)) > bytes - done) {
			complain(fake->memory, "the entry at %lx is split",
				 iova + done);
			break;
		}
		xa_set_mark(&fake->entries, key, ENTRY_TAKEN_OUT);
		done += BIT(entry_log2(entry));
	}
	if (done)
		iommu_iotlb_gather_add_range(gather, iova, done);
	return done;
}

/* The promise: what was taken out is pinned until here. */
static void fake_sync(struct iommu_domain *domain,
		      struct iommu_iotlb_gather *gather)
{
	struct fake_domain *fake = to_fake(domain);
	unsigned long key;
	void *entry;

	fake->nr_syncs++;
	fake->nr_pinned_at_sync = atomic_long_read(&fake->memory->nr_pinned);
	xa_for_each_marked(&fake->entries, key, entry, ENTRY_TAKEN_OUT) {
		unsigned long first = key << ENTRY_KEY_SHIFT;

		if (first < gather->start ||
		    first + BIT(entry_log2(entry)) - 1 > gather->end)
			continue;
		entry_count(fake, entry, -1);
		xa_erase(&fake->entries, key);
	}
}

/*
 * As the strictest driver: whoever walks begins where an entry does, ends where
 * one does, and leaves out what is not mapped.
 */
static int fake_read_and_clear(struct iommu_domain *domain, unsigned long iova,
			       size_t bytes, unsigned long flags,
			       struct iommu_dirty_bitmap *dirty)
{
	struct fake_domain *fake = to_fake(domain);
	unsigned long last = iova + bytes - 1, start, size;

	fake->nr_reads++;
	for (;; iova += size) {
		unsigned long key = iova >> ENTRY_KEY_SHIFT;
		void *entry = entry_find(fake, iova, &start);

		if (!entry || start != iova ||
		    xa_get_mark(&fake->entries, key, ENTRY_TAKEN_OUT)) {
			complain(fake->memory, "no entry begins at %lx", iova);
			return -EINVAL;
		}
		size = BIT(entry_log2(entry));
		if (xa_get_mark(&fake->entries, key, ENTRY_DIRTY)) {
			iommu_dirty_bitmap_record(dirty, iova, size);
			if (!(flags & IOMMU_DIRTY_NO_CLEAR))
				xa_clear_mark(&fake->entries, key, ENTRY_DIRTY);
		}
		if (size - 1 >= last - iova)
			break;
	}
	if (iova + size - 1 != last)
		complain(fake->memory, "a walk cuts the entry at %lx", iova);
	return 0;
}

static int fake_set_tracking(struct iommu_domain *domain, bool enable)
{
	struct fake_domain *fake = to_fake(domain);

	if (fake->fail_tracking)
		return fake->fail_tracking;
	fake->tracking = enable;
	return 0;
}

/* What a domain made for dirty tracking has. */
const struct iommu_dirty_ops fake_dirty_ops = {
	.set_dirty_tracking = fake_set_tracking,
	.read_and_clear_dirty = fake_read_and_clear,
};

/* The first entry that begins at an address or above it, if there is one. */
bool fake_domain_entry(struct fake_domain *fake, unsigned long iova,
		       struct iova_range *range, bool *dirty)
{
	unsigned long key = DIV_ROUND_UP(iova, BIT(ENTRY_KEY_SHIFT));
	void *entry = xa_find(&fake->entries, &key, ULONG_MAX, XA_PRESENT);

	if (!entry)
		return false;
	range->first = key << ENTRY_KEY_SHIFT;
	range->last = range->first + BIT(entry_log2(entry)) - 1;
	*dirty = xa_get_mark(&fake->entries, key, ENTRY_DIRTY);
	return true;
}

/* A device writes through the entry that begins at an address, or forgets it. */
void fake_domain_write(struct fake_domain *fake, unsigned long iova, bool dirty)
{
	unsigned long key = iova >> ENTRY_KEY_SHIFT;

	if (dirty)
		xa_set_mark(&fake->entries, key, ENTRY_DIRTY);
	else
		xa_clear_mark(&fake->entries, key, ENTRY_DIRTY);
}

static const struct iommu_domain_ops fake_domain_ops = {
	.map_pages = fake_map_pages,
	.unmap_pages = fake_unmap_pages,
	.iotlb_sync = fake_sync,
};

static void end_domain(void *data)
{
	struct fake_domain *fake = data;

	if (fake->hwpt->in_ioas)
		fake_domain_remove(fake);
	KUNIT_EXPECT_TRUE(fake->test, fake_domain_empty(fake));
	xa_destroy(&fake->entries);
	iommufd_object_abort(fake->ioas->ctx, &fake->hwpt->common.obj);
}

/* A domain that can be added to @ioas. */
struct fake_domain *fake_domain(struct fake_memory *memory,
				struct iommufd_ioas *ioas,
				unsigned long page_sizes)
{
	struct kunit *test = memory->test;
	struct iommufd_hwpt_paging *hwpt;
	struct fake_domain *fake;

	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->test = test;
	fake->memory = memory;
	fake->ioas = ioas;
	xa_init(&fake->entries);
	fake->domain.type = IOMMU_DOMAIN_UNMANAGED;
	fake->domain.ops = &fake_domain_ops;
	fake->domain.pgsize_bitmap = page_sizes;
	fake->domain.geometry.aperture_end = ULONG_MAX;
	fake->domain.geometry.force_aperture = true;

	hwpt = iommufd_object_alloc(ioas->ctx, hwpt, IOMMUFD_OBJ_HWPT_PAGING,
				    common.obj);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, hwpt);
	hwpt->ioas = ioas;
	hwpt->common.domain = &fake->domain;
	hwpt->common.paging = hwpt;
	mutex_init(&hwpt->dirty_lock);
	xa_init(&hwpt->doorbells);
	fake->hwpt = hwpt;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_domain,
							   fake));
	return fake;
}

int fake_domain_add(struct fake_domain *fake)
{
	guard(mutex)(&fake->ioas->attach_lock);
	return ioas_add_domain(fake->ioas, fake->hwpt);
}

void fake_domain_remove(struct fake_domain *fake)
{
	ioas_remove_domain(fake->ioas, fake->hwpt);
}

/* Number of entries of one size, or of any if @page_bytes is 0. */
unsigned long fake_domain_nr_entries(struct fake_domain *fake,
				     unsigned long page_bytes)
{
	unsigned long key, nr = 0;
	void *entry;

	xa_for_each(&fake->entries, key, entry)
		if (!page_bytes || BIT(entry_log2(entry)) == page_bytes)
			nr++;
	return nr;
}

/* Nothing is mapped, and nothing waits for a sync. */
bool fake_domain_empty(struct fake_domain *fake)
{
	return xa_empty(&fake->entries);
}

/* Does a range translate, byte for byte, to this part of the memory? */
bool fake_domain_maps(struct fake_domain *fake, unsigned long iova,
		      unsigned long start_bytes, unsigned long length_bytes)
{
	struct fake_memory *memory = fake->memory;
	unsigned long start, step, done;

	for (done = 0; done < length_bytes; done += step) {
		unsigned long at = start_bytes + done;
		unsigned long index = memory->first_index + (at >> PAGE_SHIFT);
		void *entry = entry_find(fake, iova + done, &start);

		step = min(PAGE_SIZE - offset_in_page(at), length_bytes - done);
		step = min(step, SZ_2K - (at & (SZ_2K - 1)));
		if (!entry || !fake_pinned(memory, index) ||
		    entry_phys(entry) + (iova + done - start) !=
			    PFN_PHYS(fake_pfn(memory, index)) +
				    offset_in_page(at))
			return false;
	}
	return true;
}
