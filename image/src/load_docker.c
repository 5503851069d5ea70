/* docker-archive: manifest.json lists images as a configuration and layer files; an OCI manifest is made of each. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/str.h"
#include "core/codec/zstream.h"
#include "core/sys/path.h"
#include "image/src/load.h"

#define MEDIA_CONFIG "application/vnd.oci.image.config.v1+json"

static const char *const LAYER_MEDIA[] = {
	[ZSTREAM_NONE] = "application/vnd.oci.image.layer.v1.tar",
	[ZSTREAM_GZIP] = "application/vnd.oci.image.layer.v1.tar+gzip",
	[ZSTREAM_ZSTD] = "application/vnd.oci.image.layer.v1.tar+zstd",
};

static const char *text_of(struct arena *arena, const struct digest *digest)
{
	char text[DIGEST_TEXT_MAX];
	digest_format(digest, text);
	return arena_strdup(arena, text);
}

static int import_layer(struct worker *worker, const struct archive *archive, const char *name, struct arena *arena,
			struct model_descriptor *ret_layer, struct err *err)
{
	char path[TAR_NAME_MAX + 64];
	if (archive_find(archive, name, path, sizeof path) < 0)
		return err_set(err, -EBADMSG, "image.malformed", "archive: layer \"%.200s\" is not in it", name);
	struct digest digest;
	uint64_t size = 0;
	int r = load_import(worker, path, NULL, 0, &digest, &size, err);
	if (r < 0)
		return r;
	scoped_fd int fd = worker_open_blob(worker, &digest);
	uint8_t magic[ZSTREAM_MAGIC_SIZE] = {0};
	ssize_t n = fd < 0 ? -1 : pread(fd, magic, sizeof magic, 0);
	if (n < 0)
		return worker_io_error(fd < 0 ? fd : -errno, "read a layer of the archive", err);
	ret_layer->media_type = LAYER_MEDIA[zstream_detect(magic, (size_t)n)];
	ret_layer->digest = text_of(arena, &digest);
	ret_layer->size = size;
	return ret_layer->digest ? 0 : err_memory(err, "load");
}

/* Makes the OCI manifest: the same bytes for the same image, so that loading twice gives one image. */
static int make_manifest(struct worker *worker, const struct archive *archive, const struct model_saved *saved,
			 const struct buf *config, struct arena *arena, struct buf *ret_manifest, struct err *err)
{
	struct digest digest;
	size_t count = strv_count(saved->layers);
	if (count > LAYERS_MAX)
		return err_set(err, -EFBIG, "image.too-large", "archive: %zu layers, at most %d are taken", count, LAYERS_MAX);
	struct model_descriptor *layers = arena_array(arena, count + 1, sizeof *layers);
	if (!layers || digest_of(DIGEST_SHA256, config->data ? config->data : "", config->size, &digest) < 0)
		return err_memory(err, "load");
	struct model_descriptor config_descriptor = {
		.media_type = MEDIA_CONFIG, .digest = text_of(arena, &digest), .size = config->size};
	int r = config_descriptor.digest ? 0 : err_memory(err, "load");
	for (size_t i = 0; r == 0 && i < count; i++)
		r = import_layer(worker, archive, saved->layers[i], arena, &layers[i], err);
	struct model_manifest manifest = {.schema_version = 2,
					  .media_type = MEDIA_OCI_MANIFEST,
					  .config = &config_descriptor,
					  .layers = layers,
					  .layers_count = count};
	if (r == 0 && json_encode(&MODEL_MANIFEST, &manifest, ret_manifest) < 0)
		r = err_memory(err, "load");
	return r;
}

/* Canonical forms of the archive's names; the caller's name replaces them. */
static int collect_names(const struct worker *worker, const struct model_saved *saved, bool only_one, char ***ret_names,
			 struct err *err)
{
	const char *const asked[] = {worker->request->reference, NULL};
	const char *const *names = only_one && asked[0] ? asked : saved->repo_tags;
	for (size_t i = 0; names && names[i]; i++) {
		struct image_reference reference;
		char text[IMAGE_REFERENCE_MAX];
		int r = image_reference_parse(names[i], &reference, err);
		if (r < 0)
			return err_add(err, r, "archive");
		image_reference_format(&reference, text);
		if (strv_add(ret_names, text) < 0)
			return err_memory(err, "load");
	}
	return 0;
}

static int assemble(struct worker *worker, const struct buf *manifest, const struct buf *config,
		    const char *const *names, struct err *err)
{
	struct assembly *assembly = calloc(1, sizeof *assembly);
	if (!assembly)
		return err_memory(err, "load");
	struct digest digest;
	int r = digest_of(DIGEST_SHA256, manifest->data, manifest->size, &digest) < 0 ? err_memory(err, "load") : 0;
	if (r == 0)
		r = assembly_begin(assembly, worker, &digest, manifest, err);
	if (r == 0)
		r = assembly_configure(assembly, config, err);
	if (r == 0)
		r = load_layers(assembly, err);
	static const char *const NO_NAMES[] = {NULL};
	if (r == 0)
		r = assembly_report(assembly, names ? names : NO_NAMES, NULL, err);
	assembly_done(assembly);
	free(assembly);
	return r;
}

static int load_saved(struct worker *worker, const struct archive *archive, const struct model_saved *saved,
		      bool only_one, struct err *err)
{
	scoped_done(buf_done) struct buf config = {.max = CONFIG_SIZE_MAX};
	scoped_done(buf_done) struct buf manifest = {.max = MANIFEST_SIZE_MAX};
	scoped_done(arena_done) struct arena arena = {.max = MODEL_MEMORY_MAX};
	scoped(strv_free) char **names = NULL;
	int r = archive_read(archive, saved->config, &config, err);
	if (r == -ENOENT)
		return err_set(err, -EBADMSG, "image.malformed", "archive: configuration \"%.200s\" is not in it",
			       saved->config);
	if (r == 0)
		r = collect_names(worker, saved, only_one, &names, err);
	if (r == 0)
		r = make_manifest(worker, archive, saved, &config, &arena, &manifest, err);
	return r < 0 ? r : assemble(worker, &manifest, &config, (const char *const *)names, err);
}

int load_docker_archive(struct worker *worker, struct archive *archive, const struct buf *text, struct err *err)
{
	json_t *list = NULL;
	int r = json_parse("manifest.json", text->data ? text->data : "", text->size, &list, err);
	if (r == 0 && json_array_size(list) == 0)
		r = err_set(err, -EBADMSG, "image.malformed", "archive: manifest.json names no image");
	scoped_done(arena_done) struct arena arena = {.max = MODEL_MEMORY_MAX};
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		struct model_saved saved = {0};
		r = json_decode_value("manifest.json", json_array_get(list, i), &MODEL_SAVED, &arena, &saved, err);
		if (r == 0)
			r = load_saved(worker, archive, &saved, json_array_size(list) == 1, err);
	}
	json_decref(list);
	if (r == -EINVAL && err && str_after_prefix(err->reason, "json.")) {
		err->reason = "image.malformed";
		r = err->code = -EBADMSG;
	}
	return r;
}
