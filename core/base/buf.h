/* Growing bytes with a mandatory maximum.
 *
 * Invariant: data[size] is always a terminating zero, so that text can be read in place; data is NULL only before the
 * first byte and after buf_done(). A buffer that would exceed its maximum is left unchanged and -EMSGSIZE is returned:
 * nothing is ever cut silently. Zero-initialised plus a maximum is a valid empty buffer: `struct buf b = {.max = 4096}`. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;
	size_t size;	 /* bytes in use, without the terminator */
	size_t capacity; /* bytes allocated */
	size_t max;	 /* most bytes ever held; 0 is a programming error */
};

void buf_done(struct buf *buf);

/* Forgets the bytes, keeps the memory. */
void buf_clear(struct buf *buf);

/* Errors of all that add: -EMSGSIZE (more than max), -ENOMEM. */
int buf_add(struct buf *buf, const void *bytes, size_t size);
int buf_add_char(struct buf *buf, char c);
int buf_add_text(struct buf *buf, const char *text);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *buf, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* Makes room for @size more bytes behind the end, to be written at *ret_tail and then claimed with buf_claim(). */
int buf_reserve(struct buf *buf, size_t size, char **ret_tail);
void buf_claim(struct buf *buf, size_t size);

/* Drops @size bytes from the front (at most all). */
void buf_consume(struct buf *buf, size_t size);

/* Hands the bytes over as a malloc()ed, terminated string (never NULL on success) and leaves the buffer empty.
 * Returns NULL when out of memory. */
char *buf_take(struct buf *buf);
