/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory to map, and bytes to know it by.
 */
#ifndef DEMO_PATTERN_H
#define DEMO_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#define KIB		1024UL
#define MIB		(1024UL * KIB)
#define PAGE_BYTES	4096UL
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Memory of its own pages; the large one asks for huge pages. */
char *memory_new(size_t nr_bytes);
void memory_free(char *memory, size_t nr_bytes);

/* Bytes that look random and differ from seed to seed. */
void pattern_fill(char *memory, size_t nr_bytes, unsigned int seed);
bool pattern_holds(const char *memory, size_t nr_bytes, unsigned int seed);

#endif
