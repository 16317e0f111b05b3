/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counting what one command costs: instructions, by a clock that ticks once an
 * instruction (see vm --icount), and calls inside the kernel, by tracepoints.
 *
 * A series is the repetitions of one command. The first of them warms caches of
 * the allocators and is dropped; the last one counts calls, which costs
 * instructions, and is not timed.
 */
#ifndef BENCH_COUNT_H
#define BENCH_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#define REPETITIONS_MAX	16

struct series {
	const char *name;
	double nr_units;	/* the result is given for one of them */
	int nr_repetitions;	/* timed ones */

	int nr_done;
	int error;
	uint64_t sample[REPETITIONS_MAX];
	uint64_t nr_maps;
	uint64_t nr_syncs;
	uint64_t begin;
};

/* Whether the clock counts instructions, by a loop whose length is known. */
bool clock_counts_instructions(void);

/* Only this series is marked for the profiler; NULL for all. */
void series_mark_only(const char *name);

#define SERIES(name_, nr_units_, nr_repetitions_) {	\
	.name = (name_),				\
	.nr_units = (nr_units_),			\
	.nr_repetitions = (nr_repetitions_),		\
}

/* True while the series wants one more; false for good after an error. */
bool series_goes_on(const struct series *series);
void series_begin(struct series *series);
/* Takes the result of the command, and returns it. */
int series_end(struct series *series, int error);

/*
 * A line of name, median, least, most (instructions a unit), calls of
 * iommu_map() and IOTLB syncs, between tabs; "-" for what is not known.
 */
void series_print(struct series *series);

#endif
