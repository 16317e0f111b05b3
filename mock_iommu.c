// SPDX-License-Identifier: GPL-2.0-only
/*
 * An IOMMU that exists in software only, and devices behind it.
 *
 * DOC: the mock IOMMU
 *
 * The driver is an ordinary one: it registers with the IOMMU core, for a bus
 * of its own, and iommufd does not know the difference. Its page tables are
 * those of the generic page table in the AMDv1 format, with a smallest page of
 * half a CPU page, so that tests see what happens when the two differ.
 *
 * Who makes a device chooses its group: one of its own, or one that is named
 * by a number and shared. What a real device would only do when something is
 * wrong, a mock device does on demand: it refuses an attach, it misses a page.
 * Everything that tests want to know is kept where the driver learns of it:
 * what a device is attached to and what it was answered, how often a domain was
 * mapped, unmapped and synced.
 *
 * A device is added under mock_devices_lock, and with it its group is chosen;
 * one that leaves is taken off the list first, so that no group is joined that
 * is about to be empty.
 */
#include <linux/device/bus.h>
#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/property.h>
#include <linux/slab.h>

#include "../iommu-pages.h"
#include "selftest.h"

/* No test has more; the core's part of a device is charged to nobody. */
#define MOCK_DEVICES_MAX 4096

/* A region that a device reserves. */
struct mock_reserved {
	struct list_head node;
	struct iova_range range;
	enum iommu_resv_type type;
};

static const struct bus_type mock_bus = {
	.name = "iommufd_mock",
};

static DEFINE_MUTEX(mock_devices_lock);
static LIST_HEAD(mock_devices);
static unsigned int mock_device_number;
static unsigned int nr_mock_devices;

static struct iopf_queue *mock_iopf_queue;
static struct notifier_block mock_bus_notifier;

static struct iommu_device mock_iommu = {
	.max_pasids = BIT(MOCK_PASID_WIDTH),
};

#ifdef CONFIG_GENERIC_MSI_IRQ
/* Mock devices raise no interrupts at all. */
static struct irq_domain mock_msi_domain = {
	.name = "iommufd_mock",
	.flags = IRQ_DOMAIN_FLAG_ISOLATED_MSI,
};

static void isolate_interrupts(struct device *dev)
{
	dev_set_msi_domain(dev, &mock_msi_domain);
}
#else
static void isolate_interrupts(struct device *dev)
{
}
#endif

static struct mock_device *to_mock_device(struct device *dev)
{
	return container_of(dev, struct mock_device, dev);
}

/* Attaching --------------------------------------------------------------- */

/**
 * to_mock_domain() - the mock's view of a domain
 * @domain: a paging domain of the mock IOMMU
 *
 * Return: the mock domain.
 * Context: Any context.
 */
struct mock_domain *to_mock_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

static struct mock_nested_domain *to_mock_nested(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_nested_domain, domain);
}

/* What translates to memory, which a static domain does not have. */
static struct mock_domain *paging_domain_of(struct iommu_domain *domain)
{
	if (domain && domain->type & __IOMMU_DOMAIN_PAGING)
		return to_mock_domain(domain);
	if (domain && domain->type == IOMMU_DOMAIN_NESTED)
		return to_mock_nested(domain)->parent;
	return NULL;
}

static void count_domains(struct iommu_domain *domain, struct iommu_domain *old)
{
	struct mock_domain *paging = paging_domain_of(domain);

	if (paging)
		atomic_inc(&paging->nr_devices);
	paging = paging_domain_of(old);
	if (paging)
		atomic_dec(&paging->nr_devices);
}

static void device_set_domain(struct mock_device *mock,
			      struct iommu_domain *domain)
{
	lockdep_assert_held(&mock->lock);
	count_domains(domain, mock->domain);
	mock->domain = domain;
}

static int iopf_enable(struct mock_device *mock,
		       const struct iommu_domain *domain)
{
	int error = 0;

	if (!domain->iopf_handler)
		return 0;
	if (!mock->nr_iopf_domains)
		error = iopf_queue_add_device(mock_iopf_queue, &mock->dev);
	if (!error)
		mock->nr_iopf_domains++;
	return error;
}

static void iopf_disable(struct mock_device *mock,
			 const struct iommu_domain *domain)
{
	if (domain && domain->iopf_handler && !--mock->nr_iopf_domains)
		iopf_queue_remove_device(mock_iopf_queue, &mock->dev);
}

/* What blocks or passes everything has to be there for an undo: never fails. */
static int attach_static(struct iommu_domain *domain, struct device *dev,
			 struct iommu_domain *old)
{
	struct mock_device *mock = to_mock_device(dev);

	scoped_guard(spinlock, &mock->lock)
		device_set_domain(mock, domain);
	iopf_disable(mock, old);
	return 0;
}

static int check_fit(struct mock_device *mock, struct iommu_domain *domain)
{
	struct mock_nested_domain *nested = mock_nested_of(domain);
	unsigned long virt_id;

	if (paging_domain_of(domain)->domain.dirty_ops &&
	    mock->flags & MOCK_FLAGS_DEVICE_NO_DIRTY)
		return -EINVAL;
	/* The guest must know a device that it is to be told of. */
	return nested && nested->viommu ?
		iommufd_viommu_get_vdev_id(nested->viommu, &mock->dev,
					   &virt_id) : 0;
}

static int count_attach(struct mock_device *mock)
{
	lockdep_assert_held(&mock->lock);
	mock->nr_attaches++;
	if (mock->fail_countdown && !--mock->fail_countdown)
		return mock->fail_error;
	return 0;
}

static int program_paging(struct mock_device *mock, struct iommu_domain *domain)
{
	int error;

	guard(spinlock)(&mock->lock);
	error = count_attach(mock);
	if (!error)
		device_set_domain(mock, domain);
	return error;
}

/* What a page table of whatever kind needs before it is programmed. */
static int prepare(struct mock_device *mock, struct iommu_domain *domain)
{
	int error = check_fit(mock, domain);

	return error ?: iopf_enable(mock, domain);
}

static int attach_translating(struct iommu_domain *domain, struct device *dev,
			      struct iommu_domain *old)
{
	struct mock_device *mock = to_mock_device(dev);
	int error;

	error = prepare(mock, domain);
	if (error)
		return error;
	error = program_paging(mock, domain);
	iopf_disable(mock, error ? domain : old);
	return error;
}

/* PASIDs: like the above, for the domain that used to be the PASID's. */
static int set_pasid_static(struct iommu_domain *domain, struct device *dev,
			    ioasid_t pasid, struct iommu_domain *old)
{
	struct mock_device *mock = to_mock_device(dev);

	WARN_ON_ONCE(xa_erase(&mock->pasids, pasid) != old);
	count_domains(NULL, old);
	iopf_disable(mock, old);
	return 0;
}

static int program_pasid(struct mock_device *mock, struct iommu_domain *domain,
			 ioasid_t pasid, struct iommu_domain *old)
{
	int error;

	if (old && pasid == IOMMU_TEST_PASID_RESERVED)
		return -ENOMEM;
	scoped_guard(spinlock, &mock->lock)
		error = count_attach(mock);
	if (!error)
		error = xa_err(xa_store(&mock->pasids, pasid, domain,
					GFP_KERNEL_ACCOUNT));
	if (!error)
		count_domains(domain, old);
	return error;
}

static int set_pasid_translating(struct iommu_domain *domain,
				 struct device *dev, ioasid_t pasid,
				 struct iommu_domain *old)
{
	struct mock_device *mock = to_mock_device(dev);
	int error;

	error = prepare(mock, domain);
	if (error)
		return error;
	error = program_pasid(mock, domain, pasid, old);
	iopf_disable(mock, error ? domain : old);
	return error;
}

static const struct iommu_domain_ops static_domain_ops = {
	.attach_dev = attach_static,
	.set_dev_pasid = set_pasid_static,
};

static struct iommu_domain identity_domain = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &static_domain_ops,
};

static struct iommu_domain blocked_domain = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &static_domain_ops,
};

/**
 * mock_domain_is_blocked() - does a domain block all DMA
 * @domain: what mock_device_domain() returned
 *
 * Return: true if so.
 * Context: Any context.
 */
bool mock_domain_is_blocked(const struct iommu_domain *domain)
{
	return domain == &blocked_domain;
}

/* Domains ----------------------------------------------------------------- */

static int count_map(struct pt_iommu *pt, dma_addr_t iova, phys_addr_t paddr,
		     dma_addr_t len, unsigned int prot, gfp_t gfp,
		     size_t *mapped)
{
	struct mock_domain *domain = to_mock_domain(&pt->domain);

	atomic_long_inc(&domain->nr_maps);
	return domain->format->map_range(pt, iova, paddr, len, prot, gfp,
					 mapped);
}

static size_t count_unmap(struct pt_iommu *pt, dma_addr_t iova, dma_addr_t len,
			  struct iommu_iotlb_gather *gather)
{
	struct mock_domain *domain = to_mock_domain(&pt->domain);

	atomic_long_inc(&domain->nr_unmaps);
	return domain->format->unmap_range(pt, iova, len, gather);
}

static void count_flush(struct iommu_domain *domain)
{
	atomic_long_inc(&to_mock_domain(domain)->nr_syncs);
}

static void count_sync(struct iommu_domain *domain,
		       struct iommu_iotlb_gather *gather)
{
	count_flush(domain);
	iommu_put_pages_list(&gather->freelist);
}

static void domain_free(struct iommu_domain *domain)
{
	struct mock_domain *mock = to_mock_domain(domain);

	/* A real device would go on to use the freed tables. */
	WARN_ON_ONCE(atomic_read(&mock->nr_devices));
	pt_iommu_deinit(&mock->pt);
	kfree(mock);
}

static int set_dirty_tracking(struct iommu_domain *domain, bool enable)
{
	WRITE_ONCE(to_mock_domain(domain)->dirty_tracking, enable);
	return 0;
}

static const struct iommu_dirty_ops dirty_ops = {
	IOMMU_PT_DIRTY_OPS(amdv1_mock),
	.set_dirty_tracking = set_dirty_tracking,
};

static const struct iommu_domain_ops paging_domain_ops = {
	IOMMU_PT_DOMAIN_OPS(amdv1_mock),
	.attach_dev = attach_translating,
	.set_dev_pasid = set_pasid_translating,
	.flush_iotlb_all = count_flush,
	.iotlb_sync = count_sync,
	.free = domain_free,
};

PT_IOMMU_CHECK_DOMAIN(struct mock_domain, amdv1.iommu, domain);
PT_IOMMU_CHECK_DOMAIN(struct mock_domain, pt, domain);

static int domain_init(struct mock_domain *mock, u32 pagetable_type)
{
	/* Three levels above the smallest page reach past the last address. */
	const struct pt_iommu_amdv1_cfg config = {
		.common.hw_max_vasz_lg2 = ilog2(MOCK_APERTURE_LAST + 1UL),
		.common.hw_max_oasz_lg2 = 51,
		.starting_level = 2,
	};
	int error;

	error = pt_iommu_amdv1_mock_init(&mock->amdv1, &config,
					 GFP_KERNEL_ACCOUNT);
	if (error)
		return error;
	mock->format = mock->pt.ops;
	mock->counting = *mock->pt.ops;
	mock->counting.map_range = count_map;
	mock->counting.unmap_range = count_unmap;
	mock->pt.ops = &mock->counting;

	/* Entries of just these sizes, so that tests can tell which they hit. */
	mock->domain.pgsize_bitmap = MOCK_PAGE_SIZE | PAGE_SIZE;
	if (pagetable_type == MOCK_IOMMUPT_HUGE)
		mock->domain.pgsize_bitmap |= MOCK_HUGE_PAGE_SIZE;
	mock->domain.geometry.aperture_start = MOCK_APERTURE_START;
	return 0;
}

static struct iommu_domain *domain_new(struct device *dev, u32 flags,
				       u32 pagetable_type)
{
	struct mock_domain *mock;
	int error;

	mock = kzalloc_obj(*mock, GFP_KERNEL_ACCOUNT);
	if (!mock)
		return ERR_PTR(-ENOMEM);
	mock->pt.nid = dev_to_node(dev);
	mock->domain.ops = &paging_domain_ops;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
		mock->domain.dirty_ops = &dirty_ops;
	error = domain_init(mock, pagetable_type);
	if (error) {
		kfree(mock);
		return ERR_PTR(error);
	}
	return &mock->domain;
}

static struct iommu_domain *
domain_alloc_paging_flags(struct device *dev, u32 flags,
			  const struct iommu_user_data *user_data)
{
	const u32 known = IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			  IOMMU_HWPT_ALLOC_NEST_PARENT |
			  IOMMU_HWPT_ALLOC_PASID;
	struct iommu_hwpt_selftest args = {};
	int error;

	if (flags & ~known)
		return ERR_PTR(-EOPNOTSUPP);
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING &&
	    to_mock_device(dev)->flags & MOCK_FLAGS_DEVICE_NO_DIRTY)
		return ERR_PTR(-EOPNOTSUPP);
	if (user_data && user_data->type != IOMMU_HWPT_DATA_SELFTEST)
		return ERR_PTR(-EOPNOTSUPP);
	if (user_data) {
		error = iommu_copy_struct_from_user(&args, user_data,
						    IOMMU_HWPT_DATA_SELFTEST,
						    pagetable_type);
		if (error)
			return ERR_PTR(error);
	}
	if (args.pagetable_type > MOCK_IOMMUPT_HUGE)
		return ERR_PTR(-EINVAL);
	return domain_new(dev, flags, args.pagetable_type);
}

/**
 * mock_domain_set_dirty() - write to an address as a device would
 * @domain: a paging domain of the mock IOMMU
 * @iova: the address
 *
 * Return: 0; -ENOENT if it has no translation; -EAGAIN if that has changed.
 * Context: Nothing maps, unmaps or reads marks at the same time.
 */
int mock_domain_set_dirty(struct iommu_domain *domain, unsigned long iova)
{
	struct mock_domain *mock = to_mock_domain(domain);

	return mock->format->set_dirty(&mock->pt, iova);
}

/**
 * mock_domain_is_mock() - is a domain one of the mock IOMMU
 * @domain: any domain
 *
 * Return: true if to_mock_domain() makes sense of it.
 * Context: Any context.
 */
bool mock_domain_is_mock(const struct iommu_domain *domain)
{
	return domain->ops == &paging_domain_ops;
}

/**
 * mock_domain_is_mapped() - does a domain translate all of a range
 * @domain: a paging domain of the mock IOMMU
 * @range: the range
 *
 * Return: true if every page of it has a translation.
 * Context: Nothing maps or unmaps the range at the same time.
 */
bool mock_domain_is_mapped(struct iommu_domain *domain,
			   struct iova_range range)
{
	unsigned long iova = range.first;

	for (;;) {
		if (!domain->ops->iova_to_phys(domain, iova))
			return false;
		if (range.last - iova < MOCK_PAGE_SIZE)
			return true;
		iova += MOCK_PAGE_SIZE;
	}
}

/* Nested domains ---------------------------------------------------------- */

static int invalidate_entry(struct mock_nested_domain *nested,
			    const struct iommu_hwpt_invalidate_selftest *entry)
{
	u32 first = entry->iotlb_id, last = entry->iotlb_id;

	if (entry->flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return -EOPNOTSUPP;
	if (entry->iotlb_id > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return -EINVAL;
	if (entry->flags & IOMMU_TEST_INVALIDATE_FLAG_ALL) {
		first = 0;
		last = MOCK_NESTED_DOMAIN_IOTLB_ID_MAX;
	}
	for (; first <= last; first++) {
		u32 index = array_index_nospec(first, ARRAY_SIZE(nested->iotlb));

		WRITE_ONCE(nested->iotlb[index], 0);
	}
	return 0;
}

static int invalidate_user(struct iommu_domain *domain,
			   struct iommu_user_data_array *array)
{
	const u32 type = IOMMU_HWPT_INVALIDATE_DATA_SELFTEST;
	struct iommu_hwpt_invalidate_selftest entry;
	u32 handled = 0;
	int error = 0;

	if (array->type != type)
		error = -EINVAL;
	while (!error && handled < array->entry_num) {
		error = iommu_copy_struct_from_user_array(&entry, array, type,
							  handled, iotlb_id);
		if (!error)
			error = invalidate_entry(to_mock_nested(domain),
						 &entry);
		if (!error)
			handled++;
	}
	array->entry_num = handled;
	return error;
}

static void nested_free(struct iommu_domain *domain)
{
	kfree(to_mock_nested(domain));
}

static const struct iommu_domain_ops nested_domain_ops = {
	.attach_dev = attach_translating,
	.set_dev_pasid = set_pasid_translating,
	.cache_invalidate_user = invalidate_user,
	.free = nested_free,
};

/**
 * mock_nested_new() - make a nested domain
 * @parent: what translates its output
 * @flags: bits of enum iommufd_hwpt_alloc_flags
 * @user_data: what user space has to say
 *
 * Return: the domain; -EOPNOTSUPP for a flag or type that the mock IOMMU does not
 * know; -EINVAL if another driver's domain is to be the parent, or the data is
 * no good; -EFAULT; -ENOMEM.
 * Context: Sleeps for user memory.
 */
struct iommu_domain *mock_nested_new(struct iommu_domain *parent, u32 flags,
				     const struct iommu_user_data *user_data)
{
	struct mock_nested_domain *nested;
	struct iommu_hwpt_selftest args;
	int error;

	if (flags & ~IOMMU_HWPT_ALLOC_PASID ||
	    user_data->type != IOMMU_HWPT_DATA_SELFTEST)
		return ERR_PTR(-EOPNOTSUPP);
	/* One that another driver made is none of ours. */
	if (!mock_domain_is_mock(parent))
		return ERR_PTR(-EINVAL);
	error = iommu_copy_struct_from_user(&args, user_data,
					    IOMMU_HWPT_DATA_SELFTEST, iotlb);
	if (error)
		return ERR_PTR(error);
	nested = kzalloc_obj(*nested, GFP_KERNEL_ACCOUNT);
	if (!nested)
		return ERR_PTR(-ENOMEM);
	nested->domain.type = IOMMU_DOMAIN_NESTED;
	nested->domain.ops = &nested_domain_ops;
	nested->parent = to_mock_domain(parent);
	memset32(nested->iotlb, args.iotlb, ARRAY_SIZE(nested->iotlb));
	return &nested->domain;
}

static struct iommu_domain *
domain_alloc_nested(struct device *dev, struct iommu_domain *parent, u32 flags,
		    const struct iommu_user_data *user_data)
{
	return mock_nested_new(parent, flags, user_data);
}

/**
 * mock_nested_of() - the mock's view of a nested domain
 * @domain: any domain
 *
 * Return: the mock domain, or NULL if it is none.
 * Context: Any context.
 */
struct mock_nested_domain *mock_nested_of(struct iommu_domain *domain)
{
	return domain->ops == &nested_domain_ops ? to_mock_nested(domain) : NULL;
}

/* The driver -------------------------------------------------------------- */

static bool device_capable(struct device *dev, enum iommu_cap capability)
{
	struct mock_device *mock = to_mock_device(dev);

	switch (capability) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return true;
	case IOMMU_CAP_DIRTY_TRACKING:
		return !(mock->flags & MOCK_FLAGS_DEVICE_NO_DIRTY);
	default:
		return false;
	}
}

static void *describe_iommu(struct device *dev, u32 *bytes,
			    enum iommu_hw_info_type *type)
{
	static const struct iommu_test_hw_info description = {
		.test_reg = IOMMU_HW_INFO_SELFTEST_REGVAL,
	};

	/* The type of the mock IOMMU is not in the enum. */
	switch ((u32)*type) {
	case IOMMU_HW_INFO_TYPE_DEFAULT:
	case IOMMU_HW_INFO_TYPE_SELFTEST:
		break;
	default:
		return ERR_PTR(-EOPNOTSUPP);
	}
	*type = IOMMU_HW_INFO_TYPE_SELFTEST;
	*bytes = sizeof(description);
	return kmemdup(&description, sizeof(description), GFP_KERNEL) ?:
		ERR_PTR(-ENOMEM);
}

static struct iommu_device *probe_device(struct device *dev)
{
	return dev->bus == &mock_bus ? &mock_iommu : ERR_PTR(-ENODEV);
}

/* The core leaves it to the driver to forget the domain of a device. */
static void release_device(struct device *dev)
{
	struct mock_device *mock = to_mock_device(dev);

	guard(spinlock)(&mock->lock);
	device_set_domain(mock, NULL);
}

static struct iommu_group *device_group(struct device *dev)
{
	u32 group_id = to_mock_device(dev)->group_id;
	struct mock_device *other;

	lockdep_assert_held(&mock_devices_lock);
	list_for_each_entry(other, &mock_devices, node)
		if (group_id && other->group_id == group_id)
			return iommu_group_get(&other->dev);
	return generic_device_group(dev);
}

static void get_resv_regions(struct device *dev, struct list_head *regions)
{
	struct mock_device *mock = to_mock_device(dev);
	struct iommu_resv_region *region;
	struct mock_reserved *reserved;

	guard(mutex)(&mock->reserved_lock);
	list_for_each_entry(reserved, &mock->reserved, node) {
		/* There is no way to report a failure. */
		region = iommu_alloc_resv_region(reserved->range.first,
						 iova_range_bytes(reserved->range),
						 0, reserved->type,
						 GFP_KERNEL | __GFP_NOFAIL);
		list_add_tail(&region->list, regions);
	}
}

/* Nobody does DMA through the DMA API: no domain of its own is needed. */
static int default_domain_type(struct device *dev)
{
	return IOMMU_DOMAIN_IDENTITY;
}

static void page_response(struct device *dev, struct iopf_fault *fault,
			  struct iommu_page_response *response)
{
	struct mock_device *mock = to_mock_device(dev);

	guard(spinlock)(&mock->lock);
	mock->nr_responses++;
	mock->response = *response;
}

static const struct iommu_ops mock_ops = {
	.owner = THIS_MODULE,
	.identity_domain = &identity_domain,
	.blocked_domain = &blocked_domain,
	.default_domain_ops = &paging_domain_ops,
	.capable = device_capable,
	.hw_info = describe_iommu,
	.domain_alloc_paging_flags = domain_alloc_paging_flags,
	.domain_alloc_nested = domain_alloc_nested,
	.get_viommu_size = mock_get_viommu_size,
	.viommu_init = mock_viommu_init,
	.probe_device = probe_device,
	.release_device = release_device,
	.device_group = device_group,
	.get_resv_regions = get_resv_regions,
	.page_response = page_response,
	.user_pasid_table = true,
	.def_domain_type = default_domain_type,
};

/* Devices ----------------------------------------------------------------- */

static void device_release(struct device *dev)
{
	struct mock_device *mock = to_mock_device(dev);
	struct mock_reserved *reserved, *next;

	list_for_each_entry_safe(reserved, next, &mock->reserved, node)
		kfree(reserved);
	mutex_destroy(&mock->reserved_lock);
	WARN_ON_ONCE(!xa_empty(&mock->pasids));
	/* One that was never added still has its properties. */
	device_remove_software_node(dev);
	/* The core forgets it if it fails to prepare a device for being added. */
	kfree(dev->iommu);
	kfree(mock);
}

/**
 * mock_device_of() - the mock device behind a device
 * @dev: any device
 *
 * Return: the mock device, or NULL if it is a real one.
 * Context: Any context.
 */
struct mock_device *mock_device_of(struct device *dev)
{
	return dev->bus == &mock_bus ? to_mock_device(dev) : NULL;
}

static struct mock_device *device_alloc(u32 group_id, u32 flags)
{
	struct mock_device *mock;

	mock = kzalloc_obj(*mock, GFP_KERNEL_ACCOUNT);
	if (!mock)
		return NULL;
	mock->group_id = group_id;
	mock->flags = flags;
	memset32(mock->cache, IOMMU_TEST_DEV_CACHE_DEFAULT,
		 ARRAY_SIZE(mock->cache));
	INIT_LIST_HEAD(&mock->node);
	mutex_init(&mock->reserved_lock);
	INIT_LIST_HEAD(&mock->reserved);
	spin_lock_init(&mock->lock);
	xa_init(&mock->pasids);
	device_initialize(&mock->dev);
	mock->dev.bus = &mock_bus;
	mock->dev.release = device_release;
	isolate_interrupts(&mock->dev);
	return mock;
}

/* Firmware tells the core how wide a PASID of a device is. */
static int device_add_properties(struct mock_device *mock)
{
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_U32("pasid-num-bits", MOCK_PASID_WIDTH),
		{}
	};

	if (!(mock->flags & MOCK_FLAGS_DEVICE_PASID))
		return 0;
	return device_create_managed_software_node(&mock->dev, properties,
						   NULL);
}

static int device_register_mock(struct mock_device *mock)
{
	int error;

	guard(mutex)(&mock_devices_lock);
	if (nr_mock_devices == MOCK_DEVICES_MAX)
		return -ENOSPC;
	error = dev_set_name(&mock->dev, "iommufd_mock%u",
			     mock_device_number++);
	if (error)
		return error;
	error = iommu_mock_device_add(&mock->dev, &mock_iommu);
	if (error)
		return error;
	/* Adding a device succeeds even if its IOMMU does not take it. */
	if (!device_iommu_mapped(&mock->dev)) {
		device_del(&mock->dev);
		return -ENODEV;
	}
	list_add_tail(&mock->node, &mock_devices);
	nr_mock_devices++;
	return 0;
}

/**
 * mock_device_create() - add a device behind the mock IOMMU
 * @group_id: 0 for a group of its own, otherwise the number of its group
 * @flags: MOCK_FLAGS_DEVICE_*
 *
 * Return: the device; -EOPNOTSUPP for an unknown flag; -ENOMEM; -ENOSPC if
 * there are too many; -ENODEV if the IOMMU core could not set it up.
 * Context: May sleep.
 */
struct mock_device *mock_device_create(u32 group_id, u32 flags)
{
	const u32 known = MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID;
	struct mock_device *mock;
	int error;

	if (flags & ~known)
		return ERR_PTR(-EOPNOTSUPP);
	mock = device_alloc(group_id, flags);
	if (!mock)
		return ERR_PTR(-ENOMEM);
	error = device_add_properties(mock);
	if (!error)
		error = device_register_mock(mock);
	if (error) {
		put_device(&mock->dev);
		return ERR_PTR(error);
	}
	return mock;
}

/**
 * mock_device_destroy() - remove a device
 * @mock: the device, which nobody has bound
 *
 * Context: May sleep.
 */
void mock_device_destroy(struct mock_device *mock)
{
	scoped_guard(mutex, &mock_devices_lock) {
		list_del(&mock->node);
		nr_mock_devices--;
	}
	device_unregister(&mock->dev);
}

/**
 * mock_device_reserve() - let a device report one more reserved region
 * @mock: the device
 * @range: the region
 * @type: what kind it is
 *
 * What is attached already does not notice.
 *
 * Return: 0 or -ENOMEM.
 * Context: May sleep.
 */
int mock_device_reserve(struct mock_device *mock, struct iova_range range,
			enum iommu_resv_type type)
{
	struct mock_reserved *reserved;

	reserved = kzalloc_obj(*reserved);
	if (!reserved)
		return -ENOMEM;
	reserved->range = range;
	reserved->type = type;
	guard(mutex)(&mock->reserved_lock);
	list_add_tail(&reserved->node, &mock->reserved);
	return 0;
}

/**
 * mock_device_fail_attach() - let a device refuse one attach
 * @mock: the device
 * @nth: the next attach to a paging domain is 1; 0 to refuse none
 * @error: what it answers
 *
 * Attaching to the blocked or identity domain never fails and is not counted.
 *
 * Context: Any context.
 */
void mock_device_fail_attach(struct mock_device *mock, unsigned int nth,
			     int error)
{
	guard(spinlock)(&mock->lock);
	mock->fail_countdown = nth;
	mock->fail_error = error;
}

/**
 * mock_device_domain() - what a device is really attached to
 * @mock: the device
 *
 * Return: the domain, to be compared only.
 * Context: Any context.
 */
struct iommu_domain *mock_device_domain(struct mock_device *mock)
{
	guard(spinlock)(&mock->lock);
	return mock->domain;
}

/**
 * mock_device_pasid_domain() - what a PASID of a device is really attached to
 * @mock: the device
 * @pasid: the PASID
 *
 * Return: the domain, to be compared only; NULL if there is none.
 * Context: Any context.
 */
struct iommu_domain *mock_device_pasid_domain(struct mock_device *mock,
					      ioasid_t pasid)
{
	return xa_load(&mock->pasids, pasid);
}

/**
 * mock_device_nr_attaches() - how often a device was told a paging domain
 * @mock: the device
 *
 * Return: the number, refusals included.
 * Context: Any context.
 */
unsigned int mock_device_nr_attaches(struct mock_device *mock)
{
	guard(spinlock)(&mock->lock);
	return mock->nr_attaches;
}

/**
 * mock_device_report_fault() - let a device ask for a page
 * @mock: the device
 * @request: its request
 *
 * A request that is not the last one of its group is kept until the last one
 * comes.
 *
 * Return: 0, also if it was answered with a refusal; -EINVAL if the device may
 * not ask, -ENOMEM.
 * Context: May sleep. As with any driver, the device is not attached to something
 * else at the same time.
 */
int mock_device_report_fault(struct mock_device *mock,
			     const struct iommu_fault_page_request *request)
{
	struct iopf_fault fault = {
		.fault.type = IOMMU_FAULT_PAGE_REQ,
		.fault.prm = *request,
	};

	return iommu_report_device_fault(&mock->dev, &fault);
}

/**
 * mock_device_responses() - what a device was answered
 * @mock: the device
 * @latest: the latest answer, if there was one; or NULL
 *
 * Return: how many answers there were.
 * Context: Any context.
 */
unsigned int mock_device_responses(struct mock_device *mock,
				   struct iommu_page_response *latest)
{
	guard(spinlock)(&mock->lock);
	if (latest)
		*latest = mock->response;
	return mock->nr_responses;
}

/**
 * iommufd_test_init() - bring the mock IOMMU up
 *
 * Return: 0 or an errno.
 * Context: When the module is loaded, before anybody can open it.
 */
int __init iommufd_test_init(void)
{
	int error;

	mock_iopf_queue = iopf_queue_alloc(mock_bus.name);
	if (!mock_iopf_queue)
		return -ENOMEM;
	error = bus_register(&mock_bus);
	if (error)
		goto out_iopf;
	error = iommu_device_sysfs_add(&mock_iommu, NULL, NULL, "%s",
				       mock_bus.name);
	if (error)
		goto out_bus;
	error = iommu_device_register_bus(&mock_iommu, &mock_ops, &mock_bus,
					  &mock_bus_notifier);
	if (error)
		goto out_sysfs;
	return 0;

out_sysfs:
	iommu_device_sysfs_remove(&mock_iommu);
out_bus:
	bus_unregister(&mock_bus);
out_iopf:
	iopf_queue_free(mock_iopf_queue);
	return error;
}

/**
 * iommufd_test_exit() - take the mock IOMMU down
 *
 * Context: When the module is unloaded; no mock device is left.
 */
void iommufd_test_exit(void)
{
	iommu_device_unregister_bus(&mock_iommu, &mock_bus,
				    &mock_bus_notifier);
	iommu_device_sysfs_remove(&mock_iommu);
	bus_unregister(&mock_bus);
	iopf_queue_free(mock_iopf_queue);
}

MODULE_IMPORT_NS("GENERIC_PT_IOMMU");
