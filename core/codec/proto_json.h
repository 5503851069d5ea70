/* Protocol buffer messages as JSON, by their descriptors: how our records keep a configuration that came over gRPC.
 *
 * Member names are those of the .proto file. Integers are integers (exact in 64 bits), an enumeration is the name of its
 * value (a number where it has none), bytes are base64 (RFC 4648), a oneof is its set member. Members that have their
 * default value are left out. This is not protobuf's own JSON mapping, which writes 64-bit integers as strings. */
#pragma once

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

struct arena;
struct err;

/* Makes a JSON object; the caller owns it. NULL when out of memory, or when a string is not UTF-8 or the depth exceeds
 * PROTO_DEPTH_MAX. */
json_t *proto_json_encode(const ProtobufCMessage *message);

/* The same for people and their scripts: members with default values are written too (messages and oneofs that are absent
 * are not), and a list of string keys and values, which is how a map is encoded, is an object. proto_json_decode() does not
 * read it. */
json_t *proto_json_encode_whole(const ProtobufCMessage *message);

/* Makes a message of type @type in @arena; strings are copied. Unknown members are skipped (a newer program wrote them).
 * @source names the document in messages. Errors: -EINVAL (@err: "json.invalid"), -ENOMEM. */
int proto_json_decode(const char *source, const ProtobufCMessageDescriptor *type, const json_t *value,
		      struct arena *arena, ProtobufCMessage **ret_message, struct err *err);
