#include "core/codec/zstream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/codec/zstream_codec.h"

#define OUT_SIZE (256 * 1024)

struct zstream {
	const struct zstream_codec *codec; /* NULL: none, bytes are passed on */
	void *state;
	zstream_sink *sink;
	void *user;
	bool inside;  /* of a member or frame */
	bool any;     /* a whole member was seen */
	uint8_t *out; /* OUT_SIZE bytes */
};

static const struct {
	const struct zstream_codec *codec;
	size_t magic_size;
	uint8_t magic[ZSTREAM_MAGIC_SIZE];
} FORMATS[] = {
	[ZSTREAM_NONE] = {NULL, 0, {0}},
	[ZSTREAM_GZIP] = {&ZSTREAM_CODEC_GZIP, 2, {0x1f, 0x8b}},
	[ZSTREAM_ZSTD] = {&ZSTREAM_CODEC_ZSTD, 4, {0x28, 0xb5, 0x2f, 0xfd}},
};

enum zstream_format zstream_detect(const void *bytes, size_t size)
{
	for (enum zstream_format f = ZSTREAM_GZIP; f <= ZSTREAM_ZSTD; f++)
		if (size >= FORMATS[f].magic_size && memcmp(bytes, FORMATS[f].magic, FORMATS[f].magic_size) == 0)
			return f;
	return ZSTREAM_NONE;
}

int zstream_new(enum zstream_format format, zstream_sink *sink, void *user, struct zstream **ret_stream)
{
	scoped(zstream_free) struct zstream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return -ENOMEM;
	stream->sink = sink;
	stream->user = user;
	stream->codec = FORMATS[format].codec;
	if (stream->codec) {
		stream->out = malloc(OUT_SIZE);
		if (!stream->out)
			return -ENOMEM;
		int r = stream->codec->open(&stream->state);
		if (r < 0)
			return r;
	}
	*ret_stream = TAKE(stream);
	return 0;
}

void zstream_free(struct zstream *stream)
{
	if (!stream)
		return;
	if (stream->state)
		stream->codec->close(stream->state);
	free(stream->out);
	free(stream);
}

static int malformed(const struct zstream *stream, int r, struct err *err)
{
	if (r == -ENOMEM)
		return err_set(err, r, "zstream.memory", "%s: out of memory", stream->codec->name);
	return err_set(err, -EBADMSG, "zstream.malformed", "%s: the compressed data is damaged", stream->codec->name);
}

int zstream_push(struct zstream *stream, const void *bytes, size_t size, struct err *err)
{
	if (!stream->codec)
		return size ? stream->sink(stream->user, bytes, size, err) : 0;

	struct zstream_input in = {bytes, size};
	bool full = false; /* the last step filled its output: there may be more without further input */
	while (in.left || full) {
		size_t before = in.left;
		size_t made = 0;
		int r = stream->codec->step(stream->state, &in, stream->out, OUT_SIZE, &made);
		if (r < 0)
			return malformed(stream, r, err);
		full = r == 0 && made == OUT_SIZE;
		stream->inside = r == 0 && (stream->inside || before || made);
		stream->any = stream->any || r == 1;
		if (r == 0 && made == 0 && in.left == before && before)
			return malformed(stream, -EBADMSG, err); /* neither eats nor gives */
		r = made ? stream->sink(stream->user, stream->out, made, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

int zstream_finish(struct zstream *stream, struct err *err)
{
	if (stream->codec && (stream->inside || !stream->any))
		return err_set(err, -EBADMSG, "zstream.truncated", "%s: the compressed data ends too early",
			       stream->codec->name);
	return 0;
}

const char *zstream_gzip_engine(void)
{
	return ZSTREAM_CODEC_GZIP.name;
}
