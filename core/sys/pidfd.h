/* Processes by descriptor: made, signalled and awaited without the races that process numbers have. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;

struct process_clone {
	uint64_t flags; /* CLONE_NEW*, CLONE_PARENT, CLONE_FILES ...; CLONE_PIDFD is always added */
	int cgroup_fd;	/* the v2 directory that the child is born in (CLONE_INTO_CGROUP); -1: the caller's */
};

/* A child by clone3(2): a fork() that also makes namespaces. Returns the child's pid, and 0 in the child (where
 * *ret_pidfd is untouched). Single-threaded callers only: no atfork handlers run.
 * Errors: those of clone3(2). */
pid_t process_clone(const struct process_clone *how, int *ret_pidfd);

/* Opens a pidfd. Errors: -ESRCH, those of pidfd_open(2). */
int pidfd_open_process(pid_t pid, int *ret_pidfd);

/* Errors: -ESRCH, -EPERM, -EINVAL. */
int pidfd_signal(int pidfd, int signal);

/* Waits for a child and reaps it. *ret_status: 0..255 as exited, 128 + signal as killed.
 * Errors: those of waitid(2). */
int pidfd_wait(int pidfd, int *ret_status);

/* Waits until the process has ended, without reaping. Returns 0, or -ETIMEDOUT after @timeout_ms (-1: no limit). */
int pidfd_await_end(int pidfd, int timeout_ms);

/* When the process was started, in clock ticks since boot: with the pid it names a process for good.
 * @ret_state: its state letter ("Z", "X": ended); may be NULL. Errors: -ESRCH, -EIO. */
int process_start_time(pid_t pid, uint64_t *ret_ticks, char *ret_state);
