#include "core/net/grpc_frame.h"

#include <errno.h>
#include <string.h>

#include "core/base/err.h"

#define KEPT_BYTES (64 * 1024)

void grpc_frame_reader_done(struct grpc_frame_reader *reader)
{
	buf_done(&reader->body);
}

static int parse_header(struct grpc_frame_reader *reader, struct err *err)
{
	if (reader->header[0] == 1)
		return err_set(err, -EOPNOTSUPP, "grpc.compressed", "compressed messages are not accepted");
	if (reader->header[0] != 0)
		return err_set(err, -EBADMSG, "grpc.malformed", "a message has the unknown flag %u", reader->header[0]);
	reader->expected = (size_t)reader->header[1] << 24 | (size_t)reader->header[2] << 16 |
			   (size_t)reader->header[3] << 8 | reader->header[4];
	if (reader->expected > reader->body.max)
		return err_set(err, -EMSGSIZE, "grpc.message-too-large", "a message of %zu bytes, the limit is %zu",
			       reader->expected, reader->body.max);
	return 0;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

int grpc_frame_read(struct grpc_frame_reader *reader, const uint8_t *bytes, size_t size, size_t *ret_used,
		    struct err *err)
{
	size_t used = 0;
	if (reader->header_size < GRPC_FRAME_HEADER) {
		used = smaller(size, GRPC_FRAME_HEADER - (size_t)reader->header_size);
		memcpy(reader->header + reader->header_size, bytes, used);
		reader->header_size = (uint8_t)(reader->header_size + used);
		if (reader->header_size < GRPC_FRAME_HEADER) {
			*ret_used = used;
			return 0;
		}
		int r = parse_header(reader, err);
		if (r < 0)
			return r;
	}
	size_t part = smaller(size - used, reader->expected - reader->body.size);
	int r = part > 0 ? buf_add(&reader->body, bytes + used, part) : 0;
	if (r < 0)
		return err_set(err, r, "grpc.memory", "no memory for a message of %zu bytes", reader->expected);
	*ret_used = used + part;
	return reader->body.size == reader->expected;
}

void grpc_frame_next(struct grpc_frame_reader *reader)
{
	if (reader->body.capacity > KEPT_BYTES)
		buf_done(&reader->body);
	else
		buf_clear(&reader->body);
	reader->header_size = 0;
	reader->expected = 0;
}

bool grpc_frame_pending(const struct grpc_frame_reader *reader)
{
	return reader->header_size > 0;
}

void grpc_frame_header(size_t size, uint8_t ret_header[GRPC_FRAME_HEADER])
{
	ret_header[0] = 0;
	for (int i = 0; i < 4; i++)
		ret_header[1 + i] = (uint8_t)(size >> (24 - 8 * i));
}
