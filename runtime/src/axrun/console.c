#include "runtime/src/axrun/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/fd.h"
#include "core/sys/mount.h"
#include "core/sys/path.h"
#include "runtime/src/axrun/target.h"

/* The multiplexer must be the real one on a devpts: an image cannot offer a file of its own instead (CVE-2025-52565). */
static int open_multiplexer(int root_fd, int *ret_fd, struct err *err)
{
	scoped_fd int path = path_open_in_root(root_fd, "/dev/pts/ptmx", O_PATH | O_CLOEXEC, 0);
	if (path < 0)
		return err_sys(err, path, "console.open", "open /dev/pts/ptmx: a terminal needs a devpts mount on /dev/pts");
	struct stat st = {0};
	if (fstat(path, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2) ||
	    !mount_is_filesystem(path, MOUNT_MAGIC_DEVPTS))
		return err_set(err, -ENODEV, "console.open", "/dev/pts/ptmx: expected the terminal multiplexer of a devpts");
	int fd = path_open_in_root(root_fd, "/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, fd, "console.open", "open /dev/pts/ptmx");
	*ret_fd = fd;
	return 0;
}

int console_open(int root_fd, const struct oci_process *process, int *ret_master, int *ret_slave, struct err *err)
{
	scoped_fd int master = -1;
	int r = open_multiplexer(root_fd, &master, err);
	if (r < 0)
		return r;
	struct stat st = {0};
	int unlocked = 0;
	if (fstat(master, &st) < 0 || st.st_rdev != makedev(5, 2))
		return err_set(err, -ENODEV, "console.open", "/dev/pts/ptmx: changed while it was opened");
	if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
		return err_sys(err, -errno, "console.open", "unlock the terminal");
	scoped_fd int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return err_sys(err, -errno, "console.open", "open the terminal");
	if (process->console_size) {
		struct winsize size = {.ws_row = (unsigned short)process->console_size->height,
				       .ws_col = (unsigned short)process->console_size->width};
		(void)ioctl(master, TIOCSWINSZ, &size); /* a terminal of another size is still one */
	}
	if (process->user.uid != 0 && fchown(slave, process->user.uid, (gid_t)-1) < 0)
		return err_sys(err, -errno, "console.open", "give the terminal to uid %u", process->user.uid);
	*ret_master = TAKE_FD(master);
	*ret_slave = TAKE_FD(slave);
	return 0;
}

int console_bind(int root_fd, int slave, struct err *err)
{
	scoped_fd int target = -1;
	int r = target_open(root_fd, "/dev/console", false, false, &target, NULL, err);
	if (r < 0)
		return r;
	scoped_fd int tree = -1;
	r = mount_tree_open(slave, "", false, &tree);
	if (r == 0)
		r = mount_tree_attach(tree, target);
	return r < 0 ? err_sys(err, r, "console.bind", "bind the terminal on /dev/console") : 0;
}

int console_become(int slave, struct err *err)
{
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_sys(err, -errno, "console.become", "make the terminal the controlling one");
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (dup2(slave, fd) < 0)
			return err_sys(err, -errno, "console.become", "put the terminal on descriptor %d", fd);
	if (slave > STDERR_FILENO)
		(void)close(slave); /* open thrice by now */
	return 0;
}

int console_send(const char *path, int master, struct err *err)
{
	static const char NAME[] = "/dev/ptmx";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path)
		return err_set(err, -ENAMETOOLONG, "console.send", "console socket %s: expected a path below %zu bytes", path,
			       sizeof address.sun_path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	scoped_fd int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (socket_fd < 0 || connect(socket_fd, (struct sockaddr *)&address, sizeof address) < 0)
		return err_sys(err, -errno, "console.send", "connect to the console socket %s", path);
	int r = fd_send_message(socket_fd, NAME, sizeof NAME - 1, &master, 1);
	return r < 0 ? err_sys(err, r, "console.send", "send the terminal to %s", path) : 0;
}
