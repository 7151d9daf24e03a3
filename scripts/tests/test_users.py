# SPDX-License-Identifier: GPL-2.0-only
"""The users of executable memory, with the ROX cache and with execmem.rox=0.

- KUnit: ranges, inheritance, fallback, alignment, exhaustion, tables that must be refused, and pointers
  that execmem_free() must refuse.
- Placement and protection of module text and data, kprobe slots and BPF images, read from the kernel's
  page-table dump.
- W^X: while modules, kprobes and programs are loaded and unloaded, no kernel page is writable and
  executable in any of many dumps. Memory of the cache is not writable through the direct map either.
- Modules: static keys, locks, static calls, per-CPU data, exception tables, warnings, a tracepoint with
  a BPF program on it, exports, and alternatives for a CPU with Svpbmt, in init text and elsewhere.
- CPU hotplug: a hart that comes online executes the text that was written while it was offline.
- BPF: subprograms, tail calls, faulting loads, constant blinding, branches over more than 1 MiB, and a
  random start for images of any length. Stack traces name programs. Programs cannot be probed, nor can
  the memory of a freed program.
- Kprobes: one is armed and disarmed a hundred times while three harts execute its address; all
  instructions of a function are probed at once. A probe whose text was freed does not disturb new text at
  that address, not even an ebreak. The trap entry, the callers of the tracers and the writer of text
  cannot be probed. No task is preempted between a probe's handler and the probed instruction.
- Blocks of 4 KiB pages (nohugevmalloc), rodata=off, 66 harts, and a full BPF window: modules and kprobes
  can still be loaded."""

import pytest

from conftest import boot_guest
from guest.machine import KERNEL
from test_seen import cache_blocks, more_than_tail


# Seconds. The slower debug kernel of test_debug.py uses the same limit.
LIMIT = 300


@pytest.fixture(scope="module", params=[1, 0])
def boot(request):
    rox = f"execmem.rox={request.param}"
    return boot_guest(request, f"4 harts, KUnit on, {rox}", f"users-{rox}", mmu="sv57",
                      append=f"kunit.enable=1 {rox}")


def test_boot_log(report, boot):
    lines = boot.guest.boot_lines
    report.check("Checked W+X mappings: passed, no W+X pages found" in lines,
                 "DEBUG_WX finds no page writable and executable")
    report.check(any(line.startswith("riscv: preallocated") for line in lines),
                 "the log says what was preallocated")
    # The guest programs skip cases if there is no cache, so check that it is there.
    wanted = "N" if "execmem.rox=0" in boot.guest.output("cat /proc/cmdline") else "Y"
    rox = boot.guest.output("cat /sys/module/execmem/parameters/rox")
    report.check(rox == wanted, "the cache of read-only memory is on, unless it was switched off", rox)


def test_kunit(boot):
    boot.kunit("execmem", "execmem_cache", "riscv_bpf_jit", "kprobes_test")


def test_placement(boot):
    boot.suite("placement", LIMIT)


def test_features(report, boot):
    isa = boot.guest.output("grep -m 1 isa /proc/cpuinfo")
    report.check("svpbmt" in isa, "the harts have an extension for which instructions are replaced", isa)
    if boot.guest.out.name != "rv64":
        report.check("CONFIG_RISCV_ISA_SVPBMT=y" in (boot.guest.out / ".config").read_text(),
                     "the kernel replaces them")
    boot.suite("features", LIMIT)


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel takes no hart offline")
def test_offline(boot):
    boot.suite("offline", LIMIT)


def test_wx(boot):
    boot.suite("wx", LIMIT)


def test_programs(boot):
    boot.suite("programs", LIMIT)


def test_probes(boot):
    boot.suite("probes", LIMIT)


def rodata_off(start, name):
    return start("4 harts, rodata=off", name, mmu="sv57", append="rodata=off")


def test_rodata_off(report, start):
    """For machines whose memory cannot be protected: with rodata=off nothing is protected, and all works."""
    boot = rodata_off(start, "users-rodata")
    boot.suite("cycles 20", LIMIT)
    boot.suite("programs", LIMIT)
    boot.suite("probes", LIMIT)
    boot.guest.output("insmod modules/module_features.ko")
    failed = boot.guest.output("cat /sys/module/module_features/parameters/failed")
    report.check(not failed, "a module works", failed)
    rox = boot.guest.output("cat /sys/module/execmem/parameters/rox")
    report.check(rox == "N", "there is no cache of read-only memory", rox)


@pytest.mark.test_all
def test_rodata_off_traced(start):
    boot = rodata_off(start, "users-rodata-traced")
    boot.suite("trampolines", LIMIT)
    boot.suite("tracers", LIMIT)


def test_small_pages(report, start):
    """The blocks of the cache if vmalloc has no large pages."""
    boot = start("4 harts, no large pages in vmalloc", "users-small", append="kunit.enable=1 nohugevmalloc")
    boot.kunit("execmem_cache")
    boot.suite("placement", LIMIT)
    boot.suite("wx", LIMIT)
    # This comes last: its programs are freed later, one by one, which could disturb another suite.
    count = more_than_tail(boot.guest)
    text = boot.guest.output(f"ulimit -n {count + 100}; show bpf {count} 'cat /sys/kernel/debug/execmem'", LIMIT)
    blocks, small = cache_blocks(text)
    report.check(blocks == small > 0, "blocks of 4 KiB pages are counted", f"{small} of {blocks}")


@pytest.mark.test_all
@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel is for 8 harts")
def test_many_harts(report, start):
    """The mask of harts for the firmware needs more than one word."""
    harts = 66
    boot = start(f"{harts} harts", "users-harts", harts=harts, mmu="sv57", memory="1G")
    seen = boot.guest.output("grep -c ^processor /proc/cpuinfo")
    report.check(seen == str(harts), "all harts are there", seen)
    for program in "placement", "probes", "cycles 20":
        boot.suite(program, LIMIT)


# Without the cache, BPF's window has 128 MiB; with the cache, 2 GiB. `make test` fills the window without
# the cache on the debug kernel (test_debug.py).
@pytest.mark.parametrize("rox, memory", [(1, "3G"), pytest.param(0, "512M", marks=pytest.mark.test_all)])
def test_full(start, rox, memory):
    """Fills the window of BPF. The other users do not notice."""
    boot = start(f"2 harts, the BPF window is filled, execmem.rox={rox}", f"full-{rox}", harts=2,
                 memory=memory, append=f"execmem.rox={rox}")
    boot.suite("full", 300)
