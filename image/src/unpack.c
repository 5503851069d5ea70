#include "image/src/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/str.h"
#include "core/codec/zstream.h"
#include "core/sys/fd.h"
#include "image/src/tree.h"

#define READ_SIZE (256 * 1024)

struct reading {
	struct unpack *unpack;
	struct tar_reader *tar;
	struct digester *digester;
	struct unpack_entry **end;
	int file_fd; /* of the entry whose bytes come, or -1 */
	uint64_t file_left;
	struct timespec mtime;
	uint64_t files;
};

static int io_error(int code, struct err *err)
{
	if (code == -ENOSPC || code == -EDQUOT)
		return err_set(err, -ENOSPC, "store.full", "no space left for the image");
	return err_sys(err, code, "store.io", "write a layer");
}

static int memory(struct err *err)
{
	return err_set(err, -EFBIG, "image.too-large", "a layer's list of files needs more than %zu MiB",
		       UNPACK_MEMORY_MAX >> 20);
}

/* A copy of the entry that outlives the callback. */
static struct unpack_entry *keep(struct arena *arena, const struct tar_entry *entry)
{
	struct unpack_entry *kept = arena_alloc(arena, sizeof *kept);
	struct tar_xattr *xattrs = arena_array(arena, entry->xattrs_count + 1, sizeof *xattrs);
	if (!kept || !xattrs)
		return NULL;
	kept->entry = *entry;
	kept->entry.path = arena_strdup(arena, entry->path);
	kept->entry.link = arena_strdup(arena, entry->link);
	kept->entry.xattrs = xattrs;
	for (size_t i = 0; i < entry->xattrs_count; i++) {
		const struct tar_xattr *from = &entry->xattrs[i];
		char *value = arena_alloc(arena, from->size + 1);
		xattrs[i] = (struct tar_xattr){arena_strdup(arena, from->name), value, from->size};
		if (!xattrs[i].name || !value)
			return NULL;
		memcpy(value, from->value, from->size);
	}
	return kept->entry.path && kept->entry.link ? kept : NULL;
}

static int close_file(struct reading *reading, struct err *err)
{
	/* The time is set here, where the file is open; the privileged half only corrects it. */
	struct timespec times[2] = {reading->mtime, reading->mtime};
	int r = futimens(reading->file_fd, times) < 0 && errno != EINVAL && errno != EOVERFLOW ? -errno : 0;
	(void)close(reading->file_fd);
	reading->file_fd = -1;
	return r < 0 ? io_error(r, err) : 0;
}

static int take_budget(struct reading *reading, uint64_t size, struct err *err)
{
	uint64_t left = atomic_load(reading->unpack->left);
	do {
		if (size > left)
			return err_set(err, -EFBIG, "image.too-large", "the image unpacks to more than is allowed");
	} while (!atomic_compare_exchange_weak(reading->unpack->left, &left, left - size));
	return 0;
}

static int open_file(struct reading *reading, const struct tar_entry *entry, uint64_t number, struct err *err)
{
	char name[24];
	int r = take_budget(reading, entry->size, err);
	if (r < 0)
		return r;
	(void)snprintf(name, sizeof name, "%llu", (unsigned long long)number);
	/* The owner may read and write until the privileged half has set what the layer says. */
	reading->file_fd = openat(reading->unpack->data_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
				  (entry->mode & 0777) | 0600);
	if (reading->file_fd < 0)
		return io_error(-errno, err);
	reading->file_left = entry->size;
	reading->mtime = (struct timespec){entry->mtime_s, entry->mtime_ns};
	return entry->size ? 0 : close_file(reading, err);
}

static int on_entry(void *user, const struct tar_entry *entry, struct err *err)
{
	struct reading *reading = user;
	struct unpack_entry *kept = keep(&reading->unpack->arena, entry);
	if (!kept)
		return memory(err);
	kept->data = entry->type == TAR_FILE ? reading->files++ : TREE_NO_DATA;
	*reading->end = kept;
	reading->end = &kept->next;
	return entry->type == TAR_FILE ? open_file(reading, entry, kept->data, err) : 0;
}

static int on_data(void *user, const void *bytes, size_t size, struct err *err)
{
	struct reading *reading = user;
	int r = fd_write_all(reading->file_fd, bytes, size);
	if (r < 0)
		return io_error(r, err);
	reading->file_left -= size;
	return reading->file_left ? 0 : close_file(reading, err);
}

static int on_bytes(void *user, const void *bytes, size_t size, struct err *err)
{
	struct reading *reading = user;
	digester_add(reading->digester, bytes, size);
	return tar_reader_push(reading->tar, bytes, size, err);
}

/* Errors of the codecs in this part's words. */
static int as_layer_error(int r, struct err *err)
{
	if (!err || !err->reason || r >= 0)
		return r;
	bool codec = str_after_prefix(err->reason, "tar.") || str_after_prefix(err->reason, "zstream.");
	if (codec)
		err->reason = r == -ENOTSUP    ? "image.unsupported"
			      : r == -EMSGSIZE ? "image.too-large"
					       : "image.layer-malformed";
	return r;
}

static int check_digest(struct digester *digester, const struct digest *expected, const char *what, struct err *err)
{
	struct digest got;
	digester_finish(digester, &got);
	if (digest_equal(&got, expected))
		return 0;
	char expected_text[DIGEST_TEXT_MAX];
	char got_text[DIGEST_TEXT_MAX];
	digest_format(expected, expected_text);
	digest_format(&got, got_text);
	return err_set(err, -EBADMSG, "image.digest-mismatch", "%s: expected %s, got bytes with %s", what, expected_text,
		       got_text);
}

/* Reads the whole blob through @stream, which is made when the first bytes tell its format. */
static int pump(struct reading *reading, struct digester *blob_digester, uint8_t *bytes, struct err *err)
{
	scoped(zstream_free) struct zstream *stream = NULL;
	off_t at = 0;
	for (;;) {
		ssize_t n = pread(reading->unpack->blob_fd, bytes, READ_SIZE, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return io_error(-errno, err);
		if (!stream && zstream_new(zstream_detect(bytes, (size_t)n), on_bytes, reading, &stream) < 0)
			return err_memory(err, "layer");
		if (n == 0)
			return zstream_finish(stream, err);
		if (blob_digester)
			digester_add(blob_digester, bytes, (size_t)n);
		int r = zstream_push(stream, bytes, (size_t)n, err);
		if (r < 0)
			return r;
		at += n;
	}
}

static int run(struct reading *reading, struct err *err)
{
	const struct unpack *unpack = reading->unpack;
	scoped(digester_free) struct digester *digester = NULL;
	scoped(digester_free) struct digester *blob_digester = NULL;
	scoped(tar_reader_free) struct tar_reader *tar = NULL;
	scoped_free uint8_t *bytes = malloc(READ_SIZE);
	struct tar_handler handler = {on_entry, on_data, reading};
	if (!bytes || digester_new(unpack->diff_id.algorithm, &digester) < 0 || tar_reader_new(&handler, &tar) < 0 ||
	    (unpack->blob && digester_new(unpack->blob->algorithm, &blob_digester) < 0))
		return err_memory(err, "layer");
	reading->tar = tar;
	reading->digester = digester;
	int r = pump(reading, blob_digester, bytes, err);
	if (r == 0)
		r = tar_reader_finish(tar, err);
	if (r == 0 && unpack->blob)
		r = check_digest(blob_digester, unpack->blob, "blob", err);
	if (r == 0)
		r = check_digest(digester, &unpack->diff_id, "layer (decompressed)", err);
	return as_layer_error(r, err);
}

int unpack_run(struct unpack *unpack, struct err *err)
{
	unpack->arena.max = UNPACK_MEMORY_MAX;
	struct reading reading = {.unpack = unpack, .end = &unpack->first, .file_fd = -1};
	int r = run(&reading, err);
	if (reading.file_fd >= 0)
		(void)close(reading.file_fd);
	return r;
}

void unpack_done(struct unpack *unpack)
{
	arena_done(&unpack->arena);
	unpack->first = NULL;
}
