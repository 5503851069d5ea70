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

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "core/sys/spawn.h"
#include "core/sys/usocket.h"

#define HOLDER_PROGRAM "axsignal-holder"
#define HELLO_MS 5000
#define END_MS 1000

/* ---- the holder ---- */

static int64_t now_ms(void)
{
	struct timespec now = {0};
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* One message with its text, as it goes over the socket. */
struct packet {
	struct holder_message message;
	char text[HOLDER_TEXT_MAX];
};

/* What is kept for the next daemon. */
struct item {
	int fd; /* -1: none */
	char *text;
	uint32_t size;
};

struct keeper {
	struct item items[HOLDER_ITEMS_MAX];
	struct packet packet; /* scratch */
	int daemon;	      /* -1: nobody serves */
};

static bool send_message(int socket, enum holder_message_type type, const int *fds, size_t count)
{
	struct holder_message message = {.version = HOLDER_PROTOCOL, .type = type};
	return fd_send_message(socket, &message, sizeof message, fds, count) >= 0;
}

static int send_item(int socket, struct packet *packet, uint32_t number, int fd, const char *text, size_t size)
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

static bool send_all(struct keeper *keeper, int socket)
{
	static const int FDS[] = {HOLDER_FUSE_FD, HOLDER_MEMORY_FD};
	bool good = send_message(socket, HOLDER_HAVE, FDS, 2);
	for (uint32_t i = 0; good && i < HOLDER_ITEMS_MAX; i++)
		if (keeper->items[i].fd >= 0)
			good = send_item(socket, &keeper->packet, i, keeper->items[i].fd, keeper->items[i].text,
					 keeper->items[i].size) >= 0;
	return good && send_message(socket, HOLDER_READY, NULL, 0);
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

/* false: the end was asked for. */
static bool obey(struct keeper *keeper, size_t size, int fd)
{
	const struct holder_message *message = &keeper->packet.message;
	bool whole = size >= sizeof *message && size == sizeof *message + message->size;
	if (whole && message->type == HOLDER_ITEM && fd >= 0) {
		keep_item(keeper, message->number, fd, keeper->packet.text, message->size);
		return true;
	}
	if (fd >= 0)
		(void)close(fd);
	if (whole && message->type == HOLDER_DROP && message->number < HOLDER_ITEMS_MAX)
		drop_item(&keeper->items[message->number]);
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

/* The last descriptor of the connection: closing it ends all that waits. The mount goes from where it was put, wherever
 * else it may still be held. */
static void end_mount(struct keeper *keeper, const char *mount, const char *socket_path)
{
	for (uint32_t i = 0; i < HOLDER_ITEMS_MAX; i++)
		drop_item(&keeper->items[i]);
	(void)close(HOLDER_FUSE_FD);
	(void)umount2(mount, MNT_DETACH | UMOUNT_NOFOLLOW); /* somebody may have done it already */
	/* only now may another daemon mount here: until then it finds our socket, and waits for our end */
	(void)unlink(socket_path);
}

static struct keeper *keeper_new(void)
{
	struct keeper *keeper = calloc(1, sizeof *keeper);
	if (!keeper)
		return NULL;
	keeper->daemon = -1;
	for (uint32_t i = 0; i < HOLDER_ITEMS_MAX; i++)
		keeper->items[i].fd = -1;
	return keeper;
}

int holder_run(const char *mount, const char *socket_path)
{
	scoped_free struct keeper *keeper = keeper_new();
	int64_t deadline = now_ms() + HELLO_MS;
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (!keeper || chdir("/") < 0) /* no hold on any mount */
		return EXIT_FAILURE;
	for (;;) {
		struct pollfd polled[2] = {{.fd = HOLDER_LISTEN_FD, .events = POLLIN},
					   {.fd = keeper->daemon, .events = POLLIN}};
		int64_t left = deadline - now_ms();
		if (keeper->daemon < 0 && left <= 0)
			break;
		if (poll(polled, 2, keeper->daemon < 0 ? (int)left : -1) < 0 && errno != EINTR)
			break;
		bool had_daemon = keeper->daemon >= 0;
		if (had_daemon && polled[1].revents && !hear_daemon(keeper))
			break;
		if (had_daemon && keeper->daemon < 0)
			deadline = now_ms() + HOLDER_PATIENCE_MS;
		if (polled[0].revents)
			accept_daemon(keeper);
	}
	end_mount(keeper, mount, socket_path);
	return EXIT_SUCCESS;
}

/* ---- the daemon's side ---- */

static ssize_t receive(int socket, struct packet *packet, int fds[static 2], size_t *ret_count)
{
	struct pollfd polled = {.fd = socket, .events = POLLIN};
	return poll(&polled, 1, HELLO_MS) > 0 ? fd_receive_message(socket, packet, sizeof *packet, fds, 2, ret_count)
					      : -EAGAIN;
}

static int receive_items(int socket, struct packet *packet, holder_item_fn *item, void *user, struct err *err)
{
	for (;;) {
		int fds[2] = {-1, -1};
		size_t count = 0;
		ssize_t n = receive(socket, packet, fds, &count);
		bool whole = n >= (ssize_t)sizeof packet->message &&
			     n == (ssize_t)(sizeof packet->message + packet->message.size);
		if (whole && packet->message.type == HOLDER_READY)
			return 1;
		if (whole && packet->message.type == HOLDER_ITEM && count == 1 && item) {
			item(user, packet->message.number, fds[0], packet->text, packet->message.size);
			continue;
		}
		for (size_t i = 0; i < count; i++)
			(void)close(fds[i]);
		if (!whole || item)
			return err_set(err, -EPROTO, "holder.protocol", "the holder's items: expected version %d",
				       HOLDER_PROTOCOL);
	}
}

static int receive_descriptors(int socket, struct packet *packet, struct holder *ret_holder, struct err *err)
{
	int fds[2] = {-1, -1};
	size_t count = 0;
	ssize_t n = receive(socket, packet, fds, &count);
	struct holder_message message = n > 0 ? packet->message : (struct holder_message){0};
	if (n == 0 || n == -ECONNRESET)
		return 0; /* it was about to end */
	if (n == (ssize_t)sizeof message && message.type == HOLDER_BUSY)
		return err_set(err, -EBUSY, "holder.busy", "another axsignald serves this mount");
	if (n != (ssize_t)sizeof message || message.version != HOLDER_PROTOCOL || message.type != HOLDER_HAVE || count != 2) {
		for (size_t i = 0; i < count; i++)
			(void)close(fds[i]);
		return err_set(err, -EPROTO, "holder.protocol", "the holder's answer: expected version %d", HOLDER_PROTOCOL);
	}
	ret_holder->fuse_fd = fds[0];
	ret_holder->memory_fd = fds[1];
	return 1;
}

int holder_connect(const char *socket_path, struct holder *ret_holder, holder_item_fn *item, void *user,
		   struct err *err)
{
	scoped_free struct packet *packet = calloc(1, sizeof *packet);
	if (!packet)
		return -ENOMEM;
	struct holder holder = {.fuse_fd = -1, .memory_fd = -1};
	scoped_fd int socket = usocket_connect(socket_path, SOCK_SEQPACKET, err);
	if (socket == -ENOENT || socket == -ECONNREFUSED)
		return 0;
	if (socket < 0)
		return socket;
	int r = receive_descriptors(socket, packet, &holder, err);
	if (r <= 0)
		return r;
	r = receive_items(socket, packet, item, user, err);
	if (r < 0) {
		(void)close(holder.fuse_fd);
		(void)close(holder.memory_fd);
		return r;
	}
	holder.socket = TAKE_FD(socket);
	*ret_holder = holder;
	return 1;
}

static int spawn_holder(const char *mount, const char *socket_path, int listen_fd, int fuse_fd, int memory_fd,
			struct err *err)
{
	scoped_free char *path = path_of_sibling_program(HOLDER_PROGRAM);
	if (!path)
		return -ENOMEM;
	const char *const argv[] = {HOLDER_PROGRAM, "--mount", mount, "--socket", socket_path, NULL};
	const int fds[] = {-1, -1, STDERR_FILENO, listen_fd, fuse_fd, memory_fd};
	struct spawn spawn = {.path = path, .argv = argv, .fds = fds, .fds_count = 6, .cgroup_fd = -1, .new_session = true};
	pid_t pid = 0;
	scoped_fd int pidfd = -1;
	/* it is to outlive us: nobody waits for it here, and init does when we are gone */
	return spawn_process(&spawn, &pid, &pidfd, err);
}

int holder_start(const char *socket_path, const char *mount, int fuse_fd, int memory_fd, struct holder *ret_holder,
		 struct err *err)
{
	scoped_fd int fuse = fuse_fd;
	scoped_fd int memory = memory_fd;
	scoped_fd int listener = usocket_listen(socket_path, SOCK_SEQPACKET, 0600, 4, err);
	if (listener < 0)
		return listener;
	int r = spawn_holder(mount, socket_path, listener, fuse, memory, err);
	if (r < 0)
		return r;
	r = holder_connect(socket_path, ret_holder, NULL, NULL, err);
	if (r == 0)
		return err_set(err, -ECONNREFUSED, "holder.gone", "the holder did not start");
	return r < 0 ? r : 0;
}

int holder_keep(const struct holder *holder, uint32_t number, int fd, const char *text, size_t size)
{
	if (size > HOLDER_TEXT_MAX || number >= HOLDER_ITEMS_MAX)
		return -EMSGSIZE;
	scoped_free struct packet *packet = calloc(1, sizeof *packet);
	return packet ? send_item(holder->socket, packet, number, fd, text, size) : -ENOMEM;
}

void holder_drop(const struct holder *holder, uint32_t number)
{
	struct holder_message message = {.version = HOLDER_PROTOCOL, .type = HOLDER_DROP, .number = number};
	/* a holder that is gone keeps nothing */
	(void)fd_send_message(holder->socket, &message, sizeof message, NULL, 0);
}

void holder_end(struct holder *holder)
{
	struct pollfd polled = {.fd = holder->socket, .events = POLLIN};
	if (holder->socket >= 0 && send_message(holder->socket, HOLDER_END, NULL, 0))
		(void)poll(&polled, 1, END_MS);
	if (holder->socket >= 0)
		(void)close(holder->socket);
	holder->socket = -1;
}
