/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registers of a device, and memory that it shares. The compiler's atomics are
 * neither split nor left out. A load is ordered before what follows it, and
 * what comes before a store is visible to the device that the store tells.
 *
 * The compiler's fences are about other CPUs. On arm64 a device is further away
 * than those (the outer shareable domain), and needs the barriers that the
 * kernel's own readl() and writel() have there.
 */
#ifndef DEMO_MMIO_H
#define DEMO_MMIO_H

#include <linux/types.h>

static inline void mmio_read_barrier(void)
{
#ifdef __aarch64__
	asm volatile("dmb oshld" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

static inline void mmio_write_barrier(void)
{
#ifdef __aarch64__
	asm volatile("dmb osh" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

static inline __u32 mmio_read32(const void *address)
{
	__u32 value = __atomic_load_n((const __u32 *)address, __ATOMIC_RELAXED);

	mmio_read_barrier();
	return value;
}

static inline void mmio_write32(void *address, __u32 value)
{
	mmio_write_barrier();
	__atomic_store_n((__u32 *)address, value, __ATOMIC_RELAXED);
}

static inline void mmio_write64(void *address, __u64 value)
{
	mmio_write_barrier();
	__atomic_store_n((__u64 *)address, value, __ATOMIC_RELAXED);
}

#endif
