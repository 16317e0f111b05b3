// SPDX-License-Identifier: GPL-2.0
/*
 * An mdev on /dev/iommu: devices that a kernel driver emulates, made through
 * sysfs, bound and attached like any other, and taken away in every order. A
 * test of the paths that VFIO takes through iommufd for them.
 *
 * The drivers are those of samples/vfio-mdev: mtty, a serial card, and mbochs,
 * a display. Neither reads or pins the memory of its user, so what is seen here
 * of the address space is attach, replace, detach, what they ask of alignment,
 * and that UNMAP goes on under them. Pinning is what the KUnit suite of access.c
 * tests.
 */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "mdev.h"

static const struct step {
	const char *topic;
	bool (*run)(struct story *story);
	bool needed;	/* nothing after it makes sense without it */
} steps[] = {
	{ "create",	story_create,		true },
	{ "bind",	story_bind,		true },
	{ "bind",	story_bind_twice,	false },
	{ "registers",	story_registers,	false },
	{ "data",	story_data,		false },
	{ "interrupt",	story_interrupt,	false },
	{ "attach",	story_attach,		true },
	{ "alignment",	story_alignment,	false },
	{ "map",	story_map,		false },
	{ "replace",	story_replace,		false },
	{ "refusals",	story_refusals,		false },
	{ "busy",	story_busy,		true },
	{ "race",	story_race,		true },
	{ "close",	story_close_attached,	true },
	{ "context",	story_context_first,	true },
	{ "mmap",	story_mapped_registers,	false },
	{ "remove",	story_remove_in_use,	false },
	{ "remove",	story_remove_opened,	false },
	{ "killed",	story_killed,		false },
	{ "rounds",	story_rounds,		false },
	{ "returned",	story_all_returned,	false },
};

static void tell(struct story *story)
{
	const struct step *missing = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		report_begin_step(steps[i].topic);
		if (missing)
			failed("not tried, because \"%s\" did not hold",
			       missing->topic);
		else if (!steps[i].run(story) && steps[i].needed)
			missing = &steps[i];
	}
}

struct vfio_device mdev_device(const char *uuid)
{
	return (struct vfio_device){
		.bus = "mdev",
		.address = uuid,
		.fd = -1,
	};
}

bool at_rest(struct story *story, int iommufd, long nr_objects,
	     const char *when)
{
	long machine = machine_pinned_pages() - story->pinned_pages_before;
	long objects = fdinfo_objects(iommufd);
	long pinned, charged;

	if (!fdinfo_number(iommufd, "pinned-pages", &pinned) ||
	    !fdinfo_number(iommufd, "charged-pages", &charged))
		return failed("%s: the fdinfo of /dev/iommu has no page counts",
			      when);
	if (pinned || charged || machine)
		return failed("%s: %ld pages pinned, %ld charged, %ld in the machine; want 0",
			      when, pinned, charged, machine);
	if (objects != nr_objects)
		return failed("%s: fdinfo counts %ld objects, want %ld", when,
			      objects, nr_objects);
	return true;
}

int main(void)
{
	struct story story = { .iommufd = -1 };
	struct utsname kernel;

	uname(&kernel);
	printf("Linux %s: emulated devices behind /dev/iommu\n",
	       kernel.release);
	story.memory = memory_new(MEMORY_BYTES);
	story.pinned_pages_before = machine_pinned_pages();
	tell(&story);
	return report_summary();
}
