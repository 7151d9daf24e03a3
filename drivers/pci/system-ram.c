// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices whose memory is System RAM: the kernel depends on it at any time.
 *
 * What makes it unreachable for a moment, as a reset does, or for good, as a write
 * to a base address does, takes memory from processes and from the kernel. So user
 * space may do neither, to these devices and to the bridges in front of them.
 */

#include <linux/export.h>
#include <linux/pci.h>
#include <linux/sched.h>

#include "pci.h"

/**
 * pci_set_system_ram - say whether memory of a device is System RAM
 * @dev: the device
 * @is_ram: whether it is
 *
 * While it is, user space can neither reset the device and the bridges in front of
 * it nor write to their configuration space.
 *
 * Context: any. To be called before the memory is used; what user space has begun
 * before that is not waited for.
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
 * Return: whether pci_set_system_ram() says so of the device or of one behind it.
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
 * pci_user_may_configure - whether user space may write to configuration space
 * @dev: the device that it is of
 *
 * Context: process context.
 *
 * Return: 0, or %-EPERM, with a message, if System RAM depends on it.
 */
int pci_user_may_configure(struct pci_dev *dev)
{
	if (!pci_leads_to_system_ram(dev))
		return 0;

	pci_notice_ratelimited(dev, "%s may not write to the configuration space that System RAM depends on\n",
			       current->comm);

	return -EPERM;
}
