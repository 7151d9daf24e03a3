# SPDX-License-Identifier: GPL-2.0-only
"""The users of executable memory, with the ROX cache and with execmem.rox=0.

- KUnit: ranges, inheritance, fallback, alignment, exhaustion, tables that must be refused, and what
  execmem_free() must not free.
- Placement and protection of module text and data, kprobe slots and BPF images, read from the kernel's
  page-table dump.
- W^X: dump after dump, while modules, kprobes and programs come and go, no page of the kernel is
  writable and executable. Memory of the cache is not writable through the direct map either.
- Modules: static keys, locks, static calls, per-CPU data, exception tables, warnings, a tracepoint with
  a BPF program on it, exports, and instructions that the kernel replaces because the CPU has Svpbmt,
  in init text and afterwards.
- CPU hotplug: a hart that comes online executes the text that was written while it was offline.
- BPF: subprograms, tail calls, faulting loads, constant blinding, branches over more than 1 MiB, and a
  random start whatever the length. Stack traces name programs. Nobody can probe a program, nor the
  memory of one that was freed.
- Kprobes: one comes and goes a hundred times while three harts execute its address; all instructions of
  a function are probed at once. A probe whose text is gone does not disturb the text that is there now,
  not even an ebreak. The trap entry, the callers of the tracers and the writer of text cannot be probed.
  No task is preempted between a probe's handler and the probed instruction.
- Blocks of 4 KiB pages (nohugevmalloc), rodata=off, 66 harts, and a full BPF window, in which modules
  and kprobes still load."""

import pytest

from conftest import boot_guest
from guest.machine import KERNEL
from test_seen import cache_blocks, more_than_tail


# For the kernel of test_debug.py, too, which has its time.
LIMIT = 300


@pytest.fixture(scope="module", params=[1, 0])
def boot(request):
    rox = f"execmem.rox={request.param}"
    return boot_guest(request, f"4 harts, KUnit on, {rox}", f"users-{rox}", append=f"kunit.enable=1 {rox}")


def test_boot_log(report, boot):
    lines = boot.guest.boot_lines
    report.check("Checked W+X mappings: passed, no W+X pages found" in lines,
                 "DEBUG_WX finds no page writable and executable")
    report.check(any(line.startswith("riscv: preallocated") for line in lines),
                 "the log says what was preallocated")
    # Programs that run in the guest leave out what needs the cache where there is none.
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


def test_rodata_off(report, start):
    """A way out for those whose memory cannot be protected: nothing is, and all of it works."""
    boot = start("4 harts, rodata=off", "users-rodata", append="rodata=off")
    boot.suite("cycles 20", LIMIT)
    boot.suite("probes", LIMIT)
    boot.guest.output("insmod modules/module_features.ko")
    failed = boot.guest.output("cat /sys/module/module_features/parameters/failed")
    report.check(not failed, "a module works", failed)
    rox = boot.guest.output("cat /sys/module/execmem/parameters/rox")
    report.check(rox == "N", "there is no cache of read-only memory", rox)


def test_small_pages(report, start):
    """Blocks of the cache where there is no large page to be had."""
    boot = start("4 harts, no large pages in vmalloc", "users-small", append="kunit.enable=1 nohugevmalloc")
    boot.kunit("execmem_cache")
    boot.suite("placement", LIMIT)
    boot.suite("wx", LIMIT)
    # The last, as the programs go one by one behind its back.
    count = more_than_tail(boot.guest)
    text = boot.guest.output(f"ulimit -n {count + 100}; show bpf {count} 'cat /sys/kernel/debug/execmem'", LIMIT)
    blocks, small = cache_blocks(text)
    report.check(blocks == small > 0, "blocks of 4 KiB pages are counted", f"{small} of {blocks}")


@pytest.mark.test_all
@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel is for 8 harts")
def test_many_harts(report, start):
    """A mask of harts that needs more than one word, as the firmware takes them."""
    harts = 66
    boot = start(f"{harts} harts", "users-harts", harts=harts, memory="1G")
    seen = boot.guest.output("grep -c ^processor /proc/cpuinfo")
    report.check(seen == str(harts), "all harts are there", seen)
    for program in "placement", "probes", "cycles 20":
        boot.suite(program, LIMIT)


# Without the cache, BPF has a window of 128 MiB. With it, it is 2 GiB.
# The kernel of test_debug.py does the latter in `make test`, too.
@pytest.mark.parametrize("rox, memory", [(1, "3G"), pytest.param(0, "512M", marks=pytest.mark.test_all)])
def test_full(start, rox, memory):
    """The window of BPF is filled, the others are not impressed."""
    boot = start(f"2 harts, the BPF window is filled, execmem.rox={rox}", f"full-{rox}", harts=2,
                 memory=memory, append=f"execmem.rox={rox}")
    boot.suite("full", 300)
