// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/capability.h>

#include "memlock.h"

int set_ipc_lock_capability(bool wanted)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	if (wanted)
		data[0].effective |= 1u << CAP_IPC_LOCK;
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

int set_memlock_limit(rlim_t limit_bytes, rlim_t *old_limit_bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return -errno;
	if (old_limit_bytes)
		*old_limit_bytes = limit.rlim_cur;
	limit.rlim_cur = limit_bytes;
	return setrlimit(RLIMIT_MEMLOCK, &limit) ? -errno : 0;
}
