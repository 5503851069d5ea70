/* SPDY/3.1 framing: bytes in, frames out, and back. No I/O, no streams, no windows: whoever uses it keeps those.
 *
 * The specification is draft-mbelshe-httpbis-spdy-00 (SPDY/3) with the session window of SPDY/3.1. Headers are compressed by
 * zlib with the dictionary of SPDY/3, one context for each direction of a connection: a reader that has failed once is
 * of no use any more.
 *
 * DATA is handed out in the pieces in which it comes and is never kept; every other frame is small and kept whole. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"

struct buf;
struct err;

#define SPDY_CONTROL_MAX 16384	      /* bytes of a control frame */
#define SPDY_HEADERS_MAX 16384	      /* bytes of a header block, decompressed */
#define SPDY_PAIRS_MAX 64	      /* headers of a frame */
#define SPDY_SETTINGS_MAX 64	      /* entries of a SETTINGS frame */
#define SPDY_STREAM_MAX 0x7fffffff    /* the highest number of a stream */
#define SPDY_WINDOW_INITIAL 65536     /* bytes, of a stream and of the session (2.6.8) */
#define SPDY_SETTING_INITIAL_WINDOW 7 /* its entry in SETTINGS (2.6.4) */

enum spdy_type {
	SPDY_DATA,
	SPDY_SYN_STREAM,
	SPDY_SYN_REPLY,
	SPDY_RST_STREAM,
	SPDY_SETTINGS,
	SPDY_PING = 6,
	SPDY_GOAWAY,
	SPDY_HEADERS,
	SPDY_WINDOW_UPDATE,
	SPDY_TYPE_COUNT,
};

/* Of RST_STREAM (2.6.3). */
enum spdy_status {
	SPDY_PROTOCOL_ERROR = 1,
	SPDY_INVALID_STREAM,
	SPDY_REFUSED_STREAM,
	SPDY_UNSUPPORTED_VERSION,
	SPDY_CANCEL,
	SPDY_INTERNAL_ERROR,
	SPDY_FLOW_CONTROL_ERROR,
};

struct spdy_pair {
	const char *name;  /* lower case */
	const char *value; /* several values stand behind one another, each terminated */
	size_t value_size; /* of all, with the terminators between them */
};

struct spdy_setting {
	uint32_t id;
	uint32_t value;
};

struct spdy_frame {
	enum spdy_type type;
	uint32_t stream;	/* GOAWAY: the last one that was accepted; SETTINGS, PING: 0; WINDOW_UPDATE: 0 is the session */
	uint32_t associated;	/* SYN_STREAM */
	uint8_t priority;	/* SYN_STREAM: 0 is the highest, 7 the lowest */
	bool fin;		/* SYN_STREAM, SYN_REPLY, HEADERS, the last piece of DATA: the sender says no more */
	bool unidirectional;	/* SYN_STREAM */
	uint32_t value;		/* RST_STREAM, GOAWAY: status; PING: id; WINDOW_UPDATE: delta */
	const uint8_t *data;	/* DATA */
	size_t size;
	const struct spdy_pair *pairs; /* SYN_STREAM, SYN_REPLY, HEADERS */
	size_t pairs_count;
	const struct spdy_setting *settings;
	size_t settings_count;
};

struct spdy_reader;

/* Errors: -ENOMEM. */
int spdy_reader_new(struct spdy_reader **ret_reader);
void spdy_reader_free(struct spdy_reader *reader);
SCOPED_DEFINE(struct spdy_reader, spdy_reader_free)

/* Takes bytes up to the end of one frame, or one piece of DATA. Returns 1: *ret_frame holds it, good until the next call
 * (data points into @bytes); 0: more is needed, all of @size was taken. *ret_used is set in both cases. Frames of unknown
 * types are skipped (2.2.1).
 * Errors: -EPROTO (spdy.malformed), -EMSGSIZE (spdy.limit), -ENOMEM. */
int spdy_read(struct spdy_reader *reader, const uint8_t *bytes, size_t size, size_t *ret_used,
	      struct spdy_frame *ret_frame, struct err *err);

/* The value of a header, or NULL (the first of several). */
const char *spdy_header(const struct spdy_frame *frame, const char *name);

struct spdy_writer;

/* Errors: -ENOMEM. */
int spdy_writer_new(struct spdy_writer **ret_writer);
void spdy_writer_free(struct spdy_writer *writer);
SCOPED_DEFINE(struct spdy_writer, spdy_writer_free)

/* Appends one frame. Every frame of a connection goes through one writer, in the order of sending.
 * Errors: -EINVAL (more than the limits above, or no such type), -EMSGSIZE (@ret_bytes is full), -ENOMEM; the bytes are as
 * before, but after a failure of a frame with headers the writer is of no use any more. */
int spdy_write(struct spdy_writer *writer, const struct spdy_frame *frame, struct buf *ret_bytes);
