/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that keep the machine busy while a test goes on. */
#ifndef SELFTESTS_PCI_RAM_LOAD_H
#define SELFTESTS_PCI_RAM_LOAD_H

#include <stdbool.h>
#include <sys/types.h>

#define LOAD	(16UL << 20)	/* bytes that use_memory() fills at a time */

/* Run @work in a child, in a process group of its own. */
pid_t start(void (*work)(void));
/*
 * End the child and all that it has started, and wait until they are gone, their memory
 * included; returns true if the child was still at work.
 */
bool stop(pid_t child);

/*
 * Two kinds of work that goes on until it is stopped. The program itself is run again and
 * again, with "nothing" as its mode, which has to end at once with success.
 */
void run_programs(void);
/* Memory is filled, read back and freed. */
void use_memory(void);

#endif /* SELFTESTS_PCI_RAM_LOAD_H */
