/* What the files of streaming share. */
#pragma once

#include "core/base/scoped.h"
#include "manager/src/streaming.h"
#include "manager/src/streaming_channel.h"

struct http_head;

#define STREAMING_STRANGERS_MAX 64    /* connections that have not shown a token yet */
#define STREAMING_CONNECTIONS_MAX 128 /* those that have */
#define STREAMING_FORWARDS_MAX 512    /* connections into pods, of all clients together */
#define FORWARD_CHANNELS_MAX 256      /* of one client: two for each of its connections */
#define COMMAND_CHANNELS_MAX 5	      /* error, stdin, stdout, stderr, resize */

SCOPED_DEFINE(struct streaming_request, streaming_request_free)

/* One client, from its 101 on. */
struct streaming_client {
	struct node *node;
	struct streaming *streaming;
	const struct streaming_request *request;
	int version;	/* of the protocol between us, as the kind counts */
	int socket;	/* to be taken */
	const void *early; /* bytes behind the request's head */
	size_t early_size;
};

/* Serves it to its end. Each takes the socket. Parks. */
void streaming_run_command(struct streaming_client *client);
void streaming_run_forward(struct streaming_client *client);

/* Serves a new connection to its end, in a fiber of its own: the request, its answer, and what follows. Takes the socket,
 * which is counted as a stranger. */
void streaming_serve(struct streaming *streaming, int socket);

/* The request that @path stands for, which stands for it no more. NULL: none. */
struct streaming_request *streaming_take(struct streaming *streaming, const char *path);

struct node *streaming_node(const struct streaming *streaming);

/* Counts; -ENOBUFS at the limit. */
enum streaming_count {
	STREAMING_STRANGERS,
	STREAMING_CONNECTIONS,
	STREAMING_FORWARDS,
	STREAMING_COUNT_COUNT,
};

int streaming_count_up(struct streaming *streaming, enum streaming_count count);
void streaming_count_down(struct streaming *streaming, enum streaming_count count);
