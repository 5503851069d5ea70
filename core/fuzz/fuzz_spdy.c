/* The first byte says how the rest is cut into pieces: what comes out must not depend on it, and what was read can be
 * written again. */
#include "core/net/spdy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/fuzz/target.h"

struct outcome {
	size_t frames; /* that are not DATA */
	size_t bytes;  /* of DATA */
	size_t pairs;
	int error;
};

static void note(struct outcome *outcome, const struct spdy_frame *frame)
{
	outcome->frames += frame->type != SPDY_DATA;
	outcome->bytes += frame->size;
	outcome->pairs += frame->pairs_count;
	for (size_t i = 0; i < frame->pairs_count; i++)
		if (frame->pairs[i].value[frame->pairs[i].value_size] != '\0' || strlen(frame->pairs[i].name) == 0)
			abort();
}

static void write_again(struct spdy_writer *writer, const struct spdy_frame *frame)
{
	struct buf bytes = {.max = 2 * SPDY_CONTROL_MAX + frame->size};
	int r = spdy_write(writer, frame, &bytes);
	if (r < 0 && r != -EINVAL && r != -ENOMEM)
		abort();
	buf_done(&bytes);
}

static struct outcome read_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
	struct outcome outcome = {0};
	struct spdy_reader *reader = NULL;
	struct spdy_writer *writer = NULL;
	if (spdy_reader_new(&reader) < 0 || spdy_writer_new(&writer) < 0)
		abort();
	size_t at = 0;
	while (at < size && outcome.error == 0) {
		size_t end = size - at < piece ? size : at + piece;
		while (at < end && outcome.error == 0) {
			struct spdy_frame frame = {0};
			size_t used = 0;
			int r = spdy_read(reader, data + at, end - at, &used, &frame, NULL);
			at += used;
			if (r < 0)
				outcome.error = r;
			if (r == 0 && at != end)
				abort(); /* it must take all, or end a frame */
			if (r == 1) {
				note(&outcome, &frame);
				write_again(writer, &frame);
			}
		}
	}
	spdy_reader_free(reader);
	spdy_writer_free(writer);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct outcome whole = read_in_pieces(data + 1, size - 1, SIZE_MAX);
	struct outcome pieces = read_in_pieces(data + 1, size - 1, (size_t)data[0] % 9 + 1);
	if (whole.frames != pieces.frames || whole.bytes != pieces.bytes || whole.pairs != pieces.pairs ||
	    whole.error != pieces.error)
		abort();
	return 0;
}
