/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Execute a function that returns 1 in the memory of a PCI device, replace it with one that returns 3, execute
 * that one without a fence, and eject the device. Write a function that returns 2 into the memory of a second
 * device, which is at another address, execute FENCE, and execute this function. The emulator may know both
 * memories by the same number. The functions of the first one must not be executed in the second one.
 *
 * Each device is behind the root port 0:1.0. The host adds the first one when it has read a byte from the serial
 * port, and the second one when the first one is gone.
 */
#include "machine.h"

#define SERIAL		0x10000000
#define PORT		0x30008000	/* configuration space of the root port, */
#define DEVICE		0x30100000	/* and of the device on the bus behind it */
#define SLOT		0x6c		/* slot control of the root port, and slot status behind it */
#define POWER_ON	0x100
#define POWER_OFF	0x700
#define PRESENT		0x40
#define MEMORY		0x40000000
#define LI_A0_1		0x00100513
#define LI_A0_2		0x00200513
#define LI_A0_3		0x00300513
#define RET		0x00008067

/* Wait for a device, and have its memory at \address */
	.macro have_device address
1:	lhu	t1, SLOT + 2(s1)
	andi	t1, t1, PRESENT
	beqz	t1, 1b
	li	t1, POWER_ON
	sh	t1, SLOT(s1)
	li	s0, \address
	sw	s0, 0x18(s2)
	sw	zero, 0x1c(s2)
	li	t1, 2
	sw	t1, 4(s2)
	.endm

/* Write a function to the memory of the device */
	.macro write_function instruction
	li	t1, \instruction
	sw	t1, 0(s0)
	li	t1, RET
	sw	t1, 4(s0)
	.endm

test:
	li	s1, PORT
	li	s2, DEVICE
	/* Behind the port are bus 1 and the memory from MEMORY on */
	li	t1, 0x10100
	sw	t1, 0x18(s1)
	li	t1, 0x40f04000
	sw	t1, 0x24(s1)
	li	t1, 2
	sw	t1, 4(s1)
	li	t0, SERIAL
	sb	t0, 0(t0)

	have_device MEMORY
	write_function LI_A0_1
	fence.i
	jalr	s0
	expect	1
	write_function LI_A0_3
	jalr	s0
	li	t1, POWER_OFF
	sh	t1, SLOT(s1)
2:	lhu	t1, SLOT + 2(s1)
	andi	t1, t1, PRESENT
	bnez	t1, 2b

	have_device MEMORY + 0x400000
	write_function LI_A0_2
	FENCE
	jalr	s0
	finish	2, -2
