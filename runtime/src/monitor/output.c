#include "runtime/src/monitor/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "runtime/src/monitor/log_sink.h"

/* ---- attached readers ---- */

void output_remove_reader(struct reader *reader)
{
	struct output *output = reader->output;
	if (!output)
		return;
	loop_timer_cancel(output->loop, &reader->patience);
	loop_unwatch(output->loop, &reader->watch);
	for (struct reader **link = &output->readers; *link; link = &(*link)->next) {
		if (*link != reader)
			continue;
		*link = reader->next;
		break;
	}
	(void)close(TAKE_FD(reader->fd));
	reader->output = NULL;
}

static void reader_leaves(struct reader *reader)
{
	output_remove_reader(reader);
	reader->gone(reader->owner);
}

/* The rest of the chunk is lost to this reader. */
static void reader_loses(struct reader *reader)
{
	reader->missing += reader->output->size - reader->offset;
	reader->offset = reader->output->size;
	loop_timer_cancel(reader->output->loop, &reader->patience);
}

/* Puts the notice where bytes are missing. A pipe takes it whole or not at all (PIPE_BUF). */
static bool reader_confess(struct reader *reader)
{
	if (reader->missing == 0)
		return true;
	char line[128];
	int length =
		snprintf(line, sizeof line,
			 "\r\n[axle: %" PRIu64 " bytes were lost here: this reader was too slow]\r\n", reader->missing);
	if (write(reader->fd, line, (size_t)length) != length)
		return false;
	reader->missing = 0;
	return true;
}

enum reader_outcome {
	READER_HAS_ALL,
	READER_WAITS,
	READER_LEFT, /* and is removed */
};

/* Gives the reader what it lacks of the chunk, as far as its pipe takes it. */
static enum reader_outcome reader_feed(struct reader *reader)
{
	struct output *output = reader->output;
	if (reader->offset >= output->size)
		return READER_HAS_ALL;
	if (!reader_confess(reader)) {
		reader_loses(reader); /* it is behind already: no second patience */
		return READER_HAS_ALL;
	}
	ssize_t count = write(reader->fd, output->chunk + reader->offset, output->size - reader->offset);
	if (count < 0 && errno != EAGAIN && errno != EINTR) {
		reader_leaves(reader);
		return READER_LEFT;
	}
	if (count > 0) {
		reader->offset += (size_t)count;
		loop_timer_cancel(output->loop, &reader->patience); /* each step forward is worth a new one */
	}
	if (reader->offset == output->size)
		return READER_HAS_ALL;
	if (reader->patience_ms == 0) {
		reader_loses(reader);
		return READER_HAS_ALL;
	}
	if (reader->patience.due_ns == 0)
		loop_timer_set(output->loop, &reader->patience, reader->patience_ms);
	(void)loop_watch(output->loop, &reader->watch, reader->fd, EPOLLOUT);
	return READER_WAITS;
}

static void on_reader(struct watch *watch, uint32_t events)
{
	struct reader *reader = watch->owner;
	struct output *output = reader->output;
	if (events & EPOLLERR) { /* nobody holds the read end any more */
		reader_leaves(reader);
	} else {
		(void)loop_watch(output->loop, watch, reader->fd, 0);
	}
	output_resume(output);
}

static void on_patience(struct timer *timer)
{
	struct reader *reader = timer->owner;
	struct output *output = reader->output;
	reader_loses(reader);
	(void)loop_watch(output->loop, &reader->watch, reader->fd, 0);
	output_resume(output);
}

int output_add_reader(struct output *output, struct reader *reader, int fd)
{
	int r = fd_set_nonblock(fd, true);
	reader->watch = (struct watch){.fd = -1, .ready = on_reader, .owner = reader};
	reader->patience = (struct timer){.expired = on_patience, .owner = reader};
	if (r == 0)
		r = loop_watch(output->loop, &reader->watch, fd, 0);
	if (r < 0)
		return r;
	reader->fd = fd;
	reader->output = output;
	reader->offset = output->size; /* from now on: not the chunk that is under way */
	reader->next = output->readers;
	output->readers = reader;
	return 0;
}

/* ---- the stream ---- */

/* Gives the chunk to all readers; true when none waits. */
static bool feed_readers(struct output *output)
{
	bool all = true;
	struct reader *next = NULL;
	for (struct reader *reader = output->readers; reader; reader = next) {
		next = reader->next;
		all &= reader_feed(reader) != READER_WAITS;
	}
	return all;
}

/* Gives the chunk to the log; true when it has taken all. */
static bool feed_log(struct output *output)
{
	if (output->logged < output->size) {
		ptrdiff_t count =
			cri_frame(&output->framer, output->chunk + output->logged, output->size - output->logged,
				  output->chunk_time_ns, log_sink_emit, output->sink);
		if (count < 0)
			output->sink->dropped += output->size - output->logged; /* no memory for a line's beginning */
		output->logged = count < 0 ? output->size : output->logged + (size_t)count;
	}
	return output->logged == output->size;
}

static bool feed(struct output *output)
{
	bool readers = feed_readers(output);
	bool log = feed_log(output);
	if (!readers || !log)
		return false;
	output->size = output->logged = 0;
	for (struct reader *reader = output->readers; reader; reader = reader->next)
		reader->offset = 0;
	return true;
}

/* The writers are gone (or the pty hung up): nothing comes any more. */
static void end(struct output *output)
{
	loop_unwatch(output->loop, &output->watch);
	if (!cri_flush(&output->framer, wall_now_ns(), log_sink_emit, output->sink))
		return; /* the sink resumes us, and we find the end again */
	loop_timer_cancel(output->loop, &output->line_wait);
	(void)close(TAKE_FD(output->fd));
	while (output->readers) {
		(void)reader_confess(output->readers); /* where its pipe is still full nobody reads it anyway */
		reader_leaves(output->readers);
	}
}

/* Reads one chunk. False: nothing there, or the end. */
static bool fill(struct output *output, bool *ret_end)
{
	ssize_t count = read(output->fd, output->chunk, OUTPUT_CHUNK_BYTES);
	*ret_end = count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR);
	if (count <= 0)
		return false;
	output->size = (size_t)count;
	output->chunk_time_ns = wall_now_ns();
	return true;
}

static void wait_for_more(struct output *output)
{
	(void)loop_watch(output->loop, &output->watch, output->fd, EPOLLIN);
	if (output->framer.tail_size > 0 && output->line_wait.due_ns == 0)
		loop_timer_set(output->loop, &output->line_wait, OUTPUT_LINE_WAIT_MS);
	if (output->framer.tail_size == 0)
		loop_timer_cancel(output->loop, &output->line_wait);
}

void output_resume(struct output *output)
{
	if (output->fd < 0)
		return;
	bool at_end = false;
	if (!feed(output) || (fill(output, &at_end) && !feed(output)))
		loop_unwatch(output->loop, &output->watch); /* until the log or a reader goes on */
	else if (at_end)
		end(output);
	else
		wait_for_more(output);
	output->changed(output->owner);
}

static void on_output(struct watch *watch, uint32_t events)
{
	(void)events; /* a hang-up with bytes before it is read to its end */
	output_resume(watch->owner);
}

static void on_line_wait(struct timer *timer)
{
	struct output *output = timer->owner;
	if (!cri_flush(&output->framer, wall_now_ns(), log_sink_emit, output->sink))
		loop_timer_set(output->loop, timer, OUTPUT_LINE_WAIT_MS);
}

void output_init(struct output *output, struct loop *loop, struct log_sink *sink, const char *name)
{
	*output = (struct output){.loop = loop, .sink = sink, .fd = -1, .framer.stream = name};
	output->watch = (struct watch){.fd = -1, .ready = on_output, .owner = output};
	output->line_wait = (struct timer){.expired = on_line_wait, .owner = output};
}

void output_done(struct output *output)
{
	if (!output->loop)
		return;
	while (output->readers)
		output_remove_reader(output->readers);
	loop_timer_cancel(output->loop, &output->line_wait);
	loop_unwatch(output->loop, &output->watch);
	if (output->fd >= 0)
		(void)close(TAKE_FD(output->fd));
	free(TAKE(output->chunk));
	cri_framer_done(&output->framer);
}

int output_open(struct output *output, int fd)
{
	int r = fd_set_nonblock(fd, true);
	if (r < 0)
		return r;
	output->chunk = malloc(OUTPUT_CHUNK_BYTES);
	if (!output->chunk)
		return -ENOMEM;
	output->fd = fd;
	return 0;
}

bool output_is_drained(const struct output *output)
{
	int waiting = 0;
	if (output->fd < 0)
		return true;
	if (output->size > output->logged || output->framer.tail_size > 0)
		return false;
	return ioctl(output->fd, FIONREAD, &waiting) == 0 && waiting == 0;
}
