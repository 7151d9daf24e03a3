# SPDX-License-Identifier: GPL-2.0-only
"""Memory ranges are added and removed without a device. They are RAM that "mem=" hides from the kernel.

- A hundred times: nothing is lost.
- While processes fork, exec, load modules and programs, and read files that describe memory.
- A lower range after a higher one, and up to the last GiB of Sv39.
- 64 GiB in one step and in 512 steps: the last block costs as many instructions as the first.
- With the struct pages in the memory that they describe (memmap_on_memory).
- Requests that must be refused give a reason and change nothing.
- /proc/kcore has the same ranges as /proc/iomem, both with added memory and after its removal, and it
  has the text of modules."""

import pytest

from guest.vm import SPARSE


def test_hotplug(start):
    boot = start("Sv39, 4 harts, 1 GiB of 4 GiB in use", "hotplug", mmu="sv39", memory="4G", append="mem=1G")
    boot.suite("hotplug order", 60)
    boot.suite("hotplug end", 60)
    boot.suite("hotplug cycles", 120)
    boot.suite("hotplug errors", 60)
    boot.suite("hotplug kcore", 60)
    boot.suite("hotplug races 30", 300)
    # This test comes last: it leaves memory behind that the kernel uses.
    boot.suite("hotplug refuse", 60)


def test_memmap(start):
    boot = start("Sv39, the memory map of a block in the block", "hotplug-memmap", mmu="sv39", harts=2, memory="4G",
                 append="mem=1G memory_hotplug.memmap_on_memory=1")
    boot.suite("hotplug memmap", 60)


@pytest.mark.parametrize("mode", ["sv39", "sv57"])
def test_scale(start, mode):
    boot = start(f"{mode.capitalize()}, 1 hart that counts instructions, 2 GiB of 67 GiB in use", f"hotplug-{mode}",
                 mmu=mode, harts=1, memory="67G", append="mem=2G", devices=[*SPARSE, "-icount", "shift=0"])
    boot.suite("hotplug scale 1024 8192 65536", 300)
