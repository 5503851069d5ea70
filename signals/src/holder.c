#include "signals/src/holder.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
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

static bool send_message(int socket, enum holder_message_type type, const int *fds, size_t count)
{
	struct holder_message message = {.version = HOLDER_PROTOCOL, .type = type};
	return fd_send_message(socket, &message, sizeof message, fds, count) >= 0;
}

/* Takes a connection; the second of two gets no descriptors. Returns the daemon that is at work. */
static int accept_daemon(int daemon)
{
	static const int FDS[] = {HOLDER_FUSE_FD, HOLDER_MEMORY_FD};
	int socket = accept4(HOLDER_LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);
	if (socket < 0)
		return daemon;
	if (daemon >= 0) {
		(void)send_message(socket, HOLDER_BUSY, NULL, 0);
		(void)close(socket);
		return daemon;
	}
	if (!send_message(socket, HOLDER_HAVE, FDS, 2)) {
		(void)close(socket);
		return -1;
	}
	return socket;
}

/* false: the daemon asked for the end, or is gone (*daemon is closed and -1). */
static bool hear_daemon(int *daemon)
{
	struct holder_message message = {0};
	ssize_t n = recv(*daemon, &message, sizeof message, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n == (ssize_t)sizeof message && message.type == HOLDER_END)
		return false;
	(void)close(*daemon);
	*daemon = -1;
	return true;
}

/* The last descriptor of the connection: closing it ends all that waits. The mount goes from where it was put, wherever
 * else it may still be held. */
static void end_mount(const char *mount, const char *socket_path)
{
	(void)close(HOLDER_FUSE_FD);
	(void)umount2(mount, MNT_DETACH | UMOUNT_NOFOLLOW); /* somebody may have done it already */
	/* only now may another daemon mount here: until then it finds our socket, and waits for our end */
	(void)unlink(socket_path);
}

int holder_run(const char *mount, const char *socket_path)
{
	int daemon = -1;
	int64_t deadline = now_ms() + HELLO_MS;
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (chdir("/") < 0) /* no hold on any mount */
		return EXIT_FAILURE;
	for (;;) {
		struct pollfd polled[2] = {{.fd = HOLDER_LISTEN_FD, .events = POLLIN}, {.fd = daemon, .events = POLLIN}};
		int64_t left = deadline - now_ms();
		if (daemon < 0 && left <= 0)
			break;
		if (poll(polled, 2, daemon < 0 ? (int)left : -1) < 0 && errno != EINTR)
			break;
		bool had_daemon = daemon >= 0;
		if (daemon >= 0 && polled[1].revents && !hear_daemon(&daemon))
			break;
		if (had_daemon && daemon < 0)
			deadline = now_ms() + HOLDER_PATIENCE_MS;
		if (polled[0].revents)
			daemon = accept_daemon(daemon);
	}
	end_mount(mount, socket_path);
	return EXIT_SUCCESS;
}

/* ---- the daemon's side ---- */

static int receive_descriptors(int socket, struct holder *ret_holder, struct err *err)
{
	struct pollfd polled = {.fd = socket, .events = POLLIN};
	struct holder_message message = {0};
	int fds[2] = {-1, -1};
	size_t count = 0;
	ssize_t n = -EAGAIN;
	if (poll(&polled, 1, HELLO_MS) > 0)
		n = fd_receive_message(socket, &message, sizeof message, fds, 2, &count);
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

int holder_connect(const char *socket_path, struct holder *ret_holder, struct err *err)
{
	struct holder holder = {.fuse_fd = -1, .memory_fd = -1};
	scoped_fd int socket = usocket_connect(socket_path, SOCK_SEQPACKET, err);
	if (socket == -ENOENT || socket == -ECONNREFUSED)
		return 0;
	if (socket < 0)
		return socket;
	int r = receive_descriptors(socket, &holder, err);
	if (r <= 0)
		return r;
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
	r = holder_connect(socket_path, ret_holder, err);
	if (r == 0)
		return err_set(err, -ECONNREFUSED, "holder.gone", "the holder did not start");
	return r < 0 ? r : 0;
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
