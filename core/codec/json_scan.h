/* JSON as a sequence of tokens with their places, for documents whose errors must name a line, or which are too large to
 * be held as a tree (a vehicle's whole signal catalogue). Bytes in, tokens out; no tree, no I/O (RFC 8259).
 *
 *	struct json_scan scan;
 *	json_scan_init(&scan, "vss.json", text, length);
 *	while ((r = json_scan_next(&scan, &token, &err)) == 0 && token.type != JSON_TOKEN_END) ...
 *	json_scan_done(&scan);
 *
 * The scanner checks the whole grammar, the depth (JSON_SCAN_DEPTH_MAX) and that strings are UTF-8 without zero bytes.
 * It does not look for duplicate keys: its caller knows what a key means. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

struct err;

#define JSON_SCAN_DEPTH_MAX 64
#define JSON_SCAN_STRING_MAX (1U << 20)

enum json_token_type {
	JSON_TOKEN_END, /* of the document: nothing but blanks follows */
	JSON_TOKEN_OBJECT,
	JSON_TOKEN_OBJECT_END,
	JSON_TOKEN_ARRAY,
	JSON_TOKEN_ARRAY_END,
	JSON_TOKEN_KEY,
	JSON_TOKEN_STRING,
	JSON_TOKEN_NUMBER,
	JSON_TOKEN_TRUE,
	JSON_TOKEN_FALSE,
	JSON_TOKEN_NULL,
};

struct json_token {
	enum json_token_type type;
	size_t offset;	  /* of its first byte in the document */
	size_t end;	  /* of the byte behind it */
	const char *text; /* key, string: decoded; number: as written; terminated, valid until the next token */
	size_t length;
};

struct json_scan {
	const char *source; /* names the document in messages */
	const char *bytes;
	size_t length;
	size_t at;
	unsigned depth;
	uint64_t objects; /* bit n: what is open at depth n is an object */
	int state;
	struct buf text;
	size_t line_offset; /* a place whose line is known: finding lines stays linear over a document */
	unsigned line;
};

/* Borrows @source and @bytes. */
void json_scan_init(struct json_scan *scan, const char *source, const char *bytes, size_t length);
void json_scan_done(struct json_scan *scan);

/* Errors: -EINVAL ("json.malformed"; @err: "vss.json: line 3, column 7: expected ..."), -ENOMEM. */
int json_scan_next(struct json_scan *scan, struct json_token *ret_token, struct err *err);

/* Behind a key: passes over its value. *ret_begin and *ret_end: where the value lies in the document. */
int json_scan_skip(struct json_scan *scan, size_t *ret_begin, size_t *ret_end, struct err *err);

/* The line (from 1) and column (in bytes, from 1) of a place. */
unsigned json_scan_line(struct json_scan *scan, size_t offset);
unsigned json_scan_column(const struct json_scan *scan, size_t offset);

/* A name for "found ..." in messages: "a string", "an object" ... */
const char *json_token_name(enum json_token_type type);
