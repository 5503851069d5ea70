#include "core/base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

void buf_done(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){.max = buf->max};
}

void buf_clear(struct buf *buf)
{
	buf->size = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

/* Grows to hold @needed bytes and the terminator; doubling, but never beyond what max allows. */
static int grow(struct buf *buf, size_t needed)
{
	if (needed < buf->capacity)
		return 0;
	size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
	while (capacity <= needed)
		capacity *= 2;
	if (capacity > buf->max + 1)
		capacity = buf->max + 1;
	char *data = realloc(buf->data, capacity);
	if (!data)
		return -ENOMEM;
	buf->data = data;
	buf->capacity = capacity;
	return 0;
}

int buf_reserve(struct buf *buf, size_t size, char **ret_tail)
{
	assert(buf->max > 0 && buf->max < SIZE_MAX / 4);
	if (size > buf->max - buf->size)
		return -EMSGSIZE;
	int r = grow(buf, buf->size + size);
	if (r < 0)
		return r;
	buf->data[buf->size] = '\0';
	*ret_tail = buf->data + buf->size;
	return 0;
}

void buf_claim(struct buf *buf, size_t size)
{
	assert(buf->size + size < buf->capacity);
	buf->size += size;
	buf->data[buf->size] = '\0';
}

int buf_add(struct buf *buf, const void *bytes, size_t size)
{
	char *tail = NULL;
	int r = buf_reserve(buf, size, &tail);
	if (r < 0)
		return r;
	if (size > 0)
		memcpy(tail, bytes, size);
	buf_claim(buf, size);
	return 0;
}

int buf_add_char(struct buf *buf, char c)
{
	return buf_add(buf, &c, 1);
}

int buf_add_text(struct buf *buf, const char *text)
{
	return buf_add(buf, text, strlen(text));
}

/* Formats into the room that is there. Returns the length, or a negative errno; what does not fit with its terminator
 * is not kept. */
__attribute__((format(printf, 3, 0)))
static int format_in_room(struct buf *buf, size_t room, const char *format, va_list args)
{
	int length = vsnprintf(room > 0 ? buf->data + buf->size : NULL, room, format, args);
	if (room > 0 && (length < 0 || (size_t)length >= room))
		buf->data[buf->size] = '\0';
	return length < 0 ? -EINVAL : length;
}

int buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	size_t room = buf->capacity - buf->size; /* never more than max allows; mostly enough, so that once is enough, too */
	char *tail = NULL;
	int length = format_in_room(buf, room, format, args);
	int r = length < 0 ? length : 0;
	if (r == 0 && (size_t)length < room) {
		buf_claim(buf, (size_t)length);
	} else if (r == 0 && (r = buf_reserve(buf, (size_t)length, &tail)) == 0) {
		(void)vsnprintf(tail, (size_t)length + 1, format, again);
		buf_claim(buf, (size_t)length);
	}
	va_end(again);
	return r;
}

int buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int r = buf_vprintf(buf, format, args);
	va_end(args);
	return r;
}

void buf_consume(struct buf *buf, size_t size)
{
	if (size >= buf->size) {
		buf_clear(buf);
		return;
	}
	memmove(buf->data, buf->data + size, buf->size - size + 1);
	buf->size -= size;
}

char *buf_take(struct buf *buf)
{
	char *data = buf->data;
	if (!data)
		return strdup("");
	*buf = (struct buf){.max = buf->max};
	return data;
}
