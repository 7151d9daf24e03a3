// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the cache of read-only executable memory: what is in it, who can write
 * to it, and what vmalloc's interfaces say of it.
 */

#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/execmem.h>
#include <linux/kallsyms.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/set_memory.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "execmem_internal.h"

/* More than the tail of any text has, so that it is in a block */
#define LARGE	(PMD_SIZE - EXECMEM_ROX_ALIGN)

static int test_init(struct kunit *test)
{
	if (!execmem_is_rox(EXECMEM_BPF))
		kunit_skip(test, "there is no cache");

	return 0;
}

static void *test_alloc(struct kunit *test, size_t size)
{
	void *ptr = execmem_alloc(EXECMEM_BPF, size);

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	KUNIT_EXPECT_PTR_EQ(test, ptr, PTR_ALIGN(ptr, EXECMEM_ROX_ALIGN));

	return ptr;
}

/* @size bytes, at most a page, are instructions that trap */
static bool has_traps(struct kunit *test, const void *ptr, size_t size)
{
	void *traps = kunit_kmalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, traps);
	execmem_arch_fill(traps, size);

	return !memcmp(ptr, traps, size);
}

static void test_traps_at_first_and_afterwards(struct kunit *test)
{
	static const char text[] = "not an instruction";
	void *ptr = test_alloc(test, 256);

	KUNIT_EXPECT_TRUE(test, has_traps(test, ptr, 256));
	KUNIT_EXPECT_EQ(test, execmem_update_copy(ptr + 100, text, sizeof(text)), 0);
	KUNIT_EXPECT_FALSE(test, has_traps(test, ptr, 256));
	execmem_free(ptr);

	/* It is mapped as before, and nobody else has it meanwhile */
	KUNIT_EXPECT_TRUE(test, has_traps(test, ptr, 256));
}

static void test_writes_what_it_should(struct kunit *test)
{
	const size_t size = 3 * PAGE_SIZE;
	static const struct {
		unsigned int at, len;
	} parts[] = {
		{ 0, 1 }, { 1, 2 }, { 63, 2 }, { PAGE_SIZE - 1, 2 }, { 100, 3 * PAGE_SIZE - 200 },
		{ 7, 0 }, { 0, 3 * PAGE_SIZE },
	};
	u8 *model = kunit_kzalloc(test, size, GFP_KERNEL);
	u8 *src = kunit_kzalloc(test, size, GFP_KERNEL);
	void *ptr = test_alloc(test, size);
	unsigned int i, n;

	KUNIT_ASSERT_NOT_NULL(test, model);
	KUNIT_ASSERT_NOT_NULL(test, src);
	execmem_arch_fill(model, size);

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		for (n = 0; n < parts[i].len; n++)
			src[n] = i + n + 1;
		memcpy(model + parts[i].at, src, parts[i].len);
		KUNIT_EXPECT_EQ(test, execmem_update_copy(ptr + parts[i].at, src, parts[i].len), 0);
		KUNIT_EXPECT_EQ_MSG(test, memcmp(ptr, model, size), 0, "after part %u", i);
	}

	execmem_free(ptr);
}

static void expect_read_only(struct kunit *test, void *ptr)
{
	const u32 value = 0x12345678;
	u32 before = *(u32 *)ptr;

	KUNIT_EXPECT_EQ(test, copy_to_kernel_nofault(ptr, &value, sizeof(value)), -EFAULT);
	KUNIT_EXPECT_EQ(test, *(u32 *)ptr, before);
}

static void *alias_of(void *ptr)
{
	if (execmem_in_text_tail((unsigned long)ptr))
		return lm_alias(ptr);

	return page_address(vmalloc_to_page(ptr)) + offset_in_page(ptr);
}

static void test_nobody_writes(struct kunit *test)
{
	void *small = test_alloc(test, 64), *large = test_alloc(test, LARGE), *ptr;

	expect_read_only(test, small);
	expect_read_only(test, alias_of(small));
	/* The pages may be small ones, each with its own alias */
	for (ptr = large; ptr < large + LARGE; ptr += PAGE_SIZE) {
		expect_read_only(test, ptr);
		expect_read_only(test, alias_of(ptr));
	}

	execmem_free(large);
	execmem_free(small);
	expect_read_only(test, small);
}

/* Documentation/core-api/execmem.rst, the column of a block */
static void test_vmalloc_knows_blocks(struct kunit *test)
{
	void *ptr = test_alloc(test, LARGE);
	struct vm_struct *area = find_vm_area(ptr);
	struct page *page = vmalloc_to_page(ptr);

	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_EXPECT_TRUE(test, ptr >= area->addr && ptr + LARGE <= area->addr + area->size);
	KUNIT_EXPECT_EQ(test, get_vm_area_size(area), area->size);
	KUNIT_EXPECT_PTR_EQ(test, page, area->pages[(ptr - area->addr) >> PAGE_SHIFT]);
	KUNIT_EXPECT_EQ(test, vmalloc_to_pfn(ptr), page_to_pfn(page));
	KUNIT_EXPECT_TRUE(test, is_vmalloc_or_module_addr(ptr));
	KUNIT_EXPECT_FALSE(test, execmem_in_text_tail((unsigned long)ptr));

	execmem_free(ptr);
}

/* The column of the tail of the text */
static void test_vmalloc_knows_tail(struct kunit *test)
{
	void *ptr = test_alloc(test, 64);
	unsigned long page = (unsigned long)ptr & PAGE_MASK;

	/* Best fit takes the tail before it takes from a block that nobody uses */
	if (!execmem_in_text_tail((unsigned long)ptr)) {
		execmem_free(ptr);
		kunit_skip(test, "the tail of the text is full, or there is none");
	}

	KUNIT_EXPECT_NULL(test, find_vm_area(ptr));
	KUNIT_EXPECT_FALSE(test, is_vmalloc_or_module_addr(ptr));
	KUNIT_EXPECT_FALSE(test, core_kernel_text((unsigned long)ptr));
	KUNIT_EXPECT_FALSE(test, is_ksym_addr((unsigned long)ptr));
	/* A page within the large one in which the kernel's text is, too */
	page += IS_ALIGNED(page, PMD_SIZE) * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, set_memory_nx(page, 1), -EINVAL);

	execmem_free(ptr);
}

static unsigned long test_blocks(void)
{
	unsigned long blocks;

	mutex_lock(&execmem_mutex);
	blocks = execmem_cache_stats.blocks;
	mutex_unlock(&execmem_mutex);

	return blocks;
}

/* The same with blocks of large pages and of small ones */
static void test_one_block_stays(struct kunit *test)
{
	unsigned long before;
	void *ptr[3];
	int i;

	/* Now there is one that nobody uses */
	execmem_free(test_alloc(test, LARGE));
	before = test_blocks();

	for (i = 0; i < ARRAY_SIZE(ptr); i++)
		ptr[i] = test_alloc(test, LARGE);
	KUNIT_EXPECT_EQ(test, test_blocks(), before + 2);
	for (i = 0; i < ARRAY_SIZE(ptr); i++)
		execmem_free(ptr[i]);
	KUNIT_EXPECT_EQ(test, test_blocks(), before);

	/* And it is the one that is used next */
	execmem_free(test_alloc(test, LARGE));
	KUNIT_EXPECT_EQ(test, test_blocks(), before);
}

#define LOADERS		32
/* So many find no room that they need several blocks */
#define LOADER_SIZE	(PMD_SIZE / 8)

static DECLARE_COMPLETION(loaders_start);
static DECLARE_COMPLETION(loaders_done);

static int load(void *ptr)
{
	wait_for_completion(&loaders_start);
	*(void **)ptr = execmem_alloc(EXECMEM_BPF, LOADER_SIZE);
	complete(&loaders_done);

	return 0;
}

static unsigned long free_all(struct kunit *test, void *ptr[LOADERS])
{
	unsigned long blocks = test_blocks();
	int i;

	for (i = 0; i < LOADERS; i++) {
		KUNIT_EXPECT_NOT_NULL(test, ptr[i]);
		execmem_free(ptr[i]);
	}

	return blocks;
}

/* Many who find no room at once add as many blocks as one after the other */
static void test_no_block_too_many(struct kunit *test)
{
	unsigned long one_by_one;
	void *ptr[LOADERS];
	int i;

	for (i = 0; i < LOADERS; i++)
		ptr[i] = execmem_alloc(EXECMEM_BPF, LOADER_SIZE);
	one_by_one = free_all(test, ptr);

	memset(ptr, 0, sizeof(ptr));
	reinit_completion(&loaders_start);
	reinit_completion(&loaders_done);
	for (i = 0; i < LOADERS; i++) {
		if (IS_ERR(kthread_run(load, &ptr[i], "loader/%d", i)))
			break;
	}
	KUNIT_EXPECT_EQ(test, i, LOADERS);
	complete_all(&loaders_start);
	while (i--)
		wait_for_completion(&loaders_done);
	KUNIT_EXPECT_EQ(test, free_all(test, ptr), one_by_one);
}

static void test_more_than_a_block(struct kunit *test)
{
	const size_t size = PMD_SIZE + SZ_1M;
	unsigned long before = test_blocks();
	void *ptr = test_alloc(test, size);

	KUNIT_EXPECT_TRUE(test, has_traps(test, ptr + size - 64, 64));
	expect_read_only(test, ptr + size - sizeof(u32));
	execmem_free(ptr);
	KUNIT_EXPECT_EQ(test, test_blocks(), before);
}

static struct kunit_case execmem_cache_test_cases[] = {
	KUNIT_CASE(test_traps_at_first_and_afterwards),
	KUNIT_CASE(test_writes_what_it_should),
	KUNIT_CASE(test_nobody_writes),
	KUNIT_CASE(test_vmalloc_knows_blocks),
	KUNIT_CASE(test_vmalloc_knows_tail),
	KUNIT_CASE(test_one_block_stays),
	KUNIT_CASE(test_no_block_too_many),
	KUNIT_CASE(test_more_than_a_block),
	{}
};

static struct kunit_suite execmem_cache_test_suite = {
	.name		= "execmem_cache",
	.init		= test_init,
	.test_cases	= execmem_cache_test_cases,
};

kunit_test_suite(execmem_cache_test_suite);
