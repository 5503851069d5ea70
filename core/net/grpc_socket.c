/* One connection's socket: what comes goes to its session, what the session has to say goes out in bounded writes. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/scoped.h"
#include "core/net/grpc_internal.h"

#define READ_BYTES (64 * 1024)
#define OUT_BYTES_MAX (128 * 1024) /* 64 KiB and one more frame of at most 16 KiB + 9, rounded up */

static void connection_free(struct grpc_connection *connection)
{
	struct grpc_endpoint *endpoint = connection->endpoint;
	list_remove(&connection->dirty_link);
	list_remove(&connection->link);
	nghttp2_session_del(connection->session);
	buf_done(&connection->out);
	free(connection);
	endpoint->on_gone(endpoint);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct grpc_connection *connection = handle->data;
	if (--connection->handles == 0)
		connection_free(connection);
}

void grpc_connection_close(struct grpc_connection *connection)
{
	if (connection->closing)
		return;
	connection->closing = true;
	connection->going = true;
	while (!list_empty(&connection->calls))
		grpc_call_on_connection_lost(LIST_ENTRY(connection->calls.next, struct grpc_call, link));
	uv_close(&connection->socket.handle, on_handle_closed);
	uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
}

/* A call that still runs keeps it open; what is to be said is said first. */
static bool is_over(const struct grpc_connection *connection)
{
	if (connection->going && list_empty(&connection->calls) && !nghttp2_session_want_write(connection->session))
		return true;
	return !nghttp2_session_want_read(connection->session) && !nghttp2_session_want_write(connection->session);
}

static void connection_write(struct grpc_connection *connection);

static void on_written(uv_write_t *write, int status)
{
	struct grpc_connection *connection = write->data;
	connection->writing = false;
	buf_clear(&connection->out);
	if (status < 0) {
		grpc_connection_close(connection);
		return;
	}
	if (connection->greeted)
		uv_timer_stop(&connection->timer);
	grpc_connection_touch(connection);
}

static void on_timeout(uv_timer_t *timer)
{
	struct grpc_connection *connection = timer->data;
	log_warning(connection->endpoint->log, connection->greeted ? "grpc.stalled" : "grpc.handshake",
		    "a peer (pid %d) %s: disconnected", (int)connection->peer.pid,
		    connection->greeted ? "reads nothing of what waits for it" : "does not begin to speak HTTP/2");
	grpc_connection_close(connection);
}

static void connection_write(struct grpc_connection *connection)
{
	if (connection->writing || connection->closing)
		return;
	if (grpc_session_send(connection, &connection->out) < 0) {
		grpc_connection_close(connection);
		return;
	}
	if (connection->out.size == 0) {
		buf_done(&connection->out); /* an idle connection holds no buffer */
		if (is_over(connection))
			grpc_connection_close(connection);
		return;
	}
	uv_buf_t bytes = uv_buf_init(connection->out.data, (unsigned)connection->out.size);
	connection->write.data = connection;
	connection->writing = true;
	if (connection->greeted)
		(void)uv_timer_start(&connection->timer, on_timeout, connection->endpoint->limits.stalled_ms, 0);
	if (uv_write(&connection->write, &connection->socket.stream, &bytes, 1, on_written) < 0) {
		connection->writing = false;
		grpc_connection_close(connection);
	}
}

static void deliver(struct grpc_connection *connection)
{
	while (!list_empty(&connection->due)) {
		struct grpc_call *call = LIST_ENTRY(connection->due.next, struct grpc_call, due_link);
		list_remove(&call->due_link);
		grpc_call_deliver(call);
	}
}

/* Handlers may touch connections again, this one too: the loop ends when nobody has anything left to say, which it does,
 * because what cannot be written yet waits for on_written(). */
static void on_flush(uv_prepare_t *prepare)
{
	struct grpc_endpoint *endpoint = prepare->data;
	while (!list_empty(&endpoint->dirty)) {
		struct grpc_connection *connection =
			LIST_ENTRY(endpoint->dirty.next, struct grpc_connection, dirty_link);
		list_remove(&connection->dirty_link);
		if (connection->closing)
			continue;
		deliver(connection);
		connection_write(connection);
	}
	uv_prepare_stop(prepare);
}

void grpc_connection_touch(struct grpc_connection *connection)
{
	struct grpc_endpoint *endpoint = connection->endpoint;
	if (connection->closing || list_linked(&connection->dirty_link))
		return;
	list_append(&endpoint->dirty, &connection->dirty_link);
	(void)uv_prepare_start(&endpoint->flush, on_flush);
}

void grpc_connection_drain(struct grpc_connection *connection)
{
	if (connection->closing)
		return;
	connection->going = true;
	int32_t last = nghttp2_session_get_last_proc_stream_id(connection->session);
	(void)nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
	grpc_connection_touch(connection);
}

/* One loop reads one socket at a time, but a buffer on the stack cannot be handed to libuv: it is made for each read. */
static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	(void)handle;
	(void)suggested;
	char *bytes = malloc(READ_BYTES);
	*ret_buffer = uv_buf_init(bytes, bytes ? READ_BYTES : 0);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
	struct grpc_connection *connection = stream->data;
	scoped_free char *bytes = buffer->base;
	if (size == 0)
		return;
	bool greeted = connection->greeted;
	if (size < 0 || grpc_session_receive(connection, (const uint8_t *)bytes, (size_t)size) < 0) {
		grpc_connection_close(connection);
		return;
	}
	if (!greeted && connection->greeted)
		uv_timer_stop(&connection->timer);
	connection->idle_since_ms = uv_now(connection->endpoint->loop);
	grpc_connection_touch(connection);
}

/* Makes the handle; the descriptor comes next. */
static int socket_init(struct grpc_connection *connection, bool is_unix)
{
	uv_loop_t *loop = connection->endpoint->loop;
	int r = is_unix ? uv_pipe_init(loop, &connection->socket.pipe, 0) : uv_tcp_init(loop, &connection->socket.tcp);
	if (r < 0)
		return r;
	connection->handles++;
	connection->socket.handle.data = connection;
	return 0;
}

/* Takes @fd, also on failure. */
static int socket_open(struct grpc_connection *connection, int fd)
{
	int domain = 0;
	socklen_t size = sizeof domain;
	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size); /* no socket: uv_tcp_open() says so */
	bool is_unix = domain == AF_UNIX;
	int r = socket_init(connection, is_unix);
	if (r == 0)
		r = is_unix ? uv_pipe_open(&connection->socket.pipe, fd) : uv_tcp_open(&connection->socket.tcp, fd);
	if (r < 0)
		(void)close(fd);
	return r;
}

static int socket_accept(struct grpc_connection *connection, uv_stream_t *listener, bool is_unix)
{
	int r = socket_init(connection, is_unix);
	return r < 0 ? r : uv_accept(listener, &connection->socket.stream);
}

static struct grpc_peer peer_of(const struct grpc_connection *connection)
{
	struct ucred credentials;
	socklen_t size = sizeof credentials;
	uv_os_fd_t fd = -1;
	if (connection->socket.handle.type != UV_NAMED_PIPE || uv_fileno(&connection->socket.handle, &fd) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return (struct grpc_peer){-1, (uid_t)-1, (gid_t)-1};
	return (struct grpc_peer){credentials.pid, credentials.uid, credentials.gid};
}

static struct grpc_connection *connection_make(struct grpc_endpoint *endpoint)
{
	struct grpc_connection *connection = calloc(1, sizeof *connection);
	if (!connection)
		return NULL;
	connection->endpoint = endpoint;
	connection->out.max = OUT_BYTES_MAX;
	connection->idle_since_ms = uv_now(endpoint->loop);
	list_init(&connection->calls);
	list_init(&connection->due);
	list_append(&endpoint->connections, &connection->link);
	(void)uv_timer_init(endpoint->loop, &connection->timer);
	connection->timer.data = connection;
	connection->handles = 1;
	return connection;
}

/* @r: whether it has its socket. */
static int connection_begin(struct grpc_connection *connection, int r, struct err *err)
{
	if (r == 0)
		r = grpc_session_new(connection);
	if (r == 0)
		r = uv_read_start(&connection->socket.stream, on_allocate, on_read);
	if (r < 0) {
		bool has_socket = connection->handles > 1;
		connection->closing = true;
		if (has_socket)
			uv_close(&connection->socket.handle, on_handle_closed);
		uv_close((uv_handle_t *)&connection->timer, on_handle_closed);
		return err_sys(err, r, "grpc.connection", "begin a connection");
	}
	connection->peer = peer_of(connection);
	(void)uv_timer_start(&connection->timer, on_timeout, connection->endpoint->limits.handshake_ms, 0);
	grpc_connection_touch(connection);
	return 0;
}

int grpc_connection_new(struct grpc_endpoint *endpoint, int fd, struct grpc_connection **ret_connection,
			struct err *err)
{
	struct grpc_connection *connection = connection_make(endpoint);
	if (!connection) {
		(void)close(fd);
		return err_memory(err, "gRPC connection");
	}
	int r = connection_begin(connection, socket_open(connection, fd), err);
	if (r == 0)
		*ret_connection = connection;
	return r;
}

int grpc_connection_accept(struct grpc_endpoint *endpoint, uv_stream_t *listener, bool is_unix,
			   struct grpc_connection **ret_connection, struct err *err)
{
	struct grpc_connection *connection = connection_make(endpoint);
	if (!connection)
		return err_memory(err, "gRPC connection");
	int r = connection_begin(connection, socket_accept(connection, listener, is_unix), err);
	if (r == 0)
		*ret_connection = connection;
	return r;
}
