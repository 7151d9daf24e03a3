# SPDX-License-Identifier: GPL-2.0-only
"""Eight processes load and unload modules, kprobes and BPF programs at random. The statistics do not change.

In `make test` this takes two minutes in the weak machine, where a missing fence shows, and half a minute in one where
harts really run at once. `make test-all` does it in the weak machine once more, with half of what is stale fresh.
`make soak` takes half an hour on each of two kernels. Then the debug kernel adds and removes memory that others use,
with Sv39 and with Sv57, a sixth of that time each."""

import os

import pytest

from guest.machine import KERNEL

# `make soak` sets the time in seconds, and adds the debug kernel.
SECONDS = int(os.environ.get("SOAK", 30))
WEAK_SECONDS = 120
CONFIGS = [KERNEL, "debug"] if "SOAK" in os.environ else [KERNEL]


@pytest.mark.parametrize("config", CONFIGS)
def test_soak(start, config):
    boot = start(f"{config}, 4 harts, eight processes at once", f"soak-{config}", config=config,
                 mmu="sv57", boot_limit=300)
    boot.suite(f"soak {SECONDS}", SECONDS + 300)


if "SOAK" not in os.environ:
    # test_weak_kernel.py runs the other programs where all is stale.
    @pytest.mark.parametrize("name, weak, programs", [
        ("stale", "", []),
        pytest.param("random", ",x-weak-fresh=50,x-weak-seed=1", ["placement", "programs", "probes"],
                     marks=pytest.mark.test_all)])
    def test_weak(start, name, weak, programs):
        boot = start(f"weak machine, {name}, 4 harts, eight processes at once", f"soak-weak-{name}", weak=weak)
        for command in *programs, f"soak {WEAK_SECONDS}":
            boot.suite(command, WEAK_SECONDS + 480)


# On the debug kernel, memory is added and removed during other work.
if "SOAK" in os.environ:
    @pytest.mark.parametrize("mode", ["sv39", "sv57"])
    def test_races(start, mode):
        boot = start(f"debug kernel, 4 harts, {mode.capitalize()}, memory added and removed", f"soak-races-{mode}",
                     config="debug", mmu=mode, memory="3G", boot_limit=300,
                     append="mem=1G page_owner=on rcupdate.rcu_expedited=1")
        boot.suite(f"hotplug races {max(SECONDS // 6, 1)}", SECONDS + 300)
