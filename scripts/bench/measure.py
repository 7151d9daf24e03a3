#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Measures the costs of executable memory with this series and in other kernels.

measure.py [KERNEL...]: measures these kernels, or all. With QUICK=1 in the environment, it measures
less, and without names only the first three kernels.

All kernels boot in the same machine with the same programs. The plugin scripts/bench/count.c
counts the instructions of all harts, firmware included. With -icount, counts are repeatable.
Results are printed and written to build/bench/. A run with all kernels and without QUICK=1 also
writes them to docs/measurements.md. The counts of a boot are kept for as long as the kernel, its
initramfs, QEMU and the commands are the same, so that an interrupted run continues.
"""

import concurrent.futures
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

sys.path.append(sys.path[0] + "/..")    # lib.py and the folders beside this one
from bench import pagetable
from guest import vm
from guest.machine import LINK, PARTS
from guest.vm import SPARSE, Guest, GuestError, virtio_mem
from lib import BUILD, TOP, Progress, die, file_digest, write_file

QUICK = os.environ.get("QUICK") == "1"
OUT = BUILD / "bench"
PLUGIN = OUT / "count.so"
PLOT = TOP / "docs/bench.svg"
DOCUMENT = TOP / "docs/measurements.md"
BEGIN, END = "<!-- made by make bench -->\n", "<!-- end of what make bench made -->\n"

BOOT = "boot"           # the name of a run, and of the plugin's section for it
MMU = "sv57"
LIMIT = 1800            # seconds for a command; no command should take that long

# The 2 GiB below LINK have modules and BPF programs. The kernel itself begins at LINK.
WINDOW = LINK - (2 << 30)


class Kernel(NamedTuple):
    name: str
    what: str               # description; also says how the configuration differs
    out: Path               # output directory, which also names the initramfs
    append: str = ""
    image: Path | None = None
    has: tuple = ("modules",)

    @property
    def boots(self):
        return self.image or self.out / "arch/riscv/boot/Image"


FIXED, ROX0, BASE, RV64 = BUILD / "out/fixed", "execmem.rox=0", BUILD / "out/base", BUILD / "out/rv64"
# The kernels of each table
LEAN = [
    Kernel("base", "6.1 without the series; its configuration differs in memory hotplug, which it lacks", BASE),
    Kernel("rox=0", f"the series with `{ROX0}`", FIXED, ROX0, has=("modules", "hotplug")),
    Kernel("rox=1", "the series", FIXED, has=("modules", "hotplug", "room")),
    Kernel("no hotplug", "the series, configured without memory hotplug", BUILD / "out/nohotplug",
           has=("modules", "room")),
    # Without nokaslr it would be elsewhere than the others.
    Kernel("relocatable", "the series, configured with `CONFIG_RANDOMIZE_BASE` and booted with `nokaslr`", RV64,
           "nokaslr", has=()),
    Kernel("6.12", "the source of Debian 13's kernel, in the configuration of rox=1. There it has no GOT for modules,"
           " so the modules of 5,000 and 20,000 functions are built without one", BUILD / "out/linux-6.12",
           has=("modules", "hotplug", "room")),
]
DISTRIBUTION = [
    Kernel("distro-base", "6.1 without the series; its configuration differs in memory hotplug, which it lacks",
           BUILD / "out/distro-base", has=("tracer",)),
    Kernel("distro", "the series, booted with `nokaslr`", BUILD / "out/distro", "nokaslr", has=("room", "tracer")),
    Kernel("Debian 13", "Debian 13's kernel as shipped", BASE, image=PARTS / "linux-trixie/Image",
           has=("room", "tracer")),
    Kernel("Debian sid", "Debian's newest kernel, also as shipped", BASE, image=PARTS / "linux-sid/Image",
           has=("tracer",)),
]
KERNELS = LEAN + DISTRIBUTION


class Run(NamedTuple):
    name: str
    commands: list          # arguments of the guest program bench
    harts: tuple = (1, 4)
    needs: str = ""         # a feature that not all kernels have
    memory: str = "1G"
    append: str = ""
    devices: tuple = ()
    initramfs: Path | None = None
    # With "off", the guest's clock jumps to the next interrupt when all harts wait. A run needs "on" if
    # its sections wait for this script: with "off", the number of interrupts would depend on the host.
    sleep: str = "off"
    masked: bool = False    # whether the plugin counts the longest time with interrupts off


def runs():
    sizes = {16: (1, 100, 1000, 10000), 200: (1, 100, 1000, 10000), 4000: (1, 100, 1000)}
    pieces = [f"pieces {live} 64 4096 65536 1048576" for live in (10, 1000, 100000)]
    memory = "memory 128 1024 8192 65536", "online 512", "adders 4"
    functions = "functions 5000 20000"
    # One step a second for a day
    probes, steps, flips = 1000, 86400, 20000
    modules = "execmem_target", "execmem_bench", "test_bpf 'test_suite=test_bpf test_id=0'"
    if QUICK:
        sizes, pieces, probes, steps, flips = {16: (1, 1000)}, pieces[::2], 100, 2000, 1000
        memory, modules = ("memory 128 1024", "adders 4"), modules[:1]
        functions = "functions 5000"
    # Short series are repeated. Counts are averages. Memory is measured in the last series, which
    # reuses the memory that the kernel kept from the first.
    bpf = [f"bpf {count} {insns}" for insns, counts in sizes.items() for count in counts
           for _ in range({1: 10, 1000: 2}.get(count, 1))]
    # All kernels boot with the same user space, modules included: unpacking it is most of the work.
    yield Run(BOOT, [], initramfs=BUILD / "initramfs-base.cpio.gz")
    yield Run("bpf", bpf, memory="2G")
    if not QUICK:
        # 200 MiB of programs: some kernels have room for only 128 MiB. Debian sid would need 1,260 billion
        # instructions.
        yield Run("bpf-many", ["bpf 10000 4000"], harts=(4,), needs="room", memory="2G")
    yield Run("sizes", [f"sizes {flips} 1"], harts=(4,))
    yield Run("kprobes", ["kprobes 1", f"kprobes {probes}"], needs="modules")
    yield Run("kprobe-events", ["kprobe"], harts=(4,))
    yield Run("tracing", ["tracing"], harts=(4,), needs="tracer", masked=True)
    yield Run("calls", ["calls 1000 16 20"], harts=(4,), needs="modules")
    yield Run("fork", ["fork"])
    yield Run("pieces", pieces, harts=(1,), needs="modules", memory="2G")
    yield Run("modules", [f"module {module}" for module in modules], needs="modules")
    # Some kernels take minutes. Only one hart works, so one is enough.
    yield Run("functions", [functions], harts=(1,), needs="modules")
    movable = "memhp_default_state=online_movable"
    yield Run("memory", memory, harts=(1,), needs="hotplug", memory="67G", append=f"mem=2G {movable}", devices=SPARSE)
    yield Run("resize", ["resize 8192"], harts=(1,), needs="hotplug", memory="1G,maxmem=16G", append=movable,
              devices=virtio_mem("8G", "block-size=2M"), sleep="on")
    yield Run("trace", [f"trace {steps} 1"], harts=(1,), needs="modules")


def build_plugin():
    header = PARTS / "qemu/qemu-plugin.h"
    if not header.exists():
        die("no build/parts/qemu: run `make qemu`")
    OUT.mkdir(parents=True, exist_ok=True)
    flags = subprocess.run(["pkg-config", "--cflags", "glib-2.0"], capture_output=True, text=True, check=True)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", *flags.stdout.split(),
                    f"-I{header.parent}", "-o", PLUGIN, TOP / "scripts/bench/count.c"], check=True)


class Results:
    """Results of each kernel with each number of harts. `counts` has the sums of the plugin's counts over
    all sections of the same name, and as "units" how often these sections did their work. `values` has
    figures that are measured once, after a section or at the end of the boot (section "boot")."""

    def __init__(self):
        self.counts = defaultdict(lambda: defaultdict(int))
        self.values = defaultdict(dict)

    def read_counts(self, kernel, harts, path, only_boot):
        with path.open(encoding="utf-8") as file:
            for line in csv.DictReader(file, delimiter="\t"):
                key = kernel, harts, line.pop("section")
                if (key[2] == BOOT) != only_boot:
                    continue
                for figure, amount in line.items():
                    if figure.startswith("leaves"):
                        self.values[key][figure] = int(amount)
                    elif figure == "masked":
                        self.values[key][figure] = max(int(amount), self.values[key].get(figure, 0))
                    else:
                        self.counts[key][figure] += int(amount)

    def add(self, other):
        for key, figures in other.counts.items():
            for figure, amount in figures.items():
                self.counts[key][figure] += amount
        for key, figures in other.values.items():
            self.values[key].update(figures)

    def keep(self, path, made_of):
        kept = [[[*key, figures] for key, figures in of.items()] for of in (self.counts, self.values)]
        write_file(path, json.dumps([made_of, *kept]).encode())

    @classmethod
    def kept(cls, path, made_of):
        """Returns the results that keep() wrote, or None if they are of something else."""
        if not path.exists():
            return None
        was, *kept = json.loads(path.read_bytes())
        if was != made_of:
            return None
        results = cls()
        for of, lines in zip((results.counts, results.values), kept):
            for *key, figures in lines:
                of[tuple(key)].update(figures)
        return results

    def of(self, kernel, harts, section, *figures):
        """Returns the sum of these figures for a unit of work, or None if there is no such section."""
        counts, values = self.counts.get((kernel, harts, section)), self.values.get((kernel, harts, section), {})
        if figures[0] in values:
            return sum(values[figure] for figure in figures)
        if not counts or figures[0] not in counts:
            return None
        return sum(counts[figure] for figure in figures) / counts["units"]

    def write(self):
        with (OUT / "results.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["kernel", "harts", "section", "figure", "amount"])
            for (kernel, harts, section), figures in self.counts.items():
                for figure, amount in figures.items():
                    if figure != "units":
                        writer.writerow([kernel, harts, section, figure, amount / figures["units"]])
            for (kernel, harts, section), figures in self.values.items():
                for figure, amount in figures.items():
                    writer.writerow([kernel, harts, section, figure, amount])


def executable(guest):
    """Returns (address, size) of each executable mapping: the kernel's, and those in the 2 GiB below it."""
    return [(at, size) for at, size, flags in pagetable.leaves(guest.monitor, WINDOW) if flags & pagetable.EXECUTE]


def bytes_loaded(leaves):
    return sum(size for at, size in leaves if at < LINK)


def write_map(leaves, text_end, path):
    """Writes the input of the plugin's TLB models."""
    lines = [f"leaf {at:x} {size:x}\n" for at, size in leaves]
    # Areas: modules and BPF programs; memory behind the kernel's text in its last large page
    lines += [f"area {WINDOW:x} {LINK:x}\n", f"area {text_end:x} {(text_end | (2 << 20) - 1) + 1:x}\n"]
    write_file(path, "".join(lines).encode())


def made_of(kernel, run, harts):
    """Returns what the counts of a boot depend on."""
    qemu, *files = vm.made_of(kernel.out, MMU, kernel.image, run.initramfs)
    files += shutil.which(qemu), PLUGIN, __file__, vm.__file__, pagetable.__file__
    return repr([kernel, run, harts, *map(file_digest, files)])


def measured(kernel, run, harts):
    """Returns the results of a boot: those that are kept, or new ones."""
    path, made = OUT / f"{name_of(kernel, run, harts)}.json", made_of(kernel, run, harts)
    results = Results.kept(path, made)
    if not results:
        results = Results()
        measure(kernel, run, harts, results)
        results.keep(path, made)
    return results


def name_of(kernel, run, harts):
    return f"bench-{kernel.name.replace(' ', '-')}-{run.name}-{harts}"


def measure(kernel, run, harts, results):
    name = name_of(kernel, run, harts)
    counts, pages = OUT / f"{name}.counts", OUT / f"{name}.map"
    pages.unlink(missing_ok=True)
    plugin = f"{PLUGIN},out={counts},map={pages}{',masked=on' if run.masked else ''}"
    devices = [*run.devices, "-icount", f"shift=0,sleep={run.sleep}", "-plugin", plugin]
    with Guest(name, kernel.out, mmu=MMU, harts=harts, memory=run.memory, append=f"{kernel.append} {run.append}",
               devices=devices, image=kernel.image, initramfs=run.initramfs, boot_limit=LIMIT) as guest:
        if run.name == BOOT:
            values = results.values[kernel.name, harts, BOOT]
            for field, kib in re.findall(r"(\w+): +(\d+) kB", guest.output("cat /proc/meminfo")):
                values[field] = int(kib) * 1024
            values["page-tables"], values["page-tables-empty"] = pagetable.tables(guest.monitor)
            values["image"] = kernel.boots.stat().st_size
            _, ends = guest.run("grep -w -e __rela_dyn_start -e __rela_dyn_end /proc/kallsyms")
            values["relocations"] = int(ends[-1].split()[0], 16) - int(ends[0].split()[0], 16) if ends else 0
        text_end = int(guest.output("grep -w _etext /proc/kallsyms").split()[0], 16)
        before = bytes_loaded(executable(guest))
        for command in run.commands:
            section = ""

            def on_line(line):
                nonlocal section
                kind, _, rest = line.partition(" ")
                if kind == "section":
                    section, _, clock = rest.rpartition(" ")
                    if harts == 1:
                        results.values[kernel.name, harts, section]["by-the-clock"] = int(clock)
                elif kind == "value":
                    figure, _, amount = rest.partition(" ")
                    results.values[kernel.name, harts, section][figure] = int(amount)
                elif kind == "resize":
                    guest.monitor.type(f"qom-set vm0 requested-size {rest}")
                elif kind == "pause":
                    leaves = executable(guest)
                    results.values[kernel.name, harts, section]["mapped-bytes"] = bytes_loaded(leaves) - before
                    if run.name == "calls":
                        write_map(leaves, text_end, pages)
                    guest.child.send("\n")

            status, lines = guest.run(f"bench -p {command}", LIMIT, on_line, reads=True)
            if status:
                raise GuestError(f"bench {command}: {' '.join(lines[-1:])}")
        if guest.faults:
            raise GuestError(f"the guest's console has {guest.faults[0]}")
    results.read_counts(kernel.name, harts, counts, run.name == BOOT)


ALL = "user", "kernel", "firmware"
LOAD, UNLOAD = "bpf-load 1000 x 16", "bpf-unload 1000 x 16"


def rows(results):
    """Yields the rows of the table: (title, function that returns a kernel's value, or None for a heading)."""
    def row(what, harts, *sections, figures=ALL, scale=1):
        def get(kernel):
            found = [results.of(kernel.name, harts, section, *figures) for section in sections]
            return None if None in found else sum(found) * scale
        return what, get

    def executable_bytes(kernel):
        used = results.of(kernel.name, 4, LOAD, "executable-bytes")
        mapped = results.of(kernel.name, 4, LOAD, "mapped-bytes")
        return used if used is not None or mapped is None else mapped / 1000

    def misses(model):
        def get(kernel):
            missed = results.of(kernel.name, 4, "calls 1000", f"misses_{model}")
            return None if missed is None else 1000 * missed / results.of(kernel.name, 4, "calls 1000", "kernel")
        return get

    probes = 100 if QUICK else 1000
    yield "**1,000 BPF programs of 16 instructions**, for each", None
    for harts, of in ((1, "1 hart"), (4, "4 harts")):
        yield row(f"instructions to load, {of}", harts, LOAD)
        yield row(f"... of these in the firmware, {of}", harts, LOAD, figures=("firmware",))
        yield row(f"instructions to unload, {of}", harts, UNLOAD)
    yield row("remote TLB fences to load", 4, LOAD, figures=("sfence", "sfence_asid"))
    yield row("remote TLB fences to unload", 4, UNLOAD, figures=("sfence", "sfence_asid"))
    yield row("remote fence.i to load", 4, LOAD, figures=("fence_i",))
    yield row("remote fence.i to unload", 4, UNLOAD, figures=("fence_i",))
    yield row("free memory, bytes", 4, LOAD, figures=("free-bytes",))
    yield "executable memory, bytes", executable_bytes
    yield row("vmalloc space, bytes", 4, LOAD, figures=("vmalloc-bytes",))
    yield "**More programs, and longer ones**, for each", None
    for count, insns in ((10000, 16), (10000, 200), (1000, 4000), (10000, 4000)):
        for work in "load", "unload":
            yield row(f"instructions to {work}, {count:,} of {insns:,}, 4 harts", 4,
                      f"bpf-{work} {count} x {insns}")
    yield "**BPF programs of sizes as in production**, loaded and unloaded at random", None
    for flips in (1000, 20000):
        section = f"sizes {flips}"
        yield row(f"instructions for each of {flips:,} loads and unloads, 4 harts", 4, section)
        yield row("... bytes of machine code in live programs", 4, section, figures=("image-bytes",))
        yield row("... executable bytes mapped for them", 4, section, figures=("mapped-bytes",))
    yield "**1,000 programs and 20 modules**, called in turn", None
    yield row("page-table entries that the calls use", 4, "calls 1000", figures=("leaves_small", "leaves_large"))
    yield "TLB misses in 1,000 instructions, 40 entries", misses("full")
    yield "... 4 ways of 32 entries", misses("sets")
    yield "**Kprobes**, instructions", None
    yield row("kprobe with a slot: arm and disarm, 1 hart", 1, "kprobe-arm 1", "kprobe-disarm 1")
    yield row("... 4 harts", 4, "kprobe-arm 1", "kprobe-disarm 1")
    yield row(f"... each of {probes:,}, 4 harts", 4, f"kprobe-arm {probes}", f"kprobe-disarm {probes}")
    yield row("kprobe event: arm and disarm, 4 harts", 4, "kprobe-event-arm", "kprobe-event-disarm")
    yield "**Tracing**, instructions, 4 harts", None
    for functions, name in (("one", "one function"), ("all", "all functions")):
        for tracer, work in (("function", "on"), ("nop", "off")):
            yield row(f"function tracer, {name}: switch {work}", 4, f"tracer {tracer} {functions}")
            yield row("... remote fence.i", 4, f"tracer {tracer} {functions}", figures=("fence_i",))
            yield row("... the longest with interrupts off", 4, f"tracer {tracer} {functions}", figures=("masked",))
    for where, name in (("entry", "first"), ("inside", "a later")):
        yield row(f"kprobe event at {name} instruction: arm and disarm", 4, f"probe {where} arm",
                  f"probe {where} disarm")
        yield row("... to arm, the longest with interrupts off", 4, f"probe {where} arm", figures=("masked",))
    for work in "attach", "detach":
        yield row(f"fentry program: {work}", 4, f"fentry {work}")
        yield row("... remote fence.i", 4, f"fentry {work}", figures=("fence_i",))
        yield row("... the longest with interrupts off", 4, f"fentry {work}", figures=("masked",))
    for how, name in (("alone", "not traced"), ("traced", "traced"), ("entry", "kprobe at its first instruction"),
                      ("inside", "kprobe at a later one"), ("fentry", "fentry program")):
        yield row(f"lseek(), its function {name}", 4, f"call {how}")
    yield "**Instructions for other work**", None
    for size, name in ((64, "64 B"), (4096, "4 KiB"), (65536, "64 KiB"), (1048576, "1 MiB")):
        for live in (10, 1000, 100000):
            yield row(f"allocate and free {name}, {live:,} live", 1, f"pieces {size} at {live} live")
    for module, size in (("execmem_target", "small"), ("execmem_bench", "medium"), ("test_bpf", "large")):
        yield row(f"insmod, {size}, 4 harts", 4, f"insmod {module}")
        yield row(f"rmmod, {size}, 4 harts", 4, f"rmmod {module}")
    for count in (5000, 20000):
        yield row(f"insmod, {count:,} functions: for each, 1 hart", 1, f"insmod {count} functions", scale=1 / count)
    for mib in (128, 1024, 8192, 65536):
        yield row(f"hot-add {mib:,} MiB, for each 128 MiB", 1, f"hot-add {mib}", scale=128 / mib)
        yield row(f"hot-remove {mib:,} MiB, for each 128 MiB", 1, f"hot-remove {mib}", scale=128 / mib)
    for what, section in (("128 MiB, with 512 blocks of 128 MiB online", "128 beside 512"),
                          ("by 4 processes at once, for 128 MiB, 1 hart", "by 4")):
        yield row(f"hot-add {what}", 1, f"hot-add {section}")
        yield row(f"hot-remove {what}", 1, f"hot-remove {section}")
    for work in "grow", "shrink":
        for unit, name in ((1024, "1 GiB"), (2, "2 MiB")):
            yield row(f"{work} by 8,192 MiB with virtio-mem, for each {name}", 1, f"{work} 8192", scale=unit / 8192)
    yield row("fork, exit and wait, 1 hart", 1, "fork+exit")
    yield row("... 4 harts", 4, "fork+exit")
    yield row("boot to init, 1 hart", 1, BOOT)
    yield "**Memory**", None
    yield row("image, KiB", 1, BOOT, figures=("image",), scale=1 / 1024)
    yield row("... of these relocations, which are freed after boot", 1, BOOT, figures=("relocations",), scale=1 / 1024)
    yield row("free after boot, KiB", 4, BOOT, figures=("MemFree",), scale=1 / 1024)
    yield row("page tables after boot, pages", 4, BOOT, figures=("page-tables",))
    yield row("... of these empty, because preallocated", 4, BOOT, figures=("page-tables-empty",))
    for steps in (2000, 86400):
        yield row(f"after {steps:,} random loads and unloads: bytes of live programs", 1, f"trace {steps}",
                  figures=("trace-image-bytes",))
        yield row("... executable bytes mapped, for them, kprobes and modules", 1, f"trace {steps}",
                  figures=("mapped-bytes",))
        yield row("... instructions for a step", 1, f"trace {steps}")


def table(results, kernels):
    """Returns the table in Markdown, aligned for a terminal, without rows in which no kernel has a value."""
    lines, heading = [["", *(kernel.name for kernel in kernels)]], None
    for what, get in rows(results):
        if not get:
            heading = [what, *("" for _ in kernels)]
            continue
        cells = [get(kernel) for kernel in kernels]
        if all(cell is None for cell in cells):
            continue
        if heading:
            lines.append(heading)
            heading = None
        lines.append([what, *("-" if cell is None else
                              f"{cell:,.0f}" if cell >= 10 or cell == int(cell) else f"{cell:.2f}"
                              for cell in cells)])
    widths = [max(map(len, column)) for column in zip(*lines)]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "".join("| " + " | ".join([line[0].ljust(widths[0]),
                                      *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]) + " |\n"
                   for line in lines)


def plot(results, kernels, name, ylabel, xlabel, points):
    """Writes build/bench/NAME.svg. points are (x, harts, section)."""
    shown, data, path = [], [], OUT / f"{name}.svg"
    path.unlink(missing_ok=True)
    for kernel in kernels:
        found = [(x, results.of(kernel.name, harts, section, *ALL)) for x, harts, section in points]
        found = [(x, y) for x, y in found if y is not None]
        if found:
            shown.append(f"'-' using 1:2 with linespoints title '{kernel.name}'")
            data.append("".join(f"{x} {y}\n" for x, y in found) + "e\n")
    if not shown:
        return
    script = (f"set terminal svg size 720,400 background 'white'\nset output '{path}'\nset logscale xy\n"
              f"set xlabel '{xlabel}'\nset ylabel '{ylabel}'\nset format xy '%.0s%c'\nset key outside right\nset grid\n"
              f"plot {', '.join(shown)}\n" + "".join(data))
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def report(results, kernels, whole):
    text = ""
    for title, group in (("The small kernel", LEAN), ("The kernel of a distribution", DISTRIBUTION)):
        if group := [kernel for kernel in group if kernel in kernels]:
            notes = "".join(textwrap.fill(f"- **{kernel.name}**: {kernel.what}.", 120, subsequent_indent="  ") + "\n"
                            for kernel in group)
            text += f"### {title}\n\n{table(results, group)}\n{notes}\n"
    print(f"\n{text}")
    for work in "load", "unload":
        for insns in (16, 200, 4000):
            plot(results, kernels, f"{work}-{insns}", f"instructions to {work} one, 4 harts and firmware",
                 f"BPF programs of {insns} instructions",
                 [(count, 4, f"bpf-{work} {count} x {insns}") for count in (1, 100, 1000, 10000)])
    for size in (64, 1048576):
        plot(results, kernels, f"pieces-{size}", f"instructions to allocate and free {size} bytes", "live pieces",
             [(live, 1, f"pieces {size} at {live} live") for live in (10, 1000, 100000)])
    plot(results, kernels, "memory", "instructions to add", "MiB",
         [(mib, 1, f"hot-add {mib}") for mib in (128, 1024, 8192, 65536)])
    if not whole:
        return
    plotted = OUT / "load-16.svg"
    if not plotted.exists():
        die(f"no kernel could load programs of 16 instructions: {DOCUMENT.relative_to(TOP)} stays as it was")
    write_file(PLOT, plotted.read_bytes())
    head, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        die(f"{DOCUMENT.relative_to(TOP)} has no lines '{BEGIN.strip()}' and '{END.strip()}' for the table")
    write_file(DOCUMENT, f"{head}{BEGIN}\n{text}"
                         f"![Instructions to load a program]({PLOT.name})\n{END}{tail}".encode())


def main():
    names = sys.argv[1:]
    if unknown := set(names) - {kernel.name for kernel in KERNELS}:
        die(f"no kernel '{unknown.pop()}' (there is: {', '.join(kernel.name for kernel in KERNELS)})")
    kernels = []
    for kernel in KERNELS[:3] if QUICK and not names else KERNELS:
        if kernel.boots.exists() and (kernel.name in names or not names):
            kernels.append(kernel)
        elif not names or kernel.name in names:
            print(f"bench: {kernel.name} is left out: build/ has no such kernel", file=sys.stderr)
    if not kernels:
        die("there is no kernel to measure: run `make bench`")
    build_plugin()
    results, progress = Results(), Progress("measuring")
    jobs = [(kernel, run, harts) for run in runs() for kernel in kernels
            if not run.needs or run.needs in kernel.has for harts in run.harts]
    done = failed = 0
    # Boots run in parallel: the counts do not depend on the load of the host.
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        running = {pool.submit(measured, *job): job for job in jobs}
        try:
            for future in concurrent.futures.as_completed(running):
                kernel, run, harts = running[future]
                done += 1
                progress.show(f"{done} of {len(jobs)} boots, {kernel.name} with {run.name}")
                try:
                    results.add(future.result())
                except GuestError as error:
                    failed += 1
                    print(f"bench: {kernel.name}, {run.name}, {harts} harts: {error}", file=sys.stderr)
        except KeyboardInterrupt:
            # The pool would wait for running boots: kill their guests.
            pool.shutdown(wait=False, cancel_futures=True)
            for guest in list(Guest.running):
                guest.child.kill(signal.SIGKILL)
            die("interrupted")
    progress.done()
    results.write()
    report(results, kernels, not (names or failed or QUICK))
    if failed:
        die(f"{failed} of {len(jobs)} boots failed, see above: {DOCUMENT.relative_to(TOP)} stays as it was")


if __name__ == "__main__":
    main()
