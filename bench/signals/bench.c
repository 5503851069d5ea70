#include "bench/signals/bench.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"

int64_t now_ns(void)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void pin(unsigned cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof set, &set); /* on one processor all share it anyway */
}

void fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

/* ---- samples ---- */

void samples_init(struct samples *samples, size_t room)
{
	*samples = (struct samples){.ns = calloc(room, sizeof *samples->ns), .room = room};
	if (!samples->ns)
		fail("memory");
}

void samples_done(struct samples *samples)
{
	free(samples->ns);
	*samples = (struct samples){0};
}

void samples_add(struct samples *samples, int64_t ns)
{
	if (samples->count < samples->room)
		samples->ns[samples->count++] = ns;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

double samples_percentile(struct samples *samples, double percent)
{
	if (samples->count == 0)
		return 0;
	qsort(samples->ns, samples->count, sizeof *samples->ns, compare);
	return (double)samples->ns[(size_t)((double)(samples->count - 1) * percent / 100)] / 1000;
}

void samples_report(const char *what, struct samples *samples, struct samples *floor, double most)
{
	double low = samples_percentile(samples, 10);
	double middle = samples_percentile(samples, 50);
	double high = samples_percentile(samples, 99);
	if (!floor) {
		(void)printf("%-46s p10 %.1f us, p50 %.1f, p99 %.1f\n", what, low, middle, high);
		return;
	}
	double ratio = low / samples_percentile(floor, 10);
	verdict(ratio <= most, what, "p10 %.1f us, p50 %.1f, p99 %.1f: %.2f x ping-pong (p50 %.2f), at most %g", low, middle, high,
		ratio, middle / samples_percentile(floor, 50), most);
}

void verdict(bool holds, const char *what, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)printf("%-46s ", what);
	(void)vprintf(format, args);
	va_end(args);
	(void)printf(": %s\n", holds ? "holds" : "MISSES");
}

/* ---- the line protocol ---- */

int dial(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path)
		fail("socket path");
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		fail(path);
	return fd;
}

void say(int fd, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof text || fd_write_all(fd, text, (size_t)n) < 0)
		fail("write");
}

/* The first line that begins with @start and is whole, or NULL. */
static const char *find_line(const char *text, const char *start)
{
	for (const char *end = NULL; (end = strchr(text, '\n')); text = end + 1)
		if (strncmp(text, start, strlen(start)) == 0)
			return text;
	return NULL;
}

void hear(int fd, const char *start, unsigned *ret_number)
{
	scoped_done(buf_done) struct buf text = {.max = 1U << 24};
	for (const char *line = NULL; !line;) {
		char *tail = NULL;
		ssize_t n = buf_reserve(&text, 65536, &tail) < 0 ? -1 : recv(fd, tail, 65536, 0);
		if (n <= 0)
			fail("the service went");
		buf_claim(&text, (size_t)n);
		line = find_line(text.data, start);
		if (line && ret_number)
			*ret_number = (unsigned)strtoul(line + strlen(start), NULL, 10);
	}
}

/* ---- another process ---- */

/* The number behind @name in a file of /proc, or 0. */
static uint64_t number_in(const char *path, const char *name)
{
	scoped_done(buf_done) struct buf text = {.max = 65536};
	if (file_read_at(AT_FDCWD, path, &text, NULL) < 0 || !text.data)
		return 0;
	const char *at = strstr(text.data, name);
	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

uint64_t process_cpu_us(int pid)
{
	char path[64];
	scoped_done(buf_done) struct buf text = {.max = 4096};
	(void)snprintf(path, sizeof path, "/proc/%d/schedstat", pid); /* ns, exact, of its first thread */
	if (file_read_at(AT_FDCWD, path, &text, NULL) < 0 || !text.data)
		return 0;
	return strtoull(text.data, NULL, 10) / 1000;
}

uint64_t process_pss_kib(int pid)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
	return number_in(path, "\nPss:");
}

uint64_t process_switches(int pid)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *threads = opendir(path);
	uint64_t sum = 0;
	for (const struct dirent *entry = NULL; threads && (entry = readdir(threads));) {
		char status[384];
		if (*entry->d_name == '.')
			continue;
		(void)snprintf(status, sizeof status, "%s/%s/status", path, entry->d_name);
		sum += number_in(status, "\nvoluntary_ctxt_switches:") + number_in(status, "\nnonvoluntary_ctxt_switches:");
	}
	if (threads)
		(void)closedir(threads);
	return sum;
}
