# SPDX-License-Identifier: GPL-2.0-only
"""A thousand load/unload cycles of modules, kprobes and BPF programs leave nothing behind."""

import pytest


@pytest.mark.parametrize("rox", [1, pytest.param(0, marks=pytest.mark.test_all)])
def test_cycles(start, rox):
    boot = start(f"2 harts, 1,000 cycles of each user, execmem.rox={rox}", f"cycles-{rox}", harts=2,
                 append=f"rcupdate.rcu_expedited=1 execmem.rox={rox}")
    boot.suite("cycles", 400)
