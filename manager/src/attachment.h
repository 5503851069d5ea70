/* Getting hold of a container's stdio. Before its start one waits, and is connected before the process runs, so that
 * nothing of the output is missed. */
#pragma once

#include <stdbool.h>

struct container;
struct err;

struct attachment_streams {
	int stdin_fd; /* write end; -1: not asked for, or the container has none; likewise below */
	int stdout_fd;
	int stderr_fd;
};

struct attachment_wish {
	bool with_stdin;
	bool with_stdout;
	bool with_stderr;
	/* Called once before waiting for a start (may be NULL). */
	void (*on_waiting)(void *data);
	void *data;
};

/* Parks until the container is created (by its start), then attaches. The caller owns the descriptors.
 * Errors: -EBUSY (it has ended), -ECANCELED, those of the monitor. */
int attachment_open(struct container *container, const struct attachment_wish *wish,
		    struct attachment_streams *ret_streams, struct err *err);

void attachment_streams_done(struct attachment_streams *streams);

/* For the start: connects those that wait, between the runtime's create and start; fails them where it came to nothing, for
 * the same cause. */
void attachments_connect(struct container *container);
void attachments_fail(struct container *container, const struct err *cause, int code);
