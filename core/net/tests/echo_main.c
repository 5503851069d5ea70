/* grpc_echo: axle.test.Echo over a UNIX socket, for tests/grpc/, where other implementations are at the other end.
 *
 *	grpc_echo serve SOCKET [MESSAGE_BYTES]      until SIGTERM; prints "ready"
 *	grpc_echo say SOCKET TEXT [TIMEOUT_MS]      one unary call
 *	grpc_echo count SOCKET COUNT BYTES          reads a server stream, prints the number of messages and of bytes
 *	grpc_echo chat SOCKET COUNT BYTES           sends so many messages and reads as many back */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/net/echo.pb-c.h"
#include "core/net/tests/echo.h"
#include "core/sys/usocket.h"

static uint64_t number(const char *text)
{
	uint64_t value = 0;
	if (!text || parse_u64(text, 0, UINT32_MAX, &value) < 0)
		exit(2);
	return value;
}

static int complain(const struct err *err)
{
	(void)fprintf(stderr, "%s: %s\n", err->reason, err->message);
	return EXIT_FAILURE;
}

/* ---- The server ---- */

static void on_term(uv_signal_t *handle, int signal)
{
	(void)signal;
	grpc_server_close(handle->data, 1000, NULL, NULL);
	uv_close((uv_handle_t *)handle, NULL);
}

static int serve(uv_loop_t *loop, const char *path, const char *message_bytes)
{
	struct err err = {0};
	struct log log = log_to_stderr("grpc_echo");
	struct grpc_limits limits = {
		.message_bytes = message_bytes ? number(message_bytes) : 0, .handshake_ms = 500, .request_ms = 700};
	struct echo echo = {.loop = loop};
	struct grpc_server *server = NULL;
	int fd = usocket_listen(path, SOCK_STREAM, 0600, 16, &err);
	if (fd < 0 || grpc_server_new(loop, &limits, &log, &server) < 0 || echo_add(server, &echo, &err) < 0 ||
	    grpc_server_listen(server, fd, &err) < 0)
		return complain(&err);
	uv_signal_t term;
	(void)uv_signal_init(loop, &term);
	term.data = server;
	(void)uv_signal_start(&term, on_term, SIGTERM);
	(void)puts("ready");
	(void)fflush(stdout);
	(void)uv_run(loop, UV_RUN_DEFAULT);
	return EXIT_SUCCESS;
}

/* ---- The client ---- */

static struct grpc_client *dial(uv_loop_t *loop, const char *path)
{
	struct err err = {0};
	struct grpc_client *client = NULL;
	int fd = usocket_connect(path, SOCK_STREAM, &err);
	if (fd < 0 || grpc_client_new(loop, fd, NULL, &client, &err) < 0)
		exit(complain(&err));
	return client;
}

static int say(uv_loop_t *loop, const char *path, const char *text, const char *timeout_ms)
{
	struct grpc_client *client = dial(loop, path);
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	request.text = text;
	struct grpc_request call = {.service = &test__echo__descriptor,
				    .method = "Say",
				    .message = &request.base,
				    .timeout_ns = timeout_ms ? number(timeout_ms) * 1000000 : 0};
	struct arena arena = {.max = 64 << 20};
	const ProtobufCMessage *reply = NULL;
	struct err err = {0};
	int r = grpc_client_unary(client, &call, &arena, &reply, &err);
	if (r == 0)
		(void)printf("%s\n", ((const Test__EchoReply *)(const void *)reply)->text);
	else
		(void)complain(&err);
	grpc_client_close(client);
	(void)uv_run(loop, UV_RUN_DEFAULT);
	arena_done(&arena);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

struct stream {
	uint64_t to_send, sent, received, bytes;
	uint8_t *data;
	size_t data_bytes;
	int result;
};

static void on_message(struct grpc_call *call, const ProtobufCMessage *message, void *data)
{
	struct stream *stream = data;
	(void)call;
	stream->received++;
	stream->bytes += ((const Test__EchoReply *)(const void *)message)->data.len;
}

static void on_done(struct grpc_call *call, enum grpc_status status, const struct err *err, void *data)
{
	struct stream *stream = data;
	(void)call;
	stream->result = status == GRPC_OK ? EXIT_SUCCESS : complain(err);
}

static void send_more(struct grpc_call *call, void *data)
{
	struct stream *stream = data;
	while (stream->sent < stream->to_send) {
		Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
		request.data = (ProtobufCBinaryData){stream->data_bytes, stream->data};
		stream->sent++;
		if (grpc_call_send(call, &request.base) != 0)
			return;
	}
	grpc_call_close_send(call);
}

static int stream(uv_loop_t *loop, char **argv, bool chat)
{
	static const struct grpc_events EVENTS = {
		.on_message = on_message, .on_done = on_done, .on_writable = send_more};
	struct grpc_client *client = dial(loop, argv[0]);
	struct stream stream = {.result = -1, .data_bytes = number(argv[2])};
	Test__EchoRequest request = TEST__ECHO_REQUEST__INIT;
	request.count = (uint32_t)number(argv[1]);
	request.reply_bytes = (uint32_t)stream.data_bytes;
	stream.data = calloc(1, stream.data_bytes + 1);
	stream.to_send = chat ? request.count : 0;
	struct grpc_request start = {.service = &test__echo__descriptor,
				     .method = chat ? "Chat" : "Count",
				     .message = chat ? NULL : &request.base,
				     .stream = chat};
	struct grpc_call *call = NULL;
	struct err err = {0};
	if (grpc_client_call(client, &start, &EVENTS, &stream, &call, &err) < 0)
		return complain(&err);
	if (chat)
		send_more(call, &stream);
	while (stream.result < 0)
		(void)uv_run(loop, UV_RUN_ONCE);
	(void)printf("%llu %llu\n", (unsigned long long)stream.received, (unsigned long long)stream.bytes);
	grpc_client_close(client);
	(void)uv_run(loop, UV_RUN_DEFAULT);
	free(stream.data);
	return stream.result;
}

int main(int argc, char **argv)
{
	uv_loop_t loop;
	if (argc < 3 || uv_loop_init(&loop) < 0)
		return 2;
	(void)signal(SIGPIPE, SIG_IGN);
	int result = 2;
	if (str_equal(argv[1], "serve"))
		result = serve(&loop, argv[2], argv[3]);
	else if (str_equal(argv[1], "say") && argc > 3)
		result = say(&loop, argv[2], argv[3], argv[4]);
	else if (argc > 4)
		result = stream(&loop, argv + 2, str_equal(argv[1], "chat"));
	if (uv_loop_close(&loop) < 0)
		return 3; /* something was left open */
	return result;
}
