/* One call: what is queued for the peer, what came from it, how it ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/scoped.h"
#include "core/codec/proto.h"
#include "core/net/grpc_internal.h"

#define QUEUES_MAX 4 /* a sender that ignores GRPC_PAUSE is stopped at this many times queue_bytes */

/* ---- Life ---- */

struct call_timer {
	uv_timer_t handle;
	struct grpc_call *call; /* NULL: it is gone, the handle is closing */
};

struct grpc_call *grpc_call_new(struct grpc_connection *connection)
{
	struct grpc_call *call = calloc(1, sizeof *call);
	if (!call)
		return NULL;
	const struct grpc_limits *limits = &connection->endpoint->limits;
	call->endpoint = connection->endpoint;
	call->endpoint->calls++;
	call->connection = connection;
	call->peer = connection->peer;
	list_append(&connection->calls, &call->link);
	list_init(&call->queue);
	call->timeout_ns = UINT64_MAX;
	call->deadline_ns = UINT64_MAX;
	call->message.max = ERR_MESSAGE_MAX - 1;
	call->reader.body.max = limits->message_bytes;
	call->pending.max = limits->window_bytes;
	call->arena.max = limits->decoded_bytes;
	return call;
}

static void drop_queue(struct grpc_call *call)
{
	LIST_FOR_EACH (link, next, &call->queue) {
		list_remove(link);
		free(LIST_ENTRY(link, struct chunk, link));
	}
	grpc_endpoint_release(call->endpoint, call->queued);
	call->queued = 0;
}

static void drop_incoming(struct grpc_call *call)
{
	grpc_endpoint_release(call->endpoint, call->reader.body.size + call->pending.size);
	grpc_frame_reader_done(&call->reader);
	buf_done(&call->pending);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void disarm(struct grpc_call *call)
{
	if (!call->timer)
		return;
	call->timer->call = NULL;
	uv_close((uv_handle_t *)&call->timer->handle, on_timer_closed);
	call->timer = NULL;
}

static void call_free(struct grpc_call *call)
{
	if (call->pins > 0) {
		call->doomed = true;
		return;
	}
	struct grpc_endpoint *endpoint = call->endpoint;
	disarm(call);
	drop_queue(call);
	drop_incoming(call);
	grpc_endpoint_release(endpoint, call->arena.used);
	arena_done(&call->arena);
	buf_done(&call->message);
	free(call->path);
	free(call);
	endpoint->calls--;
	endpoint->on_gone(endpoint);
}

static void pin(struct grpc_call *call)
{
	call->pins++;
}

/* False where the call is gone. */
static bool unpin(struct grpc_call *call)
{
	if (--call->pins > 0 || !call->doomed)
		return true;
	call_free(call);
	return false;
}

/* The stream is no longer the call's business. */
static void detach(struct grpc_call *call)
{
	if (!call->connection)
		return;
	struct grpc_connection *connection = call->connection;
	if (call->stream > 0)
		(void)nghttp2_session_set_stream_user_data(connection->session, call->stream, NULL);
	list_remove(&call->link);
	list_remove(&call->due_link);
	call->connection = NULL;
	grpc_connection_touch(connection); /* one that drains may close now */
}

static void become_due(struct grpc_call *call)
{
	if (!call->connection)
		return;
	if (!list_linked(&call->due_link))
		list_append(&call->connection->due, &call->due_link);
	grpc_connection_touch(call->connection);
}

/* ---- Time ---- */

static void on_deadline(uv_timer_t *handle)
{
	struct call_timer *timer = handle->data;
	struct grpc_call *call = timer->call;
	if (!call)
		return;
	if (call->finished && call->connection) { /* its end was never read */
		(void)nghttp2_submit_rst_stream(call->connection->session, NGHTTP2_FLAG_NONE, call->stream,
						NGHTTP2_CANCEL);
		grpc_connection_touch(call->connection);
		return;
	}
	const char *message = call->started || !call->endpoint->is_server ? "the deadline has passed" :
									    "the request did not arrive in time";
	if (call->endpoint->is_server) {
		grpc_call_abort(call, GRPC_DEADLINE_EXCEEDED, -ETIMEDOUT, message);
		return;
	}
	call->cancelled_here = true;
	grpc_call_set_end(call, GRPC_DEADLINE_EXCEEDED, "grpc.deadline", message);
	grpc_call_complete(call);
}

int grpc_call_arm(struct grpc_call *call, uint64_t deadline_ns)
{
	if (deadline_ns == UINT64_MAX) {
		disarm(call);
		return 0;
	}
	if (!call->timer) {
		struct call_timer *timer = calloc(1, sizeof *timer);
		if (!timer)
			return -ENOMEM;
		(void)uv_timer_init(call->endpoint->loop, &timer->handle);
		timer->handle.data = timer;
		timer->call = call;
		call->timer = timer;
	}
	uint64_t now = uv_hrtime();
	uint64_t ms = deadline_ns > now ? (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS : 0;
	uv_update_time(call->endpoint->loop);
	return uv_timer_start(&call->timer->handle, on_deadline, ms, 0);
}

uint64_t grpc_call_remaining_ns(const struct grpc_call *call)
{
	if (call->deadline_ns == UINT64_MAX)
		return UINT64_MAX;
	uint64_t now = uv_hrtime();
	return call->deadline_ns > now ? call->deadline_ns - now : 0;
}

/* ---- Ends ---- */

void grpc_call_set_end(struct grpc_call *call, enum grpc_status status, const char *reason, const char *message)
{
	call->has_status = true;
	call->status = status;
	call->reason = reason;
	buf_clear(&call->message);
	size_t length = message ? strnlen(message, call->message.max) : 0;
	(void)buf_add(&call->message, message, length); /* without memory the status alone must do */
}

/* Server: the status goes behind what is queued. */
static void send_end(struct grpc_call *call)
{
	call->ended = true;
	if (!call->connection)
		return;
	int r = 0;
	if (!call->responded)
		r = grpc_session_respond(call);
	else if (call->deferred)
		r = nghttp2_session_resume_data(call->connection->session, call->stream);
	call->deferred = false;
	if (r != 0)
		(void)nghttp2_submit_rst_stream(call->connection->session, NGHTTP2_FLAG_NONE, call->stream,
						NGHTTP2_INTERNAL_ERROR);
	grpc_connection_touch(call->connection);
}

static void tell_cancelled(struct grpc_call *call, int code)
{
	if (call->cancelled || call->finished)
		return;
	call->cancelled = true;
	pin(call);
	if (call->events && call->events->on_cancel)
		call->events->on_cancel(call, code, call->data);
	(void)unpin(call);
}

void grpc_call_abort(struct grpc_call *call, enum grpc_status status, int code, const char *message)
{
	if (call->ended)
		return;
	drop_queue(call);
	drop_incoming(call);
	grpc_call_set_end(call, status, NULL, message);
	disarm(call);
	send_end(call);
	if (call->started)
		tell_cancelled(call, code);
	else
		call->finished = true;
}

/* The handler lets go of the call. */
static void finish(struct grpc_call *call, enum grpc_status status, const char *reason, const char *message)
{
	call->finished = true;
	disarm(call);
	if (!call->connection) {
		call_free(call);
		return;
	}
	if (!call->ended) {
		grpc_call_set_end(call, status, reason, message);
		send_end(call);
	}
	uint64_t linger_ns = call->endpoint->limits.stalled_ms * NS_PER_MS;
	if (!list_empty(&call->queue))
		(void)grpc_call_arm(call, uv_hrtime() + linger_ns); /* without a timer the connection's must do */
}

void grpc_call_finish(struct grpc_call *call)
{
	finish(call, GRPC_OK, NULL, NULL);
}

void grpc_call_fail(struct grpc_call *call, const struct err *err)
{
	finish(call, grpc_status_of_error(err->code), err->reason, err_text(err, err->code));
}

void grpc_call_fail_status(struct grpc_call *call, enum grpc_status status, const char *message)
{
	finish(call, status, NULL, message);
}

void grpc_call_reply(struct grpc_call *call, const ProtobufCMessage *reply)
{
	int r = grpc_call_send(call, reply);
	if (r >= 0 || r == -ECANCELED)
		grpc_call_finish(call);
	else
		grpc_call_fail_status(call, GRPC_RESOURCE_EXHAUSTED, "the reply is too large");
}

void grpc_call_complete(struct grpc_call *call)
{
	if (call->finished)
		return;
	call->finished = true;
	struct grpc_connection *connection = call->connection;
	if (connection && call->stream > 0)
		(void)nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, call->stream, NGHTTP2_CANCEL);
	detach(call);
	struct err err = {0};
	if (call->status != GRPC_OK)
		(void)err_set(&err, grpc_status_to_error(call->status), call->reason ? call->reason : "grpc.status", "%s",
			      call->message.size > 0 ? call->message.data : grpc_status_name(call->status));
	pin(call);
	if (call->events && call->events->on_done)
		call->events->on_done(call, call->status, &err, call->data);
	call->doomed = true;
	(void)unpin(call);
}

void grpc_call_cancel(struct grpc_call *call)
{
	grpc_call_set_end(call, GRPC_CANCELLED, "grpc.cancelled", "cancelled");
	grpc_call_complete(call);
}

/* ---- Out ---- */

static int check_room(const struct grpc_call *call, size_t size)
{
	const struct grpc_limits *limits = &call->endpoint->limits;
	if (size > limits->message_bytes)
		return -EMSGSIZE;
	return call->queued > QUEUES_MAX * limits->queue_bytes ? -ENOBUFS : 0;
}

static size_t queued_on(const struct grpc_connection *connection)
{
	size_t sum = 0;
	LIST_FOR_EACH (link, next, &connection->calls)
		sum += LIST_ENTRY(link, struct grpc_call, link)->queued;
	return sum;
}

/* Where peers that do not read hold all there is, the worst of them makes room for @call's: it loses its connection. */
static int make_room(struct grpc_call *call)
{
	struct grpc_endpoint *endpoint = call->endpoint;
	struct grpc_connection *worst = NULL;
	size_t most = endpoint->limits.message_bytes / 8;
	LIST_FOR_EACH (link, next, &endpoint->connections) {
		struct grpc_connection *connection = LIST_ENTRY(link, struct grpc_connection, link);
		size_t queued = connection->closing ? 0 : queued_on(connection);
		if (queued > most) {
			most = queued;
			worst = connection;
		}
	}
	if (!endpoint->is_server || !worst || worst == call->connection)
		return -ENOBUFS;
	log_warning(endpoint->log, "grpc.slow-peer", "a peer left %zu bytes of replies unread: its connection is closed", most);
	grpc_connection_close(worst);
	return 0;
}

static int hold_patiently(struct grpc_call *call, size_t size)
{
	int r = grpc_endpoint_hold(call->endpoint, size);
	while (r == -ENOBUFS && make_room(call) == 0)
		r = grpc_endpoint_hold(call->endpoint, size);
	return r;
}

static int enqueue(struct grpc_call *call, const ProtobufCMessage *message, size_t size)
{
	struct chunk *chunk = malloc(sizeof *chunk + GRPC_FRAME_HEADER + size);
	if (!chunk)
		return -ENOMEM;
	int r = hold_patiently(call, GRPC_FRAME_HEADER + size);
	if (r < 0) {
		free(chunk);
		return r;
	}
	*chunk = (struct chunk){.size = GRPC_FRAME_HEADER + size};
	grpc_frame_header(size, chunk->bytes);
	(void)protobuf_c_message_pack(message, chunk->bytes + GRPC_FRAME_HEADER);
	list_append(&call->queue, &chunk->link);
	call->queued += chunk->size;
	call->messages_out++;
	return 0;
}

static int wake_stream(struct grpc_call *call)
{
	int r = 0;
	if (!call->responded && call->endpoint->is_server)
		r = grpc_session_respond(call);
	else if (call->deferred)
		r = nghttp2_session_resume_data(call->connection->session, call->stream);
	call->deferred = false;
	return r == 0 ? 0 : -ENOMEM;
}

int grpc_call_send(struct grpc_call *call, const ProtobufCMessage *message)
{
	if (call->cancelled || call->finished || call->ended || !call->connection)
		return -ECANCELED;
	size_t size = protobuf_c_message_get_packed_size(message);
	int r = check_room(call, size);
	if (r == 0)
		r = enqueue(call, message, size);
	if (r == 0)
		r = wake_stream(call);
	if (r < 0)
		return r;
	grpc_connection_touch(call->connection);
	if (call->queued < call->endpoint->limits.queue_bytes)
		return 0;
	call->wants_writable = true;
	return GRPC_PAUSE;
}

void grpc_call_close_send(struct grpc_call *call)
{
	if (call->ended || !call->connection)
		return;
	call->ended = true;
	if (call->deferred)
		(void)nghttp2_session_resume_data(call->connection->session, call->stream);
	call->deferred = false;
	grpc_connection_touch(call->connection);
}

size_t grpc_call_fill(struct grpc_call *call, uint8_t *bytes, size_t size)
{
	size_t filled = 0;
	while (filled < size && !list_empty(&call->queue)) {
		struct chunk *chunk = LIST_ENTRY(call->queue.next, struct chunk, link);
		size_t part = chunk->size - chunk->sent < size - filled ? chunk->size - chunk->sent : size - filled;
		memcpy(bytes + filled, chunk->bytes + chunk->sent, part);
		chunk->sent += part;
		filled += part;
		if (chunk->sent == chunk->size) {
			list_remove(&chunk->link);
			free(chunk);
		}
	}
	call->queued -= filled;
	grpc_endpoint_release(call->endpoint, filled);
	if (call->wants_writable && call->queued <= call->endpoint->limits.queue_bytes / 4)
		become_due(call);
	return filled;
}

size_t grpc_call_queued(const struct grpc_call *call)
{
	return call->queued;
}

/* ---- In ---- */

/* The peer broke a rule: a server ends the call, a client too, each with what it saw. */
static void reject(struct grpc_call *call, const struct err *err)
{
	enum grpc_status status = grpc_status_of_error(err->code);
	if (call->endpoint->is_server) {
		grpc_call_abort(call, status, -ECANCELED, err->message);
		return;
	}
	grpc_call_set_end(call, status, err->reason, err->message);
	grpc_call_complete(call);
}

/* Decodes what the reader holds. What it becomes in memory is counted for as long as @arena lives. */
static int decode(struct grpc_call *call, struct arena *arena, const ProtobufCMessage **ret_message, struct err *err)
{
	struct grpc_endpoint *endpoint = call->endpoint;
	const struct buf *body = &call->reader.body;
	size_t free_bytes = endpoint->limits.total_bytes - endpoint->held_bytes;
	size_t before = arena->used;
	size_t max = arena->max;
	if (arena->max - before > free_bytes)
		arena->max = before + free_bytes;
	int r = arena->max == 0 ? err_set(err, -ENOBUFS, "grpc.memory", "too much is being sent at once") :
				  proto_decode(call->incoming, (const uint8_t *)body->data, body->size, arena,
					       ret_message, err);
	arena->max = max;
	endpoint->held_bytes += arena->used - before;
	grpc_endpoint_release(endpoint, body->size);
	grpc_frame_next(&call->reader);
	return r;
}

static bool is_streaming_in(const struct grpc_call *call)
{
	return !call->endpoint->is_server || call->method->shape == GRPC_STREAM;
}

/* One message to on_message, in memory of its own. False where the call is gone or takes no more. */
static bool deliver_message(struct grpc_call *call)
{
	struct grpc_endpoint *endpoint = call->endpoint;
	struct arena own = {.max = endpoint->limits.decoded_bytes};
	struct arena *arena = call->reply_arena ? call->reply_arena : &own;
	size_t before = arena->used;
	const ProtobufCMessage *message = NULL;
	struct err err = {0};
	int r = decode(call, arena, &message, &err);
	pin(call);
	if (r < 0)
		reject(call, &err);
	else if (call->events && call->events->on_message)
		call->events->on_message(call, message, call->data);
	grpc_endpoint_release(endpoint, arena->used - before);
	arena_done(&own);
	return unpin(call) && !call->finished && !call->cancelled;
}

/* Of a unary request: kept until its stream has ended, since one message too many would be an error. */
static bool keep_message(struct grpc_call *call)
{
	if (call->messages_in == 1)
		return true;
	struct err err;
	(void)err_set(&err, -EINVAL, "grpc.messages", "more than one message in a request that takes one");
	reject(call, &err);
	return false;
}

/* Takes bytes until they are used up or the receiver pauses. False where the call is gone or takes no more. */
static bool feed(struct grpc_call *call, const uint8_t *bytes, size_t size, size_t *ret_used)
{
	size_t used = 0;
	struct err err = {0};
	while (used < size && !call->paused) {
		size_t step = 0;
		size_t before = call->reader.body.size;
		int r = grpc_frame_read(&call->reader, bytes + used, size - used, &step, &err);
		if (r >= 0 && grpc_endpoint_hold(call->endpoint, call->reader.body.size - before) < 0) {
			call->reader.body.size = before; /* not counted, and about to be dropped */
			r = err_set(&err, -ENOBUFS, "grpc.memory", "too much is being sent at once");
		}
		if (r < 0) {
			reject(call, &err);
			return false;
		}
		used += step;
		if (r == 0)
			continue;
		call->messages_in++;
		if (is_streaming_in(call) ? !deliver_message(call) : !keep_message(call))
			return false;
	}
	*ret_used = used;
	return true;
}

static void consume(struct grpc_call *call, size_t size)
{
	if (call->connection && call->stream > 0 && size > 0)
		(void)nghttp2_session_consume_stream(call->connection->session, call->stream, size);
}

static bool takes_data(const struct grpc_call *call)
{
	return !call->finished && !call->cancelled && (!call->endpoint->is_server || (call->method && !call->ended));
}

void grpc_call_on_data(struct grpc_call *call, const uint8_t *bytes, size_t size)
{
	if (!takes_data(call)) {
		consume(call, size);
		return;
	}
	size_t used = 0;
	pin(call);
	bool goes_on = call->pending.size > 0 || feed(call, bytes, size, &used);
	if (!unpin(call))
		return;
	if (!goes_on) {
		consume(call, size);
		return;
	}
	consume(call, used);
	if (used == size)
		return;
	struct err err = {0};
	int r = grpc_endpoint_hold(call->endpoint, size - used);
	if (r == 0 && (r = buf_add(&call->pending, bytes + used, size - used)) < 0)
		grpc_endpoint_release(call->endpoint, size - used);
	if (r < 0) {
		(void)err_set(&err, r, "grpc.memory", "too much is being sent at once");
		reject(call, &err);
	}
}

/* What came while the receiver paused. False where the call is gone. */
static bool feed_pending(struct grpc_call *call)
{
	if (call->pending.size == 0 || call->paused)
		return true;
	struct buf pending = call->pending;
	call->pending = (struct buf){.max = pending.max};
	size_t used = 0;
	pin(call);
	bool goes_on = feed(call, (const uint8_t *)pending.data, pending.size, &used);
	grpc_endpoint_release(call->endpoint, goes_on ? used : pending.size);
	consume(call, goes_on ? used : pending.size);
	bool lives = unpin(call);
	if (!lives || !goes_on) {
		buf_done(&pending);
		return lives;
	}
	buf_consume(&pending, used);
	call->pending = pending;
	if (call->connection)
		grpc_connection_touch(call->connection); /* the peer's window has opened */
	return true;
}

static void tell_half_close(struct grpc_call *call)
{
	if (!call->peer_done || call->half_close_told || call->paused || call->pending.size > 0 || call->finished)
		return;
	bool closes_by_itself = call->stream > 0 && call->ended && list_empty(&call->queue);
	if (!call->endpoint->is_server && closes_by_itself)
		return; /* on_stream_close follows, and needs no RST_STREAM */
	call->half_close_told = true;
	if (grpc_frame_pending(&call->reader)) {
		struct err err;
		(void)err_set(&err, -EBADMSG, "grpc.malformed", "the stream ends within a message");
		reject(call, &err);
		return;
	}
	pin(call);
	if (!call->endpoint->is_server)
		grpc_call_complete(call);
	else if (call->started && !call->cancelled && call->events && call->events->on_half_close)
		call->events->on_half_close(call, call->data);
	(void)unpin(call);
}

/* Server: the one message of a unary request, once its stream has ended. */
static void dispatch(struct grpc_call *call)
{
	struct err err = {0};
	const ProtobufCMessage *request = NULL;
	int r = 0;
	if (call->messages_in == 0)
		r = err_set(&err, -EINVAL, "grpc.messages", "the request holds no message");
	else
		r = decode(call, &call->arena, &request, &err);
	if (r < 0) {
		reject(call, &err);
		return;
	}
	drop_incoming(call);
	call->endpoint->on_ready(call->endpoint, call, request);
}

void grpc_call_on_peer_done(struct grpc_call *call)
{
	if (call->peer_done)
		return;
	call->peer_done = true;
	if (!takes_data(call) || !call->connection)
		return;
	bool unary = call->endpoint->is_server && call->method->shape != GRPC_STREAM;
	if (unary && !(grpc_frame_pending(&call->reader) && call->messages_in == 0))
		dispatch(call);
	else
		tell_half_close(call);
}

void grpc_call_deliver(struct grpc_call *call)
{
	pin(call);
	if (call->wants_writable && call->queued <= call->endpoint->limits.queue_bytes / 4 && !call->cancelled &&
	    !call->finished) {
		call->wants_writable = false;
		if (call->events && call->events->on_writable)
			call->events->on_writable(call, call->data);
	}
	if (takes_data(call) && feed_pending(call))
		tell_half_close(call);
	(void)unpin(call);
}

void grpc_call_pause(struct grpc_call *call)
{
	call->paused = true;
}

void grpc_call_resume(struct grpc_call *call)
{
	call->paused = false;
	become_due(call);
}

/* ---- From the session ---- */

void grpc_call_on_headers(struct grpc_call *call)
{
	if (call->endpoint->is_server && !call->method && !call->ended)
		call->endpoint->on_request(call->endpoint, call);
}

static enum grpc_status status_of_http(unsigned http)
{
	static const struct {
		unsigned http;
		enum grpc_status status;
	} ROWS[] = { /* gRPC: doc/http-grpc-status-mapping.md */
		{400, GRPC_INTERNAL},	 {401, GRPC_UNAUTHENTICATED}, {403, GRPC_PERMISSION_DENIED},
		{404, GRPC_UNIMPLEMENTED}, {429, GRPC_UNAVAILABLE},	{502, GRPC_UNAVAILABLE},
		{503, GRPC_UNAVAILABLE}, {504, GRPC_UNAVAILABLE},
	};
	for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
		if (ROWS[i].http == http)
			return ROWS[i].status;
	return GRPC_UNKNOWN;
}

/* Client: the stream ended without grpc-status. */
static void guess_status(struct grpc_call *call, uint32_t http2_error)
{
	if (call->http_status != 0 && call->http_status != 200)
		grpc_call_set_end(call, status_of_http(call->http_status), "grpc.http", "the server does not speak gRPC");
	else if (http2_error == NGHTTP2_REFUSED_STREAM)
		grpc_call_set_end(call, GRPC_UNAVAILABLE, "grpc.refused", "the server has too many calls");
	else if (http2_error == NGHTTP2_CANCEL)
		grpc_call_set_end(call, GRPC_CANCELLED, "grpc.cancelled", "the server cancelled the call");
	else if (http2_error == NGHTTP2_ENHANCE_YOUR_CALM)
		grpc_call_set_end(call, GRPC_RESOURCE_EXHAUSTED, "grpc.refused", "the server refused the call");
	else
		grpc_call_set_end(call, GRPC_INTERNAL, "grpc.malformed", "the server ended the call without a status");
}

void grpc_call_on_stream_close(struct grpc_call *call, uint32_t http2_error)
{
	if (call->endpoint->is_server) {
		detach(call);
		call->stream = 0;
		if (call->finished || !call->started)
			call_free(call);
		else
			tell_cancelled(call, -ECANCELED);
		return;
	}
	if (!call->has_status)
		guess_status(call, http2_error);
	call->stream = 0;
	call->peer_done = true;
	if (call->paused || call->pending.size > 0)
		return; /* resuming delivers what came, then the end */
	tell_half_close(call);
}

void grpc_call_on_connection_lost(struct grpc_call *call)
{
	bool is_server = call->endpoint->is_server;
	if (!is_server) {
		if (!call->has_status)
			grpc_call_set_end(call, GRPC_UNAVAILABLE, "grpc.connection-lost",
					  "the connection to the server was lost");
		call->stream = 0;
		grpc_call_complete(call);
		return;
	}
	grpc_call_on_stream_close(call, NGHTTP2_CANCEL);
}

/* ---- Looking at a call ---- */

void grpc_call_set_events(struct grpc_call *call, const struct grpc_events *events, void *data)
{
	call->events = events;
	call->data = data;
}

void *grpc_call_data(const struct grpc_call *call)
{
	return call->data;
}

struct grpc_peer grpc_call_peer(const struct grpc_call *call)
{
	return call->peer;
}

const char *grpc_call_method(const struct grpc_call *call)
{
	return call->path;
}

bool grpc_call_cancelled(const struct grpc_call *call)
{
	return call->cancelled;
}

struct arena *grpc_call_arena(struct grpc_call *call)
{
	return &call->arena;
}
