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
 * as long as it takes to write to one page. Only one hart does so at a time.
 * Thus no other hart can write through the alias, nor can it cache it, and
 * taking it down needs no more than a fence on this hart.
 *
 * With an ASID allocator, translations of the alias have ASID 0, which no
 * process gets: those of the interrupted process stay cached. Without one, all
 * are of ASID 0, and what the hart has cached of the tables of either mm must
 * not be used with those of the other. Fencing one address would not be enough
 * for that, as it orders leaf entries alone.
 *
 * The half of the kernel is the same in all page tables, see pgd_prealloc.c:
 * stack, source and traps work as ever.
 */

#include <linux/compiler.h>
#include <linux/execmem.h>
#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <asm/csr.h>
#include <asm/text_alias.h>
#include <asm/tlbflush.h>
#include <asm/unaligned.h>

/* Any address of user space. Nothing else is ever mapped in this mm */
#define ALIAS_ADDR	PMD_SIZE

static struct mm_struct *alias_mm __ro_after_init;
static pte_t *alias_pte __ro_after_init;
/* Held while the alias exists */
static DEFINE_RAW_SPINLOCK(alias_lock);

static int __init set_alias_pte(pte_t *pte, unsigned long addr, void *data)
{
	alias_pte = pte;
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
	alias_mm = mm_alloc();
	if (!alias_mm ||
	    apply_to_page_range(alias_mm, ALIAS_ADDR, PAGE_SIZE, set_alias_pte, NULL))
		panic("No memory to write to kernel text\n");
}

/**
 * text_alias_ready - whether text_alias_write() can be used yet
 *
 * Return: false early in boot, true from then on.
 */
bool text_alias_ready(void)
{
	return alias_pte;
}

/* Drop what this hart has cached of the alias, and of what is in its way */
static __always_inline void alias_fence(void)
{
	if (static_branch_unlikely(&use_asid_allocator))
		asm volatile ("sfence.vma x0, %0" : : "r" (0) : "memory");
	else
		local_flush_tlb_all();
}

/*
 * What an instruction may be is written in one go where it is aligned: a hart
 * that executes it meanwhile fetches the old one or the new one. KASAN knows
 * nothing of addresses of user space.
 */
static __no_kasan_or_inline void write_alias(void *dst, const void *src, size_t len)
{
	if (len == sizeof(u16) && IS_ALIGNED((unsigned long)dst, sizeof(u16)))
		WRITE_ONCE(*(u16 *)dst, get_unaligned((const u16 *)src));
	else if (len == sizeof(u32) && IS_ALIGNED((unsigned long)dst, sizeof(u32)))
		WRITE_ONCE(*(u32 *)dst, get_unaligned((const u32 *)src));
	else
		__memcpy(dst, src, len);
}

NOKPROBE_SYMBOL(write_alias);

/* Not beyond the end of the page */
static void write_page(unsigned long pfn, unsigned int offset, const void *src,
		       size_t len)
{
	unsigned long flags, satp;

	raw_spin_lock_irqsave(&alias_lock, flags);

	/* Not global: that would make it valid in all address spaces */
	set_pte(alias_pte, pfn_pte(pfn, __pgprot(pgprot_val(PAGE_KERNEL) & ~_PAGE_GLOBAL)));
	satp = csr_read(CSR_SATP);
	csr_write(CSR_SATP, virt_to_pfn(alias_mm->pgd) | satp_mode);
	alias_fence();

	write_alias((void *)ALIAS_ADDR + offset, src, len);

	set_pte(alias_pte, __pte(0));
	alias_fence();
	csr_write(CSR_SATP, satp);
	if (!static_branch_unlikely(&use_asid_allocator))
		local_flush_tlb_all();

	raw_spin_unlock_irqrestore(&alias_lock, flags);
}

NOKPROBE_SYMBOL(write_page);

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
 * A hart sees it as any other store. To execute it, harts need a fence.i
 * afterwards. Other harts may see the bytes one by one, unless there are two or
 * four of them and @dst is a multiple of that.
 *
 * Context: any, after poking_init().
 *
 * Return: 0; -EFAULT at a page that is not mapped, the pages before it are
 * written.
 */
int text_alias_write(void *dst, const void *src, size_t len)
{
	unsigned long addr = (unsigned long)dst;

	while (len) {
		unsigned int offset = offset_in_page(addr);
		size_t part = min_t(size_t, len, PAGE_SIZE - offset);
		struct page *page = text_page(addr);

		if (!page)
			return -EFAULT;

		write_page(page_to_pfn(page), offset, src, part);
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
