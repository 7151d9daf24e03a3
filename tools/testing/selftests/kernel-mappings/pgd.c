// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process can reach kernel memory that was mapped after the process was
 * created. An older process on another hart has every top-level kernel entry
 * in its page table, and reads new vmalloc memory, module memory and hot-added
 * memory.
 *
 * The older process only reads files of the test modules. While it reads, the
 * kernel uses its page table. This process evaluates the results.
 *
 * With an argument, the program says "plug memory now". The host then plugs
 * that many MiB of memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

#define DIR		"/sys/kernel/debug/pgd_touch/"
#define ANSWER		"/sys/module/" TARGET_MODULE "/parameters/answer"

static const char * const areas[] = { "vmalloc", "modules", "vmemmap", "direct-map" };
static const char * const places[] = { "start", "middle", "end" };

static int older;	/* socket to the older process */

/* A request to the older process: write @text to a file, if there is one, and read the file. */
struct request {
	char path[128];
	char text[32];
};

static void serve(int fd)
{
	struct request request;

	while (read(fd, &request, sizeof(request)) == sizeof(request)) {
		char *reply;

		if (*request.text) {
			int file = open(request.path, O_WRONLY | O_CLOEXEC);

			if (write(file, request.text, strlen(request.text)) < 0)
				_exit(1);
			close(file);
		}
		reply = read_file(request.path);
		if (write(fd, reply, strlen(reply) + 1) < 0)
			_exit(1);
		free(reply);
	}
	_exit(0);
}

static pid_t start_older_process(void)
{
	int fds[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds))
		die("socketpair: %s", strerror(errno));
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child) {
		close(fds[0]);
		pin_to_cpu(1);
		serve(fds[1]);
	}
	close(fds[1]);
	older = fds[0];
	return child;
}

/* The text that the older process reads from the file, valid until the next call */
static const char *older_reads(const char *path, const char *text)
{
	static char reply[PAGE_SIZE];
	struct request request = { 0 };
	ssize_t got;

	snprintf(request.path, sizeof(request.path), "%s", path);
	snprintf(request.text, sizeof(request.text), "%s", text);
	if (write(older, &request, sizeof(request)) != sizeof(request))
		die("the older process is gone");
	got = read(older, reply, sizeof(reply));
	if (got <= 0)
		die("the older process was killed reading %s", path);
	return reply;
}

/* The rest of the line "name ..." of a text */
static const char *find_line(const char *text, const char *name)
{
	size_t length = strlen(name);

	while (text) {
		if (!strncmp(text, name, length) && text[length] == ' ')
			return text + length;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	die("no line \"%s\"", name);
}

static void check_entries(const char *when)
{
	const char *text = older_reads(DIR "pgd", "");
	size_t i, entries, absent, differ;

	for (i = 0; i < ARRAY_SIZE(areas); i++) {
		const char *line = find_line(text, areas[i]);

		if (sscanf(line, "%zu %zu %zu", &entries, &absent, &differ) != 3)
			die("cannot read the entries of %s", areas[i]);
		if (absent || differ)
			ksft_print_msg("%s: of %zu entries %zu are absent, %zu differ\n",
				       areas[i], entries, absent, differ);
		ksft_test_result(entries && !absent && !differ,
				 "%s: the older process has all %zu entries %s\n",
				 areas[i], entries, when);
	}
}

static void check_vmalloc(void)
{
	const char *text = older_reads(DIR "vmalloc", "");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		ksft_test_result(!strtol(find_line(text, places[i]), NULL, 10),
				 "the older process reads new vmalloc memory at the %s\n",
				 places[i]);
}

static void check_hot_added(const struct range *range)
{
	unsigned long size = range->end - range->start;
	const unsigned long addr[] = {
		range->start, range->start + size / 2, range->end - PAGE_SIZE
	};
	char text[32];
	const char *reply;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(addr); i++) {
		snprintf(text, sizeof(text), "%#lx", addr[i]);
		reply = older_reads(DIR "phys", text);
		ksft_test_result(!strtol(find_line(reply, "direct-map"), NULL, 10),
				 "the older process reads hot-added memory at its %s\n", places[i]);
		ksft_test_result(!strtol(find_line(reply, "vmemmap"), NULL, 10),
				 "the older process reads its struct page at the %s\n", places[i]);
	}
}

int main(int argc, char **argv)
{
	unsigned long total = meminfo_bytes("MemTotal");
	unsigned long size = argc > 1 ? strtoul(argv[1], NULL, 10) << 20 : 0;
	struct ranges ranges;
	pid_t child;

	begin();
	need("modules/pgd_touch.ko");
	need(TARGET_KO);
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		ksft_exit_skip("there is only one CPU\n");
	ksft_set_plan(ARRAY_SIZE(areas) + ARRAY_SIZE(places) + 1 +
		      (size ? ARRAY_SIZE(areas) + 2 * ARRAY_SIZE(places) : 0));
	signal(SIGPIPE, SIG_IGN);
	child = start_older_process();
	pin_to_cpu(0);

	/* The module maps vmalloc memory when it is loaded. */
	module_load("modules/pgd_touch.ko");
	check_entries("after vmalloc");
	check_vmalloc();

	module_load(TARGET_KO);
	ksft_test_result(strtol(older_reads(ANSWER, ""), NULL, 10) == TARGET_ANSWER,
			 "the older process runs the text of a new module\n");

	if (size) {
		wait_for_memory(total, size);
		ranges = hot_ranges();
		if (ranges.nr != 1)
			die("%zu hot-added ranges", ranges.nr);
		check_entries("after hot-add");
		check_hot_added(&ranges.range[0]);
	}

	close(older);
	waitpid(child, NULL, 0);
	module_unload(TARGET_MODULE);
	module_unload("pgd_touch");
	ksft_finished();
}
