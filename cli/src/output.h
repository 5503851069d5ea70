/* What a list or an inspection prints: a table for people, or JSON. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct err;

/* --format: "table" or nothing, or "json". Errors: -EINVAL. */
int output_parse(const char *format, bool *ret_json, struct err *err);

/* Prints the messages as one JSON array (docs/formats/cli-json.md). Errors: -ENOMEM. */
int output_json_list(const ProtobufCMessage *const *messages, size_t count, struct err *err);

/* Prints one message as a JSON object. Errors: -ENOMEM. */
int output_json(const ProtobufCMessage *message, struct err *err);
