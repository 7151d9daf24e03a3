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
 * adds the memory and "device_del d0" removes it.
 *
 * ivshmem was made to share memory between guests. This driver does not: what
 * it finds in BAR 2 belongs to this kernel alone and is overwritten.
 */

#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/pci.h>
#include <linux/sizes.h>

#define PCI_RAM_BAR		2
#define PCI_RAM_REVISION	1

static int pci_ram_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	u64 block = memory_block_size_bytes();
	u64 start = pci_resource_start(pdev, PCI_RAM_BAR);
	u64 size = pci_resource_len(pdev, PCI_RAM_BAR);
	int nid = dev_to_node(&pdev->dev);
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

	ret = pci_enable_device_mem(pdev);
	if (ret)
		return ret;

	if (nid == NUMA_NO_NODE)
		nid = memory_add_physaddr_to_nid(start);

	ret = add_memory_driver_managed(nid, start, size,
					"System RAM (pci_ram)", MHP_NONE);
	if (ret) {
		dev_err(&pdev->dev, "memory at %#llx, %llu MiB, not added: %pe\n",
			start, size / SZ_1M, ERR_PTR(ret));
		pci_disable_device(pdev);
		return ret;
	}

	/* The memory is in use without this driver doing anything for it */
	__module_get(THIS_MODULE);

	dev_info(&pdev->dev, "added %llu MiB of memory at %#llx\n",
		 size / SZ_1M, start);

	return 0;
}

static void pci_ram_remove(struct pci_dev *pdev)
{
	u64 start = pci_resource_start(pdev, PCI_RAM_BAR);
	u64 size = pci_resource_len(pdev, PCI_RAM_BAR);
	int ret;

	ret = offline_and_remove_memory(start, size);
	if (ret) {
		dev_crit(&pdev->dev, "memory at %#llx, %llu MiB, is in use and cannot be removed: %pe; what is in it is lost with the device\n",
			 start, size / SZ_1M, ERR_PTR(ret));
		return;
	}

	pci_disable_device(pdev);
	module_put(THIS_MODULE);

	dev_info(&pdev->dev, "removed %llu MiB of memory at %#llx\n",
		 size / SZ_1M, start);
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
	/* To unbind is to take memory away: by unplugging, not by sysfs */
	.driver.suppress_bind_attrs = true,
};
module_pci_driver(pci_ram_driver);

MODULE_DESCRIPTION("Memory on a PCI device, as System RAM");
MODULE_LICENSE("GPL");
