# SPDX-License-Identifier: GPL-2.0-only
"""The function tracer and the graph tracer are switched on and off while all harts run.

- Functions are traced and probed a hundred times while three harts execute them, by one tracer and by several,
  and with direct calls. This does not stop the machine, and all functions take as many fences as one. The debug
  kernel does this with full preemption, KASAN and lockdep.
- Kretprobes and fprobes see functions return, of many tasks at once (KUnit, and from user space). Stack traces
  of such functions are the same as of others.
- The instructions that the tracer writes (KUnit); in `make test-all` its own tests at boot.
- The tracers do not disturb the loading and unloading of text: modules with traced functions are loaded and
  unloaded, probes are hit, and a hart goes offline and online.
- While all functions are traced, modules are loaded, work and are unloaded, memory is added and removed, and a
  kprobe and a BPF program are attached. `make test-all` adds the graph tracer, and all cases of probes and of BPF
  trampolines.
- A uprobe in a program is hit."""

import re
import struct

import pytest

from conftest import with_modules
from guest.machine import KERNEL
from test_hotremove import Devices, run_till_gone

distro_only = pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no function tracer and no uprobes")

LIMIT = 300
TRACING = "/sys/kernel/tracing"


def run_traced(report, boot, tracer, programs):
    """Runs the program features and the given programs under a tracer. Few functions are traced:
    with all of them, the programs would take too long."""
    guest = boot.guest
    # Kernel functions that the programs call, and the functions of a module that is not loaded yet
    for functions in "execmem_alloc", "execmem_free", "__sys_bpf", "sys_getppid", "*:mod:module_features":
        guest.output(f"echo '{functions}' >> {TRACING}/set_ftrace_filter")
    guest.output(f"echo {tracer} > {TRACING}/current_tracer")
    # A filter for a future module works only once: its functions' names are gone when the module is unloaded.
    guest.output("insmod modules/module_features.ko")
    for function in "execmem_alloc", "execmem_free", "module_features_init":
        report.check(guest.output(f"grep -m 1 -w {function} {TRACING}/trace || true"), f"{function}() is traced")
    guest.output("rmmod module_features")
    for program in "features", *programs:
        boot.suite(program, LIMIT)
    guest.output(f"echo > {TRACING}/trace; echo nop > {TRACING}/current_tracer")
    boot.suite("features", LIMIT)
    traced = guest.output(f"grep -m 1 -w execmem_alloc {TRACING}/trace || true")
    report.check(not traced, "nothing is traced any more", traced)


@distro_only
@pytest.mark.parametrize("tracer, rox", [
    ("function", 1),
    ("function_graph", 0),
    pytest.param("function", 0, marks=pytest.mark.test_all),
    pytest.param("function_graph", 1, marks=pytest.mark.test_all),
])
def test_tracer(report, start, tracer, rox):
    boot = start(f"2 harts, {tracer} tracer, execmem.rox={rox}", f"tracing-{tracer}-{rox}", harts=2,
                 mmu="sv57", append=f"execmem.rox={rox}")
    run_traced(report, boot, tracer, ["probes", "offline"])


def functions(guest, file):
    return int(guest.output(f"wc -l < {TRACING}/{file}", LIMIT))


@distro_only
@pytest.mark.parametrize("tracer, programs", [
    # features also attaches a BPF program.
    ("function", ["features"]),
    pytest.param("function_graph", ["features"], marks=pytest.mark.test_all),
    pytest.param("function", ["probes", "trampolines"], marks=pytest.mark.test_all),
])
def test_all_functions(report, start, tracer, programs):
    """All functions are traced while a module, a kprobe on it and memory come and go."""
    name = "-".join(["tracing-all", tracer, *programs])
    boot = start(f"2 harts, 1 hot-plug port, all functions traced, {tracer} tracer", name, harts=2, mmu="sv57",
                 ports=1, initramfs=with_modules(KERNEL), append="rcupdate.rcu_expedited=1")
    guest = boot.guest
    # The programs change the tracer, but not that of an instance. Instances cannot have the graph tracer.
    tracing = f"{TRACING}/instances/all" if "trampolines" in programs else TRACING
    guest.output(f"mkdir -p {tracing}; echo {tracer} > {tracing}/current_tracer", LIMIT)

    def check_all(what):
        there, traced = functions(guest, "available_filter_functions"), functions(guest, "enabled_functions")
        report.check(there == traced, f"all {there} functions are {what}", f"{traced} are")

    check_all("traced")
    report.say(" a module: overlay")
    guest.output("modprobe overlay", LIMIT)
    more = int(guest.output(f"grep -c '\\[overlay\\]' {TRACING}/enabled_functions || true", LIMIT))
    report.check(more, f"its {more} functions are traced, too")
    guest.output("mkdir /tmp/lower /tmp/other /tmp/both; echo read > /tmp/lower/file")
    guest.output("mount -t overlay -o lowerdir=/tmp/lower:/tmp/other overlay /tmp/both", LIMIT)
    guest.output(f"echo p:probe ovl_open > {TRACING}/kprobe_events; echo 1 > {TRACING}/events/kprobes/probe/enable")
    # The trace ends with what the read called.
    said = guest.output(f"read line < /tmp/both/file; echo 0 > {tracing}/tracing_on; echo $line", LIMIT)
    report.check(said == "read", "it works", said)
    called = int(guest.output(f"grep -c '\\bovl_' {tracing}/trace || true", LIMIT))
    report.check(called, f"{called} calls of its functions are in the trace")
    hits = guest.output(f"awk '$1 == \"probe\" {{ print $2 }}' {TRACING}/kprobe_profile")
    report.check(hits == "1", "a kprobe on one of them is hit once", hits)
    guest.output(f"echo 0 > {TRACING}/events/kprobes/probe/enable; echo > {TRACING}/kprobe_events", LIMIT)
    guest.output(f"echo > {tracing}/trace; echo 1 > {tracing}/tracing_on; umount /tmp/both; rmmod overlay", LIMIT)

    run_till_gone(boot, "hotremove move 128", Devices(guest, "128M"))
    for program in programs:
        boot.suite(program, LIMIT)
    check_all("still traced")
    guest.output(f"echo nop > {tracing}/current_tracer", LIMIT)
    traced = functions(guest, "enabled_functions")
    report.check(not traced, "then none is", f"{traced} are")


@pytest.mark.parametrize("config", [
    pytest.param(KERNEL, marks=distro_only), "debug", pytest.param("preempt", marks=pytest.mark.test_all)])
def test_tracers(report, start, config):
    boot = start(f"4 harts, tracers come and go, {config}", f"tracing-tracers-{config}", config=config, mmu="sv57",
                 append="kunit.enable=1")
    boot.kunit("riscv_ftrace", *["fprobe_test"] * (config == "distro"))
    if config == "preempt":
        for name in ("tracer function", "dynamic ftrace", "dynamic ftrace ops #1", "dynamic ftrace ops #2",
                     "ftrace recursion", "ftrace recursion safe", "ftrace regs", "tracer function_graph"):
            passed = re.search(rf"Testing {name}: [() \d]*PASSED", " ".join(boot.guest.boot_lines))
            report.check(passed, f"at boot: {name}")
    else:
        # Its stack traces need frame pointers.
        boot.suite("returns", LIMIT)
    boot.suite("tracers", LIMIT)


def entry_offset(guest, program):
    """Returns the offset of a program's first instruction in its file."""
    data = bytes.fromhex("".join(guest.output(f"od -An -v -t x1 -N 4096 {program}").split()))
    entry, headers = struct.unpack_from("<QQ", data, 24)
    size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", data, headers + number * size)
        if kind == 1 and address <= entry < address + length:
            return entry - address + offset
    raise AssertionError(f"{program}: no segment has the address {entry:#x}")


@distro_only
def test_uprobe(report, start):
    guest = start("2 harts, a uprobe", "tracing-uprobe", harts=2).guest
    guest.output(f"echo 'p:start /bin/busybox:{entry_offset(guest, '/bin/busybox'):#x}' > {TRACING}/uprobe_events")
    for count in 1, 2:
        guest.output(f"echo 1 > {TRACING}/events/uprobes/start/enable")
        guest.output("/bin/busybox sync; /bin/busybox sync")
        guest.output(f"echo 0 > {TRACING}/events/uprobes/start/enable")
        hits = guest.output(f"grep -c ' start: ' {TRACING}/trace || true")
        report.check(int(hits) == 2 * count, f"a uprobe at the start of a program, {2 * count} hits", hits)
        guest.output("/bin/busybox sync")
