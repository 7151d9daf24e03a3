# SPDX-License-Identifier: GPL-2.0-only
"""On a machine with two nodes, memory of the second node is added and removed.

It is the first memory of the node, or additional memory. Pages follow their process to the node with each
memory policy. When the memory is removed, processes that used it or were bound to it continue elsewhere.
It is added and removed thirty times while each hart allocates from it. When a device disappears without
notice, the kernel kills a process whose page tables were in its memory. It replaces empty page tables and the huge
page of zeroes, and their owner notices nothing."""

import pytest

from guest.machine import KERNEL, configuration
from test_hotremove import FAULTS, Devices


@pytest.fixture(scope="module", autouse=True)
def needs_nodes():
    if configuration(KERNEL)[0].get("CONFIG_NUMA") != "CONFIG_NUMA=y":
        pytest.skip(f"{KERNEL} has no CONFIG_NUMA")


def nodes(*lines):
    """Returns options for two nodes with these harts and memory, at a distance of 30."""
    numa = [f"node,nodeid={number},{line}" for number, line in enumerate(lines)] + ["dist,src=0,dst=1,val=30"]
    return [option for line in numa for option in ("-numa", line)]


def backend(name, size):
    return ["-object", f"memory-backend-ram,id={name},size={size}"]


def put_port_in_node_1(boot):
    """Memory that is plugged behind the first port will belong to node 1."""
    boot.guest.output("for file in /sys/bus/pci/devices/*/pci_bus/0000:01/../../numa_node; do echo 1 > $file; done")


def comes(start, title, name, numa):
    """Adds and removes memory. Returns the boot, and the devices for doing so again."""
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


# Every node of QEMU has a hart. The one of node 1 goes offline before there is memory in node 1: what runs on it
# would take memory there. Any hart can be the one that boots, so nr_cpus= does not say which is left out. QEMU sends
# the interrupts of PCI to one hart, so the port is polled.
def test_lost_tables(start):
    boot = start("Sv39, 3 harts, a device of node 1 with page tables that is gone", "numa-lost", mmu="sv39",
                 harts=3, ports=1, append="pciehp.pciehp_poll_mode=1 pciehp.pciehp_poll_time=1",
                 devices=FAULTS + backend("n0", "512M") + nodes("cpus=0-1,memdev=n0", "cpus=2"))
    boot.guest.output("for hart in /sys/devices/system/node/node1/cpu[0-9]*; do echo 0 > $hart/online; done")
    put_port_in_node_1(boot)
    devices = Devices(boot.guest, "128M")
    boot.suite("lost tables", 120, plug=devices.plug, remove=devices.remove)
    devices.wait()
