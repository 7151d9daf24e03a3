# SPDX-License-Identifier: GPL-2.0-only
"""The module loader: relocations of all types, and the cost of a large module.

The relocations are those that toolchains emit for modules, with values as the psABI defines them. A
relocation that cannot be applied is refused; in `make test-all` the debug kernel has no complaint about it.
Loading a module of 20,000 functions takes as many instructions for each function as loading a module of
5,000."""

import re

import pytest

from guest.machine import KERNEL

MACHINES = [(KERNEL, "execmem.rox=1"), (KERNEL, "execmem.rox=0"), ("rv32", "")]
# The limit for the cost of a module with four times as many functions
PROPORTIONAL = 4.3


@pytest.mark.parametrize("config, append", [*MACHINES, pytest.param("debug", "", marks=pytest.mark.test_all)])
def test_relocs(start, config, append):
    boot = start(f"{config}, 2 harts, relocations, {append}", f"relocs-{config}-{append}", config=config, harts=2,
                 append=append)
    boot.suite("relocs", 60)


@pytest.mark.parametrize("config, append", MACHINES)
def test_proportional(report, start, config, append):
    """Compares instructions, not times: under -icount, one nanosecond of the guest's clock is one instruction."""
    boot = start(f"{config}, 1 hart, large modules, {append}", f"relocs-large-{config}-{append}", config=config,
                 harts=1, append=append, devices=["-icount", "shift=0,sleep=off"])
    text = boot.guest.output("bench functions 5000 20000", 300)
    small, large = (int(re.search(rf"section insmod {count} functions (\d+)", text)[1]) for count in (5000, 20000))
    report.check(large < small * PROPORTIONAL, "a module of 20,000 functions takes as many instructions for each"
                 f" as one of 5,000: {large / 20000:,.0f}, {small / 5000:,.0f}", f"{large / small:.1f} times as many")
