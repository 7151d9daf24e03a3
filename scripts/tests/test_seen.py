# SPDX-License-Identifier: GPL-2.0-only
"""Statistics and tracepoints of executable memory, and the program tools/vm/execmem, which shows them.

The statistics count exactly what is loaded and unloaded, and refused allocations. The program draws
the statistics, follows the tracepoints without disturbing their other users, and restores the
terminal. When memory is short, the kernel frees an unused block of the cache."""

import re
import time
from collections import Counter

import pytest

from conftest import boot_guest

TABLE = "/sys/kernel/debug/execmem"
TRACING = "/sys/kernel/tracing"
# The letters that tools/vm/execmem draws for the types
TYPES = {"m": "module-text", "d": "module-data", "k": "kprobes", "f": "ftrace", "b": "bpf"}


# One hart: filling a page with slots stops the machine thousands of times, and stopping a machine of
# one hart takes no time.
@pytest.fixture(scope="module")
def boot(request):
    return boot_guest(request, "1 hart, statistics and tracepoints, execmem.rox=0", "statistics", harts=1,
                      append="rcupdate.rcu_expedited=1 execmem.rox=0")


def cache_blocks(table):
    """Returns the number of blocks of the cache, and the number of blocks that consist of 4 KiB pages."""
    return tuple(map(int, table.split("\n\n")[2].splitlines()[1].split()[:2]))


def more_than_tail(guest):
    """Returns a number of programs, of at least 64 bytes each, that do not fit in the kernel text's last page."""
    free = int(guest.output(f"cat {TABLE}").split("\n\n")[2].splitlines()[1].split()[3])
    return free // 64 + 1000


def load_target(guest):
    """Loads the module, and waits for the worker that frees the module's init sections."""
    guest.output("insmod modules/execmem_target.ko; "
                 f"until grep -q '^module-text  *1 ' {TABLE}; do sleep 0.1; done")


def pages_in_debugfs(text, areas):
    """Returns the pages of each type in each window, as the kernel's debugfs files list them."""
    windows = {}
    for line in text.split("\n\n")[1].splitlines()[1:]:
        low, high = (int(address, 16) for address in line.split()[0].split("-"))
        pages = windows[low, high] = Counter()
        for area in areas.splitlines():
            start, end, name = re.match(r"(0x\w+)-(0x\w+) (\S+)", area).groups()
            if low <= int(start, 16) < high:
                pages[name] += (int(end, 16) - int(start, 16)) // 4096
    return windows


def pages_drawn(text):
    """Returns the same, counted in the pictures of the program. One cell must be one page."""
    windows = {}
    for window in text.split("\n\n")[1:-1]:
        title, *lines = window.splitlines()
        low, high = (int(address, 16) for address in title.split()[0].split("-"))
        pages = windows[low, high] = Counter()
        if lines != ["nothing in it"] and not lines[2].endswith(", below a page"):
            return f"a cell is not a page: {lines[2]}"
        for line in lines:
            if line.startswith("0x"):
                pages.update(TYPES[cell] for cell in line.split()[1].lower() if cell not in ".-")
    return windows


def test_tool_shows(report, boot):
    guest = boot.guest
    report.say(" execmem")
    load_target(guest)
    # Not the first instruction: it is the function tracer's call, and a probe of it has no slot
    guest.output(f"echo p:seen do_sys_openat2+8 > {TRACING}/kprobe_events")
    widths = {"execmem": 80, "COLUMNS=200 execmem": 200, "COLUMNS=1 execmem | cat": 40}
    commands = "; echo ==; ".join([f"cat {TABLE}", f"cat {TABLE}_areas", *widths])
    text = guest.output(f"show bpf 3 'echo ==; {commands}'")
    _, table, areas, *shown = text.split("==\n")
    pages = pages_in_debugfs(table, areas)
    report.check(set().union(*pages.values()) == {"module-text", "module-data", "kprobes", "bpf"},
                 "a module, a kprobe and BPF programs are there to be shown")
    for (name, most), text in zip(widths.items(), shown):
        text = re.sub(r"\x1b\[[0-9;]*m", "", text)
        # [2:] skips the letter of the type
        report.check([line[2:].split() for line in text.split("\n\n")[0].splitlines()] ==
                     [line.split() for line in table.split("\n\n")[0].splitlines()],
                     f"{name}: the table is the kernel's")
        report.check(pages_drawn(text) == pages, f"{name}: as many cells are drawn as there are pages",
                     f"{pages_drawn(text)}, not {pages}")
        width = max(len(line) for line in text.splitlines() if line.startswith("["))
        report.check(most / 2 < width <= most, f"{name}: the strips fit {most} columns", f"{width} columns")
    report.check("\x1b[1;" in shown[0] and "\x1b" not in shown[2], "colour is for terminals alone")
    hidden = guest.output("echo 2 > /proc/sys/kernel/kptr_restrict; execmem | cat; "
                          "echo 1 > /proc/sys/kernel/kptr_restrict").splitlines()
    report.check(len(hidden) == 9 and hidden[0].split()[0] == "type" and hidden[7:] == [
        "", "The kernel hides addresses: see /proc/sys/kernel/kptr_restrict. No windows are shown."],
        "hidden addresses: the table, and a line that says so", str(hidden))
    guest.output(f"echo > {TRACING}/kprobe_events; rmmod execmem_target")


def test_tool_scales(report, boot):
    """Draws invented files: a window with too many pages for one cell each, and a 32-bit window."""
    guest = boot.guest
    table = ["type live asked used peak failed blocks", "total 1 2 3 4 5 6", "", "window",
             "0xc0000000-0xc0005000 20480  kprobes later",
             "0xd0000040-0xd0004040 16384  bpf",
             "0xffffffff78000000-0xffffffff80000000 134217728  bpf"]
    guest.output("mount -t tmpfs none /sys/kernel/debug")
    for line in table:
        guest.output(f"echo '{line}' >> {TABLE}")
    guest.output(f"echo '0xc0000000-0xc0001000 kprobes 100 a+0' >> {TABLE}_areas; "
                 f"echo '0xc0003000-0xc0005000 later 4097 a+0' >> {TABLE}_areas; "
                 f"echo '0xd0000040-0xd0001040 bpf 4096 a+0' >> {TABLE}_areas")
    guest.output("i=0; while [ $i -lt 1200 ]; do a=$((0xffffffff78000000 + i * 8192)); "
                 f"printf '0x%x-0x%x bpf 4096 a+0\\n' $a $((a + 4096)); i=$((i + 1)); done >> {TABLE}_areas")
    _, small, piece, large, _ = guest.output("NO_COLOR=1 execmem").split("\n\n")
    guest.output("umount /sys/kernel/debug")
    report.check(small.splitlines()[1:] == [
        "12 KiB in 2 areas, largest hole 4 KiB, 0% of the free outside it", "[k-.Oo]",
        "a cell above is a page, below a page", "0xc0000000  k-.Oo"],
        "part of a page asked for, a guard page, a type that is new", small)
    report.check(piece.splitlines()[1:] == [
        "4 KiB in 1 area, largest hole 12 KiB, 0% of the free outside it", "[B...]",
        "a cell above is a page, below a page", "0xd0000040  Bb..."],
        "a piece that ends within a page, which has no guard page", piece)
    cells = re.findall(r"^0x\w{16}  (\S+)$", large, re.M)
    report.check(large.splitlines()[1] == "4.6 MiB in 1200 areas, largest hole 118 MiB, 0% of the free outside it",
                 "holes between areas are what their guard pages leave", large.splitlines()[1])
    # Two areas and their guard pages fill a cell: half of the cell was asked for.
    report.check(large.splitlines()[3].endswith(", below 16 KiB") and 8 < len(cells) < 16 and
                 "".join(cells).rstrip(".") == 600 * "B" and large.endswith("\n  ... 118 MiB free"),
                 "1,200 areas in lines that fit, at a smaller scale", large)


def test_tool_traces(report, boot):
    guest = boot.guest
    report.say(" execmem -t")
    guest.output("execmem -t > /tmp/traced & until "
                 f"grep -q 1 {TRACING}/instances/*/events/execmem/enable 2> /dev/null; do sleep 0.1; done")
    load_target(guest)
    text = int(guest.output("cat /sys/module/execmem_target/sections/.text"), 16)
    # A worker may cause the last event: wait for it.
    guest.output("rmmod execmem_target; i=0; while [ $(wc -l < /tmp/traced) -lt 7 ] && [ $i -lt 100 ]; "
                 "do i=$((i + 1)); sleep 0.1; done; kill -INT $!; wait $!")
    head, *events = guest.output("cat /tmp/traced").splitlines()
    fields = [re.fullmatch(r" *\d+\.\d+  (alloc|free) +(\S+) +(\d+)  0x(\w+)  \S+ by .+", event) for event in events]
    report.check(head.split()[:3] == ["time", "what", "type"] and all(fields), "each event is a readable line",
                 str(events))
    counts = Counter((field[1], field[2]) for field in fields if field)
    report.check(counts == {("alloc", "module-text"): 2, ("free", "module-text"): 2,
                            ("alloc", "module-data"): 1, ("free", "module-data"): 1},
                 "a module that comes and goes is six events", str(counts))
    report.check([field[1] for field in fields if field and int(field[4], 16) == text] == ["alloc", "free"],
                 "two of them have the address of its text")
    report.check(guest.output(f"ls {TRACING}/instances; cat {TRACING}/events/execmem/enable; "
                              f"grep -c execmem_ {TRACING}/trace || true") == "0\n0",
                 "its trace instance is gone, and nobody else's tracing was changed")


def test_tool_watches(report, boot):
    guest = boot.guest
    report.say(" execmem -w")
    before = guest.output("stty -g")
    for key, name in (("q", "q"), ("\x03", "Ctrl-C")):
        guest.child.send("execmem -w 1\n")
        seen = [guest.child.expect_exact(text, timeout=30) for text in ("\x1b[?1049h", "\x1b[H", "\x1b[H", "\x1b[J")]
        guest.child.send(key)
        seen.append(guest.child.expect_exact("\x1b[?25h\x1b[?1049l", timeout=30))
        report.check(not any(seen), f"it draws again and again until {name}")
        report.check(guest.output("stty -g") == before, f"the terminal is as it was after {name}")


def test_tool_fails(report, boot):
    guest = boot.guest
    guest.output("mkdir -p /etc; echo nobody::1000:1000::/:/bin/sh > /etc/passwd")
    for before, command, reason, after in (
            ("", "execmem --what", "'--what' is not understood", ""),
            ("", "execmem -w 0", "-w 0: give a number of seconds", ""),
            ("", "execmem -w > /tmp/out", "-w needs a terminal", ""),
            ("", "su nobody -c execmem", "/sys/kernel/debug/execmem: only root may", ""),
            ("", "su nobody -c 'execmem -t'", "only root may", ""),
            ("mount -t tmpfs none /sys/kernel/debug", "execmem", "this kernel has no execmem",
             "umount /sys/kernel/debug"),
            ("umount /sys/kernel/debug", "execmem", "debugfs is not mounted",
             "mount -t debugfs none /sys/kernel/debug"),
            (f"umount {TRACING}", "execmem -t", "tracefs is not mounted", f"mount -t tracefs none {TRACING}")):
        guest.output(before or "true")
        status, lines = guest.run(command)
        report.check(status == 1 and len(lines) == 1 and lines[0].startswith("execmem: ") and reason in lines[0],
                     f"{command}: {reason}", f"exit status {status}: {lines}")
        guest.output(after or "true")


def test_stats(boot):
    boot.suite("stats", 300)


def test_cache(report, start):
    """The same statistics for pieces in the cache, which are too small to be drawn one by one."""
    boot = start("1 hart, statistics of the cache", "statistics-cache", harts=1,
                 append="rcupdate.rcu_expedited=1")
    boot.suite("stats", 300)
    table = boot.guest.output(f"cat {TABLE}").split("\n\n")[2].splitlines()
    shown = boot.guest.output("execmem").split("\n\n")
    report.check(len(table) == 2 and [line.split() for line in table] ==
                 [line.split() for line in shown[-2].splitlines()],
                 "execmem shows what the cache has", str(shown[-2:]))

    # Trace allocations of large pages.
    event = f"{TRACING}/events/kmem/mm_page_alloc"
    boot.guest.output(f"echo order==9 > {event}/filter; echo > {TRACING}/trace; echo 1 > {event}/enable")
    boot.guest.output(f"bench bpf {more_than_tail(boot.guest)} 16", 300)
    pages = boot.guest.output(f"echo 0 > {event}/enable; grep mm_page_alloc: {TRACING}/trace").splitlines()
    report.check(pages and all("__GFP_NORETRY" in page for page in pages),
                 "no process is killed for the large page of a block", str(pages))
    report.check(cache_blocks(boot.guest.output(f"cat {TABLE}")) == (1, 0), "a block stays that nobody uses")
    # The last programs may not be free yet: try again.
    for _ in range(100):
        boot.guest.output("echo 2 > /proc/sys/vm/drop_caches")
        blocks = cache_blocks(boot.guest.output(f"cat {TABLE}"))
        if blocks == (0, 0):
            break
        time.sleep(0.1)
    report.check(blocks == (0, 0), "it goes when memory is short", str(blocks))


def test_fences(report, start):
    """Counts the remote fences that the kernel asks of the firmware when programs are loaded and unloaded."""
    # kfence.sample_interval=0: KFENCE flushes TLBs when it hides or shows a page.
    boot = start("4 harts, remote fences of 500 programs", "fences", append="kfence.sample_interval=0")
    calls = ["sbi_remote_fence_i", "sbi_remote_sfence_vma"]
    for call in calls:
        boot.guest.output(f"echo p:{call} {call} >> {TRACING}/kprobe_events; "
                          f"echo 1 > {TRACING}/events/kprobes/{call}/enable")

    def count():
        return dict(re.findall(r"(\w+) +(\d+) +\d+", boot.guest.output(f"cat {TRACING}/kprobe_profile")))

    # Warm up: do not count what the program needs in its first run.
    boot.guest.run("bench bpf 10 16", 60)
    before = count()
    boot.guest.run("bench bpf 500 16", 120)
    after = count()
    # bench loads one more program beforehand. Lazy freeing may flush now and then.
    fences, flushes = (int(after[call]) - int(before[call]) for call in calls)
    report.check(1001 <= fences <= 1026, "each load and unload synchronizes instruction caches once", str(fences))
    report.check(flushes <= 25, "hardly any TLB is flushed", str(flushes))
