// SPDX-License-Identifier: GPL-2.0
/*
 * A serial card that exists in the kernel only: made, bound, driven.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <linux/serial_reg.h>
#include <linux/vfio.h>

#include "iommufd.h"
#include "mdev.h"

bool story_create(struct story *story)
{
	struct vfio_device *device = &story->serial.device;
	int error;

	mdev_uuid(story->uuid, story->nr_uuids++);
	error = mdev_create(&serial_kind, story->uuid);
	if (error)
		return failed("%s: %s", serial_kind.type, error_name(error));
	error = mdev_create(&serial_kind, story->uuid);
	if (error != -EEXIST)
		return failed("the same once more: %s, want EEXIST",
			      error_name(error));
	*device = mdev_device(story->uuid);
	error = vfio_open(device);
	if (error)
		return failed("its cdev: %s", error_name(error));
	return held("%s, a serial card of two ports; its file is /dev/vfio/devices/%s",
		    serial_kind.type, device->name);
}

bool story_bind(struct story *story)
{
	struct vfio_device *device = &story->serial.device;
	int error;

	story->iommufd = iommufd_open();
	if (story->iommufd < 0)
		return failed("/dev/iommu: %s", error_name(story->iommufd));
	error = ioas_alloc(story->iommufd, &story->ioas_id);
	if (error)
		return failed("IOAS_ALLOC: %s", error_name(error));
	error = vfio_attach(device, story->ioas_id);
	if (error != -EINVAL)
		return failed("attaching before binding: %s, want EINVAL",
			      error_name(error));
	error = serial_bind(&story->serial, story->iommufd);
	if (error)
		return failed("%s", error_name(error));
	if (!device->id || device->id == story->ioas_id)
		return failed("id %u: want one of its own, not 0", device->id);
	if (!at_rest(story, story->iommufd, 2, "bound"))
		return false;
	return held("object %u says that it is a serial card; no attach before that (EINVAL)",
		    device->id);
}

bool story_bind_twice(struct story *story)
{
	struct vfio_device second = mdev_device(story->uuid);
	int again, elsewhere, third;
	int other_iommufd;
	int error;

	again = vfio_bind(&story->serial.device, story->iommufd);
	error = vfio_open(&second);
	if (error)
		return failed("a second file: %s", error_name(error));
	other_iommufd = iommufd_open();
	elsewhere = vfio_bind(&second, other_iommufd);
	third = vfio_bind(&second, story->iommufd);
	vfio_close(&second);
	if (again != -EINVAL || elsewhere != -EINVAL || third != -EINVAL)
		return failed("the same file %s, a second one %s, another context %s; want EINVAL",
			      error_name(again), error_name(third),
			      error_name(elsewhere));
	if (!at_rest(story, other_iommufd, 0, "the other context") ||
	    !at_rest(story, story->iommufd, 2, "after the refusals"))
		return false;
	close(other_iommufd);
	return held("again, by a second file, to a second context: EINVAL, nothing left over");
}

bool story_registers(struct story *story)
{
	struct serial *serial = &story->serial;
	unsigned int port;
	__u8 value;
	int error;

	for (port = 0; port < SERIAL_PORTS; port++) {
		error = serial_write(serial, port, UART_SCR, 0x5a + port);
		if (error)
			return failed("writing to port %u: %s", port,
				      error_name(error));
	}
	for (port = 0; port < SERIAL_PORTS; port++) {
		error = serial_read(serial, port, UART_SCR, &value);
		if (error || value != 0x5a + port)
			return failed("port %u: %s, 0x%02x, want 0x%02x", port,
				      error_name(error), value, 0x5a + port);
	}
	return held("the scratch registers of both ports hold what was written to each");
}

bool story_data(struct story *story)
{
	static const char * const texts[SERIAL_PORTS] = {
		"there and back",
		"the other port",
	};
	unsigned int port;
	int error;

	for (port = 0; port < SERIAL_PORTS; port++) {
		error = serial_reset_port(&story->serial, port);
		if (!error)
			error = serial_echo(&story->serial, port, texts[port]);
		if (error)
			return failed("port %u: %s", port, error_name(error));
	}
	return held("both ports send \"%s\" and receive it", texts[0]);
}

/* Whether one interrupt has come, and what the port says why. */
static bool interrupted(struct serial *serial, int eventfd, __u8 *reason)
{
	struct pollfd poll_eventfd = { .fd = eventfd, .events = POLLIN };
	__u64 count = 0;

	*reason = 0;
	if (poll(&poll_eventfd, 1, 2000) != 1)
		return false;
	if (read(eventfd, &count, sizeof(count)) != sizeof(count) || count != 1)
		return false;
	return !serial_read(serial, 0, UART_IIR, reason);
}

bool story_interrupt(struct story *story)
{
	struct serial *serial = &story->serial;
	int irq = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	__u8 reason, value;
	__u64 count;
	int error;

	error = vfio_set_irq_eventfd(&serial->device, VFIO_PCI_MSI_IRQ_INDEX,
				     irq);
	if (!error)
		error = serial_reset_port(serial, 0);
	if (!error)
		error = serial_write(serial, 0, UART_IER, UART_IER_RDI);
	if (!error)
		error = serial_write(serial, 0, UART_TX, '!');
	if (error)
		return failed("%s", error_name(error));
	if (!interrupted(serial, irq, &reason) || !(reason & UART_IIR_RDI))
		return failed("a byte arrived without an interrupt that says so (0x%02x)",
			      reason);
	error = serial_read(serial, 0, UART_RX, &value);
	if (!error)
		error = serial_write(serial, 0, UART_IER, 0);
	if (!error)
		error = serial_echo(serial, 0, "quiet");
	if (error || value != '!')
		return failed("%s, received 0x%02x", error_name(error), value);
	if (read(irq, &count, sizeof(count)) > 0)
		return failed("an interrupt that was not asked for");
	error = vfio_set_irq_eventfd(&serial->device, VFIO_PCI_MSI_IRQ_INDEX,
				     -1);
	if (error)
		return failed("turning it off: %s", error_name(error));
	close(irq);
	return held("a byte that arrives raises one, through an eventfd; none when turned off");
}
