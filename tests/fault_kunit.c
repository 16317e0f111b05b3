// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of mock devices, read and answered through the file.
 *
 * What the mock IOMMU reports goes the way that of a real driver goes, and what
 * the device is answered is compared with what the test wrote, or with
 * "invalid" where nobody could answer. Every fault gets exactly one answer.
 */
#include <kunit/test.h>
#include <linux/fdtable.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sizes.h>

#include "../iommufd_private.h"
#include "../iommufd_test.h"
#include "mock.h"

#define SHARED_GROUP 11
#define NR_MEMBERS 2
#define RECORD_BYTES sizeof(struct iommu_hwpt_pgfault)
#define RESPONSE_BYTES sizeof(struct iommu_hwpt_page_response)
#define PERMISSIONS (IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE)

/**
 * struct test_queue - a fault queue and its file
 * @fault: the queue
 * @file: the file, or NULL once it is closed
 * @buffer: user memory to read to and write from
 */
struct test_queue {
	struct iommufd_fault *fault;
	struct file *file;
	unsigned long buffer;
};

/**
 * struct bench - a group of devices and two page tables with a queue each
 * @mocks: the devices
 * @devices: the same, bound
 * @bound: which still are
 * @attached: which are attached
 * @ioas: what the page tables follow
 * @queues: where the page tables send faults
 * @hwpt_ids: the page tables
 */
struct bench {
	struct mock_device *mocks[NR_MEMBERS];
	struct iommufd_device *devices[NR_MEMBERS];
	bool bound[NR_MEMBERS];
	bool attached[NR_MEMBERS];
	struct iommufd_ioas *ioas;
	struct test_queue *queues[2];
	u32 hwpt_ids[2];
};

/* Setting up -------------------------------------------------------------- */

static void close_queue(struct test_queue *queue)
{
	if (queue->file)
		__fput_sync(queue->file);
	queue->file = NULL;
}

static void end_queue(void *queue)
{
	close_queue(queue);
}

static struct test_queue *make_queue(struct kunit *test)
{
	struct test_queue *queue;

	queue = kunit_kzalloc(test, sizeof(*queue), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, queue);
	queue->buffer = mock_user_memory(test, 1, 0xff);
	queue->fault = iommufd_fault_new(mock_ctx(test));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, queue->fault);
	queue->file = iommufd_eventq_new_file(queue->fault->common.ops);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, queue->file);
	iommufd_eventq_open(&queue->fault->common, queue->file);
	iommufd_object_publish(mock_ctx(test), &queue->fault->common.obj);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, end_queue, queue));
	return queue;
}

static void detach(struct bench *bench, unsigned int i)
{
	if (bench->attached[i])
		iommufd_device_detach(bench->devices[i], IOMMU_NO_PASID);
	bench->attached[i] = false;
}

static void unbind(struct bench *bench, unsigned int i)
{
	if (bench->bound[i])
		iommufd_device_unbind(bench->devices[i]);
	bench->bound[i] = false;
}

static void end_devices(void *data)
{
	struct bench *bench = data;
	unsigned int i;

	for (i = 0; i < NR_MEMBERS; i++)
		detach(bench, i);
	for (i = 0; i < NR_MEMBERS; i++)
		unbind(bench, i);
	for (i = 0; i < NR_MEMBERS; i++)
		if (bench->mocks[i])
			mock_device_destroy(bench->mocks[i]);
}

static void make_devices(struct kunit *test, struct bench *bench)
{
	struct mock_device *mock;
	unsigned int i;
	u32 id;

	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, end_devices, bench));
	for (i = 0; i < NR_MEMBERS; i++) {
		mock = mock_device_create(SHARED_GROUP, 0);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mock);
		bench->mocks[i] = mock;
		bench->devices[i] = iommufd_device_bind(mock_ctx(test),
							&mock->dev, &id);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bench->devices[i]);
		bench->bound[i] = true;
	}
}

static u32 make_hwpt(struct kunit *test, struct bench *bench,
		     struct test_queue *queue)
{
	struct iommu_hwpt_alloc args = {
		.size = sizeof(args),
		.flags = IOMMU_HWPT_FAULT_ID_VALID,
		.dev_id = bench->devices[0]->obj.id,
		.pt_id = bench->ioas->obj.id,
		.fault_id = queue->fault->common.obj.id,
	};

	KUNIT_ASSERT_EQ(test, 0, mock_command(test, iommufd_hwpt_alloc, &args,
					      sizeof(args)));
	return args.out_hwpt_id;
}

static int try_attach(struct bench *bench, unsigned int i, u32 pt_id)
{
	int error = iommufd_device_attach(bench->devices[i], IOMMU_NO_PASID,
					  &pt_id);

	bench->attached[i] = !error;
	return error;
}

static void attach(struct kunit *test, struct bench *bench, unsigned int i)
{
	KUNIT_ASSERT_EQ(test, 0, try_attach(bench, i, bench->hwpt_ids[0]));
}

static int replace(struct bench *bench, u32 pt_id)
{
	return iommufd_device_replace(bench->devices[0], IOMMU_NO_PASID,
				      &pt_id);
}

static struct bench *make_bench(struct kunit *test)
{
	struct bench *bench;
	unsigned int i;

	bench = kunit_kzalloc(test, sizeof(*bench), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bench);
	bench->ioas = mock_ioas(test);
	for (i = 0; i < 2; i++)
		bench->queues[i] = make_queue(test);
	make_devices(test, bench);
	for (i = 0; i < 2; i++)
		bench->hwpt_ids[i] = make_hwpt(test, bench, bench->queues[i]);
	return bench;
}

/* What devices and user space do ------------------------------------------ */

static int report_flags(struct bench *bench, unsigned int i, u32 grpid,
			u64 address, u32 flags)
{
	const struct iommu_fault_page_request request = {
		.flags = flags,
		.grpid = grpid,
		.perm = PERMISSIONS,
		.addr = address,
	};

	return mock_device_report_fault(bench->mocks[i], &request);
}

static void report(struct kunit *test, struct bench *bench, unsigned int i,
		   u32 grpid)
{
	KUNIT_EXPECT_EQ(test, 0,
			report_flags(bench, i, grpid, 0x1000 * (u64)grpid,
				     IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE));
}

static unsigned int nr_answers(struct bench *bench, unsigned int i)
{
	return mock_device_responses(bench->mocks[i], NULL);
}

static void expect_answers(struct kunit *test, struct bench *bench,
			   unsigned int i, unsigned int nr, u32 grpid, u32 code)
{
	struct iommu_page_response response;

	KUNIT_EXPECT_EQ(test, nr,
			mock_device_responses(bench->mocks[i], &response));
	KUNIT_EXPECT_EQ(test, grpid, response.grpid);
	KUNIT_EXPECT_EQ(test, code, response.code);
}

static ssize_t read_at(struct test_queue *queue, unsigned long address,
		       size_t bytes)
{
	return queue->file->f_op->read(queue->file, (char __user *)address,
				       bytes, NULL);
}

static ssize_t read_bytes(struct test_queue *queue, size_t bytes)
{
	return read_at(queue, queue->buffer, bytes);
}

/* The record at an index of the buffer. */
static struct iommu_hwpt_pgfault record_at(struct kunit *test,
					   struct test_queue *queue,
					   unsigned int i)
{
	struct iommu_hwpt_pgfault record;

	KUNIT_ASSERT_EQ(test, 0,
			copy_from_user(&record,
				       (void __user *)(queue->buffer +
						       i * RECORD_BYTES),
				       sizeof(record)));
	return record;
}

static struct iommu_hwpt_pgfault read_one(struct kunit *test,
					  struct test_queue *queue)
{
	KUNIT_ASSERT_EQ(test, RECORD_BYTES, read_bytes(queue, RECORD_BYTES));
	return record_at(test, queue, 0);
}

static ssize_t write_some(struct kunit *test, struct test_queue *queue,
			  const struct iommu_hwpt_page_response *responses,
			  unsigned int nr)
{
	char __user *buffer = (char __user *)queue->buffer;
	size_t bytes = nr * RESPONSE_BYTES;

	KUNIT_ASSERT_EQ(test, 0, copy_to_user(buffer, responses, bytes));
	return queue->file->f_op->write(queue->file, buffer, bytes, NULL);
}

static ssize_t write_one(struct kunit *test, struct test_queue *queue,
			 u32 cookie, u32 code)
{
	const struct iommu_hwpt_page_response response = { cookie, code };

	return write_some(test, queue, &response, 1);
}

static __poll_t poll_now(struct test_queue *queue)
{
	return vfs_poll(queue->file, NULL);
}

static bool readable(struct test_queue *queue)
{
	return poll_now(queue) & EPOLLIN;
}

/* Reading and answering --------------------------------------------------- */

static void expect_record(struct kunit *test, struct bench *bench,
			  const struct iommu_hwpt_pgfault *record,
			  unsigned int i, u32 grpid)
{
	KUNIT_EXPECT_EQ(test, (u32)IOMMU_PGFAULT_FLAGS_LAST_PAGE,
			record->flags);
	KUNIT_EXPECT_EQ(test, bench->devices[i]->obj.id, record->dev_id);
	KUNIT_EXPECT_EQ(test, 0, record->pasid);
	KUNIT_EXPECT_EQ(test, grpid, record->grpid);
	KUNIT_EXPECT_EQ(test, PERMISSIONS, record->perm);
	KUNIT_EXPECT_EQ(test, 0, record->__reserved);
	KUNIT_EXPECT_EQ(test, 0x1000 * (u64)grpid, record->addr);
	KUNIT_EXPECT_EQ(test, 0, record->length);
	KUNIT_EXPECT_NE(test, 0, record->cookie);
}

static void a_fault_is_read_and_answered_L55(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct test_queue *queue = bench->queues[0];
	struct iommu_hwpt_pgfault record;

	attach(test, bench, 0);
	KUNIT_EXPECT_EQ(test, 0, read_bytes(queue, PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, poll_now(queue) == (EPOLLOUT | EPOLLWRNORM));
	report(test, bench, 0, 5);
	KUNIT_EXPECT_TRUE(test, poll_now(queue) ==
				(EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM));
	KUNIT_EXPECT_FALSE(test, readable(bench->queues[1]));
	record = read_one(test, queue);
	expect_record(test, bench, &record, 0, 5);
	KUNIT_EXPECT_FALSE(test, readable(queue));
	KUNIT_EXPECT_EQ(test, 0, read_bytes(queue, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, nr_answers(bench, 0));

	KUNIT_EXPECT_EQ(test, RESPONSE_BYTES,
			write_one(test, queue, record.cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	expect_answers(test, bench, 0, 1, 5, IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			write_one(test, queue, record.cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	KUNIT_EXPECT_EQ(test, 1, nr_answers(bench, 0));
}

static void report_three(struct kunit *test, struct bench *bench)
{
	KUNIT_EXPECT_EQ(test, 0, report_flags(bench, 0, 7, 0x1000, 0));
	KUNIT_EXPECT_EQ(test, 0, report_flags(bench, 0, 7, 0x2000, 0));
	KUNIT_EXPECT_FALSE(test, readable(bench->queues[0]));
	KUNIT_EXPECT_EQ(test, 0,
			report_flags(bench, 0, 7, 0x3000,
				     IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE));
}

static void a_group_is_read_whole_L52(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct test_queue *queue = bench->queues[0];
	struct iommu_hwpt_pgfault record;
	unsigned int i;
	u32 cookie;

	attach(test, bench, 0);
	report_three(test, bench);
	KUNIT_EXPECT_EQ(test, -EINVAL, read_bytes(queue, 3 * RECORD_BYTES - 1));
	KUNIT_EXPECT_EQ(test, -EINVAL, read_bytes(queue, RECORD_BYTES));
	KUNIT_EXPECT_EQ(test, -EINVAL, read_bytes(queue, 0));
	KUNIT_EXPECT_TRUE(test, readable(queue));
	KUNIT_ASSERT_EQ(test, 3 * RECORD_BYTES, read_bytes(queue, PAGE_SIZE));
	cookie = record_at(test, queue, 2).cookie;
	for (i = 0; i < 3; i++) {
		record = record_at(test, queue, i);
		KUNIT_EXPECT_EQ(test, 0x1000 * (i + 1), record.addr);
		KUNIT_EXPECT_EQ(test, cookie, record.cookie);
		KUNIT_EXPECT_EQ(test,
				i == 2 ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0,
				record.flags);
	}
	KUNIT_EXPECT_EQ(test, RESPONSE_BYTES,
			write_one(test, queue, cookie,
				  IOMMUFD_PAGE_RESP_INVALID));
	expect_answers(test, bench, 0, 1, 7, IOMMU_PAGE_RESP_INVALID);
}

/* Two pages of which the second one is not there. */
static unsigned long half_there(struct kunit *test)
{
	unsigned long address = mock_user_memory(test, 2, 0);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(address + PAGE_SIZE, PAGE_SIZE));
	return address;
}

static void failed_reads_lose_nothing_L51_L52(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct test_queue *queue = bench->queues[0];
	unsigned long edge = half_there(test) + PAGE_SIZE;
	unsigned int i;

	attach(test, bench, 0);
	for (i = 1; i <= 3; i++)
		report(test, bench, 0, i);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, -EFAULT, read_at(queue, edge, PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, -EFAULT, read_at(queue, edge - 8,
						       RECORD_BYTES));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				read_bytes(queue, RECORD_BYTES - 1));
	}
	KUNIT_EXPECT_EQ(test, 1, read_one(test, queue).grpid);
	/* The second one arrives, and the third one is still the next. */
	KUNIT_EXPECT_EQ(test, RECORD_BYTES,
			read_at(queue, edge - RECORD_BYTES, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, read_at(queue, edge, PAGE_SIZE));
	report(test, bench, 0, 4);
	KUNIT_EXPECT_EQ(test, RECORD_BYTES,
			read_bytes(queue, 2 * RECORD_BYTES - 1));
	KUNIT_EXPECT_EQ(test, 3, record_at(test, queue, 0).grpid);
	KUNIT_EXPECT_EQ(test, 4, read_one(test, queue).grpid);
	KUNIT_EXPECT_FALSE(test, readable(queue));
}

static void answers_are_counted_L56(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct test_queue *queue = bench->queues[0];
	unsigned long edge = half_there(test) + PAGE_SIZE;
	struct iommu_hwpt_page_response responses[4] = {};
	unsigned int i;

	attach(test, bench, 0);
	for (i = 0; i < 3; i++)
		report(test, bench, 0, i + 1);
	KUNIT_ASSERT_EQ(test, 3 * RECORD_BYTES, read_bytes(queue, PAGE_SIZE));
	for (i = 0; i < 3; i++)
		responses[i].cookie = record_at(test, queue, i).cookie;

	KUNIT_EXPECT_EQ(test, 0, write_some(test, queue, responses, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			queue->file->f_op->write(queue->file,
						 (char __user *)queue->buffer,
						 RESPONSE_BYTES + 1, NULL));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			queue->file->f_op->write(queue->file,
						 (char __user *)edge,
						 RESPONSE_BYTES, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			write_one(test, queue, responses[0].cookie,
				  IOMMUFD_PAGE_RESP_INVALID + 1));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			write_one(test, queue, 0, IOMMUFD_PAGE_RESP_SUCCESS));
	KUNIT_EXPECT_EQ(test, 0, nr_answers(bench, 0));

	/* The third one is answered with nonsense. */
	responses[2].code = U32_MAX;
	KUNIT_EXPECT_EQ(test, 2 * RESPONSE_BYTES,
			write_some(test, queue, responses, 4));
	expect_answers(test, bench, 0, 2, 2, IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			write_some(test, queue, &responses[2], 1));
	responses[2].code = IOMMUFD_PAGE_RESP_SUCCESS;
	KUNIT_EXPECT_EQ(test, RESPONSE_BYTES,
			write_some(test, queue, &responses[2], 2));
	expect_answers(test, bench, 0, 3, 3, IOMMU_PAGE_RESP_SUCCESS);
}

static void only_what_was_read_is_answered(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct test_queue *queue = bench->queues[0];
	u32 cookie;

	attach(test, bench, 0);
	report(test, bench, 0, 1);
	cookie = read_one(test, queue).cookie;
	report(test, bench, 0, 2);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			write_one(test, queue, cookie + 1,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	KUNIT_EXPECT_EQ(test, 0, nr_answers(bench, 0));
	KUNIT_EXPECT_EQ(test, cookie + 1, read_one(test, queue).cookie);
	/* The other queue has none of these. */
	KUNIT_EXPECT_EQ(test, -EINVAL,
			write_one(test, bench->queues[1], cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	KUNIT_EXPECT_EQ(test, RESPONSE_BYTES,
			write_one(test, queue, cookie + 1,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	expect_answers(test, bench, 0, 1, 2, IOMMU_PAGE_RESP_SUCCESS);
}

/* Ends -------------------------------------------------------------------- */

/* One that was read and one that was not; returns the cookie of the first. */
static u32 report_two(struct kunit *test, struct bench *bench, unsigned int i)
{
	u32 cookie;

	report(test, bench, i, 1);
	cookie = read_one(test, bench->queues[0]).cookie;
	report(test, bench, i, 2);
	KUNIT_EXPECT_EQ(test, 0, nr_answers(bench, i));
	return cookie;
}

static void expect_ended(struct kunit *test, struct bench *bench, u32 cookie)
{
	struct test_queue *queue = bench->queues[0];

	KUNIT_EXPECT_EQ(test, 2, nr_answers(bench, 0));
	KUNIT_EXPECT_FALSE(test, readable(queue));
	KUNIT_EXPECT_EQ(test, 0, read_bytes(queue, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			write_one(test, queue, cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&queue->fault->nr_requests));
}

static void detach_answers_L54(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	u32 cookie;

	attach(test, bench, 0);
	cookie = report_two(test, bench, 0);
	detach(bench, 0);
	expect_answers(test, bench, 0, 2, 2, IOMMU_PAGE_RESP_INVALID);
	expect_ended(test, bench, cookie);
	unbind(bench, 0);
}

static void replace_answers_L24(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct iommu_hwpt_pgfault record;
	u32 cookie;

	attach(test, bench, 0);
	cookie = report_two(test, bench, 0);
	KUNIT_ASSERT_EQ(test, 0, replace(bench, bench->hwpt_ids[1]));
	expect_answers(test, bench, 0, 2, 2, IOMMU_PAGE_RESP_INVALID);
	expect_ended(test, bench, cookie);

	report(test, bench, 0, 3);
	KUNIT_EXPECT_FALSE(test, readable(bench->queues[0]));
	record = read_one(test, bench->queues[1]);
	expect_record(test, bench, &record, 0, 3);
	/* To one that takes no faults: nobody can answer any more. */
	KUNIT_ASSERT_EQ(test, 0, replace(bench, bench->ioas->obj.id));
	expect_answers(test, bench, 0, 3, 3, IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			report_flags(bench, 0, 4, 0,
				     IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE));
	expect_answers(test, bench, 0, 4, 4, IOMMU_PAGE_RESP_INVALID);
}

/* What fails changes nothing: the device goes on waiting for its answer. */
static void refused_replace_answers_nothing_L22(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	unsigned int i;
	u32 cookie;

	attach(test, bench, 0);
	cookie = report_two(test, bench, 0);
	for (i = 0; i < NR_MEMBERS; i++) {
		mock_device_fail_attach(bench->mocks[i], 1, -ENODEV);
		KUNIT_EXPECT_EQ(test, -ENODEV,
				replace(bench, bench->hwpt_ids[1]));
	}
	KUNIT_EXPECT_EQ(test, 0, nr_answers(bench, 0));
	KUNIT_EXPECT_EQ(test, RESPONSE_BYTES,
			write_one(test, bench->queues[0], cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	expect_answers(test, bench, 0, 1, 1, IOMMU_PAGE_RESP_SUCCESS);
	KUNIT_EXPECT_EQ(test, 2, read_one(test, bench->queues[0]).grpid);
}

/* The one that attached first stands for nobody but itself. */
static void the_first_member_leaves_L13(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct iommu_hwpt_pgfault record;

	attach(test, bench, 0);
	attach(test, bench, 1);
	report(test, bench, 0, 1);
	report(test, bench, 1, 2);
	detach(bench, 0);
	expect_answers(test, bench, 0, 1, 1, IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_EQ(test, 0, nr_answers(bench, 1));
	/* It is no member any more, though its group is still attached. */
	report(test, bench, 0, 3);
	expect_answers(test, bench, 0, 2, 3, IOMMU_PAGE_RESP_INVALID);
	unbind(bench, 0);

	report(test, bench, 1, 4);
	KUNIT_EXPECT_EQ(test, 2 * RECORD_BYTES,
			read_bytes(bench->queues[0], PAGE_SIZE));
	record = record_at(test, bench->queues[0], 0);
	expect_record(test, bench, &record, 1, 2);
	record = record_at(test, bench->queues[0], 1);
	expect_record(test, bench, &record, 1, 4);
	KUNIT_EXPECT_EQ(test, RESPONSE_BYTES,
			write_one(test, bench->queues[0], record.cookie,
				  IOMMUFD_PAGE_RESP_SUCCESS));
	expect_answers(test, bench, 1, 1, 4, IOMMU_PAGE_RESP_SUCCESS);
	detach(bench, 1);
	expect_answers(test, bench, 1, 2, 2, IOMMU_PAGE_RESP_INVALID);
}

static void closing_the_file_answers_L54(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct test_queue *queue = bench->queues[0];
	struct iommufd_ctx *ctx = mock_ctx(test);
	u32 id = queue->fault->common.obj.id;

	attach(test, bench, 0);
	report_two(test, bench, 0);
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ctx, id));
	close_queue(queue);
	expect_answers(test, bench, 0, 2, 2, IOMMU_PAGE_RESP_INVALID);
	report(test, bench, 0, 3);
	expect_answers(test, bench, 0, 3, 3, IOMMU_PAGE_RESP_INVALID);

	/* The page table still sends its faults there. */
	KUNIT_EXPECT_EQ(test, -EBUSY, iommufd_object_destroy(ctx, id));
	detach(bench, 0);
	KUNIT_EXPECT_EQ(test, 0,
			iommufd_object_destroy(ctx, bench->hwpt_ids[0]));
	KUNIT_EXPECT_EQ(test, 0, iommufd_object_destroy(ctx, id));
	KUNIT_EXPECT_EQ(test, -ENOENT, iommufd_object_destroy(ctx, id));
}

/* The context lasts as long as the file, whoever closes what first. */
static void the_file_keeps_the_context_L11(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct test_queue *queue = make_queue(test);

	KUNIT_EXPECT_EQ(test, 2, file_count(ctx->file));
	KUNIT_EXPECT_EQ(test, 0, read_bytes(queue, PAGE_SIZE));
	close_queue(queue);
	KUNIT_EXPECT_EQ(test, 1, file_count(ctx->file));
}

/* Limits and failures ----------------------------------------------------- */

static void too_many_are_refused_L36(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct iommufd_fault *fault = bench->queues[0]->fault;

	attach(test, bench, 0);
	atomic_add(FAULT_REQUESTS_MAX - 1, &fault->nr_requests);
	report(test, bench, 0, 1);
	KUNIT_EXPECT_EQ(test, 0, nr_answers(bench, 0));
	report(test, bench, 0, 2);
	expect_answers(test, bench, 0, 1, 2, IOMMU_PAGE_RESP_INVALID);
	atomic_sub(FAULT_REQUESTS_MAX - 1, &fault->nr_requests);
	report(test, bench, 0, 3);
	KUNIT_EXPECT_EQ(test, 1, nr_answers(bench, 0));
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&fault->nr_requests));
	/* It is requests that take memory, however they are grouped. */
	atomic_add(FAULT_REQUESTS_MAX - 3, &fault->nr_requests);
	KUNIT_ASSERT_EQ(test, 0, report_flags(bench, 0, 4, 0, 0));
	report(test, bench, 0, 4);
	expect_answers(test, bench, 0, 2, 4, IOMMU_PAGE_RESP_INVALID);
	atomic_sub(FAULT_REQUESTS_MAX - 3, &fault->nr_requests);
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&fault->nr_requests));
}

static void a_large_group_is_refused_L36(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	unsigned int i;

	attach(test, bench, 0);
	for (i = 0; i < FAULTS_PER_GROUP_MAX; i++)
		KUNIT_ASSERT_EQ(test, 0, report_flags(bench, 0, 1, i, 0));
	report(test, bench, 0, 1);
	expect_answers(test, bench, 0, 1, 1, IOMMU_PAGE_RESP_INVALID);
	KUNIT_EXPECT_FALSE(test, readable(bench->queues[0]));
}

/* A fault is either read or answered, whatever allocation fails. */
static void starved_faults_are_answered(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct test_queue *queue = bench->queues[0];
	unsigned int nth, answers;
	bool failed = true;

	mock_need_fail_nth(test);
	attach(test, bench, 0);
	for (nth = 1; failed; nth++) {
		answers = nr_answers(bench, 0);
		mock_fail_nth_begin(nth);
		report_flags(bench, 0, nth, 0,
			     IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE);
		failed = mock_fail_nth_end();
		KUNIT_EXPECT_EQ(test, 1,
				nr_answers(bench, 0) - answers +
					readable(queue));
		if (readable(queue))
			read_one(test, queue);
	}
	KUNIT_EXPECT_GT(test, nth, 3);
	detach(bench, 0);
	KUNIT_EXPECT_EQ(test, nth - 1, nr_answers(bench, 0));
}

static void starved_attach_leaves_nothing(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	bool failed = true;
	unsigned int nth;
	int error;

	mock_need_fail_nth(test);
	for (nth = 1; failed; nth++) {
		mock_fail_nth_begin(nth);
		error = try_attach(bench, 0, bench->hwpt_ids[0]);
		failed = mock_fail_nth_end();
		if (!error)
			report(test, bench, 0, nth);
		KUNIT_EXPECT_EQ(test, !error, readable(bench->queues[0]));
		detach(bench, 0);
		KUNIT_EXPECT_EQ(test, 0, bench->mocks[0]->nr_iopf_domains);
		KUNIT_EXPECT_EQ(test, 0, bench->mocks[1]->nr_iopf_domains);
	}
	KUNIT_EXPECT_EQ(test, 0, error);
}

/* The command --------------------------------------------------------------- */

static void close_fd_now(int fd)
{
	close_fd(fd);
	/* A kernel thread puts off the end of a file. */
	flush_delayed_fput();
}

static unsigned int count_objects(struct iommufd_ctx *ctx)
{
	return atomic_read(&ctx->nr_objects[IOMMUFD_OBJ_FAULT]);
}

static void the_command_is_undone_L2(struct kunit *test)
{
	struct iommufd_ctx *ctx = mock_ctx(test);
	struct iommu_fault_alloc args = { .size = sizeof(args) };
	bool failed = true;
	unsigned int nth;
	int error;

	mock_need_fail_nth(test);
	args.flags = 1;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			mock_command(test, iommufd_fault_alloc, &args,
				     sizeof(args)));
	args.flags = 0;
	for (nth = 1; failed; nth++) {
		mock_fail_nth_begin(nth);
		error = mock_command(test, iommufd_fault_alloc, &args,
				     sizeof(args));
		failed = mock_fail_nth_end();
		flush_delayed_fput();
		KUNIT_EXPECT_EQ(test, error ? 0 : 1, count_objects(ctx));
		if (error)
			continue;
		close_fd_now(args.out_fault_fd);
		KUNIT_EXPECT_EQ(test, 0,
				iommufd_object_destroy(ctx, args.out_fault_id));
	}
	KUNIT_EXPECT_EQ(test, 0, error);
	KUNIT_EXPECT_EQ(test, 1, file_count(ctx->file));
}

/* Several threads --------------------------------------------------------- */

/**
 * struct slow_read - a read into memory that is not there yet
 * @queue: the queue
 * @mm: whose memory
 * @address: where
 * @result: what the read answered
 * @begun: the thread is about to read; a new kthread may sleep before it runs
 * @done: it has
 */
struct slow_read {
	struct test_queue *queue;
	struct mm_struct *mm;
	unsigned long address;
	ssize_t result;
	struct completion begun;
	struct completion done;
};

static int slow_reader(void *data)
{
	struct slow_read *read = data;

	kthread_use_mm(read->mm);
	complete(&read->begun);
	read->result = read_at(read->queue, read->address, RECORD_BYTES);
	kthread_unuse_mm(read->mm);
	complete(&read->done);
	return 0;
}

/*
 * A reader whose memory does not come keeps nobody waiting: not the driver that
 * reports, not user space that answers, not the device that leaves.
 */
static void a_slow_reader_stops_nobody_L53(struct kunit *test)
{
	struct bench *bench = make_bench(test);
	struct test_queue *queue = bench->queues[0];
	struct slow_read *read;
	struct task_struct *task;
	u32 cookie;

	read = kunit_kzalloc(test, sizeof(*read), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, read);
	read->queue = queue;
	read->mm = current->mm;
	init_completion(&read->begun);
	init_completion(&read->done);
	read->address = test_mmap(test, PAGE_SIZE, PROT_READ | PROT_WRITE);
	attach(test, bench, 0);
	cookie = report_two(test, bench, 0);

	task = kthread_create(slow_reader, read, "iommufd-test");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	get_task_struct(task);
	mmap_write_lock(current->mm);
	wake_up_process(task);
	wait_for_completion(&read->begun);
	mock_wait_asleep(task, &read->done);
	KUNIT_EXPECT_FALSE(test, completion_done(&read->done));
	report(test, bench, 0, 3);
	KUNIT_EXPECT_TRUE(test, readable(queue));
	/* What user space writes is there already. */
	pagefault_disable();
	write_one(test, queue, cookie, IOMMUFD_PAGE_RESP_SUCCESS);
	pagefault_enable();
	expect_answers(test, bench, 0, 1, 1, IOMMU_PAGE_RESP_SUCCESS);
	detach(bench, 0);
	KUNIT_EXPECT_EQ(test, 3, nr_answers(bench, 0));
	KUNIT_EXPECT_FALSE(test, completion_done(&read->done));
	mmap_write_unlock(current->mm);

	wait_for_completion(&read->done);
	kthread_stop_put(task);
	/* It was read before it was answered, as far as one can tell. */
	KUNIT_EXPECT_EQ(test, RECORD_BYTES, read->result);
	KUNIT_EXPECT_EQ(test, 0, read_bytes(queue, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&queue->fault->nr_requests));
}

#define NR_ROUNDS 300

/**
 * struct storm - faults while everything changes
 * @bench: the devices
 * @lock: a driver lets no report overtake a change
 * @nr_reports: what was reported
 * @nr_running: threads that are not done yet
 * @round: how often the changing thread went round
 */
struct storm {
	struct bench *bench;
	struct mutex lock;
	unsigned int nr_reports;
	atomic_t nr_running;
	unsigned int round;
};

static int storm_reports(void *data)
{
	struct storm *storm = data;
	unsigned int i;

	for (i = 0; i < NR_ROUNDS; i++) {
		scoped_guard(mutex, &storm->lock)
			report_flags(storm->bench, i % NR_MEMBERS, i, 0,
				     IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE);
		storm->nr_reports++;
		cond_resched();
	}
	atomic_dec(&storm->nr_running);
	return 0;
}

static int storm_changes(void *data)
{
	struct storm *storm = data;
	struct bench *bench = storm->bench;
	unsigned int i;

	for (i = 0; i < NR_ROUNDS; i++) {
		scoped_guard(mutex, &storm->lock) {
			switch (i % 4) {
			case 0:
				try_attach(bench, 0, bench->hwpt_ids[0]);
				break;
			case 1:
				try_attach(bench, 1, bench->hwpt_ids[0]);
				break;
			case 2:
				replace(bench, bench->hwpt_ids[1]);
				break;
			default:
				detach(bench, 0);
				detach(bench, 1);
			}
		}
		cond_resched();
	}
	atomic_dec(&storm->nr_running);
	return 0;
}

static void read_and_answer(struct kunit *test, struct test_queue *queue)
{
	if (read_bytes(queue, RECORD_BYTES) == RECORD_BYTES)
		write_one(test, queue, record_at(test, queue, 0).cookie,
			  IOMMUFD_PAGE_RESP_SUCCESS);
}

static struct task_struct *start(struct kunit *test, struct storm *storm,
				 int (*function)(void *data))
{
	struct task_struct *task;

	task = kthread_create(function, storm, "iommufd-test");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	get_task_struct(task);
	wake_up_process(task);
	return task;
}

static void each_fault_gets_one_answer_L50(struct kunit *test)
{
	struct storm *storm;
	struct task_struct *tasks[2];
	unsigned int i;

	storm = kunit_kzalloc(test, sizeof(*storm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, storm);
	storm->bench = make_bench(test);
	mutex_init(&storm->lock);
	atomic_set(&storm->nr_running, 2);
	tasks[0] = start(test, storm, storm_reports);
	tasks[1] = start(test, storm, storm_changes);
	while (atomic_read(&storm->nr_running)) {
		for (i = 0; i < 2; i++)
			read_and_answer(test, storm->bench->queues[i]);
		cond_resched();
	}
	for (i = 0; i < 2; i++)
		kthread_stop_put(tasks[i]);
	for (i = 0; i < NR_MEMBERS; i++)
		detach(storm->bench, i);
	KUNIT_EXPECT_EQ(test, storm->nr_reports,
			nr_answers(storm->bench, 0) +
				nr_answers(storm->bench, 1));
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, 0,
				atomic_read(&storm->bench->queues[i]->fault->nr_requests));
}

static struct kunit_case fault_cases[] = {
	KUNIT_CASE(a_fault_is_read_and_answered_L55),
	KUNIT_CASE(a_group_is_read_whole_L52),
	KUNIT_CASE(failed_reads_lose_nothing_L51_L52),
	KUNIT_CASE(answers_are_counted_L56),
	KUNIT_CASE(only_what_was_read_is_answered),
	KUNIT_CASE(detach_answers_L54),
	KUNIT_CASE(replace_answers_L24),
	KUNIT_CASE(refused_replace_answers_nothing_L22),
	KUNIT_CASE(the_first_member_leaves_L13),
	KUNIT_CASE(closing_the_file_answers_L54),
	KUNIT_CASE(the_file_keeps_the_context_L11),
	KUNIT_CASE(too_many_are_refused_L36),
	KUNIT_CASE(a_large_group_is_refused_L36),
	KUNIT_CASE(starved_faults_are_answered),
	KUNIT_CASE(starved_attach_leaves_nothing),
	KUNIT_CASE(the_command_is_undone_L2),
	KUNIT_CASE(a_slow_reader_stops_nobody_L53),
	KUNIT_CASE(each_fault_gets_one_answer_L50),
	{}
};

static struct kunit_suite fault_suite = {
	.name = "iommufd_fault",
	.init = mock_test_init,
	.test_cases = fault_cases,
};

kunit_test_suite(fault_suite);
