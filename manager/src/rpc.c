#include "manager/src/rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "proto/cri.h"

struct unary {
	struct rpc rpc;
	struct fiber *fiber;
	const struct rpc_service *service;
	const struct rpc_method *method;
	const ProtobufCMessage *request;
};

/* The context of a registered service. */
struct rpc_service {
	struct face *face;
	const ProtobufCServiceDescriptor *descriptor;
	const struct rpc_method *methods;
	size_t count;
};

const struct face *rpc_face(const void *context)
{
	return ((const struct rpc_service *)context)->face;
}

void *rpc_new(struct rpc *rpc, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = arena_alloc(rpc->arena, type->sizeof_message);
	if (message)
		protobuf_c_message_init(type, message);
	return message;
}

void *rpc_array(struct rpc *rpc, size_t count)
{
	return arena_array(rpc->arena, count ? count : 1, sizeof(void *));
}

int rpc_add_entry(struct rpc *rpc, Cri__MapEntry ***entries, size_t *count, const char *key, const char *value)
{
	Cri__MapEntry **grown = rpc_array(rpc, *count + 1);
	Cri__MapEntry *entry = rpc_new(rpc, &cri__map_entry__descriptor);
	if (!grown || !entry || !value)
		return -ENOMEM;
	if (*count)
		memcpy(grown, *entries, *count * sizeof *grown);
	entry->key = key;
	entry->value = value;
	grown[(*count)++] = entry;
	*entries = grown;
	return 0;
}

/* --- one call --- */

static const char *short_name(const struct grpc_call *call)
{
	const char *slash = strrchr(grpc_call_method(call), '/');
	return slash ? slash + 1 : grpc_call_method(call);
}

static void run_unary(void *data)
{
	struct unary *unary = data;
	struct rpc *rpc = &unary->rpc;
	struct node *node = rpc->node;
	const ProtobufCMethodDescriptor *type =
		protobuf_c_service_descriptor_get_method_by_name(unary->service->descriptor, unary->method->name);
	struct err err = {0};
	ProtobufCMessage *reply = rpc_new(rpc, type->output);
	int r = reply ? unary->method->handler(rpc, unary->request, reply, &err) : -ENOMEM;
	grpc_call_set_events(rpc->call, NULL, NULL); /* the fiber ends: nobody may cancel it */
	if (r == 0) {
		log_debug(&node->log, "rpc.done", "%s", short_name(rpc->call));
		grpc_call_reply(rpc->call, reply);
	} else {
		if (!err.code)
			(void)err_sys(&err, r, "rpc.failed", "%s", short_name(rpc->call));
		log_write(&node->log, r == -ENOENT ? LOG_DEBUG : LOG_WARNING, err.reason, "%s: %s", short_name(rpc->call),
			  err_text(&err, r));
		grpc_call_fail(rpc->call, &err);
	}
	free(unary);
}

static void on_cancel(struct grpc_call *call, int code, void *data)
{
	(void)call;
	(void)code;
	struct unary *unary = data;
	fiber_cancel(unary->fiber);
}

static const struct rpc_method *find_method(const struct rpc_service *service, const char *name)
{
	for (size_t i = 0; i < service->count; i++)
		if (str_equal(service->methods[i].name, name))
			return &service->methods[i];
	return NULL;
}

static void on_unary(struct grpc_call *call, const ProtobufCMessage *request, void *context)
{
	static const struct grpc_events EVENTS = {.on_cancel = on_cancel};
	const struct rpc_service *service = context;
	struct unary *unary = calloc(1, sizeof *unary);
	if (!unary) {
		grpc_call_fail_status(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	*unary = (struct unary){
		.rpc = {service->face->node, service->face->owner, grpc_call_arena(call), call},
		.service = service,
		.method = find_method(service, short_name(call)),
		.request = request,
	};
	grpc_call_set_events(call, &EVENTS, unary);
	if (service->face->node->stopping || fiber_start(service->face->node->fibers, run_unary, unary, &unary->fiber) < 0) {
		free(unary);
		grpc_call_set_events(call, NULL, NULL);
		grpc_call_fail_status(call, GRPC_UNAVAILABLE, "axled has no room for another call, or is ending");
	}
}

int rpc_register(struct grpc_server *server, const ProtobufCServiceDescriptor *descriptor,
		 const struct rpc_method *methods, size_t count, struct face *face, struct err *err)
{
	struct arena *arena = &face->node->arena;
	struct rpc_service *service = arena_alloc(arena, sizeof *service);
	struct grpc_method *rows = arena_array(arena, count, sizeof *rows);
	if (!service || !rows)
		return -ENOMEM;
	*service = (struct rpc_service){face, descriptor, methods, count};
	for (size_t i = 0; i < count; i++)
		rows[i] = (struct grpc_method){
			.name = methods[i].name,
			.shape = methods[i].stream ? methods[i].shape : GRPC_UNARY,
			.handler = methods[i].stream ? methods[i].stream : on_unary,
			.timeout_ms = methods[i].timeout_ms,
		};
	const struct grpc_service registered = {descriptor, rows, count, service};
	return grpc_server_add(server, &registered, err);
}
