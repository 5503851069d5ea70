/* The first byte says how the rest is cut into pieces: what comes out must not depend on it. */
#include "core/net/grpc_frame.h"

#include <stdbool.h>
#include <stdlib.h>

#include "core/base/err.h"
#include "core/fuzz/target.h"

struct outcome {
	size_t messages;
	size_t bytes;
	int error;
	bool pending;
};

static struct outcome read_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
	struct grpc_frame_reader reader = {.body.max = 4096};
	struct outcome outcome = {0};
	struct err err = {0};
	size_t at = 0;
	while (at < size && outcome.error == 0) {
		size_t end = size - at < piece ? size : at + piece;
		while (at < end && outcome.error == 0) {
			size_t used = 0;
			int r = grpc_frame_read(&reader, data + at, end - at, &used, &err);
			if (r < 0) {
				outcome.error = r;
				break;
			}
			at += used;
			if (r == 0 && at != end)
				abort(); /* it must take all, or end a message */
			if (r == 1) {
				outcome.messages++;
				outcome.bytes += reader.body.size;
				grpc_frame_next(&reader);
			}
		}
	}
	outcome.pending = grpc_frame_pending(&reader);
	grpc_frame_reader_done(&reader);
	return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct outcome whole = read_in_pieces(data + 1, size - 1, SIZE_MAX);
	struct outcome pieces = read_in_pieces(data + 1, size - 1, (size_t)data[0] % 9 + 1);
	if (whole.messages != pieces.messages || whole.bytes != pieces.bytes || whole.error != pieces.error ||
	    whole.pending != pieces.pending)
		abort();
	return 0;
}
