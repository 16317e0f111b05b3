/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites share that need a context: one for each test case, closed
 * when the case is over, whatever it left behind.
 *
 * A WARN of the kernel fails the case in which it appears, unless there was
 * one before: verify() reports with WARN, and so does the core.
 */
#ifndef __IOMMUFD_TESTS_MOCK_H
#define __IOMMUFD_TESTS_MOCK_H

#include <kunit/test.h>
#include <linux/anon_inodes.h>
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/msi.h>
#include <linux/panic.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "../iommufd_private.h"
#include "../selftest.h"
#include "support.h"

/**
 * struct mock_test - what each test case has
 * @test: the case
 * @file: an open /dev/iommu
 * @ctx: its context
 * @user_page: a page of user memory for replies, once mock_command() ran
 * @warned: there was a warning before the case began
 */
struct mock_test {
	struct kunit *test;
	struct file *file;
	struct iommufd_ctx *ctx;
	unsigned long user_page;
	bool warned;
};

static inline struct iommufd_ctx *mock_ctx(struct kunit *test)
{
	struct mock_test *mock = test->priv;

	return mock->ctx;
}

static inline void mock_test_close(void *data)
{
	struct mock_test *mock = data;

	/* Whoever still holds the context would close it later. */
	KUNIT_EXPECT_EQ(mock->test, 1, file_count(mock->file));
	__fput_sync(mock->file);
	if (!mock->warned)
		KUNIT_EXPECT_FALSE(mock->test, test_taint(TAINT_WARN));
}

/* A context that is closed when the case is over; NULL or ERR_PTR. */
static inline struct mock_test *mock_open(struct kunit *test)
{
	struct mock_test *mock;
	int error;

	mock = kunit_kzalloc(test, sizeof(*mock), GFP_KERNEL);
	if (!mock)
		return NULL;
	mock->test = test;
	mock->warned = test_taint(TAINT_WARN);
	mock->file = anon_inode_getfile("[iommufd]", &iommufd_fops, NULL,
					O_RDWR);
	if (IS_ERR(mock->file))
		return ERR_CAST(mock->file);
	error = iommufd_fops.open(file_inode(mock->file), mock->file);
	if (!error) {
		mock->ctx = mock->file->private_data;
		error = kunit_add_action_or_reset(test, mock_test_close, mock);
	}
	return error ? ERR_PTR(error) : mock;
}

static inline int mock_test_init(struct kunit *test)
{
	struct mock_test *mock = mock_open(test);

	if (IS_ERR_OR_NULL(mock))
		return mock ? PTR_ERR(mock) : -ENOMEM;
	test->priv = mock;
	return 0;
}

/*
 * Let a thread come to where it waits, or to its end if it does not wait as it
 * should: one that was only preempted could hide the difference.
 */
static inline void mock_wait_asleep(struct task_struct *task,
				    struct completion *done)
{
	while (task_is_running(task) && !completion_done(done))
		cond_resched();
}

/* User memory ------------------------------------------------------------- */

/* Private memory that is there, of some pages and filled with bytes. */
static inline unsigned long mock_user_memory(struct kunit *test,
					     unsigned int nr_pages, u8 byte)
{
	unsigned long length = nr_pages * PAGE_SIZE;
	unsigned long address;
	void *contents;

	contents = kunit_kmalloc(test, length, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, contents);
	memset(contents, byte, length);
	address = test_mmap(test, length, PROT_READ | PROT_WRITE);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user((void __user *)address, contents,
					      length));
	kunit_kfree(test, contents);
	return address;
}

/* Execute a command; what it answers is in @args afterwards. */
static inline int mock_command(struct kunit *test,
			       int (*execute)(struct iommufd_command *command),
			       void *args, u32 bytes)
{
	struct mock_test *mock = test->priv;
	struct iommufd_command command = {
		.ctx = mock->ctx,
		.user_bytes = bytes,
		.args = args,
	};

	if (!mock->user_page)
		mock->user_page = mock_user_memory(test, 1, 0);
	command.user_buffer = (void __user *)mock->user_page;
	return execute(&command);
}

static inline struct iommufd_ioas *mock_ioas(struct kunit *test)
{
	struct iommu_ioas_alloc args = { .size = sizeof(args) };
	struct iommufd_ioas *ioas;

	KUNIT_ASSERT_EQ(test, 0, mock_command(test, iommufd_ioas_alloc, &args,
					      sizeof(args)));
	ioas = iommufd_ioas_get(mock_ctx(test), args.out_ioas_id);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ioas);
	iommufd_object_put(mock_ctx(test), &ioas->obj);
	return ioas;
}

static inline int mock_map(struct kunit *test, struct iommufd_ioas *ioas,
			   unsigned long user, unsigned long iova,
			   unsigned long length, u32 access)
{
	struct iommu_ioas_map args = {
		.size = sizeof(args),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | access,
		.ioas_id = ioas->obj.id,
		.user_va = user,
		.length = length,
		.iova = iova,
	};

	return mock_command(test, iommufd_ioas_map, &args, sizeof(args));
}

static inline void mock_device_end(void *mock)
{
	mock_device_destroy(mock);
}

/* A device that ends with the test case, after what is made of it. */
static inline struct mock_device *mock_device(struct kunit *test, u32 group_id,
					      u32 flags)
{
	struct mock_device *mock = mock_device_create(group_id, flags);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mock);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   mock_device_end,
							   mock));
	return mock;
}

/* A vIOMMU of the mock IOMMU, on a nesting parent. */
static inline u32 mock_viommu(struct kunit *test, u32 dev_id, u32 hwpt_id)
{
	struct iommu_viommu_alloc args = {
		.size = sizeof(args),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = dev_id,
		.hwpt_id = hwpt_id,
	};

	KUNIT_ASSERT_EQ(test, 0, mock_command(test, iommufd_viommu_alloc, &args,
					      sizeof(args)));
	return args.out_viommu_id;
}

#define MOCK_RW (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

/* Interrupts -------------------------------------------------------------- */

/* Only an interrupt controller asks for doorbells, and these are built in. */
#define MOCK_HAS_MSI                                                           \
	(IS_BUILTIN(CONFIG_IOMMUFD) && IS_ENABLED(CONFIG_IRQ_MSI_IOMMU))

/* Where mock devices write, in physical memory that is not there. */
#define MOCK_DOORBELL(i) (SZ_1G + (phys_addr_t)(i) * SZ_64K)

/*
 * Set an interrupt up as its controller does. *@iova is where the device writes,
 * or 0 if that is @doorbell itself.
 */
static inline int mock_set_up_msi(struct device *dev, phys_addr_t doorbell,
				  unsigned long *iova)
{
#if MOCK_HAS_MSI
	struct msi_desc desc = { .dev = dev };
	int error;

	error = iommu_dma_prepare_msi(&desc, doorbell);
	*iova = (unsigned long)desc.iommu_msi_iova << desc.iommu_msi_shift;
	return error;
#else
	return -EOPNOTSUPP;
#endif
}

static inline void mock_need_msi(struct kunit *test)
{
	if (!MOCK_HAS_MSI)
		kunit_skip(test, "no interrupt controller would ask");
}

/* Failures on purpose ----------------------------------------------------- */

/*
 * The kernel can fail the n-th allocation of a task, but leaves out those that
 * may sleep unless it is told not to, and only debugfs can tell it.
 */
static inline void *mock_debugfs_value(const char *folder, const char *name)
{
	struct dentry *parent, *file;
	void *value = NULL;

	parent = debugfs_lookup(folder, NULL);
	if (!parent)
		return NULL;
	file = debugfs_lookup(name, parent);
	if (file)
		value = d_inode(file)->i_private;
	dput(file);
	dput(parent);
	return value;
}

struct mock_fail_setting {
	bool *ignore_wait;
	unsigned long *verbose;
	bool old_ignore_wait;
	unsigned long old_verbose;
};

static inline void mock_fail_restore(void *data)
{
	struct mock_fail_setting *setting = data;

	WRITE_ONCE(*setting->ignore_wait, setting->old_ignore_wait);
	WRITE_ONCE(*setting->verbose, setting->old_verbose);
}

static inline void mock_fail_quietly(struct kunit *test, const char *folder)
{
	struct mock_fail_setting *setting;

	setting = kunit_kzalloc(test, sizeof(*setting), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, setting);
	setting->ignore_wait = mock_debugfs_value(folder, "ignore-gfp-wait");
	setting->verbose = mock_debugfs_value(folder, "verbose");
	if (!setting->ignore_wait || !setting->verbose)
		kunit_skip(test, "%s cannot be set", folder);
	setting->old_ignore_wait = *setting->ignore_wait;
	setting->old_verbose = *setting->verbose;
	WRITE_ONCE(*setting->ignore_wait, false);
	WRITE_ONCE(*setting->verbose, 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   mock_fail_restore,
							   setting));
}

/* Skip the case if this kernel cannot fail allocations. */
static inline void mock_need_fail_nth(struct kunit *test)
{
	mock_fail_quietly(test, "failslab");
	mock_fail_quietly(test, "fail_page_alloc");
}

static inline void mock_fail_nth_begin(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

/* Whether the failure has happened; if not, there were fewer allocations. */
static inline bool mock_fail_nth_end(void)
{
	bool failed = !READ_ONCE(current->fail_nth);

	WRITE_ONCE(current->fail_nth, 0);
	return failed;
}

#endif
