/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What iommufd offers to the rest of the kernel, as Linux 7.2 declares it.
 * Declarations: Copyright (C) 2021 Intel Corporation
 * Declarations: Copyright (c) 2021-2022, NVIDIA CORPORATION & AFFILIATES
 */
#ifndef __LINUX_IOMMUFD_H
#define __LINUX_IOMMUFD_H

#include <linux/err.h>
#include <linux/errno.h>
#include <linux/iommu.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>

struct device;
struct file;
struct iommu_group;
struct iommu_user_data;
struct iommu_user_data_array;
struct iommufd_access;
struct iommufd_ctx;
struct iommufd_device;
struct iommufd_viommu_ops;
struct page;

/**
 * DOC: Who calls what
 *
 * There are three kinds of callers, each with its part of this header.
 *
 * *Drivers that hand a physical device to user space* (VFIO) hold a context,
 * bind the device to it, and pass on the user's wish which page table it should
 * use: struct iommufd_ctx and struct iommufd_device. Bind, attach, detach,
 * unbind nest in this order, and the driver serialises its calls for a device.
 *
 * *Drivers that emulate a device* (mdev) reach the memory of an IOAS from
 * software: struct iommufd_access.
 *
 * *IOMMU drivers* embed struct iommufd_viommu, struct iommufd_vdevice and struct
 * iommufd_hw_queue as first member in structures of their own. iommufd allocates
 * and frees these, and calls the driver through struct iommufd_viommu_ops.
 *
 * Symbols are exported in the namespace IOMMUFD, those named iommufd_vfio_* in
 * IOMMUFD_VFIO.
 */

/**
 * enum iommufd_object_type - what an id in a context stands for
 * @IOMMUFD_OBJ_NONE: nothing
 * @IOMMUFD_OBJ_ANY: in a lookup, any of the types below
 * @IOMMUFD_OBJ_DEVICE: a bound device
 * @IOMMUFD_OBJ_HWPT_PAGING: a page table that the kernel fills
 * @IOMMUFD_OBJ_HWPT_NESTED: a page table that a guest fills
 * @IOMMUFD_OBJ_IOAS: an I/O address space
 * @IOMMUFD_OBJ_ACCESS: a kernel user of an IOAS
 * @IOMMUFD_OBJ_FAULT: a queue of page faults
 * @IOMMUFD_OBJ_VIOMMU: a guest's slice of an IOMMU
 * @IOMMUFD_OBJ_VDEVICE: a device as a guest knows it
 * @IOMMUFD_OBJ_VEVENTQ: a queue of events of a vIOMMU
 * @IOMMUFD_OBJ_HW_QUEUE: a queue in guest memory that hardware serves
 * @IOMMUFD_OBJ_SELFTEST: a mock device (CONFIG_IOMMUFD_TEST)
 * @IOMMUFD_OBJ_MAX: one more than the highest type
 */
enum iommufd_object_type {
	IOMMUFD_OBJ_NONE,
	IOMMUFD_OBJ_ANY = IOMMUFD_OBJ_NONE,
	IOMMUFD_OBJ_DEVICE,
	IOMMUFD_OBJ_HWPT_PAGING,
	IOMMUFD_OBJ_HWPT_NESTED,
	IOMMUFD_OBJ_IOAS,
	IOMMUFD_OBJ_ACCESS,
	IOMMUFD_OBJ_FAULT,
	IOMMUFD_OBJ_VIOMMU,
	IOMMUFD_OBJ_VDEVICE,
	IOMMUFD_OBJ_VEVENTQ,
	IOMMUFD_OBJ_HW_QUEUE,
#ifdef CONFIG_IOMMUFD_TEST
	IOMMUFD_OBJ_SELFTEST,
#endif
	IOMMUFD_OBJ_MAX,
};

/**
 * struct iommufd_object - what everything with an id begins with
 * @refs: the state of the object, how many commands hold it, and how many other
 *        objects use it, in one word that only object.c reads or writes
 * @type: what the object is; constant
 * @id: its number in the context; constant once given
 *
 * Drivers see it as a member of their own structures and leave it alone.
 */
struct iommufd_object {
	atomic_long_t refs;
	enum iommufd_object_type type;
	unsigned int id;
};

/**
 * iommufd_device_bind - put a physical device under the control of a context
 * @ictx: the context, which the caller holds; the device holds it from now on
 * @dev: the device; a driver that user space can drive is bound to it
 * @id: receives the id by which user space names the device
 *
 * Takes DMA ownership of the whole IOMMU group of @dev, so that no kernel driver
 * does DMA through any device in it. Until a page table is attached all DMA is
 * blocked.
 *
 * Context: May sleep. The caller serialises what it does with one device.
 * Return: The device, to be given to iommufd_device_unbind(), or an ERR_PTR():
 * %-ENODEV without an IOMMU, %-EBUSY when the group belongs to somebody else,
 * %-EINVAL when the IOMMU cannot be handed to user space, because its DMA would
 * not be cache coherent, %-EPERM when the platform cannot isolate interrupts and
 * unsafe ones are not allowed, %-ENOMEM.
 */
struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx,
					   struct device *dev, u32 *id);

/**
 * iommufd_device_unbind - take a device back
 * @idev: the device, with nothing attached; invalid afterwards
 *
 * Ends the id. A vDEVICE that user space has left behind ends as well. Commands
 * that are at work on the device at this moment are waited for.
 *
 * Context: May sleep. Cannot fail, touches no user memory.
 */
void iommufd_device_unbind(struct iommufd_device *idev);

/**
 * iommufd_device_attach - let a device translate with a page table
 * @idev: the device, with nothing attached for @pasid
 * @pasid: the PASID concerned, IOMMU_NO_PASID for requests without one
 * @pt_id: in: id of an IOAS or a HWPT; out: id of the HWPT that is in use, which
 *         for an IOAS is an automatic one. Written on success only.
 *
 * Returns with the device's reserved ranges enforced on the IOAS and DMA going
 * through the page table. The devices of one IOMMU group share it: all but the
 * first to attach have to ask for the same.
 *
 * Context: May sleep, and pins memory when it has to make the page table.
 * Return: 0, or %-ENOENT for an unknown id, %-EINVAL for an object of another
 * kind, for a page table that does not fit the device or differs from that of
 * the group, and when something is attached already, which for a @pasid is
 * %-EBUSY; %-EADDRINUSE when the
 * reserved ranges collide with mappings or allowed ranges, %-EFAULT, %-ENOMEM,
 * or what the IOMMU driver returns.
 */
int iommufd_device_attach(struct iommufd_device *idev, ioasid_t pasid,
			  u32 *pt_id);

/**
 * iommufd_device_replace - change the page table of an attached device
 * @idev: the device, with something attached for @pasid
 * @pasid: as for iommufd_device_attach()
 * @pt_id: as for iommufd_device_attach()
 *
 * Moves all attached devices of the group at once. If old and new table map an
 * IOVA alike, DMA to it goes on undisturbed where the hardware is able to switch
 * without a gap. After an error the old page table is in place.
 *
 * Context: As iommufd_device_attach().
 * Return: As iommufd_device_attach(), and %-EINVAL if nothing is attached.
 */
int iommufd_device_replace(struct iommufd_device *idev, ioasid_t pasid,
			   u32 *pt_id);

/**
 * iommufd_device_detach - block the DMA of a device
 * @idev: the device, with something attached for @pasid
 * @pasid: as for iommufd_device_attach()
 *
 * Page faults that wait for an answer are answered as invalid. The group blocks
 * with its last device; its reserved ranges go with each one.
 *
 * Context: May sleep. Cannot fail.
 */
void iommufd_device_detach(struct iommufd_device *idev, ioasid_t pasid);

/**
 * iommufd_device_to_ictx - which context a device is bound to
 * @idev: the device
 *
 * Context: Any.
 * Return: The context, held by the device and not once more for the caller.
 */
struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev);

/**
 * iommufd_device_to_id - by which id user space names a device
 * @idev: the device
 *
 * Context: Any.
 * Return: The id.
 */
u32 iommufd_device_to_id(struct iommufd_device *idev);

/**
 * struct iommufd_access_ops - what a kernel user of an IOAS provides
 * @needs_pin_pages: it is going to call iommufd_access_pin_pages(), so addresses
 *                   in the IOAS have to be aligned to PAGE_SIZE
 * @unmap: mappings in @length bytes from @iova are going away: stop using pages
 *         of the range and unpin them, the pins that other threads of the user
 *         make at this moment included. Unmapping waits for it and cannot be
 *         refused. May sleep, but must not call anything that maps or unmaps
 *         in the same IOAS. Receives the @data of iommufd_access_create().
 */
struct iommufd_access_ops {
	u8 needs_pin_pages : 1;
	void (*unmap)(void *data, unsigned long iova, unsigned long length);
};

/*
 * Flags of iommufd_access_pin_pages() and iommufd_access_rw(). READ is only a
 * name for the absence of WRITE. KTHREAD says that the caller has no mm of its
 * own, so the one that the memory belongs to is borrowed. SLOW_PATH is for the
 * selftests, which use it to go through pinned pages in any case.
 */
enum {
	IOMMUFD_ACCESS_RW_READ = 0,
	IOMMUFD_ACCESS_RW_WRITE = 1 << 0,
	IOMMUFD_ACCESS_RW_KTHREAD = 1 << 1,
	__IOMMUFD_ACCESS_RW_SLOW_PATH = 1 << 2,
};

/**
 * iommufd_access_create - become a kernel user of a context
 * @ictx: the context, which the caller holds; the access holds it from now on
 * @ops: what to call, kept until iommufd_access_destroy()
 * @data: passed to @ops
 * @id: receives an id for user space
 *
 * Context: May sleep.
 * Return: The access, not attached to an IOAS, or an ERR_PTR(): %-ENOMEM.
 */
struct iommufd_access *
iommufd_access_create(struct iommufd_ctx *ictx,
		      const struct iommufd_access_ops *ops, void *data, u32 *id);

/**
 * iommufd_access_destroy - stop being a kernel user
 * @access: the access; detached if it is not yet; invalid afterwards
 *
 * Context: May sleep. Cannot fail. The unmap operation can be called until this
 * returns, so the caller holds no lock that it takes.
 */
void iommufd_access_destroy(struct iommufd_access *access);

/**
 * iommufd_access_attach - choose the IOAS that an access reaches
 * @access: the access, not attached
 * @ioas_id: id of the IOAS
 *
 * Context: May sleep.
 * Return: 0, %-ENOENT for an id that is not of an IOAS, %-EINVAL when attached
 * already, %-EADDRINUSE when the access needs alignment that a mapping lacks,
 * %-ENOMEM.
 */
int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id);

/**
 * iommufd_access_replace - choose another IOAS
 * @access: the access, attached
 * @ioas_id: id of the new IOAS
 *
 * The user is called to let go of the whole old IOAS, and may then already pin
 * in the new one. An error leaves the old one attached.
 *
 * Context: As iommufd_access_destroy().
 * Return: As iommufd_access_attach(), with %-ENOENT when not attached.
 */
int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id);

/**
 * iommufd_access_detach - leave the IOAS
 * @access: the access, attached
 *
 * The user is called to let go of the whole IOAS first.
 *
 * Context: As iommufd_access_destroy(). Cannot fail.
 */
void iommufd_access_detach(struct iommufd_access *access);

/**
 * iommufd_ctx_get - hold a context once more
 * @ictx: a context that is held already
 *
 * Context: Any. Given back by iommufd_ctx_put().
 */
void iommufd_ctx_get(struct iommufd_ctx *ictx);

/**
 * struct iommufd_viommu - a guest's slice of an IOMMU, the part of the core
 * @obj: id and references; first member
 * @ictx: the context
 * @iommu_dev: the physical IOMMU
 * @hwpt: the nesting parent, in use until the vIOMMU ends
 * @ops: set by the driver in its viommu_init operation
 * @vdevs: the vDEVICEs by their virtual id, guarded by its xa_lock, which a
 *         driver may take around iommufd_viommu_find_dev()
 * @veventqs: the event queues, guarded by @veventqs_rwsem
 * @veventqs_rwsem: written to add and remove queues, read to deliver events
 * @type: as user space asked for it
 *
 * Fields without a lock are constant after the viommu_init operation.
 */
struct iommufd_viommu {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct iommu_device *iommu_dev;
	struct iommufd_hwpt_paging *hwpt;

	const struct iommufd_viommu_ops *ops;

	struct xarray vdevs;
	struct list_head veventqs;
	struct rw_semaphore veventqs_rwsem;

	enum iommu_viommu_type type;
};

/**
 * struct iommufd_vdevice - a device as a guest knows it, the part of the core
 * @obj: id and references; first member
 * @viommu: the vIOMMU that the guest sees it behind
 * @idev: the physical device
 * @virt_id: the guest's number for it: stream id, requester id or device id,
 *           whatever its IOMMU driver calls it
 * @destroy: set by the driver in vdevice_init if there is something to undo;
 *           called before the memory is freed
 */
struct iommufd_vdevice {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	struct iommufd_device *idev;

	u64 virt_id;

	void (*destroy)(struct iommufd_vdevice *vdev);
};

/**
 * struct iommufd_hw_queue - a queue in guest memory, the part of the core
 * @obj: id and references; first member
 * @viommu: the vIOMMU that it belongs to
 * @access: what keeps the memory of the queue where it is
 * @base_addr: where the queue begins in guest physical memory
 * @length: bytes of the queue
 * @type: as user space asked for it
 * @destroy: set by the driver in hw_queue_init_phys if there is something to
 *           undo; called while the memory is still in place
 */
struct iommufd_hw_queue {
	struct iommufd_object obj;
	struct iommufd_viommu *viommu;
	struct iommufd_access *access;

	u64 base_addr;
	size_t length;

	enum iommu_hw_queue_type type;

	void (*destroy)(struct iommufd_hw_queue *hw_queue);
};

/**
 * struct iommufd_viommu_ops - what an IOMMU driver does for a vIOMMU
 * @destroy: undo the viommu_init operation, if there is something to undo. The
 *           core frees the memory.
 * @alloc_domain_nested: make an IOMMU_DOMAIN_NESTED on top of the vIOMMU's
 *           parent, from @user_data as the user interface defines it for its
 *           type. Returns the domain, ready to be attached, or an ERR_PTR().
 *           @flags are those of enum iommufd_hwpt_alloc_flags that the core has
 *           not dealt with.
 * @cache_invalidate: carry out the guest's invalidations in @array, in order.
 *           Always sets array->entry_num to how many were carried out, and
 *           returns 0 only if it was all of them.
 * @vdevice_size: VDEVICE_STRUCT_SIZE() of the driver's structure; zero if it has
 *           none beyond struct iommufd_vdevice
 * @vdevice_init: prepare for the new vDEVICE, all of whose core fields are set.
 *           Not yet visible to lookups. Returns 0 or an errno; sets
 *           vdev->destroy if there will be something to undo.
 * @get_hw_queue_size: HW_QUEUE_STRUCT_SIZE() of the driver's structure for this
 *           type of queue, or 0 if it does not have such queues
 * @hw_queue_init_phys: set up queue number @index, whose core fields are set and
 *           whose memory lies in one piece at @base_addr_pa, where it stays
 *           until the queue is destroyed. Returns 0 or an errno; sets
 *           hw_queue->destroy if there will be something to undo. A driver
 *           provides it when its hardware takes physical addresses.
 *
 * All operations but @vdevice_size are called in process context and may sleep.
 * Those a driver leaves out make the matching command return -EOPNOTSUPP.
 */
struct iommufd_viommu_ops {
	void (*destroy)(struct iommufd_viommu *viommu);
	struct iommu_domain *(*alloc_domain_nested)(
		struct iommufd_viommu *viommu, u32 flags,
		const struct iommu_user_data *user_data);
	int (*cache_invalidate)(struct iommufd_viommu *viommu,
				struct iommu_user_data_array *array);
	const size_t vdevice_size;
	int (*vdevice_init)(struct iommufd_vdevice *vdev);
	size_t (*get_hw_queue_size)(struct iommufd_viommu *viommu,
				    enum iommu_hw_queue_type queue_type);
	int (*hw_queue_init_phys)(struct iommufd_hw_queue *hw_queue, u32 index,
				  phys_addr_t base_addr_pa);
};

#if IS_ENABLED(CONFIG_IOMMUFD)
/**
 * iommufd_ctx_from_file - find the context of an open file
 * @file: any file
 *
 * Context: Any.
 * Return: The context, held for the caller, who gives it back with
 * iommufd_ctx_put(), or ERR_PTR(%-EBADFD) if the file is not of /dev/iommu.
 */
struct iommufd_ctx *iommufd_ctx_from_file(struct file *file);

/**
 * iommufd_ctx_from_fd - find the context of a file descriptor
 * @fd: a descriptor of the current process
 *
 * Context: Process.
 * Return: As iommufd_ctx_from_file(), and ERR_PTR(%-EBADF) if nothing is open
 * there.
 */
struct iommufd_ctx *iommufd_ctx_from_fd(int fd);

/**
 * iommufd_ctx_put - give a context back
 * @ictx: the context, which the caller must not use any more
 *
 * Context: Process, since the last one ends the context.
 */
void iommufd_ctx_put(struct iommufd_ctx *ictx);

/**
 * iommufd_ctx_has_group - is some device of a group bound to a context?
 * @ictx: the context
 * @group: the IOMMU group
 *
 * Once true it stays true for as long as the caller keeps a device bound.
 *
 * Context: May sleep.
 * Return: true if so.
 */
bool iommufd_ctx_has_group(struct iommufd_ctx *ictx, struct iommu_group *group);

/**
 * iommufd_access_pin_pages - get at the pages behind an IOVA
 * @access: the access, attached, made with needs_pin_pages
 * @iova: where to begin
 * @length: bytes, not zero
 * @out_pages: receives a page for each PAGE_SIZE of IOVA that the range touches,
 *             beginning with the one that @iova lies in
 * @flags: IOMMUFD_ACCESS_RW_WRITE if the pages will be written
 *
 * The pages stay until iommufd_access_unpin_pages(), which the unmap operation
 * of the access has to call at the latest.
 *
 * Context: May sleep, and faults user pages in.
 * Return: 0, %-ENOENT when not attached or part of the range is not mapped,
 * %-EPERM when it must not be written, %-EINVAL for a range that is misaligned
 * against its memory or for flags, %-EOVERFLOW when the range wraps, %-EFAULT,
 * %-ENOMEM. After an error nothing is pinned.
 */
int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **out_pages,
			     unsigned int flags);

/**
 * iommufd_access_unpin_pages - give pages back
 * @access: the access
 * @iova: as it was given to iommufd_access_pin_pages()
 * @length: likewise; a range is given back as it was taken, whole
 *
 * Context: May sleep. Cannot fail.
 */
void iommufd_access_unpin_pages(struct iommufd_access *access,
				unsigned long iova, unsigned long length);

/**
 * iommufd_access_rw - copy from or to the memory behind an IOVA
 * @access: the access, attached
 * @iova: where to begin
 * @data: kernel memory
 * @len: bytes, not zero
 * @flags: direction, and IOMMUFD_ACCESS_RW_KTHREAD in a thread without an mm
 *
 * Context: May sleep, and faults user pages in. Not from the unmap operation.
 * Return: 0 when all of it was copied, or the errors of
 * iommufd_access_pin_pages(); part may have been copied then.
 */
int iommufd_access_rw(struct iommufd_access *access, unsigned long iova,
		      void *data, size_t len, unsigned int flags);

/**
 * iommufd_vfio_compat_ioas_get_id - which IOAS VFIO's own ioctls work on
 * @ictx: the context
 * @out_ioas_id: receives its id
 *
 * Context: May sleep.
 * Return: 0, or %-ENODEV if there is none.
 */
int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *out_ioas_id);

/**
 * iommufd_vfio_compat_ioas_create - see to it that VFIO's own ioctls have an IOAS
 * @ictx: the context
 *
 * Makes one unless there is one. It stays until user space destroys it.
 *
 * Context: May sleep.
 * Return: 0, %-ENOMEM, or %-EINVAL for a context that runs without an IOMMU.
 */
int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx);

/**
 * iommufd_vfio_compat_set_no_iommu - use a context for VFIO without an IOMMU
 * @ictx: the context
 *
 * Type1 ioctls then behave as VFIO's no-IOMMU mode does.
 *
 * Context: May sleep.
 * Return: 0, or %-EINVAL if the context has an IOAS for VFIO.
 */
int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx);
#else /* !CONFIG_IOMMUFD */
static inline struct iommufd_ctx *iommufd_ctx_from_file(struct file *file)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
}

static inline int iommufd_access_pin_pages(struct iommufd_access *access,
					   unsigned long iova,
					   unsigned long length,
					   struct page **out_pages,
					   unsigned int flags)
{
	return -EOPNOTSUPP;
}

static inline void iommufd_access_unpin_pages(struct iommufd_access *access,
					      unsigned long iova,
					      unsigned long length)
{
}

static inline int iommufd_access_rw(struct iommufd_access *access,
				    unsigned long iova, void *data, size_t len,
				    unsigned int flags)
{
	return -EOPNOTSUPP;
}

static inline int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	return -EOPNOTSUPP;
}

static inline int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx)
{
	return -EOPNOTSUPP;
}
#endif /* CONFIG_IOMMUFD */

#if IS_ENABLED(CONFIG_IOMMUFD_DRIVER_CORE)
int _iommufd_object_depend(struct iommufd_object *obj_dependent,
			   struct iommufd_object *obj_depended);
void _iommufd_object_undepend(struct iommufd_object *obj_dependent,
			      struct iommufd_object *obj_depended);
int _iommufd_alloc_mmap(struct iommufd_ctx *ictx, struct iommufd_object *owner,
			phys_addr_t mmio_addr, size_t length,
			unsigned long *offset);
void _iommufd_destroy_mmap(struct iommufd_ctx *ictx,
			   struct iommufd_object *owner, unsigned long offset);

/**
 * iommufd_vdevice_to_device - which physical device a vDEVICE is
 * @vdev: the vDEVICE
 *
 * Context: Any, as long as the vDEVICE lives.
 * Return: The device, not held for the caller.
 */
struct device *iommufd_vdevice_to_device(struct iommufd_vdevice *vdev);

/**
 * iommufd_viommu_find_dev - which physical device has a number in the guest
 * @viommu: the vIOMMU
 * @vdev_id: the number
 *
 * Context: The caller holds the xa_lock of viommu->vdevs, and uses the result
 * only while it does.
 * Return: The device, or NULL if no vDEVICE has this number.
 */
struct device *iommufd_viommu_find_dev(struct iommufd_viommu *viommu,
				       unsigned long vdev_id);

/**
 * iommufd_viommu_get_vdev_id - which number a physical device has in the guest
 * @viommu: the vIOMMU
 * @dev: the device
 * @vdev_id: receives the number
 *
 * Context: Takes the xa_lock of viommu->vdevs.
 * Return: 0, or %-ENOENT if the device has no vDEVICE on this vIOMMU.
 */
int iommufd_viommu_get_vdev_id(struct iommufd_viommu *viommu,
			       struct device *dev, unsigned long *vdev_id);

/**
 * iommufd_viommu_report_event - deliver an event to a guest
 * @viommu: the vIOMMU
 * @type: which queue of the vIOMMU it is for
 * @event_data: the structure of that type as user space is to read it
 * @data_len: its bytes, not zero
 *
 * An event that finds the queue full is dropped and the reader told so.
 *
 * Context: May sleep; made for threaded interrupt handlers.
 * Return: 0, also for an event dropped since the queue is full, %-EOPNOTSUPP if
 * user space has made no queue of this type, %-EINVAL for an event without data,
 * %-ENOMEM if it was dropped for want of memory.
 */
int iommufd_viommu_report_event(struct iommufd_viommu *viommu,
				enum iommu_veventq_type type, void *event_data,
				size_t data_len);
#else /* !CONFIG_IOMMUFD_DRIVER_CORE */
static inline int _iommufd_object_depend(struct iommufd_object *obj_dependent,
					 struct iommufd_object *obj_depended)
{
	return -EOPNOTSUPP;
}

static inline void
_iommufd_object_undepend(struct iommufd_object *obj_dependent,
			 struct iommufd_object *obj_depended)
{
}

static inline int _iommufd_alloc_mmap(struct iommufd_ctx *ictx,
				      struct iommufd_object *owner,
				      phys_addr_t mmio_addr, size_t length,
				      unsigned long *offset)
{
	return -EOPNOTSUPP;
}

static inline void _iommufd_destroy_mmap(struct iommufd_ctx *ictx,
					 struct iommufd_object *owner,
					 unsigned long offset)
{
}

static inline struct device *
iommufd_vdevice_to_device(struct iommufd_vdevice *vdev)
{
	return NULL;
}

static inline struct device *
iommufd_viommu_find_dev(struct iommufd_viommu *viommu, unsigned long vdev_id)
{
	return NULL;
}

static inline int iommufd_viommu_get_vdev_id(struct iommufd_viommu *viommu,
					     struct device *dev,
					     unsigned long *vdev_id)
{
	return -ENOENT;
}

static inline int iommufd_viommu_report_event(struct iommufd_viommu *viommu,
					      enum iommu_veventq_type type,
					      void *event_data, size_t data_len)
{
	return -EOPNOTSUPP;
}
#endif /* CONFIG_IOMMUFD_DRIVER_CORE */

/**
 * VIOMMU_STRUCT_SIZE() - size of a driver's structure around a vIOMMU
 * @drv_struct: type of the structure
 * @member: name of its struct iommufd_viommu, which has to come first
 *
 * For the get_viommu_size operation. Does not compile if @member is elsewhere or
 * of another type.
 */
#define VIOMMU_STRUCT_SIZE(drv_struct, member)                                 \
	(sizeof(drv_struct) +                                                  \
	 BUILD_BUG_ON_ZERO(offsetof(drv_struct, member)) +                     \
	 BUILD_BUG_ON_ZERO(!__same_type(struct iommufd_viommu,                 \
					((drv_struct *)NULL)->member)))

/**
 * VDEVICE_STRUCT_SIZE() - size of a driver's structure around a vDEVICE
 * @drv_struct: type of the structure
 * @member: name of its struct iommufd_vdevice, which has to come first
 */
#define VDEVICE_STRUCT_SIZE(drv_struct, member)                                \
	(sizeof(drv_struct) +                                                  \
	 BUILD_BUG_ON_ZERO(offsetof(drv_struct, member)) +                     \
	 BUILD_BUG_ON_ZERO(!__same_type(struct iommufd_vdevice,                \
					((drv_struct *)NULL)->member)))

/**
 * HW_QUEUE_STRUCT_SIZE() - size of a driver's structure around a hardware queue
 * @drv_struct: type of the structure
 * @member: name of its struct iommufd_hw_queue, which has to come first
 */
#define HW_QUEUE_STRUCT_SIZE(drv_struct, member)                               \
	(sizeof(drv_struct) +                                                  \
	 BUILD_BUG_ON_ZERO(offsetof(drv_struct, member)) +                     \
	 BUILD_BUG_ON_ZERO(!__same_type(struct iommufd_hw_queue,               \
					((drv_struct *)NULL)->member)))

/**
 * iommufd_hw_queue_depend() - let one queue keep another from being destroyed
 * @dependent: the driver's structure of the queue that needs the other
 * @depended: that of the queue which is needed, of the same type, on the same
 *            vIOMMU
 * @member: name of the struct iommufd_hw_queue in both
 *
 * For hardware that gives queues back in a fixed order. DESTROY of the needed
 * queue returns -EBUSY until iommufd_hw_queue_undepend().
 *
 * Context: From hw_queue_init_phys, for the queue being set up.
 * Return: 0, -EINVAL for queues of two vIOMMUs, -ENOENT when the needed queue is
 * about to end.
 */
#define iommufd_hw_queue_depend(dependent, depended, member)                   \
	({                                                                     \
		int ret = -EINVAL;                                             \
									       \
		static_assert(__same_type(struct iommufd_hw_queue,             \
					  dependent->member));                 \
		static_assert(__same_type(typeof(*dependent), *depended));     \
		if (!WARN_ON_ONCE(dependent->member.viommu !=                  \
				  depended->member.viommu))                    \
			ret = _iommufd_object_depend(&dependent->member.obj,   \
						     &depended->member.obj);   \
		ret;                                                           \
	})

/**
 * iommufd_hw_queue_undepend() - undo iommufd_hw_queue_depend()
 * @dependent: as there
 * @depended: as there
 * @member: as there
 *
 * Context: From hw_queue_init_phys that fails, or the destroy operation of the
 * queue.
 */
#define iommufd_hw_queue_undepend(dependent, depended, member)                 \
	({                                                                     \
		static_assert(__same_type(struct iommufd_hw_queue,             \
					  dependent->member));                 \
		static_assert(__same_type(typeof(*dependent), *depended));     \
		WARN_ON_ONCE(dependent->member.viommu !=                       \
			     depended->member.viommu);                         \
		_iommufd_object_undepend(&dependent->member.obj,               \
					 &depended->member.obj);               \
	})

/**
 * iommufd_viommu_alloc_mmap - let user space map registers of a vIOMMU
 * @viommu: the vIOMMU, which cannot be destroyed while they are mapped
 * @mmio_addr: physical address of the registers, aligned to a page
 * @length: bytes, a multiple of the page size
 * @offset: receives what user space passes to mmap() of /dev/iommu
 *
 * Nothing else in the page is reachable, since only exactly this range can be
 * mapped. The driver tells user space about @offset and @length through the
 * data of its own type, see struct iommu_viommu_tegra241_cmdqv.
 *
 * Context: May sleep. From the viommu_init operation.
 * Return: 0, %-EINVAL for a misaligned range, %-ENOMEM.
 */
static inline int iommufd_viommu_alloc_mmap(struct iommufd_viommu *viommu,
					    phys_addr_t mmio_addr,
					    size_t length,
					    unsigned long *offset)
{
	return _iommufd_alloc_mmap(viommu->ictx, &viommu->obj, mmio_addr,
				   length, offset);
}

/**
 * iommufd_viommu_destroy_mmap - undo iommufd_viommu_alloc_mmap()
 * @viommu: the vIOMMU
 * @offset: what it received
 *
 * Context: May sleep. From viommu_init that fails, or the destroy operation.
 */
static inline void iommufd_viommu_destroy_mmap(struct iommufd_viommu *viommu,
					       unsigned long offset)
{
	_iommufd_destroy_mmap(viommu->ictx, &viommu->obj, offset);
}
#endif
