// SPDX-License-Identifier: GPL-2.0-only
/*
 * Show, for a person, the facts that the tests check.
 *
 *   show symbol NAME	the page-table dump's line for a kernel symbol
 *   show module NAME	the same for the sections of a module
 *   show bpf COUNT [COMMAND]	load and run BPF programs, show the first
 *			addresses, then run a shell command
 *   show memory MIB	write and read memory; how much is hot-added?
 *   show insert PATH	load a module, with parameters if any, only once:
 *			BusyBox's insmod tries again if it fails
 */
#include <string.h>
#include <sys/mman.h>

#include "kselftest.h"
#include "common.h"
#include "memory.h"

/* A look-up takes long. */
#define MAX_SHOWN	8

#define ADDRESS_DIGITS	((int)(2 * sizeof(long)))

static int show_address(const char *name, unsigned long addr)
{
	struct ptdump dump = ptdump_read();
	const struct mapping *map = addr ? ptdump_find(&dump, addr) : NULL;

	if (map)
		printf("%-26s 0x%0*lx  R%c%c  in \"%s\"\n", name, ADDRESS_DIGITS, addr,
		       map->w ? 'W' : '-', map->x ? 'X' : '-', map->area);
	else
		printf("%-26s is not mapped\n", name);
	ptdump_free(&dump);
	return !map;
}

static int main_module(const char *name)
{
	static const char * const sections[] = { ".text", ".rodata", ".data" };
	int failed = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sections); i++)
		failed |= show_address(sections[i], module_section(name, sections[i]));
	return failed;
}

static int main_bpf(int count, const char *command)
{
	int failed = 0;
	int i;

	for (i = 0; i < count; i++) {
		/* The program stays loaded until this process ends. */
		int fd = bpf_load(i);
		int value = bpf_run(fd);
		char name[64];

		failed |= value != i;
		if (i >= MAX_SHOWN)
			continue;
		bpf_symbol(fd, name, sizeof(name));
		printf("returned %d: ", value);
		failed |= show_address(name, bpf_address(fd));
	}
	fflush(stdout);
	if (command)
		failed |= !!system(command);
	return failed;
}

static int main_memory(size_t size)
{
	struct ranges ranges = hot_ranges();
	char *memory = fill(size);
	bool good = verify(memory, size);

	printf("%zu MiB written and read back, %s; %lu MiB of them are in hot-added memory\n",
	       size >> 20, good ? "unharmed" : "DAMAGED",
	       pages_in(memory, size, &ranges) * PAGE_SIZE >> 20);
	munmap(memory, size);
	return !good;
}

static int main_insert(const char *path, const char *params)
{
	int err = module_insert(path, params);

	if (err)
		printf("%s: %s\n", path, strerror(err));
	return !!err;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 2 ? argv[1] : "";

	if (!strcmp(mode, "symbol"))
		return show_address(argv[2], symbol_address(argv[2]));
	if (!strcmp(mode, "module"))
		return main_module(argv[2]);
	if (!strcmp(mode, "bpf"))
		return main_bpf(atoi(argv[2]), argc > 3 ? argv[3] : NULL);
	if (!strcmp(mode, "memory"))
		return main_memory(strtoul(argv[2], NULL, 10) << 20);
	if (!strcmp(mode, "insert"))
		return main_insert(argv[2], argc > 3 ? argv[3] : "");
	die("usage: show symbol NAME|module NAME|bpf COUNT [COMMAND]|memory MIB|insert PATH");
}
