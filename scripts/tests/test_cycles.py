# SPDX-License-Identifier: GPL-2.0-only
"""Loading and unloading a thousand times leaves nothing behind."""


def test_cycles(start):
    # Each kprobe stops the machine three times, which takes long with more
    # harts than the host has.
    boot = start("2 harts, 1,000 cycles of each user", "cycles", harts=2,
                 append="rcupdate.rcu_expedited=1")
    boot.suite("cycles", 400)
    boot.end()
