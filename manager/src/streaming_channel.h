/* Several byte streams on one connection, each with labels that say what it is for: what Exec, Attach and PortForward are
 * made of. What is on the wire is a codec's business (streaming_codec.h; SPDY/3.1 now, WebSocket can stand beside it).
 *
 * Memory is bounded in both directions. What the peer sends and nobody has read stays below CHANNEL_WINDOW for each
 * channel, then no more is read from the connection; what the peer does not take stays below CHANNEL_OUTPUT_MAX for the
 * connection, then writers park. All calls are made in fibers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "manager/src/fiber.h"
#include "manager/src/streaming_label.h"

struct channel;
struct channel_codec;
struct channels;
struct err;

#define CHANNEL_WINDOW 65536	       /* bytes of a channel that nobody has read yet */
#define CHANNEL_OUTPUT_MAX (96 * 1024) /* bytes of a connection that the peer has not taken */
#define CHANNEL_LABEL_MAX 64

struct channels_options {
	struct fibers *fibers;
	const struct channel_codec *codec;
	size_t channels_max; /* open at once; a peer that opens more is refused those */
	uint64_t idle_ns;    /* without a byte in either direction for so long the connection ends; 0: never */
	const void *early;   /* bytes that came with the request already */
	size_t early_size;
	/* Called once when the connection is of no use any more, from a fiber; not by channels_close(). */
	void (*on_gone)(void *data);
	void *data;
};

/* Takes the connected socket, also on failure. Errors: -ENOMEM, of fiber_start(). */
int channels_open(int socket, const struct channels_options *options, struct channels **ret_channels, struct err *err);

/* Lets the peer have what was written, for a few seconds at most, then ends the connection. The caller has closed
 * every channel that it accepted. */
void channels_close(struct channels *channels);

/* Parks for the next channel that the peer opens. Returns 0 with the channel, to be taken or refused;
 * or -EPIPE (the connection is gone), -ETIMEDOUT, -ECANCELED. */
int channels_accept(struct channels *channels, struct channel **ret_channel);

/* "" where the peer did not say. */
const char *channel_label(const struct channel *channel, enum channel_label label);
uint32_t channel_number(const struct channel *channel);

/* Tells the peer that its channel is wanted. Errors: -EPIPE, -ENOMEM. */
int channel_take(struct channel *channel);

/* Ends both directions at once, with an error for the peer; frees it. NULL is allowed. */
void channel_refuse(struct channel *channel);

/* Says that we send no more, drops what the peer may still send; frees it. NULL is allowed. */
void channel_close(struct channel *channel);

/* Parks for bytes. Returns 0 where the peer has said that it sends no more; -EPIPE (the channel or the connection is gone),
 * -ETIMEDOUT, -ECANCELED. */
ssize_t channel_read(struct channel *channel, void *bytes, size_t size);

/* Parks until all of it is on its way. Errors: likewise, -ENOMEM. */
int channel_write(struct channel *channel, const void *bytes, size_t size);

/* Says that we send no more. Errors: -EPIPE, -ENOMEM. */
int channel_finish(struct channel *channel);
