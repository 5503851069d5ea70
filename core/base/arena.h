/* Memory that is released all at once: what a decoder makes of one document or one request.
 *
 * An arena has a mandatory byte cap, so that a document can never cost more memory than its reader allowed. Nothing in it
 * is freed by itself; pointers into it live until arena_done(). Zero-initialised plus a cap is a valid empty arena:
 * `struct arena arena = {.max = 1 << 20}`. */
#pragma once

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t used;		    /* bytes handed out, with alignment */
	size_t max;		    /* most bytes ever handed out; 0 is a programming error */
};

void arena_done(struct arena *arena);

/* Zeroed memory, aligned for any type. NULL when the cap or the machine's memory is exhausted: treat as -ENOMEM. */
void *arena_alloc(struct arena *arena, size_t size);

/* @count elements of @size bytes; an overflow counts as exhausted. */
void *arena_array(struct arena *arena, size_t count, size_t size);

char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
