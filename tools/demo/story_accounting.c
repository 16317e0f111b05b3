// SPDX-License-Identifier: GPL-2.0
/*
 * What must be given back: pins and charges, by unmapping, by closing and by
 * being killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"
#include "edu.h"
#include "iommufd.h"
#include "memlock.h"

bool story_release(struct demo *demo)
{
	long pinned;
	int error;

	/* The disk may still write to its completion queues until here. */
	error = nvme_stop(&demo->nvme);
	if (!error)
		error = ioas_unmap_everything(demo->iommufd, demo->ioas_id);
	if (error)
		return failed("unmapping everything: %s", error_name(error));
	pinned = machine_pinned_pages() - demo->pinned_pages_before;
	if (pinned)
		return failed("%ld pages are still pinned, with nothing mapped",
			      pinned);

	error = vfio_detach(&demo->nvme_device);
	if (!error)
		error = vfio_detach(&demo->edu_device);
	if (error)
		return failed("detaching: %s", error_name(error));
	error = iommufd_destroy(demo->iommufd, demo->ioas_id);
	if (error)
		return failed("destroying address space %u: %s", demo->ioas_id,
			      error_name(error));
	return held("all unmapped under attached devices: 0 pinned; address space %u destroyed",
		    demo->ioas_id);
}

bool story_fdinfo_zero(struct demo *demo)
{
	long pinned, charged;

	if (!fdinfo_number(demo->iommufd, "pinned-pages", &pinned) ||
	    !fdinfo_number(demo->iommufd, "charged-pages", &charged))
		return skipped("this kernel shows no page counts in the fdinfo of /dev/iommu");
	if (pinned || charged)
		return failed("%ld pages pinned and %ld charged, with nothing mapped",
			      pinned, charged);
	return held("the context says it too: 0 pages pinned, 0 charged");
}

bool story_close(struct demo *demo)
{
	vfio_close(&demo->nvme_device);
	vfio_close(&demo->edu_device);
	if (close(demo->iommufd))
		return failed("/dev/iommu: %s", error_name(-errno));
	demo->iommufd = -1;
	memory_free(demo->memory, MEMORY_BYTES);
	memory_free(demo->nvme_memory, NVME_MEMORY_BYTES);
	return held("devices and /dev/iommu");
}

/* Below the hard limit that a process is born with, 8 MiB. */
#define LIMIT_BYTES	(4 * MIB)

/* What is charged must be what is pinned, wherever the kernel shows it. */
static bool charge_is(int iommufd, __u64 mode, long nr_pages)
{
	const long page_kib = PAGE_BYTES / KIB;
	long charged;

	if (fdinfo_number(iommufd, "charged-pages", &charged) &&
	    charged != nr_pages)
		return failed("fdinfo says %ld charged pages, want %ld",
			      charged, nr_pages);
	if (mode != RLIMIT_MODE_PROCESS)
		return true;
	if (process_status_kib("VmPin") != nr_pages * page_kib)
		return failed("VmPin is %ld kB, want %ld",
			      process_status_kib("VmPin"), nr_pages * page_kib);
	return true;
}

/* Fill the limit, go one page over it, give all back, and fill it again. */
static bool fill_limit(int iommufd, __u32 ioas_id, char *memory, __u64 mode)
{
	const long nr_pages = LIMIT_BYTES / PAGE_BYTES;
	int round;
	int error;

	for (round = 0; round < 2; round++) {
		error = ioas_map_at(iommufd, ioas_id, memory, LIMIT_BYTES,
				    STEP_IOVA, DMA_READ_WRITE);
		if (error)
			return failed("round %d, mapping what the limit allows: %s",
				      round + 1, error_name(error));
		if (!charge_is(iommufd, mode, nr_pages))
			return false;
		error = ioas_map_at(iommufd, ioas_id, memory + LIMIT_BYTES,
				    PAGE_BYTES, OTHER_STEP_IOVA,
				    DMA_READ_WRITE);
		if (error != -ENOMEM)
			return failed("round %d, one page over the limit: %s, want ENOMEM",
				      round + 1, error_name(error));
		if (!charge_is(iommufd, mode, nr_pages))
			return false;
		error = ioas_unmap_everything(iommufd, ioas_id);
		if (error)
			return failed("round %d, unmapping: %s", round + 1,
				      error_name(error));
		if (!charge_is(iommufd, mode, 0))
			return false;
	}
	return true;
}

static bool limited(int iommufd, __u32 ioas_id, __u64 mode)
{
	char *memory = memory_new(LIMIT_BYTES + PAGE_BYTES);
	rlim_t old_limit_bytes;
	bool good;
	int error;

	error = set_memlock_limit(LIMIT_BYTES, &old_limit_bytes);
	if (!error)
		error = set_ipc_lock_capability(false);
	if (error)
		return failed("setting a limit: %s", error_name(error));
	good = fill_limit(iommufd, ioas_id, memory, mode);
	set_ipc_lock_capability(true);
	set_memlock_limit(old_limit_bytes, NULL);
	memory_free(memory, LIMIT_BYTES + PAGE_BYTES);
	return good;
}

/* A fresh context with one address space that the DMA engine sees. */
static int fresh_context(struct demo *demo, __u64 mode, int *iommufd,
			 __u32 *ioas_id)
{
	int error;

	*iommufd = iommufd_open();
	if (*iommufd < 0)
		return *iommufd;
	error = iommufd_set_rlimit_mode(*iommufd, mode);
	if (!error)
		error = ioas_alloc(*iommufd, ioas_id);
	if (!error)
		error = edu_open_and_bind(demo, *iommufd);
	if (!error)
		error = vfio_attach(&demo->edu_device, *ioas_id);
	return error;
}

static bool accounting(struct demo *demo, __u64 mode, const char *who)
{
	__u32 ioas_id;
	int iommufd;
	int error;
	bool good;

	error = fresh_context(demo, mode, &iommufd, &ioas_id);
	good = error ? failed("a fresh context: %s", error_name(error)) :
	       limited(iommufd, ioas_id, mode);
	vfio_close(&demo->edu_device);
	close(iommufd);
	if (!good)
		return false;
	return held("%s is charged: %lu MiB fit its limit, a page more is refused (ENOMEM); twice",
		    who, LIMIT_BYTES / MIB);
}

bool story_process_accounting(struct demo *demo)
{
	return accounting(demo, RLIMIT_MODE_PROCESS, "the process (see VmPin)");
}

bool story_user_accounting(struct demo *demo)
{
	return accounting(demo, RLIMIT_MODE_USER, "the user");
}

/*
 * Another process image has the files now. The one that mapped is charged, if
 * it is still there, and this one is not; what it unmaps is given back to the
 * former, so that this one's counts stay at zero and the limit is free again.
 */
static bool heir_gives_back(int iommufd, __u32 ioas_id)
{
	const long nr_pages = LIMIT_BYTES / PAGE_BYTES;
	char *memory = memory_new(LIMIT_BYTES);
	long charged = nr_pages;
	int error;

	fdinfo_number(iommufd, "charged-pages", &charged);
	if (charged != nr_pages || process_status_kib("VmPin") ||
	    process_status_kib("VmLck"))
		return false;
	if (ioas_unmap_everything(iommufd, ioas_id))
		return false;
	charged = 0;
	fdinfo_number(iommufd, "charged-pages", &charged);
	if (charged || process_status_kib("VmPin") ||
	    process_status_kib("VmLck"))
		return false;
	error = set_ipc_lock_capability(false);
	if (!error)
		error = ioas_map_at(iommufd, ioas_id, memory, LIMIT_BYTES,
				    STEP_IOVA, DMA_READ_WRITE);
	return !error && ioas_unmap_everything(iommufd, ioas_id) == 0;
}

int after_exec(const char *iommufd, const char *ioas_id)
{
	return heir_gives_back(atoi(iommufd), atoi(ioas_id)) ? 0 : 1;
}

static int inherit_by_exec(struct demo *demo, int iommufd, __u32 ioas_id)
{
	char fd_word[16], id_word[16];

	snprintf(fd_word, sizeof(fd_word), "%d", iommufd);
	snprintf(id_word, sizeof(id_word), "%u", ioas_id);
	if (fcntl(iommufd, F_SETFD, 0) || fcntl(demo->edu_device.fd, F_SETFD, 0))
		return 1;
	execl("/proc/self/exe", "demo", AFTER_EXEC, fd_word, id_word, NULL);
	return 1;
}

/* The process that mapped exits; its child goes on, adopted by the story. */
static int inherit_by_exit(int iommufd, __u32 ioas_id)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid)
		return pid < 0;
	while (getppid() == parent)
		usleep(1000);
	return !heir_gives_back(iommufd, ioas_id);
}

static int map_and_bequeath(struct demo *demo, __u64 mode, bool exec)
{
	char *memory = memory_new(LIMIT_BYTES);
	__u32 ioas_id;
	int iommufd;
	int error;

	error = set_memlock_limit(LIMIT_BYTES, NULL);
	if (!error)
		error = set_ipc_lock_capability(false);
	if (!error)
		error = fresh_context(demo, mode, &iommufd, &ioas_id);
	if (!error)
		error = ioas_map_at(iommufd, ioas_id, memory, LIMIT_BYTES,
				    STEP_IOVA, DMA_READ_WRITE);
	if (error)
		return 1;
	if (exec)
		return inherit_by_exec(demo, iommufd, ioas_id);
	return inherit_by_exit(iommufd, ioas_id);
}

static bool inherited(struct demo *demo, __u64 mode, bool exec)
{
	int nr_processes = exec ? 1 : 2;
	bool good = true;
	int status;
	pid_t pid;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		return false;
	pid = fork();
	if (!pid)
		_exit(map_and_bequeath(demo, mode, exec));
	if (pid < 0)
		return false;
	for (; nr_processes; nr_processes--)
		good &= wait(&status) > 0 && !status;
	return good;
}

/* L45: exec() and exit() come between the charge and the end of it. */
bool story_inherited(struct demo *demo)
{
	static const __u64 modes[] = { RLIMIT_MODE_PROCESS, RLIMIT_MODE_USER };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		if (!inherited(demo, modes[i], true))
			return failed("mode %llu: exec() between map and unmap", modes[i]);
		if (!inherited(demo, modes[i], false))
			return failed("mode %llu: exit() between map and unmap", modes[i]);
	}
	return held("files inherited through exec() and past exit(): charged to who mapped");
}

/* What the child does until it is killed; it writes one byte when all is set. */
static void live_until_killed(struct demo *demo, int ready)
{
	char *memory = memory_new(MEMORY_BYTES);
	__u32 ioas_id;
	int iommufd;
	int error;

	error = fresh_context(demo, RLIMIT_MODE_USER, &iommufd, &ioas_id);
	if (!error)
		error = ioas_map_at(iommufd, ioas_id, memory, MEMORY_BYTES,
				    STEP_IOVA, DMA_READ_WRITE);
	if (!error)
		error = edu_begin_write_memory(&demo->edu_device, STEP_IOVA,
					       PAGE_BYTES / 2);
	if (!error && write(ready, "!", 1) == 1)
		for (;;)
			pause();
	_exit(1);
}

static bool kill_child(struct demo *demo)
{
	const long wanted = MEMORY_BYTES / PAGE_BYTES;
	long pinned;
	int ready[2];
	bool was_ready;
	char byte;
	int status;
	pid_t pid;

	if (pipe(ready))
		return failed("pipe: %s", error_name(-errno));
	pid = fork();
	if (pid < 0)
		return failed("fork: %s", error_name(-errno));
	if (!pid) {
		close(ready[0]);
		live_until_killed(demo, ready[1]);
	}
	close(ready[1]);
	was_ready = read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	pinned = machine_pinned_pages() - demo->pinned_pages_before;
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return failed("waiting for the child: %s", error_name(-errno));
	if (!was_ready)
		return failed("the child could not set up its DMA");
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		return failed("the child was not killed");
	if (pinned != wanted)
		return failed("the child had %ld pages pinned, want %ld",
			      pinned, wanted);
	pinned = machine_pinned_pages() - demo->pinned_pages_before;
	if (pinned)
		return failed("%ld pages are still pinned after the kill",
			      pinned);
	return true;
}

/*
 * The transfer that the child began may be under way still, so this address
 * space maps other IOVAs than the child's, and waits until the engine is idle.
 */
static bool use_after_kill(struct demo *demo, int iommufd, __u32 ioas_id)
{
	char *memory = memory_new(2 * PAGE_BYTES);
	char *target = memory + PAGE_BYTES;
	struct vfio_device *edu = &demo->edu_device;
	int error;

	pattern_fill(memory, PAGE_BYTES, 80);
	error = ioas_map_at(iommufd, ioas_id, memory, 2 * PAGE_BYTES,
			    MEMORY_IOVA, DMA_READ_WRITE);
	if (!error)
		error = edu_start(edu);
	if (!error)
		error = edu_read_memory(edu, MEMORY_IOVA, 2000);
	if (!error)
		error = edu_write_memory(edu, MEMORY_IOVA + PAGE_BYTES, 2000);
	if (error)
		return failed("DMA of the next owner: %s", error_name(error));
	if (!pattern_holds(target, 2000, 80))
		return failed("DMA of the next owner did not arrive");
	return true;
}

bool story_killed(struct demo *demo)
{
	__u32 ioas_id;
	int iommufd;
	int error;
	bool good;

	if (!kill_child(demo))
		return false;
	error = fresh_context(demo, RLIMIT_MODE_USER, &iommufd, &ioas_id);
	good = error ? failed("the next owner: %s", error_name(error)) :
	       use_after_kill(demo, iommufd, ioas_id);
	vfio_close(&demo->edu_device);
	close(iommufd);
	if (!good)
		return false;
	return held("a process killed during DMA: its %lu pages are unpinned, the engine is free",
		    MEMORY_BYTES / PAGE_BYTES);
}

bool story_all_returned(struct demo *demo)
{
	long pinned = machine_pinned_pages() - demo->pinned_pages_before;
	long vm_pin_kib = process_status_kib("VmPin");

	if (pinned || vm_pin_kib)
		return failed("%ld pages pinned more than before, VmPin %ld kB",
			      pinned, vm_pin_kib);
	return held("as many pages pinned in this machine as before the story: %ld",
		    demo->pinned_pages_before);
}
