// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network device reads hot-added memory.
 *
 *   sendpages ADDRESS PORT MIB
 *
 * When the host has plugged four times as much memory, the program sends MIB to
 * a server, which sends it back. The data is not copied: the device gets the
 * pages themselves. The test is for a device that cannot address these pages.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

static int connect_to(const char *address, const char *port)
{
	struct sockaddr_in server = {
		.sin_family = AF_INET,
		.sin_port = htons(strtoul(port, NULL, 10)),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (inet_pton(AF_INET, address, &server.sin_addr) != 1 || fd < 0 ||
	    connect(fd, (struct sockaddr *)&server, sizeof(server)))
		die("connect to %s, port %s: %s", address, port, strerror(errno));
	return fd;
}

/* For a child: it does not return. */
static void send_all(int to, int from, size_t size)
{
	off_t sent = 0;

	while ((size_t)sent < size) {
		if (sendfile(to, from, &sent, size - sent) <= 0)
			_exit(1);
	}
	shutdown(to, SHUT_WR);
	_exit(0);
}

static size_t receive(int from, char *data, size_t size)
{
	size_t received = 0;
	ssize_t more;

	while (received < size) {
		more = read(from, data + received, size - received);
		if (more <= 0)
			break;
		received += more;
	}
	return received;
}

int main(int argc, char **argv)
{
	unsigned long before = meminfo_bytes("MemTotal");
	char *pattern, *file, *back;
	struct ranges ranges;
	size_t size, received;
	int memfd, server;
	pid_t child;

	begin();
	if (argc != 4)
		die("usage: sendpages ADDRESS PORT MIB");
	size = strtoul(argv[3], NULL, 10) * MIB;
	ksft_set_plan(2);

	wait_for_memory(before, 4 * size);
	ranges = hot_ranges();

	memfd = memfd_create("pages", MFD_CLOEXEC);
	if (memfd < 0 || ftruncate(memfd, size))
		die("memfd: %s", strerror(errno));
	file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	back = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file == MAP_FAILED || back == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	pattern = fill(size);
	memcpy(file, pattern, size);
	ksft_test_result(pages_in(file, size, &ranges) * PAGE_SIZE == size,
			 "all that is sent is in hot-added memory\n");

	server = connect_to(argv[1], argv[2]);
	child = fork();
	if (!child)
		send_all(server, memfd, size);
	received = receive(server, back, size);
	ksft_test_result(child_succeeds(child) && received == size &&
			 !memcmp(back, pattern, size),
			 "all that came back, %zu MiB, is what was sent\n", received / MIB);
	ksft_finished();
}
