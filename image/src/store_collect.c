/* Garbage: ingest directories of dead jobs, and blobs and layers that no image needs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/path.h"
#include "image/src/store_internal.h"

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static int open_dir(int dir_fd, const char *name, DIR **ret_dir, struct err *err)
{
	scoped_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir)
		return err_sys(err, -errno, "store.io", "image store: open %s", name);
	(void)TAKE_FD(fd); /* the stream's now */
	*ret_dir = dir;
	return 0;
}

/* The next entry but "." and "..", NULL at the end. */
static const char *next_name(DIR *dir)
{
	struct dirent *entry;
	do
		entry = readdir(dir);
	while (entry && (str_equal(entry->d_name, ".") || str_equal(entry->d_name, "..")));
	return entry ? entry->d_name : NULL;
}

int store_ingest_sweep(int dir_fd, bool *ret_alive, struct err *err)
{
	scoped_done(close_dir) DIR *dir = NULL;
	int r = open_dir(dir_fd, STORE_INGEST, &dir, err);
	if (r < 0)
		return r;
	bool alive = false;
	const char *name;
	while ((name = next_name(dir))) {
		scoped_fd int fd = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
			alive = true;
		else
			r = path_remove_tree(dirfd(dir), name, err);
		if (r < 0)
			return r;
	}
	*ret_alive = alive;
	return 0;
}

int store_ingest_make(const struct image_store *store, char ret_name[static 32], int *ret_fd, struct err *err)
{
	scoped_fd int lock = -1; /* no sweep between making the directory and locking it */
	int r = store_lock(store, &lock, err);
	bool alive;
	if (r == 0)
		r = store_ingest_sweep(store->dir_fd, &alive, err);
	if (r < 0)
		return r;
	uint64_t number;
	if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
		return err_sys(err, -errno, "store.io", "getrandom");
	(void)snprintf(ret_name, 32, "%016llx", (unsigned long long)number);
	scoped_fd int ingest = openat(store->dir_fd, STORE_INGEST, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (ingest < 0 || mkdirat(ingest, ret_name, 0700) < 0)
		return err_sys(err, -errno, errno == ENOSPC ? "store.full" : "store.io", "image store: make %s/%s",
			       STORE_INGEST, ret_name);
	scoped_fd int fd = openat(ingest, ret_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_sys(err, -errno, "store.io", "image store: lock %s/%s", STORE_INGEST, ret_name);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- What images need ------------------------------------------------------------------------------------------- */

static int want_blob(char ***wanted, const char *text)
{
	struct digest digest;
	char path[STORE_PATH_MAX];
	if (digest_parse_text(text, &digest, NULL) < 0)
		return 0;
	store_blob_path(&digest, path);
	return strv_add(wanted, path);
}

static int want_image(const struct image_store *store, const struct store_name *name, char ***wanted, struct err *err)
{
	scoped_done(buf_done) struct buf text = {.max = MANIFEST_SIZE_MAX};
	scoped_done(buf_done) struct buf config_text = {.max = CONFIG_SIZE_MAX};
	scoped_done(arena_done) struct arena arena = {.max = MODEL_MEMORY_MAX};
	struct model_manifest manifest = {0};
	struct model_config config = {0};
	int r = want_blob(wanted, name->manifest);
	if (r == 0 && name->source)
		r = want_blob(wanted, name->source);
	if (r == 0)
		r = store_blob_read(store->dir_fd, name->manifest, &text, err);
	if (r == 0)
		r = model_read_manifest(name->manifest, text.data, text.size, &arena, &manifest, err);
	if (r == 0)
		r = want_blob(wanted, manifest.config->digest);
	for (size_t i = 0; r == 0 && i < manifest.layers_count; i++)
		r = want_blob(wanted, manifest.layers[i].digest);
	if (r == 0)
		r = store_blob_read(store->dir_fd, manifest.config->digest, &config_text, err);
	if (r == 0)
		r = model_read_config(manifest.config->digest, config_text.data, config_text.size,
				      manifest.layers_count, &arena, &config, err);
	struct digest chain;
	for (size_t i = 0; r == 0 && i < manifest.layers_count; i++) {
		char path[STORE_PATH_MAX];
		r = model_chain_append(&chain, i == 0, config.rootfs.diff_ids[i]);
		store_layer_path(&chain, NULL, path);
		if (r == 0)
			r = strv_add(wanted, path);
	}
	return r;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int sweep(const struct image_store *store, const char *directory, char **wanted, size_t count, struct err *err)
{
	scoped_done(close_dir) DIR *dir = NULL;
	int r = open_dir(store->dir_fd, directory, &dir, err);
	const char *name;
	while (r == 0 && (name = next_name(dir))) {
		char path[STORE_PATH_MAX + 256];
		(void)snprintf(path, sizeof path, "%s/%s", directory, name);
		const char *key = path;
		if (count == 0 || !bsearch(&key, wanted, count, sizeof *wanted, compare_texts))
			r = path_remove_tree(dirfd(dir), name, err);
	}
	return r;
}

int store_collect_locked(struct image_store *store, struct err *err)
{
	bool alive = false;
	int r = store_ingest_sweep(store->dir_fd, &alive, err);
	if (r < 0 || alive)
		return r; /* a running job may count on what nobody else needs: its end collects */
	scoped(strv_free) char **wanted = NULL;
	for (size_t i = 0; i < store->records.count; i++) {
		/* A damaged image keeps what could be found of it; what could not be read cannot be kept. */
		r = want_image(store, &store->records.names[i], &wanted, NULL);
		if (r == -ENOMEM)
			return err_set(err, r, "store.io", "image store: out of memory");
	}
	size_t count = strv_count((const char *const *)wanted);
	if (count)
		qsort(wanted, count, sizeof *wanted, compare_texts);
	static const char *const DIRECTORIES[] = {STORE_BLOBS "/sha256", STORE_BLOBS "/sha512", STORE_LAYERS};
	r = 0;
	for (size_t i = 0; r == 0 && i < sizeof DIRECTORIES / sizeof *DIRECTORIES; i++)
		r = sweep(store, DIRECTORIES[i], wanted, count, err);
	return r;
}
