// SPDX-License-Identifier: GPL-2.0-only
/*
 * execmem: show what there is of executable memory.
 *
 * The table of /sys/kernel/debug/execmem, a picture of the address windows made
 * from /sys/kernel/debug/execmem_areas, and the tracepoints execmem:* as they
 * fire. Documentation/core-api/execmem.rst explains all three.
 */
#define _GNU_SOURCE
#define __SANE_USERSPACE_TYPES__	/* __u64 is unsigned long long */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define MIN_COLUMNS	40
#define MAX_COLUMNS	512

/* Lines of a window's close-up, where no screen says how many fit */
#define CLOSE_UP_LINES	16

/*
 * Addresses and sizes are __u64 all over: a 32-bit program may look at a 64-bit
 * kernel.
 */

/* What the kernel's files call the types, and what stands for each in a cell */
static const struct type {
	const char *name;
	char letter;
	const char *colour;
} types[] = {
	{ "module-text",	'm', "1;32" },
	{ "module-data",	'd', "1;34" },
	{ "kprobes",		'k', "1;31" },
	{ "ftrace",		'f', "1;35" },
	{ "bpf",		'b', "1;33" },
	{ "other",		'o', "1;36" },	/* one that this program does not know */
};

#define NR_TYPES	ARRAY_SIZE(types)

struct area {
	__u64 start, end;	/* what is mapped */
	__u64 asked;		/* bytes asked for, from start */
	unsigned int type;
};

struct areas {
	struct area *area;	/* by address */
	size_t nr;
};

struct window {
	__u64 start, end;
	const char *types;
};

/* What is shown, before it is written */
struct text {
	char *bytes;
	size_t len, room;
};

static const char help[] =
	"Usage: execmem [-w [SECONDS] | -t | -h]\n"
	"Show what modules, kprobes, ftrace and BPF have of executable memory.\n"
	"\n"
	"                         print the statistics and a picture of the windows of\n"
	"                         addresses that the memory is allocated in\n"
	"  -w, --watch [SECONDS]  the same, refreshed every SECONDS (1), until q or Ctrl-C\n"
	"  -t, --trace            print allocations and frees as they happen, until Ctrl-C\n"
	"  -h, --help             print this\n"
	"\n"
	"It needs root and debugfs; -t needs tracefs, and traces in an instance of its\n"
	"own. Environment: COLUMNS is the width, NO_COLOR does without colour.\n"
	"\n"
	"Each window is shown as a strip that is all of it, and below that as a close-up of\n"
	"the parts in use, as near as fits. A cell has the letter of the type that has most\n"
	"of it, a capital if at least half of the cell was asked for. What is free may be\n"
	"somebody else's: vmalloc() and ioremap() share some windows.\n";

/* Instead of the pictures */
static const char are_hidden[] =
	"The kernel hides addresses: see /proc/sys/kernel/kptr_restrict. No windows are shown.\n";

static const char legend[] =
	"capital: half of the cell was asked for, or more; -: guard page; .: free\n";

static bool colour;
static __u64 page_size;

/* Puts back what the program has changed, if it has */
static void (*cleanup)(void);

static void put_back(void)
{
	if (cleanup)
		cleanup();
	cleanup = NULL;
	fflush(stdout);
}

#define die(fmt, ...)							\
	do {								\
		put_back();						\
		fprintf(stderr, "execmem: " fmt "\n", ##__VA_ARGS__);	\
		exit(1);						\
	} while (0)

/* As printf(), into @text */
static void add(struct text *text, const char *fmt, ...)
{
	va_list args;
	int len;

	for (;;) {
		va_start(args, fmt);
		len = vsnprintf(text->bytes + text->len, text->room - text->len, fmt, args);
		va_end(args);
		if (text->len + len < text->room)
			break;
		text->room = 2 * text->room + len + 1;
		text->bytes = realloc(text->bytes, text->room);
		if (!text->bytes)
			die("out of memory");
	}
	text->len += len;
}

/* A whole file, to be freed; NULL and errno if it cannot be read. */
static char *try_read_file(const char *path)
{
	size_t size = 0, room = 0;
	char *bytes = NULL;
	ssize_t got;
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	do {
		if (room - size < 4096) {
			room = 2 * room + 8192;
			bytes = realloc(bytes, room);
			if (!bytes)
				die("out of memory");
		}
		got = read(fd, bytes + size, room - size - 1);
		if (got > 0)
			size += got;
	} while (got > 0 || (got < 0 && errno == EINTR));
	err = errno;
	close(fd);
	if (got < 0) {
		free(bytes);
		errno = err;
		return NULL;
	}
	bytes[size] = '\0';
	return bytes;
}

/* Where a file system of a type is mounted; false if nowhere. */
static bool mount_point(const char *type, char *path, size_t size)
{
	char *mounts = try_read_file("/proc/mounts");
	char *line, *rest = mounts;
	bool found = false;

	while (!found && (line = strsep(&rest, "\n"))) {
		char dir[192], fs[32];

		if (sscanf(line, "%*s %191s %31s", dir, fs) == 2 && !strcmp(fs, type)) {
			snprintf(path, size, "%s", dir);
			found = true;
		}
	}
	free(mounts);
	return found;
}

/* Why a file could not be opened, or a directory made */
static void die_of(const char *path, const char *absent)
{
	if (errno == EACCES || errno == EPERM)
		die("%s: only root may use it", path);
	if (errno == ENOENT)
		die("%s: no such file: %s", path, absent);
	die("%s: %s", path, strerror(errno));
}

static char *read_debugfs(const char *name)
{
	char dir[192], path[256], *bytes;

	if (!mount_point("debugfs", dir, sizeof(dir)))
		die("debugfs is not mounted: mount -t debugfs none /sys/kernel/debug");
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	bytes = try_read_file(path);
	if (!bytes)
		die_of(path, "this kernel has no execmem");
	return bytes;
}

static unsigned int type_of(const char *name)
{
	unsigned int type;

	for (type = 0; type < NR_TYPES - 1; type++) {
		if (!strcmp(types[type].name, name))
			break;
	}
	return type;
}

static struct areas read_areas(void)
{
	char *bytes = read_debugfs("execmem_areas");
	struct areas areas = { 0 };
	char *line, *rest = bytes;
	size_t room = 0;

	while ((line = strsep(&rest, "\n")) && *line) {
		struct area area;
		char name[32];

		if (sscanf(line, "0x%llx-0x%llx %31s %llu", &area.start, &area.end, name,
			   &area.asked) != 4)
			die("execmem_areas: cannot read \"%s\"", line);
		area.type = type_of(name);
		if (areas.nr == room) {
			room = 2 * room + 64;
			areas.area = realloc(areas.area, room * sizeof(area));
			if (!areas.area)
				die("out of memory");
		}
		areas.area[areas.nr++] = area;
	}
	free(bytes);
	return areas;
}

/* The first area that reaches, with the guard page behind it, beyond an address */
static size_t first_beyond(const struct areas *areas, __u64 addr)
{
	size_t low = 0, high = areas->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (areas->area[mid].end + page_size > addr)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static __u64 min_addr(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

static __u64 max_addr(__u64 a, __u64 b)
{
	return a > b ? a : b;
}

/* How much of [start, end) lies in [low, high) */
static __u64 overlap(__u64 start, __u64 end, __u64 low, __u64 high)
{
	start = max_addr(start, low);
	end = min_addr(end, high);
	return end > start ? end - start : 0;
}

/* Whether an area starts in a window */
static bool in_window(const struct areas *areas, const struct window *window)
{
	size_t i = first_beyond(areas, window->start);

	while (i < areas->nr && areas->area[i].start < window->start)
		i++;
	return i < areas->nr && areas->area[i].start < window->end;
}

static void add_letter(struct text *text, unsigned int type, bool capital)
{
	char letter = capital ? toupper(types[type].letter) : types[type].letter;

	if (colour)
		add(text, "\033[%sm%c\033[m", types[type].colour, letter);
	else
		add(text, "%c", letter);
}

/* What is made of pages has one, unlike most pieces of read-only executable memory */
static bool has_guard(const struct area *area)
{
	return !((area->start | area->end) % page_size);
}

static void add_cell(struct text *text, const struct areas *areas, __u64 low, __u64 high)
{
	__u64 used[NR_TYPES] = { 0 };
	__u64 asked = 0;
	unsigned int type, most = 0;
	size_t i, first = first_beyond(areas, low);

	for (i = first; i < areas->nr && areas->area[i].start < high; i++) {
		const struct area *area = &areas->area[i];

		used[area->type] += overlap(area->start, area->end, low, high);
		asked += overlap(area->start, area->start + area->asked, low, high);
	}
	if (i == first) {
		add(text, ".");
		return;
	}
	for (type = 0; type < NR_TYPES; type++) {
		if (used[type] > used[most])
			most = type;
	}
	if (!used[most]) {
		add(text, has_guard(&areas->area[i - 1]) ? "-" : ".");
		return;
	}

	add_letter(text, most, asked >= (high - low) / 2);
}

static void add_size(struct text *text, __u64 size)
{
	static const char * const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	__u64 rest = 0;
	size_t unit = 0;

	while (size >= 1024 && unit < ARRAY_SIZE(units) - 1) {
		rest = size % 1024;
		size /= 1024;
		unit++;
	}
	if (rest && size < 100)
		add(text, "%llu.%llu %s", size, rest * 10 / 1024, units[unit]);
	else
		add(text, "%llu %s", size, units[unit]);
}

/* A scale of a picture */
static void add_scale(struct text *text, __u64 cell)
{
	if (cell == page_size)
		add(text, "a page");
	else
		add_size(text, cell);
}

/* All of a window in one line of cells, of which the last one is what is left */
static void add_strip(struct text *text, const struct areas *areas, const struct window *window,
		      __u64 cell)
{
	__u64 at;

	add(text, "[");
	for (at = window->start; at < window->end; at += min_addr(cell, window->end - at))
		add_cell(text, areas, at, at + min_addr(cell, window->end - at));
	add(text, "]\n");
}

static void add_gap(struct text *text, __u64 size)
{
	add(text, "  ... ");
	add_size(text, size);
	add(text, " free\n");
}

/*
 * The parts of a window that are in use: lines of cells, and between them how
 * much is left out. Returns the number of lines.
 */
static unsigned int add_close_up(struct text *text, const struct areas *areas,
				 const struct window *window, __u64 cell, unsigned int cells)
{
	int digits = window->end > 0xffffffffULL ? 16 : 8;
	size_t next = first_beyond(areas, window->start);
	__u64 shown = window->start;
	unsigned int lines = 0;

	while (next < areas->nr && areas->area[next].start < window->end) {
		__u64 at = max_addr(areas->area[next].start, shown);
		unsigned int i;

		/* Round addresses are easier to read */
		at = max_addr(at - at % (16 * cell), shown);
		if (at > shown) {
			add_gap(text, at - shown);
			lines++;
		}

		add(text, "0x%0*llx  ", digits, at);
		for (i = 0; i < cells && at < window->end; i++) {
			/* The first and the last may be cut off by the window */
			__u64 size = min_addr(cell - at % cell, window->end - at);

			add_cell(text, areas, at, at + size);
			at += size;
		}
		add(text, "\n");
		lines++;

		shown = at;
		/* A guard page alone is not worth a line */
		next = first_beyond(areas, shown);
		while (next < areas->nr && areas->area[next].end <= shown)
			next++;
	}
	if (shown < window->end) {
		add_gap(text, window->end - shown);
		lines++;
	}
	return lines;
}

/* Count a hole between areas */
static void add_hole(__u64 hole, __u64 *free_bytes, __u64 *largest)
{
	*free_bytes += hole;
	*largest = max_addr(*largest, hole);
}

static void add_window(struct text *text, const struct areas *areas, const struct window *window,
		       unsigned int columns, unsigned int max_lines)
{
	unsigned int cells = (columns - 20) / 16 * 16;
	__u64 size = window->end - window->start;
	__u64 used = 0, free_bytes = 0, largest = 0, at = window->start;
	__u64 cell = page_size, strip_cell;
	size_t i, mark, nr = 0;

	for (i = first_beyond(areas, window->start);
	     i < areas->nr && areas->area[i].start < window->end; i++) {
		const struct area *area = &areas->area[i];

		if (area->start < window->start)
			continue;
		nr++;
		used += area->end - area->start;
		add_hole(area->start - min_addr(at, area->start), &free_bytes, &largest);
		at = max_addr(at, min_addr(area->end + (has_guard(area) ? page_size : 0),
					   window->end));
	}
	add_hole(window->end - at, &free_bytes, &largest);

	add(text, "\n0x%llx-0x%llx ", window->start, window->end);
	add_size(text, size);
	add(text, " for%s\n", window->types);
	if (!nr) {
		add(text, "nothing in it\n");
		return;
	}

	add_size(text, used);
	add(text, " in %zu area%s, ", nr, nr == 1 ? "" : "s");
	add(text, "largest hole ");
	add_size(text, largest);
	/* In units of 64 bytes: a percentage of bytes could overflow */
	add(text, ", %llu%% of the free outside it\n",
	    free_bytes >= 64 ? (free_bytes - largest) / 64 * 100 / (free_bytes / 64) : 0);

	/* Whole pages, as many cells as fit between the brackets */
	strip_cell = (size / (columns - 2) / page_size + 1) * page_size;
	add_strip(text, areas, window, strip_cell);

	/* As near as it gets in so many lines */
	for (mark = text->len; ; cell *= 2, text->len = mark) {
		add(text, "a cell above is ");
		add_scale(text, strip_cell);
		add(text, ", below ");
		add_scale(text, cell);
		add(text, "\n");
		if (add_close_up(text, areas, window, cell, cells) <= max_lines || cell >= size / 2)
			break;
	}
}

/* How many characters fit: as the environment says, as the terminal says, or @otherwise */
static unsigned int screen_size(const char *variable, bool rows, unsigned int otherwise)
{
	const char *value = getenv(variable);
	struct winsize size;
	long number = value ? strtol(value, NULL, 10) : 0;

	if (number <= 0 && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		number = rows ? size.ws_row : size.ws_col;
	if (number <= 0)
		return otherwise;
	return number < MAX_COLUMNS ? number : MAX_COLUMNS;
}

/* A line of the table, in 80 columns, with the letter that its type has in a picture */
static void add_statistics(struct text *text, const char *line)
{
	char name[32], live[24], asked[24], used[24], peak[24], failed[24], blocks[24];
	unsigned int type;

	if (sscanf(line, "%31s %23s %23s %23s %23s %23s %23s", name, live, asked, used, peak,
		   failed, blocks) != 7)
		die("/sys/kernel/debug/execmem: cannot read \"%s\"", line);
	type = type_of(name);
	if (type == NR_TYPES - 1)
		add(text, " ");
	else
		add_letter(text, type, true);
	add(text, " %-11s %5s %11s %11s %11s %6s %6s\n", name, live, asked, used, peak,
	    failed, blocks);
}

/* Everything; in @rows lines if that is not 0 and if it can be done */
static void add_all(struct text *text, unsigned int rows)
{
	unsigned int columns = screen_size("COLUMNS", false, 80);
	char *bytes = read_debugfs("execmem");
	struct areas areas = read_areas();
	unsigned int lines, in_use = 0;
	char *line, *rest = bytes;
	struct window *windows = NULL;
	bool hidden = false;
	size_t nr = 0, i;

	if (columns < MIN_COLUMNS)
		columns = MIN_COLUMNS;

	for (lines = 3; (line = strsep(&rest, "\n")) && *line; lines++)
		add_statistics(text, line);
	line = strsep(&rest, "\n");	/* the columns' names */

	while ((line = strsep(&rest, "\n")) && *line) {
		struct window window;
		bool window_in_use;
		int used = 0;

		if (sscanf(line, "0x%llx-0x%llx %*s%n", &window.start, &window.end, &used) != 2 ||
		    !used)
			die("/sys/kernel/debug/execmem: cannot read \"%s\"", line);
		/* No window ends at 0 */
		if (!window.end) {
			hidden = true;
			continue;
		}
		window.types = line + used + 1;
		windows = realloc(windows, (nr + 1) * sizeof(*windows));
		if (!windows)
			die("out of memory");
		windows[nr++] = window;
		window_in_use = in_window(&areas, &window);
		lines += window_in_use ? 5 : 3;
		in_use += window_in_use;
	}

	if (!rows)
		lines = CLOSE_UP_LINES;
	else if (rows > lines && in_use)
		lines = (rows - lines) / in_use;
	else
		lines = 1;

	for (i = 0; i < nr; i++)
		add_window(text, &areas, &windows[i], columns, lines);
	if (hidden)
		add(text, "\n%s", are_hidden);
	/* What the cache has, if there is one */
	if (rest && *rest)
		add(text, "\n");
	while ((line = strsep(&rest, "\n")) && *line)
		add(text, "  %s\n", line);
	if (nr)
		add(text, "\n%s", legend);
	free(windows);
	free(areas.area);
	free(bytes);
}

enum event { READABLE, TIMEOUT, RESIZED, STOPPED };

/* A descriptor to read the signals from that would end the program, and SIGWINCH */
static int catch_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* A reader who went away shows as an error of the output */
	signal(SIGPIPE, SIG_IGN);

	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		die("signalfd: %s", strerror(errno));
	return fd;
}

/* Wait for @fd, for a signal, or for @timeout milliseconds if it is not negative. */
static enum event wait_for(int fd, int signals, int timeout)
{
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	if (poll(fds, ARRAY_SIZE(fds), timeout) < 0 && errno != EINTR)
		die("poll: %s", strerror(errno));
	if (fds[0].revents) {
		if (read(signals, &info, sizeof(info)) != sizeof(info))
			die("signalfd: %s", strerror(errno));
		return info.ssi_signo == SIGWINCH ? RESIZED : STOPPED;
	}
	return fds[1].revents ? READABLE : TIMEOUT;
}

/* The screen, as many lines of @text as it has */
static void show_screen(const struct text *text, unsigned int rows)
{
	const char *line = text->bytes, *end;

	printf("\033[H");
	while (rows-- > 1 && (end = strchr(line, '\n'))) {
		printf("%.*s\033[K\n", (int)(end - line), line);
		line = end + 1;
	}
	printf("\033[J");
	fflush(stdout);
}

static struct termios saved_termios;

static void restore_screen(void)
{
	printf("\033[?7h\033[?25h\033[?1049l");
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &saved_termios);
}

static int watch(int seconds)
{
	struct text text = { 0 };
	struct termios termios;
	enum event event;
	int signals;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &saved_termios))
		die("-w needs a terminal");

	/* What is wrong is said before the screen is cleared */
	add_all(&text, 0);

	signals = catch_signals();
	cleanup = restore_screen;
	termios = saved_termios;
	termios.c_lflag &= ~(ICANON | ECHO);
	termios.c_cc[VSUSP] = 0;
	termios.c_cc[VMIN] = 1;
	termios.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &termios);
	/* The other screen, no cursor, no line that is too long going on in the next */
	printf("\033[?1049h\033[?25l\033[?7l");

	do {
		unsigned int rows = screen_size("LINES", true, 24);
		char key;

		text.len = 0;
		add_all(&text, rows);
		show_screen(&text, rows);

		event = wait_for(STDIN_FILENO, signals, seconds * 1000);
		if (event == READABLE && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q'))
			event = STOPPED;
	} while (event != STOPPED);

	put_back();
	free(text.bytes);
	return 0;
}

/* The trace instance; it is removed however this program ends, but for SIGKILL */
static char instance[256];
static int trace_pipe = -1;

static void write_instance(const char *file, const char *value)
{
	char path[sizeof(instance) + 64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", instance, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		die_of(path, "this kernel has no execmem");
	if (write(fd, value, strlen(value)) < 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
}

static void remove_instance(void)
{
	/* An open file would keep it */
	if (trace_pipe >= 0)
		close(trace_pipe);
	if (rmdir(instance))
		fprintf(stderr, "execmem: %s is left behind: %s\n", instance, strerror(errno));
}

static void make_instance(void)
{
	char dir[192];

	if (!mount_point("tracefs", dir, sizeof(dir)))
		die("tracefs is not mounted: mount -t tracefs none /sys/kernel/tracing");
	snprintf(instance, sizeof(instance), "%s/instances/execmem-%d", dir, (int)getpid());
	if (mkdir(instance, 0700))
		die_of(instance, "this kernel has no trace instances");
	cleanup = remove_instance;
	/* Report every event at once, not a buffer that is half full */
	write_instance("buffer_percent", "0");
	/* Addresses, not hashes of them: they are the same as in other files */
	write_instance("options/hash-ptr", "0");
	write_instance("events/execmem/enable", "1");
}

/*
 * "  task-pid  [cpu] flags  time: execmem_alloc: type=T size=N addr=A caller=C"
 * to a line with columns; what is not an event (that some were lost) as it is.
 */
static void print_event(const char *line)
{
	static const char fmt[] =
		": execmem_%15[a-z]: type=%31s size=%llu addr=%llx caller=%127[^\n]";
	const char *event = strstr(line, ": execmem_");
	char what[16], type[32], caller[128], task[64];
	__u64 size, addr;
	const char *time;
	bool named;
	int len;

	if (!event || sscanf(event, fmt, what, type, &size, &addr, caller) != 5) {
		puts(line);
		return;
	}
	if (!addr)
		strcpy(what, "REFUSED");

	for (time = event; time > line && !isspace(time[-1]); time--)
		;
	line += strspn(line, " ");
	for (len = 0; line + len < time && line[len] != '['; len++)
		;
	while (len && isspace(line[len - 1]))
		len--;
	snprintf(task, sizeof(task), "%.*s", len, line);
	/* The kernel notes names of tasks when it switches between them */
	named = strncmp(task, "<...>-", 6);
	printf("%12.*s  %-7s %-11s %9llu  0x%0*llx  %s by %s%s\n", (int)(event - time), time,
	       what, type, size, addr > 0xffffffffULL ? 16 : 8, addr, caller,
	       named ? "" : "pid ", named ? task : task + 6);
}

/* Print the events that there are */
static void print_events(void)
{
	static char bytes[16384];
	static size_t have;
	ssize_t got;

	while ((got = read(trace_pipe, bytes + have, sizeof(bytes) - have - 1)) > 0) {
		char *line = bytes, *end;

		have += got;
		bytes[have] = '\0';
		while ((end = strchr(line, '\n'))) {
			*end = '\0';
			print_event(line);
			line = end + 1;
		}
		have -= line - bytes;
		if (have == sizeof(bytes) - 1)
			have = 0;	/* that was no line */
		memmove(bytes, line, have);
	}
	if (got < 0 && errno != EAGAIN)
		die("%s/trace_pipe: %s", instance, strerror(errno));
}

static int trace(void)
{
	char path[sizeof(instance) + 16];
	int signals = catch_signals();
	enum event event;

	make_instance();
	snprintf(path, sizeof(path), "%s/trace_pipe", instance);
	trace_pipe = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (trace_pipe < 0)
		die("%s: %s", path, strerror(errno));

	printf("%12s  %-7s %-11s %9s  %-18s  %s\n", "time", "what", "type", "asked", "address",
	       "caller and task");
	do {
		/* What is still in the buffer when it stops is shown too */
		event = fflush(stdout) ? STOPPED : wait_for(trace_pipe, signals, -1);
		print_events();
	} while (event != STOPPED);
	put_back();
	return 0;
}

static int show(void)
{
	struct text text = { 0 };

	add_all(&text, 0);
	fwrite(text.bytes, 1, text.len, stdout);
	free(text.bytes);
	return fflush(stdout) ? 1 : 0;
}

static bool is_option(const char *arg, const char *brief, const char *full)
{
	return !strcmp(arg, brief) || !strcmp(arg, full);
}

int main(int argc, char **argv)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	colour = isatty(STDOUT_FILENO) && !(no_color && *no_color) &&
		 !(term && !strcmp(term, "dumb"));
	page_size = sysconf(_SC_PAGESIZE);

	if (argc == 1)
		return show();
	if (argc == 2 && is_option(argv[1], "-h", "--help"))
		return fputs(help, stdout) < 0 || fflush(stdout);
	if (argc == 2 && is_option(argv[1], "-t", "--trace"))
		return trace();
	if (argc <= 3 && is_option(argv[1], "-w", "--watch")) {
		char *end = NULL;
		long seconds = argc == 3 ? strtol(argv[2], &end, 10) : 1;

		if (seconds < 1 || seconds > 86400 || (end && *end))
			die("-w %s: give a number of seconds, 1 to 86400", argv[2]);
		return watch(seconds);
	}
	die("'%s' is not understood: see execmem --help", argc > 3 ? argv[3] : argv[argc - 1]);
}
