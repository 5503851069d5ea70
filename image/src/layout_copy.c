#include "image/src/layout_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "image/src/archive.h"
#include "image/src/copy_file.h"

struct copying {
	uid_t uid;
	gid_t gid;
	size_t files;
};

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static int open_plain(int dir_fd, const char *name, uint64_t flags)
{
	struct open_how how = {.flags = flags | O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	int fd = (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
	return fd < 0 ? -errno : fd;
}

static int io_error(int code, const char *what, struct err *err)
{
	if (code == -ENOSPC || code == -EDQUOT)
		return err_set(err, -ENOSPC, "store.full", "no space left for the image");
	return err_sys(err, code, "store.io", "copy the layout: %.200s", what);
}

static int give(const struct copying *copying, int fd)
{
	return geteuid() == 0 && fchown(fd, copying->uid, copying->gid) < 0 ? -errno : 0;
}

static int copy_file(struct copying *copying, int from_dir, int to_dir, const char *name, struct err *err)
{
	scoped_fd int from = open_plain(from_dir, name, 0);
	struct stat st;
	if (from < 0 || fstat(from, &st) < 0)
		return io_error(from < 0 ? from : -errno, name, err);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EBADMSG, "image.malformed", "layout: %.200s is no regular file", name);
	if (++copying->files > ARCHIVE_FILES_MAX)
		return err_set(err, -EFBIG, "image.too-large", "layout: more than %d files", ARCHIVE_FILES_MAX);
	scoped_fd int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = to < 0 ? -errno : copy_file_bytes(from, to, (uint64_t)st.st_size);
	if (r == 0)
		r = give(copying, to);
	return r < 0 ? io_error(r, name, err) : 0;
}

static int make_directory(const struct copying *copying, int dir_fd, const char *name, int *ret_fd)
{
	if (mkdirat(dir_fd, name, 0700) < 0)
		return -errno;
	scoped_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? -errno : give(copying, fd);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

/* One level of directories deep below "blobs" there are files only. */
static int copy_directory(struct copying *copying, int from_dir, int to_dir, const char *name, bool files,
			  struct err *err)
{
	scoped_fd int from = open_plain(from_dir, name, O_DIRECTORY);
	scoped_fd int to = -1;
	int r = from < 0 ? from : make_directory(copying, to_dir, name, &to);
	int listed = r < 0 ? -1 : fcntl(from, F_DUPFD_CLOEXEC, 3);
	scoped_done(close_dir) DIR *dir = listed < 0 ? NULL : fdopendir(listed);
	if (!dir)
		return io_error(r < 0 ? r : -errno, name, err);
	struct dirent *entry;
	r = 0;
	while (r == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		r = files ? copy_file(copying, from, to, entry->d_name, err)
			  : copy_directory(copying, from, to, entry->d_name, true, err);
	}
	return r;
}

int layout_copy(int from_fd, int ingest_fd, uid_t uid, gid_t gid, struct err *err)
{
	static const char *const FILES[] = {"index.json", "oci-layout", "manifest.json"};
	struct copying copying = {.uid = uid, .gid = gid};
	scoped_fd int to = -1;
	int r = make_directory(&copying, ingest_fd, INGEST_INPUT, &to);
	if (r < 0)
		return io_error(r, INGEST_INPUT, err);
	for (size_t i = 0; r == 0 && i < sizeof FILES / sizeof *FILES; i++) {
		struct stat st;
		if (fstatat(from_fd, FILES[i], &st, AT_SYMLINK_NOFOLLOW) == 0)
			r = copy_file(&copying, from_fd, to, FILES[i], err);
	}
	struct stat st;
	if (r == 0 && fstatat(from_fd, "blobs", &st, AT_SYMLINK_NOFOLLOW) == 0)
		r = copy_directory(&copying, from_fd, to, "blobs", false, err);
	return r;
}
