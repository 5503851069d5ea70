/* What a codec of zstream.c provides: one constant table each. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What is left of one push: a codec may step back in it (isa-l reads ahead), never before its beginning. */
struct zstream_input {
	const uint8_t *next;
	size_t left;
};

struct zstream_codec {
	const char *name;
	int (*open)(void **ret_state);
	/* Decompresses some of @in into @out and says in *ret_made how much. Returns 1 where the input stands at the end of a
	 * member or frame, 0 inside one, -EBADMSG, -ENOMEM. */
	int (*step)(void *state, struct zstream_input *in, void *out, size_t out_size, size_t *ret_made);
	void (*close)(void *state);
};

extern const struct zstream_codec ZSTREAM_CODEC_GZIP; /* zstream_isal.c or zstream_zlib.c, as meson chose */
extern const struct zstream_codec ZSTREAM_CODEC_ZSTD;
