/* The command's side of starting a process: what it needs is opened, it is cloned, its requests are served. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct err;
struct launch;

/* A cloned process as its maker sees it. */
struct launched {
	pid_t pid;
	int pidfd;
	int sync_socket; /* the command's end */
	bool gone;	 /* launcher_go_early() */
	int console;	 /* the terminal's master where it was asked for and not sent away, -1 */
};

/* An empty launch: every descriptor -1. */
void launcher_init(struct launch *launch);
void launcher_done(struct launch *launch);

/* Opens what the process needs from the caller's side: namespaces, root, bind sources, seccomp, cgroup entries. */
int launcher_prepare(struct launch *launch, int state_root_fd, struct err *err);

/* The seccomp part of it alone, for `exec`. */
int launcher_prepare_seccomp(struct launch *launch, int state_root_fd, struct err *err);

/* Clones the first process; it sets itself up and reports. */
int launcher_clone(struct launch *launch, struct launched *ret_launched, struct err *err);

/* Lets a process that is started over the sync socket go on before it has said that it is ready: it will not wait then,
 * which spares both a turn. Only where nothing has to be done in between: see launcher_needs_turn(). */
int launcher_go_early(struct launched *launched, struct err *err);
bool launcher_needs_turn(const struct launch *launch);

/* Serves the process's requests (maps, hooks, terminal) until it is ready; then sets its resource limits where it cannot
 * do so itself. On failure the process has been killed and reaped. */
int launcher_await_ready(struct launch *launch, struct launched *launched, struct err *err);

/* Lets a process that was started over the sync socket execute its program; waits until it has, or has failed. */
int launcher_go(struct launched *launched, struct err *err);

/* Kills and reaps it, and closes its descriptors. */
void launched_kill(struct launched *launched);
void launched_done(struct launched *launched);

/* `exec`: clones a process into an existing container. launch->new_namespaces are those to enter. */
int launcher_clone_exec(struct launch *launch, int container_pidfd, struct launched *ret_launched, struct err *err);
