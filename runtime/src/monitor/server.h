/* The monitor's side of the protocol: connections, the handshake, requests in, replies and events out. It knows what a
 * message is, not what it asks for. Never waits for a client: one that does not take its messages is disconnected. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "runtime/include/axle/monitor.h"
#include "runtime/src/monitor/loop.h"

struct err;
struct failure;
struct server;

#define SERVER_CLIENTS_MAX 16

/* A connection by number: it stays valid as a name when the connection has gone. */
typedef uint64_t client_id;

/* What a reply goes to. */
struct requester {
	client_id client;
	uint64_t id;
	enum monitor_op op;
};

struct server {
	struct loop *loop;
	int listen_fd;
	char *path;
	struct watch watch;
	struct connection *connections;
	size_t count;
	client_id last_client;
	/* A request whose members were checked; its descriptors are closed behind it unless they are taken. */
	void (*request)(void *owner, const struct requester *requester, struct monitor_received *received);
	void (*client_gone)(void *owner, client_id client);
	void *owner;
};

void server_init(struct server *server, struct loop *loop);
void server_done(struct server *server);

/* Serves a connected socket (taken over). Errors: -ENOMEM. */
int server_add(struct server *server, int fd, struct err *err);

/* Listens at @path too. Errors: those of usocket_listen(). */
int server_listen(struct server *server, const char *path, struct err *err);

/* Replies; @message's id and op are set here. A client that has gone is no error: nobody is left to tell. */
void server_reply(struct server *server, const struct requester *requester, const struct monitor_message *message,
		  const int *fds);
void server_reply_error(struct server *server, const struct requester *requester, const struct err *err);
void server_reply_failure(struct server *server, const struct requester *requester, const struct failure *failure);

/* An event for every client that said hello. */
void server_broadcast(struct server *server, const struct monitor_message *message);
