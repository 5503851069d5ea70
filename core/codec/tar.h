/* Reader of tar streams: ustar, pax, GNU and v7, as layers of images come (image-spec 1.1, layer.md). Does no I/O: bytes are
 * pushed in pieces of any size, entries and their data come out by callbacks.
 *
 * Understood: pax headers (path, linkpath, size, uid, gid, mtime, SCHILY.xattr.*), GNU long names and links, base-256
 * numbers, both checksums. Skipped: global pax headers, volume labels. Refused (-ENOTSUP): sparse files, multi-volume
 * members, types nobody defined. Names are given as they stand in the archive: absolute, with "..", not always UTF-8. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/base/scoped.h"

struct err;

#define TAR_NAME_MAX 4095	       /* bytes of a path or link target */
#define TAR_EXTENSION_MAX (1024 * 1024) /* bytes of one pax header or GNU long name */
#define TAR_XATTRS_MAX 64	       /* of one entry */

enum tar_type {
	TAR_FILE,
	TAR_HARD_LINK,
	TAR_SYMLINK,
	TAR_CHAR_DEVICE,
	TAR_BLOCK_DEVICE,
	TAR_DIRECTORY,
	TAR_FIFO,
};

struct tar_xattr {
	const char *name;
	const void *value;
	size_t size;
};

/* Valid during the callback only. */
struct tar_entry {
	enum tar_type type;
	const char *path;
	const char *link; /* of links, else "" */
	uint64_t size;	  /* bytes of data that follow; 0 for all but files */
	uint32_t mode;	  /* the 12 permission bits */
	uint32_t uid;
	uint32_t gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	uint32_t dev_major;
	uint32_t dev_minor;
	const struct tar_xattr *xattrs;
	size_t xattrs_count;
};

struct tar_handler {
	int (*entry)(void *user, const struct tar_entry *entry, struct err *err);
	int (*data)(void *user, const void *bytes, size_t size, struct err *err); /* of the last entry, in order */
	void *user;
};

struct tar_reader;

/* @handler is copied. Errors: -ENOMEM. */
int tar_reader_new(const struct tar_handler *handler, struct tar_reader **ret_reader);
void tar_reader_free(struct tar_reader *reader);
SCOPED_DEFINE(struct tar_reader, tar_reader_free)

/* Takes the next @size bytes of the stream; what follows the end-of-archive mark is ignored.
 * Errors: -EBADMSG (tar.malformed), -ENOTSUP (tar.unsupported), -EMSGSIZE (tar.too-large), -ENOMEM, those of the handler. */
int tar_reader_push(struct tar_reader *reader, const void *bytes, size_t size, struct err *err);

/* Says that the stream has ended. Errors: -EBADMSG (tar.truncated). */
int tar_reader_finish(struct tar_reader *reader, struct err *err);
