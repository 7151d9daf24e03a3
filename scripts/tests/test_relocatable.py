# SPDX-License-Identifier: GPL-2.0-only
"""The kernel at other addresses than the one that it is linked at.

It is booted at the lowest, at the highest and at a random virtual address, in each paging mode. Modules,
kprobes, BPF programs and hot-added memory work there. Configuration relocatable-kasan is the lean kernel with
KASAN, and there tracers, BPF trampolines, kexec and crash dumps work, too. The seeds of the device tree and the
command line choose the address, and so does EFI's random number generator. The same image boots from other
physical addresses, and says so where it cannot run. The build refuses relocations that the kernel
cannot apply."""

import re
import subprocess
import threading
import time

import pexpect
import pytest

from guest.machine import CROSS, KERNEL, LINK, machine_of
from guest.vm import CPUS, PATIENCE, QEMU_MODES, ROMS
from lib import BUILD, LINUX
from test_kexec import with_kernel

test_all = pytest.mark.test_all
KASAN = "relocatable-kasan"
OUT = BUILD / "out" / KERNEL
MACHINE = machine_of(KERNEL)
IMAGE = OUT / MACHINE.image
WORK = BUILD / "guest/relocatable"

RAM = 0x80000000
MIB, GIB = 1 << 20, 1 << 30
# What is above the direct map
SPACE = {"sv39": 32 * GIB, "sv48": 33 * 512 * GIB, "sv57": 1 << 53}
KASAN_SPACE = 4 * GIB
LOWEST, RANDOM, HIGHEST = "0", "123456789abcdef0", "ffffffffffffffff"
LIMIT = 60          # seconds to boot until the kernel finds no root file system
NO_ROOM = "Linux does not fit into memory where it was loaded"
NOT_ALIGNED = "Linux was not loaded at a multiple of 2 MiB"


def symbols(out=OUT):
    """Returns the addresses of some symbols where the kernel is linked."""
    lines = (out / "System.map").read_text().splitlines()
    return {name: int(address, 16) for address, _, name in map(str.split, lines)
            if name in ("_start", "_text", "_data", "__bss_stop", "_end")}


def position(space, seed, out=OUT):
    """Returns the address that a seed stands for in the last `space` bytes of the address space."""
    image = -(-(symbols(out)["_end"] - LINK) // (2 * MIB)) * 2 * MIB
    area = min(space, 512 * GIB)
    slots, places = area // GIB - 2, (GIB - image) // (2 * MIB)
    slot, place = divmod(seed * (space // area * slots * places) >> 64, places)
    return 2 ** 64 - space + slot // slots * area + (2 + slot % slots) * GIB + place * 2 * MIB


def early_command(image, mode="sv57", options=()):
    """Returns a QEMU command without a root file system."""
    return [str(QEMU_MODES), "-machine", "virt", "-cpu", CPUS[mode], "-L", str(ROMS), "-m", "512M", "-smp", "2",
            "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
            "-bios", str(MACHINE.firmware), "-kernel", str(image), *options]


def early_boot(name, append="", options=(), image=IMAGE, mode="sv57", tree=None):
    """Boots without a root file system until the kernel panics or cannot run, and returns the console. With None
    for `append`, there is no command line but that of the kernel."""
    command = [*early_command(image, mode, options), *(["-dtb", str(tree)] if tree else [])]
    if append is not None:
        command += ["-append", f"console={MACHINE.console} panic=-1 {append}"]
    text = ""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as qemu:
        timer = threading.Timer(LIMIT * PATIENCE, qemu.kill)
        timer.start()
        for line in qemu.stdout:
            text += line
            if NO_ROOM in line or NOT_ALIGNED in line:
                qemu.kill()
        timer.cancel()
    (BUILD / "log").mkdir(exist_ok=True)
    (BUILD / f"log/relocatable-{name}.log").write_text(f"# {' '.join(command)}\n{text}")
    return text


def offset_of(text):
    """Returns the offset that the message of a panic names, or None if the kernel did not get there."""
    found = re.search(r"kernel offset: (0x[0-9a-f]+) from (0x[0-9a-f]+)", text)
    return int(found[1], 16) if found and int(found[2], 16) == LINK else None


def kaslr_lines(text):
    """Returns what the kernel says of the seed."""
    return re.findall(r"KASLR: (?!kernel offset)(.*?)\r?$", text, re.M)


def device_tree(name, chosen=""):
    """Returns QEMU's device tree without its seed, and with these properties of /chosen."""
    WORK.mkdir(parents=True, exist_ok=True)
    tree, source = WORK / f"{name}.dtb", WORK / f"{name}.dts"
    subprocess.run([str(QEMU_MODES), "-machine", f"virt,dumpdtb={tree}", "-cpu", CPUS["sv57"], "-L", str(ROMS),
                    "-m", "512M",
                    "-smp", "2", "-nodefaults", "-display", "none", "-bios", str(MACHINE.firmware)],
                   check=True, capture_output=True)
    dtc = [OUT / "scripts/dtc/dtc", "-q", "-I"]
    said = subprocess.run([*dtc, "dtb", "-O", "dts", tree], check=True, stdout=subprocess.PIPE, text=True).stdout
    source.write_text(re.sub(r"\n\s*rng-seed = [^;]*;", "", said) + f"/ {{ chosen {{ {chosen} }}; }};\n")
    subprocess.run([*dtc, "dts", "-O", "dtb", "-o", tree, source], check=True)
    return tree


def check_position(report, guest, space, seed):
    """Checks where the kernel is, and returns the address."""
    text = int(guest.output("grep -m 1 ' _text$' /proc/kallsyms").split()[0], 16)
    here, wanted = text - symbols(guest.out)["_text"] + LINK, position(space, int(seed, 16), guest.out)
    report.check(here == wanted, f"the kernel is where the seed says, at {here:#x}", f"not at {wanted:#x}")
    return here


SHORT = [("sv39", LOWEST), ("sv48", RANDOM), ("sv57", HIGHEST)]


@pytest.mark.parametrize("mode, seed", [
    pytest.param(mode, seed, marks=[] if (mode, seed) in SHORT else test_all)
    for mode in CPUS for seed in (LOWEST, RANDOM, HIGHEST)])
def test_positions(report, start, mode, seed):
    boot = start(f"{mode.capitalize()}, 4 harts, kaslr_seed={seed}", f"relocatable-{mode}-{seed}", mmu=mode, ports=1,
                 append=f"kfence.sample_interval=0 kaslr_seed={seed}")
    guest = boot.guest
    linked = symbols()
    here = check_position(report, guest, SPACE[mode], seed)
    end = here + linked["_end"] - LINK
    report.check(here % (2 * MIB) == 0 and end <= 2 ** 64 - 4096, "it begins at a multiple of 2 MiB, and ends in time")
    report.check((end - 2 * GIB) // (512 * GIB) == end // (512 * GIB) and end - 2 * GIB >= 2 ** 64 - SPACE[mode],
                 "its window is in the same 512 GiB, and above the direct map")
    notes = guest.output("head -c 16384 /proc/kcore | grep -a -o 'KERNELOFFSET=[0-9a-f]*'")
    report.check(int(notes.split("=")[1], 16) == (here - LINK) % 2 ** 64, "VMCOREINFO has the offset", notes)
    boot.suite("mapping", 60)
    boot.suite("placement", 60)
    boot.suite("programs", 60)
    boot.suite("cycles 50", 200)
    boot.suite("hotadd add 512", 180, plug=lambda: guest.plug(0, "512M", 0))


# The shadow of the kernel's start shares a page table with that of modules, except at multiples of 16 MiB.
@test_all
@pytest.mark.parametrize("mode, seed", [("sv57", LOWEST), ("sv48", RANDOM), ("sv39", RANDOM), ("sv39", HIGHEST)])
def test_kasan(report, start, mode, seed):
    boot = start(f"KASAN, {mode.capitalize()}, 2 harts, kaslr_seed={seed}", f"relocatable-kasan-{mode}-{seed}",
                 config=KASAN, harts=2, mmu=mode, ports=1, memory="1G", append=f"kaslr_seed={seed}")
    check_position(report, boot.guest, KASAN_SPACE, seed)
    boot.suite("placement", 120)
    boot.suite("programs", 120)
    boot.suite("hotadd add 512", 180, plug=lambda: boot.guest.plug(0, "512M", 0))


@test_all
def test_tracers(report, start):
    boot = start(f"KASAN, Sv39, 4 harts, tracers, kaslr_seed={RANDOM}", "relocatable-tracers", config=KASAN,
                 mmu="sv39", memory="1G", append=f"kunit.enable=1 kaslr_seed={RANDOM}")
    boot.kunit("riscv_ftrace", "riscv_bpf_jit", "riscv_bpf_trampoline")
    check_position(report, boot.guest, KASAN_SPACE, RANDOM)
    boot.suite("tracers", 300)
    boot.suite("trampolines", 300)


@test_all
def test_kexec(report, start):
    """The next kernel is at another address."""
    boot = start(f"KASAN, Sv57, 2 harts, kexec, kaslr_seed={RANDOM}", "relocatable-kexec", config=KASAN, harts=2,
                 mmu="sv57", memory="1G", initramfs=with_kernel(KASAN, "file"), append=f"kaslr_seed={RANDOM}")
    guest = boot.guest
    guest.kernel_log()
    guest.kexec(f'kexec file /next/kernel /next/initramfs "$(sed s/={RANDOM}/={HIGHEST}/ /proc/cmdline)"')
    check_position(report, guest, KASAN_SPACE, HIGHEST)
    boot.suite("placement", 120)


@test_all
def test_crash(report, start):
    """The crash kernel is at another address than the kernel that crashed. The dump has the offset of that one."""
    boot = start(f"KASAN, Sv57, 2 harts, a crash, kaslr_seed={RANDOM}", "relocatable-crash", config=KASAN, harts=2,
                 mmu="sv57", memory="1G", initramfs=with_kernel(KASAN, "file"),
                 append=f"crashkernel=384M kaslr_seed={RANDOM}")
    guest = boot.guest
    # nr_cpus=1: the other hart of the crashed kernel is still running.
    guest.output('kexec crash /next/kernel /next/initramfs '
                 f'"$(sed "s/crashkernel=384M/nr_cpus=1/; s/={RANDOM}/={HIGHEST}/" /proc/cmdline)"')
    guest.crash()
    check_position(report, guest, KASAN_SPACE, HIGHEST)
    notes = guest.output("head -c 65536 /proc/vmcore | grep -a -o 'KERNELOFFSET=[0-9a-f]*'")
    crashed = (position(KASAN_SPACE, int(RANDOM, 16), guest.out) - LINK) % 2 ** 64
    report.check(int(notes.split("=")[1], 16) == crashed, "the dump has the offset of the crashed kernel", notes)


@test_all
@pytest.mark.parametrize("mode, seed", [("sv39", LOWEST), ("sv57", HIGHEST)])
def test_bpf(start, mode, seed):
    start(f"{mode.capitalize()}, 1 hart, test_bpf, kaslr_seed={seed}", f"relocatable-bpf-{mode}", harts=1, mmu=mode,
          append=f"kaslr_seed={seed}").test_bpf()


def test_random(report):
    report.heading("20 boots with the seed that QEMU gives to each guest")
    begin = time.monotonic()
    texts = [early_boot(f"random-{number}", mode="sv39") for number in range(20)]
    offsets = {offset_of(text) for text in texts}
    report.check(None not in offsets, "each boot ends with the message of the panic")
    report.check(len(offsets) >= 16, f"{len(offsets)} different addresses")
    lowest = 2 ** 64 - SPACE["sv39"]
    report.check(all(lowest + 2 * GIB <= (LINK + offset) % 2 ** 64 and offset % (2 * MIB) == 0
                     for offset in offsets if offset is not None), "all are in the range of Sv39")
    report.check(all(kaslr_lines(text) == ["enabled, with /chosen/rng-seed"] for text in texts),
                 "the log says which seed was used", kaslr_lines(texts[0]))
    report.say(f"        {time.monotonic() - begin:.0f} s")


# Name, properties of /chosen, command line, the seed or None for no randomisation, and the messages
NONE = "disabled, no seed was found"
BAD_KASLR = "/chosen/kaslr-seed is ignored: it is zero, or does not have 8 bytes"
BAD_RNG = "/chosen/rng-seed is ignored: it has less than 16 bytes"
RNG = "rng-seed = [00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f];"
SEEDS = [
    ("none", "", "", None, [NONE]),
    ("kaslr", "kaslr-seed = <0x12345678 0x9abcdef0>;", "", 0x123456789abcdef0, ["enabled, with /chosen/kaslr-seed"]),
    ("both", "kaslr-seed = <0x12345678 0x9abcdef0>;" + RNG, "", 0x123456789abcdef0,
     ["enabled, with /chosen/kaslr-seed"]),
    ("zero", "kaslr-seed = <0 0>;", "", None, [BAD_KASLR, NONE]),
    ("short", "kaslr-seed = <0x12345678>;", "", None, [BAD_KASLR, NONE]),
    ("short-rng", "rng-seed = <0x12345678>;", "", None, [BAD_RNG, NONE]),
    ("nokaslr", "kaslr-seed = <0x12345678 0x9abcdef0>;", "nokaslr", None, ["disabled on the command line"]),
    ("forced", "kaslr-seed = <0x12345678 0x9abcdef0>;", "kaslr_seed=ff00000000000000", 0xff << 56,
     ["the seed is from the command line"]),
    ("init", "kaslr-seed = <0x12345678 0x9abcdef0>;", "xnokaslr nokaslrx kaslr_seedx=0 -- nokaslr", 0x123456789abcdef0,
     ["enabled, with /chosen/kaslr-seed"]),
]


@pytest.mark.parametrize("name, chosen, append, seed, lines", SEEDS, ids=[case[0] for case in SEEDS])
def test_seed(report, name, chosen, append, seed, lines):
    report.heading(f"Early boot: {chosen or 'no seed'} {append}")
    text = early_boot(f"seed-{name}", append, tree=device_tree(name, chosen))
    wanted = 0 if seed is None else (position(SPACE["sv57"], seed) - LINK) % 2 ** 64
    report.check(offset_of(text) == wanted, f"the offset is {wanted:#x}", offset_of(text))
    report.check(kaslr_lines(text) == lines, " / ".join(lines), kaslr_lines(text))


@test_all
def test_built_in(report):
    report.heading("Early boots: the KASAN kernel, which has a command line for boot loaders that give none")
    image = BUILD / "out" / KASAN / MACHINE.image
    for append, line in ((None, "disabled on the command line"), ("", "enabled, with /chosen/rng-seed")):
        text = early_boot(f"built-in-{append}", append, image=image)
        report.check(kaslr_lines(text) == [line], line, kaslr_lines(text) or text[-500:])
        report.check(bool(offset_of(text)) == (append is not None), "it is where the message says", offset_of(text))


def test_rng_seed(report):
    report.heading("Early boots with an rng-seed that the kernel shares with its random number generator")
    # QEMU derives the seed from its own number.
    texts = [early_boot(f"rng-{number}", options=["-seed", str(number)]) for number in (1, 1, 2)]
    offsets = [offset_of(text) for text in texts]
    report.check(offsets[0] and offsets[0] == offsets[1], "the same seed gives the same address", offsets)
    report.check(offsets[0] != offsets[2], "another seed gives another address", offsets)
    if KERNEL == "distro":      # the lean kernel does not trust the boot loader
        report.check("crng init done" in texts[0], "the generator is initialised with it, too")


def test_zkr(report):
    report.heading("Early boots with the seed register of Zkr")
    tree = device_tree("zkr")
    texts = [early_boot(f"zkr-{number}", tree=tree, options=["-cpu", f"{CPUS['sv57']},zkr=on"]) for number in range(2)]
    if kaslr_lines(texts[0]) == [NONE]:
        report.skip("Zkr", "the firmware does not open the register for the kernel")
        return
    lines = kaslr_lines(texts[0])
    report.check(lines == ["enabled, with the seed register"], "the log names it", lines or texts[0][-300:])
    report.check(offset_of(texts[0]) != offset_of(texts[1]), "two boots differ")


def efi_boot(name, append=""):
    """Boots as an EFI application, which U-Boot finds in memory. Returns the console."""
    address = 0x90000000
    command = early_command(BUILD / "parts/u-boot.bin", options=[
        "-device", f"loader,file={IMAGE},addr={address:#x},force-raw=on", "-device", "virtio-rng-device"])
    log = BUILD / f"log/relocatable-efi-{name}.log"
    log.parent.mkdir(exist_ok=True)
    with open(log, "w", encoding="utf-8", errors="replace") as writing:
        child = pexpect.spawn(command[0], command[1:], timeout=LIMIT * PATIENCE, encoding="utf-8",
                              codec_errors="replace", logfile=writing)
        child.expect("Hit any key")
        child.send("\n")
        for line in (f"setenv bootargs console={MACHINE.console} panic=-1 {append}",
                     f"bootefi {address:#x}:{IMAGE.stat().st_size:#x} ${{fdtcontroladdr}}"):
            child.expect_exact("=> ")
            child.sendline(line)
        child.expect(pexpect.EOF)
        child.close()
    return child.before.replace("\r", "")


@pytest.mark.skipif(KERNEL != "distro", reason="the lean kernel has no EFI")
def test_efi(report):
    report.heading("Early boots by U-Boot, as an EFI application")
    texts = [efi_boot(name) for name in ("first", "second")]
    for text in texts:
        lines = kaslr_lines(text)
        report.check(lines == ["enabled, with /chosen/kaslr-seed"], "the EFI stub writes /chosen/kaslr-seed",
                     lines or text[-300:])
    offsets = [offset_of(text) for text in texts]
    report.check(None not in offsets and offsets[0] != offsets[1], "two boots differ", offsets)
    lines = kaslr_lines(efi_boot("nokaslr", "nokaslr"))
    report.check(lines == ["disabled on the command line"], "with nokaslr, it is where it is linked", lines)


def test_seed_is_gone(report, start):
    tree = device_tree("gone", "kaslr-seed = <0x12345678 0x9abcdef0>;")
    boot = start("a guest with kaslr-seed", "relocatable-gone", mmu="sv57", harts=2, devices=["-dtb", str(tree)])
    seed = boot.guest.output("od -A n -t x1 /proc/device-tree/chosen/kaslr-seed")
    report.check(seed.split() == ["00"] * 8, "user space does not see the seed", seed)


def boot_at(address, name, image, *options):
    """Boots an image that is loaded at a physical address. Returns the console."""
    WORK.mkdir(parents=True, exist_ok=True)
    jump = WORK / f"jump-{address:x}"
    source = WORK / f"jump-{address:x}.S"
    source.write_text(f"\tli t0, {address:#x}\n\tjr t0\n")
    subprocess.run([f"{CROSS}gcc", "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x80200000,--build-id=none,-N",
                    "-o", f"{jump}.elf", source], check=True, capture_output=True)
    subprocess.run([f"{CROSS}objcopy", "-O", "binary", "-j", ".text", f"{jump}.elf", jump], check=True)
    return early_boot(name, f"kaslr_seed={RANDOM}", image=jump,
                      options=["-device", f"loader,file={image},addr={address:#x},force-raw=on", *options])


# A multiple of 2 MiB that is none of 4 MiB, and one far from the usual address
@pytest.mark.parametrize("address", [0x80600000, 0x90000000])
def test_physical(report, address):
    report.heading(f"Early boot: the image is loaded at {address:#x}")
    text = boot_at(address, f"physical-{address:x}", IMAGE)
    report.check(offset_of(text) == (position(SPACE["sv57"], int(RANDOM, 16)) - LINK) % 2 ** 64,
                 "it boots, at the usual virtual address", text[-500:])


@pytest.mark.parametrize("missing, symbol", [("its data", "_data"), ("the end of its BSS", "__bss_stop")])
def test_no_room(report, missing, symbol):
    report.heading(f"Early boot: the image is loaded where there is no memory for {missing}")
    # QEMU puts the device tree into the last 4 MiB of memory. So load only the image's head, which finds this out.
    head = WORK / "head"
    WORK.mkdir(parents=True, exist_ok=True)
    head.write_bytes(IMAGE.read_bytes()[:MIB])
    address, fits = 0x90000000, (symbols()[symbol] - LINK - 1) // 8192 * 8192
    text = boot_at(address, f"no-room{symbol}", head, "-m", f"{(address - RAM + fits) // 1024}K")
    report.check(NO_ROOM in text and "Linux version" not in text, "it says so, and does not boot", text[-500:])


def test_not_aligned(report):
    report.heading("Early boot: the image is loaded 4 KiB behind a multiple of 2 MiB")
    text = boot_at(0x90001000, "not-aligned", IMAGE)
    report.check(NOT_ALIGNED in text and "Linux version" not in text, "it says so, and does not boot", text[-500:])


def relocs_check(readelf, vmlinux):
    run = subprocess.run(["sh", LINUX / "arch/riscv/tools/relocs_check.sh", readelf, vmlinux],
                         capture_output=True, text=True)
    return run.returncode, run.stderr


def test_relocs_check(report):
    report.heading("arch/riscv/tools/relocs_check.sh")
    readelf = f"{CROSS}readelf"
    report.check(relocs_check(readelf, OUT / "vmlinux") == (0, ""), "the kernel has no bad relocation")
    status, said = relocs_check(readelf, OUT / "arch/riscv/kernel/vdso/vdso.so")
    report.check(status and "no relocations" in said, "a file without relocations is refused", said)
    good = "ffffffff80600818  0000000000000003 R_RISCV_RELATIVE                          -7f9ff7e8"
    for name, bad in [
            ("of another type", "ffffffff80600820  0000000500000002 R_RISCV_64   0000000000000000 symbol + 0"),
            ("of an absolute symbol", "ffffffff80000078  0000000000000003 R_RISCV_RELATIVE           1000")]:
        fake = WORK / "readelf"
        WORK.mkdir(parents=True, exist_ok=True)
        fake.write_text(f"#!/bin/sh\necho '{good}\n{bad}'\n")
        fake.chmod(0o755)
        status, said = relocs_check(fake, "vmlinux")
        report.check(status and bad in said and good not in said, f"a relocation {name} is refused", said)
