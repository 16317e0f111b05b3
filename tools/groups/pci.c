// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/pci_regs.h>

#include "mmio.h"
#include "pattern.h"
#include "pci.h"
#include "vfio.h"
#include "word.h"

#define POLL_MS		5
#define BAR0_BYTES	(1 * MIB)
/* Where the firmware puts the configuration space of a Q35. */
#define CONFIGURATION	0xb0000000UL

static void device_path(char *path, const char *address, const char *name)
{
	snprintf(path, PATH_MAX, "/sys/bus/pci/devices/%s/%s", address, name);
}

int pci_group(const char *address)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t length;

	device_path(path, address, "iommu_group");
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	return atoi(strrchr(target, '/') + 1);
}

bool pci_present(const char *address)
{
	char path[PATH_MAX];

	device_path(path, address, "vendor");
	return !access(path, F_OK);
}

int pci_unbind(const char *address)
{
	return write_word("/sys/bus/pci/drivers/vfio-pci/unbind", address);
}

int pci_bind(const char *address)
{
	return write_word("/sys/bus/pci/drivers/vfio-pci/bind", address);
}

int pci_remove(const char *address)
{
	char path[PATH_MAX];

	device_path(path, address, "remove");
	return write_word(path, "1");
}

int pci_rescan(void)
{
	return write_word("/sys/bus/pci/rescan", "1");
}

/* The node is there a little before it can be opened. */
static bool can_be_opened(const char *name)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/devices/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool is_ready(const char *address)
{
	struct dirent *entry;
	char path[PATH_MAX];
	bool ready = false;
	DIR *folder;

	device_path(path, address, "vfio-dev");
	folder = opendir(path);
	while (folder && (entry = readdir(folder)))
		if (!strncmp(entry->d_name, "vfio", 4))
			ready = can_be_opened(entry->d_name);
	if (folder)
		closedir(folder);
	return ready;
}

bool pci_ready(const char *address, unsigned int wait_ms)
{
	unsigned int waited_ms;

	for (waited_ms = 0; waited_ms < wait_ms; waited_ms += POLL_MS) {
		if (is_ready(address))
			return true;
		usleep(POLL_MS * 1000);
	}
	return false;
}

int pci_bar0_address(const char *address, __u64 *bar0)
{
	char path[PATH_MAX];
	unsigned long long first;
	FILE *file;
	int nr;

	device_path(path, address, "resource");
	file = fopen(path, "re");
	if (!file)
		return -errno;
	nr = fscanf(file, "%llx", &first);
	fclose(file);
	if (nr != 1 || !first)
		return -ENODEV;
	*bar0 = first;
	return 0;
}

static void *map_physical(__u64 address, size_t nr_bytes)
{
	int fd = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
	void *memory = MAP_FAILED;

	if (fd >= 0) {
		memory = mmap(NULL, nr_bytes, PROT_READ | PROT_WRITE,
			      MAP_SHARED, fd, address);
		close(fd);
	}
	return memory;
}

/* Its command register is in the first of its configuration registers' words. */
static int set_command(const char *address, __u32 command)
{
	unsigned int bus, slot, function;
	void *registers;

	if (sscanf(address, "%*x:%x:%x.%x", &bus, &slot, &function) != 3)
		return -EINVAL;
	registers = map_physical(CONFIGURATION +
				 PAGE_BYTES * (bus << 8 | slot << 3 | function),
				 PAGE_BYTES);
	if (registers == MAP_FAILED)
		return -EACCES;
	mmio_write32(registers + PCI_COMMAND, command);
	munmap(registers, PAGE_BYTES);
	return 0;
}

int pci_seize(const char *address, __u64 bar0, struct vfio_device *device)
{
	int error;

	error = set_command(address, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (error)
		return error;
	*device = (struct vfio_device){ .address = address, .fd = -1 };
	device->bar0 = map_physical(bar0, BAR0_BYTES);
	if (device->bar0 == MAP_FAILED)
		return -EACCES;
	device->bar0_bytes = BAR0_BYTES;
	return 0;
}

void pci_release(const char *address, struct vfio_device *device)
{
	set_command(address, 0);
	vfio_close(device);
}
