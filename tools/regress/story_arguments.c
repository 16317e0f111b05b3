// SPDX-License-Identifier: GPL-2.0
/*
 * What user space can write into a command: ends that wrap, lengths and counts
 * at and past their limits, contradictions. Each refusal has its errno and
 * changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>

#include "iommufd.h"
#include "memlock.h"
#include "regress.h"
#include "translation.h"

#define LAST_BYTE	(~0ULL)
#define NR_PAGES	16UL
#define MEMORY_BYTES	(NR_PAGES * PAGE_BYTES)

/* None of those in an array depends on another, in whatever order they run. */
struct trial {
	const char *what;
	int answer;
	int wanted;
};

/* The first trial that did not go as it should, if any. */
static bool all_as_wanted(const struct trial *trials, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		const struct trial *trial = &trials[i];

		if (trial->answer != trial->wanted)
			return failed("%s: %s, want %s", trial->what,
				      error_name(trial->answer),
				      error_name(trial->wanted));
	}
	return true;
}

/* Where two answers are right: the first if it is one of them. */
static int either(int answer, int wanted, int other)
{
	return answer == other ? wanted : answer;
}

/* One whose place in the order matters. */
static bool tried(const char *what, int answer, int wanted)
{
	const struct trial trial = { what, answer, wanted };

	return all_as_wanted(&trial, 1);
}

/* An address space that a device sees, with something in it. */
struct space {
	struct context *context;
	__u32 id;
	char *memory;
	int memfd;
};

static int space_open(struct space *space, struct context *context)
{
	int error;

	space->context = context;
	space->memory = memory_new(MEMORY_BYTES);
	space->memfd = memfd_create("regress", MFD_CLOEXEC);
	if (space->memfd < 0 || ftruncate(space->memfd, MEMORY_BYTES))
		return -errno;
	error = ioas_alloc(context->iommufd, &space->id);
	if (!error)
		error = ioas_map_at(context->iommufd, space->id, space->memory,
				    MEMORY_BYTES, LOW_IOVA, DMA_READ_WRITE);
	if (!error)
		error = vfio_attach(&context->device[0], space->id);
	return error;
}

/* Everything as space_open() left it, and then nothing. */
static bool space_close(struct space *space)
{
	struct context *context = space->context;
	struct translated_page pages[2 * NR_PAGES];
	long pinned = context_pinned(context);
	long translated = translation_read(context->address[0], pages,
					   ARRAY_SIZE(pages));
	int error;

	if (pinned != NR_PAGES || translated != NR_PAGES)
		return failed("after the refusals %ld pages pinned, %ld translated; want %lu",
			      pinned, translated, NR_PAGES);
	error = ioas_unmap_exactly(context->iommufd, space->id, LOW_IOVA,
				   MEMORY_BYTES);
	if (error)
		return failed("unmapping what was there: %s",
			      error_name(error));
	if (context_pinned(context))
		return failed("%ld pages pinned with nothing mapped",
			      context_pinned(context));
	close(space->memfd);
	memory_free(space->memory, MEMORY_BYTES);
	return true;
}

static int map(struct space *space, __u64 user_va, __u64 length, __u64 iova)
{
	return ioas_map_at(space->context->iommufd, space->id,
			   (void *)(unsigned long)user_va, length, iova,
			   DMA_READ_WRITE);
}

static int map_memory(struct space *space, __u64 length, __u64 iova)
{
	return map(space, (unsigned long)space->memory, length, iova);
}

static int map_file(struct space *space, __u64 start, __u64 length, __u64 iova)
{
	return ioas_map_file_at(space->context->iommufd, space->id,
				space->memfd, start, length, iova,
				DMA_READ_WRITE);
}

static int copy(struct space *space, __u64 from, __u64 length, __u64 to)
{
	return ioas_copy_at(space->context->iommufd, space->id, to, space->id,
			    from, length, DMA_READ_WRITE);
}

/* An unmap that fails must say that it did nothing. */
static int unmap(struct space *space, __u64 iova, __u64 length)
{
	struct iommu_ioas_unmap args = {
		.size = sizeof(args),
		.ioas_id = space->id,
		.iova = iova,
		.length = length,
	};
	int error = iommufd_command(space->context->iommufd, IOMMU_IOAS_UNMAP,
				    &args);

	if (error == -ENOENT && args.length)
		return -ERANGE;
	return error;
}

bool story_wraps(struct context *context)
{
	const __u64 top_page = LAST_BYTE - PAGE_BYTES + 1;
	struct space space;
	struct space *s = &space;
	int error = space_open(s, context);
	const struct trial trials[] = {
		{ "the set-up", error, 0 },
		{ "an IOVA range that wraps", map_memory(s, 2 * PAGE_BYTES, top_page), -EOVERFLOW },
		{ "one that ends at 0", either(map_memory(s, PAGE_BYTES + 1, top_page), -EOVERFLOW,
						 -EINVAL), -EOVERFLOW },
		{ "the last page, past the aperture", map_memory(s, PAGE_BYTES, top_page),
		  -EINVAL },
		{ "the last byte", map_memory(s, 1, LAST_BYTE), -EOVERFLOW },
		{ "as long as can be", map_memory(s, LAST_BYTE, 0), -EOVERFLOW },
		{ "one less", either(map_memory(s, LAST_BYTE - 1, 0), -EOVERFLOW, -EINVAL),
		  -EOVERFLOW },
		{ "memory that wraps", map(s, top_page, 2 * PAGE_BYTES, HIGH_IOVA),
		  -EOVERFLOW },
		{ "memory at the end", either(map(s, top_page, PAGE_BYTES, HIGH_IOVA), -EFAULT,
					      -EOVERFLOW), -EFAULT },
		{ "memory nowhere", map(s, 1ULL << 63, PAGE_BYTES, HIGH_IOVA), -EFAULT },
		{ "memory of the kernel",
		  map(s, 0xffff888000000000, PAGE_BYTES, HIGH_IOVA), -EFAULT },
		{ "a file range that wraps", map_file(s, top_page, 2 * PAGE_BYTES, HIGH_IOVA),
		  -EOVERFLOW },
		{ "a file's last page", map_file(s, top_page, PAGE_BYTES, HIGH_IOVA), -EINVAL },
		{ "past the end of a file",
		  map_file(s, MEMORY_BYTES, PAGE_BYTES, HIGH_IOVA), -EINVAL },
		{ "across the end of a file",
		  map_file(s, MEMORY_BYTES - PAGE_BYTES, 2 * PAGE_BYTES, HIGH_IOVA), -EINVAL },
		{ "a copy from a range that wraps", copy(s, top_page, 2 * PAGE_BYTES, HIGH_IOVA),
		  -EOVERFLOW },
		{ "a copy to one", copy(s, LOW_IOVA, 2 * PAGE_BYTES, top_page), -EOVERFLOW },
		{ "a copy of too much", copy(s, LOW_IOVA, LAST_BYTE - 1, HIGH_IOVA), -EOVERFLOW },
		{ "unmapping a range that wraps", unmap(s, PAGE_BYTES, LAST_BYTE), -EOVERFLOW },
		{ "unmapping past the last byte", unmap(s, LAST_BYTE, 2), -EOVERFLOW },
		{ "unmapping the last byte", unmap(s, LAST_BYTE, 1), -ENOENT },
		{ "unmapping above all", unmap(s, HIGH_IOVA, LAST_BYTE - HIGH_IOVA + 1), -ENOENT },
	};

	if (!all_as_wanted(trials, ARRAY_SIZE(trials)) || !space_close(s))
		return false;
	return held("%zu ranges that wrap or touch the end: refused, nothing changed",
		    ARRAY_SIZE(trials) - 1);
}

bool story_lengths(struct context *context)
{
	const __u64 half = 1ULL << 63;
	struct space space;
	struct space *s = &space;
	int error = space_open(s, context);
	const struct trial trials[] = {
		{ "the set-up", error, 0 },
		{ "map 0", map_memory(s, 0, HIGH_IOVA), -EINVAL },
		{ "map 1, not a page", map_memory(s, 1, HIGH_IOVA), -EINVAL },
		{ "map 2^63", map_memory(s, half, 0), -EINVAL },
		{ "map_file 0", map_file(s, 0, 0, HIGH_IOVA), -EINVAL },
		{ "map_file 1", map_file(s, 0, 1, HIGH_IOVA), -EINVAL },
		{ "map_file 2^63", map_file(s, 0, half, 0), -EINVAL },
		{ "copy 0", copy(s, LOW_IOVA, 0, HIGH_IOVA), -EINVAL },
		{ "copy 1", copy(s, LOW_IOVA, 1, HIGH_IOVA), -EINVAL },
		{ "copy 2^63", copy(s, 0, half, half), -ENOENT },
		{ "unmap 0", unmap(s, LOW_IOVA, 0), -EINVAL },
		{ "unmap 0 at 0", unmap(s, 0, 0), -EINVAL },
		{ "unmap 1", unmap(s, LOW_IOVA, 1), -ENOENT },
		{ "unmap one page less", unmap(s, LOW_IOVA, MEMORY_BYTES - PAGE_BYTES), -ENOENT },
		{ "unmap one byte less", unmap(s, LOW_IOVA, MEMORY_BYTES - 1), -ENOENT },
		{ "unmap all but the first byte", unmap(s, LOW_IOVA + 1, LAST_BYTE - LOW_IOVA),
		  -ENOENT },
		{ "unmap up to the last byte but one", unmap(s, 0, LOW_IOVA + MEMORY_BYTES - 1),
		  -ENOENT },
	};

	if (!all_as_wanted(trials, ARRAY_SIZE(trials)) || !space_close(s))
		return false;
	return held("%zu lengths of 0, 1, too much and too little: refused, nothing changed",
		    ARRAY_SIZE(trials) - 1);
}

/* Counts ------------------------------------------------------------------- */

#define RANGES_MAX 65536

static int iova_ranges(struct context *context, __u32 ioas_id,
		       struct iommu_iova_range *ranges, __u32 *nr)
{
	struct iommu_ioas_iova_ranges args = {
		.size = sizeof(args),
		.ioas_id = ioas_id,
		.num_iovas = *nr,
		.allowed_iovas = (unsigned long)ranges,
	};
	int error = iommufd_command(context->iommufd, IOMMU_IOAS_IOVA_RANGES,
				    &args);

	*nr = args.num_iovas;
	return error;
}

/* Room for none, for one and for any number of the ranges of an IOAS. */
static bool ranges_by_count(struct context *context, __u32 ioas_id)
{
	struct iommu_iova_range ranges[8];
	__u32 none = 0, one = 1, any = ~0U;
	int answer_none, answer_one, answer_any;

	memset(ranges, 0xa5, sizeof(ranges));
	answer_none = iova_ranges(context, ioas_id, NULL, &none);
	answer_one = iova_ranges(context, ioas_id, ranges, &one);
	if (ranges[1].start != 0xa5a5a5a5a5a5a5a5)
		return failed("room for one range, and another was written");
	answer_any = iova_ranges(context, ioas_id, ranges, &any);
	if (answer_none != -EMSGSIZE || answer_one != -EMSGSIZE || answer_any)
		return failed("room for 0, 1, any number: %s, %s, %s; want EMSGSIZE twice, success",
			      error_name(answer_none), error_name(answer_one),
			      error_name(answer_any));
	if (none != any || one != any || any < 2 || any > ARRAY_SIZE(ranges))
		return failed("%u, %u, %u ranges: want the same, 2 at least",
			      none, one, any);
	return true;
}

/* Single pages with gaps between them. */
static struct iommu_iova_range *pages_apart(__u32 nr)
{
	struct iommu_iova_range *ranges = calloc(nr, sizeof(*ranges));
	__u32 i;

	if (!ranges)
		abort();
	for (i = 0; i < nr; i++) {
		ranges[i].start = HIGH_IOVA + 2 * i * PAGE_BYTES;
		ranges[i].last = ranges[i].start + PAGE_BYTES - 1;
	}
	return ranges;
}

/* What was refused must have left the ranges before it in force. */
static bool counts(struct context *context, __u32 ioas_id, char *memory)
{
	const int iommufd = context->iommufd;
	struct iommu_iova_range *many = pages_apart(RANGES_MAX + 1);
	struct iommu_iova_range backwards = { HIGH_IOVA, HIGH_IOVA - 1 };
	struct iommu_iova_range interrupts = { 0xfee00000, 0xfee00fff };
	struct iommu_iova_range twice[2] = { many[0], many[0] };
	__u64 iova = 0, none = 0;
	bool good =
		tried("65537 ranges", ioas_allow_iovas(iommufd, ioas_id, many, RANGES_MAX + 1),
		      -EINVAL) &&
		tried("65536 ranges", ioas_allow_iovas(iommufd, ioas_id, many, RANGES_MAX),
		      0) &&
		tried("4294967295 ranges", ioas_allow_iovas(iommufd, ioas_id, many, ~0U),
		      -EINVAL) &&
		tried("ranges from nowhere", ioas_allow_iovas(iommufd, ioas_id, NULL, 1),
		      -EFAULT) &&
		tried("a range backwards", ioas_allow_iovas(iommufd, ioas_id, &backwards, 1),
		      -EINVAL) &&
		tried("a range twice", ioas_allow_iovas(iommufd, ioas_id, twice, 2), -EINVAL) &&
		tried("attaching with 65536 ranges", vfio_attach(&context->device[0], ioas_id),
		      0) &&
		tried("a reserved range", ioas_allow_iovas(iommufd, ioas_id, &interrupts, 1),
		      -EADDRINUSE) &&
		tried("one page in one of them",
		      ioas_map_anywhere(iommufd, ioas_id, memory, PAGE_BYTES, &iova,
					DMA_READ_WRITE),
		      0) &&
		tried("two pages in none of them",
		      ioas_map_anywhere(iommufd, ioas_id, memory, 2 * PAGE_BYTES, &none,
					DMA_READ_WRITE),
		      -ENOSPC) &&
		tried("no ranges: all is allowed", ioas_allow_iovas(iommufd, ioas_id, NULL, 0),
		      0) &&
		tried("two pages now",
		      ioas_map_anywhere(iommufd, ioas_id, memory, 2 * PAGE_BYTES, &none,
					DMA_READ_WRITE),
		      0);

	free(many);
	if (!good)
		return false;
	if (iova < HIGH_IOVA || iova % (2 * PAGE_BYTES) ||
	    iova >= HIGH_IOVA + 2 * RANGES_MAX * PAGE_BYTES)
		return failed("0x%llx was chosen, which is not allowed", iova);
	return true;
}

bool story_counts(struct context *context)
{
	char *memory = memory_new(2 * PAGE_BYTES);
	__u32 ioas_id;
	int error;

	error = ioas_alloc(context->iommufd, &ioas_id);
	if (error)
		return failed("IOAS_ALLOC: %s", error_name(error));
	if (!counts(context, ioas_id, memory) ||
	    !ranges_by_count(context, ioas_id))
		return false;
	memory_free(memory, 2 * PAGE_BYTES);
	return held("ALLOW_IOVAS of 65536 and of more; IOVA_RANGES with room for 0, 1, any number");
}

/* Replies ------------------------------------------------------------------ */

#define GUARD_BYTE 0xa5

/*
 * Send a struct of @bytes in front of guard bytes: only what user space says
 * that it knows may be written.
 */
static int guarded(struct context *context, unsigned long request, void *args,
		   __u32 bytes)
{
	unsigned char buffer[256];
	size_t i;
	int error;

	memset(buffer, GUARD_BYTE, sizeof(buffer));
	memcpy(buffer, args, bytes);
	memcpy(buffer, &bytes, sizeof(bytes));
	error = iommufd_command(context->iommufd, request, buffer);
	for (i = bytes; i < sizeof(buffer); i++)
		if (buffer[i] != GUARD_BYTE)
			return -ERANGE;
	memcpy(args, buffer, bytes);
	return error;
}

bool story_replies(struct context *context)
{
	struct {
		struct iommu_ioas_alloc alloc;
		__u64 unknown[2];
	} longer = { };
	struct iommu_hw_info short_info = { .dev_id = context->device[0].id };
	struct iommu_hw_info info = short_info;
	struct iommu_hwpt_alloc hwpt = { .dev_id = context->device[0].id };
	struct iommu_ioas_iova_ranges ranges = { };
	struct iommu_ioas_unmap unmap = { .length = LAST_BYTE };
	int error = guarded(context, IOMMU_IOAS_ALLOC, &longer, sizeof(longer));
	const __u32 id = longer.alloc.out_ioas_id;
	bool good;

	hwpt.pt_id = id;
	ranges.ioas_id = id;
	unmap.ioas_id = id;
	good = tried("IOAS_ALLOC, longer than it is", error, 0) &&
	       tried("GET_HW_INFO, its first version",
		     guarded(context, IOMMU_GET_HW_INFO, &short_info,
			     offsetof(struct iommu_hw_info, out_capabilities)),
		     0) &&
	       tried("GET_HW_INFO", guarded(context, IOMMU_GET_HW_INFO, &info, sizeof(info)),
		     0) &&
	       tried("HWPT_ALLOC, its first version",
		     guarded(context, IOMMU_HWPT_ALLOC, &hwpt,
			     offsetof(struct iommu_hwpt_alloc, data_type)),
		     0) &&
	       tried("IOAS_IOVA_RANGES",
		     guarded(context, IOMMU_IOAS_IOVA_RANGES, &ranges, sizeof(ranges)),
		     -EMSGSIZE) &&
	       tried("IOAS_UNMAP", guarded(context, IOMMU_IOAS_UNMAP, &unmap, sizeof(unmap)),
		     0) &&
	       tried("one byte less than the first version",
		     guarded(context, IOMMU_IOAS_UNMAP, &unmap, sizeof(unmap) - 1), -EINVAL) &&
	       tried("destroying the page table",
		     iommufd_destroy(context->iommufd, hwpt.out_hwpt_id), 0);

	if (!good)
		return false;
	if (!id || longer.unknown[0] || longer.unknown[1] || !hwpt.out_hwpt_id ||
	    !ranges.num_iovas || !ranges.out_iova_alignment || unmap.length)
		return failed("a reply is missing, or written where none is defined");
	if (short_info.out_data_type != info.out_data_type ||
	    short_info.data_len != info.data_len || !info.data_len)
		return failed("GET_HW_INFO: type %u of %u bytes, in its first version %u of %u",
			      info.out_data_type, info.data_len,
			      short_info.out_data_type, short_info.data_len);
	return held("structs of the first version, of ours and longer ones: no byte too many");
}

/* Nothing there, or not together ------------------------------------------- */

static int unmap_everything(struct context *context, __u32 ioas_id,
			    __u64 *length)
{
	*length = LAST_BYTE;
	return ioas_unmap(context->iommufd, ioas_id, 0, length);
}

bool story_empty(struct context *context)
{
	char *memory = memory_new(MEMORY_BYTES);
	struct space space = { .context = context };
	__u64 lengths[4];
	int error = ioas_alloc(context->iommufd, &space.id);
	bool good =
		tried("IOAS_ALLOC", error, 0) &&
		tried("new", unmap_everything(context, space.id, &lengths[0]), 0) &&
		tried("new, a range", unmap(&space, LOW_IOVA, MEMORY_BYTES), -ENOENT) &&
		tried("attach", vfio_attach(&context->device[0], space.id), 0) &&
		tried("attached", unmap_everything(context, space.id, &lengths[1]), 0) &&
		tried("attached, a range", unmap(&space, LOW_IOVA, MEMORY_BYTES), -ENOENT) &&
		tried("map",
		      ioas_map_at(context->iommufd, space.id, memory, MEMORY_BYTES, LOW_IOVA,
				  DMA_READ_WRITE),
		      0) &&
		tried("not empty", unmap_everything(context, space.id, &lengths[2]), 0) &&
		tried("empty again", unmap_everything(context, space.id, &lengths[3]), 0);

	memory_free(memory, MEMORY_BYTES);
	if (!good)
		return false;
	if (lengths[0] || lengths[1] || lengths[2] != MEMORY_BYTES || lengths[3])
		return failed("unmapped %llu, %llu, %llu and %llu bytes: want 0, 0, %lu, 0",
			      lengths[0], lengths[1], lengths[2], lengths[3],
			      MEMORY_BYTES);
	return held("unmapping all of nothing succeeds with 0 bytes; a range of nothing is ENOENT");
}

static int hwpt_with(struct space *space, struct iommu_hwpt_alloc args)
{
	args.size = sizeof(args);
	args.dev_id = space->context->device[0].id;
	args.pt_id = space->id;
	return iommufd_command(space->context->iommufd, IOMMU_HWPT_ALLOC, &args);
}

static int map_with(struct space *space, __u32 flags, __u32 reserved)
{
	struct iommu_ioas_map args = {
		.size = sizeof(args),
		.flags = flags,
		.ioas_id = space->id,
		.__reserved = reserved,
		.user_va = (unsigned long)space->memory,
		.length = PAGE_BYTES,
		.iova = HIGH_IOVA,
	};

	return iommufd_command(space->context->iommufd, IOMMU_IOAS_MAP, &args);
}

static int copy_with(struct space *space, __u32 flags)
{
	struct iommu_ioas_copy args = {
		.size = sizeof(args),
		.flags = flags,
		.dst_ioas_id = space->id,
		.src_ioas_id = space->id,
		.length = PAGE_BYTES,
		.dst_iova = HIGH_IOVA,
		.src_iova = LOW_IOVA,
	};

	return iommufd_command(space->context->iommufd, IOMMU_IOAS_COPY, &args);
}

static int option_with(struct space *space, struct iommu_option args)
{
	args.size = sizeof(args);
	return iommufd_command(space->context->iommufd, IOMMU_OPTION, &args);
}

static int set_huge_pages(struct space *space, __u32 object_id, __u64 value)
{
	return option_with(space, (struct iommu_option){
					  .option_id = IOMMU_OPTION_HUGE_PAGES,
					  .object_id = object_id,
					  .val64 = value,
				  });
}

static int info_with(struct space *space, struct iommu_hw_info args)
{
	args.size = sizeof(args);
	args.dev_id = space->context->device[0].id;
	return iommufd_command(space->context->iommufd, IOMMU_GET_HW_INFO, &args);
}

bool story_contradictions(struct context *context)
{
	const __u32 fixed = IOMMU_IOAS_MAP_FIXED_IOVA;
	struct space space;
	struct space *s = &space;
	int error = space_open(s, context);
	__u64 word = 0;
	const __u64 here = (unsigned long)&word;
	const struct trial trials[] = {
		{ "the set-up", error, 0 },
		{ "HWPT_ALLOC, data without a type",
		  hwpt_with(s, (struct iommu_hwpt_alloc){ .data_len = 8, .data_uptr = here }),
		  -EINVAL },
		{ "HWPT_ALLOC, a length without data",
		  hwpt_with(s, (struct iommu_hwpt_alloc){ .data_len = 8 }), -EINVAL },
		{ "HWPT_ALLOC, a type without data",
		  either(hwpt_with(s, (struct iommu_hwpt_alloc){ .data_type = 1 }),
			 -EOPNOTSUPP, -EINVAL), -EOPNOTSUPP },
		{ "HWPT_ALLOC, a type that is not there",
		  either(hwpt_with(s, (struct iommu_hwpt_alloc){ .data_type = 0x7fff }),
			 -EOPNOTSUPP, -EINVAL), -EOPNOTSUPP },
		{ "HWPT_ALLOC, an unknown flag",
		  hwpt_with(s, (struct iommu_hwpt_alloc){ .flags = 1U << 31 }), -EOPNOTSUPP },
		{ "HWPT_ALLOC, a fault queue without its flag",
		  either(hwpt_with(s, (struct iommu_hwpt_alloc){ .fault_id = 1 }),
			 -EOPNOTSUPP, -EINVAL), -EOPNOTSUPP },
		{ "HWPT_ALLOC, a reserved field",
		  hwpt_with(s, (struct iommu_hwpt_alloc){ .__reserved2 = 1 }), -EOPNOTSUPP },
		{ "IOAS_MAP, no access", map_with(s, fixed, 0), -EINVAL },
		{ "IOAS_MAP, an unknown flag", map_with(s, fixed | DMA_READ_WRITE | 8, 0),
		  -EOPNOTSUPP },
		{ "IOAS_MAP, a reserved field", map_with(s, fixed | DMA_READ_WRITE, 1),
		  -EOPNOTSUPP },
		{ "IOAS_MAP_FILE, no file",
		  ioas_map_file_at(context->iommufd, s->id, -1, 0, PAGE_BYTES, HIGH_IOVA,
				   DMA_READ_WRITE), -EBADF },
		{ "IOAS_MAP_FILE, not of memory",
		  ioas_map_file_at(context->iommufd, s->id, context->iommufd, 0, PAGE_BYTES,
				   HIGH_IOVA, DMA_READ_WRITE), -EINVAL },
		{ "IOAS_COPY, no access", copy_with(s, fixed), -EINVAL },
		{ "IOAS_COPY, an unknown flag", copy_with(s, fixed | DMA_READ_WRITE | 8),
		  -EOPNOTSUPP },
		{ "GET_HW_INFO, nowhere to write to",
		  info_with(s, (struct iommu_hw_info){ .data_len = 8 }), -EFAULT },
		{ "GET_HW_INFO, an unknown flag",
		  info_with(s, (struct iommu_hw_info){ .flags = 1U << 31 }), -EOPNOTSUPP },
		{ "OPTION, an unknown one",
		  option_with(s, (struct iommu_option){ .option_id = 99 }), -EOPNOTSUPP },
		{ "OPTION, an unknown operation",
		  option_with(s, (struct iommu_option){ .op = 7 }), -EOPNOTSUPP },
		{ "OPTION, huge pages of a device",
		  set_huge_pages(s, context->device[0].id, 0), -ENOENT },
		{ "OPTION, huge pages off while large entries may be in use",
		  set_huge_pages(s, s->id, 0), -EINVAL },
		{ "OPTION, huge pages neither on nor off", set_huge_pages(s, s->id, 2), -EINVAL },
	};

	if (!all_as_wanted(trials, ARRAY_SIZE(trials)) || !space_close(s))
		return false;
	return held("%zu contradictory requests: refused, nothing changed",
		    ARRAY_SIZE(trials) - 1);
}

/* The accounting mode ------------------------------------------------------ */

static int rlimit_mode(int iommufd, __u16 op, __u32 object_id, __u64 *value)
{
	struct iommu_option args = {
		.size = sizeof(args),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = op,
		.object_id = object_id,
		.val64 = *value,
	};
	int error = iommufd_command(iommufd, IOMMU_OPTION, &args);

	*value = args.val64;
	return error;
}

static int get_mode(int iommufd, __u64 *value)
{
	*value = 99;
	return rlimit_mode(iommufd, IOMMU_OPTION_OP_GET, 0, value);
}

static int set_mode(int iommufd, __u64 value)
{
	return rlimit_mode(iommufd, IOMMU_OPTION_OP_SET, 0, &value);
}

static int set_mode_of_object(int iommufd, __u64 value)
{
	return rlimit_mode(iommufd, IOMMU_OPTION_OP_SET, 1, &value);
}

static int set_mode_unprivileged(int iommufd, __u64 value)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int answer;

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~(1U << CAP_SYS_RESOURCE);
	if (syscall(SYS_capset, &header, data))
		return -errno;
	answer = set_mode(iommufd, value);
	data[0].effective |= 1U << CAP_SYS_RESOURCE;
	if (syscall(SYS_capset, &header, data))
		return -errno;
	return answer;
}

bool story_rlimit_mode(struct context *context)
{
	int fresh = iommufd_open();
	__u64 values[4];
	__u32 id = 0;
	bool good =
		tried("setting it with devices bound", set_mode(context->iommufd, 1), -EBUSY) &&
		tried("getting it first", get_mode(fresh, &values[0]), 0) &&
		tried("setting 2", set_mode(fresh, 2), -EINVAL) &&
		tried("setting it for an object", set_mode_of_object(fresh, 1), -EOPNOTSUPP) &&
		tried("setting it unprivileged", set_mode_unprivileged(fresh, 1), -EPERM) &&
		tried("getting it then", get_mode(fresh, &values[1]), 0) &&
		tried("setting 1", set_mode(fresh, 1), 0) &&
		tried("getting that", get_mode(fresh, &values[2]), 0) &&
		tried("setting 0", set_mode(fresh, 0), 0) &&
		tried("setting 1 again", set_mode(fresh, 1), 0) &&
		tried("the first object", ioas_alloc(fresh, &id), 0) &&
		tried("setting 0 with an object", set_mode(fresh, 0), -EBUSY) &&
		tried("setting what it is", set_mode(fresh, 1), -EBUSY) &&
		tried("getting it in the end", get_mode(fresh, &values[3]), 0);

	close(fresh);
	if (!good)
		return false;
	if (values[0] || values[1] || values[2] != 1 || values[3] != 1)
		return failed("got %llu, %llu, %llu, %llu: want 0, 0, 1, 1",
			      values[0], values[1], values[2], values[3]);
	return held("RLIMIT_MODE: settable after open, by the privileged, until the first object");
}

/* The top of a space ------------------------------------------------------- */

/* All of a window of pages, one by one in any place, and no more. */
static bool fill_window(struct context *context, __u32 ioas_id, char *memory,
			__u64 last)
{
	struct iommu_iova_range window = { last - MEMORY_BYTES + 1, last };
	unsigned long seen = 0;
	unsigned long i;
	__u64 iova;
	int error;

	error = ioas_allow_iovas(context->iommufd, ioas_id, &window, 1);
	if (error)
		return failed("allowing the last pages: %s", error_name(error));
	error = ioas_map_anywhere(context->iommufd, ioas_id, memory,
				  MEMORY_BYTES + PAGE_BYTES, &iova,
				  DMA_READ_WRITE);
	if (error != -ENOSPC)
		return failed("more than the window: %s, want ENOSPC",
			      error_name(error));
	for (i = 0; i < NR_PAGES; i++) {
		error = ioas_map_anywhere(context->iommufd, ioas_id,
					  memory + i * PAGE_BYTES, PAGE_BYTES,
					  &iova, DMA_READ_WRITE);
		if (error)
			return failed("page %lu of %lu: %s", i, NR_PAGES,
				      error_name(error));
		if (iova < window.start || iova > window.last ||
		    iova % PAGE_BYTES)
			return failed("0x%llx was chosen, not in 0x%llx-0x%llx",
				      iova, window.start, window.last);
		seen |= 1UL << (iova - window.start) / PAGE_BYTES;
	}
	if (seen != (1UL << NR_PAGES) - 1)
		return failed("the pages chosen overlap: 0x%lx", seen);
	error = ioas_map_anywhere(context->iommufd, ioas_id, memory, PAGE_BYTES,
				  &iova, DMA_READ_WRITE);
	if (error != -ENOSPC)
		return failed("one page too many: %s, want ENOSPC",
			      error_name(error));
	return true;
}

static bool fill_top(struct context *context, char *memory, bool attach)
{
	struct translated_page pages[2 * NR_PAGES];
	struct iova_ranges ranges;
	__u64 last;
	long nr;
	__u32 ioas_id;
	int error;

	error = ioas_alloc(context->iommufd, &ioas_id);
	if (!error && attach)
		error = vfio_attach(&context->device[0], ioas_id);
	if (!error)
		error = ioas_iova_ranges(context->iommufd, ioas_id, &ranges);
	if (error)
		return failed("%s", error_name(error));
	last = ranges.range[ranges.nr_ranges - 1].last;
	if (!fill_window(context, ioas_id, memory, last))
		return false;
	if (!attach)
		return true;
	nr = translation_read(context->address[0], pages, ARRAY_SIZE(pages));
	if (nr != NR_PAGES || pages[nr - 1].iova_page != last / PAGE_BYTES)
		return failed("it translates %ld pages, the last is 0x%llx: want %lu, 0x%llx",
			      nr, nr > 0 ? pages[nr - 1].iova_page : 0,
			      NR_PAGES, last / PAGE_BYTES);
	return true;
}

bool story_top_of_space(struct context *context)
{
	char *memory = memory_new(MEMORY_BYTES + PAGE_BYTES);

	if (!fill_top(context, memory, false) || !fill_top(context, memory, true))
		return false;
	memory_free(memory, MEMORY_BYTES + PAGE_BYTES);
	return held("the last %lu pages of 64 bits, and of the IOMMU: each is allocated once",
		    NR_PAGES);
}
