# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own tests of code that the series touches still pass: test_bpf.ko, test_vmalloc.ko and
ftracetest. `make test` runs those directories of ftracetest that are about the function tracer and
probes, `make test-all` runs the others, too. The kprobes KUnit suite runs in test_users.py."""

import fnmatch
import re

import pytest

from conftest import with_modules
from guest.machine import KERNEL

LIMIT = 900

# Directories of ftracetest whose cases use the function tracer or probes
TRACERS_AND_PROBES = ("direct", "dynevent", "ftrace", "kprobe")
OTHERS = ("00basic", "event", "filter", "instances", "preemptirq", "selftest", "tracer", "trigger")

NO_LATENCY = "the tracers of latencies are off: they slow down every kernel"
# Patterns of ftracetest cases that cannot run here, with the reason
NOT_HERE = {
    "direct/*": "the sample of direct calls is not built; test_tracing.py tests direct calls",
    "kprobe/kprobe_args_string.tc": "it has no register names for riscv",
    "kprobe/kprobe_args_syntax.tc": "it has no register names for riscv",
    "kprobe/kprobe_non_uniq_symbol.tc": "the kernel has no two functions of the name it wants",
    "preemptirq/irqsoff_tracer.tc": NO_LATENCY,
    "selftest/bashisms.tc": "it is about the scripts, and the guest has no checkbashisms",
    "tracer/wakeup*.tc": NO_LATENCY,
}
# Additional cases that cannot run on the lean kernel
NOT_LEAN = {
    "kprobe/kprobe_ftrace.tc": "the function tracer is off",
    "kprobe/kprobe_module.tc": "the module that it probes is not built",
    "kprobe/probepoint.tc": "it probes an instruction that 6.1 on riscv refuses, unpatched too",
    "kprobe/uprobe_syntax_errors.tc": "uprobes are off",
}


def why_not_here(name):
    """Returns why a case of ftracetest cannot run here, or None."""
    patterns = NOT_HERE if KERNEL == "distro" else NOT_HERE | NOT_LEAN
    return next((reason for pattern, reason in patterns.items() if fnmatch.fnmatch(name, pattern)), None)


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


def run_ftracetest(report, boot, directories):
    """Runs directories of tools/testing/selftests/ftrace/test.d."""
    guest = boot.guest
    found = guest.output(f"cd /ftrace/test.d && find {' '.join(directories)} -name '*.tc'").split()
    for name in sorted(filter(why_not_here, found)):
        report.skip(f"ftracetest: {name}", why_not_here(name))
    names = sorted(name for name in found if not why_not_here(name))
    guest.run(f"(cd /ftrace/test.d; sh ../ftracetest -k -l /tmp/ftracetest {' '.join(names)})", LIMIT)

    # The log of a case begins with the path of the case. Some cases run a second time, in an instance.
    cases = dict(re.findall(r"/(\d+)-\S*:execute.*: /ftrace/test\.d/(\S+)",
                            guest.output("grep -m 1 ^execute /tmp/ftracetest/*-log.*")))
    results = re.findall(r"^\[(\d+)\](.*)\t\[(\w+)\]$", guest.output("cat /tmp/ftracetest/ftracetest.log"),
                         re.MULTILINE)
    once = [cases[number] for number, title, _ in results if "(instance)" not in title]
    report.check(names and once == names, f"ftracetest ran {len(names)} cases of {', '.join(directories)}")
    for number, title, result in results:
        said = ""
        if result != "PASS":
            said = guest.output(f"tail -n 2 /tmp/ftracetest/{number}-*").replace("\n", " / ")
        instance = ", in an instance" if "(instance)" in title else ""
        # A case whose commands the kernel must refuse ends with XFAIL, and has this in its name.
        wanted = "XFAIL" if "xfail" in cases[number] else "PASS"
        report.check(result == wanted, f"ftracetest: {cases[number]}{instance}", f"{result}: {said}")


@pytest.mark.parametrize("rox", [1, pytest.param(0, marks=pytest.mark.test_all)])
def test_ftracetest(report, start, rox):
    """Runs the cases of ftracetest that use the function tracer or probes."""
    boot = start(f"2 harts, ftracetest, execmem.rox={rox}", f"ftracetest-{rox}", harts=2,
                 mmu="sv57", initramfs=with_modules(KERNEL), append=f"execmem.rox={rox}")
    run_ftracetest(report, boot, TRACERS_AND_PROBES if KERNEL == "distro" else ["kprobe"])


@pytest.mark.test_all
@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has few tracers")
def test_other_ftracetest(report, start):
    """Runs all other cases of ftracetest."""
    boot = start("2 harts, the rest of ftracetest", "ftracetest-rest", harts=2, mmu="sv57",
                 initramfs=with_modules(KERNEL))
    # Some cases trace ping.
    boot.guest.output("ifconfig lo up")
    run_ftracetest(report, boot, OTHERS)
