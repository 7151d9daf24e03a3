# SPDX-License-Identifier: GPL-2.0-only
"""Device memory: persistent memory with all of its uses, and memory that only a device can access.

Persistent memory is virtio-pmem, with Sv57 and Sv39. Its memory map is in RAM or in itself, and it is
mapped with 2 MiB or 4 KiB pages. It is used by a file system and as a devdax device, read by the kernel
through a process's page tables, and accessed by a process older than its mapping. Nine times it becomes
System RAM, in which a process lives, and a device again. At the end nothing is lost.

The kernel's own hmm-tests run on memory that only a device can access, at the end of the range that
vmemmap covers, and on memory that the device shares with the kernel."""

import pytest

from conftest import needs_device


def start_pmem(start, title, name, mode, size, **options):
    needs_device("virtio-pmem-pci")
    devices = ["-object", f"memory-backend-memfd,id=pmem0,size={size}M", "-device", "virtio-pmem-pci,memdev=pmem0"]
    return start(f"{title}, 2 harts, {size} MiB of virtio-pmem", name, mmu=mode, harts=2, devices=devices, **options)


@pytest.mark.parametrize("mode", ["sv57", "sv39"])
def test_pmem(start, mode):
    boot = start_pmem(start, mode.capitalize(), f"pmem-{mode}", mode, 512, memory="1G,maxmem=4G")
    boot.suite("pmem fs", 60)
    boot.suite("pmem dax", 120)
    boot.suite("pmem ram 8", 240)


# `make test` runs the widest and the narrowest address space.
@pytest.mark.parametrize("mode", ["sv57", pytest.param("sv48", marks=pytest.mark.test_all), "sv39"])
def test_hmm(start, mode):
    boot = start(f"{mode.capitalize()}, 2 harts, memory that only a device can access", f"hmm-{mode}", mmu=mode,
                 harts=2, memory="2G", append="mem=1G")
    # Twice: the second run shows whether the first left something behind.
    for _ in range(2):
        load_hmm(boot)
        boot.suite("hmm-tests | grep -v '^# *\\(RUN\\|OK\\) '", 240)
        boot.guest.output("rmmod test_hmm")


def load_hmm(boot):
    # madvise: 6.1's make_device_exclusive_range() refuses parts of large pages, which the test could get.
    boot.guest.output("echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
    boot.guest.output("echo 8 > /proc/sys/vm/nr_hugepages")
    # Two devices use the last addresses that vmemmap covers, 256 MiB each. Two others use RAM
    # that "mem=" hides from the kernel.
    boot.guest.output("insmod modules/test_hmm.ko spm_addr_dev0=0xd0000000 spm_addr_dev1=0xe0000000")


@pytest.mark.test_all
def test_debug_pmem(start):
    boot = start_pmem(start, "debug kernel, Sv39", "pmem-debug", "sv39", 256, config="debug",
                      memory="2G,maxmem=4G", boot_limit=300, append="rcupdate.rcu_expedited=1")
    boot.suite("pmem dax", 600)
    boot.suite("pmem ram 1", 900)
