#include "runtime/src/axrun/mask.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/mount.h"
#include "core/sys/path.h"

/* What covers: one of each kind, cloned for every further place. -1 until the first use. */
struct covers {
	int null;	 /* the host's /dev/null, in this mount namespace */
	int empty;	 /* the first attached empty tmpfs */
};

/* The device itself is checked, not its name: whoever can plant something at /dev/null would otherwise choose what masks
 * (CVE-2025-31133). It is the host's, opened before the container's root is entered. */
static int open_null(struct covers *covers, struct err *err)
{
	if (covers->null >= 0)
		return 0;
	scoped_fd int fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st = {0};
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "mask.null", "open /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(err, -ENODEV, "mask.null", "/dev/null: expected the character device 1:3");
	covers->null = TAKE_FD(fd);
	return 0;
}

static int mask_file(struct covers *covers, int target, struct err *err)
{
	int r = open_null(covers, err);
	if (r < 0)
		return r;
	scoped_fd int tree = -1;
	r = mount_tree_open(covers->null, "", false, &tree);
	return r < 0 ? r : mount_tree_attach(tree, target);
}

static int mask_directory(struct covers *covers, int target, struct err *err)
{
	static const struct mount_option TMPFS[] = {{"size", "4k"}, {"nr_inodes", "1"}, {"mode", "755"}};
	scoped_fd int tree = -1;
	int r = covers->empty >= 0 ? mount_tree_open(covers->empty, "", false, &tree)
				   : mount_filesystem("tmpfs", TMPFS, ARRAY_COUNT(TMPFS),
						      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
							      MOUNT_ATTR_NOEXEC,
						      &tree, err);
	if (r < 0)
		return r;
	r = mount_tree_attach(tree, target);
	if (r == 0 && covers->empty < 0)
		covers->empty = TAKE_FD(tree);
	return r;
}

static bool is_absent(int code)
{
	return code == -ENOENT || code == -ENOTDIR;
}

static int mask_path(struct covers *covers, int root_fd, const char *path, struct err *err)
{
	scoped_fd int target = path_open_in_root(root_fd, path, O_PATH | O_CLOEXEC, 0);
	if (target < 0)
		return is_absent(target) ? 0 : err_sys(err, target, "mask.path", "mask %s", path);
	struct stat st = {0};
	if (fstat(target, &st) < 0)
		return err_sys(err, -errno, "mask.path", "mask %s", path);
	int r = S_ISDIR(st.st_mode) ? mask_directory(covers, target, err) : mask_file(covers, target, err);
	return r < 0 ? err_add(err, r, "mask %s", path) : 0;
}

int mask_paths(const struct oci_linux *config, int root_fd, struct err *err)
{
	struct covers covers = {.null = -1, .empty = -1};
	int r = 0;
	for (size_t i = 0; config->masked_paths && config->masked_paths[i] && r == 0; i++)
		r = mask_path(&covers, root_fd, config->masked_paths[i], err);
	if (covers.null >= 0)
		(void)close(covers.null); /* O_PATH: nothing to lose */
	if (covers.empty >= 0)
		(void)close(covers.empty); /* stays mounted */
	return r;
}

static int make_readonly(int root_fd, const char *path)
{
	scoped_fd int target = path_open_in_root(root_fd, path, O_PATH | O_CLOEXEC, 0);
	if (target < 0)
		return is_absent(target) ? 0 : target;
	scoped_fd int tree = -1;
	int r = mount_tree_open(target, "", true, &tree);
	if (r == 0)
		r = mount_change(tree, true, &(struct mount_change){.set = MOUNT_ATTR_RDONLY});
	return r < 0 ? r : mount_tree_attach(tree, target);
}

int mask_readonly_paths(const struct oci_linux *config, int root_fd, struct err *err)
{
	for (size_t i = 0; config->readonly_paths && config->readonly_paths[i]; i++) {
		int r = make_readonly(root_fd, config->readonly_paths[i]);
		if (r < 0)
			return err_sys(err, r, "mask.readonly", "make %s read-only", config->readonly_paths[i]);
	}
	return 0;
}
