// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/userfaultfd.h>

#include "absent.h"
#include "pattern.h"

static int watch(struct absent *absent)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range.start = (unsigned long)absent->memory,
		.range.len = absent->nr_bytes,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(absent->uffd, UFFDIO_API, &api) ||
	    ioctl(absent->uffd, UFFDIO_REGISTER, &range))
		return -errno;
	return 0;
}

int absent_new(struct absent *absent, size_t nr_bytes)
{
	int error;

	absent->nr_bytes = nr_bytes;
	absent->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (absent->uffd < 0)
		return -errno;
	absent->memory = mmap(NULL, nr_bytes, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (absent->memory == MAP_FAILED) {
		error = -errno;
	} else {
		madvise(absent->memory, nr_bytes, MADV_DONTFORK);
		error = watch(absent);
		if (error)
			munmap(absent->memory, nr_bytes);
	}
	if (error)
		close(absent->uffd);
	return error;
}

bool absent_touched(struct absent *absent, unsigned int wait_ms)
{
	struct pollfd fault = { .fd = absent->uffd, .events = POLLIN };
	struct uffd_msg message;

	if (poll(&fault, 1, wait_ms) != 1)
		return false;
	return read(absent->uffd, &message, sizeof(message)) == sizeof(message);
}

int absent_provide(struct absent *absent, char byte)
{
	char page[PAGE_BYTES];
	size_t offset;

	memset(page, byte, sizeof(page));
	for (offset = 0; offset < absent->nr_bytes; offset += PAGE_BYTES) {
		struct uffdio_copy copy = {
			.dst = (unsigned long)absent->memory + offset,
			.src = (unsigned long)page,
			.len = PAGE_BYTES,
		};

		/* The mappings may be changing: then once more. */
		while (ioctl(absent->uffd, UFFDIO_COPY, &copy) && errno != EEXIST)
			if (errno != EAGAIN)
				return -errno;
	}
	return 0;
}

void absent_free(struct absent *absent)
{
	absent_provide(absent, 0);
	close(absent->uffd);
	munmap(absent->memory, absent->nr_bytes);
}
