# SPDX-License-Identifier: GPL-2.0-only
"""A guest with virtio-mem grows and shrinks while it works. Requests that cannot be met change nothing.

- From 512 MiB to 8 GiB, to 3.5 GiB and to 512 MiB, twice, while processes fill, share and verify memory.
  Their data is intact, memory blocks and page tables are added and removed, and at the end nothing is left.
- The same with large device blocks, and with memory at boot. QEMU refuses impossible sizes.
- Huge pages of hugetlb are moved, used or not. If there is no room for them, they stay in their pool, and
  their memory stays until they are freed.
- Unplugged memory is not read: QEMU has memory only for what is plugged, even after root has read
  /proc/kcore and /dev/mem.
- A machine with virtio-mem is saved to a file, and another QEMU continues it."""

import os
import pathlib
import time

import pytest

from conftest import needs_device
from guest.vm import GuestError, virtio_mem

MIB = 1 << 20
GIB = 1 << 30
# The most bytes that a guest may get. The host allocates only those that the guest touches.
REGION = 8 * GIB
# Memory can only be given back if it is in zone Movable.
MOVABLE = "memhp_default_state=online_movable"
# Seconds until a guest has the size that was requested. Busy hosts need minutes to move 128 MiB.
ASK_LIMIT = 600
# A feature bit of include/uapi/linux/virtio_mem.h
VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE = 1


@pytest.fixture(scope="module", autouse=True)
def needs_virtio_mem():
    needs_device("virtio-mem-pci")


def request(boot, size):
    boot.guest.monitor.type(f"qom-set vm0 requested-size {size}")


def plugged(boot):
    """Returns the bytes that the guest has, as QEMU counts them."""
    return boot.guest.monitor.execute("qom-get", path="vm0", property="size")


def total(boot):
    return int(boot.guest.output("sed -n 's/MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")) << 10


def is_soon(what, value, limit=60):
    deadline = time.monotonic() + limit
    while what() != value and time.monotonic() < deadline:
        time.sleep(0.1)
    return what() == value


def ask(boot, size):
    """Requests a size and waits until the guest has it. If memory is busy, the driver tries again only after 50
    seconds, but it tries at once if the request changes. So while the guest makes no progress, the request
    changes and changes back. QEMU refuses what goes beyond the request, so at the end the size stays."""
    request(boot, size)
    deadline = time.monotonic() + ASK_LIMIT
    while (now := plugged(boot)) != size and time.monotonic() < deadline:
        if not is_soon(lambda: plugged(boot) != now, True, 10):
            request(boot, now)
            request(boot, size)


def resize(boot, *mib, limit=240):
    sizes = iter([*mib, *mib])      # the program goes through the sizes twice
    boot.suite(f"grow {' '.join(map(str, mib))}", limit, plug=lambda: ask(boot, next(sizes) * MIB))


def refuses(report, boot, what, line, reason):
    """Checks that the monitor refuses a line, and that the guest's memory does not change."""
    before = plugged(boot), total(boot)
    try:
        boot.guest.monitor.type(line)
        said = "nothing"
    except GuestError as error:
        said = str(error)
    report.check(reason in said, f"QEMU refuses {what}", said)
    report.check((plugged(boot), total(boot)) == before, "and the guest has what it had")


# On the lean kernel, which does not clear all memory that it allocates: for 7.5 GiB that takes minutes.
@pytest.mark.parametrize("mode", ["sv57", pytest.param("sv39", marks=pytest.mark.test_all)])
def test_resize(report, start, mode):
    boot = start(f"{mode.capitalize()}, 2 harts, 512 MiB to 8 GiB with virtio-mem", f"virtio-mem-{mode}", config="rv64",
                 mmu=mode, harts=2, memory="512M,maxmem=16G", ports=1, append=MOVABLE,
                 devices=virtio_mem(REGION, "bus=rp0"))
    resize(boot, 7680, 3072, 0)
    report.check(plugged(boot) == 0, "QEMU has all of it back")

    request(boot, "256M")
    report.check(is_soon(lambda: plugged(boot), 256 * MIB), "the guest takes 256 MiB")
    refuses(report, boot, "a size that is not one of blocks", "qom-set vm0 requested-size 3M",
            "has to be multiples of 'block-size'")
    refuses(report, boot, "more than there is", f"qom-set vm0 requested-size {REGION + 2 * MIB}",
            "cannot exceed the memory backend size")
    refuses(report, boot, "to take the device away while it is used", "device_del vm0",
            "virtio-mem device cannot get unplugged while")
    request(boot, 0)
    report.check(is_soon(lambda: plugged(boot), 0), "the guest gives 256 MiB back")
    # Without MSI, the device shares the interrupt of its slot. When 6.1's virtio releases the device, it waits
    # for this interrupt. In the slot's interrupt thread it would wait forever. So unbind the driver first.
    boot.guest.output("echo 0000:01:00.0 > /sys/bus/pci/drivers/virtio-pci/unbind")
    boot.guest.monitor.type("device_del vm0")
    report.check(is_soon(lambda: boot.guest.monitor.execute("query-memory-devices"), []),
                 "unbound, the device goes away")


# Blocks of 256 MiB are two of the kernel's memory blocks: 6.1's driver then works in another mode.
def test_boot(report, start):
    boot = start("Sv48, 2 harts, 1 GiB of virtio-mem from the start, in blocks of 256 MiB", "virtio-mem-boot",
                 config="rv64", mmu="sv48", harts=2, memory="512M,maxmem=16G", append=MOVABLE,
                 devices=virtio_mem(REGION, "requested-size=1G", "block-size=256M"))
    report.check(is_soon(lambda: plugged(boot), GIB), "the guest takes 1 GiB as it boots")
    larger = total(boot)
    request(boot, 0)
    report.check(is_soon(lambda: plugged(boot), 0), "and gives it back")
    report.check(total(boot) == larger - GIB, "MemTotal has had that GiB", f"{larger}, then {total(boot)}")
    resize(boot, 7680, 1024, 0)


def test_debug(report, start):
    boot = start("debug kernel, 2 harts, virtio-mem", "virtio-mem-debug", config="debug", mmu="sv57", harts=2,
                 memory="1G,maxmem=16G", append=MOVABLE, devices=virtio_mem(REGION), boot_limit=300)
    resize(boot, 256, 0, limit=600)


def test_saved(report, start):
    boot = start("Sv57, 2 harts, virtio-mem, saved and restored", "virtio-mem-saved", mmu="sv57", harts=2,
                 memory="512M,maxmem=16G", append=MOVABLE, devices=virtio_mem(REGION))
    cues = {"plug": lambda: ask(boot, 200 * MIB), "remove": lambda: ask(boot, 0)}
    boot.saved_suite("hotremove saved 200", 300, **cues)
    report.check(plugged(boot) == 0, "QEMU has all of it back")
    boot.suite("hotremove move 200", 300, **cues)


# Huge pages are moved if there is room. If there is none, the request waits.
def test_huge(report, start):
    boot = start("Sv57, 2 harts, virtio-mem, huge pages of hugetlb", "virtio-mem-huge", mmu="sv57", harts=2,
                 memory="512M,maxmem=16G", append=MOVABLE, devices=virtio_mem(REGION))
    cues = {"plug": lambda: ask(boot, 640 * MIB), "remove": lambda: ask(boot, 0)}
    boot.suite("grow huge 640", 300, **cues)
    report.check(plugged(boot) == 0, "QEMU has all of it back")


def backed(boot, name):
    """Returns the bytes of QEMU's memory-backend-memfd that were touched and not given back since."""
    files = pathlib.Path(f"/proc/{boot.guest.child.pid}/fd")
    [size] = [file.stat().st_blocks * 512 for file in files.iterdir() if name in os.readlink(file)]
    return size


# Every virtio-mem device on this machine has the feature: on RISC-V, QEMU supports no guest without it.
def test_inaccessible(report, start):
    boot = start("Sv57, 2 harts, virtio-mem, what is unplugged is inaccessible", "virtio-mem-inaccessible", mmu="sv57",
                 harts=2, memory="512M,maxmem=16G", append=MOVABLE, devices=virtio_mem(REGION, kind="memfd"))
    features = boot.guest.output("cat /sys/bus/virtio/drivers/virtio_mem/virtio*/features")
    report.check(features[VIRTIO_MEM_F_UNPLUGGED_INACCESSIBLE] == "1", "the driver has accepted the feature", features)
    # 200 and 120 are not multiples of a memory block. The step to 120 leaves holes within a block.
    for mib in 200, 120, 328:
        ask(boot, mib * MIB)
        boot.suite("grow read", 120)
        size = backed(boot, "memory-backend-memfd")
        report.check(size == mib * MIB, f"QEMU has memory for the {mib} MiB that are plugged, and for no more",
                     f"for {size / MIB} MiB")
    ask(boot, 0)
    size = backed(boot, "memory-backend-memfd")
    report.check(size == 0, "and for nothing when all of it was given back", f"for {size} bytes")
