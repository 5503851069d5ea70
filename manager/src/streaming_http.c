/* From a new connection to a client that is served: one request, its answer, the agreement on a protocol. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/net/http_upgrade.h"
#include "manager/src/node.h"
#include "manager/src/streaming_codec.h"
#include "manager/src/streaming_internal.h"

#define READ_STEP 4096
#define HEAD_MS 10000 /* for the request and for its answer, each */
#define LINGER_MS 1000
#define PROTOCOL_FIELD "x-stream-protocol-version"

/* What a client may ask for, best first. Without a word of it, it is the last of its kind (clients of Kubernetes 1.0). */
static const struct {
	bool forward;
	const char *name;
	int version;
} PROTOCOLS[] = {
	{false, "v4.channel.k8s.io", 4},
	{false, "v3.channel.k8s.io", 3},
	{false, "v2.channel.k8s.io", 2},
	{false, "channel.k8s.io", 1},
	{true, "portforward.k8s.io", 1},
};

static const struct {
	void (*run)(struct streaming_client *client);
	bool forward;
} KINDS[STREAMING_KIND_COUNT] = {
	[STREAMING_EXEC] = {streaming_run_command, false},
	[STREAMING_ATTACH] = {streaming_run_command, false},
	[STREAMING_PORT_FORWARD] = {streaming_run_forward, true},
};

struct visit {
	struct streaming *streaming;
	struct fibers *fibers;
	int socket; /* -1: handed over */
	bool is_stranger; /* counted as one; the reader is in use */
	struct http_head_reader reader;
	char bytes[READ_STEP]; /* with the bytes behind the head */
	const char *early;
	size_t early_size;
};

/* --- bytes --- */

static int read_head(struct visit *visit, struct err *err)
{
	int r = 0;
	while (r == 0) {
		r = fiber_await_fd(visit->fibers, visit->socket, UV_READABLE);
		if (r < 0)
			return err_set(err, r, "http.timeout", "no request came in time");
		ssize_t count = read(visit->socket, visit->bytes, sizeof visit->bytes);
		if (count < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (count <= 0)
			return -EPIPE;
		size_t used = 0;
		r = http_head_read(&visit->reader, visit->bytes, (size_t)count, &used, err);
		visit->early = visit->bytes + used;
		visit->early_size = (size_t)count - used;
	}
	return r < 0 ? r : 0;
}

static int send_all(struct visit *visit, const struct buf *bytes)
{
	(void)fiber_set_deadline(visit->fibers, uv_hrtime() + HEAD_MS * UINT64_C(1000000));
	size_t at = 0;
	while (at < bytes->size) {
		ssize_t count = send(visit->socket, bytes->data + at, bytes->size - at, MSG_NOSIGNAL);
		if (count >= 0) {
			at += (size_t)count;
			continue;
		}
		int r = errno == EAGAIN ? fiber_await_fd(visit->fibers, visit->socket, UV_WRITABLE) : -errno;
		if (r < 0)
			return r;
	}
	(void)fiber_set_deadline(visit->fibers, UINT64_MAX);
	return 0;
}

/* Says no, and waits for the client to have read it. */
static void refuse(struct visit *visit, int status, const struct http_field *fields, size_t count, const char *text)
{
	scoped_done(buf_done) struct buf answer = {.max = 8192};
	if (http_answer(status, fields, count, text, &answer) < 0 || send_all(visit, &answer) < 0)
		return;
	(void)shutdown(visit->socket, SHUT_WR);
	(void)fiber_set_deadline(visit->fibers, uv_hrtime() + LINGER_MS * UINT64_C(1000000));
	char rest[READ_STEP];
	while (fiber_await_fd(visit->fibers, visit->socket, UV_READABLE) == 0 && read(visit->socket, rest, sizeof rest) > 0)
		;
	(void)fiber_set_deadline(visit->fibers, UINT64_MAX);
}

static void refuse_error(struct visit *visit, const struct err *err, int code)
{
	static const struct {
		int error;
		int status;
	} STATUSES[] = {{-EBADMSG, 400}, {-EMSGSIZE, 431}, {-EOPNOTSUPP, 501}, {-ETIMEDOUT, 408}};

	for (size_t i = 0; i < ARRAY_COUNT(STATUSES); i++)
		if (STATUSES[i].error == code)
			refuse(visit, STATUSES[i].status, NULL, 0, err_text(err, code));
}

/* --- what is asked for --- */

/* The best of what both know; -1: nothing. */
static int agree(const struct http_head *head, bool forward)
{
	const char *wish = NULL;
	for (size_t i = 0; i < ARRAY_COUNT(PROTOCOLS); i++) {
		if (PROTOCOLS[i].forward != forward)
			continue;
		for (size_t n = 0; (wish = http_head_value(head, PROTOCOL_FIELD, n)); n++)
			if (str_equal(wish, PROTOCOLS[i].name))
				return (int)i;
	}
	return -1;
}

static void refuse_protocol(struct visit *visit, bool forward)
{
	struct http_field fields[ARRAY_COUNT(PROTOCOLS)];
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_COUNT(PROTOCOLS); i++)
		if (PROTOCOLS[i].forward == forward)
			fields[count++] = (struct http_field){"X-Accepted-Stream-Protocol-Versions", PROTOCOLS[i].name};
	refuse(visit, 403, fields, count, "unable to upgrade: unable to negotiate protocol: none of the client's is known");
}

static bool may_upgrade(const struct http_head *head)
{
	return head->minor == 1 && http_head_has_token(head, "connection", "upgrade") &&
	       http_head_has_token(head, "upgrade", SPDY_CODEC.protocol);
}

static int answer_upgrade(struct visit *visit, int protocol)
{
	scoped_done(buf_done) struct buf answer = {.max = 1024};
	const struct http_field field = {"X-Stream-Protocol-Version", protocol >= 0 ? PROTOCOLS[protocol].name : ""};
	int r = http_answer_upgrade(SPDY_CODEC.protocol, &field, protocol >= 0, &answer);
	return r < 0 ? r : send_all(visit, &answer);
}

/* No stranger any more: what the request took is given back. */
static void end_visit(struct visit *visit)
{
	if (!visit->is_stranger)
		return;
	visit->is_stranger = false;
	streaming_count_down(visit->streaming, STREAMING_STRANGERS);
	http_head_reader_done(&visit->reader);
}

static void serve_request(struct visit *visit, const struct streaming_request *request)
{
	const struct http_head *head = &visit->reader.head;
	bool forward = KINDS[request->kind].forward;
	if (!may_upgrade(head)) {
		refuse(visit, 400, NULL, 0, "unable to upgrade: expected Connection: Upgrade and Upgrade: SPDY/3.1");
		return;
	}
	int protocol = agree(head, forward);
	if (protocol < 0 && http_head_value(head, PROTOCOL_FIELD, 0)) {
		refuse_protocol(visit, forward);
		return;
	}
	if (streaming_count_up(visit->streaming, STREAMING_CONNECTIONS) < 0) {
		refuse(visit, 503, NULL, 0, "too many streaming connections are open");
		return;
	}
	struct streaming_client client = {
		.node = streaming_node(visit->streaming),
		.streaming = visit->streaming,
		.request = request,
		.version = protocol < 0 ? 1 : PROTOCOLS[protocol].version,
		.socket = visit->socket,
		.early = visit->early,
		.early_size = visit->early_size,
	};
	if (answer_upgrade(visit, protocol) == 0) {
		end_visit(visit);
		visit->socket = -1;
		KINDS[request->kind].run(&client);
	}
	streaming_count_down(visit->streaming, STREAMING_CONNECTIONS);
}

static void serve(struct visit *visit)
{
	struct err err = {0};
	(void)fiber_set_deadline(visit->fibers, uv_hrtime() + HEAD_MS * UINT64_C(1000000));
	int r = read_head(visit, &err);
	(void)fiber_set_deadline(visit->fibers, UINT64_MAX);
	if (r < 0) {
		refuse_error(visit, &err, r);
		return;
	}
	const struct http_head *head = &visit->reader.head;
	if (!str_equal(head->method, "POST") && !str_equal(head->method, "GET")) {
		refuse(visit, 405, &(struct http_field){"Allow", "GET, POST"}, 1, "expected GET or POST");
		return;
	}
	scoped(streaming_request_free) struct streaming_request *request = streaming_take(visit->streaming, head->path);
	if (!request)
		refuse(visit, 404, NULL, 0, "no such streaming request: it was used, its time is over, or there never was one");
	else
		serve_request(visit, request);
}

void streaming_serve(struct streaming *streaming, int socket)
{
	struct visit visit = {
		.streaming = streaming,
		.fibers = streaming_node(streaming)->fibers,
		.socket = socket,
		.is_stranger = true,
		.reader = {.bytes.max = HTTP_HEAD_MAX},
	};
	serve(&visit);
	if (visit.socket >= 0)
		(void)close(visit.socket);
	end_visit(&visit);
}
