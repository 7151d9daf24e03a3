#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The tour: boots the kernel and shows what the series does, with real output.

run.py [rv64|rv32]. On a terminal the tour ends in a shell. Elsewhere it powers off, and the
exit status says whether every section succeeded.
"""

import re
import sys
import time

sys.path.append(sys.path[0] + "/..")    # lib.py and the folders beside this one
from guest.machine import LINK
from guest.tour import check, run, show, tour
from guest.vm import Guest
from lib import BUILD, die

NAMES = ("rv64", "rv32")
NAME = sys.argv[1] if len(sys.argv) > 1 else "rv64"
WIDE = NAME != "rv32"
# Names of areas in the kernel's page-table dump: the area of modules' data, and the areas of executable
# memory. The cache begins behind the kernel's own text and continues in the modules' window.
DATA_AREA = "Modules/BPF mapping" if WIDE else "vmalloc() area"
TEXT_AREAS = ["Kernel mapping", DATA_AREA] if WIDE else [DATA_AREA]
HOT_ADD = 512       # MiB

SHELL = """
A shell in the guest. 'exit' powers off; Ctrl-A c switches to QEMU's monitor and
back, Ctrl-A x quits at once.
"""


def in_text_areas(line):
    """Whether a line of the program "show" has executable memory in one of the right areas."""
    return any(f'R-X  in "{area}"' in line for area in TEXT_AREAS)


def memory_total(guest, run=Guest.output):
    return int(re.search(r"MemTotal: +(\d+) kB", run(guest, "grep MemTotal /proc/meminfo"))[1])


def address_map(guest):
    show(guest, "cat /proc/version")
    areas = ["fixmap", "pci io", "vmemmap", "vmalloc", "lowmem"]
    if WIDE:
        areas += ["modules", "kernel"]
    text = show(guest, f"dmesg | grep -A {len(areas)} 'Virtual kernel memory layout'")
    for area in areas:
        check(f"{area} : 0x" in text, f"the kernel's log has no {area} area")
    if not WIDE:
        return
    show(guest, "dmesg | grep KASLR:")
    start = int(re.search(r" kernel : (0x\w+)", text)[1], 16)
    print(f"      offset : 0x{(start - LINK) % 2 ** 64:x}   (from 0x{LINK:x}, where the kernel is linked)")
    start, end = (int(guest.output(f"grep -m 1 ' {name}$' /proc/kallsyms").split()[0], 16)
                  for name in ("_etext", "__init_begin"))
    print(f"        tail : 0x{start:x} - 0x{end:x}   ({(end - start) >> 10:4d} kB behind the kernel's text, "
          "which the ROX cache uses first; lowmem is the direct map)")
    show(guest, "dmesg | grep -F 'riscv: preallocated'")


def module(guest):
    show(guest, "insmod modules/execmem_target.ko")
    text = show(guest, "show module execmem_target")
    code, *data = text.splitlines()
    check(in_text_areas(code) and [re.findall(rf" (R..)  in \"{re.escape(DATA_AREA)}\"", line) for line in data]
          == [["R--"], ["RW-"]], "the module's text, read-only data or data is in the wrong area")
    answer = show(guest, "cat /sys/module/execmem_target/parameters/answer")
    check(answer == "42", "the module's text returned a wrong value")
    show(guest, "rmmod execmem_target")


def kprobe(guest):
    tracing = "/sys/kernel/tracing"
    show(guest, f"echo 'p:tour do_sys_openat2' > {tracing}/kprobe_events")
    show(guest, f"echo 1 > {tracing}/events/kprobes/tour/enable")
    show(guest, "cat /proc/uptime")
    print("The probe's name, its hits, its misses:")
    profile = show(guest, f"cat {tracing}/kprobe_profile")
    check(re.search(r"tour +[1-9]", profile), "the kprobe was not hit")
    slot = show(guest, "show symbol kprobe_insn_page")
    check(in_text_areas(slot), "the kprobe's slot is in the wrong area")
    show(guest, f"echo 0 > {tracing}/events/kprobes/tour/enable")
    show(guest, f"echo > {tracing}/kprobe_events")


def bpf(guest):
    show(guest, "cat /proc/sys/net/core/bpf_jit_enable")
    text = show(guest, "show bpf 3")
    check([in_text_areas(line) for line in text.splitlines()] == 3 * [True],
          "a BPF program is in the wrong area")


def seen(guest):
    probes = "/sys/kernel/tracing/kprobe_events"
    show(guest, "insmod modules/execmem_target.ko")
    show(guest, f"echo 'p:tour do_sys_openat2' > {probes}")
    text = show(guest, "show bpf 3 execmem")
    for name in ("module-text", "module-data", "kprobes", "bpf"):
        check(re.search(rf"^\w {name} +[1-9]", text, re.M), f"the list of executable memory has no {name}")
    show(guest, f"echo > {probes}")
    show(guest, "rmmod execmem_target")


def hot_add(guest):
    before = memory_total(guest, show)
    for line in guest.plug(0, f"{HOT_ADD}M", 0):
        print(f"(qemu) {line}")
    print("(the slot takes five seconds to react)", flush=True)
    deadline = time.monotonic() + 60
    # The memory appears in /proc/iomem before all of it is online.
    while memory_total(guest) < before + (HOT_ADD << 10):
        check(time.monotonic() < deadline, "no memory, or not all of it, was added within a minute")
        time.sleep(0.5)
    show(guest, "grep pci_ram /proc/iomem")
    after = memory_total(guest, show)
    check(after == before + (HOT_ADD << 10), f"MemTotal grew by {after - before} kB")
    text = show(guest, f"show memory {HOT_ADD}")
    check(not text.endswith("; 0 MiB of them are in hot-added memory"),
          "none of the memory in use is hot-added")


def hot_remove(guest):
    before = memory_total(guest, show)
    print("(qemu) device_del d0")
    guest.monitor.type("device_del d0")
    print("(the slot takes five seconds to react)", flush=True)
    guest.wait_unplugged(0)
    show(guest, "dmesg | grep 'pci_ram .*removed'")
    after = memory_total(guest, show)
    check(after == before - (HOT_ADD << 10), f"MemTotal shrank by {before - after} kB")


SECTIONS = [
    ("The kernel and its address map", address_map),
    ("A module: text, read-only data and data", module),
    ("A kprobe: attached, hit, detached", kprobe),
    ("BPF programs: compiled and run", bpf),
    ("Executable memory: its users, sizes and addresses", seen),
]
if WIDE:
    SECTIONS += [(f"{HOT_ADD} MiB hot-added through the QEMU monitor", hot_add),
                 ("The same memory, removed", hot_remove)]


def main():
    if NAME not in NAMES:
        die(f"there is no tour of '{NAME}' (only of {', '.join(NAMES)})")
    log = f"run-{NAME}-shell" if sys.stdin.isatty() else f"run-{NAME}"
    with Guest(log, BUILD / "out" / NAME, ports=int(WIDE),
               append="memhp_default_state=online_movable" if WIDE else "") as guest:
        tour(guest, SECTIONS, SHELL)


run(main)
