#include "core/sys/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"

#define LINKS_MAX 40 /* as the kernel's */
#define RETRIES_MAX 64 /* openat2 answers EAGAIN while a rename or mount races with the lookup */

static int open_resolved(int dir_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode : 0,
		.resolve = resolve,
	};
	for (int i = 0; i < RETRIES_MAX; i++) {
		long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

int path_open_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
	return open_resolved(dir_fd, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

int path_open_in_root(int dir_fd, const char *path, int flags, mode_t mode)
{
	return open_resolved(dir_fd, path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

static int make_all_in_root(int root_fd, const char *path, mode_t mode, int depth, int *ret_fd);

/* What the link @name in @parent, which lies at @prefix (NULL: the root), leads to is missing: make that. */
static int make_link_target(int root_fd, int parent, const char *prefix, const char *name, mode_t mode, int depth)
{
	char target[4096];
	ssize_t length = readlinkat(parent, name, target, sizeof target);
	if (length < 0)
		return errno == EINVAL ? 0 : -errno; /* made by somebody else meanwhile, and no link */
	if (length == (ssize_t)sizeof target)
		return -ENAMETOOLONG;
	if (depth >= LINKS_MAX)
		return -ELOOP;
	target[length] = '\0';
	scoped_free char *path =
		target[0] == '/' || !prefix ? str_printf("%s", target) : str_printf("%s/%s", prefix, target);
	if (!path)
		return -ENOMEM;
	scoped_fd int made = -1;
	return make_all_in_root(root_fd, path, mode, depth + 1, &made);
}

/* Makes the last part of @prefix, whose parent is there. */
static int make_one_in_root(int root_fd, char *prefix, mode_t mode, int depth)
{
	char *slash = strrchr(prefix, '/');
	const char *name = slash ? slash + 1 : prefix;
	scoped_fd int parent = -1;
	if (slash) {
		*slash = '\0';
		parent = path_open_in_root(root_fd, *prefix ? prefix : "/", O_PATH | O_DIRECTORY, 0);
		*slash = '/';
	} else {
		parent = path_open_in_root(root_fd, ".", O_PATH | O_DIRECTORY, 0);
	}
	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (slash)
		*slash = '\0';
	int r = make_link_target(root_fd, parent, slash ? prefix : NULL, name, mode, depth);
	if (slash)
		*slash = '/';
	return r;
}

static int make_all_in_root(int root_fd, const char *path, mode_t mode, int depth, int *ret_fd)
{
	while (*path == '/')
		path++;
	scoped_free char *prefix = strdup(*path ? path : ".");
	if (!prefix)
		return -ENOMEM;
	int fd = path_open_in_root(root_fd, prefix, O_PATH | O_DIRECTORY, 0);
	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (fd != -ENOENT)
		return fd;

	/* Longer and longer prefixes of the path; each existing one may be a link, which the open follows in the root. */
	for (char *end = prefix; end;) {
		end = strchr(end, '/');
		if (end)
			*end = '\0';
		scoped_fd int here = path_open_in_root(root_fd, prefix, O_PATH | O_DIRECTORY, 0);
		int r = here == -ENOENT ? make_one_in_root(root_fd, prefix, mode, depth) : here;
		if (r < 0)
			return r;
		if (end) {
			*end++ = '/';
			end += strspn(end, "/");
		}
		if (end && !*end)
			break;
	}
	fd = path_open_in_root(root_fd, prefix, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

int path_make_directories_in_root(int root_fd, const char *path, mode_t mode, int *ret_fd)
{
	return make_all_in_root(root_fd, path, mode, 0, ret_fd);
}

int path_make_directories(const char *path, mode_t mode, struct err *err)
{
	scoped_free char *prefix = strdup(path);
	if (!prefix)
		return -ENOMEM;
	for (char *slash = prefix; slash;) {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		if (mkdir(prefix, mode) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "directory.make", "make directory %s", prefix);
		if (slash)
			*slash = '/';
	}
	return 0;
}

/* One removal under way. A directory deeper than a few levels is first moved up to the top of the tree, so that a very
 * deep tree costs neither descriptors nor stack. */
struct removal {
	int top_fd;
	dev_t device;	/* only what lies on it is ours to remove */
	unsigned moved; /* directories moved to the top so far */
};

#define REMOVE_DEPTH_MAX 16

static int remove_entry(struct removal *removal, int dir_fd, const char *name, int depth);

static int remove_children(struct removal *removal, int dir_fd, int depth)
{
	int copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (!dir) {
		int r = -errno;
		if (copy >= 0)
			(void)close(copy);
		return r;
	}
	int r = 0;
	for (struct dirent *entry = NULL; r == 0 && (entry = readdir(dir));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = remove_entry(removal, dir_fd, entry->d_name, depth);
	(void)closedir(dir);
	return r;
}

static int move_to_top(struct removal *removal, int dir_fd, const char *name)
{
	char moved[64];
	for (;;) {
		(void)snprintf(moved, sizeof moved, ".axle-removed-%u", removal->moved++);
		if (renameat2(dir_fd, name, removal->top_fd, moved, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno != EEXIST)
			return -errno;
	}
}

/* Opens a directory where it lies on the removal's file system: what is mounted below a tree is not ours to empty. */
static int open_own(const struct removal *removal, int dir_fd, const char *name)
{
	scoped_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	struct stat st = {0};
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_dev == removal->device ? TAKE_FD(fd) : -EXDEV;
}

static int remove_entry(struct removal *removal, int dir_fd, const char *name, int depth)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return errno == EBUSY ? -EXDEV : -errno;
	scoped_fd int fd = open_own(removal, dir_fd, name);
	if (fd < 0)
		return fd;
	if (depth >= REMOVE_DEPTH_MAX)
		return move_to_top(removal, dir_fd, name);
	int r = remove_children(removal, fd, depth + 1);
	if (r < 0)
		return r;
	return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* Empties the directory, again as long as deep parts of it were moved to its top. */
static int remove_directory(int dir_fd, const char *name, dev_t device)
{
	struct removal removal = {.top_fd = -1, .device = device};
	scoped_fd int top = open_own(&removal, dir_fd, name);
	if (top < 0)
		return top;
	removal.top_fd = top;
	unsigned before = 0;
	do {
		before = removal.moved;
		int r = remove_children(&removal, top, 0);
		if (r < 0)
			return r;
	} while (removal.moved != before);
	return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int path_remove_tree(int dir_fd, const char *name, struct err *err)
{
	struct stat st = {0};
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, -errno, "tree.remove", "stat %s", name);
	int r = 0;
	if (S_ISDIR(st.st_mode))
		r = remove_directory(dir_fd, name, st.st_dev);
	else if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		r = -errno;
	if (r == -EXDEV)
		return err_set(err, r, "tree.remove", "remove %s: something is mounted below it; unmount it first", name);
	return r < 0 ? err_sys(err, r, "tree.remove", "remove %s", name) : 0;
}

char *path_of_own_program_dir(void)
{
	char target[4096];
	ssize_t length = readlink("/proc/self/exe", target, sizeof target - 1);
	if (length < 0)
		return strdup(".");
	target[length] = '\0';
	char *slash = strrchr(target, '/');
	if (slash)
		*slash = '\0';
	return strdup(target);
}

/* Where a sibling may lie, from the folder of the running program. */
static const char *const SIBLING_PLACES[] = {"%s/%s", "%s/../libexec/axle/%s", "%s/../../bin/%s"};

char *path_of_sibling_program(const char *name)
{
	scoped_free char *dir = path_of_own_program_dir();
	if (!dir)
		return NULL;
	for (size_t i = 0; i < sizeof SIBLING_PLACES / sizeof *SIBLING_PLACES; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* one of the literals above */
		scoped_free char *path = str_printf(SIBLING_PLACES[i], dir, name);
#pragma GCC diagnostic pop
		if (!path)
			return NULL;
		if (access(path, X_OK) == 0)
			return TAKE(path);
	}
	return strdup(name);
}
