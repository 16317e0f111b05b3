/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PCI functions as sysfs shows them, by their address. Functions return 0 or a
 * negative errno.
 */
#ifndef GROUPS_PCI_H
#define GROUPS_PCI_H

#include <stdbool.h>
#include <linux/types.h>

/* The number of its IOMMU group; negative if it has none. */
int pci_group(const char *address);
bool pci_present(const char *address);

/*
 * Both wait until nobody has the device open any more. The first takes it from
 * its driver, the second from the system.
 */
int pci_unbind(const char *address);
int pci_remove(const char *address);

int pci_rescan(void);
/* Give it to vfio-pci, which takes every edu by itself when it is new. */
int pci_bind(const char *address);
/* Waits until vfio-pci has it, so long at most. */
bool pci_ready(const char *address, unsigned int wait_ms);

/*
 * The registers of a function that the kernel does not know any more: by its
 * address, where @bar0 was, as root of a machine that lets its devices be
 * reached (/dev/mem). It may do DMA from here on.
 */
struct vfio_device;
int pci_bar0_address(const char *address, __u64 *bar0);
int pci_seize(const char *address, __u64 bar0, struct vfio_device *device);
/* It may not do DMA any more. */
void pci_release(const char *address, struct vfio_device *device);

#endif
