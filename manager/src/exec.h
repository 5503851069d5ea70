/* Processes beside a container's first one: ExecSync, and sessions with streams. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "manager/src/fiber.h"

struct buf;
struct container;
struct err;
struct monitor_exec_exit;
struct spec_exec;

#define EXEC_OUTPUT_MAX (16 << 20) /* of each stream of an ExecSync; what exceeds it is dropped */

/* One such process, from its start to its end. Lives in its owner's frame or struct. */
struct exec_session {
	char name[40];
	struct container *container; /* borrowed */
	struct fiber_signal ended;
	pid_t pid;
	bool has_ended;
	int32_t exit_code;
	int32_t signal;
	bool timed_out;
	bool lost;	  /* its monitor went away: how it ended is not known */
	struct exec_session *next;
};

struct exec_streams {
	int stdin_fd; /* the process's own ends; -1: /dev/null */
	int stdout_fd;
	int stderr_fd;
};

struct exec_options {
	const struct spec_exec *process;
	struct exec_streams streams; /* without a terminal */
	uint32_t rows, columns;	     /* of a terminal */
	uint64_t timeout_ms;	     /* 0: none */
	bool end_with_axled;	     /* the process is killed when axled goes */
};

/* Starts one. @ret_pty: the terminal's master, where one was asked for, else -1. Parks.
 * Errors: -EBUSY (the container does not run), those of the runtime ("runtime.executable-not-found" ...). */
int exec_start(struct container *container, const struct exec_options *options, struct exec_session *session,
	       int *ret_pty, struct err *err);

/* Parks until it has ended. Returns 0, or -ETIMEDOUT, -ECANCELED. */
int exec_wait(struct exec_session *session);

/* Sends a signal to it; to it and all that it started. Errors: -EBUSY (it has ended), of the monitor. */
int exec_signal(struct exec_session *session, int signal, struct err *err);
int exec_signal_all(struct exec_session *session, int signal, struct err *err);

/* Must be called before the session's memory goes. */
void exec_forget(struct exec_session *session);

/* Its monitor says that it has ended; and that all of a container's sessions are lost. */
void exec_ended(struct container *container, const struct monitor_exec_exit *exit);
void exec_lost(struct container *container);

/* Runs a command to its end and collects its output. Parks. @ret_exit_code as a shell counts.
 * Errors: -ETIMEDOUT (exec.timeout: what it started was killed), those of exec_start(). */
int exec_sync(struct container *container, const char *const *command, uint64_t timeout_ms, struct buf *ret_stdout,
	      struct buf *ret_stderr, int32_t *ret_exit_code, struct err *err);
