/* Reads one layer's blob: decompresses, digests, splits the tar archive into entries (kept in memory, in order) and the bytes
 * of its files (written as numbered files). What the entries mean is decided later, by tree.h. One blob per thread. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/codec/digest.h"
#include "core/codec/tar.h"

#define UNPACK_MEMORY_MAX ((size_t)512 * 1024 * 1024)

struct unpack_entry {
	struct unpack_entry *next;
	struct tar_entry entry;
	uint64_t data; /* name of the numbered file, or TREE_NO_DATA */
};

struct unpack {
	int blob_fd;		     /* read from its beginning */
	int data_fd;		     /* directory for the numbered files */
	struct digest diff_id;	     /* of the decompressed bytes */
	const struct digest *blob;   /* of the bytes as they are; NULL: checked already */
	_Atomic uint64_t *left;	     /* bytes that may still be written for the whole image */
	struct arena arena;	     /* of the entries; unpack_done() */
	struct unpack_entry *first;
};

/* Errors: image.digest-mismatch, image.layer-malformed, image.unsupported, image.too-large, store.full, store.io. */
int unpack_run(struct unpack *unpack, struct err *err);
void unpack_done(struct unpack *unpack);
