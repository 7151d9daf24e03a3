# SPDX-License-Identifier: GPL-2.0-only
"""BPF trampolines with the ROX cache; in `make test-all` with execmem.rox=0, too.

- KUnit, riscv_bpf_trampoline: arguments in registers and on the stack, return values of each width, all flags,
  as many programs as there can be, tail calls, stack traces; and programs that run while they are poked.
  riscv_bpf_jit: atomic operations, loads that fault, and programs as long as the verifier accepts.
- Programs are traced when they begin and when they return, all ways at once, and are replaced. Other harts
  run them meanwhile. They get the same results, and who traces them sees arguments, results and cookies.
- Kernel functions are traced, or are not called. Files are guarded by programs of the BPF LSM, sleepable or
  not. This needs direct calls of ftrace; without them the kernel must refuse it, and the cases are skipped.
- One program is on several functions (kprobe.multi), at their start or their return, beside others.
- struct_ops: operations that only tests call, and TCP congestion control.
- Trampolines have symbols. When all is detached, the statistics are what they were."""

import pytest

from conftest import boot_guest

LIMIT = 300


@pytest.fixture(scope="module", params=[1, pytest.param(0, marks=pytest.mark.test_all)])
def boot(request):
    return boot_guest(request, f"4 harts, BPF trampolines, execmem.rox={request.param}",
                      f"trampolines-{request.param}", mmu="sv57", append=f"kunit.enable=1 execmem.rox={request.param}")


def test_kunit(boot):
    boot.kunit("riscv_bpf_jit", "riscv_bpf_trampoline")


def test_trampolines(boot):
    boot.suite("trampolines", LIMIT)
