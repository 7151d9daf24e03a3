/* SPDX-License-Identifier: GPL-2.0-only */
/* Slots of PCI Express in which the host plugs memory, and devices of pci_ram in them. */
#ifndef SELFTESTS_PCI_RAM_SLOTS_H
#define SELFTESTS_PCI_RAM_SLOTS_H

#include "memory.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"
/* A line of the kernel log for each device that is added. */
#define LOG_ADDED	": added "

/* How long pci_ram tries to take memory offline, in seconds */
#define PATIENCE	"/sys/module/pci_ram/parameters/patience"

/* What main() begins with: all that is needed, and memory that comes online in this way */
void begin_slots(const char *policy);

/* Write to the state of a block; returns 0 or the errno. */
int set_state(unsigned long addr, const char *state);
/* To that of all blocks of a range. */
void set_states(const struct range *range, const char *state);

/* For wait_for(): whether so many devices were added since boot. */
bool added(size_t wanted);

/* Ask the host to plug, and wait until these are all that there are. */
struct ranges plug(size_t nr);
/* Ask the host to have the same removed. */
void unplug(void);
/* Wait until /proc/iomem is as before. */
bool wait_till_gone(const struct memory_state *before);
/* The same, and whether all is as before then. */
bool removed(const struct memory_state *before);
/* The same while others work, who change the number of page tables. */
bool removed_under_load(const struct memory_state *before);
/* Whether all blocks of a range are online, in this zone. */
bool in_zone(const struct range *range, const char *zone);

/* The device with memory at @start, as sysfs names it. */
void find_device(unsigned long start, char name[16]);
/* The file that powers the slot of a device. */
void find_power(const char *device, char path[64]);

/* Where sysfs has a device, and the configuration space of its port. */
struct slot {
	char device[64];
	char config[128];
};

struct slot find_slot(const struct range *range);
/*
 * The device with this memory is gone, all at once. Returns when the kernel is done
 * with it, and needs no memory of its own for that.
 */
void drop_device(const struct slot *slot, const struct range *range);

#endif /* SELFTESTS_PCI_RAM_SLOTS_H */
