#include "image/src/layer_dir.h"

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
#include "image/src/tree_list.h"
#include "image/src/worker.h"

struct making {
	int tree_fd; /* "fs": all of it is ours and new, so that paths hold no surprises */
	int data_fd;
	struct buf list;
	struct tree_totals totals;
};

void layer_path(const char *before, const struct digest *chain, const char *after,
		char ret_path[static STORE_LAYER_PATH_MAX])
{
	char hex[DIGEST_TEXT_MAX];
	digest_format_hex(chain, hex);
	(void)snprintf(ret_path, STORE_LAYER_PATH_MAX, "%s%s%s", before, hex, after);
}

static int make_directory(const struct making *making, const struct tree_record *record)
{
	if (str_equal(record->path, "."))
		return 0;
	return mkdirat(making->tree_fd, record->path, 0700) < 0 ? -errno : 0;
}

static int make_file(const struct making *making, const struct tree_record *record)
{
	char name[24];
	(void)snprintf(name, sizeof name, "%llu", (unsigned long long)record->data);
	return renameat(making->data_fd, name, making->tree_fd, record->path) < 0 ? -errno : 0;
}

static int make_symlink(const struct making *making, const struct tree_record *record)
{
	return symlinkat(record->target, making->tree_fd, record->path) < 0 ? -errno : 0;
}

/* What is not here is made by the privileged half. */
static int (*const MAKE[TREE_TYPES])(const struct making *making, const struct tree_record *record) = {
	[TREE_DIRECTORY] = make_directory,
	[TREE_FILE] = make_file,
	[TREE_SYMLINK] = make_symlink,
};

static int sink(void *user, const struct tree_record *record, struct err *err)
{
	struct making *making = user;
	int r = MAKE[record->type] ? MAKE[record->type](making, record) : 0;
	if (r < 0)
		return err_add(err, worker_io_error(r, "write", err), "\"%.200s\"", record->path);
	r = tree_list_add(&making->list, record, &making->totals);
	return r < 0 ? err_set(err, -EFBIG, "image.too-large", "the layer's list is longer than %zu MiB",
			       TREE_LIST_MAX >> 20)
		     : 0;
}

static int make_directories(int ingest_fd, const struct digest *chain, int *ret_layer_fd, int *ret_tree_fd)
{
	char path[STORE_LAYER_PATH_MAX];
	layer_path(INGEST_LAYERS "/", chain, "", path);
	if (mkdirat(ingest_fd, path, 0711) < 0)
		return -errno;
	*ret_layer_fd = openat(ingest_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_layer_fd < 0 || mkdirat(*ret_layer_fd, "fs", 0700) < 0)
		return -errno;
	*ret_tree_fd = openat(*ret_layer_fd, "fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret_tree_fd < 0 ? -errno : 0;
}

int layer_dir_make(int ingest_fd, int data_fd, const struct digest *chain, struct tree *tree, struct err *err)
{
	scoped_fd int layer_fd = -1;
	scoped_fd int tree_fd = -1;
	int r = make_directories(ingest_fd, chain, &layer_fd, &tree_fd);
	if (r < 0)
		return worker_io_error(r, "make a layer's directory", err);
	struct making making = {.tree_fd = tree_fd, .data_fd = data_fd, .list = {.max = TREE_LIST_MAX}};
	r = tree_list_begin(&making.list);
	if (r == 0)
		r = tree_emit_layer(tree, sink, &making, err);
	if (r == 0)
		r = tree_list_end(&making.list, &making.totals);
	if (r == 0) {
		r = file_replace_at(layer_fd, "list", making.list.data, making.list.size, 0644, FILE_VOLATILE, err);
		r = r < 0 ? worker_io_error(r, "write a layer's list", err) : 0;
	}
	buf_done(&making.list);
	return r;
}
