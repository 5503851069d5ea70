#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"
#include "core/sys/cgroup.h"
#include "core/sys/mount.h"
#include "core/sys/ns.h"
#include "core/sys/path.h"
#include "image/include/axle/image.h"
#include "manager/src/helper_work.h"

#define CGROUP_REMOVE_WAIT_MS 5000

/* Symbolic links are not followed: a path of ours has none, and what another put there is not unmounted. */
int helper_unmount(const char *path, struct err *err)
{
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (errno == EINVAL || errno == ENOENT || errno == ENOTDIR)
		return 0;
	return err_sys(err, -errno, "unmount", "unmount %s", path);
}

int helper_remove_tree(const char *path, struct err *err)
{
	scoped_free char *parent = strdup(path);
	if (!parent)
		return -ENOMEM;
	char *slash = strrchr(parent, '/');
	if (!slash || slash == parent || !slash[1])
		return err_set(err, -EINVAL, "remove.path", "remove %s: expected the absolute path of a tree", path);
	*slash = '\0';
	scoped_fd int dir_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 && errno == ENOENT)
		return 0;
	if (dir_fd < 0)
		return err_sys(err, -errno, "remove.open", "open %s", parent);
	return path_remove_tree(dir_fd, slash + 1, err);
}

int helper_remove_cgroup(const char *path, bool kill, struct err *err)
{
	scoped_done(cgroup_layout_done) struct cgroup_layout layout = {0};
	int r = cgroup_layout_open(CGROUP_ROOT, &layout, err);
	if (r < 0)
		return r;
	if (kill) {
		scoped_done(cgroup_done) struct cgroup group = {0};
		if (cgroup_open(&layout, path, &group) == 0)
			(void)cgroup_kill(&group); /* what cannot be killed shows when the group is removed */
	}
	return cgroup_remove(&layout, path, CGROUP_REMOVE_WAIT_MS, err);
}

int helper_container_remove(const struct helper_container_remove *request, struct err *err)
{
	int r = request->cgroup ? helper_remove_cgroup(request->cgroup, request->kill, err) : 0;
	if (r == 0 && request->target)
		r = helper_unmount(request->target, err);
	if (r == 0 && request->volumes)
		r = helper_volumes_unmount(request->volumes, err);
	for (size_t i = 0; r == 0 && request->trees && request->trees[i]; i++)
		r = helper_remove_tree(request->trees[i], err);
	return r;
}

/* --- the overlay --- */

#define LAYERS_MAX 128

static int make_data_directories(const struct helper_rootfs_mount *request, char **ret_upper, char **ret_work,
				 struct err *err)
{
	scoped_free char *upper = str_printf("%s/%s", request->data, "upper");
	scoped_free char *work = str_printf("%s/%s", request->data, "work");
	if (!upper || !work)
		return -ENOMEM;
	int r = path_make_directories(request->data, 0700, err);
	if (r == 0 && mkdir(upper, 0755) < 0 && errno != EEXIST)
		r = err_sys(err, -errno, "rootfs.data", "make %s", upper);
	if (r == 0 && (request->owner_uid || request->owner_gid) && chown(upper, request->owner_uid, request->owner_gid) < 0)
		r = err_sys(err, -errno, "rootfs.data", "own %s", upper);
	if (r == 0 && mkdir(work, 0700) < 0 && errno != EEXIST)
		r = err_sys(err, -errno, "rootfs.data", "make %s", work);
	if (r < 0)
		return r;
	*ret_upper = TAKE(upper);
	*ret_work = TAKE(work);
	return 0;
}

/* Linux 6.7 and later: one option for each layer, of any length. */
static int mount_by_layer(const struct helper_layers *layers, const char *const *lowers, int *ret_tree, struct err *err)
{
	struct mount_option options[LAYERS_MAX + 3];
	size_t count = 0;
	for (; lowers[count]; count++)
		options[count] = (struct mount_option){"lowerdir+", lowers[count]};
	if (layers->upper) {
		options[count++] = (struct mount_option){"upperdir", layers->upper};
		options[count++] = (struct mount_option){"workdir", layers->work};
	}
	if (!str_empty(layers->context))
		options[count++] = (struct mount_option){"context", layers->context};
	return mount_filesystem("overlay", options, count, 0, ret_tree, err);
}

/* "lowerdir=...", by the names of descriptors that end with this process: mount(2)'s data is a page at most. */
static int join_layers(const struct helper_layers *layers, const char *const *lowers, struct buf *ret_data,
		       struct err *err)
{
	int r = buf_add_text(ret_data, "lowerdir=");
	for (size_t i = 0; r == 0 && lowers[i]; i++) {
		int fd = open(lowers[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(err, -errno, "rootfs.layer", "open %s", lowers[i]);
		r = buf_printf(ret_data, "%s/proc/self/fd/%d", i ? ":" : "", fd);
	}
	if (r == 0 && layers->upper)
		r = buf_printf(ret_data, ",upperdir=%s,workdir=%s", layers->upper, layers->work);
	if (r == 0 && !str_empty(layers->context)) /* a label may hold commas */
		r = buf_printf(ret_data, ",context=\"%s\"", layers->context);
	return r < 0 ? err_sys(err, r, "rootfs.layers", "the options of the root file system's mount") : 0;
}

/* In a mount namespace of its own, so that nothing shows in the host's table. */
static int mount_apart(const struct helper_layers *layers, const char *const *lowers, int *ret_tree, struct err *err)
{
	const char *place = layers->upper ? layers->upper : lowers[0]; /* any directory serves */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, -errno, "rootfs.namespace", "make mounts private");
	scoped_done(buf_done) struct buf data = {.max = 4095};
	int r = join_layers(layers, lowers, &data, err);
	if (r < 0)
		return r;
	if (mount("overlay", place, "overlay", 0, data.data) < 0)
		return err_sys(err, -errno, "mount.filesystem", "make an overlay file system");
	r = mount_tree_open(AT_FDCWD, place, false, ret_tree);
	return r < 0 ? err_sys(err, r, "mount.clone", "clone the mount of %s", place) : 0;
}

/* Before Linux 6.7: one option for all layers, which fsconfig(2) takes only up to 255 bytes, but mount(2) up to a page. */
static int mount_joined(const struct helper_layers *layers, const char *const *lowers, int *ret_tree, struct err *err)
{
	scoped_fd int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (home < 0 || unshare(CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "rootfs.namespace", "make a mount namespace");
	scoped_fd int tree = -1;
	int r = mount_apart(layers, lowers, &tree, err);
	if (setns(home, CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "rootfs.namespace", "return to the mount namespace");
	if (r == 0)
		*ret_tree = TAKE_FD(tree);
	return r;
}

static int mount_plainly(const struct helper_layers *layers, const char *const *lowers, int *ret_tree, struct err *err)
{
	if (!lowers[1] && !layers->upper) { /* an overlay has two layers at least */
		int r = mount_tree_open(AT_FDCWD, lowers[0], false, ret_tree);
		return r < 0 ? err_sys(err, r, "mount.clone", "clone the mount of %s", lowers[0]) : 0;
	}
	int r = mount_by_layer(layers, lowers, ret_tree, err);
	return r == -EINVAL ? mount_joined(layers, lowers, ret_tree, err) : r;
}

/* --- layers whose owners are mapped --- */

/* Lays over the layer's directory a copy of its mount in which owners appear as the user namespace maps them. */
static int cover_with_mapped(const char *layer, int user_namespace, struct err *err)
{
	scoped_fd int place = open(layer, O_PATH | O_DIRECTORY | O_CLOEXEC);
	scoped_fd int tree = -1;
	int r = place < 0 ? -errno : mount_tree_open(place, "", false, &tree);
	if (r == 0)
		r = mount_change(tree, false, &(struct mount_change){.set = MOUNT_ATTR_IDMAP, .userns_fd = user_namespace});
	if (r == 0)
		r = mount_tree_attach(tree, place);
	return r < 0 ? err_sys(err, r, "rootfs.idmap", "map the owners of %s", layer) : 0;
}

/* overlayfs copies the mounts of its lower layers, so what is covered may go again: in a mount namespace of its own. */
static int mount_mapped_apart(const struct helper_layers *layers, const char *const *lowers, int user_namespace,
			      int *ret_tree, struct err *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(err, -errno, "rootfs.namespace", "make mounts private");
	int r = 0;
	for (size_t i = 0; r == 0 && lowers[i]; i++)
		r = cover_with_mapped(lowers[i], user_namespace, err);
	return r < 0 ? r : mount_plainly(layers, lowers, ret_tree, err);
}

/* overlayfs says no more than this when it cannot use its upper directory. */
static int check_writable(const struct helper_layers *layers, int tree, struct err *err)
{
	struct statvfs status = {0};
	if (!layers->upper)
		return 0;
	if (fstatvfs(tree, &status) < 0)
		return err_sys(err, -errno, "rootfs.idmap", "look at the root file system");
	return status.f_flag & ST_RDONLY
		       ? err_set(err, -EROFS, "rootfs.idmap", "the kernel cannot write to %s below mapped layers", layers->upper)
		       : 0;
}

/* The upper directory is not mapped: what the container writes there has the host's ids of its owners. */
static int mount_mapped(const struct helper_layers *layers, const char *const *lowers, int *ret_tree, struct err *err)
{
	scoped_fd int user_namespace = -1;
	scoped_fd int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int r = ns_open(layers->user_namespace, ns_kind_find("user"), &user_namespace, err);
	if (r < 0)
		return r;
	if (home < 0 || unshare(CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "rootfs.namespace", "make a mount namespace");
	scoped_fd int tree = -1;
	r = mount_mapped_apart(layers, lowers, user_namespace, &tree, err);
	if (setns(home, CLONE_NEWNS) < 0)
		return err_sys(err, -errno, "rootfs.namespace", "return to the mount namespace");
	if (r == 0)
		r = check_writable(layers, tree, err);
	if (r == 0)
		*ret_tree = TAKE_FD(tree);
	return r;
}

int helper_mount_layers(const struct helper_layers *layers, int *ret_tree, struct err *err)
{
	size_t count = strv_count(layers->names);
	if (count > LAYERS_MAX)
		return err_set(err, -E2BIG, "rootfs.layers", "%zu layers: expected at most %d", count, LAYERS_MAX);
	scoped(strv_free) char **lowers = NULL;
	for (size_t i = 0; i < count; i++) {
		int r = strv_printf(&lowers, "%s/%s", layers->folder, layers->names[i]);
		if (r < 0)
			return r;
	}
	if (!lowers)
		return err_set(err, -EINVAL, "rootfs.layers", "an image without layers has no root file system");
	return layers->user_namespace ? mount_mapped(layers, (const char *const *)lowers, ret_tree, err)
				      : mount_plainly(layers, (const char *const *)lowers, ret_tree, err);
}

static int mount_overlay(const struct helper_rootfs_mount *request, int *ret_tree, struct err *err)
{
	scoped_free char *upper = NULL;
	scoped_free char *work = NULL;
	int r = make_data_directories(request, &upper, &work, err);
	const struct helper_layers layers = {request->layers, request->lowers, upper, work, request->context, request->user_namespace};
	if (r == 0)
		r = helper_mount_layers(&layers, ret_tree, err);
	return r < 0 ? err_add(err, r, "mount the root file system") : 0;
}

static int find_user(int tree, const struct helper_user *wanted, struct arena *arena,
		     const struct helper_user_found **ret_user, struct err *err)
{
	struct image_user user = {0};
	struct image_user member = {0};
	int r = image_user_resolve(tree, wanted->name, &user, err);
	if (r == 0 && wanted->groups_of)
		r = image_user_resolve(tree, wanted->groups_of, &member, err);
	if (r < 0)
		return r;
	const struct image_user *groups_of = wanted->groups_of ? &member : &user;
	struct helper_user_found *found = arena_alloc(arena, sizeof *found);
	uint32_t *groups = arena_array(arena, IMAGE_GROUPS_MAX, sizeof *groups);
	if (!found || !groups)
		return -ENOMEM;
	*found = (struct helper_user_found){
		.uid = user.uid,
		.gid = user.gid,
		.groups = groups,
		.groups_count = wanted->group_only_given ? 0 : groups_of->groups_count,
		.name = arena_strdup(arena, user.name),
		.home = arena_strdup(arena, user.home),
	};
	memcpy(groups, groups_of->groups, found->groups_count * sizeof *groups);
	*ret_user = found;
	return found->name && found->home ? 0 : -ENOMEM;
}

int helper_user_find(const struct helper_user_find *request, struct arena *arena,
		     const struct helper_user_found **ret_user, struct err *err)
{
	scoped_fd int root = open(request->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, -errno, "user.root", "open %s", request->root);
	return find_user(root, request->user, arena, ret_user, err);
}

static int attach(int tree, const char *target, struct err *err)
{
	int r = path_make_directories(target, 0700, err);
	if (r < 0)
		return r;
	scoped_fd int target_fd = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = target_fd < 0 ? -errno : mount_tree_attach(tree, target_fd);
	return r < 0 ? err_sys(err, r, "rootfs.attach", "mount the root file system at %s", target) : 0;
}

int helper_rootfs_mount(const struct helper_rootfs_mount *request, struct arena *arena, int *ret_tree,
			const struct helper_user_found **ret_user, struct err *err)
{
	scoped_fd int tree = -1;
	int r = request->target ? helper_unmount(request->target, err) : 0; /* of a start that did not end */
	if (r == 0)
		r = mount_overlay(request, &tree, err);
	if (r == 0 && request->user)
		r = find_user(tree, request->user, arena, ret_user, err);
	if (r < 0)
		return r;
	if (request->target)
		return attach(tree, request->target, err);
	*ret_tree = TAKE_FD(tree);
	return 0;
}
