// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"
#include "slots.h"

void begin_slots(const char *policy)
{
	begin();
	load_hotplug_range();
	online_as(policy);
}

int set_state(unsigned long addr, const char *state)
{
	char path[64];

	snprintf(path, sizeof(path), MEMORY_DIR "/memory%lu/state", addr / block_size());
	return try_write(path, state);
}

void set_states(const struct range *range, const char *state)
{
	unsigned long block = block_size(), addr;

	for (addr = range->start; addr < range->end; addr += block) {
		int err = set_state(addr, state);

		if (err)
			die("block at %#lx, %s: %s", addr, state, strerror(err));
	}
}

bool added(size_t wanted)
{
	return log_count(LOG_ADDED) >= wanted;
}

struct ranges plug(size_t nr)
{
	size_t before = log_count(LOG_ADDED);
	struct ranges ranges;

	printf("# " PLUG_NOW "\n");
	wait_for(added, before + nr);
	ranges = hot_ranges();
	if (ranges.nr != nr)
		die("%zu ranges of memory are there, not %zu", ranges.nr, nr);
	return ranges;
}

void unplug(void)
{
	printf("# " REMOVE_NOW "\n");
}

/* The state to wait for. The device disappears after its memory. */
static const struct memory_state *empty;

static bool all_gone(size_t unused)
{
	(void)unused;
	return iomem_is(empty->iomem);
}

bool wait_till_gone(const struct memory_state *before)
{
	empty = before;
	return wait_for(all_gone, 0);
}

bool removed(const struct memory_state *before)
{
	wait_till_gone(before);
	return memory_state_is(before);
}

bool removed_under_load(const struct memory_state *before)
{
	/* Do not compare page tables: stacks of programs may need tables that stay. */
	return wait_till_gone(before) && memory_blocks() == before->blocks &&
	       meminfo_bytes("MemTotal") == before->total;
}

/* Set @path to the file of a glob pattern that contains @wanted. */
static void find_file(const char *pattern, const char *wanted, char path[64])
{
	bool found = false;
	glob_t all;
	size_t i;

	if (glob(pattern, 0, NULL, &all))
		die("there is no %s", pattern);
	for (i = 0; i < all.gl_pathc && !found; i++) {
		char *text = read_file(all.gl_pathv[i]);

		found = strstr(text, wanted);
		free(text);
		if (found)
			snprintf(path, 64, "%s", all.gl_pathv[i]);
	}
	globfree(&all);
	if (!found)
		die("no %s has %s", pattern, wanted);
}

void find_device(unsigned long start, char name[16])
{
	char bar[24], path[64];

	/* Each line of the file is the start, the end and the flags of a BAR. */
	snprintf(bar, sizeof(bar), "0x%016lx ", start);
	find_file("/sys/bus/pci/drivers/pci_ram/0000:*/resource", bar, path);
	if (sscanf(strstr(path, "0000:"), "%15[^/]", name) != 1)
		die("%s: no address", path);
}

void find_power(const char *device, char path[64])
{
	char address[16];

	/* The address of a slot has no function number. */
	snprintf(address, sizeof(address), "%.*s", (int)strlen("0000:00:00"), device);
	find_file("/sys/bus/pci/slots/*/address", address, path);
	strcpy(strrchr(path, '/'), "/power");
}

bool in_zone(const struct range *range, const char *zone)
{
	unsigned long size = range->end - range->start;

	return blocks_are(range->start, size, "state", "online") &&
	       blocks_are(range->start, size, "valid_zones", zone);
}

struct slot find_slot(const struct range *range)
{
	char device[16], path[80], *port;
	struct slot slot;

	find_device(range->start, device);
	snprintf(slot.device, sizeof(slot.device), PCI_DEVICES "/%s", device);
	snprintf(path, sizeof(path), "%s/..", slot.device);
	port = realpath(path, NULL);
	if (!port)
		die("%s: %s", path, strerror(errno));
	snprintf(slot.config, sizeof(slot.config), "%s/config", port);
	free(port);
	return slot;
}

static void read_config(const char *config, void *data, size_t size, off_t at)
{
	int fd = open(config, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, data, size, at) != (ssize_t)size)
		die("%s: %s", config, strerror(errno));
	close(fd);
}

unsigned int find_capability(const char *config, unsigned char kind)
{
	unsigned char space[256];
	unsigned int at;

	read_config(config, space, sizeof(space), 0);
	for (at = space[PCI_CAPABILITY_LIST]; at && space[at] != kind;
	     at = space[at + PCI_CAP_LIST_NEXT])
		;
	return at;
}

static bool is_off(const struct slot *slot)
{
	const unsigned short off = PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_PCC;
	unsigned int at = find_capability(slot->config, PCI_CAP_ID_EXP);
	unsigned short control;

	if (!at)
		die("%s has no slot", slot->config);
	read_config(slot->config, &control, sizeof(control), at + PCI_EXP_SLTCTL);
	return (control & off) == off;
}

static const struct slot *dropped;

/* The slot is off for good when its device is gone. Until then, the port drops any device. */
static bool is_dropped(size_t unused)
{
	(void)unused;
	return access(dropped->device, F_OK) && is_off(dropped);
}

void drop_device(const struct slot *slot, const struct range *range)
{
	int err = hotplug("drop", range->start, range->end - range->start);

	if (err)
		die("drop %s: %s", slot->device, strerror(err));
	dropped = slot;
	if (!wait_for(is_dropped, 0))
		die("%s is still there", slot->device);
}
