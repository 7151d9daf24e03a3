# SPDX-License-Identifier: GPL-2.0-only
"""The tour of `make run`, as a script and on a terminal, with Debian's QEMU and Sv57."""

import re
import subprocess

import pexpect
import pytest

from lib import LOG, TOP


@pytest.mark.parametrize("name, sections", [
    ("rv64", 7), ("rv32", 5), pytest.param("relocatable", 7, marks=pytest.mark.test_all)])
def test_tour(report, name, sections):
    report.heading(f"Boot: the tour of make run, {name}")
    done = subprocess.run([TOP / "scripts/guest/run.py", name], stdin=subprocess.DEVNULL, timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = done.stdout.splitlines()
    for number in range(1, sections + 1):
        title = next((line for line in lines if line.startswith(f"== {number}. ")), None)
        report.check(title, title or f"section {number} is shown")
    if name == "relocatable":
        offset = next((line.strip() for line in lines if " offset : " in line), "")
        report.check(re.match("offset : 0x[1-9a-f]", offset), f"the kernel is not where it is linked: {offset}")
    failures = [line for line in lines if line.startswith("FAILED")]
    report.check(not failures, "every section succeeds", "; ".join(failures))
    report.check(done.returncode == 0, "it powers off and exits with 0", lines[-1] if lines else "")


@pytest.mark.parametrize("variables, message", [
    (["BITS=16"], "BITS=16: give BITS=64 or BITS=32"),
    (["BITS=32", "KASLR=1"], "KASLR=1: give KASLR=1, with BITS=64, or nothing"),
])
def test_refused(variables, message):
    done = subprocess.run(["make", "-C", TOP, "--no-print-directory", "run", *variables],
                          capture_output=True, text=True)
    assert done.returncode
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_shell(report):
    report.heading("Boot: the shell of make run, on a terminal")
    with open(LOG / "run-shell.log", "w", encoding="utf-8") as log:
        tour = pexpect.spawn(str(TOP / "scripts/guest/run.py"), encoding="utf-8", timeout=300,
                             logfile=log)
        tour.expect("guest:~# ")
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
