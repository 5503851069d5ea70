/* A layer as it comes: decompression, tar, meaning, list. The first byte chooses the pieces. */
#include "core/base/buf.h"
#include "core/codec/tar.h"
#include "core/codec/zstream.h"
#include "core/fuzz/target.h"
#include "image/src/tree.h"
#include "image/src/tree_list.h"

struct layer {
	struct tree *tree;
	struct tar_reader *tar;
	uint64_t bytes;
	struct buf list;
	struct tree_totals totals;
};

static int on_entry(void *user, const struct tar_entry *entry, struct err *err)
{
	struct layer *layer = user;
	return tree_add(layer->tree, entry, entry->type == TAR_FILE ? 0 : TREE_NO_DATA, err);
}

static int on_data(void *user, const void *bytes, size_t size, struct err *err)
{
	(void)user;
	(void)bytes;
	(void)size;
	(void)err;
	return 0;
}

static int on_bytes(void *user, const void *bytes, size_t size, struct err *err)
{
	struct layer *layer = user;
	layer->bytes += size;
	return layer->bytes > (1 << 20) ? -1 : tar_reader_push(layer->tar, bytes, size, err);
}

static int on_record(void *user, const struct tree_record *record, struct err *err)
{
	(void)err;
	struct layer *layer = user;
	return tree_list_add(&layer->list, record, &layer->totals);
}

static int ignore(void *user, const struct tree_record *record, struct err *err)
{
	(void)err;
	return tree_replay(user, record, NULL);
}

/* What was emitted must be readable, and mean a tree again. */
static void check_list(struct layer *layer)
{
	scoped(tree_free) struct tree *copy = NULL;
	if (tree_list_begin(&layer->list) < 0 || tree_emit_layer(layer->tree, on_record, layer, NULL) < 0 ||
	    tree_list_end(&layer->list, &layer->totals) < 0 || tree_new(&copy) < 0)
		return;
	tree_begin_layer(copy);
	if (tree_list_read(layer->list.data, layer->list.size, ignore, copy, NULL, NULL) < 0)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct layer layer = {.list = {.max = 1 << 24}};
	struct tar_handler handler = {on_entry, on_data, &layer};
	scoped(tree_free) struct tree *tree = NULL;
	scoped(tar_reader_free) struct tar_reader *tar = NULL;
	scoped(zstream_free) struct zstream *stream = NULL;
	size_t piece = (size_t)data[0] * 8 + 1;
	if (tree_new(&tree) < 0 || tar_reader_new(&handler, &tar) < 0 ||
	    zstream_new(zstream_detect(data + 1, size - 1), on_bytes, &layer, &stream) < 0)
		return 0;
	layer.tree = tree;
	layer.tar = tar;
	tree_begin_layer(tree);
	int r = 0;
	for (size_t at = 1; r == 0 && at < size; at += piece)
		r = zstream_push(stream, data + at, size - at < piece ? size - at : piece, NULL);
	if (r == 0 && zstream_finish(stream, NULL) == 0 && tar_reader_finish(tar, NULL) == 0 &&
	    tree_end_layer(tree, NULL) == 0)
		check_list(&layer);
	buf_done(&layer.list);
	return 0;
}
