# SPDX-License-Identifier: GPL-2.0-only
"""The tools of `make bench`.

The plugin counts the same as the clock under -icount. Half of the programs of production's sizes are below 500
bytes, three quarters below 2 KiB. pagetable.py reads the same page tables as the
kernel prints. A block of memory costs as many instructions beside 16 other blocks as alone, also when
four processes add and remove memory at once, and with virtio-mem."""

import os
import re

import pytest

from bench import measure as bench, pagetable


needs_plugins = pytest.mark.skipif(bool(os.environ.get("QEMU")), reason="QEMU= may be one that has no plugins")


def measure(run, results):
    """Measures the kernel that `make test` boots, with one hart. Returns the kernel's name."""
    bench.build_plugin()
    kernel = next(kernel for kernel in bench.KERNELS if kernel.out == bench.RV64)
    bench.measure(kernel, run, 1, results)
    return kernel.name


@needs_plugins
def test_counts(report):
    """Compares two independent counters of instructions: the plugin, and the clock under -icount. Also
    counts fences: the kernel needs one remote fence.i for each program."""
    report.heading("Boot: 1 hart, what make bench counts with")
    results = bench.Results()
    load = measure(bench.Run("test", ["bpf 100 16"]), results), 1, "bpf-load 100 x 16"
    counted, clock = results.of(*load, *bench.ALL), results.values[load]["by-the-clock"]
    report.check(abs(counted - clock) < clock / 1000, "the plugin counts what the clock does",
                 f"{counted:.0f} instructions, {clock} by the clock")
    report.check(results.of(*load, "fence_i") == 1, "one call of the firmware for each program, for fence.i")


@needs_plugins
def test_sizes(report):
    """The seed is fixed, so the programs are the same each time. 1 hart: they do not depend on the number of harts."""
    report.heading("Boot: 1 hart, programs of production's sizes")
    results = bench.Results()
    values = results.values[measure(bench.Run("test-sizes", ["sizes 1000 1"]), results), 1, "sizes 1000"]
    live = values["live"]
    for limit, share in ((500, 1 / 2), (2048, 3 / 4)):
        found = values[f"below-{limit}"] / live
        report.check(live > 100 and abs(found - share) < 0.05, f"{share:.0%} of the programs are below {limit} bytes",
                     f"{found:.0%} of {live}")


@needs_plugins
def test_memory(report):
    """A block costs the same however it is added, and whatever other memory there is."""
    report.heading("Boots: 1 hart, memory as make bench adds and removes it, and with virtio-mem")
    results, runs = bench.Results(), {run.name: run for run in bench.runs()}
    measure(runs["memory"]._replace(name="test-memory", commands=["memory 128", "online 16", "adders 4"]), results)
    name = measure(runs["resize"]._replace(name="test-resize", commands=["resize 1024"]), results)

    def block(section, blocks=1):
        return results.of(name, 1, section, *bench.ALL) / blocks

    for work, others in (("hot-add", ("hot-add 128 beside 16", "hot-add by 4", "grow 1024")),
                         ("hot-remove", ("hot-remove 128 beside 16", "hot-remove by 4"))):
        alone = block(f"{work} 128")
        for other in others:
            cost = block(other, 8 if other.startswith("grow") else 1)
            report.check(2 / 3 < cost / alone < 3 / 2, f"{other}: a block costs what it costs alone",
                         f"{cost:.0f} and {alone:.0f} instructions")
    # virtio-mem must first allocate the pages.
    report.check(block("shrink 1024", 8) > block("hot-remove 128"), "shrink 1024: a block costs more than its removal")


def test_kept_results(tmp_path):
    """Results that are kept are the same when they are read again, unless they are of something else."""
    results, again, path = bench.Results(), bench.Results(), tmp_path / "results.json"
    results.counts["a", 4, "work"].update(kernel=6, units=2)
    results.values["a", 4, "work"]["bytes"] = 7
    results.keep(path, "a kernel")
    for _ in range(2):
        again.add(bench.Results.kept(path, "a kernel"))
    assert again.of("a", 4, "work", "kernel") == 3 and again.counts["a", 4, "work"]["units"] == 4
    assert again.values == results.values
    assert bench.Results.kept(path, "another kernel") is None


def merged(ranges):
    """Joins adjacent ranges."""
    result = []
    for start, end in ranges:
        if result and result[-1][1] == start:
            start = result.pop()[0]
        result.append((start, end))
    return result


def test_page_table(report, start):
    """The page table that is read through the monitor equals the kernel's dump."""
    # measure.py expects kernels where they are linked.
    boot = start("4 harts, the page table as make bench reads it", "bench-pagetable", append="nokaslr")
    dump = boot.guest.output("cat /sys/kernel/debug/kernel_page_tables")
    said = [(int(line[1], 16), int(line[2], 16)) for line in
            re.finditer(r"^0x(\w+)-0x(\w+) .*\bX\b", dump, re.M) if int(line[1], 16) >= bench.WINDOW]
    found = merged((at, at + size) for at, size in bench.executable(boot.guest))
    report.check(said and found == merged(said), "all that is executable, and nothing else",
                 f"{found} are not {merged(said)}")
    below, empty = pagetable.tables(boot.guest.monitor)
    report.check(0 < empty < below, f"{below} page tables, {empty} of them empty")
