// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that share an IOMMU group, driven from user space through /dev/iommu:
 * three DMA engines that one IOMMU group holds, and one outside it.
 *
 * A group comes about in two ways. Behind a conventional bridge the IOMMU sees
 * one requester and cannot tell the devices apart. Behind ports that let their
 * devices speak to each other, and as functions of one device, they are three
 * requesters, and belong together all the same.
 *
 * The process does without CAP_IPC_LOCK and has no limit, so that whatever is
 * pinned is also charged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "groups.h"
#include "memlock.h"
#include "observe.h"

static const struct step {
	const char *topic;
	bool (*run)(struct group *group);
	bool needs_monitor;
} steps[] = {
	{ "bind",	story_bind,			false },
	{ "owner",	story_owner,			false },
	{ "attach",	story_attach,			false },
	{ "L21",	story_refused,			false },
	{ "L22",	story_replace,			false },
	{ "L22",	story_replace_fails,		false },
	{ "L13",	story_first_leaves,		false },
	{ "reserved",	story_reserved,			false },
	{ "removed",	story_removed,			false },
	{ "removed",	story_removed_is_blocked,	false },
	{ "unbind",	story_unbind_map,		false },
	{ "unbind",	story_unbind_attach,		false },
	{ "unplug",	story_unplug,			true },
	{ "unplug",	story_unplug_map,		true },
	{ "unplug",	story_unplug_attach,		true },
	{ "unplug",	story_unplug_replace_killed,	true },
	{ "unplug",	story_unplug_dma_killed,	true },
	{ "rounds",	story_rounds,			false },
};

static bool nothing_left(struct group *group)
{
	long pinned = machine_pinned_pages() - group->pinned_pages_before;

	return pinned ? failed("%ld pages are still pinned, with everything closed",
			       pinned) : true;
}

/*
 * Binding takes long, so a context goes from step to step as long as all is
 * well, with nothing attached in between.
 */
static bool ready(struct group *group)
{
	int error = group->iommufd < 0 ? group_open(group) : group_rest(group);

	if (error)
		return failed("opening, binding, detaching: %s",
			      error_name(error));
	return pinned_is(group, 0, "before it begins");
}

static void begin_step(struct group *group, const char *topic)
{
	static char topic_of_group[32];

	snprintf(topic_of_group, sizeof(topic_of_group), "%s/%s", group->name,
		 topic);
	report_begin_step(topic_of_group);
}

static void play(struct group *group, const struct step *step)
{
	begin_step(group, step->topic);
	if (ready(group) && step->run(group))
		return;
	group_close(group);
	nothing_left(group);
}

/* How the harness has plugged them in, so that it can be done again. */
static void describe_plugs(struct group *group)
{
	unsigned int i;

	for (i = 0; i < NR_MEMBERS; i++) {
		struct plug *plug = &group->engine[i].plug;

		snprintf(plug->id, sizeof(plug->id), "%s%u", group->name, i);
		if (group->one_requester) {
			snprintf(plug->bus, sizeof(plug->bus), "bridge");
			plug->slot = i + 1;
		} else {
			snprintf(plug->bus, sizeof(plug->bus), "port%u", i);
			plug->slot = 0;
		}
	}
}

int main(int argc, char **argv)
{
	const struct rlimit no_limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct group group = { .iommufd = -1 };
	struct monitor monitor = { .fd = -1 };
	const char *only = argc > 8 ? argv[8] : NULL;
	struct utsname kernel;
	size_t i;

	if (argc < 8) {
		fprintf(stderr,
			"usage: groups IOMMU MONITOR bridge|ports|functions OUTSIDE MEMBER MEMBER MEMBER [STEP]\n"
			"The addresses are of edu devices on vfio-pci; MONITOR is a terminal, or none.\n");
		return 2;
	}
	uname(&kernel);
	group.iommu = argv[1];
	group.name = argv[3];
	group.one_requester = !strcmp(group.name, "bridge");
	group.engine[OUTSIDE].address = argv[4];
	for (i = 0; i < NR_MEMBERS; i++)
		group.engine[i].address = argv[5 + i];
	for (i = 0; i < NR_ENGINES; i++)
		group.engine[i].device.fd = -1;
	describe_plugs(&group);
	if (strcmp(argv[2], "none")) {
		if (monitor_open(&monitor, argv[2])) {
			fprintf(stderr, "groups: no monitor at %s\n", argv[2]);
			return 2;
		}
		group.monitor = &monitor;
	}
	if (setrlimit(RLIMIT_MEMLOCK, &no_limit) ||
	    set_ipc_lock_capability(false)) {
		perror("groups: not privileged");
		return 2;
	}
	printf("Linux %s: %s, %s and %s, and %s behind /dev/iommu\n",
	       kernel.release, argv[5], argv[6], argv[7], argv[4]);
	group.pinned_pages_before = machine_pinned_pages();
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		if (only && atoi(only) != (int)i + 1)
			continue;
		if (group.monitor || !steps[i].needs_monitor)
			play(&group, &steps[i]);
	}
	begin_step(&group, "close");
	group_close(&group);
	if (nothing_left(&group))
		held("the devices, then the context: as many pages are pinned as before");
	return report_summary();
}
