/* Requests and who waits for their answers; the calls that block. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "core/base/scoped.h"
#include "core/base/str.h"
#include "signals/lib/client.h"

int client_ask(struct axle_signal *client, enum pending_kind kind, void *target, const char *format, ...)
{
	if (client->socket_fd < 0)
		return -ENOTCONN;
	struct pending *pending = calloc(1, sizeof *pending);
	if (!pending)
		return -ENOMEM;
	*pending = (struct pending){.kind = kind, .target = target};
	size_t before = client->out.size;
	va_list args;
	va_start(args, format);
	int r = buf_vprintf(&client->out, format, args);
	va_end(args);
	if (r == 0 && client->out.size - before >= LINE_BYTES_MAX)
		r = -EMSGSIZE;
	if (r == 0 && !line_text_fits(client->out.data + before, client->out.size - before))
		r = -EINVAL;
	if (r == 0)
		r = buf_add_char(&client->out, '\n');
	if (r < 0) {
		client->out.size = before;
		if (client->out.data)
			client->out.data[before] = '\0';
		free(pending);
		return r;
	}
	*client->last_pending = pending;
	client->last_pending = &pending->next;
	return 0;
}

struct pending *client_pop_pending(struct axle_signal *client)
{
	struct pending *pending = client->first_pending;
	if (!pending)
		return NULL;
	client->first_pending = pending->next;
	if (!client->first_pending)
		client->last_pending = &client->first_pending;
	return pending;
}

void client_forget_target(struct axle_signal *client, const void *target)
{
	for (struct pending *pending = client->first_pending; pending; pending = pending->next)
		if (pending->target == target)
			pending->target = NULL;
}

int client_set_handle(struct axle_signal *client, uint64_t handle, struct handle value)
{
	if (handle >= CLIENT_HANDLES_MAX)
		return -ENOSPC;
	if (handle >= client->handle_count) {
		size_t count = client->handle_count ? client->handle_count : 64;
		while (count <= handle)
			count *= 2;
		struct handle *grown = realloc(client->handles, count * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		memset(grown + client->handle_count, 0, (count - client->handle_count) * sizeof *grown);
		client->handles = grown;
		client->handle_count = count;
	}
	client->handles[handle] = value;
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int axle_signal_fd(const struct axle_signal *client)
{
	return client->epoll_fd;
}

const char *axle_signal_error(const struct axle_signal *client)
{
	return client->err.message;
}

void axle_signal_on_link(struct axle_signal *client, axle_signal_link_fn *callback, void *user)
{
	client->on_link = callback;
	client->on_link_user = user;
}

void axle_signal_set_timeout(struct axle_signal *client, int timeout_ms)
{
	client->timeout_ms = timeout_ms;
}

static void take_timer(struct axle_signal *client)
{
	uint64_t expirations = 0;
	if (read(client->timer_fd, &expirations, sizeof expirations) < 0)
		return; /* not due: somebody read it before */
	if (client->socket_fd < 0) {
		client_connect(client);
		return;
	}
	for (struct axle_signal_claim *claim = client->claims; claim; claim = claim->next)
		if (claim->error == -EBUSY)
			client_request_claim(claim);
}

/* Waits up to @timeout_ms for any of our descriptors and serves them. */
static void serve(struct axle_signal *client, int timeout_ms)
{
	struct epoll_event events[2];
	int count = epoll_wait(client->epoll_fd, events, 2, timeout_ms);
	for (int i = 0; i < count; i++) {
		if (events[i].data.fd == client->timer_fd)
			take_timer(client);
		else if (events[i].data.fd == client->socket_fd)
			client_receive(client);
	}
	if (client->socket_fd >= 0 && client->out.size > 0)
		(void)client_send(client);
	if (client->have_dead)
		client_free_dead(client, false);
}

int axle_signal_dispatch(struct axle_signal *client)
{
	if (client->in_callback)
		return -EDEADLK;
	client->callbacks = 0;
	if (client->out.size > 0)
		(void)client_send(client);
	serve(client, 0);
	return client->callbacks;
}

int axle_signal_wait(struct axle_signal *client, int timeout_ms)
{
	if (client->in_callback)
		return -EDEADLK;
	int64_t deadline = now_ms() + timeout_ms;
	client->callbacks = 0;
	if (client->out.size > 0)
		(void)client_send(client);
	for (;;) {
		int64_t left = timeout_ms < 0 ? 1000 * 1000 : deadline - now_ms();
		serve(client, left > 0 ? (int)left : 0);
		if (client->callbacks > 0 || client->fatal)
			return client->callbacks ? client->callbacks : client->fatal;
		if (timeout_ms >= 0 && left <= 0)
			return 0;
	}
}

int axle_signal_flush(struct axle_signal *client)
{
	return client_send(client);
}

/* Serves until @done or the deadline. Errors: -ETIMEDOUT, -ENOTCONN, -EPROTONOSUPPORT. */
static int serve_until(struct axle_signal *client, const bool *done, int64_t deadline)
{
	while (!*done) {
		int64_t left = deadline - now_ms();
		if (client->fatal)
			return client->fatal;
		if (left <= 0 && client->socket_fd < 0)
			return -ENOTCONN; /* why is in client->err since the last attempt */
		if (left <= 0)
			return err_set(&client->err, -ETIMEDOUT, "signal.timeout", "no answer from %s", client->path);
		serve(client, (int)left);
	}
	return 0;
}

/* One request and its answer within the deadline. */
static int ask_once(struct axle_signal *client, const char *request, struct answer *answer, int64_t deadline)
{
	const bool *connected = &client->greeted;
	int r = serve_until(client, connected, deadline);
	if (r == 0)
		r = client_ask(client, PENDING_CALLER, answer, "%s", request);
	if (r < 0)
		return r;
	(void)client_send(client);
	r = serve_until(client, &answer->done, deadline);
	client_forget_target(client, answer);
	return r < 0 ? r : answer->r;
}

/* May the request be made again where the connection was lost before the answer? */
static bool is_repeatable(const char *request)
{
	return !str_after_prefix(request, "set ") && !str_after_prefix(request, "group ") &&
	       !str_after_prefix(request, "claim ");
}

static int ask(struct axle_signal *client, const char *request, struct answer *answer)
{
	if (client->in_callback)
		return -EDEADLK;
	int64_t deadline = now_ms() + client->timeout_ms;
	int r = 0;
	do {
		answer->done = false;
		buf_clear(&answer->text);
		r = ask_once(client, request, answer, deadline);
	} while (r == -ECONNRESET && is_repeatable(request) && now_ms() < deadline);
	if (r == -ECONNRESET)
		(void)err_set(&client->err, r, "signal.lost", "the connection was lost before the answer came");
	return r;
}

int axle_signal_request(struct axle_signal *client, const char *request, axle_signal_item_fn *item, void *user, char *buffer,
			size_t size)
{
	struct answer answer = {.text = {.max = LINE_BYTES_MAX}, .item = item, .user = user};
	int r = ask(client, request, &answer);
	if (r == 0 && buffer && answer.text.size + 1 > size)
		r = err_set(&client->err, -EMSGSIZE, "signal.buffer", "the answer has %zu bytes, the buffer holds %zu",
			    answer.text.size, size);
	if (r == 0 && buffer) {
		memcpy(buffer, answer.text.data ? answer.text.data : "", answer.text.size);
		buffer[answer.text.size] = '\0';
	}
	buf_done(&answer.text);
	return r;
}

static int request_path(struct axle_signal *client, const char *verb, const char *path, char *buffer, size_t size)
{
	scoped_free char *request = str_printf("%s %s", verb, path);
	return request ? axle_signal_request(client, request, NULL, NULL, buffer, size) : -ENOMEM;
}

int axle_signal_get(struct axle_signal *client, const char *path, char *buffer, size_t size)
{
	return request_path(client, "get", path, buffer, size);
}

int axle_signal_meta(struct axle_signal *client, const char *path, char *buffer, size_t size)
{
	return request_path(client, "meta", path, buffer, size);
}

int axle_signal_state(struct axle_signal *client, const char *path, char *buffer, size_t size)
{
	return request_path(client, "state", path, buffer, size);
}

int axle_signal_set(struct axle_signal *client, const char *path, const char *value)
{
	scoped_free char *request = str_printf("set %s %s", path, value);
	return request ? axle_signal_request(client, request, NULL, NULL, NULL, 0) : -ENOMEM;
}

int axle_signal_actuate(struct axle_signal *client, const char *path, const char *value, int timeout_ms)
{
	scoped_free char *request = str_printf("set %s %s", path, value);
	if (!request)
		return -ENOMEM;
	client->outcome_wanted = true;
	client->outcome_there = false;
	client->outcome_id = 0;
	int r = axle_signal_request(client, request, NULL, NULL, NULL, 0);
	if (r == 0 && client->outcome_id) {
		r = serve_until(client, &client->outcome_there, now_ms() + timeout_ms);
		r = r < 0 ? r : client->outcome;
	}
	client->outcome_wanted = false;
	return r;
}
