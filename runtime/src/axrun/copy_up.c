#include "runtime/src/axrun/copy_up.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"

#define DEPTH_MAX 64
#define CHUNK (1 << 20)

static int copy_bytes(int from, int to)
{
	for (;;) {
		ssize_t count = sendfile(to, from, NULL, CHUNK);
		if (count == 0)
			return 0;
		if (count < 0 && errno != EINTR)
			return -errno;
	}
}

static int copy_file(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	scoped_fd int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return -errno;
	scoped_fd int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	int r = copy_bytes(from, to);
	if (r < 0)
		return r;
	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	return 0;
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t length = readlinkat(from_dir, name, target, sizeof target - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	if (symlinkat(target, to_dir, name) < 0 ||
	    fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_node(int to_dir, const char *name, const struct stat *st)
{
	if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0)
		return errno == EPERM ? 0 : -errno; /* device nodes in a user namespace: as if they were not there */
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

static int copy_tree(int from_dir, int to_dir, dev_t device, int depth);

static int copy_directory(int from_dir, int to_dir, const char *name, const struct stat *st, int depth)
{
	if (mkdirat(to_dir, name, 0700) < 0)
		return -errno;
	scoped_fd int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	scoped_fd int to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0 || to < 0)
		return -errno;
	int r = copy_tree(from, to, st->st_dev, depth + 1);
	if (r < 0)
		return r;
	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	return 0;
}

static int copy_entry(int from_dir, int to_dir, const char *name, dev_t device, int depth)
{
	struct stat st = {0};
	if (fstatat(from_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return st.st_dev == device ? copy_directory(from_dir, to_dir, name, &st, depth) : 0;
	if (S_ISREG(st.st_mode))
		return copy_file(from_dir, to_dir, name, &st);
	return S_ISLNK(st.st_mode) ? copy_link(from_dir, to_dir, name, &st) : copy_node(to_dir, name, &st);
}

static int copy_tree(int from_dir, int to_dir, dev_t device, int depth)
{
	if (depth > DEPTH_MAX)
		return -ELOOP;
	int listing = openat(from_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = listing < 0 ? NULL : fdopendir(listing);
	if (!dir)
		return -errno;
	int r = 0;
	for (struct dirent *entry = readdir(dir); entry && r == 0; entry = readdir(dir))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = copy_entry(from_dir, to_dir, entry->d_name, device, depth);
	(void)closedir(dir);
	return r;
}

int copy_up(int from_fd, int to_fd, struct err *err)
{
	struct stat st = {0};
	int r = fstat(from_fd, &st) < 0 ? -errno : copy_tree(from_fd, to_fd, st.st_dev, 0);
	return r < 0 ? err_sys(err, r, "mount.copy-up", "copy the image's files into the tmpfs") : 0;
}
