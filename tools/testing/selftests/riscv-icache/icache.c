// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program changes its own code, as a JIT compiler does.
 *
 * On RISC-V, a hart may execute old instructions until it executes fence.i. A
 * program cannot do that for harts on which its threads run later, so it calls
 * riscv_flush_icache(). From then on, all of its threads must execute the new
 * code, whichever hart they run on. Where the kernel itself changes code, or
 * first makes it executable, no call must be necessary.
 *
 * Most machines also execute the new code without the call. The last test says
 * how often this one did not: only if that happens do the others say much.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"

#ifndef __NR_riscv_flush_icache
#define __NR_riscv_flush_icache	259
#endif
/* The flag: for the calling thread only */
#define LOCAL		1UL

#define PAGE		4096UL
#define ROUNDS		10
#define LIMIT		120	/* seconds */

#define RW		(PROT_READ | PROT_WRITE)
#define RX		(PROT_READ | PROT_EXEC)
#define RWX		(RW | PROT_EXEC)

/* What call() returns if the code cannot be executed */
#define FAULT		-1

/* The CPUs of the main thread and of the other threads */
static int here, there;

static void move_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set)) {
		perror("# sched_setaffinity");
		exit(KSFT_FAIL);
	}
}

static void flush(unsigned long flags)
{
	syscall(__NR_riscv_flush_icache, 0, 0, flags);
}

static void *map(void *at, int prot)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0);

	return mmap(at, PAGE, prot, flags, -1, 0);
}

/* A function that returns @value: li a0, @value; ret */
#define CODE(value)	{ 0x513 | (value) << 20, 0x8067 }

static void write_code(void *code, int value)
{
	uint32_t insns[] = CODE(value);

	memcpy(code, insns, sizeof(insns));
}

static __thread sigjmp_buf on_fault;

static void fault(int sig)
{
	siglongjmp(on_fault, sig);
}

static int call(void *code)
{
	return sigsetjmp(on_fault, 1) ? FAULT : ((int (*)(void))code)();
}

/* A thread that stays on the CPU @there and calls code */
static struct {
	pthread_t thread;
	sem_t asked, answered;
	void *code;
	int result;
	bool spins;		/* between the calls, instead of sleeping */
} other;

static void *other_thread(void *arg)
{
	move_to(there);
	for (;;) {
		while (sem_trywait(&other.asked)) {
			if (!__atomic_load_n(&other.spins, __ATOMIC_RELAXED)) {
				sem_wait(&other.asked);
				break;
			}
		}
		if (!other.code)
			return arg;
		other.result = call(other.code);
		sem_post(&other.answered);
	}
}

static int call_there(void *code)
{
	other.code = code;
	sem_post(&other.asked);
	sem_wait(&other.answered);
	return other.result;
}

static void call_everywhere(struct __test_metadata *_metadata, void *code, int value)
{
	EXPECT_EQ(value, call(code));
	EXPECT_EQ(value, call_there(code));
}

FIXTURE(jit) {
	void *code;
};

FIXTURE_SETUP(jit)
{
	struct sigaction action = { .sa_handler = fault };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	there = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	move_to(here);
	sem_init(&other.asked, 0, 0);
	sem_init(&other.answered, 0, 0);
	ASSERT_EQ(0, pthread_create(&other.thread, NULL, other_thread, NULL));

	self->code = map(NULL, RWX);
	ASSERT_NE(MAP_FAILED, self->code);
	write_code(self->code, 1);
	flush(0);
	call_everywhere(_metadata, self->code, 1);
}

FIXTURE_TEARDOWN(jit)
{
	other.spins = false;
	other.code = NULL;
	sem_post(&other.asked);
	pthread_join(other.thread, NULL);
	munmap(self->code, PAGE);
}

TEST_F_TIMEOUT(jit, all_threads_execute_new_code, LIMIT)
{
	int i;

	for (i = 2; i < ROUNDS; i++) {
		write_code(self->code, i);
		flush(0);
		call_everywhere(_metadata, self->code, i);
	}
}

/* The CPU to which the thread moves has executed the old code before. */
static void move_after_change(struct __test_metadata *_metadata, void *code, unsigned long flags)
{
	int i;

	for (i = 2; i < ROUNDS; i++) {
		ASSERT_EQ(i - 1, call_there(code));
		write_code(code, i);
		flush(flags);
		move_to(there);
		EXPECT_EQ(i, call(code));
		move_to(here);
		/* The other thread asks for no flush with LOCAL. */
		flush(0);
	}
}

TEST_F_TIMEOUT(jit, a_thread_that_moves_executes_new_code, LIMIT)
{
	move_after_change(_metadata, self->code, 0);
}

TEST_F_TIMEOUT(jit, a_thread_that_moves_to_an_idle_cpu_executes_what_it_flushed, LIMIT)
{
	move_after_change(_metadata, self->code, LOCAL);
}

TEST_F_TIMEOUT(jit, a_thread_that_moves_to_a_busy_cpu_executes_what_it_flushed, LIMIT)
{
	other.spins = true;
	move_after_change(_metadata, self->code, LOCAL);
}

/* Meanwhile, a process with other memory has the CPU. */
TEST_F_TIMEOUT(jit, a_thread_that_moves_to_the_cpu_of_a_process_executes_what_it_flushed, LIMIT)
{
	pid_t child = fork();

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		move_to(there);
		for (;;)
			;
	}
	move_after_change(_metadata, self->code, LOCAL);
	kill(child, SIGKILL);
	EXPECT_EQ(child, waitpid(child, NULL, 0));
}

TEST_F_TIMEOUT(jit, nobody_executes_code_while_it_is_writable, LIMIT)
{
	int i;

	for (i = 2; i < ROUNDS; i++) {
		ASSERT_EQ(0, mprotect(self->code, PAGE, RW));
		call_everywhere(_metadata, self->code, FAULT);
		write_code(self->code, i);
		ASSERT_EQ(0, mprotect(self->code, PAGE, RX));
		flush(0);
		call_everywhere(_metadata, self->code, i);
	}
}

/* The kernel flushes when it first makes a page executable. */
TEST_F_TIMEOUT(jit, a_page_that_becomes_executable_needs_no_flush, LIMIT)
{
	int i;

	for (i = 2; i < ROUNDS; i++) {
		ASSERT_EQ(0, munmap(self->code, PAGE));
		call_everywhere(_metadata, self->code, FAULT);
		ASSERT_EQ(self->code, map(self->code, RW));
		write_code(self->code, i);
		ASSERT_EQ(0, mprotect(self->code, PAGE, RX));
		call_everywhere(_metadata, self->code, i);
	}
}

/* One mapping is for writing, and the other one for executing. */
TEST_F_TIMEOUT(jit, code_has_a_writable_alias, LIMIT)
{
	int i, fd = syscall(SYS_memfd_create, "code", 0);
	void *alias, *code;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	alias = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, alias);
	code = mmap(self->code, PAGE, RX, MAP_SHARED | MAP_FIXED, fd, 0);
	ASSERT_EQ(self->code, code);
	for (i = 2; i < ROUNDS; i++) {
		write_code(alias, i);
		flush(0);
		call_everywhere(_metadata, code, i);
	}
	munmap(alias, PAGE);
	close(fd);
}

TEST_F_TIMEOUT(jit, a_child_changes_its_copy, LIMIT)
{
	int status;
	pid_t child = fork();

	if (!child) {
		int result;

		move_to(there);
		write_code(self->code, 2);
		flush(0);
		result = call(self->code);
		move_to(here);
		_exit(result == 2 && call(self->code) == 2 ? 0 : 1);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	call_everywhere(_metadata, self->code, 1);
}

/* As for a breakpoint: the kernel writes, and flushes for the child. */
TEST_F_TIMEOUT(jit, a_tracer_changes_code, LIMIT)
{
	int i, status;
	pid_t child;

	ASSERT_EQ(0, mprotect(self->code, PAGE, RX));
	child = fork();
	if (!child) {
		move_to(there);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		for (i = 1; i < ROUNDS; i++) {
			if (call(self->code) != i)
				_exit(i);
			raise(SIGSTOP);
		}
		_exit(0);
	}
	for (i = 2; i <= ROUNDS; i++) {
		uint32_t insns[] = CODE(i);
		long word;

		memcpy(&word, insns, sizeof(word));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		ASSERT_TRUE(WIFSTOPPED(status)) TH_LOG("old code in round %d", WEXITSTATUS(status));
		ASSERT_EQ(0, ptrace(PTRACE_POKETEXT, child, self->code, word));
		ASSERT_EQ(0, ptrace(PTRACE_CONT, child, NULL, NULL));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	call_everywhere(_metadata, self->code, 1);
}

/* No failure: whether code without a flush is old is up to the machine. */
TEST_F_TIMEOUT(jit, without_a_flush, LIMIT)
{
	int i, own = 0, others = 0, protected = 0;

	for (i = 2; i < ROUNDS; i++) {
		write_code(self->code, i);
		own += call(self->code) != i;
		others += call_there(self->code) != i;

		mprotect(self->code, PAGE, RW);
		write_code(self->code, ROUNDS + i);
		mprotect(self->code, PAGE, RX);
		protected += call(self->code) != ROUNDS + i;

		mprotect(self->code, PAGE, RWX);
		flush(0);
		/* The kernel may put off a part of the flush until the thread runs. */
		call_there(self->code);
	}
	ksft_print_msg("old code without a flush, %d times: own %d, other thread %d, mprotect %d\n",
		       ROUNDS - 2, own, others, protected);
}

int main(int argc, char **argv)
{
#ifndef __riscv
	ksft_print_header();
	ksft_exit_skip("the machine is not RISC-V\n");
#endif
	return test_harness_run(argc, argv);
}
