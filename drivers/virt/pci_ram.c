// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory on a PCI device, as System RAM.
 *
 * The device is QEMU's ivshmem-plain. Its BAR 2 is the memory of a backend.
 * Behind a hot-plug port, the device serves as a memory module for machines
 * that have no memory slots, such as RISC-V's virt. Start QEMU with a port:
 *
 *   -device pcie-root-port,id=rp0,chassis=1,slot=1,addr=0x10
 *   -append "... pci_ram.devices=00:10.0"
 *
 * These lines in the monitor then add the memory:
 *
 *   object_add memory-backend-ram,id=m0,size=512M
 *   device_add ivshmem-plain,id=d0,memdev=m0,bus=rp0
 *
 * "device_del d0" removes it again. If a part of the memory cannot be taken
 * offline, all of the memory stays in use, and so does the device.
 *
 * ivshmem was made to share memory between guests. This driver does not share:
 * BAR 2 belongs to this kernel alone, and its contents are overwritten. So the
 * driver takes only the devices that the parameter "devices" or driver_override
 * names.
 */

#include <linux/acpi.h>
#include <linux/completion.h>
#include <linux/crash_dump.h>
#include <linux/device.h>
#include <linux/ioport.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/numa.h>
#include <linux/pci.h>
#include <linux/pci_hotplug.h>
#include <linux/pm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#define PCI_RAM_BAR		2
#define PCI_RAM_REVISION	1

/*
 * The longest attempt to take the memory offline, in seconds: others who add or
 * remove memory wait meanwhile.
 */
#define PCI_RAM_MAX_ATTEMPT	16

static char devices[256];
static DEFINE_MUTEX(devices_lock);

static int set_devices(const char *text, const struct kernel_param *param)
{
	/* echo writes a newline at the end */
	size_t length = strcspn(text, "\n");

	if (length >= sizeof(devices))
		return -ENOSPC;

	mutex_lock(&devices_lock);
	memcpy(devices, text, length);
	devices[length] = '\0';
	mutex_unlock(&devices_lock);

	return 0;
}

static int get_devices(char *text, const struct kernel_param *param)
{
	int length;

	mutex_lock(&devices_lock);
	length = sysfs_emit(text, "%s\n", devices);
	mutex_unlock(&devices_lock);

	return length;
}

static const struct kernel_param_ops devices_ops = {
	.set	= set_devices,
	.get	= get_devices,
};

module_param_cb(devices, &devices_ops, NULL, 0644);
MODULE_PARM_DESC(devices, "The ivshmem-plain devices that are System RAM: those at, or behind a bridge at, [DOMAIN:]BUS:DEVICE.FUNCTION[/DEVICE.FUNCTION]..., or that are pci:VENDOR:DEVICE[:SUBVENDOR:SUBDEVICE]; several are separated by semicolons (default none)");

static unsigned int patience = 60;
module_param(patience, uint, 0644);
MODULE_PARM_DESC(patience, "Seconds for each GiB or part of it after which removal of memory is given up when pages of it are held (default 60)");

/**
 * struct pci_ram - the memory of a device
 * @pdev: the device
 * @group: memory group: all blocks of the device go online and offline together
 * @start: physical address of the memory
 * @size: bytes of memory
 * @region: resource of the memory's addresses, parent of the System RAM
 * @online_types: for each block, how it was online before it was taken offline
 * @notifier: refuses to online blocks while @leaves is set
 * @leaves: whether the memory is being removed
 */
struct pci_ram {
	struct pci_dev	*pdev;
	int		group;
	u64		start;
	u64		size;
	struct resource	*region;
	u8		*online_types;

	struct notifier_block	notifier;
	bool		leaves;
};

static int pci_ram_notify(struct notifier_block *notifier, unsigned long action, void *data)
{
	struct pci_ram *ram = container_of(notifier, struct pci_ram, notifier);
	u64 start = PFN_PHYS(((struct memory_notify *)data)->start_pfn);

	if (action == MEM_GOING_ONLINE && READ_ONCE(ram->leaves) &&
	    start >= ram->start && start - ram->start < ram->size)
		return notifier_from_errno(-EBUSY);

	return NOTIFY_OK;
}

/* Returns 1 if the parameter "devices" names @dev, 0 if not, or an error. */
static int pci_ram_is_named(struct pci_dev *dev)
{
	const char *text = devices;
	int ret = 0;

	while (!ret && *text) {
		ret = pci_dev_str_match(dev, text, &text);
		if (!ret && *text && *text++ != ';')
			ret = -EINVAL;
	}

	return ret;
}

/*
 * Returns 1 if the administrator has chosen @pdev as memory, 0 if not, or an
 * error.
 */
static int pci_ram_is_wanted(struct pci_dev *pdev)
{
	struct pci_dev *dev;
	int ret = 0;

	/* With an override, only this driver can be bound to the device */
	if (pdev->driver_override)
		return 1;

	mutex_lock(&devices_lock);
	for (dev = pdev; dev && !ret; dev = pci_upstream_bridge(dev))
		ret = pci_ram_is_named(dev);
	if (ret < 0)
		dev_err(&pdev->dev, "pci_ram.devices=%s: %pe\n", devices, ERR_PTR(ret));
	mutex_unlock(&devices_lock);

	return ret;
}

/*
 * Whether every hot-plug slot on the path to @pdev calls prepare_remove() of
 * the drivers before it removes devices.
 */
static bool pci_ram_is_asked(struct pci_dev *pdev)
{
	struct pci_dev *dev;

	for (dev = pdev; dev; dev = pci_upstream_bridge(dev)) {
		if (dev->slot && dev->slot->hotplug && !dev->slot->hotplug->asks)
			return false;
	}

	return true;
}

/*
 * Reserve the addresses, and keep user space from everything that could move or
 * stop the BAR.
 */
static int pci_ram_reserve(struct pci_ram *ram)
{
	/*
	 * An exclusive resource cannot be mapped through resource2 in sysfs. It
	 * cannot be mapped through /dev/mem either if STRICT_DEVMEM is on, see
	 * resource_is_exclusive().
	 */
	ram->region = __request_mem_region(ram->start, ram->size, "pci_ram",
					   IORESOURCE_EXCLUSIVE | IORESOURCE_SYSRAM);
	if (!ram->region)
		return -EBUSY;
	/*
	 * add_memory_driver_managed() needs a parent that is not busy;
	 * virtio-mem does the same
	 */
	ram->region->flags &= ~IORESOURCE_BUSY;

	pci_set_system_ram(ram->pdev, true);

	return 0;
}

static void pci_ram_release(struct pci_ram *ram)
{
	pci_set_system_ram(ram->pdev, false);
	release_resource(ram->region);
	kfree(ram->region);
}

static int pci_ram_add(struct pci_ram *ram)
{
	int ret;

	/*
	 * The memory stays in use when nobody calls this driver: keep the
	 * module loaded
	 */
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;

	ret = pci_ram_reserve(ram);
	if (ret)
		goto put_module;

	ret = add_memory_driver_managed(ram->group, ram->start, ram->size,
					"System RAM (pci_ram)",
					MHP_NID_IS_MGID);
	if (ret)
		goto release;

	dev_info(&ram->pdev->dev, "added %llu MiB of memory at %#llx\n",
		 ram->size / SZ_1M, ram->start);

	return 0;

release:
	pci_ram_release(ram);
put_module:
	module_put(THIS_MODULE);
	dev_err(&ram->pdev->dev, "memory at %#llx, %llu MiB, not added: %pe\n",
		ram->start, ram->size / SZ_1M, ERR_PTR(ret));

	return ret;
}

/**
 * struct offline_work - order for the thread that takes the memory offline
 * @ram: the memory
 * @done: completed when the thread has ended its work
 * @ret: result: 0 or a negative error
 */
struct offline_work {
	struct pci_ram		*ram;
	struct completion	done;
	int			ret;
};

static int offline_thread(void *data)
{
	struct offline_work *work = data;
	struct pci_ram *ram = work->ram;

	/*
	 * SIGTERM, as allocations may fail in a task that has received SIGKILL
	 */
	allow_signal(SIGTERM);
	work->ret = offline_memory_range(ram->start, ram->size, ram->online_types);
	kthread_complete_and_exit(&work->done, 0);
}

/*
 * Try to take the memory offline, for @seconds at most.
 *
 * offline_pages() retries for ever while every page looks movable. Only a
 * signal stops it. So it runs in a thread of its own, which gets a signal when
 * the time is over, when the caller is interrupted, or when the device is gone.
 * The result is -EINTR then.
 */
static int pci_ram_offline_for(struct pci_ram *ram, unsigned long seconds)
{
	struct offline_work work = { .ram = ram };
	struct task_struct *thread;
	unsigned long tenths;
	long done = 0;

	init_completion(&work.done);
	thread = kthread_create(offline_thread, &work, "pci_ram/%s",
				pci_name(ram->pdev));
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	get_task_struct(thread);
	wake_up_process(thread);

	/* If the device goes away meanwhile, its pages must not be copied */
	for (tenths = 10 * seconds; tenths && !done && pci_device_is_present(ram->pdev); tenths--)
		done = wait_for_completion_interruptible_timeout(&work.done, HZ / 10);

	if (done <= 0) {
		/*
		 * A thread that has not run yet drops the signal: send it again
		 */
		do {
			send_sig(SIGTERM, thread, 1);
		} while (!wait_for_completion_timeout(&work.done, HZ));
	}
	put_task_struct(thread);

	return work.ret;
}

/*
 * Take all of the memory offline, or none of it.
 *
 * Nobody else can add or remove memory during an attempt. So the first attempt
 * lasts one second, and each further one twice as long: between two attempts
 * others have their turn.
 */
static int pci_ram_offline(struct pci_ram *ram)
{
	unsigned long left = READ_ONCE(patience) * DIV_ROUND_UP_ULL(ram->size, SZ_1G);
	unsigned long attempt = 1;
	const char *why;
	int ret;

	WRITE_ONCE(ram->leaves, true);
	do {
		attempt = min(attempt, left);
		ret = pci_ram_offline_for(ram, attempt);
		/* It gives up at once if other memory that is gone has its turn */
		left -= ret == -EAGAIN ? 1 : attempt;
		attempt = min(2 * attempt, PCI_RAM_MAX_ATTEMPT);
	} while ((ret == -EINTR || ret == -EAGAIN) && left && !signal_pending(current) &&
		 pci_device_is_present(ram->pdev));

	switch (ret) {
	case 0:
		return 0;
	case -EBUSY:
		why = "some of it is in use and cannot be moved; only zone Movable is sure to be";
		break;
	case -EAGAIN:
	case -EINTR:
		if (signal_pending(current)) {
			why = "interrupted";
			break;
		}
		if (!pci_device_is_present(ram->pdev)) {
			why = "its device is gone";
			break;
		}
		ret = -EBUSY;
		why = "some of it is held and could not be moved in time (pci_ram.patience)";
		break;
	default:
		why = "taking it offline failed";
	}
	dev_err(&ram->pdev->dev, "memory at %#llx, %llu MiB, not removed: %pe, %s\n",
		ram->start, ram->size / SZ_1M, ERR_PTR(ret), why);

	return ret;
}

/**
 * struct reonline_work - order for the worker that onlines the memory again
 * @work: item of the workqueue
 * @ram: the memory
 */
struct reonline_work {
	struct work_struct	work;
	struct pci_ram		*ram;
};

static void reonline_worker(struct work_struct *work)
{
	struct pci_ram *ram = container_of(work, struct reonline_work, work)->ram;

	reonline_memory_range(ram->start, ram->size, ram->online_types);
}

static void pci_ram_reonline(struct pci_ram *ram)
{
	struct reonline_work work = { .ram = ram };

	/*
	 * The device is gone: whatever is written to its memory would be lost
	 */
	if (!pci_device_is_present(ram->pdev))
		return;

	WRITE_ONCE(ram->leaves, false);
	/*
	 * The current task may have been killed; it could not allocate memory
	 * or start threads
	 */
	INIT_WORK_ONSTACK(&work.work, reonline_worker);
	schedule_work(&work.work);
	flush_work(&work.work);
	destroy_work_on_stack(&work.work);
	memset(ram->online_types, MMOP_OFFLINE, ram->size / memory_block_size_bytes());
}

static void pci_ram_unregister_group(void *data)
{
	/*
	 * Fails if blocks of the group are left, because their memory was lost
	 */
	memory_group_unregister((long)data);
}

static void pci_ram_free_online_types(void *data)
{
	kvfree(data);
}

static void pci_ram_unregister_notifier(void *data)
{
	unregister_memory_notifier(data);
}

static int pci_ram_check(struct pci_dev *pdev, u64 start, u64 size)
{
	u64 block = memory_block_size_bytes();

	if (!start || !size) {
		dev_err(&pdev->dev,
			"memory has no address: it does not fit into the window of its port, see pci=hpmmioprefsize=\n");
		return -ENOSPC;
	}

	if (!IS_ALIGNED(start | size, block)) {
		dev_err(&pdev->dev,
			"memory at %#llx, %llu MiB, not added: start and size have to be multiples of %llu MiB\n",
			start, size / SZ_1M, block / SZ_1M);
		return -EINVAL;
	}

	/*
	 * ACPI removes devices under lock_device_hotplug(), which removing
	 * memory takes
	 */
	if (has_acpi_companion(&pci_find_host_bridge(pdev->bus)->dev)) {
		dev_err(&pdev->dev,
			"memory at %#llx, %llu MiB, not added: ACPI may remove its host bridge, and would wait for itself\n",
			start, size / SZ_1M);
		return -EOPNOTSUPP;
	}

	if (!pci_ram_is_asked(pdev)) {
		dev_err(&pdev->dev,
			"memory at %#llx, %llu MiB, not added: its slot removes devices without asking, only those of pciehp ask\n",
			start, size / SZ_1M);
		return -EOPNOTSUPP;
	}

	return 0;
}

static const struct pci_device_id pci_ram_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{ }
};
MODULE_DEVICE_TABLE(pci, pci_ram_ids);

static int pci_ram_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	u64 start = pci_resource_start(pdev, PCI_RAM_BAR);
	u64 size = pci_resource_len(pdev, PCI_RAM_BAR);
	int nid = dev_to_node(&pdev->dev);
	struct pci_ram *ram;
	int ret;

	/*
	 * driver_override can name any device, so check the ID again. An
	 * ivshmem device with MSI-X is an ivshmem-doorbell, which shares memory
	 * between guests.
	 */
	if (!pci_match_id(pci_ram_ids, pdev) || pdev->revision != PCI_RAM_REVISION ||
	    pci_find_capability(pdev, PCI_CAP_ID_MSIX))
		return -ENODEV;

	ret = pci_ram_is_wanted(pdev);
	if (ret < 0)
		return ret;
	if (!ret) {
		dev_info(&pdev->dev, "not used as memory: pci_ram.devices does not name it\n");
		return -ENODEV;
	}

	/*
	 * A crash kernel must not overwrite it: it may be the crashed kernel's
	 * memory
	 */
	if (is_kdump_kernel()) {
		dev_info(&pdev->dev, "not used as memory: this kernel dumps another one\n");
		return -ENODEV;
	}

	ret = pci_ram_check(pdev, start, size);
	if (ret)
		return ret;

	ram = devm_kzalloc(&pdev->dev, sizeof(*ram), GFP_KERNEL);
	if (!ram)
		return -ENOMEM;

	ram->pdev = pdev;
	ram->start = start;
	ram->size = size;

	ram->online_types = alloc_online_types(size);
	if (!ram->online_types)
		return -ENOMEM;
	ret = devm_add_action_or_reset(&pdev->dev, pci_ram_free_online_types,
				       ram->online_types);
	if (ret)
		return ret;

	if (nid == NUMA_NO_NODE)
		nid = memory_add_physaddr_to_nid(start);
	ram->group = memory_group_register_static(nid, PFN_DOWN(size));
	if (ram->group < 0)
		return ram->group;
	ret = devm_add_action_or_reset(&pdev->dev, pci_ram_unregister_group,
				       (void *)(long)ram->group);
	if (ret)
		return ret;

	ram->notifier.notifier_call = pci_ram_notify;
	ret = register_memory_notifier(&ram->notifier);
	if (ret)
		return ret;
	ret = devm_add_action_or_reset(&pdev->dev, pci_ram_unregister_notifier,
				       &ram->notifier);
	if (ret)
		return ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;

	ret = pci_ram_add(ram);
	if (ret)
		return ret;

	pci_set_drvdata(pdev, ram);

	return 0;
}

static int pci_ram_prepare_remove(struct pci_dev *pdev)
{
	struct pci_ram *ram = pci_get_drvdata(pdev);
	int ret;

	ret = pci_ram_offline(ram);
	if (ret)
		pci_ram_reonline(ram);

	return ret;
}

static void pci_ram_cancel_remove(struct pci_dev *pdev)
{
	pci_ram_reonline(pci_get_drvdata(pdev));
}

static void pci_ram_remove(struct pci_dev *pdev)
{
	struct pci_ram *ram = pci_get_drvdata(pdev);
	int ret;

	/*
	 * If the device is still there, nobody called prepare_remove() and the
	 * pages can still be moved out of it. Blocks that cannot go offline are
	 * lost; then the memory is not removed, and the module stays for the
	 * name of the resource.
	 */
	if (pci_device_is_present(pdev))
		pci_ram_offline(ram);
	ret = lose_memory_range(ram->start, ram->size);
	if (!ret)
		ret = remove_memory(ram->start, ram->size);
	if (ret)
		return;

	pci_ram_release(ram);
	module_put(THIS_MODULE);
	dev_info(&pdev->dev, "removed %llu MiB of memory at %#llx\n",
		 ram->size / SZ_1M, ram->start);
}

/*
 * Suspend could cut the power of the device, and its memory would lose its
 * contents.
 */
static int pci_ram_pm_prepare(struct device *dev)
{
	dev_err(dev, "the machine cannot be suspended while this is memory\n");

	return -EBUSY;
}

static const struct dev_pm_ops pci_ram_pm_ops = {
	.prepare = pm_sleep_ptr(pci_ram_pm_prepare),
};

static struct pci_driver pci_ram_driver = {
	.name		= "pci_ram",
	.id_table	= pci_ram_ids,
	.probe		= pci_ram_probe,
	.remove		= pci_ram_remove,
	.prepare_remove	= pci_ram_prepare_remove,
	.cancel_remove	= pci_ram_cancel_remove,
	/*
	 * Unbinding in sysfs would take memory away without asking; unplugging
	 * asks
	 */
	.driver.suppress_bind_attrs = true,
	.driver.pm	= pm_sleep_ptr(&pci_ram_pm_ops),
};
module_pci_driver(pci_ram_driver);

MODULE_DESCRIPTION("Memory on a PCI device, as System RAM");
MODULE_LICENSE("GPL");
