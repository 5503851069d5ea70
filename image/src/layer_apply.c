#include "image/src/layer_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/str.h"
#include "image/src/copy_file.h"
#include "image/src/tree_list.h"

struct applying {
	const struct layer_apply *apply;
	int parent_fd;		       /* directory of the last record */
	char parent[TREE_PATH_MAX + 1]; /* its path */
};

static int open_beneath(int dir_fd, const char *path, uint64_t flags)
{
	struct open_how how = {.flags = flags | O_CLOEXEC | O_NOFOLLOW,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
	int fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
	return fd < 0 ? -errno : fd;
}

static int not_as_listed(struct err *err)
{
	return err_set(err, -EUCLEAN, "store.damaged", "it is not what the layer's list says");
}

static int io_error(int code, const char *what, struct err *err)
{
	if (code == -ENOSPC || code == -EDQUOT)
		return err_set(err, -ENOSPC, "store.full", "no space left for the image");
	return err_sys(err, code, "store.io", "%s", what);
}

/* Opens the directory that holds the record and gives its last name. Records come parents first, so that one descriptor is
 * kept for many. */
static int enter_parent(struct applying *applying, const char *path, const char **ret_name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	*ret_name = slash ? slash + 1 : path;
	bool same = applying->parent_fd >= 0 && strlen(applying->parent) == length &&
		    memcmp(applying->parent, path, length) == 0;
	if (same)
		return 0;
	if (applying->parent_fd >= 0)
		(void)close(applying->parent_fd);
	memcpy(applying->parent, path, length);
	applying->parent[length] = '\0';
	applying->parent_fd =
		open_beneath(applying->apply->tree_fd, length ? applying->parent : ".", O_RDONLY | O_DIRECTORY);
	return applying->parent_fd < 0 ? io_error(applying->parent_fd, "open its directory", err) : 0;
}

/* ---- Attributes ------------------------------------------------------------------------------------------------- */

static int set_xattrs(int fd, const struct tree_record *record, struct err *err)
{
	for (size_t i = 0; i < record->xattrs_count; i++) {
		const struct tar_xattr *xattr = &record->xattrs[i];
		if (!tree_keeps_xattr(xattr->name))
			return not_as_listed(err);
		/* A file system that has no such attributes, or a caller that may not set them, goes without. */
		if (fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0) < 0 && errno != ENOTSUP && errno != EPERM)
			return io_error(-errno, xattr->name, err);
	}
	return 0;
}

/* The order matters: a change of owner clears set-id bits and capabilities. */
static int set_attributes(const struct applying *applying, int fd, const struct tree_record *record, struct err *err)
{
	if (applying->apply->privileged && fchown(fd, record->uid, record->gid) < 0)
		return io_error(-errno, "set its owner", err);
	if (fchmod(fd, record->mode) < 0)
		return io_error(-errno, "set its mode", err);
	int r = set_xattrs(fd, record, err);
	struct timespec time = {record->mtime_s, record->mtime_ns};
	struct timespec times[2] = {time, time};
	if (r == 0 && futimens(fd, times) < 0 && errno != EINVAL && errno != EOVERFLOW)
		r = io_error(-errno, "set its time", err);
	return r;
}

static int apply_file(struct applying *applying, const char *name, const struct tree_record *record, struct err *err)
{
	scoped_fd int fd = open_beneath(applying->parent_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd < 0)
		return io_error(fd, "open", err);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != record->size)
		return not_as_listed(err);
	return set_attributes(applying, fd, record, err);
}

/* For what is not opened: links and devices. */
static int set_attributes_at(const struct applying *applying, const char *name, const struct tree_record *record,
			     struct err *err)
{
	int dir = applying->parent_fd;
	if (applying->apply->privileged && fchownat(dir, name, record->uid, record->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return io_error(-errno, "set its owner", err);
	struct timespec time = {record->mtime_s, record->mtime_ns};
	struct timespec times[2] = {time, time};
	if (utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 && errno != EINVAL && errno != EOVERFLOW)
		return io_error(-errno, "set its time", err);
	return 0;
}

static int apply_symlink(struct applying *applying, const char *name, const struct tree_record *record, struct err *err)
{
	struct stat st;
	if (fstatat(applying->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISLNK(st.st_mode))
		return not_as_listed(err);
	return set_attributes_at(applying, name, record, err);
}

static int make_node(struct applying *applying, const char *name, mode_t type, const struct tree_record *record,
		     struct err *err)
{
	dev_t device = makedev(record->dev_major, record->dev_minor);
	if (type != S_IFIFO && device && !applying->apply->privileged)
		return 0; /* only root makes devices; the header says that they are left out */
	if (mknodat(applying->parent_fd, name, type | 0600, device) < 0)
		return io_error(-errno, "make", err);
	/* No symbolic link can have taken its place: the half that could write here has ended. */
	if (fchmodat(applying->parent_fd, name, record->mode, 0) < 0)
		return io_error(-errno, "set its mode", err);
	return set_attributes_at(applying, name, record, err);
}

static int apply_char(struct applying *applying, const char *name, const struct tree_record *record, struct err *err)
{
	if (record->dev_major == 0 && record->dev_minor == 0)
		return err_set(err, -ENOTSUP, "image.unsupported",
			       "a character device 0:0, which overlayfs takes for a removal");
	return make_node(applying, name, S_IFCHR, record, err);
}

static int apply_block(struct applying *applying, const char *name, const struct tree_record *record, struct err *err)
{
	return make_node(applying, name, S_IFBLK, record, err);
}

static int apply_fifo(struct applying *applying, const char *name, const struct tree_record *record, struct err *err)
{
	return make_node(applying, name, S_IFIFO, record, err);
}

/* Linux, Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories" */
static int apply_whiteout(struct applying *applying, const char *name, const struct tree_record *record, struct err *err)
{
	(void)record;
	return mknodat(applying->parent_fd, name, S_IFCHR, makedev(0, 0)) < 0
		       ? io_error(-errno, "make a whiteout", err)
		       : 0;
}

static int apply_copy(struct applying *applying, const char *name, const struct tree_record *record, struct err *err)
{
	const struct layer_apply *apply = applying->apply;
	if (record->source >= apply->lower_count)
		return not_as_listed(err);
	scoped_fd int from = open_beneath(apply->lower_fds[record->source], record->target, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (from < 0)
		return io_error(from, "open its original in a lower layer", err);
	scoped_fd int to = openat(applying->parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to < 0)
		return io_error(-errno, "make", err);
	int r = copy_file_bytes(from, to, record->size);
	if (r < 0)
		return r == -EUCLEAN ? not_as_listed(err) : io_error(r, "copy", err);
	return set_attributes(applying, to, record, err);
}

static int apply_link(struct applying *applying, const char *name, const struct tree_record *record, struct err *err)
{
	scoped_fd int target = open_beneath(applying->apply->tree_fd, record->target, O_PATH);
	struct stat st;
	/* openat2 takes no symbolic link with O_NOFOLLOW | O_PATH for an error: a link to a link is legal. */
	if (target < 0 || fstat(target, &st) < 0 || S_ISDIR(st.st_mode))
		return not_as_listed(err);
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", target);
	/* AT_EMPTY_PATH wants CAP_DAC_READ_SEARCH before Linux 6.10; the link in /proc leads to the same inode. */
	if (linkat(AT_FDCWD, path, applying->parent_fd, name, AT_SYMLINK_FOLLOW) < 0)
		return io_error(-errno, "link", err);
	return 0;
}

static int (*const APPLY[TREE_TYPES])(struct applying *applying, const char *name, const struct tree_record *record,
				      struct err *err) = {
	[TREE_FILE] = apply_file,	 [TREE_COPY] = apply_copy,	   [TREE_HARD_LINK] = apply_link,
	[TREE_SYMLINK] = apply_symlink,	 [TREE_CHAR_DEVICE] = apply_char,  [TREE_BLOCK_DEVICE] = apply_block,
	[TREE_FIFO] = apply_fifo,	 [TREE_WHITEOUT] = apply_whiteout,
};

static int on_content(void *user, const struct tree_record *record, struct err *err)
{
	struct applying *applying = user;
	if (!APPLY[record->type])
		return 0;
	const char *name = NULL;
	int r = enter_parent(applying, record->path, &name, err);
	if (r == 0)
		r = APPLY[record->type](applying, name, record, err);
	return r < 0 ? err_add(err, r, "\"%.200s\"", record->path) : 0;
}

/* Directories come last, when nothing is made in them any more: their times stay. */
static int on_directory(void *user, const struct tree_record *record, struct err *err)
{
	const struct applying *applying = user;
	if (record->type != TREE_DIRECTORY)
		return 0;
	scoped_fd int fd = open_beneath(applying->apply->tree_fd, record->path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return err_add(err, io_error(fd, "open", err), "\"%.200s\"", record->path);
	const char *opaque = applying->apply->privileged ? "trusted.overlay.opaque" : "user.overlay.opaque";
	if (record->opaque && fsetxattr(fd, opaque, "y", 1, 0) < 0)
		return err_add(err, io_error(-errno, opaque, err), "\"%.200s\"", record->path);
	int r = set_attributes(applying, fd, record, err);
	return r < 0 ? err_add(err, r, "\"%.200s\"", record->path) : 0;
}

int layer_apply(const struct layer_apply *apply, const void *list, size_t size, struct err *err)
{
	struct applying applying = {.apply = apply, .parent_fd = -1};
	int r = tree_list_read(list, size, on_content, &applying, NULL, err);
	if (applying.parent_fd >= 0)
		(void)close(applying.parent_fd);
	return r < 0 ? r : tree_list_read(list, size, on_directory, &applying, NULL, err);
}
