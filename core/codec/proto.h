/* Protocol buffers from outside: checked first, then decoded into an arena.
 *
 * protobuf-c neither checks that strings are UTF-8 without zero bytes nor bounds what a message may cost, so every message
 * is first walked over in place with its descriptor; only what passes is decoded. Unknown fields are ignored. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct err;

#define PROTO_DEPTH_MAX 32 /* messages in messages */

/* Does a message of this type reach itself through its fields? Such a type has no bound on its depth, and is not served. */
bool proto_is_recursive(const ProtobufCMessageDescriptor *type);

/* Walks over @bytes without decoding. Errors: -EBADMSG (@err: "proto.malformed", "runtime.v1.ContainerConfig: metadata.name:
 * not UTF-8"), -EMSGSIZE (deeper than PROTO_DEPTH_MAX). */
int proto_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, struct err *err);

/* Checks and decodes. All of *ret_message lies in @arena (whose cap is the limit) and goes with it.
 * Errors: those of proto_check(), -ENOMEM (above the arena's cap). */
int proto_decode(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size, struct arena *arena,
		 const ProtobufCMessage **ret_message, struct err *err);

/* Appends the encoded message. Strings are taken to be UTF-8: what our programs put into messages they have checked.
 * Errors: -EMSGSIZE, -ENOMEM. */
int proto_encode(const ProtobufCMessage *message, struct buf *ret_bytes);
