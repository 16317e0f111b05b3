// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is charged for pinned pages.
 *
 * DOC: accounts
 *
 * Whoever maps memory is charged for what of it gets pinned: the user or the
 * mm of the process, as the context's RLIMIT_MODE says. An account keeps the
 * two, so that neither fork nor exec nor exit changes who is uncharged, and is
 * shared by all sources that the same process makes.
 *
 * CHANGE_PROCESS moves the charges of every source to the caller at once. Each
 * source counts what it is charged for. The new account is charged for the sum
 * first, less what counts against the same limit already. That may have to wait
 * for the lock of its mm, and so happens with no lock held; only if the sum has
 * not grown meanwhile do the sources change their account, all of them in one
 * critical section. A charge that was on its way finds that its source has
 * changed, and is made again.
 *
 * What a process could do without a limit when it mapped the memory is not
 * charged to anybody, and does not move.
 */
#include <linux/capability.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "iommufd_private.h"

/* Accounts ---------------------------------------------------------------- */

static void settle(struct work_struct *work)
{
	struct pin_account *account =
		container_of(work, struct pin_account, settle_work);

	mmap_write_lock(account->mm);
	account->mm->locked_vm -= atomic_long_xchg(&account->nr_unsettled, 0);
	mmap_write_unlock(account->mm);
	pin_account_put(account);
}

static struct pin_account *account_new(enum account_mode mode)
{
	struct pin_account *account;

	if (!current->mm)
		return ERR_PTR(-EINVAL);
	account = kzalloc_obj(*account, GFP_KERNEL_ACCOUNT);
	if (!account)
		return ERR_PTR(-ENOMEM);
	kref_init(&account->kref);
	account->mode = mode;
	account->user = get_uid(current_user());
	account->task = get_task_struct(current->group_leader);
	account->mm = current->mm;
	mmgrab(account->mm);
	INIT_WORK(&account->settle_work, settle);
	return account;
}

static void account_free(struct kref *kref)
{
	struct pin_account *account =
		container_of(kref, struct pin_account, kref);

	mmdrop(account->mm);
	put_task_struct(account->task);
	free_uid(account->user);
	kfree(account);
}

/**
 * pin_account_put() - stop using an account
 * @account: the account, or NULL
 *
 * Context: May sleep.
 */
void pin_account_put(struct pin_account *account)
{
	if (account)
		kref_put(&account->kref, account_free);
}

static bool account_is_mine(const struct pin_account *account,
			    enum account_mode mode)
{
	return account && account->mode == mode &&
	       account->mm == current->mm &&
	       account->task == current->group_leader &&
	       account->user == current_user();
}

/* The current process's account, which it mostly has from the time before. */
static struct pin_account *account_of_current(struct iommufd_ctx *ctx,
					      enum account_mode mode)
{
	struct pin_account *account, *old;

	lockdep_assert_held(&ctx->account_lock);
	old = ctx->account;
	if (account_is_mine(old, mode)) {
		kref_get(&old->kref);
		return old;
	}
	account = account_new(mode);
	if (IS_ERR(account))
		return account;
	kref_get(&account->kref);
	ctx->account = account;
	pin_account_put(old);
	return account;
}

/* Charging ---------------------------------------------------------------- */

static int charge_user(struct pin_account *account, unsigned long nr,
		       unsigned long limit)
{
	long locked = atomic_long_read(&account->user->locked_vm);

	do {
		if (nr > limit || locked > limit - nr)
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(&account->user->locked_vm, &locked,
					  locked + nr));
	return 0;
}

static int charge_mm(struct pin_account *account, unsigned long nr,
		     unsigned long limit)
{
	struct mm_struct *mm = account->mm;
	int error = 0;

	if (mmap_write_lock_killable(mm))
		return -EINTR;
	if (nr > limit || mm->locked_vm > limit - nr)
		error = -ENOMEM;
	else
		mm->locked_vm += nr;
	mmap_write_unlock(mm);
	return error;
}

/*
 * The rule of RLIMIT_MEMLOCK is applied to the task that mapped the memory,
 * which need not be the one that makes it be pinned.
 */
static unsigned long account_limit(struct pin_account *account)
{
	return task_rlimit(account->task, RLIMIT_MEMLOCK) >> PAGE_SHIFT;
}

static int account_charge(struct pin_account *account, unsigned long nr,
			  unsigned long limit)
{
	int error;

	if (account->mode == ACCOUNT_USER)
		error = charge_user(account, nr, limit);
	else
		error = charge_mm(account, nr, limit);
	if (!error)
		atomic64_add(nr, &account->mm->pinned_vm);
	return error;
}

/*
 * Whoever has the lock of the mm may be waiting for a page that user space
 * never delivers, and a device may be on its way out: do not wait for it. The
 * wrappers of the lock have no such call; they are about VMAs, none of which
 * changes here.
 */
static void uncharge_mm(struct pin_account *account, unsigned long nr)
{
	struct rw_semaphore *mmap_lock = &account->mm->mmap_lock;

	if (down_write_trylock(mmap_lock)) {
		account->mm->locked_vm -= nr;
		up_write(mmap_lock);
		return;
	}
	atomic_long_add(nr, &account->nr_unsettled);
	kref_get(&account->kref);
	if (!queue_work(iommufd_workqueue, &account->settle_work))
		pin_account_put(account);
}

static void account_uncharge(struct pin_account *account, unsigned long nr)
{
	if (!nr)
		return;
	if (account->mode == ACCOUNT_USER)
		atomic_long_sub(nr, &account->user->locked_vm);
	else
		uncharge_mm(account, nr);
	atomic64_sub(nr, &account->mm->pinned_vm);
}

/* Sources ----------------------------------------------------------------- */

/**
 * pin_source_open_account() - settle who is charged for a source
 * @source: the source, not in use yet
 *
 * Return: 0; -EINVAL for a kernel thread, which has no memory of its own;
 * -ENOMEM.
 * Context: May sleep, but not for user memory.
 */
int pin_source_open_account(struct pin_source *source)
{
	enum account_mode mode = capable(CAP_IPC_LOCK) ?
					 ACCOUNT_NONE :
					 READ_ONCE(source->ctx->account_mode);
	struct iommufd_ctx *ctx = source->ctx;
	struct pin_account *account;

	INIT_LIST_HEAD(&source->charged_node);
	guard(mutex)(&ctx->account_lock);
	account = account_of_current(ctx, mode);
	if (IS_ERR(account))
		return PTR_ERR(account);
	source->account = account;
	source->charged = mode != ACCOUNT_NONE && !source->ops->device_memory;
	if (source->ops->tied)
		atomic_long_inc(&ctx->nr_tied_sources);
	else if (source->charged)
		list_add_tail(&source->charged_node, &ctx->charged_sources);
	return 0;
}

/**
 * pin_source_close_account() - nothing will be charged for a source any more
 * @source: the source, of which nothing is pinned
 *
 * Context: May sleep, but not for user memory.
 */
void pin_source_close_account(struct pin_source *source)
{
	IOMMUFD_ASSERT(!source->nr_charged);
	if (source->ops->tied) {
		atomic_long_dec(&source->ctx->nr_tied_sources);
	} else if (source->charged) {
		guard(mutex)(&source->ctx->account_lock);
		list_del(&source->charged_node);
	}
	pin_account_put(source->account);
}

static struct pin_account *source_account_get(struct pin_source *source)
{
	guard(mutex)(&source->ctx->account_lock);
	kref_get(&source->account->kref);
	return source->account;
}

/* Count what was charged to @account, unless it is not the right one now. */
static bool source_count(struct pin_source *source,
			 struct pin_account *account, unsigned long nr)
{
	guard(mutex)(&source->ctx->account_lock);
	if (source->account != account)
		return false;
	source->nr_charged += nr;
	return true;
}

/**
 * pin_source_charge() - charge for pages that are about to be pinned
 * @source: the source
 * @nr: how many pages
 *
 * Return: 0; -ENOMEM if RLIMIT_MEMLOCK is reached; -EINTR if the caller was
 * killed while it waited.
 * Context: Waits for the lock of the charged mm.
 */
int pin_source_charge(struct pin_source *source, unsigned long nr)
{
	struct pin_account *account;
	bool counted;
	int error;

	if (!nr || !source->charged)
		return 0;
	do {
		account = source_account_get(source);
		error = account_charge(account, nr, account_limit(account));
		counted = !error && source_count(source, account, nr);
		if (!error && !counted)
			account_uncharge(account, nr);
		pin_account_put(account);
	} while (!error && !counted);
	if (!error)
		atomic_long_add(nr, &source->ctx->nr_charged);
	return error;
}

/**
 * pin_source_uncharge() - give back what pin_source_charge() took
 * @source: the source
 * @nr: how many pages
 *
 * Context: May sleep, but not for user memory. Cannot fail.
 */
void pin_source_uncharge(struct pin_source *source, unsigned long nr)
{
	if (!nr || !source->charged)
		return;
	atomic_long_sub(nr, &source->ctx->nr_charged);
	guard(mutex)(&source->ctx->account_lock);
	source->nr_charged -= nr;
	account_uncharge(source->account, nr);
}

/* CHANGE_PROCESS ---------------------------------------------------------- */

/* Do two accounts count against the same limit? Then nothing is paid anew. */
static bool same_payer(const struct pin_account *a, const struct pin_account *b)
{
	if (a->mode != b->mode)
		return false;
	return a->mode == ACCOUNT_USER ? a->user == b->user : a->mm == b->mm;
}

/* What @account would have to be charged. */
static unsigned long sum_charges(struct iommufd_ctx *ctx,
				 struct pin_account *account)
{
	struct pin_source *source;
	unsigned long nr = 0;

	lockdep_assert_held(&ctx->account_lock);
	list_for_each_entry(source, &ctx->charged_sources, charged_node) {
		if (!same_payer(source->account, account))
			nr += source->nr_charged;
		cond_resched();
	}
	return nr;
}

/* From one account to the other; if another one pays, that is charged already. */
static void move_charge(struct pin_account *from, struct pin_account *to,
			unsigned long nr)
{
	if (!same_payer(from, to)) {
		account_uncharge(from, nr);
		return;
	}
	atomic64_add(nr, &to->mm->pinned_vm);
	atomic64_sub(nr, &from->mm->pinned_vm);
}

static void move_charges(struct iommufd_ctx *ctx, struct pin_account *account)
{
	struct pin_source *source;

	lockdep_assert_held(&ctx->account_lock);
	list_for_each_entry(source, &ctx->charged_sources, charged_node) {
		struct pin_account *old = source->account;

		kref_get(&account->kref);
		source->account = account;
		move_charge(old, account, source->nr_charged);
		pin_account_put(old);
		cond_resched();
	}
}

/*
 * Move everything if @charged pages, which were charged to @account ahead, are
 * enough. Returns how many are needed.
 */
static unsigned long try_move(struct iommufd_ctx *ctx,
			      struct pin_account *account,
			      unsigned long charged)
{
	unsigned long nr;

	guard(mutex)(&ctx->account_lock);
	nr = sum_charges(ctx, account);
	if (nr <= charged)
		move_charges(ctx, account);
	return nr;
}

static int change_account(struct iommufd_ctx *ctx, struct pin_account *account)
{
	unsigned long limit = capable(CAP_IPC_LOCK) ? ULONG_MAX :
						      account_limit(account);
	unsigned long charged = 0, needed;
	int error;

	while ((needed = try_move(ctx, account, charged)) > charged) {
		error = account_charge(account, needed - charged, limit);
		if (error) {
			account_uncharge(account, charged);
			return error;
		}
		charged = needed;
	}
	account_uncharge(account, charged - needed);
	return 0;
}

/**
 * iommufd_ioas_change_process() - IOMMU_IOAS_CHANGE_PROCESS
 * @command: the command
 *
 * Return: 0, and the caller is charged for everything that is pinned through
 * the context; -EINVAL if memory of a process is mapped, which cannot become
 * another one's; -ENOMEM if the caller's RLIMIT_MEMLOCK is too low; -EINTR;
 * -EOPNOTSUPP if the reserved field is not zero. No charge has moved on error.
 * Context: Waits for the lock of the caller's mm.
 */
int iommufd_ioas_change_process(struct iommufd_command *command)
{
	struct iommu_ioas_change_process *args = command->args;
	struct iommufd_ctx *ctx = command->ctx;
	struct pin_account *account;
	int error;

	if (args->__reserved)
		return iommufd_refuse(ctx, -EOPNOTSUPP,
				      "a reserved field is not zero", 0, 0);
	if (atomic_long_read(&ctx->nr_tied_sources))
		return iommufd_refuse(ctx, -EINVAL,
				      "memory of a process is mapped",
				      atomic_long_read(&ctx->nr_tied_sources),
				      0);
	scoped_guard(mutex, &ctx->account_lock)
		account = account_of_current(ctx, READ_ONCE(ctx->account_mode));
	if (IS_ERR(account))
		return PTR_ERR(account);
	error = change_account(ctx, account);
	pin_account_put(account);
	return error;
}
