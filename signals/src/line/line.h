/* The signal line protocol (docs/formats/signal-line-protocol.md) as bytes in, structs out: framing, parsing and
 * writing of lines for both ends. No I/O, no allocation but the reader's buffer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

struct err;

#define LINE_PROTOCOL_VERSION 1
#define LINE_BYTES_MAX 65536	 /* a line with its end */
#define LINE_QUEUE_MAX (1 << 20) /* what may wait for one client */
#define LINE_NAME_MAX 64	 /* of a client, in hello */
#define LINE_BATCH 100		 /* updates that a publisher should send together at most */
#define LINE_NO_TIME INT64_MIN

/* ---- framing ---- */

/* Bytes of a stream, taken apart at their line ends. Initialise with LINE_READER_INIT, release with
 * line_reader_done(). */
struct line_reader {
	struct buf bytes;
	size_t next;	/* where the next line begins in bytes */
	size_t scanned; /* up to where no line end was found */
	bool skipping;	/* within a line that is too long */
	char first;	/* of the line that line_reader_next() has last refused: was it data? */
};
#define LINE_READER_INIT {.bytes = {.max = 2 * LINE_BYTES_MAX}}

void line_reader_done(struct line_reader *reader);

/* Where to put the next bytes from the stream: *ret_room of them at *ret_tail, at least one. Invalidates the lines
 * given out before. Errors: -ENOMEM. */
int line_reader_tail(struct line_reader *reader, char **ret_tail, size_t *ret_room);

/* @size bytes have been put there. */
void line_reader_claim(struct line_reader *reader, size_t size);

/* The next whole line without its end, terminated by a zero, to be changed by the caller as it likes; it lives until
 * the next line_reader_tail(). Returns 1, or 0: more bytes are needed. Errors: -EMSGSIZE (a line was too long and is
 * skipped), -EBADMSG (a line with a zero byte was skipped); in both cases go on. */
int line_reader_next(struct line_reader *reader, char **ret_line, size_t *ret_length);

/* ---- messages ---- */

enum line_verb {
	LINE_DATA, /* a line that begins with a digit */

	/* to the service */
	LINE_HELLO,
	LINE_PING,
	LINE_GET,
	LINE_VALUES,
	LINE_LIST,
	LINE_META,
	LINE_STATE,
	LINE_SET,
	LINE_GROUP,
	LINE_SUB,
	LINE_UNSUB,
	LINE_OPEN,
	LINE_CLAIM,
	LINE_RELEASE,
	LINE_FORCE,
	LINE_UNFORCE,
	LINE_WHO,
	LINE_GRANTS,
	LINE_VIEWS,
	LINE_STATS,
	LINE_DONE,   /* "ok ID" of a provider */
	LINE_FAILED, /* "error ID TEXT" of a provider */

	/* to the client */
	LINE_OK,
	LINE_ERROR,
	LINE_ITEM,
	LINE_NAME,
	LINE_GONE,
	LINE_LOST,
	LINE_REFUSED,
	LINE_REQUEST,
	LINE_OUTCOME,
	LINE_LATE,
	LINE_UNKNOWN_EVENT, /* to be ignored */

	LINE_VERB_COUNT,
};

/* One line. Texts point into it. */
struct line_message {
	enum line_verb verb;
	uint64_t numbers[3]; /* in the order of the line: handles, ids, counts, milliseconds */
	int64_t time_ns;     /* LINE_DATA: LINE_NO_TIME where there is none */
	const char *word;    /* a path, pattern or code */
	const char *text;    /* the rest of the line; NULL: absent */
	size_t text_length;
};

/* Parses a line that a client sent to the service, or the service to a client. @line (terminated, @length without the
 * terminator) is changed: zeros take the place of blanks. Errors: -EINVAL (@err: "line.syntax"). */
int line_parse_request(char *line, size_t length, struct line_message *ret_message, struct err *err);
int line_parse_event(char *line, size_t length, struct line_message *ret_message, struct err *err);

/* Appends a data line; @text NULL means unavailable; @time_ns LINE_NO_TIME leaves it out. The caller has seen to it
 * that @text holds no line break. Errors: -EMSGSIZE (the buffer's maximum), -ENOMEM; nothing was appended then. */
int line_add_data(struct buf *out, uint32_t handle, int64_t time_ns, const char *text, size_t length);

/* Is @text fit to stand in a line: no line break, no zero byte? */
bool line_text_fits(const char *text, size_t length);

/* ---- errors ---- */

/* The code that names the negative errno @r ("internal" where none does), and back (-EIO where the code is not
 * known). */
const char *line_code_of(int r);
int line_errno_of(const char *code);
