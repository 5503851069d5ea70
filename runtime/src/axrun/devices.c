#include "runtime/src/axrun/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/mount.h"
#include "core/sys/path.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/mounts.h"
#include "runtime/src/axrun/target.h"

struct node {
	const char *path;
	mode_t type;
	dev_t number;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/* config-linux.md, "Default Devices"; /dev/console and /dev/ptmx come with the terminal and with devpts. */
static const struct {
	const char *name;
	unsigned major, minor;
} DEFAULTS[] = {
	{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

static const struct {
	const char *name;
	const char *target;
} LINKS[] = {
	{"fd", "/proc/self/fd"},	 {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},	{"ptmx", "pts/ptmx"},
};

static bool dev_is_bound(const struct oci_spec *spec)
{
	for (size_t i = 0; i < spec->mounts_count; i++) {
		const char *destination = spec->mounts[i].destination;
		if ((str_equal(destination, "/dev") || str_equal(destination, "/dev/")) && mount_is_bind(&spec->mounts[i]))
			return true;
	}
	return false;
}

static int bind_node(int parent, const struct node *node, const char *name, struct err *err)
{
	scoped_fd int file = openat(parent, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	if (file < 0 && errno != ENXIO)
		return err_sys(err, -errno, "device.make", "make %s", node->path);
	scoped_fd int target = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	scoped_fd int source = open(node->path, O_PATH | O_CLOEXEC);
	struct stat st = {0};
	if (target < 0 || source < 0 || fstat(source, &st) < 0)
		return err_sys(err, -errno, "device.make", "bind the host's %s", node->path);
	if ((st.st_mode & S_IFMT) != node->type || st.st_rdev != node->number)
		return err_set(err, -ENODEV, "device.make", "%s: the host's node is another device than %u:%u", node->path,
			       major(node->number), minor(node->number));
	scoped_fd int tree = -1;
	int r = mount_tree_open(source, "", false, &tree);
	if (r == 0)
		r = mount_change(tree, false, &(struct mount_change){.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC});
	if (r == 0)
		r = mount_tree_attach(tree, target);
	return r < 0 ? err_sys(err, r, "device.make", "bind the host's %s", node->path) : 0;
}

/* Is there such a node already, as an image or a mount brought it? */
static bool is_there(int parent, const char *name, const struct node *node)
{
	struct stat st = {0};
	return fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == node->type &&
	       st.st_rdev == node->number;
}

static int make_node_in(int parent, const char *name, const struct node *node, bool bind, struct err *err)
{
	if (bind && node->type != S_IFIFO)
		return bind_node(parent, node, name, err);
	if (mknodat(parent, name, node->type | node->mode, node->number) < 0) {
		if (errno == EPERM && node->type != S_IFIFO)
			return bind_node(parent, node, name, err); /* no CAP_MKNOD: as good as a user namespace */
		if (errno != EEXIST)
			return err_sys(err, -errno, "device.make", "make %s", node->path);
		if (is_there(parent, name, node))
			return 0;
		if (unlinkat(parent, name, 0) < 0 || mknodat(parent, name, node->type | node->mode, node->number) < 0)
			return err_sys(err, -errno, "device.make", "replace %s", node->path);
	}
	if ((node->uid || node->gid) && fchownat(parent, name, node->uid, node->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, -errno, "device.make", "own %s", node->path);
	return 0;
}

static int make_configured(const struct oci_device *device, int root_fd, bool bind, struct err *err)
{
	static const struct {
		char letter;
		mode_t type;
	} TYPES[] = {{'c', S_IFCHR}, {'u', S_IFCHR}, {'b', S_IFBLK}, {'p', S_IFIFO}};
	struct node node = {
		.path = device->path,
		.number = makedev((unsigned)device->major, (unsigned)device->minor),
		.mode = device->file_mode ? *device->file_mode & 07777 : 0666,
		.uid = device->uid ? *device->uid : 0,
		.gid = device->gid ? *device->gid : 0,
	};
	for (size_t i = 0; i < ARRAY_COUNT(TYPES); i++)
		if (device->type[0] == TYPES[i].letter && !device->type[1])
			node.type = TYPES[i].type;
	if (!node.type)
		return err_set(err, -EINVAL, "config.invalid", "linux.devices: %s: expected type c, b, u or p, found \"%s\"",
			       device->path, device->type);
	if (node.type == S_IFIFO)
		node.number = 0;
	scoped_fd int parent = -1;
	char name[256];
	int r = target_open_parent(root_fd, device->path, &parent, name, err);
	return r < 0 ? r : make_node_in(parent, name, &node, bind, err);
}

static int make_defaults(int dev_fd, bool bind, struct err *err)
{
	for (size_t i = 0; i < ARRAY_COUNT(DEFAULTS); i++) {
		char path[32];
		(void)snprintf(path, sizeof path, "/dev/%s", DEFAULTS[i].name);
		struct node node = {
			.path = path, .type = S_IFCHR, .number = makedev(DEFAULTS[i].major, DEFAULTS[i].minor), .mode = 0666};
		int r = make_node_in(dev_fd, DEFAULTS[i].name, &node, bind, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_links(int dev_fd, struct err *err)
{
	for (size_t i = 0; i < ARRAY_COUNT(LINKS); i++)
		if (symlinkat(LINKS[i].target, dev_fd, LINKS[i].name) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "device.link", "link /dev/%s", LINKS[i].name);
	return 0;
}

/* Whether nodes cannot be made is a matter of the file system's owner, which a user namespace never is. */
static int make_all(const struct launch *launch, int root_fd, struct err *err)
{
	bool bind = launch->any_user;
	scoped_fd int dev_fd = -1;
	int r = target_open(root_fd, "/dev", true, false, &dev_fd, NULL, err);
	const struct oci_linux *config = launch->spec->linux_;
	for (size_t i = 0; config && i < config->devices_count && r == 0; i++)
		r = make_configured(&config->devices[i], root_fd, bind, err);
	if (r == 0)
		r = make_defaults(dev_fd, bind, err);
	return r < 0 ? r : make_links(dev_fd, err);
}

int devices_make(const struct launch *launch, int root_fd, struct err *err)
{
	if (dev_is_bound(launch->spec))
		return 0;
	mode_t mask = umask(0);
	int r = make_all(launch, root_fd, err);
	(void)umask(mask);
	return r;
}
