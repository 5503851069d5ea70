/* Reader of tar streams: ustar, pax, GNU and v7, as layers of images come (image-spec 1.1, layer.md). Does no I/O: bytes are
 * pushed in pieces of any size, entries and their data come out by callbacks.
 *
 * Understood: pax headers (path, linkpath, size, uid, gid, mtime, SCHILY.xattr.*), GNU long names and links, base-256
 * numbers, both checksums. Skipped: global pax headers, volume labels. Refused (-ENOTSUP): sparse files, multi-volume
 * members, types nobody defined. Names are given as they stand in the archive: absolute, with "..", not always UTF-8. */
#pragma once

#include <stddef.h>

#include "core/base/scoped.h"
#include "core/codec/tar_entry.h"

struct err;

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
