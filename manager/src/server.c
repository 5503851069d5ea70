#include "manager/src/server.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/sys/usocket.h"
#include "manager/src/axle.h"
#include "manager/src/cri.h"

#define BACKLOG 128
#define GROUP_BUFFER 16384

static const char *const SOCKET_NAMES[OWNER_COUNT] = {
	[OWNER_AXLE] = AXLE_SOCKET_NAME,
	[OWNER_CRI] = CRI_SOCKET_NAME,
};

/* By number or by /etc/group. */
static int find_group(const char *name, gid_t *ret_gid, struct err *err)
{
	uint64_t number = 0;
	if (parse_u64(name, 0, UINT32_MAX - 1, &number) == 0) {
		*ret_gid = (gid_t)number;
		return 0;
	}
	scoped_free char *buffer = malloc(GROUP_BUFFER);
	struct group group;
	struct group *found = NULL;
	if (!buffer)
		return -ENOMEM;
	int r = getgrnam_r(name, &group, buffer, GROUP_BUFFER, &found);
	if (r != 0 || !found)
		return err_set(err, -EINVAL, "socket.group", "socket.group: there is no group \"%s\"", name);
	*ret_gid = found->gr_gid;
	return 0;
}

/* The mode comes last: until then only the daemon's own user gets in. */
static int set_access(const struct node *node, const char *path, struct err *err)
{
	const struct config_socket *socket = &node->config.socket;
	uint32_t mode = socket->group ? 0660 : 0600;
	gid_t gid = (gid_t)-1;
	int r = socket->group ? find_group(socket->group, &gid, err) : 0;
	if (r < 0)
		return r;
	if (socket->mode)
		(void)parse_mode(socket->mode, &mode); /* checked by config_parse() */
	if (gid != (gid_t)-1 && lchown(path, (uid_t)-1, gid) < 0)
		return err_sys(err, -errno, "socket.group", "give %s to the group %s", path, socket->group);
	if (chmod(path, mode) < 0)
		return err_sys(err, -errno, "socket.mode", "set the mode of %s", path);
	return 0;
}

static int listen_on(struct grpc_server *grpc, const struct node *node, const char *name, struct err *err)
{
	scoped_free char *path = str_printf("%s/%s", node->places.state, name);
	if (!path)
		return -ENOMEM;
	scoped_fd int fd = usocket_listen(path, SOCK_STREAM, 0600, BACKLOG, err);
	if (fd < 0)
		return fd;
	int r = set_access(node, path, err);
	return r < 0 ? r : grpc_server_listen(grpc, TAKE_FD(fd), err);
}

static int add_services(struct grpc_server *grpc, struct face *face, struct err *err)
{
	int r = rpc_register(grpc, &cri__runtime_service__descriptor, CRI_RUNTIME_METHODS, CRI_RUNTIME_METHODS_COUNT,
			     face, err);
	if (r == 0)
		r = rpc_register(grpc, &cri__image_service__descriptor, CRI_IMAGE_METHODS, CRI_IMAGE_METHODS_COUNT, face,
				 err);
	return r < 0 ? r : axle_register(grpc, face, err);
}

int server_open(struct server *server, struct node *node, struct err *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < OWNER_COUNT; i++) {
		server->faces[i] = (struct face){node, (enum owner)i};
		r = grpc_server_new(node->loop, NULL, &node->log, &server->grpc[i]);
		if (r == 0)
			r = add_services(server->grpc[i], &server->faces[i], err);
		if (r == 0)
			r = listen_on(server->grpc[i], node, SOCKET_NAMES[i], err);
	}
	return r;
}

static void on_one_closed(void *data)
{
	struct server *server = data;
	if (--server->closing == 0)
		server->on_closed(server->data);
}

void server_close(struct server *server, uint32_t grace_ms, void (*on_closed)(void *data), void *data)
{
	server->on_closed = on_closed;
	server->data = data;
	server->closing = 1;
	for (size_t i = 0; i < OWNER_COUNT; i++) {
		if (!server->grpc[i])
			continue;
		(void)unlinkat(server->faces[i].node->places.state_fd, SOCKET_NAMES[i], 0); /* it may be gone already */
		server->closing++;
		grpc_server_close(server->grpc[i], grace_ms, on_one_closed, server);
		server->grpc[i] = NULL;
	}
	on_one_closed(server);
}
