# SPDX-License-Identifier: GPL-2.0-only
"""The debug kernel (KASAN, lockdep, kmemleak, sleep-in-atomic and VM checks) has no complaint.

It runs KUnit, the programs of test_users.py, and hot-add and hot-remove with page owners (page_owner=on)
on two nodes: each node gets the memory of its own port. In addition:

- Each allocation in the loading and unloading of a module, a kprobe and a BPF program fails once. The
  operation then reports an error, and leaves nothing behind.
- Each allocation in adding and removing memory fails once. `make test-all` repeats this with free pages
  unmapped (debug_pagealloc=on), for every seventh allocation.
- KASAN reports bad accesses to added memory.
- With several NUMA nodes, text that does not fit behind the kernel's own text is in a 2 MiB page."""

import re

import pytest

from conftest import boot_guest
from test_hotremove import Devices
# These tests also run here, with this module's boot.
from test_users import (    # noqa: F401
    LIMIT, test_boot_log, test_features, test_kunit, test_placement, test_probes, test_programs, test_wx)
from test_virtio_mem import is_soon


@pytest.fixture(scope="module")
def boot(request):
    return boot_guest(request, "debug kernel, 2 harts, KUnit on", "debug", config="debug", harts=2,
                      mmu="sv57", memory="2G", boot_limit=LIMIT, append="kunit.enable=1 rcupdate.rcu_expedited=1")


def test_offline(boot):
    boot.suite("offline", LIMIT)


def test_trampolines(boot):
    """The kernel is preemptible, and programs run while they are poked."""
    boot.suite("trampolines", LIMIT)


def test_cycles(boot):
    boot.suite("cycles 20", LIMIT)


def test_faults(boot):
    boot.suite("faults", 4 * LIMIT)


def test_hotadd(start):
    boot = start("debug kernel, 2 harts, hot-add", "debug-hotadd", config="debug", mmu="sv57",
                 harts=2, ports=2, memory="320M", boot_limit=LIMIT)
    boot.suite("mapping", LIMIT)
    boot.suite("hotadd add 128", 2 * LIMIT, plug=lambda: boot.guest.plug(0, "128M", 0))
    boot.suite("hotadd refuse", LIMIT, plug=lambda: boot.guest.plug(1, "64M", 1))


@pytest.mark.test_all
def test_pgd(start):
    boot = start("debug kernel, 2 harts, an older process", "debug-pgd", config="debug", mmu="sv57",
                 harts=2, ports=1, boot_limit=LIMIT)
    boot.suite("pgd 512", LIMIT, plug=lambda: boot.guest.plug(0, "512M", 0))


def test_hotremove(report, start):
    # All memory is on node 0. Hart 1 is on node 1, and so is memory that is plugged behind the first port.
    nodes = ["-object", "memory-backend-ram,id=n0,size=3G", "-numa", "node,nodeid=0,cpus=0,memdev=n0",
             "-numa", "node,nodeid=1,cpus=1"]
    boot = start("debug kernel, 2 harts, 2 nodes, page owners, hot-remove", "debug-hotremove", config="debug",
                 mmu="sv39", harts=2, ports=2, memory="3G", boot_limit=LIMIT, devices=nodes,
                 append="mem=768M memhp_default_state=online_movable page_owner=on rcupdate.rcu_expedited=1")
    # A large page of text is on one node, even if there are several nodes.
    boot.suite("placement", LIMIT)
    boot.guest.output("for file in /sys/bus/pci/devices/*/pci_bus/0000:01/../../numa_node; do echo 1 > $file; done")

    def memory():
        """Returns blocks and MiB of each node."""
        nodes = [(boot.guest.output(f"ls /sys/devices/system/node/node{node}"),
                  boot.guest.output(f"cat /sys/devices/system/node/node{node}/meminfo")) for node in (0, 1)]
        return [(len(re.findall(r"memory\d+", files)), int(re.search(r"MemTotal: *(\d+)", text)[1]) / 1024)
                for files, text in nodes]

    before = memory()
    after = [(blocks + 1, mib + 128) for blocks, mib in before]
    devices = Devices(boot.guest, "128M", "128M")
    devices.plug()
    report.check(is_soon(memory, after, LIMIT), "each device adds its memory to its node", f"{before}, then {memory()}")
    devices.remove()
    devices.wait(LIMIT)
    report.check(memory() == before, "each node loses it again", f"{before}, then {memory()}")

    boot.suite("hotremove move 128 128", 2 * LIMIT, plug=devices.plug, remove=devices.remove)
    devices.wait(LIMIT)
    boot.suite("hotplug kcore", LIMIT)
    boot.suite("hotplug races 20", 2 * LIMIT)


def hotplug_boot(start, what, name, mmu, options):
    return start(f"debug kernel, 2 harts, {mmu.capitalize()}, {what}", name, config="debug", mmu=mmu, harts=2,
                 memory="3G", boot_limit=LIMIT, append=f"mem=1G rcupdate.rcu_expedited=1 {options}")


# With Sv57, added memory may need a page table at each level below the PGD.
@pytest.mark.test_all
def test_free_pages_unmapped(report, start):
    boot = hotplug_boot(start, "free pages unmapped, KUnit on", "debug-pagealloc", "sv57",
                        "debug_pagealloc=on kunit.enable=1")
    boot.kunit("execmem", "execmem_cache", "riscv_bpf_jit", "riscv_bpf_trampoline", "riscv_ftrace", "kprobes_test")
    free = int(re.search(r"MemFree: *(\d+) kB", boot.guest.output("cat /proc/meminfo"))[1]) >> 10
    pages = re.findall(r"^0x(\w+)-0x(\w+) +0x\w+ +\w+ (\w+) .*(V|\.)$",
                       boot.guest.output("sed -n '/Linear/,/Kasan/p' /sys/kernel/debug/kernel_page_tables"), re.M)
    report.check({level for _, _, level, _ in pages} == {"PTE"}, "memory is mapped with small pages only")
    unmapped = sum(int(end, 16) - int(first, 16) for first, end, _, valid in pages if valid != "V") >> 20
    report.check(unmapped > free / 2, f"of {free} MiB of free memory, most is unmapped", f"{unmapped} MiB")
    for program in "features", "wx", "programs":
        boot.suite(program, LIMIT)
    # 7: only every seventh allocation fails. 64 allocations of an addition are alike, a page table for each 2 MiB.
    boot.suite("hotplug faults 7", 4 * LIMIT)


# With Sv39, the KASAN shadow of added memory has its own PGD entries.
def test_hotplug(report, start):
    boot = hotplug_boot(start, "memory added and removed", "debug-hotplug", "sv39", "kasan_multi_shot")
    boot.suite("hotplug faults", 4 * LIMIT)
    boot.suite("hotplug kasan", LIMIT)
    # Look only at the console until the program's last line. The kernel's log, which repeats the reports, follows.
    console = boot.guest.log.read_text(errors="replace").rpartition("# Totals")[0]
    said = re.findall(r"begin expected report\n(.*?)end expected report", console, re.DOTALL)
    kinds = [re.findall(r"BUG: KASAN: ([a-z-]+) in", text) for text in said]
    report.check(kinds == [["slab-out-of-bounds"], ["use-after-free"], ["use-after-free"]],
                 "KASAN reports each bad access to added memory, and no other", str(kinds))


def test_seen_and_full(start):
    # One hart: filling a page with slots stops the machine thousands of times.
    boot = start("debug kernel, 1 hart, statistics and full windows", "debug-full", config="debug",
                 harts=1, boot_limit=LIMIT, append="rcupdate.rcu_expedited=1 execmem.rox=0")
    boot.suite("stats", 3 * LIMIT)
    boot.suite("features", LIMIT)
    boot.suite("dispatcher", LIMIT)
    boot.suite("full", LIMIT)
