#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# relocs_check.sh READELF VMLINUX
#
# Fail if a relocatable kernel has no relocations, or one that it cannot apply to
# itself when it boots: see arch/riscv/kernel/relocate.c.

readelf="$1"
vmlinux="$2"

relocs=$($readelf --relocs --wide "$vmlinux" | grep -E '\<R_RISCV_') || {
	echo >&2 "$vmlinux: no relocations: was it linked without -pie?"
	exit 1
}

# The addend is an address in the last 2 GiB, where the kernel is linked. An
# absolute symbol has another value. The kernel would move it, and write 64 bits
# even where the field has 32.
address='(-80000000|-[0-7]?[0-9a-f]{1,7}|ffffffff[89a-f][0-9a-f]{7})'
bad=$(echo "$relocs" | grep -v -E "\<R_RISCV_RELATIVE +$address\$") || exit 0

echo >&2 "$vmlinux: relocations that the kernel cannot apply to itself:"
echo "$bad" | head >&2
exit 1
