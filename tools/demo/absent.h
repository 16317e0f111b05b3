/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that is not there until the test says so: whoever touches it waits
 * (userfaultfd). Functions return 0 or a negative errno.
 */
#ifndef DEMO_ABSENT_H
#define DEMO_ABSENT_H

#include <stdbool.h>
#include <stddef.h>

struct absent {
	int uffd;
	char *memory;
	size_t nr_bytes;
};

int absent_new(struct absent *absent, size_t nr_bytes);
/* Waits so long at most for somebody to touch it. */
bool absent_touched(struct absent *absent, unsigned int wait_ms);
/* Let it be there, filled with a byte. */
int absent_provide(struct absent *absent, char byte);
/* Provides it first, so that nobody waits for it for ever. */
void absent_free(struct absent *absent);

#endif
