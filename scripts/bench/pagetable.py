# SPDX-License-Identifier: GPL-2.0-only
"""The page table of a 64-bit RISC-V guest, read through the monitor of its QEMU.

Works with any kernel, where the kernel's own dump needs an option of its configuration."""

import re

from guest.vm import GuestError

PAGE = 4096
ENTRIES = 512
VALID, READ, WRITE, EXECUTE = 1, 2, 4, 8
LEAF = READ | WRITE | EXECUTE
PPN = (1 << 44) - 1
LEVELS = {8: 3, 9: 4, 10: 5}    # of Sv39, Sv48 and Sv57, as satp has them


def _table(monitor, physical):
    answer = monitor.ask(f"xp /{ENTRIES}gx {physical:#x}")
    entries = [int(word, 16) for word in re.findall(r"0x([0-9a-f]+)", answer)]
    if len(entries) != ENTRIES:
        raise GuestError(f"monitor: cannot read the page table at {physical:#x}")
    return entries


def _walk(monitor, start):
    """(address, size, entry) of each valid entry of the kernel's half of the table, from an
    address on up to the last one that there is; before what is below it."""
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

    # The upper half, which is the kernel's, ends with the last address.
    top = PAGE * ENTRIES ** (LEVELS[satp >> 60] - 1)
    yield from walk((satp & PPN) * PAGE, (1 << 64) - ENTRIES * top, top, ENTRIES // 2)


def leaves(monitor, start):
    """(address, size, flags) of each entry that maps a page, from an address on."""
    return [(at, size, entry) for at, size, entry in _walk(monitor, start) if entry & LEAF]


def tables(monitor):
    """How many page tables the kernel has below its PGD, and how many of them are empty."""
    entries = [(size, entry & LEAF) for _, size, entry in _walk(monitor, 1 << 63)]
    tables = [number for number, (_, leaf) in enumerate(entries) if not leaf]
    # What is in a table follows the entry that points to it, and is smaller.
    return len(tables), sum(number + 1 == len(entries) or entries[number + 1][0] >= entries[number][0]
                            for number in tables)
