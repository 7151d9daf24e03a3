#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs suites that others wrote on the distribution kernel in Debian 13's user space, and on the same kernel without
the series.

run.py [SUITE...]: runs these suites, or all. Suites whose name begins with SUITE/ belong to it, too.

A suite has a boot of its own, on each kernel that is built. Its results are kept in build/field/results for as long as
the kernel, its modules, the root file system and the suite are the same: an interrupted run continues. The table of all
results goes to docs/field.md.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.append(sys.path[0] + "/..")    # lib.py and the folders beside this one
from field.suites import REASONS, SUITES
from guest.debian import BEFORE, E2FSPROGS, PREPARE, Installer
from guest.machine import PARTS, machine_of
from guest.vm import FAULT, GuestError
from lib import BUILD, TOP, Progress, die, file_digest, write_file
from tests.ktap import Point

FIELD = BUILD / "field"
ROOT = PARTS / "field.ext4"
DOCUMENT = TOP / "docs/field.md"
BEGIN, END = "<!-- made by make field -->\n", "<!-- end of what make field made -->\n"
BOOT_LIMIT = 300

# What the suites find on a running system. The last disks are the suite and the kernel's modules.
MOUNTS = [
    "mount -t debugfs debugfs /sys/kernel/debug",
    "mount -t tracefs tracefs /sys/kernel/tracing",
    "mount -t bpf bpf /sys/fs/bpf",
    "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    "mount -t tmpfs tmpfs /tmp",
    # Packages that are only unpacked make no empty directories.
    "mkdir -p /mnt /dev/shm /dev/pts /usr/lib/modules",
    "ln -s /proc/self/fd/1 /dev/stdout",
    "mount -t tmpfs tmpfs /dev/shm",
    "mount -t devpts devpts /dev/pts",
    "mount /dev/vdb /mnt",
    "mount /dev/vdc /usr/lib/modules",
    # No colours: FAULT would not find a complaint behind them.
    "export TERM=dumb",
    "ip link set lo up",
    # 6.1 interprets BPF programs by default, and lets only root load them.
    "sysctl -q net.core.bpf_jit_enable=1 kernel.unprivileged_bpf_disabled=0",
    # Nothing less than an error may come between lines of the suite. The log is read at the end.
    "dmesg -n 4",
]


class Kernel(NamedTuple):
    name: str
    out: Path

    @property
    def image(self):
        return self.out / machine_of(self.out.name).image

    @property
    def modules(self):
        """The modules as scripts/guest/initramfs installed them."""
        return BUILD / f"guest/{self.out.name}/installed/lib/modules"


KERNELS = [Kernel("series", BUILD / "out/distro"), Kernel("base", BUILD / "out/distro-base")]


def folder_digest(path):
    """Returns a hash of the names and contents of all files in a directory."""
    files = [(str(file.relative_to(path)), file_digest(file)) for file in sorted(path.rglob("*")) if file.is_file()]
    return hashlib.sha256(repr(files).encode()).hexdigest()


def make_disk(folder, image):
    """Packs a directory into a file system, with room for what a suite writes."""
    image.unlink(missing_ok=True)
    used = int(subprocess.run(["du", "-sm", folder], capture_output=True, text=True, check=True).stdout.split()[0])
    subprocess.run([f"{E2FSPROGS}/mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", folder, image,
                    f"{2 * used + 256}M"], check=True, stdout=subprocess.DEVNULL)


def disk_options(image, name):
    return ("-drive", f"file={image},format=raw,if=none,id={name}", "-device", f"virtio-blk-pci,drive={name}")


def points_of(suite, lines, faults, lost):
    """Returns the test points of what run_suite() returned. Points with the same name get numbers, so that they can
    be compared with another run."""
    parser, seen = suite.parser(), {}
    points = [point for line in lines for point in parser.feed(line)]
    if not points:
        points.append(Point("no test has run", "FAIL"))
    if lost:
        points.append(Point("the guest is gone", "FAIL", lost))
    else:
        points += parser.end()
        points.append(Point("no complaint in the kernel's log", "FAIL" if faults else "ok", "; ".join(faults[:2])))
    for number, point in enumerate(points):
        seen[point.name] = count = seen.get(point.name, 0) + 1
        if count > 1:
            points[number] = point._replace(name=f"{point.name} ({count})")
    return points


def run_suite(kernel, suite, progress):
    """Boots the kernel and runs the suite. Returns the suite's output, the complaints in the kernel's log and, if the
    guest ended early, the reason."""
    name = f"field-{kernel.name}-{suite.name.replace('/', '-')}"
    parser, lines, points = suite.parser(), [], []
    disk, modules = FIELD / f"{name}.ext4", FIELD / f"{name}-modules.ext4"
    make_disk(FIELD / suite.folder, disk)
    make_disk(kernel.modules, modules)

    def on_line(line):
        lines.append(line)
        points.extend(parser.feed(line))
        failed = sum(point.status == "FAIL" for point in points)
        progress.show(f"{kernel.name}, {suite.name}: {len(points)} tests, {failed} failed")

    # -snapshot: all disks stay as they are.
    devices = ("-snapshot", *disk_options(disk, "suite"), *disk_options(modules, "modules"))
    try:
        with Installer(name, kernel.out, harts=suite.harts, memory=suite.memory, append="init=/bin/sh", disk=ROOT,
                       boot_limit=BOOT_LIMIT, devices=devices) as guest:
            for command in (*PREPARE, *BEFORE, *MOUNTS):
                guest.output(command, BOOT_LIMIT)
            guest.kernel_log()
            try:
                guest.run(f"cd /mnt; ({suite.command}) </dev/null 2>&1", suite.limit, on_line)
                # A signal that kills a program of the suite is the suite's business.
                faults = [line for line in guest.kernel_log() if FAULT.search(line) and "unhandled signal" not in line]
            except GuestError as error:
                return lines, guest.faults, str(error)
            return lines, faults, None
    finally:
        disk.unlink()
        modules.unlink()


def results_of(kernel, suite, progress=None):
    """Returns the suite's points on this kernel: kept ones, or new ones if `progress` is given. None if there are
    none."""
    kept = FIELD / f"results/{kernel.name}-{suite.name.replace('/', '-')}.json"
    if not kernel.image.exists() or not kernel.modules.exists() or not (FIELD / suite.folder).exists():
        return None
    # Not of the parser: it reads the kept output.
    made_of = [repr(suite._replace(parser=None)), *map(file_digest, (kernel.image, ROOT)),
               *map(folder_digest, (kernel.modules, FIELD / suite.folder))]
    if kept.exists():
        was, *said = json.loads(kept.read_text())
        if was == made_of:
            return points_of(suite, *said)
    if not progress:
        return None
    said = run_suite(kernel, suite, progress)
    write_file(kept, json.dumps([made_of, *said]).encode())
    return points_of(suite, *said)


def counts(points):
    if points is None:
        return ["not run", "", "", ""]
    return [len(points), *(sum(point.status == status for point in points) for status in ("ok", "FAIL", "skip"))]


def reason_of(suite, point):
    for suites, said, reason in REASONS:
        if re.fullmatch(suites, suite.name) and re.search(said, f"{point.name}: {point.reason}"):
            return reason
    return None


def table(results):
    names = [kernel.name for kernel in KERNELS]
    yield "| suite | " + " | ".join(f"{name}: run | passed | failed | skipped" for name in names) + " |"
    yield "| --- |" + " ---: |" * 4 * len(names)
    for suite, found in results.items():
        yield f"| {suite.name} | " + " | ".join(str(cell) for points in found for cell in counts(points)) + " |"


def differences(results):
    """Yields a line for each test whose result differs between the kernels."""
    compared = {suite: found for suite, found in results.items() if None not in found}
    if not compared:
        yield "Not known: no suite has run on both kernels."
        return
    same = True
    for suite, found in compared.items():
        ours, base = ({point.name: point.status for point in points} for points in found)
        for name in sorted(ours.keys() | base.keys()):
            status = [statuses.get(name, "missing") for statuses in (ours, base)]
            if status[0] != status[1]:
                same = False
                yield f"- {suite.name}: `{name}`: {status[0]} with the series, {status[1]} without it"
    if same:
        yield "None."


def failures(results):
    """Yields the failures with the series: first those with a known reason, then the others."""
    known, unknown = {}, []
    for suite, (points, _) in results.items():
        for point in points or []:
            if point.status == "FAIL":
                if reason := reason_of(suite, point):
                    known.setdefault(f"- {suite.name}: {reason}: ", []).append(f"`{point.name}`")
                else:
                    unknown.append(f"- {suite.name}: `{point.name}`{': ' if point.reason else ''}{point.reason}"[:300])
    for reason, names in known.items():
        yield reason + ", ".join(names)
    if unknown:
        yield from ("", "Not explained yet:", "", *unknown)
    elif not known:
        yield "Nothing."


def document(results):
    """Returns the tables in Markdown. results: suite -> the points on each kernel, or None"""
    lines = ["", *table(results), "", "### Differences from the base", "", *differences(results), "",
             "### What fails with the series", "", *failures(results), ""]
    return "\n".join(lines) + "\n"


def chosen(names):
    for name in names:
        if not any(suite.name == name or suite.name.startswith(f"{name}/") for suite in SUITES):
            die(f"no suite '{name}' (there is: {', '.join(suite.name for suite in SUITES)})")
    return [suite for suite in SUITES
            if not names or any(suite.name == name or suite.name.startswith(f"{name}/") for name in names)]


def main():
    wanted = chosen(sys.argv[1:])
    kernels = [kernel for kernel in KERNELS if kernel.image.exists()]
    for kernel in KERNELS:
        if kernel not in kernels:
            print(f"field: {kernel.name} is not run: build/out has no {kernel.out.name}", file=sys.stderr)
    if not kernels:
        die("there is no kernel: run `make field`")
    for folder in dict.fromkeys(suite.folder for suite in wanted):
        if not (FIELD / folder).exists():
            print(f"building {folder}", file=sys.stderr)
            if subprocess.run([TOP / "scripts/field/build", folder], check=False).returncode:
                die("the suite could not be built, see above")
    progress, failed = Progress("running suites"), 0
    for suite in wanted:
        for kernel in kernels:
            try:
                results_of(kernel, suite, progress)
            except GuestError as error:
                failed += 1
                print(f"field: {kernel.name}, {suite.name}: {error}", file=sys.stderr)
    progress.done()
    head, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        die(f"{DOCUMENT.relative_to(TOP)} has no lines '{BEGIN.strip()}' and '{END.strip()}' for the table")
    text = document({suite: [results_of(kernel, suite) for kernel in KERNELS] for suite in SUITES})
    write_file(DOCUMENT, f"{head}{BEGIN}{text}{END}{tail}".encode())
    if failed:
        die(f"{failed} suites could not begin, see above")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        die("interrupted; run it again to go on")
