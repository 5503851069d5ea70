/* gzip by zlib: where isa-l does not exist. */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include "core/codec/zstream_codec.h"

static int gzip_open(void **ret_state)
{
	z_stream *state = calloc(1, sizeof *state);
	if (!state || inflateInit2(state, 15 + 16) != Z_OK) { /* 16: a gzip header and trailer, nothing else */
		free(state);
		return -ENOMEM;
	}
	*ret_state = state;
	return 0;
}

static unsigned clamp(size_t size)
{
	return size > UINT_MAX / 2 ? UINT_MAX / 2 : (unsigned)size;
}

static int gzip_step(void *opaque, struct zstream_input *in, void *out, size_t out_size, size_t *ret_made)
{
	z_stream *state = opaque;
	unsigned offered = clamp(in->left);
	state->next_in = (Bytef *)(uintptr_t)in->next; /* zlib never writes there */
	state->avail_in = offered;
	state->next_out = out;
	state->avail_out = clamp(out_size);
	int r = inflate(state, Z_NO_FLUSH);
	in->next += offered - state->avail_in;
	in->left -= offered - state->avail_in;
	*ret_made = (size_t)(state->next_out - (Bytef *)out);
	if (r == Z_STREAM_END)
		return inflateReset(state) == Z_OK ? 1 : -EBADMSG;
	if (r == Z_MEM_ERROR)
		return -ENOMEM;
	return r == Z_OK || r == Z_BUF_ERROR ? 0 : -EBADMSG;
}

static void gzip_close(void *opaque)
{
	(void)inflateEnd(opaque);
	free(opaque);
}

const struct zstream_codec ZSTREAM_CODEC_GZIP = {"zlib", gzip_open, gzip_step, gzip_close};
