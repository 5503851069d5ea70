#include "core/codec/json.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/codec/json_internal.h"

#define PATH_MAX_BYTES 160

/* Where the decoder is: a chain of frames on the stack, printed only when something is wrong. */
struct place {
	const struct place *parent;
	const char *name; /* NULL: an element of an array */
	size_t index;
};

struct decoder {
	const char *source;
	struct arena *arena;
	struct err *err;
};

static void place_print(const struct place *place, char *text, size_t size)
{
	if (!place) {
		text[0] = '\0';
		return;
	}
	place_print(place->parent, text, size);
	size_t used = strlen(text);
	if (place->name)
		(void)snprintf(text + used, size - used, "%s%s", used ? "." : "", place->name);
	else
		(void)snprintf(text + used, size - used, "[%zu]", place->index);
}

/* A short form of what was found, for messages. */
static void describe(const json_t *value, char ret_text[static 64])
{
	if (json_is_string(value))
		(void)snprintf(ret_text, 64, "\"%.40s\"%s", json_string_value(value),
			       json_string_length(value) > 40 ? "..." : "");
	else if (json_is_integer(value))
		(void)snprintf(ret_text, 64, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		(void)snprintf(ret_text, 64, "%g", json_real_value(value));
	else if (json_is_boolean(value))
		(void)snprintf(ret_text, 64, "%s", json_is_true(value) ? "true" : "false");
	else
		(void)snprintf(ret_text, 64, "%s", json_is_object(value) ? "an object" : json_is_array(value) ? "a list" : "null");
}

static int refuse(const struct decoder *decoder, const struct place *place, const char *expected, const json_t *found)
{
	char path[PATH_MAX_BYTES];
	char shown[64];
	place_print(place, path, sizeof path);
	describe(found, shown);
	return err_set(decoder->err, -EINVAL, "json.invalid", "%s: %s: expected %s, found %s", decoder->source,
		       *path ? path : "(document)", expected, shown);
}

static int out_of_memory(const struct decoder *decoder)
{
	return err_set(decoder->err, -ENOMEM, "json.memory", "%s: larger than the %zu bytes allowed, or no memory left",
		       decoder->source, decoder->arena->max);
}

/* The scalar types in one row each; an optional one is a pointer to the same. */
static const struct scalar {
	size_t size;
	const char *expected;
	int64_t min;
	uint64_t max;
} SCALARS[] = {
	[JSON_BOOL_T] = {sizeof(bool), "true or false", 0, 0},
	[JSON_I64] = {sizeof(int64_t), "a whole number of 64 bits", INT64_MIN, INT64_MAX},
	[JSON_U64] = {sizeof(uint64_t), "a whole number from 0 to 2^64-1", 0, UINT64_MAX},
	[JSON_I32] = {sizeof(int32_t), "a whole number of 32 bits", INT32_MIN, INT32_MAX},
	[JSON_U32] = {sizeof(uint32_t), "a whole number from 0 to 4294967295", 0, UINT32_MAX},
	[JSON_DOUBLE] = {sizeof(double), "a number", 0, 0},
	[JSON_STRING_T] = {sizeof(char *), "a string", 0, 0},
};

/* The scalar behind an optional type, or the type itself. */
enum json_type json_scalar_of(enum json_type type)
{
	switch (type) {
	case JSON_BOOL_OPT:
		return JSON_BOOL_T;
	case JSON_I64_OPT:
		return JSON_I64;
	case JSON_U64_OPT:
		return JSON_U64;
	case JSON_I32_OPT:
		return JSON_I32;
	case JSON_U32_OPT:
		return JSON_U32;
	default:
		return type;
	}
}

static int decode_integer(const struct decoder *decoder, const struct place *place, const json_t *value,
			  enum json_type type, void *member)
{
	const struct scalar *scalar = &SCALARS[type];
	if (type == JSON_U64 && json_big_get(value, member))
		return 0;
	if (!json_is_integer(value))
		return refuse(decoder, place, scalar->expected, value);
	json_int_t number = json_integer_value(value);
	if (number < scalar->min || (number > 0 && (uint64_t)number > scalar->max))
		return refuse(decoder, place, scalar->expected, value);
	if (scalar->size == sizeof(int64_t))
		memcpy(member, &number, sizeof(int64_t));
	else
		*(uint32_t *)member = (uint32_t)number;
	return 0;
}

static int decode_string(const struct decoder *decoder, const struct place *place, const json_t *value,
			 const char **ret_text)
{
	if (!json_is_string(value))
		return refuse(decoder, place, "a string", value);
	const char *text = json_string_value(value);
	size_t length = json_string_length(value);
	if (strlen(text) != length)
		return refuse(decoder, place, "a string without zero bytes", value);
	*ret_text = arena_strndup(decoder->arena, text, length);
	return *ret_text ? 0 : out_of_memory(decoder);
}

static int decode_scalar(const struct decoder *decoder, const struct place *place, const json_t *value,
			 enum json_type type, void *member)
{
	switch (type) {
	case JSON_STRING_T:
		return decode_string(decoder, place, value, member);
	case JSON_BOOL_T:
		if (!json_is_boolean(value))
			return refuse(decoder, place, SCALARS[type].expected, value);
		*(bool *)member = json_is_true(value);
		return 0;
	case JSON_DOUBLE:
		if (!json_is_number(value))
			return refuse(decoder, place, SCALARS[type].expected, value);
		*(double *)member = json_number_value(value);
		return 0;
	default:
		return decode_integer(decoder, place, value, type, member);
	}
}

static int decode_optional(const struct decoder *decoder, const struct place *place, const json_t *value,
			   enum json_type type, void *member)
{
	enum json_type scalar = json_scalar_of(type);
	void *memory = arena_alloc(decoder->arena, SCALARS[scalar].size);
	if (!memory)
		return out_of_memory(decoder);
	*(void **)member = memory;
	return decode_scalar(decoder, place, value, scalar, memory);
}

static int decode_strings(const struct decoder *decoder, const struct place *place, const json_t *value,
			  const char *const **ret_strings)
{
	if (!json_is_array(value))
		return refuse(decoder, place, "a list of strings", value);
	size_t count = json_array_size(value);
	const char **strings = arena_array(decoder->arena, count + 1, sizeof *strings);
	if (!strings)
		return out_of_memory(decoder);
	for (size_t i = 0; i < count; i++) {
		struct place element = {.parent = place, .index = i};
		int r = decode_string(decoder, &element, json_array_get(value, i), &strings[i]);
		if (r < 0)
			return r;
	}
	*ret_strings = strings;
	return 0;
}

static int decode_u32s(const struct decoder *decoder, const struct place *place, const json_t *value,
		       const uint32_t **ret_numbers, size_t *ret_count)
{
	if (!json_is_array(value))
		return refuse(decoder, place, "a list of whole numbers", value);
	size_t count = json_array_size(value);
	uint32_t *numbers = arena_array(decoder->arena, count, sizeof *numbers);
	if (!numbers)
		return out_of_memory(decoder);
	for (size_t i = 0; i < count; i++) {
		struct place element = {.parent = place, .index = i};
		int r = decode_integer(decoder, &element, json_array_get(value, i), JSON_U32, &numbers[i]);
		if (r < 0)
			return r;
	}
	*ret_numbers = numbers;
	*ret_count = count;
	return 0;
}

/* json_object_foreach wants a mutable object; nothing is changed. */
static json_t *mutable(const json_t *value)
{
	return (json_t *)(uintptr_t)value;
}

static int decode_pairs(const struct decoder *decoder, const struct place *place, const json_t *value,
			struct json_pair **ret_pairs, size_t *ret_count)
{
	if (!json_is_object(value))
		return refuse(decoder, place, "an object of strings", value);
	struct json_pair *pairs = arena_array(decoder->arena, json_object_size(value), sizeof *pairs);
	if (!pairs)
		return out_of_memory(decoder);
	size_t count = 0;
	const char *key = NULL;
	json_t *item = NULL;
	json_object_foreach(mutable(value), key, item)
	{
		struct place element = {.parent = place, .name = key};
		pairs[count].key = arena_strdup(decoder->arena, key);
		if (!pairs[count].key)
			return out_of_memory(decoder);
		int r = decode_string(decoder, &element, item, &pairs[count++].value);
		if (r < 0)
			return r;
	}
	*ret_pairs = pairs;
	*ret_count = count;
	return 0;
}

static int decode_struct(const struct decoder *decoder, const struct place *place, const json_t *value,
			 const struct json_table *table, void *ret_struct);

static int decode_struct_opt(const struct decoder *decoder, const struct place *place, const json_t *value,
			     const struct json_table *table, void **ret_struct)
{
	*ret_struct = arena_alloc(decoder->arena, table->size);
	if (!*ret_struct)
		return out_of_memory(decoder);
	return decode_struct(decoder, place, value, table, *ret_struct);
}

static int decode_structs(const struct decoder *decoder, const struct place *place, const json_t *value,
			  const struct json_table *table, char **ret_items, size_t *ret_count)
{
	if (!json_is_array(value))
		return refuse(decoder, place, "a list", value);
	size_t count = json_array_size(value);
	char *items = arena_array(decoder->arena, count, table->size);
	if (!items)
		return out_of_memory(decoder);
	for (size_t i = 0; i < count; i++) {
		struct place element = {.parent = place, .index = i};
		int r = decode_struct(decoder, &element, json_array_get(value, i), table, items + i * table->size);
		if (r < 0)
			return r;
	}
	*ret_items = items;
	*ret_count = count;
	return 0;
}

static int decode_struct_map(const struct decoder *decoder, const struct place *place, const json_t *value,
			     const struct json_table *table, char **ret_items, size_t *ret_count)
{
	if (!json_is_object(value))
		return refuse(decoder, place, "an object", value);
	char *items = arena_array(decoder->arena, json_object_size(value), table->size);
	if (!items)
		return out_of_memory(decoder);
	size_t count = 0;
	const char *key = NULL;
	json_t *item = NULL;
	json_object_foreach(mutable(value), key, item)
	{
		struct place element = {.parent = place, .name = key};
		char *here = items + count++ * table->size;
		int r = decode_struct(decoder, &element, item, table, here);
		if (r < 0)
			return r;
		*(const char **)here = arena_strdup(decoder->arena, key);
		if (!*(const char **)here)
			return out_of_memory(decoder);
	}
	*ret_items = items;
	*ret_count = count;
	return 0;
}

static int decode_field(const struct decoder *decoder, const struct place *place, const json_t *value,
			const struct json_field *field, char *base)
{
	void *member = base + field->offset;
	size_t *count = (size_t *)(base + field->count_offset);
	switch (field->type) {
	case JSON_BOOL_OPT:
	case JSON_I64_OPT:
	case JSON_U64_OPT:
	case JSON_I32_OPT:
	case JSON_U32_OPT:
		return decode_optional(decoder, place, value, field->type, member);
	case JSON_STRINGS:
		return decode_strings(decoder, place, value, member);
	case JSON_PAIRS:
		return decode_pairs(decoder, place, value, member, count);
	case JSON_U32S:
		return decode_u32s(decoder, place, value, member, count);
	case JSON_STRUCT:
		return decode_struct(decoder, place, value, field->table, member);
	case JSON_STRUCT_OPT:
		return decode_struct_opt(decoder, place, value, field->table, member);
	case JSON_STRUCTS:
		return decode_structs(decoder, place, value, field->table, member, count);
	case JSON_STRUCT_MAP:
		return decode_struct_map(decoder, place, value, field->table, member, count);
	case JSON_RAW:
		*(json_t **)member = mutable(value);
		return 0;
	default:
		return decode_scalar(decoder, place, value, field->type, member);
	}
}

static int refuse_unknown(const struct decoder *decoder, const struct place *place, const json_t *value,
			  const struct json_table *table)
{
	const char *key = NULL;
	json_t *item = NULL;
	json_object_foreach(mutable(value), key, item)
	{
		bool known = false;
		for (size_t i = 0; i < table->count && !known; i++)
			known = strcmp(table->fields[i].name, key) == 0;
		if (known)
			continue;
		char path[PATH_MAX_BYTES];
		place_print(&(struct place){.parent = place, .name = key}, path, sizeof path);
		return err_set(decoder->err, -EINVAL, "json.unknown", "%s: %s: unknown key", decoder->source, path);
	}
	return 0;
}

static int decode_struct(const struct decoder *decoder, const struct place *place, const json_t *value,
			 const struct json_table *table, void *ret_struct)
{
	if (!json_is_object(value))
		return refuse(decoder, place, "an object", value);
	for (size_t i = 0; i < table->count; i++) {
		const struct json_field *field = &table->fields[i];
		const json_t *item = json_object_get(value, field->name);
		struct place here = {.parent = place, .name = field->name};
		bool absent = !item || json_is_null(item);
		if (absent && field->flags & JSON_REQUIRED)
			return refuse(decoder, &here, "a value (it is required)", NULL);
		int r = absent ? 0 : decode_field(decoder, &here, item, field, ret_struct);
		if (r < 0)
			return r;
	}
	return table->strict ? refuse_unknown(decoder, place, value, table) : 0;
}

int json_decode_value(const char *source, const json_t *value, const struct json_table *table, struct arena *arena,
		      void *ret_struct, struct err *err)
{
	struct decoder decoder = {.source = source, .arena = arena, .err = err};
	return decode_struct(&decoder, NULL, value, table, ret_struct);
}

static bool has_raw(const struct json_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->fields[i].type == JSON_RAW)
			return true;
	return false;
}

int json_decode(const char *source, const char *text, size_t length, const struct json_table *table,
		struct arena *arena, void *ret_struct, struct err *err)
{
	assert(!has_raw(table));
	json_t *value = NULL;
	int r = json_parse(source, text, length, &value, err);
	if (r < 0)
		return r;
	r = json_decode_value(source, value, table, arena, ret_struct, err);
	json_decref(value);
	return r;
}
