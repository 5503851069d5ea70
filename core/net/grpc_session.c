/* HTTP/2 of one connection: nghttp2 speaks it, this file says what its frames mean to calls.
 * (RFC 9113; gRPC over HTTP/2) */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/parse.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/net/grpc_internal.h"

#define HEADER_BYTES_MAX (16 * 1024)
#define CONNECTION_WINDOWS 4 /* a connection may send ahead this many times what one stream may */
#define SEND_BYTES (64 * 1024)

/* PING, SETTINGS, RST_STREAM and the like cost their sender nearly nothing: a burst of this many, then so many a second.
 * (CVE-2019-9512, 9514, 9515, CVE-2023-44487 are floods of one of them each.) */
#define CREDIT_MAX 5000
#define CREDIT_PER_SECOND 500

static struct grpc_call *call_of(nghttp2_session *session, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(session, stream);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_connection *connection = user;
	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	struct grpc_call *call = connection->closing ? NULL : grpc_call_new(connection);
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	call->stream = frame->hd.stream_id;
	return nghttp2_session_set_stream_user_data(session, call->stream, call);
}

struct text {
	const char *bytes;
	size_t length;
};

static bool text_is(struct text text, const char *expected)
{
	return text.length == strlen(expected) && memcmp(text.bytes, expected, text.length) == 0;
}

static int take_path(struct grpc_call *call, struct text value)
{
	free(call->path);
	call->path = strndup(value.bytes, value.length);
	return call->path ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int take_method(struct grpc_call *call, struct text value)
{
	call->is_post = text_is(value, "POST");
	return 0;
}

static int take_content_type(struct grpc_call *call, struct text value)
{
	static const char GRPC[] = "application/grpc";
	size_t length = sizeof GRPC - 1;
	if (value.length < length || memcmp(value.bytes, GRPC, length) != 0)
		return 0;
	struct text rest = {value.bytes + length, value.length - length};
	call->is_grpc = rest.length == 0 || text_is(rest, "+proto") || *rest.bytes == ';';
	return 0;
}

static int take_timeout(struct grpc_call *call, struct text value)
{
	return grpc_timeout_parse(value.bytes, value.length, &call->timeout_ns) < 0 ?
		       NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE :
		       0;
}

static int take_encoding(struct grpc_call *call, struct text value)
{
	call->is_encoded = !text_is(value, "identity");
	return 0;
}

static int take_http_status(struct grpc_call *call, struct text value)
{
	char text[4] = {0};
	uint64_t number = 0;
	memcpy(text, value.bytes, value.length < 3 ? value.length : 3);
	if (parse_u64(text, 100, 999, &number) == 0)
		call->http_status = (unsigned)number;
	return 0;
}

static int take_grpc_status(struct grpc_call *call, struct text value)
{
	call->has_status = grpc_status_parse(value.bytes, value.length, &call->status) == 0;
	return 0;
}

static int take_grpc_message(struct grpc_call *call, struct text value)
{
	buf_clear(&call->message);
	return grpc_message_decode(value.bytes, value.length, &call->message) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int take_reason(struct grpc_call *call, struct text value)
{
	call->reason = grpc_client_reason(call->endpoint, value.bytes, value.length);
	return 0;
}

static const struct header_row {
	const char *name;
	bool of_server; /* what a server reads; else a client */
	int (*take)(struct grpc_call *call, struct text value);
} HEADERS[] = {
	{":path", true, take_path},
	{":method", true, take_method},
	{"content-type", true, take_content_type},
	{"grpc-timeout", true, take_timeout},
	{"grpc-encoding", true, take_encoding},
	{":status", false, take_http_status},
	{"content-type", false, take_content_type},
	{"grpc-encoding", false, take_encoding},
	{"grpc-status", false, take_grpc_status},
	{"grpc-message", false, take_grpc_message},
	{GRPC_REASON_HEADER, false, take_reason},
};

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
		     const uint8_t *value, size_t value_length, uint8_t flags, void *user)
{
	struct grpc_connection *connection = user;
	(void)flags;
	struct grpc_call *call = call_of(session, frame->hd.stream_id);
	if (!call)
		return 0;
	call->header_bytes += name_length + value_length + 32; /* RFC 9113, 10.5.1 */
	if (call->header_bytes > HEADER_BYTES_MAX)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	for (size_t i = 0; i < ARRAY_COUNT(HEADERS); i++)
		if (HEADERS[i].of_server == connection->endpoint->is_server &&
		    text_is((struct text){(const char *)name, name_length}, HEADERS[i].name))
			return HEADERS[i].take(call, (struct text){(const char *)value, value_length});
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t size,
		   void *user)
{
	(void)flags;
	(void)user;
	struct grpc_call *call = call_of(session, stream);
	(void)nghttp2_session_consume_connection(session, size);
	if (call)
		grpc_call_on_data(call, bytes, size);
	else
		(void)nghttp2_session_consume_stream(session, stream, size);
	return 0;
}

/* Takes from the peer's credit; false where it is used up. */
static bool pay(struct grpc_connection *connection)
{
	uint64_t now = uv_hrtime();
	uint64_t earned = (now - connection->credit_at_ns) / (1000000000 / CREDIT_PER_SECOND);
	if (earned > 0) {
		connection->credit_at_ns = now;
		connection->credit = connection->credit + earned > CREDIT_MAX ? CREDIT_MAX : connection->credit + earned;
	}
	if (connection->credit == 0)
		return false;
	connection->credit--;
	return true;
}

static bool is_free_of_charge(const nghttp2_frame *frame)
{
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS: /* the number of streams is bounded */
	case NGHTTP2_WINDOW_UPDATE: /* answers nothing, and comes as often as we send */
		return true;
	case NGHTTP2_DATA:
		return frame->hd.length > 0 || frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	default:
		return false;
	}
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_connection *connection = user;
	if (!is_free_of_charge(frame) && !pay(connection)) {
		connection->going = true;
		return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
	}
	if (frame->hd.type == NGHTTP2_SETTINGS)
		connection->greeted = true;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		connection->going = true;
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;

	struct grpc_call *call = call_of(session, frame->hd.stream_id);
	if (call && frame->hd.type == NGHTTP2_HEADERS)
		grpc_call_on_headers(call);
	call = call_of(session, frame->hd.stream_id);
	if (call && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		grpc_call_on_peer_done(call);
	return 0;
}

/* A server that has said all does not wait for the rest of a request (RFC 9113, 8.1). */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct grpc_connection *connection = user;
	if (!connection->endpoint->is_server || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
	    (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
		return 0;
	struct grpc_call *call = call_of(session, frame->hd.stream_id);
	if (call && !call->peer_done)
		return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *user)
{
	(void)user;
	struct grpc_call *call = call_of(session, stream);
	if (call)
		grpc_call_on_stream_close(call, error);
	return 0;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
	nghttp2_session_callbacks *callbacks = NULL;
	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	return callbacks;
}

static int session_new(struct grpc_connection *connection, const nghttp2_session_callbacks *callbacks)
{
	nghttp2_option *option = NULL;
	if (nghttp2_option_new(&option) != 0)
		return -ENOMEM;
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	int r = connection->endpoint->is_server ?
			nghttp2_session_server_new2(&connection->session, callbacks, connection, option) :
			nghttp2_session_client_new2(&connection->session, callbacks, connection, option);
	nghttp2_option_del(option);
	return r == 0 ? 0 : -ENOMEM;
}

static int submit_settings(struct grpc_connection *connection)
{
	const struct grpc_limits *limits = &connection->endpoint->limits;
	nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->window_bytes},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_BYTES_MAX},
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	};
	size_t count = connection->endpoint->is_server ? ARRAY_COUNT(settings) - 1 : ARRAY_COUNT(settings);
	int r = nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings, count);
	if (r == 0)
		r = nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0,
							  (int32_t)(limits->window_bytes * CONNECTION_WINDOWS));
	return r == 0 ? 0 : -ENOMEM;
}

int grpc_session_new(struct grpc_connection *connection)
{
	nghttp2_session_callbacks *callbacks = make_callbacks();
	if (!callbacks)
		return -ENOMEM;
	int r = session_new(connection, callbacks);
	nghttp2_session_callbacks_del(callbacks);
	connection->credit = CREDIT_MAX;
	connection->credit_at_ns = uv_hrtime();
	return r < 0 ? r : submit_settings(connection);
}

int grpc_session_receive(struct grpc_connection *connection, const uint8_t *bytes, size_t size)
{
	ssize_t used = nghttp2_session_mem_recv(connection->session, bytes, size);
	if (used == NGHTTP2_ERR_NOMEM)
		return -ENOMEM;
	return used < 0 ? -EPROTO : 0;
}

int grpc_session_send(struct grpc_connection *connection, struct buf *out)
{
	while (out->size < SEND_BYTES) {
		const uint8_t *bytes = NULL;
		ssize_t size = nghttp2_session_mem_send(connection->session, &bytes);
		if (size <= 0)
			return size == 0 ? 0 : -EPROTO;
		int r = buf_add(out, bytes, (size_t)size);
		if (r < 0)
			return r;
	}
	return 0;
}

#define NV(name_, value_)                                                                                              \
	(nghttp2_nv)                                                                                                   \
	{                                                                                                              \
		(uint8_t *)(uintptr_t)(name_), (uint8_t *)(uintptr_t)(value_), strlen(name_), strlen(value_),          \
			NGHTTP2_NV_FLAG_NONE                                                                           \
	}

#define END_HEADERS 3

/* grpc-status and what explains it; the numbers and texts must outlive the call to nghttp2, which copies them. */
static size_t end_headers(const struct grpc_call *call, char status[4], struct buf *encoded,
			  nghttp2_nv ret_headers[END_HEADERS])
{
	size_t count = 0;
	(void)snprintf(status, 4, "%u", (unsigned)call->status % 100);
	ret_headers[count++] = NV("grpc-status", status);
	if (call->message.size > 0 && grpc_message_encode(call->message.data, encoded) == 0)
		ret_headers[count++] = NV("grpc-message", encoded->data);
	if (call->reason)
		ret_headers[count++] = NV(GRPC_REASON_HEADER, call->reason);
	return count;
}

static int submit_trailers(struct grpc_call *call)
{
	char status[4];
	scoped_done(buf_done) struct buf encoded = {.max = 3 * ERR_MESSAGE_MAX};
	nghttp2_nv headers[END_HEADERS];
	size_t count = end_headers(call, status, &encoded, headers);
	return nghttp2_submit_trailer(call->connection->session, call->stream, headers, count);
}

static ssize_t read_queue(nghttp2_session *session, int32_t stream, uint8_t *bytes, size_t size, uint32_t *flags,
			  nghttp2_data_source *source, void *user)
{
	(void)session;
	(void)stream;
	(void)user;
	struct grpc_call *call = source->ptr;
	size_t filled = grpc_call_fill(call, bytes, size);
	if (!list_empty(&call->queue))
		return (ssize_t)filled;
	if (call->ended) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (call->endpoint->is_server) {
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			if (submit_trailers(call) != 0)
				return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		}
		return (ssize_t)filled;
	}
	if (filled > 0)
		return (ssize_t)filled;
	call->deferred = true;
	return NGHTTP2_ERR_DEFERRED;
}

int grpc_session_respond(struct grpc_call *call)
{
	nghttp2_nv headers[3 + END_HEADERS] = {
		NV(":status", "200"),
		NV("content-type", "application/grpc"),
	};
	size_t count = 2;
	if (call->is_encoded)
		headers[count++] = NV("grpc-accept-encoding", "identity");
	nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_queue};
	bool end_alone = call->ended && list_empty(&call->queue);
	char status[4];
	scoped_done(buf_done) struct buf encoded = {.max = 3 * ERR_MESSAGE_MAX};
	if (end_alone)
		count += end_headers(call, status, &encoded, headers + count);
	call->responded = true;
	int r = nghttp2_submit_response(call->connection->session, call->stream, headers, count,
					end_alone ? NULL : &provider);
	return r == 0 ? 0 : -ENOMEM;
}

int grpc_session_refuse_http(struct grpc_call *call, const char *http_status)
{
	nghttp2_nv headers[] = {NV(":status", http_status)};
	call->responded = true;
	call->ended = true;
	call->finished = true;
	int r = nghttp2_submit_response(call->connection->session, call->stream, headers, 1, NULL);
	return r == 0 ? 0 : -ENOMEM;
}

int grpc_session_request(struct grpc_call *call, const char *path, uint64_t timeout_ns)
{
	char timeout[16];
	nghttp2_nv headers[] = {
		NV(":method", "POST"),
		NV(":scheme", "http"),
		NV(":path", path),
		NV(":authority", "localhost"),
		NV("te", "trailers"),
		NV("content-type", "application/grpc"),
		NV("user-agent", "axle/" AXLE_VERSION),
		NV("grpc-timeout", ""),
	};
	size_t count = ARRAY_COUNT(headers) - 1;
	if (timeout_ns > 0) {
		grpc_timeout_format(timeout_ns, timeout);
		headers[count++] = NV("grpc-timeout", timeout);
	}
	nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_queue};
	int32_t stream =
		nghttp2_submit_request(call->connection->session, NULL, headers, count, &provider, call);
	if (stream < 0)
		return -ENOMEM;
	call->stream = stream;
	return 0;
}
