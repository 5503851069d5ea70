/* The client's side of a connection to axmon. No event loop: every call returns at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/cgroup.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "core/sys/spawn.h"
#include "core/sys/usocket.h"
#include "runtime/include/axle/monitor.h"

#define ARENA_MAX (4 * MONITOR_MESSAGE_MAX) /* structs and lists cost more than their text */
#define CONTROL_FD 3                        /* where a new axmon finds its end of the pair */

struct monitor_client {
	int fd;
	uint64_t last_id;
};

static int client_new(int fd, struct monitor_client **ret_client)
{
	struct monitor_client *client = calloc(1, sizeof *client);
	if (!client)
		return -ENOMEM;
	client->fd = fd;
	*ret_client = client;
	return 0;
}

void monitor_client_free(struct monitor_client *client)
{
	if (!client)
		return;
	if (client->fd >= 0)
		(void)close(client->fd);
	free(client);
}

int monitor_client_fd(const struct monitor_client *client)
{
	return client->fd;
}

int monitor_connect(const char *socket, struct monitor_client **ret_client, struct err *err)
{
	scoped_fd int fd = usocket_connect(socket, SOCK_SEQPACKET, err);
	if (fd < 0)
		return fd;
	int r = client_new(fd, ret_client);
	if (r == 0)
		(void)TAKE_FD(fd);
	return r;
}

/* axmon enters its group by itself; but entering v2's costs a running process some 10 ms, so it is born there. Without a v2
 * tree, or on failure, *ret_v2_fd stays -1: axmon finds out and says why. */
static void open_v2_group(const char *path, int *ret_v2_fd)
{
	struct cgroup_layout layout;
	if (cgroup_layout_open(CGROUP_ROOT, &layout, NULL) < 0)
		return;
	struct cgroup group;
	if (cgroup_make(&layout, path + (path[0] == '/'), &group, NULL) == 0) {
		int fd = cgroup_v2_fd(&group);
		*ret_v2_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
		cgroup_done(&group);
	}
	cgroup_layout_done(&layout);
}

int monitor_spawn(const struct monitor_spawn *options, struct monitor_client **ret_client, pid_t *ret_pid,
		  struct err *err)
{
	scoped_free char *sibling = options->program ? NULL : path_of_sibling_program("axmon");
	const char *program = options->program ? options->program : sibling;
	if (!program)
		return err_sys(err, -ENOMEM, "monitor.spawn", "find axmon");
	int pair[2] = {-1, -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "monitor.spawn", "make a socket pair");
	scoped_fd int ours = pair[0];
	scoped_fd int theirs = pair[1];
	scoped(monitor_client_free) struct monitor_client *client = NULL;
	int r = fd_set_nonblock(ours, true);
	if (r == 0)
		r = client_new(ours, &client);
	if (r < 0)
		return err_sys(err, r, "monitor.spawn", "start %s", program);
	(void)TAKE_FD(ours);

	const char *const argv[] = {"axmon", "--control-fd", "3", options->cgroup ? "--cgroup" : NULL, options->cgroup,
				    NULL};
	const int fds[] = {-1, STDOUT_FILENO, STDERR_FILENO, theirs};
	scoped_fd int v2_fd = -1;
	if (options->cgroup)
		open_v2_group(options->cgroup, &v2_fd);
	pid_t pid = 0;
	scoped_fd int pidfd = -1;
	r = spawn_process(
		&(struct spawn){.path = program, .argv = argv, .fds = fds, .fds_count = 4, .cgroup_fd = v2_fd}, &pid,
		&pidfd, err);
	if (r < 0)
		return r;
	*ret_client = TAKE(client);
	*ret_pid = pid;
	return 0;
}

int monitor_request(struct monitor_client *client, const struct monitor_message *request, const int *fds,
		    uint64_t *ret_id, struct err *err)
{
	struct monitor_message message = *request;
	message.id = client->last_id + 1;
	scoped_done(buf_done) struct buf text = {.max = MONITOR_MESSAGE_MAX};
	int r = monitor_message_encode(&message, &text);
	if (r < 0)
		return err_sys(err, r, "monitor.request", "encode a request of at most %d bytes", MONITOR_MESSAGE_MAX);
	size_t count = message.descriptors ? strv_count(message.descriptors) : 0;
	r = fd_send_message(client->fd, text.data, text.size, fds, count);
	if (r == -EAGAIN)
		return r;
	if (r < 0)
		return err_sys(err, r == -ECONNRESET ? -EPIPE : r, "monitor.gone", "send to axmon");
	client->last_id = message.id;
	*ret_id = message.id;
	return 0;
}

void monitor_received_done(struct monitor_received *received)
{
	for (size_t i = 0; i < received->fds_count; i++)
		if (received->fds[i] >= 0)
			(void)close(received->fds[i]); /* nobody took it */
	received->fds_count = 0;
	arena_done(&received->arena);
}

int monitor_received_take(struct monitor_received *received, const char *name)
{
	const char *const *names = received->message.descriptors;
	for (size_t i = 0; names && names[i] && i < received->fds_count; i++)
		if (str_equal(names[i], name))
			return TAKE_FD(received->fds[i]);
	return -1;
}

/* Bytes and descriptors of one packet into @received. */
static int receive_packet(int fd, char *bytes, size_t *ret_size, struct monitor_received *received, struct err *err)
{
	ssize_t size = fd_receive_message(fd, bytes, MONITOR_MESSAGE_MAX, received->fds, MONITOR_FDS_MAX,
					  &received->fds_count);
	if (size == -EAGAIN)
		return MONITOR_NOTHING;
	if (size == 0 || size == -ECONNRESET)
		return err_set(err, -EPIPE, "monitor.gone", "axmon closed the connection");
	if (size < 0)
		return err_sys(err, (int)size, "monitor.receive", "receive from axmon");
	*ret_size = (size_t)size;
	return MONITOR_RECEIVED;
}

int monitor_receive(struct monitor_client *client, struct monitor_received *ret_received, struct err *err)
{
	*ret_received = (struct monitor_received){.arena = {.max = ARENA_MAX}};
	scoped_free char *bytes = malloc(MONITOR_MESSAGE_MAX);
	if (!bytes)
		return err_sys(err, -ENOMEM, "monitor.receive", "receive from axmon");
	size_t size = 0;
	int r = receive_packet(client->fd, bytes, &size, ret_received, err);
	if (r != MONITOR_RECEIVED)
		return r;
	r = monitor_message_decode(MONITOR_FROM_MONITOR, bytes, size, &ret_received->arena, &ret_received->message,
				   err);
	if (r == 0 && strv_count(ret_received->message.descriptors) != ret_received->fds_count)
		r = err_set(err, -EINVAL, "monitor.malformed", "%zu descriptors came with other names",
			    ret_received->fds_count);
	return r < 0 ? r : MONITOR_RECEIVED;
}
