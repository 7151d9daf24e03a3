# SPDX-License-Identifier: GPL-2.0-only
"""The weak machine itself: QEMU's CPU properties x-weak-fetch, x-weak-tlb and x-cache-invalid, and x-weak for all.

Small programs for the bare machine, scripts/tests/weak/*.S, change instructions or page tables and execute
a fence or none. In the weak machine, a program meets what is stale unless its fence covers the change. It
meets nothing stale if the architecture does not allow it. In the machine without the properties, a program
meets only what QEMU's own TLB keeps, and never old code, even if a hart executes code while another
replaces it. Harts that run one after the other do not wait for each other until their turns are over."""

import functools
import re
import subprocess
import tempfile
import time

import pytest

from guest.machine import CROSS, QEMU
from guest.vm import QEMU_MODES, WEAK, Monitor
from lib import BUILD, TOP

SOURCES = TOP / "scripts/tests/weak"
OUT = BUILD / "out/weak"
FRESH, STALE = 0, 3     # exit statuses of the programs
WORDS = {FRESH: "fresh", STALE: "stale"}
ROUNDS = 3000           # without patch 0008 of QEMU, race.S fails within 300
TURNS, COUNT = 20, 1000     # without patch 0010, turns.S counts to millions

NONE, ALL, ASID, OTHER_ASID = "nop", "sfence.vma", "sfence.vma x0, asid", "sfence.vma x0, other_asid"
VA, OTHER_VA = "sfence.vma va", "sfence.vma other_va"
VA_ASID, VA_OTHER_ASID, OTHER_VA_ASID = "sfence.vma va, asid", "sfence.vma va, other_asid", "sfence.vma other_va, asid"
FENCES = (NONE, ALL, ASID, OTHER_ASID, VA, OTHER_VA, VA_ASID, VA_OTHER_ASID, OTHER_VA_ASID)

# Programs of fetch.S: what is done, the macros, and whether it meets something stale.
FETCH = [
    ("a hart changes its own code, no fence", {"FENCE": "nop"}, STALE),
    ("a hart changes its own code, fence.i", {"FENCE": "fence.i"}, FRESH),
    ("a hart changes its own code, sfence.vma", {"FENCE": "sfence.vma"}, STALE),
    ("a hart changes its own code, fence.i too early", {"FENCE": "fence.i", "EARLY": 1}, STALE),
    ("a hart executes its old code before fence.i", {"FENCE": "fence.i", "AGAIN": 1}, FRESH),
    ("code where never was any, no fence", {"FENCE": "nop", "NEW": 1}, STALE),
    ("code where never was any, fence.i", {"FENCE": "fence.i", "NEW": 1}, FRESH),
    ("code where never was any, fence.i too early", {"FENCE": "fence.i", "NEW": 1, "EARLY": 1}, STALE),
    ("the second half of an instruction on two pages, no fence", {"FENCE": "nop", "CROSS": 1}, STALE),
    ("the second half of an instruction on two pages, fence.i", {"FENCE": "fence.i", "CROSS": 1}, FRESH),
    ("the same, the hart executes the old half before fence.i", {"FENCE": "fence.i", "CROSS": 1, "AGAIN": 1}, FRESH),
    ("another hart's code, no fence", {"FENCE": "nop", "REMOTE": "nop"}, STALE),
    ("another hart's code, fence.i of the hart that wrote", {"FENCE": "fence.i", "REMOTE": "nop"}, STALE),
    ("another hart's code, fence.i of the hart that executes", {"FENCE": "nop", "REMOTE": "fence.i"}, FRESH),
]

# Programs of tlb.S: what is done, the macros, and the fences after which nothing is stale.
LEAF = {ALL, ASID, VA, VA_ASID}
TLB = [
    ("an address is mapped", {"MAP": 1}, LEAF),
    ("an address is mapped whose entry was a pointer", {"MAP": 1, "LOOP": 1}, LEAF),
    ("the neighbour of an address is mapped", {"NEIGHBOUR": 1}, LEAF),
    ("a page table is added", {"TABLE": 1}, LEAF | {OTHER_VA, OTHER_VA_ASID}),
    ("a mapping is changed", {}, LEAF),
    ("a global mapping is changed", {"GLOBAL": "PTE_G"}, {ALL, VA}),
    ("a mapping in a global table is changed", {"TABLE_GLOBAL": "PTE_G"}, {ALL, VA}),
    ("an address is mapped in a global table", {"MAP": 1, "TABLE_GLOBAL": "PTE_G"}, {ALL, VA}),
    ("a mapping is removed", {"UNMAP": 1}, LEAF),
    ("a page table is replaced", {"POINTER": 1}, {ALL, ASID}),
    ("a mapping of 2 MiB is changed", {"SUPERPAGE": 1}, LEAF | {OTHER_VA, OTHER_VA_ASID}),
    ("a page of 2 MiB is mapped where no page table is", {"HUGE": 1}, LEAF | {OTHER_VA, OTHER_VA_ASID}),
    ("a page table is replaced with a page of 2 MiB", {"COLLAPSE": 1}, {ALL, ASID}),
    ("a page of 2 MiB is replaced with a page table", {"SPLIT": 1}, LEAF | {OTHER_VA, OTHER_VA_ASID}),
    ("satp gets another root", {"SATP": 1}, {ALL, ASID}),
    ("satp gets another root, the mapping is global", {"SATP": 1, "GLOBAL": "PTE_G"}, {ALL}),
    ("satp gets another root and ASID", {"ASID": 1}, set(FENCES)),
    ("satp gets another root and ASID, the mapping is global", {"ASID": 1, "GLOBAL": "PTE_G"}, {ALL, VA}),
    ("a mapping is changed while satp has another ASID", {"BACK": 1}, LEAF),
    ("a mapping is changed while satp selects no translation", {"BARE": 1}, LEAF),
    ("a mapping is changed that is not dirty yet", {"DIRTY": 1}, set(FENCES)),
]
# QEMU's own TLB keeps these changes from a hart that executes no fence.
KEPT = ("a mapping is changed", "a global mapping is changed", "a mapping in a global table is changed",
        "a mapping is removed", "a page table is replaced", "a mapping of 2 MiB is changed",
        "a page table is replaced with a page of 2 MiB", "a page of 2 MiB is replaced with a page table")


# The compiler's options for each CPU
ABI = {"rv64": ("-march=rv64g", "-mabi=lp64d"), "rv32": ("-march=rv32g", "-mabi=ilp32d")}
ADDED = 0x800000000     # where memory devices begin in a machine with little memory


@functools.cache
def build(source, *macros, model="rv64"):
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / re.sub("[^-.A-Za-z0-9]+", "_", "-".join([source, *macros]))
    subprocess.run([f"{CROSS}gcc", "-nostdlib", "-static", "-no-pie", *ABI[model],
                    "-Wl,-Ttext=0x80000000,-N,--no-warn-rwx-segments,--build-id=none",
                    *(f"-D{macro}" for macro in macros), "-o", file, SOURCES / source], check=True)
    return file


def program(source, macros, **more):
    """Builds a program, unless this run has built it, and returns its file."""
    return build(source, *(f"{name}={value}" for name, value in macros.items()), **more)


def machine(cpu, *options, accel="tcg,thread=single", model="rv64"):
    """Returns the command for a machine with two harts."""
    return [QEMU or QEMU_MODES, "-machine", "virt", "-cpu", f"{model}{cpu}", "-smp", "2", "-display", "none",
            "-nodefaults", "-bios", "none", "-accel", accel, *options]


def run(file, cpu="", *options, **more):
    """Runs a program, and returns its exit status and what QEMU printed."""
    done = subprocess.run([*machine(cpu, *options, **more), "-kernel", file], timeout=60, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


@pytest.fixture(scope="module", autouse=True)
def weak_qemu():
    if QEMU and "x-weak=" not in subprocess.run([QEMU, "-device", "rv64-riscv-cpu,help"], check=False, text=True,
                                                stdout=subprocess.PIPE).stdout:
        pytest.skip("QEMU= is not the one of `make qemu`")


def check_each(report, source, cases, cpu, expected, model="rv64"):
    """Runs programs, and reports one result for all with the same title."""
    wrong = {}
    for title, macros, fresh in cases:
        status, output = run(program(source, macros, model=model), cpu, model=model)
        wrong.setdefault(title, [])
        if status != expected(title, macros, fresh):
            wrong[title].append(f"{macros['FENCE']}: {WORDS.get(status) or output or status}")
    for title, failures in wrong.items():
        report.check(not failures, title, "; ".join(failures))


def tlb_cases(fences, cases=TLB):
    return [(title, {**macros, "FENCE": fence}, FRESH if fence in fresh else STALE)
            for title, macros, fresh in cases for fence in fences]


REMOTE_TLB = [
    ("another hart's mapping is changed, no fence", {"FENCE": NONE, "REMOTE": NONE}, STALE),
    ("another hart's mapping is changed, sfence.vma of the hart that wrote", {"FENCE": ALL, "REMOTE": NONE}, STALE),
    ("another hart's mapping is changed, sfence.vma of the hart that loads", {"FENCE": NONE, "REMOTE": ALL}, FRESH),
]


def test_fetch(report):
    report.heading("Weak machine: fetches")
    check_each(report, "fetch.S", FETCH, WEAK, lambda title, macros, fresh: fresh)


def test_tlb(report):
    report.heading("Weak machine: translations, each with nine fences")
    check_each(report, "tlb.S", tlb_cases(FENCES), WEAK, lambda title, macros, fresh: fresh)
    check_each(report, "tlb.S", REMOTE_TLB, WEAK, lambda title, macros, fresh: fresh)


def test_upper(report):
    """Without this property, a fence with an address removes missing entries of all levels: TLB has this case. With
    it, such a fence still orders a leaf entry of an upper level."""
    report.heading("Weak machine: x-cache-invalid-upper, with nine fences")
    upper = [("a page table is added", {"TABLE": 1}, {ALL, ASID})] + [case for case in TLB if case[1] == {"HUGE": 1}]
    check_each(report, "tlb.S", tlb_cases(FENCES, upper), f"{WEAK},x-cache-invalid-upper=on",
               lambda title, macros, fresh: fresh)


def test_sv32(report):
    report.heading("Weak machine: translations of a 32-bit CPU in the 64-bit QEMU, each with nine fences")
    check_each(report, "sv32.S", [("a mapping is changed", {"FENCE": fence}, FRESH if fence in LEAF else STALE)
                                  for fence in FENCES], WEAK, lambda title, macros, fresh: fresh, model="rv32")


def run_with_added(file, cpu, *devices):
    """Runs a program, adds memory in each of these devices when it has begun, one after the other, and returns its
    exit status. Memory that is there before the first instruction would prove nothing."""
    with tempfile.TemporaryDirectory() as runtime:
        command = machine(cpu, "-m", "128M,maxmem=256M", "-device", "pcie-root-port,id=rp0,addr=1", "-serial", "stdio",
                          "-qmp", f"unix:{runtime}/qmp,server=on,wait=off", "-kernel", file)
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
            try:
                monitor = Monitor(f"{runtime}/qmp", lambda: child.poll() is None)
                child.stdout.read(1)
                for i, device in enumerate(devices):
                    while i and "/memory" in monitor.ask("info ramblock"):
                        monitor.ask("object_del memory")    # an error until the program has ejected it
                        time.sleep(0.05)
                    monitor.type("object_add memory-backend-ram,id=memory,size=4M")
                    monitor.type(f"device_add {device},bus=rp0,memdev=memory")
                return child.wait(60)
            finally:
                child.kill()


def check_added(report, source, cpu, fence, expected, *devices):
    status = run_with_added(program(source, {"FENCE": fence, "ADDED": ADDED}), cpu, *devices)
    report.check(status == expected, f"{fence}: {WORDS[expected]}", f"exit status {status}")


def test_added(report):
    report.heading("Weak machine: code where never was any, in memory that is added meanwhile")
    for fence, expected in (("nop", STALE), ("fence.i", FRESH)):
        check_added(report, "hot.S", WEAK, fence, expected, f"virtio-pmem-pci,memaddr={ADDED:#x}")


@pytest.mark.parametrize("cpu", [WEAK, ""])
def test_reused(report, cpu):
    """A hart must not execute in added memory what the emulator knows of other memory, which is gone."""
    report.heading(f"{'Weak machine' if cpu else 'The machine without the properties'}: code in memory that is added "
                   "after other memory was removed")
    for fence in "nop", "fence.i":
        check_added(report, "reused.S", cpu, fence, STALE if cpu and fence == "nop" else FRESH,
                    "ivshmem-plain", "ivshmem-plain")


def test_plain(report):
    report.heading("The same machine without the properties")
    check_each(report, "fetch.S", FETCH, "", lambda title, macros, fresh: FRESH)
    check_each(report, "tlb.S", tlb_cases((NONE, ALL)), "",
               lambda title, macros, fresh: STALE if title in KEPT and macros["FENCE"] == NONE else FRESH)


@pytest.mark.parametrize("name, source, macros", [
    ("x-weak-fetch", "fetch.S", {}), ("x-weak-tlb", "tlb.S", {"BACK": 1}), ("x-cache-invalid", "tlb.S", {"MAP": 1})])
def test_one_property(report, name, source, macros):
    """Each property has its own effect, and counts it."""
    report.heading(f"Weak machine: {name} alone")
    for fence, status in ((NONE, STALE), ("fence.i" if source == "fetch.S" else ALL, FRESH)):
        file = program(source, {**macros, "FENCE": fence})
        for cpu in (f",{name}=on", f"{WEAK},{name}=off", f",{name}=off{WEAK}"):
            got, output = run(file, cpu, "-trace", "riscv_weak_at_exit")
            counts = [int(count) for count in re.findall(rf"{name[2:]}: \w+ 0: .*stale (\d+)", output)]
            alone = cpu == f",{name}=on"
            report.check(got == (status if alone else FRESH) and counts == ([got == STALE] if alone else []),
                         f"{'alone' if alone else cpu[1:]}, {fence}", f"exit status {got}, {output}")


def test_resolved(report):
    """A fence after the stale access is counted, too."""
    report.heading("Weak machine: counters")
    for name, source, macros in (("weak-fetch", "fetch.S", {"LATE": "fence.i"}),
                                 ("weak-tlb", "tlb.S", {"BACK": 1, "LATE": VA}),
                                 ("cache-invalid", "tlb.S", {"MAP": 1, "LATE": VA})):
        _, output = run(program(source, {**macros, "FENCE": NONE}), WEAK, "-trace", "riscv_weak_at_exit")
        report.check(re.search(rf"{name}: \w+ 0: .*stale 1 .*resolved 1", output), f"{name}: one, resolved", output)
    for cpu, found in ((WEAK, "weak-fetch: .*cache-invalid: .*weak-tlb: "), ("", "No CPU is weak")):
        done = subprocess.run(machine(cpu, "-S", "-monitor", "stdio"), input="info weak\nquit\n", timeout=60, text=True,
                              stdout=subprocess.PIPE, check=False)
        report.check(re.search(found, done.stdout, re.DOTALL),
                     f'the monitor\'s "info weak", {"weak" if cpu else "not weak"}', done.stdout)


def test_random(report):
    """With x-weak-fresh, a program meets stale and fresh things, and the seed decides which."""
    report.heading("Weak machine: stale or fresh at random")
    for name, file in (("fetch", program("fetch.S", {"FENCE": NONE})),
                       ("translation", program("tlb.S", {"FENCE": NONE, "BACK": 1}))):
        for options in (), ("-icount", "shift=0"):
            first, again = [[run(file, f"{WEAK},x-weak-fresh=50,x-weak-seed={seed}", *options)[0] for seed in range(12)]
                            for _ in range(2)]
            report.check(set(first) == {FRESH, STALE} and first == again,
                         f"{name}: both with 12 seeds, the same again{' '.join(('', *options))}",
                         f"{first}, then {again}")
        report.check({run(file, f"{WEAK},x-weak-fresh=100,x-weak-seed={seed}")[0] for seed in range(4)} == {FRESH},
                     f"{name}: fresh with x-weak-fresh=100")


def test_threads(report):
    report.heading("Weak machine: a thread for each hart")
    file = program("tlb.S", {"FENCE": NONE, "BACK": 1})
    status, output = run(file, ",x-weak-fetch=on", accel="tcg,thread=multi")
    report.check(status == 1 and "x-weak-fetch" in output and "thread=single" in output,
                 "x-weak-fetch is refused", output)
    status, output = run(file, ",x-weak-tlb=on", accel="tcg,thread=multi")
    report.check(status == STALE and not output, "x-weak-tlb works", output)


def test_race(report):
    """QEMU must not translate what another hart is about to overwrite."""
    report.heading("The machine without the properties, a thread for each hart")
    file = program("race.S", {"ROUNDS": ROUNDS})
    status, output = run(file, accel="tcg,thread=multi")
    report.check(status == FRESH, f"one hart replaces an instruction {ROUNDS:,} times, another executes it",
                 WORDS.get(status) or output or status)


def test_turns(report):
    """A hart that has interrupted another one and waits for it must not wait until its own turn is over."""
    report.heading("The machine without the properties, one thread for all harts")
    status, output = run(program("turns.S", {"ROUNDS": TURNS, "LIMIT": COUNT}))
    report.check(status == 0, f"a hart answers an interrupt while another one counts to {COUNT:,}", output or status)
