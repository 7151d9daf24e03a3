// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdint.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

#define LINE		64UL
#define COW_STEP	(2UL << 20)
#define NOTIFIER_DIR	"/sys/kernel/debug/notifier-error-inject/memory/actions"
#define KSM		"/sys/kernel/mm/ksm"
#define POOL		"HugePages_Total: %lu HugePages_Free: %lu HugePages_Rsvd: %lu " \
			"HugePages_Surp: %lu Hugepagesize: %lu kB Hugetlb: %lu kB"
#define PAGEMAP_PFN	0x007fffffffffffffULL
#define PAGEMAP_PRESENT	0x8000000000000000ULL

struct ranges hot_ranges(void)
{
	struct ranges ranges = { .nr = 0 };
	char *text = read_file("/proc/iomem");
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n"))) {
		unsigned long start, last;

		if (!strstr(line, " : System RAM (") ||
		    sscanf(line, " %lx-%lx", &start, &last) != 2)
			continue;
		if (ranges.nr == MAX_RANGES)
			die("/proc/iomem: more than %d hot-added ranges", MAX_RANGES);
		ranges.range[ranges.nr++] = (struct range){ start, last + 1 };
	}
	free(text);
	return ranges;
}

unsigned long ranges_size(const struct ranges *ranges)
{
	unsigned long size = 0;
	size_t i;

	for (i = 0; i < ranges->nr; i++)
		size += ranges->range[i].end - ranges->range[i].start;
	return size;
}

struct memory_state memory_state(void)
{
	return (struct memory_state){
		.total = meminfo_bytes("MemTotal"),
		.tables = hotplug_number("tables"),
		.blocks = memory_blocks(),
		.iomem = read_file("/proc/iomem"),
	};
}

bool memory_state_is(const struct memory_state *before)
{
	struct memory_state now = memory_state();
	bool same_iomem = !strcmp(now.iomem, before->iomem);
	bool same = same_iomem && now.total == before->total && now.tables == before->tables &&
		    now.blocks == before->blocks;

	if (!same)
		ksft_print_msg("now/before: %lu/%lu kB, %lu/%lu tables, %zu/%zu blocks; iomem %s\n",
			       now.total >> 10, before->total >> 10, now.tables, before->tables,
			       now.blocks, before->blocks, same_iomem ? "is the same" : "differs");
	free(now.iomem);
	return same;
}

char *log_read(void)
{
	int size = klogctl(10 /* SYSLOG_ACTION_SIZE_BUFFER */, NULL, 0);
	char *log = calloc(1, size + 1);

	if (!log || klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, size) < 0)
		die("kernel log: %s", strerror(errno));
	return log;
}

size_t log_count(const char *text)
{
	char *log = log_read(), *found;
	size_t count = 0;

	for (found = log; (found = strstr(found, text)); found++)
		count++;
	free(log);
	return count;
}

long free_pages(void)
{
	char *text, *line;
	long sum = 0, n;
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "3", 1) != 1)
		die("drop_caches: %s", strerror(errno));
	close(fd);

	text = read_file("/proc/zoneinfo");
	for (line = text; line; line = strchr(line + 1, '\n')) {
		if (sscanf(line, " pages free %ld", &n) == 1 ||
		    sscanf(line, " count: %ld", &n) == 1)
			sum += n;
	}
	free(text);
	return sum;
}

static unsigned long bytes_of(const char *path, const char *field)
{
	char *text = read_file(path);
	char *found = strstr(text, field);
	unsigned long kib;

	if (!found || sscanf(found + strlen(field), ": %lu kB", &kib) != 1)
		die("%s has no %s", path, field);
	free(text);
	return kib << 10;
}

unsigned long meminfo_bytes(const char *field)
{
	return bytes_of("/proc/meminfo", field);
}

unsigned long node_bytes(int node, const char *field)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/meminfo", node);
	return bytes_of(path, field);
}

void load_hotplug_range(void)
{
	if (access(HOTPLUG_DIR, F_OK))
		module_load("modules/hotplug_range.ko");
}

void online_as(const char *policy)
{
	must_write(MEMORY_DIR "/auto_online_blocks", policy);
}

bool wait_for(bool (*reached)(size_t wanted), size_t wanted)
{
	int tenths;

	for (tenths = 0; tenths < 10 * WAIT_LIMIT; tenths++) {
		if (reached(wanted))
			return true;
		usleep(100000);
	}
	return false;
}

static bool total_has_reached(size_t wanted)
{
	return meminfo_bytes("MemTotal") >= wanted;
}

void wait_for_memory(unsigned long before, unsigned long size)
{
	printf("# " PLUG_NOW "\n");
	if (!wait_for(total_has_reached, before + size))
		die("MemTotal grew by %lu kB of %lu kB in %d s",
		    (meminfo_bytes("MemTotal") - before) >> 10, size >> 10, WAIT_LIMIT);
}

bool iomem_is(const char *before)
{
	char *now = read_file("/proc/iomem");
	bool same = !strcmp(now, before);

	free(now);
	return same;
}

static unsigned long pattern(size_t offset)
{
	return (offset + 1) * 0x9e3779b97f4a7c15UL;
}

void fill_at(void *memory, size_t size)
{
	size_t offset;

	for (offset = 0; offset < size; offset += LINE)
		*(unsigned long *)((char *)memory + offset) = pattern(offset);
}

static void *map_and_fill(size_t size, int flags)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (memory == MAP_FAILED)
		die("map %zu MiB: %s", size >> 20, strerror(errno));
	fill_at(memory, size);
	return memory;
}

void *fill(size_t size)
{
	return map_and_fill(size, 0);
}

void *fill_huge(size_t size)
{
	return map_and_fill(size, MAP_HUGETLB);
}

bool verify(const void *memory, size_t size)
{
	size_t offset;

	for (offset = 0; offset < size; offset += LINE) {
		if (*(const unsigned long *)((const char *)memory + offset) != pattern(offset))
			return false;
	}
	return true;
}

size_t filled_page(const void *page)
{
	const unsigned long inverse = 0xf1de83e19937733dULL & ~0UL;
	unsigned long offset = *(const unsigned long *)page * inverse - 1, line;

	for (line = 0; line < (unsigned long)PAGE_SIZE; line += LINE) {
		if (*(const unsigned long *)((const char *)page + line) != pattern(offset + line))
			return SIZE_MAX;
	}
	return offset % PAGE_SIZE ? SIZE_MAX : offset / PAGE_SIZE;
}

bool set_pool(unsigned long total)
{
	char number[24];

	snprintf(number, sizeof(number), "%lu", total);
	must_write(HUGE_PAGES, number);
	return read_long(HUGE_PAGES) == (long)total;
}

bool pool_is(unsigned long total, unsigned long unused, unsigned long reserved)
{
	char *text = read_file("/proc/meminfo"), *found = strstr(text, "HugePages_Total");
	unsigned long nr, nr_free, nr_reserved, surplus, page_kib, kib;

	if (!found || sscanf(found, POOL, &nr, &nr_free, &nr_reserved, &surplus, &page_kib,
			     &kib) != 6)
		die("/proc/meminfo does not have the pool of huge pages");
	free(text);
	if (nr == total && nr_free == unused && nr_reserved == reserved && !surplus &&
	    kib == total * page_kib)
		return true;
	ksft_print_msg("%lu huge pages, not %lu; %lu free, not %lu; %lu reserved, not %lu\n",
		       nr, total, nr_free, unused, nr_reserved, reserved);
	ksft_print_msg("%lu surplus huge pages; all are %lu kB\n", surplus, kib);
	return false;
}

static bool so_many_merged(size_t wanted)
{
	return read_long(KSM "/pages_sharing") >= (long)wanted;
}

bool merge_pages(long nr)
{
	bool merged;

	must_write(KSM "/pages_to_scan", "10000");
	must_write(KSM "/sleep_millisecs", "1");
	must_write(KSM "/run", "1");
	merged = wait_for(so_many_merged, nr);
	must_write(KSM "/run", "0");
	return merged;
}

bool child_succeeds(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		die("fork: %s", strerror(errno));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

bool fork_works(char *memory, size_t size)
{
	pid_t child;
	size_t offset;

	fflush(stdout);
	child = fork();
	if (!child) {
		bool good = verify(memory, size);

		for (offset = 0; offset < size; offset += COW_STEP)
			memory[offset] ^= 0xff;
		_exit(!good || verify(memory, size));
	}
	return child_succeeds(child) && verify(memory, size);
}

struct kcore kcore_open(void)
{
	struct kcore kcore = { .fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC) };
	static unsigned long text;
	struct elf64_phdr header;
	struct elf64_hdr elf;
	unsigned int i;

	if (!text)
		text = symbol_address("_text");
	if (kcore.fd < 0 || pread(kcore.fd, &elf, sizeof(elf), 0) != sizeof(elf))
		die("/proc/kcore: %s", strerror(errno));
	for (i = 0; i < elf.e_phnum; i++) {
		/* If some went away there are fewer: the file still has enough bytes to read. */
		if (pread(kcore.fd, &header, sizeof(header), elf.e_phoff + i * sizeof(header)) !=
		    sizeof(header))
			die("/proc/kcore: %s", strerror(errno));
		if (header.p_type != PT_LOAD || header.p_paddr == -1UL ||
		    header.p_vaddr == text)	/* RAM, but of another mapping */
			continue;
		if (kcore.nr == KCORE_HEADERS)
			die("/proc/kcore has more than %d headers", KCORE_HEADERS);
		kcore.headers[kcore.nr++] = header;
	}
	if (!kcore.nr)
		die("/proc/kcore shows no RAM");
	return kcore;
}

off_t kcore_offset(const struct kcore *kcore, unsigned long phys)
{
	return kcore->headers[0].p_offset + phys - kcore->headers[0].p_paddr;
}

static bool in_ranges(unsigned long addr, const struct ranges *ranges)
{
	size_t i;

	for (i = 0; i < ranges->nr; i++) {
		if (addr >= ranges->range[i].start && addr < ranges->range[i].end)
			return true;
	}
	return false;
}

static unsigned long long flags_of(unsigned long pfn)
{
	static int fd = -1;
	unsigned long long flags;

	if (fd < 0)
		fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, &flags, sizeof(flags), pfn * sizeof(flags)) != sizeof(flags))
		die("/proc/kpageflags: %s", strerror(errno));
	return flags;
}

size_t pages_with(const void *memory, size_t size, const struct ranges *ranges,
		  unsigned long long flags)
{
	size_t page = (uintptr_t)memory / PAGE_SIZE;
	size_t end = page + size / PAGE_SIZE;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned long long entries[512];
	size_t found = 0;

	if (fd < 0)
		die("open /proc/self/pagemap: %s", strerror(errno));
	while (page < end) {
		size_t want = end - page < ARRAY_SIZE(entries) ? end - page : ARRAY_SIZE(entries);
		ssize_t got = pread(fd, entries, want * sizeof(*entries), page * sizeof(*entries));
		ssize_t i;

		if (got <= 0)
			die("read /proc/self/pagemap: %s", strerror(errno));
		got /= sizeof(*entries);
		for (i = 0; i < got; i++) {
			unsigned long pfn = entries[i] & PAGEMAP_PFN;

			if (entries[i] & PAGEMAP_PRESENT && in_ranges(pfn * PAGE_SIZE, ranges) &&
			    (!flags || (flags_of(pfn) & flags) == flags))
				found++;
		}
		page += got;
	}
	close(fd);
	return found;
}

size_t pages_in(const void *memory, size_t size, const struct ranges *ranges)
{
	return pages_with(memory, size, ranges, 0);
}

size_t range_pages_with(const struct range *range, unsigned long long flags)
{
	unsigned long address;
	size_t found = 0;

	for (address = range->start; address < range->end; address += PAGE_SIZE)
		found += (flags_of(address / PAGE_SIZE) & flags) == flags;
	return found;
}

static int try_policy(int mode, unsigned long nodes)
{
	return syscall(SYS_set_mempolicy, mode, nodes ? &nodes : NULL, nodes ? 64 : 0) ? errno : 0;
}

void set_policy(int mode, unsigned long nodes)
{
	int err = try_policy(mode, nodes);

	if (err)
		die("set_mempolicy(%d, %#lx): %s", mode, nodes, strerror(err));
}

static bool can_bind(size_t nodes)
{
	return !try_policy(MPOL_BIND, nodes);
}

void wait_for_node_1(void)
{
	if (!wait_for(can_bind, NODE_1))
		die("node 1 cannot be used");
	set_policy(MPOL_DEFAULT, 0);
}

unsigned long block_size(void)
{
	char *text = read_file(MEMORY_DIR "/block_size_bytes");
	unsigned long size = strtoul(text, NULL, 16);

	free(text);
	return size;
}

size_t memory_blocks(void)
{
	DIR *dir = opendir(MEMORY_DIR);
	struct dirent *entry;
	unsigned int number;
	size_t count = 0;

	if (!dir)
		die("open " MEMORY_DIR ": %s", strerror(errno));
	while ((entry = readdir(dir)))
		count += sscanf(entry->d_name, "memory%u", &number) == 1;
	closedir(dir);
	return count;
}

bool blocks_are(unsigned long start, unsigned long size, const char *file, const char *value)
{
	unsigned long block = block_size(), addr;
	char path[128], *text;
	bool good = true;

	for (addr = start; addr < start + size && good; addr += block) {
		snprintf(path, sizeof(path), MEMORY_DIR "/memory%lu/%s", addr / block, file);
		if (access(path, F_OK)) {
			printf("# no block for %#lx\n", addr);
			return false;
		}
		text = read_file(path);
		good = !strncmp(text, value, strlen(value)) && text[strlen(value)] == '\n';
		if (!good)
			printf("# %s is %s", path, text);
		free(text);
	}
	return good;
}

int hotplug(const char *operation, unsigned long start, unsigned long size)
{
	char path[128], text[64];
	int fd, err, length = snprintf(text, sizeof(text), "%lu %lu", start, size);

	snprintf(path, sizeof(path), HOTPLUG_DIR "/%s", operation);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	err = write(fd, text, length) < 0 ? errno : 0;
	close(fd);
	return err;
}

unsigned long hotplug_number(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), HOTPLUG_DIR "/%s", name);
	return read_long(path);
}

void notifier_error(const char *action, int err)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), NOTIFIER_DIR "/%s/error", action);
	snprintf(text, sizeof(text), "%d", -err);
	write_file(path, text);
}

struct range unused_ram(void)
{
	char *text = read_file("/proc/iomem"), *line, *rest = text;
	int fd = open("/proc/device-tree/memory@80000000/reg", O_RDONLY | O_CLOEXEC);
	unsigned long long cells[2];
	unsigned long start, last;
	struct range range = { 0, 0 };

	if (fd < 0 || read(fd, cells, sizeof(cells)) != sizeof(cells))
		die("/proc/device-tree does not say where memory is");
	close(fd);

	while ((line = strsep(&rest, "\n"))) {
		if (strstr(line, " : System RAM") && sscanf(line, "%lx-%lx", &start, &last) == 2)
			range.start = last + 1;
	}
	free(text);

	range.start = (range.start + block_size() - 1) & -block_size();
	range.end = be64toh(cells[0]) + be64toh(cells[1]);
	if (range.end <= range.start)
		die("no RAM is left unused: boot with mem= less than there is");
	return range;
}
