// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory on a PCI device, as System RAM.
 *
 * The device is QEMU's ivshmem-plain, whose BAR 2 is the memory of a backend.
 * Behind a port that can be hot-plugged, it is a memory module for machines
 * that have no slots for any, such as RISC-V's virt: from the monitor,
 *
 *   object_add memory-backend-ram,id=m0,size=512M
 *   device_add ivshmem-plain,id=d0,memdev=m0,bus=rp0
 *
 * adds the memory and "device_del d0" removes it, unless a part of it cannot be
 * taken offline: then all of it stays, and the device with it.
 *
 * ivshmem was made to share memory between guests. This driver does not: what
 * it finds in BAR 2 belongs to this kernel alone and is overwritten.
 */

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#define PCI_RAM_BAR		2
#define PCI_RAM_REVISION	1

static unsigned int patience = 60;
module_param(patience, uint, 0644);
MODULE_PARM_DESC(patience, "Seconds for each GiB or part of it after which removal of memory is given up when pages of it are held (default 60)");

/**
 * struct pci_ram - the memory of a device
 * @pdev: the device
 * @group: of the blocks of this device, which come and go together
 * @start: physical address
 * @size: bytes
 * @added: whether it is System RAM
 */
struct pci_ram {
	struct pci_dev	*pdev;
	int		group;
	u64		start;
	u64		size;
	bool		added;
};

static int pci_ram_add(struct pci_ram *ram)
{
	int ret;

	ret = add_memory_driver_managed(ram->group, ram->start, ram->size,
					"System RAM (pci_ram)",
					MHP_NID_IS_MGID);
	if (ret) {
		dev_err(&ram->pdev->dev, "memory at %#llx, %llu MiB, not added: %pe\n",
			ram->start, ram->size / SZ_1M, ERR_PTR(ret));
		return ret;
	}

	ram->added = true;
	/* The memory is in use without this driver doing anything for it */
	__module_get(THIS_MODULE);

	dev_info(&ram->pdev->dev, "added %llu MiB of memory at %#llx\n",
		 ram->size / SZ_1M, ram->start);

	return 0;
}

/**
 * struct offline_work - what a thread is to take offline and remove
 * @ram: the memory
 * @done: completed at the end
 * @ret: the result
 */
struct offline_work {
	struct pci_ram		*ram;
	struct completion	done;
	int			ret;
};

static int offline_thread(void *data)
{
	struct offline_work *work = data;

	/*
	 * Not SIGKILL: what was taken offline has to come back online under
	 * it, and allocations of a task that is being killed may fail.
	 */
	allow_signal(SIGTERM);
	work->ret = offline_and_remove_memory(work->ram->start, work->ram->size);
	kthread_complete_and_exit(&work->done, 0);
}

/*
 * All of the memory or nothing. Offlining does not give up by itself as long as
 * every page looks movable, only on a signal, so it gets a thread to send one to:
 * when its time is over, or when whoever asks for the removal is interrupted.
 */
static int pci_ram_remove_memory(struct pci_ram *ram)
{
	unsigned long limit = READ_ONCE(patience) * DIV_ROUND_UP_ULL(ram->size, SZ_1G);
	struct offline_work work = { .ram = ram };
	struct task_struct *thread;
	const char *why;
	long left;

	init_completion(&work.done);
	thread = kthread_create(offline_thread, &work, "pci_ram/%s",
				pci_name(ram->pdev));
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	get_task_struct(thread);
	wake_up_process(thread);

	left = wait_for_completion_interruptible_timeout(&work.done, limit * HZ);
	if (left <= 0) {
		/* Repeated, as it is lost on a thread that did not run yet */
		do {
			send_sig(SIGTERM, thread, 1);
		} while (!wait_for_completion_timeout(&work.done, HZ));
	}
	put_task_struct(thread);

	switch (work.ret) {
	case 0:
		ram->added = false;
		module_put(THIS_MODULE);
		dev_info(&ram->pdev->dev, "removed %llu MiB of memory at %#llx\n",
			 ram->size / SZ_1M, ram->start);
		return 0;
	case -EBUSY:
		why = "some of it is in use and cannot be moved; only zone Movable is sure to be";
		break;
	case -EINTR:
		why = left ? "interrupted" :
			"some of it is held and could not be moved in time (pci_ram.patience)";
		break;
	default:
		why = "taking it offline failed";
	}
	dev_err(&ram->pdev->dev, "memory at %#llx, %llu MiB, not removed: %pe, %s\n",
		ram->start, ram->size / SZ_1M, ERR_PTR(work.ret), why);

	return work.ret;
}

static void pci_ram_unregister_group(void *data)
{
	/* Fails as long as there is memory in it, which is lost then */
	memory_group_unregister((long)data);
}

static int pci_ram_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	u64 block = memory_block_size_bytes();
	u64 start = pci_resource_start(pdev, PCI_RAM_BAR);
	u64 size = pci_resource_len(pdev, PCI_RAM_BAR);
	int nid = dev_to_node(&pdev->dev);
	struct pci_ram *ram;
	int ret;

	/* Of the ivshmem devices, those with interrupts are for sharing */
	if (pdev->revision != PCI_RAM_REVISION || pci_find_capability(pdev, PCI_CAP_ID_MSIX))
		return -ENODEV;

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

	ram = devm_kzalloc(&pdev->dev, sizeof(*ram), GFP_KERNEL);
	if (!ram)
		return -ENOMEM;

	ram->pdev = pdev;
	ram->start = start;
	ram->size = size;

	if (nid == NUMA_NO_NODE)
		nid = memory_add_physaddr_to_nid(start);
	ram->group = memory_group_register_static(nid, PFN_DOWN(size));
	if (ram->group < 0)
		return ram->group;
	ret = devm_add_action_or_reset(&pdev->dev, pci_ram_unregister_group,
				       (void *)(long)ram->group);
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

	return ram->added ? pci_ram_remove_memory(ram) : 0;
}

static void pci_ram_cancel_remove(struct pci_dev *pdev)
{
	struct pci_ram *ram = pci_get_drvdata(pdev);

	if (!ram->added)
		pci_ram_add(ram);
}

static void pci_ram_remove(struct pci_dev *pdev)
{
	struct pci_ram *ram = pci_get_drvdata(pdev);

	/* The usual case: it was removed before the device was */
	if (!ram->added)
		return;

	/* Nobody has asked. The pages that are free are not to be used any more. */
	pci_ram_remove_memory(ram);
	dev_crit(&pdev->dev, "memory at %#llx, %llu MiB, lost its device without notice, and what was in it\n",
		 ram->start, ram->size / SZ_1M);
}

static const struct pci_device_id pci_ram_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{ }
};
MODULE_DEVICE_TABLE(pci, pci_ram_ids);

static struct pci_driver pci_ram_driver = {
	.name		= "pci_ram",
	.id_table	= pci_ram_ids,
	.probe		= pci_ram_probe,
	.remove		= pci_ram_remove,
	.prepare_remove	= pci_ram_prepare_remove,
	.cancel_remove	= pci_ram_cancel_remove,
	/* To unbind is to take memory away: by unplugging, not by sysfs */
	.driver.suppress_bind_attrs = true,
};
module_pci_driver(pci_ram_driver);

MODULE_DESCRIPTION("Memory on a PCI device, as System RAM");
MODULE_LICENSE("GPL");
