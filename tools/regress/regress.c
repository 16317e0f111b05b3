// SPDX-License-Identifier: GPL-2.0
/*
 * What has gone wrong before in code that manages I/O address spaces, tried on
 * this one from user space, with devices behind a real IOMMU.
 *
 * The process does without CAP_IPC_LOCK and has no limit, so that whatever is
 * pinned is also charged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "memlock.h"
#include "observe.h"
#include "regress.h"

static const struct step {
	const char *rows;
	bool (*run)(struct context *context);
	__u64 rlimit_mode;
} steps[] = {
	{ "L65",	story_rlimit_mode,	RLIMIT_MODE_USER },
	{ "L31",	story_wraps,		RLIMIT_MODE_USER },
	{ "L34",	story_lengths,		RLIMIT_MODE_USER },
	{ "L36",	story_counts,		RLIMIT_MODE_USER },
	{ "L60",	story_replies,		RLIMIT_MODE_USER },
	{ "L61",	story_empty,		RLIMIT_MODE_USER },
	{ "L62",	story_contradictions,	RLIMIT_MODE_USER },
	{ "L30",	story_top_of_space,	RLIMIT_MODE_USER },
	{ "L30,40,41",	story_model_user,	RLIMIT_MODE_USER },
	{ "L10",	story_map_blocked,	RLIMIT_MODE_USER },
	{ "L10",	story_map_blocked_device_leaves, RLIMIT_MODE_USER },
	{ "L12",	story_map_killed,	RLIMIT_MODE_USER },
	{ "L12",	story_attach_blocked,	RLIMIT_MODE_USER },
	{ "L12",	story_attach_killed,	RLIMIT_MODE_USER },
	{ "L12",	story_destroy_waits,	RLIMIT_MODE_USER },
	{ "L12",	story_reply_blocked,	RLIMIT_MODE_USER },
	{ "L37",	story_unmap_killed,	RLIMIT_MODE_USER },
	{ "L33",	story_dirty_blocked,	RLIMIT_MODE_USER },
	{ "L36",	story_faults_are_charged, RLIMIT_MODE_USER },
	{ "L1",		story_two_destroys,	RLIMIT_MODE_USER },
	{ "L1",		story_destroy_or_attach, RLIMIT_MODE_USER },
	{ "L12",	story_destroy_busy,	RLIMIT_MODE_USER },
	{ "L8,10",	story_everything_at_once, RLIMIT_MODE_USER },
	{ "L37",	story_unmap_against_map, RLIMIT_MODE_USER },
	{ "L46",	story_huge_unmap,	RLIMIT_MODE_USER },
	{ "L30,40,41",	story_model_process,	RLIMIT_MODE_PROCESS },
	{ "L41",	story_processes_die,	RLIMIT_MODE_PROCESS },
};

/*
 * Binding takes long, so a context goes from step to step as long as all is
 * well and the mode is the same. What a step leaves in it is not attached.
 */
static int context_for(struct context *context, const struct step *step)
{
	static __u64 rlimit_mode;
	unsigned int i;
	int error = 0;

	if (context->iommufd >= 0 && rlimit_mode == step->rlimit_mode) {
		for (i = 0; !error && i < NR_DEVICES; i++)
			error = context->device[i].fd < 0 ?
					context_bind(context, i) :
					vfio_detach(&context->device[i]);
		return error;
	}
	context_close(context);
	rlimit_mode = step->rlimit_mode;
	return context_open(context, rlimit_mode);
}

static bool nothing_left(struct context *context)
{
	long pinned = context_machine_pinned(context);

	return pinned ? failed("%ld pages are still pinned, with everything closed",
			       pinned) : true;
}

static void play(struct context *context, const struct step *step)
{
	int error;

	report_begin_step(step->rows);
	error = context_for(context, step);
	if (!error && step->run(context))
		return;
	if (error)
		failed("opening and binding: %s", error_name(error));
	context_close(context);
	nothing_left(context);
}

int main(int argc, char **argv)
{
	const struct rlimit no_limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct context context = { .iommufd = -1 };
	const char *only = argc > 3 ? argv[3] : NULL;
	struct utsname kernel;
	size_t i;

	if (argc < 3) {
		fprintf(stderr, "usage: regress PCI_ADDRESS PCI_ADDRESS [STEP]\n"
			"The addresses are of two edu devices on vfio-pci.\n");
		return 2;
	}
	uname(&kernel);
	printf("Linux %s: %s and %s behind /dev/iommu\n", kernel.release,
	       argv[1], argv[2]);
	context.address[0] = argv[1];
	context.address[1] = argv[2];
	if (setrlimit(RLIMIT_MEMLOCK, &no_limit) ||
	    set_ipc_lock_capability(false)) {
		perror("regress: not privileged");
		return 2;
	}
	context.pinned_pages_before = machine_pinned_pages();
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		if (!only || atoi(only) == (int)i + 1)
			play(&context, &steps[i]);
	report_begin_step("close");
	context_close(&context);
	if (nothing_left(&context))
		held("the devices, then the contexts: as many pages are pinned as before");
	return report_summary();
}
