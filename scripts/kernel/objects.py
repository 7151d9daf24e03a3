# SPDX-License-Identifier: GPL-2.0-only
"""Compiles only the files that the series touches, in any configuration of any architecture.

These are all .c and .S files that differ between two commits of build/linux. A warning is a
complaint, unless the base gives the same warning in the same configuration. The base is built
only when there is a warning.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from series.commits import BASE, git_line, root_commit, unpack_base
from lib import BUILD, LINUX, LOG, Progress, kernel_make, write_file
from guest.machine import configuration, machine_of

OUT = BUILD / "out/objects"

# All warnings of sparse and the compiler. sparse of Debian 12 does not know the names of
# extensions in kbuild's -march, so -march is replaced.
SPARSE = ["W=1", "C=1", """CHECK=bash -c 'exec sparse "$${@/#-march=*/-march=rv64imac}"' sparse"""]


class Config(NamedTuple):
    name: str
    arch: str           # the kernel's ARCH=
    cross: str          # the prefix of the compiler
    target: str         # the make target that writes the configuration
    on: str = ""        # options that are switched on in addition: NAME, or NAME=m
    off: str = ""       # options that are switched off

    @property
    def directory(self):
        """The directory of the architecture's files."""
        return f"arch/{ {'parisc64': 'parisc', 'x86_64': 'x86', 'i386': 'x86'}.get(self.arch, self.arch)}/"

    def of(self, paths):
        """Returns the paths that do not belong to another architecture."""
        return [path for path in paths if path.startswith(self.directory) or not path.startswith("arch/")]

    def switched_on(self):
        return [f"CONFIG_{option}" if "=" in option else f"CONFIG_{option}=y" for option in self.on.split()]

    def lines(self):
        return self.switched_on() + [f"# CONFIG_{option} is not set" for option in self.off.split()]


class Listed(Config):
    """A configuration of scripts/kernel/config: all options that it does not list are off."""

    def lines(self):
        return list(configuration(self.name)[0].values())


def listed(name):
    machine = machine_of(name)
    return Listed(name, machine.arch, machine.cross, "allnoconfig")


class Unbuildable(Exception):
    """A step before the compilation of the touched files failed. The text names the step."""


def touched(since=None, revision="HEAD", repo=LINUX):
    """Returns the kernel's source files that the commits after `since` add or change, without linker scripts.
    Files that include one of them, in the same directory, stand for it. `repo` has the files of `revision`."""
    paths = git_line("diff", "--name-only", "--diff-filter=d", since or root_commit(), revision).split()
    paths = {path for path in paths if path.endswith((".c", ".S"))
             and not path.startswith("tools/") and not path.endswith(".lds.S")}
    included, including = set(), set()
    for directory in {Path(path).parent for path in paths}:
        for source in (repo / directory).glob("*.[cS]"):
            names = re.findall(r'^#include "([^"/]+\.[cS])"', source.read_text(errors="replace"), re.M)
            if found := paths.intersection(str(directory / name) for name in names):
                included.update(found)
                including.add(str(directory / source.name))
    return sorted(paths.union(including).difference(included))


class Build:
    """One configuration of one source tree, and its output directory."""

    def __init__(self, config, source, out, log, progress):
        self.config, self.source, self.out, self.log, self.progress = config, source, out, log, progress
        self.command, self.env = kernel_make(out, config.arch, config.cross, source)
        out.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def jobs():
        return f"-j{len(os.sched_getaffinity(0))}"

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

    def configure(self, strict):
        """Makes the configuration, and returns kconfig's output. If `strict`, an option that does not
        take effect is an error. For the base it is none: the base lacks the options of the series."""
        wanted, lines = self.config.lines(), []
        asked = self.out / "asked.config"
        write_file(asked, "\n".join(wanted + [""]).encode())
        if self.config.target.startswith("all"):
            status, lines = self.make(f"KCONFIG_ALLCONFIG={asked}", self.config.target)
        else:
            status, _ = self.make(self.config.target)
            if not status and wanted:
                merge = self.source / "scripts/kconfig/merge_config.sh"
                subprocess.run([merge, "-m", "-O", self.out, self.out / ".config", asked], cwd=self.out,
                               stdout=subprocess.DEVNULL, check=True)
                status, lines = self.make("olddefconfig")
        if status:
            raise Unbuildable(self.config.target)
        config = (self.out / ".config").read_text()
        missing = [line for line in self.config.switched_on() if f"{line}\n" not in config]
        missing += [f"no {option}" for option in self.config.off.split()
                    if re.search(rf"^CONFIG_{option}=", config, re.M)]
        if missing and strict:
            raise Unbuildable(f"{self.config.target} (did not take effect: {', '.join(missing)})")
        return lines

    def listed(self, directory):
        """Returns the objects that kbuild makes in a directory, and the text of the directory's makefile."""
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
             f"srctree={self.source}", "objtree=.", f"SRCARCH={self.config.directory.split('/')[1]}",
             f"BITS={bits}", "need-builtin=1", "need-modorder=1", "list"],
            cwd=self.out, env=self.env, capture_output=True, text=True)
        return done.stdout.split(), (self.source / directory / name).read_text()

    def configured(self, paths):
        """Returns the objects of `paths` that are part of the configuration."""
        objects = set()
        for directory in {str(Path(path).parent) for path in paths}:
            # kbuild would list the objects of a directory even if its option is off.
            parent = str(Path(directory).parent)
            above, text = self.listed(parent) if parent != "." else ([], "")
            made = {f"{directory}/built-in.a", f"{directory}/modules.order"}
            if not above or not re.search(rf"= *{Path(directory).name}/", text) or made.intersection(above):
                objects.update(self.listed(directory)[0])
        wanted = [str(Path(path).with_suffix(".o")) for path in paths if (self.source / path).exists()]
        return sorted(objects.intersection(wanted))

    def prepared(self, path):
        """Whether `make prepare` compiles a source file: it does so with programs of the host and asm-offsets.c."""
        return any((self.out / path).with_suffix(suffix).is_file() for suffix in ("", ".s"))

    def within(self, path):
        """Returns the path in its tree of a file that the compiler names."""
        # kbuild has resolved symbolic links in the paths of the trees. A generated file is in `out`.
        path, trees = (self.out / path).resolve(), (self.source.resolve(), self.out.resolve())
        found = next((path.relative_to(tree) for tree in trees if path.is_relative_to(tree)), path)
        # Of an object that another clone has compiled, ccache repeats the warnings with that clone's paths.
        return str(found).split(f"/{self.source.parent.name}/{self.source.name}/")[-1]

    def warnings(self, lines):
        """Returns the warnings of compilers and kconfig, without line numbers: the series moves lines."""
        found = []
        for line in lines:
            if said := re.match(r"(\S+?):\d+:(?:\d+:)? (?:fatal )?((?:warning|error): .*)", line, re.I):
                found.append(f"{self.within(said[1])}: {said[2]}")
            elif re.match(r"WARNING: unmet|.*(recursive dependency|linux-gnu-ld: warning)", line):
                found.append(line)
        return found

    def untouched(self, warning):
        """Whether sparse warns about the locks of a function that the series does not touch. The base
        does not show that warning where it does not compile the file."""
        said = re.match(r"(\S+): warning: context imbalance in '(\w+)'", warning)
        return said and said[2] not in git_line("diff", root_commit(), "HEAD", "--", said[1], repo=self.source)

    def compile(self, paths, *arguments, strict=True):
        """Compiles. Returns the objects, the output, and whether all succeeded."""
        lines = self.configure(strict)
        status, more = self.make(self.jobs(), "prepare")
        if status:
            raise Unbuildable("prepare")
        objects = self.configured(paths)
        for path in objects:
            (self.out / path).unlink(missing_ok=True)
        status, compiled = 0, []
        if objects:
            status, compiled = self.make("-k", self.jobs(), *arguments, *objects)
        return objects, lines + more + compiled, not status

    def run(self, paths, *arguments, strict=True):
        """The same, but returns only the warnings of the output."""
        objects, lines, good = self.compile(paths, *arguments, strict=strict)
        return objects, self.warnings(lines), good

    def complaints(self, paths, *arguments, strict=True, compare=True):
        """Compiles. Returns the source files that are part of the configuration, and the errors and
        warnings. If `compare`, warnings that the base has too are left out."""
        paths = self.config.of(paths)
        try:
            objects, warnings, good = self.run(paths, *arguments, strict=strict)
            if warnings and compare:
                unpack_base()
                # A warning in a header appears less often in the base, which lacks the new files.
                base = Build(self.config, BASE, OUT / f"{self.config.name}-base", self.log, self.progress)
                known = base.run(paths, *arguments, strict=False)[1]
                warnings = [warning for warning in warnings if warning not in known and not self.untouched(warning)]
        except Unbuildable as error:
            return [], [f"make {error} failed, see {os.path.relpath(self.log)}"]
        found = list(dict.fromkeys(warnings))
        if not good and not found:
            found = [f"make failed, see {os.path.relpath(self.log)}"]
        return [path for path in paths if str(Path(path).with_suffix(".o")) in objects or self.prepared(path)], found


def new_log(name):
    log = LOG / f"{name}.log"
    LOG.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    return log


def compile_touched(config, screen):
    """Returns the source files that were compiled, and the complaints."""
    log, progress = new_log(f"objects-{config.name}"), Progress(f"        {config.name}", screen)
    return Build(config, LINUX, OUT / config.name, log, progress).complaints(touched())
