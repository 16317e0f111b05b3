// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "vfio.h"

static int command(struct vfio_device *device, unsigned long request,
		   void *argument)
{
	return ioctl(device->fd, request, argument) ? -errno : 0;
}

/* sysfs holds the name of the cdev as the only folder in vfio-dev/. */
static int find_cdev_name(struct vfio_device *device)
{
	int error = -ENODEV;
	struct dirent *entry;
	char path[PATH_MAX];
	DIR *folder;

	snprintf(path, sizeof(path), "/sys/bus/%s/devices/%s/vfio-dev",
		 device->bus ? device->bus : "pci", device->address);
	folder = opendir(path);
	if (!folder)
		return -errno;

	while ((entry = readdir(folder))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(device->name, sizeof(device->name), "%.31s",
			 entry->d_name);
		error = 0;
	}
	closedir(folder);
	return error;
}

int vfio_open(struct vfio_device *device)
{
	char path[PATH_MAX];
	int error;

	error = find_cdev_name(device);
	if (error)
		return error;

	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", device->name);
	device->fd = open(path, O_RDWR | O_CLOEXEC);
	return device->fd < 0 ? -errno : 0;
}

void vfio_close(struct vfio_device *device)
{
	if (device->bar0)
		munmap(device->bar0, device->bar0_bytes);
	device->bar0 = NULL;
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
}

int vfio_bind(struct vfio_device *device, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};
	int error = command(device, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	if (!error)
		device->id = bind.out_devid;
	return error;
}

int vfio_attach(struct vfio_device *device, __u32 pt_id)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = pt_id,
	};

	return command(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

int vfio_detach(struct vfio_device *device)
{
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
	};

	return command(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
}

int vfio_info(struct vfio_device *device, struct vfio_device_info *info)
{
	*info = (struct vfio_device_info){ .argsz = sizeof(*info) };
	return command(device, VFIO_DEVICE_GET_INFO, info);
}

int vfio_region(struct vfio_device *device, __u32 index,
		struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){
		.argsz = sizeof(*info),
		.index = index,
	};
	return command(device, VFIO_DEVICE_GET_REGION_INFO, info);
}

int vfio_map_bar0(struct vfio_device *device)
{
	struct vfio_region_info info;
	void *bar;
	int error;

	error = vfio_region(device, VFIO_PCI_BAR0_REGION_INDEX, &info);
	if (error)
		return error;
	if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP))
		return -ENODEV;

	bar = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   device->fd, info.offset);
	if (bar == MAP_FAILED)
		return -errno;
	device->bar0 = bar;
	device->bar0_bytes = info.size;
	return 0;
}

int vfio_set_command(struct vfio_device *device, __u16 set, __u16 clear)
{
	struct vfio_region_info info;
	__u16 value;
	off_t where;
	int error;

	error = vfio_region(device, VFIO_PCI_CONFIG_REGION_INDEX, &info);
	if (error)
		return error;
	where = info.offset + PCI_COMMAND;

	if (pread(device->fd, &value, sizeof(value), where) != sizeof(value))
		return -EIO;
	value = (value | set) & ~clear;
	if (pwrite(device->fd, &value, sizeof(value), where) != sizeof(value))
		return -EIO;
	if (pread(device->fd, &value, sizeof(value), where) != sizeof(value))
		return -EIO;
	return (value & set) == set && !(value & clear) ? 0 : -EIO;
}

int vfio_enable_bus_master(struct vfio_device *device)
{
	return vfio_set_command(device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
				0);
}

int vfio_feature(struct vfio_device *device, struct vfio_device_feature *feature)
{
	int result = ioctl(device->fd, VFIO_DEVICE_FEATURE, feature);

	return result < 0 ? -errno : result;
}

int vfio_set_irq_eventfd(struct vfio_device *device, __u32 index, int eventfd)
{
	struct {
		struct vfio_irq_set set;
		__s32 eventfd;
	} argument = {
		.set = {
			.argsz = sizeof(argument),
			.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
				 VFIO_IRQ_SET_DATA_EVENTFD,
			.index = index,
			.count = 1,
		},
		.eventfd = eventfd,
	};

	if (eventfd < 0) {
		argument.set.argsz = sizeof(argument.set);
		argument.set.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
				     VFIO_IRQ_SET_DATA_NONE;
		argument.set.count = 0;
	}
	return command(device, VFIO_DEVICE_SET_IRQS, &argument);
}

int vfio_set_msi_eventfd(struct vfio_device *device, int eventfd)
{
	return vfio_set_irq_eventfd(device, VFIO_PCI_MSI_IRQ_INDEX, eventfd);
}
