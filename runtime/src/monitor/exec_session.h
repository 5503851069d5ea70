/* Exec sessions: each is a process that the runtime starts in the running container, with stdio or a pty of the client's. The
 * monitor waits for its end, ends it in time, and reports. */
#pragma once

#include <stddef.h>

#include "runtime/include/axle/monitor.h"
#include "runtime/src/monitor/server.h"

struct container;
struct err;
struct exec_session;
struct failure;

#define EXEC_SESSIONS_MAX 32

struct exec_set {
	struct container *container;
	struct exec_session *sessions;
	size_t count;
	unsigned long last_number; /* names the files of a session below the record directory */
	/* The runtime's exec is through: @pty is the master of its terminal, or -1; closed behind the call. */
	void (*begun)(void *owner, const struct requester *requester, const struct monitor_session *session, int pty,
		      const struct failure *failure);
	void (*exited)(void *owner, const struct monitor_exec_exit *exit);
	void *owner;
};

/* Runs the runtime's exec; begun() follows. Descriptors "process", "stdin" ... are taken out of @received.
 * Errors: -ESRCH ("monitor.phase"), -EBUSY ("monitor.limit"), -EEXIST ("monitor.session-exists"), -EINVAL, those of the
 * runtime's start. begun() is not called then. */
int exec_start(struct exec_set *set, const struct requester *requester, struct monitor_received *received,
	       struct err *err);

/* @wish->session is set. Errors: -ESRCH ("monitor.no-session"). */
int exec_signal(struct exec_set *set, const struct monitor_signal *wish, struct err *err);

/* Ends the sessions that asked for it. */
void exec_client_gone(struct exec_set *set, client_id client);

/* Lists the running ones; returns how many of at most EXEC_SESSIONS_MAX. The names are the sessions'. */
size_t exec_list(const struct exec_set *set, struct monitor_session ret_sessions[EXEC_SESSIONS_MAX]);

void exec_set_done(struct exec_set *set);
