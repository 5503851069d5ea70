#include "manager/src/rootfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "image/include/axle/image.h"
#include "manager/src/container.h"
#include "manager/src/container_bundle.h"
#include "manager/src/pod_user.h"
#include "manager/src/spec.h"

#define GROUPS_MAX 256

static const Cri__LinuxContainerSecurityContext *security_of(const struct container *container)
{
	const struct spec_input input = {.container = container->config};
	return spec_security(&input);
}

/* The user as image.h's image_user_resolve() reads it; NULL when out of memory. */
static const char *wanted_user(const struct container *container, const struct image *image, struct arena *arena)
{
	const Cri__LinuxContainerSecurityContext *security = security_of(container);
	const char *name = security->run_as_username;
	if (security->run_as_user)
		name = arena_printf(arena, "%lld", (long long)security->run_as_user->value);
	else if (str_empty(name))
		return image->config.user;
	if (name && security->run_as_group && !strchr(name, ':'))
		name = arena_printf(arena, "%s:%lld", name, (long long)security->run_as_group->value);
	return name;
}

/* The image's /etc/group counts for the user, also where the request names another group (as with containerd). An image
 * for the command line that says "user:group" means these alone, as with podman. */
static const char *groups_of(const struct container *container, const char *user, struct arena *arena)
{
	bool asked = security_of(container)->run_as_group || container->owner == OWNER_CRI;
	const char *colon = strchr(user, ':');
	return asked && colon ? arena_strndup(arena, user, (size_t)(colon - user)) : NULL;
}

static int check_ids(const Cri__LinuxContainerSecurityContext *security, struct err *err)
{
	if (security->run_as_group && !security->run_as_user && str_empty(security->run_as_username))
		return err_set(err, -EINVAL, "container.user", "run_as_group: expected a run_as_user beside it");
	if (security->run_as_user && (security->run_as_user->value < 0 || security->run_as_user->value > UINT32_MAX - 1))
		return err_set(err, -EINVAL, "container.user", "run_as_user %lld: expected 0 to 4294967294",
			       (long long)security->run_as_user->value);
	if (security->run_as_group &&
	    (security->run_as_group->value < 0 || security->run_as_group->value > UINT32_MAX - 1))
		return err_set(err, -EINVAL, "container.user", "run_as_group %lld: expected 0 to 4294967294",
			       (long long)security->run_as_group->value);
	for (size_t i = 0; i < security->n_supplemental_groups; i++)
		if (security->supplemental_groups[i] < 0 || security->supplemental_groups[i] > UINT32_MAX - 1)
			return err_set(err, -EINVAL, "container.user",
				       "supplemental group %lld: expected 0 to 4294967294",
				       (long long)security->supplemental_groups[i]);
	return 0;
}

static void add_group(uint32_t *groups, size_t *count, uint32_t group)
{
	for (size_t i = 0; i < *count; i++)
		if (groups[i] == group)
			return;
	groups[(*count)++] = group;
}

/* Those of the image's /etc/group, then those of the request. */
static int keep_user(struct container *container, const struct helper_user_found *found)
{
	const Cri__LinuxContainerSecurityContext *security = security_of(container);
	size_t most = found->groups_count + security->n_supplemental_groups;
	uint32_t *groups = arena_array(&container->arena, most + 1, sizeof *groups);
	if (!groups)
		return -ENOMEM;
	size_t count = 0;
	for (size_t i = 0; i < found->groups_count; i++)
		add_group(groups, &count, found->groups[i]);
	for (size_t i = 0; i < security->n_supplemental_groups; i++)
		add_group(groups, &count, (uint32_t)security->supplemental_groups[i]);
	container->record.uid = found->uid;
	container->record.gid = found->gid;
	container->record.groups = groups;
	container->record.groups_count = count;
	container->record.home = arena_strdup(&container->arena, found->home ? found->home : "/");
	return container->record.home ? 0 : -ENOMEM;
}

/* overlayfs wants the topmost layer first; the image lists the lowest first. */
const char *const *image_lowers(const struct image *image, struct arena *arena)
{
	const char **lowers = arena_array(arena, image->layers_count + 1, sizeof *lowers);
	for (size_t i = 0; lowers && i < image->layers_count; i++)
		lowers[i] = arena_strdup(arena, image->layers[image->layers_count - 1 - i]);
	return lowers;
}

static int mount_with(struct container *container, const char *target, bool look_up, struct arena *arena,
		      struct helper_reply *ret_reply, struct err *err)
{
	const struct node *node = container->node;
	const struct image *image = NULL;
	int r = image_store_resolve(node->images, container->record.image_id, &image, err);
	if (r < 0)
		return r;
	const struct pod_user pod_user = pod_user_of(container->pod->config);
	struct helper_user user = {
		.name = wanted_user(container, image, arena),
		.group_only_given = security_of(container)->supplemental_groups_policy ==
				    CRI__SUPPLEMENTAL_GROUPS_POLICY__Strict,
	};
	if (user.name)
		user.groups_of = groups_of(container, user.name, arena);
	struct helper_rootfs_mount mount = {
		.layers = arena_printf(arena, "%s/images", node->places.root),
		.lowers = image_lowers(image, arena),
		.data = arena_printf(arena, "%s/%s", node->places.rootfs, container->id),
		.target = target,
		.user_namespace = pod_user.own ? arena_printf(arena, "%s/%s/user", node->places.pins, container->pod->id) : NULL,
		.owner_uid = pod_user.host_uid,
		.owner_gid = pod_user.host_gid,
		.user = look_up ? &user : NULL,
	};
	if (pod_user.own && !mount.user_namespace)
		return -ENOMEM;
	if (!user.name || !mount.layers || !mount.lowers || !mount.data)
		return -ENOMEM;
	r = container_mount_label(container, arena, &mount.context);
	if (r < 0)
		return r;
	struct helper_request request = {.rootfs_mount = &mount};
	int fd = -1;
	r = helper_run(&node->helper, &request, arena, ret_reply, &fd, err);
	if (r < 0)
		return r;
	if (container->rootfs_fd >= 0)
		(void)close(container->rootfs_fd);
	container->rootfs_fd = fd;
	return 0;
}

/* An id that the pod's user namespace does not map cannot be anybody's in it. */
static int check_mapped(const struct container *container, const struct helper_user_found *found, struct err *err)
{
	const struct pod_user user = pod_user_of(container->pod->config);
	if (!user.own || (found->uid < user.uid_count && found->gid < user.gid_count))
		return 0;
	return err_set(err, -EINVAL, "container.user",
		       "user %u, group %u: expected ids below %u and %u, which is what the pod's user namespace maps",
		       found->uid, found->gid, user.uid_count, user.gid_count);
}

int rootfs_prepare(struct container *container, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	struct helper_reply reply = {0};
	int r = check_ids(security_of(container), err);
	if (r == 0)
		r = mount_with(container, NULL, true, &arena, &reply, err);
	if (r == 0 && !reply.user)
		r = err_set(err, -EIO, "helper.answer", "the helper gave no user");
	if (r == 0)
		r = check_mapped(container, reply.user, err);
	return r < 0 ? r : keep_user(container, reply.user);
}

int rootfs_mount(struct container *container, const char *target, struct err *err)
{
	if (!target && container->rootfs_fd >= 0)
		return 0;
	if (container->rootfs_fd >= 0) { /* the same upper directory must not be mounted twice */
		(void)close(container->rootfs_fd);
		container->rootfs_fd = -1;
	}
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	struct helper_reply reply = {0};
	return mount_with(container, target, false, &arena, &reply, err);
}
