# SPDX-License-Identifier: GPL-2.0-only
"""Compiles what the series touches for architectures that are not booted.

The objects of all .c and .S files that differ between the base and HEAD of
build/linux, in one of the architecture's own configurations with the users of
executable memory switched on. A warning is a complaint unless the base, built
the same way, gives it too; the base is only built when there is a warning.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from lib import BUILD, LINUX, LOG, Progress, kernel_make, write_file

OUT = BUILD / "out/check-arch"
BASE = OUT / "base"             # the base's source, unpacked when it is needed


class Arch(NamedTuple):
    name: str
    arch: str           # the kernel's ARCH=
    cross: str          # the compiler's prefix
    defconfig: str
    options: str        # what must be on besides

    @property
    def directory(self):
        """Where its files are."""
        return f"arch/{'parisc' if self.arch == 'parisc64' else self.arch}/"


EVERYWHERE = "MODULES KUNIT EXECMEM_KUNIT_TEST DEBUG_FS"
HOTPLUG = "MEMORY_HOTPLUG MEMORY_HOTREMOVE"

ARCHS = (
    Arch("arm", "arm", "arm-linux-gnueabihf-", "multi_v7_defconfig", "FTRACE KPROBES BPF_JIT KASAN"),
    Arch("arm64", "arm64", "aarch64-linux-gnu-", "defconfig", "FTRACE KPROBES BPF_JIT KASAN FUNCTION_TRACER " + HOTPLUG),
    Arch("m68k", "m68k", "m68k-linux-gnu-", "multi_defconfig", ""),
    Arch("mips", "mips", "mipsel-linux-gnu-", "malta_defconfig", "FTRACE KPROBES BPF_JIT"),
    Arch("mips64", "mips", "mips64el-linux-gnuabi64-", "loongson3_defconfig", "FTRACE KPROBES BPF_JIT FUNCTION_TRACER"),
    Arch("parisc", "parisc", "hppa-linux-gnu-", "generic-32bit_defconfig", "FTRACE KPROBES"),
    Arch("parisc64", "parisc64", "hppa64-linux-gnu-", "generic-64bit_defconfig", "FTRACE KPROBES"),
    Arch("powerpc", "powerpc", "powerpc-linux-gnu-", "pmac32_defconfig", "FTRACE KPROBES BPF_JIT KASAN FUNCTION_TRACER"),
    Arch("powerpc-8xx", "powerpc", "powerpc-linux-gnu-", "mpc885_ads_defconfig", "FTRACE KPROBES"),
    Arch("powerpc64", "powerpc", "powerpc64le-linux-gnu-", "ppc64le_defconfig", "FTRACE KPROBES BPF_JIT FUNCTION_TRACER"),
    Arch("riscv", "riscv", "riscv64-linux-gnu-", "defconfig", "FTRACE KPROBES BPF_JIT KASAN VIRT_DRIVERS PCI_RAM SPARSEMEM_MANUAL ZONE_DEVICE " + HOTPLUG),
    Arch("riscv32", "riscv", "riscv64-linux-gnu-", "rv32_defconfig", "FTRACE KPROBES BPF_JIT"),
    Arch("s390", "s390", "s390x-linux-gnu-", "defconfig", "FTRACE KPROBES BPF_JIT KASAN FUNCTION_TRACER"),
    Arch("sh", "sh", "sh4-linux-gnu-", "rts7751r2d1_defconfig", "FTRACE KPROBES"),
    Arch("sparc", "sparc", "sparc64-linux-gnu-", "sparc32_defconfig", "BPF_JIT"),
    Arch("sparc64", "sparc", "sparc64-linux-gnu-", "sparc64_defconfig", "FTRACE KPROBES BPF_JIT FUNCTION_TRACER"),
    Arch("i386", "x86", "x86_64-linux-gnu-", "i386_defconfig", "FTRACE KPROBES BPF_JIT FUNCTION_TRACER"),
    Arch("x86_64", "x86", "x86_64-linux-gnu-", "x86_64_defconfig",
         "FTRACE KPROBES BPF_JIT KASAN FUNCTION_TRACER HYPERVISOR_GUEST HYPERV"),
)
# Not alpha, for which 6.1.192 itself does not compile (page_table_check_pte_clear()
# in asm/pgtable.h), and of which the series touches nothing.
# Debian 12 has no compiler for these.
NO_COMPILER = ("arch/loongarch/", "arch/nios2/")


class Unbuildable(Exception):
    """A step other than the compilation of touched files failed; says which."""


def git_linux(*args):
    return subprocess.run(["git", "-C", LINUX, *args], capture_output=True, text=True, check=True).stdout


def base_commit():
    return git_linux("rev-list", "--max-parents=0", "HEAD").strip()


def touched():
    """The source files of the kernel that the series adds or changes, but those that
    another one of them includes."""
    files = git_linux("diff", "--name-only", "--diff-filter=d", base_commit(), "HEAD").split()
    files = [path for path in files if path.endswith((".c", ".S")) and not path.startswith("tools/")]
    text = "".join((LINUX / path).read_text() for path in files)
    return [path for path in files if f'#include "{Path(path).name}"' not in text]


class Build:
    """One architecture's output directory for one source tree."""

    def __init__(self, arch, source, log, progress):
        self.arch, self.source, self.log, self.progress = arch, source, log, progress
        self.out = OUT / f"{arch.name}{'-base' if source == BASE else ''}"
        self.command, self.env = kernel_make(self.out, arch.arch, arch.cross, source)
        self.out.mkdir(parents=True, exist_ok=True)

    def make(self, *arguments):
        """Runs make, and returns its exit status and output."""
        lines = []
        with self.log.open("a") as writing:
            writing.write(f"# {self.source.name}: make {' '.join(arguments)}\n")
            with subprocess.Popen([*self.command, *arguments], env=self.env, text=True, errors="replace",
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as making:
                for line in making.stdout:
                    writing.write(line)
                    lines.append(line.rstrip())
                    self.progress.show(f"{self.source.name}, {line.strip()[:40]}")
        return making.returncode, lines

    def configure(self):
        """The configuration; the lines that kconfig complained in."""
        status, _ = self.make(self.arch.defconfig)
        if status:
            raise Unbuildable(self.arch.defconfig)
        options = f"{EVERYWHERE} {self.arch.options}".split()
        # kconfig warns of an option that is there twice.
        kept = [line for line in (self.out / ".config").read_text().splitlines()
                if not re.match(rf"(# )?CONFIG_({'|'.join(options)})\b", line)]
        write_file(self.out / ".config", "\n".join(kept + [f"CONFIG_{option}=y" for option in options] + [""]).encode())
        status, lines = self.make("olddefconfig")
        config = (self.out / ".config").read_text().splitlines()
        missing = [option for option in options if f"CONFIG_{option}=y" not in config]
        if status or (missing and self.source == LINUX):
            raise Unbuildable(f"olddefconfig (did not take effect: {' '.join(missing)})")
        return lines

    def listed(self, directory):
        """What kbuild makes in a directory, and the text of its makefile."""
        for name in ("Kbuild", "Makefile"):
            if (self.source / directory / name).exists():
                break
        else:
            return [], ""
        bits = 64 if "CONFIG_64BIT=y\n" in (self.out / ".config").read_text() else 32
        listing = self.out / "objects.mk"
        write_file(listing, b"list:\n\t@echo $(real-obj-y) $(real-obj-m) $(lib-y) $(extra-y)\n")
        done = subprocess.run(
            ["make", "-s", "-f", self.source / "scripts/Makefile.build", "-f", listing, f"obj={directory}",
             f"srctree={self.source}", "objtree=.", f"SRCARCH={self.arch.directory.split('/')[1]}",
             f"BITS={bits}", "need-builtin=1", "need-modorder=1", "list"],
            cwd=self.out, env=self.env, capture_output=True, text=True)
        return done.stdout.split(), (self.source / directory / name).read_text()

    def configured(self, paths):
        """The objects of those source files that the configuration has."""
        objects = set()
        for directory in {str(Path(path).parent) for path in paths}:
            # A directory of an option that is off would list its objects nevertheless.
            parent = str(Path(directory).parent)
            above, text = self.listed(parent) if parent != "." else ([], "")
            if not above or not re.search(rf"= *{Path(directory).name}/", text) or f"{directory}/built-in.a" in above:
                objects.update(self.listed(directory)[0])
        wanted = [str(Path(path).with_suffix(".o")) for path in paths if (self.source / path).exists()]
        return sorted(objects.intersection(wanted))

    def warnings(self, lines):
        """What compilers and kconfig warn of, without line numbers: those the series moves."""
        found = []
        for line in lines:
            if said := re.match(r"(\S+?):\d+:(?:\d+:)? (?:fatal )?((?:warning|error): .*)", line, re.I):
                found.append(f"{re.sub(rf'^.*?/{self.source.name}/', '', said[1])}: {said[2]}")
            elif re.match(r"WARNING: unmet|.*(recursive dependency|linux-gnu-ld: warning)", line):
                found.append(line)
        return found

    def run(self, paths):
        """Compiles; the objects, the warnings, and whether all went well."""
        lines = self.configure()
        status, more = self.make("prepare")
        if status:
            raise Unbuildable("prepare")
        objects = self.configured(paths)
        for path in objects:
            (self.out / path).unlink(missing_ok=True)
        status, compiled = self.make("-k", f"-j{len(os.sched_getaffinity(0))}", *objects)
        return objects, self.warnings(lines + more + compiled), not status


def unpack_base():
    commit = base_commit()
    marker = BASE / ".commit"
    if marker.exists() and marker.read_text() == commit:
        return
    subprocess.run(["rm", "-rf", BASE], check=True)
    BASE.mkdir(parents=True)
    with subprocess.Popen(["git", "-C", LINUX, "archive", commit], stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", BASE], stdin=archive.stdout, check=True)
    marker.write_text(commit)


def compile_touched(arch, screen):
    """The source files that were compiled, and what is wrong."""
    log = LOG / f"arch-{arch.name}.log"
    LOG.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    progress = Progress(f"        {arch.name}", screen)
    paths = [path for path in touched() if path.startswith(arch.directory) or not path.startswith("arch/")]
    try:
        objects, warnings, good = Build(arch, LINUX, log, progress).run(paths)
        if warnings:
            unpack_base()
            # Of a header, the base gives one less for each file that is new.
            known = Build(arch, BASE, log, progress).run(paths)[1]
            warnings = [warning for warning in warnings if warning not in known]
    except Unbuildable as error:
        return [], [f"make {error} failed, see {os.path.relpath(log)}"]
    complaints = list(dict.fromkeys(warnings))
    if not good and not complaints:
        complaints = [f"make failed, see {os.path.relpath(log)}"]
    return [path for path in paths if str(Path(path).with_suffix(".o")) in objects], complaints
