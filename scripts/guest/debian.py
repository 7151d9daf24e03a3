#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Boots Debian 13 with the patched kernel, installed from its package, to a login prompt under systemd.

A guest first makes build/debian/root.ext4 from the results of `scripts/parts/fetch debian` and
`scripts/kernel/build --deb distro`. It installs Debian's packages once, and the kernel's package
whenever that package changes. Then the installed kernel boots, and the tour logs in and shows what
systemd does. On a terminal it ends at the login prompt. Elsewhere it powers off, and the exit status
says whether every section succeeded.
"""

import gzip
import hashlib
import re
import subprocess
import sys

sys.path.append(sys.path[0] + "/..")    # lib.py and the folders beside this one
from guest.tour import check, run, show, tour
from guest.vm import Guest, GuestError
from lib import BUILD, Progress, die, write_file

OUT = BUILD / "out/distro"
UNPACKED = BUILD / "parts/debian.ext4"
ROOT = BUILD / "debian/root.ext4"
IMAGE = BUILD / "debian/Image"
# The hash of the kernel package that ROOT has. Without this file, ROOT is not finished.
INSTALLED = BUILD / "debian/installed"
E2FSPROGS = "/sbin"     # often missing from a user's PATH

BOOT_LIMIT = 600        # seconds to the login prompt; an idle machine takes less than a minute
INSTALL_LIMIT = 3600
# The number of packages that dpkg unpacks and configures
PACKAGES = 203

PREPARE = [
    "export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive",
    "mount -t proc proc /proc",
    "mount -t sysfs sysfs /sys",
    "mount -t tmpfs tmpfs /run",
    "ln -s /proc/self/fd /dev/fd",
]
# Files that the packages' scripts expect before all packages are installed. policy-rc.d keeps services from starting.
BEFORE = [
    "ln -s mawk /usr/bin/awk",
    "cp /usr/share/base-passwd/passwd.master /etc/passwd",
    "cp /usr/share/base-passwd/group.master /etc/group",
    r"printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d",
    "chmod +x /usr/sbin/policy-rc.d",
]
AFTER = [
    "rm /usr/sbin/policy-rc.d",
    "apt-get clean",
    "echo debian > /etc/hostname",
    "echo 127.0.0.1 localhost debian > /etc/hosts",
    "passwd -d root",
]

# By default 6.1 interprets BPF programs. loglevel=5 shows warnings, but no messages of the audit
# subsystem: these would mix with the output of commands.
APPEND = "sysctl.net.core.bpf_jit_enable=1 loglevel=5"

FAREWELL = """
The login prompt follows: log in as root, there is no password. 'poweroff' ends the
machine. Changes to its disk are kept. Ctrl-A c switches to QEMU's monitor and
back, Ctrl-A x quits at once.
"""


class Installer(Guest):
    """A guest whose first process is a shell. systemd does not run yet."""

    def get_shell(self, limit):
        self.read_until("Run /bin/sh as init process", limit)


class Debian(Guest):
    """A guest with systemd. Logs in at the prompt."""

    def get_shell(self, limit):
        self.read_until("debian login: ", limit, self.boot_lines.append, prompt=True)
        self.child.send("root\n")
        self.read_until("root@debian:~# ", limit, prompt=True)
        # Replace bash: its line editor would mix with the output.
        self.child.send("exec sh\n")
        self.read_until("# ", limit, prompt=True)

    def interact(self):
        self.child.logfile_read = None
        self.child.send("exit\n")
        self.child.interact(escape_character=None)
        self.lost = "its console was left to the user"

    def power_off(self):
        self.child.send("poweroff\n")
        self.read_until("reboot: Power down", BOOT_LIMIT)
        self.lost = "it was powered off"


def e2fs(program, *arguments):
    """Runs a program of e2fsprogs. debugfs returns 0 even when it fails."""
    return subprocess.run([f"{E2FSPROGS}/{program}", *arguments], capture_output=True, text=True, check=True).stdout


def installed():
    """Returns the hash of the kernel package in ROOT, or None if ROOT is not finished."""
    return INSTALLED.read_text() if ROOT.exists() and INSTALLED.exists() else None


def install(package):
    """Makes ROOT, or installs another kernel in it. An interrupted run does not change ROOT."""
    new = ROOT.with_suffix(".new")
    source = ROOT if installed() else UNPACKED
    if not source.exists():
        die(f"there is no {source}: run `scripts/parts/fetch debian`")
    ROOT.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "--sparse=always", source, new], check=True)
    e2fs("debugfs", "-w", "-R", f"write {package} kernel.deb", str(new))
    progress = Progress("installing Debian's packages" if source == UNPACKED else "installing the kernel's package")
    with Installer("debian-install", OUT, memory="1G", append="init=/bin/sh", disk=new, boot_limit=BOOT_LIMIT) as guest:
        for command in PREPARE:
            guest.output(command)
        if source == UNPACKED:
            for command in BEFORE:
                guest.output(command)
            steps = 0

            def count(line):
                nonlocal steps
                steps += line.startswith(("Unpacking ", "Setting up "))
                progress.show(f"{steps} of about {2 * PACKAGES} steps")

            packages = "/var/cache/apt/archives/*.deb"
            status, lines = guest.run(f"dpkg --install --force-depends {packages} </dev/null", INSTALL_LIMIT, count)
            check(not status, f"dpkg failed: {' '.join(lines[-3:])}")
            for command in AFTER:
                guest.output(command)
        guest.output("dpkg --install /kernel.deb </dev/null", INSTALL_LIMIT)
        incomplete = guest.output("rm /kernel.deb; dpkg --audit")
        check(not incomplete, f"dpkg says: {incomplete}")
        # dpkg replaced files that the running shell uses. As long as the deleted files are in use,
        # the file system cannot become read-only.
        guest.output("exec env PS1= PS2= sh")
        guest.output("mount -o remount,ro /")
        guest.power_off()
    if guest.faults:
        raise GuestError(f"the kernel complained: {guest.faults[0]}; the console is in {guest.log}")
    progress.done()
    INSTALLED.unlink(missing_ok=True)
    new.rename(ROOT)
    compressed = new.with_name("vmlinuz")
    e2fs("debugfs", "-R", f"dump /boot/vmlinuz-{release()} {compressed}", str(ROOT))
    write_file(IMAGE, gzip.decompress(compressed.read_bytes()))
    compressed.unlink()


def release():
    return (OUT / "include/config/kernel.release").read_text().strip()


def system(guest):
    show(guest, "grep PRETTY_NAME /etc/os-release")
    check(show(guest, "uname -r") == release(), "this is not the packaged kernel")
    text = show(guest, "dpkg --search /boot/vmlinuz-$(uname -r)")
    check(text.startswith(f"linux-image-{release()}:"), "the kernel is not from a package")


def services(guest):
    # This command fails if a service has failed. The next command names the service.
    guest.run("systemctl is-system-running --wait", BOOT_LIMIT)
    check(not show(guest, "systemctl --failed --no-legend"), "services have failed")
    show(guest, "systemctl is-system-running")
    show(guest, "systemctl --no-legend --no-pager --plain list-units --type=service --state=running")


def bpf(guest):
    programs = re.findall(r"name (sd_\w+) .*(?:\n\t.*)*?\bjited (\d+)B", guest.output("bpftool prog show"))
    check({"sd_fw_ingress", "sd_devices"} <= {name for name, _ in programs},
          "systemd has no BPF programs, or they are not compiled")
    show(guest, "bpftool prog show | grep 'name sd_' | cut -d ' ' -f 2-5 | sort | uniq -c")
    text = show(guest, "head -7 /sys/kernel/debug/execmem")
    check(int(re.search(r"^bpf +(\d+)", text, re.M)[1]) >= len(programs), "the list lacks BPF programs")


def limited(guest, setting, command):
    """Shows a command as a service, without and with a setting. Returns exit status and output of the latter."""
    show(guest, f"systemd-run --quiet --pipe {command}")
    service = f"systemd-run --quiet --pipe -p {setting} {command}"
    print(f"$ {service}")
    status, lines = guest.run(service)
    print(*lines, sep="\n")
    return status, " ".join(lines)


def guarded(guest):
    status, said = limited(guest, "IPAddressDeny=any", "ping -c 1 127.0.0.1")
    check(status and " 0 received" in said, "the service has the network in spite of IPAddressDeny=any")


def restricted(guest):
    status, said = limited(guest, "RestrictFileSystems=ext4", "cat /proc/version")
    check(status and "not permitted" in said, "the service reads /proc in spite of RestrictFileSystems=ext4")


def traced(guest):
    probes = "fentry", "fexit", "kfunc", "kretfunc", "kprobe", "kretprobe"
    program = " ".join(f'{probe}:vfs_open /comm == "cat"/ {{ @{probe} = count(); }}' for probe in probes)
    text = show(guest, f"bpftrace -q -e '{program}' -c '/usr/bin/cat /proc/version'")
    counts = dict(re.findall(r"^@(\w+): (\d+)", text, re.M))
    check(set(counts) == set(probes) and len(set(counts.values())) == 1, "the probes of bpftrace differ")


def profiled(guest):
    show(guest, "perf probe --quiet --add vfs_open")
    text = show(guest, "perf stat -x, -e probe:vfs_open cat /proc/version 2>&1")
    check(re.search("^[1-9][0-9]*,.*,probe:vfs_open,", text, re.M), "perf counts no hit of the probe")
    text = show(guest, "perf trace -e openat cat /proc/version 2>&1 | grep openat")
    check("openat(" in text, "perf trace shows no system call")
    show(guest, "perf probe --quiet --del vfs_open")


def module(guest):
    show(guest, "modprobe overlay")
    show(guest, "lsmod | grep -w overlay")
    text = show(guest, "head -7 /sys/kernel/debug/execmem")
    check(re.search(r"^module-text +[1-9]", text, re.M), "the list of executable memory has no module text")
    show(guest, "modprobe --remove overlay")


SECTIONS = [
    ("Debian, and the kernel from its package", system),
    ("systemd", services),
    ("The BPF programs with which systemd guards services", bpf),
    ("A service with the network, and one without", guarded),
    ("A service with all file systems, and one with ext4 only", restricted),
    ("bpftrace: programs at the entry and the return of a function, attached in three ways", traced),
    ("perf: a probe, and the system calls of a program", profiled),
    ("A module, found and loaded by modprobe", module),
]


def main():
    packages = [package for package in (BUILD / "deb").glob("linux-image-*.deb") if "-dbg_" not in package.name]
    if len(packages) != 1:
        die("there is no kernel package in build/deb: run `make deb`")
    made_of = hashlib.sha256(packages[0].read_bytes()).hexdigest()
    if installed() != made_of:
        install(packages[0])
        write_file(INSTALLED, made_of.encode())
    progress = Progress("booting Debian")
    with Debian("debian", OUT, mmu="sv57", memory="1G", append=APPEND, image=IMAGE, disk=ROOT,
                boot_limit=BOOT_LIMIT) as guest:
        progress.done("logged in")
        tour(guest, SECTIONS, FAREWELL)


if __name__ == "__main__":
    run(main)
