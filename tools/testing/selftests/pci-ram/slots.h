/* SPDX-License-Identifier: GPL-2.0-only */
/* PCI Express slots in which the host plugs memory, and pci_ram's devices in them */
#ifndef SELFTESTS_PCI_RAM_SLOTS_H
#define SELFTESTS_PCI_RAM_SLOTS_H

#include "memory.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"
/* The kernel log has such a line for each added device. */
#define LOG_ADDED	": added "

/* The parameter with the seconds that pci_ram tries to take memory offline */
#define PATIENCE	"/sys/module/pci_ram/parameters/patience"

/* Begin a test: check all that it needs, and set how memory comes online. */
void begin_slots(const char *policy);

/* Write to the state of a block. Returns 0 or the errno. */
int set_state(unsigned long addr, const char *state);
/* Write to the states of all blocks of a range, or end the program. */
void set_states(const struct range *range, const char *state);

/* For wait_for(): whether this many devices were added since boot */
bool added(size_t wanted);

/* Ask the host to plug, and wait for @nr ranges. There must be no others. */
struct ranges plug(size_t nr);
/* Ask the host to unplug the same devices. */
void unplug(void);
/* Wait until /proc/iomem is as before. */
bool wait_till_gone(const struct memory_state *before);
/* The same, and compare the whole state. */
bool removed(const struct memory_state *before);
/* The same during other work, which changes the number of page tables */
bool removed_under_load(const struct memory_state *before);
/* Whether all blocks of a range are online in this zone */
bool in_zone(const struct range *range, const char *zone);

/* Get the sysfs name of the device with memory at @start. */
void find_device(unsigned long start, char name[16]);
/* Get the file that switches the power of a device's slot. */
void find_power(const char *device, char path[64]);

/* The directory of a device in sysfs, and the configuration space of its port */
struct slot {
	char device[64];
	char config[128];
};

struct slot find_slot(const struct range *range);
/* Read from a file with a configuration space where a capability of this kind is, or 0. */
unsigned int find_capability(const char *config, unsigned char kind);
/*
 * Make the device with this memory disappear at once. Returns when the kernel
 * has handled this and needs no memory for it any more.
 */
void drop_device(const struct slot *slot, const struct range *range);

#endif /* SELFTESTS_PCI_RAM_SLOTS_H */
