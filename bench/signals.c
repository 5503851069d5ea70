/* signals: how fast axsignald is, as ratios to a ping-pong between two processes over a UNIX socket, pinned alike.
 *
 *	signals SOCKET FILES ROUNDS		SOCKET: of axsignald; FILES: its mount
 *
 * Prints one line for each measurement: what, microseconds (p50, p10, p99) or a rate, the ratio to the ping-pong, the target. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"

#define ROUNDS_MAX 1000000
#define UPDATES 1000000
#define BATCH 100

static int64_t now_ns(void)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void pin(unsigned cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof set, &set); /* on one processor all share it anyway */
}

static void fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

struct floor_us {
	double middle, p10;
};

/* Sorts the samples and prints them. On a machine that others use, too, the tenth percentiles compare best. */
static struct floor_us report(const char *what, int64_t *samples, size_t count, struct floor_us floor, const char *target)
{
	qsort(samples, count, sizeof *samples, compare);
	struct floor_us own = {(double)samples[count / 2] / 1000, (double)samples[count / 10] / 1000};
	(void)printf("%-44s %7.1f us  (p10 %.1f, p99 %.1f)", what, own.middle, own.p10,
		     (double)samples[count * 99 / 100] / 1000);
	if (floor.middle > 0)
		(void)printf("  %5.2f x ping-pong (p10 %.2f)  target %s", own.middle / floor.middle, own.p10 / floor.p10, target);
	(void)putchar('\n');
	return own;
}

static int dial(const char *path)
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

static void say(int fd, const char *text)
{
	if (fd_write_all(fd, text, strlen(text)) < 0)
		fail("write");
}

/* Reads until the last line is whole and begins with @start. */
static void hear(int fd, const char *start)
{
	char text[65536];
	size_t size = 0;
	for (;;) {
		ssize_t n = recv(fd, text + size, sizeof text - 1 - size, 0);
		if (n <= 0)
			fail("the service went");
		size += (size_t)n;
		text[size] = '\0';
		if (text[size - 1] != '\n')
			continue;
		text[size - 1] = '\0';
		const char *last = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
		if (strncmp(last, start, strlen(start)) == 0)
			return;
		text[size - 1] = '\n';
		if (size > sizeof text / 2)
			size = 0;
	}
}

/* ---- the floor: another process that sends back what it gets ---- */

static struct floor_us ping_pong(int64_t *samples, size_t rounds)
{
	int fds[2];
	char byte[16] = "get";
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		fail("socketpair");
	pid_t pid = fork();
	if (pid == 0) {
		pin(1);
		(void)close(fds[0]);
		for (ssize_t n = 0; (n = read(fds[1], byte, sizeof byte)) > 0;)
			if (write(fds[1], byte, (size_t)n) != n)
				break;
		_exit(0);
	}
	(void)close(fds[1]);
	for (size_t i = 0; i < rounds; i++) {
		int64_t start = now_ns();
		if (write(fds[0], byte, 16) != 16 || read(fds[0], byte, 16) != 16)
			fail("ping-pong");
		samples[i] = now_ns() - start;
	}
	(void)close(fds[0]);
	(void)waitpid(pid, NULL, 0);
	return report("ping-pong over a UNIX socket", samples, rounds, (struct floor_us){0}, "");
}

/* ---- one caller ---- */

static void bench_get_line(const char *socket_path, int64_t *samples, size_t rounds, struct floor_us floor)
{
	char answer[256];
	scoped_fd int fd = dial(socket_path);
	for (size_t i = 0; i < rounds; i++) {
		int64_t start = now_ns();
		say(fd, "get Vehicle.Speed\n");
		if (recv(fd, answer, sizeof answer, 0) <= 0)
			fail("get");
		samples[i] = now_ns() - start;
	}
	(void)report("get, line protocol", samples, rounds, floor, "<= 1.2");
}

static void bench_get_file(const char *path, int64_t *samples, size_t rounds, struct floor_us floor)
{
	char text[256];
	scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail(path);
	for (size_t i = 0; i < rounds; i++) {
		int64_t start = now_ns();
		if (pread(fd, text, sizeof text, 0) <= 0)
			fail("pread");
		samples[i] = now_ns() - start;
	}
	(void)report("get, pread of the value file", samples, rounds, floor, "<= 1.2");
	for (size_t i = 0; i < rounds; i++) {
		int64_t start = now_ns();
		int file = open(path, O_RDONLY | O_CLOEXEC);
		if (file < 0 || read(file, text, sizeof text) <= 0)
			fail("open and read");
		(void)close(file);
		samples[i] = now_ns() - start;
	}
	(void)report("open + read + close", samples, rounds, floor, "<= 4");
}

/* ---- publish to reader: the publisher writes its clock as the value, a text, as floats would round it ---- */

enum reader_kind {
	READER_LINE,
	READER_BLOCKED,
	READER_SELECT,
};

/* The reader's process: notes how old each value is, and sends all at the end. */
static void read_ages(enum reader_kind kind, int fd, int out, size_t rounds)
{
	char text[65536]; /* whole lines: what waits is less */
	int64_t *ages = calloc(rounds, sizeof *ages);
	pin(1);
	for (size_t i = 0; ages && i < rounds;) {
		if (kind == READER_SELECT) {
			fd_set set;
			FD_ZERO(&set);
			FD_SET(fd, &set);
			if (select(fd + 1, &set, NULL, NULL, NULL) < 0)
				_exit(1);
		}
		ssize_t n = read(fd, text, sizeof text - 1);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			_exit(1);
		int64_t now = now_ns();
		text[n] = '\0';
		for (char *line = text, *end = NULL; (end = strchr(line, '\n')) && i < rounds; line = end + 1) {
			const char *value = kind == READER_LINE ? line + 2 : line; /* "1 VALUE" */
			int64_t sent = strtoll(value, NULL, 10);
			if (sent > 1000)
				ages[i++] = now - sent;
		}
	}
	_exit(fd_write_all(out, ages, rounds * sizeof *ages) < 0);
}

static void bench_publish(const char *socket_path, const char *path, enum reader_kind kind, int64_t *samples, size_t rounds,
			  struct floor_us floor)
{
	static const struct {
		const char *what, *target;
	} NAMES[] = {{"publish -> reader of the line protocol", "<= 2"},
		     {"publish -> value in a blocked reader (file)", "<= 2"},
		     {"publish -> select -> value (file)", "<= 5"}};
	int fds[2];
	scoped_fd int writer = dial(socket_path);
	say(writer, "claim Vehicle.Cabin.Infotainment.Media.Title\n");
	hear(writer, "ok");
	int fd = -1;
	if (kind == READER_LINE) {
		fd = dial(socket_path);
		say(fd, "sub Vehicle.Cabin.Infotainment.Media.Title@all\n");
		hear(fd, "ok");
	} else {
		fd = open(path, O_RDONLY | O_CLOEXEC | (kind == READER_SELECT ? O_NONBLOCK : 0));
	}
	if (fd < 0 || pipe(fds) < 0)
		fail(path);
	pid_t pid = fork();
	if (pid == 0)
		read_ages(kind, fd, fds[1], rounds);
	(void)close(fds[1]);
	(void)close(fd);
	(void)usleep(50000);
	for (size_t i = 0; i < rounds; i++) {
		char line[64];
		(void)snprintf(line, sizeof line, "1 %lld\n", (long long)now_ns());
		say(writer, line);
		(void)usleep(200); /* each finds its reader asleep again */
	}
	struct pollfd poll_fd = {.fd = fds[0], .events = POLLIN};
	size_t got = 0;
	while (got < rounds * sizeof *samples && poll(&poll_fd, 1, 3000) > 0) {
		ssize_t n = read(fds[0], (char *)samples + got, rounds * sizeof *samples - got);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)close(fds[0]);
	if (got < rounds * sizeof *samples)
		(void)printf("%-44s FAILED: the reader did not get each update\n", NAMES[kind].what);
	else
		(void)report(NAMES[kind].what, samples, rounds, floor, NAMES[kind].target);
}

/* ---- many updates ---- */

/* Counts lines of updates until none comes for half a second. */
static void count_updates(int fd, int out)
{
	char *text = malloc(1 << 20);
	uint64_t counts[2] = {0, 0}; /* updates, lost */
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	while (text && poll(&poll_fd, 1, 1500) > 0) {
		ssize_t n = recv(fd, text, 1 << 20, 0);
		if (n <= 0)
			break;
		for (const char *c = text; (c = memchr(c, '\n', (size_t)(text + n - c))); c++)
			counts[0]++;
		counts[1] += memmem(text, (size_t)n, "lost ", 5) != NULL;
	}
	_exit(fd_write_all(out, counts, sizeof counts) < 0);
}

static void bench_stream(const char *socket_path, size_t readers)
{
	scoped_fd int writer = dial(socket_path);
	pid_t pids[16];
	int pipes[16];
	say(writer, "claim Vehicle.TraveledDistance\n");
	hear(writer, "ok");
	for (size_t i = 0; i < readers; i++) {
		int fds[2];
		int fd = dial(socket_path);
		say(fd, "sub Vehicle.TraveledDistance@all\n");
		hear(fd, "ok");
		if (pipe(fds) < 0)
			fail("pipe");
		pids[i] = fork();
		if (pids[i] == 0)
			count_updates(fd, fds[1]);
		(void)close(fds[1]);
		(void)close(fd);
		pipes[i] = fds[0];
	}
	scoped_done(buf_done) struct buf batch = {.max = 65536};
	int64_t start = now_ns();
	size_t updates = readers > 1 ? UPDATES / 5 : UPDATES;
	for (size_t i = 0; i < updates; i += BATCH) {
		buf_clear(&batch);
		for (size_t j = 0; j < BATCH; j++)
			(void)buf_printf(&batch, "1 %zu\n", i + j);
		if (fd_write_all(writer, batch.data, batch.size) < 0)
			fail("publish");
	}
	say(writer, "ping\n");
	hear(writer, "ok");
	double seconds = (double)(now_ns() - start) / 1e9;
	uint64_t got = 0;
	uint64_t lost = 0;
	for (size_t i = 0; i < readers; i++) {
		uint64_t counts[2] = {0, 0};
		if (read(pipes[i], counts, sizeof counts) == (ssize_t)sizeof counts) {
			got += counts[0];
			lost += counts[1];
		}
		(void)close(pipes[i]);
		(void)waitpid(pids[i], NULL, 0);
	}
	(void)printf("%-44s %7.0f updates/s in, %.0f records/s out to %zu readers%s\n", "updates over one socket, batches of 100",
		     (double)updates / seconds, (double)got / seconds, readers, lost ? " (some lost)" : "");
	if (readers > 0 && lost == 0 && got != updates * readers)
		(void)printf("%-44s FAILED: %llu of %zu records\n", "", (unsigned long long)got, updates * readers);
}

int main(int argc, char **argv)
{
	uint64_t rounds = 0;
	if (argc != 4 || parse_u64(argv[3], 100, ROUNDS_MAX, &rounds) < 0) {
		(void)fprintf(stderr, "usage: signals SOCKET FILES ROUNDS\n");
		return 2;
	}
	scoped_free int64_t *samples = calloc(rounds, sizeof *samples);
	char file[512];
	char follow[512];
	(void)snprintf(file, sizeof file, "%s/Vehicle/Speed", argv[2]);
	(void)snprintf(follow, sizeof follow, "%s/Vehicle/Cabin/Infotainment/Media/Title@all", argv[2]);
	if (!samples)
		fail("memory");
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	pin(0);
	scoped_fd int setter = dial(argv[1]);
	say(setter, "set Vehicle.Speed 88.5\n");
	hear(setter, "ok");
	struct floor_us floor = ping_pong(samples, rounds);
	bench_get_line(argv[1], samples, rounds, floor);
	bench_get_file(file, samples, rounds, floor);
	bench_publish(argv[1], follow, READER_LINE, samples, rounds / 4, floor);
	bench_publish(argv[1], follow, READER_BLOCKED, samples, rounds / 4, floor);
	bench_publish(argv[1], follow, READER_SELECT, samples, rounds / 4, floor);
	bench_stream(argv[1], 0);
	bench_stream(argv[1], 1);
	bench_stream(argv[1], 10);
	return 0;
}
