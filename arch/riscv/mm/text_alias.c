// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write to text through an alias that no other hart can reach.
 */

/**
 * DOC: text alias
 *
 * Kernel text is mapped read-only, and so is its alias in the direct map. Text
 * is written through a second alias. This alias is in the page table of a
 * separate mm, at addresses of user space, and in no other page table. The hart
 * that writes disables interrupts, loads this mm, writes to a few pages, and
 * loads the previous mm again. One hart at a time does so. So no other hart can
 * write through the alias or cache its translations, and a fence on this hart is
 * enough to take the alias down.
 *
 * The memory that mm/execmem_cache.c hands out is read-only as well. It is
 * written in the same way.
 *
 * Translations of the alias have ASID 0. If there is an ASID allocator, no
 * process has ASID 0, and the translations of the interrupted process stay
 * cached. Without an allocator every process has ASID 0, and init_mm always has
 * it. Then entries that this hart has cached from the page table of one mm must
 * not be used with the other mm. A fence for one address would not be enough,
 * because it covers leaf entries only.
 *
 * The kernel's half is the same in all page tables, see pgd_prealloc.c: the
 * stack, the source of the copy and traps work as usual.
 *
 * The text that is written can belong to any function of the kernel. Between
 * the first store and the fence.i, this hart may fetch a mixture of old and new
 * instructions. So in between it executes text_alias_write_pages() or
 * text_alias_write_page() only. They call no other function, and the function
 * tracer, kprobes and sanitizers do not instrument them. The lock is an
 * arch_spinlock_t for the same reason.
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
#include <asm/patch.h>
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

/* Page-table entries of the alias, and the value of satp for its mm */
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
 * All page tables are allocated here, because text_alias_write() must not
 * allocate.
 *
 * Context: boot, on one hart, after pgtable_cache_init().
 */
void __init poking_init(void)
{
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		panic("No memory to write to kernel text\n");
	/*
	 * The mm stays for ever, but only satp refers to it, by a page number
	 */
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

/*
 * Make this hart forget all entries with ASID 0, of all levels of the page
 * table
 */
static __always_inline void asid_0_fence(void)
{
	asm volatile ("sfence.vma x0, %0" : : "r" (0) : "memory");
}

/*
 * Copy @len bytes. An aligned instruction is written with one store: a hart
 * that executes it meanwhile fetches either the old or the new one. All stores
 * are volatile, because the compiler would turn a loop of plain stores into a
 * call of memcpy().
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
 * Map @nr pages, for this hart alone. @satp is for alias_unmap(). Interrupts are
 * disabled.
 */
static __always_inline void alias_map(const pte_t *ptes, unsigned int nr,
				      unsigned long *satp)
{
	unsigned int i;

	arch_spin_lock(&alias_lock);

	for (i = 0; i < nr; i++)
		WRITE_ONCE(alias_ptes[i], ptes[i]);
	*satp = csr_read(CSR_SATP);
	csr_write(CSR_SATP, alias_satp);
	asid_0_fence();
}

static __always_inline void alias_unmap(unsigned int nr, unsigned long satp)
{
	unsigned int i;

	/* The code below may be what was written: fence before executing it */
	local_flush_icache_all();

	for (i = 0; i < nr; i++)
		WRITE_ONCE(alias_ptes[i], __pte(0));
	asid_0_fence();
	csr_write(CSR_SATP, satp);
	/*
	 * After the fence above and before satp was written, this hart may have
	 * cached non-leaf entries of the alias again.
	 */
	if (!(satp & (SATP_ASID_MASK << SATP_ASID_SHIFT)))
		asid_0_fence();

	arch_spin_unlock(&alias_lock);
}

/*
 * Write to the pages of @ptes, from @offset of the first one on.
 *
 * This function calls no other, see "text alias" above: raw_local_irq_save()
 * does not call the irq tracer, and arch_spin_lock() does not call lockdep.
 * @src may be a new mapping that this hart cannot see yet. The page fault is
 * then handled in kernel/entry-lazy-fence.S alone.
 */
static noinstr void text_alias_write_pages(const pte_t *ptes, unsigned int nr,
					   unsigned int offset, const void *src,
					   size_t len)
{
	unsigned long flags, satp;

	raw_local_irq_save(flags);
	alias_map(ptes, nr, &satp);
	write_alias((void *)ALIAS_ADDR + offset, src, len);
	alias_unmap(nr, satp);
	raw_local_irq_restore(flags);
}

/* The same for words of one page */
static noinstr void text_alias_write_page(pte_t pte, const struct patch_insn *insns,
					  unsigned int nr)
{
	unsigned long flags, satp;

	raw_local_irq_save(flags);
	alias_map(&pte, 1, &satp);
	for (; nr; nr--, insns++)
		WRITE_ONCE(*(u32 *)(ALIAS_ADDR + offset_in_page(insns->addr)), insns->insn);
	alias_unmap(1, satp);
	raw_local_irq_restore(flags);
}

static struct page *text_page(unsigned long addr)
{
	if (is_kernel_mapping(addr))
		return phys_to_page(__pa_symbol(addr));

	return vmalloc_to_page((void *)addr);
}

NOKPROBE_SYMBOL(text_page);

static pte_t alias_pte(struct page *page)
{
	/* A global entry would be valid in all address spaces */
	return pfn_pte(page_to_pfn(page), __pgprot(pgprot_val(PAGE_KERNEL) & ~_PAGE_GLOBAL));
}

NOKPROBE_SYMBOL(alias_pte);

/**
 * text_alias_write - write to text or to other memory of the kernel
 * @dst: address in the kernel image, the module window or the vmalloc space
 * @src: bytes to write
 * @len: number of bytes, without a limit
 *
 * If @len is at most three pages, this hart executes a fence.i before it
 * executes anything that may have been written. Other harts need a fence.i
 * before they execute it. If @len is two, four or eight and @dst is a multiple
 * of @len, other harts see all bytes change at once; else they may see them
 * change one by one.
 *
 * Context: any, after poking_init().
 *
 * Return: 0, or -EFAULT if a page is not mapped. Pages before it may have been
 * written then.
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
			ptes[i] = alias_pte(page);
		}

		text_alias_write_pages(ptes, nr, offset, src, part);
		addr += part;
		src += part;
		len -= part;
	}

	/*
	 * Before flush_icache_range() interrupts other harts, they must see the
	 * stores
	 */
	smp_mb();

	return 0;
}

NOKPROBE_SYMBOL(text_alias_write);

/**
 * text_alias_write_insns - write words to text
 * @insns: where and what
 * @nr: how many
 *
 * As text_alias_write(), for each of them; the alias is made once for neighbours
 * in @insns that are in the same page. Interrupts are disabled while they are
 * written: do not give too many.
 *
 * Context: any, after poking_init().
 *
 * Return: 0, or -EFAULT if a page is not mapped. Words before it have been
 * written then.
 */
int text_alias_write_insns(const struct patch_insn *insns, unsigned int nr)
{
	while (nr) {
		unsigned long addr = (unsigned long)insns->addr & PAGE_MASK;
		struct page *page = text_page(addr);
		unsigned int n = 1;

		if (!page)
			return -EFAULT;

		while (n < nr && ((unsigned long)insns[n].addr & PAGE_MASK) == addr)
			n++;
		text_alias_write_page(alias_pte(page), insns, n);
		insns += n;
		nr -= n;
	}

	/* See text_alias_write(). */
	smp_mb();

	return 0;
}

NOKPROBE_SYMBOL(text_alias_write_insns);

#ifdef CONFIG_EXECMEM_ROX
/**
 * execmem_arch_fill - fill writable memory with trapping instructions
 * @ptr: first address, a multiple of two
 * @size: bytes
 *
 * The architecture defines an instruction of 16 zero bits as illegal.
 */
void execmem_arch_fill(void *ptr, size_t size)
{
	memset(ptr, 0, size);
	/*
	 * Before flush_icache_range() interrupts other harts, they must see the
	 * stores
	 */
	smp_mb();
}

/**
 * execmem_arch_write - write to memory of the cache
 * @dst: address in a block of the cache
 * @src: bytes to write
 * @size: number of bytes
 *
 * Return: 0; -EFAULT if @dst is not mapped.
 */
int execmem_arch_write(void *dst, const void *src, size_t size)
{
	return text_alias_write(dst, src, size);
}
#endif
