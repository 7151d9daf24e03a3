# SPDX-License-Identifier: GPL-2.0-only
"""kexec while module text, kprobes and BPF programs are in the cache and behind the kernel's text.

The second kernel works on all harts, with either of the two system calls, and in `make test-all` also if
all functions of the first kernel are traced. A crash dump contains
memory that pci_ram or virtio-mem has added, and the kernel that makes the dump does not use this memory.
A locked-down kernel starts no kernel without a signature."""

import gzip
import re
import subprocess

import pytest

from conftest import needs_device
from lib import BUILD
from guest.machine import KERNEL, machine_of
from guest.vm import virtio_mem

LIMIT = 300
# The next kernel's command line
NEXT = '"$(sed s/this/next/ /proc/cmdline)"'


def with_kernel(config, call):
    """Returns an initramfs that also has itself as a file, and the kernel in the format of the system call."""
    out, stage, machine = BUILD / "out" / config, BUILD / "guest" / config, machine_of(config)
    initramfs, joined = BUILD / f"initramfs-{config}.cpio.gz", stage / "with-kernel.cpio.gz"
    kernel, listing = out / machine.image, stage / "with-kernel.list"
    if call == "file":
        kernel = stage / "vmlinux"
        subprocess.run([f"{machine.cross}strip", "-o", kernel, out / "vmlinux"], check=True)
    listing.write_text(f"dir /next 0755 0 0\nfile /next/kernel {kernel} 0644 0 0\n"
                       f"file /next/initramfs {initramfs} 0644 0 0\n")
    archive = subprocess.run([out / "usr/gen_init_cpio", listing], check=True, stdout=subprocess.PIPE).stdout
    # Data behind a compressed archive must be compressed or aligned.
    joined.write_bytes(initramfs.read_bytes() + gzip.compress(archive, compresslevel=1))
    return joined


def crash(report, start, driver, says, plug, **options):
    """A crash dump contains hot-added memory. The kernel that makes the dump does not use it."""
    boot = start(f"distro, 2 harts, memory of {driver}, a crash", f"kexec-crash-{driver}", harts=2,
                 initramfs=with_kernel(KERNEL, "file"),
                 append="crashkernel=384M memhp_default_state=online_movable sysrq_always_enabled", **options)
    guest = boot.guest
    boot.suite("vmcore keep 64", LIMIT, plug=lambda: plug(guest))
    start_address = re.search(rf"(\w+)-\w+ : System RAM \({driver}\)", guest.output("cat /proc/iomem"))[1]
    # nr_cpus=1: the other harts of the crashed kernel are still running.
    guest.output('kexec crash /next/kernel /next/initramfs "$(sed s/crashkernel=384M/nr_cpus=1/ /proc/cmdline)"')
    guest.crash()
    left = guest.output(f"dmesg | grep -c '{says}'")
    report.check(left == "1", "the driver says that it leaves the device alone", left)
    boot.suite(f"vmcore find 64 {start_address}", LIMIT)


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no kexec")
def test_crash(report, start):
    # A kernel that assigns addresses anew gives the first ones to this port.
    crash(report, start, "pci_ram", "not used as memory: this kernel dumps another one",
          lambda guest: guest.plug(1, "128M", 0), memory="1G", ports=2)


@pytest.mark.test_all
@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no kexec")
def test_crash_virtio_mem(report, start):
    needs_device("virtio-mem-pci")
    crash(report, start, "virtio_mem", "memory hot(un)plug disabled in kdump kernel",
          lambda guest: guest.monitor.type("qom-set vm0 requested-size 128M"),
          mmu="sv57", memory="1G,maxmem=4G", devices=virtio_mem("1G"))


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no kexec")
def test_lockdown(report, start):
    boot = start("distro, 2 harts, kexec with lockdown=integrity", "kexec-lockdown", harts=2, memory="1G",
                 initramfs=with_kernel(KERNEL, "file"), append="lockdown=integrity crashkernel=384M")
    for what in "file", "crash":
        status, lines = boot.guest.run(f"kexec {what} /next/kernel /next/initramfs next")
        report.check(status and "Operation not permitted" in " ".join(lines), f"kexec {what} is refused",
                     " ".join(lines[-2:]))


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no kexec")
@pytest.mark.parametrize("rox, call, arguments, tracer", [
    (1, "load", "", "nop"),
    (0, "file", NEXT, "nop"),
    pytest.param(1, "file", NEXT, "function", marks=pytest.mark.test_all),
    pytest.param(1, "load", "", "function_graph", marks=pytest.mark.test_all),
])
def test_kexec(report, start, rox, call, arguments, tracer):
    boot = start(f"distro, 4 harts, 1 hot-plug port, kexec {call}, execmem.rox={rox}, tracer {tracer}",
                 f"kexec-{rox}-{tracer}", memory="1G", mmu=None if tracer == "nop" else "sv57", ports=1,
                 initramfs=with_kernel(KERNEL, call), append=f"execmem.rox={rox} this")
    guest = boot.guest
    boot.suite("hotadd add 128", LIMIT, plug=lambda: guest.plug(0, "128M", 0))
    # A module's text, a kprobe and BPF programs are present when kexec starts.
    guest.output("insmod modules/execmem_target.ko")
    guest.output("echo p:probe execmem_target_answer > /sys/kernel/tracing/kprobe_events")
    guest.output("echo 1 > /sys/kernel/tracing/events/kprobes/probe/enable")
    # All functions
    guest.output(f"echo {tracer} > /sys/kernel/tracing/current_tracer", LIMIT)
    guest.kernel_log()
    guest.kexec(f"show bpf 10 'kexec {call} /next/kernel /next/initramfs {arguments}'")
    report.check("next" in guest.output("cat /proc/cmdline").split(), "the next kernel is there")
    harts = guest.output("grep -c ^processor /proc/cpuinfo")
    report.check(harts == "4", "it has all harts", harts)
    added = guest.output("cat /proc/iomem").count("System RAM (pci_ram)")
    report.check(added == 1, "it has the memory that was added, from its own look at PCI", added)
    if call == "file":
        said = guest.output("dmesg | grep KASLR:")
        report.check("enabled, with /chosen/kaslr-seed" in said, "it has a seed from the first kernel", said)
    boot.suite("placement", LIMIT)
    boot.suite("cycles 20", LIMIT)
