#include "image/src/archive.h"

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
#include "core/codec/tar.h"
#include "core/codec/zstream.h"
#include "core/sys/fd.h"
#include "core/sys/path.h"
#include "image/src/worker.h"

#define READ_SIZE (256 * 1024)
#define LINKS_MAX 8
#define NAMES_MEMORY_MAX ((size_t)64 * 1024 * 1024)

struct member {
	const char *name; /* clean */
	const char *link; /* of a link: the clean name it leads to; NULL: a file */
	uint64_t number;
};

struct archive {
	struct worker *worker;
	struct arena arena;
	bool directory; /* names are real below input/ */
	struct member *members;
	size_t members_count;
	int spool_fd; /* while it is read */
	int file_fd;
	uint64_t left;
};

void archive_free(struct archive *archive)
{
	if (!archive)
		return;
	if (archive->file_fd >= 0)
		(void)close(archive->file_fd);
	if (archive->spool_fd >= 0)
		(void)close(archive->spool_fd);
	arena_done(&archive->arena);
	free(archive->members);
	free(archive);
}

/* Lexically: "./a//b/../c" is "a/c"; what leads out stays at the top. */
static void clean(const char *directory, const char *name, char ret_clean[static 2 * TAR_NAME_MAX])
{
	size_t end = 0;
	const char *const parts[] = {*name == '/' ? "" : directory, name};
	for (size_t i = 0; i < 2; i++) {
		for (const char *at = parts[i]; *at; at += *at == '/') {
			size_t length = strcspn(at, "/");
			if (length == 2 && memcmp(at, "..", 2) == 0) {
				while (end && ret_clean[--end] != '/')
					;
			} else if (length && !(length == 1 && *at == '.')) {
				ret_clean[end] = '/';
				end += end != 0;
				memcpy(ret_clean + end, at, length);
				end += length;
			}
			at += length;
		}
	}
	ret_clean[end] = '\0';
}

/* ---- Spooling --------------------------------------------------------------------------------------------------- */

static int add_member(struct archive *archive, const struct tar_entry *entry, struct err *err)
{
	char name[2 * TAR_NAME_MAX];
	char link[2 * TAR_NAME_MAX];
	if (archive->members_count == ARCHIVE_FILES_MAX)
		return err_set(err, -EFBIG, "image.too-large", "the archive has more than %d files", ARCHIVE_FILES_MAX);
	clean("", entry->path, name);
	struct member *member = &archive->members[archive->members_count];
	*member = (struct member){.name = arena_strdup(&archive->arena, name), .number = archive->members_count};
	if (entry->type != TAR_FILE) {
		const char *slash = strrchr(name, '/');
		char directory[2 * TAR_NAME_MAX];
		size_t length = slash && entry->type == TAR_SYMLINK ? (size_t)(slash - name) : 0;
		memcpy(directory, name, length);
		directory[length] = '\0';
		clean(directory, entry->link, link);
		member->link = arena_strdup(&archive->arena, link);
	}
	if (!member->name || (entry->type != TAR_FILE && !member->link))
		return err_set(err, -EFBIG, "image.too-large", "the archive's names need more than %zu MiB",
			       NAMES_MEMORY_MAX >> 20);
	archive->members_count++;
	return 0;
}

static int on_entry(void *user, const struct tar_entry *entry, struct err *err)
{
	struct archive *archive = user;
	if (entry->type != TAR_FILE && entry->type != TAR_SYMLINK && entry->type != TAR_HARD_LINK)
		return 0;
	int r = add_member(archive, entry, err);
	if (r < 0 || entry->type != TAR_FILE)
		return r;
	uint64_t left = atomic_load(&archive->worker->bytes_left);
	if (entry->size > left)
		return err_set(err, -EFBIG, "image.too-large", "the archive is larger than is allowed");
	char name[24];
	(void)snprintf(name, sizeof name, "%zu", archive->members_count - 1);
	if (archive->file_fd >= 0)
		(void)close(archive->file_fd);
	archive->file_fd = openat(archive->spool_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return archive->file_fd < 0 ? worker_io_error(-errno, "spool the archive", err) : 0;
}

static int on_data(void *user, const void *bytes, size_t size, struct err *err)
{
	const struct archive *archive = user;
	int r = fd_write_all(archive->file_fd, bytes, size);
	return r < 0 ? worker_io_error(r, "spool the archive", err) : 0;
}

static int on_bytes(void *user, const void *bytes, size_t size, struct err *err)
{
	return tar_reader_push(user, bytes, size, err);
}

/* Fills the buffer unless the stream ends before: the first bytes must tell the format. */
static ssize_t read_full(int fd, uint8_t *bytes, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t n = read(fd, bytes + done, size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static int pump(struct archive *archive, struct tar_reader *tar, uint8_t *bytes, struct err *err)
{
	scoped(zstream_free) struct zstream *stream = NULL;
	for (;;) {
		ssize_t n = read_full(archive->worker->input_fd, bytes, READ_SIZE);
		if (n < 0)
			return err_sys(err, (int)n, "image.malformed", "read the archive");
		if (!stream && zstream_new(zstream_detect(bytes, (size_t)n), on_bytes, tar, &stream) < 0)
			return err_memory(err, "archive");
		if (n == 0)
			return zstream_finish(stream, err);
		int r = zstream_push(stream, bytes, (size_t)n, err);
		if (r < 0)
			return r;
	}
}

static int spool(struct archive *archive, struct err *err)
{
	scoped(tar_reader_free) struct tar_reader *tar = NULL;
	scoped_free uint8_t *bytes = malloc(READ_SIZE);
	struct tar_handler handler = {on_entry, on_data, archive};
	archive->members = calloc(ARCHIVE_FILES_MAX, sizeof *archive->members);
	if (!bytes || !archive->members || tar_reader_new(&handler, &tar) < 0)
		return err_memory(err, "archive");
	if (mkdirat(archive->worker->ingest_fd, INGEST_INPUT, 0700) < 0)
		return worker_io_error(-errno, "spool the archive", err);
	archive->spool_fd =
		openat(archive->worker->ingest_fd, INGEST_INPUT, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (archive->spool_fd < 0)
		return worker_io_error(-errno, "spool the archive", err);
	int r = pump(archive, tar, bytes, err);
	if (r == 0)
		r = tar_reader_finish(tar, err);
	bool codec = r < 0 && err && (str_after_prefix(err->reason, "tar.") || str_after_prefix(err->reason, "zstream."));
	if (codec)
		err->reason = r == -ENOTSUP ? "image.unsupported" : "image.malformed";
	return r < 0 ? err_add(err, r, "archive") : 0;
}

int archive_open(struct worker *worker, struct archive **ret_archive, struct err *err)
{
	scoped(archive_free) struct archive *archive = calloc(1, sizeof *archive);
	if (!archive)
		return err_memory(err, "archive");
	archive->worker = worker;
	archive->arena.max = NAMES_MEMORY_MAX;
	archive->spool_fd = -1;
	archive->file_fd = -1;
	struct stat st;
	archive->directory = fstatat(worker->ingest_fd, INGEST_INPUT, &st, AT_SYMLINK_NOFOLLOW) == 0;
	int r = archive->directory ? 0 : spool(archive, err);
	if (r == 0)
		*ret_archive = TAKE(archive);
	return r;
}

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

/* The last member of a name is the one that counts, as tar extracts. */
static const struct member *find_member(const struct archive *archive, const char *name)
{
	for (size_t i = archive->members_count; i-- > 0;)
		if (str_equal(archive->members[i].name, name))
			return &archive->members[i];
	return NULL;
}

int archive_find(const struct archive *archive, const char *name, char *ret_path, size_t size)
{
	if (strlen(name) > TAR_NAME_MAX)
		return -ENOENT;
	char wanted[2 * TAR_NAME_MAX];
	clean("", name, wanted);
	if (archive->directory) {
		int n = snprintf(ret_path, size, INGEST_INPUT "/%s", wanted);
		struct stat st;
		bool there = n > 0 && (size_t)n < size &&
			     fstatat(archive->worker->ingest_fd, ret_path, &st, AT_SYMLINK_NOFOLLOW) == 0;
		return there ? 0 : -ENOENT;
	}
	const char *at = wanted;
	for (unsigned links = 0; links < LINKS_MAX; links++) {
		const struct member *member = find_member(archive, at);
		if (!member)
			return -ENOENT;
		if (!member->link) {
			(void)snprintf(ret_path, size, INGEST_INPUT "/%llu", (unsigned long long)member->number);
			return 0;
		}
		at = member->link;
	}
	return -ENOENT;
}

int archive_read(const struct archive *archive, const char *name, struct buf *ret_bytes, struct err *err)
{
	char path[TAR_NAME_MAX + 64];
	int r = archive_find(archive, name, path, sizeof path);
	if (r < 0)
		return r;
	scoped_fd int fd = path_open_beneath(archive->worker->ingest_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	if (fd < 0)
		return worker_io_error(fd, name, err);
	r = fd_read_all(fd, ret_bytes);
	if (r == -EMSGSIZE)
		return err_set(err, -EFBIG, "image.too-large", "archive: %.200s has more than %zu bytes", name,
			       ret_bytes->max);
	return r < 0 ? worker_io_error(r, name, err) : 0;
}
