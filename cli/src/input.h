/* Bytes from a descriptor that this program was given (standard input, a file): read in the event loop, and only while
 * somebody wants them. The descriptor's flags are left alone, since others may share it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct input;

/* @size 0: end of file, or an error (which ends input just the same): the last call. */
typedef void input_read(const uint8_t *bytes, size_t size, void *data);

/* Starts reading. The caller ends it with input_free(). NULL when out of memory, or @fd is not open. */
struct input *input_new(uv_loop_t *loop, int fd, input_read *on_read, void *data);
void input_free(struct input *input);

void input_pause(struct input *input);
void input_resume(struct input *input);
