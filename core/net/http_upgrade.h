/* HTTP/1.1 as far as it leads to another protocol on the same connection: one request head, and the answer to it (RFC 9112;
 * RFC 9110, 7.8). No I/O: bytes in, a head out. There are no bodies: a request that has one is refused.
 *
 * Strict: what two readers could read differently (line ends other than CR LF, folded lines, blanks before a colon, two
 * lengths) is refused. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

struct err;

#define HTTP_HEAD_MAX 16384	/* bytes of a request's head */
#define HTTP_HEAD_FIELDS_MAX 64 /* its header fields */

struct http_field {
	const char *name; /* of a request: in lower case */
	const char *value;
};

/* A request. All strings lie in the reader. */
struct http_head {
	const char *method;
	const char *path;  /* begins with '/'; as it was sent, nothing decoded */
	const char *query; /* behind the '?'; NULL: none */
	uint8_t minor;	   /* of HTTP/1 */
	struct http_field fields[HTTP_HEAD_FIELDS_MAX];
	size_t fields_count;
};

/* Zero-initialised with bytes.max = HTTP_HEAD_MAX it is at the beginning. */
struct http_head_reader {
	struct buf bytes;
	struct http_head head; /* valid after http_head_read() returned 1 */
};

void http_head_reader_done(struct http_head_reader *reader);

/* Takes bytes up to the end of the head. Returns 1: reader->head is complete, what follows *ret_used belongs to the next
 * protocol; 0: more is needed, all was taken.
 * Errors: -EBADMSG (http.malformed), -EMSGSIZE (http.limit), -EOPNOTSUPP (http.body, http.version), -ENOMEM. */
int http_head_read(struct http_head_reader *reader, const void *bytes, size_t size, size_t *ret_used, struct err *err);

/* The @nth value, from 0, of the fields of this name (in lower case); NULL: there are fewer. */
const char *http_head_value(const struct http_head *head, const char *name, size_t nth);

/* Is @token in one of these fields' comma-separated lists, in whatever case? */
bool http_head_has_token(const struct http_head *head, const char *name, const char *token);

/* Appends the answer 101 that changes to @protocol; @fields are further ones. Errors: -ENOMEM, -EMSGSIZE. */
int http_answer_upgrade(const char *protocol, const struct http_field *fields, size_t count, struct buf *ret_bytes);

/* Appends any other answer, with @text as its body; the connection ends behind it. Errors: -ENOMEM, -EMSGSIZE. */
int http_answer(int status, const struct http_field *fields, size_t count, const char *text, struct buf *ret_bytes);
