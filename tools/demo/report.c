// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

static struct {
	const char *topic;
	int nr_steps;
	int nr_held;
	int nr_failed;
} report;

static void print_line(const char *verdict, const char *format, va_list args)
{
	printf("%-4s %3d  %-9s ", verdict, report.nr_steps, report.topic);
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
}

void report_begin_step(const char *topic)
{
	report.topic = topic;
	report.nr_steps++;
}

bool held(const char *format, ...)
{
	va_list args;

	report.nr_held++;
	va_start(args, format);
	print_line("ok", format, args);
	va_end(args);
	return true;
}

bool skipped(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_line("skip", format, args);
	va_end(args);
	return true;
}

bool failed(const char *format, ...)
{
	va_list args;

	report.nr_failed++;
	va_start(args, format);
	print_line("FAIL", format, args);
	va_end(args);
	return false;
}

int report_summary(void)
{
	printf("%d passed, %d failed\n", report.nr_held, report.nr_failed);
	fflush(stdout);
	return report.nr_failed || !report.nr_held;
}

const char *error_name(int error)
{
	const char *name = strerrorname_np(-error);

	if (!error)
		return "success";
	return name ? name : "an unknown error";
}
