// SPDX-License-Identifier: GPL-2.0
/*
 * Register and command names follow the NVM Express Base Specification.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "mmio.h"
#include "nvme.h"

#define NVME_CAP		0x00
#define NVME_CC			0x14
#define NVME_CSTS		0x1c
#define NVME_AQA		0x24
#define NVME_ASQ		0x28
#define NVME_ACQ		0x30
#define NVME_DOORBELLS		0x1000

#define CAP_DOORBELL_STRIDE(cap) (4u << (((cap) >> 32) & 0xf))
#define CC_ENABLE		0x1
#define CC_SUBMISSION_64_BYTES	(6 << 16)
#define CC_COMPLETION_16_BYTES	(4 << 20)
#define CSTS_READY		0x1
#define CSTS_FATAL		0x2

#define ADMIN_CREATE_SUBMISSION_QUEUE	0x01
#define ADMIN_CREATE_COMPLETION_QUEUE	0x05
#define ADMIN_IDENTIFY			0x06
#define IDENTIFY_NAMESPACE		0
#define IDENTIFY_CONTROLLER		1
#define IO_WRITE			0x01
#define IO_READ				0x02
#define QUEUE_CONTIGUOUS		0x1

#define NAMESPACE_ID		1
#define QUEUE_ENTRIES		32
#define PAGE_BYTES		4096u
#define PRP_ENTRIES		(PAGE_BYTES / sizeof(__u64))

#define POLL_US			100
#define TIMEOUT_US		(10 * 1000 * 1000)

struct nvme_command {
	__u8 opcode;
	__u32 namespace_id;
	__u64 prp1;
	__u64 prp2;
	__u32 dword10;
	__u32 dword11;
	__u32 dword12;
};

static __u32 read32(struct nvme *nvme, unsigned int offset)
{
	return mmio_read32(nvme->device->bar0 + offset);
}

static void write32(struct nvme *nvme, unsigned int offset, __u32 value)
{
	mmio_write32(nvme->device->bar0 + offset, value);
}

static __u64 read64(struct nvme *nvme, unsigned int offset)
{
	return read32(nvme, offset) | (__u64)read32(nvme, offset + 4) << 32;
}

static void write64(struct nvme *nvme, unsigned int offset, __u64 value)
{
	write32(nvme, offset, (__u32)value);
	write32(nvme, offset + 4, value >> 32);
}

static void ring_doorbell(struct nvme *nvme, unsigned int index, __u32 value)
{
	unsigned int stride = CAP_DOORBELL_STRIDE(read64(nvme, NVME_CAP));

	write32(nvme, NVME_DOORBELLS + index * stride, value);
}

static int wait_ready(struct nvme *nvme, __u32 wanted)
{
	unsigned int waited_us;

	for (waited_us = 0; waited_us < TIMEOUT_US; waited_us += POLL_US) {
		__u32 status = read32(nvme, NVME_CSTS);

		if (wanted && (status & CSTS_FATAL))
			return -EIO;
		if ((status & CSTS_READY) == wanted)
			return 0;
		usleep(POLL_US);
	}
	return -ETIMEDOUT;
}

static void submit(struct nvme *nvme, struct nvme_queue *queue,
		   const struct nvme_command *command)
{
	__u32 *entry = queue->submissions[queue->tail];

	memset(entry, 0, sizeof(*queue->submissions));
	entry[0] = command->opcode | (__u32)nvme->next_command_id++ << 16;
	entry[1] = command->namespace_id;
	entry[6] = (__u32)command->prp1;
	entry[7] = command->prp1 >> 32;
	entry[8] = (__u32)command->prp2;
	entry[9] = command->prp2 >> 32;
	entry[10] = command->dword10;
	entry[11] = command->dword11;
	entry[12] = command->dword12;

	queue->tail = (queue->tail + 1) % QUEUE_ENTRIES;
	ring_doorbell(nvme, queue->id * 2, queue->tail);
}

static int wait_completion(struct nvme *nvme, struct nvme_queue *queue)
{
	__u32 *entry = queue->completions[queue->head];
	unsigned int waited_us;
	__u32 last_dword;

	for (waited_us = 0; waited_us < TIMEOUT_US; waited_us += POLL_US) {
		last_dword = mmio_read32(&entry[3]);
		if (((last_dword >> 16) & 1) != queue->phase) {
			usleep(POLL_US);
			continue;
		}

		queue->head = (queue->head + 1) % QUEUE_ENTRIES;
		if (!queue->head)
			queue->phase ^= 1;
		ring_doorbell(nvme, queue->id * 2 + 1, queue->head);
		return last_dword >> 17;
	}
	return -ETIMEDOUT;
}

static int run(struct nvme *nvme, struct nvme_queue *queue,
	       const struct nvme_command *command)
{
	submit(nvme, queue, command);
	return wait_completion(nvme, queue);
}

static void queue_init(struct nvme_queue *queue, unsigned int id, void *memory,
		       __u64 iova)
{
	*queue = (struct nvme_queue){
		.id = id,
		.submissions = memory,
		.completions = memory + PAGE_BYTES,
		.submissions_iova = iova,
		.completions_iova = iova + PAGE_BYTES,
		.phase = 1,
	};
}

int nvme_start(struct nvme *nvme, struct vfio_device *device, void *memory,
	       __u64 memory_iova)
{
	const __u32 entries = QUEUE_ENTRIES - 1;
	int error;

	memset(nvme, 0, sizeof(*nvme));
	memset(memory, 0, NVME_MEMORY_BYTES);
	nvme->device = device;
	queue_init(&nvme->admin, 0, memory, memory_iova);
	queue_init(&nvme->io, 1, memory + 2 * PAGE_BYTES,
		   memory_iova + 2 * PAGE_BYTES);
	nvme->identify_page = memory + 4 * PAGE_BYTES;
	nvme->identify_iova = memory_iova + 4 * PAGE_BYTES;
	nvme->prp_list = memory + 5 * PAGE_BYTES;
	nvme->prp_list_iova = memory_iova + 5 * PAGE_BYTES;

	error = nvme_stop(nvme);
	if (error)
		return error;

	write32(nvme, NVME_AQA, entries | entries << 16);
	write64(nvme, NVME_ASQ, nvme->admin.submissions_iova);
	write64(nvme, NVME_ACQ, nvme->admin.completions_iova);
	write32(nvme, NVME_CC, CC_ENABLE | CC_SUBMISSION_64_BYTES |
		CC_COMPLETION_16_BYTES);
	return wait_ready(nvme, CSTS_READY);
}

int nvme_stop(struct nvme *nvme)
{
	write32(nvme, NVME_CC, 0);
	return wait_ready(nvme, 0);
}

static int identify(struct nvme *nvme, __u32 namespace_id, __u32 what)
{
	struct nvme_command command = {
		.opcode = ADMIN_IDENTIFY,
		.namespace_id = namespace_id,
		.prp1 = nvme->identify_iova,
		.dword10 = what,
	};

	memset(nvme->identify_page, 0, PAGE_BYTES);
	return run(nvme, &nvme->admin, &command);
}

/* Text in identify data is padded with spaces and has no terminator. */
static void copy_text(char *text, const void *field, size_t field_bytes)
{
	while (field_bytes && ((const char *)field)[field_bytes - 1] == ' ')
		field_bytes--;
	memcpy(text, field, field_bytes);
	text[field_bytes] = '\0';
}

static void learn_controller(struct nvme *nvme)
{
	const __u8 *page = nvme->identify_page;
	__u32 bytes_max = PRP_ENTRIES * PAGE_BYTES;
	unsigned int transfer_shift = page[77];

	copy_text(nvme->serial, page + 4, 20);
	copy_text(nvme->model, page + 24, 40);

	/* Zero means no limit; the one page of PRP entries is one, too. */
	if (transfer_shift && transfer_shift < 9)
		bytes_max = PAGE_BYTES << transfer_shift;
	nvme->transfer_bytes_max = bytes_max;
}

static int learn_namespace(struct nvme *nvme)
{
	const __u8 *page = nvme->identify_page;
	unsigned int format = page[26] & 0xf;
	unsigned int block_shift = page[128 + format * 4 + 2];

	if (block_shift < 9 || block_shift > 12)
		return -EINVAL;
	nvme->block_bytes = 1u << block_shift;
	memcpy(&nvme->nr_blocks, page, sizeof(nvme->nr_blocks));
	return 0;
}

int nvme_identify(struct nvme *nvme)
{
	int error;

	error = identify(nvme, 0, IDENTIFY_CONTROLLER);
	if (error)
		return error;
	learn_controller(nvme);

	error = identify(nvme, NAMESPACE_ID, IDENTIFY_NAMESPACE);
	if (error)
		return error;
	return learn_namespace(nvme);
}

int nvme_create_io_queue(struct nvme *nvme)
{
	const __u32 id_and_entries = nvme->io.id | (QUEUE_ENTRIES - 1) << 16;
	struct nvme_command create_completions = {
		.opcode = ADMIN_CREATE_COMPLETION_QUEUE,
		.prp1 = nvme->io.completions_iova,
		.dword10 = id_and_entries,
		.dword11 = QUEUE_CONTIGUOUS,
	};
	struct nvme_command create_submissions = {
		.opcode = ADMIN_CREATE_SUBMISSION_QUEUE,
		.prp1 = nvme->io.submissions_iova,
		.dword10 = id_and_entries,
		.dword11 = QUEUE_CONTIGUOUS | nvme->io.id << 16,
	};
	int error;

	error = run(nvme, &nvme->admin, &create_completions);
	if (error)
		return error;
	return run(nvme, &nvme->admin, &create_submissions);
}

/* The first page goes into PRP1; a second into PRP2, or a list of the rest. */
static __u64 second_prp(struct nvme *nvme, __u64 iova, __u32 nr_bytes)
{
	__u32 nr_pages = (nr_bytes + PAGE_BYTES - 1) / PAGE_BYTES;
	__u32 page;

	if (nr_pages == 1)
		return 0;
	if (nr_pages == 2)
		return iova + PAGE_BYTES;
	for (page = 1; page < nr_pages; page++)
		nvme->prp_list[page - 1] = iova + (__u64)page * PAGE_BYTES;
	return nvme->prp_list_iova;
}

static int transfer(struct nvme *nvme, __u8 opcode, __u64 disk_offset_bytes,
		    __u64 iova, __u64 nr_bytes)
{
	__u64 done_bytes;
	__u32 piece_bytes;

	for (done_bytes = 0; done_bytes < nr_bytes; done_bytes += piece_bytes) {
		__u64 block = (disk_offset_bytes + done_bytes) /
			      nvme->block_bytes;
		__u64 left_bytes = nr_bytes - done_bytes;
		struct nvme_command command;
		int error;

		piece_bytes = left_bytes < nvme->transfer_bytes_max ?
			      left_bytes : nvme->transfer_bytes_max;
		command = (struct nvme_command){
			.opcode = opcode,
			.namespace_id = NAMESPACE_ID,
			.prp1 = iova + done_bytes,
			.prp2 = second_prp(nvme, iova + done_bytes,
					   piece_bytes),
			.dword10 = (__u32)block,
			.dword11 = block >> 32,
			.dword12 = piece_bytes / nvme->block_bytes - 1,
		};
		error = run(nvme, &nvme->io, &command);
		if (error)
			return error;
	}
	return 0;
}

int nvme_read(struct nvme *nvme, __u64 disk_offset_bytes, __u64 iova,
	      __u64 nr_bytes)
{
	return transfer(nvme, IO_READ, disk_offset_bytes, iova, nr_bytes);
}

int nvme_write(struct nvme *nvme, __u64 disk_offset_bytes, __u64 iova,
	       __u64 nr_bytes)
{
	return transfer(nvme, IO_WRITE, disk_offset_bytes, iova, nr_bytes);
}
