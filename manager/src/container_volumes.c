#include "manager/src/container_volumes.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "image/include/axle/image.h"
#include "manager/src/container.h"
#include "manager/src/container_bundle.h"
#include "manager/src/pod_user.h"
#include "manager/src/rootfs.h"

static size_t count_images(const struct container *container)
{
	size_t count = 0;
	for (size_t i = 0; i < container->config->n_mounts; i++)
		count += container->config->mounts[i]->image != NULL;
	return count;
}

bool container_has_image_volumes(const struct container *container)
{
	return count_images(container) > 0;
}

int container_volumes_take(struct container *container, struct err *err)
{
	size_t images = count_images(container);
	if (!images)
		return 0;
	const char **ids = arena_array(&container->arena, images + 1, sizeof *ids);
	if (!ids)
		return err_memory(err, "volumes");
	container->record.volume_images = ids;
	for (size_t i = 0; i < container->config->n_mounts; i++) {
		const Cri__Mount *mount = container->config->mounts[i];
		const struct image *image = NULL;
		if (!mount->image)
			continue;
		int r = image_store_resolve(container->node->images, mount->image->image, &image, err);
		if (r < 0)
			return err_add(err, r, "mount at %s", mount->container_path);
		const char *id = arena_strdup(&container->arena, image->id);
		r = id ? image_store_hold(container->node->images, id, err) : err_memory(err, "volumes");
		if (r < 0)
			return r;
		ids[container->volumes_held++] = id;
	}
	return 0;
}

void container_volumes_hold(struct container *container)
{
	const char *const *ids = container->record.volume_images;
	size_t held = 0;
	/* all of them or those before the first that is gone: a start names it */
	while (ids && ids[held] && image_store_hold(container->node->images, ids[held], NULL) == 0)
		held++;
	container->volumes_held = held;
}

void container_volumes_release(struct container *container)
{
	while (container->volumes_held > 0)
		image_store_release(container->node->images, container->record.volume_images[--container->volumes_held]);
}

static int mount_one(struct container *container, size_t index, const char *id, struct err *err)
{
	const struct node *node = container->node;
	const Cri__Mount *mount = container->config->mounts[index];
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	const struct image *image = NULL;
	int r = image_store_resolve(node->images, id, &image, err);
	if (r < 0)
		return r;
	struct helper_volume_mount volume = {
		.layers = arena_printf(&arena, "%s/images", node->places.root),
		.lowers = image_lowers(image, &arena),
		.folder = arena_printf(&arena, "%s/%s/volumes/%zu", node->places.containers, container->id, index),
		.name = SPEC_VOLUME_NAME,
		.sub_path = mount->image_sub_path,
	};
	if (!volume.layers || !volume.lowers || !volume.folder)
		return err_memory(err, "volumes");
	if (pod_user_of(container->pod->config).own)
		volume.user_namespace = arena_printf(&arena, "%s/%s/user", node->places.pins, container->pod->id);
	r = container_mount_label(container, &arena, &volume.context);
	if (r < 0)
		return r;
	const struct helper_request request = {.volume_mount = &volume};
	struct helper_reply reply = {0};
	return helper_run(&node->helper, &request, &arena, &reply, NULL, err);
}

int container_volumes_mount(struct container *container, struct err *err)
{
	size_t number = 0;
	for (size_t i = 0; i < container->config->n_mounts; i++) {
		const Cri__Mount *mount = container->config->mounts[i];
		if (!mount->image)
			continue;
		int r = mount_one(container, i, container->record.volume_images[number++], err);
		if (r < 0)
			return err_add(err, r, "mount image %s at %s", mount->image->image, mount->container_path);
	}
	return 0;
}

static int relabel_one(struct container *container, const Cri__Mount *mount, const char *label, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	char path[PATH_MAX];
	if (!realpath(mount->host_path, path))
		return err_sys(err, -errno, "relabel", "label %s", mount->host_path);
	const struct helper_relabel relabel = {.path = path, .label = label};
	const struct helper_request request = {.relabel = &relabel};
	struct helper_reply reply = {0};
	return helper_run(&container->node->helper, &request, &arena, &reply, NULL, err);
}

int container_volumes_relabel(struct container *container, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 1 << 20};
	const char *label = NULL;
	int r = container_mount_label(container, &arena, &label);
	for (size_t i = 0; r == 0 && label && i < container->config->n_mounts; i++) {
		const Cri__Mount *mount = container->config->mounts[i];
		if (mount->selinux_relabel && !mount->image)
			r = relabel_one(container, mount, label, err);
	}
	return r;
}
