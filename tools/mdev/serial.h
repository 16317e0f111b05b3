/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The emulated serial card of samples/vfio-mdev/mtty.c: two UARTs, in each of
 * which what is sent comes back. Functions return 0 or a negative errno.
 */
#ifndef MDEV_SERIAL_H
#define MDEV_SERIAL_H

#include <sys/types.h>
#include <linux/types.h>

#include "vfio.h"

#define SERIAL_PORTS 2

/* More would fill the emulated FIFO, which then reads as empty. */
#define SERIAL_FIFO_BYTES 15

struct serial {
	struct vfio_device device;
	off_t port_offset[SERIAL_PORTS];
};

/* Bind the open device, find its registers, and check what it says it is. */
int serial_bind(struct serial *serial, int iommufd);

int serial_write(struct serial *serial, unsigned int port, unsigned int reg,
		 __u8 value);
int serial_read(struct serial *serial, unsigned int port, unsigned int reg,
		__u8 *value);

/* Empty the FIFO and make it SERIAL_FIFO_BYTES deep. */
int serial_reset_port(struct serial *serial, unsigned int port);
/* Send text and receive as many bytes; -EIO if they differ. */
int serial_echo(struct serial *serial, unsigned int port, const char *text);

#endif
