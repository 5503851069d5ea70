/* YAML, read into the same values as JSON, so that one field table (core/codec/json.h) decodes either.
 *
 * One document. Plain scalars mean what the programs of the container world take them for (YAML 1.2's core schema, with
 * 1.1's "0644" as an octal number); infinities and NaN, which JSON does not know, are refused. Keys are scalars, and a key
 * given twice is refused. An alias is the value of its anchor, shared and not copied, so that a small document stays small;
 * merge keys ("<<") and tags other than !!str are refused. Sans-I/O: bytes in, values out (libyaml reads the tokens). */
#pragma once

#include <jansson.h>
#include <stddef.h>

struct err;

#define YAML_BYTES_MAX (1 << 20)
#define YAML_DEPTH_MAX 32
#define YAML_VALUES_MAX 65536
#define YAML_ANCHORS_MAX 64

/* Parses the @length bytes at @text. The caller owns *ret_value (json_decref()); an empty document is null.
 * @source names the document in messages: "gpu.yaml: line 3, column 7: did not find expected key".
 * Errors: -EINVAL (@err: "yaml.malformed"), -EMSGSIZE (@err: "yaml.limit"), -ENOMEM. */
int yaml_parse(const char *source, const char *text, size_t length, json_t **ret_value, struct err *err);
