#include "image/src/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "image/src/layer_apply.h"
#include "image/src/layer_dir.h"
#include "image/src/tree_list.h"
#include "image/src/worker.h"

#define PIECE_BYTES (256 << 10)

/* One image's layers while they are applied. */
struct applied {
	int trees[LAYERS_MAX]; /* "fs" of each, lowest first */
	size_t count;
	char ***made; /* chain ids of layers of this job that have their owners already */
};

static void applied_done(struct applied *applied)
{
	for (size_t i = 0; i < applied->count; i++)
		(void)close(applied->trees[i]);
}

static int io_error(int code, const char *what, struct err *err)
{
	if (code == -ENOSPC || code == -EDQUOT)
		return err_set(err, -ENOSPC, "store.full", "no space left for the image");
	return err_sys(err, code, "store.io", "%s", what);
}

static int claims_nonsense(struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "job.worker", "the worker's result is refused: %s", what);
}

/* ---- Owners ----------------------------------------------------------------------------------------------------- */

/* A file or directory of the job becomes root's. */
static int own(const struct commit *commit, const char *path, int flags, mode_t mode, struct err *err)
{
	scoped_fd int fd = path_open_beneath(commit->ingest_fd, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | flags,
					     0);
	if (fd < 0)
		return io_error(fd, path, err);
	struct stat st;
	bool directory = flags & O_DIRECTORY;
	if (fstat(fd, &st) < 0 || (!directory && (!S_ISREG(st.st_mode) || st.st_nlink != 1)))
		return claims_nonsense(err, path);
	if ((commit->privileged && fchown(fd, 0, 0) < 0) || fchmod(fd, mode) < 0)
		return io_error(-errno, path, err);
	return 0;
}

static int apply_list(const struct commit *commit, int layer_fd, const struct applied *applied, int tree_fd,
		      struct err *err)
{
	scoped_done(buf_done) struct buf list = {.max = TREE_LIST_MAX};
	scoped_fd int fd = path_open_beneath(layer_fd, LAYER_LIST, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	int r = fd < 0 ? fd : fd_read_all(fd, &list);
	if (r < 0)
		return io_error(r, "read a layer's list", err);
	struct layer_apply apply = {.tree_fd = tree_fd,
				    .lower_fds = applied->trees,
				    .lower_count = applied->count,
				    .privileged = commit->privileged};
	return layer_apply(&apply, list.data ? list.data : "", list.size, err);
}

static int open_directory(int dir_fd, const char *path)
{
	return path_open_beneath(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
}

/* Opens the layer's tree, in the job or in the store, and applies its list if this job made it. */
static int apply_layer(const struct commit *commit, const char *chain_text, struct applied *applied, struct err *err)
{
	struct digest chain;
	char path[STORE_LAYER_PATH_MAX];
	if (digest_parse_text(chain_text, &chain, NULL) < 0 || applied->count == LAYERS_MAX)
		return claims_nonsense(err, "a layer's chain id");
	layer_path(INGEST_LAYERS "/", &chain, "", path);
	scoped_fd int layer_fd = open_directory(commit->ingest_fd, path);
	bool new_layer = layer_fd >= 0;
	if (!new_layer) {
		store_layer_path(&chain, NULL, path);
		layer_fd = open_directory(commit->store->dir_fd, path);
	}
	int tree_fd = layer_fd < 0 ? layer_fd : open_directory(layer_fd, LAYER_TREE);
	if (tree_fd < 0)
		return io_error(tree_fd, path, err);
	int r = 0;
	if (new_layer && !strv_contains((const char *const *)*applied->made, chain_text)) {
		r = apply_list(commit, layer_fd, applied, tree_fd, err);
		char list[STORE_LAYER_PATH_MAX];
		layer_path(INGEST_LAYERS "/", &chain, "/" LAYER_LIST, list);
		if (r == 0)
			r = own(commit, list, 0, 0644, err);
		if (r == 0)
			r = own(commit, path, O_DIRECTORY, 0711, err);
		if (r == 0 && strv_add(applied->made, chain_text) < 0)
			r = io_error(-ENOMEM, "apply a layer", err);
	}
	applied->trees[applied->count++] = tree_fd;
	return r < 0 ? err_add(err, r, "layer %s", chain_text) : 0;
}

static int apply_image(const struct commit *commit, const struct wire_image *image, char ***made, struct err *err)
{
	scoped_done(applied_done) struct applied applied = {.made = made};
	int r = 0;
	for (size_t i = 0; r == 0 && image->chains && image->chains[i]; i++)
		r = apply_layer(commit, image->chains[i], &applied, err);
	return r;
}

/* ---- Moving into place ------------------------------------------------------------------------------------------ */

/* Moves what the job made to the store; what the store has already stays (another job was faster). */
static int move(const struct commit *commit, const char *from, const char *to, struct err *err)
{
	if (renameat2(commit->ingest_fd, from, commit->store->dir_fd, to, RENAME_NOREPLACE) == 0 || errno == EEXIST)
		return 0;
	struct stat st;
	if (errno == ENOENT && fstatat(commit->store->dir_fd, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0; /* it was there before the job, or an earlier image of this job brought it */
	return errno == ENOENT ? err_set(err, -ESTALE, "store.io", "%s was removed while it was needed: try again", to)
			       : io_error(-errno, to, err);
}

static int move_image(const struct commit *commit, const struct wire_image *image, struct err *err)
{
	int r = 0;
	struct digest digest;
	char from[STORE_LAYER_PATH_MAX];
	char to[STORE_PATH_MAX];
	for (size_t i = 0; r == 0 && image->blobs && image->blobs[i]; i++) {
		if (digest_parse_text(image->blobs[i], &digest, NULL) < 0)
			return claims_nonsense(err, "a blob's digest");
		layer_path(INGEST_BLOBS "/", &digest, "", from);
		store_blob_path(&digest, to);
		r = move(commit, from, to, err);
	}
	for (size_t i = 0; r == 0 && image->chains && image->chains[i]; i++) {
		if (digest_parse_text(image->chains[i], &digest, NULL) < 0)
			return claims_nonsense(err, "a layer's chain id");
		layer_path(INGEST_LAYERS "/", &digest, "", from);
		store_layer_path(&digest, NULL, to);
		r = move(commit, from, to, err);
	}
	return r;
}

/* Nobody of the worker's user can change the blob any more: are its bytes those that its name says? What the unprivileged
 * half checked counts for nothing where it was taken over, and other images may share the blob. */
static int check_blob(const struct commit *commit, const char *path, const struct digest *digest, struct err *err)
{
	scoped_fd int fd = path_open_beneath(commit->ingest_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	scoped(digester_free) struct digester *digester = NULL;
	scoped_free char *piece = malloc(PIECE_BYTES);
	if (fd < 0)
		return io_error(fd, path, err);
	if (!piece || digester_new(digest->algorithm, &digester) < 0)
		return io_error(-ENOMEM, path, err);
	ssize_t size = 0;
	while ((size = read(fd, piece, PIECE_BYTES)) > 0)
		digester_add(digester, piece, (size_t)size);
	if (size < 0)
		return io_error(-errno, path, err);
	struct digest found;
	digester_finish(digester, &found);
	return digest_equal(&found, digest) ? 0
					    : err_set(err, -EBADMSG, "image.digest-mismatch",
						      "%s: the worker left other bytes under this name", path);
}

static int own_blobs(const struct commit *commit, const struct wire_image *image, struct err *err)
{
	for (size_t i = 0; image->blobs && image->blobs[i]; i++) {
		struct digest digest;
		char path[STORE_LAYER_PATH_MAX];
		struct stat st;
		if (digest_parse_text(image->blobs[i], &digest, NULL) < 0)
			return claims_nonsense(err, "a blob's digest");
		layer_path(INGEST_BLOBS "/", &digest, "", path);
		if (fstatat(commit->ingest_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* the store has it */
		int r = own(commit, path, 0, 0644, err);
		if (r == 0)
			r = check_blob(commit, path, &digest, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int sync_directories(const struct commit *commit, struct err *err)
{
	static const char *const DIRECTORIES[] = {STORE_BLOBS "/sha256", STORE_BLOBS "/sha512", STORE_LAYERS};
	for (size_t i = 0; i < sizeof DIRECTORIES / sizeof *DIRECTORIES; i++) {
		scoped_fd int fd = open_directory(commit->store->dir_fd, DIRECTORIES[i]);
		if (fd < 0 || fsync(fd) < 0)
			return io_error(fd < 0 ? fd : -errno, DIRECTORIES[i], err);
	}
	return 0;
}

/* ---- Records ---------------------------------------------------------------------------------------------------- */

/* A pull may only give the name that was asked for, and the same repository by the digest that was found: what a registry
 * sends must not choose names. An archive names its images: that is what loading it asks for. */
static bool may_name(const struct commit *commit, const struct wire_image *image, const char *name)
{
	struct image_reference wanted;
	struct image_reference given;
	char text[IMAGE_REFERENCE_MAX];
	if (image_reference_parse(name, &given, NULL) < 0)
		return false;
	image_reference_format(&given, text);
	if (!str_equal(text, name))
		return false;
	if (!str_equal(commit->request->kind, "pull"))
		return true;
	if (image_reference_parse(commit->request->reference, &wanted, NULL) < 0)
		return false;
	bool same = str_equal(wanted.registry, given.registry) && str_equal(wanted.repository, given.repository);
	bool digest = str_equal(given.digest, image->manifest) || (image->source && str_equal(given.digest, image->source));
	return same && (given.digest[0] ? digest && !given.tag[0] : str_equal(given.tag, wanted.tag));
}

static int add_names(const struct commit *commit, struct store_records *records, const struct wire_image *image,
		     struct err *err)
{
	struct store_name name = {
		.manifest = image->manifest, .media_type = image->media_type, .size = image->size, .source = image->source};
	size_t count = strv_count(image->names);
	for (size_t i = 0; i < count; i++) {
		if (!may_name(commit, image, image->names[i]))
			return claims_nonsense(err, "a name that was not asked for");
		name.reference = image->names[i];
		if (store_records_add(records, &name) < 0)
			return io_error(-ENOMEM, "add a record", err);
	}
	if (count == 0 && store_records_add(records, &name) < 0)
		return io_error(-ENOMEM, "add a record", err);
	return 0;
}

static int record(const struct commit *commit, const struct wire_result *result, struct err *err)
{
	scoped_done(store_records_done) struct store_records records = {0};
	struct stat seen;
	int r = store_records_read(commit->store->dir_fd, &records, &seen, err);
	for (size_t i = 0; r == 0 && i < result->images_count; i++) {
		r = store_image_check(commit->store, result->images[i].manifest, result->images[i].id, err);
		if (r == 0)
			r = add_names(commit, &records, &result->images[i], err);
	}
	return r < 0 ? r : store_records_write(commit->store->dir_fd, &records, err);
}

static int publish(const struct commit *commit, const struct wire_result *result, struct err *err)
{
	scoped_fd int lock = -1;
	int r = store_lock(commit->store, &lock, err);
	for (size_t i = 0; r == 0 && i < result->images_count; i++)
		r = move_image(commit, &result->images[i], err);
	if (r == 0)
		r = sync_directories(commit, err);
	return r < 0 ? r : record(commit, result, err);
}

int commit_run(const struct commit *commit, const struct wire_result *result, struct err *err)
{
	scoped(strv_free) char **made = NULL;
	struct image_progress applying = {.event = IMAGE_PROGRESS_APPLYING};
	progress_send(commit->progress, &applying);
	int r = 0;
	for (size_t i = 0; r == 0 && i < result->images_count; i++) {
		r = apply_image(commit, &result->images[i], &made, err);
		if (r == 0)
			r = own_blobs(commit, &result->images[i], err);
	}
	/* One call for all the files; it also reports a write that failed behind our back (Linux 5.8). */
	if (r == 0 && syncfs(commit->ingest_fd) < 0)
		r = io_error(-errno, "sync the image", err);
	if (r == 0)
		r = publish(commit, result, err);
	for (size_t i = 0; r == 0 && i < result->images_count; i++) {
		const struct wire_image *image = &result->images[i];
		size_t count = strv_count(image->names);
		struct image_progress done = {.event = IMAGE_PROGRESS_DONE,
					      .digest = image->id,
					      .name = count ? image->names[count - 1] : NULL};
		progress_send(commit->progress, &done);
	}
	return r;
}
