/* A client at a process of a container, be it the container's first one (attached) or another one (exec): its streams,
 * its terminal's size, signals. What carries them to the client (gRPC, a streaming connection) is not known here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "manager/src/exec.h"

struct attachment_wish;
struct container;
struct err;
struct spec_exec;

struct session {
	struct container *container; /* a reference */
	struct exec_session exec;
	bool has_exec; /* the process is exec's, else the container's first one */
	int stdin_fd;  /* non-blocking; -1: none, or closed; likewise below */
	int stdout_fd;
	int stderr_fd;
	int pty;   /* of an exec with a terminal; the same open file as stdin and stdout */
	bool left; /* the client went on purpose */
};

struct session_exec {
	const struct spec_exec *process;
	bool with_stdin;
	bool with_stdout;
	bool with_stderr;
	bool detached;	     /* no streams at all; it goes on without axled */
	uint32_t rows, columns; /* of a terminal; 0: left alone */
};

/* Takes the reference. */
void session_init(struct session *session, struct container *container);

/* Closes the streams and forgets the process, which goes on. */
void session_done(struct session *session);

/* Begin a session: attach to the first process, or start another one. Parks. Errors: of attachment_open(), exec_start(). */
int session_attach(struct session *session, const struct attachment_wish *wish, struct err *err);
int session_start_exec(struct session *session, const struct session_exec *wish, struct err *err);

/* Reads of one of its descriptors; parks until there is something. Returns 0 at the end (also where nobody holds the
 * terminal any more), or -ETIMEDOUT, -ECANCELED. */
ssize_t session_read(struct session *session, int fd, void *bytes, size_t size);

/* Writes all to the standard input; parks. Where nobody reads it any more, or it is closed, the bytes are dropped.
 * Returns 0, or -ETIMEDOUT, -ECANCELED. */
int session_write(struct session *session, const void *bytes, size_t size);

/* Not while another fiber is in session_write(). */
void session_close_stdin(struct session *session);

/* Nothing happens without a terminal. Parks. */
void session_resize(struct session *session, uint32_t rows, uint32_t columns);

/* Nothing happens where the process has ended. Parks. */
void session_signal(struct session *session, int number);

/* Parks until the process has ended, the client has left, or the container is gone. Returns 0, or -ETIMEDOUT, -ECANCELED. */
int session_wait(struct session *session);

/* The client goes on purpose: ends session_wait(). */
void session_leave(struct session *session);

/* The client has vanished: hangs up its exec (SIGHUP, to all that it started). Of a container's first process it was only a
 * spectator. Parks. */
void session_abandon(struct session *session);
