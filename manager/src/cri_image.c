/* Images. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/parse.h"
#include "core/base/str.h"
#include "core/codec/base64.h"
#include "image/include/axle/image.h"
#include "manager/src/container.h"
#include "manager/src/cri_stats.h"
#include "manager/src/image_pin.h"
#include "manager/src/image_removal.h"
#include "manager/src/layer_usage.h"
#include "manager/src/pull.h"

#define AUTH_BYTES_MAX 4096

/* An image that a container of the other owner uses is pinned for this one, or its collector would try to remove it. */
static bool is_used_by_other(const struct rpc *rpc, const struct image *image)
{
	const struct idtable *all = &rpc->node->containers;
	for (size_t i = 0; i < all->count; i++) {
		const struct container *container = all->objects[i];
		if (container->owner != rpc->owner && str_equal(container->record.image_id, image->id))
			return true;
	}
	return false;
}

static const char **copy_names(struct rpc *rpc, const char *const *names, size_t *ret_count)
{
	size_t count = strv_count(names);
	const char **copies = rpc_array(rpc, count);
	for (size_t i = 0; copies && i < count; i++) {
		copies[i] = arena_strdup(rpc->arena, names[i]);
		if (!copies[i])
			return NULL;
	}
	*ret_count = count;
	return copies;
}

/* "1000:1000" and "1000" are numbers; all else is a name. */
static int add_user(struct rpc *rpc, const struct image *image, Cri__Image *item)
{
	char *user = arena_strdup(rpc->arena, image->config.user);
	uint64_t uid = 0;
	if (!user)
		return -ENOMEM;
	user[strcspn(user, ":")] = '\0';
	if (*user && parse_u64(user, 0, UINT32_MAX - 1, &uid) < 0) {
		item->username = user;
		return 0;
	}
	item->uid = rpc_new(rpc, &cri__int64_value__descriptor);
	if (!item->uid)
		return -ENOMEM;
	item->uid->value = (int64_t)uid;
	return 0;
}

static Cri__Image *make_image(struct rpc *rpc, const struct image *image)
{
	Cri__Image *item = rpc_new(rpc, &cri__image__descriptor);
	if (!item)
		return NULL;
	item->id = arena_strdup(rpc->arena, image->id);
	item->repo_tags = copy_names(rpc, image->tags, &item->n_repo_tags);
	item->repo_digests = copy_names(rpc, image->digests, &item->n_repo_digests);
	item->size = image->size_bytes ? image->size_bytes : 1;
	item->pinned = image_is_pinned(rpc->node, image) || is_used_by_other(rpc, image);
	item->spec = rpc_new(rpc, &cri__image_spec__descriptor);
	if (!item->id || !item->repo_tags || !item->repo_digests || !item->spec || add_user(rpc, image, item) < 0)
		return NULL;
	item->spec->image = item->id;
	return item;
}

/* The image that a spec names. */
static int resolve(struct rpc *rpc, const Cri__ImageSpec *spec, const struct image **ret_image, struct err *err)
{
	if (!spec || str_empty(spec->image))
		return err_set(err, -EINVAL, "image.name", "expected the name of an image");
	return image_store_resolve(rpc->node->images, spec->image, ret_image, err);
}

int cri_list_images(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)err;
	const Cri__ListImagesRequest *request = request_;
	Cri__ListImagesResponse *reply = ret_reply;
	const struct image_store *store = rpc->node->images;
	const Cri__ImageSpec *wanted = request->filter ? request->filter->image : NULL;
	const struct image *only = NULL;
	if (wanted && !str_empty(wanted->image) && resolve(rpc, wanted, &only, NULL) < 0)
		return 0;
	reply->images = rpc_array(rpc, image_store_count(store));
	if (!reply->images)
		return -ENOMEM;
	for (size_t i = 0; i < image_store_count(store); i++) {
		const struct image *image = image_store_at(store, i);
		if (only && image != only)
			continue;
		Cri__Image *item = make_image(rpc, image);
		if (!item)
			return -ENOMEM;
		reply->images[reply->n_images++] = item;
	}
	return 0;
}

int cri_image_status(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__ImageStatusRequest *request = request_;
	Cri__ImageStatusResponse *reply = ret_reply;
	const struct image *image = NULL;
	int r = resolve(rpc, request->image, &image, err);
	if (r == -ENOENT)
		return 0; /* no such image is no error, and no image */
	if (r < 0)
		return r;
	reply->image = make_image(rpc, image);
	if (!reply->image)
		return -ENOMEM;
	if (!request->verbose)
		return 0;
	const char *info = arena_printf(rpc->arena,
					"{\"manifest\":\"%s\",\"imageSpec\":{\"os\":\"%s\",\"architecture\":\"%s\","
					"\"created\":\"%s\"},\"layers\":%zu}",
					image->manifest_digest, image->os, image->architecture, image->created,
					image->layers_count);
	return rpc_add_entry(rpc, &reply->info, &reply->n_info, "info", info);
}

/* docker's form: base64 of "user:password". */
static int decode_auth(struct rpc *rpc, const char *auth, struct image_credentials *credentials, struct err *err)
{
	size_t length = strlen(auth);
	uint8_t *bytes = length <= AUTH_BYTES_MAX ? arena_alloc(rpc->arena, length + 1) : NULL;
	size_t size = 0;
	char *colon = NULL;
	if (bytes && base64_decode(auth, length, bytes, &size) == 0) {
		bytes[size] = '\0';
		colon = strchr((char *)bytes, ':');
	}
	if (!colon)
		return err_set(err, -EINVAL, "registry.auth", "auth: expected base64 of user:password");
	*colon = '\0';
	credentials->username = (const char *)bytes;
	credentials->password = colon + 1;
	return 0;
}

static const char *given(const char *text)
{
	return str_empty(text) ? NULL : text;
}

static const char *skip_scheme(const char *address)
{
	const char *scheme = strstr(address, "://");
	return scheme ? scheme + 3 : address;
}

/* The names of docker's own registry are one. */
static bool is_docker(const char *host, size_t length)
{
	static const char *const NAMES[] = {"docker.io", "index.docker.io", "registry-1.docker.io"};
	for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
		if (strlen(NAMES[i]) == length && strncasecmp(NAMES[i], host, length) == 0)
			return true;
	return false;
}

/* Are credentials for @server ("https://index.docker.io/v1/", "registry:5000"; "": any) meant for this image's registry? */
static bool are_for(const char *server, const char *image)
{
	struct image_reference reference;
	if (str_empty(server) || image_reference_parse(image, &reference, NULL) < 0)
		return true;
	const char *host = skip_scheme(server);
	size_t length = strcspn(host, "/");
	bool same = strlen(reference.registry) == length && strncasecmp(reference.registry, host, length) == 0;
	return same || (is_docker(host, length) && is_docker(reference.registry, strlen(reference.registry)));
}

int cri_take_credentials(struct rpc *rpc, const Cri__AuthConfig *auth, const char *image,
			 struct image_credentials *ret_credentials, struct err *err)
{
	if (!auth)
		return 0;
	if (!are_for(auth->server_address, image)) {
		log_info(&rpc->node->log, "registry.auth", "%s: the credentials are for %s and are not used", image,
			 auth->server_address);
		return 0;
	}
	*ret_credentials = (struct image_credentials){
		.username = given(auth->username),
		.password = given(auth->password),
		.identity_token = given(auth->identity_token),
		.registry_token = given(auth->registry_token),
	};
	return ret_credentials->username || str_empty(auth->auth) ? 0 : decode_auth(rpc, auth->auth, ret_credentials, err);
}

int cri_pull_image(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Cri__PullImageRequest *request = request_;
	Cri__PullImageResponse *reply = ret_reply;
	if (!request->image || str_empty(request->image->image))
		return err_set(err, -EINVAL, "image.name", "expected the name of an image");
	struct pull_request pull = {.reference = request->image->image, .load_fd = -1};
	const struct image *image = NULL;
	int r = cri_take_credentials(rpc, request->auth, request->image->image, &pull.credentials, err);
	if (r == 0)
		r = pull_image(rpc->node, &pull, NULL, &image, err);
	if (r < 0)
		return r;
	reply->image_ref = arena_strdup(rpc->arena, image->id);
	return reply->image_ref ? 0 : -ENOMEM;
}

int cri_remove_image(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	(void)ret_reply;
	const Cri__RemoveImageRequest *request = request_;
	const struct image *image = NULL;
	int r = resolve(rpc, request->image, &image, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	const char *id = arena_strdup(rpc->arena, image->id);
	if (!id)
		return -ENOMEM;
	scoped(strv_free) char **untagged = NULL;
	scoped_free char *removed = NULL;
	r = image_removal_run(rpc->node, id, 0, &untagged, &removed, err);
	return r == -ENOENT ? 0 : r; /* somebody else was first */
}

/* What all containers' writable layers take, of either owner: they share the disk. What is not counted yet is left out. */
static int count_layers(struct rpc *rpc, struct image_usage *ret_usage)
{
	const struct idtable *all = &rpc->node->containers;
	size_t count = all->count;
	struct container **containers = rpc_array(rpc, count);
	if (!containers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		containers[i] = container_ref(all->objects[i]);
	int r = layer_usage_refresh(rpc->node, containers, count);
	for (size_t i = 0; i < count; i++) {
		if (!containers[i]->gone) {
			ret_usage->bytes += containers[i]->layer.bytes;
			ret_usage->inodes += containers[i]->layer.inodes;
		}
		container_unref(containers[i]);
	}
	return r;
}

int cri_image_fs_info(struct rpc *rpc, const void *request, void *ret_reply, struct err *err)
{
	(void)request;
	(void)err;
	Cri__ImageFsInfoResponse *reply = ret_reply;
	struct image_usage layers = {0};
	struct image_usage images = {0};
	const char *images_mount = NULL;
	const char *layers_mount = NULL;
	int r = count_layers(rpc, &layers);
	if (r == 0)
		r = cri_find_filesystems(rpc, &images_mount, &layers_mount);
	if (r < 0)
		return r;
	image_store_usage(rpc->node->images, &images);
	reply->image_filesystems = rpc_array(rpc, 1);
	reply->container_filesystems = rpc_array(rpc, 1);
	if (!reply->image_filesystems || !reply->container_filesystems)
		return -ENOMEM;
	int64_t now = node_now_ns();
	reply->image_filesystems[0] = cri_make_filesystem_usage(rpc, images_mount, images.bytes, images.inodes, now);
	reply->container_filesystems[0] = cri_make_filesystem_usage(rpc, layers_mount, layers.bytes, layers.inodes, now);
	if (!reply->image_filesystems[0] || !reply->container_filesystems[0])
		return -ENOMEM;
	reply->n_image_filesystems = reply->n_container_filesystems = 1;
	return 0;
}
