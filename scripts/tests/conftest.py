# SPDX-License-Identifier: GPL-2.0-only
"""How tests report: each result as it comes, and the counts on the last line.

Each test point that a guest prints is a result, and so is each check on the host. A test without
results of its own counts as one. A failing test or fixture counts as one, too. pytest's own report
is off: the last line of output is "N passed, M failed". With the subtests of Debian's pytest (0.9.0),
pytest could report such results, too. But its lines "SUBPASS" and "SUBFAIL" do not name the result, and
a test counts as passed although one of its subtests fails.

A WARNING, BUG, oops, KASAN report or lockdep report on a guest's console is a failure.

The guests of most tests cannot find a missing fence. QEMU executes the current content of memory, so a
missing fence.i has no effect. QEMU does not cache that an address has no translation, so a missing fence
after a new mapping has no effect either. The weak machine of test_weak_kernel.py finds both, and with
WEAK=1 all guests of 64-bit RISC-V are that machine."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from guest.vm import Guest, GuestError     # noqa: E402
from ktap import Ktap                   # noqa: E402
from lib import BUILD                   # noqa: E402
from guest.machine import KERNEL              # noqa: E402


class Report:
    """Counts and prints results. There is one object for the whole run."""

    def __init__(self):
        self.out = None
        self.passed = self.failed = self.skipped = 0

    def open(self):
        """Keeps the real standard output: pytest captures output while tests run."""
        self.out = os.fdopen(os.dup(sys.stdout.fileno()), "w")

    def count(self):
        return self.passed + self.failed + self.skipped

    def say(self, line):
        print(line, file=self.out, flush=True)

    def heading(self, text):
        self.say(f"\n{text}")

    def check(self, good, name, reason=""):
        """Reports one result: a check on the host, or a test point of a guest."""
        if good:
            self.passed += 1
            self.say(f"  ok    {name}")
        else:
            self.failed += 1
            self.say(f"  FAIL  {name}" + (f": {reason}" if reason else ""))

    def skip(self, name, reason):
        self.skipped += 1
        self.say(f"  skip  {name}: {reason}")

    def point(self, point):
        if point.status == "skip":
            self.skip(point.name, point.reason)
        else:
            self.check(point.status == "ok", point.name, point.reason)

    def end(self):
        if self.skipped:
            self.say(f"\n{self.skipped} skipped")
        self.say(f"\n{self.passed} passed, {self.failed} failed")


REPORT = Report()


def cpu_time():
    """Returns the seconds that ended child processes have taken, such as QEMU."""
    used = os.times()
    return used.children_user + used.children_system


class Boot:
    """A guest whose test points are reported as they come."""

    def __init__(self, guest, start, cpu):
        self.guest = guest
        self.start = start
        self.cpu = cpu
        self.ended = False

    def suite(self, command, limit, reads=False, **cues):
        """Runs a program that prints KTAP, and returns its output. When it prints "# plug memory now", calls plug;
        other cues work in the same way. reads: the program reads input that the cues send."""
        ktap = Ktap()

        def on_line(line):
            for point in ktap.feed(line):
                REPORT.point(point)
            if line.startswith("# ") and not line.startswith("# Totals"):
                REPORT.say(f"        {line[2:]}")
                cue = re.fullmatch(r"# (\w+) memory now", line)
                if cue and cue[1] in cues:
                    cues[cue[1]]()

        REPORT.say(f" {command}")
        try:
            _, lines = self.guest.run(command, limit, on_line, reads)
        finally:
            for point in ktap.end():
                REPORT.point(point)
        self.guest.kernel_log()
        return lines

    def saved_suite(self, command, limit, **cues):
        """The same for a program that asks to save and restore the machine, and then reads a line."""
        def save():
            self.guest.save_and_restore()
            self.guest.child.send("\n")

        self.suite(command, limit, reads=True, save=save, **cues)

    def kunit(self, *suites):
        """Reports the results of KUnit. The kernel was booted with kunit.enable=1. The named suites must
        be among the results."""
        lines = self.guest.boot_lines
        ktap = Ktap()
        points = [point for line in lines for point in ktap.feed(line)] + ktap.end()
        for point in points:
            REPORT.point(point)
        for suite in suites:
            REPORT.check(any(point.name.startswith(suite + ": ") for point in points),
                         f"KUnit suite {suite} was run")
        provoked = re.findall(r"begin expected warning\n(.*?)end expected warning", "\n".join(lines), re.DOTALL)
        REPORT.check(provoked and all(text.count("WARNING: ") == 1 for text in provoked),
                     "KUnit: every bad free warns once")

    def test_bpf(self):
        """Runs all groups of the kernel's lib/test_bpf.c, on a 64-bit machine."""
        status, _ = self.guest.run("insmod modules/test_bpf.ko", 400)
        log = "\n".join(self.guest.kernel_log())
        groups = re.findall(r"Summary: (\d+) PASSED, (\d+) FAILED(?:, \[(\d+)/(\d+) JIT'ed\])?", log)
        REPORT.check(not status and len(groups) == 3, "test_bpf ran its three groups")
        for passed, failed, jited, to_jit in groups:
            REPORT.check(int(passed) and failed == "0", f"test_bpf: {passed} passed, {failed} failed")
            if to_jit:
                REPORT.check(jited == to_jit, f"test_bpf: {jited} of {to_jit} JITed")
        REPORT.check(any(int(to_jit or 0) >= 1014 for *_, to_jit in groups),
                     "test_bpf: the group of 1,014 programs was run")
        self.guest.output("rmmod test_bpf")

    def check_leaks(self):
        """Runs kmemleak, if the kernel has it."""
        kmemleak = "/sys/kernel/debug/kmemleak"
        if self.guest.run(f"test -e {kmemleak}")[0]:
            return
        # kmemleak does not report objects younger than 5 s. One scan may miss an object that moves
        # meanwhile, so there are two.
        self.guest.output("sleep 6")
        for _ in range(2):
            self.guest.output(f"echo scan > {kmemleak}", 600)
        found = self.guest.output(f"cat {kmemleak}")
        REPORT.check(not found, "kmemleak finds nothing", found)

    def end(self):
        """Runs the final checks of a boot, once, even if the guest has failed."""
        if self.ended:
            return
        self.ended = True
        try:
            # If the guest was lost, the test that lost it has reported this.
            if not self.guest.lost:
                self.check_leaks()
                self.guest.power_off()
        finally:
            faults = self.guest.faults
            if self.guest.weak_counts:
                REPORT.say(f"        {self.guest.met()}")
            REPORT.check(not faults, "no warning, bug or oops on the console",
                         f"{len(faults)}, first: {faults[0]}" if faults else "")
            self.guest.close()
            REPORT.say(f"        log: {os.path.relpath(self.guest.log)}, {time.monotonic() - self.start:.0f} s, "
                       f"{cpu_time() - self.cpu:.1f} s of the host's CPUs")


def with_modules(config):
    """Returns an initramfs of two archives: the guest's programs, and all modules of the kernel for modprobe."""
    archive = BUILD / f"guest/{config}/with-modules.cpio.gz"
    # Another test may be about to boot the same archive.
    with tempfile.NamedTemporaryFile(dir=archive.parent, delete=False) as joined:
        for part in ("initramfs", "modules"):
            with open(BUILD / f"{part}-{config}.cpio.gz", "rb") as file:
                shutil.copyfileobj(file, joined)
    os.replace(joined.name, archive)
    return archive


def needs_device(name):
    """Skips the test if QEMU= names a QEMU without this device. The QEMU of `make qemu` has it."""
    given = os.environ.get("QEMU")
    if given and name not in subprocess.run([given, "-device", "help"], capture_output=True, text=True).stdout:
        pytest.skip(f"QEMU= has no {name} for RISC-V")


def check_refused(report, boot, why):
    """Checks that memory of a device that was present at boot is not used, and that the log says why."""
    log = [line for line in boot.guest.kernel_log() if "pci_ram" in line]
    report.check(any(f"not added: {why}" in line for line in log), f'memory is refused: "{why}"', " / ".join(log))
    report.check("pci_ram" not in boot.guest.output("cat /proc/iomem"), "and nothing of it is in use")


@pytest.fixture(scope="session")
def report():
    return REPORT


def boot_guest(request, title, name, config=KERNEL, **options):
    """Boots a guest for a fixture or test, whose request is given. When the fixture or test ends, the
    guest is checked and powered off, whichever tests were selected."""
    REPORT.heading(f"Boot: {title}")
    # A kernel at a random address is at the same one whenever a guest of this name boots.
    devices = ["-seed", str(zlib.crc32(name.encode())), *options.pop("devices", ())]
    begin = time.monotonic(), cpu_time()
    boot = Boot(Guest(name, BUILD / "out" / config, devices=devices, **options), *begin)
    request.addfinalizer(boot.end)
    return boot


@pytest.fixture
def start(request):
    """start(title, name, ...) boots a guest that ends when the test ends."""
    return functools.partial(boot_guest, request)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.addinivalue_line("markers", "test_all: `make test` has no time for it, `make test-all` runs it")
    REPORT.open()
    config.pluginmanager.unregister(name="terminalreporter")


def pytest_runtest_setup(item):
    if item.get_closest_marker("test_all") and not os.environ.get("TEST_ALL"):
        pytest.skip("`make test-all` runs it")


# Not in setup: setup may end the guest of other tests, and the results of that end are not this test's.
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    item.points_before = REPORT.count()


def pytest_runtest_teardown(item, nextitem):
    # End a module's shared guest before the next test if that test does not use it.
    if nextitem and "boot" in item.fixturenames and "boot" not in nextitem.fixturenames and "boot" in item.funcargs:
        item.funcargs["boot"].end()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    result = outcome.get_result()
    if result.skipped:
        REPORT.skip(item.name, result.longrepr[2])
    elif result.failed and isinstance(call.excinfo.value, GuestError):
        REPORT.check(False, item.name, str(call.excinfo.value))
        for line in call.excinfo.value.console:
            REPORT.say(f"        | {line}")
    elif result.failed:
        REPORT.check(False, item.name)
        REPORT.say(result.longreprtext)
    elif call.when == "call" and REPORT.count() == item.points_before:
        REPORT.check(True, item.name)


def pytest_collectreport(report):
    if report.failed:
        REPORT.check(False, f"{report.nodeid} cannot be run")
        REPORT.say(report.longreprtext)


def pytest_internalerror(excrepr):
    REPORT.check(False, "pytest itself")
    REPORT.say(str(excrepr))


def pytest_keyboard_interrupt(excinfo):
    if excinfo.type is KeyboardInterrupt:
        REPORT.check(False, "the run was interrupted")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    if exitstatus == pytest.ExitCode.OK and (REPORT.failed or not REPORT.count()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure():
    REPORT.end()
