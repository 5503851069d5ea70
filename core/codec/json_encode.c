#include "core/codec/json.h"

#include <string.h>

#include "core/codec/json_internal.h"

static json_t *mutable(const json_t *value)
{
	return (json_t *)(uintptr_t)value;
}

static json_t *encode_strings(const char *const *strings)
{
	json_t *list = json_array();
	for (size_t i = 0; list && strings[i]; i++)
		if (json_array_append_new(list, json_string(strings[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *encode_pairs(const struct json_pair *pairs, size_t count)
{
	json_t *object = json_object();
	for (size_t i = 0; object && i < count; i++)
		if (json_object_set_new(object, pairs[i].key, json_string(pairs[i].value)) < 0) {
			json_decref(object);
			return NULL;
		}
	return object;
}

static json_t *encode_u32s(const uint32_t *numbers, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < count; i++)
		if (json_array_append_new(list, json_integer(numbers[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *encode_structs(const struct json_table *table, const char *items, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; list && i < count; i++)
		if (json_array_append_new(list, json_encode_value(table, items + i * table->size)) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *encode_struct_map(const struct json_table *table, const char *items, size_t count)
{
	json_t *object = json_object();
	for (size_t i = 0; object && i < count; i++) {
		const char *item = items + i * table->size;
		const char *key = *(const char *const *)item;
		if (json_object_set_new(object, key, json_encode_value(table, item)) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *encode_scalar(enum json_type type, const void *member)
{
	switch (type) {
	case JSON_BOOL_T:
		return json_boolean(*(const bool *)member);
	case JSON_I32:
		return json_integer(*(const int32_t *)member);
	case JSON_U64:
		return json_big_new(*(const uint64_t *)member);
	case JSON_U32:
		return json_integer(*(const uint32_t *)member);
	case JSON_DOUBLE:
		return json_real(*(const double *)member);
	case JSON_STRING_T:
		return json_string(*(const char *const *)member);
	default:
		return json_integer(*(const int64_t *)member);
	}
}

/* Is the member what a reader takes absence for? Pointers that are NULL are absent whatever the flags say. */
static bool is_absent(const struct json_field *field, const char *base)
{
	const void *member = base + field->offset;
	bool keep = field->flags & (JSON_KEEP | JSON_REQUIRED);
	switch (field->type) {
	case JSON_BOOL_T:
		return !keep && !*(const bool *)member;
	case JSON_I32:
	case JSON_U32:
		return !keep && *(const uint32_t *)member == 0;
	case JSON_I64:
	case JSON_U64:
		return !keep && *(const uint64_t *)member == 0;
	case JSON_DOUBLE:
		return !keep && *(const uint64_t *)member == 0;
	case JSON_PAIRS:
	case JSON_STRUCTS:
	case JSON_STRUCT_MAP:
	case JSON_U32S:
		return !keep && *(const size_t *)(base + field->count_offset) == 0;
	case JSON_STRUCT:
		return false;
	default:
		return *(const void *const *)member == NULL;
	}
}

/* Only of members that are pointers: another one need not be aligned as one. */
static const void *pointer_at(const void *member)
{
	return *(const void *const *)member;
}

static json_t *encode_field(const struct json_field *field, const char *base)
{
	const void *member = base + field->offset;
	size_t count = field->count_offset ? *(const size_t *)(base + field->count_offset) : 0;
	switch (field->type) {
	case JSON_BOOL_OPT:
	case JSON_I64_OPT:
	case JSON_U64_OPT:
	case JSON_I32_OPT:
	case JSON_U32_OPT:
		return encode_scalar(json_scalar_of(field->type), pointer_at(member));
	case JSON_STRINGS:
		return encode_strings(pointer_at(member));
	case JSON_PAIRS:
		return encode_pairs(pointer_at(member), count);
	case JSON_U32S:
		return encode_u32s(pointer_at(member), count);
	case JSON_STRUCT:
		return json_encode_value(field->table, member);
	case JSON_STRUCT_OPT:
		return json_encode_value(field->table, pointer_at(member));
	case JSON_STRUCTS:
		return encode_structs(field->table, pointer_at(member), count);
	case JSON_STRUCT_MAP:
		return encode_struct_map(field->table, pointer_at(member), count);
	case JSON_RAW:
		return json_incref(mutable(pointer_at(member)));
	default:
		return encode_scalar(field->type, member);
	}
}

/* An embedded struct of which nothing is set is left out, as an absent object. */
static bool is_empty_struct(const struct json_field *field, const json_t *value)
{
	return field->type == JSON_STRUCT && !(field->flags & (JSON_KEEP | JSON_REQUIRED)) &&
	       json_object_size(value) == 0;
}

json_t *json_encode_value(const struct json_table *table, const void *value)
{
	json_t *object = json_object();
	for (size_t i = 0; object && i < table->count; i++) {
		const struct json_field *field = &table->fields[i];
		if (is_absent(field, value))
			continue;
		json_t *member = encode_field(field, value);
		if (member && is_empty_struct(field, member)) {
			json_decref(member);
			continue;
		}
		if (json_object_set_new(object, field->name, member) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}
