// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory hotplug of any range, as drivers do it when a device comes or goes.
 * In /sys/kernel/debug/hotplug_range, write "START SIZE" in bytes to these
 * files. The error of the operation is that of the write.
 *
 *   add		add_memory()
 *   add_memmap		the same, with the struct pages in the range itself
 *   remove		offline_and_remove_memory()
 *   hold		take a page of the range for the kernel
 *   hold_movable	take a page of zone Movable and do not let it move
 *			("0 0" gives all pages back)
 *   hold_reserved	the same, and mark it so that nobody tries to move it
 *   within		read a slab object in the range, within its bounds
 *   beyond		read also the byte behind it: KASAN must report this
 *   freed		read a freed page of zone Movable: the same
 *   drop		have the port drop the device whose memory it is
 *   pgd		move the PGD of this process to the range
 *
 * These files can be read:
 *
 *   tables		page tables of vmemmap and of the direct map, in pages;
 *			do not read it while memory is added or removed
 *   high_memory	end of the direct map, as a physical address
 */
#define pr_fmt(fmt) "hotplug_range: " fmt

#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pgtable.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "common.h"

/* Larger than the objects of slabs: it has its own pages and a redzone. */
#define OBJECT_SIZE	(3 * PAGE_SIZE - 64)

/* Kernels without the series, which `make bench` measures too, do not define it. */
#ifndef DIRECT_MAP_END
#define DIRECT_MAP_END	(PAGE_OFFSET + KERN_VIRT_SIZE)
#endif

static LIST_HEAD(held);

static bool page_is_in(struct page *page, u64 start, u64 size)
{
	return page_to_phys(page) >= start && page_to_phys(page) < start + size;
}

static void put_all(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		ClearPageReserved(page);
		__free_page(page);
	}
}

static int do_add(u64 start, u64 size)
{
	return add_memory(0, start, size, MHP_NONE);
}

static int do_add_memmap(u64 start, u64 size)
{
	return add_memory(0, start, size, MHP_MEMMAP_ON_MEMORY);
}

/* Free all pages that are not in the range: only the last page taken can be in it. */
static struct page *take_page(u64 start, u64 size, gfp_t gfp)
{
	LIST_HEAD(others);
	struct page *page;

	while ((page = alloc_page(gfp | __GFP_NORETRY | __GFP_NOWARN))) {
		if (page_is_in(page, start, size))
			break;
		list_add(&page->lru, &others);
	}
	put_all(&others);

	return page;
}

static int hold(u64 start, u64 size, gfp_t gfp)
{
	struct page *page;

	if (!size) {
		put_all(&held);
		return 0;
	}

	page = take_page(start, size, gfp);
	if (!page)
		return -ENOMEM;

	list_add(&page->lru, &held);
	return 0;
}

static int do_hold(u64 start, u64 size)
{
	return hold(start, size, GFP_KERNEL);
}

static int do_hold_movable(u64 start, u64 size)
{
	return hold(start, size, GFP_HIGHUSER_MOVABLE);
}

static int do_hold_reserved(u64 start, u64 size)
{
	int ret = hold(start, size, GFP_HIGHUSER_MOVABLE);

	if (!ret && size)
		SetPageReserved(list_first_entry(&held, struct page, lru));
	return ret;
}

static int read_object(u64 start, u64 size, size_t bytes)
{
	u8 *object = kmalloc(OBJECT_SIZE, GFP_KERNEL);
	unsigned int sum = 0;
	int ret = 0;
	size_t i;

	if (!object)
		return -ENOMEM;

	memset(object, 1, OBJECT_SIZE);
	if (!page_is_in(virt_to_page(object), start, size))
		ret = -ERANGE;
	for (i = 0; i < bytes && !ret; i++)
		sum += READ_ONCE(object[i]);
	kfree(object);

	return ret ?: sum >= OBJECT_SIZE ? 0 : -EIO;
}

static int do_within(u64 start, u64 size)
{
	return read_object(start, size, OBJECT_SIZE);
}

static int do_beyond(u64 start, u64 size)
{
	int ret;

	pr_err("begin expected report\n");
	ret = read_object(start, size, OBJECT_SIZE + 1);
	pr_err("end expected report\n");

	return ret;
}

static int do_freed(u64 start, u64 size)
{
	/* Away from the edges: the report also shows the shadow around the page. */
	struct page *page = take_page(start + SZ_1M, size - 2 * SZ_1M, GFP_HIGHUSER_MOVABLE);
	unsigned long *data;

	if (!page)
		return -ENOMEM;

	data = page_address(page);
	WRITE_ONCE(*data, 1);
	__free_page(page);
	pr_err("begin expected report\n");
	READ_ONCE(*data);
	pr_err("end expected report\n");

	return 0;
}

static struct pci_dev *find_device(u64 start, u64 size)
{
	struct pci_dev *dev = NULL;
	int bar;

	for_each_pci_dev(dev) {
		for (bar = 0; bar < PCI_STD_NUM_BARS; bar++) {
			if (pci_resource_start(dev, bar) == start &&
			    pci_resource_len(dev, bar) == size)
				return dev;
		}
	}

	return NULL;
}

/*
 * QEMU's port drops the device when both power and its indicator are switched
 * off. They are switched on again at once, before the kernel hears of it.
 */
static int do_drop(u64 start, u64 size)
{
	struct pci_dev *dev = find_device(start, size), *port;
	u16 control, off;

	if (!dev)
		return -ENODEV;

	port = pci_upstream_bridge(dev);
	pcie_capability_read_word(port, PCI_EXP_SLTCTL, &control);
	off = (control & ~PCI_EXP_SLTCTL_HPIE) | PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_PCC;
	pcie_capability_write_word(port, PCI_EXP_SLTCTL, off);
	pcie_capability_write_word(port, PCI_EXP_SLTCTL, control);
	pci_dev_put(dev);

	return 0;
}

/* Works on a machine with one hart. The old PGD is not freed. */
static int do_pgd(u64 start, u64 size)
{
	struct page *page = take_page(start, size, GFP_HIGHUSER_MOVABLE);
	struct mm_struct *mm = current->mm;
	unsigned long satp;

	if (!page)
		return -ENOMEM;

	preempt_disable();
	mm->pgd = memcpy(page_address(page), mm->pgd, PAGE_SIZE);
	satp = (csr_read(CSR_SATP) & ~SATP_PPN) | page_to_pfn(page);
	csr_write(CSR_SATP, satp);
	local_flush_tlb_all();
	preempt_enable();

	return 0;
}

static const struct operation {
	const char	*name;
	int		(*perform)(u64 start, u64 size);
} operations[] = {
	{ "add",	do_add },
	{ "add_memmap",	do_add_memmap },
	{ "remove",	offline_and_remove_memory },
	{ "hold",	do_hold },
	{ "hold_movable", do_hold_movable },
	{ "hold_reserved", do_hold_reserved },
	{ "within",	do_within },
	{ "beyond",	do_beyond },
	{ "freed",	do_freed },
	{ "drop",	do_drop },
	{ "pgd",	do_pgd },
};

static ssize_t operation_write(struct file *file, const char __user *buf,
			       size_t count, loff_t *pos)
{
	const struct operation *operation = file->private_data;
	u64 start, size;
	int ret;

	ret = read_two_numbers(buf, count, &start, &size) ?: operation->perform(start, size);
	return ret ?: count;
}

static const struct file_operations operation_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= operation_write,
};

/* Count a table and the tables below a part of its entries. All levels have the same entries. */
static unsigned long count_tables(const unsigned long *table, unsigned int first,
				  unsigned int last)
{
	unsigned long count = 1;
	unsigned int i;

	for (i = first; i <= last; i++) {
		pte_t entry = __pte(READ_ONCE(table[i]));

		if (pte_present(entry) && !(pte_val(entry) & _PAGE_LEAF))
			count += count_tables(pfn_to_virt(pte_pfn(entry)), 0,
					      PTRS_PER_PTE - 1);
	}

	return count;
}

static int tables_get(void *data, u64 *value)
{
	/* Modules cannot use init_mm, but all page tables have the same kernel half. */
	unsigned long *pgd = pfn_to_virt(csr_read(CSR_SATP) & SATP_PPN);

	/* Skip the vmalloc space between the two: it never frees its tables. */
	*value = count_tables(pgd, pgd_index(VMEMMAP_START), pgd_index(VMEMMAP_END - 1)) +
		 count_tables(pgd, pgd_index(PAGE_OFFSET), pgd_index(DIRECT_MAP_END - 1));
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(tables_fops, tables_get, NULL, "%llu\n");

static int high_memory_get(void *data, u64 *value)
{
	*value = __pa(high_memory - 1) + 1;
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(high_memory_fops, high_memory_get, NULL, "%llu\n");

static struct dentry *dir;

static int __init hotplug_range_init(void)
{
	unsigned int i;

	dir = debugfs_create_dir("hotplug_range", NULL);
	for (i = 0; i < ARRAY_SIZE(operations); i++)
		debugfs_create_file(operations[i].name, 0200, dir,
				    (void *)&operations[i], &operation_fops);
	debugfs_create_file("tables", 0400, dir, NULL, &tables_fops);
	debugfs_create_file("high_memory", 0400, dir, NULL, &high_memory_fops);

	return 0;
}
module_init(hotplug_range_init);

static void __exit hotplug_range_exit(void)
{
	debugfs_remove(dir);
	put_all(&held);
}
module_exit(hotplug_range_exit);

MODULE_DESCRIPTION("Memory hotplug of any range, for tests");
MODULE_LICENSE("GPL");
