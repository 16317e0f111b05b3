// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands of the selftests: what a program cannot do or see through the
 * interface itself.
 *
 * DOC: test commands
 *
 * IOMMU_TEST_CMD is one command with many operations, each of which is a row
 * of test_operations. Those on an access are in mock_access.c, those on a
 * dma-buf in mock_dma_buf.c.
 *
 * Making a mock device makes two objects. The bound device is what the driver
 * of a real one would have; the other one, of type IOMMUFD_OBJ_SELFTEST, stands
 * for that driver and belongs to user space. Its end, by DESTROY or because the
 * file is closed, takes the device off its page table, unbinds and removes it.
 * It does not keep the file open, or closing it would not be that end.
 *
 * What a test command is given is trusted no more than what any other is.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>

#include "iommufd_private.h"
#include "selftest.h"

/* How many pages of user memory are looked at between two chances to stop. */
#define VISIT_PAGES 64

/* User memory ------------------------------------------------------------- */

static int visit_some(unsigned long address, unsigned int nr,
		      struct user_page_visitor *visitor)
{
	struct page *pages[VISIT_PAGES];
	int got, i, error;

	/* Only to look at: where there is no page, any will do. */
	got = get_user_pages_fast(address, nr, 0, pages);
	if (got <= 0)
		return got ?: -EFAULT;
	error = visitor->visit(visitor, pages, got);
	for (i = 0; i < got; i++)
		put_page(pages[i]);
	return error ?: got;
}

/**
 * iommufd_test_visit_pages() - look at the pages of user memory
 * @address: where it begins
 * @length_bytes: how much there is
 * @visitor: what to do with the pages that are touched
 *
 * Return: 0; -EINVAL if there is none or more than TEST_BYTES_MAX; -EOVERFLOW
 * if it wraps; -EFAULT if it is not there; -EINTR; what the visitor answers.
 * Context: Sleeps for user memory; no lock is held.
 */
int iommufd_test_visit_pages(u64 address, u64 length_bytes,
			     struct user_page_visitor *visitor)
{
	struct iova_range memory;
	unsigned long left;
	int error, done;

	if (length_bytes > TEST_BYTES_MAX)
		return -EINVAL;
	error = iova_range_make(&memory, address, length_bytes);
	if (error)
		return error;
	left = (memory.last >> PAGE_SHIFT) - (memory.first >> PAGE_SHIFT) + 1;
	memory.first &= PAGE_MASK;
	while (left) {
		done = visit_some(memory.first, min(left, VISIT_PAGES),
				  visitor);
		if (done < 0)
			return done;
		memory.first += (unsigned long)done << PAGE_SHIFT;
		left -= done;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Mock devices ------------------------------------------------------------ */

/**
 * struct selftest_device - the driver of a mock device, as an object
 * @obj: the object
 * @ctx: the context
 * @mock: the device, or NULL while it is being made
 * @device: the same as a bound one, or NULL
 * @change_lock: one change of a page table at a time
 * @attached: it is attached
 * @pasids: an entry for each PASID that is
 */
struct selftest_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ctx;
	struct mock_device *mock;
	struct iommufd_device *device;
	struct mutex change_lock;
	bool attached;
	struct xarray pasids;
};

static struct selftest_device *to_selftest_device(struct iommufd_object *object)
{
	return container_of(object, struct selftest_device, obj);
}

/**
 * iommufd_test_destroy_object() - end a mock device
 * @object: the object, complete or not
 *
 * Context: May sleep. Cannot fail.
 */
void iommufd_test_destroy_object(struct iommufd_object *object)
{
	struct selftest_device *selftest = to_selftest_device(object);
	unsigned long pasid;
	void *entry;

	xa_for_each(&selftest->pasids, pasid, entry)
		iommufd_device_detach(selftest->device, pasid);
	xa_destroy(&selftest->pasids);
	if (selftest->attached)
		iommufd_device_detach(selftest->device, IOMMU_NO_PASID);
	if (selftest->device)
		iommufd_device_end(selftest->device);
	if (selftest->mock)
		mock_device_destroy(selftest->mock);
	mutex_destroy(&selftest->change_lock);
}

/* What of making a device can fail. What is done is undone by its end. */
static int selftest_device_build(struct selftest_device *selftest, u32 flags,
				 u32 *pt_id)
{
	struct iommufd_device *device;
	struct mock_device *mock;
	int error;

	mock = mock_device_create(0, flags);
	if (IS_ERR(mock))
		return PTR_ERR(mock);
	selftest->mock = mock;
	device = iommufd_device_new(selftest->ctx, &mock->dev);
	if (IS_ERR(device))
		return PTR_ERR(device);
	selftest->device = device;
	error = iommufd_device_attach(device, IOMMU_NO_PASID, pt_id);
	selftest->attached = !error;
	return error;
}

static int make_device(struct iommufd_command *command, u32 flags)
{
	struct iommu_test_cmd *args = command->args;
	struct selftest_device *selftest;
	u32 pt_id = args->id;
	int error;

	/* What is answered has the same place in both. */
	static_assert(offsetof(struct iommu_test_cmd,
			       mock_domain.out_idev_id) ==
		      offsetof(struct iommu_test_cmd,
			       mock_domain_flags.out_idev_id));

	selftest = iommufd_object_alloc(command->ctx, selftest,
					IOMMUFD_OBJ_SELFTEST, obj);
	if (IS_ERR(selftest))
		return PTR_ERR(selftest);
	selftest->ctx = command->ctx;
	mutex_init(&selftest->change_lock);
	xa_init(&selftest->pasids);
	error = selftest_device_build(selftest, flags, &pt_id);
	if (!error) {
		args->mock_domain.out_stdev_id = selftest->obj.id;
		args->mock_domain.out_hwpt_id = pt_id;
		args->mock_domain.out_idev_id = selftest->device->obj.id;
		error = iommufd_respond(command, sizeof(*args));
	}
	if (error) {
		iommufd_test_destroy_object(&selftest->obj);
		iommufd_object_abort(command->ctx, &selftest->obj);
		return error;
	}
	iommufd_object_publish(command->ctx, &selftest->obj);
	return 0;
}

static int mock_domain(struct iommufd_command *command)
{
	return make_device(command, 0);
}

static int mock_domain_flags(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;

	return make_device(command, args->mock_domain_flags.dev_flags);
}

/* Do something to a mock device that changes what it is attached to. */
static int change_device(struct iommufd_command *command,
			 int (*change)(struct selftest_device *selftest,
				       struct iommu_test_cmd *args))
{
	struct iommu_test_cmd *args = command->args;
	struct selftest_device *selftest;
	struct iommufd_object *object;
	int error;

	object = iommufd_object_get(command->ctx, args->id,
				    IOMMUFD_OBJ_SELFTEST);
	if (IS_ERR(object))
		return PTR_ERR(object);
	selftest = to_selftest_device(object);
	error = mutex_lock_killable(&selftest->change_lock);
	if (!error) {
		error = change(selftest, args);
		mutex_unlock(&selftest->change_lock);
	}
	iommufd_object_put(command->ctx, object);
	return error;
}

static int replace_device(struct selftest_device *selftest,
			  struct iommu_test_cmd *args)
{
	return iommufd_device_replace(selftest->device, IOMMU_NO_PASID,
				      &args->mock_domain_replace.pt_id);
}

static int mock_domain_replace(struct iommufd_command *command)
{
	return change_device(command, replace_device) ?:
	       iommufd_respond(command, sizeof(struct iommu_test_cmd));
}

static int attach_pasid(struct selftest_device *selftest,
			struct iommu_test_cmd *args)
{
	u32 pasid = args->pasid_attach.pasid;
	u32 pt_id = args->pasid_attach.pt_id;
	int error;

	/* This would be the device itself, which is attached. */
	if (pasid == IOMMU_NO_PASID)
		return -EINVAL;
	error = iommufd_device_attach(selftest->device, pasid, &pt_id);
	if (error)
		return error;
	error = xa_err(xa_store(&selftest->pasids, pasid, xa_mk_value(pasid),
				GFP_KERNEL_ACCOUNT));
	if (error)
		iommufd_device_detach(selftest->device, pasid);
	return error;
}

static int pasid_attach(struct iommufd_command *command)
{
	return change_device(command, attach_pasid);
}

static int replace_pasid(struct selftest_device *selftest,
			 struct iommu_test_cmd *args)
{
	u32 pt_id = args->pasid_replace.pt_id;

	if (args->pasid_replace.pasid == IOMMU_NO_PASID)
		return -EINVAL;
	return iommufd_device_replace(selftest->device,
				      args->pasid_replace.pasid, &pt_id);
}

static int pasid_replace(struct iommufd_command *command)
{
	return change_device(command, replace_pasid);
}

/* One that is not attached is detached with success. */
static int detach_pasid(struct selftest_device *selftest,
			struct iommu_test_cmd *args)
{
	if (xa_erase(&selftest->pasids, args->pasid_detach.pasid))
		iommufd_device_detach(selftest->device,
				      args->pasid_detach.pasid);
	return 0;
}

static int pasid_detach(struct iommufd_command *command)
{
	return change_device(command, detach_pasid);
}

static bool is_hwpt(const struct iommufd_object *object)
{
	return object->type == IOMMUFD_OBJ_HWPT_PAGING ||
	       object->type == IOMMUFD_OBJ_HWPT_NESTED;
}

static int check_pasid_domain(struct selftest_device *selftest,
			      struct iommu_test_cmd *args)
{
	struct iommu_domain *domain =
		mock_device_pasid_domain(selftest->mock,
					 args->pasid_check.pasid);
	struct iommufd_object *object;
	bool right;

	if (!args->pasid_check.hwpt_id)
		return domain ? -EINVAL : 0;
	object = iommufd_object_get(selftest->ctx, args->pasid_check.hwpt_id,
				    IOMMUFD_OBJ_ANY);
	if (IS_ERR(object))
		return PTR_ERR(object);
	right = is_hwpt(object) &&
		container_of(object, struct iommufd_hw_pagetable,
			     obj)->domain == domain;
	iommufd_object_put(selftest->ctx, object);
	return right ? 0 : -EINVAL;
}

static int pasid_check_hwpt(struct iommufd_command *command)
{
	return change_device(command, check_pasid_domain);
}

static int check_cache(struct device *dev, u32 index, u32 value)
{
	struct mock_device *mock = mock_device_of(dev);

	if (!mock || index > MOCK_DEV_CACHE_ID_MAX)
		return -EINVAL;
	index = array_index_nospec(index, MOCK_DEV_CACHE_NUM);
	return mock->cache[index] == value ? 0 : -EINVAL;
}

static int dev_check_cache(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	struct iommufd_device *device;
	int error;

	device = iommufd_device_get(command->ctx, args->id);
	if (IS_ERR(device))
		return PTR_ERR(device);
	error = check_cache(device->dev, args->check_dev_cache.id,
			    args->check_dev_cache.cache);
	iommufd_object_put(command->ctx, &device->obj);
	return error;
}

static int report_fault(struct iommufd_device *device,
			struct iommu_test_cmd *args)
{
	const struct iommu_fault_page_request request = {
		.flags = IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE |
			 (args->trigger_iopf.pasid == IOMMU_NO_PASID ?
				  0 :
				  IOMMU_FAULT_PAGE_REQUEST_PASID_VALID),
		.pasid = args->trigger_iopf.pasid,
		.grpid = args->trigger_iopf.grpid,
		.perm = args->trigger_iopf.perm,
		.addr = args->trigger_iopf.addr,
	};
	struct mock_device *mock = mock_device_of(device->dev);

	if (!mock)
		return -EINVAL;
	/* A driver lets no report overtake a change of what is attached. */
	guard(mutex)(&device->group->lock);
	return mock_device_report_fault(mock, &request);
}

static int trigger_iopf(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	struct iommufd_device *device;
	int error;

	device = iommufd_device_get(command->ctx, args->trigger_iopf.dev_id);
	if (IS_ERR(device))
		return PTR_ERR(device);
	error = report_fault(device, args);
	iommufd_object_put(command->ctx, &device->obj);
	return error;
}

/* Address spaces ---------------------------------------------------------- */

static int add_reserved(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	struct iommufd_ioas *ioas;
	struct iova_range range;
	int error;

	error = iova_range_make(&range, args->add_reserved.start,
				args->add_reserved.length);
	if (error)
		return error;
	ioas = iommufd_ioas_get(command->ctx, args->id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	/* Nobody but the IOAS itself withdraws it, when it ends. */
	scoped_guard(rwsem_write, &ioas->areas_rwsem)
		error = ioas_reserve(ioas, range, ioas);
	iommufd_object_put(command->ctx, &ioas->obj);
	return error;
}

/**
 * struct map_check - MD_CHECK_MAP
 * @visitor: of the memory that should be mapped
 * @hwpt: where it should be mapped
 * @rest: the addresses that were not looked at
 * @done: there are no more
 * @page_offset: where in the next page the memory goes on
 */
struct map_check {
	struct user_page_visitor visitor;
	struct iommufd_hwpt_paging *hwpt;
	struct iova_range rest;
	bool done;
	unsigned int page_offset;
};

/* One entry of the smallest size. */
static int check_entry(struct map_check *check, struct page *page)
{
	struct iommu_domain *domain = check->hwpt->common.domain;

	if (domain->ops->iova_to_phys(domain, check->rest.first) !=
	    page_to_phys(page) + check->page_offset)
		return -EINVAL;
	check->done = check->rest.last - check->rest.first < MOCK_PAGE_SIZE;
	check->rest.first += MOCK_PAGE_SIZE;
	check->page_offset = (check->page_offset + MOCK_PAGE_SIZE) % PAGE_SIZE;
	return 0;
}

static int check_mapped(struct user_page_visitor *visitor, struct page **pages,
			unsigned int nr)
{
	struct map_check *check =
		container_of(visitor, struct map_check, visitor);
	unsigned int i;
	int error;

	/* Nobody unmaps and frees the tables that are walked. */
	guard(rwsem_write)(&check->hwpt->ioas->domains_rwsem);
	for (i = 0; i < nr; i++) {
		do {
			error = check_entry(check, pages[i]);
			if (error)
				return error;
		} while (check->page_offset && !check->done);
	}
	return 0;
}

static int check_map_of(struct iommufd_object *object,
			struct iommu_test_cmd *args, struct iova_range range)
{
	struct iommufd_hw_pagetable *hwpt = to_hw_pagetable(object);
	struct map_check check = {
		.visitor.visit = check_mapped,
		.hwpt = hwpt->paging,
		.rest = range,
		.page_offset = offset_in_page(args->check_map.uptr),
	};

	if (!mock_domain_is_mock(hwpt->domain))
		return -EINVAL;
	return iommufd_test_visit_pages(args->check_map.uptr,
					args->check_map.length, &check.visitor);
}

static int md_check_map(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	struct iommufd_object *object;
	struct iova_range range;
	int error;

	error = iova_range_make(&range, args->check_map.iova,
				args->check_map.length);
	if (error)
		return error;
	if (!iova_range_aligned(range, MOCK_PAGE_SIZE) ||
	    args->check_map.uptr % MOCK_PAGE_SIZE)
		return -EINVAL;
	object = iommufd_object_get(command->ctx, args->id,
				    IOMMUFD_OBJ_HWPT_PAGING);
	if (IS_ERR(object))
		return PTR_ERR(object);
	error = check_map_of(object, args, range);
	iommufd_object_put(command->ctx, object);
	return error;
}

/**
 * struct refs_check - MD_CHECK_REFS
 * @visitor: of the memory
 * @refs: how often each page should be pinned
 * @folio: the one that was seen last, with a reference, or NULL
 * @nr_pages: how many of its pages were seen
 */
struct refs_check {
	struct user_page_visitor visitor;
	unsigned int refs;
	struct folio *folio;
	unsigned long nr_pages;
};

static unsigned int folio_pins(struct folio *folio)
{
	if (folio_has_pincount(folio))
		return atomic_read(&folio->_pincount);
	return folio_ref_count(folio) / GUP_PIN_COUNTING_BIAS;
}

/*
 * A folio counts the pins of all its pages together: there is one for each
 * page that was seen at least, and one for each that it has at most.
 */
static int check_folio(struct refs_check *check)
{
	struct folio *folio = check->folio;
	unsigned int pins;

	if (!folio)
		return 0;
	pins = folio_pins(folio);
	if (pins < (u64)check->refs * check->nr_pages ||
	    pins > (u64)check->refs * folio_nr_pages(folio))
		return -EINVAL;
	return 0;
}

static void change_folio(struct refs_check *check, struct folio *folio)
{
	if (folio)
		folio_get(folio);
	if (check->folio)
		folio_put(check->folio);
	check->folio = folio;
	check->nr_pages = 0;
}

static int check_pinned(struct user_page_visitor *visitor, struct page **pages,
			unsigned int nr)
{
	struct refs_check *check =
		container_of(visitor, struct refs_check, visitor);
	unsigned int i;
	int error;

	for (i = 0; i < nr; i++) {
		struct folio *folio = page_folio(pages[i]);

		if (folio != check->folio) {
			error = check_folio(check);
			if (error)
				return error;
			change_folio(check, folio);
		}
		check->nr_pages++;
	}
	return 0;
}

static int md_check_refs(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	struct refs_check check = {
		.visitor.visit = check_pinned,
		.refs = args->check_refs.refs,
	};
	int error;

	if (!PAGE_ALIGNED(args->check_refs.uptr | args->check_refs.length))
		return -EINVAL;
	/* Selftests round down what they have mapped, and nothing may be left. */
	if (!args->check_refs.length)
		return 0;
	error = iommufd_test_visit_pages(args->check_refs.uptr,
					 args->check_refs.length,
					 &check.visitor);
	if (!error)
		error = check_folio(&check);
	change_folio(&check, NULL);
	return error;
}

/* Bits of a bitmap that are looked at under the lock that UNMAP takes. */
#define DIRTY_BITS_AT_ONCE 4096

/* What one command looks at in all. */
#define DIRTY_BITS_MAX SZ_1M

/**
 * struct dirty_marks - a part of what DIRTY is to do
 * @bits: a bit for each page, set if a device writes to the page
 * @iova: what bit 0 stands for
 * @page_shift: addresses to a bit, as a shift
 */
struct dirty_marks {
	DECLARE_BITMAP(bits, DIRTY_BITS_AT_ONCE);
	unsigned long iova;
	unsigned int page_shift;
};

/* Returns how many pages were marked, or an errno. */
static long mark_dirty(struct iommufd_hwpt_paging *hwpt,
		       struct dirty_marks *marks)
{
	unsigned long bit;
	long nr = 0;
	int error;

	/* Nobody unmaps and frees the tables that are walked. */
	guard(rwsem_write)(&hwpt->ioas->domains_rwsem);
	for_each_set_bit(bit, marks->bits, DIRTY_BITS_AT_ONCE) {
		error = mock_domain_set_dirty(hwpt->common.domain,
					      marks->iova +
					      (bit << marks->page_shift));
		if (error)
			return error;
		nr++;
	}
	return nr;
}

static int copy_marks(struct dirty_marks *marks, u64 address,
		      unsigned long nr_bits)
{
	u64 user_bits[BITS_TO_U64(DIRTY_BITS_AT_ONCE)];

	if (copy_from_user(user_bits, u64_to_user_ptr(address),
			   BITS_TO_U64(nr_bits) * sizeof(u64)))
		return -EFAULT;
	bitmap_zero(marks->bits, DIRTY_BITS_AT_ONCE);
	bitmap_from_arr64(marks->bits, user_bits, nr_bits);
	return 0;
}

static int mark_all_dirty(struct iommu_test_cmd *args,
			  struct iommufd_hwpt_paging *hwpt,
			  struct dirty_marks *marks, unsigned long nr_bits)
{
	unsigned long done, nr;
	long marked;
	int error;

	args->dirty.out_nr_dirty = 0;
	for (done = 0; done < nr_bits; done += nr) {
		nr = min(nr_bits - done, DIRTY_BITS_AT_ONCE);
		error = copy_marks(marks, args->dirty.uptr +
				   done / BITS_PER_BYTE, nr);
		if (error)
			return error;
		marks->iova = args->dirty.iova + (done << marks->page_shift);
		marked = mark_dirty(hwpt, marks);
		if (marked < 0)
			return marked;
		args->dirty.out_nr_dirty += marked;
		cond_resched();
	}
	return 0;
}

static int check_dirty(struct iommu_test_cmd *args, unsigned int *page_shift)
{
	u64 page_bytes = args->dirty.page_size;
	struct iova_range range;
	int error;

	if (args->dirty.flags)
		return -EOPNOTSUPP;
	error = iova_range_make(&range, args->dirty.iova, args->dirty.length);
	if (error)
		return error;
	if (page_bytes < MOCK_PAGE_SIZE || page_bytes > LONG_MAX ||
	    !is_power_of_2(page_bytes) ||
	    !iova_range_aligned(range, page_bytes))
		return -EINVAL;
	*page_shift = ilog2(page_bytes);
	if ((range.last - range.first) >> *page_shift >= DIRTY_BITS_MAX)
		return -EINVAL;
	return 0;
}

static int dirty(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	struct dirty_marks *marks __free(kfree) = NULL;
	struct iommufd_hwpt_paging *hwpt;
	unsigned int page_shift;
	int error;

	error = check_dirty(args, &page_shift);
	if (error)
		return error;
	marks = kzalloc_obj(*marks);
	if (!marks)
		return -ENOMEM;
	marks->page_shift = page_shift;
	hwpt = iommufd_hwpt_paging_get(command->ctx, args->id);
	if (IS_ERR(hwpt))
		return PTR_ERR(hwpt);
	error = -EINVAL;
	if (mock_domain_is_mock(hwpt->common.domain) &&
	    READ_ONCE(hwpt->dirty_tracking))
		error = mark_all_dirty(args, hwpt, marks,
				       args->dirty.length >> page_shift);
	iommufd_object_put(command->ctx, &hwpt->common.obj);
	return error ?: iommufd_respond(command, sizeof(*args));
}

static int check_iotlb(struct mock_nested_domain *nested, u32 index, u32 value)
{
	if (!nested || index > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	index = array_index_nospec(index, MOCK_NESTED_DOMAIN_IOTLB_NUM);
	return READ_ONCE(nested->iotlb[index]) == value ? 0 : -EINVAL;
}

static int md_check_iotlb(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	struct iommufd_object *object;
	int error;

	object = iommufd_object_get(command->ctx, args->id,
				    IOMMUFD_OBJ_HWPT_NESTED);
	if (IS_ERR(object))
		return PTR_ERR(object);
	error = check_iotlb(mock_nested_of(to_hw_pagetable(object)->domain),
			    args->check_iotlb.id, args->check_iotlb.iotlb);
	iommufd_object_put(command->ctx, object);
	return error;
}

static int set_temp_memory_limit(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	u32 limit = args->memory_limit.limit / sizeof(struct page *);

	if (!args->memory_limit.limit)
		limit = WINDOW_PAGES;
	WRITE_ONCE(pages_pinned_at_once, clamp(limit, 1, WINDOW_PAGES));
	return 0;
}

/* The table --------------------------------------------------------------- */

static int (*const test_operations[])(struct iommufd_command *command) = {
	[IOMMU_TEST_OP_ADD_RESERVED]		= add_reserved,
	[IOMMU_TEST_OP_MOCK_DOMAIN]		= mock_domain,
	[IOMMU_TEST_OP_MD_CHECK_MAP]		= md_check_map,
	[IOMMU_TEST_OP_MD_CHECK_REFS]		= md_check_refs,
	[IOMMU_TEST_OP_CREATE_ACCESS]		= iommufd_test_create_access,
	[IOMMU_TEST_OP_DESTROY_ACCESS_PAGES]	= iommufd_test_destroy_access_pages,
	[IOMMU_TEST_OP_ACCESS_PAGES]		= iommufd_test_access_pages,
	[IOMMU_TEST_OP_ACCESS_RW]		= iommufd_test_access_rw,
	[IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT]	= set_temp_memory_limit,
	[IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE]	= mock_domain_replace,
	[IOMMU_TEST_OP_ACCESS_REPLACE_IOAS]	= iommufd_test_access_replace_ioas,
	[IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS]	= mock_domain_flags,
	[IOMMU_TEST_OP_PASID_ATTACH]		= pasid_attach,
	[IOMMU_TEST_OP_PASID_REPLACE]		= pasid_replace,
	[IOMMU_TEST_OP_PASID_DETACH]		= pasid_detach,
	[IOMMU_TEST_OP_PASID_CHECK_HWPT]	= pasid_check_hwpt,
	[IOMMU_TEST_OP_TRIGGER_IOPF]		= trigger_iopf,
	[IOMMU_TEST_OP_DIRTY]			= dirty,
	[IOMMU_TEST_OP_MD_CHECK_IOTLB]		= md_check_iotlb,
	[IOMMU_TEST_OP_DEV_CHECK_CACHE]		= dev_check_cache,
	[IOMMU_TEST_OP_DMABUF_GET]		= iommufd_test_dma_buf_get,
	[IOMMU_TEST_OP_DMABUF_REVOKE]		= iommufd_test_dma_buf_revoke,
};

/**
 * iommufd_test() - IOMMU_TEST_CMD
 * @command: the command
 *
 * Return: a descriptor for DMABUF_GET, otherwise 0; -EOPNOTSUPP for an unknown
 * operation or a reserved field that is not zero; -EINVAL if a check finds that
 * something is not as it should be, or for what is no sensible argument; what
 * the operation answers.
 * Context: Sleeps for as long as user memory likes.
 */
int iommufd_test(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	unsigned int operation = args->op;

	if (args->__reserved)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "a reserved field is not zero", 0, 0);
	if (operation >= ARRAY_SIZE(test_operations))
		return -EOPNOTSUPP;
	operation = array_index_nospec(operation, ARRAY_SIZE(test_operations));
	if (!test_operations[operation])
		return -EOPNOTSUPP;
	return test_operations[operation](command);
}
