/* The two sockets, and what is served on them. */
#pragma once

#include "manager/src/rpc.h"

struct err;

#define AXLE_SOCKET_NAME "axle.sock"
#define CRI_SOCKET_NAME "cri.sock"

struct server {
	struct face faces[OWNER_COUNT];
	struct grpc_server *grpc[OWNER_COUNT];
	unsigned closing;
	void (*on_closed)(void *data);
	void *data;
};

/* Listens on both. Errors: of usocket_listen(); -EINVAL (an unknown group). */
int server_open(struct server *server, struct node *node, struct err *err);

/* Stops listening, lets calls end for @grace_ms, then @on_closed. Removes the sockets. */
void server_close(struct server *server, uint32_t grace_ms, void (*on_closed)(void *data), void *data);
