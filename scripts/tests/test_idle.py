# SPDX-License-Identifier: GPL-2.0-only
"""A hart that loses its state when it is idle then executes text that was written meanwhile.

The guest is the weak machine, which executes old text until a fence.i. But remote fence.i are also carried
out for suspended harts, by OpenSBI. With this firmware, the test passes without the kernel's own fence.i in
__cpu_resume_enter, too."""

import subprocess

import pytest

from lib import BUILD
from guest.machine import KERNEL, machine_of
from guest.vm import CPUS, ROMS, made_of

LIMIT = 300
MMU = "sv57"
HARTS = 2
MEMORY = "512M"
# An idle state in which harts lose registers and CSRs, for the device tree
IDLE_STATE = """
/ {
    cpus {
        idle-states {
            lost: lost {
                compatible = "riscv,idle-state";
                riscv,sbi-suspend-param = <0x80000000>;
                entry-latency-us = <1>;
                exit-latency-us = <1>;
                min-residency-us = <2>;
            };
        };
    };
};
"""


def device_tree(out):
    """Returns QEMU's device tree with this idle state for each hart. dtc is from the kernel's build."""
    tree, source = BUILD / "guest/idle.dtb", BUILD / "guest/idle.dts"
    kind, name, *_ = machine_of(out.name).options
    subprocess.run([made_of(out, MMU)[0], kind, f"{name},dumpdtb={tree}", "-cpu", CPUS[MMU], "-L", ROMS,
                    "-smp", str(HARTS), "-m", MEMORY, "-nodefaults", "-display", "none"],
                   check=True, capture_output=True)
    dtc = [out / "scripts/dtc/dtc", "-q", "-I"]
    states = "".join(f"/ {{ cpus {{ cpu@{hart} {{ cpu-idle-states = <&lost>; }}; }}; }};\n" for hart in range(HARTS))
    said = subprocess.run([*dtc, "dtb", "-O", "dts", tree], check=True, stdout=subprocess.PIPE, text=True).stdout
    source.write_text(said + IDLE_STATE + states)
    subprocess.run([*dtc, "dts", "-O", "dtb", "-o", tree, source], check=True)
    return tree


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel suspends no hart")
def test_idle(report, start):
    tree = device_tree(BUILD / "out" / KERNEL)
    boot = start(f"{HARTS} harts that lose their state when idle", "idle", weak="", harts=HARTS, mmu=MMU,
                 memory=MEMORY, devices=["-dtb", str(tree)])

    def suspended():
        """Returns how often each hart was suspended."""
        return [int(boot.guest.output(f"cat /sys/devices/system/cpu/cpu{hart}/cpuidle/state1/usage"))
                for hart in range(HARTS)]

    before = suspended()
    for program in "placement", "probes", "cycles 20":
        boot.suite(program, LIMIT)
    counts = [now - then for now, then in zip(suspended(), before)]
    report.check(all(counts), "each hart was suspended meanwhile, and resumed", str(counts))
    report.say(f"        {' and '.join(map(str, counts))} times")
