// SPDX-License-Identifier: GPL-2.0
/*
 * The disk: a device that reads its commands, and moves its data, by DMA.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"

#define WRITE_BYTES	(256 * KIB)
#define SHA256_DIGITS	64

static const char *nvme_error_name(int error)
{
	return error < 0 ? error_name(error) : "the disk reports an error";
}

int disk_start(struct demo *demo)
{
	struct nvme *nvme = &demo->nvme;
	int error;

	error = nvme_start(nvme, &demo->nvme_device, demo->nvme_memory,
			   demo->nvme_memory_iova);
	if (!error)
		error = nvme_identify(nvme);
	if (!error)
		error = nvme_create_io_queue(nvme);
	return error;
}

bool story_identify(struct demo *demo)
{
	struct nvme *nvme = &demo->nvme;
	__u64 disk_bytes;
	int error;

	error = disk_start(demo);
	if (error)
		return failed("starting the controller, identify, creating a queue: %s",
			      nvme_error_name(error));

	disk_bytes = nvme->nr_blocks * nvme->block_bytes;
	if (!nvme->model[0] || !nvme->serial[0])
		return failed("model \"%s\", serial \"%s\": want both",
			      nvme->model, nvme->serial);
	if (!demo->image_bytes)
		demo->image_bytes = disk_bytes;
	if (disk_bytes < demo->image_bytes ||
	    demo->image_bytes > IMAGE_BYTES_MAX)
		return failed("%llu bytes: want those of the image, and %lu MiB at most",
			      disk_bytes, IMAGE_BYTES_MAX / MIB);
	return held("by DMA it says: \"%s\", serial \"%s\", %llu blocks of %u bytes (%llu MiB)",
		    nvme->model, nvme->serial, nvme->nr_blocks,
		    nvme->block_bytes, disk_bytes / MIB);
}

static void exec_sha256sum(int input, int output)
{
	dup2(input, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	execlp("sha256sum", "sha256sum", NULL);
	execlp("busybox", "busybox", "sha256sum", NULL);
	_exit(127);
}

static bool write_all(int fd, const char *data, size_t nr_bytes)
{
	while (nr_bytes) {
		ssize_t written = write(fd, data, nr_bytes);

		if (written < 0)
			return false;
		data += written;
		nr_bytes -= written;
	}
	return true;
}

static bool read_all(int fd, char *data, size_t nr_bytes)
{
	while (nr_bytes) {
		ssize_t got = read(fd, data, nr_bytes);

		if (got <= 0)
			return false;
		data += got;
		nr_bytes -= got;
	}
	return true;
}

/* By the sha256sum of this machine: a second opinion, not our own code. */
static int sha256(const char *data, size_t nr_bytes,
		  char digits[SHA256_DIGITS + 1])
{
	int input[2], output[2];
	int status;
	pid_t pid;
	bool done;

	if (pipe2(input, O_CLOEXEC) || pipe2(output, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid)
		exec_sha256sum(input[0], output[1]);
	close(input[0]);
	close(output[1]);

	/* It answers only after its input has ended: no deadlock here. */
	done = write_all(input[1], data, nr_bytes);
	close(input[1]);
	done = done && read_all(output[0], digits, SHA256_DIGITS);
	digits[SHA256_DIGITS] = '\0';
	close(output[0]);

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return done ? 0 : -EPIPE;
}

bool story_read_image(struct demo *demo)
{
	char digits[SHA256_DIGITS + 1];
	int error;

	if (!demo->nvme.nr_blocks)
		return failed("the disk was not identified");
	memset(demo->memory, 0xee, demo->image_bytes + PAGE_BYTES);
	error = nvme_read(&demo->nvme, 0, MEMORY_IOVA, demo->image_bytes);
	if (error)
		return failed("reading: %s (0x%x)", nvme_error_name(error),
			      error);
	error = sha256(demo->memory, demo->image_bytes, digits);
	if (error)
		return failed("running sha256sum: %s", error_name(error));
	if (strcasecmp(digits, demo->image_sha256))
		return failed("%zu MiB read have SHA-256 %s, the image has %s",
			      demo->image_bytes / MIB, digits,
			      demo->image_sha256);
	if (demo->memory[demo->image_bytes] != (char)0xee)
		return failed("the disk wrote past the end of what we asked for");
	return held("%zu MiB read by DMA, SHA-256 %.16s... as that of the image",
		    demo->image_bytes / MIB, digits);
}

/* The disk's end is changed, compared, and made as it was. */
bool story_write_blocks(struct demo *demo)
{
	const __u64 source_iova = MEMORY_IOVA + WORK_OFFSET;
	const __u64 back_iova = source_iova + WRITE_BYTES;
	const __u64 original_iova = back_iova + WRITE_BYTES;
	char *source = demo->memory + WORK_OFFSET;
	char *back = source + WRITE_BYTES;
	char *original = back + WRITE_BYTES;
	struct nvme *nvme = &demo->nvme;
	__u64 where;
	int error;

	if (!nvme->nr_blocks)
		return failed("the disk was not identified");
	where = nvme->nr_blocks * nvme->block_bytes - WRITE_BYTES;
	pattern_fill(source, WRITE_BYTES, 1);
	memset(back, 0, 2 * WRITE_BYTES);

	error = nvme_read(nvme, where, original_iova, WRITE_BYTES);
	if (!error)
		error = nvme_write(nvme, where, source_iova, WRITE_BYTES);
	if (!error)
		error = nvme_read(nvme, where, back_iova, WRITE_BYTES);
	if (error)
		return failed("the first round: %s (0x%x)",
			      nvme_error_name(error), error);
	if (!pattern_holds(back, WRITE_BYTES, 1))
		return failed("what was read back is not what was written");
	if (!memcmp(original, back, WRITE_BYTES))
		return failed("the disk held the pattern before it was written");

	error = nvme_write(nvme, where, original_iova, WRITE_BYTES);
	if (!error)
		error = nvme_read(nvme, where, back_iova, WRITE_BYTES);
	if (error)
		return failed("the second round: %s (0x%x)",
			      nvme_error_name(error), error);
	if (memcmp(original, back, WRITE_BYTES))
		return failed("the old blocks did not come back");
	return held("%lu KiB written at its end, read back elsewhere: equal; old blocks restored",
		    WRITE_BYTES / KIB);
}
