# SPDX-License-Identifier: GPL-2.0-only
"""How the tests report: progress as they go, and the count on the last line.

Every point that a guest prints and every check of the host's is one. A test
that reports none of its own is one itself, and so is whatever goes wrong with it.
pytest's own report is off: the last line of output is "N passed, M failed".

Any WARNING, BUG, oops, KASAN or lockdep report on a guest's console is a failure.

What no test here can show: QEMU executes what is in memory at that moment, and does not
remember that an address had no translation. A missing fence.i, or a missing fence after a
new mapping, therefore does not fail a test."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from guest.vm import Guest, GuestError     # noqa: E402
from ktap import Ktap                   # noqa: E402
from lib import BUILD                   # noqa: E402
from guest.machine import KERNEL              # noqa: E402


class Report:
    """Counts and prints; all of a run's points go through the one there is."""

    def __init__(self):
        self.out = None
        self.passed = self.failed = self.skipped = 0

    def open(self):
        """Keep the real output, which pytest captures while tests run."""
        self.out = os.fdopen(os.dup(sys.stdout.fileno()), "w")

    def count(self):
        return self.passed + self.failed + self.skipped

    def say(self, line):
        print(line, file=self.out, flush=True)

    def heading(self, text):
        self.say(f"\n{text}")

    def check(self, good, name, reason=""):
        """One point: a check of the host's, or one that a guest has made."""
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


class Boot:
    """A guest whose test points go into the report as they come."""

    def __init__(self, guest, start):
        self.guest = guest
        self.start = start
        self.ended = False

    def suite(self, command, limit, reads=False, **cues):
        """Run a program that prints KTAP. When it says "# plug memory now", plug is called,
        and so on for other words. @reads: it reads what these send."""
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
            self.guest.run(command, limit, on_line, reads)
        finally:
            for point in ktap.end():
                REPORT.point(point)
        self.guest.kernel_log()

    def saved_suite(self, command, limit, **cues):
        """The same with a program that has the machine saved and restored, and then reads a line."""
        def save():
            self.guest.save_and_restore()
            self.guest.child.send("\n")

        self.suite(command, limit, reads=True, save=save, **cues)

    def kunit(self, *suites):
        """What the kernel, booted with kunit.enable=1, said of its own tests; these
        suites must be among them."""
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
        """The kernel's lib/test_bpf.c, all of its groups, on a 64-bit machine."""
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
        """Let kmemleak look, in a kernel that has it."""
        kmemleak = "/sys/kernel/debug/kmemleak"
        if self.guest.run(f"test -e {kmemleak}")[0]:
            return
        # What is younger than 5 s is not reported, and an object that moves while a scan
        # goes on may be missed by one.
        self.guest.output("sleep 6")
        for _ in range(2):
            self.guest.output(f"echo scan > {kmemleak}", 600)
        found = self.guest.output(f"cat {kmemleak}")
        REPORT.check(not found, "kmemleak finds nothing", found)

    def end(self):
        """The checks that close every boot, once, whatever became of it."""
        if self.ended:
            return
        self.ended = True
        try:
            # Of a guest that is gone, the test that lost it has said so.
            if not self.guest.lost:
                self.check_leaks()
                self.guest.power_off()
        finally:
            faults = self.guest.faults
            REPORT.check(not faults, "no warning, bug or oops on the console",
                         f"{len(faults)}, first: {faults[0]}" if faults else "")
            REPORT.say(f"        log: {os.path.relpath(self.guest.log)}, {time.monotonic() - self.start:.0f} s")
            self.guest.close()


def with_modules(config):
    """The guest's programs and, for modprobe, all modules of the kernel: one archive behind the other."""
    archive = BUILD / f"guest/{config}/with-modules.cpio.gz"
    with open(archive, "wb") as joined:
        for part in ("initramfs", "modules"):
            with open(BUILD / f"{part}-{config}.cpio.gz", "rb") as file:
                shutil.copyfileobj(file, joined)
    return archive


def needs_device(name):
    """Skip the test if QEMU= gives a QEMU without it; `make qemu`'s has it."""
    given = os.environ.get("QEMU")
    if given and name not in subprocess.run([given, "-device", "help"], capture_output=True, text=True).stdout:
        pytest.skip(f"QEMU= has no {name} for RISC-V")


def check_refused(report, boot, why):
    """The memory of a device that was there at boot is not used, and the log says why."""
    log = [line for line in boot.guest.kernel_log() if "pci_ram" in line]
    report.check(any(f"not added: {why}" in line for line in log), f'memory is refused: "{why}"', " / ".join(log))
    report.check("pci_ram" not in boot.guest.output("cat /proc/iomem"), "and nothing of it is in use")


@pytest.fixture(scope="session")
def report():
    return REPORT


def boot_guest(request, title, name, config=KERNEL, **options):
    """Boot a guest for the fixture or the test whose request it is. When that ends, whichever
    tests were selected, the guest is checked and powered off."""
    REPORT.heading(f"Boot: {title}")
    begin = time.monotonic()
    boot = Boot(Guest(name, BUILD / "out" / config, **options), begin)
    request.addfinalizer(boot.end)
    return boot


@pytest.fixture
def start(request):
    """start(title, name, ...) boots a guest that ends with the test."""
    return functools.partial(boot_guest, request)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.addinivalue_line("markers", "test_all: `make test` has no time for it, `make test-all` runs it")
    REPORT.open()
    config.pluginmanager.unregister(name="terminalreporter")


def pytest_runtest_setup(item):
    if item.get_closest_marker("test_all") and not os.environ.get("TEST_ALL"):
        pytest.skip("`make test-all` runs it")


# Not at setup, which may end the guest of other tests.
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    item.points_before = REPORT.count()


def pytest_runtest_teardown(item, nextitem):
    # A guest that tests of a module share need not run beside those of the tests behind them.
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
