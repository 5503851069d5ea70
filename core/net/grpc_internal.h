/* What the files of core/net/grpc_*.c share; nobody else includes it.
 *
 *	grpc_server.c   listens, routes requests to handlers        grpc_client.c   starts calls, reads their results
 *	grpc_call.c     one call: its queue, its messages, its end
 *	grpc_session.c  HTTP/2 (nghttp2) of one connection, no I/O: bytes in, bytes out
 *	grpc_socket.c   one connection's socket, its timer, its writes */
#pragma once

#include <nghttp2/nghttp2.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/list.h"
#include "core/net/grpc.h"
#include "core/net/grpc_frame.h"

#define GRPC_REASON_HEADER "axle-reason"
#define NS_PER_MS 1000000ULL

struct grpc_connection;

/* What a server and a client have in common. */
struct grpc_endpoint {
	uv_loop_t *loop;
	struct grpc_limits limits; /* complete */
	const struct log *log;
	bool is_server;
	size_t held_bytes; /* of messages, in and out */
	size_t calls;	   /* alive */
	uv_prepare_t flush; /* runs before the loop blocks, while dirty is not empty */
	struct list dirty;
	struct list connections;

	/* Server: the headers of a request are complete. */
	void (*on_request)(struct grpc_endpoint *endpoint, struct grpc_call *call);
	/* Server: a request is complete, or (GRPC_STREAM) begins. */
	void (*on_ready)(struct grpc_endpoint *endpoint, struct grpc_call *call, const ProtobufCMessage *request);
	/* A connection has lost its last handle and is freed, or a call is. */
	void (*on_gone)(struct grpc_endpoint *endpoint);
};

void grpc_limits_complete(const struct grpc_limits *limits, struct grpc_limits *ret_limits);
void grpc_endpoint_init(struct grpc_endpoint *endpoint, uv_loop_t *loop, const struct grpc_limits *limits);

/* Counts @bytes more as held. Errors: -ENOBUFS. */
int grpc_endpoint_hold(struct grpc_endpoint *endpoint, size_t bytes);
void grpc_endpoint_release(struct grpc_endpoint *endpoint, size_t bytes);

/* ---- grpc_socket.c ---- */

struct grpc_connection {
	struct grpc_endpoint *endpoint;
	struct list link;	/* in endpoint->connections */
	struct list dirty_link; /* in endpoint->dirty */
	struct list calls;
	struct list due; /* calls with something to deliver */
	nghttp2_session *session;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} socket;
	uv_timer_t timer; /* the handshake, then stalled writes */
	uv_write_t write;
	struct buf out; /* being written */
	unsigned handles; /* not closed yet */
	bool writing;
	bool greeted; /* the peer's settings have come */
	bool going;   /* GOAWAY was sent or received: no new calls */
	bool closing;
	struct grpc_peer peer;
	uint64_t credit; /* control frames that the peer may still send */
	uint64_t credit_at_ns;
	uint64_t idle_since_ms;
};

/* A connection over @fd, which it owns, also on failure. */
int grpc_connection_new(struct grpc_endpoint *endpoint, int fd, struct grpc_connection **ret_connection,
			struct err *err);

/* The same over the connection that waits at @listener. */
int grpc_connection_accept(struct grpc_endpoint *endpoint, uv_stream_t *listener, bool is_unix,
			   struct grpc_connection **ret_connection, struct err *err);

/* There is something to write, to deliver or to end: before the loop blocks again. */
void grpc_connection_touch(struct grpc_connection *connection);

/* Ends all its calls and closes its handles; safe at any time, once is enough. */
void grpc_connection_close(struct grpc_connection *connection);

/* Sends GOAWAY; the connection closes once its calls have ended. */
void grpc_connection_drain(struct grpc_connection *connection);

/* ---- grpc_session.c ---- */

int grpc_session_new(struct grpc_connection *connection);

/* Errors: -EPROTO (the connection must be closed), -ENOMEM. */
int grpc_session_receive(struct grpc_connection *connection, const uint8_t *bytes, size_t size);

/* Appends what is to be sent to @out, at least until it holds 64 KiB or nothing is left. Errors: as above. */
int grpc_session_send(struct grpc_connection *connection, struct buf *out);

/* Server: the response of a call: its headers and then its queue, or (where nothing was queued) its end alone. */
int grpc_session_respond(struct grpc_call *call);

/* Client: sends the headers of a request. Sets call->stream. */
int grpc_session_request(struct grpc_call *call, const char *path, uint64_t timeout_ns);

/* A response without gRPC, for who does not speak it. */
int grpc_session_refuse_http(struct grpc_call *call, const char *http_status);

/* ---- grpc_call.c ---- */

struct chunk {
	struct list link;
	size_t size;
	size_t sent;
	uint8_t bytes[];
};

struct grpc_call {
	struct grpc_endpoint *endpoint;
	struct grpc_connection *connection; /* NULL: the stream is gone */
	struct list link;		    /* in connection->calls */
	struct list due_link;		    /* in connection->due */
	int32_t stream;
	unsigned pins; /* callbacks that are running */
	bool doomed;   /* freed with the last pin */
	struct call_timer *timer;
	struct grpc_peer peer;

	/* what the peer sent first */
	char *path;
	size_t header_bytes;
	bool is_post;
	bool is_grpc;
	bool is_encoded; /* in a compression */
	uint64_t timeout_ns; /* of grpc-timeout; UINT64_MAX: none */
	uint64_t deadline_ns; /* by uv_hrtime(); UINT64_MAX: none */

	/* server */
	const struct grpc_method *method;
	void *context;
	bool started;	/* a handler owns the call */
	bool finished;	/* nobody owns it any more */
	bool cancelled;

	/* client */
	bool has_status;
	unsigned http_status;
	bool cancelled_here;

	/* the end: sent by a server, received by a client */
	bool ended;
	enum grpc_status status;
	const char *reason; /* static, or the client's */
	struct buf message;

	/* in */
	const ProtobufCMessageDescriptor *incoming;
	struct grpc_frame_reader reader;
	struct buf pending; /* came while paused */
	size_t messages_in;
	bool paused;
	bool peer_done;
	bool half_close_told;

	/* out */
	struct list queue;
	size_t queued;
	size_t messages_out;
	bool responded;	   /* the headers are out */
	bool deferred;	   /* nghttp2 waits for data */
	bool wants_writable; /* a sender was asked to pause */
	bool is_client_stream; /* client: more messages may be queued */

	const struct grpc_events *events;
	void *data;
	struct arena arena;
	struct arena *reply_arena; /* grpc_client_unary()'s; else NULL */
};

struct grpc_call *grpc_call_new(struct grpc_connection *connection);

/* From the session. */
void grpc_call_on_headers(struct grpc_call *call);
void grpc_call_on_data(struct grpc_call *call, const uint8_t *bytes, size_t size);
void grpc_call_on_peer_done(struct grpc_call *call);
void grpc_call_on_stream_close(struct grpc_call *call, uint32_t http2_error);
void grpc_call_on_connection_lost(struct grpc_call *call);

/* Copies queued bytes for the wire; returns how many. */
size_t grpc_call_fill(struct grpc_call *call, uint8_t *bytes, size_t size);

/* What waits to be told: resumed messages, room in the queue. */
void grpc_call_deliver(struct grpc_call *call);

/* Server: ends a call from our side, and tells its handler where it has one. @code: -ECANCELED or -ETIMEDOUT. */
void grpc_call_abort(struct grpc_call *call, enum grpc_status status, int code, const char *message);

/* Client: the end, with what call->status, reason and message say. */
void grpc_call_complete(struct grpc_call *call);
void grpc_call_set_end(struct grpc_call *call, enum grpc_status status, const char *reason, const char *message);

/* Starts or moves the timer to @deadline_ns. */
int grpc_call_arm(struct grpc_call *call, uint64_t deadline_ns);

/* ---- grpc_client.c ---- */

/* Keeps the text of a reason for as long as the client lives; NULL where there are too many. */
const char *grpc_client_reason(struct grpc_endpoint *endpoint, const char *text, size_t length);
