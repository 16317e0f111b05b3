// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/iommu: open, close and the table of commands.
 *
 * DOC: commands
 *
 * Every command is one struct that begins with its own size, as user space
 * knows it. Shorter than the first version: EINVAL. Longer than ours: the rest
 * must be zero, or user space asks for what we do not understand: E2BIG. What
 * user space does not give reads as zero. A command then decodes and checks
 * (may refuse), prepares (may fail), and commits (cannot fail).
 *
 * A context lives as long as its file. A driver that bound a device or made
 * an access holds the file, so that when it is released nothing of the kernel
 * is left in the context.
 */
#define pr_fmt(fmt) "iommufd: " fmt

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommufd_private.h"
#include "selftest.h"

/* More than any struct will ever have; bounds the search for zeroes. */
#define COMMAND_BYTES_MAX PAGE_SIZE

union command_args {
	struct iommu_destroy destroy;
	struct iommu_fault_alloc fault_alloc;
	struct iommu_hw_info hw_info;
	struct iommu_hwpt_alloc hwpt_alloc;
	struct iommu_hwpt_get_dirty_bitmap hwpt_get_dirty_bitmap;
	struct iommu_hwpt_invalidate hwpt_invalidate;
	struct iommu_hwpt_set_dirty_tracking hwpt_set_dirty_tracking;
	struct iommu_ioas_alloc ioas_alloc;
	struct iommu_ioas_allow_iovas ioas_allow_iovas;
	struct iommu_ioas_change_process ioas_change_process;
	struct iommu_ioas_copy ioas_copy;
	struct iommu_ioas_iova_ranges ioas_iova_ranges;
	struct iommu_ioas_map ioas_map;
	struct iommu_ioas_map_file ioas_map_file;
	struct iommu_ioas_unmap ioas_unmap;
	struct iommu_option option;
	struct iommu_vfio_ioas vfio_ioas;
	struct iommu_viommu_alloc viommu_alloc;
	struct iommu_test_cmd test;
};

/**
 * struct command_row - what there is to know of a command
 * @name: for people
 * @number: the whole ioctl number
 * @bytes: our size of its struct
 * @min_bytes: that of its first version
 * @execute: does it; the return value is the ioctl's, an errno if negative
 */
struct command_row {
	const char *name;
	unsigned int number;
	u32 bytes;
	u32 min_bytes;
	int (*execute)(struct iommufd_command *command);
};

/* IOMMU_@command takes a struct iommu_@name and is done by iommufd_@name(). */
#define ROW(command, name_, last_of_first_version)                             \
	[IOMMUFD_CMD_##command - IOMMUFD_CMD_BASE] = {                         \
		.name = "IOMMU_" #command,                                     \
		.number = _IO(IOMMUFD_TYPE, IOMMUFD_CMD_##command),            \
		.bytes = sizeof(struct iommu_##name_),                         \
		.min_bytes = offsetofend(struct iommu_##name_,                 \
					 last_of_first_version) +              \
			     BUILD_BUG_ON_ZERO(sizeof(struct iommu_##name_) >  \
					       sizeof(union command_args)),    \
		.execute = iommufd_##name_,                                    \
	}

static const struct command_row commands[] = {
	ROW(DESTROY,		destroy,		id),
	ROW(FAULT_QUEUE_ALLOC,	fault_alloc,		out_fault_fd),
	ROW(GET_HW_INFO,	hw_info,		__reserved),
	ROW(HWPT_ALLOC,		hwpt_alloc,		__reserved),
	ROW(HWPT_GET_DIRTY_BITMAP, hwpt_get_dirty_bitmap, data),
	ROW(HWPT_INVALIDATE,	hwpt_invalidate,	__reserved),
	ROW(HWPT_SET_DIRTY_TRACKING, hwpt_set_dirty_tracking, __reserved),
	ROW(IOAS_ALLOC,		ioas_alloc,		out_ioas_id),
	ROW(IOAS_ALLOW_IOVAS,	ioas_allow_iovas,	allowed_iovas),
	ROW(IOAS_CHANGE_PROCESS, ioas_change_process,	__reserved),
	ROW(IOAS_COPY,		ioas_copy,		src_iova),
	ROW(IOAS_IOVA_RANGES,	ioas_iova_ranges,	out_iova_alignment),
	ROW(IOAS_MAP,		ioas_map,		iova),
	ROW(IOAS_MAP_FILE,	ioas_map_file,		iova),
	ROW(IOAS_UNMAP,		ioas_unmap,		length),
	ROW(OPTION,		option,			val64),
	ROW(VFIO_IOAS,		vfio_ioas,		__reserved),
	ROW(VIOMMU_ALLOC,	viommu_alloc,		out_viommu_id),
	IOMMUFD_TEST_ROW
};

/**
 * iommufd_respond() - write a command's struct back to user space
 * @command: the command
 * @bytes: our size of the struct
 *
 * What user space knows of the struct is written, and no more.
 *
 * Return: 0 or -EFAULT.
 * Context: Sleeps for user memory; no lock is held.
 */
int iommufd_respond(struct iommufd_command *command, size_t bytes)
{
	if (copy_to_user(command->user_buffer, command->args,
			 min_t(size_t, command->user_bytes, bytes)))
		return -EFAULT;
	return 0;
}

/**
 * iommufd_destroy() - IOMMU_DESTROY
 * @command: the command
 *
 * Return: what iommufd_object_destroy() answers.
 * Context: May sleep.
 */
int iommufd_destroy(struct iommufd_command *command)
{
	struct iommu_destroy *args = command->args;

	return iommufd_object_destroy(command->ctx, args->id);
}

static const struct command_row *find_command(unsigned int number)
{
	unsigned int index = _IOC_NR(number) - IOMMUFD_CMD_BASE;

	if (_IOC_NR(number) < IOMMUFD_CMD_BASE || index >= ARRAY_SIZE(commands))
		return NULL;
	index = array_index_nospec(index, ARRAY_SIZE(commands));
	/* An empty row has number 0, which is no ioctl of ours. */
	return commands[index].number == number ? &commands[index] : NULL;
}

static long iommufd_ioctl(struct file *file, unsigned int number,
			  unsigned long argument)
{
	struct iommufd_command command = { .ctx = file->private_data };
	const struct command_row *row;
	union command_args args;
	int error;

	row = find_command(number);
	if (!row)
		return -ENOTTY;
	command.user_buffer = (void __user *)argument;
	if (get_user(command.user_bytes, (u32 __user *)command.user_buffer))
		return -EFAULT;
	if (command.user_bytes < row->min_bytes)
		return -EINVAL;
	if (command.user_bytes > COMMAND_BYTES_MAX)
		return -E2BIG;
	error = copy_struct_from_user(&args, row->bytes, command.user_buffer,
				      command.user_bytes);
	if (error)
		return error;
	command.args = &args;
	error = row->execute(&command);
	if (error < 0)
		iommufd_refused(command.ctx, row->name, error);
	return error;
}

/**
 * iommufd_ctx_init() - set up an empty context
 * @ctx: zeroed memory
 *
 * Context: May sleep.
 */
void iommufd_ctx_init(struct iommufd_ctx *ctx)
{
	/* Id 0 is nobody's: user space may use it for "none". */
	xa_init_flags(&ctx->objects, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	mutex_init(&ctx->groups_lock);
	xa_init_flags(&ctx->groups, XA_FLAGS_ACCOUNT);
	mutex_init(&ctx->doorbells_lock);
	xa_init_flags(&ctx->doorbells, XA_FLAGS_ACCOUNT);
	mutex_init(&ctx->account_lock);
	INIT_LIST_HEAD(&ctx->charged_sources);
	spin_lock_init(&ctx->refusal_lock);
}

/**
 * iommufd_ctx_fini() - end everything that is left in a context
 * @ctx: the context, which no command and no driver uses any more
 *
 * Context: May sleep.
 */
void iommufd_ctx_fini(struct iommufd_ctx *ctx)
{
	iommufd_objects_close(ctx);
	WARN_ON_ONCE(!xa_empty(&ctx->groups));
	WARN_ON_ONCE(atomic_long_read(&ctx->nr_pinned) ||
		     atomic_long_read(&ctx->nr_charged) ||
		     atomic_long_read(&ctx->nr_tied_sources) ||
		     atomic_long_read(&ctx->nr_blocked) ||
		     !list_empty(&ctx->charged_sources));
	pin_account_put(ctx->account);
	mutex_destroy(&ctx->account_lock);
	xa_destroy(&ctx->doorbells);
	mutex_destroy(&ctx->doorbells_lock);
	mutex_destroy(&ctx->groups_lock);
}

static int iommufd_open(struct inode *inode, struct file *file)
{
	struct iommufd_ctx *ctx;

	ctx = kzalloc_obj(*ctx, GFP_KERNEL_ACCOUNT);
	if (!ctx)
		return -ENOMEM;
	iommufd_ctx_init(ctx);
	ctx->file = file;
	file->private_data = ctx;
	return 0;
}

static int iommufd_release(struct inode *inode, struct file *file)
{
	struct iommufd_ctx *ctx = file->private_data;

	iommufd_ctx_fini(ctx);
	kfree(ctx);
	return 0;
}

const struct file_operations iommufd_fops = {
	.owner = THIS_MODULE,
	.open = iommufd_open,
	.release = iommufd_release,
	.unlocked_ioctl = iommufd_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.show_fdinfo = iommufd_show_fdinfo,
};

/**
 * iommufd_ctx_get() - keep a context open
 * @ictx: the context, which is open
 *
 * Context: Any context.
 */
void iommufd_ctx_get(struct iommufd_ctx *ictx)
{
	get_file(ictx->file);
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_get, "IOMMUFD");

/**
 * iommufd_ctx_from_file() - the context of an open file
 * @file: any file
 *
 * Return: the context, to be given back with iommufd_ctx_put(); -EBADFD if the
 * file is no iommufd.
 * Context: Any context.
 */
struct iommufd_ctx *iommufd_ctx_from_file(struct file *file)
{
	struct iommufd_ctx *ctx;

	if (file->f_op != &iommufd_fops)
		return ERR_PTR(-EBADFD);
	ctx = file->private_data;
	iommufd_ctx_get(ctx);
	return ctx;
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_from_file, "IOMMUFD");

/**
 * iommufd_ctx_from_fd() - the context of a file descriptor
 * @fd: a file descriptor of the current process
 *
 * Return: the context, to be given back with iommufd_ctx_put(); -EBADF if the
 * descriptor is not open; -EBADFD if it is no iommufd.
 * Context: Process context.
 */
struct iommufd_ctx *iommufd_ctx_from_fd(int fd)
{
	struct file *file = fget(fd);
	struct iommufd_ctx *ctx;

	if (!file)
		return ERR_PTR(-EBADF);
	ctx = iommufd_ctx_from_file(file);
	fput(file);
	return ctx;
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_from_fd, "IOMMUFD");

/**
 * iommufd_ctx_put() - stop keeping a context open
 * @ictx: the context, not to be touched any more
 *
 * Context: Any context.
 */
void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
	fput(ictx->file);
}
EXPORT_SYMBOL_NS_GPL(iommufd_ctx_put, "IOMMUFD");

static struct miscdevice iommufd_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "iommu",
	.nodename = "iommu",
	.mode = 0660,
	.fops = &iommufd_fops,
};

/**
 * iommufd_device() - the device in whose name iommufd uses memory of others
 *
 * Return: the character device.
 * Context: Any context, once the module is there.
 */
struct device *iommufd_device(void)
{
	return iommufd_misc.this_device;
}

/* Takes off charges that could not be taken off at once, see account.c. */
struct workqueue_struct *iommufd_workqueue;

static int __init iommufd_init(void)
{
	int error = -ENOMEM;

	iommufd_workqueue = alloc_workqueue("iommufd", WQ_UNBOUND, 0);
	if (iommufd_workqueue)
		error = iommufd_test_init();
	if (!error) {
		error = misc_register(&iommufd_misc);
		if (error)
			iommufd_test_exit();
	}
	if (error && iommufd_workqueue)
		destroy_workqueue(iommufd_workqueue);
	return error;
}
module_init(iommufd_init);

static void __exit iommufd_exit(void)
{
	misc_deregister(&iommufd_misc);
	iommufd_test_exit();
	destroy_workqueue(iommufd_workqueue);
}
module_exit(iommufd_exit);

MODULE_ALIAS("devname:iommu");
MODULE_IMPORT_NS("IOMMUFD");
MODULE_IMPORT_NS("IOMMUFD_INTERNAL");
MODULE_DESCRIPTION("I/O address spaces for user space");
MODULE_LICENSE("GPL");
