// SPDX-License-Identifier: GPL-2.0-only
/*
 * A context in the place of a VFIO container.
 *
 * DOC: the IOAS of a container
 *
 * A program that knows containers only has no ids, so one IOAS of the context
 * stands for all that it does. User space chooses it with VFIO_IOAS, or VFIO
 * has one made when it is given an iommufd where it expects a container. The
 * link is a weak one: the IOAS can be destroyed, and the link ends with it.
 */
#include <linux/module.h>

#include "iommufd_private.h"

/* The chosen IOAS, on hold. */
static struct iommufd_ioas *vfio_ioas_get(struct iommufd_ctx *ctx)
{
	struct iommufd_ioas *ioas;

	guard(spinlock)(&ctx->objects.xa_lock);
	ioas = ctx->vfio_ioas;
	if (!ioas || iommufd_object_hold(&ioas->obj))
		return ERR_PTR(-ENODEV);
	return ioas;
}

/**
 * iommufd_vfio_ioas_gone() - forget an IOAS that ends
 * @ioas: the IOAS
 *
 * Context: Process context.
 */
void iommufd_vfio_ioas_gone(struct iommufd_ioas *ioas)
{
	guard(spinlock)(&ioas->ctx->objects.xa_lock);
	if (ioas->ctx->vfio_ioas == ioas)
		ioas->ctx->vfio_ioas = NULL;
}

/**
 * iommufd_vfio_compat_ioas_get_id() - the IOAS that stands for a container
 * @ictx: the context
 * @out_ioas_id: its id
 *
 * Return: 0; -ENODEV if there is none.
 * Context: Process context.
 */
int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *out_ioas_id)
{
	struct iommufd_ioas *ioas = vfio_ioas_get(ictx);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	*out_ioas_id = ioas->obj.id;
	iommufd_object_put(ictx, &ioas->obj);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_get_id, "IOMMUFD_VFIO");

/* Set the link, unless it leads somewhere already. */
static bool link_if_none(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas)
{
	guard(spinlock)(&ctx->objects.xa_lock);
	if (ctx->vfio_ioas && !iommufd_object_dying(&ctx->vfio_ioas->obj))
		return false;
	ctx->vfio_ioas = ioas;
	return true;
}

/**
 * iommufd_vfio_compat_ioas_create() - make the IOAS that stands for a container
 * @ictx: the context
 *
 * Return: 0, also if there is one already; -ENOMEM.
 * Context: May sleep.
 */
int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;

	ioas = vfio_ioas_get(ictx);
	if (!IS_ERR(ioas)) {
		iommufd_object_put(ictx, &ioas->obj);
		return 0;
	}
	ioas = iommufd_ioas_new(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	/* Nobody can end it before it is published. */
	if (link_if_none(ictx, ioas)) {
		iommufd_object_publish(ictx, &ioas->obj);
		return 0;
	}
	iommufd_ioas_destroy(&ioas->obj);
	iommufd_object_abort(ictx, &ioas->obj);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_create, "IOMMUFD_VFIO");

/**
 * iommufd_vfio_compat_set_no_iommu() - use devices without an IOMMU
 * @ictx: the context
 *
 * Return: -EOPNOTSUPP: a context translates what it maps.
 * Context: Any context.
 */
int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_set_no_iommu, "IOMMUFD_VFIO");

static int set_vfio_ioas(struct iommufd_ctx *ctx, u32 ioas_id)
{
	struct iommufd_ioas *ioas = iommufd_ioas_get(ctx, ioas_id);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	/* It cannot end while it is on hold, and takes the link along after. */
	scoped_guard(spinlock, &ctx->objects.xa_lock)
		ctx->vfio_ioas = ioas;
	iommufd_object_put(ctx, &ioas->obj);
	return 0;
}

/**
 * iommufd_vfio_ioas() - IOMMU_VFIO_IOAS
 * @command: the command
 *
 * Return: 0; -ENODEV if there is nothing to get; -ENOENT if the id to set is
 * not that of an IOAS; -EOPNOTSUPP for an unknown operation or a reserved
 * field that is not zero; -EFAULT.
 * Context: May sleep.
 */
int iommufd_vfio_ioas(struct iommufd_command *command)
{
	struct iommu_vfio_ioas *args = command->args;
	struct iommufd_ctx *ctx = command->ctx;
	int error;

	if (args->__reserved)
		return iommufd_refuse(ctx, -EOPNOTSUPP,
				      "a reserved field is not zero", 0, 0);
	switch (args->op) {
	case IOMMU_VFIO_IOAS_GET:
		error = iommufd_vfio_compat_ioas_get_id(ctx, &args->ioas_id);
		return error ?: iommufd_respond(command, sizeof(*args));
	case IOMMU_VFIO_IOAS_SET:
		return set_vfio_ioas(ctx, args->ioas_id);
	case IOMMU_VFIO_IOAS_CLEAR:
		scoped_guard(spinlock, &ctx->objects.xa_lock)
			ctx->vfio_ioas = NULL;
		return 0;
	default:
		return iommufd_refuse(ctx, -EOPNOTSUPP, "an unknown operation",
				      args->op, 0);
	}
}
