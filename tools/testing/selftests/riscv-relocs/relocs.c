// SPDX-License-Identifier: GPL-2.0-only
/*
 * The relocations of a module. Each type is applied correctly, which
 * modules/module_relocs.ko checks when it is loaded. A relocation that cannot
 * be applied is refused, with one line in the log that gives the reason.
 */
#define _FILE_OFFSET_BITS 64	/* /proc/kcore has offsets beyond 2 GiB */
#include <errno.h>
#include <fcntl.h>
#include <linux/elf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define MODULE		"module_relocs"
#define KO		"modules/" MODULE ".ko"

/* Not every C library has all of these. */
enum {
	NONE = 0, ABS_32 = 1, BRANCH = 16, JAL = 17, CALL_PLT = 19, GOT_HI20 = 20,
	PCREL_HI20 = 23, PCREL_LO12_I = 24, HI20 = 26, TPREL_HI20 = 29, ALIGN = 43,
	RVC_BRANCH = 44, RVC_JUMP = 45, RELAX = 51, PCREL_32 = 57, PLT32 = 59,
	SET_ULEB128 = 60, SUB_ULEB128 = 61, UNKNOWN = 255,
	/* The types in modules/relocs_asm.S that stand in for the last three */
	PLT32_STANDIN = 32, SET_ULEB128_STANDIN = 47, SUB_ULEB128_STANDIN = 48,
};

#ifdef __LP64__
#define elf_hdr		elf64_hdr
#define elf_phdr	elf64_phdr
#define elf_shdr	elf64_shdr
#define elf_rela	elf64_rela
#define elf_sym		elf64_sym
#define SYM_SHIFT	32
#else
#define elf_hdr		elf32_hdr
#define elf_phdr	elf32_phdr
#define elf_shdr	elf32_shdr
#define elf_rela	elf32_rela
#define elf_sym		elf32_sym
#define SYM_SHIFT	8
#endif
#define R_TYPE(info)	((info) & ((1UL << SYM_SHIFT) - 1))
#define R_SYM(info)	((info) >> SYM_SHIFT)

struct image {
	char *data;
	size_t size;
};

/*
 * The next relocation of a type after @from in a section that is loaded, or the
 * first one if @from is NULL. If @symbol is not NULL, its symbol must have that
 * name.
 */
static struct elf_rela *find_after(const struct image *image, const struct elf_rela *from,
				   unsigned int type, const char *symbol)
{
	const struct elf_hdr *header = (void *)image->data;
	struct elf_shdr *sections = (void *)(image->data + header->e_shoff);
	bool behind = !from;
	size_t i, j;

	for (i = 0; i < header->e_shnum; i++) {
		struct elf_rela *relas = (void *)(image->data + sections[i].sh_offset);
		struct elf_shdr *symtab = &sections[sections[i].sh_link];
		const struct elf_sym *syms = (void *)(image->data + symtab->sh_offset);

		if (sections[i].sh_type != SHT_RELA ||
		    !(sections[sections[i].sh_info].sh_flags & SHF_ALLOC))
			continue;

		for (j = 0; j < sections[i].sh_size / sizeof(*relas); j++) {
			const char *name = image->data + sections[symtab->sh_link].sh_offset +
					   syms[R_SYM(relas[j].r_info)].st_name;

			if (behind && R_TYPE(relas[j].r_info) == type &&
			    (!symbol || !strcmp(name, symbol)))
				return &relas[j];
			behind |= &relas[j] == from;
		}
	}
	return NULL;
}

static struct elf_rela *find(const struct image *image, unsigned int type, const char *symbol)
{
	struct elf_rela *rela = find_after(image, NULL, type, symbol);

	if (!rela)
		die("%s has no relocation of type %u", KO, type);
	return rela;
}

static void set_type(struct elf_rela *rela, unsigned int type)
{
	rela->r_info += type - R_TYPE(rela->r_info);
}

static void replace_type(const struct image *image, unsigned int from, unsigned int to)
{
	struct elf_rela *rela;

	while ((rela = find_after(image, NULL, from, NULL)))
		set_type(rela, to);
}

/* Read the module's file, and replace the types that stand in for others. */
static struct image image_read(void)
{
	struct image image;

	image.data = module_read(KO, &image.size);
	replace_type(&image, PLT32_STANDIN, PLT32);
	replace_type(&image, SET_ULEB128_STANDIN, SET_ULEB128);
	replace_type(&image, SUB_ULEB128_STANDIN, SUB_ULEB128);
	return image;
}

static int image_insert(const struct image *image)
{
	return syscall(SYS_init_module, image->data, image->size, "") ? errno : 0;
}

/* A damage to the module */
struct fault {
	const char *what;
	unsigned int type;	/* the first relocation of this type ... */
	const char *symbol;	/* ... against this symbol, if not NULL ... */
	unsigned int new_type;	/* ... gets another type, or the same ... */
	long long addend;	/* ... and this is added to its addend */
	const char *says;	/* the reason in the log */
	bool only_64;		/* with 32 bits, any value fits */
};

#define RANGE "the value does not fit"

static const struct fault faults[] = {
	{ "a branch beyond 4 KiB", BRANCH, "relocs_branch_max", BRANCH, 2, "R_RISCV_BRANCH",
	  false },
	{ "a branch beyond -4 KiB", BRANCH, "relocs_branch_min", BRANCH, -2, RANGE, false },
	{ "a branch to an odd address", BRANCH, "relocs_branch_min", BRANCH, 1, RANGE, false },
	{ "a jump beyond 1 MiB", JAL, "relocs_jal_max", JAL, 2, "R_RISCV_JAL", false },
	{ "a jump beyond -1 MiB", JAL, "relocs_jal_min", JAL, -2, RANGE, false },
	{ "a compressed branch beyond 256 bytes", RVC_BRANCH, "relocs_rvc_branch_max", RVC_BRANCH,
	  2, "R_RISCV_RVC_BRANCH", false },
	{ "a compressed branch beyond -256 bytes", RVC_BRANCH, "relocs_rvc_branch_min", RVC_BRANCH,
	  -2, RANGE, false },
	{ "a compressed jump beyond 2 KiB", RVC_JUMP, "relocs_rvc_jump_max", RVC_JUMP, 2,
	  "R_RISCV_RVC_JUMP", false },
	{ "a compressed jump beyond -2 KiB", RVC_JUMP, "relocs_rvc_jump_min", RVC_JUMP, -2, RANGE,
	  false },
	{ "a jump to an undefined weak symbol", CALL_PLT, "relocs_nowhere", JAL, 0, RANGE, false },
	{ "a 32-bit value with more bits", ABS_32, NULL, ABS_32, 1LL << 32, "R_RISCV_32", true },
	{ "lui of a value with more bits", HI20, NULL, HI20, 1LL << 32, "R_RISCV_HI20", true },
	{ "auipc beyond 2 GiB", PCREL_HI20, "relocs_base", PCREL_HI20, 1LL << 32,
	  "R_RISCV_PCREL_HI20", true },
	{ "a 32-bit offset beyond 2 GiB", PCREL_32, "relocs_target", PCREL_32, 1LL << 32,
	  "R_RISCV_32_PCREL", true },
	{ "a 32-bit offset to a constant", ABS_32, NULL, PCREL_32, 0, "R_RISCV_32_PCREL", true },
	{ "LO12 without HI20", PCREL_HI20, "relocs_base", NONE, 0, "no HI20 relocation", false },
	{ "LO12 without GOT_HI20", GOT_HI20, "relocs_target", NONE, 0, "no HI20 relocation",
	  false },
	{ "a ULEB128 number with more bits", SET_ULEB128, "relocs_base", SET_ULEB128, 1,
	  "R_RISCV_SUB_ULEB128", false },
	{ "a negative ULEB128 number", SUB_ULEB128, "relocs_base", SUB_ULEB128, 128, RANGE, false },
	{ "SUB_ULEB128 alone", SET_ULEB128, NULL, NONE, 0, "R_RISCV_SUB_ULEB128", false },
	{ "SET_ULEB128 alone", SUB_ULEB128, NULL, NONE, 0, "R_RISCV_SET_ULEB128", false },
	{ "ALIGN", RELAX, NULL, ALIGN, 0, "R_RISCV_ALIGN", false },
	{ "a type that is not for modules", NONE, NULL, TPREL_HI20, 0,
	  "Unknown relocation type 29", false },
	{ "a type that does not exist", NONE, NULL, UNKNOWN, 0, "Unknown relocation type 255",
	  false },
};

/* The number of lines in the kernel's log about the module since @log was opened */
static unsigned int log_lines(int log, char *line, size_t size)
{
	char record[1024], *text;
	unsigned int lines = 0;
	ssize_t length;

	while ((length = read(log, record, sizeof(record) - 1)) > 0) {
		record[length] = 0;
		text = strchr(record, ';');
		if (!text || strncmp(text + 1, MODULE ": ", strlen(MODULE ": ")))
			continue;
		text[strcspn(text, "\n")] = 0;
		snprintf(line, size, "%s", text + 1);
		lines++;
	}
	return lines;
}

static void test_fault(const struct fault *fault)
{
	struct image image = image_read();
	char line[256] = "";
	unsigned int lines;
	struct elf_rela *rela;
	int log, err;

	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (log < 0 || lseek(log, 0, SEEK_END) < 0)
		die("/dev/kmsg: %s", strerror(errno));

	rela = find(&image, fault->type, fault->symbol);
	set_type(rela, fault->new_type);
	rela->r_addend += fault->addend;

	err = image_insert(&image);
	lines = log_lines(log, line, sizeof(line));
	if (err != ENOEXEC || lines != 1 || !strstr(line, fault->says))
		ksft_print_msg("%s, %u lines in the log, the last is '%s'\n",
			       strerror(err), lines, line);
	ksft_test_result(err == ENOEXEC && lines == 1 && strstr(line, fault->says),
			 "%s is refused, and why is in the log\n", fault->what);

	if (!err)
		module_unload(MODULE);
	close(log);
	free(image.data);
}

/* Whether /proc/kcore has the text of the module at the text's address */
static bool kcore_has_text(void)
{
	static const __u32 text[] = { 0x02a00513 /* li a0, 42 */, 0x00008067 /* ret */ };
	unsigned long at = symbol_address("relocs_target");
	__u32 found[2] = {};
	struct elf_phdr header = {};
	struct elf_hdr elf;
	bool there = false;
	unsigned int i;
	int fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, &elf, sizeof(elf), 0) != sizeof(elf))
		die("/proc/kcore: %s", strerror(errno));
	for (i = 0; i < elf.e_phnum && !there; i++) {
		if (pread(fd, &header, sizeof(header), elf.e_phoff + i * sizeof(header)) !=
		    sizeof(header))
			die("/proc/kcore: %s", strerror(errno));
		there = header.p_type == PT_LOAD && at >= header.p_vaddr &&
			at - header.p_vaddr < header.p_memsz;
	}
	if (there && pread(fd, found, sizeof(found), (off_t)header.p_offset + at -
			   header.p_vaddr) != sizeof(found))
		die("read /proc/kcore: %s", strerror(errno));
	close(fd);

	if (!there || memcmp(found, text, sizeof(text)))
		ksft_print_msg("at %#lx there is %s, %#x %#x\n", at,
			       there ? "other text" : "no segment", found[0], found[1]);
	return there && !memcmp(found, text, sizeof(text));
}

int main(void)
{
	struct stats before;
	struct image image;
	size_t i;
	int err;

	begin();
	need(STATS);
	need(KO);
	/* No fixtures: the cases are rows of a table. */
	ksft_set_plan(3 + ARRAY_SIZE(faults));
	before = stats_at_rest("total");

	image = image_read();
	err = image_insert(&image);
	if (err)
		ksft_print_msg("%s, see the kernel's log\n", strerror(err));
	ksft_test_result(!err, "relocations of all types have the right values\n");
	if (sizeof(long) == 4)
		ksft_test_result_skip("the module's text in /proc/kcore: it is vmalloc memory\n");
	else
		ksft_test_result(!err && kcore_has_text(),
				 "the module's text is in /proc/kcore\n");
	if (!err)
		module_unload(MODULE);
	free(image.data);

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (faults[i].only_64 && sizeof(long) == 4)
			ksft_test_result_skip("%s: any value fits\n", faults[i].what);
		else
			test_fault(&faults[i]);
	}
	ksft_test_result(stats_settle("total", &before), "nothing is left of what was refused\n");

	ksft_finished();
}
