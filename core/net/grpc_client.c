/* A client: one connection, calls over it, and the simple case of one call at a time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/str.h"
#include "core/net/grpc_internal.h"

#define REASONS_BYTES 4096 /* of different reasons that one server gave to one client */

struct reason {
	struct list link;
	char *text;
};

struct grpc_client {
	struct grpc_endpoint endpoint; /* first: a client is one */
	struct grpc_connection *connection; /* NULL: it is gone */
	struct list reasons;
	struct arena arena; /* of the reasons */
	bool closing;
	bool ending;
};

const char *grpc_client_reason(struct grpc_endpoint *endpoint, const char *text, size_t length)
{
	struct grpc_client *client = (struct grpc_client *)endpoint;
	LIST_FOR_EACH (link, next, &client->reasons) {
		const struct reason *reason = LIST_ENTRY(link, struct reason, link);
		if (strlen(reason->text) == length && memcmp(reason->text, text, length) == 0)
			return reason->text;
	}
	struct reason *reason = arena_alloc(&client->arena, sizeof *reason);
	char *copy = arena_strndup(&client->arena, text, length);
	if (!reason || !copy)
		return NULL;
	reason->text = copy;
	list_append(&client->reasons, &reason->link);
	return copy;
}

static void on_flush_closed(uv_handle_t *handle)
{
	struct grpc_client *client = handle->data;
	arena_done(&client->arena);
	free(client);
}

/* Also while the client lives: its connection may end first. */
static void on_gone(struct grpc_endpoint *endpoint)
{
	struct grpc_client *client = (struct grpc_client *)endpoint;
	if (list_empty(&endpoint->connections))
		client->connection = NULL;
	if (!client->closing || client->ending || endpoint->calls > 0 || client->connection)
		return;
	client->ending = true;
	uv_close((uv_handle_t *)&endpoint->flush, on_flush_closed);
}

int grpc_client_new(uv_loop_t *loop, int fd, const struct grpc_limits *limits, struct grpc_client **ret_client,
		    struct err *err)
{
	struct grpc_client *client = calloc(1, sizeof *client);
	if (!client) {
		(void)close(fd);
		return err_memory(err, "gRPC client");
	}
	grpc_endpoint_init(&client->endpoint, loop, limits);
	client->endpoint.on_gone = on_gone;
	client->arena.max = REASONS_BYTES;
	list_init(&client->reasons);
	int r = grpc_connection_new(&client->endpoint, fd, &client->connection, err);
	if (r < 0) {
		grpc_client_close(client);
		return r;
	}
	*ret_client = client;
	return 0;
}

void grpc_client_close(struct grpc_client *client)
{
	if (!client || client->closing)
		return;
	client->closing = true;
	struct grpc_connection *connection = client->connection;
	while (connection && !list_empty(&connection->calls))
		grpc_call_cancel(LIST_ENTRY(connection->calls.next, struct grpc_call, link));
	if (connection)
		grpc_connection_close(connection);
	on_gone(&client->endpoint);
}

static int check_usable(const struct grpc_client *client, struct err *err)
{
	if (!client->connection || client->connection->going || client->closing)
		return err_set(err, -ENOTCONN, "grpc.connection-lost", "the connection to the server was lost");
	return 0;
}

/* Client: takes back a call that never began. */
static void forget(struct grpc_call *call)
{
	call->events = NULL;
	grpc_call_complete(call);
}

static int begin(struct grpc_call *call, const struct grpc_request *request, struct err *err)
{
	scoped_free char *path = str_printf("/%s/%s", request->service->name, request->method);
	int r = path ? grpc_session_request(call, path, request->timeout_ns) : -ENOMEM;
	if (r == 0 && request->message)
		r = grpc_call_send(call, request->message);
	if (r >= 0 && !request->stream)
		grpc_call_close_send(call);
	if (r >= 0 && request->timeout_ns > 0) {
		call->deadline_ns = uv_hrtime() + request->timeout_ns;
		r = grpc_call_arm(call, call->deadline_ns);
	}
	if (r < 0)
		return err_sys(err, r, "grpc.call", "call %s", request->method);
	grpc_connection_touch(call->connection);
	return 0;
}

int grpc_client_call(struct grpc_client *client, const struct grpc_request *request, const struct grpc_events *events,
		     void *data, struct grpc_call **ret_call, struct err *err)
{
	const ProtobufCMethodDescriptor *method =
		protobuf_c_service_descriptor_get_method_by_name(request->service, request->method);
	if (!method)
		return err_set(err, -EINVAL, "grpc.table", "%s has no method %s", request->service->name,
			       request->method);
	int r = check_usable(client, err);
	if (r < 0)
		return r;
	struct grpc_call *call = grpc_call_new(client->connection);
	if (!call)
		return err_memory(err, "gRPC call");
	call->incoming = method->output;
	grpc_call_set_events(call, events, data);
	r = begin(call, request, err);
	if (r < 0) {
		forget(call);
		return r;
	}
	*ret_call = call;
	return 0;
}

/* ---- One call at a time ---- */

struct unary {
	const ProtobufCMessage *reply;
	struct err *err;
	int result;
	bool done;
};

static void on_reply(struct grpc_call *call, const ProtobufCMessage *message, void *data)
{
	(void)call;
	struct unary *unary = data;
	unary->reply = message;
}

static void on_unary_done(struct grpc_call *call, enum grpc_status status, const struct err *err, void *data)
{
	(void)call;
	struct unary *unary = data;
	unary->done = true;
	if (status != GRPC_OK)
		unary->result = err_set(unary->err, err->code, err->reason, "%s", err->message);
	else if (!unary->reply)
		unary->result = err_set(unary->err, -EBADMSG, "grpc.messages", "the server sent no reply");
}

int grpc_client_unary(struct grpc_client *client, const struct grpc_request *request, struct arena *arena,
		      const ProtobufCMessage **ret_reply, struct err *err)
{
	static const struct grpc_events EVENTS = {.on_message = on_reply, .on_done = on_unary_done};
	struct unary unary = {.err = err};
	struct grpc_call *call = NULL;
	int r = grpc_client_call(client, request, &EVENTS, &unary, &call, err);
	if (r < 0)
		return r;
	call->reply_arena = arena;
	while (!unary.done)
		(void)uv_run(client->endpoint.loop, UV_RUN_ONCE);
	if (unary.result == 0)
		*ret_reply = unary.reply;
	return unary.result;
}
