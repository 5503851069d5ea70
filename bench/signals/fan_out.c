/* Many updates: one adaptor's socket in, ten readers of the multiplexed file out. Each reader adds up what it gets: a record
 * that is lost, doubled or mixed up with another shows. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/signals/bench.h"
#include "core/base/buf.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"

#define READERS 10
#define SIGNALS 100 /* "Vehicle.Load.B00.*": one batch sets each once */
#define UPDATES_PER_SECOND 100000
#define READ_BYTES 65536
#define PATIENCE_MS 5000

struct tally {
	uint64_t records;
	uint64_t sum; /* of the values */
	uint64_t lost; /* lines that say so */
	int64_t last_ns;
};

struct reader {
	pid_t pid;
	int fd; /* gives its tally */
};

/* ---- a reader ---- */

static void count_line(const char *line, struct tally *tally)
{
	if (*line < '0' || *line > '9') {
		tally->lost += strncmp(line, "lost", 4) == 0;
		return;
	}
	uint64_t value = 0;
	for (const char *c = strchr(line, ' ') + 1; *c >= '0' && *c <= '9'; c++)
		value = value * 10 + (uint64_t)(*c - '0');
	tally->records++;
	tally->sum += value;
}

static void read_records(int fd, uint64_t expected, int out)
{
	struct tally tally = {0};
	char *text = malloc(READ_BYTES + 1);
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	while (text && tally.records < expected && !tally.lost && poll(&polled, 1, PATIENCE_MS) > 0) {
		ssize_t n = read(fd, text, READ_BYTES); /* whole lines: that is how the file gives them */
		if (n <= 0)
			break;
		text[n] = '\0';
		for (char *line = text, *end = NULL; (end = strchr(line, '\n')); line = end + 1)
			count_line(line, &tally);
	}
	tally.last_ns = now_ns();
	_exit(fd_write_all(out, &tally, sizeof tally) < 0);
}

static struct reader start_reader(const char *files, uint64_t expected)
{
	char path[512];
	int fds[2];
	(void)snprintf(path, sizeof path, "%s/@stream", files);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || pipe(fds) < 0)
		fail(path);
	say(fd, "sub Vehicle.Load.B00.*@all\n");
	pid_t pid = fork();
	if (pid == 0)
		read_records(fd, expected, fds[1]);
	(void)close(fds[1]);
	(void)close(fd);
	return (struct reader){.pid = pid, .fd = fds[0]};
}

static struct tally end_reader(const struct reader *reader)
{
	struct tally tally = {0};
	if (read(reader->fd, &tally, sizeof tally) != sizeof tally)
		tally = (struct tally){0};
	(void)close(reader->fd);
	(void)waitpid(reader->pid, NULL, 0);
	return tally;
}

/* ---- the adaptor ---- */

static void claim_all(int fd, unsigned handles[static SIGNALS])
{
	for (unsigned i = 0; i < SIGNALS; i++) {
		say(fd, "claim Vehicle.Load.B00.S%02u\n", i);
		hear(fd, "ok ", &handles[i]);
	}
}

static void send_batch(int fd, const unsigned handles[static SIGNALS], uint64_t first)
{
	scoped_done(buf_done) struct buf batch = {.max = 65536};
	for (unsigned i = 0; i < SIGNALS; i++)
		(void)buf_printf(&batch, "%u %llu\n", handles[i], (unsigned long long)(first + i));
	if (fd_write_all(fd, batch.data, batch.size) < 0)
		fail("publish");
}

/* A batch each millisecond; one that is late is not left out. Returns when the first was due. */
static int64_t publish(int fd, const unsigned handles[static SIGNALS], unsigned seconds, bool paced)
{
	int64_t start = now_ns();
	uint64_t batches = (uint64_t)seconds * UPDATES_PER_SECOND / SIGNALS;
	for (uint64_t i = 0; i < batches; i++) {
		int64_t due = start + (int64_t)(i * 1000000000 * SIGNALS / UPDATES_PER_SECOND);
		struct timespec at = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
		if (paced)
			(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
		send_batch(fd, handles, i * SIGNALS + 1);
	}
	return start;
}

static void measure(const char *socket, const char *files, int pid, unsigned seconds, bool paced)
{
	uint64_t updates = (uint64_t)seconds * UPDATES_PER_SECOND;
	unsigned handles[SIGNALS];
	struct reader readers[READERS];
	scoped_fd int adaptor = dial(socket);
	claim_all(adaptor, handles);
	for (unsigned i = 0; i < READERS; i++)
		readers[i] = start_reader(files, updates);
	(void)usleep(200000);
	uint64_t cpu = process_cpu_us(pid);
	int64_t start = publish(adaptor, handles, seconds, paced);
	int64_t last = start;
	uint64_t records = 0;
	bool whole = true;
	for (unsigned i = 0; i < READERS; i++) {
		struct tally tally = end_reader(&readers[i]);
		records += tally.records;
		whole = whole && tally.records == updates && tally.sum == updates * (updates + 1) / 2;
		last = tally.last_ns > last ? tally.last_ns : last;
	}
	double took = (double)(last - start) / 1e9;
	double rate = (double)records / took;
	cpu = process_cpu_us(pid) - cpu;
	double late_ms = (took - seconds) * 1e3;
	/* a burst is all there when its last second's worth has been read: half a second is what the queues hold */
	if (paced)
		verdict(whole && late_ms < 500, "100,000 updates/s to 10 readers of @stream",
			"%.0f records/s, %s, the last %.0f ms late, daemon %.2f us a record", rate, whole ? "none lost" : "SOME LOST",
			late_ms, (double)cpu / (double)records);
	else
		(void)printf("%-46s %.0f records/s%s, daemon %.2f us a record\n", "the same as fast as it goes", rate,
			     whole ? "" : " (some lost)", (double)cpu / (double)records);
}

void bench_fan_out(const char *socket, const char *files, int pid, unsigned seconds)
{
	measure(socket, files, pid, seconds, true);
	measure(socket, files, pid, seconds, false);
}
