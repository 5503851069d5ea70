#include "cli/src/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/usocket.h"

#define SOCKET_DEFAULT "/run/axle/axle.sock"
#define ARENA_BYTES_MAX (256UL << 20)

int cli_init(struct cli *cli, const char *socket, struct err *err)
{
	const char *environment = getenv("AXLE_SOCKET");
	*cli = (struct cli){.arena.max = ARENA_BYTES_MAX};
	cli->socket = !str_empty(socket) ? socket : !str_empty(environment) ? environment : SOCKET_DEFAULT;
	const char *path = str_after_prefix(cli->socket, "unix://");
	if (path)
		cli->socket = path;
	(void)signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error of write(2) */
	int r = uv_loop_init(&cli->loop);
	return r < 0 ? err_sys(err, r, "cli.loop", "begin") : 0;
}

void cli_done(struct cli *cli)
{
	grpc_client_close(cli->client);
	(void)uv_run(&cli->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&cli->loop);
	arena_done(&cli->arena);
}

static int explain_connect(const struct cli *cli, int code, struct err *err)
{
	switch (code) {
	case -ENOENT:
	case -ECONNREFUSED:
		return err_set(err, code, "daemon.absent", "cannot connect to %s: is axled running?", cli->socket);
	case -EACCES:
	case -EPERM:
		return err_set(err, code, "daemon.denied",
			       "cannot connect to %s: permission denied: expected root, or a member of the socket's group",
			       cli->socket);
	default:
		return err_add(err, code, "cannot connect to %s", cli->socket);
	}
}

int cli_connect(struct cli *cli, struct err *err)
{
	if (cli->client)
		return 0;
	int fd = usocket_connect(cli->socket, SOCK_STREAM, err);
	if (fd < 0)
		return explain_connect(cli, fd, err);
	return grpc_client_new(&cli->loop, fd, NULL, &cli->client, err);
}

/* What the transport says of a vanished server, in words for a person. */
static int explain_lost(const struct cli *cli, int code, struct err *err)
{
	if (str_equal(err->reason, "grpc.connection-lost"))
		(void)err_set(err, code, err->reason, "%s: the connection to axled was lost", cli->socket);
	return code;
}

const void *cli_call(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
		     const ProtobufCMessage *request, struct err *err)
{
	const struct grpc_request call = {.service = service, .method = method, .message = request};
	const ProtobufCMessage *reply = NULL;
	int r = cli_connect(cli, err);
	if (r < 0)
		return NULL;
	r = grpc_client_unary(cli->client, &call, &cli->arena, &reply, err);
	if (r < 0) {
		(void)explain_lost(cli, r, err);
		return NULL;
	}
	return reply;
}

int cli_do(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	   const ProtobufCMessage *request, struct err *err)
{
	return cli_call(cli, service, method, request, err) ? 0 : err->code;
}

struct stream {
	void (*on_message)(const ProtobufCMessage *message, void *data);
	void *data;
	struct err *err;
	int result;
	bool done;
};

static void on_stream_message(struct grpc_call *call, const ProtobufCMessage *message, void *data)
{
	struct stream *stream = data;
	(void)call;
	stream->on_message(message, stream->data);
}

static void on_stream_done(struct grpc_call *call, enum grpc_status status, const struct err *err, void *data)
{
	struct stream *stream = data;
	(void)call;
	stream->done = true;
	if (status != GRPC_OK)
		stream->result = err_set(stream->err, err->code, err->reason, "%s", err->message);
}

int cli_stream(struct cli *cli, const ProtobufCServiceDescriptor *service, const char *method,
	       const ProtobufCMessage *request, void (*on_message)(const ProtobufCMessage *message, void *data),
	       void *data, struct err *err)
{
	static const struct grpc_events EVENTS = {.on_message = on_stream_message, .on_done = on_stream_done};
	const struct grpc_request start = {.service = service, .method = method, .message = request};
	struct stream stream = {.on_message = on_message, .data = data, .err = err};
	struct grpc_call *call = NULL;
	int r = cli_connect(cli, err);
	if (r == 0)
		r = grpc_client_call(cli->client, &start, &EVENTS, &stream, &call, err);
	if (r < 0)
		return r;
	while (!stream.done)
		(void)uv_run(&cli->loop, UV_RUN_ONCE);
	return stream.result < 0 ? explain_lost(cli, stream.result, err) : 0;
}

const Axle__InspectContainerResponse *cli_container(struct cli *cli, const char *reference, struct err *err)
{
	Axle__InspectContainerRequest request = AXLE__INSPECT_CONTAINER_REQUEST__INIT;
	request.container = reference;
	request.all_owners = 1;
	return cli_call(cli, &axle__containers__descriptor, "Inspect", &request.base, err);
}
