#include "runtime/src/monitor/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/usocket.h"
#include "runtime/src/monitor/failure.h"

#define ARENA_MAX (4 * MONITOR_MESSAGE_MAX)
#define BACKLOG 16

struct connection {
	struct server *server;
	client_id id;
	int fd;
	struct watch watch;
	bool greeted; /* said hello */
	bool doomed;  /* to be closed when its event has been dealt with */
	struct connection *next;
};

static void connection_free(struct connection *connection)
{
	struct server *server = connection->server;
	client_id id = connection->id;
	loop_unwatch(server->loop, &connection->watch);
	for (struct connection **link = &server->connections; *link; link = &(*link)->next) {
		if (*link != connection)
			continue;
		*link = connection->next;
		break;
	}
	(void)close(connection->fd);
	free(connection);
	server->count--;
	if (server->client_gone)
		server->client_gone(server->owner, id);
}

static struct connection *find(const struct server *server, client_id id)
{
	struct connection *connection = server->connections;
	while (connection && connection->id != id)
		connection = connection->next;
	return connection;
}

/* ---- messages out ---- */

static void send_message(struct connection *connection, const struct monitor_message *message, const int *fds)
{
	scoped_done(buf_done) struct buf text = {.max = MONITOR_MESSAGE_MAX};
	int r = monitor_message_encode(message, &text);
	if (r == 0)
		r = fd_send_message(connection->fd, text.data, text.size, fds, strv_count(message->descriptors));
	if (r < 0) {
		connection->doomed = true; /* gone, or it does not read: it connects anew and asks for the state */
		(void)shutdown(connection->fd, SHUT_RDWR);
	}
}

void server_reply(struct server *server, const struct requester *requester, const struct monitor_message *message,
		  const int *fds)
{
	struct connection *connection = find(server, requester->client);
	struct monitor_message reply = *message;
	reply.id = requester->id;
	reply.op = requester->op;
	if (connection)
		send_message(connection, &reply, fds);
}

void server_reply_failure(struct server *server, const struct requester *requester, const struct failure *failure)
{
	const struct monitor_error error = {
		.code = failure->err.code,
		.reason = failure->err.reason ? failure->err.reason : "monitor.failed",
		.message = err_text(&failure->err, failure->err.code),
		.step = failure->step,
		.runtime = failure->runtime[0] ? failure->runtime : NULL,
		.status = failure->status,
	};
	server_reply(server, requester, &(struct monitor_message){.error = &error}, NULL);
}

void server_reply_error(struct server *server, const struct requester *requester, const struct err *err)
{
	const struct failure failure = {.err = *err};
	server_reply_failure(server, requester, &failure);
}

void server_broadcast(struct server *server, const struct monitor_message *message)
{
	for (struct connection *connection = server->connections; connection; connection = connection->next)
		if (connection->greeted && !connection->doomed)
			send_message(connection, message, NULL);
}

/* ---- messages in ---- */

static void refuse(struct connection *connection, const struct requester *requester, const struct err *err)
{
	if (requester->id > 0)
		server_reply_error(connection->server, requester, err);
	connection->doomed = true;
}

/* The first request: both sides agree on a version, or part. */
static void greet(struct connection *connection, const struct requester *requester,
		  const struct monitor_message *message)
{
	struct err err = {0};
	if (message->op != MONITOR_HELLO) {
		(void)err_set(&err, -EPROTO, "monitor.hello-expected", "expected hello as the first request");
		refuse(connection, requester, &err);
		return;
	}
	const struct monitor_hello *theirs = message->hello;
	uint32_t version = theirs->version < MONITOR_PROTOCOL_VERSION ? theirs->version : MONITOR_PROTOCOL_VERSION;
	if (version < MONITOR_PROTOCOL_OLDEST || version < theirs->oldest) {
		(void)err_set(&err, -EPROTONOSUPPORT, "monitor.version",
			      "the client speaks versions %u to %u of the protocol, this axmon (%s) %d to %d",
			      theirs->oldest, theirs->version, AXLE_VERSION, MONITOR_PROTOCOL_OLDEST,
			      MONITOR_PROTOCOL_VERSION);
		refuse(connection, requester, &err);
		return;
	}
	connection->greeted = true;
	struct monitor_hello ours = monitor_hello("axmon " AXLE_VERSION);
	ours.version = version;
	server_reply(connection->server, requester, &(struct monitor_message){.hello = &ours}, NULL);
}

static int decode(struct monitor_received *received, const char *bytes, size_t size, struct err *err)
{
	int r = monitor_message_decode(MONITOR_FROM_CLIENT, bytes, size, &received->arena, &received->message, err);
	if (r < 0)
		return r;
	if (strv_count(received->message.descriptors) != received->fds_count)
		return err_set(err, -EINVAL, "monitor.malformed", "%zu descriptors came with %zu names",
			       received->fds_count, strv_count(received->message.descriptors));
	return 0;
}

static void handle(struct connection *connection, struct monitor_received *received, const char *bytes, size_t size)
{
	struct err err = {0};
	int r = decode(received, bytes, size, &err);
	struct requester requester = {.client = connection->id, .id = received->message.id, .op = received->message.op};
	if (r == -EOPNOTSUPP && connection->greeted) /* a newer wish: refused, and no reason to part */
		server_reply_error(connection->server, &requester, &err);
	else if (r < 0)
		refuse(connection, &requester, &err);
	else if (!connection->greeted || received->message.op == MONITOR_HELLO)
		greet(connection, &requester, &received->message);
	else
		connection->server->request(connection->server->owner, &requester, received);
}

static void on_connection(struct watch *watch, uint32_t events)
{
	(void)events;
	struct connection *connection = watch->owner;
	scoped_free char *bytes = malloc(MONITOR_MESSAGE_MAX);
	struct monitor_received received = {.arena = {.max = ARENA_MAX}};
	ssize_t size = bytes && !connection->doomed
			       ? fd_receive_message(connection->fd, bytes, MONITOR_MESSAGE_MAX, received.fds,
						    MONITOR_FDS_MAX, &received.fds_count)
			       : -ENOMEM;
	if (size == -EAGAIN)
		return;
	if (size > 0)
		handle(connection, &received, bytes, (size_t)size);
	monitor_received_done(&received);
	if (size <= 0 || connection->doomed)
		connection_free(connection);
}

/* ---- connections ---- */

int server_add(struct server *server, int fd, struct err *err)
{
	struct connection *connection = calloc(1, sizeof *connection);
	int r = connection ? fd_set_nonblock(fd, true) : -ENOMEM;
	if (r == 0) {
		*connection = (struct connection){.server = server, .id = ++server->last_client, .fd = fd};
		connection->watch = (struct watch){.fd = -1, .ready = on_connection, .owner = connection};
		r = loop_watch(server->loop, &connection->watch, fd, EPOLLIN);
	}
	if (r < 0) {
		free(connection);
		return err_sys(err, r, "monitor.connection", "serve a connection");
	}
	connection->next = server->connections;
	server->connections = connection;
	server->count++;
	return 0;
}

/* The socket's mode says the same; this holds where somebody widened it. */
static bool is_admitted(int fd)
{
	struct ucred peer = {0};
	socklen_t size = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void on_listener(struct watch *watch, uint32_t events)
{
	(void)events;
	struct server *server = watch->owner;
	scoped_fd int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || server->count >= SERVER_CLIENTS_MAX || !is_admitted(fd))
		return;
	if (server_add(server, fd, NULL) == 0)
		(void)TAKE_FD(fd);
}

void server_init(struct server *server, struct loop *loop)
{
	*server = (struct server){.loop = loop, .listen_fd = -1};
	server->watch = (struct watch){.fd = -1, .ready = on_listener, .owner = server};
}

int server_listen(struct server *server, const char *path, struct err *err)
{
	int fd = usocket_listen(path, SOCK_SEQPACKET, 0600, BACKLOG, err);
	if (fd < 0)
		return fd;
	server->listen_fd = fd;
	server->path = strdup(path);
	int r = server->path ? loop_watch(server->loop, &server->watch, fd, EPOLLIN) : -ENOMEM;
	return r < 0 ? err_sys(err, r, "monitor.listen", "serve %s", path) : 0;
}

void server_done(struct server *server)
{
	server->client_gone = NULL;
	while (server->connections)
		connection_free(server->connections);
	if (!server->loop)
		return;
	loop_unwatch(server->loop, &server->watch);
	if (server->path)
		(void)unlink(server->path); /* nobody answers there any more */
	if (server->listen_fd >= 0)
		(void)close(TAKE_FD(server->listen_fd));
	free(TAKE(server->path));
}
