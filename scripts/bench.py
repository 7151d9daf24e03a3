#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What executable memory costs, with the cache of read-only memory and without it.

One hart under QEMU's -icount, where instructions are counted and repeat."""

import sys

from guest import Guest
from lib import BUILD

PROGRAMS, INSNS = 1000, 16


def measure(rox):
    """What the guest's program prints: {name: value}."""
    with Guest(f"bench-rox{rox}", BUILD / "out/rv64", harts=1, devices=["-icount", "shift=0"],
               append=f"execmem.rox={rox}") as guest:
        lines = guest.output(f"bench bpf {PROGRAMS} {INSNS}").splitlines()
        if guest.faults:
            sys.exit(f"bench: the guest's console has {guest.faults[0]}")
    return {name: int(value) for name, value in map(str.split, lines)}


def main():
    print(f"BPF, {PROGRAMS:,} programs of {INSNS} instructions, for each of them:\n")
    columns = [measure(rox) for rox in (0, 1)]
    print(f"{'':24}{'execmem.rox=0':>16}{'execmem.rox=1':>16}")
    for name in columns[0]:
        print(f"{name:24}" + "".join(f"{column[name]:16,}" for column in columns))


if __name__ == "__main__":
    main()
