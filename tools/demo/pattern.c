// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pattern.h"

char *memory_new(size_t nr_bytes)
{
	const size_t alignment = 2 * MIB;
	char *memory;

	/* Aligned so that huge pages fit; what is cut off stays unused. */
	memory = mmap(NULL, nr_bytes + alignment, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	memory += -(unsigned long)memory % alignment;
	if (nr_bytes >= alignment)
		madvise(memory, nr_bytes, MADV_HUGEPAGE);
	/* A fork would copy every page that is pinned. */
	madvise(memory, nr_bytes, MADV_DONTFORK);
	memset(memory, 0, nr_bytes);
	return memory;
}

void memory_free(char *memory, size_t nr_bytes)
{
	munmap(memory, nr_bytes);
}

static unsigned int pattern_next(unsigned int state)
{
	return state * 1664525 + 1013904223;
}

void pattern_fill(char *memory, size_t nr_bytes, unsigned int seed)
{
	unsigned int state = seed;
	size_t i;

	for (i = 0; i < nr_bytes; i++) {
		state = pattern_next(state);
		memory[i] = state >> 24;
	}
}

bool pattern_holds(const char *memory, size_t nr_bytes, unsigned int seed)
{
	unsigned int state = seed;
	size_t i;

	for (i = 0; i < nr_bytes; i++) {
		state = pattern_next(state);
		if (memory[i] != (char)(state >> 24))
			return false;
	}
	return true;
}
