// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ask drivers whether their devices may be removed.
 *
 * An orderly removal has two steps. First, every driver is asked with
 * prepare_remove(). This may take minutes, and holds only the lock of the
 * device whose driver is asked. Second, if all drivers still agree, the devices
 * are removed under the rescan/remove lock.
 *
 * %PCI_DEV_ASK is set in a device while its driver must be asked before a
 * removal: the driver has a prepare_remove(), and has not agreed or its
 * agreement is being cancelled. An agreement belongs to the task that asked.
 * Other tasks may remove the device, too, but only the task that asked cancels
 * the agreement. It sets the bit under the rescan/remove lock. So a task that
 * holds this lock and finds the bit clear can go on to remove.
 *
 * From then on until the task releases the lock, the devices are leaving. No
 * driver that would have to be asked can be bound to them any more. A hot-plug
 * port may be leaving itself, because it is behind a port whose slot is emptied.
 * Its driver is then unbound, which waits until the slot has handled its last
 * request. So a slot must not wait for the rescan/remove lock while its port is
 * leaving.
 */

#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pm_runtime.h>
#include <linux/wait.h>

#include "pci.h"

/*
 * The device that the holder of the rescan/remove lock is about to remove,
 * with the devices behind it, or NULL. If the devices in a slot are removed, it
 * is the port. Only compare this pointer: the device may be gone.
 */
static struct pci_dev *leaving;

/*
 * Makes two steps exclude each other: to find that all agree and set @leaving,
 * and to find that a device is not leaving and set %PCI_DEV_ASK. It is taken
 * after the rescan/remove lock or after a device_lock.
 */
static DEFINE_MUTEX(leaving_lock);

/* Woken up when @leaving is set and when the rescan/remove lock is released */
static DECLARE_WAIT_QUEUE_HEAD(leaving_wait);

static bool is_leaving(struct pci_dev *dev)
{
	struct pci_dev *top = READ_ONCE(leaving);

	return top && pci_is_or_is_behind(dev, top);
}

/**
 * pci_set_ask - have the driver of a device asked before each removal
 * @dev: the device, to which a driver with prepare_remove() is being bound
 *
 * Context: process context, with the device_lock held.
 *
 * Return: 0, or %-ENODEV if the device is being removed or was pulled out. The
 * driver must not be bound then, because nobody will ask it.
 */
int pci_set_ask(struct pci_dev *dev)
{
	int ret = -ENODEV;

	mutex_lock(&leaving_lock);
	if (!is_leaving(dev) && !pci_dev_is_disconnected(dev)) {
		set_bit(PCI_DEV_ASK, &dev->priv_flags);
		ret = 0;
	}
	mutex_unlock(&leaving_lock);

	return ret;
}

/**
 * pci_lock_rescan_remove_behind - take the lock unless the port is leaving
 * @port: the port behind which devices are to be added or removed
 *
 * Context: process context, also where the driver of @port waits for the
 * current task when it is unbound.
 *
 * Return: 0 with the rescan/remove lock held; %-ENODEV without it if another
 * task is removing @port, and with it the devices behind it.
 */
int pci_lock_rescan_remove_behind(struct pci_dev *port)
{
	bool gone = false;

	wait_event(leaving_wait,
		   (gone = is_leaving(port)) || pci_trylock_rescan_remove());

	return gone ? -ENODEV : 0;
}

static int ask(struct pci_dev *dev)
{
	int ret;

	/*
	 * Check before locking: the driver of a port waits for this task when
	 * it is unbound, with the lock of the port held.
	 */
	if (!test_bit(PCI_DEV_ASK, &dev->priv_flags))
		return 0;

	ret = device_lock_interruptible(&dev->dev);
	if (ret)
		return ret;

	if (test_bit(PCI_DEV_ASK, &dev->priv_flags)) {
		/* The device must be powered, as it is for remove() */
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
 * @top: the device; if it is a bridge, the devices behind it are asked, too
 *
 * A caller that gets 0 either lets the devices be removed or calls
 * pci_cancel_remove().
 * Several tasks may ask at the same time.
 *
 * Context: process context; sleeps for as long as the drivers take, or until
 * the current task has a signal pending. The caller must not hold the
 * rescan/remove lock: nobody else could add or remove a device meanwhile.
 *
 * Return: 0 if all agree; %-EINTR after a signal; %-EBUSY if a driver refuses.
 * In case of an error, the drivers that had agreed have been told that their
 * devices stay.
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

static bool is_to_cancel(struct pci_dev *dev, struct pci_dev *top)
{
	return READ_ONCE(dev->remove_asker) == current && pci_is_or_is_behind(dev, top);
}

static void cancel(struct pci_dev *dev)
{
	device_lock(&dev->dev);

	/*
	 * Otherwise the driver was unbound, or has agreed again because another
	 * task asked
	 */
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
 * pci_cancel_remove - tell the drivers that have agreed that their devices stay
 * @top: as for pci_prepare_remove()
 *
 * Context: process context, in the task that called pci_prepare_remove().
 * Sleeps for as long as the drivers take. Takes the rescan/remove lock. Does
 * nothing if another task is removing @top.
 */
void pci_cancel_remove(struct pci_dev *top)
{
	struct pci_dev *dev = NULL;

	/* Without the lock, none of the devices stays */
	if (pci_lock_rescan_remove_behind(top))
		return;

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

/*
 * Returns whether no driver has to be asked. The caller holds the rescan/remove
 * lock.
 */
static bool all_agree(struct pci_dev *top)
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

/* Decide on the removal. Returns false if a driver has to be asked before. */
static bool leave(struct pci_dev *top)
{
	bool ret;

	mutex_lock(&leaving_lock);
	ret = all_agree(top);
	if (ret)
		WRITE_ONCE(leaving, top);
	mutex_unlock(&leaving_lock);
	if (ret)
		wake_up_all(&leaving_wait);

	return ret;
}

/**
 * pci_prepare_remove_and_lock - ask, and hold the lock under which to remove
 * @top: as for pci_prepare_remove()
 *
 * Before this task has the lock, a device may be added or bound to a driver, or
 * a task that had asked before may cancel. The drivers are then asked again.
 *
 * Context: as for pci_prepare_remove().
 *
 * Return: 0 if all agree. The caller then holds the rescan/remove lock, and
 * keeps it until it has removed the devices. %-ENODEV if another task is
 * removing @top. Otherwise an error as from pci_prepare_remove().
 */
int pci_prepare_remove_and_lock(struct pci_dev *top)
{
	int ret;

	for (;;) {
		ret = pci_prepare_remove(top);
		if (ret)
			return ret;

		ret = pci_lock_rescan_remove_behind(top);
		if (ret)
			return ret;

		if (leave(top))
			return 0;
		pci_unlock_rescan_remove();
	}
}

/**
 * pci_lock_rescan_remove_gone - hold the lock to remove what was pulled out
 * @port: the port behind which all devices are disconnected
 *
 * Context: as for pci_lock_rescan_remove_behind(). The caller keeps the lock
 * until it has removed the devices.
 *
 * Return: as of pci_lock_rescan_remove_behind().
 */
int pci_lock_rescan_remove_gone(struct pci_dev *port)
{
	int ret = pci_lock_rescan_remove_behind(port);

	if (!ret) {
		WRITE_ONCE(leaving, port);
		wake_up_all(&leaving_wait);
	}

	return ret;
}

/**
 * pci_stay - no device is leaving any more
 *
 * Context: with the rescan/remove lock held, which is about to be released.
 */
void pci_stay(void)
{
	WRITE_ONCE(leaving, NULL);
}

/**
 * pci_wake_slots - let slots try again to take the rescan/remove lock
 *
 * Context: any; the lock has been released.
 */
void pci_wake_slots(void)
{
	wake_up_all(&leaving_wait);
}
