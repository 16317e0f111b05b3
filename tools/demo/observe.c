// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "observe.h"

#define FAULT_WINDOW_MS		5500
#define FAULT_WAIT_MS		3000
#define FAULT_POLL_MS		10
#define FAULTS_PER_WINDOW_MAX	3

/* The number after @name at the start of a line of the file at @path. */
static bool number_in_file(const char *path, const char *name, long *value)
{
	size_t name_length = strlen(name);
	bool found = false;
	char line[512];
	FILE *file;

	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, name_length))
			continue;
		found = sscanf(line + name_length, "%*[: \t]%ld", value) == 1;
	}
	fclose(file);
	return found;
}

/* Counters are kept per CPU and folded now and then, or when asked to. */
static void fold_counters(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) < 0)
		perror("/proc/sys/vm/stat_refresh");
	close(fd);
}

long machine_pinned_pages(void)
{
	long acquired, released;

	fold_counters();
	if (!number_in_file("/proc/vmstat", "nr_foll_pin_acquired", &acquired) ||
	    !number_in_file("/proc/vmstat", "nr_foll_pin_released", &released))
		return -1;
	return acquired - released;
}

long process_status_kib(const char *name)
{
	long kib;

	return number_in_file("/proc/self/status", name, &kib) ? kib : -1;
}

bool fdinfo_number(int fd, const char *name, long *value)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return number_in_file(path, name, value);
}

long fdinfo_objects(int fd)
{
	char path[64], line[512];
	long nr, sum = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "objects-%*[^:]: %ld", &nr) == 1)
			sum += nr;
	fclose(file);
	return sum;
}

long huge_kib(const void *memory)
{
	unsigned long wanted = (unsigned long)memory;
	unsigned long first, end;
	bool inside = false;
	char line[512];
	long kib = 0;
	FILE *file;

	file = fopen("/proc/self/smaps", "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
			inside = wanted >= first && wanted < end;
		else if (inside && sscanf(line, "AnonHugePages: %ld", &kib) == 1)
			break;
	}
	fclose(file);
	return kib;
}

static __u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Drivers print at most ten things in five seconds. A blocked write is one thing
 * to VT-d's, which takes three lines for it; to SMMUv3's it is one for each four
 * bytes, so that one write uses all ten.
 */
static unsigned int faults_per_window(enum fault_log log)
{
	return log == FAULT_LOG_VTD ? 3 : 1;
}

/* Sleeps if the driver would by now keep quiet about one more fault. */
static void wait_for_rate_limit(enum fault_log log)
{
	static __u64 begun_ms[FAULTS_PER_WINDOW_MAX];
	static unsigned int next;
	__u64 quiet_until_ms = begun_ms[next] + FAULT_WINDOW_MS;
	__u64 now = now_ms();

	if (begun_ms[next] && now < quiet_until_ms)
		usleep((quiet_until_ms - now) * 1000);
	begun_ms[next] = now_ms();
	next = (next + 1) % faults_per_window(log);
}

int fault_watch_begin(struct fault_watch *watch)
{
	if (watch->log == FAULT_LOG_NONE)
		return 0;
	wait_for_rate_limit(watch->log);
	watch->kmsg_fd = open(watch->kmsg_path,
			      O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (watch->kmsg_fd < 0)
		return -errno;
	lseek(watch->kmsg_fd, 0, SEEK_END);
	return 0;
}

/* The hexadecimal number after @name in @line is on the page of @iova. */
static bool names_page(const char *line, const char *name, __u64 iova)
{
	const char *number = strstr(line, name);

	return number && strtoull(number + strlen(name), NULL, 16) >> 12 ==
			 iova >> 12;
}

static bool is_vtd_write(const char *line, const char *device_address,
			 __u64 iova)
{
	char device[64];

	snprintf(device, sizeof(device), "Request device [%s]", device_address);
	return strstr(line, "DMA Write") && strstr(line, device) &&
	       names_page(line, "fault addr ", iova);
}

/* One line says who and where, the next one what. *@named: it was that line. */
static bool is_smmuv3_write(const char *line, const char *device_address,
			    __u64 iova, bool *named)
{
	char device[64];
	bool was_named = *named;

	snprintf(device, sizeof(device), " client: %s ", device_address);
	*named = strstr(line, device) && names_page(line, " iova: ", iova);
	return was_named && strstr(line, " data write ");
}

bool fault_watch_end(struct fault_watch *watch, const char *device_address,
		     __u64 iova)
{
	__u64 give_up_ms = now_ms() + FAULT_WAIT_MS;
	bool found = watch->log == FAULT_LOG_NONE;
	bool named = false;
	char line[8192];

	if (found)
		return true;
	while (!found && now_ms() < give_up_ms) {
		ssize_t length = read(watch->kmsg_fd, line, sizeof(line) - 1);

		if (length > 0) {
			line[length] = '\0';
			found = watch->log == FAULT_LOG_VTD ?
				is_vtd_write(line, device_address, iova) :
				is_smmuv3_write(line, device_address, iova,
						&named);
		} else if (length < 0 && errno == EAGAIN) {
			usleep(FAULT_POLL_MS * 1000);
		} else if (length < 0 && errno != EPIPE) {
			break;	/* EPIPE: older lines were overwritten */
		}
	}
	close(watch->kmsg_fd);
	return found;
}
