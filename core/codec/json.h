/* JSON by field tables: one table for each struct, used in both directions.
 *
 * A table says for each member its JSON name, its type and where it lies in the struct. Decoded memory belongs to an arena;
 * strings are terminated and hold no zero byte. null counts as absent. Integers are exact in 64 bits; a number with a
 * fraction or an exponent is no integer. Duplicate keys are refused. Unknown members are skipped, or refused where the
 * table is strict (configuration of our own). The same tables decode TOML (core/codec/toml.h), which is read into json_t.
 *
 *	struct user { uint32_t uid; const uint32_t *umask; const char *const *groups; };
 *	static const struct json_field USER_FIELDS[] = {
 *		JSON_FIELD(struct user, uid, "uid", JSON_U32, JSON_REQUIRED),
 *		JSON_FIELD(struct user, umask, "umask", JSON_U32_OPT, 0),
 *		JSON_FIELD(struct user, groups, "groups", JSON_STRINGS, 0),
 *	};
 *	static const struct json_table USER = JSON_TABLE(struct user, USER_FIELDS); */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct err;
struct json_table;

#define JSON_DEPTH_MAX 64

enum json_type {
	JSON_BOOL_T,	/* bool */
	JSON_I64,	/* int64_t */
	JSON_U64,	/* uint64_t */
	JSON_I32,	/* int32_t */
	JSON_U32,	/* uint32_t */
	JSON_DOUBLE,	/* double */
	JSON_STRING_T,	/* const char *, NULL: absent */
	JSON_BOOL_OPT,	/* const bool *, NULL: absent; likewise below */
	JSON_I64_OPT,	/* const int64_t * */
	JSON_U64_OPT,	/* const uint64_t * */
	JSON_I32_OPT,	/* const int32_t * */
	JSON_U32_OPT,	/* const uint32_t * */
	JSON_STRINGS,	/* const char *const *, NULL-terminated; NULL: absent */
	JSON_PAIRS,	/* struct json_pair *member plus size_t member_count: an object whose values are strings */
	JSON_STRUCT,	/* an embedded struct, by @table */
	JSON_STRUCT_OPT, /* const struct *, NULL: absent, by @table */
	JSON_STRUCTS,	/* const struct *member plus size_t member_count, by @table */
	JSON_STRUCT_MAP, /* the same, from an object: the first member of the struct (const char *) takes the key */
	JSON_U32S,	/* const uint32_t *member plus size_t member_count */
	JSON_RAW,	/* json_t *, borrowed from the document (valid while it is; see json_decode_value) */
};

enum json_flags {
	JSON_REQUIRED = 1, /* decoding fails where it is absent */
	JSON_KEEP = 2,	   /* encoding writes it though it is false, 0, "" or an empty list (absent pointers never) */
};

struct json_pair {
	const char *key;
	const char *value;
};

struct json_field {
	const char *name;
	enum json_type type;
	unsigned flags;
	size_t offset;
	size_t count_offset;		/* of member_count, for the types that have one */
	const struct json_table *table; /* for the struct types */
};

struct json_table {
	const struct json_field *fields;
	size_t count;
	size_t size; /* of the struct */
	bool strict; /* refuse unknown members */
};

#define JSON_FIELD(type_, member, name_, json_type_, flags_)                                                           \
	{                                                                                                              \
		.name = (name_), .type = (json_type_), .flags = (flags_), .offset = offsetof(type_, member)            \
	}
#define JSON_COUNTED(type_, member, name_, json_type_, flags_)                                                         \
	{                                                                                                              \
		.name = (name_), .type = (json_type_), .flags = (flags_), .offset = offsetof(type_, member),           \
		.count_offset = offsetof(type_, member##_count)                                                        \
	}
#define JSON_NESTED(type_, member, name_, json_type_, table_, flags_)                                                  \
	{                                                                                                              \
		.name = (name_), .type = (json_type_), .flags = (flags_), .offset = offsetof(type_, member),           \
		.table = (table_)                                                                                      \
	}
#define JSON_NESTED_COUNTED(type_, member, name_, json_type_, table_, flags_)                                          \
	{                                                                                                              \
		.name = (name_), .type = (json_type_), .flags = (flags_), .offset = offsetof(type_, member),           \
		.count_offset = offsetof(type_, member##_count), .table = (table_)                                     \
	}
#define JSON_TABLE(type_, fields_)                                                                                     \
	{                                                                                                              \
		.fields = (fields_), .count = sizeof(fields_) / sizeof *(fields_), .size = sizeof(type_)               \
	}
#define JSON_TABLE_STRICT(type_, fields_)                                                                              \
	{                                                                                                              \
		.fields = (fields_), .count = sizeof(fields_) / sizeof *(fields_), .size = sizeof(type_),              \
		.strict = true                                                                                         \
	}

/* Parses @length bytes, which must be one JSON value (depth at most JSON_DEPTH_MAX). The caller owns *ret_value
 * (json_decref). @source names the document in messages: "config.json: line 3, column 7: ...".
 * Errors: -EINVAL (@err: "json.malformed"), -ENOMEM. */
int json_parse(const char *source, const char *text, size_t length, json_t **ret_value, struct err *err);

/* Decodes @value into the struct at @ret_struct, which must be zeroed or hold defaults (absent members are left alone).
 * On failure its content is undefined. JSON_RAW members borrow from @value.
 * Errors: -EINVAL (@err: "json.invalid", "config.json: process.args[2]: expected a string, found 7"), -ENOMEM. */
int json_decode_value(const char *source, const json_t *value, const struct json_table *table, struct arena *arena,
		      void *ret_struct, struct err *err);

/* Both at once. Tables with JSON_RAW members are refused (assert): their document would be gone. */
int json_decode(const char *source, const char *text, size_t length, const struct json_table *table,
		struct arena *arena, void *ret_struct, struct err *err);

/* Makes a JSON object of a struct; the caller owns it. NULL when out of memory or when a string is not UTF-8. */
json_t *json_encode_value(const struct json_table *table, const void *value);

/* The same as text, appended to @ret_text: compact, members in the table's order. Errors: -ENOMEM, -EMSGSIZE. */
int json_encode(const struct json_table *table, const void *value, struct buf *ret_text);

/* Appends @text quoted and escaped as a JSON string (invalid UTF-8 bytes become U+FFFD). Errors: -ENOMEM, -EMSGSIZE. */
int json_add_string(struct buf *ret_text, const char *text);
