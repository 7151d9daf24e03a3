// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device with memory disappears without notice.
 *
 *   lost nothing		its memory was offline
 *   lost pages			processes used it, in all kinds of pages, tmpfs
 *				and files
 *   lost held			pages of it are held, and the kernel has one
 *   lost written		pages of it are being written to a disk that has
 *				stopped. It goes on at "remove memory now".
 *				A cgroup of its own counts the pages
 *   lost pgd			a process has its PGD in it, on a machine with
 *				one hart
 *   lost waits		other memory is being taken offline, which waits for
 *				a page
 *   lost tables		a process has page tables in it, another one
 *				page tables in reserve, and the huge page of
 *				zeroes is there. It is in zone Normal of node
 *				1, which has no hart and no other memory
 *
 * The host plugs when the program says "plug memory now", and unplugs the same
 * device at "remove memory now", unless the mode says otherwise.
 *
 * While the memory is there, this program must have pages in it only where the
 * test needs them. So before, the program locks its memory. Afterwards, its
 * heap and stack do not grow.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <linux/mempolicy.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"
#include "slots.h"

#define HUGE		(2 * MIB)
#define DATA		(4 * MIB)	/* of each kind */
#define NR_PAGES	(DATA / PAGE_SIZE)
#define HEAP		(4 * MIB)	/* more than the program allocates */
#define NR_TABLES	16UL		/* page tables of a process in node 1 */
#define START		(64UL << 30)	/* 1 GiB from here on has one PMD table */
#define LARGE_PAGES	"/sys/kernel/mm/transparent_hugepage/enabled"
#define ZERO_PAGE	"/sys/kernel/mm/transparent_hugepage/use_zero_page"
#define WRITEBACK	"/proc/sys/vm/dirty_writeback_centisecs"
#define DISK		"/dev/pmem0"
#define DIR		"/tmp/lost"
#define FAT_DISK	"/dev/pmem1"
#define FAT_DIR		"/tmp/lost-fat"
#define STOPPED_DISK	"/dev/vda"
#define CGROUPS		"/tmp/cgroup"
#define CGROUP		CGROUPS "/lost"
#define MKFS		"mke2fs -b 4096 "
#define SAME_SLOT	"in the slot"

#define LOG_GONE	"gone without notice"
#define LOG_STAYS	"MiB stay"
#define LOG_REST	LOG_STAYS ", with %lu pages that are held and %lu of the kernel, %lu of"
#define LOG_KILLED	"killed process "
#define LOG_KERNEL	" are held and 1 of the kernel, 0 of"

/* The content of all objects, and a buffer for reading a page */
static const char *source;
static char buffer[PAGE_SIZE];

/**
 * struct object - an object with pages in the memory
 * @what: name of the object
 * @memory: mapping of the object
 * @fd: file of the object, or -1
 * @distinct: number of pages after which the content repeats
 * @there: whether each page was in the lost memory
 * @nr_there: number of pages that were in the lost memory
 */
struct object {
	const char *what;
	char *memory;
	int fd;
	size_t distinct;
	bool there[NR_PAGES];
	size_t nr_there;
};

static struct object process = { "memory of a process", .fd = -1, .distinct = NR_PAGES };
static struct object large = { "large pages of a process", .fd = -1, .distinct = NR_PAGES };
static struct object merged = { "pages of KSM", .fd = -1, .distinct = NR_PAGES / 2 };
static struct object huge = { "huge pages of a process", .fd = -1, .distinct = NR_PAGES };
static struct object tmpfs = { "tmpfs", .distinct = NR_PAGES };
static struct object clean = { "a file as on its disk", .distinct = NR_PAGES };
static struct object dirty = { "a file that is newer than its disk", .distinct = NR_PAGES };
static struct object fat = { "a file on VFAT that is newer than its disk", .distinct = NR_PAGES };
static struct object written = { "a file on its way to the disk", .distinct = NR_PAGES };

/* Have all memory that this program needs later allocated now. */
static void lock_memory(void)
{
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	free(memset(malloc(HEAP), 0, HEAP));
	if (mlockall(MCL_CURRENT))
		die("mlockall: %s", strerror(errno));
}

static void map_private(struct object *object, int advice)
{
	/* Start at a large page. */
	char *memory = mmap(NULL, DATA + HUGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	object->memory = (char *)(((unsigned long)memory + HUGE - 1) & ~(HUGE - 1));
	if (madvise(object->memory, DATA, advice) && errno != EINVAL)
		die("madvise: %s", strerror(errno));
}

static void map_huge(void)
{
	set_pool(DATA / HUGE);
	huge.memory = mmap(NULL, DATA, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (huge.memory == MAP_FAILED)
		die("huge pages: %s", strerror(errno));
}

static void map_shared(struct object *object)
{
	object->memory = mmap(NULL, DATA, PROT_READ | PROT_WRITE, MAP_SHARED, object->fd, 0);
	if (object->memory == MAP_FAILED)
		die("%s: %s", object->what, strerror(errno));
}

static void write_pages(struct object *object)
{
	size_t i;

	for (i = 0; i < NR_PAGES; i++)
		memcpy(object->memory + i * PAGE_SIZE,
		       source + i % object->distinct * PAGE_SIZE, PAGE_SIZE);
}

static void write_to_file(int fd, const char *data)
{
	if (pwrite(fd, data, DATA, 0) != (ssize_t)DATA)
		die("write: %s", strerror(errno));
}

/* Find out which pages of a mapped object are in the memory. */
static void locate(struct object *object, const struct ranges *ranges)
{
	size_t i;

	object->nr_there = 0;
	for (i = 0; i < NR_PAGES; i++) {
		object->there[i] = pages_in(object->memory + i * PAGE_SIZE, PAGE_SIZE, ranges);
		object->nr_there += object->there[i];
	}
}

static sigjmp_buf after_bus_error;
static int bus_code;

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	bus_code = info->si_code;
	siglongjmp(after_bus_error, 1);
}

/* Read a page of memory into the buffer. Returns the code of SIGBUS, or 0. */
static int read_page(const char *page)
{
	if (sigsetjmp(after_bus_error, 1))
		return bus_code;
	memcpy(buffer, page, PAGE_SIZE);
	return 0;
}

static bool is_right(const struct object *object, size_t i)
{
	return filled_page(buffer) == i % object->distinct;
}

/* Whether all pages that were in the memory are lost, with this code, and no others */
static bool mapping_is_lost(const struct object *object, int code)
{
	size_t i, wrong = 0;

	for (i = 0; i < NR_PAGES; i++) {
		int got = read_page(object->memory + i * PAGE_SIZE);

		if (object->there[i] ? got != code : got || !is_right(object, i))
			wrong++;
	}
	if (wrong)
		ksft_print_msg("%s: %zu of %zu pages are wrong\n", object->what, wrong, NR_PAGES);
	return !wrong;
}

static bool file_is_lost(const struct object *object)
{
	size_t i, wrong = 0;

	for (i = 0; i < NR_PAGES; i++) {
		ssize_t got = pread(object->fd, buffer, PAGE_SIZE, i * PAGE_SIZE);

		if (object->there[i] ? got != -1 || errno != EIO :
		    got != (ssize_t)PAGE_SIZE || !is_right(object, i))
			wrong++;
	}
	if (wrong)
		ksft_print_msg("%s: %zu of %zu pages are wrong\n", object->what, wrong, NR_PAGES);
	return !wrong;
}

/* Whether each page is as written, or is filled with @disk, as on the disk */
static bool file_is_old_or_right(const struct object *object, char disk)
{
	size_t i, j;

	for (i = 0; i < NR_PAGES; i++) {
		if (pread(object->fd, buffer, PAGE_SIZE, i * PAGE_SIZE) != (ssize_t)PAGE_SIZE)
			return false;
		if (is_right(object, i))
			continue;
		for (j = 0; j < PAGE_SIZE; j++) {
			if (buffer[j] != disk)
				return false;
		}
	}
	return true;
}

static void open_file(struct object *object, const char *path)
{
	object->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (object->fd < 0)
		die("%s: %s", path, strerror(errno));
}

/* Make a file system and mount it. Returns false if the kernel does not know it. */
static bool mount_disk(const char *mkfs, const char *disk, const char *dir, const char *type,
		       const char *options)
{
	char command[80];

	snprintf(command, sizeof(command), "%s%s >/dev/null", mkfs, disk);
	if (system(command))
		die("no file system on %s", disk);
	mkdir(dir, 0700);
	if (!mount(disk, dir, type, 0, options))
		return true;
	if (errno != ENODEV)
		die("mount %s: %s", disk, strerror(errno));
	return false;
}

/* Make a file on a disk, with nothing in the page cache. */
static void make_file(struct object *object, const char *path, const char *data)
{
	open_file(object, path);
	write_to_file(object->fd, data);
	if (fsync(object->fd) || posix_fadvise(object->fd, 0, DATA, POSIX_FADV_DONTNEED))
		die("%s: %s", path, strerror(errno));
}

/* Make files on two disks. Returns whether there is one on VFAT. */
static bool make_files(void)
{
	char *zeroes = calloc(1, DATA);
	bool has_fat;

	if (!mount_disk(MKFS, DISK, DIR, "ext2", NULL))
		die("no CONFIG_EXT2_FS");
	make_file(&clean, DIR "/clean", source);
	make_file(&dirty, DIR "/dirty", zeroes);
	has_fat = mount_disk("mkdosfs ", FAT_DISK, FAT_DIR, "vfat", "iocharset=ascii");
	if (has_fat)
		make_file(&fat, FAT_DIR "/dirty", zeroes);
	free(zeroes);
	return has_fat;
}

static void remove_files(bool has_fat)
{
	close(clean.fd);
	close(dirty.fd);
	if (umount(DIR))
		die("umount " DISK ": %s", strerror(errno));
	if (!has_fat)
		return;
	close(fat.fd);
	if (umount(FAT_DIR))
		die("umount " FAT_DISK ": %s", strerror(errno));
}

/* Check that the next device in the slot is used normally. */
static void test_next(const struct memory_state *none)
{
	struct ranges ranges;
	bool added;

	online_as("online_movable");
	ranges = plug(1);
	added = in_zone(&ranges.range[0], "Movable");
	unplug();
	ksft_test_result(removed(none) && added, "the next device is added and removed\n");
}

static void main_nothing(void)
{
	struct memory_state none = memory_state();
	size_t said = log_count(LOG_GONE);
	struct ranges ranges;
	struct slot slot;

	ksft_set_plan(3);
	ranges = plug(1);
	slot = find_slot(&ranges.range[0]);
	drop_device(&slot, &ranges.range[0]);
	ksft_test_result(memory_state_is(&none),
			 "the device is gone, and so are blocks and page tables\n");
	ksft_test_result(log_count(LOG_GONE) == said,
			 "the log does not say that anything was lost\n");
	test_next(&none);
}

static void main_pages(void)
{
	struct object *all[] = { &process, &large, &huge, &merged, &tmpfs, &clean, &dirty, &fat };
	size_t gone = log_count(LOG_GONE), stays = log_count(LOG_STAYS), nr, i;
	bool there = true, ksm, has_fat;
	struct memory_state none;
	struct ranges ranges;
	struct slot slot;
	char *writeback;

	ksft_set_plan(15);
	source = fill(DATA);
	must_write(LARGE_PAGES, "madvise");
	has_fat = make_files();
	nr = ARRAY_SIZE(all) - !has_fat;
	/* Without writeback, dirty pages stay dirty. */
	writeback = read_file(WRITEBACK);
	must_write(WRITEBACK, "0");
	none = memory_state();
	ranges = plug(1);
	slot = find_slot(&ranges.range[0]);
	lock_memory();

	set_states(&ranges.range[0], "online_movable");
	map_private(&process, MADV_NOHUGEPAGE);
	map_private(&large, MADV_HUGEPAGE);
	map_private(&merged, MADV_NOHUGEPAGE);
	map_huge();
	ksm = !madvise(merged.memory, DATA, MADV_MERGEABLE);
	if (!ksm && errno != EINVAL)
		die("KSM: %s", strerror(errno));
	tmpfs.fd = memfd_create("lost", MFD_CLOEXEC);
	if (ftruncate(tmpfs.fd, DATA))
		die("memfd: %s", strerror(errno));
	map_shared(&tmpfs);
	map_shared(&clean);
	for (i = 0; i < 5; i++)
		write_pages(all[i]);
	if (ksm)
		if (!merge_pages(NR_PAGES / 2))
			die("KSM does not merge");
	write_to_file(dirty.fd, source);
	map_shared(&dirty);
	if (has_fat) {
		write_to_file(fat.fd, source);
		map_shared(&fat);
	}
	for (i = 0; i < nr; i++) {
		size_t page;

		for (page = 0; page < NR_PAGES; page++)
			read_page(all[i]->memory + page * PAGE_SIZE);
		locate(all[i], &ranges);
	}
	/* After this, no mapping shows that the pages are dirty. */
	munmap(dirty.memory, DATA);
	if (has_fat)
		munmap(fat.memory, DATA);
	drop_device(&slot, &ranges.range[0]);

	for (i = 0; i < nr; i++) {
		ksft_print_msg("%s: %zu of %zu pages were there\n", all[i]->what,
			       all[i]->nr_there, NR_PAGES);
		there &= all[i]->nr_there >= NR_PAGES / 2;
	}
	ksft_test_result(there, "most of everything was in the memory\n");
	ksft_test_result(mapping_is_lost(&process, BUS_MCEERR_AR),
			 "memory of a process: SIGBUS, and what is elsewhere is intact\n");
	ksft_test_result(mapping_is_lost(&large, BUS_MCEERR_AR), "large pages: the same\n");
	ksft_test_result(mapping_is_lost(&huge, BUS_MCEERR_AR), "huge pages: the same\n");
	if (ksm)
		ksft_test_result(mapping_is_lost(&merged, BUS_MCEERR_AR),
				 "pages of KSM: the same\n");
	else
		ksft_test_result_skip("no CONFIG_KSM\n");
	ksft_test_result(mapping_is_lost(&tmpfs, BUS_MCEERR_AR), "tmpfs, mapped: the same\n");
	ksft_test_result(file_is_lost(&tmpfs), "tmpfs, read: an I/O error\n");
	munmap(tmpfs.memory, DATA);
	map_shared(&tmpfs);
	ksft_test_result(mapping_is_lost(&tmpfs, BUS_ADRERR), "tmpfs, mapped again: SIGBUS\n");
	memset(clean.there, false, sizeof(clean.there));
	ksft_test_result(mapping_is_lost(&clean, 0) && file_is_lost(&clean),
			 "a clean file is read from its disk again\n");
	ksft_test_result(fsync(dirty.fd) == -1 && errno == EIO && !fsync(dirty.fd),
			 "fsync of a dirty file says once that data are lost\n");
	ksft_test_result(file_is_old_or_right(&dirty, 0), "a lost page of it is as on its disk\n");
	if (has_fat)
		ksft_test_result(fsync(fat.fd) == -1 && errno == EIO &&
				 file_is_old_or_right(&fat, 0), "on VFAT, the same\n");
	else
		ksft_test_result_skip("no CONFIG_VFAT_FS\n");

	for (i = 0; i < nr; i++)
		munmap(all[i]->memory, DATA);
	close(tmpfs.fd);
	set_pool(0);
	remove_files(has_fat);
	must_write(WRITEBACK, writeback);
	ksft_print_msg("%lu kB count as lost\n", meminfo_bytes("HardwareCorrupted") >> 10);
	ksft_test_result(memory_state_is(&none) && !meminfo_bytes("HardwareCorrupted"),
			 "the memory is removed, and no page counts as lost any more\n");
	ksft_test_result(log_count(LOG_GONE) == gone + 1 && log_count(LOG_STAYS) == stays,
			 "the log says once that it was lost\n");
	test_next(&none);
}

/* Hold a page, as direct I/O does, until the pipe is read or closed. */
static void hold(int pipe, char *page)
{
	struct iovec vec = { .iov_base = page, .iov_len = PAGE_SIZE };

	if (vmsplice(pipe, &vec, 1, 0) != (ssize_t)PAGE_SIZE)
		die("vmsplice: %s", strerror(errno));
}

/* The address of the block in a range that has a page, or the end of the range if none has */
static unsigned long block_of(const char *page, const struct range *range)
{
	unsigned long block = block_size(), addr;

	for (addr = range->start; addr < range->end; addr += block) {
		struct ranges one = { .range = { { addr, addr + block } }, .nr = 1 };

		if (pages_in(page, PAGE_SIZE, &one))
			break;
	}
	return addr;
}

/* The number of blocks of a range with this state */
static size_t blocks_with(const struct range *range, const char *state)
{
	unsigned long block = block_size(), addr;
	size_t nr = 0;

	for (addr = range->start; addr < range->end; addr += block)
		nr += blocks_are(addr, block, "state", state);
	return nr;
}

/* Whether a process that takes most of the free memory gets no page of the ranges */
static bool gives_nothing(const struct ranges *ranges)
{
	size_t size = meminfo_bytes("MemAvailable") * 3 / 4 & -HUGE;
	char *memory = fill(size);
	bool none = !pages_in(memory, size, ranges);

	must_write("/proc/sys/vm/compact_memory", "1");
	none &= !pages_in(memory, size, ranges);
	munmap(memory, size);
	return none;
}

static bool one_range(size_t unused)
{
	(void)unused;
	return hot_ranges().nr == 1;
}

/* Check that the next device gets other addresses, and can be removed. @which: where it is */
static void test_other(const struct range *lost, const char *which)
{
	size_t before = log_count(LOG_ADDED), i;
	struct ranges ranges;
	bool added_other;

	online_as("online_movable");
	printf("# " PLUG_NOW "\n");
	wait_for(added, before + 1);
	ranges = hot_ranges();
	added_other = ranges.nr == 2;
	for (i = 0; i < ranges.nr; i++) {
		bool same = ranges.range[i].start == lost->start;

		added_other &= same || in_zone(&ranges.range[i], "Movable");
		added_other &= same || ranges.range[i].start >= lost->end ||
			       ranges.range[i].end <= lost->start;
	}
	unplug();
	ksft_test_result(added_other && wait_for(one_range, 0),
			 "the next device %s gets other addresses, and is removed\n", which);
}

static void main_held(void)
{
	size_t stays = log_count(LOG_STAYS), blocks;
	unsigned long block = block_size(), size, i;
	struct memory_state none = memory_state();
	int pipes[2], large_pipes[2];
	struct ranges ranges;
	struct range *range = &ranges.range[0];
	unsigned long nr_large, held[3];
	struct slot slot;
	bool online_held = true;
	int err;

	ksft_set_plan(11);
	must_write(LARGE_PAGES, "madvise");
	if (pipe(pipes) || pipe(large_pipes))
		die("pipe: %s", strerror(errno));
	source = fill(DATA);
	ranges = plug(1);
	slot = find_slot(range);
	size = range->end - range->start;
	lock_memory();

	set_states(range, "online_movable");
	map_private(&process, MADV_NOHUGEPAGE);
	map_private(&large, MADV_HUGEPAGE);
	write_pages(&process);
	write_pages(&large);
	locate(&process, &ranges);
	locate(&large, &ranges);
	hold(pipes[1], process.memory);
	hold(large_pipes[1], large.memory + PAGE_SIZE);
	nr_large = meminfo_bytes("AnonHugePages");
	held[0] = block_of(process.memory, range);
	held[1] = block_of(large.memory, range);
	held[2] = range->end - block;
	err = hotplug("hold_reserved", held[2], block);
	if (err)
		die("no page of %#lx: %s", held[2], strerror(err));
	drop_device(&slot, range);

	ksft_test_result(process.there[0] && large.there[1] && nr_large,
			 "a page, a part of a large one, and one of the kernel are held\n");
	ksft_test_result(mapping_is_lost(&process, BUS_MCEERR_AR) &&
			 mapping_is_lost(&large, BUS_MCEERR_AR),
			 "the process has lost what was there all the same\n");
	blocks = blocks_with(range, "online");
	ksft_print_msg("%zu of %lu blocks are online\n", blocks, size / block);
	for (i = 0; i < ARRAY_SIZE(held); i++)
		online_held &= blocks_are(held[i], block, "state", "online");
	ksft_test_result(online_held && blocks <= ARRAY_SIZE(held) &&
			 blocks + blocks_with(range, "offline") == size / block &&
			 hot_ranges().nr == 1,
			 "only blocks with such pages are online, and the range is as it was\n");
	ksft_test_result(log_count(LOG_STAYS) == stays + 1 && log_count(LOG_KERNEL) == 1,
			 "the log says so once, and that one page is the kernel's\n");
	ksft_test_result(gives_nothing(&ranges), "nothing of them is given out\n");
	test_other(range, SAME_SLOT);
	test_other(range, "in another slot");
	err = hotplug("add", held[2], block);
	ksft_test_result(err == EEXIST, "memory at the same addresses is refused: %s\n",
			 strerror(err));

	close(pipes[0]);
	close(pipes[1]);
	close(large_pipes[0]);
	close(large_pipes[1]);
	munmap(process.memory, DATA);
	munmap(large.memory, DATA);
	hotplug("hold", 0, 0);
	/* EINVAL: if two held pages are in the same block, it is offline already. */
	for (i = 0; i < ARRAY_SIZE(held); i++) {
		err = set_state(held[i], "offline");
		if (err && err != EINVAL)
			die("block at %#lx: %s", held[i], strerror(err));
	}
	ksft_test_result(blocks_with(range, "offline") == size / block &&
			 meminfo_bytes("MemTotal") == none.total,
			 "once nobody holds a page, the blocks can be taken offline\n");
	ksft_test_result(set_state(range->end - block, "online") == EIO, "and online no more\n");
	ksft_test_result(gives_nothing(&ranges), "nothing of them was given out\n");
}

static const struct range *taken_off;

/* Try to take all blocks offline that are not. Returns whether all are. */
static bool all_off(size_t unused)
{
	unsigned long block = block_size(), addr;
	bool off = true;

	(void)unused;
	for (addr = taken_off->start; addr < taken_off->end; addr += block) {
		int err = set_state(addr, "offline");

		off &= !err || err == EINVAL;
	}
	return off;
}

/* Move to a cgroup in which this program is alone. Pages from now on count there. */
static void enter_cgroup(void)
{
	mkdir(CGROUPS, 0700);
	if (mount("none", CGROUPS, "cgroup2", 0, NULL))
		die("mount " CGROUPS ": %s", strerror(errno));
	must_write(CGROUPS "/cgroup.subtree_control", "+memory");
	if (mkdir(CGROUP, 0700))
		die(CGROUP ": %s", strerror(errno));
	must_write(CGROUP "/cgroup.procs", "0");
}

/* Whether the cgroup counts no page that a disk reads */
static bool nothing_is_read(size_t unused)
{
	char *text = read_file(CGROUP "/memory.stat");
	bool nothing = strstr(text, "\nfile_writeback 0\n");

	(void)unused;
	free(text);
	return nothing;
}

static void main_written(void)
{
	size_t stays = log_count(LOG_STAYS), i;
	struct ranges ranges;
	struct slot slot;
	bool counted;

	ksft_set_plan(6);
	enter_cgroup();
	source = fill(DATA);
	if (!mount_disk(MKFS, STOPPED_DISK, DIR, "ext2", NULL))
		die("no CONFIG_EXT2_FS");
	open_file(&written, DIR "/written");
	ranges = plug(1);
	slot = find_slot(&ranges.range[0]);
	lock_memory();

	set_states(&ranges.range[0], "online_movable");
	write_to_file(written.fd, source);
	map_shared(&written);
	for (i = 0; i < NR_PAGES; i++)
		read_page(written.memory + i * PAGE_SIZE);
	locate(&written, &ranges);
	munmap(written.memory, DATA);
	if (sync_file_range(written.fd, 0, 0, SYNC_FILE_RANGE_WRITE))
		die("sync_file_range: %s", strerror(errno));
	counted = !nothing_is_read(0);
	drop_device(&slot, &ranges.range[0]);

	ksft_test_result(written.nr_there >= NR_PAGES / 2, "%zu of %zu pages were there\n",
			 written.nr_there, NR_PAGES);
	ksft_test_result(counted, "they count as read by the disk\n");
	ksft_test_result(log_count(LOG_STAYS) == stays + 1,
			 "the kernel does not wait for the disk\n");
	unplug();
	ksft_test_result(fsync(written.fd) == -1 && errno == EIO,
			 "fsync says that data are lost\n");
	taken_off = &ranges.range[0];
	ksft_test_result(wait_for(all_off, 0),
			 "after that, nothing of the file is in the memory\n");
	ksft_test_result(nothing_is_read(0), "nor does a page count as read by the disk\n");
}

/* Read the numbers of the log line about what stays. Returns false if there is no such line. */
static bool log_says(unsigned long *held, unsigned long *kernel, unsigned long *tables)
{
	char *text = log_read(), *line = strstr(text, LOG_STAYS);
	bool says = line && sscanf(line, LOG_REST, held, kernel, tables) == 3;

	free(text);
	return says;
}

static pid_t owner;

/* Whether the process with the page tables was killed */
static bool killed(size_t unused)
{
	int status;

	(void)unused;
	return waitpid(owner, &status, WNOHANG) == owner && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL;
}

/*
 * Start a shell that reads a line and works with it. Do it before the memory is online:
 * after a fork, this process would copy the pages that it writes to, and the copies
 * would be in the memory. vfork() returns after the exec.
 */
static int start_shell(const char *script)
{
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC))
		die("pipe: %s", strerror(errno));
	owner = vfork();
	if (!owner) {
		dup2(pipes[0], STDIN_FILENO);
		execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(2);
	}
	close(pipes[0]);
	return pipes[1];
}

/* Returns whether the shell has its PGD in the range. It is then stopped. */
static bool move_pgd(int shell, const struct range *range)
{
	int status;

	dprintf(shell, "%lu %lu\n", range->start, range->end - range->start);
	return waitpid(owner, &status, WUNTRACED) == owner && WIFSTOPPED(status);
}

static void main_pgd(void)
{
	unsigned long held, kernel, tables;
	struct ranges ranges;
	struct slot slot;
	bool there;
	int shell;

	ksft_set_plan(4);
	shell = start_shell("read -r range && echo -n $range >" HOTPLUG_DIR
			    "/pgd && kill -STOP $$");
	ranges = plug(1);
	slot = find_slot(&ranges.range[0]);
	lock_memory();
	set_states(&ranges.range[0], "online_movable");
	there = move_pgd(shell, &ranges.range[0]);
	drop_device(&slot, &ranges.range[0]);

	ksft_test_result(there, "a process has its PGD in the memory\n");
	ksft_test_result(wait_for(killed, 0) && log_count(LOG_KILLED) == 1, "it is killed\n");
	/* Other pages may be held, which the shell had there. */
	ksft_test_result(log_says(&held, &kernel, &tables) && kernel == 1 && !tables,
			 "of the kernel's pages, only the PGD stays\n");
	test_other(&ranges.range[0], SAME_SLOT);
}

static bool going_offline(size_t block)
{
	return blocks_are(block, block_size(), "state", "going-offline");
}

/**
 * struct attempts - attempts to take a block offline and to remove it
 * @pipe: a byte from here starts them
 * @block: address of the block
 * @size: size of the block
 * @again: number of attempts that failed with EAGAIN
 * @err: result of the last one
 */
struct attempts {
	int pipe;
	unsigned long block;
	unsigned long size;
	unsigned long again;
	int err;
};

/*
 * Try again at once, as a driver may do: no attempt must delay what is gone. Each waits
 * for the lock of memory hotplug, so it has its turn between going offline and removal of
 * what is gone. Allocate nothing: the memory could be gone afterwards.
 */
static void *take_offline(void *arg)
{
	struct attempts *attempts = arg;
	char start;

	if (read(attempts->pipe, &start, 1) != 1)
		die("read: %s", strerror(errno));
	do {
		attempts->err = hotplug("remove", attempts->block, attempts->size);
	} while (attempts->err == EAGAIN && ++attempts->again);
	return NULL;
}

static void main_waits(void)
{
	static struct attempts attempts;
	struct ranges ranges;
	pthread_t thread;
	struct slot slot;
	int pipes[2], err;

	ksft_set_plan(2);
	/* It is there before this program locks its memory: the stack is locked, too. */
	if (pipe(pipes))
		die("pipe: %s", strerror(errno));
	attempts.pipe = pipes[0];
	err = pthread_create(&thread, NULL, take_offline, &attempts);
	if (err)
		die("pthread_create: %s", strerror(err));
	ranges = plug(2);
	slot = find_slot(&ranges.range[0]);
	lock_memory();
	set_states(&ranges.range[0], "online_movable");
	set_states(&ranges.range[1], "online_movable");
	attempts.block = ranges.range[1].start;
	attempts.size = block_size();
	err = hotplug("hold_movable", attempts.block, attempts.size);
	if (err)
		die("no page of %#lx: %s", attempts.block, strerror(err));
	if (write(pipes[1], "", 1) != 1)
		die("write: %s", strerror(errno));
	if (!wait_for(going_offline, attempts.block))
		die("the block does not go offline");
	drop_device(&slot, &ranges.range[0]);

	ksft_test_result(hot_ranges().nr == 1, "the memory that is gone is removed\n");
	hotplug("hold_movable", 0, 0);
	pthread_join(thread, NULL);
	ksft_print_msg("%lu attempts ended with EAGAIN\n", attempts.again);
	ksft_test_result(attempts.again && !attempts.err,
			 "other memory was not removed before, but is when no page is held\n");
}

/* Map memory below one PMD table, at a fixed place. */
static char *map_large(size_t size, int advice)
{
	char *memory = mmap((void *)START, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	if (madvise(memory, size, advice) && errno != EINVAL)
		die("madvise: %s", strerror(errno));
	return memory;
}

/*
 * Map a large page and the huge page of zeroes. The latter is in node 1, and so are the
 * page tables in reserve for when the two are split. Everything else that this needs is
 * there before: a page beside each of them has been written, and one has been read.
 */
static char *map_reserve(void)
{
	char *memory = map_large(4 * HUGE, MADV_HUGEPAGE);
	unsigned long node_0 = NODE_0;

	if (syscall(SYS_mbind, memory, 2 * HUGE, MPOL_BIND, &node_0, 64, 0))
		die("mbind: %s", strerror(errno));
	memory[0] = 1;
	memory[2 * HUGE] = 1;
	read_page(memory);
	set_policy(MPOL_BIND, NODE_1);
	fill_at(memory + HUGE, HUGE);
	read_page(memory + 3 * HUGE);
	set_policy(MPOL_DEFAULT, 0);
	return memory;
}

static bool is_zero(const char *memory, size_t size)
{
	size_t i;

	for (i = 0; i < size && !read_page(memory + i); i += PAGE_SIZE) {
		if (buffer[0] || memcmp(buffer, buffer + 1, PAGE_SIZE - 1))
			return false;
	}
	return i >= size;
}

/*
 * The work of a child: have NR_TABLES page tables allocated in node 1. Each
 * maps a page in node 1 and a page in node 0. Then report this with a byte.
 * Nothing else is allocated in node 1: the first page of the mapping has had
 * the kernel allocate everything else before.
 */
static void live_in_tables(const struct ranges *ranges, int pipe)
{
	size_t size = (NR_TABLES + 1) * HUGE, i;
	char *memory = map_large(size, MADV_NOHUGEPAGE);
	bool there;

	memory[0] = 1;
	set_policy(MPOL_BIND, NODE_1);
	for (i = 1; i <= NR_TABLES; i++)
		memory[i * HUGE] = 1;
	set_policy(MPOL_DEFAULT, 0);
	for (i = 1; i <= NR_TABLES; i++)
		memory[i * HUGE + PAGE_SIZE] = 1;
	there = pages_in(memory, size, ranges) == NR_TABLES;
	if (write(pipe, &there, 1) != 1)
		die("write: %s", strerror(errno));
	for (;;)
		pause();
}

static void main_tables(void)
{
	unsigned long held, kernel, tables, blocks, nr_tables, nr_zero, nr_large;
	struct ranges ranges;
	struct range *range = &ranges.range[0];
	struct slot slot;
	int pipes[2];
	char *memory;
	char there;
	bool none;

	ksft_set_plan(9);
	if (pipe(pipes))
		die("pipe: %s", strerror(errno));
	if (!access(LARGE_PAGES, F_OK)) {
		must_write(LARGE_PAGES, "madvise");
		/* With less than 512 MiB, the kernel boots with 0. */
		must_write(ZERO_PAGE, "1");
	}
	ranges = plug(1);
	slot = find_slot(range);
	lock_memory();
	set_states(range, "online_kernel");
	if (!in_zone(range, "Normal"))
		die("the memory is not in zone Normal");
	wait_for_node_1();
	/* The child maps its memory at the same place, so it comes first. */
	fflush(stdout);
	owner = fork();
	if (!owner)
		live_in_tables(&ranges, pipes[1]);
	close(pipes[1]);
	if (read(pipes[0], &there, 1) != 1)
		die("the child has said nothing");
	memory = map_reserve();
	nr_large = meminfo_bytes("AnonHugePages") / HUGE;
	nr_zero = pages_in(memory + 3 * HUGE, HUGE, &ranges);
	nr_tables = range_pages_with(range, 1ULL << KPF_PGTABLE);
	printf("# %lu page tables, %lu large pages, %lu pages of zeroes\n", nr_tables, nr_large,
	       nr_zero);
	drop_device(&slot, range);

	ksft_test_result(there, "a process has pages in the memory\n");
	ksft_test_result(wait_for(killed, 0), "it has page tables there, and is killed\n");
	ksft_test_result(log_count(LOG_GONE) == 1 && log_count(LOG_KILLED) == 1 &&
			 log_count(LOG_STAYS) == 1, "the log says each of that once\n");
	if (nr_large) {
		/* Splitting the large page needs the page table in reserve. */
		bool split = !madvise(memory + 2 * HUGE - PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);

		ksft_test_result(split && verify(memory + HUGE, HUGE - PAGE_SIZE) &&
				 nr_tables == NR_TABLES + 2,
				 "page tables in reserve, which were there, are replaced\n");
		ksft_test_result(nr_zero == HUGE / PAGE_SIZE && is_zero(memory + 3 * HUGE, HUGE),
				 "the huge page of zeroes, which was there, is replaced\n");
	} else {
		ksft_test_result_skip("no large pages\n");
		ksft_test_result_skip("no huge page of zeroes\n");
	}
	if (!log_says(&held, &kernel, &tables))
		die("the log does not say what stays");
	ksft_print_msg("%lu pages are held, %lu are the kernel's, %lu of these page tables\n",
		       held, kernel, tables);
	ksft_test_result(held == NR_TABLES && tables == NR_TABLES && kernel == tables + nr_zero,
			 "just its pages, its page tables and the zeroes stay\n");
	blocks = (range->end - range->start) / block_size();
	ksft_test_result(blocks_with(range, "online") == blocks && hot_ranges().nr == 1,
			 "the blocks stay, and the range is as it was\n");
	/* This also looks for page tables that map what is in node 0. */
	set_policy(MPOL_PREFERRED, NODE_1);
	none = gives_nothing(&ranges);
	set_policy(MPOL_DEFAULT, 0);
	ksft_test_result(none, "nothing of them is given out to who prefers them\n");
	test_other(range, SAME_SLOT);
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };

	begin_slots("offline");
	sigaction(SIGBUS, &action, NULL);

	if (!strcmp(mode, "nothing"))
		main_nothing();
	else if (!strcmp(mode, "pages"))
		main_pages();
	else if (!strcmp(mode, "held"))
		main_held();
	else if (!strcmp(mode, "written"))
		main_written();
	else if (!strcmp(mode, "pgd"))
		main_pgd();
	else if (!strcmp(mode, "waits"))
		main_waits();
	else if (!strcmp(mode, "tables"))
		main_tables();
	else
		die("usage: lost MODE, as lost.c says");
	ksft_finished();
}
