# SPDX-License-Identifier: GPL-2.0-only
"""What make bench measures with."""

import os
import re

import pytest

import bench
import pagetable


@pytest.mark.skipif(bool(os.environ.get("QEMU")), reason="QEMU= may be one that has no plugins")
def test_counts(report):
    """Two independent counters: the plugin's, and the clock under -icount. And fences, of
    which the kernel has one for each program without the cache."""
    report.heading("Boot: 1 hart, what make bench counts with")
    bench.build_plugin()
    results = bench.Results()
    kernel = next(kernel for kernel in bench.KERNELS if kernel.name == "rox=1")
    bench.measure(kernel, bench.Run("test", ["bpf 100 16"]), 1, results)
    load = kernel.name, 1, "bpf-load 100 x 16"
    counted, clock = results.of(*load, *bench.ALL), results.values[load]["by-the-clock"]
    report.check(abs(counted - clock) < clock / 1000, "the plugin counts what the clock does",
                 f"{counted:.0f} instructions, {clock} by the clock")
    report.check(results.of(*load, "fence_i") == 1, "one call of the firmware for each program, for fence.i")


def merged(ranges):
    """Without what separates neighbours."""
    result = []
    for start, end in ranges:
        if result and result[-1][1] == start:
            start = result.pop()[0]
        result.append((start, end))
    return result


def test_page_table(report, start):
    """Read through the monitor, it is what the kernel says it is."""
    boot = start("4 harts, the page table as make bench reads it", "bench-pagetable")
    dump = boot.guest.output("cat /sys/kernel/debug/kernel_page_tables")
    said = [(int(line[1], 16), int(line[2], 16)) for line in
            re.finditer(r"^0x(\w+)-0x(\w+) .*\bX\b", dump, re.M) if int(line[1], 16) >= bench.WINDOW]
    found = merged((at, at + size) for at, size in bench.executable(boot.guest))
    report.check(said and found == merged(said), "all that is executable, and nothing else",
                 f"{found} are not {merged(said)}")
    below, empty = pagetable.tables(boot.guest.monitor)
    report.check(0 < empty < below, f"{below} page tables, {empty} of them empty")
