# SPDX-License-Identifier: GPL-2.0-only
"""scripts/guest/vm.py and ktap.py notice failures. A fake QEMU provokes these. docs/weak-machine.md lists the tests
that need another QEMU than Debian's."""

import os
import re
import subprocess
import sys

import pytest

from guest.vm import Guest, GuestError
from ktap import Ktap, Point
from lib import TOP
from guest.machine import MACHINES

# The fake QEMU speaks just enough of QMP and of the guest's shell. Each command line says what
# the kernel should do.
FAKE = f"""#!{sys.executable}
import os, re, socket, sys, threading, time
path = re.search("unix:(.*?),", " ".join(sys.argv))[1]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()

def monitor():
    stream = server.accept()[0].makefile("rw")
    while True:
        stream.write('{{"return": {{}}}}\\n')
        stream.flush()
        if not stream.readline():
            return

threading.Thread(target=monitor, daemon=True).start()
unwilling = late = False
status = 0
print("guest: ready", flush=True)
for line in sys.stdin:
    if line.startswith("panic"):
        print("Kernel panic - not syncing: a test", flush=True)
        sys.exit()
    elif line.startswith("end"):
        sys.exit()
    elif line.startswith("poweroff") and not unwilling:
        print("WARNING: CPU: 0 PID: 1 at mm/test.c:1 test+0x0/0x1" if late else "reboot: Power down", flush=True)
        sys.exit()
    elif line.startswith("late"):
        late = True
    elif line.startswith("unwilling"):
        unwilling = True
    elif line.startswith("hang"):
        time.sleep(60)
    elif line.startswith("warn"):
        print("WARNING: CPU: 0 PID: 1 at mm/test.c:1 test+0x0/0x1", flush=True)
    elif line.startswith("complain"):
        print("sysfs: cannot create duplicate filename '/a'\\nCPU: 0 PID: 1 Comm: a\\nCall Trace:", flush=True)
    elif line.startswith("fill"):
        print("fill: vmalloc error: size 4096, failed\\nCPU: 0 PID: 1 Comm: fill\\nCall Trace:", flush=True)
    elif line.startswith("test "):
        status = 1
    elif mark := re.search(r"<\\d+:", line):
        print(f"{{mark[0]}}{{status}}>", flush=True)
        status = 0
"""


@pytest.fixture
def guest(tmp_path, monkeypatch):
    fake = tmp_path / "qemu"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    image = tmp_path / "rv64/arch/riscv/boot/Image"
    image.parent.mkdir(parents=True)
    image.touch()
    machine = MACHINES["rv64"]._replace(qemu=str(fake), firmware=None)
    monkeypatch.setitem(MACHINES, "rv64", machine)
    monkeypatch.setattr("guest.vm.LOG", tmp_path)
    monkeypatch.setattr("guest.vm.BUILD", tmp_path)
    monkeypatch.setattr("guest.vm.PATIENCE", 1)
    monkeypatch.delenv("WEAK", raising=False)
    (tmp_path / "initramfs-rv64.cpio.gz").touch()
    with Guest("fake", tmp_path / "rv64") as guest:
        yield guest


@pytest.mark.parametrize("command, reason", [
    ("panic", "Kernel panic - not syncing: a test"),
    ("end", "QEMU ended early"),
    ("hang", "no answer within 2 s"),
])
def test_lost_guest(guest, command, reason):
    with pytest.raises(GuestError) as error:
        guest.run(command, 2)
    assert str(error.value) == reason
    assert "guest: ready" in error.value.console
    assert not guest.child.isalive()
    with pytest.raises(GuestError, match="the guest is gone: "):
        guest.run("true")


def test_warning_is_kept(guest):
    assert guest.run("warn", 10)[0] == 0
    assert guest.faults == ["WARNING: CPU: 0 PID: 1 at mm/test.c:1 test+0x0/0x1"]


def test_stack_trace_is_kept_unless_memory_was_short(guest):
    guest.run("fill", 10)
    assert guest.faults == []
    guest.run("complain", 10)
    assert guest.faults == ["sysfs: cannot create duplicate filename '/a': Call Trace:"]


def test_warning_while_it_powers_off_is_kept(guest):
    guest.run("late", 10)
    guest.power_off()
    assert guest.faults == ["WARNING: CPU: 0 PID: 1 at mm/test.c:1 test+0x0/0x1"]


def test_healthy_guest_has_no_faults(guest):
    assert guest.run("true", 10) == (0, [])
    assert guest.faults == []


def test_qemu_that_does_not_start(guest, tmp_path):
    (tmp_path / "qemu").write_text("#!/bin/sh\necho no such machine\nexit 1\n")
    with pytest.raises(GuestError, match="QEMU did not open its monitor: no such machine"):
        Guest("fake", tmp_path / "rv64")


# Tests like those of the other files: some use a guest that the module shares, others their own
TESTS = """
import pathlib
import pytest
from conftest import boot_guest
from guest import machine, vm

HERE = pathlib.Path(__file__).parent
machine.MACHINES["rv64"] = machine.MACHINES["rv64"]._replace(qemu=str(HERE / "qemu"), firmware=None)
vm.LOG = HERE
vm.POWEROFF_LIMIT = 1
FILES = {"image": HERE / "qemu", "initramfs": HERE / "qemu"}

@pytest.fixture(scope="module", params=[1, 2])
def boot(request):
    return boot_guest(request, "no kernel", f"fake-{request.param}", **FILES)

def test_good(boot):
    boot.guest.run("true", 10)

def test_warns(boot):
    boot.guest.run("warn", 10)

def test_last(boot):
    boot.guest.run("true", 10)

def test_own(start):
    start("no kernel", "fake", **FILES).guest.run("warn", 10)

def test_lost(start):
    start("no kernel", "fake", **FILES).guest.run("panic", 10)

def test_power(start):
    start("no kernel", "fake", **FILES).guest.run("unwilling", 10)
"""
CONSOLE = "no warning, bug or oops on the console"


# Each line: the tests that run, the numbers of good and of bad consoles, and the last line of output
@pytest.mark.parametrize("selected, good, bad, last", [
    ("test_good", 2, 0, "4 passed, 0 failed"),
    ("test_warns", 0, 2, "2 passed, 2 failed"),
    ("test_good or test_warns or test_last", 0, 2, "6 passed, 2 failed"),
    ("test_own", 0, 1, "1 passed, 1 failed"),
    ("test_lost", 0, 1, "0 passed, 2 failed"),
    ("test_power", 1, 0, "2 passed, 1 failed"),
])
def test_each_console_is_checked(tmp_path, selected, good, bad, last):
    """Each guest's console is checked once, whichever tests are selected."""
    (tmp_path / "qemu").write_text(FAKE)
    (tmp_path / "qemu").chmod(0o755)
    (tmp_path / "test_fake.py").write_text(TESTS)
    done = subprocess.run([sys.executable, "-B", "-m", "pytest", "-p", "conftest", "--rootdir", tmp_path,
                           tmp_path / "test_fake.py", "-k", selected], capture_output=True, text=True,
                          env=dict(os.environ, PYTHONPATH=str(TOP / "scripts/tests"), WEAK=""))
    lines = done.stdout.splitlines()
    assert lines[-1] == last, done.stdout
    assert sum(line == f"  ok    {CONSOLE}" for line in lines) == good, done.stdout
    assert sum(line.startswith(f"  FAIL  {CONSOLE}: 1, first: ") for line in lines) == bad, done.stdout
    assert bool(done.returncode) == ("0 failed" not in last)


def points(text):
    ktap = Ktap()
    found = [point for line in text.splitlines() for point in ktap.feed(line)]
    return found + ktap.end()


def test_ktap_points():
    assert points("TAP version 13\n1..3\nok 1 one\nnot ok 2 two\nok 3 # SKIP no\n") == [
        Point("one", "ok"), Point("two", "FAIL"), Point("", "skip", "no")]


def test_ktap_nested():
    assert points("1..1\n    # Subtest: s\n    1..2\n    ok 1 a\n    not ok 2 b\nnot ok 1 s\n") == [
        Point("s: a", "ok"), Point("s: b", "FAIL")]


@pytest.mark.parametrize("text", [
    "", "ok 1 no plan\n", "1..2\nok 1 one\n", "1..1\nok 1 one\nok 2 two\n", "1..1\nBail out! no\n",
    "1..1\n    # Subtest: s\n    1..2\n    ok 1 a\nok 1 s\n"])
def test_ktap_what_is_missing_fails(text):
    assert [point for point in points(text) if point.status == "FAIL"]


def test_documented_qemu():
    """docs/weak-machine.md lists the files with tests that need the QEMU of `make qemu`."""
    section = (TOP / "docs/weak-machine.md").read_text().split("## Which tests need the QEMU")[1]
    needs = re.compile(r'\bmmu=|\bweak="|QEMU_MODE[S]|\bneeds_device\("|@needs_plugin[s]')
    files = {path.name for path in (TOP / "scripts/tests").glob("test_*.py") if needs.search(path.read_text())}
    assert files == set(re.findall(r"`(test_\w+\.py)`", section))
