# SPDX-License-Identifier: GPL-2.0-only
"""Reads the page table of a 64-bit RISC-V guest through QEMU's monitor.

It works with any kernel. The kernel's own dump needs a configuration option."""

import re

from guest.vm import GuestError

PAGE = 4096
ENTRIES = 512
VALID, READ, WRITE, EXECUTE = 1, 2, 4, 8
LEAF = READ | WRITE | EXECUTE
PPN = (1 << 44) - 1
LEVELS = {8: 3, 9: 4, 10: 5}    # mode in satp (Sv39, Sv48, Sv57) -> levels


def _table(monitor, physical):
    answer = monitor.ask(f"xp /{ENTRIES}gx {physical:#x}")
    entries = [int(word, 16) for word in re.findall(r"0x([0-9a-f]+)", answer)]
    if len(entries) != ENTRIES:
        raise GuestError(f"monitor: cannot read the page table at {physical:#x}")
    return entries


def _walk(monitor, start):
    """Yields (address, size, entry) of each valid entry of the kernel's half of the page table that reaches
    above `start`. An entry that points to a table comes before the entries of this table."""
    satp = re.search(r"\bsatp\s+([0-9a-f]+)", monitor.ask("info registers"))
    satp = int(satp[1], 16) if satp else 0
    if satp >> 60 not in LEVELS:
        raise GuestError("the guest does not use page tables")

    def walk(table, base, size, first=0):
        for number, entry in enumerate(_table(monitor, table)):
            at = base + number * size
            if number < first or not entry & VALID or at + size <= start:
                continue
            yield at, size, entry
            if not entry & LEAF:
                yield from walk((entry >> 10 & PPN) * PAGE, at, size // ENTRIES)

    # The kernel has the upper half of the table. It ends with the last address.
    top = PAGE * ENTRIES ** (LEVELS[satp >> 60] - 1)
    yield from walk((satp & PPN) * PAGE, (1 << 64) - ENTRIES * top, top, ENTRIES // 2)


def leaves(monitor, start):
    """Returns (address, size, flags) of each entry that maps a page above `start`."""
    return [(at, size, entry) for at, size, entry in _walk(monitor, start) if entry & LEAF]


def tables(monitor):
    """Returns the number of page tables below the kernel's PGD, and how many of them are empty."""
    entries = [(size, entry & LEAF) for _, size, entry in _walk(monitor, 1 << 63)]
    tables = [number for number, (_, leaf) in enumerate(entries) if not leaf]
    # The entries of a table follow the entry that points to it, and are smaller. If the next entry is
    # not smaller, the table is empty.
    return len(tables), sum(number + 1 == len(entries) or entries[number + 1][0] >= entries[number][0]
                            for number in tables)
