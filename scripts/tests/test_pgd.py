# SPDX-License-Identifier: GPL-2.0-only
"""Where the kernel and executable memory are mapped in each paging mode (Sv57, Sv48 and Sv39), and whether
an older process on another hart reaches later mappings.

The kernel image is mapped outside the linear map. The linear map consists of 2 MiB pages, even where it
maps the image. The windows of modules and BPF, and all that is loaded there, are within 2 GiB of the whole
image. ioremap() uses 2 MiB pages, too.

The process is older than a vmalloc mapping, a module and hot-added memory. The possible failures depend on
the mode: a PGD entry covers 1 GiB with Sv39, 512 GiB with Sv48 and 256 TiB with Sv57. Only with Sv39 does
hot-added memory need a new PGD entry."""

import pytest

from bench import pagetable

# PCI configuration space of the "virt" machine, which the kernel maps with ioremap()
ECAM = range(0x30000000, 0x40000000)


@pytest.mark.parametrize("mode", ["sv57", "sv48", "sv39"])
def test_pgd(report, start, mode):
    # kfence.sample_interval=0: KFENCE maps its pool with small pages, and half of the pool not at all.
    boot = start(f"{mode.capitalize()}, 4 harts, an older process", f"pgd-{mode}",
                 mmu=mode, ports=1, append="kfence.sample_interval=0")
    found = boot.guest.output("grep -m 1 mmu /proc/cpuinfo").split()[-1]
    report.check(found == mode, f"the kernel pages with {mode.capitalize()}", found)
    sizes = {size for _, size, entry in pagetable.leaves(boot.guest.monitor, 1 << 63)
             if (entry >> 10 & pagetable.PPN) * pagetable.PAGE in ECAM}
    report.check(sizes == {2 << 20}, "what ioremap() maps is in pages of 2 MiB", sizes)
    boot.suite("mapping", 60)
    boot.suite("placement", 60)
    boot.suite("programs", 60)
    boot.suite("pgd 512", 120, plug=lambda: boot.guest.plug(0, "512M", 0))
