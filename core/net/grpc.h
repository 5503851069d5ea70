/* gRPC on libuv: a server and a client in one event loop, HTTP/2 by nghttp2, messages by protobuf-c.
 *
 * Everything here belongs to the thread of its uv_loop_t. Nothing blocks, and a callback is never called from within the
 * function that it answers except where that is said.
 *
 * A server offers services by tables; a method that has no row answers UNIMPLEMENTED with its name:
 *
 *	static const struct grpc_method METHODS[] = {
 *		{"Version", GRPC_UNARY, on_version},
 *		{"GetContainerEvents", GRPC_SERVER_STREAM, on_get_events},
 *		{"Attach", GRPC_STREAM, on_attach},
 *	};
 *	grpc_server_add(server, &(struct grpc_service){&cri__runtime_service__descriptor, METHODS, ARRAY_COUNT(METHODS), me});
 *
 * **Life of a call.** A handler owns its call until it says how the call ended (grpc_call_reply(), grpc_call_fail() or
 * grpc_call_finish(), exactly one of them, exactly once, at once or later); after that the pointer is gone. That the peer
 * has cancelled, vanished or let the deadline pass ends nothing by itself: @on_cancel is called once, sends fail with
 * -ECANCELED from then on, and the handler still finishes the call. Messages handed to a handler live as long as the call
 * (unary, server streaming) or until the callback returns (GRPC_STREAM).
 *
 * **Memory.** Every queue has a bound (struct grpc_limits). A sender is told when to pause (a positive return), a receiver
 * can pause its peer (grpc_call_pause()); who exceeds a bound ends its own call with RESOURCE_EXHAUSTED, no other. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "core/base/scoped.h"
#include "core/net/grpc_status.h"

struct arena;
struct err;
struct grpc_call;
struct grpc_client;
struct grpc_server;
struct log;

/* Zero members take the default that is named. */
struct grpc_limits {
	size_t message_bytes;	 /* 16 MiB: one message, as kubelets set it too */
	size_t decoded_bytes;	 /* 64 MiB: what one message may become in memory */
	size_t total_bytes;	 /* 128 MiB: all messages held by one server or client, in and out */
	size_t queue_bytes;	 /* 256 KiB: queued in one call, at which a sender is asked to pause */
	uint32_t window_bytes;	 /* 64 KiB: what a peer may send ahead in one stream */
	uint32_t streams;	 /* 256: at once on one connection */
	uint32_t calls;		 /* 4096: at once on all connections */
	uint32_t connections;	 /* 256: above it the longest idle one is closed, and where none is idle the new one */
	uint32_t handshake_ms;	 /* 10 s: for the HTTP/2 preface and settings */
	uint32_t request_ms;	 /* 30 s: for a unary request to arrive in full */
	uint32_t stalled_ms;	 /* 60 s: a peer that reads nothing of what waits for it is disconnected */
};

/* Who is at the other end of a UNIX socket, as the kernel saw it at connect(2). All -1 on other sockets. */
struct grpc_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/* ---- Calls, of either side ---- */

/* What happens to a call. Any may be NULL. */
struct grpc_events {
	/* GRPC_STREAM handlers, and clients: the next message from the peer. */
	void (*on_message)(struct grpc_call *call, const ProtobufCMessage *message, void *data);
	/* GRPC_STREAM handlers: the peer will send no more; the call goes on. */
	void (*on_half_close)(struct grpc_call *call, void *data);
	/* After a send returned GRPC_PAUSE: the queue has drained to a quarter. */
	void (*on_writable)(struct grpc_call *call, void *data);
	/* Handlers: nobody waits for the answer any more. @code is -ECANCELED or -ETIMEDOUT. */
	void (*on_cancel)(struct grpc_call *call, int code, void *data);
	/* Clients: the last event of a call; the pointer is gone when it returns. @err has code 0 where all went well, else
	 * the status as -errno, the server's reason and its message. */
	void (*on_done)(struct grpc_call *call, enum grpc_status status, const struct err *err, void *data);
};

enum { GRPC_PAUSE = 1 };

/* Queues one message. Returns 0; GRPC_PAUSE: queued, but wait for on_writable before the next.
 * Errors: -ECANCELED (the call is over for the peer), -EMSGSIZE (above message_bytes), -ENOBUFS (above total_bytes, or
 * far above queue_bytes because pauses were not kept), -ENOMEM. The message is the caller's again when this returns. */
int grpc_call_send(struct grpc_call *call, const ProtobufCMessage *message);

/* How many bytes are queued and not yet on the wire. */
size_t grpc_call_queued(const struct grpc_call *call);

/* Stops and restarts the peer: while paused no message is delivered, and at most window_bytes of it are held. */
void grpc_call_pause(struct grpc_call *call);
void grpc_call_resume(struct grpc_call *call);

/* @events is borrowed for as long as the call lives; NULL: nobody wants to know any more. */
void grpc_call_set_events(struct grpc_call *call, const struct grpc_events *events, void *data);
void *grpc_call_data(const struct grpc_call *call);

/* ---- Server ---- */

enum grpc_shape {
	GRPC_UNARY,	    /* one request, one reply */
	GRPC_SERVER_STREAM, /* one request, any number of replies */
	GRPC_STREAM,	    /* any number of each: client streaming and bidirectional */
};

/* @request is NULL for GRPC_STREAM: its handler sets events and returns. @context is the service's. */
typedef void grpc_handler(struct grpc_call *call, const ProtobufCMessage *request, void *context);

struct grpc_method {
	const char *name; /* as in the .proto */
	enum grpc_shape shape;
	grpc_handler *handler;
	uint32_t timeout_ms; /* a deadline where the client set none, or a later one; 0: the client's alone */
};

struct grpc_service {
	const ProtobufCServiceDescriptor *descriptor;
	const struct grpc_method *methods;
	size_t count;
	void *context;
};

/* @limits and @log may be NULL. The caller owns *ret_server, and ends it with grpc_server_close(). Errors: -ENOMEM. */
int grpc_server_new(uv_loop_t *loop, const struct grpc_limits *limits, const struct log *log,
		    struct grpc_server **ret_server);

/* Errors: -EINVAL (a row names no method of the service, or a message type that contains itself), -EEXIST, -ENOMEM. */
int grpc_server_add(struct grpc_server *server, const struct grpc_service *service, struct err *err);

/* Serves a listening socket (UNIX or TCP), which the server then owns, also on failure. Any number of them.
 * Errors: of uv_pipe_open(), uv_listen(). */
int grpc_server_listen(struct grpc_server *server, int fd, struct err *err);

/* Stops listening, tells every client to go (GOAWAY), lets calls end for @grace_ms and cancels the rest; once every handler
 * has finished its call and every handle is closed, frees the server and calls @on_closed (may be NULL). */
void grpc_server_close(struct grpc_server *server, uint32_t grace_ms, void (*on_closed)(void *data), void *data);

/* The endings: see "Life of a call". */
void grpc_call_reply(struct grpc_call *call, const ProtobufCMessage *reply); /* GRPC_UNARY */
void grpc_call_finish(struct grpc_call *call);				      /* the others: OK, behind all that is queued */
void grpc_call_fail(struct grpc_call *call, const struct err *err);	      /* its code as a status, its reason, its message */
void grpc_call_fail_status(struct grpc_call *call, enum grpc_status status, const char *message);

struct grpc_peer grpc_call_peer(const struct grpc_call *call);
const char *grpc_call_method(const struct grpc_call *call); /* "/runtime.v1.RuntimeService/Version" */
bool grpc_call_cancelled(const struct grpc_call *call);

/* Nanoseconds to the deadline; UINT64_MAX: none; 0: it has passed. */
uint64_t grpc_call_remaining_ns(const struct grpc_call *call);

/* Memory that lives as long as the call, for its handler; counted in decoded_bytes. */
struct arena *grpc_call_arena(struct grpc_call *call);

/* ---- Client ---- */

/* One connection over @fd, a connected stream socket that the client then owns, also on failure. Errors: -ENOMEM, of
 * uv_pipe_open(). */
int grpc_client_new(uv_loop_t *loop, int fd, const struct grpc_limits *limits, struct grpc_client **ret_client,
		    struct err *err);

/* Ends all calls with CANCELLED (their on_done is called before this returns) and frees the client once its handles are
 * closed: run the loop until it is empty. */
void grpc_client_close(struct grpc_client *client);

struct grpc_request {
	const ProtobufCServiceDescriptor *service;
	const char *method;		 /* as in the .proto */
	const ProtobufCMessage *message; /* sent at once; NULL: grpc_call_send() */
	bool stream;			 /* more messages follow: end them with grpc_call_close_send() */
	uint64_t timeout_ns;		 /* 0: none */
};

/* Starts a call. Errors: -EINVAL (no such method), -ENOTCONN (the connection is gone), -ENOMEM, those of grpc_call_send(). */
int grpc_client_call(struct grpc_client *client, const struct grpc_request *request, const struct grpc_events *events,
		     void *data, struct grpc_call **ret_call, struct err *err);
void grpc_call_close_send(struct grpc_call *call);

/* Ends the call: on_done follows with CANCELLED, before this returns. */
void grpc_call_cancel(struct grpc_call *call);

/* One request and one reply, for programs that have nothing else to do: runs the loop until the reply is there. *ret_reply
 * lies in @arena. Errors: the status as -errno, with the server's message in @err. */
int grpc_client_unary(struct grpc_client *client, const struct grpc_request *request, struct arena *arena,
		      const ProtobufCMessage **ret_reply, struct err *err);
