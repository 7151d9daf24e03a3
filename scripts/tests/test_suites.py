# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own tests of code that the series touches still pass: test_bpf.ko, test_vmalloc.ko and
the kprobe cases of ftracetest. The kprobes KUnit suite runs in test_users.py."""

import re

import pytest

from conftest import with_modules
from guest.machine import KERNEL

# ftracetest cases that cannot run here, with the reason
NOT_HERE = {
    "kprobe_args_string.tc": "it has no register names for riscv",
    "kprobe_args_syntax.tc": "it has no register names for riscv",
    "kprobe_non_uniq_symbol.tc": "the kernel has no two functions of the name it wants",
    "probepoint.tc": "it probes an instruction that 6.1 on riscv refuses, unpatched too",
}
# Additional cases that cannot run on the lean kernel
NOT_LEAN = {
    "kprobe_ftrace.tc": "the function tracer is off",
    "kprobe_module.tc": "the module that it probes is not built",
    "uprobe_syntax_errors.tc": "uprobes are off",
}


@pytest.mark.parametrize("rox", [1, pytest.param(0, marks=pytest.mark.test_all)])
def test_bpf(start, rox):
    """Runs all groups of lib/test_bpf.c."""
    # One hart is enough: test_bpf loads a hundred thousand programs one after the other.
    boot = start(f"1 hart, test_bpf, execmem.rox={rox}", f"test_bpf-{rox}", harts=1,
                 append=f"execmem.rox={rox}")
    boot.test_bpf()


def test_vmalloc(report, start):
    """Runs lib/test_vmalloc.c. Its init function fails on purpose, so that the module does not stay loaded."""
    # Two workers run the tests in random order. If both run a large test at the same time, 512 MiB
    # are not enough, and the kernel kills processes.
    boot = start("4 harts, test_vmalloc", "test_vmalloc", memory="2G")
    report.skip("test_vmalloc: align_shift_alloc_test", "it asks for alignments up to 2^63")
    boot.guest.run("insmod modules/test_vmalloc.ko run_test_mask=959 test_loop_count=200 nr_threads=2", 300)
    found = re.findall(r"Summary: (\w+) passed: (\d+) failed: (\d+)",
                       "\n".join(boot.guest.kernel_log()))
    # 2 times: when the first system call fails, BusyBox's insmod tries a second one.
    report.check(len(found) == 2 * 2 * 9, "test_vmalloc ran 9 tests on 2 workers, twice",
                 f"{len(found)} results")
    for name, passed, failed in found:
        report.check(int(passed) and not int(failed), f"test_vmalloc: {name}")


@pytest.mark.parametrize("rox", [1, pytest.param(0, marks=pytest.mark.test_all)])
def test_ftracetest(report, start, rox):
    """Runs the kprobe cases of tools/testing/selftests/ftrace."""
    boot = start(f"2 harts, ftracetest, execmem.rox={rox}", f"ftracetest-{rox}", harts=2,
                 mmu="sv57", initramfs=with_modules(KERNEL), append=f"execmem.rox={rox}")
    not_here = NOT_HERE | ({} if KERNEL == "distro" else NOT_LEAN)
    names = boot.guest.output("ls /ftrace/test.d/kprobe").split()
    for name in [name for name in names if name in not_here]:
        report.skip(f"ftracetest: {name}", not_here[name])
    names = [name for name in names if name not in not_here]
    cases = " ".join(f"/ftrace/test.d/kprobe/{name}" for name in names)
    boot.guest.run(f"sh /ftrace/ftracetest -k -l /tmp/ftracetest {cases}", 600)

    log = boot.guest.output("cat /tmp/ftracetest/ftracetest.log")
    results = re.findall(r"^\[(\d+)\].*\t\[(\w+)\]$", log, re.MULTILINE)
    report.check(len(results) == len(names) >= 14, f"ftracetest ran {len(names)} kprobe cases")
    for name, (number, result) in zip(names, results):
        said = ""
        if result != "PASS":
            said = boot.guest.output(f"tail -n 2 /tmp/ftracetest/{number}-*").replace("\n", " / ")
        report.check(result == "PASS", f"ftracetest: {name}", f"{result}: {said}")
