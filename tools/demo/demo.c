// SPDX-License-Identifier: GPL-2.0
/*
 * Two PCI devices, a disk and a DMA engine, driven from user space through
 * /dev/iommu and /dev/vfio/devices: a story of one line a step, and a test.
 *
 * Both devices are bound to vfio-pci before the story begins. It goes from
 * opening the files to the first DMA, then to what must be refused, and ends
 * with everything given back. The exit status is 0 if every step held.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "demo.h"
#include "iommufd.h"

static const struct step {
	const char *topic;
	bool (*run)(struct demo *demo);
	bool needed;	/* nothing after it makes sense without it */
} steps[] = {
	{ "open",	story_open,			true },
	{ "isolated",	story_isolated,			false },
	{ "bind",	story_bind,			true },
	{ "bind",	story_bind_twice,		false },
	{ "hardware",	story_hw_info,			false },
	{ "ioas",	story_ioas,			true },
	{ "map",	story_map_fixed,		true },
	{ "map",	story_map_anywhere,		true },
	{ "attach",	story_attach,			true },
	{ "ranges",	story_ranges,			false },
	{ "pinned",	story_pinned,			false },
	{ "disk",	story_identify,			false },
	{ "disk",	story_read_image,		false },
	{ "disk",	story_write_blocks,		false },
	{ "dma",	story_dma,			false },
	{ "scattered",	story_scattered,		false },
	{ "interrupt",	story_interrupt,		false },
	{ "replace",	story_replace,			false },
	{ "hwpt",	story_hwpt,			false },
	{ "copy",	story_copy,			false },
	{ "msi",	story_msi_address,		false },
	{ "msi",	story_msi_follows,		false },
	{ "msi",	story_msi_two,			false },
	{ "msi",	story_msi_detached,		false },
	{ "msi",	story_msi_taken,		false },
	{ "read-only",	story_read_only,		false },
	{ "unmapped",	story_unmapped,			false },
	{ "detached",	story_detached,			false },
	{ "disk",	story_disk_blocked,		false },
	{ "memfd",	story_memfd,			false },
	{ "bar",	story_bar,			false },
	{ "refusals",	story_refusals,			false },
	{ "release",	story_release,			false },
	{ "fdinfo",	story_fdinfo_zero,		false },
	{ "close",	story_close,			true },
	{ "process",	story_process_accounting,	false },
	{ "user",	story_user_accounting,		false },
	{ "inherited",	story_inherited,		false },
	{ "killed",	story_killed,			false },
	{ "returned",	story_all_returned,		false },
};

/* A step that failed half way must not take the next ones with it. */
static void tidy_up(struct demo *demo)
{
	__u64 length_bytes = STEP_IOVA_LAST - STEP_IOVA + 1;

	if (demo->edu_device.fd < 0 || demo->iommufd < 0)
		return;
	vfio_attach(&demo->edu_device, demo->ioas_id);
	ioas_unmap(demo->iommufd, demo->ioas_id, STEP_IOVA, &length_bytes);
}

static void tell(struct demo *demo)
{
	const struct step *missing = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		report_begin_step(steps[i].topic);
		if (missing) {
			failed("not tried, because \"%s\" did not hold",
			       missing->topic);
		} else if (!steps[i].run(demo)) {
			if (steps[i].needed)
				missing = &steps[i];
			tidy_up(demo);
		}
	}
}

static void refuse_arguments(void)
{
	fprintf(stderr,
		"usage: demo --nvme ADDRESS --edu ADDRESS --image-sha256 HEX\n"
		"            --iommu intel|virtio|amd|smmuv3\n"
		"            [--image-bytes N] [--kmsg FILE]\n"
		"The image is the whole disk if its size is not given.\n"
		"ADDRESS is domain:bus:device.function of a device on vfio-pci.\n");
	exit(2);
}

static enum iommu_kind iommu_kind(const char *name)
{
	static const char * const names[] = {
		[IOMMU_INTEL] = "intel",
		[IOMMU_VIRTIO] = "virtio",
		[IOMMU_AMD] = "amd",
		[IOMMU_SMMUV3] = "smmuv3",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return i;
	refuse_arguments();
	return IOMMU_INTEL;
}

static void parse(struct demo *demo, int argc, char **argv)
{
	static const struct option options[] = {
		{ "nvme", required_argument, NULL, 'n' },
		{ "edu", required_argument, NULL, 'e' },
		{ "image-sha256", required_argument, NULL, 's' },
		{ "image-bytes", required_argument, NULL, 'b' },
		{ "iommu", required_argument, NULL, 'i' },
		{ "kmsg", required_argument, NULL, 'k' },
		{ }
	};
	bool iommu_given = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'n':
			demo->nvme_device.address = optarg;
			break;
		case 'e':
			demo->edu_device.address = optarg;
			break;
		case 's':
			demo->image_sha256 = optarg;
			break;
		case 'b':
			demo->image_bytes = strtoull(optarg, NULL, 0);
			break;
		case 'i':
			demo->iommu = iommu_kind(optarg);
			iommu_given = true;
			break;
		case 'k':
			demo->kmsg_path = optarg;
			break;
		default:
			refuse_arguments();
		}
	}
	if (optind != argc || !iommu_given || !demo->nvme_device.address ||
	    !demo->edu_device.address || !demo->image_sha256)
		refuse_arguments();
	if (demo->image_bytes > IMAGE_BYTES_MAX ||
	    demo->image_bytes % PAGE_BYTES) {
		fprintf(stderr, "demo: the image must be whole pages, %lu MiB at most\n",
			IMAGE_BYTES_MAX / MIB);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct demo demo = {
		.kmsg_path = "/dev/kmsg",
		.iommufd = -1,
		.nvme_device.fd = -1,
		.edu_device.fd = -1,
	};
	struct utsname kernel;

	if (argc == 4 && !strcmp(argv[1], AFTER_EXEC))
		return after_exec(argv[2], argv[3]);
	parse(&demo, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	uname(&kernel);
	printf("Linux %s: an NVMe disk (%s) and a DMA engine (%s) behind /dev/iommu\n",
	       kernel.release, demo.nvme_device.address,
	       demo.edu_device.address);
	tell(&demo);
	return report_summary();
}
