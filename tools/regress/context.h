/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every step begins with: a context with two devices bound, not attached.
 */
#ifndef REGRESS_CONTEXT_H
#define REGRESS_CONTEXT_H

#include <stdbool.h>
#include <linux/types.h>

#include "pattern.h"
#include "vfio.h"

#define NR_DEVICES 2

/* Where the steps map: below all that is reserved, and above it. */
#define LOW_IOVA	(16 * MIB)
#define HIGH_IOVA	(8192 * MIB)

struct context {
	const char *address[NR_DEVICES];
	int iommufd;
	struct vfio_device device[NR_DEVICES];
	/* pinned by anybody in the machine before the first step */
	long pinned_pages_before;
};

int context_open(struct context *context, __u64 rlimit_mode);
/* Closes the devices first. */
void context_close(struct context *context);

/* Open and bind one device; on its own after vfio_close() of it. */
int context_bind(struct context *context, unsigned int number);
/* Let a device of the context do DMA. */
int context_start_device(struct context *context, unsigned int number);

/* Pages pinned through this context and charged for it; -1 if they differ. */
long context_pinned(struct context *context);
/* Pages pinned in the machine since the first step. */
long context_machine_pinned(struct context *context);

#endif
