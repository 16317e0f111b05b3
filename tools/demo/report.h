/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One line for each step of the story: whether it held, its number, its topic
 * and what was checked. A step ends with exactly one of the three verdicts.
 */
#ifndef DEMO_REPORT_H
#define DEMO_REPORT_H

#include <stdbool.h>

void report_begin_step(const char *topic);

/* Both return whether the story may go on, so that a step can return them. */
[[gnu::format(printf, 1, 2)]] bool held(const char *format, ...);
[[gnu::format(printf, 1, 2)]] bool skipped(const char *format, ...);
[[gnu::format(printf, 1, 2)]] bool failed(const char *format, ...);

/* Prints the last line; returns the exit status of the program. */
int report_summary(void);

/* "EBUSY" for -EBUSY, "success" for 0. */
const char *error_name(int error);

#endif
