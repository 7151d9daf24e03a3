// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write to text through an alias that no other hart can reach.
 */

/**
 * DOC: text alias
 *
 * Kernel text, and all that mm/execmem_cache.c gives away, is read-only, and so
 * is its alias in the direct map. It is written through a second alias, which
 * is in no other page table than that of an mm of its own, in the half of user
 * space. A hart that writes has this mm loaded, with interrupts disabled, for
 * as long as it takes to write to a few pages. Only one hart does so at a time.
 * Thus no other hart can write through the alias, nor can it cache it, and
 * taking it down needs no more than a fence on this hart.
 *
 * Translations of the alias have ASID 0, which no process has if there is an
 * ASID allocator: those of the interrupted process stay cached. Without an
 * allocator every process has ASID 0, and init_mm always has it. Then what the
 * hart has cached of the tables of either mm must not be used with those of the
 * other. Fencing one address would not be enough for that, as it orders leaf
 * entries alone.
 *
 * The half of the kernel is the same in all page tables, see pgd_prealloc.c:
 * stack, source and traps work as ever.
 *
 * The text that is written may be that of any function of the kernel. Between
 * the first store and the fence.i, this hart may fetch a mixture of old and new
 * instructions from it. For as long, it executes text_alias_write_pages() only,
 * which calls nothing: the function tracer, kprobes and sanitizers stay out of
 * it. That is also why the lock is an arch_spinlock_t.
 */

#include <linux/cacheflush.h>
#include <linux/compiler.h>
#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/kmemleak.h>
#include <linux/kprobes.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pfn.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <asm/csr.h>
#include <asm/text_alias.h>
#include <asm/unaligned.h>

/*
 * Pages that are written at once, with interrupts disabled. Two are enough for
 * an instruction that crosses from one page into the next.
 */
#define ALIAS_PAGES	4

/*
 * Any address of user space from which on one page table maps ALIAS_PAGES.
 * Nothing else is ever mapped in this mm.
 */
#define ALIAS_ADDR	PMD_SIZE

/* The page-table entries of the alias, and the satp of its mm */
static pte_t *alias_ptes __ro_after_init;
static unsigned long alias_satp __ro_after_init;
/* Held while the alias exists */
static arch_spinlock_t alias_lock = __ARCH_SPIN_LOCK_UNLOCKED;

static int __init set_alias_ptes(pte_t *pte, unsigned long addr, void *data)
{
	if (addr == ALIAS_ADDR)
		alias_ptes = pte;

	return 0;
}

/**
 * poking_init - prepare the mm of the alias
 *
 * Context: boot, single hart, after pgtable_cache_init(). Nothing may have to
 * be allocated when there is something to write.
 */
void __init poking_init(void)
{
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		panic("No memory to write to kernel text\n");
	/* It stays, but nothing points to it: satp has the number of a page */
	kmemleak_not_leak(mm);

	alias_satp = virt_to_pfn(mm->pgd) | satp_mode;
	if (apply_to_page_range(mm, ALIAS_ADDR, ALIAS_PAGES * PAGE_SIZE,
				set_alias_ptes, NULL))
		panic("No memory to write to kernel text\n");
}

/**
 * text_alias_ready - whether text_alias_write() can be used yet
 *
 * Return: false early in boot, true from then on.
 */
bool text_alias_ready(void)
{
	return alias_ptes;
}

/* Drop what this hart has cached with ASID 0, of all levels of the page table */
static __always_inline void asid_0_fence(void)
{
	asm volatile ("sfence.vma x0, %0" : : "r" (0) : "memory");
}

/*
 * An aligned instruction is written with one store: a hart that executes it
 * meanwhile fetches the old one or the new one. The stores are volatile because
 * the compiler would call memcpy() for a loop of others.
 */
static __always_inline void write_alias(void *dst, const void *src, size_t len)
{
	unsigned long to = (unsigned long)dst;

	if (len == sizeof(u16) && IS_ALIGNED(to, sizeof(u16))) {
		WRITE_ONCE(*(u16 *)dst, get_unaligned((const u16 *)src));
		return;
	}
	if (len == sizeof(u32) && IS_ALIGNED(to, sizeof(u32))) {
		WRITE_ONCE(*(u32 *)dst, get_unaligned((const u32 *)src));
		return;
	}
	if (len == sizeof(u64) && IS_ALIGNED(to, sizeof(u64))) {
		WRITE_ONCE(*(u64 *)dst, get_unaligned((const u64 *)src));
		return;
	}

	if (IS_ALIGNED(to - (unsigned long)src, sizeof(u64))) {
		for (; len && !IS_ALIGNED((unsigned long)dst, sizeof(u64)); len--)
			WRITE_ONCE(*(u8 *)dst++, *(const u8 *)src++);
		for (; len >= sizeof(u64); len -= sizeof(u64)) {
			WRITE_ONCE(*(u64 *)dst, *(const u64 *)src);
			dst += sizeof(u64);
			src += sizeof(u64);
		}
	}
	for (; len; len--)
		WRITE_ONCE(*(u8 *)dst++, *(const u8 *)src++);
}

/*
 * Write to the pages of @ptes, from @offset of the first one on.
 *
 * Everything here is inlined, see above. raw_local_irq_save() does not tell the
 * irq tracer, and arch_spin_lock() does not tell lockdep. A page fault at @src,
 * which may be a new mapping, is handled by kernel/entry-lazy-fence.S alone.
 */
static noinstr void text_alias_write_pages(const pte_t *ptes, unsigned int nr,
					   unsigned int offset, const void *src,
					   size_t len)
{
	unsigned long flags, satp;
	unsigned int i;

	raw_local_irq_save(flags);
	arch_spin_lock(&alias_lock);

	for (i = 0; i < nr; i++)
		WRITE_ONCE(alias_ptes[i], ptes[i]);
	satp = csr_read(CSR_SATP);
	csr_write(CSR_SATP, alias_satp);
	asid_0_fence();

	write_alias((void *)ALIAS_ADDR + offset, src, len);
	/* Before this hart executes anything else, as the unlock below */
	local_flush_icache_all();

	for (i = 0; i < nr; i++)
		WRITE_ONCE(alias_ptes[i], __pte(0));
	asid_0_fence();
	csr_write(CSR_SATP, satp);
	/*
	 * Since the last fence this hart may have walked the tables of the alias
	 * once more, and have cached those that are not leaves.
	 */
	if (!(satp & (SATP_ASID_MASK << SATP_ASID_SHIFT)))
		asid_0_fence();

	arch_spin_unlock(&alias_lock);
	raw_local_irq_restore(flags);
}

static struct page *text_page(unsigned long addr)
{
	if (is_kernel_mapping(addr))
		return phys_to_page(__pa_symbol(addr));

	return vmalloc_to_page((void *)addr);
}

NOKPROBE_SYMBOL(text_page);

/**
 * text_alias_write - write to text, or to other memory of the kernel
 * @dst: in the kernel image, the module window or the vmalloc space
 * @src: what to write
 * @len: bytes to write, any number
 *
 * A hart sees it as any other store. This hart has executed a fence.i before it
 * executes anything that may have been written, if @len is at most three pages.
 * To execute it, other harts need a fence.i afterwards. They may see the bytes
 * one by one, unless there are two, four or eight of them and @dst is a multiple
 * of that.
 *
 * Context: any, after poking_init().
 *
 * Return: 0; -EFAULT at a page that is not mapped, pages before it may have been
 * written.
 */
int text_alias_write(void *dst, const void *src, size_t len)
{
	unsigned long addr = (unsigned long)dst;

	while (len) {
		unsigned int offset = offset_in_page(addr);
		size_t part = min_t(size_t, len, ALIAS_PAGES * PAGE_SIZE - offset);
		unsigned int i, nr = PFN_UP(offset + part);
		pte_t ptes[ALIAS_PAGES];

		for (i = 0; i < nr; i++) {
			struct page *page = text_page(addr - offset + i * PAGE_SIZE);

			if (!page)
				return -EFAULT;
			/* Not global: that would make it valid in all address spaces */
			ptes[i] = pfn_pte(page_to_pfn(page),
					  __pgprot(pgprot_val(PAGE_KERNEL) & ~_PAGE_GLOBAL));
		}

		text_alias_write_pages(ptes, nr, offset, src, part);
		addr += part;
		src += part;
		len -= part;
	}

	/* flush_icache_range() interrupts other harts: they have to see it then */
	smp_mb();

	return 0;
}

NOKPROBE_SYMBOL(text_alias_write);

#ifdef CONFIG_EXECMEM_ROX
/**
 * execmem_arch_fill - fill writable memory with trapping instructions
 * @ptr: first address, a multiple of two
 * @size: bytes
 *
 * An instruction of 16 or more zero bits is defined to be illegal.
 */
void execmem_arch_fill(void *ptr, size_t size)
{
	memset(ptr, 0, size);
	/* flush_icache_range() interrupts other harts: they have to see it then */
	smp_mb();
}

/**
 * execmem_arch_write - write to memory of the cache
 * @dst: what to write to
 * @src: what to write
 * @size: bytes to write
 *
 * Return: 0; -EFAULT if @dst is not mapped.
 */
int execmem_arch_write(void *dst, const void *src, size_t size)
{
	return text_alias_write(dst, src, size);
}
#endif
