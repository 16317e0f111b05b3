/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The user interface of /dev/iommu as Linux 7.2 declares it.
 * Declarations: Copyright (c) 2021-2022, NVIDIA CORPORATION & AFFILIATES.
 */
#ifndef _UAPI_IOMMUFD_H
#define _UAPI_IOMMUFD_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOMMUFD_TYPE (';')

/**
 * DOC: Calling convention
 *
 * An open /dev/iommu is a *context*: a private table of objects, each named by
 * a non-zero u32. Commands are ioctls whose argument points to a structure of
 * their own. The structure opens with its size in bytes as the program was
 * compiled, and the two sides may disagree about it:
 *
 * - A program older than the kernel passes a short structure. What it leaves
 *   out counts as zero, and nothing is written past the size it stated.
 * - A program newer than the kernel passes a long one. That works as long as
 *   the bytes which this kernel cannot name are zero.
 *
 * So a program can be compiled against the newest header, and fill in new
 * fields only where it wants what they bring.
 *
 * A command returns 0, or -1 with errno. These mean the same everywhere, and
 * the text of a command repeats them only where there is more to say:
 *
 * =============  =============================================================
 * ENOTTY         this kernel has no such command
 * E2BIG          the structure is longer than the kernel's, and not zero there
 * EOPNOTSUPP     the command is there, what a field asks of it is not: a flag,
 *                a type or an operation that is unknown or not available here,
 *                or a reserved field that is not zero
 * EINVAL         each field is understood, but a value, or the values taken
 *                together, make no sense; also a size below the first version
 *                of the structure, and an id of an object of the wrong type
 *                where the command takes more than one type
 * ENOENT         no object of this id (and, for most commands, of this type)
 *                is there; or nothing is mapped at an IOVA
 * EFAULT         a user pointer cannot be read or written as needed
 * ENOMEM         out of memory, or over the limit on pinned memory
 * EOVERFLOW      a sum such as iova + length does not fit
 * =============  =============================================================
 *
 * Unless said otherwise a command that fails has changed nothing, and an input
 * field called reserved or flags must be zero where no meaning is defined.
 *
 * Objects use each other: a HWPT uses its IOAS, an attached device its HWPT. An
 * object can be destroyed when nothing uses it any more. Closing the last file
 * descriptor of the context ends everything in it, in the right order.
 */

/* The numbers of the commands, second argument of _IO(). */
enum {
	IOMMUFD_CMD_BASE = 0x80,
	IOMMUFD_CMD_DESTROY = IOMMUFD_CMD_BASE,
	IOMMUFD_CMD_IOAS_ALLOC = 0x81,
	IOMMUFD_CMD_IOAS_ALLOW_IOVAS = 0x82,
	IOMMUFD_CMD_IOAS_COPY = 0x83,
	IOMMUFD_CMD_IOAS_IOVA_RANGES = 0x84,
	IOMMUFD_CMD_IOAS_MAP = 0x85,
	IOMMUFD_CMD_IOAS_UNMAP = 0x86,
	IOMMUFD_CMD_OPTION = 0x87,
	IOMMUFD_CMD_VFIO_IOAS = 0x88,
	IOMMUFD_CMD_HWPT_ALLOC = 0x89,
	IOMMUFD_CMD_GET_HW_INFO = 0x8a,
	IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING = 0x8b,
	IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP = 0x8c,
	IOMMUFD_CMD_HWPT_INVALIDATE = 0x8d,
	IOMMUFD_CMD_FAULT_QUEUE_ALLOC = 0x8e,
	IOMMUFD_CMD_IOAS_MAP_FILE = 0x8f,
	IOMMUFD_CMD_VIOMMU_ALLOC = 0x90,
	IOMMUFD_CMD_VDEVICE_ALLOC = 0x91,
	IOMMUFD_CMD_IOAS_CHANGE_PROCESS = 0x92,
	IOMMUFD_CMD_VEVENTQ_ALLOC = 0x93,
	IOMMUFD_CMD_HW_QUEUE_ALLOC = 0x94,
};

/**
 * struct iommu_destroy - IOMMU_DESTROY: end one object
 * @size: bytes of this structure
 * @id: which object
 *
 * Ends an object that user space created, whatever its type. An IOAS loses its
 * mappings, which unpins their memory. For an object with an event file, close
 * the file too: while it is open the object is in use.
 *
 * Returns ENOENT when the id names nothing (of two threads that destroy one id,
 * one gets this), and EBUSY when another object, an open event file, an mmap or
 * a kernel driver still uses the object. The latter is always so for a bound
 * device, whose end is up to the driver that bound it.
 */
struct iommu_destroy {
	__u32 size;
	__u32 id;
};

#define IOMMU_DESTROY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_DESTROY)

/**
 * struct iommu_ioas_alloc - IOMMU_IOAS_ALLOC: make an I/O address space
 * @size: bytes of this structure
 * @flags: zero
 * @out_ioas_id: receives the id of the IOAS
 *
 * An IOAS maps I/O virtual addresses (IOVAs) to memory. It starts empty, with
 * the whole 64-bit range (on a 32-bit kernel: what an unsigned long holds) open
 * to mappings. Devices attach to it directly, or to a HWPT made from it; what
 * is mapped then appears in each of their page tables, now and later.
 */
struct iommu_ioas_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_ioas_id;
};

#define IOMMU_IOAS_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOC)

/**
 * struct iommu_iova_range - addresses from one to another
 * @start: lowest address of the range
 * @last: highest address that still belongs to it
 *
 * Naming the last address and not the one behind it lets a range reach the very
 * top of the space. A range holds at least one address: @start <= @last.
 */
struct iommu_iova_range {
	__aligned_u64 start;
	__aligned_u64 last;
};

/**
 * struct iommu_ioas_iova_ranges - IOMMU_IOAS_IOVA_RANGES: where mapping can work
 * @size: bytes of this structure
 * @ioas_id: the IOAS asked about
 * @num_iovas: in: how many entries @allowed_iovas has room for; out: how many
 *             usable ranges there are
 * @__reserved: zero
 * @allowed_iovas: address of an array of struct iommu_iova_range to be filled,
 *                 in ascending order
 * @out_iova_alignment: receives the alignment, in bytes, of mappings
 *
 * Says which IOVAs the attached hardware can translate: the intersection of the
 * apertures of its page tables, without the windows that a device, the platform
 * or an MSI controller reserves. An IOAS nothing is attached to is one range.
 * Attaching a device takes addresses away, detaching it gives them back, so ask
 * again after either. To be safe against that use IOMMU_IOAS_ALLOW_IOVAS.
 *
 * Both ends of a mapping have to be aligned, that is, for IOMMU_IOAS_MAP and
 * IOMMU_IOAS_COPY::
 *
 *   iova % out_iova_alignment == 0 && length % out_iova_alignment == 0
 *
 * The alignment is a power of two from 1 (byte-wise, when no page table is
 * involved) up to PAGE_SIZE.
 *
 * Returns EMSGSIZE when the array is too short: its entries are filled all the
 * same, @num_iovas says how many are needed, @out_iova_alignment is valid. Zero
 * entries are a fine way to ask for the number.
 */
struct iommu_ioas_iova_ranges {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
	__aligned_u64 out_iova_alignment;
};

#define IOMMU_IOAS_IOVA_RANGES _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_IOVA_RANGES)

/**
 * struct iommu_ioas_allow_iovas - IOMMU_IOAS_ALLOW_IOVAS: keep ranges usable
 * @size: bytes of this structure
 * @ioas_id: the IOAS concerned
 * @num_iovas: entries in @allowed_iovas; zero takes all promises back
 * @__reserved: zero
 * @allowed_iovas: address of an array of struct iommu_iova_range, none of which
 *                 may touch the same address as another
 *
 * The kernel promises that the given ranges stay usable. From then on a device
 * that would have to reserve part of one cannot be attached. The kernel also
 * picks addresses only inside them when IOMMU_IOAS_MAP leaves the choice to it;
 * mappings at a fixed IOVA may lie elsewhere.
 *
 * A successful call replaces the whole list of the previous one.
 *
 * Returns EADDRINUSE when part of a range is reserved already, and EINVAL for
 * ranges that overlap or end before they start. The previous list then stands.
 */
struct iommu_ioas_allow_iovas {
	__u32 size;
	__u32 ioas_id;
	__u32 num_iovas;
	__u32 __reserved;
	__aligned_u64 allowed_iovas;
};

#define IOMMU_IOAS_ALLOW_IOVAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_ALLOW_IOVAS)

/**
 * enum iommufd_ioas_map_flags - how a range is mapped
 * @IOMMU_IOAS_MAP_FIXED_IOVA: the caller has chosen the IOVA; without it the
 *                             kernel chooses
 * @IOMMU_IOAS_MAP_WRITEABLE: devices may write there
 * @IOMMU_IOAS_MAP_READABLE: devices may read there
 *
 * Some IOMMUs cannot deny reads: there a writeable range is readable as well.
 */
enum iommufd_ioas_map_flags {
	IOMMU_IOAS_MAP_FIXED_IOVA = 1 << 0,
	IOMMU_IOAS_MAP_WRITEABLE = 1 << 1,
	IOMMU_IOAS_MAP_READABLE = 1 << 2,
};

/**
 * struct iommu_ioas_map - IOMMU_IOAS_MAP: give devices access to user memory
 * @size: bytes of this structure
 * @flags: bits of enum iommufd_ioas_map_flags
 * @ioas_id: the IOAS to map into
 * @__reserved: zero
 * @user_va: where the memory begins in the address space of the caller
 * @length: bytes to map, not zero
 * @iova: where the range begins for devices: given when the flags fix it,
 *        otherwise written by the kernel
 *
 * Maps @length bytes of the caller's memory. An IOVA that the kernel chooses is
 * free, allowed, and as well aligned as the length and the position in the page
 * let it be, so that large pages can be used.
 *
 * What the caller owes while the range is mapped: the pages are pinned as soon
 * as a page table holds them. They neither move nor swap, they count against
 * RLIMIT_MEMLOCK (see IOMMU_OPTION_RLIMIT_MODE), and a device may read or write
 * them at any time. Unmapping or replacing the caller's own view (munmap, mmap
 * over it, exit, exec) takes nothing away from the device: it goes on with the
 * old pages until IOMMU_IOAS_UNMAP or the end of the context. A child made by
 * fork gets copies, not the pinned pages.
 *
 * Errors:
 *
 * - EEXIST: part of the fixed range is mapped; mappings are never replaced
 * - EINVAL: the length is zero, the fixed range is misaligned or touches
 *   reserved addresses
 * - EOVERFLOW: user address, IOVA or either plus the length wraps
 * - ENOSPC: no gap is large enough to choose from
 * - EFAULT: part of the memory is not mapped, or not writable by the caller
 *   for a writeable mapping
 * - ENOMEM: no memory, or the pages exceed the limit
 *
 * With nothing attached the memory is not looked at, and the last two come from
 * the call that first attaches a device.
 */
struct iommu_ioas_map {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__u32 __reserved;
	__aligned_u64 user_va;
	__aligned_u64 length;
	__aligned_u64 iova;
};

#define IOMMU_IOAS_MAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP)

/**
 * struct iommu_ioas_map_file - IOMMU_IOAS_MAP_FILE: give devices a file's memory
 * @size: bytes of this structure
 * @flags: bits of enum iommufd_ioas_map_flags
 * @ioas_id: the IOAS to map into
 * @fd: a memfd, or a dma-buf of a kind this kernel can map
 * @start: offset in the file, in bytes, of what is mapped
 * @length: bytes to map, not zero
 * @iova: in or out, as with IOMMU_IOAS_MAP
 *
 * Like IOMMU_IOAS_MAP, except that the memory is named by a file. The caller
 * need not map the file, and may close @fd right afterwards: the mapping keeps
 * the file. A memfd's pages are pinned while mapped.
 *
 * Of dma-bufs, those that vfio-pci exports for one contiguous range of a BAR
 * (VFIO_DEVICE_FEATURE_DMA_BUF) work; others may be refused. Nothing is pinned
 * or accounted for them. The exporter can revoke one: devices then fault on the
 * range, which stays mapped in name until it is unmapped.
 *
 * Beyond the errors of IOMMU_IOAS_MAP: EBADF or EINVAL for a file that is not
 * of a suitable kind, EINVAL when the range goes past the end of the file, and
 * ENODEV for a dma-buf that is revoked right now.
 */
struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 length;
	__aligned_u64 iova;
};

#define IOMMU_IOAS_MAP_FILE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_MAP_FILE)

/**
 * struct iommu_ioas_copy - IOMMU_IOAS_COPY: map the same memory once more
 * @size: bytes of this structure
 * @flags: bits of enum iommufd_ioas_map_flags, for the new mapping
 * @dst_ioas_id: the IOAS that gains the mapping
 * @src_ioas_id: the IOAS that has the memory; may be the same
 * @length: bytes, not zero
 * @dst_iova: in or out, as @iova of IOMMU_IOAS_MAP
 * @src_iova: where the memory begins in the source
 *
 * Shares the memory behind a source range; no content is copied. Both mappings
 * are independent from then on: either can be unmapped first. However often a
 * page is shared this way it is pinned and accounted once, which makes this
 * cheaper than mapping it again.
 *
 * The source range has to be mapped from end to end, else the call fails with
 * ENOENT. A writeable copy is possible only of memory that was mapped
 * writeable (EPERM). Errors about the destination are those of IOMMU_IOAS_MAP.
 */
struct iommu_ioas_copy {
	__u32 size;
	__u32 flags;
	__u32 dst_ioas_id;
	__u32 src_ioas_id;
	__aligned_u64 length;
	__aligned_u64 dst_iova;
	__aligned_u64 src_iova;
};

#define IOMMU_IOAS_COPY _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_COPY)

/**
 * struct iommu_ioas_unmap - IOMMU_IOAS_UNMAP: take mappings away
 * @size: bytes of this structure
 * @ioas_id: the IOAS to unmap from
 * @iova: where the range begins
 * @length: in: bytes of the range; out: bytes that were really unmapped
 *
 * Removes every mapping that lies inside the range. A mapping is removed whole
 * or not at all: a range that cuts through one is refused. Parts of the range
 * that hold no mapping do not matter. @iova 0 with @length U64_MAX means all
 * there is, the very last address included.
 *
 * On success no attached device can reach the memory any more (the IOTLBs have
 * been flushed), kernel users of the range have let go of it, and pages that no
 * other mapping needs are unpinned and no longer accounted.
 *
 * Returns ENOENT when nothing was mapped in the range or the range cuts through
 * a mapping, EBUSY when a hardware queue (IOMMU_HW_QUEUE_ALLOC) occupies part
 * of it. @length is written in every case once the range was looked at, since a
 * call that fails midway has removed what came before.
 */
struct iommu_ioas_unmap {
	__u32 size;
	__u32 ioas_id;
	__aligned_u64 iova;
	__aligned_u64 length;
};

#define IOMMU_IOAS_UNMAP _IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_UNMAP)

/**
 * enum iommufd_option - settings that IOMMU_OPTION reads and writes
 * @IOMMU_OPTION_RLIMIT_MODE:
 *    Whose RLIMIT_MEMLOCK pinned pages count against. 0, to start with: all
 *    that the user has pinned, over all processes. 1: what the process has
 *    pinned, as VFIO's type1 counts it. Belongs to the context, so the object
 *    id is zero. Setting it takes CAP_SYS_RESOURCE (else EPERM) and a context
 *    without any object (else EBUSY), which is the case right after open.
 * @IOMMU_OPTION_HUGE_PAGES:
 *    Whether one page table entry may cover several pages that lie side by side
 *    in memory. 1, to start with: yes. 0: each entry is one PAGE_SIZE, and
 *    mappings have to be aligned to it; meant for measurements and tests.
 *    Belongs to an IOAS, whose id is the object id. Turning it off fails with
 *    EADDRINUSE while a mapping is not aligned to PAGE_SIZE, or has already
 *    been put into a page table.
 */
enum iommufd_option {
	IOMMU_OPTION_RLIMIT_MODE = 0,
	IOMMU_OPTION_HUGE_PAGES = 1,
};

/**
 * enum iommufd_option_ops - what to do with a setting
 * @IOMMU_OPTION_OP_SET: give it a new value
 * @IOMMU_OPTION_OP_GET: read it
 */
enum iommufd_option_ops {
	IOMMU_OPTION_OP_SET = 0,
	IOMMU_OPTION_OP_GET = 1,
};

/**
 * struct iommu_option - IOMMU_OPTION: read or write a setting
 * @size: bytes of this structure
 * @option_id: a value of enum iommufd_option
 * @op: a value of enum iommufd_option_ops
 * @__reserved: zero
 * @object_id: the object that the setting belongs to; zero for the context
 * @val64: the new value, or room for the present one
 *
 * Returns EOPNOTSUPP for a setting or an operation that is unknown, and EINVAL
 * for a value that the setting does not know. Each setting adds errors of its
 * own, which enum iommufd_option lists.
 */
struct iommu_option {
	__u32 size;
	__u32 option_id;
	__u16 op;
	__u16 __reserved;
	__u32 object_id;
	__aligned_u64 val64;
};

#define IOMMU_OPTION _IO(IOMMUFD_TYPE, IOMMUFD_CMD_OPTION)

/**
 * enum iommufd_vfio_ioas_op - what to do with the IOAS of the VFIO emulation
 * @IOMMU_VFIO_IOAS_GET: say which one it is
 * @IOMMU_VFIO_IOAS_SET: choose one
 * @IOMMU_VFIO_IOAS_CLEAR: have none
 */
enum iommufd_vfio_ioas_op {
	IOMMU_VFIO_IOAS_GET = 0,
	IOMMU_VFIO_IOAS_SET = 1,
	IOMMU_VFIO_IOAS_CLEAR = 2,
};

/**
 * struct iommu_vfio_ioas - IOMMU_VFIO_IOAS: the IOAS behind VFIO's own ioctls
 * @size: bytes of this structure
 * @ioas_id: given with IOMMU_VFIO_IOAS_SET, returned by IOMMU_VFIO_IOAS_GET
 * @op: a value of enum iommufd_vfio_ioas_op
 * @__reserved: zero
 *
 * A context also answers the type1 container ioctls of VFIO. These know nothing
 * of ids, so one IOAS is theirs. A VFIO group that is given the context as its
 * container (VFIO_GROUP_SET_CONTAINER) uses the IOAS chosen here, or has one
 * made if there is none, and stays with it: a later SET or CLEAR is for groups
 * that come later. CLEAR destroys no IOAS, not even one that was made this way.
 *
 * GET returns ENODEV when there is none; SET returns ENOENT for an id which is
 * not that of an IOAS.
 */
struct iommu_vfio_ioas {
	__u32 size;
	__u32 ioas_id;
	__u16 op;
	__u16 __reserved;
};

#define IOMMU_VFIO_IOAS _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VFIO_IOAS)

/**
 * enum iommufd_hwpt_alloc_flags - what a new HWPT must be capable of
 * @IOMMU_HWPT_ALLOC_NEST_PARENT: nested HWPTs and vIOMMUs can be made on top
 * @IOMMU_HWPT_ALLOC_DIRTY_TRACKING: dirty tracking works; a device whose IOMMU
 *                                   cannot do it is refused when it attaches
 * @IOMMU_HWPT_FAULT_ID_VALID: page faults go to the queue that the fault_id
 *                             field names
 * @IOMMU_HWPT_ALLOC_PASID: the HWPT can be attached to a PASID. While a device
 *                          has PASIDs attached, what its plain requests use has
 *                          to carry this flag too, otherwise the attach fails.
 *                          An IOAS cannot stand in for such a HWPT: attach this
 *                          one, both for the PASIDs and for plain requests.
 *                          EOPNOTSUPP without PASIDs in the IOMMU.
 */
enum iommufd_hwpt_alloc_flags {
	IOMMU_HWPT_ALLOC_NEST_PARENT = 1 << 0,
	IOMMU_HWPT_ALLOC_DIRTY_TRACKING = 1 << 1,
	IOMMU_HWPT_FAULT_ID_VALID = 1 << 2,
	IOMMU_HWPT_ALLOC_PASID = 1 << 3,
};

/**
 * enum iommu_hwpt_vtd_s1_flags - bits of a VT-d scalable mode PASID entry that
 *                                a guest controls
 * @IOMMU_VTD_S1_SRE: requests for supervisor privilege are let through
 * @IOMMU_VTD_S1_EAFE: the IOMMU maintains the extended-accessed bit
 * @IOMMU_VTD_S1_WPE: supervisor writes obey the read-only bit
 */
enum iommu_hwpt_vtd_s1_flags {
	IOMMU_VTD_S1_SRE = 1 << 0,
	IOMMU_VTD_S1_EAFE = 1 << 1,
	IOMMU_VTD_S1_WPE = 1 << 2,
};

/**
 * struct iommu_hwpt_vtd_s1 - a guest's first stage on Intel VT-d
 * @flags: bits of enum iommu_hwpt_vtd_s1_flags
 * @pgtbl_addr: guest physical address of the top level table
 * @addr_width: bits of input address that the table translates, which follows
 *              from its number of levels
 * @__reserved: zero
 *
 * Data of IOMMU_HWPT_ALLOC for type IOMMU_HWPT_DATA_VTD_S1.
 */
struct iommu_hwpt_vtd_s1 {
	__aligned_u64 flags;
	__aligned_u64 pgtbl_addr;
	__u32 addr_width;
	__u32 __reserved;
};

/**
 * struct iommu_hwpt_arm_smmuv3 - a guest's stream table entry on Arm SMMUv3
 * @ste: words 0 and 1 of the entry as the guest wrote them, in the byte order
 *       of the architecture (little). Of word 0 the kernel takes V, Cfg, S1Fmt,
 *       S1ContextPtr and S1CDMax, of word 1 it takes S1CIR, S1COR, S1CSH (how
 *       descriptors are cached), S1DSS, S1STALLD and EATS; other bits are zero. Chapter 5.2 of the
 *       architecture describes them.
 *
 * Data of IOMMU_HWPT_ALLOC for type IOMMU_HWPT_DATA_ARM_SMMUV3. Fails with EIO
 * when another bit is set or the fields contradict the architecture.
 *
 * Cfg decides what the HWPT does. *Bypass*: addresses are translated by the
 * parent only. *Abort*: all DMA is refused. *S1 translate*: S1ContextPtr leads
 * to the guest's context descriptors, an address in the guest, that is, one
 * that the parent translates.
 *
 * Give the device its vDEVICE, with the stream id the guest knows it by, before
 * a HWPT is attached that translates: invalidations by the guest and events for
 * it need that number, and the attach fails without. Bypass and abort do attach
 * without, since that is the state (SMMUEN = 0) in which a guest boots, but no
 * event reaches the guest then. A VMM that learns the stream id later should
 * make the vDEVICE at that time, and attach once more.
 */
struct iommu_hwpt_arm_smmuv3 {
	__aligned_le64 ste[2];
};

/**
 * struct iommu_hwpt_amd_guest - a guest's device table entry on AMD
 * @dte: the entry of 256 bits that the guest wrote for the device
 *
 * Data of IOMMU_HWPT_ALLOC for type IOMMU_HWPT_DATA_AMD_GUEST. The guest CR3
 * table and its mode are taken from it.
 */
struct iommu_hwpt_amd_guest {
	__aligned_u64 dte[4];
};

/**
 * enum iommu_hwpt_data_type - whose page table a new HWPT is
 * @IOMMU_HWPT_DATA_NONE: the kernel's, filled from an IOAS; no data goes with it
 * @IOMMU_HWPT_DATA_VTD_S1: the guest's, see struct iommu_hwpt_vtd_s1
 * @IOMMU_HWPT_DATA_ARM_SMMUV3: the guest's, see struct iommu_hwpt_arm_smmuv3
 * @IOMMU_HWPT_DATA_AMD_GUEST: the guest's, see struct iommu_hwpt_amd_guest
 */
enum iommu_hwpt_data_type {
	IOMMU_HWPT_DATA_NONE = 0,
	IOMMU_HWPT_DATA_VTD_S1 = 1,
	IOMMU_HWPT_DATA_ARM_SMMUV3 = 2,
	IOMMU_HWPT_DATA_AMD_GUEST = 3,
};

/**
 * struct iommu_hwpt_alloc - IOMMU_HWPT_ALLOC: make a hardware page table
 * @size: bytes of this structure
 * @flags: bits of enum iommufd_hwpt_alloc_flags
 * @dev_id: a bound device; its IOMMU decides about the format
 * @pt_id: what the table is made of: an IOAS, a nesting parent or a vIOMMU
 * @out_hwpt_id: receives the id of the HWPT
 * @__reserved: zero
 * @data_type: a value of enum iommu_hwpt_data_type
 * @data_len: bytes at @data_uptr
 * @data_uptr: address of the structure that belongs to @data_type
 * @fault_id: the queue of IOMMU_FAULT_QUEUE_ALLOC, when the flags say so
 * @__reserved2: zero
 *
 * A HWPT stands for one iommu_domain of the kernel. There are two kinds.
 *
 * *Paging*, from an IOAS: the kernel keeps the table equal to the IOAS. The
 * @data_type is IOMMU_HWPT_DATA_NONE, with neither length nor pointer. Attaching
 * a device to an IOAS does the same by itself, for a HWPT without any flag. What
 * the IOAS maps is pinned from now on, even before a device attaches.
 *
 * *Nested*, from a paging HWPT made with IOMMU_HWPT_ALLOC_NEST_PARENT, or from
 * a vIOMMU, which holds one: the table is in guest memory, and the guest keeps
 * it. Its output is translated by the parent. The guest's changes take effect
 * after IOMMU_HWPT_INVALIDATE. The device must be behind the very IOMMU that the
 * vIOMMU was made for.
 *
 * Returns ENOENT when @dev_id is no device or @fault_id no queue, EINVAL when
 * @pt_id is not of a suitable kind or type, length and pointer of the data
 * contradict each other, and EOPNOTSUPP when the IOMMU lacks what flags or type
 * ask for, or when flags do not go together (a nesting parent takes no faults).
 * What the IOMMU cannot address can also collide with what the IOAS maps or
 * allows: EADDRINUSE. Drivers add errors about the data.
 */
struct iommu_hwpt_alloc {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 pt_id;
	__u32 out_hwpt_id;
	__u32 __reserved;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};

#define IOMMU_HWPT_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_ALLOC)

/**
 * enum iommu_hw_info_vtd_flags - what the registers of a VT-d unit do not tell
 * @IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17: a nesting parent must not map anything
 *    read-only on this hardware (Sapphire Rapids erratum SPR17, Intel document
 *    772415)
 */
enum iommu_hw_info_vtd_flags {
	IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 = 1 << 0,
};

/**
 * struct iommu_hw_info_vtd - what an Intel VT-d unit can do
 * @flags: bits of enum iommu_hw_info_vtd_flags
 * @__reserved: zero
 * @cap_reg: the Capability Register, 11.4.2 of the VT-d specification
 * @ecap_reg: the Extended Capability Register, 11.4.3 there
 *
 * Reported with IOMMU_HW_INFO_TYPE_INTEL_VTD. The registers are raw.
 */
struct iommu_hw_info_vtd {
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 cap_reg;
	__aligned_u64 ecap_reg;
};

/**
 * struct iommu_hw_info_arm_smmuv3 - what an Arm SMMUv3 can do
 * @flags: zero
 * @__reserved: zero
 * @idr: registers SMMU_IDR0 to SMMU_IDR5
 * @iidr: register SMMU_IIDR: who made it, which revision
 * @aidr: register SMMU_AIDR: version of the architecture
 *
 * Reported with IOMMU_HW_INFO_TYPE_ARM_SMMUV3. Chapters 6.3.1 to 6.3.6 of the
 * architecture describe the registers. They are raw, hence tell of features
 * the kernel does not offer to guests. A VMM may rely on these fields and has
 * to ignore all others, whose meaning for nesting can still be defined:
 *
 * =======  ================================================================
 * idr[0]   TTF, TTENDIAN, ASID16, CD2L, STALL_MODEL, TERM_MODEL, ST_LEVEL
 * idr[1]   SSIDSIZE, SIDSIZE
 * idr[3]   RIL, BBML
 * idr[5]   GRAN4K, GRAN16K, GRAN64K, VAX
 * =======  ================================================================
 *
 * Not taken from here: stage 1 translation exists if a nested HWPT can be made;
 * coherent table walks always do on platforms that VFIO accepts; ATS is the
 * property of a device, so the guest's IDR0 has it when the VMM's firmware
 * tables describe a device with it. HTTU, BTM and MPAM are not supported with
 * nesting, whatever the registers say.
 */
struct iommu_hw_info_arm_smmuv3 {
	__u32 flags;
	__u32 __reserved;
	__u32 idr[6];
	__u32 iidr;
	__u32 aidr;
};

/**
 * struct iommu_hw_info_tegra241_cmdqv - what NVIDIA's CMDQ-Virtualization can do
 * @flags: zero
 * @version: hardware version, PARAM[3:0]
 * @log2vcmdqs: virtual command queues as a power of two, PARAM[7:4]
 * @log2vsids: stream id replacements as a power of two, PARAM[15:12]
 * @__reserved: zero
 *
 * Reported with IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV. The values fit the PARAM
 * register that a VMM emulates. A guest gets a single virtual interface (VINTF),
 * hence zero in PARAM[11:8].
 */
struct iommu_hw_info_tegra241_cmdqv {
	__u32 flags;
	__u8 version;
	__u8 log2vcmdqs;
	__u8 log2vsids;
	__u8 __reserved;
};

/**
 * struct iommu_hw_info_amd - what an AMD IOMMU can do
 * @efr: the Extended Feature Register, MMIO offset 0x30
 * @efr2: the Extended Feature 2 Register, MMIO offset 0x1a0
 *
 * Reported with IOMMU_HW_INFO_TYPE_AMD. Both are raw; AMD document 48882
 * describes them. A VMM may pass these features of @efr on to a guest and has
 * to hide the rest: PPRSup, GTSup, GASup, GATS, GLX, PASmax, EPHSup, GioSup.
 */
struct iommu_hw_info_amd {
	__aligned_u64 efr;
	__aligned_u64 efr2;
};

/**
 * enum iommu_hw_info_type - which structure IOMMU_GET_HW_INFO fills
 * @IOMMU_HW_INFO_TYPE_NONE: as an answer: the driver has nothing to report
 * @IOMMU_HW_INFO_TYPE_DEFAULT: as a request: what the driver reports by itself
 * @IOMMU_HW_INFO_TYPE_INTEL_VTD: struct iommu_hw_info_vtd
 * @IOMMU_HW_INFO_TYPE_ARM_SMMUV3: struct iommu_hw_info_arm_smmuv3
 * @IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV: struct iommu_hw_info_tegra241_cmdqv
 * @IOMMU_HW_INFO_TYPE_AMD: struct iommu_hw_info_amd
 */
enum iommu_hw_info_type {
	IOMMU_HW_INFO_TYPE_NONE = 0,
	IOMMU_HW_INFO_TYPE_DEFAULT = 0,
	IOMMU_HW_INFO_TYPE_INTEL_VTD = 1,
	IOMMU_HW_INFO_TYPE_ARM_SMMUV3 = 2,
	IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV = 3,
	IOMMU_HW_INFO_TYPE_AMD = 4,
};

/**
 * enum iommufd_hw_capabilities - what every kind of IOMMU can be asked about
 * @IOMMU_HW_CAP_DIRTY_TRACKING: HWPTs can track dirty pages, which means
 *    IOMMU_HWPT_SET_DIRTY_TRACKING and IOMMU_HWPT_GET_DIRTY_BITMAP work on
 *    a HWPT allocated for it
 * @IOMMU_HW_CAP_PCI_PASID_EXEC: the PCI function can ask for execute permission
 *    with a PASID; without PASIDs (width 0) this says nothing
 * @IOMMU_HW_CAP_PCI_PASID_PRIV: likewise, for privileged mode
 * @IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED: the function will not use ATS, because
 *    it cannot or must not; when the bit is clear it might
 */
enum iommufd_hw_capabilities {
	IOMMU_HW_CAP_DIRTY_TRACKING = 1 << 0,
	IOMMU_HW_CAP_PCI_PASID_EXEC = 1 << 1,
	IOMMU_HW_CAP_PCI_PASID_PRIV = 1 << 2,
	IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED = 1 << 3,
};

/**
 * enum iommufd_hw_info_flags - how IOMMU_GET_HW_INFO is asked
 * @IOMMU_HW_INFO_FLAG_INPUT_TYPE: in_data_type says which structure is wanted
 */
enum iommufd_hw_info_flags {
	IOMMU_HW_INFO_FLAG_INPUT_TYPE = 1 << 0,
};

/**
 * struct iommu_hw_info - IOMMU_GET_HW_INFO: what the IOMMU of a device can do
 * @size: bytes of this structure
 * @flags: bits of enum iommufd_hw_info_flags
 * @dev_id: a bound device
 * @data_len: in: bytes at @data_uptr, may be zero; out: bytes that the kernel
 *            has to tell
 * @data_uptr: address of a buffer for the structure of the type; zero if
 *             @data_len is zero
 * @in_data_type: the wanted value of enum iommu_hw_info_type, regarded only with
 *                IOMMU_HW_INFO_FLAG_INPUT_TYPE, otherwise the default one is
 *                meant
 * @out_data_type: receives the value of enum iommu_hw_info_type that tells how
 *                 to read the buffer; the same bytes as @in_data_type
 * @out_max_pasid_log2: receives the width of a PASID in bits, 0 for a device
 *                      that cannot use PASIDs
 * @__reserved: zero
 * @out_capabilities: receives bits of enum iommufd_hw_capabilities
 *
 * A VMM needs this to emulate an IOMMU for a guest whose page tables the real
 * one will walk. Output longer than the buffer is cut, and a longer buffer is
 * filled up with zeroes, so each side may know more fields than the other.
 *
 * Returns ENOENT when @dev_id is not a device, EOPNOTSUPP when the driver does
 * not report the wanted type, EINVAL for a length without a buffer.
 */
struct iommu_hw_info {
	__u32 size;
	__u32 flags;
	__u32 dev_id;
	__u32 data_len;
	__aligned_u64 data_uptr;
	union {
		__u32 in_data_type;
		__u32 out_data_type;
	};
	__u8 out_max_pasid_log2;
	__u8 __reserved[3];
	__aligned_u64 out_capabilities;
};

#define IOMMU_GET_HW_INFO _IO(IOMMUFD_TYPE, IOMMUFD_CMD_GET_HW_INFO)

/**
 * enum iommufd_hwpt_set_dirty_tracking_flags - whether writes are recorded
 * @IOMMU_HWPT_DIRTY_TRACKING_ENABLE: they are; without this bit they are not
 */
enum iommufd_hwpt_set_dirty_tracking_flags {
	IOMMU_HWPT_DIRTY_TRACKING_ENABLE = 1,
};

/**
 * struct iommu_hwpt_set_dirty_tracking - IOMMU_HWPT_SET_DIRTY_TRACKING: start or
 *                                        stop recording which pages DMA writes
 * @size: bytes of this structure
 * @flags: bits of enum iommufd_hwpt_set_dirty_tracking_flags
 * @hwpt_id: a paging HWPT, made with IOMMU_HWPT_ALLOC_DIRTY_TRACKING
 * @__reserved: zero
 *
 * Recording starts with every page clean. Setting the state that is already
 * there succeeds. EOPNOTSUPP if the HWPT was not made for it.
 */
struct iommu_hwpt_set_dirty_tracking {
	__u32 size;
	__u32 flags;
	__u32 hwpt_id;
	__u32 __reserved;
};

#define IOMMU_HWPT_SET_DIRTY_TRACKING _IO(IOMMUFD_TYPE, \
					  IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING)

/**
 * enum iommufd_hwpt_get_dirty_bitmap_flags - how the record is read
 * @IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR: leave the record as it is. Cheaper, as
 *    no IOTLB has to be flushed; right for the last look at a range that will
 *    be unmapped next.
 */
enum iommufd_hwpt_get_dirty_bitmap_flags {
	IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR = 1,
};

/**
 * struct iommu_hwpt_get_dirty_bitmap - IOMMU_HWPT_GET_DIRTY_BITMAP: which pages
 *                                      were written
 * @size: bytes of this structure
 * @hwpt_id: a paging HWPT that records
 * @flags: bits of enum iommufd_hwpt_get_dirty_bitmap_flags
 * @__reserved: zero
 * @iova: where the range begins
 * @length: bytes of the range, not zero
 * @page_size: bytes that a bit stands for, a power of two
 * @data: address of the bitmap, an array of u64
 *
 * Bit 0 of the bitmap stands for the page at @iova. For an address x in the
 * range, with n = (x - iova) / page_size, the page is dirty if::
 *
 *   data[n / 64] & (1ULL << (n % 64))
 *
 * Bits are only ever set, so the bitmap has to be clear before the first call
 * and can collect over many. No byte is touched in which no bit belongs to the
 * range. A page that the IOMMU maps by one large entry is dirty as a whole: with
 * a @page_size below the size of the entry all its bits are set.
 *
 * Reading also makes the pages clean, in one step for each entry, so that no
 * write is lost between two calls; IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR prevents
 * that. An entry that reaches out of the range is reported for the part that is
 * in it and stays dirty, or nobody would learn of the rest: ask for whole
 * mappings. A call that fails with EFAULT may have cleared what it could not report:
 * regard the whole range as dirty then.
 *
 * Returns EOPNOTSUPP if the HWPT was not made for dirty tracking, EINVAL if it
 * is not recording, @page_size is no power of two, or @iova and @length are not
 * multiples of it and of what the IOAS aligns to, and EOVERFLOW if the range
 * wraps.
 */
struct iommu_hwpt_get_dirty_bitmap {
	__u32 size;
	__u32 hwpt_id;
	__u32 flags;
	__u32 __reserved;
	__aligned_u64 iova;
	__aligned_u64 length;
	__aligned_u64 page_size;
	__aligned_u64 data;
};

#define IOMMU_HWPT_GET_DIRTY_BITMAP _IO(IOMMUFD_TYPE, \
					IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP)

/**
 * enum iommu_hwpt_invalidate_data_type - what an array of invalidations holds
 * @IOMMU_HWPT_INVALIDATE_DATA_VTD_S1: struct iommu_hwpt_vtd_s1_invalidate
 * @IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3:
 *    struct iommu_viommu_arm_smmuv3_invalidate
 */
enum iommu_hwpt_invalidate_data_type {
	IOMMU_HWPT_INVALIDATE_DATA_VTD_S1 = 0,
	IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 = 1,
};

/**
 * enum iommu_hwpt_vtd_s1_invalidate_flags - reach of an invalidation on VT-d
 * @IOMMU_VTD_INV_FLAGS_LEAF: last level entries changed and nothing above them;
 *                            without it cached upper levels go as well
 */
enum iommu_hwpt_vtd_s1_invalidate_flags {
	IOMMU_VTD_INV_FLAGS_LEAF = 1 << 0,
};

/**
 * struct iommu_hwpt_vtd_s1_invalidate - what changed in a guest's first stage on
 *                                       Intel VT-d
 * @addr: first address whose translation changed, a multiple of 4096
 * @npages: how many pages of 4096 bytes from there
 * @flags: bits of enum iommu_hwpt_vtd_s1_invalidate_flags
 * @__reserved: zero
 *
 * Entry for IOMMU_HWPT_INVALIDATE_DATA_VTD_S1. An @addr of zero with @npages
 * U64_MAX drops all that is cached of the table. Device TLBs (ATS) are included
 * where a device has one.
 */
struct iommu_hwpt_vtd_s1_invalidate {
	__aligned_u64 addr;
	__aligned_u64 npages;
	__u32 flags;
	__u32 __reserved;
};

/**
 * struct iommu_viommu_arm_smmuv3_invalidate - one command from a guest's SMMUv3
 *                                             command queue
 * @cmd: the 16 bytes as the guest wrote them, little-endian
 *
 * Entry for IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, which goes to a vIOMMU.
 * Stream ids are those of the guest, see IOMMU_VDEVICE_ALLOC. The kernel runs
 * these, and answers EIO to any other or to an unknown stream::
 *
 *   CMDQ_OP_CFGI_CD      CMDQ_OP_CFGI_CD_ALL    CMDQ_OP_ATC_INV
 *   CMDQ_OP_TLBI_NH_VA   CMDQ_OP_TLBI_NH_VAA    CMDQ_OP_TLBI_NH_ASID
 *   CMDQ_OP_TLBI_NH_ALL  CMDQ_OP_TLBI_NSNH_ALL
 */
struct iommu_viommu_arm_smmuv3_invalidate {
	__aligned_le64 cmd[2];
};

/**
 * struct iommu_hwpt_invalidate - IOMMU_HWPT_INVALIDATE: drop what the hardware
 *                                has cached for a guest
 * @size: bytes of this structure
 * @hwpt_id: a nested HWPT, or a vIOMMU
 * @data_uptr: address of the array of requests
 * @data_type: a value of enum iommu_hwpt_invalidate_data_type, one that the
 *             HWPT or the vIOMMU takes
 * @entry_len: bytes from one request to the next
 * @entry_num: in: how many requests; out: how many of them were carried out
 * @__reserved: zero
 *
 * A guest that changes its page table has to tell the IOMMU; a VMM passes that
 * on with this command. Through a nested HWPT it reaches the caches of that one
 * table, through a vIOMMU also those of devices and descriptors.
 *
 * Requests are carried out in order, until the first that fails. @entry_num is
 * updated in case of an error too: the request of that index is the culprit. No
 * request at all (@entry_num zero; length and pointer do not matter) checks
 * whether the type is supported.
 *
 * Returns EINVAL when the object is of another kind, the type unsuitable or the
 * content of a request wrong, EOPNOTSUPP for flags in a request that are not
 * known, EIO for a command that cannot be passed on.
 */
struct iommu_hwpt_invalidate {
	__u32 size;
	__u32 hwpt_id;
	__aligned_u64 data_uptr;
	__u32 data_type;
	__u32 entry_len;
	__u32 entry_num;
	__u32 __reserved;
};

#define IOMMU_HWPT_INVALIDATE _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HWPT_INVALIDATE)

/**
 * enum iommu_hwpt_pgfault_flags - about one page fault record
 * @IOMMU_PGFAULT_FLAGS_PASID_VALID: it happened with a PASID
 * @IOMMU_PGFAULT_FLAGS_LAST_PAGE: it completes its group, which can be answered
 */
enum iommu_hwpt_pgfault_flags {
	IOMMU_PGFAULT_FLAGS_PASID_VALID		= (1 << 0),
	IOMMU_PGFAULT_FLAGS_LAST_PAGE		= (1 << 1),
};

/**
 * enum iommu_hwpt_pgfault_perm - what the device wants to do with the page
 * @IOMMU_PGFAULT_PERM_READ: read it
 * @IOMMU_PGFAULT_PERM_WRITE: write it
 * @IOMMU_PGFAULT_PERM_EXEC: execute it (Execute Requested of the PASID prefix,
 *                           PCIe 10.4.1)
 * @IOMMU_PGFAULT_PERM_PRIV: do so in privileged mode (Privileged Mode Requested
 *                           of the same prefix)
 */
enum iommu_hwpt_pgfault_perm {
	IOMMU_PGFAULT_PERM_READ			= (1 << 0),
	IOMMU_PGFAULT_PERM_WRITE		= (1 << 1),
	IOMMU_PGFAULT_PERM_EXEC			= (1 << 2),
	IOMMU_PGFAULT_PERM_PRIV			= (1 << 3),
};

/**
 * struct iommu_hwpt_pgfault - a page that a device misses
 * @flags: bits of enum iommu_hwpt_pgfault_flags
 * @dev_id: the bound device that asks
 * @pasid: the PASID it uses, if the flags say so
 * @grpid: the number of the group of requests on the PCI side
 * @perm: bits of enum iommu_hwpt_pgfault_perm
 * @__reserved: zero
 * @addr: the address that has no translation
 * @length: how many bytes from there the device is going to need, as a hint to
 *          bring in more at once; zero if it does not say
 * @cookie: names the whole group in the answer
 *
 * What reading the file of IOMMU_FAULT_QUEUE_ALLOC yields, several at a time if
 * there is room. The last record of a group has the cookie to answer with.
 */
struct iommu_hwpt_pgfault {
	__u32 flags;
	__u32 dev_id;
	__u32 pasid;
	__u32 grpid;
	__u32 perm;
	__u32 __reserved;
	__aligned_u64 addr;
	__u32 length;
	__u32 cookie;
};

/**
 * enum iommufd_page_response_code - how a group of page faults ended
 * @IOMMUFD_PAGE_RESP_SUCCESS: the pages are there, the device shall try again
 *                             ("Success" of PCIe 10.4.2.1)
 * @IOMMUFD_PAGE_RESP_INVALID: they will not be there, the device shall give up
 *                             ("Invalid Request" of the same chapter)
 */
enum iommufd_page_response_code {
	IOMMUFD_PAGE_RESP_SUCCESS = 0,
	IOMMUFD_PAGE_RESP_INVALID = 1,
};

/**
 * struct iommu_hwpt_page_response - the answer to a group of page faults
 * @cookie: of the group, from struct iommu_hwpt_pgfault
 * @code: a value of enum iommufd_page_response_code
 *
 * What is written to the file of IOMMU_FAULT_QUEUE_ALLOC. Every group that was
 * read has to be answered; detaching the device answers those left over.
 */
struct iommu_hwpt_page_response {
	__u32 cookie;
	__u32 code;
};

/**
 * struct iommu_fault_alloc - IOMMU_FAULT_QUEUE_ALLOC: make a queue of page faults
 * @size: bytes of this structure
 * @flags: zero
 * @out_fault_id: receives the id of the queue
 * @out_fault_fd: receives its file, which is the caller's to close
 *
 * HWPTs name the queue when they are made (IOMMU_HWPT_FAULT_ID_VALID); several
 * may share it. The file is polled and read for struct iommu_hwpt_pgfault, and
 * answers are written to it as struct iommu_hwpt_page_response.
 *
 * At most 16384 requests wait for an answer, and at most 2048 are in a group: more
 * are answered as invalid for you. What is kept of them is charged to the memory
 * cgroup of who made the queue.
 *
 * A read returns whole groups. One whose buffer cannot hold the next group gets
 * EINVAL and loses nothing. Writes have to be a whole number of answers; EINVAL
 * for an unknown cookie or code, after any answers that came before it counted.
 */
struct iommu_fault_alloc {
	__u32 size;
	__u32 flags;
	__u32 out_fault_id;
	__u32 out_fault_fd;
};

#define IOMMU_FAULT_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_FAULT_QUEUE_ALLOC)

/**
 * enum iommu_viommu_type - which hardware a vIOMMU is a slice of
 * @IOMMU_VIOMMU_TYPE_DEFAULT: none; not a type that can be allocated
 * @IOMMU_VIOMMU_TYPE_ARM_SMMUV3: Arm SMMUv3
 * @IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: Arm SMMUv3 with a virtual interface of
 *    NVIDIA's CMDQ-Virtualization. The kernel owns the interface on behalf of
 *    the guest with HYP_OWN = 0, so the VMM has to show the guest a VINTF_CONFIG
 *    register whose HYP_OWN bit stays 0: with a 1 the queues do not work.
 */
enum iommu_viommu_type {
	IOMMU_VIOMMU_TYPE_DEFAULT = 0,
	IOMMU_VIOMMU_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV = 2,
};

/**
 * struct iommu_viommu_tegra241_cmdqv - registers of the virtual interface
 * @out_vintf_mmap_offset: receives the offset to pass to mmap()
 * @out_vintf_mmap_length: receives the number of bytes to pass to mmap()
 *
 * Data of IOMMU_VIOMMU_ALLOC for type IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV. Mapping
 * these values of /dev/iommu gives page 0 of the interface (VINTF), which a VMM
 * puts into the guest's physical address space: the guest then drives its queues
 * without exits. Other values make mmap() fail with ENXIO, and the vIOMMU cannot
 * be destroyed while the page is mapped.
 */
struct iommu_viommu_tegra241_cmdqv {
	__aligned_u64 out_vintf_mmap_offset;
	__aligned_u64 out_vintf_mmap_length;
};

/**
 * struct iommu_viommu_alloc - IOMMU_VIOMMU_ALLOC: make a guest's slice of an IOMMU
 * @size: bytes of this structure
 * @flags: zero
 * @type: a value of enum iommu_viommu_type
 * @dev_id: a bound device; the slice is of the IOMMU it sits behind
 * @hwpt_id: a nesting parent: the guest's physical address space
 * @out_viommu_id: receives the id of the vIOMMU
 * @data_len: bytes at @data_uptr
 * @__reserved: zero
 * @data_uptr: address of the structure of this type, zero for a type that has
 *             none; the kernel may write to it
 *
 * A vIOMMU holds whatever one virtual machine has of one physical IOMMU beyond
 * page tables: the guest's own ids (cache tags, device ids), its invalidations,
 * errors that concern no particular device, queues and interrupts that the
 * hardware serves for the guest directly. A guest with devices behind several
 * IOMMUs has several, which may share a nesting parent where the hardware lets
 * them. It uses the parent, which therefore cannot be destroyed before it.
 *
 * Returns ENOENT when @dev_id is no device or @hwpt_id no paging HWPT, EINVAL
 * when the latter is not a nesting parent, EOPNOTSUPP when the IOMMU does not
 * have this type.
 */
struct iommu_viommu_alloc {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 dev_id;
	__u32 hwpt_id;
	__u32 out_viommu_id;
	__u32 data_len;
	__u32 __reserved;
	__aligned_u64 data_uptr;
};

#define IOMMU_VIOMMU_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VIOMMU_ALLOC)

/**
 * struct iommu_vdevice_alloc - IOMMU_VDEVICE_ALLOC: tell how a guest knows a device
 * @size: bytes of this structure
 * @viommu_id: the vIOMMU that the guest sees the device behind
 * @dev_id: a bound device
 * @out_vdevice_id: receives the id of the vDEVICE
 * @virt_id: the number by which the guest's IOMMU driver names the device: the
 *           stream id (Arm SMMUv3), requester id (Intel VT-d), device id (AMD)
 *
 * With it the kernel translates device ids in a guest's invalidations and in
 * events for the guest. A device has one vDEVICE at most, and a @virt_id is
 * given once within a vIOMMU.
 *
 * Destroy it before the device is unbound (with VFIO, before its file is closed).
 * Unbinding does not wait: it ends the vDEVICE itself, and then the id is spent.
 * DESTROY on it returns ENOENT, and no object of the context is ever given that
 * id again.
 *
 * Returns ENOENT when one of the ids is not of the right kind, EEXIST when the
 * device or the @virt_id is taken, EINVAL when the device sits behind another
 * IOMMU or the number is out of range.
 */
struct iommu_vdevice_alloc {
	__u32 size;
	__u32 viommu_id;
	__u32 dev_id;
	__u32 out_vdevice_id;
	__aligned_u64 virt_id;
};

#define IOMMU_VDEVICE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VDEVICE_ALLOC)

/**
 * struct iommu_ioas_change_process - IOMMU_IOAS_CHANGE_PROCESS: take over the
 *                                    accounting of pinned memory
 * @size: bytes of this structure
 * @__reserved: zero
 *
 * From now on the calling process is charged for all memory that the context
 * has pinned, and its predecessor is not: the step in a live update after a new
 * process has inherited the file descriptor. Devices notice nothing.
 *
 * It works when every mapping is of a file (IOMMU_IOAS_MAP_FILE), otherwise it
 * returns EINVAL: user memory is tied to the process that it belongs to. ENOMEM
 * when the caller's own limit is too low. A failure moves no charge.
 */
struct iommu_ioas_change_process {
	__u32 size;
	__u32 __reserved;
};

#define IOMMU_IOAS_CHANGE_PROCESS \
	_IO(IOMMUFD_TYPE, IOMMUFD_CMD_IOAS_CHANGE_PROCESS)

/**
 * enum iommu_veventq_flag - about one entry of a vEVENTQ
 * @IOMMU_VEVENTQ_FLAG_LOST_EVENTS: events were lost here and the header stands
 *                                  alone, without data
 */
enum iommu_veventq_flag {
	IOMMU_VEVENTQ_FLAG_LOST_EVENTS = (1U << 0),
};

/**
 * struct iommufd_vevent_header - what precedes each event of a vEVENTQ
 * @flags: bits of enum iommu_veventq_flag
 * @sequence: number of the event, counting up from 0 to INT_MAX and then from 0
 *
 * Events that find the queue full are dropped, but numbered like the others. A
 * reader thus sees a loss as a gap: with two events lost behind number 3 ::
 *
 *   header 3 | data | header 6 | data | header 7 | data
 *
 * A gap shows only when an event follows. As long as none does, the queue ends
 * in a header with IOMMU_VEVENTQ_FLAG_LOST_EVENTS, which no data follows ::
 *
 *   header 3 | data | header 4, lost
 */
struct iommufd_vevent_header {
	__u32 flags;
	__u32 sequence;
};

/**
 * enum iommu_veventq_type - which events a vEVENTQ delivers
 * @IOMMU_VEVENTQ_TYPE_DEFAULT: none; not a type that can be allocated
 * @IOMMU_VEVENTQ_TYPE_ARM_SMMUV3: struct iommu_vevent_arm_smmuv3
 * @IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV: struct iommu_vevent_tegra241_cmdqv
 */
enum iommu_veventq_type {
	IOMMU_VEVENTQ_TYPE_DEFAULT = 0,
	IOMMU_VEVENTQ_TYPE_ARM_SMMUV3 = 1,
	IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV = 2,
};

/**
 * struct iommu_vevent_arm_smmuv3 - an event of an SMMUv3 for its guest
 * @evt: the event record of 32 bytes, little-endian, with the guest's stream id
 *       in place of the real one
 *
 * Chapter 7.3 of the architecture has the layout. These numbers occur:
 *
 * ==== ==================  ==== ============
 * 0x04 C_BAD_STE           0x10 F_TRANSLATION
 * 0x06 F_STREAM_DISABLED   0x11 F_ADDR_SIZE
 * 0x08 C_BAD_SUBSTREAMID   0x12 F_ACCESS
 * 0x0a C_BAD_CD            0x13 F_PERMISSION
 * ==== ==================  ==== ============
 *
 * A device without a vDEVICE has no stream id in the guest, hence no events.
 */
struct iommu_vevent_arm_smmuv3 {
	__aligned_le64 evt[4];
};

/**
 * struct iommu_vevent_tegra241_cmdqv - an error interrupt of a virtual interface
 * @lvcmdq_err_map: the registers LVCMDQ_ERR_MAP of the interface (VINTF): a bit
 *                  for each of its 128 queues, little-endian, as read from the
 *                  hardware
 */
struct iommu_vevent_tegra241_cmdqv {
	__aligned_le64 lvcmdq_err_map[2];
};

/**
 * struct iommu_veventq_alloc - IOMMU_VEVENTQ_ALLOC: receive events of a vIOMMU
 * @size: bytes of this structure
 * @flags: zero
 * @viommu_id: the vIOMMU whose events are wanted
 * @type: a value of enum iommu_veventq_type
 * @veventq_depth: how many events the kernel keeps while nobody reads, 1 to
 *                 2^19
 * @out_veventq_id: receives the id of the queue
 * @out_veventq_fd: receives its file, which is the caller's to close
 * @__reserved: zero
 *
 * Reading the file yields entries, each a struct iommufd_vevent_header with the
 * data of the queue's type behind it. An entry comes whole or not at all: EINVAL
 * if the buffer is too small for the next. The file can be polled.
 *
 * Returns EEXIST when the vIOMMU has a queue of this type, EINVAL for a depth
 * out of bounds, EOPNOTSUPP for a type that is unknown.
 */
struct iommu_veventq_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 veventq_depth;
	__u32 out_veventq_id;
	__u32 out_veventq_fd;
	__u32 __reserved;
};

#define IOMMU_VEVENTQ_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_VEVENTQ_ALLOC)

/**
 * enum iommu_hw_queue_type - which queue the hardware serves for a guest
 * @IOMMU_HW_QUEUE_TYPE_DEFAULT: none; not a type that can be allocated
 * @IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV: a virtual command queue (VCMDQ) of
 *    NVIDIA's CMDQ-Virtualization. Indexes are allocated from 0 upwards without
 *    a gap, and given back in the opposite order. The length is a power of two
 *    from 32 bytes to 16 << CMDQS, where CMDQS is a field of idr[1] in struct
 *    iommu_hw_info_arm_smmuv3, and the address is a multiple of the length. The
 *    hardware needs the queue in one piece of physical memory: back it with one
 *    huge page, and let the guest's IDR1.CMDQS say no more than fits there (at
 *    16 bytes an entry).
 */
enum iommu_hw_queue_type {
	IOMMU_HW_QUEUE_TYPE_DEFAULT = 0,
	IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV = 1,
};

/**
 * struct iommu_hw_queue_alloc - IOMMU_HW_QUEUE_ALLOC: let hardware serve a queue
 *                               in guest memory
 * @size: bytes of this structure
 * @flags: zero
 * @viommu_id: the vIOMMU of the guest
 * @type: a value of enum iommu_hw_queue_type
 * @index: which of the queues of this type it is, as the guest counts them
 * @out_hw_queue_id: receives the id of the queue
 * @nesting_parent_iova: where the queue begins in guest physical memory, that
 *                       is, in the IOAS of the vIOMMU's nesting parent
 * @length: bytes of the queue, not zero
 *
 * The memory has to be mapped and stays occupied as long as the queue exists:
 * IOMMU_IOAS_UNMAP returns EBUSY for a range that contains part of it.
 *
 * Returns EOPNOTSUPP for a type that the vIOMMU does not have, EINVAL for a
 * length or an index which the hardware cannot take, EOVERFLOW when the range
 * wraps, ENOENT when part of it is not mapped, EFAULT when it is not contiguous
 * in physical memory though the hardware needs it so, EEXIST when the index is
 * taken, EIO when another index is due first.
 */
struct iommu_hw_queue_alloc {
	__u32 size;
	__u32 flags;
	__u32 viommu_id;
	__u32 type;
	__u32 index;
	__u32 out_hw_queue_id;
	__aligned_u64 nesting_parent_iova;
	__aligned_u64 length;
};

#define IOMMU_HW_QUEUE_ALLOC _IO(IOMMUFD_TYPE, IOMMUFD_CMD_HW_QUEUE_ALLOC)
#endif
