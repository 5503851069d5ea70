#include "manager/src/streaming.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "manager/src/container.h"
#include "manager/src/node.h"
#include "manager/src/pod.h"
#include "manager/src/streaming_internal.h"
#include "manager/src/streaming_token.h"

#define BACKLOG 64
#define ACCEPT_PAUSE_MS 200

struct streaming {
	struct node *node;
	int listen_fd;
	uv_poll_t poll;
	uv_timer_t pause; /* runs while nothing is accepted: there are no descriptors */
	char address[INET6_ADDRSTRLEN + 8]; /* "127.0.0.1:41234" */
	struct tokens tokens;
	size_t counts[STREAMING_COUNT_COUNT];
	bool closed;
};

static const char *const KIND_PATHS[STREAMING_KIND_COUNT] = {
	[STREAMING_EXEC] = "/exec/",
	[STREAMING_ATTACH] = "/attach/",
	[STREAMING_PORT_FORWARD] = "/portforward/",
};

static const size_t LIMITS[STREAMING_COUNT_COUNT] = {
	[STREAMING_STRANGERS] = STREAMING_STRANGERS_MAX,
	[STREAMING_CONNECTIONS] = STREAMING_CONNECTIONS_MAX,
	[STREAMING_FORWARDS] = STREAMING_FORWARDS_MAX,
};

void streaming_request_free(struct streaming_request *request)
{
	if (!request)
		return;
	if (request->container)
		container_unref(request->container);
	if (request->pod)
		pod_unref(request->pod);
	strv_free(request->command);
	free(request);
}

static void release_request(void *object)
{
	streaming_request_free(object);
}

struct node *streaming_node(const struct streaming *streaming)
{
	return streaming->node;
}

int streaming_count_up(struct streaming *streaming, enum streaming_count count)
{
	if (streaming->counts[count] >= LIMITS[count])
		return -ENOBUFS;
	streaming->counts[count]++;
	return 0;
}

void streaming_count_down(struct streaming *streaming, enum streaming_count count)
{
	streaming->counts[count]--;
}

/* --- connections --- */

struct arrival {
	struct streaming *streaming;
	int socket;
};

static void run_arrival(void *data)
{
	struct arrival *arrival = data;
	streaming_serve(arrival->streaming, arrival->socket);
	free(arrival);
}

/* Keystrokes are not held back; a client that vanished behind a full window, where its end cannot be seen, is missed within
 * two minutes. Where an option is not to be had, the others are as good. */
static void set_options(int socket)
{
	static const struct {
		int level;
		int name;
		int value;
	} OPTIONS[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},	  {SOL_SOCKET, SO_KEEPALIVE, 1},  {IPPROTO_TCP, TCP_KEEPIDLE, 30},
		{IPPROTO_TCP, TCP_KEEPINTVL, 10}, {IPPROTO_TCP, TCP_KEEPCNT, 3},
	};
	for (size_t i = 0; i < ARRAY_COUNT(OPTIONS); i++)
		(void)setsockopt(socket, OPTIONS[i].level, OPTIONS[i].name, &OPTIONS[i].value, sizeof OPTIONS[i].value);
}

static int start_serving(struct streaming *streaming, int socket)
{
	set_options(socket);
	scoped_free struct arrival *arrival = malloc(sizeof *arrival);
	if (!arrival || streaming_count_up(streaming, STREAMING_STRANGERS) < 0)
		return -ENOBUFS;
	*arrival = (struct arrival){streaming, socket};
	int r = fiber_start(streaming->node->fibers, run_arrival, arrival, NULL);
	if (r < 0)
		streaming_count_down(streaming, STREAMING_STRANGERS);
	else
		TAKE(arrival);
	return r;
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
	struct streaming *streaming = timer->data;
	(void)uv_poll_start(&streaming->poll, UV_READABLE, on_connection);
}

/* Without descriptors a connection stays in the queue, and would wake the loop without end. */
static void pause_accepting(struct streaming *streaming)
{
	(void)uv_poll_stop(&streaming->poll);
	(void)uv_timer_start(&streaming->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
}

/* One at a time: the loop comes back while there are more. */
static void on_connection(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct streaming *streaming = poll->data;
	int socket = status < 0 ? -1 : accept4(streaming->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (socket < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		pause_accepting(streaming);
	if (socket >= 0 && start_serving(streaming, socket) < 0)
		(void)close(socket);
}

/* --- requests --- */

int streaming_url(struct streaming *streaming, struct streaming_request *request, struct arena *arena,
		  const char **ret_url, struct err *err)
{
	scoped(streaming_request_free) struct streaming_request *owned = request;
	if (!streaming || streaming->closed)
		return err_set(err, -ECONNRESET, "streaming.closed", "axled is ending");
	enum streaming_kind kind = request->kind;
	int64_t now = (int64_t)uv_hrtime();
	int64_t lifetime = streaming->node->config.streaming.url_lifetime_s * INT64_C(1000000000);
	char text[TOKEN_TEXT_MAX];
	int r = tokens_add(&streaming->tokens, owned, now, now + lifetime, text, err);
	if (r < 0)
		return r;
	TAKE(owned);
	const char *url = arena_printf(arena, "http://%s%s%s", streaming->address, KIND_PATHS[kind], text);
	if (!url)
		return err_memory(err, "URL");
	*ret_url = url;
	return 0;
}

/* What stands in the wrong path is used up as well. */
struct streaming_request *streaming_take(struct streaming *streaming, const char *path)
{
	for (size_t i = 0; i < STREAMING_KIND_COUNT; i++) {
		const char *token = str_after_prefix(path, KIND_PATHS[i]);
		struct streaming_request *request =
			token ? tokens_take(&streaming->tokens, token, (int64_t)uv_hrtime()) : NULL;
		if (request && request->kind == (enum streaming_kind)i)
			return request;
		streaming_request_free(request);
	}
	return NULL;
}

/* --- life --- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* config_parse() has checked that it is one of the loopback device. */
static socklen_t make_address(const struct config_streaming *config, union address *ret_address)
{
	*ret_address = (union address){0};
	if (inet_pton(AF_INET6, config->address, &ret_address->v6.sin6_addr) == 1) {
		ret_address->v6.sin6_family = AF_INET6;
		ret_address->v6.sin6_port = htons((uint16_t)config->port);
		return sizeof ret_address->v6;
	}
	(void)inet_pton(AF_INET, config->address, &ret_address->v4.sin_addr);
	ret_address->v4.sin_family = AF_INET;
	ret_address->v4.sin_port = htons((uint16_t)config->port);
	return sizeof ret_address->v4;
}

static int listen_on(struct streaming *streaming, struct err *err)
{
	const struct config_streaming *config = &streaming->node->config.streaming;
	union address address;
	socklen_t size = make_address(config, &address);
	streaming->listen_fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1;
	if (streaming->listen_fd < 0 ||
	    setsockopt(streaming->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(streaming->listen_fd, &address.any, size) < 0 || listen(streaming->listen_fd, BACKLOG) < 0 ||
	    getsockname(streaming->listen_fd, &address.any, &size) < 0)
		return err_sys(err, -errno, "streaming.listen", "streaming: listen on %s port %u", config->address,
			       config->port);
	bool v6 = address.any.sa_family == AF_INET6;
	(void)snprintf(streaming->address, sizeof streaming->address, v6 ? "[%s]:%u" : "%s:%u", config->address,
		       ntohs(v6 ? address.v6.sin6_port : address.v4.sin_port));
	return 0;
}

int streaming_open(struct node *node, struct streaming **ret_streaming, struct err *err)
{
	scoped_free struct streaming *streaming = calloc(1, sizeof *streaming);
	if (!streaming)
		return err_memory(err, "streaming server");
	*streaming = (struct streaming){.node = node, .listen_fd = -1, .tokens = {.release = release_request}};
	int r = listen_on(streaming, err);
	if (r == 0)
		r = uv_poll_init(node->loop, &streaming->poll, streaming->listen_fd);
	if (r == 0) {
		streaming->poll.data = streaming;
		r = uv_poll_start(&streaming->poll, UV_READABLE, on_connection);
	}
	if (r < 0) {
		if (streaming->listen_fd >= 0)
			(void)close(streaming->listen_fd);
		return r;
	}
	(void)uv_timer_init(node->loop, &streaming->pause);
	streaming->pause.data = streaming;
	*ret_streaming = TAKE(streaming);
	return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct streaming *streaming = handle->data;
	(void)close(streaming->listen_fd);
	streaming->listen_fd = -1;
}

void streaming_close(struct streaming *streaming)
{
	if (!streaming || streaming->closed)
		return;
	streaming->closed = true;
	tokens_done(&streaming->tokens);
	uv_close((uv_handle_t *)&streaming->pause, NULL);
	uv_close((uv_handle_t *)&streaming->poll, on_poll_closed);
}

void streaming_free(struct streaming *streaming)
{
	free(streaming);
}
