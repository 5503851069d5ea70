#include "image/src/assembly.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "image/src/layer_dir.h"
#include "image/src/tree_list.h"

/* ---- Documents -------------------------------------------------------------------------------------------------- */

int assembly_begin(struct assembly *assembly, struct worker *worker, const struct digest *manifest_digest,
		   const struct buf *manifest, struct err *err)
{
	*assembly = (struct assembly){
		.worker = worker, .manifest_digest = *manifest_digest, .manifest_size = manifest->size};
	assembly->arena.max = MODEL_MEMORY_MAX;
	int r = model_read_manifest("manifest", manifest->data, manifest->size, &assembly->arena, &assembly->manifest, err);
	if (r < 0)
		return r;
	assembly->media_type = assembly->manifest.media_type ? assembly->manifest.media_type : MEDIA_OCI_MANIFEST;
	return worker_put_blob(worker, manifest_digest, manifest->data, manifest->size, err);
}

static bool fits(const char *have, const char *want)
{
	return str_empty(have) || str_equal(have, want);
}

static int check_platform(const struct assembly *assembly, struct err *err)
{
	const struct model_config *config = &assembly->config;
	const struct model_platform *wanted = &assembly->worker->platform;
	if (fits(config->os, wanted->os) && fits(config->architecture, wanted->architecture))
		return 0;
	return err_set(err, -ENOEXEC, "image.no-platform", "no image for %s/%s: there is %s/%s only", wanted->os,
		       wanted->architecture, config->os ? config->os : "?",
		       config->architecture ? config->architecture : "?");
}

/* A layer is there once its list is: that is written last. */
static int open_list(const struct worker *worker, const struct digest *chain)
{
	char path[STORE_LAYER_PATH_MAX];
	layer_path(INGEST_LAYERS "/", chain, "/list", path);
	int fd = openat(worker->ingest_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		return fd;
	layer_path("", chain, "/list", path);
	fd = openat(worker->layers_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 ? fd : -errno;
}

static int find_layer(struct assembly *assembly, size_t index, struct err *err)
{
	struct assembly_layer *layer = &assembly->layers[index];
	layer->descriptor = &assembly->manifest.layers[index];
	const char *diff_id = assembly->config.rootfs.diff_ids[index];
	if (index)
		layer->chain = assembly->layers[index - 1].chain;
	if (digest_parse_text(layer->descriptor->digest, &layer->blob, err) < 0 ||
	    digest_parse_text(diff_id, &layer->diff_id, err) < 0)
		return -EBADMSG;
	if (model_chain_append(&layer->chain, index == 0, diff_id) < 0)
		return err_memory(err, "image");
	scoped_fd int list = open_list(assembly->worker, &layer->chain);
	scoped_fd int blob = worker_open_blob(assembly->worker, &layer->blob);
	layer->unpacked = list >= 0;
	layer->have_blob = blob >= 0;
	layer->check_blob = layer->have_blob;
	return 0;
}

int assembly_configure(struct assembly *assembly, const struct buf *config, struct err *err)
{
	const char *source = assembly->manifest.config->digest;
	int r = model_read_config(source, config->data ? config->data : "", config->size,
				  assembly->manifest.layers_count, &assembly->arena, &assembly->config, err);
	if (r == 0)
		r = check_platform(assembly, err);
	struct digest digest;
	if (r == 0)
		r = digest_parse_text(source, &digest, err);
	if (r == 0)
		r = worker_put_blob(assembly->worker, &digest, config->data, config->size, err);
	for (size_t i = 0; r == 0 && i < assembly->manifest.layers_count; i++)
		r = find_layer(assembly, i, err);
	if (r == 0)
		assembly->layers_count = assembly->manifest.layers_count;
	return r;
}

void assembly_done(struct assembly *assembly)
{
	for (size_t i = 0; i < assembly->layers_count; i++)
		unpack_done(&assembly->layers[i].unpack);
	arena_done(&assembly->arena);
}

/* ---- Layers ----------------------------------------------------------------------------------------------------- */

static int make_data_dir(const struct assembly *assembly, size_t index, int *ret_fd, struct err *err)
{
	char path[32];
	(void)snprintf(path, sizeof path, INGEST_DATA "/%zu", index);
	int ingest = assembly->worker->ingest_fd;
	if (mkdirat(ingest, path, 0700) < 0 && errno != EEXIST)
		return worker_io_error(-errno, "make a layer's directory", err);
	*ret_fd = openat(ingest, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret_fd < 0 ? worker_io_error(-errno, "open a layer's directory", err) : 0;
}

int assembly_unpack(struct assembly *assembly, size_t index, struct err *err)
{
	struct assembly_layer *layer = &assembly->layers[index];
	struct progress *progress = assembly->worker->progress;
	const char *name = layer->descriptor->digest;
	uint64_t size = layer->descriptor->size;
	progress_layer(progress, name, IMAGE_LAYER_UNPACKING, 0, size);
	scoped_fd int blob = worker_open_blob(assembly->worker, &layer->blob);
	if (blob < 0)
		return worker_io_error(blob, "open a layer's blob", err);
	scoped_fd int data = -1;
	int r = make_data_dir(assembly, index, &data, err);
	if (r < 0)
		return r;
	layer->unpack = (struct unpack){
		.blob_fd = blob,
		.data_fd = data,
		.diff_id = layer->diff_id,
		.blob = layer->check_blob ? &layer->blob : NULL,
		.left = &assembly->worker->bytes_left,
	};
	r = unpack_run(&layer->unpack, err);
	if (r < 0)
		return err_add(err, r, "layer %s", name);
	progress_layer(progress, name, IMAGE_LAYER_DONE, size, size);
	return 0;
}

static int replay(void *user, const struct tree_record *record, struct err *err)
{
	return tree_replay(user, record, err);
}

static int replay_layer(const struct assembly *assembly, size_t index, struct tree *tree, struct err *err)
{
	scoped_fd int fd = open_list(assembly->worker, &assembly->layers[index].chain);
	if (fd < 0)
		return err_sys(err, fd, "store.damaged", "layer %s: its list", assembly->layers[index].descriptor->digest);
	scoped_done(buf_done) struct buf bytes = {.max = TREE_LIST_MAX};
	int r = fd_read_all(fd, &bytes);
	if (r < 0)
		return err_sys(err, r, "store.io", "read a layer's list");
	return tree_list_read(bytes.data ? bytes.data : "", bytes.size, replay, tree, NULL, err);
}

static int add_entries(const struct assembly_layer *layer, struct tree *tree, struct err *err)
{
	for (const struct unpack_entry *entry = layer->unpack.first; entry; entry = entry->next) {
		int r = tree_add(tree, &entry->entry, entry->data, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_layer(struct assembly *assembly, size_t index, struct tree *tree, struct err *err)
{
	struct assembly_layer *layer = &assembly->layers[index];
	tree_begin_layer(tree);
	if (layer->unpacked)
		return replay_layer(assembly, index, tree, err);
	int r = add_entries(layer, tree, err);
	if (r == 0)
		r = tree_end_layer(tree, err);
	scoped_fd int data = -1;
	if (r == 0)
		r = make_data_dir(assembly, index, &data, err);
	if (r == 0)
		r = layer_dir_make(assembly->worker->ingest_fd, data, &layer->chain, tree, err);
	char path[32];
	(void)snprintf(path, sizeof path, INGEST_DATA "/%zu", index);
	if (r == 0)
		r = path_remove_tree(assembly->worker->ingest_fd, path, err); /* bytes of entries that others replaced */
	return r < 0 ? err_add(err, r, "layer %s", layer->descriptor->digest) : 0;
}

int assembly_make_layers(struct assembly *assembly, struct err *err)
{
	size_t first = 0;
	while (first < assembly->layers_count && assembly->layers[first].unpacked)
		first++;
	if (first == assembly->layers_count)
		return 0;
	scoped(tree_free) struct tree *tree = NULL;
	if (tree_new(&tree) < 0)
		return err_memory(err, "image");
	int r = 0;
	for (size_t i = 0; r == 0 && i < assembly->layers_count; i++)
		r = make_layer(assembly, i, tree, err);
	return r;
}

/* ---- The result ------------------------------------------------------------------------------------------------- */

static const char *text_of(struct arena *arena, const struct digest *digest)
{
	char text[DIGEST_TEXT_MAX];
	digest_format(digest, text);
	return arena_strdup(arena, text);
}

int assembly_report(const struct assembly *assembly, const char *const *names, const char *source, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = 1024 * 1024};
	const char *blobs[LAYERS_MAX + 4] = {0};
	const char *chains[LAYERS_MAX + 1] = {0};
	size_t count = 0;
	for (size_t i = 0; i < assembly->layers_count; i++) {
		blobs[count++] = assembly->layers[i].descriptor->digest;
		chains[i] = text_of(&arena, &assembly->layers[i].chain);
	}
	blobs[count++] = assembly->manifest.config->digest;
	blobs[count++] = text_of(&arena, &assembly->manifest_digest);
	blobs[count] = source;
	struct wire_image image = {
		.manifest = blobs[count - 1],
		.media_type = assembly->media_type,
		.size = assembly->manifest_size,
		.source = source,
		.id = assembly->manifest.config->digest,
		.names = names,
		.blobs = blobs,
		.chains = chains,
	};
	return image.manifest && worker_add_image(assembly->worker, &image) == 0 ? 0 : err_memory(err, "image");
}
