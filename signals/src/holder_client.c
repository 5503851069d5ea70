#include "signals/src/holder.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "core/sys/spawn.h"
#include "core/sys/usocket.h"

#define HOLDER_PROGRAM "axsignal-holder"
#define HELLO_MS 5000
#define END_MS 1500

static bool send_message(int socket, enum holder_message_type type)
{
	struct holder_message message = {.version = HOLDER_PROTOCOL, .type = type};
	return fd_send_message(socket, &message, sizeof message, NULL, 0) >= 0;
}

static ssize_t receive(int socket, struct holder_packet *packet, int fds[static 2], size_t *ret_count)
{
	struct pollfd polled = {.fd = socket, .events = POLLIN};
	return poll(&polled, 1, HELLO_MS) > 0 ? fd_receive_message(socket, packet, sizeof *packet, fds, 2, ret_count)
					      : -EAGAIN;
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)close(fds[i]);
}

/* How many descriptors each message about an item carries; 0xff: it is none. */
static size_t item_descriptors(uint32_t type)
{
	static const uint8_t COUNTS[] = {[HOLDER_HAVE] = 0xff,	[HOLDER_BUSY] = 0xff, [HOLDER_END] = 0xff,
					 [HOLDER_ITEM] = 1,	[HOLDER_DROP] = 0,    [HOLDER_READY] = 0xff,
					 [HOLDER_COMING] = 0,	[HOLDER_BACK] = 2};
	return type >= HOLDER_HAVE && type < sizeof COUNTS ? COUNTS[type] : 0xff;
}

/* Hands an item to @item. -EPROTO: it is none; its descriptors are closed. */
static int give_item(const struct holder_packet *packet, ssize_t size, const int fds[static 2], size_t count,
		     holder_item_fn *item, void *user)
{
	const struct holder_message *message = &packet->message;
	bool whole = size >= (ssize_t)sizeof *message && size == (ssize_t)(sizeof *message + message->size);
	if (!whole || !item || count != item_descriptors(message->type)) {
		close_all(fds, count);
		return -EPROTO;
	}
	const struct holder_item given = {message->type, message->number, {fds[0], fds[1]}, packet->text, message->size};
	item(user, &given);
	return 0;
}

static int receive_items(int socket, struct holder_packet *packet, holder_item_fn *item, void *user, struct err *err)
{
	for (;;) {
		int fds[2] = {-1, -1};
		size_t count = 0;
		ssize_t n = receive(socket, packet, fds, &count);
		if (n == (ssize_t)sizeof packet->message && packet->message.type == HOLDER_READY && count == 0)
			return 1;
		if (give_item(packet, n, fds, count, item, user) < 0)
			return err_set(err, -EPROTO, "holder.protocol", "the holder's items: expected version %d",
				       HOLDER_PROTOCOL);
	}
}

static int receive_descriptors(int socket, struct holder_packet *packet, struct holder *ret_holder, struct err *err)
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
		close_all(fds, count);
		return err_set(err, -EPROTO, "holder.protocol", "the holder's answer: expected version %d", HOLDER_PROTOCOL);
	}
	ret_holder->fuse_fd = fds[0];
	ret_holder->memory_fd = fds[1];
	return 1;
}

int holder_connect(const char *socket_path, struct holder *ret_holder, holder_item_fn *item, void *user,
		   struct err *err)
{
	scoped_free struct holder_packet *packet = calloc(1, sizeof *packet);
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

int holder_start(const char *socket_path, const char *mount, const int fds[static 2], holder_item_fn *item, void *user,
		 struct holder *ret_holder, struct err *err)
{
	scoped_fd int fuse = fds[0];
	scoped_fd int memory = fds[1];
	scoped_fd int listener = usocket_listen(socket_path, SOCK_SEQPACKET, 0600, 4, err);
	if (listener < 0)
		return listener;
	int r = spawn_holder(mount, socket_path, listener, fuse, memory, err);
	if (r < 0)
		return r;
	r = holder_connect(socket_path, ret_holder, item, user, err);
	if (r == 0)
		return err_set(err, -ECONNREFUSED, "holder.gone", "the holder did not start");
	return r < 0 ? r : 0;
}

int holder_keep(const struct holder *holder, uint32_t number, int fd, const char *text, size_t size)
{
	if (size > HOLDER_TEXT_MAX || number >= HOLDER_ITEMS_MAX)
		return -EMSGSIZE;
	scoped_free struct holder_packet *packet = calloc(1, sizeof *packet);
	if (!packet)
		return -ENOMEM;
	packet->message = (struct holder_message){HOLDER_PROTOCOL, HOLDER_ITEM, number, (uint32_t)size};
	memcpy(packet->text, text, size);
	return fd_send_message(holder->socket, packet, sizeof packet->message + size, &fd, 1);
}

void holder_drop(const struct holder *holder, uint32_t number)
{
	struct holder_message message = {.version = HOLDER_PROTOCOL, .type = HOLDER_DROP, .number = number};
	/* a holder that is gone keeps nothing */
	(void)fd_send_message(holder->socket, &message, sizeof message, NULL, 0);
}

int holder_hear(const struct holder *holder, holder_item_fn *item, void *user)
{
	scoped_free struct holder_packet *packet = calloc(1, sizeof *packet);
	int fds[2] = {-1, -1};
	size_t count = 0;
	if (!packet)
		return -ENOMEM;
	ssize_t n = fd_receive_message(holder->socket, packet, sizeof *packet, fds, 2, &count);
	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return -ECONNRESET;
	int r = give_item(packet, n, fds, count, item, user);
	return r < 0 ? r : 1;
}

void holder_end(struct holder *holder)
{
	struct pollfd polled = {.fd = holder->socket, .events = POLLIN};
	if (holder->socket >= 0 && send_message(holder->socket, HOLDER_END))
		(void)poll(&polled, 1, END_MS);
	if (holder->socket >= 0)
		(void)close(holder->socket);
	holder->socket = -1;
}
