/* Images as volumes: a tree of layers, mounted read-only where a runtime finds it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/mount.h"
#include "core/sys/path.h"
#include "manager/src/helper_work.h"

#define WHOLE_NAME "whole" /* where all of the image is, while a part of it is mounted */

/* Programs may be run from an image's mount (critest wants it so), with no more rights than who runs them has. */
#define ATTRIBUTES (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

static int attach_at(int folder_fd, const char *name, bool directory, int tree)
{
	scoped_fd int made = -1;
	if (directory ? mkdirat(folder_fd, name, 0755) < 0 && errno != EEXIST
		      : (made = openat(folder_fd, name, O_CREAT | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0444)) < 0)
		return -errno;
	scoped_fd int target = openat(folder_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return target < 0 ? -errno : mount_tree_attach(tree, target);
}

/* A part of a mount can be cloned only where the mount is attached (before Linux 6.15): it is, for this long. */
static int clone_part(int folder_fd, const char *sub_path, int tree, int *ret_part, struct err *err)
{
	int r = attach_at(folder_fd, WHOLE_NAME, true, tree);
	if (r < 0)
		return err_sys(err, r, "volume.mount", "mount the image");
	scoped_fd int root = openat(folder_fd, WHOLE_NAME, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, -errno, "volume.mount", "open the image's mount");
	scoped_fd int place = path_open_in_root(root, sub_path, O_PATH | O_CLOEXEC, 0);
	if (place < 0)
		return err_sys(err, place, "volume.sub-path", "sub path \"%s\" of the image", sub_path);
	struct stat status = {0};
	if (fstat(place, &status) < 0 || (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)))
		return err_set(err, -EINVAL, "volume.sub-path",
			       "sub path \"%s\" of the image: expected a directory or a file", sub_path);
	r = mount_tree_open(place, "", false, ret_part);
	return r < 0 ? err_sys(err, r, "volume.mount", "clone the image's mount") : 0;
}

static int take_away(int folder_fd, const char *folder, const char *name, struct err *err)
{
	scoped_free char *path = str_printf("%s/%s", folder, name);
	if (!path)
		return err_memory(err, "volumes");
	int r = helper_unmount(path, err);
	if (r == 0 && unlinkat(folder_fd, name, AT_REMOVEDIR) < 0)
		(void)unlinkat(folder_fd, name, 0); /* a file; what is left is in the way of nobody */
	return r;
}

static int mount_part(const struct helper_volume_mount *request, int folder_fd, int tree, struct err *err)
{
	scoped_fd int part = -1;
	int r = clone_part(folder_fd, request->sub_path, tree, &part, err);
	struct err undo_err = {0};
	int undone = take_away(folder_fd, request->folder, WHOLE_NAME, &undo_err);
	if (r == 0 && undone < 0) {
		*err = undo_err;
		r = undone;
	}
	struct stat status = {0};
	if (r == 0)
		r = fstat(part, &status) < 0 ? -errno : attach_at(folder_fd, request->name, S_ISDIR(status.st_mode), part);
	return r < 0 && !err->reason ? err_sys(err, r, "volume.mount", "mount the image") : r;
}

int helper_volume_mount(const struct helper_volume_mount *request, struct err *err)
{
	int r = path_make_directories(request->folder, 0700, err);
	if (r < 0)
		return r;
	scoped_fd int folder_fd = open(request->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		return err_sys(err, -errno, "volume.folder", "open %s", request->folder);
	scoped_fd int tree = -1;
	r = take_away(folder_fd, request->folder, WHOLE_NAME, err); /* of an attempt that did not end */
	if (r == 0)
		r = take_away(folder_fd, request->folder, request->name, err);
	const struct helper_layers layers = {.folder = request->layers, .names = request->lowers, .context = request->context,
					     .user_namespace = request->user_namespace};
	if (r == 0)
		r = helper_mount_layers(&layers, &tree, err);
	if (r < 0)
		return r;
	r = mount_change(tree, false, &(struct mount_change){.set = ATTRIBUTES});
	if (r < 0)
		return err_sys(err, r, "volume.mount", "make the image's mount read-only");
	if (!str_empty(request->sub_path))
		return mount_part(request, folder_fd, tree, err);
	r = attach_at(folder_fd, request->name, true, tree);
	return r < 0 ? err_sys(err, r, "volume.mount", "mount the image at %s", request->folder) : 0;
}

static void close_folder(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

static int unmount_in(const char *folder, struct err *err)
{
	__attribute__((cleanup(close_folder))) DIR *dir = opendir(folder);
	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		scoped_free char *path = str_printf("%s/%s", folder, entry->d_name);
		if (str_equal(entry->d_name, ".") || str_equal(entry->d_name, ".."))
			continue;
		int r = path ? helper_unmount(path, err) : err_memory(err, "volumes");
		if (r < 0)
			return r;
	}
	return 0;
}

int helper_volumes_unmount(const char *folder, struct err *err)
{
	__attribute__((cleanup(close_folder))) DIR *dir = opendir(folder);
	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
		scoped_free char *path = str_printf("%s/%s", folder, entry->d_name);
		if (str_equal(entry->d_name, ".") || str_equal(entry->d_name, ".."))
			continue;
		int r = path ? unmount_in(path, err) : err_memory(err, "volumes");
		if (r < 0)
			return r;
	}
	return 0;
}
