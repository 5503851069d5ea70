/* Extended headers of one tar entry: pax records and GNU long names, gathered until the entry's own header comes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/arena.h"
#include "core/codec/tar_entry.h"

struct err;

/* What a field's extended header said. Strings belong to the arena; everything goes with tar_pax_clear(). */
struct tar_pax {
	struct arena arena;
	const char *path;
	const char *link;
	bool has_size, has_uid, has_gid, has_mtime, sparse;
	uint64_t size;
	uint64_t uid;
	uint64_t gid;
	int64_t mtime_s;
	uint32_t mtime_ns;
	struct tar_xattr xattrs[TAR_XATTRS_MAX];
	size_t xattrs_count;
};

void tar_pax_clear(struct tar_pax *pax);

/* Reads the records of one pax header (POSIX.1-2017, pax, "pax Extended Header"). @records need not live on.
 * Errors: -EBADMSG, -EMSGSIZE, -ENOMEM. */
int tar_pax_parse(struct tar_pax *pax, const char *records, size_t size, struct err *err);

/* Takes a GNU long name ('L') or link ('K'), ended by its first zero byte. Errors: -EMSGSIZE, -ENOMEM. */
int tar_pax_long_name(struct tar_pax *pax, bool link, const char *name, size_t size, struct err *err);
