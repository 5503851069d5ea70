#include "core/sys/usocket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"

/* An address for @path; *ret_dir is held open as long as the address is used (-1 for a short path, which is used as
 * is). */
static int address_of(const char *path, struct sockaddr_un *ret_address, int *ret_dir)
{
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	size_t length = strlen(path);
	if (length == 0)
		return -ENOENT;
	if (length < sizeof ret_address->sun_path) {
		memcpy(ret_address->sun_path, path, length + 1);
		return 0;
	}
	const char *slash = strrchr(path, '/');
	char dir[4096];
	if (!slash || slash == path || (size_t)(slash - path) >= sizeof dir)
		return -ENAMETOOLONG;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	scoped_fd int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if ((size_t)snprintf(ret_address->sun_path, sizeof ret_address->sun_path, "/proc/self/fd/%d/%s", fd,
			     slash + 1) >= sizeof ret_address->sun_path)
		return -ENAMETOOLONG;
	*ret_dir = TAKE_FD(fd);
	return 0;
}

static int connect_address(const struct sockaddr_un *address, int type)
{
	scoped_fd int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int usocket_connect(const char *path, int type, struct err *err)
{
	struct sockaddr_un address;
	scoped_fd int dir = -1;
	int r = address_of(path, &address, &dir);
	if (r == 0)
		r = connect_address(&address, type);
	return r < 0 ? err_sys(err, r, "socket.connect", "connect to %s", path) : r;
}

/* Binds, over a socket that nobody serves any more. */
static int bind_address(int fd, const struct sockaddr_un *address, int type)
{
	if (bind(fd, (const struct sockaddr *)address, sizeof *address) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	scoped_fd int served = connect_address(address, type);
	if (served != -ECONNREFUSED)
		return -EADDRINUSE;
	if (unlink(address->sun_path) < 0 && errno != ENOENT)
		return -errno;
	return bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
}

int usocket_listen(const char *path, int type, mode_t mode, int backlog, struct err *err)
{
	struct sockaddr_un address;
	scoped_fd int dir = -1;
	int r = address_of(path, &address, &dir);
	if (r < 0)
		return err_sys(err, r, "socket.listen", "listen on %s", path);
	scoped_fd int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, -errno, "socket.listen", "make a UNIX socket");
	(void)fchmod(fd, mode); /* the file is made with it: never wider, not even for a moment */
	r = bind_address(fd, &address, type);
	if (r == 0 && (chmod(address.sun_path, mode) < 0 || listen(fd, backlog) < 0))
		r = -errno;
	return r < 0 ? err_sys(err, r, "socket.listen", "listen on %s", path) : TAKE_FD(fd);
}
