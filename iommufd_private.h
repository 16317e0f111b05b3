/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of iommufd share.
 *
 * Read it from the top: ranges, the context and its objects, sources of
 * memory, areas of an address space, hardware page tables, devices and
 * groups, in-kernel access. Each struct field says who guards it; the order
 * in which locks nest is
 *
 *	iommufd_ioas::attach_lock
 *	  iommufd_access::change_lock, iommufd_group::lock,
 *	  iommufd_hwpt_paging::dirty_lock
 *	    iommufd_ioas::domains_rwsem
 *	      iommufd_ioas::areas_rwsem
 *	        pin_source::lock
 *	          iommufd_ctx::account_lock
 *
 * The IOMMU core's lock of a group nests inside iommufd_group::lock. Under either
 * of the two comes
 *
 *	iommufd_ctx::doorbells_lock
 *	  iommufd_ioas::areas_rwsem
 *
 * Event queues are apart from that, since a driver may report under locks of its
 * own, and attaches under some of ours:
 *
 *	iommufd_group::members_lock
 *	  iommufd_eventq::lock
 *
 * are all that reporting takes. Answering a fault needs iommufd_fault::answer_lock,
 * which nests inside iommufd_group::lock.
 *
 * User memory is touched under attach_lock, and under pin_source::pin_lock,
 * which is taken with no other but attach_lock held, and under
 * iommufd_eventq::read_lock, which only readers want. Nothing that a device or
 * an access needs in order to leave waits for one of the three. The lock of a
 * mm is waited for under these only; under the others it is tried at most.
 *
 * The reservation lock of a dma-buf comes before domains_rwsem, and is taken with
 * no lock of ours held: its exporter has it when it revokes, and outside of it
 * perhaps one under which page faults are handled.
 */
#ifndef __IOMMUFD_PRIVATE_H
#define __IOMMUFD_PRIVATE_H

#include <linux/atomic.h>
#include <linux/interval_tree.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/rwsem.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>

#include "../iommu-priv.h"

struct dma_buf;
struct iommufd_area;
struct iommufd_command;
struct iommufd_fault;
struct iommufd_group;
struct iommufd_ioas;

/*
 * A precondition that a debug build checks. It may cost: it is gone from any
 * other build.
 */
#define IOMMUFD_ASSERT(condition)                                              \
	do {                                                                   \
		if (IS_ENABLED(CONFIG_IOMMUFD_DEBUG))                          \
			WARN_ON_ONCE(!(condition));                            \
	} while (0)

/* Ranges ------------------------------------------------------------------ */

/**
 * struct iova_range - a range of I/O virtual addresses that is never empty
 * @first: the lowest address, in bytes
 * @last: the highest address, inclusive
 *
 * Only iova_range_make() and code that narrows a range made by it create one.
 */
struct iova_range {
	unsigned long first;
	unsigned long last;
};

/**
 * struct page_range - a range of page indexes that is never empty
 * @first: the lowest index
 * @last: the highest index, inclusive
 */
struct page_range {
	unsigned long first;
	unsigned long last;
};

/**
 * iova_range_make() - make a range of what user space gave
 * @range: the result, untouched on error
 * @iova: the first address
 * @length_bytes: the length in bytes
 *
 * Return: 0; -EINVAL if @length_bytes is zero; -EOVERFLOW if the range does
 * not fit into an unsigned long.
 * Context: Any context.
 */
static inline int iova_range_make(struct iova_range *range, u64 iova,
				  u64 length_bytes)
{
	u64 last;

	if (!length_bytes)
		return -EINVAL;
	if (check_add_overflow(iova, length_bytes - 1, &last) ||
	    last > ULONG_MAX)
		return -EOVERFLOW;
	range->first = iova;
	range->last = last;
	return 0;
}

/*
 * The length of a range that is known to be shorter than the whole space, as
 * that of an area is: nobody can express a length of 2^64.
 */
static inline unsigned long iova_range_bytes(struct iova_range range)
{
	return range.last - range.first + 1;
}

static inline bool iova_range_aligned(struct iova_range range,
				      unsigned long alignment)
{
	return !((range.first | (range.last + 1)) & (alignment - 1));
}

static inline unsigned long page_range_nr(struct page_range range)
{
	return range.last - range.first + 1;
}

/* The context ------------------------------------------------------------- */

enum account_mode {
	ACCOUNT_USER,		/* limit what the user locks */
	ACCOUNT_MM,		/* limit what the process locks */
	ACCOUNT_NONE,		/* CAP_IPC_LOCK: no limit, no charge */
};

/* Why the last command of a context was refused, for a person to read. */
struct refusal {
	const char *command;
	const char *reason;
	u64 operands[2];
	pid_t pid;
	int error;
};

/**
 * struct iommufd_ctx - one open /dev/iommu
 * @file: the open file; its count is the only count of the context
 * @objects: what user space names by id; its xa_lock guards publication
 * @nr_objects: those that are published, by type
 * @groups_lock: guards @groups
 * @groups: the groups of the bound devices by iommu_group_id()
 * @doorbells_lock: guards @doorbells, and those of groups and page tables
 * @doorbells: the pfn of each MSI doorbell, as a value, by page index of the IOVA
 *	that belongs to it
 * @account_mode: how new sources account what they pin; constant once there
 *	is an object
 * @account_lock: guards @account, @charged_sources and what of a source says who
 *	is charged for it
 * @account: the account of the process that mapped something last, or NULL
 * @charged_sources: pin_source::charged_node, those whose charges can move to
 *	another process
 * @nr_tied_sources: sources that belong to the process that mapped them
 * @vfio_ioas: the IOAS that stands for a VFIO container, or NULL; guarded by
 *	the xa_lock of @objects
 * @nr_pinned: pages pinned through this context
 * @nr_charged: pages charged to somebody through this context
 * @nr_blocked: areas that map nothing, for their source is revoked
 * @refusal_lock: guards @refusal
 * @refusal: the latest refusal
 */
struct iommufd_ctx {
	struct file *file;
	struct xarray objects;
	atomic_t nr_objects[IOMMUFD_OBJ_MAX];
	struct mutex groups_lock;
	struct xarray groups;
	struct mutex doorbells_lock;
	struct xarray doorbells;
	enum account_mode account_mode;
	struct mutex account_lock;
	struct pin_account *account;
	struct list_head charged_sources;
	atomic_long_t nr_tied_sources;
	struct iommufd_ioas *vfio_ioas;
	atomic_long_t nr_pinned;
	atomic_long_t nr_charged;
	atomic_long_t nr_blocked;
	spinlock_t refusal_lock;
	struct refusal refusal;
};

/**
 * struct iommufd_command - one ioctl under way
 * @ctx: the context
 * @user_buffer: the struct in user space
 * @user_bytes: its size as user space gave it
 * @args: the kernel's copy, zeroed past what user space gave
 */
struct iommufd_command {
	struct iommufd_ctx *ctx;
	void __user *user_buffer;
	u32 user_bytes;
	void *args;
};

extern const struct file_operations iommufd_fops;
void iommufd_ctx_init(struct iommufd_ctx *ctx);
void iommufd_ctx_fini(struct iommufd_ctx *ctx);
struct device *iommufd_device(void);
int iommufd_respond(struct iommufd_command *command, size_t bytes);
int iommufd_refuse(struct iommufd_ctx *ctx, int error, const char *reason,
		   u64 operand0, u64 operand1);
void iommufd_refused(struct iommufd_ctx *ctx, const char *command, int error);
void iommufd_show_fdinfo(struct seq_file *m, struct file *file);

/* Objects ----------------------------------------------------------------- */

/*
 * The word iommufd_object::refs. A hold lasts for one command, a use as long
 * as another object depends on this one; see object.c.
 */
#define OBJECT_DYING BIT(0)
#define OBJECT_ENDS_UNUSED BIT(1)
#define OBJECT_HOLD_SHIFT 2
#define OBJECT_USE_SHIFT (BITS_PER_LONG == 64 ? 32 : 17)
#define OBJECT_HOLD BIT(OBJECT_HOLD_SHIFT)
#define OBJECT_HOLDS GENMASK(OBJECT_USE_SHIFT - 1, OBJECT_HOLD_SHIFT)
#define OBJECT_USE BIT(OBJECT_USE_SHIFT)
#define OBJECT_USES GENMASK(BITS_PER_LONG - 1, OBJECT_USE_SHIFT)

/*
 * Take one hold or one use, whichever @unit says, unless the object is on its
 * way out or the field is full.
 */
static inline int iommufd_object_try_count(struct iommufd_object *object,
					   unsigned long unit,
					   unsigned long field)
{
	long refs = atomic_long_read(&object->refs);

	do {
		if (refs & OBJECT_DYING)
			return -ENOENT;
		if ((refs & field) == field)
			return -EOVERFLOW;
	} while (!atomic_long_try_cmpxchg(&object->refs, &refs, refs + unit));
	return 0;
}

/**
 * iommufd_object_use() - depend on an object
 * @object: the object, which the caller has on hold or otherwise keeps
 *
 * Return: 0, and DESTROY of @object answers -EBUSY until
 * iommufd_object_unuse(); -ENOENT if @object is being destroyed; -EOVERFLOW
 * if too many objects depend on it.
 * Context: Any context.
 */
static inline int iommufd_object_use(struct iommufd_object *object)
{
	return iommufd_object_try_count(object, OBJECT_USE, OBJECT_USES);
}

/* Give back one hold or one use. Returns the word that is left. */
static inline unsigned long iommufd_object_drop(struct iommufd_object *object,
						unsigned long unit)
{
	return atomic_long_sub_return(unit, &object->refs);
}

/**
 * iommufd_object_hold() - keep an object for the length of one command
 * @object: an object that cannot go away at this moment
 *
 * Return: 0, to be given back with iommufd_object_put(); -ENOENT if @object
 * is being destroyed; -EOVERFLOW if too many commands use it.
 * Context: Any context.
 */
static inline int iommufd_object_hold(struct iommufd_object *object)
{
	return iommufd_object_try_count(object, OBJECT_HOLD, OBJECT_HOLDS);
}

/* Is the object being destroyed? */
static inline bool iommufd_object_dying(const struct iommufd_object *object)
{
	return atomic_long_read(&object->refs) & OBJECT_DYING;
}

/**
 * iommufd_object_automatic() - let an object die with its last use
 * @object: an object that nobody else knows yet
 *
 * The caller has it on hold afterwards, and either aborts it or publishes it
 * and gives the hold back.
 *
 * Context: Any context.
 */
static inline void iommufd_object_automatic(struct iommufd_object *object)
{
	atomic_long_set(&object->refs, OBJECT_HOLD | OBJECT_ENDS_UNUSED);
}

struct iommufd_object *__iommufd_object_alloc(struct iommufd_ctx *ctx,
					      size_t bytes,
					      enum iommufd_object_type type);

/* Allocate an object whose first member is its struct iommufd_object. */
#define iommufd_object_alloc(ctx, ptr, type, member)                           \
	container_of_const(__iommufd_object_alloc(                             \
				   ctx,                                        \
				   sizeof(*(ptr)) +                            \
				   BUILD_BUG_ON_ZERO(                          \
					offsetof(typeof(*(ptr)), member)),     \
				   type),                                      \
			   typeof(*(ptr)), member)

void iommufd_object_publish(struct iommufd_ctx *ctx,
			    struct iommufd_object *object);
void iommufd_object_abort(struct iommufd_ctx *ctx,
			  struct iommufd_object *object);
struct iommufd_object *iommufd_object_get(struct iommufd_ctx *ctx, u32 id,
					  enum iommufd_object_type type);
void iommufd_object_put(struct iommufd_ctx *ctx, struct iommufd_object *object);
void iommufd_object_unuse(struct iommufd_ctx *ctx,
			  struct iommufd_object *object);
int iommufd_object_destroy(struct iommufd_ctx *ctx, u32 id);
void iommufd_object_end(struct iommufd_ctx *ctx, struct iommufd_object *object);
void iommufd_objects_close(struct iommufd_ctx *ctx);
const char *iommufd_object_name(enum iommufd_object_type type);

/* What remains of an object when nothing refers to it any more. */
void iommufd_ioas_destroy(struct iommufd_object *object);
void iommufd_hwpt_nested_destroy(struct iommufd_object *object);
void iommufd_viommu_destroy(struct iommufd_object *object);
void iommufd_hwpt_paging_destroy(struct iommufd_object *object);
void iommufd_device_destroy(struct iommufd_object *object);
void iommufd_fault_destroy(struct iommufd_object *object);
void iommufd_access_destroy_object(struct iommufd_object *object);

/* Sources of memory ------------------------------------------------------- */

/*
 * The record of pins is cut into windows of this many page indexes. Indexes
 * are absolute (a user address divided by the page size), so that a window
 * of 4 KiB pages is exactly one aligned 2 MiB of the address space.
 */
#define WINDOW_SHIFT 9
#define WINDOW_PAGES BIT(WINDOW_SHIFT)
#define WINDOW_MASK (WINDOW_PAGES - 1)

/* Is the struct page of the next page always the next struct page? */
#define PAGES_ARE_FLAT                                                         \
	(IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP) || IS_ENABLED(CONFIG_FLATMEM))

/* How many runs are decoded at a time, on the stack. */
#define RUNS_AT_ONCE 16

/* A run: physically contiguous pages behind consecutive indexes. */
struct run {
	unsigned long pfn;
	unsigned long nr;
};

struct pin_source;

/**
 * struct pin_batch - what was pinned of one window
 * @nr_runs: how many of @runs are filled, in the order of their indexes
 * @runs: encoded runs, see pages.c
 * @pages: scratch memory for an implementation of a source
 * @merged: the same memory, once nothing is pinned any more
 */
struct pin_batch {
	unsigned int nr_runs;
	u64 *runs;
	union {
		struct page **pages;
		u64 *merged;
	};
};

/* An encoded run: pfn, offset of its first index in the window, count - 1. */
#define RUN_NR_BITS WINDOW_SHIFT
#define RUN_OFFSET_BITS WINDOW_SHIFT
#define RUN_PFN_SHIFT (RUN_NR_BITS + RUN_OFFSET_BITS)

static inline u64 run_encode(unsigned int offset, unsigned long pfn,
			     unsigned int nr)
{
	return (u64)pfn << RUN_PFN_SHIFT | offset << RUN_NR_BITS | (nr - 1);
}

static inline unsigned int run_offset(u64 run)
{
	return (run >> RUN_NR_BITS) & WINDOW_MASK;
}

static inline unsigned int run_nr(u64 run)
{
	return (run & WINDOW_MASK) + 1;
}

static inline unsigned long run_pfn(u64 run)
{
	return run >> RUN_PFN_SHIFT;
}

/* Append pages to sorted runs, as a part of the last run where they are. */
static inline void runs_append(u64 *runs, unsigned int *nr_runs,
			       unsigned int offset, unsigned long pfn,
			       unsigned int nr)
{
	if (*nr_runs) {
		u64 *before = &runs[*nr_runs - 1];

		if (run_pfn(*before) + run_nr(*before) == pfn &&
		    run_offset(*before) + run_nr(*before) == offset) {
			*before += nr;
			return;
		}
	}
	runs[(*nr_runs)++] = run_encode(offset, pfn, nr);
}

/**
 * pin_batch_add() - record pages that were pinned
 * @batch: the batch
 * @index: page index of the first one, above what is in @batch
 * @pfn: page frame number of the first one
 * @nr: number of physically contiguous pages, within one window
 *
 * Context: Any context.
 */
static inline void pin_batch_add(struct pin_batch *batch, unsigned long index,
				 unsigned long pfn, unsigned int nr)
{
	runs_append(batch->runs, &batch->nr_runs, index & WINDOW_MASK, pfn, nr);
}

/* The same for pages that do not continue those of the call before. */
static inline void pin_batch_add_apart(struct pin_batch *batch,
				       unsigned long index, unsigned long pfn,
				       unsigned int nr)
{
	batch->runs[batch->nr_runs++] = run_encode(index & WINDOW_MASK, pfn,
						   nr);
}

/**
 * struct pin_source_ops - one kind of memory
 * @name: for people
 * @prot: IOMMU protection bits that such memory needs besides read and write
 * @tied: it is memory of the process that mapped it
 * @device_memory: nothing is really pinned, so that nothing is charged or counted,
 *	and no access can have the pages
 * @pin: pin @range, which lies in one window, and add its runs to the batch.
 *	What is in the batch on error is unpinned by the caller. May fault on
 *	user memory and sleep for as long as user space likes.
 * @unpin: undo @pin for a part of one run. Cannot fail.
 * @copy: read or write bytes that nobody has pinned. Returns 0 or an errno.
 *	NULL if that is not possible.
 * @enter: an area is about to map a part of the source. No lock is held. NULL if
 *	the source need not know.
 * @leave: undo @enter: the area maps nothing any more. No lock is held.
 * @release: drop what the source holds; the caller frees the struct
 */
struct pin_source_ops {
	const char *name;
	int prot;
	bool tied;
	bool device_memory;
	int (*pin)(struct pin_source *source, struct page_range range,
		   struct pin_batch *batch);
	void (*unpin)(struct pin_source *source, unsigned long pfn,
		      unsigned long nr);
	int (*copy)(struct pin_source *source, unsigned long index,
		    unsigned long offset_bytes, void *data, size_t bytes,
		    unsigned int flags);
	void (*enter)(struct pin_source *source, struct iommufd_area *area);
	void (*leave)(struct pin_source *source, struct iommufd_area *area);
	void (*release)(struct pin_source *source);
};

/**
 * struct pin_source - memory that can be pinned, and what of it is
 * @ops: what kind of memory it is
 * @ctx: whose counters it moves
 * @kref: one for each area that maps a part of it and each pin of an access
 * @pin_lock: only one claim grows at a time; user memory is touched under it,
 *	so nothing that releases a claim takes it
 * @lock: guards @claims, @first_entry, @windows, @growing
 * @growing: a claim covers what is being pinned right now, but is not yet
 * @grows_in: the window in which that is so
 * @claims: intervals of page indexes that somebody needs pinned
 * @first_window: the window of the lowest index; constant
 * @first_entry: where the pages of that window are, see pages.c
 * @windows: the same for the windows above it
 * @writable: pinned for writing; DMA may have changed the pages
 * @revoked: no domain may map it now; see source_dmabuf.c
 * @charged: pins are charged to @account; constant
 * @account: whose memory it is, and who is charged; guarded by account_lock,
 *	and constant if @ops->tied
 * @nr_charged: pages charged to @account; guarded by account_lock
 * @charged_node: in iommufd_ctx::charged_sources; guarded by account_lock
 */
struct pin_source {
	const struct pin_source_ops *ops;
	struct iommufd_ctx *ctx;
	struct kref kref;
	struct mutex pin_lock;
	struct mutex lock;
	bool growing;
	unsigned long grows_in;
	struct rb_root_cached claims;
	unsigned long first_window;
	void *first_entry;
	struct xarray windows;
	bool writable;
	bool revoked;
	bool charged;
	struct pin_account *account;
	unsigned long nr_charged;
	struct list_head charged_node;
};

/**
 * struct pin_account - who is charged for pinned pages
 * @kref: one for each source, charge and queued work that uses it, and one for
 *	the context that made it last
 * @mode: how pages are charged
 * @user: who is charged and limited in ACCOUNT_USER
 * @task: whose RLIMIT_MEMLOCK counts
 * @mm: who is charged
 * @nr_unsettled: pages that @settle_work takes off the charge of @mm
 * @settle_work: holds a reference while it is queued
 */
struct pin_account {
	struct kref kref;
	enum account_mode mode;
	struct user_struct *user;
	struct task_struct *task;
	struct mm_struct *mm;
	atomic_long_t nr_unsettled;
	struct work_struct settle_work;
};

extern struct workqueue_struct *iommufd_workqueue;
extern unsigned int pages_pinned_at_once;

void pin_account_put(struct pin_account *account);
int pin_source_open_account(struct pin_source *source);
void pin_source_close_account(struct pin_source *source);
int pin_source_charge(struct pin_source *source, unsigned long nr);
void pin_source_uncharge(struct pin_source *source, unsigned long nr);

struct pin_source *pin_source_alloc_user(struct iommufd_ctx *ctx,
					 unsigned long first_index,
					 bool writable);
struct pin_source *pin_source_alloc_file(struct iommufd_ctx *ctx,
					 struct file *file,
					 struct iova_range bytes, int prot);
struct pin_source *pin_source_alloc_dmabuf(struct iommufd_ctx *ctx,
					   struct dma_buf *dma_buf,
					   struct iova_range bytes);
int pin_source_init(struct pin_source *source, struct iommufd_ctx *ctx,
		    const struct pin_source_ops *ops, unsigned long first_index,
		    bool writable);
void pin_source_put(struct pin_source *source);
int pin_source_claim(struct pin_source *source,
		     struct interval_tree_node *claim, struct page_range range);
bool pin_source_claim_pinned(struct pin_source *source,
			     struct interval_tree_node *claim,
			     struct page_range range);
void pin_source_release(struct pin_source *source,
			struct interval_tree_node *claim);
void pin_source_unpin_pages(struct pin_source *source, unsigned long pfn,
			    unsigned long nr);
void pin_source_pages(struct pin_source *source, struct page_range range,
		      struct page **pages);
int pin_source_copy(struct pin_source *source, unsigned long index,
		    unsigned long offset_bytes, void *data, size_t bytes,
		    unsigned int flags);
void pin_source_verify(struct pin_source *source);
unsigned long pin_source_record_bytes(struct pin_source *source);

/**
 * struct run_cursor - walks the runs of a range
 * @source: the source; its lock is held while the cursor is in use
 * @range: what is still to come
 * @done: nothing is
 * @runs: the runs of the window that is decoded
 * @next_run: which one is next
 * @end_run: one more than the last of them that the range touches
 * @one: where the run of a window that has just one unfolds
 */
struct run_cursor {
	struct pin_source *source;
	struct page_range range;
	bool done;
	const u64 *runs;
	unsigned int next_run;
	unsigned int end_run;
	u64 one;
};

void run_cursor_init(struct run_cursor *cursor, struct pin_source *source,
		     struct page_range range);
unsigned int run_cursor_read(struct run_cursor *cursor, struct run *runs,
			     unsigned int max);

/* The next run, for who has no use for several. */
static inline bool run_cursor_next(struct run_cursor *cursor, struct run *run)
{
	return run_cursor_read(cursor, run, 1);
}

/* Address spaces ---------------------------------------------------------- */

enum area_state {
	AREA_BUILDING,		/* being claimed and mapped by its MAP */
	AREA_LIVE,
	AREA_DYING,		/* being taken out by its UNMAP */
};

/**
 * struct iommufd_area - a range of IOVA mapped to a part of a source
 * @node: in iommufd_ioas::areas by IOVA
 * @ioas: the address space, constant once it is on the way into one
 * @iova: where it is, constant
 * @gap_before: unused addresses between the area below and this one
 * @subtree_max_gap: the largest @gap_before of the subtree at @node
 * @source: the memory, constant
 * @first_index: page index of the first byte, constant
 * @page_offset: offset of the first byte in its page, constant
 * @prot: IOMMU protection bits, constant
 * @state: guarded by areas_rwsem
 * @claimed: @claim is in the source; guarded by areas_rwsem once live
 * @blocked: it is live and no domain maps it, for its source is revoked; guarded
 *	by domains_rwsem
 * @stuck: a driver did not unmap it: its memory stays pinned for ever
 * @claim: keeps the pages pinned while a domain maps them
 * @nr_users: commands that need the area while they hold no lock; guarded by
 *	areas_rwsem, waited for by UNMAP
 * @unmapper: the UNMAP that has announced itself; new pins are refused
 * @nr_locks: internal accesses that refuse UNMAP; guarded by areas_rwsem
 * @pins: what accesses have pinned, by range; guarded by areas_rwsem
 * @batch: in the list of the command that creates or removes the area
 * @source_node: in the source's list of areas, if it has one
 */
struct iommufd_area {
	struct rb_node node;
	struct iommufd_ioas *ioas;
	struct iova_range iova;
	unsigned long gap_before;
	unsigned long subtree_max_gap;
	struct pin_source *source;
	unsigned long first_index;
	unsigned int page_offset;
	int prot;
	enum area_state state;
	bool claimed;
	bool blocked;
	bool stuck;
	struct interval_tree_node claim;
	unsigned int nr_users;
	const void *unmapper;
	unsigned int nr_locks;
	struct rb_root pins;
	struct list_head batch;
	struct list_head source_node;
};

/* The pages behind a part of an area. */
static inline struct page_range area_pages(const struct iommufd_area *area,
					   struct iova_range part)
{
	unsigned long start = part.first - area->iova.first + area->page_offset;
	unsigned long last = part.last - area->iova.first + area->page_offset;

	return (struct page_range){
		.first = area->first_index + (start >> PAGE_SHIFT),
		.last = area->first_index + (last >> PAGE_SHIFT),
	};
}

/**
 * struct iommufd_ioas - an I/O address space
 * @obj: the object
 * @ctx: the context
 * @attach_lock: one domain is added at a time, and automatic domains are
 *	chosen under it; user memory is touched under it
 * @domains_rwsem: held for reading while areas enter and leave domains, for
 *	writing to change @domains
 * @domains: iommufd_hwpt_paging::ioas_node, oldest first
 * @next_domain_seq: for iommufd_hwpt_paging::seq; guarded by @domains_rwsem
 * @areas_rwsem: guards everything below
 * @areas: by IOVA, augmented with the largest gap
 * @reserved: struct reserved_range, where nothing may be mapped
 * @allowed: struct allowed_range, where nothing may be reserved
 * @alignment: what IOVA and length must be a multiple of, in bytes
 * @huge_pages: runs may be mapped with large entries
 * @want_claims: domains that are there or about to be: areas must be claimed
 * @nr_unclaimed: live areas that are not claimed
 * @changes: counts what a waiting command may be waiting for
 * @wait: woken after each change
 * @accesses: iommufd_access::ioas_node
 * @nr_pinning: how many accesses pin pages and so need pages to be aligned;
 *	written with @domains_rwsem held too
 */
struct iommufd_ioas {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct mutex attach_lock;

	struct rw_semaphore domains_rwsem;
	struct list_head domains;
	u64 next_domain_seq;

	struct rw_semaphore areas_rwsem;
	struct rb_root areas;
	struct rb_root_cached reserved;
	struct rb_root_cached allowed;
	unsigned long alignment;
	bool huge_pages;
	unsigned int want_claims;
	unsigned long nr_unclaimed;
	atomic_t changes;
	wait_queue_head_t wait;
	struct list_head accesses;
	unsigned int nr_pinning;
};

struct iommufd_ioas *iommufd_ioas_new(struct iommufd_ctx *ctx);

static inline struct iommufd_ioas *to_ioas(struct iommufd_object *object)
{
	return container_of(object, struct iommufd_ioas, obj);
}

static inline struct iommufd_ioas *iommufd_ioas_get(struct iommufd_ctx *ctx,
						    u32 id)
{
	struct iommufd_object *object =
		iommufd_object_get(ctx, id, IOMMUFD_OBJ_IOAS);

	if (IS_ERR(object))
		return ERR_CAST(object);
	return to_ioas(object);
}

int ioas_map(struct iommufd_ioas *ioas, struct list_head *areas,
	     unsigned long length_bytes, unsigned long *iova, bool fixed,
	     int prot);
struct iommufd_area *iommufd_area_alloc(struct pin_source *source,
					unsigned long first_index,
					unsigned int page_offset,
					unsigned long length_bytes);
void iommufd_areas_free(struct list_head *areas);
int ioas_copy_areas(struct iommufd_ioas *source, struct iova_range range,
		    struct list_head *areas);
int ioas_unmap(struct iommufd_ioas *ioas, struct iova_range range,
	       unsigned long *unmapped_bytes);
int ioas_reserve(struct iommufd_ioas *ioas, struct iova_range range,
		 void *owner);
void ioas_unreserve(struct iommufd_ioas *ioas, void *owner);
int ioas_set_allowed(struct iommufd_ioas *ioas, struct rb_root_cached *allowed);
void ioas_allowed_free(struct rb_root_cached *allowed);
int ioas_allowed_add(struct rb_root_cached *allowed, struct iova_range range);
int ioas_set_huge_pages(struct iommufd_ioas *ioas, bool enable);
struct iommufd_area *ioas_first_area(struct iommufd_ioas *ioas,
				     struct iova_range range);
struct iommufd_area *ioas_next_area(struct iommufd_area *area,
				    struct iova_range range);
void ioas_block_area(struct iommufd_area *area);
int ioas_unblock_area(struct iommufd_area *area);
void ioas_changed(struct iommufd_ioas *ioas);
int ioas_wait_change(struct iommufd_ioas *ioas, int seen);
int ioas_find_gap(struct iommufd_ioas *ioas, unsigned long length_bytes,
		  unsigned long alignment, unsigned long phase,
		  unsigned long *iova);
void ioas_verify(struct iommufd_ioas *ioas);
static inline void ioas_debug_verify(struct iommufd_ioas *ioas)
{
	if (IS_ENABLED(CONFIG_IOMMUFD_DEBUG))
		ioas_verify(ioas);
}

/* Something that no area may touch, and whose rule that is. */
struct reserved_range {
	struct interval_tree_node node;
	void *owner;
};

struct allowed_range {
	struct interval_tree_node node;
};

/* Page tables ------------------------------------------------------------- */

/**
 * struct iommufd_hw_pagetable - what a device can be attached to
 * @obj: the object: IOMMUFD_OBJ_HWPT_PAGING, or IOMMUFD_OBJ_HWPT_NESTED, which is
 *	no more than this
 * @domain: the IOMMU core's page table, constant once built
 * @fault: where its page faults go, or NULL; constant once built; holds a use
 * @pasid_compat: it can be used for a PASID, and by devices that have PASIDs;
 *	constant once built
 * @paging: what leads to memory, constant: the page table itself, or the parent
 *	of a nested one
 * @viommu: the vIOMMU of a nested one, on which it holds a use; one that is not
 *	on a vIOMMU holds a use on its parent
 * @msi_map: iommufd_msi_map(), for what is built in and cannot link to it
 */
struct iommufd_hw_pagetable {
	struct iommufd_object obj;
	struct iommu_domain *domain;
	struct iommufd_fault *fault;
	bool pasid_compat;
	struct iommufd_hwpt_paging *paging;
	struct iommufd_viommu *viommu;
	int (*msi_map)(struct device *dev, phys_addr_t address,
		       unsigned long *iova, unsigned int *iova_shift);
};

static inline struct iommufd_hw_pagetable *
to_hw_pagetable(struct iommufd_object *object)
{
	return container_of(object, struct iommufd_hw_pagetable, obj);
}

/**
 * struct iommufd_hwpt_paging - a page table that follows an IOAS
 * @common: the object and the domain
 * @ioas: the address space it follows; holds a use on it
 * @ioas_node: in iommufd_ioas::domains
 * @seq: position in that list, ever growing
 * @automatic: made by an attach; ends with its last device
 * @nest_parent: nested page tables can be made on it; constant
 * @in_ioas: it is in the list
 * @enforce_cache_coherency: DMA cannot bypass the CPU's caches; set under
 *	domains_rwsem before the first mapping, and never taken back
 * @dirty_lock: guards @dirty_tracking
 * @dirty_tracking: writes by devices are recorded
 * @doorbells: struct doorbell by page index of its IOVA; guarded by
 *	iommufd_ctx::doorbells_lock
 */
struct iommufd_hwpt_paging {
	struct iommufd_hw_pagetable common;
	struct iommufd_ioas *ioas;
	struct list_head ioas_node;
	u64 seq;
	bool automatic;
	bool nest_parent;
	bool in_ioas;
	bool enforce_cache_coherency;
	struct mutex dirty_lock;
	bool dirty_tracking;
	struct xarray doorbells;
};

static inline struct iommufd_hwpt_paging *
iommufd_hwpt_paging_get(struct iommufd_ctx *ctx, u32 id)
{
	struct iommufd_object *object =
		iommufd_object_get(ctx, id, IOMMUFD_OBJ_HWPT_PAGING);

	if (IS_ERR(object))
		return ERR_CAST(object);
	return to_hw_pagetable(object)->paging;
}

int ioas_add_domain(struct iommufd_ioas *ioas,
		    struct iommufd_hwpt_paging *hwpt);
void ioas_remove_domain(struct iommufd_ioas *ioas,
			struct iommufd_hwpt_paging *hwpt);
int domain_map_area(struct iommu_domain *domain, struct iommufd_area *area,
		    bool huge_pages);
void domain_unmap_area(struct iommu_domain *domain, struct iommufd_area *area,
		       struct iommu_iotlb_gather *gather);
void area_set_blocked(struct iommufd_area *area, bool blocked);
int domains_map_area(struct iommufd_ioas *ioas, struct iommufd_area *area);
void domains_unmap_areas(struct iommufd_ioas *ioas, struct list_head *areas);

/* Devices and groups ------------------------------------------------------ */

/**
 * struct iommufd_group - an IOMMU group in one context
 * @kref: one for each bound device
 * @ctx: the context
 * @group: the IOMMU core's group
 * @lock: guards @spaces and what they lead to
 * @spaces: struct iommufd_dma_space by PASID, that of requests without one
 *	under IOMMU_NO_PASID
 * @members_lock: held as well to change who is in a space, for those who cannot
 *	wait for @lock
 * @doorbells: the pfn of each doorbell that a device writes to, as a value, by page
 *	index of its IOVA; guarded, as what follows, by iommufd_ctx::doorbells_lock
 * @table: where they are mapped: the page table for requests without a PASID, or
 *	NULL while these are blocked
 * @next_table: where they are mapped as well, as the group may be there already;
 *	NULL unless it is being moved
 */
struct iommufd_group {
	struct kref kref;
	struct iommufd_ctx *ctx;
	struct iommu_group *group;
	struct mutex lock;
	struct xarray spaces;
	spinlock_t members_lock;
	struct xarray doorbells;
	struct iommufd_hwpt_paging *table;
	struct iommufd_hwpt_paging *next_table;
};

/**
 * struct iommufd_dma_space - what translates requests of a group with one PASID
 * @group: the group
 * @pasid: the PASID, or IOMMU_NO_PASID for requests without one
 * @attachment: the page table, NULL only while the first device attaches or
 *	the last one detaches
 * @members: struct iommufd_member, the devices that asked for it; never empty
 *	while nobody holds the group lock
 */
struct iommufd_dma_space {
	struct iommufd_group *group;
	ioasid_t pasid;
	struct iommufd_attachment *attachment;
	struct list_head members;
};

/**
 * struct iommufd_member - a device that is attached
 * @node: in iommufd_dma_space::members
 * @device: the device
 *
 * It owns the ranges that the device reserves in the IOAS.
 */
struct iommufd_member {
	struct list_head node;
	struct iommufd_device *device;
};

/**
 * struct iommufd_attachment - a group on a page table
 * @handle: what the IOMMU core gives back when the hardware reports an event
 * @hwpt: the page table; holds a use on it
 * @space: where it is, or is about to be
 *
 * It stands for the group, not for one of its devices, so that any of them
 * may leave first.
 */
struct iommufd_attachment {
	struct iommu_attach_handle handle;
	struct iommufd_hw_pagetable *hwpt;
	struct iommufd_dma_space *space;
};

/**
 * struct iommufd_device - a physical device that a driver bound
 * @obj: the object; nobody may hold a use on it
 * @ctx: the context; iommufd_device_bind() holds its file
 * @dev: the device
 * @group: its group
 * @nr_spaces: how many spaces of the group it is in; guarded by the group lock
 * @enforce_cache_coherency: the IOMMU can enforce it for this device
 */
struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct device *dev;
	struct iommufd_group *group;
	unsigned int nr_spaces;
	bool enforce_cache_coherency;
};

static inline struct iommufd_device *iommufd_device_get(struct iommufd_ctx *ctx,
							u32 id)
{
	struct iommufd_object *object =
		iommufd_object_get(ctx, id, IOMMUFD_OBJ_DEVICE);

	if (IS_ERR(object))
		return ERR_CAST(object);
	return container_of(object, struct iommufd_device, obj);
}

struct iommufd_device *iommufd_device_new(struct iommufd_ctx *ctx,
					  struct device *dev);
void iommufd_device_end(struct iommufd_device *device);

struct iommufd_hwpt_paging *
iommufd_hwpt_paging_alloc(struct iommufd_device *device,
			  struct iommufd_ioas *ioas, u32 flags,
			  const struct iommu_user_data *data);
int iommufd_hwpt_paging_fill(struct iommufd_hwpt_paging *hwpt);
void iommufd_hwpt_paging_abort(struct iommufd_ctx *ctx,
			       struct iommufd_hwpt_paging *hwpt);
int iommufd_hwpt_check_parent(struct iommufd_hwpt_paging *hwpt,
			      struct iommufd_device *device);
int iommufd_device_enforce_coherency(struct iommufd_device *device,
				     struct iommufd_hwpt_paging *hwpt);
void iommufd_group_verify(struct iommufd_group *group);

struct iommufd_device *
iommufd_space_device(struct iommufd_dma_space *space, struct device *dev);

/* Interrupts -------------------------------------------------------------- */

int iommufd_msi_prepare(struct iommufd_group *group,
			struct iommufd_hwpt_paging *hwpt);
void iommufd_msi_finish(struct iommufd_group *group, bool moved);
void iommufd_msi_leave(struct iommufd_group *group);
void iommufd_msi_verify(struct iommufd_group *group);
int iommufd_msi_map(struct device *dev, phys_addr_t address,
		    unsigned long *iova, unsigned int *iova_shift);

/* vIOMMUs ----------------------------------------------------------------- */

static inline struct iommufd_viommu *to_viommu(struct iommufd_object *object)
{
	return container_of(object, struct iommufd_viommu, obj);
}

/* Events ------------------------------------------------------------------ */

/**
 * struct iommufd_event - something to read, whole or not at all
 * @node: in iommufd_eventq::unread, or in no list
 * @delivered: it has been read; guarded by the lock of the queue
 * @refs: one of whoever made it, one of the list, one of a reader at work
 * @records: what is read, constant once it is in the list
 * @bytes: how much that is, constant
 */
struct iommufd_event {
	struct list_head node;
	bool delivered;
	refcount_t refs;
	const void *records;
	size_t bytes;
};

struct iommufd_eventq;

/**
 * struct iommufd_eventq_ops - what differs between queues of events
 * @file_name: of the anonymous inode
 * @write: what user space writes to the file; NULL if it cannot
 * @close: nobody can read any more: let go of what was meant for a reader. New
 *	events are refused already.
 * @free: free an event without references
 */
struct iommufd_eventq_ops {
	const char *file_name;
	ssize_t (*write)(struct iommufd_eventq *queue,
			 const char __user *buffer, size_t bytes);
	void (*close)(struct iommufd_eventq *queue);
	void (*free)(struct iommufd_event *event);
};

/**
 * struct iommufd_eventq - a queue of events and the file to read them from
 * @obj: the object; its file holds a use on it
 * @ctx: the context; the file holds it open
 * @ops: constant
 * @wait: readers that poll
 * @read_lock: one reader at a time; user memory is written under it
 * @lock: guards what follows and the fields of events that say so
 * @unread: iommufd_event::node, oldest first
 * @closed: the file is gone: no new events
 */
struct iommufd_eventq {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	const struct iommufd_eventq_ops *ops;
	wait_queue_head_t wait;
	struct mutex read_lock;
	spinlock_t lock;
	struct list_head unread;
	bool closed;
};

void iommufd_eventq_init(struct iommufd_eventq *queue, struct iommufd_ctx *ctx,
			 const struct iommufd_eventq_ops *ops);
void iommufd_eventq_fini(struct iommufd_eventq *queue);
struct file *iommufd_eventq_new_file(const struct iommufd_eventq_ops *ops);
void iommufd_eventq_open(struct iommufd_eventq *queue, struct file *file);
int iommufd_eventq_publish(struct iommufd_eventq *queue,
			   struct iommufd_command *command, u32 *out_fd,
			   size_t response_bytes);
void iommufd_event_init(struct iommufd_event *event, const void *records,
			size_t bytes);
void iommufd_event_put(struct iommufd_eventq *queue,
		       struct iommufd_event *event);
void iommufd_eventq_add(struct iommufd_eventq *queue,
			struct iommufd_event *event);
void iommufd_eventq_remove(struct iommufd_eventq *queue,
			   struct iommufd_event *event);

/*
 * More pending requests than any hardware lets devices have under way. Half a KiB
 * of ours and of the core for each is the worst case.
 */
#define FAULT_REQUESTS_MAX 16384
/* More requests than any hardware lets one device have under way. */
#define FAULTS_PER_GROUP_MAX 2048

/**
 * struct iommufd_fault - a queue of page faults
 * @common: the object and its file
 * @groups: struct fault_group by cookie, all that are not answered; written
 *	under the lock of the queue
 * @next_cookie: where the search for a free cookie begins; guarded by the
 *	xa_lock of @groups
 * @nr_requests: how many page requests are in these, or in groups that are being
 *	made
 * @memcg: who pays for the records, since devices report in kernel threads; NULL
 *	for nobody
 * @answer_lock: held while a group is answered; what is found in @groups stays
 *	there meanwhile
 */
struct iommufd_fault {
	struct iommufd_eventq common;
	struct xarray groups;
	u32 next_cookie;
	atomic_t nr_requests;
	struct mem_cgroup *memcg;
	struct mutex answer_lock;
};

struct iommufd_fault *iommufd_fault_new(struct iommufd_ctx *ctx);
int iommufd_hwpt_set_fault(struct iommufd_hw_pagetable *hwpt,
			   struct iommufd_fault *fault);
void iommufd_hwpt_put_fault(struct iommufd_ctx *ctx,
			    struct iommufd_hw_pagetable *hwpt);
void iommufd_attachment_end_faults(struct iommufd_attachment *attachment,
				   struct iommufd_device *device);

static inline struct iommufd_fault *iommufd_fault_get(struct iommufd_ctx *ctx,
						      u32 id)
{
	struct iommufd_object *object =
		iommufd_object_get(ctx, id, IOMMUFD_OBJ_FAULT);

	if (IS_ERR(object))
		return ERR_CAST(object);
	return container_of(object, struct iommufd_fault, common.obj);
}

/* In-kernel access -------------------------------------------------------- */

/**
 * struct iommufd_access - kernel software that uses an IOAS
 * @obj: the object; nobody may hold a use on it
 * @ctx: the context; holds its file
 * @ops: the driver's operations
 * @data: the driver's cookie
 * @change_lock: one attach, replace or detach at a time; the driver is called
 *	back under it
 * @lock: guards @ioas
 * @ioas: the address space for new pins and copies, or NULL
 * @entered: the address space that it holds a use on, until its pins in it
 *	are gone; written under @change_lock
 * @ioas_node: in iommufd_ioas::accesses; guarded by areas_rwsem of @entered
 * @nr_pins: pins that it has in @entered, and unpins under way: until it is
 *	zero @entered stays
 */
struct iommufd_access {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	const struct iommufd_access_ops *ops;
	void *data;
	struct mutex change_lock;
	spinlock_t lock;
	struct iommufd_ioas *ioas;
	struct iommufd_ioas *entered;
	struct list_head ioas_node;
	atomic_long_t nr_pins;
};

void iommufd_access_notify_unmap(struct iommufd_ioas *ioas,
				 struct iova_range range);
struct iommufd_ioas *iommufd_access_ioas_get(struct iommufd_access *access);
int ioas_add_access(struct iommufd_ioas *ioas, bool pins);
void ioas_remove_access(struct iommufd_ioas *ioas, bool pins);

/* Commands ---------------------------------------------------------------- */

int iommufd_destroy(struct iommufd_command *command);
int iommufd_fault_alloc(struct iommufd_command *command);
int iommufd_ioas_alloc(struct iommufd_command *command);
int iommufd_ioas_allow_iovas(struct iommufd_command *command);
int iommufd_ioas_change_process(struct iommufd_command *command);
int iommufd_ioas_copy(struct iommufd_command *command);
int iommufd_ioas_iova_ranges(struct iommufd_command *command);
int iommufd_ioas_map(struct iommufd_command *command);
int iommufd_ioas_map_file(struct iommufd_command *command);
int iommufd_ioas_unmap(struct iommufd_command *command);
int iommufd_option(struct iommufd_command *command);
int iommufd_hwpt_alloc(struct iommufd_command *command);
int iommufd_hwpt_get_dirty_bitmap(struct iommufd_command *command);
int iommufd_hwpt_invalidate(struct iommufd_command *command);
int iommufd_hwpt_set_dirty_tracking(struct iommufd_command *command);
int iommufd_hw_info(struct iommufd_command *command);
int iommufd_vfio_ioas(struct iommufd_command *command);
int iommufd_viommu_alloc(struct iommufd_command *command);
void iommufd_vfio_ioas_gone(struct iommufd_ioas *ioas);

#endif
