# SPDX-License-Identifier: GPL-2.0-only
"""The configurations for which `make check-arch` and `make check-configs` compile the files that the
series touches. ARCHS has one or more of each architecture, with the users of executable memory
switched on. RISCV has configurations of RISC-V, most of which lack one thing that the series uses."""

from guest.machine import CROSS
from kernel.objects import Config


def own(name, arch, cross, defconfig, more=""):
    return Config(name, arch, cross, defconfig, f"MODULES KUNIT EXECMEM_KUNIT_TEST DEBUG_FS {more}")


ARCHS = (
    own("arm", "arm", "arm-linux-gnueabihf-", "multi_v7_defconfig", "FTRACE KPROBES BPF_JIT KASAN"),
    own("arm64", "arm64", "aarch64-linux-gnu-", "defconfig",
        "FTRACE KPROBES BPF_JIT KASAN FUNCTION_TRACER MEMORY_HOTPLUG MEMORY_HOTREMOVE"),
    own("m68k", "m68k", "m68k-linux-gnu-", "multi_defconfig"),
    own("mips", "mips", "mipsel-linux-gnu-", "malta_defconfig", "FTRACE KPROBES BPF_JIT"),
    own("mips64", "mips", "mips64el-linux-gnuabi64-", "loongson3_defconfig", "FTRACE KPROBES BPF_JIT FUNCTION_TRACER"),
    own("parisc", "parisc", "hppa-linux-gnu-", "generic-32bit_defconfig", "FTRACE KPROBES"),
    own("parisc64", "parisc64", "hppa64-linux-gnu-", "generic-64bit_defconfig", "FTRACE KPROBES"),
    own("powerpc", "powerpc", "powerpc-linux-gnu-", "pmac32_defconfig", "FTRACE KPROBES BPF_JIT KASAN FUNCTION_TRACER"),
    own("powerpc-8xx", "powerpc", "powerpc-linux-gnu-", "mpc885_ads_defconfig", "FTRACE KPROBES"),
    own("powerpc64", "powerpc", "powerpc64le-linux-gnu-", "ppc64le_defconfig",
        "FTRACE KPROBES BPF_JIT FUNCTION_TRACER"),
    own("riscv", "riscv", CROSS, "defconfig",
        "FTRACE KPROBES BPF_JIT KASAN RANDOMIZE_BASE FUNCTION_TRACER FTRACE_STARTUP_TEST RISCV_FTRACE_KUNIT_TEST "
        "SAMPLES SAMPLE_FTRACE_DIRECT=m SAMPLE_FTRACE_DIRECT_MULTI=m "
        "PCIEPORTBUS HOTPLUG_PCI HOTPLUG_PCI_PCIE VIRT_DRIVERS PCI_RAM SPARSEMEM_MANUAL ZONE_DEVICE MEMORY_HOTPLUG "
        "MEMORY_HOTREMOVE MEMORY_FAILURE HWPOISON_INJECT IDLE_PAGE_TRACKING PAGE_OWNER DAMON DAMON_PADDR"),
    own("riscv32", "riscv", CROSS, "rv32_defconfig", "FTRACE KPROBES BPF_JIT"),
    own("s390", "s390", "s390x-linux-gnu-", "defconfig", "FTRACE KPROBES BPF_JIT KASAN FUNCTION_TRACER"),
    own("sh", "sh", "sh4-linux-gnu-", "rts7751r2d1_defconfig", "FTRACE KPROBES"),
    own("sparc", "sparc", "sparc64-linux-gnu-", "sparc32_defconfig", "BPF_JIT"),
    own("sparc64", "sparc", "sparc64-linux-gnu-", "sparc64_defconfig", "FTRACE KPROBES BPF_JIT FUNCTION_TRACER"),
    own("i386", "x86", "x86_64-linux-gnu-", "i386_defconfig", "FTRACE KPROBES BPF_JIT FUNCTION_TRACER"),
    own("x86_64", "x86", "x86_64-linux-gnu-", "x86_64_defconfig",
        "FTRACE KPROBES BPF_JIT KASAN FUNCTION_TRACER HYPERVISOR_GUEST HYPERV"),
)
# alpha is missing: Linux 6.1.192 itself does not compile for it (page_table_check_pte_clear()
# in asm/pgtable.h), and the series does not touch it.
# Debian 12 has no compiler for these architectures.
NO_COMPILER = ("arch/loongarch/", "arch/nios2/")


def riscv(name, target="defconfig", on="", off=""):
    return Config(f"riscv-{name}", "riscv", CROSS, target, on, off)


# What executes text of its own, or changes text, and the tests of it
TEXT = "FTRACE FUNCTION_TRACER KPROBES BPF_JIT"
TESTS = "KUNIT KUNIT_ALL_TESTS"

RISCV = (
    riscv("defconfig"),
    riscv("rv32_defconfig", "rv32_defconfig"),
    riscv("allnoconfig", "allnoconfig"),
    riscv("allmodconfig", "allmodconfig"),
    riscv("nommu_virt_defconfig", "nommu_virt_defconfig"),
    riscv("nommu-modules", "nommu_virt_defconfig", "MODULES KPROBES PREEMPT"),
    riscv("xip", on="NONPORTABLE SPARSEMEM_MANUAL XIP_KERNEL"),
    riscv("no-modules", on="KPROBES BPF_JIT EXECMEM", off="MODULES"),
    riscv("no-bpf", on="KPROBES EXECMEM", off="BPF_SYSCALL BPF_JIT"),
    riscv("no-kprobes", on="BPF_JIT EXECMEM", off="KPROBES"),
    riscv("only-kprobes", on="KPROBES EXECMEM", off="MODULES BPF_SYSCALL BPF_JIT"),
    riscv("no-strict-module-rwx", on="KPROBES BPF_JIT", off="STRICT_KERNEL_RWX STRICT_MODULE_RWX"),
    riscv("no-hotremove", on="SPARSEMEM_MANUAL MEMORY_HOTPLUG", off="MEMORY_HOTREMOVE ZONE_DEVICE"),
    riscv("no-debug", off="DEBUG_FS FTRACE PERF_EVENTS"),
    riscv("no-smp", on=f"{TEXT} {TESTS} RANDOMIZE_BASE", off="SMP"),
    riscv("no-function-tracer", on=f"FTRACE KPROBES BPF_JIT {TESTS}", off="FUNCTION_TRACER"),
    riscv("no-dynamic-ftrace", on=f"{TEXT} {TESTS}", off="DYNAMIC_FTRACE"),
    riscv("relocatable-kasan", on=f"{TEXT} {TESTS} RANDOMIZE_BASE DEBUG_RANDOMIZE_BASE KASAN", off="KEXEC KEXEC_FILE"),
)
