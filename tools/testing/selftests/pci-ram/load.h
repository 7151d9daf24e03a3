/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that keep the machine busy during a test */
#ifndef SELFTESTS_PCI_RAM_LOAD_H
#define SELFTESTS_PCI_RAM_LOAD_H

#include <stdbool.h>
#include <sys/types.h>

#define LOAD	(16UL << 20)	/* bytes that use_memory() fills each time */

/* Run @work in a child with its own process group. */
pid_t start(void (*work)(void));
/*
 * End the child and all processes that it has started, and wait until they and
 * their memory are gone. Returns true if the child was still working.
 */
bool stop(pid_t child);

/*
 * Two kinds of work that repeat until they are stopped. run_programs() runs
 * this program again and again, with the mode "nothing", which must end at once
 * with success.
 */
void run_programs(void);
/* Fill memory, read it back and free it. */
void use_memory(void);

#endif /* SELFTESTS_PCI_RAM_LOAD_H */
