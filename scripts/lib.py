# SPDX-License-Identifier: GPL-2.0-only
"""What the host scripts share: where things are, how to stop, how to show progress."""

import os
import shutil
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build"
LINUX = BUILD / "linux"
LOG = BUILD / "log"
# A git hook or "git rebase --exec" in build/linux points git at a repository.
for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
    os.environ.pop(name, None)


def die(message):
    """One clear line on what is wrong and what to do, and a non-zero exit."""
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")


def write_file(path, content, executable=False):
    """Writes a file so that an interrupted run leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temp = path.with_name(path.name + ".tmp")
    temp.write_bytes(content)
    temp.chmod(0o755 if executable else 0o644)
    os.replace(temp, path)


def kernel_make(out, arch, cross, source=LINUX):
    """The command and environment that build a kernel's source in `out`, for an ARCH=
    of the kernel's and with a compiler prefix."""
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "LANGUAGE") and not k.startswith("LC_")}
    # scripts/kernel/build reads the messages, and ccache keeps the objects of each locale apart.
    env["LANG"] = "C.UTF-8"
    command = ["make", "-C", source, f"O={out}", f"ARCH={arch}", f"CROSS_COMPILE={cross}", "LOCALVERSION=",
               "KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 2026", "KBUILD_BUILD_VERSION=1",
               "KBUILD_BUILD_USER=build", "KBUILD_BUILD_HOST=localhost"]
    if shutil.which("ccache"):
        # With a base directory ccache makes paths relative, so that a clone
        # elsewhere finds the same objects. kbuild shortens only the absolute
        # paths in __FILE__, hence the second map.
        env["CCACHE_BASEDIR"] = str(TOP)
        # What the compiler lists as read is enough to tell whether an object is still
        # good; running the preprocessor besides costs a fifth of a compilation.
        env["CCACHE_DEPEND"] = "1"
        # Objects with debug information are shared too: all that differs in them is the
        # directory in which they were compiled.
        env["CCACHE_NOHASHDIR"] = "1"
        # The checksums of exported symbols are kept in it, too.
        command += [f"CC={TOP / 'scripts/kernel/cc'} {cross}gcc", "HOSTCC=ccache gcc",
                    f"cmd_gensymtypes_c={TOP / 'scripts/kernel/symversions'} {cross}gcc $(c_flags) $<",
                    f"KCFLAGS=-fmacro-prefix-map={os.path.relpath(source, out)}/="]
    return command, env


class Progress:
    """How far a long step is: one line that overwrites itself on a terminal,
    a line every 30 seconds elsewhere."""

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

    def done(self, result="done"):
        print(self._line(result) + ("\x1b[K" if self.terminal else ""),
              file=self.screen, flush=True)

    def _line(self, how_far):
        seconds = int(time.monotonic() - self.start)
        return f"{self.what}: {how_far} ({seconds // 60}:{seconds % 60:02d})"
