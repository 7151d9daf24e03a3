# SPDX-License-Identifier: GPL-2.0-only
"""Eight processes load and unload modules, kprobes and BPF programs at random. The statistics do not change.

In `make test` this takes a minute. `make soak` takes half an hour on each of two kernels. Then the debug
kernel adds and removes memory that others use, with Sv39 and with Sv57, a sixth of that time each."""

import os

import pytest

from guest.machine import KERNEL

# `make soak` sets the time in seconds, and adds the debug kernel.
SECONDS = int(os.environ.get("SOAK", 60))
CONFIGS = [KERNEL, "debug"] if "SOAK" in os.environ else [KERNEL]


@pytest.mark.parametrize("config", CONFIGS)
def test_soak(start, config):
    boot = start(f"{config}, 4 harts, eight processes at once", f"soak-{config}", config=config,
                 mmu="sv57", boot_limit=300)
    boot.suite(f"soak {SECONDS}", SECONDS + 300)


# On the debug kernel, memory is added and removed during other work.
if "SOAK" in os.environ:
    @pytest.mark.parametrize("mode", ["sv39", "sv57"])
    def test_races(start, mode):
        boot = start(f"debug kernel, 4 harts, {mode.capitalize()}, memory added and removed", f"soak-races-{mode}",
                     config="debug", mmu=mode, memory="3G", boot_limit=300,
                     append="mem=1G page_owner=on rcupdate.rcu_expedited=1")
        boot.suite(f"hotplug races {max(SECONDS // 6, 1)}", SECONDS + 300)
