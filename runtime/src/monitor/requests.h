/* What clients ask for, answered: the place that joins the server with the container, its attached clients and its exec
 * sessions. */
#pragma once

#include "runtime/src/monitor/attach.h"
#include "runtime/src/monitor/container.h"
#include "runtime/src/monitor/exec_session.h"
#include "runtime/src/monitor/loop.h"
#include "runtime/src/monitor/reaper.h"
#include "runtime/src/monitor/server.h"

struct monitor {
	struct loop loop;
	struct reaper reaper;
	struct server server;
	struct container container;
	struct attach_set attached;
	struct exec_set execs;
	struct requester create, start, reopen; /* whom to answer; id 0: nobody */
	bool quitting;
};

/* Serves @control_fd (taken over on success). @monitor is zeroed. */
int monitor_init(struct monitor *monitor, int control_fd, struct err *err);
void monitor_done(struct monitor *monitor);

/* Until it has nothing left to do. Errors: those of epoll_wait(2). */
int monitor_run(struct monitor *monitor);
