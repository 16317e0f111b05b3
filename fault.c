// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of devices, answered by user space.
 *
 * DOC: page faults
 *
 * A device that misses a page asks for it (PCI's page request interface, the
 * stall model of the SMMU) and waits. Requests form groups, and a group gets one
 * answer. A page table made with a fault queue hands its groups to the queue:
 * user space reads the requests, brings the pages in, and writes an answer that
 * names the group by its cookie.
 *
 * The driver reports a group in a thread of its own, under locks of its own, and
 * the core hands it over with no lock of its own. It is then ours: no other list
 * of the core has it. The records for the reader are made at once, while it is
 * certain who the device is. From then on the group is in the table of its
 * queue until somebody takes it out, and whoever takes it out answers it. So a
 * group has one owner at any time and gets one answer, whatever happens.
 *
 * User space may never answer. A group belongs to the attachment and the device
 * that it came from, and is answered with "invalid" when either ends: the device
 * detaches, the page table is replaced. The same happens when the file is closed,
 * for nobody could answer any more, and to what arrives later, or too much of, or
 * from a device that is not attached. An answer reaches into the device's driver;
 * answer_lock is held until it is back, so that a device which leaves finds no
 * answer under way.
 *
 * The driver has to see to it that no report is under way when its attach
 * operation has moved a device off a domain.
 */
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommufd_private.h"

static_assert((int)IOMMU_PGFAULT_PERM_READ == IOMMU_FAULT_PERM_READ);
static_assert((int)IOMMU_PGFAULT_PERM_WRITE == IOMMU_FAULT_PERM_WRITE);
static_assert((int)IOMMU_PGFAULT_PERM_EXEC == IOMMU_FAULT_PERM_EXEC);
static_assert((int)IOMMU_PGFAULT_PERM_PRIV == IOMMU_FAULT_PERM_PRIV);
static_assert((int)IOMMUFD_PAGE_RESP_SUCCESS == (int)IOMMU_PAGE_RESP_SUCCESS);
static_assert((int)IOMMUFD_PAGE_RESP_INVALID == (int)IOMMU_PAGE_RESP_INVALID);

/* No padding that could tell user space what it should not know. */
static_assert(sizeof(struct iommu_hwpt_pgfault) == 40);
static_assert(sizeof(struct iommu_hwpt_page_response) == 8);

/**
 * struct fault_group - a group of page requests that waits for its answer
 * @event: what the reader of the queue gets; @records
 * @iopf: the group as the core knows it
 * @attachment: on which page table it happened, constant
 * @device: which device asks, constant once it is in the queue
 * @cookie: its index in iommufd_fault::groups
 * @queue: where its requests are counted
 * @nr_records: how many
 * @records: one for each request, oldest first
 */
struct fault_group {
	struct iommufd_event event;
	struct iopf_group *iopf;
	struct iommufd_attachment *attachment;
	struct iommufd_device *device;
	u32 cookie;
	struct iommufd_fault *queue;
	unsigned int nr_records;
	struct iommu_hwpt_pgfault records[] __counted_by(nr_records);
};

static struct iommufd_fault *to_fault(struct iommufd_eventq *queue)
{
	return container_of(queue, struct iommufd_fault, common);
}

/* Answers ----------------------------------------------------------------- */

static void answer_iopf(struct iopf_group *iopf,
			enum iommu_page_response_code code)
{
	iopf_group_response(iopf, code);
	iopf_free_group(iopf);
}

/* Take a group out of its queue, and answer it. */
static void answer_group(struct iommufd_fault *fault, struct fault_group *group,
			 enum iommu_page_response_code code)
{
	lockdep_assert_held(&fault->answer_lock);
	scoped_guard(spinlock, &fault->common.lock) {
		xa_erase(&fault->groups, group->cookie);
		iommufd_eventq_remove(&fault->common, &group->event);
	}
	answer_iopf(group->iopf, code);
	iommufd_event_put(&fault->common, &group->event);
}

static bool was_read(struct iommufd_fault *fault, struct fault_group *group)
{
	guard(spinlock)(&fault->common.lock);
	return group->event.delivered;
}

static int answer_cookie(struct iommufd_fault *fault,
			 const struct iommu_hwpt_page_response *response)
{
	struct fault_group *group;

	if (response->code != IOMMUFD_PAGE_RESP_SUCCESS &&
	    response->code != IOMMUFD_PAGE_RESP_INVALID)
		return -EINVAL;
	guard(mutex)(&fault->answer_lock);
	group = xa_load(&fault->groups, response->cookie);
	if (!group || !was_read(fault, group))
		return -EINVAL;
	answer_group(fault, group,
		     (enum iommu_page_response_code)response->code);
	return 0;
}

static int write_one(struct iommufd_fault *fault, const char __user *buffer)
{
	struct iommu_hwpt_page_response response;

	if (copy_from_user(&response, buffer, sizeof(response)))
		return -EFAULT;
	return answer_cookie(fault, &response);
}

static ssize_t fault_write(struct iommufd_eventq *queue,
			   const char __user *buffer, size_t bytes)
{
	const size_t step = sizeof(struct iommu_hwpt_page_response);
	size_t done;
	int error;

	if (bytes % step)
		return -EINVAL;
	for (done = 0; done < bytes; done += step) {
		error = write_one(to_fault(queue), buffer + done);
		if (error)
			return done ?: error;
		cond_resched();
	}
	return done;
}

/* Answer what is of an attachment, a device or both; NULL stands for any. */
static void end_faults(struct iommufd_fault *fault,
		       const struct iommufd_attachment *attachment,
		       const struct iommufd_device *device)
{
	struct fault_group *group;
	unsigned long cookie;

	guard(mutex)(&fault->answer_lock);
	xa_for_each(&fault->groups, cookie, group) {
		if (attachment && group->attachment != attachment)
			continue;
		if (device && group->device != device)
			continue;
		answer_group(fault, group, IOMMU_PAGE_RESP_INVALID);
		cond_resched();
	}
}

/**
 * iommufd_attachment_end_faults() - answer what nobody will answer any more
 * @attachment: the attachment on which the faults happened
 * @device: the device that asked and is no member any more, or NULL for all, if
 *	the attachment is no longer in use
 *
 * Answers that user space is giving at this moment are waited for.
 *
 * Context: The group lock is held. May sleep, but not for user memory.
 */
void iommufd_attachment_end_faults(struct iommufd_attachment *attachment,
				   struct iommufd_device *device)
{
	if (attachment->hwpt->fault)
		end_faults(attachment->hwpt->fault, attachment, device);
}

/* Faults ------------------------------------------------------------------ */

static void make_record(struct iommu_hwpt_pgfault *record,
			const struct iommu_fault_page_request *request,
			u32 cookie)
{
	if (request->flags & IOMMU_FAULT_PAGE_REQUEST_PASID_VALID) {
		record->flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
		record->pasid = request->pasid;
	}
	if (request->flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE)
		record->flags |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
	record->grpid = request->grpid;
	record->perm = request->perm;
	record->addr = request->addr;
	record->cookie = cookie;
}

static void group_free(struct iommufd_event *event)
{
	struct fault_group *group =
		container_of(event, struct fault_group, event);

	atomic_sub(group->nr_records, &group->queue->nr_requests);
	kvfree(group);
}

/*
 * Rather one fault less than a long search for memory, or the OOM killer at work,
 * in a thread that handles other people's faults as well.
 */
#define RECORDS_GFP (GFP_KERNEL_ACCOUNT | __GFP_NORETRY)

static struct fault_group *group_alloc(struct iommufd_fault *fault,
				       unsigned int nr_records)
{
	struct fault_group *group = NULL;

	if (nr_records > FAULTS_PER_GROUP_MAX)
		return NULL;
	if (atomic_add_return(nr_records, &fault->nr_requests) <=
	    FAULT_REQUESTS_MAX)
		group = kvzalloc(struct_size(group, records, nr_records),
				 RECORDS_GFP);
	if (!group) {
		atomic_sub(nr_records, &fault->nr_requests);
		return NULL;
	}
	group->queue = fault;
	group->nr_records = nr_records;
	iommufd_event_init(&group->event, group->records,
			   flex_array_size(group, records, nr_records));
	return group;
}

/* A group with a cookie and its records, or NULL; nobody knows it yet. */
static struct fault_group *group_new(struct iommufd_fault *fault,
				     struct iopf_group *iopf)
{
	struct fault_group *group = group_alloc(fault, iopf->fault_count);
	struct iopf_fault *request;
	unsigned int i = 0;

	if (!group)
		return NULL;
	group->iopf = iopf;
	group->attachment = container_of(iopf->attach_handle,
					 struct iommufd_attachment, handle);
	/* Cyclic, so that a late answer does not meet a stranger. */
	if (xa_alloc_cyclic(&fault->groups, &group->cookie, XA_ZERO_ENTRY,
			    xa_limit_32b, &fault->next_cookie,
			    RECORDS_GFP) < 0) {
		iommufd_event_put(&fault->common, &group->event);
		return NULL;
	}
	list_for_each_entry(request, &iopf->faults, list)
		make_record(&group->records[i++], &request->fault.prm,
			    group->cookie);
	return group;
}

static void group_abort(struct iommufd_fault *fault, struct fault_group *group)
{
	xa_release(&fault->groups, group->cookie);
	iommufd_event_put(&fault->common, &group->event);
}

/*
 * A member of the space that leaves afterwards finds the group; one that has
 * left is not found here.
 */
static bool group_publish(struct iommufd_fault *fault,
			  struct fault_group *group)
{
	struct iommufd_dma_space *space = group->attachment->space;
	struct iommufd_device *device;
	unsigned int i;

	guard(spinlock)(&space->group->members_lock);
	device = iommufd_space_device(space, group->iopf->fault_param->dev);
	if (!device)
		return false;
	group->device = device;
	for (i = 0; i < group->nr_records; i++)
		group->records[i].dev_id = device->obj.id;
	guard(spinlock)(&fault->common.lock);
	if (fault->common.closed)
		return false;
	/* The slot is there since the cookie is. */
	xa_store(&fault->groups, group->cookie, group, GFP_NOWAIT);
	iommufd_eventq_add(&fault->common, &group->event);
	return true;
}

/*
 * Called by the core in the driver's thread, with no lock of the core but maybe
 * some of the driver.
 */
static int handle_faults(struct iopf_group *iopf)
{
	struct iommufd_attachment *attachment =
		container_of(iopf->attach_handle, struct iommufd_attachment,
			     handle);
	struct iommufd_fault *fault = attachment->hwpt->fault;
	struct mem_cgroup *old_memcg;
	struct fault_group *group;

	/* The driver ends what is on the core's list when a device leaves it. */
	iopf_group_dequeue(iopf);
	old_memcg = set_active_memcg(fault->memcg);
	group = group_new(fault, iopf);
	set_active_memcg(old_memcg);
	if (group && group_publish(fault, group))
		return 0;
	if (group)
		group_abort(fault, group);
	answer_iopf(iopf, IOMMU_PAGE_RESP_INVALID);
	return 0;
}

/**
 * iommufd_hwpt_set_fault() - send the page faults of a page table to a queue
 * @hwpt: a page table with a domain that nobody knows yet
 * @fault: the queue; the caller has it on hold
 *
 * Return: 0, to be given back with iommufd_hwpt_put_fault(); -ENOENT if @fault
 * is being destroyed; -EOVERFLOW if too many page tables use it.
 * Context: Any context.
 */
int iommufd_hwpt_set_fault(struct iommufd_hw_pagetable *hwpt,
			   struct iommufd_fault *fault)
{
	int error;

	error = iommufd_object_use(&fault->common.obj);
	if (error)
		return error;
	hwpt->fault = fault;
	hwpt->domain->iopf_handler = handle_faults;
	return 0;
}

/**
 * iommufd_hwpt_put_fault() - give back the fault queue of a page table, if any
 * @ctx: the context
 * @hwpt: a page table to which nothing is attached
 *
 * Context: May sleep.
 */
void iommufd_hwpt_put_fault(struct iommufd_ctx *ctx,
			    struct iommufd_hw_pagetable *hwpt)
{
	if (hwpt->fault)
		iommufd_object_unuse(ctx, &hwpt->fault->common.obj);
}

/* The queue --------------------------------------------------------------- */

static void fault_close(struct iommufd_eventq *queue)
{
	end_faults(to_fault(queue), NULL, NULL);
}

static const struct iommufd_eventq_ops fault_ops = {
	.file_name = "[iommufd-pgfault]",
	.write = fault_write,
	.close = fault_close,
	.free = group_free,
};

/**
 * iommufd_fault_new() - make a queue of page faults
 * @ctx: the context
 *
 * Return: the queue, without a file and not published; -ENOMEM or -EBUSY.
 * Context: May sleep.
 */
struct iommufd_fault *iommufd_fault_new(struct iommufd_ctx *ctx)
{
	struct iommufd_fault *fault;

	fault = iommufd_object_alloc(ctx, fault, IOMMUFD_OBJ_FAULT, common.obj);
	if (IS_ERR(fault))
		return fault;
	iommufd_eventq_init(&fault->common, ctx, &fault_ops);
	/* Cookie 0 is nobody's: user space may use it for "none". */
	xa_init_flags(&fault->groups, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	mutex_init(&fault->answer_lock);
	fault->memcg = get_mem_cgroup_from_mm(current->mm);
	return fault;
}

/**
 * iommufd_fault_destroy() - free what a fault queue holds
 * @object: the queue, which no page table uses and whose file is closed
 *
 * Context: May sleep. Cannot fail.
 */
void iommufd_fault_destroy(struct iommufd_object *object)
{
	struct iommufd_fault *fault =
		container_of(object, struct iommufd_fault, common.obj);

	WARN_ON_ONCE(!xa_empty(&fault->groups));
	xa_destroy(&fault->groups);
	mem_cgroup_put(fault->memcg);
	mutex_destroy(&fault->answer_lock);
	iommufd_eventq_fini(&fault->common);
}

/**
 * iommufd_fault_alloc() - IOMMU_FAULT_QUEUE_ALLOC
 * @command: the command
 *
 * Return: 0; -EOPNOTSUPP for a flag; what iommufd_eventq_publish() answers;
 * -ENOMEM.
 * Context: Sleeps for user memory.
 */
int iommufd_fault_alloc(struct iommufd_command *command)
{
	struct iommu_fault_alloc *args = command->args;
	struct iommufd_fault *fault;
	int error;

	if (args->flags)
		return iommufd_refuse(command->ctx, -EOPNOTSUPP,
				      "an unknown flag", args->flags, 0);
	fault = iommufd_fault_new(command->ctx);
	if (IS_ERR(fault))
		return PTR_ERR(fault);
	args->out_fault_id = fault->common.obj.id;
	error = iommufd_eventq_publish(&fault->common, command,
				       &args->out_fault_fd, sizeof(*args));
	if (error) {
		iommufd_fault_destroy(&fault->common.obj);
		iommufd_object_abort(command->ctx, &fault->common.obj);
	}
	return error;
}
