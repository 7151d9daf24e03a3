# SPDX-License-Identifier: GPL-2.0-only
"""Shared by the host scripts: paths, the error exit, files, the kernel's make command, progress display."""

import functools
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
# check_commits sets BUILD= to run tests on the kernel of a topic.
BUILD = Path(os.environ.get("BUILD") or TOP / "build")
LINUX = BUILD / "linux"
LOG = BUILD / "log"
# A git hook and "git rebase --exec" set these variables. With them, git would use another repository than -C names.
for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
    os.environ.pop(name, None)


def die(message):
    """Ends the program with a non-zero status and one line that says what is wrong and what to do."""
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


@functools.cache
def file_digest(path):
    """Returns a hash of a file that does not change while the program runs."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path, content, executable=False):
    """Replaces a file as a whole: an interrupted run leaves either the old file or the new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(path.name + ".tmp")
    temp.write_bytes(content)
    temp.chmod(0o755 if executable else 0o644)
    os.replace(temp, path)


def kernel_make(out, arch, cross, source=LINUX):
    """Returns the make command and the environment for a kernel build in the directory `out`. arch is
    the kernel's ARCH=, cross is the prefix of the compiler."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "LANGUAGE") and not k.startswith("LC_")}
    # One locale: scripts/kernel/build parses messages, and ccache does not share objects between locales.
    env["LANG"] = "C.UTF-8"
    command = ["make", "-C", source, f"O={out}", f"ARCH={arch}", f"CROSS_COMPILE={cross}", "LOCALVERSION=",
               "KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 2026", "KBUILD_BUILD_VERSION=1",
               "KBUILD_BUILD_USER=build", "KBUILD_BUILD_HOST=localhost"]
    if shutil.which("ccache"):
        # Below CCACHE_BASEDIR, ccache turns absolute paths into relative ones. A clone in
        # another directory then finds the same objects. kbuild shortens only absolute paths
        # in __FILE__, so KCFLAGS has a second map, for the relative path.
        env["CCACHE_BASEDIR"] = str(TOP)
        # ccache compares the files that the compiler reported as read. By default it also
        # runs the preprocessor, which takes a fifth of the time of a compilation.
        env["CCACHE_DEPEND"] = "1"
        # Share objects with debug information, too. Between clones they differ only in the
        # directory of the compilation.
        env["CCACHE_NOHASHDIR"] = "1"
        # symversions keeps the checksums of exported symbols in ccache.
        command += [f"CC={TOP / 'scripts/kernel/cc'} {cross}gcc", "HOSTCC=ccache gcc",
                    f"cmd_gensymtypes_c={TOP / 'scripts/kernel/symversions'} {cross}gcc $(c_flags) $<",
                    f"KCFLAGS=-fmacro-prefix-map={os.path.relpath(source, out)}/="]
    return command, env


class Progress:
    """Shows the progress of a long step: on a terminal in one line that is overwritten, elsewhere in a
    new line every 30 seconds."""

    def __init__(self, what, screen=sys.stderr):
        self.what = what
        self.screen = screen
        self.start = self.shown = time.monotonic()
        self.terminal = screen.isatty()

    def show(self, how_far):
        now = time.monotonic()
        if now - self.shown < (0.2 if self.terminal else 30):
            return
        self.shown = now
        print(f"{self._line(how_far)}\x1b[K" if self.terminal else self._line(how_far),
              end="\r" if self.terminal else "\n", file=self.screen, flush=True)

    def seconds(self):
        return time.monotonic() - self.start

    def done(self, result="done"):
        print(self._line(result) + ("\x1b[K" if self.terminal else ""),
              file=self.screen, flush=True)

    def _line(self, how_far):
        seconds = int(self.seconds())
        return f"{self.what}: {how_far} ({seconds // 60}:{seconds % 60:02d})"
