// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ids, lookups and lifetimes: the only file that moves an object between its
 * states.
 *
 * DOC: object lifetime
 *
 * An object is building, then live, then dying, then gone.
 *
 * While it is building, its id is taken in the context's table and nobody can
 * find it. iommufd_object_publish() is the last step of creation; from then
 * on iommufd_object_get() finds it. What fails before that is undone with
 * iommufd_object_abort().
 *
 * Two kinds of reference exist. A hold lasts for one command: a lookup gives
 * it, and whoever ends the object waits until all of them are given back. A
 * use lasts as long as another object depends on this one: while there is
 * one, DESTROY answers EBUSY. Both are counted in one word together with the
 * flag that the object is dying, so "no uses: now dying" is one step that no
 * other command can get in between of. A dying object takes neither.
 *
 * DESTROY does not look its object up with a hold: it decides under the
 * table's lock. Of two that race, one makes the object die and the other one
 * finds it dying or gone, and answers ENOENT. If a signal kills the wait for
 * holds, the object is live again and nothing has changed.
 *
 * A driver's objects (device, access) end with iommufd_object_end(), which
 * cannot fail and whose wait cannot be killed; holds on them are therefore
 * given back before user memory is touched. An automatic page table has
 * nobody who would wait: it dies with its last use, and whoever gives back
 * the last reference ends it.
 *
 * When the file is closed no command is under way, and no driver is left that
 * holds the file, so only uses order the rest: leaves go first. A device whose
 * owner is an object itself ends with that one.
 */
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "iommufd_private.h"
#include "selftest.h"

/**
 * struct object_class - what differs between types of object
 * @name: for people
 * @driver_owned: a kernel driver ends it; DESTROY answers EBUSY
 * @destroy: give back what the object holds, in reverse order of its making;
 *	never allocates, never fails
 */
struct object_class {
	const char *name;
	bool driver_owned;
	void (*destroy)(struct iommufd_object *object);
};

static const struct object_class object_classes[IOMMUFD_OBJ_MAX] = {
	[IOMMUFD_OBJ_DEVICE] = {
		.name = "device",
		.driver_owned = true,
		.destroy = iommufd_device_destroy,
	},
	[IOMMUFD_OBJ_HWPT_PAGING] = {
		.name = "hwpt-paging",
		.destroy = iommufd_hwpt_paging_destroy,
	},
	[IOMMUFD_OBJ_HWPT_NESTED] = {
		.name = "hwpt-nested",
		.destroy = iommufd_hwpt_nested_destroy,
	},
	[IOMMUFD_OBJ_IOAS] = {
		.name = "ioas",
		.destroy = iommufd_ioas_destroy,
	},
	[IOMMUFD_OBJ_ACCESS] = {
		.name = "access",
		.driver_owned = true,
		.destroy = iommufd_access_destroy_object,
	},
	[IOMMUFD_OBJ_FAULT] = {
		.name = "fault",
		.destroy = iommufd_fault_destroy,
	},
	[IOMMUFD_OBJ_VIOMMU] = {
		.name = "viommu",
		.destroy = iommufd_viommu_destroy,
	},
	IOMMUFD_TEST_OBJECT_CLASS
};

/**
 * iommufd_object_name() - the name of a type of object
 * @type: the type
 *
 * Return: the name, or NULL if no such object can exist.
 * Context: Any context.
 */
const char *iommufd_object_name(enum iommufd_object_type type)
{
	return object_classes[type].name;
}

/**
 * __iommufd_object_alloc() - begin to build an object
 * @ctx: the context
 * @bytes: size of the struct that begins with the object
 * @type: its type
 *
 * Return: a zeroed object with an id of its own that nobody can find yet;
 * -ENOMEM if there is no memory, -EBUSY if all ids are taken.
 * Context: May sleep.
 */
struct iommufd_object *__iommufd_object_alloc(struct iommufd_ctx *ctx,
					      size_t bytes,
					      enum iommufd_object_type type)
{
	struct iommufd_object *object;
	int error;

	object = kzalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!object)
		return ERR_PTR(-ENOMEM);
	object->type = type;

	/* Drivers return an id as a positive int, hence 31 bits. */
	error = xa_alloc(&ctx->objects, &object->id, XA_ZERO_ENTRY,
			 xa_limit_31b, GFP_KERNEL_ACCOUNT);
	if (error) {
		kfree(object);
		return ERR_PTR(error);
	}
	return object;
}

/**
 * iommufd_object_publish() - let an object be found: the last step of creation
 * @ctx: the context
 * @object: a complete object
 *
 * Context: May sleep. Cannot fail, for the slot is there since the id is.
 */
void iommufd_object_publish(struct iommufd_ctx *ctx,
			    struct iommufd_object *object)
{
	void *old;

	atomic_inc(&ctx->nr_objects[object->type]);
	old = xa_store(&ctx->objects, object->id, object, GFP_KERNEL_ACCOUNT);

	/* A reserved slot reads as NULL. */
	WARN_ON_ONCE(old);
}

/**
 * iommufd_object_abort() - end an object that was never published
 * @ctx: the context
 * @object: the object, of which nothing but its memory and its id remains
 *
 * Context: May sleep.
 */
void iommufd_object_abort(struct iommufd_ctx *ctx,
			  struct iommufd_object *object)
{
	xa_erase(&ctx->objects, object->id);
	kfree(object);
}

/**
 * iommufd_object_get() - look an object up for the length of one command
 * @ctx: the context
 * @id: its id
 * @type: its type, or IOMMUFD_OBJ_ANY
 *
 * Return: the object with a hold on it; -ENOENT if there is none with this id
 * and type, -EOVERFLOW if too many commands are using it at this moment.
 * Context: Any context.
 */
struct iommufd_object *iommufd_object_get(struct iommufd_ctx *ctx, u32 id,
					  enum iommufd_object_type type)
{
	struct iommufd_object *object;
	int error = -ENOENT;

	xa_lock(&ctx->objects);
	object = xa_load(&ctx->objects, id);
	if (object && (type == IOMMUFD_OBJ_ANY || object->type == type))
		error = iommufd_object_hold(object);
	xa_unlock(&ctx->objects);
	return error ? ERR_PTR(error) : object;
}

static void object_free(struct iommufd_ctx *ctx, struct iommufd_object *object)
{
	IOMMUFD_ASSERT(!(atomic_long_read(&object->refs) &
			 (OBJECT_HOLDS | OBJECT_USES)));
	object_classes[object->type].destroy(object);
	atomic_dec(&ctx->nr_objects[object->type]);
	xa_erase(&ctx->objects, object->id);
	kfree(object);
}

/*
 * Whoever gives back the last reference of a dying object wakes the one who
 * waits for that, or ends the object if nobody does. @refs is the word that
 * the caller left behind: the object may be gone by now.
 */
static void object_dropped(struct iommufd_ctx *ctx,
			   struct iommufd_object *object, unsigned long refs)
{
	if (!(refs & OBJECT_DYING) || (refs & OBJECT_HOLDS))
		return;
	if (refs & OBJECT_ENDS_UNUSED)
		object_free(ctx, object);
	else
		wake_up_var(&object->refs);
}

/**
 * iommufd_object_put() - give back the hold of iommufd_object_get()
 * @ctx: the context
 * @object: the object, not to be touched any more
 *
 * Context: May sleep, without any lock held that an object's end takes.
 */
void iommufd_object_put(struct iommufd_ctx *ctx, struct iommufd_object *object)
{
	object_dropped(ctx, object, iommufd_object_drop(object, OBJECT_HOLD));
}

/**
 * iommufd_object_unuse() - stop depending on an object
 * @ctx: the context
 * @object: the object, not to be touched any more
 *
 * An object that ends when it is unused dies with its last use.
 *
 * Context: May sleep, without any lock held that an object's end takes.
 */
void iommufd_object_unuse(struct iommufd_ctx *ctx,
			  struct iommufd_object *object)
{
	long refs = atomic_long_read(&object->refs);
	unsigned long left;

	do {
		left = refs - OBJECT_USE;
		if ((left & OBJECT_ENDS_UNUSED) && !(left & OBJECT_USES))
			left |= OBJECT_DYING;
	} while (!atomic_long_try_cmpxchg(&object->refs, &refs, left));
	if (left & OBJECT_ENDS_UNUSED)
		object_dropped(ctx, object, left);
}

static bool object_held(struct iommufd_object *object)
{
	return atomic_long_read_acquire(&object->refs) & OBJECT_HOLDS;
}

static struct iommufd_object *object_make_dying(struct iommufd_ctx *ctx, u32 id)
{
	struct iommufd_object *object;
	long refs;

	guard(spinlock)(&ctx->objects.xa_lock);
	object = xa_load(&ctx->objects, id);
	if (!object)
		return ERR_PTR(-ENOENT);
	if (object_classes[object->type].driver_owned)
		return ERR_PTR(-EBUSY);
	refs = atomic_long_read(&object->refs);
	do {
		if (refs & OBJECT_DYING)
			return ERR_PTR(-ENOENT);
		if (refs & (OBJECT_USES | OBJECT_ENDS_UNUSED))
			return ERR_PTR(-EBUSY);
	} while (!atomic_long_try_cmpxchg(&object->refs, &refs,
					  refs | OBJECT_DYING));
	return object;
}

/**
 * iommufd_object_destroy() - end an object that user space made
 * @ctx: the context
 * @id: its id
 *
 * Return: 0; -ENOENT if there is no such object or another DESTROY was first;
 * -EBUSY if another object depends on it or a kernel driver owns it; -EINTR
 * if the caller was killed while a command still used the object, which is
 * then as it was.
 * Context: May sleep.
 */
int iommufd_object_destroy(struct iommufd_ctx *ctx, u32 id)
{
	struct iommufd_object *object = object_make_dying(ctx, id);

	if (IS_ERR(object))
		return PTR_ERR(object);
	if (wait_var_event_killable(&object->refs, !object_held(object))) {
		atomic_long_andnot(OBJECT_DYING, &object->refs);
		return -EINTR;
	}
	object_free(ctx, object);
	return 0;
}

/**
 * iommufd_object_end() - end an object that a kernel driver owns
 * @ctx: the context
 * @object: the object, published, on which nobody has a use
 *
 * Waits for the commands that hold the object. They give it back before they
 * touch user memory, so that the wait is short.
 *
 * Context: May sleep. Cannot fail.
 */
void iommufd_object_end(struct iommufd_ctx *ctx, struct iommufd_object *object)
{
	IOMMUFD_ASSERT(!(atomic_long_read(&object->refs) & OBJECT_USES));
	atomic_long_or(OBJECT_DYING, &object->refs);
	wait_var_event(&object->refs, !object_held(object));
	object_free(ctx, object);
}

/**
 * iommufd_objects_close() - end whatever is left when the file is closed
 * @ctx: the context, which no command and no driver uses any more
 *
 * Context: May sleep.
 */
void iommufd_objects_close(struct iommufd_ctx *ctx)
{
	struct iommufd_object *object;
	unsigned long id;
	bool progress;

	/* Each round ends what nothing depends on: uses have no cycles. */
	do {
		progress = false;
		xa_for_each(&ctx->objects, id, object) {
			cond_resched();
			if (object_classes[object->type].driver_owned ||
			    atomic_long_read(&object->refs) & OBJECT_USES)
				continue;
			object_free(ctx, object);
			progress = true;
		}
	} while (progress);
	WARN_ON_ONCE(!xa_empty(&ctx->objects));
	xa_destroy(&ctx->objects);
}
