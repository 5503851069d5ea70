#include "core/sys/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/mount.h"

#define PROC_CGROUP_BYTES_MAX 16384
#define REMOVE_STEP_NS 1000000
#define DEPTH_MAX 64

/* Opens @directory below the mount root and adds it to the layout where it is a cgroup file system of the kind. */
static bool add_hierarchy(struct cgroup_layout *layout, int root, const char *directory, const char *controllers)
{
	if (layout->count == CGROUP_HIERARCHIES_MAX || strlen(directory) >= sizeof layout->hierarchies->directory)
		return false;
	bool v2 = !*controllers;
	scoped_fd int fd = openat(root, directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !mount_is_filesystem(fd, v2 ? MOUNT_MAGIC_CGROUP2 : MOUNT_MAGIC_CGROUP))
		return false;
	struct cgroup_hierarchy *hierarchy = &layout->hierarchies[layout->count];
	(void)snprintf(hierarchy->controllers, sizeof hierarchy->controllers, "%s", controllers);
	(void)snprintf(hierarchy->directory, sizeof hierarchy->directory, "%s", directory);
	hierarchy->v2 = v2;
	hierarchy->root_fd = TAKE_FD(fd);
	if (v2)
		layout->v2_index = (int)layout->count;
	layout->count++;
	return true;
}

/* One line of /proc/self/cgroup: "4:memory:/path", "1:name=systemd:/path", "0::/path" (cgroups(7)). By convention (since
 * systemd 38) each is mounted under the name of its controllers. */
static void add_line(struct cgroup_layout *layout, int root, char *line)
{
	char *controllers = strchr(line, ':');
	char *end = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!end)
		return;
	*end = '\0';
	controllers++;
	if (!*controllers) {
		if (!add_hierarchy(layout, root, ".", ""))
			(void)add_hierarchy(layout, root, "unified", ""); /* else v2 is mounted nowhere that we use */
		return;
	}
	const char *named = str_after_prefix(controllers, "name=");
	if (add_hierarchy(layout, root, named ? named : controllers, controllers))
		return;
	char first[64];
	(void)snprintf(first, sizeof first, "%.*s", (int)strcspn(controllers, ","), controllers);
	(void)add_hierarchy(layout, root, first, controllers); /* not mounted: such a controller sets no limit here */
}

int cgroup_layout_open(const char *mount_root, struct cgroup_layout *ret_layout, struct err *err)
{
	*ret_layout = (struct cgroup_layout){.v2_index = -1};
	scoped_done(buf_done) struct buf text = {.max = PROC_CGROUP_BYTES_MAX};
	int r = file_read_at(AT_FDCWD, "/proc/self/cgroup", &text, err);
	if (r < 0)
		return r;
	scoped_fd int root = open(mount_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return errno == ENOENT ? 0 : err_sys(err, -errno, "cgroup.open", "open %s", mount_root);
	char *rest = NULL;
	for (char *line = strtok_r(text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		add_line(ret_layout, root, line);
	ret_layout->pure_v2 = ret_layout->count == 1 && ret_layout->v2_index == 0;
	return 0;
}

void cgroup_layout_done(struct cgroup_layout *layout)
{
	for (size_t i = 0; i < layout->count; i++)
		(void)close(layout->hierarchies[i].root_fd); /* O_PATH: nothing to lose */
	layout->count = 0;
}

/* Copies @path without leading and doubled slashes; refuses what would leave the tree or be its root. */
static int normalise(const char *path, char *ret_path, size_t size, struct err *err)
{
	size_t at = 0;
	while (*path) {
		path += strspn(path, "/");
		size_t length = strcspn(path, "/");
		if (length == 0)
			break;
		bool dots = (length == 1 && path[0] == '.') || (length == 2 && path[0] == '.' && path[1] == '.');
		if (dots || at + length + 2 > size)
			return err_set(err, -EINVAL, "cgroup.path",
				       "cgroup path: \"%.100s\": expected plain names, %zu bytes at most", path, size - 1);
		if (at > 0)
			ret_path[at++] = '/';
		memcpy(ret_path + at, path, length);
		at += length;
		path += length;
	}
	ret_path[at] = '\0';
	if (at == 0)
		return err_set(err, -EINVAL, "cgroup.path", "cgroup path: expected a group below the root");
	return 0;
}

/* A new v1 cpuset group is empty, and nobody may enter it: it starts with what its parent has (cgroup-v1/cpusets.rst). */
static int inherit_cpuset(int parent_fd, int dir_fd, struct err *err)
{
	static const char *const FILES[] = {"cpuset.cpus", "cpuset.mems"};
	for (size_t i = 0; i < ARRAY_COUNT(FILES); i++) {
		scoped_done(buf_done) struct buf text = {.max = 4096};
		int r = file_read_at(parent_fd, FILES[i], &text, err);
		if (r == 0)
			r = file_write_kernel(dir_fd, FILES[i], text.data, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_cpuset(const struct cgroup_hierarchy *hierarchy)
{
	return !hierarchy->v2 && strstr(hierarchy->controllers, "cpuset");
}

/* Makes one level. Returns 1 where it was there already. */
static int make_level(const struct cgroup_hierarchy *hierarchy, const char *path, struct err *err)
{
	if (mkdirat(hierarchy->root_fd, path, 0755) < 0) {
		if (errno == EEXIST)
			return 1;
		return err_sys(err, -errno, "cgroup.make", "make cgroup %s/%s", hierarchy->directory, path);
	}
	if (!is_cpuset(hierarchy))
		return 0;
	char parent[512];
	const char *slash = strrchr(path, '/');
	(void)snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	scoped_fd int parent_fd = openat(hierarchy->root_fd, parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	scoped_fd int dir_fd = openat(hierarchy->root_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd < 0 || dir_fd < 0)
		return err_sys(err, -errno, "cgroup.make", "open cgroup %s/%s", hierarchy->directory, path);
	int r = inherit_cpuset(parent_fd, dir_fd, err);
	if (r < 0)
		(void)unlinkat(hierarchy->root_fd, path, AT_REMOVEDIR); /* the first failure is the one to tell */
	return r;
}

/* Makes @path with its parents; mostly they are there, so the whole is tried first. */
static int make_in_hierarchy(const struct cgroup_hierarchy *hierarchy, const char *path, struct err *err)
{
	int r = make_level(hierarchy, path, err);
	if (r != -ENOENT)
		return r;
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		char parent[512];
		(void)snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
		r = make_level(hierarchy, parent, err);
		if (r < 0)
			return r;
	}
	return make_level(hierarchy, path, err);
}

static int open_group(const struct cgroup_layout *layout, struct cgroup *group)
{
	size_t found = 0;
	for (size_t i = 0; i < layout->count; i++) {
		group->dir_fds[i] = openat(layout->hierarchies[i].root_fd, group->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		found += group->dir_fds[i] >= 0;
	}
	return found > 0 ? 0 : -ENOENT;
}

static void init_group(const struct cgroup_layout *layout, struct cgroup *group)
{
	group->layout = layout;
	for (size_t i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		group->dir_fds[i] = -1;
}

/* On v2 alone every controller's files shall exist, for limits and for statistics. */
static int enable_all(const struct cgroup *group, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = 4096};
	int r = file_read_at(group->layout->hierarchies[0].root_fd, "cgroup.controllers", &text, err);
	char *rest = NULL;
	for (char *name = r < 0 ? NULL : strtok_r(text.data, " \n", &rest); name; name = strtok_r(NULL, " \n", &rest))
		(void)cgroup_enable(group, name, NULL); /* not delegated to us: a limit that needs it will say so */
	return r;
}

int cgroup_make(const struct cgroup_layout *layout, const char *path, struct cgroup *ret_group, struct err *err)
{
	struct cgroup group = {0};
	init_group(layout, &group);
	int r = normalise(path, group.path, sizeof group.path, err);
	if (r < 0)
		return r;
	size_t made = 0; /* one bit per hierarchy in which the group is ours */
	for (size_t i = 0; i < layout->count && r >= 0; i++) {
		r = make_in_hierarchy(&layout->hierarchies[i], group.path, err);
		if (r == 0)
			made |= (size_t)1 << i;
	}
	if (r >= 0) {
		r = layout->count > 0 ? open_group(layout, &group) : 0;
		if (r == 0 && layout->pure_v2)
			r = enable_all(&group, err);
	}
	for (size_t i = 0; r < 0 && i < layout->count; i++)
		if (made >> i & 1)
			(void)unlinkat(layout->hierarchies[i].root_fd, group.path, AT_REMOVEDIR); /* first failure is told */
	if (r < 0) {
		cgroup_done(&group);
		return r;
	}
	*ret_group = group;
	return 0;
}

int cgroup_open(const struct cgroup_layout *layout, const char *path, struct cgroup *ret_group)
{
	init_group(layout, ret_group);
	int r = normalise(path, ret_group->path, sizeof ret_group->path, NULL);
	return r < 0 ? -ENOENT : open_group(layout, ret_group);
}

void cgroup_done(struct cgroup *group)
{
	for (size_t i = 0; group->layout && i < CGROUP_HIERARCHIES_MAX; i++) {
		if (group->dir_fds[i] >= 0)
			(void)close(group->dir_fds[i]); /* O_PATH: nothing to lose */
		group->dir_fds[i] = -1;
	}
}

int cgroup_v2_fd(const struct cgroup *group)
{
	return group->layout && group->layout->v2_index >= 0 ? group->dir_fds[group->layout->v2_index] : -1;
}

/* Is @controller one of the comma-separated @controllers? */
static bool lists(const char *controllers, const char *controller)
{
	size_t length = strlen(controller);
	for (const char *at = controllers; *at; at += strcspn(at, ","), at += *at == ',')
		if (strncmp(at, controller, length) == 0 && (at[length] == ',' || !at[length]))
			return true;
	return false;
}

int cgroup_controller_fd(const struct cgroup *group, const char *controller, bool *ret_v2)
{
	for (size_t i = 0; group->layout && i < group->layout->count; i++) {
		const struct cgroup_hierarchy *hierarchy = &group->layout->hierarchies[i];
		if (hierarchy->v2 || !lists(hierarchy->controllers, controller))
			continue;
		*ret_v2 = false;
		return group->dir_fds[i];
	}
	*ret_v2 = true;
	return cgroup_v2_fd(group);
}

int cgroup_enable(const struct cgroup *group, const char *controller, struct err *err)
{
	if (cgroup_v2_fd(group) < 0)
		return err_set(err, -EOPNOTSUPP, "cgroup.controller", "controller %s: no cgroup v2 tree is mounted", controller);
	int root = group->layout->hierarchies[group->layout->v2_index].root_fd;
	char text[80];
	(void)snprintf(text, sizeof text, "+%s", controller);
	char file[600] = "cgroup.subtree_control";
	for (const char *slash = group->path; slash; slash = strchr(slash + 1, '/')) {
		if (slash != group->path)
			(void)snprintf(file, sizeof file, "%.*s/cgroup.subtree_control", (int)(slash - group->path), group->path);
		int r = file_write_kernel(root, file, text, err);
		if (r < 0)
			return err_add(err, r, "controller %s is not available in cgroup %s", controller, group->path);
	}
	return 0;
}

static int remove_level(int parent_fd, const char *name, int depth);

static int remove_children(int parent_fd, const char *name, int depth)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return -ENOMEM;
	}
	for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			(void)remove_level(fd, entry->d_name, depth + 1); /* the parent's rmdir reports it */
	(void)closedir(dir);
	return 0;
}

/* A cgroup's files need no removal. Its children do, but hardly ever exist: rmdir first. */
static int remove_level(int parent_fd, const char *name, int depth)
{
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	int r = depth < DEPTH_MAX ? remove_children(parent_fd, name, depth) : -ELOOP;
	if (r < 0)
		return r;
	return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_remove(const struct cgroup_layout *layout, const char *path, int wait_ms, struct err *err)
{
	char normal[512];
	int first = normalise(path, normal, sizeof normal, err);
	if (first < 0)
		return first;
	for (size_t i = 0; i < layout->count; i++) {
		const struct cgroup_hierarchy *hierarchy = &layout->hierarchies[i];
		int r = remove_level(hierarchy->root_fd, normal, 0);
		for (; r == -EBUSY && wait_ms > 0; wait_ms--) {
			(void)nanosleep(&(struct timespec){.tv_nsec = REMOVE_STEP_NS}, NULL); /* shorter by a signal: fine */
			r = remove_level(hierarchy->root_fd, normal, 0);
		}
		if (r < 0 && first == 0)
			first = err_sys(err, r, "cgroup.remove", "remove cgroup %s/%s", hierarchy->directory, normal);
	}
	return first;
}
