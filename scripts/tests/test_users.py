# SPDX-License-Identifier: GPL-2.0-only
"""The users of executable memory: where they are, and that they still work."""

import re

import pytest

from ktap import Ktap


@pytest.fixture(scope="module")
def boot(start):
    return start("4 harts, KUnit on", "users", append="kunit.enable=1")


def test_boot_log(report, boot):
    lines = boot.guest.boot_lines
    report.check("Checked W+X mappings: passed, no W+X pages found" in lines,
                 "DEBUG_WX finds no page writable and executable")
    report.check(any(line.startswith("riscv: preallocated") for line in lines),
                 "the log says what was preallocated")


def test_kunit(report, boot):
    ktap = Ktap()
    points = []
    for line in boot.guest.boot_lines:
        points += ktap.feed(line)
    for point in points + ktap.end():
        report.point(point)
    for suite in ("execmem", "kprobes_test"):
        report.check(any(point.name.startswith(suite + ": ") for point in points),
                     f"KUnit suite {suite} was run")
    provoked = re.findall(r"begin expected warning\n(.*?)end expected warning",
                          "\n".join(boot.guest.boot_lines), re.DOTALL)
    report.check(provoked and all(text.count("WARNING: ") == 1 for text in provoked),
                 "KUnit: every bad free warns once")


def test_placement(boot):
    boot.suite("placement", 60)


def test_wx(boot):
    boot.suite("wx", 60)


def test_end(boot):
    boot.end()
