// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that holds up the removal of its device, and with it whoever holds
 * the PCI core's rescan/remove lock. It takes devices whose driver_override is
 * "pci_wait". Two parameters belong to it:
 *
 *   waits	whether a removal waits
 *   go_on	write 1 to let it go on
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/pci.h>

static bool waits;
module_param(waits, bool, 0444);
MODULE_PARM_DESC(waits, "Whether a removal waits");

static bool go_on;
module_param(go_on, bool, 0644);
MODULE_PARM_DESC(go_on, "Write 1 to let the removal go on");

static int pci_wait_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	return 0;
}

static void pci_wait_remove(struct pci_dev *pdev)
{
	WRITE_ONCE(waits, true);
	while (!READ_ONCE(go_on))
		msleep(20);
	WRITE_ONCE(waits, false);
}

static const struct pci_device_id pci_wait_ids[] = {
	{ }
};

static struct pci_driver pci_wait_driver = {
	.name		= "pci_wait",
	.id_table	= pci_wait_ids,
	.probe		= pci_wait_probe,
	.remove		= pci_wait_remove,
};
module_pci_driver(pci_wait_driver);

MODULE_DESCRIPTION("A PCI device whose removal takes long");
MODULE_LICENSE("GPL");
