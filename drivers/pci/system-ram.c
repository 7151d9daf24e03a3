// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices whose memory is System RAM.
 *
 * The kernel and its processes use this memory at any time, so it must always
 * be reachable. A reset of the device makes it unreachable for a moment, a
 * write to a base address register for good. User space may do neither of these
 * to such a device, or to the bridges in front of it.
 */

#include <linux/export.h>
#include <linux/pci.h>
#include <linux/sched.h>

#include "pci.h"

/**
 * pci_set_system_ram - mark a device whose memory is System RAM
 * @dev: the device
 * @is_ram: %true to set the mark, %false to clear it
 *
 * While the mark is set, user space can neither reset the device and the
 * bridges in front of it nor write to their configuration space.
 *
 * Context: any. Set the mark before the memory is used. The function does not
 * wait for a reset or a write that user space has already begun.
 */
void pci_set_system_ram(struct pci_dev *dev, bool is_ram)
{
	assign_bit(PCI_DEV_SYSTEM_RAM, &dev->priv_flags, is_ram);
}
EXPORT_SYMBOL_GPL(pci_set_system_ram);

/**
 * pci_leads_to_system_ram - whether System RAM is on a device or behind it
 * @top: the device
 *
 * Context: process context.
 *
 * Return: %true if pci_set_system_ram() has marked the device or a device
 * behind it.
 */
bool pci_leads_to_system_ram(struct pci_dev *top)
{
	struct pci_dev *dev = NULL;

	for_each_pci_dev(dev) {
		if (test_bit(PCI_DEV_SYSTEM_RAM, &dev->priv_flags) &&
		    pci_is_or_is_behind(dev, top)) {
			pci_dev_put(dev);
			return true;
		}
	}

	return false;
}

/**
 * pci_user_may_configure - whether user space may write to the configuration
 * space
 * @dev: the device whose configuration space it is
 *
 * Context: process context.
 *
 * Return: 0, or %-EPERM if System RAM depends on the device. In this case a line
 * is added to the log.
 */
int pci_user_may_configure(struct pci_dev *dev)
{
	if (!pci_leads_to_system_ram(dev))
		return 0;

	pci_notice_ratelimited(dev, "%s may not write to the configuration space that System RAM depends on\n",
			       current->comm);

	return -EPERM;
}
