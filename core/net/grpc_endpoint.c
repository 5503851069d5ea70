/* What a server and a client have in common: limits, and the count of bytes they hold. */
#include <errno.h>

#include "core/net/grpc_internal.h"

#define MIB (1024 * 1024)
#define OR_DEFAULT(member, value) ((member) ? (member) : (value))

void grpc_limits_complete(const struct grpc_limits *limits, struct grpc_limits *ret_limits)
{
	struct grpc_limits given = limits ? *limits : (struct grpc_limits){0};
	*ret_limits = (struct grpc_limits){
		.message_bytes = OR_DEFAULT(given.message_bytes, 16 * MIB),
		.decoded_bytes = OR_DEFAULT(given.decoded_bytes, 64 * MIB),
		.total_bytes = OR_DEFAULT(given.total_bytes, 128 * MIB),
		.queue_bytes = OR_DEFAULT(given.queue_bytes, 256 * 1024),
		.window_bytes = OR_DEFAULT(given.window_bytes, 64 * 1024),
		.streams = OR_DEFAULT(given.streams, 256),
		.calls = OR_DEFAULT(given.calls, 4096),
		.connections = OR_DEFAULT(given.connections, 256),
		.handshake_ms = OR_DEFAULT(given.handshake_ms, 10000),
		.request_ms = OR_DEFAULT(given.request_ms, 30000),
		.stalled_ms = OR_DEFAULT(given.stalled_ms, 60000),
	};
}

void grpc_endpoint_init(struct grpc_endpoint *endpoint, uv_loop_t *loop, const struct grpc_limits *limits)
{
	endpoint->loop = loop;
	grpc_limits_complete(limits, &endpoint->limits);
	list_init(&endpoint->dirty);
	list_init(&endpoint->connections);
	(void)uv_prepare_init(loop, &endpoint->flush);
	endpoint->flush.data = endpoint;
}

int grpc_endpoint_hold(struct grpc_endpoint *endpoint, size_t bytes)
{
	if (bytes > endpoint->limits.total_bytes - endpoint->held_bytes)
		return -ENOBUFS;
	endpoint->held_bytes += bytes;
	return 0;
}

void grpc_endpoint_release(struct grpc_endpoint *endpoint, size_t bytes)
{
	endpoint->held_bytes -= bytes;
}
