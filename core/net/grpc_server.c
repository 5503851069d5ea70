/* A server: it listens, routes each request to the row of its method, and closes when all is said. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/str.h"
#include "core/codec/proto.h"
#include "core/net/grpc_internal.h"

#define BACKLOG 128

struct service {
	struct list link;
	struct grpc_service table;
};

struct listener {
	struct list link;
	struct grpc_server *server;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} socket;
	bool is_unix;
};

struct grpc_server {
	struct grpc_endpoint endpoint; /* first: a server is one */
	struct list services;
	struct list listeners;
	uv_timer_t grace;
	unsigned handles; /* of listeners, the timer and the flush, not closed yet */
	bool crowded; /* as many connections as there may be */
	bool closing;
	bool ending; /* its own handles are being closed */
	void (*on_closed)(void *data);
	void *data;
};

/* ---- Routing ---- */

static const struct grpc_method *find_row(const struct grpc_service *service, const char *name)
{
	for (size_t i = 0; i < service->count; i++)
		if (str_equal(service->methods[i].name, name))
			return &service->methods[i];
	return NULL;
}

/* "/package.Service/Method": the service it names, and behind *ret_method the method. */
static const struct service *find_service(const struct grpc_server *server, const char *path, const char **ret_method)
{
	LIST_FOR_EACH (link, next, (struct list *)&server->services) {
		const struct service *service = LIST_ENTRY(link, struct service, link);
		const char *rest = *path == '/' ? str_after_prefix(path + 1, service->table.descriptor->name) : NULL;
		if (rest && *rest == '/') {
			*ret_method = rest + 1;
			return service;
		}
	}
	return NULL;
}

static void refuse(struct grpc_call *call, enum grpc_status status, const char *message)
{
	grpc_call_abort(call, status, -ECANCELED, message);
}

static void refuse_method(struct grpc_call *call, const char *why)
{
	struct err err;
	(void)err_set(&err, -ENOSYS, "grpc.unimplemented", "%s: %s", call->path, why);
	refuse(call, GRPC_UNIMPLEMENTED, err.message);
}

/* False where the call has been refused. */
static bool route(struct grpc_server *server, struct grpc_call *call)
{
	const char *name = NULL;
	const struct service *service = find_service(server, call->path, &name);
	if (!service) {
		refuse_method(call, "no such service");
		return false;
	}
	const ProtobufCMethodDescriptor *method =
		protobuf_c_service_descriptor_get_method_by_name(service->table.descriptor, name);
	const struct grpc_method *row = method ? find_row(&service->table, name) : NULL;
	if (!row) {
		refuse_method(call, method ? "not implemented" : "no such method");
		return false;
	}
	call->method = row;
	call->context = service->table.context;
	call->incoming = method->input;
	return true;
}

static bool speaks_grpc(struct grpc_call *call)
{
	const char *status = !call->is_grpc ? "415" : "405";
	if (call->is_grpc && call->is_post && call->path)
		return true;
	if (grpc_session_refuse_http(call, status) < 0)
		(void)nghttp2_submit_rst_stream(call->connection->session, NGHTTP2_FLAG_NONE, call->stream,
						NGHTTP2_INTERNAL_ERROR);
	return false;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Until the request is there the shorter of deadline and request_ms counts, then the deadline alone. */
static int arm(struct grpc_call *call, const struct grpc_limits *limits)
{
	uint64_t now = uv_hrtime();
	uint64_t own = call->method->timeout_ms ? call->method->timeout_ms * NS_PER_MS : UINT64_MAX;
	uint64_t timeout = smaller(own, call->timeout_ns);
	call->deadline_ns = timeout == UINT64_MAX ? UINT64_MAX : now + timeout;
	uint64_t arrival = call->method->shape == GRPC_STREAM ? UINT64_MAX : now + limits->request_ms * NS_PER_MS;
	return grpc_call_arm(call, smaller(call->deadline_ns, arrival));
}

static void on_ready(struct grpc_endpoint *endpoint, struct grpc_call *call, const ProtobufCMessage *request)
{
	(void)endpoint;
	call->started = true;
	(void)grpc_call_arm(call, call->deadline_ns); /* cannot fail: there is a timer, or none is wanted */
	call->method->handler(call, request, call->context);
}

static void on_request(struct grpc_endpoint *endpoint, struct grpc_call *call)
{
	struct grpc_server *server = (struct grpc_server *)endpoint;
	if (!speaks_grpc(call))
		return;
	if (call->is_encoded) {
		refuse(call, GRPC_UNIMPLEMENTED, "compressed messages are not accepted");
		return;
	}
	if (endpoint->calls > endpoint->limits.calls || call->connection->going) {
		refuse(call, GRPC_UNAVAILABLE, server->closing ? "shutting down" : "too many calls");
		return;
	}
	if (!route(server, call))
		return;
	if (arm(call, &endpoint->limits) < 0) {
		refuse(call, GRPC_RESOURCE_EXHAUSTED, "no memory for a timer");
		return;
	}
	if (call->method->shape == GRPC_STREAM)
		on_ready(endpoint, call, NULL);
}

/* ---- Services ---- */

static int check_row(const struct grpc_service *service, const struct grpc_method *row, struct err *err)
{
	const ProtobufCMethodDescriptor *method =
		protobuf_c_service_descriptor_get_method_by_name(service->descriptor, row->name);
	if (!method)
		return err_set(err, -EINVAL, "grpc.table", "%s has no method %s", service->descriptor->name, row->name);
	if (proto_is_recursive(method->input))
		return err_set(err, -EINVAL, "grpc.table", "%s contains itself", method->input->name);
	return 0;
}

int grpc_server_add(struct grpc_server *server, const struct grpc_service *service, struct err *err)
{
	LIST_FOR_EACH (link, next, &server->services)
		if (LIST_ENTRY(link, struct service, link)->table.descriptor == service->descriptor)
			return err_set(err, -EEXIST, "grpc.table", "%s is there already", service->descriptor->name);
	for (size_t i = 0; i < service->count; i++) {
		int r = check_row(service, &service->methods[i], err);
		if (r < 0)
			return r;
	}
	struct service *copy = calloc(1, sizeof *copy);
	if (!copy)
		return err_memory(err, "gRPC service");
	copy->table = *service;
	list_append(&server->services, &copy->link);
	return 0;
}

/* ---- The end ---- */

static void server_free(struct grpc_server *server)
{
	LIST_FOR_EACH (link, next, &server->services)
		free(LIST_ENTRY(link, struct service, link));
	if (server->on_closed)
		server->on_closed(server->data);
	free(server);
}

static void on_own_handle_closed(uv_handle_t *handle)
{
	struct grpc_server *server = handle->data;
	if (--server->handles == 0)
		server_free(server);
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct listener *listener = handle->data;
	struct grpc_server *server = listener->server;
	list_remove(&listener->link);
	free(listener);
	if (--server->handles == 0)
		server_free(server);
}

static void on_gone(struct grpc_endpoint *endpoint)
{
	struct grpc_server *server = (struct grpc_server *)endpoint;
	if (!server->closing || server->ending || endpoint->calls > 0 || !list_empty(&endpoint->connections))
		return;
	server->ending = true;
	uv_close((uv_handle_t *)&server->grace, on_own_handle_closed);
	uv_close((uv_handle_t *)&endpoint->flush, on_own_handle_closed);
}

static void on_grace_over(uv_timer_t *timer)
{
	struct grpc_server *server = timer->data;
	LIST_FOR_EACH (link, next, &server->endpoint.connections)
		grpc_connection_close(LIST_ENTRY(link, struct grpc_connection, link));
}

void grpc_server_close(struct grpc_server *server, uint32_t grace_ms, void (*on_closed)(void *data), void *data)
{
	if (server->closing)
		return;
	server->closing = true;
	server->on_closed = on_closed;
	server->data = data;
	LIST_FOR_EACH (link, next, &server->listeners) {
		struct listener *listener = LIST_ENTRY(link, struct listener, link);
		if (!uv_is_closing(&listener->socket.handle))
			uv_close(&listener->socket.handle, on_listener_closed);
	}
	LIST_FOR_EACH (link, next, &server->endpoint.connections)
		grpc_connection_drain(LIST_ENTRY(link, struct grpc_connection, link));
	(void)uv_timer_start(&server->grace, on_grace_over, grace_ms, 0);
	on_gone(&server->endpoint);
}

int grpc_server_new(uv_loop_t *loop, const struct grpc_limits *limits, const struct log *log,
		    struct grpc_server **ret_server)
{
	struct grpc_server *server = calloc(1, sizeof *server);
	if (!server)
		return -ENOMEM;
	grpc_endpoint_init(&server->endpoint, loop, limits);
	server->endpoint.is_server = true;
	server->endpoint.log = log;
	server->endpoint.on_request = on_request;
	server->endpoint.on_ready = on_ready;
	server->endpoint.on_gone = on_gone;
	list_init(&server->services);
	list_init(&server->listeners);
	(void)uv_timer_init(loop, &server->grace);
	server->grace.data = server;
	server->handles = 2; /* grace and flush */
	*ret_server = server;
	return 0;
}

/* ---- Listening ---- */

static size_t count_connections(const struct grpc_server *server, struct grpc_connection **ret_idlest)
{
	size_t count = 0;
	LIST_FOR_EACH (link, next, (struct list *)&server->endpoint.connections) {
		struct grpc_connection *connection = LIST_ENTRY(link, struct grpc_connection, link);
		count += !connection->closing;
		bool idle = !connection->closing && list_empty(&connection->calls);
		if (idle && (!*ret_idlest || connection->idle_since_ms < (*ret_idlest)->idle_since_ms))
			*ret_idlest = connection;
	}
	return count;
}

/* False where the new one must go. */
static bool make_room(struct grpc_server *server)
{
	struct grpc_connection *idlest = NULL;
	if (count_connections(server, &idlest) < server->endpoint.limits.connections) {
		server->crowded = false;
		return true;
	}
	if (!server->crowded) /* once, not for each that a flood brings */
		log_warning(server->endpoint.log, "grpc.connections", "more than %u connections: %s is closed",
			    server->endpoint.limits.connections, idlest ? "the longest idle one" : "the new one");
	server->crowded = true;
	if (idlest)
		grpc_connection_close(idlest);
	return idlest != NULL;
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct listener *listener = stream->data;
	struct grpc_server *server = listener->server;
	struct err err = {0};
	if (status < 0) {
		log_warning(server->endpoint.log, "grpc.accept", "accept a connection: %s", uv_strerror(status));
		return;
	}
	bool room = make_room(server);
	struct grpc_connection *connection = NULL;
	int r = grpc_connection_accept(&server->endpoint, stream, listener->is_unix, &connection, &err);
	if (r < 0)
		log_err(server->endpoint.log, &err, r, "accept a connection");
	else if (!room || server->closing)
		grpc_connection_close(connection);
}

static int listener_open(struct listener *listener, uv_loop_t *loop, int fd)
{
	int domain = 0;
	socklen_t size = sizeof domain;
	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size); /* no socket: uv_tcp_open() says so */
	listener->is_unix = domain == AF_UNIX;
	int r = listener->is_unix ? uv_pipe_init(loop, &listener->socket.pipe, 0) :
				    uv_tcp_init(loop, &listener->socket.tcp);
	if (r < 0) {
		free(listener);
		(void)close(fd);
		return r;
	}
	list_append(&listener->server->listeners, &listener->link);
	listener->server->handles++;
	listener->socket.handle.data = listener;
	r = listener->is_unix ? uv_pipe_open(&listener->socket.pipe, fd) : uv_tcp_open(&listener->socket.tcp, fd);
	if (r < 0)
		(void)close(fd);
	else
		r = uv_listen(&listener->socket.stream, BACKLOG, on_connection);
	if (r < 0)
		uv_close(&listener->socket.handle, on_listener_closed);
	return r;
}

int grpc_server_listen(struct grpc_server *server, int fd, struct err *err)
{
	struct listener *listener = calloc(1, sizeof *listener);
	if (!listener) {
		(void)close(fd);
		return err_memory(err, "gRPC listener");
	}
	listener->server = server;
	int r = listener_open(listener, server->endpoint.loop, fd);
	return r < 0 ? err_sys(err, r, "grpc.listen", "listen on a socket") : 0;
}
