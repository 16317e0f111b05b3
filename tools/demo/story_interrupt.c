// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts: one of the DMA engine, then those of both devices wherever they
 * are attached.
 *
 * An MSI is a write by the device. Behind an SMMUv3 it is translated like any
 * other write of that device: it arrives because the doorbell page of the
 * interrupt controller is mapped in the page table, at an address that software
 * chose, and the device was told that address. So each page table that the
 * device gets has to have the page at the same place, for as long as the MSI is
 * on; and a device that is attached to nothing has no interrupts.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "demo.h"
#include "edu.h"
#include "iommufd.h"
#include "mmio.h"

#define INTERRUPT_TIMEOUT_MS	5000
/* For one that must not come: those that do take less than a tenth of it. */
#define SILENCE_MS		1000

/* How many interrupts came; 0 after a while without. */
static __u64 wait_interrupts(int fd, int timeout_ms)
{
	struct pollfd waiting = { .fd = fd, .events = POLLIN };
	__u64 nr_interrupts = 0;

	if (poll(&waiting, 1, timeout_ms) == 1 &&
	    read(fd, &nr_interrupts, sizeof(nr_interrupts)) < 0)
		return 0;
	return nr_interrupts;
}

/* One interrupt that says @bits, and none left once it is acknowledged. */
static bool one_interrupt(struct vfio_device *edu, int fd, __u32 bits,
			  const char *when)
{
	__u64 nr_interrupts = wait_interrupts(fd, INTERRUPT_TIMEOUT_MS);
	__u32 status = edu_interrupt_status(edu);

	edu_acknowledge_interrupt(edu, status);
	if (nr_interrupts != 1 || status != bits)
		return failed("%s: %llu interrupts with status 0x%x: want one with 0x%x",
			      when, nr_interrupts, status, bits);
	if (edu_interrupt_status(edu))
		return failed("%s: the interrupt cannot be acknowledged", when);
	return true;
}

static bool interrupt_arrives(struct demo *demo, int fd, const char *when)
{
	edu_raise_interrupt(&demo->edu_device, 0x5a);
	return one_interrupt(&demo->edu_device, fd, 0x5a, when);
}

/* Run @part while MSIs of the engine arrive at an eventfd. */
static bool with_msi(struct demo *demo, bool (*part)(struct demo *demo, int fd))
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bool good;
	int error;

	if (fd < 0)
		return failed("eventfd: %s", error_name(-errno));
	error = vfio_set_msi_eventfd(&demo->edu_device, fd);
	if (error) {
		close(fd);
		return failed("turning MSI on: %s", error_name(error));
	}
	good = part(demo, fd);
	error = vfio_set_msi_eventfd(&demo->edu_device, -1);
	close(fd);
	if (good && error)
		return failed("turning MSI off: %s", error_name(error));
	return good;
}

static bool interrupts(struct demo *demo, int fd)
{
	const __u64 iova = MEMORY_IOVA + WORK_OFFSET;
	struct vfio_device *edu = &demo->edu_device;
	const size_t nr_bytes = 1000;
	int error;

	if (!interrupt_arrives(demo, fd, "asked for"))
		return false;

	memset(demo->memory + WORK_OFFSET, 0, nr_bytes);
	error = engine_load(demo, nr_bytes, 4);
	if (!error)
		error = edu_write_memory_interrupt(edu, iova, nr_bytes);
	if (error)
		return failed("a transfer: %s", error_name(error));
	if (!one_interrupt(edu, fd, EDU_INTERRUPT_BY_DMA, "after a DMA"))
		return false;
	if (!pattern_holds(demo->memory + WORK_OFFSET, nr_bytes, 4))
		return failed("the interrupt came, the data did not");
	return true;
}

bool story_interrupt(struct demo *demo)
{
	return with_msi(demo, interrupts) &&
	       held("by eventfd: one MSI asked for, one ending a DMA whose data had arrived");
}

/*
 * The engine's MSI address is in its configuration space. What VFIO shows there
 * is what its user wrote; sysfs shows what the kernel told the device.
 */
static int config_open(const struct vfio_device *device)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config",
		 device->address);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static __u32 config_read(int fd, unsigned int offset, size_t nr_bytes)
{
	__u8 bytes[4] = { 0 };
	__u32 value;

	if (pread(fd, bytes, nr_bytes, offset) != (ssize_t)nr_bytes)
		return 0;
	memcpy(&value, bytes, sizeof(value));
	return le32toh(value);
}

/* Where a capability is; 0 if there is none. */
static unsigned int config_capability(int fd, __u8 wanted)
{
	unsigned int offset = config_read(fd, PCI_CAPABILITY_LIST, 1);
	unsigned int left = 48;

	while (offset && left--) {
		if (config_read(fd, offset + PCI_CAP_LIST_ID, 1) == wanted)
			return offset;
		offset = config_read(fd, offset + PCI_CAP_LIST_NEXT, 1);
	}
	return 0;
}

static __u64 msi_address(const struct vfio_device *device)
{
	int fd = config_open(device);
	unsigned int msi;
	__u64 address = 0;

	if (fd < 0)
		return 0;
	msi = config_capability(fd, PCI_CAP_ID_MSI);
	if (msi && config_read(fd, msi + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE) {
		address = config_read(fd, msi + PCI_MSI_ADDRESS_LO, 4);
		if (config_read(fd, msi + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_64BIT)
			address |= (__u64)config_read(fd, msi + PCI_MSI_ADDRESS_HI, 4) << 32;
	}
	close(fd);
	return address;
}

/* The disk's are in a table of BAR 0, one for each vector; this is the first. */
static __u64 msix_address(const struct vfio_device *device)
{
	int fd = config_open(device);
	const void *entry;
	unsigned int msix;
	__u32 table;

	if (fd < 0)
		return 0;
	msix = config_capability(fd, PCI_CAP_ID_MSIX);
	table = config_read(fd, msix + PCI_MSIX_TABLE, 4);
	close(fd);
	if (!msix || table & PCI_MSIX_TABLE_BIR ||
	    (table & PCI_MSIX_TABLE_OFFSET) + PCI_MSIX_ENTRY_SIZE >
	    device->bar0_bytes)
		return 0;
	entry = device->bar0 + (table & PCI_MSIX_TABLE_OFFSET);
	return mmio_read32(entry + PCI_MSIX_ENTRY_LOWER_ADDR) |
	       (__u64)mmio_read32(entry + PCI_MSIX_ENTRY_UPPER_ADDR) << 32;
}

/* Two commands of the disk's, each with a completion that it tells of. */
static bool disk_interrupt_arrives(struct demo *demo, int fd, const char *when)
{
	int error = nvme_identify(&demo->nvme);

	if (error)
		return failed("%s: the disk's answer: 0x%x", when, error);
	if (!wait_interrupts(fd, INTERRUPT_TIMEOUT_MS))
		return failed("%s: no interrupt of the disk", when);
	return true;
}

/*
 * Run @part while the disk's interrupts arrive at an eventfd as well. The disk
 * starts anew: QEMU's tells of completions by MSI-X only on queues that were
 * made while it was on.
 */
static bool with_msix(struct demo *demo, bool (*part)(struct demo *demo, int fd))
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bool good;
	int error;

	if (!demo->nvme.nr_blocks)
		return failed("the disk was not identified");
	if (fd < 0)
		return failed("eventfd: %s", error_name(-errno));
	error = vfio_set_irq_eventfd(&demo->nvme_device,
				     VFIO_PCI_MSIX_IRQ_INDEX, fd);
	if (error) {
		close(fd);
		return failed("turning the disk's MSI-X on: %s",
			      error_name(error));
	}
	error = disk_start(demo);
	good = error ? failed("starting the disk anew: 0x%x", error) :
	       part(demo, fd);
	error = vfio_set_irq_eventfd(&demo->nvme_device,
				     VFIO_PCI_MSIX_IRQ_INDEX, -1);
	close(fd);
	if (good && error)
		return failed("turning the disk's MSI-X off: %s",
			      error_name(error));
	return good;
}

/* The register that devices write MSIs to, in the frame after the ITS's first. */
#define DOORBELL_OFFSET	0x10040

/* Where the doorbell really is: the device tree says it. 0 if it does not. */
static __u64 doorbell_physical(void)
{
	__be64 base;
	glob_t found;
	__u64 address = 0;
	int fd;

	if (glob("/sys/firmware/devicetree/base/intc@*/*its@*/reg", 0, NULL,
		 &found))
		return 0;
	fd = open(found.gl_pathv[0], O_RDONLY | O_CLOEXEC);
	if (found.gl_pathc == 1 && fd >= 0 &&
	    read(fd, &base, sizeof(base)) == sizeof(base))
		address = be64toh(base) + DOORBELL_OFFSET;
	if (fd >= 0)
		close(fd);
	globfree(&found);
	return address;
}

static struct {
	__u64 engine, disk;
} addresses;

static bool learn_addresses(struct demo *demo, int fd)
{
	addresses.engine = msi_address(&demo->edu_device);
	addresses.disk = msix_address(&demo->nvme_device);
	return disk_interrupt_arrives(demo, fd, "with both on");
}

static bool learn_addresses_msi(struct demo *demo, int fd)
{
	return with_msix(demo, learn_addresses) &&
	       interrupt_arrives(demo, fd, "with both on");
}

static bool is_doorbell(struct demo *demo, __u64 address, __u64 physical)
{
	const struct iommu_iova_range window = interrupt_window(demo);

	return address >= window.start && address <= window.last &&
	       address % PAGE_BYTES == physical % PAGE_BYTES &&
	       address != physical;
}

bool story_msi_address(struct demo *demo)
{
	const __u64 physical = doorbell_physical();

	if (demo->iommu != IOMMU_SMMUV3)
		return skipped("this IOMMU does not translate where interrupts go");
	if (!physical)
		return failed("the device tree does not say where the interrupt controller is");
	if (!with_msi(demo, learn_addresses_msi))
		return false;
	if (!is_doorbell(demo, addresses.engine, physical) ||
	    !is_doorbell(demo, addresses.disk, physical))
		return failed("MSIs go to 0x%llx and 0x%llx, the doorbell is at 0x%llx",
			      addresses.engine, addresses.disk, physical);
	return held("engine and disk write to 0x%llx and 0x%llx, for the doorbell at 0x%llx",
		    addresses.engine, addresses.disk, physical);
}

/* Nothing but the doorbell is in the second address space after a while. */
static bool follows(struct demo *demo, int fd)
{
	struct vfio_device *edu = &demo->edu_device;
	__u32 second_id, hwpt_id;
	int error;

	if (!interrupt_arrives(demo, fd, "where MSI was turned on"))
		return false;
	error = ioas_alloc(demo->iommufd, &second_id);
	if (!error)
		error = ioas_map_at(demo->iommufd, second_id, demo->memory,
				    PAGE_BYTES, STEP_IOVA, DMA_READ_WRITE);
	if (!error)
		error = vfio_attach(edu, second_id);
	if (error)
		return failed("a second address space: %s", error_name(error));
	if (!interrupt_arrives(demo, fd, "in the second address space"))
		return false;
	error = ioas_unmap_everything(demo->iommufd, second_id);
	if (error)
		return failed("unmapping everything: %s", error_name(error));
	if (!interrupt_arrives(demo, fd, "after everything was unmapped"))
		return false;

	error = hwpt_alloc(demo->iommufd, edu->id, second_id, &hwpt_id);
	if (!error)
		error = vfio_attach(edu, hwpt_id);
	if (error)
		return failed("a page table of its own: %s", error_name(error));
	if (!interrupt_arrives(demo, fd, "in a page table of its own"))
		return false;

	error = vfio_attach(edu, demo->ioas_id);
	if (!error)
		error = iommufd_destroy(demo->iommufd, hwpt_id);
	if (!error)
		error = iommufd_destroy(demo->iommufd, second_id);
	if (error)
		return failed("going back: %s", error_name(error));
	return interrupt_arrives(demo, fd, "back where it was");
}

bool story_msi_follows(struct demo *demo)
{
	return with_msi(demo, follows) &&
	       held("on once, it arrives in another address space, after UNMAP of all, in a HWPT");
}

/* Of the engine, which is in another address space than the disk. */
static __u64 apart_address;

static bool apart(struct demo *demo, int fd)
{
	apart_address = msi_address(&demo->edu_device);
	return interrupt_arrives(demo, fd, "in address spaces of their own");
}

static bool two(struct demo *demo, int fd)
{
	__u32 second_id;
	int error;

	if (!disk_interrupt_arrives(demo, fd, "in the same address space"))
		return false;
	error = ioas_alloc(demo->iommufd, &second_id);
	if (!error)
		error = vfio_attach(&demo->edu_device, second_id);
	if (error)
		return failed("a second address space: %s", error_name(error));
	if (!with_msi(demo, apart) ||
	    !disk_interrupt_arrives(demo, fd, "in address spaces of their own"))
		return false;
	error = vfio_attach(&demo->edu_device, demo->ioas_id);
	if (!error)
		error = iommufd_destroy(demo->iommufd, second_id);
	if (error)
		return failed("going back: %s", error_name(error));
	return with_msi(demo, apart) &&
	       disk_interrupt_arrives(demo, fd, "together again");
}

bool story_msi_two(struct demo *demo)
{
	return with_msix(demo, two) &&
	       held("engine's MSI, disk's MSI-X: they arrive attached together and apart (0x%llx)",
		    apart_address);
}

/*
 * That MSI cannot be turned on for a detached device is not tried: the ITS driver
 * keeps what it had set aside when it fails, and would fail for ever.
 */
static bool silent_while_detached(struct demo *demo, int fd)
{
	struct vfio_device *edu = &demo->edu_device;
	__u64 nr_interrupts;
	int error;

	if (!interrupt_arrives(demo, fd, "while attached"))
		return false;
	error = vfio_detach(edu);
	if (error)
		return failed("detaching: %s", error_name(error));
	edu_raise_interrupt(edu, 0x21);
	nr_interrupts = wait_interrupts(fd, SILENCE_MS);
	if (edu_interrupt_status(edu) != 0x21)
		return failed("the detached engine did not raise it");
	edu_acknowledge_interrupt(edu, 0x21);
	error = vfio_attach(edu, demo->ioas_id);
	if (error)
		return failed("attaching again: %s", error_name(error));
	if (nr_interrupts)
		return failed("%llu interrupts of a detached device",
			      nr_interrupts);
	return interrupt_arrives(demo, fd, "attached again");
}

bool story_msi_detached(struct demo *demo)
{
	if (demo->iommu != IOMMU_SMMUV3)
		return skipped("behind this IOMMU a detached device keeps its interrupts");
	return with_msi(demo, silent_while_detached) &&
	       held("a detached engine's MSI is blocked, like its DMA; attached again it arrives");
}

/* What is mapped where interrupts go keeps a device out, and hurts nothing. */
static bool taken(struct demo *demo, int fd)
{
	const struct iommu_iova_range window = interrupt_window(demo);
	__u32 second_id;
	int error;

	error = ioas_alloc(demo->iommufd, &second_id);
	if (!error)
		error = ioas_map_at(demo->iommufd, second_id, demo->memory,
				    PAGE_BYTES, window.start, DMA_READ_WRITE);
	if (error)
		return failed("mapping at 0x%llx, no device attached: %s",
			      window.start, error_name(error));
	error = vfio_attach(&demo->edu_device, second_id);
	if (error != -EADDRINUSE)
		return failed("attaching to it: %s, want EADDRINUSE",
			      error_name(error));
	if (!interrupt_arrives(demo, fd, "after the refusal"))
		return false;
	error = ioas_unmap_exactly(demo->iommufd, second_id, window.start,
				   PAGE_BYTES);
	if (!error)
		error = vfio_attach(&demo->edu_device, second_id);
	if (error)
		return failed("attaching once it is free: %s",
			      error_name(error));
	if (!interrupt_arrives(demo, fd, "attached once it was free"))
		return false;
	error = vfio_attach(&demo->edu_device, demo->ioas_id);
	if (!error)
		error = iommufd_destroy(demo->iommufd, second_id);
	if (error)
		return failed("going back: %s", error_name(error));
	return true;
}

bool story_msi_taken(struct demo *demo)
{
	return with_msi(demo, taken) &&
	       held("no attaching where memory is mapped in their way (EADDRINUSE)");
}
