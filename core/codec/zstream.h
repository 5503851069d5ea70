/* Decompression in pieces: gzip (isa-l where it was built in, else zlib) and zstd behind one table, and "none". */
#pragma once

#include <stddef.h>

#include "core/base/scoped.h"

struct err;

enum zstream_format {
	ZSTREAM_NONE,
	ZSTREAM_GZIP,
	ZSTREAM_ZSTD,
};

#define ZSTREAM_MAGIC_SIZE 4 /* bytes that zstream_detect() wants to see */

/* Tells the format by its first bytes; fewer than ZSTREAM_MAGIC_SIZE bytes are ZSTREAM_NONE unless they decide. */
enum zstream_format zstream_detect(const void *bytes, size_t size);

typedef int zstream_sink(void *user, const void *bytes, size_t size, struct err *err);

struct zstream;

/* @sink gets the decompressed bytes. Errors: -ENOMEM. */
int zstream_new(enum zstream_format format, zstream_sink *sink, void *user, struct zstream **ret_stream);
void zstream_free(struct zstream *stream);
SCOPED_DEFINE(struct zstream, zstream_free)

/* Decompresses the next @size bytes; members and frames may follow one another. A zstd window is at most 128 MiB.
 * Errors: -EBADMSG (zstream.malformed), -ENOMEM, those of the sink. */
int zstream_push(struct zstream *stream, const void *bytes, size_t size, struct err *err);

/* Says that the input has ended. Errors: -EBADMSG (zstream.truncated). */
int zstream_finish(struct zstream *stream, struct err *err);

/* Which library inflates gzip here: "isa-l" or "zlib". */
const char *zstream_gzip_engine(void);
