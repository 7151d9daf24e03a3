# SPDX-License-Identifier: GPL-2.0-only
"""Loading and unloading a thousand times leaves nothing behind."""

import pytest


@pytest.mark.parametrize("rox", [1, 0])
def test_cycles(start, rox):
    # Each kprobe stops the machine three times, which takes long with more
    # harts than the host has.
    boot = start(f"2 harts, 1,000 cycles of each user, execmem.rox={rox}", f"cycles-{rox}", harts=2,
                 append=f"rcupdate.rcu_expedited=1 execmem.rox={rox}")
    boot.suite("cycles", 400)
