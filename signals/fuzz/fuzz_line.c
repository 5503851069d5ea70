/* Lines from a client and from the service: the first byte says whose, and how the stream is cut. A data line that was read must be
 * written as it was. */
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/scoped.h"
#include "core/fuzz/target.h"
#include "signals/src/line/line.h"

static void check_line(char *line, size_t length, bool event)
{
	struct line_message message = {0};
	struct err err = {0};
	int r = (event ? line_parse_event : line_parse_request)(line, length, &message, &err);
	if (r < 0 || message.verb != LINE_DATA)
		return;
	scoped_done(buf_done) struct buf out = {.max = 2 * LINE_BYTES_MAX};
	if (line_add_data(&out, (uint32_t)message.numbers[0], message.time_ns, message.text, message.text_length) < 0)
		return;
	out.data[out.size - 1] = '\0';
	struct line_message again = {0};
	if (line_parse_event(out.data, out.size - 1, &again, NULL) < 0 || again.numbers[0] != message.numbers[0] ||
	    again.time_ns != message.time_ns || again.text_length != message.text_length)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	bool event = data[0] & 1;
	size_t chunk = (size_t)(data[0] >> 1) + 1;
	scoped_done(line_reader_done) struct line_reader reader = LINE_READER_INIT;
	for (size_t at = 1; at < size; at += chunk) {
		char *tail = NULL;
		size_t room = 0;
		if (line_reader_tail(&reader, &tail, &room) < 0)
			return 0;
		size_t part = size - at < chunk ? size - at : chunk;
		memcpy(tail, data + at, part);
		line_reader_claim(&reader, part);
		char *line = NULL;
		size_t length = 0;
		for (int r = 0; (r = line_reader_next(&reader, &line, &length)) != 0;)
			if (r == 1)
				check_line(line, length, event);
	}
	return 0;
}
