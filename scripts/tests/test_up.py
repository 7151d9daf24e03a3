# SPDX-License-Identifier: GPL-2.0-only
"""A kernel for one hart, without compressed instructions and memory hotplug, with the function tracer."""

import pytest

from conftest import boot_guest
from test_tracing import run_traced
# These tests also run here, with this module's boot.
from test_users import (    # noqa: F401
    LIMIT, test_boot_log, test_features, test_placement, test_probes, test_programs, test_wx)

pytestmark = pytest.mark.test_all


@pytest.fixture(scope="module", params=[1, 0])
def boot(request):
    rox = f"execmem.rox={request.param}"
    return boot_guest(request, f"a kernel for one hart, KUnit on, {rox}", f"up-{rox}", config="up", harts=1,
                      append=f"kunit.enable=1 {rox}")


def test_kunit(boot):
    boot.kunit("execmem", "execmem_cache", "riscv_bpf_jit", "riscv_bpf_trampoline", "riscv_ftrace", "kprobes_test")


def test_relocs(boot):
    boot.suite("relocs", LIMIT)


def test_cycles(boot):
    boot.suite("cycles 100", LIMIT)


def test_trampolines(boot):
    boot.suite("trampolines", LIMIT)


def test_tracers(boot):
    boot.suite("tracers", LIMIT)


@pytest.mark.parametrize("tracer", ["function", "function_graph"])
def test_tracer(report, boot, tracer):
    run_traced(report, boot, tracer, ["probes"])


def test_bpf(start):
    start("a kernel for one hart, test_bpf", "up-test_bpf", config="up", harts=1).test_bpf()
