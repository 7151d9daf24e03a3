// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ask drivers whether their devices may be removed.
 *
 * An orderly removal has two parts. First the drivers are asked: that may take
 * minutes, and holds nothing but the lock of the device that is asked. Then the
 * devices are removed with the rescan/remove lock held, if all still agree.
 *
 * %PCI_DEV_ASK is set in a device while a driver is bound that has to be asked and
 * has not agreed, or whose agreement is being cancelled. An agreement is that of the
 * task which asked: others may rely on it, and only that one cancels it. The bit is set
 * for it under the rescan/remove lock, so that whoever removes devices and has
 * found it clear is not overtaken.
 */

#include <linux/device.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>

#include "pci.h"

static int ask(struct pci_dev *dev)
{
	int ret;

	/* Not the lock of a port: to unbind its driver is to wait for this task */
	if (!test_bit(PCI_DEV_ASK, &dev->priv_flags))
		return 0;

	ret = device_lock_interruptible(&dev->dev);
	if (ret)
		return ret;

	if (test_bit(PCI_DEV_ASK, &dev->priv_flags)) {
		/* Awake, as for remove() */
		pm_runtime_get_sync(&dev->dev);
		ret = dev->driver->prepare_remove(dev);
		pm_runtime_put(&dev->dev);

		if (ret) {
			pci_info(dev, "%s refuses the removal: %pe\n",
				 dev->driver->name, ERR_PTR(ret));
		} else {
			WRITE_ONCE(dev->remove_asker, current);
			clear_bit(PCI_DEV_ASK, &dev->priv_flags);
		}
	}

	device_unlock(&dev->dev);

	return ret;
}

/**
 * pci_prepare_remove - ask whether a device may be removed
 * @top: the device; all that is behind it, if it is a bridge, is asked too
 *
 * Whoever gets 0 goes on to remove the devices, or calls pci_cancel_remove().
 * Several may ask at the same time.
 *
 * Context: process context, may sleep for as long as a driver takes. A signal
 * for the current task ends it. The rescan/remove lock must not be held: others
 * are not to wait.
 *
 * Return: 0; %-EINTR after a signal, %-EBUSY if a driver refuses: those that had
 * agreed have been told that their devices stay.
 */
int pci_prepare_remove(struct pci_dev *top)
{
	struct pci_dev *dev = NULL;
	int ret;

	for_each_pci_dev(dev) {
		if (!pci_is_or_is_behind(dev, top))
			continue;

		ret = ask(dev);
		if (ret) {
			pci_dev_put(dev);
			pci_cancel_remove(top);
			return ret == -EINTR ? ret : -EBUSY;
		}
	}

	return 0;
}

/**
 * pci_remove_agreed - whether nobody has to be asked any more
 * @top: as for pci_prepare_remove()
 *
 * Context: process context, with the rescan/remove lock held, under which the
 * devices are removed then.
 *
 * Return: %false if a device was added or bound since pci_prepare_remove(), or if
 * somebody else, who had asked first, has called pci_cancel_remove().
 */
bool pci_remove_agreed(struct pci_dev *top)
{
	struct pci_dev *dev = NULL;

	for_each_pci_dev(dev) {
		if (pci_is_or_is_behind(dev, top) &&
		    test_bit(PCI_DEV_ASK, &dev->priv_flags)) {
			pci_dev_put(dev);
			return false;
		}
	}

	return true;
}

static bool is_to_cancel(struct pci_dev *dev, struct pci_dev *top)
{
	return READ_ONCE(dev->remove_asker) == current && pci_is_or_is_behind(dev, top);
}

static void cancel(struct pci_dev *dev)
{
	device_lock(&dev->dev);

	/* Else it is unbound, or has agreed again, when somebody else asked */
	if (dev->remove_asker == current && test_bit(PCI_DEV_ASK, &dev->priv_flags)) {
		WRITE_ONCE(dev->remove_asker, NULL);
		if (dev->driver->cancel_remove && !pci_dev_is_disconnected(dev)) {
			pm_runtime_get_sync(&dev->dev);
			dev->driver->cancel_remove(dev);
			pm_runtime_put(&dev->dev);
		}
	}

	device_unlock(&dev->dev);
}

/**
 * pci_cancel_remove - tell those who have agreed that their devices stay
 * @top: as for pci_prepare_remove()
 *
 * Context: process context, in the task that has called pci_prepare_remove(); may
 * sleep for as long as a driver takes. Takes the rescan/remove lock.
 */
void pci_cancel_remove(struct pci_dev *top)
{
	struct pci_dev *dev = NULL;

	pci_lock_rescan_remove();
	for_each_pci_dev(dev) {
		if (is_to_cancel(dev, top))
			set_bit(PCI_DEV_ASK, &dev->priv_flags);
	}
	pci_unlock_rescan_remove();

	for_each_pci_dev(dev) {
		if (is_to_cancel(dev, top))
			cancel(dev);
	}
}
