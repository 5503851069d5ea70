/* The command's side of starting a process: what it needs is opened, it is cloned, its requests are served. */
#pragma once

#include <sys/types.h>

struct err;
struct launch;

/* A cloned process as its maker sees it. */
struct launched {
	pid_t pid;
	int pidfd;
	int sync_socket; /* the command's end */
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

/* Serves the process's requests (maps, hooks, terminal) until it is ready; then sets its resource limits.
 * On failure the process has been killed and reaped. */
int launcher_await_ready(struct launch *launch, struct launched *launched, struct err *err);

/* Lets a process that was started over the sync socket execute its program; waits until it has, or has failed. */
int launcher_go(struct launched *launched, struct err *err);

/* Kills and reaps it, and closes its descriptors. */
void launched_kill(struct launched *launched);
void launched_done(struct launched *launched);

/* `exec`: clones a process into an existing container. launch->new_namespaces are those to enter. */
int launcher_clone_exec(struct launch *launch, int container_pidfd, struct launched *ret_launched, struct err *err);
