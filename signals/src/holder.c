#include "signals/src/holder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "signals/src/holder_returns.h"

#define HELLO_MS 5000

/* ---- the holder ---- */

static int64_t now_ms(void)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What is kept for the next daemon. */
struct item {
	int fd; /* -1: none */
	char *text;
	uint32_t size;
	bool fresh; /* a view that came back, and that no daemon knows of yet */
};

struct keeper {
	struct item items[HOLDER_ITEMS_MAX];
	struct holder_packet packet; /* scratch */
	struct returns *returns;     /* NULL: views do not return */
	int daemon;		     /* -1: nobody serves */
};

static bool send_message(int socket, enum holder_message_type type, const int *fds, size_t count)
{
	struct holder_message message = {.version = HOLDER_PROTOCOL, .type = type};
	return fd_send_message(socket, &message, sizeof message, fds, count) >= 0;
}

static int send_item(int socket, struct holder_packet *packet, uint32_t number, int fd, const char *text, size_t size)
{
	packet->message = (struct holder_message){HOLDER_PROTOCOL, HOLDER_ITEM, number, (uint32_t)size};
	memcpy(packet->text, text, size);
	return fd_send_message(socket, packet, sizeof packet->message + size, &fd, 1);
}

static void drop_item(struct item *item)
{
	if (item->fd >= 0)
		(void)close(item->fd);
	free(item->text);
	*item = (struct item){.fd = -1};
}

/* Takes over @fd. */
static void keep_item(struct keeper *keeper, uint32_t number, int fd, const char *text, uint32_t size)
{
	if (number >= HOLDER_ITEMS_MAX) {
		(void)close(fd);
		return;
	}
	struct item *item = &keeper->items[number];
	drop_item(item);
	item->text = malloc(size + 1);
	if (!item->text) {
		(void)close(fd);
		return;
	}
	memcpy(item->text, text, size);
	item->size = size;
	item->fd = fd;
}

static bool is_view(uint32_t number)
{
	return number >= 1 && number <= RETURNS_MAX;
}

static bool send_number(int socket, enum holder_message_type type, uint32_t number)
{
	struct holder_message message = {.version = HOLDER_PROTOCOL, .type = type, .number = number};
	return fd_send_message(socket, &message, sizeof message, NULL, 0) >= 0;
}

/* A view that came back: from now on the daemon's as any other. */
static bool send_back(struct keeper *keeper, int socket, uint32_t number)
{
	struct item *view = &keeper->items[number];
	struct item *line = &keeper->items[HOLDER_SOCKETS + number];
	const int fds[2] = {view->fd, line->fd};
	keeper->packet.message = (struct holder_message){HOLDER_PROTOCOL, HOLDER_BACK, number, view->size};
	memcpy(keeper->packet.text, view->text, view->size);
	if (fd_send_message(socket, &keeper->packet, sizeof keeper->packet.message + view->size, fds, 2) < 0)
		return false;
	view->fresh = line->fresh = false;
	return true;
}

static bool send_items(struct keeper *keeper, int socket)
{
	bool good = true;
	for (uint32_t i = 0; good && i < HOLDER_ITEMS_MAX; i++) {
		const struct item *item = &keeper->items[i];
		if (item->fd >= 0 && !item->fresh)
			good = send_item(socket, &keeper->packet, i, item->fd, item->text, item->size) >= 0;
		else if (is_view(i) && (item->fresh || (keeper->returns && returns_pending(keeper->returns, i))))
			good = send_number(socket, HOLDER_COMING, i);
	}
	return good;
}

static bool send_all(struct keeper *keeper, int socket)
{
	static const int FDS[] = {HOLDER_FUSE_FD, HOLDER_MEMORY_FD};
	bool good = send_message(socket, HOLDER_HAVE, FDS, 2) && send_items(keeper, socket) &&
		    send_message(socket, HOLDER_READY, NULL, 0);
	for (uint32_t i = 1; good && i <= RETURNS_MAX; i++)
		if (keeper->items[i].fresh)
			good = send_back(keeper, socket, i);
	return good;
}

/* Takes a connection; the second of two gets no descriptors. */
static void accept_daemon(struct keeper *keeper)
{
	static const struct timeval PATIENCE = {.tv_sec = 1};
	int socket = accept4(HOLDER_LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);
	if (socket < 0)
		return;
	/* one that does not read what it asked for must not hold us */
	(void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &PATIENCE, sizeof PATIENCE);
	if (keeper->daemon >= 0)
		(void)send_message(socket, HOLDER_BUSY, NULL, 0);
	else if (send_all(keeper, socket))
		keeper->daemon = TAKE_FD(socket);
	if (socket >= 0)
		(void)close(socket);
}

static void keep_of_daemon(struct keeper *keeper, int fd)
{
	const struct holder_message *message = &keeper->packet.message;
	keep_item(keeper, message->number, fd, keeper->packet.text, message->size);
	if (is_view(message->number) && keeper->returns)
		returns_keep(keeper->returns, message->number, keeper->packet.text, message->size);
}

static void drop_of_daemon(struct keeper *keeper, uint32_t number)
{
	if (number < HOLDER_ITEMS_MAX)
		drop_item(&keeper->items[number]);
	if (is_view(number) && keeper->returns)
		returns_forget(keeper->returns, number);
}

/* false: the end was asked for. */
static bool obey(struct keeper *keeper, size_t size, int fd)
{
	const struct holder_message *message = &keeper->packet.message;
	bool whole = size >= sizeof *message && size == sizeof *message + message->size;
	if (whole && message->type == HOLDER_ITEM && fd >= 0) {
		keep_of_daemon(keeper, fd);
		return true;
	}
	if (fd >= 0)
		(void)close(fd);
	if (whole && message->type == HOLDER_DROP)
		drop_of_daemon(keeper, message->number);
	return !whole || message->type != HOLDER_END;
}

/* false: the daemon asked for the end. One that is gone is closed. */
static bool hear_daemon(struct keeper *keeper)
{
	int fd = -1;
	size_t count = 0;
	ssize_t n = fd_receive_message(keeper->daemon, &keeper->packet, sizeof keeper->packet, &fd, 1, &count);
	if (n > 0)
		return obey(keeper, (size_t)n, count ? fd : -1);
	if (n == -EAGAIN)
		return true;
	(void)close(keeper->daemon);
	keeper->daemon = -1;
	return true;
}

/* What was mounted again, and what was not. A daemon that does not read is gone soon: the next one is told. */
static void take_returned(struct keeper *keeper)
{
	struct returned returned = {.fuse = -1};
	for (int r; (r = returns_take(keeper->returns, &returned)) != 0;) {
		if (r < 0) {
			if (keeper->daemon >= 0)
				(void)send_number(keeper->daemon, HOLDER_DROP, returned.number);
			continue;
		}
		keep_item(keeper, returned.number, returned.fuse, returned.text, returned.size);
		keep_item(keeper, HOLDER_SOCKETS + returned.number, returned.socket, "", 0);
		free(returned.text);
		struct item *view = &keeper->items[returned.number];
		struct item *line = &keeper->items[HOLDER_SOCKETS + returned.number];
		if (view->fd < 0 || line->fd < 0) {
			drop_item(view);
			drop_item(line);
			continue;
		}
		view->fresh = line->fresh = true;
		if (keeper->daemon >= 0)
			(void)send_back(keeper, keeper->daemon, returned.number);
	}
}

/* The last descriptors of the connections: closing them ends all that waits. The mounts go from where they were put,
 * wherever else they may still be held. */
static void end_mounts(struct keeper *keeper, const char *mount, const char *socket_path)
{
	for (uint32_t i = 0; i < HOLDER_ITEMS_MAX; i++)
		drop_item(&keeper->items[i]);
	(void)close(HOLDER_FUSE_FD);
	(void)umount2(mount, MNT_DETACH | UMOUNT_NOFOLLOW); /* somebody may have done it already */
	if (keeper->returns)
		returns_unmount(keeper->returns);
	/* only now may another daemon mount here: until then it finds our socket, and waits for our end */
	(void)unlink(socket_path);
}

static struct keeper *keeper_new(const char *socket_path, const struct log *log)
{
	struct keeper *keeper = calloc(1, sizeof *keeper);
	scoped_free char *folder = str_printf("%.*s/views", (int)(strrchr(socket_path, '/') - socket_path), socket_path);
	if (!keeper || !folder) {
		free(keeper);
		return NULL;
	}
	keeper->daemon = -1;
	for (uint32_t i = 0; i < HOLDER_ITEMS_MAX; i++)
		keeper->items[i].fd = -1;
	keeper->returns = returns_new(folder, log);
	if (keeper->returns)
		returns_begin(keeper->returns);
	return keeper;
}

static void keeper_free(struct keeper *keeper)
{
	if (keeper)
		returns_free(keeper->returns);
	free(keeper);
}
SCOPED_DEFINE(struct keeper, keeper_free)

/* One turn. @patience_ms: how much longer it goes on without a daemon. false: the end was asked for. */
static bool wait_and_serve(struct keeper *keeper, int patience_ms)
{
	struct pollfd polled[2 + RETURNS_MAX] = {{.fd = HOLDER_LISTEN_FD, .events = POLLIN},
						 {.fd = keeper->daemon, .events = POLLIN}};
	int timeout_ms = keeper->daemon < 0 ? patience_ms : -1;
	size_t returning = keeper->returns ? returns_watch(keeper->returns, polled + 2, &timeout_ms) : 0;
	if (poll(polled, 2 + returning, timeout_ms) < 0)
		return errno == EINTR;
	if (keeper->daemon >= 0 && polled[1].revents && !hear_daemon(keeper))
		return false;
	if (returning)
		take_returned(keeper);
	if (polled[0].revents)
		accept_daemon(keeper);
	return true;
}

int holder_run(const char *mount, const char *socket_path)
{
	const struct log log = log_to_stderr("axsignal-holder");
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (*socket_path != '/' || chdir("/") < 0) /* no hold on any mount */
		return EXIT_FAILURE;
	scoped(keeper_free) struct keeper *keeper = keeper_new(socket_path, &log);
	if (!keeper)
		return EXIT_FAILURE;
	for (int64_t deadline = now_ms() + HELLO_MS;;) {
		int64_t left = deadline - now_ms();
		bool had_daemon = keeper->daemon >= 0;
		if (!had_daemon && left <= 0)
			break;
		if (!wait_and_serve(keeper, (int)left))
			break;
		if (had_daemon && keeper->daemon < 0)
			deadline = now_ms() + HOLDER_PATIENCE_MS;
	}
	end_mounts(keeper, mount, socket_path);
	return EXIT_SUCCESS;
}
