# SPDX-License-Identifier: GPL-2.0-only
"""The compiler that kbuild is given."""

import subprocess

from lib import kernel_make


def test_embedded_file_is_this_build_s(tmp_path):
    """An object that embeds a file, such as the key that modules are signed with, is not another build's."""
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
