// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the executable memory allocator.
 *
 * Ranges for the tests are cut from the middle of the vmalloc space, which
 * fills from its ends, so that nobody else allocates in them.
 */

#include <kunit/test.h>

#include <linux/bottom_half.h>
#include <linux/execmem.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include "execmem_internal.h"

/* An area takes its pages and one more, to guard it */
#define AREA_SIZE	(2 * PAGE_SIZE)

static struct execmem_range test_range(unsigned int nr_areas)
{
	unsigned long start = ALIGN(VMALLOC_START / 2 + VMALLOC_END / 2, SZ_4M);

	return (struct execmem_range){
		.start		= start,
		.end		= start + nr_areas * AREA_SIZE,
		.pgprot		= PAGE_KERNEL,
		.alignment	= 1,
	};
}

static void *test_alloc(const struct execmem_range *range, size_t size)
{
	return execmem_range_alloc(range, EXECMEM_DEFAULT, size,
				   __builtin_return_address(0));
}

static bool is_within(const void *ptr, unsigned long start, unsigned long end)
{
	return (unsigned long)ptr >= start && (unsigned long)ptr < end;
}

static bool same_range(const struct execmem_range *a, const struct execmem_range *b)
{
	return a->start == b->start && a->end == b->end &&
	       a->fallback_start == b->fallback_start &&
	       a->fallback_end == b->fallback_end &&
	       pgprot_val(a->pgprot) == pgprot_val(b->pgprot) &&
	       a->alignment == b->alignment && a->flags == b->flags;
}

/* Tables */

static void test_empty_ranges_inherit(struct kunit *test)
{
	struct execmem_params params = {
		.ranges[EXECMEM_DEFAULT] = test_range(8),
		.ranges[EXECMEM_BPF] = test_range(4),
	};
	const struct execmem_range *ranges = params.ranges;
	const struct execmem_range bpf = ranges[EXECMEM_BPF];
	struct execmem_range def, data;

	params.ranges[EXECMEM_DEFAULT].pgprot = PAGE_KERNEL_EXEC;
	def = ranges[EXECMEM_DEFAULT];
	data = def;
	data.pgprot = PAGE_KERNEL;

	KUNIT_ASSERT_EQ(test, execmem_params_complete(&params), 0);

	KUNIT_EXPECT_TRUE(test, same_range(&ranges[EXECMEM_DEFAULT], &def));
	KUNIT_EXPECT_TRUE(test, same_range(&ranges[EXECMEM_BPF], &bpf));
	KUNIT_EXPECT_TRUE(test, same_range(&ranges[EXECMEM_MODULE_DATA], &data));
	KUNIT_EXPECT_TRUE(test, same_range(&ranges[EXECMEM_KPROBES], &def));
	KUNIT_EXPECT_TRUE(test, same_range(&ranges[EXECMEM_FTRACE], &def));
}

/* Who inherits from a range that is served from the cache is, too, but for data */
static void test_cache_is_inherited(struct kunit *test)
{
	struct execmem_params params = {
		.ranges[EXECMEM_DEFAULT] = test_range(8),
		.ranges[EXECMEM_BPF] = test_range(8),
	};
	struct execmem_range *ranges = params.ranges;

	ranges[EXECMEM_DEFAULT].flags = EXECMEM_ROX_CACHE;
	KUNIT_ASSERT_EQ(test, execmem_params_complete(&params), 0);

	KUNIT_EXPECT_EQ(test, ranges[EXECMEM_KPROBES].flags, EXECMEM_ROX_CACHE);
	KUNIT_EXPECT_EQ(test, ranges[EXECMEM_MODULE_DATA].flags, 0);
	KUNIT_EXPECT_EQ(test, ranges[EXECMEM_BPF].flags, 0);
}

/* A table of this one BPF range, which is wrong, and a default that is not */
static void expect_refused(struct kunit *test, struct execmem_range range,
			   const char *what)
{
	struct execmem_params params = {
		.ranges[EXECMEM_DEFAULT] = test_range(8),
		.ranges[EXECMEM_BPF] = range,
	};
	const struct execmem_params before = params;
	enum execmem_type type;

	KUNIT_EXPECT_EQ_MSG(test, execmem_params_complete(&params), -EINVAL,
			    "accepted: %s", what);
	for (type = 0; type < EXECMEM_TYPE_MAX; type++)
		KUNIT_EXPECT_TRUE_MSG(test, same_range(&params.ranges[type],
						       &before.ranges[type]),
				      "changed although refused: %s", what);
}

static void test_bad_tables_are_refused(struct kunit *test)
{
	struct execmem_params empty = { };
	struct execmem_range range;

	KUNIT_EXPECT_EQ(test, execmem_params_complete(&empty), -EINVAL);

	range = test_range(8);
	range.end = range.start;
	expect_refused(test, range, "no addresses");

	range = test_range(8);
	swap(range.start, range.end);
	expect_refused(test, range, "end below start");

	range = test_range(8);
	range.alignment = 0;
	expect_refused(test, range, "no alignment");

	range = test_range(8);
	range.alignment = 3 * PAGE_SIZE;
	expect_refused(test, range, "alignment not a power of two");

	range = test_range(8);
	range.alignment = SZ_2M;
	expect_refused(test, range, "alignment larger than the range");

	range = test_range(8);
	range.pgprot = __pgprot(0);
	expect_refused(test, range, "no protection");

	range = test_range(8);
	range.fallback_start = range.end;
	expect_refused(test, range, "fallback without an end");

	range = test_range(8);
	range.fallback_start = range.end;
	range.fallback_end = range.end + PAGE_SIZE;
	range.alignment = 2 * PAGE_SIZE;
	expect_refused(test, range, "alignment larger than the fallback");

	range = test_range(8);
	range.flags = EXECMEM_ROX_CACHE;
	expect_refused(test, range, "a cache in a range that is not the default");

	range = (struct execmem_range){ .pgprot = PAGE_KERNEL, .alignment = 1 };
	expect_refused(test, range, "protection without addresses");
}

/* Allocation */

static void test_alloc_is_in_range(struct kunit *test)
{
	const struct execmem_range range = test_range(8);
	struct vm_struct *area;
	void *ptr;

	ptr = test_alloc(&range, PAGE_SIZE + 1);
	KUNIT_ASSERT_NOT_NULL(test, ptr);

	KUNIT_EXPECT_TRUE(test, is_within(ptr, range.start, range.end));
	area = find_vm_area(ptr);
	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_EXPECT_EQ(test, get_vm_area_size(area), (size_t)2 * PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, area->flags & VM_FLUSH_RESET_PERMS);

	execmem_free(ptr);
	KUNIT_EXPECT_NULL(test, find_vm_area(ptr));
}

static void test_alloc_is_aligned(struct kunit *test)
{
	struct execmem_range range = test_range(64);
	void *ptr[2];
	int i;

	range.alignment = 16 * PAGE_SIZE;

	for (i = 0; i < ARRAY_SIZE(ptr); i++) {
		ptr[i] = test_alloc(&range, PAGE_SIZE);
		KUNIT_ASSERT_NOT_NULL(test, ptr[i]);
		KUNIT_EXPECT_PTR_EQ(test, ptr[i], PTR_ALIGN(ptr[i], range.alignment));
	}
	KUNIT_EXPECT_PTR_NE(test, ptr[0], ptr[1]);

	for (i = 0; i < ARRAY_SIZE(ptr); i++)
		execmem_free(ptr[i]);
}

static void test_nothing_is_null(struct kunit *test)
{
	const struct execmem_range range = test_range(8);

	KUNIT_EXPECT_NULL(test, test_alloc(&range, 0));
	KUNIT_EXPECT_NULL(test, execmem_alloc(EXECMEM_DEFAULT, 0));
}

static void test_exhausted_is_null(struct kunit *test)
{
	const struct execmem_range range = test_range(2);
	void *ptr[3];

	ptr[0] = test_alloc(&range, PAGE_SIZE);
	ptr[1] = test_alloc(&range, PAGE_SIZE);
	KUNIT_EXPECT_NOT_NULL(test, ptr[0]);
	KUNIT_EXPECT_NOT_NULL(test, ptr[1]);

	ptr[2] = test_alloc(&range, PAGE_SIZE);
	KUNIT_EXPECT_NULL(test, ptr[2]);

	/* What is freed can be had again, lazily unmapped or not */
	execmem_free(ptr[0]);
	ptr[2] = test_alloc(&range, PAGE_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, ptr[2], ptr[0]);

	execmem_free(ptr[1]);
	execmem_free(ptr[2]);
}

static void test_fallback_takes_over(struct kunit *test)
{
	struct execmem_range range = test_range(1);
	void *ptr[3];

	range.fallback_start = range.start + SZ_4M;
	range.fallback_end = range.fallback_start + AREA_SIZE;

	ptr[0] = test_alloc(&range, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, is_within(ptr[0], range.start, range.end));

	ptr[1] = test_alloc(&range, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, is_within(ptr[1], range.fallback_start, range.fallback_end));

	ptr[2] = test_alloc(&range, PAGE_SIZE);
	KUNIT_EXPECT_NULL(test, ptr[2]);

	execmem_free(ptr[0]);
	execmem_free(ptr[1]);
}

static void test_types_are_served(struct kunit *test)
{
	enum execmem_type type;

	for (type = 0; type < EXECMEM_TYPE_MAX; type++) {
		void *ptr = execmem_alloc(type, PAGE_SIZE);

		KUNIT_EXPECT_NOT_NULL(test, ptr);
		execmem_free(ptr);
		/* A block of the cache may stay */
		if (!execmem_is_rox(type))
			KUNIT_EXPECT_NULL(test, find_vm_area(ptr));
	}
}

/* What Documentation/core-api/execmem.rst says of vmalloc's interfaces */
static void test_vmalloc_knows(struct kunit *test)
{
	enum execmem_type type;

	for (type = 0; type < EXECMEM_TYPE_MAX; type++) {
		struct vm_struct *area;
		void *ptr, *guard;
		int i;

		if (execmem_params->ranges[type].flags &
		    (EXECMEM_DIRECT_MAP | EXECMEM_ROX_CACHE))
			continue;

		ptr = execmem_alloc(type, 2 * PAGE_SIZE);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		guard = ptr + 2 * PAGE_SIZE;

		area = find_vm_area(ptr);
		KUNIT_ASSERT_NOT_NULL(test, area);
		KUNIT_EXPECT_PTR_EQ(test, kasan_reset_tag(area->addr), (const void *)ptr);
		KUNIT_EXPECT_PTR_EQ(test, find_vm_area(guard - 1), area);
		KUNIT_EXPECT_PTR_EQ(test, find_vm_area(guard), area);

		for (i = 0; i < 2; i++) {
			void *addr = ptr + i * PAGE_SIZE;
			struct page *page = vmalloc_to_page(addr);

			KUNIT_EXPECT_PTR_EQ(test, page, area->pages[i]);
			KUNIT_EXPECT_EQ(test, vmalloc_to_pfn(addr), page_to_pfn(page));
			KUNIT_EXPECT_TRUE(test, is_vmalloc_or_module_addr(addr));
		}
		KUNIT_EXPECT_NULL(test, vmalloc_to_page(guard));

		execmem_free(ptr);
		KUNIT_EXPECT_NULL(test, find_vm_area(ptr));
	}
}

/*
 * Statistics. These tests allocate for ftrace, for which nobody else does while
 * they run.
 */

static void *test_counted_alloc(const struct execmem_range *range, size_t size)
{
	return execmem_range_alloc(range, EXECMEM_FTRACE, size,
				   __builtin_return_address(0));
}

static struct execmem_stats test_stats(unsigned int type)
{
	struct execmem_stats stats;

	mutex_lock(&execmem_mutex);
	stats = execmem_stats[type];
	mutex_unlock(&execmem_mutex);

	return stats;
}

struct test_counts {
	struct execmem_stats ftrace;
	struct execmem_stats total;
};

static struct test_counts test_counts(void)
{
	return (struct test_counts){
		.ftrace	= test_stats(EXECMEM_FTRACE),
		.total	= test_stats(EXECMEM_TYPE_MAX),
	};
}

static void expect_moved(struct kunit *test, const struct execmem_stats *before,
			 const struct execmem_stats *now, unsigned long live,
			 unsigned long asked, unsigned long used,
			 unsigned long failed)
{
	KUNIT_EXPECT_EQ(test, now->live, before->live + live);
	KUNIT_EXPECT_EQ(test, now->asked, before->asked + asked);
	KUNIT_EXPECT_EQ(test, now->used, before->used + used);
	KUNIT_EXPECT_EQ(test, now->failed, before->failed + failed);
}

/* There is this much more than before, of the type and of all together */
static void expect_counts(struct kunit *test, const struct test_counts *before,
			  unsigned long live, unsigned long asked,
			  unsigned long used, unsigned long failed)
{
	const struct test_counts now = test_counts();

	expect_moved(test, &before->ftrace, &now.ftrace, live, asked, used, failed);
	expect_moved(test, &before->total, &now.total, live, asked, used, failed);
}

static void test_counts_follow(struct kunit *test)
{
	const struct execmem_range range = test_range(8);
	const struct test_counts before = test_counts();
	void *ptr[2];

	ptr[0] = test_counted_alloc(&range, 1);
	KUNIT_ASSERT_NOT_NULL(test, ptr[0]);
	expect_counts(test, &before, 1, 1, PAGE_SIZE, 0);

	ptr[1] = test_counted_alloc(&range, PAGE_SIZE + 1);
	KUNIT_ASSERT_NOT_NULL(test, ptr[1]);
	expect_counts(test, &before, 2, PAGE_SIZE + 2, 3 * PAGE_SIZE, 0);

	execmem_free(ptr[0]);
	expect_counts(test, &before, 1, PAGE_SIZE + 1, 2 * PAGE_SIZE, 0);
	execmem_free(ptr[1]);
	expect_counts(test, &before, 0, 0, 0, 0);
}

static void test_peak_stays(struct kunit *test)
{
	struct execmem_stats before = test_stats(EXECMEM_FTRACE), now;
	struct execmem_range range = test_range(1);
	size_t size;
	void *ptr;

	/* Less than ever leaves it alone, more than ever raises it */
	size = before.peak - before.used + PAGE_SIZE;
	range.end = range.start + size + PAGE_SIZE;
	if (size > PAGE_SIZE) {
		ptr = test_counted_alloc(&range, size - PAGE_SIZE);
		KUNIT_ASSERT_NOT_NULL(test, ptr);
		KUNIT_EXPECT_EQ(test, test_stats(EXECMEM_FTRACE).peak, before.peak);
		execmem_free(ptr);
	}

	ptr = test_counted_alloc(&range, size);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	now = test_stats(EXECMEM_FTRACE);
	KUNIT_EXPECT_EQ(test, now.peak, before.peak + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, now.peak, now.used);

	execmem_free(ptr);
	KUNIT_EXPECT_EQ(test, test_stats(EXECMEM_FTRACE).peak, now.peak);
}

static void test_failure_counts(struct kunit *test)
{
	const struct execmem_range range = test_range(1);
	const struct test_counts before = test_counts();
	void *ptr;

	/* To ask for nothing is not a failure of the allocator's */
	KUNIT_EXPECT_NULL(test, test_counted_alloc(&range, 0));
	expect_counts(test, &before, 0, 0, 0, 0);

	KUNIT_EXPECT_NULL(test, test_counted_alloc(&range, 2 * AREA_SIZE));
	expect_counts(test, &before, 0, 0, 0, 1);

	ptr = test_counted_alloc(&range, PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, ptr);
	KUNIT_EXPECT_NULL(test, test_counted_alloc(&range, PAGE_SIZE));
	expect_counts(test, &before, 1, PAGE_SIZE, PAGE_SIZE, 2);

	execmem_free(ptr);
	expect_counts(test, &before, 0, 0, 0, 2);
}

static void test_fallback_counts_once(struct kunit *test)
{
	const struct test_counts before = test_counts();
	struct execmem_range range = test_range(1);
	void *ptr[2];

	range.fallback_start = range.start + SZ_4M;
	range.fallback_end = range.fallback_start + AREA_SIZE;

	/* A first try that fails and a second that does not are no failure */
	ptr[0] = test_counted_alloc(&range, PAGE_SIZE);
	ptr[1] = test_counted_alloc(&range, PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, ptr[0]);
	KUNIT_ASSERT_NOT_NULL(test, ptr[1]);
	expect_counts(test, &before, 2, 2 * PAGE_SIZE, 2 * PAGE_SIZE, 0);

	/* Two that fail are one, and what is allocated is still known */
	KUNIT_EXPECT_NULL(test, test_counted_alloc(&range, PAGE_SIZE));
	expect_counts(test, &before, 2, 2 * PAGE_SIZE, 2 * PAGE_SIZE, 1);

	execmem_free(ptr[1]);
	expect_counts(test, &before, 1, PAGE_SIZE, PAGE_SIZE, 1);
	execmem_free(ptr[0]);
	expect_counts(test, &before, 0, 0, 0, 1);
	KUNIT_EXPECT_NULL(test, find_vm_area(ptr[0]));
	KUNIT_EXPECT_NULL(test, find_vm_area(ptr[1]));
}

/*
 * Freeing. Each of these makes execmem_free() warn once, on purpose. The lines
 * around it tell whoever reads the console.
 */

static void free_with_warning(void *ptr)
{
	pr_info("execmem_kunit: begin expected warning\n");
	execmem_free(ptr);
	pr_info("execmem_kunit: end expected warning\n");
}

static void test_free_null(struct kunit *test)
{
	execmem_free(NULL);
	KUNIT_SUCCEED(test);
}

static void test_free_foreign(struct kunit *test)
{
	char *ptr = vmalloc(PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	*ptr = 42;
	free_with_warning(ptr);

	KUNIT_EXPECT_NOT_NULL(test, find_vm_area(ptr));
	KUNIT_EXPECT_EQ(test, *ptr, 42);
	vfree(ptr);
}

static void test_free_inside(struct kunit *test)
{
	const struct execmem_range range = test_range(8);
	void *ptr = test_alloc(&range, 2 * PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	free_with_warning(ptr + PAGE_SIZE);

	KUNIT_EXPECT_NOT_NULL(test, find_vm_area(ptr));
	execmem_free(ptr);
}

static void test_free_twice(struct kunit *test)
{
	const struct execmem_range range = test_range(8);
	void *ptr = test_alloc(&range, PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, ptr);
	execmem_free(ptr);
	free_with_warning(ptr);
	KUNIT_EXPECT_NULL(test, find_vm_area(ptr));
}

static void test_free_in_interrupt(struct kunit *test)
{
	const struct execmem_range range = test_range(8);
	void *ptr = test_alloc(&range, PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, ptr);

	/* in_interrupt() covers code that excludes softirqs */
	local_bh_disable();
	free_with_warning(ptr);
	local_bh_enable();

	KUNIT_EXPECT_NOT_NULL(test, find_vm_area(ptr));
	execmem_free(ptr);
	KUNIT_EXPECT_NULL(test, find_vm_area(ptr));
}

static struct kunit_case execmem_test_cases[] = {
	KUNIT_CASE(test_empty_ranges_inherit),
	KUNIT_CASE(test_cache_is_inherited),
	KUNIT_CASE(test_bad_tables_are_refused),
	KUNIT_CASE(test_alloc_is_in_range),
	KUNIT_CASE(test_alloc_is_aligned),
	KUNIT_CASE(test_nothing_is_null),
	KUNIT_CASE(test_exhausted_is_null),
	KUNIT_CASE(test_fallback_takes_over),
	KUNIT_CASE(test_types_are_served),
	KUNIT_CASE(test_vmalloc_knows),
	KUNIT_CASE(test_counts_follow),
	KUNIT_CASE(test_peak_stays),
	KUNIT_CASE(test_failure_counts),
	KUNIT_CASE(test_fallback_counts_once),
	KUNIT_CASE(test_free_null),
	KUNIT_CASE(test_free_foreign),
	KUNIT_CASE(test_free_inside),
	KUNIT_CASE(test_free_twice),
	KUNIT_CASE(test_free_in_interrupt),
	{}
};

static struct kunit_suite execmem_test_suite = {
	.name		= "execmem",
	.test_cases	= execmem_test_cases,
};

kunit_test_suite(execmem_test_suite);
