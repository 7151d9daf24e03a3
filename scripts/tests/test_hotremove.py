# SPDX-License-Identifier: GPL-2.0-only
"""Memory on PCI devices is removed, in use or not. If it cannot be removed, nothing changes.

- Moved: memory in which a process lives, and which the process does not notice; two devices at once, under
  load, even if the removal is requested twice at once.
- Refused: if a page cannot be moved or is held, each way of removing fails, the log says why, and nothing
  changes, not even for another function of the slot. Once the page is free, the removal succeeds. Memory
  notifiers can refuse, too.
- Policies: memory that user space brings online, and auto-movable.
- Kinds of pages (the program "kinds"), under load. Large pages of processes and of shared memory, KSM, swap
  cache, zram, locked pages and huge pages, used and free, move or leave their pool. Pages that are pinned as
  io_uring buffers are moved out of zone Movable first; if they fit nowhere else, they are not pinned, and the OOM
  killer kills nobody. Secret pages, page tables and per-CPU memory are never in zone Movable. In zone Normal,
  pinned and secret pages, huge pages of 1 GiB and per-CPU memory make the removal fail. Once they are free, it
  succeeds; only the per-CPU allocator may keep its pages.
- Gone without notice, a device of one block and one of eight: with offline memory; with pages of a process,
  large and huge pages, KSM, tmpfs, clean and dirty files; with pages that somebody holds; with a kernel page;
  with pages that a disk reads, which has stopped; with the PGD of a process; while other memory cannot go offline.
  Reading what is gone gives ones, or an error. The owners get an error, all other memory is intact, the lost memory
  is never allocated again, nor added again, and all slots can be used.
- A switch with memory behind it is being removed: no driver takes memory there any more, and its slots do not
  wait for the removal, which would wait for them. Another switch was pulled out before the bus is rescanned:
  memory in another slot stays in use.
- Only devices that were named are memory. While they are, root can neither map, reset, configure, switch off nor
  suspend them and their ports, nor map the memory.
- A KVM virtual machine lives in the memory.
- A machine with memory on two devices is saved to a file, and another QEMU continues it: the kernel has the
  same memory, a process in it notices nothing, and the memory is removed and added again.
- Devices in SHPC slots are refused. The kernel's own mem-on-off-test.sh passes."""

import itertools

import pytest

from conftest import boot_guest, check_refused, needs_device, with_modules
from guest.machine import KERNEL, configuration


class Devices:
    """Devices that the cues of a program plug and unplug: for each port, memory of a given size."""

    # Each name is used once: QEMU exits if a new device has the name of a removed one that it still knows.
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
        """Waits until all plugged devices are gone."""
        while self.plugged:
            self.guest.wait_unplugged(self.plugged.pop(), limit)


class Functions(Devices):
    """Two functions in one slot. Removing one removes both."""

    def plug(self):
        # QEMU shows the functions to the guest as soon as there is a function 0: add it last.
        for function, size in reversed(list(enumerate(self.sizes))):
            self.add(0, size, f",addr=0.{function},multifunction=on")

    def remove(self):
        self.guest.monitor.type(f"device_del d{self.plugged[0]}")


class Turns(Devices):
    """Each cue plugs the next device."""

    def plug(self):
        self.add(len(self.plugged), self.sizes[len(self.plugged)])


class Places(Devices):
    """Each cue plugs the next device, which is given as (port, size), when the last one is gone."""

    def __init__(self, guest, *places):
        super().__init__(guest)
        self.places = iter(places)

    def plug(self):
        self.wait()
        self.add(*next(self.places))


@pytest.fixture(scope="module")
def boot(request):
    return boot_guest(request, "Sv39, 2 harts, 2 hot-plug ports, hot-remove", "hotremove", mmu="sv39", harts=2,
                      ports=2, initramfs=with_modules(KERNEL), append="secretmem.enable=1")


def run(boot, command, devices, limit=600):
    boot.suite(command, limit, plug=devices.plug, remove=devices.remove)


def run_till_gone(boot, command, devices):
    """Runs a program that removes all devices by its end."""
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
    # If the kernel has no zram, the program skips the case.
    boot.guest.run("modprobe zram")
    run_till_gone(boot, "kinds move", Devices(boot.guest, "128M"))


def test_kinds_huge(boot):
    run_till_gone(boot, "kinds huge", Devices(boot.guest, "128M"))


def test_kinds_pin(boot):
    run_till_gone(boot, "kinds pin", Devices(boot.guest, "128M"))


# This test comes last: its memory in zone Normal cannot be removed.
def test_policies(boot):
    run(boot, "hotremove policies", Devices(boot.guest, "256M"))


# Zone Normal. The pages under test are on their own node, which the kernel does not use otherwise.
def test_kinds_normal(start):
    # QEMU wants a hart in each node. The hart of node 1 goes offline. The hart of node 2 takes PCI's interrupts.
    # Its node has no memory, and node 0 is the nearest. Node 1 has memory only because QEMU would otherwise
    # put nodes 1 and 2 at the same address. "mem=" hides this memory from the kernel.
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


# Reading an address without a device gives an error, not all ones.
FAULTS = ["-global", "gpex-pcihost.allow-unmapped-accesses=off"]


def boot_with_disk(request, title, name, more=(), **options):
    needs_device("virtio-pmem-pci")
    # Disks for files that take no memory of the guest, for ext2 and for VFAT
    disks = [*more]
    for number in range(2):
        disks += ["-object", f"memory-backend-memfd,id=pmem{number},size=64M",
                  "-device", f"virtio-pmem-pci,memdev=pmem{number}"]
    boot = boot_guest(request, f"{title}, Sv39, 2 harts, a hot-plug port, devices that are gone unasked", name,
                      mmu="sv39", harts=2, ports=1, devices=disks, **options)
    # If the kernel has no VFAT, the program skips the case.
    boot.guest.run("modprobe -a vfat nls_cp437 nls_ascii")
    return boot


@pytest.fixture(scope="module")
def boot_lost(request):
    return boot_with_disk(request, KERNEL, "lost", memory="512M,maxmem=4G", initramfs=with_modules(KERNEL))


def test_lost_nothing(boot_lost):
    run_till_gone(boot_lost, "lost nothing", Devices(boot_lost.guest, "256M"))


@pytest.mark.parametrize("size", ["128M", pytest.param("1G", marks=pytest.mark.test_all)])
def test_lost_pages(boot_lost, size):
    run_till_gone(boot_lost, "lost pages", Devices(boot_lost.guest, size))


@pytest.mark.test_all
def test_lost_faults(request):
    boot = boot_with_disk(request, f"{KERNEL}, faults where nothing is", "lost-faults", memory="512M,maxmem=4G",
                          initramfs=with_modules(KERNEL), more=FAULTS)
    run_till_gone(boot, "lost pages", Devices(boot.guest, "128M"))


@pytest.mark.test_all
def test_debug_lost(request):
    boot = boot_with_disk(request, "debug kernel", "lost-debug", config="debug", memory="1G,maxmem=4G",
                          boot_limit=300)
    run_till_gone(boot, "lost pages", Devices(boot.guest, "128M"))
    run_till_gone(boot, "hotremove poison", Devices(boot.guest, "128M"))


# The guest cannot be shared: the test leaves memory behind that is neither used nor removed.
def test_lost_held(start):
    boot = start("Sv57, 2 harts, 2 hot-plug ports, a device with pages that are held", "lost-held", mmu="sv57", harts=2,
                 ports=2)
    run_till_gone(boot, "lost held", Places(boot.guest, (0, "512M"), (0, "128M"), (1, "128M")))


# A switch in the first of two slots, with three slots of its own
SWITCH = ["-device", "x3130-upstream,id=switch,bus=rp0"]
for number in range(3):
    SWITCH += ["-device", f"xio3130-downstream,id=down{number},bus=switch,chassis={10 + number},slot={10 + number}"]


class Behind(Devices):
    """Each cue plugs the next device, behind the given ports."""

    def plug(self):
        self.add(self.sizes[len(self.plugged)], "128M")


# The test removes the switch only in the kernel, so QEMU still has the devices. The ports of QEMU's switch have
# no interrupt without MSI, so they are polled.
def test_leaving(start):
    boot = start("Sv57, 2 harts, a switch that is being removed", "hotremove-leaving", mmu="sv57", harts=2, ports=2,
                 append="pciehp.pciehp_poll_mode=1 pciehp.pciehp_poll_time=1", devices=SWITCH)
    run(boot, "hotremove leaving", Behind(boot.guest, "down0", "down2", "down1"), limit=120)


class BesideSwitch(Devices):
    """The first removal is that of the switch."""

    switch = True

    def plug(self):
        self.add(1, *self.sizes)

    def remove(self):
        if self.switch:
            self.guest.monitor.type("device_del switch")
        else:
            super().remove()
        self.switch = False


def test_switch(start):
    boot = start("Sv57, 2 harts, a switch that is gone, and memory beside it", "hotremove-switch", mmu="sv57", harts=2,
                 ports=2, devices=SWITCH)
    run_till_gone(boot, "hotremove switch", BesideSwitch(boot.guest, "128M"))


class StoppedDisk(Devices):
    """The disk writes a byte a second from the plugging on, and normally from the removal on."""

    def write_at(self, rate):
        self.guest.monitor.type(f"block_set_io_throttle stopped 0 0 {rate} 0 0 0")

    def plug(self):
        super().plug()
        self.write_at(1)

    def remove(self):
        self.write_at(0)


@pytest.mark.test_all
def test_lost_written(start, tmp_path):
    if configuration(KERNEL)[0].get("CONFIG_VIRTIO_BLK") != "CONFIG_VIRTIO_BLK=y":
        pytest.skip(f"{KERNEL} has no CONFIG_VIRTIO_BLK")
    image = tmp_path / "disk"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    disk = ["-drive", f"file={image},format=raw,if=none,id=stopped,cache=unsafe",
            "-device", "virtio-blk-pci,drive=stopped"]
    boot = start("Sv57, 2 harts, a hot-plug port, a device with pages that a disk reads", "lost-written", mmu="sv57",
                 harts=2, ports=1, devices=disk)
    run_till_gone(boot, "lost written", StoppedDisk(boot.guest, "128M"))


# With a second hart, that hart could still use the PGD when the memory goes away.
@pytest.mark.test_all
def test_lost_pgd(start):
    boot = start("Sv57, 1 hart, a hot-plug port, a device with the PGD of a process", "lost-pgd", mmu="sv57", harts=1,
                 ports=1)
    run_till_gone(boot, "lost pgd", Devices(boot.guest, "128M"))


# The ports are polled. The interrupt thread has real-time priority: with it, the device that is gone would mostly get
# the lock of memory hotplug first, even if nobody made way for it.
@pytest.mark.test_all
def test_lost_waits(start):
    boot = start("Sv57, 2 harts, two hot-plug ports, a device that is gone while the other is taken offline",
                 "lost-waits", mmu="sv57", harts=2, ports=2,
                 append="pciehp.pciehp_poll_mode=1 pciehp.pciehp_poll_time=1")
    run(boot, "lost waits", Devices(boot.guest, "128M", "128M"), limit=120)


# KVM is a module, so the test needs the archive with all modules.
@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no KVM")
def test_vm(start):
    boot = start("Sv57, 2 harts, a hot-plug port, a virtual machine of KVM", "hotremove-vm", mmu="sv57", harts=2,
                 ports=1, initramfs=with_modules(KERNEL))
    boot.guest.output("modprobe kvm")
    run_till_gone(boot, "vm", Devices(boot.guest, "256M"))


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no SHPC")
def test_shpc(report, start):
    """Memory that SHPC may remove without asking is not used."""
    boot = start("2 harts, a device in a slot of SHPC", "hotremove-shpc", harts=2,
                 append="pci_ram.devices=pci:1af4:1110",
                 devices=["-device", "pcie-pci-bridge,id=b0", "-object", "memory-backend-ram,id=m0,size=128M",
                          "-device", "ivshmem-plain,id=d0,memdev=m0,bus=b0,addr=1"])
    check_refused(report, boot, "its slot removes devices without asking")


# QEMU saves a machine with ivshmem-plain only if the device has master=on.
class Saved(Devices):
    """Devices of a machine that can be saved."""

    def add(self, port, size, more=",master=on"):
        super().add(port, size, more)


def test_saved(start):
    boot = start("Sv57, 2 harts, 2 hot-plug ports, saved and restored", "hotremove-saved", mmu="sv57", harts=2, ports=2)
    devices = Saved(boot.guest, "128M", "128M")
    boot.saved_suite("hotremove saved 128 128", 300, plug=devices.plug, remove=devices.remove)
    devices.wait()
    # Do not save a second time: QEMU 10 then exits with "Bad ram offset 0".
    run_till_gone(boot, "hotremove move 128 128", devices)


def test_on_off(report, start):
    boot = start("Sv57, 2 harts, 256 MiB on a device, the kernel's mem-on-off-test.sh", "mem-on-off", harts=2,
                 ports=1, append="memhp_default_state=online_movable",
                 devices=["-object", "memory-backend-ram,id=m0,size=256M",
                          "-device", "ivshmem-plain,id=d0,memdev=m0,bus=rp0"])
    # The script is for Bash, which sets UID; with UID=0 it runs in BusyBox's shell. One block is enough for it.
    status, lines = boot.guest.run("UID=0 sh mem-on-off-test.sh", 120)
    report.check(status == 0 and "-> Success" in lines, "a block is taken offline and online again",
                 f"exit status {status}: {' / '.join(lines[-4:])}")
