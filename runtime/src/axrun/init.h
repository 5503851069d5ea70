/* The container's first process, from its birth to its program; and that of `exec`. */
#pragma once

struct err;
struct launch;

/* In the cloned process: never returns. Reports to launch->sync_socket. */
void init_run(const struct launch *launch) __attribute__((noreturn));

/* Enters the pid namespace that the configuration names, for the children of the calling process. */
int init_join_pid_namespace(const struct launch *launch, struct err *err);

/* In the cloned process of `exec`, which enters an existing container. */
void init_run_exec(const struct launch *launch, int container_pidfd) __attribute__((noreturn));
