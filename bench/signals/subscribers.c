/* What axsignald needs when it is full, and when it is at rest. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/signals/bench.h"
#include "core/base/buf.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"

#define SUBSCRIBERS 1000
#define GROUPS 100 /* Vehicle.Load.B00 to B99, of 100 signals each */
#define PSS_MAX_KIB (64U << 10)
#define CATALOGUE_PSS_KIB (6U << 10)
#define CATALOGUE_CPU_US 50000
#define REST_SECONDS 3

static void allow_many_files(void)
{
	struct rlimit limit = {0};
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit); /* opening says so where it is too low */
	}
}

/* Each value once, so that all that is kept for a reader is there. */
static void publish_all(const char *socket)
{
	scoped_fd int fd = dial(socket);
	for (unsigned group = 0; group < GROUPS; group++) {
		scoped_done(buf_done) struct buf json = {.max = 65536};
		(void)buf_printf(&json, "group Vehicle.Load.B%02u {", group);
		for (unsigned i = 0; i < 100; i++)
			(void)buf_printf(&json, "%s\"S%02u\":%u", i ? "," : "", i, i + 1);
		(void)buf_add_text(&json, "}\n");
		if (fd_write_all(fd, json.data, json.size) < 0)
			fail("publish");
		hear(fd, "ok", NULL);
	}
}

/* Everything that waits, so that queues are empty. */
static void drain(int fd)
{
	char text[65536];
	while (read(fd, text, sizeof text) > 0)
		;
}

static void measure(const char *what, const char *socket, const char *files, int pid, bool by_file)
{
	char path[512];
	int fds[SUBSCRIBERS];
	uint64_t before = process_pss_kib(pid);
	(void)snprintf(path, sizeof path, "%s/@stream", files);
	for (unsigned i = 0; i < SUBSCRIBERS; i++) {
		fds[i] = by_file ? open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK) : dial(socket);
		if (fds[i] < 0 || fd_set_nonblock(fds[i], true) < 0)
			fail(path);
		/* each of its 100 signals by itself, with an interval and a change of its own */
		for (unsigned j = 0; j < 100; j++)
			say(fds[i], "sub Vehicle.Load.B%02u.S%02u@rate=%u,change=0.%u\n", (i + j) % GROUPS, j, 1 + i % 20, 1 + j % 9);
	}
	for (unsigned i = 0; i < SUBSCRIBERS; i++)
		drain(fds[i]);
	publish_all(socket);
	(void)usleep(1500000); /* the slowest rate has had its time */
	for (unsigned i = 0; i < SUBSCRIBERS; i++)
		drain(fds[i]);
	(void)usleep(500000);
	uint64_t pss = process_pss_kib(pid);
	verdict(pss > 0 && pss <= PSS_MAX_KIB, what, "PSS %.1f MB (%.1f without them), at most 64", (double)pss / 1024,
		(double)before / 1024);
	for (unsigned i = 0; i < SUBSCRIBERS; i++)
		(void)close(fds[i]);
}

void bench_subscribers(const char *socket, const char *files, int pid, bool by_file)
{
	allow_many_files();
	measure(by_file ? "1,000 subscribers x 100 signals, @stream" : "1,000 subscribers x 100 signals, sockets", socket, files, pid,
		by_file);
}

void bench_rest(const char *socket, const char *files, int pid)
{
	char path[512];
	scoped_fd int line = dial(socket);
	say(line, "sub Vehicle.**@rate=10\n");
	hear(line, "ok", NULL);
	(void)snprintf(path, sizeof path, "%s/Vehicle/Speed@rate=10", files);
	scoped_fd int stream = open(path, O_RDONLY | O_CLOEXEC);
	if (stream < 0)
		fail(path);
	(void)sleep(3); /* names that were looked up are given back after a second */
	uint64_t before = process_switches(pid);
	(void)sleep(REST_SECONDS);
	uint64_t woken = process_switches(pid) - before;
	verdict(woken == 0, "at rest, with subscribers", "%llu wake-ups in %d s", (unsigned long long)woken, REST_SECONDS);
}

void bench_start(int pid)
{
	uint64_t cpu = process_cpu_us(pid);
	uint64_t pss = process_pss_kib(pid);
	verdict(cpu > 0 && cpu < CATALOGUE_CPU_US, "the catalogue of VSS 6.0 loads", "%.1f ms of CPU time, less than 50",
		(double)cpu / 1000);
	verdict(pss > 0 && pss <= CATALOGUE_PSS_KIB, "it needs", "PSS %.2f MB, at most 6", (double)pss / 1024);
}
