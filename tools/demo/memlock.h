/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much memory this process may lock. Functions return 0 or a negative errno.
 */
#ifndef DEMO_MEMLOCK_H
#define DEMO_MEMLOCK_H

#include <stdbool.h>
#include <sys/resource.h>

/* What iommufd_set_rlimit_mode() takes. */
enum {
	RLIMIT_MODE_USER = 0,
	RLIMIT_MODE_PROCESS = 1,
};

/* With CAP_IPC_LOCK nothing is limited or charged: do without for a while. */
int set_ipc_lock_capability(bool wanted);
/* The old limit is written unless its place is NULL. */
int set_memlock_limit(rlim_t limit_bytes, rlim_t *old_limit_bytes);

#endif
