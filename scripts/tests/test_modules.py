# SPDX-License-Identifier: GPL-2.0-only
"""All modules of a configuration are loaded at once and unloaded, twice. Nothing is left behind.

distro has more than 150 modules, and is configured like a distribution's kernel, with the function
tracer, BTF, security modules, hardening, signed modules, NUMA and CPU hotplug. debug has more than 60
modules. If the kernel is locked down, it refuses modules without a signature, while kprobes, tracers and
BPF programs work. If it protects its secrets, too, it refuses kprobes and tracers."""

import re
import time

import pytest

from conftest import with_modules
from lib import BUILD
from guest.machine import KERNEL

LIMIT = 600
# The number of modules to load before the kernel's log is read: its buffer is limited
BATCH = 25
# Parameters: probed functions that nobody calls, and short runs of tests
PARAMETERS = {
    "kprobe_example": "symbol=sys_getppid",
    "kretprobe_example": "func=sys_getppid",
    "test_bpf": "test_suite=test_tail_calls",
    "test_vmalloc": "run_test_mask=1 test_loop_count=1",
}
# Modules not loaded on the debug kernel, which looks for leaks: 6.1's test_hmm leaks the names of its devices
LEAKING = {"test_hmm"}
# Modules without an exit function in 6.1: once loaded, they stay.
PERMANENT = {"kvm"}
# Modules that do their work in their init function, and then fail with this error so as not to stay
NOT_LOADED = {"test_vmalloc": "Resource temporarily unavailable"}
# Commands that list the things that a module may add, and must remove again
LEFT = ["cat /proc/modules", "ls -1 /sys/module", "cat /proc/devices", "cat /proc/filesystems", "cat /proc/misc",
        "ls -1 /sys/class", "ls -1 /sys/bus", "ls -1 /sys/kernel/tracing/events", "cut -d ' ' -f 1 /proc/slabinfo",
        "grep '\\[[a-z]' /proc/kallsyms | grep -v '\\[bpf\\]' || true"]
TAINTED_BY_UNSIGNED = 1 << 13


class Modules:
    """The modules of a guest that modprobe can load."""

    def __init__(self, report, boot, but):
        self.report = report
        self.boot = boot
        files = boot.guest.output("find /lib/modules -name '*.ko'").split()
        names = {re.sub(".*/", "", file)[:-len(".ko")].replace("-", "_") for file in files}
        self.names = sorted(names - but - PERMANENT)
        for name in names & PERMANENT:
            boot.guest.output(f"modprobe {name}")

    def loaded(self):
        """Returns the loaded modules that can be unloaded."""
        return sorted(set(self.boot.guest.output("cut -d ' ' -f 1 /proc/modules").split()) - PERMANENT)

    def load(self):
        """Loads all modules. Returns name -> modprobe's error for the modules that could not be loaded."""
        refused = {}
        for first in range(0, len(self.names), BATCH):
            commands = "; ".join(f"said=$(modprobe {name} {PARAMETERS.get(name, '')} 2>&1)"
                                 f" || echo refused: {name}: $said"
                                 for name in self.names[first:first + BATCH])
            for line in self.boot.guest.output(commands, LIMIT).splitlines():
                if said := re.match(r"refused: (\w+): (.*)", line):
                    refused[said[1]] = said[2]
            self.boot.guest.kernel_log()
        return refused

    def unload(self):
        """Unloads all modules, users first. A module that is in use for a moment is tried again."""
        idle = 0
        while self.loaded() and idle < 10:
            gone = self.boot.guest.output("for module in $(awk '$3 == 0 { print $1 }' /proc/modules); do "
                                          "rmmod $module 2> /dev/null && echo $module; done; true", LIMIT)
            self.boot.guest.kernel_log()
            idle = 0 if gone else idle + 1
            if not gone:
                time.sleep(0.5)

    def round(self, which):
        refused = self.load()
        for name, error in NOT_LOADED.items():
            if name in self.names:
                said = refused.pop(name, "it was loaded")
                self.report.check(error in said, f"{which}: {name} does its work and is not there", said)
        self.report.check(not refused, f"{which}: all others are loaded, {len(self.names)} in all",
                          "; ".join(refused.values()))
        loaded = self.loaded()
        missing = set(self.names) - set(NOT_LOADED) - set(loaded)
        self.report.check(not missing, f"{which}: {len(loaded)} are there at once", " ".join(missing))
        self.unload()
        left = self.loaded()
        self.report.check(not left, f"{which}: all are unloaded again", " ".join(left))

    def state(self):
        """Returns the output lines of the commands in LEFT."""
        return {command: sorted(self.boot.guest.output(command).splitlines()) for command in LEFT}

    def statistics(self):
        """Returns live allocations and their bytes, asked for and used, by type, when they are stable:
        workers free memory later."""
        seen = None
        for _ in range(100):
            table = self.boot.guest.output("cat /sys/kernel/debug/execmem").split("\n\n")[0]
            now = {line.split()[0]: line.split()[1:4] for line in table.splitlines()[1:]}
            if now == seen:
                break
            seen = now
            time.sleep(0.5)
        return now


def differences(before, after):
    return "; ".join(f"{command}: {' '.join(sorted(set(before[command]) ^ set(after[command]))[:8])}"
                     for command in before if before[command] != after[command])


distro_only = pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no modules of others")


@pytest.mark.parametrize("config, rox, least", [
    pytest.param("distro", 1, 150, marks=distro_only),
    pytest.param("distro", 0, 150, marks=[distro_only, pytest.mark.test_all]),
    pytest.param("distro-lockdep", 1, 150, marks=[distro_only, pytest.mark.test_all]),
    ("debug", 1, 60),
])
def test_all(report, start, config, rox, least):
    boot = start(f"{config}, 2 harts, all modules, execmem.rox={rox}", f"modules-{config}-{rox}", config=config,
                 harts=2, memory="2G", boot_limit=300, initramfs=with_modules(config),
                 append=f"rcupdate.rcu_expedited=1 execmem.rox={rox}")
    modules = Modules(report, boot, LEAKING if config == "debug" else set())
    report.check(len(modules.names) >= least, f"there are {len(modules.names)} modules, {least} or more")
    # kprobes keeps one page of slots: have it allocated before the state is recorded.
    boot.guest.output("insmod modules/kprobe_slots.ko; rmmod kprobe_slots")
    before, memory = modules.state(), modules.statistics()
    modules.round("first round")
    modules.round("second round")
    left = modules.statistics()
    report.check(memory == left, "executable memory is as before", differences(memory, left))
    after = modules.state()
    report.check(before == after, "no module has left anything behind", differences(before, after))
    if config != "debug":
        tainted = int(boot.guest.output("cat /proc/sys/kernel/tainted"))
        report.check(not tainted & TAINTED_BY_UNSIGNED, "none was without a signature", str(tainted))
    if config != "distro":
        said = boot.guest.output("grep debug_locks: /proc/lockdep_stats").split()
        report.check(said == ["debug_locks:", "1"], "lockdep has not switched itself off", " ".join(said))


@distro_only
def test_lists(report):
    """Each module in the lists above is still built by a configuration."""
    built = {path.stem.replace("-", "_") for config in ("distro", "debug")
             for path in (BUILD / f"guest/{config}/installed").rglob("*.ko")}
    unknown = (LEAKING | PERMANENT | set(NOT_LOADED) | set(PARAMETERS)) - built
    report.check(not unknown, "every module that has an exception is built", " ".join(sorted(unknown)))


def check_signatures(report, guest):
    """Checks that a locked-down kernel refuses modules without a signature."""
    # The last 28 bytes are the marker of a signature: without them the module counts as unsigned.
    guest.output("file=modules/execmem_target.ko; head -c $(($(stat -c %s $file) - 28)) $file > /tmp/unsigned.ko")
    status, lines = guest.run("insmod /tmp/unsigned.ko")
    report.check(status and "Operation not permitted" in " ".join(lines), "a module without a signature is refused",
                 " ".join(lines))
    guest.output("insmod modules/execmem_target.ko")
    answer = guest.output("cat /sys/module/execmem_target/parameters/answer; rmmod execmem_target")
    report.check(answer == "42", "one with a signature works", answer)


@distro_only
def test_lockdown(report, start):
    """A locked-down kernel refuses modules without a signature. kprobes and BPF programs work."""
    boot = start("distro, 2 harts, lockdown=integrity", "modules-lockdown", harts=2, mmu="sv57",
                 append="lockdown=integrity")
    check_signatures(report, boot.guest)
    boot.suite("programs", LIMIT)
    boot.suite("probes", LIMIT)


@distro_only
@pytest.mark.test_all
def test_lockdown_traced(start):
    """Locked down, the tracers and trampolines work."""
    boot = start("distro, 2 harts, lockdown=integrity, tracers", "modules-lockdown-traced", harts=2, mmu="sv57",
                 append="lockdown=integrity")
    boot.suite("trampolines", LIMIT)
    boot.suite("tracers", LIMIT)


@distro_only
def test_confidentiality(report, start):
    """A kernel that protects its secrets, too, refuses tracers and kprobes. BPF programs work."""
    boot = start("distro, 2 harts, lockdown=confidentiality", "modules-confidentiality", harts=2,
                 append="lockdown=confidentiality")
    guest = boot.guest
    check_signatures(report, guest)
    for what, command in [("/proc/kcore", "head -c 1 /proc/kcore"), ("a kprobe", "probes")]:
        status, lines = guest.run(command, LIMIT)
        report.check(status and "Operation not permitted" in " ".join(lines), f"{what} is refused", " ".join(lines))
    left = guest.output("ls /sys/kernel/tracing")
    report.check(not left, "there are no files of the tracers", left)
    guest.output("show bpf 3")
    boot.suite("trampolines", LIMIT)
