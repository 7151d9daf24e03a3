// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host plugs and unplugs memory on PCI devices.
 *
 *   hotremove move MIB...	a process lives in memory that is removed
 *   hotremove saved MIB...	the same, after saving and restoring the machine
 *   hotremove cycles COUNT	under load, with two requests at once
 *   hotremove refuse		two functions in a slot, one of which cannot go
 *   hotremove policies		how memory comes online, and is removed
 *   hotremove errors		a notifier refuses
 *   hotremove offered		which devices pci_ram takes for memory
 *   hotremove access		what root can do to memory that is in use
 *   hotremove wait		what else works while a removal takes long
 *   hotremove poison		a page is lost; the other memory can be removed
 *   hotremove leaving		a switch with three devices is being removed
 *   hotremove switch		a switch was removed, and the bus is rescanned
 *
 * The host plugs when the program says "plug memory now", and unplugs the same
 * devices at "remove memory now". "saved" also works with virtio-mem.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "load.h"
#include "memory.h"
#include "slots.h"

#define HOTPLUG_PARAMS	"/sys/module/memory_hotplug/parameters"

/* Lines of the kernel log */
#define LOG_BUTTON	"Powering off due to button press"
#define LOG_STAYS	"Stays powered on"

/*
 * Late frees, and pages of slabs that are not full. This is at most the number
 * of struct pages' pages of one block. A cycle has two blocks.
 */
#define FREE_SLACK	512	/* pages */

static bool button_pressed(size_t wanted)
{
	return log_count(LOG_BUTTON) >= wanted;
}

static bool stayed_on(size_t wanted)
{
	return log_count(LOG_STAYS) >= wanted;
}

/* Have the host save this machine and continue it in another QEMU. */
static void be_saved(const void *memory, size_t size, const struct ranges *ranges)
{
	struct memory_state before = memory_state();
	size_t found = pages_in(memory, size, ranges);

	printf("# " SAVE_NOW "\n");
	if (getchar() != '\n')
		die("the host does not say that the machine was restored");
	ksft_test_result(memory_state_is(&before),
			 "restored: MemTotal, ranges, blocks and page tables are as before\n");
	ksft_test_result(pages_in(memory, size, ranges) == found && verify(memory, size),
			 "the process is where it was, and nothing of it has changed\n");
}

static void main_move(char **sizes, bool saved)
{
	struct memory_state before;
	unsigned long added = 0;
	struct ranges ranges;
	size_t nr, size, found;
	char *memory;

	for (nr = 0; sizes[nr]; nr++)
		added += strtoul(sizes[nr], NULL, 10) * MIB;

	ksft_set_plan(saved ? 6 : 4);
	before = memory_state();
	wait_for_memory(before.total, added);
	ranges = hot_ranges();
	size = added / 2;
	memory = fill(size);
	found = pages_in(memory, size, &ranges) * PAGE_SIZE;
	ksft_test_result(found >= size / 2, "%zu of %zu MiB of a process are in the new memory\n",
			 found / MIB, size / MIB);
	if (saved)
		be_saved(memory, size, &ranges);
	unplug();
	ksft_test_result(removed(&before),
			 "it is removed: MemTotal, ranges, blocks and page tables are as before\n");
	ksft_test_result(!pages_in(memory, size, &ranges), "the process lives elsewhere\n");
	ksft_test_result(verify(memory, size), "nothing of it has changed\n");
}

static char power[64];

/* Of two requests at once, the later one may get ENODEV: the slot is being switched off. */
static void power_off(void)
{
	int err = try_write(power, "0");

	_exit(err == ENODEV ? 0 : err);
}

static bool power_off_twice(void)
{
	pid_t children[2] = { start(power_off), start(power_off) };
	bool good = true;
	int i, status;

	for (i = 0; i < 2; i++) {
		if (waitpid(children[i], &status, 0) != children[i])
			die("waitpid: %s", strerror(errno));
		if (status)
			ksft_print_msg("power off: %s\n", strerror(WEXITSTATUS(status)));
		good &= !status;
	}
	return good;
}

static void main_cycles(unsigned int cycles)
{
	struct memory_state before = memory_state();
	bool intact = true, gone = true, twice = true;
	pid_t programs = 0, memory_user = 0;
	unsigned int i;
	long lost = 0;

	ksft_set_plan(5);
	/* Compare free memory from the second cycle on: the first allocates memory that stays. */
	for (i = 0; i <= cycles; i++) {
		struct ranges ranges = plug(2);
		size_t pressed = log_count(LOG_BUTTON);
		void *memory = fill(4 * LOAD);
		char device[16];

		find_device(ranges.range[0].start, device);
		find_power(device, power);
		unplug();
		if (i % 2) {
			wait_for(button_pressed, pressed + 2);
			twice &= power_off_twice();
		}
		gone &= removed_under_load(&before);
		intact &= verify(memory, 4 * LOAD);
		munmap(memory, 4 * LOAD);
		if (!i) {
			lost = free_pages();
			programs = start(run_programs);
			memory_user = start(use_memory);
		}
	}
	ksft_test_result(gone, "%u times two devices: MemTotal, ranges and blocks are as before\n",
			 cycles + 1);
	ksft_test_result(twice, "asking twice at once does no harm\n");
	ksft_test_result(intact, "nothing of a process has changed\n");
	ksft_test_result(stop(programs) & stop(memory_user),
			 "programs are run and memory is used meanwhile\n");
	lost -= free_pages();
	ksft_print_msg("%ld pages fewer are free\n", lost);
	ksft_test_result(lost < FREE_SLACK, "the memory they took is free again\n");
}

static void interrupt(int signal)
{
	(void)signal;
}

/* Check that a request failed with @expected and for the reason @why, and changed nothing. */
static void test_failed(int expected, int err, const char *what, const char *why,
			size_t said_before, const struct memory_state *before,
			const struct ranges *ranges)
{
	size_t said = log_count(why) - said_before, i;
	bool there = memory_state_is(before);
	char *on = read_file(power);

	there &= *on == '1';
	for (i = 0; i < ranges->nr; i++)
		there &= in_zone(&ranges->range[i], "Movable");
	free(on);
	if (err != expected || said != 1)
		ksft_print_msg("%s; the log says why %zu times\n", strerror(err), said);
	ksft_test_result(err == expected && said == 1, "%s is refused: \"%s\"\n", what, why);
	ksft_test_result(there, "slot, ranges, blocks and page tables are as before\n");
}

static void test_refused(int err, const char *what, const char *why, size_t said_before,
			 const struct memory_state *before, const struct ranges *ranges)
{
	test_failed(EBUSY, err, what, why, said_before, before, ranges);
}

static void main_refuse(void)
{
	struct sigaction action = { .sa_handler = interrupt };
	const char *in_use = "some of it is in use and cannot be moved";
	const char *in_time = "some of it is held and could not be moved in time";
	struct memory_state none, before;
	char device[16], first[64], second[64], port[64];
	struct ranges ranges;
	size_t refused, stays, length;
	int err;

	/* Without SA_RESTART: the signal interrupts the request. */
	sigaction(SIGALRM, &action, NULL);
	ksft_set_plan(14);
	none = memory_state();
	ranges = plug(2);
	find_device(ranges.range[0].start, device);
	snprintf(first, sizeof(first), PCI_DEVICES "/%s/remove", device);
	/* The port of the slot: removing it removes both devices. */
	snprintf(port, sizeof(port), PCI_DEVICES "/%s/../remove", device);
	find_power(device, power);
	find_device(ranges.range[1].start, device);
	snprintf(second, sizeof(second), PCI_DEVICES "/%s/remove", device);
	before = memory_state();

	/* The second device cannot be removed, so the first must come back. */
	length = ranges.range[1].end - ranges.range[1].start;
	err = hotplug("hold_reserved", ranges.range[1].start, length);
	if (err)
		die("no page of %#lx: %s", ranges.range[1].start, strerror(err));

	refused = log_count(in_use);
	stays = log_count(LOG_STAYS);
	unplug();
	ksft_test_result(wait_for(stayed_on, stays + 1), "the slot says that it stays on\n");
	test_refused(EBUSY, "the request of the monitor", in_use, refused, &before, &ranges);

	refused = log_count(in_use);
	err = try_write(power, "0");
	test_refused(err, "the slot's power", in_use, refused, &before, &ranges);

	refused = log_count(in_use);
	err = try_write(second, "1");
	test_refused(err, "the device's remove", in_use, refused, &before, &ranges);

	refused = log_count(in_use);
	err = try_write(port, "1");
	test_refused(err, "the port's remove", in_use, refused, &before, &ranges);
	hotplug("hold", 0, 0);

	/* The kernel tries to move a movable page until its patience ends or a signal comes. */
	length = ranges.range[0].end - ranges.range[0].start;
	err = hotplug("hold_movable", ranges.range[0].start, length);
	if (err)
		die("no page of %#lx: %s", ranges.range[0].start, strerror(err));

	refused = log_count("interrupted");
	alarm(1);
	err = try_write(first, "1");
	test_failed(EINTR, err, "a held page, interrupted", "interrupted", refused, &before,
		    &ranges);

	must_write(PATIENCE, "5");
	refused = log_count(in_time);
	err = try_write(power, "0");
	test_refused(err, "a held page", in_time, refused, &before, &ranges);
	must_write(PATIENCE, "600");
	hotplug("hold", 0, 0);

	unplug();
	ksft_test_result(removed(&none), "both are removed once nothing holds them\n");
}

static void main_policies(void)
{
	struct memory_state none = memory_state(), before;
	unsigned long block = block_size();
	char device[16], path[64];
	struct ranges ranges;
	struct range first;
	int err;

	ksft_set_plan(7);

	/* User space decides: the first block stays offline, the second is in zone Movable. */
	online_as("offline");
	ranges = plug(1);
	first = ranges.range[0];
	ksft_test_result(meminfo_bytes("MemTotal") == none.total &&
			 blocks_are(first.start, first.end - first.start, "state", "offline"),
			 "offline: the blocks are offline and not in MemTotal\n");
	snprintf(path, sizeof(path), MEMORY_DIR "/memory%lu/state", first.start / block + 1);
	must_write(path, "online_movable");
	ksft_test_result(meminfo_bytes("MemTotal") == none.total + block &&
			 blocks_are(first.start + block, block, "valid_zones", "Movable"),
			 "the block that user space onlines is in zone Movable\n");
	find_device(first.start, device);
	find_power(device, power);
	before = memory_state();
	err = hotplug("hold_reserved", first.start + block, block);
	if (err)
		die("no page of %#lx: %s", first.start + block, strerror(err));
	err = try_write(power, "0");
	ksft_test_result(err == EBUSY && memory_state_is(&before) &&
			 blocks_are(first.start, block, "state", "offline") &&
			 blocks_are(first.start + block, block, "valid_zones", "Movable"),
			 "a refusal leaves both as they were\n");
	hotplug("hold", 0, 0);
	must_write(power, "0");
	ksft_test_result(memory_state_is(&none), "both are removed\n");

	/*
	 * The zone depends on the ratio of zone Movable to other memory, in
	 * percent. Blocks that can only be removed together are in the same
	 * zone, even if the first alone would be in another.
	 */
	online_as("online");
	must_write(HOTPLUG_PARAMS "/online_policy", "auto-movable");
	ranges = plug(1);
	ksft_test_result(in_zone(&ranges.range[0], "Movable"),
			 "auto-movable: what the ratio allows is in zone Movable\n");
	find_device(ranges.range[0].start, device);
	find_power(device, power);
	must_write(power, "0");
	ksft_test_result(memory_state_is(&none), "it is removed\n");

	must_write(HOTPLUG_PARAMS "/auto_movable_ratio", "30");
	ranges = plug(1);
	ksft_test_result(in_zone(&ranges.range[0], "Normal"),
			 "what it allows for a part only is in zone Normal\n");
}

static void main_errors(void)
{
	const char *failed = "taking it offline failed";
	struct memory_state none = memory_state(), before;
	unsigned long block = block_size();
	char device[16], path[64];
	struct ranges ranges;
	struct range first;
	size_t said;
	int err;

	ksft_set_plan(8);
	notifier_error("MEM_GOING_ONLINE", ENOMEM);
	ranges = plug(1);
	first = ranges.range[0];
	find_device(first.start, device);
	find_power(device, power);
	snprintf(path, sizeof(path), MEMORY_DIR "/memory%lu/state", first.start / block);
	ksft_test_result(meminfo_bytes("MemTotal") == none.total &&
			 blocks_are(first.start, first.end - first.start, "state", "offline"),
			 "what may not come online is there, offline\n");
	ksft_test_result(try_write(path, "online_movable") == ENOMEM, "user space is told why\n");
	notifier_error("MEM_GOING_ONLINE", 0);
	must_write(path, "online_movable");
	ksft_test_result(meminfo_bytes("MemTotal") == none.total + block,
			 "once it may, it comes online\n");
	must_write(power, "0");
	ksft_test_result(removed(&none), "the device is removed\n");

	ranges = plug(1);
	first = ranges.range[0];
	find_device(first.start, device);
	find_power(device, power);
	before = memory_state();
	said = log_count(failed);
	notifier_error("MEM_GOING_OFFLINE", ENOMEM);
	err = try_write(power, "0");
	notifier_error("MEM_GOING_OFFLINE", 0);
	test_refused(err, "what may not go offline", failed, said, &before, &ranges);

	/* The second block cannot go offline, and the first cannot come back online. */
	err = hotplug("hold_reserved", first.start + block, block);
	if (err)
		die("no page of %#lx: %s", first.start + block, strerror(err));
	notifier_error("MEM_GOING_ONLINE", ENOMEM);
	err = try_write(power, "0");
	notifier_error("MEM_GOING_ONLINE", 0);
	ksft_test_result(err == EBUSY && meminfo_bytes("MemTotal") == before.total - block &&
			 blocks_are(first.start, block, "state", "offline") &&
			 blocks_are(first.start + block, block, "state", "online"),
			 "a refusal that cannot be undone leaves a block offline\n");
	hotplug("hold", 0, 0);
	must_write(power, "0");
	ksft_test_result(removed(&none), "the device can be removed all the same\n");
}

#define PARAM_DEVICES	"/sys/module/pci_ram/parameters/devices"
#define PCI		"/sys/bus/pci"

static bool left_alone(size_t wanted)
{
	return log_count("pci_ram.devices does not name it") >= wanted;
}

static bool not_understood(size_t wanted)
{
	return log_count("pci_ram.devices=") >= wanted;
}

/* Have the host plug a device that is not memory. @said: whether the log has the right reason */
static bool plug_other(bool (*said)(size_t wanted))
{
	size_t times;

	for (times = 0; said(times + 1); times++)
		;
	printf("# " PLUG_NOW "\n");
	return wait_for(said, times + 1) && !hot_ranges().nr;
}

/* Map the memory of a device, as programs do that share it with other machines. */
static void *map_bar(const char *device)
{
	char path[64];
	void *bar;
	int fd;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/resource2", device);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	bar = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return bar;
}

/* The address at which a child expects SIGBUS, which ends it */
static void *lost_address;
static int lost_code;

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	_exit(info->si_addr != lost_address || info->si_code != lost_code ||
	      (lost_code == BUS_MCEERR_AR && 1UL << info->si_addr_lsb != PAGE_SIZE));
}

/* Whether a child that reads and then writes at this address gets SIGBUS with this code */
static bool is_lost(void *address, int code)
{
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
	pid_t child = fork();

	if (!child) {
		lost_address = address;
		lost_code = code;
		sigaction(SIGBUS, &action, NULL);
		__atomic_load_n((int *)address, __ATOMIC_RELAXED);
		__atomic_store_n((int *)address, 1, __ATOMIC_RELAXED);
		_exit(2);
	}
	return child_succeeds(child);
}

static void name_devices(const char *names)
{
	must_write(PARAM_DEVICES, names);
}

/* Whether the device in the first slot is used as memory, and can be removed */
static bool taken(const struct memory_state *before)
{
	plug(1);
	unplug();
	return removed(before);
}

static void main_offered(void)
{
	const char *device = "0000:01:00.0";
	struct memory_state none = memory_state();
	char *names = read_file(PARAM_DEVICES);
	unsigned long *bar;
	char path[64];
	bool shared, other;

	ksft_set_plan(8);

	/* An empty list, with the newline that a shell writes */
	name_devices("\n");
	shared = plug_other(left_alone);
	bar = map_bar(device);
	if (bar == MAP_FAILED)
		die("%s: %s", device, strerror(errno));
	__atomic_store_n(bar, 0x5a5a, __ATOMIC_RELAXED);
	ksft_test_result(shared && __atomic_load_n(bar, __ATOMIC_RELAXED) == 0x5a5a,
			 "a device that nobody has named is left to those who share it\n");

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver_override", device);
	must_write(path, "pci_ram");
	must_write(PCI "/drivers_probe", device);
	ksft_test_result(hot_ranges().nr == 1, "with driver_override it is memory\n");
	ksft_test_result(is_lost(bar, BUS_ADRERR), "and who had it mapped has it no longer\n");
	munmap(bar, PAGE_SIZE);
	unplug();
	ksft_test_result(removed(&none), "it is removed\n");

	name_devices("00:1f.0;pci:1af4:1111");
	ksft_test_result(plug_other(left_alone), "names of others are not its own\n");
	name_devices("00:1f.0;00:10.0/0.0\n");
	must_write(PCI "/drivers_probe", device);
	ksft_test_result(hot_ranges().nr == 1, "a path names it\n");
	unplug();
	removed(&none);

	name_devices("00:10.0,00:11.0");
	ksft_test_result(plug_other(not_understood), "what is not understood names nothing\n");
	name_devices("pci:1af4:1110");
	must_write(PCI "/drivers_probe", device);
	unplug();
	removed(&none);
	name_devices("pci:1af4:1110:1af4:1");
	other = plug_other(left_alone);
	name_devices("pci:1af4:1110:1af4:1100");
	must_write(PCI "/drivers_probe", device);
	unplug();
	ksft_test_result(other && removed(&none) && taken(&none),
			 "the kind of device names it, with or without its subsystem\n");
	name_devices(names);
}

/* Whether an attempt was refused. Prints the attempt and its result if it was not. */
static bool refused(const char *what, int err, int expected)
{
	if (err != expected)
		ksft_print_msg("%s: %s, not %s\n", what, strerror(err), strerror(expected));
	return err == expected;
}

static bool write_refused(const char *device, const char *file, const char *text, int expected)
{
	char path[96];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", device, file);
	return refused(path, try_write(path, text), expected);
}

static bool config_refused(const char *path, off_t at, size_t size)
{
	unsigned long ones = -1;
	int fd = open(path, O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	err = pwrite(fd, &ones, size, at) < 0 ? errno : 0;
	close(fd);
	return refused(path, err, EPERM);
}

/* Try all ways to a device's registers: a directory in sysfs, and a file in /proc. */
static bool registers_refused(const char *device)
{
	char config[64], proc[64];
	unsigned int power_at;

	snprintf(config, sizeof(config), PCI_DEVICES "/%s/config", device);
	snprintf(proc, sizeof(proc), "/proc/bus/pci/%.7s/%s", device, device + 8);
	power_at = find_capability(config, PCI_CAP_ID_PM);
	ksft_print_msg("%s has %s power states\n", device, power_at ? "registers for" : "no");
	return config_refused(config, PCI_COMMAND, 2) &
	       config_refused(config, PCI_BASE_ADDRESS_2, 4) &
	       config_refused(config, PCI_BRIDGE_CONTROL, 2) &
	       config_refused(config, power_at + PCI_PM_CTRL, 2) &
	       config_refused(proc, PCI_COMMAND, 2) &
	       config_refused(proc, power_at + PCI_PM_CTRL, 2);
}

/**
 * struct runtime_pm - what runtime power management has done to a device
 * @device: its address
 * @suspended: for how long it was suspended since boot, in milliseconds
 */
struct runtime_pm {
	const char *device;
	long suspended;
};

static long suspended_time(const char *device)
{
	char path[96];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/power/runtime_suspended_time", device);
	return access(path, F_OK) ? -1 : read_long(path);
}

/* Allow the kernel to suspend a device at run time. Returns false if it never does. */
static bool allow_suspend(struct runtime_pm *pm)
{
	pm->suspended = suspended_time(pm->device);
	return pm->suspended >= 0 && write_refused(pm->device, "power/control", "auto", 0);
}

/* Whether a device has not been suspended since this was allowed */
static bool never_suspended(const struct runtime_pm *pm)
{
	long suspended = suspended_time(pm->device);

	if (suspended != pm->suspended)
		ksft_print_msg("%s was suspended for %ld ms\n", pm->device,
			       suspended - pm->suspended);
	write_refused(pm->device, "power/control", "on", 0);
	return suspended == pm->suspended;
}

/* Map a page through /dev/mem. Returns 0 or the errno. */
static int map_physical(unsigned long address)
{
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC), err;
	void *page;

	if (fd < 0)
		return errno;
	page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, address);
	err = page == MAP_FAILED ? errno : 0;
	if (!err)
		munmap(page, PAGE_SIZE);
	close(fd);
	return err;
}

static unsigned long kernel_code(void)
{
	char *iomem = read_file("/proc/iomem"), *line = strstr(iomem, " : Kernel code");
	unsigned long start = 0;

	while (line && line > iomem && line[-1] != '\n')
		line--;
	if (!line || sscanf(line, " %lx-", &start) != 1)
		die("/proc/iomem has no line for the kernel's code");
	free(iomem);
	return start;
}

#define HOST_DRIVER "/sys/bus/platform/drivers/pci-host-generic"

static void main_access(void)
{
	const char *device = "0000:01:00.0", *port = "0000:00:10.0";
	struct runtime_pm pm = { .device = device }, port_pm = { .device = port };
	struct memory_state none = memory_state();
	size_t size = 32 * MIB, found;
	struct ranges ranges;
	size_t windows;
	char window[80];
	char *memory;
	bool good, sleeps;
	int err;

	ksft_set_plan(9);
	ranges = plug(1);
	memory = fill(size);
	found = pages_in(memory, size, &ranges);
	ksft_test_result(found, "%zu pages of a process are in the new memory\n", found);
	/* They could be suspended at any time from now on. */
	sleeps = allow_suspend(&pm) & allow_suspend(&port_pm);

	good = map_bar(device) == MAP_FAILED && refused("resource2", errno, EINVAL);
	ksft_test_result(good, "it cannot be mapped as memory of the device\n");

	err = map_physical(kernel_code());
	if (!err || err == ENOENT)
		ksft_test_result_skip("/dev/mem, which keeps nobody from System RAM here\n");
	else
		ksft_test_result(refused("/dev/mem", map_physical(ranges.range[0].start), EPERM),
				 "nor as physical memory\n");

	good = write_refused(device, "reset", "1", ENOTTY) &
	       write_refused(device, "reset_method", "default", 0) &
	       write_refused(device, "reset", "1", ENOTTY);
	if (!access(PCI_DEVICES "/0000:00:10.0/reset", F_OK))
		good &= write_refused(port, "reset", "1", ENOTTY);
	ksft_test_result(good, "neither the device nor its port is reset\n");

	good = registers_refused(device) & registers_refused(port);
	ksft_test_result(good, "nor are their registers written\n");

	good = write_refused(device, "enable", "0", EBUSY) &
	       write_refused(port, "enable", "0", EBUSY) &
	       refused("unbind", access(PCI "/drivers/pci_ram/unbind", F_OK) ? errno : 0, ENOENT) &
	       refused("unbind", access(HOST_DRIVER "/unbind", F_OK) ? errno : 0, ENOENT);
	ksft_test_result(good, "nor are they switched off\n");

	/* The PCI core writes a line for each window that it sets up. */
	snprintf(window, sizeof(window), "%s:   bridge window [mem %#lx-", port,
		 ranges.range[0].start);
	windows = log_count(window);
	must_write(PCI "/drivers/pcieport/unbind", port);
	must_write(PCI "/rescan", "1");
	good = log_count(window) == windows;
	/* Without a driver, the port may be suspended, too. */
	if (sleeps)
		write_refused(port, "power/control", "auto", 0);
	must_write(PCI "/drivers/pcieport/bind", port);
	ksft_test_result(windows && good,
			 "a rescan leaves the window of the memory alone, also without port driver\n");

	good = write_refused(device, "power_state", "D3hot", EACCES) &
	       write_refused(port, "power_state", "D3hot", EACCES);
	if (sleeps)
		ksft_test_result(good & never_suspended(&pm) & never_suspended(&port_pm),
				 "they are never suspended, although they may be\n");
	else
		ksft_test_result_skip("no CONFIG_PM: nothing is suspended\n");

	good = verify(memory, size);
	unplug();
	ksft_test_result(good & removed(&none) & verify(memory, size),
			 "the process has lost nothing, and the device can be removed\n");
}

/* Read the words of a /proc file that belong to the pages of a range. */
static void read_of_pages(const char *path, const struct range *range)
{
	ssize_t size = (range->end - range->start) / PAGE_SIZE * sizeof(unsigned long);
	off_t at = range->start / PAGE_SIZE * sizeof(unsigned long);
	char *data = malloc(size);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || !data || pread(fd, data, size, at) != size)
		die("%s: %s", path, strerror(errno));
	close(fd);
	free(data);
}

/* Read who owns pages from a range on, if the kernel keeps account: page_owner=on */
static void read_owners(const struct range *range)
{
	int fd = open("/sys/kernel/debug/page_owner", O_RDONLY | O_CLOEXEC);
	char text[PAGE_SIZE];

	if (fd < 0 && errno == ENOENT)
		return;
	/* The position in this file is a page number. */
	if (fd < 0 || lseek(fd, range->start / PAGE_SIZE, SEEK_SET) < 0 ||
	    read(fd, text, sizeof(text)) < 0)
		die("page_owner: %s", strerror(errno));
	close(fd);
}

/* One removal waits for a page. Meanwhile, other work goes on. */
static void main_wait(void)
{
	struct sigaction action = { .sa_handler = interrupt };
	struct memory_state none = memory_state();
	struct ranges ranges = plug(1);
	struct range first = ranges.range[0];
	char device[16];
	size_t said, said_added;
	pid_t writer;
	int err, status;

	ksft_set_plan(5);
	sigaction(SIGTERM, &action, NULL);
	find_device(first.start, device);
	find_power(device, power);
	err = hotplug("hold_movable", first.start, first.end - first.start);
	if (err)
		die("no page of %#lx: %s", first.start, strerror(err));
	/* If the removal is abandoned, the memory must return to its old zone, not this default. */
	online_as("offline");
	said = log_count("interrupted");
	writer = start(power_off);
	while (blocks_are(first.start, first.end - first.start, "state", "online"))
		usleep(100000);
	ksft_test_result_pass("a removal waits for a page that is held\n");

	said_added = log_count(LOG_ADDED);
	printf("# " PLUG_NOW "\n");
	ksft_test_result(wait_for(added, said_added + 1),
			 "another slot is given memory meanwhile\n");
	read_of_pages("/proc/kpageflags", &first);
	read_of_pages("/proc/kpagecount", &first);
	read_owners(&first);
	ksft_test_result(!waitpid(writer, &status, WNOHANG), "struct pages are read meanwhile\n");

	kill(writer, SIGTERM);
	waitpid(writer, &status, 0);
	ksft_test_result(WIFEXITED(status) && WEXITSTATUS(status) == EINTR &&
			 log_count("interrupted") == said + 1,
			 "who asks for the removal can be interrupted\n");
	ksft_test_result(in_zone(&first, "Movable"), "all of it is online in zone Movable again\n");

	hotplug("hold", 0, 0);
	online_as("online_movable");
	unplug();
	removed(&none);
}

static void main_poison(void)
{
	struct memory_state none = memory_state();
	size_t size = 32 * MIB;
	struct ranges ranges;
	char *memory, *poisoned;
	bool there, lost;

	ksft_set_plan(4);
	ranges = plug(1);
	memory = fill(size);
	poisoned = memory + size - PAGE_SIZE;
	there = pages_in(poisoned, PAGE_SIZE, &ranges);
	lost = !madvise(poisoned, PAGE_SIZE, MADV_HWPOISON);
	if (lost) {
		ksft_test_result(there, "a page of a process in the new memory is lost\n");
		ksft_test_result(is_lost(poisoned, BUS_MCEERR_AR),
				 "who reads it gets SIGBUS, which says so\n");
	} else if (errno == EINVAL) {
		ksft_test_result_skip("no CONFIG_MEMORY_FAILURE\n");
		ksft_test_result_skip("no CONFIG_MEMORY_FAILURE\n");
	} else {
		die("madvise: %s", strerror(errno));
	}
	ksft_test_result(verify(memory, size - PAGE_SIZE), "the other pages are intact\n");
	unplug();
	ksft_test_result(removed(&none) & verify(memory, size - PAGE_SIZE) &
			 !(lost && meminfo_bytes("HardwareCorrupted")),
			 "the memory is removed, and no page counts as lost any more\n");
}

#define SWITCH		PCI_DEVICES "/0000:01:00.0"
#define PCI_WAIT	"/sys/module/pci_wait/parameters"

/* The address of the only device behind a port of the switch, which has no driver */
static void find_unbound(char device[16])
{
	char path[64];
	glob_t all;
	size_t i;

	if (glob(SWITCH "/*/*/resource2", 0, NULL, &all))
		die("there is no device behind the switch");
	for (i = 0; i < all.gl_pathc; i++) {
		if (sscanf(all.gl_pathv[i], SWITCH "/%*[^/]/%15[^/]", device) != 1)
			die("%s", all.gl_pathv[i]);
		snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver", device);
		if (access(path, F_OK))
			break;
	}
	if (i == all.gl_pathc)
		die("all devices behind the switch have drivers");
	globfree(&all);
}

static void bind_by_name(const char *device, const char *driver)
{
	char path[64];

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/driver_override", device);
	must_write(path, driver);
	must_write(PCI "/drivers_probe", device);
}

static bool no_ranges(size_t unused)
{
	(void)unused;
	return !hot_ranges().nr;
}

/* As removed(), but /proc/iomem does not have the windows of the switch any more. */
static bool removed_with_switch(const struct memory_state *before)
{
	return wait_for(no_ranges, 0) && meminfo_bytes("MemTotal") == before->total &&
	       memory_blocks() == before->blocks && hotplug_number("tables") == before->tables;
}

static void remove_switch(void)
{
	_exit(try_write(SWITCH "/remove", "1"));
}

static bool removal_waits(size_t unused)
{
	char *text = read_file(PCI_WAIT "/waits");
	bool waits = *text == 'Y';

	(void)unused;
	free(text);
	return waits;
}

/*
 * The PCI core removes the device behind the last port of the switch first, and
 * pci_wait holds this up. At this time, the devices behind the first two ports
 * are still there.
 */
static void main_leaving(void)
{
	char *names = read_file(PARAM_DEVICES);
	char device[16], last[16];
	struct memory_state none;
	struct ranges ranges;
	pid_t remover;
	int err;

	ksft_set_plan(4);
	/* A module may split pages of the direct map, so it is loaded first. */
	module_load("modules/pci_wait.ko");
	none = memory_state();
	ranges = plug(1);
	find_device(ranges.range[0].start, device);
	find_power(device, power);
	name_devices("\n");
	printf("# " PLUG_NOW "\n");
	wait_for(left_alone, 1);
	find_unbound(device);
	bind_by_name(device, "pci_wait");
	printf("# " PLUG_NOW "\n");
	wait_for(left_alone, 2);
	find_unbound(last);

	remover = start(remove_switch);
	ksft_test_result(wait_for(removal_waits, 0), "a switch is being removed\n");

	bind_by_name(last, "pci_ram");
	ksft_test_result(hot_ranges().nr == 1 && log_count(LOG_ADDED) == 1,
			 "no memory is added behind it any more\n");

	err = try_write(power, "0");
	ksft_test_result(refused(power, err, ENODEV), "a slot of the switch does not wait\n");

	must_write(PCI_WAIT "/go_on", "1");
	ksft_test_result(child_succeeds(remover) & removed_with_switch(&none),
			 "the switch is removed, and its memory\n");
	name_devices(names);
}

static bool is_away(size_t unused)
{
	(void)unused;
	return access(SWITCH, F_OK);
}

static void main_switch(void)
{
	struct memory_state none = memory_state();
	size_t size = 32 * MIB, found;
	struct ranges ranges;
	char device[16], now[16];
	char *memory;

	ksft_set_plan(3);
	if (is_away(0))
		die("there is no switch in the first slot");
	ranges = plug(1);
	find_device(ranges.range[0].start, device);
	memory = fill(size);
	found = pages_in(memory, size, &ranges);
	ksft_test_result(found, "%zu pages of a process are in the memory of %s\n", found, device);

	unplug();
	wait_for(is_away, 0);
	must_write(PCI "/rescan", "1");
	find_device(ranges.range[0].start, now);
	ksft_test_result(!strcmp(device, now) && log_count(LOG_ADDED) == 1,
			 "with a switch gone and after a rescan, the device is the same\n");

	unplug();
	ksft_test_result(removed_with_switch(&none) & verify(memory, size),
			 "the process has lost nothing, and the device can be removed\n");
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "nothing"))
		return 0;

	begin_slots("online_movable");
	/* Do not give up on a slow machine. */
	must_write(PATIENCE, "600");

	if (!strcmp(mode, "move") && argc > 2)
		main_move(argv + 2, false);
	else if (!strcmp(mode, "saved") && argc > 2)
		main_move(argv + 2, true);
	else if (!strcmp(mode, "cycles") && argc > 2)
		main_cycles(strtoul(argv[2], NULL, 0));
	else if (!strcmp(mode, "refuse"))
		main_refuse();
	else if (!strcmp(mode, "policies"))
		main_policies();
	else if (!strcmp(mode, "errors"))
		main_errors();
	else if (!strcmp(mode, "offered"))
		main_offered();
	else if (!strcmp(mode, "access"))
		main_access();
	else if (!strcmp(mode, "wait"))
		main_wait();
	else if (!strcmp(mode, "poison"))
		main_poison();
	else if (!strcmp(mode, "leaving"))
		main_leaving();
	else if (!strcmp(mode, "switch"))
		main_switch();
	else
		die("usage: hotremove MODE [ARGUMENT], as hotremove.c says");
	ksft_finished();
}
