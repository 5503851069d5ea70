/* Between streaming_channel.c, which moves bytes, and what gives them their form on the wire. A codec does no I/O: it reads
 * frames and reports what they mean, and appends frames to the connection's output. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manager/src/streaming_label.h"

struct buf;
struct channel;
struct channels;
struct err;

struct channel_codec {
	const char *protocol; /* as in the header Upgrade */
	/* Errors: -ENOMEM. */
	int (*open)(struct channels *channels, void **ret_state);
	void (*close)(void *state);
	/* Takes bytes up to the end of one frame or a part of it, and reports it. Errors end the connection. */
	int (*receive)(void *state, const uint8_t *bytes, size_t size, size_t *ret_used, struct err *err);
	/* How many bytes the peer lets us send now. */
	size_t (*allowance)(void *state, const struct channel *channel);
	/* Each appends to the output. Errors: -ENOMEM, -EMSGSIZE. */
	int (*take)(void *state, struct channel *channel, struct buf *output);
	int (*send)(void *state, struct channel *channel, const void *bytes, size_t size, bool last, struct buf *output);
	int (*reset)(void *state, struct channel *channel, bool refused, struct buf *output);
	int (*credit)(void *state, struct channel *channel, size_t size, struct buf *output); /* @size bytes were used up */
	int (*goodbye)(void *state, struct buf *output); /* the peer broke the rules */
};

extern const struct channel_codec SPDY_CODEC;

/* What a codec keeps with each channel. */
struct channel_flow {
	int64_t allowance; /* bytes that we may still send */
	size_t uncredited; /* bytes used up that the peer has not been told of */
};

struct channel_flow *channel_flow(struct channel *channel);
struct channel *channels_find(struct channels *channels, uint32_t number);
void channels_each(struct channels *channels, void (*visit)(struct channel *channel, int64_t value), int64_t value);

/* A channel's labels, from what the peer sent. */
struct channel_labels {
	const char *text[CHANNEL_LABEL_COUNT]; /* NULL: none */
};

/* What the peer did. Errors: -EPROTO, -ENOMEM, -ENOBUFS (there are too many: it is to be refused). */
int channels_opened(struct channels *channels, uint32_t number, const struct channel_labels *labels, bool finished);
int channels_received(struct channels *channels, struct channel *channel, const void *bytes, size_t size, bool last);
void channels_was_reset(struct channel *channel);
void channels_may_write(struct channels *channels);

/* Appends what is no channel's: a small frame. Errors: -EMSGSIZE (the peer asks for answers and does not take them). */
struct buf *channels_output(struct channels *channels);
