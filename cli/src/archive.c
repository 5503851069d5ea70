#include "cli/src/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/base/str.h"

#define FILES_MAX 65536
#define BLOCK 512
#define NAME_MAX_IN_HEADER 100

struct file {
	char *path; /* below the folder */
	uint64_t size;
};

/* A folder is sent file by file: a header, the bytes, zeroes up to the next block; two zero blocks at the end. */
struct archive {
	char *path;
	int fd; /* of the archive, or of the folder's current file; -1: none */
	bool is_folder;
	struct file *files;
	size_t count, next;
	uint64_t left;	   /* of the current file */
	size_t padding;	   /* behind it */
	uint8_t header[BLOCK];
	size_t header_left;
	size_t end_left; /* of the two blocks */
};

void archive_free(struct archive *archive)
{
	if (!archive)
		return;
	for (size_t i = 0; i < archive->count; i++)
		free(archive->files[i].path);
	free(archive->files);
	if (archive->fd > STDIN_FILENO)
		(void)close(archive->fd);
	free(archive->path);
	free(archive);
}

static int add_file(struct archive *archive, const char *path, uint64_t size, struct err *err)
{
	if (archive->count == FILES_MAX)
		return err_set(err, -E2BIG, "cli.archive", "%s: more than %d files", archive->path, FILES_MAX);
	if (strlen(path) >= NAME_MAX_IN_HEADER)
		return err_set(err, -ENAMETOOLONG, "cli.archive", "%s: %s: expected a name below %d bytes, as an image layout has",
			       archive->path, path, NAME_MAX_IN_HEADER);
	struct file *grown = reallocarray(archive->files, archive->count + 1, sizeof *grown);
	if (!grown)
		return err_memory(err, "axle");
	archive->files = grown;
	grown[archive->count] = (struct file){.path = strdup(path), .size = size};
	return grown[archive->count++].path ? 0 : err_memory(err, "axle");
}

static void fts_done(FTS **fts)
{
	if (*fts)
		(void)fts_close(*fts);
}

static int list_folder(struct archive *archive, struct err *err)
{
	char *roots[] = {archive->path, NULL};
	scoped_done(fts_done) FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	if (!fts)
		return err_sys(err, -errno, "cli.archive", "%s", archive->path);
	size_t prefix = strlen(archive->path) + 1;
	bool has_layout = false;
	for (FTSENT *entry = fts_read(fts); entry; entry = fts_read(fts)) {
		if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR || entry->fts_info == FTS_NS)
			return err_sys(err, -entry->fts_errno, "cli.archive", "%s", entry->fts_path);
		if (entry->fts_info != FTS_F)
			continue;
		const char *path = entry->fts_path + prefix;
		has_layout |= str_equal(path, "oci-layout");
		int r = add_file(archive, path, (uint64_t)entry->fts_statp->st_size, err);
		if (r < 0)
			return r;
	}
	if (!has_layout)
		return err_set(err, -EINVAL, "cli.archive", "%s: expected an OCI image layout, but there is no oci-layout in it",
			       archive->path);
	archive->end_left = (size_t)2 * BLOCK;
	return 0;
}

static int open_path(struct archive *archive, struct err *err)
{
	if (str_equal(archive->path, "-")) {
		archive->fd = STDIN_FILENO;
		if (isatty(STDIN_FILENO))
			return err_set(err, -EINVAL, "cli.archive",
				       "standard input is a terminal: expected an archive there, or --input FILE");
		return 0;
	}
	struct stat stat;
	archive->fd = open(archive->path, O_RDONLY | O_CLOEXEC);
	if (archive->fd < 0 || fstat(archive->fd, &stat) < 0)
		return err_sys(err, -errno, "cli.archive", "open %s", archive->path);
	archive->is_folder = S_ISDIR(stat.st_mode);
	if (!archive->is_folder)
		return 0;
	(void)close(archive->fd);
	archive->fd = -1;
	return list_folder(archive, err);
}

int archive_open(const char *path, struct archive **ret_archive, struct err *err)
{
	struct archive *archive = calloc(1, sizeof *archive);
	if (!archive || !(archive->path = strdup(path))) {
		free(archive);
		return err_memory(err, "axle");
	}
	archive->fd = -1;
	size_t length = strlen(archive->path);
	while (length > 1 && archive->path[length - 1] == '/')
		archive->path[--length] = '\0';
	int r = open_path(archive, err);
	if (r < 0) {
		archive_free(archive);
		return r;
	}
	*ret_archive = archive;
	return 0;
}

/* ustar, POSIX.1-2017, pax utility, "ustar Interchange Format". A size beyond 8 GiB is written in base 256, as GNU tar does. */
static void make_header(struct archive *archive, const struct file *file)
{
	char *header = memset(archive->header, 0, BLOCK);
	(void)snprintf(header, NAME_MAX_IN_HEADER, "%s", file->path);
	(void)snprintf(header + 100, 8, "%07o", 0644);
	(void)snprintf(header + 108, 8, "%07o", 0);
	(void)snprintf(header + 116, 8, "%07o", 0);
	if (file->size < 1ULL << 33) {
		(void)snprintf(header + 124, 12, "%011llo", (unsigned long long)file->size);
	} else {
		header[124] = (char)0x80;
		for (int i = 0; i < 8; i++)
			header[135 - i] = (char)(file->size >> (8 * i));
	}
	(void)snprintf(header + 136, 12, "%011o", 0);
	memset(header + 148, ' ', 8);
	header[156] = '0';
	memcpy(header + 257, "ustar\00000", 8);
	unsigned sum = 0;
	for (int i = 0; i < BLOCK; i++)
		sum += archive->header[i];
	(void)snprintf(header + 148, 7, "%06o", sum);
	archive->header_left = BLOCK;
}

static int begin_file(struct archive *archive, struct err *err)
{
	const struct file *file = &archive->files[archive->next++];
	scoped_free char *path = str_printf("%s/%s", archive->path, file->path);
	archive->fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	if (archive->fd < 0)
		return err_sys(err, path ? -errno : -ENOMEM, "cli.archive", "open %s/%s", archive->path, file->path);
	archive->left = file->size;
	archive->padding = (size_t)(-file->size & (BLOCK - 1));
	make_header(archive, file);
	return 0;
}

static size_t smaller(uint64_t a, size_t b)
{
	return a < b ? (size_t)a : b;
}

static int read_file(struct archive *archive, uint8_t *bytes, size_t size, size_t *ret_size, struct err *err)
{
	ssize_t got = 0;
	do
		got = read(archive->fd, bytes, size);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(err, -errno, "cli.archive", "read %s", archive->path);
	*ret_size = (size_t)got;
	return 0;
}

/* One part of a folder's archive: of a header, of a file, of padding, of the end. */
static int read_part(struct archive *archive, uint8_t *bytes, size_t size, size_t *ret_size, struct err *err)
{
	if (archive->header_left > 0) {
		*ret_size = smaller(archive->header_left, size);
		memcpy(bytes, archive->header + BLOCK - archive->header_left, *ret_size);
		archive->header_left -= *ret_size;
		return 0;
	}
	if (archive->left > 0) {
		int r = read_file(archive, bytes, smaller(archive->left, size), ret_size, err);
		if (r == 0 && *ret_size == 0)
			r = err_set(err, -EIO, "cli.archive", "%s: a file became shorter while it was read", archive->path);
		archive->left -= *ret_size;
		return r;
	}
	size_t *zeroes = archive->padding > 0 ? &archive->padding : &archive->end_left;
	*ret_size = smaller(*zeroes, size);
	memset(bytes, 0, *ret_size);
	*zeroes -= *ret_size;
	return 0;
}

int archive_read(struct archive *archive, uint8_t *bytes, size_t size, size_t *ret_size, struct err *err)
{
	if (!archive->is_folder)
		return read_file(archive, bytes, size, ret_size, err);
	bool between = archive->header_left == 0 && archive->left == 0 && archive->padding == 0;
	if (between && archive->fd >= 0) {
		(void)close(archive->fd);
		archive->fd = -1;
	}
	if (between && archive->next < archive->count) {
		int r = begin_file(archive, err);
		if (r < 0)
			return r;
	}
	return read_part(archive, bytes, size, ret_size, err);
}
