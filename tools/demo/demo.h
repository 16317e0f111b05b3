/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the steps of the story share, and the steps.
 */
#ifndef DEMO_DEMO_H
#define DEMO_DEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#include "iommufd.h"
#include "nvme.h"
#include "observe.h"
#include "pattern.h"
#include "report.h"
#include "vfio.h"

/*
 * The large piece of memory: the disk's image is read into its front, the DMA
 * engine plays in the scratch page and works on the last MiB.
 */
#define MEMORY_BYTES	(64 * MIB)
#define MEMORY_IOVA	(4096UL * MIB)
#define IMAGE_BYTES_MAX	(60 * MIB)
#define SCRATCH_OFFSET	(62 * MIB)
#define WORK_OFFSET	(63 * MIB)

/* Where steps map memory of their own. */
#define STEP_IOVA	(1024UL * MIB)
#define OTHER_STEP_IOVA	(1280UL * MIB)
#define STEP_IOVA_LAST	(1536UL * MIB - 1)

enum iommu_kind {
	IOMMU_INTEL,
	IOMMU_VIRTIO,
	IOMMU_AMD,
	IOMMU_SMMUV3,
};

struct demo {
	/* from the command line */
	enum iommu_kind iommu;
	const char *image_sha256;
	size_t image_bytes;	/* 0 until the disk says it, if not given */
	const char *kmsg_path;

	/* from the steps of the set-up until the release */
	int iommufd;
	struct vfio_device nvme_device;
	struct vfio_device edu_device;
	__u32 ioas_id;
	char *memory;
	char *nvme_memory;
	__u64 nvme_memory_iova;
	struct nvme nvme;

	/* pinned by anybody in the machine before the story began */
	long pinned_pages_before;
};

/* Where interrupts go: nothing can be mapped there. */
struct iommu_iova_range interrupt_window(const struct demo *demo);

/* Open both files, bind, and make the device able to do DMA. */
int edu_open_and_bind(struct demo *demo, int iommufd);

/* Reset the disk, ask what it is, and make it ready to read and write. */
int disk_start(struct demo *demo);

/* Fill the DMA engine's buffer with a pattern, through the scratch page. */
int engine_load(struct demo *demo, size_t nr_bytes, unsigned int seed);
/* Whether its buffer holds a pattern, through the scratch page; or an error. */
int engine_holds(struct demo *demo, size_t nr_bytes, unsigned int seed);
/* Let the engine write a new pattern to @iova. */
int engine_write_pattern(struct demo *demo, __u64 iova, size_t nr_bytes,
			 unsigned int seed);

/* Each step returns whether it held. Setting up: story_setup.c */
bool story_open(struct demo *demo);
bool story_isolated(struct demo *demo);
bool story_bind(struct demo *demo);
bool story_bind_twice(struct demo *demo);
bool story_hw_info(struct demo *demo);
bool story_ioas(struct demo *demo);
bool story_map_fixed(struct demo *demo);
bool story_map_anywhere(struct demo *demo);
bool story_attach(struct demo *demo);
bool story_ranges(struct demo *demo);
bool story_pinned(struct demo *demo);

/* The disk: story_disk.c */
bool story_identify(struct demo *demo);
bool story_read_image(struct demo *demo);
bool story_write_blocks(struct demo *demo);

/* Memory that a descriptor names: story_file.c */
bool story_memfd(struct demo *demo);
bool story_bar(struct demo *demo);

/* The DMA engine: story_engine.c */
bool story_dma(struct demo *demo);
bool story_scattered(struct demo *demo);
bool story_replace(struct demo *demo);
bool story_hwpt(struct demo *demo);
bool story_copy(struct demo *demo);

/* Interrupts of both devices: story_interrupt.c */
bool story_interrupt(struct demo *demo);
bool story_msi_address(struct demo *demo);
bool story_msi_follows(struct demo *demo);
bool story_msi_two(struct demo *demo);
bool story_msi_detached(struct demo *demo);
bool story_msi_taken(struct demo *demo);

/* What must not work: story_blocked.c */
bool story_read_only(struct demo *demo);
bool story_unmapped(struct demo *demo);
bool story_detached(struct demo *demo);
bool story_disk_blocked(struct demo *demo);
bool story_refusals(struct demo *demo);

/* What must be given back: story_accounting.c */
bool story_release(struct demo *demo);
bool story_fdinfo_zero(struct demo *demo);
bool story_close(struct demo *demo);
bool story_process_accounting(struct demo *demo);
bool story_user_accounting(struct demo *demo);
bool story_inherited(struct demo *demo);
bool story_killed(struct demo *demo);

/* The demo run again by its own child, which gives it two words. */
#define AFTER_EXEC "--after-exec"
int after_exec(const char *iommufd, const char *ioas_id);

bool story_all_returned(struct demo *demo);

#endif
