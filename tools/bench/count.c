// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/perf_event.h>

#include "count.h"

#define LOOP_TRIES		5
#define LOOP_ROUNDS		100000ULL
#define LOOP_INSTRUCTIONS	(2 * LOOP_ROUNDS)

/* Time for what the last command left to others: RCU, workers. */
#define SETTLE_US		20000

/* Instructions that do nothing and that the profiler knows by their bytes. */
#define MARK_BEGIN	".byte 0x0f, 0x1f, 0x80, 0x01, 0x6d, 0x6f, 0x69"
#define MARK_END	".byte 0x0f, 0x1f, 0x80, 0x02, 0x6d, 0x6f, 0x69"

static const char *mark_only;

static inline uint64_t clock_now(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (uint64_t)high << 32 | low;
}

bool clock_counts_instructions(void)
{
	uint64_t rounds, begin, nr_ticks;
	int i;

	/* One without an interrupt is enough. */
	for (i = 0; i < LOOP_TRIES; i++) {
		rounds = LOOP_ROUNDS;
		begin = clock_now();
		asm volatile("1: dec %0; jnz 1b" : "+r" (rounds));
		nr_ticks = clock_now() - begin;
		if (nr_ticks >= LOOP_INSTRUCTIONS &&
		    nr_ticks < LOOP_INSTRUCTIONS + LOOP_INSTRUCTIONS / 50)
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------- calls */

/* Open while it counts only: a tracepoint that somebody has costs each caller. */
struct calls {
	const char *tracepoint;
	int fd;
	bool known;
};

static struct calls map_calls = { .tracepoint = "iommu/map", .fd = -1 };
/* One for each cache of a domain, and these domains have the IOTLB alone. */
static struct calls sync_calls = {
	.tracepoint = "intel_iommu/cache_tag_flush_range", .fd = -1
};

static void calls_begin(struct calls *calls)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
	};
	char path[128];
	int event_id;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/tracing/events/%s/id",
		 calls->tracepoint);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fscanf(file, "%d", &event_id) == 1) {
		attr.config = event_id;
		calls->fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1,
				    PERF_FLAG_FD_CLOEXEC);
	}
	fclose(file);
}

static uint64_t calls_end(struct calls *calls)
{
	uint64_t count = 0;

	calls->known = calls->fd >= 0 &&
		       read(calls->fd, &count, sizeof(count)) == sizeof(count);
	if (calls->fd >= 0)
		close(calls->fd);
	calls->fd = -1;
	return count;
}

/* ---------------------------------------------------------------- series */

void series_mark_only(const char *name)
{
	mark_only = name;
}

static bool series_is_marked(const struct series *series)
{
	return !mark_only || !strcmp(mark_only, series->name);
}

/* One to warm up, the timed ones, one to count calls. */
static bool series_counts_calls(const struct series *series)
{
	return series->nr_done == 1 + series->nr_repetitions;
}

bool series_goes_on(const struct series *series)
{
	return !series->error && series->nr_done < 2 + series->nr_repetitions;
}

void series_begin(struct series *series)
{
	usleep(SETTLE_US);
	if (series_counts_calls(series)) {
		calls_begin(&map_calls);
		calls_begin(&sync_calls);
		return;
	}
	if (series_is_marked(series))
		asm volatile(MARK_BEGIN : : : "memory");
	series->begin = clock_now();
}

int series_end(struct series *series, int error)
{
	uint64_t end = clock_now();

	if (series_counts_calls(series)) {
		series->nr_syncs = calls_end(&sync_calls);
		series->nr_maps = calls_end(&map_calls);
	} else if (series_is_marked(series)) {
		asm volatile(MARK_END : : : "memory");
	}
	if (series->nr_done && !series_counts_calls(series))
		series->sample[series->nr_done - 1] = end - series->begin;
	series->nr_done++;
	series->error = error;
	return error;
}

static int compare_samples(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

static void print_calls(const struct calls *calls, uint64_t count)
{
	if (!calls->known)
		printf("\t-");
	else
		printf("\t%llu", (unsigned long long)count);
}

void series_print(struct series *series)
{
	uint64_t *sample = series->sample;
	int last = series->nr_repetitions - 1;

	if (series->error || series_goes_on(series)) {
		printf("%s\t%s\t-\t-\t-\t-\n", series->name,
		       series->error ? strerrorname_np(-series->error) : "-");
		fflush(stdout);
		return;
	}

	qsort(sample, last + 1, sizeof(*sample), compare_samples);
	printf("%s\t%.2f\t%.2f\t%.2f", series->name,
	       sample[last / 2] / series->nr_units,
	       sample[0] / series->nr_units, sample[last] / series->nr_units);
	print_calls(&map_calls, series->nr_maps);
	print_calls(&sync_calls, series->nr_syncs);
	putchar('\n');
	fflush(stdout);
}
