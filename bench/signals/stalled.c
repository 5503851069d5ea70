/* One reader that stops reading: what do the others notice? Turns with it and turns without it, one after another, so that
 * the machine's other work hits both alike; compared are the tenth percentiles of the turns' 99th percentiles. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/signals/bench.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"

#define READERS 4
#define TURN 300 /* updates */
#define STALLED_MOST 1.05
#define TITLE "Vehicle.Cabin.Infotainment.Media.Title"

static void read_ages(int fd, int out)
{
	char text[65536];
	for (;;) {
		ssize_t n = read(fd, text, sizeof text - 1);
		if (n <= 0)
			_exit(1);
		int64_t age = now_ns();
		age -= strtoll(text, NULL, 10);
		if (fd_write_all(out, &age, sizeof age) < 0)
			_exit(1);
	}
}

static int open_reader(const char *files)
{
	char path[512];
	(void)snprintf(path, sizeof path, "%s/Vehicle/Cabin/Infotainment/Media/Title@all", files);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fail(path);
	return fd;
}

static pid_t start_reader(const char *files, int out)
{
	int fd = open_reader(files);
	pid_t pid = fork();
	if (pid == 0)
		read_ages(fd, out);
	(void)close(fd);
	return pid;
}

static void turn(int writer, unsigned handle, int ages, struct samples *p99s)
{
	struct samples samples;
	struct pollfd polled = {.fd = ages, .events = POLLIN};
	samples_init(&samples, READERS * TURN);
	for (size_t i = 0; i < TURN; i++) {
		say(writer, "%u %lld\n", handle, (long long)now_ns());
		for (unsigned j = 0; j < READERS; j++) {
			int64_t age = 0;
			if (poll(&polled, 1, 10000) <= 0 || read(ages, &age, sizeof age) != sizeof age)
				fail("an update did not come");
			samples_add(&samples, age);
		}
	}
	samples_add(p99s, (int64_t)(samples_percentile(&samples, 99) * 1000));
	samples_done(&samples);
}

/* A process that stands still: with a read that waits, or, for the turns without, with nothing: all else is alike. */
static pid_t start_stopped(const char *files, bool reads)
{
	int fd = reads ? open_reader(files) : -1;
	pid_t pid = fork();
	if (pid == 0) {
		char text[65536];
		while (fd < 0 || read(fd, text, sizeof text) > 0)
			if (fd < 0)
				(void)pause();
		_exit(0);
	}
	if (fd >= 0)
		(void)close(fd);
	(void)usleep(5000);
	(void)kill(pid, SIGSTOP);
	return pid;
}

static void end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

void bench_stalled(const char *socket, const char *files, size_t rounds)
{
	struct samples without;
	struct samples with;
	int fds[2];
	pid_t pids[READERS];
	unsigned handle = 0;
	scoped_fd int writer = dial(socket);
	say(writer, "claim " TITLE "\n");
	hear(writer, "ok ", &handle);
	if (pipe(fds) < 0)
		fail("pipe");
	for (unsigned i = 0; i < READERS; i++)
		pids[i] = start_reader(files, fds[1]);
	(void)usleep(50000);
	samples_init(&without, rounds);
	samples_init(&with, rounds);
	for (size_t i = 0; i < rounds; i++) {
		for (unsigned j = 0; j < 2; j++) {
			bool reads = (i + j) % 2; /* now the one first, now the other */
			pid_t stopped = start_stopped(files, reads);
			turn(writer, handle, fds[0], reads ? &with : &without);
			end(stopped);
		}
	}
	for (unsigned i = 0; i < READERS; i++)
		end(pids[i]);
	double before = samples_percentile(&without, 10);
	double after = samples_percentile(&with, 10);
	verdict(after <= before * STALLED_MOST, "one stalled reader: p99 of the others", "%.1f us, %.1f without it: %+.1f %%, at most 5",
		after, before, (after / before - 1) * 100);
	samples_done(&without);
	samples_done(&with);
	(void)close(fds[0]);
	(void)close(fds[1]);
}
