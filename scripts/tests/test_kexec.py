# SPDX-License-Identifier: GPL-2.0-only
"""A kernel executes another one while text, kprobes and programs are where the series has them."""

import gzip
import subprocess

import pytest

from lib import BUILD
from machine import KERNEL, machine_of

LIMIT = 300


def with_kernel(config, call):
    """The guest's programs, the same archive as a file, and the kernel in the form that the call takes."""
    out, stage, machine = BUILD / "out" / config, BUILD / "guest" / config, machine_of(config)
    initramfs, joined = BUILD / f"initramfs-{config}.cpio.gz", stage / "with-kernel.cpio.gz"
    kernel, listing = out / machine.image, stage / "with-kernel.list"
    if call == "file":
        kernel = stage / "vmlinux"
        subprocess.run([f"{machine.cross}strip", "-o", kernel, out / "vmlinux"], check=True)
    listing.write_text(f"dir /next 0755 0 0\nfile /next/kernel {kernel} 0644 0 0\n"
                       f"file /next/initramfs {initramfs} 0644 0 0\n")
    archive = subprocess.run([out / "usr/gen_init_cpio", listing], check=True, stdout=subprocess.PIPE).stdout
    # What follows a compressed archive has to be compressed or aligned.
    joined.write_bytes(initramfs.read_bytes() + gzip.compress(archive, compresslevel=1))
    return joined


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no kexec")
@pytest.mark.parametrize("rox, call, arguments", [
    (1, "load", ""),
    (0, "file", '"$(sed s/this/next/ /proc/cmdline)"'),
])
def test_kexec(report, start, rox, call, arguments):
    boot = start(f"distro, 4 harts, kexec {call}, execmem.rox={rox}", f"kexec-{rox}", memory="1G",
                 initramfs=with_kernel(KERNEL, call), append=f"execmem.rox={rox} this")
    guest = boot.guest
    # A module's text, a kprobe and programs are there when the kernel ends.
    guest.output("insmod modules/execmem_target.ko")
    guest.output("echo p:probe execmem_target_answer > /sys/kernel/tracing/kprobe_events")
    guest.output("echo 1 > /sys/kernel/tracing/events/kprobes/probe/enable")
    guest.kernel_log()
    guest.kexec(f"show bpf 10 'kexec {call} /next/kernel /next/initramfs {arguments}'")
    report.check("next" in guest.output("cat /proc/cmdline").split(), "the next kernel is there")
    harts = guest.output("grep -c ^processor /proc/cpuinfo")
    report.check(harts == "4", "it has all harts", harts)
    boot.suite("placement", LIMIT)
    boot.suite("cycles 20", LIMIT)
