#include "signals/src/line/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "signals/src/line/session.h"
#include "signals/src/store.h"

#define GROUPS_MAX 256
#define FULL_PAUSE_MS 1000 /* without descriptors nobody is accepted for so long */
#define READS_PER_TURN 8 /* of 16 KiB each: one client's flood leaves the others their turn */

struct client {
	struct line_carrier carrier;
	uv_poll_t poll;
	struct line_server *server;
	struct client *next;
	struct client *next_dirty;
	struct line_session *session;
	int fd;
	int events; /* what poll waits for */
	bool dirty; /* has output that no write was tried for */
	bool ending; /* has said its last word, and is still owed answers */
	bool closing;
	gid_t *groups;
};

struct line_server {
	struct line_server_options options;
	char *name;
	struct store_listener listener;
	uv_poll_t poll;
	uv_prepare_t prepare; /* sends what this turn of the loop has brought */
	uv_timer_t pause;
	int fd;
	struct client *clients;
	struct client *dirty;
	size_t client_count;
	size_t open_handles;
	bool closing;
};

/* ---- one client ---- */

static void client_closed(uv_handle_t *handle);
static void server_unref(struct line_server *server);

static void client_close(struct client *client)
{
	if (client->closing)
		return;
	client->closing = true;
	struct line_server *server = client->server;
	for (struct client **link = &server->clients; *link; link = &(*link)->next) {
		if (*link == client) {
			*link = client->next;
			break;
		}
	}
	for (struct client **link = &server->dirty; *link; link = &(*link)->next_dirty) {
		if (*link == client) {
			*link = client->next_dirty;
			break;
		}
	}
	server->client_count--;
	line_session_free(client->session);
	client->session = NULL;
	uv_close((uv_handle_t *)&client->poll, client_closed);
}

static void client_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;
	(void)close(client->fd);
	server_unref(client->server);
	free(client->groups);
	free(client);
}

static void client_poll(uv_poll_t *poll, int status, int events);

static void client_watch(struct client *client)
{
	size_t waiting = 0;
	(void)line_session_output(client->session, &waiting);
	bool reads = !client->ending && line_session_reads(client->session);
	int events = (reads ? UV_READABLE : 0) | (waiting > 0 ? UV_WRITABLE : 0);
	if (events == client->events)
		return;
	client->events = events;
	(void)uv_poll_start(&client->poll, events, client_poll); /* fails for closing handles only */
}

/* Returns false where the client is gone, or has got all that it was owed. */
static bool client_send(struct client *client)
{
	for (;;) {
		size_t size = 0;
		const char *bytes = line_session_output(client->session, &size);
		if (size == 0)
			return !client->ending;
		ssize_t n = send(client->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		line_session_sent(client->session, (size_t)n);
	}
}

/* The client has ended its half, or is gone: `printf ... | socat` still waits for its answers. */
static bool client_end(struct client *client)
{
	client->ending = true;
	line_session_end(client->session);
	return client_send(client);
}

static bool client_receive(struct client *client)
{
	for (int i = 0; i < READS_PER_TURN && line_session_reads(client->session); i++) {
		char *tail = NULL;
		size_t room = 0;
		if (line_session_tail(client->session, &tail, &room) < 0)
			return false;
		ssize_t n = recv(client->fd, tail, room, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			line_session_received(client->session, 0); /* gives idle memory back */
			return true;
		}
		if (n < 0)
			return false;
		if (n == 0)
			return client_end(client);
		line_session_received(client->session, (size_t)n);
		if ((size_t)n < room)
			return true;
	}
	return true;
}

static void client_poll(uv_poll_t *poll, int status, int events)
{
	struct client *client = poll->data;
	bool alive = status == 0;
	if (alive && (events & UV_WRITABLE))
		alive = client_send(client);
	if (alive && (events & UV_READABLE)) /* answers go out at once: asking poll for room first would cost more than they do */
		alive = client_receive(client) && client_send(client);
	if (alive)
		client_watch(client);
	else
		client_close(client);
}

static void client_has_output(struct line_carrier *carrier)
{
	struct client *client = (struct client *)carrier;
	struct line_server *server = client->server;
	if (client->dirty)
		return;
	client->dirty = true;
	client->next_dirty = server->dirty;
	server->dirty = client;
}

/* Before the loop waits: everything that was said since is sent, each client's in one go. */
static void send_all(uv_prepare_t *prepare)
{
	struct line_server *server = prepare->data;
	while (server->dirty) {
		struct client *client = server->dirty;
		server->dirty = client->next_dirty;
		client->dirty = false;
		if (client_send(client))
			client_watch(client);
		else
			client_close(client);
	}
}

/* ---- accepting ---- */

static int find_subject(struct client *client, struct subject *ret_subject)
{
	const struct line_server *server = client->server;
	struct ucred peer = {0};
	socklen_t size = sizeof peer;
	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	*ret_subject = (struct subject){.view = server->options.view, .uid = peer.uid, .gid = peer.gid};
	if (server->name)
		(void)snprintf(ret_subject->name, sizeof ret_subject->name, "%s", server->name);
	else
		(void)snprintf(ret_subject->name, sizeof ret_subject->name, "uid:%u", peer.uid);
	gid_t groups[GROUPS_MAX];
	size = sizeof groups;
	if (server->options.view || getsockopt(client->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0 || size == 0)
		return 0; /* none, or more than we look at: the uid and gid decide */
	client->groups = malloc(size);
	if (!client->groups)
		return -ENOMEM;
	memcpy(client->groups, groups, size);
	ret_subject->groups = client->groups;
	ret_subject->group_count = size / sizeof *groups;
	return 0;
}

static int client_start(struct client *client)
{
	struct line_server *server = client->server;
	struct subject subject = {0};
	int r = find_subject(client, &subject);
	if (r == 0)
		r = line_session_new(server->options.store, &subject, &client->carrier, &client->session);
	if (r == 0)
		r = uv_poll_init(server->options.loop, &client->poll, client->fd);
	if (r < 0)
		return r;
	client->poll.data = client;
	client->next = server->clients;
	server->clients = client;
	server->client_count++;
	server->open_handles++;
	client_watch(client);
	return 0;
}

static int client_each_view(struct line_carrier *carrier, int (*say)(void *user, const char *json), void *user)
{
	const struct line_server_options *options = &((struct client *)carrier)->server->options;
	return options->each_view(options->user, say, user);
}

static void accept_client(struct line_server *server, int fd)
{
	struct client *client = calloc(1, sizeof *client);
	int r = client ? 0 : -ENOMEM;
	if (client) {
		*client = (struct client){.server = server, .fd = fd};
		client->carrier.has_output = client_has_output;
		client->carrier.each_view = server->options.each_view ? client_each_view : NULL;
		r = client_start(client);
	}
	if (r == 0)
		return;
	log_warning(server->options.log, "line.refused", "a client was refused: %s", strerror(-r));
	(void)close(fd);
	if (client) {
		line_session_free(client->session);
		free(client->groups);
		free(client);
	}
}

static void take_clients(uv_poll_t *poll, int status, int events);

static void listen_again(uv_timer_t *timer)
{
	struct line_server *server = timer->data;
	(void)uv_poll_start(&server->poll, UV_READABLE, take_clients);
}

/* Without descriptors the listener stays readable: it is left alone for a while, not asked over and over. */
static void pause_listening(struct line_server *server)
{
	log_warning(server->options.log, "line.full", "clients wait: %s", strerror(errno));
	(void)uv_poll_stop(&server->poll);
	uv_update_time(server->options.loop);
	(void)uv_timer_start(&server->pause, listen_again, FULL_PAUSE_MS, 0);
}

static void take_clients(uv_poll_t *poll, int status, int events)
{
	static const char FULL[] = "error limit too many clients\n";
	struct line_server *server = poll->data;
	size_t most = server->options.view ? LINE_CLIENTS_OF_VIEW_MAX : LINE_CLIENTS_MAX;
	(void)events;
	for (size_t i = 0; status == 0 && i < most; i++) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
			pause_listening(server);
		if (fd < 0)
			return; /* none left, or one that went again */
		if (server->client_count < most) {
			accept_client(server, fd);
			continue;
		}
		(void)send(fd, FULL, sizeof FULL - 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* a courtesy */
		(void)close(fd);
	}
}

/* ---- life ---- */

/* Does anybody answer at @address? Then it is not ours to replace. */
static bool is_served(const struct sockaddr_un *address)
{
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);
}

int line_server_bind(const char *path, mode_t mode, int *ret_fd, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path)
		return err_set(err, -ENAMETOOLONG, "line.socket", "socket %s: expected a path of at most %zu bytes", path,
			       sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	struct stat status = {0};
	if (is_served(&address))
		return err_set(err, -EADDRINUSE, "line.socket", "socket %s: another program serves it", path);
	if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		(void)unlink(path); /* bind() says so where it could not be removed */
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return err_sys(err, -errno, "line.socket", "socket %s", path);
	if (chmod(path, mode) < 0 || listen(fd, 128) < 0)
		return err_sys(err, -errno, "line.socket", "socket %s", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static void reloaded(struct store_listener *listener)
{
	struct line_server *server = (struct line_server *)((char *)listener - offsetof(struct line_server, listener));
	for (struct client *client = server->clients; client; client = client->next)
		line_session_reloaded(client->session);
}

int line_server_new(const struct line_server_options *options, int listen_fd, struct line_server **ret_server,
		    struct err *err)
{
	struct line_server *server = calloc(1, sizeof *server);
	char *name = options->name ? strdup(options->name) : NULL;
	if (!server || (options->name && !name)) {
		free(server);
		free(name);
		return err_memory(err, "line protocol");
	}
	*server = (struct line_server){.options = *options, .name = name, .fd = listen_fd, .listener = {.reloaded = reloaded}};
	int r = uv_poll_init(options->loop, &server->poll, listen_fd);
	if (r < 0) {
		free(name);
		free(server);
		return err_set(err, r, "line.poll", "watch the socket: %s", uv_strerror(r));
	}
	(void)uv_prepare_init(options->loop, &server->prepare); /* neither fails */
	(void)uv_prepare_start(&server->prepare, send_all);
	(void)uv_timer_init(options->loop, &server->pause);
	server->poll.data = server->prepare.data = server->pause.data = server;
	server->open_handles = 3;
	(void)uv_poll_start(&server->poll, UV_READABLE, take_clients);
	store_listen(options->store, &server->listener);
	*ret_server = server;
	return 0;
}

static void server_unref(struct line_server *server)
{
	if (--server->open_handles > 0)
		return;
	(void)close(server->fd);
	free(server->name);
	free(server);
}

static void handle_closed(uv_handle_t *handle)
{
	server_unref(handle->data);
}

void line_server_close(struct line_server *server)
{
	if (!server || server->closing)
		return;
	server->closing = true;
	store_unlisten(server->options.store, &server->listener);
	while (server->clients)
		client_close(server->clients);
	uv_close((uv_handle_t *)&server->poll, handle_closed);
	uv_close((uv_handle_t *)&server->prepare, handle_closed);
	uv_close((uv_handle_t *)&server->pause, handle_closed);
}

void line_server_recheck(struct line_server *server)
{
	for (struct client *client = server->clients; client; client = client->next)
		line_session_recheck(client->session);
}

size_t line_server_client_count(const struct line_server *server)
{
	return server->client_count;
}
