# SPDX-License-Identifier: GPL-2.0-only
"""32-bit: modules, kprobes and BPF programs in the vmalloc space, and their errors when it is full.

The tests are KUnit, placement and protection, features of modules, cycles, and test_vmalloc. BPF programs
fill the vmalloc space, which all users share: each refused allocation has the right errno, and unloading
frees all of the space. `make test-all` adds test_bpf. 6.1's 32-bit JIT refuses 183 of its 1,027 programs,
with or without the series."""

import re

import pytest

# Programs that 6.1's 32-bit JIT refuses to compile, with or without the series: a pattern for the
# names of test_bpf's cases, the number of cases, and the reason
NOT_COMPILED = [
    (r"ALU64_(IMM_|REG_)?(DIV|MOD)|INT: ALU MIX", 29, "it cannot divide 64-bit numbers"),
    (r"BPF_ATOMIC|Atomic_BPF_|ATOMIC_|STX_XADD_DW", 140, "its only atomic operation is the 32-bit addition"),
    (r"JMP32_J(EQ|NE|S?[GL][TE])_X: all register value magnitudes|Long conditional jump", 14,
     "32 passes are not enough for its long branches to settle"),
]
REFUSED = "FAIL to select_runtime err=-524"
COMPILED = 844


def test_users(report, start):
    """KUnit, placement and protection, features of modules."""
    boot = start("32-bit, 4 harts, KUnit on", "rv32-users", config="rv32", append="kunit.enable=1")
    report.check("Checked W+X mappings: passed, no W+X pages found" in boot.guest.boot_lines,
                 "DEBUG_WX finds no page writable and executable")
    boot.kunit("execmem", "kprobes_test")
    boot.suite("placement", 60)
    boot.suite("features", 60)
    boot.suite("wx", 60)


def test_cycles(start):
    boot = start("32-bit, 2 harts, 1,000 cycles of each user", "rv32-cycles", config="rv32", harts=2,
                 append="rcupdate.rcu_expedited=1")
    boot.suite("cycles", 400)


def test_full(start):
    """The guest has 1 GiB of memory, so that the 512 MiB of addresses are used up first."""
    boot = start("32-bit, 2 harts, the vmalloc space is filled", "rv32-full", config="rv32", harts=2,
                 memory="1G")
    boot.suite("full", 300)


@pytest.mark.test_all
def test_bpf(report, start):
    """Runs lib/test_bpf.c: programs that the JIT compiles give the right results."""
    boot = start("32-bit, 1 hart, test_bpf", "rv32-test_bpf", config="rv32", harts=1)
    boot.guest.run("show insert modules/test_bpf.ko test_suite=test_bpf", 900)
    failed, name, summary = [], "", None
    for line in boot.guest.kernel_log():
        # The JIT may print messages between a case's name and its result.
        if case := re.match(r"test_bpf: #\d+ (.*)", line):
            name = case[1]
        if result := re.search(r"FAIL\b.*", line):
            failed.append((name, result[0]))
        summary = summary or re.search(r"Summary: (\d+) PASSED, \d+ FAILED, \[(\d+)/(\d+) JIT'ed\]", line)
    passed, jited, to_jit = map(int, summary.groups()) if summary else (0, 0, 0)
    report.check(passed == COMPILED and jited == to_jit, f"test_bpf: {COMPILED} passed, all JITed",
                 f"{passed} passed, {jited} of {to_jit} JITed")
    for names, count, reason in NOT_COMPILED:
        refused = [case for case in failed if re.match(names, case[0]) and case[1] == REFUSED]
        failed = [case for case in failed if case not in refused]
        report.check(len(refused) == count, f"test_bpf: {count} are refused: {reason}", f"{len(refused)} are")
    report.check(not failed, "test_bpf: no other fails", "; ".join(map(": ".join, failed)))
    for suite in ("test_tail_calls", "test_skb_segment"):
        status, _ = boot.guest.run(f"show insert modules/test_bpf.ko test_suite={suite}", 60)
        log = "\n".join(boot.guest.kernel_log())
        report.check(not status and re.search(rf"{suite}: Summary: [1-9]\d* PASSED, 0 FAILED", log),
                     f"test_bpf: {suite} passes")
        boot.guest.run("rmmod test_bpf")


def test_vmalloc(report, start):
    """Runs lib/test_vmalloc.c. Its init function fails on purpose, so that the module does not stay loaded."""
    # full_fit_alloc_test takes 268 MiB of addresses for each worker with two harts, and
    # 402 MiB with four.
    boot = start("32-bit, 2 harts, test_vmalloc", "rv32-test_vmalloc", config="rv32", harts=2)
    report.skip("test_vmalloc: align_shift_alloc_test", "it asks for alignments up to 2^31")
    boot.guest.run("show insert modules/test_vmalloc.ko 'run_test_mask=959 test_loop_count=200"
                   " nr_threads=1'", 120)
    found = re.findall(r"Summary: (\w+) passed: (\d+) failed: (\d+)",
                       "\n".join(boot.guest.kernel_log()))
    report.check(len(found) == 9, "test_vmalloc ran 9 tests", f"{len(found)} results")
    for name, passed, failed in found:
        report.check(int(passed) and not int(failed), f"test_vmalloc: {name}")
