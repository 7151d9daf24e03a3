# SPDX-License-Identifier: GPL-2.0-only
"""The tour of `make run`, as a script and on a terminal, with Debian's QEMU and Sv57."""

import re
import subprocess

import pexpect
import pytest

from lib import LOG, TOP


OFFSETS = []    # of the 64-bit kernels that the tours have booted


def check_offset(report, text):
    found = re.search(r" offset : 0x([1-9a-f]\w*) ", text)
    report.check(found, "the first section shows how far the kernel is from where it is linked")
    report.check(re.search(r" kernel : .* \( *\d+ MB\)", text), "the kernel's area ends with the kernel")
    OFFSETS.append(found[1] if found else None)
    report.check(len(set(OFFSETS)) == len(OFFSETS), "another run has another offset", OFFSETS)


@pytest.mark.parametrize("name, sections", [("rv64", 7), ("rv32", 5)])
def test_tour(report, name, sections):
    report.heading(f"Boot: the tour of make run, {name}")
    done = subprocess.run([TOP / "scripts/guest/run.py", name], stdin=subprocess.DEVNULL, timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = done.stdout.splitlines()
    for number in range(1, sections + 1):
        title = next((line for line in lines if line.startswith(f"== {number}. ")), None)
        report.check(title, title or f"section {number} is shown")
    if name == "rv64":
        check_offset(report, done.stdout)
    failures = [line for line in lines if line.startswith("FAILED")]
    report.check(not failures, "every section succeeds", "; ".join(failures))
    report.check(done.returncode == 0, "it powers off and exits with 0", lines[-1] if lines else "")


def test_bits():
    done = subprocess.run(["make", "-C", TOP, "--no-print-directory", "run", "BITS=16"],
                          capture_output=True, text=True)
    assert done.returncode
    assert "BITS=16: give BITS=64 or BITS=32" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_shell(report):
    report.heading("Boot: the shell of make run, on a terminal")
    with open(LOG / "run-shell.log", "w", encoding="utf-8") as log:
        tour = pexpect.spawn(str(TOP / "scripts/guest/run.py"), encoding="utf-8", timeout=300,
                             logfile=log)
        tour.expect("guest:~# ")
        check_offset(report, tour.before)
        tour.sendline("echo $((6 * 7))")
        report.check(tour.expect(["\n42\r", pexpect.TIMEOUT], 30) == 0, "the shell runs a command")
        tour.send("\x01c\n")
        report.check(tour.expect([r"\(qemu\) ", pexpect.TIMEOUT], 30) == 0,
                     "Ctrl-A c reaches the monitor")
        tour.send("\x01c\n")
        tour.expect("guest:~# ")
        tour.sendline("exit")
        report.check(tour.expect([pexpect.EOF, pexpect.TIMEOUT], 60) == 0, "'exit' powers off")
        tour.close(force=True)
        report.check(tour.exitstatus == 0, "the exit status is 0", str(tour.exitstatus))
