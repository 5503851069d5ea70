/* One command of the OCI runtime: started, given a time limit, and its result with the runtime's own words. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "runtime/src/monitor/loop.h"
#include "runtime/src/monitor/reaper.h"
#include "runtime/src/monitor/runtime_log.h"

struct err;
struct monitor_runtime;

#define RUNTIME_TIMEOUT_MS 60000

struct runtime_result {
	int status;                        /* exit status as a shell counts; 0: it succeeded */
	bool timed_out;                    /* or was cancelled: it was killed */
	char message[RUNTIME_MESSAGE_MAX]; /* of a failure; may be "" */
};

struct runtime_command {
	struct loop *loop;
	struct reaper *reaper;
	struct child child;
	struct timer timeout;
	bool running;
	bool killed;
	int pidfd;
	int log_fd;     /* a memfd that the runtime's --log writes to */
	int error_fd;   /* a memfd that is its stderr; -1: it has the container's */
	int error_pipe; /* then, where it has no log, the read end of that; borrowed; -1: none */
	void (*done)(struct runtime_command *command, const struct runtime_result *result);
	void *owner;
};

struct runtime_call {
	const struct monitor_runtime *runtime;
	const char *const *args; /* the command and its options: "start", ID */
	int stdio[3];            /* -1: /dev/null, and for stderr: caught for the message */
	const int *fds;          /* further descriptors for the program: these become 4, 5, ... (3 is the log) */
	size_t fds_count;
};

#define RUNTIME_FIRST_FD 4 /* the number of fds[0] in the runtime */

/* Starts it; done() follows. @command holds loop, reaper, error_pipe, done and owner and is otherwise zero.
 * Errors: -ENOMEM, those of execve(2); done() is not called then. */
int runtime_command_start(struct runtime_command *command, const struct runtime_call *call, struct err *err);

/* Kills the runtime and what it started in its session; done() follows. */
void runtime_command_kill(struct runtime_command *command);
void runtime_command_done(struct runtime_command *command);
