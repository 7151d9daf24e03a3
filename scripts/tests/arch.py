# SPDX-License-Identifier: GPL-2.0-only
"""Other architectures: the files that the series touches compile, and x86_64 and arm64 work.

`make check-arch` runs this file; `make test` does not. x86_64 and arm64 kernels boot and run KUnit,
test_bpf.ko, modules and kprobes. On x86_64 BPF programs trace programs and functions of the kernel, which
they share with both tracers and a probe, or implement operations. x86_64 also boots without modules, with
the dispatcher of BPF programs and a trampoline of the function tracer."""

import pytest

from conftest import boot_guest, check_refused
from kernel.configs import ARCHS, NO_COMPILER
from kernel.objects import compile_touched, touched

TRACING = "/sys/kernel/tracing"
COMPILED = {}           # architecture -> the source files that were compiled for it


@pytest.mark.parametrize("arch", ARCHS, ids=lambda arch: arch.name)
def test_compile(report, arch):
    report.heading(f"Compile: {arch.name}, {arch.target}")
    COMPILED[arch.name], complaints = compile_touched(arch, report.out)
    report.check(COMPILED[arch.name] and not complaints,
                 f"{arch.name}: {len(COMPILED[arch.name])} source files, no warning that the base has not",
                 "; ".join(complaints[:3]))
    for complaint in complaints:
        report.say(f"        | {complaint}")


def test_every_file(report):
    """Each file that the series touches is compiled by at least one configuration."""
    if len(COMPILED) < len(ARCHS):
        pytest.skip("not every architecture was compiled")
    report.heading("Compile: what is left")
    left = sorted(set(touched()).difference(*COMPILED.values()))
    for directory in NO_COMPILER:
        files = [path for path in left if path.startswith(directory)]
        report.skip(directory, f"Debian 12 has no compiler; the series touches {' '.join(files) or 'nothing'}")
    left = [path for path in left if not path.startswith(NO_COMPILER)]
    report.check(not left, "every touched file was compiled for some architecture", " ".join(left))


@pytest.fixture(scope="module", params=["x86_64", "arm64"])
def boot(request):
    return boot_guest(request, f"{request.param}, 4 CPUs, KUnit on", f"arch-{request.param}-boot",
                      config=request.param, append="kunit.enable=1")


def test_kunit(boot):
    boot.kunit("execmem", "kprobes_test")


def test_wx(report, boot):
    report.check(any("Checked W+X mappings: passed, no W+X pages found" in line for line in boot.guest.boot_lines),
                 "DEBUG_WX finds no page writable and executable")


def test_module(report, boot):
    boot.guest.output("insmod modules/execmem_target.ko")
    answer = boot.guest.output("cat /sys/module/execmem_target/parameters/answer")
    report.check(answer == "42", "a module's text, read-only data and data work", f"the answer is {answer}")


# The offset of the second instruction. On x86 the first is ftrace's call, and a probe of that
# call has no slot.
SECOND = {"x86_64": 5, "arm64": 4}


@pytest.mark.parametrize("function", ["do_sys_openat2", "execmem_target:execmem_target_answer"])
def test_kprobe(report, boot, function):
    offset = SECOND[boot.guest.output("uname -m").replace("aarch64", "arm64")]
    for where in (function, f"{function}+{offset}"):
        boot.guest.output(f"echo 'p:probe {where}' > {TRACING}/kprobe_events")
        boot.guest.output(f"echo 1 > {TRACING}/events/kprobes/probe/enable")
        boot.guest.output("cat /sys/module/execmem_target/parameters/answer")
        name, hits, missed = boot.guest.output(f"cat {TRACING}/kprobe_profile").split()
        report.check(int(hits) > 0 and missed == "0", f"a kprobe at {where}", f"{hits} hits, {missed} missed")
        if where != function:
            report.check("[FTRACE]" not in boot.guest.output("cat /sys/kernel/debug/kprobes/list"),
                         f"a kprobe at {where} has a slot")
        boot.guest.output(f"echo 0 > {TRACING}/events/kprobes/probe/enable")
        boot.guest.output(f"echo > {TRACING}/kprobe_events")


def test_bpf(boot):
    boot.test_bpf()


def test_trampolines(boot):
    if boot.guest.run("test -e /sys/kernel/btf/vmlinux")[0]:
        pytest.skip("the kernel has no BTF")
    boot.suite("trampolines", 300)


def test_unload(boot):
    boot.guest.output("rmmod execmem_target")


def test_features(boot):
    boot.suite("features", 300)


def test_acpi(report, start):
    """Memory that ACPI may remove is not used: ACPI removes it under a lock that memory hotplug takes, too."""
    boot = start("x86_64, 2 CPUs, a device below an ACPI host bridge", "arch-x86_64-acpi", config="x86_64", harts=2,
                 append="pci_ram.devices=pci:1af4:1110",
                 devices=["-object", "memory-backend-ram,id=m0,size=128M", "-device", "ivshmem-plain,id=d0,memdev=m0"])
    check_refused(report, boot, "ACPI may remove its host bridge")


def test_without_modules(report, start):
    """The users of executable memory without modules, on x86_64, which has the most of them."""
    boot = start("x86_64, a kernel without modules, KUnit on", "arch-x86_64-nomodules", config="x86_64-nomodules",
                 append="kunit.enable=1")
    boot.kunit("execmem", "kprobes_test")
    boot.suite("dispatcher", 60)
    dispatcher = boot.guest.output("grep -w 'bpf_dispatcher_xdp.*\\[bpf\\]' /proc/kallsyms || true")
    report.check(dispatcher, "the dispatcher's code has a symbol", dispatcher)
    boot.guest.output(f"echo do_sys_openat2 > {TRACING}/set_ftrace_filter; echo function > {TRACING}/current_tracer; "
                      "cat /proc/uptime")
    live = boot.guest.output("awk '$1 == \"ftrace\" { print $2 }' /sys/kernel/debug/execmem")
    report.check(int(live) > 0, "the function tracer has a trampoline", f"{live} allocations")
    traced = boot.guest.output(f"grep -c do_sys_openat2 {TRACING}/trace || true")
    report.check(int(traced) > 0, "and is called through it", f"{traced} calls")
    boot.guest.output(f"echo nop > {TRACING}/current_tracer")
