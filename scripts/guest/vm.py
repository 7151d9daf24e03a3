# SPDX-License-Identifier: GPL-2.0-only
"""Runs a QEMU guest: controls its console and its monitor, and finds faults.

The console is a BusyBox shell that runs one command at a time and reports the command's
exit status. Guest.faults has all complaints of the kernel. A guest that hangs, panics or
ends early raises GuestError.

WEAK=1 in the environment boots all guests of 64-bit RISC-V in the weak machine: see docs/weak-machine.md.
"""

import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import tempfile
import time

import pexpect

from lib import BUILD, LOG
from guest.machine import RV64_CPU, configuration, machine_of

# The QEMU of `make qemu`. Its CPU properties can choose the paging mode, and make the machine weak.
QEMU_MODES = BUILD / "parts/qemu/qemu-system-riscv64"
ROMS = pathlib.Path("/usr/share/qemu")
CPUS = {"sv57": RV64_CPU, "sv48": f"{RV64_CPU},sv57=off", "sv39": f"{RV64_CPU},sv57=off,sv48=off"}
# The weak machine, which runs one hart at a time
WEAK = ",x-weak=on"
WEAK_OPTIONS = ("-accel", "tcg,thread=single", "-trace", "riscv_weak_at_exit")
# What QEMU prints at its end, and in the monitor at "info weak": a line for each hart and kind of stale things
WEAK_COUNTS = re.compile(
    r"^(?:riscv_weak_at_exit )?(weak-fetch|weak-tlb|cache-invalid): .*stale (\d+) .*?resolved (\d+)")

# The limits of boots and commands are in seconds, and far above the times on an idle machine. All
# limits are multiplied by PATIENCE, because the machine may be busy, and run.py runs two files at a time.
# The weak machine is slower.
PATIENCE = 4
WEAK_PATIENCE = 10
BOOT_LIMIT = 120        # to the shell; an idle machine takes about two seconds, ten with KUnit
COMMAND_LIMIT = 60
POWEROFF_LIMIT = 30

# Messages that a healthy kernel never prints
FAULT = re.compile(
    r"Kernel panic|kernel BUG at|\bBUG: |\bWARNING: |\bOops\b|Unable to handle kernel"
    r"|KASAN:|UBSAN:|kmemleak: \d+ new|possible (circular|recursive|irq) .*lock"
    r"|INFO: (task|rcu|trying to register|lockdep is turned off)|rcu: INFO|soft lockup|bad page|Bad page"
    r"|unhandled signal")
# A stack trace is a complaint, too, unless it belongs to a failed allocation, which may be intended.
TRACE = re.compile(r"\bCall Trace:")
# Lines between the words of a complaint and its stack trace
TRACE_HEAD = re.compile(r"CPU: \d+ PID: |Hardware name: ")
NO_MEMORY = re.compile(r"(vmalloc error|alloc(ation)? failure): ")
# Kernel code under test marks the complaints that it provokes with these messages.
EXPECTED = re.compile(r"(?:execmem_kunit|hotplug_range|module_features): (begin|end) expected (?:warning|report)")
# The timestamp of CONFIG_PRINTK_TIME at the beginning of a line
TIME = re.compile(r"^\[ *\d+\.\d{6}\] ")
PANIC = re.compile(r"Kernel panic - not syncing|---\[ end Kernel panic")

# 67 GiB of RAM. The host allocates only pages that the guest touches.
SPARSE = ("-object", "memory-backend-ram,id=ram,size=67G,reserve=off", "-machine", "memory-backend=ram")


def virtio_mem(size, *options, kind="ram"):
    """Options for a virtio-mem device, vm0, that can give the guest up to `size` bytes. The guest needs maxmem=."""
    return ("-object", f"memory-backend-{kind},id=mem0,size={size},reserve=off",
            "-device", ",".join(["virtio-mem-pci,id=vm0,memdev=mem0", *options]))


class GuestError(Exception):
    """A failure of the guest: one line with the reason, and the last lines of the console."""

    def __init__(self, reason, console=()):
        super().__init__(reason)
        self.console = console


class Monitor:
    """QEMU's monitor: QMP over a unix socket, and through it the human monitor."""

    def __init__(self, path, qemu_runs):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(COMMAND_LIMIT)
        deadline = time.monotonic() + BOOT_LIMIT
        while True:
            try:
                self.socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if not qemu_runs() or time.monotonic() > deadline:
                    raise GuestError("QEMU did not open its monitor")
                time.sleep(0.05)
        self.stream = self.socket.makefile("rw")
        self.stream.readline()          # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command, **arguments):
        try:
            self.stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self.stream.flush()
            while True:
                line = self.stream.readline()
                if not line:
                    raise GuestError(f"QEMU closed its monitor during {command}")
                reply = json.loads(line)
                if "return" in reply:
                    return reply["return"]
                if "error" in reply:
                    raise GuestError(f"monitor: {command}: {reply['error']['desc']}")
        except OSError as error:
            raise GuestError(f"monitor: {command}: {error}") from error

    def ask(self, line):
        """Runs a line of the human monitor, and returns its output."""
        return self.execute("human-monitor-command", **{"command-line": line}).strip()

    def type(self, line):
        """Runs a line of the human monitor. Any output is an error."""
        if answer := self.ask(line):
            raise GuestError(f"monitor: {line}: {answer}")

    def close(self):
        self.socket.close()


def made_of(out, mmu=None, image=None, initramfs=None):
    """Returns what a guest boots with these options of Guest: QEMU, kernel, initramfs, and the firmware or None."""
    machine = machine_of(out.name)
    qemu = str(QEMU_MODES) if mmu and not os.environ.get("QEMU") else machine.qemu
    return (qemu, image or out / machine.image, initramfs or BUILD / f"initramfs-{out.name}.cpio.gz",
            machine.firmware)


class Guest:
    """One boot, used as a context manager: the guest ends when the context ends."""
    # All guests that have not ended
    running = set()

    def __init__(self, name, out, mmu=None, harts=4, memory="512M", ports=0, append="", devices=(),
                 boot_limit=BOOT_LIMIT, image=None, initramfs=None, disk=None, weak=None):
        """mmu: the paging mode, a key of CPUS. Only the QEMU of `make qemu` can choose it, so that one is
        used. Tests that arm probes on code that other harts execute need it, too, and name a mode: Debian's
        QEMU may keep the old translation of an instruction that is replaced while a hart executes it.
        image, initramfs: replace those of `out`. disk: the root file system, used instead of an initramfs.
        weak: more properties of the weak machine's CPUs, or "" for the weak machine without any; None is no
        weak machine."""
        self.log = LOG / f"{name}.log"
        self.out = pathlib.Path(out)
        if weak is None and os.environ.get("WEAK") and configuration(self.out.name)[1] == "rv64":
            weak = ""
        self.weak = weak
        self.patience = PATIENCE if weak is None else WEAK_PATIENCE
        self.weak_counts = {}
        self.faults = []
        self.expected = self.no_memory = False
        self.words = ""
        self.boot_lines = []
        self.monitor = None
        self.lost = None
        self.count = 0
        self.plugged = {}
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="guest-"))
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.logfile = open(self.log, "w", encoding="utf-8", errors="replace")
        try:
            if weak is not None:
                mmu = mmu or "sv57"
            self.qemu = self.command(image, initramfs, disk, mmu, harts, memory, ports, append, devices)
            self.start(self.qemu)
            self.have_shell(boot_limit)
        except BaseException:
            self.close()
            raise

    def command(self, image, initramfs, disk, mmu, harts, memory, ports, append, devices):
        machine = machine_of(self.out.name)
        qemu, image, initramfs, firmware = made_of(self.out, mmu, image, initramfs)
        if not shutil.which(qemu):
            raise GuestError(f"no emulator {qemu}: run 'make test', which gets it")
        for file in (image, disk or initramfs, firmware):
            if file and not file.exists():
                raise GuestError(f"no {file}: run 'make test', which makes it")
        arguments = [f"console={machine.console}", "oops=panic", "panic=-1", append]
        command = [
            qemu, *machine.options, "-smp", str(harts), "-m", memory, "-nodefaults", "-no-reboot",
            "-display", "none", "-serial", "mon:stdio",
            "-qmp", f"unix:{self.runtime}/qmp,server=on,wait=off",
            "-device", "virtio-rng-pci", "-kernel", str(image)]
        if disk:
            # cache=unsafe: QEMU writes everything to the file by the time it ends, so nothing is lost.
            command += ["-drive", f"file={disk},format=raw,if=none,id=disk,cache=unsafe",
                        "-device", "virtio-blk-pci,drive=disk"]
            arguments.append("root=/dev/vda rw")
        else:
            command += ["-initrd", str(initramfs)]
        if firmware:
            command += ["-bios", str(firmware)]
        if mmu:
            # This -cpu overrides the one above: QEMU takes the last.
            command += ["-cpu", CPUS[mmu] + ("" if self.weak is None else WEAK + self.weak), "-L", str(ROMS)]
        if self.weak is not None:
            command += WEAK_OPTIONS
        if ports:
            # Each port reserves a window of 1 GiB, so that a device of that size can be plugged in.
            arguments.append("pci=hpmmioprefsize=1G")
            slots = [0x10 + port for port in range(ports)]
            # Tell pci_ram that devices in these slots are memory.
            arguments.append("pci_ram.devices=" + ";".join(f"00:{slot:x}.0" for slot in slots))
            for port, slot in enumerate(slots):
                command += ["-device", f"pcie-root-port,id=rp{port},chassis={port + 1},slot={port + 1},addr={slot:#x}"]
        # devices come after the ports, because they may be plugged into the ports.
        return command + [*devices, "-append", " ".join(arguments).strip()]

    def start(self, command):
        """Starts QEMU, and connects to its monitor."""
        self.logfile.write("# " + " ".join(command) + "\n")
        self.child = pexpect.spawn(command[0], command[1:], encoding="utf-8",
                                   codec_errors="replace", timeout=BOOT_LIMIT, echo=False)
        self.running.add(self)
        self.child.delaybeforesend = None
        self.child.logfile_read = self.logfile
        try:
            self.monitor = Monitor(self.runtime / "qmp", self.child.isalive)
        except GuestError as error:
            # QEMU's last message is the reason.
            self.child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=1)
            self.give_up(f"{error}: {self.tail(1)[0]}")

    def have_shell(self, limit):
        self.get_shell(limit)
        # The shell's echo and prompts would mix with the output of commands.
        self.child.send("stty -echo; PS1=; PS2=\n")
        self.run("true")

    def kexec(self, command, limit=BOOT_LIMIT):
        """Runs a command that starts another kernel with kexec, and waits for its shell."""
        self.boot_lines = []
        self.read_log_last()
        self.child.send(f"{command}\n")
        self.have_shell(limit)

    def crash(self, limit=BOOT_LIMIT):
        """Crashes the kernel, and waits for the shell of the crash kernel that was loaded before."""
        self.boot_lines = []
        self.read_log_last()
        self.expected = True
        self.child.send("echo c > /proc/sysrq-trigger\n")
        self.read_until("Starting crashdump kernel", limit)
        self.expected = False
        self.have_shell(limit)

    def get_shell(self, limit):
        """Waits for the shell on the console."""
        self.read_until("guest: ready", limit, self.boot_lines.append)

    def read_until(self, end, limit, on_line=None, prompt=False):
        """Passes console lines to on_line until a line matches `end`, and returns the match. With `prompt`,
        a line that is not complete may match, too: a shell prompt has no newline."""
        limit *= self.patience
        deadline = time.monotonic() + limit
        panic = None
        patterns = ["([^\n]*)\n"] + [f"([^\n]*{end})"] * prompt
        while True:
            try:
                self.child.expect(patterns, timeout=max(deadline - time.monotonic(), 0.1))
            except pexpect.TIMEOUT:
                self.give_up(panic or f"no answer within {limit} s")
            except pexpect.EOF:
                self.give_up(panic or "QEMU ended early")
            line = TIME.sub("", self.child.match.group(1).rstrip("\r"))
            match = re.search(end, line)
            if match:
                return match
            self.watch(line)
            if PANIC.search(line) and not panic:
                # QEMU ends after a panic. Read the console until then.
                panic = line.strip()
                deadline = min(deadline, time.monotonic() + 10)
            if on_line:
                on_line(line)

    def watch(self, line):
        """Adds a line to faults if it is a complaint of the kernel that no test has announced, and to
        weak_counts if it is a count of the weak machine."""
        if counts := WEAK_COUNTS.search(line):
            kind, *numbers = counts.groups()
            sums = self.weak_counts.get(kind, (0, 0))
            self.weak_counts[kind] = [old + int(new) for old, new in zip(sums, numbers)]
        if mark := EXPECTED.search(line):
            self.expected = mark[1] == "begin"
        fault = line.strip() if FAULT.search(line) else None
        if NO_MEMORY.search(line):
            self.no_memory = True
        elif TRACE.search(line):
            if not self.no_memory:
                fault = f"{self.words}: {line.strip()}"
            self.no_memory = False
        if not TRACE_HEAD.search(line):
            self.words = line.strip()
        if fault and not self.expected and fault not in self.faults:
            self.faults.append(fault)

    def kill(self):
        try:
            self.child.close(force=True)
        except pexpect.ExceptionPexpect:
            # pexpect waits only a short time. On a busy host, QEMU may need longer to die.
            pass

    def give_up(self, reason):
        self.lost = reason
        self.kill()
        raise GuestError(reason, self.tail())

    def run(self, command, limit=COMMAND_LIMIT, on_line=None, reads=False):
        """Runs a shell command, and returns its exit status and its lines of output. With `reads`, the
        command can read what on_line sends: no other input is on the console while it runs."""
        if self.lost:
            raise GuestError(f"the guest is gone: {self.lost}")
        self.count += 1
        lines = []

        def keep(line):
            lines.append(line)
            if on_line:
                on_line(line)

        self.child.send(f"{command}{'; ' if reads else chr(10)}echo \"<{self.count}:$?>\"\n")
        match = self.read_until(rf"<{self.count}:(\d+)>", limit, keep)
        return int(match.group(1)), lines

    def output(self, command, limit=COMMAND_LIMIT):
        """Runs a command that must succeed, and returns its output."""
        status, lines = self.run(command, limit)
        if status:
            raise GuestError(f"'{command}' ended with {status}: {' '.join(lines[-2:])}")
        return "\n".join(lines)

    def kernel_log(self):
        """Returns the kernel's log since the last call. Most of it does not appear on the console."""
        return self.output("dmesg -c").splitlines()

    def read_log_last(self):
        """Reads the kernel's log for the last time. From here on, warnings appear on the console."""
        self.kernel_log()
        self.output("dmesg -n 5")

    def plug(self, port, size, name, more=""):
        """Hot-adds memory behind a port, which is the number of a root port or the name of another port. Returns
        the monitor's command lines."""
        if isinstance(port, int):
            port = f"rp{port}"
        lines = [f"object_add memory-backend-ram,id=m{name},size={size}",
                 f"device_add ivshmem-plain,id=d{name},memdev=m{name},bus={port}{more}"]
        for line in lines:
            self.monitor.type(line)
        self.plugged[name] = lines
        return lines

    def wait_unplugged(self, name, limit=COMMAND_LIMIT):
        """Waits until the guest has released a device, then deletes the device's memory."""
        deadline = time.monotonic() + limit
        while any(device["name"] == f"d{name}" for device in
                  self.monitor.execute("qom-list", path="/machine/peripheral")):
            if time.monotonic() > deadline:
                raise GuestError(f"device d{name} is still there after {limit} s")
            time.sleep(0.1)
        self.monitor.type(f"object_del m{name}")
        del self.plugged[name]

    def save_and_restore(self, limit=COMMAND_LIMIT):
        """Saves the machine to a file, ends QEMU, and continues the machine in a new QEMU. Programs on
        the console must print nothing meanwhile."""
        state = self.runtime / "state"
        self.monitor.execute("migrate", uri=f"exec:cat > {state}")
        self.wait_status("query-migrate", "completed", limit)
        self.monitor.execute("quit")
        self.read_rest(limit)
        self.monitor.close()
        self.kill()
        # Each monitor command that plugged a device becomes an option of the new QEMU.
        plugged = [f"-{line}".replace("_add ", " ").split(" ", 1) for lines in self.plugged.values() for line in lines]
        self.start([*self.qemu, *itertools.chain(*plugged), "-incoming", f"exec:cat {state}"])
        # Input sent to the console before the machine runs would be lost.
        self.wait_status("query-status", "running", limit)

    def wait_status(self, query, wanted, limit):
        """Waits until QEMU answers a query with this status."""
        deadline = time.monotonic() + limit * self.patience
        while (status := self.monitor.execute(query).get("status")) != wanted:
            if status == "failed" or time.monotonic() > deadline:
                self.give_up(f"{query} says {status}, not {wanted}")
            time.sleep(0.1)

    def interact(self):
        """Connects the terminal to the guest's shell until QEMU ends."""
        self.child.logfile_read = None
        self.child.send("stty echo; PS1='guest:\\w# '\n")
        self.child.interact(escape_character=None)
        self.lost = "its console was left to the user"

    def met(self):
        """Returns one line: what the weak machine has met, after its end."""
        return "the weak machine met what was stale: " + ", ".join(
            f"{kind} {stale}, {resolved} of them until a fence" for kind, (stale, resolved) in self.weak_counts.items())

    def tail(self, count=12):
        self.logfile.flush()
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if line.strip()][-count:]

    def power_off(self):
        """Powers the guest off. Raises GuestError if it does not end."""
        self.read_log_last()
        self.child.send("poweroff -f\n")
        self.read_rest(POWEROFF_LIMIT)
        self.lost = "it was powered off"

    def read_rest(self, limit):
        """Reads the console until QEMU ends."""
        limit *= self.patience
        try:
            self.child.expect(pexpect.EOF, timeout=limit)
        except pexpect.TIMEOUT:
            self.give_up(f"did not end within {limit} s")
        for line in self.child.before.splitlines():
            self.watch(TIME.sub("", line))

    def close(self):
        self.running.discard(self)
        if getattr(self, "child", None):
            self.kill()
        if self.monitor:
            self.monitor.close()
        self.logfile.close()
        shutil.rmtree(self.runtime, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
