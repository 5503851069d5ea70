/* TOML 1.0 (toml.io/en/v1.0.0), read into the same values as JSON, so that one field table (core/codec/json.h) decodes
 * either. Strict: what the specification calls invalid is refused, a key given twice above all.
 *
 * Dates and times are checked and become strings, as they were written. Infinities and NaN, which JSON does not know, are
 * refused. Sans-I/O: bytes in, values out. */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct err;

#define TOML_BYTES_MAX (1 << 20)
#define TOML_DEPTH_MAX 32    /* tables and arrays within each other */
#define TOML_TABLES_MAX 4096 /* in one document */

/* Parses the @length bytes at @text, one whole document. The caller owns *ret_value (an object; json_decref()).
 * @source names the document in messages: "axled.toml: line 3, column 7: expected a value, found ']'".
 * Errors: -EINVAL (@err: "toml.malformed"), -EMSGSIZE (@err: "toml.limit"), -ENOMEM. */
int toml_parse(const char *source, const char *text, size_t length, json_t **ret_value, struct err *err);
