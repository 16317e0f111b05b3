/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the rest of the kernel says about what iommufd does: pinned pages,
 * charged pages, huge pages, and the IOMMU's lines in the kernel log.
 */
#ifndef DEMO_OBSERVE_H
#define DEMO_OBSERVE_H

#include <stdbool.h>
#include <linux/types.h>

/*
 * Pages that anybody in this machine has pinned (FOLL_PIN): not iommufd's own
 * book-keeping but that of the memory manager. Negative if unknown.
 */
long machine_pinned_pages(void);

/* A "Name:  N kB" line of /proc/self/status; negative if there is none. */
long process_status_kib(const char *name);

/* A "name:\tN" line of the fdinfo of @fd; false if the kernel has none. */
bool fdinfo_number(int fd, const char *name, long *value);

/* The sum of its "objects-...:\tN" lines; negative if it cannot be read. */
long fdinfo_objects(int fd);

/* How much of the mapping that begins at @memory is in huge pages. */
long huge_kib(const void *memory);

/* What an IOMMU driver writes about a DMA that it refused. */
enum fault_log {
	FAULT_LOG_NONE,		/* nothing that could be relied on */
	FAULT_LOG_VTD,
	FAULT_LOG_SMMUV3,
};

/* Its report of one write. Where there is none, beginning and end succeed. */
struct fault_watch {
	enum fault_log log;
	const char *kmsg_path;
	int kmsg_fd;
};

int fault_watch_begin(struct fault_watch *watch);
/* True once the lines for a write by this device to this page have appeared. */
bool fault_watch_end(struct fault_watch *watch, const char *device_address,
		     __u64 iova);

#endif
