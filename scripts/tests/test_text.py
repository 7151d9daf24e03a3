# SPDX-License-Identifier: GPL-2.0-only
"""The functions that write kernel text call no code that could be traced or probed."""

import re
import subprocess

import pytest

from lib import BUILD
from guest.machine import KERNEL, machine_of

OBJECT = "arch/riscv/mm/text_alias.o"


def outside_calls(path, cross):
    """Returns the instructions in .noinstr.text that leave it, other than returns, and a dictionary: whether each
    function that writes text has a fence.i."""
    dump = subprocess.run([f"{cross}objdump", "-dr", "-j", ".noinstr.text", "--no-show-raw-insn", path],
                          capture_output=True, text=True, check=True).stdout
    writers = re.split(r"<(text_alias_write_\w+)>:", dump)[1:]
    assert writers
    lines = [line.split() for line in dump.splitlines() if re.match(r"\s+[0-9a-f]+:\s", line)]
    calls = [" ".join(line[1:]) for line in lines
             if re.fullmatch(r"jalr?|jr|call|tail|ecall|ebreak|R_RISCV_CALL.*|R_RISCV_JAL", line[1])]
    # A jump within the function also has a relocation, to a local label.
    return ([call for call in calls if not re.fullmatch(r"R_RISCV_JAL \.L\d+", call)],
            {name: "fence.i" in code for name, code in zip(writers[::2], writers[1::2])})


# All 64-bit kernels that `make test` and `make test-all` build
@pytest.mark.parametrize("config", [
    *sorted({"rv64", KERNEL}), "debug", "nomodules",
    *[pytest.param(config, marks=pytest.mark.test_all) for config in ("up", "preempt")],
    *[pytest.param("distro-lockdep", marks=pytest.mark.test_all)] * (KERNEL == "distro")])
def test_writer(report, config):
    report.heading(f"Object: {OBJECT} of {config}")
    calls, writers = outside_calls(BUILD / "out" / config / OBJECT, machine_of(config).cross)
    report.check(not calls, "what writes to text calls nothing", ", ".join(calls))
    for name, fenced in writers.items():
        report.check(fenced, f"{name}() fences its own instruction fetch")
