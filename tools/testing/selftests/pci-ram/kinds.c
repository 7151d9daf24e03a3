// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of all kinds are in memory on a PCI device that is removed.
 *
 *   kinds move			kinds that can be moved, and kinds that zone
 *				Movable never has
 *   kinds huge			huge pages that are in use, free or reserved
 *   kinds pin			a buffer that fits nowhere else cannot be pinned
 *   kinds normal NODE		pinned and secret pages, in zone Normal of a node
 *   kinds gigantic NODE	huge pages of 1 GiB, in the same zone
 *   kinds percpu NODE		per-CPU memory of a hart of the node. It may
 *				prevent the removal of its device for good
 *
 * The host plugs when the program says "plug memory now", and unplugs the same
 * device at "remove memory now".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/kernel-page-flags.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "load.h"
#include "memory.h"
#include "slots.h"

#define HUGE		(2 * MIB)
#define LARGE_DATA	(2 * HUGE)	/* for each kind of large page */
#define DATA		(512 * 1024UL)	/* for each other kind: pages are moved one by one */
#define NR_PAGES	(DATA / PAGE_SIZE)
#define FLAG(name)	(1ULL << KPF_##name)
#define THP		"/sys/kernel/mm/transparent_hugepage"
#define ZRAM		"/sys/block/zram0"
#define ZRAM_DISK	"/dev/zram0"

/* The reason in the kernel log for a refused removal */
#define LOG_IN_USE	"some of it is in use and cannot be moved"
#define LOG_HELD	"some of it is held and could not be moved in time"
/* What the OOM killer says */
#define LOG_KILLED	"Out of memory: Killed"

static char power[64];

static void *map(size_t size, int flags)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Map private memory at the start of a large page, with advice on how to fill it. */
static char *map_aligned(size_t size, int advice)
{
	char *memory = map(size + HUGE, MAP_PRIVATE);

	if (!memory)
		die("map %zu MiB: %s", size / MIB, strerror(errno));
	memory = (char *)(((unsigned long)memory + HUGE - 1) & -HUGE);
	if (madvise(memory, size, advice) && errno != EINVAL)
		die("madvise: %s", strerror(errno));
	return memory;
}

/* Set @power to the file of the slot whose device has the memory at @start. */
static void find_slot_power(unsigned long start)
{
	char device[16];

	find_device(start, device);
	find_power(device, power);
}

static struct ranges plug_one(void)
{
	struct ranges ranges = plug(1);

	find_slot_power(ranges.range[0].start);
	return ranges;
}

/* Have the host remove the device while other processes work. Whether nothing is left of it. */
static bool remove_under_load(const struct memory_state *none)
{
	pid_t programs = start(run_programs), memory_user = start(use_memory);
	bool gone;

	unplug();
	gone = removed_under_load(none);
	return stop(programs) & stop(memory_user) & gone;
}

/* Ask for the removal of the device. It must be refused, and nothing may change. */
static void test_refused(const char *what, const char *why)
{
	struct memory_state before = memory_state();
	size_t said = log_count(why);
	int err = try_write(power, "0");

	said = log_count(why) - said;
	if (err != EBUSY || said != 1)
		ksft_print_msg("%s; the log says why %zu times\n", strerror(err), said);
	ksft_test_result(memory_state_is(&before) && err == EBUSY && said == 1,
			 "%s: refused, \"%s\", and all is as before\n", what, why);
}

/* A ring with room for one request, and its registered buffer, number 0 */
struct ring {
	int fd;
	struct io_uring_params params;
	char *sq, *cq;
	struct io_uring_sqe *sqe;
};

static bool ring_open(struct ring *ring)
{
	size_t size;

	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(SYS_io_uring_setup, 1, &ring->params);
	if (ring->fd < 0 && errno == ENOSYS)
		return false;
	size = ring->params.sq_off.array + ring->params.sq_entries * sizeof(unsigned int);
	ring->sq = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			IORING_OFF_SQ_RING);
	size = ring->params.cq_off.cqes +
	       ring->params.cq_entries * sizeof(struct io_uring_cqe);
	ring->cq = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			IORING_OFF_CQ_RING);
	ring->sqe = mmap(NULL, sizeof(*ring->sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			 IORING_OFF_SQES);
	if (ring->fd < 0 || ring->sq == MAP_FAILED || ring->cq == MAP_FAILED ||
	    ring->sqe == MAP_FAILED)
		die("io_uring: %s", strerror(errno));
	return true;
}

/* Pin a buffer. Returns 0 or the errno. */
static int try_register(const struct ring *ring, void *buffer, size_t size)
{
	struct iovec vector = { buffer, size };

	return syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_BUFFERS, &vector, 1) ?
	       errno : 0;
}

static void ring_register(const struct ring *ring, void *buffer, size_t size)
{
	int err = try_register(ring, buffer, size);

	if (err)
		die("register a buffer: %s", strerror(err));
}

static void ring_unregister(const struct ring *ring)
{
	if (syscall(SYS_io_uring_register, ring->fd, IORING_UNREGISTER_BUFFERS, NULL, 0))
		die("unregister a buffer: %s", strerror(errno));
}

/* Read from a file into the registered buffer. Whether all of it was read. */
static bool ring_read(const struct ring *ring, int file, off_t at, void *buffer, size_t size)
{
	unsigned int *tail = (unsigned int *)(ring->sq + ring->params.sq_off.tail);
	unsigned int *head = (unsigned int *)(ring->cq + ring->params.cq_off.head);
	unsigned int mask = *(unsigned int *)(ring->cq + ring->params.cq_off.ring_mask);
	struct io_uring_cqe *cqes = (struct io_uring_cqe *)(ring->cq + ring->params.cq_off.cqes);
	int read;

	*ring->sqe = (struct io_uring_sqe){
		.opcode = IORING_OP_READ_FIXED,
		.fd = file,
		.off = at,
		.addr = (unsigned long)buffer,
		.len = size,
	};
	/* The array of submissions is zero, so its only entry is request 0. */
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		die("io_uring_enter: %s", strerror(errno));
	read = cqes[*head & mask].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return read == (int)size;
}

/* Whether a read puts a file's content into the registered buffer, which had other content */
static bool ring_works(const struct ring *ring, char *buffer)
{
	char *source = fill(2 * DATA);
	int file = memfd_create("source", MFD_CLOEXEC);
	bool good;

	if (file < 0 || write(file, source, 2 * DATA) != (ssize_t)(2 * DATA))
		die("memfd: %s", strerror(errno));
	good = verify(buffer, DATA) && ring_read(ring, file, DATA, buffer, DATA) &&
	       !memcmp(buffer, source + DATA, DATA);
	fill_at(buffer, DATA);
	munmap(source, 2 * DATA);
	close(file);
	return good;
}

static int secret_fd(void)
{
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd < 0 && errno != ENOSYS)
		die("memfd_secret: %s", strerror(errno));
	return fd;
}

/* Map secret memory. NULL if the kernel has none. */
static char *map_secret(size_t size)
{
	char *memory;
	int fd = secret_fd();

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, size))
		die("memfd_secret: %s", strerror(errno));
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("memfd_secret: %s", strerror(errno));
	close(fd);
	return memory;
}

/* The bytes of this process's page tables */
static unsigned long page_tables(void)
{
	char *text = read_file("/proc/self/status"), *line = strstr(text, "VmPTE:");
	unsigned long kib;

	if (!line || sscanf(line, "VmPTE: %lu kB", &kib) != 1)
		die("/proc/self/status has no VmPTE");
	free(text);
	return kib * 1024 / PAGE_SIZE;
}

/* The number of zsmalloc's pages in zone Movable, or in all zones */
static long zspages(const char *zone)
{
	char *text = read_file("/proc/zoneinfo"), *from = text;
	long pages, sum = 0;

	while (from && (from = strstr(from, zone)) && (from = strstr(from, "nr_zspages"))) {
		if (sscanf(from, "nr_zspages %ld", &pages) == 1)
			sum += pages;
	}
	free(text);
	return sum;
}

static bool have_zram(void)
{
	if (access(ZRAM, F_OK))
		return false;
	must_write(ZRAM "/disksize", "64M");
	if (system("mkswap " ZRAM_DISK " >/dev/null") || swapon(ZRAM_DISK, 0))
		die("swap on " ZRAM_DISK ": %s", strerror(errno));
	return true;
}

static void end_zram(void)
{
	if (swapoff(ZRAM_DISK))
		die("swapoff: %s", strerror(errno));
	must_write(ZRAM "/reset", "1");
}

static void page_out(char *memory)
{
	if (madvise(memory, DATA, MADV_PAGEOUT))
		die("MADV_PAGEOUT: %s", strerror(errno));
}

static void wait_for_end(void)
{
	for (;;)
		pause();
}

/* Kinds of pages, each with filled memory, or NULL if the kernel has no such pages */
enum { LARGE, SHARED, MERGED, TWIN, LOCKED, CACHED, PACKED, PINNED, SECRET, NR_KINDS };

static const struct {
	const char *what;
	size_t size;
	unsigned long long flags;
} kinds[NR_KINDS] = {
	[LARGE] = { "large pages of a process", LARGE_DATA, FLAG(THP) },
	[SHARED] = { "large pages of shared memory", LARGE_DATA, FLAG(THP) },
	[MERGED] = { "pages of KSM", DATA, FLAG(KSM) },
	[TWIN] = { "pages of KSM, for the second who has them", DATA, FLAG(KSM) },
	[LOCKED] = { "pages that are locked in memory", DATA, FLAG(UNEVICTABLE) },
	[CACHED] = { "pages of the swap cache", DATA, FLAG(SWAPCACHE) },
	[PACKED] = { "pages in zram", DATA },
	[PINNED] = { "pages of a buffer of io_uring", DATA },
	[SECRET] = { "secret pages", DATA },
};

static void main_move(void)
{
	const size_t tables_size = 8 * GIB;
	char *memory[NR_KINDS] = { NULL }, *tables;
	struct memory_state none;
	unsigned long nr_tables;
	struct ranges ranges;
	struct ring ring;
	bool has_ring, has_zram;
	size_t i, found;
	pid_t other = 0;
	long packed = 0;

	ksft_set_plan(2 * NR_KINDS + 3);
	/* Large pages are off by default on a machine with less than 512 MiB. */
	must_write(THP "/enabled", "always");
	must_write(THP "/shmem_enabled", "always");
	has_zram = have_zram();
	has_ring = ring_open(&ring);
	none = memory_state();
	ranges = plug_one();

	memory[LARGE] = map_aligned(LARGE_DATA, MADV_HUGEPAGE);
	memory[SHARED] = map(LARGE_DATA, MAP_SHARED);
	memory[LOCKED] = map_aligned(DATA, MADV_NOHUGEPAGE);
	if (mlock(memory[LOCKED], DATA))
		die("mlock: %s", strerror(errno));
	for (i = MERGED; i <= TWIN; i++) {
		char *mergeable = map_aligned(DATA, MADV_NOHUGEPAGE);

		if (!madvise(mergeable, DATA, MADV_MERGEABLE))
			memory[i] = mergeable;
		else if (errno != EINVAL)
			die("MADV_MERGEABLE: %s", strerror(errno));
	}
	if (has_zram) {
		memory[CACHED] = map_aligned(DATA, MADV_NOHUGEPAGE);
		memory[PACKED] = map_aligned(DATA, MADV_NOHUGEPAGE);
	}
	if (has_ring)
		memory[PINNED] = map_aligned(DATA, MADV_NOHUGEPAGE);
	memory[SECRET] = map_secret(DATA);
	for (i = 0; i < NR_KINDS; i++) {
		if (memory[i])
			fill_at(memory[i], kinds[i].size);
	}

	if (memory[MERGED] && !merge_pages(NR_PAGES))
		die("KSM does not merge");
	if (has_zram) {
		page_out(memory[PACKED]);
		page_out(memory[CACHED]);
		/* Reading a page leaves it in the swap, too, if another process has it there. */
		other = start(wait_for_end);
		if (!verify(memory[CACHED], DATA))
			die("swap is not what it was");
		packed = zspages("Movable");
	}
	for (i = 0; i < NR_KINDS; i++) {
		if (!memory[i]) {
			ksft_test_result_skip("%s: this kernel has none\n", kinds[i].what);
		} else if (i == PACKED) {
			ksft_test_result(packed, "%s: %ld of %ld in the new memory\n",
					 kinds[i].what, packed, zspages("zone"));
		} else if (i == SECRET) {
			found = pages_in(memory[i], DATA, &ranges);
			ksft_test_result(!found, "%s: never in zone Movable\n", kinds[i].what);
		} else {
			size_t nr = kinds[i].size / PAGE_SIZE;

			found = pages_with(memory[i], kinds[i].size, &ranges, kinds[i].flags);
			ksft_test_result(found == nr, "%s: %zu of %zu in the new memory\n",
					 kinds[i].what, found, nr);
		}
	}
	if (memory[PINNED]) {
		ring_register(&ring, memory[PINNED], DATA);
		found = pages_in(memory[PINNED], DATA, &ranges);
		ksft_test_result(!found, "to be pinned, the buffer has to leave it\n");
	} else {
		ksft_test_result_skip("a buffer of io_uring that is pinned\n");
	}

	nr_tables = page_tables();
	tables = mmap(NULL, tables_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		      -1, 0);
	if (tables == MAP_FAILED || madvise(tables, tables_size, MADV_NOHUGEPAGE))
		die("map 8 GiB: %s", strerror(errno));
	for (found = 0; found < tables_size; found += HUGE)
		__atomic_load_n(tables + found, __ATOMIC_RELAXED);
	nr_tables = page_tables() - nr_tables;
	found = range_pages_with(&ranges.range[0], FLAG(PGTABLE));
	ksft_test_result(nr_tables >= tables_size / HUGE && !found,
			 "%lu page tables: never in zone Movable\n", nr_tables);

	ksft_test_result(remove_under_load(&none), "the device is removed under load\n");
	for (i = 0; i < NR_KINDS; i++) {
		if (!memory[i])
			ksft_test_result_skip("%s\n", kinds[i].what);
		else if (i == PINNED)
			ksft_test_result(ring_works(&ring, memory[i]),
					 "%s: intact, and read into\n", kinds[i].what);
		else
			ksft_test_result(verify(memory[i], kinds[i].size), "%s: intact\n",
					 kinds[i].what);
	}
	if (other) {
		stop(other);
		end_zram();
	}
}

#define POOL	8UL

static void main_huge(void)
{
	const size_t per_page = HUGE / PAGE_SIZE;
	struct memory_state none = memory_state();
	struct ranges ranges = plug_one();
	char *memory;
	size_t found;

	ksft_set_plan(8);
	if (!set_pool(2 * POOL))
		die("no pool of %lu huge pages", 2 * POOL);
	found = range_pages_with(&ranges.range[0], FLAG(HUGE)) / per_page;
	ksft_test_result(pool_is(2 * POOL, 2 * POOL, 0) && found == 2 * POOL,
			 "%zu of %lu huge pages are in the new memory\n", found, 2 * POOL);

	memory = map(2 * POOL * HUGE, MAP_PRIVATE | MAP_HUGETLB);
	if (!memory)
		die("huge pages: %s", strerror(errno));
	test_refused("huge pages that are free, but promised to a process", LOG_IN_USE);
	ksft_test_result(pool_is(2 * POOL, 2 * POOL, 2 * POOL), "none of them is lost\n");
	munmap(memory, 2 * POOL * HUGE);

	memory = fill_huge(POOL * HUGE);
	found = pages_with(memory, POOL * HUGE, &ranges, FLAG(HUGE)) / per_page;
	ksft_test_result(found == POOL && pool_is(2 * POOL, POOL, 0),
			 "%zu are used, as many are free\n", found);
	ksft_test_result(remove_under_load(&none), "the device is removed under load\n");
	ksft_test_result(verify(memory, POOL * HUGE), "the used ones are intact\n");
	ksft_test_result(pool_is(POOL, 0, 0), "the free ones have left the pool\n");
	munmap(memory, POOL * HUGE);
	ksft_test_result(pool_is(POOL, POOL, 0) && set_pool(0) && pool_is(0, 0, 0),
			 "the pool can be emptied\n");
}

#define BUFFER	(112 * MIB)
/* What the kernel and this program need, and less than the buffer */
#define LEFT	(64 * MIB)

/*
 * Huge pages take the memory outside of zone Movable, but for a part that is
 * smaller than the buffer. The program gives them back at once when it failed
 * to pin the buffer: the pages that were moved before that have used up the
 * rest of this memory.
 */
static void main_pin(void)
{
	struct memory_state none = memory_state();
	size_t found, left, killed = log_count(LOG_KILLED);
	struct ranges ranges;
	struct ring ring;
	char *buffer;
	int err;

	ksft_set_plan(4);
	if (!ring_open(&ring))
		ksft_exit_skip("no CONFIG_IO_URING\n");
	/* Memory may be fragmented: a smaller pool will do, too. */
	set_pool((meminfo_bytes("MemFree") - LEFT) / HUGE);
	left = meminfo_bytes("MemFree");
	if (left >= BUFFER)
		die("%lu MiB are still free", left / MIB);
	ranges = plug_one();
	buffer = map_aligned(BUFFER, MADV_NOHUGEPAGE);
	fill_at(buffer, BUFFER);
	found = pages_in(buffer, BUFFER, &ranges) * PAGE_SIZE;
	ksft_test_result(found > left, "%zu of %lu MiB of a buffer are in the new memory\n",
			 found / MIB, BUFFER / MIB);

	err = try_register(&ring, buffer, BUFFER);
	set_pool(0);
	ksft_test_result(err == ENOMEM && log_count(LOG_KILLED) == killed,
			 "only %zu MiB are free elsewhere: %s, and nobody is killed\n",
			 left / MIB, strerror(err));
	err = try_register(&ring, buffer, BUFFER);
	ksft_test_result(!err && verify(buffer, BUFFER),
			 "intact, and pinned when there is room: %s\n", strerror(err));

	/* Each child would get a copy of pinned memory. There is no room for so many. */
	ring_unregister(&ring);
	munmap(buffer, BUFFER);
	ksft_test_result(remove_under_load(&none), "the device is removed under load\n");
}

static void bind_to(void *memory, size_t size, int node)
{
	unsigned long nodes = 1UL << node;

	if (syscall(SYS_mbind, memory, size, MPOL_BIND, &nodes, 8 * sizeof(nodes), 0))
		die("mbind: %s", strerror(errno));
}

/*
 * Plug a device of two blocks. Its second block, in zone Normal, is then all
 * memory of the node. When a node gets its first memory, it gets threads,
 * whose stacks are in that memory unless it is in zone Movable. So the first
 * block is online before the second, in zone Movable.
 */
static struct range plug_normal(void)
{
	struct range first, second;

	online_as("offline");
	first = plug_one().range[0];
	second = (struct range){ first.start + block_size(), first.end };
	first.end = second.start;
	set_states(&first, "online_movable");
	set_states(&second, "online_kernel");
	set_states(&first, "offline");
	return second;
}

static unsigned long physical(const void *page)
{
	unsigned long long entry;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, &entry, sizeof(entry),
			    (unsigned long)page / PAGE_SIZE * sizeof(entry)) != sizeof(entry))
		die("/proc/self/pagemap: %s", strerror(errno));
	close(fd);
	return (entry & ((1ULL << 55) - 1)) * PAGE_SIZE;
}

/* Whether a page is mapped in the direct map */
static bool in_direct_map(unsigned long phys)
{
	struct ptdump dump = ptdump_read();
	bool valid = false;
	size_t i;

	for (i = 0; i < dump.nr; i++) {
		const struct mapping *map = &dump.maps[i];

		if (!strcmp(map->area, AREA_LINEAR) && phys >= map->phys &&
		    phys - map->phys < map->end - map->start)
			valid = map->valid;
	}
	ptdump_free(&dump);
	return valid;
}

#define SECRET_SIZE	(16 * PAGE_SIZE)

/*
 * Map secret memory. Only its second page is on @node, and nothing else that
 * the kernel allocates for it. NULL if the kernel has no secret memory.
 */
static char *secret_in(int node, const struct ranges *ranges)
{
	char *memory = map_secret(SECRET_SIZE);
	int ends[2];

	if (!memory)
		return NULL;
	/* The first page also allocates a page table for this mapping, and metadata of the file. */
	memory[0] = 1;
	/*
	 * For the second page, the kernel allocates the page, and then a page
	 * table, to remove the page from the direct map. This table stays, so
	 * it must not be on the node. Let the nodes take turns, starting with
	 * node 0: the pipe's page takes the turn of node 0.
	 */
	if (pipe2(ends, O_CLOEXEC))
		die("pipe: %s", strerror(errno));
	set_policy(MPOL_INTERLEAVE, 1 | 1UL << node);
	if (write(ends[1], "", 1) != 1)
		die("write to a pipe: %s", strerror(errno));
	memory[PAGE_SIZE] = 1;
	set_policy(MPOL_DEFAULT, 0);
	close(ends[0]);
	close(ends[1]);
	if (pages_in(memory, SECRET_SIZE, ranges) != 1)
		die("not one of two secret pages is in the new memory");
	return memory;
}

static void main_normal(int node)
{
	struct memory_state none = memory_state();
	struct ranges ranges = { .nr = 1 };
	char *buffer, *secret;
	struct ring ring;
	size_t found;

	ksft_set_plan(8);
	if (!ring_open(&ring))
		ksft_exit_skip("no CONFIG_IO_URING\n");
	ranges.range[0] = plug_normal();
	ksft_test_result(in_zone(&ranges.range[0], "Normal"), "a block is in zone Normal\n");
	must_write(PATIENCE, "2");

	buffer = map_aligned(DATA, MADV_NOHUGEPAGE);
	bind_to(buffer, DATA, node);
	fill_at(buffer, DATA);
	ring_register(&ring, buffer, DATA);
	found = pages_in(buffer, DATA, &ranges);
	ksft_test_result(found == NR_PAGES, "%zu of %zu pages of a buffer of io_uring are in it\n",
			 found, NR_PAGES);
	test_refused("while they are pinned", LOG_HELD);
	ksft_test_result(ring_works(&ring, buffer), "and they are read into\n");
	ring_unregister(&ring);

	secret = secret_in(node, &ranges);
	if (secret) {
		unsigned long phys = physical(secret + PAGE_SIZE);

		ksft_test_result(!in_direct_map(phys),
				 "a secret page of it is out of the direct map\n");
		test_refused("while it is used", LOG_HELD);
		munmap(secret, SECRET_SIZE);
		ksft_test_result(in_direct_map(phys), "and back in it when it is freed\n");
	} else {
		ksft_test_result_skip("no secret pages: boot with secretmem.enable=1\n");
		ksft_test_result_skip("no secret pages\n");
		ksft_test_result_skip("no secret pages\n");
	}

	must_write(PATIENCE, "600");
	ksft_test_result(remove_under_load(&none) && verify(buffer, DATA),
			 "removed once both are free\n");
}

#define POOL_1G	"hugepages/hugepages-1048576kB/nr_hugepages"

static void main_gigantic(int node)
{
	struct memory_state none = memory_state();
	struct ranges ranges, large;
	char path[96], *memory;
	size_t found;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/" POOL_1G, node);
	ksft_set_plan(4);
	online_as("offline");
	ranges = plug(2);
	/* As in plug_normal(): the node's own allocations must be in other memory. */
	large = (struct ranges){ .range = { ranges.range[1] }, .nr = 1 };
	set_states(&ranges.range[0], "online_movable");
	set_states(&large.range[0], "online_kernel");
	find_slot_power(large.range[0].start);
	must_write(path, "1");
	memory = mmap(NULL, GIB, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_1GB, -1, 0);
	if (memory == MAP_FAILED)
		die("%ld huge pages of 1 GiB: %s", read_long(path), strerror(errno));
	fill_at(memory, DATA);
	fill_at(memory + GIB - DATA, DATA);
	found = pages_in(memory, GIB, &large);
	ksft_test_result(found == GIB / PAGE_SIZE, "a huge page of 1 GiB is all of a device\n");

	/* Huge pages of 1 GiB cannot be moved, but a free one can be given back. */
	test_refused("while it is used", LOG_IN_USE);
	ksft_test_result(verify(memory, DATA) && verify(memory + GIB - DATA, DATA),
			 "it is intact\n");
	munmap(memory, GIB);
	ksft_test_result(remove_under_load(&none) && !read_long(path),
			 "removed while it is free, and its pool is empty\n");
}

#define PER_CPU_VALUE	(16 * 1024UL)
#define PER_CPU_NR	512UL

static int per_cpu_map(void)
{
	int map = bpf_map(BPF_MAP_TYPE_PERCPU_ARRAY, PER_CPU_VALUE, PER_CPU_NR, 0);

	if (map < 0)
		die("BPF map: %s", strerror(-map));
	return map;
}

static bool per_cpu_is_at_most(size_t bytes)
{
	return meminfo_bytes("Percpu") <= bytes;
}

static void main_percpu(int node)
{
	const unsigned long size = PER_CPU_VALUE * PER_CPU_NR;	/* of each hart */
	struct memory_state none = memory_state();
	unsigned long none_used = meminfo_bytes("Percpu"), before, after;
	bool there;
	int map;

	ksft_set_plan(4);
	plug_one();
	map = per_cpu_map();
	there = meminfo_bytes("Percpu") >= none_used + size;
	ksft_test_result(remove_under_load(&none) && there,
			 "per-CPU memory: never in zone Movable\n");
	close(map);

	plug_normal();
	before = node_bytes(node, "MemFree");
	map = per_cpu_map();
	after = node_bytes(node, "MemFree");
	/* The allocator may have kept and reused some memory of the first map. */
	ksft_test_result(before - after >= size / 2, "%lu MiB of it in zone Normal\n",
			 (before - after) / MIB);
	test_refused("while it is used", LOG_IN_USE);
	close(map);
	/*
	 * The allocator keeps up to four free pages of each hart. They cannot
	 * be moved, and may be in this memory.
	 */
	ksft_test_result(wait_for(per_cpu_is_at_most,
				  none_used + 4 * PAGE_SIZE * sysconf(_SC_NPROCESSORS_CONF)),
			 "all but a few pages of it are free again\n");
	ksft_print_msg("a removal would say: %s\n", strerror(try_write(power, "0")));
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	int node = argc > 2 ? atoi(argv[2]) : 0;

	if (!strcmp(mode, "nothing"))
		return 0;

	begin_slots("online_movable");
	/* Do not give up on a slow machine. */
	must_write(PATIENCE, "600");

	if (!strcmp(mode, "move"))
		main_move();
	else if (!strcmp(mode, "huge"))
		main_huge();
	else if (!strcmp(mode, "pin"))
		main_pin();
	else if (!strcmp(mode, "normal"))
		main_normal(node);
	else if (!strcmp(mode, "gigantic"))
		main_gigantic(node);
	else if (!strcmp(mode, "percpu"))
		main_percpu(node);
	else
		die("usage: kinds MODE [NODE], as kinds.c says");
	ksft_finished();
}
