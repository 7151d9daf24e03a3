// SPDX-License-Identifier: GPL-2.0-only
/*
 * kexec VMLINUX INITRAMFS ARGUMENTS: execute another kernel, with these arguments.
 *
 * The kernel is an ELF file, the form that kexec_file_load() takes on RISC-V.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"

int main(int argc, char **argv)
{
	int kernel, initramfs;

	if (argc != 4)
		die("usage: kexec VMLINUX INITRAMFS ARGUMENTS");
	kernel = open(argv[1], O_RDONLY | O_CLOEXEC);
	initramfs = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (kernel < 0 || initramfs < 0)
		die("open %s: %s", argv[kernel < 0 ? 1 : 2], strerror(errno));
	if (syscall(SYS_kexec_file_load, kernel, initramfs, strlen(argv[3]) + 1, argv[3], 0UL))
		die("kexec_file_load: %s", strerror(errno));
	reboot(LINUX_REBOOT_CMD_KEXEC);
	die("reboot: %s", strerror(errno));
}
