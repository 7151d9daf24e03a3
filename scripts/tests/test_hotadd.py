# SPDX-License-Identifier: GPL-2.0-only
"""Memory hot-added from QEMU's monitor is accounted for and used: 128 MiB, 512 MiB, 1 GiB and two devices
at once, with Sv39. Its vmemmap has 2 MiB pages. Requests that must be refused change nothing."""

import pytest

from conftest import boot_guest


@pytest.fixture(scope="module")
def boot(request):
    # With Sv39, the added memory needs new PGD entries: no other memory is mapped through them.
    return boot_guest(request, "Sv39, 4 harts, 7 hot-plug ports", "hotadd", mmu="sv39", ports=7)


@pytest.mark.parametrize("port, size", [(0, 128), (1, 512), (2, 1024)])
def test_size(boot, port, size):
    boot.suite(f"hotadd add {size}", 180, plug=lambda: boot.guest.plug(port, f"{size}M", port))


def test_two_devices(boot):
    def plug():
        boot.guest.plug(3, "128M", 3)
        boot.guest.plug(4, "256M", 4)

    boot.suite("hotadd add 128 256", 240, plug=plug)


def test_vmemmap(report, boot):
    dump = boot.guest.output("sed -n '/vmemmap start/,/vmemmap end/p'"
                             " /sys/kernel/debug/kernel_page_tables").splitlines()[1:-1]
    report.check(len(dump) > 1 and all(" PMD " in line for line in dump),
                 "vmemmap is mapped with 2 MiB pages only", " / ".join(dump))


# 64 MiB are less than a memory block. 16 GiB are as large as PCI's address space, a part of which is
# in use. With reserve=off, the host needs no memory for them, because they are never touched.
@pytest.mark.parametrize("port, size", [(5, "64M"), (6, "16G,reserve=off")])
def test_refused_device(report, boot, port, size):
    report.say(f" a device of {size.split(',')[0]}")
    boot.suite("hotadd refuse", 120, plug=lambda: boot.guest.plug(port, size, port))
