// SPDX-License-Identifier: GPL-2.0-only
/*
 * The last instruction of the text is a short one at the end of a page. Without
 * the cache of read-only executable memory, a guard page follows.
 */
#include <linux/bug.h>
#include <linux/module.h>
#include <linux/mutex.h>

#include "common.h"

extern char kprobe_end_text[];

/* Results for user space */
static int offset;
module_param(offset, int, 0444);
MODULE_PARM_DESC(offset, "Of the instruction in its page, 4094");

static int probe = -1;
module_param(probe, int, 0444);
MODULE_PARM_DESC(probe, "What register_kprobe() returned, 0");

static int is_bug = -1;
module_param(is_bug, int, 0444);
MODULE_PARM_DESC(is_bug, "What is_valid_bugaddr() returned for an ebreak there, 1");

/*
 * A section without contents: the linker puts it behind the section of the PLT,
 * which would otherwise be the end of the text. Zeros are a 2-byte instruction.
 */
asm(".pushsection .kprobe_end, \"ax\", @nobits\n"
	".balign 4096\n"
	".skip 4094\n"
	".globl kprobe_end_text\n"
	".type kprobe_end_text, @function\n"
	"kprobe_end_text:\n"
	".skip 2\n"
	".size kprobe_end_text, . - kprobe_end_text\n"
	".popsection\n");

static int __init kprobe_end_init(void)
{
	unsigned long (*lookup)(const char *name) = find_kallsyms_lookup();
	struct kprobe kp = { .addr = (kprobe_opcode_t *)kprobe_end_text };
	int (*patch_text_nosync)(void *addr, const void *insns, size_t len);
	int (*is_valid_bugaddr)(unsigned long addr);
	const u16 ebreak = __BUG_INSN_16;
	/* Hold this mutex while writing to text. */
	struct mutex *text_mutex;

	if (!lookup)
		return -ENOENT;
	patch_text_nosync = (void *)lookup("patch_text_nosync");
	is_valid_bugaddr = (void *)lookup("is_valid_bugaddr");
	text_mutex = (void *)lookup("text_mutex");
	if (!patch_text_nosync || !is_valid_bugaddr || !text_mutex)
		return -ENOENT;

	offset = offset_in_page(kprobe_end_text);
	probe = register_kprobe(&kp);
	if (!probe)
		unregister_kprobe(&kp);

	mutex_lock(text_mutex);
	patch_text_nosync(kprobe_end_text, &ebreak, sizeof(ebreak));
	mutex_unlock(text_mutex);
	is_bug = is_valid_bugaddr((unsigned long)kprobe_end_text);

	return 0;
}
module_init(kprobe_end_init);

static void __exit kprobe_end_exit(void)
{
}
module_exit(kprobe_end_exit);

MODULE_DESCRIPTION("A short instruction at the end of a page");
MODULE_LICENSE("GPL");
