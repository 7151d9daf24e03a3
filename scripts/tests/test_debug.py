# SPDX-License-Identifier: GPL-2.0-only
"""The kernel that watches (KASAN, lockdep, kmemleak...) has nothing to say about any of it."""

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
    # 6.1's pciehp_configure_device() drops reset_lock inside pci_rescan_remove_lock and takes
    # it again, having taken them the other way round: lockdep reports any hot-plugged device.
    boot = start("debug kernel, 2 harts, hot-add, no lockdep", "debug-hotadd", config="debug",
                 mmu="sv57", harts=2, ports=2, memory="320M", boot_limit=LIMIT,
                 append="lockdep.prove_locking=0")
    boot.suite("mapping", LIMIT)
    boot.suite("hotadd add 128", 2 * LIMIT, plug=lambda: boot.guest.plug(0, "128M", 0))
    boot.suite("hotadd refuse", LIMIT, plug=lambda: boot.guest.plug(1, "64M", 1))
    boot.suite("hotadd bad", LIMIT)
    boot.end()


def test_pgd(start):
    boot = start("debug kernel, 2 harts, an older process, no lockdep", "debug-pgd", config="debug",
                 mmu="sv57", harts=2, ports=1, boot_limit=LIMIT, append="lockdep.prove_locking=0")
    boot.suite("pgd 512", LIMIT, plug=lambda: boot.guest.plug(0, "512M", 0))
    boot.end()


def test_seen_and_full(start):
    # One hart: filling a page with slots stops the machine thousands of times.
    boot = start("debug kernel, 1 hart, statistics and full windows", "debug-full", config="debug",
                 harts=1, boot_limit=LIMIT, append="rcupdate.rcu_expedited=1")
    boot.suite("stats", 3 * LIMIT)
    boot.suite("dispatcher", LIMIT)
    boot.suite("full", LIMIT)
    boot.end()
