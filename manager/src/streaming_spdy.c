/* Channels as streams of SPDY/3.1.
 *
 * Windows: the one library that most peers use (moby/spdystream: kubelet, kubectl, crictl) neither sends WINDOW_UPDATE nor
 * heeds it, and would stall at the first 64 KiB if we insisted. So a peer's windows count from when it has spoken of them
 * (WINDOW_UPDATE, or SETTINGS with an initial window): one that has windows must do so before the first is used up, or it
 * could receive no more itself. For all others the connection's own back-pressure bounds both sides. */
#include <errno.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/net/spdy.h"
#include "manager/src/streaming_channel.h"
#include "manager/src/streaming_codec.h"

#define CREDIT_STEP (SPDY_WINDOW_INITIAL / 4) /* bytes used up before the peer is told */
#define WINDOW_MAX INT32_MAX

struct state {
	struct channels *channels;
	struct spdy_reader *reader;
	struct spdy_writer *writer;
	uint32_t last_stream;	 /* the highest that the peer has opened */
	bool has_windows;	 /* the peer keeps them */
	int64_t initial;	 /* window of a new stream, towards the peer */
	struct channel_flow flow; /* of the session */
};

static void spdy_close(void *data)
{
	struct state *state = data;
	spdy_reader_free(state->reader);
	spdy_writer_free(state->writer);
	free(state);
}

static int spdy_open(struct channels *channels, void **ret_state)
{
	struct state *state = calloc(1, sizeof *state);
	if (!state)
		return -ENOMEM;
	state->channels = channels;
	state->initial = SPDY_WINDOW_INITIAL;
	state->flow.allowance = SPDY_WINDOW_INITIAL;
	int r = spdy_reader_new(&state->reader);
	if (r == 0)
		r = spdy_writer_new(&state->writer);
	if (r < 0) {
		spdy_close(state);
		return r;
	}
	*ret_state = state;
	return 0;
}

static int write_value(struct state *state, enum spdy_type type, uint32_t stream, uint32_t value, struct buf *output)
{
	return spdy_write(state->writer, &(struct spdy_frame){.type = type, .stream = stream, .value = value}, output);
}

/* --- what the peer sends --- */

/* The peer's streams have odd and rising numbers (2.3.2). */
static int on_syn_stream(struct state *state, const struct spdy_frame *frame, struct err *err)
{
	if (frame->stream % 2 == 0 || frame->stream <= state->last_stream)
		return err_set(err, -EPROTO, "spdy.stream", "SPDY: stream %u after %u", frame->stream, state->last_stream);
	state->last_stream = frame->stream;
	const struct channel_labels labels = {{
		[CHANNEL_STREAM_TYPE] = spdy_header(frame, "streamtype"),
		[CHANNEL_PORT] = spdy_header(frame, "port"),
		[CHANNEL_REQUEST_ID] = spdy_header(frame, "requestid"),
	}};
	int r = channels_opened(state->channels, frame->stream, &labels, frame->fin);
	if (r == -ENOBUFS)
		return write_value(state, SPDY_RST_STREAM, frame->stream, SPDY_REFUSED_STREAM,
				   channels_output(state->channels));
	if (r < 0)
		return r;
	channel_flow(channels_find(state->channels, frame->stream))->allowance = state->initial;
	return 0;
}

static int credit(struct state *state, struct channel_flow *flow, uint32_t stream, size_t size, struct buf *output)
{
	flow->uncredited += size;
	if (flow->uncredited < CREDIT_STEP)
		return 0;
	uint32_t delta = (uint32_t)flow->uncredited;
	flow->uncredited = 0;
	return write_value(state, SPDY_WINDOW_UPDATE, stream, delta, output);
}

/* Streams that are closed may still bring what was under way: it counts for the session alone. */
static int on_data(struct state *state, const struct spdy_frame *frame, struct err *err)
{
	struct channel *channel = channels_find(state->channels, frame->stream);
	if (!channel && frame->stream > state->last_stream)
		return err_set(err, -EPROTO, "spdy.stream", "SPDY: data of stream %u, which was never opened", frame->stream);
	if (!channel)
		return credit(state, &state->flow, 0, frame->size, channels_output(state->channels));
	return channels_received(state->channels, channel, frame->data, frame->size, frame->fin);
}

static int on_headers(struct state *state, const struct spdy_frame *frame, struct err *err)
{
	(void)err;
	struct channel *channel = channels_find(state->channels, frame->stream);
	return channel && frame->fin ? channels_received(state->channels, channel, NULL, 0, true) : 0;
}

static int on_rst_stream(struct state *state, const struct spdy_frame *frame, struct err *err)
{
	(void)err;
	struct channel *channel = channels_find(state->channels, frame->stream);
	if (channel)
		channels_was_reset(channel);
	return 0;
}

static void add_allowance(struct channel *channel, int64_t delta)
{
	channel_flow(channel)->allowance += delta;
}

static int on_settings(struct state *state, const struct spdy_frame *frame, struct err *err)
{
	for (size_t i = 0; i < frame->settings_count; i++) {
		const struct spdy_setting *setting = &frame->settings[i];
		if (setting->id != SPDY_SETTING_INITIAL_WINDOW)
			continue;
		if (setting->value > WINDOW_MAX)
			return err_set(err, -EPROTO, "spdy.window", "SPDY: a window of %u bytes", setting->value);
		state->has_windows = true;
		channels_each(state->channels, add_allowance, setting->value - state->initial);
		state->initial = setting->value;
		channels_may_write(state->channels);
	}
	return 0;
}

static int on_window_update(struct state *state, const struct spdy_frame *frame, struct err *err)
{
	struct channel *channel = frame->stream ? channels_find(state->channels, frame->stream) : NULL;
	if (frame->stream && !channel)
		return 0;
	struct channel_flow *flow = channel ? channel_flow(channel) : &state->flow;
	state->has_windows = true;
	flow->allowance += frame->value;
	channels_may_write(state->channels);
	return flow->allowance > WINDOW_MAX
		       ? err_set(err, -EPROTO, "spdy.window", "SPDY: a window of %lld bytes", (long long)flow->allowance)
		       : 0;
}

/* Even numbers are answers to pings of ours, of which there are none (2.6.5). */
static int on_ping(struct state *state, const struct spdy_frame *frame, struct err *err)
{
	(void)err;
	return frame->value % 2 ? write_value(state, SPDY_PING, 0, frame->value, channels_output(state->channels)) : 0;
}

static int (*const HANDLERS[SPDY_TYPE_COUNT])(struct state *state, const struct spdy_frame *frame, struct err *err) = {
	[SPDY_DATA] = on_data,		     [SPDY_SYN_STREAM] = on_syn_stream, [SPDY_RST_STREAM] = on_rst_stream,
	[SPDY_SETTINGS] = on_settings,	     [SPDY_PING] = on_ping,		[SPDY_HEADERS] = on_headers,
	[SPDY_WINDOW_UPDATE] = on_window_update,
};

static int spdy_receive(void *data, const uint8_t *bytes, size_t size, size_t *ret_used, struct err *err)
{
	struct state *state = data;
	struct spdy_frame frame = {0};
	int r = spdy_read(state->reader, bytes, size, ret_used, &frame, err);
	return r == 1 && HANDLERS[frame.type] ? HANDLERS[frame.type](state, &frame, err) : r < 0 ? r : 0;
}

/* --- what we send --- */

static size_t spdy_allowance(void *data, const struct channel *channel)
{
	const struct state *state = data;
	if (!state->has_windows)
		return SIZE_MAX;
	int64_t stream = channel_flow((struct channel *)channel)->allowance;
	int64_t least = stream < state->flow.allowance ? stream : state->flow.allowance;
	return least > 0 ? (size_t)least : 0;
}

static int spdy_take(void *data, struct channel *channel, struct buf *output)
{
	struct state *state = data;
	const struct spdy_frame reply = {.type = SPDY_SYN_REPLY, .stream = channel_number(channel)};
	return spdy_write(state->writer, &reply, output);
}

static int spdy_send(void *data, struct channel *channel, const void *bytes, size_t size, bool last, struct buf *output)
{
	struct state *state = data;
	const struct spdy_frame frame = {
		.type = SPDY_DATA,
		.stream = channel_number(channel),
		.fin = last,
		.data = bytes,
		.size = size,
	};
	channel_flow(channel)->allowance -= (int64_t)size;
	state->flow.allowance -= (int64_t)size;
	return spdy_write(state->writer, &frame, output);
}

static int spdy_reset(void *data, struct channel *channel, bool refused, struct buf *output)
{
	return write_value(data, SPDY_RST_STREAM, channel_number(channel), refused ? SPDY_REFUSED_STREAM : SPDY_CANCEL,
			   output);
}

static int spdy_credit(void *data, struct channel *channel, size_t size, struct buf *output)
{
	struct state *state = data;
	int r = credit(state, &state->flow, 0, size, output);
	return r < 0 ? r : credit(state, channel_flow(channel), channel_number(channel), size, output);
}

static int spdy_goodbye(void *data, struct buf *output)
{
	struct state *state = data;
	return write_value(state, SPDY_GOAWAY, state->last_stream, SPDY_PROTOCOL_ERROR, output);
}

const struct channel_codec SPDY_CODEC = {
	.protocol = "SPDY/3.1",
	.open = spdy_open,
	.close = spdy_close,
	.receive = spdy_receive,
	.allowance = spdy_allowance,
	.take = spdy_take,
	.send = spdy_send,
	.reset = spdy_reset,
	.credit = spdy_credit,
	.goodbye = spdy_goodbye,
};
