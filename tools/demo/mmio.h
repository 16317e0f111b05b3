/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registers of a device, and memory that it shares. The compiler's atomics are
 * neither split nor left out. A load is ordered before what follows it, and
 * what comes before a store is visible to the device that the store tells.
 */
#ifndef DEMO_MMIO_H
#define DEMO_MMIO_H

#include <linux/types.h>

static inline __u32 mmio_read32(const void *address)
{
	return __atomic_load_n((const __u32 *)address, __ATOMIC_ACQUIRE);
}

static inline void mmio_write32(void *address, __u32 value)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n((__u32 *)address, value, __ATOMIC_RELEASE);
}

static inline void mmio_write64(void *address, __u64 value)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n((__u64 *)address, value, __ATOMIC_RELEASE);
}

#endif
