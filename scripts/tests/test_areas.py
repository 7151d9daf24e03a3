# SPDX-License-Identifier: GPL-2.0-only
"""The records of executable memory, mm/execmem_areas.c, run in user space with AddressSanitizer and
UndefinedBehaviorSanitizer.

A million random operations are compared with a model, which is an array. Each allocation must be in
the same place as in the model. The seed is printed. The cost of an allocation and a free may grow only
with the logarithm of the number of pieces."""

import os
import re
import subprocess

import pytest

from lib import BUILD, LINUX

OUT = BUILD / "out/areas"
# The limit for cost(100,000 pieces) / cost(10 pieces). The trees are about five times as deep, but the
# search is only a part of the cost.
MOST_GROWTH = 3


def run(*command):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return subprocess.run(list(map(str, command)), env=env, timeout=300, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def built():
    OUT.mkdir(parents=True, exist_ok=True)
    # CROSS_COMPILE= is empty: the test runs on this machine.
    done = run("make", "-s", "-C", LINUX / "tools/testing/execmem", f"O={OUT}", "CROSS_COMPILE=")
    assert done.returncode == 0 and not done.stdout, done.stdout


def test_random(report, built):
    report.heading("User space: mm/execmem_areas.c against a model, with ASan and UBSan")
    done = run(OUT / "areas_test")
    lines = done.stdout.splitlines()
    good = done.returncode == 0 and lines[-1:] == ["ok: 1000000 operations"]
    report.check(good, f"a million random operations, {lines[0] if lines else 'no seed'}",
                 next((line for line in lines if re.search("FAIL|ERROR|error:", line)),
                      f"exit status {done.returncode}"))


def test_bad_seed(report, built):
    done = run(OUT / "areas_test", "x")
    report.check(done.returncode == 2 and len(done.stdout.splitlines()) == 1,
                 "a seed that is no number is refused in one line", done.stdout)


def test_cost(report, built):
    done = run(OUT / "areas_cost")
    cost = {int(pieces): int(blocks) for pieces, blocks in re.findall(r"(\d+) pieces: (\d+) basic blocks", done.stdout)}
    few, many = cost.get(10, 0), cost.get(100000, 0)
    report.check(0 < few <= many <= MOST_GROWTH * few,
                 f"to allocate and free: {few} basic blocks with 10 pieces, {many} with 100,000", done.stdout)
