#include <errno.h>
#include <string.h>

#include "signals/src/line/line.h"

#define READ_BYTES 16384 /* asked of the stream at a time: some hundred updates */

void line_reader_done(struct line_reader *reader)
{
	buf_done(&reader->bytes);
	reader->next = reader->scanned = 0;
}

int line_reader_tail(struct line_reader *reader, char **ret_tail, size_t *ret_room)
{
	if (reader->next > 0) {
		buf_consume(&reader->bytes, reader->next);
		reader->scanned -= reader->next;
		reader->next = 0;
	}
	int r = buf_reserve(&reader->bytes, READ_BYTES, ret_tail);
	if (r == 0)
		*ret_room = READ_BYTES;
	return r;
}

void line_reader_claim(struct line_reader *reader, size_t size)
{
	buf_claim(&reader->bytes, size);
}

/* The line that begins at @reader->next has no end within what is there: too long already? */
static int wait_for_more(struct line_reader *reader)
{
	struct buf *bytes = &reader->bytes;
	reader->scanned = bytes->size;
	if (reader->skipping || bytes->size - reader->next >= LINE_BYTES_MAX) {
		bool told = reader->skipping;
		if (!told)
			reader->first = bytes->data[reader->next];
		reader->skipping = true;
		reader->next = bytes->size;
		return told ? 0 : -EMSGSIZE;
	}
	if (reader->next == bytes->size) { /* at rest: a client that is idle holds no memory */
		buf_done(bytes);
		reader->next = reader->scanned = 0;
	}
	return 0;
}

int line_reader_next(struct line_reader *reader, char **ret_line, size_t *ret_length)
{
	for (;;) {
		struct buf *bytes = &reader->bytes;
		char *end = bytes->size > reader->scanned
				    ? memchr(bytes->data + reader->scanned, '\n', bytes->size - reader->scanned)
				    : NULL;
		if (!end)
			return wait_for_more(reader);
		char *line = bytes->data + reader->next;
		size_t length = (size_t)(end - line);
		reader->next = reader->scanned = (size_t)(end - bytes->data) + 1;
		if (reader->skipping) {
			reader->skipping = false;
			continue;
		}
		reader->first = *line;
		if (length >= LINE_BYTES_MAX)
			return -EMSGSIZE;
		if (length > 0 && line[length - 1] == '\r')
			length--;
		if (length == 0)
			continue;
		if (memchr(line, 0, length))
			return -EBADMSG;
		line[length] = '\0';
		*ret_line = line;
		*ret_length = length;
		return 1;
	}
}
