// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <unistd.h>

#include "context.h"
#include "edu.h"
#include "iommufd.h"
#include "observe.h"

int context_bind(struct context *context, unsigned int number)
{
	struct vfio_device *device = &context->device[number];
	int error;

	*device = (struct vfio_device){
		.address = context->address[number],
		.fd = -1,
	};
	error = vfio_open(device);
	if (!error)
		error = vfio_bind(device, context->iommufd);
	return error;
}

int context_start_device(struct context *context, unsigned int number)
{
	struct vfio_device *device = &context->device[number];
	/* A second mapping would keep the file open when it is closed. */
	int error = device->bar0 ? 0 : vfio_map_bar0(device);

	if (!error)
		error = vfio_enable_bus_master(device);
	if (!error)
		error = edu_start(device);
	return error;
}

int context_open(struct context *context, __u64 rlimit_mode)
{
	unsigned int i;
	int error;

	context->iommufd = iommufd_open();
	if (context->iommufd < 0)
		return context->iommufd;
	error = iommufd_set_rlimit_mode(context->iommufd, rlimit_mode);
	for (i = 0; i < NR_DEVICES; i++) {
		context->device[i].fd = -1;
		if (!error)
			error = context_bind(context, i);
	}
	return error;
}

void context_close(struct context *context)
{
	unsigned int i;

	for (i = 0; i < NR_DEVICES; i++)
		vfio_close(&context->device[i]);
	if (context->iommufd >= 0)
		close(context->iommufd);
	context->iommufd = -1;
}

long context_pinned(struct context *context)
{
	long pinned, charged;

	if (!fdinfo_number(context->iommufd, "pinned-pages", &pinned) ||
	    !fdinfo_number(context->iommufd, "charged-pages", &charged))
		return -1;
	return pinned == charged ? pinned : -1;
}

long context_machine_pinned(struct context *context)
{
	return machine_pinned_pages() - context->pinned_pages_before;
}
