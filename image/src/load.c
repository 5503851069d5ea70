/* A load: an OCI layout (image-spec 1.1, image-layout.md) or a docker-archive, as a directory or in a tar stream. */
#include "image/src/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "image/src/crew.h"

#define UNPACKS_AT_ONCE 2
#define INDEX_DEPTH_MAX 2
#define READ_SIZE (256 * 1024)

/* ---- Blobs ------------------------------------------------------------------------------------------------------ */

static int digest_file(int fd, enum digest_algorithm algorithm, struct digest *ret_digest, uint64_t *ret_size)
{
	scoped(digester_free) struct digester *digester = NULL;
	scoped_free uint8_t *bytes = malloc(READ_SIZE);
	if (!bytes || digester_new(algorithm, &digester) < 0)
		return -ENOMEM;
	uint64_t size = 0;
	for (;;) {
		ssize_t n = read(fd, bytes, READ_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		digester_add(digester, bytes, (size_t)n);
		size += (uint64_t)n;
	}
	digester_finish(digester, ret_digest);
	*ret_size = size;
	return 0;
}

static int check_import(const struct digest *expected, uint64_t expected_size, const struct digest *got, uint64_t size,
			struct err *err)
{
	char expected_text[DIGEST_TEXT_MAX];
	char got_text[DIGEST_TEXT_MAX];
	digest_format(expected, expected_text);
	digest_format(got, got_text);
	if (!digest_equal(expected, got))
		return err_set(err, -EBADMSG, "image.digest-mismatch", "archive: expected blob %s, got bytes with %s",
			       expected_text, got_text);
	if (expected_size != size)
		return err_set(err, -EBADMSG, "image.size-mismatch",
			       "archive: blob %s: its descriptor says %llu bytes, it has %llu", expected_text,
			       (unsigned long long)expected_size, (unsigned long long)size);
	return 0;
}

int load_import(struct worker *worker, const char *path, const struct digest *expected, uint64_t expected_size,
		struct digest *ret_digest, uint64_t *ret_size, struct err *err)
{
	scoped_fd int fd = path_open_beneath(worker->ingest_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return worker_io_error(fd, "open a blob of the archive", err);
	struct digest digest;
	uint64_t size = 0;
	int r = digest_file(fd, expected ? expected->algorithm : DIGEST_SHA256, &digest, &size);
	if (r < 0)
		return worker_io_error(r, "read a blob of the archive", err);
	if (expected)
		r = check_import(expected, expected_size, &digest, size, err);
	if (r < 0)
		return r;
	*ret_digest = digest;
	*ret_size = size;
	scoped_fd int there = worker_open_blob(worker, &digest);
	if (there >= 0)
		return 0;
	/* A second name: the archive may lead to the file again. It goes with the input when the job is committed. */
	char to[STORE_BLOB_PATH_MAX];
	worker_blob_path(&digest, to);
	return linkat(worker->ingest_fd, path, worker->ingest_fd, to, 0) < 0
		       ? worker_io_error(-errno, "keep a blob of the archive", err)
		       : 0;
}

static int unpack_piece(void *user, size_t piece, struct err *err)
{
	return assembly_unpack(user, piece, err);
}

static void report_layers(const struct assembly *assembly)
{
	struct progress *progress = assembly->worker->progress;
	struct image_progress line = {.event = IMAGE_PROGRESS_RESOLVED,
				      .digest = assembly->manifest.config->digest,
				      .layers = assembly->layers_count};
	progress_send(progress, &line);
	for (size_t i = 0; i < assembly->layers_count; i++) {
		const struct assembly_layer *layer = &assembly->layers[i];
		progress_layer(progress, layer->descriptor->digest,
			       layer->unpacked ? IMAGE_LAYER_EXISTS : IMAGE_LAYER_WAITING, 0, layer->descriptor->size);
	}
}

int load_layers(struct assembly *assembly, struct err *err)
{
	report_layers(assembly);
	struct crew_options options = {
		.threads = UNPACKS_AT_ONCE, .pieces_max = LAYERS_MAX, .work = unpack_piece, .user = assembly};
	scoped(crew_free) struct crew *crew = NULL;
	int r = crew_new(&options, &crew);
	if (r < 0)
		return err_memory(err, "load");
	for (size_t i = 0; i < assembly->layers_count; i++)
		if (!assembly->layers[i].unpacked)
			crew_add(crew, i);
	r = crew_wait(crew, err);
	return r < 0 ? r : assembly_make_layers(assembly, err);
}

/* ---- OCI layouts ------------------------------------------------------------------------------------------------ */

struct layout {
	struct worker *worker;
	struct archive *archive;
	size_t loaded;
	bool only_one; /* of the index's entries: then the caller's name is for it */
	struct err no_platform;
};

static int blob_name(const char *digest_text, struct digest *ret_digest, char ret_name[static STORE_BLOB_PATH_MAX],
		     struct err *err)
{
	int r = digest_parse_text(digest_text, ret_digest, err);
	if (r < 0)
		return r;
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(ret_digest, hex);
	(void)snprintf(ret_name, STORE_BLOB_PATH_MAX, "blobs/%s/%s", digest_algorithm_name(ret_digest), hex);
	return 0;
}

static int missing(const char *digest, struct err *err)
{
	return err_set(err, -EBADMSG, "image.malformed", "archive: blob %s is not in it", digest);
}

/* A document of the layout, checked; one that an image of this job has taken over already is read from there. */
static int read_document(const struct layout *layout, const struct model_descriptor *descriptor, struct buf *ret_bytes,
			 struct digest *ret_digest, struct err *err)
{
	char name[STORE_BLOB_PATH_MAX];
	int r = blob_name(descriptor->digest, ret_digest, name, err);
	if (r < 0)
		return r;
	scoped_fd int fd = worker_open_blob(layout->worker, ret_digest);
	r = fd >= 0 ? fd_read_all(fd, ret_bytes) : archive_read(layout->archive, name, ret_bytes, err);
	if (r == -ENOENT)
		return missing(descriptor->digest, err);
	struct digest got;
	if (r == 0 && digest_of(ret_digest->algorithm, ret_bytes->data ? ret_bytes->data : "", ret_bytes->size, &got) < 0)
		r = err_memory(err, "load");
	return r < 0 ? r : check_import(ret_digest, descriptor->size, &got, ret_bytes->size, err);
}

static int import_layers(const struct layout *layout, struct assembly *assembly, struct err *err)
{
	for (size_t i = 0; i < assembly->layers_count; i++) {
		struct assembly_layer *layer = &assembly->layers[i];
		scoped_fd int there = worker_open_blob(layout->worker, &layer->blob);
		if (there >= 0)
			continue;
		char name[STORE_BLOB_PATH_MAX];
		char path[TAR_NAME_MAX + 64];
		struct digest digest;
		uint64_t size;
		int r = blob_name(layer->descriptor->digest, &digest, name, err);
		if (r == 0 && archive_find(layout->archive, name, path, sizeof path) < 0)
			r = missing(layer->descriptor->digest, err);
		if (r == 0)
			r = load_import(layout->worker, path, &layer->blob, layer->descriptor->size, &digest, &size, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The name in an index's annotations, if it is a whole reference and not only a tag. */
static bool name_of(const struct layout *layout, const struct model_descriptor *top,
		    char ret_name[static IMAGE_REFERENCE_MAX])
{
	const char *asked = layout->only_one ? layout->worker->request->reference : NULL;
	const char *full = model_annotation(top, ANNOTATION_CONTAINERD_NAME);
	const char *given = model_annotation(top, ANNOTATION_REF_NAME);
	const char *text = asked ? asked : full ? full : given;
	struct image_reference reference;
	bool whole = text && (text == asked || strchr(text, ':') || strchr(text, '/'));
	if (!whole || image_reference_parse(text, &reference, NULL) < 0)
		return false;
	image_reference_format(&reference, ret_name);
	return true;
}

static int load_manifest(struct layout *layout, const struct model_descriptor *top, const struct buf *manifest,
			 const struct digest *digest, const char *source, struct err *err)
{
	struct assembly *assembly = calloc(1, sizeof *assembly);
	if (!assembly)
		return err_memory(err, "load");
	scoped_done(buf_done) struct buf config = {.max = CONFIG_SIZE_MAX};
	struct digest config_digest;
	int r = assembly_begin(assembly, layout->worker, digest, manifest, err);
	if (r == 0)
		r = read_document(layout, assembly->manifest.config, &config, &config_digest, err);
	if (r == 0)
		r = assembly_configure(assembly, &config, err);
	if (r == 0)
		r = import_layers(layout, assembly, err);
	if (r == 0)
		r = load_layers(assembly, err);
	char name[IMAGE_REFERENCE_MAX];
	const char *names[] = {name_of(layout, top, name) ? name : NULL, NULL};
	if (r == 0)
		r = assembly_report(assembly, names, source, err);
	assembly_done(assembly);
	free(assembly);
	return r;
}

/* Follows one entry of the layout's index to a manifest for this platform. */
static int load_entry(struct layout *layout, const struct model_descriptor *top, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = MODEL_MEMORY_MAX};
	const struct model_descriptor *at = top;
	char source[DIGEST_TEXT_MAX] = "";
	for (unsigned depth = 0; depth <= INDEX_DEPTH_MAX; depth++) {
		scoped_done(buf_done) struct buf text = {.max = MANIFEST_SIZE_MAX};
		struct digest digest;
		enum model_kind kind;
		int r = read_document(layout, at, &text, &digest, err);
		if (r == 0)
			r = model_kind_of(at->digest, text.data ? text.data : "", text.size, at->media_type, &kind, err);
		if (r == 0 && kind == MODEL_KIND_MANIFEST)
			return load_manifest(layout, top, &text, &digest, *source ? source : NULL, err);
		struct model_index index;
		if (r == 0)
			r = model_read_index(at->digest, text.data, text.size, &arena, &index, err);
		if (r == 0 && depth == 0)
			r = worker_put_blob(layout->worker, &digest, text.data, text.size, err);
		if (r == 0 && depth == 0)
			digest_format(&digest, source);
		if (r == 0)
			r = model_choose_platform(&index, &layout->worker->platform, &at, err);
		if (r < 0)
			return r;
	}
	return err_set(err, -ENOTSUP, "image.unsupported", "archive: an index in an index in an index");
}

static int load_layout(struct worker *worker, struct archive *archive, const struct buf *text, struct err *err)
{
	scoped_done(arena_done) struct arena arena = {.max = MODEL_MEMORY_MAX};
	struct model_index index = {0};
	int r = model_read_index("index.json", text->data ? text->data : "", text->size, &arena, &index, err);
	if (r < 0)
		return err_add(err, r, "archive");
	struct layout layout = {.worker = worker, .archive = archive, .only_one = index.manifests_count == 1};
	struct err other = {0};
	for (size_t i = 0; i < index.manifests_count; i++) {
		/* A layout may hold an image for several platforms side by side: those of others are passed over. */
		struct err entry_err = {0};
		r = load_entry(&layout, &index.manifests[i], &entry_err);
		if (r < 0 && r != -ENOEXEC) {
			if (err)
				*err = entry_err;
			return r;
		}
		other = r == -ENOEXEC ? entry_err : other;
		layout.loaded += r == 0;
	}
	if (layout.loaded)
		return 0;
	if (other.code) {
		if (err)
			*err = other;
		return other.code;
	}
	return err_set(err, -EBADMSG, "image.malformed", "archive: index.json names no image");
}

static int load_archive(struct worker *worker, struct archive *archive, struct err *err)
{
	scoped_done(buf_done) struct buf index = {.max = MANIFEST_SIZE_MAX};
	int r = archive_read(archive, "index.json", &index, err);
	if (r == 0)
		return load_layout(worker, archive, &index, err);
	scoped_done(buf_done) struct buf manifest = {.max = MANIFEST_SIZE_MAX};
	if (r == -ENOENT)
		r = archive_read(archive, "manifest.json", &manifest, err);
	if (r == 0)
		return load_docker_archive(worker, archive, &manifest, err);
	return r == -ENOENT ? err_set(err, -EBADMSG, "image.malformed",
				      "archive: expected an OCI layout (index.json) or a docker-archive (manifest.json)")
			    : r;
}

int load_run(struct worker *worker, struct err *err)
{
	scoped(archive_free) struct archive *archive = NULL;
	int r = archive_open(worker, &archive, err);
	if (r == 0)
		r = load_archive(worker, archive, err);
	return r < 0 ? r : path_remove_tree(worker->ingest_fd, INGEST_INPUT, err);
}
