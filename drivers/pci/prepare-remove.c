// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ask drivers whether their devices may be removed.
 */

#include <linux/device.h>
#include <linux/list.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>

#include "pci.h"

static void cancel_remove_bus(struct pci_bus *bus);

static void cancel_remove(struct pci_dev *dev)
{
	device_lock(&dev->dev);
	if (dev->driver && dev->driver->cancel_remove) {
		pm_runtime_get_sync(&dev->dev);
		dev->driver->cancel_remove(dev);
		pm_runtime_put(&dev->dev);
	}
	device_unlock(&dev->dev);

	if (dev->subordinate)
		cancel_remove_bus(dev->subordinate);
}

static void cancel_remove_bus(struct pci_bus *bus)
{
	struct pci_dev *dev;

	list_for_each_entry_reverse(dev, &bus->devices, bus_list)
		cancel_remove(dev);
}

/**
 * pci_prepare_remove - ask whether a device may be removed
 * @dev: the device; what is behind it, if it is a bridge, is asked first
 *
 * Context: process context, may sleep for as long as a driver takes. The caller
 * holds the rescan/remove lock, until the removal is done.
 *
 * Return: 0, or %-EBUSY if a driver refuses; nothing has changed then.
 */
int pci_prepare_remove(struct pci_dev *dev)
{
	int ret = 0;

	if (dev->subordinate) {
		ret = pci_prepare_remove_bus(dev->subordinate);
		if (ret)
			return ret;
	}

	device_lock(&dev->dev);
	if (dev->driver && dev->driver->prepare_remove) {
		/* Awake, as for remove() */
		pm_runtime_get_sync(&dev->dev);
		ret = dev->driver->prepare_remove(dev);
		pm_runtime_put(&dev->dev);
	}
	if (ret)
		pci_info(dev, "%s refuses the removal: %pe\n",
			 dev->driver->name, ERR_PTR(ret));
	device_unlock(&dev->dev);

	if (ret && dev->subordinate)
		cancel_remove_bus(dev->subordinate);

	return ret ? -EBUSY : 0;
}

/**
 * pci_prepare_remove_bus - ask whether all devices on a bus may be removed
 * @bus: the bus
 *
 * Context: as for pci_prepare_remove().
 *
 * Return: 0, or %-EBUSY if a driver refuses; nothing has changed then.
 */
int pci_prepare_remove_bus(struct pci_bus *bus)
{
	struct pci_dev *dev;
	int ret;

	list_for_each_entry(dev, &bus->devices, bus_list) {
		ret = pci_prepare_remove(dev);
		if (!ret)
			continue;

		list_for_each_entry_continue_reverse(dev, &bus->devices, bus_list)
			cancel_remove(dev);
		return ret;
	}

	return 0;
}
