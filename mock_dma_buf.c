// SPDX-License-Identifier: GPL-2.0-only
/*
 * A dma-buf that says it is device memory.
 *
 * It is a piece of the kernel's memory, which nobody looks at: importers only
 * learn its address, from iommufd_test_dma_buf_map(). Revoking it follows what
 * VFIO does with the BARs of a PCI device, step by step, as seen by the
 * importer: it is told after the memory is withdrawn, and is told once more
 * before it comes back.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/fcntl.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "iommufd_private.h"
#include "selftest.h"

/* It has to be in one piece. */
#define DMA_BUF_BYTES_MAX SZ_1M

/**
 * struct mock_dma_buf - the exporter's side
 * @memory: what it consists of
 * @bytes: how much that is
 * @revoke_lock: one revocation at a time
 * @revoked: nobody may use it; written under @revoke_lock and the reservation
 *	lock
 */
struct mock_dma_buf {
	void *memory;
	size_t bytes;
	struct mutex revoke_lock;
	bool revoked;
};

static int mock_attach(struct dma_buf *dma_buf,
		       struct dma_buf_attachment *attachment)
{
	struct mock_dma_buf *mock = dma_buf->priv;

	if (!attachment->peer2peer)
		return -EOPNOTSUPP;
	if (READ_ONCE(mock->revoked))
		return -ENODEV;
	if (!dma_buf_attach_revocable(attachment))
		return -EOPNOTSUPP;
	return 0;
}

/* There is no device that could do DMA to it. */
static struct sg_table *mock_map(struct dma_buf_attachment *attachment,
				 enum dma_data_direction direction)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void mock_unmap(struct dma_buf_attachment *attachment,
		       struct sg_table *table,
		       enum dma_data_direction direction)
{
}

static void mock_free(struct mock_dma_buf *mock)
{
	free_pages_exact(mock->memory, mock->bytes);
	mutex_destroy(&mock->revoke_lock);
	kfree(mock);
}

static void mock_release(struct dma_buf *dma_buf)
{
	mock_free(dma_buf->priv);
}

static const struct dma_buf_ops mock_dma_buf_ops = {
	.attach = mock_attach,
	.map_dma_buf = mock_map,
	.unmap_dma_buf = mock_unmap,
	.release = mock_release,
};

static struct mock_dma_buf *mock_alloc(size_t bytes)
{
	struct mock_dma_buf *mock;

	mock = kzalloc_obj(*mock, GFP_KERNEL_ACCOUNT);
	if (!mock)
		return NULL;
	mock->memory = alloc_pages_exact(bytes, GFP_KERNEL_ACCOUNT |
						__GFP_ZERO | __GFP_NOWARN |
						__GFP_NORETRY);
	if (!mock->memory) {
		kfree(mock);
		return NULL;
	}
	mock->bytes = bytes;
	mutex_init(&mock->revoke_lock);
	return mock;
}

static struct dma_buf *mock_export(struct mock_dma_buf *mock, u32 open_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = &mock_dma_buf_ops;
	info.size = mock->bytes;
	info.flags = open_flags;
	info.priv = mock;
	return dma_buf_export(&info);
}

/**
 * iommufd_test_dma_buf_get() - IOMMU_TEST_OP_DMABUF_GET
 * @command: the command
 *
 * Return: a file descriptor; -EINVAL for a length that is zero, above
 * DMA_BUF_BYTES_MAX or no multiple of the page size; -EOPNOTSUPP for an unknown
 * flag; -ENOMEM; what exporting and a new descriptor answer.
 * Context: May sleep.
 */
int iommufd_test_dma_buf_get(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	u32 open_flags = args->dmabuf_get.open_flags;
	u32 bytes = args->dmabuf_get.length;
	struct mock_dma_buf *mock;
	struct dma_buf *dma_buf;
	int fd;

	if (open_flags & ~(O_CLOEXEC | O_ACCMODE))
		return -EOPNOTSUPP;
	if (!bytes || bytes > DMA_BUF_BYTES_MAX || !PAGE_ALIGNED(bytes))
		return -EINVAL;
	mock = mock_alloc(bytes);
	if (!mock)
		return -ENOMEM;
	dma_buf = mock_export(mock, open_flags);
	if (IS_ERR(dma_buf)) {
		mock_free(mock);
		return PTR_ERR(dma_buf);
	}
	fd = dma_buf_fd(dma_buf, open_flags);
	if (fd < 0)
		dma_buf_put(dma_buf);
	return fd;
}

/*
 * Nothing has to be waited for in between: no importer can have mapped it, so
 * that no DMA of theirs is under way.
 */
static void change_revoked(struct dma_buf *dma_buf, bool revoked)
{
	struct mock_dma_buf *mock = dma_buf->priv;

	if (mock->revoked == revoked)
		return;
	dma_resv_lock(dma_buf->resv, NULL);
	if (revoked)
		WRITE_ONCE(mock->revoked, true);
	dma_buf_invalidate_mappings(dma_buf);
	dma_resv_unlock(dma_buf->resv);
	if (revoked)
		return;
	dma_resv_lock(dma_buf->resv, NULL);
	WRITE_ONCE(mock->revoked, false);
	dma_resv_unlock(dma_buf->resv);
}

/**
 * iommufd_test_dma_buf_revoke() - IOMMU_TEST_OP_DMABUF_REVOKE
 * @command: the command
 *
 * Return: 0, also if nothing changes; -EBADF if the descriptor is not open;
 * -EINVAL if it is no dma-buf of these, or revoked is neither 0 nor 1.
 * Context: May sleep.
 */
int iommufd_test_dma_buf_revoke(struct iommufd_command *command)
{
	struct iommu_test_cmd *args = command->args;
	struct mock_dma_buf *mock;
	struct dma_buf *dma_buf;
	int error = -EINVAL;

	if (args->dmabuf_revoke.revoked > 1)
		return -EINVAL;
	dma_buf = dma_buf_get(args->dmabuf_revoke.dmabuf_fd);
	if (IS_ERR(dma_buf))
		return PTR_ERR(dma_buf);
	if (dma_buf->ops == &mock_dma_buf_ops) {
		mock = dma_buf->priv;
		scoped_guard(mutex, &mock->revoke_lock)
			change_revoked(dma_buf, args->dmabuf_revoke.revoked);
		error = 0;
	}
	dma_buf_put(dma_buf);
	return error;
}

/**
 * iommufd_test_dma_buf_map() - where a dma-buf of the tests is
 * @attachment: an attachment to any dma-buf
 * @phys: its one range
 *
 * The answer holds until the importer's invalidate_mappings operation is called.
 *
 * Return: 0; -EOPNOTSUPP if it is another exporter's; -ENODEV while it is
 * revoked.
 * Context: The reservation lock of the dma-buf is held.
 */
int iommufd_test_dma_buf_map(struct dma_buf_attachment *attachment,
			     struct phys_vec *phys)
{
	struct dma_buf *dma_buf = attachment->dmabuf;
	struct mock_dma_buf *mock;

	dma_resv_assert_held(dma_buf->resv);
	if (dma_buf->ops != &mock_dma_buf_ops)
		return -EOPNOTSUPP;
	mock = dma_buf->priv;
	if (mock->revoked)
		return -ENODEV;
	phys->paddr = virt_to_phys(mock->memory);
	phys->len = mock->bytes;
	return 0;
}

MODULE_IMPORT_NS("DMA_BUF");
