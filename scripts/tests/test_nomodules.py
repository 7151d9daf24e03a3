# SPDX-License-Identifier: GPL-2.0-only
"""Without loadable modules and compressed instructions, kprobes and BPF still allocate executable memory.

KUnit, placement, W^X, kprobes, JITed BPF programs, their trampolines, and the memory of a BPF dispatcher."""

import pytest

from conftest import boot_guest
# This test also runs here, with this module's boot.
from test_users import test_boot_log    # noqa: F401


@pytest.fixture(scope="module")
def boot(request):
    return boot_guest(request, "4 harts, a kernel without modules and compressed instructions, KUnit on",
                      "nomodules", config="nomodules", mmu="sv57", append="kunit.enable=1")


def test_no_modules(report, boot):
    status, _ = boot.guest.run("ls /proc/modules")
    report.check(status, "the kernel has no module loader")


def test_kunit(boot):
    boot.kunit("execmem", "riscv_bpf_jit", "riscv_bpf_trampoline", "kprobes_test")


def test_placement(boot):
    boot.suite("placement", 60)


def test_wx(boot):
    boot.suite("wx", 60)


def test_probes(boot):
    boot.suite("probes", 120)


def test_dispatcher(boot):
    boot.suite("dispatcher", 60)


def test_trampolines(boot):
    boot.suite("trampolines", 120)


def test_probe_of_a_module(report, boot):
    """A probe event that names a module normally waits for the module. Here it must be refused."""
    status, _ = boot.guest.run("echo 'p:waits execmem_target:execmem_target_answer'"
                               " > /sys/kernel/tracing/kprobe_events")
    left = boot.guest.output("cat /sys/kernel/tracing/kprobe_events")
    report.check(status and not left, "a probe event of a module is refused", left)
