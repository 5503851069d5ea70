#include "runtime/src/axrun/target.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/sys/path.h"

static int open_without_links(int root_fd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
	return fd < 0 ? -errno : fd;
}

static int open_existing(int root_fd, const char *path, bool no_links)
{
	return no_links ? open_without_links(root_fd, path) : path_open_in_root(root_fd, path, O_PATH | O_CLOEXEC, 0);
}

int target_open_parent(int root_fd, const char *path, int *ret_fd, char ret_name[static 256], struct err *err)
{
	char parent[4096];
	size_t length = strlen(path);
	while (length > 0 && path[length - 1] == '/')
		length--;
	size_t start = length;
	while (start > 0 && path[start - 1] != '/')
		start--;
	size_t name_length = length - start;
	bool dots = (name_length == 1 && path[start] == '.') || (name_length == 2 && strncmp(path + start, "..", 2) == 0);
	if (name_length == 0 || name_length > 255 || dots || start >= sizeof parent)
		return err_set(err, -EINVAL, "target.path", "%s: expected a path below the root", path);
	memcpy(ret_name, path + start, name_length);
	ret_name[name_length] = '\0';
	(void)snprintf(parent, sizeof parent, "/%.*s", (int)start, path);
	int r = path_make_directories_in_root(root_fd, parent, 0755, ret_fd);
	return r < 0 ? err_sys(err, r, "target.make", "make the directory of %s in the root file system", path) : 0;
}

static int make_file(int root_fd, const char *path, struct err *err)
{
	scoped_fd int parent = -1;
	char name[256];
	int r = target_open_parent(root_fd, path, &parent, name, err);
	if (r < 0)
		return r;
	scoped_fd int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 && errno != EEXIST)
		return err_sys(err, -errno, "target.make", "make %s in the root file system", path);
	return 0;
}

static int make_directory(int root_fd, const char *path, struct err *err)
{
	scoped_fd int fd = -1;
	int r = path_make_directories_in_root(root_fd, path, 0755, &fd);
	return r < 0 ? err_sys(err, r, "target.make", "make %s in the root file system", path) : 0;
}

int target_open(int root_fd, const char *path, bool directory, bool no_links, int *ret_fd, bool *ret_existed,
		struct err *err)
{
	int fd = open_existing(root_fd, path, no_links);
	if (ret_existed)
		*ret_existed = fd >= 0;
	if (fd == -ENOENT) {
		int r = directory ? make_directory(root_fd, path, err) : make_file(root_fd, path, err);
		if (r < 0)
			return r;
		fd = open_existing(root_fd, path, no_links);
	}
	if (fd == -ELOOP && no_links)
		return err_set(err, fd, "target.link", "%s: a symbolic link in the root file system, expected a directory", path);
	if (fd < 0)
		return err_sys(err, fd, "target.open", "open %s in the root file system", path);
	*ret_fd = fd;
	return 0;
}
