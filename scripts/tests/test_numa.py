# SPDX-License-Identifier: GPL-2.0-only
"""On a machine with two nodes, the memory of the second comes and goes.

It is the node's first memory, or more of it. With each memory policy in use, pages follow their process to
it. When it goes, processes that used it or were bound to it go on elsewhere. It comes and goes thirty times
while each hart allocates from it. Of a device that is gone all at once, a process whose page tables were
there is killed."""

import pytest

from guest.machine import KERNEL, configuration
from test_hotremove import Devices


@pytest.fixture(scope="module", autouse=True)
def needs_nodes():
    if configuration(KERNEL)[0].get("CONFIG_NUMA") != "CONFIG_NUMA=y":
        pytest.skip(f"{KERNEL} has no CONFIG_NUMA")


def nodes(*lines):
    """Options for two nodes with these harts and memory, at a distance of 30."""
    numa = [f"node,nodeid={number},{line}" for number, line in enumerate(lines)] + ["dist,src=0,dst=1,val=30"]
    return [option for line in numa for option in ("-numa", line)]


def backend(name, size):
    return ["-object", f"memory-backend-ram,id={name},size={size}"]


def put_port_in_node_1(boot):
    """Memory that is plugged behind the first port is of node 1 from here on."""
    boot.guest.output("for file in /sys/bus/pci/devices/*/pci_bus/0000:01/../../numa_node; do echo 1 > $file; done")


def comes(start, title, name, numa):
    """Memory that comes and goes; returns the boot and the devices for more of that."""
    boot = start(f"Sv39, 2 harts, {title}", name, mmu="sv39", harts=2, ports=1, memory="768M", devices=numa)
    put_port_in_node_1(boot)
    devices = Devices(boot.guest, "128M")
    boot.suite("numa comes", 600, plug=devices.plug, remove=devices.remove)
    devices.wait()
    return boot, devices


def test_no_memory(start):
    boot, devices = comes(start, "2 nodes, the second without memory", "numa",
                          backend("n0", "768M") + nodes("cpus=0,memdev=n0", "cpus=1"))
    boot.suite("numa stress 30", 300, plug=devices.plug, remove=devices.remove)
    devices.wait()


def test_memory(start):
    comes(start, "2 nodes with memory", "numa-memory",
          backend("n0", "512M") + backend("n1", "256M") + nodes("cpus=0,memdev=n0", "cpus=1,memdev=n1"))


# Node 1 has a hart, as QEMU's nodes all have, but the kernel does not use it. QEMU sends the interrupts of PCI
# there: the port is polled. What is read where no device is any more is an error, not all ones.
def test_lost_tables(start):
    boot = start("Sv39, 2 harts of node 0, a device of node 1 with page tables that is gone", "numa-lost", mmu="sv39",
                 harts=3, ports=1, append="nr_cpus=2 pciehp.pciehp_poll_mode=1 pciehp.pciehp_poll_time=1",
                 devices=["-global", "gpex-pcihost.allow-unmapped-accesses=off"] + backend("n0", "512M") +
                 nodes("cpus=0-1,memdev=n0", "cpus=2"))
    put_port_in_node_1(boot)
    devices = Devices(boot.guest, "128M")
    boot.suite("lost tables", 120, plug=devices.plug, remove=devices.remove)
    devices.wait()
