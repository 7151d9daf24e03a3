// SPDX-License-Identifier: GPL-2.0-only
/*
 * Execute another kernel, in one of the two ways that there are:
 *
 *   kexec file VMLINUX INITRAMFS ARGUMENTS	kexec_file_load(), with these arguments
 *   kexec load IMAGE INITRAMFS			kexec_load(), as kexec-tools does by default
 *
 * The second one says itself what is where, the device tree included. That is the one
 * of this kernel, in whose arguments the word "this" becomes "next".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdint.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

#define DEVICE_TREE	"/sys/firmware/fdt"

/* Of the header of an image, Documentation/riscv/boot-image-header.rst */
#define IMAGE_SIZE	16

/* Of a flattened device tree, all of it big endian */
#define FDT_STRUCT	8
#define FDT_STRINGS	12
#define FDT_BEGIN_NODE	1
#define FDT_END_NODE	2
#define FDT_PROP	3
#define FDT_NOP		4

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("open %s: %s", path, strerror(errno));
	return fd;
}

static void load_file(const char *vmlinux, const char *initramfs, const char *arguments)
{
	if (syscall(SYS_kexec_file_load, open_file(vmlinux), open_file(initramfs),
		    strlen(arguments) + 1, arguments, 0UL))
		die("kexec_file_load: %s", strerror(errno));
}

static uint32_t fdt_number(const char *at)
{
	uint32_t number;

	memcpy(&number, at, sizeof(number));
	return __builtin_bswap32(number);
}

/* The value of the only property of that name, and its length */
static char *fdt_property(char *fdt, const char *name, uint32_t *length)
{
	const char *strings = fdt + fdt_number(fdt + FDT_STRINGS);
	char *at = fdt + fdt_number(fdt + FDT_STRUCT);

	for (;;) {
		uint32_t token = fdt_number(at);

		at += sizeof(token);
		if (token == FDT_BEGIN_NODE) {
			at += (strlen(at) + 1 + 3) & ~3;
		} else if (token == FDT_PROP) {
			const char *found = strings + fdt_number(at + 4);

			*length = fdt_number(at);
			at += 8;
			if (!strcmp(found, name))
				return at;
			at += (*length + 3) & ~3;
		} else if (token != FDT_END_NODE && token != FDT_NOP) {
			die("%s has no property %s", DEVICE_TREE, name);
		}
	}
}

static void fdt_set_address(char *fdt, const char *name, uint64_t address)
{
	uint32_t length;
	char *value = fdt_property(fdt, name, &length);

	address = __builtin_bswap64(address);
	memcpy(value, (char *)&address + sizeof(address) - length, length);
}

static void fdt_name_next(char *fdt)
{
	uint32_t length;
	char *word = strstr(fdt_property(fdt, "bootargs", &length), "this");

	if (!word)
		die("\"this\" is not an argument of this kernel");
	memcpy(word, "next", strlen("next"));
}

/* Where the kernel is whose text /proc/iomem has */
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

	segment.buf = file_read(path, &segment.bufsz);
	segment.memsz = (segment.bufsz + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	return segment;
}

/* The first address behind a segment at which there may be a kernel, or anything */
static unsigned long behind(const struct kexec_segment *segment)
{
	return ((unsigned long)segment->mem + segment->memsz + 2 * MIB - 1) & ~(2 * MIB - 1);
}

static void load_image(const char *image, const char *initramfs)
{
	unsigned long start = kernel_start(), initrd;
	struct kexec_segment segments[3];
	uint64_t size;

	segments[0] = segment_of(image, start);
	memcpy(&size, (const char *)segments[0].buf + IMAGE_SIZE, sizeof(size));
	segments[0].memsz = (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);

	initrd = behind(&segments[0]);
	segments[1] = segment_of(initramfs, initrd);
	segments[2] = segment_of(DEVICE_TREE, behind(&segments[1]));
	fdt_set_address((char *)segments[2].buf, "linux,initrd-start", initrd);
	fdt_set_address((char *)segments[2].buf, "linux,initrd-end", initrd + segments[1].bufsz);
	fdt_name_next((char *)segments[2].buf);

	if (syscall(SYS_kexec_load, start, 3UL, segments, (unsigned long)KEXEC_ARCH_RISCV))
		die("kexec_load: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "file"))
		load_file(argv[2], argv[3], argv[4]);
	else if (argc == 4 && !strcmp(argv[1], "load"))
		load_image(argv[2], argv[3]);
	else
		die("usage: kexec file VMLINUX INITRAMFS ARGUMENTS, or kexec load IMAGE INITRAMFS");
	reboot(LINUX_REBOOT_CMD_KEXEC);
	die("reboot: %s", strerror(errno));
}
