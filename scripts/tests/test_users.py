# SPDX-License-Identifier: GPL-2.0-only
"""The users of executable memory: where they are, and that they still work."""

import pytest


# For the kernel of test_debug.py, too, which has its time.
LIMIT = 300


@pytest.fixture(scope="module")
def boot(start):
    return start("4 harts, KUnit on", "users", append="kunit.enable=1")


def test_boot_log(report, boot):
    lines = boot.guest.boot_lines
    report.check("Checked W+X mappings: passed, no W+X pages found" in lines,
                 "DEBUG_WX finds no page writable and executable")
    report.check(any(line.startswith("riscv: preallocated") for line in lines),
                 "the log says what was preallocated")


def test_kunit(boot):
    boot.kunit("execmem", "kprobes_test")


def test_placement(boot):
    boot.suite("placement", LIMIT)


def test_wx(boot):
    boot.suite("wx", LIMIT)


def test_end(boot):
    boot.end()


def test_full(start):
    """The window of BPF is filled, the others are not impressed."""
    boot = start("2 harts, the BPF window is filled", "full", harts=2)
    boot.suite("full", 300)
    boot.end()
