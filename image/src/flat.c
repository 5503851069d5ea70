#include "image/src/flat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/sys/fd.h"
#include "image/src/layer_apply.h"
#include "image/src/model.h"
#include "image/src/store_internal.h"
#include "image/src/tree_list.h"

/* The merged view as one list, in which every file is a copy out of a layer: what layer_apply() already does. Directories and
 * symbolic links, which it expects to find, are made here. */
struct flat {
	int root_fd;
	struct buf list;
	struct tree_totals totals;
};

static int replay(void *user, const struct tree_record *record, struct err *err)
{
	return tree_replay(user, record, err);
}

static int replay_list(int store_fd, const char *layer, struct tree *tree, struct err *err)
{
	char path[STORE_PATH_MAX];
	size_t length = strlen(layer) - strlen(LAYER_TREE);
	(void)snprintf(path, sizeof path, "%.*s" LAYER_LIST, (int)length, layer);
	scoped_fd int fd = openat(store_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	scoped_done(buf_done) struct buf bytes = {.max = TREE_LIST_MAX};
	int r = fd < 0 ? -errno : fd_read_all(fd, &bytes);
	if (r < 0)
		return err_sys(err, r, "store.io", "image store: read %s", path);
	tree_begin_layer(tree);
	return tree_list_read(bytes.data ? bytes.data : "", bytes.size, replay, tree, NULL, err);
}

static int make(const struct flat *flat, const struct tree_record *record)
{
	if (record->type == TREE_DIRECTORY && !str_equal(record->path, "."))
		return mkdirat(flat->root_fd, record->path, 0700) < 0 ? -errno : 0;
	if (record->type == TREE_SYMLINK)
		return symlinkat(record->target, flat->root_fd, record->path) < 0 ? -errno : 0;
	return 0;
}

static int on_record(void *user, const struct tree_record *record, struct err *err)
{
	struct flat *flat = user;
	int r = make(flat, record);
	if (r < 0)
		return err_sys(err, r, r == -ENOSPC ? "store.full" : "store.io", "make %.200s", record->path);
	r = tree_list_add(&flat->list, record, &flat->totals);
	return r < 0 ? err_memory(err, "unpack") : 0;
}

static int open_layers(int store_fd, const char *const *layers, size_t count, int *fds, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		fds[i] = openat(store_fd, layers[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fds[i] < 0)
			return err_sys(err, -errno, "store.io", "image store: open %s", layers[i]);
	}
	return 0;
}

static int merge(struct flat *flat, int store_fd, const char *const *layers, size_t count, struct err *err)
{
	scoped(tree_free) struct tree *tree = NULL;
	int r = tree_new(&tree) < 0 ? err_memory(err, "unpack") : 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = replay_list(store_fd, layers[i], tree, err);
	if (r == 0)
		r = tree_list_begin(&flat->list);
	if (r == 0)
		r = tree_emit_all(tree, on_record, flat, err);
	return r < 0 ? r : tree_list_end(&flat->list, &flat->totals);
}

int flat_make(int store_fd, const char *const *layers, size_t count, int root_fd, struct err *err)
{
	int fds[LAYERS_MAX];
	for (size_t i = 0; i < LAYERS_MAX; i++)
		fds[i] = -1;
	if (count > LAYERS_MAX)
		return err_set(err, -EFBIG, "image.too-large", "%zu layers", count);
	struct flat flat = {.root_fd = root_fd, .list = {.max = TREE_LIST_MAX}};
	int r = merge(&flat, store_fd, layers, count, err);
	if (r == 0)
		r = open_layers(store_fd, layers, count, fds, err);
	struct layer_apply apply = {
		.tree_fd = root_fd, .lower_fds = fds, .lower_count = count, .privileged = geteuid() == 0};
	if (r == 0)
		r = layer_apply(&apply, flat.list.data, flat.list.size, err);
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	buf_done(&flat.list);
	return r;
}
