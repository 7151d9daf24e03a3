// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "load.h"
#include "memory.h"

pid_t start(void (*work)(void))
{
	pid_t child;

	/* When a child is stopped, its own children become ours. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		die("PR_SET_CHILD_SUBREAPER: %s", strerror(errno));
	fflush(stdout);
	child = fork();
	if (!child) {
		setpgid(0, 0);
		work();
		_exit(0);
	}
	if (child < 0)
		die("fork: %s", strerror(errno));
	/* Parent and child both do this, so that the order does not matter. */
	setpgid(child, child);
	return child;
}

bool stop(pid_t child)
{
	int status;
	bool worked;

	kill(-child, SIGKILL);
	if (waitpid(child, &status, 0) != child)
		die("waitpid: %s", strerror(errno));
	worked = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	/* A grandchild in vfork() shares the child's memory, and so keeps pages of the test. */
	while (waitpid(-child, &status, 0) > 0)
		;
	return worked;
}

void run_programs(void)
{
	int status;

	for (;;) {
		pid_t child = vfork();

		if (!child) {
			execl("/proc/self/exe", program_invocation_short_name, "nothing", NULL);
			_exit(1);
		}
		if (waitpid(child, &status, 0) != child || status)
			_exit(1);
	}
}

void use_memory(void)
{
	for (;;) {
		void *memory = fill(LOAD);

		if (!verify(memory, LOAD))
			_exit(1);
		munmap(memory, LOAD);
	}
}
