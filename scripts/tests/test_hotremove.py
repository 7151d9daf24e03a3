# SPDX-License-Identifier: GPL-2.0-only
"""Memory on PCI devices is removed, in use or not; where it cannot be, all is as before.

- Moved: memory in which a process lives, which does not notice; two devices at once, under load, also if
  the removal is requested twice at once.
- Refused: if a page cannot be moved or is held, each way to remove fails, the log says why, and all is as
  before, another function of the slot included. It succeeds once the page is free. Notifiers refuse, too.
- Policies: memory that user space brings online, and auto-movable.
- Kinds of pages (the program "kinds"), under load. Large pages of processes and of shared memory, KSM, swap
  cache, zram, locked pages and huge pages, used and free, move or leave their pool. Buffers of io_uring have
  left zone Movable before. Secret pages, page tables and per-CPU memory are never in it. In zone Normal,
  pinned and secret pages, huge pages of 1 GiB and per-CPU memory are refused; all but the last are no
  obstacle once they are free. The allocator of per-CPU memory may keep its pages.
- Gone without notice, a device of one block and one of eight: offline; with pages of a process, large and
  huge pages, KSM, tmpfs, clean and dirty files; with pages that somebody holds; with a page of the kernel.
  Owners get an error, all else is intact, and nothing of the memory is allocated again.
- A virtual machine of KVM lives in the memory.
- A machine with memory on two devices is saved to a file, and another QEMU goes on with it: the kernel knows
  the same memory, a process in it notices nothing, and the memory is removed and added again.
- Slots of SHPC are refused, and the kernel's own mem-on-off-test.sh passes."""

import itertools

import pytest

from conftest import boot_guest, check_refused, needs_device, with_modules
from guest.machine import KERNEL


class Devices:
    """What the cues of a program plug and unplug: memory of a size for each port."""

    # No name twice: QEMU ends itself when it finds that it has not forgotten one yet.
    names = itertools.count()

    def __init__(self, guest, *sizes):
        self.guest = guest
        self.sizes = sizes
        self.plugged = []

    def plug(self):
        self.wait()
        for port, size in enumerate(self.sizes):
            self.add(port, size)

    def add(self, port, size, more=""):
        self.plugged.append(next(self.names))
        self.guest.plug(port, size, self.plugged[-1], more)

    def remove(self):
        for name in self.plugged:
            self.guest.monitor.type(f"device_del d{name}")

    def wait(self, limit=60):
        """Until what was plugged is gone."""
        while self.plugged:
            self.guest.wait_unplugged(self.plugged.pop(), limit)


class Functions(Devices):
    """Two functions in one slot; to remove one is to remove both."""

    def plug(self):
        # QEMU shows them to the guest when there is a function 0.
        for function, size in reversed(list(enumerate(self.sizes))):
            self.add(0, size, f",addr=0.{function},multifunction=on")

    def remove(self):
        self.guest.monitor.type(f"device_del d{self.plugged[0]}")


class Turns(Devices):
    """Each cue plugs the next."""

    def plug(self):
        self.add(len(self.plugged), self.sizes[len(self.plugged)])


@pytest.fixture(scope="module")
def boot(request):
    return boot_guest(request, "Sv39, 2 harts, 2 hot-plug ports, hot-remove", "hotremove", mmu="sv39", harts=2,
                      ports=2, initramfs=with_modules(KERNEL), append="secretmem.enable=1")


def run(boot, command, devices, limit=600):
    boot.suite(command, limit, plug=devices.plug, remove=devices.remove)


def run_till_gone(boot, command, devices):
    """The program has everything removed in the end."""
    run(boot, command, devices)
    devices.wait()


def test_move(boot):
    run_till_gone(boot, "hotremove move 128 256", Devices(boot.guest, "128M", "256M"))


def test_refuse(boot):
    run_till_gone(boot, "hotremove refuse", Functions(boot.guest, "128M", "128M"))


def test_cycles(boot):
    run_till_gone(boot, "hotremove cycles 4", Devices(boot.guest, "128M", "128M"))


def test_errors(boot):
    run_till_gone(boot, "hotremove errors", Devices(boot.guest, "256M"))


def test_offered(boot):
    run_till_gone(boot, "hotremove offered", Devices(boot.guest, "128M"))


def test_access(boot):
    run_till_gone(boot, "hotremove access", Devices(boot.guest, "128M"))


def test_wait(boot):
    run_till_gone(boot, "hotremove wait", Turns(boot.guest, "128M", "128M"))


def test_poison(boot):
    run_till_gone(boot, "hotremove poison", Devices(boot.guest, "128M"))


def test_kinds_move(boot):
    # A kernel that does not have it skips what needs it.
    boot.guest.run("modprobe zram")
    run_till_gone(boot, "kinds move", Devices(boot.guest, "128M"))


def test_kinds_huge(boot):
    run_till_gone(boot, "kinds huge", Devices(boot.guest, "128M"))


# The last: memory in zone Normal stays.
def test_policies(boot):
    run(boot, "hotremove policies", Devices(boot.guest, "256M"))


# Zone Normal: what is tested is in a node of its own, where nothing else of the kernel comes.
def test_kinds_normal(start):
    # QEMU wants a hart in each node: that of node 1 goes offline, and that of node 2, which takes PCI's interrupts,
    # prefers memory of node 0. All memory is of that; without any, QEMU would have nodes 1 and 2 at the same address.
    nodes = ["-object", "memory-backend-ram,id=n0,size=1G", "-numa", "node,nodeid=0,cpus=0,memdev=n0",
             "-object", "memory-backend-ram,id=n1,size=128M", "-numa", "node,nodeid=1,cpus=1,memdev=n1",
             "-numa", "node,nodeid=2,cpus=2", "-numa", "dist,src=0,dst=1,val=20",
             "-numa", "dist,src=0,dst=2,val=11", "-numa", "dist,src=1,dst=2,val=40"]
    boot = start("Sv39, 3 nodes with a hart, 2 hot-plug ports, kinds of pages in zone Normal", "kinds", mmu="sv39",
                 harts=3, ports=2, memory="1152M", devices=nodes, append="mem=1022M secretmem.enable=1")
    if boot.guest.run("test -e /sys/devices/system/node/node1")[0]:
        pytest.skip("no CONFIG_NUMA")
    boot.guest.output("for file in /sys/devices/system/node/node1/cpu*/online; do echo 0 > $file; done")
    boot.guest.output("for bus in 01 02; do for file in /sys/bus/pci/devices/*/pci_bus/0000:$bus/../../numa_node; do "
                      "echo 1 > $file; done; done")
    run_till_gone(boot, "kinds normal 1", Devices(boot.guest, "256M"))
    run_till_gone(boot, "kinds gigantic 1", Devices(boot.guest, "128M", "1G"))
    run(boot, "kinds percpu 1", Devices(boot.guest, "256M"))


def boot_with_disk(request, title, name, **options):
    needs_device("virtio-pmem-pci")
    # A disk for files, which takes no memory for itself
    disk = ["-object", "memory-backend-memfd,id=pmem0,size=64M", "-device", "virtio-pmem-pci,memdev=pmem0"]
    return boot_guest(request, f"{title}, Sv39, 2 harts, a hot-plug port, devices that are gone unasked", name,
                      mmu="sv39", harts=2, ports=1, devices=disk, **options)


@pytest.fixture(scope="module")
def boot_lost(request):
    return boot_with_disk(request, KERNEL, "lost", memory="512M,maxmem=4G")


def test_lost_nothing(boot_lost):
    run_till_gone(boot_lost, "lost nothing", Devices(boot_lost.guest, "256M"))


@pytest.mark.parametrize("size", ["128M", "1G"])
def test_lost_pages(boot_lost, size):
    run_till_gone(boot_lost, "lost pages", Devices(boot_lost.guest, size))


def test_debug_lost(request):
    boot = boot_with_disk(request, "debug kernel", "lost-debug", config="debug", memory="1G,maxmem=4G",
                          boot_limit=300)
    run_till_gone(boot, "lost pages", Devices(boot.guest, "128M"))
    run_till_gone(boot, "hotremove poison", Devices(boot.guest, "128M"))


# It leaves memory behind that is neither used nor removed.
def test_lost_held(start):
    boot = start("Sv57, 2 harts, a hot-plug port, a device with pages that are held", "lost-held", mmu="sv57", harts=2,
                 ports=1)
    run_till_gone(boot, "lost held", Devices(boot.guest, "512M"))


# KVM is a module.
@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no KVM")
def test_vm(start):
    boot = start("Sv57, 2 harts, a hot-plug port, a virtual machine of KVM", "hotremove-vm", mmu="sv57", harts=2,
                 ports=1, initramfs=with_modules(KERNEL))
    boot.guest.output("modprobe kvm")
    run_till_gone(boot, "vm", Devices(boot.guest, "256M"))


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no SHPC")
def test_shpc(report, start):
    """What SHPC may take away without asking is not used as memory."""
    boot = start("2 harts, a device in a slot of SHPC", "hotremove-shpc", harts=2,
                 append="pci_ram.devices=pci:1af4:1110",
                 devices=["-device", "pcie-pci-bridge,id=b0", "-object", "memory-backend-ram,id=m0,size=128M",
                          "-device", "ivshmem-plain,id=d0,memdev=m0,bus=b0,addr=1"])
    check_refused(report, boot, "its slot removes devices without asking")


# Without a master, QEMU refuses to save a machine with ivshmem-plain.
class Saved(Devices):
    """What can be saved."""

    def add(self, port, size, more=",master=on"):
        super().add(port, size, more)


def test_saved(start):
    boot = start("Sv57, 2 harts, 2 hot-plug ports, saved and restored", "hotremove-saved", mmu="sv57", harts=2, ports=2)
    devices = Saved(boot.guest, "128M", "128M")
    boot.saved_suite("hotremove saved 128 128", 300, plug=devices.plug, remove=devices.remove)
    devices.wait()
    # Not saved a second time: QEMU 10 ended itself then, with "Bad ram offset 0".
    run_till_gone(boot, "hotremove move 128 128", devices)


def test_on_off(report, start):
    boot = start("Sv57, 2 harts, 256 MiB on a device, the kernel's mem-on-off-test.sh", "mem-on-off", harts=2,
                 ports=1, append="memhp_default_state=online_movable",
                 devices=["-object", "memory-backend-ram,id=m0,size=256M",
                          "-device", "ivshmem-plain,id=d0,memdev=m0,bus=rp0"])
    # It is for Bash, which sets UID. Of all the blocks one is enough for it.
    status, lines = boot.guest.run("UID=0 sh mem-on-off-test.sh", 120)
    report.check(status == 0 and "-> Success" in lines, "a block is taken offline and online again",
                 f"exit status {status}: {' / '.join(lines[-4:])}")
