# SPDX-License-Identifier: GPL-2.0-only
"""The kernel that watches (KASAN, lockdep, kmemleak...) has nothing to say about any of it."""

import re

import pytest

# The tests run here, too, on this module's boot.
from test_users import LIMIT, test_boot_log, test_kunit, test_placement, test_wx    # noqa: F401


@pytest.fixture(scope="module")
def boot(start):
    return start("debug kernel, 2 harts, KUnit on", "debug", config="debug", harts=2,
                 memory="2G", boot_limit=LIMIT, append="kunit.enable=1 rcupdate.rcu_expedited=1")


def test_cycles(boot):
    boot.suite("cycles 20", LIMIT)


def test_faults(boot):
    boot.suite("faults", 4 * LIMIT)


def test_end(boot):
    boot.end()


def test_hotadd(start):
    boot = start("debug kernel, 2 harts, hot-add", "debug-hotadd", config="debug", mmu="sv57",
                 harts=2, ports=2, memory="320M", boot_limit=LIMIT)
    boot.suite("mapping", LIMIT)
    boot.suite("hotadd add 128", 2 * LIMIT, plug=lambda: boot.guest.plug(0, "128M", 0))
    boot.suite("hotadd refuse", LIMIT, plug=lambda: boot.guest.plug(1, "64M", 1))
    boot.end()


def test_pgd(start):
    boot = start("debug kernel, 2 harts, an older process", "debug-pgd", config="debug", mmu="sv57",
                 harts=2, ports=1, boot_limit=LIMIT)
    boot.suite("pgd 512", LIMIT, plug=lambda: boot.guest.plug(0, "512M", 0))
    boot.end()


# With Sv39, the shadow of added memory has PGD entries of its own.
def test_hotplug(report, start):
    boot = start("debug kernel, 2 harts, Sv39, memory added and removed", "debug-hotplug", config="debug", mmu="sv39",
                 harts=2, memory="3G", boot_limit=LIMIT, append="mem=1G kasan_multi_shot rcupdate.rcu_expedited=1")
    boot.suite("hotplug faults", 4 * LIMIT)
    boot.suite("hotplug races 20", LIMIT)
    boot.suite("hotplug kasan", LIMIT)
    said = re.findall(r"begin expected report\n(.*?)end expected report", boot.guest.log.read_text(errors="replace"),
                      re.DOTALL)
    kinds = [re.findall(r"BUG: KASAN: ([a-z-]+) in", text) for text in said]
    report.check(kinds == [["slab-out-of-bounds"], ["use-after-free"], ["use-after-free"]],
                 "KASAN reports each bad access to added memory, and no other", str(kinds))
    boot.end()


def test_seen_and_full(start):
    # One hart: filling a page with slots stops the machine thousands of times.
    boot = start("debug kernel, 1 hart, statistics and full windows", "debug-full", config="debug",
                 harts=1, boot_limit=LIMIT, append="rcupdate.rcu_expedited=1 execmem.rox=0")
    boot.suite("stats", 3 * LIMIT)
    boot.suite("dispatcher", LIMIT)
    boot.suite("full", LIMIT)
    boot.end()
