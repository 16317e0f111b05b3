// SPDX-License-Identifier: GPL-2.0
/*
 * What the commands of /dev/iommu cost in instructions, with a device behind an
 * IOMMU attached: see count.h for how it counts and memory.h for what it maps.
 *
 * usage: bench --edu ADDRESS [--case NAME]
 *
 * The device is bound to vfio-pci already. With --case, nothing is run that the
 * case does not need, and the profiler sees this case only. Prints a line a
 * case (series_print()), the same ones in every kernel; a case whose command
 * fails says the errno in place of the number.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../iommufd_test.h"
#include "count.h"
#include "iommufd.h"
#include "memory.h"
#include "vfio.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define MAPPED_BYTES	(64UL << 20)
#define MAPPED_PAGES	((double)(MAPPED_BYTES / PAGE_BYTES))
#define MAPPED_IOVA	(4UL << 30)
#define COPY_IOVA	(8UL << 30)

/* Many areas: a page each, and a page between two of them; from the bottom. */
#define PINNED_BYTES	(256 * PAGE_BYTES)
#define PINNED_PAGES	((double)(PINNED_BYTES / PAGE_BYTES))
/* The mock IOMMU's pages are of 2 KiB. */
#define DIRTY_BITMAP_BYTES	(MAPPED_BYTES / (PAGE_BYTES / 2) / 8)
#define RECORDED_BYTES	(512 * HUGE_BYTES)
#define RECORDED_PAGES	((double)(RECORDED_BYTES / PAGE_BYTES))
#define NR_AREAS	65536
#define AREAS_IOVA	0UL
#define AREA_STRIDE	(2 * PAGE_BYTES)
#define ALLOCATED_BYTES	(2 * PAGE_BYTES)

/* What the kernel puts off while it boots. */
#define BOOT_SETTLE_US		2000000

#define REPETITIONS		7
#define REPETITIONS_AREAS	3

struct setup {
	const char *edu_address;
	struct vfio_device edu;
	int iommufd;
	__u32 ioas_id;
};

static const char *only_case;

static bool wanted(const char *name)
{
	return !only_case || !strcmp(only_case, name);
}

static int say(const char *what, int error)
{
	if (error)
		fprintf(stderr, "bench: %s: %s\n", what, strerror(-error));
	return error;
}

/* ---------------------------------------------------------------- setup */

static void teardown(struct setup *setup)
{
	if (setup->edu.fd >= 0)
		vfio_close(&setup->edu);
	if (setup->iommufd >= 0)
		close(setup->iommufd);
	setup->edu.fd = -1;
	setup->iommufd = -1;
}

static int attach_edu(struct setup *setup)
{
	int error;

	setup->edu.address = setup->edu_address;
	error = vfio_open(&setup->edu);
	if (!error)
		error = vfio_bind(&setup->edu, setup->iommufd);
	if (!error)
		error = vfio_attach(&setup->edu, setup->ioas_id);
	return say("attaching the device", error);
}

/* A context with an IOAS, and the device attached to it if asked for. */
static int set_up(struct setup *setup, bool with_device)
{
	int error = 0;

	setup->edu = (struct vfio_device){ .fd = -1 };
	setup->iommufd = iommufd_open();
	if (setup->iommufd < 0)
		error = setup->iommufd;
	if (!error)
		error = ioas_alloc(setup->iommufd, &setup->ioas_id);
	say("setting up", error);
	if (!error && with_device)
		error = attach_edu(setup);
	if (error)
		teardown(setup);
	return error;
}

static int map_memory(struct setup *setup, const void *memory)
{
	return ioas_map_at(setup->iommufd, setup->ioas_id, memory,
			   MAPPED_BYTES, MAPPED_IOVA, DMA_READ_WRITE);
}

static int unmap_memory(struct setup *setup, __u64 iova)
{
	return ioas_unmap_exactly(setup->iommufd, setup->ioas_id, iova,
				  MAPPED_BYTES);
}

static int map_areas(struct setup *setup, const void *page)
{
	int error = 0;
	int i;

	for (i = 0; !error && i < NR_AREAS; i++)
		error = ioas_map_at(setup->iommufd, setup->ioas_id, page,
				    PAGE_BYTES, AREAS_IOVA + i * AREA_STRIDE,
				    DMA_READ_WRITE);
	return say("mapping many areas", error);
}

/* ---------------------------------------------------------------- cases */

/* What is done with each kind of memory; NULL for what is not. */
struct memory_cases {
	enum memory_kind kind;
	const char *map, *unmap;
	const char *copy, *unmap_copy;
	const char *fill, *empty;
};

/* Neighbours come first: the kernel has them as long as nobody used memory. */
static const struct memory_cases memory_cases[] = {
	{ MEMORY_HUGE, "map huge", "unmap huge", "copy huge",
	  "unmap copy huge", "fill huge", "empty huge" },
	{ MEMORY_CONTIGUOUS, .map = "map contiguous",
	  .unmap = "unmap contiguous" },
	{ MEMORY_HUGE_APART, "map apart", "unmap apart", "copy apart",
	  "unmap copy apart", "fill apart", "empty apart" },
	{ MEMORY_SCATTERED, .map = "map scattered", .unmap = "unmap scattered" },
};

static void bench_map_and_unmap(struct setup *setup, const void *memory,
				const struct memory_cases *cases)
{
	struct series map = SERIES(cases->map, MAPPED_PAGES, REPETITIONS);
	struct series unmap = SERIES(cases->unmap, MAPPED_PAGES, REPETITIONS);

	if (!wanted(map.name) && !wanted(unmap.name))
		return;
	if (memory && !set_up(setup, true)) {
		while (series_goes_on(&map) && series_goes_on(&unmap)) {
			series_begin(&map);
			if (series_end(&map, map_memory(setup, memory)))
				break;
			series_begin(&unmap);
			series_end(&unmap, unmap_memory(setup, MAPPED_IOVA));
		}
		teardown(setup);
	}
	series_print(&map);
	series_print(&unmap);
}

static int copy_memory(struct setup *setup)
{
	return ioas_copy_at(setup->iommufd, setup->ioas_id, COPY_IOVA,
			    setup->ioas_id, MAPPED_IOVA, MAPPED_BYTES,
			    DMA_READ_WRITE);
}

/* The same memory a second time in the IOAS: the pins are there already. */
static void bench_copy(struct setup *setup, const void *memory,
		       const struct memory_cases *cases)
{
	struct series copy = SERIES(cases->copy, MAPPED_PAGES, REPETITIONS);
	struct series unmap = SERIES(cases->unmap_copy, MAPPED_PAGES,
				     REPETITIONS);

	if (!wanted(copy.name) && !wanted(unmap.name))
		return;
	if (memory && !set_up(setup, true)) {
		copy.error = map_memory(setup, memory);
		while (series_goes_on(&copy) && series_goes_on(&unmap)) {
			series_begin(&copy);
			if (series_end(&copy, copy_memory(setup)))
				break;
			series_begin(&unmap);
			series_end(&unmap, unmap_memory(setup, COPY_IOVA));
		}
		teardown(setup);
	}
	series_print(&copy);
	series_print(&unmap);
}

/* A second domain on the IOAS, filled from what the first one has. */
static void bench_second_domain(struct setup *setup, const void *memory,
				const struct memory_cases *cases)
{
	struct series fill = SERIES(cases->fill, MAPPED_PAGES, REPETITIONS);
	struct series empty = SERIES(cases->empty, MAPPED_PAGES, REPETITIONS);
	__u32 hwpt_id = 0;

	if (!wanted(fill.name) && !wanted(empty.name))
		return;
	if (memory && !set_up(setup, true)) {
		fill.error = map_memory(setup, memory);
		while (series_goes_on(&fill) && series_goes_on(&empty)) {
			series_begin(&fill);
			if (series_end(&fill, hwpt_alloc(setup->iommufd,
							 setup->edu.id,
							 setup->ioas_id,
							 &hwpt_id)))
				break;
			series_begin(&empty);
			series_end(&empty,
				   iommufd_destroy(setup->iommufd, hwpt_id));
		}
		teardown(setup);
	}
	series_print(&fill);
	series_print(&empty);
}

static bool wants_memory(const struct memory_cases *cases)
{
	const char *const names[] = {
		cases->map, cases->unmap, cases->copy, cases->unmap_copy,
		cases->fill, cases->empty,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i] && wanted(names[i]))
			return true;
	}
	return false;
}

static void bench_memory(struct setup *setup, const struct memory_cases *cases)
{
	void *memory;

	if (!wants_memory(cases))
		return;
	memory = memory_new(cases->kind, MAPPED_BYTES);
	if (!memory)
		fprintf(stderr, "bench: no memory for \"%s\"\n", cases->map);
	bench_map_and_unmap(setup, memory, cases);
	if (cases->copy)
		bench_copy(setup, memory, cases);
	if (cases->fill)
		bench_second_domain(setup, memory, cases);
	if (memory)
		memory_free(memory, MAPPED_BYTES);
}

/* ---------------------------------------------------------------- access */

static int test_command(struct setup *setup, struct iommu_test_cmd *args)
{
	args->size = sizeof(*args);
	return ioctl(setup->iommufd, IOMMU_TEST_CMD, args) ? -errno : 0;
}

static int create_access(struct setup *setup, int *access_fd)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS,
		.id = setup->ioas_id,
		.create_access.flags = MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
	};
	int error = test_command(setup, &args);

	if (!error)
		*access_fd = args.create_access.out_access_fd;
	return error;
}

/* What the test command does besides pinning is counted as well. */
static int pin_memory(struct setup *setup, int access_fd, __u32 *pages_id)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = access_fd,
		.access_pages = {
			.iova = MAPPED_IOVA,
			.length = PINNED_BYTES,
		},
	};
	int error = test_command(setup, &args);

	*pages_id = args.access_pages.out_access_pages_id;
	return error;
}

static int unpin_memory(struct setup *setup, int access_fd, __u32 pages_id)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
		.id = access_fd,
		.destroy_access_pages.access_pages_id = pages_id,
	};

	return test_command(setup, &args);
}

static void bench_access(struct setup *setup)
{
	struct series pin = SERIES("pin 1M", PINNED_PAGES, REPETITIONS);
	struct series unpin = SERIES("unpin 1M", PINNED_PAGES, REPETITIONS);
	int access_fd = -1;
	__u32 pages_id = 0;
	void *memory;

	if (!wanted(pin.name) && !wanted(unpin.name))
		return;
	memory = memory_new(MEMORY_SCATTERED, MAPPED_BYTES);
	if (memory && !set_up(setup, true)) {
		pin.error = map_memory(setup, memory);
		if (!pin.error)
			pin.error = create_access(setup, &access_fd);
		while (series_goes_on(&pin) && series_goes_on(&unpin)) {
			series_begin(&pin);
			if (series_end(&pin, pin_memory(setup, access_fd,
							&pages_id)))
				break;
			series_begin(&unpin);
			series_end(&unpin, unpin_memory(setup, access_fd,
							pages_id));
		}
		if (access_fd >= 0)
			close(access_fd);
		teardown(setup);
	}
	series_print(&pin);
	series_print(&unpin);
	if (memory)
		memory_free(memory, MAPPED_BYTES);
}

/* ---------------------------------------------------------------- dirty */

/* Where the mock IOMMU reaches, whose page tables record what is written. */
#define DIRTY_IOVA	0x40000000UL

struct dirty_setup {
	struct setup *setup;
	__u32 hwpt_id;
	unsigned char *bitmap;
};

static int open_mock(struct setup *setup, struct dirty_setup *dirty)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = setup->ioas_id,
	};
	struct iommu_hwpt_alloc hwpt = {
		.size = sizeof(hwpt),
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		.pt_id = setup->ioas_id,
	};
	struct iommu_hwpt_set_dirty_tracking tracking = {
		.size = sizeof(tracking),
		.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
	};
	int error = test_command(setup, &args);

	if (error)
		return error;
	hwpt.dev_id = args.mock_domain.out_idev_id;
	error = iommufd_command(setup->iommufd, IOMMU_HWPT_ALLOC, &hwpt);
	if (error)
		return error;
	dirty->hwpt_id = hwpt.out_hwpt_id;
	tracking.hwpt_id = hwpt.out_hwpt_id;
	return iommufd_command(setup->iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING,
			       &tracking);
}

/* Not counted: the mock device writes to every page. */
static int write_all(struct dirty_setup *dirty)
{
	struct iommu_test_cmd args = {
		.op = IOMMU_TEST_OP_DIRTY,
		.id = dirty->hwpt_id,
		.dirty = {
			.iova = DIRTY_IOVA,
			.length = MAPPED_BYTES,
			.page_size = PAGE_BYTES / 2,
			.uptr = (unsigned long)dirty->bitmap,
		},
	};

	memset(dirty->bitmap, 0xff, DIRTY_BITMAP_BYTES);
	return test_command(dirty->setup, &args);
}

static int read_marks(struct dirty_setup *dirty, __u32 flags)
{
	struct iommu_hwpt_get_dirty_bitmap args = {
		.size = sizeof(args),
		.hwpt_id = dirty->hwpt_id,
		.flags = flags,
		.iova = DIRTY_IOVA,
		.length = MAPPED_BYTES,
		.page_size = PAGE_BYTES,
		.data = (unsigned long)dirty->bitmap,
	};

	return iommufd_command(dirty->setup->iommufd,
			       IOMMU_HWPT_GET_DIRTY_BITMAP, &args);
}

/* Every bit has to come out: a count of nothing is quick. */
static int all_set(const unsigned char *bitmap)
{
	size_t i;

	for (i = 0; i < MAPPED_BYTES / PAGE_BYTES / 8; i++)
		if (bitmap[i] != 0xff)
			return -ENODATA;
	return 0;
}

static void count_marks(struct dirty_setup *dirty, struct series *series,
			__u32 flags)
{
	int error;

	while (series_goes_on(series)) {
		series->error = write_all(dirty);
		if (series->error)
			break;
		memset(dirty->bitmap, 0, DIRTY_BITMAP_BYTES);
		series_begin(series);
		error = read_marks(dirty, flags);
		series_end(series, error ? error : all_set(dirty->bitmap));
	}
}

static void bench_dirty(struct setup *setup)
{
	static unsigned char bitmap[DIRTY_BITMAP_BYTES];
	struct series keep = SERIES("dirty keep", MAPPED_PAGES, REPETITIONS);
	struct series clear = SERIES("dirty clear", MAPPED_PAGES, REPETITIONS);
	struct dirty_setup dirty = { .setup = setup, .bitmap = bitmap };
	void *memory;
	int error;

	if (!wanted(keep.name) && !wanted(clear.name))
		return;
	memory = memory_new(MEMORY_SCATTERED, MAPPED_BYTES);
	if (memory && !set_up(setup, false)) {
		error = ioas_map_at(setup->iommufd, setup->ioas_id, memory,
				    MAPPED_BYTES, DIRTY_IOVA, DMA_READ_WRITE);
		if (!error)
			error = open_mock(setup, &dirty);
		keep.error = error;
		clear.error = error;
		if (wanted(keep.name))
			count_marks(&dirty, &keep,
				    IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);
		if (wanted(clear.name))
			count_marks(&dirty, &clear, 0);
		teardown(setup);
	}
	series_print(&keep);
	series_print(&clear);
	if (memory)
		memory_free(memory, MAPPED_BYTES);
}

/* ---------------------------------------------------------------- memory */

/* All slab memory of the kernel: page tables of an IOMMU are not in it. */
static long slab_kib(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Slab: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib;
}

static void bench_record(struct setup *setup, const char *name,
			 enum memory_kind kind, double nr_units)
{
	long before, after;
	void *memory;
	int error;

	if (!wanted(name))
		return;
	memory = memory_new(kind, RECORDED_BYTES);
	if (!memory || set_up(setup, true)) {
		printf("%s\tENOMEM\t-\t-\t-\t-\n", name);
		return;
	}
	usleep(BOOT_SETTLE_US);
	before = slab_kib();
	error = ioas_map_at(setup->iommufd, setup->ioas_id, memory,
			    RECORDED_BYTES, MAPPED_IOVA, DMA_READ_WRITE);
	usleep(BOOT_SETTLE_US);
	after = slab_kib();
	if (error)
		printf("%s\t%s\t-\t-\t-\t-\n", name,
		       strerrorname_np(-error));
	else
		printf("%s\t%.2f\t-\t-\t-\t-\n", name,
		       (after - before) * 1024 / nr_units);
	fflush(stdout);
	teardown(setup);
	memory_free(memory, RECORDED_BYTES);
}

/* ---------------------------------------------------------------- areas */

/* Every gap that is there is a page too small. */
static void bench_allocate(struct setup *setup, char *pages)
{
	struct series allocate = SERIES("allocate 64k", 1, REPETITIONS);
	__u64 iova;

	if (!wanted(allocate.name))
		return;
	if (!set_up(setup, false)) {
		allocate.error = map_areas(setup, pages);
		while (series_goes_on(&allocate)) {
			series_begin(&allocate);
			if (series_end(&allocate,
				       ioas_map_anywhere(setup->iommufd,
							 setup->ioas_id, pages,
							 ALLOCATED_BYTES, &iova,
							 DMA_READ_WRITE)))
				break;
			allocate.error = ioas_unmap_exactly(setup->iommufd,
							    setup->ioas_id, iova,
							    ALLOCATED_BYTES);
		}
		teardown(setup);
	}
	series_print(&allocate);
}

static void bench_unmap_areas(struct setup *setup, const void *page)
{
	struct series unmap = SERIES("unmap 64k", NR_AREAS, REPETITIONS_AREAS);

	if (!wanted(unmap.name))
		return;
	if (!set_up(setup, true)) {
		while (series_goes_on(&unmap)) {
			unmap.error = map_areas(setup, page);
			if (unmap.error)
				break;
			series_begin(&unmap);
			series_end(&unmap, ioas_unmap_everything(setup->iommufd,
								 setup->ioas_id));
		}
		teardown(setup);
	}
	series_print(&unmap);
}

/* Both files, as when the process dies. */
static void bench_close_areas(struct setup *setup, const void *page)
{
	struct series close = SERIES("close 64k", NR_AREAS, REPETITIONS_AREAS);

	if (!wanted(close.name))
		return;
	while (series_goes_on(&close) && !set_up(setup, true)) {
		close.error = map_areas(setup, page);
		series_begin(&close);
		teardown(setup);
		series_end(&close, close.error);
	}
	series_print(&close);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "edu",	required_argument, NULL, 'e' },
		{ "case",	required_argument, NULL, 'c' },
		{ }
	};
	struct setup setup = { .iommufd = -1, .edu.fd = -1 };
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char *pages;
	int option;
	size_t i;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'e')
			setup.edu_address = optarg;
		else if (option == 'c')
			only_case = optarg;
		else
			return 2;
	}
	if (!setup.edu_address) {
		fprintf(stderr, "usage: bench --edu ADDRESS [--case NAME]\n");
		return 2;
	}
	usleep(BOOT_SETTLE_US);
	if (!clock_counts_instructions()) {
		fprintf(stderr, "bench: this machine's clock does not count instructions\n");
		return 2;
	}
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (say("percpu_pagelist_high_fraction", memory_shrink_free_lists()))
		return 1;
	series_mark_only(only_case);

	for (i = 0; i < ARRAY_SIZE(memory_cases); i++)
		bench_memory(&setup, &memory_cases[i]);

	bench_access(&setup);
	bench_dirty(&setup);

	pages = memory_new(MEMORY_HUGE, HUGE_BYTES);
	if (say("memory", pages ? 0 : -ENOMEM))
		return 1;
	bench_allocate(&setup, pages);
	bench_unmap_areas(&setup, pages);
	bench_close_areas(&setup, pages);

	bench_record(&setup, "record huge", MEMORY_HUGE, 1);
	bench_record(&setup, "record scattered", MEMORY_SCATTERED,
		     RECORDED_PAGES);
	return 0;
}
