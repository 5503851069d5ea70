#include "core/codec/proto.h"

#include <errno.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"

/* https://protobuf.dev/programming-guides/encoding/ */
enum wire_type {
	WIRE_VARINT = 0,
	WIRE_I64 = 1,
	WIRE_LEN = 2,
	WIRE_I32 = 5,
};

#define FIELD_NUMBER_MAX ((1U << 29) - 1)

struct reader {
	const uint8_t *at;
	const uint8_t *end;
};

static int malformed(struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "proto.malformed", "%s", what);
}

static int read_varint(struct reader *reader, uint64_t *ret_value, struct err *err)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (reader->at == reader->end)
			return malformed(err, "a number is cut off");
		uint8_t byte = *reader->at++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_value = value;
			return 0;
		}
	}
	return malformed(err, "a number has more than ten bytes");
}

static int read_bytes(struct reader *reader, uint64_t size, struct reader *ret_inner, struct err *err)
{
	if (size > (uint64_t)(reader->end - reader->at))
		return malformed(err, "a field is longer than what holds it");
	*ret_inner = (struct reader){reader->at, reader->at + size};
	reader->at += size;
	return 0;
}

/* Takes the value behind a tag; of WIRE_LEN, *ret_inner is its content. */
static int read_value(struct reader *reader, unsigned wire, struct reader *ret_inner, struct err *err)
{
	uint64_t value = 0;
	switch (wire) {
	case WIRE_VARINT:
		return read_varint(reader, &value, err);
	case WIRE_I64:
		return read_bytes(reader, 8, ret_inner, err);
	case WIRE_I32:
		return read_bytes(reader, 4, ret_inner, err);
	case WIRE_LEN: {
		int r = read_varint(reader, &value, err);
		return r < 0 ? r : read_bytes(reader, value, ret_inner, err);
	}
	default: /* groups are of proto2 and long gone */
		return malformed(err, "unknown wire type");
	}
}

static unsigned wire_of_type(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return WIRE_I32;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return WIRE_I64;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_LEN;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM:
		break;
	}
	return WIRE_VARINT;
}

static int check_packed(unsigned wire, struct reader content, struct err *err)
{
	struct reader ignored;
	while (content.at < content.end) {
		int r = read_value(&content, wire, &ignored, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_string(struct reader content, struct err *err)
{
	size_t length = (size_t)(content.end - content.at);
	if (memchr(content.at, 0, length))
		return malformed(err, "a zero byte in a string");
	if (!str_is_utf8((const char *)content.at, length))
		return malformed(err, "not UTF-8");
	return 0;
}

static int check_message(const ProtobufCMessageDescriptor *type, struct reader reader, unsigned depth,
			 struct err *err);

static int check_field(const ProtobufCFieldDescriptor *field, struct reader *reader, unsigned wire, unsigned depth,
		       struct err *err)
{
	unsigned expected = wire_of_type(field->type);
	bool packed = field->label == PROTOBUF_C_LABEL_REPEATED && expected != WIRE_LEN && wire == WIRE_LEN;
	if (wire != expected && !packed)
		return malformed(err, "not of the field's type");

	struct reader content = {0};
	int r = read_value(reader, wire, &content, err);
	if (r < 0)
		return r;
	if (packed)
		return check_packed(expected, content, err);
	if (field->type == PROTOBUF_C_TYPE_STRING)
		return check_string(content, err);
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return check_message(field->descriptor, content, depth + 1, err);
	return 0;
}

static int check_message(const ProtobufCMessageDescriptor *type, struct reader reader, unsigned depth, struct err *err)
{
	if (depth > PROTO_DEPTH_MAX)
		return err_set(err, -EMSGSIZE, "proto.too-deep", "more than %d messages in messages", PROTO_DEPTH_MAX);
	while (reader.at < reader.end) {
		uint64_t tag = 0;
		int r = read_varint(&reader, &tag, err);
		if (r < 0)
			return r;
		uint64_t number = tag >> 3;
		if (number == 0 || number > FIELD_NUMBER_MAX)
			return malformed(err, "a field has an impossible number");
		unsigned wire = tag & 7;
		const ProtobufCFieldDescriptor *field =
			protobuf_c_message_descriptor_get_field(type, (unsigned)number);
		struct reader ignored;
		r = field ? check_field(field, &reader, wire, depth, err) : read_value(&reader, wire, &ignored, err);
		if (r < 0)
			return field ? err_add(err, r, "%s", field->name) : err_add(err, r, "field %u", (unsigned)number);
	}
	return 0;
}

static bool reaches_below(const ProtobufCMessageDescriptor *type, unsigned depth)
{
	if (depth > PROTO_DEPTH_MAX)
		return true;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		if (field->type == PROTOBUF_C_TYPE_MESSAGE && reaches_below(field->descriptor, depth + 1))
			return true;
	}
	return false;
}

bool proto_is_recursive(const ProtobufCMessageDescriptor *type)
{
	return reaches_below(type, 0);
}

int proto_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, struct err *err)
{
	if (size == 0)
		return 0;
	int r = check_message(type, (struct reader){bytes, bytes + size}, 0, err);
	return r < 0 ? err_add(err, r, "%s", type->name) : 0;
}

static void *arena_allocate(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void arena_release(void *arena, void *pointer)
{
	(void)arena; /* all of it goes at once */
	(void)pointer;
}

int proto_decode(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, struct arena *arena,
		 const ProtobufCMessage **ret_message, struct err *err)
{
	int r = proto_check(type, bytes, size, err);
	if (r < 0)
		return r;
	ProtobufCAllocator allocator = {arena_allocate, arena_release, arena};
	ProtobufCMessage *message = protobuf_c_message_unpack(type, &allocator, size, bytes);
	if (!message) /* what is malformed has been found above */
		return err_set(err, -ENOMEM, "proto.too-large", "%s: %zu bytes need more than %zu in memory",
			       type->name, size, arena->max);
	*ret_message = message;
	return 0;
}

int proto_encode(const ProtobufCMessage *message, struct buf *ret_bytes)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	char *tail = NULL;
	int r = buf_reserve(ret_bytes, size, &tail);
	if (r < 0)
		return r;
	buf_claim(ret_bytes, protobuf_c_message_pack(message, (uint8_t *)tail));
	return 0;
}
