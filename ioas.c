// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands on an I/O address space: they decode and check what user space
 * asks for, and say what came of it. The work is in io_pagetable.c.
 */
#include <linux/dma-buf.h>
#include <linux/file.h>
#include <linux/iommu.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommufd_private.h"

/* Ranges a promise may consist of: a guest's memory map has a handful. */
#define ALLOWED_RANGES_MAX 65536

/**
 * iommufd_ioas_alloc() - IOMMU_IOAS_ALLOC
 * @command: the command
 *
 * Return: 0; -EOPNOTSUPP for an unknown flag; -ENOMEM; -EFAULT.
 * Context: May sleep.
 */
int iommufd_ioas_alloc(struct iommufd_command *command)
{
	struct iommu_ioas_alloc *args = command->args;
	struct iommufd_ioas *ioas;
	int error;

	if (args->flags)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "an unknown flag", args->flags, 0);
	ioas = iommufd_ioas_new(command->ctx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	args->out_ioas_id = ioas->obj.id;
	error = iommufd_respond(command, sizeof(*args));
	if (error) {
		iommufd_ioas_destroy(&ioas->obj);
		iommufd_object_abort(command->ctx, &ioas->obj);
		return error;
	}
	iommufd_object_publish(command->ctx, &ioas->obj);
	return 0;
}

/* The ranges that are not reserved, in memory of the kernel. */
struct range_list {
	struct iommu_iova_range *ranges;
	u32 nr;
	u32 alignment;
};

static int list_ranges(struct iommufd_ioas *ioas, struct range_list *list)
{
	struct interval_tree_span_iter span;
	u32 nr = 0;

	guard(rwsem_read)(&ioas->areas_rwsem);
	interval_tree_for_each_span(&span, &ioas->reserved, 0, ULONG_MAX)
		nr += span.is_hole == 1;
	list->alignment = ioas->alignment;
	list->ranges = kvcalloc(nr, sizeof(*list->ranges), GFP_KERNEL_ACCOUNT);
	if (!list->ranges && nr)
		return -ENOMEM;
	interval_tree_for_each_span(&span, &ioas->reserved, 0, ULONG_MAX) {
		if (span.is_hole != 1)
			continue;
		list->ranges[list->nr].start = span.start_hole;
		list->ranges[list->nr++].last = span.last_hole;
	}
	return 0;
}

static int report_ranges(struct iommufd_command *command,
			 const struct range_list *list)
{
	struct iommu_ioas_iova_ranges *args = command->args;
	u32 room = args->num_iovas;
	int error;

	if (copy_to_user(u64_to_user_ptr(args->allowed_iovas), list->ranges,
			 min(room, list->nr) * sizeof(*list->ranges)))
		return -EFAULT;
	args->num_iovas = list->nr;
	args->out_iova_alignment = list->alignment;
	error = iommufd_respond(command, sizeof(*args));
	if (!error && room < list->nr)
		error = iommufd_refuse(command->ctx, -EMSGSIZE,
				       "more ranges than there is room", room,
				       list->nr);
	return error;
}

/**
 * iommufd_ioas_iova_ranges() - IOMMU_IOAS_IOVA_RANGES
 * @command: the command
 *
 * Return: 0; -ENOENT if there is no such IOAS; -EMSGSIZE if there are more
 * ranges than the user has room for, with as many as fit and their number;
 * -EOPNOTSUPP if the reserved field is not zero; -ENOMEM; -EFAULT.
 * Context: Sleeps for user memory with nothing held but the IOAS.
 */
int iommufd_ioas_iova_ranges(struct iommufd_command *command)
{
	struct iommu_ioas_iova_ranges *args = command->args;
	struct range_list list = {};
	struct iommufd_ioas *ioas;
	int error;

	if (args->__reserved)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "a reserved field is not zero", 0, 0);
	ioas = iommufd_ioas_get(command->ctx, args->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	error = list_ranges(ioas, &list);
	if (!error)
		error = report_ranges(command, &list);
	kvfree(list.ranges);
	iommufd_object_put(command->ctx, &ioas->obj);
	return error;
}

static int read_allowed(struct rb_root_cached *allowed,
			const struct iommu_iova_range __user *ranges, u32 nr)
{
	struct iommu_iova_range range;
	int error;
	u32 i;

	for (i = 0; i < nr; i++) {
		if (copy_from_user(&range, &ranges[i], sizeof(range)))
			return -EFAULT;
		if (range.start > range.last)
			return -EINVAL;
		if (range.last > ULONG_MAX)
			return -EOVERFLOW;
		error = ioas_allowed_add(allowed, (struct iova_range){
							  range.start,
							  range.last });
		if (error)
			return error;
		cond_resched();
	}
	return 0;
}

/**
 * iommufd_ioas_allow_iovas() - IOMMU_IOAS_ALLOW_IOVAS
 * @command: the command
 *
 * Return: 0; -ENOENT if there is no such IOAS; -EADDRINUSE if one of the
 * ranges is not free of reservations; -EINVAL for a range that ends before it
 * starts, ranges that overlap, or more than 65536 of them; -EOVERFLOW for one
 * beyond the address space; -EOPNOTSUPP if the reserved field is not zero;
 * -ENOMEM; -EFAULT. What was allowed before stays so on error.
 * Context: Sleeps for user memory with nothing held but the IOAS.
 */
int iommufd_ioas_allow_iovas(struct iommufd_command *command)
{
	struct iommu_ioas_allow_iovas *args = command->args;
	struct rb_root_cached allowed = RB_ROOT_CACHED;
	struct iommufd_ioas *ioas;
	int error;

	if (args->__reserved)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "a reserved field is not zero", 0, 0);
	if (args->num_iovas > ALLOWED_RANGES_MAX)
		return iommufd_refuse(command->ctx, -EINVAL,
				      "too many ranges", args->num_iovas,
				      ALLOWED_RANGES_MAX);
	ioas = iommufd_ioas_get(command->ctx, args->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	error = read_allowed(&allowed, u64_to_user_ptr(args->allowed_iovas),
			     args->num_iovas);
	if (!error)
		error = ioas_set_allowed(ioas, &allowed);
	ioas_allowed_free(&allowed);
	iommufd_object_put(command->ctx, &ioas->obj);
	return error;
}

/**
 * struct map_request - what the commands that map have in common
 * @ioas_id: where to
 * @flags: IOMMU_IOAS_MAP_...
 * @length: bytes
 * @iova: the member of the command's struct, in and out
 * @prot: what decode_map() makes of the flags
 * @args_bytes: our size of the command's struct
 * @areas: what is to be mapped
 */
struct map_request {
	u32 ioas_id;
	u32 flags;
	u64 length;
	u64 *iova;
	int prot;
	size_t args_bytes;
	struct list_head areas;
};

static int decode_map(struct iommufd_ctx *ctx, struct map_request *request)
{
	const u32 access = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
	u64 length = request->length, iova = *request->iova;
	u32 flags = request->flags;

	if (flags & ~(access | IOMMU_IOAS_MAP_FIXED_IOVA))
		return iommufd_refuse(ctx, -EOPNOTSUPP, "an unknown flag",
				      flags, 0);
	if (!(flags & access))
		return iommufd_refuse(ctx, -EINVAL,
				      "neither readable nor writeable", flags,
				      0);
	if (!length)
		return iommufd_refuse(ctx, -EINVAL, "nothing to map", 0, 0);
	if (length >= ULONG_MAX ||
	    (flags & IOMMU_IOAS_MAP_FIXED_IOVA && iova >= ULONG_MAX))
		return iommufd_refuse(ctx, -EOVERFLOW,
				      "beyond the address space", iova, length);
	if (flags & IOMMU_IOAS_MAP_READABLE)
		request->prot |= IOMMU_READ;
	if (flags & IOMMU_IOAS_MAP_WRITEABLE)
		request->prot |= IOMMU_WRITE;
	return 0;
}

/*
 * Map the areas and tell user space where. If it cannot be told, it is as if
 * it had not asked.
 */
static int map_and_respond(struct iommufd_command *command,
			   struct iommufd_ioas *ioas,
			   struct map_request *request)
{
	unsigned long at = *request->iova;
	struct iova_range range;
	unsigned long unmapped;
	int error;

	error = ioas_map(ioas, &request->areas, request->length, &at,
			 request->flags & IOMMU_IOAS_MAP_FIXED_IOVA,
			 request->prot);
	if (error)
		return iommufd_refuse(command->ctx, error, "map",
				      *request->iova, request->length);
	*request->iova = at;
	error = iommufd_respond(command, request->args_bytes);
	if (error && !iova_range_make(&range, at, request->length))
		ioas_unmap(ioas, range, &unmapped);
	return error;
}

/* Do the request, unless @error says that there is nothing to map. */
static int map_areas(struct iommufd_command *command,
		     struct map_request *request, int error)
{
	struct iommufd_ioas *ioas;

	if (!error) {
		ioas = iommufd_ioas_get(command->ctx, request->ioas_id);
		if (IS_ERR(ioas)) {
			error = PTR_ERR(ioas);
		} else {
			error = map_and_respond(command, ioas, request);
			/* Their sources know them, and through them the IOAS. */
			iommufd_areas_free(&request->areas);
			iommufd_object_put(command->ctx, &ioas->obj);
		}
	}
	iommufd_areas_free(&request->areas);
	return error;
}

/* The area of a MAP: all of a new source, which it takes over, error or not. */
static int add_area(struct pin_source *source, struct iova_range memory,
		    struct list_head *areas)
{
	struct iommufd_area *area;

	if (IS_ERR(source))
		return PTR_ERR(source);
	area = iommufd_area_alloc(source, memory.first >> PAGE_SHIFT,
				  offset_in_page(memory.first),
				  iova_range_bytes(memory));
	if (IS_ERR(area)) {
		pin_source_put(source);
		return PTR_ERR(area);
	}
	list_add_tail(&area->batch, areas);
	return 0;
}

static int make_user_area(struct iommufd_ctx *ctx, u64 address, u64 length,
			  bool writable, struct list_head *areas)
{
	struct iova_range memory;
	int error;

	/* Nothing but the arithmetic: the memory need not be there yet. */
	error = iova_range_make(&memory, untagged_addr(address), length);
	if (error)
		return iommufd_refuse(ctx, error, "no such user memory",
				      address, length);
	return add_area(pin_source_alloc_user(ctx, memory.first >> PAGE_SHIFT,
					      writable),
			memory, areas);
}

/**
 * iommufd_ioas_map() - IOMMU_IOAS_MAP
 * @command: the command
 *
 * Return: 0; -ENOENT if there is no such IOAS; -EOPNOTSUPP for an unknown flag
 * or a reserved field that is not zero; -EINVAL if there is nothing to map, no
 * access is asked for, or the IOVA is reserved or badly aligned; -EOVERFLOW if
 * a range wraps; -EEXIST if something is mapped there; -ENOSPC if there is no
 * room; -EFAULT if the memory is not there; -ENOMEM.
 * Context: Sleeps for as long as user memory likes.
 */
int iommufd_ioas_map(struct iommufd_command *command)
{
	struct iommu_ioas_map *args = command->args;
	struct map_request request = {
		.ioas_id = args->ioas_id,
		.flags = args->flags,
		.length = args->length,
		.iova = &args->iova,
		.args_bytes = sizeof(*args),
		.areas = LIST_HEAD_INIT(request.areas),
	};
	int error;

	if (args->__reserved)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "a reserved field is not zero", 0, 0);
	error = decode_map(command->ctx, &request);
	if (error)
		return error;
	error = make_user_area(command->ctx, args->user_va, args->length,
			       request.prot & IOMMU_WRITE, &request.areas);
	return map_areas(command, &request, error);
}

/* A file by its descriptor, as a source of the kind that it is. */
static struct pin_source *file_source_get(struct iommufd_ctx *ctx, int fd,
					  struct iova_range bytes, int prot)
{
	struct pin_source *source;
	struct dma_buf *dma_buf;
	struct file *file;

	if (IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)) {
		dma_buf = dma_buf_get(fd);
		if (!IS_ERR(dma_buf)) {
			source = pin_source_alloc_dmabuf(ctx, dma_buf, bytes);
			dma_buf_put(dma_buf);
			return source;
		}
	}
	file = fget(fd);
	if (!file)
		return ERR_PTR(iommufd_refuse(ctx, -EBADF,
					      "no such file descriptor", fd,
					      0));
	source = pin_source_alloc_file(ctx, file, bytes, prot);
	fput(file);
	return source;
}

static int make_file_area(struct iommufd_ctx *ctx,
			  const struct iommu_ioas_map_file *args, int prot,
			  struct list_head *areas)
{
	struct pin_source *source;
	struct iova_range bytes;
	int error;

	error = iova_range_make(&bytes, args->start, args->length);
	if (error)
		return iommufd_refuse(ctx, error, "no such bytes of a file",
				      args->start, args->length);
	source = file_source_get(ctx, args->fd, bytes, prot);
	return add_area(source, bytes, areas);
}

/**
 * iommufd_ioas_map_file() - IOMMU_IOAS_MAP_FILE
 * @command: the command
 *
 * Return: 0; -EBADF if the descriptor is not open; -EINVAL if it is not of
 * memory, or the file ends before the range does; -EPERM if it is not open for
 * the access that is asked for, or sealed against it; -ENODEV if it is a
 * dma-buf that is revoked; otherwise as iommufd_ioas_map().
 * Context: Sleeps for as long as the file's memory takes.
 */
int iommufd_ioas_map_file(struct iommufd_command *command)
{
	struct iommu_ioas_map_file *args = command->args;
	struct map_request request = {
		.ioas_id = args->ioas_id,
		.flags = args->flags,
		.length = args->length,
		.iova = &args->iova,
		.args_bytes = sizeof(*args),
		.areas = LIST_HEAD_INIT(request.areas),
	};
	int error;

	error = decode_map(command->ctx, &request);
	if (error)
		return error;
	error = make_file_area(command->ctx, args, request.prot,
			       &request.areas);
	return map_areas(command, &request, error);
}

static int find_copied(struct iommufd_command *command, int prot,
		       struct list_head *areas)
{
	struct iommu_ioas_copy *args = command->args;
	struct iommufd_ioas *source;
	struct iommufd_area *area;
	struct iova_range range;
	int error;

	error = iova_range_make(&range, args->src_iova, args->length);
	if (error)
		return error;
	source = iommufd_ioas_get(command->ctx, args->src_ioas_id);
	if (IS_ERR(source))
		return PTR_ERR(source);
	error = ioas_copy_areas(source, range, areas);
	iommufd_object_put(command->ctx, &source->obj);
	if (error)
		return error;
	list_for_each_entry(area, areas, batch)
		if (prot & IOMMU_WRITE && !area->source->writable)
			return iommufd_refuse(command->ctx, -EPERM,
					      "a writeable copy of memory that is not",
					      args->src_iova, args->length);
	return 0;
}

/**
 * iommufd_ioas_copy() - IOMMU_IOAS_COPY
 * @command: the command
 *
 * Return: 0; -ENOENT if there is no such IOAS or the source range is not
 * mapped without a gap; -EPERM if the copy is to be writeable and the memory
 * was mapped readable only; otherwise as iommufd_ioas_map().
 * Context: Sleeps for as long as user memory likes.
 */
int iommufd_ioas_copy(struct iommufd_command *command)
{
	struct iommu_ioas_copy *args = command->args;
	struct map_request request = {
		.ioas_id = args->dst_ioas_id,
		.flags = args->flags,
		.length = args->length,
		.iova = &args->dst_iova,
		.args_bytes = sizeof(*args),
		.areas = LIST_HEAD_INIT(request.areas),
	};
	int error;

	error = decode_map(command->ctx, &request);
	if (error)
		return error;
	error = find_copied(command, request.prot, &request.areas);
	return map_areas(command, &request, error);
}

static int unmap_range(struct iommufd_command *command,
		       struct iommufd_ioas *ioas, bool everything,
		       struct iova_range range)
{
	struct iommu_ioas_unmap *args = command->args;
	unsigned long unmapped;
	int error, fault;

	error = ioas_unmap(ioas, range, &unmapped);
	if (!error && !unmapped && !everything)
		error = -ENOENT;
	if (error)
		iommufd_refuse(command->ctx, error, "unmap", args->iova,
			       args->length);
	args->length = unmapped;
	fault = iommufd_respond(command, sizeof(*args));
	return error ?: fault;
}

/**
 * iommufd_ioas_unmap() - IOMMU_IOAS_UNMAP
 * @command: the command
 *
 * Return: 0; -ENOENT if there is no such IOAS, nothing is mapped in the range,
 * or an area is only partly in it; -EINVAL for a length of zero; -EOVERFLOW if
 * the range wraps; -EBUSY if hardware uses the memory directly; -EINTR if the
 * caller was killed. The length says what was unmapped, on error too.
 * Context: Sleeps. Waits for accesses that pinned something.
 */
int iommufd_ioas_unmap(struct iommufd_command *command)
{
	struct iommu_ioas_unmap *args = command->args;
	struct iova_range range = { 0, ULONG_MAX };
	struct iommufd_ioas *ioas;
	bool everything;
	int error = 0;

	everything = !args->iova && args->length == U64_MAX;
	if (!everything)
		error = iova_range_make(&range, args->iova, args->length);
	if (error)
		return iommufd_refuse(command->ctx, error, "not a range",
				      args->iova, args->length);
	ioas = iommufd_ioas_get(command->ctx, args->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	error = unmap_range(command, ioas, everything, range);
	iommufd_object_put(command->ctx, &ioas->obj);
	return error;
}

static int set_rlimit_mode(struct iommufd_ctx *ctx, u64 value)
{
	if (!capable(CAP_SYS_RESOURCE))
		return iommufd_refuse(ctx, -EPERM, "CAP_SYS_RESOURCE is needed",
				      value, 0);
	if (value > 1)
		return iommufd_refuse(ctx, -EINVAL, "not an accounting mode",
				      value, 0);
	/* Taking an id needs the same lock. */
	guard(spinlock)(&ctx->objects.xa_lock);
	if (!xa_empty(&ctx->objects))
		return iommufd_refuse(ctx, -EBUSY,
				      "the first object was made already",
				      value, 0);
	WRITE_ONCE(ctx->account_mode, value ? ACCOUNT_MM : ACCOUNT_USER);
	return 0;
}

static int option_rlimit_mode(struct iommufd_ctx *ctx,
			      struct iommu_option *args)
{
	if (args->object_id)
		return iommufd_refuse(ctx, -EOPNOTSUPP,
				      "the option is not one of an object",
				      args->object_id, 0);
	if (args->op == IOMMU_OPTION_OP_SET)
		return set_rlimit_mode(ctx, args->val64);
	args->val64 = READ_ONCE(ctx->account_mode) == ACCOUNT_MM;
	return 0;
}

static int option_huge_pages(struct iommufd_ctx *ctx, struct iommu_option *args)
{
	struct iommufd_ioas *ioas;
	int error = 0;

	ioas = iommufd_ioas_get(ctx, args->object_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	if (args->op == IOMMU_OPTION_OP_GET)
		args->val64 = READ_ONCE(ioas->huge_pages);
	else if (args->val64 > 1)
		error = iommufd_refuse(ctx, -EINVAL, "neither 0 nor 1",
				       args->val64, 0);
	else
		error = ioas_set_huge_pages(ioas, args->val64);
	iommufd_object_put(ctx, &ioas->obj);
	return error;
}

/**
 * iommufd_option() - IOMMU_OPTION
 * @command: the command
 *
 * Return: 0; -EOPNOTSUPP for an unknown option or operation, or a reserved
 * field that is not zero; -ENOENT if there is no such object; -EINVAL for a
 * value that the option does not have; -EPERM without the privilege to set it;
 * -EBUSY if it is too late to set it.
 * Context: May sleep.
 */
int iommufd_option(struct iommufd_command *command)
{
	struct iommu_option *args = command->args;
	int error;

	if (args->__reserved || args->op > IOMMU_OPTION_OP_GET)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "an unknown operation", args->op, 0);
	switch (args->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		error = option_rlimit_mode(command->ctx, args);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		error = option_huge_pages(command->ctx, args);
		break;
	default:
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "an unknown option", args->option_id, 0);
	}
	if (error)
		return error;
	return iommufd_respond(command, sizeof(*args));
}
