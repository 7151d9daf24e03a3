# SPDX-License-Identifier: GPL-2.0-only
"""The selftests of the series are run as the kernel's are: by `make run_tests` in tools/testing/selftests.

The programs are compiled for the host. make runs only those that need no argument. A user who is not root gets
no failure: each program is skipped."""

import os
import re
import subprocess

import pytest

from lib import LINUX, TOP

SELFTESTS = LINUX / "tools/testing/selftests"
FOLDERS = sorted(path.name for path in (TOP / "tools/testing/selftests").iterdir())
# Folders whose programs all need arguments
ARGUMENTS = {"kernel-memory", "memory-add-remove", "pci-ram", "zone-device"}
# Root becomes another user, who can still read a clone in root's home directory.
USER = [] if os.geteuid() else ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


def make(target, folder, output, user=()):
    done = subprocess.run([*user, "make", "-s", "-C", SELFTESTS / folder, f"OUTPUT={output}", "CC=gcc", target],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert not done.returncode, done.stdout
    return done.stdout.splitlines()


def test_all_folders_are_known():
    targets = re.findall(r"^TARGETS \+= (\S+)$", (SELFTESTS / "Makefile").read_text(), re.MULTILINE)
    assert not set(FOLDERS) - set(targets)


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_program_fails(tmp_path, folder):
    make("all", folder, tmp_path)
    tests = make("emit_tests", folder, tmp_path)
    assert bool(tests) == (folder not in ARGUMENTS)
    lines = make("run_tests", folder, tmp_path, USER)
    skipped = [line for line in lines if re.fullmatch(r"ok \d+ selftests: .* # SKIP", line)]
    assert len(skipped) == len(tests), lines
    assert not [line for line in lines if line.startswith("not ok") or "Bail out!" in line], lines
