/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device of VFIO, driven through its character device: a PCI function bound to
 * vfio-pci, or an mdev.
 * Functions return 0 or a negative errno.
 */
#ifndef DEMO_VFIO_H
#define DEMO_VFIO_H

#include <stddef.h>
#include <linux/types.h>

struct vfio_device {
	const char *bus;	/* in /sys/bus; NULL for pci */
	const char *address;	/* domain:bus:device.function, or a UUID */
	char name[32];		/* the cdev's name, vfio0 and so on */
	int fd;			/* negative while closed */
	__u32 id;		/* in the context that it is bound to */
	void *bar0;		/* NULL while not mapped */
	size_t bar0_bytes;
};

int vfio_open(struct vfio_device *device);
void vfio_close(struct vfio_device *device);
int vfio_bind(struct vfio_device *device, int iommufd);

/* Attaching an attached device replaces what it was attached to. */
int vfio_attach(struct vfio_device *device, __u32 pt_id);
int vfio_detach(struct vfio_device *device);

struct vfio_device_info;
struct vfio_region_info;
int vfio_info(struct vfio_device *device, struct vfio_device_info *info);
int vfio_region(struct vfio_device *device, __u32 index,
		struct vfio_region_info *info);
int vfio_map_bar0(struct vfio_device *device);
int vfio_enable_bus_master(struct vfio_device *device);
/* Set and clear bits of the PCI command register. */
int vfio_set_command(struct vfio_device *device, __u16 set, __u16 clear);
/* VFIO_DEVICE_FEATURE; returns what the ioctl does, or a negative errno. */
struct vfio_device_feature;
int vfio_feature(struct vfio_device *device,
		 struct vfio_device_feature *feature);
/* Signals the first vector of an index through an eventfd; -1 turns it off. */
int vfio_set_irq_eventfd(struct vfio_device *device, __u32 index, int eventfd);
/* The same for MSI. */
int vfio_set_msi_eventfd(struct vfio_device *device, int eventfd);

#endif
