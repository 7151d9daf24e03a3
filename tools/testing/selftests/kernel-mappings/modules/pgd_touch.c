// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shows the page table of the process that reads its files: whether it has
 * every kernel entry, and whether the process can reach kernel memory that was
 * mapped after the process was created.
 *
 * /sys/kernel/debug/pgd_touch/
 *   pgd	a line for each area: its name, and the numbers of top-level
 *		entries, of those that init_mm lacks, and of those that differ
 *		in the reader's page table
 *   vmalloc	a line for each page that was mapped when the module was loaded.
 *		Each page is in a top-level entry that nothing had used before.
 *		The line has the page's place, and the error of reading it, or 0
 *   phys	write a physical address. Reading gives the error of reading the
 *		direct map and the struct page of this address, or 0
 */
#include <linux/debugfs.h>
#include <linux/kprobes.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/csr.h>

#define MAGIC	0x70676420746f7563UL

struct area {
	const char *name;
	unsigned long start, end;
};

/* Functions that are not exported: looked up by name when the module is loaded. */
static struct {
	unsigned long (*kallsyms_lookup_name)(const char *name);
	void *(*vmalloc_node_range)(unsigned long size, unsigned long align,
				    unsigned long start, unsigned long end,
				    gfp_t gfp_mask, pgprot_t prot,
				    unsigned long vm_flags, int node,
				    const void *caller);
	long (*read_nofault)(void *dst, const void *src, size_t size);
	pgd_t *init_pgd;
} kernel;

static struct area areas[4];

static struct {
	const char *place;
	unsigned long *page;
} probes[] = { { "start" }, { "middle" }, { "end" } };

static phys_addr_t phys;
static struct dentry *dir;

/* The page table that the hart uses now, which need not be that of current->mm */
static pgd_t *reader_pgd(void)
{
	return __va(PFN_PHYS(csr_read(CSR_SATP) & SATP_PPN));
}

static int pgd_show(struct seq_file *m, void *v)
{
	pgd_t *reader = reader_pgd();
	int i;

	for (i = 0; i < ARRAY_SIZE(areas); i++) {
		size_t first = pgd_index(areas[i].start);
		size_t last = pgd_index(areas[i].end - 1);
		size_t n, absent = 0, differ = 0;

		for (n = first; n <= last; n++) {
			unsigned long val = pgd_val(READ_ONCE(kernel.init_pgd[n]));

			if (!(val & _PAGE_PRESENT))
				absent++;
			if (val != pgd_val(READ_ONCE(reader[n])))
				differ++;
		}
		seq_printf(m, "%s %zu %zu %zu\n", areas[i].name,
			   last - first + 1, absent, differ);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pgd);

static int vmalloc_show(struct seq_file *m, void *v)
{
	unsigned long value;
	long err;
	int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		err = kernel.read_nofault(&value, probes[i].page, sizeof(value));
		if (!err && value != MAGIC)
			err = -EIO;
		seq_printf(m, "%s %ld\n", probes[i].place, err);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vmalloc);

static int phys_show(struct seq_file *m, void *v)
{
	unsigned long value;
	struct page page;

	seq_printf(m, "direct-map %ld\n",
		   kernel.read_nofault(&value, __va(phys), sizeof(value)));
	seq_printf(m, "vmemmap %ld\n",
		   kernel.read_nofault(&page, pfn_to_page(PHYS_PFN(phys)), sizeof(page)));
	return 0;
}

static int phys_open(struct inode *inode, struct file *file)
{
	return single_open(file, phys_show, NULL);
}

static ssize_t phys_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	u64 value;
	int err = kstrtou64_from_user(buf, len, 0, &value);

	if (err)
		return err;
	phys = value;
	return len;
}

static const struct file_operations phys_fops = {
	.owner = THIS_MODULE,
	.open = phys_open,
	.read = seq_read,
	.write = phys_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* True if no page was ever mapped through this top-level entry. */
static bool pgd_entry_unused(size_t n)
{
	unsigned long val = pgd_val(kernel.init_pgd[n]);

	if (!(val & _PAGE_PRESENT))
		return true;
	return !memchr_inv(pfn_to_virt(__page_val_to_pfn(val)), 0, PAGE_SIZE);
}

/*
 * Map a page in the first unused top-level entry, starting at @n and going in
 * the direction of @step.
 */
static unsigned long *map_unused(size_t n, int step)
{
	size_t first = pgd_index(VMALLOC_START);
	unsigned long start, *page;

	while (!pgd_entry_unused(n)) {
		n += step;
		if (n < first || n > pgd_index(VMALLOC_END - 1))
			return NULL;
	}

	start = VMALLOC_START + (n - first) * PGDIR_SIZE;
	page = kernel.vmalloc_node_range(PAGE_SIZE, 1, start, start + PGDIR_SIZE,
					 GFP_KERNEL, PAGE_KERNEL, 0, NUMA_NO_NODE,
					 __builtin_return_address(0));
	if (page)
		*page = MAGIC;
	return page;
}

static int __init lookup_kernel(void)
{
	struct kprobe kp = { .symbol_name = "kallsyms_lookup_name" };
	struct range mappable = mhp_get_pluggable_range(true);
	unsigned long text_start, text_end;
	int err;

	/* kallsyms_lookup_name() is not exported, but a kprobe resolves any name. */
	err = register_kprobe(&kp);
	if (err)
		return err;
	kernel.kallsyms_lookup_name = (void *)kp.addr;
	unregister_kprobe(&kp);

	kernel.vmalloc_node_range = (void *)kernel.kallsyms_lookup_name("__vmalloc_node_range");
	kernel.read_nofault = (void *)kernel.kallsyms_lookup_name("copy_from_kernel_nofault");
	kernel.init_pgd = (void *)kernel.kallsyms_lookup_name("swapper_pg_dir");
	text_start = kernel.kallsyms_lookup_name("_start");
	text_end = kernel.kallsyms_lookup_name("_end");
	if (!kernel.vmalloc_node_range || !kernel.read_nofault || !kernel.init_pgd ||
	    !text_start || !text_end)
		return -ENOENT;

	areas[0] = (struct area){ "vmalloc", VMALLOC_START, VMALLOC_END };
	areas[1] = (struct area){ "modules", PAGE_ALIGN(text_end) - SZ_2G, text_start };
	areas[2] = (struct area){ "vmemmap", VMEMMAP_START, VMEMMAP_END };
	areas[3] = (struct area){
		"direct-map", PAGE_OFFSET, (unsigned long)__va(mappable.end) + 1
	};
	return 0;
}

static void unmap_probes(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		vfree(probes[i].page);
}

static int __init pgd_touch_init(void)
{
	size_t first, last;
	int err;

	err = lookup_kernel();
	if (err)
		return err;

	first = pgd_index(VMALLOC_START);
	last = pgd_index(VMALLOC_END - 1);
	probes[0].page = map_unused(first, 1);
	probes[1].page = map_unused((first + last) / 2, 1);
	probes[2].page = map_unused(last, -1);
	if (!probes[0].page || !probes[1].page || !probes[2].page) {
		unmap_probes();
		return -ENOMEM;
	}

	dir = debugfs_create_dir("pgd_touch", NULL);
	debugfs_create_file("pgd", 0400, dir, NULL, &pgd_fops);
	debugfs_create_file("vmalloc", 0400, dir, NULL, &vmalloc_fops);
	debugfs_create_file("phys", 0600, dir, NULL, &phys_fops);
	return 0;
}
module_init(pgd_touch_init);

static void __exit pgd_touch_exit(void)
{
	debugfs_remove(dir);
	unmap_probes();
}
module_exit(pgd_touch_exit);

MODULE_DESCRIPTION("Kernel page-table entries as an older process sees them");
MODULE_LICENSE("GPL");
