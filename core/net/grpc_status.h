/* What gRPC says of the end of a call: its codes, how they travel in trailers, and what they are in our errors.
 * (gRPC over HTTP/2: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
};

/* "NOT_FOUND"; "UNKNOWN" for a number that is no code. */
const char *grpc_status_name(enum grpc_status status);

/* The status of an error: -ENOENT is NOT_FOUND, -EINVAL INVALID_ARGUMENT ... (the table is in grpc_status.c); what has no
 * row is UNKNOWN. And back: a status as -errno, GRPC_OK as 0. */
enum grpc_status grpc_status_of_error(int code);
int grpc_status_to_error(enum grpc_status status);

/* Parses grpc-status: decimal, 0 to 16; what is more is GRPC_UNKNOWN. Errors: -EINVAL (no number). */
int grpc_status_parse(const char *text, size_t length, enum grpc_status *ret_status);

/* grpc-message: percent-encoded except for printable ASCII. Errors: -ENOMEM, -EMSGSIZE. Decoding leaves a broken escape
 * as it stands, as the specification asks, and drops bytes that are not UTF-8. */
int grpc_message_encode(const char *message, struct buf *ret_text);
int grpc_message_decode(const char *text, size_t length, struct buf *ret_message);

/* grpc-timeout: up to eight digits and a unit of H M S m u n. A time beyond 2^53 ns is cut to that. Errors: -EINVAL. */
int grpc_timeout_parse(const char *text, size_t length, uint64_t *ret_ns);

/* The shortest exact or rounded-up form; @ret_text has room for 16 bytes. */
void grpc_timeout_format(uint64_t ns, char ret_text[16]);
