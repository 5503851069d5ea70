#include "runtime/src/axrun/cgroup_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/array.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/mount.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/mount_options.h"
#include "runtime/src/axrun/target.h"

/* The group's directory as seen in this mount namespace. A bind shows exactly what a fresh mount in the container's cgroup
 * namespace would show, and needs no such namespace to hide the rest of the tree. */
static int open_tree_of(const struct launch *launch, const struct cgroup_hierarchy *hierarchy, int *ret_tree,
			struct err *err)
{
	char path[700];
	(void)snprintf(path, sizeof path, "%s/%s/%s", CGROUP_ROOT, hierarchy->directory,
		       launch->group->layout ? launch->group->path : "");
	int r = mount_tree_open(AT_FDCWD, path, false, ret_tree);
	return r < 0 ? err_sys(err, r, "mount.cgroup", "bind %s", path) : 0;
}

static int change(int tree, const struct mount_options *options)
{
	return mount_change(tree, false, &(struct mount_change){.set = options->set, .clear = options->clear});
}

static int attach_hierarchy(const struct launch *launch, const struct cgroup_hierarchy *hierarchy,
			    const struct mount_options *options, int tmpfs, struct err *err)
{
	scoped_fd int tree = -1;
	int r = open_tree_of(launch, hierarchy, &tree, err);
	if (r < 0)
		return r;
	if (mkdirat(tmpfs, hierarchy->directory, 0755) < 0)
		return err_sys(err, -errno, "mount.cgroup", "make %s", hierarchy->directory);
	scoped_fd int target = openat(tmpfs, hierarchy->directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = target < 0 ? -errno : change(tree, options);
	if (r == 0)
		r = mount_tree_attach(tree, target);
	return r < 0 ? err_sys(err, r, "mount.cgroup", "mount the cgroup hierarchy %s", hierarchy->directory) : 0;
}

/* "cpu" and "cpuacct" lead to "cpu,cpuacct" where the two are mounted together. */
static int link_controllers(const struct cgroup_hierarchy *hierarchy, int tmpfs, struct err *err)
{
	if (!strchr(hierarchy->directory, ','))
		return 0;
	char names[sizeof hierarchy->directory];
	memcpy(names, hierarchy->directory, sizeof names);
	char *rest = NULL;
	for (char *name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
		if (symlinkat(hierarchy->directory, tmpfs, name) < 0)
			return err_sys(err, -errno, "mount.cgroup", "link %s", name);
	return 0;
}

static int make_v1(const struct launch *launch, const struct cgroup_layout *layout, const struct mount_options *options,
		   int target, struct err *err)
{
	static const struct mount_option TMPFS[] = {{"source", "cgroup"}, {"mode", "755"}, {"size", "64k"}};
	scoped_fd int tmpfs = -1;
	int r = mount_filesystem("tmpfs", TMPFS, ARRAY_COUNT(TMPFS), 0, &tmpfs, err);
	if (r == 0) {
		r = mount_tree_attach(tmpfs, target); /* first, since mounts go only on what is attached */
		if (r < 0)
			return err_sys(err, r, "mount.cgroup", "mount the cgroup tmpfs");
	}
	for (size_t i = 0; i < layout->count && r == 0; i++) {
		r = attach_hierarchy(launch, &layout->hierarchies[i], options, tmpfs, err);
		if (r == 0)
			r = link_controllers(&layout->hierarchies[i], tmpfs, err);
	}
	if (r == 0) {
		r = change(tmpfs, options);
		if (r < 0)
			return err_sys(err, r, "mount.cgroup", "change the cgroup tmpfs");
	}
	return r;
}

int cgroup_mount_make(const struct launch *launch, const struct oci_mount *mount, const struct mount_options *options,
		      int root_fd, struct err *err)
{
	scoped_fd int target = -1;
	int r = target_open(root_fd, mount->destination, true, true, &target, NULL, err);
	if (r < 0)
		return r;
	struct cgroup_layout own = {0};
	const struct cgroup_layout *layout = launch->group->layout;
	if (!layout) {
		r = cgroup_layout_open(CGROUP_ROOT, &own, err);
		layout = &own;
	}
	if (r == 0 && layout->count == 0)
		r = err_set(err, -EOPNOTSUPP, "mount.cgroup", "%s: no cgroups are mounted on this machine", mount->destination);
	if (r == 0 && !layout->pure_v2)
		r = make_v1(launch, layout, options, target, err);
	else if (r == 0) {
		scoped_fd int tree = -1;
		r = open_tree_of(launch, &layout->hierarchies[0], &tree, err);
		if (r == 0 && ((r = change(tree, options)) < 0 || (r = mount_tree_attach(tree, target)) < 0))
			r = err_sys(err, r, "mount.cgroup", "mount %s", mount->destination);
	}
	cgroup_layout_done(&own);
	return r;
}
