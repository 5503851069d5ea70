/* What the files of the JSON codec share; for nobody else. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_type;

/* jansson's integers end at 2^63-1, but OCI documents hold numbers up to 2^64-1 (an unlimited rlimit). Between the text
 * and the tables such a number travels as a string that begins with a zero byte, which no string member accepts. */
#define JSON_BIG_PREFIX "\0u64:"
#define JSON_BIG_PREFIX_BYTES 5

/* Reads a number that travels so. Returns false where @value is none. */
bool json_big_get(const json_t *value, uint64_t *ret_number);
json_t *json_big_new(uint64_t number);

/* The scalar type behind an optional one; any other type is returned as it is. */
enum json_type json_scalar_of(enum json_type type);
