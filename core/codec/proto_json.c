#include "core/codec/proto_json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/base64.h"
#include "core/codec/proto.h"

/* Where in a message the encoder is, and how it writes. */
struct place {
	int depth;
	bool whole;
};

static json_t *encode_message(const ProtobufCMessage *message, struct place place);

/* --- message to JSON --- */

static struct place deeper(struct place place)
{
	place.depth++;
	return place;
}

static json_t *encode_enum(const ProtobufCEnumDescriptor *type, int value)
{
	const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(type, value);
	return found ? json_string(found->name) : json_integer(value);
}

static json_t *encode_bytes(const ProtobufCBinaryData *bytes)
{
	scoped_free char *text = base64_encode(bytes->data, bytes->len);
	return text ? json_string(text) : NULL;
}

/* The value at @member, which has the field's own type (an element of a repeated field, too). */
static json_t *encode_value(const ProtobufCFieldDescriptor *field, const void *member, struct place place)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return json_integer(*(const int32_t *)member);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return json_integer(*(const int64_t *)member);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_integer(*(const uint32_t *)member);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64: /* above 2^63 it becomes negative, and comes back as it was */
		return json_integer((json_int_t) * (const uint64_t *)member);
	case PROTOBUF_C_TYPE_FLOAT:
		return json_real((double)*(const float *)member);
	case PROTOBUF_C_TYPE_DOUBLE:
		return json_real(*(const double *)member);
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)member);
	case PROTOBUF_C_TYPE_ENUM:
		return encode_enum(field->descriptor, *(const int *)member);
	case PROTOBUF_C_TYPE_STRING:
		return json_string(*(const char *const *)member ? *(const char *const *)member : "");
	case PROTOBUF_C_TYPE_BYTES:
		return encode_bytes(member);
	case PROTOBUF_C_TYPE_MESSAGE:
		return encode_message(*(const ProtobufCMessage *const *)member, deeper(place));
	}
	return NULL;
}

static size_t size_of_value(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

/* Is the (not repeated) member absent or what proto3 takes for absent? */
static bool is_default(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	static const char ZERO[16] = {0};
	const char *member = (const char *)message + field->offset;
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)((const char *)message + field->quantifier_offset) != field->id;
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return !*(const char *const *)member || !**(const char *const *)member;
	if (field->type == PROTOBUF_C_TYPE_BYTES)
		return ((const ProtobufCBinaryData *)member)->len == 0;
	return memcmp(member, ZERO, size_of_value(field->type)) == 0;
}

static json_t *encode_repeated(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, struct place place)
{
	size_t count = *(const size_t *)((const char *)message + field->quantifier_offset);
	const char *elements = *(const char *const *)((const char *)message + field->offset);
	json_t *array = json_array();
	for (size_t i = 0; array && i < count; i++)
		if (json_array_append_new(array, encode_value(field, elements + i * size_of_value(field->type), place)) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static bool has_elements(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	return *(const size_t *)((const char *)message + field->quantifier_offset) > 0;
}

/* A map, as its encoding spells it: entries of a string key and a string value. */
static bool is_pair(const ProtobufCFieldDescriptor *field)
{
	const ProtobufCMessageDescriptor *type = field->descriptor;
	return field->type == PROTOBUF_C_TYPE_MESSAGE && type->n_fields == 2 &&
	       strcmp(type->fields[0].name, "key") == 0 && type->fields[0].type == PROTOBUF_C_TYPE_STRING &&
	       strcmp(type->fields[1].name, "value") == 0 && type->fields[1].type == PROTOBUF_C_TYPE_STRING;
}

static const char *string_member(const ProtobufCMessage *message, unsigned index)
{
	return *(const char *const *)((const char *)message + message->descriptor->fields[index].offset);
}

static json_t *encode_pairs(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	size_t count = *(const size_t *)((const char *)message + field->quantifier_offset);
	const ProtobufCMessage *const *pairs =
		*(const ProtobufCMessage *const *const *)((const char *)message + field->offset);
	json_t *object = json_object();
	for (size_t i = 0; object && i < count; i++)
		if (json_object_set_new(object, string_member(pairs[i], 0), json_string(string_member(pairs[i], 1))) < 0) {
			json_decref(object);
			return NULL;
		}
	return object;
}

static bool can_be_absent(const ProtobufCFieldDescriptor *field)
{
	return field->type == PROTOBUF_C_TYPE_MESSAGE || field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
}

static int encode_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, struct place place,
			json_t *object)
{
	json_t *value = NULL;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		if (!place.whole && !has_elements(message, field))
			return 0;
		value = place.whole && is_pair(field) ? encode_pairs(message, field) :
							encode_repeated(message, field, place);
	} else {
		if (is_default(message, field) && (!place.whole || can_be_absent(field)))
			return 0;
		value = encode_value(field, (const char *)message + field->offset, place);
	}
	return json_object_set_new(object, field->name, value); /* fails for a NULL value */
}

static json_t *encode_message(const ProtobufCMessage *message, struct place place)
{
	json_t *object = place.depth < PROTO_DEPTH_MAX ? json_object() : NULL;
	for (unsigned i = 0; object && i < message->descriptor->n_fields; i++)
		if (encode_field(message, &message->descriptor->fields[i], place, object) < 0) {
			json_decref(object);
			return NULL;
		}
	return object;
}

json_t *proto_json_encode(const ProtobufCMessage *message)
{
	return encode_message(message, (struct place){0});
}

json_t *proto_json_encode_whole(const ProtobufCMessage *message)
{
	return encode_message(message, (struct place){.whole = true});
}

/* --- JSON to message --- */

struct decoder {
	const char *source;
	struct arena *arena;
	struct err *err;
};

static int decode_message(const struct decoder *decoder, const ProtobufCMessageDescriptor *type, const json_t *value,
			  ProtobufCMessage **ret_message);

static int mismatch(const struct decoder *decoder, const ProtobufCFieldDescriptor *field, const char *expected)
{
	return err_set(decoder->err, -EINVAL, "json.invalid", "%s: %s: expected %s", decoder->source, field->name,
		       expected);
}

static int decode_integer(const struct decoder *decoder, const ProtobufCFieldDescriptor *field, const json_t *value,
			  void *member)
{
	if (!json_is_integer(value))
		return mismatch(decoder, field, "an integer");
	json_int_t integer = json_integer_value(value);
	if (size_of_value(field->type) == 8) {
		memcpy(member, &integer, 8);
		return 0;
	}
	if (integer < INT32_MIN || integer > UINT32_MAX)
		return mismatch(decoder, field, "an integer of 32 bits");
	uint32_t narrow = (uint32_t)integer;
	memcpy(member, &narrow, 4);
	return 0;
}

static int decode_enum(const struct decoder *decoder, const ProtobufCFieldDescriptor *field, const json_t *value,
		       void *member)
{
	if (!json_is_string(value))
		return decode_integer(decoder, field, value, member);
	const ProtobufCEnumValue *found =
		protobuf_c_enum_descriptor_get_value_by_name(field->descriptor, json_string_value(value));
	if (!found)
		return mismatch(decoder, field, "the name of a value");
	*(int *)member = found->value;
	return 0;
}

static int decode_string(const struct decoder *decoder, const ProtobufCFieldDescriptor *field, const json_t *value,
			 void *member)
{
	if (!json_is_string(value))
		return mismatch(decoder, field, "a string");
	char *text = arena_strdup(decoder->arena, json_string_value(value));
	*(char **)member = text;
	return text ? 0 : -ENOMEM;
}

static int decode_bytes(const struct decoder *decoder, const ProtobufCFieldDescriptor *field, const json_t *value,
			ProtobufCBinaryData *member)
{
	if (!json_is_string(value))
		return mismatch(decoder, field, "base64 text");
	size_t length = json_string_length(value);
	member->data = arena_alloc(decoder->arena, length / 4 * 3 + 3);
	if (!member->data)
		return -ENOMEM;
	if (base64_decode(json_string_value(value), length, member->data, &member->len) < 0)
		return mismatch(decoder, field, "base64 text");
	return 0;
}

static int decode_value(const struct decoder *decoder, const ProtobufCFieldDescriptor *field, const json_t *value,
			void *member)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_FLOAT:
		*(float *)member = (float)json_number_value(value);
		return json_is_number(value) ? 0 : mismatch(decoder, field, "a number");
	case PROTOBUF_C_TYPE_DOUBLE:
		*(double *)member = json_number_value(value);
		return json_is_number(value) ? 0 : mismatch(decoder, field, "a number");
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)member = json_is_true(value);
		return json_is_boolean(value) ? 0 : mismatch(decoder, field, "true or false");
	case PROTOBUF_C_TYPE_ENUM:
		return decode_enum(decoder, field, value, member);
	case PROTOBUF_C_TYPE_STRING:
		return decode_string(decoder, field, value, member);
	case PROTOBUF_C_TYPE_BYTES:
		return decode_bytes(decoder, field, value, member);
	case PROTOBUF_C_TYPE_MESSAGE:
		return decode_message(decoder, field->descriptor, value, member);
	default:
		return decode_integer(decoder, field, value, member);
	}
}

static int decode_repeated(const struct decoder *decoder, const ProtobufCFieldDescriptor *field, const json_t *value,
			   ProtobufCMessage *message)
{
	if (!json_is_array(value))
		return mismatch(decoder, field, "an array");
	size_t count = json_array_size(value);
	size_t size = size_of_value(field->type);
	char *elements = count ? arena_array(decoder->arena, count, size) : NULL;
	if (count && !elements)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int r = decode_value(decoder, field, json_array_get(value, i), elements + i * size);
		if (r < 0)
			return r;
	}
	*(size_t *)((char *)message + field->quantifier_offset) = count;
	*(char **)((char *)message + field->offset) = elements;
	return 0;
}

static int decode_field(const struct decoder *decoder, const ProtobufCFieldDescriptor *field, const json_t *value,
			ProtobufCMessage *message)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return decode_repeated(decoder, field, value, message);
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		*(uint32_t *)((char *)message + field->quantifier_offset) = field->id;
	return decode_value(decoder, field, value, (char *)message + field->offset);
}

static int decode_message(const struct decoder *decoder, const ProtobufCMessageDescriptor *type, const json_t *value,
			  ProtobufCMessage **ret_message)
{
	if (!json_is_object(value))
		return err_set(decoder->err, -EINVAL, "json.invalid", "%s: expected an object (%s)", decoder->source,
			       type->name);
	ProtobufCMessage *message = arena_alloc(decoder->arena, type->sizeof_message);
	if (!message)
		return -ENOMEM;
	protobuf_c_message_init(type, message);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const json_t *member = json_object_get(value, type->fields[i].name);
		int r = member && !json_is_null(member) ? decode_field(decoder, &type->fields[i], member, message) : 0;
		if (r < 0)
			return r;
	}
	*ret_message = message;
	return 0;
}

int proto_json_decode(const char *source, const ProtobufCMessageDescriptor *type, const json_t *value,
		      struct arena *arena, ProtobufCMessage **ret_message, struct err *err)
{
	struct decoder decoder = {source, arena, err};
	int r = decode_message(&decoder, type, value, ret_message);
	return r == -ENOMEM ? err_set(err, r, "json.memory", "%s: out of memory", source) : r;
}
