# SPDX-License-Identifier: GPL-2.0-only
"""The kernel in the weak machine, where a missing fence.i or sfence.vma shows: see docs/weak-machine.md.

- The command of docs/weak-machine.md boots it.
- With 4 harts: placement, older processes and new mappings, memory that is added and removed, BPF programs,
  kprobes, W^X, cycles, CPU hotplug, the function tracer on and off. Programs that change their own code, as a
  JIT compiler does: without a flush, they execute old code.
- The machine counts what was stale when it was used: there was something to find.
- `make test-all`: Linux 6.1 without the series, which lacks one fence.
- The same kernel fails in the weak machine if it lacks a fence, and in no other. In the first case, no hart learns of
  new mappings: the exception entry reads 0 instead of the number of new mappings. In the second,
  execmem_update_copy() does not synchronize instruction caches. In the third, execmem_cache_give() does not, and a
  hart executes code that was freed.
- `make test-all`: a JIT compiler that others wrote executes what it has just compiled.
- test_soak.py has the random load."""

import re
import subprocess

import pexpect
import pytest

from conftest import boot_guest
from guest.machine import KERNEL, PARTS, QEMU, machine_of
from guest.vm import BOOT_LIMIT, FAULT, POWEROFF_LIMIT, WEAK_COUNTS, WEAK_PATIENCE, Guest, GuestError
from ktap import Ktap
from lib import BUILD, LOG, TOP
from test_hotremove import Devices, run_till_gone
from test_tracing import distro_only, run_traced

LIMIT = 300

NOP = bytes.fromhex("13000000")
FENCE_R_R = bytes.fromhex("0f002002")
RET = bytes.fromhex("8280")
LD_A0_A0, LI_A0_0 = bytes.fromhex("0861"), bytes.fromhex("0145")


@pytest.mark.skipif(bool(QEMU), reason="QEMU= is not the one of the command")
def test_documented(report, tmp_path):
    """The command that docs/weak-machine.md gives for any kernel, in a directory with what it names"""
    report.heading("Boot: the command of docs/weak-machine.md")
    command, = re.findall(r"^    (build/parts/qemu/(?:.*\\\n)*.*)", (TOP / "docs/weak-machine.md").read_text(), re.M)
    for name, target in (("build", BUILD), ("arch", BUILD / "out" / KERNEL / "arch"),
                         ("initramfs", BUILD / f"initramfs-{KERNEL}.cpio.gz")):
        (tmp_path / name).symlink_to(target)
    with open(LOG / "weak-documented.log", "w", encoding="utf-8") as log:
        child = pexpect.spawn("sh", ["-c", command], cwd=tmp_path, encoding="utf-8", codec_errors="replace", echo=False)
        child.logfile_read = log
        try:
            end = child.expect(["guest: ready", pexpect.EOF, pexpect.TIMEOUT], timeout=BOOT_LIMIT * WEAK_PATIENCE)
            report.check(not end and not FAULT.search(child.before), "a kernel boots to its shell", f"see {log.name}")
            child.send("poweroff -f\n")
            child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=POWEROFF_LIMIT * WEAK_PATIENCE)
            report.check(len(re.findall("^riscv_weak_at_exit weak-fetch: CPU", child.before, re.M)) == 4,
                         "QEMU ends with the counts of four harts", f"see {log.name}")
        finally:
            child.close(force=True)


@pytest.fixture(scope="module")
def boot(request):
    return boot_guest(request, "weak machine, 4 harts", "weak", weak="", ports=2,
                      append="memhp_default_state=online_movable rcupdate.rcu_expedited=1 kfence.sample_interval=0")


# "mapping" comes first: modules split pages of the direct map. With KFENCE, its pool is in small pages.
@pytest.mark.parametrize("command", ["mapping", "placement", "programs", "probes", "wx", "cycles 20"])
def test_suite(boot, command):
    boot.suite(command, LIMIT)


def test_icache(report, boot):
    said = " ".join(boot.suite("icache", LIMIT))
    for who in "own", "other thread", "mprotect":
        report.check(re.search(rf"old code without a flush, .*\b{who} [1-9]", said),
                     f"without a flush, old code is executed: {who}", said)


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel takes no hart offline")
def test_offline(boot):
    boot.suite("offline", LIMIT)


def test_remove(boot):
    run_till_gone(boot, "hotremove move 128", Devices(boot.guest, "128M"))


def test_add(boot):
    boot.suite("pgd 512", LIMIT, plug=lambda: boot.guest.plug(1, "512M", "pgd"))


@distro_only
def test_tracer(report, boot):
    run_traced(report, boot, "function", [])


def test_met(report, boot):
    """The counts are those since the machine was started."""
    met = {}
    for counts in map(WEAK_COUNTS.search, boot.guest.monitor.ask("info weak").splitlines()):
        if counts:
            met[counts[1]] = met.get(counts[1], 0) + int(counts[2])
    for kind in "weak-fetch", "weak-tlb", "cache-invalid":
        report.check(met.get(kind), f"{kind}: there was something to find", met)


@pytest.mark.test_all
def test_base(report, start):
    """Linux 6.1 maps the memory map without an sfence.vma, and dies when it stores there."""
    report.heading("Boot: Linux 6.1 without the series, in the weak machine")
    said = failure("weak-base", "", config="base")
    # Documentation/riscv/vm-layout.rst: where Sv57 has the memory map
    report.check(re.search("paging request at virtual address ff1[c-f]", said or ""), f"it fails: {said}")
    boot = start("Linux 6.1 without the series, in the weak machine without x-cache-invalid, 4 harts", "weak-base-rest",
                 config="base", weak=",x-cache-invalid=off")
    boot.test_bpf()
    for command in "bpf 100 200", "kprobes 100", "fork", "module execmem_target":
        status, lines = boot.guest.run(f"bench {command}", LIMIT)
        report.check(not status, f"bench {command}", " / ".join(lines[-2:]))


def without_counter(image, _):
    """No hart sees that there are new mappings."""
    place = FENCE_R_R + LD_A0_A0
    assert image.count(place) == 1
    return image.replace(place, FENCE_R_R + LI_A0_0)


def binutil(out, tool, *options):
    return subprocess.run([machine_of(out.name).cross + tool, *options, out / "vmlinux"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def symbols(out):
    return {name: int(address, 16) for address, _, name in map(str.split, binutil(out, "nm").splitlines())}


def replaced(image, start, code):
    return image[:start] + code + image[start + len(code):]


def without_flush(image, out, function="execmem_update_copy"):
    """A function does not call flush_icache_all()."""
    code = binutil(out, "objdump", "--no-show-raw-insn", f"--disassemble={function}")
    call, = re.findall(r"^(\w+):\s+(auipc\s.*\n\w+:\s+jalr|jal)\s.*<flush_icache_all>$", code, re.MULTILINE)
    return replaced(image, int(call[0], 16) - symbols(out)["_start"], (1 + call[1].startswith("auipc")) * NOP)


def without_flush_of_freed(image, out):
    """Other harts are not told that a piece of the cache was freed and has traps now."""
    return without_flush(image, out, "execmem_cache_give")


def without_user_flush(image, out):
    """riscv_flush_icache() does nothing."""
    known = symbols(out)
    return replaced(image, known["flush_icache_mm"] - known["_start"], RET)


def write_mutant(mutate):
    """Writes the image of a kernel that lacks a fence, and returns its path."""
    out = BUILD / "out" / KERNEL
    path = BUILD / f"out/weak/Image-{mutate.__name__}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(mutate((out / machine_of(KERNEL).image).read_bytes(), out))
    return path


class Mutant(Guest):
    """A guest whose GuestError says what the kernel complained of first."""

    def give_up(self, reason):
        super().give_up(self.faults[0] if self.faults else reason)


def failure(name, weak, image=None, config=KERNEL):
    """Returns why a kernel does not boot, or cannot run BPF programs; None if it can. No fence.i follows a load of a
    program but the one that is left out. KFENCE switches a static key now and then, with a fence.i."""
    try:
        with Mutant(name, BUILD / "out" / config, mmu="sv57", image=image, weak=weak,
                    append="earlycon kfence.sample_interval=0") as guest:
            ktap = Ktap()
            status, lines = guest.run("programs", LIMIT)
            points = [point for line in lines for point in ktap.feed(line)] + ktap.end()
            wrong = [point.name for point in points if point.status not in ("ok", "skip")]
            guest.power_off()
            return next(iter(guest.faults + wrong), f"exit status {status}" if status else None)
    except GuestError as error:
        return str(error)


@pytest.mark.parametrize("mutate, expected", [
    (without_counter, "Unable to handle kernel paging request"),
    (without_flush, "Oops|Unable to handle kernel"),
])
def test_mutant(report, mutate, expected):
    """test_suite shows that the same kernel passes if it lacks no fence."""
    name = mutate.__name__
    report.heading(f"Boot: the kernel {name.replace('_', ' ')}, in the weak machine and in another")
    path = write_mutant(mutate)
    said = failure(f"weak-mutant-{name}-weak", "", path)
    report.check(re.search(expected, said or ""), f"it fails in the weak machine: {said}")
    said = failure(f"weak-mutant-{name}-plain", None, path)
    report.check(not said, "it passes in the plain machine", said)


def call_freed(name, weak, image=None):
    """Has a hart call code that another hart has freed. Returns what the kernel complains of, or "" if it executes
    the code."""
    try:
        with Mutant(name, BUILD / "out" / KERNEL, mmu="sv57", harts=2, image=image, weak=weak,
                    append="kfence.sample_interval=0") as guest:
            guest.output("insmod modules/freed_text.ko")
            assert "has executed freed code: 42" in "\n".join(guest.kernel_log())
            guest.power_off()
            return ""
    except GuestError as error:
        return str(error)


def test_freed(report):
    """Freed code is overwritten with traps. A hart that has executed it must not execute it again."""
    report.heading("Boot: a hart calls freed code, in the weak machine and in another")
    path = write_mutant(without_flush_of_freed)
    for title, name, weak, image, traps in (
            ("the kernel, in the weak machine: it traps", "whole", "", None, True),
            ("the same without flush_icache_range() behind the traps: it executes the code", "weak", "", path, False),
            ("the same in the plain machine: it traps", "plain", None, path, True)):
        said = call_freed(f"weak-freed-{name}", weak, image)
        report.check("illegal instruction" in said if traps else not said, title, said)


# Each of four processes runs these tests of PCRE2's authors. Test 17 asks for JIT code itself. A shell that is not
# interactive does not say that a process has ended.
PCRE2 = """(cd /tmp; for i in 1 2 3 4; do (for test in 1 4 17; do
pcre2test -q -8 $([ $test = 17 ] || echo -jit) /pcre2/testinput$test out$i || echo "test $test: exit status $?"
cmp out$i /pcre2/testoutput$test; done) & done; wait)"""


@pytest.mark.test_all
def test_jit(report, tmp_path):
    """pcre2test of Debian 13 compiles regular expressions to machine code, executes it, and frees it. It prints what
    its authors expect, unless the system call that it relies on does nothing."""
    initramfs = tmp_path / "initramfs"
    initramfs.write_bytes(b"".join(file.read_bytes() for file in (
        BUILD / f"initramfs-{KERNEL}.cpio.gz", PARTS / "pcre2.cpio.gz")))
    report.heading("Boot: a JIT compiler that others wrote, in the weak machine")
    for title, name, image, passes in (
            ("four processes of pcre2test print what they should", "whole", None, True),
            ("without riscv_flush_icache(), they do not", "mutant", write_mutant(without_user_flush), False)):
        with Mutant(f"weak-jit-{name}", BUILD / "out" / KERNEL, mmu="sv57", image=image, initramfs=initramfs, weak="",
                    append="kfence.sample_interval=0") as guest:
            assert guest.output("pcre2test -C jit || :") == "1"
            _, wrong = guest.run(PCRE2, LIMIT)
            guest.power_off()
        report.check(passes != bool(wrong), title, " / ".join(wrong[:4]))
