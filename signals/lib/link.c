#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/scoped.h"
#include "core/base/str.h"
#include "signals/lib/client.h"

#define DEFAULT_SOCKET "/run/axle/signal.sock"
#define CONTAINER_SOCKET "/dev/signal.sock" /* of a container's view, where its OCI hook binds it */
#define DEFAULT_TIMEOUT_MS 5000
#define READS_PER_DISPATCH 64 /* so that a flood leaves the caller's other descriptors their turn */

void client_arm_timer(struct axle_signal *client, int milliseconds)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000}};
	(void)timerfd_settime(client->timer_fd, 0, &when, NULL); /* cannot fail with these arguments */
}

static int watch(struct axle_signal *client, int operation, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data = {.fd = fd}};
	return epoll_ctl(client->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

static int try_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, path, strlen(path) + 1); /* axle_signal_open() has seen to the length */
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	return TAKE_FD(fd);
}

void client_connect(struct axle_signal *client)
{
	if (client->socket_fd >= 0 || client->fatal)
		return;
	int fd = try_connect(client->path);
	int r = fd < 0 ? fd : watch(client, EPOLL_CTL_ADD, fd, EPOLLIN);
	if (r < 0) {
		if (fd >= 0)
			(void)close(fd);
		(void)err_sys(&client->err, r, "signal.connect", "connect to %s", client->path);
		client_arm_timer(client, client->retry_ms);
		client->retry_ms = client->retry_ms * 2 > CLIENT_RETRY_LAST_MS ? CLIENT_RETRY_LAST_MS : client->retry_ms * 2;
		return;
	}
	client->socket_fd = fd;
	client->retry_ms = CLIENT_RETRY_FIRST_MS;
	client_link_up(client);
}

void client_disconnect(struct axle_signal *client)
{
	if (client->socket_fd < 0)
		return;
	(void)close(client->socket_fd); /* leaves the epoll set with it */
	client->socket_fd = -1;
	client->want_write = false;
	buf_clear(&client->out);
	client->unsent_updates = 0;
	line_reader_done(&client->in);
	client_link_down(client);
	client_arm_timer(client, client->retry_ms);
}

static void want_write(struct axle_signal *client, bool wanted)
{
	if (client->want_write == wanted)
		return;
	client->want_write = wanted;
	(void)watch(client, EPOLL_CTL_MOD, client->socket_fd, EPOLLIN | (wanted ? (uint32_t)EPOLLOUT : 0));
}

int client_send(struct axle_signal *client)
{
	client->unsent_updates = 0;
	size_t sent = 0;
	while (client->socket_fd >= 0 && sent < client->out.size) {
		ssize_t n = send(client->socket_fd, client->out.data + sent, client->out.size - sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			/* What the service has sent before it went is read first; then the end of the stream is seen.
			 * */
			buf_clear(&client->out);
			return 0;
		}
		if (n < 0)
			break;
		sent += (size_t)n;
	}
	buf_consume(&client->out, sent);
	if (client->socket_fd >= 0)
		want_write(client, client->out.size > 0);
	return client->out.size > 0;
}

static void take_lines(struct axle_signal *client)
{
	char *line = NULL;
	size_t length = 0;
	while (client->socket_fd >= 0) {
		int r = line_reader_next(&client->in, &line, &length);
		if (r == 0)
			return;
		if (r == 1)
			client_take_line(client, line, length);
	}
}

void client_receive(struct axle_signal *client)
{
	for (int i = 0; i < READS_PER_DISPATCH && client->socket_fd >= 0; i++) {
		char *tail = NULL;
		size_t room = 0;
		if (line_reader_tail(&client->in, &tail, &room) < 0)
			return; /* tried again with the next dispatch */
		ssize_t n = recv(client->socket_fd, tail, room, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			take_lines(client); /* gives idle memory back */
			return;
		}
		if (n <= 0) {
			client_disconnect(client);
			return;
		}
		line_reader_claim(&client->in, (size_t)n);
		take_lines(client);
		if ((size_t)n < room)
			return;
	}
}

static int set_up(struct axle_signal *client, const char *path, const char *name)
{
	client->path = strdup(path);
	client->name = strndup(name ? name : "", LINE_NAME_MAX);
	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (!client->path || !client->name)
		return -ENOMEM;
	if (client->epoll_fd < 0 || client->timer_fd < 0)
		return -errno;
	for (char *c = client->name; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = '?';
	return watch(client, EPOLL_CTL_ADD, client->timer_fd, EPOLLIN);
}

static const char *default_path(void)
{
	const char *from_environment = getenv("AXLE_SIGNAL_SOCKET");
	if (!str_empty(from_environment))
		return from_environment;
	/* Outside of containers neither may be there yet: then it is the host's that is waited for. */
	return access(DEFAULT_SOCKET, F_OK) < 0 && access(CONTAINER_SOCKET, F_OK) == 0 ? CONTAINER_SOCKET : DEFAULT_SOCKET;
}

int axle_signal_open(const char *path, const char *name, struct axle_signal **ret_signals)
{
	if (!path)
		path = default_path();
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return -ENAMETOOLONG;
	struct axle_signal *client = calloc(1, sizeof *client);
	if (!client)
		return -ENOMEM;
	*client = (struct axle_signal){.epoll_fd = -1, .timer_fd = -1, .socket_fd = -1, .in = LINE_READER_INIT,
				       .out = {.max = CLIENT_OUT_MAX}, .retry_ms = CLIENT_RETRY_FIRST_MS,
				       .timeout_ms = DEFAULT_TIMEOUT_MS};
	client->last_pending = &client->first_pending;
	int r = set_up(client, path, name);
	if (r < 0) {
		axle_signal_close(client);
		return r;
	}
	client_connect(client);
	*ret_signals = client;
	return 0;
}

void axle_signal_close(struct axle_signal *client)
{
	if (!client)
		return;
	client->on_link = NULL;
	if (client->socket_fd >= 0) {
		(void)client_send(client); /* the last updates, as far as they go without waiting */
		client_disconnect(client);
	}
	client_free_dead(client, true);
	for (struct pending *pending = NULL; (pending = client_pop_pending(client));)
		free(pending);
	if (client->timer_fd >= 0)
		(void)close(client->timer_fd);
	if (client->epoll_fd >= 0)
		(void)close(client->epoll_fd);
	buf_done(&client->out);
	line_reader_done(&client->in);
	free(client->handles);
	free(client->path);
	free(client->name);
	free(client);
}
