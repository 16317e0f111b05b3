// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "pattern.h"
#include "translation.h"

#define NR_LEVELS	5
#define LEVEL_SHIFT	9
#define ENTRY_WRITE	0x2
#define ENTRY_ADDRESS	0x000ffffffffff000ULL

#define PAGEMAP_PRESENT	0x8000000000000000ULL
#define PAGEMAP_FRAME	0x007fffffffffffffULL

/* A line: the IOVA's page, then the entries from the root down to the leaf. */
static bool parse_leaf(const char *line, struct translated_page *first,
		       __u64 *nr_pages)
{
	unsigned long long entry[NR_LEVELS] = { 0 }, iova_page;
	int level;

	if (sscanf(line, "0x%llx | 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx",
		   &iova_page, &entry[0], &entry[1], &entry[2], &entry[3],
		   &entry[4]) < 4)
		return false;
	for (level = NR_LEVELS - 1; !entry[level]; level--)
		if (!level)
			return false;
	first->iova_page = iova_page;
	first->page_frame = (entry[level] & ENTRY_ADDRESS) / PAGE_BYTES;
	first->writable = entry[level] & ENTRY_WRITE;
	*nr_pages = 1ULL << (NR_LEVELS - 1 - level) * LEVEL_SHIFT;
	return true;
}

long translation_read(const char *address, struct translated_page *pages,
		      size_t max)
{
	struct translated_page first;
	__u64 nr_pages, i;
	char line[512];
	size_t nr = 0;
	FILE *file;

	snprintf(line, sizeof(line),
		 "/sys/kernel/debug/iommu/intel/%s/domain_translation_struct",
		 address);
	file = fopen(line, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (!parse_leaf(line, &first, &nr_pages))
			continue;
		for (i = 0; i < nr_pages; i++, nr++) {
			if (nr >= max)
				continue;
			pages[nr] = first;
			pages[nr].iova_page += i;
			pages[nr].page_frame += i;
		}
	}
	fclose(file);
	return nr;
}

int memory_page_frames(const void *memory, __u64 *page_frames, size_t nr_pages)
{
	const ssize_t nr_bytes = nr_pages * sizeof(*page_frames);
	off_t where = (unsigned long)memory / PAGE_BYTES * sizeof(*page_frames);
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int error = 0;
	size_t i;

	if (fd < 0)
		return -errno;
	if (pread(fd, page_frames, nr_bytes, where) != nr_bytes)
		error = -EIO;
	for (i = 0; !error && i < nr_pages; i++) {
		if (!(page_frames[i] & PAGEMAP_PRESENT))
			error = -EFAULT;
		page_frames[i] &= PAGEMAP_FRAME;
	}
	close(fd);
	return error;
}
