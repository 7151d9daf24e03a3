# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU guest under control: its console, its monitor, and what goes wrong.

The console is a BusyBox shell that runs one command at a time and reports its
exit status. Whatever the kernel complains about on the way is kept in
Guest.faults; a guest that hangs, panics or ends early raises GuestError.
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
from guest.machine import RV64_CPU, machine_of

# The emulator with the CPU properties that choose the paging mode.
QEMU_MODES = BUILD / "parts/qemu/qemu-system-riscv64"
ROMS = pathlib.Path("/usr/share/qemu")
MODES = {"sv57": "", "sv48": ",sv57=off", "sv39": ",sv57=off,sv48=off"}

# Limits of boots and commands are seconds on an idle machine, and many times what is needed
# there. A guest has this many times as long, as the machine may be busy.
PATIENCE = 2
BOOT_LIMIT = 120        # to the shell; it takes about two, ten with KUnit
COMMAND_LIMIT = 60
POWEROFF_LIMIT = 30

# What a healthy kernel never prints.
FAULT = re.compile(
    r"Kernel panic|kernel BUG at|\bBUG: |\bWARNING: |\bOops\b|Unable to handle kernel"
    r"|KASAN:|UBSAN:|kmemleak: \d+ new|possible (circular|recursive|irq) .*lock"
    r"|INFO: (task|rcu|trying to register|lockdep is turned off)|rcu: INFO|soft lockup|bad page|Bad page"
    r"|unhandled signal")
# Some complaints have their own words, and a stack trace; a lack of memory has one, too, and may be wanted.
TRACE = re.compile(r"\bCall Trace:")
# What stands between those words and the trace
TRACE_HEAD = re.compile(r"CPU: \d+ PID: |Hardware name: ")
NO_MEMORY = re.compile(r"(vmalloc error|alloc(ation)? failure): ")
# Tests in the kernel say when they provoke one.
EXPECTED = re.compile(r"(?:execmem_kunit|hotplug_range|module_features): (begin|end) expected (?:warning|report)")
# What CONFIG_PRINTK_TIME has in front of what the kernel says
TIME = re.compile(r"^\[ *\d+\.\d{6}\] ")
PANIC = re.compile(r"Kernel panic - not syncing|---\[ end Kernel panic")

# 67 GiB of RAM, of which the host gives only what the guest touches
SPARSE = ("-object", "memory-backend-ram,id=ram,size=67G,reserve=off", "-machine", "memory-backend=ram")


def virtio_mem(size, *options, kind="ram"):
    """A device, vm0, that the guest can have so many bytes from. The guest needs maxmem=."""
    return ("-object", f"memory-backend-{kind},id=mem0,size={size},reserve=off",
            "-device", ",".join(["virtio-mem-pci,id=vm0,memdev=mem0", *options]))


class GuestError(Exception):
    """Something went wrong: one line that says what, and the console's last lines."""

    def __init__(self, reason, console=()):
        super().__init__(reason)
        self.console = console


class Monitor:
    """QMP over a unix socket, used for commands as a person would type them."""

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
        """What a line of the human monitor prints."""
        return self.execute("human-monitor-command", **{"command-line": line}).strip()

    def type(self, line):
        """Run a line of the human monitor; anything it prints is an error."""
        if answer := self.ask(line):
            raise GuestError(f"monitor: {line}: {answer}")

    def close(self):
        self.socket.close()


class Guest:
    """One boot. Use it as a context manager: the boot always ends with it."""
    # Those that have not ended
    running = set()

    def __init__(self, name, out, mmu=None, harts=4, memory="512M", ports=0, append="", devices=(),
                 boot_limit=BOOT_LIMIT, image=None, initramfs=None, disk=None):
        """image, initramfs: others than those of out; disk: the root file system, in
        place of an initramfs."""
        self.log = LOG / f"{name}.log"
        self.out = pathlib.Path(out)
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
            self.qemu = self.command(image, initramfs, disk, mmu, harts, memory, ports, append, devices)
            self.start(self.qemu)
            self.have_shell(boot_limit)
        except BaseException:
            self.close()
            raise

    def command(self, image, initramfs, disk, mmu, harts, memory, ports, append, devices):
        machine = machine_of(self.out.name)
        qemu = machine.qemu
        if mmu and not os.environ.get("QEMU"):
            qemu = str(QEMU_MODES)
        image = image or self.out / machine.image
        initramfs = initramfs or BUILD / f"initramfs-{self.out.name}.cpio.gz"
        if not shutil.which(qemu):
            raise GuestError(f"no emulator {qemu}: run 'make test', which gets it")
        for file in (image, disk or initramfs, machine.firmware):
            if file and not file.exists():
                raise GuestError(f"no {file}: run 'make test', which makes it")
        arguments = [f"console={machine.console}", "oops=panic", "panic=-1", append]
        command = [
            qemu, *machine.options, "-smp", str(harts), "-m", memory, "-nodefaults", "-no-reboot",
            "-display", "none", "-serial", "mon:stdio",
            "-qmp", f"unix:{self.runtime}/qmp,server=on,wait=off",
            "-device", "virtio-rng-pci", "-kernel", str(image)]
        if disk:
            # What QEMU has written is in the file once it has ended, synchronised or not.
            command += ["-drive", f"file={disk},format=raw,if=none,id=disk,cache=unsafe",
                        "-device", "virtio-blk-pci,drive=disk"]
            arguments.append("root=/dev/vda rw")
        else:
            command += ["-initrd", str(initramfs)]
        if machine.firmware:
            command += ["-bios", str(machine.firmware)]
        if mmu:
            # Of several, QEMU takes the last.
            command += ["-cpu", RV64_CPU + MODES[mmu], "-L", str(ROMS)]
        if ports:
            # Each port reserves a window as large as what may be plugged into it.
            arguments.append("pci=hpmmioprefsize=1G")
            slots = [0x10 + port for port in range(ports)]
            # What is plugged there is memory.
            arguments.append("pci_ram.devices=" + ";".join(f"00:{slot:x}.0" for slot in slots))
            for port, slot in enumerate(slots):
                command += ["-device", f"pcie-root-port,id=rp{port},chassis={port + 1},slot={port + 1},addr={slot:#x}"]
        # Behind the ports, where they may be plugged in.
        return command + [*devices, "-append", " ".join(arguments).strip()]

    def start(self, command):
        """Start QEMU, and connect to its monitor."""
        self.logfile.write("# " + " ".join(command) + "\n")
        self.child = pexpect.spawn(command[0], command[1:], encoding="utf-8",
                                   codec_errors="replace", timeout=BOOT_LIMIT, echo=False)
        self.running.add(self)
        self.child.delaybeforesend = None
        self.child.logfile_read = self.logfile
        try:
            self.monitor = Monitor(self.runtime / "qmp", self.child.isalive)
        except GuestError as error:
            # What QEMU said, which is why.
            self.child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=1)
            self.give_up(f"{error}: {self.tail(1)[0]}")

    def have_shell(self, limit):
        self.get_shell(limit)
        # The shell's own echo and prompts would mix with what commands print.
        self.child.send("stty -echo; PS1=; PS2=\n")
        self.run("true")

    def kexec(self, command, limit=BOOT_LIMIT):
        """Run a command that starts another kernel with kexec, and wait for its shell."""
        self.boot_lines = []
        self.read_log_last()
        self.child.send(f"{command}\n")
        self.have_shell(limit)

    def crash(self, limit=BOOT_LIMIT):
        """Have the kernel crash, and wait for the shell of the one that was loaded for that."""
        self.boot_lines = []
        self.read_log_last()
        self.expected = True
        self.child.send("echo c > /proc/sysrq-trigger\n")
        self.read_until("Starting crashdump kernel", limit)
        self.expected = False
        self.have_shell(limit)

    def get_shell(self, limit):
        """Wait until there is a shell on the console."""
        self.read_until("guest: ready", limit, self.boot_lines.append)

    def read_until(self, end, limit, on_line=None, prompt=False):
        """Hand each console line to on_line until one matches, and return the match. A
        prompt does not end its line."""
        limit *= PATIENCE
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
                # QEMU ends after a panic: keep reading for what it says till then.
                panic = line.strip()
                deadline = min(deadline, time.monotonic() + 10)
            if on_line:
                on_line(line)

    def watch(self, line):
        """Keep a line that no healthy kernel prints, unless a test has asked for it."""
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
            # It does not wait for long, and QEMU on a busy host may take longer to die.
            pass

    def give_up(self, reason):
        self.lost = reason
        self.kill()
        raise GuestError(reason, self.tail())

    def run(self, command, limit=COMMAND_LIMIT, on_line=None, reads=False):
        """Run a shell command; returns its exit status and output lines. If it reads what
        on_line sends, nothing else must be there for it to read."""
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
        """The output of a command that must succeed."""
        status, lines = self.run(command, limit)
        if status:
            raise GuestError(f"'{command}' ended with {status}: {' '.join(lines[-2:])}")
        return "\n".join(lines)

    def kernel_log(self):
        """What the kernel logged since the last call; most of it is not on the console."""
        return self.output("dmesg -c").splitlines()

    def read_log_last(self):
        """Read the kernel's log for the last time: from here on, its warnings are on the console."""
        self.kernel_log()
        self.output("dmesg -n 5")

    def plug(self, port, size, name, more=""):
        """Hot-add memory behind a root port; returns the monitor's lines."""
        lines = [f"object_add memory-backend-ram,id=m{name},size={size}",
                 f"device_add ivshmem-plain,id=d{name},memdev=m{name},bus=rp{port}{more}"]
        for line in lines:
            self.monitor.type(line)
        self.plugged[name] = lines
        return lines

    def wait_unplugged(self, name, limit=COMMAND_LIMIT):
        """Wait until the guest has let go of a device, and drop its memory."""
        deadline = time.monotonic() + limit
        while any(device["name"] == f"d{name}" for device in
                  self.monitor.execute("qom-list", path="/machine/peripheral")):
            if time.monotonic() > deadline:
                raise GuestError(f"device d{name} is still there after {limit} s")
            time.sleep(0.1)
        self.monitor.type(f"object_del m{name}")
        del self.plugged[name]

    def save_and_restore(self, limit=COMMAND_LIMIT):
        """Save the machine to a file, end QEMU, and have another QEMU go on with the machine. A program
        on the console must print nothing meanwhile."""
        state = self.runtime / "state"
        self.monitor.execute("migrate", uri=f"exec:cat > {state}")
        self.wait_status("query-migrate", "completed", limit)
        self.monitor.execute("quit")
        self.read_rest(limit)
        self.monitor.close()
        self.kill()
        # The options of a device that was plugged are those with which the monitor has plugged it.
        plugged = [f"-{line}".replace("_add ", " ").split(" ", 1) for lines in self.plugged.values() for line in lines]
        self.start([*self.qemu, *itertools.chain(*plugged), "-incoming", f"exec:cat {state}"])
        # What is sent to the console before that is lost.
        self.wait_status("query-status", "running", limit)

    def wait_status(self, query, wanted, limit):
        """Wait until QEMU answers a query with this status."""
        deadline = time.monotonic() + limit * PATIENCE
        while (status := self.monitor.execute(query).get("status")) != wanted:
            if status == "failed" or time.monotonic() > deadline:
                self.give_up(f"{query} says {status}, not {wanted}")
            time.sleep(0.1)

    def interact(self):
        """Give the terminal to the guest's shell until QEMU ends."""
        self.child.logfile_read = None
        self.child.send("stty echo; PS1='guest:\\w# '\n")
        self.child.interact(escape_character=None)
        self.lost = "it was left to a person"

    def tail(self, count=12):
        self.logfile.flush()
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if line.strip()][-count:]

    def power_off(self):
        """End the boot as a machine should: raises if it does not power off."""
        self.read_log_last()
        self.child.send("poweroff -f\n")
        self.read_rest(POWEROFF_LIMIT)
        self.lost = "it was powered off"

    def read_rest(self, limit):
        """Read the console until QEMU ends."""
        limit *= PATIENCE
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
