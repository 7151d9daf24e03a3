// SPDX-License-Identifier: GPL-2.0-only
/*
 * A QEMU plugin that counts the instructions that all harts of a 64-bit RISC-V machine
 * execute in a section of a guest program. Two marker instructions, hints without effect,
 * enclose a section:
 *
 *   slti x0, x0, 1	begin: a0 points to the section's name, a1 is the number of
 *			times that the section does its work; the plugin copies it to "out"
 *   slti x0, x0, 2	end
 *
 * The file "out" gets a line for each section, and a line "boot" for all instructions
 * until the first instruction of a user program. Its first line names the columns, which
 * are separated by tabs. A block of instructions counts as a whole when a hart enters it,
 * even if a fault ends it early. A hart that waits for an interrupt executes nothing, but a
 * hart that waits in a loop does. If QEMU runs a thread for each hart, the counts therefore
 * depend on the load of the host. With -icount they are repeatable; for several harts this
 * needs a patch of scripts/parts/qemu.
 *
 * The plugin recognises firmware calls by their registers. It needs no kernel symbols.
 *
 * If the file "map" exists when a section begins, the section runs with models of
 * instruction TLBs. The file lists the executable entries of the kernel's page table, and
 * the areas in which the plugin counts the entries that are used:
 *
 *   leaf ADDRESS SIZE
 *   area START END
 *
 * Kernel addresses without a leaf count as pages of 4 KiB. Each hart has its own TLBs:
 *
 *   full	40 entries, fully associative: the instruction TLB of SiFive's U74
 *   sets	128 entries in 4 ways, indexed by the page number for pages of all sizes:
 *		the smallest second-level TLB of T-Head's C906, used for instructions only
 *
 * Replacement is LRU. The models are simpler than hardware:
 *
 *  - They have no entries for user pages.
 *  - They have one level.
 *  - They never invalidate entries: there are no fences and no address space numbers.
 *  - They have no prefetch and no speculation.
 *  - An instruction that spans two pages uses one entry.
 *  - Entries are never combined or split.
 *
 * So the misses can compare kernels, but they do not tell the time that is lost.
 *
 * With masked=on, the column "masked" has the most instructions that a hart executed in the
 * section while its interrupts were off, without a pause. It takes twice the time. The
 * instructions of the firmware count, too.
 *
 * Usage: -plugin count.so,out=FILE[,map=FILE][,masked=on]
 */
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

#define MARK_BEGIN	0x00102013U
#define MARK_END	0x00202013U
#define ECALL		0x00000073U

#define FIRMWARE_START	0x80000000U
#define FIRMWARE_END	0x80200000U
/* The ROM that starts the machine, and the memory in which the kernel runs before paging */
#define ROM_END		0x00002000U
#define IMAGE_END	0x84000000U

#define SSTATUS_SIE	0x2U

#define SBI_EXT_RFENCE	0x52464e43U
#define SBI_EXT_IPI	0x00735049U

#define PAGE_SIZE	4096U
#define MAX_WAYS	40U
#define MAX_SETS	32U

enum mode { USER, KERNEL, FIRMWARE, MODES };
enum call { FENCE_I, SFENCE, SFENCE_ASID, OTHER_FENCE, IPI, CALLS };
enum model { FULL, SETS, MODELS };
enum reg { A0, A1, A6, A7, SSTATUS, REGS };

static const char * const reg_names[REGS] = { "a0", "a1", "a6", "a7", "sstatus" };

static const struct {
	const char	*name;
	unsigned int	sets, ways;
} models[MODELS] = {
	[FULL]	= { "misses_full", 1, 40 },
	[SETS]	= { "misses_sets", 32, 4 },
};

/* Counts of a hart since its start */
struct counts {
	uint64_t	insns[MODES];
	uint64_t	calls[CALLS];
	uint64_t	misses[MODELS];
};

struct hart {
	struct counts	counts;
	/* Whether kernel blocks are looked up in the models */
	uint64_t	modelled;
	/* Instructions since interrupts went off, and the most of them in the section */
	uint64_t	masked, longest;
	struct qemu_plugin_register *regs[REGS];
	/* The page executed last: the first entry of its set in each model */
	uint64_t	page;
	/* Each set is sorted: the most recently used page comes first */
	uint64_t	tlbs[MODELS][MAX_SETS][MAX_WAYS];
};

struct leaf {
	uint64_t	start, size;
	bool		executed;
};

struct area {
	uint64_t	start, end;
};

static struct qemu_plugin_scoreboard *harts;
static FILE *out;
static const char *map_path;
static bool booted, count_masked;

/* The current section, protected by the lock */
static GMutex lock;
static struct counts before;
static char name[128];
static uint64_t units;
static bool in_section;

/* These change only while no hart uses the models */
static GArray *leaves, *areas;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "count: %s: %s\n", what, why);
	exit(1);
}

static qemu_plugin_u64 entry(size_t offset)
{
	return (qemu_plugin_u64){ harts, offset };
}

static struct counts counts_now(void)
{
	struct counts sum;
	uint64_t *value = (uint64_t *)&sum;
	size_t i;

	for (i = 0; i < sizeof(sum) / sizeof(*value); i++)
		value[i] = qemu_plugin_u64_sum(entry(offsetof(struct hart, counts) +
						     i * sizeof(*value)));
	return sum;
}

static uint64_t longest_masked(void)
{
	uint64_t longest = 0;
	int cpu;

	for (cpu = 0; cpu < qemu_plugin_num_vcpus(); cpu++)
		longest = MAX(longest, qemu_plugin_u64_get(entry(offsetof(struct hart, longest)), cpu));
	return longest;
}

static void write_line(const char *what, const struct counts *start, uint64_t number)
{
	struct counts now = counts_now();
	const uint64_t *last = (const uint64_t *)&now, *first = (const uint64_t *)start;
	unsigned int large = 0, small = 0;
	size_t i;

	fprintf(out, "%s\t%" PRIu64, what, number);
	for (i = 0; i < sizeof(now) / sizeof(*last); i++)
		fprintf(out, "\t%" PRIu64, last[i] - first[i]);
	for (i = 0; i < leaves->len; i++) {
		const struct leaf *leaf = &g_array_index(leaves, struct leaf, i);

		if (!leaf->executed)
			continue;
		if (leaf->size > PAGE_SIZE)
			large++;
		else
			small++;
	}
	fprintf(out, "\t%u\t%u\t%" PRIu64 "\n", small, large, longest_masked());
	fflush(out);
}

static uint64_t read_reg(unsigned int cpu, enum reg reg)
{
	struct hart *hart = qemu_plugin_scoreboard_find(harts, cpu);
	GByteArray *bytes = g_byte_array_new();
	uint64_t value = 0;

	if (qemu_plugin_read_register(hart->regs[reg], bytes) == sizeof(value))
		memcpy(&value, bytes->data, sizeof(value));
	g_byte_array_unref(bytes);
	return value;
}

static int compare_leaves(const void *a, const void *b)
{
	const struct leaf *l = a, *r = b;

	return l->start < r->start ? -1 : l->start > r->start;
}

/* Read the map of a section. Returns false if there is none */
static bool read_map(void)
{
	struct leaf leaf = { 0 };
	struct area area;
	char line[128];
	FILE *file;

	g_array_set_size(leaves, 0);
	g_array_set_size(areas, 0);
	file = map_path ? fopen(map_path, "r") : NULL;
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "leaf %" SCNx64 " %" SCNx64, &leaf.start, &leaf.size) == 2)
			g_array_append_val(leaves, leaf);
		else if (sscanf(line, "area %" SCNx64 " %" SCNx64, &area.start, &area.end) == 2)
			g_array_append_val(areas, area);
		else
			die(map_path, line);
	}
	fclose(file);
	g_array_sort(leaves, compare_leaves);
	return true;
}

static struct leaf *find_leaf(uint64_t addr)
{
	unsigned int low = 0, high = leaves->len;

	while (low < high) {
		unsigned int middle = (low + high) / 2;
		struct leaf *leaf = &g_array_index(leaves, struct leaf, middle);

		if (addr < leaf->start)
			high = middle;
		else if (addr - leaf->start >= leaf->size)
			low = middle + 1;
		else
			return leaf;
	}
	return NULL;
}

static bool in_areas(uint64_t addr)
{
	unsigned int i;

	for (i = 0; i < areas->len; i++) {
		const struct area *area = &g_array_index(areas, struct area, i);

		if (addr >= area->start && addr < area->end)
			return true;
	}
	return false;
}

/* Look up a page in a set: true if it is there. If not, it replaces the page used least recently */
static bool touch(uint64_t *set, unsigned int ways, uint64_t page)
{
	unsigned int way;
	bool hit;

	for (way = 0; way < ways - 1 && set[way] != page; way++)
		;
	hit = set[way] == page;
	memmove(set + 1, set, way * sizeof(*set));
	set[0] = page;
	return hit;
}

static void execute(unsigned int cpu, void *addr_as_pointer)
{
	struct hart *hart = qemu_plugin_scoreboard_find(harts, cpu);
	uint64_t addr = (uintptr_t)addr_as_pointer, page, size;
	struct leaf *leaf = find_leaf(addr);
	unsigned int i;

	page = leaf ? leaf->start : addr & -(uint64_t)PAGE_SIZE;
	size = leaf ? leaf->size : PAGE_SIZE;
	if (leaf && !leaf->executed && in_areas(addr))
		leaf->executed = true;
	if (page == hart->page)
		return;
	hart->page = page;
	for (i = 0; i < MODELS; i++) {
		uint64_t *set = hart->tlbs[i][page / size % models[i].sets];

		if (!touch(set, models[i].ways, page))
			hart->counts.misses[i]++;
	}
}

static void set_modelled(bool on)
{
	int cpu;

	for (cpu = 0; cpu < qemu_plugin_num_vcpus(); cpu++)
		qemu_plugin_u64_set(entry(offsetof(struct hart, modelled)), cpu, on);
}

static void forget_longest(void)
{
	int cpu;

	for (cpu = 0; cpu < qemu_plugin_num_vcpus(); cpu++) {
		qemu_plugin_u64_set(entry(offsetof(struct hart, masked)), cpu, 0);
		qemu_plugin_u64_set(entry(offsetof(struct hart, longest)), cpu, 0);
	}
}

/* A hart enters a block of the kernel with so many instructions. */
static void count_if_masked(unsigned int cpu, void *insns)
{
	struct hart *hart = qemu_plugin_scoreboard_find(harts, cpu);

	if (read_reg(cpu, SSTATUS) & SSTATUS_SIE) {
		hart->masked = 0;
	} else {
		hart->masked += (uintptr_t)insns;
		hart->longest = MAX(hart->longest, hart->masked);
	}
}

/* Interrupts are on in user programs. In the firmware they stay as they were. */
static void track_masked(struct qemu_plugin_tb *tb, enum mode mode, size_t nr)
{
	qemu_plugin_u64 masked = entry(offsetof(struct hart, masked));

	if (mode == KERNEL)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, count_if_masked, QEMU_PLUGIN_CB_R_REGS,
						     (void *)(uintptr_t)nr);
	else if (mode == FIRMWARE)
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, masked, nr);
	else
		qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_STORE_U64, masked, 0);
}

static void on_begin(unsigned int cpu, void *data)
{
	GByteArray *bytes = g_byte_array_new();
	uint64_t at = read_reg(cpu, A0);

	(void)data;
	g_mutex_lock(&lock);
	memset(name, 0, sizeof(name));
	for (units = 0; units < sizeof(name) - 1; units++) {
		if (!qemu_plugin_read_memory_vaddr(at + units, bytes, 1) || !bytes->data[0])
			break;
		name[units] = bytes->data[0];
	}
	units = read_reg(cpu, A1);
	in_section = true;
	if (read_map())
		set_modelled(true);
	forget_longest();
	before = counts_now();
	g_mutex_unlock(&lock);
	g_byte_array_unref(bytes);
}

static void on_end(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	g_mutex_lock(&lock);
	if (in_section)
		write_line(name, &before, units);
	in_section = false;
	set_modelled(false);
	g_mutex_unlock(&lock);
}

static void on_ecall(unsigned int cpu, void *data)
{
	struct hart *hart = qemu_plugin_scoreboard_find(harts, cpu);
	uint64_t function;

	(void)data;
	switch (read_reg(cpu, A7)) {
	case SBI_EXT_RFENCE:
		function = read_reg(cpu, A6);
		hart->counts.calls[function < OTHER_FENCE ? function : OTHER_FENCE]++;
		break;
	case SBI_EXT_IPI:
		hart->counts.calls[IPI]++;
		break;
	}
}

static void on_user(unsigned int cpu, void *data)
{
	static const struct counts none;

	(void)cpu;
	(void)data;
	g_mutex_lock(&lock);
	if (!booted)
		write_line("boot", &none, 1);
	booted = true;
	g_mutex_unlock(&lock);
}

static enum mode mode_of(uint64_t addr)
{
	if (addr >= FIRMWARE_START && addr < FIRMWARE_END)
		return FIRMWARE;
	if (addr >> 63)
		return KERNEL;
	/* Before user space runs, such addresses are physical: the ROM, and the kernel without paging */
	if (!booted && addr < ROM_END)
		return FIRMWARE;
	if (!booted && addr >= FIRMWARE_END && addr < IMAGE_END)
		return KERNEL;
	return USER;
}

static void model_block(struct qemu_plugin_tb *tb, uint64_t start)
{
	qemu_plugin_u64 modelled = entry(offsetof(struct hart, modelled));
	size_t i;

	qemu_plugin_register_vcpu_tb_exec_cond_cb(tb, execute, QEMU_PLUGIN_CB_NO_REGS,
						  QEMU_PLUGIN_COND_NE, modelled, 0,
						  (void *)(uintptr_t)start);
	for (i = 1; i < qemu_plugin_tb_n_insns(tb); i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t addr = qemu_plugin_insn_vaddr(insn);

		if (addr / PAGE_SIZE == start / PAGE_SIZE)
			continue;
		qemu_plugin_register_vcpu_insn_exec_cond_cb(insn, execute, QEMU_PLUGIN_CB_NO_REGS,
							    QEMU_PLUGIN_COND_NE, modelled, 0,
							    (void *)(uintptr_t)addr);
		return;
	}
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint64_t start = qemu_plugin_tb_vaddr(tb);
	size_t i, nr = qemu_plugin_tb_n_insns(tb);
	qemu_plugin_vcpu_udata_cb_t callback;
	qemu_plugin_u64 insns;
	enum mode mode = mode_of(start);

	(void)id;
	if (mode == USER && !booted)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_user, QEMU_PLUGIN_CB_NO_REGS, NULL);
	if (mode == KERNEL && map_path)
		model_block(tb, start);
	if (count_masked)
		track_masked(tb, mode, nr);
	for (i = 0; i < nr; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint32_t code = 0;

		if (qemu_plugin_insn_data(insn, &code, sizeof(code)) != sizeof(code))
			continue;
		callback = NULL;
		if (code == ECALL && mode == KERNEL)
			callback = on_ecall;
		else if (code == MARK_BEGIN && mode == USER)
			callback = on_begin;
		else if (code == MARK_END && mode == USER)
			callback = on_end;
		if (callback)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, callback,
							       QEMU_PLUGIN_CB_R_REGS, NULL);
	}
	insns = entry(offsetof(struct hart, counts.insns) + mode * sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64, insns, nr);
}

static void on_hart(qemu_plugin_id_t id, unsigned int cpu)
{
	struct hart *hart = qemu_plugin_scoreboard_find(harts, cpu);
	GArray *regs = qemu_plugin_get_registers();
	unsigned int i, reg;

	(void)id;
	for (i = 0; i < regs->len; i++) {
		const qemu_plugin_reg_descriptor *have =
			&g_array_index(regs, qemu_plugin_reg_descriptor, i);

		for (reg = 0; reg < REGS; reg++) {
			if (!strcmp(have->name, reg_names[reg]))
				hart->regs[reg] = have->handle;
		}
	}
	g_array_unref(regs);
	for (reg = 0; reg < REGS; reg++) {
		if (!hart->regs[reg])
			die("the emulator has no register", reg_names[reg]);
	}
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
					   int argc, char **argv)
{
	unsigned int i;

	if (strcmp(info->target_name, "riscv64"))
		die(info->target_name, "not a 64-bit RISC-V machine");
	for (i = 0; i < (unsigned int)argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
		else if (!strncmp(argv[i], "map=", 4))
			map_path = strdup(argv[i] + 4);
		else if (!strcmp(argv[i], "masked=on"))
			count_masked = true;
		else
			die("unknown argument", argv[i]);
	}
	if (!out)
		die("out=", argc ? strerror(errno) : "not given");
	fprintf(out, "section\tunits\tuser\tkernel\tfirmware");
	fprintf(out, "\tfence_i\tsfence\tsfence_asid\tother_fence\tipi");
	for (i = 0; i < MODELS; i++)
		fprintf(out, "\t%s", models[i].name);
	fprintf(out, "\tleaves_small\tleaves_large\tmasked\n");

	leaves = g_array_new(false, false, sizeof(struct leaf));
	areas = g_array_new(false, false, sizeof(struct area));
	harts = qemu_plugin_scoreboard_new(sizeof(struct hart));
	qemu_plugin_register_vcpu_init_cb(id, on_hart);
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
