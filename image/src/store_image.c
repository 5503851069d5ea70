/* An image of its documents: manifest and configuration out of the store, read into struct image. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "image/src/store_internal.h"
#include "image/src/tree_list.h"

/* A set of blobs or layers already counted. */
struct counted {
	const char **texts;
	size_t count;
	size_t room;
};

struct loading {
	struct image_store *store;
	struct counted blobs;
	struct counted layers;
};

static const char *const NO_STRINGS[] = {NULL};

static const char *const *strings_or_none(const char *const *strings)
{
	return strings ? strings : NO_STRINGS;
}

static const char *text_or_empty(const char *text)
{
	return text ? text : "";
}

void store_blob_path(const struct digest *digest, char ret_path[static STORE_PATH_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(digest, hex);
	(void)snprintf(ret_path, STORE_PATH_MAX, STORE_BLOBS "/%s/%s", digest_algorithm_name(digest), hex);
}

void store_layer_path(const struct digest *chain, const char *member, char ret_path[static STORE_PATH_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(chain, hex);
	(void)snprintf(ret_path, STORE_PATH_MAX, STORE_LAYERS "/%s%s%s", hex, member ? "/" : "", member ? member : "");
}

int store_blob_read(int dir_fd, const char *text, struct buf *ret_bytes, struct err *err)
{
	struct digest digest;
	int r = digest_parse_text(text, &digest, err);
	if (r < 0)
		return r;
	char path[STORE_PATH_MAX];
	store_blob_path(&digest, path);
	scoped_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return err_set(err, -ENOENT, "image.not-found", "blob %s is not in the store", text);
	if (fd < 0)
		return err_sys(err, -errno, "store.io", "image store: open %s", path);
	r = fd_read_all(fd, ret_bytes);
	if (r == -EMSGSIZE)
		return err_set(err, -EFBIG, "image.too-large", "blob %s: at most %zu bytes are taken", text,
			       ret_bytes->max);
	if (r < 0)
		return err_sys(err, r, "store.io", "image store: read %s", path);
	struct digest got;
	r = digest_of(digest.algorithm, ret_bytes->data ? ret_bytes->data : "", ret_bytes->size, &got);
	if (r == 0 && !digest_equal(&got, &digest))
		return err_set(err, -EBADMSG, "image.digest-mismatch", "blob %s: its bytes have another digest", text);
	return r;
}

int store_layer_totals(int dir_fd, const struct digest *chain, struct tree_totals *ret_totals, struct err *err)
{
	char path[STORE_PATH_MAX];
	store_layer_path(chain, LAYER_LIST, path);
	scoped_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "store.damaged", "image store: open %s", path);
	/* Head and end are all it takes; they are small and at known places. */
	char bytes[64 + 8];
	size_t end = 32;
	if (st.st_size < (off_t)(8 + end) || pread(fd, bytes, 8, 0) != 8 ||
	    pread(fd, bytes + 8, end, st.st_size - (off_t)end) != (ssize_t)end)
		return err_set(err, -EUCLEAN, "store.damaged", "image store: %s was cut", path);
	return tree_list_read_totals(bytes, 8 + end, ret_totals, err);
}

/* Returns whether @text is new, and remembers it. */
static bool count_once(struct loading *loading, struct counted *counted, const char *text)
{
	for (size_t i = 0; i < counted->count; i++)
		if (str_equal(counted->texts[i], text))
			return false;
	if (counted->count == counted->room) {
		size_t room = counted->room ? counted->room * 2 : 64;
		const char **texts = arena_array(&loading->store->arena, room, sizeof *texts);
		if (!texts)
			return false;
		if (counted->count)
			memcpy(texts, counted->texts, counted->count * sizeof *texts);
		counted->texts = texts;
		counted->room = room;
	}
	counted->texts[counted->count++] = text;
	return true;
}

static void count_blob(struct loading *loading, struct image *image, const char *digest, uint64_t size)
{
	image->size_bytes += size;
	if (!count_once(loading, &loading->blobs, digest))
		return;
	loading->store->usage.bytes += size;
	loading->store->usage.inodes++;
}

static int load_layers(struct loading *loading, const struct model_manifest *manifest, const char *const *diff_ids,
		       struct image *image, struct err *err)
{
	struct image_store *store = loading->store;
	const char **layers = arena_array(&store->arena, manifest->layers_count + 1, sizeof *layers);
	if (!layers)
		return -ENOMEM;
	struct digest chain;
	for (size_t i = 0; i < manifest->layers_count; i++) {
		char path[STORE_PATH_MAX];
		struct tree_totals totals;
		int r = model_chain_append(&chain, i == 0, diff_ids[i]);
		if (r == 0)
			r = store_layer_totals(store->dir_fd, &chain, &totals, err);
		if (r < 0)
			return r;
		store_layer_path(&chain, LAYER_TREE, path);
		layers[i] = arena_strdup(&store->arena, path);
		if (!layers[i])
			return -ENOMEM;
		image->size_bytes += totals.bytes;
		if (count_once(loading, &loading->layers, layers[i])) {
			store->usage.bytes += totals.bytes;
			store->usage.inodes += totals.inodes + 2; /* its own directory and list */
		}
		count_blob(loading, image, manifest->layers[i].digest, manifest->layers[i].size);
	}
	image->layers = layers;
	image->layers_count = manifest->layers_count;
	return 0;
}

static const char *const *keys(struct arena *arena, const struct model_key *from, size_t count)
{
	const char **texts = arena_array(arena, count + 1, sizeof *texts);
	for (size_t i = 0; texts && i < count; i++)
		texts[i] = from[i].key;
	return strings_or_none(texts);
}

static void fill_config(struct arena *arena, const struct model_config *model, struct image *image)
{
	const struct model_run *run = &model->config;
	image->os = text_or_empty(model->os);
	image->architecture = text_or_empty(model->architecture);
	image->variant = text_or_empty(model->variant);
	image->created = text_or_empty(model->created);
	image->author = text_or_empty(model->author);
	struct image_pair *labels = arena_array(arena, run->labels_count + 1, sizeof *labels);
	for (size_t i = 0; labels && i < run->labels_count; i++)
		labels[i] = (struct image_pair){run->labels[i].key, run->labels[i].value};
	image->config = (struct image_config){
		.env = strings_or_none(run->env),
		.entrypoint = strings_or_none(run->entrypoint),
		.cmd = strings_or_none(run->cmd),
		.working_dir = text_or_empty(run->working_dir),
		.user = text_or_empty(run->user),
		.stop_signal = text_or_empty(run->stop_signal),
		.exposed_ports = keys(arena, run->exposed_ports, run->exposed_ports_count),
		.volumes = keys(arena, run->volumes, run->volumes_count),
		.labels = labels,
		.labels_count = labels ? run->labels_count : 0,
	};
}

/* Names of one image: with a tag, by digest. A tag brings the digest it was pulled with along. */
static int fill_names(struct image_store *store, const char *manifest, struct image *image)
{
	const struct store_records *records = &store->records;
	const char **tags = arena_array(&store->arena, records->count + 1, sizeof *tags);
	const char **digests = arena_array(&store->arena, records->count + 1, sizeof *digests);
	if (!tags || !digests)
		return -ENOMEM;
	size_t tags_count = 0;
	size_t digests_count = 0;
	for (size_t i = 0; i < records->count; i++) {
		const struct store_name *name = &records->names[i];
		if (!str_equal(name->manifest, manifest))
			continue;
		image->pinned = image->pinned || name->pinned;
		if (!name->reference)
			continue;
		if (strchr(name->reference, '@'))
			digests[digests_count++] = name->reference;
		else
			tags[tags_count++] = name->reference;
	}
	image->tags = tags;
	image->digests = digests;
	return 0;
}

static int load_image(struct loading *loading, const struct store_name *name, struct image *ret_image, struct err *err)
{
	struct image_store *store = loading->store;
	struct image image = {.manifest_digest = name->manifest};
	scoped_done(buf_done) struct buf text = {.max = MANIFEST_SIZE_MAX};
	struct model_manifest manifest = {0};
	int r = store_blob_read(store->dir_fd, name->manifest, &text, err);
	if (r == 0)
		r = model_read_manifest(name->manifest, text.data, text.size, &store->arena, &manifest, err);
	if (r < 0)
		return r;
	scoped_done(buf_done) struct buf config_text = {.max = CONFIG_SIZE_MAX};
	struct model_config config = {0};
	r = store_blob_read(store->dir_fd, manifest.config->digest, &config_text, err);
	if (r == 0)
		r = model_read_config(manifest.config->digest, config_text.data, config_text.size,
				      manifest.layers_count, &store->arena, &config, err);
	if (r == 0)
		r = load_layers(loading, &manifest, config.rootfs.diff_ids, &image, err);
	if (r == 0)
		r = fill_names(store, name->manifest, &image);
	if (r < 0)
		return r;
	image.id = manifest.config->digest;
	count_blob(loading, &image, name->manifest, text.size);
	count_blob(loading, &image, manifest.config->digest, config_text.size);
	fill_config(&store->arena, &config, &image);
	*ret_image = image;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const struct image *left = a;
	const struct image *right = b;
	int order = strcmp(left->id, right->id);
	return order ? order : strcmp(left->manifest_digest, right->manifest_digest);
}

int store_images_load(struct image_store *store, struct err *err)
{
	arena_done(&store->arena);
	store->arena = (struct arena){.max = 16 * MODEL_MEMORY_MAX};
	store->usage = (struct image_usage){0};
	store->images_count = 0;
	store->images = arena_array(&store->arena, store->records.count + 1, sizeof *store->images);
	if (!store->images)
		return err_memory(err, "image store");
	struct loading loading = {.store = store};
	for (size_t i = 0; i < store->records.count; i++) {
		const struct store_name *name = &store->records.names[i];
		bool known = false;
		for (size_t k = 0; k < store->images_count && !known; k++)
			known = str_equal(store->images[k].manifest_digest, name->manifest);
		/* An image whose documents or layers were lost is not there: a pull brings it back whole. */
		if (!known && load_image(&loading, name, &store->images[store->images_count], NULL) == 0)
			store->images_count++;
	}
	qsort(store->images, store->images_count, sizeof *store->images, compare_ids);
	return 0;
}

int store_image_check(struct image_store *store, const char *manifest, const char *id, struct err *err)
{
	/* A store of its own view: the caller's images stay as they are. */
	struct image_store view = {.dir_fd = store->dir_fd, .arena = {.max = 4 * MODEL_MEMORY_MAX}};
	struct loading loading = {.store = &view};
	struct store_name name = {.manifest = manifest};
	struct image image = {0};
	int r = load_image(&loading, &name, &image, err);
	if (r == 0 && !str_equal(image.id, id))
		r = err_set(err, -EBADMSG, "image.malformed", "manifest %s: its image is %s, not %s", manifest, image.id, id);
	arena_done(&view.arena);
	return r;
}
