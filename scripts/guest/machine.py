#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The machines for which kernels are built and booted, and the machine of each configuration.

machine.py CONFIGURATION prints settings for scripts/guest/initramfs as shell assignments.
"""

import os
import re
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.append(sys.path[0] + "/..")    # lib.py and the folders beside this one
from lib import BUILD, TOP, die

CONFIG = TOP / "scripts/kernel/config"
PARTS = BUILD / "parts"
# CROSS_COMPILE=, QEMU= and BUSYBOX= replace the compiler, emulator and BusyBox for riscv64. The same
# compiler builds 32-bit kernels.
CROSS = os.environ.get("CROSS_COMPILE") or "riscv64-linux-gnu-"
QEMU = os.environ.get("QEMU")
# KERNEL= names the configuration on which most tests run.
KERNEL = os.environ.get("KERNEL") or "distro"
BUSYBOX = os.environ.get("BUSYBOX")


class Machine(NamedTuple):
    arch: str               # the kernel's ARCH=
    cross: str              # the prefix of the kernel's compiler
    image: str              # path of the image that QEMU boots, in the kernel's output directory
    qemu: str
    options: tuple          # options of QEMU for the machine and CPU
    console: str
    busybox: Path
    cc: str                 # the compiler of the guest programs
    firmware: Path | None = None

    @property
    def target(self):
        """kbuild's make target for the image."""
        return Path(self.image).name


LINK = 0xffffffff80000000       # where a 64-bit RISC-V kernel is linked

# With svpbmt, a kernel that supports it patches instructions (alternatives) in itself and in modules.
RV64_CPU = "rv64,svpbmt=on"

MACHINES = {
    "rv64": Machine(
        "riscv", CROSS, "arch/riscv/boot/Image", QEMU or "qemu-system-riscv64",
        ("-machine", "virt", "-cpu", RV64_CPU), "ttyS0",
        Path(BUSYBOX or PARTS / "busybox"), f"{CROSS}gcc", PARTS / "opensbi.bin"),
    "rv32": Machine(
        "riscv", CROSS, "arch/riscv/boot/Image", "qemu-system-riscv32",
        ("-machine", "virt"), "ttyS0",
        PARTS / "rv32/busybox", str(PARTS / "rv32/cc"), PARTS / "rv32/opensbi.bin"),
    "x86_64": Machine(
        "x86_64", "x86_64-linux-gnu-", "arch/x86/boot/bzImage", "qemu-system-x86_64",
        ("-machine", "q35", "-cpu", "max"), "ttyS0",
        PARTS / "busybox-x86_64", "x86_64-linux-gnu-gcc"),
    "arm64": Machine(
        "arm64", "aarch64-linux-gnu-", "arch/arm64/boot/Image", "qemu-system-aarch64",
        ("-machine", "virt", "-cpu", "cortex-a72"), "ttyAMA0",
        PARTS / "busybox-arm64", "aarch64-linux-gnu-gcc"),
}


def configuration(name):
    """Returns the options of scripts/kernel/config/NAME.config, option -> its last line, and the name of
    the machine."""
    path = CONFIG / f"{name}.config"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in CONFIG.glob("*.config")))
        die(f"no scripts/kernel/config/{name}.config (there is: {known})")
    asked, inherited, machine = {}, "rv64", None
    for line in path.read_text().splitlines():
        based = re.fullmatch(r"# based on (\S+)\.config", line)
        named = re.fullmatch(r"# machine: (\S+)", line)
        option = re.match(r"(?:# )?(CONFIG_\w+)(?:=| is not set$)", line)
        if based:
            others, inherited = configuration(based[1])
            asked.update(others)
        elif named:
            machine = named[1]
            if machine not in MACHINES:
                die(f"{path.relative_to(TOP)}: no machine '{machine}' (there is: {', '.join(MACHINES)})")
        elif option:
            asked[option[1]] = line
        elif line.strip() and not line.startswith("#"):
            die(f"{path.relative_to(TOP)}: '{line}' is not an option")
    return asked, machine or inherited


def source_of(name):
    """Returns the directory of a configuration's kernel source."""
    named = re.search(r"^# source: (\S+)$", (CONFIG / f"{name}.config").read_text(), re.M)
    return BUILD / (named[1] if named else "linux")


def machine_of(name):
    """Returns the machine of a configuration."""
    return MACHINES[configuration(name)[1]]


def main():
    if len(sys.argv) != 2:
        die("usage: machine.py CONFIGURATION")
    name = configuration(sys.argv[1])[1]
    machine = MACHINES[name]
    print(f"machine={name}")
    for field in ("arch", "cross", "busybox", "cc"):
        print(f"{field}={shlex.quote(str(getattr(machine, field)))}")


if __name__ == "__main__":
    main()
