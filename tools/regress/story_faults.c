// SPDX-License-Identifier: GPL-2.0
/*
 * Page faults that nobody answers: what a device can make the kernel hold by them
 * is paid for by whoever made the queue, and has an end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "background.h"
#include "iommufd.h"
#include "mock.h"
#include "pattern.h"
#include "regress.h"
#include "word.h"

#define CGROUPS "/tmp/cgroups"
#define OURS CGROUPS "/regress"
#define NR_FAULTS 8192

/* From now on what this process makes the kernel hold is counted on its own. */
static int enter_memory_cgroup(void)
{
	int error;

	if (mkdir(CGROUPS, 0700) && errno != EEXIST)
		return -errno;
	if (mount("none", CGROUPS, "cgroup2", 0, NULL))
		return -errno;
	error = write_word(CGROUPS "/cgroup.subtree_control", "+memory");
	if (error)
		return error;
	if (mkdir(OURS, 0700))
		return -errno;
	return write_word(OURS "/cgroup.procs", "0");
}

static void leave_memory_cgroup(void)
{
	write_word(CGROUPS "/cgroup.procs", "0");
	rmdir(OURS);
	umount(CGROUPS);
}

/* Bytes of slab that are charged to us; negative if unknown. */
static long charged_slab(void)
{
	FILE *file = fopen(OURS "/memory.stat", "re");
	char line[128];
	long bytes = -1;

	if (!file)
		return -1;
	while (bytes < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "slab %ld", &bytes) != 1)
			bytes = -1;
	fclose(file);
	return bytes;
}

static int miss_pages(struct mock *mock, unsigned int nr)
{
	unsigned int i;
	int error = 0;

	for (i = 0; !error && i < nr; i++)
		error = mock_fault(mock, i);
	return error;
}

/* The kernel hands them over in a thread of its own. */
static bool all_readable(int fd)
{
	static struct iommu_hwpt_pgfault records[NR_FAULTS + 1];
	unsigned int nr = 0, waited_ms;
	ssize_t bytes;

	for (waited_ms = 0; waited_ms < SURELY_ENDED_MS; waited_ms++) {
		bytes = read(fd, records + nr,
			     (NR_FAULTS + 1 - nr) * sizeof(*records));
		if (bytes > 0)
			nr += bytes / sizeof(*records);
		if (nr >= NR_FAULTS)
			return nr == NR_FAULTS;
		usleep(1000);
	}
	return false;
}

static bool flood(int iommufd)
{
	const long wanted = NR_FAULTS * sizeof(struct iommu_hwpt_pgfault);
	struct mock mock = {};
	long before, during, after;
	__u32 ioas_id, fault_id;
	int fd = -1, error;

	error = ioas_alloc(iommufd, &ioas_id);
	if (!error)
		error = mock_open(&mock, iommufd, ioas_id);
	if (!error)
		error = fault_queue_alloc(iommufd, &fault_id, &fd);
	if (!error)
		error = mock_use_hwpt(&mock, ioas_id, 0, fault_id);
	if (error)
		return failed("setting up: %s", error_name(error));
	before = charged_slab();
	error = miss_pages(&mock, NR_FAULTS);
	if (error)
		return failed("a fault: %s", error_name(error));
	if (!all_readable(fd))
		return failed("not as many faults were read as happened");
	during = charged_slab();
	close(fd);
	after = charged_slab();
	if (before < 0 || during - before < wanted)
		return failed("%ld bytes charged for %u faults, want %ld",
			      during - before, NR_FAULTS, wanted);
	/* The statistics lag behind by up to half a MiB. */
	if (after - before > (during - before) / 4)
		return failed("%ld of %ld bytes are still charged",
			      after - before, during - before);
	return held("%u faults that wait are charged with %ld bytes to who made the queue",
		    NR_FAULTS, during - before);
}

bool story_faults_are_charged(struct context *context)
{
	int error = enter_memory_cgroup(), iommufd;
	bool answer;

	(void)context;
	if (error)
		return failed("no memory cgroup: %s", error_name(error));
	iommufd = iommufd_open();
	answer = flood(iommufd);
	close(iommufd);
	leave_memory_cgroup();
	return answer;
}
