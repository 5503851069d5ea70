/* One caller, one value: each measurement in turns with a ping-pong between two processes that are pinned as the caller and
 * the daemon are. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/signals/bench.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"

#define TURN 200 /* rounds of one measurement before the next has its turn */
#define TITLE "Vehicle.Cabin.Infotainment.Media.Title" /* a text: a clock that passes unrounded */

struct latency {
	const char *socket;
	const char *files;
	char speed[512]; /* its file */
	int pong;	 /* the other process */
	int line;	 /* a connection to the service */
	int file;	 /* the value's, open */
};

/* ---- the floor: another process that sends back what it gets ---- */

static pid_t start_pong(int *ret_fd)
{
	int fds[2];
	char byte[16];
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
	*ret_fd = fds[0];
	return pid;
}

static void ping(const struct latency *latency)
{
	char bytes[16] = "get";
	if (write(latency->pong, bytes, sizeof bytes) != sizeof bytes || read(latency->pong, bytes, sizeof bytes) != sizeof bytes)
		fail("ping-pong");
}

/* ---- getting ---- */

static void get_line(const struct latency *latency)
{
	static const char REQUEST[] = "get Vehicle.Speed\n";
	char answer[256];
	if (write(latency->line, REQUEST, sizeof REQUEST - 1) < 0 || read(latency->line, answer, sizeof answer) <= 0)
		fail("get");
}

static void get_file(const struct latency *latency)
{
	char text[256];
	if (pread(latency->file, text, sizeof text, 0) <= 0)
		fail("pread");
}

static void get_open(const struct latency *latency)
{
	char text[256];
	int fd = open(latency->speed, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof text) <= 0)
		fail("open and read");
	(void)close(fd);
}

static void take_turns(const struct latency *latency, size_t rounds)
{
	static const struct {
		const char *what;
		void (*once)(const struct latency *latency);
		double most;
	} ALL[] = {{"ping-pong over a UNIX socket", ping, 0},
		   {"get, line protocol", get_line, 1.2},
		   {"get, pread of the value file", get_file, 1.2},
		   {"open + read + close", get_open, 4}};
	enum { COUNT = sizeof ALL / sizeof *ALL };
	struct samples samples[COUNT];
	for (size_t i = 0; i < COUNT; i++)
		samples_init(&samples[i], rounds);
	for (size_t done = 0; done < rounds; done += TURN) {
		for (size_t i = 0; i < COUNT; i++) {
			for (size_t j = 0; j < TURN; j++) {
				int64_t start = now_ns();
				ALL[i].once(latency);
				samples_add(&samples[i], now_ns() - start);
			}
		}
	}
	for (size_t i = 0; i < COUNT; i++)
		samples_report(ALL[i].what, &samples[i], i ? &samples[0] : NULL, ALL[i].most);
	for (size_t i = 0; i < COUNT; i++)
		samples_done(&samples[i]);
}

/* ---- publish to reader: the publisher writes its clock as the value ---- */

enum reader_kind {
	READER_LINE,
	READER_BLOCKED,
	READER_SELECT,
	READER_COUNT,
};

static const struct {
	const char *what;
	double most;
} READERS[] = {{"publish -> reader of the line protocol", 2},
	       {"publish -> value in a blocked reader (file)", 2},
	       {"publish -> select -> value (file)", 5}};

/* The reader's process: notes how old each value is, and sends each age on. */
static void read_ages(enum reader_kind kind, int fd, int out)
{
	char text[65536]; /* whole lines: what waits is less */
	pin(1);
	for (;;) {
		fd_set set;
		FD_ZERO(&set);
		FD_SET(fd, &set);
		if (kind == READER_SELECT && select(fd + 1, &set, NULL, NULL, NULL) < 0)
			_exit(1);
		ssize_t n = read(fd, text, sizeof text - 1);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n <= 0)
			_exit(1);
		int64_t now = now_ns();
		text[n] = '\0';
		for (char *line = text, *end = NULL; (end = strchr(line, '\n')); line = end + 1) {
			int64_t sent = strtoll(kind == READER_LINE ? line + 2 : line, NULL, 10); /* "1 VALUE" */
			int64_t age = now - sent;
			if (sent > 1000 && fd_write_all(out, &age, sizeof age) < 0)
				_exit(1);
		}
	}
}

static int open_reader(const struct latency *latency, enum reader_kind kind)
{
	char path[512];
	if (kind == READER_LINE) {
		int fd = dial(latency->socket);
		say(fd, "sub " TITLE "@all\n");
		hear(fd, "ok", NULL);
		return fd;
	}
	(void)snprintf(path, sizeof path, "%s/Vehicle/Cabin/Infotainment/Media/Title@all", latency->files);
	int fd = open(path, O_RDONLY | O_CLOEXEC | (kind == READER_SELECT ? O_NONBLOCK : 0));
	if (fd < 0)
		fail(path);
	return fd;
}

/* One turn of one kind: the reader is there alone. */
static void publish_to(const struct latency *latency, enum reader_kind kind, int writer, unsigned handle, struct samples *samples)
{
	int fds[2];
	int fd = open_reader(latency, kind);
	if (pipe(fds) < 0)
		fail("pipe");
	pid_t pid = fork();
	if (pid == 0)
		read_ages(kind, fd, fds[1]);
	(void)close(fds[1]);
	(void)close(fd);
	(void)usleep(20000); /* it waits */
	struct pollfd polled = {.fd = fds[0], .events = POLLIN};
	for (size_t i = 0; i < TURN; i++) {
		int64_t age = 0;
		say(writer, "%u %lld\n", handle, (long long)now_ns());
		if (poll(&polled, 1, 10000) <= 0 || read(fds[0], &age, sizeof age) != sizeof age)
			fail("an update did not come");
		samples_add(samples, age);
		(void)usleep(100); /* the next finds its reader asleep again */
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)close(fds[0]);
}

static void publish(const struct latency *latency, size_t rounds)
{
	struct samples floor;
	struct samples samples[READER_COUNT];
	unsigned handle = 0;
	scoped_fd int writer = dial(latency->socket);
	say(writer, "claim " TITLE "\n");
	hear(writer, "ok ", &handle);
	samples_init(&floor, rounds);
	for (size_t i = 0; i < READER_COUNT; i++)
		samples_init(&samples[i], rounds);
	for (size_t done = 0; done < rounds; done += TURN) {
		for (size_t j = 0; j < TURN; j++) {
			int64_t start = now_ns();
			ping(latency);
			samples_add(&floor, now_ns() - start);
		}
		for (size_t i = 0; i < READER_COUNT; i++)
			publish_to(latency, (enum reader_kind)i, writer, handle, &samples[i]);
	}
	for (size_t i = 0; i < READER_COUNT; i++) {
		samples_report(READERS[i].what, &samples[i], &floor, READERS[i].most);
		samples_done(&samples[i]);
	}
	samples_done(&floor);
}

void bench_latency(const char *socket, const char *files, size_t rounds)
{
	struct latency latency = {.socket = socket, .files = files};
	(void)snprintf(latency.speed, sizeof latency.speed, "%s/Vehicle/Speed", files);
	pin(0);
	pid_t pong = start_pong(&latency.pong);
	latency.line = dial(socket);
	say(latency.line, "set Vehicle.Speed 88.5\n");
	hear(latency.line, "ok", NULL);
	latency.file = open(latency.speed, O_RDONLY | O_CLOEXEC);
	if (latency.file < 0)
		fail(latency.speed);
	take_turns(&latency, rounds);
	publish(&latency, rounds / 5);
	(void)close(latency.pong);
	(void)close(latency.line);
	(void)close(latency.file);
	(void)waitpid(pong, NULL, 0);
}
