// SPDX-License-Identifier: GPL-2.0-only
/*
 * A dma-buf as a source: device memory that its exporter can take away.
 *
 * DOC: revoking and coming back
 *
 * Nothing is pinned or charged. Page indexes count from the start of the
 * buffer, whose one range of physical addresses VFIO tells us through a door
 * of its own, until dma-buf has an interconnect for that.
 *
 * When the exporter says that mappings are invalid, every area over the buffer
 * is taken out of every domain, and every IOMMU synced, before the callback
 * returns. The area stays: it is blocked, maps nothing, and can be unmapped like
 * any other. An area that is on its way into its domains at that time either
 * sees that the source is revoked, or is live by the time that the callback
 * comes to its IOAS.
 *
 * VFIO also calls when the memory is to come back, shortly before it really
 * does, with locks held that we must not wait for. A call while the source is
 * revoked is therefore taken for that one: a worker asks for the addresses
 * until it is given them, at most for some seconds. If the buffer does not come
 * back, or not to where it was, its areas stay blocked and fdinfo says so.
 *
 * The reservation lock guards the list of areas. It is taken by the exporter
 * before any lock of ours, and by us with no lock held.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vfio_pci_core.h>
#include <linux/workqueue.h>

#include "iommufd_private.h"
#include "selftest.h"

/* The worker's patience: 0, 1, 2, 4 ... ms between tries, eight seconds in all. */
#define RESTORE_TRIES 13

/**
 * struct dmabuf_source - memory of a dma-buf
 * @source: what all sources have
 * @dmabuf: the buffer; holds a reference
 * @attachment: ours
 * @phys: where the buffer is
 * @areas: iommufd_area::source_node; guarded by the reservation lock, like what
 *	follows
 * @nr_tries: how often @restore_work has run in vain
 * @restore_work: brings the areas back; not queued anew without areas
 */
struct dmabuf_source {
	struct pin_source source;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attachment;
	struct phys_vec phys;
	struct list_head areas;
	unsigned int nr_tries;
	struct delayed_work restore_work;
};

static struct dmabuf_source *to_dmabuf_source(struct pin_source *source)
{
	return container_of(source, struct dmabuf_source, source);
}

/* Where it is ------------------------------------------------------------- */

static int vfio_phys(struct dma_buf_attachment *attachment,
		     struct phys_vec *phys)
{
	int (*ask)(struct dma_buf_attachment *attachment,
		   struct phys_vec *phys);
	int error;

	if (!IS_ENABLED(CONFIG_VFIO_PCI_DMABUF))
		return -EOPNOTSUPP;
	/* VFIO depends on us, not we on VFIO. */
	ask = symbol_get(vfio_pci_dma_buf_iommufd_map);
	if (!ask)
		return -EOPNOTSUPP;
	error = ask(attachment, phys);
	symbol_put(vfio_pci_dma_buf_iommufd_map);
	return error;
}

/* Returns -ENODEV while the buffer is revoked. */
static int find_phys(struct dma_buf_attachment *attachment,
		     struct phys_vec *phys)
{
	int error;

	dma_resv_assert_held(attachment->dmabuf->resv);
	error = iommufd_test_dma_buf_map(attachment, phys);
	return error == -EOPNOTSUPP ? vfio_phys(attachment, phys) : error;
}

/* Revoke and restore ------------------------------------------------------ */

static void queue_restore(struct dmabuf_source *dmabuf)
{
	dmabuf->nr_tries = 0;
	mod_delayed_work(system_dfl_wq, &dmabuf->restore_work, 0);
}

static void invalidate_mappings(struct dma_buf_attachment *attachment)
{
	struct dmabuf_source *dmabuf = attachment->importer_priv;
	struct iommufd_area *area;

	if (dmabuf->source.revoked) {
		if (!list_empty(&dmabuf->areas))
			queue_restore(dmabuf);
		return;
	}
	/* First this: a MAP that does not see it is found in the list. */
	WRITE_ONCE(dmabuf->source.revoked, true);
	list_for_each_entry(area, &dmabuf->areas, source_node)
		ioas_block_area(area);
}

static const struct dma_buf_attach_ops attach_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = invalidate_mappings,
};

static int restore_areas(struct dmabuf_source *dmabuf)
{
	struct iommufd_area *area;
	struct phys_vec phys;
	int error;

	if (list_empty(&dmabuf->areas))
		return 0;
	error = find_phys(dmabuf->attachment, &phys);
	if (error)
		return error;
	if (phys.paddr != dmabuf->phys.paddr || phys.len != dmabuf->phys.len)
		return -EADDRNOTAVAIL;
	WRITE_ONCE(dmabuf->source.revoked, false);
	list_for_each_entry(area, &dmabuf->areas, source_node)
		error = ioas_unblock_area(area) ?: error;
	return error;
}

static void restore(struct work_struct *work)
{
	struct dmabuf_source *dmabuf = container_of(to_delayed_work(work),
						    struct dmabuf_source,
						    restore_work);
	struct iommufd_ctx *ctx = dmabuf->source.ctx;
	struct dma_resv *resv = dmabuf->dmabuf->resv;
	int error;

	dma_resv_lock(resv, NULL);
	error = restore_areas(dmabuf);
	if (error && error != -EADDRNOTAVAIL && dmabuf->nr_tries < RESTORE_TRIES)
		mod_delayed_work(system_dfl_wq, &dmabuf->restore_work,
				 msecs_to_jiffies(BIT(dmabuf->nr_tries++)));
	else if (error)
		iommufd_refused(ctx, "restore",
				iommufd_refuse(ctx, error,
					       "a dma-buf did not come back",
					       dmabuf->phys.paddr,
					       dmabuf->phys.len));
	dma_resv_unlock(resv);
}

static void dmabuf_enter(struct pin_source *source, struct iommufd_area *area)
{
	struct dmabuf_source *dmabuf = to_dmabuf_source(source);

	dma_resv_lock(dmabuf->dmabuf->resv, NULL);
	list_add_tail(&area->source_node, &dmabuf->areas);
	/* It may have come back while there was no area to restore. */
	if (source->revoked)
		queue_restore(dmabuf);
	dma_resv_unlock(dmabuf->dmabuf->resv);
}

static void dmabuf_leave(struct pin_source *source, struct iommufd_area *area)
{
	struct dmabuf_source *dmabuf = to_dmabuf_source(source);

	dma_resv_lock(dmabuf->dmabuf->resv, NULL);
	list_del_init(&area->source_node);
	dma_resv_unlock(dmabuf->dmabuf->resv);
}

/* The source -------------------------------------------------------------- */

static int dmabuf_pin(struct pin_source *source, struct page_range range,
		      struct pin_batch *batch)
{
	struct dmabuf_source *dmabuf = to_dmabuf_source(source);

	pin_batch_add(batch, range.first,
		      PHYS_PFN(dmabuf->phys.paddr) + range.first,
		      page_range_nr(range));
	return 0;
}

static void dmabuf_unpin(struct pin_source *source, unsigned long pfn,
			 unsigned long nr)
{
}

static void dmabuf_release(struct pin_source *source)
{
	struct dmabuf_source *dmabuf = to_dmabuf_source(source);

	/* Without areas nobody queues it any more; the source keeps the context. */
	cancel_delayed_work_sync(&dmabuf->restore_work);
	if (dmabuf->attachment)
		dma_buf_detach(dmabuf->dmabuf, dmabuf->attachment);
	dma_buf_put(dmabuf->dmabuf);
}

static const struct pin_source_ops dmabuf_source_ops = {
	.name = "dma-buf",
	.prot = IOMMU_MMIO,
	.device_memory = true,
	.pin = dmabuf_pin,
	.unpin = dmabuf_unpin,
	.enter = dmabuf_enter,
	.leave = dmabuf_leave,
	.release = dmabuf_release,
};

static int dmabuf_attach(struct dmabuf_source *dmabuf)
{
	struct dma_buf_attachment *attachment;
	int error;

	attachment = dma_buf_dynamic_attach(dmabuf->dmabuf, iommufd_device(),
					    &attach_ops, dmabuf);
	if (IS_ERR(attachment))
		return PTR_ERR(attachment);
	dmabuf->attachment = attachment;
	dma_resv_lock(dmabuf->dmabuf->resv, NULL);
	error = find_phys(attachment, &dmabuf->phys);
	/* It may have been revoked and have come back since it was attached. */
	if (!error)
		dmabuf->source.revoked = false;
	dma_resv_unlock(dmabuf->dmabuf->resv);
	if (!error && (!PAGE_ALIGNED(dmabuf->phys.paddr) ||
		       dmabuf->phys.len < dmabuf->dmabuf->size))
		error = -EOPNOTSUPP;
	return error;
}

/**
 * pin_source_alloc_dmabuf() - make a source of a dma-buf's memory
 * @ctx: the context
 * @dma_buf: the buffer; the source takes a reference of its own
 * @bytes: the bytes of it that will be mapped
 *
 * How the descriptor was opened says nothing about what importers may do: that
 * is between them and the exporter.
 *
 * Return: the source; -EINVAL if the buffer ends before @bytes do; -ENODEV if
 * it is revoked at the moment; -EOPNOTSUPP if it is not one range of device
 * memory that the exporter lets us map; -ENOMEM.
 * Context: May sleep. No lock is held.
 */
struct pin_source *pin_source_alloc_dmabuf(struct iommufd_ctx *ctx,
					   struct dma_buf *dma_buf,
					   struct iova_range bytes)
{
	struct dmabuf_source *dmabuf;
	int error;

	if (bytes.last >= dma_buf->size)
		return ERR_PTR(iommufd_refuse(ctx, -EINVAL,
					      "beyond the dma-buf's end",
					      bytes.last, dma_buf->size));
	dmabuf = kzalloc_obj(*dmabuf, GFP_KERNEL_ACCOUNT);
	if (!dmabuf)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&dmabuf->areas);
	INIT_DELAYED_WORK(&dmabuf->restore_work, restore);
	error = pin_source_init(&dmabuf->source, ctx, &dmabuf_source_ops,
				bytes.first >> PAGE_SHIFT, true);
	if (error) {
		kfree(dmabuf);
		return ERR_PTR(error);
	}
	get_dma_buf(dma_buf);
	dmabuf->dmabuf = dma_buf;
	error = dmabuf_attach(dmabuf);
	if (error) {
		pin_source_put(&dmabuf->source);
		return ERR_PTR(error);
	}
	return &dmabuf->source;
}

MODULE_IMPORT_NS("DMA_BUF");
