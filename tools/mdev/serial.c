// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <linux/serial_reg.h>
#include <linux/vfio.h>

#include "serial.h"

#define SERIAL_ID	0x32534348	/* vendor 0x4348, device 0x3253 */
#define SERIAL_REGISTERS 8

int serial_write(struct serial *serial, unsigned int port, unsigned int reg,
		 __u8 value)
{
	off_t where = serial->port_offset[port] + reg;

	return pwrite(serial->device.fd, &value, 1, where) == 1 ? 0 : -EIO;
}

int serial_read(struct serial *serial, unsigned int port, unsigned int reg,
		__u8 *value)
{
	off_t where = serial->port_offset[port] + reg;

	return pread(serial->device.fd, value, 1, where) == 1 ? 0 : -EIO;
}

/* The driver accepts interrupts only once it was asked how many it has. */
static int check_info(struct serial *serial)
{
	struct vfio_device_info info;
	int error = vfio_info(&serial->device, &info);

	if (!error && (!(info.flags & VFIO_DEVICE_FLAGS_PCI) ||
		       info.num_regions <= VFIO_PCI_CONFIG_REGION_INDEX ||
		       info.num_irqs <= VFIO_PCI_MSI_IRQ_INDEX))
		error = -ENODEV;
	return error;
}

static int check_id(struct serial *serial)
{
	struct vfio_region_info info;
	__u32 id;
	int error;

	error = vfio_region(&serial->device, VFIO_PCI_CONFIG_REGION_INDEX,
			    &info);
	if (error)
		return error;
	if (pread(serial->device.fd, &id, sizeof(id), info.offset) != sizeof(id))
		return -EIO;
	return id == SERIAL_ID ? 0 : -ENODEV;
}

int serial_bind(struct serial *serial, int iommufd)
{
	struct vfio_region_info info;
	unsigned int port;
	int error;

	error = vfio_bind(&serial->device, iommufd);
	if (!error)
		error = check_info(serial);
	if (!error)
		error = check_id(serial);
	for (port = 0; !error && port < SERIAL_PORTS; port++) {
		error = vfio_region(&serial->device,
				    VFIO_PCI_BAR0_REGION_INDEX + port, &info);
		if (!error && info.size != SERIAL_REGISTERS)
			error = -ENODEV;
		serial->port_offset[port] = info.offset;
	}
	return error;
}

int serial_reset_port(struct serial *serial, unsigned int port)
{
	int error;

	error = serial_write(serial, port, UART_LCR, UART_LCR_WLEN8);
	if (!error)
		error = serial_write(serial, port, UART_IER, 0);
	if (!error)
		error = serial_write(serial, port, UART_FCR,
				     UART_FCR_ENABLE_FIFO |
				     UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	return error;
}

static int receive(struct serial *serial, unsigned int port, char wanted)
{
	__u8 status, value;
	int error;

	error = serial_read(serial, port, UART_LSR, &status);
	if (!error && !(status & UART_LSR_DR))
		error = -EIO;
	if (!error)
		error = serial_read(serial, port, UART_RX, &value);
	if (!error && value != (__u8)wanted)
		error = -EIO;
	return error;
}

int serial_echo(struct serial *serial, unsigned int port, const char *text)
{
	size_t nr_bytes = strlen(text);
	__u8 status;
	size_t i;
	int error = 0;

	if (nr_bytes > SERIAL_FIFO_BYTES)
		return -EINVAL;
	for (i = 0; !error && i < nr_bytes; i++)
		error = serial_write(serial, port, UART_TX, text[i]);
	for (i = 0; !error && i < nr_bytes; i++)
		error = receive(serial, port, text[i]);
	if (!error)
		error = serial_read(serial, port, UART_LSR, &status);
	if (!error && (status & UART_LSR_DR))
		error = -EIO;
	return error;
}
