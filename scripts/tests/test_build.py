# SPDX-License-Identifier: GPL-2.0-only
"""The compiler command and the checksums of symbols that kbuild gets, the options of each kernel, and how long its
build took."""

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import time

import pytest

from lib import BUILD, TOP, kernel_make
from guest.machine import CONFIG, CROSS, KERNEL, machine_of, source_of
from kernel.configure import configure


def test_embedded_file_is_this_build_s(tmp_path):
    """ccache does not return another build's object for a source that embeds a file, such as a signing key."""
    command, env = kernel_make(tmp_path, "riscv", "")
    compiler = next(word[3:].split() for word in map(str, command) if word.startswith("CC="))
    env["CCACHE_DIR"] = str(tmp_path / "ccache")
    (tmp_path / "keys.S").write_text('.section .rodata\n.incbin "key"\n')
    (tmp_path / "compat.S").write_text('#include "keys.S"\n')
    (tmp_path / "keys.c").write_text('asm(".section .rodata\\n.incbin \\"key\\"\\n");\n')
    for source in "keys.S", "compat.S", "keys.c":
        for key in b"the first key", b"the second key":
            (tmp_path / "key").write_bytes(key)
            subprocess.run([*compiler, "-MD", "-c", "-o", "keys.o", source], cwd=tmp_path, env=env, check=True)
            assert key in (tmp_path / "keys.o").read_bytes(), source


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no checksums of symbols")
def test_checksums_of_symbols_are_kbuild_s(tmp_path):
    """The checksums of exported symbols that ccache keeps are those of the current source."""
    genksyms = BUILD / "out/distro/scripts/genksyms/genksyms"
    (tmp_path / "scripts/genksyms").mkdir(parents=True)
    (tmp_path / "scripts/genksyms/genksyms").symlink_to(genksyms)
    env = kernel_make(tmp_path, "riscv", CROSS)[1] | {"CCACHE_DIR": str(tmp_path / "ccache")}
    compiler = [f"{CROSS}gcc", "-Wp,-MMD,f.d", "f.c"]
    (tmp_path / "f.c").write_text('#include "f.h"\nint f(struct s *s) { return s->a; }\n__GENKSYMS_EXPORT_SYMBOL(f);\n')
    seen = []
    for members in "int a;", "int a;", "int b, a;":
        (tmp_path / "f.h").write_text(f"struct s {{ {members} }};\n")
        ours = subprocess.run([TOP / "scripts/kernel/symversions", *compiler], cwd=tmp_path, env=env, check=True,
                              capture_output=True, text=True).stdout
        source = subprocess.run([*compiler, "-E", "-D__GENKSYMS__"], cwd=tmp_path, check=True, capture_output=True)
        kbuild = subprocess.run([genksyms, "-r", "/dev/null"], input=source.stdout, check=True, capture_output=True)
        assert ours == kbuild.stdout.decode() != ""
        seen.append(ours)
    assert seen[0] == seen[1] != seen[2]
    hits = subprocess.run(["ccache", "--print-stats"], env=env, check=True, capture_output=True, text=True).stdout
    assert "direct_cache_hit\t1\n" in hits


@pytest.fixture(scope="module")
def configured(tmp_path_factory):
    """One directory for all kernels: kconfig's programs are compiled once."""
    return tmp_path_factory.mktemp("configured")


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIG.glob("*.config")))
def test_options_take_effect(configured, name):
    """The kernels that `make test` does not build can be configured, too."""
    if not shutil.which(f"{machine_of(name).cross}gcc"):
        pytest.skip(f"there is no {machine_of(name).cross}gcc: `make check-arch` installs it")
    if not source_of(name).exists():
        pytest.skip(f"there is no {source_of(name).relative_to(TOP)}: `make bench` and `make test-all` make it")
    configure(name, configured, configured / "log")


def test_time_of_a_build_is_printed(tmp_path, monkeypatch):
    loader = importlib.machinery.SourceFileLoader("kernel_build", str(TOP / "scripts/kernel/build"))
    build = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader.exec_module(build)
    now = 1000

    def run(*_):
        nonlocal now
        now += 125
        return 1

    for name, value in {"BUILD": tmp_path, "LOG": tmp_path, "source_state": lambda source: ("tree", True),
                        "configure": lambda *_: None, "run": run}.items():
        monkeypatch.setattr(build, name, value)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    build.build("rv64")
    (tmp_path / "test_nothing.py").touch()
    said = subprocess.run([TOP / "scripts/tests/run.py", tmp_path / "test_nothing.py"], capture_output=True, text=True,
                          env=dict(os.environ, BUILD=str(tmp_path))).stdout
    assert "\nMinutes that the last build of each kernel took:\n    2:05  rv64\n" in said
