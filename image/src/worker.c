#include "image/src/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"

#define IMAGES_MAX 1024 /* of one archive */

int worker_io_error(int code, const char *what, struct err *err)
{
	if (code == -ENOSPC || code == -EDQUOT)
		return err_set(err, -ENOSPC, "store.full", "no space left for the image");
	return err_sys(err, code, "store.io", "%s", what);
}

int worker_begin(struct worker *worker, struct err *err)
{
	static const char *const DIRECTORIES[] = {INGEST_BLOBS, INGEST_LAYERS, INGEST_DATA};
	for (size_t i = 0; i < sizeof DIRECTORIES / sizeof *DIRECTORIES; i++)
		if (mkdirat(worker->ingest_fd, DIRECTORIES[i], 0700) < 0)
			return worker_io_error(-errno, "make the job's directories", err);
	worker->arena.max = MODEL_MEMORY_MAX;
	worker->result.version = WIRE_VERSION;
	return 0;
}

void worker_blob_path(const struct digest *digest, char ret_path[static STORE_BLOB_PATH_MAX])
{
	memcpy(ret_path, INGEST_BLOBS "/", sizeof INGEST_BLOBS);
	digest_format_hex(digest, ret_path + sizeof INGEST_BLOBS);
}

int worker_open_blob(const struct worker *worker, const struct digest *digest)
{
	char path[STORE_BLOB_PATH_MAX];
	worker_blob_path(digest, path);
	int fd = openat(worker->ingest_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 || errno != ENOENT)
		return fd >= 0 ? fd : -errno;
	memcpy(path, digest_algorithm_name(digest), 6); /* "sha256" and "sha512" */
	path[6] = '/';
	digest_format_hex(digest, path + 7);
	fd = openat(worker->blobs_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 ? fd : -errno;
}

int worker_make_blob(const struct worker *worker, const struct digest *digest, int *ret_fd, struct err *err)
{
	char path[STORE_BLOB_PATH_MAX];
	worker_blob_path(digest, path);
	int fd = openat(worker->ingest_fd, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return worker_io_error(-errno, "make a blob", err);
	*ret_fd = fd;
	return 0;
}

int worker_put_blob(const struct worker *worker, const struct digest *digest, const void *bytes, size_t size,
		    struct err *err)
{
	scoped_fd int there = worker_open_blob(worker, digest);
	if (there >= 0)
		return 0;
	scoped_fd int fd = -1;
	int r = worker_make_blob(worker, digest, &fd, err);
	if (r < 0)
		return r;
	r = fd_write_all(fd, bytes, size);
	return r < 0 ? worker_io_error(r, "write a blob", err) : 0;
}

static const char *const *copy_strings(struct arena *arena, const char *const *from)
{
	size_t count = strv_count(from);
	const char **copy = arena_array(arena, count + 1, sizeof *copy);
	for (size_t i = 0; copy && i < count; i++) {
		copy[i] = arena_strdup(arena, from[i]);
		if (!copy[i])
			return NULL;
	}
	return copy;
}

int worker_add_image(struct worker *worker, const struct wire_image *image)
{
	struct arena *arena = &worker->arena;
	struct wire_result *result = &worker->result;
	struct wire_image *images = arena_array(arena, result->images_count + 1, sizeof *images);
	if (!images || result->images_count == IMAGES_MAX)
		return -ENOMEM;
	if (result->images_count)
		memcpy(images, result->images, result->images_count * sizeof *images);
	struct wire_image copy = {
		.manifest = arena_strdup(arena, image->manifest),
		.media_type = arena_strdup(arena, image->media_type),
		.size = image->size,
		.source = image->source ? arena_strdup(arena, image->source) : NULL,
		.id = arena_strdup(arena, image->id),
		.names = copy_strings(arena, image->names),
		.blobs = copy_strings(arena, image->blobs),
		.chains = copy_strings(arena, image->chains),
	};
	if (!copy.manifest || !copy.media_type || !copy.id || !copy.names || !copy.blobs || !copy.chains)
		return -ENOMEM;
	images[result->images_count++] = copy;
	result->images = images;
	return 0;
}

int worker_write_result(struct worker *worker, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = WIRE_RESULT_MAX};
	int r = json_encode(&WIRE_RESULT_TABLE, &worker->result, &text);
	if (r < 0)
		return err_sys(err, r, "job.worker", "encode the result");
	r = file_replace_at(worker->ingest_fd, WIRE_RESULT, text.data, text.size, 0600, FILE_VOLATILE, err);
	return r < 0 ? worker_io_error(r, "write the result", err) : 0;
}
