#include "signals/src/container_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/mount.h"
#include "core/sys/path.h"

#define DEVICE_FOLDER "dev"
#define MOUNT_NAME "signal"
#define SOCKET_NAME "signal.sock"
#define DEAD_MOUNTS_MAX 16

static int make_mount(int *ret_fuse, int *ret_tree, struct err *err)
{
	scoped_fd int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fuse < 0)
		return err_sys(err, -errno, "view.mount", "/dev/fuse");
	char number[16];
	(void)snprintf(number, sizeof number, "%d", fuse);
	/* no default_permissions: in a view the grant decides, not the uid; the service checks each open */
	const struct mount_option options[] = {
		{"source", "axsignald"}, {"fd", number}, {"rootmode", "40000"}, {"user_id", "0"}, {"group_id", "0"},
		{"allow_other", NULL},
	};
	int r = mount_filesystem("fuse", options, ARRAY_COUNT(options),
				 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, ret_tree, err);
	if (r == 0)
		*ret_fuse = TAKE_FD(fuse);
	return r;
}

/* Asked again once entered: the number may have become another's in between, but not while the namespace is open. */
static int enter_mounts(const struct container_place *place, struct err *err)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/%lld/ns/mnt", (long long)place->pid);
	scoped_fd int ns = open(path, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || !container_is_alive(place))
		return err_set(err, -ESRCH, "view.container", "process %lld is gone", (long long)place->pid);
	if (setns(ns, CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "view.namespace", "enter the mounts of process %lld", (long long)place->pid);
	return 0;
}

static bool is_mount_root(const struct statx *status)
{
	return (status->stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

static bool is_known(const struct container_place *place, const struct statx *status)
{
	return place->inode == 0 || (status->stx_ino == place->inode &&
				     makedev(status->stx_dev_major, status->stx_dev_minor) == place->device);
}

static int look(int fd, struct statx *ret_status)
{
	return fd >= 0 && statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, ret_status) == 0 ? 0 : -errno;
}

/* The container's root: hooks run before the runtime changes into it, where it is a mount of its own at the bundle's
 * path; and where the runtime has changed into it already, it is the namespace's root. Once known it is that or none. */
static int open_root(struct container_place *place, struct err *err)
{
	struct statx below = {0}, top = {0};
	scoped_fd int top_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (look(top_fd, &top) < 0)
		return err_sys(err, -errno, "view.root", "the container's root");
	scoped_fd int below_fd = path_open_in_root(top_fd, place->root, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	bool is_below = look(below_fd, &below) == 0 && is_mount_root(&below) && is_known(place, &below);
	if (!is_below && !is_known(place, &top))
		return err_set(err, -ESTALE, "view.root", "the root of process %lld is no longer the container's",
			       (long long)place->pid);
	const struct statx *found = is_below ? &below : &top;
	place->device = makedev(found->stx_dev_major, found->stx_dev_minor);
	place->inode = found->stx_ino;
	return is_below ? TAKE_FD(below_fd) : TAKE_FD(top_fd);
}

static int open_device_folder(struct container_place *place, struct err *err)
{
	int r = enter_mounts(place, err);
	if (r < 0)
		return r;
	scoped_fd int root = open_root(place, err);
	if (root < 0)
		return root;
	int device = path_open_in_root(root, DEVICE_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	return device < 0 ? err_sys(err, device, "view.device", "/dev of the container") : device;
}

/* By its name in the folder that is open: there is nothing that the container could put in between. */
static int take_dead_away(int device, struct err *err)
{
	if (fchdir(device) < 0)
		return err_sys(err, -errno, "view.device", "/dev of the container");
	for (int i = 0; i < DEAD_MOUNTS_MAX && mount_is_dead(device, MOUNT_NAME); i++)
		if (umount2(MOUNT_NAME, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return err_sys(err, -errno, "view.unmount", "unmount /dev/signal of the container");
	return 0;
}

/* In a user namespace the container's /dev knows only its own users: what is made there is made as its owner. */
static int become_owner(int device, struct err *err)
{
	struct stat status;
	if (fstat(device, &status) < 0)
		return err_sys(err, -errno, "view.device", "/dev of the container");
	(void)setfsgid(status.st_gid);
	(void)setfsuid(status.st_uid);
	return 0;
}

static int attach(int device, int tree, struct err *err)
{
	if (mkdirat(device, MOUNT_NAME, 0755) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "view.device", "make /dev/signal in the container");
	scoped_fd int target = path_open_in_root(device, MOUNT_NAME, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (target < 0)
		return err_sys(err, target, "view.device", "/dev/signal of the container");
	int r = mount_tree_attach(tree, target);
	return r < 0 ? err_sys(err, r, "view.mount", "mount on /dev/signal of the container") : 0;
}

/* Relative to the folder, which take_dead_away() has made the current one. */
static int make_socket(int device, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_NAME};
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, -errno, "view.socket", "a socket in the container");
	(void)unlinkat(device, SOCKET_NAME, 0);
	if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || fchmodat(device, SOCKET_NAME, 0666, 0) < 0 ||
	    listen(fd, SOMAXCONN) < 0)
		return err_sys(err, -errno, "view.socket", "/dev/signal.sock of the container");
	return TAKE_FD(fd);
}

int container_mount(struct container_place *place, int *ret_fuse, int *ret_socket, struct err *err)
{
	scoped_fd int fuse = -1;
	scoped_fd int tree = -1;
	int r = make_mount(&fuse, &tree, err);
	if (r < 0)
		return r;
	scoped_fd int device = open_device_folder(place, err);
	if (device < 0)
		return device;
	r = take_dead_away(device, err);
	if (r == 0)
		r = become_owner(device, err);
	if (r == 0)
		r = attach(device, tree, err);
	if (r < 0)
		return r;
	int socket = make_socket(device, err);
	if (socket < 0)
		return socket;
	*ret_socket = socket;
	*ret_fuse = TAKE_FD(fuse);
	return 0;
}

int container_unmount_dead(const struct container_place *place, struct err *err)
{
	struct container_place found = *place;
	scoped_fd int device = open_device_folder(&found, err);
	return device < 0 ? device : take_dead_away(device, err);
}
