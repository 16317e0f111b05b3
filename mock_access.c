// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that emulates a device, and does to memory what user space tells it.
 *
 * DOC: accesses of the selftests
 *
 * An access lives as long as an anonymous file, whose descriptor is its name.
 * The file keeps the context open, as every driver that has an access does.
 *
 * What it pins is an item with a number. An item is in the table before its
 * pages are pinned, so that the unmap callback finds every pin that can exist:
 * it takes the items of its range out of the table and unpins them. One that
 * is being pinned at that moment is marked instead, and whoever pins it undoes
 * it as soon as that is done. Whoever takes an item out of the table unpins it,
 * so nobody does it twice.
 *
 * User memory is compared with what was pinned when the callback can already
 * take the item away: a page fault that nobody answers must not keep an UNMAP
 * or a detach waiting.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommufd_private.h"
#include "selftest.h"

/* How many items an access may have. */
#define ITEMS_MAX 4096

enum item_state {
	ITEM_PINNING,		/* by the command that made it */
	ITEM_CANCELLED,		/* the same, and it has to be undone */
	ITEM_PINNED,
};

/**
 * struct access_item - something that an access has pinned
 * @id: its number
 * @range: the addresses, constant
 * @state: guarded by the table's lock
 * @link: in the list of who takes it out
 */
struct access_item {
	u32 id;
	struct iova_range range;
	enum item_state state;
	struct list_head link;
};

/**
 * struct mock_access - the driver
 * @access: what iommufd made for it
 * @ctx: the context
 * @items: struct access_item by number
 * @next_item: where the search for a free number begins
 */
struct mock_access {
	struct iommufd_access *access;
	struct iommufd_ctx *ctx;
	struct xarray items;
	u32 next_item;
};

/* Items ------------------------------------------------------------------- */

static struct access_item *item_new(struct mock_access *mock,
				    struct iova_range range)
{
	struct access_item *item;
	int error;

	item = kzalloc_obj(*item, GFP_KERNEL_ACCOUNT);
	if (!item)
		return ERR_PTR(-ENOMEM);
	item->range = range;
	item->state = ITEM_PINNING;
	error = xa_alloc_cyclic(&mock->items, &item->id, item,
				XA_LIMIT(1, ITEMS_MAX), &mock->next_item,
				GFP_KERNEL_ACCOUNT);
	if (error < 0) {
		kfree(item);
		return ERR_PTR(error);
	}
	return item;
}

/* An item that was taken out of the table, pinned. */
static void item_unpin(struct mock_access *mock, struct access_item *item)
{
	iommufd_access_unpin_pages(mock->access, item->range.first,
				   iova_range_bytes(item->range));
	kfree(item);
}

/* From here on the callback may take the item away at any time. */
static bool item_commit(struct mock_access *mock, struct access_item *item,
			bool pinned)
{
	guard(spinlock)(&mock->items.xa_lock);
	if (pinned && item->state == ITEM_PINNING) {
		item->state = ITEM_PINNED;
		return true;
	}
	__xa_erase(&mock->items, item->id);
	return false;
}

/* Pin a range; @id is the number of the new item. */
static int item_pin(struct mock_access *mock, struct iova_range range,
		    unsigned int flags, struct page **pages, u32 *id)
{
	struct access_item *item = item_new(mock, range);
	int error;

	if (IS_ERR(item))
		return PTR_ERR(item);
	*id = item->id;
	error = iommufd_access_pin_pages(mock->access, range.first,
					 iova_range_bytes(range), pages, flags);
	if (item_commit(mock, item, !error))
		return 0;
	if (error) {
		kfree(item);
		return error;
	}
	item_unpin(mock, item);
	return -ENOENT;
}

static struct access_item *item_take(struct mock_access *mock, u32 id)
{
	struct access_item *item;

	guard(spinlock)(&mock->items.xa_lock);
	item = xa_load(&mock->items, id);
	if (!item || item->state != ITEM_PINNED)
		return NULL;
	__xa_erase(&mock->items, id);
	return item;
}

static int item_let_go(struct mock_access *mock, u32 id)
{
	struct access_item *item = item_take(mock, id);

	if (!item)
		return -ENOENT;
	item_unpin(mock, item);
	return 0;
}

static void take_items(struct mock_access *mock, struct iova_range range,
		       struct list_head *taken)
{
	struct access_item *item;
	unsigned long id;

	guard(spinlock)(&mock->items.xa_lock);
	xa_for_each(&mock->items, id, item) {
		if (item->range.last < range.first ||
		    item->range.first > range.last)
			continue;
		if (item->state != ITEM_PINNED) {
			item->state = ITEM_CANCELLED;
			continue;
		}
		__xa_erase(&mock->items, id);
		list_add_tail(&item->link, taken);
	}
}

/* The unmap callback. The longest length there is stands for "to the end". */
static void let_go_range(void *data, unsigned long iova, unsigned long length)
{
	const struct iova_range range = {
		.first = iova,
		.last = length == ULONG_MAX ? ULONG_MAX : iova + (length - 1),
	};
	struct mock_access *mock = data;
	struct access_item *item, *next;
	LIST_HEAD(taken);

	take_items(mock, range, &taken);
	list_for_each_entry_safe(item, next, &taken, link)
		item_unpin(mock, item);
}

static const struct iommufd_access_ops pinning_ops = {
	.needs_pin_pages = 1,
	.unmap = let_go_range,
};

static const struct iommufd_access_ops copying_ops = {
	.unmap = let_go_range,
};

/* Life -------------------------------------------------------------------- */

static void access_end(struct mock_access *mock)
{
	iommufd_access_destroy(mock->access);
	WARN_ON_ONCE(!xa_empty(&mock->items));
	xa_destroy(&mock->items);
	kfree(mock);
}

static struct mock_access *access_new(struct iommufd_ctx *ctx, u32 ioas_id,
				      const struct iommufd_access_ops *ops)
{
	struct iommufd_access *access;
	struct mock_access *mock;
	int error;
	u32 id;

	mock = kzalloc_obj(*mock, GFP_KERNEL_ACCOUNT);
	if (!mock)
		return ERR_PTR(-ENOMEM);
	xa_init_flags(&mock->items, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	mock->ctx = ctx;
	access = iommufd_access_create(ctx, ops, mock, &id);
	if (IS_ERR(access)) {
		kfree(mock);
		return ERR_CAST(access);
	}
	mock->access = access;
	error = iommufd_access_attach(access, ioas_id);
	if (error) {
		access_end(mock);
		return ERR_PTR(error);
	}
	return mock;
}

static int access_release(struct inode *inode, struct file *file)
{
	access_end(file->private_data);
	return 0;
}

static const struct file_operations access_fops = {
	.owner = THIS_MODULE,
	.release = access_release,
};

/**
 * iommufd_test_create_access() - IOMMU_TEST_OP_CREATE_ACCESS
 * @command: the command
 *
 * Return: 0; -EOPNOTSUPP for an unknown flag; what iommufd_access_create() and
 * iommufd_access_attach() answer; -ENOMEM, -EMFILE or -ENFILE if there can be
 * no file; -EFAULT.
 * Context: May sleep.
 */
int iommufd_test_create_access(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	u32 flags = args->create_access.flags;
	struct mock_access *mock;
	int error;

	if (flags & ~MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
		return -EOPNOTSUPP;
	mock = access_new(command->ctx, args->id,
			  flags ? &pinning_ops : &copying_ops);
	if (IS_ERR(mock))
		return PTR_ERR(mock);

	FD_PREPARE(fdf, O_CLOEXEC,
		   anon_inode_getfile("[iommufd_test_access]", &access_fops,
				      mock, O_RDWR));
	if (fdf.err) {
		access_end(mock);
		return fdf.err;
	}
	/* The file has it now, whatever comes. */
	args->create_access.out_access_fd = fd_prepare_fd(fdf);
	error = iommufd_respond(command, sizeof(*args));
	if (error)
		return error;
	fd_publish(fdf);
	return 0;
}

/* The access that a descriptor of the caller names, if it is in the context. */
static struct mock_access *to_mock_access(struct iommufd_command *command,
					  struct file *file)
{
	struct mock_access *mock;

	if (!file)
		return ERR_PTR(-EBADF);
	if (file->f_op != &access_fops)
		return ERR_PTR(-EINVAL);
	mock = file->private_data;
	return mock->ctx == command->ctx ? mock : ERR_PTR(-EINVAL);
}

/**
 * iommufd_test_access_replace_ioas() - IOMMU_TEST_OP_ACCESS_REPLACE_IOAS
 * @command: the command
 *
 * Return: 0; -EBADF or -EINVAL if the id is not the descriptor of an access of
 * this context; what iommufd_access_replace() answers.
 * Context: May sleep.
 */
int iommufd_test_access_replace_ioas(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	struct mock_access *mock;

	CLASS(fd, f)(args->id);
	mock = to_mock_access(command, fd_file(f));
	if (IS_ERR(mock))
		return PTR_ERR(mock);
	return iommufd_access_replace(mock->access,
				      args->access_replace_ioas.ioas_id);
}

/* Pages ------------------------------------------------------------------- */

/**
 * struct pages_check - compares pages with user memory
 * @visitor: of the user memory
 * @pages: the pages that it should consist of
 */
struct pages_check {
	struct user_page_visitor visitor;
	struct page **pages;
};

static int check_pages(struct user_page_visitor *visitor, struct page **pages,
		       unsigned int nr)
{
	struct pages_check *check =
		container_of(visitor, struct pages_check, visitor);

	/* Addresses only: nobody has to keep the pages for that. */
	if (memcmp(check->pages, pages, nr * sizeof(*pages)))
		return -EINVAL;
	check->pages += nr;
	return 0;
}

static int compare_pages(struct page **pages, u64 address, u64 length)
{
	struct pages_check check = {
		.visitor.visit = check_pages,
		.pages = pages,
	};

	return address ? iommufd_test_visit_pages(address, length,
						  &check.visitor) :
			 0;
}

/* The @nr th area of an address space, counted from 0. */
static struct iommufd_area *nth_area(struct iommufd_ioas *ioas, u32 nr)
{
	struct rb_node *node;

	lockdep_assert_held(&ioas->areas_rwsem);
	for (node = rb_first(&ioas->areas); node && nr; node = rb_next(node)) {
		nr--;
		cond_resched();
	}
	return rb_entry_safe(node, struct iommufd_area, node);
}

/* MOCK_FLAGS_ACCESS_SYZ: the number is the lower half, the offset the upper. */
static int decode_syz(struct mock_access *mock, u64 *iova)
{
	struct iommufd_area *area;
	struct iommufd_ioas *ioas;
	int error = -ENOENT;

	ioas = iommufd_access_ioas_get(mock->access);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	scoped_guard(rwsem_read, &ioas->areas_rwsem) {
		area = nth_area(ioas, lower_32_bits(*iova));
		if (area)
			error = check_add_overflow(area->iova.first,
						   upper_32_bits(*iova), iova) ?
					-EOVERFLOW : 0;
	}
	iommufd_object_put(mock->ctx, &ioas->obj);
	return error;
}

static int decode_range(struct mock_access *mock, u64 iova, u64 length,
			u32 flags, struct iova_range *range)
{
	int error;

	if (length > TEST_BYTES_MAX)
		return -EINVAL;
	if (flags & MOCK_FLAGS_ACCESS_SYZ) {
		error = decode_syz(mock, &iova);
		if (error)
			return error;
	}
	return iova_range_make(range, iova, length);
}

static int pin_and_compare(struct mock_access *mock,
			   struct iommu_test_cmd *args,
			   struct iova_range range)
{
	unsigned long nr_pages = (range.last >> PAGE_SHIFT) -
				 (range.first >> PAGE_SHIFT) + 1;
	unsigned int flags = 0;
	int error;
	u32 id;

	if (args->access_pages.flags & MOCK_FLAGS_ACCESS_WRITE)
		flags = IOMMUFD_ACCESS_RW_WRITE;

	struct page **pages __free(kvfree) =
		kvcalloc(nr_pages, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	error = item_pin(mock, range, flags, pages, &id);
	if (error)
		return error;
	error = compare_pages(pages, args->access_pages.uptr,
			      args->access_pages.length);
	if (error)
		item_let_go(mock, id);
	args->access_pages.out_access_pages_id = id;
	return error;
}

/**
 * iommufd_test_access_pages() - IOMMU_TEST_OP_ACCESS_PAGES
 * @command: the command
 *
 * Return: 0; -EOPNOTSUPP for an unknown flag; -EINVAL for a length that is zero
 * or above TEST_BYTES_MAX, an offset within a page that is not that of the user
 * memory, or if the pages are not those of the user memory; -EBUSY if there are
 * too many items; -EBADF or -EINVAL if the id is not the descriptor of an access
 * of this context; what iommufd_access_pin_pages() answers; -EFAULT.
 * Context: Sleeps for as long as user memory likes.
 */
int iommufd_test_access_pages(struct iommufd_command *command)
{
	const u32 known = MOCK_FLAGS_ACCESS_WRITE | MOCK_FLAGS_ACCESS_SYZ;
	struct iommu_test_cmd *args = command->args;
	struct iova_range range;
	struct mock_access *mock;
	int error;

	if (args->access_pages.flags & ~known)
		return -EOPNOTSUPP;
	CLASS(fd, f)(args->id);
	mock = to_mock_access(command, fd_file(f));
	if (IS_ERR(mock))
		return PTR_ERR(mock);
	error = decode_range(mock, args->access_pages.iova,
			     args->access_pages.length,
			     args->access_pages.flags, &range);
	if (error)
		return error;
	if (args->access_pages.uptr &&
	    offset_in_page(args->access_pages.uptr ^ range.first))
		return -EINVAL;
	error = pin_and_compare(mock, args, range);
	if (error)
		return error;
	error = iommufd_respond(command, sizeof(*args));
	if (error)
		item_let_go(mock, args->access_pages.out_access_pages_id);
	return error;
}

/**
 * iommufd_test_destroy_access_pages() - IOMMU_TEST_OP_DESTROY_ACCESS_PAGES
 * @command: the command
 *
 * Return: 0; -ENOENT if there is no such item, because it never was or the
 * access was made to let it go; -EBADF or -EINVAL if the id is not the descriptor
 * of an access of this context.
 * Context: May sleep.
 */
int iommufd_test_destroy_access_pages(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	struct mock_access *mock;

	CLASS(fd, f)(args->id);
	mock = to_mock_access(command, fd_file(f));
	if (IS_ERR(mock))
		return PTR_ERR(mock);
	return item_let_go(mock, args->destroy_access_pages.access_pages_id);
}

/* Copying ----------------------------------------------------------------- */

/* The flags are passed on as they are. */
static_assert((int)MOCK_ACCESS_RW_WRITE == (int)IOMMUFD_ACCESS_RW_WRITE &&
	      (int)MOCK_ACCESS_RW_SLOW_PATH ==
		      (int)__IOMMUFD_ACCESS_RW_SLOW_PATH);

static int copy_range(struct mock_access *mock, struct iova_range range,
		      void __user *user, u32 flags)
{
	bool write = flags & MOCK_ACCESS_RW_WRITE;
	unsigned long bytes = iova_range_bytes(range);
	int error;

	void *buffer __free(kvfree) = kvzalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return -ENOMEM;
	if (write && copy_from_user(buffer, user, bytes))
		return -EFAULT;
	error = iommufd_access_rw(mock->access, range.first, buffer, bytes,
				  flags);
	if (!error && !write && copy_to_user(user, buffer, bytes))
		error = -EFAULT;
	return error;
}

/**
 * iommufd_test_access_rw() - IOMMU_TEST_OP_ACCESS_RW
 * @command: the command
 *
 * Return: 0; -EOPNOTSUPP for an unknown flag; -EINVAL for a length that is zero
 * or above TEST_BYTES_MAX; -EBADF or -EINVAL if the id is not the descriptor of
 * an access of this context; what iommufd_access_rw() answers; -ENOMEM; -EFAULT.
 * Context: Sleeps for as long as user memory likes.
 */
int iommufd_test_access_rw(struct iommufd_command *command)
{
	const u32 rw_flags = MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH;
	struct iommu_test_cmd *args = command->args;
	u32 flags = args->access_rw.flags;
	struct iova_range range;
	struct mock_access *mock;
	int error;

	if (flags & ~(rw_flags | MOCK_FLAGS_ACCESS_SYZ))
		return -EOPNOTSUPP;
	CLASS(fd, f)(args->id);
	mock = to_mock_access(command, fd_file(f));
	if (IS_ERR(mock))
		return PTR_ERR(mock);
	error = decode_range(mock, args->access_rw.iova,
			     args->access_rw.length, flags, &range);
	if (error)
		return error;
	return copy_range(mock, range, u64_to_user_ptr(args->access_rw.uptr),
			  flags & rw_flags);
}
