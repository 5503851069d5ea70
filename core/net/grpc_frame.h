/* Messages in a gRPC stream: a flag, a length of four bytes, the bytes. No I/O: bytes in, messages out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

struct err;

#define GRPC_FRAME_HEADER 5

/* Zero-initialised with body.max is a reader at the beginning of a stream. */
struct grpc_frame_reader {
	struct buf body; /* the message so far; complete after grpc_frame_read() returned 1 */
	uint8_t header[GRPC_FRAME_HEADER];
	uint8_t header_size;
	size_t expected; /* length of the body, once the header is complete */
};

void grpc_frame_reader_done(struct grpc_frame_reader *reader);

/* Takes bytes up to the end of one message. Returns 1: reader->body holds it, until grpc_frame_next(); 0: more is needed,
 * all of @size was taken. *ret_used is set in both cases. Memory grows with the bytes that came, not with the length that
 * was announced.
 * Errors: -EMSGSIZE (a length above body.max), -EOPNOTSUPP (a compressed message), -EBADMSG (an unknown flag), -ENOMEM. */
int grpc_frame_read(struct grpc_frame_reader *reader, const uint8_t *bytes, size_t size, size_t *ret_used,
		    struct err *err);

/* Forgets the message, and its memory where it was large. */
void grpc_frame_next(struct grpc_frame_reader *reader);

/* Is the reader inside a message? At the end of a stream that is an error of the peer. */
bool grpc_frame_pending(const struct grpc_frame_reader *reader);

/* The header of a message of @size bytes. */
void grpc_frame_header(size_t size, uint8_t ret_header[GRPC_FRAME_HEADER]);
