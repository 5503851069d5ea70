/* What a client may write to a server's socket, from the first byte of HTTP/2 on. Whatever it is, once the connection is
 * closed the server holds no call and no byte. */
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/fuzz/target.h"
#include "core/net/grpc_internal.h"
#include "core/net/tests/echo.h"

#define INPUT_BYTES_MAX (64 * 1024) /* what a socket pair takes at once */

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void on_closed(void *data)
{
	*(bool *)data = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > INPUT_BYTES_MAX)
		return 0;
	struct err err = {0};
	uv_loop_t loop;
	struct echo echo = {.loop = &loop};
	struct grpc_limits limits = {.message_bytes = 4096, .decoded_bytes = 65536, .total_bytes = 1 << 20};
	struct grpc_server *server = NULL;
	struct grpc_connection *connection = NULL;
	int fds[2];
	(void)signal(SIGPIPE, SIG_IGN);
	check(uv_loop_init(&loop) == 0);
	check(grpc_server_new(&loop, &limits, NULL, &server) == 0 && echo_add(server, &echo, &err) == 0);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	struct grpc_endpoint *endpoint = (struct grpc_endpoint *)server;
	check(grpc_connection_new(endpoint, fds[0], &connection, &err) == 0);

	check(size == 0 || write(fds[1], data, size) == (ssize_t)size);
	for (int i = 0; i < 4; i++)
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	(void)close(fds[1]);
	while (!list_empty(&endpoint->connections))
		(void)uv_run(&loop, UV_RUN_NOWAIT);
	check(endpoint->calls == 0 && endpoint->held_bytes == 0);

	bool closed = false;
	grpc_server_close(server, 0, on_closed, &closed);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	check(closed && uv_loop_close(&loop) == 0);
	return 0;
}
