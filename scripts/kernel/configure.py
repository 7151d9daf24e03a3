# SPDX-License-Identifier: GPL-2.0-only
"""Configures a kernel as a list of scripts/kernel/config says."""

import os
import re
import subprocess

from guest.machine import MACHINES, configuration, source_of
from lib import die, kernel_make, write_file


def verify(asked, out, name):
    """Exits if an option did not take effect. The kernel's merge_config.sh compares, too, but it exits with 0
    whatever it finds. It also complains about lines "is not set" for options that kconfig leaves out."""
    config = set((out / ".config").read_text().splitlines())
    for option, line in asked.items():
        off = line.endswith("is not set") or line.endswith("=n")
        found = [have for have in config if re.match(rf"(# )?{option}(=| is not set)", have)]
        if line not in config and not (off and found in ([], [f"# {option} is not set"])):
            die(f"{line} of scripts/kernel/config/{name}.config did not take effect (.config has "
                f"{found[0] if found else 'no such option'}): does it depend on an option that is off?")


def configure(name, out, log):
    """Writes .config in the directory `out`, and what make says to the file `log`. Exits if an option of the list
    does not take effect."""
    asked, machine_name = configuration(name)
    machine = MACHINES[machine_name]
    list_file = out / "asked.config"
    write_file(list_file, ("\n".join(asked.values()) + "\n").encode())
    command, env = kernel_make(out, machine.arch, machine.cross, source_of(name))
    with log.open("a") as writing:
        made = subprocess.run([*command, f"KCONFIG_ALLCONFIG={list_file}", "allnoconfig"], env=env,
                              stdin=subprocess.DEVNULL, stdout=writing, stderr=writing)
    if made.returncode:
        die(f"the kernel cannot be configured: see {os.path.relpath(log)}")
    verify(asked, out, name)
