/* Seccomp profiles with SCMP_ACT_NOTIFY: the notification descriptor goes to the socket at listenerPath. */
#pragma once

#include <sys/types.h>

struct err;
struct launch;

/* Connects to linux.seccomp.listenerPath: fills launch->seccomp_socket. In the command's process. */
int seccomp_notify_connect(struct launch *launch, struct err *err);

/* Loads the filter and sends its listener with the container's state, by a helper that the filter does not bind: the
 * calling process's own system calls may already wait for the listener's answer. @host_pid: its pid as the agent sees
 * it. */
int seccomp_notify_load(const struct launch *launch, pid_t host_pid, struct err *err);
