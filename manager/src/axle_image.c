/* axle.v1 Images: List, Inspect, Remove, Unpack. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "image/include/axle/image.h"
#include "manager/src/axle.h"
#include "manager/src/container.h"
#include "manager/src/image_removal.h"

static const char **copy_names(struct rpc *rpc, const char *const *names, size_t *ret_count)
{
	size_t count = names ? strv_count(names) : 0;
	const char **copies = rpc_array(rpc, count);
	for (size_t i = 0; copies && i < count; i++) {
		copies[i] = arena_strdup(rpc->arena, names[i]);
		if (!copies[i])
			return NULL;
	}
	*ret_count = count;
	return copies;
}

/* RFC 3339 to nanoseconds since the epoch; 0 for what is none. */
static int64_t parse_time(const char *text)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	return rest ? (int64_t)timegm(&tm) * INT64_C(1000000000) : 0;
}

static int add_labels(struct rpc *rpc, const struct image *image, size_t *ret_count, Cri__MapEntry ***ret_labels)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < image->config.labels_count; i++)
		r = rpc_add_entry(rpc, ret_labels, ret_count, arena_strdup(rpc->arena, image->config.labels[i].key),
				  arena_strdup(rpc->arena, image->config.labels[i].value));
	return r;
}

static int add_users(struct rpc *rpc, const struct image *image, Axle__ImageSummary *summary)
{
	bool owners[OWNER_COUNT] = {0};
	summary->owners = rpc_array(rpc, OWNER_COUNT);
	if (!summary->owners)
		return -ENOMEM;
	for (size_t i = 0; i < rpc->node->containers.count; i++) {
		const struct container *container = rpc->node->containers.objects[i];
		if (!str_equal(container->record.image_id, image->id))
			continue;
		summary->containers++;
		if (!owners[container->owner])
			summary->owners[summary->n_owners++] = owner_name(container->owner);
		owners[container->owner] = true;
	}
	return 0;
}

static Axle__ImageSummary *make_summary(struct rpc *rpc, const struct image *image)
{
	Axle__ImageSummary *summary = rpc_new(rpc, &axle__image_summary__descriptor);
	if (!summary)
		return NULL;
	summary->id = arena_strdup(rpc->arena, image->id);
	summary->names = copy_names(rpc, image->tags, &summary->n_names);
	summary->digests = copy_names(rpc, image->digests, &summary->n_digests);
	summary->size_bytes = image->size_bytes;
	summary->created_at = parse_time(image->created);
	summary->pinned = image->pinned;
	if (!summary->id || !summary->names || !summary->digests || add_users(rpc, image, summary) < 0 ||
	    add_labels(rpc, image, &summary->n_labels, &summary->labels) < 0)
		return NULL;
	return summary;
}

/* --- filters --- */

static bool by_reference(const struct image *image, const char *pattern)
{
	for (size_t i = 0; image->tags[i]; i++) {
		const char *name = image->tags[i];
		const char *last = strrchr(name, '/');
		scoped_free char *repository = strdup(name);
		char *colon = repository ? strrchr(repository, ':') : NULL;
		if (colon && !strchr(colon, '/'))
			*colon = '\0';
		if (fnmatch(pattern, name, 0) == 0 || (last && fnmatch(pattern, last + 1, 0) == 0) ||
		    (repository && fnmatch(pattern, repository, 0) == 0) ||
		    (repository && strrchr(repository, '/') && fnmatch(pattern, strrchr(repository, '/') + 1, 0) == 0))
			return true;
	}
	return false;
}

static bool by_label(const struct image *image, const char *value)
{
	const char *equals = strchr(value, '=');
	size_t length = equals ? (size_t)(equals - value) : strlen(value);
	for (size_t i = 0; i < image->config.labels_count; i++) {
		const struct image_pair *label = &image->config.labels[i];
		if (strlen(label->key) == length && strncmp(label->key, value, length) == 0)
			return !equals || str_equal(label->value, equals + 1);
	}
	return false;
}

/* 1: it passes; 0: it does not. */
static int passes(const struct image *image, const char *filter, struct err *err)
{
	const char *value = str_after_prefix(filter, "reference=");
	if (value)
		return by_reference(image, value);
	value = str_after_prefix(filter, "label=");
	if (value)
		return by_label(image, value);
	value = str_after_prefix(filter, "dangling=");
	if (value && (str_equal(value, "true") || str_equal(value, "false")))
		return (image->tags[0] == NULL) == str_equal(value, "true");
	return err_set(err, -EINVAL, "list.filter", "filter \"%s\": expected reference=, label= or dangling=true|false",
		       filter);
}

static int newest_first(const void *a, const void *b)
{
	const Axle__ImageSummary *left = *(Axle__ImageSummary *const *)a;
	const Axle__ImageSummary *right = *(Axle__ImageSummary *const *)b;
	return left->created_at < right->created_at ? 1 : left->created_at > right->created_at ? -1 : 0;
}

int axle_list_images(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Axle__ListImagesRequest *request = request_;
	Axle__ListImagesResponse *reply = ret_reply;
	const struct image_store *store = rpc->node->images;
	reply->images = rpc_array(rpc, image_store_count(store));
	if (!reply->images)
		return -ENOMEM;
	for (size_t i = 0; i < image_store_count(store); i++) {
		const struct image *image = image_store_at(store, i);
		int r = 1;
		for (size_t j = 0; r > 0 && j < request->n_filters; j++)
			r = passes(image, request->filters[j], err);
		if (r < 0)
			return r;
		Axle__ImageSummary *summary = r > 0 ? make_summary(rpc, image) : NULL;
		if (r > 0 && !summary)
			return -ENOMEM;
		if (summary)
			reply->images[reply->n_images++] = summary;
	}
	qsort(reply->images, reply->n_images, sizeof(void *), newest_first);
	return 0;
}

/* --- one image --- */

static Axle__ImageConfig *make_config(struct rpc *rpc, const struct image *image)
{
	const struct image_config *from = &image->config;
	Axle__ImageConfig *config = rpc_new(rpc, &axle__image_config__descriptor);
	if (!config)
		return NULL;
	config->user = arena_strdup(rpc->arena, from->user);
	config->environment = copy_names(rpc, from->env, &config->n_environment);
	config->entrypoint = copy_names(rpc, from->entrypoint, &config->n_entrypoint);
	config->command = copy_names(rpc, from->cmd, &config->n_command);
	config->working_directory = arena_strdup(rpc->arena, from->working_dir);
	config->stop_signal = arena_strdup(rpc->arena, from->stop_signal);
	config->exposed_ports = copy_names(rpc, from->exposed_ports, &config->n_exposed_ports);
	config->volumes = copy_names(rpc, from->volumes, &config->n_volumes);
	if (!config->user || !config->environment || !config->entrypoint || !config->command ||
	    !config->working_directory || !config->stop_signal || !config->exposed_ports || !config->volumes ||
	    add_labels(rpc, image, &config->n_labels, &config->labels) < 0)
		return NULL;
	return config;
}

/* The layers by their place in the store, "layers/<hex>/fs": the digest of what was unpacked. */
static int add_layers(struct rpc *rpc, const struct image *image, Axle__InspectImageResponse *reply)
{
	reply->layers = rpc_array(rpc, image->layers_count);
	if (!reply->layers)
		return -ENOMEM;
	for (size_t i = 0; i < image->layers_count; i++) {
		Axle__ImageLayer *layer = rpc_new(rpc, &axle__image_layer__descriptor);
		const char *hex = str_after_prefix(image->layers[i], "layers/");
		if (!layer)
			return -ENOMEM;
		layer->diff_id = hex ? arena_printf(rpc->arena, "sha256:%.*s", (int)strcspn(hex, "/"), hex)
				     : arena_strdup(rpc->arena, image->layers[i]);
		if (!layer->diff_id)
			return -ENOMEM;
		reply->layers[reply->n_layers++] = layer;
	}
	return 0;
}

int axle_inspect_image(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Axle__InspectImageRequest *request = request_;
	Axle__InspectImageResponse *reply = ret_reply;
	const struct image *image = NULL;
	int r = image_store_resolve(rpc->node->images, request->image, &image, err);
	if (r < 0)
		return r;
	reply->summary = make_summary(rpc, image);
	reply->config = make_config(rpc, image);
	reply->os = arena_strdup(rpc->arena, image->os);
	reply->architecture = arena_strdup(rpc->arena, image->architecture);
	reply->variant = arena_strdup(rpc->arena, image->variant);
	reply->author = arena_strdup(rpc->arena, image->author);
	if (!reply->summary || !reply->config || !reply->os || !reply->architecture || !reply->variant || !reply->author)
		return -ENOMEM;
	return add_layers(rpc, image, reply);
}

int axle_remove_image(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Axle__RemoveImageRequest *request = request_;
	Axle__RemoveImageResponse *reply = ret_reply;
	scoped(strv_free) char **untagged = NULL;
	scoped_free char *id = NULL;
	int r = image_removal_run(rpc->node, request->image, request->force ? 0 : IMAGE_REMOVE_REFERENCE, &untagged, &id,
				  err);
	if (r < 0)
		return r;
	reply->untagged = copy_names(rpc, (const char *const *)untagged, &reply->n_untagged);
	reply->deleted = rpc_array(rpc, 1);
	if (!reply->untagged || !reply->deleted)
		return -ENOMEM;
	struct event event = {.type = "image", .action = id ? "removed" : "untagged"};
	(void)snprintf(event.name, sizeof event.name, "%s", request->image);
	if (id) {
		reply->deleted[0] = arena_strdup(rpc->arena, id);
		reply->n_deleted = 1;
		(void)snprintf(event.id, sizeof event.id, "%s", id);
	}
	events_add(rpc->node->events, &event);
	return !id || reply->deleted[0] ? 0 : -ENOMEM;
}

/* --- unpack: in the thread pool, since it copies a whole tree; with a store of its own, since ours changes meanwhile --- */

struct unpacking {
	int store_fd;
	const char *image_id;
	const char *directory;
	struct err *err;
	int result;
};

static int unpack(const struct unpacking *job)
{
	scoped(image_store_free) struct image_store *store = NULL;
	const struct image *image = NULL;
	int r = image_store_open(job->store_fd, IMAGE_STORE_READ_ONLY, &store, job->err);
	if (r == 0)
		r = image_store_resolve(store, job->image_id, &image, job->err);
	if (r < 0)
		return r;
	scoped_free char *parent = strdup(job->directory);
	char *slash = parent ? strrchr(parent, '/') : NULL;
	if (!slash)
		return -ENOMEM;
	*slash = '\0';
	const char *folder = *parent ? parent : "/";
	scoped_fd int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? err_sys(job->err, -errno, "unpack.open", "open %s", folder)
			  : image_bundle_unpack(store, image, dir_fd, slash + 1, job->err);
}

static void do_unpack(void *data)
{
	struct unpacking *job = data;
	job->result = unpack(job);
}

int axle_unpack_image(struct rpc *rpc, const void *request_, void *ret_reply, struct err *err)
{
	const Axle__UnpackRequest *request = request_;
	Axle__UnpackResponse *reply = ret_reply;
	size_t length = strlen(request->directory);
	if (grpc_call_peer(rpc->call).uid != 0)
		return err_set(err, -EACCES, "unpack.user", "unpacking keeps the owners of files: expected root to ask");
	if (length < 2 || request->directory[0] != '/' || request->directory[length - 1] == '/')
		return err_set(err, -EINVAL, "unpack.directory", "directory \"%s\": expected an absolute path",
			       request->directory);
	const struct image *image = NULL;
	int r = image_store_resolve(rpc->node->images, request->image, &image, err);
	if (r < 0)
		return r;
	reply->image_id = arena_strdup(rpc->arena, image->id);
	r = reply->image_id ? image_store_hold(rpc->node->images, reply->image_id, err) : -ENOMEM;
	if (r < 0)
		return r;
	struct unpacking job = {rpc->node->places.images_fd, reply->image_id, request->directory, err, 0};
	r = fiber_work(rpc->node->fibers, do_unpack, &job);
	image_store_release(rpc->node->images, reply->image_id);
	return r < 0 ? r : job.result;
}
