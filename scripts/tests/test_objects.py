# SPDX-License-Identifier: GPL-2.0-only
"""`make check-arch` and `make check-configs` find the files of the series, and those that a configuration compiles."""

import pytest

from guest.machine import CROSS
from kernel import objects
from kernel.objects import Build, Config, touched
from lib import LINUX


def write(top, files):
    for name, content in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(content)


def test_touched_files(tmp_path, monkeypatch):
    """A file that is included is compiled with the file that includes it, even if the series does not touch that."""
    files = {"mm/one.c": "", "mm/two.c": '#include "two_test.c"\n', "mm/two_test.c": "", "mm/three.c": "",
             "mm/head.S": '#include "tail.S"\n', "mm/tail.S": "", "mm/vm.lds.S": "", "tools/vm/one.c": "",
             "lib/two.c": "", "Makefile": ""}
    write(tmp_path, files)
    changed = "\n".join(sorted(files.keys() - {"mm/two.c", "mm/three.c", "mm/head.S"}))
    monkeypatch.setattr(objects, "git_line", lambda *args: changed)
    assert touched("base", repo=tmp_path) == ["lib/two.c", "mm/head.S", "mm/one.c", "mm/two.c"]


@pytest.mark.parametrize("value", ["y", "m", None])
def test_configured_files(tmp_path, value):
    """The files of a directory are compiled if the directory is built in, or if all of it are modules."""
    source, out = tmp_path / "linux", tmp_path / "out"
    paths = [f"drivers/{name}.c" for name in ("a/a", "a/part", "a/other", "b/b")]
    write(source, {"drivers/Makefile": "obj-y += core.o\nobj-$(CONFIG_A) += a/\nobj-$(CONFIG_B) += b/\n",
                   "drivers/a/Makefile": "obj-$(CONFIG_A) += a.o both.o\nboth-y := part.o\n"
                                         "obj-$(CONFIG_B) += other.o\n",
                   "drivers/b/Makefile": "obj-y += b.o\n", **dict.fromkeys(paths, "")})
    (source / "scripts").symlink_to(LINUX / "scripts")
    option = f"CONFIG_A={value}\n" if value else ""
    write(out, {".config": option, "include/config/auto.conf": option})
    build = Build(Config("test", "riscv", CROSS, ""), source, out, None, None)
    assert build.configured(paths) == (["drivers/a/a.o", "drivers/a/part.o"] if value else [])


def test_prepared_files(tmp_path):
    """What `make prepare` compiles: programs of the host, and asm-offsets.c. A directory is not a program."""
    build = Build(Config("test", "riscv", CROSS, ""), LINUX, tmp_path, None, None)
    write(tmp_path, {"scripts/sorttable": "", "arch/riscv/kernel/asm-offsets.s": "", "kernel/module/main.o": ""})
    found = [path for path in ("scripts/sorttable.c", "arch/riscv/kernel/asm-offsets.c", "kernel/module.c", "mm/mmap.c")
             if build.prepared(path)]
    assert found == ["scripts/sorttable.c", "arch/riscv/kernel/asm-offsets.c"]


@pytest.mark.parametrize("on, config, good", [
    ("A B=m", "CONFIG_A=y\nCONFIG_B=m\n", True), ("A", "CONFIG_A=m\n", False), ("A=m", "CONFIG_A=y\n", False),
    ("A", "", False)])
def test_options_that_do_not_take_effect(tmp_path, monkeypatch, on, config, good):
    """A configuration without an option that was asked for, or with another value of it, is not compiled."""
    build = Build(Config("test", "riscv", CROSS, "allnoconfig", on, "C"), LINUX, tmp_path, None, None)
    monkeypatch.setattr(build, "make", lambda *arguments: (0, []))
    for more, as_asked in ("", good), ("CONFIG_C=y\n", False):
        (tmp_path / ".config").write_text(config + more)
        if as_asked:
            build.configure(strict=True)
        else:
            with pytest.raises(objects.Unbuildable):
                build.configure(strict=True)
        build.configure(strict=False)
