// SPDX-License-Identifier: GPL-2.0-only
/*
 * Execute another kernel, with one of two system calls:
 *
 *   kexec file VMLINUX INITRAMFS ARGUMENTS	kexec_file_load()
 *   kexec load IMAGE INITRAMFS			kexec_load()
 *   kexec crash VMLINUX INITRAMFS ARGUMENTS	only load, for a crash
 *
 * kexec-tools use kexec_load() by default. For it, the program places all
 * segments, including the device tree. It copies this kernel's tree, and
 * replaces the word "this" in the kernel's arguments by "next".
 */
#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdint.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

#define DEVICE_TREE	"/sys/firmware/fdt"

/* An offset in the header of an image, see Documentation/riscv/boot-image-header.rst */
#define IMAGE_SIZE	16

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("open %s: %s", path, strerror(errno));
	return fd;
}

static void load_file(const char *vmlinux, const char *initramfs, const char *arguments,
		      unsigned long flags)
{
	if (syscall(SYS_kexec_file_load, open_file(vmlinux), open_file(initramfs),
		    strlen(arguments) + 1, arguments, flags))
		die("kexec_file_load: %s", strerror(errno));
}

/* A property of the tree that firmware and boot loader set. It must not get longer. */
static char *chosen_property(void *tree, const char *name, int *length)
{
	char *value = fdt_getprop_w(tree, fdt_path_offset(tree, "/chosen"), name, length);

	if (!value)
		die("%s has no property %s", DEVICE_TREE, name);
	return value;
}

static void set_address(void *tree, const char *name, uint64_t address)
{
	int length;
	char *value = chosen_property(tree, name, &length);

	/* Big endian, with four or eight bytes */
	address = cpu_to_fdt64(address);
	memcpy(value, (char *)&address + sizeof(address) - length, length);
}

static void name_next(void *tree)
{
	int length;
	char *word = strstr(chosen_property(tree, "bootargs", &length), "this");

	if (!word)
		die("\"this\" is not an argument of this kernel");
	memcpy(word, "next", strlen("next"));
}

/* @unit is a power of two */
static unsigned long round_up(unsigned long value, unsigned long unit)
{
	return (value + unit - 1) & -unit;
}

/* The start of the kernel whose text is in /proc/iomem */
static unsigned long kernel_start(void)
{
	char *iomem = read_file("/proc/iomem"), *code = strstr(iomem, " : Kernel code");
	unsigned long start;

	if (!code)
		die("/proc/iomem has no kernel");
	while (code > iomem && code[-1] != '\n')
		code--;
	start = strtoul(code, NULL, 16) & ~(2 * MIB - 1);
	free(iomem);
	return start;
}

static struct kexec_segment segment_of(const char *path, unsigned long address)
{
	struct kexec_segment segment = { .mem = (void *)address };

	segment.buf = read_bytes(path, &segment.bufsz);
	segment.memsz = round_up(segment.bufsz, PAGE_SIZE);
	return segment;
}

/* The first address behind a segment where another segment, even a kernel, can be */
static unsigned long behind(const struct kexec_segment *segment)
{
	return round_up((unsigned long)segment->mem + segment->memsz, 2 * MIB);
}

static void load_image(const char *image, const char *initramfs)
{
	unsigned long start = kernel_start(), initrd;
	struct kexec_segment segments[3];
	uint64_t size;
	void *tree;

	segments[0] = segment_of(image, start);
	memcpy(&size, (const char *)segments[0].buf + IMAGE_SIZE, sizeof(size));
	segments[0].memsz = round_up(size, PAGE_SIZE);

	initrd = behind(&segments[0]);
	segments[1] = segment_of(initramfs, initrd);
	segments[2] = segment_of(DEVICE_TREE, behind(&segments[1]));
	tree = (void *)segments[2].buf;
	set_address(tree, "linux,initrd-start", initrd);
	set_address(tree, "linux,initrd-end", initrd + segments[1].bufsz);
	name_next(tree);

	if (syscall(SYS_kexec_load, start, 3UL, segments, (unsigned long)KEXEC_ARCH_RISCV))
		die("kexec_load: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "crash")) {
		load_file(argv[2], argv[3], argv[4], KEXEC_FILE_ON_CRASH);
		return 0;
	}
	if (argc == 5 && !strcmp(argv[1], "file"))
		load_file(argv[2], argv[3], argv[4], 0);
	else if (argc == 4 && !strcmp(argv[1], "load"))
		load_image(argv[2], argv[3]);
	else
		die("usage: kexec MODE FILE INITRAMFS [ARGUMENTS], as kexec.c says");
	reboot(LINUX_REBOOT_CMD_KEXEC);
	die("reboot: %s", strerror(errno));
}
