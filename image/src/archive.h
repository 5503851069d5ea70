/* The files of an image archive, however they came: named files out of a tar stream or a copied layout directory, all of them
 * below the job's ingest directory. */
#pragma once

#include "core/base/arena.h"
#include "core/base/scoped.h"

struct buf;
struct err;
struct worker;

#define ARCHIVE_FILES_MAX 65536
#define INGEST_INPUT "input" /* layout directories are copied here by the privileged half; tar members are spooled here */

struct archive;

/* Reads the worker's input (a tar stream, plain or compressed) or takes the copied layout. Errors: image.malformed,
 * image.too-large, store.full, store.io. */
int archive_open(struct worker *worker, struct archive **ret_archive, struct err *err);
void archive_free(struct archive *archive);
SCOPED_DEFINE(struct archive, archive_free)

/* The path below ingest/ of the file @name, through symbolic links of the archive. Errors: -ENOENT. */
int archive_find(const struct archive *archive, const char *name, char *ret_path, size_t size);

/* Reads a whole small file. Errors: -ENOENT (err untouched), image.too-large, store.io. */
int archive_read(const struct archive *archive, const char *name, struct buf *ret_bytes, struct err *err);
