// SPDX-License-Identifier: GPL-2.0-only
/*
 * Uses of persistent memory: the only namespace of region0.
 *
 *   pmem fs		a file system whose files are mapped without a page cache
 *   pmem dax		a devdax device, with its memory map in RAM or in itself
 *   pmem ram TIMES	a devdax device that becomes System RAM, and back
 *
 * All data in the namespace is lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

#define LARGE_PAGE	(2 * MIB)
#define DATA		(8 * MIB)
#define CHUNK		(32 * 1024UL)	/* fits into a pipe */
#define STRUCT_PAGE	64
#define FAULT_SLACK	16	/* faults for the program's own pages */
#define FREE_SLACK	256	/* free pages that slabs and harts' lists may keep */

#define NAMESPACE	"namespace0.0"
#define DAX		"dax0.0"
#define ND_DEVICES	"/sys/bus/nd/devices/"
#define ND_DRIVERS	"/sys/bus/nd/drivers/"
#define DAX_DRIVERS	"/sys/bus/dax/drivers/"
#define DAX_SIZE	"/sys/bus/dax/devices/" DAX "/size"
#define DEVICE		"/dev/" DAX
#define DISK		"/dev/pmem0"
#define DIR		"/tmp/pmem"

static const struct layout {
	const char *what, *mode;
	unsigned long align;
} layouts[] = {
	{ "memory map in the device, 2 MiB pages", "pmem", LARGE_PAGE },
	{ "memory map in RAM, 2 MiB pages", "ram", LARGE_PAGE },
	{ "memory map in the device, 4 KiB pages", "pmem", PAGE_SIZE },
	{ "memory map in RAM, 4 KiB pages", "ram", PAGE_SIZE },
};

/* A device that claims the namespace: its kind and its driver */
static const struct claim {
	const char *kind, *driver;
} dax_claim = { "dax", "dax_pmem" }, fs_claim = { "pfn", "nd_pmem" };

static char claimant[32];

/* Release the namespace from the driver that has it since boot, as a disk without struct pages. */
static void release_namespace(void)
{
	if (!access(ND_DRIVERS "nd_pmem/" NAMESPACE, F_OK))
		must_write(ND_DRIVERS "nd_pmem/unbind", NAMESPACE);
}

static void claimant_write(const char *file, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), ND_DEVICES "%s/%s", claimant, file);
	must_write(path, text);
}

static void driver_write(const struct claim *claim, const char *file)
{
	char path[96];

	snprintf(path, sizeof(path), ND_DRIVERS "%s/%s", claim->driver, file);
	must_write(path, claimant);
}

static void take_namespace(const struct claim *claim, const struct layout *layout)
{
	static unsigned int serial;
	char path[64], text[40], *seed;

	/* The region always has a free device of each kind, its seed. */
	snprintf(path, sizeof(path), ND_DEVICES "region0/%s_seed", claim->kind);
	seed = read_file(path);
	snprintf(claimant, sizeof(claimant), "%.*s", (int)strcspn(seed, "\n"), seed);
	free(seed);

	/* A new UUID: with an old one, the namespace would keep its old layout. */
	snprintf(text, sizeof(text), "%08x-0000-4000-8000-%012x", getpid(), ++serial);
	claimant_write("uuid", text);
	snprintf(text, sizeof(text), "%lu", layout->align);
	claimant_write("align", text);
	claimant_write("mode", layout->mode);
	claimant_write("namespace", NAMESPACE);
	driver_write(claim, "bind");
}

static void drop_namespace(const struct claim *claim)
{
	driver_write(claim, "unbind");
	claimant_write("namespace", "\n");
}

static unsigned long namespace_size(void)
{
	return read_long(ND_DEVICES NAMESPACE "/size");
}

static long map_pages(void)
{
	return namespace_size() / PAGE_SIZE * STRUCT_PAGE / PAGE_SIZE;
}

/* Memory above 4 GiB makes the kernel allocate bounce buffers, once. Have it do so now. */
static void claim_first(const struct claim *claim)
{
	take_namespace(claim, &layouts[0]);
	drop_namespace(claim);
}

/* Claim the namespace, and check where its memory map is. */
static void test_take(const struct claim *claim, const struct layout *layout)
{
	bool in_device = !strcmp(layout->mode, "pmem");
	long taken = free_pages();

	ksft_print_msg("%s\n", layout->what);
	take_namespace(claim, layout);
	taken -= free_pages();
	ksft_print_msg("%ld pages were taken for it, its memory map has %ld\n", taken, map_pages());
	ksft_test_result(in_device ? taken < map_pages() / 2 : taken >= map_pages() * 3 / 4,
			 "the memory map is in %s\n", in_device ? "the device" : "RAM");
}

/* Check that about as many pages are free as before, @free. */
static void test_free(long free, const char *what)
{
	free -= free_pages();
	ksft_print_msg("%ld pages fewer are free\n", free);
	/* KASAN keeps freed objects. kmemleak finds lost ones. */
	if (symbol_address("kasan_add_zero_shadow"))
		ksft_test_result_skip("%s: KASAN\n", what);
	else
		ksft_test_result(free < FREE_SLACK, "%s\n", what);
}

/* Release the namespace, and check that nothing is left. @free pages were free before. */
static void test_drop(const struct claim *claim, const struct memory_state *none, long free)
{
	drop_namespace(claim);
	ksft_test_result(memory_state_is(none),
			 "it is taken down: ranges and page tables are as before\n");
	test_free(free, "its memory map is free again");
}

static char *map_file(const char *path, off_t offset, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char *memory = fd < 0 ? MAP_FAILED :
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (memory == MAP_FAILED)
		die("map %s: %s", path, strerror(errno));
	close(fd);
	return memory;
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

/* Write each cache line: its offset in the device, and a number that identifies the writer. */
static void write_all(char *memory, size_t size, unsigned long seed)
{
	size_t i;

	for (i = 0; i < size; i += 64)
		*(unsigned long *)(memory + i) = seed + i;
}

static bool is_all(const char *memory, size_t size, unsigned long seed)
{
	size_t i;

	for (i = 0; i < size; i += 64) {
		if (*(const unsigned long *)(memory + i) != seed + i)
			return false;
	}
	return true;
}

/*
 * Have the kernel read the pages: it pins them through their page-table
 * entries, and copies from them through the direct map.
 */
static bool kernel_reads(const char *memory, size_t size)
{
	static char copy[CHUNK];
	int pipes[2];
	size_t i;

	if (pipe(pipes))
		die("pipe: %s", strerror(errno));
	for (i = 0; i < size; i += CHUNK) {
		struct iovec vec = { .iov_base = (char *)memory + i, .iov_len = CHUNK };

		if (vmsplice(pipes[1], &vec, 1, SPLICE_F_NONBLOCK) != CHUNK) {
			ksft_print_msg("vmsplice: %s\n", strerror(errno));
			break;
		}
		if (read(pipes[0], copy, CHUNK) != CHUNK || memcmp(copy, memory + i, CHUNK))
			break;
	}
	close(pipes[0]);
	close(pipes[1]);
	return i >= size;
}

/* A process that is older than the device, and uses it on another hart on request */
struct older {
	pid_t pid;
	int tell;
};

static struct older start_older(unsigned long seed)
{
	struct older older;
	int pipes[2];
	char go;

	if (pipe(pipes))
		die("pipe: %s", strerror(errno));
	fflush(stdout);
	older.pid = fork();
	if (!older.pid) {
		char *memory;

		close(pipes[1]);
		pin_to_cpu(1);
		if (read(pipes[0], &go, 1) != 1)
			_exit(1);
		memory = map_file(DEVICE, 0, DATA);
		_exit(!is_all(memory, DATA, seed) || !kernel_reads(memory, DATA));
	}
	close(pipes[0]);
	older.tell = pipes[1];
	return older;
}

static bool older_succeeds(struct older older)
{
	bool told = write(older.tell, "", 1) == 1;

	close(older.tell);
	return child_succeeds(older.pid) && told;
}

static void test_dax(const struct layout *layout, unsigned long seed,
		     const struct memory_state *none)
{
	struct older older = start_older(seed);
	long expected = DATA / layout->align;
	long before = free_pages(), count;
	char *memory;
	pid_t child;

	test_take(&dax_claim, layout);
	memory = map_file(DEVICE, 0, DATA);
	count = -faults();
	write_all(memory, DATA, seed);
	count += faults();
	ksft_test_result(count >= expected && count < expected + FAULT_SLACK,
			 "%lu MiB are written with %ld faults\n", DATA / MIB, expected);
	if (count < expected || count >= expected + FAULT_SLACK)
		ksft_print_msg("%ld faults\n", count);
	ksft_test_result(is_all(memory, DATA, seed) && kernel_reads(memory, DATA),
			 "what was written can be read, by the kernel, too\n");

	fflush(stdout);
	child = fork();
	if (!child) {
		bool good = is_all(memory, DATA, seed);

		write_all(memory, DATA, ~seed);
		_exit(!good);
	}
	ksft_test_result(child_succeeds(child) && is_all(memory, DATA, ~seed),
			 "a child shares it\n");
	if (mprotect(memory, DATA, PROT_READ) || !kernel_reads(memory, DATA) ||
	    mprotect(memory, DATA, PROT_READ | PROT_WRITE))
		die("mprotect: %s", strerror(errno));
	write_all(memory, DATA, seed);
	munmap(memory, DATA);
	ksft_test_result(older_succeeds(older), "an older process sees it from another hart\n");

	test_drop(&dax_claim, none, before);
}

static void main_dax(void)
{
	struct memory_state none;
	size_t i;

	ksft_set_plan(7 * ARRAY_SIZE(layouts));
	release_namespace();
	claim_first(&dax_claim);
	none = memory_state();
	for (i = 0; i < ARRAY_SIZE(layouts); i++)
		test_dax(&layouts[i], 0x1000000000UL * (i + 1), &none);
}

/* Make the device System RAM, and return its range. */
static struct range become_ram(void)
{
	struct ranges ranges;

	must_write(DAX_DRIVERS "device_dax/unbind", DAX);
	must_write(DAX_DRIVERS "kmem/new_id", DAX);
	ranges = hot_ranges();
	if (ranges.nr != 1)
		die("%zu ranges of memory are there, not 1", ranges.nr);
	return ranges.range[0];
}

static void take_offline(struct range range)
{
	unsigned long block = block_size(), addr;
	char path[64];

	for (addr = range.start; addr < range.end; addr += block) {
		snprintf(path, sizeof(path), MEMORY_DIR "/memory%lu/state", addr / block);
		must_write(path, "offline");
	}
}

static void become_dax(void)
{
	must_write(DAX_DRIVERS "kmem/unbind", DAX);
	must_write(DAX_DRIVERS "kmem/remove_id", DAX);
	must_write(DAX_DRIVERS "device_dax/bind", DAX);
}

static void main_ram(unsigned int times)
{
	bool grown = true, used = true, intact = true, back = true, dax = true;
	struct memory_state none;
	unsigned int i;
	long lost = 0;

	ksft_set_plan(6);
	release_namespace();
	online_as("online_movable");
	/* Compare free memory from the second round on: the first allocates memory that stays. */
	for (i = 0; i <= times; i++) {
		char *device, *memory;
		struct ranges ranges = { .nr = 1 };
		size_t size;

		if (i == 0)
			none = memory_state();
		if (i == 1)
			lost = free_pages();
		take_namespace(&dax_claim, &layouts[i % ARRAY_SIZE(layouts)]);

		ranges.range[0] = become_ram();
		size = ranges_size(&ranges);
		grown &= size >= namespace_size() / 2 &&
			meminfo_bytes("MemTotal") == none.total + size &&
			blocks_are(ranges.range[0].start, size, "valid_zones", "Movable");
		memory = fill(size);
		used &= pages_in(memory, size, &ranges) * PAGE_SIZE >= size / 4;
		/* Free a part, so that there is room elsewhere for the rest. */
		munmap(memory + size / 4, size - size / 4);
		take_offline(ranges.range[0]);
		intact &= verify(memory, size / 4) && !pages_in(memory, size / 4, &ranges);
		munmap(memory, size / 4);

		become_dax();
		/* Use the device's last part: it was RAM, while the first part was none. */
		device = map_file(DEVICE, read_long(DAX_SIZE) - DATA, DATA);
		write_all(device, DATA, i);
		dax &= is_all(device, DATA, i) && kernel_reads(device, DATA);
		munmap(device, DATA);
		drop_namespace(&dax_claim);
		back &= memory_state_is(&none);
	}
	ksft_test_result(grown, "%u times a device becomes RAM in zone Movable\n", times + 1);
	ksft_test_result(used, "processes are in it\n");
	ksft_test_result(intact, "it goes offline, and nothing of a process has changed\n");
	ksft_test_result(dax, "the device is a devdax device again\n");
	ksft_test_result(back, "MemTotal, ranges, blocks and page tables are as before\n");
	test_free(lost, "the memory they took is free again");
}

static bool file_is(const char *path, const char *memory, size_t size)
{
	static char copy[CHUNK];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t i;

	for (i = 0; i < size; i += CHUNK) {
		if (pread(fd, copy, CHUNK, i) != CHUNK || memcmp(copy, memory + i, CHUNK))
			break;
	}
	close(fd);
	return i >= size;
}

static void test_fs(const struct layout *layout, const struct memory_state *none)
{
	const char *file = DIR "/file";
	long before = free_pages();
	char *memory;
	int fd;

	test_take(&fs_claim, layout);
	if (system("mke2fs -b 4096 " DISK " >/dev/null"))
		die("mke2fs " DISK);
	if (mount(DISK, DIR, "ext2", 0, "dax"))
		die("mount " DISK ": %s", strerror(errno));
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, DATA))
		die("%s: %s", file, strerror(errno));
	close(fd);

	memory = map_file(file, 0, DATA);
	write_all(memory, DATA, DATA);
	ksft_test_result(is_all(memory, DATA, DATA) && kernel_reads(memory, DATA),
			 "a mapped file is written and read, by the kernel, too\n");
	ksft_test_result(file_is(file, memory, DATA), "the file says the same\n");
	munmap(memory, DATA);
	if (umount(DIR) || mount(DISK, DIR, "ext2", 0, "dax"))
		die("mount " DISK " again: %s", strerror(errno));
	memory = map_file(file, 0, DATA);
	ksft_test_result(is_all(memory, DATA, DATA), "and says so after it was mounted again\n");
	munmap(memory, DATA);
	if (umount(DIR))
		die("umount " DISK ": %s", strerror(errno));

	ksft_test_result(!log_count("Turning off DAX"), "no page cache was used\n");
	test_drop(&fs_claim, none, before);
}

static void main_fs(void)
{
	struct memory_state none;

	ksft_set_plan(14);
	mkdir(DIR, 0700);
	release_namespace();
	claim_first(&fs_claim);
	none = memory_state();
	test_fs(&layouts[0], &none);
	test_fs(&layouts[1], &none);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	begin();
	load_hotplug_range();

	if (!strcmp(mode, "fs"))
		main_fs();
	else if (!strcmp(mode, "dax"))
		main_dax();
	else if (!strcmp(mode, "ram") && argc > 2)
		main_ram(strtoul(argv[2], NULL, 0));
	else
		die("usage: pmem fs | dax | ram TIMES");
	ksft_finished();
}
