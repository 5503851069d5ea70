/* The container's stdin (a pipe's write end, or the pty): fed from any number of attached clients, each through a pipe of its
 * own, which is read only while the container takes what was read before. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/src/monitor/loop.h"

struct input;

#define INPUT_BYTES 4096 /* what a pipe that is ready for writing takes at once (PIPE_BUF) */

/* An attached client's pipe towards stdin. */
struct source {
	struct input *input; /* NULL: not attached */
	int fd;              /* read end, non-blocking; owned */
	struct watch watch;
	void (*gone)(void *owner); /* the client closed its end, or stdin is closed */
	void *owner;
	struct source *next;
};

struct input {
	struct loop *loop;
	int fd;       /* non-blocking; -1: there is none, or it is closed */
	bool once;    /* close it when the first source has ended */
	bool closing; /* when the pending bytes are written */
	struct watch watch;
	char pending[INPUT_BYTES];
	size_t size, offset;
	struct source *sources;
	void (*closed)(void *owner); /* for good */
	void *owner;
};

void input_init(struct input *input, struct loop *loop);
void input_done(struct input *input);

/* Takes over the descriptor. */
int input_open(struct input *input, int fd, bool once);

/* Closes it behind what is pending; sources end. */
void input_close(struct input *input);

/* Adds a source: @source is zeroed but for gone and owner. Takes over the pipe's read end. */
int input_add_source(struct input *input, struct source *source, int fd);
void input_remove_source(struct source *source);
