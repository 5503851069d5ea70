#include "runtime/src/axrun/mounts.h"

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
#include "core/base/str.h"
#include "core/codec/oci_runtime.h"
#include "core/sys/mount.h"
#include "runtime/src/axrun/cgroup_mount.h"
#include "runtime/src/axrun/copy_up.h"
#include "runtime/src/axrun/idmap.h"
#include "runtime/src/axrun/launch.h"
#include "runtime/src/axrun/mount_options.h"
#include "runtime/src/axrun/target.h"

bool mount_is_bind(const struct oci_mount *mount)
{
	if (str_equal(mount->type, "bind"))
		return true;
	for (size_t i = 0; mount->options && mount->options[i]; i++)
		if (str_equal(mount->options[i], "bind") || str_equal(mount->options[i], "rbind"))
			return true;
	return false;
}

/* An idmapped bind: by the mount's own maps, or by the container's (config.md, "mounts", uidMappings). */
static int apply_idmap(const struct launch *launch, const struct oci_mount *mount, bool recursive, int tree,
		       struct err *err)
{
	const struct oci_linux *config = launch->spec->linux_;
	bool own = mount->uid_mappings_count > 0 || mount->gid_mappings_count > 0;
	scoped_fd int userns = -1;
	int r = own ? idmap_make_namespace(launch->proc_fd, mount->uid_mappings, mount->uid_mappings_count,
					   mount->gid_mappings, mount->gid_mappings_count, &userns, err)
		    : idmap_make_namespace(launch->proc_fd, config->uid_mappings, config->uid_mappings_count,
					   config->gid_mappings, config->gid_mappings_count, &userns, err);
	if (r < 0)
		return r;
	r = mount_change(tree, recursive, &(struct mount_change){.set = MOUNT_ATTR_IDMAP, .userns_fd = userns});
	return r < 0 ? err_sys(err, r, "mount.idmap", "map the owners of %s", mount->source) : 0;
}

static int open_source(const struct launch *launch, const struct oci_mount *mount, int *ret_tree, struct err *err)
{
	struct mount_options options;
	int r = mount_options_parse(mount->options, &options, err);
	if (r < 0)
		return r;
	if (str_empty(mount->source))
		return err_set(err, -EINVAL, "config.invalid", "mounts: %s: a bind mount without a source", mount->destination);
	char path[4096];
	bool relative = mount->source[0] != '/';
	if ((size_t)snprintf(path, sizeof path, "%s%s%s", relative ? launch->bundle : "", relative ? "/" : "",
			     mount->source) >= sizeof path)
		return err_set(err, -ENAMETOOLONG, "mount.source", "mount source %s: path too long", mount->source);
	scoped_fd int tree = -1;
	r = mount_tree_open(AT_FDCWD, path, options.recursive, &tree);
	if (r < 0)
		return err_sys(err, r, "mount.source", "mount source %s for %s", mount->source, mount->destination);
	if (options.idmap || mount->uid_mappings_count > 0 || mount->gid_mappings_count > 0)
		r = apply_idmap(launch, mount, options.idmap_recursive, tree, err);
	/* what the container mounts below must not reach the host; what the host mounts later may come in */
	if (r == 0 && options.propagation != MS_SHARED)
		r = mount_change(tree, true, &(struct mount_change){.propagation = MS_SLAVE});
	if (r < 0)
		return r;
	*ret_tree = TAKE_FD(tree);
	return 0;
}

int mounts_open_sources(struct launch *launch, struct err *err)
{
	size_t count = launch->spec->mounts_count;
	launch->mount_trees = calloc(count + 1, sizeof *launch->mount_trees);
	if (!launch->mount_trees)
		return err_sys(err, -ENOMEM, "mount.source", "mounts");
	for (size_t i = 0; i < count; i++)
		launch->mount_trees[i] = -1;
	for (size_t i = 0; i < count; i++) {
		if (!mount_is_bind(&launch->spec->mounts[i]))
			continue;
		int r = open_source(launch, &launch->spec->mounts[i], &launch->mount_trees[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* File systems without a device behind them: "ro" is a matter of the mount alone. */
static bool is_virtual(const char *type)
{
	static const char *const TYPES[] = {"proc",    "sysfs",	  "tmpfs",    "devpts",	    "mqueue", "cgroup",
					    "cgroup2", "debugfs", "tracefs", "securityfs", "bpf",    NULL};
	return strv_contains(TYPES, type);
}

static bool has_data(const struct mount_options *options, const char *key)
{
	for (size_t i = 0; i < options->data_count; i++)
		if (strcmp(options->data[i].key, key) == 0)
			return true;
	return false;
}

/* A group that the user namespace does not map cannot own the terminals there. */
static void drop_unmapped_gid(const struct launch *launch, struct mount_options *options)
{
	const struct oci_linux *config = launch->spec->linux_;
	for (size_t i = 0; i < options->data_count; i++) {
		if (strcmp(options->data[i].key, "gid") != 0 || !str_equal(options->data[i].value, "5"))
			continue;
		if (config->gid_mappings_count == 0 || idmap_has(config->gid_mappings, config->gid_mappings_count, 5))
			continue;
		options->data[i] = options->data[--options->data_count];
		return;
	}
}

/* The label of SELinux for the files of a new file system (config-linux.md, "mountLabel"). Those whose files the kernel
 * labels itself take none. */
static const char *mount_label_for(const struct launch *launch, const struct oci_mount *mount,
				   const struct mount_options *options)
{
	static const char *const OWN_LABELS[] = {"proc", "sysfs", "mqueue", "cgroup", "cgroup2", NULL};
	const struct oci_linux *config = launch->spec->linux_;
	bool has = config && !str_empty(config->mount_label) && !has_data(options, "context");
	return has && !strv_contains(OWN_LABELS, mount->type) ? config->mount_label : NULL;
}

static int make_filesystem(const struct launch *launch, const struct oci_mount *mount, struct mount_options *options,
			   const struct stat *target, int *ret_tree, struct err *err)
{
	struct mount_option all[MOUNT_DATA_MAX + 4];
	size_t count = 0;
	char mode[16];
	if (str_equal(mount->type, "devpts") && launch->any_user)
		drop_unmapped_gid(launch, options);
	/* "none" is customary for file systems without a source; keeping names out of them costs nothing to callers */
	if (!str_empty(mount->source))
		all[count++] = (struct mount_option){.key = "source", .value = mount->source};
	if (options->readonly && !is_virtual(mount->type))
		all[count++] = (struct mount_option){.key = "ro"};
	if (str_equal(mount->type, "tmpfs") && target && !has_data(options, "mode")) {
		(void)snprintf(mode, sizeof mode, "%o", target->st_mode & 07777);
		all[count++] = (struct mount_option){.key = "mode", .value = mode};
	}
	const char *label = mount_label_for(launch, mount, options);
	if (label)
		all[count++] = (struct mount_option){.key = "context", .value = label};
	for (size_t i = 0; i < options->data_count; i++)
		all[count++] = options->data[i];
	return mount_filesystem(mount->type, all, count, 0, ret_tree, err);
}

/* With the host's network, a user namespace may not mount sysfs afresh: the host's is used, as runc and crun do. */
static int host_sysfs(int *ret_tree, struct err *err)
{
	int r = mount_tree_open(AT_FDCWD, "/sys", true, ret_tree);
	return r < 0 ? err_sys(err, r, "mount.source", "bind /sys") : 0;
}

static int change_mount(int tree, const struct mount_options *options)
{
	int r = 0;
	if (options->set || options->clear)
		r = mount_change(tree, false, &(struct mount_change){.set = options->set, .clear = options->clear});
	if (r == 0 && (options->rset || options->rclear))
		r = mount_change(tree, true, &(struct mount_change){.set = options->rset, .clear = options->rclear});
	return r;
}

/* Mounting elsewhere than asked would leave the place unprotected: /proc and /sys are never reached through a link. */
static bool must_be_direct(const struct oci_mount *mount)
{
	return str_equal(mount->type, "proc") || str_equal(mount->type, "sysfs");
}

static int attach(const struct oci_mount *mount, const struct mount_options *options, int tree, int target,
		  struct err *err)
{
	int r = change_mount(tree, options);
	if (r == 0)
		r = mount_tree_attach(tree, target);
	if (r == 0 && options->propagation)
		r = mount_change(tree, options->propagation_recursive,
				 &(struct mount_change){.propagation = options->propagation});
	return r < 0 ? err_sys(err, r, "mount.attach", "mount %s on %s", mount->source ? mount->source : mount->type,
			       mount->destination)
		     : 0;
}

static int make_bind(const struct oci_mount *mount, const struct mount_options *options, int source, int root_fd,
		     struct err *err)
{
	struct stat st = {0};
	if (fstat(source, &st) < 0)
		return err_sys(err, -errno, "mount.source", "mount source %s", mount->source);
	scoped_fd int target = -1;
	int r = target_open(root_fd, mount->destination, S_ISDIR(st.st_mode), false, &target, NULL, err);
	if (r < 0)
		return err_add(err, r, "mount %s", mount->source);
	return attach(mount, options, source, target, err);
}

static int fill_tmpfs(int target, int tree, struct err *err)
{
	scoped_fd int from = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0)
		return err_sys(err, -errno, "mount.copy-up", "read the image's directory");
	return copy_up(from, tree, err);
}

static int make_new(const struct launch *launch, const struct oci_mount *mount, struct mount_options *options,
		    int root_fd, struct err *err)
{
	scoped_fd int target = -1;
	bool existed = false;
	int r = target_open(root_fd, mount->destination, true, must_be_direct(mount), &target, &existed, err);
	struct stat st = {0};
	if (r == 0 && fstat(target, &st) < 0)
		r = err_sys(err, -errno, "target.open", "stat %s", mount->destination);
	if (r < 0)
		return r;
	scoped_fd int tree = -1;
	r = make_filesystem(launch, mount, options, existed ? &st : NULL, &tree, err);
	if (r == -EPERM && str_equal(mount->type, "sysfs") && launch->any_user)
		r = host_sysfs(&tree, err);
	if (r == 0 && options->copy_up && existed)
		r = fill_tmpfs(target, tree, err);
	if (r < 0)
		return err_add(err, r, "mount %s", mount->destination);
	return attach(mount, options, tree, target, err);
}

static int make_remount(const struct oci_mount *mount, const struct mount_options *options, int root_fd,
			struct err *err)
{
	scoped_fd int target = -1;
	int r = target_open(root_fd, mount->destination, true, false, &target, NULL, err);
	if (r == 0)
		r = change_mount(target, options);
	return r < 0 ? err_sys(err, r, "mount.remount", "remount %s", mount->destination) : 0;
}

static int make_mount(const struct launch *launch, size_t index, int root_fd, struct err *err)
{
	const struct oci_mount *mount = &launch->spec->mounts[index];
	struct mount_options options;
	int r = mount_options_parse(mount->options, &options, err);
	if (r < 0)
		return r;
	if (options.remount)
		return make_remount(mount, &options, root_fd, err);
	if (launch->mount_trees[index] >= 0)
		return make_bind(mount, &options, launch->mount_trees[index], root_fd, err);
	if (str_empty(mount->type))
		return err_set(err, -EINVAL, "config.invalid", "mounts: %s: expected a type or the option bind",
			       mount->destination);
	if (str_equal(mount->type, "cgroup") || str_equal(mount->type, "cgroup2"))
		return cgroup_mount_make(launch, mount, &options, root_fd, err);
	return make_new(launch, mount, &options, root_fd, err);
}

int mounts_make(const struct launch *launch, int root_fd, struct err *err)
{
	for (size_t i = 0; i < launch->spec->mounts_count; i++) {
		int r = make_mount(launch, i, root_fd, err);
		if (r < 0)
			return r;
	}
	return 0;
}
