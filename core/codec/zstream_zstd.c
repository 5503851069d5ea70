#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "core/codec/zstream_codec.h"

#define WINDOW_LOG_MAX 27 /* 128 MiB: what zstd itself takes without being asked for more */

static int zstd_open(void **ret_state)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	if (!context)
		return -ENOMEM;
	(void)ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX); /* fails for values out of range */
	*ret_state = context;
	return 0;
}

static int zstd_step(void *state, struct zstream_input *in, void *out, size_t out_size, size_t *ret_made)
{
	ZSTD_inBuffer input = {in->next, in->left, 0};
	ZSTD_outBuffer output = {out, out_size, 0};
	size_t r = ZSTD_decompressStream(state, &output, &input);
	if (ZSTD_isError(r))
		return ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation ? -ENOMEM : -EBADMSG;
	in->next += input.pos;
	in->left -= input.pos;
	*ret_made = output.pos;
	return r == 0 ? 1 : 0;
}

static void zstd_close(void *state)
{
	(void)ZSTD_freeDCtx(state);
}

const struct zstream_codec ZSTREAM_CODEC_ZSTD = {"zstd", zstd_open, zstd_step, zstd_close};
