/* One process's streams on this program's own: an Attach or Exec stream of axle.v1 between standard input, output, error and
 * the terminal. Both calls have messages of the same numbers and types, apart from the first. */
#pragma once

#include <stdbool.h>

#include "cli/src/cli.h"

struct session_options {
	bool stdin_open;	 /* send standard input */
	bool tty;		 /* the process has a terminal */
	bool proxy_signals;	 /* pass the signals that come to this program on; only without a terminal */
	bool detach;		 /* Exec: the stream ends once the process runs */
	const char *detach_keys; /* NULL: the default */
	/* Called once the stream is open and before anything is read: StartContainer. May be NULL. Returns < 0 with @err. */
	int (*on_started)(struct cli *cli, void *data, struct err *err);
	void *data;
};

enum session_end {
	SESSION_EXITED = 0,   /* *ret_exit_code is the process's */
	SESSION_DETACHED = 1, /* by the keys; or (Exec) at once, as was asked */
	SESSION_INTERRUPTED = 2, /* a signal ended this program's part, the process goes on; *ret_exit_code is 128 + signal */
};

/* Runs the session to its end; the terminal is as before when this returns. @start: an Axle__AttachStart or
 * Axle__ExecStart. Signals that end this program restore the terminal first.
 * A reader of our output that has gone counts as SIGPIPE. Errors: those of the call, of on_started, of write(2). */
int session_run(struct cli *cli, const ProtobufCMessage *start, const struct session_options *options,
		int *ret_exit_code, struct err *err);

/* The terminal's size for a start message, or NULL where there is none. @size is filled. */
Axle__TerminalSize *session_terminal_size(Axle__TerminalSize *size);
