/* The letters of TOML: blanks, comments, line ends, keys, strings, numbers, dates. Used by toml.c alone. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;

struct toml_reader {
	const char *source;
	const char *start;
	const char *p; /* the next byte */
	const char *end;
	struct err *err;
};

/* Fills the error with the place of the next byte and returns -EINVAL: "SOURCE: line L, column C: expected @expected,
 * found ...". */
int toml_expected(const struct toml_reader *reader, const char *expected);

/* The same with a sentence of the caller's. */
int toml_refuse(const struct toml_reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A limit was passed: -EMSGSIZE. */
int toml_limit(const struct toml_reader *reader, const char *what, size_t max);

/* Does the rest begin with @text? toml_accept() also consumes it. */
bool toml_looking_at(const struct toml_reader *reader, const char *text);
bool toml_accept(struct toml_reader *reader, const char *text);

void toml_skip_blanks(struct toml_reader *reader);

/* Blanks, comments and line ends in any number (between values of an array). Errors: -EINVAL. */
int toml_skip_lines(struct toml_reader *reader);

/* Blanks and a comment, then a line end or the end of the document. Errors: -EINVAL. */
int toml_end_line(struct toml_reader *reader);

/* One part of a key, bare or quoted, into @ret_key (cleared first). Errors: -EINVAL, -EMSGSIZE, -ENOMEM. */
int toml_read_key(struct toml_reader *reader, struct buf *ret_key);

/* A string of any of the four kinds. Errors: -EINVAL, -EMSGSIZE, -ENOMEM. */
int toml_read_string(struct toml_reader *reader, struct buf *ret_text);

/* A boolean, number, date or time. Errors: -EINVAL, -ENOMEM. */
int toml_read_scalar(struct toml_reader *reader, json_t **ret_value);
