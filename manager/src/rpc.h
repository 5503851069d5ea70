/* Calls over gRPC, each in a fiber of its own: what stands between core/net/grpc.h and the functions that answer. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/net/grpc.h"
#include "manager/src/node.h"
#include "proto/cri.h"

struct arena;
struct err;

/* A socket's view of the node. */
struct face {
	struct node *node;
	enum owner owner;
};

struct rpc {
	struct node *node;
	enum owner owner;
	struct arena *arena; /* of the call: requests and replies live in it */
	struct grpc_call *call;
};

/* Answers one call: fills the reply, whose members may lie in the arena or in objects of the node (no parking between
 * filling them in and returning). May park. */
typedef int rpc_handler(struct rpc *rpc, const void *request, void *ret_reply, struct err *err);

/* One row for each call that is served; all others answer UNIMPLEMENTED with their names. */
struct rpc_method {
	const char *name;
	rpc_handler *handler;
	uint32_t timeout_ms;	/* at most; 0: the client's deadline alone */
	grpc_handler *stream;	/* instead of a handler, for what is not unary */
	enum grpc_shape shape;
};

/* Registers the service. The table must outlive the server; @face too. */
int rpc_register(struct grpc_server *server, const ProtobufCServiceDescriptor *descriptor,
		 const struct rpc_method *methods, size_t count, struct face *face, struct err *err);

/* The face of a stream handler's @context. */
const struct face *rpc_face(const void *context);

/* A message of this type in the call's arena, with its defaults. NULL when out of memory. */
void *rpc_new(struct rpc *rpc, const ProtobufCMessageDescriptor *type);

/* An array of @count pointers. */
void *rpc_array(struct rpc *rpc, size_t count);

/* Adds a pair to a map. Errors: -ENOMEM. */
int rpc_add_entry(struct rpc *rpc, Cri__MapEntry ***entries, size_t *count, const char *key, const char *value);
