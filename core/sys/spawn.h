/* Starting programs with exactly the descriptors they are meant to have. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct err;

struct spawn {
	const char *path;	  /* absolute */
	const char *const *argv;  /* NULL-terminated, argv[0] included */
	const char *const *envp;  /* NULL: this process's environment */
	const int *fds;		  /* fds[i] becomes descriptor i of the program; -1: /dev/null. Nothing else is inherited */
	size_t fds_count;	  /* at least 3 */
	int cgroup_fd;		  /* a cgroup v2 directory that the process is born in; -1: the caller's */
	bool die_with_caller;	  /* SIGKILL when the calling thread ends */
	bool new_session;	  /* setsid(2) */
};

/* Starts a program. Signals have their default actions and none is blocked. Returns when the program runs, or could not be
 * executed: then nothing is left. *ret_pidfd (CLOEXEC) is the caller's, who also reaps the process.
 * Errors: of clone3(2) and execve(2); @err names the program. */
int spawn_process(const struct spawn *spawn, pid_t *ret_pid, int *ret_pidfd, struct err *err);

/* The status of a child whose pidfd is readable, as a shell counts (128 + signal), which reaps it.
 * Returns 0..255, -EAGAIN (it still runs), -ECHILD (not a child, or reaped). */
int spawn_reap(int pidfd);
