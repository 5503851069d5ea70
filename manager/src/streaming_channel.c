#include "manager/src/streaming_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/list.h"
#include "core/base/scoped.h"
#include "manager/src/fiber_group.h"
#include "manager/src/streaming_codec.h"

#define READ_STEP 16384
#define SEND_STEP 16384				/* of one frame, so that channels take turns */
#define OUTPUT_LIMIT (CHANNEL_OUTPUT_MAX + 65536) /* with answers to what the peer asks, which nobody can hold back */
#define FLUSH_MS 10000
#define LINGER_MS 3000
#define HASTE_MS 300 /* instead of both, where axled ends */

struct channel {
	struct list link; /* in channels->all */
	struct channels *channels;
	uint32_t number;
	char labels[CHANNEL_LABEL_COUNT][CHANNEL_LABEL_MAX];
	struct channel_flow flow;
	struct buf input;
	struct fiber_signal readable;
	bool accepted;	  /* channels_accept() has given it away */
	bool peer_ended;  /* the peer sends no more */
	bool we_ended;	  /* we do */
	bool reset;	  /* neither does */
};

struct channels {
	struct channels_options options;
	void *codec;
	int read_fd;
	int write_fd; /* the same socket: each direction is waited for by itself */
	struct list all;
	size_t count;
	size_t full; /* channels whose window is used up */
	struct buf output;
	uint64_t last_activity_ns;
	bool gone;
	bool closing;
	struct fiber *reader;
	bool reader_blocked;
	struct fiber_group fibers;
	struct fiber_signal arrived;  /* a channel, or the end */
	struct fiber_signal writable; /* there is room in the output or in a window, or the end */
	struct fiber_signal filled;   /* there is output, or the end */
	struct fiber_signal flushed;
};

static bool is_full(const struct channel *channel)
{
	return channel->input.size >= CHANNEL_WINDOW;
}

/* Everybody who waits learns of it. */
static void set_gone(struct channels *channels)
{
	if (channels->gone)
		return;
	channels->gone = true;
	for (struct list *link = channels->all.next; link != &channels->all; link = link->next)
		fiber_signal_all(&LIST_ENTRY(link, struct channel, link)->readable);
	fiber_signal_all(&channels->arrived);
	fiber_signal_all(&channels->writable);
	fiber_signal_all(&channels->filled);
	fiber_signal_all(&channels->flushed);
	if (channels->options.on_gone && !channels->closing)
		channels->options.on_gone(channels->options.data);
}

static void note_activity(struct channels *channels)
{
	channels->last_activity_ns = uv_hrtime();
}

/* --- for the codec --- */

struct channel_flow *channel_flow(struct channel *channel)
{
	return &channel->flow;
}

struct channel *channels_find(struct channels *channels, uint32_t number)
{
	for (struct list *link = channels->all.next; link != &channels->all; link = link->next) {
		struct channel *channel = LIST_ENTRY(link, struct channel, link);
		if (channel->number == number)
			return channel;
	}
	return NULL;
}

void channels_each(struct channels *channels, void (*visit)(struct channel *channel, int64_t value), int64_t value)
{
	for (struct list *link = channels->all.next; link != &channels->all; link = link->next)
		visit(LIST_ENTRY(link, struct channel, link), value);
}

struct buf *channels_output(struct channels *channels)
{
	fiber_signal_all(&channels->filled);
	return &channels->output;
}

int channels_opened(struct channels *channels, uint32_t number, const struct channel_labels *labels, bool finished)
{
	if (channels->count >= channels->options.channels_max || channels->closing)
		return -ENOBUFS;
	struct channel *channel = calloc(1, sizeof *channel);
	if (!channel)
		return -ENOMEM;
	channel->channels = channels;
	channel->number = number;
	channel->peer_ended = finished;
	channel->input.max = CHANNEL_WINDOW + READ_STEP;
	for (size_t i = 0; i < CHANNEL_LABEL_COUNT; i++)
		(void)snprintf(channel->labels[i], CHANNEL_LABEL_MAX, "%s", labels->text[i] ? labels->text[i] : "");
	list_append(&channels->all, &channel->link);
	channels->count++;
	fiber_signal_all(&channels->arrived);
	return 0;
}

int channels_received(struct channels *channels, struct channel *channel, const void *bytes, size_t size, bool last)
{
	if (channel->peer_ended || channel->reset)
		return -EPROTO;
	bool was_full = is_full(channel);
	int r = size ? buf_add(&channel->input, bytes, size) : 0;
	if (r < 0)
		return r;
	if (!was_full && is_full(channel))
		channels->full++;
	channel->peer_ended = last;
	fiber_signal_all(&channel->readable);
	return 0;
}

void channels_was_reset(struct channel *channel)
{
	channel->reset = true;
	fiber_signal_all(&channel->readable);
	fiber_signal_all(&channel->channels->writable);
}

void channels_may_write(struct channels *channels)
{
	fiber_signal_all(&channels->writable);
}

/* --- from the socket --- */

static uint64_t idle_deadline(const struct channels *channels)
{
	uint64_t idle = channels->options.idle_ns;
	return idle ? channels->last_activity_ns + idle : UINT64_MAX;
}

/* Parks for events of the socket, or until somebody wakes the reader. Errors: -ETIMEDOUT (it has been idle for too long),
 * -ECANCELED. */
static int await_socket(struct channels *channels, int events)
{
	struct fibers *fibers = channels->options.fibers;
	int r = 0;
	do {
		(void)fiber_set_deadline(fibers, idle_deadline(channels));
		r = fiber_await_fd(fibers, channels->read_fd, events);
		(void)fiber_set_deadline(fibers, UINT64_MAX);
	} while (r == -ETIMEDOUT && uv_hrtime() < idle_deadline(channels)); /* the other direction was busy */
	return r == -ETIMEDOUT || r == -ECANCELED ? r : 0;
}

/* Parks while a channel is full. The end of the peer's connection shows meanwhile. */
static int await_room(struct channels *channels)
{
	while (channels->full && !channels->gone && !channels->closing) {
		channels->reader_blocked = true;
		int r = await_socket(channels, UV_DISCONNECT);
		channels->reader_blocked = false;
		if (r < 0)
			return r;
		if (channels->full && !channels->closing)
			return -EPIPE; /* nobody has made room: it is the peer's end */
	}
	return channels->gone ? -EPIPE : 0;
}

static int decode(struct channels *channels, const uint8_t *bytes, size_t size)
{
	const struct channel_codec *codec = channels->options.codec;
	size_t at = 0;
	while (at < size) {
		int r = await_room(channels);
		size_t used = 0;
		if (channels->closing)
			return 0; /* what comes after the end is of no interest */
		if (r == 0)
			r = codec->receive(channels->codec, bytes + at, size - at, &used, NULL);
		if (r == -EPROTO || r == -EMSGSIZE)
			(void)codec->goodbye(channels->codec, channels_output(channels)); /* the connection ends anyway */
		if (r < 0)
			return r;
		at += used;
	}
	return 0;
}

/* Parks for bytes. Returns their number, 0 at the end, or an error. */
static ssize_t receive(struct channels *channels, void *bytes, size_t size)
{
	for (;;) {
		int r = await_socket(channels, UV_READABLE);
		if (r < 0)
			return r;
		ssize_t count = read(channels->read_fd, bytes, size);
		if (count >= 0)
			return count;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

static void read_all(void *data)
{
	struct channels *channels = data;
	channels->reader = fiber_self(channels->options.fibers);
	uint8_t bytes[READ_STEP];
	int r = channels->options.early_size ? decode(channels, channels->options.early, channels->options.early_size) : 0;
	while (r == 0 && !channels->gone) {
		ssize_t count = receive(channels, bytes, sizeof bytes);
		if (count <= 0)
			break;
		note_activity(channels);
		r = decode(channels, bytes, (size_t)count);
	}
	channels->reader = NULL;
	set_gone(channels);
}

/* --- to the socket --- */

static int write_some(struct channels *channels)
{
	ssize_t count = send(channels->write_fd, channels->output.data, channels->output.size, MSG_NOSIGNAL);
	if (count < 0 && errno == EAGAIN)
		return fiber_await_fd(channels->options.fibers, channels->write_fd, UV_WRITABLE);
	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	note_activity(channels);
	buf_consume(&channels->output, (size_t)count);
	if (channels->output.size < CHANNEL_OUTPUT_MAX)
		fiber_signal_all(&channels->writable);
	return 0;
}

/* Goes on for what is left when the reader has met the end: the peer may have closed only its own direction. */
static void write_all(void *data)
{
	struct channels *channels = data;
	int r = 0;
	while (r == 0) {
		if (channels->output.size) {
			r = write_some(channels);
			continue;
		}
		fiber_signal_all(&channels->flushed);
		if (channels->closing || channels->gone)
			break;
		r = fiber_signal_wait(channels->options.fibers, &channels->filled);
	}
	if (r < 0)
		buf_clear(&channels->output); /* nobody will have it */
	fiber_signal_all(&channels->flushed);
	if (r < 0)
		set_gone(channels);
}

/* --- life --- */

static void channels_free(struct channels *channels)
{
	LIST_FOR_EACH(link, next, &channels->all) /* that nobody accepted */
	{
		struct channel *channel = LIST_ENTRY(link, struct channel, link);
		buf_done(&channel->input);
		free(channel);
	}
	if (channels->codec)
		channels->options.codec->close(channels->codec);
	if (channels->write_fd >= 0)
		(void)close(channels->write_fd);
	(void)close(channels->read_fd);
	buf_done(&channels->output);
	free(channels);
}

int channels_open(int socket, const struct channels_options *options, struct channels **ret_channels, struct err *err)
{
	struct channels *channels = calloc(1, sizeof *channels);
	if (!channels) {
		(void)close(socket);
		return err_memory(err, "connection");
	}
	channels->options = *options;
	channels->read_fd = socket;
	channels->write_fd = fcntl(socket, F_DUPFD_CLOEXEC, 0);
	channels->output.max = OUTPUT_LIMIT;
	channels->fibers.fibers = options->fibers;
	list_init(&channels->all);
	note_activity(channels);
	int r = channels->write_fd < 0 ? -errno : options->codec->open(channels, &channels->codec);
	if (r == 0)
		r = fiber_group_start(&channels->fibers, read_all, channels);
	if (r == 0)
		r = fiber_group_start(&channels->fibers, write_all, channels);
	if (r < 0) {
		channels->closing = true;
		fiber_group_join(&channels->fibers, true);
		channels_free(channels);
		return err_sys(err, r, "streaming.open", "serve a connection");
	}
	*ret_channels = channels;
	return 0;
}

/* Parks for at most @ms, or until the condition's signal; the deadline is the caller's afterwards. */
static void wait_for(struct channels *channels, struct fiber_signal *signal, bool (*done)(struct channels *), uint64_t ms)
{
	struct fibers *fibers = channels->options.fibers;
	uint64_t outer = fiber_set_deadline(fibers, uv_hrtime() + ms * UINT64_C(1000000));
	while (!done(channels) && fiber_signal_wait(fibers, signal) == 0)
		;
	(void)fiber_set_deadline(fibers, outer);
}

static bool is_flushed(struct channels *channels)
{
	return channels->output.size == 0;
}

static bool is_gone(struct channels *channels)
{
	return channels->gone;
}

/* A close with bytes unread would make the kernel drop what is under way to the peer: its end is waited for. */
void channels_close(struct channels *channels)
{
	struct fibers *fibers = channels->options.fibers;
	fiber_shield(fibers);
	channels->closing = true;
	fiber_signal_all(&channels->filled);
	if (channels->reader_blocked)
		fiber_wake(channels->reader, 0);
	bool in_haste = fiber_is_cancelled(fibers);
	wait_for(channels, &channels->flushed, is_flushed, in_haste ? HASTE_MS : FLUSH_MS);
	(void)shutdown(channels->write_fd, SHUT_WR);
	wait_for(channels, &channels->arrived, is_gone, in_haste ? HASTE_MS : LINGER_MS);
	fiber_unshield(fibers);
	fiber_group_join(&channels->fibers, true);
	channels_free(channels);
}

/* --- channels --- */

static struct channel *find_new(struct channels *channels)
{
	for (struct list *link = channels->all.next; link != &channels->all; link = link->next) {
		struct channel *channel = LIST_ENTRY(link, struct channel, link);
		if (!channel->accepted)
			return channel;
	}
	return NULL;
}

int channels_accept(struct channels *channels, struct channel **ret_channel)
{
	struct channel *channel = NULL;
	while (!(channel = find_new(channels))) {
		int r = channels->gone ? -EPIPE : fiber_signal_wait(channels->options.fibers, &channels->arrived);
		if (r < 0)
			return r;
	}
	channel->accepted = true;
	*ret_channel = channel;
	return 0;
}

const char *channel_label(const struct channel *channel, enum channel_label label)
{
	return channel->labels[label];
}

uint32_t channel_number(const struct channel *channel)
{
	return channel->number;
}

int channel_take(struct channel *channel)
{
	struct channels *channels = channel->channels;
	if (channels->gone)
		return -EPIPE;
	return channels->options.codec->take(channels->codec, channel, channels_output(channels));
}

/* Bytes that nobody will read any more are used up, too. */
static void drop_input(struct channel *channel)
{
	struct channels *channels = channel->channels;
	if (is_full(channel))
		channels->full--;
	(void)channels->options.codec->credit(channels->codec, channel, channel->input.size, channels_output(channels));
	if (channels->reader_blocked && !channels->full)
		fiber_wake(channels->reader, 0);
	buf_done(&channel->input);
}

static void channel_free(struct channel *channel)
{
	drop_input(channel);
	list_remove(&channel->link);
	channel->channels->count--;
	free(channel);
}

void channel_refuse(struct channel *channel)
{
	if (!channel)
		return;
	struct channels *channels = channel->channels;
	if (!channels->gone && !channel->reset)
		(void)channels->options.codec->reset(channels->codec, channel, true, channels_output(channels));
	channel_free(channel);
}

void channel_close(struct channel *channel)
{
	if (!channel)
		return;
	(void)channel_finish(channel); /* the connection may be gone */
	channel_free(channel);
}

ssize_t channel_read(struct channel *channel, void *bytes, size_t size)
{
	struct channels *channels = channel->channels;
	while (!channel->input.size) {
		if (channel->peer_ended && !channel->reset)
			return 0;
		int r = channel->reset || channels->gone ? -EPIPE
							 : fiber_signal_wait(channels->options.fibers, &channel->readable);
		if (r < 0)
			return r;
	}
	bool was_full = is_full(channel);
	size_t count = channel->input.size < size ? channel->input.size : size;
	memcpy(bytes, channel->input.data, count);
	buf_consume(&channel->input, count);
	if (!channel->input.size)
		buf_done(&channel->input); /* an idle channel holds no memory */
	if (was_full && !is_full(channel) && --channels->full == 0 && channels->reader_blocked)
		fiber_wake(channels->reader, 0);
	(void)channels->options.codec->credit(channels->codec, channel, count, channels_output(channels));
	return (ssize_t)count;
}

/* What may be sent now: by the peer's leave, and by the room in the output. */
static size_t room_to_send(struct channel *channel)
{
	struct channels *channels = channel->channels;
	if (channels->output.size >= CHANNEL_OUTPUT_MAX)
		return 0;
	size_t room = CHANNEL_OUTPUT_MAX - channels->output.size;
	size_t allowed = channels->options.codec->allowance(channels->codec, channel);
	room = room < allowed ? room : allowed;
	return room < SEND_STEP ? room : SEND_STEP;
}

int channel_write(struct channel *channel, const void *bytes, size_t size)
{
	struct channels *channels = channel->channels;
	const char *at = bytes;
	while (size) {
		if (channels->gone || channel->reset || channel->we_ended)
			return -EPIPE;
		size_t room = room_to_send(channel);
		size_t step = size < room ? size : room;
		int r = step ? channels->options.codec->send(channels->codec, channel, at, step, false,
							     channels_output(channels))
			     : fiber_signal_wait(channels->options.fibers, &channels->writable);
		if (r < 0)
			return r;
		at += step;
		size -= step;
	}
	return 0;
}

int channel_finish(struct channel *channel)
{
	struct channels *channels = channel->channels;
	if (channels->gone || channel->reset)
		return -EPIPE;
	if (channel->we_ended)
		return 0;
	channel->we_ended = true;
	return channels->options.codec->send(channels->codec, channel, NULL, 0, true, channels_output(channels));
}
