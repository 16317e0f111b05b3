// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files from which user space reads events.
 *
 * DOC: event files
 *
 * Page faults and events of a vIOMMU are read from a file that the queue has
 * from the moment it is made. An event is one or more records that are read
 * whole or not at all. It stays the first of its queue until it has been copied
 * out; a read that fails, because the buffer is too small or is not there,
 * changes nothing, so that the next one finds the same event. A read never
 * waits: it returns 0 when there is nothing, and poll() is what waits.
 *
 * User memory may be slow, and whoever reports an event cannot wait for it, so
 * copying happens under no lock but the one that keeps other readers out. The
 * event itself is kept by a reference meanwhile. If it is taken back during
 * the copy (its device is leaving), the reader has it all the same, as if it
 * had been a moment earlier.
 *
 * The file holds the context open and has a use on the queue, and gives both
 * back when it is closed. Until the command that makes the queue succeeds the
 * file does not know the queue: if the command fails, the file's end, which the
 * kernel puts off, finds nothing to do.
 */
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/uaccess.h>

#include "iommufd_private.h"

/**
 * iommufd_event_init() - set up an event
 * @event: the event, with one reference afterwards
 * @records: what is to be read, which lives as long as the event
 * @bytes: how much, not zero
 *
 * Context: Any context.
 */
void iommufd_event_init(struct iommufd_event *event, const void *records,
			size_t bytes)
{
	INIT_LIST_HEAD(&event->node);
	event->delivered = false;
	refcount_set(&event->refs, 1);
	event->records = records;
	event->bytes = bytes;
}

/**
 * iommufd_event_put() - give a reference back
 * @queue: the queue
 * @event: the event, not to be touched any more
 *
 * Context: As the free operation of the queue; @queue's lock is not held.
 */
void iommufd_event_put(struct iommufd_eventq *queue,
		       struct iommufd_event *event)
{
	if (refcount_dec_and_test(&event->refs))
		queue->ops->free(event);
}

/**
 * iommufd_eventq_add() - let an event be read
 * @queue: a queue that is not closed
 * @event: an event that is not in it and of which the caller has a reference
 *
 * Context: The lock of the queue is held. Atomic.
 */
void iommufd_eventq_add(struct iommufd_eventq *queue,
			struct iommufd_event *event)
{
	lockdep_assert_held(&queue->lock);
	IOMMUFD_ASSERT(!queue->closed && list_empty(&event->node));
	refcount_inc(&event->refs);
	list_add_tail(&event->node, &queue->unread);
	wake_up_interruptible_poll(&queue->wait, EPOLLIN | EPOLLRDNORM);
}

/**
 * iommufd_eventq_remove() - take an event back, unless it was read
 * @queue: the queue
 * @event: the event, of which the caller has a reference
 *
 * Context: The lock of the queue is held. Atomic.
 */
void iommufd_eventq_remove(struct iommufd_eventq *queue,
			   struct iommufd_event *event)
{
	lockdep_assert_held(&queue->lock);
	if (list_empty(&event->node))
		return;
	list_del_init(&event->node);
	/* Not the last one, which is the caller's. */
	refcount_dec(&event->refs);
}

static struct iommufd_event *first_unread(struct iommufd_eventq *queue)
{
	struct iommufd_event *event;

	guard(spinlock)(&queue->lock);
	event = list_first_entry_or_null(&queue->unread, struct iommufd_event,
					 node);
	if (event)
		refcount_inc(&event->refs);
	return event;
}

/* Unless somebody took it back during the copy. */
static void mark_delivered(struct iommufd_eventq *queue,
			   struct iommufd_event *event)
{
	guard(spinlock)(&queue->lock);
	if (list_empty(&event->node))
		return;
	event->delivered = true;
	iommufd_eventq_remove(queue, event);
}

static int deliver(struct iommufd_eventq *queue, struct iommufd_event *event,
		   char __user *buffer, size_t bytes)
{
	if (event->bytes > bytes)
		return -EINVAL;
	if (copy_to_user(buffer, event->records, event->bytes))
		return -EFAULT;
	mark_delivered(queue, event);
	return 0;
}

static ssize_t eventq_read(struct file *file, char __user *buffer,
			   size_t bytes, loff_t *position)
{
	struct iommufd_eventq *queue = file->private_data;
	struct iommufd_event *event;
	size_t done = 0;
	int error;

	ACQUIRE(mutex_intr, lock)(&queue->read_lock);
	error = ACQUIRE_ERR(mutex_intr, &lock);
	while (!error && (event = first_unread(queue))) {
		error = deliver(queue, event, buffer + done, bytes - done);
		if (!error)
			done += event->bytes;
		iommufd_event_put(queue, event);
	}
	return done ?: error;
}

static ssize_t eventq_write(struct file *file, const char __user *buffer,
			    size_t bytes, loff_t *position)
{
	struct iommufd_eventq *queue = file->private_data;

	if (!queue->ops->write)
		return -EINVAL;
	return queue->ops->write(queue, buffer, bytes);
}

static __poll_t eventq_poll(struct file *file, struct poll_table_struct *table)
{
	struct iommufd_eventq *queue = file->private_data;
	__poll_t events = 0;

	poll_wait(file, &queue->wait, table);
	if (queue->ops->write)
		events |= EPOLLOUT | EPOLLWRNORM;
	guard(spinlock)(&queue->lock);
	if (!list_empty(&queue->unread))
		events |= EPOLLIN | EPOLLRDNORM;
	return events;
}

static int eventq_release(struct inode *inode, struct file *file)
{
	struct iommufd_eventq *queue = file->private_data;
	struct iommufd_ctx *ctx;

	/* The command that made the file failed. */
	if (!queue)
		return 0;
	scoped_guard(spinlock, &queue->lock)
		queue->closed = true;
	queue->ops->close(queue);
	/* The queue may be gone with the use, and with it the way to the rest. */
	ctx = queue->ctx;
	iommufd_object_unuse(ctx, &queue->obj);
	iommufd_ctx_put(ctx);
	return 0;
}

static const struct file_operations eventq_fops = {
	.owner = THIS_MODULE,
	.read = eventq_read,
	.write = eventq_write,
	.poll = eventq_poll,
	.release = eventq_release,
};

/**
 * iommufd_eventq_init() - set up a queue that has no file yet
 * @queue: zeroed memory that begins with an object of @ctx
 * @ctx: the context
 * @ops: the operations
 *
 * Context: May sleep.
 */
void iommufd_eventq_init(struct iommufd_eventq *queue, struct iommufd_ctx *ctx,
			 const struct iommufd_eventq_ops *ops)
{
	queue->ctx = ctx;
	queue->ops = ops;
	init_waitqueue_head(&queue->wait);
	mutex_init(&queue->read_lock);
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->unread);
}

/**
 * iommufd_eventq_fini() - undo iommufd_eventq_init()
 * @queue: a queue without a file
 *
 * Context: May sleep.
 */
void iommufd_eventq_fini(struct iommufd_eventq *queue)
{
	WARN_ON_ONCE(!list_empty(&queue->unread));
	mutex_destroy(&queue->read_lock);
}

/**
 * iommufd_eventq_new_file() - make a file that is to be a queue's
 * @ops: the operations of the queue
 *
 * Return: the file, for iommufd_eventq_open(), or to be put; an errno.
 * Context: May sleep.
 */
struct file *iommufd_eventq_new_file(const struct iommufd_eventq_ops *ops)
{
	return anon_inode_getfile(ops->file_name, &eventq_fops, NULL,
				  ops->write ? O_RDWR : O_RDONLY);
}

/**
 * iommufd_eventq_open() - give a queue its file
 * @queue: a queue that is not published yet
 * @file: a file of iommufd_eventq_new_file()
 *
 * From now on the queue lasts at least as long as the file.
 *
 * Context: May sleep. Cannot fail.
 */
void iommufd_eventq_open(struct iommufd_eventq *queue, struct file *file)
{
	/* Nobody else knows the object. */
	WARN_ON_ONCE(iommufd_object_use(&queue->obj));
	iommufd_ctx_get(queue->ctx);
	file->private_data = queue;
	/* No position: somebody who writes does not wait for who reads. */
	stream_open(file_inode(file), file);
}

/**
 * iommufd_eventq_publish() - the last steps of the command that makes a queue
 * @queue: a complete queue without a file
 * @command: the command
 * @out_fd: where in the command's struct the descriptor is answered
 * @response_bytes: our size of that struct
 *
 * Return: 0, and both the id and the descriptor are user space's; -EMFILE or
 * -ENFILE; -ENOMEM; -EFAULT. On error nobody has seen the queue.
 * Context: Sleeps for user memory.
 */
int iommufd_eventq_publish(struct iommufd_eventq *queue,
			   struct iommufd_command *command, u32 *out_fd,
			   size_t response_bytes)
{
	int error;

	FD_PREPARE(fdf, O_CLOEXEC, iommufd_eventq_new_file(queue->ops));
	if (fdf.err)
		return fdf.err;
	*out_fd = fd_prepare_fd(fdf);
	error = iommufd_respond(command, response_bytes);
	if (error)
		return error;
	iommufd_eventq_open(queue, fd_prepare_file(fdf));
	iommufd_object_publish(queue->ctx, &queue->obj);
	fd_publish(fdf);
	return 0;
}
